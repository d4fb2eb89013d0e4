/*
 * Plans: how a tape runs. Evaluating passes through, a file each:
 *
 *   order    the nodes that the roots need, in canonical order (sg__walk)
 *   key      their encoding, by which the plan of an equal graph is found again
 *   graph    what is to be computed, equal items once
 *   rewrite  sums of pieces as one piece
 *   layout   what is computed right where a larger array has it as a part
 *   emit     steps: views resolved into strides, copies where a kernel needs them, sums taken apart
 *   place    an offset in one workspace for every buffer, by liveness
 *   run      the steps
 */
#ifndef SG_PLAN_H
#define SG_PLAN_H

#include "core/internal.h"

/* Where an array is: so many bytes from bases[base]. Base 0 is the workspace, then follow the
 * leaves, then the roots' own arrays. */
typedef struct sg__place {
    uint32_t base;
    uint32_t buffer; /* if base is 0; SG__NONE otherwise */
    int64_t offset;
} sg__place;
#define SG__NONE UINT32_MAX

/* A stretch of workspace, alive from the step that fills it to the last that reads it. */
typedef struct sg__buffer {
    size_t bytes, offset;
    uint32_t first, last; /* steps */
    uint32_t inherits;    /* the buffer whose place it takes over in step `first`; or SG__NONE */
} sg__buffer;

/* The nested loops of a step by element: axes that go together are one. Of operands, then of the
 * result. */
enum { SG__MAP_OPERANDS = 3, SG__RESULT = SG__MAP_OPERANDS, SG__MAP_ARRAYS };
typedef struct sg__loop {
    int rank;                                                    /* of the outer axes */
    int64_t n;                                                   /* innermost */
    int64_t dim[SG_MAX_RANK], step[SG__MAP_ARRAYS][SG_MAX_RANK]; /* outer; in bytes */
    int64_t inner[SG__MAP_ARRAYS]; /* of the innermost axis, in elements */
} sg__loop;

/* One call of a kernel: by element if `map` is set (a copy, too, is by element), else op->run. */
typedef struct sg__step {
    const sg_op *op; /* NULL for copies */
    sg_map *map;
    const void *attr;
    uint32_t node; /* in canonical order: whom to name in errors */
    int n;
    sg__place *from, to, scratch;
    sg_array *in, out;
    const sg__loop *loop; /* by element, operands not all contiguous or single; else NULL: */
    int64_t size;         /* so many elements in one call */
    unsigned single;
} sg__step;

/* A root's value after the run; an assignment's is copied into its parameter from there. */
typedef struct sg__root {
    uint32_t node;
    bool assign;
    sg__place place;
} sg__root;

typedef struct sg__plan {
    sg__arena arena; /* all of it */
    uint32_t nodes, leaves, bases;
    sg__step *steps;
    size_t step_count, step_capacity;
    sg__buffer *buffers;
    size_t buffer_count, buffer_capacity;
    sg__root *roots;
    size_t root_count;
    size_t workspace;
} sg__plan;

typedef struct sg__request { /* what an evaluation was asked for, after sg__walk */
    sg_context *g;
    size_t n;
    sg_tensor *const *roots; /* without values, each once; or nodes of SG_OP_ROOT */
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
    bool needed;
    uint64_t hash;
} sg__item;

typedef struct sg__graph {
    sg_context *g;
    sg__arena arena;
    sg__item *x; /* operands first */
    size_t n, capacity;
    uint32_t *table; /* of items, by their hash */
    size_t slots;
    uint32_t *roots; /* the items of the request's roots */
    size_t root_count;
    uint32_t *order, ordered; /* what is needed for them */
} sg__graph;

/* graph.c: SG__NONE, NULL or false after raising an error */
bool sg__graph_open(const sg__request *r, sg__graph *gr);
void sg__graph_close(sg__graph *gr);
uint32_t sg__graph_add(sg__graph *gr, sg__item x); /* x, or the item that equals it */
uint32_t *sg__graph_list(sg__graph *gr, uint32_t n);
/* rewrite.c: x, or what computes the same */
uint32_t sg__rewrite(sg__graph *gr, sg__item x);
sg_array sg__whole(const sg__dims *d, int dtype); /* row-major, without data */

/* layout.c: where an item's result lies in the array of another one, `home`, which may be itself */
typedef struct sg__layout {
    uint32_t home;
    int64_t start;   /* in elements */
    int64_t *stride; /* NULL: row-major, from the home's start */
    sg_part *part;   /* of its operands, if it is made of them */
    bool *placed;    /* which of them are computed in their place, */
    bool *added;     /* and of a sum, which are pads of which only the operand is added */
    uint32_t blank;  /* of a home: list of the items in it that are filled with 0 first; */
    uint32_t next_blank; /* from item to item */
} sg__layout;
/* By item, for as long as the graph, strides for as long as `arena`; `own` tells which items must
 * have an array of their own. */
sg__layout *sg__lay_out(sg__graph *gr, sg__arena *arena, const uint32_t *own);

/* loop.c */
sg__loop sg__loop_over(const sg__step *s);

/* key.c */
typedef struct sg__code {
    const uint64_t *words;
    size_t n;
    uint64_t hash;
} sg__code;
bool sg__encode(const sg__request *r, sg__code *code);
sg__cache *sg__cache_open(void);
void sg__cache_close(sg__cache *c);
void sg__cache_limit(sg__cache *c, size_t plans);
size_t sg__cache_count(const sg__cache *c);
sg__plan *sg__cache_find(sg__cache *c, const sg__code *code);
/* Takes the plan over, even on failure: false without memory. */
bool sg__cache_add(sg__cache *c, const sg__code *code, sg__plan *p);

/* emit.c, place.c: NULL after raising an error */
sg__plan *sg__plan_make(const sg__request *r);
bool sg__emit(const sg__request *r, sg__graph *gr, sg__plan *p);
bool sg__place_all(sg_context *g, sg__plan *p);
void sg__plan_free(sg__plan *p);
size_t sg__plan_size(const sg__plan *p); /* bytes that it takes itself */
/* debug builds: NULL if the plan keeps its promises, else what it breaks */
const char *sg__verify(const sg__plan *p);

/* run.c: false after raising an error */
bool sg__run(const sg__request *r, sg__plan *p);
extern sg_map *const sg__copy_map[SG_DTYPES], *const sg__zero_map[SG_DTYPES];

/* text.c */
void sg__plan_print(FILE *f, const sg__plan *p);

uint64_t sg__hash(const void *p, size_t bytes);
/* The plan for a request, from the cache or made. */
sg__plan *sg__plan_of(const sg__request *r);

#endif
