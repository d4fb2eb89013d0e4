/* Initial values of parameters. They are drawn from a stream of the parameter's name, so they do
 * not depend on what else a model has, nor on the order in which it was made. */
#include "core/array.h"
#include "core/internal.h"
#include "core/orthonormal.h"
#include "core/philox.h"

#include <math.h>
#include <stdlib.h>

typedef struct stream {
    uint32_t key[2];
} stream;

static stream stream_of(const sg_context *g, const char *name)
{
    uint64_t h = g->seed * UINT64_C(0x9E3779B97F4A7C15);
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001B3);
    h ^= h >> 31;
    return (stream){{(uint32_t)h, (uint32_t)(h >> 32)}};
}

/* So many numbers of a stream in (0, 1), from number `at` on. */
static void uniforms(const stream *s, uint64_t at, int64_t n, double *u)
{
    uint32_t out[4];
    while (n > 0) {
        const uint64_t block = at / 4;
        sg__philox(s->key, (const uint32_t[]){(uint32_t)block, (uint32_t)(block >> 32), 0, 1}, out);
        for (unsigned k = at % 4; k < 4 && n > 0; k++, at++, n--)
            *u++ = (out[k] + 0.5) * 0x1p-32;
    }
}

/* from -1 to 1 */
static void centred(const stream *s, uint64_t at, int64_t n, double *x)
{
    uniforms(s, at, n, x);
    for (int64_t i = 0; i < n; i++)
        x[i] = 2 * x[i] - 1;
}

enum { SOME = 256 }; /* values at a time */

static void normals(const stream *s, uint64_t at, int64_t n, double *x)
{
    double u[2 * SOME];
    for (; n > 0; n -= SOME, at += SOME, x += SOME) {
        const int64_t count = n < SOME ? n : SOME;
        uniforms(s, 2 * at, 2 * count, u);
        for (int64_t i = 0; i < count; i++)
            x[i] = sqrt(-2 * log(u[2 * i])) * cos(6.283185307179586 * u[2 * i + 1]);
    }
}

static void put(const sg__store *s, int64_t i, double v)
{
    if (s->dtype == SG_F32)
        ((float *)s->data)[i] = (float)v;
    else
        ((double *)s->data)[i] = v;
}

typedef struct filling { /* of a store, by several threads */
    const sg__store *s;
    stream stream;
    void (*draw)(const stream *s, uint64_t at, int64_t n, double *x);
    double gain;
    int64_t size, rows, columns, width; /* width: of a block */
    int blocks;
    double *room; /* for a block, for each thread */
    sg__orthonormal *orthonormal;
} filling;

static void fill_drawn(void *arg, int part, int parts)
{
    const filling *f = arg;
    double x[SOME];
    int64_t from, end;
    for (sg__share(f->size, 1, part, parts, &from, &end); from < end; from += SOME) {
        const int64_t n = end - from < SOME ? end - from : SOME;
        f->draw(&f->stream, (uint64_t)from, n, x);
        for (int64_t i = 0; i < n; i++)
            put(f->s, from + i, f->gain * x[i]);
    }
}

/* Each block is a random matrix of which rows, or columns if there are fewer, are orthonormal. */
static void fill_orthogonal(void *arg, int part, int parts)
{
    const filling *f = arg;
    const int64_t m = f->rows, n = f->width;
    const bool flat = m <= n;
    double *q = f->room + part * m * n;
    for (int b = part; b < f->blocks; b += parts) {
        normals(&f->stream, (uint64_t)(b * m * n), m * n, q);
        f->orthonormal(flat ? m : n, flat ? n : m, q);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                put(f->s, i * f->columns + b * n + j, f->gain * q[flat ? i * n + j : j * m + i]);
    }
}

/* On all threads, where it is worth it. */
static void on_threads(sg_context *g, sg__work *work, filling *f)
{
    enum { LARGE = 1 << 16 };
    sg__pool *pool = f->size >= LARGE ? sg__threads(g) : NULL;
    if (pool)
        sg__pool_run(pool, work, f);
    else
        work(f, 0, 1);
}

static bool make_orthogonal(sg_context *g, filling *f)
{
    f->orthonormal = sg__orthonormals[g->isa] ? sg__orthonormals[g->isa] : sg__orthonormals[0];
    f->room = calloc((size_t)(f->rows * f->width) * (size_t)g->threads + 1, sizeof *f->room);
    if (!f->room) {
        sg__no_memory(g, f->s->name);
        return false;
    }
    on_threads(g, fill_orthogonal, f);
    free(f->room);
    return true;
}

bool sg__initialize(sg_context *g, const sg__store *s, sg_init init, double gain, int blocks)
{
    int rank = s->shape.rank;
    int64_t size = 1, columns = rank ? s->shape.dim[rank - 1] : 1;
    for (int i = 0; i < rank; i++)
        size *= s->shape.dim[i];
    int64_t rows = columns ? size / columns : 0, width = columns / blocks;
    if (gain == SG_ZERO)
        gain = 0;
    if (!isfinite(gain)) {
        sg_fail(g, SG_BAD_ARGUMENT, "\"%s\": a gain of %g", s->name, gain);
        return false;
    }
    if (blocks < 1 || columns % blocks != 0) {
        sg_fail(g, SG_BAD_ARGUMENT, "\"%s\": %lld columns do not make %d blocks", s->name,
                (long long)columns, blocks);
        return false;
    }
    /* fans as in x W: rows in, columns of one block out; a vector counts as a column */
    double in = rank > 1 ? (double)rows : (double)columns, out = rank > 1 ? (double)width : 1;
    double fans = in + out > 0 ? in + out : 1;
    filling f = {.s = s,
                 .stream = stream_of(g, s->name),
                 .gain = gain,
                 .size = size,
                 .rows = rows,
                 .columns = columns,
                 .width = width,
                 .blocks = blocks};
    switch (init) {
    case SG_XAVIER:
    case SG_UNIFORM:
        f.gain *= init == SG_XAVIER ? sqrt(6 / fans) : 1;
        f.draw = centred;
        on_threads(g, fill_drawn, &f);
        return true;
    case SG_XAVIER_NORMAL:
    case SG_NORMAL:
        f.gain *= init == SG_XAVIER_NORMAL ? sqrt(2 / fans) : 1;
        f.draw = normals;
        on_threads(g, fill_drawn, &f);
        return true;
    case SG_ORTHOGONAL:
        return make_orthogonal(g, &f);
    case SG_ZEROS:
        return true;
    case SG_CONSTANT:
        for (int64_t i = 0; i < size; i++)
            put(s, i, gain);
        return true;
    }
    sg_fail(g, SG_BAD_ARGUMENT, "\"%s\": no such initial values (%d)", s->name, (int)init);
    return false;
}
