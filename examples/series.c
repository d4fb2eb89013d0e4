/*
 * Series of numbers 时间序列: N→1 over what was measured
 *
 *     series                                   forecasts a noisy wave, without any file
 *     series train --train F.csv --column C    regression 回归: the next value of a column
 *     series train --train F.ts                classification 分类: of the UCR/UEA archive
 *     series train --train F                   what digit was said 数字: see recordings.h
 *     series evaluate --model M --test F       误差或准确率
 *
 * To forecast, an LSTM reads a window of `time` changes, z_t = v_t - v_{t-1} (of logarithms, with
 * --relative, which makes them ratios), each scaled to mean 0 and deviation 1, and its last state
 * tells the next change: y = w · h_N + b, trained by the squared error. Whatever it reaches has to
 * be seen beside the simplest forecasts: the same value as last time, or as `season` steps ago
 * 季节. Of a wave it can learn much; of prices, hardly anything is to be learnt.
 *
 * To classify, both directions are read, and the mean of their states tells the class.
 */
#include "examples/cells.h"
#include "examples/program.h"
#include "examples/series_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    cells_choice cell;
    int task, hidden, time, season;
    double dropout;
    bool relative, column_given;
    const char *column, *picture;
} settings;

enum { FORECAST, CLASSIFY };

/* ---- the model 模型 -------------------------------------------------------------------------- */

typedef struct net {
    sg_context *g;
    settings s;
    sg_cell forward, backward;
    sg_affine out;
} net;

static net make_net(sg_context *g, const settings *s, int features, int classes)
{
    net m = {.g = g, .s = *s};
    bool both = s->task == CLASSIFY;
    if (!sg_ok(g))
        return m;
    m.forward = cells_make(&s->cell, (sg_cell_options){g, "forward", features, s->hidden});
    if (both)
        m.backward = cells_make(&s->cell, (sg_cell_options){g, "backward", features, s->hidden});
    m.out = sg_linear(g, "out", both ? 2 * s->hidden : s->hidden, classes);
    return m;
}

/* Of n examples in the given order: [n, classes], or [n, 1] of a forecast. */
static sg_tensor *told(const net *m, const series_examples *e, int n, const int *order)
{
    sg_context *g = m->g;
    int time = 1;
    size_t features = (size_t)e->features;
    for (int i = 0; i < n; i++)
        time = e->item[order[i]].length > time ? e->item[order[i]].length : time;
    float *x = calloc((size_t)n * (size_t)time * features, sizeof *x);
    int *lengths = calloc((size_t)n, sizeof *lengths);
    if (!x || !lengths)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d series", n);
    for (int i = 0; i < n && x && lengths; i++) {
        const series_example *k = &e->item[order[i]];
        lengths[i] = k->length;
        memcpy(x + (size_t)i * (size_t)time * features, k->x,
               (size_t)k->length * features * sizeof *x);
    }
    sg_tensor *in = sg_input(g, SG_F32, SG_SHAPE(n, time, e->features), x), *c;
    if (m->s.task == FORECAST) {
        c = sg_last(sg_unroll(m->forward, in, lengths), lengths); /* [B,H] */
    } else {
        sg_tensor *h = sg_bidirectional(m->forward, m->backward, in, lengths, NULL); /* [B,T,2H] */
        c = sg_pool(SG_POOL_MEAN, h, lengths);                                       /* [B,2H] */
    }
    free(x);
    free(lengths);
    return sg_apply(m->out, sg_dropout(c, m->s.dropout));
}

/* Summed over the examples: (y - change)², or -log P(class). */
static sg_tensor *loss_of(const net *m, sg_tensor *y, const series_examples *e, int n,
                          const int *order)
{
    float *change = calloc((size_t)n, sizeof *change);
    int32_t *label = calloc((size_t)n, sizeof *label);
    sg_tensor *loss = y;
    for (int i = 0; i < n && change && label; i++) {
        change[i] = e->item[order[i]].y;
        label[i] = e->item[order[i]].label;
    }
    if (!change || !label)
        loss = sg_fail(m->g, SG_NO_MEMORY, "no memory for %d labels", n);
    else if (m->s.task == FORECAST)
        loss = sg_square(sg_sub(y, sg_input(m->g, SG_F32, SG_SHAPE(n, 1), change)));
    else
        loss = sg_cross_entropy(y, sg_input(m->g, SG_I32, SG_SHAPE(n), label));
    free(change);
    free(label);
    return sg_sum(loss, SG_ALL_AXES, false);
}

/* ---- training 训练 --------------------------------------------------------------------------- */

typedef struct learner {
    net m;
    series_examples *e;
    int *train, *valid, *order; /* places of examples; a shuffled epoch of train */
    int trained, held, at;
    uint64_t random;
} learner;

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    int n = k->m.s.t.batch, left = k->trained - k->at;
    if (k->at == 0)
        program_shuffle(&k->random, k->trained, k->order);
    for (int i = 0; i < k->trained && k->at == 0; i++)
        k->order[i] = k->train[k->order[i]];
    if (left <= 0) {
        k->at = 0;
        return false;
    }
    n = n < left ? n : left;
    const int *order = k->order + k->at;
    sg_tensor *sum = loss_of(&k->m, told(&k->m, k->e, n, order), k->e, n, order);
    l->loss = sg_div(sum, sg_like(sum, n));
    l->tokens = n;
    k->at += n;
    return true;
}

typedef struct result {
    double loss;                  /* mean */
    int count, right;             /* of a classification */
    double squares, last, season; /* of a forecast and the simple ones: summed squared errors */
    int seasons;
    float *truth, *forecast; /* [count] */
} result;

static void free_result(result *r)
{
    free(r->truth);
    free(r->forecast);
}

static double value_of(const settings *s, double level)
{
    return s->relative ? exp(level) : level;
}

/* One forecast in the units of the data. */
static void add_forecast(const net *m, result *r, const series_examples *e, int place, double y)
{
    const settings *s = &m->s;
    const float *scale = sg_data(series_scale(m->g, 1));
    const series_example *k = &e->item[place];
    double last = k->value, deviation = (double)scale[1], mean = (double)scale[0];
    double truth = value_of(s, last + (double)k->y * deviation + mean);
    double foretold = value_of(s, last + y * deviation + mean);
    r->truth[r->count] = (float)truth;
    r->forecast[r->count] = (float)foretold;
    r->squares += (truth - foretold) * (truth - foretold);
    r->last += pow(truth - value_of(s, last), 2);
    if (s->season > 1 && place - s->season + 1 >= 0) {
        double before = value_of(s, e->item[place - s->season + 1].value);
        r->season += (truth - before) * (truth - before);
        r->seasons++;
    }
}

static result evaluate(const net *m, const series_examples *e, int n, const int *order)
{
    enum { BATCH = 256 };
    result r = {.truth = calloc((size_t)n + 1, sizeof *r.truth),
                .forecast = calloc((size_t)n + 1, sizeof *r.forecast)};
    for (int at = 0; at < n && sg_ok(m->g) && r.truth && r.forecast; at += BATCH) {
        int count = n - at < BATCH ? n - at : BATCH;
        sg_tensor *y = told(m, e, count, order + at);
        sg_tensor *best = sg_want(sg_argmax(y, -1, false)), *loss;
        loss = loss_of(m, sg_want(y), e, count, order + at);
        r.loss += sg_item(loss) / n;
        const float *values = sg_data(y);
        const int32_t *label = sg_data(best);
        for (int i = 0; i < count && values && label; i++, r.count++) {
            if (m->s.task == FORECAST)
                add_forecast(m, &r, e, order[at + i], (double)values[i]);
            else
                r.right += label[i] == e->item[order[at + i]].label;
        }
        sg_reset(m->g);
    }
    return r;
}

static double score(void *user, progress *p)
{
    learner *k = user;
    result r = evaluate(&k->m, k->e, k->held, k->valid);
    if (k->m.s.task == CLASSIFY)
        progress_metric(p, "valid_accuracy", 100.0 * r.right / r.count);
    else
        progress_metric(p, "valid_rmse", sqrt(r.squares / r.count));
    free_result(&r);
    return r.loss;
}

static void print_json(const net *m, const result *r)
{
    if (!sg_ok(m->g))
        return;
    if (m->s.task == CLASSIFY) {
        printf("{\"accuracy\": %.4f, \"nats\": %.6g, \"series\": %d}\n",
               100.0 * r->right / r->count, r->loss, r->count);
        return;
    }
    printf("{\"rmse\": %.6g, \"rmse_of_last\": %.6g", sqrt(r->squares / r->count),
           sqrt(r->last / r->count));
    if (r->seasons)
        printf(", \"rmse_of_season\": %.6g", sqrt(r->season / r->seasons));
    printf(", \"values\": %d}\n", r->count);
}

static void draw(const net *m, const result *r, FILE *f)
{
    const sg_curve curves[] = {{"truth", r->count, NULL, r->truth},
                               {"forecast", r->count, NULL, r->forecast}};
    if (m->s.task == FORECAST && sg_ok(m->g) && (f || m->s.picture))
        sg_plot_curves(m->g, 2, curves, .title = "held out 预测", .x_name = "step",
                       .y_name = "value", .file = f, .svg = m->s.picture);
}

/* Holds out the last of a series' windows; of series with classes, those that a draw says. */
static void hold_out(sg_context *g, learner *k, int train)
{
    size_t n = (size_t)k->e->count + 1;
    int *room = malloc(3 * n * sizeof *room);
    uint64_t fixed = 1; /* one split whatever the seed of the training is */
    if (!room) {
        sg_fail(g, SG_NO_MEMORY, "no memory for %zu examples", n);
        return;
    }
    k->train = room;
    k->valid = room + n;
    k->order = room + 2 * n;
    for (int i = 0; i < k->e->count; i++) {
        bool held = k->m.s.task == FORECAST ? i >= train - k->m.s.time
                                            : program_uniform(&fixed) < k->m.s.t.hold;
        if (held)
            k->valid[k->held++] = i;
        else
            k->train[k->trained++] = i;
    }
}

/* Trains on a file and saves the model; tells what it makes of the part that was held out. */
static void learn(sg_context *g, const program *p, series_file *f, FILE *picture)
{
    settings *s = p->settings;
    int train = f->count ? (int)((1 - s->t.hold) * (f->item[0].length - 1)) : 0;
    bool forecast = s->task == FORECAST;
    series_examples e = forecast && sg_ok(g)
                            ? series_windows(g, f->item, s->time, s->relative, train)
                            : series_labelled(g, f, true);
    learner k = {.e = &e, .random = (uint64_t)s->t.seed};
    k.m = make_net(g, s, f->features, forecast ? 1 : f->classes);
    hold_out(g, &k, train);
    int64_t steps = (k.trained + s->t.batch - 1) / s->t.batch;
    fprintf(stderr, "%d %s, %d held out\n", k.trained, forecast ? "windows" : "series", k.held);
    program_train(g, &s->t, (lesson){&k, steps, false, next, k.held ? score : NULL, NULL});
    if (sg_ok(g)) {
        sg_set_meta(g, "classes", f->class_names ? f->class_names : "");
        program_save(g, p);
    }
    if (sg_ok(g) && k.held) {
        result r = evaluate(&k.m, &e, k.held, k.valid);
        print_json(&k.m, &r);
        draw(&k.m, &r, picture);
        free_result(&r);
    }
    free(k.train);
    series_examples_free(&e);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

/* v_t = 20 + 3 sin(2π t / 12) + 2 sin(2π t / 31) + noise of deviation 0.3 */
static void run_wave(sg_context *g, const program *p)
{
    enum { N = 1500 };
    float v[N];
    settings *s = p->settings;
    uint64_t random = (uint64_t)s->t.seed;
    const double turn = 2 * acos(-1), noise = 0.3;
    for (int t = 0; t < N; t++) {
        double normal = program_normal(&random);
        v[t] = (float)(20 + 3 * sin(turn * t / 12) + 2 * sin(turn * t / 31) + noise * normal);
    }
    series_file f = series_of(g, N, v);
    s->season = s->season ? s->season : 12;
    learn(g, p, &f, stdout);
    if (sg_ok(g))
        printf("the noise, which nobody can foretell 噪声: %g\n", noise);
    series_free(&f);
}

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    series_file f = series_read(g, s->t.train, "train", s->column);
    s->task = f.classes ? CLASSIFY : FORECAST;
    if (sg_ok(g))
        learn(g, p, &f, NULL);
    series_free(&f);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    program_load(g, p);
    series_file f = series_read(g, s->t.test, "test", s->column);
    const char *classes = sg_meta(g, "classes"), *found = f.class_names ? f.class_names : "";
    if (sg_ok(g) && (!classes || strcmp(classes, found) != 0))
        sg_fail(g, SG_BAD_FILE, "%s: other classes than the model's, \"%s\"", s->t.test,
                classes ? classes : "");
    if (sg_ok(g)) {
        series_examples e = s->task == FORECAST ? series_windows(g, f.item, s->time, s->relative, 0)
                                                : series_labelled(g, &f, false);
        net m = make_net(g, s, f.features, s->task == FORECAST ? 1 : f.classes);
        int *order = malloc((size_t)e.count * sizeof *order + 1);
        for (int i = 0; order && i < e.count; i++)
            order[i] = i;
        if (order && program_some(g, p, e.count)) {
            result r = evaluate(&m, &e, e.count, order);
            print_json(&m, &r);
            draw(&m, &r, NULL);
            free_result(&r);
        }
        free(order);
        series_examples_free(&e);
    }
    series_free(&f);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Series of numbers. Without a command: learns to forecast a noisy wave, with no file\n"
        "needed. train: from a column of a CSV, or from series that have classes: a .ts file, or\n"
        "spoken digits as frames of sound. evaluate: one line of JSON.";
    static const char *const tasks[] = {"forecast", "classify", NULL};
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "series.safetensors", .batch = 32, .epochs = 30,
                        .lr = 0.005, .clip = 1, .hold = 0.2},
                  .cell.kind = SG_CELL_LSTM,
                  .hidden = 32,
                  .time = 24,
                  .column = "Close"};
    const option table[] = {
        {.help = "Data"},
        {"train", "a CSV, a .ts file, or recordings, plain or gzip", .text = &s.t.train,
         .value = "FILE"},
        {"test", "the same, to evaluate", .text = &s.t.test, .value = "FILE"},
        {"hold", "share that is held out, of a CSV the end", .number = &s.t.hold, .low = 0,
         .high = 0.9},
        {"column", "of the CSV, by its name", .text = &s.column, .value = "NAME",
         .given = &s.column_given},
        {"season", "steps that the simplest forecast looks back, 0: none", .integer = &s.season,
         .low = 0, .high = 10000},
        {.help = "Model"},
        {"task", "by the file: of a CSV forecast", .choice = &s.task, .choices = tasks},
        {"time", "changes in a window", .integer = &s.time, .low = 1, .high = 10000},
        {"relative", "changes of logarithms", .flag = &s.relative},
        CELLS_OPTIONS(s.cell),
        {"hidden", "units of a direction", .integer = &s.hidden, .low = 1, .high = 65536},
        {"dropout", "before the output", .number = &s.dropout, .low = 0, .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        {"forecast-plot", "SVG of what was forecast", .text = &s.picture, .value = "FILE"},
        {0}};
    static const command commands[] = {
        {"", run_wave}, {"train", run_train}, {"evaluate", run_evaluate}, {0}};
    return program_main(argc, argv, &(program){"series", about, table, &s.t, commands, &s});
}
