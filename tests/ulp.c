/*
 * The worst error of the f32 functions over all floats, for each instruction set of this CPU.
 *
 *     ulp [stride [function]]
 *
 * takes every stride-th of the 2^32 inputs (1 by default: about a minute for a function) and prints
 * the worst distance from libm's f64 result, in units of the last place, with its input. It fails
 * when one is above the 2 that ops/kernel/vector_math.h promises.
 */
#define SG_ISA 0
#include "ops/kernel/vector_map.h"

#include <float.h>
#include <stdlib.h>

SG_KERNELS(exp, FLOATS);
SG_KERNELS(expm1, FLOATS);
SG_KERNELS(log, FLOATS);
SG_KERNELS(log1p, FLOATS);
SG_KERNELS(tanh, FLOATS);
SG_KERNELS(sigmoid, FLOATS);
SG_KERNELS(erf, FLOATS);
SG_KERNELS(softplus, FLOATS);
SG_KERNELS(sin, FLOATS);
SG_KERNELS(cos, FLOATS);

static double exact_sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double exact_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static const struct {
    const char *name;
    sg_map *const *sets;
    double (*exact)(double x);
} functions[] = {
    {"exp", exp_map[SG_F32], exp},    {"expm1", expm1_map[SG_F32], expm1},
    {"log", log_map[SG_F32], log},    {"log1p", log1p_map[SG_F32], log1p},
    {"tanh", tanh_map[SG_F32], tanh}, {"sigmoid", sigmoid_map[SG_F32], exact_sigmoid},
    {"erf", erf_map[SG_F32], erf},    {"softplus", softplus_map[SG_F32], exact_softplus},
    {"sin", sin_map[SG_F32], sin},    {"cos", cos_map[SG_F32], cos},
};

/* 2^(e - 23) for 2^e <= |x| < 2^(e + 1), and no less than the least subnormal f32 */
static double last_place(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t exponent = bits >> 52 & 2047;
    bits = ((exponent > 1023 - 126 ? exponent : 1023 - 126) - 23) << 52;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Infinity counts as 2^128 where a number was expected. */
static double distance(float got, double exact)
{
    if (isnan(got) || isnan(exact))
        return isnan(got) && isnan(exact) ? 0 : INFINITY;
    double limit = 0x1p128, x = fmax(fmin(exact, limit), -limit);
    return fabs(fmax(fmin((double)got, limit), -limit) - x) / last_place(fmin(fabs(x), FLT_MAX));
}

enum { CHUNK = 4096 };

typedef struct {
    double distance;
    float x, y;
} worst;

static void scan(sg_map *const *sets, double (*exact)(double), uint64_t stride, worst w[SG_ISAS])
{
    static float x[CHUNK], y[CHUNK];
    static double z[CHUNK];
    for (uint64_t first = 0; first < 1ull << 32;) {
        size_t n = 0;
        for (; n < CHUNK && first < 1ull << 32; n++, first += stride) {
            uint32_t bits = (uint32_t)first;
            memcpy(&x[n], &bits, sizeof bits);
            z[n] = exact((double)x[n]);
        }
        for (int s = 0; s < SG_ISAS; s++) {
            if (!sets[s])
                continue;
            sets[s](n, y, (const void *[]){x}, 0);
            for (size_t i = 0; i < n; i++) {
                double d = distance(y[i], z[i]);
                if (d > w[s].distance)
                    w[s] = (worst){d, x[i], y[i]};
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const char *const names[SG_ISAS] = {"generic", "avx2", "avx512"};
    bool has[SG_ISAS] = {true};
#if SG__X86
    __builtin_cpu_init();
    has[SG_AVX2] = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    has[SG_AVX512] = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    uint64_t stride = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    bool good = true;
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
        if (argc > 2 && strcmp(argv[2], functions[f].name) != 0)
            continue;
        sg_map *sets[SG_ISAS];
        worst w[SG_ISAS] = {{0}};
        for (int s = 0; s < SG_ISAS; s++)
            sets[s] = has[s] ? functions[f].sets[s] : NULL;
        scan(sets, functions[f].exact, stride ? stride : 1, w);
        for (int s = 0; s < SG_ISAS; s++) {
            if (sets[s])
                printf("%-8s %-7s %.3f at %.9g (%a), which gives %.9g\n", functions[f].name,
                       names[s], w[s].distance, (double)w[s].x, (double)w[s].x, (double)w[s].y);
            good = good && w[s].distance <= 2;
        }
        fflush(stdout);
    }
    return good ? 0 : 1;
}
