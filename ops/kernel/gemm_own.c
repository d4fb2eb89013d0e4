/*
 * Our micro-kernels, which read A in place, by any strides, and B in place or packed. Compiled once
 * per instruction set: SG_ISA is 0 (any CPU), 1 (AVX2, FMA) or 2 (AVX-512 F, DQ, BW, VL), and the
 * compiler's flags say the same. All but the vectors is written once for both types.
 */
#include "ops/kernel/gemm_kernels.h"

#define JOIN_(a, b)   a##_##b
#define JOIN(a, b)    JOIN_(a, b)
#define OF_TYPE(name) JOIN(name, SUFFIX)
#define INLINE        static inline __attribute__((always_inline))

#include "ops/kernel/gemm_vector.h"

#define REAL   float
#define SUFFIX ps
#include "ops/kernel/gemm_tile.h"
#include "ops/kernel/gemm_row.h"
#include "ops/kernel/gemm_turn.h"
#include "ops/kernel/gemm_pack.h"
#undef REAL
#undef SUFFIX

#define REAL   double
#define SUFFIX pd
#include "ops/kernel/gemm_tile.h"
#include "ops/kernel/gemm_row.h"
#include "ops/kernel/gemm_turn.h"
#include "ops/kernel/gemm_pack.h"

const sg__gemm_own SET[2] = {
    {2 * BYTES / 4, TURN_TO, PACK_FROM, block_ps, row_ps, turned_ps, pack_ps},
    {2 * BYTES / 8, TURN_TO, PACK_FROM, block_pd, row_pd, turned_pd, pack_pd},
};
