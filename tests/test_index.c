/* Ops that read, add and sort by index. */
#include "tests/ops_test.h"

#define INDEX(shape, ...) sg_input(g, SG_I32, shape, (int32_t[]){__VA_ARGS__})

Test(index, take_and_its_adjoint)
{
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++) {
        sg_tensor *x = tensor(g, (sg_dtype)d, SG_SHAPE(3, 2), (double[]){0, 1, 2, 3, 4, 5});
        sg_tensor *i = INDEX(SG_SHAPE(2, 2), 2, 0, 2, 1), *y = sg_take(x, i);
        has_shape(y, SG_SHAPE(2, 2, 2), "take");
        IS(y, "take", 4, 5, 0, 1, 4, 5, 2, 3);
        has_shape(sg_take(x, INDEX(SG_SCALAR, 1)), SG_SHAPE(2), "take of one row");
        has_shape(sg_take(x, sg_input(g, SG_I32, SG_SHAPE(0), NULL)), SG_SHAPE(0, 2), "no rows");
        if (d == SG_U8)
            continue;
        sg_tensor *s = sg_scatter_add(y, i, 4);
        has_shape(s, SG_SHAPE(4, 2), "scatter_add");
        IS(s, "scatter_add", 0, 1, 2, 3, 8, 10, 0, 0);
        IS(sg_scatter_add(sg_slice(y, 0, 0, 0, 1), sg_slice(i, 0, 0, 0, 1), 1), "of nothing", 0, 0);
        IS(sg_scatter_add(x, INDEX(SG_SCALAR, 1), 2), "of one", 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5);
    }
    sg_close(g);
}

Test(index, out_of_range_is_found_when_it_is_met)
{
    sg_context *g = sg_open();
#define X sample(g, SG_F32, SG_SHAPE(5, 2), 1)
#define Y sample(g, SG_F32, SG_SHAPE(1, 2), 1)
    STOPS(g, sg_take(X, INDEX(SG_SHAPE(2), 4, 7000)),
          "take: index 7000 is out of range for 5 rows");
    STOPS(g, sg_take(X, INDEX(SG_SHAPE(1), -1)), "take: index -1 is out of range for 5 rows");
    STOPS(g, sg_scatter_add(Y, INDEX(SG_SHAPE(1), 5), 5),
          "scatter_add: index 5 is out of range for 5 rows");
    STOPS(g, sg_take_along_axis(Y, INDEX(SG_SHAPE(1, 1), 2), 1),
          "take_along_axis: index 2 is out of range for 2 elements");
    STOPS(g, sg_scatter_add_along_axis(Y, INDEX(SG_SHAPE(1, 2), 0, -3), 1, 3),
          "scatter_add_along_axis: index -3 is out of range for 3 elements");
    FAILS(g, sg_take(X, X), "take: the type of i is f32, not i32");
    FAILS(g, sg_take(sg_scalar(g, SG_F32, 1), INDEX(SG_SHAPE(1), 0)), "take: a scalar has no rows");
    FAILS(g, sg_scatter_add(X, INDEX(SG_SHAPE(4), 0, 1, 2, 3), 5),
          "scatter_add: y does not begin with the axes of i: y[5,2], i[4]");
    FAILS(g, sg_scatter_add(Y, INDEX(SG_SHAPE(1), 0), -5), "negative size");
    FAILS(g, sg_scatter_add(sample(g, SG_U8, SG_SHAPE(1), 1), INDEX(SG_SHAPE(1), 0), 5),
          "scatter_add: not defined for u8");
    FAILS(g, sg_take_along_axis(X, INDEX(SG_SHAPE(2, 1), 0, 0), 1),
          "take_along_axis: sizes differ in axis 0, not only in 1: x[5,2], i[2,1]");
    FAILS(g, sg_take_along_axis(X, INDEX(SG_SHAPE(2), 0, 0), 1), "numbers of axes differ");
    FAILS(g, sg_scatter_add_along_axis(Y, INDEX(SG_SHAPE(1, 1), 0), 1, 3), "shapes differ");
    sg_close(g);
}

Test(index, along_an_axis)
{
    static const int32_t at[] = {1, 0, 0, 2, 2, 1, 1, 1};
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++)
        for (int axis = 0; axis < 3; axis++) {
            sg_shape s = SG_SHAPE(2, 2, 2);
            s.dim[axis] = 3;
            sg_tensor *x = sample(g, (sg_dtype)d, s, 9),
                      *i = sg_input(g, SG_I32, SG_SHAPE(2, 2, 2), at);
            sg_tensor *y = sg_take_along_axis(x, i, axis - 3);
            has_shape(y, SG_SHAPE(2, 2, 2), "take_along_axis");
            double sum[12] = {0};
            for (int k = 0; k < 8; k++) {
                int index[] = {k / 4, k / 2 % 2, k % 2};
                index[axis] = at[k];
                int64_t from = (index[0] * s.dim[1] + index[1]) * s.dim[2] + index[2];
                is_near(y, k, element(x, from), 0, "take_along_axis");
                sum[from] += element(y, k);
            }
            if (d == SG_U8)
                continue;
            sg_tensor *a = sg_scatter_add_along_axis(y, i, axis, 3);
            has_shape(a, s, "scatter_add_along_axis");
            for (int k = 0; k < 12; k++)
                is_near(a, k, sum[k], 1e-6, "scatter_add_along_axis");
        }
    sg_close(g);
}

Test(index, one_hot)
{
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++) {
        sg_tensor *y = sg_one_hot(INDEX(SG_SHAPE(4), 0, -1, 2, 3), 3, (sg_dtype)d);
        cr_assert_eq(sg_type(y), (sg_dtype)d);
        IS(y, "one_hot", 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
        has_shape(sg_one_hot(INDEX(SG_SCALAR, 2), 0, (sg_dtype)d), SG_SHAPE(0), "no classes");
    }
    FAILS(g, sg_one_hot(INDEX(SG_SHAPE(1), 2), -1, SG_F32), "negative size");
    FAILS(g, sg_one_hot(INDEX(SG_SHAPE(1), 2), 2, (sg_dtype)9), "one_hot: no such type (9)");
    FAILS(g, sg_one_hot(sg_scalar(g, SG_F32, 2), 2, SG_F32), "one_hot: not defined for f32");
    sg_close(g);
}

/* Lookup is a product with one-hot rows: the definition of an embedding. */
Test(index, take_is_the_sum_of_one_hot_rows)
{
    sg_context *g = sg_open();
    sg_tensor *x = sample(g, SG_F64, SG_SHAPE(4, 3), 2), *i = INDEX(SG_SHAPE(3), 3, 0, 3);
    sg_tensor *hot = sg_expand_dims(sg_one_hot(i, 4, SG_F64), -1); /* [3,4,1] */
    sg_tensor *y = sg_sum(sg_mul(hot, x), 1, false), *z = sg_take(x, i);
    for (int k = 0; k < 9; k++)
        is_near(z, k, element(y, k), 0, "take");
    sg_close(g);
}

/* Every type, both directions, rows of many lengths: sorted, stable, a permutation. */
Test(index, argsort_is_a_stable_order)
{
    static const int lengths[] = {0, 1, 2, 3, 17, 300};
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++)
        for (int l = 0; l < 6; l++)
            for (int down = 0; down < 2; down++)
                for (int axis = 0; axis < 2; axis++) {
                    int n = lengths[l];
                    sg_shape s = axis ? SG_SHAPE(3, n) : SG_SHAPE(n, 3);
                    int64_t step = axis ? 1 : 3, row = axis ? n : 1;
                    sg_tensor *x = sample(g, (sg_dtype)d, s, 4), *i = sg_argsort(x, axis, down);
                    sg_tensor *y = sg_sort(x, axis, down);
                    has_shape(i, s, "argsort");
                    for (int64_t r = 0; r < 3; r++) {
                        bool seen[300] = {false};
                        for (int64_t k = 0; k < n; k++) {
                            int64_t at = r * row + k * step, now = (int64_t)element(i, at);
                            cr_assert(now >= 0 && now < n && !seen[now]);
                            seen[now] = true;
                            is_near(y, at, element(x, r * row + now * step), 0, "sort");
                            if (k == 0)
                                continue;
                            double a = element(y, at - step), b = element(y, at);
                            cr_assert(down ? a >= b : a <= b, "not sorted");
                            cr_assert(a != b || element(i, at - step) < (double)now, "not stable");
                        }
                    }
                    sg_reset(g);
                }
    sg_close(g);
}

Test(index, nan_sorts_last_and_zeros_are_equal)
{
    sg_context *g = sg_open();
    const double inf = INFINITY;
    for (int d = SG_F32; d <= SG_F64; d++) {
        sg_tensor *x =
            tensor(g, (sg_dtype)d, SG_SHAPE(7), (double[]){NAN, 1, 0, -inf, inf, -0.0, -NAN});
        IS(sg_argsort(x, 0, false), "ascending", 3, 2, 5, 1, 4, 0, 6);
        IS(sg_argsort(x, 0, true), "descending", 4, 1, 2, 5, 3, 0, 6);
    }
    sg_tensor *i = tensor(g, SG_I32, SG_SHAPE(3), (double[]){0, INT32_MAX, INT32_MIN});
    IS(sg_argsort(i, 0, true), "i32", 1, 0, 2);
    sg_close(g);
}

/* The way for few of many and the full sort agree, ties included. */
Test(index, topk_is_the_beginning_of_the_descending_order)
{
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++) {
        sg_tensor *x = sample(g, (sg_dtype)d, SG_SHAPE(4, 700), 8), *order = sg_argsort(x, 1, true);
        static const int ks[] = {0, 1, 5, 64, 65, 700};
        for (int q = 0; q < 6; q++) {
            sg_tensor *i, *y = sg_topk(x, -1, ks[q], &i);
            has_shape(y, SG_SHAPE(4, ks[q]), "topk");
            for (int64_t k = 0; k < 4 * ks[q]; k++) {
                int64_t r = k / ks[q];
                is_near(i, k, element(order, r * 700 + k % ks[q]), 0, "indices");
                is_near(y, k, element(x, r * 700 + (int64_t)element(i, k)), 0, "values");
            }
        }
        has_shape(sg_topk(x, 0, 2, NULL), SG_SHAPE(2, 700), "topk of axis 0");
    }
    sg_tensor *i;
    FAILS(g, sg_topk(sample(g, SG_F32, SG_SHAPE(3), 1), 0, 4, &i), "topk: 4 of 3 elements");
    cr_assert(sg_is_nil(i));
    FAILS(g, sg_topk(sample(g, SG_F32, SG_SHAPE(3), 1), 1, 4, NULL),
          "topk: axis 1 is outside x[3]");
    FAILS(g, sg_argsort(sample(g, SG_F32, SG_SHAPE(3), 1), 1, true), "argsort: axis 1 is outside");
    sg_close(g);
}

Test(index, reverse_sequence_and_length_mask)
{
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++) {
        sg_tensor *x =
            tensor(g, (sg_dtype)d, SG_SHAPE(3, 3), (double[]){0, 1, 2, 3, 4, 5, 6, 7, 8});
        IS(sg_reverse_sequence(x, (int[]){2, 3, 0}), "reverse", 1, 0, 2, 5, 4, 3, 6, 7, 8);
    }
    sg_tensor *x = sample(g, SG_F32, SG_SHAPE(2, 4, 3), 1);
    sg_tensor *y = sg_reverse_sequence(x, (int[]){4, 1});
    for (int k = 0; k < 24; k++) {
        int b = k / 12, t = k / 3 % 4, from = b == 0 ? 3 - t : t;
        is_near(y, k, element(x, (b * 4 + from) * 3 + k % 3), 0, "reverse");
    }
    IS(sg_length_mask(g, 3, 2, (int[]){1, 2, 0}), "mask", 1, 0, 1, 1, 0, 0);
    has_shape(sg_length_mask(g, 0, 2, (int[]){1}), SG_SHAPE(0, 2), "mask of no rows");
    FAILS(g, sg_reverse_sequence(x, (int[]){5, 1}),
          "reverse_sequence: length 5 of row 0 is not in 0..4");
    FAILS(g, sg_reverse_sequence(sample(g, SG_F32, SG_SHAPE(2, 4), 1), NULL),
          "reverse_sequence: no lengths");
    FAILS(g, sg_reverse_sequence(sample(g, SG_F32, SG_SHAPE(2), 1), (int[]){1, 1}),
          "reverse_sequence: x is not [batch, time, ...]");
    FAILS(g, sg_length_mask(g, 2, 4, (int[]){1, -1}), "length_mask: length -1 of row 1");
    FAILS(g, sg_length_mask(g, 2, -1, (int[]){1, -1}), "length_mask: no mask of [2,-1]");
    sg_close(g);
}

/* Lengths and masks are values: other ones need no new plan. */
Test(index, lengths_do_not_enter_the_plans_key)
{
    sg_context *g = sg_open();
    static const int lengths[][2] = {{1, 2}, {3, 0}, {2, 2}};
    for (int k = 0; k < 3; k++, sg_reset(g)) {
        sg_tensor *x = sample(g, SG_F32, SG_SHAPE(2, 3), 1);
        sg_tensor *m = sg_length_mask(g, 2, 3, lengths[k]);
        sg_tensor *y = sg_where(m, sg_reverse_sequence(x, lengths[k]), sg_like(x, 0));
        cr_assert_eq(sg_eval(y), SG_OK, "%s", sg_errmsg(g));
    }
    cr_assert_eq(sg_stats(g).misses, 1, "%d plans", (int)sg_stats(g).misses);
    sg_close(g);
}
