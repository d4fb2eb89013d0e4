/*
 * Reading and adding by index, in adjoint pairs: take and scatter_add along the first axis,
 * take_along_axis and scatter_add_along_axis along any. Additions go in the order of the indices,
 * so that a sum has one order. Indices are i32 and are checked when they are met.
 */
#include "ops/ops_internal.h"

static bool outside(const sg_call *c, int32_t i, int64_t size, const char *what)
{
    return sg_stop(c, "index %d is out of range for %lld %s", (int)i, (long long)size, what);
}

static bool refuse_type(sg_infer *i, sg_dtype d)
{
    i->status = SG_BAD_DTYPE;
    return sg_refuse(i, "not defined for %s", sg_dtype_name(d));
}

static void clear(const sg_array *a)
{
    size_t bytes = (size_t)sg__elements(a) * sg__width(a->dtype);
    if (bytes)
        memset(a->data, 0, bytes);
}

/* ---- take --------------------------------------------------------------------------------- */

static bool take_infer(sg_infer *i)
{
    sg_shape x = sg_shape_of(i->in[0]), k = sg_shape_of(i->in[1]);
    if (x.rank == 0)
        return sg_refuse(i, "a scalar has no rows");
    if (k.rank + x.rank - 1 > SG_MAX_RANK)
        return sg_refuse(i, "the result would have more than %d axes", SG_MAX_RANK);
    i->dtype = sg_type(i->in[0]);
    i->shape = k;
    for (int d = 1; d < x.rank; d++)
        i->shape.dim[i->shape.rank++] = x.dim[d];
    return true;
}

static sg_shares take_shares(const sg_call *c)
{
    return (sg_shares){.n = sg__elements(&c->in[1]), .unit = 1, .alike = 2};
}

static bool take_run(const sg_call *c)
{
    sg__around x = sg__split_at(&c->in[0], 0);
    size_t row = (size_t)x.inner * sg__width(c->out.dtype);
    int64_t n = sg__elements(&c->in[1]);
    const int32_t *i = c->in[1].data;
    const char *from = c->in[0].data;
    int64_t k, end;
    sg__my_share(c, n, 1, &k, &end);
    for (; k < end; k++) {
        if (i[k] < 0 || i[k] >= x.size)
            return outside(c, i[k], x.size, "rows");
        if (row)
            memcpy((char *)c->out.data + (size_t)k * row, from + (size_t)i[k] * row, row);
    }
    return true;
}

/* g's rows added where they were read */
static sg_tensor *take_vjp(const sg_vjp_call *v, int i)
{
    return i == 0 ? sg_scatter_add(v->g, v->in[1], sg_dim(v->in[0], 0)) : NULL;
}

static bool take_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    (void)out;
    r->leading = in[1]->rank;
    r->shared = 1;
    return true;
}

static const sg_op take_op = {
    .name = "take",
    .args = "x i",
    .arity = 2,
    .dtypes = 1 << SG_I32,
    .flags = SG_OP_SPLIT,
    .infer = take_infer,
    .run = take_run,
    .shares = take_shares,
    .batch = take_batch,
    .vjp = take_vjp,
};

sg_tensor *sg_take(sg_tensor *x, sg_tensor *i)
{
    return sg_record(&take_op, NULL, 2, (sg_tensor *[]){x, i});
}

/* ---- scatter_add ---------------------------------------------------------------------------- */

typedef struct {
    int64_t rows;
} scatter_attr;

static bool scatter_infer(sg_infer *i)
{
    const scatter_attr *a = i->attr;
    sg_shape y = sg_shape_of(i->in[0]), k = sg_shape_of(i->in[1]);
    i->dtype = sg_type(i->in[0]);
    if (i->dtype == SG_U8)
        return refuse_type(i, i->dtype);
    for (int d = 0; d < k.rank; d++)
        if (k.rank > y.rank || k.dim[d] != y.dim[d])
            return sg_refuse(i, "y does not begin with the axes of i");
    if (y.rank - k.rank >= SG_MAX_RANK)
        return sg_refuse(i, "the result would have more than %d axes", SG_MAX_RANK);
    i->shape = (sg_shape){.rank = 1, .dim = {a->rows}};
    for (int d = k.rank; d < y.rank; d++)
        i->shape.dim[i->shape.rank++] = y.dim[d];
    return true;
}

/* Row k of y, of `inner` elements, is added to row i[k] of out. A is the type to add in: unsigned
 * for i32, so that it wraps around. */
#define SCATTER_ROW(T, A, name)                                                                    \
    static void name(void *out, const void *y, int64_t to, int64_t from, int64_t inner)            \
    {                                                                                              \
        T *o = (T *)out + to * inner;                                                              \
        const T *x = (const T *)y + from * inner;                                                  \
        for (int64_t j = 0; j < inner; j++)                                                        \
            o[j] = (T)((A)o[j] + (A)x[j]);                                                         \
    }
SCATTER_ROW(float, float, row_f32)
SCATTER_ROW(double, double, row_f64)
SCATTER_ROW(int32_t, uint32_t, row_i32)

/* by rows of the result, each of which may need any of y's */
static sg_shares scatter_shares(const sg_call *c)
{
    return (sg_shares){.n = c->out.dim[0], .unit = 1};
}

static bool scatter_run(const sg_call *c)
{
    static void (*const row[SG_DTYPES])(void *, const void *, int64_t, int64_t, int64_t) = {
        [SG_F32] = row_f32, [SG_F64] = row_f64, [SG_I32] = row_i32};
    sg__around out = sg__split_at(&c->out, 0);
    int64_t n = sg__elements(&c->in[1]);
    const int32_t *i = c->in[1].data;
    int64_t first, end; /* rows of the result */
    sg__my_share(c, out.size, 1, &first, &end);
    size_t bytes = (size_t)out.inner * sg__width(c->out.dtype);
    if (bytes && first < end)
        memset((char *)c->out.data + (size_t)first * bytes, 0, (size_t)(end - first) * bytes);
    for (int64_t k = 0; k < n; k++) {
        if (i[k] < 0 || i[k] >= out.size)
            return outside(c, i[k], out.size, "rows");
        if (i[k] >= first && i[k] < end)
            row[c->out.dtype](c->out.data, c->in[0].data, i[k], k, out.inner);
    }
    return true;
}

/* the rows of g that y was added to */
static sg_tensor *scatter_vjp(const sg_vjp_call *v, int i)
{
    return i == 0 ? sg_take(v->g, v->in[1]) : NULL;
}

/* rows, and where they go, one after the other */
static bool scatter_joint(const void *attr, const sg_shape *in, const sg_shape *out, sg_joint *j)
{
    (void)attr;
    j->shape[0] = *out;
    j->shape[1] = (sg_shape){.rank = 1, .dim = {1}};
    for (int i = 0; i < in[1].rank; i++)
        j->shape[1].dim[0] *= in[1].dim[i];
    j->shape[0].dim[0] = j->shape[1].dim[0];
    j->axis[0] = j->axis[1] = 0;
    return true;
}

static void scatter_resized(const void *attr, int64_t rows, void *resized)
{
    (void)attr;
    ((scatter_attr *)resized)->rows = rows;
}

static const sg_op scatter_op = {
    .name = "scatter_add",
    .args = "y i",
    .arity = 2,
    .dtypes = 1 << SG_I32,
    .attr_size = sizeof(scatter_attr),
    .attrs = (const sg_attr[]){{"rows", 'i', offsetof(scatter_attr, rows)}, {0}},
    .flags = SG_OP_SPLIT,
    .infer = scatter_infer,
    .run = scatter_run,
    .shares = scatter_shares,
    .joint = scatter_joint,
    .scatter = scatter_resized,
    .vjp = scatter_vjp,
};

sg_tensor *sg_scatter_add(sg_tensor *y, sg_tensor *i, int64_t rows)
{
    scatter_attr a;
    memset(&a, 0, sizeof a);
    a.rows = rows;
    return sg_record(&scatter_op, &a, 2, (sg_tensor *[]){y, i});
}

sg_tensor *sg_touched(sg_tensor *x)
{
    sg_tensor *times = sg__times_added(x);
    sg_shape s = sg_shape_of(x);
    for (int k = 1; k < s.rank; k++)
        s.dim[k] = 1;
    return times ? sg_reshape(sg_cast(sg_sign(times), SG_U8), s) : NULL;
}

/* ---- along an axis -------------------------------------------------------------------------- */

typedef struct {
    int64_t axis, size; /* size: of the axis in the result; unused by take_along_axis */
} along_attr;

static bool along_infer(sg_infer *i)
{
    const along_attr *a = i->attr;
    sg_shape x = sg_shape_of(i->in[0]), k = sg_shape_of(i->in[1]);
    i->dtype = sg_type(i->in[0]);
    i->shape = k;
    if (x.rank != k.rank)
        return sg_refuse(i, "numbers of axes differ");
    for (int d = 0; d < x.rank; d++)
        if (x.dim[d] != k.dim[d] && d != a->axis)
            return sg_refuse(i, "sizes differ in axis %d, not only in %d", d, (int)a->axis);
    return true;
}

/* Inlined for each width, so that an element is moved by one instruction. */
static inline bool take_along(const sg_call *c, size_t width)
{
    const along_attr *a = c->attr;
    sg__around x = sg__split_at(&c->in[0], a->axis);
    int64_t count = c->out.dim[a->axis];
    const int32_t *i = c->in[1].data;
    const char *from = c->in[0].data;
    char *to = c->out.data;
    for (int64_t o = 0; o < x.outer; o++, from += (size_t)(x.size * x.inner) * width)
        for (int64_t k = 0; k < count; k++)
            for (int64_t j = 0; j < x.inner; j++, i++, to += width) {
                if (*i < 0 || *i >= x.size)
                    return outside(c, *i, x.size, "elements");
                memcpy(to, from + (size_t)(*i * x.inner + j) * width, width);
            }
    return true;
}

static bool take_along_run(const sg_call *c)
{
    size_t width = sg__width(c->out.dtype);
    return width == 4 ? take_along(c, 4) : width == 8 ? take_along(c, 8) : take_along(c, 1);
}

/* g added where it was read */
static sg_tensor *take_along_vjp(const sg_vjp_call *v, int i)
{
    const along_attr *a = v->attr;
    int axis = (int)a->axis;
    return i == 0 ? sg_scatter_add_along_axis(v->g, v->in[1], axis, sg_dim(v->in[0], axis)) : NULL;
}

static const sg_op take_along_op = {
    .name = "take_along_axis",
    .args = "x i",
    .arity = 2,
    .dtypes = 1 << SG_I32,
    .attr_size = sizeof(along_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(along_attr, axis)}, {0}},
    .infer = along_infer,
    .run = take_along_run,
    .batch = sg__rows_before_axis,
    .vjp = take_along_vjp,
};

sg_tensor *sg_take_along_axis(sg_tensor *x, sg_tensor *i, int axis)
{
    along_attr a;
    memset(&a, 0, sizeof a);
    a.axis = sg_axis(x, axis, "take_along_axis");
    return a.axis < 0 && x ? sg__inert(x) : sg_record(&take_along_op, &a, 2, (sg_tensor *[]){x, i});
}

static bool scatter_along_infer(sg_infer *i)
{
    const along_attr *a = i->attr;
    if (sg_type(i->in[0]) == SG_U8)
        return refuse_type(i, SG_U8);
    if (!along_infer(i))
        return false;
    if (sg_dim(i->in[0], (int)a->axis) != i->shape.dim[a->axis])
        return sg_refuse(i, "shapes differ");
    i->shape.dim[a->axis] = a->size;
    return true;
}

static bool scatter_along_run(const sg_call *c)
{
    const along_attr *a = c->attr;
    sg__around out = sg__split_at(&c->out, a->axis);
    int64_t count = c->in[0].dim[a->axis], n = 0;
    const int32_t *i = c->in[1].data;
    clear(&c->out);
    for (int64_t o = 0; o < out.outer; o++)
        for (int64_t k = 0; k < count; k++)
            for (int64_t j = 0; j < out.inner; j++, n++) {
                if (i[n] < 0 || i[n] >= out.size)
                    return outside(c, i[n], out.size, "elements");
                int64_t to = (o * out.size + i[n]) * out.inner + j;
                if (c->out.dtype == SG_F32)
                    row_f32(c->out.data, c->in[0].data, to, n, 1);
                else if (c->out.dtype == SG_F64)
                    row_f64(c->out.data, c->in[0].data, to, n, 1);
                else
                    row_i32(c->out.data, c->in[0].data, to, n, 1);
            }
    return true;
}

/* the elements of g that y was added to */
static sg_tensor *scatter_along_vjp(const sg_vjp_call *v, int i)
{
    const along_attr *a = v->attr;
    return i == 0 ? sg_take_along_axis(v->g, v->in[1], (int)a->axis) : NULL;
}

static const sg_op scatter_along_op = {
    .name = "scatter_add_along_axis",
    .args = "y i",
    .arity = 2,
    .dtypes = 1 << SG_I32,
    .attr_size = sizeof(along_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(along_attr, axis)},
                               {"size", 'i', offsetof(along_attr, size)},
                               {0}},
    .infer = scatter_along_infer,
    .run = scatter_along_run,
    .batch = sg__rows_before_axis,
    .vjp = scatter_along_vjp,
};

sg_tensor *sg_scatter_add_along_axis(sg_tensor *y, sg_tensor *i, int axis, int64_t size)
{
    along_attr a;
    memset(&a, 0, sizeof a);
    a.axis = sg_axis(y, axis, "scatter_add_along_axis");
    a.size = size;
    return a.axis < 0 && y ? sg__inert(y)
                           : sg_record(&scatter_along_op, &a, 2, (sg_tensor *[]){y, i});
}

/* ---- one_hot -------------------------------------------------------------------------------- */

typedef struct {
    int64_t n;
} one_hot_attr;

static bool one_hot_infer(sg_infer *i)
{
    const one_hot_attr *a = i->attr;
    i->shape = sg_shape_of(i->in[0]);
    if (i->shape.rank == SG_MAX_RANK)
        return sg_refuse(i, "no room for another axis");
    i->shape.dim[i->shape.rank++] = a->n;
    return true;
}

static bool one_hot_run(const sg_call *c)
{
    static const struct {
        float f32;
        double f64;
        int32_t i32;
        uint8_t u8;
    } one = {1, 1, 1, 1};
    static const void *const of[SG_DTYPES] = {&one.f32, &one.f64, &one.i32, &one.u8};
    const one_hot_attr *a = c->attr;
    size_t width = sg__width(c->out.dtype);
    int64_t rows = sg__elements(&c->in[0]);
    const int32_t *i = c->in[0].data;
    clear(&c->out);
    for (int64_t k = 0; k < rows; k++)
        if (i[k] >= 0 && i[k] < a->n)
            memcpy((char *)c->out.data + (size_t)(k * a->n + i[k]) * width, of[c->out.dtype],
                   width);
    return true;
}

static bool one_hot_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    (void)out;
    r->leading = in[0]->rank;
    return true;
}

static const sg_op *const one_hot_ops[SG_DTYPES];
static const sg_attr one_hot_attrs[] = {{"n", 'i', offsetof(one_hot_attr, n)}, {0}};

#define ONE_HOT(T)                                                                                 \
    {                                                                                              \
        .name = "one_hot", .args = "i", .flags = SG_OP_CONSTANT, .arity = 1,                       \
        .dtypes = 1 << SG_I32, .attr_size = sizeof(one_hot_attr), .attrs = one_hot_attrs,          \
        .infer = one_hot_infer, .result = 1 + (T), .typed = one_hot_ops, .run = one_hot_run,       \
        .batch = one_hot_batch,                                                                    \
    }
static const sg_op one_hot_op[SG_DTYPES] = {ONE_HOT(SG_F32), ONE_HOT(SG_F64), ONE_HOT(SG_I32),
                                            ONE_HOT(SG_U8)};
static const sg_op *const one_hot_ops[SG_DTYPES] = {&one_hot_op[SG_F32], &one_hot_op[SG_F64],
                                                    &one_hot_op[SG_I32], &one_hot_op[SG_U8]};

sg_tensor *sg_one_hot(sg_tensor *i, int64_t n, sg_dtype dtype)
{
    one_hot_attr a;
    memset(&a, 0, sizeof a);
    a.n = n;
    if ((unsigned)dtype >= SG_DTYPES)
        return sg_fail(sg_context_of(i), SG_BAD_DTYPE, "one_hot: no such type (%d)", (int)dtype);
    return sg_record(one_hot_ops[dtype], &a, 1, &i);
}
