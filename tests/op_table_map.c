/* Rows of the ops by element: unary.c, binary.c, compare.c, cast.c. */
#include "tests/op_table.h"

#include <math.h>

enum { NUMBERS = SG_FLOATS | 1 << SG_I32 };

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

/* name, range, flags, types, reference of x */
#define UNARY(X)                                                                                   \
    X(neg, -2, 2, OP_LINEAR, NUMBERS, -x)                                                          \
    X(exp, -2, 2, 0, 0, exp(x))                                                                    \
    X(expm1, -2, 2, 0, 0, expm1(x))                                                                \
    X(log, 0.3, 3, 0, 0, log(x))                                                                   \
    X(log1p, -0.6, 2, 0, 0, log1p(x))                                                              \
    X(sqrt, 0.3, 3, 0, 0, sqrt(x))                                                                 \
    X(rsqrt, 0.3, 3, 0, 0, 1 / sqrt(x))                                                            \
    X(tanh, -2, 2, 0, 0, tanh(x))                                                                  \
    X(sigmoid, -4, 4, 0, 0, logistic(x))                                                           \
    X(relu, -2, 2, OP_LINEAR | OP_APART, 0, x > 0 ? x : 0)                                         \
    X(erf, -2, 2, 0, 0, erf(x))                                                                    \
    X(gelu, -3, 3, 0, 0, x * 0.5 * erfc(-x / sqrt(2)))                                             \
    X(sin, -3, 3, 0, 0, sin(x))                                                                    \
    X(cos, -3, 3, 0, 0, cos(x))                                                                    \
    X(abs, -2, 2, OP_LINEAR | OP_APART, NUMBERS, fabs(x))                                          \
    X(sign, -2, 2, OP_CONSTANT | OP_APART, NUMBERS, (x > 0) - (x < 0))                             \
    X(softplus, -4, 4, 0, 0, log(1 + exp(x)))                                                      \
    X(silu, -4, 4, 0, 0, x *logistic(x))                                                           \
    X(square, -2, 2, 0, NUMBERS, x *x)

/* name, range of x, range of y, flags, types, reference of x and y */
#define SUB(X) X(sub, -2, 2, -2, 2, OP_LINEAR, NUMBERS, x - y)
#define MUL(X) X(mul, -2, 2, -2, 2, 0, NUMBERS, x *y)
#define BINARY(X)                                                                                  \
    X(add, -2, 2, -2, 2, OP_LINEAR, NUMBERS, x + y)                                                \
    X(div, -2, 2, 0.4, 2, 0, 0, x / y)                                                             \
    X(pow, 0.4, 2, -2, 2, 0, 0, pow(x, y))                                                         \
    X(maximum, -2, 2, -2, 2, OP_LINEAR | OP_APART, NUMBERS, x > y ? x : y)                         \
    X(minimum, -2, 2, -2, 2, OP_LINEAR | OP_APART, NUMBERS, x < y ? x : y)                         \
    X(equal, -2, 2, -2, 2, OP_CONSTANT | OP_APART, SG_ALL, x == y)                                 \
    X(not_equal, -2, 2, -2, 2, OP_CONSTANT | OP_APART, SG_ALL, x != y)                             \
    X(less, -2, 2, -2, 2, OP_CONSTANT | OP_APART, SG_ALL, x < y)                                   \
    X(less_equal, -2, 2, -2, 2, OP_CONSTANT | OP_APART, SG_ALL, x <= y)                            \
    X(greater, -2, 2, -2, 2, OP_CONSTANT | OP_APART, SG_ALL, x > y)                                \
    X(greater_equal, -2, 2, -2, 2, OP_CONSTANT | OP_APART, SG_ALL, x >= y)

#define UNARY_FUNCTIONS(f, low, high, flags, types, formula)                                       \
    BUILD(build_##f, sg_##f(x[0]))                                                                 \
    static double f##_of(double x)                                                                 \
    {                                                                                              \
        return formula;                                                                            \
    }                                                                                              \
    REFERENCE(f##_reference, f##_of(EACH(0)))
#define BINARY_FUNCTIONS(f, low, high, low2, high2, flags, types, formula)                         \
    BUILD(build_##f, sg_##f(x[0], x[1]))                                                           \
    static double f##_of(double x, double y)                                                       \
    {                                                                                              \
        return formula;                                                                            \
    }                                                                                              \
    REFERENCE(f##_reference, f##_of(EACH(0), EACH(1)))

UNARY(UNARY_FUNCTIONS)
SUB(BINARY_FUNCTIONS)
MUL(BINARY_FUNCTIONS)
BINARY(BINARY_FUNCTIONS)

static sg_dtype other(sg_tensor *x)
{
    return sg_type(x) == SG_F32 ? SG_F64 : SG_F32;
}

static sg_tensor *positive(sg_tensor *x)
{
    return sg_greater(x, sg_like(x, 0));
}

BUILD(build_where, sg_where(x[0], x[1], x[2]))
REFERENCE(where_reference, EACH(0) != 0 ? EACH(1) : EACH(2))

/* what is not selected is NaN */
BUILD(where_holes, sg_where(x[0], sg_where(x[0], x[1], OP_NAN(x[1])), x[2]))

BUILD(where_products, sg_where(x[0], sg_square(x[1]), sg_mul(x[1], x[2])))
REFERENCE(where_products_reference, EACH(1) * (EACH(0) != 0 ? EACH(1) : EACH(2)))

BUILD(build_cast, sg_cast(x[0], other(x[0])))
REFERENCE(cast_reference, EACH(0))
BUILD(cast_there_and_back, sg_square(sg_cast(sg_square(sg_cast(x[0], other(x[0]))), sg_type(x[0]))))
REFERENCE(cast_there_and_back_reference, pow(EACH(0), 4))
BUILD(cast_i32, sg_cast(x[0], SG_I32))
REFERENCE(cast_i32_reference, trunc(EACH(0)))
BUILD(cast_u8, sg_cast(x[0], SG_U8))
REFERENCE(cast_u8_reference, fmod(trunc(EACH(0)), 256))

BUILD(build_and, sg_logical_and(positive(x[0]), positive(x[1])))
REFERENCE(and_reference, EACH(0) > 0 && EACH(1) > 0)
BUILD(build_or, sg_logical_or(positive(x[0]), positive(x[1])))
REFERENCE(or_reference, EACH(0) > 0 || EACH(1) > 0)
BUILD(build_not, sg_logical_not(positive(x[0])))
REFERENCE(not_reference, !(EACH(0) > 0))

/* one tensor as both operands */
BUILD(mul_same, sg_mul(x[0], x[0]))
REFERENCE(mul_same_reference, EACH(0) * EACH(0))
BUILD(sub_twice,
      sg_sub(sg_mul(x[0], x[1]), sg_div(x[1], sg_add(sg_square(x[0]), sg_like(x[0], 1)))))
REFERENCE(sub_twice_reference, EACH(0) * EACH(1) - EACH(1) / (EACH(0) * EACH(0) + 1))

/* shapes of most rows: 21 elements are a vector and a rest in each instruction set */
#define EMPTY                                                                                      \
    {                                                                                              \
        {3, S(0, 7)},                                                                              \
        {                                                                                          \
            7, S(3, 0)                                                                             \
        }                                                                                          \
    }
#define ROW(name, form_, build_, reference_, flags_, types_, ...)                                  \
    {                                                                                              \
        .op = name, .form = form_, .build = build_, .reference = reference_,                       \
        .flags = OP_BY_ELEMENT | (flags_), .result = S(3, 7), .in = {__VA_ARGS__}, .empty = EMPTY, \
        .types = types_,                                                                           \
    }
#define X37(...)                                                                                   \
    {                                                                                              \
        S(3, 7), __VA_ARGS__                                                                       \
    }
#define X7(...)                                                                                    \
    {                                                                                              \
        S(7), __VA_ARGS__                                                                          \
    }
#define UNARY_ROW(f, low, high, flags, types, formula)                                             \
    ROW(#f, NULL, build_##f, f##_reference, flags, types, X37(low, high)),
#define BINARY_ROW(f, low, high, low2, high2, flags, types, formula)                               \
    ROW(#f, NULL, build_##f, f##_reference, flags, types, X37(low, high), X7(low2, high2)),

/* clang-format off */
static const op_row rows[] = {
    UNARY(UNARY_ROW)
    SUB(BINARY_ROW)
    ROW("sub", "of products", sub_twice, sub_twice_reference, 0, 0, X37(), X7()),
    MUL(BINARY_ROW)
    ROW("mul", "same operand", mul_same, mul_same_reference, 0, NUMBERS, X37()),
    BINARY(BINARY_ROW)
    ROW("where", NULL, build_where, where_reference, OP_LINEAR, SG_ALL,
        X37(0, 2, OP_MASK), X37(), X7()),
    ROW("where", "products", where_products, where_products_reference, 0, NUMBERS,
        X37(0, 2, OP_MASK), X37(), X7()),
    ROW("where", "holes", where_holes, where_reference, OP_LINEAR | OP_HOLES, 0,
        X37(0, 2, OP_MASK), X7(), X7()),
    ROW("cast", NULL, build_cast, cast_reference, OP_LINEAR, SG_ALL, X37()),
    ROW("cast", "there and back", cast_there_and_back, cast_there_and_back_reference, OP_NARROW,
        NUMBERS,
        X37()),
    ROW("cast", "to i32", cast_i32, cast_i32_reference, OP_CONSTANT | OP_APART, SG_ALL,
        X37(-9, 9)),
    ROW("cast", "to u8", cast_u8, cast_u8_reference, OP_CONSTANT | OP_APART, SG_ALL,
        X37(0, 600)),
    ROW("logical_and", NULL, build_and, and_reference, OP_CONSTANT | OP_APART, SG_ALL,
        X37(), X7()),
    ROW("logical_or", NULL, build_or, or_reference, OP_CONSTANT | OP_APART, SG_ALL, X37(), X7()),
    ROW("logical_not", NULL, build_not, not_reference, OP_CONSTANT | OP_APART, SG_ALL, X37()),
};
/* clang-format on */

const op_rows op_map_rows = OP_ROWS(rows);
