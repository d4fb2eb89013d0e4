/*
 * Language models on a stream of tokens, with the state carried from one stretch to the next:
 * w1, w2: two layers of LSTM over words (Zaremba et al. 2014), SGD; w2 with dropout;
 * w3a: a plain RNN over characters, one stretch at a time (Karpathy's min-char-rnn), Adagrad;
 * w3b: two layers of LSTM over characters (his char-rnn), Adam.
 */
#include "tests/bench/bench.h"

enum { LAYERS = 2 };

typedef struct language {
    stream text;
    double dropout;
    sg_tensor *table;
    sg_cell layer[LAYERS];
    sg_state state[LAYERS];
    sg_affine out;
    sg_optimizer optimizer;
} language;

static void carry(sg_state *to, sg_state final)
{
    *to = (sg_state){.h = sg_keep(final.h), .c = sg_keep(final.c)};
}

/* ---- words ---------------------------------------------------------------------------------- */

static void *open_words(bench *b, int hidden, int time, double dropout, int64_t *batches)
{
    language *m = bench_new(b, 1, sizeof *m);
    int words = bench_size(b, 10000, 50);
    m->text = bench_stream(b, "lm10k.i32", words, bench_size(b, 20, 3), time);
    m->dropout = dropout;
    m->table = sg_embedding(b->g, "words", words, hidden);
    m->layer[0] = sg_lstm(b->g, "lstm0", hidden, hidden);
    m->layer[1] = sg_lstm(b->g, "lstm1", hidden, hidden);
    m->out = sg_linear(b->g, "out", hidden, words);
    m->optimizer = sg_sgd(b->g, .rate = 1, .clip_norm = 5);
    *batches = m->text.batches;
    return m;
}

static void *open_w1(bench *b, int64_t *batches)
{
    return open_words(b, bench_size(b, 200, 8), bench_size(b, 20, 4), 0, batches);
}

static void *open_w2(bench *b, int64_t *batches)
{
    return open_words(b, bench_size(b, 650, 8), bench_size(b, 35, 4), b->check ? 0 : 0.5, batches);
}

static int64_t step_words(bench *b, void *model, int64_t batch)
{
    language *m = model;
    bench_stretch(b, &m->text, batch);
    sg_tensor *h = sg_dropout(sg_take(m->table, m->text.x), m->dropout); /* [B,T,H] */
    for (int l = 0; l < LAYERS; l++) {
        sg_state final;
        h = sg_unroll(m->layer[l], h, .initial = m->state[l], .final = &final);
        h = sg_dropout(h, m->dropout);
        carry(&m->state[l], final);
    }
    sg_tensor *logits = sg_apply(m->out, h); /* [B,T,V] */
    sg_tensor *loss = sg_mean(sg_cross_entropy(logits, m->text.y), SG_ALL_AXES, false);
    bench_update(b, &m->optimizer, loss);
    return m->text.batch * m->text.time;
}

/* ---- characters ----------------------------------------------------------------------------- */

enum { CHARACTERS = 96 };

static void *open_w3b(bench *b, int64_t *batches)
{
    language *m = bench_new(b, 1, sizeof *m);
    int hidden = bench_size(b, 128, 8), rows = bench_size(b, 50, 3), time = bench_size(b, 50, 4);
    m->text = bench_stream(b, "char96.i32", CHARACTERS, rows, time);
    m->layer[0] = sg_lstm(b->g, "lstm0", CHARACTERS, hidden);
    m->layer[1] = sg_lstm(b->g, "lstm1", hidden, hidden);
    m->out = sg_linear(b->g, "out", hidden, CHARACTERS);
    m->optimizer = sg_adam(b->g, .rate = 2e-3, .clip_value = 5);
    *batches = m->text.batches;
    return m;
}

static void *open_w3a(bench *b, int64_t *batches)
{
    language *m = bench_new(b, 1, sizeof *m);
    int hidden = bench_size(b, 128, 8);
    m->text = bench_stream(b, "char96.i32", CHARACTERS, 1, bench_size(b, 25, 4));
    m->layer[0] = sg_rnn(b->g, "rnn", CHARACTERS, hidden);
    m->out = sg_linear(b->g, "out", hidden, CHARACTERS);
    *batches = m->text.batches < 4000 ? m->text.batches : 4000;
    return m;
}

/* A layer over characters: a one-hot input times Wx is a row of Wx. */
static sg_tensor *unroll_characters(const language *m, sg_state *final)
{
    sg_cell cell = m->layer[0];
    sg_tensor *xw = sg_add(sg_take(cell.wx, m->text.x), cell.b); /* [B,T,G] */
    cell.wx = NULL;
    return sg_unroll(cell, xw, .initial = m->state[0], .final = final);
}

static int64_t step_w3b(bench *b, void *model, int64_t batch)
{
    language *m = model;
    sg_state final[LAYERS];
    bench_stretch(b, &m->text, batch);
    sg_tensor *h = unroll_characters(m, &final[0]); /* [B,T,H] */
    h = sg_unroll(m->layer[1], h, .initial = m->state[1], .final = &final[1]);
    carry(&m->state[0], final[0]);
    carry(&m->state[1], final[1]);
    sg_tensor *logits = sg_apply(m->out, h); /* [B,T,V] */
    sg_tensor *loss = sg_mean(sg_cross_entropy(logits, m->text.y), SG_ALL_AXES, false);
    bench_update(b, &m->optimizer, loss);
    return m->text.batch * m->text.time;
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
    bench_stretch(b, &m->text, batch);
    sg_tensor *h = unroll_characters(m, &final); /* [1,T,H] */
    m->state[0].h = sg_keep(final.h);
    sg_tensor *logits = sg_apply(m->out, h); /* [1,T,V] */
    sg_tensor *loss = sg_sum(sg_cross_entropy(logits, m->text.y), SG_ALL_AXES, false);
    adagrad(b->g, loss, b->check ? 0.001 : 0.1, 5); /* with 0.1, rounding errors grow tenfold */
    b->loss = sg_item(loss);
    sg_reset(b->g);
    return m->text.batch * m->text.time;
}

/* ---- all ------------------------------------------------------------------------------------ */

const workload bench_language[] = {
    {"w1", "LSTM language model, 2 x 200", "tok/s", 0, open_w1, step_words},
    {"w2", "LSTM language model, 2 x 650, dropout", "tok/s", 0, open_w2, step_words},
    {"w3a", "tanh RNN of characters, one sequence", "tok/s", 0, open_w3a, step_w3a},
    {"w3b", "LSTM of characters, 2 x 128", "tok/s", 0, open_w3b, step_w3b},
    {NULL}};
