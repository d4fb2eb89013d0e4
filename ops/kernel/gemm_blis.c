/*
 * BLIS's micro-kernels under our loops. They are taken from libblis.a by name: BLIS's interface
 * allocates, aborts when that fails, picks kernels by CPU family, and its path for small matrices
 * changes bits with m. A micro-kernel is a pure function.
 */
#include "ops/kernel/gemm_kernels.h"

#include <string.h>

#ifdef SG_HAVE_BLIS

/* C[m,n] = beta C + alpha A . B, of packed A and B; c_row and c_col count elements. BLIS 0.9 and
 * later: m and n up to the kernel's size, edges are its own business. These kernels do not look at
 * `next` (where the next tiles are, for prefetching) and `context`. */
typedef void micro_kernel(int64_t m, int64_t n, int64_t k, const void *alpha, const void *a,
                          const void *b, const void *beta, void *c, int64_t c_row, int64_t c_col,
                          void *next, void *context);

micro_kernel bli_sgemm_generic_ref, bli_dgemm_generic_ref;
micro_kernel bli_sgemm_haswell_asm_6x16, bli_dgemm_haswell_asm_6x8;
micro_kernel bli_sgemm_skx_asm_32x12_l2, bli_dgemm_skx_asm_16x14;

static const float f32[2] = {0, 1};
static const double f64[2] = {0, 1};

/* Every panel of B against every strip of A. A kernel of `column` orientation has vectors along its
 * rows: it computes C' = B' A', which is the same sums. */
static inline void block(const sg__gemm_block *t, micro_kernel *kernel, int rows, int width,
                         bool column, size_t size, const char *constants)
{
    const void *one = constants + size, *beta = constants + (t->accumulate ? size : 0);
    unsigned char next[128] = {0};
    for (int64_t j = 0; j < t->n; j += width)
        for (int64_t i = 0; i < t->m; i += rows) {
            const int64_t m = t->m - i < rows ? t->m - i : rows;
            const int64_t n = t->n - j < width ? t->n - j : width;
            const char *a = (const char *)t->a + (size_t)(i * t->k) * size;
            const char *b = (const char *)t->b + (size_t)(j / width * t->b_panel) * size;
            char *c = (char *)t->c + (size_t)(i * t->c_row + j) * size;
            if (column)
                kernel(n, m, t->k, one, b, a, beta, c, 1, t->c_row, next, NULL);
            else
                kernel(m, n, t->k, one, a, b, beta, c, t->c_row, 1, next, NULL);
        }
}

#define BLOCK(name, type, kernel, rows, width, column)                                             \
    static void name(const sg__gemm_block *t)                                                      \
    {                                                                                              \
        block(t, kernel, rows, width, column, sizeof type[0], (const char *)type);                 \
    }

BLOCK(generic_f32, f32, bli_sgemm_generic_ref, 4, 16, false)
BLOCK(generic_f64, f64, bli_dgemm_generic_ref, 4, 8, false)
BLOCK(avx2_f32, f32, bli_sgemm_haswell_asm_6x16, 6, 16, false)
BLOCK(avx2_f64, f64, bli_dgemm_haswell_asm_6x8, 6, 8, false)
BLOCK(avx512_f32, f32, bli_sgemm_skx_asm_32x12_l2, 12, 32, true)
BLOCK(avx512_f64, f64, bli_dgemm_skx_asm_16x14, 14, 16, true)

const sg__gemm_blis *sg__gemm_blis_kernels(int isa, bool wide)
{
    static const sg__gemm_blis kernels[SG_ISAS][2] = {
        [SG_GENERIC] = {{16, 4, generic_f32}, {8, 4, generic_f64}},
        [SG_AVX2] = {{16, 6, avx2_f32}, {8, 6, avx2_f64}},
        [SG_AVX512] = {{32, 12, avx512_f32}, {16, 14, avx512_f64}},
    };
    return &kernels[isa][wide];
}

#else

const sg__gemm_blis *sg__gemm_blis_kernels(int isa, bool wide)
{
    (void)isa, (void)wide;
    return NULL;
}

#endif

void sg__gemm_pack_strips(const sg__gemm_block *t, int strip, size_t size, void *packed)
{
    char *out = packed;
    for (int64_t i = 0; i < t->m; i += strip, out += (size_t)(strip * t->k) * size)
        for (int r = 0; r < strip; r++) {
            /* rows that are missing repeat the last one */
            const int64_t row = i + r < t->m ? i + r : t->m - 1;
            const char *from = (const char *)t->a + row * t->a_row * (int64_t)size;
            const int64_t next = t->a_col * (int64_t)size;
            char *to = out + (size_t)r * size;
            for (int64_t p = 0; p < t->k; p++, from += next, to += (size_t)strip * size)
                if (size == 8)
                    memcpy(to, from, 8);
                else
                    memcpy(to, from, 4);
        }
}
