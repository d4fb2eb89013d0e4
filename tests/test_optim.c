/* Optimizers against the formulas of their papers in plain C, and what training promises: all or
 * nothing, the same bits after a resume. */
#include "optim/optim.h"
#include "tests/error_test.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { N = 5, STEPS = 7 };

/* f(p) = sum of sin(p) * a, whose gradient is a cos(p) */
static const double a[N] = {0.5, -1, 2, 0.1, 3}, start[N] = {0.3, -0.2, 1, 2, -3};

static sg_tensor *loss_of(sg_context *g, sg_tensor *p)
{
    return sg_sum(sg_mul(sg_sin(p), sg_input(g, SG_F64, SG_SHAPE(N), a)), 0, false);
}

typedef struct reference {
    double p[N], v[N], m[N];
} reference;

static void sgd(const sg_optimizer_options *o, reference *r, int t)
{
    (void)t;
    for (int i = 0; i < N; i++) {
        double d = a[i] * cos(r->p[i]) + o->decay * r->p[i];
        r->v[i] = o->momentum * r->v[i] + d;
        double step = o->momentum == 0 ? d : o->nesterov ? d + o->momentum * r->v[i] : r->v[i];
        r->p[i] -= o->rate * step;
    }
}

static void adam(const sg_optimizer_options *o, reference *r, int t)
{
    double b1 = o->beta1 ? o->beta1 : 0.9, b2 = o->beta2 ? o->beta2 : 0.999;
    for (int i = 0; i < N; i++) {
        double d = a[i] * cos(r->p[i]);
        if (o->kind == SG_ADAM)
            d += o->decay * r->p[i];
        else
            r->p[i] -= o->rate * o->decay * r->p[i];
        r->m[i] = b1 * r->m[i] + (1 - b1) * d;
        r->v[i] = b2 * r->v[i] + (1 - b2) * d * d;
        double m = r->m[i] / (1 - pow(b1, t)), v = r->v[i] / (1 - pow(b2, t));
        r->p[i] -= o->rate * m / (sqrt(v) + 1e-8);
    }
}

Test(optim, updates_follow_their_formulas)
{
    const sg_optimizer_options rows[] = {
        {.kind = SG_SGD, .rate = 0.1},
        {.kind = SG_SGD, .rate = 0.1, .momentum = 0.9},
        {.kind = SG_SGD, .rate = 0.1, .momentum = 0.9, .nesterov = true, .decay = 0.02},
        {.kind = SG_ADAM, .rate = 0.05},
        {.kind = SG_ADAM, .rate = 0.05, .decay = 0.1, .beta1 = 0.8, .beta2 = 0.95},
        {.kind = SG_ADAMW, .rate = 0.05, .decay = 0.1},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        sg_context *g = sg_open();
        sg_tensor *p = sg_param(g, "p", SG_SHAPE(N), .dtype = SG_F64, .data = start);
        sg_optimizer_options o = rows[k];
        o.g = g;
        sg_optimizer s = sg_make_optimizer(o);
        reference r = {.p = {0}};
        memcpy(r.p, start, sizeof start);
        for (int t = 1; t <= STEPS; t++) {
            sg_tensor *loss = loss_of(g, p);
            cr_assert(sg_step(&s, loss) == SG_OK, "%s", sg_errmsg(g));
            (rows[k].kind == SG_SGD ? sgd : adam)(&rows[k], &r, t);
            for (int i = 0; i < N; i++)
                cr_expect(fabs(((const double *)sg_data(p))[i] - r.p[i]) < 1e-12,
                          "row %zu, step %d, element %d: %g, not %g", k, t, i,
                          ((const double *)sg_data(p))[i], r.p[i]);
            sg_reset(g);
        }
        cr_expect(s.steps == STEPS && sg_stats(g).misses == 1, "one plan: %d",
                  (int)sg_stats(g).misses);
        sg_close(g);
    }
}

Test(optim, clipping)
{
    sg_context *g = sg_open();
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(N), .dtype = SG_F64, .data = start);
    sg_tensor *q = sg_param(g, "q", SG_SCALAR, SG_CONSTANT, 2);
    sg_optimizer s = sg_sgd(g, .rate = 1, .clip_norm = 0.5);
    sg_tensor *loss = sg_add(loss_of(g, p), sg_cast(sg_mul(q, q), SG_F64));
    sg_step(&s, loss);
    double square = 16, d[N];
    for (int i = 0; i < N; i++) {
        d[i] = a[i] * cos(start[i]);
        square += d[i] * d[i];
    }
    double norm = sqrt(square);
    cr_expect(fabs(sg_item(s.norm) - norm) < 1e-9);
    for (int i = 0; i < N; i++)
        cr_expect(fabs(((const double *)sg_data(p))[i] - (start[i] - d[i] * 0.5 / norm)) < 1e-6);
    cr_expect(fabs(sg_item(q) - (2 - 4 * 0.5 / norm)) < 1e-6, "f32 and f64 in one norm");
    sg_reset(g);

    sg_set(p, start);
    s = sg_sgd(g, .rate = 1, .clip_norm = 1e9, .clip_value = 0.3);
    sg_step(&s, loss_of(g, p));
    for (int i = 0; i < N; i++)
        cr_expect(fabs(((const double *)sg_data(p))[i] - (start[i] - fmax(fmin(d[i], 0.3), -0.3))) <
                  1e-12);
    sg_close(g);
}

Test(optim, accumulated_gradients_make_one_update)
{
    sg_context *g = sg_open();
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(N), .dtype = SG_F64, .data = start);
    sg_optimizer s = sg_sgd(g, .rate = 0.5, .accumulate = 3);
    for (int t = 0; t < 6; t++) {
        double before[N];
        memcpy(before, sg_data(p), sizeof before);
        cr_assert(sg_step(&s, loss_of(g, p)) == SG_OK, "%s", sg_errmsg(g));
        for (int i = 0; i < N; i++) {
            double expected = before[i] - (t % 3 == 2 ? 0.5 * a[i] * cos(before[i]) : 0);
            cr_expect(fabs(((const double *)sg_data(p))[i] - expected) < 1e-12, "step %d", t);
        }
        sg_reset(g);
    }
    cr_expect(s.steps == 2);
    sg_close(g);
}

/* A step that is recorded can be looked at, and is taken by the next evaluation. */
Test(optim, a_step_is_recorded_or_taken)
{
    float after[2][4];
    for (int k = 0; k < 2; k++) {
        sg_context *g = sg_open(.seed = 3);
        sg_tensor *p = sg_param(g, "p", SG_SHAPE(4), SG_NORMAL);
        sg_optimizer adam = sg_adam(g, .rate = 0.1, .clip_norm = 0.5);
        sg_tensor *loss = sg_sum(sg_square(p), SG_ALL_AXES, false);
        float before[4];
        memcpy(before, sg_data(p), sizeof before);
        if (k) {
            sg_update(&adam, loss);
            cr_expect(sg_plan_infos(1, &loss).nodes > 20, "the whole step");
            cr_expect(memcmp(sg_data(p), before, sizeof before) == 0, "not taken yet");
            sg_item(loss);
        } else {
            sg_step(&adam, loss);
        }
        cr_expect(memcmp(sg_data(p), before, sizeof before) != 0, "taken");
        memcpy(after[k], sg_data(p), sizeof before);
        cr_expect(sg_ok(g), "%s", sg_errmsg(g));
        sg_close(g);
    }
    cr_expect(memcmp(after[0], after[1], sizeof after[0]) == 0);
}

Test(optim, groups_and_frozen_parameters)
{
    sg_context *g = sg_open();
    sg_tensor *p[3];
    for (int i = 0; i < 3; i++)
        p[i] =
            sg_param(g, (char[]){(char)('a' + i), 0}, SG_SHAPE(N), .dtype = SG_F64, .data = start);
    sg_freeze(g, "a", true);
    sg_group(g, "b", 0.5, 1);
    sg_optimizer s = sg_sgd(g, .rate = 1);
    sg_step(&s, sg_add(loss_of(g, p[0]), sg_add(loss_of(g, p[1]), loss_of(g, p[2]))));
    for (int i = 0; i < N; i++) {
        double d = a[i] * cos(start[i]);
        const double rate[3] = {0, 0.5, 1};
        for (int k = 0; k < 3; k++)
            cr_expect(fabs(((const double *)sg_data(p[k]))[i] - (start[i] - rate[k] * d)) < 1e-12);
    }
    sg_close(g);
}

Test(optim, schedules)
{
    const struct {
        sg_schedule s;
        int64_t t;
        double rate;
    } rows[] = {
        {{SG_CONSTANT_RATE}, 1000000, 2},
        {{SG_CONSTANT_RATE, .warmup = 10}, 1, 0.2},
        {{SG_CONSTANT_RATE, .warmup = 10}, 10, 2},
        {{SG_STEPS, .factor = 0.1, .period = 3}, 3, 2},
        {{SG_STEPS, .factor = 0.1, .period = 3}, 4, 0.2},
        {{SG_STEPS, .factor = 0.1, .period = 3}, 7, 0.02},
        {{SG_EXPONENTIAL, .factor = 0.25, .period = 2}, 2, 1},
        {{SG_EXPONENTIAL, .factor = 0.25, .period = 2, .floor = 0.4}, 9, 0.4},
        {{SG_INVERSE_SQRT, .warmup = 4}, 2, 1},
        {{SG_INVERSE_SQRT, .warmup = 4}, 4, 2},
        {{SG_INVERSE_SQRT, .warmup = 4}, 16, 1},
        {{SG_COSINE, .period = 10}, 1, 2},
        {{SG_COSINE, .period = 10}, 6, 1},
        {{SG_COSINE, .period = 10, .floor = 0.5}, 11, 0.5},
        {{SG_COSINE, .period = 10, .floor = 0.5}, 100, 0.5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect(fabs(sg_schedule_rate(&rows[i].s, 2, rows[i].t) - rows[i].rate) < 1e-12,
                  "row %zu: %g, not %g", i, sg_schedule_rate(&rows[i].s, 2, rows[i].t),
                  rows[i].rate);
}

Test(optim, early_stopping_keeps_the_best)
{
    sg_context *g = sg_open();
    sg_tensor *p = sg_param(g, "p", SG_SCALAR);
    const double losses[] = {3, 2, 2.5, 1, 1.5, 1.2, 0.5};
    sg_stopper s = {.patience = 2};
    int stopped = 0;
    for (int i = 0; i < 7 && !stopped; i++) {
        sg_set(p, &(float){(float)i});
        if (sg_stopper_done(&s, g, losses[i]))
            stopped = i;
    }
    cr_expect(stopped == 5 && s.best == 1 && s.best_at == 4, "at %d", stopped);
    sg_tensor *later = sg_param(g, "later", SG_SCALAR, SG_CONSTANT, 5);
    sg_push(g, "another", "scope");
    sg_stopper_restore(&s, g);
    sg_pop(g);
    cr_expect(sg_item(p) == 3 && sg_item(later) == 5);
    s = (sg_stopper){0};
    cr_expect(!sg_stopper_done(&s, g, NAN) && !sg_stopper_done(&s, g, 2) && s.best == 2);
    sg_close(g);
}

Test(optim, a_resumed_training_has_the_same_bits)
{
    char path[] = "/tmp/test_optim_XXXXXX";
    close(mkstemp(path));
    double whole[N], resumed[N];
    for (int way = 0; way < 2; way++) {
        sg_context *g = sg_open();
        for (int t = 0; t < 8; t++) {
            sg_tensor *p = sg_param(g, "p", SG_SHAPE(N), .dtype = SG_F64, .data = start);
            sg_optimizer s = sg_adam(g, .rate = 0.1, .schedule = {SG_EXPONENTIAL, .period = 3});
            cr_assert(sg_step(&s, loss_of(g, p)) == SG_OK, "%s", sg_errmsg(g));
            memcpy(way ? resumed : whole, sg_data(p), sizeof whole);
            sg_reset(g);
            if (way && t == 3) { /* as a new process would */
                cr_assert(sg_save(g, path) == SG_OK, "%s", sg_errmsg(g));
                sg_close(g);
                g = sg_open();
                cr_assert(sg_load(g, path) == SG_OK, "%s", sg_errmsg(g));
            }
        }
        sg_close(g);
    }
    cr_expect_arr_eq(whole, resumed, sizeof whole);
    unlink(path);
}

Test(optim, errors)
{
    sg_context *g = sg_open();
    sg_optimizer s = sg_sgd(g, .rate = 1);
    sg_step(&s, sg_scalar(g, SG_F32, 1));
    expect_error(g, SG_BAD_ARGUMENT, "optimizer: there is no parameter to train");
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(2), SG_CONSTANT, 1);
    sg_step(&s, sg_exp(p));
    expect_error(g, SG_BAD_SHAPE, "optimizer: sg_grad: a tensor [2] has not one element");
    sg_step(&s, NULL);
    expect_error(g, SG_BAD_ARGUMENT, "sg_step: no loss");
    sg_adam(g, .beta1 = 1);
    expect_error(g, SG_BAD_ARGUMENT,
                 "optimizer: an option is out of its range (rate 0.001, decay 0)");
    sg_adam(g, .momentum = 0.9);
    expect_error(g, SG_BAD_ARGUMENT, "optimizer: momentum and nesterov are options of sg_sgd");
    sg_sgd(g, .beta2 = 0.9);
    expect_error(g, SG_BAD_ARGUMENT,
                 "optimizer: beta1, beta2 and epsilon are options of sg_adam and sg_adamw");
    sg_sgd(g, .nesterov = true);
    expect_error(g, SG_BAD_ARGUMENT, "optimizer: nesterov needs a momentum");
    char name[260];
    memset(name, 'n', sizeof name);
    name[252] = 0;
    sg_tensor *q = sg_param(g, name, SG_SCALAR);
    s = sg_adam(g, .rate = 1);
    sg_step(&s, sg_square(q));
    cr_expect(strstr(sg_errmsg(g), "optimizer: the name \"nnn") &&
              strstr(sg_errmsg(g), "too long"));
    sg_clear(g);
    sg_stopper stopper = {0};
    sg_stopper_done(&stopper, g, 1);
    cr_expect(strstr(sg_errmsg(g), "stopper: the name \"nnn") && strstr(sg_errmsg(g), "too long"));
    sg_clear(g);
    sg_freeze(g, "n*", true);
    int32_t outside = 5;
    s = sg_sgd(g, .rate = 1);
    sg_tensor *row = sg_take(p, sg_input(g, SG_I32, SG_SHAPE(1), &outside));
    cr_expect(sg_step(&s, sg_add(sg_sum(row, 0, false), sg_sum(p, 0, false))) != SG_OK);
    sg_clear(g);
    cr_expect(((const float *)sg_data(p))[0] == 1, "a step that fails changes nothing");
    sg_close(g);
}
