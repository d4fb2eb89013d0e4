/* Debug mode: every node is evaluated as it is recorded, and the first that is not finite named. */
#include "core/internal.h"

#include <math.h>
#include <stdlib.h>

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
    bool ok = saved ? sg__execute(g, 1, &x) : false;
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
