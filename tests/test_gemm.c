/*
 * gemm against its definition, bit for bit: a plain loop that sums over k in ascending order, fused
 * on the sets that have FMA, by blocks of k. Every kernel, stride and cut must give these bits.
 */
#include "core/internal.h"
#include "ops/kernel/gemm.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { MARGIN = 64, SIZE = 1 << 20 };
static const unsigned char mark = 0xa5;

/* ---- the definition ------------------------------------------------------------------------ */

#define DEFINE(name, real, fused)                                                                  \
    static void name(const sg__gemm_call *p, real *c)                                              \
    {                                                                                              \
        const real *a = p->a, *b = p->b;                                                           \
        const int64_t block = SG__GEMM_K_BYTES / (int)sizeof(real);                                \
        for (int64_t i = 0; i < p->m; i++)                                                         \
            for (int64_t j = 0; j < p->n; j++) {                                                   \
                real *out = c + i * p->c_row + j * p->c_col;                                       \
                if (!p->accumulate && p->k == 0)                                                   \
                    *out = 0;                                                                      \
                for (int64_t from = 0; from < p->k; from += block) {                               \
                    real sum = 0;                                                                  \
                    for (int64_t q = from; q < p->k && q < from + block; q++) {                    \
                        const real x = a[i * p->a_row + q * p->a_col];                             \
                        const real y = b[q * p->b_row + j * p->b_col];                             \
                        sum = p->isa == SG_GENERIC ? x * y + sum : fused(x, y, sum);               \
                    }                                                                              \
                    *out = from == 0 && !p->accumulate ? sum : *out + sum;                         \
                }                                                                                  \
            }                                                                                      \
    }
DEFINE(define_f32, float, fmaf)
DEFINE(define_f64, double, fma)

/* ---- operands ------------------------------------------------------------------------------ */

static uint64_t state = 1;

static double number(void) /* in [-1, 1), with rounding errors in any order of summation */
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 11) * 0x1p-52 - 1;
}

static void *array(sg_dtype dtype, int64_t n)
{
    const size_t size = dtype == SG_F64 ? 8 : 4;
    void *p = malloc((size_t)n * size + 1);
    cr_assert(p);
    for (int64_t i = 0; i < n; i++)
        if (dtype == SG_F64)
            ((double *)p)[i] = number();
        else
            ((float *)p)[i] = (float)number();
    return p;
}

/* How a matrix of [rows, cols] lies in memory */
typedef enum { ROWS, COLUMNS, PADDED, SPACED, FLIPPED, ONE_ROW, ONE_COLUMN, ONE, LAYOUTS } layout;
static const char *const layout_names[LAYOUTS] = {"rows",    "columns", "padded",     "spaced",
                                                  "flipped", "one row", "one column", "one"};

typedef struct matrix {
    void *memory;
    char *data;
    int64_t row, col, elements;
} matrix;

static matrix make(sg_dtype dtype, layout l, int64_t rows, int64_t cols)
{
    const int64_t size = dtype == SG_F64 ? 8 : 4;
    int64_t start = 0;
    matrix x = {.row = cols, .col = 1, .elements = rows * cols};
    switch (l) {
    case COLUMNS:
        x.row = 1, x.col = rows;
        break;
    case PADDED:
        x.row = cols + 3, x.elements = rows * (cols + 3);
        break;
    case SPACED:
        x.row = 2 * cols + 1, x.col = 2, x.elements = rows * (2 * cols + 1);
        break;
    case FLIPPED:
        x.row = -cols, x.col = -1, start = rows * cols - 1;
        break;
    case ONE_ROW:
        x.row = 0, x.elements = cols;
        break;
    case ONE_COLUMN:
        x.row = 1, x.col = 0, x.elements = rows;
        break;
    case ONE:
        x.row = x.col = 0, x.elements = 1;
        break;
    case ROWS:
    case LAYOUTS:
        break;
    }
    x.memory = array(dtype, x.elements);
    x.data = (char *)x.memory + (x.elements && start > 0 ? start * size : 0);
    return x;
}

/* ---- comparing ----------------------------------------------------------------------------- */

static void *scratch_memory(void)
{
    static char *p;
    if (!p)
        p = aligned_alloc(64, SIZE + MARGIN);
    cr_assert(p);
    return p;
}

/* Runs the call with scratch of just the size it asks for. */
static void run(sg__gemm_call *p)
{
    const size_t bytes = sg__gemm_scratch(p);
    cr_assert(bytes <= SIZE, "%zu bytes of scratch", bytes);
    char *s = scratch_memory();
    memset(s, 0xff, bytes); /* NaN */
    memset(s + bytes, mark, MARGIN);
    p->scratch = bytes ? s : NULL;
    sg__gemm(p);
    for (int i = 0; i < MARGIN; i++)
        cr_assert((unsigned char)s[bytes + (size_t)i] == mark, "scratch of %zu bytes exceeded",
                  bytes);
}

static const char *describe(const sg__gemm_call *p, layout a, layout b, layout c)
{
    static char s[256];
    snprintf(s, sizeof s, "%s %s %s m %d n %d k %d A %s B %s C %s%s", sg__isa_name(p->isa),
             p->supplier == SG__GEMM_BLIS ? "blis" : "own", sg_dtype_name(p->dtype), (int)p->m,
             (int)p->n, (int)p->k, layout_names[a], layout_names[b], layout_names[c],
             p->accumulate ? " accumulate" : "");
    return s;
}

/* The same with B packed beforehand, in two parts. */
static void run_packed(const sg__gemm_call *p)
{
    const int64_t width = sg__gemm_width(p->dtype, p->isa), panels = (p->n + width - 1) / width;
    sg__gemm_call q = *p;
    q.b_row = width, q.b_col = 1, q.b_panel = p->k * width;
    void *packed = array(p->dtype, panels * q.b_panel);
    q.b = packed;
    sg__gemm_pack(p, 0, panels / 2, packed);
    sg__gemm_pack(p, panels / 2, panels, packed);
    run(&q);
    free(packed);
}

/* The call, its layouts and its definition agree, and nothing beside C is written. */
static void check(sg__gemm_call *p, layout la, layout lb, layout lc)
{
    const size_t size = p->dtype == SG_F64 ? 8 : 4;
    const matrix a = make(p->dtype, la, p->m, p->k), b = make(p->dtype, lb, p->k, p->n);
    const matrix c = make(p->dtype, lc, p->m, p->n);
    const size_t bytes = (size_t)c.elements * size;
    const bool packable = p->supplier == SG__GEMM_OWN && p->k > 0;
    char *expected = malloc(bytes + 1), *before = packable ? malloc(bytes + 1) : NULL;
    cr_assert(expected && (before || !packable));
    if (bytes)
        memcpy(expected, c.memory, bytes);
    p->a = a.data, p->a_row = a.row, p->a_col = a.col;
    p->b = b.data, p->b_row = b.row, p->b_col = b.col;
    p->c = c.data, p->c_row = c.row, p->c_col = c.col;
    if (p->dtype == SG_F64)
        define_f64(p, (double *)(void *)(expected + (c.data - (char *)c.memory)));
    else
        define_f32(p, (float *)(void *)(expected + (c.data - (char *)c.memory)));
    if (before)
        memcpy(before, c.memory, bytes);
    run(p);
    cr_assert(memcmp(expected, c.memory, bytes) == 0, "%s", describe(p, la, lb, lc));
    if (before) {
        memcpy(c.memory, before, bytes);
        run_packed(p);
        cr_assert(memcmp(expected, c.memory, bytes) == 0, "packed: %s", describe(p, la, lb, lc));
    }
    free(a.memory), free(b.memory), free(c.memory), free(expected), free(before);
}

/* Does something with every instruction set, supplier and type there is. */
static void everywhere(void (*f)(sg__gemm_call *p))
{
    for (int isa = 0; isa <= sg__isa_best(); isa++)
        for (int blis = 0; blis <= sg__gemm_has_blis(isa); blis++)
            for (int wide = 0; wide < 2; wide++) {
                sg__gemm_call p = {.dtype = wide ? SG_F64 : SG_F32, .isa = isa};
                p.supplier = blis ? SG__GEMM_BLIS : SG__GEMM_OWN;
                f(&p);
            }
}

/* ---- cases --------------------------------------------------------------------------------- */

static void small_shapes(sg__gemm_call *p)
{
    static const int sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 25, 31, 33, 50};
    enum { N = sizeof sizes / sizeof *sizes };
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            for (int q = 0; q < N; q += 3) {
                p->m = sizes[i], p->n = sizes[j], p->k = sizes[(q + i + j) % N];
                p->accumulate = (i + j + q) % 2;
                check(p, (i + q) % 2 ? ROWS : COLUMNS, (j + q) % 3 ? ROWS : COLUMNS, ROWS);
            }
}

Test(gemm, every_small_shape)
{
    everywhere(small_shapes);
}

static void blocks(sg__gemm_call *p)
{
    static const int shapes[][3] = {{1, 70, 511},   {3, 40, 512},    {2, 300, 513}, {13, 33, 1025},
                                    {300, 5, 700},  {250, 130, 257}, {241, 1, 300}, {5, 1, 1100},
                                    {1, 200, 1030}, {1, 2110, 19},   {64, 65, 64},  {480, 17, 256},
                                    {37, 3, 600},   {48, 100, 64},   {32, 203, 530}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int transposed = 0; transposed < 4; transposed++) {
            p->m = shapes[i][0], p->n = shapes[i][1], p->k = shapes[i][2];
            p->accumulate = (i + (size_t)transposed) % 2;
            check(p, transposed & 1 ? COLUMNS : ROWS, transposed & 2 ? COLUMNS : ROWS, ROWS);
        }
}

Test(gemm, shapes_of_several_blocks)
{
    everywhere(blocks);
}

static void layouts(sg__gemm_call *p)
{
    static const int shapes[][3] = {{3, 5, 4}, {14, 37, 19}, {1, 40, 9}, {40, 1, 9}, {50, 2, 530}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int a = 0; a < LAYOUTS; a++)
            for (int b = 0; b < LAYOUTS; b++)
                for (int c = ROWS; c <= SPACED; c++) {
                    p->m = shapes[i][0], p->n = shapes[i][1], p->k = shapes[i][2];
                    p->accumulate = (a + b + c) % 2;
                    check(p, (layout)a, (layout)b, (layout)c);
                }
}

Test(gemm, operands_of_any_strides)
{
    everywhere(layouts);
}

static void empty(sg__gemm_call *p)
{
    for (int i = 0; i < 16; i++) {
        p->m = i & 1 ? 3 : 0, p->n = i & 2 ? 5 : 0, p->k = i & 4 ? 7 : 0;
        p->accumulate = i & 8;
        check(p, ROWS, ROWS, i & 1 ? ROWS : COLUMNS);
    }
}

Test(gemm, a_sum_of_nothing_is_zero)
{
    everywhere(empty);
}

/* An element does not depend on what else is computed with it. */
static void cuts(sg__gemm_call *p)
{
    enum { M = 64, N = 131, K = 530 }; /* as a whole, and in parts, C' = B' A' beside C */
    const size_t size = p->dtype == SG_F64 ? 8 : 4;
    for (int transposed = 0; transposed < 2; transposed++) {
        const matrix a = make(p->dtype, ROWS, M, K);
        const matrix b = make(p->dtype, transposed ? COLUMNS : ROWS, K, N);
        const matrix whole = make(p->dtype, ROWS, M, N), part = make(p->dtype, ROWS, M, N);
        sg__gemm_call q = *p;
        q.m = M, q.n = N, q.k = K;
        q.a = a.data, q.a_row = a.row, q.a_col = a.col;
        q.b = b.data, q.b_row = b.row, q.b_col = b.col;
        q.c = whole.data, q.c_row = whole.row, q.c_col = whole.col;
        run(&q);
        const size_t enough = sg__gemm_scratch(&q);
        for (int rows = 1; rows <= M; rows += 1 + rows / 3)
            for (int columns = 1; columns <= N; columns += 7 + columns / 2) {
                memset(part.data, 0, M * N * size);
                for (int i = 0; i < M; i += rows)
                    for (int j = 0; j < N; j += columns) {
                        sg__gemm_call s = q;
                        s.m = i + rows < M ? rows : M - i, s.n = j + columns < N ? columns : N - j;
                        s.a = a.data + (size_t)(i * a.row) * size;
                        s.b = b.data + (size_t)(j * b.col) * size;
                        s.c = part.data + (size_t)(i * N + j) * size;
                        cr_assert(sg__gemm_scratch(&s) <= enough, "scratch of a part: %d x %d",
                                  (int)s.m, (int)s.n);
                        run(&s);
                    }
                cr_assert(memcmp(whole.data, part.data, M * N * size) == 0,
                          "in parts of %d x %d: %s", rows, columns,
                          describe(&q, ROWS, transposed ? COLUMNS : ROWS, ROWS));
            }
        free(a.memory), free(b.memory), free(whole.memory), free(part.memory);
    }
}

Test(gemm, parts_give_the_bits_of_the_whole)
{
    everywhere(cuts);
}

/* NaN and infinity stay in their rows and columns; 0 times infinity is not skipped; what was in C
 * does not matter when it is overwritten. */
static void not_finite(sg__gemm_call *p)
{
    enum { M = 15, N = 37, K = 20 };
    double a[M * K], b[K * N], c[M * N];
    float a4[M * K], b4[K * N], c4[M * N];
    for (int i = 0; i < M * K; i++)
        a[i] = i / K == 3 && i % K == 5 ? NAN : i / K == 7 ? 0 : 1;
    for (int i = 0; i < K * N; i++)
        b[i] = i / N == 2 && i % N == 36 ? INFINITY : 1;
    for (int i = 0; i < M * N; i++)
        c[i] = NAN, c4[i] = NAN;
    for (int i = 0; i < M * K; i++)
        a4[i] = (float)a[i];
    for (int i = 0; i < K * N; i++)
        b4[i] = (float)b[i];
    p->m = M, p->n = N, p->k = K, p->accumulate = false;
    p->a_row = K, p->b_row = p->c_row = N, p->a_col = p->b_col = p->c_col = 1;
    p->a = p->dtype == SG_F64 ? (void *)a : a4;
    p->b = p->dtype == SG_F64 ? (void *)b : b4;
    p->c = p->dtype == SG_F64 ? (void *)c : c4;
    run(p);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            const double got = p->dtype == SG_F64 ? c[i * N + j] : c4[i * N + j];
            const bool nan = i == 3 || (i == 7 && j == 36);
            const double expected = i == 7 ? 0 : j == 36 ? INFINITY : K;
            cr_assert(nan ? isnan(got) : got == expected, "[%d,%d] is %g: %s", i, j, got,
                      describe(p, ROWS, ROWS, ROWS));
        }
}

Test(gemm, not_finite_numbers_stay_where_they_belong)
{
    everywhere(not_finite);
}
