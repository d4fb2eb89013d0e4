/*
 * Ops that put blocks of memory side by side: concat, and the adjoints of views: padding (with
 * gaps, for slices that step) and the sum of overlapping windows. All see an array as [outer, size,
 * inner] around one axis, and move whole blocks of `inner` elements.
 */
#include "ops/ops_internal.h"

#include <stdlib.h>

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

/* ---- concat --------------------------------------------------------------------------------- */

typedef struct {
    int64_t axis;
} concat_attr;

static bool concat_infer(sg_infer *i)
{
    const concat_attr *a = i->attr;
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

static bool concat_run(const sg_call *c)
{
    const concat_attr *a = c->attr;
    sg__around s = sg__split_at(&c->out, a->axis);
    size_t row = bytes_of(s.size * s.inner, &c->out);
    char *to = c->out.data;
    for (int k = 0; k < c->n; k++) {
        const char *from = c->in[k].data;
        size_t part = bytes_of(c->in[k].dim[a->axis] * s.inner, &c->out);
        for (int64_t o = 0; o < s.outer; o++)
            copy(to + (size_t)o * row, from + (size_t)o * part, part);
        to += part;
    }
    return true;
}

/* the part of g that operand i became */
static sg_tensor *concat_vjp(const sg_vjp_call *v, int i)
{
    const concat_attr *a = v->attr;
    int64_t *k = &v->so_far[0], *start = &v->so_far[1];
    for (; *k < i; ++*k)
        *start += sg_dim(v->in[*k], (int)a->axis);
    return sg__take_every(v->g, (int)a->axis, *start, sg_dim(v->in[i], (int)a->axis), 1);
}

static const sg_op concat_op = {
    .name = "concat",
    .arity = -1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(concat_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(concat_attr, axis)}, {0}},
    .infer = concat_infer,
    .run = concat_run,
    .vjp = concat_vjp,
};

sg_tensor *sg_concat_(int axis, int n, sg_tensor *const *xs)
{
    concat_attr a;
    memset(&a, 0, sizeof a);
    if (n > 0)
        a.axis = sg_axis(xs[0], axis, "concat");
    /* without a first operand, the record names what is wrong */
    return a.axis < 0 && xs[0] ? sg__inert(xs[0]) : sg_record(&concat_op, &a, n, xs);
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
    sg_tensor *few[32], **part = few;
    if (n < 1 || !xs[0])
        return sg_concat_(axis, n, xs);
    if (!stackable(axis, n, xs))
        return sg__inert(xs[0]);
    if (n > (int)(sizeof few / sizeof *few))
        part = malloc((size_t)n * sizeof *part);
    if (!part)
        return sg_fail(sg_context_of(xs[0]), SG_NO_MEMORY, "stack: no memory for %d operands", n);
    axis = axis < 0 ? axis + sg_rank(xs[0]) + 1 : axis;
    for (int k = 0; k < n; k++)
        part[k] = xs[k] ? sg_expand_dims(xs[k], axis) : NULL;
    sg_tensor *y = sg_concat_(axis, n, part);
    if (part != few)
        free(part);
    return y;
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

typedef struct {
    int64_t axis, before, after, step;
    double value;
} pad_attr;

static bool pad_infer(sg_infer *i)
{
    const pad_attr *a = i->attr;
    int64_t n = sg_dim(i->in[0], (int)a->axis);
    bool whole = a->value >= (i->dtype == SG_U8 ? 0 : INT32_MIN) &&
                 a->value <= (i->dtype == SG_U8 ? UINT8_MAX : INT32_MAX) &&
                 a->value == (double)(int64_t)a->value;
    if (a->before < 0 || a->after < 0 || a->before > INT64_MAX / 4 || a->after > INT64_MAX / 4)
        return sg_refuse(i, "%lld elements before and %lld after axis %d", (long long)a->before,
                         (long long)a->after, (int)a->axis);
    if ((i->dtype == SG_I32 || i->dtype == SG_U8) && !whole) {
        i->status = SG_BAD_ARGUMENT;
        return sg_refuse(i, "%g is no value of type %s", a->value, sg_dtype_name(i->dtype));
    }
    i->shape = sg_shape_of(i->in[0]);
    i->shape.dim[a->axis] = a->before + (n ? (n - 1) * a->step + 1 : 0) + a->after;
    return true;
}

/* n elements of a type; returns the end of them */
static char *fill(char *to, int64_t n, sg_dtype dtype, double value)
{
    size_t width = sg__width(dtype);
    if (value == 0 && n > 0)
        memset(to, 0, (size_t)n * width);
    else if (dtype == SG_F32)
        for (int64_t k = 0; k < n; k++)
            ((float *)(void *)to)[k] = (float)value;
    else if (dtype == SG_F64)
        for (int64_t k = 0; k < n; k++)
            ((double *)(void *)to)[k] = value;
    else if (dtype == SG_I32)
        for (int64_t k = 0; k < n; k++)
            ((int32_t *)(void *)to)[k] = (int32_t)value;
    else if (n > 0)
        memset(to, (int)value, (size_t)n);
    return to + (size_t)n * width;
}

static bool pad_run(const sg_call *c)
{
    const pad_attr *a = c->attr;
    sg__around s = sg__split_at(&c->in[0], a->axis);
    sg_dtype dtype = c->out.dtype;
    /* Without gaps the axis is one block; with gaps each of its elements is. */
    int64_t blocks = a->step == 1 || s.size == 0 ? 1 : s.size;
    size_t block = bytes_of(s.size / blocks * s.inner, &c->out);
    const char *from = c->in[0].data;
    char *to = c->out.data;
    for (int64_t o = 0; o < s.outer; o++) {
        to = fill(to, a->before * s.inner, dtype, a->value);
        for (int64_t k = 0; k < blocks; k++, from += block) {
            if (k)
                to = fill(to, (a->step - 1) * s.inner, dtype, a->value);
            copy(to, from, block);
            to += block;
        }
        to = fill(to, a->after * s.inner, dtype, a->value);
    }
    return true;
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
                               {"value", 'd', offsetof(pad_attr, value)},
                               {0}},
    .infer = pad_infer,
    .run = pad_run,
    .vjp = pad_vjp,
};

sg_tensor *sg__spread(sg_tensor *x, int axis, int64_t before, int64_t after, int64_t step,
                      double value)
{
    if (before == 0 && after == 0 && (step == 1 || sg_dim(x, axis) < 2))
        return x;
    pad_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis;
    a.before = before;
    a.after = after;
    a.step = step;
    a.value = value;
    return sg_record(&pad_op, &a, 1, &x);
}

sg_tensor *sg_pad(sg_tensor *x, int axis, int64_t before, int64_t after, double value)
{
    axis = sg_axis(x, axis, "pad");
    return axis < 0 ? sg__inert(x) : sg__spread(x, axis, before, after, 1, value);
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
    fill(c->out.data, s.outer * s.size * s.inner, c->out.dtype, 0);
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
