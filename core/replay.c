/* Recording a piece of tape again, with some of its tensors replaced and all floats in another
 * type: what gradient checks (an f32 model in f64) and lowering stand on. */
#include "core/internal.h"

#include <stdlib.h>

static sg_tensor *convert(sg_tensor *x, sg_dtype dtype)
{
    sg_tensor *y = sg_input(x->g, dtype, x->dims->shape, NULL);
    if (sg_is_nil(y))
        return y;
    for (int64_t i = 0; i < x->dims->size; i++)
        if (dtype == SG_F64)
            ((double *)y->value)[i] = (double)((const float *)x->value)[i];
        else
            ((float *)y->value)[i] = (float)((const double *)x->value)[i];
    return y;
}

static const sg_op *typed(const sg_op *op, sg_dtype dtype)
{
    bool floats = op->result && sg__is_float(op->result - 1);
    return dtype < SG_DTYPES && floats && op->typed && op->typed[dtype] ? op->typed[dtype] : op;
}

/* The node that stands for x; `in` are those that stand for its operands. */
static sg_tensor *again(sg_tensor *x, sg_tensor **in, sg_dtype dtype)
{
    bool changes = dtype < SG_DTYPES && sg__is_float(x->dtype) && x->dtype != dtype;
    if (x->n == 0)
        return changes ? convert(x, dtype) : x;
    if (x->op->flags & SG_OP_ROOT || x->op == &sg__keep_op)
        return in[0];
    const sg_op *op = typed(x->op, dtype);
    bool same = op == x->op;
    for (uint32_t i = 0; i < x->n; i++)
        same = same && in[i] == x->in[i];
    return same ? x : sg_record(op, x->attr, (int)x->n, in);
}

sg_tensor *sg__record_again(sg_tensor *x, sg_tensor **in)
{
    return again(x, in, SG_DTYPES);
}

sg_tensor *sg_replay(sg_tensor *y, int n, sg_tensor *const *from, sg_tensor *const *to,
                     sg_dtype dtype)
{
    sg_tensor *nil;
    sg_context *g = sg__together(1, &y, "replay", &nil);
    if (g && n)
        g = sg__together(n, from, "replay", &nil);
    if (g && n)
        g = sg__together(n, to, "replay", &nil);
    if (!g || !sg__walk(g, 1, &y, SG__EVERYTHING))
        return nil;
    sg__list order = g->order;
    g->order = (sg__list){0};
    uint32_t epoch = g->epoch, most = 0;
    for (size_t i = 0; i < order.n; i++)
        most = order.x[i]->n > most ? order.x[i]->n : most;
    sg_tensor **image = calloc(order.n, sizeof *image);
    sg_tensor **in = malloc((most + 1) * sizeof *in);
    sg__scope *scope = g->scope;
    if (!image || !in)
        sg__no_memory(g, "a replay");
    for (int i = 0; !g->status && i < n; i++)
        if (from[i]->mark == epoch)
            image[from[i]->index] = to[i];
    for (size_t i = 0; i < order.n && !g->status; i++) {
        sg_tensor *x = order.x[i];
        for (uint32_t k = 0; k < x->n; k++)
            in[k] = image[x->in[k]->index];
        g->scope = (sg__scope *)(uintptr_t)x->scope;
        if (!image[i])
            image[i] = again(x, in, dtype);
    }
    g->scope = scope;
    sg_tensor *result = g->status ? g->nil : image[order.n - 1];
    free(image);
    free(in);
    free(g->order.x);
    g->order = order;
    return result;
}
