/*
 * Pairs of sentences as ids, cut into padded batches of similar length. The order of an epoch is a
 * function of seed and epoch alone: every comparison ends with a position, never with an address,
 * so an iteration can be taken up anywhere. All memory is taken when the batches are made.
 */
#include "models/text/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = INT_MAX / 4 }; /* of a sentence: padded times fit into an int */

typedef struct pair {
    size_t source, target; /* where its ids begin */
    int32_t source_length, target_length, index;
} pair;

/* What a pool is sorted by; `at` is the place in the shuffled order. */
typedef struct key {
    int32_t target_length, source_length, at, pair;
} key;

typedef struct batches {
    sg_batches head;
    int size, multiple, pool;
    bool in_order;
    pair *pair;
    sg__bytes ids;  /* of all pairs, int32_t */
    int32_t *order; /* [pairs] */
    int32_t *batch; /* [batches], the order of the batches */
    key *keys;      /* [a pool] */
    bool arranged;  /* order and batch are those of this seed and epoch: */
    uint64_t seed;
    int64_t epoch;
    int32_t *source, *target_in, *target_out;         /* of the largest batch */
    int32_t *source_lengths, *target_lengths, *index; /* [size] */
} batches;

static const sg_batches nil = {0};

void sg_batches_free(sg_batches *head)
{
    if (!head || head == &nil)
        return;
    batches *d = (batches *)head;
    free(d->pair);
    sg__text_bytes_free(&d->ids);
    free(d->order);
    free(d->batch);
    free(d->keys);
    free(d->source);
    free(d->target_in);
    free(d->target_out);
    free(d->source_lengths);
    free(d->target_lengths);
    free(d->index);
    free(d);
}

/* ---- order -------------------------------------------------------------------------------- */

/* Targets first: a padded step costs more there, where the output layer is. */
static int by_lengths(const void *a, const void *b)
{
    const key *x = a, *y = b;
    int32_t d = x->target_length - y->target_length;
    if (d == 0)
        d = x->source_length - y->source_length;
    return d != 0 ? d : x->at - y->at;
}

static void arrange(batches *d, uint64_t seed, int64_t epoch)
{
    int n = d->head.pairs;
    uint64_t state = sg__text_epoch(seed, epoch);
    sg__text_shuffle(&state, n, d->order);
    int64_t pool = (int64_t)d->size * d->pool;
    for (int64_t start = 0; start < n; start += pool) {
        int32_t *part = d->order + start;
        int m = (int)(n - start < pool ? n - start : pool);
        for (int i = 0; i < m; i++) {
            const pair *p = &d->pair[part[i]];
            d->keys[i] = (key){p->target_length, p->source_length, i, part[i]};
        }
        qsort(d->keys, (size_t)m, sizeof *d->keys, by_lengths);
        for (int i = 0; i < m; i++)
            part[i] = d->keys[i].pair;
    }
    sg__text_shuffle(&state, d->head.batches, d->batch);
}

/* ---- making ------------------------------------------------------------------------------- */

/* Encodes one pair; it is kept if neither of its sides is too long and the source not empty. */
static bool add_pair(const sg_batches_options *o, batches *d, int index, sg__bytes *tokens)
{
    static const int32_t stop = SG_STOP;
    size_t begin = d->ids.size;
    pair p = {.source = begin / sizeof(int32_t), .index = index};
    if (!sg__text_encode(o->g, o->source, o->corpus->source[index], tokens, &d->ids))
        return false;
    size_t source = (d->ids.size - begin) / sizeof(int32_t);
    if (o->source_stop && !sg__text_bytes_add(o->g, &d->ids, &stop, sizeof stop))
        return false;
    p.target = d->ids.size / sizeof(int32_t);
    if (!sg__text_encode(o->g, o->target, o->corpus->target[index], tokens, &d->ids))
        return false;
    size_t target = d->ids.size / sizeof(int32_t) - p.target;
    size_t most = o->max_length > 0 && o->max_length < LONGEST ? (size_t)o->max_length : LONGEST;
    bool empty = source == 0, too_long = source > most || target > most;
    if (empty || too_long) {
        d->head.empty += empty;
        d->head.too_long += !empty;
        d->ids.size = begin;
        return true;
    }
    p.source_length = (int32_t)source + o->source_stop;
    p.target_length = (int32_t)target + 1;
    d->pair[d->head.pairs++] = p;
    return true;
}

static size_t padded(const batches *d, int32_t time)
{
    size_t m = (size_t)d->multiple;
    return ((size_t)time + m - 1) / m * m;
}

static bool encode_all(const sg_batches_options *o, batches *d)
{
    sg__bytes tokens = {0};
    d->pair = sg__text_alloc(o->g, (size_t)o->corpus->size, sizeof *d->pair);
    bool ok = d->pair != NULL;
    for (int i = 0; i < o->corpus->size && ok; i++)
        ok = add_pair(o, d, i, &tokens);
    sg__text_bytes_free(&tokens);
    return ok;
}

static bool make_rooms(sg_context *g, batches *d)
{
    int n = d->head.pairs, longest_source = 0, longest_target = 0;
    for (int i = 0; i < n; i++) {
        if (d->pair[i].source_length > longest_source)
            longest_source = d->pair[i].source_length;
        if (d->pair[i].target_length > longest_target)
            longest_target = d->pair[i].target_length;
    }
    size_t source_time = padded(d, longest_source), target_time = padded(d, longest_target);
    if (d->size > n)
        d->size = n > 0 ? n : 1;
    int64_t pool = (int64_t)d->size * d->pool;
    size_t size = (size_t)d->size, all = (size_t)n, row = sizeof(int32_t);
    d->head.batches = n / d->size + (n % d->size > 0);
    d->order = sg__text_alloc(g, all, row);
    d->batch = sg__text_alloc(g, (size_t)d->head.batches, row);
    d->keys = sg__text_alloc(g, pool < n ? (size_t)pool : all, sizeof *d->keys);
    d->source = sg__text_alloc(g, size, source_time * row);
    d->target_in = sg__text_alloc(g, size, target_time * row);
    d->target_out = sg__text_alloc(g, size, target_time * row);
    d->source_lengths = sg__text_alloc(g, size, row);
    d->target_lengths = sg__text_alloc(g, size, row);
    d->index = sg__text_alloc(g, size, row);
    return d->order && d->batch && d->keys && d->source && d->target_in && d->target_out &&
           d->source_lengths && d->target_lengths && d->index;
}

sg_batches *sg_batches_make_(sg_batches_options o)
{
    if (!sg_ok(o.g))
        return (sg_batches *)&nil;
    if (!o.corpus || !o.source || !o.target || o.size < 0 || o.max_length < 0 || o.multiple < 0 ||
        o.pool < 0) {
        sg_fail(o.g, SG_BAD_ARGUMENT,
                "batches: no corpus or vocabulary, or a negative size (%d), max_length (%d), "
                "multiple (%d) or pool (%d)",
                o.size, o.max_length, o.multiple, o.pool);
        return (sg_batches *)&nil;
    }
    batches *d = sg__text_alloc(o.g, 1, sizeof *d);
    if (!d)
        return (sg_batches *)&nil;
    d->size = o.size > 0 ? o.size : 32;
    d->multiple = o.multiple > 0 ? o.multiple : 1;
    d->pool = o.pool > 0 ? o.pool : 64;
    d->in_order = o.in_order;
    if (encode_all(&o, d) && make_rooms(o.g, d)) {
        for (int i = 0; i < d->head.pairs; i++)
            d->order[i] = i;
        for (int i = 0; i < d->head.batches; i++)
            d->batch[i] = i;
        return &d->head;
    }
    sg_batches_free(&d->head);
    return (sg_batches *)&nil;
}

/* ---- iteration ---------------------------------------------------------------------------- */

static void fill_row(batches *d, const pair *p, int row, const sg_batch *b)
{
    const int32_t *ids = (const int32_t *)(const void *)d->ids.data;
    size_t words = (size_t)p->target_length - 1, at = (size_t)row * (size_t)b->target_time;
    memcpy(d->source + (size_t)row * (size_t)b->source_time, ids + p->source,
           (size_t)p->source_length * sizeof *ids);
    d->target_in[at] = SG_START;
    memcpy(d->target_in + at + 1, ids + p->target, words * sizeof *ids);
    memcpy(d->target_out + at, ids + p->target, words * sizeof *ids);
    d->target_out[at + words] = SG_STOP;
    d->source_lengths[row] = p->source_length;
    d->target_lengths[row] = p->target_length;
    d->index[row] = p->index;
}

static void fill(batches *d, const int32_t *chosen, sg_batch *b)
{
    int32_t source = 0, target = 0;
    b->tokens = 0;
    for (int i = 0; i < b->size; i++) {
        const pair *p = &d->pair[chosen[i]];
        source = p->source_length > source ? p->source_length : source;
        target = p->target_length > target ? p->target_length : target;
        b->tokens += p->target_length;
    }
    b->source_time = (int)padded(d, source);
    b->target_time = (int)padded(d, target);
    size_t rows = (size_t)b->size, id = sizeof(int32_t);
    memset(d->source, SG_PAD, rows * (size_t)b->source_time * id);
    memset(d->target_in, SG_PAD, rows * (size_t)b->target_time * id);
    memset(d->target_out, SG_PAD, rows * (size_t)b->target_time * id);
    for (int i = 0; i < b->size; i++)
        fill_row(d, &d->pair[chosen[i]], i, b);
    b->source = d->source;
    b->source_lengths = d->source_lengths;
    b->target_in = d->target_in;
    b->target_out = d->target_out;
    b->target_lengths = d->target_lengths;
    b->index = d->index;
}

bool sg_batch_next(sg_batches *head, sg_batch *b)
{
    if (!head || !b)
        return false;
    if (b->next < 0 || b->next >= head->batches) {
        *b = (sg_batch){.seed = b->seed, .epoch = b->epoch + 1};
        return false;
    }
    batches *d = (batches *)head;
    if (!d->in_order && (!d->arranged || d->seed != b->seed || d->epoch != b->epoch)) {
        arrange(d, b->seed, b->epoch);
        d->arranged = true;
        d->seed = b->seed;
        d->epoch = b->epoch;
    }
    int start = d->batch[b->next] * d->size, left = d->head.pairs - start;
    b->size = left < d->size ? left : d->size;
    fill(d, d->order + start, b);
    b->next++;
    return true;
}
