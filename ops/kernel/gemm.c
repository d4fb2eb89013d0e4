/*
 * Products cut into blocks that fit the caches: rows of A by ROWS (a block of A stays in L2), k by
 * blocks of k, columns of B by panels (one packed panel stays in L1 and L2). What a panel or a
 * strip holds, and who multiplies it, changes no bit: see gemm.h.
 */
#include "ops/kernel/gemm_kernels.h"

#include <string.h>

enum { ROWS = 240 };

typedef struct plan {
    const sg__gemm_kernels *kernels;
    sg__gemm_pack *pack;
    int64_t size;       /* bytes of an element */
    int64_t k_block;
    bool packs_b;
    bool through_tile; /* C's columns are not adjacent: compute beside it, then spread */
    int64_t columns;   /* of B handled at once */
    size_t a_bytes, b_bytes, tile_bytes;
} plan;

static const char *offset(const void *p, int64_t elements, int64_t size)
{
    return (const char *)p + elements * size;
}

static int64_t lesser(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

static size_t rounded(int64_t bytes)
{
    return ((size_t)bytes + 63) / 64 * 64;
}

/* C' = B' A' */
static void swap(sg__gemm_call *p)
{
    const sg__gemm_call q = *p;
    p->m = q.n, p->n = q.m;
    p->a = q.b, p->a_row = q.b_col, p->a_col = q.b_row;
    p->b = q.a, p->b_row = q.a_col, p->b_col = q.a_row;
    p->c_row = q.c_col, p->c_col = q.c_row;
}

bool sg__gemm_has_blis(int isa)
{
#ifdef SG_HAVE_BLIS
    return isa >= 0;
#else
    (void)isa;
    return false;
#endif
}

static const sg__gemm_kernels *own_kernels(int isa, bool wide, sg__gemm_pack **pack)
{
#ifdef SG_X86
    if (isa == SG_AVX512) {
        *pack = sg__gemm_avx512_pack[wide];
        return &sg__gemm_avx512[wide];
    }
    if (isa == SG_AVX2) {
        *pack = sg__gemm_avx2_pack[wide];
        return &sg__gemm_avx2[wide];
    }
#endif
    *pack = sg__gemm_generic_pack[wide];
    return &sg__gemm_generic[wide];
}

static plan make(sg__gemm_call *p)
{
    plan s = {.size = p->dtype == SG_F64 ? 8 : 4};
    s.k_block = SG__GEMM_K_BYTES / s.size;
    if (p->n == 1)
        p->b_col = p->c_col = 1;
    if (p->m == 1)
        p->a_row = 1;
    if (p->c_col != 1 && p->c_row == 1)
        swap(p);
    s.kernels = own_kernels(p->isa, p->dtype == SG_F64, &s.pack);
    s.columns = p->n;
#ifdef SG_HAVE_BLIS
    if (p->supplier == SG__GEMM_BLIS)
        s.kernels = &sg__gemm_blis[p->isa][p->dtype == SG_F64];
#endif
    s.packs_b = p->b_col != 1 || s.kernels->rows;
    s.through_tile = p->c_col != 1;
    const int64_t k = lesser(p->k, s.k_block), m = lesser(p->m, ROWS);
    if (s.packs_b || s.through_tile)
        s.columns = s.kernels->width * (p->m <= 4 ? 4 : 1);
    if (s.packs_b)
        s.b_bytes = rounded(k * s.columns * s.size) + 256;
    if (s.kernels->rows)
        s.a_bytes = rounded((m + s.kernels->rows) * k * s.size) + 256;
    if (s.through_tile)
        s.tile_bytes = rounded(m * s.columns * s.size);
    return s;
}

size_t sg__gemm_scratch(const sg__gemm_call *p)
{
    sg__gemm_call q = *p;
    const plan s = make(&q);
    return s.a_bytes + s.b_bytes + s.tile_bytes;
}

static void pack_strips(const sg__gemm_block *t, int rows, int64_t size, char *out)
{
    for (int64_t i = 0; i < t->m; i += rows)
        for (int64_t p = 0; p < t->k; p++)
            for (int r = 0; r < rows; r++, out += size)
                if (i + r < t->m)
                    memcpy(out, offset(t->a, (i + r) * t->a_row + p * t->a_col, size),
                           (size_t)size);
                else
                    memset(out, 0, (size_t)size);
}

static void spread(const sg__gemm_call *p, const plan *s, int64_t i, int64_t j, int64_t m,
                   int64_t n, bool accumulate, const void *tile)
{
    for (int64_t r = 0; r < m; r++)
        for (int64_t q = 0; q < n; q++) {
            const int64_t at = (i + r) * p->c_row + (j + q) * p->c_col, from = r * s->columns + q;
            if (s->size == 8) {
                double *c = (double *)p->c + at;
                *c = (accumulate ? *c : 0) + ((const double *)tile)[from];
            } else {
                float *c = (float *)p->c + at;
                *c = (accumulate ? *c : 0) + ((const float *)tile)[from];
            }
        }
}

/* Rows [i, i + m) of C, of one block of k that starts at p */
static void rows_by_block(const sg__gemm_call *q, const plan *s, int64_t i, int64_t m, int64_t p,
                          int64_t k)
{
    char *a = q->scratch, *b = a + s->a_bytes, *tile = b + s->b_bytes;
    const bool accumulate = q->accumulate || p > 0;
    sg__gemm_block t = {.m = m, .k = k, .a_row = q->a_row, .a_col = q->a_col};
    t.a = offset(q->a, i * q->a_row + p * q->a_col, s->size);
    if (s->kernels->rows) {
        pack_strips(&t, s->kernels->rows, s->size, a);
        t.a = a;
    }
    for (int64_t j = 0; j < q->n; j += s->columns) {
        t.n = lesser(q->n - j, s->columns);
        t.b = offset(q->b, p * q->b_row + j * q->b_col, s->size);
        t.b_row = q->b_row, t.b_panel = s->kernels->width;
        if (s->packs_b) {
            s->pack(k, t.n, t.b, q->b_row, q->b_col, s->kernels->width, b);
            t.b = b, t.b_row = s->kernels->width, t.b_panel = k * s->kernels->width;
        }
        t.c = s->through_tile ? tile : (char *)q->c + (i * q->c_row + j) * s->size;
        t.c_row = s->through_tile ? s->columns : q->c_row;
        t.accumulate = accumulate && !s->through_tile;
        s->kernels->block(&t);
        if (s->through_tile)
            spread(q, s, i, j, m, t.n, accumulate, tile);
    }
}

static void clear(const sg__gemm_call *p)
{
    const int64_t size = p->dtype == SG_F64 ? 8 : 4;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++)
            memset((char *)p->c + (i * p->c_row + j * p->c_col) * size, 0, (size_t)size);
}

void sg__gemm(const sg__gemm_call *call)
{
    if (call->m <= 0 || call->n <= 0)
        return;
    if (call->k <= 0) {
        if (!call->accumulate)
            clear(call);
        return;
    }
    sg__gemm_call q = *call;
    const plan s = make(&q);
    for (int64_t i = 0; i < q.m; i += ROWS)
        for (int64_t p = 0; p < q.k; p += s.k_block)
            rows_by_block(&q, &s, i, lesser(q.m - i, ROWS), p, lesser(q.k - p, s.k_block));
}
