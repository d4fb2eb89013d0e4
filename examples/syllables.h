/*
 * Names made up of syllables, in five styles: data for the example of names when no file is given.
 * Everything follows from a seed.
 *
 *     Rosellini   Petrikov   Yamamoto   Zhiang   Andrakopoulos
 */
#ifndef EXAMPLES_SYLLABLES_H
#define EXAMPLES_SYLLABLES_H

#include "models/text.h"

enum { SYLLABLES_STYLES = 5 };
extern const char *const syllables_styles[SYLLABLES_STYLES]; /* Italian, Russian … */

/* Sources are names, targets their styles. */
sg_corpus *syllables_names(sg_context *g, int n, uint64_t seed);

#endif
