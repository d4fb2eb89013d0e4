/* ONNX's ops by element: ours, and compositions of them. */
#include "tests/onnx_graph.h"

#include <math.h>
#include <string.h>

static sg_tensor *same(sg_tensor *x)
{
    return sg_probe(x, "identity");
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

static sg_tensor *add(sg_tensor *x, sg_tensor *y)
{
    return by_number(sg_add, x, y);
}

static sg_tensor *subtract(sg_tensor *x, sg_tensor *y)
{
    return by_number(sg_sub, x, y);
}

static sg_tensor *multiply(sg_tensor *x, sg_tensor *y)
{
    return by_number(sg_mul, x, y);
}

static sg_tensor *maximum(sg_tensor *x, sg_tensor *y)
{
    return by_number(sg_maximum, x, y);
}

static sg_tensor *minimum(sg_tensor *x, sg_tensor *y)
{
    return by_number(sg_minimum, x, y);
}

static sg_tensor *truncated(sg_tensor *x)
{
    return sg_mul(sg_sign(x), floor_of(sg_abs(x)));
}

/* Quotients of integers are taken in double, which holds them, and go toward zero. */
static sg_tensor *divide(sg_tensor *x, sg_tensor *y)
{
    if (is_float(x))
        return sg_div(x, y);
    return sg_cast(sg_div(sg_cast(x, SG_F64), sg_cast(y, SG_F64)), sg_type(x));
}

/* x - y * floor(x / y), in double; fmod truncates. */
static sg_tensor *modulo(node *n)
{
    sg_tensor *x = operand(n, 0), *y = sg_cast(operand(n, 1), SG_F64), *d = sg_cast(x, SG_F64);
    sg_tensor *q = sg_div(d, y);
    q = attr_int(n, "fmod", 0) ? truncated(q) : floor_of(q);
    return sg_cast(sg_sub(d, sg_mul(y, q)), sg_type(x));
}

static sg_tensor *power(sg_tensor *x, sg_tensor *y)
{
    if (is_float(x) && sg_type(x) == sg_type(y))
        return sg_pow(x, y);
    return sg_cast(sg_pow(sg_cast(x, SG_F64), sg_cast(y, SG_F64)), sg_type(x));
}

static sg_tensor *fold(node *n)
{
    bool mean = strcmp(n->op, "Mean") == 0;
    sg_tensor *(*f)(sg_tensor *, sg_tensor *) = strcmp(n->op, "Max") == 0   ? maximum
                                                : strcmp(n->op, "Min") == 0 ? minimum
                                                                            : add;
    sg_tensor *x = operand(n, 0);
    for (int i = 1; i < n->n; i++)
        x = f(x, operand(n, i));
    return mean ? sg_div(x, sg_like(x, n->n)) : x;
}

static sg_tensor *clip(node *n)
{
    sg_tensor *x = operand(n, 0);
    sg_tensor *least = has(n, 1) ? n->in[1] : NULL, *most = has(n, 2) ? n->in[2] : NULL;
    if (attr_given(n, "min"))
        least = sg_like(x, attr_float(n, "min", 0));
    if (attr_given(n, "max"))
        most = sg_like(x, attr_float(n, "max", 0));
    x = least ? maximum(x, least) : x;
    return most ? minimum(x, most) : x;
}

static sg_tensor *reciprocal(sg_tensor *x)
{
    return sg_div(sg_like(x, 1), x);
}

static sg_tensor *ceiling(sg_tensor *x)
{
    return sg_neg(floor_of(sg_neg(x)));
}

/* ---- logic and types ------------------------------------------------------------------------- */

static sg_tensor *where(node *n)
{
    return sg_where(operand(n, 0), operand(n, 1), operand(n, 2));
}

static sg_tensor *is_nan(sg_tensor *x)
{
    return sg_not_equal(x, x);
}

static sg_tensor *is_inf(node *n)
{
    sg_tensor *x = operand(n, 0);
    sg_tensor *up = sg_equal(x, sg_like(x, attr_int(n, "detect_positive", 1) ? INFINITY : NAN));
    sg_tensor *down = sg_equal(x, sg_like(x, attr_int(n, "detect_negative", 1) ? -INFINITY : NAN));
    return sg_logical_or(up, down);
}

static sg_tensor *cast(node *n)
{
    sg_tensor *x = operand(n, 0);
    switch (attr_int(n, "to", 0)) { /* TensorProto.DataType */
    case 1:
        return sg_cast(x, SG_F32);
    case 2:
        return sg_cast(x, SG_U8);
    case 6:
    case 7:
        return sg_cast(x, SG_I32);
    case 9:
        return sg_not_equal(x, sg_like(x, 0));
    case 11:
        return sg_cast(x, SG_F64);
    default:
        return refuse(n, "a type that we do not have");
    }
}

static sg_tensor *cast_like(sg_tensor *x, sg_tensor *y)
{
    return sg_cast(x, sg_type(y));
}

/* ---- trigonometry ---------------------------------------------------------------------------- */

static sg_tensor *tangent(sg_tensor *x)
{
    return sg_div(sg_sin(x), sg_cos(x));
}

static sg_tensor *half(sg_tensor *x)
{
    return sg_mul(x, sg_like(x, 0.5));
}

static sg_tensor *sinh_of(sg_tensor *x)
{
    return half(sg_sub(sg_expm1(x), sg_expm1(sg_neg(x))));
}

static sg_tensor *cosh_of(sg_tensor *x)
{
    return half(sg_add(sg_exp(x), sg_exp(sg_neg(x))));
}

/* sign(x) log(|x| + sqrt(x² + 1)), by what is small where x is */
static sg_tensor *asinh_of(sg_tensor *x)
{
    sg_tensor *a = sg_abs(x), *one = sg_like(x, 1), *square = sg_square(x);
    sg_tensor *root = sg_sqrt(sg_add(square, one));
    return sg_mul(sg_sign(x), sg_log1p(sg_add(a, sg_div(square, sg_add(one, root)))));
}

static sg_tensor *acosh_of(sg_tensor *x)
{
    sg_tensor *one = sg_like(x, 1);
    return sg_log(sg_add(x, sg_sqrt(sg_mul(sg_sub(x, one), sg_add(x, one)))));
}

static sg_tensor *atanh_of(sg_tensor *x)
{
    return half(sg_sub(sg_log1p(x), sg_log1p(sg_neg(x))));
}

/* ---- activations ----------------------------------------------------------------------------- */

static sg_tensor *where_positive(sg_tensor *x, sg_tensor *positive, sg_tensor *other)
{
    return sg_where(sg_greater(x, sg_like(x, 0)), positive, other);
}

static sg_tensor *leaky_relu(node *n)
{
    sg_tensor *x = operand(n, 0);
    return where_positive(x, x, sg_mul(x, sg_like(x, attr_float(n, "alpha", 0.01))));
}

static sg_tensor *prelu(sg_tensor *x, sg_tensor *slope)
{
    return where_positive(x, x, sg_mul(x, slope));
}

static sg_tensor *elu(node *n)
{
    sg_tensor *x = operand(n, 0);
    return where_positive(x, x, sg_mul(sg_like(x, attr_float(n, "alpha", 1)), sg_expm1(x)));
}

static sg_tensor *selu(node *n)
{
    sg_tensor *x = operand(n, 0);
    sg_tensor *alpha = sg_like(x, attr_float(n, "alpha", 1.67326319217681884765625));
    sg_tensor *gamma = sg_like(x, attr_float(n, "gamma", 1.05070102214813232421875));
    return sg_mul(gamma, where_positive(x, x, sg_mul(alpha, sg_expm1(x))));
}

static sg_tensor *celu(node *n)
{
    sg_tensor *x = operand(n, 0), *alpha = sg_like(x, attr_float(n, "alpha", 1));
    return where_positive(x, x, sg_mul(alpha, sg_expm1(sg_div(x, alpha))));
}

static sg_tensor *thresholded_relu(node *n)
{
    sg_tensor *x = operand(n, 0);
    sg_tensor *above = sg_greater(x, sg_like(x, attr_float(n, "alpha", 1)));
    return sg_where(above, x, sg_like(x, 0));
}

/* max(0, min(1, a x + b)) */
static sg_tensor *hard(sg_tensor *x, double a, double b)
{
    sg_tensor *y = sg_add(sg_mul(x, sg_like(x, a)), sg_like(x, b));
    return sg_maximum(sg_minimum(y, sg_like(x, 1)), sg_like(x, 0));
}

static sg_tensor *hard_sigmoid(node *n)
{
    return hard(operand(n, 0), attr_float(n, "alpha", 0.2), attr_float(n, "beta", 0.5));
}

static sg_tensor *hard_swish(sg_tensor *x)
{
    return sg_mul(x, hard(x, 1 / 6.0, 0.5));
}

static sg_tensor *softsign(sg_tensor *x)
{
    return sg_div(x, sg_add(sg_abs(x), sg_like(x, 1)));
}

static sg_tensor *mish(sg_tensor *x)
{
    return sg_mul(x, sg_tanh(sg_softplus(x)));
}

static sg_tensor *swish(node *n)
{
    sg_tensor *x = operand(n, 0);
    double alpha = attr_float(n, "alpha", 1);
    return alpha == 1 ? sg_silu(x) : sg_mul(x, sg_sigmoid(sg_mul(x, sg_like(x, alpha))));
}

/* x Phi(x), or x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))) */
static sg_tensor *gelu(node *n)
{
    sg_tensor *x = operand(n, 0);
    if (strcmp(attr_text(n, "approximate", "none"), "none") == 0)
        return sg_gelu(x);
    sg_tensor *cube = sg_mul(sg_mul(sg_square(x), x), sg_like(x, 0.044715));
    sg_tensor *t = sg_tanh(sg_mul(sg_add(x, cube), sg_like(x, 0.79788456080286535588)));
    return sg_mul(half(x), sg_add(t, sg_like(x, 1)));
}

static sg_tensor *shrink(node *n)
{
    sg_tensor *x = operand(n, 0), *bias = sg_like(x, attr_float(n, "bias", 0));
    double lambda = attr_float(n, "lambd", 0.5);
    sg_tensor *low = sg_less(x, sg_like(x, -lambda)), *high = sg_greater(x, sg_like(x, lambda));
    return sg_where(low, sg_add(x, bias), sg_where(high, sg_sub(x, bias), sg_like(x, 0)));
}

/* Dropout draws numbers of its own, so it can only be seen where nothing is dropped. */
static sg_tensor *dropout(node *n)
{
    sg_tensor *x = operand(n, 0);
    bool training = has(n, 2) && sg_item(n->in[2]) != 0;
    double ratio = has(n, 1) ? sg_item(n->in[1]) : attr_float(n, "ratio", 0.5);
    if (training && ratio > 0)
        return refuse(n, "random numbers of others");
    sg_train(n->g, training);
    x = sg_dropout(x, ratio);
    sg_train(n->g, false);
    n->out[1] = sg_full(n->g, SG_U8, sg_shape_of(x), 1);
    return x;
}

const onnx_op onnx_elementwise[] = {{"Abs", .unary = sg_abs},
                                    {"Acosh", .unary = acosh_of},
                                    {"Add", .binary = add},
                                    {"And", .binary = sg_logical_and},
                                    {"Asinh", .unary = asinh_of},
                                    {"Atanh", .unary = atanh_of},
                                    {"Cast", .run = cast},
                                    {"CastLike", .binary = cast_like},
                                    {"Ceil", .unary = ceiling},
                                    {"Celu", .run = celu},
                                    {"Clip", .run = clip},
                                    {"Cos", .unary = sg_cos},
                                    {"Cosh", .unary = cosh_of},
                                    {"Div", .binary = divide},
                                    {"Dropout", .run = dropout},
                                    {"Elu", .run = elu},
                                    {"Equal", .binary = sg_equal},
                                    {"Erf", .unary = sg_erf},
                                    {"Exp", .unary = sg_exp},
                                    {"Floor", .unary = floor_of},
                                    {"Gelu", .run = gelu},
                                    {"Greater", .binary = sg_greater},
                                    {"GreaterOrEqual", .binary = sg_greater_equal},
                                    {"HardSigmoid", .run = hard_sigmoid},
                                    {"HardSwish", .unary = hard_swish},
                                    {"Identity", .unary = same},
                                    {"IsInf", .run = is_inf},
                                    {"IsNaN", .unary = is_nan},
                                    {"LeakyRelu", .run = leaky_relu},
                                    {"Less", .binary = sg_less},
                                    {"LessOrEqual", .binary = sg_less_equal},
                                    {"Log", .unary = sg_log},
                                    {"Max", .run = fold},
                                    {"Mean", .run = fold},
                                    {"Min", .run = fold},
                                    {"Mish", .unary = mish},
                                    {"Mod", .run = modulo},
                                    {"Mul", .binary = multiply},
                                    {"Neg", .unary = sg_neg},
                                    {"Not", .unary = sg_logical_not},
                                    {"Or", .binary = sg_logical_or},
                                    {"PRelu", .binary = prelu},
                                    {"Pow", .binary = power},
                                    {"Reciprocal", .unary = reciprocal},
                                    {"Relu", .unary = sg_relu},
                                    {"Round", .unary = nearest},
                                    {"Selu", .run = selu},
                                    {"Shrink", .run = shrink},
                                    {"Sigmoid", .unary = sg_sigmoid},
                                    {"Sign", .unary = sg_sign},
                                    {"Sin", .unary = sg_sin},
                                    {"Sinh", .unary = sinh_of},
                                    {"Softplus", .unary = sg_softplus},
                                    {"Softsign", .unary = softsign},
                                    {"Sqrt", .unary = sg_sqrt},
                                    {"Sub", .binary = subtract},
                                    {"Sum", .run = fold},
                                    {"Swish", .run = swish},
                                    {"Tan", .unary = tangent},
                                    {"Tanh", .unary = sg_tanh},
                                    {"ThresholdedRelu", .run = thresholded_relu},
                                    {"Where", .run = where},
                                    {"Xor", .binary = sg_not_equal},
                                    {0}};
