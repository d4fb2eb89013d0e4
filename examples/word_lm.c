/*
 * A language model of words 词语言模型
 *
 *     word_lm                                        learns a little grammar, without any file
 *     word_lm train --train F --valid F --model M    learns from sentences, one a line 训练
 *     word_lm evaluate --model M --test F            困惑度
 *
 * The model is in language.c: an embedding, layers of LSTM, a softmax over all words. What it is
 * judged by is perplexity 困惑度, exp of the mean of -log P(next word): a model that always
 * hesitates between k words equally probable has perplexity k. No model can do better than the
 * source of the text itself: of the grammar without a file, the true perplexity is known, and
 * shown.
 *
 * The recipe of Zaremba et al. (2014) for the Penn Treebank, 2 layers of 200 units:
 *     --batch 20 --time 20 --hidden 200 --init 0.1 --optimizer sgd --lr 1 --clip 5 --epochs 13
 *     --schedule decay --decay 0.5 --decay-after 4                     which are the defaults;
 * and theirs with dropout, on all connections but the recurrent ones, 650 units:
 *     --time 35 --hidden 650 --init 0.05 --dropout 0.5 --epochs 39 --decay 0.8333 --decay-after 6
 */
#include "examples/grammar.h"
#include "examples/language.h"

#include <math.h>

typedef struct settings {
    training t;
    language_config c;
    int time, sampling, min_count;
} settings;

/* The model with what it learns from. */
typedef struct learner {
    language model;
    sg_subsequences *train;
    sg_subsequence at;
    const sg_sequence *valid;
} learner;

/* ---- training 训练 --------------------------------------------------------------------------- */

/* One step: `time` words of each row. The loss is the sum over time of the mean over the batch, as
 * the recipe has it: its rate and its clipping are meant for that, not for the mean over both. */
static bool next(void *user, program_loss *l)
{
    learner *k = user;
    if (!sg_subsequence_next(k->train, &k->at))
        return false;
    sg_tensor *sum = language_loss(&k->model, &k->at);
    l->loss = sg_div(sum, sg_like(sum, k->at.rows));
    l->factor = k->at.time;
    l->tokens = k->at.tokens;
    return true;
}

static double score(void *user, progress *p)
{
    enum { ROWS = 10 };
    learner *k = user;
    sg_nll nll = language_score(&k->model, k->valid, ROWS);
    progress_metric(p, "valid_ppl", sg_perplexity(&nll));
    return nll.sum / (double)nll.tokens;
}

/* Trains on a text, saves the model, and tells the perplexity of the other text. */
static double learn(sg_context *g, const program *p, const sg_corpus *train, const sg_corpus *valid)
{
    settings *s = p->settings;
    sg_vocabulary *v =
        sg_vocabulary_build(g, train->size, train->source, .min_count = s->min_count);
    sg_sequence *text = sg_sequence_of(g, train, v), *held = sg_sequence_of(g, valid, v);
    learner k = {.at.seed = (uint64_t)s->t.seed, .valid = held};
    fprintf(stderr, "%lld tokens, a vocabulary of %d\n", (long long)text->count - 1,
            sg_vocabulary_size(v) - SG_RESERVED);
    k.model = language_make(g, s->c, v);
    k.train = sg_subsequences_make(g, text, s->t.batch, s->time, .random = s->sampling == 1);
    program_train(
        g, &s->t,
        (lesson){&k, k.train->batches, true, next, held->count > 10 ? score : NULL, NULL});
    if (sg_ok(g)) {
        sg_set_meta(g, "vocabulary", sg_vocabulary_json(v));
        program_save(g, p);
    }
    sg_nll nll = held->count > 1 ? language_score(&k.model, held, 1) : (sg_nll){0};
    sg_subsequences_free(k.train);
    sg_sequence_free(held);
    sg_sequence_free(text);
    sg_vocabulary_free(v);
    return sg_perplexity(&nll);
}

/* ---- the default: a grammar 语法 ------------------------------------------------------------ */

enum { TRAIN_SENTENCES = 12000, VALID_SENTENCES = 1000 };

static void run_grammar(sg_context *g, const program *p)
{
    settings *s = p->settings;
    double unused, perplexity;
    sg_corpus *train = grammar_corpus(g, (uint64_t)s->t.seed, TRAIN_SENTENCES, &unused);
    sg_corpus *valid = grammar_corpus(g, (uint64_t)s->t.seed + 1, VALID_SENTENCES, &perplexity);
    for (int i = 0; i < 3 && i < valid->size; i++)
        printf("  %s\n", valid->source[i]);
    double reached = learn(g, p, train, valid);
    if (sg_ok(g))
        printf("perplexity 困惑度 %.3f; of the grammar itself 语法本身的 %.3f\n", reached,
               perplexity);
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
    double perplexity = sg_ok(g) ? learn(g, p, train, valid) : NAN;
    if (sg_ok(g) && valid->size)
        printf("{\"valid_perplexity\": %.6g}\n", perplexity);
    sg_corpus_free(train);
    sg_corpus_free(valid);
}

static void run_evaluate(sg_context *g, const program *p)
{
    settings *s = p->settings;
    int sentences;
    sg_nll nll = language_evaluate(g, p, &s->c, 1, &sentences);
    if (sg_ok(g))
        printf("{\"perplexity\": %.6g, \"nats\": %.6g, \"tokens\": %lld, \"sentences\": %d}\n",
               sg_perplexity(&nll), nll.sum / (double)nll.tokens, (long long)nll.tokens, sentences);
}

int main(int argc, char **argv)
{
    static const char about[] =
        "A recurrent language model of words. Without a command: learns sentences of a little\n"
        "grammar, with no file needed. train: from sentences, one a line. evaluate: one line of\n"
        "JSON with the perplexity.";
    static const char *const samplings[] = {"sequential", "random", NULL};
    settings s = {.t = {.model = "word_lm.safetensors",
                        .batch = 20,
                        .epochs = 13,
                        .seed = 1,
                        .threads = 2,
                        .schedule = PROGRAM_DECAY,
                        .decay_after = 4,
                        .lr = 1,
                        .decay = 0.5,
                        .clip = 5},
                  .c = {.cell.kind = SG_CELL_LSTM, .hidden = 200, .layers = 2, .init = 0.1},
                  .time = 20,
                  .min_count = 1};
    const option table[] = {
        PROGRAM_DATA_OPTIONS(s.t, "sentences, one a line"),
        {"min-count", "rarer words are <unk>", .integer = &s.min_count, .low = 1, .high = 1e9},
        {.help = "Model"},
        CELLS_OPTIONS(s.c.cell),
        {"embed", "features of a word, 0: as --hidden", .integer = &s.c.embed, .low = 0,
         .high = 65536},
        {"hidden", "units of a layer", .integer = &s.c.hidden, .low = 1, .high = 65536},
        {"tied", "the output layer is the embedding", .flag = &s.c.tied},
        {"layers", "of the cell", .integer = &s.c.layers, .low = 1, .high = LANGUAGE_LAYERS},
        {"dropout", "on what goes into and out of layers", .number = &s.c.dropout, .low = 0,
         .high = 0.95},
        PROGRAM_TRAINING_OPTIONS(s.t),
        {"init", "parameters begin in -X..X; 0: each in its own way", .number = &s.c.init, .low = 0,
         .high = 10},
        {"time", "words of a row in a step", .integer = &s.time, .low = 1, .high = 10000},
        {"sampling", "of subsequences", .choice = &s.sampling, .choices = samplings},
        {0}};
    static const command commands[] = {
        {"", run_grammar}, {"train", run_train}, {"evaluate", run_evaluate}, {0}};
    return program_main(argc, argv, &(program){"word_lm", about, table, &s.t, commands, &s});
}
