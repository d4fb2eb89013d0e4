/* Reductions against loops in double, for every axis of shapes with and without empty axes. */
#include "tests/ops_test.h"

static const sg_shape shapes[] = {
    {1, {1}},       {1, {5}},          {1, {40}},       {2, {3, 4}}, {2, {4, 17}},
    {3, {2, 3, 4}}, {4, {2, 1, 3, 2}}, {3, {2, 33, 3}}, {2, {0, 3}}, {3, {2, 3, 0}},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef enum { SUM, MEAN, MAX, MIN, ARGMAX, LOGSUMEXP, KINDS } kind;
static const char *const names[KINDS] = {"sum", "mean", "max", "min", "argmax", "logsumexp"};

static double reference(kind k, const double *v, int64_t n)
{
    double sum = 0, exps = 0;
    int64_t largest = 0, least = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += v[i];
        exps += exp(v[i]);
        largest = v[i] > v[largest] ? i : largest;
        least = v[i] < v[least] ? i : least;
    }
    const double all[KINDS] = {[SUM] = sum,
                               [MEAN] = sum / (double)n,
                               [MAX] = n ? v[largest] : 0,
                               [MIN] = n ? v[least] : 0,
                               [ARGMAX] = (double)largest,
                               [LOGSUMEXP] = log(exps)};
    return all[k];
}

static sg_tensor *apply(kind k, sg_tensor *x, int axis, bool keep)
{
    static sg_tensor *(*const op[KINDS])(sg_tensor *, int, bool) = {
        sg_sum, sg_mean, sg_max, sg_min, sg_argmax, sg_logsumexp};
    return op[k](x, axis, keep);
}

static bool defined_for(kind k, sg_dtype d)
{
    return d == SG_F32 || d == SG_F64 || k == ARGMAX ||
           (d == SG_I32 && k != MEAN && k != LOGSUMEXP);
}

/* Compares one reduction of one axis (or of all) with the reference. */
static void check(sg_context *g, kind k, sg_dtype dtype, sg_shape s, int axis, bool keep)
{
    char label[128];
    bool all = axis == SG_ALL_AXES;
    snprintf(label, sizeof label, "%s %s rank %d dim0 %lld axis %d keep %d", names[k],
             sg_dtype_name(dtype), s.rank, (long long)s.dim[0], axis, keep);
    int64_t outer = 1, n = 1, inner = 1;
    for (int i = 0; i < s.rank; i++)
        *(all || i == axis ? &n : i < axis ? &outer : &inner) *= s.dim[i];
    if (n == 0 && k != SUM)
        return;
    sg_tensor *x = sample(g, dtype, s, 7), *y = apply(k, x, axis, keep);
    sg_shape expected = {.rank = 0};
    for (int i = 0; i < s.rank; i++)
        if (keep || !(all || i == axis))
            expected.dim[expected.rank++] = all || i == axis ? 1 : s.dim[i];
    has_shape(y, expected, label);
    double *v = malloc(((size_t)n + 1) * sizeof *v);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < inner; j++) {
            for (int64_t i = 0; i < n; i++)
                v[i] = element(x, (o * n + i) * inner + j);
            is_near(y, o * inner + j, reference(k, v, n), dtype == SG_F32 ? 1e-5 : 1e-12, label);
        }
    free(v);
}

Test(reduce, agrees_with_loops_over_every_axis)
{
    for (size_t set = 0; set < 3; set++) {
        sg_context *g = sg_open(.isa = all_sets[set]);
        for (int i = 0; sg_ok(g) && i < SHAPES; i++)
            for (int k = 0; k < KINDS; k++)
                for (int d = 0; d < SG_DTYPES; d++)
                    for (int keep = 0; keep < 2 && defined_for((kind)k, (sg_dtype)d); keep++) {
                        for (int axis = 0; axis < shapes[i].rank; axis++)
                            check(g, (kind)k, (sg_dtype)d, shapes[i], axis, keep);
                        check(g, (kind)k, (sg_dtype)d, shapes[i], SG_ALL_AXES, keep);
                        sg_reset(g);
                    }
        sg_close(g);
    }
}

Test(reduce, of_a_scalar_and_by_negative_axes)
{
    sg_context *g = sg_open();
    sg_tensor *s = sg_scalar(g, SG_F32, 3), *x = sample(g, SG_F32, SG_SHAPE(2, 3), 1);
    IS(sg_sum(s, SG_ALL_AXES, false), "sum", 3);
    IS(sg_mean(s, SG_ALL_AXES, true), "mean", 3);
    IS(sg_max(s, SG_ALL_AXES, true), "max", 3);
    IS(sg_argmax(s, SG_ALL_AXES, false), "argmax", 0);
    IS(sg_logsumexp(s, SG_ALL_AXES, false), "logsumexp", 3);
    IS(sg_sub(sg_max(x, -2, false), sg_max(x, 0, false)), "axis -2", 0, 0, 0);
    sg_close(g);
}

Test(reduce, the_first_of_ties_wins_and_nan_wins_over_all)
{
    sg_context *g = sg_open();
    const double inf = INFINITY;
    for (int d = SG_F32; d <= SG_F64; d++) {
        sg_tensor *x = tensor(g, (sg_dtype)d, SG_SHAPE(4, 3),
                              (double[]){2, 5, 5, 1, NAN, NAN, -inf, -inf, -inf, -0.0, 0, inf});
        IS(sg_argmax(x, 1, false), "argmax", 1, 1, 0, 2);
        IS(sg_max(x, 1, false), "max", 5, NAN, -inf, inf);
        IS(sg_min(x, 1, false), "min", 2, NAN, -inf, 0);
        sg_tensor *t = sg_transpose(x, 0, 1);
        IS(sg_argmax(t, 0, false), "argmax of axis 0", 1, 1, 0, 2);
        IS(sg_max(t, 0, false), "max of axis 0", 5, NAN, -inf, inf);
        IS(sg_min(t, 0, false), "min of axis 0", 2, NAN, -inf, 0);
        /* the gradient goes to one element only */
        sg_tensor *y = tensor(g, (sg_dtype)d, SG_SHAPE(2, 2), (double[]){5, 5, 1, 5}), *dy;
        sg_grad(sg_max(y, SG_ALL_AXES, false), 1, &y, &dy);
        IS(dy, "gradient of max", 1, 0, 0, 0);
        sg_grad(sg_sum(sg_min(y, 1, false), 0, false), 1, &y, &dy);
        IS(dy, "gradient of min", 1, 0, 1, 0);
    }
    sg_tensor *i = tensor(g, SG_I32, SG_SHAPE(3), (double[]){INT32_MIN, INT32_MAX, 0});
    IS(sg_min(i, 0, false), "min of i32", INT32_MIN);
    IS(sg_max(i, 0, false), "max of i32", INT32_MAX);
    sg_close(g);
}

Test(reduce, logsumexp_is_stable)
{
    const double inf = INFINITY;
    for (size_t set = 0; set < 3; set++) {
        sg_context *g = sg_open(.isa = all_sets[set]);
        for (int d = SG_F32; d <= SG_F64 && sg_ok(g); d++) {
            sg_tensor *x = tensor(g, (sg_dtype)d, SG_SHAPE(5, 2),
                                  (double[]){1e30, 1e30, -1e30, -1e30, -inf, -inf, inf, 0, NAN, 0});
            IS(sg_logsumexp(x, 1, false), "logsumexp", 1e30, -1e30, -inf, inf, NAN);
        }
        sg_close(g);
    }
}

Test(reduce, a_row_of_minus_infinity_has_gradient_0_to_second_order)
{
    sg_context *g = sg_open();
    const double inf = INFINITY;
    sg_tensor *x = tensor(g, SG_F64, SG_SHAPE(2, 2), (double[]){-inf, -inf, 0, 0}), *dx, *ddx;
    sg_tensor *c = tensor(g, SG_F64, SG_SHAPE(2), (double[]){3, 4});
    sg_vjp(sg_logsumexp(x, 1, false), c, 1, &x, &dx);
    IS(dx, "first order", 0, 0, 2, 2);
    sg_tensor *w = tensor(g, SG_F64, SG_SHAPE(2, 2), (double[]){1, 2, 1, 2});
    sg_grad(sg_sum(sg_mul(w, dx), SG_ALL_AXES, false), 1, &x, &ddx);
    IS(ddx, "second order", 0, 0, -1, 1); /* 4 (w_i p_i - p_i sum w p) */
    sg_close(g);
}

Test(reduce, cumsum_agrees_with_a_loop)
{
    sg_context *g = sg_open();
    for (int i = 0; i < SHAPES; i++)
        for (int axis = 0; axis < shapes[i].rank; axis++)
            for (int d = SG_F32; d <= SG_I32; d++) {
                sg_tensor *x = sample(g, (sg_dtype)d, shapes[i], 3), *y = sg_cumsum(x, axis);
                int64_t step = 1;
                for (int k = axis + 1; k < shapes[i].rank; k++)
                    step *= shapes[i].dim[k];
                has_shape(y, shapes[i], "cumsum");
                for (int64_t k = 0; k < sg_size(x); k++) {
                    bool first = k / step % shapes[i].dim[axis] == 0;
                    is_near(y, k, element(x, k) + (first ? 0 : element(y, k - step)), 1e-6,
                            "cumsum");
                }
                sg_reset(g);
            }
    sg_close(g);
}

/* A row's result has the same bits wherever the row stands, and zeros at its end add nothing. */
Test(reduce, rows_do_not_depend_on_their_surroundings)
{
    sg_context *g = sg_open();
    sg_tensor *x = sample(g, SG_F32, SG_SHAPE(9, 37), 5);
    sg_tensor *wide = sg_pad(x, 1, 0, 30, -INFINITY);
    sg_tensor *all = sg_logsumexp(x, 1, false), *padded = sg_logsumexp(wide, 1, false);
    for (int64_t i = 0; i < 9; i++) {
        sg_tensor *alone = sg_logsumexp(sg_index(x, 0, i), 0, false);
        cr_assert_eq(element(alone, 0), element(all, i), "row %lld alone", (long long)i);
        cr_assert_eq(element(padded, i), element(all, i), "row %lld padded", (long long)i);
    }
    sg_close(g);
}

Test(reduce, refuses_what_has_no_meaning)
{
    sg_context *g = sg_open();
#define X sample(g, SG_F32, SG_SHAPE(2, 0), 1)
#define I sample(g, SG_I32, SG_SHAPE(2, 2), 1)
    FAILS(g, sg_max(X, 1, false), "max: axis 1 is empty: x[2,0]");
    FAILS(g, sg_min(X, SG_ALL_AXES, false), "min: axis 0 is empty");
    FAILS(g, sg_argmax(X, -1, true), "argmax: axis 1 is empty: x[2,0]");
    FAILS(g, sg_mean(X, 1, false), "mean: axis 1 has no elements");
    FAILS(g, sg_mean(I, 1, false), "mean: not defined for i32");
    FAILS(g, sg_logsumexp(I, 1, false), "logsumexp: not defined for i32");
    FAILS(g, sg_max(sample(g, SG_U8, SG_SHAPE(2), 1), 0, false), "max: not defined for u8");
    FAILS(g, sg_sum(I, 2, false), "sum: axis 2 is outside x[2,2]");
    FAILS(g, sg_max(I, -3, false), "max: axis -3 is outside x[2,2]");
    FAILS(g, sg_cumsum(I, 2), "cumsum: axis 2 is outside x[2,2]");
    FAILS(g, sg_mean(I, 5, false), "mean: axis 5 is outside x[2,2]");
    sg_close(g);
}
