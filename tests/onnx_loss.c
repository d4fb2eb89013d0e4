/* ONNX's losses: x [batch, classes, places...], labels [batch, places...]. */
#include "tests/onnx_graph.h"

#include <string.h>

/* Classes last, the rest as rows: [rows, classes]. */
static sg_tensor *class_rows(sg_tensor *x)
{
    int last = sg_rank(x) - 1;
    int64_t classes = sg_dim(x, 1);
    return sg_reshape(move_axis(x, 1, last),
                      SG_SHAPE(count_axes(x, 0, 1) * count_axes(x, 2, last + 1), classes));
}

/* Losses of rows, weighted by class and reduced; what is ignored has weight 0. ONNX's mean is over
 * weights. */
static sg_tensor *reduced(node *n, sg_tensor *loss, sg_tensor *labels, sg_tensor *ignored)
{
    const char *how = attr_text(n, "reduction", "mean");
    sg_tensor *weight = has(n, 2) ? sg_take(n->in[2], labels) : full_like(loss, 1);
    weight = ignored ? sg_where(ignored, sg_like(weight, 0), weight) : weight;
    loss = sg_mul(loss, weight);
    if (strcmp(how, "none") == 0)
        return sg_reshape(loss, sg_shape_of(n->in[1]));
    sg_tensor *sum = sg_sum(loss, SG_ALL_AXES, false);
    return strcmp(how, "sum") == 0 ? sum : sg_div(sum, sg_sum(weight, SG_ALL_AXES, false));
}

/* Operands: x, labels, weights of classes. */
static sg_tensor *loss(node *n, bool from_logits)
{
    sg_tensor *x = class_rows(operand(n, 0)), *labels = operand(n, 1), *ignored = NULL, *each;
    int ignored_label = (int)attr_int(n, "ignore_index", 0);
    labels = sg_reshape(labels, SG_SHAPE(sg_size(labels)));
    if (attr_given(n, "ignore_index"))
        ignored = sg_equal(labels, sg_like(labels, ignored_label));
    sg_tensor *safe = ignored ? sg_where(ignored, sg_like(labels, 0), labels) : labels;
    if (from_logits)
        each =
            sg_cross_entropy(x, labels, .ignore = ignored != NULL, .ignored_label = ignored_label);
    else
        each = sg_neg(sg_squeeze(sg_take_along_axis(x, sg_expand_dims(safe, 1), 1), 1));
    return reduced(n, each, safe, ignored);
}

static sg_tensor *negative_log_likelihood(node *n)
{
    return loss(n, false);
}

static sg_tensor *softmax_cross_entropy(node *n)
{
    sg_tensor *x = operand(n, 0);
    int last = sg_rank(x) - 1;
    if (n->results > 1 && last > 0)
        n->out[1] = move_axis(sg_log_softmax(move_axis(x, 1, last)), last, 1);
    return loss(n, true);
}

const onnx_op onnx_loss[] = {{"NegativeLogLikelihoodLoss", .run = negative_log_likelihood},
                             {"SoftmaxCrossEntropyLoss", .run = softmax_cross_entropy},
                             {0}};
