/*
 * Layout: an item that is made of others (concat, pad) has them computed right in their places, so
 * that joining costs nothing. The users of an item are seen before it: where it lies in one of them
 * is then known, through the views in between, down to the array that holds them all, its home.
 */
#include "core/plan/plan.h"

typedef struct layout {
    sg__graph *gr;
    const uint32_t *own;
    sg__layout *of;
} layout;

static bool fail(const layout *l)
{
    sg__no_memory(l->gr->g, "a plan");
    return false;
}

static const sg__item *item(const layout *l, uint32_t i)
{
    return l->gr->x + i;
}

static sg_array array_of(const layout *l, uint32_t i)
{
    sg_array a = sg__whole(item(l, i)->dims, item(l, i)->dtype);
    if (l->of[i].stride)
        a.stride = l->of[i].stride;
    return a;
}

/* Rows must be in one piece, and all of it where the kernel asks for that. */
static bool can_write(const sg__item *x, const sg_array *to)
{
    if (!x->op->map && !x->op->parts && !(x->op->flags & (SG_OP_STRIDED | SG_OP_FOLD)))
        return sg__contiguous(to);
    for (int k = to->rank - 1; k >= 0; k--)
        if (to->dim[k] != 1)
            return to->stride[k] == 1;
    return true;
}

/* Gives the operand i of `user`, or what it is a view of, its place there. */
static bool place(layout *l, uint32_t user, uint32_t i, const sg_part *part, bool *placed)
{
    int64_t start = l->of[user].start + part->start, stride[2][SG_MAX_RANK];
    sg_array to = sg__whole(item(l, i)->dims, item(l, i)->dtype);
    int now = 0;
    memcpy(stride[0], part->stride, (size_t)to.rank * sizeof **stride);
    to.stride = stride[0];
    for (const sg__item *x; (x = item(l, i))->op && x->op->view; i = x->in[0], now = !now) {
        sg_array from = sg__whole(item(l, x->in[0])->dims, x->dtype);
        int64_t offset;
        if (!x->op->back || !x->op->back(x->attr, &to, &from, &offset, stride[!now]))
            return true;
        start += offset;
        from.stride = stride[!now];
        to = from;
    }
    if (!item(l, i)->op || l->own[i] || l->of[i].home != i || l->of[i].stride ||
        !can_write(item(l, i), &to))
        return true;
    int64_t *own = sg__alloc(&l->gr->g->scratch, sizeof(int64_t[SG_MAX_RANK]));
    if (!own)
        return fail(l);
    memcpy(own, to.stride, (size_t)to.rank * sizeof *own);
    l->of[i].home = l->of[user].home;
    l->of[i].start = start;
    l->of[i].stride = own;
    *placed = true;
    return true;
}

static bool lay_parts(layout *l, uint32_t i)
{
    const sg__item *x = item(l, i);
    sg__layout *y = &l->of[i];
    sg_array *in = sg__alloc(&l->gr->g->scratch, x->n * sizeof *in), out = array_of(l, i);
    int64_t covered = 0;
    y->part = sg__alloc(&l->gr->g->scratch, x->n * sizeof *y->part);
    y->placed = sg__alloc(&l->gr->g->scratch, x->n * sizeof *y->placed);
    if (!in || !y->part || !y->placed)
        return fail(l);
    memset(y->placed, 0, x->n * sizeof *y->placed);
    for (uint32_t k = 0; k < x->n; k++) {
        in[k] = array_of(l, x->in[k]);
        covered += item(l, x->in[k])->dims->size;
    }
    x->op->parts(x->attr, (int)x->n, in, &out, y->part);
    if (covered < x->dims->size) {
        y->next_blank = l->of[y->home].blank;
        l->of[y->home].blank = i;
    }
    for (uint32_t k = 0; k < x->n; k++)
        if (item(l, x->in[k])->dims->size && !sg__without(l->gr->g, SG__LAYOUT) &&
            !place(l, i, x->in[k], &y->part[k], &y->placed[k]))
            return false;
    return true;
}

/* A pad that only this sum looks at is not made: its operand is added where it belongs. */
static bool lay_sum(layout *l, uint32_t i)
{
    const sg__item *x = item(l, i);
    bool *added = sg__alloc(&l->gr->g->scratch, x->n * sizeof *added), any = false;
    if (!added)
        return fail(l);
    for (uint32_t k = 0; k < x->n; k++) {
        const sg__item *pad = item(l, x->in[k]);
        added[k] = !sg__without(l->gr->g, SG__LAYOUT) && pad->op && pad->op->parts && pad->n == 1 &&
                   pad->uses == 1;
        any = any || added[k];
        if (added[k])
            l->of[x->in[k]].home = SG__NONE;
    }
    l->of[i].added = any ? added : NULL;
    return true;
}

sg__layout *sg__lay_out(sg__graph *gr, const uint32_t *own)
{
    layout l = {gr, own, sg__alloc(&gr->g->scratch, gr->n * sizeof *l.of)};
    if (!l.of) {
        fail(&l);
        return NULL;
    }
    for (uint32_t i = 0; i < gr->n; i++)
        l.of[i] = (sg__layout){.home = i, .blank = SG__NONE, .next_blank = SG__NONE};
    for (uint32_t k = gr->ordered; k-- > 0;) {
        uint32_t i = gr->order[k];
        const sg__item *x = item(&l, i);
        bool ok = !x->op || l.of[i].home == SG__NONE ? true
                  : x->op->parts                     ? lay_parts(&l, i)
                  : x->op->flags & SG_OP_FOLD        ? lay_sum(&l, i)
                                                     : true;
        if (!ok)
            return NULL;
    }
    return l.of;
}
