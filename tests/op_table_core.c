/* Rows of core's own ops: builtin.c, tape.c, param.c, eval.c. */
#include "tests/op_table.h"

#include <math.h>

enum { NUMBERS = SG_FLOATS | 1 << SG_I32 };

BUILD(build_leaf, x[0])
/* one parameter or buffer for each type: a name has one type, and one shape */
BUILD(build_param, sg_mul(x[0], sg_param(g, sg_dtype_name(sg_type(x[0])), sg_shape_of(x[0]),
                                         SG_CONSTANT, 0.75, .dtype = sg_type(x[0]))))
REFERENCE(param_reference, EACH(0) * 0.75)
BUILD(build_reshape, sg_reshape(x[0], SG_SHAPE(sg_dim(x[0], 1), 2, sg_dim(x[0], 2))))
REFERENCE(reshape_reference, in[0].v[(i[0] * 2 + i[1]) * DIM(0, 2) + i[2]])
BUILD(reshape_minus_1, sg_reshape(x[0], SG_SHAPE(-1, 2)))
REFERENCE(reshape_minus_1_reference, in[0].v[2 * i[0] + i[1]])
BUILD(reshape_transposed, sg_reshape(sg_transpose(x[0], 0, 1), SG_SHAPE(sg_size(x[0]))))
REFERENCE(reshape_transposed_reference, AT(0, i[0] % DIM(0, 0), i[0] / DIM(0, 0)))
BUILD(build_broadcast, sg_broadcast_to(x[0], SG_SHAPE(2, sg_dim(x[0], 0), 4)))
REFERENCE(broadcast_reference, AT(0, i[1], 0))
BUILD(build_sum_to, sg_sum_to(x[0], SG_SHAPE(sg_dim(x[0], 1), 1)))
static double sum_to_reference(const op_array *in, const int64_t *i, int rank)
{
    double sum = 0;
    (void)rank;
    for (int64_t j = 0; j < DIM(0, 0); j++)
        for (int64_t k = 0; k < DIM(0, 2); k++)
            sum += AT(0, j, i[0], k);
    return sum;
}
BUILD(sum_to_last, sg_sum_to(x[0], SG_SHAPE(1, sg_dim(x[0], 1), 1, sg_dim(x[0], 3))))
static double sum_to_last_reference(const op_array *in, const int64_t *i, int rank)
{
    double sum = 0;
    (void)rank;
    for (int64_t j = 0; j < DIM(0, 0); j++)
        for (int64_t k = 0; k < DIM(0, 2); k++)
            sum += AT(0, j, i[1], k, i[3]);
    return sum;
}
BUILD(build_add_n, sg_add_n(3, x))
REFERENCE(add_n_reference, EACH(0) + EACH(1) + EACH(2))
BUILD(add_n_same, sg_square(sg_add_n(3, (sg_tensor *[]){x[0], x[1], x[0]})))
REFERENCE(add_n_same_reference, (2 * EACH(0) + EACH(1)) * (2 * EACH(0) + EACH(1)))
BUILD(build_stop, sg_stop_gradient(x[0]))
REFERENCE(same_reference, EACH(0))
BUILD(build_probe, sg_probe(x[0], "here"))
BUILD(build_checkpoint, sg_checkpoint(x[0], 1, x))
/* What is inside, t = tanh(u), is computed again from u for the gradient 2 t (1 - t²). */
static sg_tensor *build_again(sg_context *g, sg_tensor *const *x)
{
    sg_tensor *d, *u = sg_mul(x[0], sg_like(x[0], 1));
    (void)g;
    sg_grad(sg_sum(sg_checkpoint(sg_square(sg_tanh(u)), 1, &u), SG_ALL_AXES, false), 1, x, &d);
    return d;
}
REFERENCE(again_reference, 2 * tanh(EACH(0)) * (1 - tanh(EACH(0)) * tanh(EACH(0))))
/* The gradient of tanh(u) by u = x · 1, which is recorded once its value is asked for */
static sg_tensor *build_gradient(sg_context *g, sg_tensor *const *x)
{
    sg_tensor *d, *u = sg_mul(x[0], sg_like(x[0], 1));
    (void)g;
    sg_grad(sg_sum(sg_tanh(u), SG_ALL_AXES, false), 1, &u, &d);
    return d;
}
REFERENCE(gradient_reference, 1 - tanh(EACH(0)) * tanh(EACH(0)))
BUILD(build_keep, sg_keep(x[0]))
BUILD(build_assign,
      sg_assign(sg_buffer(g, sg_dtype_name(sg_type(x[0])), sg_type(x[0]), sg_shape_of(x[0]), 0),
                x[0]))
BUILD(build_nil, sg_add(x[0], sg_slice(x[0], 9, 0, 1, 1)))

/* f(x) = x² has the gradient 2x, and the derivative 2v along v: the core functions of gradients, as
 * ops of their own */
static sg_tensor *build_grad(sg_context *g, sg_tensor *const *x)
{
    sg_tensor *d;
    (void)g;
    sg_grad(sg_sum(sg_mul(sg_square(x[0]), x[0]), SG_ALL_AXES, false), 1, x, &d);
    return d;
}
REFERENCE(grad_reference, 3 * EACH(0) * EACH(0))
BUILD(build_jvp, sg_jvp(sg_mul(x[0], x[1]), 2, x, (sg_tensor *[]){x[1], x[0]}))
REFERENCE(jvp_reference, EACH(0) * EACH(0) + EACH(1) * EACH(1))

#define ROW(name, form_, build_, reference_, flags_, types_, ...)                                  \
    {                                                                                              \
        .op = name, .form = form_, .build = build_, .reference = reference_, .flags = flags_,      \
        .types = types_, __VA_ARGS__                                                               \
    }
#define S37   NAMED, .empty = {{3, S(0, 7)}}
#define NAMED .result = S(3, 7), .in = {{S(3, 7)}}

/* clang-format off */
static const op_row rows[] = {
    ROW("nil", NULL, build_nil, NULL, OP_FAILS, SG_ALL, S37),
    ROW("leaf", NULL, build_leaf, same_reference, OP_LINEAR, SG_ALL, S37),
    ROW("param", NULL, build_param, param_reference, OP_LINEAR, 0, NAMED),
    ROW("reshape", NULL, build_reshape, reshape_reference, OP_LINEAR, SG_ALL,
        .result = S(3, 2, 4), .in = {{S(2, 3, 4)}}, .empty = {{3, S(0, 2, 4)}, {4, S(3, 2, 0)}}),
    ROW("reshape", "-1", reshape_minus_1, reshape_minus_1_reference, OP_LINEAR, SG_ALL,
        .result = S(6, 2), .in = {{S(3, 4)}}, .empty = {{3, S(0, 2)}}),
    ROW("reshape", "transposed", reshape_transposed, reshape_transposed_reference, OP_LINEAR,
        SG_ALL, .result = S(12), .in = {{S(3, 4)}}, .empty = {{3, S(0)}}),
    ROW("broadcast_to", NULL, build_broadcast, broadcast_reference, OP_LINEAR, SG_ALL,
        .result = S(2, 3, 4), .in = {{S(3, 1)}}, .empty = {{3, S(2, 0, 4)}}),
    ROW("sum_to", NULL, build_sum_to, sum_to_reference, OP_LINEAR, NUMBERS,
        .result = S(3, 1), .in = {{S(2, 3, 4)}},
        .empty = {{2, S(3, 1)}, {3, S(0, 1)}, {4, S(3, 1)}}),
    ROW("sum_to", "two axes", sum_to_last, sum_to_last_reference, OP_LINEAR, NUMBERS,
        .result = S(1, 3, 1, 5), .in = {{S(2, 3, 4, 5)}}, .empty = {{4, S(1, 3, 1, 5)}}),
    ROW("add_n", NULL, build_add_n, add_n_reference, OP_LINEAR, NUMBERS,
        .result = S(3, 7), .in = {{S(3, 7)}, {S(3, 7)}, {S(3, 7)}}, .empty = {{7, S(3, 0)}}),
    ROW("add_n", "same operand", add_n_same, add_n_same_reference, 0, NUMBERS,
        .result = S(3, 7), .in = {{S(3, 7)}, {S(3, 7)}}, .empty = {{3, S(0, 7)}}),
    ROW("stop_gradient", NULL, build_stop, same_reference, OP_CONSTANT, SG_ALL, S37),
    ROW("probe", NULL, build_probe, same_reference, OP_LINEAR, SG_ALL, S37),
    ROW("checkpoint", NULL, build_checkpoint, same_reference, OP_LINEAR, SG_ALL, S37),
    ROW("again", NULL, build_again, again_reference, 0, 0, S37),
    ROW("later", NULL, build_again, again_reference, 0, 0, S37),
    ROW("gradients", NULL, build_gradient, gradient_reference, 0, 0, S37),
    ROW("gradient", NULL, build_gradient, gradient_reference, 0, 0, S37),
    ROW("keep", NULL, build_keep, same_reference, OP_LINEAR, SG_ALL, S37),
    ROW("assign", NULL, build_assign, same_reference, OP_LINEAR, SG_ALL, NAMED),
    ROW("grad", NULL, build_grad, grad_reference, 0, 0, S37),
    ROW("jvp", NULL, build_jvp, jvp_reference, 0, 0,
        .result = S(3, 7), .in = {{S(3, 7)}, {S(3, 7)}}, .empty = {{7, S(3, 0)}}),
};
/* clang-format on */

const op_rows op_core_rows = OP_ROWS(rows);
