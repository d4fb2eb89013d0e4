/* A backward sweep: what grad.c and checkpoint.c share. */
#ifndef SG_SWEEP_H
#define SG_SWEEP_H

#include "core/internal.h"

typedef struct sg__term { /* a contribution after the first; a list per node */
    sg_tensor *g;
    struct sg__term *next;
} sg__term;

typedef struct sg__gradient { /* of y by one node */
    sg_tensor *x;
    const uint32_t *in; /* where its operands are, behind checkpoints; not where x says: vjps may
                           walk, too */
    sg_tensor *first;   /* contribution */
    sg__term *more, *last;
    uint32_t count;
    bool needed; /* is one of xs, or leads there */
} sg__gradient;

typedef struct sg__replay { /* of one node; checkpoints are counted from 1 */
    sg_tensor *copy;        /* the last one; NULL: there is none */
    sg_tensor *now;         /* what vjps are to read: the copy, or a look at it or the node */
    sg_tensor *image;       /* the node by that; NULL: not recorded yet */
    uint32_t inside, input; /* the last checkpoint that it is inside of, or an input of, */
    uint32_t looked;        /* or was looked at for */
} sg__replay;

typedef struct sg__sweep {
    sg_context *g;
    size_t nodes;
    sg__gradient *of;     /* by canonical order */
    sg__replay *replay;   /* the same; NULL before the first checkpoint */
    uint32_t checkpoints; /* so far */
} sg__sweep;

/* Records again what is between checkpoint z and its inputs, to be computed when `after` is there;
 * false after raising an error. */
bool sg__recompute(sg__sweep *s, const sg__gradient *z, sg_tensor *after);
/* What vjps read for x, whose cotangents are those of the node at i. */
sg_tensor *sg__image(const sg__sweep *s, uint32_t i, sg_tensor *x);

#endif
