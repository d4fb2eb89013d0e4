/* Early stopping: the parameters of the best evaluation are kept in buffers, "best.NAME". */
#include "optim/optim.h"

#include <math.h>

enum { NAME = 256 };

static const char *best_of(sg_context *g, sg_tensor *p, char name[NAME])
{
    int n = snprintf(name, NAME, ".best.%s", sg_name(p));
    if (n < 0 || n >= NAME)
        sg_fail(g, SG_BAD_ARGUMENT, "stopper: the name \"%s\" is too long", sg_name(p));
    return name;
}

bool sg_stopper_done(sg_stopper *s, sg_context *g, double loss)
{
    if (!s) {
        sg_fail(g, SG_BAD_ARGUMENT, "stopper: none was given");
        return true;
    }
    int64_t patience = s->patience ? s->patience : 3;
    char name[NAME];
    s->count++;
    if (s->best_at == 0 || isnan(s->best) || loss < s->best - s->least) {
        s->best = loss;
        s->best_at = s->count;
        for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));)
            sg_set(sg_buffer(g, best_of(g, p, name), sg_type(p), sg_shape_of(p), 0), sg_data(p));
    }
    return !sg_ok(g) || s->count - s->best_at >= patience;
}

sg_status sg_stopper_restore(const sg_stopper *s, sg_context *g)
{
    char name[NAME];
    for (sg_tensor *p = NULL; s && s->best_at && (p = sg_next_param(g, p, false));) {
        sg_tensor *best = sg_find(g, best_of(g, p, name) + 1);
        if (best) /* a parameter that was made later has none */
            sg_set(p, sg_data(best));
    }
    return sg_error(g);
}
