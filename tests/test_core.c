/* What a tensor, a value, an update and a random draw mean: the promises of core.h. */
#include "ops/ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const float six[6] = {1, 2, 3, 4, 5, 6};

static sg_tensor *input(sg_context *g)
{
    return sg_input(g, SG_F32, SG_SHAPE(2, 3), six);
}

static void expect_error(sg_context *g, sg_status s, const char *message)
{
    cr_expect(sg_error(g) == s, "status %s, not %s: %s", sg_status_name(sg_error(g)),
              sg_status_name(s), sg_errmsg(g));
    cr_expect_str_eq(sg_errmsg(g), message);
    sg_clear(g);
}

static void square_kernel(size_t n, void *out, const void *const *in, unsigned single)
{
    for (size_t i = 0; i < n; i++)
        ((double *)out)[i] = pow(((const double *)in[0])[single ? 0 : i], 2);
}

Test(core, shapes_and_types_are_known_at_the_call)
{
    sg_context *g = sg_open();
    sg_tensor *x = input(g), *y = sg_add(x, sg_scalar(g, SG_F32, 1));
    cr_expect(sg_rank(y) == 2 && sg_dim(y, 0) == 2 && sg_dim(y, -1) == 3 && sg_size(y) == 6);
    cr_expect(sg_type(y) == SG_F32 && sg_context_of(y) == g);
    cr_expect(sg_stats(g).runs == 0, "nothing runs before somebody asks");
    cr_expect(sg_item(sg_sum(y, SG_ALL_AXES, false)) == 27);
    cr_expect(sg_stats(g).runs == 1);
    sg_close(g);
}

Test(core, the_first_error_sticks_and_later_calls_are_inert)
{
    sg_context *g = sg_open();
    sg_tensor *x = input(g);
    sg_tensor *bad = sg_add(x, sg_input(g, SG_F32, SG_SHAPE(5), NULL));
    cr_expect(sg_is_nil(bad));
    cr_expect(sg_is_nil(sg_mul(bad, x)) && sg_is_nil(sg_exp(x)), "all is inert now");
    cr_expect(sg_data(x) == NULL && isnan(sg_item(bad)));
    sg_fail(g, SG_IO, "a second error");
    sg_reset(g);
    expect_error(g, SG_BAD_SHAPE, "add: shapes do not broadcast: x[2,3], y[5]");
    cr_expect(sg_ok(g) && !*sg_errmsg(g));
    cr_expect(sg_item(sg_sum(input(g), SG_ALL_AXES, false)) == 21, "usable after sg_clear");
    sg_close(g);
}

Test(core, messages_name_scopes_operands_and_types)
{
    sg_context *g = sg_open();
    sg_push(g, "encoder", "enc");
    sg_push(g, "lstm", "fw");
    sg_tensor *w = sg_param(g, "wx", SG_SHAPE(4, 5));
    sg_pop(g);
    sg_matmul(input(g), w);
    sg_pop(g);
    cr_expect_str_eq(sg_name(w), "enc.fw.wx");
    expect_error(g, SG_BAD_SHAPE,
                 "encoder \"enc\": matmul: inner dimensions differ: x[2,3], wx[4,5]");
    sg_mul(sg_input(g, SG_F64, SG_SHAPE(2), NULL), sg_input(g, SG_F32, SG_SHAPE(2), NULL));
    expect_error(g, SG_BAD_DTYPE, "mul: operands of different types: x[2] f64, y[2]");
    sg_tanh(sg_input(g, SG_I32, SG_SHAPE(2), NULL));
    expect_error(g, SG_BAD_DTYPE, "tanh: not defined for i32: x[2] i32");
    sg_close(g);
}

Test(core, wrong_tensors)
{
    sg_context *g = sg_open(), *h = sg_open();
    sg_tensor *x = input(g);
    sg_add(x, input(h));
    expect_error(g, SG_BAD_CONTEXT, "add: operands of two contexts");
    x = input(g);
    sg_reset(g);
    sg_exp(x);
    expect_error(g, SG_STALE, "exp: an operand was made before the last sg_reset");
    sg_add(input(g), NULL);
    expect_error(g, SG_BAD_ARGUMENT, "add: an operand is NULL");
    cr_expect(sg_is_nil(sg_exp(NULL)), "no context to tell it to, but no crash");
    sg_tensor *nil = sg_fail(g, SG_IO, "x");
    sg_clear(g);
    sg_exp(nil);
    expect_error(g, SG_BAD_ARGUMENT, "exp: an operand is the inert tensor of an earlier error");
    sg_close(h);
    sg_close(g);
}

Test(core, leaves)
{
    sg_context *g = sg_open();
    static const struct {
        sg_shape shape;
        const char *message;
    } bad[] = {
        {{9, {1, 1, 1, 1, 1, 1, 1, 1}}, "a shape of 9 axes: at most 8 are possible"},
        {{2, {3, -1}}, "negative size in shape [3,-1]"},
        {{3, {INT64_C(1) << 40, INT64_C(1) << 40, 2}},
         "too many elements in shape [1099511627776,1099511627776,2]"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sg_input(g, SG_F32, bad[i].shape, NULL);
        expect_error(g, SG_BAD_SHAPE, bad[i].message);
    }
    sg_input(g, SG_F32, SG_SHAPE(INT64_C(1) << 50), NULL);
    expect_error(g, SG_NO_MEMORY, "no memory for an input");
    sg_scalar(g, SG_U8, 256);
    expect_error(g, SG_BAD_ARGUMENT, "256 does not fit into u8");
    float mine[2] = {1, 2};
    sg_tensor *copied = sg_input(g, SG_F32, SG_SHAPE(2), mine);
    sg_tensor *borrowed = sg_borrow(g, SG_F32, SG_SHAPE(2), mine);
    mine[0] = 10;
    cr_expect(((const float *)sg_data(copied))[0] == 1);
    cr_expect(((const float *)sg_data(borrowed))[0] == 10);
    cr_expect(sg_item(sg_sum(sg_full(g, SG_F64, SG_SHAPE(3, 4), 0.5), SG_ALL_AXES, false)) == 6);
    cr_expect(sg_item(sg_sum(sg_input(g, SG_F32, SG_SHAPE(0, 4), NULL), SG_ALL_AXES, false)) == 0);
    sg_close(g);
}

Test(core, common_constants_are_shared_and_others_never)
{
    sg_context *g = sg_open();
    for (int step = 0; step < 3; step++, sg_reset(g)) {
        sg_tensor *x = input(g), *one = sg_like(x, 1);
        sg_tensor *wide = sg_like(sg_input(g, SG_F64, SG_SCALAR, NULL), 1);
        cr_expect(sg_like(x, 1) == one && wide != one && sg_like(x, -1) != one);
        cr_expect(sg_like(x, -0.0) != sg_like(x, 0));
        cr_expect(sg_like(x, 0.1) != sg_like(x, 0.1), "a rate may change: graphs must not");
        cr_expect(sg_scalar(g, SG_F32, 1) != one);
        sg_tensor *y = sg_mul(sg_add(x, one), sg_like(x, 0.5));
        cr_expect(((const float *)sg_data(y))[1] == 1.5f && sg_item(one) == 1);
    }
    cr_expect(sg_ok(g) && sg_stats(g).misses == 1);
    sg_close(g);
}

Test(core, what_was_asked_for_keeps_its_value)
{
    sg_context *g = sg_open();
    sg_tensor *x = input(g), *h = sg_tanh(x), *y = sg_exp(h), *z = sg_log(y);
    sg_eval(h, y);
    cr_expect(sg_stats(g).recomputed == 0);
    sg_data(z);
    cr_expect(sg_stats(g).recomputed == 0, "y is a leaf by now");
    sg_tensor *a = sg_sin(x), *b = sg_cos(a), *c = sg_mul(a, a);
    float first[6], again[6];
    sg_data(b);
    memcpy(first, sg_data(c), sizeof first);
    cr_expect(sg_stats(g).recomputed == 1, "a was not asked for");
    memcpy(again, sg_data(sg_mul(a, a)), sizeof again);
    cr_expect_arr_eq(first, again, sizeof first, "and has the same bits");
    sg_tensor *w = sg_want(sg_sqrt(y)), *v = sg_neg(y);
    sg_data(v);
    uint64_t runs = sg_stats(g).runs;
    sg_data(w);
    cr_expect(sg_stats(g).runs == runs, "wanted: it was computed with v");
    sg_close(g);
}

Test(core, equal_graphs_share_a_plan_whatever_order_they_are_built_in)
{
    sg_context *g = sg_open();
    for (int i = 0; i < 4; i++) {
        sg_tensor *x = input(g), *c = sg_scalar(g, SG_F32, i), *l, *r;
        if (i % 2) {
            l = sg_exp(x);
            r = sg_tanh(sg_mul(x, c));
        } else {
            r = sg_tanh(sg_mul(x, c));
            l = sg_exp(x);
        }
        sg_data(sg_add(l, r));
        sg_reset(g);
    }
    cr_expect(sg_stats(g).misses == 1 && sg_stats(g).hits == 3, "%d misses, %d hits",
              (int)sg_stats(g).misses, (int)sg_stats(g).hits);
    sg_tensor *x = input(g);
    sg_data(sg_add(sg_exp(x), sg_tanh(sg_mul(x, x))));
    cr_expect(sg_stats(g).misses == 2, "one operand differs");
    sg_close(g);
}

Test(core, the_cache_is_bounded)
{
    sg_context *g = sg_open(.cache_plans = 3);
    for (int round = 0; round < 2; round++)
        for (int n = 1; n <= 5; n++)
            sg_data(sg_exp(sg_input(g, SG_F32, SG_SHAPE(n), NULL)));
    cr_expect(sg_stats(g).plans == 3 && sg_stats(g).misses == 10);
    sg_close(g);
}

Test(core, plans_can_be_forgotten)
{
    sg_context *g = sg_open();
    for (int i = 0; i < 4; i++, sg_reset(g)) {
        if (i >= 2)
            sg_forget_plans(g);
        cr_expect(*(const float *)sg_data(sg_add(input(g), input(g))) != 0);
    }
    sg_stat s = sg_stats(g);
    cr_expect(s.misses == 3 && s.hits == 1 && s.plans == 1 && s.planned == 9);
    cr_expect(s.find_seconds > 0 && s.make_seconds > 0 && s.run_seconds > 0);
    sg_close(g);
}

Test(core, updates)
{
    sg_context *g = sg_open();
    float zero[2] = {1, 2};
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(2), .data = zero);
    sg_tensor *q = sg_param(g, "q", SG_SHAPE(2), .data = six);
    sg_tensor *before = sg_mul(p, p), *late = sg_exp(p);
    sg_assign(p, q);
    sg_assign(q, p); /* both mean the values before the plan: they are swapped */
    cr_expect(((const float *)sg_data(before))[1] == 4, "p before the plan");
    cr_expect(((const float *)sg_data(p))[1] == 2 && ((const float *)sg_data(q))[0] == 1);
    cr_expect(((const float *)sg_data(before))[1] == 4, "it keeps its value");
    sg_data(late);
    expect_error(g, SG_STALE, "exp: was recorded before its parameter was overwritten: p[2]");
    cr_expect(((const float *)sg_data(sg_mul(p, p)))[1] == 4);
    sg_tensor *x = sg_mul(p, p), *d;
    sg_data(x);
    sg_set(p, six);
    sg_grad(sg_sum(x, 0, false), 1, &p, &d);
    sg_eval(d);
    expect_error(g, SG_STALE, "mul: was recorded before its parameter was overwritten: p[2], p[2]");
    sg_assign(p, q);
    sg_assign(p, q);
    sg_data(sg_exp(q));
    expect_error(g, SG_BAD_ARGUMENT, "assign: \"p\" is assigned twice in one evaluation");
    sg_assign(p, q);
    cr_expect(sg_data(sg_exp(q)) && sg_ok(g), "once is well again: %s", sg_errmsg(g));
    sg_assign(input(g), input(g));
    expect_error(g, SG_BAD_SHAPE,
                 "assign: the target is no parameter or buffer: value[2,3], param[2,3]");
    sg_assign(p, input(g));
    expect_error(g, SG_BAD_SHAPE, "assign: shapes differ: value[2,3], p[2]");
    sg_close(g);
}

Test(core, a_plan_that_fails_changes_nothing)
{
    sg_context *g = sg_open();
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(2), .data = six);
    int32_t ids[2] = {0, 7};
    sg_assign(p, sg_add(p, p));
    sg_tensor *rows = sg_take(p, sg_input(g, SG_I32, SG_SHAPE(2), ids));
    sg_eval(rows);
    cr_expect(!sg_ok(g));
    cr_expect(strstr(sg_errmsg(g), "take: ") == sg_errmsg(g), "%s", sg_errmsg(g));
    sg_clear(g);
    cr_expect(((const float *)sg_data(p))[0] == 1, "not committed");
    sg_close(g);
}

Test(core, keep_carries_over_one_reset)
{
    sg_context *g = sg_open();
    sg_tensor *h = sg_input(g, SG_F32, SG_SHAPE(2), six);
    for (int i = 0; i < 5; i++) {
        sg_tensor *next = sg_add(h, sg_like(h, 1));
        h = sg_keep(next);
        cr_expect(((const float *)sg_data(next))[1] == (float)(3 + i));
        sg_reset(g);
    }
    cr_expect(((const float *)sg_data(h))[0] == 6);
    cr_expect(sg_stats(g).recomputed == 0);
    sg_tensor *d;
    sg_grad(sg_sum(sg_mul(h, h), 0, false), 1, &h, &d);
    cr_expect(((const float *)sg_data(d))[0] == 12);
    sg_reset(g);
    sg_exp(h);
    expect_error(g, SG_STALE, "exp: an operand was made before the last sg_reset");
    h = sg_keep(sg_exp(input(g)));
    sg_reset(g);
    sg_exp(h);
    expect_error(g, SG_STALE, "exp: an operand was kept, but not evaluated before the reset");
    sg_close(g);
}

Test(core, late_uses_are_noticed_and_never_another_tensor)
{
    sg_context *g = sg_open(.debug = true);
    sg_tensor *kept = sg_keep(sg_exp(input(g))), *late = sg_tanh(input(g));
    sg_eval(kept);
    sg_reset(g);
    for (int i = 0; i < 6; i++) { /* others come and go where they lay */
        sg_tensor *other = sg_keep(sg_neg(input(g)));
        sg_eval(other);
        if (i > 0) {
            sg_exp(kept);
            cr_expect(sg_error(g) == SG_STALE, "%d resets later: %s", i, sg_errmsg(g));
            sg_clear(g);
        }
        sg_exp(late);
        cr_expect(sg_error(g) == SG_STALE, "%d resets later: %s", i, sg_errmsg(g));
        sg_clear(g);
    }
    for (int i = 0; i < 10000; i++) { /* and their memory does not grow for ever */
        sg_eval(sg_keep(sg_scalar(g, SG_F32, i)));
        sg_reset(g);
    }
    cr_expect(sg_ok(g));
    sg_close(g);
}

Test(core, a_kernel_for_any_cpu_is_enough)
{
    static sg_map *const only[SG_DTYPES][SG_ISAS] = {[SG_F64] = {square_kernel}};
    static const sg_op op = {.name = "square", .args = "x", .arity = 1, .map = only};
    sg_context *g = sg_open();
    sg_tensor *x = sg_input(g, SG_F64, SG_SHAPE(3), (double[]){1, 2, 3});
    const double *y = sg_data(sg_record(&op, NULL, 1, &x));
    cr_expect(y && y[2] == 9, "%s", sg_errmsg(g));
    sg_close(g);
}

Test(core, parameters)
{
    sg_context *g = sg_open(.seed = 5), *h = sg_open(.seed = 5);
    sg_tensor *a = sg_param(g, "a", SG_SHAPE(3, 4)), *b = sg_param(g, "b", SG_SHAPE(5));
    cr_expect(sg_param(g, "a", SG_SHAPE(3, 4)) == a && sg_find(g, "b") == b);
    sg_tensor *b2 = sg_param(h, "b", SG_SHAPE(5)), *a2 = sg_param(h, "a", SG_SHAPE(3, 4));
    cr_expect_arr_eq(sg_data(a), sg_data(a2), 12 * sizeof(float), "by name, not by order");
    cr_expect_arr_eq(sg_data(b), sg_data(b2), 5 * sizeof(float));
    sg_buffer(g, "count", SG_I32, SG_SCALAR, 3);
    int n = 0, all = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false)); n++)
        cr_expect(p == (n ? b : a));
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, true));)
        all++;
    cr_expect(n == 2 && all == 3);
    cr_expect(sg_freeze(g, "a*", true) == 1 && sg_frozen(a) && !sg_frozen(b));
    cr_expect(sg_group(g, "?", 0.5, 2) == 2 && sg_group_rate(b) == 0.5 && sg_group_decay(a) == 2);
    sg_param(g, "a", SG_SHAPE(4, 3));
    expect_error(g, SG_BAD_SHAPE, "\"a\" is f32[3,4] already, not f32[4,3]");
    sg_buffer(g, "a", SG_F32, SG_SHAPE(3, 4), 0);
    expect_error(g, SG_BAD_ARGUMENT, "\"a\" is a parameter already");
    sg_param(g, "", SG_SHAPE(1));
    expect_error(g, SG_BAD_ARGUMENT, "a parameter without a name");
    sg_param(g, "i", SG_SHAPE(1), .dtype = SG_I32);
    expect_error(g, SG_BAD_DTYPE, "\"i\": parameters are f32 or f64");
    sg_close(g);
    sg_close(h);
}

Test(core, initial_values)
{
    sg_context *g = sg_open(.seed = 2);
    const struct {
        sg_init init;
        double gain, mean, deviation, most;
    } rows[] = {
        {SG_XAVIER, 0, 0, sqrt(2.0 / 300), sqrt(6.0 / 300)},
        {SG_XAVIER_NORMAL, 0, 0, sqrt(2.0 / 300), 1},
        {SG_UNIFORM, 0.1, 0, 0.1 / sqrt(3), 0.1},
        {SG_NORMAL, 0.5, 0, 0.5, 5},
        {SG_ORTHOGONAL, 2, 0, 2 / sqrt(200), 2},
        {SG_ZEROS, 0, 0, 0, 0},
        {SG_CONSTANT, 3, 3, 0, 3},
    };
    for (int i = 0; i < 7; i++) {
        char name[8] = {(char)('a' + i)};
        sg_tensor *p =
            sg_param(g, name, SG_SHAPE(100, 200), rows[i].init, rows[i].gain, .dtype = SG_F64);
        const double *v = sg_data(p);
        double mean = 0, square = 0, most = 0;
        for (int k = 0; k < 20000; k++) {
            mean += v[k] / 20000;
            most = fmax(most, fabs(v[k]));
        }
        for (int k = 0; k < 20000; k++)
            square += (v[k] - mean) * (v[k] - mean) / 20000;
        cr_expect(fabs(mean - rows[i].mean) < 0.02 * (rows[i].deviation + 1e-9), "%d: mean %g", i,
                  mean);
        cr_expect(fabs(sqrt(square) - rows[i].deviation) <= 0.03 * rows[i].deviation + 1e-9,
                  "%d: deviation %g", i, sqrt(square));
        cr_expect(most <= rows[i].most + 1e-12, "%d: largest %g", i, most);
    }
    sg_tensor *q = sg_param(g, "q", SG_SHAPE(4, 12), SG_ORTHOGONAL, .blocks = 3, .dtype = SG_F64);
    const double *v = sg_data(q);
    for (int b = 0; b < 3; b++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                double dot = 0;
                for (int k = 0; k < 4; k++)
                    dot += v[12 * i + 4 * b + k] * v[12 * j + 4 * b + k];
                cr_expect(fabs(dot - (i == j)) < 1e-12, "block %d, rows %d %d: %g", b, i, j, dot);
            }
    sg_param(g, "r", SG_SHAPE(4, 10), SG_ORTHOGONAL, .blocks = 3);
    expect_error(g, SG_BAD_ARGUMENT, "\"r\": 10 columns do not make 3 blocks");
    cr_expect(sg_find(g, "r") == NULL, "a parameter that failed is not there");
    sg_close(g);
}

/* Large ones are made by all threads. */
Test(core, initial_values_by_threads)
{
    static const sg_init inits[] = {SG_XAVIER, SG_NORMAL, SG_ORTHOGONAL};
    sg_context *g = sg_open(.seed = 2), *h = sg_open(.seed = 2, .threads = 3);
    for (int i = 0; i < 3; i++) {
        char name[8] = {(char)('a' + i)};
        sg_tensor *p = sg_param(g, name, SG_SHAPE(129, 4 * 131), inits[i], .blocks = 4);
        sg_tensor *q = sg_param(h, name, SG_SHAPE(129, 4 * 131), inits[i], .blocks = 4);
        cr_expect(memcmp(sg_data(p), sg_data(q), 129 * 4 * 131 * sizeof(float)) == 0, "%d", i);
    }
    cr_expect(sg_ok(h));
    sg_close(g);
    sg_close(h);
}

Test(core, sharing)
{
    sg_context *g = sg_open();
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(2), .data = six);
    sg_tensor *late = sg_assign(p, sg_neg(p));
    sg_context *h = sg_share(g);
    sg_tensor *q = sg_param(h, "p", SG_SHAPE(2));
    sg_eval(late);
    expect_error(g, SG_BAD_ARGUMENT, "assign: \"p\" is shared by several contexts");
    cr_expect(q != p && sg_data(q) == sg_data(p), "another tensor, the same array");
    sg_buffer(h, "more", SG_F32, SG_SCALAR, 0);
    expect_error(h, SG_BAD_ARGUMENT, "\"more\": new while several contexts share");
    sg_assign(q, q);
    expect_error(h, SG_BAD_ARGUMENT, "assign: \"p\" is shared by several contexts");
    sg_set(p, six);
    expect_error(g, SG_BAD_ARGUMENT, "sg_set: \"p\" is shared by several contexts");
    sg_param(h, "new", SG_SHAPE(2));
    expect_error(h, SG_BAD_ARGUMENT, "\"new\": new while several contexts share");
    sg_close(g); /* the parameters live on */
    cr_expect(((const float *)sg_data(q))[1] == 2);
    cr_expect(sg_set(q, six + 1) == SG_OK);
    sg_close(h);
}

Test(core, random_draws)
{
    float draws[8][4];
    for (int way = 0; way < 2; way++) {
        sg_context *g = sg_open(.seed = 9, .debug = way == 1);
        for (int step = 0; step < 2; step++) {
            sg_push(g, "layer", "a");
            sg_tensor *x = sg_random_uniform(g, SG_F32, SG_SHAPE(4));
            sg_tensor *y = sg_random_uniform(g, SG_F32, SG_SHAPE(4));
            sg_pop(g);
            if (way == 1) /* evaluating more, and others, changes no draw */
                sg_data(sg_random_uniform(g, SG_F32, SG_SHAPE(7)));
            memcpy(draws[way * 4 + step * 2], sg_data(x), sizeof draws[0]);
            memcpy(draws[way * 4 + step * 2 + 1], sg_data(y), sizeof draws[0]);
            cr_expect_arr_eq(draws[way * 4 + step * 2], sg_data(x), sizeof draws[0]);
            sg_reset(g);
        }
        cr_expect(way == 1 || sg_stats(g).misses <= 2, "seed and reset are not in the key");
        sg_close(g);
    }
    cr_expect_arr_eq(draws[0], draws[4], 4 * sizeof draws[0]);
    for (int i = 0; i < 4; i++)
        for (int j = i + 1; j < 4; j++)
            cr_expect(memcmp(draws[i], draws[j], sizeof draws[0]) != 0, "%d and %d", i, j);
}

Test(core, debug_mode_names_the_first_value_that_is_not_finite)
{
    sg_context *g = sg_open(.debug = true);
    sg_tensor *x = input(g);
    sg_push(g, "layer", "bad");
    sg_tensor *y = sg_log(sg_neg(x));
    sg_pop(g);
    cr_expect(sg_is_nil(y));
    expect_error(g, SG_NOT_FINITE,
                 "layer \"bad\": log: the result is not finite; operands range from -6 to -1: "
                 "x[2,3]");
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(3)), *d;
    sg_grad(sg_sum(sg_tanh(sg_mul(input(g), p)), SG_ALL_AXES, false), 1, &p, &d);
    sg_assign(p, d);
    cr_expect(sg_ok(g) && sg_data(d), "%s", sg_errmsg(g));
    sg_close(g);
}

Test(core, a_failed_open_is_inert)
{
    sg_context *g = sg_open(.isa = "z80");
    cr_expect_str_eq(sg_errmsg(g), "instruction set \"z80\": unknown, or not of this CPU");
    cr_expect(sg_is_nil(input(g)));
    sg_close(g);
    g = sg_open(.without = "fuse,layouts");
    cr_expect_str_eq(sg_errmsg(g), "no pass of the planner is named \"layouts\"");
    cr_expect(sg_is_nil(input(g)));
    sg_close(g);
}

Test(core, long_chains)
{
    sg_context *g = sg_open();
    sg_tensor *b = sg_param(g, "b", SG_SHAPE(3)), *d;
    sg_tensor *h = sg_input(g, SG_F32, SG_SHAPE(3), six);
    for (int i = 0; i < 100000; i++)
        h = sg_tanh(sg_add(h, b));
    sg_tensor *loss = sg_sum(h, 0, false);
    sg_grad(loss, 1, &b, &d);
    sg_eval(loss, d);
    cr_expect(sg_ok(g) && isfinite(sg_item(sg_sum(d, 0, false))), "%s", sg_errmsg(g));
    cr_expect(sg_stats(g).workspace < 100000 * 2 * 64 + 4096);
    sg_close(g);
}

Test(core, folds_need_the_memory_of_two)
{
    sg_context *g = sg_open(.threads = 1);
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(1000), NULL), *all[50];
    for (int i = 0; i < 50; i++)
        all[i] = sg_exp(sg_add(x, sg_scalar(g, SG_F32, i)));
    sg_tensor *sum = sg_add_n(50, all);
    cr_expect(sg_plan_infos(1, &sum).workspace <= 4 * 4096, "%zu", sg_plan_infos(1, &sum).workspace);
    double expected = 0;
    for (int i = 0; i < 50; i++)
        expected += exp(i);
    cr_expect(fabs(((const float *)sg_data(sum))[7] / expected - 1) < 1e-6);
    sg_close(g);
}

Test(core, gradients)
{
    sg_context *g = sg_open();
    sg_tensor *x = sg_input(g, SG_F64, SG_SHAPE(3), (double[]){0.5, -1, 2}), *d, *unrelated;
    sg_tensor *y = sg_mul(sg_stop_gradient(x), x);
    sg_grad(sg_sum(y, 0, false), 1, &x, &d);
    cr_expect(((const double *)sg_data(d))[2] == 2, "x, not 2x");
    unrelated = sg_input(g, SG_F64, SG_SHAPE(2, 2), NULL);
    sg_grad(sg_sum(y, 0, false), 1, &unrelated, &d);
    cr_expect(sg_dim(d, 1) == 2 && ((const double *)sg_data(d))[3] == 0);
    sg_tensor *v = sg_input(g, SG_F64, SG_SHAPE(3), (double[]){1, 0, -1});
    sg_tensor *j = sg_jvp(sg_sin(x), 1, &x, &v);
    cr_expect(fabs(((const double *)sg_data(j))[2] + cos(2)) < 1e-12);
    sg_tensor *cubed = sg_mul(sg_mul(x, x), x);
    for (int order = 1; order <= 3; order++) {
        sg_grad(sg_sum(cubed, 0, false), 1, &x, &d);
        cubed = d;
    }
    cr_expect(((const double *)sg_data(d))[0] == 6, "the third derivative");
    sg_grad(x, 1, &x, &d);
    expect_error(g, SG_BAD_SHAPE, "sg_grad: a tensor [3] has not one element");
    sg_tensor *i = sg_input(g, SG_I32, SG_SHAPE(1), NULL);
    x = sg_scalar(g, SG_F32, 1);
    sg_grad(x, 1, &i, &d);
    expect_error(g, SG_BAD_DTYPE, "gradient: by a tensor of i32");
    sg_close(g);
}

static sg_tensor *wrong_vjp(const sg_vjp_call *v, int i)
{
    (void)i;
    return sg_mul(v->g, v->in[0]); /* the half of 2x */
}

static bool square_run(const sg_call *c)
{
    const double *x = c->in[0].data;
    double *y = c->out.data;
    for (int64_t i = 0; i < c->out.dim[0]; i++)
        y[i] = x[i] * x[i];
    return true;
}

static bool square_infer(sg_infer *i)
{
    i->shape = sg_shape_of(i->in[0]);
    return true;
}

Test(core, gradcheck_finds_a_wrong_rule)
{
    static const sg_op wrong = {.name = "square",
                                .args = "x",
                                .arity = 1,
                                .infer = square_infer,
                                .run = square_run,
                                .vjp = wrong_vjp};
    static const sg_op none = {
        .name = "square", .args = "x", .arity = 1, .infer = square_infer, .run = square_run};
    sg_context *g = sg_open();
    sg_tensor *x = sg_input(g, SG_F64, SG_SHAPE(3), (double[]){0.5, -1, 2});
    sg_gradcheck_result r = sg_gradcheck(sg_record(&wrong, NULL, 1, &x), 1, &x);
    cr_expect(!r.ok && r.error[0] > 0.1 && sg_ok(g));
    cr_expect(r.input == 0 && r.element == 2, "the worst element: %d", (int)r.element);
    r = sg_gradcheck(sg_mul(x, x), 1, &x, .order = 2);
    cr_expect(r.ok && r.error[0] < 1e-8 && r.error[1] < 1e-8);
    sg_tensor *d;
    sg_grad(sg_sum(sg_record(&none, NULL, 1, &x), 0, false), 1, &x, &d);
    sg_eval(d);
    expect_error(g, SG_BAD_ARGUMENT, "square: has no derivative: no vjp, no lower: x[3] f64");
    sg_close(g);
}

Test(core, dumps)
{
    char text[2048] = "";
    sg_context *g = sg_open(.threads = 1);
    FILE *f = fmemopen(text, sizeof text, "w");
    sg_tensor *p = sg_param(g, "p", SG_SHAPE(3));
    sg_push(g, "layer", "one");
    sg_tensor *y = sg_sum(sg_tanh(sg_add(input(g), p)), SG_ALL_AXES, false);
    sg_pop(g);
    sg_dump(f, 1, &y);
    sg_dump_plan(f, 1, &y);
    fclose(f);
    cr_expect_str_eq(text,
                     "%0 = leaf : f32[2,3]  # layer \"one\": \n"
                     "%1 = param \"p\" : f32[3]\n"
                     "%2 = add %0, %1 : f32[2,3]  # layer \"one\": \n"
                     "%3 = tanh %2 : f32[2,3]  # layer \"one\": \n"
                     "%4 = sum_to %3 shape=[] : f32[]  # layer \"one\": \n"
                     "plan: 5 nodes, 2 leaves, 2 steps, 128 bytes of workspace\n"
                     "    0  program over 2 x 3: leaf0+0 f32[2,3], leaf1+0 f32[3] -> @0 f32[2,3]\n"
                     "           r0 = add a0, a1\n"
                     "           a2 = tanh r0\n"
                     "    1  sum_to       @0 f32[2,3] -> root0+0 f32[]\n"
                     "value of node 4 in root0+0\n");
    sg_close(g);
}
