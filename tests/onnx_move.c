/* ONNX's ops that move data: joining, cutting, padding, repeating, blocks. */
#include "tests/onnx_graph.h"

#include <string.h>

static sg_tensor *concat(node *n)
{
    sg_tensor *xs[MOST_OPERANDS];
    for (int i = 0; i < n->n; i++)
        xs[i] = operand(n, i);
    return n->n ? sg_concat_((int)attr_int(n, "axis", 0), n->n, xs) : operand(n, 0);
}

/* Parts of equal size, the last one of what is left; or of the given sizes. */
static sg_tensor *split(node *n)
{
    sg_tensor *x = operand(n, 0);
    int axis = (int)attr_int(n, "axis", 0);
    int64_t size = sg_dim(x, axis), from = 0, part = (size + n->results - 1) / n->results;
    integers parts = operand_ints(n, 1, "split");
    if (!parts.given && size % n->results == 0) {
        sg_split(x, axis, n->results, n->out);
        return n->out[0];
    }
    if (parts.given && parts.n != n->results)
        return refuse(n, "parts are not as many as results");
    for (int i = 0; i < n->results; i++) {
        int64_t to = from + (parts.given ? parts.v[i] : part);
        n->out[i] = slice_axis(x, axis, from, to < size ? to : size);
        from = to;
    }
    return n->out[0];
}

static sg_tensor *slice(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers starts = operand_ints(n, 1, "starts"), ends = operand_ints(n, 2, "ends");
    integers axes = operand_ints(n, 3, "axes"), steps = operand_ints(n, 4, "");
    if (ends.n != starts.n || (axes.given && axes.n != starts.n) ||
        (steps.given && steps.n != starts.n))
        return refuse(n, "starts, ends, axes and steps are not as many");
    for (int i = 0; i < starts.n; i++)
        x = sg_slice(x, axes.given ? (int)axes.v[i] : i, starts.v[i], ends.v[i],
                     steps.given ? steps.v[i] : 1);
    return x;
}

/* ---- padding --------------------------------------------------------------------------------- */

/* The element of an axis that stands at place i, outside of it or not. */
static int64_t mirrored(int64_t i, int64_t size)
{
    int64_t period = size > 1 ? 2 * (size - 1) : 1;
    i = (i % period + period) % period;
    return i < size ? i : period - i;
}

static int64_t nearest_edge(int64_t i, int64_t size)
{
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

static int64_t wrapped(int64_t i, int64_t size)
{
    return (i % size + size) % size;
}

static sg_tensor *pad_by(node *n, sg_tensor *x, int axis, int64_t before, int64_t after,
                         int64_t (*place)(int64_t, int64_t))
{
    int32_t from[MOST_INTEGERS];
    int64_t size = sg_dim(x, axis), count = before + size + after;
    if (count > MOST_INTEGERS || size == 0)
        return refuse(n, "an axis that is too long, or empty");
    for (int64_t i = 0; i < count; i++)
        from[i] = (int32_t)place(i - before, size);
    return take_axis(x, sg_input(n->g, SG_I32, SG_SHAPE(count), from), axis);
}

static sg_tensor *pad_axis(sg_tensor *x, int axis, int64_t before, int64_t after, double value)
{
    int64_t cut_before = before < 0 ? -before : 0, cut_after = after < 0 ? -after : 0;
    x = slice_axis(x, axis, cut_before, sg_dim(x, axis) - cut_after);
    return sg_pad(x, axis, before > 0 ? before : 0, after > 0 ? after : 0, value);
}

static sg_tensor *pad(node *n)
{
    sg_tensor *x = operand(n, 0);
    const char *mode = attr_text(n, "mode", "constant");
    integers pads = operand_ints(n, 1, "pads"), axes = operand_ints(n, 3, "");
    double value = has(n, 2) ? sg_item(n->in[2]) : attr_float(n, "value", 0);
    int count = axes.given ? axes.n : sg_rank(x);
    axes = axes_of(n, axes, sg_rank(x));
    if (pads.n != 2 * count)
        return refuse(n, "pads are not two for each axis");
    for (int i = 0; i < count; i++) {
        int axis = axes.given ? (int)axes.v[i] : i;
        int64_t before = pads.v[i], after = pads.v[count + i];
        if (strcmp(mode, "constant") == 0)
            x = pad_axis(x, axis, before, after, value);
        else
            x = pad_by(n, x, axis, before, after,
                       strcmp(mode, "reflect") == 0 ? mirrored
                       : strcmp(mode, "edge") == 0  ? nearest_edge
                                                    : wrapped);
    }
    return x;
}

/* To a size, from the middle: cut or padded, what is odd at the end. */
static sg_tensor *center(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers sizes = operand_ints(n, 1, ""), axes = attr_ints(n, "axes");
    axes = axes_of(n, axes, sg_rank(x));
    if (axes.given && axes.n != sizes.n)
        return refuse(n, "sizes are not one for each axis");
    for (int i = 0; i < sizes.n; i++) {
        int axis = axes.given ? (int)axes.v[i] : i;
        int64_t size = sg_dim(x, axis), wanted = sizes.v[i];
        int64_t cut = size > wanted ? (size - wanted) / 2 : 0;
        int64_t added = size < wanted ? (wanted - size) / 2 : 0;
        if (size > wanted)
            x = slice_axis(x, axis, cut, cut + wanted);
        else
            x = sg_pad(x, axis, added, wanted - size - added, 0);
    }
    return x;
}

/* ---- repeating, blocks ----------------------------------------------------------------------- */

static sg_tensor *tile(node *n)
{
    sg_tensor *x = operand(n, 0), *copies[MOST_OPERANDS];
    integers repeats = operand_ints(n, 1, "");
    for (int axis = 0; axis < repeats.n; axis++) {
        if (repeats.v[axis] < 1 || repeats.v[axis] > MOST_OPERANDS)
            return refuse(n, "repeated too often, or not at all");
        for (int64_t i = 0; i < repeats.v[axis]; i++)
            copies[i] = x;
        x = sg_concat_(axis, (int)repeats.v[axis], copies);
    }
    return x;
}

/* [N, B, B, C, H, W] (DCR) or [N, C, B, B, H, W] (CRD) to [N, C, H, B, W, B] */
static sg_tensor *depth_to_space(node *n)
{
    sg_tensor *x = operand(n, 0);
    int64_t b = attr_int(n, "blocksize", 1), c = sg_dim(x, 1) / (b * b);
    int64_t batch = sg_dim(x, 0), high = sg_dim(x, 2), wide = sg_dim(x, 3);
    bool column = strcmp(attr_text(n, "mode", "DCR"), "CRD") == 0;
    static const int dcr[] = {0, 3, 4, 1, 5, 2}, crd[] = {0, 1, 4, 2, 5, 3};
    x = sg_reshape(x, column ? SG_SHAPE(batch, c, b, b, high, wide)
                             : SG_SHAPE(batch, b, b, c, high, wide));
    return sg_reshape(sg_permute(x, column ? crd : dcr), SG_SHAPE(batch, c, high * b, wide * b));
}

/* [N, C, H, B, W, B] to [N, B, B, C, H, W] */
static sg_tensor *space_to_depth(node *n)
{
    sg_tensor *x = operand(n, 0);
    int64_t b = attr_int(n, "blocksize", 1), batch = sg_dim(x, 0), c = sg_dim(x, 1);
    int64_t high = sg_dim(x, 2) / b, wide = sg_dim(x, 3) / b;
    static const int axes[] = {0, 3, 5, 1, 2, 4};
    x = sg_permute(sg_reshape(x, SG_SHAPE(batch, c, high, b, wide, b)), axes);
    return sg_reshape(x, SG_SHAPE(batch, c * b * b, high, wide));
}

/* The first lengths[b] elements of the time axis, reversed. */
static sg_tensor *reverse_sequence(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers lengths = operand_ints(n, 1, "");
    int batch = (int)attr_int(n, "batch_axis", 1), time = (int)attr_int(n, "time_axis", 0);
    int as_int[MOST_INTEGERS];
    if (batch + time != 1 || lengths.n != sg_dim(x, batch))
        return refuse(n, "batch and time are not the first two axes");
    for (int i = 0; i < lengths.n; i++)
        as_int[i] = (int)lengths.v[i];
    x = sg_reverse_sequence(move_axis(x, batch, 0), as_int);
    return move_axis(x, 0, batch);
}

const onnx_op onnx_move[] = {{"CenterCropPad", .run = center},
                             {"Concat", .run = concat},
                             {"DepthToSpace", .run = depth_to_space},
                             {"Pad", .run = pad},
                             {"ReverseSequence", .run = reverse_sequence},
                             {"Slice", .run = slice},
                             {"SpaceToDepth", .run = space_to_depth},
                             {"Split", .run = split},
                             {"Tile", .run = tile},
                             {0}};
