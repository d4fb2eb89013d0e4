/*
 * Gram and Schmidt: from each row is taken away what it has of those before, one after the other,
 * and again where little is left. Some rows at a time, so that an earlier row is read once for all
 * of them, and no sum waits for another one's additions.
 *
 * This file is compiled once for each instruction set, with SG_ISA 0 (any CPU), 1 (AVX2) or 2
 * (AVX-512); the table below once.
 */
#include "core/orthonormal.h"

#include <math.h>
#include <string.h>

#define PASTE_(a, b) a##_##b
#define PASTE(a, b)  PASTE_(a, b)
#define NAME(f)      PASTE(f, SG_ISA)

enum {
    ROWS = 4,
    LANES =
        8, /* of a sum: element i goes to lane i mod 8, those behind the last eight come first */
    WIDTH = SG_ISA == 2   ? 8
            : SG_ISA == 1 ? 4
                          : 2,
    VECTORS = LANES / WIDTH
};
typedef double vector __attribute__((vector_size(8 * WIDTH)));

static inline vector load(const double *x)
{
    vector v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void dots(int rows, int64_t n, const double *x, const double *y, double *sum)
{
    vector lane[ROWS][VECTORS] = {{{0}}};
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < VECTORS; v++)
                lane[r][v] += load(x + r * n + k + v * WIDTH) * load(y + k + v * WIDTH);
    for (int r = 0; r < rows; r++) {
        sum[r] = 0;
        for (int64_t i = k; i < n; i++)
            sum[r] += x[r * n + i] * y[i];
        for (int l = 0; l < LANES; l++)
            sum[r] += lane[r][l / WIDTH][l % WIDTH];
    }
}

/* From so many rows x what they have of y. */
static inline void take_away(int rows, int64_t n, double *restrict x, const double *restrict y)
{
    double along[ROWS];
    dots(rows, n, x, y, along);
    for (int r = 0; r < rows; r++)
        for (int64_t k = 0; k < n; k++)
            x[r * n + k] -= along[r] * y[k];
}

static double norm(int64_t n, const double *x)
{
    double square;
    dots(1, n, x, x, &square);
    return square;
}

/* The first `done` rows before row i were taken away from it already. */
static void finish(int64_t i, int64_t done, int64_t n, double *q, double before)
{
    double *x = q + i * n, now;
    for (;; done = 0, before = now) {
        for (int64_t j = done; j < i; j++)
            take_away(1, n, x, q + j * n);
        now = norm(n, x);
        if (!(now < 0.01 * before)) /* no digit of the norm is lost */
            break;
    }
    for (int64_t k = 0; k < n; k++)
        x[k] /= sqrt(now);
}

sg__orthonormal NAME(sg__orthonormal);
void NAME(sg__orthonormal)(int64_t count, int64_t n, double *q)
{
    double before[ROWS];
    int64_t i = 0;
    for (; i + ROWS <= count; i += ROWS) {
        for (int r = 0; r < ROWS; r++)
            before[r] = norm(n, q + (i + r) * n);
        for (int64_t j = 0; j < i; j++)
            take_away(ROWS, n, q + i * n, q + j * n);
        for (int r = 0; r < ROWS; r++)
            finish(i + r, i, n, q, before[r]);
    }
    for (; i < count; i++)
        finish(i, 0, n, q, norm(n, q + i * n));
}

#if SG_ISA == 0

#ifdef SG_X86
extern sg__orthonormal sg__orthonormal_1, sg__orthonormal_2;
sg__orthonormal *const sg__orthonormals[SG_ISAS] = {sg__orthonormal_0, sg__orthonormal_1,
                                                    sg__orthonormal_2};
#else
sg__orthonormal *const sg__orthonormals[SG_ISAS] = {sg__orthonormal_0};
#endif

#endif
