/* The tape: recording nodes, leaves, and what can be asked of a tensor without computing it. */
#include "core/internal.h"

#include <math.h>

static bool nil_run(const sg_call *c)
{
    return sg_stop(c, "inert");
}

const sg_op sg__nil_op = {.name = "nil", .run = nil_run};
const sg_op sg__leaf_op = {.name = "leaf"};

/* ---- asking -------------------------------------------------------------------------------- */

/* NULL is no tensor that we return, but what a mistake may pass: it counts as inert. */
static const sg_tensor *or_nil(const sg_tensor *x)
{
    return x ? x : sg__nil(NULL);
}

sg_shape sg_shape_of(const sg_tensor *x)
{
    return or_nil(x)->dims->shape;
}

int sg_rank(const sg_tensor *x)
{
    return or_nil(x)->dims->shape.rank;
}

int64_t sg_dim(const sg_tensor *x, int axis)
{
    int rank = sg_rank(x), i = axis < 0 ? axis + rank : axis;
    if (i >= 0 && i < rank)
        return x->dims->shape.dim[i];
    if (!sg_is_nil(x))
        sg_fail(x->g, SG_BAD_SHAPE, "sg_dim: axis %d of a tensor of rank %d", axis, rank);
    return 0;
}

int64_t sg_size(const sg_tensor *x)
{
    return or_nil(x)->dims->size;
}

sg_dtype sg_type(const sg_tensor *x)
{
    return (sg_dtype)or_nil(x)->dtype;
}

sg_context *sg_context_of(const sg_tensor *x)
{
    return or_nil(x)->g;
}

bool sg_is_nil(const sg_tensor *x)
{
    return or_nil(x)->op == &sg__nil_op;
}

/* ---- recording ----------------------------------------------------------------------------- */

/* Not initialized are the operands, and the bytes behind them. */
static inline sg_tensor *begin_node(sg_tensor *x, sg_context *g, const sg_op *op,
                                    const sg__dims *dims, unsigned dtype, int n)
{
    *x = (sg_tensor){.g = g,
                     .op = op,
                     .dims = dims,
                     .scope = g->scope,
                     .generation = g->generation,
                     .serial = g->serial++,
                     .n = (uint32_t)n,
                     .dtype = (uint8_t)dtype};
    return x;
}

static sg_tensor *new_node(sg_context *g, const sg_op *op, const sg__dims *dims, sg_dtype dtype,
                           int n, size_t behind)
{
    sg_tensor *x = sg__alloc(&g->tape, sizeof *x + (size_t)n * sizeof *x->in + behind);
    if (x)
        return begin_node(x, g, op, dims, dtype, n);
    sg__no_memory(g, "the tape");
    return NULL;
}

static sg_tensor *fail_on(sg_context *g, sg_status s, const char *what, const char *message)
{
    return sg_fail(g, s, "%s: %s", what, message);
}

sg_context *sg__together(int n, sg_tensor *const *x, const char *what, sg_tensor **nil)
{
    sg_context *g = NULL;
    for (int i = 0; x && i < n && !g; i++)
        g = x[i] ? x[i]->g : NULL;
    if (!g) {
        *nil = sg__nil(NULL);
        return NULL;
    }
    *nil = g->nil;
    for (int i = 0; i < n && !g->status; i++) {
        if (!x[i])
            fail_on(g, SG_BAD_ARGUMENT, what, "an operand is NULL");
        else if (x[i]->g != g)
            fail_on(g, SG_BAD_CONTEXT, what, "operands of two contexts");
        else if (x[i]->generation != g->generation && x[i]->generation != SG__FOREVER)
            fail_on(g, SG_STALE, what, "an operand was made before the last sg_reset");
        else if (x[i]->op == &sg__nil_op)
            fail_on(g, SG_BAD_ARGUMENT, what, "an operand is the inert tensor of an earlier error");
        else if (x[i]->flags & SG__FAILED)
            fail_on(g, SG_STALE, what, "an operand was kept, but not evaluated before the reset");
    }
    return g->status ? NULL : g;
}

/* An operand that has but one type (indices, a mask) is named, by the last of the op's names. */
static bool refuse_type(sg_infer *c, const sg_op *op, unsigned allowed, sg_dtype type)
{
    const char *name = op->args ? strrchr(op->args, ' ') : NULL;
    for (int only = 0; name && only < SG_DTYPES; only++)
        if (allowed == 1u << only)
            return sg_refuse(c, "the type of%s is %s, not %s", name, sg_dtype_name(type),
                             sg_dtype_name((sg_dtype)only));
    return sg_refuse(c, "not defined for %s", sg_dtype_name(type));
}

/* What sg__together makes sure of, in a glance. */
static inline bool usable(const sg_context *g, const sg_tensor *x)
{
    return x->g == g && !(x->flags & SG__FAILED) &&
           (x->generation == g->generation || x->generation == SG__FOREVER);
}

/* What all ops check before their own infer, which ops by element do not need. */
static bool infer(sg_infer *c, const sg_op *op)
{
    int last = c->in[c->n - 1]->dtype;
    unsigned allowed = op->dtypes ? op->dtypes : SG_FLOATS;
    c->dtype = op->result ? (sg_dtype)(op->result - 1) : (sg_dtype)last;
    if (!(allowed >> last & 1u)) {
        c->status = SG_BAD_DTYPE;
        return refuse_type(c, op, allowed, (sg_dtype)last);
    }
    if (op->map && !op->map[last][SG_GENERIC]) {
        c->status = SG_BAD_DTYPE;
        return sg_refuse(c, "has no kernel for %s", sg_dtype_name((sg_dtype)last));
    }
    if (op->infer)
        return op->infer(c);
    for (int i = 0; i < c->n; i++)
        if (c->in[i]->dtype != last) {
            c->status = SG_BAD_DTYPE;
            return sg_refuse(c, "operands of different types");
        }
    return sg_broadcast_shapes(c);
}

/* The larger of two shapes, if the other one broadcasts to it; else NULL. */
static const sg__dims *wider(const sg__dims *a, const sg__dims *b)
{
    for (int turn = 0; turn < 2; turn++) {
        const sg_shape *s = &a->shape, *t = &b->shape;
        int shift = s->rank - t->rank, i = 0;
        while (i < t->rank && shift >= 0 && (t->dim[i] == 1 || t->dim[i] == s->dim[i + shift]))
            i++;
        if (shift >= 0 && i == t->rank)
            return a;
        const sg__dims *swap = a;
        a = b;
        b = swap;
    }
    return NULL;
}

/* All that an op may want to know and do about its result; NULL after raising an error. */
static const sg__dims *inferred(sg_context *g, const sg_op *op, const void *attr, int n,
                                sg_tensor *const *in, sg_dtype *dtype)
{
    char message[SG_MESSAGE];
    sg_infer c = {attr, n, in, in[0]->dims->shape, *dtype, message, SG_BAD_SHAPE};
    *message = 0;
    if (!op->map && !op->view && !op->parts && !op->run)
        sg_fail(g, SG_BAD_ARGUMENT, "%s: has no way to run: no map, view, parts or run", op->name);
    else if (!infer(&c, op))
        sg__fail_node(g, c.status, op, g->scope, n, in, *message ? message : "refused");
    if (g->status)
        return NULL;
    *dtype = c.dtype;
    return sg__intern(g, op->name, c.shape);
}

/* Whether there is nothing to infer but the shape: by element, of this type and defined for it. */
static inline bool is_plain(const sg_op *op, int n, const sg_tensor *x, const sg_tensor *y)
{
    unsigned dtype = x->dtype, allowed = op->dtypes ? op->dtypes : SG_FLOATS;
    return op->arity == n && op->map && !op->infer && !op->result && !op->attr_size &&
           y->dtype == dtype && allowed >> dtype & 1u && op->map[dtype][SG_GENERIC];
}

/* Apart from what calls it, which then needs no room on the stack. */
static __attribute__((noinline)) sg_tensor *record(const sg_op *op, const void *attr, int n,
                                                   sg_tensor *const *in)
{
    sg_tensor *nil;
    sg_context *g = sg__together(n, in, op ? op->name : "sg_record", &nil);
    if (!g)
        return nil;
    if (!op)
        return sg_fail(g, SG_BAD_ARGUMENT, "sg_record: no op");
    if (n == 0 || (op->arity >= 0 && n != op->arity))
        return sg_fail(g, SG_BAD_ARGUMENT, "%s: %d operands", op->name, n);
    sg_dtype dtype = (sg_dtype)in[0]->dtype;
    const sg__dims *dims =
        n <= 2 && is_plain(op, n, in[0], in[n - 1]) ? wider(in[0]->dims, in[n - 1]->dims) : NULL;
    dims = dims ? dims : inferred(g, op, attr, n, in, &dtype);
    sg_tensor *x = dims ? new_node(g, op, dims, dtype, n, op->attr_size) : NULL;
    if (!x)
        return g->nil;
    for (int i = 0; i < n; i++)
        x->in[i] = in[i];
    if (op->attr_size)
        x->attr = memcpy(x->in + n, attr, op->attr_size);
    return g->debug && !g->busy ? sg__debug(x) : x;
}

/* Most nodes are by element, of one operand or two of one shape. */
sg_tensor *sg_record(const sg_op *op, const void *attr, int n, sg_tensor *const *in)
{
    sg_tensor *x = op && in && (n == 1 || n == 2) ? in[0] : NULL, *y = x ? in[n - 1] : NULL;
    if (!y || x->dims != y->dims || !is_plain(op, n, x, y))
        return record(op, attr, n, in);
    sg_context *g = x->g;
    if (g->status || g->debug || !usable(g, x) || !usable(g, y))
        return record(op, attr, n, in);
    sg_tensor *z = sg__alloc_here(&g->tape, sizeof *z + (size_t)n * sizeof *z->in);
    if (!z)
        return record(op, attr, n, in);
    begin_node(z, g, op, x->dims, x->dtype, n);
    z->in[0] = x;
    z->in[n - 1] = y;
    return z;
}

/* ---- leaves -------------------------------------------------------------------------------- */

/* `behind`: room for a small value, which follows the node. */
static sg_tensor *leaf(sg_context *g, sg_dtype dtype, sg_shape shape, size_t behind)
{
    g = sg__given(g);
    if (g->status)
        return g->nil;
    if ((unsigned)dtype >= SG_DTYPES)
        return sg_fail(g, SG_BAD_DTYPE, "input: no such type (%d)", (int)dtype);
    const sg__dims *dims = sg__intern(g, "", shape);
    sg_tensor *x = dims ? new_node(g, &sg__leaf_op, dims, dtype, 0, behind) : NULL;
    if (!x)
        return g->nil;
    x->value = x->in;
    return x;
}

sg_tensor *sg_input(sg_context *g, sg_dtype dtype, sg_shape shape, const void *data)
{
    sg_tensor *x = leaf(g, dtype, shape, 0);
    if (sg_is_nil(x))
        return x;
    size_t bytes = (size_t)x->dims->size * sg__dtype_size(dtype);
    x->value = sg__alloc_aligned(&g->tape, bytes ? bytes : 1);
    if (!x->value) {
        sg__no_memory(g, "an input");
        return g->nil;
    }
    if (data && bytes)
        memcpy(x->value, data, bytes);
    else
        memset(x->value, 0, bytes);
    return x;
}

sg_tensor *sg_borrow(sg_context *g, sg_dtype dtype, sg_shape shape, const void *data)
{
    if (!data)
        return sg_fail(g, SG_BAD_ARGUMENT, "sg_borrow: no array");
    sg_tensor *x = leaf(g, dtype, shape, 0);
    if (!sg_is_nil(x))
        x->value = (void *)(uintptr_t)data; /* never written through */
    return x;
}

void sg__fill(void *p, sg_dtype dtype, int64_t n, double v)
{
    for (int64_t i = 0; i < n; i++)
        switch (dtype) {
        case SG_F32:
            ((float *)p)[i] = (float)v;
            break;
        case SG_F64:
            ((double *)p)[i] = v;
            break;
        case SG_I32:
            ((int32_t *)p)[i] = (int32_t)v;
            break;
        default:
            ((uint8_t *)p)[i] = (uint8_t)v;
        }
}

/* A scalar that formulas and their gradients have many times is one tensor. Only of these values: a
 * rate that changes would make graphs that differ wherever it equals another constant. */
static sg_tensor *constant(sg_context *g, sg_dtype dtype, double v)
{
    static const double common[SG__CONSTANTS] = {0, 1, 2, 0.5, -1, -INFINITY};
    int k = 0;
    while (k < SG__CONSTANTS && memcmp(&v, &common[k], sizeof v) != 0)
        k++;
    if (k == SG__CONSTANTS || (unsigned)dtype >= SG_DTYPES || !sg_ok(g))
        return sg_scalar(g, dtype, v);
    sg_tensor **shared = &g->constants[dtype][k];
    if (!*shared && !sg_is_nil(*shared = sg_scalar(g, dtype, v)))
        (*shared)->flags |= SG__SHARED;
    return *shared;
}

sg_tensor *sg_full(sg_context *g, sg_dtype dtype, sg_shape shape, double v)
{
    sg_tensor *x = shape.rank ? constant(g, dtype, v) : sg_scalar(g, dtype, v);
    return sg_is_nil(x) || shape.rank == 0 ? x : sg_broadcast_to(x, shape);
}

bool sg__fits(sg_dtype dtype, double v)
{
    return (dtype != SG_I32 || (v >= INT32_MIN && v <= INT32_MAX)) &&
           (dtype != SG_U8 || (v >= 0 && v <= UINT8_MAX));
}

sg_tensor *sg_scalar(sg_context *g, sg_dtype dtype, double v)
{
    if (!sg__fits(dtype, v))
        return sg_fail(g, SG_BAD_ARGUMENT, "%g does not fit into %s", v, sg_dtype_name(dtype));
    sg_tensor *x = leaf(g, dtype, SG_SCALAR, sizeof(double));
    if (!sg_is_nil(x))
        sg__fill(x->value, dtype, 1, v);
    return x;
}

sg_tensor *sg_like(sg_tensor *x, double v)
{
    return sg_is_nil(x) ? x : constant(x->g, sg_type(x), v);
}
