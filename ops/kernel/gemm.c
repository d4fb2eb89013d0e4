/*
 * Products cut into blocks that fit the caches: rows of A by ROWS (a block of A stays in L2), k by
 * blocks of k, columns of B by panels where B is packed. How one is computed is chosen by speed
 * alone: no way changes a bit (see gemm.h).
 *
 * Measured on Zen 5, f32 and f64, AVX2 and AVX-512: our kernels are as fast as BLIS's on large
 * products, and faster on all others, as they have no edges to pad and need not pack. So BLIS's
 * compute only when they are asked for.
 */
#include "ops/kernel/gemm_kernels.h"

#include <string.h>

enum {
    ROWS = 120,
    GROUP = 512,      /* columns of B, packed for all rows where these are more: read from L3, which
                         is soon done, beside what a block of A has to do with them */
    PANELS = 4,       /* of C, computed beside it in one go when they have few rows */
    TURN_A_FROM = 64, /* so many columns of C: a transposed A is turned into rows first, since a
                         tile would read a line for a few elements at each k */
    PACK_NEAR = 3,    /* times as many rows: to pack B if its rows are near each other */
    FEW = 8,          /* rows; with more there is enough to do while B arrives */
    SWAP_FROM = 24,   /* to so many rows, of a transposed B that has more columns: it is read in */
    SWAP_TO = 100,    /* place as C' = B' A', where A is packed, and C' is turned around then, */
    SWAP_SIZE = 1 << 17, /* if it has so few elements */
    CACHE = 1 << 18,     /* bytes of B that stay near */
    LEAST = 4096,        /* elements of B that are worth being packed beforehand */
    PAGE = 4096          /* rows or columns of B so far apart share a place in L1 */
};

typedef struct way {
    const sg__gemm_own *own;
    sg__gemm_kernel *block;
    int width, strip; /* of panels of B; of A, 0 where A is in place */
    int few;          /* columns that leave half a vector empty: C' = B' A' is faster */
    bool packs;       /* B */
    bool turns;
    bool far;
    bool spreads;            /* columns of C are not adjacent: compute beside it */
    int64_t group;           /* columns of B that are packed for all rows of A; 0: for a block */
    int64_t columns;         /* of C, in one go */
    int64_t a_width;         /* from row to row of A turned around; 0 where A is in place */
    size_t size;             /* of an element */
    size_t a_bytes, b_bytes; /* of scratch; behind them is room for a part of C */
} way;

static int64_t lesser(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

static const char *offset(const void *p, int64_t elements, size_t size)
{
    return (const char *)p + elements * (int64_t)size;
}

static size_t aligned(int64_t elements, size_t size)
{
    return ((size_t)elements * size + 63) / 64 * 64;
}

static const sg__gemm_own *own_kernels(int isa, bool wide)
{
#ifdef SG_X86
    if (isa == SG_AVX512)
        return &sg__gemm_avx512[wide];
    if (isa == SG_AVX2)
        return &sg__gemm_avx2[wide];
#endif
    (void)isa;
    return &sg__gemm_generic[wide];
}

bool sg__gemm_has_blis(int isa)
{
    return sg__gemm_blis_kernels(isa, false);
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

/* Exchanges operands where vectors along C's columns would be slow. */
static void orient(sg__gemm_call *p, int few)
{
    if (p->n == 1) /* strides of a single column or row mean nothing */
        p->b_col = p->c_col = 1;
    else if (p->m == 1)
        p->c_row = 0;
    if (p->c_col == 1 ? p->n < p->m && p->n <= few : p->c_row == 1)
        swap(p);
}

static way choose(sg__gemm_call *p)
{
    const bool wide = p->dtype == SG_F64;
    const int64_t size = wide ? 8 : 4, k = lesser(p->k, SG__GEMM_K_BYTES / size);
    way w = {.own = own_kernels(p->isa, wide), .size = (size_t)size};
    const sg__gemm_blis *blis =
        p->supplier == SG__GEMM_BLIS && !p->b_panel ? sg__gemm_blis_kernels(p->isa, wide) : NULL;
    w.few = w.own->width / 4;
    if (!p->b_panel)
        orient(p, w.few);
    if (blis) {
        const int64_t m = lesser(p->m > p->n ? p->m : p->n, ROWS) + blis->strip;
        w.block = blis->block, w.width = blis->width, w.strip = blis->strip;
        w.packs = true;
        w.a_bytes = aligned(k * m, w.size) + SG__GEMM_BEHIND;
    } else {
        const int64_t apart = (p->b_col == 1 ? p->b_row : p->b_col) * size;
        w.turns = p->b_col != 1 && p->b_row == 1 && p->m <= w.own->turn_to &&
                  apart % (p->m == 1 ? PAGE : PAGE / 2) != 0;
        const bool near = apart < PAGE && apart > -PAGE;
        w.packs = p->b_col == 1 ? p->m >= w.own->pack_from * (near ? PACK_NEAR : 1) : !w.turns;
        w.packs = w.packs && !p->b_panel; /* not twice */
        w.block = w.turns ? w.own->turned : w.own->block, w.width = w.own->width;
        if (p->m == 1 && p->b_col == 1 && !p->b_panel && p->n >= 4 * w.width)
            w.block = w.own->row;
        w.far = p->m <= FEW && !w.packs && k * p->n * size > CACHE;
        if (p->a_row == 1 && p->a_col != 1 && p->m > w.few && p->n >= TURN_A_FROM) {
            w.a_width = (k + 2 * w.width - 1) / w.width * w.width; /* not a power of 2 */
            w.a_bytes = aligned(w.a_width * lesser(p->m, ROWS), w.size);
        }
    }
    w.spreads = p->c_col != 1;
    w.columns = p->n;
    if ((w.packs || p->b_panel) && !w.spreads && p->m > ROWS)
        w.columns = w.group = lesser((p->n + w.width - 1) / w.width * w.width, GROUP);
    else if (w.packs || w.spreads)
        w.columns = w.width * (w.packs || p->m > w.few ? 1 : PANELS);
    if (!p->b_panel)
        w.b_bytes = aligned(k * (w.group ? w.group : w.width), w.size) + SG__GEMM_BEHIND;
    return w;
}

/* ---- C' beside C ---------------------------------------------------------------------------- */

/* Whether to pack A is less work than to pack B, and vectors are nearly full. */
static bool swaps(const sg__gemm_call *p)
{
    const sg__gemm_own *own = own_kernels(p->isa, p->dtype == SG_F64);
    const int64_t lanes = own->width / 2;
    const int64_t whole = (p->m + lanes - 1) / lanes * lanes;
    return p->supplier != SG__GEMM_BLIS && !p->accumulate && p->b_row == 1 && p->b_col != 1 &&
           p->a_col == 1 && p->c_col == 1 && p->c_row > 0 && p->c_row <= INT32_MAX &&
           p->m >= SWAP_FROM && p->m > own->turn_to && p->m <= SWAP_TO && p->n >= 2 * p->m &&
           p->m * p->n <= SWAP_SIZE && 8 * whole <= 9 * p->m;
}

/* C' = B' A', contiguous, at p->scratch; the scratch of that product is behind it. */
static sg__gemm_call beside(const sg__gemm_call *p)
{
    sg__gemm_call q = *p;
    swap(&q);
    q.c = p->scratch;
    q.c_row = p->m;
    q.c_col = 1;
    const size_t size = p->dtype == SG_F64 ? 8 : 4;
    q.scratch = p->scratch ? (char *)p->scratch + aligned(p->m * p->n, size) : NULL;
    return q;
}

static size_t scratch_of(const sg__gemm_call *p)
{
    sg__gemm_call q = *p;
    const way w = choose(&q);
    int64_t rows = w.few * PANELS;
    if (p->c_col != 1 && (p->c_row != 1 || p->b_panel) && rows < ROWS)
        rows = ROWS;
    return w.a_bytes + w.b_bytes + aligned(rows * w.width, w.size);
}

/* Enough for whatever is chosen for a part of the call, which has fewer rows or columns. */
size_t sg__gemm_scratch(const sg__gemm_call *p)
{
    if (p->m <= 0 || p->n <= 0 || p->k <= 0)
        return 0;
    const size_t bytes = scratch_of(p);
    if (p->b_row != 1 || p->m < SWAP_FROM || p->n < 2 * SWAP_FROM)
        return bytes; /* no part is swapped */
    sg__gemm_call part = *p;
    part.m = lesser(p->m, SWAP_TO);
    const sg__gemm_call q = beside(&part);
    const size_t most = aligned(lesser(part.m * p->n, SWAP_SIZE), p->dtype == SG_F64 ? 8 : 4);
    const size_t swapped = most + scratch_of(&q);
    return bytes > swapped ? bytes : swapped;
}

/* A part of C, [m,n], from rows of n_tile elements to where it belongs */
static void spread(const sg__gemm_call *p, const sg__gemm_block *t, char *c, bool accumulate)
{
    for (int64_t i = 0; i < t->m; i++)
        for (int64_t j = 0; j < t->n; j++) {
            const int64_t from = i * t->c_row + j, to = i * p->c_row + j * p->c_col;
            if (p->dtype == SG_F64) {
                double *at = (double *)(void *)c + to;
                *at = (accumulate ? *at : 0) + ((const double *)t->c)[from];
            } else {
                float *at = (float *)(void *)c + to;
                *at = (accumulate ? *at : 0) + ((const float *)t->c)[from];
            }
        }
}

const void *sg__gemm_columns(const sg__gemm_call *p, int64_t j)
{
    return offset(p->b, p->b_panel ? j / p->b_row * p->b_panel : j * p->b_col,
                  p->dtype == SG_F64 ? 8 : 4);
}

/* The columns of some rows of C, by one block of k: p says where they start, t->m and t->k end. */
static void by_columns(const sg__gemm_call *p, const way *w, sg__gemm_block *t)
{
    char *packed = (char *)p->scratch + w->a_bytes, *beside = packed + w->b_bytes;
    t->b_row = w->packs ? w->width : p->b_row;
    t->b_panel = w->packs     ? t->k * w->width
                 : w->turns   ? p->b_col
                 : p->b_panel ? p->b_panel
                              : w->width;
    t->c_row = w->spreads ? w->columns : p->c_row;
    t->accumulate = p->accumulate && !w->spreads;
    for (int64_t j = 0; j < p->n; j += w->columns) {
        char *c = (char *)p->c + j * p->c_col * (int64_t)w->size;
        t->n = lesser(p->n - j, w->columns);
        t->b = w->packs ? packed : sg__gemm_columns(p, j);
        t->c = w->spreads ? beside : c;
        if (w->packs && !w->group)
            w->own->pack(t->k, t->n, offset(p->b, j * p->b_col, w->size), p->b_row, p->b_col,
                         w->width, packed);
        w->block(t);
        if (w->spreads)
            spread(p, t, c, p->accumulate);
    }
}

/* One block of k, of the columns of p, in blocks of rows */
static void by_rows(const sg__gemm_call *p, const way *w)
{
    if (w->packs && w->group)
        w->own->pack(p->k, p->n, p->b, p->b_row, p->b_col, w->width,
                     (char *)p->scratch + w->a_bytes);
    for (int64_t i = 0; i < p->m; i += ROWS) {
        sg__gemm_call part = *p;
        part.c = (char *)p->c + i * p->c_row * (int64_t)w->size;
        sg__gemm_block t = {.m = lesser(p->m - i, ROWS), .k = p->k, .far = w->far};
        t.a = offset(p->a, i * p->a_row, w->size);
        t.a_row = p->a_row, t.a_col = p->a_col;
        if (w->strip) {
            sg__gemm_pack_strips(&t, w->strip, w->size, p->scratch);
            t.a = p->scratch;
        } else if (w->a_width) {
            w->own->pack(t.m, t.k, t.a, t.a_row, t.a_col, (int)w->a_width, p->scratch);
            t.a = p->scratch;
            t.a_row = w->a_width, t.a_col = 1;
        }
        by_columns(&part, w, &t);
    }
}

/* C' from there to C */
static void turn_around(const sg__gemm_call *p)
{
    const size_t size = p->dtype == SG_F64 ? 8 : 4;
    const sg__gemm_own *own = own_kernels(p->isa, p->dtype == SG_F64);
    const int64_t lanes = own->width / 2, whole = p->n / lanes * lanes;
    for (int64_t j = 0; j < whole; j += lanes) /* columns of C are rows beside it */
        own->pack(p->m, lanes, offset(p->scratch, j * p->m, size), 1, p->m, (int)p->c_row,
                  (char *)p->c + j * (int64_t)size);
    for (int64_t j = whole; j < p->n; j++)
        for (int64_t i = 0; i < p->m; i++)
            memcpy((char *)p->c + (i * p->c_row + j) * (int64_t)size,
                   offset(p->scratch, j * p->m + i, size), size);
}

/* ---- B packed beforehand ------------------------------------------------------------------- */

int64_t sg__gemm_width(sg_dtype dtype, int isa)
{
    return own_kernels(isa, dtype == SG_F64)->width;
}

/* To pack takes about as long as one or two products of few rows, and then saves a third of each
 * where B is transposed or its rows share places in L1. What would pack it itself saves just that.
 * Where nobody packs again, it is at least as fast for all but one row of a B that lies in rows. */
bool sg__gemm_gains(const sg__gemm_call *p, int64_t readers)
{
    sg__gemm_call q = *p;
    const way w = choose(&q);
    if (p->c_col != 1 || p->n < 2 * w.width || p->k * p->n < LEAST || (p->m == 1 && p->b_col == 1))
        return false;
    if (readers == SG_EVER)
        return true;
    if (w.packs)
        return !swaps(p) && readers >= 2;
    return readers >= 4 && (p->b_col != 1 || p->b_row * (int64_t)w.size % (PAGE / 2) == 0);
}

void sg__gemm_pack(const sg__gemm_call *p, int64_t from, int64_t to, void *packed)
{
    const bool wide = p->dtype == SG_F64;
    const sg__gemm_own *own = own_kernels(p->isa, wide);
    const size_t size = wide ? 8 : 4;
    const int64_t j = from * own->width, n = lesser(to * own->width, p->n) - j;
    own->pack(p->k, n, offset(p->b, j * p->b_col, size), p->b_row, p->b_col, own->width,
              (char *)packed + j * p->k * (int64_t)size);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void clear(const sg__gemm_call *p)
{
    const size_t size = p->dtype == SG_F64 ? 8 : 4;
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++)
            memset((char *)p->c + (i * p->c_row + j * p->c_col) * (int64_t)size, 0, size);
}

void sg__gemm(const sg__gemm_call *call)
{
    if (call->m <= 0 || call->n <= 0)
        return;
    if (call->k > 0 && swaps(call)) {
        const sg__gemm_call q = beside(call);
        sg__gemm(&q);
        turn_around(call);
        return;
    }
    if (call->k <= 0) {
        if (!call->accumulate)
            clear(call);
        return;
    }
    sg__gemm_call all = *call;
    const way w = choose(&all);
    const int64_t k_block = SG__GEMM_K_BYTES / (int64_t)w.size;
    const int64_t group = w.group ? w.group : all.n;
    for (int64_t j = 0; j < all.n; j += group)
        for (int64_t k = 0; k < all.k; k += k_block) {
            sg__gemm_call part = all;
            part.n = lesser(all.n - j, group), part.k = lesser(all.k - k, k_block);
            part.a = offset(all.a, k * all.a_col, w.size);
            part.b = offset(sg__gemm_columns(&all, j), k * all.b_row, w.size);
            part.c = (char *)all.c + j * all.c_col * (int64_t)w.size;
            part.accumulate = all.accumulate || k > 0;
            by_rows(&part, &w);
        }
}
