/* w9: what a node costs: ten thousand links y = tanh(y * a + b) of 16 floats. */
#include "tests/bench/bench.h"

typedef struct chain {
    int links;
    sg_tensor *a, *b;
} chain;

static void *open_w9(bench *b, int64_t *batches)
{
    chain *m = bench_new(b, 1, sizeof *m);
    enum { SIZE = 16 };
    m->links = bench_size(b, 10000, 100);
    b->nodes = 3 * (int64_t)m->links;
    m->a = sg_param(b->g, "a", SG_SHAPE(SIZE), SG_CONSTANT, 0.9);
    m->b = sg_param(b->g, "b", SG_SHAPE(SIZE), SG_CONSTANT, 0.1);
    *batches = 1;
    return m;
}

static int64_t step_w9(bench *b, void *model, int64_t batch)
{
    const chain *m = model;
    (void)batch;
    sg_tensor *y = sg_full(b->g, SG_F32, sg_shape_of(m->a), 0);
    for (int i = 0; i < m->links; i++)
        y = sg_tanh(sg_add(sg_mul(y, m->a), m->b));
    sg_tensor *sum = sg_sum(y, 0, false), *grads[2];
    sg_grad(sum, 2, (sg_tensor *[]){m->a, m->b}, grads);
    sg_eval(sum, grads[0], grads[1]);
    b->loss = sg_item(sum);
    sg_reset(b->g);
    return b->nodes;
}

const workload bench_chain[] = {
    {"w9", "10,000 links y = tanh(y a + b), 16 numbers each", "nodes/s", 0, open_w9, step_w9},
    {NULL}};
