/*
 * Other looks at the same memory: permutation of axes, slices, windows. Their adjoints, which need
 * memory of their own, are in join.c.
 */
#include "ops/ops_internal.h"

/* ---- permute ------------------------------------------------------------------------------ */

typedef struct {
    sg_shape axes; /* result axis k is operand axis dim[k] */
} permute_attr;

static bool permute_infer(sg_infer *i)
{
    const permute_attr *a = i->attr;
    sg_shape s = sg_shape_of(i->in[0]);
    unsigned seen = 0;
    i->shape.rank = s.rank;
    for (int k = 0; k < s.rank; k++) {
        int64_t axis = a->axes.dim[k];
        if (axis < 0 || axis >= s.rank || seen >> axis & 1)
            return sg_refuse(i, "axes are no permutation");
        seen |= 1u << axis;
        i->shape.dim[k] = s.dim[axis];
    }
    return true;
}

static bool permute_view(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                         int64_t *stride)
{
    const permute_attr *a = attr;
    *start = 0;
    for (int k = 0; k < out->rank; k++)
        stride[k] = in->stride[a->axes.dim[k]];
    return true;
}

static bool permute_back(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                         int64_t *stride)
{
    const permute_attr *a = attr;
    *start = 0;
    for (int k = 0; k < out->rank; k++)
        stride[a->axes.dim[k]] = in->stride[k];
    return true;
}

/* Leading axes that stay are rows. */
static bool permute_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    permute_attr *a = r->attr;
    sg_shape axes = {.rank = 1};
    (void)in;
    while (r->leading < out->rank && a->axes.dim[r->leading] == r->leading)
        r->leading++;
    if (out->rank - r->leading >= SG_MAX_RANK)
        return false;
    for (int k = r->leading; k < out->rank; k++)
        axes.dim[axes.rank++] = a->axes.dim[k] - r->leading + 1;
    a->axes = axes;
    return true;
}

static sg_tensor *permute(sg_tensor *x, const sg_shape *axes);

/* g with the axes put back */
static sg_tensor *permute_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    const permute_attr *a = v->attr;
    sg_shape back = {.rank = a->axes.rank};
    for (int k = 0; k < back.rank; k++)
        back.dim[a->axes.dim[k]] = k;
    return permute(v->g, &back);
}

static const sg_op permute_op = {
    .name = "permute",
    .args = "x",
    .arity = 1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(permute_attr),
    .attrs = (const sg_attr[]){{"axes", 's', offsetof(permute_attr, axes)}, {0}},
    .infer = permute_infer,
    .view = permute_view,
    .back = permute_back,
    .batch = permute_batch,
    .vjp = permute_vjp,
};

static sg_tensor *permute(sg_tensor *x, const sg_shape *axes)
{
    permute_attr a;
    memset(&a, 0, sizeof a);
    a.axes.rank = axes->rank;
    for (int k = 0; k < axes->rank; k++)
        a.axes.dim[k] = axes->dim[k];
    return sg_record(&permute_op, &a, 1, &x);
}

sg_tensor *sg_permute(sg_tensor *x, const int *axes)
{
    sg_shape s = {.rank = sg_rank(x)};
    if (!axes)
        return sg_fail(sg_context_of(x), SG_BAD_ARGUMENT, "permute: no axes are given");
    for (int k = 0; k < s.rank; k++)
        s.dim[k] = axes[k] < 0 ? axes[k] + s.rank : axes[k];
    return permute(x, &s);
}

sg_tensor *sg_transpose(sg_tensor *x, int axis1, int axis2)
{
    int i = sg_axis(x, axis1, "transpose"), j = sg_axis(x, axis2, "transpose");
    if (i < 0 || j < 0)
        return sg__inert(x);
    sg_shape s = {.rank = sg_rank(x)};
    for (int k = 0; k < s.rank; k++)
        s.dim[k] = k == i ? j : k == j ? i : k;
    return i == j ? x : permute(x, &s);
}

/* ---- slices, of core/parts.c --------------------------------------------------------------- */

static int64_t clip(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

sg_tensor *sg_slice(sg_tensor *x, int axis, int64_t start, int64_t stop, int64_t step)
{
    axis = sg_axis(x, axis, "slice");
    if (axis < 0)
        return sg__inert(x);
    if (step == 0)
        return sg_fail(sg_context_of(x), SG_BAD_ARGUMENT, "slice: the step is 0");
    int64_t size = sg_dim(x, axis);
    /* Places between which a slice may run: up to one past the end on the side it runs to. */
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    int64_t from = clip(start < 0 ? start + size : start, low, high);
    int64_t to =
        stop == SG_END ? (step > 0 ? high : low) : clip(stop < 0 ? stop + size : stop, low, high);
    int64_t way = step > 0 ? to - from : from - to;
    if (way <= 0)
        return sg__take_every(x, axis, 0, 0, 1);
    /* A step longer than the way takes one element, whatever its size: INT64_MIN has no negative.
     */
    step = clip(step, -size, size);
    return sg__take_every(x, axis, from, 1 + (way - 1) / (step > 0 ? step : -step), step);
}

sg_tensor *sg_index(sg_tensor *x, int axis, int64_t i)
{
    axis = sg_axis(x, axis, "index");
    if (axis < 0)
        return sg__inert(x);
    int64_t size = sg_dim(x, axis);
    if (i < -size || i >= size)
        return sg_fail(sg_context_of(x), SG_BAD_ARGUMENT,
                       "index: %lld is outside axis %d, which has %lld elements", (long long)i,
                       axis, (long long)size);
    return sg_squeeze(sg__take_every(x, axis, i < 0 ? i + size : i, 1, 1), axis);
}

sg_tensor *sg_flip(sg_tensor *x, int axis)
{
    axis = sg_axis(x, axis, "flip");
    if (axis < 0)
        return sg__inert(x);
    int64_t size = sg_dim(x, axis);
    return size < 2 ? x : sg__take_every(x, axis, size - 1, size, -1);
}

/* ---- axes of size 1 ------------------------------------------------------------------------- */

sg_tensor *sg_expand_dims(sg_tensor *x, int axis)
{
    sg_shape s = sg_shape_of(x);
    int at = axis < 0 ? axis + s.rank + 1 : axis;
    if (at < 0 || at > s.rank || s.rank == SG_MAX_RANK)
        return sg_fail(sg_context_of(x), SG_BAD_SHAPE,
                       "expand_dims: no room for axis %d in a shape of %d axes", axis, s.rank);
    memmove(s.dim + at + 1, s.dim + at, (size_t)(s.rank - at) * sizeof *s.dim);
    s.dim[at] = 1;
    s.rank++;
    return sg_reshape(x, s);
}

sg_tensor *sg_squeeze(sg_tensor *x, int axis)
{
    axis = sg_axis(x, axis, "squeeze");
    if (axis < 0)
        return sg__inert(x);
    sg_shape s = sg_shape_of(x);
    if (s.dim[axis] != 1)
        return sg_fail(sg_context_of(x), SG_BAD_SHAPE, "squeeze: axis %d has %lld elements, not 1",
                       axis, (long long)s.dim[axis]);
    s.rank--;
    memmove(s.dim + axis, s.dim + axis + 1, (size_t)(s.rank - axis) * sizeof *s.dim);
    return sg_reshape(x, s);
}

/* ---- windows -------------------------------------------------------------------------------- */

typedef struct {
    int64_t axis, size, step;
} unfold_attr;

static bool unfold_infer(sg_infer *i)
{
    const unfold_attr *a = i->attr;
    i->shape = sg_shape_of(i->in[0]);
    int64_t length = i->shape.dim[a->axis];
    if (i->shape.rank == SG_MAX_RANK)
        return sg_refuse(i, "no room for another axis");
    if (a->size < 1 || a->size > length || a->step < 1)
        return sg_refuse(i, "no windows of %lld at every %lld in %lld elements", (long long)a->size,
                         (long long)a->step, (long long)length);
    i->shape.dim[a->axis] = (length - a->size) / a->step + 1;
    i->shape.dim[i->shape.rank++] = a->size;
    return true;
}

static bool unfold_view(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                        int64_t *stride)
{
    const unfold_attr *a = attr;
    for (int k = 0; k < in->rank; k++)
        stride[k] = in->stride[k];
    *start = 0;
    stride[in->rank] = stride[a->axis];
    stride[a->axis] *= a->step;
    (void)out;
    return true;
}

/* fold(g) */
static sg_tensor *unfold_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    const unfold_attr *a = v->attr;
    return sg_fold(v->g, (int)a->axis, sg_dim(v->in[0], (int)a->axis), a->step);
}

static const sg_op unfold_op = {
    .name = "unfold",
    .args = "x",
    .arity = 1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(unfold_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(unfold_attr, axis)},
                               {"size", 'i', offsetof(unfold_attr, size)},
                               {"step", 'i', offsetof(unfold_attr, step)},
                               {0}},
    .infer = unfold_infer,
    .view = unfold_view,
    .vjp = unfold_vjp,
};

sg_tensor *sg_unfold(sg_tensor *x, int axis, int64_t size, int64_t step)
{
    unfold_attr a;
    memset(&a, 0, sizeof a);
    a.axis = sg_axis(x, axis, "unfold");
    a.size = size;
    a.step = step;
    return a.axis < 0 ? sg__inert(x) : sg_record(&unfold_op, &a, 1, &x);
}
