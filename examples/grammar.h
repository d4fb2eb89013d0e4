/*
 * Sentences of a little English grammar, at random: data for the examples that need sentences when
 * no file is given. Everything follows from a seed; the true probability of a sentence is known.
 *
 *     the old dogs that see a cat watch every cook .
 *     DET ADJ NOUN PRON VERB DET NOUN VERB DET NOUN PUNCT
 *     a cook that the dogs watch slowly sleeps .
 *     DET NOUN PRON DET NOUN VERB ADV VERB PUNCT
 *
 * A verb agrees with its subject, however far that is. Some words (cook, watch, light) are now a
 * noun, now a verb or an adjective: only their place tells. Of names there are many more than a
 * model can see in training: only their letters tell.
 */
#ifndef EXAMPLES_GRAMMAR_H
#define EXAMPLES_GRAMMAR_H

#include "models/text.h"

#include <stdint.h>

enum { GRAMMAR_ROOM = 512 };

typedef struct grammar_sentence {
    char words[GRAMMAR_ROOM], tags[GRAMMAR_ROOM]; /* joined by one blank */
    int count;                                    /* of words */
    double nll;                                   /* -log of its probability, nats */
} grammar_sentence;

void grammar_generate(uint64_t *state, grammar_sentence *s);

/* n of them, their tags as targets; *perplexity, if not NULL, gets the true one of the sentences.
 */
sg_corpus *grammar_corpus(sg_context *g, uint64_t seed, int n, double *perplexity);

#endif
