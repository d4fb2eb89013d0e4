/* From a sequence to one vector, and from one vector to a sequence. */
#include "models/internal.h"

#include <math.h>

/* Lengths as numbers [B,1], those of empty sequences as 1: what a mean divides by. */
static sg_tensor *divisors(sg_tensor *h, const int *lengths)
{
    sg_context *g = sg_context_of(h);
    int64_t batch = sg_dim(h, 0), time = sg_dim(h, 1);
    int32_t *n = sg_room(g, (size_t)batch * sizeof *n);
    if (!n)
        return sg__nothing(g);
    for (int64_t b = 0; b < batch; b++) {
        int64_t length = lengths ? lengths[b] : time;
        n[b] = length ? (int32_t)length : 1;
    }
    return sg_cast(sg_borrow(g, SG_I32, SG_SHAPE(batch, 1), n), sg_type(h));
}

static sg_tensor *mean(sg_tensor *h, const int *lengths)
{
    return sg_div(sg_sum(sg__clean(h, lengths), 1, false), divisors(h, lengths));
}

/* What is behind a length is less than anything; an empty sequence has no largest element. */
static sg_tensor *largest(sg_tensor *h, const int *lengths)
{
    if (!lengths)
        return sg_max(h, 1, false);
    sg_context *g = sg_context_of(h);
    sg_tensor *mask = sg_length_mask(g, (int)sg_dim(h, 0), sg_dim(h, 1), lengths); /* [B,T] */
    sg_tensor *most = sg_max(sg_where(sg_expand_dims(mask, 2), h, sg_like(h, -INFINITY)), 1, false);
    sg_tensor *some = sg_slice(mask, 1, 0, 1, 1); /* [B,1]: whether there is a first element */
    return sg_where(some, most, sg_like(h, 0));
}

sg_tensor *sg_pool(sg_pooling kind, sg_tensor *h, const int *lengths)
{
    static sg_tensor *(*const by_kind[])(sg_tensor *, const int *) = {sg_last, mean, largest};
    sg_context *g = sg_context_of(h);
    if (sg_is_nil(h))
        return h;
    sg_push(g, "pool", "");
    if ((unsigned)kind > SG_POOL_MAX)
        sg_fail(g, SG_BAD_ARGUMENT, "no such pooling (%d)", (int)kind);
    else if (sg_rank(h) != 3)
        sg_fail(g, SG_BAD_SHAPE, "h has %d axes, not [batch, time, hidden]", sg_rank(h));
    sg_tensor *y = sg__nothing(g);
    if (sg_ok(g) && sg__good_lengths(g, sg_dim(h, 0), sg_dim(h, 1), lengths)) {
        lengths = sg__short_ones(lengths, sg_dim(h, 0), sg_dim(h, 1));
        y = sg_dim(h, 1) ? by_kind[kind](h, lengths)
                         : sg_full(g, sg_type(h), SG_SHAPE(sg_dim(h, 0), sg_dim(h, 2)), 0);
    }
    sg_pop(g);
    return y;
}

sg_tensor *sg_from_one(sg_tensor *x, int64_t time, bool first_only)
{
    sg_context *g = sg_context_of(x);
    if (sg_is_nil(x))
        return x;
    if (sg_rank(x) != 2 || time < 1)
        return sg_fail(g, SG_BAD_SHAPE, "from one: x has %d axes, not [batch, in]; %lld steps",
                       sg_rank(x), (long long)time);
    sg_tensor *one = sg_expand_dims(x, 1); /* [B,1,n] */
    return first_only ? sg_pad(one, 1, 0, time - 1, 0)
                      : sg_broadcast_to(one, SG_SHAPE(sg_dim(x, 0), time, sg_dim(x, 1)));
}
