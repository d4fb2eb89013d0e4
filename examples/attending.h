/*
 * Encoder-decoders as the models of translator.h: of one source in a line, or of several, which "|"
 * divides; and pictures of what they looked at.
 */
#ifndef EXAMPLES_ATTENDING_H
#define EXAMPLES_ATTENDING_H

#include "examples/translator.h"

typedef struct attending {
    translator t;
    sg_seq2seq model; /* made between the vocabularies of t; with `extra`, which is `embed`, the
                         last source in a line is z, the mean of its tokens' embeddings */
} attending;

/* Tells the translator how the model is used, which is there now. */
void attending_use(attending *n);

/* Draws which tokens of each source the model looked at for each token of its greedy translation of
 * a line, to a stream and SVGs, or NULL: "F.svg", and "F.2.svg" of a second source, … */
void attending_draw(const attending *n, const char *line, int most, FILE *f, const char *svg);

#endif
