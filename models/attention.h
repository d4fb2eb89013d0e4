/*
 * seqgrad attention: scores, heads, Transformers. A chapter of models.h, where the conventions are.
 */
#ifndef SG_ATTENTION_H
#define SG_ATTENTION_H

#include "models/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- attention ------------------------------------------------------------------------------ */

typedef enum {
    SG_DOT,        /* q . k (Luong et al. 2015) */
    SG_SCALED_DOT, /* q . k / sqrt(n) (Vaswani et al. 2017) */
    SG_GENERAL,    /* q Wa . k (Luong) */
    SG_CONCAT      /* v . tanh(q Wq + k Wk) (Bahdanau et al. 2015) */
} sg_score;

typedef struct sg_attention {
    sg_score score;
    sg_tensor *wq, *wk, *v; /* [query, hidden], [key, hidden], [hidden, 1]; Wa is wq [query, key] */
} sg_attention;

typedef struct sg_attention_options {
    sg_context *g;
    const char *name;
    sg_score score;
    int query, key; /* sizes; equal for the dot scores */
    int hidden;     /* of the concat score; 0 means key */
    sg_dtype dtype;
    int end_;
} sg_attention_options;
/* Parameters NAME.wa (general), or NAME.wq, .wk, .v (concat). */
#define sg_make_attention(...) sg_make_attention_((sg_attention_options){__VA_ARGS__, .end_ = 0})
SG_API sg_attention sg_make_attention_(sg_attention_options o);

/* What is attended to, prepared once: values, projected keys and the mask of the lengths. */
typedef struct sg_memory {
    sg_tensor *values, *keys; /* [batch, time, …]; keys as the score reads them */
    sg_tensor *mask;          /* u8 [batch, 1, time], or NULL */
} sg_memory;
SG_API sg_memory sg_remember(const sg_attention *a, sg_tensor *values, const int *lengths);

typedef struct sg_attended {
    sg_tensor *context; /* [batch, key], or [batch, queries, key] */
    sg_tensor *weights; /* [batch, time], or [batch, queries, time]; rows sum to 1, those over an
                           empty sequence are 0 */
} sg_attended;
/* query: [batch, query], or [batch, queries, query] for several at once. */
SG_API sg_attended sg_attend(const sg_attention *a, const sg_memory *m, sg_tensor *query);

/* N to 1 by attention without a query: weights softmax(v . tanh(h W + b)) over time (Yang et al.
 * 2016). Parameters NAME.w, .b, .v. */
typedef struct sg_attention_pool {
    sg_affine hidden; /* [size, hidden] */
    sg_tensor *v;     /* [hidden, 1] */
} sg_attention_pool;
SG_API sg_attention_pool sg_make_attention_pool(sg_context *g, const char *name, int size,
                                                int hidden, sg_dtype dtype);
SG_API sg_attended sg_pool_by_attention(const sg_attention_pool *a, sg_tensor *h,
                                        const int *lengths);

#ifdef __cplusplus
}
#endif

#endif
