/*
 * Sequence to sequence with attention 序列到序列与注意力
 *
 *     seq2seq                        learns to read dates, without any file 默认：学习读日期
 *     seq2seq train --train F --valid F --model M      learns from pairs of texts 训练
 *     seq2seq translate --model M < source > target    翻译
 *     seq2seq evaluate --model M --test F              评估
 *     seq2seq score --model M --test F                 log P of given targets 给定译文的概率
 *
 * The encoder 编码器 reads the source x_1 … x_N, by default in both directions; the decoder 解码器
 * writes the target y_1 … y_M, and at each step looks at the encoder's states h by attention
 * 注意力:
 *
 *     c = Σ α_n h_n,   α = softmax(score(q, h_n))
 *     score: q·h (dot), q·h/√d (scaled), q Wa·h (general), v·tanh(q Wq + h Wk) (concat);
 *     or q Wq·h Wk/√d of several heads 多头, each with values h Wv of its own (heads)
 *
 * from q = s_{t-1} before a step (pre: c goes into the cell) or q = s_t after it (post: c goes into
 * the readout). Without attention c = h_N. It is the decoder's first state, or an input of each
 * step, or both (--context); with --token-out the readout sees y_{t-1}, too, as in Cho's decoder.
 *
 * Of several sources, an article and a question 两个来源: 文章与问题, each has an encoder and an
 * attention (--sources 2, which without a file learns little stories); the contexts are joined. Or
 * the last one is but one vector z, beside the word, the state or what is read out (--fuse-at): of
 * the stories the first two are right of all, the third of two in three, for it is the state that
 * attends, and has not heard the question.
 *
 * It is trained with the true tokens before each step as its inputs (teacher forcing 教师强制), or
 * with its own ones now and then (scheduled sampling 计划采样), and decodes by beam search 束搜索,
 * of which width 1 is greedy 贪心解码. The model is made in models/seq2seq/, of plain ops; this
 * program is about training and using it. Formats of files are told in pairs.h.
 */
#include "examples/attending.h"
#include "examples/cells.h"
#include "examples/dates.h"
#include "examples/pairs.h"
#include "examples/stories.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    translator_training how;
    translator_search search;
    pairs_options data;
    program_vectors vectors;
    const char *picture;
    /* the model */
    cells_choice cell;
    int attention, attend, context, summary, bridge, sources, join, merge, fuse, at;
    int embed, hidden, layers, window, window_at, heads;
    bool feed, coverage, bidirectional, token_out, tied, variational;
    double dropout, state_dropout, zoneout, coverage_loss;
} settings;

/* ---- the model 模型 -------------------------------------------------------------------------- */

/* The scores of sg_score, and none. */
enum { NONE = SG_HEADS + 1 };
static const char *const attentions[] = {"dot",   "scaled", "general", "concat",
                                         "heads", "none",   NULL};

/* The cell of the options, with what is around it where its inputs are of the size of its states.
 */
static sg_cell make_cell(sg_cell_options o)
{
    cells_choice c = *(const cells_choice *)o.user;
    c.wrap = o.in == o.hidden ? c.wrap : 0;
    return cells_make(&c, o);
}

static bool has_wrapped(const sg_seq2seq *m)
{
    bool any = false;
    for (int l = 0; l < m->o.layers; l++)
        any = any || m->encoder[0].forward[l].output || m->decoder[l].output;
    return any;
}

/* Where the extra source meets the decoder: one of sg_fuse_place, or nowhere. */
static const char *const places[] = {"none", "input", "hidden", "output", NULL};

/* The model between the vocabularies that are there. */
static void make_model(attending *n, const settings *s)
{
    sg_context *g = n->t.g;
    bool extra = s->at > 0;
    if (extra && s->sources < 2)
        sg_fail(g, SG_BAD_ARGUMENT, "--fuse-at %s: that of the last of --sources 2 or more",
                places[s->at]);
    if (extra && s->at - 1 == SG_FUSE_STATE && s->fuse == SG_FUSE_CONCAT)
        sg_fail(g, SG_BAD_ARGUMENT,
                "--fuse-at hidden: a state keeps its size, so not --fuse concat");
    if (!sg_ok(g))
        return;
    n->model = sg_make_seq2seq(
        g, "seq2seq", sg_vocabulary_size(n->t.source), sg_vocabulary_size(n->t.target), s->embed,
        s->hidden, s->layers, .make = make_cell, .user = &s->cell,
        .no_attention = s->attention == NONE,
        .score = s->attention == NONE ? SG_DOT : (sg_score)s->attention,
        .heads = s->attention == SG_HEADS ? s->heads : 0,
        .post = s->attend == 1 && s->attention != NONE, .input_feeding = s->feed,
        .dropout = s->dropout, .coverage = s->coverage, .window = s->window,
        .monotonic = s->window_at == 1, .context = (sg_context_use)s->context,
        .one_way = !s->bidirectional, .token_out = s->token_out, .tied = s->tied,
        .summary = (sg_summary)s->summary, .bridge = (sg_bridge)s->bridge,
        .sources = s->sources - extra, .extra = extra ? s->embed : 0,
        .fuse = (sg_fusion_kind)s->fuse, .fuse_at = (sg_fuse_place)(extra ? s->at - 1 : 0),
        .join = (sg_fusion_kind)s->join, .merge = (sg_fusion_kind)s->merge,
        .coverage_loss = s->coverage_loss, .state_dropout = s->state_dropout, .zoneout = s->zoneout,
        .variational = s->variational);
    if (sg_ok(g) && s->cell.wrap && !has_wrapped(&n->model))
        sg_fail(g, SG_BAD_ARGUMENT,
                "--wrap: no cell has inputs of the size of its states without --layers 2");
    attending_use(n);
}

/* Learns from pairs and saves the model. */
static void learn(attending *n, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    translator_units u = {.min_count = s->data.min_count, .max_size = s->data.max_vocabulary};
    pairs_units(n->t.g, &s->data, &u.source, &u.target);
    if (!sg_ok(n->t.g))
        return;
    translator_build(&n->t, train, u);
    sg_vectors *vectors = program_vectors_open(n->t.g, &s->vectors, &s->embed);
    make_model(n, s);
    program_vectors_use(n->t.g, &s->vectors, vectors, n->t.source, n->model.encoder[0].table,
                        "seq2seq.source");
    if (sg_ok(n->t.g))
        translator_train(&n->t, &s->t, s->how, &s->search, train, valid);
}

/* ---- the default: dates 日期 ----------------------------------------------------------------- */

enum { TRAIN_DATES = 60000, TEST_DATES = 2000, SHOWN = 10 };

static void show(void *user, int index, int rank, const char *translation, double score)
{
    const sg_corpus *c = user;
    bool right = strcmp(translation, c->target[index]) == 0;
    int space = 40 - sg_text_width(c->source[index]);
    (void)rank;
    (void)score;
    printf("  %s  %s%*s  %s\n", right ? "ok" : "no", c->source[index], space > 0 ? space : 0, "",
           translation);
}

/* Trains on dates; the exact matches on years never seen, in percent. */
static double learn_dates(sg_context *g, const program *p, attending *n)
{
    settings *s = p->settings;
    sg_corpus *train = pairs_dates(g, (uint64_t)s->t.seed, false, TRAIN_DATES);
    sg_corpus *test = pairs_dates(g, (uint64_t)s->t.seed, true, TEST_DATES);
    n->t.g = g;
    learn(n, p, train, NULL);
    double exact = sg_ok(g) ? translator_evaluate(&n->t, test, 256, &s->search).exact : 0;
    sg_corpus_free(test);
    sg_corpus_free(train);
    return exact;
}

static void without_attention(sg_context *g, const program *p)
{
    settings s = *(settings *)p->settings;
    program none = *p;
    attending n = {.t = {.g = g}};
    sg_context *h = sg_open(.seed = (uint64_t)s.t.seed, .threads = s.t.threads);
    none.settings = &s;
    s.attention = NONE;
    s.t.log = s.t.plot = s.t.profile = NULL;
    double exact = learn_dates(h, &none, &n);
    if (sg_ok(h))
        printf("without attention 没有注意力: exact %.1f %%\n", exact);
    translator_free(&n.t);
    program_close_part(g, h);
}

/* ---- two sources: stories and questions 故事与问题 ------------------------------------------- */

static void run_stories(sg_context *g, const program *p)
{
    enum { TRAIN = 12000, TEST = 500, FEW = 4 };
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    s->t.epochs = s->t.epochs ? s->t.epochs : 6;
    s->data.format = PAIRS_BABI;
    sg_corpus *train = stories_generate(g, (uint64_t)s->t.seed, TRAIN);
    sg_corpus *test = stories_generate(g, (uint64_t)s->t.seed + 1, TEST);
    sg_corpus *few = stories_generate(g, (uint64_t)s->t.seed + 1, FEW);
    printf("stories, and questions about them 故事与问题\n");
    learn(&n, p, train, NULL);
    if (sg_ok(g) && !program_interrupted()) {
        translator_score r = translator_evaluate(&n.t, test, 256, &s->search);
        translator_decode(&n.t, few, FEW, &s->search, show, few);
        printf("\nwhere the decoder looked 注意力:\n");
        attending_draw(&n, few->source[0], s->search.most, stdout, s->picture);
        printf("\nexact %.1f %%\n", r.exact);
    }
    translator_save(&n.t, p);
    translator_free(&n.t);
    sg_corpus_free(few);
    sg_corpus_free(test);
    sg_corpus_free(train);
}

static void run_dates(sg_context *g, const program *p)
{
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    s->t.epochs = s->t.epochs ? s->t.epochs : 4;
    s->t.schedule = PROGRAM_COSINE;
    printf("dates, written in %d ways, to ISO 8601 把各种写法的日期译成标准格式\n",
           dates_formats());
    fputs("first without attention 先不用注意力\n", stderr);
    without_attention(g, p);
    fputs("and with it 再用注意力\n", stderr);
    double exact = sg_ok(g) && !program_interrupted() ? learn_dates(g, p, &n) : 0;
    if (sg_ok(g) && !program_interrupted()) {
        sg_corpus *few = pairs_dates(g, (uint64_t)s->t.seed, true, SHOWN);
        printf("\ntranslations of dates from years never seen 译文（训练中没有的年份）:\n");
        translator_decode(&n.t, few, SHOWN, &s->search, show, few);
        printf("\nwhere the decoder looked 注意力:\n");
        attending_draw(&n, "二〇二六年十一月二十一日", s->search.most, stdout, NULL);
        attending_draw(&n, "Saturday, 21 November 2026", s->search.most, stdout, s->picture);
        printf("\nexact %.1f %%\n", exact);
        sg_corpus_free(few);
    }
    translator_save(&n.t, p);
    translator_free(&n.t);
}

static void run_default(sg_context *g, const program *p)
{
    settings *s = p->settings;
    s->picture = s->picture ? s->picture : "seq2seq.svg";
    if (s->sources > 1)
        run_stories(g, p);
    else
        run_dates(g, p);
}

/* ---- the commands 命令 ----------------------------------------------------------------------- */

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    s->t.epochs = s->t.epochs ? s->t.epochs : 10;
    sg_corpus *train = pairs_train(g, &s->data, s->t.train);
    sg_corpus *valid = pairs_valid(g, &s->data, s->t.valid);
    learn(&n, p, train, valid);
    translator_save(&n.t, p);
    translator_free(&n.t);
    sg_corpus_free(train);
    if (valid)
        sg_corpus_free(valid);
}

static void load(attending *n, const program *p)
{
    translator_load(&n->t, p);
    make_model(n, p->settings);
}

static void run_translate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    load(&n, p);
    sg_corpus *c = pairs_read(g, (pairs_format)s->data.format,
                              (pairs_file){.path = "/dev/stdin", .sources_only = true});
    if (sg_ok(g))
        translator_decode(&n.t, c, s->t.batch, &s->search, translator_line, &s->search);
    if (sg_ok(g) && s->picture && c->size)
        attending_draw(&n, c->source[0], s->search.most, NULL, s->picture);
    sg_corpus_free(c);
    translator_free(&n.t);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    load(&n, p);
    sg_corpus *c = pairs_test(g, &s->data, s->t.test);
    translator_print(&n.t, c, s->t.batch, &s->search);
    sg_corpus_free(c);
    translator_free(&n.t);
}

static void run_score(sg_context *g, const program *p)
{
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    load(&n, p);
    sg_corpus *c = pairs_test(g, &s->data, s->t.test);
    double *scores = malloc(((size_t)c->size + 1) * sizeof *scores);
    if (!scores)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d scores", c->size);
    if (sg_ok(g) && translator_force(&n.t, c, s->t.batch, scores))
        for (int i = 0; i < c->size; i++)
            printf("%.6f\n", scores[i]);
    free(scores);
    sg_corpus_free(c);
    translator_free(&n.t);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "Sequence to sequence with attention. Without a command: learns to read dates written in\n"
        "many ways, with no file needed; 4 epochs. train: from pairs of texts; 10 epochs.\n"
        "translate: lines of standard input to standard output. evaluate: one line of JSON with\n"
        "BLEU, exact matches, token errors, perplexity. score: log P of each given target.";
    static const char *const attends[] = {"pre", "post", NULL};
    static const char *const contexts[] = {"both", "state", "input", NULL};
    static const char *const summaries[] = {"last", "mean", "max", "attention", NULL};
    static const char *const bridges[] = {"state", "none", "both", NULL};
    static const char *const windows[] = {"predicted", "step", NULL};
    static const char *const samplings[] = {"none", "linear", "exponential", "inverse-sigmoid",
                                            NULL};
    settings s = {.t = {.model = "seq2seq.safetensors",
                        .batch = 64,
                        .patience = 3,
                        .seed = 1,
                        .threads = 2,
                        .optimizer = PROGRAM_ADAM,
                        .lr = 0.002,
                        .decay = 0.5,
                        .clip = 5},
                  .how = {.max_length = 100, .slope = 1e-4},
                  .search = {.most = 100, .width = 1, .best = 1, .temperature = 1},
                  .data = {.target_column = 1, .min_count = 1},
                  .cell.kind = SG_CELL_GRU,
                  .attend = 1,
                  .heads = 4,
                  .bidirectional = true,
                  .sources = 1,
                  .embed = 64,
                  .hidden = 128,
                  .layers = 1};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "pairs of texts"),
        PAIRS_DATA_OPTIONS(s.data),
        {.help = "Model"},
        {"format", "of the files: see pairs.h", .choice = &s.data.format, .choices = pairs_formats},
        CELLS_OPTIONS(s.cell),
        {"attention", "score", .choice = &s.attention, .choices = attentions},
        {"attend", "pre: from the state before a step (Bahdanau); post: after (Luong)",
         .choice = &s.attend, .choices = attends},
        {"heads", "of attention heads; parts of the state", .integer = &s.heads, .low = 1,
         .high = 1024},
        {"feed", "input feeding", .flag = &s.feed},
        {"coverage", "scores see what was looked at before; of concat", .flag = &s.coverage},
        {"coverage-loss",
         "what it costs to look again, with --coverage: so many times the sum of "
         "min(a, what was looked at)",
         .number = &s.coverage_loss, .low = 0, .high = 1000},
        {"window", "attention to so many tokens on each side of a place; 0: to all",
         .integer = &s.window, .low = 0, .high = 10000},
        {"window-at", "predicted: where the model says (local-p); step: at the step (local-m)",
         .choice = &s.window_at, .choices = windows},
        {"context", "the decoder gets it as first state, as input of each step, as both",
         .choice = &s.context, .choices = contexts},
        {"summary", "what is told of all the encoder's states", .choice = &s.summary,
         .choices = summaries},
        {"bridge",
         "state: first states are tanh(W s + b) of it, s, and inputs s; none: both s; both",
         .choice = &s.bridge, .choices = bridges},
        {"sources", "in a line, between \"|\", each with an encoder", .integer = &s.sources,
         .low = 1, .high = SG_MAX_SOURCES},
        {"join", "how what is said of several sources is joined", .choice = &s.join,
         .choices = cells_fusions},
        {"fuse-at",
         "where the last of several sources, not read like the others but as one vector, the mean "
         "of its embeddings, meets the decoder",
         .choice = &s.at, .choices = places},
        {"fuse", "how it is joined there", .choice = &s.fuse, .choices = cells_fusions},
        {"bidirectional", "the encoder reads both ways", .flag = &s.bidirectional},
        {"merge", "how what both ways say is joined", .choice = &s.merge, .choices = cells_fusions},
        {"token-out", "the readout sees the last token, too (Cho)", .flag = &s.token_out},
        {"tied", "the output layer is the target's embedding", .flag = &s.tied},
        {"embed", "features of a token", .integer = &s.embed, .low = 1, .high = 65536},
        {"hidden", "units of the state, even", .integer = &s.hidden, .low = 2, .high = 65536},
        {"layers", "on each side", .integer = &s.layers, .low = 1, .high = SG_MAX_LAYERS},
        {"dropout", "on embeddings, between layers, on the readout", .number = &s.dropout, .low = 0,
         .high = 0.95},
        {"state-dropout", "on states where they meet weights", .number = &s.state_dropout, .low = 0,
         .high = 0.95},
        {"variational", "one mask of it for all steps", .flag = &s.variational},
        {"zoneout", "parts of states that stay as they were", .number = &s.zoneout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        PROGRAM_VECTORS_OPTIONS(s.vectors),
        TRANSLATOR_TRAINING_OPTIONS(s.how),
        {"sampling", "the model's own tokens as inputs, more and more", .choice = &s.how.sampling,
         .choices = samplings},
        {"truth",
         "k of: linear max(floor, k - slope i), exponential k^i, inverse-sigmoid k / (k + "
         "exp(i / k)), the share of true tokens at step i; 0: 1, 0.9999, 1000",
         .number = &s.how.k, .low = 0, .high = 1e9},
        {"truth-slope", "slope", .number = &s.how.slope, .low = 0, .high = 1},
        {"truth-floor", "floor", .number = &s.how.floor, .low = 0, .high = 1},
        {"attention-plot", "SVG of the first sentence's attention", .text = &s.picture,
         .value = "FILE"},
        TRANSLATOR_SEARCH_OPTIONS(s.search),
        {0}};
    static const command commands[] = {
        {"", run_default},          {"train", run_train}, {"translate", run_translate},
        {"evaluate", run_evaluate}, {"score", run_score}, {0}};
    return program_main(argc, argv, &(program){"seq2seq", about, table, &s.t, commands, &s});
}
