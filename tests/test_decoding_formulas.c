/*
 * Sequence to sequence by its formulas: each step joins what its cell gets, with nothing taken out
 * of the loop over time; summaries are sums over real elements.
 */
#include "models/models.h"
#include "tests/decoding_test.h"

/* ---- the encoder ---------------------------------------------------------------------------- */

/* [B,S,1]: a number for each real element, by the length of its row; another behind it. */
static sg_tensor *by_element(sg_context *g, const sg_source *of, double real, bool divided,
                             double padding)
{
    double v[BATCH * FURTHER];
    for (int i = 0; i < BATCH * of->time; i++) {
        int n = of->lengths[i / of->time];
        v[i] = i % of->time >= n ? padding : divided ? real / n : real;
    }
    return sg_input(g, SG_F64, SG_SHAPE(BATCH, of->time, 1), v);
}

static sg_tensor *mean_plainly(sg_tensor *x, const sg_source *of)
{
    return sg_sum(sg_mul(x, by_element(sg_context_of(x), of, 1, true, 0)), 1, false);
}

/* States are in (-1, 1): -9 hides an element, and what is left of an empty row becomes 0. */
static sg_tensor *largest_plainly(sg_tensor *x, const sg_source *of)
{
    sg_context *g = sg_context_of(x);
    sg_tensor *most = sg_max(sg_add(x, by_element(g, of, 0, false, -9)), 1, false);
    return sg_mul(most, sg_max(by_element(g, of, 1, false, 0), 1, false));
}

/* e = v . tanh(h W + b);  sum of exp(e) h / sum of exp(e) */
static sg_tensor *pooled_plainly(const sg_attention_pool *p, sg_tensor *x, const sg_source *of)
{
    sg_context *g = sg_context_of(x);
    sg_tensor *e = sg_matmul(sg_tanh(sg_apply(p->hidden, x)), p->v); /* [B,S,1] */
    e = sg_mul(sg_exp(e), by_element(g, of, 1, false, 0));
    sg_tensor *all = sg_sum(e, 1, false), *empty = by_element(g, of, 0, false, 1);
    all = sg_add(all, sg_min(empty, 1, false)); /* not 0 of an empty row */
    return sg_div(sg_sum(sg_mul(e, x), 1, false), all);
}

static sg_tensor *summary_plainly(const sg_seq2seq *m, const sg_attention_pool *pool,
                                  const sg_source *of, sg_tensor *x, sg_tensor *last)
{
    switch (m->o.summary) {
    case SG_SUMMARY_LAST:
        return last;
    case SG_SUMMARY_MEAN:
        return mean_plainly(x, of);
    case SG_SUMMARY_MAX:
        return largest_plainly(x, of);
    default:
        return pool->v ? pooled_plainly(pool, x, of) : last;
    }
}

/* Two of a kind, with parameters NAME.wz, or .wc, or .wh, .wz, .b */
static sg_tensor *fuse_plainly(sg_context *g, sg_fusion_kind kind, const char *name, sg_tensor *x,
                               sg_tensor *y)
{
    sg_tensor *wz = sg_find(g, named("%s.wz", name));
    switch (kind) {
    case SG_FUSE_ADD:
        return sg_add(x, wz ? sg_matmul(y, wz) : y);
    case SG_FUSE_MEAN:
        return sg_mul(sg_add(x, y), sg_like(y, 0.5));
    case SG_FUSE_RESTORED:
        return sg_matmul(sg_concat(-1, x, y), sg_find(g, named("%s.wc", name)));
    case SG_FUSE_MLP:
        x = sg_matmul(x, sg_find(g, named("%s.wh", name)));
        y = sg_matmul(y, wz);
        return sg_tanh(sg_add(sg_add(x, y), sg_find(g, named("%s.b", name))));
    default:
        return sg_concat(-1, x, y);
    }
}

/* Both directions of a layer, each from where it begins. */
static sg_tensor *layer_plainly(const sg_seq2seq *m, int k, int l, const sg_source *of,
                                sg_tensor *x, sg_state *last)
{
    sg_context *g = m->o.g;
    const sg_encoder *n = &m->encoder[k];
    sg_state f, b;
    sg_tensor *left = sg_unroll(n->forward[l], x, of->lengths, .final = &f), *right;
    *last = f;
    if (m->o.one_way)
        return left;
    right = sg_unroll(n->backward[l], x, of->lengths, .reverse = true, .final = &b);
    char of_encoder[32] = "m", h[64], c[64];
    if (k)
        snprintf(of_encoder, sizeof of_encoder, "m.encoder%d", k);
    snprintf(h, sizeof h, "%s.merge%dh", of_encoder, l);
    snprintf(c, sizeof c, "%s.merge%dc", of_encoder, l);
    last->h = fuse_plainly(g, m->o.merge, h, f.h, b.h);
    last->c = f.c ? fuse_plainly(g, m->o.merge, c, f.c, b.c) : NULL;
    x = fuse_plainly(g, m->o.merge, h, left, right);
    return sg_mul(x, by_element(g, of, 1, false, 0));
}

/* Of one source: the states of the top layer; of each layer s and c_N. */
static sg_tensor *read_plainly(const sg_seq2seq *m, int k, const sg_source *of, sg_state *said)
{
    sg_context *g = m->o.g;
    int32_t ids[BATCH * FURTHER];
    for (int i = 0; i < BATCH * of->time; i++)
        ids[i] = i % of->time < of->lengths[i / of->time] ? of->ids[i] : 0;
    sg_tensor *x = sg_input(g, SG_I32, SG_SHAPE(BATCH, of->time), ids);
    x = sg_take(m->encoder[k].table, x);
    for (int l = 0; l < m->o.layers; l++) {
        x = layer_plainly(m, k, l, of, x, &said[l]);
        said[l].h = summary_plainly(m, &m->encoder[k].pool[l], of, x, said[l].h);
    }
    return x;
}

static sg_tensor *join_plainly(const sg_seq2seq *m, const char *name, int n, sg_tensor *const *x)
{
    sg_tensor *y = x[0];
    for (int k = 1; k < n; k++) {
        char full[64];
        snprintf(full, sizeof full, "m.encoder%d.%s", k, name);
        y = fuse_plainly(m->o.g, m->o.join, full, y, x[k]);
    }
    return y;
}

/* tanh(s W + b), of which the parameters are found by their name */
static sg_tensor *q_plainly(const sg_seq2seq *m, int layer, char of, sg_tensor *s)
{
    sg_context *g = m->o.g;
    sg_tensor *w = sg_find(g, named("m.bridge%d%c.w", layer, of));
    return sg_tanh(sg_add(sg_matmul(s, w), sg_find(g, named("m.bridge%d%c.b", layer, of))));
}

/* q(s), or s, of all sources, of h or of c */
static sg_tensor *state_plainly(const sg_seq2seq *m, int layer, char of,
                                sg_state (*said)[SG_MAX_LAYERS])
{
    sg_tensor *all[SG_MAX_SOURCES] = {NULL};
    for (int k = 0; k < m->o.sources; k++)
        all[k] = of == 'h' ? said[k][layer].h : said[k][layer].c;
    sg_tensor *s = join_plainly(m, named("join%d%c", layer, of), m->o.sources, all);
    return m->o.bridge == SG_BRIDGE_NONE ? s : q_plainly(m, layer, of, s);
}

/* The states of the encoders' top layers; the decoder's initial ones and the fixed context. */
static void encode_plainly(const sg_seq2seq *m, sg_tensor **values, sg_state *s,
                           sg_tensor **context, further_sources *f)
{
    sg_context *g = m->o.g;
    sg_state said[SG_MAX_SOURCES][SG_MAX_LAYERS];
    int top = m->o.layers - 1;
    sg_tensor *none = sg_full(g, SG_F64, SG_SHAPE(BATCH, m->o.hidden), 0), *all[SG_MAX_SOURCES];
    add_sources(f, m->o.sources, source, BATCH, SOURCE, source_lengths);
    for (int k = 0; k < m->o.sources; k++) {
        values[k] = read_plainly(m, k, &f->all[k], said[k]);
        all[k] = said[k][top].h;
    }
    for (int l = 0; l <= top; l++) {
        bool two = m->decoder[l].states > 1, zero = m->o.context == SG_CONTEXT_INPUT;
        s[l].h = zero ? none : state_plainly(m, l, 'h', said);
        s[l].c = !two ? NULL : zero ? none : state_plainly(m, l, 'c', said);
    }
    if (m->o.no_attention && m->o.context != SG_CONTEXT_STATE)
        *context = m->o.bridge == SG_BRIDGE_BOTH ? state_plainly(m, top, 'h', said)
                                                 : join_plainly(m, "join", m->o.sources, all);
}

/* ---- the decoder ---------------------------------------------------------------------------- */

/* h, or with z if that is the place for it */
static sg_tensor *with_extra(const sg_seq2seq *m, sg_fuse_place place, sg_tensor *h)
{
    if (!m->o.extra || m->o.fuse_at != place)
        return h;
    sg_tensor *z = extra_of(m, source, BATCH, SOURCE, source_lengths);
    return fuse_plainly(m->o.g, m->o.fuse, "m.fusion", h, z);
}

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
    h = with_extra(m, SG_FUSE_OUTPUT, h);
    h = m->o.context == SG_CONTEXT_STATE ? h : sg_concat(-1, c, h);
    return sg_tanh(sg_apply(m->readout, m->o.token_out ? sg_concat(-1, y, h) : h));
}

/* Of each source by itself, joined; at step t. */
static sg_tensor *attend_plainly(const sg_seq2seq *m, sg_memory *memory, int t, sg_tensor *h)
{
    sg_tensor *c[SG_MAX_SOURCES] = {NULL};
    for (int k = 0; k < m->o.sources; k++) {
        if (m->o.monotonic)
            memory[k].position = sg_full(m->o.g, SG_F64, SG_SHAPE(BATCH, 1), t);
        sg_attended a = sg_attend(&m->encoder[k].attention, &memory[k], h);
        sg_tensor *before = memory[k].coverage;
        if (m->o.coverage)
            memory[k].coverage = before ? sg_add(before, a.weights) : a.weights;
        c[k] = a.context;
    }
    return join_plainly(m, "join", m->o.sources, c);
}

static sg_tensor *translate_plainly(const sg_seq2seq *m) /* logits [B,T,V] */
{
    sg_context *g = m->o.g;
    sg_state s[SG_MAX_LAYERS], *top = &s[m->o.layers - 1];
    sg_tensor *c = NULL, *logits[TARGET], *values[SG_MAX_SOURCES];
    further_sources f;
    encode_plainly(m, values, s, &c, &f);
    sg_tensor *r = sg_full(g, m->o.dtype, SG_SHAPE(BATCH, m->o.hidden), 0);
    sg_memory memory[SG_MAX_SOURCES];
    for (int k = 0; k < m->o.sources && !m->o.no_attention; k++)
        memory[k] = sg_remember(&m->encoder[k].attention, values[k], f.all[k].lengths);
    for (int t = 0; t < TARGET; t++) {
        sg_tensor *y = sg_take(m->target_table, column(g, target_in, t));
        y = with_extra(m, SG_FUSE_INPUT, y);
        if (!m->o.post && !m->o.no_attention)
            c = attend_plainly(m, memory, t, top->h);
        s[0].h = with_extra(m, SG_FUSE_STATE, s[0].h);
        sg_tensor *x = input_plainly(m, y, c, r);
        for (int l = 0; l < m->o.layers; l++) {
            s[l] = sg_cell_step(&m->decoder[l], x, s[l]);
            x = sg_output(&m->decoder[l], x, s[l].h);
        }
        if (m->o.post && !m->o.no_attention)
            c = attend_plainly(m, memory, t, x);
        r = readout_plainly(m, y, c, x);
        sg_tensor *w = m->o.tied ? sg_transpose(m->target_table, 0, 1) : m->out.w;
        logits[t] = sg_add(sg_matmul(r, w), m->out.b);
    }
    return sg_stack_(1, TARGET, logits);
}

Test(decoding_formulas, are_followed)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        const char *name;
        sg_seq2seq m = open_configuration(k, SG_F64, &name);
        sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
        sg_tensor *logits = sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, NULL);
        double d = distance(logits, translate_plainly(&m));
        cr_expect(d < 1e-14, "%s: off by %g", name, d);
        sg_close(m.o.g);
    }
}
