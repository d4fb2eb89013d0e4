/* Reading and running graphs of ONNX nodes: tensors, attributes, names. */
#include "tests/onnx_graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tensors --------------------------------------------------------------------------------- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of pairs of digits; NULL if they are not as many as wanted. */
static unsigned char *unhex(const char *hex, size_t size)
{
    unsigned char *bytes = strlen(hex) == 2 * size ? malloc(size + 1) : NULL;
    for (size_t i = 0; bytes && i < size; i++)
        bytes[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    return bytes;
}

static void saturate(void *data, size_t n)
{
    int64_t wide;
    for (size_t i = 0; i < n; i++) {
        memcpy(&wide, (char *)data + i * sizeof wide, sizeof wide);
        int32_t narrow = wide > INT32_MAX   ? INT32_MAX
                         : wide < INT32_MIN ? INT32_MIN
                                            : (int32_t)wide;
        memcpy((char *)data + i * sizeof narrow, &narrow, sizeof narrow);
    }
}

static const struct onnx_type {
    const char *name;
    sg_dtype dtype;
    size_t size;
    int code; /* in TensorProto.DataType */
} types[] = {{"float32", SG_F32, 4, 1}, {"float64", SG_F64, 8, 11}, {"int32", SG_I32, 4, 6},
             {"int64", SG_I32, 8, 7},   {"uint8", SG_U8, 1, 2},     {"bool", SG_U8, 1, 9}};

sg_tensor *read_tensor(sg_context *g, const json_t *t)
{
    const char *hex = json_string_value(json_object_get(t, "hex"));
    const char *name = json_string_value(json_object_get(t, "type"));
    const json_t *dims = json_object_get(t, "shape");
    sg_shape shape = {.rank = (int)json_array_size(dims)};
    const struct onnx_type *type = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (name && strcmp(types[i].name, name) == 0)
            type = &types[i];
    if (!type || !hex || shape.rank > SG_MAX_RANK)
        return NULL;
    size_t n = 1;
    for (int i = 0; i < shape.rank; i++) {
        shape.dim[i] = json_integer_value(json_array_get(dims, (size_t)i));
        n *= (size_t)shape.dim[i];
    }
    unsigned char *bytes = unhex(hex, n * type->size);
    if (!bytes)
        return NULL;
    if (strcmp(name, "int64") == 0)
        saturate(bytes, n);
    sg_tensor *x = sg_input(g, type->dtype, shape, bytes);
    free(bytes);
    return x;
}

/* ---- names ----------------------------------------------------------------------------------- */

void bind_name(graph *s, const char *name, sg_tensor *x)
{
    if (s->count == sizeof s->bound / sizeof *s->bound) {
        sg_fail(s->g, SG_BAD_ARGUMENT, "a graph of too many names");
        return;
    }
    s->bound[s->count].name = name;
    s->bound[s->count++].x = x;
}

sg_tensor *find_name(const graph *s, const char *name)
{
    for (int i = s->count; i-- > 0;)
        if (strcmp(s->bound[i].name, name) == 0)
            return s->bound[i].x;
    return NULL;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static const onnx_op *find_op(const char *name)
{
    static const onnx_op *const families[] = {
        onnx_elementwise, onnx_shape,   onnx_move, onnx_index,  onnx_reduce,
        onnx_linear,      onnx_norm,    onnx_loss, onnx_window, onnx_recurrent,
        onnx_attention,   onnx_control, onnx_optim};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const onnx_op *op = families[i]; op->name; op++)
            if (strcmp(op->name, name) == 0)
                return op;
    return NULL;
}

static sg_tensor *run_op(const onnx_op *op, node *n)
{
    if (op->unary)
        return op->unary(operand(n, 0));
    if (op->binary)
        return op->binary(operand(n, 0), operand(n, 1));
    return op->run(n);
}

static bool run_node(graph *s, const json_t *written)
{
    const json_t *in = json_object_get(written, "in"), *out = json_object_get(written, "out");
    node n = {.graph = s,
              .g = s->g,
              .op = json_string_value(json_object_get(written, "op")),
              .attrs = json_object_get(written, "attrs"),
              .n = (int)json_array_size(in),
              .results = (int)json_array_size(out)};
    const onnx_op *op = find_op(n.op);
    if (!op || n.n > MOST_OPERANDS || n.results > MOST_OPERANDS) {
        sg_fail(s->g, SG_BAD_ARGUMENT, "no function for %s", n.op);
        return false;
    }
    for (int i = 0; i < n.n; i++)
        n.in[i] = find_name(s, json_string_value(json_array_get(in, (size_t)i)));
    sg_push(s->g, "onnx", n.op);
    n.out[0] = run_op(op, &n);
    sg_pop(s->g);
    for (int i = 0; i < n.results && sg_ok(s->g); i++) {
        const char *name = json_string_value(json_array_get(out, (size_t)i));
        if (*name && !n.out[i])
            sg_fail(s->g, SG_BAD_ARGUMENT, "%s: result %d is not made", n.op, i);
        bind_name(s, name, n.out[i]);
    }
    return sg_ok(s->g);
}

bool run_nodes(graph *s, const json_t *nodes)
{
    for (size_t i = 0; i < json_array_size(nodes); i++)
        if (!run_node(s, json_array_get(nodes, i)))
            return false;
    return sg_ok(s->g);
}

/* ---- operands and attributes ----------------------------------------------------------------- */

sg_tensor *nothing(const node *n)
{
    return sg_fail(n->g, SG_OK, "inert");
}

sg_tensor *refuse(const node *n, const char *why)
{
    return sg_fail(n->g, SG_BAD_ARGUMENT, "%s", why);
}

sg_tensor *operand(node *n, int i)
{
    if (has(n, i))
        return n->in[i];
    return sg_fail(n->g, SG_BAD_ARGUMENT, "operand %d is missing, or not a tensor", i);
}

static const json_t *attr(const node *n, const char *name)
{
    return json_object_get(n->attrs, name);
}

bool attr_given(const node *n, const char *name)
{
    return attr(n, name) != NULL;
}

int64_t attr_int(const node *n, const char *name, int64_t otherwise)
{
    const json_t *a = attr(n, name);
    return json_is_integer(a) ? json_integer_value(a) : otherwise;
}

double attr_float(const node *n, const char *name, double otherwise)
{
    const json_t *a = attr(n, name);
    if (json_is_string(a))
        return strtod(json_string_value(a), NULL); /* inf, nan */
    return json_is_number(a) ? json_number_value(a) : otherwise;
}

const char *attr_text(const node *n, const char *name, const char *otherwise)
{
    const json_t *a = attr(n, name);
    return json_is_string(a) ? json_string_value(a) : otherwise;
}

integers attr_ints(node *n, const char *name)
{
    const json_t *a = attr(n, name);
    integers r = {.given = a != NULL};
    if (json_is_integer(a))
        r.v[r.n++] = json_integer_value(a);
    if (json_array_size(a) > MOST_INTEGERS)
        refuse(n, "an attribute of too many integers");
    for (size_t i = 0; i < json_array_size(a) && i < MOST_INTEGERS; i++)
        r.v[r.n++] = json_integer_value(json_array_get(a, i));
    return r;
}

integers read_ints(node *n, sg_tensor *x)
{
    integers r = {.given = true};
    x = sg_cast(x, SG_I32);
    const int32_t *data = sg_data(x);
    if (!data)
        return r;
    if (sg_size(x) > MOST_INTEGERS) {
        refuse(n, "an operand of too many integers");
        return r;
    }
    for (r.n = 0; r.n < sg_size(x); r.n++)
        r.v[r.n] = data[r.n];
    return r;
}

integers operand_ints(node *n, int i, const char *attribute)
{
    return has(n, i) ? read_ints(n, n->in[i]) : attr_ints(n, attribute);
}

integers axes_of(node *n, integers axes, int rank)
{
    for (int i = 0; i < axes.n; i++) {
        axes.v[i] += axes.v[i] < 0 ? rank : 0;
        if (axes.v[i] < 0 || axes.v[i] >= rank) {
            refuse(n, "no such axis");
            axes.v[i] = 0;
        }
    }
    return axes;
}
