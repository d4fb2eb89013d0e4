/*
 * Pairs of texts from files, plain or gzip, in the formats of a few tasks. What is not plain text
 * becomes text here: tokens between spaces, so that every vocabulary can be one of texts.
 *
 *     text          two columns of a TSV, or two files line by line: as they are
 *     scan          IN: walk twice OUT: I_WALK I_WALK      (Lake & Baroni 2018)
 *                   -> "walk twice", "I_WALK I_WALK"
 *     inflection    lemma, tab, tags, tab, form            (SIGMORPHON 2016)
 *                   aalen   pos=V,per=3,num=PL   aalen
 *                   -> "pos=V per=3 num=PL a a l e n", "aalen"; a space of a lemma becomes ␣
 *     babi          1 Mary moved to the hall.              (Weston et al. 2015)
 *                   2 Where is Mary? \t hall \t 1
 *                   -> "mary moved to the hall . | where is mary ?", "hall"
 *                   the story so far, and a question: two sources of a model that has two
 */
#ifndef EXAMPLES_PAIRS_H
#define EXAMPLES_PAIRS_H

#include "models/models.h"

typedef enum { PAIRS_TEXT, PAIRS_SCAN, PAIRS_INFLECTION, PAIRS_BABI } pairs_format;
extern const char *const pairs_formats[]; /* their names, ended by NULL */

/* What programs of pairs let one say about their files; format belongs to the model, and
 * so do the columns, but for those that are given anew. */
typedef struct pairs_options {
    int format, source_column, target_column, max_vocabulary, min_count;
    bool source_given, target_given; /* the columns */
    const char *train_src, *train_tgt, *valid_src, *valid_tgt, *test_src, *test_tgt, *units;
    bool lower;
} pairs_options;

#define PAIRS_DATA_OPTIONS(o)                                                                      \
    {"train-src", "source side, a sentence a line", .text = &(o).train_src, .value = "FILE"},      \
        {"train-tgt", "target side", .text = &(o).train_tgt, .value = "FILE"},                     \
        {"valid-src", "source side to stop by", .text = &(o).valid_src, .value = "FILE"},          \
        {"valid-tgt", "target side of it", .text = &(o).valid_tgt, .value = "FILE"},               \
        {"test-src", "source side to evaluate", .text = &(o).test_src, .value = "FILE"},           \
        {"test-tgt", "target side of it", .text = &(o).test_tgt, .value = "FILE"},                 \
        {"source-column", "of a TSV, from 0", .integer = &(o).source_column, .high = 99,           \
         .given = &(o).source_given},                                                              \
        {"target-column", "of a TSV, from 0", .integer = &(o).target_column, .high = 99,           \
         .given = &(o).target_given},                                                              \
        {"units", "char, word or token, or SOURCE,TARGET; as the format needs",                    \
         .text = &(o).units, .value = "UNITS"},                                                    \
        {"lower", "lower-case everything", .flag = &(o).lower},                                    \
        {"max-vocabulary", "most tokens on each side, 0: all", .integer = &(o).max_vocabulary,     \
         .low = 0, .high = 1e9},                                                                   \
    {                                                                                              \
        "min-count", "rarer tokens are <unk>", .integer = &(o).min_count, .low = 1, .high = 1e9    \
    }

typedef struct pairs_file {
    const char *path, *target_path;   /* the second one of text only; NULL: none */
    int source_column, target_column; /* of a TSV; both 0: 0 and 1 */
    bool sources_only;                /* lines may end where the target would begin */
} pairs_file;
sg_corpus *pairs_read(sg_context *g, pairs_format format, pairs_file f);
/* The pairs to train with, to stop by (NULL where none are given), or to evaluate: of `file`, or
 * else of two files. None at all is an error. */
sg_corpus *pairs_train(sg_context *g, const pairs_options *o, const char *file);
sg_corpus *pairs_valid(sg_context *g, const pairs_options *o, const char *file);
sg_corpus *pairs_test(sg_context *g, const pairs_options *o, const char *file);

/* Tokenizers of both sides: "char", "word" (marks are words of their own), "token" (what is between
 * spaces), or "SOURCE,TARGET" of these; NULL: as the format needs. */
void pairs_units(sg_context *g, const pairs_options *o, sg_tokenizer *source, sg_tokenizer *target);

/* Dates in many ways of writing, with their standard form: see dates.h. */
sg_corpus *pairs_dates(sg_context *g, uint64_t seed, bool test, int n);

#endif
