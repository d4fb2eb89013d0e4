/* Gradients at kinks, ties and poles, where they are what ops.h says and not what differences say.
 */
#include "tests/op_table.h"

#include <math.h>

#define LN2 0.69314718055994531

BUILD(relu, sg_relu(x[0]))
BUILD(absolute, sg_abs(x[0]))
BUILD(max, sg_max(x[0], 0, false))
BUILD(min, sg_min(x[0], 0, true))
BUILD(maximum, sg_maximum(x[0], x[1]))
BUILD(minimum, sg_minimum(x[0], x[1]))
BUILD(power, sg_pow(x[0], x[1]))
BUILD(logsumexp, sg_logsumexp(x[0], 0, false))
BUILD(tangent, sg_tanh(x[0]))
BUILD(sigmoid, sg_sigmoid(x[0]))
BUILD(softplus, sg_softplus(x[0]))
BUILD(silu, sg_silu(x[0]))
BUILD(gelu, sg_gelu(x[0]))
BUILD(expm1_, sg_expm1(x[0]))
BUILD(log_softmax, sg_slice(sg_log_softmax(x[0]), 0, 0, 2, 1))
BUILD(where, sg_where(sg_less(x[0], sg_like(x[0], 1)), sg_square(x[0]), x[1]))
BUILD(concat, sg_square(sg_concat(0, x[0], x[0])))

/* different cotangents: those of 1 alone give softmax no gradient */
BUILD(softmax, sg_mul(sg_softmax(x[0], NULL),
                      op_tensor(g, sg_type(x[0]), SG_SHAPE(4), (const double[]){1, 2, 3, 4})))

static sg_tensor *loss_of(sg_tensor *x, int label)
{
    sg_context *g = sg_context_of(x);
    sg_tensor *labels = sg_input(g, SG_I32, SG_SHAPE(1), (const int32_t[]){label});
    return sg_cross_entropy(sg_expand_dims(x, 0), labels, .ignore = true, .ignored_label = -7);
}
BUILD(loss, loss_of(x[0], 1))
BUILD(ignored_loss, loss_of(x[0], -7))

/* clang-format off */
static const op_point points[] = {
    {"relu", relu, 1, 4, {{0, -0.0, 1, -1}}, {{0, 0, 1, 0}}},
    {"abs", absolute, 1, 4, {{0, -0.0, 2, -2}}, {{0, 0, 1, -1}}},
    {"max", max, 1, 4, {{1, 3, 3, 2}}, {{0, 1, 0, 0}}},
    {"min", min, 1, 4, {{1, 0, 3, 0}}, {{0, 1, 0, 0}}},
    {"maximum", maximum, 2, 3, {{1, 2, 3}, {1, 3, 2}}, {{1, 0, 1}, {0, 1, 0}}},
    {"minimum", minimum, 2, 3, {{1, 2, 3}, {1, 3, 2}}, {{1, 1, 0}, {0, 0, 1}}},
    {"pow", power, 2, 4, {{0, 0, 0, 2}, {0, 1, 2, 0}}, {{0, 1, 0, 0}, {0, 0, 0, LN2}}},
    {"pow", power, 2, 4, {{-2, 1, 2, 0.5}, {3, -2, 1, 1}},
     {{12, -2, 1, 1}, {0, 0, 2 * LN2, -0.5 * LN2}}},
    {"pow", power, 2, 4, {{2, 2, 0.5, 1}, {0, 1, 0, 2}},
     {{0, 1, 0, 2}, {LN2, 2 * LN2, -LN2, 0}}, true},
    {"logsumexp", logsumexp, 1, 3, {{-INFINITY, -INFINITY, -INFINITY}}, {{0, 0, 0}}},
    {"logsumexp", logsumexp, 1, 3, {{-INFINITY, 90, 90}}, {{0, 0.5, 0.5}}},
    {"softmax", softmax, 1, 4, {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}}, {{0}}},
    {"softmax", softmax, 1, 4, {{90, 90, -INFINITY, -INFINITY}}, {{-0.25, 0.25, 0, 0}}},
    {"log_softmax", log_softmax, 1, 3, {{90, 90, -INFINITY}}, {{0, 0, 0}}},
    {"cross_entropy", loss, 1, 4, {{-INFINITY, 1, 1, -INFINITY}}, {{0, -0.5, 0.5, 0}}},
    {"cross_entropy", ignored_loss, 1, 4, {{NAN, INFINITY, -INFINITY, 1}}, {{0}}},
    {"tanh", tangent, 1, 3, {{0, 1e3, -1e3}}, {{1, 0, 0}}},
    {"sigmoid", sigmoid, 1, 3, {{0, 1e3, -1e3}}, {{0.25, 0, 0}}},
    {"softplus", softplus, 1, 3, {{0, 0, 0}}, {{0.5, 0.5, 0.5}}, true},
    {"softplus", softplus, 1, 3, {{0, 1e3, -1e3}}, {{0.5, 1, 0}}},
    {"silu", silu, 1, 3, {{0, 1e3, -1e3}}, {{0.5, 1, 0}}},
    {"gelu", gelu, 1, 3, {{0, 1e3, -1e3}}, {{0.5, 1, 0}}},
    {"expm1", expm1_, 1, 2, {{0, -1e3}}, {{1, 0}}},
    {"where", where, 2, 2, {{0.5, 5}, {INFINITY, 1}}, {{1, 0}, {0, 1}}},
    {"concat", concat, 1, 1, {{3}}, {{12}}},
};
/* clang-format on */

const op_point *op_point_at(int i)
{
    return i >= 0 && i < (int)(sizeof points / sizeof *points) ? points + i : NULL;
}
