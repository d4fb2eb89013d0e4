/*
 * Plans of graphs whose gradients were not recorded (core/later.c). Such a graph is its own key:
 * the gradients are a function of it. When there is no plan yet, they are recorded, and the plan is
 * made of all. It has more leaves than the graph that it is found by, constants of derivatives, of
 * which it keeps the values; and its leaves are in an order of their own.
 */
#include "core/plan/plan.h"

/* Profiles name the scope of each node. And where nodes have values, a derivative may be computed
 * from others that no longer are in the graph of what is asked for. */
bool sg__all_recorded(const sg__request *r)
{
    const sg_context *g = r->g;
    if (!g->unrecorded || !(g->evaluated || g->profile))
        return true;
    return sg__walk(r->g, (int)r->n, r->roots, SG__STOP_AT_VALUES);
}

static bool no_memory(sg_context *g)
{
    sg__no_memory(g, "a plan's leaves");
    return false;
}

/* And the gradients that depend on all others. */
static bool list_leaves(sg_context *g, sg_tensor **gradients)
{
    g->leaves.n = 0;
    for (size_t i = 0; i < g->order.n; i++) {
        sg_tensor *x = g->order.x[i];
        *gradients = x->op->flags & SG__OP_UNRECORDED ? x : *gradients;
        if (x->value && !sg__list_add(g, &g->leaves, x))
            return false;
    }
    return true;
}

bool sg__unfold(const sg__request *r, sg__source **sources)
{
    sg_context *g = r->g;
    uint32_t before = g->serial;
    g->looked = false;
    g->recorded = NULL;
    sg_tensor *gradients = NULL;
    if (!list_leaves(g, &gradients) || !sg__record_gradients(gradients) ||
        !sg__walk(g, (int)r->n, r->roots, SG__STOP_AT_VALUES))
        return false;
    const sg__list *order = &g->order;
    size_t n = 0, *number = sg__alloc(&g->tape, order->n * sizeof *number);
    *sources = sg__alloc(&g->tape, order->n * sizeof **sources);
    if (!number || !*sources)
        return no_memory(g);
    memset(number, 0, order->n * sizeof *number);
    for (size_t i = 0; i < g->leaves.n; i++)
        if (g->leaves.x[i]->mark == g->epoch)
            number[g->leaves.x[i]->index] = i + 1;
    bool same = !g->looked;
    for (size_t i = 0; i < order->n; i++) {
        const sg_tensor *x = order->x[i];
        if (!x->value)
            continue;
        bool made = x->generation == g->generation && x->serial >= before;
        same = same && (number[i] || made || x->flags & SG__SHARED);
        (*sources)[n++] = (sg__source){number[i] ? NULL : x->value, number[i] - 1,
                                       (size_t)x->dims->size * sg__dtype_size((sg_dtype)x->dtype)};
    }
    *sources = same ? *sources : NULL;
    return true;
}

bool sg__keep_sources(sg_context *g, sg__plan *p, const sg__source *sources)
{
    p->given = g->leaves.n;
    p->sources = sg__alloc(&p->arena, (p->leaves + 1) * sizeof *p->sources);
    if (!p->sources)
        return no_memory(g);
    for (uint32_t i = 0; i < p->leaves; i++) {
        sg__source s = sources[i];
        void *copy = s.constant ? sg__alloc_aligned(&p->arena, s.bytes ? s.bytes : 1) : NULL;
        if (s.constant && !copy)
            return no_memory(g);
        if (s.constant)
            s.constant = memcpy(copy, s.constant, s.bytes);
        p->sources[i] = s;
    }
    return true;
}

/* Where the graph's leaves are, the walk has noted from bases[1] on: that goes behind all bases. */
void sg__fill_leaves(void **bases, const sg__plan *p)
{
    void **given = bases + p->bases;
    memmove(given, bases + 1, p->given * sizeof *given);
    for (uint32_t i = 0; i < p->leaves; i++) {
        const sg__source *s = &p->sources[i];
        bases[1 + i] = s->constant ? (void *)(uintptr_t)s->constant : given[s->leaf];
    }
}
