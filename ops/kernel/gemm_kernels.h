/*
 * What a supplier of gemm kernels provides, by type and instruction set. gemm.c cuts a product into
 * blocks that fit the caches and packs what must be packed; a supplier computes one block.
 */
#ifndef SG_GEMM_KERNELS_H
#define SG_GEMM_KERNELS_H

#include "ops/kernel/gemm.h"

/* One block of a product, 0 < k <= a block of k. B's columns come in panels of the kernels' width;
 * rows of a panel are b_row apart, panels b_panel: packed B has b_row = width, b_panel = k * width,
 * B in place has the reverse. Columns of C are 1 apart. */
typedef struct sg__gemm_block {
    int64_t m, n, k;
    const void *a, *b;
    int64_t a_row, a_col;
    int64_t b_row, b_panel;
    void *c;
    int64_t c_row;
    bool accumulate;
} sg__gemm_block;

typedef struct sg__gemm_kernels {
    int width; /* columns of a panel of B */
    int rows; /* 0: A and B may be in place. Otherwise both are packed, A in strips of so many rows,
                 one after the other: element (i, p) of a strip is at p * rows + i. */
    void (*block)(const sg__gemm_block *x);
} sg__gemm_kernels;

/* Packs columns [0, n) of k rows of B into panels of that width, a multiple of ours. Missing
 * columns hold anything. */
typedef void sg__gemm_pack(int64_t k, int64_t n, const void *b, int64_t b_row, int64_t b_col,
                           int width, void *packed);

/* Ours; [0] is f32, [1] f64. */
extern const sg__gemm_kernels sg__gemm_generic[2], sg__gemm_avx2[2], sg__gemm_avx512[2];
extern sg__gemm_pack *const sg__gemm_generic_pack[2], *const sg__gemm_avx2_pack[2],
                                                          *const sg__gemm_avx512_pack[2];

#ifdef SG_HAVE_BLIS
/* BLIS's, by instruction set and type. */
extern const sg__gemm_kernels sg__gemm_blis[SG_ISAS][2];
/* BLIS's micro-kernels read so many bytes behind what is packed. */
enum { SG__GEMM_READ_AHEAD = 256 };
#endif

#endif
