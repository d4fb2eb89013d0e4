/* Batching: what its sources share. See batch.c for the whole. */
#ifndef SG_BATCH_H
#define SG_BATCH_H

#include "core/plan/plan.h"

/* Numbers for strings of words: equal ones have one number, counted from 0. */
typedef struct sg__numbers {
    struct sg__numbered {
        uint64_t hash;
        const uint64_t *words;
        uint32_t n;
    } * of;
    uint32_t *table, count;
    size_t capacity, slots;
} sg__numbers;

/* Items of one op, attributes and shapes. Kind 0: what is never computed together with others. */
typedef struct sg__kind {
    uint32_t like; /* one of them */
    uint32_t form; /* equal for kinds whose items go together: only the number of rows differs;
                      SG__NONE if they never do */
    bool large;    /* as fast alone */
    bool alias;    /* they are a stretch of their operand, without a gap, from element `start` on */
    int64_t start;
    sg_rows how;
    int64_t rows; /* of one item */
    int64_t row;  /* elements in one */
} sg__kind;

/* What is known of an item of the graph as it was. */
typedef struct sg__member {
    uint32_t kind;
    uint32_t root;            /* what it is a stretch of, or itself: from element */
    int64_t start;            /* `start` on */
    uint32_t group;           /* of a root: in which it is computed, */
    uint32_t role;            /* equal for what stands in one place of equal formulas */
    uint32_t self;            /* a new item that is this one alone; SG__NONE: not made */
    int64_t at;               /* and from which element on it lies in its group */
    uint32_t anchor;          /* SG__NONE: it is none */
    uint32_t owner;           /* rank of the anchor that it is computed for, or with */
    uint64_t when;            /* level, and place in it: see batch.c */
    uint64_t who;             /* which operand it is, of what role */
    uint64_t near, other, to; /* see batch_order.c */
    uint32_t up; /* 1 + the highest level of an anchor that it is computed from, without others
                    between; 0: none */
    bool early;  /* computed with that, and not when it is needed */
    bool solo;   /* not to be joined with others */
} sg__member;

/* Items that are computed as one. */
typedef struct sg__group {
    uint32_t item; /* new */
    uint32_t count;
    uint32_t *members;
    uint64_t when;
    int64_t row;             /* elements of a row of its result */
    uint32_t gather, source; /* the last one that takes from it, from 1, and which operand it is */
} sg__group;

/* An item worth waiting for, so that others of its sort run with it. */
typedef struct sg__anchor {
    uint32_t item, sort; /* sort: equal for those that can run together */
    uint32_t chain, level, rank;
    uint32_t first, last; /* how many of its chain must run before it, after it */
} sg__anchor;

typedef struct sg__batcher {
    sg__graph *gr;
    sg__arena *lasting; /* as long as the plan */
    uint32_t n;         /* items of the graph as it was */
    sg__member *of;
    sg__kind *kinds;
    size_t kind_capacity;
    sg__numbers kind_numbers, form_numbers, group_numbers, gather_numbers;
    uint64_t *words;
    size_t word_capacity;
    sg__anchor *anchors;
    uint32_t anchor_count, levels;
    uint32_t *next; /* of each chain: the next one that needs it */
    sg__group *groups;
    uint32_t *gathered; /* items, by number */
    bool worth;         /* joining its groups */
} sg__batcher;

static inline const sg__item *sg__old(const sg__batcher *b, uint32_t i)
{
    return b->gr->x + i;
}
static inline const sg__kind *sg__kind_of(const sg__batcher *b, uint32_t i)
{
    return b->kinds + b->of[i].kind;
}
static inline bool sg__shares(const sg__kind *kind, uint32_t k) /* operand k */
{
    return k < 32 && kind->how.shared >> k & 1;
}

/* batch_kinds.c: false, NULL or SG__NONE after raising an error */
void *sg__batch_alloc(const sg__batcher *b, size_t n, size_t size);
uint64_t *sg__batch_words(sg__batcher *b, size_t n); /* room for so many, until the next call */
uint32_t sg__batch_number(sg__batcher *b, sg__numbers *t, uint32_t n, const uint64_t *words);
bool sg__batch_kinds(sg__batcher *b);
/* The shape of so many rows of an operand (k < n) or of the result of items of this kind. */
sg_shape sg__rows_shape(const sg__batcher *b, const sg__kind *kind, uint32_t k, int64_t rows);
/* The operands that all items of a group must have, as words after `at`; returns the end. */
uint64_t *sg__batch_shared(const sg__batcher *b, uint32_t i, uint64_t *at);

/* batch_order.c: sets levels and ranks of anchors; and near, other, to of all; false after raising
 * an error */
bool sg__order_anchors(sg__batcher *b);
static inline uint32_t sg__chain_near(uint64_t near) /* SG__NONE: none */
{
    return (uint32_t)(near >> 56) - 1;
}
static inline uint32_t sg__chain_to(uint64_t to) /* SG__NONE: none */
{
    return ~(uint32_t)(to >> 32);
}

/* batch.c: false after raising an error */
bool sg__batch_groups(sg__batcher *b);

/* batch_join.c: new items; SG__NONE or false after raising an error */
uint32_t sg__batch_alone(sg__batcher *b, uint32_t i);
bool sg__compute_group(sg__batcher *b, sg__group *g);

#endif
