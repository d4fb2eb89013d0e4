/* Arenas: bump allocation from chunks that double in size. Chunks are kept over a reset, so that a
 * training loop in its steady state never calls malloc. What is free begins and ends at multiples
 * of 16 bytes. */
#define _DEFAULT_SOURCE /* madvise */
#include "core/internal.h"

#include <stdlib.h>
#include <sys/mman.h>

struct sg__chunk {
    sg__chunk *next;
    size_t bytes; /* usable, behind this header */
};

enum { FIRST = 32 * 1024, LARGEST = 64 * 1024 * 1024, HEADER = 64 };

void *sg__new_block(size_t bytes)
{
    enum { SMALL = 64, LARGE = 2 << 20 };
    size_t unit = bytes >= 2 * (size_t)LARGE ? LARGE : SMALL;
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + unit - 1) / unit * unit;
    void *p = aligned_alloc(unit, bytes ? bytes : unit);
#ifdef MADV_HUGEPAGE
    if (p && unit == LARGE)
        madvise(p, bytes, MADV_HUGEPAGE); /* a hint */
#endif
    return p;
}

static void enter(sg__arena *a, sg__chunk *c)
{
    a->now = c;
    a->at = (char *)c + HEADER;
    a->end = a->at + c->bytes / 16 * 16;
}

/* Goes on to the first later chunk that is large enough, or a new one. */
static bool more(sg__arena *a, size_t bytes)
{
    while (a->now && a->now->next) {
        enter(a, a->now->next);
        if (a->now->bytes >= bytes)
            return true;
    }
    size_t size = a->now ? a->now->bytes : FIRST / 2;
    size = size < LARGEST / 2 ? size * 2 : LARGEST;
    if (size < bytes)
        size = bytes;
    sg__chunk *c = bytes > SIZE_MAX / 2 ? NULL : sg__new_block(HEADER + size);
    if (!c)
        return false;
    *c = (sg__chunk){.bytes = size};
    if (a->now)
        a->now->next = c;
    else
        a->first = c;
    enter(a, c);
    return true;
}

static void *take(sg__arena *a, size_t bytes, size_t alignment)
{
    for (;;) {
        uintptr_t at = ((uintptr_t)a->at + alignment - 1) & ~(uintptr_t)(alignment - 1);
        if (a->at && at <= (uintptr_t)a->end && bytes <= (uintptr_t)a->end - at) {
            a->at = (char *)at + (bytes + 15) / 16 * 16;
            return (void *)at;
        }
        if (bytes > SIZE_MAX / 4 || !more(a, bytes + alignment))
            return NULL;
    }
}

void *sg__alloc_more(sg__arena *a, size_t bytes)
{
    return take(a, bytes, 16);
}

void *sg__alloc_aligned(sg__arena *a, size_t bytes)
{
    return take(a, bytes, 64);
}

void sg__arena_reset(sg__arena *a)
{
    if (a->first)
        enter(a, a->first);
}

void sg__arena_lend(sg__arena *a, void *block, size_t bytes)
{
    sg__chunk *c = block;
    *c = (sg__chunk){a->first, bytes - HEADER};
    a->first = c;
    sg__arena_reset(a);
}

void sg__arena_give_back(sg__arena *a)
{
    *a = (sg__arena){.first = a->first->next};
    sg__arena_reset(a);
}

void sg__arena_part(sg__arena *a, sg__arena *rest)
{
    sg__chunk **unused = a->now ? &a->now->next : &a->first, **last = unused;
    while (*last)
        last = &(*last)->next;
    *last = rest->first;
    *rest = (sg__arena){.first = *unused};
    *unused = NULL;
    sg__arena_reset(rest);
}

sg__mark sg__arena_mark(const sg__arena *a)
{
    return (sg__mark){a->now, a->at, a->end};
}

void sg__arena_release(sg__arena *a, sg__mark m)
{
    if (!m.now) { /* it was empty */
        sg__arena_reset(a);
        return;
    }
    a->now = m.now;
    a->at = m.at;
    a->end = m.end;
}

size_t sg__arena_bytes(const sg__arena *a)
{
    size_t bytes = 0;
    for (const sg__chunk *c = a->first; c; c = c->next)
        bytes += HEADER + c->bytes;
    return bytes;
}

void sg__arena_free(sg__arena *a)
{
    for (sg__chunk *c = a->first, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    *a = (sg__arena){0};
}

bool sg__grow(void **p, size_t *capacity, size_t n, size_t element)
{
    if (n <= *capacity)
        return true;
    size_t larger = n > SIZE_MAX / 4 / element ? 0 : n + n / 2 + 16;
    void *q = larger ? realloc(*p, larger * element) : NULL;
    if (!q)
        return false;
    *p = q;
    *capacity = larger;
    return true;
}
