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

static bool inherited_here(const sg__plan *p, const sg__step *s, uint32_t b)
{
    for (int k = s->n; k < s->n + s->m; k++)
        if (s->at[k].buffer != SG__NONE && p->buffers[s->at[k].buffer].inherits == b)
            return true;
    return false;
}

static bool written_here(const sg__step *s, uint32_t b)
{
    for (int k = s->n; k < s->n + s->m; k++)
        if (s->at[k].buffer == b)
            return true;
    return false;
}

/* Whether a step reads something there: not from buffers that live in registers, nor nothing. */
static bool reads(const sg__plan *p, const sg__step *s, int k)
{
    for (int i = 0; i < s->array[k].rank; i++)
        if (s->array[k].dim[i] == 0)
            return false;
    return s->at[k].buffer != SG__NONE && p->buffers[s->at[k].buffer].first != SG__NONE;
}

static const char *check_step(const sg__plan *p, uint32_t step, uint32_t *owner)
{
    const sg__step *s = p->steps + step;
    for (int k = 0; k < s->n; k++) {
        uint32_t b = s->at[k].buffer;
        if (s->at[k].base >= p->bases)
            return "an operand has no place";
        if (reads(p, s, k) && !owns(owner, p, b))
            return "an operand was overwritten before it was read";
        if (reads(p, s, k) && p->buffers[b].last < step)
            return "an operand is read after its last step";
    }
    for (int k = s->n; k < s->n + s->m; k++)
        if (s->at[k].buffer != SG__NONE)
            own(owner, p, s->at[k].buffer);
    for (int k = 0; k < s->n; k++) {
        uint32_t b = s->at[k].buffer;
        if (reads(p, s, k) && !written_here(s, b) && !inherited_here(p, s, b) && !owns(owner, p, b))
            return "a result lies over an operand";
    }
    return NULL;
}

const char *sg__verify(const sg__plan *p)
{
    size_t n = p->workspace / UNIT + 1;
    for (size_t b = 0; b < p->buffer_count; b++)
        if (p->buffers[b].first != SG__NONE &&
            p->buffers[b].offset + p->buffers[b].bytes > p->workspace)
            return "a buffer reaches beyond the workspace";
    uint32_t *owner = malloc(n * sizeof *owner);
    if (!owner)
        return NULL; /* cannot tell */
    memset(owner, 0xFF, n * sizeof *owner);
    const char *broken = NULL;
    for (uint32_t i = 0; i < p->step_count && !broken; i++)
        broken = check_step(p, i, owner);
    for (size_t i = 0; i < p->root_count && !broken; i++) {
        uint32_t b = p->roots[i].place.buffer;
        if (b != SG__NONE && p->buffers[b].first != SG__NONE && !owns(owner, p, b))
            broken = "a value to assign was overwritten";
    }
    free(owner);
    return broken;
}
