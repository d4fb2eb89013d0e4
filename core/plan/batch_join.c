/* Operands and results of what is computed together. Results stand in one array row by row; what
 * stands there in the order in which it is wanted again is taken as it is, the rest is gathered. */
#include "core/parts.h"
#include "core/plan/batch.h"
#include "core/plan/gather.h"

enum {
    GATHERS = 1024, /* room for so many at a time */
    AHEAD = 8       /* operands: what is looked at then is fetched now */
};

static const sg__item *item(const sg__batcher *b, uint32_t i)
{
    return b->gr->x + i;
}

static const sg__group *group_of(const sg__batcher *b, uint32_t i)
{
    return b->groups + b->of[b->spots[i].member].group;
}

/* Whether an item is still computed as it was. */
static bool unchanged(const sg__batcher *b, uint32_t i)
{
    return group_of(b, i)->item == b->of[b->spots[i].member].item;
}

static bool no_memory(sg__batcher *b)
{
    sg__no_memory(b->gr->g, "a plan");
    return false;
}

static uint32_t reshape(sg__batcher *b, uint32_t i, const sg_shape *shape)
{
    const sg_shape *now = &item(b, i)->dims->shape;
    if (now->rank == shape->rank &&
        memcmp(now->dim, shape->dim, (size_t)now->rank * sizeof *now->dim) == 0)
        return i;
    return sg__graph_reshape(b->gr, i, *shape);
}

static uint32_t slice(sg__batcher *b, uint32_t i, int axis, int64_t start, int64_t count)
{
    sg_shape s = item(b, i)->dims->shape;
    if (start == 0 && count == s.dim[axis])
        return i;
    sg__slice_attr a;
    memset(&a, 0, sizeof a);
    a.axis = axis;
    a.start = start;
    a.count = count;
    a.step = 1;
    s.dim[axis] = count;
    return sg__graph_new(b->gr, item(b, i), &sg__slice_op, &a, s, 1, &i);
}

/* `size` elements of an array from element `start` on, in some shape. */
static uint32_t stretch(sg__batcher *b, uint32_t i, int64_t start, int64_t size)
{
    for (int axis = 0; i != SG__NONE && item(b, i)->dims->size != size; axis++) {
        const sg_shape *s = &item(b, i)->dims->shape;
        int64_t block = 1;
        for (int k = axis + 1; k < s->rank; k++)
            block *= s->dim[k];
        int64_t first = start / block;
        if (size >= block && start % block == 0 && size % block == 0)
            return slice(b, i, axis, first, size / block);
        if ((start + size - 1) / block != first) {
            i = reshape(b, i, &SG_SHAPE(item(b, i)->dims->size));
            return i == SG__NONE ? i : slice(b, i, 0, start, size);
        }
        i = slice(b, i, axis, first, 1);
        start -= first * block;
    }
    return i;
}

static uint32_t with_operands_alone(sg__batcher *b, uint32_t i)
{
    sg__item x = *item(b, i);
    uint32_t *in = sg__graph_list(b->gr, x.n);
    for (uint32_t k = 0; in && k < x.n; k++)
        if ((in[k] = sg__batch_alone(b, x.in[k])) == SG__NONE)
            return SG__NONE;
    x.in = in;
    return in ? sg__graph_add(b->gr, x) : SG__NONE;
}

uint32_t sg__batch_alone(sg__batcher *b, uint32_t i)
{
    sg__spot *s = b->spots + i;
    if (s->self != SG__NONE)
        return s->self;
    if (unchanged(b, i))
        return s->self = i;
    if (item(b, i)->op->flags & SG_OP_ROOT)
        return s->self = with_operands_alone(b, i);
    uint32_t x =
        stretch(b, group_of(b, i)->item, b->of[s->member].at + s->start, item(b, i)->dims->size);
    return s->self = x == SG__NONE ? x : reshape(b, x, &item(b, i)->dims->shape);
}

/* ---- joining --------------------------------------------------------------------------------- */

typedef struct piece { /* stretches of one array that follow each other, or stand in a column */
    uint32_t group;
    int64_t at, size; /* size: of all, or of one in a column */
    int64_t count, rows;
    bool column;
} piece;

/* Adds the next stretch to a piece, if it goes on with it. */
static bool goes_on(const sg__batcher *b, piece *p, uint32_t group, int64_t at, int64_t size,
                    int64_t rows)
{
    int64_t row = b->groups[group].row;
    if (p->group != group)
        return false;
    bool next = !p->column && at == p->at + p->size;
    bool below = (p->count == 1 || p->column) && size == p->size && size < row &&
                 at == p->at + p->count * row && at % row + size <= row;
    if (!next && !below)
        return false;
    p->column = !next;
    p->size += next ? size : 0;
    p->count++;
    p->rows += rows;
    return true;
}

static uint32_t piece_item(sg__batcher *b, const piece *p, sg_shape rest)
{
    const sg__group *g = b->groups + p->group;
    uint32_t i = g->item;
    rest.dim[0] = p->rows;
    if (!p->column) {
        i = stretch(b, i, p->at, p->size);
    } else {
        i = reshape(b, i, &SG_SHAPE(item(b, i)->dims->size / g->row, g->row));
        i = i == SG__NONE ? i : slice(b, i, 0, p->at / g->row, p->count);
        i = i == SG__NONE ? i : slice(b, i, 1, p->at % g->row, p->size);
    }
    return i == SG__NONE ? i : reshape(b, i, &rest);
}

/* The number of these pieces in this shape; new ones have no item yet. */
static uint32_t number_of(sg__batcher *b, uint32_t n, const piece *p, const sg_shape *shape)
{
    uint64_t *words = sg__batch_words(b, SG_MAX_RANK + 5 * (size_t)n), *at = words;
    const uint32_t known = b->gather_numbers.count;
    if (!words)
        return SG__NONE;
    for (int k = 0; k < shape->rank; k++)
        *at++ = (uint64_t)shape->dim[k];
    for (uint32_t k = 0; k < n; k++) {
        *at++ = p[k].group | (uint64_t)p[k].column << 32;
        *at++ = (uint64_t)p[k].at;
        *at++ = (uint64_t)p[k].size;
        *at++ = (uint64_t)p[k].count;
    }
    uint32_t i = sg__batch_number(b, &b->gather_numbers, (uint32_t)(at - words), words);
    if (i == known && i % GATHERS == 0) {
        uint32_t *items = sg__graph_list(b->gr, i + GATHERS);
        if (!items)
            return SG__NONE;
        if (i)
            memcpy(items, b->gathered, i * sizeof *items);
        b->gathered = items;
    }
    if (i == known)
        b->gathered[i] = SG__NONE;
    return i;
}

/* All pieces as one array, copied; the same one for the same pieces. */
static uint32_t gather(sg__batcher *b, uint32_t n, const piece *p, const sg_shape *shape)
{
    uint32_t number = number_of(b, n, p, shape), sources = 0;
    if (number == SG__NONE || b->gathered[number] != SG__NONE)
        return number == SG__NONE ? number : b->gathered[number];
    sg__piece *of = sg__alloc(b->lasting, n * sizeof *of);
    uint32_t *in = sg__graph_list(b->gr, n);
    sg__gather g = {of, n};
    int64_t to = 0;
    if (!of || !in)
        return no_memory(b), SG__NONE;
    for (uint32_t k = 0; k < n; k++) {
        sg__group *from = b->groups + p[k].group;
        if (from->gather != number + 1) {
            from->gather = number + 1;
            from->source = sources;
            in[sources++] = from->item;
        }
        int64_t count = p[k].column ? p[k].count : 1;
        of[k] = (sg__piece){from->source, p[k].at, p[k].size, count, from->row, to};
        to += count * p[k].size;
    }
    uint32_t i = sg__graph_new(b->gr, item(b, in[0]), &sg__gather_op, &g, *shape, sources, in);
    return b->gathered[number] = i;
}

/* These operands of members one after the other, the k-th as rows[k] rows, of the sizes that `rest`
 * has behind axis 0. */
static uint32_t join(sg__batcher *b, uint32_t n, const uint32_t *operands, const int64_t *rows,
                     sg_shape rest)
{
    piece *p = sg__alloc(&b->gr->g->scratch, n * sizeof *p);
    uint32_t count = 0;
    int64_t row = 1;
    if (!p)
        return no_memory(b), SG__NONE;
    for (int k = 1; k < rest.rank; k++)
        row *= rest.dim[k];
    rest.dim[0] = 0;
    for (uint32_t k = 0; k < n; k++) {
        const sg__member *m = b->of + b->in[operands[k]];
        if (k + AHEAD < n)
            __builtin_prefetch(b->of + b->in[operands[k + AHEAD]]);
        int64_t at = m->at + b->start[operands[k]], size = rows[k] * row;
        rest.dim[0] += rows[k];
        if (!count || !goes_on(b, &p[count - 1], m->group, at, size, rows[k]))
            p[count++] = (piece){m->group, at, size, 1, rows[k], false};
    }
    return count == 1 ? piece_item(b, p, rest) : gather(b, count, p, &rest);
}

/* ---- computing ------------------------------------------------------------------------------- */

/* Whether x is nothing but its operands one after the other; then sets their rows, and the shape of
 * these. */
static bool in_order(sg__batcher *b, const sg__item *x, int64_t *rows, sg_shape *rest)
{
    sg_part *part = sg__alloc(&b->gr->g->scratch, x->n * sizeof *part);
    sg_array *in = sg__alloc(&b->gr->g->scratch, x->n * sizeof *in), out;
    int64_t before = 0;
    int axis = 0;
    if (!part || !in)
        return no_memory(b);
    out = sg__whole(x->dims, x->dtype);
    while (axis < out.rank - 1 && out.dim[axis] == 1)
        axis++;
    for (uint32_t k = 0; k < x->n; k++)
        in[k] = sg__whole(item(b, x->in[k])->dims, x->dtype);
    x->op->parts(x->attr, (int)x->n, in, &out, part);
    for (uint32_t k = 0; k < x->n; k++) {
        int64_t size = item(b, x->in[k])->dims->size;
        bool whole = size > 0 && part[k].start == before && size % out.stride[axis] == 0;
        for (int d = 0; whole && d < out.rank; d++)
            whole = in[k].dim[d] == 1 || part[k].stride[d] == in[k].stride[d];
        if (!whole)
            return false;
        rows[k] = size / out.stride[axis];
        before += size;
    }
    *rest = (sg_shape){.rank = 1};
    for (int d = axis + 1; d < out.rank; d++)
        rest->dim[rest->rank++] = out.dim[d];
    return before == x->dims->size;
}

/* Whether x is made of arrays of their own, which can be computed right in it. */
static bool is_made_of_wholes(const sg__batcher *b, const sg__item *x)
{
    for (uint32_t k = 0; k < x->n; k++)
        if (item(b, group_of(b, x->in[k])->item)->dims->size != item(b, x->in[k])->dims->size)
            return false;
    return true;
}

static uint32_t anew(sg__batcher *b, uint32_t m)
{
    sg__item x = *item(b, b->of[m].item);
    sg_shape rest;
    if (x.op->parts && x.n > 1 && !is_made_of_wholes(b, &x)) {
        int64_t *rows = sg__alloc(&b->gr->g->scratch, x.n * sizeof *rows);
        uint32_t *operands = sg__graph_list(b->gr, x.n);
        if (!rows || !operands)
            return no_memory(b), SG__NONE;
        for (uint32_t k = 0; k < x.n; k++)
            operands[k] = b->first[m] + k;
        if (in_order(b, &x, rows, &rest)) {
            uint32_t all = join(b, x.n, operands, rows, rest);
            return all == SG__NONE ? all : reshape(b, all, &x.dims->shape);
        }
    }
    return with_operands_alone(b, b->of[m].item);
}

/* By itself, from operands that may have been computed with others. */
static bool compute_alone(sg__batcher *b, sg__group *g)
{
    sg__member *m = b->of + g->members[0];
    const sg__item *x = item(b, m->item);
    const sg_shape *s = &x->dims->shape;
    bool as_it_was = true;
    g->row = s->rank && s->dim[0] ? x->dims->size / s->dim[0] : 1;
    for (uint32_t k = 0; k < x->n && as_it_was; k++)
        as_it_was = unchanged(b, x->in[k]);
    m->at = 0;
    g->item = as_it_was ? m->item : anew(b, g->members[0]);
    return g->item != SG__NONE;
}

/* Operand k of all, as rows; or as it is, if it is one for all. */
static uint32_t operand(sg__batcher *b, const sg__group *g, uint32_t k, const int64_t *rows)
{
    const sg__kind *kind = sg__kind_of(b, g->members[0]);
    const sg__item *like = item(b, b->of[g->members[0]].item);
    const sg_op *op = like->op;
    const uint32_t first = like->in[k];
    if (sg__shares(kind, k) && (kind->rows > 1 || !op->map))
        return sg__batch_alone(b, first);
    bool one = op->map && !(op->flags & SG_OP_FOLD) && kind->rows == 1;
    uint32_t *all = sg__graph_list(b->gr, g->count);
    if (!all)
        return SG__NONE;
    for (uint32_t i = 0; i < g->count; i++) {
        all[i] = b->first[g->members[i]] + k;
        one = one && b->in[all[i]] == b->in[all[0]] && b->start[all[i]] == b->start[all[0]];
    }
    sg_shape rest = sg__rows_shape(b, kind, k, 1);
    if (!one)
        return join(b, g->count, all, rows, rest);
    memmove(rest.dim, rest.dim + 1, (size_t)--rest.rank * sizeof *rest.dim);
    uint32_t x = sg__batch_alone(b, first);
    return x == SG__NONE ? x : reshape(b, x, &rest);
}

static bool compute_together(sg__batcher *b, sg__group *g)
{
    const uint32_t count = g->count, *members = g->members, first = b->of[members[0]].item;
    const sg__kind *kind = sg__kind_of(b, members[0]);
    const sg_op *op = item(b, first)->op;
    const uint32_t n = item(b, first)->n;
    uint32_t *in = sg__graph_list(b->gr, n);
    int64_t *rows = sg__alloc(&b->gr->g->scratch, count * sizeof *rows), all = 0;
    sg_rows how = {.attr = kind->how.attr};
    if (!in || !rows)
        return no_memory(b);
    for (uint32_t i = 0; i < count; i++)
        all += rows[i] = sg__kind_of(b, members[i])->rows;
    for (uint32_t k = 0; k < n; k++)
        if ((in[k] = operand(b, g, k, rows)) == SG__NONE)
            return false;
    const sg__item *like = item(b, first);
    if (op->attr_size) {
        how.attr = sg__alloc(&b->gr->g->scratch, op->attr_size);
        const sg_shape **shape = sg__alloc(&b->gr->g->scratch, n * sizeof *shape);
        if (!how.attr || !shape)
            return no_memory(b);
        memcpy(how.attr, like->attr, op->attr_size);
        how.rows = all;
        for (uint32_t k = 0; k < n; k++)
            shape[k] = &item(b, like->in[k])->dims->shape;
        if (op->batch)
            op->batch(shape, &like->dims->shape, &how);
    }
    g->item = sg__graph_new(b->gr, like, op, how.attr, sg__rows_shape(b, kind, n, all), n, in);
    g->row = kind->row;
    int64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        b->of[members[i]].at = at;
        at += rows[i] * kind->row;
    }
    return g->item != SG__NONE;
}

bool sg__compute_group(sg__batcher *b, sg__group *g)
{
    return g->count > 1 ? compute_together(b, g) : compute_alone(b, g);
}
