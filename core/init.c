/* Initial values of parameters. They are drawn from a stream of the parameter's name, so they do
 * not depend on what else a model has, nor on the order in which it was made. */
#include "core/internal.h"
#include "core/philox.h"

#include <math.h>
#include <stdlib.h>

typedef struct stream {
    uint32_t key[2], counter[4], out[4];
    int used;
} stream;

static stream stream_of(sg_context *g, const char *name)
{
    uint64_t h = g->seed * UINT64_C(0x9E3779B97F4A7C15);
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001B3);
    h ^= h >> 31;
    return (stream){.key = {(uint32_t)h, (uint32_t)(h >> 32)}, .counter = {0, 0, 0, 1}, .used = 4};
}

/* in (0, 1) */
static double uniform(stream *s)
{
    if (s->used == 4) {
        sg__philox(s->key, s->counter, s->out);
        if (++s->counter[0] == 0)
            s->counter[1]++;
        s->used = 0;
    }
    return (s->out[s->used++] + 0.5) * 0x1p-32;
}

static double normal(stream *s)
{
    double u = uniform(s), v = uniform(s);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static void put(const sg__store *s, int64_t i, double v)
{
    if (s->dtype == SG_F32)
        ((float *)s->data)[i] = (float)v;
    else
        ((double *)s->data)[i] = v;
}

/* In lanes: a single sum waits for each addition. */
static double dot(const double *x, const double *y, int64_t n)
{
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0;
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += x[k + l] * y[k + l];
    for (; k < n; k++)
        sum += x[k] * y[k];
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

/* Rows (or columns, if there are fewer) of a random matrix [m, n] made orthonormal by Gram and
 * Schmidt, again where little is left, then written to the block of the store that starts at column
 * `from`.
 */
static bool orthogonal(const sg__store *s, stream *r, double gain, int64_t m, int64_t n,
                       int64_t stride, int64_t from)
{
    bool flat = m <= n;
    int64_t count = flat ? m : n, length = flat ? n : m;
    double *q = calloc((size_t)(count * length) + 1, sizeof *q);
    if (!q)
        return false;
    for (int64_t i = 0; i < count; i++) {
        double *v = q + i * length, before, now;
        for (int64_t k = 0; k < length; k++)
            v[k] = normal(r);
        do {
            before = dot(v, v, length);
            for (int64_t j = 0; j < i; j++) {
                const double *w = q + j * length;
                const double along = dot(v, w, length);
                for (int64_t k = 0; k < length; k++)
                    v[k] -= along * w[k];
            }
            now = dot(v, v, length);
        } while (now < 0.01 * before); /* a digit of the norm is lost */
        for (int64_t k = 0; k < length; k++)
            v[k] /= sqrt(now);
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            put(s, i * stride + from + j, gain * (flat ? q[i * length + j] : q[j * length + i]));
    free(q);
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
    stream r = stream_of(g, s->name);
    switch (init) {
    case SG_XAVIER:
    case SG_UNIFORM:
        gain *= init == SG_XAVIER ? sqrt(6 / fans) : 1;
        for (int64_t i = 0; i < size; i++)
            put(s, i, gain * (2 * uniform(&r) - 1));
        return true;
    case SG_XAVIER_NORMAL:
    case SG_NORMAL:
        gain *= init == SG_XAVIER_NORMAL ? sqrt(2 / fans) : 1;
        for (int64_t i = 0; i < size; i++)
            put(s, i, gain * normal(&r));
        return true;
    case SG_ORTHOGONAL:
        for (int b = 0; b < blocks; b++)
            if (!orthogonal(s, &r, gain, rows, width, columns, b * width)) {
                sg__no_memory(g, s->name);
                return false;
            }
        return true;
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
