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

/* c = sum over time of a_t v_t with a = softmax over time of score(q, k_t), where keys k and values
 * are the same unless said otherwise. Scores, of vectors of n features: */
typedef enum {
    SG_DOT,        /* q . k (Luong et al. 2015) */
    SG_SCALED_DOT, /* q . k / sqrt(n) (Vaswani et al. 2017) */
    SG_GENERAL,    /* q Wa . k (Luong) */
    SG_CONCAT,     /* v . tanh(q Wq + k Wk) (Bahdanau et al. 2015) */
    SG_HEADS       /* of each head, with parts of its own: q Wq . k Wk / sqrt(n); its values are
                      v Wv, and the context is those of all heads, joined, times Wo (Vaswani) */
} sg_score;

typedef struct sg_attention {
    sg_score score;
    sg_tensor *wq, *wk, *v; /* [query, hidden], [key, hidden], [hidden, 1]; Wa is wq [query, key] */
    sg_tensor *wc;          /* [1, hidden] */
    int heads;
    sg_tensor *wkv, *wo; /* [key, 2 hidden], [hidden, key] */
    int window;          /* D */
    sg_tensor *wp, *vp;  /* [query, hidden], [hidden, 1]; NULL where it is monotonic */
} sg_attention;

typedef struct sg_attention_options {
    sg_context *g;
    const char *name;
    sg_score score;
    int query, key; /* sizes; equal for the dot scores */
    int hidden;     /* of the concat score, and of all heads together; 0 means key */
    int heads;      /* hidden is a multiple of it; 0 means 1 */
    sg_dtype dtype;
    /* CONCAT: v . tanh(q Wq + k Wk + c Wc), where c is what the element got already: see
     * sg_memory (Tu et al. 2016, See et al. 2017) */
    bool coverage;
    /* D > 0: only elements up to D from p = S sigmoid(vp . tanh(q Wp)) are looked at, S being the
     * sequence's length, and their weights are multiplied by exp(-(s - p)^2 / (2 (D/2)^2)) ("local
     * p" of Luong et al. 2015), after which they no longer sum to 1 */
    int window;
    /* The window stands at p = sg_memory.position, which is to be set: at t for the t-th query,
     * say, and nothing is multiplied ("local m") */
    bool monotonic;
    int end_;
} sg_attention_options;
/* Parameters NAME.wa (general); NAME.wq, .wk, .v (concat), .wc; NAME.wq, .wkv, .wo (heads); .wp,
 * .vp of a window that is not monotonic. */
#define sg_make_attention(...) sg_make_attention_((sg_attention_options){__VA_ARGS__, .end_ = 0})
SG_API sg_attention sg_make_attention_(sg_attention_options o);

/* What is attended to, prepared once: values, projected keys and the mask of the lengths. */
typedef struct sg_memory {
    /* [batch, time, …], or of heads [batch, heads, time, …]; as the score reads them */
    sg_tensor *values, *keys;
    sg_tensor *mask; /* u8 [batch, 1, time], or NULL */
    sg_tensor *size; /* of a window: lengths [batch, 1, 1] */
    /* [batch, time], NULL or set between steps, of one query each: the weights so far, added up */
    sg_tensor *coverage;
    /* [batch, queries] or NULL: where windows stand, instead of p; then nothing is multiplied
     * ("local m") */
    sg_tensor *position;
} sg_memory;
SG_API sg_memory sg_remember(const sg_attention *a, sg_tensor *values, const int *lengths);

typedef struct sg_attended {
    sg_tensor *context; /* [batch, key], or [batch, queries, key] */
    sg_tensor *weights; /* [batch, time], or [batch, queries, time]; rows sum to 1, those over an
                           empty sequence are 0; the mean of several heads' */
} sg_attended;
/* query: [batch, query], or [batch, queries, query] for several at once. */
SG_API sg_attended sg_attend(const sg_attention *a, const sg_memory *m, sg_tensor *query);

/* What coverage costs: sum over time of min(weights, coverage), [batch] (See et al. 2017). */
SG_API sg_tensor *sg_coverage_loss(sg_tensor *weights, sg_tensor *coverage);

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

/* ---- many heads ----------------------------------------------------------------------------- */

/* softmax(q k' / sqrt(d)) v of each head, of d = size / heads features, joined, times Wo (Vaswani
 * et al. 2017). From PyTorch's MultiheadAttention, ' a transpose: qkv = in_proj_weight',
 * in_proj_bias; to another sequence q is their first `size` columns, kv the rest; out =
 * out_proj.weight', .bias. */
typedef struct sg_heads {
    int heads;
    sg_affine qkv;   /* [size, 3 size]: of attention of a sequence to itself; */
    sg_affine q, kv; /* [size, size], [memory, 2 size]: to another one */
    sg_affine out;   /* [size, size] */
    bool rotary;
    double dropout; /* of weights, in training mode */
} sg_heads;

typedef struct sg_heads_options {
    sg_context *g;
    const char *name;
    int size, heads; /* size is a multiple of heads */
    int memory;      /* features of what is attended to; 0: the sequence itself */
    bool rotary;     /* positions turn q and k (Su et al. 2021); only within one sequence */
    double dropout;
    sg_dtype dtype;
    int end_;
} sg_heads_options;
/* Parameters NAME.qkv, or NAME.q, .kv; NAME.out (linear). */
#define sg_make_heads(...) sg_make_heads_((sg_heads_options){__VA_ARGS__, .end_ = 0})
SG_API sg_heads sg_make_heads_(sg_heads_options o);
/* x [batch, queries, size] to memory [batch, time, ..], or NULL: to itself. mask: u8, 1 where a key
 * may be seen, broadcast to [batch, heads, queries, time]; or NULL. The result's weights are
 * [batch, heads, queries, time]. */
SG_API sg_attended sg_attend_heads(const sg_heads *a, sg_tensor *x, sg_tensor *memory,
                                   sg_tensor *mask);

/* x [.., time, d] at positions start, start + 1, …: pairs of features i, i + d/2 (as in GPT-NeoX
 * and LLaMA; Su et al. have 2i, 2i + 1) turned by the angle position / 10000^(2i/d). q . k then
 * depends on the distance of their positions only. */
SG_API sg_tensor *sg_rotate(sg_tensor *x, int64_t start);
/* [time, size]: sin(position / 10000^(2i/size)) at feature 2i, cos at 2i + 1. */
SG_API sg_tensor *sg_sinusoids(sg_context *g, sg_dtype dtype, int64_t start, int64_t time,
                               int64_t size);
/* u8 [queries, keys]: 1 where key <= query + keys - queries: the past, and itself. */
SG_API sg_tensor *sg_causal_mask(sg_context *g, int64_t queries, int64_t keys);

/* ---- Transformer ---------------------------------------------------------------------------- */

typedef enum { SG_SINUSOID, SG_ROTARY, SG_LEARNED, SG_NO_POSITIONS } sg_positions;
enum { SG_MAX_BLOCKS = 24 };

typedef struct sg_transformer_options {
    sg_context *g;
    const char *name;
    int size, heads, layers;
    int wide;    /* of the layers by position; 0 means 4 size */
    bool causal; /* elements see the past only: a language model, a decoder */
    int memory;  /* a decoder: features of the encoder's states; 0: none */
    sg_positions positions;
    int most;       /* LEARNED: how many positions */
    bool post_norm; /* x = LN(x + u(x)), as published first; else x + u(LN(x)), and LN at the end */
    bool relu;      /* f, instead of gelu */
    double dropout; /* of the sum of input and position, weights, and all that is added */
    bool checkpoint; /* sg_checkpoint each block: less memory, a third more to compute */
    sg_dtype dtype;
    int end_;
} sg_transformer_options;

/* From PyTorch's layers: self, cross = self_attn, multihead_attn; widen, narrow = linear1, linear2;
 * norm[0], norm[2] = norm1, norm2 of TransformerEncoderLayer; norm[0], norm[1], norm[2] = norm1,
 * norm2, norm3 of TransformerDecoderLayer; post_norm = !norm_first. */
typedef struct sg_block {
    sg_heads self, cross;
    sg_affine widen, narrow;
    sg_norm norm[3]; /* of self, cross, and the layers by position */
} sg_block;

/* Blocks of such parts u: heads(x, x), masked if causal; of a decoder heads(x, memory); by position
 * f(x W1 + b1) W2 + b2, with W1 of widen, W2 of narrow (Vaswani et al. 2017). Parameters
 * NAME.block0.self, .cross (heads), .widen, .narrow (linear), .norm0, .norm1, .norm2, …; NAME.last
 * (norm), NAME.position. The name is not kept. */
typedef struct sg_transformer {
    sg_transformer_options o;
    sg_block block[SG_MAX_BLOCKS];
    sg_norm last;
    sg_tensor *position; /* [most, size] */
} sg_transformer;
#define sg_make_transformer(...)                                                                   \
    sg_make_transformer_((sg_transformer_options){__VA_ARGS__, .end_ = 0})
SG_API sg_transformer sg_make_transformer_(sg_transformer_options o);

/* Keys and values of all elements so far, [batch, heads, time, d] by block, and those of the memory
 * with its mask: with a cache, sg_transform goes on where it ended. */
typedef struct sg_cache {
    int64_t time;
    sg_tensor *k[SG_MAX_BLOCKS], *v[SG_MAX_BLOCKS];
    sg_tensor *memory_k[SG_MAX_BLOCKS], *memory_v[SG_MAX_BLOCKS], *memory_mask;
} sg_cache;
/* An empty one, over a memory if the model has one; both as in sg_transform. */
SG_API sg_cache sg_begin_cache(const sg_transformer *m, int batch, sg_tensor *memory,
                               const int *memory_lengths);

typedef struct sg_transform_options {
    const sg_transformer *model;
    sg_tensor *x; /* [batch, time, size]: embeddings, without positions */
    const int *lengths;
    sg_tensor *memory; /* [batch, .., memory] */
    const int *memory_lengths;
    sg_cache *cache; /* if given, x goes on where it ended; causal, without lengths and memory */
    sg_tensor **weights; /* if wanted, those of the last block: of cross, or else of self */
    int end_;
} sg_transform_options;
/* [batch, time, size], 0 behind the lengths. A language model is h = sg_transform(&m, sg_take(E,
 * ids)) and sg_apply(sg_tied("out", E), h). */
#define sg_transform(...) sg_transform_((sg_transform_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_transform_(sg_transform_options o);

#ifdef __cplusplus
}
#endif

#endif
