/*
 * Language models on a stream of tokens, with the state carried from one stretch to the next:
 * w1, w2: two layers of LSTM over words (Zaremba et al. 2014), SGD; w2 with dropout;
 * w3a: a plain RNN over characters, one stretch at a time (Karpathy's min-char-rnn), Adagrad;
 * w3b: two layers of LSTM over characters (his char-rnn), Adam.
 */
#include "tests/bench/bench.h"

enum { LAYERS = 2 };

typedef struct language {
    const int32_t *tokens;
    int64_t stride; /* from one row of the batch to the next: each reads its own part */
    int32_t *x, *y; /* [batch, time] */
    int vocabulary, hidden, batch, time;
    double dropout;
    sg_tensor *table;
    sg_cell layer[LAYERS];
    sg_state state[LAYERS];
    sg_affine out;
    sg_optimizer optimizer;
} language;

static language *open_language(bench *b, const char *file, language sizes, int64_t *batches)
{
    language *m = bench_new(b, 1, sizeof *m);
    *m = sizes;
    numbers n = bench_numbers(b, file);
    int64_t count = b->data ? n.left : m->batch * m->time * 4 + 1;
    m->tokens = bench_array(&n, count, 0, m->vocabulary - 1);
    m->stride = (count - 1) / m->batch;
    *batches = (m->stride - 1) / m->time;
    m->x = bench_new(b, (size_t)m->batch * (size_t)m->time, sizeof *m->x);
    m->y = bench_new(b, (size_t)m->batch * (size_t)m->time, sizeof *m->y);
    return m;
}

/* The inputs of a stretch, and what comes after each. */
static void stretch(language *m, int64_t batch)
{
    int32_t *x = m->x, *y = m->y;
    for (int r = 0; r < m->batch; r++)
        for (int t = 0; t < m->time; t++) {
            const int32_t *from = m->tokens + r * m->stride + batch * m->time + t;
            *x++ = from[0];
            *y++ = from[1];
        }
}

static void carry(sg_state *to, sg_state final)
{
    *to = (sg_state){.h = sg_keep(final.h), .c = sg_keep(final.c)};
}

static int64_t finish(bench *b, language *m, sg_tensor *loss)
{
    sg_step(&m->optimizer, loss);
    b->loss = sg_item(loss);
    sg_reset(b->g);
    return m->batch * m->time;
}

/* ---- words ---------------------------------------------------------------------------------- */

static void *open_words(bench *b, language sizes, int64_t *batches)
{
    sizes.vocabulary = bench_size(b, 10000, 50);
    language *m = open_language(b, "lm10k.i32", sizes, batches);
    m->table = sg_embedding(b->g, "words", m->vocabulary, m->hidden);
    m->layer[0] = sg_lstm(b->g, "lstm0", m->hidden, m->hidden);
    m->layer[1] = sg_lstm(b->g, "lstm1", m->hidden, m->hidden);
    m->out = sg_linear(b->g, "out", m->hidden, m->vocabulary);
    m->optimizer = sg_sgd(b->g, .rate = 1, .clip_norm = 5);
    return m;
}

static void *open_w1(bench *b, int64_t *batches)
{
    language sizes = {.hidden = bench_size(b, 200, 8), .batch = bench_size(b, 20, 3)};
    sizes.time = bench_size(b, 20, 4);
    return open_words(b, sizes, batches);
}

static void *open_w2(bench *b, int64_t *batches)
{
    language sizes = {.hidden = bench_size(b, 650, 8), .batch = bench_size(b, 20, 3)};
    sizes.time = bench_size(b, 35, 4);
    sizes.dropout = 0.5;
    return open_words(b, sizes, batches);
}

static int64_t step_words(bench *b, void *model, int64_t batch)
{
    language *m = model;
    stretch(m, batch);
    sg_tensor *x = sg_input(b->g, SG_I32, SG_SHAPE(m->batch, m->time), m->x);
    sg_tensor *y = sg_input(b->g, SG_I32, SG_SHAPE(m->batch, m->time), m->y);
    sg_tensor *h = sg_dropout(sg_take(m->table, x), m->dropout); /* [B,T,H] */
    for (int l = 0; l < LAYERS; l++) {
        sg_state final;
        h = sg_unroll(m->layer[l], h, .initial = m->state[l], .final = &final);
        h = sg_dropout(h, m->dropout);
        carry(&m->state[l], final);
    }
    sg_tensor *logits = sg_apply(m->out, h); /* [B,T,V] */
    return finish(b, m, sg_mean(sg_cross_entropy(logits, y), SG_ALL_AXES, false));
}

/* ---- characters ----------------------------------------------------------------------------- */

static void *open_w3b(bench *b, int64_t *batches)
{
    language sizes = {.vocabulary = 96, .hidden = bench_size(b, 128, 8)};
    sizes.batch = bench_size(b, 50, 3);
    sizes.time = bench_size(b, 50, 4);
    language *m = open_language(b, "char96.i32", sizes, batches);
    m->layer[0] = sg_lstm(b->g, "lstm0", m->vocabulary, m->hidden);
    m->layer[1] = sg_lstm(b->g, "lstm1", m->hidden, m->hidden);
    m->out = sg_linear(b->g, "out", m->hidden, m->vocabulary);
    m->optimizer = sg_adam(b->g, .rate = 2e-3, .clip_value = 5);
    return m;
}

static void *open_w3a(bench *b, int64_t *batches)
{
    language sizes = {.vocabulary = 96, .hidden = bench_size(b, 128, 8), .batch = 1};
    sizes.time = bench_size(b, 25, 4);
    language *m = open_language(b, "char96.i32", sizes, batches);
    *batches = *batches < 4000 ? *batches : 4000;
    m->layer[0] = sg_rnn(b->g, "rnn", m->vocabulary, m->hidden);
    m->out = sg_linear(b->g, "out", m->hidden, m->vocabulary);
    return m;
}

/* A layer over characters: a one-hot input times Wx is a row of Wx. */
static sg_tensor *unroll_characters(language *m, sg_tensor *x, sg_state *final)
{
    sg_cell cell = m->layer[0];
    sg_tensor *xw = sg_add(sg_take(cell.wx, x), cell.b); /* [B,T,G] */
    cell.wx = NULL;
    return sg_unroll(cell, xw, .initial = m->state[0], .final = final);
}

static int64_t step_w3b(bench *b, void *model, int64_t batch)
{
    language *m = model;
    sg_state final[LAYERS];
    stretch(m, batch);
    sg_tensor *x = sg_input(b->g, SG_I32, SG_SHAPE(m->batch, m->time), m->x);
    sg_tensor *y = sg_input(b->g, SG_I32, SG_SHAPE(m->batch, m->time), m->y);
    sg_tensor *h = unroll_characters(m, x, &final[0]); /* [B,T,H] */
    h = sg_unroll(m->layer[1], h, .initial = m->state[1], .final = &final[1]);
    carry(&m->state[0], final[0]);
    carry(&m->state[1], final[1]);
    sg_tensor *logits = sg_apply(m->out, h); /* [B,T,V] */
    return finish(b, m, sg_mean(sg_cross_entropy(logits, y), SG_ALL_AXES, false));
}

/* s = s + d²; step rate · d / (sqrt(s) + e) (Duchi et al. 2011) */
static void adagrad(sg_context *g, sg_tensor *loss, double rate, double clip)
{
    enum { MOST = 8 };
    sg_tensor *p[MOST], *d[MOST];
    int n = 0;
    for (sg_tensor *next = NULL; n < MOST && (next = sg_next_param(g, next, false));)
        p[n++] = next;
    sg_grad(loss, n, p, d);
    sg_clip_value(n, d, clip);
    for (int i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, ".adagrad.%s", sg_name(p[i]));
        sg_tensor *s = sg_buffer(g, name, SG_F32, sg_shape_of(p[i]), 0);
        sg_tensor *s1 = sg_add(s, sg_square(d[i]));
        sg_tensor *root = sg_add(sg_sqrt(s1), sg_like(s1, 1e-10));
        sg_assign(s, s1);
        sg_assign(p[i], sg_sub(p[i], sg_mul(sg_like(s1, rate), sg_div(d[i], root))));
    }
    sg_eval(loss);
}

static int64_t step_w3a(bench *b, void *model, int64_t batch)
{
    language *m = model;
    sg_state final;
    stretch(m, batch);
    sg_tensor *x = sg_input(b->g, SG_I32, SG_SHAPE(1, m->time), m->x);
    sg_tensor *y = sg_input(b->g, SG_I32, SG_SHAPE(1, m->time), m->y);
    sg_tensor *h = unroll_characters(m, x, &final); /* [1,T,H] */
    m->state[0].h = sg_keep(final.h);
    sg_tensor *logits = sg_apply(m->out, h); /* [1,T,V] */
    sg_tensor *loss = sg_sum(sg_cross_entropy(logits, y), SG_ALL_AXES, false);
    adagrad(b->g, loss, 0.1, 5);
    b->loss = sg_item(loss);
    sg_reset(b->g);
    return m->time;
}

/* ---- all ------------------------------------------------------------------------------------ */

const workload bench_language[] = {
    {"w1", "tok/s", 0, 2 * (4 * 200 * 400 * 2 + 200 * 10000), open_w1, step_words},
    {"w2", "tok/s", 0, 2 * (4 * 650 * 1300.0 * 2 + 650 * 10000), open_w2, step_words},
    {"w3a", "tok/s", 0, 2 * (128 * 128 + 128 * 96), open_w3a, step_w3a},
    {"w3b", "tok/s", 0, 2 * (4 * 128 * 128 + 4 * 128 * 256 + 128 * 96), open_w3b, step_w3b},
    {NULL}};
