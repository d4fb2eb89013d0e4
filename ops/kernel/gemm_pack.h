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

static void OF_TYPE(pack)(int64_t k, int64_t n, const void *from, int64_t b_row, int64_t b_col,
                          int width, void *to)
{
    for (int64_t j = 0; j < n; j += LANES) {
        const int columns = n - j < LANES ? (int)(n - j) : LANES;
        const PART part = PART_OF(columns);
        const REAL *b = (const REAL *)from + j * b_col;
        REAL *out = (REAL *)to + j / width * (k * width) + j % width;
        if (b_row == 1 && b_col != 1)
            OF_TYPE(pack_columns)(k, columns, b, b_col, width, out);
        else if (b_col == 1)
            for (int64_t p = 0; p < k; p++)
                STORE(out + p * width, LOAD_PART(b + p * b_row, part));
        else
            for (int64_t p = 0; p < k; p++)
                for (int i = 0; i < LANES; i++)
                    out[p * width + i] = i < columns ? b[p * b_row + i * b_col] : 0;
    }
}
