/*
 * Recordings of other people's programs, by tests/oracle: values and gradients. What they are
 * computed from is drawn here as tests/oracle/recording.py draws it: leaves in the order of the
 * calls, then parameters in the order of their names, then the cotangents of the values.
 */
#ifndef RECORDED_H
#define RECORDED_H

#include "tests/ops_test.h"

#include <stdlib.h>

enum { MOST_RECORDED = 64 };

typedef struct recording {
    const char *name;
    const double *expected;
    size_t count;
} recording;
#define RECORDING(name)                                                                            \
    {                                                                                              \
#name, name, sizeof name / sizeof *name                                                    \
    }

/* A recording that is being compared with. */
typedef struct tape {
    sg_context *g;
    sg_dtype dtype;
    const char *name;
    const double *expected, *end;
    uint32_t state;
    sg_tensor *xs[MOST_RECORDED]; /* of which gradients are asked for */
    int n;
} tape;

static inline tape open_tape(sg_dtype d, recording r)
{
    const double *end = r.expected ? r.expected + r.count : NULL;
    return (tape){sg_open(), d, r.name, r.expected, end, 1, {NULL}, 0};
}

static inline double tolerance(sg_dtype d)
{
    return d == SG_F32 ? 1e-5 : 1e-10;
}

/* Multiples of 1/64 in [-1, 1]. */
static inline sg_tensor *drawn(tape *t, sg_shape s)
{
    double v[1024];
    size_t n = 1;
    for (int i = 0; i < s.rank; i++)
        n *= (size_t)s.dim[i];
    cr_assert(n <= sizeof v / sizeof *v);
    for (size_t i = 0; i < n; i++) {
        t->state = t->state * 1103515245u + 12345u;
        v[i] = ((int)((t->state >> 16) % 129) - 64) / 64.0;
    }
    return tensor(t->g, t->dtype, s, v);
}

static inline sg_tensor *leaf(tape *t, sg_shape s)
{
    cr_assert(t->n < MOST_RECORDED);
    return t->xs[t->n++] = drawn(t, s);
}

static inline int by_name(const void *x, const void *y)
{
    return strcmp(sg_name(*(sg_tensor *const *)x), sg_name(*(sg_tensor *const *)y));
}

/* All parameters there are, with values of the recording. */
static inline void leaf_parameters(tape *t)
{
    int from = t->n;
    for (sg_tensor *p = NULL; (p = sg_next_param(t->g, p, false));) {
        cr_assert(t->n < MOST_RECORDED);
        t->xs[t->n++] = p;
    }
    qsort(t->xs + from, (size_t)(t->n - from), sizeof *t->xs, by_name);
    for (int i = from; i < t->n; i++)
        sg_set(t->xs[i], sg_data(drawn(t, sg_shape_of(t->xs[i]))));
    cr_assert(sg_ok(t->g), "%s: %s", t->name, sg_errmsg(t->g));
}

static inline void agrees(tape *t, sg_tensor *x, const char *what, int number)
{
    char label[96];
    snprintf(label, sizeof label, "%s, %s, %s %d", t->name, sg_dtype_name(t->dtype), what, number);
    cr_assert(t->end - t->expected >= sg_size(x), "%s: more than was recorded", label);
    for (int64_t i = 0; i < sg_size(x); i++)
        is_near(x, i, t->expected[i], tolerance(t->dtype), label);
    t->expected += sg_size(x);
}

/* The values, and then the gradients of Σ value · cotangent, are what was recorded. */
static inline void all_agree_(tape *t, int n, sg_tensor *const *values)
{
    sg_tensor *grads[MOST_RECORDED], *total = sg_scalar(t->g, t->dtype, 0);
    cr_assert(sg_ok(t->g), "%s: %s", t->name, sg_errmsg(t->g));
    for (int i = 0; i < n; i++)
        agrees(t, values[i], "value", i);
    for (int i = 0; i < n; i++) {
        sg_tensor *seed = drawn(t, sg_shape_of(values[i]));
        total = sg_add(total, sg_sum(sg_mul(values[i], seed), SG_ALL_AXES, false));
    }
    sg_grad(total, t->n, t->xs, grads);
    for (int i = 0; i < t->n; i++)
        agrees(t, grads[i], "gradient", i);
    cr_assert(sg_ok(t->g), "%s: %s", t->name, sg_errmsg(t->g));
    cr_assert(t->expected == t->end, "%s: less than was recorded", t->name);
    sg_close(t->g);
}
#define all_agree(t, ...) all_agree_(t, SG_LIST_(__VA_ARGS__))

#endif
