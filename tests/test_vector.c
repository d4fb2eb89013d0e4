/*
 * The kernels of elementwise ops, each in every instruction set of this CPU: what all owe their
 * callers (an element's bits depend neither on where it stands nor on alignment, single values or
 * aliasing, and nothing outside is read or written), and the functions' values against libm. What
 * is exact stands in test_elementwise.c.
 */
#include "tests/ulp.h"

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

static const uint64_t stride = 3001; /* of the f32 that are tried; tests/ulp.c tries all */

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
