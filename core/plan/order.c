/* The canonical order: a walk from the roots, operands before users, operands in their order. It is
 * a function of the graph alone: not of when nodes were made, which C leaves to the compiler. */
#include "core/internal.h"

typedef struct frame {
    sg_tensor *x;
    uint32_t next; /* operand to look at */
} frame;

static bool push(sg_context *g, size_t *depth, sg_tensor *x)
{
    if (!sg__grow(&g->frames, &g->frame_capacity, *depth + 1, sizeof(frame)))
        return false;
    ((frame *)g->frames)[(*depth)++] = (frame){x, 0};
    x->mark = g->epoch;
    return true;
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

static bool stops(const sg_tensor *x, sg__extent extent)
{
    return extent == SG__STOP_AT_VALUES ? x->value != NULL
                                        : extent == SG__STOP_AT_MARKED && x->flags & SG__MARKED;
}

bool sg__walk(sg_context *g, int n, sg_tensor *const *roots, sg__extent extent)
{
    size_t depth = 0;
    g->order.n = 0;
    g->epoch++;
    for (int r = 0; r < n; r++) {
        if (roots[r]->mark == g->epoch)
            continue;
        if (!push(g, &depth, roots[r]))
            goto no_memory;
        while (depth) {
            frame *f = (frame *)g->frames + depth - 1;
            sg_tensor *x = f->x;
            uint32_t end = stops(x, extent) ? 0 : x->n;
            while (f->next < end && x->in[f->next]->mark == g->epoch)
                f->next++;
            if (f->next < end) {
                if (!push(g, &depth, x->in[f->next]))
                    goto no_memory;
                continue;
            }
            depth--;
            if (end && outdated(x)) {
                sg__fail_node(g, SG_STALE, x->op, x->scope, (int)x->n, x->in,
                              "was recorded before its parameter was overwritten");
                return false;
            }
            x->index = (uint32_t)g->order.n;
            if (!sg__list_add(g, &g->order, x))
                return false;
        }
    }
    return true;
no_memory:
    sg__no_memory(g, "a walk over the tape");
    return false;
}
