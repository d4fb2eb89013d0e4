/* Kernels over rows, compiled once for each instruction set (see vector.h); the tables by type and
 * set are in the generic set's object alone. */
#include "ops/kernel/rows.h"
#include "ops/kernel/vector.h"
#include "ops/kernel/vector_math.h"

enum { LANES = 16 }; /* of a sum, in every set and type, as in core */

static inline v_f64 exp_f64(v_f64 x)
{
    for (size_t k = 0; k < sizeof x / sizeof x[0]; k++)
        x[k] = x[k] < -708 ? 0 : exp(x[k]);
    return x;
}

#define SET_NAME_(a, set) a##_##set
#define SET_NAME(a, set)  SET_NAME_(a, set)

#define T                 f32
#define EXP               v_exp_normal
#define KERNELS           SET_NAME(sg__rows_f32, SG_ISA)
#include "ops/kernel/rows_typed.h"

#define T       f64
#define EXP     exp_f64
#define KERNELS SET_NAME(sg__rows_f64, SG_ISA)
#include "ops/kernel/rows_typed.h"

#if SG_ISA == 0

#ifdef SG_X86
extern const sg__row_kernels sg__rows_f32_1, sg__rows_f32_2, sg__rows_f64_1, sg__rows_f64_2;
const sg__row_kernels *const sg__row_kernels_of[2][SG_ISAS] = {
    {&sg__rows_f32_0, &sg__rows_f32_1, &sg__rows_f32_2},
    {&sg__rows_f64_0, &sg__rows_f64_1, &sg__rows_f64_2},
};
#else
const sg__row_kernels *const sg__row_kernels_of[2][SG_ISAS] = {{&sg__rows_f32_0},
                                                               {&sg__rows_f64_0}};
#endif

#endif
