/*
 * Made-up words with their pronunciation, spelled somewhat like English: the data of g2p without a
 * file. Everything follows from a seed.
 *
 *     kneeph    n iː f          letters of two for one sound, which may be silent elsewhere
 *     cexom     s ɛ k s ɒ m     a sound by what comes next, one letter for two sounds
 *     rame      ɹ eɪ m          the last letter says how another one, before it, is spoken
 *     dater     d æ t ə         and another pronunciation, d æ t ɝ
 */
#ifndef EXAMPLES_SPELLING_H
#define EXAMPLES_SPELLING_H

#include "models/models.h"

/* n words, a line for each of their pronunciations, which follow each other: sources are words,
 * targets phones between spaces. Those of another seed are other words, but for a few. */
sg_corpus *spelling_words(sg_context *g, uint64_t seed, int n);

#endif
