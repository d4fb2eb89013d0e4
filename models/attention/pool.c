/* Attention without a query. */
#include "models/internal.h"

sg_attention_pool sg_make_attention_pool(sg_context *g, const char *name, int size, int hidden,
                                         sg_dtype dtype)
{
    sg_attention_pool a;
    a.hidden = sg_linear(g, name, size, hidden, .dtype = dtype);
    sg_push(g, "attention pool", name);
    a.v = sg_param(g, "v", SG_SHAPE(hidden, 1), .dtype = dtype);
    sg_pop(g);
    return a;
}

/* a = softmax(v·tanh(h W + b)), context = a h */
sg_attended sg_pool_by_attention(const sg_attention_pool *a, sg_tensor *h, const int *lengths)
{
    sg_context *g = sg_context_of(h);
    sg_attention none = {SG_DOT};
    sg_memory m = sg_remember(&none, h, lengths); /* values and mask */
    sg_tensor *score = sg_matmul(sg_tanh(sg_apply(a->hidden, m.values)), a->v); /* [B,T,1] */
    sg_tensor *w = sg_softmax(sg_transpose(score, 1, 2), m.mask);               /* [B,1,T] */
    sg_tensor *c = sg_matmul(w, m.values);                                      /* [B,1,n] */
    return sg_ok(g) ? (sg_attended){sg_squeeze(c, 1), sg_squeeze(w, 1)} : (sg_attended){c, w};
}
