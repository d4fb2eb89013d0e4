/* Linear layers, activations, norms, embeddings, dropout. */
#include "models/internal.h"

#include <math.h>

void sg__need_name(sg_context *g, const char *name)
{
    if (!name)
        sg_fail(g, SG_BAD_ARGUMENT, "a name is needed");
}

/* y = x W + b */
sg_affine sg_linear_(sg_linear_options o)
{
    sg_affine a = {0};
    sg_push(o.g, "linear", o.name);
    sg__need_name(o.g, o.name);
    if (o.in <= 0 || o.out <= 0)
        sg_fail(o.g, SG_BAD_ARGUMENT, "%d inputs, %d outputs", o.in, o.out);
    a.w = sg_param(o.g, "w", SG_SHAPE(o.in, o.out), o.init, o.gain, .dtype = o.dtype);
    if (!o.no_bias)
        a.b = sg_param(o.g, "b", SG_SHAPE(o.out), SG_ZEROS, .dtype = o.dtype);
    sg_pop(o.g);
    return a;
}

sg_tensor *sg_apply(sg_affine a, sg_tensor *x)
{
    sg_tensor *y = sg_matmul(x, a.w);
    return a.b ? sg_add(y, a.b) : y;
}

sg_tensor *sg_activate(sg_tensor *x, sg_activation f)
{
    static sg_tensor *(*const function[])(sg_tensor *) = {sg_tanh, sg_relu, NULL, sg_sigmoid,
                                                          sg_gelu};
    if ((unsigned)f > SG_GELU)
        return sg_fail(sg_context_of(x), SG_BAD_ARGUMENT, "no such activation (%d)", (int)f);
    return function[f] ? function[f](x) : x;
}

sg_norm sg_make_norm(sg_context *g, const char *name, int size, sg_dtype dtype)
{
    sg_norm n = {NULL};
    sg_push(g, "norm", name);
    sg__need_name(g, name);
    n.gain = sg_param(g, "gain", SG_SHAPE(size), SG_CONSTANT, .dtype = dtype);
    n.bias = sg_param(g, "bias", SG_SHAPE(size), SG_ZEROS, .dtype = dtype);
    sg_pop(g);
    return n;
}

/* (x - mean) / sqrt(var + epsilon) * gain + bias */
sg_tensor *sg_normalize(sg_norm n, sg_tensor *x)
{
    sg_context *g = sg_context_of(x);
    sg_tensor *bias = n.bias ? n.bias : sg_full(g, sg_type(x), sg_shape_of(n.gain), 0);
    return sg_layer_norm(x, n.gain, bias, 1e-5);
}

sg_tensor *sg_embedding_(sg_embedding_options o)
{
    double gain = o.gain == 0 && o.size > 0 ? 1 / sqrt(o.size) : o.gain;
    if (o.count <= 0 || o.size <= 0)
        return sg_fail(o.g, SG_BAD_ARGUMENT, "embedding \"%s\": %d rows of %d features",
                       o.name ? o.name : "", o.count, o.size);
    return sg_param(o.g, o.name, SG_SHAPE(o.count, o.size), SG_NORMAL, gain, .dtype = o.dtype);
}

/* y = x E' + b */
sg_affine sg_tied(const char *name, sg_tensor *table)
{
    sg_context *g = sg_context_of(table);
    sg_affine a = {sg_transpose(table, 0, 1), NULL};
    sg_push(g, "tied", name);
    a.b = sg_param(g, "b", SG_SHAPE(sg_dim(table, 0)), SG_ZEROS, .dtype = sg_type(table));
    sg_pop(g);
    return a;
}

/* x·m / (1 - p), m ~ Bernoulli(1 - p) (Srivastava et al. 2014) */
sg_tensor *sg_dropout(sg_tensor *x, double p)
{
    sg_context *g = sg_context_of(x);
    if (!sg__good_dropout(g, p))
        return sg__nothing(g);
    if (p == 0 || !sg_training(g) || sg_is_nil(x))
        return x;
    sg_tensor *m = sg_random_bernoulli(g, sg_shape_of(x), 1 - p);
    return sg_where(m, sg_mul(x, sg_like(x, 1 / (1 - p))), sg_like(x, 0));
}

bool sg__good_dropout(sg_context *g, double p)
{
    if (!(p >= 0 && p < 1))
        sg_fail(g, SG_BAD_ARGUMENT, "dropout: a probability of %g is not in [0, 1)", p);
    return sg_ok(g);
}
