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
 * and then y = softmax(c W' + b'). What stands in the padding of a batch must not count: sg_pool
 * and sg_pool_by_attention see to that.
 *
 * A word's vector is looked up; with --subwords 子词 the mean of the vectors of all three letters
 * in a row is added, so that a word never seen is not just unknown: "<Pi Pis isa sa>".
 */
#include "examples/cells.h"
#include "examples/program.h"
#include "examples/sentences.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    int pooling, embed, hidden, layers, min_count, subwords;
    cells_choice cell;
    double dropout, word_dropout;
    bool lower;
    const char *text;
    program_vectors vectors;
} settings;

enum { ATTENTION = SG_POOL_MAX + 1 }; /* after those of sg_pooling */
static const char *const poolings[] = {"last", "mean", "max", "attention", NULL};

/* ---- the model 模型 -------------------------------------------------------------------------- */

enum { LAYERS = 4 };

typedef struct net {
    sg_context *g;
    settings s;
    sg_vocabulary *words, *classes;
    sg_tensor *table, *subwords;
    sg_cell layer[LAYERS][2]; /* forward, backward */
    sg_attention_pool attention;
    sg_affine out;
} net;

static net make_net(sg_context *g, const settings *s, sg_vocabulary *words, sg_vocabulary *classes)
{
    net m = {.g = g, .s = *s, .words = words, .classes = classes};
    int in = s->embed;
    if (!sg_ok(g))
        return m;
    m.table = sg_embedding(g, "words", sg_vocabulary_size(words), s->embed);
    if (s->subwords)
        m.subwords = sg_embedding(g, "subwords", s->subwords, s->embed);
    for (int l = 0; l < s->layers; l++, in = 2 * s->hidden)
        for (int d = 0; d < 2; d++) {
            char name[32];
            snprintf(name, sizeof name, "%s%d", d ? "backward" : "forward", l);
            sg_cell_options o = {g, name, in, s->hidden, .dropout = s->dropout};
            m.layer[l][d] = cells_make(&s->cell, o);
        }
    if (s->pooling == ATTENTION)
        m.attention = sg_make_attention_pool(g, "attention", in, in, SG_F32);
    m.out = sg_linear(g, "out", in, sg_vocabulary_size(classes));
    return m;
}

static void free_net(net *m)
{
    sg_vocabulary_free(m->words);
    sg_vocabulary_free(m->classes);
}

/* Sentences as the net reads them: ids [batch, time], and what they were made from. */
typedef struct input {
    int batch, time;
    const int32_t *ids;
    const int *lengths;
    const char *const *text; /* [batch] */
} input;

/* c [B,2H] from all states h [B,T,2H] and the last ones; *weights [B,T] gets the attention's, if
 * any.
 */
static sg_tensor *pool(const net *m, sg_tensor *h, sg_state last, const int *lengths,
                       sg_tensor **weights)
{
    *weights = NULL;
    if (m->s.pooling == SG_POOL_LAST)
        return last.h; /* of each direction: its own last */
    if (m->s.pooling != ATTENTION)
        return sg_pool((sg_pooling)m->s.pooling, h, lengths);
    sg_attended a = sg_pool_by_attention(&m->attention, h, lengths);
    *weights = a.weights;
    return a.context;
}

/* What the spelling of words says, the mean of their subwords' vectors: [B,T,E] */
static sg_tensor *spelled(const net *m, const input *in)
{
    sg_context *g = m->g;
    size_t n = (size_t)in->batch * (size_t)in->time * SUBWORDS;
    sg_tokenizer words = sg_vocabulary_tokenizer(m->words);
    int32_t *places = sg_room(g, n * sizeof *places);
    float *weights = sg_room(g, n * sizeof *weights);
    if (places && weights)
        sentences_subwords(g, &words, in->batch, in->text, in->time, m->s.subwords, places,
                           weights);
    sg_tensor *w = sg_input(g, SG_F32, SG_SHAPE(in->batch, in->time, 1, SUBWORDS), weights);
    sg_tensor *p = sg_input(g, SG_I32, SG_SHAPE(in->batch, in->time, SUBWORDS), places);
    return sg_squeeze(sg_matmul(w, sg_take(m->subwords, p)), 2); /* of [B,T,1,E] */
}

static sg_tensor *logits_of(const net *m, const input *in, sg_tensor **weights)
{
    sg_context *g = m->g;
    sg_state last;
    sg_tensor *x = sg_input(g, SG_I32, SG_SHAPE(in->batch, in->time), in->ids);
    if (sg_training(g) && m->s.word_dropout > 0) { /* a rare word may be missing: live with it */
        sg_tensor *missing = sg_random_bernoulli(g, sg_shape_of(x), m->s.word_dropout);
        x = sg_where(missing, sg_like(x, SG_UNK), x);
    }
    sg_tensor *h = sg_take(m->table, x); /* [B,T,E] */
    if (m->s.subwords)
        h = sg_add(h, spelled(m, in));
    for (int l = 0; l < m->s.layers; l++)
        h = sg_bidirectional(m->layer[l][0], m->layer[l][1], h, in->lengths, &last); /* [B,T,2H] */
    sg_tensor *c = pool(m, h, last, in->lengths, weights);
    return sg_apply(m->out, sg_dropout(c, m->s.dropout)); /* [B,K] */
}

/* ---- training 训练 --------------------------------------------------------------------------- */

/* Sentences in batches. */
typedef struct data {
    const sg_corpus *c;
    sg_batches *d;
    sg_batch b;
} data;

typedef struct learner {
    net m;
    data train, valid;
} learner;

/* Of a batch the sum of -log P(class), the logits beside it. */
static sg_tensor *loss_of(const net *m, const data *t, sg_tensor **logits)
{
    const sg_batch *b = &t->b;
    sg_tensor *weights;
    const char **text = sg_room(m->g, (size_t)b->size * sizeof *text);
    for (int i = 0; text && i < b->size; i++)
        text[i] = t->c->source[b->index[i]];
    *logits = logits_of(m, &(input){b->size, b->source_time, b->source, b->source_lengths, text},
                        &weights);
    sg_tensor *y = sg_input(m->g, SG_I32, SG_SHAPE(b->size, b->target_time), b->target_out);
    return sg_sum(sg_cross_entropy(*logits, sg_index(y, 1, 0)), 0, false);
}

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    sg_tensor *logits;
    if (!sg_batch_next(k->train.d, &k->train.b))
        return false;
    sg_tensor *sum = loss_of(&k->m, &k->train, &logits);
    l->loss = sg_div(sum, sg_like(sum, k->train.b.size));
    l->tokens = k->train.b.size;
    return true;
}

typedef struct result {
    sg_nll nll;
    int right, unknown; /* whose class the model does not know */
} result;

static result evaluate(const net *m, data *t)
{
    result r = {.right = 0};
    const sg_batch *b = &t->b;
    while (sg_ok(m->g) && sg_batch_next(t->d, &t->b)) {
        sg_tensor *logits, *sum = loss_of(m, t, &logits);
        sg_tensor *best = sg_want(sg_argmax(logits, -1, false));
        sg_nll_add(&r.nll, sg_item(sum), b->size);
        const int32_t *told = sg_data(best);
        for (int i = 0; told && i < b->size; i++) {
            int32_t label = b->target_out[i * b->target_time];
            r.right += told[i] == label;
            r.unknown += label == SG_UNK;
        }
        sg_reset(m->g);
    }
    return r;
}

/* The part of errors: what the test asks for. */
static double score(void *user, progress *p)
{
    learner *k = user;
    result r = evaluate(&k->m, &k->valid);
    progress_metric(p, "valid_loss", r.nll.sum / (double)r.nll.tokens);
    return 1 - r.right / (double)r.nll.tokens;
}

static data batches_of(const net *m, const sg_corpus *c, bool in_order)
{
    return (data){
        c,
        sg_batches_make(m->g, c, m->words, m->classes, .size = m->s.t.batch, .in_order = in_order),
        {.seed = (uint64_t)m->s.t.seed}};
}

static net learn(sg_context *g, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    sg_tokenizer words = {.casing = s->lower ? SG_CASE_LOWER : SG_CASE_KEEP};
    learner k;
    sg_vectors *vectors = program_vectors_open(g, &s->vectors, &s->embed);
    k.m = make_net(g, s,
                   sg_vocabulary_build(g, train->size, train->source, .tokenizer = words,
                                       .min_count = s->min_count),
                   sg_vocabulary_build(g, train->size, train->target));
    program_vectors_use(g, &s->vectors, vectors, k.m.words, k.m.table, "words");
    k.train = batches_of(&k.m, train, false);
    k.valid = batches_of(&k.m, valid, true);
    fprintf(stderr, "%d sentences of %d classes, %d held out, %d words\n", train->size,
            sg_vocabulary_size(k.m.classes) - SG_RESERVED, valid->size,
            sg_vocabulary_size(k.m.words) - SG_RESERVED);
    program_train(
        g, &s->t,
        (lesson){&k, k.train.d->batches, false, next, valid->size ? score : NULL, "valid_error"});
    if (sg_ok(g)) {
        sg_set_meta(g, "words", sg_vocabulary_json(k.m.words));
        sg_set_meta(g, "classes", sg_vocabulary_json(k.m.classes));
        program_save(g, p);
    }
    sg_batches_free(k.train.d);
    sg_batches_free(k.valid.d);
    return k.m;
}

static void print_json(const net *m, const sg_corpus *c)
{
    data t = batches_of(m, c, true);
    result r = evaluate(m, &t);
    if (r.unknown)
        fprintf(stderr, "%d sentences of classes that the model does not know\n", r.unknown);
    if (sg_ok(m->g))
        printf("{\"accuracy\": %.4f, \"nats\": %.6g, \"sentences\": %lld}\n",
               100 * r.right / (double)r.nll.tokens, r.nll.sum / (double)r.nll.tokens,
               (long long)r.nll.tokens);
    sg_batches_free(t.d);
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
        sg_tensor *y = sg_softmax(logits_of(m, &(input){1, n, ids, &n, &text}, &weights), NULL);
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

static void run_opinions(sg_context *g, const program *p)
{
    settings *s = p->settings;
    sg_corpus *all = sentences_opinions(g, 4000, (uint64_t)s->t.seed);
    program_split c = program_hold(g, all, s->t.hold);
    for (s->pooling = SG_POOL_LAST; s->pooling <= ATTENTION && sg_ok(g) && !program_interrupted();
         s->pooling++) {
        sg_context *h = sg_open(.seed = (uint64_t)s->t.seed, .threads = s->t.threads);
        printf("\n%s\n", poolings[s->pooling]);
        fflush(stdout);
        net m = learn(h, p, c.train, c.valid);
        if (sg_ok(h))
            print_json(&m, c.valid);
        if (sg_ok(h))
            tell(&m, "the plot is not dull although the music is awful");
        free_net(&m);
        program_close_part(g, h);
    }
    program_split_free(&c);
    sg_corpus_free(all);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static void run_train(sg_context *g, const program *p)
{
    program_split c = program_read(g, p, sentences_read);
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
    const char *words = sg_meta(g, "words"), *classes = sg_meta(g, "classes");
    return make_net(g, p->settings, sg_vocabulary_parse(g, words), sg_vocabulary_parse(g, classes));
}

static void run_evaluate(sg_context *g, const program *p)
{
    net m = load(g, p);
    sg_corpus *c = sentences_read(g, NULL, p->t->test, "test");
    if (program_some(g, p, program_full(c)))
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
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "sentiment.safetensors", .batch = 32,
                        .epochs = 8, .lr = 0.01, .clip = 5, .hold = 0.1},
                  .pooling = SG_POOL_MAX,
                  .cell.kind = SG_CELL_LSTM,
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
        CELLS_OPTIONS(s.cell),
        {"embed", "features of a word", .integer = &s.embed, .low = 1, .high = 65536},
        {"subwords", "vectors for three letters in a row, of each word; 0: none",
         .integer = &s.subwords, .low = 0, .high = 1e7},
        {"hidden", "units of a direction", .integer = &s.hidden, .low = 1, .high = 65536},
        {"layers", "of both directions", .integer = &s.layers, .low = 1, .high = LAYERS},
        {"dropout", "on what goes into cells and output", .number = &s.dropout, .low = 0,
         .high = 0.95},
        {"word-dropout", "share of words that training hides", .number = &s.word_dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        PROGRAM_VECTORS_OPTIONS(s.vectors),
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
