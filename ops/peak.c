/* How fast products can be. */
#include "ops/ops.h"

#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double sg_peak(const sg_context *g)
{
    enum { M = 250, K = 200, N = 400, TIMES = 200 };
    sg_context *h = sg_open(.isa = sg_infos(g).isa, .threads = 1);
    double least = 0;
    for (int i = 0; i < TIMES && sg_ok(h); i++) {
        sg_tensor *x = sg_full(h, SG_F32, SG_SHAPE(M, K), 1);
        sg_tensor *y = sg_full(h, SG_F32, SG_SHAPE(K, N), 1);
        sg_eval(x, y);
        sg_tensor *z = sg_matmul(x, y);
        double from = now();
        sg_eval(z);
        double time = now() - from;
        least = i == 0 || time < least ? time : least;
        sg_reset(h);
    }
    sg_close(h);
    return least > 0 ? 2e-9 * M * K * N / least : 0;
}
