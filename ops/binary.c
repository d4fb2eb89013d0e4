/*
 * Arithmetic of two operands, by element. Compiled once for each instruction set: see
 * ops/kernel/vector_map.h. Above each op stand its derivatives by x and by y as the vjp computes
 * them, where g is the cotangent of the result z; core sums them over what was broadcast.
 */
#include "ops/ops.h"
#include "ops/kernel/vector_map.h"

/* g; g */
SG_MAP2(add, FLOATS, x + y);
SG_EACH2(add, i32, i32, (i32)((u32)x + (u32)y));
SG_BINARY(add, NUMBERS, SG_OP_COMMUTES | SG_OP_ZERO_KEEPS, g, g);

/* g; -g */
SG_MAP2(sub, FLOATS, x - y);
SG_EACH2(sub, i32, i32, (i32)((u32)x - (u32)y));
SG_BINARY(sub, NUMBERS, SG_OP_ZERO_KEEPS, g, sg_neg(g));

static inline i32 product(i32 x, i32 y)
{
    u32 a = (u32)x, b = (u32)y;
    return (i32)(a * b);
}

/* g y; g x */
SG_MAP2(mul, FLOATS, (x * y));
SG_EACH2(mul, i32, i32, product(x, y));
SG_BINARY(mul, NUMBERS, SG_OP_COMMUTES, sg_mul(g, y), sg_mul(g, x));

/* g / y; -g z / y */
SG_MAP2(div, FLOATS, x / y);
SG_BINARY(div, FLOATS, 0, sg_div(g, y), sg_neg(sg_div(sg_mul(g, z), y)));

#if SG_ISA == 0

/* g y x^(y-1). Where x and y are both 0 that is 0 times infinity: there x is taken for 1. */
static sg_tensor *pow_by_x(sg_tensor *x, sg_tensor *y, sg_tensor *g)
{
    sg_tensor *both = sg_logical_and(sg_equal(x, sg_like(x, 0)), sg_equal(y, sg_like(y, 0)));
    sg_tensor *base = sg_where(both, sg_like(x, 1), x);
    return sg_mul(g, sg_mul(y, sg_pow(base, sg_sub(y, sg_like(y, 1)))));
}

/* g z log x, and 0 where x <= 0: there the logarithm is taken of 1. */
static sg_tensor *pow_by_y(sg_tensor *x, sg_tensor *z, sg_tensor *g)
{
    sg_tensor *base = sg_where(sg_greater(x, sg_like(x, 0)), x, sg_like(x, 1));
    return sg_mul(g, sg_mul(z, sg_log(base)));
}

#endif

SG_EACH2(pow, f32, f32, powf(x, y));
SG_EACH2(pow, f64, f64, pow(x, y));
SG_BINARY(pow, FLOATS, 0, pow_by_x(x, y, g), pow_by_y(x, z, g));

/* g where x is not below y, else 0; g where it is, else 0 */
SG_MAP2(maximum, FLOATS, v_select(v_same(x, x), v_max(x, y), x));
SG_EACH2(maximum, i32, i32, x > y ? x : y);
SG_BINARY(maximum, NUMBERS, 0, sg_where(sg_less(x, y), sg_like(g, 0), g),
          sg_where(sg_less(x, y), g, sg_like(g, 0)));

/* g where x is not above y, else 0; g where it is, else 0 */
SG_MAP2(minimum, FLOATS, v_select(v_same(x, x), v_min(x, y), x));
SG_EACH2(minimum, i32, i32, x < y ? x : y);
SG_BINARY(minimum, NUMBERS, 0, sg_where(sg_greater(x, y), sg_like(g, 0), g),
          sg_where(sg_greater(x, y), g, sg_like(g, 0)));
