/* What it costs that threads meet, and that they begin and end together. */
#include "core/pool.h"
#include "tests/bench/micro.h"

#include <stdio.h>

enum { TIMES = 100000, ROUNDS = 5 };

static void meet_often(void *arg, int part, int parts)
{
    (void)parts;
    for (int i = 0; i < TIMES; i++)
        sg__pool_meet(arg, part);
}

static void nothing(void *arg, int part, int parts)
{
    (void)arg, (void)part, (void)parts;
}

int bench_meet(int threads)
{
    sg__pool *p = sg__pool_open(threads < 2 ? 2 : threads);
    double meet = 1, run = 1;
    if (!p)
        return 1;
    for (int round = 0; round < ROUNDS; round++) { /* the best: others use the machine, too */
        double start = bench_seconds();
        sg__pool_run(p, meet_often, p);
        double met = bench_seconds();
        for (int i = 0; i < TIMES; i++)
            sg__pool_run(p, nothing, NULL);
        double end = bench_seconds();
        meet = met - start < meet ? met - start : meet;
        run = end - met < run ? end - met : run;
    }
    printf("a meeting %.0f ns, a start and an end %.0f ns\n", 1e9 * meet / TIMES,
           1e9 * run / TIMES);
    sg__pool_close(p);
    return 0;
}
