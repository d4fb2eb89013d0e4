/* What tests of ops share: sample tensors, reading any type as double, comparing with a reference.
 */
#ifndef OPS_TEST_H
#define OPS_TEST_H

#include "ops/ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const all_sets[] = {"generic", "avx2", "avx512"};

/* Element i of a tensor of any type. */
static inline double element(sg_tensor *x, int64_t i)
{
    const void *p = sg_data(x);
    cr_assert(p, "%s", sg_errmsg(sg_context_of(x)));
    switch (sg_type(x)) {
    case SG_F32:
        return (double)((const float *)p)[i];
    case SG_F64:
        return ((const double *)p)[i];
    case SG_I32:
        return ((const int32_t *)p)[i];
    default:
        return ((const uint8_t *)p)[i];
    }
}

/* A tensor of a type from doubles. */
static inline sg_tensor *tensor(sg_context *g, sg_dtype dtype, sg_shape shape, const double *values)
{
    static const size_t width[SG_DTYPES] = {4, 8, 4, 1};
    size_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        n *= (size_t)shape.dim[i];
    char *p = malloc(n * width[dtype] + 1);
    for (size_t i = 0; i < n; i++) {
        float f = (float)values[i];
        int32_t k = dtype == SG_I32 ? (int32_t)values[i] : 0;
        uint8_t u = dtype == SG_U8 ? (uint8_t)values[i] : 0;
        const void *from[SG_DTYPES] = {&f, &values[i], &k, &u};
        memcpy(p + i * width[dtype], from[dtype], width[dtype]);
    }
    sg_tensor *x = sg_input(g, dtype, shape, p);
    free(p);
    return x;
}

/* Values in [-3, 3), whole ones for integers (not negative for u8), some of them equal. */
static inline sg_tensor *sample(sg_context *g, sg_dtype dtype, sg_shape shape, unsigned seed)
{
    size_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        n *= (size_t)shape.dim[i];
    double *v = malloc((n + 1) * sizeof *v);
    uint32_t s = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        double u = (double)(s >> 8) * 0x1p-24 * 6 - 3;
        v[i] = dtype == SG_I32 ? floor(u) : dtype == SG_U8 ? floor(u + 3) : (double)(float)u;
    }
    sg_tensor *x = tensor(g, dtype, shape, v);
    free(v);
    return x;
}

/* The shape of x is this. */
static inline void has_shape(sg_tensor *x, sg_shape s, const char *label)
{
    cr_assert(sg_ok(sg_context_of(x)), "%s: %s", label, sg_errmsg(sg_context_of(x)));
    cr_assert_eq(sg_rank(x), s.rank, "%s: rank %d, not %d", label, sg_rank(x), s.rank);
    for (int i = 0; i < s.rank; i++)
        cr_assert_eq(sg_dim(x, i), s.dim[i], "%s: axis %d has %lld elements, not %lld", label, i,
                     (long long)sg_dim(x, i), (long long)s.dim[i]);
}

/* Element i is `expected`, to a relative tolerance; NaN and infinities are equal to themselves. */
static inline void is_near(sg_tensor *x, int64_t i, double expected, double tolerance,
                           const char *label)
{
    double got = element(x, i);
    bool same = (isnan(got) && isnan(expected)) || got == expected ||
                fabs(got - expected) <= tolerance * fmax(1, fabs(expected));
    cr_assert(same, "%s: element %lld is %.9g, not %.9g", label, (long long)i, got, expected);
}

/* All elements, in row-major order. */
#define IS(x, label, ...)                                                                          \
    do {                                                                                           \
        sg_tensor *is_x = (x);                                                                     \
        const double is_v[] = {__VA_ARGS__};                                                       \
        cr_assert(sg_ok(sg_context_of(is_x)), "%s: %s", label, sg_errmsg(sg_context_of(is_x)));    \
        cr_assert_eq(sg_size(is_x), (int64_t)(sizeof is_v / sizeof *is_v), "%s: size %lld", label, \
                     (long long)sg_size(is_x));                                                    \
        for (int64_t is_i = 0; is_i < sg_size(is_x); is_i++)                                       \
            is_near(is_x, is_i, is_v[is_i], 1e-6, label);                                          \
    } while (0)

/* The call fails with a message that contains `text`; then the context is made usable again. */
#define FAILS(g, call, text)                                                                       \
    do {                                                                                           \
        sg_tensor *fails_x = (call);                                                               \
        cr_assert(!sg_ok(g), "%s did not fail", #call);                                            \
        cr_assert(sg_is_nil(fails_x), "%s: the result is not inert", #call);                       \
        cr_assert(strstr(sg_errmsg(g), text), "%s: message is: %s", #call, sg_errmsg(g));          \
        sg_clear(g);                                                                               \
    } while (0)

/* The call can be recorded, but evaluating it fails with such a message. */
#define STOPS(g, call, text)                                                                       \
    do {                                                                                           \
        sg_tensor *stops_x = (call);                                                               \
        cr_assert(sg_ok(g), "%s: %s", #call, sg_errmsg(g));                                        \
        cr_assert(sg_eval(stops_x) != SG_OK, "%s did not fail", #call);                            \
        cr_assert(strstr(sg_errmsg(g), text), "%s: message is: %s", #call, sg_errmsg(g));          \
        sg_clear(g);                                                                               \
    } while (0)

#endif
