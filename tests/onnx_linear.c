/* ONNX's products of matrices. */
#include "tests/onnx_graph.h"

static sg_tensor *gemm(node *n)
{
    sg_tensor *x = operand(n, 0), *y = operand(n, 1);
    x = attr_int(n, "transA", 0) ? sg_transpose(x, 0, 1) : x;
    y = attr_int(n, "transB", 0) ? sg_transpose(y, 0, 1) : y;
    sg_tensor *z = sg_mul(sg_matmul(x, y), sg_like(x, attr_float(n, "alpha", 1)));
    return has(n, 2) ? sg_add(z, sg_mul(n->in[2], sg_like(z, attr_float(n, "beta", 1)))) : z;
}

const onnx_op onnx_linear[] = {{"Gemm", .run = gemm}, {"MatMul", .binary = sg_matmul}, {0}};
