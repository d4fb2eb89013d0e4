/*
 * Vectors of the instruction set that a kernel is compiled for.
 *
 * A source file with kernels is compiled once for each set, with SG_ISA 0 (any CPU), 1 (AVX2 and
 * FMA) or 2 (AVX-512 F, DQ, BW, VL); the build turns the set on for that object alone. Arithmetic
 * is written with the compilers' vector extension (x + y, x * 2.0f), the rest with the functions
 * below, for f32 and f64 alike:
 *
 *     v_load_f32(p)  v_load_part_f32(p, n)  v_store_f32(p, x)  v_store_part_f32(p, x, n)
 *     v_splat_f32(1)  v_splat(x, 1)  v_fma(x, y, z)  v_sqrt(x)  v_abs(x)  v_copysign(x, y)
 *     v_max(x, y)  v_min(x, y)  v_less(x, y)  v_same(x, y)  v_select(mask, x, y)
 *
 * Invariant: the bits of an element's result do not depend on where it stands. So there is no
 * scalar tail; a part of n < lanes elements goes through the same instructions, loaded and stored
 * by a mask, other lanes 0. Products are contracted nowhere but in v_fma, which rounds once with
 * AVX2 and AVX-512 and twice in the generic set. Pointers need no alignment.
 */
#ifndef SG_VECTOR_H
#define SG_VECTOR_H

#include "core/core.h"

#include <math.h>
#include <string.h>

#ifndef SG_ISA
#error "SG_ISA is the instruction set that this file is compiled for: 0, 1 or 2"
#elif SG_ISA == 2 && !(defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) &&   \
                       defined(__AVX512VL__))
#error "SG_ISA is 2 without -mavx512f -mavx512dq -mavx512bw -mavx512vl"
#elif SG_ISA == 1 && !(defined(__AVX2__) && defined(__FMA__))
#error "SG_ISA is 1 without -mavx2 -mfma"
#elif SG_ISA > 0
#include <immintrin.h>
#endif

typedef float f32;
typedef double f64;
typedef int32_t i32;
typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

/* The same in an operand's memory, whatever its alignment and whatever was stored there before. */
typedef f32 f32_at __attribute__((may_alias, aligned(1)));
typedef f64 f64_at __attribute__((may_alias, aligned(1)));
typedef i32 i32_at __attribute__((may_alias, aligned(1)));
typedef u8 u8_at __attribute__((may_alias, aligned(1)));
typedef u32 u32_at __attribute__((may_alias, aligned(1)));
typedef u64 u64_at __attribute__((may_alias, aligned(1)));

#if SG_ISA == 2
enum { SG_VECTOR = 64 }; /* bytes */
#elif SG_ISA == 1
enum { SG_VECTOR = 32 };
#else
enum { SG_VECTOR = 16 };
#endif

typedef f32 v_f32 __attribute__((vector_size(SG_VECTOR)));
typedef f64 v_f64 __attribute__((vector_size(SG_VECTOR)));
typedef i32 v_i32 __attribute__((vector_size(SG_VECTOR)));
typedef int64_t v_i64 __attribute__((vector_size(SG_VECTOR)));
typedef u32 v_u32 __attribute__((vector_size(SG_VECTOR)));
typedef u64 v_u64 __attribute__((vector_size(SG_VECTOR)));

/* Whole vectors; the same in every set. */
#define SG__MOVES(T)                                                                               \
    static inline v_##T v_load_##T(const void *p)                                                  \
    {                                                                                              \
        v_##T x;                                                                                   \
        memcpy(&x, p, sizeof x);                                                                   \
        return x;                                                                                  \
    }                                                                                              \
    static inline void v_store_##T(void *p, v_##T x)                                               \
    {                                                                                              \
        memcpy(p, &x, sizeof x);                                                                   \
    }
SG__MOVES(f32)
SG__MOVES(f64)

/* ---- what differs by set ------------------------------------------------------------------- */

/* m_f32 and m_f64 are masks: what comparisons give and v_select takes. v_max(x, y) is
 * x > y ? x : y, and v_min alike: the second operand where one is NaN. v_bytes reads as many bytes
 * as there are elements, as numbers. */

#if SG_ISA == 2

typedef __mmask16 m_f32;
typedef __mmask8 m_f64;

#define SG__PRIMITIVES(T, suffix)                                                                  \
    static inline m_##T first_##T(size_t n)                                                        \
    {                                                                                              \
        return (m_##T)((1u << n) - 1);                                                             \
    }                                                                                              \
    static inline v_##T v_load_part_##T(const void *p, size_t n)                                   \
    {                                                                                              \
        return _mm512_maskz_loadu_##suffix(first_##T(n), p);                                       \
    }                                                                                              \
    static inline void v_store_part_##T(void *p, v_##T x, size_t n)                                \
    {                                                                                              \
        _mm512_mask_storeu_##suffix(p, first_##T(n), x);                                           \
    }                                                                                              \
    static inline v_##T v_splat_##T(T x)                                                           \
    {                                                                                              \
        return _mm512_set1_##suffix(x);                                                            \
    }                                                                                              \
    static inline v_##T v_fma_##T(v_##T x, v_##T y, v_##T z)                                       \
    {                                                                                              \
        return _mm512_fmadd_##suffix(x, y, z);                                                     \
    }                                                                                              \
    static inline v_##T v_sqrt_##T(v_##T x)                                                        \
    {                                                                                              \
        return _mm512_sqrt_##suffix(x);                                                            \
    }                                                                                              \
    static inline v_##T v_max_##T(v_##T x, v_##T y)                                                \
    {                                                                                              \
        return _mm512_max_##suffix(x, y);                                                          \
    }                                                                                              \
    static inline v_##T v_min_##T(v_##T x, v_##T y)                                                \
    {                                                                                              \
        return _mm512_min_##suffix(x, y);                                                          \
    }                                                                                              \
    static inline m_##T v_less_##T(v_##T x, v_##T y)                                               \
    {                                                                                              \
        return _mm512_cmp_##suffix##_mask(x, y, _CMP_LT_OQ);                                       \
    }                                                                                              \
    static inline m_##T v_same_##T(v_##T x, v_##T y)                                               \
    {                                                                                              \
        return _mm512_cmp_##suffix##_mask(x, y, _CMP_EQ_OQ);                                       \
    }                                                                                              \
    static inline v_##T v_select_##T(m_##T m, v_##T x, v_##T y)                                    \
    {                                                                                              \
        return _mm512_mask_blend_##suffix(m, y, x);                                                \
    }
SG__PRIMITIVES(f32, ps)
SG__PRIMITIVES(f64, pd)

static inline v_f32 v_bytes_f32(const u8 *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline v_f64 v_bytes_f64(const u8 *p)
{
    return _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

#elif SG_ISA == 1

typedef v_i32 m_f32;
typedef v_i64 m_f64;

static inline __m256i first_f32(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline __m256i first_f64(size_t n)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)n), _mm256_setr_epi64x(0, 1, 2, 3));
}

#define SG__PRIMITIVES(T, suffix)                                                                  \
    static inline v_##T v_load_part_##T(const void *p, size_t n)                                   \
    {                                                                                              \
        return _mm256_maskload_##suffix(p, first_##T(n));                                          \
    }                                                                                              \
    static inline void v_store_part_##T(void *p, v_##T x, size_t n)                                \
    {                                                                                              \
        _mm256_maskstore_##suffix(p, first_##T(n), x);                                             \
    }                                                                                              \
    static inline v_##T v_splat_##T(T x)                                                           \
    {                                                                                              \
        return _mm256_set1_##suffix(x);                                                            \
    }                                                                                              \
    static inline v_##T v_fma_##T(v_##T x, v_##T y, v_##T z)                                       \
    {                                                                                              \
        return _mm256_fmadd_##suffix(x, y, z);                                                     \
    }                                                                                              \
    static inline v_##T v_sqrt_##T(v_##T x)                                                        \
    {                                                                                              \
        return _mm256_sqrt_##suffix(x);                                                            \
    }                                                                                              \
    static inline v_##T v_max_##T(v_##T x, v_##T y)                                                \
    {                                                                                              \
        return _mm256_max_##suffix(x, y);                                                          \
    }                                                                                              \
    static inline v_##T v_min_##T(v_##T x, v_##T y)                                                \
    {                                                                                              \
        return _mm256_min_##suffix(x, y);                                                          \
    }                                                                                              \
    static inline m_##T v_less_##T(v_##T x, v_##T y)                                               \
    {                                                                                              \
        return (m_##T)_mm256_cmp_##suffix(x, y, _CMP_LT_OQ);                                       \
    }                                                                                              \
    static inline m_##T v_same_##T(v_##T x, v_##T y)                                               \
    {                                                                                              \
        return (m_##T)_mm256_cmp_##suffix(x, y, _CMP_EQ_OQ);                                       \
    }                                                                                              \
    static inline v_##T v_select_##T(m_##T m, v_##T x, v_##T y)                                    \
    {                                                                                              \
        return _mm256_blendv_##suffix(y, x, (v_##T)m);                                             \
    }
SG__PRIMITIVES(f32, ps)
SG__PRIMITIVES(f64, pd)

static inline v_f32 v_bytes_f32(const u8 *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
static inline v_f64 v_bytes_f64(const u8 *p)
{
    int four;
    memcpy(&four, p, sizeof four);
    return _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)));
}

#else

typedef v_i32 m_f32;
typedef v_i64 m_f64;

#define SG__PRIMITIVES(T, m_bits, root)                                                            \
    static inline v_##T v_load_part_##T(const void *p, size_t n)                                   \
    {                                                                                              \
        v_##T x = {0};                                                                             \
        memcpy(&x, p, n * sizeof(T));                                                              \
        return x;                                                                                  \
    }                                                                                              \
    static inline void v_store_part_##T(void *p, v_##T x, size_t n)                                \
    {                                                                                              \
        memcpy(p, &x, n * sizeof(T));                                                              \
    }                                                                                              \
    static inline v_##T v_splat_##T(T x)                                                           \
    {                                                                                              \
        v_##T v;                                                                                   \
        for (size_t i = 0; i < sizeof v / sizeof x; i++)                                           \
            v[i] = x;                                                                              \
        return v;                                                                                  \
    }                                                                                              \
    static inline v_##T v_fma_##T(v_##T x, v_##T y, v_##T z)                                       \
    {                                                                                              \
        return x * y + z;                                                                          \
    }                                                                                              \
    static inline v_##T v_sqrt_##T(v_##T x)                                                        \
    {                                                                                              \
        for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)                                        \
            x[i] = root(x[i]);                                                                     \
        return x;                                                                                  \
    }                                                                                              \
    static inline m_##T v_less_##T(v_##T x, v_##T y)                                               \
    {                                                                                              \
        return (m_##T)(x < y);                                                                     \
    }                                                                                              \
    static inline m_##T v_same_##T(v_##T x, v_##T y)                                               \
    {                                                                                              \
        return (m_##T)(x == y);                                                                    \
    }                                                                                              \
    static inline v_##T v_select_##T(m_##T m, v_##T x, v_##T y)                                    \
    {                                                                                              \
        return (v_##T)((m & (m_bits)x) | (~m & (m_bits)y));                                        \
    }                                                                                              \
    static inline v_##T v_max_##T(v_##T x, v_##T y)                                                \
    {                                                                                              \
        return v_select_##T(v_less_##T(y, x), x, y);                                               \
    }                                                                                              \
    static inline v_##T v_min_##T(v_##T x, v_##T y)                                                \
    {                                                                                              \
        return v_select_##T(v_less_##T(x, y), x, y);                                               \
    }                                                                                              \
    static inline v_##T v_bytes_##T(const u8 *p)                                                   \
    {                                                                                              \
        v_##T v;                                                                                   \
        for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)                                        \
            v[i] = (T)p[i];                                                                        \
        return v;                                                                                  \
    }
SG__PRIMITIVES(f32, v_i32, sqrtf)
SG__PRIMITIVES(f64, v_i64, sqrt)

#endif

/* ---- what follows for all sets ------------------------------------------------------------- */

static inline v_f32 v_abs_f32(v_f32 x)
{
    return (v_f32)((v_u32)x & 0x7fffffffu);
}
static inline v_f64 v_abs_f64(v_f64 x)
{
    return (v_f64)((v_u64)x & 0x7fffffffffffffffu);
}

/* 2^n for integral n in [-126, 127]: n + 127 ends in the low bits of the sum's significand. */
static inline v_f32 v_power_of_two(v_f32 n)
{
    return (v_f32)((v_u32)(n + (0x1.8p23f + 127)) << 23);
}

/* x 2^n for integral n in [-252, 254]; the result may be infinite or subnormal. */
static inline v_f32 v_scale(v_f32 x, v_f32 n)
{
#if SG_ISA == 2
    return _mm512_scalef_ps(x, n);
#else
    v_f32 half = (n * 0.5f + 0x1.8p23f) - 0x1.8p23f;
    return x * v_power_of_two(half) * v_power_of_two(n - half);
#endif
}

/* |x| with the sign of y */
static inline v_f32 v_copysign_f32(v_f32 x, v_f32 y)
{
    return (v_f32)(((v_u32)x & 0x7fffffffu) | ((v_u32)y & 0x80000000u));
}
static inline v_f64 v_copysign_f64(v_f64 x, v_f64 y)
{
    return (v_f64)(((v_u64)x & 0x7fffffffffffffffu) | ((v_u64)y & 0x8000000000000000u));
}

#define SG__TYPED(f, x)   _Generic((x), v_f32 : f##_f32, v_f64 : f##_f64)
#define v_splat(x, c)     SG__TYPED(v_splat, x)(c) /* of x's type */
#define v_fma(x, y, z)    SG__TYPED(v_fma, x)(x, y, z)
#define v_sqrt(x)         SG__TYPED(v_sqrt, x)(x)
#define v_abs(x)          SG__TYPED(v_abs, x)(x)
#define v_copysign(x, y)  SG__TYPED(v_copysign, x)(x, y)
#define v_max(x, y)       SG__TYPED(v_max, x)(x, y)
#define v_min(x, y)       SG__TYPED(v_min, x)(x, y)
#define v_less(x, y)      SG__TYPED(v_less, x)(x, y)
#define v_same(x, y)      SG__TYPED(v_same, x)(x, y)
#define v_select(m, x, y) SG__TYPED(v_select, x)(m, x, y)

#endif
