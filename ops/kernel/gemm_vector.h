/*
 * The vectors of gemm_own.c by instruction set: of REAL, whose intrinsics end in SUFFIX (ps, pd). A
 * part says which elements of a vector exist, the first so many: the others are neither read nor
 * written in memory, and 0 in registers.
 *
 * EACH_ROW: a tile of C has at most so many rows of two vectors; their sums, two vectors of B and
 * an element of A are what the registers hold. EACH_WIDE: tiles of few rows are wider, or too few
 * sums would be under way at once; (i, w) is i + 1 rows of 2^w vectors.
 */
#define VECTOR OF_TYPE(vector)
#define PART   OF_TYPE(part)

#if SG_ISA == 2

#include <immintrin.h>
#define SET sg__gemm_avx512
enum { BYTES = 64, ROWS = 12, TURN_TO = 48, PACK_FROM = 24 };
#define EACH_ROW(F)  F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define EACH_WIDE(F) F(0, 2) F(1, 2) F(2, 2) F(3, 2) F(0, 3) F(1, 3)
typedef __m512 vector_ps;
typedef __m512d vector_pd;
typedef __mmask16 part_ps;
typedef __mmask8 part_pd;
#define ISA(name)              _mm512_##name
#define OP_(name, suffix)      _mm512_##name##_##suffix
#define PART_OF(n)             ((PART)((1u << (n)) - 1))
#define LOAD_PART(p, part)     OP(maskz_loadu)(part, p)
#define STORE_PART(p, part, v) OP(mask_storeu)(p, part, v)

#elif SG_ISA == 1

#include <immintrin.h>
#define SET                    sg__gemm_avx2
enum { BYTES = 32, ROWS = 6, TURN_TO = 4, PACK_FROM = 32 };
#define EACH_ROW(F)            F(0) F(1) F(2) F(3) F(4) F(5)
#define EACH_WIDE(F)           F(0, 2) F(1, 2) F(0, 3)
typedef __m256 vector_ps;
typedef __m256d vector_pd;
typedef __m256i part_ps;
typedef __m256i part_pd;
static const int32_t part_bits[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
#define ISA(name)              _mm256_##name
#define OP_(name, suffix)      _mm256_##name##_##suffix
#define PART_OF(n)             _mm256_loadu_si256((const void *)(part_bits + 8 - (n) * (int)sizeof(REAL) / 4))
#define LOAD_PART(p, part)     OP(maskload)(p, part)
#define STORE_PART(p, part, v) OP(maskstore)(p, part, v)

#else

#define SET                    sg__gemm_generic
enum { BYTES = 16, ROWS = 4, TURN_TO = 0, PACK_FROM = 32 };
#define turned_ps              NULL
#define turned_pd              NULL
#define EACH_ROW(F)            F(0) F(1) F(2) F(3)
#define EACH_WIDE(F)           F(0, 2) F(1, 2) F(0, 3)
typedef float vector_ps __attribute__((vector_size(16)));
typedef double vector_pd __attribute__((vector_size(16)));
typedef int part_ps;
typedef int part_pd;
#define PART_OF(n)             (n)
#define LOAD(p)                OF_TYPE(load)(p)
#define LOAD_PART(p, part)     OF_TYPE(load_part)(p, part)
#define STORE(p, v)            OF_TYPE(store)(p, LANES, v)
#define STORE_PART(p, part, v) OF_TYPE(store)(p, part, v)

INLINE vector_ps load_ps(const float *p)
{
    return (vector_ps){p[0], p[1], p[2], p[3]};
}

INLINE vector_pd load_pd(const double *p)
{
    return (vector_pd){p[0], p[1]};
}

INLINE vector_ps load_part_ps(const float *p, int n)
{
    return (vector_ps){p[0], n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0};
}

INLINE vector_pd load_part_pd(const double *p, int n)
{
    return (vector_pd){p[0], n > 1 ? p[1] : 0};
}

INLINE void store_ps(float *p, int n, vector_ps v)
{
    for (int i = 0; i < 4; i++)
        if (i < n)
            p[i] = v[i];
}

INLINE void store_pd(double *p, int n, vector_pd v)
{
    for (int i = 0; i < 2; i++)
        if (i < n)
            p[i] = v[i];
}

#define ZERO()                 ((VECTOR){0})
#define SPREAD(x)              ((x) - (VECTOR){0}) /* of -0 too */
#define ADD(x, y)              ((x) + (y))
#define MULTIPLY_ADD(x, y, z)  ((x) * (y) + (z))

#endif

#if SG_ISA

#define OP__(name, suffix)    OP_(name, suffix)
#define OP(name)              OP__(name, SUFFIX)
#define LOAD(p)               OP(loadu)(p)
#define STORE(p, v)           OP(storeu)(p, v)
#define ZERO()                OP(setzero)()
#define SPREAD(x)             OP(set1)(x)
#define ADD(x, y)             OP(add)(x, y)
#define MULTIPLY_ADD(x, y, z) OP(fmadd)(x, y, z)

/* Vectors whose 16-byte lanes come from every 4th (2nd) of some columns, from element p of each */
#if SG_ISA == 2
INLINE vector_ps lanes_ps(const float *const *column, int64_t p)
{
    vector_ps v = _mm512_castps128_ps512(_mm_loadu_ps(column[0] + p));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(column[4] + p), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(column[8] + p), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(column[12] + p), 3);
}

INLINE vector_pd lanes_pd(const double *const *column, int64_t p)
{
    vector_pd v = _mm512_castpd128_pd512(_mm_loadu_pd(column[0] + p));
    v = _mm512_insertf64x2(v, _mm_loadu_pd(column[2] + p), 1);
    v = _mm512_insertf64x2(v, _mm_loadu_pd(column[4] + p), 2);
    return _mm512_insertf64x2(v, _mm_loadu_pd(column[6] + p), 3);
}
#else
INLINE vector_ps lanes_ps(const float *const *column, int64_t p)
{
    const vector_ps v = _mm256_castps128_ps256(_mm_loadu_ps(column[0] + p));
    return _mm256_insertf128_ps(v, _mm_loadu_ps(column[4] + p), 1);
}

INLINE vector_pd lanes_pd(const double *const *column, int64_t p)
{
    const vector_pd v = _mm256_castpd128_pd256(_mm_loadu_pd(column[0] + p));
    return _mm256_insertf128_pd(v, _mm_loadu_pd(column[2] + p), 1);
}
#endif

/* Elements p, p + 1, … of as many columns as a vector has elements: 4 of f32, 2 of f64 */
INLINE void turn_ps(vector_ps *row, const float *const *column, int64_t p)
{
    const vector_ps a = lanes_ps(column, p), b = lanes_ps(column + 1, p);
    const vector_ps c = lanes_ps(column + 2, p), d = lanes_ps(column + 3, p);
    const vector_pd ab = ISA(castps_pd)(ISA(unpacklo_ps)(a, b));
    const vector_pd cd = ISA(castps_pd)(ISA(unpacklo_ps)(c, d));
    const vector_pd ef = ISA(castps_pd)(ISA(unpackhi_ps)(a, b));
    const vector_pd gh = ISA(castps_pd)(ISA(unpackhi_ps)(c, d));
    row[0] = ISA(castpd_ps)(ISA(unpacklo_pd)(ab, cd));
    row[1] = ISA(castpd_ps)(ISA(unpackhi_pd)(ab, cd));
    row[2] = ISA(castpd_ps)(ISA(unpacklo_pd)(ef, gh));
    row[3] = ISA(castpd_ps)(ISA(unpackhi_pd)(ef, gh));
}

INLINE void turn_pd(vector_pd *row, const double *const *column, int64_t p)
{
    const vector_pd a = lanes_pd(column, p), b = lanes_pd(column + 1, p);
    row[0] = ISA(unpacklo_pd)(a, b);
    row[1] = ISA(unpackhi_pd)(a, b);
}

#endif
