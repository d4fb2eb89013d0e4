/*
 * A tagger of words: two layers of bidirectional LSTM (Graves & Schmidhuber 2005), Adam.
 * w5: padded batches of 32 sentences with their lengths; w5auto: the same batches by a program that
 * knows one sentence only; w5lazy: Adam touches the embeddings that a batch has; w5b1, w5b1lazy:
 * one sentence a step.
 */
#include "tests/bench/bench.h"

#include <math.h>

enum { LAYERS = 2, MOST_WORDS = 60, PARAMS = 16 };

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
    int32_t *rows, *row_of; /* w5lazy: the words of a batch, each once; where a word is there */
    int64_t steps;
    sg_tensor *table;
    sg_cell layer[LAYERS][2]; /* forward, backward */
    sg_affine out;
    sg_optimizer adam;
} tagger;

static void *open_tagger(bench *b, const char *file, int batch, int64_t *batches)
{
    tagger *m = bench_new(b, 1, sizeof *m);
    m->batch = batch;
    m->vocabulary = bench_size(b, 20000, 30);
    m->embed = bench_size(b, 100, 6);
    m->hidden = bench_size(b, 200, 8);
    m->tags = 17;
    numbers n = bench_numbers(b, file);
    int count = bench_number(&n, batch, bench_size(b, 100000, 2 * batch));
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
    m->rows = bench_new(b, (size_t)batch * MOST_WORDS, sizeof *m->rows);
    m->row_of = bench_new(b, (size_t)m->vocabulary, sizeof *m->row_of);

    m->table = sg_embedding(b->g, "words", m->vocabulary, m->embed);
    for (int l = 0; l < LAYERS; l++)
        for (int d = 0; d < 2; d++) {
            char name[16];
            snprintf(name, sizeof name, "%s%d", d ? "backward" : "forward", l);
            int in = l ? 2 * m->hidden : m->embed;
            m->layer[l][d] = sg_lstm(b->g, name, in, m->hidden);
        }
    m->out = sg_linear(b->g, "out", 2 * m->hidden, m->tags);
    m->adam = sg_adam(b->g, .rate = 1e-3, .clip_norm = 5);
    return m;
}

static void *open_w5(bench *b, int64_t *batches)
{
    return open_tagger(b, "tag.i32", bench_size(b, 32, 3), batches);
}

static void *open_w5b1(bench *b, int64_t *batches)
{
    return open_tagger(b, "tag1.i32", 1, batches);
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

static int64_t finish(bench *b, sg_tensor *loss, int64_t words)
{
    b->loss = sg_item(loss);
    sg_reset(b->g);
    return words;
}

/* ---- padded batches ------------------------------------------------------------------------- */

static int64_t step_padded(bench *b, void *model, int64_t batch)
{
    tagger *m = model;
    int64_t words = pad(m, batch);
    sg_tensor *x = sg_input(b->g, SG_I32, SG_SHAPE(m->batch, m->time), m->x);
    sg_tensor *logits = logits_of(m, sg_take(m->table, x), m->lengths);
    sg_tensor *loss = sg_label_loss(logits, m->y, m->lengths).sum;
    sg_step(&m->adam, loss);
    return finish(b, loss, words);
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
    sg_step(&m->adam, loss);
    return finish(b, loss, words);
}

/* ---- lazy Adam ------------------------------------------------------------------------------ */

static sg_tensor *times(double a, sg_tensor *x)
{
    return sg_mul(sg_like(x, a), x);
}

/* A parameter or a moment, or some rows of it. */
static sg_tensor *rows_of(sg_tensor *x, sg_tensor *rows)
{
    return rows ? sg_take(x, rows) : x;
}

static void add_to(sg_tensor *x, sg_tensor *change, sg_tensor *rows)
{
    sg_assign(x, sg_add(x, rows ? sg_scatter_add(change, rows, sg_dim(x, 0)) : change));
}

static sg_tensor *moment(sg_tensor *p, const char *kind)
{
    char name[64];
    snprintf(name, sizeof name, ".lazy.%s.%s", kind, sg_name(p));
    return sg_buffer(sg_context_of(p), name, SG_F32, sg_shape_of(p), 0);
}

/* Adam (Kingma & Ba 2015) of a parameter, or of some rows of it as if the others were not there. */
static void adam(sg_tensor *p, sg_tensor *rows, sg_tensor *d, double rate, int64_t step)
{
    double correct1 = 1 - pow(0.9, (double)step), correct2 = 1 - pow(0.999, (double)step);
    sg_tensor *m = moment(p, "m"), *v = moment(p, "v");
    sg_tensor *of_m = times(0.1, sg_sub(d, rows_of(m, rows)));
    sg_tensor *of_v = times(0.001, sg_sub(sg_square(d), rows_of(v, rows)));
    sg_tensor *m1 = sg_add(rows_of(m, rows), of_m), *v1 = sg_add(rows_of(v, rows), of_v);
    sg_tensor *root = sg_add(times(1 / sqrt(correct2), sg_sqrt(v1)), sg_like(v1, 1e-8));
    add_to(m, of_m, rows);
    add_to(v, of_v, rows);
    add_to(p, times(-rate / correct1, sg_div(m1, root)), rows);
}

/* m->x as places in m->rows, which gets each word once; how many there are. */
static int64_t number_words(tagger *m)
{
    int64_t count = 0;
    for (int i = 0; i < m->batch * m->time; i++) {
        int32_t word = m->x[i], at = m->row_of[word];
        if (at >= count || m->rows[at] != word) {
            m->row_of[word] = at = (int32_t)count;
            m->rows[count++] = word;
        }
        m->x[i] = at;
    }
    return count;
}

static int64_t step_lazy(bench *b, void *model, int64_t batch)
{
    tagger *m = model;
    int64_t words = pad(m, batch), count = number_words(m);
    sg_tensor *rows = sg_input(b->g, SG_I32, SG_SHAPE(count), m->rows);
    sg_tensor *x = sg_input(b->g, SG_I32, SG_SHAPE(m->batch, m->time), m->x);
    sg_tensor *embeddings = sg_take(m->table, rows); /* [words, E] */
    sg_tensor *logits = logits_of(m, sg_take(embeddings, x), m->lengths);
    sg_tensor *loss = sg_label_loss(logits, m->y, m->lengths).sum;

    sg_tensor *xs[PARAMS] = {embeddings}, *d[PARAMS], *p = m->table;
    int n = 1;
    while (n < PARAMS && (p = sg_next_param(b->g, p, false)))
        xs[n++] = p;
    sg_grad(loss, n, xs, d);
    sg_clip_norm(n, d, 5);
    m->steps++;
    adam(m->table, rows, d[0], 1e-3, m->steps);
    for (int i = 1; i < n; i++)
        adam(xs[i], NULL, d[i], 1e-3, m->steps);
    sg_eval(loss);
    return finish(b, loss, words);
}

#define FLOPS (2 * (2 * 800 * 300 + 2 * 800 * 600 + 400 * 17))
const workload bench_tagger[] = {{"w5", "tok/s", 16, FLOPS, open_w5, step_padded},
                                 {"w5lazy", "tok/s", 16, FLOPS, open_w5, step_lazy},
                                 {"w5auto", "tok/s", 16, FLOPS, open_w5, step_sentences},
                                 {"w5b1", "tok/s", 64, FLOPS, open_w5b1, step_padded},
                                 {"w5b1lazy", "tok/s", 64, FLOPS, open_w5b1, step_lazy},
                                 {NULL}};
