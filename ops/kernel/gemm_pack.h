/*
 * Packing of B into panels of two vectors: included by gemm_own.c once per type. B is read along
 * the axis that is contiguous in it: rows are copied, columns transposed in registers.
 */
/* n <= LANES columns of k contiguous elements each, into part of a panel */
static void OF_TYPE(pack_columns)(int64_t k, int n, const REAL *b, int64_t b_col, int width,
                                  REAL *out)
{
    const REAL *column[LANES];
    for (int j = 0; j < LANES; j++)
        column[j] = b + (j < n ? j : n - 1) * b_col;
    int64_t p = 0;
#if SG_ISA
    for (; p + GROUP <= k; p += GROUP) {
        VECTOR row[4];
        OF_TYPE(turn)(row, column, p);
        STORE(out + p * width, row[0]);
        STORE(out + (p + 1) * width, row[1]);
        if (GROUP == 2)
            continue;
        STORE(out + (p + 2) * width, row[2]);
        STORE(out + (p + 3) * width, row[3]);
    }
#endif
    for (; p < k; p++)
        for (int j = 0; j < LANES; j++)
            out[p * width + j] = column[j][p];
}

/* Rows, in pieces of a panel's width: where they are far apart, each piece is a miss. */
static void OF_TYPE(pack_rows)(int64_t k, int64_t n, const REAL *b, int64_t b_row, int width,
                               REAL *to)
{
    for (int64_t j = 0; j < n; j += 2 * LANES) {
        const int columns = n - j < 2 * LANES ? (int)(n - j) : 2 * LANES;
        const int more = columns > LANES ? columns - LANES : 0;
        const PART first = PART_OF(columns - more), second = PART_OF(more);
        const REAL *from = b + j;
        REAL *out = to + j / width * (k * width) + j % width;
        for (int64_t p = 0; p < k; p++, from += b_row, out += width) {
            STORE(out, LOAD_PART(from, first));
            if (more)
                STORE(out + LANES, LOAD_PART(from + LANES, second));
        }
    }
}

static void OF_TYPE(pack)(int64_t k, int64_t n, const void *from, int64_t b_row, int64_t b_col,
                          int width, void *to)
{
    if (b_col == 1) {
        OF_TYPE(pack_rows)(k, n, from, b_row, width, to);
        return;
    }
    for (int64_t j = 0; j < n; j += LANES) {
        const int columns = n - j < LANES ? (int)(n - j) : LANES;
        const REAL *b = (const REAL *)from + j * b_col;
        REAL *out = (REAL *)to + j / width * (k * width) + j % width;
        if (b_row == 1)
            OF_TYPE(pack_columns)(k, columns, b, b_col, width, out);
        else
            for (int64_t p = 0; p < k; p++)
                for (int i = 0; i < LANES; i++)
                    out[p * width + i] = i < columns ? b[p * b_row + i * b_col] : 0;
    }
}
