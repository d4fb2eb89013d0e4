/*
 * Checkpoints: gradients have the same bits as without, of every order, and take less memory; with
 * a limit of memory, only as many are recomputed as that asks for.
 */
#include "models/models.h"
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { PARAMS = 96 };

typedef enum { NONE, EACH, NESTED } kind;

typedef sg_tensor *model(sg_context *g, kind k);

static sg_context *training(size_t memory)
{
    sg_context *g = sg_open(.threads = 1, .memory = memory);
    sg_train(g, true);
    return g;
}

static sg_tensor *wave(sg_context *g, sg_shape s)
{
    float v[8192];
    for (int i = 0; i < 8192; i++)
        v[i] = sinf((float)i);
    return sg_input(g, SG_F32, s, v);
}

/* The gradients of a loss by all parameters, or by one, and the loss; how many they are. */
static int gradients(sg_tensor *loss, const char *by, sg_tensor **d)
{
    int n = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(sg_context_of(loss), p, false)) && n < PARAMS;)
        if (!by || strcmp(sg_name(p), by) == 0)
            d[n++] = p;
    sg_grad(loss, n, d, d);
    d[n] = loss;
    return n + 1;
}

/* Those of the squares of its gradients, too */
static int second(sg_tensor *loss, const char *by, sg_tensor **d)
{
    int n = gradients(loss, by, d) - 1;
    sg_tensor *all[PARAMS];
    for (int i = 0; i < n; i++)
        all[i] = sg_sum(sg_square(d[i]), SG_ALL_AXES, false);
    return gradients(sg_add(loss, sg_add_n(n, all)), by, d);
}

static void expect_same(int n, sg_tensor *const *x, sg_tensor *const *y, const char *what)
{
    cr_assert(sg_eval_(n, x) == SG_OK, "%s: %s", what, sg_errmsg(sg_context_of(x[0])));
    cr_assert(sg_eval_(n, y) == SG_OK, "%s: %s", what, sg_errmsg(sg_context_of(y[0])));
    for (int i = 0; i < n; i++)
        cr_expect(memcmp(sg_data(x[i]), sg_data(y[i]), (size_t)sg_size(x[i]) * sizeof(float)) == 0,
                  "%s: gradient %d of %d", what, i, n);
}

/* Expects the same bits of gradients of both orders; the bytes that those of the first take. */
static void compare(model *m, kind k, const char *by, size_t *bytes, size_t *spared)
{
    sg_tensor *d[PARAMS + 1], *with[PARAMS + 1];
    for (int order = 2; order >= 1; order--) {
        sg_context *g = training(0), *h = training(0);
        int (*of)(sg_tensor *, const char *, sg_tensor **) = order == 1 ? gradients : second;
        int n = of(m(g, NONE), by, d);
        cr_assert_eq(of(m(h, k), by, with), n);
        sg_plan_info i = sg_plan_infos(n, d), j = sg_plan_infos(n, with);
        cr_expect(i.checkpoints == 0 && j.checkpoints > 0 && j.recomputed == j.checkpoints);
        cr_expect(order == 2 || j.flops < 1.6 * i.flops, "%g flops, without %g", j.flops, i.flops);
        *bytes = i.workspace;
        *spared = j.workspace;
        expect_same(n, d, with, order == 1 ? "first order" : "second order");
        sg_close(g);
        sg_close(h);
    }
}

/* ---- layers ---------------------------------------------------------------------------------- */

enum { LAYERS = 16, BATCH = 32, SIZE = 24, WIDE = 96 };

/* h + dropout(gelu(norm(h) W)) V */
static sg_tensor *layer(sg_tensor *h, int i)
{
    char name[16];
    sg_context *g = sg_context_of(h);
    snprintf(name, sizeof name, "layer%d", i);
    sg_push(g, "", name);
    sg_norm norm = sg_make_norm(g, "norm", SIZE, SG_F32);
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(SIZE, WIDE)),
              *v = sg_param(g, "v", SG_SHAPE(WIDE, SIZE));
    sg_tensor *wide = sg_gelu(sg_matmul(sg_normalize(norm, h), w));
    h = sg_add(h, sg_matmul(sg_dropout(wide, 0.2), v));
    sg_pop(g);
    return h;
}

static sg_tensor *layers(sg_context *g, kind k)
{
    sg_tensor *h = wave(g, SG_SHAPE(BATCH, SIZE)), *outer = h;
    for (int i = 0; i < LAYERS; i++) {
        sg_tensor *next = layer(h, i);
        h = k == NONE ? next : sg_checkpoint(next, 1, &h);
        if (k == NESTED && (i + 1) % 4 == 0)
            outer = h = sg_checkpoint(h, 1, &outer);
    }
    return sg_mean(sg_square(h), SG_ALL_AXES, false);
}

/* What a layer makes takes SIZE floats a row, and is kept where it is an input of a checkpoint; its
 * inside takes several times WIDE ones, once where it is computed again. */
Test(checkpoint, layers)
{
    size_t all, each, nested, row = BATCH * sizeof(float), registers = 16384;
    compare(layers, EACH, NULL, &all, &each);
    compare(layers, NESTED, NULL, &all, &nested);
    cr_expect(all > row * LAYERS * (SIZE + 3 * WIDE), "%zu bytes", all);
    cr_expect(each < row * (LAYERS * SIZE + 7 * WIDE) + registers, "%zu bytes", each);
    cr_expect(nested < row * ((4 + 4) * SIZE + 7 * WIDE) + registers, "%zu bytes", nested);
}

/* ---- stretches of time ----------------------------------------------------------------------- */

enum { TIME = 40, STRETCH = 7, ROWS = 4 };

static sg_tensor *stretches(sg_context *g, kind k)
{
    sg_cell cell = sg_lstm(g, "lstm", .in = SIZE, .hidden = SIZE);
    sg_tensor *x = sg_param(g, "x", SG_SHAPE(ROWS, TIME, SIZE), .init = SG_UNIFORM), *sum[TIME];
    sg_state s = {sg_full(g, SG_F32, SG_SHAPE(ROWS, SIZE), 0),
                  sg_full(g, SG_F32, SG_SHAPE(ROWS, SIZE), 0)};
    int n = 0;
    for (int t = 0; t < TIME; t += STRETCH) {
        sg_tensor *in[] = {s.h, s.c};
        int end = t + STRETCH < TIME ? t + STRETCH : TIME;
        sg_state last;
        sg_tensor *h = sg_unroll(cell, sg_slice(x, 1, t, end, 1), .initial = s, .final = &last);
        sum[n] = sg_sum(sg_square(h), SG_ALL_AXES, false);
        s = last;
        if (k != NONE) {
            sum[n] = sg_checkpoint(sum[n], 2, in);
            s.h = sg_checkpoint(s.h, 2, in);
            s.c = sg_checkpoint(s.c, 2, in);
        }
        n++;
    }
    return sg_add_n(n, sum);
}

/* The gradient of a weight that is used at every step is one product of all states and their
 * gradients, which are there at once. Without it stretches take as much as one of them, beside the
 * inputs' products for all gates, which are there from the start. */
Test(checkpoint, stretches_of_time)
{
    size_t all, spared, step = ROWS * SIZE * sizeof(float);
    compare(stretches, EACH, NULL, &all, &spared);
    cr_expect(spared < all, "%zu bytes, without %zu", spared, all);
    compare(stretches, EACH, "x", &all, &spared);
    cr_expect(all > TIME * (4 + 4) * step, "%zu bytes", all);
    cr_expect(spared < (TIME * 4 + STRETCH * 6) * step, "%zu bytes", spared);
}

/* ---- a Transformer --------------------------------------------------------------------------- */

static sg_tensor *transformer(sg_context *g, kind k)
{
    sg_transformer m = sg_make_transformer(g, "m", .size = 16, .heads = 2, .layers = 6, .wide = 32,
                                           .dropout = 0.1, .causal = true, .checkpoint = k != NONE);
    sg_tensor *x = wave(g, SG_SHAPE(3, 20, 16));
    sg_tensor *h = sg_transform(&m, x, .lengths = (int[]){20, 7, 13});
    return sg_mean(sg_square(h), SG_ALL_AXES, false);
}

Test(checkpoint, transformer)
{
    size_t all, spared;
    compare(transformer, EACH, NULL, &all, &spared);
    cr_expect(3 * spared < all, "%zu bytes, without %zu", spared, all);
}

/* ---- a limit of memory ----------------------------------------------------------------------- */

static sg_plan_info within(size_t memory, kind k, int n, sg_tensor *const *expected)
{
    sg_tensor *d[PARAMS + 1];
    sg_context *g = training(memory);
    gradients(layers(g, k), NULL, d);
    sg_plan_info i = sg_plan_infos(n, d);
    if (expected)
        expect_same(n, expected, d, "with a limit");
    sg_close(g);
    return i;
}

Test(checkpoint, a_limit_of_memory)
{
    sg_tensor *d[PARAMS + 1];
    sg_context *g = training(0);
    int n = gradients(layers(g, EACH), NULL, d);
    sg_plan_info least = sg_plan_infos(n, d), most = within(SIZE_MAX, EACH, n, d),
                 none = within(SIZE_MAX, NONE, n, d);
    cr_expect(none.workspace == most.workspace && none.flops == most.flops &&
                  none.steps == most.steps,
              "with enough memory the plan is the one without checkpoints");
    cr_expect(most.checkpoints == LAYERS && most.recomputed == 0);
    cr_expect(least.checkpoints == LAYERS && least.recomputed == LAYERS);
    cr_expect_eq(within(most.workspace, EACH, n, d).recomputed, 0);
    int64_t before = 0;
    for (int k = 0; k <= 8; k++) {
        size_t limit = most.workspace - (most.workspace - least.workspace) / 8 * (size_t)k;
        sg_plan_info i = within(limit, EACH, n, d);
        cr_expect(i.workspace <= limit, "%zu bytes within %zu", i.workspace, limit);
        cr_expect(k == 0 ? i.recomputed == 0 : i.recomputed > before,
                  "limit %zu: %d layers are recomputed", limit, (int)i.recomputed);
        before = i.recomputed;
    }
    sg_close(g);
}

Test(checkpoint, a_limit_that_is_too_low)
{
    sg_tensor *d[PARAMS + 1];
    char tried[100], message[200];
    for (int k = NONE; k <= EACH; k++) {
        sg_plan_info least = within(0, (kind)k, LAYERS, NULL),
                     most = within(SIZE_MAX, (kind)k, LAYERS, NULL);
        sg_context *g = training(least.workspace - 1);
        gradients(layers(g, (kind)k), NULL, d);
        cr_expect(sg_plan_infos(LAYERS, d).workspace == 0 && sg_error(g) == SG_NO_MEMORY);
        snprintf(tried, sizeof tried, " with checkpoints recomputed, %zu without", most.workspace);
        snprintf(message, sizeof message,
                 "a plan needs %zu bytes of workspace%s; the option memory allows %zu",
                 least.workspace, k == NONE ? "" : tried, least.workspace - 1);
        cr_expect_str_eq(sg_errmsg(g), message);
        sg_clear(g);
        sg_tensor *x = sg_tanh(sg_full(g, SG_F32, SG_SHAPE(1, 3), 1));
        cr_expect(sg_data(x) != NULL, "the context goes on: %s", sg_errmsg(g));
        sg_close(g);
    }
}

/* ---- training -------------------------------------------------------------------------------- */

/* Parameters after some steps, each one plan that computes layers again while it overwrites them.
 */
static double train(kind k, double *sum)
{
    sg_context *g = training(0);
    sg_optimizer adam = sg_adam(g, .rate = 0.01, .clip_norm = 1);
    double loss = NAN;
    for (int step = 0; step < 4; step++, sg_reset(g)) {
        sg_tensor *l = layers(g, k);
        sg_step(&adam, l);
        loss = sg_item(l);
    }
    *sum = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));) {
        const float *v = sg_data(p);
        for (int64_t i = 0; v && i < sg_size(p); i++)
            *sum += (double)v[i] * (double)(i + 1);
    }
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
    return loss;
}

Test(checkpoint, parameters_are_overwritten_meanwhile)
{
    double all, again, loss = train(NONE, &all);
    for (int k = EACH; k <= NESTED; k++) {
        cr_expect_eq(train((kind)k, &again), loss);
        cr_expect_eq(all, again);
    }
}

/* A parameter whose new value needs no gradient might be overwritten before it is read again. */
Test(checkpoint, a_parameter_is_read_again_before_it_is_overwritten)
{
    float found[2][6];
    for (int k = NONE; k <= EACH; k++) {
        sg_context *g = training(0);
        sg_tensor *w = sg_param(g, "w", SG_SHAPE(3, 3)), *x = wave(g, SG_SHAPE(2, 3)), *d;
        sg_tensor *h = sg_tanh(x), *y = sg_exp(sg_tanh(sg_matmul(h, w)));
        y = k == NONE ? y : sg_checkpoint(y, 1, &h);
        sg_grad(sg_sum(sg_square(y), SG_ALL_AXES, false), 1, &x, &d);
        sg_assign(w, sg_mul(w, sg_like(w, 0.5)));
        cr_assert(sg_eval(d) == SG_OK);
        memcpy(found[k], sg_data(d), sizeof *found);
        sg_close(g);
    }
    cr_expect_arr_eq(found[EACH], found[NONE], sizeof *found);
}

Test(checkpoint, what_was_recorded_before_an_update_is_stale)
{
    for (int k = 0; k < 2; k++) {
        sg_context *g = training(0);
        sg_tensor *w = sg_param(g, "w", SG_SHAPE(3, 3)), *x = wave(g, SG_SHAPE(2, 3)), *d;
        sg_tensor *y = sg_checkpoint(sg_tanh(sg_matmul(x, w)), 1, &x);
        sg_tensor *loss = sg_sum(sg_square(y), SG_ALL_AXES, false);
        sg_item(loss);
        for (int i = 0; i < 2; i++)
            if (i == k)
                sg_grad(loss, 1, &x, &d);
            else
                sg_set(w, (float[9]){1});
        cr_expect(sg_data(d) == NULL && sg_error(g) == SG_STALE, "%s", sg_errmsg(g));
        sg_close(g);
    }
}

/* ---- derivatives ----------------------------------------------------------------------------- */

Test(checkpoint, derivatives_of_both_orders)
{
    sg_context *g = sg_open();
    double v[6] = {0.3, -0.2, 0.5, 0.9, -0.7, 0.1};
    sg_tensor *x = sg_input(g, SG_F64, SG_SHAPE(2, 3), v),
              *w = sg_input(g, SG_F64, SG_SHAPE(3, 2), v);
    sg_tensor *a = sg_tanh(sg_matmul(x, w)), *inner = sg_sin(sg_mul(a, a));
    sg_tensor *b = sg_checkpoint(sg_matmul(inner, a), 1, &a);
    sg_tensor *c =
        sg_checkpoint(sg_softmax(sg_add(b, sg_exp(inner)), NULL), 2, (sg_tensor *[]){x, a});
    sg_tensor *y[] = {
        c,
        sg_mul(b, sg_checkpoint(sg_sum(w, SG_ALL_AXES, false), 0, NULL)),
        sg_matmul(sg_checkpoint(sg_square(x), 1, &x), w),
        sg_checkpoint(sg_checkpoint(sg_exp(a), 1, &a), 2, (sg_tensor *[]){a, x}),
        sg_mul(c, inner), /* what is inside is used outside */
        sg_checkpoint(sg_add_n(2, (sg_tensor *[]){a, sg_matmul(a, a)}), 1, &a),
    };
    for (size_t i = 0; i < sizeof y / sizeof *y; i++) {
        sg_gradcheck_result r = sg_gradcheck(y[i], 2, ((sg_tensor *[]){x, w}), .order = 2);
        cr_expect(r.ok, "%zu: %g, %g: %s", i, r.error[0], r.error[1], sg_errmsg(g));
    }
    sg_close(g);
}

Test(checkpoint, derivatives_of_whole_models)
{
    static model *const models[] = {stretches, transformer};
    for (int i = 0; i < 2; i++) {
        sg_context *g = sg_open();
        sg_tensor *y = models[i](g, EACH), *xs[PARAMS];
        int n = 0;
        for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false)) && n < 5;)
            xs[n++] = p;
        sg_gradcheck_result r = sg_gradcheck(y, n, xs, .order = 2);
        cr_expect(r.ok, "%d: %g, %g: %s", i, r.error[0], r.error[1], sg_errmsg(g));
        sg_close(g);
    }
}

/* d²y / dx da, where a is inside of the checkpoint: it is no copy that a derivative goes to. */
Test(checkpoint, derivatives_by_what_is_inside)
{
    sg_context *g = sg_open();
    sg_tensor *x = sg_scalar(g, SG_F64, 0.5), *a = sg_square(x), *d, *e;
    sg_tensor *y = sg_checkpoint(sg_mul(sg_exp(a), a), 1, &x);
    sg_grad(y, 1, &a, &d); /* (1 + a) exp(a) */
    sg_grad(d, 1, &a, &e); /* (2 + a) exp(a) */
    cr_expect_float_eq(sg_item(e), 2.25 * exp(0.25), 1e-12);
    sg_close(g);
}

Test(checkpoint, errors_are_passed_on)
{
    sg_context *g = sg_open(), *h = sg_open();
    sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(2), 1), *other = sg_full(h, SG_F32, SG_SHAPE(2), 1);
    sg_tensor *y = sg_exp(x);
    cr_expect(sg_is_nil(sg_checkpoint(y, 1, &other)) && sg_error(g) == SG_BAD_CONTEXT);
    cr_expect(sg_is_nil(sg_checkpoint(y, 1, &x)), "inert from then on");
    sg_close(g);
    sg_close(h);
}
