/*
 * Early: the last steps that touch a large array, as soon as what they need is there.
 *
 * The gradient of a weight is in the walk over the graph behind all that the layers below need, and
 * so long the arrays are kept that it is computed from. Such steps go up, to right behind the
 * latest of what they need, where these arrays have more bytes than what is there sooner for it: at
 * no step more memory is alive than before. The steps stay what they are, so no bit changes.
 *
 * New values of parameters do not go up: they come last, when nothing can fail.
 */
#include "core/plan/plan.h"

enum { LARGE = 1 << 24 }; /* bytes that are worth a meeting of threads, or 3 % of a step */

typedef struct user { /* of a large buffer */
    uint32_t step;
    struct user *before;
} user;

typedef struct memory { /* a buffer, or the array of a base: */
    uint32_t read;      /* 1 + the latest step so far that reads it, */
    uint32_t written;   /* and that writes it */
    bool lasts;         /* until the end */
    user *last;
} memory;

typedef struct turn { /* of a step */
    uint32_t after;   /* how many of the first steps it needs */
    uint32_t turn;    /* the step whose turn it shares, behind it; its own number: it stays */
    size_t makes;     /* bytes of buffers that it is the first to fill */
} turn;

typedef struct mover {
    sg_context *g;
    sg__plan *p;
    size_t large;
    memory *memories;
    turn *turns;
    size_t moved;
} mover;

static bool any_large(const mover *x)
{
    for (size_t b = 0; b < x->p->buffer_count; b++)
        if (x->p->buffers[b].bytes >= x->large)
            return true;
    return false;
}

/* Buffers and bases as one numbering. */
static memory *memory_of(const mover *x, const sg__place *at)
{
    return x->memories + (at->buffer != SG__NONE ? at->buffer : x->p->buffer_count + at->base);
}

static bool prepare(mover *x)
{
    const size_t memories = x->p->buffer_count + x->p->bases;
    x->memories = sg__alloc(&x->g->scratch, memories * sizeof *x->memories);
    x->turns = sg__alloc(&x->g->scratch, x->p->step_count * sizeof *x->turns);
    if (!x->memories || !x->turns)
        return false;
    memset(x->memories, 0, memories * sizeof *x->memories);
    for (size_t i = 0; i < x->p->root_count; i++)
        memory_of(x, &x->p->roots[i].place)->lasts = x->p->roots[i].assign;
    return true;
}

/* Notes that step i reads or writes the memory. */
static bool touch(mover *x, uint32_t i, memory *m, bool writes)
{
    *(writes ? &m->written : &m->read) = i + 1;
    const size_t b = (size_t)(m - x->memories);
    if (b >= x->p->buffer_count || x->p->buffers[b].bytes < x->large ||
        (m->last && m->last->step == i))
        return true;
    user *u = sg__alloc(&x->g->scratch, sizeof *u);
    if (u)
        *u = (user){i, m->last};
    m->last = u;
    return u;
}

/* What each step must come after, and what it makes. */
static bool look_at(mover *x, uint32_t i)
{
    const sg__step *s = x->p->steps + i;
    turn t = {.turn = i};
    for (int k = 0; k < s->n + s->m; k++) {
        const memory *m = memory_of(x, &s->at[k]);
        t.after = m->written > t.after ? m->written : t.after;
        if (k < s->n)
            continue;
        t.after = m->lasts ? i : m->read > t.after ? m->read : t.after;
        if (s->at[k].buffer != SG__NONE && !m->written)
            t.makes += x->p->buffers[s->at[k].buffer].bytes;
    }
    x->turns[i] = t;
    bool ok = true;
    for (int k = 0; ok && k < s->n + s->m; k++)
        ok = touch(x, i, memory_of(x, &s->at[k]), k >= s->n);
    return ok;
}

/* Moves the last users of a buffer up, as many as make less than it is large. */
static void free_early(mover *x, const sg__buffer *b, const user *last)
{
    uint32_t after = 0, stays = 0; /* they go behind so many of the first steps */
    size_t makes = 0;
    for (const user *u = last; u && !stays; u = u->before) {
        const turn *t = x->turns + u->step;
        const bool moved = t->turn < u->step;
        const uint32_t least = moved ? t->turn + 1 : t->after;
        const size_t more = moved ? 0 : t->makes;
        if (least >= u->step || after >= u->step || makes + more >= b->bytes) {
            stays = u->step + 1;
        } else {
            after = least > after ? least : after;
            makes += more;
        }
    }
    after = after > stays ? after : stays;
    for (const user *u = last; after && u && u->step > after; u = u->before) {
        turn *t = x->turns + u->step;
        x->moved += t->turn == u->step;
        t->turn = t->turn == u->step ? after - 1 : t->turn;
    }
}

/* The steps in their new order: those that go up to one place in their old one. */
static bool reorder(mover *x)
{
    const size_t n = x->p->step_count;
    uint32_t *next = sg__alloc(&x->g->scratch, n * sizeof *next), at = 0;
    sg__step *old = sg__alloc(&x->g->scratch, n * sizeof *old);
    if (!next || !old)
        return false;
    memcpy(old, x->p->steps, n * sizeof *old);
    memset(next, 0, n * sizeof *next);
    for (size_t i = 0; i < n; i++)
        next[x->turns[i].turn]++;
    for (size_t i = 0; i < n; i++) {
        const uint32_t count = next[i];
        next[i] = at;
        at += count;
    }
    for (uint32_t i = 0; i < n; i++)
        x->p->steps[next[x->turns[i].turn]++] = old[i];
    return true;
}

bool sg__early(sg_context *g, sg__plan *p)
{
    mover x = {.g = g, .p = p, .large = g->memory ? 1 : LARGE};
    if (!any_large(&x))
        return true;
    bool ok = prepare(&x);
    for (uint32_t i = 0; ok && i < p->step_count; i++)
        ok = look_at(&x, i);
    for (size_t b = 0; ok && b < p->buffer_count; b++)
        if (x.memories[b].last && !x.memories[b].lasts)
            free_early(&x, p->buffers + b, x.memories[b].last);
    ok = ok && (!x.moved || reorder(&x));
    if (!ok)
        sg__no_memory(g, "a plan");
    return ok;
}
