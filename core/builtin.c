/* Ops that the graph itself needs: looking at a tensor in another shape, broadcasting with its
 * adjoint, the sum of contributions. */
#include "core/array.h"
#include "core/internal.h"
#include "core/parts.h"
#include "core/plan/rows.h"
#include "core/sum.h"

typedef sg__target target;

static const sg_attr target_attrs[] = {{"shape", 's', offsetof(target, shape)}, {0}};

sg__target sg__target_of(sg_shape s)
{
    target t;
    memset(&t, 0, sizeof t); /* unused sizes are hashed too */
    t.shape.rank = s.rank;
    for (int i = 0; i < s.rank && i < SG_MAX_RANK; i++)
        t.shape.dim[i] = s.dim[i];
    return t;
}

static bool possible(sg_infer *c, const target *t)
{
    return (t->shape.rank >= 0 && t->shape.rank <= SG_MAX_RANK) ||
           sg_refuse(c, "a shape of %d axes: at most %d are possible", t->shape.rank, SG_MAX_RANK);
}

/* ---- reshape ------------------------------------------------------------------------------- */

static bool reshape_infer(sg_infer *c)
{
    const target *t = c->attr;
    int64_t known = 1, size = sg_size(c->in[0]);
    int unknown = -1;
    c->shape = t->shape;
    if (!possible(c, t))
        return false;
    for (int i = 0; i < t->shape.rank; i++) {
        int64_t d = t->shape.dim[i];
        if (d == -1 && unknown < 0)
            unknown = i;
        else if (d < 0 || (d > 0 && known > INT64_MAX / 16 / d))
            return sg_refuse(c, "not a shape to reshape to");
        else
            known *= d;
    }
    if (unknown >= 0 && known > 0)
        c->shape.dim[unknown] = size / known;
    if (unknown >= 0 && known == 0)
        return sg_refuse(c, "-1 is undetermined beside a size of 0");
    char text[SG_SHAPE_TEXT];
    if (known * (unknown >= 0 ? c->shape.dim[unknown] : 1) != size)
        return sg_refuse(c, "%lld elements do not make %s", (long long)size,
                         sg__shape_text(text, &t->shape));
    return true;
}

static void row_major(const sg_array *out, int64_t *stride)
{
    int64_t step = 1;
    for (int i = out->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= out->dim[i] > 0 ? out->dim[i] : 1;
    }
}

/* Of an operand that is not contiguous: from the last axes on, axes of both shapes are taken until
 * their sizes agree; those of the operand must then lie in one run of memory. */
static bool regroup(const sg_array *in, const sg_array *out, int64_t *stride)
{
    int i = in->rank - 1, o = out->rank - 1;
    while (o >= 0) {
        if (out->dim[o] == 1) {
            stride[o--] = 0;
            continue;
        }
        while (in->dim[i] == 1)
            i--;
        int64_t step = in->stride[i], have = in->dim[i--], made = out->dim[o];
        stride[o--] = step;
        while (have != made) {
            if (made < have) {
                stride[o] = step * made;
                made *= out->dim[o--];
            } else if (in->dim[i] == 1 || in->stride[i] == step * have) {
                have *= in->dim[i--];
            } else {
                return false;
            }
        }
    }
    return true;
}

static bool reshape_view(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                         int64_t *stride)
{
    (void)attr;
    *start = 0;
    if (!sg__contiguous(in))
        return regroup(in, out, stride);
    row_major(out, stride);
    return true;
}

/* g in x's shape */
static sg_tensor *reshape_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return sg_reshape(v->g, sg_shape_of(v->in[0]));
}

const sg_op sg__reshape_op = {
    .name = "reshape",
    .args = "x",
    .arity = 1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(target),
    .attrs = target_attrs,
    .infer = reshape_infer,
    .view = reshape_view,
    .back = reshape_view, /* by the shapes alone */
    .vjp = reshape_vjp,
};

sg_tensor *sg_reshape(sg_tensor *x, sg_shape shape)
{
    target t = sg__target_of(shape);
    if (!sg_is_nil(x) && shape.rank == sg_rank(x) &&
        memcmp(t.shape.dim, x->dims->shape.dim, (size_t)shape.rank * sizeof *t.shape.dim) == 0)
        return x;
    return sg_record(&sg__reshape_op, &t, 1, &x);
}

/* ---- broadcast_to and sum_to: adjoint to each other ------------------------------------------ */

static bool widens(const sg_shape *narrow, const sg_shape *wide)
{
    int shift = wide->rank - narrow->rank;
    if (shift < 0)
        return false;
    for (int i = 0; i < narrow->rank; i++)
        if (narrow->dim[i] != wide->dim[i + shift] && narrow->dim[i] != 1)
            return false;
    return true;
}

static bool broadcast_infer(sg_infer *c)
{
    const target *t = c->attr;
    char text[SG_SHAPE_TEXT];
    c->shape = t->shape;
    if (!possible(c, t))
        return false;
    return widens(&c->in[0]->dims->shape, &t->shape) ||
           sg_refuse(c, "does not broadcast to %s", sg__shape_text(text, &t->shape));
}

static bool broadcast_view(const void *attr, const sg_array *in, const sg_array *out,
                           int64_t *start, int64_t *stride)
{
    (void)attr;
    int shift = out->rank - in->rank;
    for (int i = 0; i < out->rank; i++)
        stride[i] = i < shift || in->dim[i - shift] == 1 ? 0 : in->stride[i - shift];
    *start = 0;
    return true;
}

/* Leading axes that both have are rows, and the attribute says the wider shape, or the narrower. */
static bool common_rows(const sg_shape *narrow, const sg_shape *wide, const sg_shape *to,
                        sg_rows *r)
{
    int k = 0;
    while (narrow->rank == wide->rank && k < wide->rank && narrow->dim[k] == wide->dim[k])
        k++;
    r->leading = k;
    r->rank = wide->rank - k;
    sg_shape s = {.rank = 1, .dim = {r->rows}};
    if (r->rank >= SG_MAX_RANK)
        return false;
    for (int i = to->rank; i < wide->rank; i++)
        s.dim[s.rank++] = 1;
    for (int i = k; i < to->rank; i++)
        s.dim[s.rank++] = to->dim[i];
    *(target *)r->attr = sg__target_of(s);
    return true;
}

static bool broadcast_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    return common_rows(in[0], out, out, r);
}

/* g, which is summed over what was repeated as it is for all ops: see grad.c */
static sg_tensor *same_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return v->g;
}

static const sg_op broadcast_op = {
    .name = "broadcast_to",
    .args = "x",
    .arity = 1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(target),
    .attrs = target_attrs,
    .infer = broadcast_infer,
    .view = broadcast_view,
    .batch = broadcast_batch,
    .vjp = same_vjp,
};

sg_tensor *sg_broadcast_to(sg_tensor *x, sg_shape shape)
{
    target t = sg__target_of(shape);
    return sg_record(&broadcast_op, &t, 1, &x);
}

static bool sum_infer(sg_infer *c)
{
    const target *t = c->attr;
    char text[SG_SHAPE_TEXT];
    c->shape = t->shape;
    return widens(&t->shape, &c->in[0]->dims->shape) ||
           sg_refuse(c, "does not sum to %s", sg__shape_text(text, &t->shape));
}

/* Axes of the operand, neighbours of one kind taken together; step: the result's stride, 0 where
 * an axis is summed. */
typedef struct axes {
    int rank;
    int64_t dim[SG_MAX_RANK], step[SG_MAX_RANK];
} axes;

static axes collapse(const sg_array *in, const sg_array *out)
{
    axes a = {0};
    int shift = in->rank - out->rank;
    bool before = false;
    for (int i = 0; i < in->rank; i++) {
        bool summed = i < shift || out->dim[i - shift] == 1;
        if (in->dim[i] == 1)
            continue;
        if (a.rank && summed == before) {
            a.dim[a.rank - 1] *= in->dim[i];
        } else {
            a.dim[a.rank] = in->dim[i];
            a.step[a.rank++] = summed ? 0 : 1;
        }
        before = summed;
    }
    int64_t step = 1;
    for (int i = a.rank - 1; i >= 0; i--)
        if (a.step[i]) {
            a.step[i] = step;
            step *= a.dim[i];
        }
    return a;
}

enum { COLUMNS = 16 }; /* a cache line or more */

/* Some of a first axis that stays, or some columns of rows that are added; a sum that is neither is
 * left to the first part. */
static sg_shares sum_shares(const sg_call *c)
{
    axes a = collapse(&c->in[0], &c->out);
    if (a.rank && a.step[0])
        return (sg_shares){.n = a.dim[0], .unit = 1, .alike = 1};
    return (sg_shares){.n = a.rank == 2 ? a.dim[1] : 1, .unit = COLUMNS};
}

/* What one part of a call does. Narrows `a` and says where that begins. */
static bool share(const sg_call *c, axes *a, int64_t *in, int64_t *out, int64_t *row)
{
    bool stays = a->rank && a->step[0], columns = a->rank == 2 && !a->step[0];
    int64_t n = stays ? a->dim[0] : columns ? a->dim[1] : c->part == 0, inner = 1;
    int64_t from, to;
    sg__share(n, sg__unit(n, stays ? 1 : COLUMNS, c->pieces), c->part, c->parts, &from, &to);
    *row = a->rank ? a->dim[a->rank - 1] : 1; /* of the operand, before it is narrowed */
    if (!stays && !columns)
        return c->part == 0;
    for (int i = 1; stays && i < a->rank; i++)
        inner *= a->dim[i];
    *in = from * inner;
    *out = stays ? from * a->step[0] : from;
    a->dim[stays ? 0 : 1] = to - from;
    return from < to;
}

static bool sum_run(const sg_call *c)
{
    const sg_array *x = &c->in[0];
    axes a = collapse(x, &c->out);
    size_t width = sg__dtype_size(x->dtype);
    int64_t size = 1, index[SG_MAX_RANK] = {0}, at = 0, first = 0, stride = 1;
    if (!share(c, &a, &first, &at, &stride))
        return true;
    for (int i = 0; i < a.rank; i++)
        size *= a.step[i] ? a.dim[i] : 1;
    char *out = (char *)c->out.data + (size_t)at * width;
    memset(out, 0, (size_t)size * width);
    for (int i = 0; i < x->rank; i++)
        if (x->dim[i] == 0)
            return true;
    sg__sum_row *sum_row = sg__sum_rows[x->dtype][c->isa];
    sg_map *add = sg__add_map[x->dtype][c->isa];
    int last = a.rank - 1;
    int64_t row = a.rank ? a.dim[last] : 1;
    bool along = a.rank && a.step[last] == 0;
    const char *from = (const char *)x->data + (size_t)first * width;
    stride = last > 0 ? stride : row; /* rows are narrowed only where there are several */
    for (at = 0;;) {
        char *to = out + (size_t)at * width;
        if (along)
            sum_row(row, to, from);
        else
            add((size_t)row, to, (const void *[]){to, from}, 0);
        from += (size_t)stride * width;
        int k = last - 1;
        for (; k >= 0; k--) {
            at += a.step[k];
            if (++index[k] < a.dim[k])
                break;
            at -= a.step[k] * a.dim[k];
            index[k] = 0;
        }
        if (k < 0)
            return true;
    }
}

/* g, repeated */
static sg_tensor *sum_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return sg_broadcast_to(v->g, sg_shape_of(v->in[0]));
}

/* more rows to add, where whole axes are summed at the front */
static bool sum_joint(const void *attr, const sg_shape *in, const sg_shape *out, sg_joint *j)
{
    (void)attr;
    int front = in->rank - out->rank;
    j->shape[0] = (sg_shape){.rank = out->rank + 1, .dim = {1}};
    for (int i = 0; i < front; i++)
        j->shape[0].dim[0] *= in->dim[i];
    for (int i = 0; i < out->rank; i++)
        j->shape[0].dim[i + 1] = in->dim[front + i];
    j->axis[0] = 0;
    j->in_turn = true;
    return front > 0;
}

static bool sum_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    return common_rows(out, in[0], out, r);
}

static const sg_op sum_op = {
    .name = "sum_to",
    .args = "x",
    .arity = 1,
    .dtypes = SG_FLOATS | 1 << SG_I32,
    .attr_size = sizeof(target),
    .attrs = target_attrs,
    .flags = SG_OP_SPLIT | SG_OP_SURE,
    .infer = sum_infer,
    .run = sum_run,
    .rows = sg__sum_folds,
    .shares = sum_shares,
    .joint = sum_joint,
    .of_rows = &sg__sum_of_rows_op,
    .batch = sum_batch,
    .vjp = sum_vjp,
};

sg_tensor *sg_sum_to(sg_tensor *x, sg_shape shape)
{
    target t = sg__target_of(shape);
    if (!sg_is_nil(x) && shape.rank == sg_rank(x) && widens(&x->dims->shape, &t.shape) &&
        widens(&t.shape, &x->dims->shape))
        return x;
    return sg_record(&sum_op, &t, 1, &x);
}

/* ---- add_n --------------------------------------------------------------------------------- */

static bool add_n_infer(sg_infer *c)
{
    c->shape = sg_shape_of(c->in[0]);
    for (int i = 1; i < c->n; i++)
        if (c->in[i]->dims != c->in[0]->dims || c->in[i]->dtype != c->in[0]->dtype)
            return sg_refuse(c, "shapes or types differ");
    return true;
}

static const sg_op add_n_op = {
    .name = "add_n",
    .flags = SG_OP_FOLD,
    .arity = -1,
    .dtypes = SG_FLOATS | 1 << SG_I32,
    .infer = add_n_infer,
    .map = sg__add_map,
    .vjp = same_vjp,
};

sg_tensor *sg_add_n(int n, sg_tensor *const *xs)
{
    return n == 1 && xs && xs[0] ? xs[0] : sg_record(&add_n_op, NULL, n, xs);
}

/* Made with ones in place of what was added: how often that was. */
static sg_tensor *counts(const sg_tensor *x)
{
    sg_tensor *one = sg_full(x->g, SG_I32, x->in[1]->dims->shape, 1);
    return sg_record(x->op, x->attr, 2, (sg_tensor *[]){one, x->in[1]});
}

sg_tensor *sg__times_added(sg_tensor *x)
{
    if (!(x = sg__recorded(x)))
        return NULL;
    if (x->op->scatter)
        return counts(x);
    bool sum = x->op->flags & SG_OP_FOLD && x->n;
    for (uint32_t i = 0; sum && i < x->n; i++)
        sum = x->in[i]->op->scatter != NULL;
    sg_tensor **all = sum ? sg__alloc(&x->g->tape, x->n * sizeof *all) : NULL;
    if (sum && !all) {
        sg__no_memory(x->g, "a sum");
        return x->g->nil;
    }
    for (uint32_t i = 0; sum && i < x->n; i++)
        all[i] = counts(x->in[i]);
    return sum ? sg_add_n((int)x->n, all) : NULL;
}
