/* Times of single evaluations. */
#include "tests/bench/micro.h"

#include <stdlib.h>
#include <time.h>

double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_evaluation(sg_context *g, bench_record *record, const void *user, double *least)
{
    enum { LEAST = 7, MOST = 2000, WARM = 3 };
    static const double enough = 0.05; /* seconds */
    double time[MOST], sum = 0;
    int n = -WARM;
    while (sg_ok(g) && n < MOST && (n < LEAST || sum < enough)) {
        sg_tensor *y = record(g, user);
        double from = bench_seconds();
        sg_eval(y);
        double t = bench_seconds() - from;
        sg_reset(g);
        if (n >= 0) {
            time[n] = t;
            sum += t;
        }
        n++;
    }
    if (n <= 0)
        return 0;
    qsort(time, (size_t)n, sizeof *time, ascending);
    if (least)
        *least = time[0];
    return time[n / 2];
}

static sg_tensor *one_by_one(sg_context *g, const void *user)
{
    (void)user;
    static const float one = 1;
    sg_tensor *x = sg_borrow(g, SG_F32, SG_SHAPE(1, 1), &one);
    return sg_matmul(x, x);
}

double bench_overhead(sg_context *g)
{
    return bench_evaluation(g, one_by_one, NULL, NULL);
}
