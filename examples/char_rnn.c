/*
 * A language model of characters 字符语言模型
 *
 *     char_rnn                                  learns to write Chinese numerals, without any file
 *     char_rnn train --train F --model M        learns from a text 训练
 *     char_rnn evaluate --model M --test F      每字的奈特数、比特数
 *     char_rnn generate --model M --prompt S    续写
 *     char_rnn gates --model M --prompt S       what the gates do at each character 门
 *
 * The model is in language.c. A text is told character by character, the ends of its lines among
 * them, Latin letters and Chinese characters alike. The mean of -log P(next character) is in nats,
 * or divided by log 2 in bits per character 每字比特数: what a perfect compressor that knew the
 * model would need.
 *
 * To write 生成, the model's own choice is its next input, again and again. The choice is drawn
 * from softmax(logits / T): at temperature 温度 T = 1 from what the model believes, near 0 the most
 * probable always, above 1 ever more evenly; or from the k most probable ones only (--top-k), or
 * the fewest that reach a probability (--top-p).
 */
#include "examples/language.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    training t;
    language_config c;
    int time, sampling, min_count, length, lines, top_k;
    double temperature, top_p, last;
    const char *prompt, *gates_plot;
} settings;

/* ---- training 训练 --------------------------------------------------------------------------- */

typedef struct learner {
    language model;
    sg_subsequences *train;
    sg_subsequence at;
    const sg_sequence *valid;
} learner;

enum { SCORED_ROWS = 10 }; /* of what is held out, if it is longer */

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    if (!sg_subsequence_next(k->train, &k->at))
        return false;
    sg_tensor *sum = language_loss(&k->model, &k->at);
    l->tokens = k->at.tokens;
    l->loss = sg_div(sum, sg_like(sum, (double)l->tokens));
    return true;
}

static double score(void *user, progress *p)
{
    learner *k = user;
    sg_nll nll = language_score(&k->model, k->valid, SCORED_ROWS);
    progress_metric(p, "bits", sg_bits_per_token(&nll));
    return nll.sum / (double)nll.tokens;
}

/* Trains on a text, of which the last part is held out if there is no other to stop by, and saves
 * the model; returns it. */
static language learn(sg_context *g, const program *p, const sg_vocabulary *v,
                      const sg_sequence *text, const sg_sequence *valid)
{
    settings *s = p->settings;
    learner k = {.at.seed = (uint64_t)s->t.seed, .valid = valid};
    fprintf(stderr, "%lld characters, %lld held out, %d kinds\n", (long long)text->count - 1,
            (long long)valid->count - 1, sg_vocabulary_size(v) - SG_RESERVED);
    k.model = language_make(g, s->c, v);
    k.train = sg_subsequences_make(g, text, s->t.batch, s->time, .random = s->sampling == 1);
    program_train(g, &s->t,
                  (lesson){&k, k.train->batches, false, next,
                           valid->count > SCORED_ROWS ? score : NULL, "nats"});
    if (sg_ok(g))
        program_save(g, p);
    sg_subsequences_free(k.train);
    return k.model;
}

/* ---- writing 生成 --------------------------------------------------------------------------- */

/* Continues a prompt by so many characters, or lines if that comes first. */
static void generate(const language *m, const sg_vocabulary *v, const settings *s, FILE *f)
{
    const char *prompt = s->prompt ? s->prompt : "";
    const size_t most = strlen(prompt) + 1; /* tokens are bytes or longer */
    int32_t *ids = sg_room(m->g, most * sizeof *ids);
    int n = ids ? sg_encode(v, prompt, (int)most, ids) : 0, lines = 0;
    const sg_deep_model deep = {m->c.layers, m->layer, m->table, language_out(m)};
    if (!sg_ok(m->g))
        return;
    sg_stepper step = sg_deep_stepper(&deep, 1, NULL);
    step.start = SG_STOP; /* what is before the first line; */
    step.stop = -1;       /* and the end of a line is not the end of all */
    sg_hypotheses h = sg_sample(&step, n + s->length, s->temperature, s->top_k, s->top_p,
                                .prefix = ids, .prefix_time = n);
    bool end = false;
    fprintf(f, "%s", prompt);
    for (int i = n; i < h.most && lines < s->lines; i++) {
        end = h.ids[i] == SG_STOP;
        fprintf(f, "%s", end ? "\n" : sg_vocabulary_text(v, h.ids[i]));
        lines += end;
    }
    if (sg_ok(m->g) && !end)
        fputc('\n', f);
    sg_reset(m->g);
}

/* ---- the default: numerals 数字 ------------------------------------------------------------- */

enum { NUMERALS = 12000, MOST_NUMBER = 9999, ASKED = 400, SHOWN = 8 };

/* 1..9999: 3005 is 三千零五, 12 is 十二 */
static void write_numeral(int n, char *s)
{
    static const char *const digits[] = {"零", "一", "二", "三", "四",
                                         "五", "六", "七", "八", "九"};
    static const char *const units[] = {"千", "百", "十", ""};
    bool begun = false, zero = false;
    *s = '\0';
    for (int i = 0, unit = 1000; i < 4; i++, unit /= 10) {
        int digit = n / unit % 10;
        if (digit == 0) {
            zero = begun;
            continue;
        }
        if (zero)
            strcat(s, digits[0]);
        if (digit != 1 || unit != 10 || begun)
            strcat(s, digits[digit]);
        strcat(s, units[i]);
        begun = true;
        zero = false;
    }
}

/* Lines such as "3005 三千零五": once the digits are known there is no choice left. So the true
 * entropy of a line is log 9999, which *nats gets for each character. */
static sg_corpus *numerals(sg_context *g, uint64_t seed, int n, double *nats)
{
    enum { ROOM = 64 };
    char(*room)[ROOM] = malloc((size_t)n * sizeof *room);
    const char **text = malloc((size_t)n * sizeof *text);
    sg_nll nll = {0};
    for (int i = 0; room && text && i < n; i++) {
        char numeral[ROOM / 2];
        int k = 1 + (int)(program_draw(&seed) % MOST_NUMBER);
        write_numeral(k, numeral);
        int digits = snprintf(room[i], ROOM, "%d %s", k, numeral) - (int)strlen(numeral);
        text[i] = room[i];
        sg_nll_add(&nll, log(MOST_NUMBER), digits + (int64_t)strlen(numeral) / 3 + 1);
    }
    if (!room || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d lines", n);
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, text, NULL);
    *nats = nll.sum / (double)nll.tokens;
    free(room);
    free(text);
    return c;
}

/* Of lines that the model writes by itself: how many are right. */
static double right_lines(const language *m, const sg_vocabulary *v, settings s)
{
    char line[256], expected[64];
    int right = 0, lines = 0;
    FILE *f = tmpfile();
    if (!f)
        return NAN;
    s.lines = ASKED;
    s.length = ASKED * 16;
    generate(m, v, &s, f);
    rewind(f);
    while (fgets(line, sizeof line, f)) {
        char *end;
        long k = strtol(line, &end, 10);
        line[strcspn(line, "\n")] = '\0';
        write_numeral(k > 0 && k <= MOST_NUMBER ? (int)k : 0, expected);
        right += *end == ' ' && *expected && strcmp(end + 1, expected) == 0;
        if (lines++ < SHOWN)
            printf("  %s\n", line);
    }
    fclose(f);
    return 100.0 * right / (lines ? lines : 1);
}

static void run_numerals(sg_context *g, const program *p)
{
    static const double temperatures[] = {0.5, 1, 1.5};
    settings *s = p->settings;
    double unused, nats;
    sg_corpus *train = numerals(g, (uint64_t)s->t.seed, NUMERALS, &unused);
    sg_corpus *valid = numerals(g, (uint64_t)s->t.seed + 1, NUMERALS / 20, &nats);
    sg_vocabulary *v =
        sg_vocabulary_build(g, train->size, train->source, .tokenizer.units = SG_UNITS_CHAR);
    sg_sequence *text = sg_sequence_of(g, train, v), *held = sg_sequence_of(g, valid, v);
    sg_set_meta(g, "vocabulary", sg_vocabulary_json(v));
    language m = learn(g, p, v, text, held);
    sg_nll nll = sg_ok(g) ? language_score(&m, held, 1) : (sg_nll){0};
    if (sg_ok(g))
        printf("nats a character 每字奈特 %.4f; of the numerals themselves 数字本身的 %.4f\n",
               nll.sum / (double)nll.tokens, nats);
    for (int i = 0; i < 3 && sg_ok(g) && !program_interrupted(); i++) {
        settings at = *s;
        at.temperature = temperatures[i];
        printf("written at temperature 温度 %g:\n", at.temperature);
        double right = right_lines(&m, v, at);
        printf("  right 正确 %.1f %%\n", right);
    }
    if (sg_ok(g) && !program_interrupted() && s->c.cell.kind != SG_CELL_RNN) {
        printf("\ngates, their means and some of their units 门:\n");
        language_draw_gates(&m, v, "3005 三千零五", stdout,
                            s->gates_plot ? s->gates_plot : "char_rnn.svg");
    }
    sg_sequence_free(text);
    sg_sequence_free(held);
    sg_vocabulary_free(v);
    sg_corpus_free(train);
    sg_corpus_free(valid);
}

/* ---- the commands 命令 ---------------------------------------------------------------------- */

static void run_train(sg_context *g, const program *p)
{
    settings *s = p->settings;
    sg_corpus *train = program_lines(g, s->t.train, "train");
    sg_corpus *valid =
        s->t.valid ? program_lines(g, s->t.valid, "valid") : sg_corpus_of(g, 0, NULL, NULL);
    sg_vocabulary *v = sg_vocabulary_build(
        g, train->size, train->source, .tokenizer.units = SG_UNITS_CHAR, .min_count = s->min_count);
    sg_sequence *text = sg_sequence_of(g, train, v), *other = sg_sequence_of(g, valid, v);
    language_parts parts = language_cut(text, 1 - s->t.hold);
    sg_set_meta(g, "vocabulary", sg_vocabulary_json(v));
    const sg_sequence *first = s->t.valid ? text : &parts.first,
                      *held = s->t.valid ? other : &parts.rest;
    language m = sg_ok(g) ? learn(g, p, v, first, held) : (language){.g = g};
    if (sg_ok(g) && !program_interrupted())
        generate(&m, v, s, stdout);
    sg_sequence_free(text);
    sg_sequence_free(other);
    sg_vocabulary_free(v);
    sg_corpus_free(train);
    sg_corpus_free(valid);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    int lines;
    sg_nll nll = language_evaluate(g, p, &s->c, s->last, &lines);
    if (sg_ok(g))
        printf("{\"nats\": %.6g, \"bits\": %.6g, \"characters\": %lld}\n",
               nll.sum / (double)nll.tokens, sg_bits_per_token(&nll), (long long)nll.tokens);
}

static void run_generate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    sg_vocabulary *v;
    language m = language_load(g, p, &s->c, &v);
    if (sg_ok(g))
        generate(&m, v, s, stdout);
    sg_vocabulary_free(v);
}

static void run_gates(sg_context *g, const program *p)
{
    settings *s = p->settings;
    sg_vocabulary *v;
    language m = language_load(g, p, &s->c, &v);
    if (sg_ok(g))
        language_draw_gates(&m, v, s->prompt ? s->prompt : "", stdout, s->gates_plot);
    sg_vocabulary_free(v);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "A recurrent language model of characters. Without a command: learns to write Chinese\n"
        "numerals, with no file needed. train: from a text. generate: goes on from a prompt.\n"
        "gates: what they do at each of its characters. evaluate: one line of JSON with nats and\n"
        "bits per character.";
    static const char *const samplings[] = {"sequential", "random", NULL};
    settings s = {.t = {PROGRAM_DEFAULTS, .model = "char_rnn.safetensors", .batch = 32,
                        .epochs = 10, .lr = 0.002, .clip = 5, .hold = 0.1},
                  .c = {.cell.kind = SG_CELL_LSTM, .embed = 32, .hidden = 128, .layers = 1},
                  .time = 64,
                  .min_count = 1,
                  .temperature = 0.8,
                  .last = 1,
                  .length = 500,
                  .lines = 1000000};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "a text"),
        {"hold", "share of --train, its end, that is held out where there is no --valid",
         .number = &s.t.hold, .low = 0.01, .high = 0.9},
        {"last", "share of --test, its end, that is evaluated", .number = &s.last, .low = 0.01,
         .high = 1},
        {"min-count", "rarer characters are <unk>", .integer = &s.min_count, .low = 1, .high = 1e9},
        {.help = "Model"},
        CELLS_OPTIONS(s.c.cell),
        {"embed", "features of a character", .integer = &s.c.embed, .low = 1, .high = 65536},
        {"hidden", "units of a layer", .integer = &s.c.hidden, .low = 1, .high = 65536},
        {"tied", "the output layer is the embedding", .flag = &s.c.tied},
        {"layers", "of the cell", .integer = &s.c.layers, .low = 1, .high = LANGUAGE_LAYERS},
        {"dropout", "on what goes into and out of layers", .number = &s.c.dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        {"time", "characters of a row in a step", .integer = &s.time, .low = 1, .high = 10000},
        {"sampling", "of subsequences", .choice = &s.sampling, .choices = samplings},
        {.help = "Writing"},
        {"prompt", "what to go on from", .text = &s.prompt},
        {"gates-plot", "SVG of the gates", .text = &s.gates_plot, .value = "FILE"},
        {"temperature", "of the choice", .number = &s.temperature, .low = 0.01, .high = 100},
        {"top-k", "draw from the k most probable; 0: from all", .integer = &s.top_k, .low = 0,
         .high = 1e9},
        {"top-p", "draw from the fewest of which probabilities reach P; 0: from all",
         .number = &s.top_p, .low = 0, .high = 1},
        {"length", "characters at most", .integer = &s.length, .low = 0, .high = 1e9},
        {"lines", "lines at most", .integer = &s.lines, .low = 0, .high = 1e9},
        {0}};
    static const command commands[] = {{"", run_numerals},         {"train", run_train},
                                       {"evaluate", run_evaluate}, {"generate", run_generate},
                                       {"gates", run_gates},       {0}};
    return program_main(argc, argv, &(program){"char_rnn", about, table, &s.t, commands, &s});
}
