/*
 * The f32 functions that have polynomials of their own, and how far a result is from the exact one.
 */
#ifndef SG_TEST_ULP_H
#define SG_TEST_ULP_H

#define SG_ISA 0
#include "ops/kernel/vector_map.h"

#include <float.h>

SG_KERNELS(exp, FLOATS);
SG_KERNELS(expm1, FLOATS);
SG_KERNELS(log, FLOATS);
SG_KERNELS(log1p, FLOATS);
SG_KERNELS(tanh, FLOATS);
SG_KERNELS(sigmoid, FLOATS);
SG_KERNELS(softplus, FLOATS);
SG_KERNELS(erf, FLOATS);

static const char *const set_names[SG_ISAS] = {"generic", "avx2", "avx512"};

/* Whether this CPU has the instruction set. */
static inline bool has_set(int set)
{
#if SG__X86
    __builtin_cpu_init();
    if (set == SG_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (set == SG_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    return set == SG_GENERIC;
}

static inline double exact_sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static inline double exact_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static const struct {
    const char *name;
    sg_map *const (*map)[SG_ISAS];
    double (*exact)(double x);
} functions[] = {
    {"exp", exp_map, exp},
    {"expm1", expm1_map, expm1},
    {"log", log_map, log},
    {"log1p", log1p_map, log1p},
    {"tanh", tanh_map, tanh},
    {"sigmoid", sigmoid_map, exact_sigmoid},
    {"softplus", softplus_map, exact_softplus},
    {"erf", erf_map, erf},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* 2^(e - 23) for 2^e <= |x| < 2^(e + 1), and no less than the least subnormal f32 */
static inline double last_place(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t exponent = bits >> 52 & 2047;
    bits = ((exponent > 1023 - 126 ? exponent : 1023 - 126) - 23) << 52;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* In units of the last place; infinity counts as 2^128, the number after the largest. */
static inline double distance(float got, double exact)
{
    if (isnan(got) || isnan(exact))
        return isnan(got) && isnan(exact) ? 0 : INFINITY;
    double limit = 0x1p128, x = fmax(fmin(exact, limit), -limit);
    return fabs(fmax(fmin((double)got, limit), -limit) - x) / last_place(fmin(fabs(x), FLT_MAX));
}

/* NaN, or equal down to the sign of zero. */
static inline bool same(double x, double y)
{
    return isnan(x) ? isnan(y) != 0 : x == y && signbit(x) == signbit(y);
}

enum { CHUNK = 4096 };

typedef struct {
    double distance;
    float x, y;
} worst_case;

/* Of function f over every stride-th of the 2^32 floats, by set. */
static inline void scan(size_t f, uint64_t stride, worst_case worst[SG_ISAS])
{
    static float x[CHUNK], y[CHUNK];
    static double exact[CHUNK];
    memset(worst, 0, SG_ISAS * sizeof *worst);
    for (uint64_t next = 0; next < 1ull << 32;) {
        size_t n = 0;
        for (; n < CHUNK && next < 1ull << 32; n++, next += stride) {
            uint32_t bits = (uint32_t)next;
            memcpy(&x[n], &bits, sizeof bits);
            exact[n] = functions[f].exact((double)x[n]);
        }
        for (int s = 0; s < SG_ISAS; s++) {
            if (!has_set(s))
                continue;
            functions[f].map[SG_F32][s](n, y, (const void *[]){x}, 0);
            for (size_t i = 0; i < n; i++) {
                double d = distance(y[i], exact[i]);
                if (d > worst[s].distance)
                    worst[s] = (worst_case){d, x[i], y[i]};
            }
        }
    }
}

#endif
