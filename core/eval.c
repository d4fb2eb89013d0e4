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

/* ---- running a request ----------------------------------------------------------------------- */

/* Within a limit of memory, what is prepared of parameters gives way to the workspace. */
static void keep_limit(sg_context *g)
{
    if (!g->memory || g->workspace_bytes + g->ready_bytes <= g->memory)
        return;
    for (size_t i = 0; i < g->param_count; i++)
        if (g->params[i])
            sg__drop_ready(g->params[i]);
}

/* Room for larger plans, where lengths vary: what nobody touches costs nothing, and what was
 * touched stays. */
static bool reserve_workspace(sg_context *g, size_t bytes)
{
    enum { SPARE = 4 };
    g->workspace_bytes = bytes > g->workspace_bytes ? bytes : g->workspace_bytes;
    keep_limit(g);
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
