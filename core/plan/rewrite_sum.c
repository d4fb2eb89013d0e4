/*
 * Rewriting sums: what a sum says piece by piece, said as one (see rewrite.c).
 */
#include "core/parts.h"
#include "core/plan/plan.h"

#include <stdlib.h>

static const sg__item *item(const sg__graph *gr, uint32_t i)
{
    return gr->x + i;
}

static uint32_t concat(sg__graph *gr, int axis, uint32_t n, const uint32_t *in)
{
    const sg__item *x = item(gr, in[0]);
    sg__concat_attr a = {.axis = axis};
    sg_shape shape = x->dims->shape;
    for (uint32_t k = 1; k < n; k++)
        shape.dim[axis] += item(gr, in[k])->dims->shape.dim[axis];
    return n == 1 ? in[0] : sg__graph_new(gr, x, &sg__concat_op, &a, shape, n, in);
}

/* ---- pads side by side ----------------------------------------------------------------------- */

typedef struct term {
    uint32_t at; /* among the sum's operands */
    int64_t start, end;
    uint32_t item;
} term;

/* Whether x is an array with zeros around it along one axis: which, and from where to where. */
static bool is_pad(const sg__graph *gr, const sg__item *x, int *axis, term *t)
{
    if (!x->op || !x->op->parts || x->n != 1)
        return false;
    sg_array in = sg__whole(item(gr, x->in[0])->dims, x->dtype), out = sg__whole(x->dims, x->dtype);
    sg_part part;
    int found = -1;
    x->op->parts(x->attr, 1, &in, &out, &part);
    for (int k = 0; k < out.rank; k++) {
        if (in.dim[k] > 1 && part.stride[k] != out.stride[k])
            return false;
        if (in.dim[k] != out.dim[k] && found >= 0)
            return false;
        found = in.dim[k] != out.dim[k] ? k : found;
    }
    if (found < 0 || in.dim[found] == 0)
        return false;
    *axis = found;
    t->start = part.start / out.stride[found];
    t->end = t->start + in.dim[found];
    t->item = x->in[0];
    return true;
}

static int by_start(const void *a, const void *b)
{
    int64_t x = ((const term *)a)->start, y = ((const term *)b)->start;
    return (x > y) - (x < y);
}

/* The pads among a sum's operands as one array, where they fill an axis without gap. */
static uint32_t join_pads(sg__graph *gr, const sg__item *sum, term *t, uint32_t *dead)
{
    uint32_t n = 0;
    int axis = -1, now;
    for (uint32_t k = 0; k < sum->n; k++)
        if (is_pad(gr, item(gr, sum->in[k]), &now, &t[n])) {
            if (axis >= 0 && now != axis)
                return SG__NONE;
            axis = now;
            t[n++].at = k;
        }
    if (n < 2)
        return SG__NONE;
    uint32_t first = t[0].at;
    qsort(t, n, sizeof *t, by_start);
    for (uint32_t k = 0; k < n; k++)
        if (t[k].start != (k ? t[k - 1].end : 0))
            return SG__NONE;
    if (t[n - 1].end != sum->dims->shape.dim[axis])
        return SG__NONE;
    uint32_t *in = sg__graph_list(gr, n);
    for (uint32_t k = 0; in && k < n; k++) {
        in[k] = t[k].item;
        dead[t[k].at] = true;
    }
    dead[first] = false;
    uint32_t all = in ? concat(gr, axis, n, in) : SG__NONE;
    if (all != SG__NONE)
        sum->in[first] = all;
    return all;
}

/* ---- sums of what can be joined -------------------------------------------------------------- */

/* Whether a view swaps the last two axes of its operand and does nothing else. */
static bool is_transpose(const sg__graph *gr, const sg__item *x)
{
    if (!x->op || !x->op->view || x->dims->shape.rank < 2)
        return false;
    const sg__item *from = item(gr, x->in[0]);
    sg_array in = sg__whole(from->dims, x->dtype), out = sg__whole(x->dims, x->dtype);
    int64_t start, stride[SG_MAX_RANK];
    int r = out.rank;
    if (in.rank != r || !x->op->view(x->attr, &in, &out, &start, stride) || start)
        return false;
    for (int k = 0; k < r - 2; k++)
        if (in.dim[k] != out.dim[k] || stride[k] != in.stride[k])
            return false;
    return in.dim[r - 2] == out.dim[r - 1] && stride[r - 1] == in.stride[r - 2] &&
           in.dim[r - 1] == out.dim[r - 2] && stride[r - 2] == in.stride[r - 1];
}

/* Arrays of one shape but for `axis`: side by side, or, if all are equal there, element by element
 * in turn, which is how steps lie in [batch, time]. */
static uint32_t join(sg__graph *gr, int axis, bool in_turn, uint32_t n, uint32_t *in)
{
    if (!in_turn)
        return concat(gr, axis, n, in);
    sg_shape wide = item(gr, in[0])->dims->shape, flat = wide;
    for (int k = wide.rank++; k > axis; k--)
        wide.dim[k] = wide.dim[k - 1];
    wide.dim[axis + 1] = 1;
    flat.dim[axis] *= n;
    for (uint32_t k = 0; k < n; k++)
        if ((in[k] = sg__graph_reshape(gr, in[k], wide)) == SG__NONE)
            return SG__NONE;
    uint32_t all = concat(gr, axis + 1, n, in);
    return all == SG__NONE ? all : sg__graph_reshape(gr, all, flat);
}

/* Transposes along the joined axis are joined as they are and then transposed. */
static uint32_t join_turned(sg__graph *gr, int axis, bool in_turn, uint32_t n, uint32_t *in)
{
    int rank = item(gr, in[0])->dims->shape.rank;
    bool turned = rank >= 2 && axis == rank - 1;
    for (uint32_t k = 0; turned && k < n; k++)
        turned = is_transpose(gr, item(gr, in[k]));
    if (!turned)
        return join(gr, axis, in_turn, n, in);
    sg__item view = *item(gr, in[0]);
    for (uint32_t k = 0; k < n; k++)
        in[k] = item(gr, in[k])->in[0];
    uint32_t all = join(gr, rank - 2, in_turn, n, in);
    if (all == SG__NONE)
        return all;
    sg_shape shape = item(gr, all)->dims->shape;
    int64_t rows = shape.dim[rank - 2];
    shape.dim[rank - 2] = shape.dim[rank - 1];
    shape.dim[rank - 1] = rows;
    return sg__graph_new(gr, &view, view.op, view.attr, shape, 1, &all);
}

static bool joint_of(const sg__graph *gr, const sg__item *x, sg_joint *j)
{
    sg_shape in[SG_JOINED];
    if (!x->op || !x->op->joint || x->n > SG_JOINED)
        return false;
    for (uint32_t i = 0; i < x->n; i++) {
        in[i] = item(gr, x->in[i])->dims->shape;
        if (in[i].rank >= SG_MAX_RANK || item(gr, x->in[i])->dims->size == 0)
            return false;
    }
    *j = (sg_joint){.in_turn = false};
    return x->op->joint(x->attr, in, &x->dims->shape, j);
}

/* Whether operands go side by side: their sizes are equal but for the joined axes. */
static bool goes_with(const sg_joint *x, const sg_joint *y, uint32_t operands)
{
    for (uint32_t i = 0; i < operands; i++)
        for (int k = 0; k < x->shape[i].rank; k++)
            if (k != x->axis[i] && x->shape[i].dim[k] != y->shape[i].dim[k])
                return false;
    return true;
}

/* The terms of a sum that are results of the op of term `last`, from there to the front, as one. */
static uint32_t join_terms(sg__graph *gr, const sg__item *sum, uint32_t last, uint32_t *dead)
{
    const sg__item like = *item(gr, sum->in[last]);
    uint32_t *in[SG_JOINED], n = 0, at = last;
    sg_joint j, first;
    for (uint32_t i = 0; i < like.n; i++)
        if (!(in[i] = sg__graph_list(gr, sum->n)))
            return SG__NONE;
    bool in_turn = true;
    for (uint32_t k = last + 1; k-- > 0;) {
        uint32_t t = sum->in[k];
        if (dead[k] || item(gr, t)->op != like.op || !joint_of(gr, item(gr, t), &j) ||
            (n && !goes_with(&j, &first, like.n)))
            continue;
        first = n ? first : j;
        in_turn =
            in_turn && j.in_turn && j.shape[0].dim[j.axis[0]] == first.shape[0].dim[first.axis[0]];
        for (uint32_t i = 0; i < like.n; i++)
            if ((in[i][n] = sg__graph_reshape(gr, item(gr, t)->in[i], j.shape[i])) == SG__NONE)
                return SG__NONE;
        dead[at] = n > 0;
        at = k;
        n++;
    }
    if (n < 2)
        return sum->in[last];
    uint32_t both[SG_JOINED];
    for (uint32_t i = 0; i < like.n; i++)
        if ((both[i] = join_turned(gr, first.axis[i], in_turn, n, in[i])) == SG__NONE)
            return SG__NONE;
    sum->in[at] = sg__graph_new(gr, &like, like.op, like.attr, like.dims->shape, like.n, both);
    return sum->in[at];
}

/* Whether x is a view of all of something that can be joined. */
static bool is_view_of_joint(const sg__graph *gr, const sg__item *x)
{
    sg_joint j;
    return x->op && x->op->view && item(gr, x->in[0])->dims->size == x->dims->size &&
           joint_of(gr, item(gr, x->in[0]), &j);
}

static bool same_view(const sg__graph *gr, const sg__item *x, const sg__item *y)
{
    return x->op == y->op && item(gr, x->in[0])->dims == item(gr, y->in[0])->dims &&
           (!x->op->attr_size || memcmp(x->attr, y->attr, x->op->attr_size) == 0);
}

/* The terms of a sum that are one view, that of term `last`, as this view of a sum: of what they
 * look at, which is joined there. So a transpose that is taken at every step is none. */
static uint32_t join_views(sg__graph *gr, const sg__item *sum, uint32_t last, uint32_t *dead)
{
    const sg__item like = *item(gr, sum->in[last]);
    uint32_t *in = sg__graph_list(gr, sum->n), *at = sg__graph_list(gr, sum->n), n = 0;
    if (!in || !at)
        return SG__NONE;
    for (uint32_t k = 0; k <= last; k++) {
        const sg__item *x = item(gr, sum->in[k]);
        if (dead[k] || !is_view_of_joint(gr, x) || !same_view(gr, x, &like))
            continue;
        in[n] = x->in[0];
        at[n++] = k;
    }
    if (n < 2)
        return sum->in[last];
    sg__item inner = *sum;
    inner.dims = item(gr, in[0])->dims;
    inner.in = in;
    inner.n = n;
    uint32_t all = sg__rewrite(gr, inner);
    if (all == SG__NONE)
        return all;
    for (uint32_t k = 1; k < n; k++)
        dead[at[k]] = true;
    return sum->in[at[0]] = sg__graph_new(gr, &like, like.op, like.attr, sum->dims->shape, 1, &all);
}

/* A pad or product that is looked at later joins as it would without: with the same bits. */
static uint32_t behind(const sg__graph *gr, uint32_t i)
{
    const sg__item *x = item(gr, i);
    uint32_t from = i;
    sg_joint j;
    term t;
    int axis;
    while (x->op && x->op->flags & SG__OP_LATER)
        x = item(gr, from = x->in[0]);
    return is_pad(gr, x, &axis, &t) || joint_of(gr, x, &j) || is_view_of_joint(gr, x) ? from : i;
}

uint32_t sg__rewrite_sum(sg__graph *gr, sg__item x)
{
    term *t = sg__alloc(&gr->g->scratch, x.n * sizeof *t);
    uint32_t *dead = sg__graph_list(gr, x.n), n = 0;
    sg_joint j;
    if (!t || !dead)
        return sg__graph_add(gr, x);
    memset(dead, 0, x.n * sizeof *dead);
    for (uint32_t k = 0; k < x.n; k++)
        x.in[k] = behind(gr, x.in[k]);
    join_pads(gr, &x, t, dead);
    for (uint32_t k = x.n; !gr->g->status && k-- > 0;)
        if (!dead[k] && is_view_of_joint(gr, item(gr, x.in[k])))
            join_views(gr, &x, k, dead);
    for (uint32_t k = x.n; !gr->g->status && k-- > 0;)
        if (!dead[k] && joint_of(gr, item(gr, x.in[k]), &j))
            join_terms(gr, &x, k, dead);
    if (gr->g->status)
        return SG__NONE;
    for (uint32_t k = 0; k < x.n; k++)
        if (!dead[k])
            x.in[n++] = x.in[k];
    x.n = n;
    return n == 1 ? x.in[0] : sg__graph_add(gr, x);
}
