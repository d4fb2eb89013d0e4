/* This file is compiled once for each instruction set, with SG_ISA 0 (any CPU), 1 (AVX2) or 2
 * (AVX-512); the tables below once. The loops are plain C that compilers vectorize. */
#include "core/sum.h"

#include <string.h>

#define PASTE_(a, b) a##_##b
#define PASTE(a, b)  PASTE_(a, b)
#define NAME(f)      PASTE(f, SG_ISA)

#define KERNELS(T, A, tag)                                                                         \
    sg_map NAME(sg__add_##tag);                                                                    \
    void NAME(sg__add_##tag)(size_t n, void *out, const void *const *in, unsigned single)          \
    {                                                                                              \
        T *o = out;                                                                                \
        const T *x = in[0], *y = in[1];                                                            \
        if (single & 1)                                                                            \
            for (size_t i = 0, s = n; i < s; i++)                                                  \
                o[i] = (T)((A)x[0] + (A)y[single & 2 ? 0 : i]);                                    \
        else if (single & 2)                                                                       \
            for (size_t i = 0; i < n; i++)                                                         \
                o[i] = (T)((A)x[i] + (A)y[0]);                                                     \
        else                                                                                       \
            for (size_t i = 0; i < n; i++)                                                         \
                o[i] = (T)((A)x[i] + (A)y[i]);                                                     \
    }                                                                                              \
    /* Elements `first` and following of a row */                                                  \
    static inline void NAME(lanes_##tag)(int64_t n, A * lane, const T *x, int64_t first)           \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i < n && (first + i) % 16; i++)                                                     \
            lane[(first + i) % 16] += (A)x[i];                                                     \
        for (; i + 16 <= n; i += 16)                                                               \
            for (int l = 0; l < 16; l++)                                                           \
                lane[l] += (A)x[i + l];                                                            \
        for (int l = 0; i + l < n; l++)                                                            \
            lane[(first + i + l) % 16] += (A)x[i + l];                                             \
    }                                                                                              \
    static inline void NAME(fold_##tag)(void *total, A *lane)                                      \
    {                                                                                              \
        for (int half = 8; half; half /= 2)                                                        \
            for (int l = 0; l < half; l++)                                                         \
                lane[l] += lane[l + half];                                                         \
        *(T *)total = (T)((A) * (T *)total + lane[0]);                                             \
    }                                                                                              \
    sg__sum_row NAME(sg__sum_##tag);                                                               \
    void NAME(sg__sum_##tag)(int64_t n, void *total, const void *x)                                \
    {                                                                                              \
        A lane[16] = {0};                                                                          \
        NAME(lanes_##tag)(n, lane, x, 0);                                                          \
        NAME(fold_##tag)(total, lane);                                                             \
    }                                                                                              \
    sg__sum_some NAME(sg__sum_some_##tag);                                                         \
    void NAME(sg__sum_some_##tag)(int64_t rows, int64_t n, int64_t count, const int32_t *at,       \
                                  bool others, void *total, const void *in)                        \
    {                                                                                              \
        const T *x = in;                                                                           \
        A lane[16] = {0};                                                                          \
        int64_t k = 0;                                                                             \
        for (int64_t r = 0; r < rows; r++) {                                                       \
            if (!others)                                                                           \
                r = k < count ? at[k] : rows;                                                      \
            bool own = k < count && at[k] == r;                                                    \
            if (r < rows)                                                                          \
                NAME(lanes_##tag)(n, lane, x + (own ? k : count) * n, r * n);                      \
            k += own;                                                                              \
        }                                                                                          \
        NAME(fold_##tag)(total, lane);                                                             \
    }                                                                                              \
    sg_reduction NAME(sg__fold_##tag);                                                             \
    void NAME(sg__fold_##tag)(size_t n, void *out, const void *x, void *state)                     \
    {                                                                                              \
        A lane[16];                                                                                \
        T total = 0;                                                                               \
        memcpy(lane, state, sizeof lane);                                                          \
        NAME(lanes_##tag)((int64_t)n, lane, x, 0);                                                 \
        if (out) {                                                                                 \
            NAME(fold_##tag)(&total, lane);                                                        \
            memcpy(out, &total, sizeof total);                                                     \
            memset(lane, 0, sizeof lane);                                                          \
        }                                                                                          \
        memcpy(state, lane, sizeof lane);                                                          \
    }

KERNELS(float, float, f32)
KERNELS(double, double, f64)
KERNELS(int32_t, uint32_t, i32) /* wraps around */

#if SG_ISA == 0

#ifdef SG_X86
#define SETS(f)                                                                                    \
    {                                                                                              \
        f##_0, f##_1, f##_2                                                                        \
    }
#define DECLARE(type, f) extern type f##_1, f##_2;
#else
#define SETS(f)                                                                                    \
    {                                                                                              \
        f##_0, 0, 0                                                                                \
    }
#define DECLARE(type, f)
#endif

DECLARE(sg_map, sg__add_f32)
DECLARE(sg_map, sg__add_f64)
DECLARE(sg_map, sg__add_i32)
DECLARE(sg__sum_row, sg__sum_f32)
DECLARE(sg__sum_row, sg__sum_f64)
DECLARE(sg__sum_row, sg__sum_i32)
DECLARE(sg__sum_some, sg__sum_some_f32)
DECLARE(sg__sum_some, sg__sum_some_f64)
DECLARE(sg__sum_some, sg__sum_some_i32)
DECLARE(sg_reduction, sg__fold_f32)
DECLARE(sg_reduction, sg__fold_f64)
DECLARE(sg_reduction, sg__fold_i32)

sg_map *const sg__add_map[SG_DTYPES][SG_ISAS] = {
    [SG_F32] = SETS(sg__add_f32), [SG_F64] = SETS(sg__add_f64), [SG_I32] = SETS(sg__add_i32)};

sg__sum_row *const sg__sum_rows[SG_DTYPES][SG_ISAS] = {
    [SG_F32] = SETS(sg__sum_f32), [SG_F64] = SETS(sg__sum_f64), [SG_I32] = SETS(sg__sum_i32)};

sg__sum_some *const sg__sum_somes[SG_DTYPES][SG_ISAS] = {[SG_F32] = SETS(sg__sum_some_f32),
                                                         [SG_F64] = SETS(sg__sum_some_f64),
                                                         [SG_I32] = SETS(sg__sum_some_i32)};

sg_reduction *const sg__sum_folds[SG_DTYPES][SG_ISAS] = {
    [SG_F32] = SETS(sg__fold_f32), [SG_F64] = SETS(sg__fold_f64), [SG_I32] = SETS(sg__fold_i32)};

#endif
