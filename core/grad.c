/* Reverse-mode differentiation: from y backward over the canonical order, each op's vjp emits the
 * cotangents of its operands as nodes, so gradients are graphs like any other and can be
 * differentiated again. Contributions to one tensor are summed by one add_n, in canonical order. */
#include "core/internal.h"

typedef struct term { /* one contribution; a list per node */
    sg_tensor *g;
    struct term *next;
} term;

typedef struct sweep {
    sg_context *g;
    sg_tensor **order;
    size_t nodes;
    sg__arena *temporary;
    bool *needed; /* by canonical order: leads to one of xs */
    bool *wanted; /* is one of xs */
    term **first, **last;
    uint32_t *count;
} sweep;

static bool add_term(sweep *s, const sg_tensor *x, sg_tensor *g)
{
    /* the adjoint of broadcasting, for all ops at once */
    if (g->dims != x->dims)
        g = sg_sum_to(g, x->dims->shape);
    term *t = sg__alloc(s->temporary, sizeof *t);
    if (!t)
        sg__no_memory(s->g, "a gradient");
    if (s->g->status)
        return false;
    *t = (term){g, NULL};
    uint32_t i = x->index;
    *(s->last[i] ? &s->last[i]->next : &s->first[i]) = t;
    s->last[i] = t;
    s->count[i]++;
    return true;
}

static sg_tensor *total(sweep *s, uint32_t i)
{
    if (s->count[i] == 1)
        return s->first[i]->g;
    sg_tensor **all = sg__alloc(s->temporary, s->count[i] * sizeof *all);
    if (!all) {
        sg__no_memory(s->g, "a gradient");
        return s->g->nil;
    }
    uint32_t n = 0;
    for (term *t = s->first[i]; t; t = t->next)
        all[n++] = t->g;
    sg_tensor *sum = sg_add_n((int)n, all);
    s->first[i] = s->last[i]; /* one term from now on: the sum */
    s->first[i]->g = sum;
    s->count[i] = 1;
    return sum;
}

static void vjp(sg_tensor *y, sg_tensor *seed, int n, sg_tensor *const *xs, sg_tensor **grads,
                sg__extent extent);

/* An op without a rule of its own: the derivative of the composition it stands for. Its operands
 * are looked at through marked identities, at which the inner walk stops. */
static bool by_lower(sweep *s, sg_tensor *x, sg_tensor *g)
{
    sg_tensor **in = sg__alloc(s->temporary, x->n * sizeof *in);
    sg_tensor **floats = sg__alloc(s->temporary, x->n * sizeof *floats);
    sg_tensor **d = sg__alloc(s->temporary, x->n * sizeof *d);
    int n = 0;
    if (!in || !floats || !d) {
        sg__no_memory(s->g, "a gradient");
        return false;
    }
    for (uint32_t i = 0; i < x->n; i++) {
        in[i] = sg_probe(x->in[i], x->op->name);
        if (sg_is_nil(in[i]))
            return false;
        in[i]->flags |= SG__MARKED;
        if (sg__is_float(in[i]->dtype))
            floats[n++] = in[i];
    }
    vjp(x->op->lower(x->attr, (int)x->n, in), g, n, floats, d, SG__STOP_AT_MARKED);
    for (uint32_t i = 0; i < x->n; i++) /* gradients of the gradient go through */
        in[i]->flags &= (uint8_t)~SG__MARKED;
    n = 0;
    for (uint32_t i = 0; i < x->n && !s->g->status; i++)
        if (sg__is_float(in[i]->dtype)) {
            if (s->needed[x->in[i]->index])
                add_term(s, x->in[i], d[n]);
            n++;
        }
    return !s->g->status;
}

static void add_cotangent(sweep *s, sg_tensor *x, uint32_t i, sg_tensor *g)
{
    if (g)
        add_term(s, x->in[i], g);
    else
        sg__fail_node(s->g, SG_BAD_ARGUMENT, x->op, x->scope, (int)x->n, x->in,
                      "its vjp returned NULL");
}

static bool step_back(sweep *s, sg_tensor *x)
{
    sg_tensor *g = total(s, x->index);
    if (!x->op->vjp && x->op->lower)
        return by_lower(s, x, g);
    if (!x->op->vjp) {
        sg__fail_node(s->g, SG_BAD_ARGUMENT, x->op, x->scope, (int)x->n, x->in,
                      "has no derivative: no vjp, no lower");
        return false;
    }
    int64_t so_far[2] = {0};
    sg_vjp_call call = {x->attr, (int)x->n, x->in, x, g, so_far};
    for (uint32_t i = 0; i < x->n && !s->g->status; i++)
        if (s->needed[x->in[i]->index])
            add_cotangent(s, x, i, x->op->vjp(&call, (int)i));
    return !s->g->status;
}

/* The order is copied: vjps may walk, in debug mode or through lower. */
static bool prepare(sweep *s, int n, sg_tensor *const *xs)
{
    size_t nodes = s->nodes = s->g->order.n;
    s->order = sg__alloc(s->temporary, nodes * sizeof *s->order);
    s->needed = sg__alloc(s->temporary, nodes * sizeof *s->needed);
    s->wanted = sg__alloc(s->temporary, nodes * sizeof *s->wanted);
    s->first = sg__alloc(s->temporary, nodes * sizeof *s->first);
    s->last = sg__alloc(s->temporary, nodes * sizeof *s->last);
    s->count = sg__alloc(s->temporary, nodes * sizeof *s->count);
    if (!s->order || !s->needed || !s->wanted || !s->first || !s->last || !s->count) {
        sg__no_memory(s->g, "a gradient");
        return false;
    }
    memcpy(s->order, s->g->order.x, nodes * sizeof *s->order);
    memset(s->wanted, 0, nodes * sizeof *s->wanted);
    memset(s->first, 0, nodes * sizeof *s->first);
    memset(s->last, 0, nodes * sizeof *s->last);
    memset(s->count, 0, nodes * sizeof *s->count);
    for (int i = 0; i < n; i++)
        if (xs[i]->mark == s->g->epoch) /* y depends on it */
            s->wanted[xs[i]->index] = true;
    for (size_t i = 0; i < nodes; i++) {
        const sg_tensor *x = s->order[i];
        s->needed[i] = s->wanted[i];
        bool passes =
            sg__is_float(x->dtype) && !(x->op->flags & SG_OP_CONSTANT) && !(x->flags & SG__MARKED);
        for (uint32_t k = 0; passes && k < x->n && !s->needed[i]; k++)
            s->needed[i] = s->needed[x->in[k]->index] && sg__is_float(x->in[k]->dtype);
    }
    return true;
}

static void collect(sweep *s, int n, sg_tensor *const *xs, const uint32_t *at, sg_tensor **grads)
{
    for (int i = 0; i < n; i++)
        grads[i] = at[i] != UINT32_MAX && s->count[at[i]]
                       ? total(s, at[i])
                       : sg_full(s->g, sg_type(xs[i]), sg_shape_of(xs[i]), 0);
}

static void vjp(sg_tensor *y, sg_tensor *seed, int n, sg_tensor *const *xs, sg_tensor **grads,
                sg__extent extent)
{
    sg_context *g = y->g;
    sweep s = {.g = g, .temporary = &g->sweeps};
    sg__mark before = sg__arena_mark(s.temporary);
    const sg__scope *scope = g->scope;
    uint32_t *at = NULL;
    if (g->status || !sg__walk(g, 1, &y, extent))
        goto out;
    at = sg__alloc(s.temporary, (size_t)n * sizeof *at);
    if (!at)
        sg__no_memory(g, "a gradient");
    if (!at || !prepare(&s, n, xs))
        goto out;
    for (int i = 0; i < n; i++)
        at[i] = xs[i]->mark == g->epoch ? xs[i]->index : UINT32_MAX;
    if (!add_term(&s, y, seed))
        goto out;
    for (size_t i = s.nodes; i-- > 0;) {
        sg_tensor *x = s.order[i];
        bool inner =
            s.needed[i] && x->n && !(x->flags & SG__MARKED) && !(x->op->flags & SG_OP_CONSTANT);
        g->scope = (sg__scope *)(uintptr_t)x->scope; /* errors and profiles name the layer */
        if (inner && s.count[i] && !step_back(&s, x))
            break;
    }
    g->scope = (sg__scope *)(uintptr_t)scope;
    if (!g->status)
        collect(&s, n, xs, at, grads);
out:
    g->scope = (sg__scope *)(uintptr_t)scope;
    sg__arena_release(s.temporary, before);
    for (int i = 0; g->status && i < n; i++)
        grads[i] = g->nil;
}

void sg_vjp(sg_tensor *y, sg_tensor *seed, int n, sg_tensor *const *xs, sg_tensor **grads)
{
    sg_tensor *nil;
    sg_context *g = sg__together(2, (sg_tensor *[]){y, seed}, "gradient", &nil);
    if (g)
        g = n ? sg__together(n, xs, "gradient", &nil) : g;
    if (g && n > 0 && xs[0]->g != y->g)
        sg_fail(g, SG_BAD_CONTEXT, "gradient: operands of two contexts");
    for (int i = 0; g && !g->status && i < n; i++)
        if (!sg__is_float(xs[i]->dtype))
            sg_fail(g, SG_BAD_DTYPE, "gradient: by a tensor of %s", sg_dtype_name(sg_type(xs[i])));
    if (g && (y->dims != seed->dims || y->dtype != seed->dtype || !sg__is_float(y->dtype)))
        sg__fail_node(g, SG_BAD_SHAPE, &(sg_op){.name = "gradient", .args = "y cotangent"},
                      g->scope, 2, (sg_tensor *[]){y, seed},
                      "the cotangent must be floats of y's shape and type");
    if (g && !g->status) {
        vjp(y, seed, n, xs, grads, SG__EVERYTHING);
        return;
    }
    for (int i = 0; i < n; i++)
        grads[i] = nil;
}

void sg_grad(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor **grads)
{
    if (!sg_is_nil(y) && y->dims->size != 1)
        sg__not_one(y, "sg_grad");
    sg_vjp(y, sg_is_nil(y) ? y : sg_full(y->g, sg_type(y), sg_shape_of(y), 1), n, xs, grads);
}

/* Two vjps: g(u) = J^T u is linear in u, and its vjp along v is J v (Townsend 2017). */
sg_tensor *sg_jvp(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor *const *vs)
{
    sg_tensor *nil;
    sg_context *g = sg__together(1, &y, "jvp", &nil);
    if (!g || n <= 0)
        return g ? sg_full(g, sg_type(y), sg_shape_of(y), 0) : nil;
    sg_tensor **d = sg__alloc(&g->tape, (size_t)n * sizeof *d);
    if (!d) {
        sg__no_memory(g, "a gradient");
        return g->nil;
    }
    sg_tensor *u = sg_input(g, sg_type(y), sg_shape_of(y), NULL);
    sg_vjp(y, u, n, xs, d);
    for (int i = 0; i < n && !g->status; i++)
        sg_vjp(d[i], vs[i], 1, &u, &d[i]);
    return g->status ? g->nil : sg_add_n(n, d);
}
