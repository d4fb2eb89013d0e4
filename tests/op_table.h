/*
 * The table of ops: what every op is tested with. A row says how to build one result from inputs,
 * what the inputs are, and what is true of the result; tests derive the rest from it: gradients,
 * references, strides, empty shapes, types, instruction sets, ways of evaluating. test_ops.c fails
 * when a descriptor in core/ or ops/, or a public function of ops.h, has no row.
 *
 * A new op needs one row, in the op_table_*.c file of its family.
 */
#ifndef OP_TABLE_H
#define OP_TABLE_H

#include "ops/ops.h"

enum { OP_INPUTS = 3, OP_ELEMENTS = 128, OP_EMPTIES = 4 };

/* An input as references see it: row-major. */
typedef struct op_array {
    sg_shape shape;
    const double *v;
} op_array;

typedef enum {
    OP_FLOAT, /* in the row's floating-point type: gradients are checked by it */
    OP_INDEX, /* i32 */
    OP_MASK   /* u8, 0 or 1; the first element is 0 and the last is 1 */
} op_kind;

typedef struct op_input {
    sg_shape shape;
    double low, high; /* drawn from [low, high); 0, 0 means [-2, 2) */
    op_kind kind;
} op_input;

enum {
    OP_CONSTANT = 1,   /* gradients stop: they are all 0 */
    OP_LINEAR = 2,     /* in all inputs, locally: all second derivatives are 0 */
    OP_BY_ELEMENT = 4, /* takes any shapes that broadcast, not only the row's */
    OP_APART = 8,      /* has kinks: no two numbers drawn, nor any and 0, may be close */
    OP_DRAWS = 16,     /* random: another reset, another result */
    OP_HOLES = 32,     /* makes NaN on the way, which debug mode would stop at */
    OP_FAILS = 64,     /* the result is the inert tensor of an error */
    OP_NARROW = 128    /* computes in f32 on the way, whatever its type */
};

typedef struct op_row {
    const char *op;   /* a descriptor's name, or a public function's without sg_ */
    const char *form; /* what tells this row from others of the op */
    sg_tensor *(*build)(sg_context *g, sg_tensor *const *x);
    /* Element i of a result of this rank; NULL where only a family's own tests know. */
    double (*reference)(const op_array *in, const int64_t *i, int rank);
    unsigned flags;
    sg_shape result;
    op_input in[OP_INPUTS]; /* as many as have an axis */
    /* Sizes that may be 0 in all inputs, and the shape of the result then. */
    struct {
        int64_t size;
        sg_shape result;
    } empty[OP_EMPTIES];
    unsigned types; /* of its OP_FLOAT inputs, others are refused; 0 means SG_FLOATS */
} op_row;

typedef struct op_rows {
    const op_row *row;
    int count;
} op_rows;

extern const op_rows op_map_rows, op_move_rows, op_reduce_rows, op_core_rows;
#define OP_ROWS(rows)                                                                              \
    {                                                                                              \
        rows, sizeof(rows) / sizeof *(rows)                                                        \
    }

/* All rows: NULL behind the last. */
const op_row *op_row_at(int i);
int op_inputs(const op_row *row);

/* Inputs of a row with values: rounded to f32, so that all types agree on them. */
typedef struct op_sample {
    const op_row *row;
    int n;
    op_array in[OP_INPUTS];
    int64_t size[OP_INPUTS];
    double v[OP_INPUTS][OP_ELEMENTS];
} op_sample;

/* Draws; `shapes` in place of the row's own if not NULL. */
void op_draw(op_sample *s, const op_row *row, const sg_shape *shapes, uint64_t seed);
/* The row's shapes with each size `from` replaced by `to`. */
void op_resized(const op_row *row, int64_t from, int64_t to, sg_shape *shapes);
/* Tensors of a sample, OP_FLOAT inputs in this type, integers truncated. */
void op_tensors(const op_sample *s, sg_context *g, sg_dtype type, sg_tensor **x);
/* A tensor of any type from doubles. */
sg_tensor *op_tensor(sg_context *g, sg_dtype type, sg_shape shape, const double *v);
/* The type that input k has where OP_FLOAT inputs have `type`. */
sg_dtype op_type(const op_row *row, int k, sg_dtype type);
double op_value(sg_dtype type, const void *data, int64_t i);
/* A tensor like y with random numbers away from 0, the same in all types. */
sg_tensor *op_covector(sg_tensor *y, uint64_t seed);
/* The OP_FLOAT inputs among x; their number. */
int op_floats(const op_row *row, sg_tensor *const *x, sg_tensor **floats);
/* Gradients of y, of any type, against a random covector, by its OP_FLOAT inputs; their number. */
int op_gradients(const op_row *row, sg_tensor *y, sg_tensor *const *x, uint64_t seed,
                 sg_tensor **grads);

/* What one check of a row's derivatives found: `what` is "" when all is well. */
typedef struct op_verdict {
    double error[2]; /* worst relative error by order; NaN where the order was not reached */
    char what[256];
} op_verdict;
op_verdict op_check(const op_row *row, const char *isa, sg_dtype type, uint64_t seed);

/* Gradients at places where differences know nothing: kinks, ties, poles, rows masked away. */
typedef struct op_point {
    const char *op;
    sg_tensor *(*build)(sg_context *g, sg_tensor *const *x);
    int n; /* inputs, each of `size` elements */
    int size;
    double x[2][4], dx[2][4]; /* the gradient of the result's sum, exactly */
    bool smooth;              /* differences know it too */
} op_point;
const op_point *op_point_at(int i);
/* "" or what is wrong. */
void op_check_point(const op_point *p, const char *isa, sg_dtype type, char what[256]);

/* ---- for the tables ------------------------------------------------------------------------- */

#define S0                                                                                         \
    {                                                                                              \
        0                                                                                          \
    }
#define S(...)                                                                                     \
    {                                                                                              \
        sizeof((int[]){__VA_ARGS__}) / sizeof(int),                                                \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* A row's build function: an expression over x[0], x[1], … and the context g. */
#define BUILD(name, ...)                                                                           \
    static sg_tensor *name(sg_context *g, sg_tensor *const *x)                                     \
    {                                                                                              \
        (void)g, (void)x;                                                                          \
        return __VA_ARGS__;                                                                        \
    }
/* A row's reference, of the result's element i[0], i[1], …; AT(k, …) is input k's at an index, and
 * EACH(k) input k's where it stands beside the result's element. */
#define REFERENCE(name, ...)                                                                       \
    static double name(const op_array *in, const int64_t *i, int rank)                             \
    {                                                                                              \
        (void)in, (void)i, (void)rank;                                                             \
        return __VA_ARGS__;                                                                        \
    }
#define AT(k, ...) op_at(&in[k], (const int64_t[]){__VA_ARGS__})
#define EACH(k)    op_each(&in[k], i, rank)
#define DIM(k, d)  in[k].shape.dim[d]

/* NaN of x's type, made by the graph. */
#define OP_NAN(x) sg_div(sg_like(x, 0), sg_like(x, 0))

static inline double op_at(const op_array *a, const int64_t *i)
{
    int64_t at = 0;
    for (int d = 0; d < a->shape.rank; d++)
        at = at * a->shape.dim[d] + i[d];
    return a->v[at];
}

static inline double op_each(const op_array *a, const int64_t *i, int rank)
{
    int64_t at = 0;
    for (int d = 0; d < a->shape.rank; d++) {
        int64_t n = a->shape.dim[d];
        at = at * n + (n == 1 ? 0 : i[d + rank - a->shape.rank]);
    }
    return a->v[at];
}

#endif
