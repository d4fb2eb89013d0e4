/* ONNX's ops that read, write and sort by index. */
#include "tests/onnx_graph.h"

#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

static int axis_of(node *n, int64_t otherwise, int rank)
{
    integers axis = {.n = 1, .v = {attr_int(n, "axis", otherwise)}};
    return (int)axes_of(n, axis, rank).v[0];
}

static sg_tensor *gather(node *n)
{
    sg_tensor *x = operand(n, 0);
    int axis = axis_of(n, 0, sg_rank(x));
    return take_axis(x, wrap_index(operand(n, 1), sg_dim(x, axis)), axis);
}

static sg_tensor *gather_elements(node *n)
{
    sg_tensor *x = operand(n, 0), *i = operand(n, 1);
    int axis = axis_of(n, 0, sg_rank(x));
    for (int k = 0; k < sg_rank(x); k++)
        if (k != axis)
            x = slice_axis(x, k, 0, sg_dim(i, k));
    return sg_take_along_axis(x, wrap_index(i, sg_dim(x, axis)), axis);
}

/* The rows that index tuples, the last axis of i, name in axes [from, ...) of x seen as one. */
static sg_tensor *flat_index(sg_tensor *x, sg_tensor *i, int from)
{
    int tuple = (int)sg_dim(i, -1);
    sg_tensor *flat = sg_full(sg_context_of(x), SG_I32, SG_SCALAR, 0);
    for (int k = 0; k < tuple; k++) {
        int64_t size = sg_dim(x, from + k);
        sg_tensor *step = wrap_index(sg_index(i, -1, k), size);
        flat = sg_add(sg_mul(flat, sg_like(flat, (double)size)), step);
    }
    return flat;
}

/* The shape i's but its last axis, then x's from `rest` on. */
static sg_tensor *shaped_rows(sg_tensor *rows, sg_tensor *i, sg_tensor *x, int rest)
{
    sg_shape s = sg_shape_of(i), of = sg_shape_of(x);
    s.rank--;
    for (int k = rest; k < of.rank && s.rank < SG_MAX_RANK; k++)
        s.dim[s.rank++] = of.dim[k];
    return sg_reshape(rows, s);
}

static sg_tensor *gather_nd(node *n)
{
    sg_tensor *x = operand(n, 0), *i = operand(n, 1);
    int batch = (int)attr_int(n, "batch_dims", 0), rest = batch + (int)sg_dim(i, -1);
    if (batch < 0 || rest > sg_rank(x) || batch >= sg_rank(i))
        return refuse(n, "indices of more axes than there are");
    int64_t batches = count_axes(x, 0, batch), rows = count_axes(x, batch, rest);
    sg_tensor *flat = flat_index(x, i, batch);
    flat = sg_reshape(flat, SG_SHAPE(batches, batches ? sg_size(flat) / batches : 0));
    sg_tensor *first = sg_mul(iota(n->g, batches), sg_scalar(n->g, SG_I32, (double)rows));
    flat = sg_add(flat, sg_expand_dims(first, 1));
    x = sg_reshape(x, SG_SHAPE(batches * rows, count_axes(x, rest, sg_rank(x))));
    return shaped_rows(sg_take(x, flat), i, n->in[0], rest);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What was scattered, added to x or in its place where something was. */
static sg_tensor *scattered(node *n, sg_tensor *x, sg_tensor *y, sg_tensor *hits)
{
    const char *how = attr_text(n, "reduction", "none");
    if (strcmp(how, "add") == 0)
        return sg_add(x, y);
    if (strcmp(how, "none") != 0)
        return refuse(n, "a reduction other than a sum");
    return sg_where(sg_greater(hits, sg_like(hits, 0)), y, x);
}

static sg_tensor *scatter_elements(node *n)
{
    sg_tensor *x = operand(n, 0), *y = operand(n, 2);
    int axis = axis_of(n, 0, sg_rank(x));
    int64_t size = sg_dim(x, axis);
    sg_tensor *i = wrap_index(operand(n, 1), size);
    sg_tensor *ones = sg_full(n->g, SG_I32, sg_shape_of(y), 1);
    return scattered(n, x, sg_scatter_add_along_axis(y, i, axis, size),
                     sg_scatter_add_along_axis(ones, i, axis, size));
}

static sg_tensor *scatter_nd(node *n)
{
    sg_tensor *x = operand(n, 0), *i = operand(n, 1), *y = operand(n, 2);
    int rest = (int)sg_dim(i, -1);
    if (rest > sg_rank(x))
        return refuse(n, "indices of more axes than there are");
    int64_t rows = count_axes(x, 0, rest), columns = count_axes(x, rest, sg_rank(x));
    sg_tensor *flat = flat_index(x, i, 0);
    flat = sg_reshape(flat, SG_SHAPE(sg_size(flat)));
    sg_tensor *ones = sg_full(n->g, SG_I32, SG_SHAPE(sg_size(flat), 1), 1);
    sg_tensor *sum = sg_scatter_add(sg_reshape(y, SG_SHAPE(sg_size(flat), columns)), flat, rows);
    sg_tensor *table = sg_reshape(x, SG_SHAPE(rows, columns));
    table = scattered(n, table, sum, sg_scatter_add(ones, flat, rows));
    return sg_reshape(table, sg_shape_of(x));
}

static sg_tensor *one_hot(node *n)
{
    sg_tensor *i = operand(n, 0), *values = operand(n, 2);
    int axis = (int)attr_int(n, "axis", -1), rank = sg_rank(i);
    int64_t depth = (int64_t)sg_item(operand(n, 1));
    axis += axis < 0 ? rank + 1 : 0;
    sg_tensor *hot = sg_one_hot(wrap_index(i, depth), depth, SG_U8);
    hot = move_axis(hot, rank, axis);
    return sg_where(hot, sg_index(values, 0, 1), sg_index(values, 0, 0));
}

/* ---- order ----------------------------------------------------------------------------------- */

static sg_tensor *top_k(node *n)
{
    sg_tensor *x = operand(n, 0);
    int axis = axis_of(n, -1, sg_rank(x));
    int64_t k = has(n, 1) ? (int64_t)sg_item(n->in[1]) : attr_int(n, "k", 0);
    if (attr_int(n, "largest", 1))
        return sg_topk(x, axis, k, &n->out[1]);
    n->out[1] = slice_axis(sg_argsort(x, axis, false), axis, 0, k);
    return sg_take_along_axis(x, n->out[1], axis);
}

/* Indices of what is not 0, in order: the beginning of a stable order. */
static sg_tensor *where_set(sg_tensor *condition)
{
    sg_tensor *set = sg_not_equal(condition, sg_like(condition, 0));
    sg_tensor *count = sg_sum(sg_cast(set, SG_I32), 0, false);
    return slice_axis(sg_argsort(set, 0, true), 0, 0, (int64_t)sg_item(count));
}

static sg_tensor *compress(node *n)
{
    sg_tensor *x = operand(n, 0), *i = where_set(operand(n, 1));
    if (!attr_given(n, "axis"))
        return sg_take(sg_reshape(x, SG_SHAPE(sg_size(x))), i);
    return take_axis(x, i, axis_of(n, 0, sg_rank(x)));
}

/* [axes, count]: the places of what is not 0 */
static sg_tensor *non_zero(sg_tensor *x)
{
    sg_tensor *at = where_set(sg_reshape(x, SG_SHAPE(sg_size(x)))), *place[SG_MAX_RANK];
    for (int k = sg_rank(x); k-- > 0;) {
        sg_tensor *size = sg_like(at, (double)sg_dim(x, k));
        sg_tensor *quotient = sg_div(sg_cast(at, SG_F64), sg_cast(size, SG_F64));
        sg_tensor *next = sg_cast(quotient, SG_I32);
        place[k] = sg_sub(at, sg_mul(next, size));
        at = next;
    }
    return sg_rank(x) ? sg_stack_(0, sg_rank(x), place) : at;
}

const onnx_op onnx_index[] = {{"Compress", .run = compress},
                              {"Gather", .run = gather},
                              {"GatherElements", .run = gather_elements},
                              {"GatherND", .run = gather_nd},
                              {"NonZero", .unary = non_zero},
                              {"OneHot", .run = one_hot},
                              {"Scatter", .run = scatter_elements},
                              {"ScatterElements", .run = scatter_elements},
                              {"ScatterND", .run = scatter_nd},
                              {"TopK", .run = top_k},
                              {0}};
