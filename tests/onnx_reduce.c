/* ONNX's reductions, and what runs along an axis. */
#include "tests/onnx_graph.h"

#include <math.h>
#include <string.h>

/* ---- reductions ------------------------------------------------------------------------------ */

/* The largest or smallest; of nothing, the number that changes no other. */
static sg_tensor *extremum(reduction *f, sg_tensor *x, int axis, bool keep, double neutral)
{
    if (sg_dim(x, axis) == 0)
        x = sg_pad(x, axis, 1, 0, neutral);
    if (sg_type(x) == SG_U8)
        return sg_cast(f(sg_cast(x, SG_I32), axis, keep), SG_U8);
    return f(x, axis, keep);
}

static sg_tensor *largest(sg_tensor *x, int axis, bool keep)
{
    return extremum(sg_max, x, axis, keep, is_float(x) ? -HUGE_VAL : INT32_MIN);
}

static sg_tensor *smallest(sg_tensor *x, int axis, bool keep)
{
    return extremum(sg_min, x, axis, keep, is_float(x) ? HUGE_VAL : INT32_MAX);
}

/* From left to right, an element at a time. */
static sg_tensor *product(sg_tensor *x, int axis, bool keep)
{
    sg_shape s = sg_shape_of(x);
    (void)keep;
    s.dim[axis] = 1;
    sg_tensor *y = sg_full(sg_context_of(x), sg_type(x), s, 1);
    for (int64_t i = 0; i < sg_dim(x, axis); i++)
        y = sg_mul(y, slice_axis(x, axis, i, i + 1));
    return y;
}

static sg_tensor *square(sg_tensor *x)
{
    return sg_mul(x, x);
}

static const struct {
    const char *name;
    sg_tensor *(*before)(sg_tensor *);
    reduction *f;
    sg_tensor *(*after)(sg_tensor *);
} reductions[] = {
    {"ReduceL1", sg_abs, sg_sum, NULL},        {"ReduceL2", square, sg_sum, sg_sqrt},
    {"ReduceLogSum", NULL, sg_sum, sg_log},    {"ReduceLogSumExp", NULL, sg_logsumexp, NULL},
    {"ReduceMax", NULL, largest, NULL},        {"ReduceMean", NULL, sg_mean, NULL},
    {"ReduceMin", NULL, smallest, NULL},       {"ReduceProd", NULL, product, NULL},
    {"ReduceSumSquare", square, sg_sum, NULL}, {"ReduceSum", NULL, sg_sum, NULL},
};

static sg_tensor *reduce(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers axes = axes_of(n, operand_ints(n, 1, "axes"), sg_rank(x));
    if (axes.n == 0 && !attr_int(n, "noop_with_empty_axes", 0))
        for (axes.n = 0; axes.n < sg_rank(x); axes.n++)
            axes.v[axes.n] = axes.n;
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++)
        if (strcmp(reductions[i].name, n->op) == 0) {
            x = reductions[i].before ? reductions[i].before(x) : x;
            x = reduce_axes(reductions[i].f, x, &axes, attr_int(n, "keepdims", 1) != 0);
            return reductions[i].after ? reductions[i].after(x) : x;
        }
    return refuse(n, "not a reduction");
}

/* The last of equals is the first from behind. */
static sg_tensor *arg(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers axis = {.n = 1, .v = {attr_int(n, "axis", 0)}};
    int at = (int)axes_of(n, axis, sg_rank(x)).v[0];
    bool last = attr_int(n, "select_last_index", 0) != 0;
    x = strcmp(n->op, "ArgMin") == 0 ? sg_neg(x) : x;
    x = last ? sg_flip(x, at) : x;
    sg_tensor *i = sg_argmax(x, at, attr_int(n, "keepdims", 1) != 0);
    return last ? sg_sub(sg_like(i, (double)sg_dim(x, at) - 1), i) : i;
}

/* ---- along an axis --------------------------------------------------------------------------- */

static sg_tensor *cumsum(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers axes = axes_of(n, operand_ints(n, 1, ""), sg_rank(x));
    int axis = (int)axes.v[0];
    bool reverse = attr_int(n, "reverse", 0) != 0;
    x = reverse ? sg_flip(x, axis) : x;
    if (attr_int(n, "exclusive", 0))
        x = slice_axis(sg_pad(x, axis, 1, 0, 0), axis, 0, sg_dim(x, axis));
    x = sg_cumsum(x, axis);
    return reverse ? sg_flip(x, axis) : x;
}

static sg_tensor *softmax_last(sg_tensor *x)
{
    return sg_softmax(x, NULL);
}

static sg_tensor *hardmax_last(sg_tensor *x)
{
    return sg_one_hot(sg_argmax(x, -1, false), sg_dim(x, -1), sg_type(x));
}

static sg_tensor *softmax(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers axis = {.n = 1, .v = {attr_int(n, "axis", -1)}};
    int at = (int)axes_of(n, axis, sg_rank(x)).v[0];
    return along_last(strcmp(n->op, "Softmax") == 0      ? softmax_last
                      : strcmp(n->op, "LogSoftmax") == 0 ? sg_log_softmax
                                                         : hardmax_last,
                      x, at);
}

const onnx_op onnx_reduce[] = {{"ArgMax", .run = arg},
                               {"ArgMin", .run = arg},
                               {"CumSum", .run = cumsum},
                               {"Hardmax", .run = softmax},
                               {"LogSoftmax", .run = softmax},
                               {"ReduceL1", .run = reduce},
                               {"ReduceL2", .run = reduce},
                               {"ReduceLogSum", .run = reduce},
                               {"ReduceLogSumExp", .run = reduce},
                               {"ReduceMax", .run = reduce},
                               {"ReduceMean", .run = reduce},
                               {"ReduceMin", .run = reduce},
                               {"ReduceProd", .run = reduce},
                               {"ReduceSum", .run = reduce},
                               {"ReduceSumSquare", .run = reduce},
                               {"Softmax", .run = softmax},
                               {0}};
