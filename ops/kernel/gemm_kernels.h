/*
 * What a supplier of gemm kernels provides, by type and instruction set. gemm.c cuts a product into
 * blocks that fit the caches and packs what must be packed; a supplier computes one block.
 */
#ifndef SG_GEMM_KERNELS_H
#define SG_GEMM_KERNELS_H

#include "ops/kernel/gemm.h"

/* One block of a product, 0 < k <= a block of k. B's columns come in panels of the kernels' width;
 * rows of a panel are b_row apart, panels b_panel: packed B has b_row = width, b_panel = k * width,
 * B in place has the reverse. Columns of C are 1 apart. */
typedef struct sg__gemm_block {
    int64_t m, n, k;
    const void *a, *b;
    int64_t a_row, a_col;
    int64_t b_row, b_panel;
    void *c;
    int64_t c_row;
    bool accumulate;
    bool far; /* few rows are multiplied by a B that no near cache holds */
} sg__gemm_block;

typedef void sg__gemm_kernel(const sg__gemm_block *t);

/* Ours read A in place, by any strides. */
typedef struct sg__gemm_own {
    int width;
    int turn_to;   /* so many rows of A; for more it is faster to pack B than to turn it */
    int pack_from; /* so many rows; for fewer it is faster to read far rows of B than to pack */
    sg__gemm_kernel *block;
    sg__gemm_kernel *row;    /* m is 1, B in place */
    sg__gemm_kernel *turned; /* B in place, transposed: its columns are contiguous, b_panel apart */
    /* Packs columns [0, n) of k rows of B into panels of that width, a multiple of ours. Missing
     * columns hold anything. */
    void (*pack)(int64_t k, int64_t n, const void *b, int64_t b_row, int64_t b_col, int width,
                 void *packed);
} sg__gemm_own;
extern const sg__gemm_own sg__gemm_generic[2], sg__gemm_avx2[2], sg__gemm_avx512[2]; /* f32, f64 */

/* BLIS's want A packed too, in strips of so many rows, one after the other: element (i, p) of a
 * strip is at p * strip + i. They read up to SG__GEMM_BEHIND bytes behind what is packed. */
typedef struct sg__gemm_blis {
    int width, strip;
    sg__gemm_kernel *block;
} sg__gemm_blis;
enum { SG__GEMM_BEHIND = 256 };
const sg__gemm_blis *sg__gemm_blis_kernels(int isa, bool wide); /* NULL: built without BLIS */
void sg__gemm_pack_strips(const sg__gemm_block *t, int strip, size_t size, void *packed);

#endif
