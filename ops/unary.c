/*
 * Functions of one operand, by element. Compiled once for each instruction set: see
 * ops/kernel/vector_map.h. Above each op stands its derivative as the vjp computes it, where g is
 * the cotangent of the result y. f64 calls libm where f32 has a polynomial.
 */
#include "ops/ops.h"
#include "ops/kernel/vector_map.h"
#include "ops/kernel/vector_math.h"

/* -g */
SG_MAP1(neg, FLOATS, -x);
SG_EACH1(neg, i32, i32, (i32)(0u - (u32)x));
SG_UNARY(neg, NUMBERS, 0, sg_neg(g));

/* g y */
SG_MAP1(exp, F32, v_exp(x));
SG_EACH1(exp, f64, f64, exp(x));
SG_UNARY(exp, FLOATS, 0, sg_mul(g, y));

/* g e^x: y + 1 would have lost all digits where y is near -1 */
SG_MAP1(expm1, F32, v_expm1(x));
SG_EACH1(expm1, f64, f64, expm1(x));
SG_UNARY(expm1, FLOATS, 0, sg_mul(g, sg_exp(x)));

/* g / x */
SG_MAP1(log, F32, v_log(x));
SG_EACH1(log, f64, f64, log(x));
SG_UNARY(log, FLOATS, 0, sg_div(g, x));

/* g / (1 + x) */
SG_MAP1(log1p, F32, v_log1p(x));
SG_EACH1(log1p, f64, f64, log1p(x));
SG_UNARY(log1p, FLOATS, 0, sg_div(g, sg_add(sg_like(x, 1), x)));

/* g / 2y */
SG_MAP1(sqrt, FLOATS, v_sqrt(x));
SG_UNARY(sqrt, FLOATS, 0, sg_div(g, sg_add(y, y)));

/* -g y³ / 2 */
SG_MAP1(rsqrt, FLOATS, 1 / v_sqrt(x));
SG_UNARY(rsqrt, FLOATS, 0, sg_mul(g, sg_mul(sg_like(y, -0.5), sg_mul(y, sg_square(y)))));

/* g (1 - y²) */
SG_MAP1(tanh, F32, v_tanh(x));
SG_EACH1(tanh, f64, f64, tanh(x));
SG_UNARY(tanh, FLOATS, 0, sg_mul(g, sg_sub(sg_like(y, 1), sg_square(y))));

/* g y (1 - y) */
static inline f64 logistic(f64 x)
{
    f64 e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}
SG_MAP1(sigmoid, F32, v_sigmoid(x));
SG_EACH1(sigmoid, f64, f64, logistic(x));
SG_UNARY(sigmoid, FLOATS, 0, sg_mul(g, sg_mul(y, sg_sub(sg_like(y, 1), y))));

/* g where y > 0, else 0 */
SG_MAP1(relu, FLOATS, v_max(v_splat(x, 0), x));
SG_UNARY(relu, FLOATS, 0, sg_where(sg_greater(y, sg_like(y, 0)), g, sg_like(g, 0)));

/* g 2/sqrt(pi) e^(-x²) */
SG_MAP1(erf, F32, v_erf(x));
SG_EACH1(erf, f64, f64, erf(x));
SG_UNARY(erf, FLOATS, 0,
         sg_mul(g, sg_mul(sg_like(x, 1.1283791670955126), sg_exp(sg_neg(sg_square(x))))));

/* g cos x */
SG_EACH1(sin, f32, f32, sinf(x));
SG_EACH1(sin, f64, f64, sin(x));
SG_UNARY(sin, FLOATS, 0, sg_mul(g, sg_cos(x)));

/* -g sin x */
SG_EACH1(cos, f32, f32, cosf(x));
SG_EACH1(cos, f64, f64, cos(x));
SG_UNARY(cos, FLOATS, 0, sg_neg(sg_mul(g, sg_sin(x))));

/* g sign x */
SG_MAP1(abs, FLOATS, v_abs(x));
SG_EACH1(abs, i32, i32, (i32)(x < 0 ? 0u - (u32)x : (u32)x));
SG_UNARY(abs, NUMBERS, 0, sg_mul(g, sg_sign(x)));

/* 0 */
SG_MAP1(sign, FLOATS,
        v_select(v_less(v_splat(x, 0), x), v_splat(x, 1),
                 v_select(v_less(x, v_splat(x, 0)), v_splat(x, -1), x)));
SG_EACH1(sign, i32, i32, (x > 0) - (x < 0));
SG_UNARY(sign, NUMBERS, SG_OP_CONSTANT | SG_OP_OF_ZERO, NULL);

/* g sigmoid(x). An op, not max(x, 0) + log1p(e^-|x|) out of others: they have kinks at 0, where
 * this has none, and its derivatives there would come out as those of the kinks. */
SG_MAP1(softplus, F32, v_softplus(x));
SG_EACH1(softplus, f64, f64, fmax(x, 0) + log1p(exp(-fabs(x))));
SG_UNARY(softplus, FLOATS, 0, sg_mul(g, sg_sigmoid(x)));

/* ---- compositions ------------------------------------------------------------------------- */

#if SG_ISA == 0

sg_tensor *sg_square(sg_tensor *x)
{
    return sg_mul(x, x);
}

/* x/2 (1 + erf(x/sqrt 2)). The error is small beside 1, not beside the result where x << 0. */
sg_tensor *sg_gelu(sg_tensor *x)
{
    sg_tensor *e = sg_erf(sg_mul(x, sg_like(x, 0.70710678118654752)));
    return sg_mul(sg_mul(x, sg_like(x, 0.5)), sg_add(sg_like(x, 1), e));
}

sg_tensor *sg_silu(sg_tensor *x)
{
    return sg_mul(x, sg_sigmoid(x));
}

#endif
