/* Rows of the ops that combine elements: reduce.c, matmul.c, softmax.c, loss.c, norm.c, and of
 * those that draw: random.c. Last axes of 19 are a block of 16 lanes and a rest. */
#include "tests/op_table.h"

#include <math.h>

enum { NUMBERS = SG_FLOATS | 1 << SG_I32 };

/* ---- reductions ----------------------------------------------------------------------------- */

typedef double fold_of(double sum, double v);

static double plus(double sum, double v)
{
    return sum + v;
}

static double larger(double sum, double v)
{
    return v > sum ? v : sum;
}

static double smaller(double sum, double v)
{
    return v < sum ? v : sum;
}

static double plus_exp(double sum, double v)
{
    return sum + exp(v);
}

/* n elements of an array, from `start` by `step` */
static double fold(fold_of *f, double from, const op_array *a, int64_t start, int64_t n,
                   int64_t step)
{
    for (int64_t k = 0; k < n; k++)
        from = f(from, a->v[start + k * step]);
    return from;
}

#define FIRST(f, from)  fold(f, from, &in[0], i[rank - 1], DIM(0, 0), DIM(0, 1))
#define SECOND(f, from) fold(f, from, &in[0], i[0] * DIM(0, 1), DIM(0, 1), 1)
#define WHOLE(f, from)  fold(f, from, &in[0], 0, DIM(0, 0) * DIM(0, 1), 1)

BUILD(sum_0, sg_sum(x[0], 0, true))
REFERENCE(sum_0_reference, FIRST(plus, 0))
BUILD(sum_1, sg_sum(x[0], -1, false))
REFERENCE(sum_1_reference, SECOND(plus, 0))
BUILD(sum_middle, sg_sum(x[0], 1, false))
REFERENCE(sum_middle_reference,
          fold(plus, 0, &in[0], i[0] * DIM(0, 1) * DIM(0, 2) + i[1], DIM(0, 1), DIM(0, 2)))
BUILD(sum_all, sg_sum(x[0], SG_ALL_AXES, false))
REFERENCE(sum_all_reference, WHOLE(plus, 0))
BUILD(sum_squares, sg_sum(sg_square(x[0]), SG_ALL_AXES, true))

BUILD(mean_0, sg_mean(x[0], 0, false))
REFERENCE(mean_0_reference, FIRST(plus, 0) / (double)DIM(0, 0))
BUILD(mean_1, sg_mean(x[0], 1, true))
REFERENCE(mean_1_reference, SECOND(plus, 0) / (double)DIM(0, 1))
BUILD(mean_all, sg_mean(x[0], SG_ALL_AXES, false))
REFERENCE(mean_all_reference, WHOLE(plus, 0) / (double)(DIM(0, 0) * DIM(0, 1)))

BUILD(max_0, sg_max(x[0], 0, false))
REFERENCE(max_0_reference, FIRST(larger, -INFINITY))
BUILD(max_1, sg_max(x[0], 1, true))
REFERENCE(max_1_reference, SECOND(larger, -INFINITY))
BUILD(max_all, sg_max(x[0], SG_ALL_AXES, false))
REFERENCE(max_all_reference, WHOLE(larger, -INFINITY))
BUILD(min_0, sg_min(x[0], 0, true))
REFERENCE(min_0_reference, FIRST(smaller, INFINITY))
BUILD(min_1, sg_min(x[0], 1, false))
REFERENCE(min_1_reference, SECOND(smaller, INFINITY))
BUILD(min_all, sg_min(x[0], SG_ALL_AXES, true))
REFERENCE(min_all_reference, WHOLE(smaller, INFINITY))

BUILD(argmax_1, sg_argmax(x[0], 1, false))
static double argmax_1_reference(const op_array *in, const int64_t *i, int rank)
{
    int64_t best = 0;
    (void)rank;
    for (int64_t k = 1; k < DIM(0, 1); k++)
        best = AT(0, i[0], k) > AT(0, i[0], best) ? k : best;
    return (double)best;
}
BUILD(argmax_0, sg_transpose(sg_argmax(sg_transpose(x[0], 0, 1), 0, true), 0, 1))

BUILD(logsumexp_1, sg_logsumexp(x[0], 1, false))
REFERENCE(logsumexp_1_reference, log(SECOND(plus_exp, 0)))
BUILD(logsumexp_0, sg_logsumexp(x[0], 0, true))
REFERENCE(logsumexp_0_reference, log(FIRST(plus_exp, 0)))
BUILD(logsumexp_all, sg_logsumexp(x[0], SG_ALL_AXES, false))
REFERENCE(logsumexp_all_reference, log(WHOLE(plus_exp, 0)))

BUILD(cumsum_1, sg_cumsum(x[0], 1))
REFERENCE(cumsum_1_reference, fold(plus, 0, &in[0], i[0] * DIM(0, 1), i[1] + 1, 1))
BUILD(cumsum_0, sg_cumsum(x[0], 0))
REFERENCE(cumsum_0_reference, fold(plus, 0, &in[0], i[1], i[0] + 1, DIM(0, 1)))

/* ---- matmul --------------------------------------------------------------------------------- */

/* the sum of the products of n elements of both operands, each from a start by a step */
static double dot(const op_array *in, int64_t n, int64_t start, int64_t step, int64_t start2,
                  int64_t step2)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += in[0].v[start + k * step] * in[1].v[start2 + k * step2];
    return sum;
}

BUILD(build_matmul, sg_matmul(x[0], x[1]))
REFERENCE(matmul_reference, dot(in, DIM(0, 1), i[0] * DIM(0, 1), 1, i[1], DIM(1, 1)))
REFERENCE(row_reference, dot(in, DIM(0, 0), 0, 1, i[0], DIM(1, 1)))
REFERENCE(column_reference, dot(in, DIM(0, 1), i[0] * DIM(0, 1), 1, 0, 1))
REFERENCE(dot_reference, dot(in, DIM(0, 0), 0, 1, 0, 1))
REFERENCE(batch_reference, dot(in, DIM(0, 2), (i[0] * DIM(0, 1) + i[1]) * DIM(0, 2), 1,
                               i[0] * DIM(1, 1) * DIM(1, 2) + i[2], DIM(1, 2)))
REFERENCE(shared_reference,
          dot(in, DIM(0, 2), (i[0] * DIM(0, 1) + i[1]) * DIM(0, 2), 1, i[2], DIM(1, 1)))
/* x [2,1,m,k], y [3,k,n] */
REFERENCE(broadcast_reference, dot(in, DIM(0, 3), (i[0] * DIM(0, 2) + i[2]) * DIM(0, 3), 1,
                                   i[1] * DIM(1, 1) * DIM(1, 2) + i[3], DIM(1, 2)))
BUILD(matmul_transposed, sg_matmul(sg_transpose(x[0], 0, 1), sg_transpose(x[1], 0, 1)))
REFERENCE(transposed_reference, dot(in, DIM(0, 0), i[0], DIM(0, 1), i[1] * DIM(1, 1), 1))
BUILD(matmul_same, sg_matmul(x[0], x[0]))

/* ---- softmax, loss, norm -------------------------------------------------------------------- */

static double shares(const op_array *x, const double *mask, int64_t row, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += mask && mask[k] == 0 ? 0 : exp(x->v[row * n + k]);
    return sum;
}

#define SOFTMAX(mask) (exp(AT(0, i[0], i[1])) / shares(&in[0], mask, i[0], DIM(0, 1)))

BUILD(build_softmax, sg_softmax(x[0], NULL))
REFERENCE(softmax_reference, SOFTMAX(NULL))
BUILD(softmax_masked, sg_softmax(x[0], x[1]))
REFERENCE(softmax_masked_reference,
          AT(1, i[0], i[1]) == 0 ? 0 : SOFTMAX(in[1].v + i[0] * DIM(0, 1)))
/* what is masked is NaN */
BUILD(softmax_holes, sg_softmax(sg_where(x[1], x[0], OP_NAN(x[0])), x[1]))
REFERENCE(softmax_rows_reference, AT(1, i[0], 0) == 0 ? 0 : SOFTMAX(NULL))
REFERENCE(softmax_columns_reference, AT(1, i[1]) == 0 ? 0 : SOFTMAX(in[1].v))

BUILD(build_log_softmax, sg_log_softmax(x[0]))
REFERENCE(log_softmax_reference, log(SOFTMAX(NULL)))

#define LABEL       ((int64_t)AT(1, i[0]))
#define NATS(label) (log(shares(&in[0], NULL, i[0], DIM(0, 1))) - AT(0, i[0], label))
#define MEAN        (SECOND(plus, 0) / (double)DIM(0, 1))
#define MEAN_NATS   (log(shares(&in[0], NULL, i[0], DIM(0, 1))) - MEAN)

BUILD(build_loss, sg_cross_entropy(x[0], x[1]))
REFERENCE(loss_reference, NATS(LABEL))
BUILD(loss_smooth, sg_cross_entropy(x[0], x[1], .smoothing = 0.25))
REFERENCE(loss_smooth_reference, 0.75 * NATS(LABEL) + 0.25 * MEAN_NATS)
BUILD(loss_ignore, sg_cross_entropy(x[0], x[1], .ignore = true, .ignored_label = 1))
REFERENCE(loss_ignore_reference, LABEL == 1 ? 0 : NATS(LABEL))
BUILD(loss_both,
      sg_cross_entropy(x[0], x[1], .smoothing = 0.1, .ignore = true, .ignored_label = -1))
REFERENCE(loss_both_reference, LABEL < 0 ? 0 : 0.9 * NATS(LABEL) + 0.1 * MEAN_NATS)

/* the gradient of a loss, whose cotangent is the third input */
static sg_tensor *gradient_of(sg_tensor *loss, sg_tensor *const *x)
{
    sg_tensor *d;
    sg_vjp(loss, x[2], 1, x, &d);
    return d;
}
BUILD(loss_grad, gradient_of(build_loss(g, x), x))
REFERENCE(loss_grad_reference, AT(2, i[0]) * (SOFTMAX(NULL) - (i[1] == LABEL)))
BUILD(loss_grad_both, gradient_of(loss_both(g, x), x))
REFERENCE(loss_grad_both_reference,
          LABEL < 0
              ? 0
              : AT(2, i[0]) * (SOFTMAX(NULL) - 0.9 * (i[1] == LABEL) - 0.1 / (double)DIM(0, 1)))

static double deviation(const op_array *in, const int64_t *i)
{
    double mean = SECOND(plus, 0) / (double)DIM(0, 1), sum = 0;
    for (int64_t k = 0; k < DIM(0, 1); k++)
        sum += (AT(0, i[0], k) - mean) * (AT(0, i[0], k) - mean);
    return sqrt(sum / (double)DIM(0, 1) + 0.125);
}
BUILD(build_layer_norm, sg_layer_norm(x[0], x[1], x[2], 0.125))
REFERENCE(layer_norm_reference, (AT(0, i[0], i[1]) - SECOND(plus, 0) / (double)DIM(0, 1)) /
                                        deviation(in, i) * AT(1, i[1]) +
                                    AT(2, i[1]))

/* ---- random --------------------------------------------------------------------------------- */

BUILD(build_uniform, sg_mul(x[0], sg_random_uniform(g, sg_type(x[0]), sg_shape_of(x[0]))))
BUILD(build_normal, sg_mul(x[0], sg_random_normal(g, sg_type(x[0]), sg_shape_of(x[0]))))
BUILD(build_bernoulli,
      sg_where(sg_random_bernoulli(g, sg_shape_of(x[0]), 0.5), x[0], sg_like(x[0], 0)))

/* ---- rows ----------------------------------------------------------------------------------- */

#define ROW(name, form_, build_, reference_, flags_, types_, ...)                                  \
    {                                                                                              \
        .op = name, .form = form_, .build = build_, .reference = reference_, .flags = flags_,      \
        .types = types_, __VA_ARGS__                                                               \
    }
#define MATMUL(form, reference, ...) ROW("matmul", form, build_matmul, reference, 0, 0, __VA_ARGS__)

/* clang-format off */
static const op_row rows[] = {
    ROW("sum", "axis 0", sum_0, sum_0_reference, OP_LINEAR, NUMBERS,
        .result = S(1, 19), .in = {{S(3, 19)}}, .empty = {{3, S(1, 19)}, {19, S(1, 0)}}),
    ROW("sum", "last axis", sum_1, sum_1_reference, OP_LINEAR, NUMBERS,
        .result = S(3), .in = {{S(3, 19)}}, .empty = {{3, S(0)}, {19, S(3)}}),
    ROW("sum", "middle", sum_middle, sum_middle_reference, OP_LINEAR, NUMBERS,
        .result = S(2, 4), .in = {{S(2, 3, 4)}}, .empty = {{3, S(2, 4)}}),
    ROW("sum", "all", sum_all, sum_all_reference, OP_LINEAR, NUMBERS,
        .result = S0, .in = {{S(3, 19)}}, .empty = {{3, S0}}),
    ROW("sum", "of squares", sum_squares, NULL, 0, NUMBERS,
        .result = S(1, 1), .in = {{S(3, 7)}}, .empty = {{7, S(1, 1)}}),
    ROW("mean", "axis 0", mean_0, mean_0_reference, OP_LINEAR, 0,
        .result = S(7), .in = {{S(3, 7)}}, .empty = {{7, S(0)}}),
    ROW("mean", "last axis", mean_1, mean_1_reference, OP_LINEAR, 0,
        .result = S(3, 1), .in = {{S(3, 7)}}, .empty = {{3, S(0, 1)}}),
    ROW("mean", "all", mean_all, mean_all_reference, OP_LINEAR, 0,
        .result = S0, .in = {{S(3, 7)}}),
    ROW("max", "axis 0", max_0, max_0_reference, OP_LINEAR | OP_APART, NUMBERS,
        .result = S(7), .in = {{S(3, 7)}}, .empty = {{7, S(0)}}),
    ROW("max", "last axis", max_1, max_1_reference, OP_LINEAR | OP_APART, NUMBERS,
        .result = S(3, 1), .in = {{S(3, 19)}}, .empty = {{3, S(0, 1)}}),
    ROW("max", "all", max_all, max_all_reference, OP_LINEAR | OP_APART, NUMBERS,
        .result = S0, .in = {{S(3, 7)}}),
    ROW("min", "axis 0", min_0, min_0_reference, OP_LINEAR | OP_APART, NUMBERS,
        .result = S(1, 7), .in = {{S(3, 7)}}, .empty = {{7, S(1, 0)}}),
    ROW("min", "last axis", min_1, min_1_reference, OP_LINEAR | OP_APART, NUMBERS,
        .result = S(3), .in = {{S(3, 19)}}, .empty = {{3, S(0)}}),
    ROW("min", "all", min_all, min_all_reference, OP_LINEAR | OP_APART, NUMBERS,
        .result = S(1, 1), .in = {{S(3, 7)}}),
    ROW("argmax", "last axis", argmax_1, argmax_1_reference, OP_CONSTANT | OP_APART, SG_ALL,
        .result = S(3), .in = {{S(3, 19)}}, .empty = {{3, S(0)}}),
    ROW("argmax", "axis 0", argmax_0, argmax_1_reference, OP_CONSTANT | OP_APART, SG_ALL,
        .result = S(3, 1), .in = {{S(3, 7)}}, .empty = {{3, S(0, 1)}}),
    ROW("argmin", NULL, min_1, min_1_reference, OP_LINEAR | OP_APART, NUMBERS,
        .result = S(3), .in = {{S(3, 7)}}),
    ROW("logsumexp", "last axis", logsumexp_1, logsumexp_1_reference, 0, 0,
        .result = S(3), .in = {{S(3, 19)}}, .empty = {{3, S(0)}}),
    ROW("logsumexp", "axis 0", logsumexp_0, logsumexp_0_reference, 0, 0,
        .result = S(1, 7), .in = {{S(3, 7)}}, .empty = {{7, S(1, 0)}}),
    ROW("logsumexp", "all", logsumexp_all, logsumexp_all_reference, 0, 0,
        .result = S0, .in = {{S(3, 7)}}),
    ROW("cumsum", "last axis", cumsum_1, cumsum_1_reference, OP_LINEAR, NUMBERS,
        .result = S(3, 7), .in = {{S(3, 7)}}, .empty = {{3, S(0, 7)}, {7, S(3, 0)}}),
    ROW("cumsum", "axis 0", cumsum_0, cumsum_0_reference, OP_LINEAR, NUMBERS,
        .result = S(5, 7), .in = {{S(5, 7)}}, .empty = {{5, S(0, 7)}}),

    MATMUL(NULL, matmul_reference, .result = S(3, 5), .in = {{S(3, 4)}, {S(4, 5)}},
           .empty = {{3, S(0, 5)}, {4, S(3, 5)}, {5, S(3, 0)}}),
    MATMUL("row", row_reference, .result = S(5), .in = {{S(4)}, {S(4, 5)}},
           .empty = {{4, S(5)}, {5, S(0)}}),
    MATMUL("column", column_reference, .result = S(3), .in = {{S(3, 4)}, {S(4)}},
           .empty = {{3, S(0)}, {4, S(3)}}),
    MATMUL("dot", dot_reference, .result = S0, .in = {{S(7)}, {S(7)}}, .empty = {{7, S0}}),
    MATMUL("batch", batch_reference, .result = S(2, 3, 5), .in = {{S(2, 3, 4)}, {S(2, 4, 5)}},
           .empty = {{2, S(0, 3, 5)}, {4, S(2, 3, 5)}}),
    MATMUL("shared", shared_reference, .result = S(2, 3, 5), .in = {{S(2, 3, 4)}, {S(4, 5)}},
           .empty = {{2, S(0, 3, 5)}, {3, S(2, 0, 5)}, {4, S(2, 3, 5)}, {5, S(2, 3, 0)}}),
    MATMUL("broadcast", broadcast_reference, .result = S(2, 3, 4, 5),
           .in = {{S(2, 1, 4, 2)}, {S(3, 2, 5)}}, .empty = {{5, S(2, 3, 4, 0)}}),
    ROW("matmul", "transposed", matmul_transposed, transposed_reference, 0, 0,
        .result = S(3, 5), .in = {{S(4, 3)}, {S(5, 4)}}, .empty = {{4, S(3, 5)}}),
    ROW("matmul", "same operand", matmul_same, NULL, 0, 0, .result = S(4, 4), .in = {{S(4, 4)}},
        .empty = {{4, S(0, 0)}}),

    ROW("softmax", NULL, build_softmax, softmax_reference, 0, 0,
        .result = S(3, 19), .in = {{S(3, 19)}}, .empty = {{3, S(0, 19)}, {19, S(3, 0)}}),
    ROW("softmax", "masked", softmax_masked, softmax_masked_reference, 0, 0,
        .result = S(3, 19), .in = {{S(3, 19)}, {S(3, 19), 0, 2, OP_MASK}},
        .empty = {{3, S(0, 19)}}),
    ROW("softmax", "holes", softmax_holes, softmax_masked_reference, OP_HOLES, 0,
        .result = S(3, 7), .in = {{S(3, 7)}, {S(3, 7), 0, 2, OP_MASK}}),
    ROW("softmax", "masked rows", softmax_masked, softmax_rows_reference, 0, 0,
        .result = S(4, 7), .in = {{S(4, 7)}, {S(4, 1), 0, 2, OP_MASK}},
        .empty = {{4, S(0, 7)}}),
    ROW("softmax", "holes in rows", softmax_holes, softmax_rows_reference, OP_HOLES, 0,
        .result = S(4, 7), .in = {{S(4, 7)}, {S(4, 1), 0, 2, OP_MASK}}),
    ROW("softmax", "masked columns", softmax_masked, softmax_columns_reference, 0, 0,
        .result = S(3, 7), .in = {{S(3, 7)}, {S(7), 0, 2, OP_MASK}}),
    ROW("log_softmax", NULL, build_log_softmax, log_softmax_reference, 0, 0,
        .result = S(3, 19), .in = {{S(3, 19)}}, .empty = {{3, S(0, 19)}}),
    ROW("cross_entropy", NULL, build_loss, loss_reference, 0, 0,
        .result = S(5), .in = {{S(5, 7)}, {S(5), 0, 7, OP_INDEX}}, .empty = {{5, S(0)}}),
    ROW("cross_entropy", "smoothing", loss_smooth, loss_smooth_reference, 0, 0,
        .result = S(5), .in = {{S(5, 7)}, {S(5), 0, 7, OP_INDEX}}, .empty = {{5, S(0)}}),
    ROW("cross_entropy", "ignore", loss_ignore, loss_ignore_reference, 0, 0,
        .result = S(5), .in = {{S(5, 3)}, {S(5), 0, 3, OP_INDEX}}, .empty = {{5, S(0)}}),
    ROW("cross_entropy", "both", loss_both, loss_both_reference, 0, 0,
        .result = S(7), .in = {{S(7, 3)}, {S(7), -1, 3, OP_INDEX}}),
    ROW("cross_entropy_grad", NULL, loss_grad, loss_grad_reference, 0, 0,
        .result = S(5, 7), .in = {{S(5, 7)}, {S(5), 0, 7, OP_INDEX}, {S(5)}},
        .empty = {{5, S(0, 7)}}),
    ROW("cross_entropy_grad", "both", loss_grad_both, loss_grad_both_reference, 0, 0,
        .result = S(7, 3), .in = {{S(7, 3)}, {S(7), -1, 3, OP_INDEX}, {S(7)}},
        .empty = {{7, S(0, 3)}}),
    ROW("layer_norm", NULL, build_layer_norm, layer_norm_reference, 0, 0,
        .result = S(3, 19), .in = {{S(3, 19)}, {S(19)}, {S(19)}}, .empty = {{3, S(0, 19)}}),

    ROW("random_uniform", NULL, build_uniform, NULL, OP_LINEAR | OP_DRAWS, 0,
        .result = S(3, 7), .in = {{S(3, 7)}}, .empty = {{3, S(0, 7)}}),
    ROW("random_normal", NULL, build_normal, NULL, OP_LINEAR | OP_DRAWS, 0,
        .result = S(3, 7), .in = {{S(3, 7)}}, .empty = {{3, S(0, 7)}}),
    ROW("random_bernoulli", NULL, build_bernoulli, NULL, OP_LINEAR | OP_DRAWS, SG_ALL,
        .result = S(3, 7), .in = {{S(3, 7)}}, .empty = {{7, S(3, 0)}}),
};
/* clang-format on */

const op_rows op_reduce_rows = OP_ROWS(rows);
