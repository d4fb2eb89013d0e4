/* Linear layers, embeddings, dropout. */
#include "models/models.h"

#include <math.h>

/* y = x W + b */
sg_affine sg_linear_(sg_linear_options o)
{
    sg_affine a = {0};
    if (o.in <= 0 || o.out <= 0)
        a.w = sg_fail(o.g, SG_BAD_ARGUMENT, "linear \"%s\": %d inputs, %d outputs", o.name, o.in,
                      o.out);
    sg_push(o.g, "linear", o.name);
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

sg_tensor *sg_embedding_(sg_embedding_options o)
{
    if (o.count <= 0 || o.size <= 0)
        return sg_fail(o.g, SG_BAD_ARGUMENT, "embedding \"%s\": %d rows of %d", o.name, o.count,
                       o.size);
    double gain = o.gain == 0 ? 1 / sqrt(o.size) : o.gain;
    return sg_param(o.g, o.name, SG_SHAPE(o.count, o.size), SG_NORMAL, gain, .dtype = o.dtype);
}

/* x·m / (1 - p), m ~ Bernoulli(1 - p) (Srivastava et al. 2014) */
sg_tensor *sg_dropout(sg_tensor *x, double p)
{
    sg_context *g = sg_context_of(x);
    if (!(p >= 0 && p < 1))
        return sg_fail(g, SG_BAD_ARGUMENT, "dropout: probability %g", p);
    if (p == 0 || !sg_training(g))
        return x;
    sg_tensor *kept = sg_random_bernoulli(g, sg_shape_of(x), 1 - p);
    return sg_where(kept, sg_mul(x, sg_like(x, 1 / (1 - p))), sg_like(x, 0));
}
