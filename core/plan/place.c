/* Placing: an offset in the workspace for every buffer, so that buffers alive at the same step do
 * not overlap. Free stretches are kept by size class and joined with free neighbours (as in TLSF,
 * Masmano et al. 2004), so that the cost of a placement does not grow with their number. A step by
 * element, or by row (SG_OP_OVER), writes over an operand that nobody reads later. */
#include "core/plan/plan.h"

#include <stdlib.h>

enum { UNIT = 64, CLASSES = 512, LOOK = 8 };

typedef struct stretch {
    size_t offset, size;    /* in units */
    uint32_t before, after; /* neighbours in memory */
    uint32_t left, right;   /* in the list of its class */
    bool free;
} stretch;

typedef struct heap {
    stretch *s;
    size_t n, capacity;
    uint32_t head[CLASSES], last; /* last in memory */
    uint32_t unused;              /* records to use again, linked by right */
    size_t top;
} heap;

/* Sizes up to 16 units have classes of their own, then 8 classes each doubling. */
static unsigned class_of(size_t size)
{
    if (size < 16)
        return (unsigned)size;
    unsigned log = 63u - (unsigned)__builtin_clzll(size);
    return 16 + (log - 4) * 8 + (unsigned)(size >> (log - 3) & 7);
}

static void take_out(heap *h, uint32_t i)
{
    stretch *s = h->s + i;
    *(s->left != SG__NONE ? &h->s[s->left].right : &h->head[class_of(s->size)]) = s->right;
    if (s->right != SG__NONE)
        h->s[s->right].left = s->left;
    s->free = false;
}

static void put_in(heap *h, uint32_t i)
{
    stretch *s = h->s + i;
    unsigned c = class_of(s->size);
    s->free = true;
    s->left = SG__NONE;
    s->right = h->head[c];
    if (s->right != SG__NONE)
        h->s[s->right].left = i;
    h->head[c] = i;
}

static uint32_t new_record(heap *h)
{
    if (h->unused != SG__NONE) {
        uint32_t i = h->unused;
        h->unused = h->s[i].right;
        return i;
    }
    void *p = h->s;
    if (!sg__grow(&p, &h->capacity, h->n + 1, sizeof *h->s))
        return SG__NONE;
    h->s = p;
    return (uint32_t)h->n++;
}

/* A free stretch of at least this size: a few of its own class are looked at, any of a larger fits.
 */
static uint32_t find(const heap *h, size_t size)
{
    unsigned c = class_of(size);
    uint32_t i = h->head[c];
    for (int k = 0; k < LOOK && i != SG__NONE; k++, i = h->s[i].right)
        if (h->s[i].size >= size)
            return i;
    while (++c < CLASSES)
        if (h->head[c] != SG__NONE)
            return h->head[c];
    return SG__NONE;
}

static uint32_t at_top(heap *h, size_t size)
{
    uint32_t i = h->last;
    if (i != SG__NONE && h->s[i].free) {
        take_out(h, i);
        h->top += size - h->s[i].size;
        h->s[i].size = size;
        return i;
    }
    i = new_record(h);
    if (i == SG__NONE)
        return i;
    h->s[i] = (stretch){.offset = h->top, .size = size, .before = h->last, .after = SG__NONE};
    if (h->last != SG__NONE)
        h->s[h->last].after = i;
    h->last = i;
    h->top += size;
    return i;
}

static uint32_t reserve(heap *h, size_t bytes)
{
    size_t size = (bytes + UNIT - 1) / UNIT;
    uint32_t i = find(h, size);
    if (i == SG__NONE)
        return at_top(h, size);
    take_out(h, i);
    if (h->s[i].size == size)
        return i;
    uint32_t rest = new_record(h);
    if (rest == SG__NONE)
        return SG__NONE;
    stretch *s = h->s + i;
    h->s[rest] = (stretch){
        .offset = s->offset + size, .size = s->size - size, .before = i, .after = s->after};
    *(s->after != SG__NONE ? &h->s[s->after].before : &h->last) = rest;
    s->after = rest;
    s->size = size;
    put_in(h, rest);
    return i;
}

/* Joins stretch b, right behind a, to a. */
static void join(heap *h, uint32_t a, uint32_t b)
{
    h->s[a].size += h->s[b].size;
    h->s[a].after = h->s[b].after;
    *(h->s[b].after != SG__NONE ? &h->s[h->s[b].after].before : &h->last) = a;
    h->s[b].right = h->unused;
    h->unused = b;
}

static void release(heap *h, uint32_t i)
{
    uint32_t before = h->s[i].before, after = h->s[i].after;
    if (after != SG__NONE && h->s[after].free) {
        take_out(h, after);
        join(h, i, after);
    }
    if (before != SG__NONE && h->s[before].free) {
        take_out(h, before);
        join(h, before, i);
        i = before;
    }
    put_in(h, i);
}

/* Whether no element of operand j is read after the same one of result r is written. */
static bool read_before(const sg__step *s, int j, int r)
{
    if (s->program)
        return sg__last_read(s->program, j) <= sg__first_write(s->program, r);
    return j == 0 && s->op->flags & SG_OP_OVER;
}

/* The operand whose buffer result r of a step may be written over: as large, element for element,
 * and read for the last time before. */
static uint32_t heir(const sg__plan *p, uint32_t step, int r)
{
    const sg__step *s = p->steps + step;
    if (!sg__is_whole(p, &s->at[r], &s->array[r]))
        return SG__NONE;
    size_t bytes = p->buffers[s->at[r].buffer].bytes;
    for (int k = 0; k < s->n; k++) {
        uint32_t b = s->at[k].buffer;
        bool fits = b != SG__NONE && p->buffers[b].last == step && !p->buffers[b].inherited &&
                    p->buffers[b].bytes == bytes;
        for (int j = 0; fits && j < s->n + s->m; j++)
            if (s->at[j].buffer == b)
                fits = j < s->n && sg__is_whole(p, &s->at[j], &s->array[j]) &&
                       sg__dtype_size(s->array[j].dtype) == sg__dtype_size(s->array[r].dtype) &&
                       read_before(s, j, r);
        if (fits)
            return b;
    }
    return SG__NONE;
}

typedef struct lists { /* of buffers by step: those it begins with, those that end with it */
    uint32_t *born, *next_born, *dead, *next_dead, *record;
} lists;

static bool begin(sg__plan *p, heap *h, lists *l, uint32_t step, uint32_t b)
{
    sg__buffer *x = p->buffers + b;
    const sg__step *s = p->steps + step;
    for (int r = s->n; r < s->n + s->m && x->inherits == SG__NONE; r++)
        if (s->at[r].buffer == b)
            x->inherits = heir(p, step, r);
    if (x->inherits != SG__NONE) {
        p->buffers[x->inherits].inherited = true;
        l->record[b] = l->record[x->inherits];
        l->record[x->inherits] = SG__NONE;
    } else {
        l->record[b] = reserve(h, x->bytes);
    }
    if (l->record[b] == SG__NONE)
        return false;
    x->offset = h->s[l->record[b]].offset * UNIT;
    return true;
}

static bool place_all(sg__plan *p, heap *h, lists *l)
{
    for (uint32_t step = 0; step < p->step_count; step++) {
        for (uint32_t b = l->born[step]; b != SG__NONE; b = l->next_born[b])
            if (!begin(p, h, l, step, b))
                return false;
        for (uint32_t b = l->dead[step]; b != SG__NONE; b = l->next_dead[b])
            if (l->record[b] != SG__NONE)
                release(h, l->record[b]);
    }
    return true;
}

static void touch(sg__plan *p, const sg__place *at, uint32_t step)
{
    if (at->buffer == SG__NONE)
        return;
    sg__buffer *b = p->buffers + at->buffer;
    b->first = b->first == SG__NONE ? step : b->first;
    b->last = step;
}

/* When each buffer is needed. What is assigned at the end is, until then. */
static void find_lives(sg__plan *p)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        const sg__step *s = p->steps + i;
        for (int k = 0; k < s->n + s->m; k++)
            touch(p, &s->at[k], i);
    }
    for (size_t i = 0; i < p->root_count; i++)
        if (p->roots[i].place.buffer != SG__NONE &&
            p->buffers[p->roots[i].place.buffer].first != SG__NONE)
            p->buffers[p->roots[i].place.buffer].last = (uint32_t)p->step_count;
}

static bool make_lists(sg__plan *p, sg__arena *a, lists *l)
{
    size_t steps = p->step_count + 1, buffers = p->buffer_count;
    l->born = sg__alloc(a, steps * sizeof *l->born);
    l->dead = sg__alloc(a, steps * sizeof *l->dead);
    l->next_born = sg__alloc(a, buffers * sizeof *l->next_born);
    l->next_dead = sg__alloc(a, buffers * sizeof *l->next_dead);
    l->record = sg__alloc(a, buffers * sizeof *l->record);
    if (!l->born || !l->dead || !l->next_born || !l->next_dead || !l->record)
        return false;
    memset(l->born, 0xFF, steps * sizeof *l->born);
    memset(l->dead, 0xFF, steps * sizeof *l->dead);
    for (uint32_t b = (uint32_t)buffers; b-- > 0;) {
        const sg__buffer *x = p->buffers + b;
        if (x->first == SG__NONE)
            continue; /* lives in registers, or is empty */
        l->next_born[b] = l->born[x->first];
        l->born[x->first] = b;
        l->next_dead[b] = l->dead[x->last];
        l->dead[x->last] = b;
    }
    return true;
}

bool sg__place_all(sg_context *g, sg__plan *p)
{
    heap h = {.last = SG__NONE, .unused = SG__NONE};
    lists l;
    memset(h.head, 0xFF, sizeof h.head);
    find_lives(p);
    bool ok = make_lists(p, &g->scratch, &l) && place_all(p, &h, &l);
    p->workspace = h.top * UNIT + (size_t)g->threads * p->own;
    free(h.s);
    if (!ok)
        sg__no_memory(g, "a plan");
    return ok;
}
