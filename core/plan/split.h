/* What split.c, which has threads share steps, and chains.c, which gives them steps whole, both ask
 * of a step. */
#ifndef SG_SPLIT_H
#define SG_SPLIT_H

#include "core/array.h"
#include "core/plan/plan.h"

#ifdef NDEBUG
enum { SG__LEAST = 4096 }; /* elements of a step that is worth a meeting */
#else
enum { SG__LEAST = 2 }; /* so that tests see what becomes of it */
#endif

/* Buffers and bases as one numbering. */
static inline size_t sg__memory_at(const sg__plan *p, const sg__place *at)
{
    return at->buffer != SG__NONE ? at->buffer : p->buffer_count + at->base;
}

/* Arrays that need no look: there are none, or nobody writes to them; `written` is by base. */
static inline bool sg__nobody_writes(const bool *written, const sg__place *at)
{
    return at->base == 0 ? at->buffer == SG__NONE : !written[at->base];
}

static inline bool sg__writes_parameter(const sg__plan *p, const sg__step *s)
{
    bool writes = false;
    for (int k = s->n; k < s->n + s->m; k++)
        writes = writes || (s->at[k].base > 0 && s->at[k].base <= p->leaves);
    return writes;
}

/* By how many elements a step is worth splitting. */
static inline int64_t sg__work_of(const sg__step *s)
{
    int64_t most = 0;
    for (int k = 0; k < s->n + s->m; k++) {
        const int64_t size = sg__elements(&s->array[k]);
        most = size > most ? size : most;
    }
    return s->program ? most * s->program->count : most;
}

static inline bool sg__can_split(const sg__step *s, const sg_shares *shares)
{
    return shares->n ? shares->n > shares->unit : !s->program && s->op->flags & SG_OP_SPLIT;
}

/* Looks for chains, and puts the steps of each run of them one after the other: false without
 * memory. */
bool sg__find_chains(sg_context *g, sg__plan *p, const bool *written);

#endif
