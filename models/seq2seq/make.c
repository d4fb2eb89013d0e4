/*
 * Sequence to sequence: a bidirectional encoder, a decoder, attention in between (Sutskever et al.
 * 2014, Cho et al. 2014, Bahdanau et al. 2015, Luong et al. 2015). Here its parameters are made;
 * encode.c, decode.c and loss.c use them.
 */
#include "models/internal.h"

/* What would do nothing, for want of what it is about, is a mistake. */
static void good_needs(const sg_seq2seq_options *o)
{
    const bool attention = !o->no_attention;
    const struct {
        const char *name, *needed;
        bool set, there;
    } needs[] = {
        {"score", "attention", o->score != 0, attention},
        {"post", "attention", o->post, attention},
        {"heads", "attention", o->heads != 0, attention},
        {"coverage", "attention", o->coverage, attention},
        {"coverage_loss", "attention", o->coverage_loss != 0, attention},
        {"window", "attention", o->window != 0, attention},
        {"monotonic", "attention", o->monotonic, attention},
        {"merge", "two directions", o->merge != 0, !o->one_way},
        {"join", "several sources", o->join != 0, o->sources > 1},
        {"fuse", "extra information", o->fuse != 0, o->extra != 0},
        {"fuse_at", "extra information", o->fuse_at != 0, o->extra != 0},
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (needs[i].set && !needs[i].there)
            sg_fail(o->g, SG_BAD_ARGUMENT, "%s without %s", needs[i].name, needs[i].needed);
}

/* Whether both directions of the encoder have `hidden` units together. */
static bool is_halved(const sg_seq2seq_options *o)
{
    return !o->one_way && o->merge == SG_FUSE_CONCAT;
}

static bool good(const sg_seq2seq_options *o)
{
    sg_context *g = o->g;
    sg__need_name(g, o->name);
    good_needs(o);
    if (o->source_count <= 0 || o->target_count <= 0)
        sg_fail(g, SG_BAD_ARGUMENT, "vocabularies of %d and %d tokens", o->source_count,
                o->target_count);
    if (o->embed <= 0 || o->hidden <= 0 || (is_halved(o) && o->hidden % 2))
        sg_fail(g, SG_BAD_ARGUMENT, "embeddings of %d features, %d hidden units%s", o->embed,
                o->hidden, is_halved(o) ? ", half of them of each direction" : "");
    if (o->layers < 1 || o->layers > SG_MAX_LAYERS)
        sg_fail(g, SG_BAD_ARGUMENT, "%d layers are not in 1..%d", o->layers, SG_MAX_LAYERS);
    if (!(o->coverage_loss >= 0))
        sg_fail(g, SG_BAD_ARGUMENT, "a coverage loss of %g times", o->coverage_loss);
    if ((unsigned)o->merge > SG_FUSE_MLP)
        sg_fail(g, SG_BAD_ARGUMENT, "no such way to merge directions (%d)", (int)o->merge);
    if ((unsigned)o->cell > SG_CELL_LSTM)
        sg_fail(g, SG_BAD_ARGUMENT, "no such cell (%d)", (int)o->cell);
    if ((unsigned)o->context > SG_CONTEXT_INPUT ||
        (o->context == SG_CONTEXT_STATE && !o->no_attention))
        sg_fail(g, SG_BAD_ARGUMENT, "the context of attention is no initial state (%d)",
                (int)o->context);
    if ((unsigned)o->summary > SG_SUMMARY_ATTENTION || (unsigned)o->bridge > SG_BRIDGE_BOTH)
        sg_fail(g, SG_BAD_ARGUMENT, "no such summary (%d) or bridge (%d)", (int)o->summary,
                (int)o->bridge);
    if (o->sources < 1 || o->sources > SG_MAX_SOURCES)
        sg_fail(g, SG_BAD_ARGUMENT, "%d sources are not in 1..%d", o->sources, SG_MAX_SOURCES);
    if ((unsigned)o->join > SG_FUSE_MLP)
        sg_fail(g, SG_BAD_ARGUMENT, "no such way to join sources (%d)", (int)o->join);
    if ((unsigned)o->fuse > SG_FUSE_MLP || (unsigned)o->fuse_at > SG_FUSE_OUTPUT || o->extra < 0)
        sg_fail(g, SG_BAD_ARGUMENT, "no such way (%d) or place (%d) to fuse z of %d features",
                (int)o->fuse, (int)o->fuse_at, o->extra);
    if (o->extra && o->fuse == SG_FUSE_CONCAT && o->fuse_at == SG_FUSE_STATE)
        sg_fail(g, SG_BAD_SHAPE, "a state of %d features with z of %d is none of %d", o->hidden,
                o->extra, o->hidden);
    if (o->tied && o->embed != o->hidden)
        sg_fail(g, SG_BAD_ARGUMENT, "embeddings of %d features are no output layer of %d units",
                o->embed, o->hidden);
    return sg__good_dropout(g, o->dropout);
}

/* What makes the cells may be the user's. */
static bool good_cell(const sg_seq2seq_options *o, const char *name, const sg_cell *p, int hidden)
{
    if (!sg_ok(o->g))
        return false;
    if (!p->step || p->hidden != hidden || p->states < 1 || p->states > 2)
        sg_fail(o->g, SG_BAD_ARGUMENT,
                "the cell \"%s\" has %d units and %d states%s, not %d and 1..2", name, p->hidden,
                p->states, p->step ? "" : ", no step", hidden);
    return sg_ok(o->g);
}

static sg_cell make_cell(const sg_seq2seq_options *o, const char *name, int layer, int in,
                         int hidden)
{
    static sg_cell (*const kinds[])(sg_cell_options) = {sg_rnn_, sg_gru_, sg_lstm_};
    char numbered[32];
    snprintf(numbered, sizeof numbered, "%s%d", name, layer);
    sg_cell_options c = {.g = o->g,
                         .name = numbered,
                         .in = in,
                         .hidden = hidden,
                         .reset = o->make || o->cell == SG_CELL_GRU ? o->reset : 0,
                         .state_dropout = o->state_dropout,
                         .variational = o->variational,
                         .zoneout = o->zoneout,
                         .zoneout_c = o->zoneout,
                         .user = o->user,
                         .dtype = o->dtype};
    sg_cell p = o->make ? o->make(c) : kinds[o->cell](c);
    p.state_dropout = p.state_dropout != 0 ? p.state_dropout : o->state_dropout;
    p.variational = p.variational || o->variational;
    p.zoneout = p.zoneout != 0 ? p.zoneout : o->zoneout;
    p.zoneout_c = p.zoneout_c != 0 ? p.zoneout_c : o->zoneout;
    good_cell(o, numbered, &p, hidden);
    return p;
}

/* Its inputs come in parts, each with the model's own dropout. */
static sg_cell make_first_decoder(const sg_seq2seq_options *o)
{
    int in = sg__token_size(o) + sg__input_context_size(o) + sg__feed_size(o);
    sg_cell p = make_cell(o, "decoder", 0, in, o->hidden);
    if (sg_ok(o->g) && p.dropout != 0)
        sg_fail(o->g, SG_BAD_ARGUMENT,
                "the decoder's first cell has a dropout of inputs of its own");
    return p;
}

/* ---- what is made of a layer's summary ------------------------------------------------------ */

static bool is_state(const sg_seq2seq_options *o)
{
    return o->context != SG_CONTEXT_INPUT;
}

static bool is_input(const sg_seq2seq_options *o, int layer)
{
    return o->no_attention && o->context != SG_CONTEXT_STATE && layer == o->layers - 1;
}

/* Whether its h, or c, goes through q and what joins states. */
static bool is_bridged(const sg_seq2seq_options *o, int layer, int of)
{
    return is_state(o) || (of == 0 && o->bridge == SG_BRIDGE_BOTH && is_input(o, layer));
}

/* The join of n sources so far with one more. */
static sg_fusion make_join(const sg_seq2seq_options *o, const char *name, int n, int size)
{
    int h = o->join == SG_FUSE_CONCAT ? n * size : size;
    return sg_make_fusion(o->g, name, o->join, h, size, .dtype = o->dtype);
}

/* Features of h, or of c, that a layer of an encoder ends with. */
static int ends_with(const sg_seq2seq_options *o, const sg_encoder *n, int layer, int of)
{
    int c = sg__memory_of(&n->forward[layer]);
    return of == 0 ? o->hidden : is_halved(o) ? c + sg__memory_of(&n->backward[layer]) : c;
}

static void make_bridge(sg_seq2seq *m, int layer)
{
    const sg_seq2seq_options *o = &m->o;
    for (int s = 0; s < m->decoder[layer].states && s < m->encoder[0].forward[layer].states; s++) {
        char name[32];
        int in = sg__joined_size(o, ends_with(o, &m->encoder[0], layer, s));
        int out = s ? sg__memory_of(&m->decoder[layer]) : o->hidden;
        snprintf(name, sizeof name, "bridge%d%c", layer, s ? 'c' : 'h');
        if (!is_bridged(o, layer, s))
            continue;
        if (o->bridge != SG_BRIDGE_NONE)
            m->bridge[layer][s] = sg_linear(o->g, name, in, out, .dtype = o->dtype);
        else if (in != out)
            sg_fail(o->g, SG_BAD_SHAPE, "summaries of %d features are no state of %d", in, out);
    }
}

/* ---- layers --------------------------------------------------------------------------------- */

static void make_encoder_layer(sg_seq2seq *m, int number, int layer)
{
    const sg_seq2seq_options *o = &m->o;
    sg_encoder *n = &m->encoder[number];
    int in = layer ? o->hidden : o->embed;
    int units = is_halved(o) ? o->hidden / 2 : o->hidden;
    char name[32];
    n->forward[layer] = make_cell(o, "forward", layer, in, units);
    if (!o->one_way)
        n->backward[layer] = make_cell(o, "backward", layer, in, units);
    if (o->summary == SG_SUMMARY_ATTENTION && (is_state(o) || is_input(o, layer))) {
        snprintf(name, sizeof name, "pool%d", layer);
        n->pool[layer] = sg_make_attention_pool(o->g, name, o->hidden, o->hidden, o->dtype);
    }
    for (int s = 0; s < n->forward[layer].states; s++) {
        int size = ends_with(o, n, layer, s);
        snprintf(name, sizeof name, "merge%d%c", layer, s ? 'c' : 'h');
        if (!o->one_way && !is_halved(o) && (s == 0 || is_state(o)))
            n->merge[layer][s] =
                sg_make_fusion(o->g, name, o->merge, size, size, .dtype = o->dtype);
        snprintf(name, sizeof name, "join%d%c", layer, s ? 'c' : 'h');
        if (number && is_bridged(o, layer, s))
            n->join_state[layer][s] = make_join(o, name, number, size);
    }
}

/* The attention to one source, and how its context is joined to those of the sources before. */
static void make_attention(sg_seq2seq *m, int number)
{
    const sg_seq2seq_options *o = &m->o;
    sg_encoder *n = &m->encoder[number];
    if (!o->no_attention)
        n->attention =
            sg_make_attention(o->g, "attention", o->score, o->hidden, o->hidden, .dtype = o->dtype,
                              .coverage = o->coverage, .window = o->window, .heads = o->heads,
                              .monotonic = o->monotonic);
    bool bridged = o->no_attention && o->bridge == SG_BRIDGE_BOTH;
    if (number && o->context != SG_CONTEXT_STATE && !bridged)
        n->join = make_join(o, "join", number, o->hidden);
}

static void make_further_encoder(sg_seq2seq *m, int number)
{
    const sg_seq2seq_options *o = &m->o;
    char name[32];
    int count = o->own_count[number];
    snprintf(name, sizeof name, "encoder%d", number);
    sg_push(o->g, "encoder", name);
    m->encoder[number].table =
        count ? sg_embedding(o->g, "source", count, o->embed, .dtype = o->dtype)
              : m->encoder[0].table;
    for (int l = 0; l < o->layers; l++)
        make_encoder_layer(m, number, l);
    make_attention(m, number);
    sg_pop(o->g);
}

static void make_layer(sg_seq2seq *m, int layer)
{
    const sg_seq2seq_options *o = &m->o;
    make_encoder_layer(m, 0, layer);
    m->decoder[layer] =
        layer ? make_cell(o, "decoder", layer, o->hidden, o->hidden) : make_first_decoder(o);
    make_bridge(m, layer);
}

/* The way to join z to what stands at its place. */
static void make_fusion(sg_seq2seq *m)
{
    const sg_seq2seq_options *o = &m->o;
    int size = o->fuse_at == SG_FUSE_INPUT ? o->embed : o->hidden;
    if (o->extra)
        m->fusion = sg_make_fusion(o->g, "fusion", o->fuse, size, o->extra, .dtype = o->dtype,
                                   .project = o->fuse == SG_FUSE_ADD && o->extra != size);
}

static void make_parts(sg_seq2seq *m)
{
    const sg_seq2seq_options *o = &m->o;
    sg_context *g = o->g;
    m->encoder[0].table = sg_embedding(g, "source", o->source_count, o->embed, .dtype = o->dtype);
    m->target_table = sg_embedding(g, "target", o->target_count, o->embed, .dtype = o->dtype);
    for (int l = 0; l < o->layers; l++)
        make_layer(m, l);
    make_attention(m, 0);
    for (int k = 1; k < o->sources; k++)
        make_further_encoder(m, k);
    make_fusion(m);
    int read = sg__context_size(o) + sg__fused_size(o, o->hidden, SG_FUSE_OUTPUT) +
               (o->token_out ? sg__token_size(o) : 0);
    m->readout = sg_linear(g, "readout", read, o->hidden, .dtype = o->dtype);
    m->out = o->tied ? sg_tied("out", m->target_table)
                     : sg_linear(g, "out", o->hidden, o->target_count, .dtype = o->dtype);
    m->out.w = o->tied ? NULL : m->out.w; /* a view, which a reset would end */
}

sg_seq2seq sg_make_seq2seq_(sg_seq2seq_options o)
{
    o.embed = o.embed ? o.embed : 128;
    o.hidden = o.hidden ? o.hidden : 256;
    o.layers = o.layers ? o.layers : 1;
    o.sources = o.sources ? o.sources : 1;
    sg_seq2seq m = {.o = o};
    m.o.name = ""; /* the caller's */
    sg_push(o.g, "seq2seq", o.name);
    if (good(&o))
        make_parts(&m);
    sg_pop(o.g);
    return m;
}
