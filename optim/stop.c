/* Early stopping: the parameters of the best evaluation are kept in buffers, "best.NAME". */
#include "optim/optim.h"

#include <string.h>

static sg_tensor *best_of(sg_context *g, sg_tensor *p)
{
    char name[256];
    int n = snprintf(name, sizeof name, "best.%s", sg_name(p));
    if (n < 0 || (size_t)n >= sizeof name)
        return sg_fail(g, SG_BAD_ARGUMENT, "stopper: the name \"%s\" is too long", sg_name(p));
    return sg_buffer(g, name, sg_type(p), sg_shape_of(p), 0);
}

bool sg_stopper_done(sg_stopper *s, sg_context *g, double loss)
{
    int64_t patience = s->patience ? s->patience : 3;
    s->count++;
    if (s->best_at == 0 || loss < s->best - s->least) {
        s->best = loss;
        s->best_at = s->count;
        for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));)
            sg_set(best_of(g, p), sg_data(p));
    }
    return !sg_ok(g) || s->count - s->best_at >= patience;
}

sg_status sg_stopper_restore(const sg_stopper *s, sg_context *g)
{
    if (s->best_at)
        for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));)
            sg_set(p, sg_data(best_of(g, p)));
    return sg_error(g);
}
