/* Ops on rows of different lengths: [batch, time, ...] with a number of valid steps for each row.
 * Lengths are values of leaves, not attributes, so that one plan serves all lengths. */
#include "ops/ops_internal.h"

_Static_assert(sizeof(int) == sizeof(int32_t), "lengths are read as i32");

/* Whether all lengths are in 0..time; otherwise raises the error. */
static bool good(sg_context *g, const char *op, int64_t batch, int64_t time, const int *lengths)
{
    if (!lengths)
        sg_fail(g, SG_BAD_ARGUMENT, "%s: no lengths are given", op);
    for (int64_t b = 0; lengths && b < batch; b++)
        if (lengths[b] < 0 || lengths[b] > time) {
            sg_fail(g, SG_BAD_SHAPE, "%s: length %d of row %lld is not in 0..%lld", op, lengths[b],
                    (long long)b, (long long)time);
            return false;
        }
    return lengths != NULL;
}

/* ---- reverse_sequence ----------------------------------------------------------------------- */

static bool reverse_infer(sg_infer *i)
{
    i->shape = sg_shape_of(i->in[0]); /* the lengths were made for it */
    i->dtype = sg_type(i->in[0]);
    return true;
}

static bool reverse_run(const sg_call *c)
{
    sg__around s = sg__split_at(&c->out, 1);
    size_t step = (size_t)s.inner * sg__width(c->out.dtype);
    const int32_t *lengths = c->in[1].data;
    const char *from = c->in[0].data;
    char *to = c->out.data;
    for (int64_t b = 0; b < s.outer && step; b++) {
        int64_t n = lengths[b];
        if (n < 0 || n > s.size)
            return sg_stop(c, "length %lld of row %lld is not in 0..%lld", (long long)n,
                           (long long)b, (long long)s.size);
        for (int64_t t = 0; t < s.size; t++)
            memcpy(to + (size_t)t * step, from + (size_t)(t < n ? n - 1 - t : t) * step, step);
        from += (size_t)s.size * step;
        to += (size_t)s.size * step;
    }
    return true;
}

static const sg_op reverse_op;

/* g reversed */
static sg_tensor *reverse_vjp(const sg_vjp_call *v, int i)
{
    return i == 0 ? sg_record(&reverse_op, NULL, 2, (sg_tensor *[]){v->g, v->in[1]}) : NULL;
}

static const sg_op reverse_op = {
    .name = "reverse_sequence",
    .args = "x lengths",
    .arity = 2,
    .dtypes = 1 << SG_I32,
    .infer = reverse_infer,
    .run = reverse_run,
    .vjp = reverse_vjp,
};

sg_tensor *sg_reverse_sequence(sg_tensor *x, const int *lengths)
{
    sg_context *g = sg_context_of(x);
    if (sg_is_nil(x))
        return x;
    if (sg_rank(x) < 2)
        return sg_fail(g, SG_BAD_SHAPE, "reverse_sequence: x is not [batch, time, ...]");
    int64_t batch = sg_dim(x, 0);
    if (!good(g, "reverse_sequence", batch, sg_dim(x, 1), lengths))
        return sg__inert(x);
    sg_tensor *n = sg_input(g, SG_I32, SG_SHAPE(batch), lengths);
    return sg_record(&reverse_op, NULL, 2, (sg_tensor *[]){x, n});
}

/* ---- length_mask ---------------------------------------------------------------------------- */

sg_tensor *sg_length_mask(sg_context *g, int batch, int64_t time, const int *lengths)
{
    if (batch < 0 || time < 0 || time > INT32_MAX)
        return sg_fail(g, SG_BAD_SHAPE, "length_mask: no mask of [%d,%lld]", batch,
                       (long long)time);
    if (!good(g, "length_mask", batch, time, lengths))
        return sg_fail(g, SG_OK, "inert");
    size_t row = (size_t)time;
    uint8_t *mask = sg_room(g, (size_t)batch * row);
    if (!mask)
        return sg_fail(g, SG_OK, "inert");
    for (size_t b = 0; b < (size_t)batch; b++) {
        memset(mask + b * row, 1, (size_t)lengths[b]);
        memset(mask + b * row + lengths[b], 0, row - (size_t)lengths[b]);
    }
    return sg_borrow(g, SG_U8, SG_SHAPE(batch, time), mask);
}
