/* Shapes are interned: equal ones are one pointer, so comparing costs nothing and a node is small.
 */
#include "core/internal.h"

#include <stdlib.h>

size_t sg__dtype_size(sg_dtype d)
{
    static const size_t size[SG_DTYPES] = {4, 8, 4, 1};
    return size[d];
}

const char *sg_dtype_name(sg_dtype d)
{
    static const char *const name[SG_DTYPES] = {"f32", "f64", "i32", "u8"};
    return (unsigned)d < SG_DTYPES ? name[d] : "?";
}

char *sg__shape_text(char *buf, const sg_shape *s)
{
    int at = snprintf(buf, SG_SHAPE_TEXT, "[");
    for (int i = 0; i < s->rank && i < SG_MAX_RANK; i++)
        at += snprintf(buf + at, SG_SHAPE_TEXT - (size_t)at, i ? ",%lld" : "%lld",
                       (long long)s->dim[i]);
    snprintf(buf + at, SG_SHAPE_TEXT - (size_t)at, "]");
    return buf;
}

bool sg__contiguous(const sg_array *a)
{
    int64_t expected = 1;
    bool gaps = false;
    for (int i = a->rank - 1; i >= 0; i--) {
        if (a->dim[i] == 0)
            return true;
        gaps = gaps || (a->dim[i] != 1 && a->stride[i] != expected);
        expected *= a->dim[i];
    }
    return !gaps;
}

static uint64_t hash_of(const sg_shape *s)
{
    uint64_t h = UINT64_C(0x9E3779B97F4A7C15) * (uint64_t)(s->rank + 1);
    for (int i = 0; i < s->rank; i++)
        h = (h ^ (uint64_t)s->dim[i] ^ h >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return h ^ h >> 32;
}

static bool rehash(sg_context *g)
{
    size_t capacity = g->shape_capacity ? g->shape_capacity * 2 : 64;
    sg__dims **table = calloc(capacity, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i < g->shape_capacity; i++)
        for (sg__dims *d = g->shapes[i], *next; d; d = next) {
            next = d->next;
            d->next = table[d->hash & (capacity - 1)];
            table[d->hash & (capacity - 1)] = d;
        }
    free(g->shapes);
    g->shapes = table;
    g->shape_capacity = capacity;
    return true;
}

/* Sets strides and size; false if the elements are too many to address. */
static bool measure(sg__dims *d)
{
    const int64_t most = INT64_MAX / 16;
    int64_t size = 1, stride = 1;
    for (int i = d->shape.rank - 1; i >= 0; i--) {
        int64_t n = d->shape.dim[i];
        d->stride[i] = stride;
        if (n > 0 && stride > most / n)
            return false;
        stride *= n > 0 ? n : 1; /* strides of empty shapes are those of 1 in place of 0 */
        size = n == 0 ? 0 : size * n;
    }
    d->size = size;
    return true;
}

const sg__dims *sg__intern(sg_context *g, const char *op, sg_shape s)
{
    char text[SG_SHAPE_TEXT];
    const char *colon = *op ? ": " : "";
    if (g->status)
        return NULL;
    if (s.rank < 0 || s.rank > SG_MAX_RANK) {
        sg_fail(g, SG_BAD_SHAPE, "%s%sa shape of %d axes: at most %d are possible", op, colon,
                s.rank, SG_MAX_RANK);
        return NULL;
    }
    for (int i = 0; i < s.rank; i++)
        if (s.dim[i] < 0) {
            sg_fail(g, SG_BAD_SHAPE, "%s%snegative size in shape %s", op, colon,
                    sg__shape_text(text, &s));
            return NULL;
        }
    uint64_t h = hash_of(&s);
    if (g->shape_capacity)
        for (sg__dims *d = g->shapes[h & (g->shape_capacity - 1)]; d; d = d->next)
            if (d->hash == h && d->shape.rank == s.rank &&
                memcmp(d->shape.dim, s.dim, (size_t)s.rank * sizeof *s.dim) == 0)
                return d;
    if (g->shape_count == SG__SHAPES || (g->shape_count >= g->shape_capacity && !rehash(g))) {
        sg__no_memory(g, "shapes");
        return NULL;
    }
    sg__dims *d = sg__alloc(&g->lasting, sizeof *d);
    if (!d) {
        sg__no_memory(g, "shapes");
        return NULL;
    }
    *d = (sg__dims){.hash = h, .shape.rank = s.rank, .number = (uint32_t)g->shape_count};
    memcpy(d->shape.dim, s.dim, (size_t)s.rank * sizeof *s.dim);
    if (!measure(d)) { /* the block stays with the context, unused */
        sg_fail(g, SG_BAD_SHAPE, "%s%stoo many elements in shape %s", op, colon,
                sg__shape_text(text, &s));
        return NULL;
    }
    d->next = g->shapes[h & (g->shape_capacity - 1)];
    g->shapes[h & (g->shape_capacity - 1)] = d;
    g->shape_count++;
    return d;
}

bool sg_broadcast_shapes(sg_infer *c)
{
    sg_shape s = sg_shape_of(c->in[0]);
    for (int k = 1; k < c->n; k++) {
        const sg_shape *t = &c->in[k]->dims->shape;
        int rank = s.rank > t->rank ? s.rank : t->rank;
        sg_shape wide = {.rank = rank};
        for (int i = 1; i <= rank; i++) {
            int64_t a = i <= s.rank ? s.dim[s.rank - i] : 1;
            int64_t b = i <= t->rank ? t->dim[t->rank - i] : 1;
            if (a != b && a != 1 && b != 1)
                return sg_refuse(c, "shapes do not broadcast");
            wide.dim[rank - i] = a == 1 ? b : a;
        }
        s = wide;
    }
    c->shape = s;
    return true;
}

int sg_axis(sg_tensor *x, int axis, const char *op)
{
    int rank = sg_rank(x);
    int i = axis < 0 ? axis + rank : axis;
    if (i >= 0 && i < rank)
        return i;
    if (!sg_is_nil(x)) {
        char text[SG_SHAPE_TEXT];
        sg_fail(x->g, SG_BAD_SHAPE, "%s: axis %d is outside x%s", op, axis,
                sg__shape_text(text, &x->dims->shape));
    }
    return -1;
}
