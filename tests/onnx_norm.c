/* ONNX's normalizations: layer_norm of the axes they take together, or compositions. */
#include "tests/onnx_graph.h"

static int first_axis(node *n, sg_tensor *x)
{
    integers axis = {.n = 1, .v = {attr_int(n, "axis", -1)}};
    return (int)axes_of(n, axis, sg_rank(x)).v[0];
}

/* x's shape with 1 from an axis on */
static sg_shape kept(sg_tensor *x, int axis)
{
    sg_shape s = sg_shape_of(x);
    for (int k = axis; k < s.rank; k++)
        s.dim[k] = 1;
    return s;
}

/* Gain and bias are of the axes that are normalized, which become the last one. Also gives the
 * mean and 1 / the deviation. */
static sg_tensor *layer_norm(node *n)
{
    sg_tensor *x = operand(n, 0), *gain = operand(n, 1);
    int axis = first_axis(n, x);
    int64_t rows = count_axes(x, 0, axis), size = count_axes(x, axis, sg_rank(x));
    double epsilon = attr_float(n, "epsilon", 1e-5);
    sg_tensor *flat = sg_reshape(x, SG_SHAPE(rows, size));
    sg_tensor *bias = has(n, 2) ? n->in[2] : full_like(gain, 0);
    sg_tensor *mean = sg_mean(flat, 1, true);
    sg_tensor *variance = sg_mean(sg_square(sg_sub(flat, mean)), 1, true);
    n->out[1] = sg_reshape(mean, kept(x, axis));
    n->out[2] = sg_reshape(sg_rsqrt(sg_add(variance, sg_like(x, epsilon))), kept(x, axis));
    flat = sg_layer_norm(flat, sg_reshape(gain, SG_SHAPE(size)), sg_reshape(bias, SG_SHAPE(size)),
                         epsilon);
    return sg_reshape(flat, sg_shape_of(x));
}

/* x / sqrt(mean(x²) + epsilon) * gain */
static sg_tensor *rms_norm(node *n)
{
    sg_tensor *x = operand(n, 0);
    int axis = first_axis(n, x);
    integers axes = {0};
    for (int k = axis; k < sg_rank(x); k++)
        axes.v[axes.n++] = k;
    sg_tensor *mean = reduce_axes(sg_mean, sg_square(x), &axes, true);
    sg_tensor *scale = sg_rsqrt(sg_add(mean, sg_like(x, attr_float(n, "epsilon", 1e-5))));
    return sg_mul(sg_mul(x, scale), operand(n, 1));
}

/* Channels in groups, each normalized over everything in it; gain and bias by channel. */
static sg_tensor *group_norm(node *n, int64_t groups)
{
    sg_tensor *x = operand(n, 0);
    int64_t batch = sg_dim(x, 0), size = groups ? count_axes(x, 1, sg_rank(x)) / groups : 0;
    sg_tensor *one = sg_full(n->g, sg_type(x), SG_SHAPE(size), 1);
    sg_tensor *flat = sg_reshape(x, SG_SHAPE(batch, groups, size));
    flat = sg_layer_norm(flat, one, full_like(one, 0), attr_float(n, "epsilon", 1e-5));
    sg_tensor *y = sg_mul(sg_reshape(flat, sg_shape_of(x)), per_channel(operand(n, 1), sg_rank(x)));
    return sg_add(y, per_channel(operand(n, 2), sg_rank(x)));
}

static sg_tensor *by_groups(node *n)
{
    return group_norm(n, attr_int(n, "num_groups", 1));
}

static sg_tensor *by_instance(node *n)
{
    return group_norm(n, sg_dim(operand(n, 0), 1));
}

/* Mean and variance over everything but the channels. */
static void channel_moments(sg_tensor *x, sg_tensor **mean, sg_tensor **variance)
{
    integers axes = {.n = 1};
    for (int k = 2; k < sg_rank(x); k++)
        axes.v[axes.n++] = k;
    sg_tensor *m = reduce_axes(sg_mean, x, &axes, true);
    *variance = reduce_axes(sg_mean, sg_square(sg_sub(x, m)), &axes, false);
    *mean = sg_reshape(m, sg_shape_of(*variance));
}

/* running * momentum + now * (1 - momentum) */
static sg_tensor *moving(sg_tensor *running, sg_tensor *now, double momentum)
{
    return sg_add(sg_mul(running, sg_like(running, momentum)),
                  sg_mul(now, sg_like(now, 1 - momentum)));
}

static sg_tensor *batch_norm(node *n)
{
    sg_tensor *x = operand(n, 0), *mean = operand(n, 3), *variance = operand(n, 4);
    int rank = sg_rank(x);
    if (attr_int(n, "training_mode", 0)) {
        double momentum = attr_float(n, "momentum", 0.9);
        channel_moments(x, &mean, &variance);
        n->out[1] = moving(n->in[3], mean, momentum);
        n->out[2] = moving(n->in[4], variance, momentum);
    }
    sg_tensor *r = sg_rsqrt(sg_add(variance, sg_like(x, attr_float(n, "epsilon", 1e-5))));
    sg_tensor *scale = sg_mul(operand(n, 1), r);
    sg_tensor *y = sg_mul(sg_sub(x, per_channel(mean, rank)), per_channel(scale, rank));
    return sg_add(y, per_channel(operand(n, 2), rank));
}

/* (x - mean) / deviation */
static sg_tensor *mean_variance_norm(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers axes = attr_ints(n, "axes");
    if (!axes.given)
        axes = (integers){.n = 3, .v = {0, 2, 3}};
    sg_tensor *d = sg_sub(x, reduce_axes(sg_mean, x, &axes, true));
    sg_tensor *deviation = sg_sqrt(reduce_axes(sg_mean, sg_square(d), &axes, true));
    return sg_div(d, sg_add(deviation, sg_like(x, 1e-9)));
}

static sg_tensor *lp_norm(node *n)
{
    sg_tensor *x = operand(n, 0);
    int axis = first_axis(n, x);
    bool l1 = attr_int(n, "p", 2) == 1;
    sg_tensor *norm = sg_sum(l1 ? sg_abs(x) : sg_square(x), axis, true);
    return sg_div(x, l1 ? norm : sg_sqrt(norm));
}

const onnx_op onnx_norm[] = {{"BatchNormalization", .run = batch_norm},
                             {"GroupNormalization", .run = by_groups},
                             {"InstanceNormalization", .run = by_instance},
                             {"LayerNormalization", .run = layer_norm},
                             {"LpNormalization", .run = lp_norm},
                             {"MeanVarianceNormalization", .run = mean_variance_norm},
                             {"RMSNormalization", .run = rms_norm},
                             {0}};
