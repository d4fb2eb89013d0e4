/*
 * Gradients are recorded once it matters what they are made of: a step whose plan is known does not
 * record them, and has the bits of one that does.
 */
#include "models/models.h"
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { IN = 3, OUT = 4, STEPS = 5 };

static sg_tensor *weights(sg_context *g)
{
    return sg_param(g, "w", SG_SHAPE(IN, OUT));
}

static sg_tensor *wave(sg_context *g, int from)
{
    float x[5 * IN];
    for (int i = 0; i < 5 * IN; i++)
        x[i] = sinf((float)(from + i));
    return sg_input(g, SG_F32, SG_SHAPE(5, IN), x);
}

/* times: how often the layer is applied beside itself */
static sg_tensor *loss_of(sg_context *g, int step, int times)
{
    sg_tensor *x = wave(g, step), *sum = sg_like(x, 0);
    for (int i = 0; i < times; i++)
        sum =
            sg_add(sum, sg_mean(sg_square(sg_tanh(sg_matmul(x, weights(g)))), SG_ALL_AXES, false));
    return sum;
}

/* As sg_grad, but recorded at once. */
static void gradients_now(sg_tensor *y, int n, sg_tensor *const *x, sg_tensor **d)
{
    sg_vjp(y, sg_full(sg_context_of(y), sg_type(y), sg_shape_of(y), 1), n, x, d);
}

static void expect_equal(sg_tensor *x, sg_tensor *y, const char *what)
{
    size_t bytes = (size_t)sg_size(x) * (sg_type(x) == SG_F64 ? sizeof(double) : sizeof(float));
    cr_assert(sg_data(x) && sg_data(y), "%s: %s%s", what, sg_errmsg(sg_context_of(x)),
              sg_errmsg(sg_context_of(y)));
    cr_expect(memcmp(sg_data(x), sg_data(y), bytes) == 0, "%s: other bits", what);
}

static void expect_same_weights(sg_context *g, sg_context *h, const char *what)
{
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, true));)
        expect_equal(p, sg_find(h, sg_name(p)), what);
}

Test(later, a_step_that_is_known_records_less)
{
    sg_context *g = sg_open(.without = "rewrite"), *h = sg_open(.without = "rewrite");
    sg_context *debug = sg_open(.debug = true), *all[] = {g, h, debug};
    uint64_t nodes[STEPS] = {0};
    for (int k = 0; k < 3; k++) {
        sg_optimizer adam = sg_adam(all[k], .clip_norm = 0.1);
        for (int i = 0; i < STEPS; i++) {
            if (k == 1)
                sg_forget_plans(h);
            uint64_t before = sg_stats(g).nodes;
            cr_assert(sg_step(&adam, loss_of(all[k], i, 2)) == SG_OK, "%s", sg_errmsg(all[k]));
            sg_reset(all[k]);
            nodes[i] = k == 0 ? sg_stats(g).nodes - before : nodes[i];
        }
    }
    for (int i = 2; i < STEPS; i++)
        cr_expect(nodes[i] == nodes[1] && nodes[i] + 10 < nodes[0], "%d nodes", (int)nodes[i]);
    cr_expect(sg_stats(g).misses == 1 && sg_stats(g).hits == STEPS - 1);
    cr_expect(sg_stats(h).misses == STEPS && sg_stats(h).hits == 0);
    cr_expect(sg_stats(g).recomputed == 0 && sg_stats(h).recomputed == 0);
    expect_same_weights(g, h, "plans made anew");
    expect_same_weights(g, debug, "debug mode");
    for (int k = 0; k < 3; k++)
        sg_close(all[k]);
}

Test(later, values_at_a_hit_are_those_of_gradients_recorded_at_once)
{
    sg_context *g = sg_open();
    for (int i = 0; i < STEPS; i++) {
        sg_tensor *x = wave(g, i), *w = weights(g), *y = sg_tanh(sg_matmul(x, w));
        sg_tensor *loss = sg_sum(sg_square(y), SG_ALL_AXES, false), *d[2], *e[2];
        sg_grad(loss, 2, (sg_tensor *[]){x, w}, d);
        cr_assert(sg_eval(d[1], loss, d[0]) == SG_OK); /* in any order */
        gradients_now(loss, 2, (sg_tensor *[]){x, w}, e);
        expect_equal(d[0], e[0], "by the input");
        expect_equal(d[1], e[1], "by the weights");
        sg_reset(g);
    }
    cr_expect(sg_stats(g).misses == 3, "%d", (int)sg_stats(g).misses);
    sg_close(g);
}

/* The gradient of c·w is c, whatever a gradient of the same form had for a constant. */
Test(later, a_constant_of_the_formula_is_not_one_of_its_gradient)
{
    static const double c[] = {1, 0.7, 1, 2, 0.5, 0.7, -3, 0};
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        sg_tensor *w = sg_input(g, SG_F64, SG_SHAPE(2), (double[]){3, 4}), *d;
        sg_tensor *y = sg_sum(sg_tanh(sg_mul(sg_like(w, c[i]), w)), SG_ALL_AXES, false);
        sg_grad(y, 1, &w, &d);
        sg_eval(d);
        double t = tanh(c[i] * 4), is = ((const double *)sg_data(d))[1];
        cr_expect(fabs(is - c[i] * (1 - t * t)) < 1e-12, "%g: %g", c[i], is);
        sg_reset(g);
    }
    sg_close(g);
}

Test(later, another_graph_has_another_plan)
{
    sg_context *g = sg_open();
    for (int i = 0; i < 2 * STEPS; i++) {
        sg_tensor *w = weights(g), *b = sg_param(g, "b", SG_SHAPE(OUT)), *d[2];
        sg_tensor *y = sg_tanh(sg_add(sg_matmul(wave(g, i), w), b));
        sg_tensor *loss = sg_sum(i % 2 ? sg_exp(y) : sg_square(y), SG_ALL_AXES, false);
        bool swap = i / 2 % 2;
        sg_grad(loss, 2, (sg_tensor *[]){swap ? b : w, swap ? w : b}, d);
        cr_assert(sg_eval(d[0]) == SG_OK);
        gradients_now(loss, 1, swap ? &b : &w, &d[1]);
        expect_equal(d[0], d[1], "one of four");
        sg_reset(g);
    }
    sg_close(g);
}

/* A frozen parameter gets no gradient, and the others' norm is without it. */
Test(later, frozen_parameters)
{
    sg_context *g = sg_open(), *h = sg_open();
    for (int k = 0; k < 2; k++) {
        sg_context *c = k ? h : g;
        sg_optimizer sgd = sg_sgd(c, .rate = 0.1, .clip_norm = 0.1);
        for (int i = 0; i < 8; i++) {
            sg_tensor *b = sg_param(c, "b", SG_SHAPE(OUT));
            sg_freeze(c, i % 4 < 2 ? "b" : "w", true);
            sg_freeze(c, i % 4 < 2 ? "w" : "b", false);
            if (k)
                sg_forget_plans(c);
            sg_tensor *y = sg_tanh(sg_add(sg_matmul(wave(c, i), weights(c)), b));
            cr_assert(sg_step(&sgd, sg_mean(sg_square(y), SG_ALL_AXES, false)) == SG_OK);
            sg_reset(c);
        }
    }
    cr_expect(sg_stats(g).misses == 2, "%d", (int)sg_stats(g).misses);
    expect_same_weights(g, h, "frozen by turns");
    sg_close(g);
    sg_close(h);
}

Test(later, two_losses_of_one_tape)
{
    sg_context *g = sg_open(), *h = sg_open();
    for (int k = 0; k < 2; k++) {
        sg_context *c = k ? h : g;
        sg_optimizer adam = sg_adam(c, .accumulate = 2);
        for (int i = 0; i < STEPS; i++) {
            if (k)
                sg_forget_plans(c);
            sg_tensor *x = wave(c, i), *w = weights(c), *v = sg_param(c, "v", SG_SHAPE(IN, OUT));
            sg_tensor *y = sg_square(sg_tanh(sg_matmul(x, w)));
            sg_tensor *z = sg_square(sg_tanh(sg_matmul(x, v)));
            sg_freeze(c, "v", true);
            sg_step(&adam, sg_mean(y, SG_ALL_AXES, false));
            sg_freeze(c, "w", true);
            sg_freeze(c, "v", false);
            sg_step(&adam, sg_mean(z, SG_ALL_AXES, false));
            sg_freeze(c, "w", false);
            cr_assert(sg_ok(c), "%s", sg_errmsg(c));
            sg_reset(c);
        }
    }
    cr_expect(sg_stats(g).recomputed == sg_stats(h).recomputed);
    expect_same_weights(g, h, "two losses");
    sg_close(g);
    sg_close(h);
}

/* Hits of a gradient's gradient, which nobody recorded either. */
Test(later, second_order)
{
    sg_context *g = sg_open();
    uint64_t nodes[STEPS];
    for (int i = 0; i < STEPS; i++) {
        uint64_t before = sg_stats(g).nodes;
        sg_tensor *w = weights(g), *d, *e, *f;
        sg_tensor *loss = loss_of(g, i, 1);
        sg_grad(loss, 1, &w, &d);
        sg_grad(sg_sum(sg_square(d), SG_ALL_AXES, false), 1, &w, &e);
        cr_assert(sg_eval(e) == SG_OK);
        nodes[i] = sg_stats(g).nodes - before;
        gradients_now(loss, 1, &w, &d);
        gradients_now(sg_sum(sg_square(d), SG_ALL_AXES, false), 1, &w, &f);
        expect_equal(e, f, "second order");
        sg_reset(g);
        cr_expect(i == 0 || nodes[i] + 10 < nodes[0]);
    }
    sg_close(g);
}

/* What has a value stands for itself: its gradient is not one of a leaf. */
Test(later, values_from_before)
{
    sg_context *g = sg_open();
    for (int i = 0; i < 2 * STEPS; i++) {
        sg_tensor *w = weights(g), *d, *e, *y = sg_tanh(w);
        sg_tensor *loss = sg_sum(i % 2 ? sg_square(y) : sg_exp(y), SG_ALL_AXES, false);
        sg_grad(loss, 1, &w, &d);
        sg_eval(loss);
        cr_assert(sg_eval(d) == SG_OK);
        gradients_now(loss, 1, &w, &e);
        expect_equal(d, e, "after the loss");
        sg_reset(g);
    }
    sg_close(g);
}

Test(later, checkpoints_and_draws)
{
    sg_context *g = sg_open(), *h = sg_open();
    for (int k = 0; k < 2; k++) {
        sg_context *c = k ? h : g;
        sg_train(c, true);
        sg_optimizer adam = sg_adam(c);
        for (int i = 0; i < STEPS; i++) {
            if (k)
                sg_forget_plans(c);
            sg_tensor *u = sg_mul(wave(c, i), sg_like(weights(c), 0.5));
            sg_tensor *y = sg_dropout(sg_tanh(sg_matmul(u, weights(c))), 0.3);
            y = sg_checkpoint(sg_exp(y), 1, &u);
            cr_assert(sg_step(&adam, sg_mean(y, SG_ALL_AXES, false)) == SG_OK, "%s", sg_errmsg(c));
            sg_reset(c);
        }
    }
    cr_expect(sg_stats(g).hits == STEPS - 1);
    expect_same_weights(g, h, "dropout inside of a checkpoint");
    sg_close(g);
    sg_close(h);
}

/* The steps of two profiled runs and their scopes, without times; before, runs without a profile.
 */
static void trace(char *text, size_t size, int before)
{
    static char all[1 << 16];
    sg_context *g = sg_open();
    sg_optimizer sgd = sg_sgd(g);
    for (int i = 0; i < before + 2; i++) {
        sg_push(g, "layer", "first");
        sg_tensor *y = sg_tanh(sg_matmul(wave(g, i), weights(g)));
        sg_pop(g);
        sg_push(g, "layer", "second");
        sg_tensor *loss = sg_sum(sg_matmul(y, sg_param(g, "v", SG_SHAPE(OUT, 2))), SG_ALL_AXES, 0);
        sg_pop(g);
        if (i == before)
            sg_profile(g, true);
        cr_assert(sg_step(&sgd, loss) == SG_OK);
        sg_reset(g);
    }
    memset(all, 0, sizeof all);
    FILE *f = fmemopen(all, sizeof all - 1, "w");
    sg_profile_trace(f, g);
    fclose(f);
    size_t n = 0;
    for (const char *p = all; (p = strstr(p, "\"scope\": ")) && n + 64 < size; p++)
        n += (size_t)snprintf(text + n, size - n, "%.*s\n", (int)strcspn(p, ","), p);
    sg_close(g);
}

Test(later, profiles_know_what_they_are_made_of)
{
    static char fresh[1 << 16], late[1 << 16];
    trace(fresh, sizeof fresh, 0);
    trace(late, sizeof late, 2);
    cr_expect(strstr(fresh, "first") && strstr(fresh, "second") && strstr(fresh, "optimizer"));
    cr_expect_str_eq(fresh, late);
}

Test(later, dumps_know_what_they_are_made_of)
{
    char text[8192] = "";
    sg_context *g = sg_open();
    sg_tensor *w = weights(g), *d;
    sg_grad(loss_of(g, 0, 1), 1, &w, &d);
    FILE *f = fmemopen(text, sizeof text, "w");
    sg_dump(f, 1, &d);
    fclose(f);
    cr_expect(strstr(text, "matmul") && !strstr(text, "gradient"), "%s", text);
    sg_close(g);
}

/* ---- ops whose derivatives do what they should not ------------------------------------------ */

static bool same_infer(sg_infer *i)
{
    i->shape = sg_shape_of(i->in[0]);
    return true;
}

static bool copy_run(const sg_call *c)
{
    memcpy(c->out.data, c->in[0].data, 2 * sizeof(double));
    return true;
}

static bool picky_run(const sg_call *c)
{
    const double *x = c->in[0].data;
    return x[0] < 3 ? copy_run(c) : sg_stop(c, "%g is too much", x[0]);
}

static const sg_op picky_op = {
    .name = "picky", .args = "x", .arity = 1, .infer = same_infer, .run = picky_run};

/* picky(x) g */
static sg_tensor *picky_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return sg_mul(sg_record(&picky_op, NULL, 1, v->in), v->g);
}

/* the first element of x, as a number, times g */
static sg_tensor *curious_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return sg_mul(sg_like(v->g, ((const double *)sg_data(v->in[0]))[0]), v->g);
}

static sg_tensor *eager_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return sg_mul(sg_like(v->g, sg_item(sg_sum(v->in[0], 0, false))), v->g);
}

static sg_tensor *gradient_of(sg_context *g, const sg_op *op, double first)
{
    sg_tensor *x = sg_input(g, SG_F64, SG_SHAPE(2), (double[]){first, 2}), *d;
    sg_push(g, "layer", "own");
    sg_tensor *y = sg_sum(sg_record(op, NULL, 1, &x), 0, false);
    sg_pop(g);
    sg_grad(y, 1, &x, &d);
    return d;
}

Test(later, a_derivative_that_looks_at_values_is_recorded_each_time)
{
    static const sg_op op = {.name = "curious",
                             .args = "x",
                             .arity = 1,
                             .infer = same_infer,
                             .run = copy_run,
                             .vjp = curious_vjp};
    sg_context *g = sg_open();
    for (int i = 0; i < STEPS; i++) {
        const double *d = sg_data(gradient_of(g, &op, i + 5));
        cr_expect(d && d[1] == i + 5, "%d: %s", i, sg_errmsg(g));
        sg_reset(g);
    }
    cr_expect(sg_stats(g).misses == 1 && sg_stats(g).recomputed == 0);
    sg_close(g);
}

Test(later, a_derivative_cannot_evaluate)
{
    static const sg_op op = {.name = "eager",
                             .args = "x",
                             .arity = 1,
                             .infer = same_infer,
                             .run = copy_run,
                             .vjp = eager_vjp};
    sg_context *g = sg_open();
    cr_expect(sg_data(gradient_of(g, &op, 1)) == NULL && sg_error(g) == SG_BAD_ARGUMENT);
    cr_expect(strstr(sg_errmsg(g), "an op asks for values while it is evaluated or derived"), "%s",
              sg_errmsg(g));
    sg_clear(g);
    sg_tensor *d = gradient_of(g, &op, 1); /* nor when only its plan is asked for */
    cr_expect(sg_plan_infos(1, &d).steps == 0 && sg_error(g) == SG_BAD_ARGUMENT);
    sg_clear(g);
    cr_expect(sg_item(sg_scalar(g, SG_F32, 1)) == 1);
    sg_close(g);
}

/* A step of the gradient fails in a run that did not record it: it is named all the same. */
Test(later, a_failure_at_a_hit_is_named)
{
    static const sg_op op = {.name = "smooth",
                             .args = "x",
                             .arity = 1,
                             .infer = same_infer,
                             .run = copy_run,
                             .vjp = picky_vjp};
    sg_context *g = sg_open();
    char first[SG_MESSAGE];
    sg_data(gradient_of(g, &op, 4));
    snprintf(first, sizeof first, "%s", sg_errmsg(g));
    cr_expect(strstr(first, "layer \"own\": picky: 4 is too much: x[2] f64"), "%s", first);
    sg_clear(g);
    for (int i = 0; i < STEPS; i++) {
        const double *d = sg_data(gradient_of(g, &op, i));
        cr_expect(i < 3 ? d && d[0] == i : !d, "%d: %s", i, sg_errmsg(g));
        cr_expect(i < 3 || strstr(sg_errmsg(g), "layer \"own\": picky: "), "%s", sg_errmsg(g));
        sg_clear(g);
    }
    cr_expect(sg_stats(g).misses == 1);
    sg_close(g);
}

Test(later, no_derivative)
{
    sg_context *g = sg_open();
    sg_optimizer sgd = sg_sgd(g);
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(2), .dtype = SG_F64);
    sg_push(g, "layer", "own");
    sg_tensor *loss = sg_sum(sg_record(&picky_op, NULL, 1, &w), 0, false);
    sg_pop(g);
    cr_expect(sg_step(&sgd, loss) == SG_BAD_ARGUMENT);
    cr_expect_str_eq(sg_errmsg(g),
                     "layer \"own\": picky: has no derivative: no vjp, no lower: w[2] f64");
    sg_close(g);
}
