/* Reverse-mode differentiation: from y backward over the canonical order, each op's vjp emits the
 * cotangents of its operands as nodes, so gradients are graphs like any other and can be
 * differentiated again. Contributions to one tensor are summed by one add_n, in canonical order. */
#include "core/sweep.h"

static void *allocate(const sg__sweep *s, size_t n, size_t element)
{
    void *p = sg__alloc(&s->g->sweeps, n * element);
    if (!p)
        sg__no_memory(s->g, "a gradient");
    return p;
}

static bool add_term(sg__sweep *s, sg__gradient *d, sg_tensor *g)
{
    /* the adjoint of broadcasting, for all ops at once */
    if (g->dims != d->x->dims)
        g = sg_sum_to(g, d->x->dims->shape);
    if (s->g->status)
        return false;
    if (d->count++ == 0) {
        d->first = g;
        return true;
    }
    sg__term *t = allocate(s, 1, sizeof *t);
    if (!t)
        return false;
    *t = (sg__term){g, NULL};
    *(d->last ? &d->last->next : &d->more) = t;
    d->last = t;
    return true;
}

static sg_tensor *total(sg__sweep *s, sg__gradient *d)
{
    if (d->count == 1)
        return d->first;
    sg_tensor **all = allocate(s, d->count, sizeof *all);
    if (!all)
        return s->g->nil;
    uint32_t n = 0;
    all[n++] = d->first;
    for (sg__term *t = d->more; t; t = t->next)
        all[n++] = t->g;
    d->first = sg_add_n((int)n, all); /* one term from now on: the sum */
    d->more = d->last = NULL;
    d->count = 1;
    return d->first;
}

static void vjp(sg_tensor *y, sg_tensor *seed, int n, sg_tensor *const *xs, sg_tensor **grads);

/* An op without a rule of its own: the derivative of the composition it stands for. Its operands
 * are looked at through marked identities, at which the inner walk stops. */
static bool by_lower(sg__sweep *s, const sg__gradient *y, sg_tensor *g)
{
    const sg_tensor *x = y->x;
    sg_tensor **in = allocate(s, x->n, sizeof *in);
    sg_tensor **floats = allocate(s, x->n, sizeof *floats);
    sg_tensor **d = allocate(s, x->n, sizeof *d);
    int n = 0;
    if (!in || !floats || !d)
        return false;
    for (uint32_t i = 0; i < x->n; i++) {
        in[i] = sg_probe(sg__image(s, y->in[i], x->in[i]), x->op->name);
        if (sg_is_nil(in[i]))
            return false;
        in[i]->flags |= SG__MARKED;
        if (sg__is_float(in[i]->dtype))
            floats[n++] = in[i];
    }
    vjp(x->op->lower(x->attr, (int)x->n, in), g, n, floats, d);
    for (uint32_t i = 0; i < x->n; i++) /* gradients of the gradient go through */
        in[i]->flags &= (uint8_t)~SG__MARKED;
    n = 0;
    for (uint32_t i = 0; i < x->n && !s->g->status; i++)
        if (sg__is_float(in[i]->dtype)) {
            if (s->of[y->in[i]].needed)
                add_term(s, &s->of[y->in[i]], d[n]);
            n++;
        }
    return !s->g->status;
}

/* What a vjp sees: with checkpoints, copies instead of what is inside of them. */
static bool look(const sg__sweep *s, const sg__gradient *y, sg_vjp_call *call)
{
    uint32_t n = y->x->n;
    sg_tensor **in = s->replay ? allocate(s, n, sizeof *in) : NULL;
    for (uint32_t i = 0; in && i < n; i++)
        in[i] = sg__image(s, y->in[i], y->x->in[i]);
    call->in = in ? in : y->x->in;
    call->out = sg__image(s, (uint32_t)(y - s->of), y->x);
    return !s->g->status;
}

static bool step_back(sg__sweep *s, sg__gradient *y)
{
    sg_tensor *x = y->x;
    if (x->op->flags & SG__OP_CHECKPOINT) {
        const sg__gradient *d = &s->of[y->in[0]];
        return !d->count || sg__recompute(s, y, d->last ? d->last->g : d->first);
    }
    if (!y->count)
        return true;
    sg_tensor *g = total(s, y);
    if (!x->op->vjp && x->op->lower)
        return by_lower(s, y, g);
    if (!x->op->vjp) {
        sg__fail_node(s->g, SG_BAD_ARGUMENT, x->op, x->scope, (int)x->n, x->in,
                      "has no derivative: no vjp, no lower");
        return false;
    }
    int64_t so_far[2] = {0};
    sg_vjp_call call = {x->attr, (int)x->n, x->in, x, g, so_far};
    if (!look(s, y, &call))
        return false;
    for (uint32_t i = 0; i < x->n && !s->g->status; i++) {
        sg__gradient *d = &s->of[y->in[i]];
        sg_tensor *cotangent = d->needed ? x->op->vjp(&call, (int)i) : NULL;
        if (cotangent)
            add_term(s, d, cotangent);
        else if (d->needed)
            sg__fail_node(s->g, SG_BAD_ARGUMENT, x->op, x->scope, (int)x->n, x->in,
                          "its vjp returned NULL");
    }
    return !s->g->status;
}

static bool list(sg__sweep *s)
{
    const sg__list *order = &s->g->order;
    size_t edges = 0;
    for (size_t i = 0; i < order->n; i++)
        edges += order->x[i]->n;
    uint32_t *in = allocate(s, edges, sizeof *in);
    s->nodes = order->n;
    s->of = allocate(s, s->nodes, sizeof *s->of);
    if (!in || !s->of)
        return false;
    for (size_t i = 0; i < s->nodes; i++) {
        sg_tensor *x = order->x[i];
        s->of[i] = (sg__gradient){.x = x, .in = in};
        for (uint32_t k = 0; k < x->n; k++) {
            const sg_tensor *o = sg__itself(x->in[k]);
            *in++ = o->mark == s->g->epoch ? o->index : UINT32_MAX;
        }
    }
    return true;
}

static bool prepare(sg__sweep *s, int n, sg_tensor *const *xs)
{
    if (!list(s))
        return false;
    for (int i = 0; i < n; i++)
        if (sg__itself(xs[i])->mark == s->g->epoch) /* y depends on it */
            s->of[sg__itself(xs[i])->index].needed = true;
    for (size_t i = 0; i < s->nodes; i++) {
        sg__gradient *y = &s->of[i];
        const sg_tensor *x = y->x;
        bool passes =
            sg__is_float(x->dtype) && !(x->op->flags & SG_OP_CONSTANT) && !(x->flags & SG__MARKED);
        for (uint32_t k = 0; passes && k < sg__passes_to(x) && !y->needed; k++)
            y->needed = s->of[y->in[k]].needed && sg__is_float(x->in[k]->dtype);
    }
    return true;
}

static void collect(sg__sweep *s, int n, sg_tensor *const *xs, const uint32_t *at,
                    sg_tensor **grads)
{
    for (int i = 0; i < n; i++)
        grads[i] = at[i] != UINT32_MAX && s->of[at[i]].count
                       ? total(s, &s->of[at[i]])
                       : sg_full(s->g, sg_type(xs[i]), sg_shape_of(xs[i]), 0);
}

static void vjp(sg_tensor *y, sg_tensor *seed, int n, sg_tensor *const *xs, sg_tensor **grads)
{
    sg_context *g = y->g;
    sg__sweep s = {.g = g};
    sg__mark before = sg__arena_mark(&g->sweeps);
    const sg__scope *scope = g->scope;
    uint32_t *at = NULL;
    if (g->status || !sg__walk(g, 1, &y, SG__WAY_BACK))
        goto out;
    at = allocate(&s, (size_t)n, sizeof *at);
    if (!at || !prepare(&s, n, xs))
        goto out;
    for (int i = 0; i < n; i++) {
        const sg_tensor *x = sg__itself(xs[i]);
        at[i] = x->mark == g->epoch ? x->index : UINT32_MAX;
    }
    if (!add_term(&s, &s.of[sg__itself(y)->index], seed))
        goto out;
    for (size_t i = s.nodes; i-- > 0;) {
        const sg_tensor *x = s.of[i].x;
        bool inner =
            s.of[i].needed && x->n && !(x->flags & SG__MARKED) && !(x->op->flags & SG_OP_CONSTANT);
        g->scope = (sg__scope *)(uintptr_t)x->scope; /* errors and profiles name the layer */
        if (inner && !step_back(&s, &s.of[i]))
            break;
    }
    g->scope = (sg__scope *)(uintptr_t)scope;
    if (!g->status)
        collect(&s, n, xs, at, grads);
out:
    g->scope = (sg__scope *)(uintptr_t)scope;
    sg__arena_release(&g->sweeps, before);
    for (int i = 0; g->status && i < n; i++)
        grads[i] = g->nil;
}

bool sg__may_differ(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor **nil)
{
    sg_context *g = n > 0 ? sg__together(n, xs, "gradient", nil) : y->g;
    if (g && n > 0 && g != y->g)
        sg_fail(g, SG_BAD_CONTEXT, "gradient: operands of two contexts");
    for (int i = 0; g && !g->status && i < n; i++)
        if (!sg__is_float(xs[i]->dtype))
            sg_fail(g, SG_BAD_DTYPE, "gradient: by a tensor of %s", sg_dtype_name(sg_type(xs[i])));
        else if (xs[i]->flags & SG__SHARED)
            sg_fail(g, SG_BAD_ARGUMENT, "gradient: by a constant of sg_like: use sg_scalar");
    return g && !g->status;
}

void sg_vjp(sg_tensor *y, sg_tensor *seed, int n, sg_tensor *const *xs, sg_tensor **grads)
{
    sg_tensor *nil;
    sg_context *g = sg__together(2, (sg_tensor *[]){y, seed}, "gradient", &nil);
    if (g && n > 0 && (!xs || !grads))
        sg_fail(g, SG_BAD_ARGUMENT, "gradient: no list of %s", xs ? "gradients" : "tensors");
    g = g && !g->status && sg__may_differ(y, n, xs, &nil) ? g : NULL;
    if (g && (y->dims != seed->dims || y->dtype != seed->dtype || !sg__is_float(y->dtype)))
        sg__fail_node(g, SG_BAD_SHAPE, &(sg_op){.name = "gradient", .args = "y cotangent"},
                      g->scope, 2, (sg_tensor *[]){y, seed},
                      "the cotangent must be floats of y's shape and type");
    if (g && !g->status) {
        vjp(y, seed, n, xs, grads);
        return;
    }
    for (int i = 0; grads && i < n; i++)
        grads[i] = nil;
}

/* Two vjps: g(u) = J^T u is linear in u, and its vjp along v is J v (Townsend 2017). */
sg_tensor *sg_jvp(sg_tensor *y, int n, sg_tensor *const *xs, sg_tensor *const *vs)
{
    sg_tensor *nil;
    sg_context *g = sg__together(1, &y, "jvp", &nil);
    if (!g || n <= 0)
        return g ? sg_full(g, sg_type(y), sg_shape_of(y), 0) : nil;
    if (!vs)
        return sg_fail(g, SG_BAD_ARGUMENT, "jvp: no list of tangents");
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
