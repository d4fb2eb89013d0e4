/*
 * What digit was said: frames of sound to letters, without being told when 语音识别
 *
 *     speech_digits                                    learns made-up voices, without any file
 *     speech_digits train --train F --model M          recordings of digits 训练
 *     speech_digits evaluate --model M --test F        准确率
 *     speech_digits use --model M --test F --recording 3      reads one, and shows how
 *
 * A recording is a sequence of dense vectors x_t, one each 10 ms: nothing is looked up in a table.
 * A bidirectional RNN reads them, and at every frame gives out the probabilities of letters,
 *
 *     P(k | t) = softmax(W [h→_t ; h←_t] + b)
 *
 * What is known of a recording is the word that is said, "three", and not where its letters are.
 * Connectionist temporal classification 联结时序分类 (CTC, Graves et al. 2006) adds a letter that
 * stands for nothing, the blank ·, and sums over all paths π of one letter a frame that read
 * "three" after equal neighbours are joined and blanks left out, such as "··th·rre·e··":
 *
 *     P(word) = Σ_π Π_t P(π_t | t)
 *
 * To read a recording there are three ways: the path of the most probable letters (greedy 贪心);
 * the word of which the paths found sum to the most (prefix beam search 前缀束搜索); or, where only
 * ten words can have been said, that of the ten with the largest P(word).
 */
#include "examples/program.h"
#include "examples/recordings.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    int hidden, layers, hold_below, only_below, beam, recording;
    double dropout;
    const char *picture;
} settings;

/* The blank and the letters of the ten words. */
static const char letters[] = " efghinorstuvwxz";
enum { BLANK, CLASSES = sizeof letters - 1, FEATURES = RECORDINGS_FEATURES, LAYERS = 4 };
enum { DIGITS = RECORDINGS_DIGITS, MOST_LETTERS = 5 };

/* The word's letters as classes; how many they are. */
static int spell(int digit, int32_t label[MOST_LETTERS])
{
    int n = 0;
    for (const char *s = recordings_names[digit]; *s; s++)
        label[n++] = (int32_t)(strchr(letters, *s) - letters);
    return n;
}

/* ---- the model 模型 -------------------------------------------------------------------------- */

typedef struct net {
    sg_context *g;
    settings s;
    sg_tensor *mean, *deviation; /* of each feature, where it was learned */
    sg_cell forward[LAYERS], backward[LAYERS];
    sg_affine out;
} net;

static net make_net(sg_context *g, const settings *s)
{
    net m = {.g = g, .s = *s};
    int in = FEATURES;
    if (!sg_ok(g))
        return m;
    m.mean = sg_buffer(g, "mean", SG_F32, SG_SHAPE(FEATURES), 0);
    m.deviation = sg_buffer(g, "deviation", SG_F32, SG_SHAPE(FEATURES), 1);
    for (int l = 0; l < s->layers; l++, in = 2 * s->hidden) {
        char name[24];
        snprintf(name, sizeof name, "forward%d", l);
        m.forward[l] = sg_lstm(g, name, in, s->hidden);
        snprintf(name, sizeof name, "backward%d", l);
        m.backward[l] = sg_lstm(g, name, in, s->hidden);
    }
    m.out = sg_linear(g, "out", in, CLASSES);
    return m;
}

/* Recordings, and the words that they are. */
typedef struct batch {
    recordings_batch r;
    int32_t *labels;    /* [size, MOST_LETTERS] */
    int *label_lengths; /* [size] */
} batch;

/* False after an error. */
static bool make_batch(sg_context *g, const recordings *d, int n, const int *order, batch *b)
{
    size_t rows = (size_t)n;
    b->r = recordings_pad(g, d, n, order);
    b->labels = sg_room(g, rows * MOST_LETTERS * sizeof *b->labels);
    b->label_lengths = sg_room(g, rows * sizeof *b->label_lengths);
    if (!sg_ok(g))
        return false;
    memset(b->labels, 0, rows * MOST_LETTERS * sizeof *b->labels);
    for (int i = 0; i < n; i++)
        b->label_lengths[i] = spell(d->item[order[i]].digit, b->labels + i * MOST_LETTERS);
    return true;
}

/* [B,T,K] */
static sg_tensor *logits_of(const net *m, const batch *b)
{
    sg_tensor *x = sg_input(m->g, SG_F32, SG_SHAPE(b->r.size, b->r.frames, FEATURES), b->r.x);
    x = sg_div(sg_sub(x, m->mean), m->deviation);
    sg_tensor *h = sg_deep(m->s.layers, m->forward, m->backward, x, b->r.lengths,
                           .dropout = m->s.dropout); /* [B,T,2H] */
    return sg_apply(m->out, sg_dropout(h, m->s.dropout));
}

/* -log P(word) of each of the ten words, infinite where a recording is too short: [B,10] */
static sg_tensor *losses_of_words(sg_tensor *logits, const batch *b)
{
    sg_context *g = sg_context_of(logits);
    sg_tensor *loss[DIGITS];
    size_t rows = (size_t)b->r.size;
    int32_t *labels = sg_room(g, rows * MOST_LETTERS * sizeof *labels);
    int *lengths = sg_room(g, rows * sizeof *lengths);
    for (int k = 0; k < DIGITS && sg_ok(g); k++) {
        memset(labels, 0, rows * MOST_LETTERS * sizeof *labels);
        for (int i = 0; i < b->r.size; i++)
            lengths[i] = spell(k, labels + i * MOST_LETTERS);
        loss[k] = sg_ctc_loss(logits, b->r.lengths, labels, lengths, .most = MOST_LETTERS,
                              .blank = BLANK);
    }
    return sg_ok(g) ? sg_stack_(1, DIGITS, loss) : logits;
}

/* ---- training 训练 --------------------------------------------------------------------------- */

typedef struct learner {
    net m;
    const recordings *d;
    int *train, *valid, *order,
        *first; /* places of recordings; an epoch, and where batches begin */
    int trained, held, at, batches;
    uint64_t random;
} learner;

typedef struct key {
    float length;
    int place;
} key;

static int by_length(const void *a, const void *b)
{
    float x = ((const key *)a)->length, y = ((const key *)b)->length;
    return (x > y) - (x < y);
}

/* Recordings of about equal lengths together, batches in random order. */
static void begin_epoch(learner *k)
{
    key *all = malloc((size_t)k->trained * sizeof *all);
    if (!all)
        sg_fail(k->m.g, SG_NO_MEMORY, "no memory for an epoch");
    for (int i = 0; i < k->trained && all; i++) {
        double jitter = 0.8 + 0.4 * program_uniform(&k->random);
        all[i] = (key){(float)(k->d->item[k->train[i]].frames * jitter), k->train[i]};
    }
    if (all)
        qsort(all, (size_t)k->trained, sizeof *all, by_length);
    for (int i = 0; i < k->trained && all; i++)
        k->order[i] = all[i].place;
    program_shuffle(&k->random, k->batches, k->first);
    free(all);
}

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    int n = k->m.s.t.batch;
    batch b;
    if (k->at == k->batches) {
        k->at = 0;
        return false;
    }
    if (k->at == 0)
        begin_epoch(k);
    int from = k->first[k->at++] * n, left = k->trained - from;
    n = n < left ? n : left;
    if (!make_batch(k->m.g, k->d, n, k->order + from, &b))
        return false;
    sg_tensor *loss = sg_ctc_loss(logits_of(&k->m, &b), b.r.lengths, b.labels, b.label_lengths,
                                  .most = MOST_LETTERS, .blank = BLANK, .zero_infinity = true);
    l->loss = sg_mean(loss, 0, false);
    l->tokens = n;
    return true;
}

/* How many recordings are read as the word that they are, in the three ways. */
typedef struct result {
    int count, greedy, beam, of_ten;
    double nats;
} result;

/* Whether a row of what was found is the word. */
static bool spells(const sg_hypotheses *h, int row, int digit)
{
    int32_t label[MOST_LETTERS];
    int n = spell(digit, label);
    size_t at = (size_t)row * (size_t)h->best; /* the first of what was found */
    return h->ids && h->lengths[at] == n &&
           !memcmp(h->ids + at * (size_t)h->most, label, (size_t)n * sizeof *label);
}

static result evaluate(const net *m, const recordings *d, int n, const int *order)
{
    enum { TOGETHER = 64 };
    result r = {.count = n};
    for (int at = 0; at < n && sg_ok(m->g); at += TOGETHER) {
        batch b;
        int count = n - at < TOGETHER ? n - at : TOGETHER;
        if (!make_batch(m->g, d, count, order + at, &b))
            break;
        sg_tensor *logits = sg_want(logits_of(m, &b));
        const float *loss = sg_data(losses_of_words(logits, &b));
        sg_hypotheses greedy = sg_ctc_decode(logits, b.r.lengths, BLANK, 0);
        sg_hypotheses beam = sg_ctc_decode(logits, b.r.lengths, BLANK, m->s.beam);
        for (int i = 0; i < count && sg_ok(m->g); i++, loss += DIGITS) {
            int best = 0, digit = d->item[order[at + i]].digit;
            for (int k = 1; k < DIGITS; k++)
                best = loss[k] < loss[best] ? k : best;
            r.nats += (double)loss[digit] / n;
            r.of_ten += best == digit;
            r.greedy += spells(&greedy, i, digit);
            r.beam += spells(&beam, i, digit);
        }
        sg_reset(m->g);
    }
    return r;
}

static double score(void *user, progress *p)
{
    learner *k = user;
    result r = evaluate(&k->m, k->d, k->held, k->valid);
    progress_metric(p, "valid_accuracy", 100.0 * r.of_ten / r.count);
    progress_metric(p, "valid_greedy", 100.0 * r.greedy / r.count);
    return r.nats;
}

static void print_json(const net *m, const result *r)
{
    if (sg_ok(m->g) && r->count)
        printf("{\"accuracy\": %.4f, \"beam\": %.4f, \"greedy\": %.4f, \"nats\": %.6g, "
               "\"recordings\": %d}\n",
               100.0 * r->of_ten / r->count, 100.0 * r->beam / r->count,
               100.0 * r->greedy / r->count, r->nats, r->count);
    fflush(stdout);
}

/* Trains on the recordings of `d`, but for those of an index less than `below`; saves the model. */
static net learn(sg_context *g, const program *p, const recordings *d, int below)
{
    settings *s = p->settings;
    learner k = {.m = make_net(g, s), .d = d, .random = (uint64_t)s->t.seed};
    int *room = malloc(4 * (size_t)(d->count + 1) * sizeof *room);
    if (!room)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d recordings", d->count);
    k.train = room;
    k.valid = room ? room + d->count : NULL;
    k.order = room ? room + 2 * d->count : NULL;
    k.first = room ? room + 3 * d->count : NULL;
    for (int i = 0; i < d->count && room; i++) {
        if (d->item[i].index < below)
            k.valid[k.held++] = i;
        else
            k.train[k.trained++] = i;
    }
    k.batches = (k.trained + s->t.batch - 1) / s->t.batch;
    fprintf(stderr, "%d recordings, %d held out\n", k.trained, k.held);
    if (sg_ok(g) && !k.trained)
        sg_fail(g, SG_BAD_ARGUMENT, "there is no recording to learn from");
    if (sg_ok(g)) {
        float mean[FEATURES], deviation[FEATURES];
        recordings_measure(d, k.trained, k.train, mean, deviation);
        sg_set(k.m.mean, mean);
        sg_set(k.m.deviation, deviation);
    }
    program_train(g, &s->t, (lesson){&k, k.batches, false, next, k.held ? score : NULL, NULL});
    if (sg_ok(g))
        program_save(g, p);
    if (sg_ok(g) && k.held) {
        result r = evaluate(&k.m, d, k.held, k.valid);
        print_json(&k.m, &r);
    }
    free(room);
    return k.m;
}

/* ---- how one is read 逐帧读出 ---------------------------------------------------------------- */

/* The letters' probabilities at each frame, and below them the most probable path. */
static void tell(const net *m, const recordings *d, int place)
{
    batch b;
    if (!make_batch(m->g, d, 1, &place, &b))
        return;
    sg_tensor *logits = sg_want(logits_of(m, &b));
    sg_tensor *p = sg_want(sg_transpose(sg_softmax(logits, NULL), 1, 2)); /* [1,K,T] */
    sg_hypotheses greedy = sg_ctc_decode(logits, b.r.lengths, BLANK, 0);
    sg_hypotheses beam = sg_ctc_decode(logits, b.r.lengths, BLANK, m->s.beam);
    const int32_t *path = sg_data(sg_argmax(logits, -1, false));
    const float *values = sg_data(p);
    char name[CLASSES][4] = {"·"}, title[80];
    const char *rows[CLASSES];
    for (int k = 0; k < CLASSES; k++) {
        if (k != BLANK)
            snprintf(name[k], sizeof name[k], "%c", letters[k]);
        rows[k] = name[k];
    }
    snprintf(title, sizeof title, "\"%s\" by %s: P(letter | frame) 每帧的字母概率",
             recordings_names[d->item[place].digit], d->item[place].speaker);
    if (values && path && sg_ok(m->g))
        sg_plot_heatmap(m->g, CLASSES, b.r.frames, rows, NULL, values, .title = title, .low = 0,
                        .high = 1, .file = stdout, .svg = m->s.picture);
    for (int t = 0; t < b.r.frames && path && sg_ok(m->g); t++)
        fputs(rows[path[t]], stdout);
    if (sg_ok(m->g))
        for (int way = 0; way < 2; way++) {
            const sg_hypotheses *h = way ? &beam : &greedy;
            printf(way ? ", beam \"" : "\ngreedy \"");
            for (int i = 0; i < h->lengths[0]; i++)
                putchar(letters[h->ids[i]]);
            printf("\" %.3f", h->scores[0]);
        }
    putchar('\n');
    sg_reset(m->g);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static void run_made_up(sg_context *g, const program *p)
{
    enum { EACH = 15, HELD = 3 };
    settings *s = p->settings;
    recordings d = recordings_generate(g, (uint64_t)s->t.seed, EACH);
    net m = learn(g, p, &d, HELD);
    for (int i = 3; i < 9 && sg_ok(g); i += 4) /* three, seven */
        tell(&m, &d, i);
    recordings_free(&d);
}

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    recordings d = recordings_read(g, s->t.train, "train");
    if (sg_ok(g))
        learn(g, p, &d, s->hold_below);
    recordings_free(&d);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    program_load(g, p);
    net m = make_net(g, s);
    recordings d = recordings_read(g, s->t.test, "test");
    int *order = malloc((size_t)d.count * sizeof *order + 1), n = 0;
    for (int i = 0; i < d.count && order; i++)
        if (!s->only_below || d.item[i].index < s->only_below)
            order[n++] = i;
    if (sg_ok(g) && !n)
        sg_fail(g, SG_BAD_ARGUMENT, "%s: no recording to evaluate", s->t.test);
    if (sg_ok(g)) {
        result r = evaluate(&m, &d, n, order);
        print_json(&m, &r);
    }
    free(order);
    recordings_free(&d);
}

static void run_use(sg_context *g, const program *p)
{
    settings *s = p->settings;
    program_load(g, p);
    net m = make_net(g, s);
    recordings d = recordings_read(g, s->t.test, "test");
    if (sg_ok(g) && s->recording > d.count)
        sg_fail(g, SG_BAD_ARGUMENT, "%s: has only %d recordings", s->t.test, d.count);
    if (sg_ok(g))
        tell(&m, &d, s->recording - 1);
    recordings_free(&d);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Spoken digits. Without a command: learns from made-up voices, with no file needed. "
        "train:\n"
        "from recordings, a line \"digit speaker index frames\" and a line of features for each\n"
        "frame. evaluate: one line of JSON. use: shows how one recording is read.";
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "speech_digits.safetensors", .batch = 32,
                        .epochs = 20, .lr = 0.005, .clip = 5},
                  .hidden = 32,
                  .layers = 1,
                  .hold_below = 10,
                  .beam = 8,
                  .recording = 1};
    const option table[] = {
        {.help = "Data"},
        {"train", "recordings, plain or gzip", .text = &s.t.train, .value = "FILE"},
        {"hold-below", "of train: those of an index less than it are held out, to stop by",
         .integer = &s.hold_below, .low = 0, .high = 1e9},
        {"test", "the same, to evaluate or use", .text = &s.t.test, .value = "FILE"},
        {"only-below", "of test: only those of an index less than it; 0: all",
         .integer = &s.only_below, .low = 0, .high = 1e9},
        {.help = "Model"},
        {"hidden", "units of a direction", .integer = &s.hidden, .low = 1, .high = 65536},
        {"layers", "of both directions", .integer = &s.layers, .low = 1, .high = LAYERS},
        {"dropout", "between layers, and before the output", .number = &s.dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        {.help = "Use"},
        {"beam", "prefixes that the search keeps", .integer = &s.beam, .low = 1, .high = 1000},
        {"recording", "which of the file, from 1", .integer = &s.recording, .low = 1, .high = 1e9},
        {"picture", "SVG of the letters' probabilities", .text = &s.picture, .value = "FILE"},
        {0}};
    static const command commands[] = {
        {"", run_made_up}, {"train", run_train}, {"evaluate", run_evaluate}, {"use", run_use}, {0}};
    return program_main(argc, argv, &(program){"speech_digits", about, table, &s.t, commands, &s});
}
