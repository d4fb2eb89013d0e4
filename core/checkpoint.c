/*
 * Checkpoints: what is between some inputs and y is computed a second time for gradients, instead
 * of being kept for them. A checkpoint is y itself. When the backward sweep comes to it, what leads
 * from the inputs to y is recorded again, from looks at the inputs that only exist once the
 * cotangent does. The vjps of what is between read copies in place of the originals, but their
 * derivatives go to the originals: so gradients of all orders have the terms that they have
 * without, in the same order. If the planner takes a look for the input itself, the copies equal
 * the originals, and nothing is computed twice.
 */
#include "core/checkpoint.h"

static bool first_infer(sg_infer *c)
{
    c->shape = sg_shape_of(c->in[0]);
    c->dtype = sg_type(c->in[0]);
    return true;
}

static bool first_view(const void *attr, const sg_array *in, const sg_array *out, int64_t *start,
                       int64_t *stride)
{
    (void)attr, (void)out;
    *start = 0;
    memcpy(stride, in->stride, (size_t)in->rank * sizeof *stride);
    return true;
}

/* y, and inputs */
static const sg_op checkpoint_op = {
    .name = "checkpoint",
    .args = "y",
    .flags = SG__OP_CHECKPOINT,
    .arity = -1,
    .dtypes = SG_ALL,
    .infer = first_infer,
    .view = first_view,
};

/* x, computed as the second operand, its copy */
static const sg_op again_op = {
    .name = "again",
    .args = "x copy",
    .flags = SG__OP_AGAIN,
    .arity = 2,
    .dtypes = SG_ALL,
    .infer = first_infer,
    .view = first_view,
};

/* x, looked at once the second operand is there; in copies alone */
static const sg_op later_op = {
    .name = "later",
    .args = "x after",
    .flags = SG__OP_LATER,
    .arity = 2,
    .dtypes = SG_ALL,
    .infer = first_infer,
    .view = first_view,
};

sg_tensor *sg_checkpoint(sg_tensor *y, int n, sg_tensor *const *inputs)
{
    sg_tensor *nil;
    sg_context *g = sg__together(1, &y, "checkpoint", &nil);
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

sg_tensor *sg__image(const sg__replays *r, sg_tensor *x)
{
    sg__replay *p = r->of && x->mark == r->epoch ? &r->of[x->index] : NULL;
    if (!p || !p->now)
        return x;
    if (!p->image)
        p->image = record_2(&again_op, x, p->now);
    return p->image;
}

static bool prepare(sg__replays *r, const sg_tensor *z)
{
    if (!r->of) {
        r->of = sg__alloc(r->arena, r->n * sizeof *r->of);
        if (!r->of)
            return false;
        memset(r->of, 0, r->n * sizeof *r->of);
    }
    r->count++;
    for (uint32_t k = 1; k < z->n; k++)
        if (z->in[k]->mark == r->epoch) /* nothing here is computed from others */
            r->of[z->in[k]->index].input = r->count;
    return true;
}

/* Whether x is computed between the inputs and y. What has a value is kept in any case. */
static bool is_between(const sg__replays *r, const sg_tensor *x)
{
    return x->n > 0 && !x->value && r->of[x->index].input != r->count;
}

/* Marks what is between; the first of it in canonical order. */
static size_t mark(sg__replays *r, const sg_tensor *y)
{
    size_t first = y->index, open = 1;
    r->of[first].inside = r->count;
    for (size_t i = y->index + 1; open && i-- > 0;) {
        if (r->of[i].inside != r->count)
            continue;
        first = i;
        open--;
        for (uint32_t k = 0; k < sg__passes_to(r->order[i]); k++) {
            const sg_tensor *x = r->order[i]->in[k];
            if (!is_between(r, x) || r->of[x->index].inside == r->count)
                continue;
            r->of[x->index].inside = r->count;
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
static sg_tensor *operand(sg__replays *r, sg_tensor *x, sg_tensor *after)
{
    sg__replay *p = &r->of[x->index];
    if (x->n == 0 || x->value)
        return x;
    if (p->inside != r->count && p->looked != r->count) {
        stand_in(p, record_2(&later_op, p->copy ? p->copy : x, after));
        p->looked = r->count;
    }
    return p->now;
}

static bool copy(sg__replays *r, sg_tensor *x, sg_tensor *after)
{
    sg__replay *p = &r->of[x->index];
    uint32_t n = sg__passes_to(x);
    sg_tensor **in = sg__alloc(r->arena, n * sizeof *in);
    if (!in)
        return false;
    bool same = true;
    for (uint32_t k = 0; k < n; k++) {
        in[k] = operand(r, x->in[k], after);
        same = same && in[k] == x->in[k];
    }
    if (same) /* of leaves alone */
        in[0] = record_2(&later_op, in[0], after);
    p->copy = n == x->n ? sg__record_again(x, in) : in[0]; /* its first operand by another name */
    stand_in(p, p->copy);
    return true;
}

bool sg__recompute(sg__replays *r, const sg_tensor *z, sg_tensor *after)
{
    sg_context *g = z->g;
    sg__scope *scope = g->scope;
    const sg_tensor *y = sg__itself(z->in[0]);
    bool ok = prepare(r, z);
    if (ok && is_between(r, y))
        for (size_t i = mark(r, y); ok && !g->status && i <= y->index; i++)
            if (r->of[i].inside == r->count) {
                g->scope = (sg__scope *)(uintptr_t)r->order[i]->scope;
                ok = copy(r, r->order[i], after);
            }
    g->scope = scope;
    if (!ok)
        sg__no_memory(g, "a checkpoint");
    return !g->status;
}
