/* Where the time goes: as tables, and as a trace. Measuring changes no bit. */
#include "models/models.h"
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, TIME = 5, SIZE = 16, STEPS = 3 };

/* An LSTM, and a readout under an unkind name. */
static sg_tensor *loss_of(sg_context *g)
{
    sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(BATCH, TIME, SIZE), 0.5);
    sg_cell cell = sg_lstm(g, "enc", .in = SIZE, .hidden = SIZE);
    sg_affine out = sg_linear(g, "out", .in = SIZE, .out = 3);
    sg_tensor *h = sg_unroll(cell, x);
    sg_push(g, "readout", "a \"name\"\n\\ \xff");
    sg_tensor *y = sg_apply(out, h);
    sg_pop(g);
    return sg_mean(sg_square(y), SG_ALL_AXES, false);
}

/* The text that a function writes about a context. */
static char *text_of(sg_context *g, bool trace)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (trace)
        sg_profile_trace(f, g);
    else
        sg_profile_print(f, g, 100);
    fclose(f);
    return text;
}

static double train(sg_context *g)
{
    sg_optimizer adam = sg_adam(g, .rate = 0.01);
    double loss = 0;
    for (int i = 0; i < STEPS; i++) {
        sg_tensor *l = loss_of(g);
        cr_assert(sg_step(&adam, l) == SG_OK, "%s", sg_errmsg(g));
        loss = sg_item(l);
        sg_reset(g);
    }
    return loss;
}

Test(profile, tables)
{
    static const char *const expected[] = {"profile: 3 runs of ",
                                           " on 1 threads; ",
                                           "whose peak is 100.0 GF/s",
                                           " MB     GB/s     GF/s peak%  kind\n",
                                           "  kind\n",
                                           "  scope\n",
                                           "  matmul\n",
                                           "  program\n",
                                           "  unroll\n",
                                           "  (no scope)\n",
                                           "  optimizer\n",
                                           "  waiting for other threads, and between steps\n"};
    sg_context *g = sg_open(.threads = 1), *h = sg_open(.threads = 1);
    char *text = text_of(g, false);
    cr_expect_str_eq(text, "", "without a profile nothing is written");
    free(text);
    cr_expect(sg_profile(g, true) == SG_OK);
    cr_expect(train(g) == train(h), "measuring changes a bit");
    text = text_of(g, false);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        cr_expect(strstr(text, expected[i]), "\"%s\" is not in\n%s", expected[i], text);
    free(text);
    cr_expect(sg_profile(g, true) == SG_OK);
    text = text_of(g, false);
    cr_expect(strstr(text, "profile: 0 runs") == text, "it begins anew:\n%s", text);
    free(text);
    cr_expect(sg_profile(g, false) == SG_OK);
    text = text_of(g, false);
    cr_expect_str_eq(text, "");
    free(text);
    sg_close(g);
    sg_close(h);
}

typedef struct seen {
    double flops, last[8]; /* last: end of each thread's last event */
    int products, programs, named;
} seen;

static void see(const json_t *event, seen *s)
{
    const char *name, *phase, *scope = NULL;
    double ts = -1, duration = -1, flops = 0, bytes = 0;
    int thread = -1;
    cr_assert(json_unpack((json_t *)(uintptr_t)event, "{s:s,s:s}", "name", &name, "ph", &phase) ==
              0);
    if (strcmp(phase, "X") != 0)
        return;
    cr_assert(json_unpack((json_t *)(uintptr_t)event, "{s:F,s:F,s:i,s:{s:s,s:F,s:F}}", "ts", &ts,
                          "dur", &duration, "tid", &thread, "args", "scope", &scope, "flops",
                          &flops, "bytes", &bytes) == 0);
    cr_assert(thread >= 0 && thread < 8);
    cr_expect(duration >= 0 && bytes > 0 && ts >= s->last[thread] - 0.002, "%s of thread %d at %g",
              name, thread, ts);
    s->last[thread] = ts + duration;
    s->flops += flops;
    s->products += strcmp(name, "matmul") == 0;
    s->programs += strcmp(name, "program") == 0;
    s->named += strstr(scope, "readout \"a \"name\"?\\ ?\"") != NULL;
}

Test(profile, trace)
{
    for (int threads = 1; threads <= 3; threads++) {
        sg_context *g = sg_open(.threads = threads);
        cr_assert(sg_profile(g, true) == SG_OK);
        train(g);
        json_error_t error;
        char *text = text_of(g, true);
        json_t *trace = json_loads(text, 0, &error), *event;
        cr_assert(trace, "%s in\n%s", error.text, text);
        seen s = {0};
        size_t i;
        json_array_foreach(json_object_get(trace, "traceEvents"), i, event) see(event, &s);
        cr_expect(s.products > 0 && s.programs > 0 && s.named > 0, "%d products, %d programs, %d",
                  s.products, s.programs, s.named);
        sg_tensor *x[4], *l = loss_of(g);
        int n = 0;
        for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false)) && n < 4;)
            x[n++] = p;
        sg_grad(l, n, x, x);
        double flops = sg_plan_infos(n, x).flops;
        cr_expect(threads > 1 || s.flops == STEPS * flops, "%g flops, not %d times %g", s.flops,
                  STEPS, flops);
        json_decref(trace);
        free(text);
        sg_close(g);
    }
}

/* A program is named after most of its instructions. */
Test(profile, scope_of_a_program)
{
    sg_context *g = sg_open(.threads = 1);
    sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(10), 1);
    x = sg_exp(x);
    sg_push(g, "", "many");
    x = sg_tanh(sg_sin(sg_cos(x)));
    sg_pop(g);
    x = sg_exp(x);
    cr_assert(sg_profile(g, true) == SG_OK && sg_eval(x) == SG_OK);
    char *text = text_of(g, false);
    cr_expect(strstr(text, "  \"many\"\n") && !strstr(text, "(no scope)"), "%s", text);
    free(text);
    sg_close(g);
}

Test(profile, peak)
{
    sg_context *g = sg_open();
    cr_expect(sg_peak(g) > 0.01 && sg_ok(g));
    sg_close(g);
}
