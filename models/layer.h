/*
 * seqgrad layers: linear maps, embeddings, norms, dropout, ways to join vectors; losses.
 * A chapter of models.h, where the conventions are.
 */
#ifndef SG_LAYER_H
#define SG_LAYER_H

#include "ops/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- linear, embedding, dropout ------------------------------------------------------------- */

typedef struct sg_affine {
    sg_tensor *w, *b; /* [in, out], [out] or NULL */
} sg_affine;

typedef struct sg_linear_options {
    sg_context *g;
    const char *name;
    int in, out;
    bool no_bias;
    sg_init init; /* of w; b starts at 0 */
    double gain;
    sg_dtype dtype;
    int end_;
} sg_linear_options;
/* y = x W + b, with parameters NAME.w and NAME.b.
 * sg_affine out = sg_linear(g, "out", .in = 128, .out = 10); y = sg_apply(out, x); */
#define sg_linear(...) sg_linear_((sg_linear_options){__VA_ARGS__, .end_ = 0})
SG_API sg_affine sg_linear_(sg_linear_options o);
SG_API sg_tensor *sg_apply(sg_affine a, sg_tensor *x); /* [..., in] -> [..., out] */

/* A single layer y = f(x W + b) is sg_activate(sg_apply(a, x), SG_TANH). */
typedef enum { SG_TANH, SG_RELU, SG_IDENTITY, SG_SIGMOID, SG_GELU } sg_activation;
SG_API sg_tensor *sg_activate(sg_tensor *x, sg_activation f);

/* Layer normalization over the last axis (Ba et al. 2016): y = gain * (x - mean) / sqrt(variance +
 * 1e-5) + bias, with parameters NAME.gain, of 1, and NAME.bias, of 0. */
typedef struct sg_norm {
    sg_tensor *gain, *bias; /* [size] */
} sg_norm;
SG_API sg_norm sg_make_norm(sg_context *g, const char *name, int size, sg_dtype dtype);
SG_API sg_tensor *sg_normalize(sg_norm n, sg_tensor *x);

typedef struct sg_embedding_options {
    sg_context *g;
    const char *name;
    int count, size; /* rows, features */
    double gain;     /* N(0, gain); 0 means 1 / sqrt(size) */
    sg_dtype dtype;
    int end_;
} sg_embedding_options;
/* A table E, the parameter NAME [count, size]: sg_take(E, ids) looks rows up, the same as one-hot
 * rows times E. sg_freeze leaves it as it is, sg_vectors_fill begins with others' vectors. */
#define sg_embedding(...) sg_embedding_((sg_embedding_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_embedding_(sg_embedding_options o);
/* An output layer that shares its weights with a table [count, size] (Press & Wolf 2017): y = x E'
 * + b, with E' the table's transpose and b a parameter NAME.b. A view of the table: made anew in
 * every step. */
SG_API sg_affine sg_tied(const char *name, sg_tensor *table);

/* In training mode: each element is 0 with probability p, else divided by 1 - p; otherwise x. */
SG_API sg_tensor *sg_dropout(sg_tensor *x, double p);

/* ---- fusion of extra information ------------------------------------------------------------ */

typedef enum {
    SG_FUSE_CONCAT,   /* [h; z]: of more features, so not for the state */
    SG_FUSE_ADD,      /* h + z, of one size; with `project`: h + z Wz */
    SG_FUSE_MEAN,     /* (h + z) / 2 */
    SG_FUSE_RESTORED, /* [h; z] Wc, back to h's size */
    SG_FUSE_MLP       /* f(h Wh + z Wz + b): the sum form, of `out` features */
} sg_fusion_kind;

/* A way to join z to h: an encoding of something else, the other direction of a sequence (Hoang et
 * al. 2016 compare some of them). It may stand on the side of
 *     the input:  sg_unroll(cell, sg_fuse(&f, x, z));
 *     the state:  cell.fusion = f, cell.z = z: each step sees the fused h, of the size of h;
 *     the output: sg_apply(out, sg_fuse(&f, h, z)).
 * Sizes that do not fit are errors (SG_BAD_SHAPE) that tell both. */
typedef struct sg_fusion {
    sg_fusion_kind kind;
    sg_activation f;
    int h, z;               /* their sizes; 0: as they come, where there are no weights */
    sg_tensor *wh, *wz, *b; /* [h, out], [z, out], [out]; Wc is [h + z, h], in wh */
} sg_fusion;

typedef struct sg_fusion_options {
    sg_context *g;
    const char *name;
    sg_fusion_kind kind;
    int h, z;                 /* sizes */
    int out;                  /* MLP; 0 means h */
    bool project;             /* ADD */
    sg_activation activation; /* MLP */
    sg_dtype dtype;
    int end_;
} sg_fusion_options;
/* Parameters NAME.wz (ADD, projected), NAME.wc (RESTORED), or NAME.wh, .wz, .b (MLP). Those of the
 * other kinds have none, and may be written as they are: (sg_fusion){SG_FUSE_MEAN}. */
#define sg_make_fusion(...) sg_make_fusion_((sg_fusion_options){__VA_ARGS__, .end_ = 0})
SG_API sg_fusion sg_make_fusion_(sg_fusion_options o);
/* h [batch, h] or [batch, time, h]; z [batch, z], the same at all steps, or [batch, time, z]. */
SG_API sg_tensor *sg_fuse(const sg_fusion *f, sg_tensor *h, sg_tensor *z);

/* ---- losses --------------------------------------------------------------------------------- */

typedef struct sg_label_loss_options {
    sg_tensor *logits;     /* [batch, time, classes] */
    const int32_t *labels; /* batch * time of them, copied */
    const int *lengths;
    double smoothing; /* as in sg_cross_entropy */
    int end_;
} sg_label_loss_options;
typedef struct sg_loss {
    sg_tensor *sum;  /* of -log p(label) over real tokens */
    sg_tensor *mean; /* sum / tokens; 0 of none */
    int64_t tokens;
} sg_loss;
#define sg_label_loss(...) sg_label_loss_((sg_label_loss_options){__VA_ARGS__, .end_ = 0})
SG_API sg_loss sg_label_loss_(sg_label_loss_options o);

/* ---- scheduled sampling --------------------------------------------------------------------- */

/* How probable true tokens are as inputs at a step i of training (Bengio et al. 2015): max(floor, k
 * - slope i), 1 at most; k^i, k < 1; k / (k + exp(i / k)), k >= 1. NaN with another k. */
typedef enum { SG_TRUTH_LINEAR, SG_TRUTH_EXPONENTIAL, SG_TRUTH_INVERSE_SIGMOID } sg_truth_kind;
typedef struct sg_truth {
    sg_truth_kind kind;
    double k, slope, floor;
} sg_truth;
SG_API double sg_truth_rate(const sg_truth *s, int64_t step);
/* For each row of true tokens i32 [batch]: it, or with probability 1 - rate the most probable of
 * the logits [batch, classes]. */
SG_API sg_tensor *sg_truth_or_guess(sg_tensor *tokens, sg_tensor *logits, double rate);

/* ---- structured outputs --------------------------------------------------------------------- */

/* A linear-chain conditional random field over labels (Lafferty et al. 2001): score(y) = start[y_1]
 * + sum scores[t, y_t] + sum transition[y_t, y_t+1] + stop[y_n], p(y) = exp(score(y)) / Z. */
typedef struct sg_crf {
    sg_tensor *transition, *start, *stop; /* [classes, classes] from, to; [classes] */
} sg_crf;
/* Parameters NAME.transition, .start, .stop, which start at 0. */
SG_API sg_crf sg_make_crf(sg_context *g, const char *name, int classes, sg_dtype dtype);
/* -log p(labels) by row, [batch], 0 of empty ones; log Z is the sum over all paths by logsumexp,
 * step by step. scores [batch, time, classes]; labels: batch * time of them, copied. */
SG_API sg_tensor *sg_crf_loss(const sg_crf *p, sg_tensor *scores, const int32_t *labels,
                              const int *lengths);
/* The most probable labels (Viterbi 1967), the smallest of equals: labels [batch * time], -1 behind
 * a length; score [batch], if not NULL. */
SG_API sg_status sg_crf_viterbi(const sg_crf *p, sg_tensor *scores, const int *lengths,
                                int32_t *labels, double *score);

typedef struct sg_ctc_options {
    sg_tensor *logits; /* [batch, time, classes] */
    const int *lengths;
    const int32_t *labels;    /* [batch, most], none of them blank; copied */
    const int *label_lengths; /* [batch]; NULL: all are `most` long */
    int most, blank;
    bool zero_infinity; /* rows too short for their labels cost 0 instead of infinity */
    int end_;
} sg_ctc_options;
/* Connectionist temporal classification (Graves et al. 2006): -log p(l | x), by row: [batch]. p(l |
 * x) = sum over alignments a, with B(a) = l, of prod_t y_t[a_t], where y_t = softmax(logits_t), and
 * B takes out repetitions, then blanks. The gradient of an impossible row is 0. */
#define sg_ctc_loss(...) sg_ctc_loss_((sg_ctc_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_ctc_loss_(sg_ctc_options o);

#ifdef __cplusplus
}
#endif

#endif
