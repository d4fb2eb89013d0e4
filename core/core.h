/*
 * seqgrad core: a dynamic computation graph with reverse-mode automatic differentiation.
 *
 * Calls of ops record nodes on the tape of a context. A node's shape and type are known, and its
 * errors raised, at the call; its value is computed when somebody asks for it (sg_eval, sg_item,
 * sg_data), by a plan for everything that was asked for. Plans are found again by the shape of the
 * graph, so a graph that is built anew at every step costs little.
 *
 * Errors stick: the first one stays in the context, every later call does nothing and returns a
 * tensor that may be passed on without a check. Look once, at the end: sg_ok, sg_errmsg.
 *
 * Lifetime: the context owns everything. sg_reset drops the tape and all its tensors at once;
 * parameters and buffers stay, kept tensors for one reset. Nothing is freed by hand but the
 * context.
 */
#ifndef SG_CORE_H
#define SG_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SG_BUILD) && defined(__GNUC__)
#define SG_API __attribute__((visibility("default")))
#else
#define SG_API
#endif
#if defined(__GNUC__)
#define SG_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SG_PRINTF(f, a)
#endif

typedef struct sg_context sg_context;
typedef struct sg_tensor sg_tensor;
typedef struct sg_op sg_op;

enum { SG_MAX_RANK = 8, SG_MESSAGE = 512 };

typedef enum { SG_F32, SG_F64, SG_I32, SG_U8, SG_DTYPES } sg_dtype;

typedef enum {
    SG_OK,
    SG_NO_MEMORY,
    SG_BAD_SHAPE,    /* shapes, axes, lengths that do not fit */
    SG_BAD_DTYPE,    /* types that differ, or for which an op is not defined */
    SG_BAD_ARGUMENT, /* any other argument: an option, a name, an index */
    SG_BAD_CONTEXT,  /* tensors of two contexts */
    SG_STALE,        /* a tensor used after its reset, or after its parameter was overwritten */
    SG_NOT_FINITE,   /* debug mode met NaN or infinity */
    SG_BAD_FILE,     /* a file that is damaged, or not what it should be */
    SG_IO,           /* the operating system refused to read or write */
    SG_CANCELLED     /* the user's own code stopped a run */
} sg_status;

/* Sizes of up to 8 axes; rank 0 is a scalar. Written SG_SHAPE(2, 3), or SG_SCALAR. */
typedef struct sg_shape {
    int rank;
    int64_t dim[SG_MAX_RANK];
} sg_shape;

#define SG_COUNT_(type, ...) ((int)(sizeof((type[]){__VA_ARGS__}) / sizeof(type)))
#define SG_SHAPE(...)        ((sg_shape){SG_COUNT_(int64_t, __VA_ARGS__), {__VA_ARGS__}})
#define SG_SCALAR            ((sg_shape){0, {0}})
#define SG_LIST_(...)        SG_COUNT_(sg_tensor *, __VA_ARGS__), ((sg_tensor *[]){__VA_ARGS__})

/* An option for which 0 is the default takes SG_ZERO to mean a real zero. */
#define SG_ZERO (-0x1p-1000)

/* ---- context ------------------------------------------------------------------------------ */

typedef struct sg_open_options {
    int first_;          /* lets sg_open() be called with nothing */
    uint64_t seed;       /* of every random draw; 0 means 1 */
    int threads;         /* 0 means 1 */
    const char *isa;     /* "generic", "avx2" or "avx512"; NULL: the best this CPU has */
    size_t cache_plans;  /* how many plans are kept; 0 means 256 */
    size_t memory;       /* most bytes of workspace: as many checkpoints are recomputed as that
                            asks for, and what needs more is an error; 0: no limit, and all are */
    const char *without; /* passes of the planner that are left out, for tests: "fuse,layout", of
                            rewrite, batch, sparse, layout, fuse, early, assign, split,
                            prepare. Only rewrite, which joins sums of products, changes how
                            anything is rounded. */
    bool debug;          /* evaluate each node as it is made, and stop at the first NaN; sums of
                            products then round term by term */
} sg_open_options;

/* Never NULL: a context that could not be opened carries its error and does nothing. */
#define sg_open(...) sg_open_((sg_open_options){.first_ = 0, __VA_ARGS__})
SG_API sg_context *sg_open_(sg_open_options o);

/* A context over the parameters and buffers of another, for another thread: the same constructors
 * find them by name. While such contexts are open, assigning is an error in all of them. */
SG_API sg_context *sg_share(sg_context *g);
SG_API void sg_close(sg_context *g);

SG_API bool sg_ok(const sg_context *g);
SG_API sg_status sg_error(const sg_context *g);
SG_API const char *sg_errmsg(const sg_context *g); /* "" when there is none */
/* Raises an error, if none is there yet, under the scopes that are open; returns the inert tensor.
 * Every error passes through here: the place for a breakpoint. */
SG_API sg_tensor *sg_fail(sg_context *g, sg_status s, const char *format, ...) SG_PRINTF(3, 4);

SG_API void sg_reset(sg_context *g); /* drops the tape, keeps the error */
SG_API void sg_clear(sg_context *g); /* drops tape, open scopes and error */

SG_API void sg_train(sg_context *g, bool on); /* training mode (dropout is active), off at first */
SG_API bool sg_training(const sg_context *g);
SG_API void sg_debug(sg_context *g, bool on);

/* Scopes name what is recorded inside, in error messages, parameter names and profiles:
 * sg_push(g, "lstm", "enc") shows as `lstm "enc"` and prefixes names with "enc.". */
SG_API void sg_push(sg_context *g, const char *kind, const char *name);
SG_API void sg_pop(sg_context *g);

typedef struct sg_stat {
    uint64_t nodes;      /* recorded since the context was opened */
    uint64_t runs;       /* plans run */
    uint64_t hits;       /* plans found in the cache */
    uint64_t misses;     /* plans made */
    uint64_t planned;    /* nodes that they were made for */
    uint64_t plans;      /* plans in the cache now */
    uint64_t recomputed; /* nodes whose value was computed a second time */
    double flops;        /* of matrix products */
    uint64_t meetings;   /* how often threads waited for each other, starts and ends of runs too */
    uint64_t workspace;  /* bytes of the workspace all plans share */
    uint64_t plan_bytes; /* that the plans in the cache take themselves */
    uint64_t prepared;   /* bytes of weights as products like them, from evaluation to evaluation */
    double find_seconds; /* on bringing graphs in order and finding their plans, */
    double make_seconds; /* on making plans that were not there, */
    double run_seconds;  /* and on running them */
} sg_stat;
SG_API sg_stat sg_stats(const sg_context *g);
SG_API void sg_forget_plans(sg_context *g); /* empties the cache: each plan is made anew */

typedef struct sg_info {
    const char *version, *isa; /* "0.1.0", "avx512" */
    int threads;
    uint64_t seed;
} sg_info;
SG_API sg_info sg_infos(const sg_context *g);

/* ---- tensors ------------------------------------------------------------------------------ */

/* A tensor from an array of its type in row-major order, which is copied. NULL data: zeros. */
SG_API sg_tensor *sg_input(sg_context *g, sg_dtype dtype, sg_shape shape, const void *data);
/* The same without a copy: the array must live, unchanged, until the next reset. */
SG_API sg_tensor *sg_borrow(sg_context *g, sg_dtype dtype, sg_shape shape, const void *data);
SG_API sg_tensor *sg_scalar(sg_context *g, sg_dtype dtype, double value); /* [] */
/* [], a constant of x's type and context. Equal ones may be one tensor: for what is differentiated
 * by, or changes from step to step, there is sg_scalar. */
SG_API sg_tensor *sg_like(sg_tensor *x, double value);
SG_API sg_tensor *sg_full(sg_context *g, sg_dtype dtype, sg_shape shape, double value);

SG_API sg_shape sg_shape_of(const sg_tensor *x);
SG_API int sg_rank(const sg_tensor *x);
SG_API int64_t sg_dim(const sg_tensor *x, int axis); /* negative axes count from the end */
SG_API int64_t sg_size(const sg_tensor *x);          /* number of elements */
SG_API sg_dtype sg_type(const sg_tensor *x);
SG_API sg_context *sg_context_of(const sg_tensor *x);
SG_API bool sg_is_nil(const sg_tensor *x); /* the inert tensor that an error returns */

/* Asks for values. What was asked for keeps its value until the reset. Ask in one call for what
 * belongs together: what was not asked for may be computed again by a later call. */
#define sg_eval(...) sg_eval_(SG_LIST_(__VA_ARGS__))
SG_API sg_status sg_eval_(int n, sg_tensor *const *x);
/* Reading a value that is there already runs nothing. */
SG_API const void *sg_data(sg_tensor *x); /* row-major, until the reset; NULL on error */
SG_API double sg_item(sg_tensor *x);      /* of a tensor with one element; NaN on error */
SG_API sg_tensor *sg_want(sg_tensor *x);  /* the next evaluation computes x too; returns x */
/* A tensor with x's value that outlives the next reset, from where on it is a constant: the state
 * carried from one stretch of text to the next. The next evaluation computes it. */
SG_API sg_tensor *sg_keep(sg_tensor *x);

/* What evaluating these would take, exactly; nothing is run, but the plan is kept for it. */
typedef struct sg_plan_info {
    size_t workspace;     /* bytes; the context's workspace is that of its largest plan */
    size_t values;        /* bytes of the values asked for, kept until the reset */
    size_t own;           /* bytes that the plan itself takes in the cache */
    int64_t nodes;        /* of the tape that it computes or reads */
    int64_t steps;        /* of all kinds: row programs and calls of kernels */
    int64_t programs;     /* fused operations by element, */
    int64_t instructions; /* of which they have so many */
    int64_t products;     /* calls of kernels that count their flops: matmul */
    int64_t copies;       /* instructions that only move data */
    int64_t meetings;     /* in a run, as in sg_stat */
    int64_t checkpoints;  /* that its gradients go through, */
    int64_t recomputed;   /* of which so many are computed a second time */
    double flops;         /* of the products */
} sg_plan_info;
SG_API sg_plan_info sg_plan_infos(int n, sg_tensor *const *x);

/* ---- gradients ---------------------------------------------------------------------------- */

/* The gradients of y, a scalar, by each of xs: tensors of their shapes, to which sg_grad applies
 * again. The nodes that they are made of are recorded once that matters: when a plan is made, or
 * they are differentiated, dumped, profiled; an op that has no derivative is an error then. A
 * training step whose plan is known does without. sg_vjp, with a cotangent `seed` of y's shape: the
 * gradients of sum(seed * y), recorded at the call. */
SG_API void sg_grad(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor **grads);
SG_API void sg_vjp(sg_tensor *y, sg_tensor *seed, int n, sg_tensor *const *xs, sg_tensor **grads);
/* The derivative of y along directions vs of xs, by two vjps: a tensor of y's shape. */
SG_API sg_tensor *sg_jvp(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor *const *vs);
SG_API sg_tensor *sg_stop_gradient(sg_tensor *x);
/* y itself; but what is between the inputs (and leaves) and y is not kept for gradients: they
 * compute it a second time, with the same bits, random draws included. With sg_open's `memory` only
 * where that would not do otherwise. Meant for layers, or stretches of time, whose inputs came out
 * of the one before, h = sg_checkpoint(layer(h), 1, &h); may be nested. The gradient of a weight
 * that many of them share needs what it meets in all of them at once, so that is kept. */
SG_API sg_tensor *sg_checkpoint(sg_tensor *y, int n, sg_tensor *const *inputs);

typedef struct sg_gradcheck_options {
    sg_tensor *y; /* any tensor of floats: an op's result or a whole model's loss */
    int n;
    sg_tensor *const *xs; /* leaves (inputs, parameters) of floats that y depends on */
    int order;            /* 1 (default) or 2: the gradient's gradient too */
    double tolerance;     /* worst relative error; 0 means 1e-6 (order 1), 1e-5 (order 2) */
    double step;          /* of the central differences; 0 means 1e-5 */
    uint64_t seed;        /* of directions and covectors */
    int end_;
} sg_gradcheck_options;

typedef struct sg_gradcheck_result {
    bool ok;
    double error[2]; /* worst |numeric - analytic| / max(1, |analytic|), by order */
    int input;       /* where the worst stands: xs[input], element `element` */
    int64_t element; /* -1 when only whole directions were compared */
} sg_gradcheck_result;

/* Compares gradients with central differences, in f64 whatever the model's type: along random
 * directions and against random covectors, over every element when there are few.
 * sg_gradcheck(y, 1, &x, .order = 2) */
#define sg_gradcheck(...) sg_gradcheck_((sg_gradcheck_options){__VA_ARGS__, .end_ = 0})
SG_API sg_gradcheck_result sg_gradcheck_(sg_gradcheck_options o);

/* Records the graph of y again, in the context it is in, with tensors replaced and all floats in
 * another type (SG_DTYPES: unchanged). */
SG_API sg_tensor *sg_replay(sg_tensor *y, int n, sg_tensor *const *from, sg_tensor *const *to,
                            sg_dtype dtype);

/* ---- parameters --------------------------------------------------------------------------- */

typedef enum {
    SG_XAVIER,        /* U(-a, a), a = gain * sqrt(6 / (fan_in + fan_out)) */
    SG_XAVIER_NORMAL, /* N(0, s), s = gain * sqrt(2 / (fan_in + fan_out)) */
    SG_UNIFORM,       /* U(-gain, gain) */
    SG_NORMAL,        /* N(0, gain) */
    SG_ORTHOGONAL,    /* Saxe et al. 2014: gain * Q, in `blocks` square blocks side by side */
    SG_ZEROS,
    SG_CONSTANT /* gain */
} sg_init;

typedef struct sg_param_options {
    sg_context *g;
    const char *name; /* prefixed by the open scopes: "enc" and "wx" make "enc.wx" */
    sg_shape shape;
    sg_init init;
    double gain;      /* 0 means 1 */
    int blocks;       /* of the last axis, each initialized on its own; 0 means 1 */
    sg_dtype dtype;   /* SG_F32 by default */
    const void *data; /* initial values of the parameter's type, instead of `init` */
    int end_;
} sg_param_options;

/* A trainable parameter, made at the first call with its name and found by it from then on. A name
 * that begins with '.' is not prefixed by scopes, here and for buffers: ".a" is "a" everywhere.
 * Its initial values depend on the seed and on its name, not on what else was made before.
 * sg_param(g, "w", SG_SHAPE(2, 3), .init = SG_ORTHOGONAL) */
#define sg_param(...) sg_param_((sg_param_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_param_(sg_param_options o);
/* Named state that lasts but is not trained: moments, running statistics, counters. */
SG_API sg_tensor *sg_buffer(sg_context *g, const char *name, sg_dtype dtype, sg_shape shape,
                            double fill);

/* Walks over parameters (buffers too, if asked) in the order they were made; NULL at the end. A
 * parameter that is used in several places is there once. */
SG_API sg_tensor *sg_next_param(sg_context *g, sg_tensor *after, bool buffers);
SG_API sg_tensor *sg_find(sg_context *g, const char *name); /* full name; NULL if there is none */
SG_API const char *sg_name(const sg_tensor *x);             /* "" for what is no parameter */
SG_API bool sg_is_buffer(const sg_tensor *x);

/* For all parameters whose full name matches a pattern with '*' and '?'; how many they were. */
SG_API int sg_freeze(sg_context *g, const char *pattern, bool frozen);
SG_API int sg_group(sg_context *g, const char *pattern, double rate, double decay);
SG_API bool sg_frozen(const sg_tensor *param);
SG_API double sg_group_rate(const sg_tensor *param);  /* multiplies the learning rate; 1 */
SG_API double sg_group_decay(const sg_tensor *param); /* multiplies the weight decay; 1 */

/* Overwrites a parameter or buffer when the evaluation that it is part of has succeeded as a whole.
 * It is a root by itself: the next evaluation performs it. Until then the parameter's tensor means
 * the old value. Returns a tensor of the new value. */
SG_API sg_tensor *sg_assign(sg_tensor *param, sg_tensor *value);
/* Overwrites it now, with an array of its type. */
SG_API sg_status sg_set(sg_tensor *param, const void *data);

/* ---- files -------------------------------------------------------------------------------- */

/* Text that travels with the parameters (a configuration, a vocabulary); NULL when absent. Keys
 * that begin with "seqgrad." are not for users. */
SG_API void sg_set_meta(sg_context *g, const char *key, const char *text);
SG_API const char *sg_meta(const sg_context *g, const char *key);

/* Parameters, buffers and texts to a safetensors file, by a temporary file beside it that is synced
 * and renamed: whatever happens, either the old file is there or the new one. */
SG_API sg_status sg_save(sg_context *g, const char *path);
/* A model that sg_save wrote, checksum verified, into the parameters of its names; those not made
 * yet are found by sg_param later. Shapes and types must agree, no parameter may be missing. The
 * seed and the place in the random streams are taken over, so a training that is resumed has the
 * same bits; what the user holds (kept tensors, where a batch stands) is the user's to carry. */
SG_API sg_status sg_load(sg_context *g, const char *path);
/* Any safetensors file, as buffers of its names under `prefix`: no checksum or version is asked. */
SG_API sg_status sg_load_tensors(sg_context *g, const char *path, const char *prefix);

/* ---- looking inside ----------------------------------------------------------------------- */

SG_API void sg_dump(FILE *f, int n, sg_tensor *const *x);      /* the tape, a line a node */
SG_API void sg_dump_dot(FILE *f, int n, sg_tensor *const *x);  /* the tape, for Graphviz */
SG_API void sg_dump_plan(FILE *f, int n, sg_tensor *const *x); /* the plan: steps and places */
/* What of the graph is computed together, as rows of one array: the largest groups, with the shapes
 * of one item; and how much stays alone, and why. */
SG_API void sg_dump_batches(FILE *f, int n, sg_tensor *const *x);

/* From now on, or no longer, every step that runs is timed; what was timed before is forgotten. */
SG_API sg_status sg_profile(sg_context *g, bool on);
/* Where the time went, and how many bytes, as two tables: by kind of step, and by scope, where a
 * row program counts to the scope of most of its instructions. `peak`, of sg_peak: what rates are
 * compared with; or 0. */
SG_API void sg_profile_print(FILE *f, const sg_context *g, double peak);
/* Each step (the first million) as JSON of trace events, which Perfetto and chrome://tracing open.
 */
SG_API void sg_profile_trace(FILE *f, const sg_context *g);

SG_API const char *sg_dtype_name(sg_dtype d);
SG_API const char *sg_status_name(sg_status s);

/* ---- for authors of ops ------------------------------------------------------------------- */

/* An op is one constant descriptor. Passes look at its flags and functions, never at its name. */

enum { SG_GENERIC, SG_AVX2, SG_AVX512, SG_ISAS }; /* instruction sets a kernel may exist for */

/* An array as kernels see it; strides count elements, and may be 0 or negative. */
typedef struct sg_array {
    void *data;
    const int64_t *dim, *stride; /* rank of each */
    sg_dtype dtype;
    int rank;
} sg_array;

/* One elementwise kernel over n > 0 elements: out is contiguous; operand i is contiguous, or one
 * value for all if bit i of `single` is set. `out` may be the same memory as an operand. */
typedef void sg_map(size_t n, void *out, const void *const *in, unsigned single);

/* A reduction of a row, piece by piece; each but the last has a multiple of 16 elements. `state` is
 * SG_REDUCTION_STATE bytes, zeros before the first piece and again after the last one, which alone
 * has an `out`: its first element becomes the result. */
enum { SG_REDUCTION_STATE = 128 };
typedef void sg_reduction(size_t n, void *out, const void *x, void *state);

/* Where an operand stands in an array: its first element, its strides; in elements. */
typedef struct sg_part {
    int64_t start, stride[SG_MAX_RANK];
} sg_part;

/* How operands are joined, to compute a sum of an op's results at once: each reshaped, and side by
 * side along an axis; or, where that is as good, element by element in turn. */
enum { SG_JOINED = 2 };
typedef struct sg_joint {
    sg_shape shape[SG_JOINED];
    int axis[SG_JOINED];
    bool in_turn;
} sg_joint;

/* How an op is done for many at once, row by row: leading axes of its result, and of the operands
 * that are not shared, become one axis of rows, and any number of rows of several results may
 * follow each other there. No row may depend on another one, nor on how many there are. */
typedef struct sg_rows {
    int leading;     /* axes that are rows; 0: all of a result is one row */
    unsigned shared; /* bit i: operand i is read by all rows as it is */
    int rank;        /* to so many axes behind that of the rows, ones are put in front; or 0 */
    bool gains;      /* many rows at once cost less than each alone: worth waiting for */
    int64_t rows;    /* of the whole, to which `attr`, a copy of the attributes, is to be fitted */
    void *attr;
} sg_rows;

typedef struct sg_prepare sg_prepare;

typedef struct sg_call {
    const void *attr;
    int n; /* operands */
    int isa;
    const sg_array *in;
    sg_array out;    /* contiguous, but with SG_OP_STRIDED */
    int part, parts; /* with SG_OP_SPLIT: which part of the result to compute, of how many, */
    int64_t pieces;  /* cut only between so many equal pieces of it; 0: anywhere */
    void *scratch;   /* as many bytes as the op's `scratch` said, 64-byte aligned; of this part */
    char *message;   /* SG_MESSAGE bytes: what went wrong, when run returns false */
} sg_call;

/* How parts share a call: n rows, or columns, in whole units (or pieces, where the call says so).
 * Rows are stretches of the leading axes, of the result and of the operands that are `alike`. */
typedef struct sg_shares {
    int64_t n, unit;
    bool columns;   /* shares are of the last axis */
    unsigned alike; /* operands, a bit each, of which a part reads only what it has of the result */
} sg_shares;

/* How an operand that several calls read is prepared once for all of them. */
#define SG_EVER INT64_MAX /* readers: in evaluation after evaluation */
struct sg_prepare {
    int operand;
    const sg_op *first; /* what is done with it, alone */
    /* takes the result of that, of another rank than the operand, or the operand; and computes the
     * same, to the bit */
    const sg_op *then;
    /* For one of so many readers, in `parts` parts: sets the shape of what is prepared, which has
     * the operand's type, and the attributes of `then`; false where it is not worth it. */
    bool (*worth)(const sg_call *c, int64_t readers, sg_shape *shape, void *attr);
};

typedef struct sg_infer {
    const void *attr;
    int n;
    sg_tensor *const *in;
    sg_shape shape; /* to be set */
    sg_dtype dtype;
    char *message;    /* SG_MESSAGE bytes: what is wrong; operands and scope are added by core */
    sg_status status; /* SG_BAD_SHAPE unless set */
} sg_infer;

typedef struct sg_vjp_call {
    const void *attr;
    int n;
    sg_tensor *const *in;
    sg_tensor *out, *g; /* the op's result, and the cotangent of it */
    /* 0 at a node's first operand and the vjp's own from there to its last: for sums over operands,
     * which are asked for in ascending order */
    int64_t *so_far; /* [2] */
} sg_vjp_call;

enum {
    SG_OP_STRIDED = 1,  /* run takes operands and result of any strides (others: contiguous) */
    SG_OP_CONSTANT = 2, /* its derivative is zero, or it has none: gradients stop here */
    SG_OP_RANDOM = 4,   /* draws: recording it again keeps its site */
    SG_OP_COMMUTES = 8,
    SG_OP_FOLD = 16,   /* of n operands: map's two-operand kernel from left to right */
    SG_OP_ROOT = 32,   /* every evaluation performs it (assign) */
    SG_OP_SPLIT = 64,  /* run computes one part of the result, the others may run beside it */
    SG_OP_SURE = 128,  /* run never fails */
    SG_OP_OVER = 2048, /* run reads no more of a row of its first operand once it writes that row of
                          the result, so that this may stand where the operand is */
    /* Of ops by element: */
    SG_OP_OF_ZERO = 256,    /* of 0 it makes 0 */
    SG_OP_ZERO_KEEPS = 512, /* x op 0 is x, to the bit; if it commutes, x op -0 */
    SG_OP_SELECTS = 1024    /* where its first operand is 0 the third one, else the second */
};
enum { SG_FLOATS = 1 << SG_F32 | 1 << SG_F64, SG_ALL = SG_FLOATS | 1 << SG_I32 | 1 << SG_U8 };

/* An attribute, for printing: type 'i' int64_t, 'd' double, 'u' uint64_t, 's' sg_shape, 'b' bool,
 * 'c' a char array ended by 0 */
typedef struct sg_attr {
    const char *name;
    char type;
    size_t offset;
} sg_attr;

struct sg_op {
    const char *name;
    const char *args; /* names of operands in messages: "x w" */
    unsigned flags;
    int arity;            /* -1: any number, at least one */
    unsigned dtypes;      /* of the last operand: SG_FLOATS, SG_ALL; 0 means SG_FLOATS */
    size_t attr_size;     /* attributes are plain bytes, compared as such: zero their padding */
    const sg_attr *attrs; /* ended by a name of NULL */

    /* Result: shape and type; false is an error. Not needed with `map`, which broadcasts. */
    bool (*infer)(sg_infer *i);
    int result; /* 1 + type of the result, where it is not that of the last operand; else 0 */
    const sg_op *const *typed; /* the same op for other result types, for sg_replay; or NULL */

    /* How it runs, one of: by element, a table by type of the last operand and instruction set; */
    sg_map *const (*map)[SG_ISAS];
    /* as another look at the first operand: sets where the result starts, in elements from the
     * operand's data, and its strides; data pointers are not set. False if that needs a contiguous
     * operand, with which it is called again; */
    bool (*view)(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                 int64_t *stride);
    bool (*back)(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                 int64_t *stride); /* the view that undoes it, if that is one; or NULL */
    /* made of its operands, which do not overlap, and 0 where there is none: sets where each of
     * the n stands in the result; */
    void (*parts)(const void *attr, int n, const sg_array *in, const sg_array *out, sg_part *part);
    /* or by a function of its own. */
    bool (*run)(const sg_call *c);
    size_t (*scratch)(const sg_call *c); /* bytes; data pointers are not set yet */
    double (*flops)(const sg_call *c);   /* of the whole result, by shapes; NULL: not counted */
    /* The same as run, to the bit, where the axis that is reduced is the last one, or all are. */
    sg_reduction *const (*rows)[SG_ISAS];
    /* With SG_OP_SPLIT: what a part reads and writes, so that threads need to meet only where one
     * uses what another made. NULL: each uses all. */
    sg_shares (*shares)(const sg_call *c);

    const sg_prepare *prepare; /* of an operand that several calls read; or NULL */

    /* Of up to SG_JOINED operands: sets how those of several results join, so that the op of what
     * they make is the sum of the results; false if there is no way. NULL: there never is. */
    bool (*joint)(const void *attr, const sg_shape *in, const sg_shape *out, sg_joint *j);

    /* Of zeros to which rows of operand 0 are added where operand 1, of i32, says: sets the
     * attributes of the same op with so many rows in the result. NULL: it does not do that. */
    void (*scatter)(const void *attr, int64_t rows, void *resized);
    /* The op that computes the same, if it is one element, of an operand most rows of which are
     * equal: see core/plan/rows.h. */
    const sg_op *of_rows;
    /* For ops without `map`, which go by element anyway: how results are computed together, as
     * rows; false if these cannot be. NULL: never. */
    bool (*batch)(const sg_shape *const *in, const sg_shape *out, sg_rows *r);

    /* The cotangent of operand i, from public ops; may have out's shape where the operand was
     * broadcast. NULL: by `lower`. Neither asks for values: what they record depends on attributes,
     * shapes and types, and where these come again, they may not be called. */
    sg_tensor *(*vjp)(const sg_vjp_call *v, int i);
    /* The composition that a fused op stands for. */
    sg_tensor *(*lower)(const void *attr, int n, sg_tensor *const *in);
};

/* Records one node. attr is copied. */
SG_API sg_tensor *sg_record(const sg_op *op, const void *attr, int n, sg_tensor *const *in);
/* Memory, not cleared, that lasts as long as the tape; NULL after an error. */
SG_API void *sg_room(sg_context *g, size_t bytes);
/* For infer: writes the message and returns false. */
SG_API bool sg_refuse(sg_infer *i, const char *format, ...) SG_PRINTF(2, 3);
/* For run: the same. */
SG_API bool sg_stop(const sg_call *c, const char *format, ...) SG_PRINTF(2, 3);
/* For infer: the shape all operands broadcast to; false, with a message, if there is none. */
SG_API bool sg_broadcast_shapes(sg_infer *i);
/* For wrappers of ops: 0 <= result < rank, or -1 after raising an error. */
SG_API int sg_axis(sg_tensor *x, int axis, const char *op);

/* Ops that the graph itself needs; the others are in <seqgrad/ops.h>. */
SG_API sg_tensor *sg_reshape(sg_tensor *x, sg_shape shape); /* one dim may be -1 */
SG_API sg_tensor *sg_broadcast_to(sg_tensor *x, sg_shape shape);
SG_API sg_tensor *sg_sum_to(sg_tensor *x, sg_shape shape);  /* adjoint of sg_broadcast_to */
SG_API sg_tensor *sg_add_n(int n, sg_tensor *const *xs);    /* one shape and type; in this order */
SG_API sg_tensor *sg_probe(sg_tensor *x, const char *name); /* x itself, named in dumps */

/* The leaf that random ops read: seed and reset count, i32 [4]; and a site of this scope. */
SG_API sg_tensor *sg_stream(sg_context *g);
SG_API uint64_t sg_site(sg_context *g);

#ifdef __cplusplus
}
#endif

#endif
