/*
 * oracle_dump: what tests/oracle/torch_seq2seq.py needs to train the same model elsewhere.
 *
 *     oracle_dump --train F --out DIR [--valid F] [--steps N] [--epochs N] [options of seq2seq]
 *
 * Vocabularies, batches and model are made as `seq2seq train` makes them. Into DIR, which exists:
 *     model.safetensors  the initial parameters, with options and vocabularies as texts
 *     batches.jsonl      a batch a line: {"epoch", "source": [[ids]], "target": [[ids]]}, the
 * source with its stop token, the target with neither start nor stop valid.jsonl        the same of
 * the validation pairs, in their order, with "reference": [text] run.json           learning rate,
 * clipping, smoothing, seed losses.jsonl       {"loss", "norm"} of each of the first N steps,
 * without dropout
 */
#include "examples/options.h"
#include "examples/translator.h"
#include "optim/optim.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

typedef struct config { /* of the model; written beside it, for the other side to make the same */
    int cell, attention, attend, source_units, target_units, embed, hidden, layers;
    double dropout;
    bool lower, feed;
    int max_length; /* of a translation */
} config;

typedef struct settings {
    const char *train, *valid, *out, *units;
    int source_column, target_column;
    config c;
    int batch, steps, epochs, seed, threads, max_length, max_vocabulary, min_count;
    double lr, clip, smoothing;
} settings;

static const char *const cells[] = {"rnn", "gru", "lstm", NULL};
static const char *const attentions[] = {"dot", "general", "concat", "none", NULL};
static const char *const attends[] = {"pre", "post", NULL};

/* ---- files ----------------------------------------------------------------------------------- */

static const char *path_of(const settings *s, const char *name, char *buf, size_t size)
{
    snprintf(buf, size, "%s/%s", s->out, name);
    return buf;
}

static FILE *open_in(sg_context *g, const settings *s, const char *name)
{
    char path[4096];
    FILE *f = fopen(path_of(s, name, path, sizeof path), "w");
    if (!f)
        sg_fail(g, SG_IO, "%s: cannot be written", path);
    return f;
}

/* Ends a line; takes j over. */
static void put(sg_context *g, FILE *f, json_t *j)
{
    if (!j || json_dumpf(j, f, JSON_COMPACT) || fputc('\n', f) == EOF)
        sg_fail(g, SG_IO, "a line could not be written");
    json_decref(j);
}

static void finish(sg_context *g, FILE *f)
{
    if (fclose(f))
        sg_fail(g, SG_IO, "a file could not be written");
}

/* `count` rows of a padded array as lists of their own lengths, less what is to be left out. */
static json_t *rows_of(const int32_t *ids, const int32_t *lengths, int count, int time, int less)
{
    json_t *rows = json_array();
    for (int b = 0; b < count; b++) {
        json_t *row = json_array();
        for (int t = 0; t < lengths[b] - less; t++)
            json_array_append_new(row, json_integer(ids[b * time + t]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *batch_line(const sg_batch *b, const sg_corpus *c, bool references)
{
    json_t *j =
        json_pack("{sI so so}", "epoch", (json_int_t)b->epoch, "source",
                  rows_of(b->source, b->source_lengths, b->size, b->source_time, 0), "target",
                  rows_of(b->target_out, b->target_lengths, b->size, b->target_time, 1));
    if (references) {
        json_t *texts = json_array();
        for (int i = 0; i < b->size; i++)
            json_array_append_new(texts, json_string(c->target[b->index[i]]));
        json_object_set_new(j, "reference", texts);
    }
    return j;
}

/* ---- making ---------------------------------------------------------------------------------- */

static sg_corpus *read_pairs(sg_context *g, const settings *s, const char *path)
{
    return sg_corpus_read(g, path, .source_column = s->source_column,
                          .target_column = s->target_column);
}

static sg_vocabulary *vocabulary(sg_context *g, const settings *s, int n, const char *const *texts,
                                 int units)
{
    sg_tokenizer t = {.units = (sg_units)units,
                      .punctuation = true,
                      .casing = s->c.lower ? SG_CASE_LOWER : SG_CASE_KEEP};
    return sg_vocabulary_build(g, n, texts, .tokenizer = t, .min_count = s->min_count,
                               .max_size = s->max_vocabulary);
}

static char *config_text(const config *c)
{
    json_t *j = json_pack("{si si si si si si si si sf sb sb si}", "cell", c->cell, "attention",
                          c->attention, "attend", c->attend, "source_units", c->source_units,
                          "target_units", c->target_units, "embed", c->embed, "hidden", c->hidden,
                          "layers", c->layers, "dropout", c->dropout, "lower", c->lower, "feed",
                          c->feed, "max_length", c->max_length);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

/* The model that `seq2seq train` makes, in a file with all that belongs to it. */
static sg_seq2seq dump_model(translator *t, const settings *s, const sg_corpus *c, const char *path)
{
    static const sg_score score[] = {SG_DOT, SG_GENERAL, SG_CONCAT, SG_DOT};
    t->source = vocabulary(t->g, s, c->size, c->source, s->c.source_units);
    t->target = vocabulary(t->g, s, c->size, c->target, s->c.target_units);
    sg_seq2seq m = {.o = {.g = t->g}};
    if (!sg_ok(t->g))
        return m;
    m = sg_make_seq2seq(
        t->g, "seq2seq", sg_vocabulary_size(t->source), sg_vocabulary_size(t->target), s->c.embed,
        s->c.hidden, s->c.layers, (sg_cell_kind)s->c.cell, .no_attention = s->c.attention == 3,
        .score = score[s->c.attention], .post = s->c.attend == 1 && s->c.attention != 3,
        .input_feeding = s->c.feed, .dropout = s->c.dropout, .reset = SG_RESET_AFTER);
    char *text = config_text(&s->c);
    sg_set_meta(t->g, "translator", text ? text : "");
    sg_set_meta(t->g, "source_vocabulary", sg_vocabulary_json(t->source));
    sg_set_meta(t->g, "target_vocabulary", sg_vocabulary_json(t->target));
    free(text);
    sg_save(t->g, path);
    return m;
}

static void dump_batches(translator *t, const settings *s, const sg_corpus *c)
{
    sg_batches *d = translator_batches(t, c, s->batch, s->max_length, false);
    sg_batch b = {.seed = (uint64_t)s->seed};
    FILE *f = open_in(t->g, s, "batches.jsonl");
    for (int n = 0; f && sg_ok(t->g) && (s->epochs ? b.epoch < s->epochs : n < s->steps);)
        if (sg_batch_next(d, &b)) {
            put(t->g, f, batch_line(&b, c, false));
            n++;
        }
    if (f)
        finish(t->g, f);
    sg_batches_free(d);
}

static void dump_valid(translator *t, const settings *s)
{
    sg_corpus *c = read_pairs(t->g, s, s->valid);
    sg_batches *d = translator_batches(t, c, s->batch, 0, true);
    sg_batch b = {0};
    FILE *f = sg_ok(t->g) ? open_in(t->g, s, "valid.jsonl") : NULL;
    while (f && sg_ok(t->g) && sg_batch_next(d, &b))
        put(t->g, f, batch_line(&b, c, true));
    if (f)
        finish(t->g, f);
    sg_batches_free(d);
    sg_corpus_free(c);
}

static void dump_run(sg_context *g, const settings *s)
{
    FILE *f = open_in(g, s, "run.json");
    if (!f)
        return;
    put(g, f,
        json_pack("{sf sf sf si}", "lr", s->lr, "clip", s->clip, "smoothing", s->smoothing, "seed",
                  s->seed));
    finish(g, f);
}

/* The first steps of the training, and what their losses were. */
static void dump_losses(translator *t, const sg_seq2seq *m, const settings *s, const sg_corpus *c)
{
    sg_context *g = t->g;
    sg_optimizer adam = sg_adam(g, .rate = s->lr, .clip_norm = s->clip);
    sg_batches *d = translator_batches(t, c, s->batch, s->max_length, false);
    sg_batch b = {.seed = (uint64_t)s->seed};
    FILE *f = open_in(g, s, "losses.jsonl");
    for (int n = 0; f && sg_ok(g) && n < s->steps;) {
        if (!sg_batch_next(d, &b))
            continue;
        sg_loss loss = sg_seq2seq_loss(m, &b, s->smoothing);
        if (sg_step(&adam, loss.mean) == SG_OK)
            put(g, f,
                json_pack("{sf sf}", "loss", sg_item(loss.mean), "norm",
                          adam.norm ? sg_item(adam.norm) : 0.0));
        sg_reset(g);
        n++;
    }
    if (f)
        finish(g, f);
    sg_batches_free(d);
}

static int run(const settings *s)
{
    char path[4096];
    sg_context *g = sg_open(.seed = (uint64_t)s->seed, .threads = s->threads);
    sg_corpus *c = read_pairs(g, s, s->train);
    if (sg_ok(g) && c->size == 0)
        sg_fail(g, SG_BAD_ARGUMENT, "%s: there is no sentence pair", s->train);
    translator t = {.g = g};
    sg_seq2seq m = dump_model(&t, s, c, path_of(s, "model.safetensors", path, sizeof path));
    if (sg_ok(g)) {
        dump_run(g, s);
        dump_batches(&t, s, c);
        if (s->valid)
            dump_valid(&t, s);
        dump_losses(&t, &m, s, c);
    }
    translator_free(&t);
    sg_corpus_free(c);
    if (!sg_ok(g))
        fprintf(stderr, "oracle_dump: %s\n", sg_errmsg(g));
    int status = sg_ok(g) ? 0 : 1;
    sg_close(g);
    return status;
}

/* "char" or "char,word", as in seq2seq. */
static bool read_units(settings *s)
{
    static const char *const names[] = {[SG_UNITS_WORD] = "word", [SG_UNITS_CHAR] = "char"};
    const char *comma = strchr(s->units, ','), *second = comma ? comma + 1 : s->units;
    size_t n = comma ? (size_t)(comma - s->units) : strlen(s->units);
    s->c.source_units = s->c.target_units = -1;
    for (int i = 0; i < 2; i++) {
        if (strlen(names[i]) == n && !strncmp(s->units, names[i], n))
            s->c.source_units = i;
        if (!strcmp(second, names[i]))
            s->c.target_units = i;
    }
    return s->c.source_units >= 0 && s->c.target_units >= 0;
}

int main(int argc, char **argv)
{
    settings s = {
        .target_column = 1,
        .units = "char",
        .c = {.cell = 1, .attend = 1, .embed = 64, .hidden = 128, .layers = 1, .max_length = 100},
        .batch = 64,
        .seed = 1,
        .threads = 1,
        .max_length = 100,
        .min_count = 1,
        .lr = 0.002,
        .clip = 5};
    const option table[] = {
        {.help = "Data"},
        {"train", "sentence pairs, a TSV", .text = &s.train, .value = "FILE"},
        {"valid", "pairs to validate with", .text = &s.valid, .value = "FILE"},
        {"out", "folder to write to", .text = &s.out, .value = "DIR"},
        {"source-column", "of a TSV, from 0", .integer = &s.source_column, .low = 0, .high = 99},
        {"target-column", "of a TSV, from 0", .integer = &s.target_column, .low = 0, .high = 99},
        {"units", "char or word, or SOURCE,TARGET", .text = &s.units, .value = "UNITS"},
        {"lower", "lower-case everything", .flag = &s.c.lower},
        {"max-length", "longer pairs are left out", .integer = &s.max_length, .low = 1,
         .high = 1000},
        {"max-vocabulary", "most tokens on each side, 0: all", .integer = &s.max_vocabulary,
         .low = 0, .high = 1e9},
        {"min-count", "rarer tokens are <unk>", .integer = &s.min_count, .low = 1, .high = 1e9},
        {.help = "Model"},
        {"cell", "recurrent cell", .choice = &s.c.cell, .choices = cells},
        {"attention", "score", .choice = &s.c.attention, .choices = attentions},
        {"attend", "before or after a step", .choice = &s.c.attend, .choices = attends},
        {"feed", "input feeding", .flag = &s.c.feed},
        {"embed", "features of a token", .integer = &s.c.embed, .low = 1, .high = 65536},
        {"hidden", "units of the state, even", .integer = &s.c.hidden, .low = 2, .high = 65536},
        {"layers", "on each side", .integer = &s.c.layers, .low = 1, .high = SG_MAX_LAYERS},
        {"dropout", "noted for the other side; none here", .number = &s.c.dropout, .low = 0,
         .high = 0.95},
        {.help = "Training"},
        {"batch", "sentences", .integer = &s.batch, .low = 1, .high = 65536},
        {"steps", "to train here", .integer = &s.steps, .low = 0, .high = 1e6},
        {"epochs", "of batches to write; 0: those of the steps", .integer = &s.epochs, .low = 0,
         .high = 1000},
        {"lr", "learning rate of Adam", .number = &s.lr, .low = 1e-9, .high = 10},
        {"clip", "norm that gradients are clipped to, 0: none", .number = &s.clip, .low = 0,
         .high = 1e9},
        {"smoothing", "of labels", .number = &s.smoothing, .low = 0, .high = 0.9},
        {"seed", "of everything random", .integer = &s.seed, .low = 1, .high = 2147483647},
        {"threads", "to compute with", .integer = &s.threads, .low = 1, .high = 256},
        {0}};
    int status = options_read(&argc, argv, table, "oracle_dump --train FILE --out DIR [options]",
                              "Writes a model, batches and losses for tests/oracle.");
    if (status >= 0)
        return status;
    if (argc > 1 || !s.train || !s.out || !read_units(&s)) {
        fprintf(stderr, "oracle_dump: --train FILE and --out DIR, and units of char or word\n");
        return 2;
    }
    return run(&s);
}
