/* Optimizers: the update of a parameter as a composition, assigned in the plan of the step. */
#include "optim/optim.h"

#include <math.h>
#include <string.h>

static double or_else(double x, double standard)
{
    return x == SG_ZERO ? 0 : x == 0 ? standard : x;
}

/* What another optimizer has, and what does nothing alone. */
static void good_kind(const sg_optimizer_options *o)
{
    if (o->kind != SG_SGD && (o->momentum != 0 || o->nesterov))
        sg_fail(o->g, SG_BAD_ARGUMENT, "optimizer: momentum and nesterov are options of sg_sgd");
    if (o->kind == SG_SGD && (o->beta1 != 0 || o->beta2 != 0 || o->epsilon != 0))
        sg_fail(o->g, SG_BAD_ARGUMENT,
                "optimizer: beta1, beta2 and epsilon are options of sg_adam and sg_adamw");
    if (o->nesterov && o->momentum == 0)
        sg_fail(o->g, SG_BAD_ARGUMENT, "optimizer: nesterov needs a momentum");
}

sg_optimizer sg_make_optimizer(sg_optimizer_options o)
{
    good_kind(&o);
    o.rate = or_else(o.rate, o.kind == SG_SGD ? 0.01 : 0.001);
    o.beta1 = or_else(o.beta1, 0.9);
    o.beta2 = or_else(o.beta2, 0.999);
    o.epsilon = or_else(o.epsilon, 1e-8);
    o.accumulate = o.accumulate ? o.accumulate : 1;
    bool betas = o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1;
    if (!(o.rate >= 0 && o.momentum >= 0 && o.epsilon >= 0 && o.decay >= 0 && o.clip_norm >= 0 &&
          o.clip_value >= 0 && betas && o.accumulate > 0))
        sg_fail(o.g, SG_BAD_ARGUMENT,
                "optimizer: an option is out of its range (rate %g, decay %g)", o.rate, o.decay);
    o.name = o.name ? o.name : "optim";
    char name[64];
    snprintf(name, sizeof name, "%.50s.steps", o.name);
    sg_tensor *steps = sg_find(o.g, name); /* of an earlier run that was loaded */
    return (sg_optimizer){.o = o, .steps = steps ? (int64_t)sg_item(steps) : 0};
}

static sg_tensor *buffer(const sg_optimizer_options *o, sg_tensor *p, const char *kind,
                         sg_dtype dtype, sg_shape shape)
{
    sg_context *g = sg_context_of(p);
    char name[256];
    int n = snprintf(name, sizeof name, ".%.50s.%s.%s", o->name, kind, sg_name(p));
    if (n < 0 || (size_t)n >= sizeof name)
        return sg_fail(g, SG_BAD_ARGUMENT, "optimizer: the name \"%s\" is too long", sg_name(p));
    return sg_buffer(g, name, dtype, shape, 0);
}

/* A parameter's buffer: a moment, or the gradients accumulated so far. */
static sg_tensor *buffer_of(const sg_optimizer_options *o, sg_tensor *p, const char *kind)
{
    return buffer(o, p, kind, sg_type(p), sg_shape_of(p));
}

static sg_tensor *counter(const sg_optimizer_options *o, const char *kind)
{
    char name[80];
    snprintf(name, sizeof name, ".%.50s.%s", o->name, kind);
    return sg_buffer(o->g, name, SG_I32, SG_SCALAR, 0);
}

static sg_tensor *times(double a, sg_tensor *x)
{
    return sg_mul(sg_like(x, a), x);
}

/* Where rows were touched (NULL: all were), a parameter or moment gets its new value. */
static void set(sg_tensor *x, sg_tensor *next, sg_tensor *touched)
{
    sg_assign(x, touched ? sg_where(touched, next, x) : next);
}

/* v = momentum · v + d;  step rate · v, or with Nesterov rate · (d + momentum · v) */
static sg_tensor *sgd(const sg_optimizer_options *o, sg_tensor *p, sg_tensor *d, double rate,
                      sg_tensor *touched)
{
    if (o->momentum > 0) {
        sg_tensor *v = buffer_of(o, p, "v");
        sg_tensor *next = sg_add(times(o->momentum, v), d);
        set(v, next, touched);
        d = o->nesterov ? sg_add(d, times(o->momentum, next)) : next;
    }
    return times(rate, d);
}

/* m = b1·m + (1-b1)·d, v = b2·v + (1-b2)·d²; step rate/(1-b1^t) · m / (sqrt(v / (1-b2^t)) + e)
 * (Kingma & Ba 2015; Loshchilov & Hutter 2019 for AdamW) */
static sg_tensor *adam(const sg_optimizer_options *o, sg_tensor *p, sg_tensor *d, double rate,
                       int64_t t, sg_tensor *touched)
{
    sg_tensor *m = buffer_of(o, p, "m"), *v = buffer_of(o, p, "v");
    double correct1 = 1 - pow(o->beta1, (double)t), correct2 = 1 - pow(o->beta2, (double)t);
    sg_tensor *m1 = sg_add(times(o->beta1, m), times(1 - o->beta1, d));
    sg_tensor *v1 = sg_add(times(o->beta2, v), times(1 - o->beta2, sg_square(d)));
    sg_tensor *root = sg_add(times(1 / sqrt(correct2), sg_sqrt(v1)), sg_like(v1, o->epsilon));
    set(m, m1, touched);
    set(v, v1, touched);
    return times(rate / correct1, sg_div(m1, root));
}

static void update_one(const sg_optimizer_options *o, sg_tensor *p, sg_tensor *d, double rate,
                       int64_t t, sg_tensor *touched)
{
    double decay = o->decay * sg_group_decay(p);
    rate *= sg_group_rate(p);
    if (decay > 0 && o->kind != SG_ADAMW)
        d = sg_add(d, times(decay, p));
    sg_tensor *from = decay > 0 && o->kind == SG_ADAMW ? times(1 - rate * decay, p) : p;
    sg_tensor *step =
        o->kind == SG_SGD ? sgd(o, p, d, rate, touched) : adam(o, p, d, rate, t, touched);
    set(p, sg_sub(from, step), touched);
}

/* The rows that were touched in any of the steps that are accumulated */
static sg_tensor *touched_so_far(const sg_optimizer_options *o, sg_tensor *p, sg_tensor *touched,
                                 bool due)
{
    sg_shape s = sg_shape_of(p);
    for (int k = 1; k < s.rank; k++)
        s.dim[k] = 1;
    sg_tensor *seen = buffer(o, p, "touched", SG_U8, s);
    touched = touched ? sg_logical_or(seen, touched) : sg_full(o->g, SG_U8, s, 1);
    sg_assign(seen, due ? sg_full(o->g, SG_U8, s, 0) : touched);
    return touched;
}

/* Adds the gradients to those of earlier steps; true when it is time for an update, with their mean
 * in grads. */
static bool accumulate(const sg_optimizer_options *o, int n, sg_tensor *const *params,
                       sg_tensor **grads, sg_tensor **touched)
{
    if (o->accumulate == 1)
        return true;
    sg_tensor *count = counter(o, "accumulated");
    int so_far = (int)sg_item(count) + 1;
    bool due = so_far >= o->accumulate;
    sg_assign(count, sg_scalar(o->g, SG_I32, due ? 0 : so_far));
    for (int i = 0; i < n; i++) {
        sg_tensor *sum = buffer_of(o, params[i], "g");
        grads[i] = sg_add(sum, grads[i]);
        sg_assign(sum, due ? sg_full(o->g, sg_type(sum), sg_shape_of(sum), 0) : grads[i]);
        if (o->lazy)
            touched[i] = touched_so_far(o, params[i], touched[i], due);
        if (due)
            grads[i] = times(1.0 / o->accumulate, grads[i]);
    }
    return due;
}

static int trainable(sg_context *g, sg_tensor **params)
{
    int n = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));)
        if (!sg_frozen(p)) {
            if (params)
                params[n] = p;
            n++;
        }
    return n;
}

static void record(sg_optimizer *s, int n, sg_tensor **params, sg_tensor *loss)
{
    const sg_optimizer_options *o = &s->o;
    sg_tensor **grads = params + n, **touched = grads + n;
    sg_grad(loss, n, params, grads);
    for (int i = 0; i < n; i++)
        touched[i] = o->lazy ? sg_touched(grads[i]) : NULL;
    if (!accumulate(o, n, params, grads, touched))
        return;
    sg_tensor *steps = counter(o, "steps");
    s->steps = (int64_t)sg_item(steps) + 1;
    sg_assign(steps, sg_scalar(o->g, SG_I32, (double)s->steps));
    if (o->clip_value > 0)
        sg_clip_value(n, grads, o->clip_value);
    if (o->clip_norm > 0)
        s->norm = sg_want(sg_clip_norm(n, grads, o->clip_norm));
    double rate = sg_schedule_rate(&o->schedule, o->rate, s->steps);
    for (int i = 0; i < n; i++)
        update_one(o, params[i], grads[i], rate, s->steps, touched[i]);
}

void sg_update(sg_optimizer *s, sg_tensor *loss)
{
    if (!s || !s->o.g)
        sg_fail(sg_context_of(loss), SG_BAD_ARGUMENT, "sg_step: no optimizer");
    sg_context *g = s ? s->o.g : NULL;
    if (!sg_ok(g))
        return;
    if (!loss || sg_is_nil(loss)) {
        sg_fail(g, SG_BAD_ARGUMENT, "sg_step: no loss");
        return;
    }
    int n = trainable(g, NULL);
    sg_tensor **all = sg_room(g, 3 * (size_t)n * sizeof *all);
    if (!all)
        return;
    s->norm = NULL;
    trainable(g, all);
    sg_push(g, "optimizer", NULL);
    if (n == 0)
        sg_fail(g, SG_BAD_ARGUMENT, "there is no parameter to train");
    else
        record(s, n, all, loss);
    sg_pop(g);
}

sg_status sg_step(sg_optimizer *s, sg_tensor *loss)
{
    sg_update(s, loss);
    sg_context *g = s && s->o.g ? s->o.g : sg_context_of(loss);
    return sg_ok(g) ? sg_eval(loss) : sg_error(g);
}
