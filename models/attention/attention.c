/* Attention: scores of queries against keys, a softmax over time, the weighted sum of values. */
#include "models/internal.h"

#include <math.h>

sg_attention sg_make_attention_(sg_attention_options o)
{
    sg_attention a = {.score = o.score};
    int hidden = o.hidden ? o.hidden : o.key;
    bool dot = o.score == SG_DOT || o.score == SG_SCALED_DOT;
    sg_push(o.g, "attention", o.name);
    if ((unsigned)o.score > SG_CONCAT)
        sg_fail(o.g, SG_BAD_ARGUMENT, "no such score (%d)", (int)o.score);
    if (o.query <= 0 || o.key <= 0 || hidden <= 0 || (dot && o.query != o.key))
        sg_fail(o.g, SG_BAD_ARGUMENT, "queries of %d and keys of %d features%s", o.query, o.key,
                dot && o.query != o.key ? " have no dot product" : "");
    if (o.score == SG_GENERAL)
        a.wq = sg_param(o.g, "wa", SG_SHAPE(o.query, o.key), .dtype = o.dtype);
    if (o.score == SG_CONCAT) {
        a.wq = sg_param(o.g, "wq", SG_SHAPE(o.query, hidden), .dtype = o.dtype);
        a.wk = sg_param(o.g, "wk", SG_SHAPE(o.key, hidden), .dtype = o.dtype);
        a.v = sg_param(o.g, "v", SG_SHAPE(hidden, 1), .dtype = o.dtype);
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
static sg_tensor *dot_score(const sg_attention *a, sg_tensor *q, sg_tensor *keys)
{
    (void)a;
    return sg_matmul(q, sg_transpose(keys, 1, 2));
}

/* q·k / sqrt(n) */
static sg_tensor *scaled_score(const sg_attention *a, sg_tensor *q, sg_tensor *keys)
{
    return dot_score(a, sg_mul(q, sg_like(q, 1 / sqrt((double)sg_dim(q, 2)))), keys);
}

/* q Wa·k = q·(k Waᵀ) */
static sg_tensor *general_keys(const sg_attention *a, sg_tensor *k)
{
    return sg_matmul(k, sg_transpose(a->wq, 0, 1));
}

/* v·tanh(q Wq + k Wk) */
static sg_tensor *concat_keys(const sg_attention *a, sg_tensor *k)
{
    return sg_expand_dims(sg_matmul(k, a->wk), 1); /* [B,1,T,A] */
}
static sg_tensor *concat_score(const sg_attention *a, sg_tensor *q, sg_tensor *keys)
{
    sg_tensor *qw = sg_expand_dims(sg_matmul(q, a->wq), 2); /* [B,Q,1,A] */
    return sg_squeeze(sg_matmul(sg_tanh(sg_add(qw, keys)), a->v), 3);
}

static const struct {
    sg_tensor *(*keys)(const sg_attention *a, sg_tensor *k);                   /* [B,T,n] */
    sg_tensor *(*score)(const sg_attention *a, sg_tensor *q, sg_tensor *keys); /* [B,Q,T] */
} scores[] = {{dot_keys, dot_score},
              {dot_keys, scaled_score},
              {general_keys, dot_score},
              {concat_keys, concat_score}};

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
        m.keys = scores[a->score].keys(a, m.values);
        if (lengths) {
            int batch = (int)sg_dim(values, 0);
            sg_tensor *mask = sg_length_mask(g, batch, sg_dim(values, 1), lengths);
            m.mask = sg_expand_dims(mask, 1);
        }
    }
    sg_pop(g);
    return m;
}

sg_attended sg_attend(const sg_attention *a, const sg_memory *m, sg_tensor *query)
{
    sg_context *g = sg_context_of(query);
    bool one = sg_rank(query) == 2;
    sg_push(g, "attention", "");
    if (sg_ok(g) && !one && sg_rank(query) != 3)
        sg_fail(g, SG_BAD_SHAPE,
                "the query has %d axes, not [batch, features] or [batch, "
                "queries, features]",
                sg_rank(query));
    sg_tensor *w = sg__nothing(g), *c = w;
    if (sg_ok(g)) {
        sg_tensor *q = one ? sg_expand_dims(query, 1) : query;          /* [B,Q,n] */
        w = sg_softmax(scores[a->score].score(a, q, m->keys), m->mask); /* [B,Q,T] */
        c = sg_matmul(w, m->values);                                    /* [B,Q,K] */
    }
    if (one) {
        c = sg_squeeze(c, 1);
        w = sg_squeeze(w, 1);
    }
    sg_pop(g);
    return (sg_attended){.context = c, .weights = w};
}
