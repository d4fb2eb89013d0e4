/* The end of a training step; and what of one is computed together, as a report. */
#include "tests/bench/bench.h"

#include <stdlib.h>

/* Of the loss and the gradients of all parameters. */
static void tell_batches(bench *b, sg_tensor *loss)
{
    int n = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(b->g, p, false));)
        n++;
    sg_tensor **x = bench_new(b, (size_t)n, sizeof(void *));
    sg_tensor **wanted = bench_new(b, (size_t)n + 1, sizeof(void *));
    n = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(b->g, p, false));)
        x[n++] = p;
    sg_grad(loss, n, x, wanted);
    wanted[n] = loss;
    sg_dump_batches(b->told, n + 1, wanted);
}

void bench_update(bench *b, sg_optimizer *o, sg_tensor *loss)
{
    if (b->told)
        tell_batches(b, loss);
    sg_step(o, loss);
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
