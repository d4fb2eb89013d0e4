/* Random numbers: what they depend on, what they do not, and that they look random. */
#include "core/philox.h"
#include "tests/ops_test.h"

/* Known answers of the paper's authors (Random123, kat_vectors). */
Test(random, philox_gives_the_known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        uint32_t out[4];
        sg__philox(rows[k].key, rows[k].counter, out);
        cr_assert(memcmp(out, rows[k].out, sizeof out) == 0, "row %zu", k);
    }
}

typedef sg_tensor *draw(sg_context *g, sg_dtype dtype, sg_shape shape);
static draw *const draws[] = {sg_random_uniform, sg_random_normal};
static const char *const names[] = {"uniform", "normal"};

static bool same(sg_tensor *x, sg_tensor *y, int64_t n)
{
    return memcmp(sg_data(x), sg_data(y), (size_t)n * sizeof(float)) == 0;
}

Test(random, moments)
{
    static const double expected[2][4] = {{0.5, 1. / 3, 0.25, 0.2}, {0, 1, 0, 3}};
    enum { N = 40000 };
    sg_context *g = sg_open();
    for (int k = 0; k < 2; k++)
        for (int d = SG_F32; d <= SG_F64; d++) {
            sg_tensor *x = draws[k](g, (sg_dtype)d, SG_SHAPE(N / 10, 10));
            double moment[4] = {0}, neighbours = 0, last = 0;
            for (int i = 0; i < N; i++) {
                double v = element(x, i), p = 1;
                cr_assert(k == 1 ? fabs(v) < 9 : v >= 0 && v < 1);
                for (int m = 0; m < 4; m++)
                    moment[m] += (p *= v) / N;
                neighbours += (v - expected[k][0]) * last / N;
                last = v - expected[k][0];
            }
            for (int m = 0; m < 4; m++) /* five standard deviations of the widest */
                cr_assert(fabs(moment[m] - expected[k][m]) < (k ? 0.25 : 0.01),
                          "%s: moment %d is %g", names[k], m + 1, moment[m]);
            cr_assert(fabs(moment[0] - expected[k][0]) < 0.025, "%s: mean %g", names[k], moment[0]);
            cr_assert(fabs(neighbours) < 0.025, "%s: neighbours go together", names[k]);
        }
    sg_close(g);
}

Test(random, depends_on_seed_reset_scope_and_number_only)
{
    for (int k = 0; k < 2; k++) {
        sg_context *g = sg_open(.seed = 5), *h = sg_open(.seed = 5), *other = sg_open(.seed = 6);
        sg_tensor *a = draws[k](g, SG_F32, SG_SHAPE(2, 6)),
                  *b = draws[k](g, SG_F32, SG_SHAPE(2, 6));
        sg_push(g, "lstm", "enc");
        sg_tensor *c = draws[k](g, SG_F32, SG_SHAPE(2, 6));
        sg_pop(g);
        cr_assert(!same(a, b, 12) && !same(a, c, 12) && !same(b, c, 12));
        /* evaluated in another order, after other nodes, the draws are the same */
        sample(h, SG_F32, SG_SHAPE(3), 1);
        sg_push(h, "lstm", "enc");
        sg_tensor *hc = draws[k](h, SG_F32, SG_SHAPE(2, 6));
        sg_pop(h);
        sg_tensor *ha = draws[k](h, SG_F32, SG_SHAPE(2, 6)),
                  *hb = draws[k](h, SG_F32, SG_SHAPE(2, 6));
        cr_assert(same(b, hb, 12) && same(c, hc, 12) && same(a, ha, 12));
        cr_assert(!same(a, draws[k](other, SG_F32, SG_SHAPE(2, 6)), 12));
        float first[12];
        memcpy(first, sg_data(a), sizeof first);
        sg_reset(g);
        a = draws[k](g, SG_F32, SG_SHAPE(2, 6));
        cr_assert(memcmp(first, sg_data(a), sizeof first) != 0, "a reset starts other draws");
        sg_close(g);
        sg_close(h);
        sg_close(other);
    }
}

/* A row's numbers depend neither on the rows beside it nor on how long the row is. */
Test(random, rows_and_columns_stand_for_themselves)
{
    static const sg_shape shapes[] = {{2, {2, 5}}, {2, {7, 5}}, {3, {2, 3, 5}}, {2, {2, 9}}};
    for (int k = 0; k < 2; k++) {
        double kept[5] = {0};
        for (int s = 0; s < 4; s++) {
            sg_context *g = sg_open(.seed = 9);
            sg_tensor *x = draws[k](g, SG_F32, shapes[s]);
            int64_t width = sg_dim(x, -1);
            for (int i = 0; i < 5; i++) {
                if (s == 0)
                    kept[i] = element(x, width + i);
                cr_assert_eq(element(x, width + i), kept[i], "%s, shape %d", names[k], s);
            }
            sg_close(g);
        }
    }
}

Test(random, doubles_extend_the_floats)
{
    for (int k = 0; k < 2; k++) {
        sg_context *g = sg_open(.seed = 9), *h = sg_open(.seed = 9);
        sg_tensor *x = draws[k](g, SG_F32, SG_SHAPE(50, 7)),
                  *y = draws[k](h, SG_F64, SG_SHAPE(50, 7));
        int longer = 0;
        for (int i = 0; i < 350; i++) {
            is_near(y, i, element(x, i), 2e-5, names[k]);
            longer += element(y, i) != (double)(float)element(y, i);
        }
        cr_assert(longer > 300, "only %d of 350 have more bits", longer);
        sg_close(g);
        sg_close(h);
    }
}

Test(random, bernoulli_has_its_probability)
{
    sg_context *g = sg_open();
    static const double p[] = {0, 0.1, 0.5, 0.9, 1};
    for (int k = 0; k < 5; k++) {
        sg_tensor *x = sg_random_bernoulli(g, SG_SHAPE(100, 100), p[k]);
        double sum = 0;
        for (int i = 0; i < 10000; i++)
            sum += element(x, i);
        double deviation = 5 * sqrt(p[k] * (1 - p[k]) / 10000);
        cr_assert(fabs(sum / 10000 - p[k]) <= deviation, "p %g: %g", p[k], sum / 10000);
    }
    FAILS(g, sg_random_bernoulli(g, SG_SHAPE(2), 1.5), "random_bernoulli: 1.5 is no probability");
    FAILS(g, sg_random_bernoulli(g, SG_SHAPE(2), NAN), "no probability");
    sg_close(g);
}

Test(random, odd_and_bad_shapes)
{
    sg_context *g = sg_open();
    for (int k = 0; k < 2; k++) {
        has_shape(draws[k](g, SG_F32, SG_SCALAR), SG_SCALAR, "scalar");
        cr_assert(isfinite(element(draws[k](g, SG_F64, SG_SCALAR), 0)));
        cr_assert_eq(
            sg_eval(draws[k](g, SG_F32, SG_SHAPE(3, 0)), draws[k](g, SG_F32, SG_SHAPE(0, 3))),
            SG_OK, "%s", sg_errmsg(g));
        FAILS(g, draws[k](g, SG_F32, SG_SHAPE(2, -1)), "negative size in shape [2,-1]");
        FAILS(g, draws[k](g, SG_F32, SG_SHAPE(INT64_MAX, INT64_MAX)), "too many elements");
        FAILS(g, draws[k](g, SG_F32, ((sg_shape){.rank = 9})), "a shape of 9 axes");
        FAILS(g, draws[k](g, SG_I32, SG_SHAPE(2)), "neither f32 nor f64");
    }
    sg_close(g);
}

/* Seed and reset count are values: the same recording after a reset needs no new plan. */
Test(random, draws_do_not_enter_the_plans_key)
{
    sg_context *g = sg_open();
    for (int k = 0; k < 3; k++, sg_reset(g)) {
        sg_tensor *m = sg_random_bernoulli(g, SG_SHAPE(4, 4), 0.5);
        cr_assert_eq(sg_eval(m), SG_OK, "%s", sg_errmsg(g));
    }
    cr_assert_eq(sg_stats(g).misses, 1);
    sg_close(g);
}
