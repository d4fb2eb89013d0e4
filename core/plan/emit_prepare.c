/* An operand that several calls read is prepared once for all of them, before the first; a
 * parameter that one call reads, for those of further evaluations, too. */
#include "core/plan/emit.h"

/* A parameter may stay prepared if this plan does not overwrite it. */
static bool find_lasting(sg__emitter *e)
{
    const sg__list *order = &e->r->g->order;
    const sg__plan *p = e->p;
    uint32_t base = 0;
    e->lasting = sg__graph_list(e->gr, 1 + p->leaves);
    if (!e->lasting)
        return false;
    e->lasting[0] = 0;
    for (uint32_t i = 0; i < order->n; i++)
        if (order->x[i]->value)
            e->lasting[++base] = sg__param_of(order->x[i]) ? 1 + i : 0;
    for (size_t i = 0; i < p->root_count; i++)
        if (p->roots[i].assign)
            e->lasting[p->roots[i].param] = 0;
    return true;
}

bool sg__count_readers(sg__emitter *e)
{
    const sg__graph *gr = e->gr;
    e->prepared = sg__alloc(&gr->g->scratch, gr->n * sizeof *e->prepared);
    if (!e->prepared)
        return sg__emit_fail(e);
    memset(e->prepared, 0, gr->n * sizeof *e->prepared);
    for (uint32_t k = 0; k < gr->ordered; k++) {
        const sg__item *x = sg__item_of(e, gr->order[k]);
        if (x->op && x->op->prepare)
            e->prepared[x->in[x->op->prepare->operand]].readers++;
    }
    return find_lasting(e);
}

static bool emit_preparation(sg__emitter *e, uint32_t i, const sg_op *op, sg_shape shape,
                             const sg__value *from, sg__value *to)
{
    const sg__dims *dims = sg__intern(e->r->g, op->name, shape);
    if (!dims)
        return false;
    to->array = sg__whole(dims, (int)from->array.dtype);
    if (!sg__new_buffer(e, (size_t)dims->size * sg__dtype_size(to->array.dtype), &to->place))
        return false;
    sg__step *s = sg__new_step(e, i, op, 1);
    if (!s)
        return false;
    sg__set(s, 0, from);
    sg__set(s, s->n, to);
    to->there = true;
    sg__close_step(e);
    return true;
}

static bool emit_standing(sg__emitter *e, uint32_t node, const sg_prepare *p, sg_shape shape,
                          sg_dtype dtype, sg__kernel *how)
{
    const sg__dims *dims = sg__intern(e->r->g, p->first->name, shape);
    how->standing = dims ? sg__alloc(&e->p->arena, sizeof *how->standing) : NULL;
    if (!how->standing)
        return sg__emit_fail(e);
    *how->standing = (sg__standing){.operand = p->operand,
                                    .node = node,
                                    .first = p->first,
                                    .ready = sg__whole(dims, (int)dtype)};
    return true;
}

bool sg__emit_prepared(sg__emitter *e, uint32_t i, const sg__value *out, sg__value *in,
                       sg__kernel *how)
{
    const sg__item *x = sg__item_of(e, i);
    const sg_prepare *p = x->op->prepare;
    sg_shape shape;
    if (!p || !e->prepared)
        return true;
    sg__prepared *all = &e->prepared[x->in[p->operand]];
    const uint32_t base = in[p->operand].place.base;
    sg_array *arrays = sg__alloc(&e->gr->g->scratch, x->n * sizeof *arrays);
    void *attr = sg__alloc(&e->gr->g->scratch, p->then->attr_size);
    if (!arrays || !attr)
        return sg__emit_fail(e);
    for (uint32_t k = 0; k < x->n; k++)
        arrays[k] = in[k].array;
    const sg_call c = {.attr = x->attr,
                       .n = (int)x->n,
                       .isa = e->r->g->isa,
                       .in = arrays,
                       .out = out->array,
                       .parts = e->r->g->threads};
    if (all->readers < 2 || (all->by && all->by != p) ||
        !p->worth(&c, all->readers, &shape, attr)) {
        const uint32_t lasting = base <= e->p->leaves ? e->lasting[base] : 0;
        if (!lasting || !p->worth(&c, SG_EVER, &shape, attr))
            return true;
        how->op = p->then;
        how->attr = attr;
        return emit_standing(e, lasting - 1, p, shape, in[p->operand].array.dtype, how);
    }
    if (!all->by && !emit_preparation(e, i, p->first, shape, &in[p->operand], &all->value))
        return false;
    all->by = p;
    in[p->operand] = all->value;
    *how = (sg__kernel){p->then, attr, NULL};
    return true;
}
