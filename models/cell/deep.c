/* Layers of cells, one over the other. */
#include "models/internal.h"

static bool good(const sg_deep_options *o, sg_context *g)
{
    if (o->layers < 1 || !o->forward)
        sg_fail(g, SG_BAD_ARGUMENT, "deep: %d layers%s", o->layers,
                o->forward ? "" : ", and no cells");
    if (o->merge && !o->backward)
        sg_fail(g, SG_BAD_ARGUMENT, "deep: there is nothing to merge in one direction");
    return sg_ok(g) && sg__good_dropout(g, o->dropout);
}

static sg_tensor *direction(const sg_deep_options *o, sg_cell cell, sg_tensor *x, int number,
                            bool reverse)
{
    return sg_unroll(cell, x, .lengths = o->lengths, .reverse = reverse,
                     .initial = o->initial ? o->initial[number] : (sg_state){NULL},
                     .final = o->final ? &o->final[number] : NULL);
}

sg_tensor *sg_deep_(sg_deep_options o)
{
    sg_context *g = sg_context_of(o.x);
    if (!good(&o, g))
        return sg__nothing(g);
    sg_tensor *x = o.x;
    for (int l = 0; l < o.layers; l++) {
        x = l ? sg_dropout(x, o.dropout) : x;
        if (!o.backward) {
            x = direction(&o, o.forward[l], x, l, false);
            continue;
        }
        sg_tensor *left = direction(&o, o.forward[l], x, 2 * l, false);
        sg_tensor *right = direction(&o, o.backward[l], x, 2 * l + 1, true);
        x = o.merge ? sg_fuse(&o.merge[l], left, right) : sg_concat(-1, left, right);
        if (o.merge && sg_ok(g))
            x = sg__clean(x, sg__short_ones(o.lengths, sg_dim(x, 0), sg_dim(x, 1)));
    }
    return x;
}

void sg_carry(int n, sg_state *states)
{
    for (int i = 0; i < n; i++) {
        states[i].h = sg_keep(states[i].h);
        states[i].c = states[i].c ? sg_keep(states[i].c) : NULL;
    }
}
