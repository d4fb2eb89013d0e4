/*
 * What tests of models share beyond tests/model_leaves.h: all kinds of cells, sequences whose rows
 * do not depend on the batch, gradients of all there is.
 */
#ifndef MODELS_TEST_H
#define MODELS_TEST_H

#include "tests/model_leaves.h"
#include "tests/error_test.h"

#include <stdarg.h>

enum { SETS = 3 }; /* of kernels: all_sets */

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
    sg_tensor *x = tensor(s.g, s.dtype, s.flat ? flat : full, v);
    free(v);
    return x;
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
    sg_tensor *flat[MOST_LEAVES];
    int some = 0;
    for (int i = 0; i < n; i++)
        if (x[i])
            flat[some++] = sg_reshape(x[i], SG_SHAPE(-1));
    return sg_concat_(0, some, flat);
}

/* Gradients of a random combination of y by n inputs and all parameters; how many they are. */
static inline int gradients_of(sg_tensor *y, int n, sg_tensor *const *inputs, sg_tensor **grads)
{
    sg_context *g = sg_context_of(y);
    sg_tensor *xs[MOST_LEAVES], *flat = sg_reshape(y, SG_SHAPE(-1));
    n = leaves(g, n, inputs, xs);
    sg_tensor *seed = sequences(g, sg_type(y), 1, .size = (int)sg_size(y), .flat = true);
    sg_vjp(flat, sg_reshape(seed, SG_SHAPE(-1)), n, xs, grads);
    sg_eval_(n, grads);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    return n;
}

/* The largest difference of two tensors of one size; infinite if one is not finite. */
static inline double distance(sg_tensor *x, sg_tensor *y)
{
    double most = 0;
    cr_assert(sg_size(x) == sg_size(y), "sizes %lld, %lld: %s", (long long)sg_size(x),
              (long long)sg_size(y), sg_errmsg(sg_context_of(x)));
    for (int64_t i = 0; i < sg_size(x); i++) {
        double d = fabs(element(x, i) - element(y, i));
        most = d <= most ? most : d == d ? d : INFINITY;
    }
    return most;
}

static inline bool all_zero(sg_tensor *x)
{
    for (int64_t i = 0; i < sg_size(x); i++)
        if (element(x, i) != 0)
            return false;
    return true;
}

static inline void same_states(sg_state x, sg_state y, const char *label)
{
    same_bits(x.h, y.h, label);
    cr_assert((x.c == NULL) == (y.c == NULL), "%s: one has no second state", label);
    if (x.c)
        same_bits(x.c, y.c, label);
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
    {"minimal gated unit", sg_mgu_, {.activation = SG_TANH}},
    {"lstm peephole", sg_lstm_, {.peephole = true}},
    {"lstm coupled", sg_lstm_, {.coupled = true}},
    {"lstm coupled peephole", sg_lstm_, {.coupled = true, .peephole = true}},
    {"lstm norm", sg_lstm_, {.norm = true}},
    {"lstm norm coupled peephole", sg_lstm_, {.norm = true, .coupled = true, .peephole = true}},
};
enum { CELL_KINDS = 15 };

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
