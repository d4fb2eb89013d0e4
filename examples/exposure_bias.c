/*
 * Why not always the true label? 为什么不能总是输入真实标签
 *
 *     exposure_bias               a table, and curves in the terminal and as SVG
 *
 * A decoder's input at step t is the label before, y_{t-1}. In training it is known (teacher
 * forcing 教师强制); in use there is only what the decoder itself said (free running 自由运行). One
 * that was only ever told the truth never met its own errors: exposure bias 曝光偏差. Scheduled
 * sampling 计划采样 (Bengio et al. 2015) throws a coin at every step of every row, which shows the
 * truth with a probability ε that falls during training:
 *
 *     linear 线性                1 - i/S        exponential 指数      k^i
 *     inverse sigmoid 反 S 形    k / (k + exp(i/k))
 *
 * The task is one where errors stay: to find one's way without looking 航位推算. A walker on a ring
 * of places goes one place on or back; the decoder reads which, and says where the walker is now.
 * Sometimes it is not told the move: it can only guess. Sometimes it is told the place: a landmark
 * 路标. Who always knows the true place before hardly needs landmarks. Who does not must carry its
 * belief in its state, and put it right where there is a landmark.
 *
 * Because all chances are known, so is the best that anybody could do, with the truth and without:
 * a filter over places computes it. Beside the accuracies stands how often a landmark helps: the
 * decoder was wrong, the move is told, and then it is right.
 *
 * What comes out (seeds 1, 2, 3): told the truth, all are right for 94 to 96 %, free running
 * for 90. On its own, who always had the truth is right for 92 % of the first steps and 53 % of the
 * last, since 24 % of the landmarks help it; with any of the schedules it is 72 to 74 % and 90 to
 * 99 %, and 75 % is the best possible. So the true label is an input not to be leant on.
 *
 * Then why not always one's own? 为什么也不能总是输入自己的输出 Because what is fed at first is
 * nonsense: after --steps 100, a fifth, free running has 38 % on its own, teacher forcing 55, the
 * schedules 60 to 68. It catches up here, where what is right does not depend on what was said. But
 * in the second table all moves are hidden and there are no landmarks, so that a walk can be told
 * from nothing but its own last step, as a text can. Whoever did not see that step learns a wrong
 * law (Huszár 2015): told the truth, the loss is 0.68 after teacher forcing, log 2 but for the sure
 * first step, 1.0 to 1.4 after the schedules, 1.75 after free running; what it gains alone is 24 to
 * 27 % of the places.
 */
#include "examples/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = 12, UNTOLD = PLACES, MOST_TIME = 200, BATCH = 32, TEST = 1024, EMBED = 16 };
enum { ON, BACK, HIDDEN, MOVES };

typedef struct settings {
    training t;
    int time, hidden, steps, seeds;
    double no_move, landmark;
    const char *plot;
} settings;

static const struct way {
    const char *name;
    sg_truth_kind kind;
    double first, last; /* ε at the first step of training, and behind the last one */
} ways[] = {{"teacher forcing 教师强制", SG_TRUTH_LINEAR, 1, 1},
            {"free running 自由运行", SG_TRUTH_LINEAR, 0, 0},
            {"linear 线性", SG_TRUTH_LINEAR, 1, 0},
            {"exponential 指数", SG_TRUTH_EXPONENTIAL, 1, 0.01},
            {"inverse sigmoid 反 S 形", SG_TRUTH_INVERSE_SIGMOID, 1, 0}};
enum { WAYS = sizeof ways / sizeof *ways };

static sg_truth truth_of(const struct way *w, int steps)
{
    double k = steps;
    if (w->kind == SG_TRUTH_EXPONENTIAL)
        return (sg_truth){w->kind, .k = pow(w->last, 1.0 / steps)};
    if (w->kind == SG_TRUTH_LINEAR)
        return (sg_truth){w->kind, .k = w->first, .slope = (w->first - w->last) / steps};
    for (int i = 0; i < 20; i++) /* to k ln k = S/2: ε is 1/2 half-way */
        k = fmax(steps / 2.0 / log(fmax(k, 3)), 1);
    return (sg_truth){w->kind, .k = k};
}

/* ---- walks 行走 ------------------------------------------------------------------------------ */

typedef struct walks { /* each array [n, time] */
    int n, time;
    int32_t *move, *mark, *place;
} walks;

static walks new_walks(sg_context *g, int n, int time)
{
    size_t size = (size_t)n * (size_t)time;
    walks w = {n, time, malloc(3 * size * sizeof *w.move), NULL, NULL};
    if (!w.move)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d walks of %d steps", n, time);
    w.mark = w.move ? w.move + size : NULL;
    w.place = w.move ? w.mark + size : NULL;
    return w;
}

/* All walks begin with a landmark. */
static void draw_walks(walks *w, const settings *s, uint64_t *random)
{
    for (int i = 0; i < w->n; i++) {
        int place = (int)(program_draw(random) % PLACES);
        for (int t = 0; t < w->time; t++) {
            int at = i * w->time + t, move = program_draw(random) % 2 ? ON : BACK;
            place = (place + (move == ON ? 1 : PLACES - 1)) % PLACES;
            w->place[at] = place;
            w->move[at] = program_uniform(random) < s->no_move ? HIDDEN : move;
            w->mark[at] = t == 0 || program_uniform(random) < s->landmark ? place : UNTOLD;
        }
    }
}

/* How often the best guess is right at each step, and the mean loss, by a filter over places 滤波,
 * which is told the true place before or not. */
static double best_possible(const walks *w, bool told, float *accuracy)
{
    memset(accuracy, 0, (size_t)w->time * sizeof *accuracy);
    double nats = 0;
    for (int i = 0; i < w->n; i++) {
        double belief[PLACES] = {0}, moved[PLACES];
        for (int t = 0; t < w->time; t++) {
            int at = i * w->time + t;
            for (int p = 0; p < PLACES && t && told; p++)
                belief[p] = p == w->place[at - 1];
            double on = w->move[at] == HIDDEN ? 0.5 : w->move[at] == ON, most = 0;
            for (int p = 0; p < PLACES; p++) {
                moved[p] =
                    on * belief[(p + PLACES - 1) % PLACES] + (1 - on) * belief[(p + 1) % PLACES];
                if (w->mark[at] != UNTOLD)
                    moved[p] = p == w->mark[at];
                most = fmax(most, moved[p]);
            }
            memcpy(belief, moved, sizeof belief);
            accuracy[t] += (float)(100 * most / w->n);
            nats -= log(moved[w->place[at]]) / w->n / w->time;
        }
    }
    return nats;
}

/* ---- the decoder 解码器 ---------------------------------------------------------------------- */

typedef struct net {
    sg_context *g;
    sg_tensor *moves, *marks, *places;
    sg_cell cell;
    sg_affine out;
} net;

static net make_net(sg_context *g, const settings *s)
{
    return (net){
        .g = g,
        .moves = sg_embedding(g, "moves", MOVES, EMBED, .gain = 1),
        .marks = sg_embedding(g, "marks", PLACES + 1, EMBED, .gain = 1),
        .places = sg_embedding(g, "places", PLACES + 1, EMBED, .gain = 1),
        .cell = sg_gru(g, "gru", .in = 3 * EMBED, .hidden = s->hidden, .reset = SG_RESET_AFTER),
        .out = sg_linear(g, "out", s->hidden, PLACES)};
}

/* Logits of all places at all steps, [T,B,P]; the inputs are true with probability `truth`. */
static sg_tensor *logits_of(const net *m, const walks *w, double truth)
{
    sg_context *g = m->g;
    sg_shape shape = SG_SHAPE(w->n, w->time);
    sg_tensor *x = sg_concat(-1, sg_take(m->moves, sg_input(g, SG_I32, shape, w->move)),
                             sg_take(m->marks, sg_input(g, SG_I32, shape, w->mark))); /* [B,T,2E] */
    sg_tensor *places = sg_input(g, SG_I32, shape, w->place), *logits[MOST_TIME];
    sg_tensor *before = sg_full(g, SG_I32, SG_SHAPE(w->n), UNTOLD); /* [B] */
    sg_state s = sg_zero_state(&m->cell, w->n);
    for (int t = 0; t < w->time; t++) {
        if (t)
            before = sg_index(places, 1, t - 1);
        if (t && truth < 1)
            before = truth > 0 ? sg_truth_or_guess(before, logits[t - 1], truth)
                               : sg_argmax(logits[t - 1], -1, false);
        s = sg_cell_step(&m->cell, sg_concat(-1, sg_index(x, 1, t), sg_take(m->places, before)), s);
        logits[t] = sg_apply(m->out, s.h); /* [B,P] */
    }
    return sg_stack_(0, w->time, logits);
}

static sg_tensor *loss_of(const net *m, const walks *w, sg_tensor *logits)
{
    sg_tensor *places = sg_input(m->g, SG_I32, SG_SHAPE(w->n, w->time), w->place);
    return sg_mean(sg_cross_entropy(logits, sg_transpose(places, 0, 1)), SG_ALL_AXES, false);
}

static void train(net *m, const settings *s, const struct way *way, uint64_t random)
{
    sg_context *g = m->g;
    walks w = new_walks(g, BATCH, s->time);
    sg_truth truth = truth_of(way, s->steps);
    sg_optimizer adam =
        sg_adam(g, .rate = s->t.lr, .clip_norm = 1, .schedule = {SG_COSINE, .period = s->steps});
    sg_train(g, true);
    for (int i = 0; i < s->steps && sg_ok(g) && !program_interrupted(); i++, sg_reset(g)) {
        draw_walks(&w, s, &random);
        sg_step(&adam, loss_of(m, &w, logits_of(m, &w, sg_truth_rate(&truth, i))));
    }
    sg_train(g, false);
    free(w.move);
}

/* ---- measures 度量 --------------------------------------------------------------------------- */

typedef struct measured {
    float accuracy[MOST_TIME]; /* by step, percent */
    double all, nats;
    int lost, found; /* landmarks that found it wrong; after which it was right */
} measured;

/* With the true places before as inputs, or its own. */
static measured evaluate(const net *m, const walks *w, bool told)
{
    measured r = {.all = 0};
    sg_tensor *logits = logits_of(m, w, told), *best = sg_want(sg_argmax(logits, -1, false));
    r.nats = sg_item(loss_of(m, w, logits));
    const int32_t *said = sg_data(best); /* [T,B] */
    for (int t = 0; said && t < w->time; t++) {
        int right = 0;
        for (int i = 0; i < w->n; i++) {
            int at = i * w->time + t;
            bool good = said[t * w->n + i] == w->place[at];
            right += good;
            if (t && said[(t - 1) * w->n + i] != w->place[at - 1] && w->move[at] != HIDDEN &&
                w->mark[at] != UNTOLD) {
                r.lost++;
                r.found += good;
            }
        }
        r.accuracy[t] = 100 * (float)right / (float)w->n;
        r.all += (double)r.accuracy[t] / w->time;
    }
    sg_reset(m->g);
    return r;
}

enum { TOLD, ALONE, INPUTS };

typedef struct summary { /* of all seeds: means, and of `all` in free running the extremes */
    float accuracy[INPUTS][MOST_TIME];
    double nats, low, high;
    int lost, found;
} summary;

static double mean_of(const float *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] / n;
    return sum;
}

static void add(summary *sum, const measured *told, const measured *alone, const settings *s)
{
    for (int t = 0; t < s->time; t++) {
        sum->accuracy[TOLD][t] += told->accuracy[t] / (float)s->seeds;
        sum->accuracy[ALONE][t] += alone->accuracy[t] / (float)s->seeds;
    }
    sum->nats += told->nats / s->seeds;
    sum->low = fmin(sum->low, alone->all);
    sum->high = fmax(sum->high, alone->all);
    sum->lost += alone->lost;
    sum->found += alone->found;
}

static void write_log(sg_context *g, FILE *f, int seed, const char *way, const measured *told,
                      const measured *alone, const settings *s)
{
    for (int t = 0; t < s->time && f; t++)
        if (fprintf(f,
                    "{\"hidden_moves\": %g, \"way\": \"%s\", \"seed\": %d, \"t\": %d, "
                    "\"teacher_forcing\": %.4f, "
                    "\"free_running\": %.4f}\n",
                    s->no_move, way, seed, t + 1, (double)told->accuracy[t],
                    (double)alone->accuracy[t]) < 0)
            sg_fail(g, SG_IO, "%s: could not be written", s->t.log);
}

/* ---- all ------------------------------------------------------------------------------------ */

/* Trains in one way with every seed. */
static summary run_way(sg_context *g, const settings *s, const struct way *way, const walks *test,
                       FILE *log)
{
    summary sum = {.low = 100};
    for (int i = 0; i < s->seeds && sg_ok(g) && !program_interrupted(); i++) {
        int seed = s->t.seed + i;
        sg_context *h = sg_open(.seed = (uint64_t)seed, .threads = s->t.threads);
        net m = make_net(h, s);
        train(&m, s, way, (uint64_t)seed);
        measured told = evaluate(&m, test, true), alone = evaluate(&m, test, false);
        add(&sum, &told, &alone, s);
        write_log(g, log, seed, way->name, &told, &alone, s);
        program_close_part(g, h);
    }
    return sum;
}

static void print_row(const char *name, const summary *r, const settings *s)
{
    int n = s->time, part = n / 6 > 0 ? n / 6 : 1;
    const float *alone = r->accuracy[ALONE];
    printf("  %s%*s %6.1f  %6.4f   %6.1f %6.1f %6.1f", name, 26 - sg_text_width(name), "",
           mean_of(r->accuracy[TOLD], n), r->nats, mean_of(alone, n), mean_of(alone, part),
           mean_of(alone + n - part, part));
    if (r->high > 0) /* of several seeds */
        printf(" %5.1f..%-5.1f", r->low, r->high);
    if (r->lost)
        printf("  %10.1f", 100.0 * r->found / r->lost);
    fputc('\n', stdout);
}

static void draw(sg_context *g, const settings *s, int input, const summary *r)
{
    static const char *const names[] = {"forced", "free"};
    static const char *const titles[] = {"told the truth before each step 教师强制下",
                                         "free running 自由运行下"};
    sg_curve curves[WAYS + 1];
    char path[512];
    for (int w = 0; w <= WAYS; w++)
        curves[w] = (sg_curve){w < WAYS ? ways[w].name : "best possible 上限", s->time, NULL,
                               r[w].accuracy[input]};
    snprintf(path, sizeof path, "%s.%s.svg", s->plot, names[input]);
    printf("\n");
    sg_plot_curves(g, WAYS + 1, curves, .title = titles[input], .x_name = "t", .y_name = "%",
                   .file = stdout, .svg = path);
}

/* Trains in all ways; the last row of r is the best possible. */
static void run_task(sg_context *g, const settings *s, FILE *log, summary r[WAYS + 1])
{
    uint64_t unseen = UINT64_C(1) << 40; /* the seeds of training are below */
    walks test = new_walks(g, TEST, s->time);
    if (!sg_ok(g))
        return;
    draw_walks(&test, s, &unseen);
    r[WAYS].nats = best_possible(&test, true, r[WAYS].accuracy[TOLD]);
    best_possible(&test, false, r[WAYS].accuracy[ALONE]);
    printf("\n%g %% of the moves hidden, %g %% landmarks\n"
           "  %-26s  told the truth   free running                       landmarks\n"
           "  %-26s %6s  %6s   %6s %6s %6s %12s  %10s\n",
           100 * s->no_move, 100 * s->landmark, "", "trained by", "%", "nats", "%", "first", "last",
           "of seeds", "that help");
    for (int w = 0; w < WAYS && sg_ok(g) && !program_interrupted(); w++) {
        r[w] = run_way(g, s, &ways[w], &test, log);
        print_row(ways[w].name, &r[w], s);
        fflush(stdout);
    }
    print_row("best possible 上限", &r[WAYS], s);
    free(test.move);
}

static void run_all(sg_context *g, const program *p)
{
    static summary r[WAYS + 1], unused[WAYS + 1];
    const settings *s = p->settings;
    settings blind = *s;
    FILE *log = program_open_log(g, &s->t);
    printf("walks of %d steps on a ring of %d places: accuracy of new walks 准确率, in percent,\n"
           "means of %d seeds\n",
           s->time, PLACES, s->seeds);
    run_task(g, s, log, r);
    for (int input = TOLD; input < INPUTS; input++)
        draw(g, s, input, r);
    blind.no_move = 1;
    blind.landmark = 0;
    run_task(g, &blind, log, unused);
    program_close_log(g, &s->t, log);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Teacher forcing, free running and scheduled sampling on a task where errors stay:\n"
        "accuracy by step, when the truth is told and when it is not, as a table, curves and SVGs.";
    settings s = {.t = {.seed = 1, .threads = 2, .lr = 0.003},
                  .time = 30,
                  .hidden = 64,
                  .steps = 500,
                  .seeds = 3,
                  .no_move = 0.1,
                  .landmark = 0.1,
                  .plot = "exposure_bias"};
    const option table[] = {
        {"time", "steps of a walk", .integer = &s.time, .low = 2, .high = MOST_TIME},
        {"hidden-moves", "share of them", .number = &s.no_move, .low = 0, .high = 1},
        {"landmarks", "share of the steps", .number = &s.landmark, .low = 0, .high = 1},
        {"units", "of the state", .integer = &s.hidden, .low = 1, .high = 1024},
        {"steps", "of training, of 32 walks each", .integer = &s.steps, .low = 1, .high = 1e9},
        {"lr", "learning rate", .number = &s.t.lr, .low = 1e-9, .high = 10},
        {"seed", "the first of those", .integer = &s.t.seed, .low = 1, .high = 1e9},
        {"seeds", "that means are taken of", .integer = &s.seeds, .low = 1, .high = 1000},
        {"threads", "to compute with", .integer = &s.t.threads, .low = 1, .high = 256},
        {"log", "JSON lines", .text = &s.t.log, .value = "FILE"},
        {"plot", "beginning of the SVGs' names", .text = &s.plot, .value = "PATH"},
        {0}};
    static const command commands[] = {{"", run_all}, {0}};
    return program_main(argc, argv, &(program){"exposure_bias", about, table, &s.t, commands, &s});
}
