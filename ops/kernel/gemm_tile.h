/*
 * Tiles of C and blocks made of them: included by gemm_own.c once per type.
 *
 * A tile's sums stay in registers over all of the block's k. Loops over rows and vectors are
 * written out by macros: not every compiler unrolls them, and then the sums would be in memory.
 */
#ifndef LANES
#define LANES             (BYTES / (int)sizeof(REAL))
#define AHEAD             4 /* rows of B: where they are far apart, no processor guesses the next */

#define EACH_VECTOR(F, i) F(i, 0) F(i, 1) F(i, 2) F(i, 3) F(i, 4) F(i, 5) F(i, 6) F(i, 7)
#define CLEAR(i, v)                                                                                \
    if (v < vectors)                                                                               \
        sum[i][v] = ZERO();
#define CLEAR_ROW(i)                                                                               \
    if (i < rows) {                                                                                \
        EACH_VECTOR(CLEAR, i)                                                                      \
    }
#define READ(i, v)                                                                                 \
    if (v < vectors) {                                                                             \
        const REAL *at = b + v / 2 * b_panel + v % 2 * LANES;                                      \
        y[v] = full || v < vectors - 1 ? LOAD(at) : LOAD_PART(at, part);                           \
    }
#define FETCH(i, v)                                                                                \
    if (v < vectors && v * BYTES % 64 == 0)                                                        \
        __builtin_prefetch(b + v / 2 * b_panel + v % 2 * LANES + ahead);
#define FETCH_SUM(i, v)                                                                            \
    if (v < vectors && v * BYTES % 64 == 0)                                                        \
        __builtin_prefetch(c + i * c_row + v * LANES, 1);
#define FETCH_SUMS(i)                                                                              \
    if (i < rows) {                                                                                \
        EACH_VECTOR(FETCH_SUM, i)                                                                  \
    }
#define MULTIPLY(i, v)                                                                             \
    if (v < vectors)                                                                               \
        sum[i][v] = MULTIPLY_ADD(x, y[v], sum[i][v]);
#define MULTIPLY_ROW(i)                                                                            \
    if (i < rows) {                                                                                \
        VECTOR x = SPREAD(a[i * a_row]);                                                           \
        EACH_VECTOR(MULTIPLY, i)                                                                   \
    }
#define WRITE(i, v)                                                                                \
    if (v < vectors) {                                                                             \
        REAL *at = c + i * c_row + v * LANES;                                                      \
        if (full || v < vectors - 1)                                                               \
            STORE(at, accumulate ? ADD(LOAD(at), sum[i][v]) : sum[i][v]);                          \
        else                                                                                       \
            STORE_PART(at, part, accumulate ? ADD(LOAD_PART(at, part), sum[i][v]) : sum[i][v]);    \
    }
#define WRITE_ROW(i)                                                                               \
    if (i < rows) {                                                                                \
        EACH_VECTOR(WRITE, i)                                                                      \
    }

/* A function for each size of tile. */
#define TILE(i, w)                                                                                 \
    static void OF_TYPE(tile_##i##_##w)(const sg__gemm_block *t, const REAL *a, const REAL *b,     \
                                        REAL *c, int last)                                         \
    {                                                                                              \
        if (last == LANES)                                                                         \
            OF_TYPE(tile)((i) + 1, 1 << (w), true, t, a, b, c, PART_OF(LANES));                    \
        else                                                                                       \
            OF_TYPE(tile)((i) + 1, 1 << (w), false, t, a, b, c, PART_OF(last));                    \
    }
#define TILES(i)    TILE(i, 0) TILE(i, 1)
#define ENTRY(i, w) [i][w] = OF_TYPE(tile_##i##_##w),
#define ENTRIES(i)  ENTRY(i, 0) ENTRY(i, 1)
#endif

/* C[rows, vectors] (+)= A[rows, k] . B[k, vectors], the last vector full or a part */
INLINE void OF_TYPE(tile)(const int rows, const int vectors, const bool full,
                          const sg__gemm_block *t, const REAL *a, const REAL *b, REAL *c, PART part)
{
    const int64_t a_row = t->a_row, a_col = t->a_col, b_row = t->b_row, b_panel = t->b_panel;
    const int64_t c_row = t->c_row;
    const bool accumulate = t->accumulate;
    /* far: the same rows of the next panel, since this one's are over soon */
    const int64_t ahead = t->far ? (vectors + 1) / 2 * b_panel : AHEAD * b_row;
    VECTOR sum[ROWS][8], y[8];
    (void)b_panel, (void)part; /* not every tile needs them */
    EACH_ROW(CLEAR_ROW)
    EACH_ROW(FETCH_SUMS) /* C is written when they are there */
    for (int64_t p = t->k; p > 0; p--) {
        EACH_VECTOR(FETCH, 0)
        EACH_VECTOR(READ, 0)
        EACH_ROW(MULTIPLY_ROW)
        a += a_col;
        b += b_row;
    }
    EACH_ROW(WRITE_ROW)
}

EACH_ROW(TILES)
EACH_WIDE(TILE)

static void OF_TYPE(block)(const sg__gemm_block *t)
{
    static void (*const tiles[ROWS][4])(const sg__gemm_block *, const REAL *, const REAL *, REAL *,
                                        int) = {EACH_ROW(ENTRIES) EACH_WIDE(ENTRY)};
    const int64_t runs = (t->m + ROWS - 1) / ROWS; /* of rows, as even as they can be */
    const int64_t rows = t->m / runs, longer = t->m % runs;
    int widest = 3;
    while (!tiles[rows + (longer > 0) - 1][widest])
        widest--;
    for (int64_t j = 0; j < t->n;) {
        const int64_t left = (t->n - j + LANES - 1) / LANES;
        int w = widest;
        while (1 << w > left)
            w--;
        const int64_t columns = (int64_t)LANES << w;
        const int last = j + columns <= t->n ? LANES : (int)((t->n - j - 1) % LANES + 1);
        const REAL *a = t->a, *b = (const REAL *)t->b + j / (2 * LANES) * t->b_panel;
        REAL *c = (REAL *)t->c + j;
        for (int64_t i = 0; i < runs; i++) {
            const int64_t r = rows + (i < longer);
            tiles[r - 1][w](t, a, b, c, last);
            a += r * t->a_row;
            c += r * t->c_row;
        }
        j += columns;
    }
}
