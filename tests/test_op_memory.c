/*
 * Operands of every op may lie in memory in any way: slices that step, forward or backward, parts
 * of larger tensors, transposes, broadcasts. Results and gradients are the same, bit for bit.
 */
#include "tests/op_values.h"

/* A view that reads every |step|-th element of an axis from `before` on, backward if step < 0. */
typedef struct way {
    const char *name;
    int axis; /* 0, or -1 for the last */
    int64_t step, before, after;
} way;

static const way ways[] = {{"flipped", 0, -1, 0, 0},
                           {"part of more rows", 0, 1, 1, 1},
                           {"part of longer rows", -1, 1, 1, 2},
                           {"every other", -1, 2, 1, 0},
                           {"every third, backward", -1, -3, 1, 2}};

/* What stands between elements of a view must not matter: NaN, or an index out of any range. */
static double garbage(sg_dtype type)
{
    return type == SG_U8 ? 77 : type == SG_I32 ? 1 << 20 : NAN;
}

static int64_t size_of(sg_shape s, int from, int to)
{
    int64_t n = 1;
    for (int d = from; d < to; d++)
        n *= s.dim[d];
    return n;
}

static sg_tensor *strided(const op_sample *s, int k, sg_context *g, sg_dtype type, const way *w)
{
    double v[VALUES];
    sg_shape shape = s->in[k].shape, wide = shape;
    int axis = w->axis < 0 ? shape.rank - 1 : 0;
    int64_t n = shape.dim[axis], step = w->step < 0 ? -w->step : w->step;
    int64_t inner = size_of(shape, axis + 1, shape.rank);
    wide.dim[axis] = w->before + (n - 1) * step + 1 + w->after;
    cr_assert_leq(size_of(wide, 0, wide.rank), VALUES);
    for (int64_t i = 0; i < size_of(wide, 0, wide.rank); i++)
        v[i] = garbage(type);
    for (int64_t i = 0; i < s->size[k]; i++) {
        int64_t outer = i / inner / n, at = i / inner % n;
        at = w->before + (w->step < 0 ? n - 1 - at : at) * step;
        v[(outer * wide.dim[axis] + at) * inner + i % inner] = s->v[k][i];
    }
    sg_tensor *x = op_tensor(g, type, wide, v);
    int64_t last = w->before + (n - 1) * step;
    return w->step > 0 ? sg_slice(x, axis, w->before, last + 1, step)
                       : sg_slice(x, axis, last, w->before ? w->before - 1 : SG_END, -step);
}

static sg_tensor *transposed(const op_sample *s, int k, sg_context *g, sg_dtype type)
{
    double v[VALUES];
    sg_shape shape = s->in[k].shape, turned = shape;
    int64_t n = shape.dim[0], m = shape.rank > 1 ? shape.dim[shape.rank - 1] : 1;
    int64_t middle = s->size[k] / n / m;
    turned.dim[0] = shape.dim[shape.rank - 1];
    turned.dim[shape.rank - 1] = n;
    for (int64_t i = 0; i < s->size[k]; i++)
        v[(i % m * middle + i / m % middle) * n + i / m / middle] = s->v[k][i];
    return sg_transpose(op_tensor(g, type, turned, v), 0, -1);
}

/* One row of an input, repeated over axis 0; the sample is made to be like that. */
static sg_tensor *repeated(op_sample *s, int k, sg_context *g, sg_dtype type)
{
    sg_shape one = s->in[k].shape;
    int64_t inner = s->size[k] / one.dim[0];
    for (int64_t i = inner; i < s->size[k]; i++)
        s->v[k][i] = s->v[k][i - inner];
    one.dim[0] = 1;
    return sg_broadcast_to(op_tensor(g, type, one, s->v[k]), s->in[k].shape);
}

Test(op_memory, operands_may_lie_in_any_way)
{
    enum { WAYS = sizeof ways / sizeof *ways };
    op_sample s;
    values expected, got;
    sg_tensor *x[OP_INPUTS];
    for (test_case c = {0}; next_case(&c, OP_FAILS | OP_DRAWS);)
        for (int k = 0; k < op_inputs(c.row); k++)
            for (int w = 0; w < WAYS + 2; w++) {
                sg_dtype type = op_type(c.row, k, c.type);
                sg_context *g = sg_open(.isa = c.isa);
                op_draw(&s, c.row, NULL, 1);
                sg_tensor *view = w < WAYS    ? strided(&s, k, g, type, ways + w)
                                  : w == WAYS ? transposed(&s, k, g, type)
                                              : repeated(&s, k, g, type);
                op_tensors(&s, g, c.type, x);
                compute(&expected, c.row, g, x, false, c.name);
                x[k] = view;
                compute(&got, c.row, g, x, false, c.name);
                same_bits(&expected, &got, c.name,
                          w < WAYS    ? ways[w].name
                          : w == WAYS ? "transposed"
                                      : "repeated");
                sg_close(g);
            }
}
