/*
 * softmax and log_softmax along the last axis. Rows that are masked, or -inf, altogether have no
 * distribution: softmax makes them 0, with gradient 0, and neither makes them NaN.
 */
#include "ops/ops_internal.h"
#include "ops/kernel/rows.h"

#include <math.h>

static bool same_shape(sg_infer *i)
{
    i->shape = sg_shape_of(i->in[0]);
    i->dtype = sg_type(i->in[0]);
    return i->shape.rank > 0 || sg_refuse(i, "a scalar has no last axis");
}

/* x where it is not -inf, else 0 */
static sg_tensor *finite_or_0(sg_tensor *x)
{
    return sg_where(sg_equal(x, sg_like(x, -INFINITY)), sg_like(x, 0), x);
}

/* ---- softmax -------------------------------------------------------------------------------- */

static bool masked_infer(sg_infer *i)
{
    sg_shape m = sg_shape_of(i->in[1]);
    if (!same_shape(i))
        return false;
    if (i->dtype != SG_F32 && i->dtype != SG_F64) {
        i->status = SG_BAD_DTYPE;
        return sg_refuse(i, "not defined for %s", sg_dtype_name(i->dtype));
    }
    int more = i->shape.rank - m.rank;
    for (int d = 0; d < m.rank; d++)
        if (more < 0 || (m.dim[d] != 1 && m.dim[d] != i->shape.dim[d + more]))
            return sg_refuse(i, "the mask does not broadcast to x");
    return true;
}

/* The row of a broadcast mask beside row number `row` of x. */
static const uint8_t *mask_row(const sg_array *mask, const sg_array *x, int64_t row)
{
    int64_t at = 0, stride = 1;
    for (int k = 1; k <= mask->rank; k++) {
        int64_t n = mask->dim[mask->rank - k];
        if (k > 1) {
            int64_t size = x->dim[x->rank - k];
            at += n == 1 ? 0 : row % size * stride;
            row /= size;
        }
        stride *= n;
    }
    return (const uint8_t *)mask->data + at;
}

static bool softmax_run(const sg_call *c)
{
    const sg_array *x = &c->in[0], *mask = c->n > 1 ? &c->in[1] : NULL;
    const sg__row_kernels *kernels = sg__row_kernels_of[c->out.dtype][c->isa];
    sg__around s = sg__rows(x);
    size_t bytes = (size_t)s.size * sg__width(x->dtype);
    /* A mask that does not tell elements of a row apart masks it as a whole, or not at all. */
    bool whole = mask && (mask->rank == 0 || mask->dim[mask->rank - 1] != s.size);
    int64_t row, end;
    sg__my_share(c, s.outer, 1, &row, &end);
    for (; row < end && bytes; row++) {
        char *to = (char *)c->out.data + (size_t)row * bytes;
        const uint8_t *m = mask ? mask_row(mask, x, row) : NULL;
        if (whole && !*m)
            memset(to, 0, bytes);
        else
            kernels->softmax(s.size, to, (const char *)x->data + (size_t)row * bytes,
                             whole ? NULL : m);
    }
    return true;
}

/* y (g - sum(g y)) */
static sg_tensor *softmax_vjp(const sg_vjp_call *v, int i)
{
    sg_tensor *y = v->out, *g = v->g;
    return i == 0 ? sg_mul(y, sg_sub(g, sg_sum(sg_mul(g, y), -1, true))) : NULL;
}

/* e^(x - max x) / sum; of the mask's zeros as of elements that are -inf */
static sg_tensor *softmax_lower(const void *attr, int n, sg_tensor *const *in)
{
    (void)attr;
    sg_tensor *x = n == 1 ? in[0] : sg_where(in[1], in[0], sg_like(in[0], -INFINITY));
    sg_tensor *top = finite_or_0(sg_stop_gradient(sg_max(x, -1, true)));
    sg_tensor *e = sg_exp(sg_sub(x, top)), *sum = sg_sum(e, -1, true);
    sg_tensor *none = sg_equal(sum, sg_like(sum, 0)), *one = sg_like(sum, 1);
    return sg_mul(e, sg_div(one, sg_where(none, one, sum)));
}

static bool row_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    (void)in;
    r->leading = out->rank ? out->rank - 1 : 0;
    return true;
}

/* A mask for each row, not one for several. */
static bool masked_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    bool alike = in[1]->rank == out->rank;
    for (int k = 0; alike && k < out->rank; k++)
        alike = in[1]->dim[k] == out->dim[k];
    return alike && row_batch(in, out, r);
}

static const sg_op softmax_op = {
    .name = "softmax",
    .args = "x",
    .arity = 1,
    .infer = same_shape,
    .run = softmax_run,
    .shares = sg__row_shares,
    .batch = row_batch,
    .flags = SG_OP_SPLIT | SG_OP_SURE | SG_OP_OVER,
    .vjp = softmax_vjp,
    .lower = softmax_lower,
};

static const sg_op masked_softmax_op = {
    .name = "softmax",
    .args = "x mask",
    .arity = 2,
    .dtypes = 1 << SG_U8,
    .infer = masked_infer,
    .run = softmax_run,
    .shares = sg__row_shares,
    .batch = masked_batch,
    .flags = SG_OP_SPLIT | SG_OP_SURE | SG_OP_OVER,
    .vjp = softmax_vjp,
    .lower = softmax_lower,
};

sg_tensor *sg_softmax(sg_tensor *x, sg_tensor *mask)
{
    if (!mask)
        return sg_record(&softmax_op, NULL, 1, &x);
    return sg_record(&masked_softmax_op, NULL, 2, (sg_tensor *[]){x, mask});
}

/* ---- log_softmax ---------------------------------------------------------------------------- */

static bool log_softmax_run(const sg_call *c)
{
    sg__around s = sg__rows(&c->in[0]);
    size_t bytes = (size_t)s.size * sg__width(c->out.dtype);
    int64_t row, end;
    sg__my_share(c, s.outer, 1, &row, &end);
    for (; row < end && bytes; row++)
        sg__row_kernels_of[c->out.dtype][c->isa]->log_softmax(
            s.size, (char *)c->out.data + (size_t)row * bytes,
            (const char *)c->in[0].data + (size_t)row * bytes);
    return true;
}

/* g - e^y sum(g) */
static sg_tensor *log_softmax_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return sg_sub(v->g, sg_mul(sg_exp(v->out), sg_sum(v->g, -1, true)));
}

static sg_tensor *log_softmax_lower(const void *attr, int n, sg_tensor *const *in)
{
    (void)attr;
    (void)n;
    return sg_sub(in[0], finite_or_0(sg_logsumexp(in[0], -1, true)));
}

static const sg_op log_softmax_op = {
    .name = "log_softmax",
    .args = "x",
    .arity = 1,
    .infer = same_shape,
    .run = log_softmax_run,
    .shares = sg__row_shares,
    .batch = row_batch,
    .flags = SG_OP_SPLIT | SG_OP_SURE | SG_OP_OVER,
    .vjp = log_softmax_vjp,
    .lower = log_softmax_lower,
};

sg_tensor *sg_log_softmax(sg_tensor *x)
{
    return sg_record(&log_softmax_op, NULL, 1, &x);
}
