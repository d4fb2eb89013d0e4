/* Groups of steps by element on their way to row programs: between fuse.c, which gathers them,
 * apart.c, which takes apart what is independent, and program.c, which makes of each what runs. */
#ifndef SG_FUSE_H
#define SG_FUSE_H

#include "core/plan/plan.h"

enum { SG__MEMBERS = 48, SG__TRACKS = SG__ARRAYS / 2 };

typedef struct sg__axes { /* of a step by element, those of one element left out */
    int rank;
    int64_t dim[SG_MAX_RANK];
} sg__axes;

typedef struct sg__seen { /* an array as a program sees it */
    sg__place at;
    sg_array array;
    int64_t stride[SG_MAX_RANK]; /* along the program's axes */
    int first_write, last_use;   /* instructions; -1: none */
    bool read_first;             /* what was there before is read */
    bool folded;                 /* the result of a reduction */
    int number;                  /* of the array in the step, or ~register */
    int next;                    /* of the group that lies in the same memory; -1: none */
} sg__seen;

typedef struct sg__group {
    sg__axes over;
    uint32_t node[SG__MEMBERS];
    int members, arrays;
    bool full; /* nothing may join it any more */
    sg__instruction code[SG__MEMBERS];
    sg__seen track[SG__TRACKS];
} sg__group;

/* A step's arrays were listed for the time of planning only: now they stay with the plan. */
bool sg__keep_arrays(sg_context *g, sg__plan *p, sg__step *s);
/* Makes the program of a group, as a step; `accesses` tells of each buffer how many arrays of all
 * steps are in it. False after raising an error. */
bool sg__make_program(sg_context *g, sg__plan *p, const uint32_t *accesses, sg__group *gr,
                      sg__step *s);
/* apart.c: those of all parts of a group that have nothing to do with each other; they are the next
 * of the plan's steps, of which so many are there. */
bool sg__make_programs(sg_context *g, sg__plan *p, const uint32_t *accesses, sg__group *gr,
                       size_t *count);

#endif
