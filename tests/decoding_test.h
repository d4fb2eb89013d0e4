/* A small batch, and models of all configurations between its vocabularies. */
#ifndef DECODING_TEST_H
#define DECODING_TEST_H

#include "tests/seq2seq_test.h"

enum { BATCH = 4, SOURCE = 4, TARGET = 3, WORDS = 9 };

static const int32_t source[BATCH * SOURCE] = {4, 5, 3, 0, 6, 3, 0, 0, 7, 8, 6, 3, 0, 0, 0, 0};
static const int source_lengths[BATCH] = {3, 2, 4, 0};
static const int32_t target_in[BATCH * TARGET] = {2, 5, 0, 2, 7, 8, 2, 0, 0, 2, 4, 0};
static const int32_t target_out[BATCH * TARGET] = {5, 3, 0, 7, 8, 3, 3, 0, 0, 4, 3, 0};
static const int target_lengths[BATCH] = {2, 3, 1, 2};

static const sg_batch batch = {.size = BATCH,
                               .source_time = SOURCE,
                               .target_time = TARGET,
                               .source = source,
                               .source_lengths = source_lengths,
                               .target_in = target_in,
                               .target_out = target_out,
                               .target_lengths = target_lengths};

/* Every way to attend and to feed, with every cell, one layer and two; scores by turns. And the
 * other ones. */
enum { WAYS = 8, REGULAR = WAYS * 3 * 2, CONFIGURATIONS = REGULAR + OTHERS };

static inline sg_seq2seq_options small_options(void)
{
    return (sg_seq2seq_options){
        .name = "m", .source_count = WORDS, .target_count = WORDS, .embed = 3, .hidden = 4};
}

static inline sg_seq2seq_options configuration(int k, const char **name)
{
    static const char *const cells[] = {"rnn", "gru", "lstm"};
    if (k >= REGULAR) {
        *name = other_models[k - REGULAR].name;
        return other_options(k - REGULAR, WORDS, 3, 4);
    }
    sg_seq2seq_options o = small_options();
    o.input_feeding = k >> 1 & 1;
    o.no_attention = k >> 2 & 1;
    o.post = k & 1 && !o.no_attention;
    o.cell = (sg_cell_kind)(k / WAYS % 3);
    o.layers = 1 + k / WAYS / 3;
    o.score = o.no_attention ? SG_DOT : (sg_score)((k + k / WAYS) % 4);
    o.reset = (sg_gru_reset)(k / WAYS % 2);
    *name = named("%s, %d layers, %s, %s, %s", cells[o.cell], o.layers, o.post ? "post" : "pre",
                  o.input_feeding ? "feeding" : "not feeding",
                  o.no_attention ? "no attention" : named("score %d", (int)o.score));
    return o;
}

static inline sg_seq2seq make(sg_context *g, sg_seq2seq_options o)
{
    o.g = g;
    sg_seq2seq m = sg_make_seq2seq_(o);
    shake(g, 1);
    return m;
}

/* In a context of its own, m.o.g. */
static inline sg_seq2seq open_configuration(int k, sg_dtype dtype, const char **name)
{
    sg_seq2seq_options o = configuration(k, name);
    o.dtype = dtype;
    return make(sg_open(), o);
}

static inline sg_tensor *column(sg_context *g, const int32_t *ids, int t) /* [B] of [B,TARGET] */
{
    int32_t of_step[BATCH];
    for (int b = 0; b < BATCH; b++)
        of_step[b] = ids[b * TARGET + t];
    return sg_input(g, SG_I32, SG_SHAPE(BATCH), of_step);
}

#endif
