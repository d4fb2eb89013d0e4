/*
 * Conversion between types, by element. Compiled once for each instruction set: see
 * ops/kernel/vector_map.h. There is one op for each type of result, so that an op and its operand's
 * type say all; a kernel from a type to itself serves sg_replay in another type.
 */
#include "ops/ops.h"
#include "ops/kernel/vector_map.h"

/* Toward zero; NaN gives 0, and what is too large the largest. (x may be an f32: a wider type
 * changes neither the comparisons nor the result.) */
static inline i32 whole(f64 x)
{
    if (x != x)
        return 0;
    return x >= 0x1p31 ? INT32_MAX : x <= -0x1p31 ? INT32_MIN : (i32)x;
}

SG_EACH1(to_f32, f32, f32, x);
SG_EACH1(to_f32, f64, f32, (f32)x);
SG_EACH1(to_f32, i32, f32, (f32)x);
SG_EACH1(to_f32, u8, f32, x);

SG_EACH1(to_f64, f32, f64, (f64)x);
SG_EACH1(to_f64, f64, f64, x);
SG_EACH1(to_f64, i32, f64, x);
SG_EACH1(to_f64, u8, f64, x);

SG_EACH1(to_i32, f32, i32, whole((f64)x));
SG_EACH1(to_i32, f64, i32, whole(x));
SG_EACH1(to_i32, i32, i32, x);
SG_EACH1(to_i32, u8, i32, x);

SG_EACH1(to_u8, f32, u8, (u8)whole((f64)x));
SG_EACH1(to_u8, f64, u8, (u8)whole(x));
SG_EACH1(to_u8, i32, u8, (u8)x);
SG_EACH1(to_u8, u8, u8, x);

#if SG_ISA == 0

SG_KERNELS(to_f32, ANY);
SG_KERNELS(to_f64, ANY);
SG_KERNELS(to_i32, ANY);
SG_KERNELS(to_u8, ANY);

/* g in x's type. Nobody asks where x is of integers. */
static sg_tensor *cast_vjp(const sg_vjp_call *v, int i)
{
    return sg_cast(v->g, sg_type(v->in[i]));
}

static const sg_op cast_ops[SG_DTYPES];
static const sg_op *const cast_typed[SG_DTYPES] = {&cast_ops[SG_F32], &cast_ops[SG_F64],
                                                   &cast_ops[SG_I32], &cast_ops[SG_U8]};

#define CAST(type, flags_, map_)                                                                   \
    {                                                                                              \
        .name = "cast", .args = "x", .flags = flags_ | SG_OP_OF_ZERO, .arity = 1,                  \
        .dtypes = SG_ALL, .result = 1 + (type), .typed = cast_typed, .map = map_, .vjp = cast_vjp, \
    }

static const sg_op cast_ops[SG_DTYPES] = {
    [SG_F32] = CAST(SG_F32, 0, to_f32_map),
    [SG_F64] = CAST(SG_F64, 0, to_f64_map),
    [SG_I32] = CAST(SG_I32, SG_OP_CONSTANT, to_i32_map),
    [SG_U8] = CAST(SG_U8, SG_OP_CONSTANT, to_u8_map),
};

sg_tensor *sg_cast(sg_tensor *x, sg_dtype dtype)
{
    if ((unsigned)dtype >= SG_DTYPES)
        return sg_fail(sg_context_of(x), SG_BAD_DTYPE, "cast: no such type (%d)", (int)dtype);
    return sg_type(x) == dtype ? x : sg_record(&cast_ops[dtype], NULL, 1, &x);
}

#endif
