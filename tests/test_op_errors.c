/* What ops say to wrong calls: status and message, word for word; and that the context is good
 * again after sg_clear. */
#include "ops/ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Zeros of a shape: F of f32, D of f64, I of i32, U of u8. */
#define F(...) sg_input(g, SG_F32, SG_SHAPE(__VA_ARGS__), NULL)
#define D(...) sg_input(g, SG_F64, SG_SHAPE(__VA_ARGS__), NULL)
#define I(...) sg_input(g, SG_I32, SG_SHAPE(__VA_ARGS__), NULL)
#define U(...) sg_input(g, SG_U8, SG_SHAPE(__VA_ARGS__), NULL)
#define SCALAR sg_scalar(g, SG_F32, 0)

#define LARGE  (INT64_C(1) << 40)

static sg_tensor *indices(sg_context *g, int32_t last)
{
    return sg_input(g, SG_I32, SG_SHAPE(3), (const int32_t[]){0, 1, last});
}

/* one tensor 40 times: more than what fits on a stack of stack's own */
static sg_tensor *stack_40(sg_tensor *x, sg_tensor *last)
{
    sg_tensor *all[40];
    for (int k = 0; k < 40; k++)
        all[k] = k == 39 ? last : x;
    return sg_stack_(0, 40, all);
}

static sg_tensor *split(sg_tensor *x, int axis, int n)
{
    sg_tensor *parts[4] = {x, x, x, x};
    sg_split(x, axis, n, parts);
    return sg_neg(parts[0]);
}

static sg_tensor *stale(sg_context *g)
{
    sg_tensor *x = F(2);
    sg_reset(g);
    return x;
}

static sg_tensor *inert(sg_context *g)
{
    sg_tensor *x = sg_index(F(2), 0, 2);
    sg_clear(g);
    return x;
}

static sg_tensor *scoped(sg_context *g)
{
    sg_push(g, "encoder", "enc");
    sg_push(g, "lstm", "fw");
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(256, 1024));
    return sg_matmul(F(32, 512), w);
}

/* The call fails, or its evaluation does, with this status and message. */
static void fails(sg_context *g, sg_tensor *y, const char *call, sg_status status,
                  const char *message)
{
    if (sg_ok(g))
        sg_eval(y);
    else
        cr_expect(sg_is_nil(y), "%s: the result is not inert", call);
    cr_expect_eq(sg_error(g), status, "%s: %s", call, sg_status_name(sg_error(g)));
    cr_expect_str_eq(sg_errmsg(g), message, "%s: \"%s\"", call, sg_errmsg(g));
    sg_clear(g);
    cr_expect_eq(sg_item(sg_add(F(1), sg_scalar(g, SG_F32, 3))), 3, "%s: not good again", call);
    sg_reset(g);
}

#define WRONG(call, status, message) fails(g, call, #call, status, message)

Test(op_errors, types)
{
    sg_context *g = sg_open();
    WRONG(sg_exp(I(2)), SG_BAD_DTYPE, "exp: not defined for i32: x[2] i32");
    WRONG(sg_neg(U(2, 3)), SG_BAD_DTYPE, "neg: not defined for u8: x[2,3] u8");
    WRONG(sg_gelu(I(2)), SG_BAD_DTYPE, "erf: not defined for i32: x[2] i32");
    WRONG(sg_add(F(2), D(2)), SG_BAD_DTYPE, "add: operands of different types: x[2], y[2] f64");
    WRONG(sg_div(I(2), I(2)), SG_BAD_DTYPE, "div: not defined for i32: x[2] i32, y[2] i32");
    WRONG(sg_add(F(2), U(2)), SG_BAD_DTYPE, "add: not defined for u8: x[2], y[2] u8");
    WRONG(sg_less(F(2), I(2)), SG_BAD_DTYPE, "less: operands of different types: x[2], y[2] i32");
    WRONG(sg_logical_and(F(2), U(2)), SG_BAD_DTYPE,
          "logical_and: operands of different types: x[2], y[2] u8");
    WRONG(sg_logical_not(I(2)), SG_BAD_DTYPE, "logical_not: not defined for i32: x[2] i32");
    WRONG(sg_where(F(2), F(2), F(2)), SG_BAD_DTYPE,
          "where: the condition is not u8: condition[2], x[2], y[2]");
    WRONG(sg_where(U(2), F(2), D(2)), SG_BAD_DTYPE,
          "where: x and y are of different types: condition[2] u8, x[2], y[2] f64");
    WRONG(sg_cast(F(2), (sg_dtype)7), SG_BAD_DTYPE, "cast: no such type (7)");
    WRONG(sg_sum(U(2), 0, false), SG_BAD_DTYPE, "sum_to: not defined for u8: x[2] u8");
    WRONG(sg_mean(I(2), 0, false), SG_BAD_DTYPE, "mean: not defined for i32");
    WRONG(sg_max(U(2), 0, false), SG_BAD_DTYPE, "max: not defined for u8: x[2] u8");
    WRONG(sg_logsumexp(I(2), 0, false), SG_BAD_DTYPE, "logsumexp: not defined for i32: x[2] i32");
    WRONG(sg_cumsum(U(2), 0), SG_BAD_DTYPE, "cumsum: not defined for u8: x[2] u8");
    WRONG(sg_matmul(F(2, 2), D(2, 2)), SG_BAD_DTYPE,
          "matmul: operands of different types: x[2,2], y[2,2] f64");
    WRONG(sg_matmul(I(2, 2), I(2, 2)), SG_BAD_DTYPE,
          "matmul: not defined for i32: x[2,2] i32, y[2,2] i32");
    WRONG(sg_concat(0, F(2), I(2)), SG_BAD_DTYPE, "concat: types differ: [2], [2] i32");
    WRONG(sg_slice_update(F(2), D(1), 0, 0), SG_BAD_DTYPE,
          "slice_update: types differ: x[2], y[1] f64");
    WRONG(sg_pad(U(2), 0, 1, 1, -1), SG_BAD_ARGUMENT, "pad: -1 is no value of type u8");
    WRONG(sg_pad(I(2), 0, 1, 1, 0.5), SG_BAD_ARGUMENT, "pad: 0.5 is no value of type i32");
    WRONG(sg_fold(I(3, 2), 0, 4, 1), SG_BAD_DTYPE, "fold: not defined for i32: x[3,2] i32");
    WRONG(sg_take(F(2), F(2)), SG_BAD_DTYPE, "take: the type of i is f32, not i32: x[2], i[2]");
    WRONG(sg_take(F(2), U(2)), SG_BAD_DTYPE, "take: the type of i is u8, not i32: x[2], i[2] u8");
    WRONG(sg_scatter_add(U(2), I(2), 3), SG_BAD_DTYPE,
          "scatter_add: not defined for u8: y[2] u8, i[2] i32");
    WRONG(sg_scatter_add_along_axis(U(2), I(2), 0, 3), SG_BAD_DTYPE,
          "scatter_add_along_axis: not defined for u8: y[2] u8, i[2] i32");
    WRONG(sg_one_hot(F(2), 3, SG_F32), SG_BAD_DTYPE, "one_hot: not defined for f32: i[2]");
    WRONG(sg_one_hot(I(2), 3, (sg_dtype)7), SG_BAD_DTYPE, "one_hot: no such type (7)");
    WRONG(sg_softmax(I(2), NULL), SG_BAD_DTYPE, "softmax: not defined for i32: x[2] i32");
    WRONG(sg_softmax(I(2), U(2)), SG_BAD_DTYPE,
          "softmax: not defined for i32: x[2] i32, mask[2] u8");
    WRONG(sg_softmax(F(2), F(2)), SG_BAD_DTYPE,
          "softmax: the type of mask is f32, not u8: x[2], mask[2]");
    WRONG(sg_log_softmax(I(2)), SG_BAD_DTYPE, "log_softmax: not defined for i32: x[2] i32");
    WRONG(sg_cross_entropy(F(2, 3), F(2)), SG_BAD_DTYPE,
          "cross_entropy: the type of labels is f32, not i32: logits[2,3], labels[2]");
    WRONG(
        sg_cross_entropy(I(2, 3), I(2)), SG_BAD_DTYPE,
        "cross_entropy: logits are not floats, or labels not i32: logits[2,3] i32, labels[2] i32");
    WRONG(sg_layer_norm(F(2, 3), D(3), F(3), 0.1), SG_BAD_DTYPE,
          "layer_norm: operands of different types: x[2,3], gain[3] f64, bias[3]");
    WRONG(sg_random_uniform(g, SG_I32, SG_SHAPE(2)), SG_BAD_DTYPE,
          "random_uniform: neither f32 nor f64");
    WRONG(sg_random_normal(g, SG_U8, SG_SHAPE(2)), SG_BAD_DTYPE,
          "random_normal: neither f32 nor f64");
    WRONG(sg_like(U(2), 256), SG_BAD_ARGUMENT, "256 does not fit into u8");
    WRONG(sg_scalar(g, SG_I32, 1e10), SG_BAD_ARGUMENT, "1e+10 does not fit into i32");
    sg_close(g);
}

Test(op_errors, shapes)
{
    sg_context *g = sg_open();
    WRONG(sg_add(F(2, 3), F(4)), SG_BAD_SHAPE, "add: shapes do not broadcast: x[2,3], y[4]");
    WRONG(sg_mul(F(2, 3), F(3, 3)), SG_BAD_SHAPE, "mul: shapes do not broadcast: x[2,3], y[3,3]");
    WRONG(sg_add(F(2, 0), F(2, 3)), SG_BAD_SHAPE, "add: shapes do not broadcast: x[2,0], y[2,3]");
    WRONG(sg_where(U(3), F(2), F(2)), SG_BAD_SHAPE,
          "where: shapes do not broadcast: condition[3] u8, x[2], y[2]");
    WRONG(sg_matmul(F(2, 3), F(2, 3)), SG_BAD_SHAPE,
          "matmul: inner dimensions differ: x[2,3], y[2,3]");
    WRONG(sg_matmul(F(2, 3), F(2)), SG_BAD_SHAPE, "matmul: inner dimensions differ: x[2,3], y[2]");
    WRONG(sg_matmul(F(2), F(3)), SG_BAD_SHAPE, "matmul: inner dimensions differ: x[2], y[3]");
    WRONG(sg_matmul(SCALAR, F(3, 2)), SG_BAD_SHAPE,
          "matmul: operands need at least one axis: x[], y[3,2]");
    WRONG(sg_matmul(F(2, 3), SCALAR), SG_BAD_SHAPE,
          "matmul: operands need at least one axis: x[2,3], y[]");
    WRONG(sg_matmul(F(2, 3, 4), F(3, 4, 5)), SG_BAD_SHAPE,
          "matmul: leading dimensions do not broadcast: x[2,3,4], y[3,4,5]");
    WRONG(scoped(g), SG_BAD_SHAPE,
          "encoder \"enc\": lstm \"fw\": matmul: inner dimensions differ: x[32,512], w[256,1024]");
    WRONG(sg_transpose(F(2, 3), 0, 2), SG_BAD_SHAPE, "transpose: axis 2 is outside x[2,3]");
    WRONG(sg_permute(F(2, 3), (const int[]){0, 0}), SG_BAD_SHAPE,
          "permute: axes are no permutation: x[2,3]");
    WRONG(sg_permute(F(2, 3), (const int[]){0, 2}), SG_BAD_SHAPE,
          "permute: axes are no permutation: x[2,3]");
    WRONG(sg_permute(F(2, 3), NULL), SG_BAD_ARGUMENT, "permute: no axes are given");
    WRONG(sg_expand_dims(F(2), 3), SG_BAD_SHAPE,
          "expand_dims: no room for axis 3 in a shape of 1 axes");
    WRONG(sg_expand_dims(F(1, 1, 1, 1, 1, 1, 1, 1), 0), SG_BAD_SHAPE,
          "expand_dims: no room for axis 0 in a shape of 8 axes");
    WRONG(sg_squeeze(F(2, 3), 1), SG_BAD_SHAPE, "squeeze: axis 1 has 3 elements, not 1");
    WRONG(sg_squeeze(F(2, 1), 2), SG_BAD_SHAPE, "squeeze: axis 2 is outside x[2,1]");
    WRONG(sg_slice(F(2, 3), 2, 0, 1, 1), SG_BAD_SHAPE, "slice: axis 2 is outside x[2,3]");
    WRONG(sg_slice(F(2, 3), 0, 0, 1, 0), SG_BAD_ARGUMENT, "slice: the step is 0");
    WRONG(sg_index(F(2, 3), 1, 3), SG_BAD_ARGUMENT,
          "index: 3 is outside axis 1, which has 3 elements");
    WRONG(sg_index(F(2, 3), 1, -4), SG_BAD_ARGUMENT,
          "index: -4 is outside axis 1, which has 3 elements");
    WRONG(sg_index(F(2, 3), -3, 0), SG_BAD_SHAPE, "index: axis -3 is outside x[2,3]");
    WRONG(sg_flip(F(2, 3), 2), SG_BAD_SHAPE, "flip: axis 2 is outside x[2,3]");
    WRONG(sg_pad(F(2), 1, 1, 1, 0), SG_BAD_SHAPE, "pad: axis 1 is outside x[2]");
    WRONG(sg_pad(F(2), 0, -1, 1, 0), SG_BAD_SHAPE,
          "pad: -1 elements before and 1 after axis 0: x[2]");
    WRONG(sg_pad(F(2), 0, LARGE, LARGE << 20, 0), SG_BAD_SHAPE,
          "pad: too many elements in shape [1152922604118474754]");
    WRONG(sg_slice_update(F(5, 2), F(2, 2), 0, 4), SG_BAD_SHAPE,
          "slice_update: 2 elements from 4 on are not inside axis 0: x[5,2], y[2,2]");
    WRONG(sg_slice_update(F(5, 2), F(2, 3), 0, 0), SG_BAD_SHAPE,
          "slice_update: sizes differ in axis 1, not only in 0: x[5,2], y[2,3]");
    WRONG(sg_slice_update(F(5, 2), F(2), 0, 0), SG_BAD_SHAPE,
          "slice_update: numbers of axes differ: x[5,2], y[2]");
    WRONG(sg_concat(0, F(2, 3), F(2, 4)), SG_BAD_SHAPE,
          "concat: sizes differ in axis 1, not only in 0: [2,3], [2,4]");
    WRONG(sg_concat(1, F(2, 3), F(2)), SG_BAD_SHAPE, "concat: numbers of axes differ: [2,3], [2]");
    WRONG(sg_concat(2, F(2, 3), F(2, 3)), SG_BAD_SHAPE, "concat: axis 2 is outside x[2,3]");
    WRONG(sg_concat(0, SCALAR, SCALAR), SG_BAD_SHAPE, "concat: axis 0 is outside x[]");
    WRONG(sg_stack(0, F(2, 3), F(2, 4)), SG_BAD_SHAPE,
          "stack: operand 1 has not the shape of the first");
    WRONG(sg_stack(4, F(2, 3), F(2, 3)), SG_BAD_SHAPE,
          "stack: axis 4 is outside a result of 3 axes");
    WRONG(stack_40(F(2), F(3)), SG_BAD_SHAPE, "stack: operand 39 has not the shape of the first");
    WRONG(split(F(2, 5), 1, 2), SG_BAD_SHAPE,
          "split: axis 1 has 5 elements, which is not 2 equal parts");
    WRONG(split(F(2, 4), 1, 0), SG_BAD_SHAPE,
          "split: axis 1 has 4 elements, which is not 0 equal parts");
    WRONG(split(F(2, 4), 2, 2), SG_BAD_SHAPE, "split: axis 2 is outside x[2,4]");
    WRONG(sg_unfold(F(5), 0, 6, 1), SG_BAD_SHAPE,
          "unfold: no windows of 6 at every 1 in 5 elements: x[5]");
    WRONG(sg_unfold(F(5), 0, 2, 0), SG_BAD_SHAPE,
          "unfold: no windows of 2 at every 0 in 5 elements: x[5]");
    WRONG(sg_fold(F(3, 2), 0, 9, 1), SG_BAD_SHAPE,
          "fold: 9 elements do not have 3 windows of 2 at every 1: x[3,2]");
    WRONG(sg_fold(F(3, 2), 1, 9, 1), SG_BAD_SHAPE,
          "fold: axis 1 holds the windows' elements, not the windows: x[3,2]");
    WRONG(sg_sum(F(2, 3), 2, false), SG_BAD_SHAPE, "sum: axis 2 is outside x[2,3]");
    WRONG(sg_mean(F(2, 0), 1, false), SG_BAD_SHAPE, "mean: axis 1 has no elements");
    WRONG(sg_mean(F(0), SG_ALL_AXES, false), SG_BAD_SHAPE, "mean: x has no elements");
    WRONG(sg_max(F(2, 0), 1, false), SG_BAD_SHAPE, "max: axis 1 is empty: x[2,0]");
    WRONG(sg_min(F(0, 2), SG_ALL_AXES, false), SG_BAD_SHAPE, "min: axis 0 is empty: x[0]");
    WRONG(sg_argmax(F(0, 2), 0, false), SG_BAD_SHAPE, "argmax: axis 0 is empty: x[0,2]");
    WRONG(sg_argmax(F(2, 2), 5, false), SG_BAD_SHAPE, "argmax: axis 5 is outside x[2,2]");
    WRONG(sg_logsumexp(F(2, 2), -3, false), SG_BAD_SHAPE, "logsumexp: axis -3 is outside x[2,2]");
    WRONG(sg_cumsum(F(2, 2), 2), SG_BAD_SHAPE, "cumsum: axis 2 is outside x[2,2]");
    WRONG(sg_cumsum(SCALAR, 0), SG_BAD_SHAPE, "cumsum: axis 0 is outside x[]");
    WRONG(sg_take(SCALAR, I(2)), SG_BAD_SHAPE, "take: a scalar has no rows: x[], i[2] i32");
    WRONG(sg_take(F(2, 1, 1, 1, 1), I(1, 1, 1, 1, 1)), SG_BAD_SHAPE,
          "take: the result would have more than 8 axes: x[2,1,1,1,1], i[1,1,1,1,1] i32");
    WRONG(sg_scatter_add(F(3, 2), I(2), 5), SG_BAD_SHAPE,
          "scatter_add: y does not begin with the axes of i: y[3,2], i[2] i32");
    WRONG(sg_scatter_add(F(2, 2), I(2), -1), SG_BAD_SHAPE,
          "scatter_add: negative size in shape [-1,2]");
    WRONG(sg_take_along_axis(F(2, 3), I(2), 1), SG_BAD_SHAPE,
          "take_along_axis: numbers of axes differ: x[2,3], i[2] i32");
    WRONG(sg_take_along_axis(F(2, 3), I(3, 3), 1), SG_BAD_SHAPE,
          "take_along_axis: sizes differ in axis 0, not only in 1: x[2,3], i[3,3] i32");
    WRONG(sg_take_along_axis(F(2, 3), I(2, 3), 2), SG_BAD_SHAPE,
          "take_along_axis: axis 2 is outside x[2,3]");
    WRONG(sg_scatter_add_along_axis(F(2, 3), I(2, 4), 1, 5), SG_BAD_SHAPE,
          "scatter_add_along_axis: shapes differ: y[2,3], i[2,4] i32");
    WRONG(sg_scatter_add_along_axis(F(2, 3), I(2, 3), 1, -5), SG_BAD_SHAPE,
          "scatter_add_along_axis: negative size in shape [2,-5]");
    WRONG(sg_one_hot(I(2), -1, SG_F32), SG_BAD_SHAPE, "one_hot: negative size in shape [2,-1]");
    WRONG(sg_one_hot(I(1, 1, 1, 1, 1, 1, 1, 1), 2, SG_F32), SG_BAD_SHAPE,
          "one_hot: no room for another axis: i[1,1,1,1,1,1,1,1] i32");
    WRONG(sg_argsort(F(2), 1, false), SG_BAD_SHAPE, "argsort: axis 1 is outside x[2]");
    WRONG(sg_sort(F(2), 1, false), SG_BAD_SHAPE, "argsort: axis 1 is outside x[2]");
    WRONG(sg_topk(F(2), 0, 3, NULL), SG_BAD_ARGUMENT, "topk: 3 of 2 elements");
    WRONG(sg_topk(F(2), 0, -1, NULL), SG_BAD_ARGUMENT, "topk: -1 of 2 elements");
    WRONG(sg_topk(F(2), 1, 1, NULL), SG_BAD_SHAPE, "topk: axis 1 is outside x[2]");
    WRONG(sg_reverse_sequence(F(2), (const int[]){1, 1}), SG_BAD_SHAPE,
          "reverse_sequence: x is not [batch, time, ...]");
    WRONG(sg_reverse_sequence(F(2, 3), (const int[]){1, 4}), SG_BAD_SHAPE,
          "reverse_sequence: length 4 of row 1 is not in 0..3");
    WRONG(sg_reverse_sequence(F(2, 3), (const int[]){-1, 1}), SG_BAD_SHAPE,
          "reverse_sequence: length -1 of row 0 is not in 0..3");
    WRONG(sg_reverse_sequence(F(2, 3), NULL), SG_BAD_ARGUMENT,
          "reverse_sequence: no lengths are given");
    WRONG(sg_length_mask(g, 2, 3, (const int[]){1, 4}), SG_BAD_SHAPE,
          "length_mask: length 4 of row 1 is not in 0..3");
    WRONG(sg_length_mask(g, -2, 3, (const int[]){1, 2}), SG_BAD_SHAPE,
          "length_mask: no mask of [-2,3]");
    WRONG(sg_length_mask(g, 2, 3, NULL), SG_BAD_ARGUMENT, "length_mask: no lengths are given");
    WRONG(sg_softmax(SCALAR, NULL), SG_BAD_SHAPE, "softmax: a scalar has no last axis: x[]");
    WRONG(sg_softmax(F(2, 3), U(2)), SG_BAD_SHAPE,
          "softmax: the mask does not broadcast to x: x[2,3], mask[2] u8");
    WRONG(sg_log_softmax(SCALAR), SG_BAD_SHAPE, "log_softmax: a scalar has no last axis: x[]");
    WRONG(sg_cross_entropy(F(2, 3), I(3)), SG_BAD_SHAPE,
          "cross_entropy: labels are not as the logits without their last axis: logits[2,3], "
          "labels[3] i32");
    WRONG(sg_cross_entropy(F(2, 0), I(2)), SG_BAD_SHAPE,
          "cross_entropy: there are no classes: logits[2,0], labels[2] i32");
    WRONG(sg_cross_entropy(F(2, 3), I(2), .smoothing = 1.5), SG_BAD_ARGUMENT,
          "cross_entropy: a smoothing of 1.5 is not in [0, 1]");
    WRONG(sg_cross_entropy(F(2, 3)), SG_BAD_ARGUMENT, "cross_entropy: an operand is NULL");
    WRONG(sg_layer_norm(F(2, 3), F(2), F(3), 0.1), SG_BAD_SHAPE,
          "layer_norm: gain and bias are not as long as the last axis of x: x[2,3], gain[2], "
          "bias[3]");
    WRONG(sg_layer_norm(SCALAR, F(1), F(1), 0.1), SG_BAD_SHAPE,
          "layer_norm: a scalar has no last axis: x[], gain[1], bias[1]");
    WRONG(sg_layer_norm(F(2, 3), F(3), F(3), -1), SG_BAD_ARGUMENT, "layer_norm: epsilon is -1");
    WRONG(sg_random_uniform(g, SG_F32, SG_SHAPE(2, -1)), SG_BAD_SHAPE,
          "random_uniform: negative size in shape [2,-1]");
    WRONG(sg_random_bernoulli(g, SG_SHAPE(2), 1.5), SG_BAD_ARGUMENT,
          "random_bernoulli: 1.5 is no probability");
    WRONG(sg_random_bernoulli(g, SG_SHAPE(2), NAN), SG_BAD_ARGUMENT,
          "random_bernoulli: nan is no probability");
    WRONG(sg_broadcast_to(F(1), SG_SHAPE(LARGE, LARGE)), SG_BAD_SHAPE,
          "broadcast_to: too many elements in shape [1099511627776,1099511627776]");
    WRONG(sg_input(g, SG_F32, SG_SHAPE(LARGE, LARGE), NULL), SG_BAD_SHAPE,
          "too many elements in shape [1099511627776,1099511627776]");
    WRONG(sg_input(g, SG_F32, SG_SHAPE(2, -3), NULL), SG_BAD_SHAPE,
          "negative size in shape [2,-3]");
    WRONG(sg_one_hot(I(4), LARGE << 20, SG_F64), SG_BAD_SHAPE,
          "one_hot: too many elements in shape [4,1152921504606846976]");
    sg_close(g);
}

Test(op_errors, values)
{
    sg_context *g = sg_open();
    WRONG(sg_take(F(2, 5), indices(g, 2)), SG_BAD_ARGUMENT,
          "take: index 2 is out of range for 2 rows: x[2,5], i[3] i32");
    WRONG(sg_take(F(2, 5), indices(g, -1)), SG_BAD_ARGUMENT,
          "take: index -1 is out of range for 2 rows: x[2,5], i[3] i32");
    WRONG(sg_scatter_add(F(3, 5), indices(g, 7), 2), SG_BAD_ARGUMENT,
          "scatter_add: index 7 is out of range for 2 rows: y[3,5], i[3] i32");
    WRONG(sg_take_along_axis(F(2), indices(g, 2), 0), SG_BAD_ARGUMENT,
          "take_along_axis: index 2 is out of range for 2 elements: x[2], i[3] i32");
    WRONG(sg_scatter_add_along_axis(F(3), indices(g, -5), 0, 2), SG_BAD_ARGUMENT,
          "scatter_add_along_axis: index -5 is out of range for 2 elements: y[3], i[3] i32");
    WRONG(sg_cross_entropy(F(3, 2), indices(g, 2)), SG_BAD_ARGUMENT,
          "cross_entropy: label 2 is not in [0, 2): logits[3,2], labels[3] i32");
    WRONG(sg_cross_entropy(F(3, 2), indices(g, -1)), SG_BAD_ARGUMENT,
          "cross_entropy: label -1 is not in [0, 2): logits[3,2], labels[3] i32");
    sg_close(g);
}

Test(op_errors, operands_that_are_none)
{
    sg_context *g = sg_open(), *h = sg_open();
    sg_tensor *elsewhere = sg_input(h, SG_F32, SG_SHAPE(2), NULL);
    WRONG(sg_add(inert(g), inert(g)), SG_BAD_ARGUMENT,
          "add: an operand is the inert tensor of an earlier error");
    WRONG(sg_exp(inert(g)), SG_BAD_ARGUMENT,
          "exp: an operand is the inert tensor of an earlier error");
    WRONG(sg_sum(inert(g), 1, false), SG_BAD_ARGUMENT,
          "sg_eval: an operand is the inert tensor of an earlier error");
    WRONG(sg_slice(inert(g), 0, 0, 1, 1), SG_BAD_ARGUMENT,
          "sg_eval: an operand is the inert tensor of an earlier error");
    WRONG(sg_concat(0, inert(g), inert(g)), SG_BAD_ARGUMENT,
          "sg_eval: an operand is the inert tensor of an earlier error");
    WRONG(sg_matmul(inert(g), inert(g)), SG_BAD_ARGUMENT,
          "matmul: an operand is the inert tensor of an earlier error");
    WRONG(sg_square(stale(g)), SG_STALE, "mul: an operand was made before the last sg_reset");
    WRONG(sg_sum(stale(g), 0, false), SG_STALE,
          "sum_to: an operand was made before the last sg_reset");
    WRONG(sg_matmul(stale(g), stale(g)), SG_STALE,
          "reshape: an operand was made before the last sg_reset");
    WRONG(sg_add(F(2), NULL), SG_BAD_ARGUMENT, "add: an operand is NULL");
    WRONG(sg_matmul(F(2), NULL), SG_BAD_ARGUMENT, "matmul: an operand is NULL");
    WRONG(sg_concat(0, F(2), NULL), SG_BAD_ARGUMENT, "concat: an operand is NULL");
    WRONG(sg_where(NULL, F(2), F(2)), SG_BAD_ARGUMENT, "where: an operand is NULL");
    WRONG(sg_concat(0, NULL, F(2)), SG_BAD_ARGUMENT, "concat: an operand is NULL");
    WRONG(sg_stack(0, NULL, F(2)), SG_BAD_ARGUMENT, "concat: an operand is NULL");
    WRONG(sg_stack(0, F(2), NULL), SG_BAD_ARGUMENT, "concat: an operand is NULL");
    WRONG(sg_slice_update(NULL, F(2), 0, 0), SG_BAD_ARGUMENT, "slice_update: an operand is NULL");
    WRONG(sg_take(NULL, I(2)), SG_BAD_ARGUMENT, "take: an operand is NULL");
    WRONG(sg_take_along_axis(NULL, I(2), 0), SG_BAD_ARGUMENT,
          "take_along_axis: an operand is NULL");
    WRONG(sg_scatter_add_along_axis(NULL, I(2), 0, 2), SG_BAD_ARGUMENT,
          "scatter_add_along_axis: an operand is NULL");
    WRONG(sg_softmax(NULL, U(2)), SG_BAD_ARGUMENT, "softmax: an operand is NULL");
    WRONG(sg_cross_entropy(NULL, I(2)), SG_BAD_ARGUMENT, "cross_entropy: an operand is NULL");
    WRONG(sg_layer_norm(F(2, 3), NULL, F(3), 0), SG_BAD_ARGUMENT, "layer_norm: an operand is NULL");
    WRONG(sg_add(F(2), elsewhere), SG_BAD_CONTEXT, "add: operands of two contexts");
    WRONG(sg_matmul(F(2), elsewhere), SG_BAD_CONTEXT, "matmul: operands of two contexts");
    WRONG(sg_concat(0, F(2), elsewhere), SG_BAD_CONTEXT, "concat: operands of two contexts");
    WRONG(sg_stack(0, F(2), elsewhere), SG_BAD_CONTEXT, "concat: operands of two contexts");
    WRONG(sg_where(U(2), F(2), elsewhere), SG_BAD_CONTEXT, "where: operands of two contexts");
    sg_close(g);
    sg_close(h);
}
