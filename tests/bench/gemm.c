/* Matrix products through sg_matmul, of the shapes that training steps have. */
#include "tests/bench/micro.h"

#include <stdlib.h>

typedef struct product {
    const char *what;
    int64_t m, n, k;
    bool tx, ty; /* the operand is stored transposed */
    const float *x, *y;
} product;

static const product products[] = {
    {"x W", 20, 800, 200},
    {"x W", 10, 800, 200},
    {"g W'", 20, 200, 800, .ty = true},
    {"x W", 400, 800, 200},
    {"g W'", 400, 200, 800, .ty = true},
    {"x W", 400, 10000, 200},
    {"x' g", 200, 800, 400, .tx = true},
    {"x' g", 200, 10000, 400, .tx = true},
    {"g W'", 400, 200, 10000, .ty = true},
    {"x W", 250, 400, 200},
    {"x' g", 200, 400, 250, .tx = true},
    {"x W", 250, 200, 400},
    {"x W", 50, 512, 128},
    {"g W'", 50, 128, 512, .ty = true},
    {"x W", 64, 2048, 512},
    {"g W'", 64, 512, 2048, .ty = true},
    {"x W", 20, 2600, 650},
    {"g W'", 20, 650, 2600, .ty = true},
    {"x W", 640, 2048, 512},
    {"x' g", 512, 2048, 640, .tx = true},
    {"x W", 1, 2048, 512},
    {"x W", 4, 2048, 512},
    {"x W", 1, 512, 128},
    {"x W", 1000, 1000, 1000},
};

static sg_tensor *operand(sg_context *g, const float *data, int64_t rows, int64_t columns,
                          bool transposed)
{
    if (!transposed)
        return sg_borrow(g, SG_F32, SG_SHAPE(rows, columns), data);
    return sg_transpose(sg_borrow(g, SG_F32, SG_SHAPE(columns, rows), data), 0, 1);
}

static sg_tensor *record(sg_context *g, const void *user)
{
    const product *p = user;
    sg_tensor *x = operand(g, p->x, p->m, p->k, p->tx), *y = operand(g, p->y, p->k, p->n, p->ty);
    return sg_matmul(x, y);
}

/* Aligned like the library's own arrays. */
static float *numbers_for(int64_t count)
{
    enum { LINE = 64 };
    float *x = aligned_alloc(LINE, ((size_t)count * sizeof *x + LINE - 1) / LINE * LINE);
    for (int64_t i = 0; x && i < count; i++)
        x[i] = (float)(i % 17) / 8 - 1;
    return x;
}

int bench_gemm(int threads)
{
    sg_context *g = sg_open(.threads = threads);
    printf("f32, %s, %d thread%s; an evaluation by itself takes %.2f us\n"
           "          m      n      k          us    GF/s    best\n",
           sg_infos(g).isa, threads, threads > 1 ? "s" : "", 1e6 * bench_overhead(g));
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        product p = products[i];
        float *x = numbers_for(p.m * p.k), *y = numbers_for(p.k * p.n);
        p.x = x;
        p.y = y;
        if (!x || !y)
            sg_fail(g, SG_NO_MEMORY, "no memory for the operands");
        double least = 0, t = bench_evaluation(g, record, &p, &least);
        double work = 2e-9 * (double)p.m * (double)p.n * (double)p.k;
        if (sg_ok(g))
            printf("%-5s %5lld %6lld %6lld %11.2f %7.1f %7.1f\n", p.what, (long long)p.m,
                   (long long)p.n, (long long)p.k, 1e6 * t, work / t, work / least);
        free(x);
        free(y);
    }
    int failed = !sg_ok(g);
    fputs(sg_errmsg(g), stderr);
    sg_close(g);
    return failed;
}
