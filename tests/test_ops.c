/*
 * Every op of the table, in every way it can be computed: gradients, references, types,
 * shapes, instruction sets, plans. What is compared bit for bit is compared as doubles, to
 * which all types convert exactly.
 */
#include "tests/op_values.h"

enum { SEEDS = 3 };

/* ---- gradients ------------------------------------------------------------------------------ */

Test(ops, gradients_are_those_of_differences)
{
    for (test_case c = {0}; next_case(&c, 0);)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            op_verdict v = op_check(c.row, c.isa, c.type, seed);
            cr_assert_eq(v.what[0], 0, "%s, seed %d: %s", c.name, (int)seed, v.what);
        }
}

Test(ops, gradients_at_kinks_and_poles)
{
    const op_point *p;
    char what[256];
    int n = 0;
    for (test_case c = {0}; next_case(&c, 0);)
        for (int i = 0; (p = op_point_at(i)); i++) {
            bool other = strcmp(p->op, c.row->op) != 0 || c.row->form;
            if (other)
                continue;
            op_check_point(p, c.isa, c.type, what);
            cr_assert_eq(what[0], 0, "%s: %s", c.name, what);
            n++;
        }
    cr_assert_gt(n, 20);
}

/* ---- values --------------------------------------------------------------------------------- */

/* Results of a row as its reference computes them, one by one in row-major order. */
static void refer(const op_sample *s, sg_shape shape, double *v)
{
    int64_t index[SG_MAX_RANK] = {0}, n = 1;
    for (int d = 0; d < shape.rank; d++)
        n *= shape.dim[d];
    for (int64_t k = 0; k < n; k++) {
        v[k] = s->row->reference(s->in, index, shape.rank);
        for (int d = shape.rank - 1; d >= 0 && ++index[d] == shape.dim[d]; d--)
            index[d] = 0;
    }
}

static void is_reference(const op_sample *s, sg_context *g, sg_dtype type, const char *name)
{
    bool wide = type == SG_F64 && !(s->row->flags & OP_NARROW);
    double expected[VALUES], tolerance = wide ? 1e-13 : 2e-6;
    sg_tensor *x[OP_INPUTS];
    values got;
    op_tensors(s, g, type, x);
    sg_tensor *y = s->row->build(g, x);
    cr_assert(sg_ok(g), "%s: %s", name, sg_errmsg(g));
    refer(s, sg_shape_of(y), expected);
    take(&got, 1, &y, name);
    for (int64_t i = 0; i < got.size[0]; i++)
        cr_assert(fabs(got.v[0][i] - expected[i]) <= tolerance * fmax(1, fabs(expected[i])),
                  "%s: element %d is %.17g, not %.17g", name, (int)i, got.v[0][i], expected[i]);
}

Test(ops, results_are_those_of_the_reference)
{
    op_sample s;
    for (test_case c = {0}; next_case(&c, OP_FAILS);) {
        sg_context *g = sg_open(.isa = c.isa);
        for (uint64_t seed = 1; c.row->reference && seed <= SEEDS; seed++, sg_reset(g)) {
            op_draw(&s, c.row, NULL, seed);
            is_reference(&s, g, c.type, c.name);
        }
        sg_close(g);
    }
}

Test(ops, f32_and_every_instruction_set_agree_with_f64)
{
    op_sample s;
    values exact, got;
    for (test_case c = {0}; next_case(&c, OP_FAILS);)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            sg_context *plain = sg_open(.isa = sets[0]), *g = sg_open(.isa = c.isa);
            op_draw(&s, c.row, NULL, seed);
            compute_sample(&exact, &s, plain, SG_F64, c.name);
            compute_sample(&got, &s, g, c.type, c.name);
            near(&exact, &got, c.type == SG_F64 ? 1e-13 : 1e-5, c.name, "not as in f64");
            sg_close(plain);
            sg_close(g);
        }
}

/* ---- shapes --------------------------------------------------------------------------------- */

#define NONE                                                                                       \
    {                                                                                              \
        0                                                                                          \
    }
static const sg_shape forms[][OP_INPUTS] = {
    {NONE, NONE, NONE},
    {S(1), NONE, S(1)},
    {S(37), S(37), S(37)},
    {NONE, S(2, 3), S(3)},
    {S(2, 3), NONE, S(2, 1)},
    {S(5, 1), S(1, 7), NONE},
    {S(2, 1, 4), S(3, 1), S(2, 3, 4)},
    {S(4), S(2, 3, 4), S(3, 4)},
    {S(2, 3, 4, 5), S(2, 3, 4, 5), S(2, 3, 4, 5)},
    {S(1, 3, 1, 5), S(2, 1, 4, 1), S(4, 5)},
    {S(3, 1, 2), S(1), S(1, 1, 1, 1)},
};

Test(ops, by_element_over_all_shapes_that_broadcast)
{
    op_sample s;
    for (test_case c = {0}; next_case(&c, OP_FAILS);) {
        sg_context *g = sg_open(.isa = c.isa);
        size_t some = c.row->flags & OP_BY_ELEMENT ? sizeof forms / sizeof *forms : 0;
        for (size_t f = 0; f < some; f++, sg_reset(g)) {
            sg_tensor *x[OP_INPUTS], *floats[OP_INPUTS];
            sg_gradcheck_result r = {.ok = true};
            op_draw(&s, c.row, forms[f], 5);
            is_reference(&s, g, c.type, c.name);
            op_tensors(&s, g, c.type, x);
            int n = op_floats(c.row, x, floats);
            if (!(c.row->flags & OP_CONSTANT))
                r = sg_gradcheck(c.row->build(g, x), n, floats, .order = 2);
            cr_assert(r.ok && sg_ok(g), "%s, form %d: %g, %g %s", c.name, (int)f, r.error[0],
                      r.error[1], sg_errmsg(g));
        }
        sg_close(g);
    }
}

/* ---- types ---------------------------------------------------------------------------------- */

/* Whole numbers, some of them equal, that fit into all types of a row. */
static void round_off(op_sample *s, sg_dtype type)
{
    for (int k = 0; k < s->n; k++)
        for (int64_t i = 0; s->row->in[k].kind == OP_FLOAT && i < s->size[k]; i++) {
            double v = floor(s->v[k][i] * 1.5);
            s->v[k][i] = type == SG_U8 ? fmod(fabs(v), 200) : v;
        }
}

Test(ops, integers_give_what_f64_gives)
{
    op_sample s;
    values expected, got;
    for (test_case c = {0}; next_case(&c, OP_FAILS);) {
        sg_dtype type = c.type == SG_F32 ? SG_I32 : SG_U8;
        if (!(c.row->types >> type & 1))
            continue;
        op_draw(&s, c.row, NULL, 1);
        round_off(&s, type);
        for (int pass = 0; pass < 2; pass++) {
            sg_context *g = sg_open(.isa = c.isa);
            sg_tensor *x[OP_INPUTS], *y;
            if (c.row->reference) /* among equal numbers, which floats as drawn never are */
                is_reference(&s, g, SG_F64, c.name);
            op_tensors(&s, g, pass ? type : SG_F64, x);
            y = c.row->build(g, x);
            cr_assert(sg_ok(g), "%s: %s", c.name, sg_errmsg(g));
            take(pass ? &got : &expected, 1, &y, c.name);
            sg_close(g);
        }
        near(&expected, &got, 0, c.name, sg_dtype_name(type)); /* but for -0 */
    }
}

Test(ops, other_types_are_refused)
{
    op_sample s;
    int refused = 0;
    for (test_case c = {0}; next_case(&c, OP_FAILS);) {
        sg_dtype type = c.type == SG_F32 ? SG_I32 : SG_U8;
        sg_tensor *x[OP_INPUTS];
        if ((c.row->types ? c.row->types : SG_FLOATS) >> type & 1)
            continue;
        sg_context *g = sg_open(.isa = c.isa);
        op_draw(&s, c.row, NULL, 1);
        round_off(&s, SG_U8);
        op_tensors(&s, g, type, x);
        sg_tensor *y = c.row->build(g, x);
        cr_assert(sg_is_nil(y), "%s: %s is not refused", c.name, sg_dtype_name(type));
        cr_assert_eq(sg_error(g), SG_BAD_DTYPE, "%s: %s", c.name, sg_errmsg(g));
        sg_close(g);
        refused++;
    }
    cr_assert_gt(refused, 50);
}

/* ---- plans ---------------------------------------------------------------------------------- */

Test(ops, bits_do_not_depend_on_how_it_is_evaluated)
{
    op_sample s;
    values expected, got;
    for (test_case c = {0}; next_case(&c, OP_FAILS);) {
        sg_tensor *x[OP_INPUTS];
        sg_context *one = sg_open(.isa = c.isa), *apart = sg_open(.isa = c.isa);
        sg_context *debug = sg_open(.isa = c.isa, .debug = true);
        op_draw(&s, c.row, NULL, 2);
        compute_sample(&expected, &s, one, c.type, c.name);
        op_tensors(&s, apart, c.type, x);
        compute(&got, c.row, apart, x, true, c.name);
        same_bits(&expected, &got, c.name, "one plan each");
        if (!(c.row->flags & OP_HOLES)) {
            compute_sample(&got, &s, debug, c.type, c.name);
            /* sums of what can be joined are one, unless the terms were looked at before */
            near(&expected, &got, c.type == SG_F64 ? 1e-14 : 1e-6, c.name, "node by node");
        }
        sg_close(one);
        sg_close(apart);
        sg_close(debug);
    }
}

Test(ops, bits_do_not_depend_on_the_plan_being_cached)
{
    op_sample s;
    values expected, got;
    uint64_t found = 0;
    for (test_case c = {0}; next_case(&c, OP_FAILS | OP_DRAWS);) {
        sg_context *g = sg_open(.isa = c.isa);
        op_draw(&s, c.row, NULL, 2);
        compute_sample(&expected, &s, g, c.type, c.name);
        sg_reset(g);
        sg_stat before = sg_stats(g);
        compute_sample(&got, &s, g, c.type, c.name);
        same_bits(&expected, &got, c.name, "plan from the cache");
        cr_assert_eq(sg_stats(g).misses, before.misses, "%s: planned again", c.name);
        found += sg_stats(g).hits - before.hits;
        sg_close(g);
    }
    cr_assert_gt(found, 100);
}
