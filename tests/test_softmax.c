/* Fused kernels of the last axis against their definition in double, on every instruction set. */
#include "tests/ops_test.h"

static const int widths[] = {1, 2, 7, 8, 15, 16, 17, 31, 32, 40, 129};
enum { WIDTHS = sizeof widths / sizeof *widths, ROWS = 3 };

#define ON_EVERY_SET(g)                                                                            \
    for (size_t set_ = 0; set_ < 3; set_++)                                                        \
        for (sg_context *g = sg_open(.isa = all_sets[set_]); g; sg_close(g), g = NULL)             \
            if (sg_ok(g))

static double tolerance(sg_dtype d)
{
    return d == SG_F32 ? 2e-6 : 1e-14;
}

/* log(sum(exp)) of the elements of row r that the mask shows */
static double log_sum(sg_tensor *x, sg_tensor *mask, int64_t r, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += mask && element(mask, r * n + i) == 0 ? 0 : exp(element(x, r * n + i));
    return log(sum);
}

Test(softmax, agrees_with_its_definition)
{
    ON_EVERY_SET(g)
    for (int w = 0; w < WIDTHS; w++)
        for (int d = SG_F32; d <= SG_F64; d++) {
            int n = widths[w];
            sg_tensor *x = sample(g, (sg_dtype)d, SG_SHAPE(ROWS, n), 2);
            sg_tensor *m = sg_greater(x, sg_like(x, -1)), *y = sg_softmax(x, NULL);
            sg_tensor *z = sg_softmax(x, m), *l = sg_log_softmax(x);
            for (int64_t i = 0; i < ROWS * n; i++) {
                double own = element(x, i), sum = log_sum(x, NULL, i / n, n);
                double shown = log_sum(x, m, i / n, n);
                is_near(y, i, exp(own - sum), tolerance((sg_dtype)d), "softmax");
                is_near(l, i, own - sum, tolerance((sg_dtype)d), "log_softmax");
                is_near(z, i, element(m, i) != 0 ? exp(own - shown) : 0, tolerance((sg_dtype)d),
                        "masked softmax");
            }
            sg_reset(g);
        }
}

Test(softmax, masks_broadcast)
{
    static const sg_shape masks[] = {{0, {0}},       {1, {4}},          {1, {1}},
                                     {2, {3, 1}},    {3, {2, 1, 4}},    {3, {1, 3, 4}},
                                     {3, {2, 3, 1}}, {4, {1, 2, 3, 4}}, {4, {5, 1, 1, 4}}};
    sg_context *g = sg_open();
    sg_shape s = SG_SHAPE(5, 2, 3, 4);
    for (size_t k = 0; k < sizeof masks / sizeof *masks; k++) {
        sg_tensor *x = sample(g, SG_F32, s, 1), *m = sample(g, SG_U8, masks[k], (unsigned)k);
        m = sg_equal(m, sg_like(m, 1));
        sg_tensor *y = sg_softmax(x, m), *z = sg_softmax(x, sg_broadcast_to(m, s));
        cr_assert_eq(sg_eval(y, z), SG_OK, "%s", sg_errmsg(g));
        cr_assert(memcmp(sg_data(y), sg_data(z), 120 * sizeof(float)) == 0, "mask %zu", k);
    }
    sg_tensor *x = sample(g, SG_F32, s, 1);
    FAILS(g, sg_softmax(x, sample(g, SG_U8, SG_SHAPE(3), 1)),
          "softmax: the mask does not broadcast to x: x[5,2,3,4], mask[3] u8");
    x = sample(g, SG_F32, SG_SHAPE(4), 1);
    FAILS(g, sg_softmax(x, sample(g, SG_U8, SG_SHAPE(2, 4), 1)), "the mask does not broadcast");
    x = sample(g, SG_F32, SG_SHAPE(4), 1);
    FAILS(g, sg_softmax(x, x), "softmax: the type of mask is f32, not u8");
    x = sample(g, SG_I32, SG_SHAPE(4), 1);
    FAILS(g, sg_softmax(x, NULL), "softmax: not defined for i32");
    FAILS(g, sg_softmax(sg_scalar(g, SG_F32, 1), NULL), "softmax: a scalar has no last axis");
    sg_close(g);
}

/* A row without a distribution is 0, and so are its gradients, to the second order. */
Test(softmax, dead_rows_and_large_values)
{
    const double inf = INFINITY;
    ON_EVERY_SET(g)
    for (int d = SG_F32; d <= SG_F64; d++) {
        sg_tensor *x = tensor(g, (sg_dtype)d, SG_SHAPE(4, 2),
                              (double[]){1e30, 1e30, -1e30, 0, -inf, -inf, NAN, 3});
        uint8_t shown[] = {1, 1, 1, 1, 1, 1, 0, 1};
        sg_tensor *m = sg_input(g, SG_U8, SG_SHAPE(4, 2), shown), *y = sg_softmax(x, m);
        IS(y, "softmax", .5, .5, 0, 1, 0, 0, 0, 1);
        sg_tensor *none = sg_softmax(x, sg_scalar(g, SG_U8, 0));
        IS(none, "nothing shown", 0, 0, 0, 0, 0, 0, 0, 0);
        sg_tensor *first = sg_slice(x, 0, 0, 3, 1), *l = sg_log_softmax(first);
        IS(l, "log_softmax", -log(2), -log(2), -1e30, 0, -inf, -inf);

        sg_tensor *w = sample(g, (sg_dtype)d, SG_SHAPE(4, 2), 3), *dx, *ddx;
        sg_vjp(y, w, 1, &x, &dx);
        sg_grad(sg_sum(sg_square(dx), SG_ALL_AXES, false), 1, &x, &ddx);
        for (int64_t i = 2; i < 8; i++) {
            is_near(dx, i, 0, 0, "first order");
            is_near(ddx, i, 0, 0, "second order");
        }
        sg_reset(g);
    }
}

typedef struct row {
    bool ignore;
    double smoothing;
} row;
static const row rows[] = {{false, 0}, {true, 0}, {false, 0.1}, {true, 0.25}, {false, 1}};

Test(cross_entropy, agrees_with_its_definition)
{
    ON_EVERY_SET(g)
    for (int w = 0; w < WIDTHS; w++)
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
            for (int d = SG_F32; d <= SG_F64; d++) {
                int n = widths[w];
                double s = rows[k].smoothing;
                int32_t label[ROWS] = {n - 1, 0, n / 2};
                sg_tensor *x = sample(g, (sg_dtype)d, SG_SHAPE(ROWS, n), 2), *dx;
                sg_tensor *c = sample(g, (sg_dtype)d, SG_SHAPE(ROWS), 5);
                sg_tensor *y =
                    sg_cross_entropy(x, sg_input(g, SG_I32, SG_SHAPE(ROWS), label),
                                     .ignore = rows[k].ignore, .ignored_label = 0, .smoothing = s);
                sg_vjp(y, c, 1, &x, &dx);
                for (int64_t r = 0; r < ROWS; r++) {
                    double sum = log_sum(x, NULL, r, n), loss = 0;
                    bool counts = !rows[k].ignore || label[r] != 0;
                    for (int64_t i = 0; i < n; i++) {
                        double log_p = element(x, r * n + i) - sum;
                        double share = s / n + (i == label[r] ? 1 - s : 0);
                        loss -= counts ? share * log_p : 0;
                        is_near(dx, r * n + i, counts ? (exp(log_p) - share) * element(c, r) : 0,
                                tolerance((sg_dtype)d), "gradient");
                    }
                    is_near(y, r, loss, tolerance((sg_dtype)d), "cross_entropy");
                }
                sg_reset(g);
            }
}

/* Garbage in an ignored row reaches neither the loss nor gradients of any order. */
Test(cross_entropy, ignored_rows_do_not_count)
{
    sg_context *g = sg_open();
    const double bad[] = {NAN, 1, INFINITY, 1, 2, 3};
    sg_tensor *x = tensor(g, SG_F64, SG_SHAPE(2, 3), bad), *dx, *ddx;
    sg_tensor *labels = sg_input(g, SG_I32, SG_SHAPE(2), (int32_t[]){-100, 1});
    sg_tensor *y = sg_cross_entropy(x, labels, .ignore = true, .ignored_label = -100);
    sg_tensor *c = tensor(g, SG_F64, SG_SHAPE(2), (double[]){NAN, 1});
    is_near(y, 0, 0, 0, "loss");
    is_near(y, 1, log(exp(-1) + 1 + exp(1)), 1e-14, "loss");
    sg_vjp(y, c, 1, &x, &dx);
    sg_tensor *w = sample(g, SG_F64, SG_SHAPE(2, 3), 1);
    sg_vjp(dx, w, 1, &x, &ddx);
    for (int64_t i = 0; i < 3; i++) {
        is_near(dx, i, 0, 0, "gradient");
        is_near(ddx, i, 0, 0, "second gradient");
        cr_assert(element(ddx, 3 + i) != 0 && isfinite(element(ddx, 3 + i)));
    }
    sg_close(g);
}

Test(cross_entropy, refuses_what_is_no_label)
{
    sg_context *g = sg_open();
#define X           sample(g, SG_F32, SG_SHAPE(2, 5), 1)
#define LABELS(...) sg_input(g, SG_I32, SG_SHAPE(2), (int32_t[]){__VA_ARGS__})
    STOPS(g, sg_cross_entropy(X, LABELS(4, 7)), "cross_entropy: label 7 is not in [0, 5)");
    STOPS(g, sg_cross_entropy(X, LABELS(-1, 0)), "cross_entropy: label -1 is not in [0, 5)");
    FAILS(g, sg_cross_entropy(X, sg_input(g, SG_I32, SG_SHAPE(3), NULL)),
          "cross_entropy: labels are not as the logits without their last axis: logits[2,5], "
          "labels[3] i32");
    FAILS(g, sg_cross_entropy(X, sg_input(g, SG_I32, SG_SHAPE(2, 1), NULL)), "labels are not as");
    FAILS(g, sg_cross_entropy(X, X), "cross_entropy: the type of labels is f32, not i32");
    FAILS(g, sg_cross_entropy(X, LABELS(0, 0), .smoothing = 1.5), "a smoothing of 1.5");
    FAILS(g, sg_cross_entropy(sg_input(g, SG_F32, SG_SHAPE(2, 0), NULL), LABELS(0, 0)),
          "cross_entropy: there are no classes");
    sg_close(g);
}

Test(layer_norm, agrees_with_its_definition)
{
    ON_EVERY_SET(g)
    for (int w = 0; w < WIDTHS; w++)
        for (int d = SG_F32; d <= SG_F64; d++) {
            int n = widths[w];
            sg_tensor *x = sample(g, (sg_dtype)d, SG_SHAPE(ROWS, n), 2);
            sg_tensor *gain = sample(g, (sg_dtype)d, SG_SHAPE(n), 3);
            sg_tensor *bias = sample(g, (sg_dtype)d, SG_SHAPE(n), 4);
            sg_tensor *y = sg_layer_norm(x, gain, bias, 1e-3);
            for (int64_t r = 0; r < ROWS; r++) {
                double mean = 0, variance = 0;
                for (int64_t i = 0; i < n; i++)
                    mean += element(x, r * n + i) / n;
                for (int64_t i = 0; i < n; i++)
                    variance += pow(element(x, r * n + i) - mean, 2) / n;
                for (int64_t i = 0; i < n; i++)
                    is_near(y, r * n + i,
                            (element(x, r * n + i) - mean) / sqrt(variance + 1e-3) *
                                    element(gain, i) +
                                element(bias, i),
                            4 * tolerance((sg_dtype)d), "layer_norm");
            }
            sg_reset(g);
        }
}

Test(layer_norm, refuses_other_shapes)
{
    sg_context *g = sg_open();
#undef X
#define X    sample(g, SG_F32, SG_SHAPE(2, 3), 1)
#define B(n) sample(g, SG_F32, SG_SHAPE(n), 1)
    FAILS(g, sg_layer_norm(X, B(3), B(2), 1e-5),
          "layer_norm: gain and bias are not as long as the last axis of x: x[2,3], gain[3], "
          "bias[2]");
    FAILS(g, sg_layer_norm(X, sample(g, SG_F64, SG_SHAPE(3), 1), B(3), 1e-5), "different types");
    FAILS(g, sg_layer_norm(X, B(3), B(3), NAN), "layer_norm: epsilon is nan");
    sg_close(g);
}

/* The same row gives the same bits in any batch. */
Test(softmax, rows_do_not_depend_on_the_batch)
{
    sg_context *g = sg_open();
    sg_tensor *x = sample(g, SG_F32, SG_SHAPE(5, 45), 2), *one = sg_slice(x, 0, 3, 4, 1);
    sg_tensor *gain = sample(g, SG_F32, SG_SHAPE(45), 3),
              *pair[][2] = {
                  {sg_softmax(x, NULL), sg_softmax(one, NULL)},
                  {sg_log_softmax(x), sg_log_softmax(one)},
                  {sg_layer_norm(x, gain, gain, 1e-5), sg_layer_norm(one, gain, gain, 1e-5)},
              };
    for (int k = 0; k < 3; k++) {
        const float *all = sg_data(pair[k][0]), *alone = sg_data(pair[k][1]);
        cr_assert(memcmp(all + 3 * 45, alone, 45 * sizeof(float)) == 0, "pair %d", k);
    }
    sg_close(g);
}

Test(softmax, empty_shapes)
{
    sg_context *g = sg_open();
    static const sg_shape shapes[] = {{2, {0, 3}}, {2, {3, 0}}, {1, {0}}, {3, {2, 0, 0}}};
    for (int k = 0; k < 4; k++) {
        sg_tensor *x = sg_input(g, SG_F32, shapes[k], NULL);
        sg_tensor *gain = sg_input(g, SG_F32, SG_SHAPE(sg_dim(x, -1)), NULL);
        sg_tensor *y = sg_softmax(x, sg_scalar(g, SG_U8, 1)), *dx;
        sg_vjp(sg_add(y, sg_log_softmax(x)), x, 1, &x, &dx);
        cr_assert_eq(sg_eval(y, dx, sg_layer_norm(x, gain, gain, 1e-5)), SG_OK, "%s", sg_errmsg(g));
    }
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(0, 4), NULL);
    sg_tensor *y = sg_cross_entropy(x, sg_input(g, SG_I32, SG_SHAPE(0), NULL));
    cr_assert_eq(sg_eval(y), SG_OK, "%s", sg_errmsg(g));
    sg_close(g);
}
