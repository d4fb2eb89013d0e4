/* Sums of many operands (add_n), each added as soon as it is there. */
#include "core/plan/emit.h"

/* Each addition is due after the operand and the sum so far are there. */
bool sg__schedule_folds(sg__emitter *e)
{
    const sg__graph *gr = e->gr;
    size_t total = 0;
    for (uint32_t i = 0; i < gr->ordered; i++) {
        const sg__item *x = sg__item_of(e, gr->order[i]);
        total += x->op && x->op->flags & SG_OP_FOLD ? x->n : 0;
    }
    if (!total)
        return true;
    e->folds = sg__alloc(&e->gr->g->scratch, total * sizeof *e->folds);
    uint32_t *turn = sg__graph_list(e->gr, (uint32_t)gr->n);
    e->first = sg__graph_list(e->gr, (uint32_t)gr->n);
    e->latest = sg__graph_list(e->gr, (uint32_t)gr->n);
    if (!turn || !e->folds || !e->first || !e->latest)
        return sg__emit_fail(e);
    for (uint32_t i = 0; i < gr->ordered; i++)
        turn[gr->order[i]] = i;
    memset(e->first, 0xFF, gr->n * sizeof *e->first);
    for (uint32_t i = 0; i < gr->ordered; i++) {
        const sg__item *x = sg__item_of(e, gr->order[i]);
        if (!x->op || !(x->op->flags & SG_OP_FOLD))
            continue;
        uint32_t at = x->in[0];
        for (uint32_t k = 1; k < x->n; k++) {
            uint32_t f = (uint32_t)e->fold_count++;
            at = turn[x->in[k]] > turn[at] ? x->in[k] : at;
            e->folds[f] = (sg__due){gr->order[i], k, SG__NONE};
            *(e->first[at] == SG__NONE ? &e->first[at] : &e->folds[e->latest[at]].next) = f;
            e->latest[at] = f;
        }
    }
    return true;
}

/* out = left + right */
static bool emit_addition(sg__emitter *e, uint32_t sum, const sg__value *left,
                          const sg__value *right, const sg__value *out)
{
    const sg_op *op = sg__item_of(e, sum)->op;
    sg__step *s = sg__new_step(e, sum, op, 2);
    if (!s)
        return false;
    sg__set(s, 0, left);
    sg__set(s, 1, right);
    sg__set(s, s->n, out);
    return sg__close_map(e, s, sg__kernel_of(e, op, sg__item_of(e, sum)->dtype));
}

/* Adds operand k of a sum to it: where it belongs, if it is a pad that was not made. */
static bool add_operand(sg__emitter *e, uint32_t sum, uint32_t k)
{
    uint32_t i = sg__item_of(e, sum)->in[k];
    const sg__item *x = sg__item_of(e, i);
    sg__value *all = &e->values[sum], region = *all;
    if (!e->layout[sum].added || !e->layout[sum].added[k])
        return emit_addition(e, sum, all, &e->values[i], all);
    const sg__item *from = sg__item_of(e, x->in[0]);
    sg_array in = sg__whole(from->dims, from->dtype);
    sg_part *part = sg__alloc(&e->gr->g->scratch, sizeof *part);
    if (!part)
        return sg__emit_fail(e);
    x->op->parts(x->attr, 1, &in, &all->array, part);
    region.place.offset += part->start * (int64_t)sg__dtype_size(in.dtype);
    region.array = in;
    region.array.stride = part->stride;
    return from->dims->size == 0 || emit_addition(e, sum, &region, &e->values[x->in[0]], &region);
}

static bool emit_fold(sg__emitter *e, uint32_t sum, uint32_t k)
{
    const sg__item *x = sg__item_of(e, sum);
    const bool *added = e->layout[sum].added;
    if (k > 1)
        return add_operand(e, sum, k);
    sg__value *all = sg__give_place(e, sum);
    if (!all)
        return false;
    if (!added || (!added[0] && !added[1]))
        return emit_addition(e, sum, &e->values[x->in[0]], &e->values[x->in[1]], all);
    return (added[0] ? sg__emit_zero(e, sum, all) && add_operand(e, sum, 0)
                     : sg__emit_copy(e, sum, &e->values[x->in[0]], all)) &&
           add_operand(e, sum, 1);
}

bool sg__emit_folds(sg__emitter *e, uint32_t after)
{
    for (uint32_t i = e->folds ? e->first[after] : SG__NONE; i != SG__NONE; i = e->folds[i].next)
        if (!emit_fold(e, e->folds[i].sum, e->folds[i].k))
            return false;
    return true;
}
