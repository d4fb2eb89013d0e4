/*
 * Sentences with a tag at each word: files of them, and how well tags were told.
 *
 * A line is a word and its tag, the last of its columns, between which stand blanks or tabs; an
 * empty line ends a sentence. In CoNLL-U, which is known by its ten columns, lines that begin with
 * '#' are comments, the universal part of speech is the tag, and what is not a word of the sentence
 * is left out: the surface form of several words (1-2), words that are only understood (1.1). Plain
 * or gzip.
 */
#ifndef EXAMPLES_TAGS_FILE_H
#define EXAMPLES_TAGS_FILE_H

#include "models/text.h"

/* Sources are sentences, targets their tags, both joined by blanks. A path of NULL is the error
 * that the option `name` was not given. column: of the tag, counted from 1; 0: as above. */
sg_corpus *tags_read(sg_context *g, const char *path, const char *name, int column);

/* The same with pairs for words, "the dog" and so on: each joined with the one after it by a '_'.
 */
sg_corpus *tags_pairs(sg_context *g, const sg_corpus *c);

/* Sentences of about equal lengths as batches of ids; and the same ones by vocabularies of their
 * own, in which nothing is unknown. The letters of a word are spelled once in a batch, however
 * often the word stands there. */
enum { TAGS_LETTERS = 24 }; /* that are looked at, of a word */
typedef struct tags_options {
    sg_context *g;
    const sg_corpus *corpus;
    const sg_vocabulary *words, *pairs, *letters, *tags; /* pairs may be NULL */
    int size;
    uint64_t seed;
} tags_options;

typedef struct tags_batches {
    tags_options o;
    sg_vocabulary *forms, *truth; /* words and tags as they are written */
    sg_batches *d, *paired, *written;
    sg_batch b, p, w; /* what stands there now, by each; arrays live until the context's reset: */
    int32_t *labels;  /* [size, time] */
    int32_t *form;    /* [size, time]: rows of */
    int32_t *letters; /* [rows, TAGS_LETTERS], [rows], the largest of which is */
    int *lengths, rows, longest;
    int32_t *row_of;
} tags_batches;

tags_batches tags_open(tags_options o);
bool tags_next(tags_batches *r); /* false at the end of an epoch */
void tags_close(tags_batches *r);

/* Tags such as B-PER, I-PER, O, or B- M- E- S-, mark entities, which are right as a whole or not at
 * all: of the same words, of the same type. Where there are tags E-, an entity has to end by one,
 * or to be a single S-. */
typedef struct tags_score {
    int64_t words, right;
    int64_t entities, told, found; /* in the file; told; told that are in the file */
    bool closed;                   /* to be set: there are tags E- in the file */
} tags_score;

void tags_add(tags_score *s, int n, const char *const *truth, const char *const *told);
double tags_accuracy(const tags_score *s); /* percent */
double tags_f1(const tags_score *s);       /* percent */

#endif
