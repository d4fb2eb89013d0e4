/*
 * Little stories with questions 小故事与问题: who went where, and where somebody is now. In the
 * form of bAbI (Weston et al. 2015), whose files pairs.h reads.
 */
#ifndef EXAMPLES_STORIES_H
#define EXAMPLES_STORIES_H

#include "models/models.h"

/* Pairs of "john went to the garden . mary … . | where is john ?" and "garden". */
sg_corpus *stories_generate(sg_context *g, uint64_t seed, int n);

#endif
