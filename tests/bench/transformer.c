/*
 * w6: a Transformer language model, normalized before each part (Vaswani et al. 2017; Radford et
 * al. 2019), Adam. The block is written here, of generic ops.
 */
#include "tests/bench/bench.h"

#include <math.h>

enum { LAYERS = 4, HEADS = 4 };

typedef struct norm {
    sg_tensor *gain, *bias;
} norm;

typedef struct layer {
    norm n1, n2;
    sg_affine qkv, join, widen, narrow;
} layer;

typedef struct transformer {
    stream text;
    int size; /* of a token's features */
    sg_tensor *table, *position;
    layer layers[LAYERS];
    norm last;
    sg_affine out;
    uint8_t *past; /* [time, time]: 1 where the key is not after the query */
    sg_optimizer adam;
} transformer;

static norm make_norm(sg_context *g, const char *name, int size)
{
    norm n;
    sg_push(g, "norm", name);
    n.gain = sg_param(g, "gain", SG_SHAPE(size), SG_CONSTANT);
    n.bias = sg_param(g, "bias", SG_SHAPE(size), SG_ZEROS);
    sg_pop(g);
    return n;
}

static layer make_layer(sg_context *g, int number, int size)
{
    char name[16];
    snprintf(name, sizeof name, "layer%d", number);
    sg_push(g, "transformer", name);
    layer l = {.n1 = make_norm(g, "n1", size), .n2 = make_norm(g, "n2", size)};
    l.qkv = sg_linear(g, "qkv", size, 3 * size);
    l.join = sg_linear(g, "join", size, size);
    l.widen = sg_linear(g, "widen", size, 4 * size);
    l.narrow = sg_linear(g, "narrow", 4 * size, size);
    sg_pop(g);
    return l;
}

static void *open_w6(bench *b, int64_t *batches)
{
    transformer *m = bench_new(b, 1, sizeof *m);
    int words = bench_size(b, 8000, 30), size = bench_size(b, 256, 8);
    int time = bench_size(b, 128, 5);
    m->size = size;
    m->text = bench_stream(b, "lm8k.i32", words, bench_size(b, 16, 2), time);
    m->table = sg_embedding(b->g, "words", words, size);
    m->position = sg_param(b->g, "position", SG_SHAPE(time, size), SG_NORMAL, 0.02);
    for (int l = 0; l < LAYERS; l++)
        m->layers[l] = make_layer(b->g, l, size);
    m->last = make_norm(b->g, "last", size);
    m->out = sg_linear(b->g, "out", size, words);
    m->adam = sg_adam(b->g, .rate = 1e-3, .clip_norm = 5);
    m->past = bench_new(b, (size_t)time * (size_t)time, 1);
    for (int q = 0; q < time; q++)
        for (int k = 0; k <= q; k++)
            m->past[q * time + k] = 1;
    *batches = m->text.batches;
    return m;
}

static sg_tensor *normalize(norm n, sg_tensor *x)
{
    return sg_layer_norm(x, n.gain, n.bias, 1e-5);
}

/* softmax(q kᵀ / sqrt(d)) v, over the past, for each head: [B,T,D] -> [B,T,D] */
static sg_tensor *attend(const layer *l, sg_tensor *x, sg_tensor *past)
{
    int64_t batch = sg_dim(x, 0), time = sg_dim(x, 1), size = sg_dim(x, 2), d = size / HEADS;
    sg_tensor *z = sg_apply(l->qkv, x); /* [B,T,3D] */
    z = sg_reshape(z, SG_SHAPE(batch, time, 3, HEADS, d));
    z = sg_permute(z, (int[]){2, 0, 3, 1, 4}); /* [3,B,heads,T,d] */
    sg_tensor *q = sg_index(z, 0, 0), *k = sg_index(z, 0, 1), *v = sg_index(z, 0, 2);
    q = sg_mul(q, sg_like(q, 1 / sqrt((double)d)));
    sg_tensor *w = sg_softmax(sg_matmul(q, sg_transpose(k, 2, 3)), past); /* [B,heads,T,T] */
    sg_tensor *y = sg_transpose(sg_matmul(w, v), 1, 2);                   /* [B,T,heads,d] */
    return sg_apply(l->join, sg_reshape(y, sg_shape_of(x)));
}

static sg_tensor *block(const layer *l, sg_tensor *x, sg_tensor *past)
{
    x = sg_add(x, attend(l, normalize(l->n1, x), past));
    sg_tensor *wide = sg_gelu(sg_apply(l->widen, normalize(l->n2, x))); /* [B,T,4D] */
    return sg_add(x, sg_apply(l->narrow, wide));
}

static int64_t step_w6(bench *b, void *model, int64_t batch)
{
    transformer *m = model;
    int time = m->text.time;
    bench_stretch(b, &m->text, batch);
    sg_tensor *past = sg_borrow(b->g, SG_U8, SG_SHAPE(time, time), m->past);
    sg_tensor *h = sg_add(sg_take(m->table, m->text.x), m->position); /* [B,T,D] */
    for (int l = 0; l < LAYERS; l++)
        h = block(&m->layers[l], h, past);
    sg_tensor *logits = sg_apply(m->out, normalize(m->last, h)); /* [B,T,V] */
    sg_tensor *loss = sg_mean(sg_cross_entropy(logits, m->text.y), SG_ALL_AXES, false);
    sg_step(&m->adam, loss);
    b->loss = sg_item(loss);
    sg_reset(b->g);
    return m->text.batch * time;
}

#define BLOCK (4 * 256 * 256 + 2 * 256 * 1024 + 2 * 64 * 256)
const workload bench_transformer[] = {
    {"w6", "tok/s", 0, 2 * (4.0 * BLOCK + 256 * 8000), open_w6, step_w6}, {NULL}};
