/*
 * Sequence to sequence: a bidirectional encoder, a decoder, attention in between (Sutskever et al.
 * 2014, Cho et al. 2014, Bahdanau et al. 2015, Luong et al. 2015).
 *
 * What does not depend on the step before is computed for all steps at once: the embeddings' part
 * of the first cell's inputs, the output layer, and with Luong's attention without input feeding
 * everything else but the recurrence.
 */
#include "models/internal.h"

#include <string.h>

/* ---- making --------------------------------------------------------------------------------- */

/* Sizes of what the decoder's first cell gets beside the embedding. */
static int context_size(const sg_seq2seq_options *o)
{
    return o->post || o->context == SG_CONTEXT_STATE ? 0 : o->hidden;
}

static int feed_size(const sg_seq2seq_options *o)
{
    return o->input_feeding ? o->hidden : 0;
}

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

static void make_layer(sg_seq2seq *m, int layer)
{
    const sg_seq2seq_options *o = &m->o;
    int encoder = layer ? o->hidden : o->embed;
    int decoder = layer ? o->hidden : o->embed + context_size(o) + feed_size(o);
    int units = o->one_way ? o->hidden : o->hidden / 2;
    m->forward[layer] = make_cell(o, "forward", layer, encoder, units);
    if (!o->one_way)
        m->backward[layer] = make_cell(o, "backward", layer, encoder, units);
    m->decoder[layer] = make_cell(o, "decoder", layer, decoder, o->hidden);
    for (int s = 0; s < m->decoder[layer].states && o->context != SG_CONTEXT_INPUT; s++) {
        char name[32];
        snprintf(name, sizeof name, "bridge%d%c", layer, s ? 'c' : 'h');
        m->bridge[layer][s] = sg_linear(o->g, name, o->hidden, o->hidden, .dtype = o->dtype);
    }
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

/* ---- encoder -------------------------------------------------------------------------------- */

/* ids as a leaf [B,T]; behind a length there is padding, whatever was there. */
static sg_tensor *tokens_of(sg_context *g, const int32_t *ids, int batch, int time,
                            const int *lengths)
{
    if (batch < 0 || time < 0 || !ids)
        return sg_fail(g, SG_BAD_ARGUMENT, "no ids: %d sequences of %d tokens%s", batch, time,
                       ids ? "" : " at NULL");
    if (!sg__good_lengths(g, batch, time, lengths))
        return sg__nothing(g);
    size_t n = (size_t)batch * (size_t)time, row = (size_t)time;
    int32_t *clean = sg_room(g, n * sizeof *clean);
    if (!clean)
        return sg__nothing(g);
    for (size_t i = 0; i < n; i++)
        clean[i] = !lengths || i % row < (size_t)lengths[i / row] ? ids[i] : SG_PAD;
    return sg_borrow(g, SG_I32, SG_SHAPE(batch, time), clean);
}

/* tanh(Wq h_N + bq), and of c_N; or zeros */
static sg_state bridge(const sg_seq2seq *m, int layer, sg_state final)
{
    const sg_affine *q = m->bridge[layer];
    if (m->o.context == SG_CONTEXT_INPUT)
        return sg_zero_state(&m->decoder[layer], sg_ok(m->o.g) ? sg_dim(final.h, 0) : 0);
    return (sg_state){.h = sg_tanh(sg_apply(q[0], final.h)),
                      .c = final.c ? sg_tanh(sg_apply(q[1], final.c)) : NULL};
}

sg_encoded sg_seq2seq_encode(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                             const int *lengths)
{
    sg_context *g = m->o.g;
    sg_encoded e = {.context = sg__nothing(g)};
    sg_state final = {0};
    sg_push(g, "encoder", "");
    sg_tensor *x = sg_take(m->source_table, tokens_of(g, source, batch, time, lengths));
    for (int l = 0; l < m->o.layers && sg_ok(g); l++) {
        x = sg_dropout(x, m->o.dropout); /* [B,S,E], then [B,S,H] */
        x = m->o.one_way ? sg_unroll(m->forward[l], x, lengths, .final = &final)
                         : sg_bidirectional(m->forward[l], m->backward[l], x, lengths, &final);
        e.state[l] = bridge(m, l, final);
        e.context = final.h;
    }
    if (!m->o.no_attention)
        e.memory = sg_remember(&m->attention, x, lengths);
    e.feed = sg_full(g, m->o.dtype, SG_SHAPE(batch, m->o.hidden), 0);
    sg_pop(g);
    return e;
}

/* ---- decoder -------------------------------------------------------------------------------- */

static sg_tensor *rows(sg_tensor *w, int from, int count)
{
    return sg_slice(w, 0, from, (int64_t)from + count, 1);
}

/* The slices are taken here, not at every step, so that their gradients are summed before they
 * become part of wx's. */
sg__decoder sg__decoder_start(const sg_seq2seq *m, const sg_encoded *e)
{
    const sg_seq2seq_options *o = &m->o;
    const sg_cell *cell = &m->decoder[0];
    sg__decoder d = {.m = m, .now = *e, .base = cell->b};
    for (int l = 0; l < o->layers; l++)
        d.cell[l] = sg_ok(o->g) ? sg_begin(&m->decoder[l], sg_dim(e->context, 0)) : m->decoder[l];
    d.of_token = rows(cell->wx, 0, o->embed);
    d.of_context = rows(cell->wx, o->embed, context_size(o));
    d.of_feed = rows(cell->wx, o->embed + context_size(o), feed_size(o));
    if (o->no_attention && context_size(o)) {
        sg_tensor *c = sg_matmul(e->context, d.of_context);
        d.base = sg_expand_dims(sg_add(c, cell->b), 1); /* [B,1,G] */
    }
    return d;
}

sg_tensor *sg__decoder_inputs(const sg__decoder *d, sg_tensor *tokens)
{
    sg_tensor *x = sg_dropout(sg_take(d->m->target_table, tokens), d->m->o.dropout); /* [B,T,E] */
    sg_tensor *xw = sg_add(sg_matmul(x, d->of_token), d->base);
    return d->m->o.token_out ? sg_concat(-1, xw, x) : xw;
}

/* Takes from a step's inputs, or those of all steps, what is for the readout; NULL: nothing. */
static sg_tensor *cut_token(const sg_seq2seq *m, sg_tensor **xw)
{
    sg_tensor *all = *xw;
    int64_t n = m->o.token_out ? sg_dim(all, -1) : 0;
    if (n == 0)
        return NULL;
    *xw = sg_slice(all, -1, 0, n - m->o.embed, 1);
    return sg_slice(all, -1, n - m->o.embed, n, 1);
}

/* Attends from h, and adds the weights to what was attended to so far. */
static sg_attended attend(sg__decoder *d, sg_tensor *h)
{
    sg_memory *memory = &d->now.memory;
    sg_attended a = sg_attend(&d->m->attention, memory, h);
    if (d->m->o.coverage)
        memory->coverage = memory->coverage ? sg_add(memory->coverage, a.weights) : a.weights;
    return a;
}

/* tanh(Wc [context; h]) (Luong et al. 2015), or of some of [y; context; h] */
static sg_tensor *readout(const sg_seq2seq *m, sg_tensor *context, sg_tensor *h, sg_tensor *y)
{
    h = m->o.context == SG_CONTEXT_STATE ? h : sg_concat(-1, context, h);
    return sg_tanh(sg_apply(m->readout, y ? sg_concat(-1, y, h) : h));
}

sg_tensor *sg__decoder_logits(const sg_seq2seq *m, sg_tensor *r)
{
    sg_tensor *w = m->o.tied ? sg_transpose(m->target_table, 0, 1) : m->out.w;
    return sg_apply((sg_affine){w, m->out.b}, r);
}

sg_tensor *sg__decoder_step(sg__decoder *d, sg_tensor *xw, sg_tensor **weights)
{
    const sg_seq2seq *m = d->m;
    sg_tensor *y = cut_token(m, &xw);
    sg_state *s = d->now.state, *top = &s[m->o.layers - 1];
    bool attends = !m->o.no_attention;
    sg_attended a = {.context = d->now.context};
    if (attends && !m->o.post) { /* from h_{t-1}, into the cell */
        a = attend(d, top->h);
        xw = sg_add(xw, sg_matmul(a.context, d->of_context));
    }
    if (m->o.input_feeding)
        xw = sg_add(xw, sg_matmul(d->now.feed, d->of_feed));
    s[0] = sg__step(&d->cell[0], xw, s[0]);
    for (int l = 1; l < m->o.layers; l++)
        s[l] = sg_cell_step(&d->cell[l], sg_dropout(s[l - 1].h, m->o.dropout), s[l]);
    if (attends && m->o.post) /* from h_t */
        a = attend(d, top->h);
    *weights = a.weights;
    return d->now.feed = readout(m, a.context, top->h, y);
}

/* Where no step's inputs need the step before but by the cells' own states: all at once. */
static sg_tensor *all_at_once(sg__decoder *d, sg_tensor *xw, sg_tensor **weights)
{
    const sg_seq2seq *m = d->m;
    const sg_encoded *e = &d->now;
    sg_cell first = m->decoder[0];
    sg_tensor *y = cut_token(m, &xw);
    first.wx = NULL;                                             /* xw are its inputs already */
    sg_tensor *h = sg_unroll(first, xw, .initial = e->state[0]); /* [B,T,H] */
    for (int l = 1; l < m->o.layers; l++)
        h = sg_unroll(m->decoder[l], sg_dropout(h, m->o.dropout), .initial = e->state[l]);
    sg_attended a = {.context = e->context};
    if (m->o.no_attention)
        a.context = sg_broadcast_to(sg_expand_dims(e->context, 1), sg_shape_of(h));
    else
        a = sg_attend(&m->attention, &e->memory, h);
    *weights = a.weights; /* [B,T,S] */
    return readout(m, a.context, h, y);
}

static sg_tensor *step_by_step(sg__decoder *d, sg_tensor *xw, sg_tensor **weights)
{
    int64_t time = sg_dim(xw, 1);
    sg_tensor **list = sg_room(d->m->o.g, 3 * (size_t)time * sizeof *list);
    if (!list)
        return sg__nothing(d->m->o.g);
    sg_tensor **w = list + time, **in = w + time;
    sg__cut_steps(xw, time, in);
    for (int64_t t = 0; t < time; t++)
        list[t] = sg__decoder_step(d, in[t], &w[t]);
    sg_tensor *r = sg__stack_steps(time, list, xw, d->m->o.hidden); /* [B,T,H] */
    sg_tensor *values = d->now.memory.values;
    if (values)
        *weights = sg__stack_steps(time, w, xw, sg_dim(values, -2)); /* [B,T,S] */
    return r;
}

/* What the output layer gets: [B,T,H] */
static sg_tensor *decode(const sg_seq2seq *m, const sg_encoded *e, sg_tensor *tokens,
                         sg_tensor **weights)
{
    sg__decoder d = sg__decoder_start(m, e);
    sg_tensor *xw = sg__decoder_inputs(&d, tokens), *r = sg__nothing(m->o.g), *w = r;
    bool together = (m->o.post || m->o.no_attention) && !m->o.input_feeding && !m->o.coverage;
    if (sg_ok(m->o.g))
        r = together ? all_at_once(&d, xw, &w) : step_by_step(&d, xw, &w);
    if (weights)
        *weights = m->o.no_attention ? NULL : w;
    return sg_dropout(r, m->o.dropout);
}

sg_tensor *sg_seq2seq_decode(const sg_seq2seq *m, const sg_encoded *e, const int32_t *target,
                             int batch, int time, sg_tensor **weights)
{
    sg_context *g = m->o.g;
    sg_push(g, "decoder", "");
    sg_tensor *r = decode(m, e, tokens_of(g, target, batch, time, NULL), weights);
    sg_tensor *logits = sg__decoder_logits(m, r); /* [B,T,V] */
    sg_pop(g);
    return logits;
}

/* Real tokens one after the other, of which alone the output layer and the loss are computed; then
 * some that are not, so that rows are whole batches and not each number of them is a new plan. */
typedef struct chosen {
    int32_t *at, *label; /* among [B,T]; the label of each */
    int real, all;       /* all is 0 where there is nothing to leave out */
} chosen;

static chosen real_tokens(sg_context *g, const sg_batch *b)
{
    chosen k = {0};
    if (!sg_ok(g) || !b->target_lengths || !b->target_out || !b->size)
        return k;
    int64_t n = 0, all = (int64_t)b->size * b->target_time;
    for (int i = 0; i < b->size; i++)
        n += b->target_lengths[i];
    int64_t whole = (n + b->size - 1) / b->size * b->size;
    if (n == 0 || whole >= all || all > INT32_MAX)
        return k;
    k.at = sg_room(g, (size_t)(2 * whole) * sizeof *k.at);
    if (!k.at)
        return k;
    k.label = k.at + whole;
    memset(k.at, 0, (size_t)(2 * whole) * sizeof *k.at);
    for (int i = 0; i < b->size; i++)
        for (int t = 0; t < b->target_lengths[i]; t++) {
            int at = i * b->target_time + t;
            k.at[k.real] = at;
            k.label[k.real++] = b->target_out[at];
        }
    k.all = (int)whole;
    return k;
}

sg_loss sg_seq2seq_loss(const sg_seq2seq *m, const sg_batch *b, double smoothing)
{
    sg_context *g = m->o.g;
    sg_encoded e = sg_seq2seq_encode(m, b->source, b->size, b->source_time, b->source_lengths);
    sg_push(g, "decoder", "");
    sg_tensor *tokens = tokens_of(g, b->target_in, b->size, b->target_time, b->target_lengths);
    sg_tensor *r = decode(m, &e, tokens, NULL);
    chosen k = real_tokens(g, b);
    if (k.all) {
        sg_tensor *rows = sg_reshape(r, SG_SHAPE(b->size * b->target_time, sg_dim(r, 2)));
        r = sg_take(rows, sg_borrow(g, SG_I32, SG_SHAPE(1, k.all), k.at)); /* [1,K,H] */
    }
    sg_tensor *logits = sg__decoder_logits(m, r);
    sg_pop(g);
    return k.all ? sg_label_loss(logits, k.label, &k.real, smoothing)
                 : sg_label_loss(logits, b->target_out, b->target_lengths, smoothing);
}

/* ---- scheduled sampling --------------------------------------------------------------------- */

/* Logits of all steps, each from the true token or from what the step before says. */
static sg_tensor *decode_sampled(const sg_seq2seq *m, const sg_encoded *e, sg_tensor *tokens,
                                 double truth)
{
    sg_context *g = m->o.g;
    int64_t time = sg_dim(tokens, 1);
    sg_tensor **logits = sg_room(g, (size_t)time * sizeof *logits), *w;
    if (!logits)
        return sg__nothing(g);
    sg__decoder d = sg__decoder_start(m, e);
    for (int64_t t = 0; t < time && sg_ok(g); t++) {
        sg_tensor *next = sg_index(tokens, 1, t); /* [B] */
        next = t ? sg_truth_or_guess(next, logits[t - 1], truth) : next;
        sg_tensor *xw = sg__decoder_inputs(&d, sg_expand_dims(next, 1)); /* [B,1,G] */
        sg_tensor *h = sg__decoder_step(&d, sg_index(xw, 1, 0), &w);
        logits[t] = sg__decoder_logits(m, sg_dropout(h, m->o.dropout));
    }
    return sg_ok(g) ? sg__stack_steps(time, logits, d.now.feed, m->o.target_count) : sg__nothing(g);
}

sg_loss sg_seq2seq_sampled_loss(const sg_seq2seq *m, const sg_batch *b, double smoothing,
                                double truth)
{
    sg_context *g = m->o.g;
    sg_encoded e = sg_seq2seq_encode(m, b->source, b->size, b->source_time, b->source_lengths);
    sg_push(g, "decoder", "");
    sg_tensor *tokens = tokens_of(g, b->target_in, b->size, b->target_time, b->target_lengths);
    sg_tensor *logits = sg_ok(g) ? decode_sampled(m, &e, tokens, truth) : sg__nothing(g);
    sg_pop(g);
    return sg_label_loss(logits, b->target_out, b->target_lengths, smoothing);
}
