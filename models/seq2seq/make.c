/*
 * Sequence to sequence: a bidirectional encoder, a decoder, attention in between (Sutskever et al.
 * 2014, Cho et al. 2014, Bahdanau et al. 2015, Luong et al. 2015). Here its parameters are made;
 * encode.c, decode.c and loss.c use them.
 */
#include "models/internal.h"

/* What is joined to be read out: the context, the state, the token before. */
static int readout_size(const sg_seq2seq_options *o)
{
    return (o->context == SG_CONTEXT_STATE ? o->hidden : 2 * o->hidden) +
           (o->token_out ? o->embed : 0);
}

static bool good(const sg_seq2seq_options *o)
{
    sg_context *g = o->g;
    if (o->source_count <= 0 || o->target_count <= 0)
        sg_fail(g, SG_BAD_ARGUMENT, "vocabularies of %d and %d tokens", o->source_count,
                o->target_count);
    if (o->embed <= 0 || o->hidden <= 0 || o->hidden % 2)
        sg_fail(g, SG_BAD_ARGUMENT,
                "embeddings of %d features, %d hidden units: must be positive, hidden even",
                o->embed, o->hidden);
    if (o->layers < 1 || o->layers > SG_MAX_LAYERS)
        sg_fail(g, SG_BAD_ARGUMENT, "%d layers are not in 1..%d", o->layers, SG_MAX_LAYERS);
    if ((unsigned)o->cell > SG_CELL_LSTM)
        sg_fail(g, SG_BAD_ARGUMENT, "no such cell (%d)", (int)o->cell);
    if ((unsigned)o->context > SG_CONTEXT_INPUT ||
        (o->context == SG_CONTEXT_STATE && !o->no_attention))
        sg_fail(g, SG_BAD_ARGUMENT, "the context of attention is no initial state (%d)",
                (int)o->context);
    if ((unsigned)o->summary > SG_SUMMARY_ATTENTION || (unsigned)o->bridge > SG_BRIDGE_BOTH)
        sg_fail(g, SG_BAD_ARGUMENT, "no such summary (%d) or bridge (%d)", (int)o->summary,
                (int)o->bridge);
    if (o->tied && o->embed != o->hidden)
        sg_fail(g, SG_BAD_ARGUMENT, "embeddings of %d features are no output layer of %d units",
                o->embed, o->hidden);
    return sg__good_dropout(g, o->dropout);
}

static sg_cell make_cell(const sg_seq2seq_options *o, const char *name, int layer, int in,
                         int hidden)
{
    static sg_cell (*const make[])(sg_cell_options) = {sg_rnn_, sg_gru_, sg_lstm_};
    char numbered[32];
    snprintf(numbered, sizeof numbered, "%s%d", name, layer);
    return make[o->cell]((sg_cell_options){.g = o->g,
                                           .name = numbered,
                                           .in = in,
                                           .hidden = hidden,
                                           .reset = o->reset,
                                           .state_dropout = o->state_dropout,
                                           .variational = o->variational,
                                           .zoneout = o->zoneout,
                                           .zoneout_c = o->zoneout,
                                           .dtype = o->dtype});
}

/* q, and the weights of a summary, where there is something to be made of it: an initial state, or
 * of the top layer the input. */
static void make_bridge(sg_seq2seq *m, int layer)
{
    const sg_seq2seq_options *o = &m->o;
    char name[32];
    bool state = o->context != SG_CONTEXT_INPUT;
    bool input = o->no_attention && o->context != SG_CONTEXT_STATE && layer == o->layers - 1;
    if (o->summary == SG_SUMMARY_ATTENTION && (state || input)) {
        snprintf(name, sizeof name, "pool%d", layer);
        m->pool[layer] = sg_make_attention_pool(o->g, name, o->hidden, o->hidden, o->dtype);
    }
    for (int s = 0; s < m->decoder[layer].states && o->bridge != SG_BRIDGE_NONE; s++) {
        snprintf(name, sizeof name, "bridge%d%c", layer, s ? 'c' : 'h');
        if (state || (input && o->bridge == SG_BRIDGE_BOTH && !s))
            m->bridge[layer][s] = sg_linear(o->g, name, o->hidden, o->hidden, .dtype = o->dtype);
    }
}

static void make_layer(sg_seq2seq *m, int layer)
{
    const sg_seq2seq_options *o = &m->o;
    int encoder = layer ? o->hidden : o->embed;
    int decoder = layer ? o->hidden : o->embed + sg__context_size(o) + sg__feed_size(o);
    int units = o->one_way ? o->hidden : o->hidden / 2;
    m->forward[layer] = make_cell(o, "forward", layer, encoder, units);
    if (!o->one_way)
        m->backward[layer] = make_cell(o, "backward", layer, encoder, units);
    m->decoder[layer] = make_cell(o, "decoder", layer, decoder, o->hidden);
    make_bridge(m, layer);
}

sg_seq2seq sg_make_seq2seq_(sg_seq2seq_options o)
{
    o.embed = o.embed ? o.embed : 128;
    o.hidden = o.hidden ? o.hidden : 256;
    o.layers = o.layers ? o.layers : 1;
    sg_seq2seq m = {.o = o};
    sg_context *g = o.g;
    m.o.name = ""; /* the caller's */
    sg_push(g, "seq2seq", o.name);
    if (good(&o)) {
        m.source_table = sg_embedding(g, "source", o.source_count, o.embed, .dtype = o.dtype);
        m.target_table = sg_embedding(g, "target", o.target_count, o.embed, .dtype = o.dtype);
        for (int l = 0; l < o.layers; l++)
            make_layer(&m, l);
        if (!o.no_attention)
            m.attention =
                sg_make_attention(g, "attention", o.score, o.hidden, o.hidden, .dtype = o.dtype,
                                  .coverage = o.coverage, .window = o.window, .heads = o.heads);
        m.readout = sg_linear(g, "readout", readout_size(&o), o.hidden, .dtype = o.dtype);
        m.out = o.tied ? sg_tied("out", m.target_table)
                       : sg_linear(g, "out", o.hidden, o.target_count, .dtype = o.dtype);
        m.out.w = o.tied ? NULL : m.out.w; /* a view, which a reset would end */
    }
    sg_pop(g);
    return m;
}
