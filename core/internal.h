/*
 * What core's sources share and nobody else sees.
 *
 * Ownership: the context owns all. The tape's nodes, attributes and values lie in arenas that
 * sg_reset drops whole; shapes, scopes and parameters live as long as the context.
 */
#ifndef SG_INTERNAL_H
#define SG_INTERNAL_H

#include "core/core.h"
#include "core/pool.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

/* ---- arena: memory that grows and is dropped whole ----------------------------------------- */

typedef struct sg__chunk sg__chunk;
typedef struct sg__arena {
    sg__chunk *first, *now;
    char *at, *end;
} sg__arena;

/* 16-byte aligned, not cleared; NULL where the chunk may be used up */
static inline void *sg__alloc_here(sg__arena *a, size_t bytes)
{
    char *at = a->at;
    if (bytes >= (size_t)(a->end - at))
        return NULL;
    a->at = at + ((bytes + 15) & ~(size_t)15);
    return at;
}
void *sg__alloc_more(sg__arena *a, size_t bytes);
/* The same; NULL: no memory */
static inline void *sg__alloc(sg__arena *a, size_t bytes)
{
    void *at = sg__alloc_here(a, bytes);
    return at ? at : sg__alloc_more(a, bytes);
}
void *sg__alloc_aligned(sg__arena *a, size_t bytes); /* 64-byte aligned, for values */
void sg__arena_reset(sg__arena *a);                  /* keeps the chunks for the next use */
void sg__arena_free(sg__arena *a);
/* Memory of somebody else's, 64-byte aligned and of some size, which an arena without anything in
 * it uses first; and the end of that, where it is as after a reset. */
void sg__arena_lend(sg__arena *a, void *block, size_t bytes);
void sg__arena_give_back(sg__arena *a);
/* What was taken since the mark is given back, and its chunks kept. */
typedef struct sg__mark {
    sg__chunk *now;
    char *at, *end;
} sg__mark;
void sg__arena_part(sg__arena *a, sg__arena *rest); /* which gets the chunks that were not needed */
sg__mark sg__arena_mark(const sg__arena *a);
void sg__arena_release(sg__arena *a, sg__mark m);
size_t sg__arena_bytes(const sg__arena *a);
/* 64-byte aligned memory of its own, to be freed; on large pages, where there are some and it is
 * large itself: on small ones a step of training is a quarter slower. */
void *sg__new_block(size_t bytes);

/* Grows *p to hold at least n elements; false, with *p unchanged, when there is no memory. */
bool sg__grow(void **p, size_t *capacity, size_t n, size_t element);

/* ---- shapes and scopes: interned, so that equal ones are one pointer ------------------------- */

typedef struct sg__dims {
    sg_shape shape;
    int64_t stride[SG_MAX_RANK]; /* row-major */
    int64_t size;                /* number of elements */
    uint64_t hash;
    struct sg__dims *next;
    uint32_t number; /* of the context's shapes, below SG__SHAPES */
} sg__dims;
#define SG__SHAPES (1u << 28)

/* NULL after raising an error: negative or too many elements, or no memory. */
const sg__dims *sg__intern(sg_context *g, const char *op, sg_shape shape);
/* Writes "[2,3]" into buf, at most SG_SHAPE_TEXT bytes; returns buf. */
enum { SG_SHAPE_TEXT = 192 };
char *sg__shape_text(char *buf, const sg_shape *shape);
size_t sg__dtype_size(sg_dtype d);
bool sg__contiguous(const sg_array *a);

typedef struct sg__scope {
    struct sg__scope *parent, *next; /* next: in its slot of the context's table */
    char *kind, *name;               /* the root's are "" */
    uint64_t hash;                   /* of the path */
    uint64_t sites;                  /* random nodes recorded here since the reset `sites_of` */
    uint64_t sites_of;
} sg__scope;

/* Writes `encoder "enc": lstm "fw": ` into buf; the prefix of names is "enc.fw.". */
void sg__scope_text(char *buf, size_t size, const sg__scope *s);
bool sg__scope_prefix(char *buf, size_t size, const sg__scope *s);
void sg__scopes_free(sg_context *g);

/* ---- tape ----------------------------------------------------------------------------------- */

enum {
    SG__COMPUTED = 1, /* was in a plan that ran: in another one it counts as recomputed */
    SG__ROOT = 2,     /* is in the list of roots being collected */
    SG__FAILED = 4,   /* never evaluated: inert, or kept too late before a reset */
    SG__MARKED = 8,   /* where cotangents stop */
    SG__SHARED = 16   /* a constant that equal ones share */
};
#define SG__FOREVER UINT64_MAX /* the generation of parameters: no reset ends them */
#define SG__OVER                                                                                   \
    (UINT64_MAX - 1) /* of kept tensors whose time is over: no reset brings them back */
enum {
    SG__RESTING = 7,
    SG__DEAD = 4096
}; /* how long memory rests, so that late uses are noticed */

struct sg_tensor {
    sg_context *g;
    uint64_t generation; /* the reset it was made in */
    const void *attr;
    const sg__scope *scope;
    uint32_t serial; /* how many nodes were made before it since the reset */
    uint8_t dtype, flags;
    /* what walks look at, side by side: a tape is larger than the nearest caches */
    uint32_t mark, index; /* of the walk that came by last: see order.c */
    uint32_t n;
    const sg_op *op;
    const sg__dims *dims;
    void *value; /* NULL until it was asked for */
    sg_tensor *in[];
};

extern const sg_op sg__leaf_op, sg__param_op, sg__nil_op, sg__assign_op, sg__keep_op;
extern const sg_op sg__reshape_op;
enum { /* flags of the ops in checkpoint.c; the value of each is that of an operand */
       SG__OP_CHECKPOINT = 1 << 24, /* the first; gradients compute again what is between that and
                                       the others */
       SG__OP_AGAIN = 1 << 25, /* the second, a copy of the first; derivatives go to the first */
       SG__OP_LATER = 1 << 26, /* the first, once the second is there */
       /* of those in later.c: */
       SG__OP_ALIAS = 1 << 27,     /* its operand, under another pointer */
       SG__OP_UNRECORDED = 1 << 28 /* stands for nodes that were not recorded */
};
/* mark.c: of ops that are their first operand under another name */
bool sg__same_infer(sg_infer *c);
bool sg__same_view(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                   int64_t *stride);
/* How many operands it is computed from, as gradients see it. */
static inline uint32_t sg__passes_to(const sg_tensor *x)
{
    return x->op->flags & (SG__OP_CHECKPOINT | SG__OP_AGAIN) ? 1 : x->n;
}
/* What x stands for: its cotangents are that one's. */
static inline sg_tensor *sg__itself(sg_tensor *x)
{
    while (x->op->flags & (SG__OP_CHECKPOINT | SG__OP_AGAIN | SG__OP_ALIAS))
        x = x->in[0];
    return x;
}
/* Records what a node of SG__OP_UNRECORDED stands for; false after raising an error. */
bool sg__record_gradients(sg_tensor *all);
/* Those that were, since g->recorded was NULL, are as before, until they are recorded again. */
void sg__as_unrecorded(sg_context *g);
/* x, or the gradient that it stands for; NULL after raising an error */
sg_tensor *sg__recorded(sg_tensor *x);
/* grad.c: false, and the tensor to return, after raising an error */
bool sg__may_differ(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor **nil);
/* x with these operands: itself, if they are its own. */
sg_tensor *sg__record_again(sg_tensor *x, sg_tensor **in);
typedef struct sg__target { /* attr of reshape and its like; unused sizes are 0 */
    sg_shape shape;
} sg__target;
sg__target sg__target_of(sg_shape s);

static inline bool sg__is_leaf(const sg_tensor *x)
{
    return x->n == 0 && x->value;
}
static inline bool sg__is_float(int dtype)
{
    return dtype == SG_F32 || dtype == SG_F64;
}

/* The context of these operands if all are usable together; otherwise NULL after raising an error,
 * and *nil is the tensor to return. */
sg_context *sg__together(int n, sg_tensor *const *x, const char *what, sg_tensor **nil);
sg_tensor *sg__nil(sg_context *g);
/* g; where it is NULL, what a failed open returns: inert, and never written to */
sg_context *sg__given(const sg_context *g);
void sg__not_one(const sg_tensor *x, const char *what); /* raises that it has not one element */
sg_tensor *sg__debug(sg_tensor *x);      /* computes a node just made; x, or the inert tensor */
bool sg__fits(sg_dtype dtype, double v); /* integers must be in the type's range */
void sg__fill(void *p, sg_dtype dtype, int64_t n, double v);
/* For a node about to be recorded or evaluated: raises an error with operands and scope. */
sg_tensor *sg__fail_node(sg_context *g, sg_status s, const sg_op *op, const sg__scope *scope, int n,
                         sg_tensor *const *in, const char *message);
void sg__describe(char *buf, size_t size, const sg_op *op, int n, sg_tensor *const *in);

/* ---- parameters ------------------------------------------------------------------------------ */

typedef struct sg__store { /* one parameter or buffer; shared by contexts of sg_share */
    char *name;
    sg_shape shape;
    sg_dtype dtype;
    void *data;
    bool buffer, frozen;
    bool in_file; /* scratch of loading */
    double rate, decay;
    size_t number;                      /* how many were made before it */
    struct sg__store *next_hash, *next; /* next: in order of creation */
} sg__store;

typedef struct sg__registry { /* what sg_share shares */
    atomic_int contexts;      /* how many use it, on whatever threads */
    sg__store *first, *last;
    sg__store **table;
    size_t count, capacity;
    char *loaded; /* path of the model file that was loaded: no other parameters */
    struct sg__text {
        char *key, *text;
        struct sg__text *next;
    } * texts;
} sg__registry;

typedef struct sg__ready sg__ready;
typedef struct sg__param { /* attr of a parameter's node: one context's view of a store */
    sg__store *store;
    sg__ready *ready;     /* what is prepared of it, until it is overwritten: plan/standing.c */
    uint64_t assigned_in; /* reset and serial of the last overwrite, for staleness */
    uint32_t assigned_at;
    bool pending; /* to find what is assigned twice */
} sg__param;

static inline sg__param *sg__param_of(const sg_tensor *x)
{
    return x && x->op == &sg__param_op ? (sg__param *)(uintptr_t)x->attr : NULL;
}
/* The tensor of this context over a store; NULL without memory. */
sg_tensor *sg__param_node(sg_context *g, sg__store *s);
sg__store *sg__find_store(sg_context *g, const char *name);
sg__store *sg__new_store(sg_context *g, const char *name, sg_dtype dtype, sg_shape shape,
                         bool buffer);
void sg__overwritten(sg_tensor *param); /* notes that values recorded before are stale */
void sg__drop_ready(sg_tensor *param);
void sg__registry_drop(sg__registry *r);
void sg__forget_newest(sg__registry *r); /* takes back the store that was made last */
/* Initial values: a function of the seed, the name, the shape and the scheme. */
bool sg__initialize(sg_context *g, const sg__store *s, sg_init init, double gain, int blocks);
bool sg__match(const char *pattern, const char *text);

/* ---- context --------------------------------------------------------------------------------- */

typedef struct sg__cache sg__cache; /* of plans */
typedef struct sg__profile sg__profile;

typedef struct sg__list { /* of tensors, malloc'd */
    sg_tensor **x;
    size_t n, capacity;
} sg__list;

enum { SG__CONSTANTS = 6 };

struct sg_context {
    sg_status status;
    char message[SG_MESSAGE];
    sg_tensor *nil;
    uint64_t seed, generation; /* generation: number of resets */
    uint64_t draws; /* the same, counted on from what a loaded file says: part of random streams */
    uint64_t overwritten_in; /* the last reset in which a parameter was */
    uint32_t serial, epoch;  /* nodes made since the reset; walks so far */
    int isa, threads;
    size_t memory;              /* most bytes of a plan's workspace; 0: no limit */
    unsigned without;           /* passes of the planner that are left out */
    bool training, debug, busy; /* busy: inside an evaluation */
    bool evaluated;             /* since the reset: nodes have values */
    bool looked;                /* at values, or where a random stream is: set by whoever does */
    size_t unrecorded;          /* gradients of this tape; */
    sg_tensor *recorded;        /* the last that are */

    sg__arena tape;
    sg__arena resting[SG__RESTING]; /* tapes of earlier resets, in debug mode */
    sg__arena kept[2];              /* values, by parity of the generation they were kept in */
    sg_tensor *dead, *last_dead;    /* kept tensors whose time is over, the oldest first */
    size_t dead_count;
    sg__list carried;               /* kept before the last reset */
    sg__list keeps, wants, assigns; /* roots of the next evaluation, */
    sg__list roots;                 /* and all of its roots, once it is under way */
    sg__list leaves;                /* of a graph that is being recorded whole: unfold.c */
    sg_tensor *stream;
    sg_tensor *constants[SG_DTYPES][SG__CONSTANTS]; /* scalars that equal ones share */

    sg__dims **shapes;
    size_t shape_count, shape_capacity;
    sg__scope root, *scope, **scopes; /* all but the root by hash */
    size_t scope_count, scope_capacity, depth;

    sg__registry *registry;
    sg_tensor **params; /* this context's parameter nodes, by the number of their store */
    size_t param_count, param_capacity;
    sg__arena lasting;

    sg__list order;     /* what the last walk listed */
    sg_tensor **frames; /* stack of walks */
    size_t frame_capacity;
    sg__cache *cache;
    sg__pool *pool;    /* see sg__threads */
    sg__arena scratch; /* for the making of a plan; lists that grow there: */
    void *steps, *buffers;
    size_t step_capacity, buffer_capacity;
    sg__arena spare;                        /* of a plan that was dropped, for the next one */
    sg__arena sweeps;                       /* for gradients under way, one inside another */
    void *workspace;                        /* of all plans, 64-byte aligned */
    size_t workspace_bytes, workspace_room; /* of the largest plan; what there is */
    size_t ready_bytes;                     /* of what is prepared of parameters */
    void *code, **bases; /* scratch of evaluations: the encoded graph, where arrays are */
    size_t code_capacity, base_capacity;
    sg_stat stat;
    sg__profile *profile; /* NULL: not measured */
    double clock;         /* when what is being done now was begun */
};

void sg__profile_free(sg_context *g);
int sg__isa_named(const char *name); /* -1: unknown, or this CPU lacks it */
int sg__isa_best(void);
const char *sg__isa_name(int isa);
bool sg__list_add(sg_context *g, sg__list *l, sg_tensor *x);
/* With more than one thread: the pool, opened when there is work for it first; NULL with one, or
 * without memory: then the work is done alone, with the same result. */
sg__pool *sg__threads(sg_context *g);
sg_status sg__no_memory(sg_context *g, const char *what);

/* ---- walks ----------------------------------------------------------------------------------- */

/* Lists in g->order, operands first, all nodes that roots need: the canonical order, a function of
 * the graph alone. Sets mark and index of each. Nodes where it stops are listed, not entered.
 * Gradients that were not recorded so far are. False after an error. */
typedef enum {
    SG__EVERYTHING,
    SG__STOP_AT_VALUES,
    SG__WAY_BACK /* where cotangents go, to what is marked: copies of checkpoints change no order */
} sg__extent;
bool sg__walk(sg_context *g, int n, sg_tensor *const *roots, sg__extent extent);
bool sg__collect(sg_context *g, int n, sg_tensor *const *x);        /* into g->roots */
bool sg__execute(sg_context *g, size_t n, sg_tensor *const *roots); /* eval.c: roots of no value */

#endif
