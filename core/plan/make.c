/* Making a plan: its passes in their order, within the limit of memory if there is one. */
#include "core/plan/plan.h"

#include <stdlib.h>

static void find_offset(const sg__plan *p, sg__place *at)
{
    if (at->buffer != SG__NONE)
        at->offset += (int64_t)p->buffers[at->buffer].offset;
    at->buffer = SG__NONE;
}

/* When all is placed, buffers are offsets in the workspace. */
static bool finish(sg_context *g, sg__plan *p)
{
    for (size_t i = 0; i < p->step_count; i++) {
        sg__step *s = &p->steps[i];
        for (int k = 0; k < s->n + s->m; k++)
            find_offset(p, &s->at[k]);
        p->flops += sg__step_flops(s);
        if (s->standing)
            s->standing->lies = s->array[s->standing->operand];
        if (s->program && !sg__make_brief(p, s)) {
            sg__no_memory(g, "a plan");
            return false;
        }
    }
    for (size_t i = 0; i < p->root_count; i++)
        find_offset(p, &p->roots[i].place);
    p->buffers = NULL;
    p->touched = NULL;
    return true;
}

/* In the workspace is nothing while a plan is made: where it is larger than what the passes had of
 * their own, they have it instead. */
static bool lend_workspace(sg_context *g)
{
    enum { LEAST = 1 << 16 };
    const size_t all = g->workspace_bytes, there = g->workspace_room,
                 bytes = all < there ? all : there;
    if (bytes < LEAST || bytes < sg__arena_bytes(&g->scratch))
        return false;
    sg__arena_free(&g->scratch);
    sg__arena_lend(&g->scratch, g->workspace, bytes);
    return true;
}

/* Inside of `kept` checkpoints all is kept, inside of others it is computed again; `tight` if
 * memory is short. */
static sg__plan *make(const sg__request *r, size_t kept, bool tight)
{
    sg__plan *p = calloc(1, sizeof *p);
    if (!p) {
        sg__no_memory(r->g, "a plan");
        return NULL;
    }
    p->arena = r->g->spare;
    r->g->spare = (sg__arena){0};
    const bool lent = lend_workspace(r->g);
    sg__graph gr;
    bool ok = sg__graph_open(r, kept, &gr) && sg__batch(&gr, &p->arena);
    p->checkpoints = gr.checkpoints;
    p->kept = gr.kept < gr.checkpoints ? gr.kept : gr.checkpoints;
    ok = ok && sg__schedule(&gr) && sg__sparse(&gr) && sg__emit(r, &gr, tight, p) &&
         sg__fuse(r->g, p) && (sg__without(r->g, SG__EARLY) || sg__early(r->g, p)) &&
         (sg__without(r->g, SG__ASSIGN) || sg__assign_in_place(r->g, p)) &&
         (sg__without(r->g, SG__SPLIT) || sg__split(r->g, p)) && sg__place_all(r->g, p);
#ifndef NDEBUG
    const char *broken = ok ? sg__verify(r->g, p) : NULL;
    if (broken) {
        sg_fail(r->g, SG_BAD_ARGUMENT, "internal error: a plan in which %s", broken);
        ok = false;
    }
#endif
    ok = ok && finish(r->g, p);
    sg__arena_reset(&r->g->scratch);
    if (lent)
        sg__arena_give_back(&r->g->scratch);
    if (sg__arena_bytes(&r->g->scratch) <= p->workspace) /* is there the next time */
        sg__arena_free(&r->g->scratch);
    if (!ok) {
        sg__plan_free(r->g, p);
        return NULL;
    }
    return p;
}

/* That which recomputes least within the limit of memory, by halving; the smallest, if there is
 * none. `p` recomputes nothing, and takes too much. */
static sg__plan *make_within(const sg__request *r, sg__plan *p)
{
    size_t low = 0, high = p->checkpoints; /* of those kept, low are enough and high too many */
    sg__plan *found = make(r, 0, true);
    sg__plan_free(r->g, p);
    while (found && found->workspace <= r->g->memory && high - low > 1) {
        size_t kept = (low + high) / 2;
        if (!(p = make(r, kept, true))) {
            sg__plan_free(r->g, found);
            return NULL;
        }
        bool enough = p->workspace <= r->g->memory;
        *(enough ? &low : &high) = kept;
        sg__plan_free(r->g, enough ? found : p);
        found = enough ? p : found;
    }
    return found;
}

/* With a limit of memory, what is inside of checkpoints is recomputed as far as that asks for it;
 * without, all is. More than the limit is an error, before anything runs: what asks for a limit
 * would otherwise fail later and elsewhere. */
sg__plan *sg__plan_make(const sg__request *r)
{
    size_t most = r->g->memory;
    sg__plan *p = make(r, most ? SIZE_MAX : 0, false);
    if (!p || !most || p->workspace <= most)
        return p;
    sg__plan_free(r->g, p);
    if (!(p = make(r, SIZE_MAX, true)) || p->workspace <= most)
        return p;
    size_t kept = p->workspace;
    if (p->checkpoints && !(p = make_within(r, p)))
        return NULL;
    if (p->workspace <= most)
        return p;
    char text[SG_MESSAGE] = "";
    if (p->checkpoints)
        snprintf(text, sizeof text, " with checkpoints recomputed, %zu without", kept);
    sg_fail(r->g, SG_NO_MEMORY,
            "a plan needs %zu bytes of workspace%s; the option memory allows %zu", p->workspace,
            text, most);
    sg__plan_free(r->g, p);
    return NULL;
}

/* The memory of one plan is kept for the next: new pages would be cleared by the system first. */
void sg__plan_free(sg_context *g, sg__plan *p)
{
    sg__arena least = p->arena;
    if (sg__arena_bytes(&p->arena) > sg__arena_bytes(&g->spare)) {
        least = g->spare;
        g->spare = p->arena;
        sg__arena_reset(&g->spare);
    }
    sg__arena_free(&least);
    free(p);
}

size_t sg__plan_size(const sg__plan *p)
{
    return sizeof *p + sg__arena_bytes(&p->arena);
}
