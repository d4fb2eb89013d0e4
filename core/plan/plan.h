/*
 * Plans: how a tape runs. Evaluating passes through, a file each:
 *
 *   order   the nodes that the roots need, in canonical order (sg__walk)
 *   key     their encoding, by which the plan of an equal graph is found again
 *   emit    steps: views resolved into strides, copies where a kernel needs them, sums taken apart
 *   place   an offset in one workspace for every buffer, by liveness
 *   run     the steps
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

/* The nested loops of a step by element: axes that go together are one. */
enum { SG__MAP_OPERANDS = 3 };
typedef struct sg__loop {
    int rank;                                                      /* of the outer axes */
    int64_t n;                                                     /* innermost */
    int64_t dim[SG_MAX_RANK], step[SG__MAP_OPERANDS][SG_MAX_RANK]; /* outer; in bytes */
    int64_t inner[SG__MAP_OPERANDS]; /* of the innermost axis, in elements */
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
bool sg__emit(const sg__request *r, sg__plan *p);
bool sg__place_all(sg_context *g, sg__plan *p);
void sg__plan_free(sg__plan *p);
size_t sg__plan_size(const sg__plan *p); /* bytes that it takes itself */
/* debug builds: NULL if the plan keeps its promises, else what it breaks */
const char *sg__verify(const sg__plan *p);

/* run.c: false after raising an error */
bool sg__run(const sg__request *r, sg__plan *p);
extern sg_map *const sg__copy_map[SG_DTYPES];

/* text.c */
void sg__plan_print(FILE *f, const sg__plan *p);

uint64_t sg__hash(const void *p, size_t bytes);
/* The plan for a request, from the cache or made. */
sg__plan *sg__plan_of(const sg__request *r);

#endif
