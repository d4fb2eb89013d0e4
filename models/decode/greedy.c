/* Greedy decoding. Each step asks for its token together with all that the next step reads, so that
 * nothing is computed twice. */
#include "models/internal.h"

#include <stdlib.h>

typedef struct run {
    const sg_seq2seq *m;
    sg__decoder d;
    int batch, time, steps;
    sg_tensor **tokens, **weights; /* of each step: [B], [B,S] */
    int *lengths;                  /* -1 until the stop token came */
} run;

/* A list that grows by doubling: room for one more. */
static bool more(sg_context *g, int n, sg_tensor ***list)
{
    if (n & (n - 1))
        return true;
    sg_tensor **grown = realloc(*list, (n ? 2 * (size_t)n : 1) * sizeof *grown);
    if (!grown)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d steps", n);
    *list = grown ? grown : *list;
    return grown != NULL;
}

/* What every step reads gets its value with the first one. */
static void want_encoded(const run *r)
{
    const sg_encoded *e = &r->d.now;
    if (r->d.base)
        sg_want(r->d.base);
    if (r->m->o.no_attention)
        sg_want(e->context);
    if (e->z)
        sg_want(e->z);
    for (int k = 0; k < r->m->o.sources && !r->m->o.no_attention; k++) {
        sg_want(e->memory[k].values);
        sg_want(e->memory[k].keys);
        if (e->memory[k].size)
            sg_want(e->memory[k].size);
    }
}

static sg_tensor *step(run *r, sg_tensor *last)
{
    const sg_seq2seq *m = r->m;
    sg_tensor **weights = &r->weights[r->steps];
    sg_tensor *xw = sg__decoder_inputs(&r->d, sg_expand_dims(last, 1)); /* [B,1,G] */
    sg_tensor *h = sg__decoder_step(&r->d, sg_squeeze(xw, 1), weights);
    sg_tensor *next = sg_argmax(sg__decoder_logits(m, h), -1, false); /* [B] */
    sg_want(h);
    if (*weights)
        sg_want(*weights);
    for (int k = 0; k < m->o.sources; k++) {
        if (r->d.now.memory[k].coverage)
            sg_want(r->d.now.memory[k].coverage);
        if (r->d.now.memory[k].position)
            sg_want(r->d.now.memory[k].position);
    }
    for (int l = 0; l < m->o.layers; l++) {
        sg_want(r->d.now.state[l].h);
        if (r->d.now.state[l].c)
            sg_want(r->d.now.state[l].c);
    }
    return next;
}

/* Notes which rows end with this step; whether any goes on. */
static bool goes_on(run *r, const int32_t *ids)
{
    bool on = false;
    for (int b = 0; ids && b < r->batch; b++) {
        if (r->lengths[b] < 0 && ids[b] == SG_STOP)
            r->lengths[b] = r->steps;
        on = on || r->lengths[b] < 0;
    }
    return on;
}

static void decode(run *r, int most)
{
    sg_context *g = r->m->o.g;
    sg_tensor *last = sg_full(g, SG_I32, SG_SHAPE(r->batch), SG_START);
    bool on = r->batch > 0;
    while (on && sg_ok(g) && r->steps < most) {
        if (!more(g, r->steps, &r->tokens) || !more(g, r->steps, &r->weights))
            return;
        if (r->steps == 0)
            want_encoded(r);
        last = r->tokens[r->steps] = step(r, last);
        on = goes_on(r, sg_data(last));
        r->steps++;
    }
}

static void *array(sg_context *g, sg_dtype dtype, sg_shape shape)
{
    return (void *)(uintptr_t)sg_data(sg_input(g, dtype, shape, NULL)); /* nobody else reads it */
}

static float element(sg_tensor *x, size_t i)
{
    const void *p = sg_data(x);
    return sg_type(x) == SG_F64 ? (float)((const double *)p)[i] : ((const float *)p)[i];
}

/* The values of the steps, row by row, up to each row's end. */
static sg_greedy collect(const run *r)
{
    sg_context *g = r->m->o.g;
    int n = r->steps;
    size_t time = (size_t)r->time;
    sg_greedy d = {.ids = array(g, SG_I32, SG_SHAPE(r->batch, n)),
                   .lengths = array(g, SG_I32, SG_SHAPE(r->batch)),
                   .most = n};
    if (!r->m->o.no_attention)
        d.weights = array(g, SG_F32, SG_SHAPE(r->batch, n, r->time));
    if (!sg_ok(g))
        return (sg_greedy){0};
    for (int b = 0; b < r->batch; b++) {
        d.lengths[b] = r->lengths[b] < 0 ? n : r->lengths[b];
        for (int t = 0; t < n && t <= d.lengths[b]; t++) {
            size_t to = (size_t)b * (size_t)n + (size_t)t, from = (size_t)b * time;
            d.ids[to] = ((const int32_t *)sg_data(r->tokens[t]))[b];
            for (size_t s = 0; d.weights && s < time; s++)
                d.weights[to * time + s] = element(r->weights[t], from + s);
        }
    }
    return d;
}

static sg_greedy greedy(const sg_seq2seq *m, const sg_encoded *e, int most)
{
    sg_context *g = m->o.g;
    sg_greedy d = {0};
    if (!sg_ok(g))
        return d;
    run r = {.m = m, .d = sg__decoder_start(m, e), .batch = (int)sg_dim(e->context, 0)};
    r.time = (int)sg__source_time(m, e);
    r.lengths = malloc(((size_t)r.batch + 1) * sizeof *r.lengths);
    for (int b = 0; r.lengths && b < r.batch; b++)
        r.lengths[b] = -1;
    if (r.lengths)
        decode(&r, most);
    else
        sg_fail(g, SG_NO_MEMORY, "no memory for %d rows", r.batch);
    if (sg_ok(g))
        d = collect(&r);
    free(r.tokens);
    free(r.weights);
    free(r.lengths);
    return d;
}

sg_greedy sg_seq2seq_greedy_from(const sg_seq2seq *m, const sg_encoded *e, int most)
{
    sg_context *g = m->o.g;
    bool training = sg_training(g);
    sg_train(g, false);
    sg_push(g, "greedy", "");
    if (most < 0)
        sg_fail(g, SG_BAD_ARGUMENT, "%d tokens at most", most);
    sg_greedy d = greedy(m, e, most);
    sg_pop(g);
    sg_train(g, training);
    return d;
}

sg_greedy sg_seq2seq_greedy(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                            const int *lengths, int most)
{
    sg_context *g = m->o.g;
    bool training = sg_training(g);
    sg_train(g, false);
    sg_encoded e = sg_seq2seq_encode(m, source, batch, time, lengths);
    sg_greedy d = sg_seq2seq_greedy_from(m, &e, most);
    sg_train(g, training);
    return d;
}
