/* Views and copies: every result against its definition by indices. */
#include "tests/ops_test.h"

/* 0, 1, 2, … in a shape: an element's value says where it came from. */
static sg_tensor *count(sg_context *g, sg_dtype dtype, sg_shape s)
{
    double v[256];
    for (int i = 0; i < 256; i++)
        v[i] = i;
    return tensor(g, dtype, s, v);
}

Test(view, permute_and_transpose)
{
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++) {
        sg_tensor *x = count(g, (sg_dtype)d, SG_SHAPE(2, 3, 4));
        sg_tensor *p = sg_permute(x, (int[]){2, 0, -2}), *t = sg_transpose(x, 0, -1);
        has_shape(p, SG_SHAPE(4, 2, 3), "permute");
        has_shape(t, SG_SHAPE(4, 3, 2), "transpose");
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++)
                for (int k = 0; k < 4; k++) {
                    is_near(p, (k * 2 + i) * 3 + j, (i * 3 + j) * 4 + k, 0, "permute");
                    is_near(t, (k * 3 + j) * 2 + i, (i * 3 + j) * 4 + k, 0, "transpose");
                }
        IS(sg_index(sg_transpose(sg_slice(p, 0, 3, SG_END, -2), 1, 2), 0, 1), "view of view", 1, 13,
           5, 17, 9, 21);
    }
    sg_tensor *x = count(g, SG_F32, SG_SHAPE(2, 3));
    cr_assert_eq(sg_transpose(x, 1, 1), x, "an axis with itself is no op");
    FAILS(g, sg_permute(x, (int[]){0, 0}), "permute: axes are no permutation: x[2,3]");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_permute(x, (int[]){0, 2}), "permute: axes are no permutation");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_permute(x, NULL), "permute: no axes");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_transpose(x, 0, 2), "transpose: axis 2 is outside x[2,3]");
    sg_close(g);
}

/* NumPy's definition: the indices that range(*slice(start, stop, step).indices(n)) lists. */
Test(view, slice_is_numpys)
{
    static const struct {
        int64_t start, stop, step;
        int n;
        int is[6];
    } rows[] = {
        {0, SG_END, 1, 6, {0, 1, 2, 3, 4, 5}},
        {1, 4, 1, 3, {1, 2, 3}},
        {-2, SG_END, 1, 2, {4, 5}},
        {0, -1, 2, 3, {0, 2, 4}},
        {1, 100, 3, 2, {1, 4}},
        {-100, 2, 1, 2, {0, 1}},
        {4, 2, 1, 0, {0}},
        {9, SG_END, 1, 0, {0}},
        {5, SG_END, -1, 6, {5, 4, 3, 2, 1, 0}},
        {SG_END, SG_END, -2, 3, {5, 3, 1}},
        {4, 1, -1, 3, {4, 3, 2}},
        {4, -100, -3, 2, {4, 1}},
        {-1, -4, -1, 3, {5, 4, 3}},
        {1, 4, -1, 0, {0}},
        {2, SG_END, INT64_MAX, 1, {2}},
        {2, SG_END, INT64_MIN, 1, {2}},
        {INT64_MIN, INT64_MAX - 1, 4, 2, {0, 4}},
    };
    sg_context *g = sg_open();
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        char label[32];
        snprintf(label, sizeof label, "row %zu", r);
        sg_tensor *x = count(g, SG_F64, SG_SHAPE(2, 6, 3));
        sg_tensor *y = sg_slice(x, 1, rows[r].start, rows[r].stop, rows[r].step), *dx;
        has_shape(y, SG_SHAPE(2, rows[r].n, 3), label);
        sg_grad(sg_sum(sg_square(y), SG_ALL_AXES, false), 1, &x, &dx);
        double taken[6] = {0};
        for (int k = 0; k < rows[r].n; k++) {
            taken[rows[r].is[k]] = 1;
            for (int i = 0; i < 6; i++)
                is_near(y, (i / 3 * rows[r].n + k) * 3 + i % 3,
                        (i / 3 * 6 + rows[r].is[k]) * 3 + i % 3, 0, label);
        }
        for (int i = 0; i < 36; i++)
            is_near(dx, i, 2 * i * taken[i / 3 % 6], 0, label);
        sg_reset(g);
    }
    FAILS(g, sg_slice(count(g, SG_U8, SG_SHAPE(3)), 0, 0, 1, 0), "slice: the step is 0");
    FAILS(g, sg_slice(count(g, SG_U8, SG_SHAPE(3)), 1, 0, 1, 1), "slice: axis 1 is outside x[3]");
    sg_close(g);
}

Test(view, index_flip_split_and_axes_of_size_1)
{
    sg_context *g = sg_open();
    sg_tensor *x = count(g, SG_I32, SG_SHAPE(2, 3)), *part[3];
    IS(sg_index(x, 0, -1), "index", 3, 4, 5);
    IS(sg_index(x, 1, 1), "index", 1, 4);
    IS(sg_flip(x, 1), "flip", 2, 1, 0, 5, 4, 3);
    sg_split(x, -1, 3, part);
    has_shape(part[2], SG_SHAPE(2, 1), "split");
    IS(part[2], "split", 2, 5);
    has_shape(sg_expand_dims(x, 0), SG_SHAPE(1, 2, 3), "expand_dims");
    has_shape(sg_expand_dims(x, -1), SG_SHAPE(2, 3, 1), "expand_dims");
    has_shape(sg_expand_dims(x, 1), SG_SHAPE(2, 1, 3), "expand_dims");
    has_shape(sg_squeeze(part[2], -1), SG_SHAPE(2), "squeeze");
    has_shape(sg_expand_dims(sg_scalar(g, SG_F32, 1), 0), SG_SHAPE(1), "expand_dims of a scalar");
    FAILS(g, sg_index(x, 1, 3), "index: 3 is outside axis 1, which has 3 elements");
    FAILS(g, sg_index(count(g, SG_F32, SG_SHAPE(2, 3)), 1, -4), "index: -4 is outside axis 1");
    FAILS(g, sg_squeeze(count(g, SG_F32, SG_SHAPE(2, 3)), 1),
          "squeeze: axis 1 has 3 elements, not 1");
    FAILS(g, sg_expand_dims(count(g, SG_F32, SG_SHAPE(2, 3)), 4), "expand_dims: no room");
    sg_split(count(g, SG_F32, SG_SHAPE(2, 4)), 1, 3, part);
    cr_assert(sg_is_nil(part[0]) && sg_is_nil(part[2]));
    cr_assert_str_eq(sg_errmsg(g), "split: axis 1 has 4 elements, which is not 3 equal parts");
    sg_clear(g);
    sg_split(count(g, SG_F32, SG_SHAPE(2, 4)), 2, 2, part);
    cr_assert_str_eq(sg_errmsg(g), "split: axis 2 is outside x[2,4]");
    sg_close(g);
}

Test(view, unfold_shows_windows_and_fold_adds_them)
{
    sg_context *g = sg_open();
    sg_tensor *x = count(g, SG_F64, SG_SHAPE(2, 7, 2));
    for (int size = 1; size <= 7; size++)
        for (int step = 1; step <= 3; step++) {
            int windows = (7 - size) / step + 1;
            sg_tensor *u = sg_unfold(x, 1, size, step), *f = sg_fold(u, 1, 7, step);
            has_shape(u, SG_SHAPE(2, windows, 2, size), "unfold");
            double sum[28] = {0};
            for (int i = 0; i < 2 * windows * 2 * size; i++) {
                int k = i % size, j = i / size % 2, w = i / size / 2 % windows;
                int from = (i / size / 2 / windows * 7 + w * step + k) * 2 + j;
                is_near(u, i, from, 0, "unfold");
                sum[from] += from;
            }
            for (int i = 0; i < 28; i++)
                is_near(f, i, sum[i], 0, "fold");
        }
    has_shape(sg_fold(sg_unfold(x, -1, 2, 1), -1, 2, 1), SG_SHAPE(2, 7, 2), "negative axes");
    FAILS(g, sg_unfold(x, 1, 8, 1), "unfold: no windows of 8 at every 1 in 7 elements: x[2,7,2]");
    FAILS(g, sg_unfold(count(g, SG_F32, SG_SHAPE(3)), 0, 2, 0), "unfold: no windows of 2 at");
    FAILS(g, sg_fold(count(g, SG_F32, SG_SHAPE(3, 2)), 0, 9, 2),
          "fold: 9 elements do not have 3 windows of 2 at every 2");
    FAILS(g, sg_fold(count(g, SG_F32, SG_SHAPE(3, 2)), 1, 3, 1), "not the windows");
    sg_close(g);
}

Test(view, concat_and_stack)
{
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++) {
        sg_tensor *x = count(g, (sg_dtype)d, SG_SHAPE(2, 3));
        sg_tensor *y = count(g, (sg_dtype)d, SG_SHAPE(2, 1)), *z = sg_slice(x, 1, 0, 0, 1);
        IS(sg_concat(1, x, z, y, x), "concat", 0, 1, 2, 0, 0, 1, 2, 3, 4, 5, 1, 3, 4, 5);
        IS(sg_concat(-2, x, x), "concat", 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5);
        has_shape(sg_stack(0, x, x), SG_SHAPE(2, 2, 3), "stack");
        IS(sg_stack(1, x, x), "stack", 0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5);
        IS(sg_stack(-1, x, x), "stack", 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5);
    }
    sg_tensor *many[100];
    for (int i = 0; i < 100; i++)
        many[i] = sg_scalar(g, SG_F32, i);
    sg_tensor *s = sg_stack_(0, 100, many);
    has_shape(s, SG_SHAPE(100), "stack of many");
    is_near(s, 99, 99, 0, "stack of many");

    sg_tensor *x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_concat(0, x, sg_transpose(x, 0, 1)),
          "concat: sizes differ in axis 1, not only in 0");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_concat(0, x, sg_index(x, 0, 0)), "concat: numbers of axes differ");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_concat(0, x, count(g, SG_I32, SG_SHAPE(2, 3))), "concat: types differ");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_concat(2, x, x), "concat: axis 2 is outside x[2,3]");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_stack(5, x, x), "stack: axis 5 is outside a result of 3 axes");
    cr_assert(sg_is_nil(sg_concat_(0, 0, NULL)));
    cr_assert(sg_is_nil(sg_stack_(0, 0, NULL)));
    sg_close(g);
}

Test(view, pad)
{
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++) {
        sg_tensor *x = count(g, (sg_dtype)d, SG_SHAPE(2, 2));
        IS(sg_pad(x, 1, 1, 2, 7), "pad", 7, 0, 1, 7, 7, 7, 2, 3, 7, 7);
        IS(sg_pad(x, 0, 1, 0, 0), "pad", 0, 0, 0, 1, 2, 3);
        IS(sg_pad(sg_slice(x, 0, 0, 0, 1), 0, 1, 1, 5), "pad of nothing", 5, 5, 5, 5);
        cr_assert_eq(sg_pad(x, 0, 0, 0, 3), x, "no padding is no op");
    }
    sg_tensor *x = count(g, SG_F32, SG_SHAPE(2));
    IS(sg_pad(x, 0, 0, 1, -INFINITY), "pad", 0, 1, -INFINITY);
    FAILS(g, sg_pad(x, 0, -1, 0, 0), "pad: -1 elements before and 0 after axis 0");
    FAILS(g, sg_pad(count(g, SG_I32, SG_SHAPE(2)), 0, 1, 0, 0.5),
          "pad: 0.5 is no value of type i32");
    FAILS(g, sg_pad(count(g, SG_U8, SG_SHAPE(2)), 0, 1, 0, 256), "pad: 256 is no value of type u8");
    FAILS(g, sg_pad(count(g, SG_I32, SG_SHAPE(2)), 0, 1, 0, NAN), "no value of type i32");
    FAILS(g, sg_pad(count(g, SG_F32, SG_SHAPE(2)), 0, INT64_MAX, 1, 0), "pad: 9223372036854775807");
    FAILS(g, sg_pad(count(g, SG_F32, SG_SHAPE(2)), 0, INT64_MAX / 4, 1, 0), "too many elements");
    sg_close(g);
}

Test(view, slice_update)
{
    sg_context *g = sg_open();
    for (int d = 0; d < SG_DTYPES; d++) {
        sg_tensor *x = count(g, (sg_dtype)d, SG_SHAPE(2, 3));
        sg_tensor *y = tensor(g, (sg_dtype)d, SG_SHAPE(2, 1), (double[]){8, 9});
        IS(sg_slice_update(x, y, 1, 1), "slice_update", 0, 8, 2, 3, 9, 5);
        IS(sg_slice_update(x, sg_slice(x, 0, 0, 1, 1), 0, 1), "slice_update", 0, 1, 2, 0, 1, 2);
        IS(sg_slice_update(x, sg_slice(x, 0, 0, 0, 1), 0, 2), "by nothing", 0, 1, 2, 3, 4, 5);
    }
    sg_tensor *x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_slice_update(x, x, 1, 1),
          "slice_update: 3 elements from 1 on are not inside axis 1: x[2,3], y[2,3]");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_slice_update(x, x, 1, -1), "slice_update: 3 elements from -1 on");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_slice_update(x, count(g, SG_F32, SG_SHAPE(1, 1)), 0, 0), "sizes differ in axis 1");
    x = count(g, SG_F32, SG_SHAPE(2, 3));
    FAILS(g, sg_slice_update(x, count(g, SG_F64, SG_SHAPE(2, 1)), 1, 0), "types differ");
    sg_close(g);
}

/* After the first error every op returns the inert tensor and changes nothing. */
Test(view, all_are_inert_after_an_error)
{
    sg_context *g = sg_open();
    sg_tensor *x = sg_slice(count(g, SG_F32, SG_SHAPE(3)), 0, 0, 1, 0), *part[2];
    sg_tensor *all[] = {
        sg_permute(x, (int[]){0}),
        sg_transpose(x, 0, 1),
        sg_slice(x, 0, 0, 1, 1),
        sg_index(x, 0, 0),
        sg_flip(x, 0),
        sg_expand_dims(x, 0),
        sg_squeeze(x, 0),
        sg_unfold(x, 0, 1, 1),
        sg_fold(x, 0, 1, 1),
        sg_concat(0, x, x),
        sg_stack(0, x, x),
        sg_pad(x, 0, 1, 1, 0),
        sg_slice_update(x, x, 0, 0),
        sg_sum(x, 0, false),
        sg_mean(x, SG_ALL_AXES, true),
        sg_max(x, 0, false),
        sg_min(x, 0, true),
        sg_argmax(x, SG_ALL_AXES, true),
        sg_logsumexp(x, -1, false),
        sg_cumsum(x, 0),
        sg_take(x, x),
        sg_scatter_add(x, x, 2),
        sg_sort(x, 0, true),
        sg_topk(x, 0, 1, part),
        sg_take_along_axis(x, x, 0),
        sg_softmax(x, NULL),
        sg_reverse_sequence(x, NULL),
        sg_softmax(x, x),
        sg_log_softmax(x),
        sg_one_hot(x, 2, SG_F32),
        sg_cross_entropy(x, x),
        sg_argsort(x, 0, false),
        sg_layer_norm(x, x, x, 1e-5),
        sg_random_normal(g, SG_F32, SG_SHAPE(2)),
        sg_random_bernoulli(g, SG_SHAPE(2), 1),
        sg_scatter_add_along_axis(x, x, 0, 2),
        sg_length_mask(g, 1, 1, (int[]){1}),
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cr_assert(sg_is_nil(all[i]), "number %zu", i);
    sg_split(x, 0, 2, part);
    cr_assert(sg_is_nil(part[0]) && sg_is_nil(part[1]));
    cr_assert_str_eq(sg_errmsg(g), "slice: the step is 0");
    sg_close(g);
}
