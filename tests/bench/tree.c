/*
 * w7: a binary Tree-LSTM that judges 32 trees a step (Tai et al. 2015), SGD. The program knows one
 * node at a time, as the formulas do; that there are many is not its business.
 */
#include "tests/bench/bench.h"

enum { LABELS = 5, MOST_LEAVES = 40, MOST_TREES = 32 };

typedef struct tree {
    int leaves;
    const int32_t *words; /* [leaves] */
    const int32_t *pairs; /* [leaves - 1, 2]: the children of nodes leaves, leaves + 1, … */
    int32_t label;
} tree;

typedef struct judge {
    tree *trees;
    int batch, size;
    sg_tensor *table;
    sg_affine leaf, node, out;
    sg_optimizer sgd;
} judge;

static tree read_tree(bench *b, numbers *n, int words)
{
    tree t = {.leaves = bench_number(n, 1, bench_size(b, MOST_LEAVES, 4))};
    t.words = bench_array(n, t.leaves, 0, words - 1);
    int32_t *pairs = bench_new(b, 2 * (size_t)t.leaves, sizeof *pairs);
    for (int i = 0; i < 2 * (t.leaves - 1); i++)
        pairs[i] = bench_number(n, 0, t.leaves + i / 2 - 1); /* a child is there before its node */
    t.pairs = pairs;
    t.label = bench_number(n, 0, LABELS - 1);
    return t;
}

static void *open_w7(bench *b, int64_t *batches)
{
    judge *m = bench_new(b, 1, sizeof *m);
    int words = bench_size(b, 5000, 30);
    m->batch = bench_size(b, MOST_TREES, 3);
    m->size = bench_size(b, 128, 8);
    numbers n = bench_numbers(b, "trees.i32");
    int count = bench_number(&n, m->batch, bench_size(b, 100000, 2 * m->batch));
    m->trees = bench_new(b, (size_t)count, sizeof *m->trees);
    for (int i = 0; i < count; i++)
        m->trees[i] = read_tree(b, &n, words);
    m->table = sg_embedding(b->g, "words", words, m->size);
    m->leaf = sg_linear(b->g, "leaf", m->size, 3 * m->size);
    m->node = sg_linear(b->g, "node", 2 * m->size, 5 * m->size);
    m->out = sg_linear(b->g, "out", m->size, LABELS);
    m->sgd = sg_sgd(b->g, .rate = 0.05);
    *batches = count / m->batch;
    return m;
}

/* I, O = sigmoid, U = tanh of x W + b;  C = I*U, H = O*tanh(C) */
static sg_state leaf(const judge *m, sg_tensor *x)
{
    sg_tensor *z[3];
    sg_split(sg_apply(m->leaf, x), -1, 3, z); /* 3 of [1,D] */
    sg_tensor *i = sg_sigmoid(z[0]), *o = sg_sigmoid(z[1]), *u = sg_tanh(z[2]);
    sg_tensor *c = sg_mul(i, u);
    return (sg_state){.h = sg_mul(o, sg_tanh(c)), .c = c};
}

/* I, Fl, Fr, O = sigmoid, U = tanh of [hl; hr] W + b;  C = I*U + Fl*cl + Fr*cr, H = O*tanh(C) */
static sg_state node(const judge *m, sg_state l, sg_state r)
{
    sg_tensor *z[5];
    sg_split(sg_apply(m->node, sg_concat(-1, l.h, r.h)), -1, 5, z); /* 5 of [1,D] */
    sg_tensor *i = sg_sigmoid(z[0]), *fl = sg_sigmoid(z[1]), *fr = sg_sigmoid(z[2]);
    sg_tensor *o = sg_sigmoid(z[3]), *u = sg_tanh(z[4]);
    sg_tensor *c = sg_add(sg_add(sg_mul(i, u), sg_mul(fl, l.c)), sg_mul(fr, r.c));
    return (sg_state){.h = sg_mul(o, sg_tanh(c)), .c = c};
}

static sg_tensor *loss_of(const judge *m, sg_context *g, const tree *t)
{
    sg_state s[2 * MOST_LEAVES];
    int n = 0;
    for (; n < t->leaves; n++)
        s[n] = leaf(m, sg_take(m->table, sg_input(g, SG_I32, SG_SHAPE(1), &t->words[n])));
    for (const int32_t *pair = t->pairs; n < 2 * t->leaves - 1; n++, pair += 2)
        s[n] = node(m, s[pair[0]], s[pair[1]]);
    sg_tensor *label = sg_input(g, SG_I32, SG_SHAPE(1), &t->label);
    return sg_cross_entropy(sg_apply(m->out, s[n - 1].h), label); /* [1] */
}

static int64_t step_w7(bench *b, void *model, int64_t batch)
{
    judge *m = model;
    sg_tensor *losses[MOST_TREES];
    for (int i = 0; i < m->batch; i++)
        losses[i] = loss_of(m, b->g, &m->trees[batch * m->batch + i]);
    sg_tensor *loss = sg_reshape(sg_add_n(m->batch, losses), SG_SCALAR);
    bench_update(b, &m->sgd, loss);
    return m->batch;
}

const workload bench_tree[] = {
    {"w7", "Tree-LSTM, written for one tree", "trees/s", 8, open_w7, step_w7}, {NULL}};
