/* What tests of models share: random inputs and parameters, whole-graph gradient checks, bits. */
#ifndef MODEL_LEAVES_H
#define MODEL_LEAVES_H

#include "models/models.h"
#include "tests/ops_test.h"

enum { MOST_LEAVES = 64 };

/* A leaf with values in [-1, 1). */
static inline sg_tensor *draw(sg_context *g, sg_dtype dtype, sg_shape shape, unsigned seed)
{
    size_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        n *= (size_t)shape.dim[i];
    double *v = malloc((n + 1) * sizeof *v);
    uint32_t s = seed * 2654435761u + 12345;
    for (size_t i = 0; i < n; i++) {
        s = s * 1664525u + 1013904223u;
        v[i] = (double)(s >> 8) * 0x1p-23 - 1;
    }
    sg_tensor *x = tensor(g, dtype, shape, v);
    free(v);
    return x;
}

/* Gives all parameters random values, also those that start at 0. */
static inline void shake(sg_context *g, unsigned seed)
{
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));)
        sg_set(p, sg_data(draw(g, sg_type(p), sg_shape_of(p), seed++)));
}

/* n leaves, followed by all parameters; how many they are together. */
static inline int leaves(sg_context *g, int n, sg_tensor *const *x, sg_tensor **all)
{
    if (n)
        memcpy(all, x, (size_t)n * sizeof *all);
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));) {
        cr_assert(n < MOST_LEAVES);
        all[n++] = p;
    }
    return n;
}

/* The gradients of y by n leaves and by all parameters, and those gradients' gradients. */
static inline void check_gradients(sg_tensor *y, int n, sg_tensor *const *x, const char *label)
{
    sg_context *g = sg_context_of(y);
    sg_tensor *all[MOST_LEAVES];
    cr_assert(sg_ok(g), "%s: %s", label, sg_errmsg(g));
    n = leaves(g, n, x, all);
    sg_gradcheck_result r = sg_gradcheck(y, n, all, .order = 2);
    cr_assert(r.ok, "%s: %s: errors %g and %g, worst at leaf %d \"%s\", element %lld", label,
              sg_errmsg(g), r.error[0], r.error[1], r.input, sg_name(all[r.input]),
              (long long)r.element);
}

/* Elements [from, from + n) of x are, bit for bit, those of y from `at` on. */
static inline void same_part(sg_tensor *x, int64_t from, sg_tensor *y, int64_t at, int64_t n,
                             const char *label)
{
    const char *a = sg_data(x), *b = sg_data(y);
    size_t width = sg_type(x) == SG_F64 ? 8 : 4;
    cr_assert(a && b, "%s: %s", label, sg_errmsg(sg_context_of(x)));
    cr_assert(sg_type(x) == sg_type(y) && from + n <= sg_size(x) && at + n <= sg_size(y),
              "%s: sizes or types", label);
    for (int64_t i = 0; i < n; i++)
        cr_assert(memcmp(a + (size_t)(from + i) * width, b + (size_t)(at + i) * width, width) == 0,
                  "%s: element %lld is %.9g, not %.9g", label, (long long)i, element(x, from + i),
                  element(y, at + i));
}

static inline void same_bits(sg_tensor *x, sg_tensor *y, const char *label)
{
    has_shape(x, sg_shape_of(y), label);
    same_part(x, 0, y, 0, sg_size(x), label);
}

/* The call fails with a message that contains `text`; then the context is made usable again. */
#define REFUSES(g, call, text)                                                                     \
    do {                                                                                           \
        (void)(call);                                                                              \
        cr_assert(!sg_ok(g), "%s did not fail", #call);                                            \
        cr_assert(strstr(sg_errmsg(g), text), "%s: message is: %s", #call, sg_errmsg(g));          \
        sg_clear(g);                                                                               \
    } while (0)

#endif
