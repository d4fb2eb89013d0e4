/*
 * Rewriting: what a sum says piece by piece, said as one.
 *
 * - Pads that lie side by side are the arrays side by side: gradients of slices, of gates.
 * - Products A_t B_t are [A_1 A_2 …] [B_1; B_2; …]: a weight's gradient over time is one product
 * with a long inner axis, K = T * B; a bias's is one sum, a table's one scatter of all rows taken.
 * - Products that are looked at through one view, transposed, are joined behind it.
 * - All slices of x side by side are x.
 *
 * A rule looks at what an item is computed from and never at what else is asked for, so asking for
 * more changes no bit. What joined operands make rounds otherwise than the sum of what each makes;
 * they are joined in reverse, since the backward sweep meets the last step first.
 */
#include "core/parts.h"
#include "core/plan/plan.h"

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
    return is_fold(&x)          ? sg__rewrite_sum(gr, x)
           : sg__is_reshape(&x) ? rewrite_reshape(gr, x)
           : x.op->parts        ? rewrite_parts(gr, x)
                                : sg__graph_add(gr, x);
}
