/*
 * Sequence to sequence by its formulas: each step joins what its cell gets, with nothing taken out
 * of the loop over time; summaries are sums over real elements.
 */
#include "models/models.h"
#include "tests/decoding_test.h"

/* ---- the encoder ---------------------------------------------------------------------------- */

/* [B,S,1]: a number for each real element, by the length of its row; another behind it. */
static sg_tensor *by_element(sg_context *g, double real, bool divided, double padding)
{
    double v[BATCH * SOURCE];
    for (int i = 0; i < BATCH * SOURCE; i++) {
        int n = source_lengths[i / SOURCE];
        v[i] = i % SOURCE >= n ? padding : divided ? real / n : real;
    }
    return sg_input(g, SG_F64, SG_SHAPE(BATCH, SOURCE, 1), v);
}

static sg_tensor *mean_plainly(sg_tensor *x)
{
    return sg_sum(sg_mul(x, by_element(sg_context_of(x), 1, true, 0)), 1, false);
}

/* States are in (-1, 1): -9 hides an element, and what is left of an empty row becomes 0. */
static sg_tensor *largest_plainly(sg_tensor *x)
{
    sg_context *g = sg_context_of(x);
    sg_tensor *most = sg_max(sg_add(x, by_element(g, 0, false, -9)), 1, false);
    return sg_mul(most, sg_max(by_element(g, 1, false, 0), 1, false));
}

/* e = v . tanh(h W + b);  sum of exp(e) h / sum of exp(e) */
static sg_tensor *pooled_plainly(const sg_attention_pool *p, sg_tensor *x)
{
    sg_context *g = sg_context_of(x);
    sg_tensor *e = sg_matmul(sg_tanh(sg_apply(p->hidden, x)), p->v); /* [B,S,1] */
    e = sg_mul(sg_exp(e), by_element(g, 1, false, 0));
    sg_tensor *all = sg_sum(e, 1, false), *empty = by_element(g, 0, false, 1);
    all = sg_add(all, sg_min(empty, 1, false)); /* not 0 of an empty row */
    return sg_div(sg_sum(sg_mul(e, x), 1, false), all);
}

static sg_tensor *summary_plainly(const sg_seq2seq *m, int layer, sg_tensor *x, sg_tensor *last)
{
    switch (m->o.summary) {
    case SG_SUMMARY_LAST:
        return last;
    case SG_SUMMARY_MEAN:
        return mean_plainly(x);
    case SG_SUMMARY_MAX:
        return largest_plainly(x);
    default:
        return m->pool[layer].v ? pooled_plainly(&m->pool[layer], x) : last;
    }
}

/* tanh(s W + b), of which the parameters are found by their name */
static sg_tensor *q_plainly(const sg_seq2seq *m, int layer, char of, sg_tensor *s)
{
    sg_context *g = m->o.g;
    sg_tensor *w = sg_find(g, named("m.bridge%d%c.w", layer, of));
    return sg_tanh(sg_add(sg_matmul(s, w), sg_find(g, named("m.bridge%d%c.b", layer, of))));
}

/* The states of the encoder's top layer; the decoder's initial ones and the fixed context. */
static sg_tensor *encode_plainly(const sg_seq2seq *m, sg_state *s, sg_tensor **context)
{
    sg_context *g = m->o.g;
    bool state = m->o.context != SG_CONTEXT_INPUT;
    sg_tensor *x = sg_take(m->source_table, sg_input(g, SG_I32, SG_SHAPE(BATCH, SOURCE), source));
    for (int l = 0; l < m->o.layers; l++) {
        sg_state last;
        x = m->o.one_way
                ? sg_unroll(m->forward[l], x, source_lengths, .final = &last)
                : sg_bidirectional(m->forward[l], m->backward[l], x, source_lengths, &last);
        sg_tensor *h = *context = summary_plainly(m, l, x, last.h), *c = last.c;
        sg_tensor *none = sg_full(g, SG_F64, SG_SHAPE(BATCH, m->o.hidden), 0);
        if (state && m->o.bridge != SG_BRIDGE_NONE) {
            h = q_plainly(m, l, 'h', h);
            c = c ? q_plainly(m, l, 'c', c) : c;
        }
        s[l].h = state ? h : none;
        s[l].c = state || !c ? c : none;
        if (m->o.bridge == SG_BRIDGE_BOTH && l == m->o.layers - 1)
            *context = q_plainly(m, l, 'h', *context);
    }
    return x;
}

/* ---- the decoder ---------------------------------------------------------------------------- */

/* y_t joined with what else the first cell gets: [y; c; r] */
static sg_tensor *input_plainly(const sg_seq2seq *m, sg_tensor *y, sg_tensor *c, sg_tensor *r)
{
    if (!m->o.post && m->o.context != SG_CONTEXT_STATE)
        y = sg_concat(-1, y, c);
    return m->o.input_feeding ? sg_concat(-1, y, r) : y;
}

/* tanh([y; c; h] W + b) of those that there are */
static sg_tensor *readout_plainly(const sg_seq2seq *m, sg_tensor *y, sg_tensor *c, sg_tensor *h)
{
    h = m->o.context == SG_CONTEXT_STATE ? h : sg_concat(-1, c, h);
    return sg_tanh(sg_apply(m->readout, m->o.token_out ? sg_concat(-1, y, h) : h));
}

static sg_tensor *translate_plainly(const sg_seq2seq *m) /* logits [B,T,V] */
{
    sg_context *g = m->o.g;
    sg_state s[SG_MAX_LAYERS], *top = &s[m->o.layers - 1];
    sg_tensor *c = NULL, *logits[TARGET], *values = encode_plainly(m, s, &c);
    sg_tensor *r = sg_full(g, m->o.dtype, SG_SHAPE(BATCH, m->o.hidden), 0);
    sg_memory memory = {NULL};
    if (!m->o.no_attention)
        memory = sg_remember(&m->attention, values, source_lengths);
    for (int t = 0; t < TARGET; t++) {
        sg_tensor *y = sg_take(m->target_table, column(g, target_in, t));
        if (!m->o.post && !m->o.no_attention)
            c = sg_attend(&m->attention, &memory, top->h).context;
        sg_tensor *x = input_plainly(m, y, c, r);
        for (int l = 0; l < m->o.layers; l++) {
            s[l] = sg_cell_step(&m->decoder[l], x, s[l]);
            x = s[l].h;
        }
        if (m->o.post && !m->o.no_attention)
            c = sg_attend(&m->attention, &memory, top->h).context;
        r = readout_plainly(m, y, c, top->h);
        sg_tensor *w = m->o.tied ? sg_transpose(m->target_table, 0, 1) : m->out.w;
        logits[t] = sg_add(sg_matmul(r, w), m->out.b);
    }
    return sg_stack_(1, TARGET, logits);
}

Test(decoding_formulas, are_followed)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        const char *name;
        sg_context *g = sg_open();
        sg_seq2seq_options o = configuration(k, &name);
        o.dtype = SG_F64;
        sg_seq2seq m = make(g, o);
        sg_encoded e = sg_seq2seq_encode(&m, source, BATCH, SOURCE, source_lengths);
        sg_tensor *logits = sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, NULL);
        double d = distance(logits, translate_plainly(&m));
        cr_expect(d < 1e-14, "%s: off by %g", name, d);
        sg_close(g);
    }
}
