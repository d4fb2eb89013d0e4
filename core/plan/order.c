/* The canonical order: a walk from the roots, operands before users, operands in their order. It is
 * a function of the graph alone: not of when nodes were made, which C leaves to the compiler. */
#include "core/plan/key.h"

/* A tape is larger than the nearest caches, and nodes that are met one after the other were most
 * often made so, or the other way round: what lies next to one of them is fetched. */
static inline void fetch_around(const sg_tensor *x)
{
    enum { AWAY = 512 }; /* bytes: some nodes */
    __builtin_prefetch((const void *)((uintptr_t)x - AWAY));
    __builtin_prefetch((const void *)((uintptr_t)x + AWAY));
}

/* Whether a node's parameter was overwritten after the node was recorded. */
static bool outdated(const sg_tensor *x)
{
    for (uint32_t i = 0; i < x->n; i++) {
        const sg__param *p = sg__param_of(x->in[i]);
        if (p && p->assigned_in == x->generation && p->assigned_at > x->serial)
            return true;
    }
    return false;
}

/* How many operands are looked at. */
static inline uint32_t entered(const sg_tensor *x, sg__extent extent)
{
    if (extent == SG__WAY_BACK)
        return x->flags & SG__MARKED ? 0 : sg__passes_to(x);
    return extent == SG__STOP_AT_VALUES && x->value ? 0 : x->n;
}

/* Room on the stack and in the order for so many nodes each. */
static bool more_room(sg_context *g, size_t n)
{
    void *frames = g->frames, *order = g->order.x;
    bool ok = sg__grow(&frames, &g->frame_capacity, n, sizeof *g->frames) &&
              sg__grow(&order, &g->order.capacity, n, sizeof *g->order.x);
    g->frames = frames;
    g->order.x = order;
    if (!ok)
        sg__no_memory(g, "a walk over the tape");
    return ok;
}

static inline size_t room(const sg_context *g)
{
    return g->frame_capacity < g->order.capacity ? g->frame_capacity : g->order.capacity;
}

static bool fail_outdated(const sg_tensor *x)
{
    sg__fail_node(x->g, SG_STALE, x->op, x->scope, (int)x->n, x->in,
                  "was recorded before its parameter was overwritten");
    return false;
}

/* Notes that a listed node will be computed. */
static inline void compute(sg_context *g, sg_tensor *x)
{
    if (x->value || x->op->view)
        return;
    if (x->flags & SG__COMPUTED)
        g->stat.recomputed++;
    x->flags |= SG__COMPUTED;
}

/* A node all of whose operands are listed is listed; an alias is where its operand is. While one
 * waits on the stack for an operand, its index is the next one to look at. Without a key to write,
 * the walk ends where it meets gradients that were not recorded. */
static inline bool walk(sg_context *g, size_t n, sg_tensor *const *roots, sg__extent extent,
                        sg__writer *w, sg_tensor **unrecorded)
{
    const bool all = !w && g->unrecorded, overwritten = g->overwritten_in == g->generation;
    const bool runs = w && w->r->runs;
    const uint32_t epoch = ++g->epoch;
    sg_tensor **frames = g->frames, **order = g->order.x;
    size_t depth = 0, listed = 0, most = room(g);
    g->order.n = 0;
    for (size_t r = 0; r < n; r++) {
        sg_tensor *x = roots[r]->mark == epoch ? NULL : roots[r];
        for (uint32_t i = 0; x;) {
            uint32_t end = entered(x, extent);
            if (i == 0) { /* it is met */
                if (all && x->op->flags & SG__OP_UNRECORDED) {
                    *unrecorded = x;
                    return true;
                }
                x->mark = epoch;
                fetch_around(x);
                if (depth + listed >= most) {
                    if (!more_room(g, depth + listed + 1))
                        return false;
                    frames = g->frames, order = g->order.x, most = room(g);
                }
            }
            while (i < end && x->in[i]->mark == epoch)
                i++;
            if (i < end) {
                x->index = i + 1;
                frames[depth++] = x;
                x = x->in[i];
                i = 0;
                continue;
            }
            if (end && overwritten && outdated(x))
                return fail_outdated(x);
            if (end && x->op->flags & SG__OP_ALIAS) {
                x->index = x->in[0]->index;
            } else {
                x->index = (uint32_t)listed;
                order[listed++] = x;
                if (runs)
                    compute(g, x);
                if (w && !sg__key_node(w, x))
                    return false;
            }
            x = depth ? frames[--depth] : NULL;
            i = x ? x->index : 0;
        }
    }
    g->order.n = listed;
    return true;
}

bool sg__walk(sg_context *g, int n, sg_tensor *const *roots, sg__extent extent)
{
    sg_tensor *met;
    bool ok;
    do {
        met = NULL;
        ok = walk(g, (size_t)n, roots, extent, NULL, &met) && (!met || sg__record_gradients(met));
    } while (ok && met);
    return ok;
}

bool sg__walk_key(const sg__request *r, sg__writer *w)
{
    return walk(r->g, r->n, r->roots, SG__STOP_AT_VALUES, w, NULL);
}
