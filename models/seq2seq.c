/* Encoder, decoder and attention put together, for training: see sg_seq2seq in models.h. */
#include "models/seq2seq.h"

/* ---- making one --------------------------------------------------------------------------------
 */

static sg_cell make_cell(const sg_seq2seq_options *o, const char *name, int in, int hidden)
{
    sg_cell_options c = {
        .g = o->g, .name = name, .in = in, .hidden = hidden, .dtype = o->dtype, .reset = o->reset};
    return o->cell == SG_CELL_LSTM ? sg_lstm_(c) : o->cell == SG_CELL_GRU ? sg_gru_(c) : sg_rnn_(c);
}

static const char *layer_name(char *buf, size_t size, const char *name, int layer)
{
    snprintf(buf, size, "%s%d", name, layer);
    return buf;
}

static void make_layer(sg_seq2seq *m, int l)
{
    const sg_seq2seq_options *o = &m->o;
    char name[16];
    int half = o->hidden / 2;
    int context = o->no_attention || !o->post ? o->hidden : 0,
        feed = o->input_feeding ? o->hidden : 0;
    m->forward[l] =
        make_cell(o, layer_name(name, sizeof name, "forward", l), l ? o->hidden : o->embed, half);
    m->backward[l] =
        make_cell(o, layer_name(name, sizeof name, "backward", l), l ? o->hidden : o->embed, half);
    m->decoder[l] = make_cell(o, layer_name(name, sizeof name, "decoder", l),
                              l ? o->hidden : o->embed + context + feed, o->hidden);
    m->bridge[l][0] = sg_linear(o->g, layer_name(name, sizeof name, "bridge", l), .in = o->hidden,
                                .out = o->hidden, .dtype = o->dtype);
    if (o->cell == SG_CELL_LSTM)
        m->bridge[l][1] = sg_linear(o->g, layer_name(name, sizeof name, "bridge_c", l),
                                    .in = o->hidden, .out = o->hidden, .dtype = o->dtype);
}

sg_seq2seq sg_make_seq2seq_(sg_seq2seq_options o)
{
    o.embed = o.embed ? o.embed : 128;
    o.hidden = o.hidden ? o.hidden : 256;
    o.layers = o.layers ? o.layers : 1;
    sg_seq2seq m = {.o = o};
    sg_push(o.g, "seq2seq", o.name);
    if (o.embed < 0 || o.hidden < 0 || o.hidden % 2 || o.layers < 0 || o.layers > SG_MAX_LAYERS ||
        o.source_count <= SG_RESERVED || o.target_count <= SG_RESERVED)
        sg_fail(o.g, SG_BAD_ARGUMENT,
                "vocabularies of %d and %d, embed %d, hidden %d (must be even), %d layers",
                o.source_count, o.target_count, o.embed, o.hidden, o.layers);
    m.source_table =
        sg_embedding(o.g, "source", .count = o.source_count, .size = o.embed, .dtype = o.dtype);
    m.target_table =
        sg_embedding(o.g, "target", .count = o.target_count, .size = o.embed, .dtype = o.dtype);
    for (int l = 0; l < o.layers && sg_ok(o.g); l++)
        make_layer(&m, l);
    if (!o.no_attention)
        m.attention = sg_make_attention(o.g, "attention", .score = o.score, .query = o.hidden,
                                        .key = o.hidden, .dtype = o.dtype);
    m.readout = sg_linear(o.g, "readout", .in = 2 * o.hidden, .out = o.hidden, .dtype = o.dtype);
    m.out = sg_linear(o.g, "out", .in = o.hidden, .out = o.target_count, .dtype = o.dtype);
    sg_pop(o.g);
    return m;
}

/* ---- encoder
 * ------------------------------------------------------------------------------------- */

sg_encoded sg_seq2seq_encode(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                             const int *lengths)
{
    sg_context *g = m->o.g;
    sg_encoded e = {0};
    sg_push(g, "encoder", NULL);
    sg_tensor *ids = sg_input(g, SG_I32, SG_SHAPE(batch, time), source);
    sg_tensor *x = sg_dropout(sg_take(m->source_table, ids), m->o.dropout); /* [B,S,E] */
    for (int l = 0; l < m->o.layers; l++) {
        sg_state final;
        if (l)
            x = sg_dropout(x, m->o.dropout);
        x = sg_bidirectional(m->forward[l], m->backward[l], x, lengths, &final); /* [B,S,H] */
        e.state[l].h = sg_tanh(sg_apply(m->bridge[l][0], final.h));
        e.state[l].c = final.c ? sg_tanh(sg_apply(m->bridge[l][1], final.c)) : NULL;
        e.context = final.h;
    }
    if (!m->o.no_attention)
        e.memory = sg_remember(&m->attention, x, lengths);
    if (m->o.input_feeding)
        e.feed = sg_full(g, m->o.dtype, SG_SHAPE(batch, m->o.hidden), 0);
    sg_pop(g);
    return e;
}

/* ---- decoder
 * ------------------------------------------------------------------------------------- */

/* tanh(Wc [context; h]) */
sg_tensor *sg__readout(const sg_seq2seq *m, sg_tensor *context, sg_tensor *h)
{
    return sg_tanh(sg_apply(m->readout, sg_concat(-1, context, h)));
}

/* Rows of the first layer's input weights: for the embedding, the context, the fed-back state. */
static sg_tensor *part(const sg_seq2seq *m, int64_t from, int64_t size)
{
    return sg_slice(m->decoder[0].wx, 0, from, from + size, 1);
}

sg_tensor *sg__project_tokens(const sg_seq2seq *m, sg_tensor *ids)
{
    sg_tensor *x = sg_dropout(sg_take(m->target_table, ids), m->o.dropout); /* [B,(T,)E] */
    return sg_add(sg_matmul(x, part(m, 0, m->o.embed)), m->decoder[0].b);   /* [B,(T,)G] */
}

sg_attended sg__decoder_step(const sg_seq2seq *m, sg_encoded *e, sg_tensor *xw, sg_tensor **top)
{
    const sg_seq2seq_options *o = &m->o;
    sg_attended a = {.context = e->context};
    int64_t at = o->embed;
    if (!o->no_attention && !o->post)
        a = sg_attend(&m->attention, &e->memory, e->state[o->layers - 1].h);
    if (o->no_attention || !o->post) {
        xw = sg_add(xw, sg_matmul(a.context, part(m, at, o->hidden)));
        at += o->hidden;
    }
    if (o->input_feeding)
        xw = sg_add(xw, sg_matmul(e->feed, part(m, at, o->hidden)));
    e->state[0] = m->decoder[0].step(&m->decoder[0], xw, e->state[0]);
    for (int l = 1; l < o->layers; l++) {
        sg_tensor *below = sg_dropout(e->state[l - 1].h, o->dropout);
        e->state[l] = sg_cell_step(&m->decoder[l], below, e->state[l]);
    }
    *top = e->state[o->layers - 1].h;
    if (!o->no_attention && o->post)
        a = sg_attend(&m->attention, &e->memory, *top);
    return a;
}

/* Luong's attention without input feeding needs no result of the step before but the state: all
 * steps of a layer, then all of the attention, at once. */
static sg_tensor *decode_at_once(const sg_seq2seq *m, const sg_encoded *e, sg_tensor *xw,
                                 sg_tensor **weights)
{
    sg_cell first = m->decoder[0];
    first.wx = NULL;                                             /* xw has it already */
    sg_tensor *h = sg_unroll(first, xw, .initial = e->state[0]); /* [B,T,H] */
    for (int l = 1; l < m->o.layers; l++) {
        h = sg_dropout(h, m->o.dropout);
        h = sg_unroll(m->decoder[l], h, .initial = e->state[l]);
    }
    sg_attended a = sg_attend(&m->attention, &e->memory, h);
    if (weights)
        *weights = a.weights;
    return sg__readout(m, a.context, h);
}

enum { MOST_STEPS = 4096 };

static sg_tensor *decode_by_step(const sg_seq2seq *m, const sg_encoded *encoded, sg_tensor *xw,
                                 int time, sg_tensor **weights)
{
    sg_encoded e = *encoded;
    sg_tensor *h[MOST_STEPS], *context[MOST_STEPS], *w[MOST_STEPS];
    if (time > MOST_STEPS)
        return sg_fail(m->o.g, SG_BAD_ARGUMENT, "%d decoder steps: at most %d", time, MOST_STEPS);
    for (int t = 0; t < time; t++) {
        sg_attended a = sg__decoder_step(m, &e, sg_index(xw, 1, t), &h[t]);
        context[t] = a.context;
        w[t] = a.weights;
        if (m->o.input_feeding)
            h[t] = e.feed = sg__readout(m, a.context, h[t]);
    }
    if (weights && !m->o.no_attention)
        *weights = sg_stack_(1, time, w);
    sg_tensor *all = sg_stack_(1, time, h); /* [B,T,H] */
    return m->o.input_feeding ? all : sg__readout(m, sg_stack_(1, time, context), all);
}

sg_tensor *sg_seq2seq_decode(const sg_seq2seq *m, const sg_encoded *e, const int32_t *target,
                             int batch, int time, sg_tensor **weights)
{
    sg_context *g = m->o.g;
    bool at_once = !m->o.no_attention && m->o.post && !m->o.input_feeding;
    if (weights)
        *weights = NULL;
    sg_push(g, "decoder", NULL);
    sg_tensor *xw = sg__project_tokens(m, sg_input(g, SG_I32, SG_SHAPE(batch, time), target));
    sg_tensor *h =
        at_once ? decode_at_once(m, e, xw, weights) : decode_by_step(m, e, xw, time, weights);
    h = sg_dropout(h, m->o.dropout);
    sg_tensor *logits = sg_apply(m->out, h); /* [B,T,V] */
    sg_pop(g);
    return logits;
}

sg_loss sg_seq2seq_loss(const sg_seq2seq *m, const sg_batch *b, double smoothing)
{
    sg_encoded e = sg_seq2seq_encode(m, b->source, b->size, b->source_time, b->source_lengths);
    sg_tensor *logits = sg_seq2seq_decode(m, &e, b->target_in, b->size, b->target_time, NULL);
    return sg_label_loss(logits, b->target_out, b->target_lengths, smoothing);
}
