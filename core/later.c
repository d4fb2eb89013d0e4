/*
 * Gradients that are recorded once somebody needs to know what they are made of. In a training loop
 * that is seldom so: they are a function of the graph that they are taken of, and the plan of the
 * whole is found by that graph. Until then one node stands for all, `gradients` of y by xs, and
 * another one for each of them, which becomes an alias of the real one: walks that meet the first
 * see to that (order.c), but for that which only looks for a plan.
 */
#include "core/internal.h"

static bool gradients_infer(sg_infer *c)
{
    c->shape = SG_SCALAR;
    return true;
}

static bool never(const sg_call *c)
{
    return sg_stop(c, "internal error: not recorded");
}

/* y, and xs */
static const sg_op gradients_op = {
    .name = "gradients",
    .args = "y",
    .flags = SG__OP_UNRECORDED,
    .arity = -1,
    .infer = gradients_infer,
    .run = never,
};

typedef struct which {
    int64_t x;
} which;

static const sg_attr which_attrs[] = {{"x", 'i', offsetof(which, x)}, {0}};

static bool gradient_infer(sg_infer *c)
{
    const which *w = c->attr;
    const sg_tensor *x = c->in[0]->in[1 + w->x];
    c->shape = sg_shape_of(x);
    c->dtype = sg_type(x);
    return true;
}

static const sg_op gradient_op = {
    .name = "gradient",
    .args = "of",
    .arity = 1,
    .attr_size = sizeof(which),
    .attrs = which_attrs,
    .infer = gradient_infer,
    .run = never,
};

static const sg_op recorded_op = {
    .name = "gradient",
    .args = "x",
    .flags = SG__OP_ALIAS,
    .arity = 1,
    .infer = sg__same_infer,
    .view = sg__same_view,
};

static void record_now(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor **grads)
{
    sg_vjp(y, sg_is_nil(y) ? y : sg_full(y->g, sg_type(y), sg_shape_of(y), 1), n, xs, grads);
}

typedef struct later { /* of a node of `gradients`, instead of attributes */
    sg_tensor *before; /* that was recorded before it */
    sg_tensor **grads; /* NULL: not recorded */
    sg_tensor *stand_in[];
} later;

static void record_later(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor **grads)
{
    sg_context *g = y->g;
    sg_tensor **in = sg_room(g, ((size_t)n + 1) * sizeof *in);
    later *l = sg_room(g, sizeof *l + (size_t)n * sizeof *l->stand_in);
    if (!in || !l)
        return;
    in[0] = y;
    memcpy(in + 1, xs, (size_t)n * sizeof *in);
    sg_tensor *all = sg_record(&gradients_op, NULL, n + 1, in);
    for (int i = 0; i < n; i++)
        grads[i] = l->stand_in[i] = sg_record(&gradient_op, &(which){i}, 1, &all);
    if (g->status)
        return;
    l->grads = NULL;
    all->attr = l;
    g->unrecorded++;
}

/* In debug mode each node is computed as it is made. */
void sg_grad(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor **grads)
{
    sg_tensor *nil;
    sg_context *g = sg__together(1, &y, "gradient", &nil);
    if (g && y->dims->size != 1)
        sg__not_one(y, "sg_grad");
    if (!g || g->debug || n <= 0 || !xs || !grads || !sg__is_float(y->dtype) ||
        !sg__may_differ(y, n, xs, &nil))
        record_now(y, n, xs, grads);
    else
        record_later(y, n, xs, grads);
    for (int i = 0; g && g->status && grads && i < n; i++)
        grads[i] = g->nil;
}

bool sg__record_gradients(sg_tensor *all)
{
    sg_context *g = all->g;
    later *l = (later *)(uintptr_t)all->attr;
    int n = (int)all->n - 1;
    sg_tensor **grads = l->grads ? l->grads : sg_room(g, (size_t)n * sizeof *grads);
    const sg__scope *scope = g->scope;
    if (!grads)
        return false;
    g->scope = (sg__scope *)(uintptr_t)all->scope;
    if (!l->grads)
        record_now(all->in[0], n, all->in + 1, grads);
    g->scope = (sg__scope *)(uintptr_t)scope;
    if (g->status)
        return false;
    for (int i = 0; i < n; i++) {
        l->stand_in[i]->op = &recorded_op;
        l->stand_in[i]->in[0] = grads[i];
    }
    l->grads = grads;
    l->before = g->recorded;
    g->recorded = all;
    g->unrecorded--;
    return true;
}

void sg__as_unrecorded(sg_context *g)
{
    for (sg_tensor *all = g->recorded; all;) {
        const later *l = all->attr;
        for (uint32_t i = 0; i + 1 < all->n; i++) {
            l->stand_in[i]->op = &gradient_op;
            l->stand_in[i]->in[0] = all;
        }
        g->unrecorded++;
        all = l->before;
    }
    g->recorded = NULL;
}

sg_tensor *sg__recorded(sg_tensor *x)
{
    if (x->op == &gradient_op && !sg__record_gradients(x->in[0]))
        return NULL;
    return x->op == &recorded_op ? x->in[0] : x;
}
