/*
 * Plans: how a tape runs. Evaluating passes through, a file each:
 *
 *   order    the nodes that the roots need, in canonical order (sg__walk)
 *   key      their encoding, by which the plan of an equal graph is found again
 *   graph    what is to be computed, equal items once
 *   rewrite  sums of pieces as one piece
 *   batch    items of one form, of many sentences or trees, as rows of one
 *   sparse   what is the same in most rows: the other rows only
 *   layout   what is computed right where a larger array has it as a part
 *   emit     steps: views resolved into strides, copies where a kernel needs them, sums taken apart
 *   fuse     steps by element that go over the same axes as one row program
 *   early    the last steps that touch a large array, as soon as what they need is there
 *   assign   new values of parameters computed right in them
 *   chains   steps of few rows that need nothing of each other: to one thread each
 *   split    which thread does which steps, or which part of them, and where threads meet
 *   place    an offset in one workspace for every buffer, by liveness
 *   run      the steps; what is `standing` stays prepared for further runs
 */
#ifndef SG_PLAN_H
#define SG_PLAN_H

#include "core/internal.h"

/* Passes that can be left out (sg_open's `without`): none but `rewrite` changes any bit. */
enum {
    SG__REWRITE = 1,
    SG__BATCH = 2,
    SG__SPARSE = 4,
    SG__LAYOUT = 8,
    SG__FUSE = 16,
    SG__ASSIGN = 32,
    SG__SPLIT = 64,
    SG__PREPARE = 128,
    SG__EARLY = 256
};
static inline bool sg__without(const sg_context *g, unsigned pass)
{
    return g->without & pass;
}
/* passes.c: the bits of these, after raising an error if there is an unknown one */
unsigned sg__passes_named(sg_context *g, const char *names);

/* Where an array is: so many bytes from bases[base]. Base 0 is the workspace, then follow the
 * leaves, then the roots' own arrays. */
typedef struct sg__place {
    uint32_t base;
    uint32_t buffer; /* if base is 0 and the plan not finished; SG__NONE otherwise */
    int64_t offset;
} sg__place;
#define SG__NONE UINT32_MAX

typedef struct sg__stretch { /* of bytes */
    int64_t from, to;
} sg__stretch;
static inline bool sg__overlap(const sg__stretch *a, const sg__stretch *b)
{
    return a->from < b->to && b->from < a->to;
}

static inline void sg__stretch_add(sg__stretch *all, const sg__stretch *x)
{
    if (x->from >= x->to)
        return;
    const bool none = all->from >= all->to;
    all->from = none || x->from < all->from ? x->from : all->from;
    all->to = none || x->to > all->to ? x->to : all->to;
}

/* What a thread does with a buffer: in the last region in which any does, counted from 1; and all
 * that it writes there at any time. */
typedef struct sg__touched {
    sg__stretch read, written, ever;
    uint32_t region;
} sg__touched;

/* A stretch of workspace, alive from the step that fills it to the last that reads it. */
typedef struct sg__buffer {
    size_t bytes, offset;
    uint32_t first, last; /* steps */
    uint32_t inherits;    /* the buffer whose place it takes over in step `first`; or SG__NONE */
    bool inherited;       /* by another one */
} sg__buffer;

/* One instruction of a row program: a kernel by element, or one that reduces rows, the result of
 * which the program itself does not read. Its operands and result are arrays of the step by number,
 * or registers: tiles that no other step sees, ~number. */
enum { SG__MAP_OPERANDS = 3, SG__ARRAYS = 96 };
typedef struct sg__instruction {
    const sg_op *op; /* NULL: a copy, or zeros without operand */
    sg_map *map;
    sg_reduction *fold; /* instead of map; its state is a register, */
    int state;          /* this one */
    int16_t out, in[SG__MAP_OPERANDS];
    uint8_t n, single; /* see sg_map */
    bool dense;        /* several rows are one: all its arrays lie row by row without a gap */
    int64_t row[SG__MAP_OPERANDS + 1]; /* bytes from row to row of the operands, and the result */
} sg__instruction;

/* The same, where no more than a call is to be done: of SG__NAMES operands, the step's arrays and
 * behind them the registers. */
enum { SG__NAMES = 256 };
typedef struct sg__brief {
    sg_map *map;
    uint8_t single, out, in[SG__MAP_OPERANDS];
} sg__brief;

/* How a program goes over one of the step's arrays. */
typedef struct sg__track {
    int64_t step[SG_MAX_RANK]; /* of outer axes, in bytes */
    int64_t row;               /* of the last of them */
    int64_t inner;             /* of the innermost, in elements; neither 0 nor 1: by a tile */
    int tile;                  /* register for that */
    size_t width;              /* bytes of an element */
} sg__track;

enum { SG__LINE = 64 }; /* elements: a cache line of the narrowest, or more */

/* Instructions, done for one tile after the other of nested loops: a piece of the innermost axis,
 * or, where that is short, all of it for some rows. */
typedef struct sg__program {
    int rank; /* of the outer axes */
    int64_t dim[SG_MAX_RANK], n, tile, rows;
    bool folds; /* reduces rows, so that no row may be cut between threads */
    int count, registers;
    size_t register_bytes;
    sg__instruction *code;
    const sg__brief *brief; /* NULL: there is more to some of them */
    sg__track *track;
} sg__program;

/* What may not be cut between threads: elements of the outermost axis. */
static inline int64_t sg__program_unit(const sg__program *p)
{
    return p->rank ? 1 : p->folds && p->n > SG__LINE ? p->n : SG__LINE;
}

/* An operand of a step that is a parameter, or a view of one, and may stay prepared. */
typedef struct sg__standing {
    int operand;
    uint32_t node; /* the parameter */
    const sg_op *first;
    sg_array lies, ready; /* the operand as it is, and prepared; data is not used */
} sg__standing;

/* One call of a kernel, or a row program; before fuse.c, a step by element has `map` and no program
 * yet. Its arrays are n that are read, then m that are written. */
typedef struct sg__step {
    const sg_op *op; /* NULL: a copy, zeros, or a program */
    const void *attr;
    sg_map *map;
    sg__program *program;
    sg__standing *standing; /* or NULL */
    uint32_t node;          /* in canonical order: whom to name in errors */
    int n, m;
    sg__place *at;
    sg_array *array;
    bool split; /* between threads: part by part; else done by the thread `owner` */
    bool meets; /* threads meet before it */
    unsigned owner;
    uint32_t run;   /* of chains, that it is of one in, counted from 1; 0: none */
    int64_t pieces; /* equal ones of the result, between which it is cut; 0: anywhere */
} sg__step;

/* A root's value after the run; an assignment's is copied into its parameter from there. */
typedef struct sg__root {
    uint32_t node;
    bool assign;
    uint32_t param; /* base of the parameter that is assigned to */
    size_t bytes;
    sg__place place;
} sg__root;

/* Where a leaf's value is: in this array, or in the leaf of that number of the graph that the plan
 * is found by. */
typedef struct sg__source {
    const void *constant; /* or NULL */
    size_t leaf, bytes;
} sg__source;

typedef struct sg__plan {
    sg__arena arena; /* all of it, and its key in the cache */
    uint32_t nodes, leaves, bases;
    sg__source *sources; /* of leaves; NULL: those of the graph that it is found by */
    size_t given;        /* how many that has */
    sg__step *steps;
    size_t step_count;
    sg__buffer *buffers; /* while it is made, of the context; places are offsets then */
    size_t buffer_count;
    sg__touched *touched; /* as long: by buffer and thread; if the plan is split */
    sg__root *roots;
    size_t root_count;
    size_t workspace;         /* bytes; at its end, for each thread, */
    size_t own;               /* bytes of its own: for registers, or the scratch of an op */
    bool split;               /* more than one thread has something to do */
    double flops;             /* of its products */
    size_t meetings;          /* of theirs, but for the start and the end */
    size_t checkpoints, kept; /* of gradients; those that are not recomputed */
} sg__plan;

typedef struct sg__request { /* what an evaluation was asked for */
    sg_context *g;
    size_t n;
    sg_tensor *const *roots; /* without values, each once; or nodes of SG_OP_ROOT */
    bool runs;               /* not only to look at the plan */
} sg__request;

/* ---- the graph of a plan: what is to be computed, before it is known how ------------------- */

typedef struct sg__item {
    const sg_op *op; /* NULL: a leaf */
    const void *attr;
    const sg__dims *dims;
    uint32_t *in, n;
    uint32_t origin; /* node of the tape, in canonical order, that it is part of */
    uint32_t leaf;   /* number of a leaf, from 1 */
    uint32_t uses;
    uint8_t dtype;
} sg__item;

typedef struct sg__slot {
    uint32_t hash, item; /* the upper half of its hash; SG__NONE: free */
} sg__slot;

typedef struct sg__graph { /* lies in the context's scratch, until there is a plan */
    sg_context *g;
    sg__item *x; /* operands first */
    size_t n, capacity;
    sg__slot *table; /* of items, by their hash */
    size_t slots;
    uint32_t *roots; /* the items of the request's roots */
    size_t root_count;
    uint32_t *params, leaves; /* the leaf that each root assigns to, 0: none; and how many exist */
    uint32_t *order, ordered; /* what is needed for them; */
    size_t edges;             /* how many operands all that has */
    uint32_t updates;         /* the last of it: roots that are updates of rows, where they are */
    size_t checkpoints, kept; /* that gradients have; so many of them are not recomputed, the
                                 first that backward sweeps come to */
    const sg_tensor *after;   /* where the last of them begins */
} sg__graph;

/* graph.c: SG__NONE, NULL or false after raising an error */
bool sg__graph_open(const sg__request *r, size_t kept, sg__graph *gr);
uint32_t sg__graph_add(sg__graph *gr, sg__item x);    /* x, or the item that equals it */
uint32_t sg__graph_append(sg__graph *gr, sg__item x); /* a leaf */
uint32_t *sg__graph_list(sg__graph *gr, uint32_t n);
bool sg__graph_needed(sg__graph *gr); /* sets its order, anew if roots changed */
/* The same graph, computing nothing a second time. */
bool sg__graph_look_now(const sg__graph *gr, sg__graph *now);
/* rewrite.c: x, or what computes the same */
uint32_t sg__rewrite(sg__graph *gr, sg__item x);
uint32_t sg__rewrite_sum(sg__graph *gr, sg__item x);
sg_array sg__whole(const sg__dims *d, int dtype);    /* row-major, without data */
static inline bool sg__is_reshape(const sg__item *x) /* a view by the shapes alone */
{
    return x->op && x->op->view && x->op->view == x->op->back;
}
bool sg__sparse(sg__graph *gr); /* sparse.c: false after raising an error */
/* A new item, after the type and origin of `like`; rewritten. */
uint32_t sg__graph_new(sg__graph *gr, const sg__item *like, const sg_op *op, const void *attr,
                       sg_shape shape, uint32_t n, const uint32_t *in);
uint32_t sg__graph_reshape(sg__graph *gr, uint32_t i, sg_shape shape);
/* batch.c: many small items of one kind as one; `lasting`: as long as the plan */
bool sg__batch(sg__graph *gr, sg__arena *lasting);

/* schedule.c: false after raising an error */
bool sg__schedule(sg__graph *gr);

/* layout.c: where an item's result lies in the array of another one, `home`, which may be itself */
typedef struct sg__layout {
    uint32_t home;
    int64_t start;       /* in elements */
    int64_t *stride;     /* NULL: row-major, from the home's start */
    sg_part *part;       /* of its operands, if it is made of them */
    bool *placed;        /* which of them are computed in their place, */
    bool *added;         /* and of a sum, which are pads of which only the operand is added */
    uint32_t blank;      /* of a home: list of the items in it that are filled with 0 first; */
    uint32_t next_blank; /* from item to item */
} sg__layout;
/* By item, for as long as the graph; `own` tells which items must have an array of their own. */
sg__layout *sg__lay_out(sg__graph *gr, const uint32_t *own);

/* key.c */
typedef struct sg__code {
    const uint64_t *words;
    size_t n;
    uint64_t hash;
    bool unrecorded; /* there are gradients in it that are not recorded yet */
} sg__code;
sg__cache *sg__cache_open(sg_context *g);
void sg__cache_close(sg__cache *c);
void sg__cache_limit(sg__cache *c, size_t plans);
void sg__cache_clear(sg__cache *c);
size_t sg__cache_count(const sg__cache *c);
size_t sg__cache_bytes(const sg__cache *c);
/* Brings the graph of the request in order, with what there is to know of its nodes, and finds its
 * plan: false after an error; *p is NULL where there is none, and *code what to add it by. */
bool sg__find(const sg__request *r, sg__code *code, sg__plan **p);
/* Takes the plan over, even on failure: false without memory. */
bool sg__cache_add(sg__cache *c, const sg__code *code, sg__plan *p);

/* emit.c, fuse.c, early.c, place.c: NULL or false after raising an error */
sg__plan *sg__plan_make(const sg__request *r);
/* tight: rather without what takes more memory only to be faster */
bool sg__emit(const sg__request *r, sg__graph *gr, bool tight, sg__plan *p);
bool sg__fuse(sg_context *g, sg__plan *p);
bool sg__early(sg_context *g, sg__plan *p);
bool sg__assign_in_place(sg_context *g, sg__plan *p);
bool sg__split(sg_context *g, sg__plan *p);
bool sg__place_all(sg_context *g, sg__plan *p);
/* Whether an array is all of its buffer, in order; or as many elements without a gap. */
bool sg__is_whole(const sg__plan *p, const sg__place *at, const sg_array *a);
/* Of an array of a program the last instruction that reads it, -1: none; and the first that writes
 * it, -1: none, or a reduction, which writes while others are to be read for further rows. */
typedef struct sg__use {
    int last_read, first_write;
} sg__use;
void sg__uses_of(const sg__program *p, sg__use *uses); /* SG__ARRAYS */
/* share.c: how a step's result may be cut between threads; n is 0 where it cannot be. */
sg_shares sg__step_shares(const sg_context *g, const sg__step *s, int64_t *pieces);
/* Whether a result has so few rows that threads cannot share them. */
bool sg__is_thin(const sg_context *g, const sg_array *out);
/* The bytes of array k, from the start of its buffer or base, that a part of a step touches, or all
 * of it touches. */
sg__stretch sg__stretch_of(const sg__step *s, int k, const sg_shares *shares, int part, int parts);
void sg__plan_free(sg_context *g, sg__plan *p);
size_t sg__plan_size(const sg__plan *p); /* bytes that it takes itself, with its key */
/* debug builds: NULL if the plan keeps its promises, else what it breaks */
const char *sg__verify(const sg_context *g, const sg__plan *p);

static inline void *sg__locate(void *const *bases, const sg__place *at)
{
    return (char *)bases[at->base] + at->offset;
}
/* rows_run.c: one part of a program */
void sg__run_program(const sg__step *s, void *const *bases, char *tiles, int part, int parts);
bool sg__make_brief(sg__plan *p, sg__step *s); /* false without memory */
/* standing.c: an operand as it is prepared, or as it lies */
void sg__find_standing(const sg__request *r, const sg__plan *p, sg__step *s);
/* run.c: false after raising an error */
bool sg__run(const sg__request *r, sg__plan *p);
extern sg_map *const sg__copy_map[SG_DTYPES], *const sg__zero_map[SG_DTYPES];

/* info.c: 0 where the op does not count them */
double sg__step_flops(const sg__step *s);

/* profile.c: with a profile, when a thread was at a step; NULL without memory for it */
typedef struct sg__span {
    double from, to; /* 0: it was not */
} sg__span;
double sg__now(void);
sg__span *sg__profile_begin(sg_context *g, const sg__plan *p, int threads);
void sg__profile_end(const sg__request *r, const sg__plan *p, int threads);

/* text.c */
void sg__plan_print(FILE *f, const sg__plan *p);

uint64_t sg__hash(const void *p, size_t bytes);
/* unfold.c: gradients that were not recorded. Where it is known that more than the key of the graph
 * without them is asked for, they are before; false after raising an error. */
bool sg__all_recorded(const sg__request *r);
/* Records them, and brings the graph in order again; *sources are NULL if the gradients may be
 * other ones the next time that the same graph comes. False after raising an error. */
bool sg__unfold(const sg__request *r, sg__source **sources);
/* Where leaves are, by these: false without memory. */
bool sg__keep_sources(sg_context *g, sg__plan *p, const sg__source *sources);
void sg__fill_leaves(void **bases, const sg__plan *p); /* room for p->bases + p->given */
/* The plan for a request, from the cache or made. */
sg__plan *sg__plan_of(const sg__request *r);
/* That for tensors which a user asks about: NULL after an error, or if there is nothing to do. */
sg__plan *sg__plan_for(int n, sg_tensor *const *x, const char *what);

#endif
