/*
 * A translator: a sequence-to-sequence model with the vocabularies it was trained with and the
 * options it was made from, in one file. What the programs of this folder that translate have in
 * common.
 */
#ifndef EXAMPLES_TRANSLATOR_H
#define EXAMPLES_TRANSLATOR_H

#include "models/models.h"

typedef struct translator_config {  /* what makes a model; saved with it */
    int cell, attention, attend;    /* rnn gru lstm; dot general concat none; pre post */
    int source_units, target_units; /* sg_units */
    int embed, hidden, layers;
    double dropout;
    bool lower, feed; /* lower-case letters; input feeding */
    int max_length;   /* of a translation, in tokens */
} translator_config;

typedef struct translator {
    sg_context *g;
    translator_config config;
    sg_vocabulary *source, *target;
    sg_seq2seq model;
} translator;

/* Takes the vocabularies over. Errors are those of the context. */
translator translator_new(sg_context *g, translator_config config, sg_vocabulary *source,
                          sg_vocabulary *target);
translator translator_load(sg_context *g, const char *path);
bool translator_save(translator *t, const char *path);
void translator_free(translator *t);

/* The batches of a corpus for training (shuffled) or evaluation (in order). */
sg_batches *translator_batches(translator *t, const sg_corpus *c, int size, int max_length,
                               bool in_order);

/* Called with each translation and its index in the corpus. */
typedef void translator_sink(void *user, int index, const char *translation);
/* Translates all sources of a corpus, greedily; false after an error. */
bool translator_translate(translator *t, const sg_corpus *c, int batch, translator_sink *sink,
                          void *user);

typedef struct translator_score {
    double bleu, exact, perplexity;
    int sentences;
    int64_t tokens;
} translator_score;
translator_score translator_evaluate(translator *t, const sg_corpus *c, int batch);

/* Mean loss a token over batches, without training. */
sg_nll translator_loss(translator *t, sg_batches *d);

/* Draws what a translation of one sentence looked at, to a stream (or NULL) and an SVG (or NULL).
 */
bool translator_plot(translator *t, const char *source, FILE *f, const char *svg);

#endif
