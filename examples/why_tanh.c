/*
 * Why tanh? 为什么用 tanh
 *
 *     why_tanh                    tables, and curves in the terminal and as SVG
 *
 * A recurrent network multiplies by one matrix again and again:
 *
 *     h_t = f(x_t W_xh + h_{t-1} W_hh + b)         ∂h_t/∂h_{t-1} = diag(f') W_hhᵀ
 *
 * So its states, and the gradients that go back through it, grow or shrink by a power of the step.
 * This program measures both for f = identity, relu, sigmoid and tanh, and for the gates of GRU and
 * LSTM, with W_hh orthogonal times a gain: a gain of 1 keeps every length, if f does.
 *
 *   - identity 恒等: gain^t, in both directions; nothing is bounded, nothing is computed.
 *   - relu: not bounded either; it is 0 for about half of the units, whose gradients stop there.
 *   - sigmoid: bounded, but around 1/2, not 0; its slope is at most 1/4: gradients vanish 梯度消失
 *     by a factor of 4 or more at every step, whatever the weights of usual size are.
 *   - tanh: bounded and around 0, with a slope of 1 there: small states pass as they are, large
 *     ones are held. But with large weights its gradients explode 梯度爆炸 nevertheless, and where
 *     it saturates they vanish.
 *   - GRU, LSTM: the state is added to, not multiplied anew: C = F*c + I*G passes gradients by F.
 *
 * Clipping 梯度裁剪 helps against explosion only: the second table trains each of them to recall
 * the first of many signs, with and without.
 */
#include "examples/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    int time, hidden, recall, steps;
    const char *plot;
} settings;

static const struct kind {
    const char *name;
    sg_cell (*make)(sg_cell_options);
    sg_activation f;
} kinds[] = {{"identity", sg_rnn_, SG_IDENTITY}, {"relu", sg_rnn_, SG_RELU},
             {"sigmoid", sg_rnn_, SG_SIGMOID},   {"tanh", sg_rnn_, SG_TANH},
             {"gru", sg_gru_, SG_TANH},          {"lstm", sg_lstm_, SG_TANH}};
static const double gains[] = {0.8, 1, 1.5};
enum { KINDS = sizeof kinds / sizeof *kinds, GAINS = sizeof gains / sizeof *gains };

static sg_cell make_cell(sg_context *g, const struct kind *k, int in, int hidden, double gain,
                         sg_dtype dtype)
{
    sg_cell cell = k->make((sg_cell_options){
        .g = g, .name = k->name, .in = in, .hidden = hidden, .activation = k->f, .dtype = dtype});
    cell.wh = sg_mul(cell.wh, sg_like(cell.wh, gain));
    if (cell.extra)
        cell.extra = sg_mul(cell.extra, sg_like(cell.extra, gain));
    return cell;
}

/* ---- lengths over time 随时间变化的范数 ------------------------------------------------------ */

enum { MOST_TIME = 1000, BATCH = 16, IN = 8 };

/* sqrt(mean x²) */
static sg_tensor *length(sg_tensor *x)
{
    return sg_sqrt(sg_mean(sg_square(x), SG_ALL_AXES, false));
}

/* The lengths of h_1 … h_T, and of the gradients that a random direction at h_T has at each of them
 * (at h and c of an LSTM together), in parts of that at h_T. */
static bool measure(sg_context *g, const struct kind *k, double gain, const settings *s,
                    float *states, float *gradients)
{
    int n = s->time;
    sg_tensor *h[2 * MOST_TIME], *grad[2 * MOST_TIME], *all[2 * MOST_TIME];
    sg_cell cell = make_cell(g, k, IN, s->hidden, gain, SG_F64);
    sg_state state = sg_zero_state(&cell, BATCH);
    for (int t = 0; t < n; t++) {
        sg_tensor *x = sg_random_normal(g, SG_F64, SG_SHAPE(BATCH, IN));
        state = sg_cell_step(&cell, x, state);
        h[t] = state.h;
        h[n + t] = state.c; /* NULLs are not looked at */
    }
    sg_tensor *direction = sg_random_normal(g, SG_F64, SG_SHAPE(BATCH, s->hidden));
    sg_vjp(h[n - 1], direction, cell.states * n, h, grad);
    for (int t = 0; t < n; t++) {
        sg_tensor *both = cell.states == 2 ? sg_concat(-1, grad[t], grad[n + t]) : grad[t];
        all[t] = length(h[t]);
        all[n + t] = sg_div(length(both), length(direction));
    }
    const double *values = sg_data(sg_stack_(0, 2 * n, all));
    for (int t = 0; t < n && values; t++) {
        states[t] = (float)values[t];
        gradients[t] = (float)values[n + t];
    }
    sg_reset(g);
    return sg_ok(g);
}

/* Five of n values, of the first and the last step and in between. */
static void print_row(const char *name, const float *x, int n)
{
    printf("  %-9s", name);
    for (int i = 0; i < 5; i++)
        printf(" %10.3g", (double)x[i * (n - 1) / 4]);
    fputc('\n', stdout);
}

/* Powers of ten, so that growth by a factor is a straight line. */
static void draw(sg_context *g, const settings *s, int gain, const char *what, const char *title,
                 float (*x)[MOST_TIME])
{
    static float logs[KINDS][MOST_TIME];
    sg_curve curves[KINDS];
    char path[512], whole[128];
    for (int k = 0; k < KINDS; k++) {
        for (int t = 0; t < s->time; t++)
            logs[k][t] = log10f(x[k][t]); /* a gap where it is 0 */
        curves[k] = (sg_curve){kinds[k].name, s->time, NULL, logs[k]};
    }
    snprintf(path, sizeof path, "%s.%s.%g.svg", s->plot, what, gains[gain]);
    snprintf(whole, sizeof whole, "log10 of %s, gain %g", title, gains[gain]);
    sg_plot_curves(g, KINDS, curves, .title = whole, .x_name = "t", .y_name = "log10",
                   .file = stdout, .svg = path);
}

static void print_tables(const settings *s, int gain, float (*states)[MOST_TIME],
                         float (*gradients)[MOST_TIME])
{
    float at[MOST_TIME];
    printf("\nW_hh = %g times an orthogonal matrix 正交矩阵\n", gains[gain]);
    for (int t = 0; t < s->time; t++)
        at[t] = (float)(t + 1);
    print_row("t", at, s->time);
    printf("  states\n");
    for (int k = 0; k < KINDS; k++)
        print_row(kinds[k].name, states[k], s->time);
    printf("  gradients, in parts of that at the last step\n");
    for (int k = 0; k < KINDS; k++)
        print_row(kinds[k].name, gradients[k], s->time);
}

static void write_log(sg_context *g, FILE *f, const settings *s, int gain,
                      float (*states)[MOST_TIME], float (*gradients)[MOST_TIME])
{
    for (int k = 0; k < KINDS; k++)
        for (int t = 0; t < s->time; t++)
            if (fprintf(f,
                        "{\"cell\": \"%s\", \"gain\": %g, \"t\": %d, \"state\": %.6g, "
                        "\"gradient\": %.6g}\n",
                        kinds[k].name, gains[gain], t + 1, (double)states[k][t],
                        (double)gradients[k][t]) < 0)
                sg_fail(g, SG_IO, "%s: could not be written", s->t.log);
}

/* ---- learning to recall 记住第一个 ----------------------------------------------------------- */

enum { SIGNS = 4, ROWS = 32 };

typedef struct recalled {
    double loss, norm; /* at the end, smoothed; the largest norm of a gradient */
} recalled;

/* A row is a sequence of random signs; at its end the first is asked for. */
static recalled learn(const settings *s, const struct kind *k, double gain, double clip)
{
    sg_context *g = sg_open(.seed = (uint64_t)s->t.seed, .threads = s->t.threads);
    recalled r = {.loss = log(SIGNS)};
    sg_optimizer adam = sg_adam(g, .rate = s->t.lr, .clip_norm = clip > 0 ? clip : 1e30);
    for (int step = 0; step < s->steps && sg_ok(g) && !program_interrupted(); step++, sg_reset(g)) {
        sg_cell cell = make_cell(g, k, SIGNS, s->hidden, gain, SG_F32);
        sg_affine out = sg_linear(g, "out", s->hidden, SIGNS);
        sg_tensor *u = sg_random_uniform(g, SG_F32, SG_SHAPE(ROWS, s->recall));
        sg_tensor *signs = sg_cast(sg_mul(u, sg_like(u, SIGNS)), SG_I32); /* [B,T] */
        sg_tensor *h = sg_unroll(cell, sg_one_hot(signs, SIGNS, SG_F32)); /* [B,T,H] */
        sg_tensor *logits = sg_apply(out, sg_last(h, NULL));              /* [B,K] */
        sg_tensor *loss = sg_mean(sg_cross_entropy(logits, sg_index(signs, 1, 0)), 0, false);
        if (sg_step(&adam, loss) != SG_OK)
            break;
        double norm = sg_item(adam.norm);
        r.loss += 0.05 * (sg_item(loss) - r.loss);
        r.norm = norm > r.norm || isnan(norm) ? norm : r.norm;
    }
    if (!sg_ok(g))
        fprintf(stderr, "why_tanh: %s\n", sg_errmsg(g));
    sg_close(g);
    return r;
}

static void run_recall(const settings *s)
{
    static const double clips[] = {0, 1};
    printf("\nrecalling the first of %d signs, %d steps of Adam: loss (chance: %.3f), "
           "largest gradient\n",
           s->recall, s->steps, log(SIGNS));
    printf("  %-9s %6s  %-24s  %-24s\n", "", "gain", "not clipped 不裁剪", "clipped to 1 裁剪");
    for (int k = 0; k < KINDS && !program_interrupted(); k++)
        for (int gain = 1; gain < GAINS; gain++) {
            printf("  %-9s %6g", kinds[k].name, gains[gain]);
            for (int c = 0; c < 2; c++) {
                recalled r = learn(s, &kinds[k], gains[gain], clips[c]);
                printf("  %10.4g %12.2g ", r.loss, r.norm);
                fflush(stdout);
            }
            fputc('\n', stdout);
        }
}

/* ---- all ------------------------------------------------------------------------------------ */

static void run_all(sg_context *g, const program *p)
{
    static float states[KINDS][MOST_TIME], gradients[KINDS][MOST_TIME];
    const settings *s = p->settings;
    FILE *log = program_open_log(g, &s->t);
    for (int gain = 0; gain < GAINS && sg_ok(g); gain++) {
        for (int k = 0; k < KINDS && sg_ok(g); k++)
            measure(g, &kinds[k], gains[gain], s, states[k], gradients[k]);
        if (!sg_ok(g))
            break;
        print_tables(s, gain, states, gradients);
        draw(g, s, gain, "states", "length of states 状态的范数", states);
        draw(g, s, gain, "gradients", "length of gradients 梯度的范数", gradients);
        if (log)
            write_log(g, log, s, gain, states, gradients);
    }
    program_close_log(g, &s->t, log);
    if (sg_ok(g) && s->steps > 0)
        run_recall(s);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Lengths of states and gradients over time for several activations and cells, as tables,\n"
        "curves and SVGs; and how well each learns to remember, with gradients clipped or not.";
    settings s = {.t = {.seed = 1, .threads = 2, .lr = 0.003},
                  .time = 100,
                  .hidden = 32,
                  .recall = 30,
                  .steps = 800,
                  .plot = "why_tanh"};
    const option table[] = {
        {"time", "steps of the lengths", .integer = &s.time, .low = 5, .high = MOST_TIME},
        {"hidden", "units of the state", .integer = &s.hidden, .low = 1, .high = 1024},
        {"recall", "length of the sequences to recall from", .integer = &s.recall, .low = 1,
         .high = 10000},
        {"steps", "of learning that; 0: none", .integer = &s.steps, .low = 0, .high = 1e9},
        {"lr", "learning rate", .number = &s.t.lr, .low = 1e-9, .high = 10},
        {"seed", "of everything random", .integer = &s.t.seed, .low = 1, .high = 2147483647},
        {"threads", "to compute with", .integer = &s.t.threads, .low = 1, .high = 256},
        {"log", "JSON lines", .text = &s.t.log, .value = "FILE"},
        {"plot", "beginning of the SVGs' names", .text = &s.plot, .value = "PATH"},
        {0}};
    static const command commands[] = {{"", run_all}, {0}};
    return program_main(argc, argv, &(program){"why_tanh", about, table, &s.t, commands, &s});
}
