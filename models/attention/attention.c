/* Attention: scores of queries against keys, a softmax over time, the weighted sum of values. */
#include "models/internal.h"

#include <math.h>

sg_attention sg_make_attention_(sg_attention_options o)
{
    sg_attention a = {.score = o.score};
    int hidden = o.hidden ? o.hidden : o.key, heads = o.heads ? o.heads : 1;
    bool dot = o.score == SG_DOT || o.score == SG_SCALED_DOT;
    sg_push(o.g, "attention", o.name);
    sg__need_name(o.g, o.name);
    if ((unsigned)o.score > SG_HEADS)
        sg_fail(o.g, SG_BAD_ARGUMENT, "no such score (%d)", (int)o.score);
    if (o.query <= 0 || o.key <= 0 || hidden <= 0 || (dot && o.query != o.key))
        sg_fail(o.g, SG_BAD_ARGUMENT, "queries of %d and keys of %d features%s", o.query, o.key,
                dot && o.query != o.key ? " have no dot product" : "");
    if (heads < 0 || hidden % heads || (heads > 1 && o.score != SG_HEADS))
        sg_fail(o.g, SG_BAD_ARGUMENT, "%d heads of %d features%s", heads, hidden,
                o.score != SG_HEADS ? ", with a score of one" : "");
    if (o.score == SG_GENERAL)
        a.wq = sg_param(o.g, "wa", SG_SHAPE(o.query, o.key), .dtype = o.dtype);
    if (o.score == SG_CONCAT) {
        a.wq = sg_param(o.g, "wq", SG_SHAPE(o.query, hidden), .dtype = o.dtype);
        a.wk = sg_param(o.g, "wk", SG_SHAPE(o.key, hidden), .dtype = o.dtype);
        a.v = sg_param(o.g, "v", SG_SHAPE(hidden, 1), .dtype = o.dtype);
    }
    if (o.score == SG_HEADS) {
        a.heads = heads;
        a.wq = sg_param(o.g, "wq", SG_SHAPE(o.query, hidden), .dtype = o.dtype);
        a.wkv = sg_param(o.g, "wkv", SG_SHAPE(o.key, 2 * hidden), .dtype = o.dtype);
        a.wo = sg_param(o.g, "wo", SG_SHAPE(hidden, o.key), .dtype = o.dtype);
    }
    if (o.coverage && o.score != SG_CONCAT)
        sg_fail(o.g, SG_BAD_ARGUMENT, "coverage is a part of the concat score only");
    else if (o.coverage)
        a.wc = sg_param(o.g, "wc", SG_SHAPE(1, hidden), .dtype = o.dtype);
    if (o.window < 0 || (o.window && o.score == SG_HEADS) || (!o.window && o.monotonic))
        sg_fail(o.g, SG_BAD_ARGUMENT, "a %swindow of %d elements%s",
                o.monotonic ? "monotonic " : "", o.window, o.window > 0 ? " is not for heads" : "");
    a.window = o.window;
    if (o.window && !o.monotonic) {
        a.wp = sg_param(o.g, "wp", SG_SHAPE(o.query, hidden), .dtype = o.dtype);
        a.vp = sg_param(o.g, "vp", SG_SHAPE(hidden, 1), .dtype = o.dtype);
    }
    sg_pop(o.g);
    return a;
}

/* ---- scores: a line for the keys, once a sentence, and one for the queries ---------------- */

/* q·k, all queries with all keys */
static sg_tensor *dot_keys(const sg_attention *a, sg_tensor *k)
{
    (void)a;
    return k;
}
static sg_tensor *dot_score(const sg_attention *a, sg_tensor *q, const sg_memory *m)
{
    (void)a;
    return sg_matmul(q, sg_transpose(m->keys, 1, 2));
}

/* q·k / sqrt(n) */
static sg_tensor *scaled_score(const sg_attention *a, sg_tensor *q, const sg_memory *m)
{
    return dot_score(a, sg_mul(q, sg_like(q, 1 / sqrt((double)sg_dim(q, 2)))), m);
}

/* q Wa·k = q·(k Waᵀ) */
static sg_tensor *general_keys(const sg_attention *a, sg_tensor *k)
{
    return sg_matmul(k, sg_transpose(a->wq, 0, 1));
}

/* v·tanh(q Wq + k Wk), or v·tanh(q Wq + k Wk + c Wc) */
static sg_tensor *concat_keys(const sg_attention *a, sg_tensor *k)
{
    return sg_expand_dims(sg_matmul(k, a->wk), 1); /* [B,1,T,A] */
}
/* Its inside, A features for each pair of a query and a key, is more than all else that a decoder
 * would have to keep, and computed faster than written and read again. */
static sg_tensor *concat_score(const sg_attention *a, sg_tensor *q, const sg_memory *m)
{
    sg_tensor *in[] = {sg_expand_dims(sg_matmul(q, a->wq), 2), m->keys, m->coverage};
    sg_tensor *z = sg_add(in[0], in[1]); /* [B,Q,T,A] */
    if (a->wc && m->coverage) {
        sg_tensor *c = sg_expand_dims(m->coverage, 2); /* [B,T,1] */
        z = sg_add(z, sg_expand_dims(sg_matmul(c, a->wc), 1));
    }
    return sg_checkpoint(sg_squeeze(sg_matmul(sg_tanh(z), a->v), 3), m->coverage ? 3 : 2, in);
}

static const struct {
    sg_tensor *(*keys)(const sg_attention *a, sg_tensor *k);                      /* [B,T,n] */
    sg_tensor *(*score)(const sg_attention *a, sg_tensor *q, const sg_memory *m); /* [B,Q,T] */
} scores[] = {[SG_DOT] = {dot_keys, dot_score},
              [SG_SCALED_DOT] = {dot_keys, scaled_score},
              [SG_GENERAL] = {general_keys, dot_score},
              [SG_CONCAT] = {concat_keys, concat_score}};

/* ---- windows -------------------------------------------------------------------------------- */

/* s - p for each query and element: [B,Q,T] */
static sg_tensor *distances(const sg_attention *a, const sg_memory *m, sg_tensor *q)
{
    sg_context *g = sg_context_of(q);
    sg_tensor *p =
        m->position ? sg_expand_dims(m->position, 2)
                    : sg_mul(m->size, sg_sigmoid(sg_matmul(sg_tanh(sg_matmul(q, a->wp)), a->vp)));
    sg_tensor *one = sg_full(g, sg_type(q), SG_SHAPE(sg_dim(m->values, 1)), 1);
    sg_tensor *s = sg_sub(sg_cumsum(one, 0), sg_like(q, 1)); /* 0, 1, … T-1 */
    return sg_sub(s, p);
}

/* softmax over the window, times exp(-(s - p)² / (2 (D/2)²)) where p is the model's own */
static sg_tensor *in_window(const sg_attention *a, const sg_memory *m, sg_tensor *q, sg_tensor *z)
{
    sg_tensor *d = distances(a, m, q);
    sg_tensor *near = sg_less_equal(sg_abs(d), sg_like(d, a->window));
    sg_tensor *w = sg_softmax(z, m->mask ? sg_logical_and(near, m->mask) : near);
    double twice_variance = 0.5 * a->window * a->window;
    sg_tensor *bell = sg_exp(sg_mul(sg_square(d), sg_like(d, -1 / twice_variance)));
    return m->position ? w : sg_mul(w, bell);
}

/* S, by row: [B,1,1] */
static sg_tensor *sizes(sg_tensor *values, const int *lengths)
{
    sg_context *g = sg_context_of(values);
    if (!lengths)
        return sg_full(g, sg_type(values), SG_SHAPE(sg_dim(values, 0), 1, 1),
                       (double)sg_dim(values, 1));
    sg_tensor *n = sg_input(g, SG_I32, SG_SHAPE(sg_dim(values, 0), 1, 1), lengths);
    return sg_cast(n, sg_type(values));
}

/* ---- one head, or several ------------------------------------------------------------------- */

static sg_heads heads_of(const sg_attention *a)
{
    return (sg_heads){
        .heads = a->heads, .q = {.w = a->wq}, .kv = {.w = a->wkv}, .out = {.w = a->wo}};
}

/* Keys and values, as they are read at every step. */
static void prepare(const sg_attention *a, sg_memory *m)
{
    if (a->score == SG_HEADS) {
        sg_heads several = heads_of(a);
        sg_tensor *kv[2]; /* [B,heads,T,d] */
        sg__heads_memory(&several, m->values, kv);
        m->keys = kv[0];
        m->values = kv[1];
    } else
        m->keys = scores[a->score].keys(a, m->values);
}

static sg_attended attend_heads(const sg_attention *a, const sg_memory *m, sg_tensor *q)
{
    sg_heads several = heads_of(a);
    sg_tensor *mask = m->mask ? sg_expand_dims(m->mask, 1) : NULL; /* [B,1,1,T] */
    sg_attended r =
        sg__heads_attend(&several, sg__heads_query(&several, q), m->keys, m->values, mask);
    r.weights = sg_mean(r.weights, 1, false);
    return r;
}

/* q [B,Q,n] */
static sg_attended attend(const sg_attention *a, const sg_memory *m, sg_tensor *q)
{
    if (a->score == SG_HEADS)
        return attend_heads(a, m, q);
    sg_tensor *z = scores[a->score].score(a, q, m);
    sg_tensor *w = a->window ? in_window(a, m, q, z) : sg_softmax(z, m->mask); /* [B,Q,T] */
    return (sg_attended){.context = sg_matmul(w, m->values), .weights = w};    /* [B,Q,K] */
}

/* ---- attending ------------------------------------------------------------------------------ */

/* What is behind a length is 0: a weight of 0 times NaN would be NaN. */
sg_memory sg_remember(const sg_attention *a, sg_tensor *values, const int *lengths)
{
    sg_context *g = sg_context_of(values);
    sg_memory m = {.values = sg__nothing(g), .keys = sg__nothing(g)};
    sg_push(g, "attention", "");
    if (sg_ok(g) && sg_rank(values) != 3)
        sg_fail(g, SG_BAD_SHAPE, "values have %d axes, not [batch, time, features]",
                sg_rank(values));
    if (sg_ok(g) && sg__good_lengths(g, sg_dim(values, 0), sg_dim(values, 1), lengths)) {
        lengths = sg__short_ones(lengths, sg_dim(values, 0), sg_dim(values, 1));
        m.values = sg__clean(values, lengths);
        m.size = a->wp ? sizes(values, lengths) : NULL;
        if (lengths) {
            int batch = (int)sg_dim(values, 0);
            sg_tensor *mask = sg_length_mask(g, batch, sg_dim(values, 1), lengths);
            m.mask = sg_expand_dims(mask, 1);
        }
        prepare(a, &m);
    }
    sg_pop(g);
    return m;
}

sg_attended sg_attend(const sg_attention *a, const sg_memory *m, sg_tensor *query)
{
    sg_context *g = sg_context_of(query);
    bool one = sg_rank(query) == 2;
    sg_push(g, "attention", "");
    if (!a || !m)
        sg_fail(g, SG_BAD_ARGUMENT, "no %s", a ? "memory" : "parameters");
    if (sg_ok(g) && !one && sg_rank(query) != 3)
        sg_fail(g, SG_BAD_SHAPE,
                "the query has %d axes, not [batch, features] or [batch, "
                "queries, features]",
                sg_rank(query));
    if (sg_ok(g) && a->window && !a->wp && !m->position)
        sg_fail(g, SG_BAD_ARGUMENT, "a monotonic window without a position");
    sg_attended r = {sg__nothing(g), sg__nothing(g)};
    if (sg_ok(g))
        r = attend(a, m, one ? sg_expand_dims(query, 1) : query);
    if (one)
        r = (sg_attended){sg_squeeze(r.context, 1), sg_squeeze(r.weights, 1)};
    sg_pop(g);
    return r;
}

sg_tensor *sg_coverage_loss(sg_tensor *weights, sg_tensor *coverage)
{
    return sg_sum(sg_minimum(weights, coverage), -1, false);
}
