/* Kinds of items: what can be computed together, and how. All is derived from the op's descriptor,
 * once for each op with its attributes and shapes. */
#include "core/plan/batch.h"

enum {
    OPERANDS = 16, /* what has more is not computed together with others */
    MANY = 12,     /* that are alike, more than a formula has by its nature */
    ROWS = 256,    /* of an anchor: what has more need not wait for others */
    LARGE = 16384, /* elements: products apart, what has more is as fast alone */
    AHEAD = 8      /* items: what is looked at then is fetched now */
};

void *sg__batch_alloc(const sg__batcher *b, size_t n, size_t size)
{
    void *p = sg__alloc(&b->gr->g->scratch, (n ? n : 1) * size);
    if (!p)
        sg__no_memory(b->gr->g, "a plan");
    return p;
}

/* ---- numbers --------------------------------------------------------------------------------- */

uint64_t *sg__batch_words(sg__batcher *b, size_t n)
{
    if (n > b->word_capacity) {
        b->word_capacity = 2 * n;
        b->words = sg__batch_alloc(b, b->word_capacity, sizeof *b->words);
    }
    return b->words;
}

static bool room_for_number(sg__batcher *b, sg__numbers *t)
{
    if (t->count < t->capacity)
        return true;
    size_t capacity = t->capacity ? 4 * t->capacity : 256, slots = 2 * capacity;
    struct sg__numbered *of = sg__batch_alloc(b, capacity, sizeof *of);
    uint32_t *table = sg__batch_alloc(b, slots, sizeof *table);
    if (!of || !table)
        return false;
    memset(table, 0xFF, slots * sizeof *table);
    for (uint32_t k = 0; k < t->count; k++) {
        size_t at = t->of[k].hash & (slots - 1);
        of[k] = t->of[k];
        while (table[at] != SG__NONE)
            at = (at + 1) & (slots - 1);
        table[at] = k;
    }
    t->of = of;
    t->table = table;
    t->capacity = capacity;
    t->slots = slots;
    return true;
}

uint32_t sg__batch_number(sg__batcher *b, sg__numbers *t, uint32_t n, const uint64_t *words)
{
    if (!room_for_number(b, t))
        return SG__NONE;
    uint64_t hash = sg__hash(words, n * sizeof *words);
    size_t at = hash & (t->slots - 1);
    for (; t->table[at] != SG__NONE; at = (at + 1) & (t->slots - 1)) {
        const struct sg__numbered *x = t->of + t->table[at];
        if (x->hash == hash && x->n == n && memcmp(x->words, words, n * sizeof *words) == 0)
            return t->table[at];
    }
    uint64_t *own = sg__batch_alloc(b, n, sizeof *own);
    if (!own)
        return SG__NONE;
    memcpy(own, words, n * sizeof *own);
    t->of[t->count] = (struct sg__numbered){hash, own, n};
    return t->table[at] = t->count++;
}

uint32_t sg__batch_new_number(sg__batcher *b, sg__numbers *t)
{
    if (!room_for_number(b, t))
        return SG__NONE;
    t->of[t->count] = (struct sg__numbered){.n = 0};
    return t->count++;
}

/* ---- how an op goes by rows ------------------------------------------------------------------ */

/* Whether an operand, broadcast, has the first k axes of the result, or has none of them. */
static bool has(const sg_shape *x, const sg_shape *out, int k)
{
    for (int i = 0; i < k; i++)
        if (x->rank != out->rank || x->dim[i] != out->dim[i])
            return false;
    return true;
}

static bool lacks(const sg_shape *x, const sg_shape *out, int k)
{
    int shift = out->rank - x->rank;
    for (int i = shift; i < k; i++)
        if (x->dim[i - shift] != 1)
            return false;
    return true;
}

/* By element: all axes are rows but the last ones, in which operands are broadcast among each
 * other. What has no rows is shared. */
static void map_rows(const sg_shape *const *in, uint32_t n, const sg_shape *out, sg_rows *r)
{
    for (int k = out->rank > 0 ? out->rank - 1 : 0;; k--) {
        bool good = true, any = k == 0;
        r->shared = 0;
        for (uint32_t i = 0; i < n && good; i++) {
            bool own = has(in[i], out, k);
            good = own || lacks(in[i], out, k);
            any = any || own;
            if (!own && i < 32)
                r->shared |= 1u << i;
        }
        if (!good || !any)
            continue;
        r->leading = k;
        r->rank = out->rank - k;
        return;
    }
}

static sg_shape rest_of(const sg_rows *how, const sg_shape *s)
{
    sg_shape rest = {.rank = 0};
    int own = s->rank - how->leading;
    if (how->rank)
        own = s->rank < how->rank ? s->rank : how->rank;
    for (int i = own; i < how->rank; i++)
        rest.dim[rest.rank++] = 1;
    for (int i = s->rank - own; i < s->rank; i++)
        rest.dim[rest.rank++] = s->dim[i];
    return rest;
}

sg_shape sg__rows_shape(const sg__batcher *b, const sg__kind *kind, uint32_t k, int64_t rows)
{
    const sg__item *x = sg__old(b, kind->like);
    const sg__dims *d = k < x->n ? sg__old(b, x->in[k])->dims : x->dims;
    sg_shape rest = rest_of(&kind->how, &d->shape), s = {.rank = 1 + rest.rank, .dim = {rows}};
    memcpy(s.dim + 1, rest.dim, (size_t)rest.rank * sizeof *rest.dim);
    return s;
}

/* Sets how items like this one are computed together; false if they cannot be. */
static bool find_rows(sg__batcher *b, const sg__item *x, sg__kind *kind)
{
    const sg_shape *in[OPERANDS], *out = &x->dims->shape;
    for (uint32_t i = 0; i < x->n; i++)
        in[i] = &sg__old(b, x->in[i])->dims->shape;
    if (x->dims->size == 0)
        return false;
    if (x->op->map)
        map_rows(in, x->n, out, &kind->how);
    else if (!x->op->batch || !x->op->batch(in, out, &kind->how))
        return false;
    kind->rows = 1;
    for (int k = 0; k < kind->how.leading; k++)
        kind->rows *= out->dim[k];
    kind->row = x->dims->size / kind->rows;
    for (uint32_t i = 0; i < x->n; i++) {
        int rank = in[i]->rank - kind->how.leading;
        if (!sg__shares(kind, i) && (rank < 0 || rank + 1 > SG_MAX_RANK))
            return false;
    }
    return out->rank - kind->how.leading + 1 <= SG_MAX_RANK && kind->how.rank + 1 <= SG_MAX_RANK;
}

/* ---- kinds ----------------------------------------------------------------------------------- */

static uint64_t *put_bytes(uint64_t *at, const void *p, size_t bytes)
{
    size_t n = (bytes + sizeof *at - 1) / sizeof *at;
    if (n)
        at[n - 1] = 0;
    if (n)
        memcpy(at, p, bytes);
    return at + n;
}

static size_t room_for(const sg__item *x)
{
    return 8 + x->n * (2 + SG_MAX_RANK) + SG_MAX_RANK + x->op->attr_size / sizeof(uint64_t) + 1;
}

static uint64_t pair(const sg__item *x) /* shape and type */
{
    return (uint64_t)(uintptr_t)x->dims | x->dtype; /* aligned by 16 bytes */
}

static uint32_t number_kind(sg__batcher *b, const sg__item *x)
{
    uint64_t *words = sg__batch_words(b, room_for(x)), *at = words;
    if (!words)
        return SG__NONE;
    *at++ = (uint64_t)(uintptr_t)x->op;
    *at++ = pair(x);
    *at++ = x->n;
    for (uint32_t k = 0; k < x->n; k++)
        *at++ = pair(sg__old(b, x->in[k]));
    at = put_bytes(at, x->attr, x->attr ? x->op->attr_size : 0);
    return sg__batch_number(b, &b->kind_numbers, (uint32_t)(at - words), words);
}

static uint64_t *put_shape(uint64_t *at, const sg_shape *s)
{
    *at++ = (uint64_t)s->rank;
    return put_bytes(at, s->dim, (size_t)s->rank * sizeof *s->dim);
}

static uint32_t number_form(sg__batcher *b, const sg__kind *kind)
{
    const sg__item *x = sg__old(b, kind->like);
    uint64_t *words = sg__batch_words(b, room_for(x)), *at = words;
    if (!words)
        return SG__NONE;
    *at++ = (uint64_t)(uintptr_t)x->op;
    *at++ = x->dtype | (uint64_t)(kind->rows == 1) << 8 | (uint64_t)kind->how.rank << 16;
    *at++ = x->n | (uint64_t)kind->how.shared << 32;
    for (uint32_t k = 0; k <= x->n; k++) {
        if (sg__shares(kind, k) && !x->op->map)
            continue; /* is one and the same item */
        sg_shape s = sg__rows_shape(b, kind, k, 0);
        at = put_shape(at, &s);
        *at++ = k < x->n ? sg__old(b, x->in[k])->dtype : x->dtype;
    }
    at = put_bytes(at, kind->how.attr, kind->how.attr ? x->op->attr_size : 0);
    return sg__batch_number(b, &b->form_numbers, (uint32_t)(at - words), words);
}

uint64_t *sg__batch_shared(const sg__batcher *b, uint32_t m, uint64_t *at)
{
    const sg__kind *kind = sg__kind_of(b, m);
    const sg__item *x = sg__old(b, b->of[m].item);
    for (uint32_t k = 0; kind->same >> k; k++)
        if (kind->same >> k & 1)
            *at++ = x->in[k];
    return at;
}

/* Whether items of this kind are a stretch of their operand: reshapes, rows, parts of one row. */
static bool find_alias(const sg__batcher *b, const sg__item *x, int64_t *start)
{
    int64_t stride[SG_MAX_RANK];
    if (!x->op->view || x->dims->size == 0)
        return false;
    const sg__item *from = sg__old(b, x->in[0]);
    sg_array in = sg__whole(from->dims, from->dtype), out = sg__whole(x->dims, x->dtype);
    if (from->dims->size == 0 || from->dtype != x->dtype ||
        !x->op->view(x->attr, &in, &out, start, stride))
        return false;
    out.stride = stride;
    return sg__contiguous(&out);
}

/* Whether items go over so much that they are as fast alone. */
static bool is_large(const sg__batcher *b, const sg__item *x, const sg__kind *kind)
{
    bool large = x->dims->size > LARGE;
    for (uint32_t k = 0; k < x->n; k++)
        large = large || (!sg__shares(kind, k) && sg__old(b, x->in[k])->dims->size > LARGE);
    return large;
}

/* Whether it is no matter which operand of x something is: they are many, or rows of it. */
static bool are_alike(const sg__batcher *b, const sg__item *x)
{
    if (x->n < 2 || x->n >= MANY || !x->op->parts)
        return x->n >= MANY;
    const sg_shape *out = &x->dims->shape, *in = &sg__old(b, x->in[0])->dims->shape;
    return out->rank > 1 && in->rank == out->rank &&
           in->dim[in->rank - 1] == out->dim[out->rank - 1];
}

static bool make_kind(sg__batcher *b, uint32_t i, sg__kind *kind)
{
    const sg__item *x = sg__old(b, i);
    *kind = (sg__kind){.like = i, .form = SG__NONE, .rows = 1, .row = x->dims->size};
    kind->alias = find_alias(b, x, &kind->start);
    kind->alike = are_alike(b, x);
    if (kind->alias)
        return true;
    if (x->attr) {
        kind->how.attr = sg__batch_alloc(b, 1, x->op->attr_size);
        if (!kind->how.attr)
            return false;
        memcpy(kind->how.attr, x->attr, x->op->attr_size);
    }
    if (!find_rows(b, x, kind))
        return true;
    kind->large = !kind->how.gains && is_large(b, x, kind);
    if (kind->large)
        return true;
    kind->waits = kind->how.gains && kind->rows <= ROWS;
    kind->same = x->op->map && kind->rows == 1 ? 0 : kind->how.shared;
    kind->form = number_form(b, kind);
    return kind->form != SG__NONE;
}

static bool room_for_kinds(sg__batcher *b)
{
    size_t n = b->kind_numbers.count;
    if (n < b->kind_capacity)
        return true;
    size_t capacity = b->kind_capacity ? 2 * b->kind_capacity : 64;
    sg__kind *kinds = sg__batch_alloc(b, capacity, sizeof *kinds);
    if (kinds && n)
        memcpy(kinds, b->kinds, n * sizeof *kinds);
    b->kinds = kinds ? kinds : b->kinds;
    b->kind_capacity = kinds ? capacity : b->kind_capacity;
    return kinds;
}

static bool find_kind(sg__batcher *b, uint32_t i, uint32_t *kind)
{
    const sg__item *x = sg__old(b, i);
    const uint32_t count = b->kind_numbers.count;
    *kind = 0;
    if (!x->op || x->n > OPERANDS)
        return true;
    if (!room_for_kinds(b))
        return false;
    *kind = number_kind(b, x);
    return *kind != SG__NONE && (*kind < count || make_kind(b, i, b->kinds + count));
}

/* Whether what the rows share is there from the beginning, as parameters are. */
static bool shares_leaves(const sg__batcher *b, const sg__item *x, const sg__kind *kind)
{
    for (uint32_t k = 0; kind->same >> k; k++) {
        const sg__item *y = sg__old(b, x->in[k]);
        while (kind->same >> k & 1 && y->op && y->op->view)
            y = sg__old(b, y->in[0]);
        if (kind->same >> k & 1 && y->op)
            return false;
    }
    return true;
}

/* Notes that a member waits for others of its sort: of one form, with the same shared operands. */
static bool add_anchor(sg__batcher *b, uint32_t m)
{
    uint64_t words[1 + OPERANDS] = {sg__kind_of(b, m)->form};
    const uint64_t *end = sg__batch_shared(b, m, words + 1);
    uint32_t sort = sg__batch_number(b, &b->sort_numbers, (uint32_t)(end - words), words);
    b->anchors[b->anchor_count++] = (sg__anchor){.member = m, .sort = sort};
    return sort != SG__NONE;
}

static bool add_member(sg__batcher *b, uint32_t i, uint32_t number)
{
    const sg__kind *kind = b->kinds + number;
    const sg__item *x = sg__old(b, i);
    const uint32_t m = b->n++;
    uint32_t at = b->first[m];
    b->spots[i] = (sg__spot){m, SG__NONE, 0};
    b->of[m] = (sg__member){.item = i, .kind = number, .late = true};
    for (uint32_t k = 0; k < x->n; k++, at++) {
        const sg__spot *y = b->spots + x->in[k];
        b->in[at] = y->member;
        b->start[at] = y->start;
    }
    b->first[b->n] = at;
    return !kind->waits || !shares_leaves(b, x, kind) || add_anchor(b, m);
}

bool sg__batch_kinds(sg__batcher *b)
{
    const sg__graph *gr = b->gr;
    b->spots = sg__batch_alloc(b, gr->n, sizeof *b->spots);
    b->of = sg__batch_alloc(b, gr->ordered, sizeof *b->of);
    b->first = sg__batch_alloc(b, gr->ordered + 1, sizeof *b->first);
    b->in = sg__batch_alloc(b, gr->edges, sizeof *b->in);
    b->start = sg__batch_alloc(b, gr->edges, sizeof *b->start);
    b->anchors = sg__batch_alloc(b, gr->ordered, sizeof *b->anchors);
    if (!b->spots || !b->of || !b->first || !b->in || !b->start || !b->anchors ||
        !room_for_kinds(b) || sg__batch_new_number(b, &b->kind_numbers) == SG__NONE)
        return false;
    b->kinds[0] = (sg__kind){.form = SG__NONE, .rows = 1, .alike = true};
    b->first[0] = 0;
    for (uint32_t k = 0, kind; k < gr->ordered; k++) {
        const uint32_t i = gr->order[k];
        if (k + AHEAD < gr->ordered)
            __builtin_prefetch(gr->x[gr->order[k + AHEAD]].attr);
        if (!find_kind(b, i, &kind) || (!b->kinds[kind].alias && !add_member(b, i, kind)))
            return false;
        if (b->kinds[kind].alias) {
            const sg__spot *of = b->spots + sg__old(b, i)->in[0];
            b->spots[i] = (sg__spot){of->member, SG__NONE, of->start + b->kinds[kind].start};
        }
    }
    return true;
}
