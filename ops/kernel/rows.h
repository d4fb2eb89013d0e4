/*
 * Kernels over one contiguous row, for reductions and fused ops of a last axis: one set for each
 * float type and instruction set.
 *
 * A sum gives element i to lane i mod 16 and folds the lanes in halves, as core's sums do: zeros
 * appended to a row change nothing, and a row's result does not depend on where the row stands.
 * y may be x.
 */
#ifndef SG_KERNEL_ROWS_H
#define SG_KERNEL_ROWS_H

#include "core/core.h"

typedef struct sg__row_kernels {
    /* The largest element, or the least, into y[0]; NaN if there is one; n > 0. */
    void (*max)(int64_t n, void *y, const void *x);
    void (*min)(int64_t n, void *y, const void *x);
    /* log(sum(exp(x))) into y[0] */
    void (*logsumexp)(int64_t n, void *y, const void *x);
    /* Where mask (NULL: all ones) is 0, y becomes 0; all of it if all are masked or -inf. */
    void (*softmax)(int64_t n, void *y, const void *x, const uint8_t *mask);
    void (*log_softmax)(int64_t n, void *y, const void *x);
    /* Into y[0]: the cross-entropy of softmax(x) against a share of 1 - rest at the label, and
     * rest / n everywhere. */
    void (*cross_entropy)(int64_t n, void *y, const void *x, int64_t label, double rest);
    /* Its gradient by x, times g[0]; loss[0] is what cross_entropy made. */
    void (*cross_entropy_grad)(int64_t n, void *y, const void *x, int64_t label, double rest,
                               const void *g, const void *loss);
    /* (x - mean) / sqrt(var + epsilon) * gain + bias */
    void (*layer_norm)(int64_t n, void *y, const void *x, const void *gain, const void *bias,
                       double epsilon);
} sg__row_kernels;

/* By float type (SG_F32, SG_F64) and instruction set. */
extern const sg__row_kernels *const sg__row_kernels_of[2][SG_ISAS];

#endif
