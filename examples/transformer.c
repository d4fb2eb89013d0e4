/*
 * The Transformer
 *
 *     transformer                                        learns to turn sequences round
 *     transformer train --train F --valid F --model M    translation 翻译
 *     transformer train --task text --train F ...        a language model 语言模型
 *     transformer translate --model M < source > target
 *     transformer write --model M --prefix TEXT          goes on with a text 续写
 *     transformer evaluate --model M --test F            评估
 *
 * No recurrence: every element looks at all others by attention, in several heads 多头注意力, each
 * in features of its own, so that all of a sequence is computed at once (Vaswani et al. 2017):
 *
 *     head(q, k, v) = softmax(q k'/√d) v          heads joined, times Wo
 *     x = x + heads(LN(x));   x = x + relu(LN(x) W1 + b1) W2 + b2      a block 一层
 *
 * Attention knows no order: the place of an element is added to it, as sines of many wavelengths or
 * as a vector of its own that is learnt, or turns its queries and keys (rotary). An encoder sees
 * the whole source; a decoder sees the past of the target (causal mask 因果掩码) and, by a second
 * attention in each block, the encoder. A language model is a decoder without an encoder. Large
 * rates break it at first: --schedule inverse-sqrt, lr √(warmup / step) after a rise to lr over the
 * first --warmup steps 预热.
 *
 * The blocks are made in models/attention/transformer.c; this program is about their use.
 */
#include "examples/pairs.h"
#include "examples/translator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    translator_training how;
    translator_search search;
    pairs_options data;
    const char *picture;
    /* the model */
    int task, time, size, heads, layers, wide, positions;
    bool joint, post_norm, tied;
    double dropout;
} settings;

enum { TRANSLATE, TEXT };
enum { KEPT = 8192 };   /* bytes of a translation */
enum { LEARNED = 512 }; /* positions: no sequence can be longer */

/* ---- the model 模型 -------------------------------------------------------------------------- */

typedef struct net {
    translator t; /* of a language model, source is target */
    settings s;
    sg_tensor *source_table;
    sg_transformer encoder;
    sg_transformer_model decoder;
} net;

/* The output layer, or the target's table as one, which is a view and made anew for each graph. */
static sg_affine out_of(const net *n)
{
    int tokens = sg_vocabulary_size(n->t.target);
    return n->s.tied ? sg_tied("out", n->decoder.table)
                     : sg_linear(n->t.g, "out", n->s.size, tokens);
}

/* √size E[ids], [B,T,D]: elements as large as their positions. */
static sg_tensor *look_up(const net *n, sg_tensor *table, const int32_t *ids, int batch, int time)
{
    sg_tensor *x = sg_take(table, sg_input(n->t.g, SG_I32, SG_SHAPE(batch, time), ids));
    return sg_mul(x, sg_like(x, n->decoder.scale));
}

static sg_tensor *encode(const net *n, const sg_batch *b)
{
    sg_tensor *x = look_up(n, n->source_table, b->source, b->size, b->source_time);
    return sg_transform(&n->encoder, x, b->source_lengths);
}

/* What the decoder makes of the targets before each step; NULL, or the last block's weights. */
static sg_tensor *decode(const net *n, const sg_batch *b, sg_tensor **weights)
{
    sg_tensor *y = look_up(n, n->decoder.table, b->target_in, b->size, b->target_time);
    return sg_transform(&n->decoder.transformer, y, b->target_lengths, encode(n, b),
                        b->source_lengths, .weights = weights);
}

static sg_loss loss_of(const void *model, const sg_batch *b, double smoothing, double truth)
{
    const net *n = model;
    (void)truth; /* always: there is no step before, all are computed at once */
    sg_tensor *logits = sg_apply(out_of(n), decode(n, b, NULL)); /* [B,T,V] */
    return sg_label_loss(logits, b->target_out, b->target_lengths, smoothing);
}

/* The decoder with an output layer for this graph. */
static const sg_transformer_model *decoder_of(const net *n)
{
    sg_transformer_model *now = sg_room(n->t.g, sizeof *now);
    if (!now)
        return &n->decoder;
    *now = n->decoder;
    now->out = out_of(n);
    return now;
}

static sg_stepper begin(const void *model, const sg_batch *b)
{
    const net *n = model;
    return sg_transformer_stepper(decoder_of(n), b->size, encode(n, b), b->source_lengths);
}

static void make_model(net *n, const settings *s)
{
    static const sg_positions positions[] = {SG_SINUSOID, SG_ROTARY, SG_LEARNED, SG_NO_POSITIONS};
    sg_context *g = n->t.g;
    bool translates = s->task == TRANSLATE;
    n->s = *s;
    if (!sg_ok(g))
        return;
    sg_transformer_options o = {.g = g,
                                .name = "encoder",
                                .size = s->size,
                                .heads = s->heads,
                                .layers = s->layers,
                                .wide = s->wide,
                                .positions = positions[s->positions],
                                .most = LEARNED,
                                .post_norm = s->post_norm,
                                .relu = true,
                                .dropout = s->dropout};
    n->decoder.table = sg_embedding(g, "target", sg_vocabulary_size(n->t.target), s->size);
    n->source_table = n->decoder.table;
    if (translates && !s->joint)
        n->source_table = sg_embedding(g, "source", sg_vocabulary_size(n->t.source), s->size);
    if (translates)
        n->encoder = sg_make_transformer_(o);
    o.name = "decoder";
    o.causal = true;
    o.memory = translates ? s->size : 0;
    n->decoder.transformer = sg_make_transformer_(o);
    n->decoder.scale = sqrt(s->size);
    n->t.model = n;
    n->t.loss = loss_of;
    n->t.begin = begin;
}

/* Draws where each head of the last block looked, for each token of a translation. */
static void draw_heads(const net *n, const char *source, const char *target, FILE *f,
                       const char *svg)
{
    sg_context *g = n->t.g;
    sg_corpus *c = sg_corpus_of(g, 1, &source, &target);
    sg_batches *d = translator_batches(&n->t, c, 1, 0, true);
    sg_batch b = {0};
    sg_tensor *w = NULL; /* [1,heads,T,S] */
    if (sg_ok(g) && sg_batch_next(d, &b))
        decode(n, &b, &w);
    int rows = w ? n->s.heads * b.target_time : 0;
    const char **label = malloc(((size_t)rows + (size_t)b.source_time + 1) * sizeof *label);
    for (int i = 0; label && i < rows; i++)
        label[i] = sg_vocabulary_text(n->t.target, b.target_out[i % b.target_time]);
    for (int i = 0; label && i < b.source_time; i++)
        label[rows + i] = sg_vocabulary_text(n->t.source, b.source[i]);
    if (label && rows && sg_ok(g))
        sg_plot_heatmap(g, rows, b.source_time, label, label + rows, sg_data(w),
                        .title = "where each head looked, one below the other 每个头的注意力",
                        .file = f, .svg = svg);
    free(label);
    sg_batches_free(d);
    sg_corpus_free(c);
    sg_reset(g);
}

/* ---- a language model 语言模型 ------------------------------------------------------------- */

typedef struct writer {
    const net *n;
    sg_subsequences *train, *valid;
    sg_subsequence at;
} writer;

/* The summed loss of subsequences of a text, all of their tokens at once. */
static sg_tensor *text_loss(const net *n, const sg_subsequence *b)
{
    sg_tensor *x = look_up(n, n->decoder.table, b->in, b->rows, b->time);
    sg_tensor *logits = sg_apply(out_of(n), sg_transform(&n->decoder.transformer, x));
    sg_tensor *y = sg_input(n->t.g, SG_I32, SG_SHAPE(b->rows, b->time), b->out);
    return sg_sum(sg_cross_entropy(logits, y), SG_ALL_AXES, false);
}

static bool next(void *user, program_loss *l)
{
    writer *w = user;
    if (!sg_subsequence_next(w->train, &w->at))
        return false;
    l->tokens = w->at.tokens;
    l->loss = text_loss(w->n, &w->at);
    l->loss = sg_div(l->loss, sg_like(l->loss, (double)l->tokens));
    return true;
}

static sg_nll text_score(const net *n, sg_subsequences *text)
{
    sg_nll nll = {0};
    sg_subsequence b = {0};
    while (sg_ok(n->t.g) && sg_subsequence_next(text, &b)) {
        sg_nll_add(&nll, sg_item(text_loss(n, &b)), b.tokens);
        sg_reset(n->t.g);
    }
    return nll;
}

static double score(void *user, progress *p)
{
    writer *w = user;
    sg_nll nll = text_score(w->n, w->valid);
    (void)p;
    return nll.sum / (double)nll.tokens;
}

static void learn_text(net *n, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    sg_context *g = n->t.g;
    sg_sequence *text = sg_sequence_of(g, train, n->t.target);
    sg_sequence *held = sg_sequence_of(g, valid ? valid : train, n->t.target);
    writer w = {.n = n, .at.seed = (uint64_t)s->t.seed};
    w.train = sg_subsequences_make(g, text, s->t.batch, s->time, .random = true);
    w.valid = sg_subsequences_make(g, held, 1, s->time);
    if (sg_ok(g))
        program_train(g, &s->t,
                      (lesson){&w, w.train->batches, true, next, valid ? score : NULL, NULL});
    sg_subsequences_free(w.train);
    sg_subsequences_free(w.valid);
    sg_sequence_free(text);
    sg_sequence_free(held);
}

/* ---- learning ------------------------------------------------------------------------------- */

static void learn(net *n, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    translator_units u = {.min_count = s->data.min_count, .max_size = s->data.max_vocabulary};
    pairs_units(n->t.g, &s->data, &u.source, &u.target);
    u.joint = s->joint;
    if (!sg_ok(n->t.g))
        return;
    translator_build(&n->t, train, u);
    make_model(n, s);
    if (s->task == TEXT)
        learn_text(n, p, train, valid);
    else if (sg_ok(n->t.g))
        translator_train(&n->t, &s->t, s->how, &s->search, train, valid);
    translator_save(&n->t, p);
}

/* ---- the default: sequences turned round 倒序 ---------------------------------------------- */

enum { TRAIN = 20000, TEST = 500, SHOWN = 5, LETTERS = 12 };

static sg_corpus *turned(sg_context *g, uint64_t seed, int n)
{
    char(*room)[LETTERS + 1] = malloc(2 * (size_t)n * sizeof *room);
    const char **text = malloc(2 * (size_t)n * sizeof *text);
    if (!room || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d sequences", n);
    for (int i = 0; i < n && sg_ok(g); i++) {
        int length = 2 + (int)(program_draw(&seed) % (LETTERS - 1));
        for (int k = 0; k < length; k++)
            room[n + i][length - 1 - k] = room[i][k] = (char)('a' + program_draw(&seed) % 8);
        room[i][length] = room[n + i][length] = 0;
        text[i] = room[i];
        text[n + i] = room[n + i];
    }
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, text, text ? text + n : NULL);
    free(room);
    free(text);
    return c;
}

static void show(void *user, int index, int rank, const char *text, double log_p)
{
    const sg_corpus *c = user;
    (void)rank;
    printf("  %s  %-*s %-*s log p %.3f\n", strcmp(text, c->target[index]) ? "no" : "ok", LETTERS,
           c->source[index], LETTERS, text, log_p);
}

static void run_turning(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net n = {.t = {.g = g}};
    sg_corpus *train = turned(g, (uint64_t)s->t.seed, TRAIN);
    sg_corpus *test = turned(g, (uint64_t)s->t.seed + 1, TEST);
    sg_corpus *few = sg_corpus_of(g, sg_ok(g) ? SHOWN : 0, test->source, test->target);
    s->search.most = LETTERS + 1;
    learn(&n, p, train, NULL);
    if (sg_ok(g) && !program_interrupted()) {
        translator_score r = translator_evaluate(&n.t, test, 100, &s->search);
        translator_decode(&n.t, few, SHOWN, &s->search, show, few);
        draw_heads(&n, "abcdefgh", "hgfedcba", stdout, s->picture ? s->picture : "transformer.svg");
        printf("exact %.1f %%\n", r.exact);
    }
    translator_free(&n.t);
    sg_corpus_free(few);
    sg_corpus_free(test);
    sg_corpus_free(train);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    bool text = s->task == TEXT;
    net n = {.t = {.g = g}};
    sg_corpus *train =
        text ? program_lines(g, s->t.train, "train") : pairs_train(g, &s->data, s->t.train);
    sg_corpus *valid = text && s->t.valid ? program_lines(g, s->t.valid, "valid")
                                          : pairs_valid(g, &s->data, s->t.valid);
    learn(&n, p, train, valid);
    translator_free(&n.t);
    sg_corpus_free(train);
    if (valid)
        sg_corpus_free(valid);
}

static void load(net *n, const program *p)
{
    translator_load(&n->t, p);
    make_model(n, p->settings);
}

static void evaluate_text(net *n, const sg_corpus *c)
{
    sg_sequence *text = sg_sequence_of(n->t.g, c, n->t.target);
    sg_subsequences *all = sg_subsequences_make(n->t.g, text, 1, n->s.time);
    sg_nll nll = text_score(n, all);
    double nats = nll.sum / (double)nll.tokens;
    if (sg_ok(n->t.g))
        printf("{\"perplexity\": %.6g, \"nats\": %.6g, \"tokens\": %lld}\n", exp(nats), nats,
               (long long)nll.tokens);
    sg_subsequences_free(all);
    sg_sequence_free(text);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net n = {.t = {.g = g}};
    load(&n, p);
    bool text = s->task == TEXT;
    sg_corpus *c = text ? program_lines(g, s->t.test, "test") : pairs_test(g, &s->data, s->t.test);
    if (sg_ok(g) && text)
        evaluate_text(&n, c);
    else
        translator_print(&n.t, c, s->t.batch, &s->search);
    sg_corpus_free(c);
    translator_free(&n.t);
}

static void keep(void *user, int index, int rank, const char *text, double log_p)
{
    (void)index;
    (void)log_p;
    if (rank == 0)
        snprintf(user, KEPT, "%s", text);
}

/* Where the heads look while the first source becomes its translation. */
static void draw_first(net *n, const sg_corpus *c)
{
    char text[KEPT] = "";
    sg_corpus *first = sg_corpus_of(n->t.g, 1, c->source, c->source);
    translator_decode(&n->t, first, 1, &n->s.search, keep, text);
    if (sg_ok(n->t.g))
        draw_heads(n, c->source[0], text, NULL, n->s.picture);
    sg_corpus_free(first);
}

static void run_translate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net n = {.t = {.g = g}};
    load(&n, p);
    sg_corpus *c = pairs_read(g, (pairs_format)s->data.format,
                              (pairs_file){.path = "/dev/stdin", .sources_only = true});
    if (sg_ok(g) && s->task == TEXT)
        sg_fail(g, SG_BAD_ARGUMENT, "a language model does not translate: transformer write");
    if (sg_ok(g))
        translator_decode(&n.t, c, s->t.batch, &s->search, translator_line, &s->search);
    if (sg_ok(g) && s->picture && c->size)
        draw_first(&n, c);
    sg_corpus_free(c);
    translator_free(&n.t);
}

/* Lines drawn from a language model. */
static void run_write(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net n = {.t = {.g = g}};
    load(&n, p);
    if (sg_ok(g) && s->task == TRANSLATE)
        sg_fail(g, SG_BAD_ARGUMENT, "a translator does not write: transformer translate");
    if (sg_ok(g)) {
        sg_stepper m = sg_transformer_stepper(decoder_of(&n), s->search.best, NULL, NULL);
        m.start = SG_STOP; /* the end of a line before it */
        s->search.sample = true;
        translator_write(&n.t, &m, &s->search, translator_line, NULL);
    }
    translator_free(&n.t);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "The Transformer. Without a command: learns to turn sequences round, with no file\n"
        "needed. train: from pairs of texts, or --task text, from lines of a text. translate:\n"
        "standard input to standard output. write: goes on with a --prefix. evaluate: one line\n"
        "of JSON.";
    static const char *const tasks[] = {"translate", "text", NULL};
    static const char *const positions[] = {"sinusoid", "rotary", "learned", "none", NULL};
    settings s = {.t = {.model = "transformer.safetensors",
                        .batch = 64,
                        .epochs = 6,
                        .seed = 1,
                        .threads = 2,
                        .optimizer = PROGRAM_ADAM,
                        .schedule = PROGRAM_INVERSE_SQRT,
                        .warmup = 200,
                        .lr = 0.002,
                        .decay = 0.5,
                        .clip = 1},
                  .how = {.max_length = 100},
                  .search = {.most = 100, .width = 1, .best = 1, .temperature = 1},
                  .data = {.target_column = 1, .min_count = 1},
                  .time = 64,
                  .size = 64,
                  .heads = 4,
                  .layers = 2,
                  .wide = 128};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "pairs of texts, or lines"),
        PAIRS_DATA_OPTIONS(s.data),
        {.help = "Model"},
        {"task", "translation, or a language model", .choice = &s.task, .choices = tasks},
        {"format", "of pairs: see pairs.h", .choice = &s.data.format, .choices = pairs_formats},
        {"joint", "one vocabulary and table for both sides", .flag = &s.joint},
        {"size", "features of an element", .integer = &s.size, .low = 1, .high = 65536},
        {"heads", "of attention, which share the features", .integer = &s.heads, .low = 1,
         .high = 1024},
        {"layers", "blocks on each side", .integer = &s.layers, .low = 1, .high = SG_MAX_BLOCKS},
        {"wide", "units of a block's layer by position", .integer = &s.wide, .low = 1,
         .high = 65536},
        {"positions", "how elements know where they are", .choice = &s.positions,
         .choices = positions},
        {"post-norm", "LN(x + f(x)), as published first", .flag = &s.post_norm},
        {"tied", "the output layer is the target's embedding", .flag = &s.tied},
        {"dropout", "of all that is added, and weights", .number = &s.dropout, .low = 0,
         .high = 0.95},
        {"time", "tokens that a language model sees at once", .integer = &s.time, .low = 1,
         .high = 100000},
        PROGRAM_TRAINING_OPTIONS(s.t),
        TRANSLATOR_TRAINING_OPTIONS(s.how),
        {"attention-plot", "SVG of the heads, for the first sentence", .text = &s.picture,
         .value = "FILE"},
        TRANSLATOR_SEARCH_OPTIONS(s.search),
        {0}};
    static const command commands[] = {
        {"", run_turning},    {"train", run_train},       {"translate", run_translate},
        {"write", run_write}, {"evaluate", run_evaluate}, {0}};
    return program_main(argc, argv, &(program){"transformer", about, table, &s.t, commands, &s});
}
