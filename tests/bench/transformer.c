/*
 * w6: a Transformer language model, normalized before each part (Vaswani et al. 2017; Radford et
 * al. 2019), Adam.
 */
#include "tests/bench/bench.h"

enum { LAYERS = 4, HEADS = 4 };

typedef struct model {
    stream text;
    sg_tensor *table;
    sg_transformer transformer;
    sg_affine out;
    sg_optimizer adam;
} model;

static void *open_w6(bench *b, int64_t *batches)
{
    model *m = bench_new(b, 1, sizeof *m);
    int words = bench_size(b, 8000, 30), size = bench_size(b, 256, 8);
    int time = bench_size(b, 128, 5);
    m->text = bench_stream(b, "lm8k.i32", words, bench_size(b, 16, 2), time);
    m->table = sg_embedding(b->g, "words", words, size);
    m->transformer = sg_make_transformer(b->g, "lm", size, HEADS, LAYERS, .causal = true,
                                         .positions = SG_LEARNED, .most = time);
    m->out = sg_linear(b->g, "out", size, words);
    m->adam = sg_adam(b->g, .rate = 1e-3, .clip_norm = 5);
    *batches = m->text.batches;
    return m;
}

static int64_t step_w6(bench *b, void *of, int64_t batch)
{
    model *m = of;
    bench_stretch(b, &m->text, batch);
    sg_tensor *h = sg_transform(&m->transformer, sg_take(m->table, m->text.x)); /* [B,T,D] */
    sg_tensor *logits = sg_apply(m->out, h);                                    /* [B,T,V] */
    sg_tensor *loss = sg_mean(sg_cross_entropy(logits, m->text.y), SG_ALL_AXES, false);
    bench_update(b, &m->adam, loss);
    return m->text.batch * m->text.time;
}

const workload bench_transformer[] = {
    {"w6", "Transformer language model", "tok/s", 0, open_w6, step_w6}, {NULL}};
