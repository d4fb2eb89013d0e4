/*
 * What the sources of the program `onnx` share: graphs of ONNX's node tests, recorded with
 * seqgrad's ops.
 *
 * A node's function gets its operands as tensors and records ops; it refuses what it does not do by
 * sg_fail, and goes on with what that returned. Types: int64 is i32, saturated; bool is u8, 0 or 1.
 * Where ONNX's operand is a number that an op of ours wants at the call (an axis, a shape), it is
 * evaluated and read back: the graph is dynamic.
 */
#ifndef ONNX_GRAPH_H
#define ONNX_GRAPH_H

#include "models/models.h"

#include <jansson.h>

enum { MOST_OPERANDS = 64, MOST_INTEGERS = 64 };

typedef struct graph graph;

typedef struct node {
    graph *graph; /* that it is part of, for subgraphs */
    sg_context *g;
    const char *op;
    json_t *attrs;
    int n, results;               /* operands and results that are written, named or not */
    sg_tensor *in[MOST_OPERANDS]; /* NULL where left out, or no tensor */
    sg_tensor *out[MOST_OPERANDS];
} node;

/* Gives the first result; others go to n->out[1], …. */
typedef sg_tensor *node_function(node *n);

/* How an ONNX op runs, one of: as one of our ops, of one or two operands; as a function. */
typedef struct onnx_op {
    const char *name;
    node_function *run;
    sg_tensor *(*unary)(sg_tensor *x);
    sg_tensor *(*binary)(sg_tensor *x, sg_tensor *y);
} onnx_op;

/* Families of ops, each ended by a row without a name. */
extern const onnx_op onnx_elementwise[], onnx_shape[], onnx_move[], onnx_index[], onnx_reduce[],
    onnx_linear[], onnx_norm[], onnx_loss[], onnx_window[], onnx_recurrent[], onnx_attention[],
    onnx_control[], onnx_optim[];

/* ---- running graphs -------------------------------------------------------------------------- */

/* Names and their tensors; those of a subgraph stand behind those of what it is in. */
struct graph {
    sg_context *g;
    int count;
    struct {
        const char *name;
        sg_tensor *x;
    } bound[1024];
};
void bind_name(graph *s, const char *name, sg_tensor *x);
sg_tensor *find_name(const graph *s, const char *name); /* NULL if it is no tensor */
bool run_nodes(graph *s, const json_t *nodes);

/* A tensor of the test file, {"type", "shape", "hex"}; NULL if it is of a type we do not have. */
sg_tensor *read_tensor(sg_context *g, const json_t *t);

/* ---- operands and attributes ----------------------------------------------------------------- */

/* An operand that must be there; the inert tensor, with an error, if it is not. */
sg_tensor *operand(node *n, int i);
static inline bool has(const node *n, int i)
{
    return i < n->n && n->in[i];
}
sg_tensor *nothing(const node *n); /* the inert tensor */
sg_tensor *refuse(const node *n, const char *why);

bool attr_given(const node *n, const char *name);
int64_t attr_int(const node *n, const char *name, int64_t otherwise);
double attr_float(const node *n, const char *name, double otherwise);
const char *attr_text(const node *n, const char *name, const char *otherwise);

typedef struct integers {
    bool given;
    int n;
    int64_t v[MOST_INTEGERS];
} integers;
integers attr_ints(node *n, const char *name);
/* The values of a tensor of integers, and of an operand; of the attribute, where an older version
 * of the op has that in the operand's place. Not given: n is 0. */
integers read_ints(node *n, sg_tensor *x);
integers operand_ints(node *n, int i, const char *attribute);
/* Axes that count from 0, from what may be negative. */
integers axes_of(node *n, integers axes, int rank);

/* ---- what several families use --------------------------------------------------------------- */

static inline bool is_float(const sg_tensor *x)
{
    return sg_type(x) == SG_F32 || sg_type(x) == SG_F64;
}
/* f, which does not take u8, on i32 and back where x is u8. */
sg_tensor *by_number(sg_tensor *(*f)(sg_tensor *, sg_tensor *), sg_tensor *x, sg_tensor *y);
sg_tensor *nearest(sg_tensor *x); /* integer, halves to even */
sg_tensor *floor_of(sg_tensor *x);
sg_tensor *iota(sg_context *g, int64_t n);                  /* 0 … n-1, i32 [n] */
sg_tensor *move_axis(sg_tensor *x, int from, int to);       /* the others stay in order */
sg_tensor *take_axis(sg_tensor *x, sg_tensor *i, int axis); /* sg_take along an axis */
sg_tensor *slice_axis(sg_tensor *x, int axis, int64_t from, int64_t to);
sg_tensor *wrap_index(sg_tensor *i, int64_t size); /* negative ones from the end */
sg_tensor *full_like(sg_tensor *x, double value);
/* x [channels] as [1, channels, 1, …] of that rank. */
sg_tensor *per_channel(sg_tensor *x, int rank);
/* Numbers of elements in the axes [from, to). */
int64_t count_axes(sg_tensor *x, int from, int to);
typedef sg_tensor *reduction(sg_tensor *x, int axis, bool keep);
sg_tensor *reduce_axes(reduction *f, sg_tensor *x, const integers *axes, bool keep);
sg_tensor *along_last(sg_tensor *(*f)(sg_tensor *), sg_tensor *x, int axis);

#endif
