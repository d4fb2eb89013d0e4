/*
 * Matrix products: C[m,n] = A[m,k] . B[k,n], or C += that. The only way to multiply matrices.
 *
 * Bits: an element of C depends on its row of A, its column of B, the type and the instruction set,
 * and on nothing else: not on m, n, strides, nor on which kernel computes it. Every kernel sums
 * over k in ascending order in one accumulator from 0, fused where the set has FMA, in blocks of
 * SG__GEMM_K_BYTES of k, whose sums are added to C in ascending order. (Of a NaN, only that it is
 * one.) So rows and columns may be given to several calls, on sub-blocks; k never.
 *
 * Never fails and never allocates. Operands may overlap each other, but not C.
 */
#ifndef SG_GEMM_H
#define SG_GEMM_H

#include "core/core.h"

/* A block of k: 512 elements of f32, 256 of f64. */
enum { SG__GEMM_K_BYTES = 2048 };

/* Whose micro-kernels compute. The same bits, so that choosing is a matter of speed alone. */
typedef enum { SG__GEMM_FASTEST, SG__GEMM_OWN, SG__GEMM_BLIS } sg__gemm_supplier;

typedef struct sg__gemm_call {
    sg_dtype dtype;             /* SG_F32 or SG_F64 */
    int isa;                    /* SG_GENERIC, SG_AVX2, SG_AVX512: one this CPU has */
    bool accumulate;            /* C +=; otherwise what is in C is not read */
    sg__gemm_supplier supplier; /* BLIS where there is none means own */
    int64_t m, n, k;            /* k = 0 is a sum of nothing: 0 */
    /* Strides count elements. Those of A and B may be 0 or negative, those of C keep its elements
     * apart. A row or column stride of 1 is fast in A and B; in C, one of the two should be 1. */
    const void *a, *b;
    int64_t a_row, a_col, b_row, b_col;
    int64_t b_panel; /* not 0: B is packed, panels are so many elements apart, rows of one b_row */
    void *c;
    int64_t c_row, c_col;
    void *scratch; /* sg__gemm_scratch bytes, 64-byte aligned; may be NULL when that is 0 */
} sg__gemm_call;

/* Bytes of scratch for this call and for any sub-block of it. Pointers need not be set. */
size_t sg__gemm_scratch(const sg__gemm_call *p);
void sg__gemm(const sg__gemm_call *p);

/* B packed for several products: in panels of so many columns, in each row by row. What is in the
 * place of columns behind the last one changes nothing. */
int64_t sg__gemm_width(sg_dtype dtype, int isa);
/* Whether that is faster for so many products like this one. */
bool sg__gemm_gains(const sg__gemm_call *p, int64_t readers);
/* Where columns of B from j on are; of a packed one, j is the first of a panel */
const void *sg__gemm_columns(const sg__gemm_call *p, int64_t j);
/* Packs panels [from, to) of p's B; of p, nothing of A and C is read. */
void sg__gemm_pack(const sg__gemm_call *p, int64_t from, int64_t to, void *packed);

/* Whether BLIS supplies kernels for this instruction set. */
bool sg__gemm_has_blis(int isa);

#endif
