/* What tests of sequence to sequence models share: models in which the context, the encoder or the
 * readout are others than usual. */
#ifndef SEQ2SEQ_TEST_H
#define SEQ2SEQ_TEST_H

#include "tests/models_test.h"

typedef struct other_model {
    const char *name;
    sg_seq2seq_options o;
} other_model;

static const other_model other_models[] = {
    {"the context as initial state",
     {.no_attention = true, .context = SG_CONTEXT_STATE, .cell = SG_CELL_LSTM, .layers = 2}},
    {"the context as input",
     {.no_attention = true, .context = SG_CONTEXT_INPUT, .cell = SG_CELL_LSTM, .layers = 2}},
    {"Cho's decoder", {.no_attention = true, .token_out = true, .cell = SG_CELL_GRU}},
    {"Bahdanau's readout",
     {.score = SG_CONCAT, .token_out = true, .context = SG_CONTEXT_INPUT, .layers = 2}},
    {"an encoder of one direction", {.post = true, .one_way = true, .cell = SG_CELL_LSTM}},
    {"tied, all at once", {.post = true, .tied = true, .token_out = true, .one_way = true}},
    {"tied, step by step", {.tied = true, .input_feeding = true, .cell = SG_CELL_LSTM}},
    {"heads, all at once", {.score = SG_HEADS, .heads = 2, .post = true}},
    {"heads, step by step", {.score = SG_HEADS, .heads = 2, .cell = SG_CELL_LSTM}},
    {"c = h_N as state",
     {.no_attention = true,
      .context = SG_CONTEXT_STATE,
      .bridge = SG_BRIDGE_NONE,
      .cell = SG_CELL_LSTM,
      .layers = 2}},
    {"c = h_N", {.no_attention = true, .bridge = SG_BRIDGE_NONE, .cell = SG_CELL_LSTM}},
    {"c = q(h_N)", {.no_attention = true, .bridge = SG_BRIDGE_BOTH, .cell = SG_CELL_GRU}},
    {"c = q(h_N) as input",
     {.no_attention = true, .bridge = SG_BRIDGE_BOTH, .context = SG_CONTEXT_INPUT, .layers = 2}},
    {"c = mean", {.no_attention = true, .bridge = SG_BRIDGE_NONE, .summary = SG_SUMMARY_MEAN}},
    {"c = q(mean), attention",
     {.score = SG_GENERAL, .summary = SG_SUMMARY_MEAN, .cell = SG_CELL_LSTM, .layers = 2}},
    {"c = q(largest)",
     {.no_attention = true, .bridge = SG_BRIDGE_BOTH, .summary = SG_SUMMARY_MAX, .one_way = true}},
    {"c = q(pooled by attention)",
     {.no_attention = true,
      .bridge = SG_BRIDGE_BOTH,
      .summary = SG_SUMMARY_ATTENTION,
      .cell = SG_CELL_LSTM,
      .layers = 2}},
    {"pooled by attention as input",
     {.no_attention = true,
      .context = SG_CONTEXT_INPUT,
      .summary = SG_SUMMARY_ATTENTION,
      .cell = SG_CELL_GRU,
      .layers = 2}},
};
enum { OTHERS = sizeof other_models / sizeof *other_models };

/* Between vocabularies of so many words, with embeddings and layers of such sizes. */
static inline sg_seq2seq_options other_options(int k, int words, int embed, int hidden)
{
    sg_seq2seq_options o = other_models[k].o;
    o.name = "m";
    o.source_count = o.target_count = words;
    o.hidden = hidden;
    o.embed = o.tied ? hidden : embed;
    o.layers = o.layers ? o.layers : 1;
    return o;
}

#endif
