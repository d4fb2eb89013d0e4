/*
 * Sentences and what class each is of: opinions by a little grammar, where no file is given, and
 * the formats of files. In a corpus of them sources are sentences, targets their classes.
 */
#ifndef EXAMPLES_SENTENCES_H
#define EXAMPLES_SENTENCES_H

#include "models/text.h"

/* Good and bad ones of two clauses: "the plot is not dull although the music is awful". With "but"
 * the second clause decides, with "although" the first. Everything follows from the seed. */
sg_corpus *sentences_opinions(sg_context *g, int n, uint64_t seed);

/* A file whose lines are a class, a blank, a sentence; or FILE,FILE … of sentences, whose classes
 * 0, 1 … are the files' places. Plain or gzip. A program_reader without settings. */
sg_corpus *sentences_read(sg_context *g, const void *unused, const char *paths, const char *name);

/* Subwords 子词 (Bojanowski et al. 2017): all three bytes in a row of "<word>", as places below
 * `buckets` by a hash. Of the words of n texts, [n, time, SUBWORDS], with weights whose sum is 1
 * for every word and 0 in the padding. */
enum { SUBWORDS = 16 };
void sentences_subwords(sg_context *g, const sg_tokenizer *words, int n, const char *const *text,
                        int time, int buckets, int32_t *places, float *weights);

#endif
