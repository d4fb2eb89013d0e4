/*
 * What programs that turn one sequence into another have in common, whatever their model is: two
 * vocabularies, training on pairs, decoding with its options, and how well it was done.
 *
 * A model is two functions: the loss of a batch of pairs, and a stepper (see decode.h) of what was
 * read from a batch of sources. Everything here is made of these two.
 */
#ifndef EXAMPLES_TRANSLATOR_H
#define EXAMPLES_TRANSLATOR_H

#include "examples/program.h"

typedef struct translator {
    sg_context *g;
    sg_vocabulary *source, *target;
    const void *model;
    /* `truth`: how probable true tokens are as inputs, 1 but with scheduled sampling */
    sg_loss (*loss)(const void *model, const sg_batch *b, double smoothing, double truth);
    sg_stepper (*begin)(const void *model, const sg_batch *b);
} translator;

/* Vocabularies of a corpus, or those that were saved with a model (program_save, program_load). */
typedef struct translator_units {
    sg_tokenizer source, target;
    int min_count, max_size;
    bool joint; /* one vocabulary for both sides */
} translator_units;
void translator_build(translator *t, const sg_corpus *c, translator_units u);
void translator_save(translator *t, const program *p);
void translator_load(translator *t, const program *p);
void translator_free(translator *t);

/* The batches of a corpus, shuffled for training or in order. */
sg_batches *translator_batches(const translator *t, const sg_corpus *c, int size, int max_length,
                               bool in_order);

/* ---- decoding ------------------------------------------------------------------------------- */

typedef struct translator_search { /* as in sg_search_options and sg_sample_options */
    int most, least, width, best, no_repeat, top_k;
    double length_penalty, coverage_penalty, temperature, top_p;
    const char *prefix; /* how all targets begin; NULL: anyhow */
    bool sample, tree;  /* draw instead of searching; print the hypotheses */
} translator_search;

#define TRANSLATOR_SEARCH_OPTIONS(s)                                                               \
    {.help = "Decoding"}, {"most", "tokens at most", .integer = &(s).most, .low = 1, .high = 1e6}, \
        {"least", "no end before so many tokens", .integer = &(s).least, .low = 0, .high = 1e6},   \
        {"beam", "hypotheses that go on; 1: greedy", .integer = &(s).width, .low = 1,              \
         .high = 1000},                                                                            \
        {"best", "of each line, so many are printed", .integer = &(s).best, .low = 1,              \
         .high = 1000},                                                                            \
        {"length-penalty", "exponent of (5 + n) / 6, which divides log p",                         \
         .number = &(s).length_penalty, .low = 0, .high = 10},                                     \
        {"coverage-penalty", "times log of what each source token got, at most 1",                 \
         .number = &(s).coverage_penalty, .low = 0, .high = 100},                                  \
        {"no-repeat", "n-grams of so many tokens come once; 0: as they come",                      \
         .integer = &(s).no_repeat, .low = 0, .high = 100},                                        \
        {"prefix", "how all targets begin", .text = &(s).prefix, .value = "TEXT"},                 \
        {"tree", "print all hypotheses", .flag = &(s).tree},                                       \
        {"sample", "draw tokens instead of searching", .flag = &(s).sample},                       \
        {"temperature", "of drawing", .number = &(s).temperature, .low = 0.001, .high = 100},      \
        {"top-k", "draw from the k most probable; 0: from all", .integer = &(s).top_k, .low = 0,   \
         .high = 1e9},                                                                             \
    {                                                                                              \
        "top-p", "draw from the fewest of which probabilities reach P; 0: from all",               \
            .number = &(s).top_p, .low = 0, .high = 1                                              \
    }

/* Called with what was found for a source of the corpus: `rank` 0 is the best; log p. Sources
 * without a token get one empty text. */
typedef void translator_sink(void *user, int index, int rank, const char *text, double score);
/* Prints each on a line; if `user` is a search for several, with its number and log p. */
translator_sink translator_line;
/* Decodes all sources of a corpus, in order; false after an error. */
bool translator_decode(const translator *t, const sg_corpus *c, int batch,
                       const translator_search *s, translator_sink *sink, void *user);
/* Sequences of a model that reads nothing: `best` of them, drawn. */
bool translator_write(const translator *t, sg_stepper *m, const translator_search *s,
                      translator_sink *sink, void *user);
/* log p of each pair's target, by one pass over the corpus: what forced scoring says. */
bool translator_force(const translator *t, const sg_corpus *c, int batch, double *scores);

/* ---- judging -------------------------------------------------------------------------------- */

/* The least number of tokens to put in, take out or replace that makes b of a (Levenshtein 1966).
 */
int translator_distance(const sg_tokens *a, const sg_tokens *b);

typedef struct translator_score {
    double bleu, exact, token_error, perplexity; /* percent; token_error: distances / tokens */
    int64_t tokens;
} translator_score;
translator_score translator_evaluate(const translator *t, const sg_corpus *c, int batch,
                                     const translator_search *s);
/* That as one line of JSON; nothing after an error. */
void translator_print(const translator *t, const sg_corpus *c, int batch,
                      const translator_search *s);

/* ---- training ------------------------------------------------------------------------------- */

typedef enum { TRANSLATOR_LOSS, TRANSLATOR_EXACT, TRANSLATOR_BLEU } translator_judge;
typedef struct translator_training {
    int max_length; /* longer pairs are left out */
    int judge;      /* what the held-out data are asked for */
    double smoothing;
    int sampling; /* 0: teacher forcing; or 1 + sg_truth_kind */
    double k, slope, floor;
} translator_training;

#define TRANSLATOR_TRAINING_OPTIONS(s)                                                             \
    {"max-length", "longer pairs are left out of training", .integer = &(s).max_length, .low = 1,  \
     .high = 1e6},                                                                                 \
        {"smoothing", "of labels", .number = &(s).smoothing, .low = 0, .high = 0.9},               \
    {                                                                                              \
        "judge", "what the best epoch is best at, on --valid", .choice = &(s).judge,               \
                                                               .choices = translator_judges        \
    }
extern const char *const translator_judges[];

/* Trains on pairs; leaves the best parameters, judged on held-out pairs if there are any. */
void translator_train(const translator *t, const training *how, translator_training too,
                      const translator_search *s, const sg_corpus *train, const sg_corpus *valid);

#endif
