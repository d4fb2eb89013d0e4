/*
 * A cell of one's own 自己写一个循环单元
 *
 *     own_cell                                   all of what is below, without any file
 *     own_cell train --train F --model M         spells the words of a file backward 训练
 *     own_cell evaluate --model M --test F       评估
 *     own_cell write | race                      the last two lessons alone
 *
 * Two cells, written here in a few lines each: the minimal gated unit 最小门控单元 (Zhou et al.
 * 2016) and the LSTM 长短期记忆. No derivative is written, and nothing is told to the library: in
 * both directions, in layers, with lengths, residual connections, dropout and zoneout, in training
 * and in decoding they work as the built-in cells do, and as fast, because those are not more than
 * this either.
 *
 * The first task is to spell words from back to front 倒着写, by two layers that read both ways:
 * the label of letter t of n is letter n - 1 - t, so both sides must have been seen. The second is
 * to write 生成: a model of one direction learns words a…ab…b, of as many b as a, which it must
 * count. What it knows is asked for by sampling 采样 and by beam search 束搜索.
 */
#include "examples/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct settings {
    training t;
    int cell, hidden, layers;
    double dropout, zoneout;
} settings;

/* ---- the cells 单元 -------------------------------------------------------------------------- */

/* F = σ(x Wxf + bf + h Whf);  N = tanh(x Wxn + bn + (F*h) Whn);  H = (1-F)*h + F*N */
static sg_state mgu_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *x[2], *h = sg_recurrent(p, s.h); /* h, with dropout if it was asked for */
    sg_split(xw, -1, 2, x);
    sg_tensor *f = sg_sigmoid(sg_add(x[0], sg_matmul(h, p->wh)));
    sg_tensor *n = sg_tanh(sg_add(x[1], sg_matmul(sg_mul(f, h), p->extra)));
    return (sg_state){.h = sg_add(s.h, sg_mul(f, sg_sub(n, s.h)))};
}

/* I, F, G, O of x Wx + b + h Wh;  C = F*c + I*G;  H = O*tanh(C) */
static sg_state lstm_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *z[4];
    sg_split(sg_add(xw, sg_matmul(sg_recurrent(p, s.h), p->wh)), -1, 4, z);
    sg_tensor *i = sg_sigmoid(z[0]), *f = sg_sigmoid(z[1]), *g = sg_tanh(z[2]);
    sg_tensor *o = sg_sigmoid(z[3]);
    sg_tensor *c = sg_add(sg_mul(f, s.c), sg_mul(i, g));
    return (sg_state){.h = sg_mul(o, sg_tanh(c)), .c = c};
}

/* x Wx + b is computed of all steps at once, so that a step gets it as xw. */
static sg_cell own_mgu(sg_cell_options o)
{
    sg_push(o.g, "own mgu", o.name);
    sg_cell p = {mgu_step, o.g, o.in, o.hidden, .states = 1};
    p.wx = sg_param(o.g, "wx", SG_SHAPE(o.in, 2 * o.hidden), .blocks = 2);
    p.b = sg_param(o.g, "b", SG_SHAPE(2 * o.hidden), SG_ZEROS);
    p.wh = sg_param(o.g, "wh", SG_SHAPE(o.hidden, o.hidden), SG_ORTHOGONAL);
    p.extra = sg_param(o.g, "whn", SG_SHAPE(o.hidden, o.hidden), SG_ORTHOGONAL);
    sg_pop(o.g);
    return p;
}

static sg_cell own_lstm(sg_cell_options o)
{
    sg_push(o.g, "own lstm", o.name);
    sg_cell p = {lstm_step, o.g, o.in, o.hidden, .states = 2};
    p.wx = sg_param(o.g, "wx", SG_SHAPE(o.in, 4 * o.hidden), .blocks = 4);
    p.b = sg_param(o.g, "b", SG_SHAPE(4 * o.hidden), SG_ZEROS);
    p.wh = sg_param(o.g, "wh", SG_SHAPE(o.hidden, 4 * o.hidden), SG_ORTHOGONAL, .blocks = 4);
    sg_pop(o.g);
    return p;
}

/* Each beside the library's own. */
static const struct {
    const char *name;
    sg_cell (*own)(sg_cell_options), (*built_in)(sg_cell_options);
} cells[] = {{"mgu", own_mgu, sg_mgu_}, {"lstm", own_lstm, sg_lstm_}};
enum { CELLS = sizeof cells / sizeof *cells };

/* ---- words from back to front 倒着写 --------------------------------------------------------- */

enum { LAYERS = 8 };

typedef struct net {
    sg_context *g;
    settings s;
    sg_vocabulary *letters;
    sg_tensor *table;
    sg_cell forward[LAYERS], backward[LAYERS];
    sg_fusion merge[LAYERS];
    sg_affine out;
} net;

/* Residual: each layer adds to what it reads; so all are of one size, and directions are averaged.
 */
static net make_net(sg_context *g, const settings *s, sg_vocabulary *letters)
{
    net m = {.g = g, .s = *s, .letters = letters};
    if (!sg_ok(g))
        return m;
    int n = sg_vocabulary_size(letters);
    m.table = sg_embedding(g, "letters", n, s->hidden);
    for (int i = 0; i < 2 * s->layers; i++) {
        char name[24];
        snprintf(name, sizeof name, "%s%d", i % 2 ? "backward" : "forward", i / 2);
        sg_cell p = cells[s->cell].own((sg_cell_options){g, name, s->hidden, s->hidden});
        p.state_dropout = s->dropout;
        p.variational = true; /* one mask for all steps */
        p.zoneout = s->zoneout;
        (i % 2 ? m.backward : m.forward)[i / 2] = sg_residual(p);
        snprintf(name, sizeof name, "merge%d", i / 2);
        m.merge[i / 2] = sg_make_fusion(g, name, SG_FUSE_RESTORED, s->hidden, s->hidden);
    }
    m.out = sg_linear(g, "out", s->hidden, n);
    return m;
}

static sg_tensor *logits_of(const net *m, const sg_batch *b)
{
    sg_tensor *ids = sg_input(m->g, SG_I32, SG_SHAPE(b->size, b->source_time), b->source);
    sg_tensor *h = sg_deep(m->s.layers, m->forward, m->backward, sg_take(m->table, ids),
                           b->source_lengths, m->merge, m->s.dropout); /* [B,T,H] */
    return sg_apply(m->out, h);                                        /* [B,T,letters] */
}

/* Letter n - 1 - t at t: [B * T] */
static const int32_t *labels_of(const net *m, const sg_batch *b)
{
    int time = b->source_time;
    int32_t *labels = sg_room(m->g, (size_t)(b->size * time) * sizeof *labels);
    for (int i = 0; labels && i < b->size * time; i++) {
        int n = b->source_lengths[i / time], t = i % time;
        labels[i] = t < n ? b->source[i - t + n - 1 - t] : 0;
    }
    return labels;
}

typedef struct learner {
    net m;
    sg_batches *train, *valid;
    sg_batch b;
} learner;

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    if (!sg_batch_next(k->train, &k->b))
        return false;
    sg_tensor *y = logits_of(&k->m, &k->b);
    sg_loss loss = sg_label_loss(y, labels_of(&k->m, &k->b), k->b.source_lengths);
    l->loss = loss.mean;
    l->tokens = loss.tokens;
    return true;
}

typedef struct result {
    int64_t letters, right, words, whole;
} result;

static result evaluate(const net *m, sg_batches *d)
{
    result r = {0};
    sg_batch b = {0};
    while (sg_ok(m->g) && sg_batch_next(d, &b)) {
        const int32_t *label = labels_of(m, &b), *told;
        told = sg_data(sg_argmax(logits_of(m, &b), -1, false));
        for (int i = 0; label && told && i < b.size; i++) {
            int n = b.source_lengths[i], right = 0;
            for (int t = 0; t < n; t++)
                right += told[i * b.source_time + t] == label[i * b.source_time + t];
            r.letters += n;
            r.right += right;
            r.words++;
            r.whole += right == n;
        }
        sg_reset(m->g);
    }
    return r;
}

static double score(void *user, progress *p)
{
    learner *k = user;
    result r = evaluate(&k->m, k->valid);
    progress_metric(p, "valid_words", 100.0 * (double)r.whole / (double)r.words);
    return 1 - (double)r.right / (double)r.letters;
}

static sg_batches *batches_of(const net *m, const sg_corpus *c, bool in_order)
{
    return sg_batches_make(m->g, c, m->letters, m->letters, .size = m->s.t.batch,
                           .in_order = in_order);
}

static void print_json(const net *m, const sg_corpus *c)
{
    sg_batches *d = batches_of(m, c, true);
    result r = evaluate(m, d);
    if (sg_ok(m->g))
        printf("{\"letters_right\": %.4f, \"words_right\": %.4f, \"words\": %lld}\n",
               100.0 * (double)r.right / (double)r.letters,
               100.0 * (double)r.whole / (double)r.words, (long long)r.words);
    sg_batches_free(d);
}

/* The derivatives of the whole model against differences: what nobody wrote, nobody got wrong. */
static void check(learner *k)
{
    sg_batch b = {.seed = 1};
    const net *m = &k->m;
    if (!sg_ok(m->g) || !sg_batch_next(k->train, &b))
        return;
    const int32_t *labels = labels_of(m, &b);
    sg_tensor *loss = sg_label_loss(logits_of(m, &b), labels, b.source_lengths).mean;
    sg_tensor *weights[] = {m->forward[0].wh, m->backward[m->s.layers - 1].wx, m->table};
    sg_gradcheck_result c = sg_gradcheck(loss, 3, weights);
    printf("gradients %s 导数%s: off by %.1g\n", c.ok ? "agree" : "differ", c.ok ? "正确" : "错误",
           c.error[0]);
    sg_reset(m->g);
}

static net learn(sg_context *g, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    learner k = {.b.seed = (uint64_t)s->t.seed};
    k.m = make_net(
        g, s, sg_vocabulary_build(g, train->size, train->source, .tokenizer.units = SG_UNITS_CHAR));
    k.train = batches_of(&k.m, train, false);
    k.valid = batches_of(&k.m, valid, true);
    check(&k);
    lesson l = {&k, k.train->batches, false, next, valid->size ? score : NULL, "valid_error"};
    program_train(g, &s->t, l);
    if (sg_ok(g)) {
        sg_set_meta(g, "letters", sg_vocabulary_json(k.m.letters));
        program_save(g, p);
    }
    sg_batches_free(k.train);
    sg_batches_free(k.valid);
    return k.m;
}

/* ---- writing 生成 --------------------------------------------------------------------------- */

enum { BEGIN, END, A, B, TOKENS, MOST = 10, TIME = 2 * MOST + 1, DEEP = 2 };

/* A language model of two layers of one's own cells. */
static sg_deep_model make_writer(sg_context *g, const settings *s, sg_cell *layers)
{
    static const char *const names[DEEP] = {"write0", "write1"};
    for (int l = 0; l < DEEP; l++)
        layers[l] =
            sg_residual(cells[s->cell].own((sg_cell_options){g, names[l], s->hidden, s->hidden}));
    return (sg_deep_model){DEEP, layers, sg_embedding(g, "tokens", TOKENS, s->hidden),
                           sg_linear(g, "next", s->hidden, TOKENS)};
}

/* n times a, n times b, the end, of rows with n from 1 to MOST, after a BEGIN: the loss of it. */
static sg_tensor *counting_loss(sg_context *g, const sg_deep_model *m)
{
    int32_t in[MOST * TIME] = {0}, out[MOST * TIME] = {0};
    int lengths[MOST];
    for (int i = 0; i < MOST; i++) {
        int n = i + 1;
        lengths[i] = 2 * n + 1;
        for (int t = 0; t < lengths[i]; t++) {
            out[i * TIME + t] = t < n ? A : t < 2 * n ? B : END;
            in[i * TIME + t] = t ? out[i * TIME + t - 1] : BEGIN;
        }
    }
    sg_tensor *x = sg_take(m->table, sg_input(g, SG_I32, SG_SHAPE(MOST, TIME), in));
    sg_tensor *h = sg_deep(DEEP, m->cells, NULL, x, lengths); /* [10,T,H] */
    return sg_label_loss(sg_apply(m->out, h), out, lengths).mean;
}

static bool counted(const int32_t *ids, int n)
{
    for (int t = 0; t < n; t++)
        if (ids[t] != (t < n / 2 ? A : B))
            return false;
    return n > 0 && n % 2 == 0;
}

static void run_write(sg_context *g, const program *p)
{
    enum { STEPS = 900, DRAWN = 200, ASKED = 8 };
    const settings *s = p->settings;
    sg_cell layers[DEEP];
    sg_deep_model m = make_writer(g, s, layers);
    sg_optimizer adam = sg_adam(g, .rate = 0.005, .clip_norm = 1);
    sg_train(g, true);
    for (int i = 0; i < STEPS && sg_ok(g) && !program_interrupted(); i++, sg_reset(g))
        sg_step(&adam, counting_loss(g, &m));
    sg_train(g, false);
    sg_stepper one = sg_deep_stepper(&m, 1, NULL), many = sg_deep_stepper(&m, DRAWN, NULL);
    one.start = many.start = BEGIN;
    one.stop = many.stop = END;
    sg_hypotheses h = sg_sample(&many, TIME);
    int right = 0;
    for (int i = 0; i < h.rows; i++)
        right += counted(h.ids + i * h.most, h.lengths[i]);
    printf("\nwords a…ab…b that it drew 采样: %.1f %% have as many b as a\n",
           100.0 * right / DRAWN);
    const int32_t prefix[ASKED] = {A, A, A, A, A, A, A, B};
    h = sg_search(&one, TIME, .width = 4, .prefix = prefix, .prefix_time = ASKED);
    printf("how aaaaaaab goes on 束搜索: ");
    for (int t = 0; h.rows && t < h.lengths[0]; t++)
        putchar(h.ids[t] == A ? 'a' : 'b');
    putchar('\n');
    sg_reset(g);
}

/* ---- how fast 速度 -------------------------------------------------------------------------- */

enum { ROWS = 32, LONG = 20, UNITS = 64 };

static sg_tensor *step_of(const sg_cell *p, sg_tensor **grads)
{
    sg_context *g = p->g;
    sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(ROWS, LONG, UNITS), 0.1);
    sg_tensor *y = sg_sum(sg_square(sg_unroll(*p, x)), SG_ALL_AXES, false);
    sg_tensor *weights[] = {p->wx, p->b, p->wh};
    sg_grad(y, 3, weights, grads);
    return y;
}

static double seconds(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sequences forward and backward, one's own and the library's in turn, many times: of each the
 * fastest counts, as other programs can only make it slower. */
static void race(sg_context *g, int cell)
{
    enum { ROUNDS = 40, EACH = 2 };
    const char *const names[] = {"own", "built_in"};
    char name[2][24];
    snprintf(name[0], sizeof name[0], "raced_%s", cells[cell].name);
    snprintf(name[1], sizeof name[1], "built_in_%s", cells[cell].name);
    sg_cell p[2] = {cells[cell].own((sg_cell_options){g, name[0], UNITS, UNITS}),
                    cells[cell].built_in((sg_cell_options){g, name[1], UNITS, UNITS})};
    double best[2] = {INFINITY, INFINITY};
    sg_plan_info info[2];
    for (int i = 0; i < 2 && sg_ok(g); i++, sg_reset(g)) {
        sg_tensor *all[4] = {NULL};
        all[3] = step_of(&p[i], all);
        info[i] = sg_plan_infos(4, all);
    }
    for (int i = 0; i < 2 * ROUNDS && sg_ok(g) && !program_interrupted(); i++) {
        double begun = seconds();
        for (int k = 0; k < EACH; k++, sg_reset(g)) {
            sg_tensor *all[4];
            all[3] = step_of(&p[i % 2], all);
            sg_eval_(4, all);
        }
        best[i % 2] = fmin(best[i % 2], (seconds() - begun) / EACH);
    }
    for (int i = 0; i < 2 && sg_ok(g); i++)
        printf("{\"cell\": \"%s\", \"by\": \"%s\", \"passes_per_second\": %.0f, \"ratio\": %.3f, "
               "\"steps\": %lld, \"programs\": %lld, \"products\": %lld}\n",
               cells[cell].name, names[i], 1 / best[i], best[1] / best[i], (long long)info[i].steps,
               (long long)info[i].programs, (long long)info[i].products);
}

static void run_race(sg_context *g, const program *p)
{
    (void)p;
    printf("\n%d sequences of %d steps of %d units, forward and backward 速度:\n", ROWS, LONG,
           UNITS);
    for (int i = 0; i < CELLS && sg_ok(g) && !program_interrupted(); i++)
        race(g, i);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static sg_corpus *random_words(sg_context *g, int n, uint64_t seed)
{
    enum { LONGEST = 7, KINDS = 12 };
    char(*room)[LONGEST + 1] = calloc((size_t)n, sizeof *room);
    const char **text = malloc((size_t)n * sizeof *text);
    if (!room || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d words", n);
    for (int i = 0; i < n && sg_ok(g); i++) {
        int length = 3 + (int)(program_draw(&seed) % (LONGEST - 2));
        for (int k = 0; k < length; k++)
            room[i][k] = (char)('a' + program_draw(&seed) % KINDS);
        text[i] = room[i];
    }
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, text, text);
    free(room);
    free(text);
    return c;
}

static void run_lesson(sg_context *g, const program *p)
{
    settings *s = p->settings;
    sg_corpus *all = random_words(g, 16000, (uint64_t)s->t.seed);
    program_split c = program_hold(g, all, s->t.hold);
    net m = learn(g, p, c.train, c.valid);
    if (sg_ok(g))
        print_json(&m, c.valid);
    sg_vocabulary_free(m.letters);
    program_split_free(&c);
    sg_corpus_free(all);
    if (sg_ok(g) && !program_interrupted())
        run_write(g, p);
    if (sg_ok(g) && !program_interrupted())
        run_race(g, p);
}

static sg_corpus *read_words(sg_context *g, const void *unused, const char *path, const char *name)
{
    (void)unused;
    return program_lines(g, path, name);
}

static void run_train(sg_context *g, const program *p)
{
    program_split c = program_read(g, p, read_words);
    if (sg_ok(g)) {
        net m = learn(g, p, c.train, c.valid);
        if (sg_ok(g) && c.valid->size)
            print_json(&m, c.valid);
        sg_vocabulary_free(m.letters);
    }
    program_split_free(&c);
}

static void run_evaluate(sg_context *g, const program *p)
{
    program_load(g, p);
    net m = make_net(g, p->settings, sg_vocabulary_parse(g, sg_meta(g, "letters")));
    sg_corpus *c = read_words(g, NULL, p->t->test, "test");
    if (program_some(g, p, program_full(c)))
        print_json(&m, c);
    sg_corpus_free(c);
    sg_vocabulary_free(m.letters);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Recurrent cells of one's own, beside the library's. Without a command: words spelled\n"
        "backward, words written, and how fast, with no file needed. train: from words, one a\n"
        "line. evaluate: one line of JSON. write, race: the other two lessons alone.";
    static const char *const names[] = {"mgu", "lstm", NULL};
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "own_cell.safetensors", .batch = 32, .epochs = 8,
                        .lr = 0.005, .clip = 1, .hold = 0.02},
                  .hidden = 64,
                  .layers = 2,
                  .dropout = 0.01,
                  .zoneout = 0.01};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "words, one a line"),
        PROGRAM_HOLD_OPTION(s.t),
        {.help = "Model"},
        {"cell", "of those written here", .choice = &s.cell, .choices = names},
        {"hidden", "units of a direction", .integer = &s.hidden, .low = 1, .high = 65536},
        {"layers", "of both directions", .integer = &s.layers, .low = 1, .high = LAYERS},
        {"dropout", "on states, and between layers", .number = &s.dropout, .low = 0, .high = 0.95},
        {"zoneout", "parts of states that stay as they were", .number = &s.zoneout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        {0}};
    static const command commands[] = {{"", run_lesson},           {"train", run_train},
                                       {"evaluate", run_evaluate}, {"write", run_write},
                                       {"race", run_race},         {0}};
    return program_main(argc, argv, &(program){"own_cell", about, table, &s.t, commands, &s});
}
