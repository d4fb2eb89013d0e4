/* Ops on the rows that differ: the plan's, made by core/plan/sparse.c. */
#include "core/plan/rows.h"
#include "core/array.h"
#include "core/internal.h"
#include "core/sum.h"

static const sg_attr rows_attrs[] = {{"rows", 'i', offsetof(sg__rows_attr, rows)}, {0}};

static int64_t rows_of(const sg_call *c)
{
    return ((const sg__rows_attr *)c->attr)->rows;
}

static size_t row_bytes(const sg_array *a)
{
    return (size_t)(sg__elements(a) / a->dim[0]) * sg__dtype_size(a->dtype);
}

/* The first place in `at`, ascending, of what is not less than `row`. */
static int64_t first_from(const int32_t *at, int64_t n, int64_t row)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (at[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- rows and places: by a bit for each row -------------------------------------------------- */

static size_t words_of(const sg_call *c)
{
    return (size_t)(rows_of(c) + 63) / 64;
}

static size_t rows_scratch(const sg_call *c)
{
    return words_of(c) * sizeof(uint64_t);
}

static size_t places_scratch(const sg_call *c)
{
    return words_of(c) * (sizeof(uint64_t) + sizeof(int32_t));
}

static bool mark(const sg_call *c)
{
    uint64_t *bits = c->scratch;
    const int32_t *i = c->in[0].data;
    int64_t n = sg__elements(&c->in[0]), rows = rows_of(c);
    memset(bits, 0, rows_scratch(c));
    for (int64_t k = 0; k < n; k++) {
        if (i[k] < 0 || i[k] >= rows)
            return sg_stop(c, "index %d is out of range for %lld rows", (int)i[k], (long long)rows);
        bits[i[k] / 64] |= UINT64_C(1) << i[k] % 64;
    }
    return true;
}

static bool rows_run(const sg_call *c)
{
    const uint64_t *bits = c->scratch;
    int32_t *at = c->out.data;
    int64_t n = 0;
    if (!mark(c))
        return false;
    for (size_t w = 0; w < words_of(c); w++)
        for (uint64_t left = bits[w]; left; left &= left - 1)
            at[n++] = (int32_t)(w * 64) + __builtin_ctzll(left);
    while (n < c->out.dim[0])
        at[n++] = (int32_t)rows_of(c);
    return true;
}

static bool places_run(const sg_call *c)
{
    const uint64_t *bits = c->scratch;
    int32_t *before = (int32_t *)(void *)((uint64_t *)c->scratch + words_of(c)), count = 0;
    const int32_t *i = c->in[0].data;
    int32_t *out = c->out.data;
    int64_t n = sg__elements(&c->in[0]);
    if (!mark(c))
        return false;
    for (size_t w = 0; w < words_of(c); w++) {
        before[w] = count;
        count += __builtin_popcountll(bits[w]);
    }
    for (int64_t k = 0; k < n; k++) {
        uint64_t below = (UINT64_C(1) << i[k] % 64) - 1;
        out[k] = before[i[k] / 64] + __builtin_popcountll(bits[i[k] / 64] & below);
    }
    return true;
}

const sg_op sg__rows_op = {
    .name = "rows",
    .args = "i",
    .arity = 1,
    .dtypes = 1 << SG_I32,
    .attr_size = sizeof(sg__rows_attr),
    .attrs = rows_attrs,
    .run = rows_run,
    .scratch = rows_scratch,
};

const sg_op sg__places_op = {
    .name = "places",
    .args = "i",
    .arity = 1,
    .dtypes = 1 << SG_I32,
    .attr_size = sizeof(sg__rows_attr),
    .attrs = rows_attrs,
    .run = places_run,
    .scratch = places_scratch,
};

/* ---- take_rows ------------------------------------------------------------------------------- */

static bool take_rows_run(const sg_call *c)
{
    const int32_t *at = c->in[1].data;
    size_t bytes = row_bytes(&c->out);
    int64_t k, end;
    sg__share(c->out.dim[0], 1, c->part, c->parts, &k, &end);
    for (; k < end; k++) {
        char *to = (char *)c->out.data + (size_t)k * bytes;
        if (at[k] < rows_of(c))
            memcpy(to, (const char *)c->in[0].data + (size_t)at[k] * bytes, bytes);
        else
            memset(to, 0, bytes);
    }
    return true;
}

const sg_op sg__take_rows_op = {
    .name = "take_rows",
    .args = "x at",
    .arity = 2,
    .attr_size = sizeof(sg__rows_attr),
    .attrs = rows_attrs,
    .flags = SG_OP_SPLIT | SG_OP_SURE,
    .run = take_rows_run,
};

/* ---- sum_of_rows ----------------------------------------------------------------------------- */

static bool all_zero(const sg_array *a, const char *row, bool negative)
{
    static const uint64_t one = 1;
    size_t width = sg__dtype_size(a->dtype), bytes = row_bytes(a);
    uint64_t sign = negative && sg__is_float((int)a->dtype) ? one << (8 * width - 1) : 0;
    for (size_t i = 0; i < bytes; i += width) {
        uint64_t v = 0;
        uint32_t narrow = 0;
        if (width == sizeof narrow) {
            memcpy(&narrow, row + i, width);
            v = narrow;
        } else {
            memcpy(&v, row + i, width);
        }
        if (v != sign)
            return false;
    }
    return true;
}

/* Zeros of either sign change no sum: a lane begins with 0, and is never -0. */
static bool sum_of_rows_run(const sg_call *c)
{
    const sg_array *x = &c->in[0];
    const int32_t *at = c->in[1].data;
    int64_t count = first_from(at, c->in[1].dim[0], rows_of(c));
    const char *other = (const char *)x->data + (size_t)count * row_bytes(x);
    bool zero = all_zero(x, other, false) || all_zero(x, other, true);
    memset(c->out.data, 0, sg__dtype_size(x->dtype));
    sg__sum_somes[x->dtype][c->isa](rows_of(c), sg__elements(x) / x->dim[0], count, at, !zero,
                                    c->out.data, x->data);
    return true;
}

const sg_op sg__sum_of_rows_op = {
    .name = "sum_of_rows",
    .args = "values at",
    .arity = 2,
    .attr_size = sizeof(sg__rows_attr),
    .attrs = rows_attrs,
    .flags = SG_OP_SURE,
    .run = sum_of_rows_run,
};

/* ---- update_rows ----------------------------------------------------------------------------- */

static void update_row(const sg_call *c, int64_t row, int64_t k)
{
    const sg__rows_attr *a = c->attr;
    size_t bytes = row_bytes(&c->in[2]);
    char *x = (char *)c->out.data + (size_t)row * bytes;
    const char *value = (const char *)c->in[2].data + (size_t)k * bytes;
    if (!a->op) {
        memcpy(x, value, bytes);
        return;
    }
    sg_map *const *sets = a->op->map[c->out.dtype];
    sg_map *map = sets[c->isa] ? sets[c->isa] : sets[SG_GENERIC];
    map(bytes / sg__dtype_size(c->out.dtype), x,
        (const void *[]){a->operand ? x : value, a->operand ? value : x}, 0);
}

static bool update_rows_run(const sg_call *c)
{
    const sg__rows_attr *a = c->attr;
    const int32_t *at = c->in[1].data;
    int64_t count = first_from(at, c->in[1].dim[0], a->rows), from, to;
    const char *other = (const char *)c->in[2].data + (size_t)count * row_bytes(&c->in[2]);
    if (!a->op || all_zero(&c->in[2], other, a->op->flags & SG_OP_COMMUTES)) {
        sg__share(count, 1, c->part, c->parts, &from, &to);
        for (int64_t k = from; k < to; k++)
            update_row(c, at[k], k);
        return true;
    }
    sg__share(a->rows, 1, c->part, c->parts, &from, &to);
    for (int64_t row = from, k = first_from(at, count, from); row < to; row++) {
        bool own = k < count && at[k] == row;
        update_row(c, row, own ? k : count);
        k += own;
    }
    return true;
}

const sg_op sg__update_rows_op = {
    .name = "update_rows",
    .args = "x at values",
    .arity = 3,
    .attr_size = sizeof(sg__rows_attr),
    .attrs = rows_attrs,
    .flags = SG_OP_SPLIT | SG_OP_SURE,
    .run = update_rows_run,
};
