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
 */
#ifndef EXAMPLES_PAIRS_H
#define EXAMPLES_PAIRS_H

#include "models/models.h"

typedef enum { PAIRS_TEXT, PAIRS_SCAN, PAIRS_INFLECTION } pairs_format;
extern const char *const pairs_formats[]; /* their names, ended by NULL */

typedef struct pairs_file {
    const char *path, *target_path;   /* the second one of text only */
    const char *what;                 /* what an error calls it: the name of its option */
    bool two;                         /* both paths are needed; otherwise the first one */
    int source_column, target_column; /* of a TSV; both 0: 0 and 1 */
    bool sources_only;                /* lines may end where the target would begin */
} pairs_file;
/* At least one pair, or an error (but for sources_only). */
sg_corpus *pairs_read(sg_context *g, pairs_format format, pairs_file f);

/* Tokenizers of both sides: "char", "word" (marks are words of their own), "token" (what is between
 * spaces), or "SOURCE,TARGET" of these; NULL: as the format needs. */
void pairs_units(sg_context *g, pairs_format format, const char *units, bool lower,
                 sg_tokenizer *source, sg_tokenizer *target);

/* Dates in many ways of writing, with their standard form: see dates.h. */
sg_corpus *pairs_dates(sg_context *g, uint64_t seed, bool test, int n);

#endif
