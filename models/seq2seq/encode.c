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

/* s of a layer: h_N, or what is pooled from all its states x [B,S,H] */
static sg_tensor *summary(const sg_seq2seq *m, int layer, sg_tensor *x, const int *lengths,
                          sg_tensor *last)
{
    if (m->o.summary == SG_SUMMARY_LAST)
        return last;
    if (m->o.summary == SG_SUMMARY_ATTENTION)
        return m->pool[layer].v ? sg_pool_by_attention(&m->pool[layer], x, lengths).context : last;
    return sg_pool((sg_pooling)m->o.summary, x, lengths);
}

/* q(s) = tanh(s Wq + bq), or s where there is no q */
static sg_tensor *through(sg_affine q, sg_tensor *s)
{
    return q.w ? sg_tanh(sg_apply(q, s)) : s;
}

/* What the decoder gets from a layer with the states x and the last ones. */
static void hand_over(const sg_seq2seq *m, int layer, sg_tensor *x, const int *lengths,
                      sg_state last, sg_encoded *e)
{
    sg_tensor *s = summary(m, layer, x, lengths, last.h);
    sg_state q = {through(m->bridge[layer][0], s), NULL};
    if (last.c)
        q.c = through(m->bridge[layer][1], last.c);
    if (m->o.context == SG_CONTEXT_INPUT)
        e->state[layer] = sg_zero_state(&m->decoder[layer], sg_ok(m->o.g) ? sg_dim(last.h, 0) : 0);
    else
        e->state[layer] = q;
    e->context = m->o.bridge == SG_BRIDGE_BOTH ? q.h : s;
}

sg_encoded sg_seq2seq_encode(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                             const int *lengths)
{
    sg_context *g = m->o.g;
    sg_encoded e = {.context = sg__nothing(g)};
    sg_state last = {0};
    sg_push(g, "encoder", "");
    sg_tensor *x = sg_take(m->source_table, sg__tokens(g, source, batch, time, lengths));
    for (int l = 0; l < m->o.layers && sg_ok(g); l++) {
        x = sg_dropout(x, m->o.dropout); /* [B,S,E], then [B,S,H] */
        x = m->o.one_way ? sg_unroll(m->forward[l], x, lengths, .final = &last)
                         : sg_bidirectional(m->forward[l], m->backward[l], x, lengths, &last);
        hand_over(m, l, x, lengths, last, &e);
    }
    if (!m->o.no_attention)
        e.memory = sg_remember(&m->attention, x, lengths);
    e.feed = sg_full(g, m->o.dtype, SG_SHAPE(batch, m->o.hidden), 0);
    sg_pop(g);
    return e;
}
