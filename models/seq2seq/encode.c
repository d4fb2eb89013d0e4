/* The encoder of a sequence to sequence model, and what its states become for the decoder. */
#include "models/internal.h"

sg_tensor *sg__tokens(sg_context *g, const int32_t *ids, int batch, int time, const int *lengths)
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

/* ---- one source ----------------------------------------------------------------------------- */

/* s of a layer: h_N, or what is pooled from all its states x [B,S,H] */
static sg_tensor *summary(sg_summary kind, const sg_attention_pool *pool, sg_tensor *x,
                          const int *lengths, sg_tensor *last)
{
    if (kind == SG_SUMMARY_LAST)
        return last;
    if (kind == SG_SUMMARY_ATTENTION)
        return pool->v ? sg_pool_by_attention(pool, x, lengths).context : last;
    return sg_pool((sg_pooling)kind, x, lengths);
}

/* One layer over x [B,S,..]: [B,S,H], and what it ends with. */
static sg_tensor *read_layer(const sg_seq2seq *m, const sg_encoder *n, int layer, sg_tensor *x,
                             const int *lengths, sg_state *last)
{
    const sg_cell *f = &n->forward[layer], *b = &n->backward[layer];
    if (m->o.one_way)
        return sg_unroll(*f, x, lengths, .final = last);
    if (m->o.merge == SG_FUSE_CONCAT)
        return sg_bidirectional(*f, *b, x, lengths, last);
    const sg_fusion *merge = n->merge[layer];
    sg_state left, right;
    sg_tensor *l = sg_unroll(*f, x, lengths, .final = &left);
    sg_tensor *r = sg_unroll(*b, x, lengths, .reverse = true, .final = &right);
    last->h = sg_fuse(&merge[0], left.h, right.h);
    last->c = left.c ? sg_fuse(&merge[1], left.c, right.c) : NULL;
    x = sg_fuse(&merge[0], l, r);
    return sg_ok(m->o.g) ? sg__clean(x, sg__short_ones(lengths, sg_dim(x, 0), sg_dim(x, 1))) : x;
}

/* The states of the top layer [B,S,H]; said: of each layer s and c_N. */
static sg_tensor *read_source(const sg_seq2seq *m, const sg_encoder *n, const sg_source *source,
                              int batch, sg_state *said)
{
    sg_context *g = m->o.g;
    const int *lengths = source->lengths;
    sg_tensor *x = sg_take(n->table, sg__tokens(g, source->ids, batch, source->time, lengths));
    for (int l = 0; l < m->o.layers && sg_ok(g); l++) {
        sg_state *last = &said[l];
        x = sg_dropout(x, m->o.dropout); /* [B,S,E], then [B,S,H] */
        x = read_layer(m, n, l, x, lengths, last);
        last->h = summary(m->o.summary, &n->pool[l], x, lengths, last->h);
    }
    return x;
}

/* ---- what the decoder gets ------------------------------------------------------------------ */

/* q(s) = tanh(s Wq + bq), or s where there is no q */
static sg_tensor *through(sg_affine q, sg_tensor *s)
{
    return q.w ? sg_tanh(sg_apply(q, s)) : s;
}

/* What all sources say of a layer, of h or of c, joined and through q. */
static sg_tensor *state_of(const sg_seq2seq *m, int layer, int of,
                           const sg_state (*said)[SG_MAX_LAYERS])
{
    sg_tensor *s = NULL;
    for (int k = 0; k < m->o.sources; k++) {
        sg_tensor *one = of ? said[k][layer].c : said[k][layer].h;
        s = k ? sg_fuse(&m->encoder[k].join_state[layer][of], s, one) : one;
    }
    return through(m->bridge[layer][of], s);
}

static void hand_over(const sg_seq2seq *m, int layer, const sg_state (*said)[SG_MAX_LAYERS],
                      sg_encoded *e)
{
    const sg_seq2seq_options *o = &m->o;
    bool is_state = o->context != SG_CONTEXT_INPUT, top = layer == o->layers - 1;
    sg_state *s = &e->state[layer];
    bool has_c = m->decoder[layer].states > 1, from_c = is_state && has_c && said[0][layer].c;
    if (!is_state || has_c != from_c)
        *s = sg__zero_state(&m->decoder[layer], sg_dim(said[0][layer].h, 0), o->dtype);
    if (is_state)
        s->h = state_of(m, layer, 0, said);
    if (from_c)
        s->c = state_of(m, layer, 1, said);
    if (top && o->bridge == SG_BRIDGE_BOTH)
        e->context = is_state ? s->h : state_of(m, layer, 0, said);
    for (int k = 0; top && o->bridge != SG_BRIDGE_BOTH && k < o->sources; k++) {
        sg_tensor *one = said[k][layer].h;
        e->context = k ? sg_fuse(&m->encoder[k].join, e->context, one) : one;
    }
}

sg_encoded sg_seq2seq_encode_all(const sg_seq2seq *m, int batch, const sg_source *sources)
{
    sg_context *g = m->o.g;
    sg_encoded e = {.context = sg__nothing(g)};
    sg_state said[SG_MAX_SOURCES][SG_MAX_LAYERS] = {0};
    sg_push(g, "encoder", "");
    for (int k = 0; k < m->o.sources; k++) {
        const sg_encoder *n = &m->encoder[k];
        sg_tensor *x = read_source(m, n, &sources[k], batch, said[k]);
        if (!m->o.no_attention)
            e.memory[k] = sg_remember(&n->attention, x, sources[k].lengths);
        if (m->o.monotonic)
            e.memory[k].position = sg_full(g, m->o.dtype, SG_SHAPE(batch, 1), 0);
    }
    for (int l = 0; l < m->o.layers && sg_ok(g); l++)
        hand_over(m, l, (const sg_state(*)[SG_MAX_LAYERS])said, &e);
    e.feed = sg_full(g, m->o.dtype, SG_SHAPE(batch, m->o.hidden), 0);
    sg_pop(g);
    return e;
}

sg_encoded sg_seq2seq_encode(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                             const int *lengths)
{
    sg_source all[SG_MAX_SOURCES] = {{source, time, lengths}};
    if (m->o.sources > 1)
        sg_fail(m->o.g, SG_BAD_ARGUMENT, "encoder: one source, of a model of %d", m->o.sources);
    return sg_seq2seq_encode_all(m, batch, all);
}
