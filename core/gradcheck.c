/*
 * Gradients against central differences, in f64. The graph is recorded again in f64 over leaves of
 * its own; then F(x) = sum_k <c_k, y_k(x)> with random covectors c is compared with its vjp, over
 * every element of x when there are few, else along random directions and over some elements.
 * Order 2 is the same for the gradients in place of y.
 */
#include "core/internal.h"
#include "core/philox.h"

#include <math.h>
#include <stdlib.h>

enum { FEW = 96, DIRECTIONS = 6, SAMPLES = 24 };

typedef struct check {
    sg_context *g;
    int n;
    sg_tensor **xs;    /* f64 leaves */
    sg_tensor **roots; /* room for as many, or for one y */
    double h, *saved;  /* their values, one after the other */
    int64_t size;      /* of all xs together */
    uint32_t key[2], counter;
    sg_gradcheck_result *result;
    int order;
} check;

/* in (-1, 1), away from 0, so that no element goes unnoticed */
static double draw(check *c)
{
    uint32_t out[4], counter[4] = {c->counter++, 0, 0, 2};
    sg__philox(c->key, counter, out);
    double u = 0.25 + 0.75 * (out[0] + 0.5) * 0x1p-32;
    return out[1] & 1 ? u : -u;
}

static sg_tensor *random_like(check *c, sg_tensor *y)
{
    sg_tensor *x = sg_input(c->g, SG_F64, y->dims->shape, NULL);
    for (int64_t i = 0; !sg_is_nil(x) && i < x->dims->size; i++)
        ((double *)x->value)[i] = draw(c);
    return x;
}

static double *element(check *c, int64_t i)
{
    for (int k = 0; k < c->n; k++) {
        if (i < c->xs[k]->dims->size)
            return (double *)c->xs[k]->value + i;
        i -= c->xs[k]->dims->size;
    }
    return NULL;
}

static void restore(check *c)
{
    for (int64_t i = 0; i < c->size; i++)
        *element(c, i) = c->saved[i];
}

/* Forgets what was computed of ys; a leaf (y may be one, or a gradient the covector itself) is its
 * own value. Lists the others in c->roots, each once; their number. */
static size_t forget(check *c, int m, sg_tensor **ys)
{
    size_t n = 0;
    for (int k = 0; k < m; k++)
        if (!sg__is_leaf(ys[k]) && !(ys[k]->flags & SG__ROOT)) {
            ys[k]->value = NULL;
            ys[k]->flags |= SG__ROOT;
            c->roots[n++] = ys[k];
        }
    for (size_t k = 0; k < n; k++)
        c->roots[k]->flags &= (uint8_t)~SG__ROOT;
    return n;
}

/* F at the leaves as they are now: computed anew. */
static bool evaluate(check *c, int m, sg_tensor **ys, sg_tensor *const *covectors, double *f)
{
    size_t n = forget(c, m, ys);
    if (n && !sg__execute(c->g, n, c->roots))
        return false;
    *f = 0;
    for (int k = 0; k < m; k++)
        for (int64_t i = 0; i < ys[k]->dims->size; i++)
            *f += ((const double *)ys[k]->value)[i] * ((const double *)covectors[k]->value)[i];
    return true;
}

static bool difference(check *c, int m, sg_tensor **ys, sg_tensor *const *covectors,
                       const double *direction, int64_t at, double h, double *d)
{
    double f[2] = {0, 0};
    bool ok = true;
    for (int side = 0; ok && side < 2; side++) {
        double step = side ? h : -h;
        if (direction)
            for (int64_t i = 0; i < c->size; i++)
                *element(c, i) = c->saved[i] + step * direction[i];
        else
            *element(c, at) = c->saved[at] + step;
        ok = evaluate(c, m, ys, covectors, &f[side]);
        if (direction)
            restore(c);
        else
            *element(c, at) = c->saved[at];
    }
    *d = (f[1] - f[0]) / (2 * h);
    return ok;
}

/* The step is halved a few times while that helps: a kink may lie within it. */
static bool compare(check *c, int m, sg_tensor **ys, sg_tensor *const *covectors,
                    const double *direction, int64_t at, double analytic, double tolerance)
{
    double error = INFINITY, scale = fmax(1, fabs(analytic));
    for (int attempt = 0; attempt < 3 && !(error <= tolerance); attempt++) {
        double d;
        if (!difference(c, m, ys, covectors, direction, at, ldexp(c->h, -3 * attempt), &d))
            return false;
        error = fmin(error, isfinite(d) ? fabs(d - analytic) / scale : INFINITY);
    }
    if (!(error <= c->result->error[c->order - 1])) {
        c->result->error[c->order - 1] = error;
        c->result->element = -1;
        for (c->result->input = 0; !direction; c->result->input++) {
            int64_t size = c->xs[c->result->input]->dims->size;
            if (at < size) {
                c->result->element = at;
                break;
            }
            at -= size;
        }
    }
    return true;
}

static bool check_elements(check *c, int m, sg_tensor **ys, sg_tensor *const *covectors,
                           const double *gradient, double tolerance)
{
    int64_t some = c->size <= FEW ? c->size : SAMPLES;
    for (int64_t i = 0; i < some; i++) {
        int64_t at = c->size <= FEW ? i : (int64_t)(fabs(draw(c)) * (double)c->size) % c->size;
        if (!compare(c, m, ys, covectors, NULL, at, gradient[at], tolerance))
            return false;
    }
    double *direction = malloc(((size_t)c->size + 1) * sizeof *direction);
    if (!direction) {
        sg__no_memory(c->g, "a gradient check");
        return false;
    }
    bool ok = true;
    for (int k = 0; ok && k < DIRECTIONS; k++) {
        double analytic = 0;
        for (int64_t i = 0; i < c->size; i++) {
            direction[i] = draw(c);
            analytic += direction[i] * gradient[i];
        }
        ok = compare(c, m, ys, covectors, direction, 0, analytic, tolerance);
    }
    free(direction);
    return ok;
}

/* Checks d/dx of sum_k <c_k, y_k>; leaves the gradient graphs in grads. */
static bool check_order(check *c, int m, sg_tensor **ys, sg_tensor **grads, double tolerance)
{
    sg_context *g = c->g;
    size_t most = (size_t)(m > c->n ? m : c->n);
    sg_tensor **covectors = sg__alloc(&g->tape, most * sizeof *covectors);
    sg_tensor **part = sg__alloc(&g->tape, (size_t)c->n * sizeof *part);
    double *gradient = malloc(((size_t)c->size + 1) * sizeof *gradient);
    if (!covectors || !part || !gradient)
        sg__no_memory(g, "a gradient check");
    for (int k = 0; k < m && !g->status; k++) {
        covectors[k] = random_like(c, ys[k]);
        sg_vjp(ys[k], covectors[k], c->n, c->xs, part);
        for (int i = 0; i < c->n && !g->status; i++)
            grads[i] = k ? sg_add_n(2, (sg_tensor *[]){grads[i], part[i]}) : part[i];
    }
    int64_t at = 0;
    for (int i = 0; i < c->n && !g->status; i++) {
        const double *d = sg_data(grads[i]);
        for (int64_t j = 0; d && j < c->xs[i]->dims->size; j++)
            gradient[at++] = d[j];
    }
    bool ok = !g->status && check_elements(c, m, ys, covectors, gradient, tolerance);
    forget(c, m, ys); /* the last is a value at other leaves, which gradients must not read */
    free(gradient);
    return ok;
}

static bool to_doubles(check *c, const sg_gradcheck_options *o, sg_tensor **y)
{
    sg_context *g = c->g;
    for (int i = 0; i < o->n && !g->status; i++) {
        if (!sg__is_float(o->xs[i]->dtype)) {
            sg_fail(g, SG_BAD_DTYPE, "gradcheck: by a tensor of %s",
                    sg_dtype_name(sg_type(o->xs[i])));
            break;
        }
        const void *data = sg_data(o->xs[i]);
        c->xs[i] = sg_input(g, SG_F64, o->xs[i]->dims->shape, NULL);
        for (int64_t k = 0; data && !g->status && k < o->xs[i]->dims->size; k++)
            ((double *)c->xs[i]->value)[k] =
                o->xs[i]->dtype == SG_F64 ? ((const double *)data)[k] : ((const float *)data)[k];
        c->size += o->xs[i]->dims->size;
    }
    *y = g->status ? g->nil : sg_replay(o->y, o->n, o->xs, c->xs, SG_F64);
    if (!g->status && !sg__is_float((*y)->dtype))
        sg_fail(g, SG_BAD_DTYPE, "gradcheck: of a tensor of %s", sg_dtype_name(sg_type(o->y)));
    if (!g->status && sg__walk(g, 1, y, SG__EVERYTHING))
        for (int i = 0; i < o->n; i++) /* a check of nothing would pass */
            if (c->xs[i]->mark != g->epoch)
                sg_fail(g, SG_BAD_ARGUMENT, "gradcheck: y does not depend on xs[%d]", i);
    return !g->status;
}

sg_gradcheck_result sg_gradcheck_(sg_gradcheck_options o)
{
    sg_gradcheck_result result = {.element = -1};
    sg_tensor *nil, *y, **grads, **twice;
    sg_context *g = sg__together(1, &o.y, "gradcheck", &nil);
    if (g && o.n > 0 && !o.xs)
        sg_fail(g, SG_BAD_ARGUMENT, "gradcheck: no list of tensors");
    else if (g && o.n > 0)
        g = sg__together(o.n, o.xs, "gradcheck", &nil);
    if (!g || g->status)
        return result;
    if (o.n <= 0 || o.order < 0 || o.order > 2) {
        sg_fail(g, SG_BAD_ARGUMENT, "gradcheck: %d tensors, order %d", o.n, o.order);
        return result;
    }
    bool debug = g->debug; /* values must not stay while leaves change */
    g->debug = false;
    check c = {.g = g, .n = o.n, .h = o.step > 0 ? o.step : 1e-5, .result = &result, .order = 1};
    c.key[0] = (uint32_t)o.seed ^ 0x5EED;
    c.key[1] = (uint32_t)(o.seed >> 32);
    c.xs = sg__alloc(&g->tape, (size_t)o.n * sizeof *c.xs);
    c.roots = sg__alloc(&g->tape, (size_t)o.n * sizeof *c.roots);
    grads = sg__alloc(&g->tape, (size_t)o.n * sizeof *grads);
    twice = sg__alloc(&g->tape, (size_t)o.n * sizeof *twice);
    if (!c.xs || !c.roots || !grads || !twice)
        sg__no_memory(g, "a gradient check");
    if (!g->status && to_doubles(&c, &o, &y)) {
        c.saved = malloc(((size_t)c.size + 1) * sizeof *c.saved);
        for (int64_t i = 0; c.saved && i < c.size; i++)
            c.saved[i] = *element(&c, i);
        double tolerance[2] = {o.tolerance > 0 ? o.tolerance : 1e-6,
                               o.tolerance > 0 ? o.tolerance : 1e-5};
        bool ok = c.saved && check_order(&c, 1, &y, grads, tolerance[0]) &&
                  result.error[0] <= tolerance[0];
        if (ok && o.order == 2) {
            c.order = 2;
            ok =
                check_order(&c, o.n, grads, twice, tolerance[1]) && result.error[1] <= tolerance[1];
        }
        if (!c.saved)
            sg__no_memory(g, "a gradient check");
        result.ok = ok && !g->status;
        free(c.saved);
    }
    g->debug = debug;
    return result;
}
