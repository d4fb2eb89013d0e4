/* Gradients of rows: which rows an optimizer that is lazy changes. */
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { ROWS = 50, MOST = 64 };

static sg_tensor *indices(sg_context *g, int n, int first, int by)
{
    int32_t i[MOST];
    for (int k = 0; k < n; k++)
        i[k] = (first + k * k * by) % ROWS;
    return sg_input(g, SG_I32, SG_SHAPE(n), i);
}

/* ---- what lazy means ------------------------------------------------------------------------- */

/* Adam of the rows that a step sees, by the formulas */
Test(sparse, lazy_adam_is_adam_of_the_rows_seen)
{
    enum { E = 3, N = 4, STEPS = 6 };
    double p[ROWS][E], m[ROWS][E] = {{0}}, v[ROWS][E] = {{0}};
    sg_context *g = sg_open();
    sg_tensor *t = sg_param(g, "t", SG_SHAPE(ROWS, E), SG_UNIFORM, .dtype = SG_F64);
    sg_optimizer s = sg_adam(g, .rate = 0.1, .lazy = true, .decay = 0.01);
    memcpy(p, sg_data(t), sizeof p);
    for (int step = 1; step <= STEPS; step++) {
        double d[ROWS][E] = {{0}};
        int32_t i[N] = {step, 2 * step, 30, 30};
        bool seen[ROWS] = {false};
        sg_tensor *x = sg_take(t, sg_input(g, SG_I32, SG_SHAPE(N), i));
        cr_assert(sg_step(&s, sg_sum(sg_sin(x), SG_ALL_AXES, false)) == SG_OK, "%s", sg_errmsg(g));
        for (int k = 0; k < N; k++) {
            seen[i[k]] = true;
            for (int j = 0; j < E; j++)
                d[i[k]][j] += cos(p[i[k]][j]);
        }
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; seen[r] && j < E; j++) {
                d[r][j] += 0.01 * p[r][j];
                m[r][j] = 0.9 * m[r][j] + 0.1 * d[r][j];
                v[r][j] = 0.999 * v[r][j] + 0.001 * d[r][j] * d[r][j];
                p[r][j] -= 0.1 * m[r][j] / (1 - pow(0.9, step)) /
                           (sqrt(v[r][j] / (1 - pow(0.999, step))) + 1e-8);
            }
        for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < E; j++) {
                double got = ((const double *)sg_data(t))[r * E + j];
                cr_assert(seen[r] ? fabs(got - p[r][j]) < 1e-12 : got == p[r][j],
                          "step %d, row %d: %g, not %g", step, r, got, p[r][j]);
                p[r][j] = got;
            }
        sg_reset(g);
    }
    sg_close(g);
}

/* An update changes the rows that any of its steps has seen, and no others. */
Test(sparse, lazy_updates_of_accumulated_steps)
{
    static const int32_t rows[] = {1, 2, 3, 3, 2, 2};
    float before[ROWS];
    sg_context *g = sg_open();
    sg_tensor *t = sg_param(g, "t", SG_SHAPE(ROWS, 1), SG_UNIFORM);
    sg_optimizer s = sg_sgd(g, .rate = 0.1, .momentum = 0.9, .accumulate = 2, .lazy = true);
    for (int step = 0; step < 6; step++) {
        if (step % 2 == 0)
            memcpy(before, sg_data(t), sizeof before);
        sg_tensor *x = sg_take(t, sg_input(g, SG_I32, SG_SHAPE(1), rows + step));
        cr_assert(sg_step(&s, sg_sum(sg_sin(x), SG_ALL_AXES, false)) == SG_OK, "%s", sg_errmsg(g));
        for (int r = 0; r < ROWS; r++) {
            bool seen = step % 2 && (r == rows[step] || r == rows[step - 1]);
            float now = ((const float *)sg_data(t))[r];
            cr_expect((now != before[r]) == seen, "step %d, row %d", step, r);
        }
        sg_reset(g);
    }
    sg_close(g);
}

Test(sparse, touched_rows)
{
    sg_context *g = sg_open();
    sg_tensor *y = sg_full(g, SG_F32, SG_SHAPE(3, 2), 0), *i = indices(g, 3, 4, 2); /* 4 6 12 */
    sg_tensor *x = sg_scatter_add(y, i, ROWS), *t = sg_touched(x);
    cr_assert(t && sg_type(t) == SG_U8 && sg_rank(t) == 2 && sg_dim(t, 1) == 1);
    const uint8_t *v = sg_data(t);
    for (int k = 0; k < ROWS; k++)
        cr_expect_eq(v[k], k == 4 || k == 6 || k == 12);
    sg_tensor *two[] = {x, sg_scatter_add(y, indices(g, 3, 5, 0), ROWS)};
    v = sg_data(sg_touched(sg_add_n(2, two)));
    for (int k = 0; k < ROWS; k++)
        cr_expect_eq(v[k], k == 4 || k == 5 || k == 6 || k == 12);
    two[1] = sg_full(g, SG_F32, SG_SHAPE(ROWS, 2), 1);
    cr_expect(!sg_touched(sg_add_n(2, two)) && !sg_touched(y) && !sg_touched(sg_exp(x)));
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}
