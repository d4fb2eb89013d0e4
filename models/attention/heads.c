/* Attention with many heads, positions, and the mask of the past. */
#include "models/internal.h"

#include <math.h>

sg_heads sg_make_heads_(sg_heads_options o)
{
    sg_context *g = o.g;
    sg_heads a = {.heads = o.heads, .rotary = o.rotary, .dropout = o.dropout};
    sg_push(g, "heads", o.name);
    sg__need_name(g, o.name);
    if (o.size <= 0 || o.heads <= 0 || o.size % o.heads || o.memory < 0)
        sg_fail(g, SG_BAD_ARGUMENT, "%d heads of %d features", o.heads, o.size);
    else if (o.rotary && (o.memory || o.size / o.heads % 2))
        sg_fail(g, SG_BAD_ARGUMENT,
                "rotary positions are for one sequence, and heads of an even size: %d of %d",
                o.heads, o.size);
    sg__good_dropout(g, o.dropout);
    if (o.memory) {
        a.q = sg_linear(g, "q", o.size, o.size, .dtype = o.dtype);
        a.kv = sg_linear(g, "kv", o.memory, 2 * o.size, .dtype = o.dtype);
    } else {
        a.qkv = sg_linear(g, "qkv", o.size, 3 * o.size, .dtype = o.dtype);
    }
    a.out = sg_linear(g, "out", o.size, o.size, .dtype = o.dtype);
    sg_pop(g);
    return a;
}

/* ---- positions ------------------------------------------------------------------------------ */

/* f(position / 10000^(2i/size)) for i < size / 2: column i·step + at of [time, columns] */
static void angles(double (*f)(double), int64_t start, int64_t time, int64_t size, int64_t columns,
                   int64_t step, int64_t at, double *out)
{
    for (int64_t t = 0; t < time; t++)
        for (int64_t i = 0; i * step + at < columns; i++) {
            double rate = pow(10000, -2 * (double)i / (double)size);
            out[t * columns + i * step + at] = f((double)(start + t) * rate);
        }
}

sg_tensor *sg_sinusoids(sg_context *g, sg_dtype dtype, int64_t start, int64_t time, int64_t size)
{
    if (time < 0 || size < 0)
        return sg_fail(g, SG_BAD_SHAPE, "sinusoids: %lld positions of %lld features",
                       (long long)time, (long long)size);
    double *v = sg_room(g, (size_t)(time * size) * sizeof *v);
    if (!v)
        return sg__nothing(g);
    angles(sin, start, time, size, size, 2, 0, v);
    angles(cos, start, time, size, size, 2, 1, v);
    return sg_cast(sg_borrow(g, SG_F64, SG_SHAPE(time, size), v), dtype);
}

/* [x1; x2] -> [x1 cos - x2 sin; x2 cos + x1 sin] */
sg_tensor *sg_rotate(sg_tensor *x, int64_t start)
{
    sg_context *g = sg_context_of(x);
    if (sg_is_nil(x))
        return x;
    if (sg_rank(x) < 2 || sg_dim(x, -1) % 2)
        return sg_fail(g, SG_BAD_SHAPE, "rotate: x has %d axes, and %lld features, not pairs",
                       sg_rank(x), (long long)(sg_rank(x) ? sg_dim(x, -1) : 0));
    int64_t time = sg_dim(x, -2), d = sg_dim(x, -1), half = d / 2;
    double *v = sg_room(g, 2 * (size_t)(time * half) * sizeof *v);
    if (!v)
        return sg__nothing(g);
    angles(cos, start, time, d, half, 1, 0, v);
    angles(sin, start, time, d, half, 1, 0, v + time * half);
    sg_tensor *both = sg_cast(sg_borrow(g, SG_F64, SG_SHAPE(2, time, half), v), sg_type(x));
    sg_tensor *c = sg_index(both, 0, 0), *s = sg_index(both, 0, 1), *part[2]; /* [T,d/2] */
    sg_split(x, -1, 2, part);
    sg_tensor *left = sg_sub(sg_mul(part[0], c), sg_mul(part[1], s));
    sg_tensor *right = sg_add(sg_mul(part[1], c), sg_mul(part[0], s));
    return sg_concat(-1, left, right);
}

sg_tensor *sg_causal_mask(sg_context *g, int64_t queries, int64_t keys)
{
    if (queries < 0 || keys < 0)
        return sg_fail(g, SG_BAD_SHAPE, "causal mask: %lld queries, %lld keys", (long long)queries,
                       (long long)keys);
    uint8_t *v = sg_room(g, (size_t)(queries * keys));
    if (!v)
        return sg__nothing(g);
    for (int64_t q = 0; q < queries; q++)
        for (int64_t k = 0; k < keys; k++)
            v[q * keys + k] = k <= q + keys - queries;
    return sg_borrow(g, SG_U8, SG_SHAPE(queries, keys), v);
}

/* ---- attending ------------------------------------------------------------------------------ */

/* n parts of x's features, each as heads: [B,T,n·D] -> n of [B,heads,T,d] */
static void as_heads(const sg_heads *a, sg_tensor *x, int n, sg_tensor **part)
{
    int64_t d = sg_dim(x, 2) / n / a->heads;
    x = sg_reshape(x, SG_SHAPE(sg_dim(x, 0), sg_dim(x, 1), n, a->heads, d));
    x = sg_permute(x, (int[]){2, 0, 3, 1, 4}); /* [n,B,heads,T,d] */
    for (int i = 0; i < n; i++)
        part[i] = sg_index(x, 0, i);
}

void sg__heads_memory(const sg_heads *a, sg_tensor *memory, sg_tensor **kv)
{
    as_heads(a, sg_apply(a->kv, memory), 2, kv);
}

/* softmax(q kᵀ / sqrt(d)) v, joined, times Wo */
sg_attended sg__heads_attend(const sg_heads *a, sg_tensor *q, sg_tensor *k, sg_tensor *v,
                             sg_tensor *mask)
{
    q = sg_mul(q, sg_like(q, 1 / sqrt((double)sg_dim(q, 3))));
    sg_tensor *w = sg_softmax(sg_matmul(q, sg_transpose(k, 2, 3)), mask); /* [B,heads,Q,T] */
    sg_tensor *kept = sg_dropout(w, a->dropout);
    sg_tensor *y = sg_transpose(sg_matmul(kept, v), 1, 2); /* [B,Q,heads,d] */
    y = sg_reshape(y, SG_SHAPE(sg_dim(y, 0), sg_dim(y, 1), sg_dim(y, 2) * sg_dim(y, 3)));
    return (sg_attended){.context = sg_apply(a->out, y), .weights = w};
}

/* q, k, v of a sequence that attends to itself, from position `start` on */
void sg__heads_self(const sg_heads *a, sg_tensor *x, int64_t start, sg_tensor **qkv)
{
    as_heads(a, sg_apply(a->qkv, x), 3, qkv);
    for (int i = 0; i < 2 && a->rotary; i++)
        qkv[i] = sg_rotate(qkv[i], start);
}

sg_tensor *sg__heads_query(const sg_heads *a, sg_tensor *x)
{
    sg_tensor *q;
    as_heads(a, sg_apply(a->q, x), 1, &q);
    return q;
}

sg_attended sg_attend_heads(const sg_heads *a, sg_tensor *x, sg_tensor *memory, sg_tensor *mask)
{
    sg_context *g = sg_context_of(x);
    sg_tensor *z[3];
    sg_attended r = {sg__nothing(g), sg__nothing(g)};
    sg_push(g, "heads", "");
    if (sg_ok(g) && (sg_rank(x) != 3 || (memory && sg_rank(memory) != 3)))
        sg_fail(g, SG_BAD_SHAPE, "x, and what it attends to, are [batch, time, features]: %d axes",
                sg_rank(x));
    else if (sg_ok(g) && !memory != !a->kv.w)
        sg_fail(g, SG_BAD_ARGUMENT, "made to attend to %s, not to %s",
                a->kv.w ? "a memory" : "itself", memory ? "a memory" : "itself");
    if (sg_ok(g)) {
        if (memory) {
            z[0] = sg__heads_query(a, x);
            sg__heads_memory(a, memory, z + 1);
        } else {
            sg__heads_self(a, x, 0, z);
        }
        r = sg__heads_attend(a, z[0], z[1], z[2], mask);
    }
    sg_pop(g);
    return r;
}
