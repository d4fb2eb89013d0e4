/*
 * A text as one sequence of ids, and its subsequences as batches. An epoch is a function of seed
 * and epoch alone. Places in a text are int64_t: it may have more than 2^31 tokens. All memory is
 * taken when the subsequences are made.
 */
#include "models/text/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- the text ----------------------------------------------------------------------------- */

typedef struct sequence {
    sg_sequence head;
    sg__bytes ids; /* int32_t */
} sequence;

static const sg_sequence nil_sequence = {0};

void sg_sequence_free(sg_sequence *head)
{
    if (!head || head == &nil_sequence)
        return;
    sequence *s = (sequence *)head;
    sg__text_bytes_free(&s->ids);
    free(s);
}

static bool encode_all(sg_context *g, const sg_corpus *c, const sg_vocabulary *v, sg__bytes *ids)
{
    static const int32_t stop = SG_STOP;
    sg__bytes tokens = {0};
    bool ok = sg__text_bytes_add(g, ids, &stop, sizeof stop);
    for (int i = 0; i < c->size && ok; i++)
        ok = sg__text_encode(g, v, c->source[i], &tokens, ids) &&
             sg__text_bytes_add(g, ids, &stop, sizeof stop);
    sg__text_bytes_free(&tokens);
    return ok;
}

sg_sequence *sg_sequence_of(sg_context *g, const sg_corpus *c, const sg_vocabulary *v)
{
    if (!sg_ok(g))
        return (sg_sequence *)&nil_sequence;
    if (!c || !v) {
        sg_fail(g, SG_BAD_ARGUMENT, "sequence: no %s", c ? "vocabulary" : "corpus");
        return (sg_sequence *)&nil_sequence;
    }
    sequence *s = sg__text_alloc(g, 1, sizeof *s);
    if (s && encode_all(g, c, v, &s->ids)) {
        s->head.count = (int64_t)(s->ids.size / sizeof(int32_t));
        s->head.ids = (const int32_t *)(const void *)s->ids.data;
        return &s->head;
    }
    if (s)
        sg_sequence_free(&s->head);
    return (sg_sequence *)&nil_sequence;
}

/* ---- making ------------------------------------------------------------------------------- */

typedef struct subsequences {
    sg_subsequences head;
    const int32_t *ids;
    int64_t count; /* of tokens to be predicted: those after ids[0] */
    int rows, time;
    bool random;
    int32_t *in, *out; /* [rows, time] */
    /* Of random ones, of this seed and epoch: where the text is cut first, and the order of the
     * pieces. */
    bool arranged;
    uint64_t seed;
    int64_t epoch, offset;
    int32_t *order;
} subsequences;

static const sg_subsequences nil = {0};

void sg_subsequences_free(sg_subsequences *head)
{
    if (!head || head == &nil)
        return;
    subsequences *d = (subsequences *)head;
    free(d->in);
    free(d->out);
    free(d->order);
    free(d);
}

static bool make_rooms(sg_context *g, subsequences *d)
{
    size_t rows = (size_t)d->rows, time = (size_t)d->time;
    d->in = sg__text_alloc(g, rows, time * sizeof *d->in);
    d->out = sg__text_alloc(g, rows, time * sizeof *d->out);
    d->order = sg__text_alloc(g, d->random ? (size_t)(d->count / d->time) : 0, sizeof *d->order);
    return d->in && d->out && d->order;
}

/* How many batches there are in an epoch: of random ones, wherever it is cut first. */
static int64_t batches_of(const sg_subsequences_options *o, int64_t count)
{
    int64_t row = count / o->rows;
    if (o->random)
        return (count - o->time + 1) / o->time / o->rows;
    return row / o->time + (row % o->time > 0);
}

sg_subsequences *sg_subsequences_make_(sg_subsequences_options o)
{
    if (!sg_ok(o.g))
        return (sg_subsequences *)&nil;
    if (!o.sequence || o.rows <= 0 || o.time <= 0) {
        sg_fail(o.g, SG_BAD_ARGUMENT,
                "subsequences: no sequence, or rows (%d) or time (%d) that are not positive",
                o.rows, o.time);
        return (sg_subsequences *)&nil;
    }
    int64_t count = o.sequence->ids && o.sequence->count > 0 ? o.sequence->count - 1 : 0;
    int64_t batches = batches_of(&o, count);
    if (batches <= 0)
        sg_fail(o.g, SG_BAD_ARGUMENT,
                "subsequences: %lld tokens to predict are too few for %d rows of %d",
                (long long)count, o.rows, o.time);
    else if (o.random && count / o.time > INT_MAX)
        sg_fail(o.g, SG_BAD_ARGUMENT, "subsequences: %lld pieces of %d are too many to be shuffled",
                (long long)(count / o.time), o.time);
    if (!sg_ok(o.g))
        return (sg_subsequences *)&nil;
    subsequences *d = sg__text_alloc(o.g, 1, sizeof *d);
    if (!d)
        return (sg_subsequences *)&nil;
    int64_t row = count / o.rows;
    *d = (subsequences){.head.batches = batches,
                        .ids = o.sequence->ids,
                        .count = count,
                        .rows = o.rows,
                        .time = row < o.time ? (int)row : o.time,
                        .random = o.random};
    if (make_rooms(o.g, d))
        return &d->head;
    sg_subsequences_free(&d->head);
    return (sg_subsequences *)&nil;
}

/* ---- iteration ---------------------------------------------------------------------------- */

static void arrange(subsequences *d, uint64_t seed, int64_t epoch)
{
    uint64_t state = sg__text_epoch(seed, epoch);
    d->offset = (int64_t)sg__text_draw_below(&state, (uint64_t)d->time);
    sg__text_shuffle(&state, (int)((d->count - d->offset) / d->time), d->order);
    d->arranged = true;
    d->seed = seed;
    d->epoch = epoch;
}

/* Where a row of a batch begins. */
static int64_t place(const subsequences *d, int64_t batch, int row)
{
    if (d->random)
        return d->offset + (int64_t)d->order[batch * d->rows + row] * d->time;
    return row * (d->count / d->rows) + batch * d->time;
}

bool sg_subsequence_next(sg_subsequences *head, sg_subsequence *b)
{
    if (!head || !b)
        return false;
    if (b->next < 0 || b->next >= head->batches) {
        *b = (sg_subsequence){.seed = b->seed, .epoch = b->epoch + 1};
        return false;
    }
    subsequences *d = (subsequences *)head;
    if (d->random && (!d->arranged || d->seed != b->seed || d->epoch != b->epoch))
        arrange(d, b->seed, b->epoch);
    int64_t left = d->count / d->rows - b->next * d->time; /* of a sequential row */
    b->rows = d->rows;
    b->time = d->random || left > d->time ? d->time : (int)left;
    b->first = d->random || b->next == 0;
    b->tokens = (int64_t)b->rows * b->time;
    b->in = d->in;
    b->out = d->out;
    size_t time = (size_t)b->time;
    for (int i = 0; i < d->rows; i++) {
        const int32_t *from = d->ids + place(d, b->next, i);
        memcpy(d->in + (size_t)i * time, from, time * sizeof *from);
        memcpy(d->out + (size_t)i * time, from + 1, time * sizeof *from);
    }
    b->next++;
    return true;
}
