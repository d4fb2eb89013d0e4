/* Steps of the library's models, as decoding needs them. */
#include "models/decode/internal.h"

static int add_state(sg_stepper *s, sg_tensor *x)
{
    if (s->n < SG_MAX_STATES)
        s->state[s->n] = x;
    return s->n++;
}

/* A mask that hides nothing, so that there always is one among the states. */
static sg_tensor *all_seen(sg_context *g, sg_shape s)
{
    return sg_full(g, SG_U8, s, 1);
}

/* ---- layers of cells ------------------------------------------------------------------------ */

static int states_of(const sg_deep_model *m)
{
    int n = 0;
    for (int l = 0; l < m->layers; l++)
        n += m->cells[l].states;
    return n;
}

/* States: h and c of each layer; fixed, what is beside a layer's state, z. */
static sg_tensor *deep_step(const void *model, sg_tensor *tokens, sg_tensor **states,
                            sg_tensor **weights)
{
    const sg_deep_model *m = model;
    sg_tensor *x = sg_take(m->table, tokens), **fixed = states + states_of(m);
    for (int l = 0; l < m->layers; l++) {
        sg_cell cell = m->cells[l];
        bool two = cell.states > 1;
        cell.z = cell.z ? *fixed++ : NULL;
        sg_state s = {states[0], two ? states[1] : NULL};
        s = sg_cell_step(&cell, x, s);
        x = sg_output(&cell, x, s.h);
        *states++ = s.h;
        if (two)
            *states++ = s.c;
    }
    (void)weights;
    return sg_apply(m->out, x);
}

sg_stepper sg_deep_stepper(const sg_deep_model *m, int rows, const sg_state *initial)
{
    sg_stepper s = {sg_context_of(m->table), deep_step, m, rows, .start = SG_START};
    s.stop = SG_STOP;
    s.classes = (int)sg_dim(m->out.w, -1);
    for (int l = 0; l < m->layers; l++) {
        sg_state zero = sg__zero_state(&m->cells[l], rows, sg_type(m->table));
        add_state(&s, initial && initial[l].h ? initial[l].h : zero.h);
        if (m->cells[l].states > 1)
            add_state(&s, initial && initial[l].c ? initial[l].c : zero.c);
    }
    for (int l = 0; l < m->layers; l++)
        if (m->cells[l].z) {
            add_state(&s, m->cells[l].z);
            s.fixed++;
        }
    return s;
}

/* ---- Transformers --------------------------------------------------------------------------- */

/* States: keys and values of each block; fixed, those of the memory and its mask. */
static sg_tensor *transformer_step(const void *model, sg_tensor *tokens, sg_tensor **states,
                                   sg_tensor **weights)
{
    const sg_transformer_model *m = model;
    const sg_transformer *t = &m->transformer;
    int n = t->o.layers;
    sg_cache c = {.time = sg_dim(states[0], 2)};
    for (int l = 0; l < n; l++) {
        c.k[l] = states[l];
        c.v[l] = states[n + l];
        c.memory_k[l] = t->o.memory ? states[2 * n + l] : NULL;
        c.memory_v[l] = t->o.memory ? states[3 * n + l] : NULL;
    }
    c.memory_mask = t->o.memory ? states[4 * n] : NULL;
    sg_tensor *x = sg_take(m->table, sg_expand_dims(tokens, 1)), *w = NULL; /* [R,1,D] */
    x = m->scale == 0 ? x : sg_mul(x, sg_like(x, m->scale));
    x = sg_transform(t, x, .cache = &c, .weights = t->o.memory ? &w : NULL);
    for (int l = 0; l < n; l++) {
        states[l] = c.k[l];
        states[n + l] = c.v[l];
    }
    if (w && sg_ok(sg_context_of(tokens)))
        *weights = sg_squeeze(sg_mean(w, 1, false), 1); /* of all heads: [R,S] */
    return sg_apply(m->out, sg_ok(sg_context_of(tokens)) ? sg_squeeze(x, 1) : x);
}

sg_stepper sg_transformer_stepper(const sg_transformer_model *m, int rows, sg_tensor *memory,
                                  const int *memory_lengths)
{
    const sg_transformer *t = &m->transformer;
    sg_stepper s = {sg_context_of(m->table), transformer_step, m, rows, .start = SG_START};
    sg_cache c = sg_begin_cache(t, rows, memory, memory_lengths);
    if (memory && !c.memory_mask && sg_ok(s.g))
        c.memory_mask = all_seen(s.g, SG_SHAPE(rows, 1, 1, sg_dim(memory, 1)));
    s.stop = SG_STOP;
    s.classes = (int)sg_dim(m->out.w, -1);
    for (int i = 0; i < (t->o.memory ? 4 : 2); i++)
        for (int l = 0; l < t->o.layers; l++) {
            sg_tensor *const *const kinds[] = {c.k, c.v, c.memory_k, c.memory_v};
            add_state(&s, kinds[i][l]);
        }
    if (t->o.memory)
        add_state(&s, c.memory_mask);
    s.fixed = t->o.memory ? 2 * t->o.layers + 1 : 0;
    return s;
}

/* ---- sequence to sequence ------------------------------------------------------------------- */

/* States by layer, what is fed, what was covered, where windows stand; fixed: what was encoded. The
 * same order in both directions. */
static void exchange(const sg_seq2seq *m, sg_encoded *e, sg_tensor **states, int *n, int *fixed,
                     bool write)
{
    sg_tensor **place[2 * SG_MAX_LAYERS + 3 + 6 * SG_MAX_SOURCES];
    int k = 0;
    for (int l = 0; l < m->o.layers; l++) {
        place[k++] = &e->state[l].h;
        if (m->decoder[l].states > 1)
            place[k++] = &e->state[l].c;
    }
    place[k++] = &e->feed;
    int attended = m->o.no_attention ? 0 : m->o.sources;
    for (int i = 0; i < attended && m->o.coverage; i++)
        place[k++] = &e->memory[i].coverage;
    for (int i = 0; i < attended && m->o.monotonic; i++)
        place[k++] = &e->memory[i].position;
    *fixed = k;
    if (m->o.no_attention)
        place[k++] = &e->context;
    if (m->o.extra)
        place[k++] = &e->z;
    for (int i = 0; i < attended; i++) {
        place[k++] = &e->memory[i].values;
        place[k++] = &e->memory[i].keys;
        place[k++] = &e->memory[i].mask;
        if (m->o.window && !m->o.monotonic)
            place[k++] = &e->memory[i].size;
    }
    *n = k;
    *fixed = k - *fixed;
    for (int i = 0; i < k; i++)
        if (write)
            states[i] = *place[i];
        else
            *place[i] = states[i];
}

static sg_tensor *seq2seq_step(const void *model, sg_tensor *tokens, sg_tensor **states,
                               sg_tensor **weights)
{
    const sg_seq2seq *m = model;
    sg_encoded e = {.context = NULL};
    int n, fixed;
    exchange(m, &e, states, &n, &fixed, false);
    sg__decoder d = sg__decoder_start(m, &e);
    sg_tensor *xw = sg__decoder_inputs(&d, sg_expand_dims(tokens, 1)); /* [R,1,G] */
    sg_tensor *h = sg__decoder_step(&d, sg_index(xw, 1, 0), weights);
    exchange(m, &d.now, states, &n, &fixed, true);
    return sg__decoder_logits(m, h);
}

sg_stepper sg_seq2seq_stepper(const sg_seq2seq *m, const sg_encoded *encoded)
{
    sg_encoded e = *encoded;
    sg_context *g = m->o.g;
    sg_stepper s = {g, seq2seq_step, m, .classes = m->o.target_count, .start = SG_START};
    s.stop = SG_STOP;
    if (!sg_ok(g) || !sg__has_extra(m, encoded))
        return s;
    s.rows = (int)sg_dim(e.context, 0);
    for (int k = 0; k < m->o.sources && !m->o.no_attention; k++) {
        sg_memory *memory = &e.memory[k];
        int64_t time = sg_dim(memory->values, -2);
        if (!memory->mask)
            memory->mask = all_seen(g, SG_SHAPE(s.rows, 1, time));
        if (m->o.coverage)
            memory->coverage = sg_full(g, m->o.dtype, SG_SHAPE(s.rows, time), 0);
    }
    exchange(m, &e, s.state, &s.n, &s.fixed, true);
    return s;
}
