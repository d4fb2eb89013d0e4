/*
 * w8: decoding with the model of w4l, untrained: as many words as the longest source of the batch
 * has, and five more. g: greedy, b: beam search with five hypotheses; for 1 or 32 sentences at
 * once.
 */
#include "tests/bench/seq2seq.h"

#include <stdlib.h>

enum { BEAM = 5, MORE = 5 };

/* The stop token never wins: decoding ends by its number of steps. */
static void never_stop(bench *b, const translation *m)
{
    float *bias = bench_new(b, (size_t)m->model.o.target_count, sizeof *bias);
    bias[SG_STOP] = -1e30F;
    sg_set(m->model.out.b, bias);
}

static void *open_w8(bench *b, int64_t *batches)
{
    translation *m = bench_translation(b, SG_GENERAL);
    never_stop(b, m);
    *batches = m->count / m->size;
    return m;
}

static void *open_w8_single(bench *b, int64_t *batches)
{
    translation *m = open_w8(b, batches);
    enum { EVERY = 61 }; /* a sentence from each batch, of all lengths */
    int64_t n = 0;
    for (int64_t i = 0; i < m->count; i += EVERY)
        m->pairs[n++] = m->pairs[i];
    *batches = n < 60 ? n : 60;
    m->size = 1;
    return m;
}

static int sentences(const translation *m)
{
    return m->size < 32 ? m->size : 32;
}

static int64_t finish(bench *b, const translation *m, int steps)
{
    sg_reset(b->g);
    return (int64_t)m->batch.size * steps;
}

/* ---- greedy --------------------------------------------------------------------------------- */

static int64_t step_greedy(bench *b, void *model, int64_t batch)
{
    translation *m = model;
    bench_fill(m, batch * m->size, sentences(m));
    int most = m->batch.source_time + MORE;
    sg_greedy r = sg_seq2seq_greedy(&m->model, m->source, m->batch.size, m->batch.source_time,
                                    m->source_lengths, most);
    if (sg_ok(b->g) && r.most != most)
        sg_fail(b->g, SG_BAD_ARGUMENT, "greedy decoding took %d steps, not %d", r.most, most);
    double sum = 0;
    for (int i = 0; r.ids && i < m->batch.size * most; i++)
        sum += r.ids[i];
    b->loss = sum / m->batch.size / most;
    return finish(b, m, most);
}

/* ---- beam search ---------------------------------------------------------------------------- */

/* All hypotheses of all sentences are rows, those of a sentence beside each other. */
typedef struct hypotheses {
    sg_memory memory;
    sg_state state;
    sg_tensor *feed;  /* [B*K,H] the attentional states of the step before */
    sg_tensor *word;  /* [B*K] */
    sg_tensor *score; /* [B,K] log probabilities */
    sg_tensor *first; /* [B,1] row of each sentence's first hypothesis */
} hypotheses;

/* Every sentence K times; only the first of them counts at the beginning. */
static hypotheses begin(const translation *m, sg_context *g)
{
    int n = m->batch.size;
    int32_t *row = malloc((size_t)n * (BEAM + 1) * sizeof *row), *first = row + n * BEAM;
    float *score = malloc((size_t)n * BEAM * sizeof *score);
    for (int i = 0; row && score && i < n * BEAM; i++) {
        row[i] = i / BEAM;
        first[i / BEAM] = i / BEAM * BEAM;
        score[i] = i % BEAM == 0 ? 0 : -1e30F;
    }
    sg_encoded e =
        sg_seq2seq_encode(&m->model, m->source, n, m->batch.source_time, m->source_lengths);
    hypotheses s = {.memory = e.memory[0]};
    if (row && score) {
        sg_tensor *rows = sg_input(g, SG_I32, SG_SHAPE(n * BEAM), row);
        s.memory.values = sg_take(e.memory[0].values, rows); /* [B*K,S,H] */
        s.memory.keys = sg_take(e.memory[0].keys, rows);
        if (e.memory[0].mask)
            s.memory.mask = sg_want(sg_take(e.memory[0].mask, rows)); /* [B*K,1,S] */
        s.state.h = sg_take(e.state[0].h, rows);                      /* [B*K,H] */
        s.state.c = sg_take(e.state[0].c, rows);
        s.feed = sg_take(e.feed, rows);
        s.word = sg_full(g, SG_I32, SG_SHAPE(n * BEAM), SG_START);
        s.score = sg_input(g, SG_F32, SG_SHAPE(n, BEAM), score);
        s.first = sg_input(g, SG_I32, SG_SHAPE(n, 1), first);
        sg_eval(s.memory.values, s.memory.keys, s.state.h, s.state.c, s.feed);
    } else {
        sg_fail(g, SG_NO_MEMORY, "no memory for %d hypotheses", n * BEAM);
    }
    free(row);
    free(score);
    return s;
}

/* The best K of all continuations of a sentence's hypotheses. */
static void extend(const sg_seq2seq *m, hypotheses *s)
{
    const sg_cell *cell = &m->decoder[0];
    int n = (int)sg_dim(s->score, 0), words = m->o.target_count;
    sg_tensor *x = sg_concat(-1, sg_take(m->target_table, s->word), s->feed); /* [B*K,E+H] */
    s->state = sg_cell_step(cell, x, s->state);
    sg_attended a = sg_attend(&m->encoder[0].attention, &s->memory, s->state.h);
    sg_tensor *feed = sg_tanh(sg_apply(m->readout, sg_concat(-1, a.context, s->state.h)));
    sg_tensor *logits = sg_apply(m->out, feed); /* [B*K,V] */
    sg_tensor *score = sg_reshape(sg_log_softmax(logits), SG_SHAPE(n, BEAM, words));
    score = sg_add(score, sg_expand_dims(s->score, 2));
    sg_tensor *best, *all = sg_reshape(score, SG_SHAPE(n, (int64_t)BEAM * words));
    s->score = sg_topk(all, 1, BEAM, &best); /* [B,K] */

    /* best = hypothesis * words + word */
    sg_tensor *exact = sg_cast(best, SG_F64);
    sg_tensor *from = sg_cast(sg_div(exact, sg_like(exact, words)), SG_I32);
    sg_tensor *word = sg_sub(best, sg_mul(from, sg_like(from, words)));
    sg_tensor *rows = sg_reshape(sg_add(from, s->first), SG_SHAPE(-1)); /* [B*K] */
    s->word = sg_reshape(word, SG_SHAPE(-1));
    s->feed = sg_take(feed, rows);
    s->state.h = sg_take(s->state.h, rows);
    s->state.c = sg_take(s->state.c, rows);
    sg_eval(s->score, s->word, rows, s->feed, s->state.h, s->state.c);
}

static int64_t step_beam(bench *b, void *model, int64_t batch)
{
    translation *m = model;
    bench_fill(m, batch * m->size, sentences(m));
    int most = m->batch.source_time + MORE;
    hypotheses s = begin(m, b->g);
    for (int t = 0; t < most && sg_ok(b->g); t++)
        extend(&m->model, &s);
    const float *score = sg_data(s.score);
    double sum = 0;
    for (int i = 0; score && i < m->batch.size; i++)
        sum += (double)score[i * BEAM];
    b->loss = sum / m->batch.size;
    return finish(b, m, most);
}

const workload bench_decode[] = {
    {"w8g1", "seq2seq, greedy decoding of one sentence", "tok/s", 20, open_w8_single, step_greedy},
    {"w8b1", "one sentence, beam of 5", "tok/s", 20, open_w8_single, step_beam},
    {"w8g32", "32 sentences, greedy", "tok/s", 4, open_w8, step_greedy},
    {"w8b32", "32 sentences, beam of 5", "tok/s", 4, open_w8, step_beam},
    {NULL}};
