/*
 * ONNX's convolutions and pools: windows of each axis by sg_unfold, their adjoint by sg_fold.
 * Places are the axes of x [batch, channels, places…]; their windows stand behind everything else.
 */
#include "tests/onnx_graph.h"

#include <math.h>
#include <string.h>

enum { MOST_PLACES = 3 };

/* Of one axis of places: elements of a window and the distance between them, the distance between
 * windows, what is added around; `more` behind that, for a last window that reaches out. */
typedef struct window {
    int64_t size, dilation, stride, before, after, more;
} window;

typedef struct windows {
    int n;
    window at[MOST_PLACES];
} windows;

static int64_t extent(const window *w)
{
    return (w->size - 1) * w->dilation + 1;
}

/* SAME_UPPER and SAME_LOWER: as many windows as strides fit in. */
static void pad_same(window *w, int64_t places, bool upper)
{
    int64_t count = (places + w->stride - 1) / w->stride;
    int64_t total = (count - 1) * w->stride + extent(w) - places;
    total = total > 0 ? total : 0;
    w->before = upper ? total / 2 : total - total / 2;
    w->after = total - w->before;
}

/* A last window that begins before the padding at the end does, but reaches behind it. */
static void round_up(window *w, int64_t places)
{
    int64_t room = places + w->before + w->after;
    int64_t last = (room - extent(w) + w->stride - 1) / w->stride * w->stride;
    if (last < places + w->before && last + extent(w) > room)
        w->more = last + extent(w) - room;
}

/* From the attributes, for windows of these sizes. */
static windows read_windows(node *n, sg_tensor *x, integers sizes)
{
    integers pads = attr_ints(n, "pads"), strides = attr_ints(n, "strides");
    integers dilations = attr_ints(n, "dilations");
    const char *same = attr_text(n, "auto_pad", "NOTSET");
    windows all = {.n = sizes.n};
    if (sizes.n < 1 || sizes.n > MOST_PLACES || sg_rank(x) != sizes.n + 2)
        all.n = 0;
    for (int i = 0; i < all.n; i++) {
        window *w = &all.at[i];
        int64_t places = sg_dim(x, i + 2);
        w->size = sizes.v[i];
        w->stride = strides.given ? strides.v[i] : 1;
        w->dilation = dilations.given ? dilations.v[i] : 1;
        w->before = pads.given ? pads.v[i] : 0;
        w->after = pads.given ? pads.v[all.n + i] : 0;
        if (w->size < 1 || w->stride < 1 || w->dilation < 1)
            refuse(n, "an empty window");
        else if (strncmp(same, "SAME_", 5) == 0)
            pad_same(w, places, strcmp(same, "SAME_UPPER") == 0);
        else if (attr_int(n, "ceil_mode", 0))
            round_up(w, places);
    }
    if (all.n == 0)
        refuse(n, "no windows, or not of x's axes");
    return all;
}

/* [batch, channels, windows…, elements…]; around x is one value, behind that another. */
static sg_tensor *unfold(sg_tensor *x, const windows *all, double around, double behind)
{
    for (int i = 0; i < all->n; i++) {
        const window *w = &all->at[i];
        x = sg_pad(x, i + 2, w->before, w->after, around);
        x = sg_pad(x, i + 2, 0, w->more, behind);
        x = sg_unfold(x, i + 2, extent(w), w->stride);
        x = sg_slice(x, -1, 0, SG_END, w->dilation);
    }
    return x;
}

/* The last axes, a window's elements, as one. */
static sg_tensor *join_elements(sg_tensor *x, int axes)
{
    sg_shape s = sg_shape_of(x);
    int first = s.rank > axes ? s.rank - axes : 0;
    int64_t size = count_axes(x, first, s.rank);
    s.rank = first;
    s.dim[s.rank++] = size;
    return sg_reshape(x, s);
}

/* ---- pools ----------------------------------------------------------------------------------- */

/* Where in x, seen as one axis, the largest elements are; in columns for storage_order 1. */
static sg_tensor *places(node *n, sg_tensor *x, const windows *all, sg_tensor *best)
{
    sg_shape s = sg_shape_of(x);
    bool columns = attr_int(n, "storage_order", 0) != 0 && s.rank == 4;
    if (columns) {
        s.dim[2] = sg_dim(x, 3);
        s.dim[3] = sg_dim(x, 2);
    }
    sg_tensor *number = sg_reshape(iota(n->g, sg_size(x)), s);
    number = columns ? sg_transpose(number, 2, 3) : number;
    number = join_elements(unfold(number, all, 0, 0), all->n);
    return sg_squeeze(sg_take_along_axis(number, sg_expand_dims(best, -1), -1), -1);
}

static sg_tensor *max_pool(node *n)
{
    sg_tensor *given = operand(n, 0);
    sg_tensor *x = is_float(given) ? given : sg_cast(given, SG_I32);
    windows all = read_windows(n, x, attr_ints(n, "kernel_shape"));
    double least = is_float(x) ? -HUGE_VAL : INT32_MIN;
    sg_tensor *elements = join_elements(unfold(x, &all, least, least), all.n);
    if (n->results > 1)
        n->out[1] = places(n, x, &all, sg_argmax(elements, -1, false));
    return sg_cast(sg_max(elements, -1, false), sg_type(given));
}

/* Sums over numbers of elements: all that are not behind the padding, or those of x. */
static sg_tensor *average_pool(node *n)
{
    sg_tensor *x = operand(n, 0);
    windows all = read_windows(n, x, attr_ints(n, "kernel_shape"));
    double padding = attr_int(n, "count_include_pad", 0) ? 1 : 0;
    sg_tensor *sum = sg_sum(join_elements(unfold(x, &all, 0, 0), all.n), -1, false);
    sg_tensor *ones = unfold(full_like(x, 1), &all, padding, 0);
    return sg_div(sum, sg_sum(join_elements(ones, all.n), -1, false));
}

/* (sum |x|^p)^(1/p) */
static sg_tensor *lp_pool(node *n)
{
    sg_tensor *x = operand(n, 0);
    double p = (double)attr_int(n, "p", 2);
    windows all = read_windows(n, x, attr_ints(n, "kernel_shape"));
    sg_tensor *powers = sg_pow(sg_abs(x), sg_like(x, p));
    sg_tensor *sum = sg_sum(join_elements(unfold(powers, &all, 0, 0), all.n), -1, false);
    return sg_pow(sum, sg_like(x, 1 / p));
}

static sg_tensor *global_pool(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers axes = {0};
    for (int k = 2; k < sg_rank(x); k++)
        axes.v[axes.n++] = k;
    return reduce_axes(strcmp(n->op, "GlobalMaxPool") == 0 ? sg_max : sg_mean, x, &axes, true);
}

/* x / (bias + alpha / size * (sum of squares of the channels around))^beta */
static sg_tensor *local_response(node *n)
{
    sg_tensor *x = operand(n, 0);
    int64_t size = attr_int(n, "size", 1);
    sg_tensor *padded = sg_pad(sg_square(x), 1, (size - 1) / 2, size - 1 - (size - 1) / 2, 0);
    sg_tensor *sum = sg_sum(sg_unfold(padded, 1, size, 1), -1, false);
    sg_tensor *scale = sg_like(x, attr_float(n, "alpha", 1e-4) / (double)size);
    sg_tensor *base = sg_add(sg_like(x, attr_float(n, "bias", 1)), sg_mul(scale, sum));
    return sg_div(x, sg_pow(base, sg_like(x, attr_float(n, "beta", 0.75))));
}

/* ---- convolutions ---------------------------------------------------------------------------- */

static integers kernel_sizes(sg_tensor *w)
{
    integers sizes = {0};
    for (int k = 2; k < sg_rank(w); k++)
        sizes.v[sizes.n++] = sg_dim(w, k);
    return sizes;
}

static sg_tensor *add_bias(node *n, sg_tensor *y)
{
    return has(n, 2) ? sg_add(y, per_channel(n->in[2], sg_rank(y))) : y;
}

/* One product of all windows [batch, windows…, channels * elements] and the kernels. */
static sg_tensor *conv(node *n)
{
    sg_tensor *x = operand(n, 0), *w = operand(n, 1);
    windows all = read_windows(n, x, kernel_sizes(w));
    if (attr_int(n, "group", 1) != 1)
        return refuse(n, "groups of channels");
    sg_tensor *elements = move_axis(unfold(x, &all, 0, 0), 1, 1 + all.n);
    elements = join_elements(elements, all.n + 1);
    w = sg_reshape(w, SG_SHAPE(sg_dim(w, 0), count_axes(w, 1, sg_rank(w))));
    sg_tensor *y = sg_matmul(elements, sg_transpose(w, 0, 1)); /* [batch, windows…, channels] */
    return add_bias(n, move_axis(y, sg_rank(y) - 1, 1));
}

/* Elements of windows, the last axis, `dilation` apart: each followed by zeros, but the last. */
static sg_tensor *spread(sg_tensor *x, const window *w)
{
    if (w->dilation == 1)
        return x;
    x = sg_pad(sg_expand_dims(x, sg_rank(x)), -1, 0, w->dilation - 1, 0);
    return slice_axis(join_elements(x, 2), -1, 0, extent(w));
}

/* Windows [batch, channels, windows…, elements…] added where they are in an image of those sizes,
 * which begins behind the padding. */
static sg_tensor *fold(sg_tensor *x, const windows *all, const int64_t *sizes)
{
    for (int i = all->n; i-- > 0;) {
        const window *w = &all->at[i];
        int64_t full = (sg_dim(x, i + 2) - 1) * w->stride + extent(w);
        int64_t missing = w->before + sizes[i] - full;
        x = sg_fold(spread(x, w), i + 2, full, w->stride);
        x = sg_pad(x, i + 2, 0, missing > 0 ? missing : 0, 0);
        x = slice_axis(x, i + 2, w->before, w->before + sizes[i]);
    }
    return x;
}

/* Of one group: x [batch, channels, places…], w [channels, results, elements…]. */
static sg_tensor *spread_kernels(sg_tensor *x, sg_tensor *w, const windows *all,
                                 const int64_t *sizes)
{
    int last = sg_rank(x) - 1;
    sg_shape s = sg_shape_of(x);
    sg_tensor *flat = sg_reshape(w, SG_SHAPE(sg_dim(w, 0), count_axes(w, 1, sg_rank(w))));
    sg_tensor *y = sg_matmul(move_axis(x, 1, last), flat); /* [batch, places…, results*elements] */
    for (int k = 1; k < last; k++)
        s.dim[k] = s.dim[k + 1];
    s.rank = last;
    for (int k = 1; k < sg_rank(w) && s.rank < SG_MAX_RANK; k++)
        s.dim[s.rank++] = sg_dim(w, k);
    return fold(move_axis(sg_reshape(y, s), last, 1), all, sizes);
}

/* The sizes of the result, and with them where it begins: by output_shape, by auto_pad, or by what
 * is cut off. */
static void transposed_sizes(node *n, sg_tensor *x, windows *all, int64_t *sizes)
{
    integers shape = attr_ints(n, "output_shape"), extra = attr_ints(n, "output_padding");
    const char *same = attr_text(n, "auto_pad", "NOTSET");
    for (int i = 0; i < all->n; i++) {
        window *w = &all->at[i];
        int64_t more = extra.given ? extra.v[i] : 0;
        int64_t full = (sg_dim(x, i + 2) - 1) * w->stride + extent(w) + more;
        bool by_name = strncmp(same, "SAME_", 5) == 0;
        sizes[i] = full - w->before - w->after;
        if (shape.given || by_name) {
            sizes[i] = shape.given ? shape.v[i] : sg_dim(x, i + 2) * w->stride;
            int64_t total = full > sizes[i] ? full - sizes[i] : 0;
            w->before = strcmp(same, "SAME_UPPER") == 0 ? total / 2 : total - total / 2;
        }
    }
}

static sg_tensor *conv_transpose(node *n)
{
    sg_tensor *x = operand(n, 0), *w = operand(n, 1), *parts[MOST_OPERANDS];
    int64_t groups = attr_int(n, "group", 1), sizes[MOST_PLACES];
    if (groups < 1 || groups > MOST_OPERANDS)
        return refuse(n, "no groups, or too many");
    int64_t each = sg_dim(x, 1) / groups;
    windows all = read_windows(n, x, kernel_sizes(w));
    if (!sg_ok(n->g))
        return nothing(n);
    transposed_sizes(n, x, &all, sizes);
    for (int64_t i = 0; i < groups; i++)
        parts[i] = spread_kernels(slice_axis(x, 1, i * each, (i + 1) * each),
                                  slice_axis(w, 0, i * each, (i + 1) * each), &all, sizes);
    return add_bias(n, sg_concat_(1, (int)groups, parts));
}

/* x [batch, channels * elements, windows] */
static sg_tensor *columns_to_image(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers image = operand_ints(n, 1, ""), block = operand_ints(n, 2, "");
    sg_shape s = {.rank = 2, .dim = {sg_dim(x, 0), sg_dim(x, 1)}};
    sg_shape like = {.rank = 2 + block.n, .dim = {1, 1}};
    if (block.n < 1 || block.n > MOST_PLACES || image.n != block.n)
        return refuse(n, "an image of too many axes");
    for (int i = 0; i < block.n; i++)
        like.dim[2 + i] = image.v[i];
    windows all = read_windows(n, sg_full(n->g, SG_F32, like, 0), block);
    if (!sg_ok(n->g))
        return nothing(n);
    for (int i = 0; i < all.n; i++) {
        const window *w = &all.at[i];
        s.dim[1] /= w->size;
        s.dim[2 + i] = w->size;
        s.dim[2 + all.n + i] = (image.v[i] + w->before + w->after - extent(w)) / w->stride + 1;
    }
    s.rank += 2 * all.n;
    x = sg_reshape(x, s); /* [batch, channels, elements…, windows…] */
    for (int i = 0; i < all.n; i++)
        x = move_axis(x, 2, s.rank - 1);
    return fold(x, &all, image.v);
}

const onnx_op onnx_window[] = {{"AveragePool", .run = average_pool},
                               {"Col2Im", .run = columns_to_image},
                               {"Conv", .run = conv},
                               {"ConvTranspose", .run = conv_transpose},
                               {"GlobalAveragePool", .run = global_pool},
                               {"GlobalMaxPool", .run = global_pool},
                               {"LRN", .run = local_response},
                               {"LpPool", .run = lp_pool},
                               {"MaxPool", .run = max_pool},
                               {0}};
