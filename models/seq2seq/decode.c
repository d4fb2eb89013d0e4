/*
 * The decoder of a sequence to sequence model. What does not depend on the step before is computed
 * for all steps at once: the embeddings' part of the first cell's inputs, the output layer, and
 * with Luong's attention without input feeding everything else but the recurrence.
 */
#include "models/internal.h"

static sg_tensor *rows(sg_tensor *w, int from, int count)
{
    return sg_slice(w, 0, from, (int64_t)from + count, 1);
}

/* A part of the first cell's inputs with those before it, if any: xw + x W, or without weights
 * [xw; x] */
static sg_tensor *with(sg_tensor *xw, sg_tensor *x, sg_tensor *w)
{
    if (!w)
        return xw ? sg_concat(-1, xw, x) : x;
    sg_tensor *product = sg_matmul(x, w);
    return xw ? sg_add(xw, product) : product;
}

bool sg__has_extra(const sg_seq2seq *m, const sg_encoded *e)
{
    if (m->o.extra && !e->z)
        sg_fail(m->o.g, SG_BAD_ARGUMENT, "extra information of %d features is not given",
                m->o.extra);
    return sg_ok(m->o.g);
}

/* With z, where that is the place for it. */
static sg_tensor *joined(const sg__decoder *d, sg_fuse_place place, sg_tensor *h)
{
    const sg_seq2seq *m = d->m;
    return m->o.extra && m->o.fuse_at == place ? sg_fuse(&m->fusion, h, d->now.z) : h;
}

/* A layer's cell, of which steps see z beside their state if that is the place for it. */
static sg_cell cell_of(const sg_seq2seq *m, int layer, const sg_encoded *e)
{
    sg_cell p = m->decoder[layer];
    if (layer == 0 && m->o.extra && m->o.fuse_at == SG_FUSE_STATE) {
        p.fusion = m->fusion;
        p.z = e->z;
    }
    return p;
}

/* The slices are taken here, not at every step, so that their gradients are summed before they
 * become part of wx's. */
sg__decoder sg__decoder_start(const sg_seq2seq *m, const sg_encoded *e)
{
    const sg_seq2seq_options *o = &m->o;
    const sg_cell *cell = &m->decoder[0];
    sg__decoder d = {.m = m, .now = *e, .base = cell->wx ? cell->b : NULL};
    bool good = sg__has_extra(m, e);
    for (int l = 0; l < o->layers; l++) {
        d.cell[l] = cell_of(m, l, e);
        if (good)
            d.cell[l] = sg_begin(&d.cell[l], sg_dim(e->context, 0));
    }
    if (!cell->wx)
        return d;
    int token = sg__token_size(o), context = sg__input_context_size(o);
    d.of_token = rows(cell->wx, 0, token);
    d.of_context = rows(cell->wx, token, context);
    d.of_feed = rows(cell->wx, token + context, sg__feed_size(o));
    if (o->no_attention && context) {
        sg_tensor *c = sg_matmul(e->context, d.of_context);
        d.base = sg_expand_dims(cell->b ? sg_add(c, cell->b) : c, 1); /* [B,1,G] */
    }
    return d;
}

static sg_tensor *at_all_steps(sg_tensor *x, int64_t time) /* [B,n] to [B,T,n] */
{
    sg_shape all = SG_SHAPE(sg_dim(x, 0), time, sg_dim(x, 1));
    return sg_broadcast_to(sg_expand_dims(x, 1), all);
}

/* Whether a step needs the token itself beside what the first cell makes of it. */
static bool keeps_token(const sg_seq2seq *m)
{
    return m->o.token_out || m->decoder[0].output;
}

sg_tensor *sg__decoder_inputs(const sg__decoder *d, sg_tensor *tokens)
{
    const sg_seq2seq *m = d->m;
    sg_tensor *x = sg_dropout(sg_take(m->target_table, tokens), m->o.dropout); /* [B,T,E] */
    x = joined(d, SG_FUSE_INPUT, x);
    sg_tensor *xw = with(NULL, x, d->of_token);
    if (!d->of_token && m->o.no_attention && sg__input_context_size(&m->o) && sg_ok(m->o.g))
        xw = with(xw, at_all_steps(d->now.context, sg_dim(x, 1)), NULL);
    xw = d->base ? sg_add(xw, d->base) : xw;
    return keeps_token(m) ? sg_concat(-1, xw, x) : xw;
}

/* Takes the tokens from a step's inputs, or from those of all steps, where they are kept. */
static sg_tensor *cut_token(const sg_seq2seq *m, sg_tensor **xw)
{
    sg_tensor *all = *xw;
    int64_t n = keeps_token(m) ? sg_dim(all, -1) : 0;
    if (n == 0)
        return NULL;
    int64_t own = n - sg__token_size(&m->o);
    *xw = sg_slice(all, -1, 0, own, 1);
    return sg_slice(all, -1, own, n, 1);
}

/* Attends from h to each source, adds the weights to what was attended to so far, and moves windows
 * on. */
static sg_attended attend(sg__decoder *d, sg_tensor *h)
{
    sg_attended all = {NULL, NULL};
    for (int k = 0; k < d->m->o.sources; k++) {
        const sg_encoder *n = &d->m->encoder[k];
        sg_memory *memory = &d->now.memory[k];
        sg_attended a = sg_attend(&n->attention, memory, h);
        if (d->m->o.coverage)
            memory->coverage = memory->coverage ? sg_add(memory->coverage, a.weights) : a.weights;
        if (d->m->o.monotonic)
            memory->position = sg_add(memory->position, sg_like(memory->position, 1));
        all.context = k ? sg_fuse(&n->join, all.context, a.context) : a.context;
        all.weights = k ? sg_concat(-1, all.weights, a.weights) : a.weights;
    }
    return all;
}

/* tanh(Wc [context; h]) (Luong et al. 2015), or of some of [y; context; h] */
static sg_tensor *readout(const sg__decoder *d, sg_tensor *context, sg_tensor *h, sg_tensor *y)
{
    const sg_seq2seq *m = d->m;
    h = joined(d, SG_FUSE_OUTPUT, h);
    h = m->o.context == SG_CONTEXT_STATE ? h : sg_concat(-1, context, h);
    return sg_tanh(sg_apply(m->readout, m->o.token_out && y ? sg_concat(-1, y, h) : h));
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
    sg_state *s = d->now.state;
    bool attends = !m->o.no_attention;
    sg_attended a = {.context = d->now.context};
    if (attends && !m->o.post) { /* from h_{t-1}, into the cell */
        a = attend(d, s[m->o.layers - 1].h);
        xw = with(xw, a.context, d->of_context);
    }
    if (m->o.input_feeding)
        xw = with(xw, d->now.feed, d->of_feed);
    s[0] = sg__step(&d->cell[0], xw, s[0]);
    sg_tensor *h = sg_output(&d->cell[0], y, s[0].h);
    for (int l = 1; l < m->o.layers; l++) {
        sg_tensor *x = sg_dropout(h, m->o.dropout);
        s[l] = sg_cell_step(&d->cell[l], x, s[l]);
        h = sg_output(&d->cell[l], x, s[l].h);
    }
    if (attends && m->o.post) /* from h_t */
        a = attend(d, h);
    *weights = a.weights;
    return d->now.feed = readout(d, a.context, h, y);
}

static sg_tensor *step_numbers(sg_tensor *h) /* of h [B,T,H]: 0, 1, … T-1 in each row */
{
    sg_shape all = SG_SHAPE(sg_dim(h, 0), sg_dim(h, 1));
    sg_tensor *one = sg_full(sg_context_of(h), sg_type(h), all, 1);
    return sg_sub(sg_cumsum(one, 1), one);
}

/* Where no step's inputs need the step before but by the cells' own states: all at once. */
static sg_tensor *all_at_once(sg__decoder *d, sg_tensor *xw, sg_tensor **weights)
{
    const sg_seq2seq *m = d->m;
    const sg_encoded *e = &d->now;
    sg_cell first = cell_of(m, 0, e);
    sg_tensor *y = cut_token(m, &xw);
    first.wx = NULL; /* xw are its inputs already */
    first.output = NULL;
    sg_tensor *h = sg_unroll(first, xw, .initial = e->state[0]); /* [B,T,H] */
    h = sg_output(&m->decoder[0], y, h);
    for (int l = 1; l < m->o.layers; l++)
        h = sg_unroll(m->decoder[l], sg_dropout(h, m->o.dropout), .initial = e->state[l]);
    for (int k = 0; m->o.monotonic && k < m->o.sources; k++)
        d->now.memory[k].position = step_numbers(h);
    sg_attended a = {.context = e->context};
    if (m->o.no_attention)
        a.context = at_all_steps(e->context, sg_dim(h, 1));
    else
        a = attend(d, h);
    *weights = a.weights; /* [B,T,S] */
    return readout(d, a.context, h, y);
}

int64_t sg__source_time(const sg_seq2seq *m, const sg_encoded *e)
{
    int64_t time = 0;
    for (int k = 0; k < m->o.sources && !m->o.no_attention; k++)
        time += sg_dim(e->memory[k].values, -2);
    return time;
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
    if (!d->m->o.no_attention)
        *weights = sg__stack_steps(time, w, xw, sg__source_time(d->m, &d->now)); /* [B,T,S] */
    return r;
}

sg_tensor *sg__decode(const sg_seq2seq *m, const sg_encoded *e, sg_tensor *tokens,
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
    sg_tensor *r = sg__decode(m, e, sg__tokens(g, target, batch, time, NULL), weights);
    sg_tensor *logits = sg__decoder_logits(m, r); /* [B,T,V] */
    sg_pop(g);
    return logits;
}
