/*
 * Packing of B into panels of two vectors: included by gemm_own.c once per type. B is read along
 * the axis that is contiguous in it: rows are copied, columns transposed in registers.
 */
#if SG_ISA
#ifndef GROUP
#define GROUP (16 / (int)sizeof(REAL))
#endif

/* The second step of transposing: v[0], v[GROUP], … hold lanes that belong to rows 0, GROUP, … */
INLINE void OF_TYPE(write_lanes)(const VECTOR *v, int64_t next, REAL *out)
{
    next *= GROUP;
#if SG_ISA == 2
    const VECTOR ab = OF_TYPE(cross)(v[0], v[GROUP], 0x44);
    const VECTOR cd = OF_TYPE(cross)(v[2 * GROUP], v[3 * GROUP], 0x44);
    const VECTOR ef = OF_TYPE(cross)(v[0], v[GROUP], 0xee);
    const VECTOR gh = OF_TYPE(cross)(v[2 * GROUP], v[3 * GROUP], 0xee);
    STORE(out, OF_TYPE(cross)(ab, cd, 0x88));
    STORE(out + next, OF_TYPE(cross)(ab, cd, 0xdd));
    STORE(out + 2 * next, OF_TYPE(cross)(ef, gh, 0x88));
    STORE(out + 3 * next, OF_TYPE(cross)(ef, gh, 0xdd));
#else
    STORE(out, OP(permute2f128)(v[0], v[GROUP], 0x20));
    STORE(out + next, OP(permute2f128)(v[0], v[GROUP], 0x31));
#endif
}

/* LANES elements of each of LANES columns, from element `at`, to rows that are `next` apart */
INLINE void OF_TYPE(transpose)(const REAL *const *column, int64_t at, int64_t next, REAL *out)
{
    VECTOR v[LANES];
    OF_TYPE(read_lanes)(v, column, at);
    OF_TYPE(read_lanes)(v + GROUP, column + GROUP, at);
#if SG_ISA == 2
    OF_TYPE(read_lanes)(v + 2 * GROUP, column + 2 * GROUP, at);
    OF_TYPE(read_lanes)(v + 3 * GROUP, column + 3 * GROUP, at);
#endif
    OF_TYPE(write_lanes)(v, next, out);
    OF_TYPE(write_lanes)(v + 1, next, out + next);
    if (GROUP == 4) {
        OF_TYPE(write_lanes)(v + GROUP - 2, next, out + 2 * next);
        OF_TYPE(write_lanes)(v + GROUP - 1, next, out + 3 * next);
    }
}
#endif

/* n <= LANES columns of k contiguous elements each, into part of a panel */
static void OF_TYPE(pack_columns)(int64_t k, int n, const REAL *b, int64_t b_col, int width,
                                  REAL *out)
{
    const REAL *column[LANES];
    for (int j = 0; j < LANES; j++)
        column[j] = b + (j < n ? j : n - 1) * b_col;
    int64_t p = 0;
#if SG_ISA
    for (; p + LANES <= k; p += LANES)
        OF_TYPE(transpose)(column, p, width, out + p * width);
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
        const REAL *b = (const REAL *)from + j * b_col;
        REAL *out = (REAL *)to + j / width * (k * width) + j % width;
        if (b_row == 1 && b_col != 1) {
            OF_TYPE(pack_columns)(k, columns, b, b_col, width, out);
            continue;
        }
        for (int64_t p = 0; p < k; p++, b += b_row, out += width)
            if (columns == LANES && b_col == 1)
                STORE(out, LOAD(b));
            else
                for (int i = 0; i < LANES; i++)
                    out[i] = i < columns ? b[i * b_col] : 0;
    }
}
