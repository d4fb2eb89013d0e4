/* Clipping gradients. */
#include "optim/optim.h"

/* g · min(1, most / (norm + 1e-6)), norm = sqrt(Σ g²) over all of them; summed in f64 */
sg_tensor *sg_clip_norm(int n, sg_tensor **grads, double most)
{
    if (n <= 0)
        return NULL;
    sg_context *g = sg_context_of(grads[0]);
    sg_tensor **squares = sg_room(g, (size_t)n * sizeof *squares);
    if (!squares)
        return sg_fail(g, SG_OK, "inert");
    for (int i = 0; i < n; i++)
        squares[i] = sg_cast(sg_sum(sg_square(grads[i]), SG_ALL_AXES, false), SG_F64);
    sg_tensor *norm = sg_sqrt(sg_add_n(n, squares));
    sg_tensor *one = sg_scalar(g, SG_F64, 1), *limit = sg_scalar(g, SG_F64, most);
    sg_tensor *scale = sg_minimum(one, sg_div(limit, sg_add(norm, sg_scalar(g, SG_F64, 1e-6))));
    for (int i = 0; i < n; i++)
        grads[i] = sg_mul(grads[i], sg_cast(scale, sg_type(grads[i])));
    return norm;
}

void sg_clip_value(int n, sg_tensor **grads, double most)
{
    for (int i = 0; i < n; i++)
        grads[i] =
            sg_minimum(sg_maximum(grads[i], sg_like(grads[i], -most)), sg_like(grads[i], most));
}
