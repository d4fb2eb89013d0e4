/*
 * Parts of arrays. A slice is another look at its operand; its adjoint, pad, and concat are made of
 * their operands, which stand in the result side by side: where, their `parts` tells the planner,
 * which lets operands be computed right there. So a gradient through a thousand slices of one array
 * costs no more than the array.
 */
#include "core/parts.h"
#include "core/internal.h"

bool sg__rows_before_axis(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    int64_t *axis = r->attr;
    (void)in, (void)out;
    r->leading = (int)*axis;
    *axis = 1;
    return true;
}

/* ---- slice -------------------------------------------------------------------------------- */

static bool slice_infer(sg_infer *i)
{
    const sg__slice_attr *a = i->attr;
    i->shape = sg_shape_of(i->in[0]);
    i->shape.dim[a->axis] = a->count;
    return true;
}

static bool slice_view(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                       int64_t *stride)
{
    const sg__slice_attr *a = attr;
    for (int k = 0; k < out->rank; k++)
        stride[k] = in->stride[k];
    *start = a->start * stride[a->axis];
    stride[a->axis] *= a->step;
    return true;
}

/* g spread into zeros at the places that were taken; turned around first if they were */
static sg_tensor *slice_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    const sg__slice_attr *a = v->attr;
    int axis = (int)a->axis;
    int64_t size = sg_dim(v->in[0], axis);
    int64_t last = a->start + (a->count - 1) * a->step;
    if (a->step > 0)
        return sg__spread(v->g, axis, a->start, size - 1 - last, a->step);
    sg_tensor *turned = sg__take_every(v->g, axis, a->count - 1, a->count, -1);
    return sg__spread(turned, axis, last, size - 1 - a->start, -a->step);
}

const sg_op sg__slice_op = {
    .name = "slice",
    .args = "x",
    .arity = 1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(sg__slice_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(sg__slice_attr, axis)},
                               {"start", 'i', offsetof(sg__slice_attr, start)},
                               {"count", 'i', offsetof(sg__slice_attr, count)},
                               {"step", 'i', offsetof(sg__slice_attr, step)},
                               {0}},
    .infer = slice_infer,
    .view = slice_view,
    .batch = sg__rows_before_axis,
    .vjp = slice_vjp,
};

sg_tensor *sg__take_every(sg_tensor *x, int axis, int64_t start, int64_t count, int64_t step)
{
    if (start == 0 && step == 1 && count == sg_dim(x, axis))
        return x;
    sg__slice_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis;
    a.start = start;
    a.count = count;
    a.step = count > 1 ? step : 1;
    return sg_record(&sg__slice_op, &a, 1, &x);
}

/* ---- pad ------------------------------------------------------------------------------------ */

typedef struct {
    int64_t axis, before, after, step;
} pad_attr;

static bool pad_infer(sg_infer *i)
{
    const pad_attr *a = i->attr;
    int64_t n = sg_dim(i->in[0], (int)a->axis);
    if (a->before < 0 || a->after < 0 || a->before > INT64_MAX / 4 || a->after > INT64_MAX / 4)
        return sg_refuse(i, "%lld elements before and %lld after axis %d", (long long)a->before,
                         (long long)a->after, (int)a->axis);
    i->shape = sg_shape_of(i->in[0]);
    i->shape.dim[a->axis] = a->before + (n ? (n - 1) * a->step + 1 : 0) + a->after;
    return true;
}

static void pad_parts(const void *attr, int n, const sg_array *in, const sg_array *out,
                      sg_part *part)
{
    const pad_attr *a = attr;
    (void)n;
    part->start = a->before * out->stride[a->axis];
    for (int k = 0; k < in->rank; k++)
        part->stride[k] = out->stride[k] * (k == a->axis ? a->step : 1);
}

/* the elements of g that came from x */
static sg_tensor *pad_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    const pad_attr *a = v->attr;
    return sg__take_every(v->g, (int)a->axis, a->before, sg_dim(v->in[0], (int)a->axis), a->step);
}

static const sg_op pad_op = {
    .name = "pad",
    .args = "x",
    .arity = 1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(pad_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(pad_attr, axis)},
                               {"before", 'i', offsetof(pad_attr, before)},
                               {"after", 'i', offsetof(pad_attr, after)},
                               {"step", 'i', offsetof(pad_attr, step)},
                               {0}},
    .infer = pad_infer,
    .parts = pad_parts,
    .batch = sg__rows_before_axis,
    .vjp = pad_vjp,
};

sg_tensor *sg__spread(sg_tensor *x, int axis, int64_t before, int64_t after, int64_t step)
{
    if (before == 0 && after == 0 && (step == 1 || sg_dim(x, axis) < 2))
        return x;
    pad_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis;
    a.before = before;
    a.after = after;
    a.step = step;
    return sg_record(&pad_op, &a, 1, &x);
}

/* ---- concat --------------------------------------------------------------------------------- */

static bool concat_infer(sg_infer *i)
{
    const sg__concat_attr *a = i->attr;
    i->shape = sg_shape_of(i->in[0]);
    i->dtype = sg_type(i->in[0]);
    for (int k = 1; k < i->n; k++) {
        sg_shape s = sg_shape_of(i->in[k]);
        if (sg_type(i->in[k]) != i->dtype) {
            i->status = SG_BAD_DTYPE;
            return sg_refuse(i, "types differ");
        }
        if (s.rank != i->shape.rank)
            return sg_refuse(i, "numbers of axes differ");
        for (int d = 0; d < s.rank; d++)
            if (d != a->axis && s.dim[d] != i->shape.dim[d])
                return sg_refuse(i, "sizes differ in axis %d, not only in %d", d, (int)a->axis);
        if (s.dim[a->axis] > INT64_MAX - i->shape.dim[a->axis])
            return sg_refuse(i, "too many elements");
        i->shape.dim[a->axis] += s.dim[a->axis];
    }
    return true;
}

static void concat_parts(const void *attr, int n, const sg_array *in, const sg_array *out,
                         sg_part *part)
{
    const sg__concat_attr *a = attr;
    int64_t before = 0;
    for (int i = 0; i < n; i++) {
        part[i].start = before * out->stride[a->axis];
        memcpy(part[i].stride, out->stride, (size_t)out->rank * sizeof *out->stride);
        before += in[i].dim[a->axis];
    }
}

/* the part of g that operand i became */
static sg_tensor *concat_vjp(const sg_vjp_call *v, int i)
{
    const sg__concat_attr *a = v->attr;
    int64_t *k = &v->so_far[0], *start = &v->so_far[1];
    for (; *k < i; ++*k)
        *start += sg_dim(v->in[*k], (int)a->axis);
    return sg__take_every(v->g, (int)a->axis, *start, sg_dim(v->in[i], (int)a->axis), 1);
}

const sg_op sg__concat_op = {
    .name = "concat",
    .arity = -1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(sg__concat_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(sg__concat_attr, axis)}, {0}},
    .infer = concat_infer,
    .parts = concat_parts,
    .batch = sg__rows_before_axis,
    .vjp = concat_vjp,
};
