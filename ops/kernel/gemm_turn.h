/*
 * Products of few rows with a B whose columns are contiguous (a transposed matrix): included by
 * gemm_own.c once per type. B is transposed in registers and used at once, for each tile again: for
 * few rows that is cheaper than to pack it.
 */
#if SG_ISA
#ifndef GROUP
#define GROUP (16 / (int)sizeof(REAL))

#define TURN_CLEAR(i)                                                                              \
    if (i < rows)                                                                                  \
        sum[i][0] = sum[i][1] = ZERO();
#define TURN_MULTIPLY(i)                                                                           \
    if (i < rows) {                                                                                \
        const VECTOR x = SPREAD(a[i * a_row]);                                                     \
        sum[i][0] = MULTIPLY_ADD(x, y0, sum[i][0]);                                                \
        sum[i][1] = MULTIPLY_ADD(x, y1, sum[i][1]);                                                \
    }
#define TURN_WRITE(i)                                                                              \
    if (i < rows) {                                                                                \
        OF_TYPE(turn_write)(c + i * t->c_row, n, t->accumulate, sum[i][0]);                        \
        OF_TYPE(turn_write)(c + i * t->c_row + LANES, n - LANES, t->accumulate, sum[i][1]);        \
    }
#define TURN(i)                                                                                    \
    static void OF_TYPE(turn_##i)(const sg__gemm_block *t, const REAL *const *column,              \
                                  const REAL *a, REAL *c, int64_t n)                               \
    {                                                                                              \
        OF_TYPE(turn_rows)((i) + 1, t, column, a, c, n);                                           \
    }
#define TURN_ENTRY(i) OF_TYPE(turn_##i),
#endif

INLINE void OF_TYPE(turn_write)(REAL *c, int64_t n, bool accumulate, VECTOR v)
{
    const PART part = PART_OF(n >= LANES ? LANES : n > 0 ? (int)n : 0);
    STORE_PART(c, part, accumulate ? ADD(LOAD_PART(c, part), v) : v);
}

INLINE void OF_TYPE(turn_step)(const int rows, VECTOR sum[][2], const REAL *a, int64_t a_row,
                               VECTOR y0, VECTOR y1){EACH_ROW(TURN_MULTIPLY)}

INLINE void OF_TYPE(turn_rows)(const int rows, const sg__gemm_block *t, const REAL *const *column,
                               const REAL *a, REAL *c, int64_t n)
{
    const int64_t a_row = t->a_row, a_col = t->a_col;
    VECTOR sum[ROWS][2];
    int64_t p = 0;
    EACH_ROW(TURN_CLEAR)
    for (; p + GROUP <= t->k; p += GROUP, a += GROUP * a_col) {
        VECTOR y[4], z[4];
        OF_TYPE(turn)(y, column, p);
        OF_TYPE(turn)(z, column + LANES, p);
        OF_TYPE(turn_step)(rows, sum, a, a_row, y[0], z[0]);
        OF_TYPE(turn_step)(rows, sum, a + a_col, a_row, y[1], z[1]);
        if (GROUP == 4) {
            OF_TYPE(turn_step)(rows, sum, a + 2 * a_col, a_row, y[2], z[2]);
            OF_TYPE(turn_step)(rows, sum, a + 3 * a_col, a_row, y[3], z[3]);
        }
    }
    for (; p < t->k; p++, a += a_col) {
        REAL y[2 * LANES];
        for (int j = 0; j < 2 * LANES; j++)
            y[j] = column[j][p];
        OF_TYPE(turn_step)(rows, sum, a, a_row, LOAD(y), LOAD(y + LANES));
    }
    EACH_ROW(TURN_WRITE)
}

EACH_ROW(TURN)

/* A block like that of gemm_tile.h, with rows of B 1 apart and columns b_panel. */
static void OF_TYPE(turned)(const sg__gemm_block *t)
{
    static void (*const turns[ROWS])(const sg__gemm_block *, const REAL *const *, const REAL *,
                                     REAL *, int64_t) = {EACH_ROW(TURN_ENTRY)};
    const int64_t runs = (t->m + ROWS - 1) / ROWS;
    for (int64_t j = 0; j < t->n; j += 2 * LANES) {
        const REAL *column[2 * LANES];
        for (int i = 0; i < 2 * LANES; i++)
            column[i] = (const REAL *)t->b + (j + i < t->n ? j + i : t->n - 1) * t->b_panel;
        const REAL *a = t->a;
        REAL *c = (REAL *)t->c + j;
        for (int64_t i = 0; i < runs; i++) {
            const int64_t r = t->m / runs + (i < t->m % runs);
            turns[r - 1](t, column, a, c, t->n - j);
            a += r * t->a_row;
            c += r * t->c_row;
        }
    }
}
#endif
