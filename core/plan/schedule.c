/*
 * Scheduling: what is not done in the order in which the graph was walked over.
 *
 * Before anything is computed again, all is done that can be, so that what it needs is not kept
 * meanwhile: the gradients of a layer's weights, before the layer below is recomputed. So items go
 * by stages: a stage begins where the inputs of a checkpoint are looked at later, and an item
 * belongs to the last one that it is computed from. Within a stage their order stays.
 *
 * New values of parameters wait until nothing can fail any more: then they can be computed where
 * the old ones are (see assign.c), and need no memory of their own.
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

static bool by_stages(sg__graph *gr)
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

static bool may_fail(const sg__item *x)
{
    return x->op && x->op->run && !(x->op->flags & SG_OP_SURE);
}

/* Marks what is only computed for new values of parameters, and by element. */
static void find_updates(const sg__graph *gr, bool *update)
{
    for (uint32_t k = 0; k < gr->ordered; k++)
        update[gr->order[k]] = true;
    for (size_t k = 0; k < gr->root_count; k++)
        update[gr->roots[k]] = false;
    for (uint32_t k = gr->ordered; k-- > 0;) {
        const sg__item *x = gr->x + gr->order[k];
        bool root = x->op && x->op->flags & SG_OP_ROOT, map = x->op && x->op->map;
        bool *own = &update[gr->order[k]];
        *own = root || (map && *own);
        for (uint32_t j = 0; j < x->n && !*own; j++)
            update[x->in[j]] = false;
    }
}

static bool updates_late(sg__graph *gr)
{
    uint32_t end = gr->ordered, n = 0, late = 0;
    while (end > 0 && !may_fail(gr->x + gr->order[end - 1]))
        end--;
    uint32_t *order = sg__graph_list(gr, gr->ordered), *wait = sg__graph_list(gr, end);
    bool *update = sg__alloc(&gr->g->scratch, gr->n * sizeof *update);
    if (!order || !wait || !update) {
        sg__no_memory(gr->g, "a plan");
        return false;
    }
    find_updates(gr, update);
    for (uint32_t k = 0; k < end; k++)
        if (update[gr->order[k]])
            wait[late++] = gr->order[k];
        else
            order[n++] = gr->order[k];
    memcpy(order + n, wait, late * sizeof *wait);
    memcpy(order + end, gr->order + end, (gr->ordered - end) * sizeof *order);
    gr->order = order;
    return true;
}

bool sg__schedule(sg__graph *gr)
{
    return by_stages(gr) && updates_late(gr);
}
