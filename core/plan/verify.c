/* What a plan promises, checked in debug builds: every operand lies, when it is read, where the
 * step that made it wrote it, and nothing has been written over it since; and from one meeting of
 * threads to the next none touches what another one writes. */
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

/* ---- threads --------------------------------------------------------------------------------- */

typedef struct touch { /* what a thread reads, or writes, of a step's array */
    sg__stretch at;
    uint32_t base;
    int thread;
    bool write;
    const sg__step *step; /* what its parts do is for itself to see to */
} touch;

static int by_place(const void *p, const void *q)
{
    const touch *x = p, *y = q;
    if (x->base != y->base)
        return x->base < y->base ? -1 : 1;
    return (x->at.from > y->at.from) - (x->at.from < y->at.from);
}

static size_t list_touches(const sg_context *g, const sg__plan *p, const sg__step *s, touch *x)
{
    int64_t pieces;
    const sg_shares none = {0}, all = sg__step_shares(g, s, &pieces);
    const sg_shares *shares = s->split || s->program ? &all : &none;
    size_t n = 0;
    for (int k = 0; k < s->n + s->m; k++) {
        const uint32_t b = s->at[k].buffer;
        const int64_t offset = b == SG__NONE ? 0 : (int64_t)p->buffers[b].offset;
        for (int i = 0; i < (s->split ? g->threads : 1); i++) {
            sg__stretch at = sg__stretch_of(s, k, shares, i, s->split ? g->threads : 1);
            if (at.from >= at.to || (s->at[k].base == 0 && b == SG__NONE))
                continue;
            at = (sg__stretch){at.from + offset, at.to + offset};
            x[n++] = (touch){at, s->at[k].base, s->split ? i : (int)s->owner, k >= s->n, s};
        }
    }
    return n;
}

static bool is_peaceful(touch *x, size_t n)
{
    qsort(x, n, sizeof *x, by_place);
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n && x[k].base == x[i].base && x[k].at.from < x[i].at.to; k++)
            if (x[i].thread != x[k].thread && x[i].step != x[k].step && (x[i].write || x[k].write))
                return false;
    return true;
}

static bool check_regions(const sg_context *g, const sg__plan *p)
{
    size_t most = 0, n = 0;
    for (size_t i = 0; i < p->step_count; i++)
        most += (size_t)(p->steps[i].n + p->steps[i].m) * (size_t)g->threads;
    touch *x = malloc((most + 1) * sizeof *x);
    bool good = true;
    for (size_t i = 0; x && good && i < p->step_count; i++) {
        if (p->steps[i].meets) {
            good = is_peaceful(x, n);
            n = 0;
        }
        n += list_touches(g, p, p->steps + i, x + n);
    }
    good = good && (!x || is_peaceful(x, n));
    free(x);
    return good;
}

/* ---------------------------------------------------------------------------------------------- */

const char *sg__verify(const sg_context *g, const sg__plan *p)
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
    if (!broken && p->split && !check_regions(g, p))
        broken = "a thread touches what another writes";
    return broken;
}
