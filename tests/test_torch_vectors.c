/* Layers, losses, norms, attention, optimizers and schedules against recorded runs of PyTorch, in
 * single and in double precision: values and gradients. */
#include "tests/ops_test.h"

#include "models/models.h"
#include "tests/oracle/torch_vectors.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static double tolerance(sg_dtype d)
{
    return d == SG_F32 ? 1e-5 : 1e-10;
}

/* The next tensor of a recorded list, at which *at then stands behind it. */
static sg_tensor *next(sg_context *g, sg_dtype d, sg_shape s, const double **at)
{
    sg_tensor *x = sg_cast(sg_input(g, SG_F64, s, *at), d);
    *at += sg_size(x);
    return x;
}

/* Σ x · its cotangent, the next one of the list */
static sg_tensor *seeded(sg_tensor *x, const double **at)
{
    sg_tensor *seed = next(sg_context_of(x), sg_type(x), sg_shape_of(x), at);
    return sg_sum(sg_mul(x, seed), SG_ALL_AXES, false);
}

/* x is what comes next in the list. */
static void agrees(sg_tensor *x, const double **at, const char *name, const char *what)
{
    char label[96];
    snprintf(label, sizeof label, "%s, %s, %s", name, sg_dtype_name(sg_type(x)), what);
    for (int64_t i = 0; i < sg_size(x); i++)
        is_near(x, i, (*at)[i], tolerance(sg_type(x)), label);
    *at += sg_size(x);
}

/* The gradients of y by xs are what comes next. */
static void gradients_agree(sg_tensor *y, int n, sg_tensor *const *xs, const double **at,
                            const char *name)
{
    sg_tensor *grads[16];
    char what[32];
    sg_grad(y, n, xs, grads);
    for (int i = 0; i < n; i++) {
        snprintf(what, sizeof what, "gradient %d", i);
        agrees(grads[i], at, name, what);
    }
}

/* ---- recurrent layers ------------------------------------------------------------------------ */

/* A cell with the next weights of a list, which are appended to xs, too. */
static sg_cell cell(sg_context *g, sg_dtype d, size_t row, const char *name, const double **at,
                    int *n, sg_tensor **xs)
{
    static sg_cell (*const make[])(sg_cell_options) = {sg_rnn_, sg_gru_, sg_lstm_};
    static const int gates[] = {1, 3, 4};
    int kind = torch_layer[row].kind, columns = gates[kind] * HIDDEN;
    sg_cell p = make[kind]((sg_cell_options){.g = g,
                                             .name = name,
                                             .in = IN,
                                             .hidden = HIDDEN,
                                             .activation = torch_layer[row].relu ? SG_RELU : 0,
                                             .reset = kind == 1 ? SG_RESET_AFTER : 0,
                                             .dtype = d});
    xs[(*n)++] = p.wx = next(g, d, SG_SHAPE(IN, columns), at);
    xs[(*n)++] = p.wh = next(g, d, SG_SHAPE(HIDDEN, columns), at);
    xs[(*n)++] = p.b = next(g, d, SG_SHAPE(columns), at);
    if (p.bh)
        xs[(*n)++] = p.bh = next(g, d, SG_SHAPE(columns), at);
    return p;
}

static void check_layer(sg_context *g, sg_dtype d, size_t row)
{
    const char *name = torch_layer[row].name;
    const double *given = torch_layer[row].given, *expected = torch_layer[row].expected;
    bool lstm = torch_layer[row].kind == 2;
    const int *lengths = torch_layer[row].packed ? torch_lengths : NULL;
    sg_tensor *xs[16], *y;
    int n = 0;
    sg_state start = {0}, final;
    sg_tensor *x = xs[n++] = next(g, d, SG_SHAPE(BATCH, TIME, IN), &given);
    if (torch_layer[row].initial)
        xs[n++] = start.h = next(g, d, SG_SHAPE(BATCH, HIDDEN), &given);
    if (torch_layer[row].initial && lstm)
        xs[n++] = start.c = next(g, d, SG_SHAPE(BATCH, HIDDEN), &given);
    sg_cell forward = cell(g, d, row, "forward", &given, &n, xs);
    if (torch_layer[row].both) {
        sg_cell backward = cell(g, d, row, "backward", &given, &n, xs);
        y = sg_bidirectional(forward, backward, x, lengths, &final);
    } else {
        y = sg_unroll(forward, x, .lengths = lengths, .initial = start, .final = &final);
    }
    sg_tensor *total = seeded(y, &given);
    total = sg_add(total, seeded(final.h, &given));
    total = lstm ? sg_add(total, seeded(final.c, &given)) : total;
    agrees(y, &expected, name, "y");
    agrees(final.h, &expected, name, "h");
    if (lstm)
        agrees(final.c, &expected, name, "c");
    gradients_agree(total, n, xs, &expected, name);
}

Test(torch_vectors, recurrent_layers)
{
    for (size_t row = 0; row < COUNT(torch_layer); row++)
        for (int d = SG_F32; d <= SG_F64; d++) {
            sg_context *g = sg_open();
            check_layer(g, (sg_dtype)d, row);
            cr_assert(sg_ok(g), "%s: %s", torch_layer[row].name, sg_errmsg(g));
            sg_close(g);
        }
}

/* ---- losses, norms, attention ---------------------------------------------------------------- */

static void check_loss(sg_context *g, sg_dtype d, size_t row)
{
    enum { ROWS = BATCH * TIME, IGNORED = -100 };
    const char *name = torch_loss[row].name;
    const double *given = torch_loss[row].given, *expected = torch_loss[row].expected;
    double smoothing = torch_loss[row].smoothing;
    int32_t labels[ROWS];
    sg_tensor *x = next(g, d, SG_SHAPE(BATCH, TIME, CLASSES), &given);
    for (int i = 0; i < ROWS; i++)
        labels[i] = (int32_t)given[i];
    sg_tensor *y =
        sg_cross_entropy(x, sg_input(g, SG_I32, SG_SHAPE(BATCH, TIME), labels), .ignore = true,
                         .ignored_label = IGNORED, .smoothing = smoothing);
    agrees(y, &expected, name, "losses");
    sg_loss loss = sg_label_loss(x, labels, torch_lengths, smoothing);
    agrees(loss.mean, &expected, name, "mean");
    gradients_agree(loss.mean, 1, &x, &expected, name);
}

static void check_norm(sg_context *g, sg_dtype d)
{
    const double *given = norm_given, *expected = norm_expected;
    sg_tensor *x = next(g, d, SG_SHAPE(BATCH, SIZE), &given);
    sg_tensor *gain = next(g, d, SG_SHAPE(SIZE), &given);
    sg_tensor *bias = next(g, d, SG_SHAPE(SIZE), &given);
    sg_tensor *y = sg_layer_norm(x, gain, bias, 0x1p-10);
    agrees(y, &expected, "layer norm", "y");
    gradients_agree(seeded(y, &given), 3, (sg_tensor *[]){x, gain, bias}, &expected, "layer norm");
}

static void check_attention(sg_context *g, sg_dtype d)
{
    const double *given = attention_given, *expected = attention_expected;
    sg_tensor *q = next(g, d, SG_SHAPE(BATCH, TIME, SIZE), &given);
    sg_tensor *v = next(g, d, SG_SHAPE(BATCH, TIME, SIZE), &given);
    sg_attention a =
        sg_make_attention(g, "a", .score = SG_SCALED_DOT, .query = SIZE, .key = SIZE, .dtype = d);
    sg_memory m = sg_remember(&a, v, torch_lengths);
    sg_tensor *y = sg_attend(&a, &m, q).context;
    agrees(y, &expected, "attention", "y");
    gradients_agree(seeded(y, &given), 2, (sg_tensor *[]){q, v}, &expected, "attention");
}

Test(torch_vectors, losses_norms_and_attention)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        sg_context *g = sg_open();
        for (size_t row = 0; row < COUNT(torch_loss); row++)
            check_loss(g, (sg_dtype)d, row);
        check_norm(g, (sg_dtype)d);
        check_attention(g, (sg_dtype)d);
        cr_assert(sg_ok(g), "%s", sg_errmsg(g));
        sg_close(g);
    }
}

/* ---- optimizers and schedules ---------------------------------------------------------------- */

static void check_optimizer(sg_context *g, sg_dtype d, size_t row)
{
    const double *expected = torch_optimizer[row].expected, *start = optim_start;
    sg_optimizer_options o = torch_optimizer[row].options;
    o.g = g;
    sg_optimizer s = sg_make_optimizer(o);
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(SIZE), SG_ZEROS, .dtype = d);
    sg_set(p, sg_data(next(g, d, SG_SHAPE(SIZE), &start)));
    for (int t = 0; t < STEPS; t++) {
        const double *factors = optim_a;
        sg_tensor *a = next(g, d, SG_SHAPE(SIZE), &factors);
        sg_tensor *f = sg_mul(sg_mul(a, sg_sin(p)), sg_like(p, 1 + t % 2));
        sg_status status = sg_step(&s, sg_sum(f, SG_ALL_AXES, false));
        cr_assert_eq(status, SG_OK, "%s: %s", torch_optimizer[row].name, sg_errmsg(g));
        sg_reset(g);
        agrees(p, &expected, torch_optimizer[row].name, "p");
    }
}

Test(torch_vectors, optimizers)
{
    for (size_t row = 0; row < COUNT(torch_optimizer); row++)
        for (int d = SG_F32; d <= SG_F64; d++) {
            sg_context *g = sg_open();
            check_optimizer(g, (sg_dtype)d, row);
            sg_close(g);
        }
}

Test(torch_vectors, rows_of_a_table)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        sg_context *g = sg_open();
        const double *factors = lazy_a, *expected = lazy_expected, *start = lazy_start;
        sg_optimizer s = sg_adam(g, .rate = 0.05, .epsilon = 1e-30, .lazy = true);
        sg_tensor *p = sg_param(g, "p", SG_SHAPE(SIZE, IN), SG_ZEROS, .dtype = (sg_dtype)d);
        sg_set(p, sg_data(next(g, (sg_dtype)d, SG_SHAPE(SIZE, IN), &start)));
        for (int t = 0; t < STEPS; t++) {
            sg_tensor *rows = sg_input(g, SG_I32, SG_SHAPE(2), lazy_rows + 2 * t);
            sg_tensor *a = next(g, (sg_dtype)d, SG_SHAPE(2, IN), &factors);
            sg_tensor *f = sg_mul(a, sg_sin(sg_take(p, rows)));
            sg_status status = sg_step(&s, sg_sum(f, SG_ALL_AXES, false));
            cr_assert_eq(status, SG_OK, "%s", sg_errmsg(g));
            sg_reset(g);
            agrees(p, &expected, "lazy", "p");
        }
        sg_close(g);
    }
}

Test(torch_vectors, schedules)
{
    for (size_t row = 0; row < COUNT(torch_schedule); row++)
        for (int t = 0; t < RATES; t++) {
            double rate = sg_schedule_rate(&torch_schedule[row].schedule, 0.5, t + 1);
            double expected = torch_schedule[row].expected[t];
            cr_expect(fabs(rate - expected) < 1e-12, "%s: %.17g at step %d, not %.17g",
                      torch_schedule[row].name, rate, t + 1, expected);
        }
}
