/* Normalization along the last axis. */
#include "ops/ops_internal.h"
#include "ops/kernel/rows.h"

typedef struct {
    double epsilon;
} norm_attr;

static bool norm_infer(sg_infer *i)
{
    i->shape = sg_shape_of(i->in[0]);
    if (i->shape.rank == 0)
        return sg_refuse(i, "a scalar has no last axis");
    for (int k = 1; k < 3; k++) {
        if (sg_type(i->in[k]) != sg_type(i->in[0])) {
            i->status = SG_BAD_DTYPE;
            return sg_refuse(i, "operands of different types");
        }
        sg_shape s = sg_shape_of(i->in[k]);
        if (s.rank != 1 || s.dim[0] != i->shape.dim[i->shape.rank - 1])
            return sg_refuse(i, "gain and bias are not as long as the last axis of x");
    }
    return true;
}

static bool norm_run(const sg_call *c)
{
    const norm_attr *a = c->attr;
    sg__around s = sg__rows(&c->in[0]);
    size_t bytes = (size_t)s.size * sg__width(c->out.dtype);
    int64_t row, end;
    sg__my_share(c, s.outer, 1, &row, &end);
    for (; row < end && bytes; row++)
        sg__row_kernels_of[c->out.dtype][c->isa]->layer_norm(
            s.size, (char *)c->out.data + (size_t)row * bytes,
            (const char *)c->in[0].data + (size_t)row * bytes, c->in[1].data, c->in[2].data,
            a->epsilon);
    return true;
}

/* x̂ = (x - mean) r with r = (var + epsilon)^(-1/2) */
static sg_tensor *normalized(sg_tensor *x, double epsilon, sg_tensor **r)
{
    sg_tensor *d = sg_sub(x, sg_mean(x, -1, true));
    sg_tensor *variance = sg_mean(sg_square(d), -1, true);
    *r = sg_rsqrt(sg_add(variance, sg_like(x, epsilon)));
    return sg_mul(d, *r);
}

/* x: r (u - mean(u) - x̂ mean(u x̂)) with u = g gain;  gain: g x̂;  bias: g */
static sg_tensor *norm_vjp(const sg_vjp_call *v, int i)
{
    const norm_attr *a = v->attr;
    if (i == 2)
        return v->g;
    sg_tensor *r, *n = normalized(v->in[0], a->epsilon, &r);
    if (i == 1)
        return sg_mul(v->g, n);
    sg_tensor *u = sg_mul(v->g, v->in[1]);
    sg_tensor *centered = sg_sub(u, sg_mean(u, -1, true));
    return sg_mul(r, sg_sub(centered, sg_mul(n, sg_mean(sg_mul(u, n), -1, true))));
}

static sg_tensor *norm_lower(const void *attr, int n, sg_tensor *const *in)
{
    (void)n;
    const norm_attr *a = attr;
    sg_tensor *r;
    return sg_add(sg_mul(normalized(in[0], a->epsilon, &r), in[1]), in[2]);
}

static bool norm_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    (void)in;
    r->leading = out->rank - 1;
    r->shared = 6;
    return true;
}

static const sg_op norm_op = {
    .name = "layer_norm",
    .args = "x gain bias",
    .arity = 3,
    .attr_size = sizeof(norm_attr),
    .attrs = (const sg_attr[]){{"epsilon", 'd', offsetof(norm_attr, epsilon)}, {0}},
    .infer = norm_infer,
    .run = norm_run,
    .shares = sg__row_shares,
    .batch = norm_batch,
    .flags = SG_OP_SPLIT | SG_OP_SURE | SG_OP_OVER,
    .vjp = norm_vjp,
    .lower = norm_lower,
};

sg_tensor *sg_layer_norm(sg_tensor *x, sg_tensor *gain, sg_tensor *bias, double epsilon)
{
    norm_attr a;
    memset(&a, 0, sizeof a);
    a.epsilon = epsilon;
    if (!(epsilon >= 0))
        return sg_fail(sg_context_of(x), SG_BAD_ARGUMENT, "layer_norm: epsilon is %g", epsilon);
    return sg_record(&norm_op, &a, 3, (sg_tensor *[]){x, gain, bias});
}
