/*
 * The order of an axis: argsort, from which sort and topk are compositions. Every type is mapped to
 * unsigned keys that are in the wanted order, so that there is one sort, which is stable and has no
 * comparison that NaN could confuse.
 */
#include "ops/ops_internal.h"

typedef struct {
    int64_t count; /* how many of the first indices are wanted */
    bool descending;
} argsort_attr;

static bool argsort_infer(sg_infer *i)
{
    const argsort_attr *a = i->attr;
    i->shape = sg_shape_of(i->in[0]);
    int64_t *n = &i->shape.dim[i->shape.rank - 1];
    if (*n > INT32_MAX)
        return sg_refuse(i, "more elements than an i32 index can name");
    *n = a->count;
    return true;
}

typedef struct {
    uint64_t key;
    int32_t at;
} item;

#define NAN_KEY                                                                                    \
    UINT64_MAX /* above those of all numbers, also when their order is turned around               \
                */

static uint64_t key_of(const void *x, sg_dtype dtype, int64_t i, bool descending)
{
    uint64_t key, sign = UINT64_C(1) << 63;
    if (dtype == SG_I32) {
        key = (uint64_t)(((const int32_t *)x)[i] - (int64_t)INT32_MIN);
    } else if (dtype == SG_U8) {
        key = ((const uint8_t *)x)[i];
    } else {
        double v = dtype == SG_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
        if (v != v)
            return NAN_KEY;
        v += 0.0; /* -0 and 0 are equal */
        memcpy(&key, &v, sizeof key);
        key = key & sign ? ~key : key | sign;
    }
    return descending ? NAN_KEY - 1 - key : key;
}

/* Merges neighbouring runs of doubling length; returns where the result is. */
static const item *merge_sort(item *a, item *b, int64_t n)
{
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t start = 0; start < n; start += 2 * run) {
            int64_t middle = start + run < n ? start + run : n;
            int64_t end = middle + run < n ? middle + run : n;
            int64_t i = start, j = middle;
            for (int64_t k = start; k < end; k++)
                b[k] = j == end || (i < middle && a[i].key <= a[j].key) ? a[i++] : a[j++];
        }
        item *t = a;
        a = b;
        b = t;
    }
    return a;
}

enum { BLOCK = 64 };

/* Whether none of BLOCK floats goes before one that is a number. */
static bool all_behind(const float *x, float one, bool descending)
{
    int before = 0;
    for (int k = 0; k < BLOCK; k++)
        before |= descending ? x[k] > one : x[k] < one;
    return one == one && !before;
}

/* The `count` first of n, kept in order while passing over all once: for few of many. */
static void select_first(item *best, int64_t count, const sg_array *x, const char *row, int64_t n,
                         bool descending)
{
    int64_t have = 0;
    const float *f = x->dtype == SG_F32 ? (const void *)row : NULL;
    for (int64_t i = 0; i < n; i++) {
        while (f && have == count && i + BLOCK <= n &&
               all_behind(f + i, f[best[count - 1].at], descending))
            i += BLOCK;
        if (i == n)
            break;
        uint64_t key = key_of(row, x->dtype, i, descending);
        if (have == count && key >= best[count - 1].key)
            continue;
        int64_t k = have < count ? have++ : count - 1;
        for (; k > 0 && best[k - 1].key > key; k--)
            best[k] = best[k - 1];
        best[k] = (item){key, (int32_t)i};
    }
}

static size_t argsort_scratch(const sg_call *c)
{
    return 2 * sizeof(item) * (size_t)sg__rows(&c->in[0]).size;
}

static bool argsort_run(const sg_call *c)
{
    enum { FEW = 64, MANY = 4 * FEW };
    const argsort_attr *a = c->attr;
    sg__around x = sg__rows(&c->in[0]);
    item *items = c->scratch;
    const char *row = c->in[0].data;
    int32_t *to = c->out.data;
    for (int64_t o = 0; o < x.outer && a->count > 0; o++) {
        const item *sorted = items;
        if (a->count <= FEW && x.size >= MANY) {
            select_first(items, a->count, &c->in[0], row, x.size, a->descending);
        } else {
            for (int64_t i = 0; i < x.size; i++)
                items[i] = (item){key_of(row, c->in[0].dtype, i, a->descending), (int32_t)i};
            sorted = merge_sort(items, items + x.size, x.size);
        }
        for (int64_t k = 0; k < a->count; k++)
            *to++ = sorted[k].at;
        row += (size_t)x.size * sg__width(c->in[0].dtype);
    }
    return true;
}

static const sg_op argsort_op = {
    .name = "argsort",
    .args = "x",
    .flags = SG_OP_CONSTANT,
    .arity = 1,
    .dtypes = SG_ALL,
    .attr_size = sizeof(argsort_attr),
    .attrs = (const sg_attr[]){{"count", 'i', offsetof(argsort_attr, count)},
                               {"descending", 'b', offsetof(argsort_attr, descending)},
                               {0}},
    .infer = argsort_infer,
    .result = 1 + SG_I32,
    .run = argsort_run,
    .scratch = argsort_scratch,
};

/* The op sorts the last axis; another one is brought there and back. */
static sg_tensor *first(sg_tensor *x, int axis, int64_t count, bool descending)
{
    argsort_attr a;
    memset(&a, 0, sizeof a);
    a.count = count;
    a.descending = descending;
    x = sg_transpose(x, axis, -1);
    return sg_transpose(sg_record(&argsort_op, &a, 1, &x), axis, -1);
}

sg_tensor *sg_argsort(sg_tensor *x, int axis, bool descending)
{
    axis = sg_axis(x, axis, "argsort");
    return axis < 0 ? sg__inert(x) : first(x, axis, sg_dim(x, axis), descending);
}

sg_tensor *sg_sort(sg_tensor *x, int axis, bool descending)
{
    return sg_take_along_axis(x, sg_argsort(x, axis, descending), axis);
}

sg_tensor *sg_topk(sg_tensor *x, int axis, int64_t k, sg_tensor **indices)
{
    axis = sg_axis(x, axis, "topk");
    sg_tensor *i = sg__inert(x);
    if (axis >= 0 && (k < 0 || k > sg_dim(x, axis)))
        sg_fail(sg_context_of(x), SG_BAD_ARGUMENT, "topk: %lld of %lld elements", (long long)k,
                (long long)sg_dim(x, axis));
    else if (axis >= 0)
        i = first(x, axis, k, true);
    if (indices)
        *indices = i;
    return axis < 0 ? i : sg_take_along_axis(x, i, axis);
}
