/* What tests of sequence to sequence models share: models in which the context, the encoder or the
 * readout are others than usual, and what models of several sources read beside the first. */
#ifndef SEQ2SEQ_TEST_H
#define SEQ2SEQ_TEST_H

#include "tests/models_test.h"

/* ---- cells that are not among the kinds ----------------------------------------------------- */

static inline sg_cell make_projected(sg_cell_options o)
{
    o.peephole = o.coupled = true;
    o.projection = o.hidden;
    o.hidden++;
    return sg_lstm_(o);
}

static inline sg_cell make_normalized(sg_cell_options o)
{
    o.norm = true;
    return sg_lstm_(o);
}

/* A highway around each cell that has as many inputs as units. */
static inline sg_cell make_highway(sg_cell_options o)
{
    sg_cell p = sg_gru_(o);
    return o.in == o.hidden ? sg_highway(p, named("%s.gate", o.name)) : p;
}

/* h = tanh([x; h] W): a cell without wx, whose steps see the inputs themselves. */
static inline sg_state own_step(const sg_cell *p, sg_tensor *x, sg_state s)
{
    return (sg_state){.h = sg_tanh(sg_matmul(sg_concat(-1, x, s.h), p->wh))};
}
static inline sg_cell make_own(sg_cell_options o)
{
    sg_cell p = {.step = own_step, .g = o.g, .in = o.in, .hidden = o.hidden, .states = 1};
    p.wh =
        sg_param(o.g, named("%s.w", o.name), SG_SHAPE(o.in + o.hidden, o.hidden), .dtype = o.dtype);
    return p;
}

/* ---- models --------------------------------------------------------------------------------- */

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
    {"two sources", {.sources = 2, .cell = SG_CELL_LSTM}},
    {"two sources, all at once",
     {.sources = 2, .own_count = {0, 7}, .post = true, .join = SG_FUSE_MLP, .layers = 2}},
    {"three sources, restored, coverage",
     {.sources = 3,
      .own_count = {0, 0, 5},
      .join = SG_FUSE_RESTORED,
      .score = SG_CONCAT,
      .coverage = true,
      .window = 2,
      .cell = SG_CELL_GRU,
      .one_way = true}},
    {"two sources, added",
     {.sources = 2,
      .join = SG_FUSE_ADD,
      .no_attention = true,
      .bridge = SG_BRIDGE_NONE,
      .cell = SG_CELL_LSTM}},
    {"two sources as input",
     {.sources = 2, .no_attention = true, .context = SG_CONTEXT_INPUT, .token_out = true}},
    {"two sources, c = q([s; s'])",
     {.sources = 2, .no_attention = true, .bridge = SG_BRIDGE_BOTH, .summary = SG_SUMMARY_MEAN}},
    {"two sources as input, q(f(s, s'))",
     {.sources = 2,
      .no_attention = true,
      .bridge = SG_BRIDGE_BOTH,
      .join = SG_FUSE_MLP,
      .context = SG_CONTEXT_INPUT,
      .summary = SG_SUMMARY_ATTENTION}},
    {"two sources, heads",
     {.sources = 2, .score = SG_HEADS, .heads = 2, .join = SG_FUSE_MEAN, .input_feeding = true}},
    {"minimal gated units", {.make = sg_mgu_, .input_feeding = true, .layers = 2}},
    {"projected LSTMs, directions added",
     {.make = make_projected, .merge = SG_FUSE_ADD, .no_attention = true}},
    {"normalized LSTMs, at once", {.make = make_normalized, .post = true, .one_way = true}},
    {"normalized LSTMs, no attention",
     {.make = make_normalized, .no_attention = true, .merge = SG_FUSE_MLP}},
    {"highways, at once",
     {.make = make_highway, .post = true, .one_way = true, .tied = true, .layers = 2}},
    {"highways, step by step",
     {.make = make_highway,
      .post = true,
      .one_way = true,
      .tied = true,
      .coverage = true,
      .score = SG_CONCAT,
      .layers = 2}},
    {"own cells, pre", {.make = make_own, .input_feeding = true}},
    {"own cells, no attention", {.make = make_own, .no_attention = true, .token_out = true}},
    {"own cells, at once", {.make = make_own, .post = true, .layers = 2}},
    {"y = g(VA + V'A')", {.merge = SG_FUSE_MLP, .cell = SG_CELL_LSTM, .layers = 2}},
    {"directions restored, two sources",
     {.merge = SG_FUSE_RESTORED,
      .sources = 2,
      .join = SG_FUSE_ADD,
      .cell = SG_CELL_LSTM,
      .bridge = SG_BRIDGE_NONE}},
    {"a monotonic window, at once", {.window = 1, .monotonic = true, .post = true}},
    {"monotonic windows, step by step",
     {.window = 1, .monotonic = true, .sources = 2, .input_feeding = true, .cell = SG_CELL_LSTM}},
    {"[y; z]", {.extra = 5, .token_out = true, .score = SG_GENERAL, .layers = 2}},
    {"y + z Wz, at once",
     {.extra = 5, .fuse = SG_FUSE_ADD, .post = true, .token_out = true, .cell = SG_CELL_LSTM}},
    {"[y; z], own cells", {.extra = 3, .make = make_own, .no_attention = true}},
    {"[s; z] Wc", {.extra = 5, .fuse = SG_FUSE_RESTORED, .fuse_at = SG_FUSE_STATE, .layers = 2}},
    {"f(s, z), at once",
     {.extra = 2,
      .fuse = SG_FUSE_MLP,
      .fuse_at = SG_FUSE_STATE,
      .post = true,
      .cell = SG_CELL_GRU}},
    {"the mean of y and z", {.extra = 3, .fuse = SG_FUSE_MEAN, .no_attention = true}},
    {"s + z Wz, own cells",
     {.extra = 1,
      .fuse = SG_FUSE_ADD,
      .fuse_at = SG_FUSE_STATE,
      .make = make_own,
      .no_attention = true}},
    {"[s; z] to read out",
     {.extra = 5, .fuse_at = SG_FUSE_OUTPUT, .input_feeding = true, .cell = SG_CELL_LSTM}},
    {"f(s, z) to read out, at once",
     {.extra = 5, .fuse = SG_FUSE_MLP, .fuse_at = SG_FUSE_OUTPUT, .post = true, .tied = true}},
    {"s + z Wz is all that is read out, two sources",
     {.extra = 1,
      .fuse = SG_FUSE_ADD,
      .fuse_at = SG_FUSE_OUTPUT,
      .sources = 2,
      .no_attention = true,
      .context = SG_CONTEXT_STATE}},
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

/* ---- further sources ------------------------------------------------------------------------ */

/* Each row of a further source follows from the same row of the first: its length, and its first
 * token. What is behind the lengths is something else at each call. */
enum { FURTHER = 5, MOST_ROWS = 8 };
typedef struct further_sources {
    int32_t ids[SG_MAX_SOURCES][MOST_ROWS * FURTHER];
    int lengths[SG_MAX_SOURCES][MOST_ROWS];
    sg_source all[SG_MAX_SOURCES];
    int width; /* times of all sources together */
} further_sources;

static inline void add_sources(further_sources *f, int sources, const int32_t *ids, int batch,
                               int time, const int *lengths)
{
    static int32_t garbage_id = 1000;
    f->all[0] = (sg_source){ids, time, lengths};
    f->width = time;
    for (int k = 1; k < sources; k++) {
        int most = lengths ? FURTHER - 1 : 0;
        for (int b = 0; b < batch; b++) {
            int n = lengths ? lengths[b] : time, own = (2 * n + k) % FURTHER;
            f->lengths[k][b] = own;
            most = own > most ? own : most;
        }
        for (int i = 0; i < batch * most; i++) {
            int b = i / most, t = i % most, n = lengths ? lengths[b] : time;
            bool real = t < f->lengths[k][b];
            f->ids[k][i] = real ? 1 + ((n ? ids[b * time] : 0) + t * k) % 4 : garbage_id++;
        }
        f->all[k] = (sg_source){f->ids[k], most, f->lengths[k]};
        f->width += most;
    }
}

/* So does z, if there is any: a row of a table, a parameter that is made with it. */
static inline sg_tensor *extra_of(const sg_seq2seq *m, const int32_t *ids, int batch, int time,
                                  const int *lengths)
{
    enum { KINDS = 10 };
    int32_t first[MOST_ROWS];
    for (int b = 0; b < batch; b++)
        first[b] = (lengths ? lengths[b] : time) ? ids[b * time] : 0;
    sg_context *g = m->o.g;
    sg_tensor *table = sg_embedding(g, "z", KINDS, m->o.extra, .dtype = m->o.dtype);
    return sg_take(table, sg_input(g, SG_I32, SG_SHAPE(batch), first));
}

/* As the functions of one source, for models of any number, and of whatever else. */
static inline sg_encoded encode_rows(const sg_seq2seq *m, const int32_t *ids, int batch, int time,
                                     const int *lengths)
{
    further_sources f;
    add_sources(&f, m->o.sources, ids, batch, time, lengths);
    sg_encoded e = m->o.sources > 1 ? sg_seq2seq_encode_all(m, batch, f.all)
                                    : sg_seq2seq_encode(m, ids, batch, time, lengths);
    if (m->o.extra)
        e.z = extra_of(m, ids, batch, time, lengths);
    return e;
}

static inline sg_greedy greedy_rows(const sg_seq2seq *m, const int32_t *ids, int batch, int time,
                                    const int *lengths, int most)
{
    bool training = sg_training(m->o.g);
    if (m->o.sources <= 1 && !m->o.extra)
        return sg_seq2seq_greedy(m, ids, batch, time, lengths, most);
    sg_train(m->o.g, false);
    sg_encoded e = encode_rows(m, ids, batch, time, lengths);
    sg_greedy r = sg_seq2seq_greedy_from(m, &e, most);
    sg_train(m->o.g, training);
    return r;
}

/* Elements of all sources of such rows. */
static inline int width_of(const sg_seq2seq *m, const int32_t *ids, int batch, int time,
                           const int *lengths)
{
    further_sources f;
    add_sources(&f, m->o.sources, ids, batch, time, lengths);
    return f.width;
}

/* By the functions of batches where there is nothing but sources, or of what was encoded. */
static inline sg_loss loss_by(const sg_seq2seq *m, const sg_batch *b, double smoothing,
                              double truth, bool sampled)
{
    further_sources f;
    sg_batch all = *b;
    if (m->o.extra) {
        sg_encoded e = encode_rows(m, b->source, b->size, b->source_time, b->source_lengths);
        return sg_seq2seq_loss_from(m, &e, b, smoothing, truth);
    }
    add_sources(&f, m->o.sources, b->source, b->size, b->source_time, b->source_lengths);
    all.more = f.all + 1;
    return sampled ? sg_seq2seq_sampled_loss(m, &all, smoothing, truth)
                   : sg_seq2seq_loss(m, &all, smoothing);
}

static inline sg_loss loss_of(const sg_seq2seq *m, const sg_batch *b, double smoothing)
{
    return loss_by(m, b, smoothing, 1, false);
}

static inline sg_loss sampled_loss_of(const sg_seq2seq *m, const sg_batch *b, double smoothing,
                                      double truth)
{
    return loss_by(m, b, smoothing, truth, true);
}

#endif
