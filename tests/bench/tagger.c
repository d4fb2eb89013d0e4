/*
 * A tagger of words: two layers of bidirectional LSTM (Graves & Schmidhuber 2005), Adam.
 * w5: padded batches of 32 sentences with their lengths; w5auto: the same batches by a program that
 * knows one sentence only; w5lazy: Adam touches the embeddings that a batch has; w5b1, w5b1lazy:
 * one sentence a step.
 */
#include "tests/bench/bench.h"

enum { LAYERS = 2, MOST_WORDS = 60 };

typedef struct sentence {
    int length;
    const int32_t *words, *tags;
} sentence;

typedef struct tagger {
    sentence *sentences;
    int batch, vocabulary, embed, hidden, tags;
    int32_t *x, *y; /* [batch, time], padded */
    int *lengths;   /* [batch] */
    int time;
    sg_tensor *table;
    sg_cell layer[LAYERS][2]; /* forward, backward */
    sg_affine out;
    sg_optimizer adam;
} tagger;

static void *open_tagger(bench *b, const char *file, int batch, bool lazy, int64_t *batches)
{
    tagger *m = bench_new(b, 1, sizeof *m);
    m->batch = batch;
    m->vocabulary = bench_size(b, 20000, 30);
    m->embed = bench_size(b, 100, 6);
    m->hidden = bench_size(b, 200, 8);
    m->tags = 17;
    numbers n = bench_numbers(b, file);
    int count = bench_number(&n, bench_size(b, batch, 4 * batch), bench_size(b, 100000, 6 * batch));
    m->sentences = bench_new(b, (size_t)count, sizeof *m->sentences);
    for (sentence *s = m->sentences; s < m->sentences + count; s++) {
        s->length = bench_number(&n, 1, bench_size(b, MOST_WORDS, 4));
        s->words = bench_array(&n, s->length, 1, m->vocabulary - 1);
        s->tags = bench_array(&n, s->length, 0, m->tags - 1);
    }
    *batches = count / batch;
    m->x = bench_new(b, (size_t)batch * MOST_WORDS, sizeof *m->x);
    m->y = bench_new(b, (size_t)batch * MOST_WORDS, sizeof *m->y);
    m->lengths = bench_new(b, (size_t)batch, sizeof *m->lengths);

    m->table = sg_embedding(b->g, "words", m->vocabulary, m->embed);
    for (int l = 0; l < LAYERS; l++)
        for (int d = 0; d < 2; d++) {
            char name[16];
            snprintf(name, sizeof name, "%s%d", d ? "backward" : "forward", l);
            int in = l ? 2 * m->hidden : m->embed;
            m->layer[l][d] = sg_lstm(b->g, name, in, m->hidden);
        }
    m->out = sg_linear(b->g, "out", 2 * m->hidden, m->tags);
    m->adam = sg_adam(b->g, .rate = 1e-3, .clip_norm = 5, .lazy = lazy);
    return m;
}

static void *open_w5(bench *b, int64_t *batches)
{
    return open_tagger(b, "tag.i32", bench_size(b, 32, 3), false, batches);
}

static void *open_w5lazy(bench *b, int64_t *batches)
{
    return open_tagger(b, "tag.i32", bench_size(b, 32, 3), true, batches);
}

static void *open_w5b1(bench *b, int64_t *batches)
{
    return open_tagger(b, "tag1.i32", 1, false, batches);
}

static void *open_w5b1lazy(bench *b, int64_t *batches)
{
    return open_tagger(b, "tag1.i32", 1, true, batches);
}

/* The sentences of a batch, padded by word 0; their words are counted. */
static int64_t pad(tagger *m, int64_t batch)
{
    const sentence *s = m->sentences + batch * m->batch;
    int64_t words = 0;
    m->time = 0;
    for (int i = 0; i < m->batch; i++) {
        m->lengths[i] = s[i].length;
        m->time = s[i].length > m->time ? s[i].length : m->time;
        words += s[i].length;
    }
    for (int i = 0; i < m->batch; i++)
        for (int t = 0; t < m->time; t++) {
            m->x[i * m->time + t] = t < s[i].length ? s[i].words[t] : 0;
            m->y[i * m->time + t] = t < s[i].length ? s[i].tags[t] : 0;
        }
    return words;
}

static sg_tensor *logits_of(const tagger *m, sg_tensor *x, const int *lengths)
{
    for (int l = 0; l < LAYERS; l++)
        x = sg_bidirectional(m->layer[l][0], m->layer[l][1], x, lengths, NULL); /* [B,T,2H] */
    return sg_apply(m->out, x);                                                 /* [B,T,K] */
}

/* ---- padded batches ------------------------------------------------------------------------- */

static int64_t step_padded(bench *b, void *model, int64_t batch)
{
    tagger *m = model;
    int64_t words = pad(m, batch);
    sg_tensor *x = sg_input(b->g, SG_I32, SG_SHAPE(m->batch, m->time), m->x);
    sg_tensor *logits = logits_of(m, sg_take(m->table, x), m->lengths);
    sg_tensor *loss = sg_label_loss(logits, m->y, m->lengths).sum;
    bench_update(b, &m->adam, loss);
    return words;
}

/* ---- one sentence at a time ----------------------------------------------------------------- */

static sg_tensor *sentence_loss(const tagger *m, sg_context *g, const sentence *s)
{
    sg_tensor *x = sg_take(m->table, sg_input(g, SG_I32, SG_SHAPE(1, s->length), s->words));
    sg_tensor *tags = sg_input(g, SG_I32, SG_SHAPE(1, s->length), s->tags);
    return sg_sum(sg_cross_entropy(logits_of(m, x, NULL), tags), SG_ALL_AXES, false);
}

static int64_t step_sentences(bench *b, void *model, int64_t batch)
{
    enum { MOST = 32 };
    tagger *m = model;
    const sentence *s = m->sentences + batch * m->batch;
    sg_tensor *losses[MOST];
    int64_t words = 0;
    for (int i = 0; i < m->batch; i++) {
        losses[i] = sentence_loss(m, b->g, &s[i]);
        words += s[i].length;
    }
    sg_tensor *loss = sg_add_n(m->batch, losses);
    bench_update(b, &m->adam, loss);
    return words;
}

const workload bench_tagger[] = {
    {"w5", "BiLSTM tagger, batches of 32", "tok/s", 16, open_w5, step_padded},
    {"w5lazy", "the same, lazy Adam", "tok/s", 16, open_w5lazy, step_padded},
    {"w5auto", "the same, written for one sentence", "tok/s", 16, open_w5, step_sentences},
    {"w5b1", "BiLSTM tagger, one sentence a step", "tok/s", 64, open_w5b1, step_padded},
    {"w5b1lazy", "the same, lazy Adam", "tok/s", 64, open_w5b1lazy, step_padded},
    {NULL}};
