/*
 * Rewriting: what a sum says piece by piece, said as one.
 *
 * - Pads that lie side by side are the arrays side by side: gradients of slices, of gates.
 * - Products A_t B_t are [A_1 A_2 …] [B_1; B_2; …]: a weight's gradient over time is one product
 * with a long inner axis, K = T * B; a bias's is one sum, a table's one scatter of all rows taken.
 * - All slices of x side by side are x.
 *
 * A rule looks at what an item is computed from and never at what else is asked for, so asking for
 * more changes no bit. What joined operands make rounds otherwise than the sum of what each makes;
 * they are joined in reverse, since the backward sweep meets the last step first.
 */
#include "core/parts.h"
#include "core/plan/plan.h"

#include <stdlib.h>

sg_array sg__whole(const sg__dims *d, int dtype)
{
    return (sg_array){NULL, d->shape.dim, d->stride, (sg_dtype)dtype, d->shape.rank};
}

static const sg__item *item(const sg__graph *gr, uint32_t i)
{
    return gr->x + i;
}

static bool is_fold(const sg__item *x)
{
    return x->op && x->op->flags & SG_OP_FOLD;
}

/* ---- new items ------------------------------------------------------------------------------ */

uint32_t sg__graph_new(sg__graph *gr, const sg__item *like, const sg_op *op, const void *attr,
                       sg_shape shape, uint32_t n, const uint32_t *in)
{
    sg__item x = {.op = op, .n = n, .origin = like->origin, .dtype = like->dtype};
    x.dims = sg__intern(gr->g, "", shape);
    x.in = sg__graph_list(gr, n);
    if (!x.dims || !x.in)
        return SG__NONE;
    memcpy(x.in, in, n * sizeof *in);
    if (op->attr_size) {
        void *copy = sg__alloc(&gr->g->scratch, op->attr_size);
        if (!copy) {
            sg__no_memory(gr->g, "a plan");
            return SG__NONE;
        }
        x.attr = memcpy(copy, attr, op->attr_size);
    }
    return is_fold(&x) ? sg__graph_add(gr, x) : sg__rewrite(gr, x); /* sums were, and are no new */
}

uint32_t sg__graph_reshape(sg__graph *gr, uint32_t i, sg_shape shape)
{
    sg__target t = sg__target_of(shape);
    return sg__graph_new(gr, item(gr, i), &sg__reshape_op, &t, shape, 1, &i);
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
    return is_pad(gr, x, &axis, &t) || joint_of(gr, x, &j) ? from : i;
}

static uint32_t rewrite_sum(sg__graph *gr, sg__item x)
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

/* ---- slices side by side --------------------------------------------------------------------- */

/* How a view, or a view of a view, lies in the array that it looks at; false if that needs a copy.
 * `stride` has room for two arrays' strides. */
static bool lies(const sg__graph *gr, uint32_t i, uint32_t *base, int64_t *start, int64_t *stride)
{
    enum { DEEP = 4 };
    uint32_t chain[DEEP];
    int depth = 0;
    for (; item(gr, i)->op && item(gr, i)->op->view && depth < DEEP; i = item(gr, i)->in[0])
        chain[depth++] = i;
    if (item(gr, i)->op && item(gr, i)->op->view)
        return false;
    sg_array a = sg__whole(item(gr, i)->dims, item(gr, i)->dtype);
    int64_t *now = stride, *next = stride + SG_MAX_RANK, offset;
    *base = i;
    *start = 0;
    memcpy(now, a.stride, (size_t)a.rank * sizeof *now);
    while (depth-- > 0) {
        const sg__item *x = item(gr, chain[depth]);
        sg_array out = sg__whole(x->dims, x->dtype);
        a.stride = now;
        if (!x->op->view(x->attr, &a, &out, &offset, next))
            return false;
        *start += offset;
        a = out;
        int64_t *swap = now;
        now = next;
        next = swap;
    }
    if (now != stride)
        memcpy(stride, now, SG_MAX_RANK * sizeof *now);
    return true;
}

/* The array whose parts, in their places, are the operands of x; or SG__NONE. */
static uint32_t tiled(sg__graph *gr, const sg__item *x)
{
    uint32_t whole = SG__NONE, base;
    int64_t start, stride[2 * SG_MAX_RANK], elements = 0;
    const sg__item *first = item(gr, x->in[0]);
    if (!first->op || !first->op->view || !lies(gr, x->in[0], &base, &start, stride) || start ||
        item(gr, base)->dims->size != x->dims->size)
        return SG__NONE;
    sg_part *part = sg__alloc(&gr->g->scratch, x->n * sizeof *part);
    sg_array *in = sg__alloc(&gr->g->scratch, x->n * sizeof *in),
             out = sg__whole(x->dims, x->dtype);
    if (!part || !in)
        return SG__NONE;
    for (uint32_t k = 0; k < x->n; k++) {
        in[k] = sg__whole(item(gr, x->in[k])->dims, x->dtype);
        elements += item(gr, x->in[k])->dims->size;
    }
    x->op->parts(x->attr, (int)x->n, in, &out, part);
    for (uint32_t k = 0; k < x->n; k++) {
        if (!lies(gr, x->in[k], &base, &start, stride) || (whole != SG__NONE && base != whole) ||
            start != part[k].start)
            return SG__NONE;
        whole = base;
        for (int d = 0; d < out.rank; d++)
            if (in[k].dim[d] > 1 && stride[d] != part[k].stride[d])
                return SG__NONE;
    }
    return elements == x->dims->size ? whole : SG__NONE;
}

static uint32_t rewrite_parts(sg__graph *gr, sg__item x)
{
    uint32_t whole = tiled(gr, &x);
    if (whole == SG__NONE)
        return sg__graph_add(gr, x);
    return item(gr, whole)->dims == x.dims ? whole : sg__graph_reshape(gr, whole, x.dims->shape);
}

/* A reshape of a reshape is one, or none. Equal ones are told by the shape that came of them. */
static uint32_t rewrite_reshape(sg__graph *gr, sg__item x)
{
    sg__target t = sg__target_of(x.dims->shape), *attr = sg__alloc(&gr->g->scratch, sizeof *attr);
    if (!attr) {
        sg__no_memory(gr->g, "a plan");
        return SG__NONE;
    }
    *attr = t;
    x.attr = attr;
    if (sg__is_reshape(item(gr, x.in[0])) && item(gr, x.in[0])->op == x.op)
        x.in[0] = item(gr, x.in[0])->in[0];
    return item(gr, x.in[0])->dims == x.dims ? x.in[0] : sg__graph_add(gr, x);
}

uint32_t sg__rewrite(sg__graph *gr, sg__item x)
{
    if (x.dims->size == 0 || sg__without(gr->g, SG__REWRITE))
        return sg__graph_add(gr, x);
    return is_fold(&x)          ? rewrite_sum(gr, x)
           : sg__is_reshape(&x) ? rewrite_reshape(gr, x)
           : x.op->parts        ? rewrite_parts(gr, x)
                                : sg__graph_add(gr, x);
}
