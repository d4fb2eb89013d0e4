/*
 * What the planner makes of sums of pieces: one product for a weight's gradient over time, nothing
 * copied where arrays are joined, and no cost that grows with the square of the number of pieces.
 */
#include "models/models.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 512 };

/* How many steps and instructions of a name the plan has that computes these. */
static int steps_of(const char *op, int n, sg_tensor *const *x)
{
    char line[LINE], name[LINE], *text = NULL;
    size_t size = 0;
    int found = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_plan(f, n, x);
    fclose(f);
    f = fmemopen(text, size, "r");
    while (fgets(line, sizeof line, f))
        found +=
            (sscanf(line, "%*d %511s", name) == 1 || sscanf(line, " %*s = %511s", name) == 1) &&
            strcmp(name, op) == 0;
    fclose(f);
    free(text);
    return found;
}

static sg_tensor *count(sg_context *g, sg_shape shape)
{
    float v[4096];
    int64_t n = 1;
    for (int i = 0; i < shape.rank; i++)
        n *= shape.dim[i];
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(i % 7) - 2.5f;
    return sg_input(g, SG_F32, shape, v);
}

static sg_tensor *total_of_squares(sg_tensor *x)
{
    return sg_sum(sg_square(x), SG_ALL_AXES, false);
}

/* ---- reductions ----------------------------------------------------------------------------- */

/* Whether the plan for x has a line with these words. */
static bool plan_says(sg_tensor *x, const char *words)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_plan(f, 1, &x);
    fclose(f);
    bool found = strstr(text, words) != NULL;
    free(text);
    return found;
}

/* Squares, and their sums over rows, or over all. */
static void sums_of_squares(const char *without, int64_t rows, int64_t n, int axis, float *sum)
{
    sg_context *g = sg_open(.without = without);
    float *v = malloc((size_t)(rows * n) * sizeof *v);
    for (int64_t i = 0; i < rows * n; i++)
        v[i] = (float)(i % 1009) * 0.37f - 180;
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(rows, n), v);
    sg_tensor *y = sg_sum(sg_square(x), axis, false);
    cr_expect_eq(plan_says(y, " = sum_to r0"), !without);
    sg_eval(y);
    memcpy(sum, sg_data(y), (size_t)sg_size(y) * sizeof *sum);
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
    free(v);
}

/* A row as long as several tiles, one that is no multiple of a vector, rows that share a tile. */
Test(rewrite, sums_are_taken_while_their_terms_are_at_hand)
{
    static const int64_t rows[] = {1, 3, 5, 40, 300}, sizes[] = {5000, 1025, 1024, 17, 15};
    float fused[300], apart[300];
    for (int i = 0; i < 5; i++)
        for (int axis = 0; axis < 2; axis++) {
            int64_t n = axis ? rows[i] : 1;
            sums_of_squares(NULL, rows[i], sizes[i], axis ? 1 : SG_ALL_AXES, fused);
            sums_of_squares("fuse", rows[i], sizes[i], axis ? 1 : SG_ALL_AXES, apart);
            cr_expect_arr_eq(fused, apart, (size_t)n * sizeof *fused);
        }
}

/* The new value of b is a sum of rows in which all of b is read: it must not stand where b is. */
Test(rewrite, a_sum_does_not_overwrite_what_other_rows_read)
{
    enum { N = 64 }; /* rows that do not share a tile */
    sg_context *g = sg_open();
    sg_tensor *b = sg_param(g, "b", SG_SHAPE(N), .init = SG_CONSTANT, .gain = 1);
    sg_tensor *x = sg_reshape(count(g, SG_SHAPE(N * N)), SG_SHAPE(N, N));
    float expected[N] = {0};
    for (int i = 0; i < N * N; i++)
        expected[i / N] += (float)(i % 7) - 2.5f; /* exactly */
    sg_assign(b, sg_sum(sg_mul(x, b), 1, false));
    cr_expect_eq(sg_eval(b), SG_OK);
    sg_reset(g);
    cr_expect_arr_eq(sg_data(b), expected, sizeof expected);
    sg_close(g);
}

/* ---- slices ---------------------------------------------------------------------------------- */

Test(rewrite, gradients_of_many_slices_need_one_array)
{
    enum { N = 20000 };
    sg_context *g = sg_open();
    float *v = malloc(N * sizeof *v);
    sg_tensor **y = malloc(N * sizeof *y), *d;
    for (int i = 0; i < N; i++)
        v[i] = (float)i;
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(N), v);
    for (int i = 0; i < N; i++)
        y[i] = sg_square(sg_index(x, 0, i));
    sg_grad(sg_add_n(N, y), 1, &x, &d);
    cr_expect(sg_plan_infos(1, &d).workspace < 4 * 64 * N, "%zu", sg_plan_infos(1, &d).workspace);
    const float *got = sg_data(d);
    cr_assert(got, "%s", sg_errmsg(g));
    for (int i = 0; i < N; i++)
        cr_assert(got[i] == 2 * v[i]);
    sg_close(g);
    free(v);
    free(y);
}

/* Slices that overlap, leave gaps, step, or are used beside the whole: the sums of what each gets.
 */
Test(rewrite, gradients_of_slices_in_any_place)
{
    static const struct {
        const char *name;
        int n;
        struct {
            int64_t start, stop, step;
        } s[4];
        bool whole;
    } rows[] = {
        {"side by side", 3, {{0, 4, 1}, {4, 5, 1}, {5, 10, 1}}, false},
        {"in any order", 3, {{4, 5, 1}, {5, 10, 1}, {0, 4, 1}}, false},
        {"with a gap", 2, {{0, 3, 1}, {5, 10, 1}}, false},
        {"overlapping", 3, {{0, 6, 1}, {4, 10, 1}, {2, 3, 1}}, false},
        {"the same twice", 2, {{2, 6, 1}, {2, 6, 1}}, false},
        {"stepping", 2, {{0, 10, 2}, {1, 10, 2}}, false},
        {"backward", 2, {{9, 4, -1}, {4, SG_END, -1}}, false},
        {"beside the whole", 2, {{0, 4, 1}, {4, 10, 1}}, true},
        {"one beside the whole", 1, {{3, 4, 1}}, true},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int axis = 0; axis < 2; axis++) {
            sg_context *g = sg_open(.debug = false);
            sg_tensor *x = count(g, axis ? SG_SHAPE(3, 10) : SG_SHAPE(10, 3)), *y[5], *d;
            double expected[30] = {0};
            int n = 0;
            for (; n < rows[r].n; n++) {
                y[n] = sg_slice(x, axis, rows[r].s[n].start, rows[r].s[n].stop, rows[r].s[n].step);
                y[n] = sg_mul(sg_like(x, n + 1), total_of_squares(y[n]));
            }
            if (rows[r].whole)
                y[n++] = total_of_squares(x);
            sg_tensor *loss = sg_add_n(n, y);
            sg_grad(loss, 1, &x, &d);
            const float *v = sg_data(x), *got = sg_data(d);
            for (int k = 0; k < rows[r].n; k++) {
                int64_t stop = rows[r].s[k].stop == SG_END ? -1 : rows[r].s[k].stop;
                for (int64_t i = rows[r].s[k].start; rows[r].s[k].step > 0 ? i < stop : i > stop;
                     i += rows[r].s[k].step)
                    for (int j = 0; j < 3; j++)
                        expected[axis ? j * 10 + i : i * 3 + j] += k + 1;
            }
            for (int i = 0; i < 30; i++)
                cr_expect(got && fabs(got[i] - 2 * v[i] * (expected[i] + rows[r].whole)) < 1e-5,
                          "%s, axis %d: element %d is %g", rows[r].name, axis, i,
                          got ? (double)got[i] : NAN);
            sg_gradcheck_result c = sg_gradcheck(loss, 1, &x, .order = 2);
            cr_expect(c.ok, "%s, axis %d: %g, %g", rows[r].name, axis, c.error[0], c.error[1]);
            sg_close(g);
        }
}

Test(rewrite, joining_what_is_computed_costs_no_copy)
{
    sg_context *g = sg_open();
    sg_tensor *x = count(g, SG_SHAPE(4, 3, 5)), *h[3];
    for (int t = 0; t < 3; t++)
        h[t] = sg_exp(sg_index(x, 1, t));
    sg_tensor *rows[] = {sg_stack(1, h[0], h[1], h[2]), sg_stack(0, h[0], h[1], h[2]),
                         sg_concat(-1, h[0], h[1], h[2]), sg_pad(h[1], 1, 2, 1, 0)};
    for (int i = 0; i < 4; i++)
        cr_expect_eq(steps_of("copy", 1, &rows[i]), 0, "row %d", i);
    /* what is there already is copied, as what is needed twice is the second time */
    sg_tensor *twice = sg_concat(0, h[0], h[0]);
    cr_expect_eq(steps_of("copy", 1, &twice), 1);
    const float *e = sg_data(rows[0]), *p = sg_data(rows[3]);
    for (int b = 0; b < 4; b++)
        for (int i = 0; i < 5; i++) {
            float v = ((const float *)sg_data(x))[b * 15 + 5 + i];
            cr_expect(fabsf(e[b * 15 + 5 + i] - expf(v)) < 1e-5f);
            cr_expect(p[b * 8] == 0 && p[b * 8 + 7] == 0 && p[b * 8 + 2 + i] == e[b * 15 + 5 + i]);
        }
    sg_close(g);
}

Test(rewrite, all_slices_side_by_side_are_the_array)
{
    sg_context *g = sg_open();
    sg_tensor *x = sg_exp(count(g, SG_SHAPE(4, 3, 5))), *s[3], *y;
    for (int t = 0; t < 3; t++)
        s[t] = sg_index(x, 1, t);
    y = sg_tanh(sg_stack(1, s[0], s[1], s[2]));
    cr_expect_eq(steps_of("copy", 1, &y), 0);
    y = sg_tanh(sg_stack(1, s[0], s[2], s[1]));
    cr_expect_eq(steps_of("copy", 1, &y), 3);
    sg_close(g);
}

/* ---- products -------------------------------------------------------------------------------- */

enum { BATCH = 4, TIME = 6, SIZE = 5 };

/* h_t = tanh(x_t Wx + h_{t-1} Wh), the loop as a user may write it */
static sg_tensor *loop(sg_tensor *x, sg_tensor *wx, sg_tensor *wh)
{
    sg_tensor *h = sg_index(x, 1, 0), *all[TIME];
    for (int t = 0; t < TIME; t++) {
        sg_tensor *xt = sg_index(x, 1, t);
        h = all[t] = sg_tanh(sg_add(sg_matmul(xt, wx), sg_matmul(h, wh)));
    }
    return sg_stack_(1, TIME, all);
}

Test(rewrite, a_weights_gradient_over_time_is_one_product)
{
    sg_context *g = sg_open();
    sg_tensor *x = count(g, SG_SHAPE(BATCH, TIME, SIZE)), *d[2];
    sg_tensor *w[2] = {count(g, SG_SHAPE(SIZE, SIZE)), count(g, SG_SHAPE(SIZE, SIZE))};
    sg_tensor *loss = total_of_squares(loop(x, w[0], w[1]));
    sg_grad(loss, 2, w, d);
    int forward = 1 + TIME, backward = TIME - 1; /* x_t Wx wait for nothing: they are one */
    cr_expect_eq(steps_of("matmul", 2, d), forward + backward + 2, "%d", steps_of("matmul", 2, d));
    /* what comes to h_t from both sides, and to the square from its two operands */
    cr_expect_eq(steps_of("add_n", 2, d), TIME - 1 + 1, "%d", steps_of("add_n", 2, d));
    sg_gradcheck_result c = sg_gradcheck(loss, 2, w, .order = 2);
    cr_expect(c.ok, "%g, %g", c.error[0], c.error[1]);
    sg_close(g);
}

/* Keys that every step transposes anew: their gradient is one product, and so is the values'. */
Test(rewrite, products_behind_one_view_are_joined)
{
    sg_context *g = sg_open();
    sg_tensor *q = count(g, SG_SHAPE(BATCH, TIME, SIZE)), *sum = NULL, *d[2];
    sg_tensor *kv[2] = {count(g, SG_SHAPE(BATCH, 3, SIZE)), count(g, SG_SHAPE(BATCH, 3, SIZE))};
    for (int t = 0; t < TIME; t++) {
        sg_tensor *s = sg_matmul(sg_slice(q, 1, t, t + 1, 1), sg_transpose(kv[0], 1, 2));
        sg_tensor *c = total_of_squares(sg_matmul(sg_tanh(s), kv[1]));
        sum = sum ? sg_add(sum, c) : c;
    }
    sg_grad(sum, 2, kv, d);
    /* scores, contexts, gradients of the weights; of the keys and values */
    cr_expect_eq(steps_of("matmul", 2, d), 3 * TIME + 2, "%d", steps_of("matmul", 2, d));
    sg_gradcheck_result c = sg_gradcheck(sum, 2, kv, .order = 2);
    cr_expect(c.ok, "%g, %g", c.error[0], c.error[1]);
    sg_close(g);
}

/* Products that are long by themselves are added: what they need is not kept until all is there. */
Test(rewrite, long_products_are_not_joined)
{
    for (int rows = 1023; rows <= 1024; rows++) {
        sg_context *g = sg_open(.threads = 1);
        sg_tensor *w = sg_param(g, "w", SG_SHAPE(2, 2)), *d;
        sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(rows, 2), 0.5);
        sg_grad(total_of_squares(sg_matmul(sg_tanh(sg_matmul(x, w)), w)), 1, &w, &d);
        cr_expect_eq(steps_of("matmul", 1, &d), rows < 1024 ? 4 : 5, "%d rows", rows);
        sg_close(g);
    }
}

/* Asking for one of the products, too, changes no bit of their sum. */
Test(rewrite, asking_for_more_changes_no_bit)
{
    sg_context *g = sg_open(), *more = sg_open();
    sg_context *both[] = {g, more};
    sg_tensor *sum[2];
    for (int i = 0; i < 2; i++) {
        sg_tensor *x[3], *y[3], *p[3];
        for (int k = 0; k < 3; k++) {
            x[k] = sg_exp(sg_mul(sg_like(count(both[i], SG_SHAPE(7, 9)), 0.3 * k),
                                 count(both[i], SG_SHAPE(7, 9))));
            y[k] = sg_tanh(count(both[i], SG_SHAPE(9, 8)));
            p[k] = sg_matmul(x[k], y[k]);
        }
        sum[i] = sg_add_n(3, p);
        cr_expect_eq(steps_of("matmul", 1, &sum[i]), 1);
        sg_tensor *asked[] = {p[1], sum[i]};
        cr_assert(sg_eval_(i ? 2 : 1, asked + 1 - i) == SG_OK);
    }
    cr_expect_arr_eq(sg_data(sum[0]), sg_data(sum[1]), 7 * 8 * sizeof(float));
    sg_close(g);
    sg_close(more);
}

/* Terms of several kinds, of several inner sizes, with leading axes; against the sum in doubles. */
Test(rewrite, sums_of_products_and_other_terms)
{
    sg_context *g = sg_open();
    for (int kind = 0; kind < 4; kind++) {
        sg_tensor *x = count(g, SG_SHAPE(2, 3, 6)), *w = count(g, SG_SHAPE(2, 6, 4)), *t[4];
        t[0] = sg_matmul(x, w);
        t[1] = sg_exp(t[0]);
        t[2] = kind & 1 ? sg_matmul(sg_slice(x, 2, 0, 2, 1), sg_slice(w, 1, 1, 3, 1))
                        : sg_matmul(sg_square(x), w);
        t[3] = kind & 2 ? sg_matmul(sg_transpose(sg_exp(sg_transpose(x, 1, 2)), 1, 2), w)
                        : sg_matmul(sg_exp(x), sg_index(w, 0, 1));
        sg_tensor *loss = total_of_squares(sg_tanh(sg_add_n(4, t)));
        sg_gradcheck_result c = sg_gradcheck(loss, 2, ((sg_tensor *[]){x, w}), .order = 2);
        cr_expect(c.ok, "kind %d: %g, %g: %s", kind, c.error[0], c.error[1], sg_errmsg(g));
        sg_reset(g);
    }
    sg_close(g);
}

/* ---- equal nodes ----------------------------------------------------------------------------- */

Test(rewrite, equal_nodes_are_computed_once)
{
    sg_context *g = sg_open();
    sg_tensor *x = count(g, SG_SHAPE(3, 3)), *y[4];
    for (int i = 0; i < 4; i++)
        y[i] = sg_exp(sg_matmul(x, sg_transpose(x, 0, 1)));
    sg_tensor *sum = sg_add_n(4, y), *both[] = {y[0], y[1], sum};
    cr_expect_eq(steps_of("exp", 3, both), 1);
    cr_expect_eq(steps_of("matmul", 3, both), 1);
    cr_assert(sg_eval_(3, both) == SG_OK);
    cr_expect_arr_eq(sg_data(y[0]), sg_data(y[1]), 9 * sizeof(float));
    cr_expect(((const float *)sg_data(sum))[4] == 4 * ((const float *)sg_data(y[0]))[4]);

    /* but two draws are two */
    sg_tensor *u = sg_random_uniform(g, SG_F32, SG_SHAPE(8));
    sg_tensor *v = sg_random_uniform(g, SG_F32, SG_SHAPE(8));
    cr_expect_arr_neq(sg_data(u), sg_data(v), 8 * sizeof(float));
    sg_close(g);
}

/* A row of 6 numbers has as many bytes as the 4 x 6 truths that it is compared into. */
Test(rewrite, as_many_bytes_are_not_as_many_elements)
{
    sg_context *g = sg_open();
    static const int32_t count[] = {0, 1, 2, 3, 4, 5};
    sg_tensor *row = sg_neg(sg_input(g, SG_I32, SG_SHAPE(6), count));
    sg_tensor *column = sg_neg(sg_input(g, SG_I32, SG_SHAPE(4, 1), count));
    sg_tensor *truth = sg_less_equal(row, column); /* [4,6]; the next is over other axes */
    sg_tensor *y =
        sg_where(truth, sg_full(g, SG_F32, SG_SHAPE(2, 4, 6), 1), sg_scalar(g, SG_F32, 0));
    const float *got = sg_data(y);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 6; j++)
            cr_expect(got && got[i * 6 + j] == (j >= i % 4), "%d, %d", i, j);
    sg_close(g);
}

Test(rewrite, many_scopes_of_one_parent)
{
    sg_context *g = sg_open();
    char name[32];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 50000; i++) {
            snprintf(name, sizeof name, "layer%d", i);
            sg_push(g, "", name);
            sg_pop(g);
        }
    sg_push(g, "", "layer7");
    sg_param(g, "w", SG_SHAPE(1));
    cr_expect(sg_ok(g) && sg_find(g, "layer7.w"), "%s", sg_errmsg(g));
    sg_close(g);
}
