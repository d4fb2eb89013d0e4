/*
 * Comparisons, logic of their results, and selection by them, by element. Compiled once for each
 * instruction set: see ops/kernel/vector_map.h. All but `where` give u8, 0 or 1, and stop
 * gradients.
 */
#include "ops/ops.h"
#include "ops/kernel/vector_map.h"

#if SG_ISA == 0
#define TRUTH(f, types, args_, arity_)                                                             \
    SG_KERNELS(f, types);                                                                          \
    static const sg_op f##_op = {                                                                  \
        .name = #f,                                                                                \
        .args = args_,                                                                             \
        .flags = SG_OP_CONSTANT,                                                                   \
        .arity = arity_,                                                                           \
        .dtypes = SG__TYPES_##types,                                                               \
        .result = 1 + SG_U8,                                                                       \
        .map = f##_map,                                                                            \
    };
#define TRUTH1(f, types)                                                                           \
    TRUTH(f, types, "x", 1)                                                                        \
    sg_tensor *sg_##f(sg_tensor *x)                                                                \
    {                                                                                              \
        return sg_record(&f##_op, NULL, 1, &x);                                                    \
    }                                                                                              \
    sg_tensor *sg_##f(sg_tensor *x)
#define TRUTH2(f, types)                                                                           \
    TRUTH(f, types, "x y", 2)                                                                      \
    sg_tensor *sg_##f(sg_tensor *x, sg_tensor *y)                                                  \
    {                                                                                              \
        return sg_record(&f##_op, NULL, 2, (sg_tensor *[]){x, y});                                 \
    }                                                                                              \
    sg_tensor *sg_##f(sg_tensor *x, sg_tensor *y)
#else
#define TRUTH1(f, types) sg_map SG__NAME(f, u8)
#define TRUTH2(f, types) sg_map SG__NAME(f, u8)
#endif

#define COMPARE(f, formula)                                                                        \
    SG_EACH2(f, f32, u8, formula);                                                                 \
    SG_EACH2(f, f64, u8, formula);                                                                 \
    SG_EACH2(f, i32, u8, formula);                                                                 \
    SG_EACH2(f, u8, u8, formula);                                                                  \
    TRUTH2(f, ANY)

COMPARE(equal, x == y);
COMPARE(not_equal, x != y);
COMPARE(less, x < y);
COMPARE(less_equal, x <= y);
COMPARE(greater, x > y);
COMPARE(greater_equal, x >= y);

SG_EACH2(logical_and, u8, u8, (x != 0) & (y != 0));
TRUTH2(logical_and, U8);

SG_EACH2(logical_or, u8, u8, (x != 0) | (y != 0));
TRUTH2(logical_or, U8);

SG_EACH1(logical_not, u8, u8, x == 0);
TRUTH1(logical_not, U8);

/* ---- where -------------------------------------------------------------------------------- */

/* Elements are moved as bits; a mask of them needs no branch, so all compilers make vectors of it.
 */
#define WHERE(T, bits)                                                                             \
    static inline bits where_##T(u8 c, bits x, bits y)                                             \
    {                                                                                              \
        bits mask = (bits)(0 - (c != 0));                                                          \
        return (bits)(y ^ ((x ^ y) & mask));                                                       \
    }                                                                                              \
    sg_map SG__NAME(where, T);                                                                     \
    void SG__NAME(where, T)(size_t n, void *out, const void *const *in, unsigned single)           \
    {                                                                                              \
        SG__SCALARS(u8, c, 0);                                                                     \
        SG__SCALARS(bits, x, 1);                                                                   \
        SG__SCALARS(bits, y, 2);                                                                   \
        SG__BLOCKS(bits,                                                                           \
                   where_##T(c[(i & c_mask) + k], x[(i & x_mask) + k], y[(i & y_mask) + k]));      \
    }

WHERE(f32, u32)
WHERE(f64, u64)
WHERE(i32, u32)
WHERE(u8, u8)

#if SG_ISA == 0

SG_KERNELS(where, ANY);

static bool where_infer(sg_infer *i)
{
    sg_dtype condition = sg_type(i->in[0]), x = sg_type(i->in[1]), y = sg_type(i->in[2]);
    if (condition != SG_U8 || x != y) {
        i->status = SG_BAD_DTYPE;
        return condition != SG_U8 ? sg_refuse(i, "the condition is not u8")
                                  : sg_refuse(i, "x and y are of different types");
    }
    return sg_broadcast_shapes(i);
}

/* by x: g where the condition holds, else 0; by y: 0 where it holds, else g */
static sg_tensor *where_vjp(const sg_vjp_call *v, int i)
{
    sg_tensor *zero = sg_like(v->g, 0);
    return i == 1 ? sg_where(v->in[0], v->g, zero) : sg_where(v->in[0], zero, v->g);
}

static const sg_op where_op = {
    .name = "where",
    .args = "condition x y",
    .arity = 3,
    .dtypes = SG_ALL,
    .flags = SG_OP_SELECTS,
    .infer = where_infer,
    .map = where_map,
    .vjp = where_vjp,
};

sg_tensor *sg_where(sg_tensor *condition, sg_tensor *x, sg_tensor *y)
{
    return sg_record(&where_op, NULL, 3, (sg_tensor *[]){condition, x, y});
}

#endif
