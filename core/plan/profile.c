/*
 * Profiles: how long each step of each run took, on each thread. While a run is under way only the
 * clock is read, into memory that is there; what it says is summed up by kind of step and scope
 * afterwards. Without memory for it, a run is left out.
 */
#include "core/plan/profile.h"
#include "core/array.h"

#include <stdlib.h>
#include <time.h>

double sg__now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void drop(sg__profile *p)
{
    if (!p)
        return;
    free(p->rows);
    free(p->slots);
    free(p->events);
    free(p->spans);
    free(p);
}

sg_status sg_profile(sg_context *g, bool on)
{
    if (!sg_ok(g))
        return sg_error(g);
    drop(g->profile);
    g->profile = on ? calloc(1, sizeof *g->profile) : NULL;
    if (on && !g->profile)
        return sg__no_memory(g, "a profile");
    if (on)
        g->profile->begun = sg__now();
    return SG_OK;
}

void sg__profile_free(sg_context *g)
{
    drop(g->profile);
    g->profile = NULL;
}

sg__span *sg__profile_begin(sg_context *g, const sg__plan *plan, int threads)
{
    sg__profile *p = g->profile;
    void *spans = p->spans;
    size_t n = plan->step_count * (size_t)threads;
    if (!sg__grow(&spans, &p->span_capacity, n + 1, sizeof *p->spans))
        return NULL;
    p->spans = spans;
    memset(p->spans, 0, n * sizeof *p->spans);
    p->run_begun = sg__now();
    return p->spans;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static size_t slot_of(const sg__profile *p, const char *kind, const sg__scope *scope)
{
    uint64_t h = ((uint64_t)(uintptr_t)kind ^ (uint64_t)(uintptr_t)scope << 7) *
                 UINT64_C(0x9E3779B97F4A7C15);
    size_t at = (size_t)(h >> 20) & (p->slot_count - 1);
    while (p->slots[at] != SG__NONE &&
           (p->rows[p->slots[at]].kind != kind || p->rows[p->slots[at]].scope != scope))
        at = (at + 1) & (p->slot_count - 1);
    return at;
}

static bool more_slots(sg__profile *p)
{
    size_t count = p->slot_count ? 2 * p->slot_count : 64;
    uint32_t *slots = malloc(count * sizeof *slots);
    if (!slots)
        return false;
    memset(slots, 0xFF, count * sizeof *slots);
    free(p->slots);
    p->slots = slots;
    p->slot_count = count;
    for (uint32_t i = 0; i < p->row_count; i++)
        p->slots[slot_of(p, p->rows[i].kind, p->rows[i].scope)] = i;
    return true;
}

static uint32_t row_of(sg__profile *p, const char *kind, const sg__scope *scope)
{
    if (2 * (p->row_count + 1) > p->slot_count && !more_slots(p))
        return SG__NONE;
    size_t at = slot_of(p, kind, scope);
    void *rows = p->rows;
    if (p->slots[at] != SG__NONE)
        return p->slots[at];
    if (!sg__grow(&rows, &p->row_capacity, p->row_count + 1, sizeof *p->rows))
        return SG__NONE;
    p->rows = rows;
    p->rows[p->row_count] = (sg__row){.kind = kind, .scope = scope};
    return p->slots[at] = (uint32_t)p->row_count++;
}

/* ---- after a run ----------------------------------------------------------------------------- */

/* Of its arrays; what is broadcast counts once. */
static double bytes_of(const sg__step *s)
{
    double all = 0;
    for (int k = 0; k < s->n + s->m; k++) {
        double bytes = (double)sg__dtype_size(s->array[k].dtype);
        for (int i = 0; i < s->array[k].rank; i++)
            bytes *= s->array[k].stride[i] ? (double)s->array[k].dim[i] : 1;
        all += bytes;
    }
    return all;
}

static void note(sg__profile *p, sg__event e)
{
    void *events = p->events;
    if (p->event_count == SG__MOST_EVENTS ||
        !sg__grow(&events, &p->event_capacity, p->event_count + 1, sizeof *p->events))
        return;
    p->events = events;
    p->events[p->event_count++] = e;
}

static void take_step(sg__profile *p, const sg__request *r, const sg__step *s, const sg__span *span,
                      int threads)
{
    const char *kind = s->program ? "program" : s->op->name;
    uint32_t i = row_of(p, kind, r->g->order.x[s->node]->scope);
    if (i == SG__NONE)
        return;
    sg__event e = {.flops = sg__step_flops(s), .bytes = bytes_of(s), .row = i};
    sg__row *row = p->rows + i;
    row->calls++;
    row->flops += e.flops;
    row->bytes += e.bytes;
    for (e.thread = 0; e.thread < threads; e.thread++) {
        e.from = span[e.thread].from - p->begun;
        e.to = span[e.thread].to - p->begun;
        if (span[e.thread].to == 0)
            continue; /* not its work */
        row->seconds += e.to - e.from;
        p->busy += e.to - e.from;
        note(p, e);
    }
}

void sg__profile_end(const sg__request *r, const sg__plan *plan, int threads)
{
    sg__profile *p = r->g->profile;
    double time = sg__now() - p->run_begun;
    p->runs++;
    p->running += time;
    p->possible += time * threads;
    p->threads = threads > p->threads ? threads : p->threads;
    for (size_t i = 0; i < plan->step_count; i++)
        take_step(p, r, plan->steps + i, p->spans + i * (size_t)threads, threads);
}
