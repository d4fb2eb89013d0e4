/*
 * ONNX's training ops, by a step of an optimizer in a context of its own. Operands: rate, number of
 * the step, then of all parameters the values, the gradients, and one or two moments.
 */
#include "tests/onnx_graph.h"
#include "optim/optim.h"

#include <string.h>

static const char *const names[] = {"a", "b", "c", "d"};

static sg_tensor *moment(sg_context *own, const char *kind, int i, sg_tensor *value)
{
    char name[32];
    snprintf(name, sizeof name, "optim.%s.%s", kind, names[i]);
    sg_tensor *b = sg_buffer(own, name, sg_type(value), sg_shape_of(value), 0);
    sg_set(b, sg_data(value));
    return b;
}

/* The result as a tensor of the node's context. */
static sg_tensor *read_back(node *n, sg_tensor *x)
{
    return sg_input(n->g, sg_type(x), sg_shape_of(x), sg_data(x));
}

/* `count` parameters with `moments` moments each; the loss whose gradients are those given is
 * sum(x * gradient). */
static sg_tensor *step(node *n, sg_optimizer *o, int count, int moments, const char *const *kinds)
{
    sg_context *own = o->o.g;
    sg_tensor *state[3][4], *loss = sg_scalar(own, SG_F32, 0);
    for (int i = 0; i < count; i++) {
        sg_tensor *x = n->in[2 + i], *d = n->in[2 + count + i];
        state[0][i] = sg_param(own, names[i], sg_shape_of(x), .data = sg_data(x));
        for (int k = 0; k < moments; k++)
            state[1 + k][i] = moment(own, kinds[k], i, n->in[2 + (2 + k) * count + i]);
        d = sg_input(own, SG_F32, sg_shape_of(d), sg_data(d));
        loss = sg_add(loss, sg_sum(sg_mul(state[0][i], d), SG_ALL_AXES, false));
    }
    if (sg_step(o, loss) != SG_OK)
        return refuse(n, sg_errmsg(own));
    sg_reset(own);
    for (int k = 0; k <= moments; k++)
        for (int i = 0; i < count; i++)
            n->out[k * count + i] = read_back(n, state[k][i]);
    return n->out[0];
}

static sg_tensor *train(node *n)
{
    static const char *const first[] = {"v"}, *const both[] = {"m", "v"};
    bool adam = strcmp(n->op, "ai.onnx.preview.training.Adam") == 0;
    int each = adam ? 4 : 3, count = (n->n - 2) / each;
    if (n->n != 2 + each * count || count < 1 || count > 4 || n->results != (each - 1) * count)
        return refuse(n, "not the operands of 1 to 4 parameters");
    for (int i = 0; i < n->n; i++)
        if (sg_is_nil(operand(n, i)) || (i != 1 && sg_type(n->in[i]) != SG_F32))
            return refuse(n, "an operand that is not f32");
    if (sg_item(n->in[1]) != 0)
        return refuse(n, "a step other than 0, where ONNX corrects no bias");
    sg_context *own = sg_open();
    sg_optimizer_options o = {.g = own,
                              .kind = adam ? SG_ADAM : SG_SGD,
                              .rate = sg_item(n->in[0]),
                              .decay = attr_float(n, "norm_coefficient", 0),
                              .momentum = adam ? 0 : attr_float(n, "alpha", 0),
                              .nesterov = strcmp(attr_text(n, "mode", ""), "nesterov") == 0,
                              .beta1 = adam ? attr_float(n, "alpha", 0.9) : 0,
                              .beta2 = adam ? attr_float(n, "beta", 0.999) : 0,
                              .epsilon = adam ? attr_float(n, "epsilon", 1e-6) : 0};
    sg_optimizer optimizer = sg_make_optimizer(o);
    /* a step so late that nothing is left of the bias */
    sg_buffer(own, "optim.steps", SG_I32, SG_SCALAR, 1e6);
    sg_tensor *x = step(n, &optimizer, count, each - 2, adam ? both : first);
    sg_close(own);
    return x;
}

const onnx_op onnx_optim[] = {{"ai.onnx.preview.training.Adam", .run = train},
                              {"ai.onnx.preview.training.Momentum", .run = train},
                              {0}};
