/*
 * Names and where they come from 姓名与来源
 *
 *     names                                       both tasks below, without any file
 *     names train --train F --model M             N→1: from a name to its class 分类
 *     names train --task write ...                1→N: from a class to names 生成
 *     names evaluate --model M --test F           评估
 *     names use --model M --name S | --class S    classify one name, write some of a class
 *
 * A line of a file is a class, a tab, a name. To classify, a bidirectional RNN reads the letters;
 * the last states of both directions, joined, are all that the output layer sees:
 *
 *     y = softmax(W [h→_N ; h←_1] + b)
 *
 * To write, a language model of letters gets a vector of the class beside each letter 输入类别向量:
 * at the first step only 只在第一步, so that its state must carry the class to the end, or at every
 * step 每一步都输入.
 */
#include "examples/cells.h"
#include "examples/program.h"
#include "examples/syllables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    cells_choice cell;
    int task, embed, hidden, feed, count, top_k;
    double dropout, temperature, top_p;
    const char *name, *class_name;
} settings;

enum { CLASSIFY, WRITE };
enum { EVERY_STEP, FIRST_STEP };

typedef struct net {
    sg_context *g;
    settings s;
    sg_vocabulary *letters, *classes;
    sg_tensor *letter_table, *class_table;
    sg_cell forward, backward; /* the writer has no backward one */
    sg_affine out;
} net;

static net make_net(sg_context *g, const settings *s, sg_vocabulary *letters,
                    sg_vocabulary *classes)
{
    bool write = s->task == WRITE;
    net m = {.g = g, .s = *s, .letters = letters, .classes = classes};
    int n = sg_vocabulary_size(letters), k = sg_vocabulary_size(classes);
    sg_cell_options o = {.g = g, .in = s->embed, .hidden = s->hidden, .dropout = s->dropout};
    if (!sg_ok(g))
        return m;
    m.letter_table = sg_embedding(g, "letters", n, s->embed);
    if (write)
        m.class_table = sg_embedding(g, "classes", k, s->embed, .gain = 1);
    o.in = write ? 2 * s->embed : s->embed;
    o.name = "forward";
    m.forward = cells_make(&s->cell, o);
    o.name = "backward";
    if (!write)
        m.backward = cells_make(&s->cell, o);
    m.out = sg_linear(g, "out", write ? s->hidden : 2 * s->hidden, write ? n : k);
    return m;
}

static void free_net(net *m)
{
    sg_vocabulary_free(m->letters);
    sg_vocabulary_free(m->classes);
}

/* ---- N→1 ------------------------------------------------------------------------------------ */

/* The classes of a batch's names, which are its targets, each of one token: [B] */
static sg_tensor *labels_of(const net *m, const sg_batch *b)
{
    return sg_index(sg_input(m->g, SG_I32, SG_SHAPE(b->size, b->target_time), b->target_out), 1, 0);
}

static sg_tensor *class_logits(const net *m, const int32_t *ids, int batch, int time,
                               const int *lengths)
{
    sg_state final;
    sg_tensor *x = sg_take(m->letter_table, sg_input(m->g, SG_I32, SG_SHAPE(batch, time), ids));
    sg_bidirectional(m->forward, m->backward, x, lengths, &final); /* of x [B,T,E] */
    return sg_apply(m->out, sg_dropout(final.h, m->s.dropout));    /* [B,K] */
}

/* ---- 1→N ------------------------------------------------------------------------------------ */

/* Logits of the next letters, of names of the classes, [B,T,V] */
static sg_tensor *letter_logits(const net *m, const sg_batch *b)
{
    sg_tensor *x = sg_input(m->g, SG_I32, SG_SHAPE(b->size, b->target_time), b->target_in);
    sg_tensor *k = sg_input(m->g, SG_I32, SG_SHAPE(b->size, b->source_time), b->source);
    sg_tensor *z = sg_take(m->class_table, sg_index(k, 1, 0));   /* [B,E] */
    z = sg_from_one(z, b->target_time, m->s.feed == FIRST_STEP); /* [B,T,E] */
    sg_tensor *in = sg_concat(-1, sg_take(m->letter_table, x), z);
    sg_tensor *h = sg_unroll(m->forward, in, b->target_lengths); /* [B,T,H] */
    return sg_apply(m->out, sg_dropout(h, m->s.dropout));
}

/* One letter of each name, for decoding: states are those of the cell, and z. */
static sg_tensor *step(const void *model, sg_tensor *letters, sg_tensor **states,
                       sg_tensor **weights)
{
    const net *m = model;
    int k = m->forward.states;
    sg_tensor *z = states[k];
    sg_state s = {states[0], k > 1 ? states[1] : NULL};
    sg_tensor *x = sg_concat(-1, sg_take(m->letter_table, letters), z);
    s = sg_cell_step(&m->forward, x, s);
    states[0] = s.h;
    if (k > 1)
        states[1] = s.c;
    if (m->s.feed == FIRST_STEP)
        states[k] = sg_mul(z, sg_like(z, 0));
    (void)weights; /* it does not attend */
    return sg_apply(m->out, sg_output(&m->forward, x, s.h));
}

/* Names of a class, letter by letter, each drawn from softmax(logits / temperature). */
static void write_names(const net *m, const char *class_name, FILE *f)
{
    enum { LETTERS = 40, NAME = 4 * LETTERS };
    sg_context *g = m->g;
    const settings *s = &m->s;
    int32_t k = sg_vocabulary_id(m->classes, class_name);
    if (k == SG_UNK)
        sg_fail(g, SG_BAD_ARGUMENT, "there is no class \"%s\"", class_name);
    sg_stepper w = {g, step, m, s->count, .start = SG_START, .stop = SG_STOP};
    sg_state zero = sg_zero_state(&m->forward, s->count);
    w.classes = sg_vocabulary_size(m->letters);
    w.state[w.n++] = zero.h;
    if (m->forward.states > 1)
        w.state[w.n++] = zero.c;
    w.state[w.n++] = sg_take(m->class_table, sg_full(g, SG_I32, SG_SHAPE(s->count), k)); /* [n,E] */
    sg_hypotheses h = sg_sample(&w, LETTERS, s->temperature, s->top_k, s->top_p);
    if (!sg_ok(g))
        return;
    for (int i = 0; i < h.rows; i++) {
        char text[NAME];
        sg_decode(m->letters, h.lengths[i], h.ids + i * LETTERS, sizeof text, text);
        fprintf(f, "%s%s", i ? " " : "", text);
    }
    fputc('\n', f);
    sg_reset(g);
}

/* ---- training 训练 --------------------------------------------------------------------------- */

/* Batches of both tasks: the sources are what is read, the targets what is to be told. */
static sg_batches *batches_of(const net *m, const sg_corpus *c, bool in_order)
{
    int n = m->s.t.batch;
    if (m->s.task == CLASSIFY)
        return sg_batches_make(m->g, c, m->letters, m->classes, .size = n, .in_order = in_order);
    sg_corpus *turned = sg_corpus_of(m->g, c->size, c->target, c->source);
    sg_batches *d =
        sg_batches_make(m->g, turned, m->classes, m->letters, .size = n, .in_order = in_order);
    sg_corpus_free(turned);
    return d;
}

typedef struct learner {
    net m;
    sg_batches *train, *valid;
    sg_batch b;
} learner;

static sg_tensor *logits_of(const net *m, const sg_batch *b)
{
    if (m->s.task == WRITE)
        return letter_logits(m, b);
    return class_logits(m, b->source, b->size, b->source_time, b->source_lengths);
}

static sg_loss loss_of(const net *m, sg_tensor *logits, const sg_batch *b)
{
    if (m->s.task == WRITE)
        return sg_label_loss(logits, b->target_out, b->target_lengths);
    sg_tensor *sum = sg_sum(sg_cross_entropy(logits, labels_of(m, b)), 0, false);
    return (sg_loss){sum, sg_div(sum, sg_like(sum, b->size)), b->size};
}

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    if (!sg_batch_next(k->train, &k->b))
        return false;
    sg_loss loss = loss_of(&k->m, logits_of(&k->m, &k->b), &k->b);
    l->loss = loss.mean;
    l->tokens = loss.tokens;
    return true;
}

typedef struct result {
    sg_nll nll;
    int names, right, unknown; /* whose class the model does not know */
    float *confusion; /* [classes, classes]: of each class's names, how many were told as which */
} result;

static result evaluate(const net *m, sg_batches *d)
{
    result r = {.names = 0};
    size_t k = (size_t)sg_vocabulary_size(m->classes);
    sg_batch b = {0};
    r.confusion = calloc(k * k + 1, sizeof *r.confusion);
    while (sg_ok(m->g) && r.confusion && sg_batch_next(d, &b)) {
        sg_tensor *logits = logits_of(m, &b);
        sg_loss loss = loss_of(m, logits, &b);
        sg_tensor *best = sg_want(sg_argmax(logits, -1, false));
        sg_nll_add(&r.nll, sg_item(loss.sum), loss.tokens);
        const int32_t *told = sg_data(best); /* of the writer: letters, which nobody needs */
        for (int i = 0; told && m->s.task == CLASSIFY && i < b.size; i++) {
            int32_t label = b.target_out[i * b.target_time];
            r.right += told[i] == label;
            r.unknown += label == SG_UNK;
            r.confusion[(size_t)label * k + (size_t)told[i]]++;
        }
        r.names += b.size;
        sg_reset(m->g);
    }
    return r;
}

static double score(void *user, progress *p)
{
    learner *k = user;
    result r = evaluate(&k->m, k->valid);
    free(r.confusion);
    if (k->m.s.task == CLASSIFY)
        progress_metric(p, "valid_accuracy", 100.0 * r.right / r.names);
    return r.nll.sum / (double)r.nll.tokens;
}

/* Trains a net on names and their classes and saves it. */
static net learn(sg_context *g, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    sg_tokenizer letters = {.units = SG_UNITS_CHAR, .form = SG_FORM_NFC};
    learner k = {.b.seed = (uint64_t)s->t.seed};
    k.m = make_net(g, s, sg_vocabulary_build(g, train->size, train->source, .tokenizer = letters),
                   sg_vocabulary_build(g, train->size, train->target));
    k.train = batches_of(&k.m, train, false);
    k.valid = batches_of(&k.m, valid, true);
    fprintf(stderr, "%d names of %d classes, %d held out\n", train->size,
            sg_vocabulary_size(k.m.classes) - SG_RESERVED, valid->size);
    program_train(g, &s->t,
                  (lesson){&k, k.train->batches, false, next, valid->size ? score : NULL, NULL});
    if (sg_ok(g)) {
        sg_set_meta(g, "letters", sg_vocabulary_json(k.m.letters));
        sg_set_meta(g, "classes", sg_vocabulary_json(k.m.classes));
        program_save(g, p);
    }
    sg_batches_free(k.train);
    sg_batches_free(k.valid);
    return k.m;
}

static void print_json(const net *m, const sg_corpus *c)
{
    sg_batches *d = batches_of(m, c, true);
    result r = evaluate(m, d);
    double nats = r.nll.sum / (double)r.nll.tokens;
    if (r.unknown)
        fprintf(stderr, "%d names of classes that the model does not know\n", r.unknown);
    if (sg_ok(m->g) && m->s.task == CLASSIFY)
        printf("{\"accuracy\": %.4f, \"nats\": %.6g, \"names\": %d}\n", 100.0 * r.right / r.names,
               nats, r.names);
    else if (sg_ok(m->g))
        printf("{\"nats\": %.6g, \"perplexity\": %.6g, \"letters\": %lld, \"names\": %d}\n", nats,
               exp(nats), (long long)r.nll.tokens, r.names);
    free(r.confusion);
    sg_batches_free(d);
}

/* ---- the default: names made up of syllables ------------------------------------------------- */

static void show_confusion(const net *m, const sg_corpus *c)
{
    enum { MOST = 32 };
    const char *labels[MOST];
    int n = sg_vocabulary_size(m->classes), k = n - SG_RESERVED;
    sg_batches *d = batches_of(m, c, true);
    result r = evaluate(m, d);
    for (int i = 0; i < k && i < MOST && r.confusion; i++) {
        labels[i] = sg_vocabulary_text(m->classes, i + SG_RESERVED);
        memmove(r.confusion + i * k, r.confusion + (i + SG_RESERVED) * n + SG_RESERVED,
                (size_t)k * sizeof *r.confusion);
    }
    if (sg_ok(m->g) && k <= MOST)
        sg_plot_heatmap(m->g, k, k, labels, labels, r.confusion,
                        .title = "held out: class (rows), told as (columns) 混淆矩阵",
                        .file = stdout);
    free(r.confusion);
    sg_batches_free(d);
}

static void run_made_up(sg_context *g, const program *p)
{
    settings *s = p->settings;
    static const char *const feeds[] = {"every", "first"};
    sg_corpus *all = syllables_names(g, 1500, (uint64_t)s->t.seed);
    program_split c = program_hold(g, all, s->t.hold);
    s->task = CLASSIFY;
    net m = learn(g, p, c.train, c.valid);
    if (sg_ok(g)) {
        print_json(&m, c.valid);
        show_confusion(&m, c.valid);
    }
    free_net(&m);
    for (int feed = EVERY_STEP; feed <= FIRST_STEP && sg_ok(g) && !program_interrupted(); feed++) {
        sg_context *h = sg_open(.seed = (uint64_t)s->t.seed, .threads = s->t.threads);
        s->task = WRITE;
        s->feed = feed;
        printf("\nthe class at %s step 类别输入: %s\n", feeds[feed],
               feed ? "只在第一步" : "每一步");
        fflush(stdout);
        net w = learn(h, p, c.train, c.valid);
        if (sg_ok(h))
            print_json(&w, c.valid);
        for (int i = 0; i < SYLLABLES_STYLES && sg_ok(h); i++) {
            printf("  %-9s ", syllables_styles[i]);
            write_names(&w, syllables_styles[i], stdout);
        }
        free_net(&w);
        program_close_part(g, h);
    }
    program_split_free(&c);
    sg_corpus_free(all);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static sg_corpus *read_names(sg_context *g, const void *unused, const char *path,
                             const char *option_name)
{
    (void)unused;
    program_given(g, path, option_name);
    sg_corpus *c = sg_corpus_read(g, path, .source_column = 1, .target_column = 0);
    for (int i = 0; i < c->size && sg_ok(g); i++)
        if (!*c->source[i])
            sg_fail(g, SG_BAD_FILE, "%s: no name behind the class \"%s\"", path, c->target[i]);
    return c;
}

static void run_train(sg_context *g, const program *p)
{
    program_split c = program_read(g, p, read_names);
    if (sg_ok(g)) {
        net m = learn(g, p, c.train, c.valid);
        if (sg_ok(g) && c.valid->size)
            print_json(&m, c.valid);
        free_net(&m);
    }
    program_split_free(&c);
}

static net load(sg_context *g, const program *p)
{
    program_load(g, p);
    const char *letters = sg_meta(g, "letters"), *classes = sg_meta(g, "classes");
    return make_net(g, p->settings, sg_vocabulary_parse(g, letters),
                    sg_vocabulary_parse(g, classes));
}

static void run_evaluate(sg_context *g, const program *p)
{
    net m = load(g, p);
    sg_corpus *c = read_names(g, NULL, p->t->test, "test");
    if (program_some(g, p, program_full(c)))
        print_json(&m, c);
    sg_corpus_free(c);
    free_net(&m);
}

static void run_use(sg_context *g, const program *p)
{
    enum { LETTERS = 256 };
    settings *s = p->settings;
    int32_t ids[LETTERS];
    net m = load(g, p);
    int n = sg_ok(g) && s->name ? sg_encode(m.letters, s->name, LETTERS, ids) : 0;
    bool write = m.s.task == WRITE;
    if (sg_ok(g) && (write ? !s->class_name : n <= 0 || n > LETTERS))
        sg_fail(g, SG_BAD_ARGUMENT, "this model needs %s", write ? "a --class" : "a --name");
    if (sg_ok(g) && write)
        write_names(&m, s->class_name, stdout);
    sg_tensor *p_class = NULL;
    if (sg_ok(g) && !write)
        p_class = sg_softmax(class_logits(&m, ids, 1, n, &n), NULL);
    const float *probability = p_class ? sg_data(p_class) : NULL;
    for (int i = SG_RESERVED; probability && i < sg_vocabulary_size(m.classes); i++)
        printf("%6.2f %%  %s\n", 100 * (double)probability[i], sg_vocabulary_text(m.classes, i));
    free_net(&m);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Names and their classes. Without a command: learns to tell and to write names made up of\n"
        "syllables, with no file needed. train: from lines of a class, a tab, a name. evaluate:\n"
        "one line of JSON. use: tells the class of a name, or writes names of a class.";
    static const char *const tasks[] = {"classify", "write", NULL};
    static const char *const feeds[] = {"every", "first", NULL};
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "names.safetensors", .batch = 32, .epochs = 10,
                        .lr = 0.003, .clip = 5, .hold = 0.1},
                  .cell.kind = SG_CELL_LSTM,
                  .embed = 32,
                  .hidden = 64,
                  .count = 8,
                  .temperature = 0.7};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "lines of a class, a tab, a name"),
        PROGRAM_HOLD_OPTION(s.t),
        {.help = "Model"},
        {"task", "from a name to its class, or from a class to names", .choice = &s.task,
         .choices = tasks},
        {"feed", "the writer is told the class at which step", .choice = &s.feed, .choices = feeds},
        CELLS_OPTIONS(s.cell),
        {"embed", "features of a letter, and of a class", .integer = &s.embed, .low = 1,
         .high = 65536},
        {"hidden", "units of a direction", .integer = &s.hidden, .low = 1, .high = 65536},
        {"dropout", "on what goes into and out of the cells", .number = &s.dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        {.help = "Use"},
        {"name", "to be told the class of", .text = &s.name},
        {"class", "to write names of", .text = &s.class_name},
        {"count", "of names to write", .integer = &s.count, .low = 1, .high = 10000},
        {"temperature", "of writing", .number = &s.temperature, .low = 0.01, .high = 100},
        {"top-k", "draw from the k most probable; 0: from all", .integer = &s.top_k, .low = 0,
         .high = 1e9},
        {"top-p", "draw from the fewest of which probabilities reach P; 0: from all",
         .number = &s.top_p, .low = 0, .high = 1},
        {0}};
    static const command commands[] = {
        {"", run_made_up}, {"train", run_train}, {"evaluate", run_evaluate}, {"use", run_use}, {0}};
    return program_main(argc, argv, &(program){"names", about, table, &s.t, commands, &s});
}
