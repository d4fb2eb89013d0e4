/* Emitting: what its sources share. */
#ifndef SG_EMIT_H
#define SG_EMIT_H

#include "core/plan/plan.h"

typedef struct sg__value { /* of an item */
    sg__place place;
    sg_array array; /* data is not used */
    bool there;     /* has a place */
} sg__value;

typedef struct sg__prepared { /* an item, for calls that read it */
    const sg_prepare *by;     /* NULL: not yet */
    sg__value value;
    int64_t readers;
} sg__prepared;

typedef struct sg__kernel { /* what a step runs */
    const sg_op *op;
    const void *attr;
    sg__standing *standing;
} sg__kernel;

typedef struct sg__due { /* one addition of a fold: once item `at` is there, operand k of item `sum`
                          */
    uint32_t sum, k, next;
} sg__due;

typedef struct sg__emitter {
    const sg__request *r;
    sg__graph *gr;
    sg__plan *p;
    sg__value *values;
    uint32_t *own;            /* an item's own base, where it is a root; else 0 */
    sg__layout *layout;       /* of each item */
    uint32_t *first, *latest; /* folds to do after an item: a list in `folds` */
    sg__due *folds;
    size_t fold_count;
    sg__prepared *prepared; /* by item; NULL: nothing is */
    uint32_t *lasting;      /* by base: 1 + the node of a parameter that the plan leaves as it is */
} sg__emitter;

static inline const sg__item *sg__item_of(const sg__emitter *e, uint32_t i)
{
    return e->gr->x + i;
}

/* Array k of a step: operands, then the result. */
static inline void sg__set(sg__step *s, int k, const sg__value *v)
{
    s->at[k] = v->place;
    s->array[k] = v->array;
}

bool sg__emit_fail(sg__emitter *e); /* raises that there is no memory */
/* A step is open until it is closed; NULL after an error. */
sg__step *sg__new_step(sg__emitter *e, uint32_t i, const sg_op *op, int n);
void sg__close_step(sg__emitter *e);
bool sg__close_map(sg__emitter *e, sg__step *s, sg_map *map);
bool sg__emit_copy(sg__emitter *e, uint32_t i, const sg__value *from, const sg__value *to);
bool sg__emit_zero(sg__emitter *e, uint32_t i, const sg__value *to);
bool sg__new_buffer(sg__emitter *e, size_t bytes, sg__place *place);
sg_map *sg__kernel_of(const sg__emitter *e, const sg_op *op, int dtype);
/* Where the result of an item is to be. Not while a step is open: this may need steps. */
sg__value *sg__give_place(sg__emitter *e, uint32_t i);

/* emit_prepare.c */
bool sg__count_readers(sg__emitter *e);
/* For the call of item i: an operand that is prepared, and what runs with it, where that is worth
 * it. */
bool sg__emit_prepared(sg__emitter *e, uint32_t i, const sg__value *out, sg__value *in,
                       sg__kernel *how);

/* emit_folds.c */
bool sg__schedule_folds(sg__emitter *e);
bool sg__emit_folds(sg__emitter *e, uint32_t after);

#endif
