/* ONNX's ops for transformers: attention over heads [B,H,T,D], rotated positions, caches of keys.
 */
#include "tests/onnx_graph.h"

#include <math.h>
#include <string.h>

/* [B,T,heads*D] to [B,heads,T,D]; what has 4 axes is that already. */
static sg_tensor *heads(sg_tensor *x, int64_t count)
{
    int64_t size = count ? sg_dim(x, 2) / count : 0;
    if (sg_rank(x) == 4)
        return x;
    x = sg_reshape(x, SG_SHAPE(sg_dim(x, 0), sg_dim(x, 1), count, size));
    return sg_transpose(x, 1, 2);
}

static sg_tensor *join_heads(sg_tensor *x)
{
    int64_t size = sg_dim(x, 1) * sg_dim(x, 3);
    return sg_reshape(sg_transpose(x, 1, 2), SG_SHAPE(sg_dim(x, 0), sg_dim(x, 2), size));
}

/* Each head of keys or values for several heads of queries: [B,h,T,D] to [B,H,T,D] */
static sg_tensor *repeat_heads(sg_tensor *x, int64_t count)
{
    int64_t own = sg_dim(x, 1), b = sg_dim(x, 0), t = sg_dim(x, 2), d = sg_dim(x, 3);
    if (own == count || own == 0)
        return x;
    x = sg_broadcast_to(sg_expand_dims(x, 2), SG_SHAPE(b, own, count / own, t, d));
    return sg_reshape(x, SG_SHAPE(b, count, t, d));
}

static sg_tensor *both(sg_tensor *mask, sg_tensor *other)
{
    return mask ? sg_logical_and(mask, other) : other;
}

/* What may be attended to, u8 that broadcasts to [B,H,Q,K], or NULL for all; and what is added. */
static sg_tensor *mask_of(node *n, int64_t queries, int64_t keys, int64_t past, sg_tensor **bias)
{
    sg_tensor *mask = NULL, *given = has(n, 3) ? n->in[3] : NULL;
    sg_tensor *key = iota(n->g, keys), *query = sg_expand_dims(iota(n->g, queries), 1);
    *bias = NULL;
    if (given) {
        double none = is_float(given) ? -HUGE_VAL : 0;
        given = sg_pad(given, -1, 0, keys - sg_dim(given, -1), none);
        if (is_float(given))
            *bias = given;
        else
            mask = given;
    }
    if (attr_int(n, "is_causal", 0)) {
        sg_tensor *now = sg_add(query, sg_like(query, (double)past));
        mask = both(mask, sg_less_equal(key, now));
    }
    if (has(n, 6)) {
        sg_shape rows = SG_SHAPE(sg_size(n->in[6]), 1, 1, 1);
        mask = both(mask, sg_less(key, sg_reshape(n->in[6], rows)));
    }
    return mask;
}

/* softmax(q kᵀ scale + bias) v; ONNX squashes after masking, so that what is masked is not quite.
 */
static sg_tensor *attend(node *n, sg_tensor *q, sg_tensor *k, sg_tensor *v, int64_t past)
{
    sg_tensor *bias, *mask = mask_of(n, sg_dim(q, 2), sg_dim(k, 2), past, &bias);
    double scale = attr_float(n, "scale", 1 / sqrt((double)sg_dim(q, 3)));
    double cap = attr_float(n, "softcap", 0);
    sg_tensor *score = sg_matmul(sg_mul(q, sg_like(q, scale)), sg_transpose(k, 2, 3));
    sg_tensor *biased = bias ? sg_add(score, bias) : score;
    sg_tensor *masked = mask ? sg_where(mask, biased, sg_like(biased, -HUGE_VAL)) : biased;
    sg_tensor *capped = masked;
    if (cap > 0)
        capped = sg_mul(sg_tanh(sg_div(masked, sg_like(q, cap))), sg_like(q, cap));
    sg_tensor *weights = cap > 0 ? sg_softmax(capped, NULL) : sg_softmax(biased, mask);
    sg_tensor *const kept[] = {score, masked, capped, weights};
    int64_t which = attr_int(n, "qk_matmul_output_mode", 0);
    n->out[3] = which >= 0 && which < 4 ? kept[which] : NULL;
    return sg_matmul(weights, v);
}

static sg_tensor *attention(node *n)
{
    int64_t many = attr_int(n, "q_num_heads", 0), few = attr_int(n, "kv_num_heads", 0), past = 0;
    sg_tensor *q = operand(n, 0), *k = operand(n, 1), *v = operand(n, 2);
    bool joined = sg_rank(q) == 3;
    q = heads(q, many);
    k = heads(k, few);
    v = heads(v, few);
    if (has(n, 4) && has(n, 5)) {
        past = sg_dim(n->in[4], 2);
        k = sg_concat(2, n->in[4], k);
        v = sg_concat(2, n->in[5], v);
    }
    n->out[1] = k;
    n->out[2] = v;
    if (!sg_ok(n->g))
        return nothing(n);
    sg_tensor *y = attend(n, q, repeat_heads(k, sg_dim(q, 1)), repeat_heads(v, sg_dim(q, 1)), past);
    return joined ? join_heads(y) : y;
}

/* ---- rotary embedding ------------------------------------------------------------------------ */

/* Pairs (x1, x2) turned by an angle a position: (x1 cos - x2 sin, x1 sin + x2 cos). Pairs are
 * neighbours, or of the two halves; what is behind `size` stays. x [B,H,T,D], cos [B|1,1,T,size/2]
 */
static sg_tensor *rotate(sg_tensor *x, sg_tensor *cosine, sg_tensor *sine, bool neighbours)
{
    int64_t half = sg_dim(cosine, -1), size = 2 * half;
    sg_tensor *turned = slice_axis(x, -1, 0, size), *rest = slice_axis(x, -1, size, SG_END);
    sg_tensor *x1 =
        neighbours ? sg_slice(turned, -1, 0, SG_END, 2) : slice_axis(turned, -1, 0, half);
    sg_tensor *x2 =
        neighbours ? sg_slice(turned, -1, 1, SG_END, 2) : slice_axis(turned, -1, half, size);
    sg_tensor *real = sg_sub(sg_mul(cosine, x1), sg_mul(sine, x2));
    sg_tensor *imaginary = sg_add(sg_mul(sine, x1), sg_mul(cosine, x2));
    sg_tensor *y = neighbours ? sg_reshape(sg_stack(-1, real, imaginary), sg_shape_of(turned))
                              : sg_concat(-1, real, imaginary);
    return sg_concat(-1, y, rest);
}

static sg_tensor *rotary(node *n)
{
    sg_tensor *x = operand(n, 0), *cosine = operand(n, 1), *sine = operand(n, 2);
    bool joined = sg_rank(x) == 3;
    if (has(n, 3)) {
        cosine = sg_take(cosine, n->in[3]); /* [B,T,size/2] */
        sine = sg_take(sine, n->in[3]);
    }
    x = heads(x, attr_int(n, "num_heads", 0));
    x = rotate(x, sg_expand_dims(cosine, 1), sg_expand_dims(sine, 1),
               attr_int(n, "interleaved", 0) != 0);
    return joined ? join_heads(x) : x;
}

/* ---- caches ---------------------------------------------------------------------------------- */

/* Each batch row of `update` written into x's axis from a place of its own on; around its end, if
 * circular. */
static sg_tensor *tensor_scatter(node *n)
{
    sg_tensor *x = operand(n, 0), *update = operand(n, 1), *rows[MOST_INTEGERS];
    integers at = operand_ints(n, 2, "");
    int axis = (int)attr_int(n, "axis", -2);
    int64_t size = sg_dim(x, axis);
    if (at.n != sg_dim(x, 0) || at.n == 0 || axis == 0)
        return refuse(n, "places are not one for each row of the batch");
    for (int b = 0; b < at.n; b++) {
        sg_tensor *row = slice_axis(x, 0, b, b + 1), *from = slice_axis(update, 0, b, b + 1);
        for (int64_t t = 0; t < sg_dim(update, axis); t++)
            row = sg_slice_update(row, slice_axis(from, axis, t, t + 1), axis,
                                  size ? (at.v[b] + t) % size : 0);
        rows[b] = row;
    }
    return sg_concat_(0, at.n, rows);
}

const onnx_op onnx_attention[] = {{"Attention", .run = attention},
                                  {"RotaryEmbedding", .run = rotary},
                                  {"TensorScatter", .run = tensor_scatter},
                                  {0}};
