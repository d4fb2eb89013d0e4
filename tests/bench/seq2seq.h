/* What training and decoding of translations share. */
#ifndef SG_BENCH_SEQ2SEQ_H
#define SG_BENCH_SEQ2SEQ_H

#include "tests/bench/bench.h"

typedef struct pair {
    int source, target; /* lengths */
    const int32_t *source_ids, *target_ids;
} pair;

typedef struct translation {
    pair *pairs;
    int64_t count;
    int size; /* sentences in a batch of the file */
    sg_batch batch;
    int32_t *source, *target_in, *target_out; /* where the batch's arrays are */
    int *source_lengths, *target_lengths;
    sg_seq2seq model;
    sg_optimizer adam;
} translation;

translation *bench_translation(bench *b, sg_score score);
/* n pairs from `first` on as m->batch, padded. */
void bench_fill(translation *m, int64_t first, int n);

#endif
