/*
 * Splitting: which thread does what, and where threads meet. Between two meetings lies a region:
 * each thread goes through its steps at its own pace, so none may touch there what another one
 * writes. That is found by the bytes that each touches: of every buffer, and of every array that is
 * not in the workspace, the stretch from the first to the last byte that each thread has read, and
 * has written, since the last meeting. A step that comes in the way of another thread's begins the
 * next region.
 *
 * So a recurrent layer is one region: its steps are all cut at the same rows of the batch. Buffers
 * have no place yet; which of them may lie where others were is for `place` to see, by what threads
 * did there.
 */
#include "core/plan/split.h"

typedef struct splitter {
    sg_context *g;
    sg__plan *p;
    int parts;
    uint32_t region;
    sg__touched *touched;   /* by memory and part */
    bool *written;          /* by base: some step does */
    sg_shares *shares;      /* by step */
    sg__stretch *stretches; /* of the step at hand, by array and part */
    bool unsure;            /* a step of this region may fail */
    uint32_t run;           /* the last one of chains */
} splitter;

/* ---- stretches of memory --------------------------------------------------------------------- */

/* What threads did in a memory in this region, nothing at first. */
static sg__touched *touched_in(splitter *x, size_t memory)
{
    sg__touched *t = x->touched + memory * (size_t)x->parts;
    for (int i = 0; i < x->parts && t[i].region != x->region; i++)
        t[i] = (sg__touched){.ever = t[i].ever, .region = x->region};
    return t;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static bool is_written(const sg__step *s, int k)
{
    return k >= s->n;
}

/* What `part` of `parts` touches of array k */
static sg__stretch stretch_of(const splitter *x, const sg__step *s, int k, const sg_shares *shares,
                              int part, int parts)
{
    if (sg__nobody_writes(x->written, &s->at[k]))
        return (sg__stretch){0, 0};
    return sg__stretch_of(s, k, shares, part, parts);
}

/* Whether what `part` touches comes in the way of another thread. */
static bool in_the_way(splitter *x, const sg__place *at, const sg__stretch *stretch, bool write,
                       int part)
{
    const size_t memory = sg__memory_at(x->p, at);
    const sg__touched *t = x->touched + memory * (size_t)x->parts;
    if (stretch->from >= stretch->to || t->region != x->region)
        return false;
    for (int i = 0; i < x->parts; i++)
        if (i != part &&
            (sg__overlap(&t[i].written, stretch) || (write && sg__overlap(&t[i].read, stretch))))
            return true;
    return false;
}

/* Whether a step must be met for: if it is split, or done by one thread. Leaves its stretches. */
static bool must_meet_split(splitter *x, const sg__step *s, const sg_shares *shares)
{
    bool meets = false;
    for (int k = 0; k < s->n + s->m; k++)
        for (int i = 0; i < x->parts; i++) {
            sg__stretch *stretch = &x->stretches[k * x->parts + i];
            *stretch = stretch_of(x, s, k, shares, i, x->parts);
            meets = meets || in_the_way(x, &s->at[k], stretch, is_written(s, k), i);
        }
    return meets;
}

static bool must_meet_alone(splitter *x, const sg__step *s, int owner)
{
    bool meets = false;
    for (int k = 0; k < s->n + s->m; k++)
        for (int i = 0; i < x->parts; i++) {
            sg__stretch *stretch = &x->stretches[k * x->parts + i];
            static const sg_shares none;
            *stretch =
                i == owner
                    ? stretch_of(x, s, k, s->program ? &x->shares[s - x->p->steps] : &none, 0, 1)
                    : (sg__stretch){0, 0};
            meets = meets || in_the_way(x, &s->at[k], stretch, is_written(s, k), i);
        }
    return meets;
}

static void note(splitter *x, const sg__step *s)
{
    for (int k = 0; k < s->n + s->m; k++) {
        const sg__place *at = &s->at[k];
        if (sg__nobody_writes(x->written, at))
            continue;
        sg__touched *t = touched_in(x, sg__memory_at(x->p, at));
        for (int i = 0; i < x->parts; i++) {
            const sg__stretch *stretch = &x->stretches[k * x->parts + i];
            sg__stretch_add(is_written(s, k) ? &t[i].written : &t[i].read, stretch);
            if (is_written(s, k))
                sg__stretch_add(&t[i].ever, stretch);
        }
    }
}

/* A large step is split in any case, a small one where that needs no meeting, or where the next
 * thing is to meet anyway. Ops that are not made for it run on the thread that evaluates. */
static void assign_step(splitter *x, sg__step *s, const sg_shares *shares)
{
    const bool can = sg__can_split(s, shares), any = s->program || s->op->flags & SG_OP_SPLIT;
    s->split = can;
    s->meets = can && must_meet_split(x, s, shares);
    if (can && (!s->meets || sg__work_of(s) >= SG__LEAST))
        return;
    s->split = false;
    for (int i = 0; i < (any ? x->parts : 1); i++) {
        s->owner = (unsigned)i;
        s->meets = must_meet_alone(x, s, i);
        if (!s->meets)
            return;
    }
    s->split = can;
    if (can)
        must_meet_split(x, s, shares);
    else
        must_meet_alone(x, s, 0);
    s->owner = 0;
}

/* Threads meet before the first step of a run of chains, and not in it. */
static void assign_chain(splitter *x, sg__step *s)
{
    must_meet_alone(x, s, (int)s->owner);
    s->meets = s->run != x->run;
    x->run = s->run;
}

static void split_step(splitter *x, uint32_t i)
{
    sg__step *s = x->p->steps + i;
    if (s->run)
        assign_chain(x, s);
    else
        assign_step(x, s, &x->shares[i]);
    /* what is assigned in place is not written before it is known that nothing failed */
    if (s->meets || (x->unsure && sg__writes_parameter(x->p, s))) {
        s->meets = true;
        x->unsure = false;
        x->region++;
        x->p->meetings++;
    }
    x->unsure = x->unsure || !(s->program || s->op->flags & SG_OP_SURE);
    note(x, s);
}

/* ---- the pass -------------------------------------------------------------------------------- */

static bool find_written(splitter *x)
{
    const sg__plan *p = x->p;
    x->written = sg__alloc(&x->g->scratch, p->bases * sizeof *x->written);
    if (!x->written)
        return false;
    memset(x->written, 0, p->bases * sizeof *x->written);
    for (size_t i = 0; i < p->step_count; i++)
        for (int k = p->steps[i].n; k < p->steps[i].n + p->steps[i].m; k++)
            x->written[p->steps[i].at[k].base] = true;
    return true;
}

static bool prepare(splitter *x)
{
    sg__plan *p = x->p;
    sg__arena *a = &x->g->scratch;
    const size_t memories = p->buffer_count + p->bases, parts = (size_t)x->parts;
    int most = 0;
    for (size_t i = 0; i < p->step_count; i++)
        most = p->steps[i].n + p->steps[i].m > most ? p->steps[i].n + p->steps[i].m : most;
    x->touched = sg__alloc(a, memories * parts * sizeof *x->touched);
    x->stretches = sg__alloc(a, (size_t)most * parts * sizeof *x->stretches);
    if (!x->touched || !x->stretches)
        return false;
    memset(x->touched, 0, memories * parts * sizeof *x->touched);
    x->region = 1;
    p->touched = x->touched;
    return true;
}

/* Whether the plan has enough that can be split. */
static bool find_shares(splitter *x)
{
    sg__plan *p = x->p;
    int64_t work = 0;
    x->shares = sg__alloc(&x->g->scratch, (p->step_count + 1) * sizeof *x->shares);
    if (!x->shares)
        return false;
    for (size_t i = 0; i < p->step_count; i++) {
        sg__step *s = p->steps + i;
        x->shares[i] = sg__step_shares(x->g, s, &s->pieces);
        work += sg__can_split(s, &x->shares[i]) ? sg__work_of(s) : 0;
    }
    p->split = p->split || work >= SG__LEAST;
    return true;
}

bool sg__split(sg_context *g, sg__plan *p)
{
    if (g->threads < 2)
        return true;
    splitter x = {.g = g, .p = p, .parts = g->threads};
    bool ok = find_written(&x) && sg__find_chains(g, p, x.written) && find_shares(&x) &&
              (!p->split || prepare(&x));
    for (uint32_t i = 0; ok && p->split && i < p->step_count; i++)
        split_step(&x, i);
    if (!ok)
        sg__no_memory(g, "a plan");
    return ok;
}
