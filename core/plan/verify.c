/* What a plan promises, checked in debug builds: every operand lies, when it is read, where the
 * step that made it wrote it, and nothing has been written over it since. */
#include "core/plan/plan.h"

#include <stdlib.h>

enum { UNIT = 64 };

static size_t units(const sg__buffer *b)
{
    return (b->bytes + UNIT - 1) / UNIT;
}

static bool owns(const uint32_t *owner, const sg__plan *p, uint32_t b)
{
    const sg__buffer *x = p->buffers + b;
    for (size_t i = 0; i < units(x); i++)
        if (owner[x->offset / UNIT + i] != b)
            return false;
    return true;
}

static void own(uint32_t *owner, const sg__plan *p, uint32_t b)
{
    const sg__buffer *x = p->buffers + b;
    for (size_t i = 0; i < units(x); i++)
        owner[x->offset / UNIT + i] = b;
}

static const char *check_step(const sg__plan *p, uint32_t step, uint32_t *owner)
{
    const sg__step *s = p->steps + step;
    uint32_t to = s->to.buffer;
    for (int k = 0; k < s->n; k++) {
        uint32_t b = s->from[k].buffer;
        if (s->from[k].base >= p->bases)
            return "an operand has no place";
        if (b != SG__NONE && !owns(owner, p, b))
            return "an operand was overwritten before it was read";
        if (b != SG__NONE && p->buffers[b].last < step)
            return "an operand is read after its last step";
    }
    if (s->scratch.buffer != SG__NONE)
        own(owner, p, s->scratch.buffer);
    if (to != SG__NONE)
        own(owner, p, to);
    for (int k = 0; k < s->n; k++) {
        uint32_t b = s->from[k].buffer;
        bool inherited = to != SG__NONE && p->buffers[to].inherits == b;
        if (b != SG__NONE && b != to && !inherited && !owns(owner, p, b))
            return "a result lies over an operand";
    }
    return NULL;
}

const char *sg__verify(const sg__plan *p)
{
    size_t n = p->workspace / UNIT + 1;
    for (size_t b = 0; b < p->buffer_count; b++)
        if (p->buffers[b].offset + p->buffers[b].bytes > p->workspace)
            return "a buffer reaches beyond the workspace";
    uint32_t *owner = malloc(n * sizeof *owner);
    if (!owner)
        return NULL; /* cannot tell */
    memset(owner, 0xFF, n * sizeof *owner);
    const char *broken = NULL;
    for (uint32_t i = 0; i < p->step_count && !broken; i++)
        broken = check_step(p, i, owner);
    for (size_t i = 0; i < p->root_count && !broken; i++)
        if (p->roots[i].place.buffer != SG__NONE && !owns(owner, p, p->roots[i].place.buffer))
            broken = "a value to assign was overwritten";
    free(owner);
    return broken;
}
