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
    bool waits;    /* may be anchors */
    bool alike;    /* it is no matter which operand something is */
    bool alias;    /* they are a stretch of their operand, without a gap, from element `start` on */
    int64_t start;
    sg_rows how;
    uint32_t same; /* operands that are one for all that go together, by bits */
    int64_t rows;  /* of one item */
    int64_t row;   /* elements in one */
} sg__kind;

/* Where the value of an item of the graph as it was is found. */
typedef struct sg__spot {
    uint32_t member; /* this one, or the one that it is a stretch of: from element */
    uint32_t self;   /* a new item that is this one alone; SG__NONE: not made */
    int64_t start;   /* `start` on */
} sg__spot;

/* An item that is no stretch of another one: what is to be computed, in the graph's order. */
typedef struct sg__member {
    uint32_t item, kind;
    uint32_t group;    /* in which it is computed, */
    uint32_t role;     /* equal for what stands in one place of equal formulas */
    uint32_t owner;    /* rank of the anchor that it is computed for, or with */
    bool anchor, late; /* late: computed when it is needed; early: neither of both */
    bool solo;         /* not to be joined with others */
    uint64_t when;     /* level, and place in it: see batch.c */
    uint64_t who;      /* which operand it is, of what role */
    int64_t at;        /* from which element on it lies in its group */
} sg__member;

/* Members that are computed as one. */
typedef struct sg__group {
    uint32_t item; /* new */
    uint32_t count;
    uint32_t *members;
    uint64_t when;
    int64_t row;             /* elements of a row of its result */
    uint32_t gather, source; /* the last one that takes from it, from 1, and which operand it is */
} sg__group;

/* A member worth waiting for, so that others of its sort run with it. */
typedef struct sg__anchor {
    uint32_t member, sort; /* sort: equal for those that can run together */
    uint32_t chain, level, rank;
    uint32_t first, last; /* how many of its chain must run before it, after it */
    uint64_t near, other; /* see batch_order.c */
} sg__anchor;

typedef struct sg__batcher {
    sg__graph *gr;
    sg__arena *lasting; /* as long as the plan */
    sg__spot *spots;    /* by item */
    sg__member *of;
    uint32_t n;           /* members */
    uint32_t *first, *in; /* the operands of member m are in[first[m]] … in[first[m + 1] - 1], */
    int64_t *start;       /* from these elements on */
    sg__kind *kinds;
    size_t kind_capacity;
    sg__numbers kind_numbers, form_numbers, sort_numbers, group_numbers, gather_numbers;
    uint64_t *words;
    size_t word_capacity;
    sg__anchor *anchors; /* in the order of members */
    uint32_t anchor_count, levels;
    bool *leads; /* what is computed from one linked chain alone, for that or the next */
    sg__group *groups;
    uint32_t *gathered; /* items, by number */
    bool worth;         /* joining its groups */
} sg__batcher;

static inline const sg__item *sg__old(const sg__batcher *b, uint32_t i)
{
    return b->gr->x + i;
}
static inline const sg__kind *sg__kind_of(const sg__batcher *b, uint32_t m)
{
    return b->kinds + b->of[m].kind;
}
static inline bool sg__shares(const sg__kind *kind, uint32_t k) /* operand k */
{
    return k < 32 && kind->how.shared >> k & 1;
}

/* batch_kinds.c: false, NULL or SG__NONE after raising an error */
void *sg__batch_alloc(const sg__batcher *b, size_t n, size_t size);
uint64_t *sg__batch_words(sg__batcher *b, size_t n); /* room for so many, until the next call */
uint32_t sg__batch_number(sg__batcher *b, sg__numbers *t, uint32_t n, const uint64_t *words);
uint32_t sg__batch_new_number(sg__batcher *b, sg__numbers *t); /* of no words */
bool sg__batch_kinds(sg__batcher *b);
/* The shape of so many rows of an operand (k < n) or of the result of items of this kind. */
sg_shape sg__rows_shape(const sg__batcher *b, const sg__kind *kind, uint32_t k, int64_t rows);
/* The operands that all of a group must have, as words after `at`; returns the end. */
uint64_t *sg__batch_shared(const sg__batcher *b, uint32_t m, uint64_t *at);

/* batch_order.c: finds anchors among those that wait, their levels and ranks, and what leads on;
 * false after raising an error */
bool sg__order_anchors(sg__batcher *b);

/* batch.c: false after raising an error */
bool sg__batch_groups(sg__batcher *b);

/* batch_join.c: new items; SG__NONE or false after raising an error */
uint32_t sg__batch_alone(sg__batcher *b, uint32_t i);
bool sg__compute_group(sg__batcher *b, sg__group *g);

#endif
