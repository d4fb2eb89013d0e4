/*
 * Arrays side by side: concat and what it makes, padding, an array with a part replaced, and the
 * sum of overlapping windows.
 */
#include "ops/ops_internal.h"

/* memcpy, but for the null pointers that empty arrays may have */
static void copy(char *to, const char *from, size_t bytes)
{
    if (bytes)
        memcpy(to, from, bytes);
}

static size_t bytes_of(int64_t elements, const sg_array *a)
{
    return (size_t)elements * sg__width(a->dtype);
}

/* ---- concat, of core/parts.c ----------------------------------------------------------------- */

sg_tensor *sg_concat_(int axis, int n, sg_tensor *const *xs)
{
    sg__concat_attr a;
    memset(&a, 0, sizeof a);
    if (n > 0 && xs)
        a.axis = sg_axis(xs[0], axis, "concat");
    /* without a first operand, the record names what is wrong */
    return a.axis < 0 && xs && xs[0] ? sg__inert(xs[0]) : sg_record(&sg__concat_op, &a, n, xs);
}

/* What concat would say of operands and axes that are not the caller's own. */
static bool stackable(int axis, int n, sg_tensor *const *xs)
{
    sg_context *g = sg_context_of(xs[0]);
    sg_shape s = sg_shape_of(xs[0]);
    bool inside = axis >= -s.rank - 1 && axis <= s.rank;
    if (!inside)
        sg_fail(g, SG_BAD_SHAPE, "stack: axis %d is outside a result of %d axes", axis, s.rank + 1);
    for (int k = 1; k < n && inside; k++) {
        sg_shape t = sg_shape_of(xs[k]);
        bool same = t.rank == s.rank;
        for (int d = 0; d < s.rank && same; d++)
            same = t.dim[d] == s.dim[d];
        if (!same && !sg_is_nil(xs[k])) {
            sg_fail(g, SG_BAD_SHAPE, "stack: operand %d has not the shape of the first", k);
            return false;
        }
    }
    return inside;
}

sg_tensor *sg_stack_(int axis, int n, sg_tensor *const *xs)
{
    if (n < 1 || !xs || !xs[0])
        return sg_concat_(axis, n, xs);
    if (!stackable(axis, n, xs))
        return sg__inert(xs[0]);
    sg_tensor **part = sg_room(sg_context_of(xs[0]), (size_t)n * sizeof *part);
    if (!part)
        return sg__inert(xs[0]);
    axis = axis < 0 ? axis + sg_rank(xs[0]) + 1 : axis;
    for (int k = 0; k < n; k++)
        part[k] = xs[k] ? sg_expand_dims(xs[k], axis) : NULL;
    return sg_concat_(axis, n, part);
}

void sg_split(sg_tensor *x, int axis, int n, sg_tensor **parts)
{
    axis = sg_axis(x, axis, "split");
    int64_t size = axis < 0 ? 0 : sg_dim(x, axis);
    bool even = n > 0 && size % n == 0;
    if (!even)
        sg_fail(sg_context_of(x), SG_BAD_SHAPE,
                "split: axis %d has %lld elements, which is not %d equal parts", axis,
                (long long)size, n);
    for (int k = 0; k < n; k++)
        parts[k] =
            axis < 0 || !even ? sg__inert(x) : sg__take_every(x, axis, k * (size / n), size / n, 1);
}

/* ---- pad ------------------------------------------------------------------------------------ */

/* What of v is no value of x's type, which concat with a constant could not say as well. */
static bool good_padding(sg_tensor *x, double v)
{
    sg_dtype d = sg_type(x);
    if (d == SG_F32 || d == SG_F64)
        return true;
    double low = d == SG_U8 ? 0 : INT32_MIN, high = d == SG_U8 ? UINT8_MAX : INT32_MAX;
    if (v >= low && v <= high && v == (double)(int64_t)v)
        return true;
    sg_fail(sg_context_of(x), SG_BAD_ARGUMENT, "pad: %g is no value of type %s", v,
            sg_dtype_name(d));
    return false;
}

sg_tensor *sg_pad(sg_tensor *x, int axis, int64_t before, int64_t after, double value)
{
    axis = sg_axis(x, axis, "pad");
    if (axis < 0 || !good_padding(x, value))
        return sg__inert(x);
    sg_tensor *y = sg__spread(x, axis, before, after, 1);
    if (value == 0 || y == x || sg_is_nil(y))
        return y;
    return sg_slice_update(sg__filled(y, value), x, axis, before);
}

/* ---- slice_update --------------------------------------------------------------------------- */

typedef struct {
    int64_t axis, start;
} update_attr;

static bool update_infer(sg_infer *i)
{
    const update_attr *a = i->attr;
    i->shape = sg_shape_of(i->in[0]);
    sg_shape s = sg_shape_of(i->in[1]);
    if (sg_type(i->in[0]) != sg_type(i->in[1])) {
        i->status = SG_BAD_DTYPE;
        return sg_refuse(i, "types differ");
    }
    if (s.rank != i->shape.rank)
        return sg_refuse(i, "numbers of axes differ");
    for (int d = 0; d < s.rank; d++)
        if (d != a->axis && s.dim[d] != i->shape.dim[d])
            return sg_refuse(i, "sizes differ in axis %d, not only in %d", d, (int)a->axis);
    if (a->start < 0 || a->start > i->shape.dim[a->axis] - s.dim[a->axis])
        return sg_refuse(i, "%lld elements from %lld on are not inside axis %d",
                         (long long)s.dim[a->axis], (long long)a->start, (int)a->axis);
    return true;
}

static bool update_run(const sg_call *c)
{
    const update_attr *a = c->attr;
    sg__around s = sg__split_at(&c->out, a->axis);
    size_t row = bytes_of(s.size * s.inner, &c->out);
    size_t before = bytes_of(a->start * s.inner, &c->out);
    size_t part = bytes_of(c->in[1].dim[a->axis] * s.inner, &c->out);
    size_t after = row - before - part;
    const char *x = c->in[0].data, *y = c->in[1].data;
    char *to = c->out.data;
    for (int64_t o = 0; o < s.outer; o++, x += row, y += part, to += row) {
        copy(to, x, before);
        copy(to + before, y, part);
        copy(to + before + part, x + before + part, after);
    }
    return true;
}

/* for x: g with zeros where y went; for y: that part of g */
static sg_tensor *update_vjp(const sg_vjp_call *v, int i)
{
    const update_attr *a = v->attr;
    int axis = (int)a->axis;
    if (i == 0)
        return sg_slice_update(v->g, sg__filled(v->in[1], 0), axis, a->start);
    return sg__take_every(v->g, axis, a->start, sg_dim(v->in[1], axis), 1);
}

static const sg_op update_op = {
    .name = "slice_update",
    .args = "x y",
    .arity = 2,
    .dtypes = SG_ALL,
    .attr_size = sizeof(update_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(update_attr, axis)},
                               {"start", 'i', offsetof(update_attr, start)},
                               {0}},
    .infer = update_infer,
    .run = update_run,
    .batch = sg__rows_before_axis,
    .vjp = update_vjp,
};

sg_tensor *sg_slice_update(sg_tensor *x, sg_tensor *y, int axis, int64_t start)
{
    update_attr a;
    memset(&a, 0, sizeof a);
    a.axis = sg_axis(x, axis, "slice_update");
    a.start = start;
    return a.axis < 0 && x ? sg__inert(x) : sg_record(&update_op, &a, 2, (sg_tensor *[]){x, y});
}

/* ---- fold ----------------------------------------------------------------------------------- */

typedef struct {
    int64_t axis, length, step;
} fold_attr;

static bool fold_infer(sg_infer *i)
{
    const fold_attr *a = i->attr;
    sg_shape s = sg_shape_of(i->in[0]);
    int64_t windows = s.dim[a->axis], size = s.dim[s.rank - 1];
    if (a->axis == s.rank - 1)
        return sg_refuse(i, "axis %d holds the windows' elements, not the windows", (int)a->axis);
    if (size < 1 || a->step < 1 || a->length < size || windows != (a->length - size) / a->step + 1)
        return sg_refuse(i, "%lld elements do not have %lld windows of %lld at every %lld",
                         (long long)a->length, (long long)windows, (long long)size,
                         (long long)a->step);
    i->shape = s;
    i->shape.dim[a->axis] = a->length;
    i->shape.rank--;
    return true;
}

/* x is [outer, windows, inner, size]; each window is added into out [outer, length, inner] in its
 * order, so that an element's sum has one order. */
#define FOLD(T, name)                                                                              \
    static void name(const fold_attr *a, sg__around s, int64_t windows, int64_t size, const T *x,  \
                     T *out)                                                                       \
    {                                                                                              \
        for (int64_t o = 0; o < s.outer; o++, out += s.size * s.inner)                             \
            for (int64_t w = 0; w < windows; w++)                                                  \
                for (int64_t j = 0; j < s.inner; j++)                                              \
                    for (int64_t k = 0; k < size; k++)                                             \
                        out[(w * a->step + k) * s.inner + j] += *x++;                              \
    }
FOLD(float, fold_f32)
FOLD(double, fold_f64)

static bool fold_run(const sg_call *c)
{
    const fold_attr *a = c->attr;
    sg__around s = sg__split_at(&c->out, a->axis);
    int64_t windows = c->in[0].dim[a->axis], size = c->in[0].dim[c->in[0].rank - 1];
    int64_t size_of_all = s.outer * s.size * s.inner;
    if (size_of_all)
        memset(c->out.data, 0, bytes_of(size_of_all, &c->out));
    if (c->out.dtype == SG_F32)
        fold_f32(a, s, windows, size, c->in[0].data, c->out.data);
    else
        fold_f64(a, s, windows, size, c->in[0].data, c->out.data);
    return true;
}

/* the windows of g */
static sg_tensor *fold_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    const fold_attr *a = v->attr;
    return sg_unfold(v->g, (int)a->axis, sg_dim(v->in[0], -1), a->step);
}

static const sg_op fold_op = {
    .name = "fold",
    .args = "x",
    .arity = 1,
    .attr_size = sizeof(fold_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(fold_attr, axis)},
                               {"length", 'i', offsetof(fold_attr, length)},
                               {"step", 'i', offsetof(fold_attr, step)},
                               {0}},
    .infer = fold_infer,
    .run = fold_run,
    .vjp = fold_vjp,
};

sg_tensor *sg_fold(sg_tensor *x, int axis, int64_t length, int64_t step)
{
    fold_attr a;
    memset(&a, 0, sizeof a);
    /* A negative axis counts from the end of the result, which has no axis of windows' elements. */
    a.axis = sg_axis(x, axis < 0 ? axis - 1 : axis, "fold");
    a.length = length;
    a.step = step;
    return a.axis < 0 ? sg__inert(x) : sg_record(&fold_op, &a, 1, &x);
}
