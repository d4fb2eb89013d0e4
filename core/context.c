/* Contexts: opening, resetting and closing what everything else lives in. */
#include "core/internal.h"
#include "core/plan/plan.h"

#include <stdlib.h>

static const sg__dims no_dims = {.size = 1};

/* What a failed open returns: inert from the start, never written to. */
static sg_context failed;
static sg_tensor failed_nil = {.g = &failed,
                               .op = &sg__nil_op,
                               .dims = &no_dims,
                               .generation = SG__FOREVER,
                               .flags = SG__FAILED};
static sg_context failed = {.status = SG_NO_MEMORY,
                            .message = "no context: none was given, or there was no memory for one",
                            .nil = &failed_nil,
                            .scope = &failed.root};

sg_tensor *sg__nil(sg_context *g)
{
    return g ? g->nil : &failed_nil;
}

sg_context *sg__given(const sg_context *g)
{
    return g ? (sg_context *)(uintptr_t)g : &failed;
}

static sg_context *open(sg__registry *shared)
{
    sg_context *g = calloc(1, sizeof *g);
    if (!g)
        return &failed;
    g->scope = &g->root;
    g->root.kind = g->root.name = (char *)(uintptr_t) "";
    g->registry = shared ? shared : calloc(1, sizeof *g->registry);
    g->nil = sg__alloc(&g->lasting, sizeof *g->nil);
    g->cache = sg__cache_open(g);
    if (g->registry)
        g->registry->contexts++;
    if (!g->registry || !g->nil || !g->cache) {
        sg_close(g);
        return &failed;
    }
    *g->nil = failed_nil;
    g->nil->g = g;
    g->nil->scope = &g->root;
    return g;
}

sg_context *sg_open_(sg_open_options o)
{
    sg_context *g = open(NULL);
    if (g == &failed)
        return g;
    /* for runs of whole suites with another kernel set than the best, more threads, less passes */
    const char *isa = o.isa ? o.isa : getenv("SEQGRAD_ISA");
    const char *threads = getenv("SEQGRAD_THREADS");
    g->without = sg__passes_named(g, o.without ? o.without : getenv("SEQGRAD_WITHOUT"));
    g->seed = o.seed ? o.seed : 1;
    g->threads = o.threads > 0 ? o.threads : threads && atoi(threads) > 0 ? atoi(threads) : 1;
    g->debug = o.debug;
    g->memory = o.memory;
    g->isa = isa && *isa ? sg__isa_named(isa) : sg__isa_best();
    sg__cache_limit(g->cache, o.cache_plans ? o.cache_plans : 256);
    if (g->isa < 0) {
        g->isa = SG_GENERIC;
        sg_fail(g, SG_BAD_ARGUMENT, "instruction set \"%s\": unknown, or not of this CPU", isa);
    }
    if (o.threads < 0)
        sg_fail(g, SG_BAD_ARGUMENT, "%d threads", o.threads);
    return g;
}

sg_context *sg_share(sg_context *g)
{
    if (!sg_ok(g))
        return &failed;
    sg_context *h = open(g->registry);
    if (h == &failed)
        return h;
    h->seed = g->seed;
    h->threads = g->threads;
    h->isa = g->isa;
    h->without = g->without;
    h->memory = g->memory;
    h->debug = g->debug;
    h->training = g->training;
    sg__cache_limit(h->cache, 256);
    return h;
}

sg__pool *sg__threads(sg_context *g)
{
    if (g->threads > 1 && !g->pool)
        g->pool = sg__pool_open(g->threads);
    return g->pool;
}

void sg_close(sg_context *g)
{
    if (sg__given(g) == &failed)
        return;
    sg__arena_free(&g->tape);
    for (int i = 0; i < SG__RESTING; i++)
        sg__arena_free(&g->resting[i]);
    sg__arena_free(&g->scratch);
    sg__arena_free(&g->sweeps);
    sg__arena_free(&g->kept[0]);
    sg__arena_free(&g->kept[1]);
    sg__scopes_free(g);
    for (size_t i = 0; i < g->param_count; i++)
        if (g->params[i])
            sg__drop_ready(g->params[i]);
    if (g->registry)
        sg__registry_drop(g->registry);
    sg__cache_close(g->cache);
    sg__pool_close(g->pool);
    sg__profile_free(g);
    free(g->keeps.x);
    free(g->carried.x);
    free(g->wants.x);
    free(g->roots.x);
    free(g->leaves.x);
    free(g->assigns.x);
    free(g->order.x);
    free(g->frames);
    free(g->params);
    free(g->shapes);
    free(g->workspace);
    free(g->code);
    free(g->steps);
    free(g->buffers);
    sg__arena_free(&g->spare);
    free(g->bases);
    sg__arena_free(&g->lasting);
    free(g);
}

/* The tensors that were kept before are over; their memory rests a while before it is used again,
 * so that a late use is an error and not another tensor. */
static void bury(sg_context *g)
{
    for (size_t i = 0; i < g->carried.n; i++) {
        sg_tensor *x = g->carried.x[i];
        x->generation = SG__OVER;
        x->in[0] = NULL;
        *(g->last_dead ? &g->last_dead->in[0] : &g->dead) = x;
        g->last_dead = x;
    }
    g->dead_count += g->carried.n;
    g->carried.n = 0;
}

/* Kept tensors become leaves of the next generation; those kept before are dropped. */
static void carry(sg_context *g)
{
    bury(g);
    sg__arena_reset(&g->kept[(g->generation + 1) & 1]);
    for (size_t i = 0; i < g->keeps.n; i++) {
        sg_tensor *x = g->keeps.x[i];
        x->generation = g->generation + 1;
        x->op = &sg__leaf_op;
        x->n = 0;
        x->attr = NULL;
        x->serial = 0;
        if (!x->value)
            x->flags |= SG__FAILED;
    }
    sg__list before = g->carried;
    g->carried = g->keeps;
    g->keeps = before;
}

/* In debug mode, and in debug builds, a tape rests for some resets before its memory is used again.
 */
static void rest(sg_context *g)
{
#ifdef NDEBUG
    if (!g->debug)
        return;
#endif
    sg__arena *oldest = &g->resting[g->generation % SG__RESTING], tape = *oldest;
    *oldest = g->tape;
    g->tape = tape;
}

void sg_reset(sg_context *g)
{
    if (sg__given(g) == &failed)
        return;
    carry(g);
    g->wants.n = g->assigns.n = 0;
    g->stream = NULL;
    g->evaluated = false;
    g->unrecorded = 0;
    g->recorded = NULL;
    memset(g->constants, 0, sizeof g->constants);
    g->stat.nodes += g->serial;
    g->serial = 0;
    g->generation++;
    g->draws++;
    rest(g);
    sg__arena_reset(&g->tape);
}

void sg_clear(sg_context *g)
{
    if (sg__given(g) == &failed)
        return;
    sg_reset(g);
    g->scope = &g->root;
    g->depth = 0;
    g->status = SG_OK;
    g->message[0] = 0;
}

void sg_train(sg_context *g, bool on)
{
    if (sg__given(g) != &failed)
        g->training = on;
}

bool sg_training(const sg_context *g)
{
    return sg__given(g)->training;
}

void sg_debug(sg_context *g, bool on)
{
    if (sg__given(g) != &failed)
        g->debug = on;
}

sg_stat sg_stats(const sg_context *g)
{
    g = sg__given(g);
    sg_stat s = g->stat;
    s.nodes += g->serial;
    s.plans = g->cache ? sg__cache_count(g->cache) : 0;
    s.plan_bytes = g->cache ? sg__cache_bytes(g->cache) : 0;
    s.workspace = g->workspace_bytes;
    s.prepared = g->ready_bytes;
    return s;
}

void sg_forget_plans(sg_context *g)
{
    if (g && g->cache)
        sg__cache_clear(g->cache);
}

sg_info sg_infos(const sg_context *g)
{
    g = sg__given(g);
    return (sg_info){SG_VERSION, sg__isa_name(g->isa), g->threads, g->seed};
}

bool sg__list_add(sg_context *g, sg__list *l, sg_tensor *x)
{
    void *p = l->x;
    if (!sg__grow(&p, &l->capacity, l->n + 1, sizeof *l->x)) {
        sg__no_memory(g, "a list of tensors");
        return false;
    }
    l->x = p;
    l->x[l->n++] = x;
    return true;
}

void *sg_room(sg_context *g, size_t bytes)
{
    g = sg__given(g);
    void *p = g->status ? NULL : sg__alloc(&g->tape, bytes ? bytes : 1);
    if (!p && !g->status)
        sg__no_memory(g, "the tape");
    return p;
}

/* The random stream: what draws depend on besides their site, as values outside of plan keys. */
sg_tensor *sg_stream(sg_context *g)
{
    g = sg__given(g);
    if (g->status)
        return g->nil;
    g->looked = true;
    if (!g->stream) {
        uint32_t key[4] = {(uint32_t)g->seed, (uint32_t)(g->seed >> 32), (uint32_t)g->draws,
                           (uint32_t)(g->draws >> 32)};
        sg_tensor *x = sg_input(g, SG_I32, SG_SHAPE(4), key);
        g->stream = sg_is_nil(x) ? NULL : x;
    }
    return g->stream && !g->status ? g->stream : g->nil;
}
