/*
 * What tests of models share: all kinds of cells, sequences whose rows do not depend on the batch,
 * gradient checks over all parameters, comparison of bits.
 */
#ifndef MODELS_TEST_H
#define MODELS_TEST_H

#include "models/models.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 80 }; /* tensors in a list */

static const char *const all_sets[] = {"generic", "avx2", "avx512"};
enum { SETS = 3 };

/* What stands in the padding: none of it may be seen. */
static const double garbage[] = {NAN, INFINITY, -INFINITY, 1e30};
enum { GARBAGE = 4 };

/* A context with a set of kernels; NULL where this CPU does not have it. */
static inline sg_context *open_set(const char *isa)
{
    sg_context *g = sg_open(.isa = isa);
    if (sg_ok(g))
        return g;
    sg_close(g);
    return NULL;
}

/* In (-1, 1), a function of seed and i, and not 0. */
static inline double value_at(unsigned seed, uint64_t i)
{
    uint64_t h = i * UINT64_C(0x9E3779B97F4A7C15) + seed * UINT64_C(0xD1B54A32D192ED03) + 1;
    h = (h ^ h >> 32) * UINT64_C(0xDABA0B6EB09322E3);
    h = (h ^ h >> 32) * UINT64_C(0xDABA0B6EB09322E3);
    return ((double)(h >> 32) + 0.5) * 0x1p-31 - 1;
}

static inline size_t width_of(sg_dtype dtype)
{
    return dtype == SG_U8 ? 1 : dtype == SG_F64 ? 8 : 4;
}

/* n doubles as a leaf of f32 or f64. */
static inline sg_tensor *leaf(sg_context *g, sg_dtype dtype, sg_shape shape, const double *values)
{
    size_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        n *= (size_t)shape.dim[i];
    float *f = malloc((n + 1) * sizeof *f);
    for (size_t i = 0; i < n; i++)
        f[i] = (float)values[i];
    sg_tensor *x = sg_input(g, dtype, shape, dtype == SG_F32 ? (const void *)f : values);
    free(f);
    return x;
}

typedef struct samples {
    sg_context *g;
    sg_dtype dtype;
    int batch, time, size; /* time 0 with .flat: [batch, size] */
    bool flat;
    unsigned seed;
    int first;          /* number of the first row: what is in row n is always the same */
    const int *lengths; /* by row of the batch */
    double fill;        /* behind the lengths */
} samples;

/* Random sequences [batch, time, size]. */
#define sequences(...) sequences_((samples){__VA_ARGS__})
static inline sg_tensor *sequences_(samples s)
{
    int time = s.flat ? 1 : s.time;
    double *v = malloc(((size_t)(s.batch * time * s.size) + 1) * sizeof *v), *at = v;
    for (int b = 0; b < s.batch; b++)
        for (int t = 0; t < time; t++)
            for (int k = 0; k < s.size; k++) {
                uint64_t place = ((uint64_t)(s.first + b) * 1000 + (uint64_t)t) * 1000;
                bool real = !s.lengths || t < s.lengths[b];
                *at++ = real ? value_at(s.seed, place + (uint64_t)k) : s.fill;
            }
    sg_shape flat = SG_SHAPE(s.batch, s.size), full = SG_SHAPE(s.batch, s.time, s.size);
    sg_tensor *x = leaf(s.g, s.dtype, s.flat ? flat : full, v);
    free(v);
    return x;
}

/* ---- parameters ----------------------------------------------------------------------------- */

/* Adds all parameters of the context to a list of n; their number. */
static inline int with_params(sg_context *g, int n, sg_tensor **list)
{
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false)) != NULL;) {
        cr_assert(n < MOST);
        list[n++] = p;
    }
    return n;
}

/* All parameters at random, biases too. */
static inline void randomize(sg_context *g, double range)
{
    sg_tensor *list[MOST];
    int n = with_params(g, 0, list);
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)sg_size(list[i]);
        double *v = malloc(size * sizeof *v);
        float *f = malloc(size * sizeof *f);
        for (size_t k = 0; k < size; k++)
            f[k] = (float)(v[k] = range * value_at(7777 + (unsigned)i, k));
        sg_set(list[i], sg_type(list[i]) == SG_F32 ? (const void *)f : v);
        free(v);
        free(f);
    }
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
}

/* ---- checks --------------------------------------------------------------------------------- */

/* The name of a configuration, until the next call but three. */
static inline const char *named(const char *format, ...)
{
    static char text[4][256];
    static int turn;
    va_list args;
    va_start(args, format);
    char *t = text[turn++ & 3];
    vsnprintf(t, sizeof text[0], format, args);
    va_end(args);
    return t;
}

/* Tensors (NULL ones left out) one after the other, as one. */
#define joined(...) joined_(SG_LIST_(__VA_ARGS__))
static inline sg_tensor *joined_(int n, sg_tensor *const *x)
{
    sg_tensor *flat[MOST];
    int some = 0;
    for (int i = 0; i < n; i++)
        if (x[i])
            flat[some++] = sg_reshape(x[i], SG_SHAPE(-1));
    return sg_concat_(0, some, flat);
}

/* y's derivatives of order 1 and 2 by n inputs and by all parameters. */
static inline void expect_gradients(sg_tensor *y, int n, sg_tensor *const *inputs, const char *what)
{
    sg_context *g = sg_context_of(y);
    sg_tensor *xs[MOST];
    for (int i = 0; i < n; i++)
        xs[i] = inputs[i];
    n = with_params(g, n, xs);
    sg_gradcheck_result r = sg_gradcheck(y, n, xs, .order = 2);
    cr_expect(r.ok, "%s: errors %g, %g; worst by %d \"%s\" [%lld]: %s", what, r.error[0],
              r.error[1], r.input, r.input < n ? sg_name(xs[r.input]) : "?", (long long)r.element,
              sg_errmsg(g));
}

/* Gradients of a random combination of y's elements, by n inputs and all parameters; their number.
 */
static inline int gradients_of(sg_tensor *y, int n, sg_tensor *const *inputs, sg_tensor **grads)
{
    sg_context *g = sg_context_of(y);
    sg_tensor *xs[MOST], *flat = sg_reshape(y, SG_SHAPE(-1));
    for (int i = 0; i < n; i++)
        xs[i] = inputs[i];
    n = with_params(g, n, xs);
    sg_tensor *seed = sequences(g, sg_type(y), 1, .size = (int)sg_size(y), .flat = true);
    sg_vjp(flat, sg_reshape(seed, SG_SHAPE(-1)), n, xs, grads);
    sg_eval_(n, grads);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    return n;
}

static inline size_t bytes_of(const sg_tensor *x)
{
    return (size_t)sg_size(x) * width_of(sg_type(x));
}

/* Whether two tensors agree in shape, type and every bit. */
static inline bool same_bits(sg_tensor *x, sg_tensor *y)
{
    sg_shape s = sg_shape_of(x), t = sg_shape_of(y);
    bool same = s.rank == t.rank && sg_type(x) == sg_type(y);
    for (int i = 0; same && i < s.rank; i++)
        same = s.dim[i] == t.dim[i];
    const void *p = sg_data(x), *q = sg_data(y);
    cr_assert(p && q, "%s%s", sg_errmsg(sg_context_of(x)), sg_errmsg(sg_context_of(y)));
    return same && memcmp(p, q, bytes_of(x)) == 0;
}

static inline double at(sg_tensor *x, int64_t i)
{
    const void *p = sg_data(x);
    cr_assert(p, "%s", sg_errmsg(sg_context_of(x)));
    return sg_type(x) == SG_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

/* The largest difference of two tensors of one size; infinite if one is not finite. */
static inline double distance(sg_tensor *x, sg_tensor *y)
{
    double most = 0;
    cr_assert(sg_size(x) == sg_size(y), "sizes %lld, %lld: %s", (long long)sg_size(x),
              (long long)sg_size(y), sg_errmsg(sg_context_of(x)));
    for (int64_t i = 0; i < sg_size(x); i++) {
        double d = fabs(at(x, i) - at(y, i));
        most = d <= most ? most : d == d ? d : INFINITY;
    }
    return most;
}

static inline bool all_zero(sg_tensor *x)
{
    for (int64_t i = 0; i < sg_size(x); i++)
        if (at(x, i) != 0)
            return false;
    return true;
}

/* Whether the context has this error, under this message; clears it. */
static inline void expect_error(sg_context *g, sg_status s, const char *message)
{
    cr_expect(sg_error(g) == s, "status %s, not %s: %s", sg_status_name(sg_error(g)),
              sg_status_name(s), sg_errmsg(g));
    cr_expect_str_eq(sg_errmsg(g), message);
    sg_clear(g);
}

/* ---- cells ---------------------------------------------------------------------------------- */

static const struct cell_kind {
    const char *name;
    sg_cell (*make)(sg_cell_options);
    sg_cell_options o;
} cell_kinds[] = {
    {"rnn tanh", sg_rnn_, {.activation = SG_TANH}},
    {"rnn relu", sg_rnn_, {.activation = SG_RELU}},
    {"rnn identity", sg_rnn_, {.activation = SG_IDENTITY}},
    {"rnn sigmoid", sg_rnn_, {.activation = SG_SIGMOID}},
    {"lstm", sg_lstm_, {.forget_bias = 0}},
    {"gru before keep", sg_gru_, {.reset = SG_RESET_BEFORE, .update = SG_UPDATE_KEEP}},
    {"gru before write", sg_gru_, {.reset = SG_RESET_BEFORE, .update = SG_UPDATE_WRITE}},
    {"gru after keep", sg_gru_, {.reset = SG_RESET_AFTER, .update = SG_UPDATE_KEEP}},
    {"gru after write", sg_gru_, {.reset = SG_RESET_AFTER, .update = SG_UPDATE_WRITE}},
};
enum { CELL_KINDS = 9 };

static inline sg_cell make_cell(sg_context *g, int kind, const char *name, sg_dtype dtype, int in,
                                int hidden)
{
    sg_cell_options o = cell_kinds[kind].o;
    o.g = g;
    o.name = name;
    o.dtype = dtype;
    o.in = in;
    o.hidden = hidden;
    return cell_kinds[kind].make(o);
}

#endif
