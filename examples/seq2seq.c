/*
 * Sequence to sequence with attention 序列到序列与注意力
 *
 *     seq2seq                        learns to read dates, without any file 默认：学习读日期
 *     seq2seq train --train F --valid F --model M      learns from sentence pairs 训练
 *     seq2seq translate --model M < source > target    翻译
 *     seq2seq evaluate --model M --test F              评估
 *
 * The encoder 编码器 reads the source in both directions; the decoder 解码器 writes the target, and
 * at each step looks at the encoder's states by attention 注意力. It is trained with the true
 * tokens before each step as its inputs (teacher forcing 教师强制), and decodes greedily 贪心解码.
 * All of it is made in models/seq2seq.c, of plain ops; this program is about training and using it.
 */
#include "examples/dates.h"
#include "examples/options.h"
#include "examples/profile.h"
#include "examples/progress.h"
#include "examples/translator.h"
#include "optim/optim.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct settings {
    const char *train, *valid, *test, *train_src, *train_tgt, *valid_src, *valid_tgt;
    const char *model, *log, *plot, *units, *profile;
    int source_column, target_column;
    translator_config c;
    int batch, epochs, seed, threads, max_length, max_vocabulary, min_count, patience, schedule;
    double lr, clip, smoothing;
} settings;

static const char *const cells[] = {"rnn", "gru", "lstm", NULL};
static const char *const attentions[] = {"dot", "general", "concat", "none", NULL};
static const char *const attends[] = {"pre", "post", NULL};
static const char *const schedules[] = {"constant", "cosine", NULL};

static settings defaults(void)
{
    return (settings){
        .model = "seq2seq.safetensors",
        .target_column = 1,
        .c = {.cell = 1, .attend = 1, .embed = 64, .hidden = 128, .layers = 1, .max_length = 100},
        .units = "char",
        .batch = 64,
        .seed = 1,
        .threads = 2,
        .max_length = 100,
        .min_count = 1,
        .patience = 3,
        .lr = 0.002,
        .clip = 5};
}

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static sg_context *begin(const settings *s)
{
    sg_context *g = sg_open(.seed = (uint64_t)s->seed, .threads = s->threads);
    if (s->profile)
        sg_profile(g, true);
    return g;
}

static int report(sg_context *g, const settings *s)
{
    bool ok = sg_ok(g);
    if (!ok)
        fprintf(stderr, "seq2seq: %s\n", sg_errmsg(g));
    else if (s->profile)
        ok = profile_write(g, s->profile);
    sg_close(g);
    return ok ? 0 : 1;
}

/* ---- training 训练 --------------------------------------------------------------------------- */

typedef struct pairs {
    sg_corpus *train, *valid;
} pairs;

/* One epoch; false at Ctrl-C or after an error. */
static bool epoch(translator *t, sg_optimizer *adam, sg_batches *d, sg_batch *b, const settings *s,
                  progress *p)
{
    sg_context *g = t->g;
    sg_train(g, true);
    while (!interrupted && sg_ok(g) && sg_batch_next(d, b)) {
        sg_loss loss = sg_seq2seq_loss(&t->model, b, s->smoothing);
        if (sg_step(adam, loss.mean) == SG_OK)
            progress_step(p, sg_item(loss.mean), loss.tokens);
        sg_reset(g);
    }
    sg_train(g, false);
    return sg_ok(g) && !interrupted;
}

/* Trains until the validation loss has stopped falling; leaves the best parameters. */
static void train(translator *t, pairs data, const settings *s)
{
    sg_context *g = t->g;
    sg_batches *d = translator_batches(t, data.train, s->batch, s->max_length, false);
    sg_schedule schedule = {s->schedule ? SG_COSINE : SG_CONSTANT_RATE,
                            .period = (double)d->batches * s->epochs};
    sg_optimizer adam = sg_adam(g, .rate = s->lr, .clip_norm = s->clip, .schedule = schedule);
    sg_stopper stopper = {.patience = s->patience};
    sg_batches *v = data.valid ? translator_batches(t, data.valid, s->batch, 0, true) : NULL;
    sg_batch b = {.seed = (uint64_t)s->seed};
    progress p;
    progress_open(&p, (progress_options){.log = s->log, .epochs = s->epochs, .perplexity = true});
    for (int e = 1; e <= s->epochs && sg_ok(g); e++) {
        progress_epoch(&p, e, d->batches);
        bool whole = epoch(t, &adam, d, &b, s, &p);
        double valid = NAN;
        if (whole && v) {
            sg_nll nll = translator_loss(t, v);
            valid = nll.sum / (double)nll.tokens;
            progress_metric(&p, "valid_loss", valid);
        }
        progress_end_epoch(&p);
        if (!whole || (v && sg_stopper_done(&stopper, g, valid)))
            break;
    }
    if (interrupted)
        progress_say(&p, "interrupted: the model is saved as it is");
    else if (v)
        sg_stopper_restore(&stopper, g);
    if (!progress_close(&p))
        sg_fail(g, SG_IO, "%s: the log could not be written", s->log);
    sg_batches_free(d);
    if (v)
        sg_batches_free(v);
}

/* ---- the default: dates 日期
 * --------------------------------------------------------------------- */

enum { TRAIN_DATES = 60000, TEST_DATES = 2000, SHOWN = 10 };

static sg_corpus *dates(sg_context *g, uint64_t seed, bool test, int n)
{
    date_pair *p = malloc((size_t)n * sizeof *p);
    const char **text = malloc(2 * (size_t)n * sizeof *text);
    sg_corpus *c = NULL;
    if (p && text) {
        dates_generate(seed, test, n, p);
        for (int i = 0; i < n; i++) {
            text[i] = p[i].source;
            text[n + i] = p[i].target;
        }
        c = sg_corpus_of(g, n, text, text + n);
    } else {
        sg_fail(g, SG_NO_MEMORY, "no memory for %d dates", n);
        c = sg_corpus_of(g, 0, NULL, NULL);
    }
    free(p);
    free(text);
    return c;
}

static translator new_translator(sg_context *g, const settings *s, const sg_corpus *c)
{
    sg_tokenizer source = {.units = (sg_units)s->c.source_units, .punctuation = true};
    sg_tokenizer target = {.units = (sg_units)s->c.target_units, .punctuation = true};
    source.casing = target.casing = s->c.lower ? SG_CASE_LOWER : SG_CASE_KEEP;
    return translator_new(
        g, s->c,
        sg_vocabulary_build(g, c->size, c->source, .tokenizer = source, .min_count = s->min_count,
                            .max_size = s->max_vocabulary),
        sg_vocabulary_build(g, c->size, c->target, .tokenizer = target, .min_count = s->min_count,
                            .max_size = s->max_vocabulary));
}

static void show(void *user, int index, const char *translation)
{
    const sg_corpus *c = user;
    bool right = strcmp(translation, c->target[index]) == 0;
    printf("  %s  %s%*s  %s\n", right ? "ok" : "no", c->source[index],
           40 - sg_text_width(c->source[index]) > 0 ? 40 - sg_text_width(c->source[index]) : 0, "",
           translation);
}

/* Trains on dates with the attention of s; the exact matches on years never seen, in percent. */
static double learn_dates(sg_context *g, settings *s, bool attention)
{
    pairs data = {dates(g, (uint64_t)s->seed, false, TRAIN_DATES), NULL};
    sg_corpus *test = dates(g, (uint64_t)s->seed, true, TEST_DATES);
    if (!attention)
        s->c.attention = 3;
    translator t = new_translator(g, s, data.train);
    clock_t start = clock();
    if (sg_ok(g))
        train(&t, data, s);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    double exact = sg_ok(g) ? translator_evaluate(&t, test, 256).exact : 0;
    if (sg_ok(g) && !attention)
        printf("without attention 没有注意力: exact %.1f %%\n", exact);
    if (sg_ok(g) && attention) {
        sg_corpus *few = sg_corpus_of(g, SHOWN, test->source, test->target);
        printf("\ntranslations of dates from years never seen 译文（训练中没有的年份）:\n");
        translator_translate(&t, few, SHOWN, show, few);
        printf("\nwhere the decoder looked 注意力:\n");
        translator_plot(&t, "二〇二六年十一月二十一日", stdout, NULL);
        translator_plot(&t, "Saturday, 21 November 2026", stdout, s->plot);
        if (!interrupted || sg_ok(g))
            translator_save(&t, s->model);
        printf("\nsaved 已保存: %s, %s\n", s->model, s->plot);
        sg_corpus_free(few);
    }
    fprintf(stderr, "%.0f s of computing\n", seconds);
    translator_free(&t);
    sg_corpus_free(test);
    sg_corpus_free(data.train);
    return exact;
}

static int run_dates(settings s)
{
    s.epochs = s.epochs ? s.epochs : 4;
    s.schedule = 1;
    s.plot = s.plot ? s.plot : "seq2seq.svg";
    sg_context *g = begin(&s);
    settings none = s;
    none.log = none.profile = NULL;
    sg_context *h = begin(&none);
    printf("dates, written in %d ways, to ISO 8601 把各种写法的日期译成标准格式\n",
           dates_formats());
    learn_dates(h, &none, false);
    int failed = report(h, &none);
    double exact = interrupted || failed ? 0 : learn_dates(g, &s, true);
    failed |= report(g, &s);
    if (!failed && !interrupted)
        printf("exact %.1f %%\n", exact);
    return failed;
}

/* ---- the commands 命令 ------------------------------------------------------------------------- */

static sg_corpus *read_pairs(sg_context *g, const settings *s, const char *tsv, const char *source,
                             const char *target)
{
    if (tsv)
        return sg_corpus_read(g, tsv, .source_column = s->source_column,
                              .target_column = s->target_column);
    if (source && target)
        return sg_corpus_read(g, source, target);
    return NULL;
}

static int run_train(settings s)
{
    s.epochs = s.epochs ? s.epochs : 10;
    sg_context *g = begin(&s);
    pairs data = {read_pairs(g, &s, s.train, s.train_src, s.train_tgt),
                  read_pairs(g, &s, s.valid, s.valid_src, s.valid_tgt)};
    if (!data.train) {
        sg_close(g);
        fprintf(stderr, "seq2seq: no training data: --train F, or --train-src F --train-tgt F\n");
        return 2;
    }
    if (sg_ok(g) && data.train->size == 0)
        sg_fail(g, SG_BAD_ARGUMENT, "the training data has no sentence pair");
    translator t = {0};
    if (sg_ok(g)) {
        t = new_translator(g, &s, data.train);
        fprintf(stderr, "%d pairs, vocabularies of %d and %d\n", data.train->size,
                sg_vocabulary_size(t.source), sg_vocabulary_size(t.target));
    }
    if (sg_ok(g))
        train(&t, data, &s);
    if (sg_ok(g) && translator_save(&t, s.model))
        fprintf(stderr, "saved %s\n", s.model);
    translator_free(&t);
    sg_corpus_free(data.train);
    if (data.valid)
        sg_corpus_free(data.valid);
    return report(g, &s);
}

static void print_line(void *user, int index, const char *translation)
{
    (void)index;
    fprintf(user, "%s\n", translation);
}

static int run_translate(settings s)
{
    sg_context *g = begin(&s);
    translator t = translator_load(g, s.model);
    sg_corpus *c = sg_corpus_read(g, "/dev/stdin", .target_column = SG_NO_COLUMN);
    if (sg_ok(g))
        translator_translate(&t, c, s.batch, print_line, stdout);
    if (sg_ok(g) && s.plot && c->size)
        translator_plot(&t, c->source[0], NULL, s.plot);
    sg_corpus_free(c);
    translator_free(&t);
    return report(g, &s);
}

static int run_evaluate(settings s)
{
    sg_context *g = begin(&s);
    translator t = translator_load(g, s.model);
    sg_corpus *c = s.test ? sg_corpus_read(g, s.test, .source_column = s.source_column,
                                           .target_column = s.target_column)
                          : read_pairs(g, &s, NULL, s.valid_src, s.valid_tgt);
    if (!c) {
        translator_free(&t);
        sg_close(g);
        fprintf(stderr, "seq2seq: no test data: --test F\n");
        return 2;
    }
    translator_score r = {0};
    if (sg_ok(g))
        r = translator_evaluate(&t, c, s.batch);
    if (sg_ok(g))
        printf("{\"bleu\": %.4f, \"exact\": %.4f, \"perplexity\": %.6g, \"sentences\": %d, "
               "\"tokens\": %lld}\n",
               r.bleu, r.exact, r.perplexity, r.sentences, (long long)r.tokens);
    sg_corpus_free(c);
    translator_free(&t);
    return report(g, &s);
}

/* "char" or "char,word": units of both sides, or of source and target. */
static bool read_units(settings *s)
{
    char a[8] = "", b[8] = "";
    int n = sscanf(s->units, "%7[a-z],%7[a-z]", a, b);
    const char *second = n == 2 ? b : a;
    bool ok = n >= 1 && (!strcmp(a, "char") || !strcmp(a, "word")) &&
              (!strcmp(second, "char") || !strcmp(second, "word"));
    s->c.source_units = !strcmp(a, "char") ? SG_UNITS_CHAR : SG_UNITS_WORD;
    s->c.target_units = !strcmp(second, "char") ? SG_UNITS_CHAR : SG_UNITS_WORD;
    return ok;
}

int main(int argc, char **argv)
{
    static const char usage[] = "seq2seq [train | translate | evaluate] [options]";
    static const char about[] =
        "Sequence to sequence with attention. Without a command: learns to read dates written in\n"
        "many ways, with no file needed. train: from sentence pairs. translate: lines of standard\n"
        "input to standard output. evaluate: one line of JSON with BLEU, exact matches, "
        "perplexity.";
    settings s = defaults();
    const option table[] = {
        {.help = "Data"},
        {"train", "sentence pairs, a TSV, plain or gzip", .text = &s.train, .value = "FILE"},
        {"valid", "pairs to stop by", .text = &s.valid, .value = "FILE"},
        {"test", "pairs to evaluate", .text = &s.test, .value = "FILE"},
        {"train-src", "source side, a sentence a line", .text = &s.train_src, .value = "FILE"},
        {"train-tgt", "target side", .text = &s.train_tgt, .value = "FILE"},
        {"valid-src", "source side to stop by, or to evaluate", .text = &s.valid_src,
         .value = "FILE"},
        {"valid-tgt", "target side of it", .text = &s.valid_tgt, .value = "FILE"},
        {"source-column", "of a TSV, from 0", .integer = &s.source_column, .low = 0, .high = 99},
        {"target-column", "of a TSV, from 0", .integer = &s.target_column, .low = 0, .high = 99},
        {"units", "char or word, or SOURCE,TARGET", .text = &s.units, .value = "UNITS"},
        {"lower", "lower-case everything", .flag = &s.c.lower},
        {"max-length", "longer pairs are left out of training", .integer = &s.max_length, .low = 1,
         .high = 1000},
        {"max-vocabulary", "most tokens on each side, 0: all", .integer = &s.max_vocabulary,
         .low = 0, .high = 1e9},
        {"min-count", "rarer tokens are <unk>", .integer = &s.min_count, .low = 1, .high = 1e9},
        {.help = "Model"},
        {"model", "file to save to or load from", .text = &s.model, .value = "FILE"},
        {"cell", "recurrent cell", .choice = &s.c.cell, .choices = cells},
        {"attention", "score", .choice = &s.c.attention, .choices = attentions},
        {"attend", "pre: from the state before a step (Bahdanau); post: after (Luong)",
         .choice = &s.c.attend, .choices = attends},
        {"feed", "input feeding", .flag = &s.c.feed},
        {"embed", "features of a token", .integer = &s.c.embed, .low = 1, .high = 65536},
        {"hidden", "units of the state, even", .integer = &s.c.hidden, .low = 2, .high = 65536},
        {"layers", "on each side", .integer = &s.c.layers, .low = 1, .high = SG_MAX_LAYERS},
        {"dropout", "on embeddings and readout", .number = &s.c.dropout, .low = 0, .high = 0.95},
        {.help = "Training"},
        {"batch", "sentences", .integer = &s.batch, .low = 1, .high = 65536},
        {"epochs", "at most; 0: 4 of the dates, 10 of files", .integer = &s.epochs, .low = 0,
         .high = 1e6},
        {"patience", "epochs without improvement that are borne", .integer = &s.patience, .low = 1,
         .high = 1e6},
        {"lr", "learning rate of Adam", .number = &s.lr, .low = 1e-9, .high = 10},
        {"schedule", "of the rate: cosine falls to 0 at the last epoch", .choice = &s.schedule,
         .choices = schedules},
        {"clip", "norm that gradients are clipped to, 0: none", .number = &s.clip, .low = 0,
         .high = 1e9},
        {"smoothing", "of labels", .number = &s.smoothing, .low = 0, .high = 0.9},
        {"seed", "of everything random", .integer = &s.seed, .low = 1, .high = 2147483647},
        {"threads", "to compute with", .integer = &s.threads, .low = 1, .high = 256},
        {"profile", "print where the time went, and write a trace for Perfetto", .text = &s.profile,
         .value = "FILE"},
        {"log", "JSON lines", .text = &s.log, .value = "FILE"},
        {"attention-plot", "SVG of the first sentence's attention", .text = &s.plot,
         .value = "FILE"},
        {0}};
    bool command = argc > 1 && argv[1][0] != '-';
    const char *name = command ? argv[1] : "";
    int rest = argc - command;
    char **arguments = argv + command;
    int status = options_read(&rest, arguments, table, usage, about);
    if (status >= 0)
        return status;
    if (rest > 1 || !read_units(&s)) {
        fprintf(stderr, "seq2seq: %s \"%s\"\n", rest > 1 ? "not understood:" : "units are",
                rest > 1 ? arguments[1] : s.units);
        return 2;
    }
    signal(SIGINT, interrupt);
    if (!*name)
        return run_dates(s);
    if (!strcmp(name, "train"))
        return run_train(s);
    if (!strcmp(name, "translate"))
        return run_translate(s);
    if (!strcmp(name, "evaluate"))
        return run_evaluate(s);
    fprintf(stderr, "seq2seq: no command \"%s\"; see seq2seq --help\n", name);
    return 2;
}
