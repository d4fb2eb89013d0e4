/*
 * Scheduling: before anything is computed again, all is done that can be, so that what it needs is
 * not kept meanwhile: the gradients of a layer's weights, before the layer below is recomputed. So
 * items go by stages: a stage begins where the inputs of a checkpoint are looked at later, and an
 * item belongs to the last one that it is computed from. Within a stage their order stays.
 */
#include "core/plan/plan.h"

/* The stage of each item, and how many items each has; how many stages there are. */
static uint32_t find_stages(const sg__graph *gr, uint32_t *stage, uint32_t *size)
{
    uint32_t stages = 1, after = SG__NONE;
    size[0] = 0;
    for (uint32_t k = 0; k < gr->ordered; k++) {
        const sg__item *x = gr->x + gr->order[k];
        uint32_t *own = &stage[gr->order[k]];
        *own = 0;
        for (uint32_t j = 0; j < x->n; j++)
            *own = stage[x->in[j]] > *own ? stage[x->in[j]] : *own;
        if (x->op && x->op->flags & SG__OP_LATER) {
            if (x->in[1] != after)
                size[stages++] = 0;
            after = x->in[1];
            *own = stages - 1;
        }
        size[*own]++;
    }
    return stages;
}

bool sg__schedule(sg__graph *gr)
{
    if (gr->checkpoints <= gr->kept)
        return true;
    uint32_t *stage = sg__graph_list(gr, (uint32_t)gr->n), at = 0;
    uint32_t *next = sg__graph_list(gr, gr->ordered + 1);
    uint32_t *order = sg__graph_list(gr, gr->ordered);
    if (!stage || !next || !order)
        return false;
    uint32_t stages = find_stages(gr, stage, next);
    for (uint32_t s = 0; s < stages; s++) {
        uint32_t size = next[s];
        next[s] = at;
        at += size;
    }
    for (uint32_t k = 0; k < gr->ordered; k++)
        order[next[stage[gr->order[k]]]++] = gr->order[k];
    gr->order = order;
    return true;
}
