/*
 * Gradients of rows: what the planner computes for the rows of a table that were looked up has the
 * bits of what it would compute for all, and no step goes over the table.
 */
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 50, MOST = 64, LINE = 512 };

#define PASS "sparse"

/* ---- two contexts: rows, and the whole table ------------------------------------------------- */

typedef sg_tensor *model(sg_context *g, int step);
typedef struct setting {
    const char *name;
    model *loss;
    sg_optimizer_options o;
    bool fails;
} setting;

static sg_tensor *table(sg_context *g, sg_dtype type, int64_t width)
{
    return sg_param(g, "table", SG_SHAPE(ROWS, width), SG_UNIFORM, .dtype = type);
}

static sg_tensor *indices(sg_context *g, int n, int first, int by)
{
    int32_t i[MOST];
    for (int k = 0; k < n; k++)
        i[k] = (first + k * k * by) % ROWS;
    return sg_input(g, SG_I32, SG_SHAPE(n), i);
}

static sg_tensor *loss_of(sg_tensor *rows)
{
    return sg_sum(sg_mul(sg_like(rows, 3), sg_sin(sg_mul(rows, rows))), SG_ALL_AXES, false);
}

/* repeated rows: squares modulo 50 */
static sg_tensor *repeated(sg_context *g, int step)
{
    return loss_of(sg_take(table(g, SG_F32, 7), indices(g, 12, step, 1)));
}

static sg_tensor *one_row_twice(sg_context *g, int step)
{
    return loss_of(sg_take(table(g, SG_F32, 16), indices(g, 2, step, 0)));
}

static sg_tensor *in_doubles(sg_context *g, int step)
{
    return loss_of(sg_take(table(g, SG_F64, 5), indices(g, 9, step, 3)));
}

static sg_tensor *two_lookups(sg_context *g, int step)
{
    sg_tensor *t = table(g, SG_F32, 20), *more = sg_take(t, indices(g, 6, 3 * step, 7));
    sg_tensor *square = sg_reshape(indices(g, 6, step, 1), SG_SHAPE(2, 3));
    return sg_add(loss_of(sg_take(t, square)), loss_of(sg_sum(more, 0, true)));
}

static sg_tensor *with_others(sg_context *g, int step)
{
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(7, 4)), *b = sg_param(g, "b", SG_SCALAR);
    sg_tensor *x = sg_take(table(g, SG_F32, 7), indices(g, 10, step, 1));
    return loss_of(sg_add(sg_matmul(x, w), b));
}

/* the whole table is in the loss, too: no gradient of rows */
static sg_tensor *tied(sg_context *g, int step)
{
    sg_tensor *t = table(g, SG_F32, 7), *x = sg_take(t, indices(g, 10, step, 1));
    return loss_of(sg_matmul(x, sg_transpose(t, 0, 1)));
}

static sg_tensor *nothing(sg_context *g, int step)
{
    (void)step;
    return loss_of(sg_take(table(g, SG_F32, 7), indices(g, 0, 0, 1)));
}

static sg_tensor *most_rows(sg_context *g, int step)
{
    return loss_of(sg_take(table(g, SG_F32, 7), indices(g, 40, step, 1)));
}

static sg_tensor *of_scalars(sg_context *g, int step)
{
    sg_tensor *t = sg_param(g, "t", SG_SHAPE(ROWS), SG_UNIFORM);
    return loss_of(sg_take(t, indices(g, 9, step, 1)));
}

static sg_tensor *of_matrices(sg_context *g, int step)
{
    sg_tensor *t = sg_param(g, "t", SG_SHAPE(ROWS, 3, 5), SG_UNIFORM);
    return loss_of(sg_index(sg_take(t, indices(g, 9, step, 1)), 0, step));
}

/* one row without axes of indices; a loss that is not finite from the second step on */
static sg_tensor *diverging(sg_context *g, int step)
{
    sg_tensor *i = sg_reshape(indices(g, 1, 7, 1), SG_SCALAR);
    sg_tensor *x = loss_of(sg_take(table(g, SG_F32, 7), i));
    return step == 2 ? sg_mul(x, sg_like(x, INFINITY)) : x;
}

static sg_tensor *outside(sg_context *g, int step)
{
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(7)), *t = table(g, SG_F32, 7);
    sg_tensor *i = sg_input(g, SG_I32, SG_SHAPE(2), (int32_t[]){1, step == 2 ? ROWS : 2});
    return loss_of(sg_mul(w, sg_take(t, i)));
}

static void same_params(const setting *s, int step, sg_context *a, sg_context *b)
{
    sg_tensor *x = NULL, *y = NULL;
    while ((x = sg_next_param(a, x, true)) && (y = sg_next_param(b, y, true))) {
        size_t bytes = (size_t)sg_size(x) * (sg_type(x) == SG_F64  ? 8
                                             : sg_type(x) == SG_U8 ? 1
                                                                   : 4);
        cr_assert_str_eq(sg_name(x), sg_name(y));
        cr_expect(memcmp(sg_data(x), sg_data(y), bytes) == 0, "%s, step %d: \"%s\" differs",
                  s->name, step, sg_name(x));
    }
}

/* Some steps in both contexts: the same losses, norms, parameters and errors, to the bit. */
static void compare(const setting *s, int threads)
{
    sg_context *g[2] = {sg_open(.threads = threads), sg_open(.threads = threads, .without = PASS)};
    sg_optimizer o[2];
    for (int k = 0; k < 2; k++) {
        sg_optimizer_options with = s->o;
        with.g = g[k];
        o[k] = sg_make_optimizer(with);
    }
    for (int step = 0; step < 5; step++) {
        double norm[2] = {0}, loss[2];
        for (int k = 0; k < 2; k++) {
            sg_tensor *x = s->loss(g[k], step);
            sg_step(&o[k], x);
            loss[k] = sg_ok(g[k]) ? sg_item(x) : 0;
            norm[k] = sg_ok(g[k]) && o[k].norm ? sg_item(o[k].norm) : 0;
        }
        cr_expect(memcmp(&loss[0], &loss[1], sizeof *loss) == 0, "%s: loss", s->name);
        cr_expect(memcmp(&norm[0], &norm[1], sizeof *norm) == 0, "%s: norm %.17g, not %.17g",
                  s->name, norm[0], norm[1]);
        cr_expect_str_eq(sg_errmsg(g[0]), sg_errmsg(g[1]));
        cr_expect_eq(sg_ok(g[0]), !s->fails || step != 2, "%s: %s", s->name, sg_errmsg(g[0]));
        for (int k = 0; k < 2; k++)
            sg_clear(g[k]);
        same_params(s, step, g[0], g[1]);
    }
    for (int k = 0; k < 2; k++)
        sg_close(g[k]);
}

static const sg_optimizer_options updates[] = {
    {.kind = SG_SGD, .rate = 0.1},
    {.kind = SG_SGD, .rate = 0.1, .clip_norm = 0.5},
    {.kind = SG_SGD, .rate = 0.1, .clip_value = 0.2, .lazy = true},
    {.kind = SG_SGD, .rate = 0.1, .momentum = 0.9, .nesterov = true, .clip_norm = 0.5},
    {.kind = SG_SGD, .rate = 0.1, .momentum = 0.9, .decay = 0.1, .lazy = true},
    {.kind = SG_SGD, .rate = 0.1, .decay = 0.1, .clip_norm = 1},
    {.kind = SG_ADAM, .rate = 0.1, .clip_norm = 0.5},
    {.kind = SG_ADAM, .rate = 0.1, .clip_norm = 0.5, .decay = 0.1, .lazy = true},
    {.kind = SG_ADAMW, .rate = 0.1, .decay = 0.1, .lazy = true},
    {.kind = SG_ADAM, .rate = 0.1, .accumulate = 2, .clip_norm = 0.5, .lazy = true},
};

Test(sparse, training_has_the_bits_of_whole_tables)
{
    static const setting models[] = {
        {"repeated", repeated},       {"twice", one_row_twice},
        {"doubles", in_doubles},      {"two lookups", two_lookups},
        {"with others", with_others}, {"tied", tied},
        {"nothing", nothing},         {"most rows", most_rows},
        {"of scalars", of_scalars},   {"of matrices", of_matrices},
        {"diverging", diverging},     {"outside", outside, .fails = 1}};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (size_t k = 0; k < sizeof updates / sizeof *updates; k++) {
            setting s = models[i];
            char name[80];
            snprintf(name, sizeof name, "%s, update %zu", s.name, k);
            s.name = name;
            s.o = updates[k];
            compare(&s, 1);
            compare(&s, 3);
        }
}

/* ---- what is not done ------------------------------------------------------------------------ */

/* How many arrays of as many rows as the table a step of the plan reads or writes, but for looking
 * up rows and updating them. */
static int whole_tables(sg_context *g, sg_tensor *loss, int rows)
{
    char line[LINE], of[16], *text = NULL;
    size_t size = 0;
    int found = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_plan(f, 1, &loss);
    fclose(f);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    f = fmemopen(text, size, "r");
    snprintf(of, sizeof of, "[%d", rows);
    while (fgets(line, sizeof line, f)) {
        bool by_rows =
            strstr(line, " take ") || strstr(line, " take_rows ") || strstr(line, " update_rows ");
        found += !by_rows && strstr(line, of) != NULL;
    }
    fclose(f);
    if (found)
        fputs(text, stderr);
    free(text);
    return found;
}

/* As sg_step does, but without evaluating it */
static void clip_and_descend(sg_context *g, sg_tensor *loss)
{
    sg_tensor *p = sg_next_param(g, NULL, false), *d;
    sg_grad(loss, 1, &p, &d);
    sg_clip_norm(1, &d, 1);
    sg_assign(p, sg_sub(p, sg_mul(sg_like(d, 0.1), d)));
}

Test(sparse, no_step_goes_over_the_table)
{
    model *const models[] = {repeated, one_row_twice, in_doubles, two_lookups};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        sg_context *g = sg_open();
        sg_tensor *loss = models[i](g, 0);
        clip_and_descend(g, loss);
        cr_expect_eq(whole_tables(g, loss, ROWS), 0, "model %zu", i);
        sg_close(g);
    }
}

Test(sparse, lazy_moments_are_computed_for_rows_only)
{
    sg_context *g = sg_open();
    sg_tensor *loss = two_lookups(g, 0), *p = sg_next_param(g, NULL, false), *d;
    sg_tensor *m = sg_buffer(g, "m", SG_F32, sg_shape_of(p), 0);
    sg_grad(loss, 1, &p, &d);
    sg_tensor *touched = sg_touched(d), *half = sg_like(d, 0.5);
    sg_clip_norm(1, &d, 1);
    sg_tensor *next = sg_add(sg_mul(half, m), sg_mul(half, d));
    sg_assign(m, sg_where(touched, next, m));
    sg_assign(p, sg_where(touched, sg_sub(p, sg_div(next, sg_exp(next))), p));
    cr_expect_eq(whole_tables(g, loss, ROWS), 0);
    sg_close(g);
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

/* ---- by hand --------------------------------------------------------------------------------- */

/* New values of the wrong kind, or that are looked at elsewhere, too; sums of rows that are not 0.
 */
Test(sparse, other_uses_of_rows)
{
    for (int kind = 0; kind < 13; kind++) {
        float *got[2][3];
        for (int whole = 0; whole < 2; whole++) {
            sg_context *g = sg_open(.threads = 2, .without = whole ? PASS : NULL);
            sg_tensor *p = table(g, SG_F32, 6),
                      *q = sg_buffer(g, "q", SG_F32, SG_SHAPE(ROWS, 6), 2);
            if (kind == 2)
                sg_set(p, (float[ROWS * 6]){[18] = -0.0f});
            sg_tensor *y = sg_sin(sg_take(p, indices(g, 8, 3, 1))), *next, *more = NULL;
            sg_tensor *x = sg_scatter_add(y, indices(g, 8, 1, 1), ROWS), *mask = sg_touched(x);
            sg_tensor *other = sg_scatter_add(y, indices(g, 8, 2, 5), ROWS);
            switch (kind) {
            case 0: /* the wrong way round */
                next = sg_sub(x, p);
                break;
            case 1: /* x op p is x, where x is -0 */
                next = sg_add(sg_neg(x), p);
                break;
            case 2: /* p is -0, and becomes 0 */
                next = sg_add(p, x);
                break;
            case 3: /* changes all rows */
                next = sg_sub(p, sg_exp(x));
                break;
            case 4:
                next = sg_sub(p, sg_mul(x, sg_add(x, sg_broadcast_to(sg_like(x, 2), SG_SHAPE(6)))));
                break;
            case 5: /* of other rows */
                next = sg_sub(p, sg_mul(x, other));
                break;
            case 6: /* the mask is of other rows */
                next = sg_where(mask, sg_add(other, sg_mul(q, p)), p);
                break;
            case 7: /* where not */
                next = sg_where(sg_logical_not(mask), sg_mul(q, p), p);
                break;
            case 8: /* not of itself */
                next = sg_where(mask, sg_exp(p), q);
                break;
            case 9: /* the next value is wanted, and another's */
                next = more = sg_sub(p, x);
                sg_assign(q, sg_sub(q, sg_mul(p, x)));
                break;
            case 10: /* the old one is another's next one */
                next = sg_where(mask, sg_sum(sg_mul(p, q), 0, false), p);
                sg_assign(q, p);
                break;
            case 11: /* of what is computed before the indices are met */
                more = sg_exp(q);
                next = sg_where(mask, sg_add(more, q), p);
                break;
            default: /* both from the other's old rows */
                next = sg_where(mask, sg_add(x, q), p);
                sg_assign(q, sg_where(mask, sg_tanh(p), q));
            }
            sg_assign(p, next);
            more = more ? more : sg_exp(x);
            sg_tensor *sums =
                sg_stack(0, sg_sum(more, SG_ALL_AXES, false), sg_sum(sg_cos(x), SG_ALL_AXES, false),
                         sg_sum(sg_neg(x), SG_ALL_AXES, false));
            cr_assert(sg_eval(sums, more) == SG_OK, "kind %d: %s", kind, sg_errmsg(g));
            sg_tensor *all[] = {p, q, sums};
            for (int k = 0; k < 3; k++) {
                size_t bytes = (size_t)sg_size(all[k]) * sizeof(float);
                got[whole][k] = memcpy(malloc(bytes), sg_data(all[k]), bytes);
                if (whole)
                    cr_expect(memcmp(got[0][k], got[1][k], bytes) == 0, "kind %d, result %d", kind,
                              k);
            }
            sg_close(g);
        }
        for (int k = 0; k < 6; k++)
            free(got[k / 3][k % 3]);
    }
}
