/*
 * Checkpoints: what is between some inputs and y is computed a second time for gradients, instead
 * of being kept for them. A checkpoint is y itself. When the backward sweep comes to it, what leads
 * from the inputs to y is recorded again, from looks at the inputs that only exist once the
 * cotangent does. The vjps of what is between read copies in place of the originals, but their
 * derivatives go to the originals: so gradients of all orders have the terms that they have
 * without, in the same order. If the planner takes a look for the input itself, the copies equal
 * the originals, and nothing is computed twice.
 */
#include "core/sweep.h"

/* y, and inputs */
static const sg_op checkpoint_op = {
    .name = "checkpoint",
    .args = "y",
    .flags = SG__OP_CHECKPOINT,
    .arity = -1,
    .dtypes = SG_ALL,
    .infer = sg__same_infer,
    .view = sg__same_view,
};

/* x, computed as the second operand, its copy */
static const sg_op again_op = {
    .name = "again",
    .args = "x copy",
    .flags = SG__OP_AGAIN,
    .arity = 2,
    .dtypes = SG_ALL,
    .infer = sg__same_infer,
    .view = sg__same_view,
};

/* x, looked at once the second operand is there; in copies alone */
static const sg_op later_op = {
    .name = "later",
    .args = "x after",
    .flags = SG__OP_LATER,
    .arity = 2,
    .dtypes = SG_ALL,
    .infer = sg__same_infer,
    .view = sg__same_view,
};

sg_tensor *sg_checkpoint(sg_tensor *y, int n, sg_tensor *const *inputs)
{
    sg_tensor *nil;
    sg_context *g = sg__together(1, &y, "checkpoint", &nil);
    if (g && n > 0 && !inputs)
        return sg_fail(g, SG_BAD_ARGUMENT, "checkpoint: no list of inputs");
    sg_tensor **in = g ? sg_room(g, ((size_t)(n > 0 ? n : 0) + 1) * sizeof *in) : NULL;
    if (!in)
        return nil;
    in[0] = y;
    for (int i = 0; i < n; i++)
        in[i + 1] = inputs[i];
    return sg_record(&checkpoint_op, NULL, n > 0 ? n + 1 : 1, in);
}

/* ---- recording again ------------------------------------------------------------------------- */

static sg_tensor *record_2(const sg_op *op, sg_tensor *x, sg_tensor *y)
{
    return sg_record(op, NULL, 2, (sg_tensor *[]){x, y});
}

sg_tensor *sg__image(const sg__sweep *s, uint32_t i, sg_tensor *x)
{
    sg__replay *p = s->replay ? &s->replay[i] : NULL;
    if (!p || !p->now)
        return x;
    if (!p->image)
        p->image = record_2(&again_op, s->of[i].x, p->now);
    return p->image;
}

/* What is computed between the inputs and y; what has a value is kept in any case. */
static bool is_between(const sg__sweep *s, uint32_t i)
{
    const sg_tensor *x = s->of[i].x;
    return x->n > 0 && !x->value && s->replay[i].input != s->checkpoints;
}

static bool prepare(sg__sweep *s, const sg__gradient *z)
{
    if (!s->replay) {
        s->replay = sg__alloc(&s->g->sweeps, s->nodes * sizeof *s->replay);
        if (!s->replay)
            return false;
        memset(s->replay, 0, s->nodes * sizeof *s->replay);
    }
    s->checkpoints++;
    for (uint32_t k = 1; k < z->x->n; k++)
        if (z->in[k] != UINT32_MAX) /* nothing in this sweep is computed from others */
            s->replay[z->in[k]].input = s->checkpoints;
    return true;
}

/* Marks what is between; the first of it in canonical order. */
static uint32_t mark(sg__sweep *s, uint32_t y)
{
    uint32_t first = y, open = 1;
    s->replay[y].inside = s->checkpoints;
    for (uint32_t i = y + 1; open && i-- > 0;) {
        const sg__gradient *d = &s->of[i];
        if (s->replay[i].inside != s->checkpoints)
            continue;
        first = i;
        open--;
        for (uint32_t k = 0; k < d->x->n; k++) {
            if (!is_between(s, d->in[k]) || s->replay[d->in[k]].inside == s->checkpoints)
                continue;
            s->replay[d->in[k]].inside = s->checkpoints;
            open++;
        }
    }
    return first;
}

static void stand_in(sg__replay *p, sg_tensor *x)
{
    p->now = x;
    p->image = NULL;
}

/* What stands for an operand in the copy. An input is looked at once for all; it may itself be
 * computed again, for an outer checkpoint. */
static sg_tensor *operand(sg__sweep *s, uint32_t i, sg_tensor *after)
{
    sg__replay *p = &s->replay[i];
    sg_tensor *x = s->of[i].x;
    if (x->n == 0 || x->value)
        return x;
    if (p->inside != s->checkpoints && p->looked != s->checkpoints) {
        stand_in(p, record_2(&later_op, p->copy ? p->copy : x, after));
        p->looked = s->checkpoints;
    }
    return p->now;
}

static bool copy(sg__sweep *s, uint32_t i, sg_tensor *after)
{
    const sg__gradient *d = &s->of[i];
    sg_tensor *x = d->x, **in = sg__alloc(&s->g->sweeps, x->n * sizeof *in);
    if (!in)
        return false;
    bool same = true;
    for (uint32_t k = 0; k < x->n; k++) {
        in[k] = operand(s, d->in[k], after);
        same = same && in[k] == x->in[k];
    }
    if (same) /* of leaves alone */
        in[0] = record_2(&later_op, in[0], after);
    s->replay[i].copy = sg__record_again(x, in);
    stand_in(&s->replay[i], s->replay[i].copy);
    return true;
}

bool sg__recompute(sg__sweep *s, const sg__gradient *z, sg_tensor *after)
{
    sg_context *g = s->g;
    sg__scope *scope = g->scope;
    const uint32_t y = z->in[0];
    bool ok = prepare(s, z);
    if (ok && is_between(s, y))
        for (uint32_t i = mark(s, y); ok && !g->status && i <= y; i++)
            if (s->replay[i].inside == s->checkpoints) {
                g->scope = (sg__scope *)(uintptr_t)s->of[i].x->scope;
                ok = copy(s, i, after);
            }
    g->scope = scope;
    if (!ok)
        sg__no_memory(g, "a checkpoint");
    return !g->status;
}
