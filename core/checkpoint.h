/* Checkpoints: what grad.c and checkpoint.c share. */
#ifndef SG_CHECKPOINT_H
#define SG_CHECKPOINT_H

#include "core/internal.h"

typedef struct sg__replay { /* of one node; checkpoints are counted from 1 */
    sg_tensor *copy;        /* the last one; NULL: there is none */
    sg_tensor *now;         /* what vjps are to read: the copy, or a look at it or the node */
    sg_tensor *image;       /* the node by that; NULL: not recorded yet */
    uint32_t inside, input; /* the last checkpoint that it is inside of, or an input of, */
    uint32_t looked;        /* or was looked at for */
} sg__replay;

/* The copies that a sweep over `order` made. */
typedef struct sg__replays {
    sg_tensor *const *order;
    size_t n;
    uint32_t epoch; /* of its walk */
    sg__arena *arena;
    sg__replay *of; /* by canonical order; NULL before the first checkpoint */
    uint32_t count; /* of checkpoints so far */
} sg__replays;

/* Records again what is between checkpoint z and its inputs, to be computed when `after` is there;
 * false after raising an error. */
bool sg__recompute(sg__replays *r, const sg_tensor *z, sg_tensor *after);
/* What vjps read for x. */
sg_tensor *sg__image(const sg__replays *r, sg_tensor *x);

#endif
