/*
 * seqgrad ops: everything that can be computed on a graph, under NumPy's names.
 *
 * Operands broadcast as in NumPy where an op works by element. Negative axes count from the end.
 * Every op that is defined for floats takes f32 and f64, all operands alike; what else an op takes
 * is said beside it: "any" is f32, f64, i32, u8. Every op's result is one new tensor; what is wrong
 * with a call becomes the context's error. Derivatives exist to every order unless said otherwise.
 */
#ifndef SG_OPS_H
#define SG_OPS_H

#include "core/core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- by element, one operand -------------------------------------------------------------- */

SG_API sg_tensor *sg_neg(sg_tensor *x); /* f32 f64 i32 */
SG_API sg_tensor *sg_exp(sg_tensor *x);
SG_API sg_tensor *sg_expm1(sg_tensor *x);
SG_API sg_tensor *sg_log(sg_tensor *x);
SG_API sg_tensor *sg_log1p(sg_tensor *x);
SG_API sg_tensor *sg_sqrt(sg_tensor *x);
SG_API sg_tensor *sg_rsqrt(sg_tensor *x); /* x^(-1/2) */
SG_API sg_tensor *sg_tanh(sg_tensor *x);
SG_API sg_tensor *sg_sigmoid(sg_tensor *x); /* 1 / (1 + e^-x), by e^-|x| */
SG_API sg_tensor *sg_relu(sg_tensor *x);    /* max(x, 0); its derivative at 0 is 0 */
SG_API sg_tensor *sg_erf(sg_tensor *x);
SG_API sg_tensor *sg_gelu(sg_tensor *x); /* x Phi(x), with erf (Hendrycks & Gimpel 2016) */
SG_API sg_tensor *sg_sin(sg_tensor *x);
SG_API sg_tensor *sg_cos(sg_tensor *x);
SG_API sg_tensor *sg_abs(sg_tensor *x);      /* f32 f64 i32; its derivative at 0 is 0 */
SG_API sg_tensor *sg_sign(sg_tensor *x);     /* f32 f64 i32: -1, 0, 1; its derivative is 0 */
SG_API sg_tensor *sg_softplus(sg_tensor *x); /* log(1 + e^x) */
SG_API sg_tensor *sg_silu(sg_tensor *x);     /* x sigmoid(x) */
SG_API sg_tensor *sg_square(sg_tensor *x);

/* Another type: floats to integers toward zero (NaN gives 0, too large the largest), anything to u8
 * modulo 256 after that. The derivative passes between floats. Any. */
SG_API sg_tensor *sg_cast(sg_tensor *x, sg_dtype dtype);

/* ---- by element, two or three operands ---------------------------------------------------- */

SG_API sg_tensor *sg_add(sg_tensor *x, sg_tensor *y); /* f32 f64 i32 */
SG_API sg_tensor *sg_sub(sg_tensor *x, sg_tensor *y); /* f32 f64 i32 */
SG_API sg_tensor *sg_mul(sg_tensor *x, sg_tensor *y); /* f32 f64 i32 */
SG_API sg_tensor *sg_div(sg_tensor *x, sg_tensor *y);
SG_API sg_tensor *sg_pow(sg_tensor *x, sg_tensor *y); /* derivatives need x > 0 */
/* f32 f64 i32; where x = y the gradient goes to x. NaN in either gives NaN. */
SG_API sg_tensor *sg_maximum(sg_tensor *x, sg_tensor *y);
SG_API sg_tensor *sg_minimum(sg_tensor *x, sg_tensor *y);

/* Comparisons of any type give u8: 0 or 1. */
SG_API sg_tensor *sg_equal(sg_tensor *x, sg_tensor *y);
SG_API sg_tensor *sg_not_equal(sg_tensor *x, sg_tensor *y);
SG_API sg_tensor *sg_less(sg_tensor *x, sg_tensor *y);
SG_API sg_tensor *sg_less_equal(sg_tensor *x, sg_tensor *y);
SG_API sg_tensor *sg_greater(sg_tensor *x, sg_tensor *y);
SG_API sg_tensor *sg_greater_equal(sg_tensor *x, sg_tensor *y);
SG_API sg_tensor *sg_logical_and(sg_tensor *x, sg_tensor *y); /* u8 */
SG_API sg_tensor *sg_logical_or(sg_tensor *x, sg_tensor *y);  /* u8 */
SG_API sg_tensor *sg_logical_not(sg_tensor *x);               /* u8 */

/* x where condition (u8) is not 0, else y: a selection, so a NaN that is not selected does no
 * harm, forward or backward. Any. */
SG_API sg_tensor *sg_where(sg_tensor *condition, sg_tensor *x, sg_tensor *y);

/* ---- reductions --------------------------------------------------------------------------- */

/* Over one axis, or SG_ALL_AXES; keep leaves an axis of size 1 in its place. */
enum { SG_ALL_AXES = 1 << 16 };
SG_API sg_tensor *sg_sum(sg_tensor *x, int axis, bool keep); /* f32 f64 i32; empty gives 0 */
SG_API sg_tensor *sg_mean(sg_tensor *x, int axis, bool keep);
SG_API sg_tensor *sg_max(sg_tensor *x, int axis,
                         bool keep); /* f32 f64 i32; first index wins ties */
SG_API sg_tensor *sg_min(sg_tensor *x, int axis, bool keep);       /* as sg_max */
SG_API sg_tensor *sg_argmax(sg_tensor *x, int axis, bool keep);    /* i32; any; the first of ties */
SG_API sg_tensor *sg_logsumexp(sg_tensor *x, int axis, bool keep); /* all -inf gives -inf */
SG_API sg_tensor *sg_cumsum(sg_tensor *x, int axis);               /* f32 f64 i32 */

/* ---- matmul ------------------------------------------------------------------------------- */

/* x[..., m, k] . y[..., k, n] = [..., m, n], leading axes broadcast. Of rank 1, x is a row and y a
 * column whose axis is dropped from the result. */
SG_API sg_tensor *sg_matmul(sg_tensor *x, sg_tensor *y);

/* ---- views and copies --------------------------------------------------------------------- */

SG_API sg_tensor *sg_transpose(sg_tensor *x, int axis1, int axis2); /* swaps two axes; any */
SG_API sg_tensor *sg_permute(sg_tensor *x, const int *axes);        /* rank(x) of them; any */
SG_API sg_tensor *sg_expand_dims(sg_tensor *x, int axis); /* axis of size 1 before that position */
SG_API sg_tensor *sg_squeeze(sg_tensor *x, int axis);     /* drops an axis of size 1 */
/* x[start:stop:step] along one axis, as in NumPy (negative start and stop count from the end, both
 * are clipped); step is not 0, and may be negative. Any. */
SG_API sg_tensor *sg_slice(sg_tensor *x, int axis, int64_t start, int64_t stop, int64_t step);
#define SG_END INT64_MAX /* as stop: to the end; with a negative step: to the beginning */
SG_API sg_tensor *sg_index(sg_tensor *x, int axis,
                           int64_t i);             /* one element of the axis, dropped */
SG_API sg_tensor *sg_flip(sg_tensor *x, int axis); /* any */
/* `before` and `after` elements of value along one axis. Any. */
SG_API sg_tensor *sg_pad(sg_tensor *x, int axis, int64_t before, int64_t after, double value);
/* x with [start, start + dim(y)) of the axis replaced by y. Any. */
SG_API sg_tensor *sg_slice_update(sg_tensor *x, sg_tensor *y, int axis, int64_t start);
#define sg_concat(axis, ...) sg_concat_((axis), SG_LIST_(__VA_ARGS__))
SG_API sg_tensor *sg_concat_(int axis, int n, sg_tensor *const *xs); /* any */
#define sg_stack(axis, ...) sg_stack_((axis), SG_LIST_(__VA_ARGS__))
SG_API sg_tensor *sg_stack_(int axis, int n, sg_tensor *const *xs); /* along a new axis; any */
/* n equal parts of an axis, into parts[0..n). Any. */
SG_API void sg_split(sg_tensor *x, int axis, int n, sg_tensor **parts);

/* ---- index -------------------------------------------------------------------------------- */

/* Rows of x by index: result[..., j...] = x[i[...], j...]: an embedding. i is i32, of any shape; an
 * index outside [0, dim 0) is an error when it is met. x any. */
SG_API sg_tensor *sg_take(sg_tensor *x, sg_tensor *i);
/* zeros[rows, ...] with row y[k] added at i[k], in the order of k: the adjoint of sg_take. */
SG_API sg_tensor *sg_scatter_add(sg_tensor *y, sg_tensor *i, int64_t rows);
/* u8 [rows, 1, ...], 1 for the rows of x that something was added to, if x is of sg_scatter_add or
 * a sum of such, as the gradient of a table is by which sg_take looked up rows; else NULL. */
SG_API sg_tensor *sg_touched(sg_tensor *x);
/* result[.., k, ..] = x[.., i[.., k, ..], ..] along axis; other sizes are equal. x any. */
SG_API sg_tensor *sg_take_along_axis(sg_tensor *x, sg_tensor *i, int axis);
/* Its adjoint: zeros with `size` elements along axis, y added at i. */
SG_API sg_tensor *sg_scatter_add_along_axis(sg_tensor *y, sg_tensor *i, int axis, int64_t size);
/* A new last axis of n with 1 at i; an index outside [0, n) gives a row of zeros. */
SG_API sg_tensor *sg_one_hot(sg_tensor *i, int64_t n, sg_dtype dtype);
/* The stable order of the axis, as i32 indices; NaN last. Any. */
SG_API sg_tensor *sg_argsort(sg_tensor *x, int axis, bool descending);
SG_API sg_tensor *sg_sort(sg_tensor *x, int axis, bool descending);
/* The k largest along axis, in descending order, and where they are (may be NULL). */
SG_API sg_tensor *sg_topk(sg_tensor *x, int axis, int64_t k, sg_tensor **indices);
/* The first lengths[b] elements of axis 1 (time) in reverse order, the others in place; x is
 * [batch, time, ...]; lengths is an array of batch numbers, 0..time, copied. Any. */
SG_API sg_tensor *sg_reverse_sequence(sg_tensor *x, const int *lengths);
/* Windows of `size` elements of an axis at every `step`: the axis becomes their number and a new
 * last axis holds them. Any. */
SG_API sg_tensor *sg_unfold(sg_tensor *x, int axis, int64_t size, int64_t step);
/* Its adjoint: the windows, the last axis of x, added into an axis of `length`. The axis is counted
 * in the result, so that sg_fold(sg_unfold(x, -1, ...), -1, ...) has x's shape. */
SG_API sg_tensor *sg_fold(sg_tensor *x, int axis, int64_t length, int64_t step);
/* u8 [batch, time]: 1 where t < lengths[b]. */
SG_API sg_tensor *sg_length_mask(sg_context *g, int batch, int64_t time, const int *lengths);

/* ---- softmax, loss, norm: fused kernels with a composition that defines them ---------------- */

/* Along the last axis. mask (u8, broadcast to x; NULL: none): masked elements get 0; a row that is
 * masked altogether is all 0, with gradient 0. */
SG_API sg_tensor *sg_softmax(sg_tensor *x, sg_tensor *mask);
SG_API sg_tensor *sg_log_softmax(sg_tensor *x);

typedef struct sg_cross_entropy_options {
    sg_tensor *logits; /* [..., classes] */
    sg_tensor *labels; /* [...], i32 */
    bool ignore;       /* labels equal to ignored_label give 0, with gradient 0 */
    int ignored_label;
    double smoothing; /* the label's share becomes 1 - smoothing + smoothing / classes */
    int end_;
} sg_cross_entropy_options;
/* -log softmax(logits)[label], per row: [...]. sg_cross_entropy(logits, labels, .ignore = true) */
#define sg_cross_entropy(...) sg_cross_entropy_((sg_cross_entropy_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_cross_entropy_(sg_cross_entropy_options o);

/* (x - mean) / sqrt(var + epsilon) * gain + bias along the last axis (Ba et al. 2016). */
SG_API sg_tensor *sg_layer_norm(sg_tensor *x, sg_tensor *gain, sg_tensor *bias, double epsilon);

/* ---- random ------------------------------------------------------------------------------- */

/* Drawn by Philox 4x32-10 from (seed, reset count, site, row, column): a row's numbers do not
 * depend on the rows beside it, and computing a node again gives the same. f32 or f64. */
SG_API sg_tensor *sg_random_uniform(sg_context *g, sg_dtype dtype, sg_shape shape); /* [0, 1) */
SG_API sg_tensor *sg_random_normal(sg_context *g, sg_dtype dtype, sg_shape shape);  /* N(0, 1) */
SG_API sg_tensor *sg_random_bernoulli(sg_context *g, sg_shape shape, double p);     /* u8 */

/* GF/s of one thread at a product that suits this CPU, measured in some milliseconds: what the
 * rates of a profile are compared with. */
SG_API double sg_peak(const sg_context *g);

#ifdef __cplusplus
}
#endif

#endif
