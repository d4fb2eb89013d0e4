/*
 * From letters to phones 从字母到音素
 *
 *     g2p                                     learns a made-up spelling, without any file
 *     g2p train --train F --valid F --model M 训练
 *     g2p evaluate --model M --test F         错误率
 *     g2p use --model M --word W              how a word may be spoken, and which letters say so
 *
 * Many to many 多对多, and of unequal lengths: "box" is B AA K S, "though" is DH OW, and no data
 * say which letters make which phone. So an encoder reads the whole word in both directions, and a
 * decoder writes phones until it says that it is done, looking at the letters by attention, which
 * finds out by itself who belongs to whom: its picture is nearly a diagonal.
 *
 * A line of a file is a word, a tab, its phones between spaces. A word with several pronunciations
 * has as many lines; it is right if any of them is told. With d the least number of phones to put
 * in, take out or replace, and r* the reference that is nearest to what was told,
 *
 *     WER = words that are not right / words       PER = Σ d(told, r*) / Σ |r*|
 *
 * A greedy decoder cannot take a phone back; a beam 束搜索 keeps several beginnings.
 */
#include "examples/attending.h"
#include "examples/spelling.h"

#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    translator_training how;
    translator_search search;
    const char *word;
    int cell, embed, hidden, layers;
    double dropout;
} settings;

/* Attention from the state before a step: α = softmax(v·tanh(s_{t-1} Wq + h Wk)). */
static void make_model(attending *n, const settings *s)
{
    sg_context *g = n->t.g;
    if (!sg_ok(g))
        return;
    n->model = sg_make_seq2seq(g, "g2p", sg_vocabulary_size(n->t.source),
                               sg_vocabulary_size(n->t.target), s->embed, s->hidden, s->layers,
                               (sg_cell_kind)s->cell, .score = SG_CONCAT, .dropout = s->dropout);
    attending_use(n);
}

/* ---- words and their pronunciations ---------------------------------------------------------- */

typedef struct entry {
    const char *word, *phones;
    int line;
} entry;

static int by_word(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    int order = strcmp(a->word, b->word);
    return order ? order : a->line - b->line;
}

/* The lines of a file, those of a word together; and where each word begins. */
typedef struct lexicon {
    int words, lines;
    entry *entry;      /* [lines] */
    int *first;        /* [words + 1] */
    sg_corpus *corpus; /* the words, each once */
} lexicon;

static lexicon gather(sg_context *g, const sg_corpus *c)
{
    size_t n = (size_t)c->size + 1;
    lexicon l = {.lines = c->size, .entry = malloc(n * sizeof *l.entry)};
    const char **word = malloc(n * sizeof *word);
    l.first = malloc(n * sizeof *l.first);
    if (!l.entry || !word || !l.first)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d words", c->size);
    for (int i = 0; i < c->size && sg_ok(g); i++)
        l.entry[i] = (entry){c->source[i], c->target[i], i};
    if (sg_ok(g))
        qsort(l.entry, n - 1, sizeof *l.entry, by_word);
    for (int i = 0; i < c->size && sg_ok(g); i++)
        if (i == 0 || strcmp(l.entry[i].word, l.entry[i - 1].word) != 0) {
            l.first[l.words] = i;
            word[l.words++] = l.entry[i].word;
        }
    if (sg_ok(g))
        l.first[l.words] = l.lines;
    l.corpus = sg_corpus_of(g, l.words, word, NULL);
    free(word);
    return l;
}

static void free_lexicon(lexicon *l)
{
    sg_corpus_free(l->corpus);
    free(l->entry);
    free(l->first);
}

typedef struct verdict {
    sg_context *g;
    const lexicon *l;
    int wrong, edits, phones, shown;
} verdict;

/* The reference nearest to what was told, and how far it is. */
static int nearest(const verdict *v, int word, const char *told, int *length)
{
    static const sg_tokenizer spaces = {.units = SG_UNITS_WORD};
    sg_tokens *a = sg_tokenize(v->g, &spaces, told);
    int least = -1;
    for (int i = v->l->first[word]; i < v->l->first[word + 1]; i++) {
        sg_tokens *b = sg_tokenize(v->g, &spaces, v->l->entry[i].phones);
        int d = translator_distance(a, b);
        if (least < 0 || d < least) {
            least = d;
            *length = b->count;
        }
        sg_tokens_free(b);
    }
    sg_tokens_free(a);
    return least;
}

static void judge(void *user, int word, int rank, const char *told, double score)
{
    verdict *v = user;
    int length = 0, d = rank ? 0 : nearest(v, word, told, &length);
    (void)score;
    v->wrong += d > 0;
    v->edits += d;
    v->phones += length;
    if (v->shown && word % (v->l->words / v->shown + 1) == 0 && !rank)
        printf("  %s  %-12s %s\n", d ? "no" : "ok", v->l->entry[v->l->first[word]].word, told);
}

static double percent(int part, int whole)
{
    return whole ? 100.0 * part / whole : 0;
}

/* One line of JSON; before it, about `shown` words with what was told of them. */
static void print_json(const attending *n, const settings *s, const sg_corpus *c, int shown)
{
    lexicon l = gather(n->t.g, c);
    verdict v = {.g = n->t.g, .l = &l, .shown = shown};
    if (translator_decode(&n->t, l.corpus, s->t.batch, &s->search, judge, &v))
        printf("{\"wer\": %.4f, \"per\": %.4f, \"words\": %d, \"pronunciations\": %d}\n",
               percent(v.wrong, l.words), percent(v.edits, v.phones), l.words, l.lines);
    free_lexicon(&l);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static void learn(attending *n, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    translator_build(&n->t, train,
                     (translator_units){.source = {.units = SG_UNITS_CHAR, .form = SG_FORM_NFC},
                                        .target = {.units = SG_UNITS_WORD}});
    make_model(n, s);
    if (sg_ok(n->t.g))
        translator_train(&n->t, &s->t, s->how, &s->search, train, valid);
    translator_save(&n->t, p);
}

static sg_corpus *read(sg_context *g, const char *path, const char *name)
{
    program_given(g, path, name);
    return sg_corpus_read(g, path);
}

static void tell(void *user, int index, int rank, const char *phones, double score)
{
    (void)user;
    (void)index;
    (void)rank;
    printf("%8.4f  %s\n", score, phones);
}

static void use(attending *n, const settings *s, const char *word)
{
    sg_corpus *c = sg_corpus_of(n->t.g, 1, &word, NULL);
    translator_decode(&n->t, c, 1, &s->search, tell, NULL);
    attending_draw(n, word, s->search.most, stdout, s->t.plot);
    sg_corpus_free(c);
}

static void run_made_up(sg_context *g, const program *p)
{
    enum { TRAIN_WORDS = 8000, TEST_WORDS = 1000, SHOWN = 12 };
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    sg_corpus *train = spelling_words(g, (uint64_t)s->t.seed, TRAIN_WORDS);
    sg_corpus *test = spelling_words(g, (uint64_t)s->t.seed + 1, TEST_WORDS);
    learn(&n, p, train, NULL);
    for (int beam = 1; beam <= 4 && sg_ok(g); beam += 3) {
        settings with = *s;
        with.search.width = beam;
        printf("\nbeam 束宽 %d\n", beam);
        print_json(&n, &with, test, beam == 1 ? SHOWN : 0);
    }
    s->search.best = 2;
    s->t.plot = s->t.plot ? s->t.plot : "g2p.svg";
    printf("\nhow \"knoaquater\" may be spoken, and where the decoder looked 注意力:\n");
    use(&n, s, "knoaquater");
    translator_free(&n.t);
    sg_corpus_free(train);
    sg_corpus_free(test);
}

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    sg_corpus *train = read(g, s->t.train, "train");
    sg_corpus *valid = s->t.valid ? read(g, s->t.valid, "valid") : sg_corpus_of(g, 0, NULL, NULL);
    learn(&n, p, train, valid);
    if (sg_ok(g) && valid->size)
        print_json(&n, s, valid, 0);
    translator_free(&n.t);
    sg_corpus_free(train);
    sg_corpus_free(valid);
}

static void load(attending *n, const program *p)
{
    translator_load(&n->t, p);
    make_model(n, p->settings);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    load(&n, p);
    sg_corpus *c = read(g, s->t.test, "test");
    if (program_some(g, p, program_full(c)))
        print_json(&n, s, c, 0);
    sg_corpus_free(c);
    translator_free(&n.t);
}

static void run_use(sg_context *g, const program *p)
{
    settings *s = p->settings;
    attending n = {.t = {.g = g}};
    load(&n, p);
    if (!s->word)
        sg_fail(g, SG_BAD_ARGUMENT, "what is to be spoken? --word W");
    if (sg_ok(g))
        use(&n, s, s->word);
    translator_free(&n.t);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "From letters to phones. Without a command: learns a made-up spelling, with no file\n"
        "needed. train: from lines of a word, a tab, its phones. evaluate: one line of JSON with\n"
        "word and phone error rates. use: how a word may be spoken.";
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "g2p.safetensors", .batch = 32, .epochs = 8,
                        .lr = 0.003, .clip = 5},
                  .how = {.max_length = 100},
                  .search = {.most = 50, .width = 1, .best = 1, .temperature = 1},
                  .cell = SG_CELL_LSTM,
                  .embed = 32,
                  .hidden = 64,
                  .layers = 1,
                  .dropout = 0.1};
    static const char *const cells[] = {"rnn", "gru", "lstm", NULL}; /* of sg_cell_kind */
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "lines of a word, a tab, its phones"),
        {.help = "Model"},
        {"cell", "recurrent cell", .choice = &s.cell, .choices = cells},
        {"embed", "features of a letter or phone", .integer = &s.embed, .low = 1, .high = 65536},
        {"hidden", "units of the state, even", .integer = &s.hidden, .low = 2, .high = 65536},
        {"layers", "on each side", .integer = &s.layers, .low = 1, .high = SG_MAX_LAYERS},
        {"dropout", "on embeddings, between layers, on the readout", .number = &s.dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        TRANSLATOR_TRAINING_OPTIONS(s.how),
        TRANSLATOR_SEARCH_OPTIONS(s.search),
        {.help = "Use"},
        {"word", "to be spoken", .text = &s.word},
        {0}};
    static const command commands[] = {
        {"", run_made_up}, {"train", run_train}, {"evaluate", run_evaluate}, {"use", run_use}, {0}};
    return program_main(argc, argv, &(program){"g2p", about, table, &s.t, commands, &s});
}
