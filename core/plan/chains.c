/*
 * Chains: steps of so few rows that threads cannot share them, such as those of a recurrence over
 * one sentence. Cut at their columns they have threads meet at every one. Where several chains need
 * nothing of each other, as the two directions of a layer, each is given whole to one thread, its
 * owner, and threads meet when all are done.
 *
 * A run is a stretch of the plan that such steps are in. What else stands between them goes before
 * the run if it needs none of them, else behind it; a step that needs what went behind ends the
 * run. Steps of which one touches what the other one writes are of one chain. A run is left as it
 * was if sharing its steps is expected to take no longer.
 */
#include "core/plan/split.h"

#include <stdlib.h>

enum { TRIES = 2 }; /* so many steps may come before chains part */

typedef enum kind { BEFORE, CHAINED, BEHIND, KINDS } kind;

typedef struct touch { /* by a step in the run, or behind it */
    sg__stretch at;
    size_t memory;
    uint32_t step, next; /* in the same memory */
    bool write;
} touch;

typedef struct chain {
    int64_t work;   /* of all its steps */
    int64_t shared; /* how long they take if each that is worth it is shared */
    uint32_t first, steps;
} chain;

typedef struct finder {
    sg_context *g;
    sg__plan *p;
    const bool *written; /* by base */
    uint32_t begin;      /* of the run */
    uint32_t run;        /* so many were found */
    int tries;           /* how often the run was begun again */
    kind *kinds;         /* by step */
    uint32_t *earlier;   /* by step: another one of its chain, or itself */
    chain *chains;       /* by first step */
    touch *touches;
    uint32_t touch_count;
    uint32_t *last;      /* by memory: of its touches; SG__NONE: none */
    sg__stretch *whole;  /* of the step at hand, by array; */
    uint32_t *near;      /* chains that it touches, each once, */
    uint32_t near_count; /* so many; */
    uint32_t *met;       /* by chain: the last of the looks that met it */
    uint32_t looks;
    bool behind;   /* whether it touches what went behind; */
    bool begins;   /* whether it touches nothing, and can be shared */
    chain *list;   /* those of a run */
    int64_t *busy; /* by thread */
    sg__step *order;
} finder;

/* ---- who has to do with whom ----------------------------------------------------------------- */

/* The first step of a chain tells which it is. */
static uint32_t first_of(const finder *f, uint32_t i)
{
    while (f->earlier[i] != i)
        i = f->earlier[i] = f->earlier[f->earlier[i]];
    return i;
}

static void tie(finder *f, uint32_t a, uint32_t b)
{
    a = first_of(f, a);
    b = first_of(f, b);
    if (a == b)
        return;
    chain *x = &f->chains[a < b ? a : b], *y = &f->chains[a < b ? b : a];
    f->earlier[y->first] = x->first;
    x->work += y->work;
    x->shared += y->shared;
    x->steps += y->steps;
}

/* What the step as a whole touches; whether it can be shared. */
static bool measure(finder *f, const sg__step *s)
{
    int64_t pieces;
    const sg_shares shares = sg__step_shares(f->g, s, &pieces), none = {0};
    for (int k = 0; k < s->n + s->m; k++)
        f->whole[k] = sg__nobody_writes(f->written, &s->at[k])
                          ? (sg__stretch){0, 0}
                          : sg__stretch_of(s, k, s->program ? &shares : &none, 0, 1);
    return sg__can_split(s, &shares);
}

/* Finds what must come before the step. */
static void look_back(finder *f, const sg__step *s)
{
    f->near_count = 0;
    f->looks++;
    f->behind = false;
    f->begins = measure(f, s);
    for (int k = 0; k < s->n + s->m; k++) {
        const bool none = sg__nobody_writes(f->written, &s->at[k]);
        uint32_t t = none ? SG__NONE : f->last[sg__memory_at(f->p, &s->at[k])];
        for (; t != SG__NONE; t = f->touches[t].next) {
            const touch *x = f->touches + t;
            if (!(x->write || k >= s->n) || !sg__overlap(&x->at, &f->whole[k]))
                continue;
            f->begins = false;
            f->behind = f->behind || f->kinds[x->step] == BEHIND;
            const uint32_t first = f->kinds[x->step] == CHAINED ? first_of(f, x->step) : SG__NONE;
            if (first == SG__NONE || f->met[first] == f->looks)
                continue;
            f->met[first] = f->looks;
            f->near[f->near_count++] = first;
        }
    }
}

/* Whether the step at hand would tie two chains together, and not only begin one. */
static bool joins_chains(const finder *f)
{
    int chains = 0;
    for (uint32_t i = 0; i < f->near_count; i++)
        chains += f->chains[f->near[i]].steps > 1;
    return chains > 1;
}

static void note(finder *f, uint32_t i)
{
    const sg__step *s = f->p->steps + i;
    for (int k = 0; k < s->n + s->m; k++) {
        if (sg__nobody_writes(f->written, &s->at[k]))
            continue;
        const size_t memory = sg__memory_at(f->p, &s->at[k]);
        f->touches[f->touch_count] = (touch){f->whole[k], memory, i, f->last[memory], k >= s->n};
        f->last[memory] = f->touch_count++;
    }
}

/* ---- runs ------------------------------------------------------------------------------------ */

static int largest_first(const void *p, const void *q)
{
    const chain *x = p, *y = q;
    if (x->work != y->work)
        return x->work > y->work ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* Gives each chain to who has least to do so far, the largest first; whether that takes less time
 * than to share what is worth it. */
static bool give_owners(finder *f, uint32_t end)
{
    int64_t longest = 0, shared = 0;
    size_t count = 0;
    for (uint32_t i = f->begin; i < end; i++)
        if (f->kinds[i] == CHAINED && f->earlier[i] == i) {
            f->list[count++] = f->chains[i];
            shared += f->chains[i].shared;
        }
    qsort(f->list, count, sizeof *f->list, largest_first);
    memset(f->busy, 0, (size_t)f->g->threads * sizeof *f->busy);
    for (size_t c = 0; c < count; c++) {
        int owner = 0;
        for (int i = 1; i < f->g->threads; i++)
            owner = f->busy[i] < f->busy[owner] ? i : owner;
        f->busy[owner] += f->list[c].work;
        longest = f->busy[owner] > longest ? f->busy[owner] : longest;
        f->p->steps[f->list[c].first].owner = (unsigned)owner;
    }
    return count > 1 && longest + 2 * SG__LEAST < shared;
}

/* Puts the steps of a run in their order, those of chains with their owners. */
static void put_in_order(finder *f, uint32_t end)
{
    sg__step *steps = f->p->steps;
    size_t n = 0;
    f->run++;
    while (f->kinds[end - 1] != CHAINED)
        end--; /* what comes after the last of them is where it belongs */
    for (kind what = BEFORE; what < KINDS; what++)
        for (uint32_t i = f->begin; i < end; i++) {
            if (f->kinds[i] != what)
                continue;
            f->order[n] = steps[i];
            if (what == CHAINED) {
                f->order[n].owner = steps[first_of(f, i)].owner;
                f->order[n].run = f->run;
            }
            n++;
        }
    memcpy(steps + f->begin, f->order, n * sizeof *steps);
}

/* Ends the run before step `end`; the next one begins at `next`, which is told, or later. Where one
 * was not worth it, chains may part from each other only after its first steps: it is looked at
 * again without these. */
static uint32_t end_run(finder *f, uint32_t end, uint32_t next)
{
    uint32_t first = f->begin;
    while (first < end && f->kinds[first] != CHAINED)
        first++;
    for (; f->touch_count; f->touch_count--)
        f->last[f->touches[f->touch_count - 1].memory] = SG__NONE;
    if (give_owners(f, end)) {
        put_in_order(f, end);
    } else if (first < end && f->tries < TRIES) {
        f->tries++;
        return f->begin = first + 1;
    }
    f->tries = 0;
    return f->begin = next;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* What may fail keeps its place among others, and so does what must know that nothing has. */
static bool stays(const sg__plan *p, const sg__step *s)
{
    const unsigned both = SG_OP_SPLIT | SG_OP_SURE;
    return !(s->program || (s->op->flags & both) == both) || sg__writes_parameter(p, s);
}

static void add_to_chain(finder *f, uint32_t i)
{
    const int64_t work = sg__work_of(f->p->steps + i);
    const int64_t shared = work / f->g->threads + 2 * SG__LEAST; /* met for before, and behind */
    f->earlier[i] = i;
    f->chains[i] = (chain){work, work < SG__LEAST ? work : shared, i, 1};
    for (uint32_t k = 0; k < f->near_count; k++)
        tie(f, f->near[k], i);
}

/* Returns the step to look at next. A step of few rows that needs none of the run is shared yet, if
 * it can be: several chains may begin with it. */
static uint32_t take_step(finder *f, uint32_t i)
{
    const sg__step *s = f->p->steps + i;
    const bool thin = s->m && sg__is_thin(f->g, &s->array[s->n]);
    if (stays(f->p, s) || (!thin && f->begin == i))
        return end_run(f, i, i + 1);
    look_back(f, s);
    if (thin && (f->behind || (joins_chains(f) && give_owners(f, i))))
        return end_run(f, i, i);
    const bool needs = f->behind || f->near_count;
    f->kinds[i] = thin && !f->begins ? CHAINED : needs ? BEHIND : BEFORE;
    if (f->kinds[i] == CHAINED)
        add_to_chain(f, i);
    if (thin || needs)
        note(f, i);
    return i + 1;
}

static bool prepare(finder *f)
{
    sg__plan *p = f->p;
    sg__arena *a = &f->g->scratch;
    const size_t steps = p->step_count + 1, memories = p->buffer_count + p->bases;
    size_t touches = 1, most = 1;
    for (size_t i = 0; i < p->step_count; i++) {
        const size_t n = (size_t)(p->steps[i].n + p->steps[i].m);
        touches += n;
        most = n > most ? n : most;
    }
    f->kinds = sg__alloc(a, steps * sizeof *f->kinds);
    f->earlier = sg__alloc(a, steps * sizeof *f->earlier);
    f->touches = sg__alloc(a, touches * sizeof *f->touches);
    f->last = sg__alloc(a, memories * sizeof *f->last);
    f->whole = sg__alloc(a, most * sizeof *f->whole);
    f->chains = sg__alloc(a, steps * sizeof *f->chains);
    f->list = sg__alloc(a, steps * sizeof *f->list);
    f->near = sg__alloc(a, steps * sizeof *f->near);
    f->met = sg__alloc(a, steps * sizeof *f->met);
    f->busy = sg__alloc(a, (size_t)f->g->threads * sizeof *f->busy);
    f->order = sg__alloc(a, steps * sizeof *f->order);
    if (!f->kinds || !f->earlier || !f->touches || !f->last || !f->whole || !f->chains ||
        !f->list || !f->near || !f->met || !f->busy || !f->order)
        return false;
    memset(f->met, 0, steps * sizeof *f->met);
    memset(f->last, 0xFF, memories * sizeof *f->last);
    return true;
}

bool sg__find_chains(sg_context *g, sg__plan *p, const bool *written)
{
    finder f = {.g = g, .p = p, .written = written};
    if (g->memory) /* more is alive at once if steps change places */
        return true;
    if (!prepare(&f))
        return false;
    const uint32_t end = (uint32_t)p->step_count;
    for (uint32_t i = 0; f.begin < end;)
        i = i < end ? take_step(&f, i) : end_run(&f, end, end);
    p->split = p->split || f.run;
    return true;
}
