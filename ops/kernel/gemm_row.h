/*
 * One row of C, with B in place: included by gemm_own.c once per type. Of a B that is used once,
 * time is that of reading it, so some rows of it are read at a time, each from its beginning to its
 * end, as memory likes to be read; sums stay in the first cache.
 */
#ifndef TOGETHER
#define TOGETHER 8 /* rows of B */

#define SUM_ROWS(q, LOAD_B)                                                                        \
    {                                                                                              \
        VECTOR v = p ? LOAD(sum + q) : ZERO();                                                     \
        for (int i = 0; i < rows; i++)                                                             \
            v = MULTIPLY_ADD(x[i], LOAD_B(b + i * b_row + q), v);                                  \
        STORE(sum + q, v);                                                                         \
    }
#define LOAD_LAST(at) LOAD_PART(at, last)
#endif

/* Adds `rows` products of an element of A, from number p on, and a row of B. */
INLINE void OF_TYPE(sum_rows)(const int rows, const sg__gemm_block *t, int64_t p, int64_t j,
                              int64_t whole, PART last, bool rest, REAL *sum)
{
    const int64_t b_row = t->b_row;
    const REAL *b = (const REAL *)t->b + p * b_row + j;
    VECTOR x[TOGETHER];
    for (int i = 0; i < rows; i++)
        x[i] = SPREAD(((const REAL *)t->a)[(p + i) * t->a_col]);
    for (int64_t q = 0; q < whole; q += LANES)
        SUM_ROWS(q, LOAD)
    if (rest)
        SUM_ROWS(whole, LOAD_LAST)
}

static void OF_TYPE(row)(const sg__gemm_block *t)
{
    enum { COLUMNS = 8192 / (int)sizeof(REAL) };
    REAL sum[COLUMNS];
    for (int64_t j = 0; j < t->n; j += COLUMNS) {
        const int64_t n = t->n - j < COLUMNS ? t->n - j : COLUMNS, whole = n / LANES * LANES;
        const PART last = PART_OF((int)(n - whole));
        REAL *c = (REAL *)t->c + j;
        int64_t p = 0;
        for (; p + TOGETHER <= t->k; p += TOGETHER)
            OF_TYPE(sum_rows)(TOGETHER, t, p, j, whole, last, n > whole, sum);
        for (; p < t->k; p++)
            OF_TYPE(sum_rows)(1, t, p, j, whole, last, n > whole, sum);
        for (int64_t q = 0; q < whole; q += LANES)
            STORE(c + q, t->accumulate ? ADD(LOAD(c + q), LOAD(sum + q)) : LOAD(sum + q));
        if (n > whole)
            STORE_PART(c + whole, last,
                       t->accumulate ? ADD(LOAD_PART(c + whole, last), LOAD(sum + whole))
                                     : LOAD(sum + whole));
    }
}
