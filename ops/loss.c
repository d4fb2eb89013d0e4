/*
 * Cross-entropy from logits. Its gradient by the logits is a fused op too, since both pass over all
 * of a vocabulary. Ignored rows are selected away before any product: what stands in them, NaN
 * included, does not count.
 */
#include "ops/ops_internal.h"
#include "ops/kernel/rows.h"

typedef struct {
    double smoothing;
    int64_t ignored;
    bool ignore;
} loss_attr;

static const sg_attr loss_attrs[] = {{"smoothing", 'd', offsetof(loss_attr, smoothing)},
                                     {"ignore", 'b', offsetof(loss_attr, ignore)},
                                     {"ignored", 'i', offsetof(loss_attr, ignored)},
                                     {0}};

/* logits [..., classes], labels i32 [...] */
static bool loss_shapes(sg_infer *i)
{
    sg_shape x = sg_shape_of(i->in[0]), l = sg_shape_of(i->in[1]);
    i->dtype = sg_type(i->in[0]);
    if ((i->dtype != SG_F32 && i->dtype != SG_F64) || sg_type(i->in[1]) != SG_I32) {
        i->status = SG_BAD_DTYPE;
        return sg_refuse(i, "logits are not floats, or labels not i32");
    }
    bool alike = x.rank == l.rank + 1;
    for (int d = 0; d < l.rank && alike; d++)
        alike = x.dim[d] == l.dim[d];
    if (!alike)
        return sg_refuse(i, "labels are not as the logits without their last axis");
    i->shape = l;
    return x.dim[l.rank] > 0 || sg_refuse(i, "there are no classes");
}

/* Whether a label counts; false with *good unset if it is no class. */
static bool counts(const sg_call *c, int32_t label, int64_t classes, bool *good)
{
    const loss_attr *a = c->attr;
    if (a->ignore && label == a->ignored)
        return false;
    if (label < 0 || label >= classes)
        *good = sg_stop(c, "label %d is not in [0, %lld)", (int)label, (long long)classes);
    return *good;
}

/* Logits, labels, cotangents and losses, all by row */
static sg_shares loss_shares(const sg_call *c)
{
    return (sg_shares){.n = sg__rows(&c->in[0]).outer, .unit = 1, .alike = 15};
}

static bool loss_run(const sg_call *c)
{
    const loss_attr *a = c->attr;
    const sg__row_kernels *kernels = sg__row_kernels_of[c->out.dtype][c->isa];
    sg__around s = sg__rows(&c->in[0]);
    size_t width = sg__width(c->out.dtype);
    const int32_t *label = c->in[1].data;
    bool good = true;
    int64_t row, end;
    sg__my_share(c, s.outer, 1, &row, &end);
    for (; row < end && good; row++) {
        char *to = (char *)c->out.data + (size_t)row * width;
        const char *x = (const char *)c->in[0].data + (size_t)(row * s.size) * width;
        if (counts(c, label[row], s.size, &good))
            kernels->cross_entropy(s.size, to, x, label[row], a->smoothing);
        else
            memset(to, 0, width);
    }
    return good;
}

/* What does not count is replaced, and *kept tells where: u8 [...]. */
static void select_rows(const loss_attr *a, sg_tensor **logits, sg_tensor **labels,
                        sg_tensor **kept)
{
    *kept = sg_not_equal(*labels, sg_like(*labels, (double)a->ignored));
    *labels = sg_where(*kept, *labels, sg_like(*labels, 0));
    *logits = sg_where(sg_expand_dims(*kept, -1), *logits, sg_like(*logits, 0));
}

/* -(1 - s) log p[label] - s mean(log p), p = softmax(logits) */
static sg_tensor *loss_lower(const void *attr, int n, sg_tensor *const *in)
{
    (void)n;
    const loss_attr *a = attr;
    sg_tensor *logits = in[0], *labels = in[1], *kept = NULL;
    if (a->ignore)
        select_rows(a, &logits, &labels, &kept);
    sg_tensor *log_p = sg_log_softmax(logits);
    sg_tensor *own = sg_take_along_axis(log_p, sg_expand_dims(labels, -1), -1);
    sg_tensor *y = sg_mul(sg_like(own, a->smoothing - 1), sg_squeeze(own, -1));
    if (a->smoothing != 0)
        y = sg_sub(y, sg_mul(sg_like(y, a->smoothing), sg_mean(log_p, -1, false)));
    return kept ? sg_where(kept, y, sg_like(y, 0)) : y;
}

/* ---- the gradient --------------------------------------------------------------------------- */

static bool grad_infer(sg_infer *i)
{
    if (!loss_shapes(i))
        return false;
    for (int k = 2; k < 4; k++) {
        sg_shape g = sg_shape_of(i->in[k]);
        bool alike = g.rank == i->shape.rank && sg_type(i->in[k]) == i->dtype;
        for (int d = 0; d < g.rank && alike; d++)
            alike = g.dim[d] == i->shape.dim[d];
        if (!alike)
            return sg_refuse(i, "g or the loss is not one for each row");
    }
    i->shape = sg_shape_of(i->in[0]);
    return true;
}

static bool grad_run(const sg_call *c)
{
    const loss_attr *a = c->attr;
    const sg__row_kernels *kernels = sg__row_kernels_of[c->out.dtype][c->isa];
    sg__around s = sg__rows(&c->in[0]);
    size_t width = sg__width(c->out.dtype), bytes = (size_t)s.size * width;
    const char *x = c->in[0].data, *g = c->in[2].data, *loss = c->in[3].data;
    const int32_t *label = c->in[1].data;
    bool good = true;
    int64_t row, end;
    sg__my_share(c, s.outer, 1, &row, &end);
    for (; row < end && good; row++) {
        char *to = (char *)c->out.data + (size_t)row * bytes;
        size_t at = (size_t)row * width;
        if (counts(c, label[row], s.size, &good))
            kernels->cross_entropy_grad(s.size, to, x + (size_t)row * bytes, label[row],
                                        a->smoothing, g + at, loss + at);
        else
            memset(to, 0, bytes);
    }
    return good;
}

/* (p - (1 - s) onehot(label) - s / classes) g; the loss, which only saves a pass over the logits,
 * does not occur. */
static sg_tensor *grad_lower(const void *attr, int n, sg_tensor *const *in)
{
    (void)n;
    const loss_attr *a = attr;
    sg_tensor *logits = in[0], *labels = in[1], *g = in[2], *kept = NULL;
    int64_t classes = sg_dim(logits, -1);
    if (a->ignore) {
        select_rows(a, &logits, &labels, &kept);
        g = sg_where(kept, g, sg_like(g, 0));
    }
    sg_tensor *own = sg_one_hot(labels, classes, sg_type(logits));
    sg_tensor *d = sg_sub(sg_softmax(logits, NULL), sg_mul(own, sg_like(own, 1 - a->smoothing)));
    if (a->smoothing != 0)
        d = sg_sub(d, sg_like(d, a->smoothing / (double)classes));
    return sg_mul(d, sg_expand_dims(g, -1));
}

static bool loss_batch(const sg_shape *const *in, const sg_shape *out, sg_rows *r)
{
    (void)out;
    r->leading = in[1]->rank;
    return true;
}

static const sg_op grad_op = {
    .name = "cross_entropy_grad",
    .args = "logits labels g loss",
    .arity = 4,
    .attr_size = sizeof(loss_attr),
    .attrs = loss_attrs,
    .infer = grad_infer,
    .run = grad_run,
    .shares = loss_shares,
    .batch = loss_batch,
    .flags = SG_OP_SPLIT | SG_OP_OVER,
    .lower = grad_lower,
};

static sg_tensor *loss_vjp(const sg_vjp_call *v, int i)
{
    sg_tensor *in[] = {v->in[0], v->in[1], v->g, v->out};
    return i == 0 ? sg_record(&grad_op, v->attr, 4, in) : NULL;
}

static const sg_op loss_op = {
    .name = "cross_entropy",
    .args = "logits labels",
    .arity = 2,
    .dtypes = 1 << SG_I32,
    .attr_size = sizeof(loss_attr),
    .attrs = loss_attrs,
    .infer = loss_shapes,
    .run = loss_run,
    .shares = loss_shares,
    .batch = loss_batch,
    .flags = SG_OP_SPLIT,
    .vjp = loss_vjp,
    .lower = loss_lower,
};

sg_tensor *sg_cross_entropy_(sg_cross_entropy_options o)
{
    loss_attr a;
    memset(&a, 0, sizeof a);
    a.smoothing = o.smoothing;
    a.ignore = o.ignore;
    a.ignored = o.ignore ? o.ignored_label : 0;
    if (!(o.smoothing >= 0 && o.smoothing <= 1) && o.logits)
        return sg_fail(sg_context_of(o.logits), SG_BAD_ARGUMENT,
                       "cross_entropy: a smoothing of %g is not in [0, 1]", o.smoothing);
    return sg_record(&loss_op, &a, 2, (sg_tensor *[]){o.logits, o.labels});
}
