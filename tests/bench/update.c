/* The end of a training step; and what of one is computed together, as a report. */
#include "tests/bench/bench.h"

void bench_update(bench *b, sg_optimizer *o, sg_tensor *loss)
{
    sg_update(o, loss);
    if (b->told)
        sg_dump_batches(b->told, 1, &loss);
    b->loss = sg_item(loss);
    sg_reset(b->g);
}

int bench_batches(const workload *w, const settings *s)
{
    bench b = {.g = sg_open(.threads = s->threads, .seed = 1), .data = s->data, .told = stdout};
    int64_t batches;
    void *model = w->open(&b, &batches);
    sg_train(b.g, true);
    w->step(&b, model, 0);
    return bench_close(&b, w);
}
