/*
 * What is to be seen in a picture 看图说话
 *
 *     caption                                     little pictures, described in two languages
 *     caption train --train F --valid F --model M 训练
 *     caption evaluate --model M --test F         评估
 *     caption use --model M --test F              a caption for each line of features
 *
 * One to many 一对多: from a vector of features f, of a picture here, to a sentence. A recurrent
 * decoder gets z = tanh(f Wz + bz) beside the words so far, and says what comes next:
 *
 *     h_t = LSTM([E y_{t-1}; z_t], h_{t-1}),   P(y_t | …) = softmax(h_t W + b)
 *
 * or is joined in another way (--fuse), to the state h_{t-1}, or to h_t (--fuse-at) 融合方式与位置,
 *
 *     add h + z,   mean (h + z) / 2,   concat [h; z],   restored [h; z] Wc,
 *     mlp tanh(h Wh + z Wz + b)
 *
 * with z_t = z at every step 每一步都输入, or z_1 = z and zeros afterwards 只在第一步 (Vinyals et
 * al. 2015): then the state has to carry what was seen to the end of the sentence.
 *
 * A line of a file is the features, numbers between spaces, a tab, the caption. Features of real
 * pictures come from a network that was trained on pictures; any other vector does as well.
 */
#include "examples/cells.h"
#include "examples/pictures.h"
#include "examples/translator.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    translator_training how;
    translator_search search;
    cells_choice cell;
    int units, feed, fuse, at, embed, hidden;
    double dropout;
} settings;

enum { EVERY_STEP, FIRST_STEP };
enum { INPUT, HIDDEN, OUTPUT };

/* ---- features ------------------------------------------------------------------------------- */

typedef struct examples {
    sg_corpus *captions; /* as targets */
    int size;            /* features of each */
    float *features;     /* [captions, size] */
} examples;

/* The captions need sources: a word that says nothing. */
static examples make_examples(sg_context *g, int n, const char *const *captions, int size)
{
    const char **text = malloc(((size_t)n + 1) * sizeof *text);
    examples e = {.size = size, .features = calloc((size_t)n * (size_t)size + 1, sizeof(float))};
    if (!text || !e.features)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d pictures", n);
    for (int i = 0; text && i < n; i++)
        text[i] = "picture";
    e.captions = sg_corpus_of(g, sg_ok(g) ? n : 0, text, captions);
    free(text);
    return e;
}

static int count_numbers(const char *s)
{
    int n = 0;
    for (char *end; strtof(s, &end), end != s; s = end)
        n++;
    return s[strspn(s, " ")] ? -1 : n;
}

static examples read(sg_context *g, const char *path, const char *name, bool captions)
{
    program_given(g, path, name);
    sg_corpus *c = sg_corpus_read(g, path, .target_column = captions ? 1 : SG_NO_COLUMN);
    int size = c->size ? count_numbers(c->source[0]) : 0;
    for (int i = 0; i < c->size && sg_ok(g); i++)
        if (size <= 0 || count_numbers(c->source[i]) != size)
            sg_fail(g, SG_BAD_FILE, "%s:%d: not %d numbers between spaces", path, i + 1,
                    size > 0 ? size : 1);
    examples e = make_examples(g, sg_ok(g) ? c->size : 0, c->target, size > 0 ? size : 0);
    for (int i = 0; i < e.captions->size; i++) {
        char *s = (char *)(uintptr_t)c->source[i];
        for (int k = 0; k < size; k++)
            e.features[(size_t)i * (size_t)size + (size_t)k] = strtof(s, &s);
    }
    sg_corpus_free(c);
    return e;
}

static void free_examples(examples *e)
{
    sg_corpus_free(e->captions);
    free(e->features);
}

/* ---- the model 模型 -------------------------------------------------------------------------- */

typedef struct net {
    translator t;
    const settings *s;
    /* what the indices of a batch mean: [1] in training mode, [0] otherwise */
    const examples *seen[2];
    sg_tensor *words;
    sg_affine see, out;
    sg_cell cell;
    sg_fusion fusion;
} net;

/* z of a batch: [B,E] */
static sg_tensor *see(const net *n, const sg_batch *b)
{
    const examples *e = n->seen[sg_training(n->t.g)];
    size_t size = (size_t)e->size;
    float *f = sg_room(n->t.g, (size_t)b->size * size * sizeof *f);
    for (int i = 0; f && i < b->size; i++)
        memcpy(f + (size_t)i * size, e->features + (size_t)b->index[i] * size, size * sizeof *f);
    if (!f)
        return n->words; /* the context has an error */
    sg_tensor *x = sg_borrow(n->t.g, SG_F32, SG_SHAPE(b->size, e->size), f);
    return sg_tanh(sg_apply(n->see, sg_dropout(x, n->s->dropout)));
}

/* With z, where that is the place for it. */
static sg_tensor *joined(const net *n, int place, sg_tensor *h, sg_tensor *z)
{
    return n->s->at == place ? sg_fuse(&n->fusion, h, z) : h;
}

/* The cell, whose steps see z beside their states if that is the place for it. */
static sg_cell with(const net *n, sg_tensor *z)
{
    sg_cell cell = n->cell;
    cell.fusion = n->fusion;
    cell.z = n->s->at == HIDDEN ? z : NULL;
    return cell;
}

static sg_loss loss_of(const void *model, const sg_batch *b, double smoothing, double truth)
{
    const net *n = model;
    (void)truth; /* always */
    sg_tensor *y = sg_input(n->t.g, SG_I32, SG_SHAPE(b->size, b->target_time), b->target_in);
    sg_tensor *x = sg_take(n->words, y), *f = see(n, b);
    sg_tensor *z = sg_from_one(f, b->target_time, n->s->feed == FIRST_STEP); /* [B,T,E] */
    sg_cell cell = with(n, f);
    sg_tensor *h = sg_unroll(cell, joined(n, INPUT, x, z), b->target_lengths); /* [B,T,H] */
    h = sg_dropout(joined(n, OUTPUT, h, z), n->s->dropout);
    sg_tensor *logits = sg_apply(n->out, h); /* [B,T,V] */
    return sg_label_loss(logits, b->target_out, b->target_lengths, smoothing);
}

/* One step for decoding: states are h, c if the cell has one, z. */
static sg_tensor *step(const void *model, sg_tensor *tokens, sg_tensor **states,
                       sg_tensor **weights)
{
    const net *n = model;
    bool two = n->cell.states > 1;
    sg_tensor **z = &states[two ? 2 : 1];
    sg_cell cell = with(n, *z);
    sg_state s = {states[0], two ? states[1] : NULL};
    sg_tensor *x = joined(n, INPUT, sg_take(n->words, tokens), *z);
    s = sg_cell_step(&cell, x, s);
    sg_tensor *h = joined(n, OUTPUT, sg_output(&cell, x, s.h), *z);
    states[0] = s.h;
    states[1] = two ? s.c : states[1];
    if (n->s->feed == FIRST_STEP)
        *z = sg_mul(*z, sg_like(*z, 0));
    (void)weights; /* it does not attend */
    return sg_apply(n->out, h);
}

static sg_stepper begin(const void *model, const sg_batch *b)
{
    const net *n = model;
    sg_stepper m = {n->t.g, step, n, b->size, .start = SG_START, .stop = SG_STOP};
    sg_state zero = sg_zero_state(&n->cell, b->size);
    m.classes = sg_vocabulary_size(n->t.target);
    m.state[m.n++] = zero.h;
    if (zero.c)
        m.state[m.n++] = zero.c;
    m.state[m.n++] = see(n, b);
    return m;
}

static void make_model(net *n, const settings *s, int features)
{
    sg_context *g = n->t.g;
    if (!sg_ok(g))
        return;
    int words = sg_vocabulary_size(n->t.target);
    n->s = s;
    n->words = sg_embedding(g, "words", words, s->embed);
    n->see = sg_linear(g, "see", features, s->embed);
    int size = s->at == INPUT ? s->embed : s->hidden; /* of what z is joined to */
    n->fusion = sg_make_fusion(g, "fusion", (sg_fusion_kind)s->fuse, size, s->embed,
                               .project = size != s->embed);
    int fused = cells_fused_size((sg_fusion_kind)s->fuse, size, s->embed);
    if (s->at == HIDDEN && s->feed == FIRST_STEP)
        sg_fail(g, SG_BAD_ARGUMENT,
                "--fuse-at hidden joins them to the state of every step, not --feed first");
    if (s->at == HIDDEN && fused != s->hidden)
        sg_fail(g, SG_BAD_SHAPE,
                "--fuse-at hidden: a state of %d features with %d of the picture has %d", s->hidden,
                s->embed, fused);
    sg_cell_options o = {g, "cell", s->at == INPUT ? fused : s->embed, s->hidden,
                         .dropout = s->dropout};
    n->cell = cells_make(&s->cell, o);
    n->out = sg_linear(g, "out", s->at == OUTPUT ? fused : s->hidden, words);
    n->t.model = n;
    n->t.loss = loss_of;
    n->t.begin = begin;
}

static void learn(net *n, const program *p, const examples *train, const examples *valid)
{
    settings *s = p->settings;
    sg_units units = s->units ? SG_UNITS_CHAR : SG_UNITS_WORD;
    if (sg_ok(n->t.g) && valid && valid->size != train->size)
        sg_fail(n->t.g, SG_BAD_ARGUMENT, "%d features to learn from, but %d held out", train->size,
                valid->size);
    if (!sg_ok(n->t.g))
        return;
    translator_build(&n->t, train->captions,
                     (translator_units){.target = {.units = units, .punctuation = true}});
    make_model(n, s, train->size);
    n->seen[1] = train;
    n->seen[0] = valid;
    if (sg_ok(n->t.g))
        translator_train(&n->t, &s->t, s->how, &s->search, train->captions,
                         valid ? valid->captions : NULL);
    translator_save(&n->t, p);
}

static void print_score(net *n, const settings *s, const examples *e)
{
    n->seen[0] = e;
    translator_print(&n->t, e->captions, s->t.batch, &s->search);
}

/* ---- the default: little pictures 小图 ------------------------------------------------------ */

enum { TRAIN = 12000, TEST = 400, SHOWN = 3 };

static examples describe(sg_context *g, int n, const picture *p, bool chinese)
{
    const char **caption = malloc((size_t)n * sizeof *caption);
    for (int i = 0; caption && i < n; i++)
        caption[i] = chinese ? p[i].chinese : p[i].english;
    if (!caption)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d captions", n);
    examples e = make_examples(g, sg_ok(g) ? n : 0, caption, PICTURES_FEATURES);
    for (int i = 0; i < e.captions->size; i++)
        memcpy(e.features + (size_t)i * PICTURES_FEATURES, p[i].rgb, sizeof p[i].rgb);
    free(caption);
    return e;
}

static void show(void *user, int index, int rank, const char *text, double log_p)
{
    const picture *p = user;
    (void)rank;
    pictures_draw(stdout, &p[index]);
    printf("    %s  (log p %.3f)\n", text, log_p);
}

/* One language, with features at every step or at the first. */
static void run_one(sg_context *g, const program *p, const picture *all, bool chinese, int feed)
{
    settings s = *(settings *)p->settings;
    program with = *p;
    with.settings = &s;
    net n = {.t = {.g = g}};
    examples train = describe(g, TRAIN, all, chinese);
    examples test = describe(g, TEST, all + TRAIN, chinese);
    examples few = describe(g, SHOWN, all + TRAIN, chinese);
    s.units = chinese;
    s.feed = feed;
    printf("\n%s, the picture at %s\n", chinese ? "Chinese 中文" : "English 英文",
           feed == FIRST_STEP ? "the first step 只在第一步" : "every step 每一步");
    fflush(stdout);
    learn(&n, &with, &train, NULL);
    if (sg_ok(g) && !program_interrupted()) {
        print_score(&n, &s, &test);
        n.seen[0] = &few;
        if (feed == EVERY_STEP)
            translator_decode(&n.t, few.captions, SHOWN, &s.search, show,
                              (picture *)(uintptr_t)(all + TRAIN));
    }
    translator_free(&n.t);
    free_examples(&train);
    free_examples(&test);
    free_examples(&few);
}

static void run_pictures(sg_context *g, const program *p)
{
    static const struct {
        bool chinese;
        int feed;
    } runs[] = {{false, FIRST_STEP}, {false, EVERY_STEP}, {true, EVERY_STEP}};
    const settings *s = p->settings;
    picture *all = malloc((TRAIN + TEST) * sizeof *all);
    if (!all) {
        sg_fail(g, SG_NO_MEMORY, "no memory for %d pictures", TRAIN + TEST);
        return;
    }
    pictures_generate((uint64_t)s->t.seed, false, TRAIN, all);
    pictures_generate((uint64_t)s->t.seed, true, TEST, all + TRAIN);
    for (int i = 0; i < 3 && sg_ok(g) && !program_interrupted(); i++) {
        sg_context *h = sg_open(.seed = (uint64_t)s->t.seed, .threads = s->t.threads);
        run_one(h, p, all, runs[i].chinese, runs[i].feed);
        program_close_part(g, h);
    }
    free(all);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net n = {.t = {.g = g}};
    examples train = read(g, s->t.train, "train", true);
    examples valid = s->t.valid ? read(g, s->t.valid, "valid", true) : (examples){0};
    learn(&n, p, &train, s->t.valid ? &valid : NULL);
    if (s->t.valid)
        free_examples(&valid);
    translator_free(&n.t);
    free_examples(&train);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net n = {.t = {.g = g}};
    translator_load(&n.t, p);
    examples e = read(g, s->t.test, "test", true);
    make_model(&n, s, e.size);
    print_score(&n, s, &e);
    translator_free(&n.t);
    free_examples(&e);
}

static void run_use(sg_context *g, const program *p)
{
    settings *s = p->settings;
    net n = {.t = {.g = g}};
    translator_load(&n.t, p);
    examples e = read(g, s->t.test, "test", false);
    make_model(&n, s, e.size);
    n.seen[0] = &e;
    if (sg_ok(g))
        translator_decode(&n.t, e.captions, s->t.batch, &s->search, translator_line, &s->search);
    translator_free(&n.t);
    free_examples(&e);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "From a vector of features to a sentence. Without a command: little pictures, described\n"
        "in English and Chinese, with no file needed. train: from lines of numbers, a tab, a\n"
        "caption. evaluate: one line of JSON. use: a caption for each line of numbers.";
    static const char *const units[] = {"word", "char", NULL};
    static const char *const feeds[] = {"every", "first", NULL};
    static const char *const places[] = {"input", "hidden", "output", NULL};
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "caption.safetensors", .batch = 32, .epochs = 10,
                        .lr = 0.003, .clip = 5},
                  .how = {.max_length = 100},
                  .search = {.most = 50, .width = 1, .best = 1, .temperature = 1},
                  .cell.kind = SG_CELL_LSTM,
                  .fuse = SG_FUSE_CONCAT,
                  .embed = 64,
                  .hidden = 64,
                  .dropout = 0.1};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "lines of numbers, a tab, a caption"),
        {.help = "Model"},
        {"units", "of captions", .choice = &s.units, .choices = units},
        {"feed", "the features are told at which step", .choice = &s.feed, .choices = feeds},
        {"fuse", "how features are joined to words, or to states", .choice = &s.fuse,
         .choices = cells_fusions},
        {"fuse-at",
         "input: the cell's; hidden: the state that a step begins with; output: what is "
         "told from",
         .choice = &s.at, .choices = places},
        CELLS_OPTIONS(s.cell),
        {"embed", "features of a word, and of what is seen", .integer = &s.embed, .low = 1,
         .high = 65536},
        {"hidden", "units of the state", .integer = &s.hidden, .low = 1, .high = 65536},
        {"dropout", "on features and on what goes into and out of the cell", .number = &s.dropout,
         .low = 0, .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        TRANSLATOR_TRAINING_OPTIONS(s.how),
        TRANSLATOR_SEARCH_OPTIONS(s.search),
        {0}};
    static const command commands[] = {{"", run_pictures},
                                       {"train", run_train},
                                       {"evaluate", run_evaluate},
                                       {"use", run_use},
                                       {0}};
    return program_main(argc, argv, &(program){"caption", about, table, &s.t, commands, &s});
}
