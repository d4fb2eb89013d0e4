/*
 * The kernels of elementwise ops, each in every instruction set of this CPU: values against libm
 * and plain C, and what all owe their callers: an element's bits depend neither on where it stands
 * nor on alignment, single values or aliasing, and nothing outside is read or written. At the end
 * the ops' derivatives where rules of formulas are not enough.
 */
#include "tests/ulp.h"

#include "ops/ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>

SG_KERNELS(neg, NUMBERS);
SG_KERNELS(abs, NUMBERS);
SG_KERNELS(sign, NUMBERS);
SG_KERNELS(sqrt, FLOATS);
SG_KERNELS(rsqrt, FLOATS);
SG_KERNELS(relu, FLOATS);
SG_KERNELS(sin, FLOATS);
SG_KERNELS(cos, FLOATS);
SG_KERNELS(add, NUMBERS);
SG_KERNELS(sub, NUMBERS);
SG_KERNELS(mul, NUMBERS);
SG_KERNELS(div, FLOATS);
SG_KERNELS(pow, FLOATS);
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

enum { SAME = -1 }; /* the result's type is the operands' */

static const struct {
    const char *name;
    sg_map *const (*map)[SG_ISAS];
    int operands, result;
} kernels[] = {
    {"neg", neg_map, 1, SAME},
    {"abs", abs_map, 1, SAME},
    {"sign", sign_map, 1, SAME},
    {"exp", exp_map, 1, SAME},
    {"expm1", expm1_map, 1, SAME},
    {"log", log_map, 1, SAME},
    {"log1p", log1p_map, 1, SAME},
    {"sqrt", sqrt_map, 1, SAME},
    {"rsqrt", rsqrt_map, 1, SAME},
    {"tanh", tanh_map, 1, SAME},
    {"sigmoid", sigmoid_map, 1, SAME},
    {"softplus", softplus_map, 1, SAME},
    {"relu", relu_map, 1, SAME},
    {"erf", erf_map, 1, SAME},
    {"sin", sin_map, 1, SAME},
    {"cos", cos_map, 1, SAME},
    {"add", add_map, 2, SAME},
    {"sub", sub_map, 2, SAME},
    {"mul", mul_map, 2, SAME},
    {"div", div_map, 2, SAME},
    {"pow", pow_map, 2, SAME},
    {"maximum", maximum_map, 2, SAME},
    {"minimum", minimum_map, 2, SAME},
    {"equal", equal_map, 2, SG_U8},
    {"not_equal", not_equal_map, 2, SG_U8},
    {"less", less_map, 2, SG_U8},
    {"less_equal", less_equal_map, 2, SG_U8},
    {"greater", greater_map, 2, SG_U8},
    {"greater_equal", greater_equal_map, 2, SG_U8},
    {"logical_and", logical_and_map, 2, SG_U8},
    {"logical_or", logical_or_map, 2, SG_U8},
    {"logical_not", logical_not_map, 1, SG_U8},
    {"where", where_map, 3, SAME},
    {"to_f32", to_f32_map, 1, SG_F32},
    {"to_f64", to_f64_map, 1, SG_F64},
    {"to_i32", to_i32_map, 1, SG_I32},
    {"to_u8", to_u8_map, 1, SG_U8},
};

static const size_t width[SG_DTYPES] = {4, 8, 4, 1};

/* ---- any kernel: an element's bits -------------------------------------------------------- */

enum { MOST = 70, POOL = 12 };

/* An element of some type: ordinary numbers and special ones, in an order without a period. */
static void draw(sg_dtype type, uint32_t i, void *to)
{
    static const double special[POOL] = {0,   -0.0,     1,    -1,    INFINITY, -INFINITY,
                                         NAN, 0x1p-149, 1e30, -1e30, 88.5,     -103.5};
    uint32_t h = (i + 1) * 2654435761u;
    h ^= h >> 15;
    double x = h % 3 ? (double)(h >> 8) * 0x1p-24 * 12 - 6 : special[h / 3 % POOL];
    float f = (float)x;
    int32_t k = h % 5 ? (int32_t)(h >> 20) - 2048 : h % 2 ? INT32_MIN : INT32_MAX;
    uint8_t u = (uint8_t)(h >> 24 & (h & 1 ? 255 : 1));
    const void *from[SG_DTYPES] = {&f, &x, &k, &u};
    memcpy(to, from[type], width[type]);
}

typedef struct {
    const char *name;
    sg_map *map;
    int operands;
    sg_dtype in[3], out;
    unsigned char x[3][MOST * 8]; /* operands */
    unsigned char y[8][MOST * 8]; /* results, computed one by one, by single flags */
} subject;

static void prepare(subject *s, size_t k, int type, int set)
{
    s->name = kernels[k].name;
    s->map = kernels[k].map[type][set];
    s->operands = kernels[k].operands;
    s->out = kernels[k].result == SAME ? (sg_dtype)type : (sg_dtype)kernels[k].result;
    for (int j = 0; j < s->operands; j++) {
        s->in[j] = s->operands == 3 && j == 0 ? SG_U8 : (sg_dtype)type;
        for (uint32_t i = 0; i < MOST; i++)
            draw(s->in[j], i * 3 + (uint32_t)j * 1000, s->x[j] + i * width[s->in[j]]);
    }
    for (unsigned single = 0; single < 1u << s->operands; single++)
        for (size_t i = 0; i < MOST; i++) {
            const void *in[3];
            for (int j = 0; j < s->operands; j++)
                in[j] = s->x[j] + (single >> j & 1 ? 0 : i * width[s->in[j]]);
            s->map(1, s->y[single] + i * width[s->out], in, 0);
        }
}

enum { GUARD = 64, FREE = 0xa5 };

/* Runs over n elements in operands of their exact size, `shift` bytes off any alignment, and into
 * an array of its own or in place of operand `over`. The results must be those computed one by one,
 * and nothing else may change. */
static void run(const subject *s, size_t n, unsigned single, int over, size_t shift,
                const char *set)
{
    unsigned char *in[3] = {0}, *own = malloc(n * 8 + shift + GUARD), *out = own + shift;
    const void *at[3] = {0};
    size_t bytes = n * width[s->out];
    memset(own, FREE, n * 8 + shift + GUARD);
    for (int j = 0; j < s->operands; j++) {
        size_t size = (single >> j & 1 ? 1 : n) * width[s->in[j]];
        in[j] = malloc(size + shift);
        at[j] = memcpy(in[j] + shift, s->x[j], size);
    }
    if (over >= 0)
        out = in[over] + shift;
    s->map(n, out, at, single);
    bool clean = memcmp(out, s->y[single], bytes) == 0;
    for (size_t i = over < 0 ? bytes : 0; i < bytes + GUARD; i++)
        clean = clean && own[shift + i] == FREE;
    for (int j = 0; j < s->operands; j++)
        if (j != over)
            clean =
                clean && memcmp(at[j], s->x[j], (single >> j & 1 ? 1 : n) * width[s->in[j]]) == 0;
    cr_expect(clean, "%s %s, %s: n %zu, single %u, over operand %d, shift %zu", s->name,
              sg_dtype_name(s->in[s->operands - 1]), set, n, single, over, shift);
    for (int j = 0; j < s->operands; j++)
        free(in[j]);
    free(own);
}

Test(vector, bits_of_an_element_depend_on_nothing_else)
{
    static subject s;
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (int type = 0; type < SG_DTYPES; type++)
            for (int set = 0; set < SG_ISAS; set++) {
                if (!has_set(set) || !kernels[k].map[type][SG_GENERIC])
                    continue;
                cr_assert(kernels[k].map[type][set], "%s has no kernel", kernels[k].name);
                prepare(&s, k, type, set);
                for (size_t n = 1; n <= MOST; n++)
                    for (unsigned single = 0; single < 1u << s.operands; single++) {
                        run(&s, n, single, -1, n % 5, set_names[set]);
                        for (int j = 0; j < s.operands; j++)
                            if (s.in[j] == s.out && !(single >> j & 1))
                                run(&s, n, single, j, n % 3, set_names[set]);
                    }
            }
}

/* ---- values of functions ------------------------------------------------------------------ */

static const uint64_t stride = 50021; /* of the f32 that are tried; tests/ulp.c tries all */

Test(vector, f32_functions_are_within_2_units_of_the_last_place)
{
    for (size_t f = 0; f < FUNCTIONS; f++) {
        worst_case worst[SG_ISAS];
        scan(f, stride, worst);
        for (int set = 0; set < SG_ISAS; set++)
            cr_expect(worst[set].distance <= 2, "%s, %s: %.3f at %a", functions[f].name,
                      set_names[set], worst[set].distance, (double)worst[set].x);
    }
}

Test(vector, f64_functions_are_those_of_libm)
{
    for (size_t f = 0; f < FUNCTIONS; f++)
        for (int set = 0; set < SG_ISAS; set++)
            for (double x = -40; has_set(set) && x < 40; x += 0.37) {
                double y, z = functions[f].exact(x);
                functions[f].map[SG_F64][set](1, &y, (const void *[]){&x}, 0);
                cr_expect((isnan(y) && isnan(z)) || fabs(y - z) <= 4e-16 * fabs(z),
                          "%s(%g), %s: %.17g, not %.17g", functions[f].name, x, set_names[set], y,
                          z);
            }
}

Test(vector, sin_cos_and_pow_are_those_of_libm)
{
    for (int set = 0; set < SG_ISAS; set++)
        for (float x = -20; has_set(set) && x < 20; x += 0.173f) {
            float y[3], two = 2.5f;
            double z[3] = {sin((double)x), cos((double)x), pow((double)x, 2.5)};
            sin_map[SG_F32][set](1, &y[0], (const void *[]){&x}, 0);
            cos_map[SG_F32][set](1, &y[1], (const void *[]){&x}, 0);
            pow_map[SG_F32][set](1, &y[2], (const void *[]){&x, &two}, 0);
            for (int k = 0; k < 3; k++)
                cr_expect(distance(y[k], z[k]) <= 1, "function %d of %g, %s: %g, not %g", k,
                          (double)x, set_names[set], (double)y[k], z[k]);
        }
}

/* NaN, or equal down to the sign of zero. */
static bool same(double x, double y)
{
    return isnan(x) ? isnan(y) != 0 : x == y && signbit(x) == signbit(y);
}

Test(vector, f32_functions_at_special_values)
{
    static const struct {
        sg_map *const (*map)[SG_ISAS];
        float x, y;
    } row[] = {
        {exp_map, -1e30f, 0},
        {exp_map, 1e30f, INFINITY},
        {exp_map, -INFINITY, 0},
        {exp_map, INFINITY, INFINITY},
        {exp_map, NAN, NAN},
        {exp_map, 0, 1},
        {exp_map, -0.0f, 1},
        {exp_map, -103.0f, 0x1p-149f},
        {exp_map, 0x1p-149f, 1},
        {expm1_map, -1e30f, -1},
        {expm1_map, 1e30f, INFINITY},
        {expm1_map, -INFINITY, -1},
        {expm1_map, NAN, NAN},
        {expm1_map, 0, 0},
        {expm1_map, -0.0f, -0.0f},
        {expm1_map, 0x1p-149f, 0x1p-149f},
        {expm1_map, -0x1.8p-140f, -0x1.8p-140f},
        {log_map, 0, -INFINITY},
        {log_map, -0.0f, -INFINITY},
        {log_map, -1, NAN},
        {log_map, -0x1p-149f, NAN},
        {log_map, -INFINITY, NAN},
        {log_map, INFINITY, INFINITY},
        {log_map, NAN, NAN},
        {log_map, 1, 0},
        {log_map, 0x1p-149f, -103.278931f},
        {log1p_map, -1, -INFINITY},
        {log1p_map, -2, NAN},
        {log1p_map, -INFINITY, NAN},
        {log1p_map, INFINITY, INFINITY},
        {log1p_map, NAN, NAN},
        {log1p_map, 0, 0},
        {log1p_map, -0.0f, -0.0f},
        {log1p_map, -0x1p-149f, -0x1p-149f},
        {log1p_map, FLT_MAX, 88.722839f},
        {tanh_map, -1e30f, -1},
        {tanh_map, INFINITY, 1},
        {tanh_map, NAN, NAN},
        {tanh_map, -0.0f, -0.0f},
        {tanh_map, 0x1p-149f, 0x1p-149f},
        {sigmoid_map, -1e30f, 0},
        {sigmoid_map, -INFINITY, 0},
        {sigmoid_map, INFINITY, 1},
        {sigmoid_map, 1e30f, 1},
        {sigmoid_map, NAN, NAN},
        {sigmoid_map, 0, 0.5f},
        {sigmoid_map, -103.0f, 0x1p-149f},
        {softplus_map, -1e30f, 0},
        {softplus_map, -INFINITY, 0},
        {softplus_map, INFINITY, INFINITY},
        {softplus_map, FLT_MAX, FLT_MAX},
        {softplus_map, NAN, NAN},
        {softplus_map, -103.0f, 0x1p-149f},
        {erf_map, -1e30f, -1},
        {erf_map, INFINITY, 1},
        {erf_map, NAN, NAN},
        {erf_map, -0.0f, -0.0f},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (int set = 0; set < SG_ISAS; set++) {
            float y;
            if (!has_set(set))
                continue;
            row[i].map[SG_F32][set](1, &y, (const void *[]){&row[i].x}, 0);
            cr_expect(same((double)y, (double)row[i].y), "row %zu, %s: f(%g) is %.9g, not %.9g", i,
                      set_names[set], (double)row[i].x, (double)y, (double)row[i].y);
        }
}

/* ---- values of arithmetic ----------------------------------------------------------------- */

static double plain_neg(double x, double y)
{
    (void)y;
    return -x;
}
static double plain_abs(double x, double y)
{
    (void)y;
    return fabs(x);
}
static double plain_sign(double x, double y)
{
    (void)y;
    return x > 0 ? 1 : x < 0 ? -1 : x;
}
static double plain_sqrt(double x, double y)
{
    (void)y;
    return sqrt(x);
}
static double plain_relu(double x, double y)
{
    (void)y;
    return x < 0 ? 0 : x;
}
static double plain_add(double x, double y)
{
    return x + y;
}
static double plain_sub(double x, double y)
{
    return x - y;
}
static double plain_mul(double x, double y)
{
    return x * y;
}
static double plain_div(double x, double y)
{
    return x / y;
}
static double plain_maximum(double x, double y)
{
    return isnan(x) || isnan(y) ? NAN : x > y ? x : y;
}
static double plain_minimum(double x, double y)
{
    return isnan(x) || isnan(y) ? NAN : x < y ? x : y;
}
static double plain_equal(double x, double y)
{
    return x == y;
}
static double plain_not_equal(double x, double y)
{
    return x != y;
}
static double plain_less(double x, double y)
{
    return x < y;
}
static double plain_less_equal(double x, double y)
{
    return x <= y;
}
static double plain_greater(double x, double y)
{
    return x > y;
}
static double plain_greater_equal(double x, double y)
{
    return x >= y;
}
static double plain_and(double x, double y)
{
    return x != 0 && y != 0;
}
static double plain_or(double x, double y)
{
    return x != 0 || y != 0;
}
static double plain_not(double x, double y)
{
    (void)y;
    return x == 0;
}

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
    {"logical_and", logical_and_map, plain_and, true},
    {"logical_or", logical_or_map, plain_or, true},
    {"logical_not", logical_not_map, plain_not, true},
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

Test(vector, errors)
{
    sg_context *g = sg_open();
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(2, 3), NULL);
    sg_tensor *i = sg_input(g, SG_I32, SG_SHAPE(3), NULL);
    sg_tensor *u = sg_input(g, SG_U8, SG_SHAPE(3), NULL);
    sg_tensor *d = sg_input(g, SG_F64, SG_SHAPE(3), NULL);
    sg_tensor *far = sg_input(g, SG_F32, SG_SHAPE(4), NULL);
    const struct {
        int call;
        sg_status status;
        const char *message;
    } row[] = {
        {0, SG_BAD_DTYPE, ""}, {1, SG_BAD_DTYPE, ""}, {2, SG_BAD_SHAPE, ""}, {3, SG_BAD_DTYPE, ""},
        {4, SG_BAD_DTYPE, ""}, {5, SG_BAD_DTYPE, ""}, {6, SG_BAD_DTYPE, ""}, {7, SG_BAD_SHAPE, ""},
    };
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        sg_tensor *y = k == 0   ? sg_where(x, x, x)
                       : k == 1 ? sg_where(u, x, d)
                       : k == 2 ? sg_where(u, x, far)
                       : k == 3 ? sg_add(x, d)
                       : k == 4 ? sg_exp(i)
                       : k == 5 ? sg_logical_not(x)
                       : k == 6 ? sg_cast(x, SG_DTYPES)
                                : sg_less(x, far);
        cr_expect(sg_is_nil(y) && sg_error(g) == row[k].status, "row %zu", k);
        printf("%s\n", sg_errmsg(g));
        sg_clear(g);
        break;
    }
    sg_close(g);
}
