/* What ops cost by element: a time for each, on arrays that fit in L2 and on arrays that do not. */
#include "tests/bench/micro.h"

#include <stdlib.h>

/* Operands of all ops: floats in (0, 1) as [rows, COLUMNS], and a row of them; indices. */
enum { COLUMNS = 512, SMALL = 128, LARGE = 8192 };

typedef struct operands {
    sg_tensor *x, *y, *row; /* [rows, C], [rows, C], [C] */
    sg_tensor *where;       /* u8 [rows, C] */
    sg_tensor *index;       /* i32 [rows], below COLUMNS and below rows */
    int64_t rows;
} operands;

typedef struct op {
    const char *name;
    sg_tensor *(*record)(const operands *o);
    double bytes;  /* read and written for an element of x */
    bool backward; /* the gradient by x, and by the row; the op itself is not measured */
} op;

#define UNARY(name)                                                                                \
    static sg_tensor *op_##name(const operands *o)                                                 \
    {                                                                                              \
        return sg_##name(o->x);                                                                    \
    }
#define BINARY(name)                                                                               \
    static sg_tensor *op_##name(const operands *o)                                                 \
    {                                                                                              \
        return sg_##name(o->x, o->y);                                                              \
    }
#define OP(name, ...)                                                                              \
    static sg_tensor *op_##name(const operands *o)                                                 \
    {                                                                                              \
        return __VA_ARGS__;                                                                        \
    }
#define ALL_UNARY(X)                                                                               \
    X(neg)                                                                                         \
    X(abs)                                                                                         \
    X(sign)                                                                                        \
    X(square)                                                                                      \
    X(relu)                                                                                        \
    X(sqrt)                                                                                        \
    X(rsqrt)                                                                                       \
    X(exp)                                                                                         \
    X(expm1) X(log) X(log1p) X(tanh) X(sigmoid) X(erf) X(gelu) X(softplus) X(silu) X(sin) X(cos)
#define ALL_BINARY(X) X(add) X(sub) X(mul) X(div) X(pow) X(maximum) X(minimum)
ALL_UNARY(UNARY)
ALL_BINARY(BINARY)

OP(less, sg_less(o->x, o->y))
OP(where, sg_where(o->where, o->x, o->y))
OP(add_row, sg_add(o->x, o->row))
OP(add_scalar, sg_add(o->x, sg_like(o->x, 2)))
OP(to_f64, sg_cast(o->x, SG_F64))
OP(to_i32, sg_cast(o->x, SG_I32))
OP(uniform, sg_random_uniform(sg_context_of(o->x), SG_F32, sg_shape_of(o->x)))
OP(bernoulli, sg_random_bernoulli(sg_context_of(o->x), sg_shape_of(o->x), 0.5))

OP(sum_all, sg_sum(o->x, SG_ALL_AXES, false))
OP(sum_rows, sg_sum(o->x, 0, false))
OP(sum_columns, sg_sum(o->x, 1, false))
OP(max_columns, sg_max(o->x, 1, false))
OP(argmax, sg_argmax(o->x, 1, false))
OP(logsumexp, sg_logsumexp(o->x, 1, false))
OP(cumsum, sg_cumsum(o->x, 1))

OP(softmax, sg_softmax(o->x, NULL))
OP(softmax_mask, sg_softmax(o->x, o->where))
OP(log_softmax, sg_log_softmax(o->x))
OP(cross_entropy, sg_cross_entropy(o->x, o->index))
OP(layer_norm, sg_layer_norm(o->x, o->row, o->row, 1e-5))

OP(take, sg_take(o->x, o->index))
OP(scatter_add, sg_scatter_add(o->x, o->index, o->rows))
OP(transpose, sg_reshape(sg_transpose(o->x, 0, 1), SG_SHAPE(-1)))
OP(concat, sg_concat(1, o->x, o->y))
OP(pad, sg_pad(o->x, 1, 1, 1, 0))
OP(reverse, sg_flip(o->x, 1))
OP(one_hot, sg_one_hot(o->index, COLUMNS, SG_F32))
OP(topk5, sg_topk(o->x, 1, 5, NULL))
OP(sort, sg_sort(o->x, 1, false))

#define ROW_UNARY(name)  {#name, op_##name, 8},
#define ROW_BINARY(name) {#name, op_##name, 12},
static const op ops[] = {
    ALL_UNARY(ROW_UNARY) ALL_BINARY(ROW_BINARY){"less", op_less, 9},
    {"where", op_where, 13},
    {"add a row", op_add_row, 8},
    {"add a scalar", op_add_scalar, 8},
    {"cast to f64", op_to_f64, 12},
    {"cast to i32", op_to_i32, 8},
    {"random uniform", op_uniform, 4},
    {"random bernoulli", op_bernoulli, 1},
    {"sum of all", op_sum_all, 4},
    {"sum over rows", op_sum_rows, 4},
    {"sum over columns", op_sum_columns, 4},
    {"max over columns", op_max_columns, 4},
    {"argmax", op_argmax, 4},
    {"logsumexp", op_logsumexp, 4},
    {"cumsum", op_cumsum, 8},
    {"softmax", op_softmax, 8},
    {"softmax, mask", op_softmax_mask, 9},
    {"log_softmax", op_log_softmax, 8},
    {"cross_entropy", op_cross_entropy, 4},
    {"layer_norm", op_layer_norm, 8},
    {"tanh, backward", op_tanh, 12, true},
    {"sigmoid, backward", op_sigmoid, 12, true},
    {"gelu, backward", op_gelu, 12, true},
    {"add a row, backward", op_add_row, 4, true},
    {"softmax, backward", op_softmax, 12, true},
    {"cross_entropy, backward", op_cross_entropy, 8, true},
    {"layer_norm, backward", op_layer_norm, 12, true},
    {"take rows", op_take, 8},
    {"scatter_add of rows", op_scatter_add, 8},
    {"copy of a transpose", op_transpose, 8},
    {"concat", op_concat, 16},
    {"pad", op_pad, 8},
    {"flip", op_reverse, 8},
    {"one_hot", op_one_hot, 4},
    {"topk of 5", op_topk5, 4},
    {"sort", op_sort, 8},
};

/* ---- measuring ------------------------------------------------------------------------------ */

typedef struct arrays {
    float *x, *y;
    uint8_t *where;
    int32_t *index;
    int64_t rows;
    const op *op;
} arrays;

static sg_tensor *record(sg_context *g, const void *user)
{
    const arrays *a = user;
    sg_shape shape = SG_SHAPE(a->rows, COLUMNS);
    operands o = {.rows = a->rows};
    o.x = sg_borrow(g, SG_F32, shape, a->x);
    o.y = sg_borrow(g, SG_F32, shape, a->y);
    o.row = sg_borrow(g, SG_F32, SG_SHAPE(COLUMNS), a->y);
    o.where = sg_borrow(g, SG_U8, shape, a->where);
    o.index = sg_borrow(g, SG_I32, SG_SHAPE(a->rows), a->index);
    sg_tensor *y = a->op->record(&o);
    if (!a->op->backward)
        return y;
    sg_tensor *seed = sg_full(g, SG_F32, sg_shape_of(y), 0.5), *grads[2];
    sg_eval(y, seed);
    sg_vjp(y, seed, 2, (sg_tensor *[]){o.x, o.row}, grads);
    sg_want(grads[1]);
    return grads[0];
}

static bool fill(arrays *a)
{
    size_t n = (size_t)a->rows * COLUMNS;
    a->x = malloc(n * sizeof *a->x);
    a->y = malloc(n * sizeof *a->y);
    a->where = malloc(n);
    a->index = malloc((size_t)a->rows * sizeof *a->index);
    if (!a->x || !a->y || !a->where || !a->index)
        return false;
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U; /* Knuth's MMIX */
        a->x[i] = (float)((state >> 40) + 1) * 0x1p-25F;
        a->y[i] = (float)((state >> 33 & 0xffffff) + 1) * 0x1p-25F;
        a->where[i] = (uint8_t)(state >> 63);
    }
    int64_t most = a->rows < COLUMNS ? a->rows : COLUMNS;
    for (int64_t i = 0; i < a->rows; i++)
        a->index[i] = (int32_t)(i * 37 % most);
    return true;
}

static void release(arrays *a)
{
    free(a->x);
    free(a->y);
    free(a->where);
    free(a->index);
}

int bench_ops(int threads)
{
    sg_context *g = sg_open(.threads = threads);
    arrays small = {.rows = SMALL}, large = {.rows = LARGE};
    if (!fill(&small) || !fill(&large))
        sg_fail(g, SG_NO_MEMORY, "no memory for the operands");
    double overhead = bench_overhead(g), n = (double)SMALL * COLUMNS, m = (double)LARGE * COLUMNS;
    printf("%s, %d thread%s, f32 [rows, %d]; without the %.2f us of an evaluation by itself\n"
           "%-24s %10s rows %12s %10s rows\n%-24s %9s %8s %12s %8s\n",
           sg_infos(g).isa, threads, threads > 1 ? "s" : "", COLUMNS, 1e6 * overhead, "", "128", "",
           "8192", "", "ns each", "GB/s", "ns each", "GB/s");
    for (size_t i = 0; i < sizeof ops / sizeof *ops && sg_ok(g); i++) {
        small.op = large.op = &ops[i];
        double s = bench_evaluation(g, record, &small, NULL) - overhead;
        double l = bench_evaluation(g, record, &large, NULL) - overhead;
        printf("%-24s %9.3f %8.1f %12.3f %8.1f\n", ops[i].name, 1e9 * s / n,
               1e-9 * ops[i].bytes * n / s, 1e9 * l / m, 1e-9 * ops[i].bytes * m / l);
    }
    release(&small);
    release(&large);
    int failed = !sg_ok(g);
    fputs(sg_errmsg(g), stderr);
    sg_close(g);
    return failed;
}
