/* An op of the planner's own: rows that lie here and there, as one array. */
#ifndef SG_GATHER_H
#define SG_GATHER_H

#include "core/plan/plan.h"

typedef struct sg__piece { /* in elements, as if arrays had no gaps */
    int64_t source;        /* which operand */
    int64_t from, size;    /* a stretch of it, */
    int64_t count, step;   /* so many times, from one to the next */
    int64_t to;
} sg__piece;

typedef struct sg__gather { /* lasts as long as the plan */
    const sg__piece *of;
    int64_t n;
} sg__gather;

extern const sg_op sg__gather_op;

#endif
