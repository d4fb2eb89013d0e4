/* Evaluation: collecting what was asked for, getting its plan, running it, and keeping the values.
 */
#include "core/internal.h"
#include "core/plan/plan.h"

#include <math.h>
#include <stdlib.h>

/* Adds the time since the last call to what it was spent on. */
static void spent(sg_context *g, double *on)
{
    double now = sg__now();
    if (on)
        *on += now - g->clock;
    g->clock = now;
}

sg__plan *sg__plan_of(const sg__request *r)
{
    sg_context *g = r->g;
    sg__code code;
    sg__plan *p;
    sg__source *sources = NULL;
    spent(g, NULL);
    if (!sg__find(r, &code, &p))
        return NULL;
    g->stat.hits += p != NULL;
    spent(g, &g->stat.find_seconds);
    if (p)
        return p;
    if (code.unrecorded && !sg__unfold(r, &sources))
        return NULL;
    if (code.unrecorded && !sources) /* what was computed twice is counted */
        return sg__plan_of(&(sg__request){g, r->n, r->roots, false});
    g->stat.misses++;
    g->stat.planned += g->order.n;
    p = sg__plan_make(r);
    if (sources)
        sg__as_unrecorded(g); /* the same request finds it again */
    if (p && sources && !sg__keep_sources(g, p, sources)) {
        sg__plan_free(g, p);
        p = NULL;
    }
    if (p && !sg__cache_add(g->cache, &code, p)) {
        sg__no_memory(g, "the plan cache");
        return NULL;
    }
    spent(g, &g->stat.make_seconds);
    return p;
}

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
        if (s->program && !sg__make_brief(p, s)) {
            sg__no_memory(g, "a plan");
            return false;
        }
    }
    for (size_t i = 0; i < p->root_count; i++)
        find_offset(p, &p->roots[i].place);
    p->buffers = NULL;
    return true;
}

/* Inside of `kept` checkpoints all is kept, inside of others it is computed again. */
static sg__plan *make(const sg__request *r, size_t kept)
{
    sg__plan *p = calloc(1, sizeof *p);
    if (!p) {
        sg__no_memory(r->g, "a plan");
        return NULL;
    }
    p->arena = r->g->spare;
    r->g->spare = (sg__arena){0};
    sg__graph gr;
    bool ok = sg__graph_open(r, kept, &gr) && sg__batch(&gr, &p->arena);
    p->checkpoints = gr.checkpoints;
    p->kept = gr.kept < gr.checkpoints ? gr.kept : gr.checkpoints;
    ok = ok && sg__schedule(&gr) && sg__sparse(&gr) && sg__emit(r, &gr, p) && sg__fuse(r->g, p) &&
         (sg__without(r->g, SG__ASSIGN) || sg__assign_in_place(r->g, p)) &&
         sg__place_all(r->g, p) && (sg__without(r->g, SG__SPLIT) || sg__split(r->g, p));
    sg__graph_close(&gr);
#ifndef NDEBUG
    const char *broken = ok ? sg__verify(p) : NULL;
    if (broken) {
        sg_fail(r->g, SG_BAD_ARGUMENT, "internal error: a plan in which %s", broken);
        ok = false;
    }
#endif
    if (!ok || !finish(r->g, p)) {
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
    sg__plan *found = make(r, 0);
    sg__plan_free(r->g, p);
    while (found && found->workspace <= r->g->memory && high - low > 1) {
        size_t kept = (low + high) / 2;
        if (!(p = make(r, kept))) {
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
    sg__plan *p = make(r, most ? SIZE_MAX : 0);
    if (!p || !most || p->workspace <= most)
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

/* ---- running a request ----------------------------------------------------------------------- */

/* Room for larger plans, where lengths vary: what nobody touches costs nothing, and what was
 * touched stays. */
static bool reserve_workspace(sg_context *g, size_t bytes)
{
    enum { SPARE = 4 };
    g->workspace_bytes = bytes > g->workspace_bytes ? bytes : g->workspace_bytes;
    if (bytes <= g->workspace_room)
        return true;
    size_t room = bytes <= SIZE_MAX / SPARE ? SPARE * bytes : bytes;
    void *w = sg__new_block(room);
    if (!w)
        w = sg__new_block(room = bytes);
    if (!w)
        return false;
    free(g->workspace);
    g->workspace = w;
    g->workspace_room = room;
    return true;
}

static sg__arena *arena_of(sg_context *g, const sg_tensor *x)
{
    return x->op == &sg__keep_op ? &g->kept[g->generation & 1] : &g->tape;
}

/* Where roots go, and leaves are. */
static bool fill_bases(const sg__request *r, const sg__plan *p)
{
    sg_context *g = r->g;
    void *bases = g->bases;
    if (!sg__grow(&bases, &g->base_capacity, p->bases + p->given, sizeof *g->bases))
        return false;
    g->bases = bases;
    if (p->sources)
        sg__fill_leaves(g->bases, p);
    g->bases[0] = g->workspace;
    size_t next = 1 + p->leaves;
    for (size_t i = 0; i < r->n; i++) {
        const sg_tensor *x = r->roots[i];
        if (p->roots[i].assign)
            continue;
        size_t bytes = (size_t)x->dims->size * sg__dtype_size((sg_dtype)x->dtype);
        void *value = sg__alloc_aligned(arena_of(g, x), bytes ? bytes : 1);
        if (!value)
            return false;
        g->bases[next++] = value;
    }
    return true;
}

static void keep_values(const sg__request *r, const sg__plan *p)
{
    for (size_t i = 0; i < r->n; i++)
        if (!p->roots[i].assign)
            r->roots[i]->value = r->g->bases[p->roots[i].place.base];
    r->g->evaluated = true;
}

static bool execute(const sg__request *r)
{
    sg_context *g = r->g;
    g->busy = true;
    sg__plan *p = sg__plan_of(r);
    if (p && (!reserve_workspace(g, p->workspace) || !fill_bases(r, p))) {
        sg__no_memory(g, "values");
        p = NULL;
    }
    bool ok = p && sg__run(r, p);
    if (ok)
        keep_values(r, p);
    spent(g, &g->stat.run_seconds);
    g->stat.runs += ok;
    g->busy = false;
    return ok;
}

bool sg__execute(sg_context *g, size_t n, sg_tensor *const *roots)
{
    return execute(&(sg__request){g, n, roots, true});
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static bool add_root(sg_context *g, sg_tensor *x)
{
    if (x->value || x->flags & SG__ROOT)
        return true;
    x->flags |= SG__ROOT;
    return sg__list_add(g, &g->roots, x);
}

static bool assigned_twice(sg_context *g)
{
    for (size_t i = 0; i < g->assigns.n; i++) {
        sg__param *p = sg__param_of(g->assigns.x[i]->in[1]);
        if (p->pending)
            sg_fail(g, SG_BAD_ARGUMENT, "assign: \"%s\" is assigned twice in one evaluation",
                    p->store->name);
        else if (g->registry->contexts > 1) /* since it was recorded */
            sg_fail(g, SG_BAD_ARGUMENT, "assign: \"%s\" is shared by several contexts",
                    p->store->name);
        p->pending = true;
    }
    for (size_t i = 0; i < g->assigns.n; i++)
        sg__param_of(g->assigns.x[i]->in[1])->pending = false;
    return g->status != SG_OK;
}

/* Roots are the tensors asked for, then those wanted and kept before, then assignments. */
bool sg__collect(sg_context *g, int n, sg_tensor *const *x)
{
    bool ok = true;
    if (g->busy) {
        sg_fail(g, SG_BAD_ARGUMENT, "an op asks for values while it is evaluated or derived");
        return false;
    }
    g->roots.n = 0;
    for (int i = 0; ok && i < n; i++)
        ok = add_root(g, x[i]);
    for (size_t i = 0; ok && i < g->wants.n; i++)
        ok = add_root(g, g->wants.x[i]);
    for (size_t i = 0; ok && i < g->keeps.n; i++)
        ok = add_root(g, g->keeps.x[i]);
    for (size_t i = 0; ok && i < g->assigns.n; i++)
        ok = add_root(g, g->assigns.x[i]);
    for (size_t i = 0; i < g->roots.n; i++)
        g->roots.x[i]->flags &= (uint8_t)~SG__ROOT;
    return ok && !assigned_twice(g);
}

sg_status sg_eval_(int n, sg_tensor *const *x)
{
    sg_tensor *nil;
    sg_context *g = sg__together(n, x, "sg_eval", &nil);
    if (!g)
        return nil->g->status;
    if (sg__collect(g, n, x) && g->roots.n)
        if (execute(&(sg__request){g, g->roots.n, g->roots.x, true}))
            g->wants.n = g->assigns.n = 0;
    return g->status;
}

const void *sg_data(sg_tensor *x)
{
    sg_tensor *nil;
    if (!sg__together(1, &x, "sg_data", &nil))
        return NULL;
    x->g->looked = true;
    return x->value || sg_eval_(1, &x) == SG_OK ? x->value : NULL;
}

void sg__not_one(const sg_tensor *x, const char *what)
{
    char text[SG_SHAPE_TEXT];
    sg_fail(x->g, SG_BAD_SHAPE, "%s: a tensor %s has not one element", what,
            sg__shape_text(text, &x->dims->shape));
}

double sg_item(sg_tensor *x)
{
    if (!sg_is_nil(x) && x->dims->size != 1)
        sg__not_one(x, "sg_item");
    const void *p = sg_data(x);
    if (!p)
        return NAN;
    switch (x->dtype) {
    case SG_F32:
        return (double)*(const float *)p;
    case SG_F64:
        return *(const double *)p;
    case SG_I32:
        return *(const int32_t *)p;
    default:
        return *(const uint8_t *)p;
    }
}

sg_tensor *sg_want(sg_tensor *x)
{
    sg_tensor *nil;
    sg_context *g = sg__together(1, &x, "sg_want", &nil);
    if (!g)
        return nil;
    return x->value || sg__list_add(g, &g->wants, x) ? x : g->nil;
}

sg__plan *sg__plan_for(int n, sg_tensor *const *x, const char *what)
{
    sg_tensor *nil;
    sg_context *g = sg__together(n, x, what, &nil);
    if (!g || !sg__collect(g, n, x) || !g->roots.n)
        return NULL;
    sg__request r = {g, g->roots.n, g->roots.x, false};
    g->busy = true;
    sg__plan *p = sg__plan_of(&r);
    g->busy = false;
    return p;
}

/* ---- debug mode ------------------------------------------------------------------------------ */

static void range(char *buf, size_t size, const sg_tensor *x)
{
    double low = INFINITY, high = -INFINITY;
    bool bad = false;
    for (int64_t i = 0; i < x->dims->size; i++) {
        double v = x->dtype == SG_F32 ? (double)((const float *)x->value)[i]
                                      : ((const double *)x->value)[i];
        bad = bad || !isfinite(v);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    snprintf(buf, size, "%g to %g%s", low, high, bad ? ", not all finite" : "");
}

static bool finite(const sg_tensor *x)
{
    for (int64_t i = 0; i < x->dims->size; i++)
        if (!isfinite(x->dtype == SG_F32 ? (double)((const float *)x->value)[i]
                                         : ((const double *)x->value)[i]))
            return false;
    return true;
}

/* Evaluates a node that was just recorded, alone: its operands have their values. Walks that are
 * under way (sg_grad's) keep their marks. */
sg_tensor *sg__debug(sg_tensor *x)
{
    sg_context *g = x->g;
    sg__list order = g->order;
    uint32_t epoch = g->epoch;
    if (x->op->flags & SG_OP_ROOT)
        return x;
    g->order = (sg__list){0};
    uint32_t *saved = sg__alloc(&g->tape, 2 * x->n * sizeof *saved);
    for (uint32_t i = 0; saved && i < x->n; i++) {
        saved[2 * i] = x->in[i]->mark;
        saved[2 * i + 1] = x->in[i]->index;
    }
    bool ok = saved ? execute(&(sg__request){g, 1, &x, true}) : false;
    for (uint32_t i = 0; saved && i < x->n; i++) {
        x->in[i]->mark = saved[2 * i];
        x->in[i]->index = saved[2 * i + 1];
    }
    x->mark = 0;
    free(g->order.x);
    g->order = order;
    g->epoch = epoch;
    if (!saved)
        sg__no_memory(g, "debug mode");
    if (!ok || !sg__is_float(x->dtype) || finite(x))
        return ok ? x : g->nil;
    char text[SG_MESSAGE / 2] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < x->n && i < 4; i++)
        if (sg__is_float(x->in[i]->dtype) && at < sizeof text - 1) {
            char part[80];
            range(part, sizeof part, x->in[i]);
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? "; " : "", part);
        }
    char message[SG_MESSAGE];
    snprintf(message, sizeof message, "the result is not finite; operands range from %s", text);
    return sg__fail_node(g, SG_NOT_FINITE, x->op, x->scope, (int)x->n, x->in, message);
}
