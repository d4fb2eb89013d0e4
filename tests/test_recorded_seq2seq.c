/* Encoder and decoder in their options, and scheduled sampling at its ends: against recordings of
 * tests/oracle/seq2seq.py, in single and in double precision, values and gradients. */
#include "models/models.h"
#include "tests/oracle/seq2seq.h"
#include "tests/recorded.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const struct row {
    recording r;
    sg_seq2seq_options o;
} rows[] = {
    {RECORDING(seq2seq_scaled_pre), {.cell = SG_CELL_GRU, .score = SG_SCALED_DOT}},
    {RECORDING(seq2seq_coverage), {.score = SG_CONCAT, .coverage = true}},
    {RECORDING(seq2seq_window_post_feed),
     {.score = SG_GENERAL, .post = true, .input_feeding = true, .window = WINDOW}},
    {RECORDING(seq2seq_general_post), {.cell = SG_CELL_GRU, .score = SG_GENERAL, .post = true}},
    {RECORDING(seq2seq_cho),
     {.cell = SG_CELL_GRU, .no_attention = true, .one_way = true, .token_out = true}},
    {RECORDING(seq2seq_sutskever),
     {.cell = SG_CELL_LSTM,
      .no_attention = true,
      .one_way = true,
      .context = SG_CONTEXT_STATE,
      .bridge = SG_BRIDGE_NONE}},
    {RECORDING(seq2seq_context_input), {.no_attention = true, .context = SG_CONTEXT_INPUT}},
    {RECORDING(seq2seq_attention_input),
     {.score = SG_CONCAT, .context = SG_CONTEXT_INPUT, .input_feeding = true}},
    {RECORDING(seq2seq_tied), {.score = SG_SCALED_DOT, .tied = true, .layers = 2}},
    {RECORDING(seq2seq_mean_bridged),
     {.cell = SG_CELL_GRU,
      .no_attention = true,
      .bridge = SG_BRIDGE_BOTH,
      .summary = SG_SUMMARY_MEAN}},
    {RECORDING(seq2seq_max),
     {.no_attention = true, .one_way = true, .bridge = SG_BRIDGE_NONE, .summary = SG_SUMMARY_MAX}},
    {RECORDING(seq2seq_pooled),
     {.cell = SG_CELL_LSTM, .score = SG_SCALED_DOT, .summary = SG_SUMMARY_ATTENTION}},
    {RECORDING(seq2seq_two_sources), {.cell = SG_CELL_GRU, .score = SG_GENERAL, .sources = 2}},
    {RECORDING(seq2seq_two_summaries),
     {.no_attention = true, .one_way = true, .summary = SG_SUMMARY_MEAN, .sources = 2}},
    {RECORDING(seq2seq_merged),
     {.cell = SG_CELL_LSTM, .score = SG_SCALED_DOT, .merge = SG_FUSE_MLP}},
    {RECORDING(seq2seq_merged_added),
     {.cell = SG_CELL_GRU, .score = SG_GENERAL, .merge = SG_FUSE_ADD, .layers = 2}},
    {RECORDING(seq2seq_moving_window),
     {.score = SG_GENERAL, .post = true, .window = WINDOW, .monotonic = true}},
    {RECORDING(seq2seq_moving_window_pre),
     {.cell = SG_CELL_GRU, .score = SG_SCALED_DOT, .window = WINDOW, .monotonic = true}},
    {RECORDING(seq2seq_extra_input),
     {.cell = SG_CELL_GRU, .score = SG_GENERAL, .token_out = true, .extra = EXTRA}},
    {RECORDING(seq2seq_extra_added),
     {.score = SG_SCALED_DOT, .post = true, .extra = EXTRA, .fuse = SG_FUSE_ADD}},
    {RECORDING(seq2seq_extra_state),
     {.cell = SG_CELL_LSTM,
      .score = SG_SCALED_DOT,
      .layers = 2,
      .extra = EXTRA,
      .fuse = SG_FUSE_MLP,
      .fuse_at = SG_FUSE_STATE}},
    {RECORDING(seq2seq_extra_output),
     {.cell = SG_CELL_GRU,
      .no_attention = true,
      .extra = EXTRA,
      .fuse = SG_FUSE_RESTORED,
      .fuse_at = SG_FUSE_OUTPUT}},
    {RECORDING(seq2seq_extra_wide_output),
     {.score = SG_SCALED_DOT, .extra = EXTRA, .fuse_at = SG_FUSE_OUTPUT}},
};

static sg_seq2seq make(tape *t, sg_seq2seq_options o)
{
    o.g = t->g;
    o.name = "m";
    o.source_count = o.target_count = o.own_count[1] = WORDS;
    o.embed = EMBED;
    o.hidden = HIDDEN;
    o.reset = SG_RESET_AFTER;
    o.dtype = t->dtype;
    sg_seq2seq m = sg_make_seq2seq_(o);
    leaf_parameters(t);
    return m;
}

static void check_logits(sg_dtype d, const struct row *row)
{
    tape t = open_tape(d, row->r);
    sg_tensor *z = row->o.extra ? leaf(&t, SG_SHAPE(BATCH, EXTRA)) : NULL;
    sg_seq2seq m = make(&t, row->o);
    sg_source source[] = {{seq2seq_source, SOURCE, seq2seq_lengths},
                          {seq2seq_other, OTHER, seq2seq_other_lengths}};
    sg_encoded e = sg_seq2seq_encode_all(&m, BATCH, source);
    e.z = z;
    all_agree(&t, sg_seq2seq_decode(&m, &e, seq2seq_in, BATCH, TARGET, NULL));
}

Test(recorded_seq2seq, logits)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_logits((sg_dtype)d, &rows[i]);
}

/* The true word before each, or always the model's own. */
static void check_loss(sg_dtype d, recording r, sg_seq2seq_options o, bool sampled, double truth)
{
    tape t = open_tape(d, r);
    sg_seq2seq m = make(&t, o);
    const sg_batch b = {.size = BATCH,
                        .source_time = SOURCE,
                        .target_time = TARGET,
                        .source = seq2seq_source,
                        .source_lengths = seq2seq_lengths,
                        .target_in = seq2seq_in,
                        .target_out = seq2seq_out,
                        .target_lengths = seq2seq_target_lengths};
    sg_train(t.g, true);
    sg_loss loss = sampled ? sg_seq2seq_sampled_loss(&m, &b, seq2seq_smoothing, truth)
                           : sg_seq2seq_loss(&m, &b, seq2seq_smoothing);
    all_agree(&t, loss.mean);
}

Test(recorded_seq2seq, losses)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        check_loss((sg_dtype)d, (recording)RECORDING(seq2seq_teacher), rows[0].o, false, 1);
        check_loss((sg_dtype)d, (recording)RECORDING(seq2seq_teacher), rows[0].o, true, 1);
        check_loss((sg_dtype)d, (recording)RECORDING(seq2seq_free), rows[0].o, true, 0);
        sg_seq2seq_options covering = rows[1].o;
        covering.coverage_loss = seq2seq_lambda;
        for (int sampled = 0; sampled < 2; sampled++)
            check_loss((sg_dtype)d, (recording)RECORDING(seq2seq_coverage_loss), covering, sampled,
                       1);
    }
}
