/*
 * Arithmetic, comparisons, selection and conversion, in every instruction set of this CPU: values
 * against plain C. Then the derivatives of elementwise ops where a formula meets a kink or a pole,
 * and their errors.
 */
#include "tests/ulp.h"

#include "ops/ops.h"

#include <criterion/criterion.h>

SG_KERNELS(neg, NUMBERS);
SG_KERNELS(abs, NUMBERS);
SG_KERNELS(sign, NUMBERS);
SG_KERNELS(sqrt, FLOATS);
SG_KERNELS(rsqrt, FLOATS);
SG_KERNELS(relu, FLOATS);
SG_KERNELS(add, NUMBERS);
SG_KERNELS(sub, NUMBERS);
SG_KERNELS(mul, NUMBERS);
SG_KERNELS(div, FLOATS);
SG_KERNELS(maximum, NUMBERS);
SG_KERNELS(minimum, NUMBERS);
SG_KERNELS(equal, ANY);
SG_KERNELS(not_equal, ANY);
SG_KERNELS(less, ANY);
SG_KERNELS(less_equal, ANY);
SG_KERNELS(greater, ANY);
SG_KERNELS(greater_equal, ANY);
SG_KERNELS(logical_and, U8);
SG_KERNELS(logical_or, U8);
SG_KERNELS(logical_not, U8);
SG_KERNELS(where, ANY);
SG_KERNELS(to_f32, ANY);
SG_KERNELS(to_f64, ANY);
SG_KERNELS(to_i32, ANY);
SG_KERNELS(to_u8, ANY);

static const size_t width[SG_DTYPES] = {4, 8, 4, 1};

/* ---- values of arithmetic ----------------------------------------------------------------- */

#define PLAIN(f, formula)                                                                          \
    static double plain_##f(double x, double y)                                                    \
    {                                                                                              \
        (void)y;                                                                                   \
        return formula;                                                                            \
    }
PLAIN(neg, -x)
PLAIN(abs, fabs(x))
PLAIN(sign, x > 0 ? 1 : x < 0 ? -1 : x)
PLAIN(sqrt, sqrt(x))
PLAIN(relu, x < 0 ? 0 : x)
PLAIN(add, x + y)
PLAIN(sub, x - y)
PLAIN(mul, (x * y))
PLAIN(div, x / y)
PLAIN(maximum, isnan(x) || isnan(y) ? NAN : x > y ? x : y)
PLAIN(minimum, isnan(x) || isnan(y) ? NAN : x < y ? x : y)
PLAIN(equal, x == y)
PLAIN(not_equal, x != y)
PLAIN(less, x < y)
PLAIN(less_equal, x <= y)
PLAIN(greater, x > y)
PLAIN(greater_equal, x >= y)
PLAIN(logical_and, x != 0 && y != 0)
PLAIN(logical_or, x != 0 || y != 0)
PLAIN(logical_not, x == 0)

static const struct {
    const char *name;
    sg_map *const (*map)[SG_ISAS];
    double (*plain)(double x, double y);
    bool truth; /* gives u8 */
} arithmetic[] = {
    {"neg", neg_map, plain_neg, false},
    {"abs", abs_map, plain_abs, false},
    {"sign", sign_map, plain_sign, false},
    {"sqrt", sqrt_map, plain_sqrt, false},
    {"relu", relu_map, plain_relu, false},
    {"add", add_map, plain_add, false},
    {"sub", sub_map, plain_sub, false},
    {"mul", mul_map, plain_mul, false},
    {"div", div_map, plain_div, false},
    {"maximum", maximum_map, plain_maximum, false},
    {"minimum", minimum_map, plain_minimum, false},
    {"equal", equal_map, plain_equal, true},
    {"not_equal", not_equal_map, plain_not_equal, true},
    {"less", less_map, plain_less, true},
    {"less_equal", less_equal_map, plain_less_equal, true},
    {"greater", greater_map, plain_greater, true},
    {"greater_equal", greater_equal_map, plain_greater_equal, true},
    {"logical_and", logical_and_map, plain_logical_and, true},
    {"logical_or", logical_or_map, plain_logical_or, true},
    {"logical_not", logical_not_map, plain_logical_not, true},
};

enum { VALUES = 16, PAIRS = VALUES * VALUES };

static const double values[SG_DTYPES][VALUES] = {
    [SG_F32] = {0, -0.0, 1, -1, 0.5, 3, -7.25, 1e-3f, INFINITY, -INFINITY, NAN, 0x1p-149, 1e30f,
                -1e30f, FLT_MAX, 1e-30f},
    [SG_F64] = {0, -0.0, 1, -1, 0.5, 3, -7.25, 1e-3, INFINITY, -INFINITY, NAN, 0x1p-1074, 1e300,
                -1e300, DBL_MAX, 1e-300},
    [SG_I32] = {0, 1, -1, 2, -3, 7, 100, -100, 46341, -46341, 65536, INT32_MAX, INT32_MIN,
                INT32_MAX - 1, INT32_MIN + 1, 123456789},
    [SG_U8] = {0, 1, 2, 3, 4, 5, 7, 64, 100, 127, 128, 129, 200, 253, 254, 255},
};

static void store(void *p, sg_dtype type, size_t i, double v)
{
    float f = (float)v;
    int32_t k = type == SG_I32 ? (int32_t)v : 0;
    uint8_t u = type == SG_U8 ? (uint8_t)v : 0;
    const void *from[SG_DTYPES] = {&f, &v, &k, &u};
    memcpy((char *)p + i * width[type], from[type], width[type]);
}

static double fetch(const void *p, sg_dtype type, size_t i)
{
    float f;
    double d;
    int32_t k;
    uint8_t u;
    void *to[SG_DTYPES] = {&f, &d, &k, &u};
    memcpy(to[type], (const char *)p + i * width[type], width[type]);
    return type == SG_F32 ? (double)f : type == SG_F64 ? d : type == SG_I32 ? k : u;
}

/* What the type makes of a result computed in f64: for f32 and the ops here that is right, though
 * rounded twice. Integers wrap around; their products are exact in 63 bits, not in f64. */
static double rounded(size_t op, sg_dtype type, double x, double y)
{
    double z = arithmetic[op].plain(x, y);
    if (arithmetic[op].truth || type == SG_F64)
        return z;
    if (type == SG_F32)
        return (double)(float)z;
    int64_t whole = arithmetic[op].plain == plain_mul ? (int64_t)x * (int64_t)y : (int64_t)z;
    return (int32_t)(uint32_t)(uint64_t)whole;
}

Test(vector, arithmetic_and_comparisons_agree_with_plain_c)
{
    static unsigned char x[PAIRS * 8], y[PAIRS * 8], z[PAIRS * 8];
    for (size_t op = 0; op < sizeof arithmetic / sizeof *arithmetic; op++)
        for (int type = 0; type < SG_DTYPES; type++)
            for (int set = 0; set < SG_ISAS; set++) {
                sg_map *map = arithmetic[op].map[type][set];
                if (!has_set(set) || !map)
                    continue;
                const double *v = values[type];
                for (size_t i = 0; i < PAIRS; i++) {
                    store(x, (sg_dtype)type, i, v[i % VALUES]);
                    store(y, (sg_dtype)type, i, v[i / VALUES]);
                }
                map(PAIRS, z, (const void *[]){x, y}, 0);
                for (size_t i = 0; i < PAIRS; i++) {
                    double a = v[i % VALUES], b = v[i / VALUES];
                    double got = fetch(z, arithmetic[op].truth ? SG_U8 : (sg_dtype)type, i);
                    cr_expect(same(got, rounded(op, (sg_dtype)type, a, b)),
                              "%s %s, %s: of %g and %g: %g", arithmetic[op].name,
                              sg_dtype_name((sg_dtype)type), set_names[set], a, b, got);
                }
            }
}

Test(vector, rsqrt_is_one_over_the_root)
{
    for (int set = 0; set < SG_ISAS; set++)
        for (size_t i = 0; has_set(set) && i < VALUES; i++) {
            float x = (float)values[SG_F32][i], y, one = 1;
            double d = values[SG_F64][i], e;
            rsqrt_map[SG_F32][set](1, &y, (const void *[]){&x}, 0);
            rsqrt_map[SG_F64][set](1, &e, (const void *[]){&d}, 0);
            cr_expect(same((double)y, (double)(one / sqrtf(x))) && same(e, 1 / sqrt(d)),
                      "%s: value %zu: %g %g", set_names[set], i, (double)y, e);
        }
}

Test(vector, where_selects_whatever_the_bits_are)
{
    static const uint8_t condition[4] = {0, 1, 2, 255};
    for (int type = 0; type < SG_DTYPES; type++)
        for (int set = 0; set < SG_ISAS; set++)
            for (size_t i = 0; has_set(set) && i < PAIRS; i++) {
                unsigned char x[8], y[8], z[8];
                memset(x, (int)(i * 7), sizeof x);
                memset(y, 255, sizeof y);
                where_map[type][set](1, z, (const void *[]){&condition[i % 4], x, y}, 0);
                cr_expect(memcmp(z, i % 4 ? x : y, width[type]) == 0, "%s, %s: %zu",
                          sg_dtype_name((sg_dtype)type), set_names[set], i);
            }
}

Test(vector, casts)
{
    static const struct {
        sg_dtype from, to;
        double x, y;
    } row[] = {
        {SG_F32, SG_I32, 2.9, 2},
        {SG_F32, SG_I32, -2.9, -2},
        {SG_F32, SG_I32, NAN, 0},
        {SG_F32, SG_I32, INFINITY, INT32_MAX},
        {SG_F32, SG_I32, -INFINITY, INT32_MIN},
        {SG_F32, SG_I32, 2147483648.0, INT32_MAX},
        {SG_F32, SG_I32, 2147483520.0, 2147483520.0},
        {SG_F32, SG_I32, -2147483648.0, INT32_MIN},
        {SG_F64, SG_I32, 2147483647.9, INT32_MAX},
        {SG_F64, SG_I32, -2147483648.9, INT32_MIN},
        {SG_F64, SG_I32, -2147483647.9, INT32_MIN + 1},
        {SG_F64, SG_I32, NAN, 0},
        {SG_F64, SG_I32, 1e300, INT32_MAX},
        {SG_F32, SG_U8, 258.7, 2},
        {SG_F32, SG_U8, -1.5, 255},
        {SG_F32, SG_U8, NAN, 0},
        {SG_F64, SG_U8, 1e300, 255},
        {SG_F64, SG_U8, 255.9, 255},
        {SG_I32, SG_U8, -1, 255},
        {SG_I32, SG_U8, 256, 0},
        {SG_I32, SG_F32, 16777217, 16777216},
        {SG_I32, SG_F64, INT32_MIN, INT32_MIN},
        {SG_U8, SG_I32, 255, 255},
        {SG_U8, SG_F32, 255, 255},
        {SG_U8, SG_F64, 200, 200},
        {SG_F64, SG_F32, 1e300, INFINITY},
        {SG_F64, SG_F32, 1 + 0x1p-30, 1},
        {SG_F64, SG_F32, NAN, NAN},
        {SG_F32, SG_F64, 0x1p-149, 0x1p-149},
        {SG_F32, SG_F32, -0.0, -0.0},
        {SG_F64, SG_F64, 1e300, 1e300},
        {SG_I32, SG_I32, -7, -7},
        {SG_U8, SG_U8, 200, 200},
    };
    static sg_map *const(*const maps[SG_DTYPES])[SG_ISAS] = {to_f32_map, to_f64_map, to_i32_map,
                                                             to_u8_map};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (int set = 0; set < SG_ISAS; set++) {
            unsigned char x[8], y[8];
            if (!has_set(set))
                continue;
            store(x, row[i].from, 0, row[i].x);
            maps[row[i].to][row[i].from][set](1, y, (const void *[]){x}, 0);
            cr_expect(same(fetch(y, row[i].to, 0), row[i].y), "row %zu, %s: %g", i, set_names[set],
                      fetch(y, row[i].to, 0));
        }
}

/* ---- derivatives where a formula meets a kink or a pole ------------------------------------- */

/* Element i of the derivative of the sum of y by x, and of its derivative. */
static void derivatives(sg_tensor *y, sg_tensor *x, double *first, double *second, int64_t n)
{
    sg_tensor *d, *dd, *sum = sg_sum(y, SG_ALL_AXES, false);
    sg_grad(sum, 1, &x, &d);
    sg_grad(sg_sum(d, SG_ALL_AXES, false), 1, &x, &dd);
    cr_assert(sg_eval(d, dd) == SG_OK, "%s", sg_errmsg(sg_context_of(x)));
    const float *p = sg_data(d), *q = sg_data(dd);
    for (int64_t i = 0; i < n; i++) {
        first[i] = (double)p[i];
        second[i] = (double)q[i];
    }
}

Test(vector, derivatives_at_special_points)
{
    static const struct {
        sg_tensor *(*op)(sg_tensor *x);
        float x;
        double first, second;
    } row[] = {
        {sg_softplus, 0, 0.5, 0.25},
        {sg_softplus, -200, 0, 0},
        {sg_softplus, 200, 1, 0},
        {sg_relu, 0, 0, 0},
        {sg_abs, 0, 0, 0},
        {sg_abs, -2, -1, 0},
        {sg_sign, 3, 0, 0},
        {sg_sigmoid, 0, 0.25, 0},
        {sg_sigmoid, -200, 0, 0},
        {sg_tanh, 0, 1, 0},
        {sg_tanh, 200, 0, 0},
        {sg_erf, 100, 0, 0},
        {sg_expm1, -20, 2.0611536e-9, 2.0611536e-9},
        {sg_gelu, 0, 0.5, 0.7978846},
        {sg_silu, 0, 0.5, 0.5},
        {sg_square, 0, 0, 2},
        {sg_log1p, 0, 1, -1},
    };
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double first, second;
        sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(1), &row[i].x);
        derivatives(row[i].op(x), x, &first, &second, 1);
        cr_expect(fabs(first - row[i].first) <= 1e-6 * fabs(row[i].first) &&
                      fabs(second - row[i].second) <= 1e-6 * fabs(row[i].second),
                  "row %zu: %.9g %.9g", i, first, second);
    }
    sg_close(g);
}

Test(vector, derivatives_of_pow_at_and_below_0)
{
    /* of x^y by x twice, and by y where x <= 0: 0 */
    static const struct {
        float x, y;
        double first, second;
    } row[] = {
        {0, 0, 0, 0}, {0, 1, 1, 0}, {0, 2, 0, 2},     {0, 3, 0, 0},
        {2, 0, 0, 0}, {2, 1, 1, 0}, {-2, 3, 12, -12}, {-2, 0, 0, 0},
    };
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double first, second;
        sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(1), &row[i].x), *d;
        sg_tensor *y = sg_input(g, SG_F32, SG_SHAPE(1), &row[i].y), *z = sg_pow(x, y);
        derivatives(z, x, &first, &second, 1);
        cr_expect(first == row[i].first && second == row[i].second, "row %zu: %g %g", i, first,
                  second);
        if (row[i].x > 0)
            continue;
        derivatives(z, y, &first, &second, 1);
        cr_expect(first == 0 && second == 0, "row %zu, by y: %g %g", i, first, second);
        sg_grad(sg_sum(z, SG_ALL_AXES, false), 1, &y, &d);
        sg_grad(sg_sum(d, SG_ALL_AXES, false), 1, &x, &d);
        cr_expect(sg_item(d) == 0, "row %zu, by y and x: %g", i, sg_item(d));
    }
    sg_close(g);
}

Test(vector, ties_go_to_the_first_operand)
{
    static const float a[3] = {1, 2, 3}, b[3] = {2, 2, 2};
    sg_tensor *(*const op[2])(sg_tensor *, sg_tensor *) = {sg_maximum, sg_minimum};
    static const float want[2][2][3] = {{{0, 1, 1}, {1, 0, 0}}, {{1, 1, 0}, {0, 0, 1}}};
    sg_context *g = sg_open();
    for (int k = 0; k < 2; k++) {
        sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(3), a),
                  *y = sg_input(g, SG_F32, SG_SHAPE(3), b);
        sg_tensor *d[2];
        sg_grad(sg_sum(op[k](x, y), SG_ALL_AXES, false), 2, (sg_tensor *[]){x, y}, d);
        cr_assert(sg_eval_(2, d) == SG_OK, "%s", sg_errmsg(g));
        for (int j = 0; j < 2; j++)
            cr_expect(memcmp(sg_data(d[j]), want[k][j], sizeof want[k][j]) == 0, "op %d by %d", k,
                      j);
    }
    sg_close(g);
}

Test(vector, what_where_does_not_select_does_no_harm)
{
    static const float a[3] = {-1, 0, 2};
    static const double want[2][3] = {{1, 1, 0.5}, {0, 0, -0.25}};
    double first[3], second[3];
    sg_context *g = sg_open();
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(3), a), *positive = sg_greater(x, sg_like(x, 0));
    sg_tensor *safe = sg_where(positive, x, sg_like(x, 1));
    derivatives(sg_where(positive, sg_log(safe), x), x, first, second, 3);
    for (int i = 0; i < 3; i++)
        cr_expect(first[i] == want[0][i] && second[i] == want[1][i], "%d: %g %g", i, first[i],
                  second[i]);
    sg_close(g);
}

Test(vector, gradients_pass_casts_between_floats_only)
{
    static const float a[2] = {1.5f, -2};
    double first[2], second[2];
    sg_context *g = sg_open();
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(2), a);
    sg_tensor *wide = sg_square(sg_cast(x, SG_F64)), *whole = sg_cast(x, SG_I32);
    cr_expect(sg_type(wide) == SG_F64 && sg_type(whole) == SG_I32);
    cr_expect(sg_cast(x, SG_F32) == x, "nothing to do");
    sg_tensor *y = sg_add(sg_cast(wide, SG_F32), sg_cast(whole, SG_F32));
    derivatives(y, x, first, second, 2);
    cr_expect(first[0] == 3 && first[1] == -4 && second[0] == 2 && second[1] == 2);
    cr_expect(sg_item(sg_sum(y, SG_ALL_AXES, false)) == 6.25 + 1 - 2);
    sg_close(g);
}

static sg_tensor *wrong_call(sg_context *g, int call)
{
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(2, 3), NULL);
    sg_tensor *wide = sg_input(g, SG_F64, SG_SHAPE(3), NULL);
    sg_tensor *mask = sg_input(g, SG_U8, SG_SHAPE(3), NULL);
    sg_tensor *four = sg_input(g, SG_F32, SG_SHAPE(4), NULL);
    switch (call) {
    case 0:
        return sg_where(x, x, x);
    case 1:
        return sg_where(mask, x, wide);
    case 2:
        return sg_where(mask, x, four);
    case 3:
        return sg_add(x, wide);
    case 4:
        return sg_exp(mask);
    case 5:
        return sg_logical_not(x);
    case 6:
        return sg_cast(x, SG_DTYPES);
    default:
        return sg_less(x, four);
    }
}

Test(vector, errors)
{
    static const struct {
        sg_status status;
        const char *message;
    } want[] = {
        {SG_BAD_DTYPE, "where: the condition is not u8: condition[2,3], x[2,3], y[2,3]"},
        {SG_BAD_DTYPE, "where: x and y are of different types: condition[3] u8, x[2,3], y[3] f64"},
        {SG_BAD_SHAPE, "where: shapes do not broadcast: condition[3] u8, x[2,3], y[4]"},
        {SG_BAD_DTYPE, "add: operands of different types: x[2,3], y[3] f64"},
        {SG_BAD_DTYPE, "exp: not defined for u8: x[3] u8"},
        {SG_BAD_DTYPE, "logical_not: not defined for f32: x[2,3]"},
        {SG_BAD_DTYPE, "cast: no such type (4)"},
        {SG_BAD_SHAPE, "less: shapes do not broadcast: x[2,3], y[4]"},
    };
    sg_context *g = sg_open();
    for (int k = 0; k < (int)(sizeof want / sizeof *want); k++) {
        cr_expect(sg_is_nil(wrong_call(g, k)) && sg_error(g) == want[k].status, "call %d", k);
        cr_expect_str_eq(sg_errmsg(g), want[k].message);
        sg_clear(g);
    }
    sg_close(g);
}
