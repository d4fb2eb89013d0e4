/* Compositions that several families of ONNX's ops need. */
#include "tests/onnx_graph.h"

sg_tensor *by_number(sg_tensor *(*f)(sg_tensor *, sg_tensor *), sg_tensor *x, sg_tensor *y)
{
    if (sg_type(x) != SG_U8)
        return f(x, y);
    return sg_cast(f(sg_cast(x, SG_I32), sg_cast(y, SG_I32)), SG_U8);
}

/* Adding 1.5 * 2^23 leaves no bit behind the point, and subtracting it is exact. */
sg_tensor *nearest(sg_tensor *x)
{
    sg_tensor *c = sg_like(x, sg_type(x) == SG_F64 ? 0x1.8p52 : 0x1.8p23);
    return sg_sub(sg_add(x, c), c);
}

sg_tensor *floor_of(sg_tensor *x)
{
    sg_tensor *r = nearest(x);
    return sg_sub(r, sg_cast(sg_greater(r, x), sg_type(x)));
}

sg_tensor *iota(sg_context *g, int64_t n)
{
    sg_tensor *ones = sg_full(g, SG_I32, SG_SHAPE(n), 1);
    return sg_sub(sg_cumsum(ones, 0), ones);
}

sg_tensor *move_axis(sg_tensor *x, int from, int to)
{
    int axes[SG_MAX_RANK];
    for (int k = 0, next = 0; k < sg_rank(x); k++) {
        next += k != to && next == from;
        axes[k] = k == to ? from : next++;
    }
    return sg_permute(x, axes);
}

sg_tensor *take_axis(sg_tensor *x, sg_tensor *i, int axis)
{
    int rank = sg_rank(x), k = sg_rank(i), axes[SG_MAX_RANK];
    sg_tensor *y = sg_take(move_axis(x, axis, 0), i); /* [i.., others..] */
    if (sg_is_nil(y))
        return y;
    for (int d = 0; d < rank - 1 + k; d++)
        axes[d] = d < axis ? k + d : d < axis + k ? d - axis : d;
    return sg_permute(y, axes);
}

sg_tensor *slice_axis(sg_tensor *x, int axis, int64_t from, int64_t to)
{
    return sg_slice(x, axis, from, to, 1);
}

sg_tensor *wrap_index(sg_tensor *i, int64_t size)
{
    i = sg_cast(i, SG_I32);
    sg_tensor *zero = sg_like(i, 0);
    return sg_where(sg_less(i, zero), sg_add(i, sg_like(i, (double)size)), i);
}

sg_tensor *full_like(sg_tensor *x, double value)
{
    return sg_full(sg_context_of(x), sg_type(x), sg_shape_of(x), value);
}

sg_tensor *per_channel(sg_tensor *x, int rank)
{
    sg_shape s = {.rank = rank};
    for (int k = 0; k < rank; k++)
        s.dim[k] = k == 1 ? sg_size(x) : 1;
    return sg_reshape(x, s);
}

int64_t count_axes(sg_tensor *x, int from, int to)
{
    int64_t n = 1;
    for (int k = from; k < to; k++)
        n *= sg_dim(x, k);
    return n;
}

/* One axis after the other; they are dropped at the end, when no axis changes its number. */
sg_tensor *reduce_axes(reduction *f, sg_tensor *x, const integers *axes, bool keep)
{
    sg_shape s = {0};
    sg_tensor *y = x;
    for (int i = 0; i < axes->n; i++)
        y = f(y, (int)axes->v[i], true);
    for (int k = 0; k < sg_rank(x); k++) {
        bool reduced = false;
        for (int i = 0; i < axes->n; i++)
            reduced = reduced || axes->v[i] == k;
        if (!reduced || keep)
            s.dim[s.rank++] = sg_dim(y, k);
    }
    return sg_reshape(y, s);
}

sg_tensor *along_last(sg_tensor *(*f)(sg_tensor *), sg_tensor *x, int axis)
{
    int last = sg_rank(x) - 1;
    return move_axis(f(move_axis(x, axis, last)), last, axis);
}
