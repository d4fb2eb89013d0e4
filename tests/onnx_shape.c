/* ONNX's ops about shapes: reading, changing and filling them. */
#include "tests/onnx_graph.h"

#include <math.h>
#include <string.h>

static int64_t clamped(int64_t i, int64_t least, int64_t most)
{
    return i < least ? least : i > most ? most : i;
}

static sg_tensor *ints_tensor(node *n, int count, const int64_t *v)
{
    int32_t data[MOST_INTEGERS] = {0};
    for (int i = 0; i < count; i++)
        data[i] = (int32_t)clamped(v[i], INT32_MIN, INT32_MAX);
    return sg_input(n->g, SG_I32, SG_SHAPE(count), data);
}

static sg_shape shape_from(node *n, integers v)
{
    sg_shape s = {.rank = v.n};
    if (v.n > SG_MAX_RANK) {
        refuse(n, "more axes than we have");
        s.rank = 0;
    }
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = v.v[i];
    return s;
}

/* ---- reading --------------------------------------------------------------------------------- */

static sg_tensor *shape(node *n)
{
    sg_tensor *x = operand(n, 0);
    int64_t rank = sg_rank(x), dim[SG_MAX_RANK] = {0};
    int64_t start = attr_int(n, "start", 0), end = attr_int(n, "end", rank);
    start = clamped(start < 0 ? start + rank : start, 0, rank);
    end = clamped(end < 0 ? end + rank : end, start, rank);
    for (int64_t i = start; i < end; i++)
        dim[i - start] = sg_dim(x, (int)i);
    return ints_tensor(n, (int)(end - start), dim);
}

static sg_tensor *size(sg_tensor *x)
{
    return sg_scalar(sg_context_of(x), SG_I32, (double)sg_size(x));
}

/* ---- filling --------------------------------------------------------------------------------- */

static sg_tensor *constant(node *n)
{
    const json_t *floats = json_object_get(n->attrs, "value_floats");
    const json_t *value = json_object_get(n->attrs, "value");
    if (attr_given(n, "value_ints")) {
        integers v = attr_ints(n, "value_ints");
        return ints_tensor(n, v.n, v.v);
    }
    if (attr_given(n, "value_int"))
        return sg_scalar(n->g, SG_I32, (double)attr_int(n, "value_int", 0));
    if (attr_given(n, "value_float"))
        return sg_scalar(n->g, SG_F32, attr_float(n, "value_float", 0));
    float data[MOST_INTEGERS];
    size_t count = json_array_size(floats);
    for (size_t i = 0; i < count && i < MOST_INTEGERS; i++)
        data[i] = (float)json_number_value(json_array_get(floats, i));
    if (floats && count <= MOST_INTEGERS)
        return sg_input(n->g, SG_F32, SG_SHAPE((int64_t)count), data);
    sg_tensor *x = read_tensor(n->g, value);
    return x ? x : refuse(n, "a constant of a type that we do not have");
}

static sg_tensor *constant_of_shape(node *n)
{
    sg_shape s = shape_from(n, operand_ints(n, 0, ""));
    sg_tensor *value = read_tensor(n->g, json_object_get(n->attrs, "value"));
    if (!value)
        value = sg_scalar(n->g, SG_F32, 0);
    return sg_broadcast_to(sg_reshape(value, SG_SCALAR), s);
}

/* start + delta * [0 … n-1] */
static sg_tensor *range(node *n)
{
    sg_tensor *start = operand(n, 0), *limit = operand(n, 1), *delta = operand(n, 2);
    sg_eval(start, limit, delta);
    double count = ceil((sg_item(limit) - sg_item(start)) / sg_item(delta));
    sg_tensor *i = sg_cast(iota(n->g, count > 0 ? (int64_t)count : 0), sg_type(start));
    return sg_add(start, sg_mul(delta, i));
}

/* u8 [rows, columns]: the sign of column - row - k, by one of the comparisons */
static sg_tensor *diagonal(node *n, sg_tensor *x, int64_t k,
                           sg_tensor *(*compare)(sg_tensor *, sg_tensor *))
{
    int rank = sg_rank(x);
    if (rank < 2)
        return refuse(n, "no matrix");
    sg_tensor *row = sg_expand_dims(iota(n->g, sg_dim(x, rank - 2)), 1);
    sg_tensor *column = iota(n->g, sg_dim(x, rank - 1));
    return compare(sg_sub(column, row), sg_scalar(n->g, SG_I32, (double)k));
}

static sg_tensor *eye_like(node *n)
{
    static const struct {
        int64_t code;
        sg_dtype dtype;
    } types[] = {{1, SG_F32}, {6, SG_I32}, {7, SG_I32}, {11, SG_F64}};
    sg_tensor *x = operand(n, 0);
    sg_dtype dtype = sg_type(x);
    int64_t code = attr_int(n, "dtype", 0);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        dtype = types[i].code == code ? types[i].dtype : dtype;
    return sg_cast(diagonal(n, x, attr_int(n, "k", 0), sg_equal), dtype);
}

static sg_tensor *trilu(node *n)
{
    sg_tensor *x = operand(n, 0), *zero = sg_like(x, 0);
    bool upper = attr_int(n, "upper", 1) != 0;
    int64_t k = has(n, 1) ? (int64_t)sg_item(n->in[1]) : 0;
    return sg_where(diagonal(n, x, k, upper ? sg_greater_equal : sg_less_equal), x, zero);
}

/* ---- changing -------------------------------------------------------------------------------- */

static sg_tensor *reshape(node *n)
{
    sg_tensor *x = operand(n, 0);
    sg_shape s = shape_from(n, operand_ints(n, 1, "shape"));
    for (int i = 0; i < s.rank; i++)
        if (s.dim[i] == 0 && !attr_int(n, "allowzero", 0))
            s.dim[i] = sg_dim(x, i);
    return sg_reshape(x, s);
}

static sg_tensor *flatten(node *n)
{
    sg_tensor *x = operand(n, 0);
    int64_t axis = attr_int(n, "axis", 1);
    axis += axis < 0 ? sg_rank(x) : 0;
    return sg_reshape(x,
                      SG_SHAPE(count_axes(x, 0, (int)axis), count_axes(x, (int)axis, sg_rank(x))));
}

static bool holds(const integers *axes, int axis)
{
    for (int i = 0; i < axes->n; i++)
        if (axes->v[i] == axis)
            return true;
    return false;
}

static sg_tensor *squeeze(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers axes = axes_of(n, operand_ints(n, 1, "axes"), sg_rank(x));
    for (int k = sg_rank(x); k-- > 0;)
        if (axes.given ? holds(&axes, k) : sg_dim(x, k) == 1)
            x = sg_squeeze(x, k);
    return x;
}

static sg_tensor *unsqueeze(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers axes = operand_ints(n, 1, "axes");
    int rank = sg_rank(x) + axes.n;
    axes = axes_of(n, axes, rank);
    for (int k = 0; k < rank; k++)
        if (holds(&axes, k))
            x = sg_expand_dims(x, k);
    return x;
}

static sg_tensor *transpose(node *n)
{
    sg_tensor *x = operand(n, 0);
    integers perm = attr_ints(n, "perm");
    int axes[SG_MAX_RANK], rank = sg_rank(x);
    if (perm.given && perm.n != rank)
        return refuse(n, "perm is not of x's axes");
    for (int k = 0; k < rank; k++)
        axes[k] = perm.given ? (int)perm.v[k] : rank - 1 - k;
    return sg_permute(x, axes);
}

/* Broadcast in both directions: a 1 in the shape leaves x's size. */
static sg_tensor *expand(node *n)
{
    sg_tensor *x = operand(n, 0);
    sg_shape wanted = shape_from(n, operand_ints(n, 1, "")), own = sg_shape_of(x);
    sg_shape s = {.rank = wanted.rank > own.rank ? wanted.rank : own.rank};
    for (int k = 1; k <= s.rank; k++) {
        int64_t to = k <= wanted.rank ? wanted.dim[wanted.rank - k] : 1;
        s.dim[s.rank - k] = to == 1 && k <= own.rank ? own.dim[own.rank - k] : to;
    }
    return sg_broadcast_to(x, s);
}

const onnx_op onnx_shape[] = {
    {"Constant", .run = constant},   {"ConstantOfShape", .run = constant_of_shape},
    {"Expand", .run = expand},       {"EyeLike", .run = eye_like},
    {"Flatten", .run = flatten},     {"Range", .run = range},
    {"Reshape", .run = reshape},     {"Shape", .run = shape},
    {"Size", .unary = size},         {"Squeeze", .run = squeeze},
    {"Transpose", .run = transpose}, {"Trilu", .run = trilu},
    {"Unsqueeze", .run = unsqueeze}, {0}};
