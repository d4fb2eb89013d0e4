/*
 * Attend when? 上下文由 h_{t-1} 还是由 h_t 求出
 *
 *     attend_when                 a table and a picture for each of three tasks
 *
 * A decoder with attention needs a context c_t at every step. The query may be its state before
 * that step or after it:
 *
 *     PRE  (Bahdanau et al. 2015)   c_t = attend(h_{t-1})     h_t = cell([y_{t-1}; c_t], h_{t-1})
 *     POST (Luong et al. 2015)      h_t = cell(y_{t-1}, h_{t-1})     c_t = attend(h_t)
 *
 * and then both tell the label from h~_t = tanh(W [c_t; h_t]), which with input feeding 输入馈送 is
 * an input of the next step, too. What differs is what a query can know:
 *
 *     h_{t-1} has not read y_{t-1}, the token just written; PRE cannot look by it.
 *     h_t of POST has never met a context, unless it is fed: it cannot look by what it saw.
 *
 * Three tasks, in which it is known where to look 对齐已知. A source is a list of elements (key,
 * pointer, label) in random order; at each step the label of one element is to be told:
 *
 *     order  顺序   of key 1, 2, 3 …                              only to be counted
 *     chain  指针   of the key that the last element pointed to   to be known from a context
 *     choice 选择   of a key that is written just before it, any  to be known from y_{t-1}
 *
 * Beside the accuracy stand the weights on the element that is needed now, on those of the label
 * before and after (does the attention lag 滞后, does it look ahead?), and how many elements it is
 * spread over, exp(entropy) 锐度. All of it with the true tokens as inputs.
 *
 * What comes out (seeds 1, 2, 3): all that can know where to look are right for 100 %, with a
 * weight of 0.999 or more there and no lag, PRE like POST. Two things fail, those said above: POST
 * without feeding on the chain, 64 % (the first label, and what is likely of the others), and PRE
 * on the choice, 33 to 40 %, no more than the most frequent label of a source has. Feeding does not
 * help it there, since what it is fed has not read y_{t-1} either. Only POST with input feeding
 * does all.
 */
#include "examples/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 6, LABELS = 6, TOLD = 4, MOST_TIME = 2 * TOLD };
enum { START = LABELS + ITEMS, TOKENS, BATCH = 32, TEST = 512, EMBED = 16 };

typedef struct settings {
    training t;
    int hidden, steps, seeds;
    const char *plot;
} settings;

enum { ORDER, CHAIN, CHOICE, TASKS };
static const char *const tasks[] = {"order", "chain", "choice"};
static const char *const task_names[] = {"order 顺序", "chain 指针", "choice 选择"};

static const struct way {
    const char *name;
    bool pre, feed;
} ways[] = {{"pre", true, false},
            {"pre, feed", true, true},
            {"post", false, false},
            {"post, feed", false, true}};
enum { WAYS = sizeof ways / sizeof *ways };

/* ---- the tasks 任务 -------------------------------------------------------------------------- */

/* n sources and targets. A target is TOLD labels; of `choice`, each stands behind its key. */
typedef struct examples {
    int n, time;
    int32_t key[TEST * ITEMS], pointer[TEST * ITEMS], label[TEST * ITEMS];
    int32_t in[TEST * MOST_TIME], out[TEST * MOST_TIME]; /* tokens; what is not to be told is -1 */
    int need[TEST * TOLD]; /* where the element of each label stands in the source */
} examples;

static void draw_example(examples *e, int i, int task, uint64_t *random)
{
    int order[ITEMS], cycle[ITEMS], at[ITEMS], key = 0, t = 0;
    int32_t *in = e->in + i * e->time, *out = e->out + i * e->time, before = START;
    program_shuffle(random, ITEMS, order);
    program_shuffle(random, ITEMS, cycle);
    for (int k = 0; k < ITEMS; k++) {
        int where = at[cycle[k]] = order[k];
        e->key[i * ITEMS + where] = cycle[k];
        e->pointer[i * ITEMS + where] = cycle[(k + 1) % ITEMS];
        e->label[i * ITEMS + where] = (int32_t)(program_draw(random) % LABELS);
    }
    for (int k = 0; k < TOLD; k++) {
        int where = at[key];
        if (task == CHOICE) {
            where = at[key = (int)(program_draw(random) % ITEMS)];
            in[t] = before;
            out[t++] = -1;
            before = LABELS + key;
        }
        e->need[i * TOLD + k] = where;
        in[t] = before;
        out[t++] = before = e->label[i * ITEMS + where];
        key = task == CHAIN ? e->pointer[i * ITEMS + where] : k + 1;
    }
}

static void draw_examples(examples *e, int n, int task, uint64_t *random)
{
    e->n = n;
    e->time = task == CHOICE ? 2 * TOLD : TOLD;
    for (int i = 0; i < n; i++)
        draw_example(e, i, task, random);
}

/* How many are right of one who sees all labels, but does not know where to look: the most
 * frequent one of a source. In percent. */
static double blind(const examples *e)
{
    double right = 0;
    for (int i = 0; i < e->n; i++) {
        int count[LABELS] = {0}, most = 0;
        for (int k = 0; k < ITEMS; k++) {
            int c = ++count[e->label[i * ITEMS + k]];
            most = c > most ? c : most;
        }
        right += 100.0 * most / ITEMS / e->n;
    }
    return right;
}

/* ---- the decoder 解码器 ---------------------------------------------------------------------- */

typedef struct net {
    sg_context *g;
    struct way way;
    sg_tensor *keys, *pointers, *labels, *tokens;
    sg_cell cell;
    sg_attention attention;
    sg_affine readout, out;
    sg_tensor *first; /* h_0, [1,H] */
} net;

static net make_net(sg_context *g, const struct way *way, int hidden)
{
    int element = 3 * EMBED;
    int in = EMBED + (way->pre ? element : 0) + (way->feed ? hidden : 0);
    return (net){.g = g,
                 .way = *way,
                 .keys = sg_embedding(g, "keys", ITEMS, EMBED, .gain = 1),
                 .pointers = sg_embedding(g, "pointers", ITEMS, EMBED, .gain = 1),
                 .labels = sg_embedding(g, "labels", LABELS, EMBED, .gain = 1),
                 .tokens = sg_embedding(g, "tokens", TOKENS, EMBED, .gain = 1),
                 .cell = sg_gru(g, "gru", .in = in, .hidden = hidden, .reset = SG_RESET_AFTER),
                 .attention = sg_make_attention(g, "attention", SG_GENERAL, hidden, element),
                 .readout = sg_linear(g, "readout", element + hidden, hidden),
                 .out = sg_linear(g, "out", hidden, LABELS),
                 .first = sg_param(g, "first", SG_SHAPE(1, hidden), SG_NORMAL)};
}

static sg_tensor *look_up(const net *m, sg_tensor *table, int n, int time, const int32_t *ids)
{
    return sg_take(table, sg_input(m->g, SG_I32, SG_SHAPE(n, time), ids));
}

/* Logits of the labels, [T,B,L], and what was looked at, [T,B,S]. */
static sg_tensor *decode(const net *m, const examples *e, sg_tensor **weights)
{
    sg_tensor *logits[MOST_TIME], *looked[MOST_TIME];
    sg_tensor *y = look_up(m, m->tokens, e->n, e->time, e->in); /* [B,T,E] */
    sg_tensor *source = sg_concat(-1, look_up(m, m->keys, e->n, ITEMS, e->key),
                                  look_up(m, m->pointers, e->n, ITEMS, e->pointer),
                                  look_up(m, m->labels, e->n, ITEMS, e->label)); /* [B,S,3E] */
    sg_memory memory = sg_remember(&m->attention, source, NULL);
    sg_tensor *feed = sg_full(m->g, SG_F32, SG_SHAPE(e->n, m->cell.hidden), 0);
    sg_state s = {.h = sg_broadcast_to(m->first, SG_SHAPE(e->n, m->cell.hidden))};
    sg_attended a = {0};
    for (int t = 0; t < e->time; t++) {
        sg_tensor *x = sg_index(y, 1, t); /* of y_{t-1}, [B,E] */
        if (m->way.pre) {
            a = sg_attend(&m->attention, &memory, s.h); /* h_{t-1} */
            x = sg_concat(-1, x, a.context);
        }
        if (m->way.feed)
            x = sg_concat(-1, x, feed);
        s = sg_cell_step(&m->cell, x, s);
        if (!m->way.pre)
            a = sg_attend(&m->attention, &memory, s.h); /* h_t */
        feed = sg_tanh(sg_apply(m->readout, sg_concat(-1, a.context, s.h)));
        logits[t] = sg_apply(m->out, feed); /* [B,L] */
        looked[t] = a.weights;              /* [B,S] */
    }
    *weights = sg_stack_(0, e->time, looked);
    return sg_stack_(0, e->time, logits);
}

/* The mean of -log P(label). */
static sg_tensor *loss_of(const net *m, const examples *e, sg_tensor *logits)
{
    sg_tensor *labels = sg_input(m->g, SG_I32, SG_SHAPE(e->n, e->time), e->out);
    sg_tensor *all = sg_cross_entropy(logits, sg_transpose(labels, 0, 1), .ignore = true,
                                      .ignored_label = -1); /* [T,B] */
    return sg_div(sg_sum(all, SG_ALL_AXES, false), sg_like(all, e->n * TOLD));
}

static void train(net *m, const settings *s, int task, uint64_t random)
{
    static examples e;
    sg_context *g = m->g;
    sg_tensor *weights;
    sg_optimizer adam =
        sg_adam(g, .rate = s->t.lr, .clip_norm = 1, .schedule = {SG_COSINE, .period = s->steps});
    for (int i = 0; i < s->steps && sg_ok(g) && !program_interrupted(); i++, sg_reset(g)) {
        draw_examples(&e, BATCH, task, &random);
        sg_step(&adam, loss_of(m, &e, decode(m, &e, &weights)));
    }
}

/* ---- measures 度量 --------------------------------------------------------------------------- */

typedef struct measured {
    double accuracy, nats, spread;                /* percent, exp(entropy) */
    double looked[TOLD][TOLD], pairs[TOLD][TOLD]; /* at the label j: at what label i needs */
} measured;

static void look_at(measured *r, const examples *e, int i, int k, const float *a)
{
    double entropy = 0;
    for (int p = 0; p < ITEMS; p++)
        entropy -= a[p] > 0 ? (double)a[p] * log((double)a[p]) : 0;
    r->spread += exp(entropy) / e->n / TOLD;
    for (int other = 0; other < TOLD; other++) { /* which may be the same element, of `choice` */
        const int *need = e->need + i * TOLD;
        if (other == k || need[other] != need[k]) {
            r->looked[k][other] += (double)a[need[other]];
            r->pairs[k][other]++;
        }
    }
}

static void evaluate(const net *m, const examples *e, measured *r)
{
    sg_tensor *weights, *logits = decode(m, e, &weights);
    sg_tensor *best = sg_want(sg_argmax(logits, -1, false)); /* [T,B] */
    sg_want(weights);
    r->nats = sg_item(loss_of(m, e, logits));
    const int32_t *said = sg_data(best);
    const float *a = sg_data(weights);
    int stride = e->time / TOLD;
    for (int i = 0; i < e->n && said && a; i++)
        for (int k = 0; k < TOLD; k++) {
            int t = (k + 1) * stride - 1, at = t * e->n + i;
            r->accuracy += 100.0 * (said[at] == e->out[i * e->time + t]) / e->n / TOLD;
            look_at(r, e, i, k, a + at * ITEMS);
        }
    sg_reset(m->g);
}

/* The mean weight on what is needed `offset` labels later. */
static double weight(const measured *r, int offset)
{
    double sum = 0, n = 0;
    for (int k = 0; k < TOLD; k++)
        if (k + offset >= 0 && k + offset < TOLD) {
            sum += r->looked[k][k + offset];
            n += r->pairs[k][k + offset];
        }
    return n > 0 ? sum / n : NAN;
}

/* ---- all ------------------------------------------------------------------------------------ */

/* Trains with every seed: means of all, and the least and largest accuracy. */
static measured run_way(sg_context *g, const settings *s, int task, const struct way *way,
                        const examples *test, double range[2])
{
    measured sum = {.accuracy = 0};
    range[0] = 100;
    range[1] = 0;
    for (int i = 0; i < s->seeds && sg_ok(g) && !program_interrupted(); i++) {
        int seed = s->t.seed + i;
        sg_context *h = sg_open(.seed = (uint64_t)seed, .threads = s->t.threads);
        net m = make_net(h, way, s->hidden);
        measured r = sum;
        r.accuracy = r.spread = 0;
        train(&m, s, task, (uint64_t)seed);
        evaluate(&m, test, &r);
        range[0] = fmin(range[0], r.accuracy);
        range[1] = fmax(range[1], r.accuracy);
        r.accuracy = sum.accuracy + r.accuracy / s->seeds;
        r.nats = sum.nats + r.nats / s->seeds;
        r.spread = sum.spread + r.spread / s->seeds;
        sum = r;
        program_close_part(g, h);
    }
    return sum;
}

/* Of each way, at what it looked on average: rows are labels, columns what they need. */
static void draw(sg_context *g, const settings *s, int task, const measured *r)
{
    enum { COLUMNS = WAYS * (TOLD + 1) - 1 };
    static const char *const numbers[TOLD] = {"1", "2", "3", "4"};
    float values[TOLD * COLUMNS];
    const char *columns[COLUMNS];
    char path[512], title[256];
    for (int c = 0; c < COLUMNS; c++) {
        int way = c / (TOLD + 1), other = c % (TOLD + 1);
        columns[c] = other < TOLD ? numbers[other] : "";
        for (int k = 0; k < TOLD; k++) /* a gap between two ways */
            values[k * COLUMNS + c] =
                other < TOLD ? (float)(r[way].looked[k][other] / r[way].pairs[k][other]) : NAN;
    }
    snprintf(path, sizeof path, "%s.%s.svg", s->plot, tasks[task]);
    snprintf(title, sizeof title, "%s: attention of %s | %s | %s | %s", task_names[task],
             ways[0].name, ways[1].name, ways[2].name, ways[3].name);
    sg_plot_heatmap(g, TOLD, COLUMNS, numbers, columns, values, .low = 0, .high = 1, .title = title,
                    .file = stdout, .svg = path);
}

static void run_task(sg_context *g, const settings *s, int task, FILE *log)
{
    static examples test;
    measured r[WAYS];
    double range[2];
    uint64_t unseen = UINT64_C(1) << 40; /* the seeds of training are below */
    draw_examples(&test, TEST, task, &unseen);
    printf("\n%s: the most frequent label of a source is right for %.1f %%\n"
           "  %-10s %6s %12s %7s   %6s %6s %6s   %s\n",
           task_names[task], blind(&test), "", "right", "of seeds", "nats", "before", "needed",
           "after", "spread over");
    for (int w = 0; w < WAYS && sg_ok(g) && !program_interrupted(); w++) {
        r[w] = run_way(g, s, task, &ways[w], &test, range);
        printf("  %-10s %6.1f %5.1f..%-5.1f %7.4f   %6.3f %6.3f %6.3f   %.2f\n", ways[w].name,
               r[w].accuracy, range[0], range[1], r[w].nats, weight(&r[w], -1), weight(&r[w], 0),
               weight(&r[w], 1), r[w].spread);
        fflush(stdout);
        if (log &&
            fprintf(log,
                    "{\"task\": \"%s\", \"pre\": %s, \"feed\": %s, \"accuracy\": %.4f, "
                    "\"nats\": %.6g, \"needed\": %.6g, \"spread\": %.6g}\n",
                    tasks[task], ways[w].pre ? "true" : "false", ways[w].feed ? "true" : "false",
                    r[w].accuracy, r[w].nats, weight(&r[w], 0), r[w].spread) < 0)
            sg_fail(g, SG_IO, "%s: could not be written", s->t.log);
    }
    if (sg_ok(g) && !program_interrupted())
        draw(g, s, task, r);
}

static void run_all(sg_context *g, const program *p)
{
    const settings *s = p->settings;
    FILE *log = program_open_log(g, &s->t);
    printf("%d labels of %d elements: right 准确率 in percent; weights of the attention 注意力 on\n"
           "the element of the label before, of this one, and of the next; means of %d seeds\n",
           TOLD, ITEMS, s->seeds);
    for (int task = 0; task < TASKS && sg_ok(g) && !program_interrupted(); task++)
        run_task(g, s, task, log);
    program_close_log(g, &s->t, log);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Attention from the state before a step or after it, with and without input feeding, on\n"
        "three tasks in which it is known where to look: accuracies, weights, pictures.";
    settings s = {.t = {.seed = 1, .threads = 2, .lr = 0.003},
                  .hidden = 64,
                  .steps = 800,
                  .seeds = 3,
                  .plot = "attend_when"};
    const option table[] = {
        {"hidden", "units of the state", .integer = &s.hidden, .low = 1, .high = 1024},
        {"steps", "of training, of 32 examples each", .integer = &s.steps, .low = 1, .high = 1e9},
        {"lr", "learning rate", .number = &s.t.lr, .low = 1e-9, .high = 10},
        {"seed", "the first of those", .integer = &s.t.seed, .low = 1, .high = 1e9},
        {"seeds", "that means are taken of", .integer = &s.seeds, .low = 1, .high = 1000},
        {"threads", "to compute with", .integer = &s.t.threads, .low = 1, .high = 256},
        {"log", "JSON lines", .text = &s.t.log, .value = "FILE"},
        {"plot", "beginning of the SVGs' names", .text = &s.plot, .value = "PATH"},
        {0}};
    static const command commands[] = {{"", run_all}, {0}};
    return program_main(argc, argv, &(program){"attend_when", about, table, &s.t, commands, &s});
}
