/* Small graphs that random ones led to: each was computed wrongly once. */
#include "tests/ops_test.h"

static const double counted[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static sg_tensor *count(sg_context *g, sg_shape s)
{
    return sg_input(g, SG_F64, s, counted);
}

static sg_tensor *param(sg_context *g, const char *name, sg_shape s)
{
    return sg_param(g, name, s, .dtype = SG_F64, .data = counted);
}

static void perform(sg_context *g)
{
    sg_eval(sg_scalar(g, SG_F64, 0));
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    sg_reset(g);
}

Test(graph_cases, sums_over_other_axes_are_not_joined)
{
    sg_context *g = sg_open();
    sg_tensor *x = count(g, SG_SHAPE(2, 2, 3)), *y = count(g, SG_SHAPE(2, 1, 3));
    sg_tensor *all[] = {sg_sum_to(x, SG_SHAPE(1, 3)), sg_sum_to(y, SG_SHAPE(1, 3))};
    IS(sg_add_n(2, all), "sum", 27, 33, 39);
    sg_close(g);
}

Test(graph_cases, products_are_written_into_rows_with_room_between)
{
    sg_context *g = sg_open();
    sg_tensor *x = sg_square(count(g, SG_SHAPE(2, 2, 1))), *y = count(g, SG_SHAPE(1, 2));
    sg_tensor *z = sg_matmul(x, y);
    IS(sg_concat(1, z, sg_neg(z)), "concat", 1, 2, 4, 8, -1, -2, -4, -8, 9, 18, 16, 32, -9, -18,
       -16, -32);
    sg_close(g);
}

Test(graph_cases, empty_parts)
{
    sg_context *g = sg_open();
    sg_tensor *x = sg_slice(sg_transpose(count(g, SG_SHAPE(3, 2, 2)), 0, 2), 0, 1, 1, 1);
    sg_tensor *y = count(g, SG_SHAPE(6));
    IS(sg_concat(0, sg_reshape(x, SG_SHAPE(0)), y), "concat", 1, 2, 3, 4, 5, 6);
    sg_close(g);
}

Test(graph_cases, a_parameter_takes_a_part_of_a_value)
{
    sg_context *g = sg_open();
    sg_tensor *all = sg_neg(count(g, SG_SHAPE(6)));
    sg_assign(param(g, "end", SG_SHAPE(3)), sg_slice(all, 0, 3, 6, 1));
    perform(g);
    IS(sg_find(g, "end"), "end", -4, -5, -6);
    all = sg_neg(count(g, SG_SHAPE(6)));
    sg_assign(param(g, "begin", SG_SHAPE(3)), sg_slice(all, 0, 0, 3, 1));
    perform(g);
    IS(sg_find(g, "begin"), "begin", -1, -2, -3);
    sg_close(g);
}

Test(graph_cases, two_parameters_take_all_and_a_part_of_a_value)
{
    sg_context *g = sg_open();
    sg_tensor *all = sg_neg(count(g, SG_SHAPE(6)));
    sg_assign(param(g, "all", SG_SHAPE(6)), all);
    sg_assign(param(g, "end", SG_SHAPE(3)), sg_slice(all, 0, 3, 6, 1));
    perform(g);
    IS(sg_find(g, "all"), "all", -1, -2, -3, -4, -5, -6);
    IS(sg_find(g, "end"), "end", -4, -5, -6);
    sg_close(g);
}

Test(graph_cases, a_parameter_less_its_own_first_row)
{
    sg_context *g = sg_open();
    sg_tensor *p = param(g, "p", SG_SHAPE(2, 3));
    sg_assign(p, sg_sub(p, sg_slice(p, 0, 0, 1, 1)));
    perform(g);
    IS(sg_find(g, "p"), "p", 0, 0, 0, 3, 3, 3);
    sg_close(g);
}

Test(graph_cases, an_empty_parameter_is_assigned_to)
{
    sg_context *g = sg_open();
    sg_tensor *p = param(g, "p", SG_SHAPE(0, 3));
    sg_assign(p, sg_neg(p));
    perform(g);
    cr_assert_eq(sg_size(sg_find(g, "p")), 0);
    sg_close(g);
}
