/* Attention: scores of a query against keys, a softmax over time, and the weighted sum of values.
 */
#include "models/models.h"

#include <math.h>

sg_attention sg_make_attention_(sg_attention_options o)
{
    sg_attention a = {.score = o.score};
    int hidden = o.hidden ? o.hidden : o.key;
    bool dot = o.score == SG_DOT || o.score == SG_SCALED_DOT;
    sg_push(o.g, "attention", o.name);
    if (o.query <= 0 || o.key <= 0 || hidden <= 0 || (dot && o.query != o.key))
        sg_fail(o.g, SG_BAD_ARGUMENT, "queries of %d and keys of %d features%s", o.query, o.key,
                dot ? " have no dot product" : "");
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

/* Keys are projected once; what is behind a length is 0, since 0 · NaN would be NaN. */
sg_memory sg_remember(const sg_attention *a, sg_tensor *values, const int *lengths)
{
    sg_memory m = {0};
    sg_context *g = sg_context_of(values);
    if (lengths && sg_rank(values) == 3) {
        sg_tensor *mask = sg_length_mask(g, (int)sg_dim(values, 0), sg_dim(values, 1), lengths);
        values = sg_where(sg_expand_dims(mask, 2), values, sg_like(values, 0));
        m.mask = sg_expand_dims(mask, 1); /* [B,1,T] */
    }
    m.values = values;
    m.keys = a->score == SG_CONCAT    ? sg_matmul(values, a->wk)
             : a->score == SG_GENERAL ? sg_matmul(values, sg_transpose(a->wq, 0, 1))
                                      : values;
    return m;
}

/* q·k for all queries and keys: [B,Q,T] */
static sg_tensor *dot(sg_tensor *q, sg_tensor *keys)
{
    return sg_matmul(q, sg_transpose(keys, 1, 2));
}

/* v·tanh(q Wq + k Wk): [B,Q,T] */
static sg_tensor *concat(const sg_attention *a, sg_tensor *q, sg_tensor *keys)
{
    sg_tensor *qw = sg_expand_dims(sg_matmul(q, a->wq), 2);        /* [B,Q,1,A] */
    sg_tensor *sum = sg_tanh(sg_add(qw, sg_expand_dims(keys, 1))); /* [B,Q,T,A] */
    return sg_squeeze(sg_matmul(sum, a->v), 3);
}

sg_attended sg_attend(const sg_attention *a, const sg_memory *m, sg_tensor *query)
{
    bool one = sg_rank(query) == 2;
    sg_tensor *q = one ? sg_expand_dims(query, 1) : query; /* [B,Q,n] */
    sg_tensor *s = a->score == SG_CONCAT ? concat(a, q, m->keys) : dot(q, m->keys);
    if (a->score == SG_SCALED_DOT)
        s = sg_mul(s, sg_like(s, 1 / sqrt((double)sg_dim(q, -1))));
    sg_tensor *w = sg_softmax(s, m->mask);  /* [B,Q,T] */
    sg_tensor *c = sg_matmul(w, m->values); /* [B,Q,K] */
    return one ? (sg_attended){sg_squeeze(c, 1), sg_squeeze(w, 1)} : (sg_attended){c, w};
}
