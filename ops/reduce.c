/*
 * Reductions of one axis. Sums are core's sum_to, in another dress; the ops here keep an axis of
 * size 1, which the public functions drop by a reshape.
 */
#include "ops/ops_internal.h"
#include "ops/kernel/rows.h"

#include <math.h>

typedef sg_tensor *reduction(sg_tensor *x, int axis);

/* Applies f, which keeps the axis, to one axis or to all as one. */
static sg_tensor *reduce(reduction *f, sg_tensor *x, int axis, bool keep, const char *name)
{
    if (axis == SG_ALL_AXES) {
        sg_shape s = {.rank = keep ? sg_rank(x) : 0};
        for (int k = 0; k < s.rank; k++)
            s.dim[k] = 1;
        return sg_reshape(f(sg_reshape(x, SG_SHAPE(sg_size(x))), 0), s);
    }
    axis = sg_axis(x, axis, name);
    if (axis < 0)
        return sg__inert(x);
    sg_tensor *y = f(x, axis);
    return keep || sg_is_nil(y) ? y : sg_squeeze(y, axis);
}

/* ---- sum and mean --------------------------------------------------------------------------- */

sg_tensor *sg_sum(sg_tensor *x, int axis, bool keep)
{
    sg_shape s = sg_shape_of(x);
    if (axis == SG_ALL_AXES) {
        s.rank = keep ? s.rank : 0;
        for (int k = 0; k < s.rank; k++)
            s.dim[k] = 1;
        return sg_sum_to(x, s);
    }
    axis = sg_axis(x, axis, "sum");
    if (axis < 0)
        return sg__inert(x);
    s.dim[axis] = 1;
    sg_tensor *y = sg_sum_to(x, s);
    return keep || sg_is_nil(y) ? y : sg_squeeze(y, axis);
}

sg_tensor *sg_mean(sg_tensor *x, int axis, bool keep)
{
    int at = axis == SG_ALL_AXES ? 0 : sg_axis(x, axis, "mean");
    if (at < 0)
        return sg__inert(x);
    int64_t n = axis == SG_ALL_AXES ? sg_size(x) : sg_dim(x, at);
    if (sg_type(x) != SG_F32 && sg_type(x) != SG_F64)
        return sg_fail(sg_context_of(x), SG_BAD_DTYPE, "mean: not defined for %s",
                       sg_dtype_name(sg_type(x)));
    if (n == 0 && !sg_is_nil(x))
        return axis == SG_ALL_AXES
                   ? sg_fail(sg_context_of(x), SG_BAD_SHAPE, "mean: x has no elements")
                   : sg_fail(sg_context_of(x), SG_BAD_SHAPE, "mean: axis %d has no elements", at);
    return sg_div(sg_sum(x, axis, keep), sg_like(x, (double)n));
}

/* ---- max, min, argmax ----------------------------------------------------------------------- */

typedef struct {
    int64_t axis;
} axis_attr;

static const sg_attr axis_attrs[] = {{"axis", 'i', offsetof(axis_attr, axis)}, {0}};

static sg_tensor *record(const sg_op *op, sg_tensor *x, int axis)
{
    axis_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis;
    return sg_record(op, &a, 1, &x);
}

static bool extremum_infer(sg_infer *i)
{
    const axis_attr *a = i->attr;
    i->shape = sg_shape_of(i->in[0]);
    if (i->shape.dim[a->axis] == 0)
        return sg_refuse(i, "axis %d is empty", (int)a->axis);
    if (i->shape.dim[a->axis] > INT32_MAX)
        return sg_refuse(i, "more elements than an i32 index can name");
    i->shape.dim[a->axis] = 1;
    return true;
}

/* Rows are taken in order, so that memory is. NaN goes before all numbers. */
#define EXTREMUM(T, name)                                                                          \
    static void name(sg__around s, bool least, const T *x, T *out)                                 \
    {                                                                                              \
        for (int64_t o = 0; o < s.outer; o++, out += s.inner) {                                    \
            for (int64_t j = 0; j < s.inner; j++)                                                  \
                out[j] = *x++;                                                                     \
            for (int64_t k = 1; k < s.size; k++)                                                   \
                for (int64_t j = 0; j < s.inner; j++, x++)                                         \
                    out[j] = (least ? *x < out[j] : *x > out[j]) || *x != *x ? *x : out[j];        \
        }                                                                                          \
    }
EXTREMUM(float, extremum_f32)
EXTREMUM(double, extremum_f64)
EXTREMUM(int32_t, extremum_i32)

static bool extremum(const sg_call *c, bool least)
{
    const axis_attr *a = c->attr;
    sg__around s = sg__split_at(&c->in[0], a->axis);
    const char *x = c->in[0].data;
    char *out = c->out.data;
    if (c->out.dtype == SG_I32) {
        extremum_i32(s, least, c->in[0].data, c->out.data);
    } else if (s.inner == 1) {
        const sg__row_kernels *k = sg__row_kernels_of[c->out.dtype][c->isa];
        size_t width = sg__width(c->out.dtype);
        for (int64_t o = 0; o < s.outer; o++)
            (least ? k->min : k->max)(s.size, out + (size_t)o * width,
                                      x + (size_t)(o * s.size) * width);
    } else if (c->out.dtype == SG_F32) {
        extremum_f32(s, least, c->in[0].data, c->out.data);
    } else {
        extremum_f64(s, least, c->in[0].data, c->out.data);
    }
    return true;
}

static bool max_run(const sg_call *c)
{
    return extremum(c, false);
}

static bool min_run(const sg_call *c)
{
    return extremum(c, true);
}

/* The first index wins ties, the first NaN wins over all. */
#define ARG(T, name)                                                                               \
    static void name(sg__around s, bool least, const T *x, int32_t *out)                           \
    {                                                                                              \
        for (int64_t o = 0; o < s.outer; o++, x += s.size * s.inner)                               \
            for (int64_t j = 0; j < s.inner; j++) {                                                \
                T best = x[j];                                                                     \
                int32_t at = 0;                                                                    \
                for (int64_t k = 1; k < s.size; k++) {                                             \
                    T v = x[k * s.inner + j];                                                      \
                    if ((least ? v < best : v > best) || (v != v && best == best)) {               \
                        best = v;                                                                  \
                        at = (int32_t)k;                                                           \
                    }                                                                              \
                }                                                                                  \
                *out++ = at;                                                                       \
            }                                                                                      \
    }
ARG(float, arg_f32)
ARG(double, arg_f64)
ARG(int32_t, arg_i32)
ARG(uint8_t, arg_u8)

static bool arg(const sg_call *c, bool least)
{
    const axis_attr *a = c->attr;
    sg__around s = sg__split_at(&c->in[0], a->axis);
    if (c->in[0].dtype == SG_F32)
        arg_f32(s, least, c->in[0].data, c->out.data);
    else if (c->in[0].dtype == SG_F64)
        arg_f64(s, least, c->in[0].data, c->out.data);
    else if (c->in[0].dtype == SG_I32)
        arg_i32(s, least, c->in[0].data, c->out.data);
    else
        arg_u8(s, least, c->in[0].data, c->out.data);
    return true;
}

static bool argmax_run(const sg_call *c)
{
    return arg(c, false);
}

static bool argmin_run(const sg_call *c)
{
    return arg(c, true);
}

#define ARG_OP(label, runs)                                                                        \
    {                                                                                              \
        .name = label, .args = "x", .flags = SG_OP_CONSTANT, .arity = 1, .dtypes = SG_ALL,         \
        .attr_size = sizeof(axis_attr), .attrs = axis_attrs, .infer = extremum_infer,              \
        .result = 1 + SG_I32, .run = runs, .batch = sg__rows_before_axis,                          \
    }
static const sg_op argmax_op = ARG_OP("argmax", argmax_run);
static const sg_op argmin_op = ARG_OP("argmin", argmin_run);

/* g where the extremum was found, 0 elsewhere */
static sg_tensor *scattered(const sg_vjp_call *v, const sg_op *arg_op)
{
    const axis_attr *a = v->attr;
    int axis = (int)a->axis;
    sg_tensor *at = record(arg_op, v->in[0], axis);
    return sg_scatter_add_along_axis(v->g, at, axis, sg_dim(v->in[0], axis));
}

static sg_tensor *max_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return scattered(v, &argmax_op);
}

static sg_tensor *min_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return scattered(v, &argmin_op);
}

#define EXTREMUM_OP(label, runs, derivative)                                                       \
    {                                                                                              \
        .name = label, .args = "x", .arity = 1, .dtypes = SG_FLOATS | 1 << SG_I32,                 \
        .attr_size = sizeof(axis_attr), .attrs = axis_attrs, .infer = extremum_infer, .run = runs, \
        .batch = sg__rows_before_axis, .vjp = derivative,                                          \
    }
static const sg_op max_op = EXTREMUM_OP("max", max_run, max_vjp);
static const sg_op min_op = EXTREMUM_OP("min", min_run, min_vjp);

static sg_tensor *along_max(sg_tensor *x, int axis)
{
    return record(&max_op, x, axis);
}

static sg_tensor *along_min(sg_tensor *x, int axis)
{
    return record(&min_op, x, axis);
}

static sg_tensor *along_argmax(sg_tensor *x, int axis)
{
    return record(&argmax_op, x, axis);
}

sg_tensor *sg_max(sg_tensor *x, int axis, bool keep)
{
    return reduce(along_max, x, axis, keep, "max");
}

sg_tensor *sg_min(sg_tensor *x, int axis, bool keep)
{
    return reduce(along_min, x, axis, keep, "min");
}

sg_tensor *sg_argmax(sg_tensor *x, int axis, bool keep)
{
    return reduce(along_argmax, x, axis, keep, "argmax");
}

/* ---- logsumexp ------------------------------------------------------------------------------ */

static bool logsumexp_infer(sg_infer *i)
{
    i->shape = sg_shape_of(i->in[0]);
    i->shape.dim[i->shape.rank - 1] = 1;
    return true;
}

static bool logsumexp_run(const sg_call *c)
{
    sg__around s = sg__rows(&c->in[0]);
    size_t width = sg__width(c->out.dtype);
    int64_t o, end;
    sg__my_share(c, s.outer, 1, &o, &end);
    for (; o < end; o++)
        sg__row_kernels_of[c->out.dtype][c->isa]->logsumexp(
            s.size, (char *)c->out.data + (size_t)o * width,
            (const char *)c->in[0].data + (size_t)(o * s.size) * width);
    return true;
}

/* g·e^(x - y), where a row that is -inf altogether has 0 in place of y: e^-inf = 0, not NaN */
static sg_tensor *logsumexp_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    sg_tensor *none = sg_equal(v->out, sg_like(v->out, -INFINITY));
    sg_tensor *y = sg_where(none, sg_like(v->out, 0), v->out);
    return sg_mul(v->g, sg_exp(sg_sub(v->in[0], y)));
}

static bool logsumexp_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    (void)in;
    r->leading = out->rank - 1;
    return true;
}

static const sg_op logsumexp_op = {
    .name = "logsumexp",
    .args = "x",
    .arity = 1,
    .flags = SG_OP_SPLIT | SG_OP_SURE,
    .infer = logsumexp_infer,
    .run = logsumexp_run,
    .shares = sg__row_shares,
    .batch = logsumexp_batch,
    .vjp = logsumexp_vjp,
};

/* The op reduces the last axis; another one is brought there and back. */
static sg_tensor *along_logsumexp(sg_tensor *x, int axis)
{
    x = sg_transpose(x, axis, -1);
    return sg_transpose(sg_record(&logsumexp_op, NULL, 1, &x), axis, -1);
}

sg_tensor *sg_logsumexp(sg_tensor *x, int axis, bool keep)
{
    return reduce(along_logsumexp, x, axis, keep, "logsumexp");
}

/* ---- cumsum --------------------------------------------------------------------------------- */

typedef struct {
    int64_t axis;
    bool reverse; /* from the end to the beginning */
} cumsum_attr;

static bool cumsum_infer(sg_infer *i)
{
    i->shape = sg_shape_of(i->in[0]);
    return true;
}

/* A is the type to add in: unsigned for i32, so that it wraps around. */
#define CUMSUM(T, A, name)                                                                         \
    static void name(sg__around s, bool reverse, const T *x, T *out)                               \
    {                                                                                              \
        int64_t step = reverse ? -s.inner : s.inner;                                               \
        for (int64_t o = 0; o < s.outer; o++)                                                      \
            for (int64_t k = 0; k < s.size; k++) {                                                 \
                int64_t at = (o * s.size + (reverse ? s.size - 1 - k : k)) * s.inner;              \
                for (int64_t j = 0; j < s.inner; j++)                                              \
                    out[at + j] = k ? (T)((A)out[at + j - step] + (A)x[at + j]) : x[at + j];       \
            }                                                                                      \
    }
CUMSUM(float, float, cumsum_f32)
CUMSUM(double, double, cumsum_f64)
CUMSUM(int32_t, uint32_t, cumsum_i32)

static bool cumsum_run(const sg_call *c)
{
    const cumsum_attr *a = c->attr;
    sg__around s = sg__split_at(&c->out, a->axis);
    if (c->out.dtype == SG_F32)
        cumsum_f32(s, a->reverse, c->in[0].data, c->out.data);
    else if (c->out.dtype == SG_F64)
        cumsum_f64(s, a->reverse, c->in[0].data, c->out.data);
    else
        cumsum_i32(s, a->reverse, c->in[0].data, c->out.data);
    return true;
}

static sg_tensor *cumsum(sg_tensor *x, int64_t axis, bool reverse);

/* the sum of g from the other end */
static sg_tensor *cumsum_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    const cumsum_attr *a = v->attr;
    return cumsum(v->g, a->axis, !a->reverse);
}

static const sg_op cumsum_op = {
    .name = "cumsum",
    .args = "x",
    .arity = 1,
    .dtypes = SG_FLOATS | 1 << SG_I32,
    .attr_size = sizeof(cumsum_attr),
    .attrs = (const sg_attr[]){{"axis", 'i', offsetof(cumsum_attr, axis)},
                               {"reverse", 'b', offsetof(cumsum_attr, reverse)},
                               {0}},
    .infer = cumsum_infer,
    .run = cumsum_run,
    .batch = sg__rows_before_axis,
    .vjp = cumsum_vjp,
};

static sg_tensor *cumsum(sg_tensor *x, int64_t axis, bool reverse)
{
    cumsum_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis;
    a.reverse = reverse;
    return sg_record(&cumsum_op, &a, 1, &x);
}

sg_tensor *sg_cumsum(sg_tensor *x, int axis)
{
    axis = sg_axis(x, axis, "cumsum");
    return axis < 0 ? sg__inert(x) : cumsum(x, axis, false);
}
