/*
 * What a sentence says, in one word: N→1 句子分类
 *
 *     sentiment                                   learns generated opinions, without any file
 *     sentiment train --train F --model M         a line: its class, a blank, the sentence 训练
 *     sentiment train --train NEG,POS ...         or a file for each class
 *     sentiment evaluate --model M --test F       准确率
 *     sentiment use --model M --text S            what it says of one sentence, and why
 *
 * A bidirectional RNN reads the words; its states h_1 … h_N, as many as there are words, become one
 * vector c by a pooling 池化:
 *
 *     last       c = [h→_N ; h←_1]                      the last state of each direction
 *     mean       c = 1/N Σ h_t
 *     max        c_i = max_t h_t,i
 *     attention  c = Σ a_t h_t,  a = softmax_t(v · tanh(h_t W + b))      注意力池化
 *
 * and then y = softmax(c W' + b'). What stands in the padding of a batch must not count: it is 0 in
 * a sum, -∞ in a maximum, without weight in the attention.
 */
#include "examples/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    int pooling, cell, embed, hidden, layers, min_count;
    double dropout, word_dropout;
    bool lower;
    const char *text;
} settings;

enum { LAST, MEAN, MAX, ATTENTION };
static const char *const poolings[] = {"last", "mean", "max", "attention", NULL};

/* ---- the model 模型 -------------------------------------------------------------------------- */

enum { LAYERS = 4 };

typedef struct net {
    sg_context *g;
    settings s;
    sg_vocabulary *words, *classes;
    sg_tensor *table;
    sg_cell layer[LAYERS][2]; /* forward, backward */
    sg_affine w, v, out;
} net;

static net make_net(sg_context *g, const settings *s, sg_vocabulary *words, sg_vocabulary *classes)
{
    static sg_cell (*const cell[])(sg_cell_options) = {sg_rnn_, sg_gru_, sg_lstm_};
    net m = {.g = g, .s = *s, .words = words, .classes = classes};
    int in = s->embed;
    if (!sg_ok(g))
        return m;
    m.table = sg_embedding(g, "words", sg_vocabulary_size(words), s->embed);
    for (int l = 0; l < s->layers; l++, in = 2 * s->hidden)
        for (int d = 0; d < 2; d++) {
            char name[32];
            snprintf(name, sizeof name, "%s%d", d ? "backward" : "forward", l);
            m.layer[l][d] = cell[s->cell]((sg_cell_options){
                .g = g, .name = name, .in = in, .hidden = s->hidden, .dropout = s->dropout});
        }
    if (s->pooling == ATTENTION) {
        m.w = sg_linear(g, "w", in, in);
        m.v = sg_linear(g, "v", in, 1, .no_bias = true);
    }
    m.out = sg_linear(g, "out", in, sg_vocabulary_size(classes));
    return m;
}

static void free_net(net *m)
{
    sg_vocabulary_free(m->words);
    sg_vocabulary_free(m->classes);
}

/* a [B,1,T] from h [B,T,2H] */
static sg_tensor *attention(const net *m, sg_tensor *h, const int *lengths)
{
    int64_t time = sg_dim(h, 1);
    sg_tensor *mask = sg_length_mask(m->g, (int)sg_dim(h, 0), time, lengths); /* [B,T] */
    sg_tensor *score = sg_apply(m->v, sg_tanh(sg_apply(m->w, h)));            /* [B,T,1] */
    return sg_softmax(sg_transpose(score, 1, 2), sg_expand_dims(mask, 1));
}

/* c [B,2H] from all states h [B,T,2H] and the last ones; *weights gets the attention's, if any. */
static sg_tensor *pool(const net *m, sg_tensor *h, sg_state last, const int *lengths,
                       sg_tensor **weights)
{
    sg_context *g = m->g;
    int batch = (int)sg_dim(h, 0);
    sg_tensor *mask = sg_expand_dims(sg_length_mask(g, batch, sg_dim(h, 1), lengths), 2);
    sg_tensor *n = sg_cast(sg_input(g, SG_I32, SG_SHAPE(batch, 1), lengths), SG_F32);
    *weights = m->s.pooling == ATTENTION ? attention(m, h, lengths) : NULL;
    switch (m->s.pooling) {
    case MEAN:
        return sg_div(sg_sum(h, 1, false), n); /* h is 0 in the padding */
    case MAX:
        return sg_max(sg_where(mask, h, sg_like(h, -INFINITY)), 1, false);
    case ATTENTION:
        return sg_squeeze(sg_matmul(*weights, h), 1); /* of [B,1,T] and [B,T,2H] */
    default:
        return last.h;
    }
}

static sg_tensor *logits_of(const net *m, const int32_t *ids, int batch, int time,
                            const int *lengths, sg_tensor **weights)
{
    sg_context *g = m->g;
    sg_state last;
    sg_tensor *x = sg_input(g, SG_I32, SG_SHAPE(batch, time), ids);
    if (sg_training(g) && m->s.word_dropout > 0) { /* a rare word may be missing: live with it */
        sg_tensor *missing = sg_random_bernoulli(g, SG_SHAPE(batch, time), m->s.word_dropout);
        x = sg_where(missing, sg_like(x, SG_UNK), x);
    }
    sg_tensor *h = sg_take(m->table, x); /* [B,T,E] */
    for (int l = 0; l < m->s.layers; l++)
        h = sg_bidirectional(m->layer[l][0], m->layer[l][1], h, lengths, &last); /* [B,T,2H] */
    sg_tensor *c = pool(m, h, last, lengths, weights);
    return sg_apply(m->out, sg_dropout(c, m->s.dropout)); /* [B,K] */
}

/* ---- training 训练 --------------------------------------------------------------------------- */

typedef struct learner {
    net m;
    sg_batches *train, *valid;
    sg_batch b;
} learner;

/* The sum of -log P(class), the logits beside it. */
static sg_tensor *loss_of(const net *m, const sg_batch *b, sg_tensor **logits)
{
    sg_tensor *weights;
    *logits = logits_of(m, b->source, b->size, b->source_time, b->source_lengths, &weights);
    sg_tensor *y = sg_input(m->g, SG_I32, SG_SHAPE(b->size, b->target_time), b->target_out);
    return sg_sum(sg_cross_entropy(*logits, sg_index(y, 1, 0)), 0, false);
}

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    sg_tensor *logits;
    if (!sg_batch_next(k->train, &k->b))
        return false;
    sg_tensor *sum = loss_of(&k->m, &k->b, &logits);
    l->loss = sg_div(sum, sg_like(sum, k->b.size));
    l->tokens = k->b.size;
    return true;
}

typedef struct result {
    sg_nll nll;
    int right;
} result;

static result evaluate(const net *m, sg_batches *d)
{
    result r = {.right = 0};
    sg_batch b = {0};
    while (sg_ok(m->g) && sg_batch_next(d, &b)) {
        sg_tensor *logits, *sum = loss_of(m, &b, &logits);
        sg_tensor *best = sg_want(sg_argmax(logits, -1, false));
        sg_nll_add(&r.nll, sg_item(sum), b.size);
        const int32_t *told = sg_data(best);
        for (int i = 0; told && i < b.size; i++)
            r.right += told[i] == b.target_out[i * b.target_time];
        sg_reset(m->g);
    }
    return r;
}

/* The part of errors: what the test asks for. */
static double score(void *user, progress *p)
{
    learner *k = user;
    result r = evaluate(&k->m, k->valid);
    progress_metric(p, "valid_loss", r.nll.sum / (double)r.nll.tokens);
    return 1 - r.right / (double)r.nll.tokens;
}

static sg_batches *batches_of(const net *m, const sg_corpus *c, bool in_order)
{
    return sg_batches_make(m->g, c, m->words, m->classes, .size = m->s.t.batch,
                           .in_order = in_order);
}

static net learn(sg_context *g, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    sg_tokenizer words = {.casing = s->lower ? SG_CASE_LOWER : SG_CASE_KEEP};
    learner k = {.b.seed = (uint64_t)s->t.seed};
    k.m = make_net(g, s,
                   sg_vocabulary_build(g, train->size, train->source, .tokenizer = words,
                                       .min_count = s->min_count),
                   sg_vocabulary_build(g, train->size, train->target));
    k.train = batches_of(&k.m, train, false);
    k.valid = batches_of(&k.m, valid, true);
    fprintf(stderr, "%d sentences of %d classes, %d held out, %d words\n", train->size,
            sg_vocabulary_size(k.m.classes) - SG_RESERVED, valid->size,
            sg_vocabulary_size(k.m.words) - SG_RESERVED);
    program_train(
        g, &s->t,
        (lesson){&k, k.train->batches, false, next, valid->size ? score : NULL, "valid_error"});
    if (sg_ok(g)) {
        sg_set_meta(g, "words", sg_vocabulary_json(k.m.words));
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
    if (sg_ok(m->g))
        printf("{\"accuracy\": %.4f, \"nats\": %.6g, \"sentences\": %lld}\n",
               100 * r.right / (double)r.nll.tokens, r.nll.sum / (double)r.nll.tokens,
               (long long)r.nll.tokens);
    sg_batches_free(d);
}

/* The classes' probabilities of one sentence, and where the attention was. */
static void tell(const net *m, const char *text)
{
    enum { WORDS = 512 };
    int32_t ids[WORDS];
    const char *shown[WORDS];
    sg_tensor *weights = NULL;
    sg_tokenizer words = sg_vocabulary_tokenizer(m->words);
    sg_tokens *tokens = sg_tokenize(m->g, &words, text);
    int n = sg_encode(m->words, text, WORDS, ids);
    if (sg_ok(m->g) && (n < 1 || n > WORDS))
        sg_fail(m->g, SG_BAD_ARGUMENT, "a sentence of %d words", n);
    for (int i = 0; sg_ok(m->g) && i < n; i++)
        shown[i] = tokens->text[i];
    if (sg_ok(m->g)) {
        sg_tensor *y = sg_softmax(logits_of(m, ids, 1, n, &n, &weights), NULL);
        if (weights)
            sg_want(weights);
        const float *p = sg_data(y);
        for (int i = SG_RESERVED; p && i < sg_vocabulary_size(m->classes); i++)
            printf("%6.2f %%  %s\n", 100 * (double)p[i], sg_vocabulary_text(m->classes, i));
    }
    const float *a = weights ? sg_data(weights) : NULL;
    if (a)
        sg_plot_heatmap(m->g, 1, n, NULL, shown, a, .title = text, .file = stdout,
                        .svg = m->s.t.plot);
    sg_tokens_free(tokens);
    sg_reset(m->g);
}

/* ---- the default: generated opinions 生成的评论 ---------------------------------------------- */

/* One of `n` words, the first half of which is good. */
static const char *pick(uint64_t *state, int n, const char *const *words, bool *good)
{
    int i = (int)(program_draw(state) % (uint64_t)n);
    *good = i < n / 2;
    return words[i];
}

/* "the plot is not dull": good, like "the music is great". */
static bool clause(uint64_t *state, char *s, size_t room)
{
    static const char *const things[] = {"plot", "acting", "music", "end", "film", "hero"};
    static const char *const adverbs[] = {"", " very", " not", " never", " not very", " really"};
    static const char *const judged[] = {"great", "moving", "funny", "bright", "brave",
                                         "awful", "boring", "dull",  "silly",  "weak"};
    bool good, unused;
    const char *thing = pick(state, 6, things, &unused), *adverb = pick(state, 6, adverbs, &unused);
    const char *adjective = pick(state, 10, judged, &good);
    snprintf(s, room, "the %s is%s %s", thing, adverb, adjective);
    return good != (strncmp(adverb, " n", 2) == 0);
}

/* With "but" the second clause decides, with "although" the first. */
static sg_corpus *opinions(sg_context *g, int n, uint64_t seed)
{
    enum { CLAUSE = 64, ROOM = 200 };
    char(*room)[ROOM] = malloc((size_t)n * sizeof *room), a[CLAUSE], b[CLAUSE];
    const char **text = malloc(2 * (size_t)n * sizeof *text);
    for (int i = 0; room && text && i < n; i++) {
        bool first = clause(&seed, a, CLAUSE), second = clause(&seed, b, CLAUSE);
        bool but = program_draw(&seed) % 2 == 0;
        snprintf(room[i], ROOM, "%s %s %s", a, but ? "but" : "although", b);
        text[i] = room[i];
        text[n + i] = (but ? second : first) ? "good" : "bad";
    }
    if (!room || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d opinions", n);
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, text, text ? text + n : NULL);
    free(room);
    free(text);
    return c;
}

static void run_opinions(sg_context *g, const program *p)
{
    settings *s = p->settings;
    sg_corpus *all = opinions(g, 4000, (uint64_t)s->t.seed);
    program_split c = program_hold(g, all, s->t.hold);
    for (s->pooling = LAST; s->pooling <= ATTENTION && sg_ok(g) && !program_interrupted();
         s->pooling++) {
        sg_context *h = sg_open(.seed = (uint64_t)s->t.seed, .threads = s->t.threads);
        printf("\n%s\n", poolings[s->pooling]);
        fflush(stdout);
        net m = learn(h, p, c.train, c.valid);
        if (sg_ok(h))
            print_json(&m, c.valid);
        if (sg_ok(h))
            tell(&m, "the plot is not dull although the music is awful");
        if (!sg_ok(h))
            sg_fail(g, sg_error(h), "%s", sg_errmsg(h));
        free_net(&m);
        sg_close(h);
    }
    program_split_free(&c);
    sg_corpus_free(all);
}

/* ---- files 文件 ------------------------------------------------------------------------------ */

enum { CLASS_NAME = 32 };

/* "3 How far is it": the class and the sentence. */
static sg_corpus *read_labelled(sg_context *g, const char *path)
{
    sg_corpus *c = sg_corpus_read(g, path, path, .replace_invalid = true);
    size_t n = (size_t)c->size;
    char(*class_name)[CLASS_NAME] = malloc(n * sizeof *class_name + 1);
    const char **text = malloc(2 * n * sizeof *text + 1);
    for (size_t i = 0; class_name && text && i < n; i++) {
        const char *line = c->source[i];
        size_t end = strcspn(line, " \t");
        snprintf(class_name[i], CLASS_NAME, "%.*s", (int)end, line);
        text[i] = line + end + (line[end] != '\0');
        text[n + i] = class_name[i];
    }
    sg_corpus *made =
        sg_corpus_of(g, class_name && text ? (int)n : 0, text, text ? text + n : NULL);
    free(class_name);
    free(text);
    sg_corpus_free(c);
    return made;
}

/* NEG,POS: the classes 0, 1 … are the files' places. */
static sg_corpus *read_files(sg_context *g, const char *paths)
{
    enum { FILES = 10, PATH = 1024 };
    static const char *const names[FILES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    sg_corpus *part[FILES];
    size_t files = 0, n = 0;
    for (const char *s = paths; *s && files < FILES; s += strcspn(s, ","), s += *s == ',') {
        char path[PATH];
        snprintf(path, sizeof path, "%.*s", (int)strcspn(s, ","), s);
        part[files] = sg_corpus_read(g, path, path, .replace_invalid = true);
        n += (size_t)part[files++]->size;
    }
    const char **text = malloc(2 * n * sizeof *text + 1);
    size_t at = 0;
    for (size_t f = 0; text && f < files; f++)
        for (int i = 0; i < part[f]->size; i++, at++) {
            text[at] = part[f]->source[i];
            text[n + at] = names[f];
        }
    sg_corpus *made = sg_corpus_of(g, (int)at, text, text ? text + n : NULL);
    for (size_t f = 0; f < files; f++)
        sg_corpus_free(part[f]);
    free(text);
    return made;
}

static sg_corpus *read_sentences(sg_context *g, const char *paths, const char *option_name)
{
    if (!paths)
        sg_fail(g, SG_BAD_ARGUMENT, "a file is needed: --%s FILE", option_name);
    if (!paths)
        return sg_corpus_of(g, 0, NULL, NULL);
    return strchr(paths, ',') ? read_files(g, paths) : read_labelled(g, paths);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    sg_corpus *all = read_sentences(g, s->t.train, "train");
    sg_corpus *valid = s->t.valid ? read_sentences(g, s->t.valid, "valid") : NULL;
    program_split c = program_hold(g, all, valid ? 0 : s->t.hold);
    if (sg_ok(g)) {
        net m = learn(g, p, c.train, valid ? valid : c.valid);
        if (sg_ok(g) && (valid ? valid : c.valid)->size)
            print_json(&m, valid ? valid : c.valid);
        free_net(&m);
    }
    program_split_free(&c);
    sg_corpus_free(valid);
    sg_corpus_free(all);
}

static net load(sg_context *g, const program *p)
{
    program_load(g, p);
    const char *words = sg_meta(g, "words"), *classes = sg_meta(g, "classes");
    return make_net(g, p->settings, sg_vocabulary_parse(g, words), sg_vocabulary_parse(g, classes));
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net m = load(g, p);
    sg_corpus *c = read_sentences(g, s->t.test, "test");
    if (sg_ok(g))
        print_json(&m, c);
    sg_corpus_free(c);
    free_net(&m);
}

static void run_use(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net m = load(g, p);
    if (sg_ok(g))
        tell(&m, s->text ? s->text : "");
    free_net(&m);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Classes of sentences. Without a command: learns generated opinions by four poolings, "
        "with\n"
        "no file needed. train: from lines of a class and a sentence, or from a file for each\n"
        "class, FILE,FILE. evaluate: one line of JSON. use: tells the class of one sentence.";
    settings s = {.t = {.model = "sentiment.safetensors",
                        .batch = 32,
                        .epochs = 8,
                        .seed = 1,
                        .threads = 2,
                        .optimizer = 1,
                        .schedule = 1,
                        .lr = 0.01,
                        .decay = 0.5,
                        .clip = 5,
                        .hold = 0.1},
                  .pooling = MAX,
                  .cell = SG_CELL_LSTM,
                  .embed = 32,
                  .hidden = 32,
                  .layers = 1,
                  .min_count = 1,
                  .lower = true};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "lines of a class and a sentence, or FILE,FILE by class"),
        PROGRAM_HOLD_OPTION(s.t),
        {"lower", "lower-case everything", .flag = &s.lower},
        {"min-count", "rarer words are <unk>", .integer = &s.min_count, .low = 1, .high = 1e9},
        {.help = "Model"},
        {"pooling", "of the states", .choice = &s.pooling, .choices = poolings},
        {"cell", "recurrent cell", .choice = &s.cell, .choices = program_cells},
        {"embed", "features of a word", .integer = &s.embed, .low = 1, .high = 65536},
        {"hidden", "units of a direction", .integer = &s.hidden, .low = 1, .high = 65536},
        {"layers", "of both directions", .integer = &s.layers, .low = 1, .high = LAYERS},
        {"dropout", "on what goes into cells and output", .number = &s.dropout, .low = 0,
         .high = 0.95},
        {"word-dropout", "share of words that training hides", .number = &s.word_dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        {.help = "Use"},
        {"text", "a sentence to be told the class of", .text = &s.text},
        {0}};
    static const command commands[] = {{"", run_opinions},
                                       {"train", run_train},
                                       {"evaluate", run_evaluate},
                                       {"use", run_use},
                                       {0}};
    return program_main(argc, argv, &(program){"sentiment", about, table, &s.t, commands, &s});
}
