/* Placing: an offset in the workspace for every buffer, so that buffers alive at the same step do
 * not overlap. Free stretches are kept by size class and joined with free neighbours (as in TLSF,
 * Masmano et al. 2004), so that the cost of a placement does not grow with their number. A step by
 * element writes over an operand that nobody reads later. */
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

static int64_t size_of(const sg_array *a)
{
    int64_t size = 1;
    for (int i = 0; i < a->rank; i++)
        size *= a->dim[i];
    return size;
}

/* The operand whose buffer the step may write its result over: as large, read for the last time,
 * element for element. */
static uint32_t heir(const sg__plan *p, uint32_t step)
{
    const sg__step *s = p->steps + step;
    if (!s->map || s->to.buffer == SG__NONE || p->buffers[s->to.buffer].first != step)
        return SG__NONE;
    size_t bytes = p->buffers[s->to.buffer].bytes;
    if (s->to.offset || !sg__contiguous(&s->out) ||
        (size_t)s->size * sg__dtype_size(s->out.dtype) < bytes)
        return SG__NONE; /* a part of a larger array */
    for (int k = 0; k < s->n; k++) {
        uint32_t b = s->from[k].buffer;
        bool fits = b != SG__NONE && b != s->to.buffer && p->buffers[b].last == step &&
                    p->buffers[b].bytes == bytes;
        for (int j = 0; fits && j < s->n; j++)
            if (s->from[j].buffer == b)
                fits = s->from[j].offset == 0 && sg__contiguous(&s->in[j]) &&
                       size_of(&s->in[j]) == size_of(&s->out);
        if (fits)
            return b;
    }
    return SG__NONE;
}

typedef struct deaths { /* lists of buffers by the step after which they are free */
    uint32_t *head, *next, *record;
} deaths;

static bool place_all(sg__plan *p, heap *h, deaths *d)
{
    uint32_t b = 0;
    for (uint32_t step = 0; step < p->step_count; step++) {
        for (; b < p->buffer_count && p->buffers[b].first == step; b++) {
            sg__buffer *x = p->buffers + b;
            if (p->steps[step].to.buffer == b)
                x->inherits = heir(p, step);
            d->record[b] = x->inherits != SG__NONE ? d->record[x->inherits] : reserve(h, x->bytes);
            if (d->record[b] == SG__NONE)
                return false;
            if (x->inherits != SG__NONE)
                d->record[x->inherits] = SG__NONE;
            x->offset = h->s[d->record[b]].offset * UNIT;
        }
        for (uint32_t i = d->head[step]; i != SG__NONE; i = d->next[i])
            if (d->record[i] != SG__NONE)
                release(h, d->record[i]);
    }
    return true;
}

bool sg__place_all(sg_context *g, sg__plan *p)
{
    heap h = {.last = SG__NONE, .unused = SG__NONE};
    sg__arena temporary = {0};
    deaths d;
    memset(h.head, 0xFF, sizeof h.head);
    d.head = sg__alloc(&temporary, (p->step_count + 1) * sizeof *d.head);
    d.next = sg__alloc(&temporary, p->buffer_count * sizeof *d.next);
    d.record = sg__alloc(&temporary, p->buffer_count * sizeof *d.record);
    bool ok = d.head && d.next && d.record;
    if (ok) {
        memset(d.head, 0xFF, (p->step_count + 1) * sizeof *d.head);
        for (uint32_t i = (uint32_t)p->buffer_count; i-- > 0;) {
            d.next[i] = d.head[p->buffers[i].last];
            d.head[p->buffers[i].last] = i;
        }
        ok = place_all(p, &h, &d);
    }
    p->workspace = h.top * UNIT;
    free(h.s);
    sg__arena_free(&temporary);
    if (!ok)
        sg__no_memory(g, "a plan");
    return ok;
}
