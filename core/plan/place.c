/* Placing: an offset in the workspace for every buffer, so that buffers alive at the same step do
 * not overlap. Free stretches are kept by size class and joined with free neighbours (as in TLSF,
 * Masmano et al. 2004), so that the cost of a placement does not grow with their number. A step by
 * element, or by row (SG_OP_OVER), writes over an operand that nobody reads later.
 *
 * Where threads go through a region of steps at their own pace, the place of a buffer that ends
 * there is held until they meet, but for one in which each thread writes only what it had itself:
 * the next step's, cut at the same rows. Rather than touch much new memory they meet once more. */
#include "core/plan/plan.h"

#include <stdlib.h>

enum {
    UNIT = 64,
    CLASSES = 512,
    LOOK = 8,
    HELD = 32 /* so many places that are held are looked at, the last ones */
};
#ifdef NDEBUG
enum { NEW = 1 << 20 }; /* bytes of new memory that cost more than a meeting */
#else
enum { NEW = 1 << 10 }; /* so that tests see what becomes of it */
#endif

typedef struct stretch {
    size_t offset, size;    /* in units */
    uint32_t before, after; /* neighbours in memory */
    uint32_t left, right;   /* in the list of its class */
    bool free;
} stretch;

typedef struct heap {
    stretch *s;
    size_t n, capacity;
    uint32_t head[CLASSES], last; /* last in memory */
    uint32_t unused;              /* records to use again, linked by right */
    size_t top;
} heap;

/* Sizes up to 16 units have classes of their own, then 8 classes each doubling. */
static unsigned class_of(size_t size)
{
    if (size < 16)
        return (unsigned)size;
    unsigned log = 63u - (unsigned)__builtin_clzll(size);
    return 16 + (log - 4) * 8 + (unsigned)(size >> (log - 3) & 7);
}

static void take_out(heap *h, uint32_t i)
{
    stretch *s = h->s + i;
    *(s->left != SG__NONE ? &h->s[s->left].right : &h->head[class_of(s->size)]) = s->right;
    if (s->right != SG__NONE)
        h->s[s->right].left = s->left;
    s->free = false;
}

static void put_in(heap *h, uint32_t i)
{
    stretch *s = h->s + i;
    unsigned c = class_of(s->size);
    s->free = true;
    s->left = SG__NONE;
    s->right = h->head[c];
    if (s->right != SG__NONE)
        h->s[s->right].left = i;
    h->head[c] = i;
}

static uint32_t new_record(heap *h)
{
    if (h->unused != SG__NONE) {
        uint32_t i = h->unused;
        h->unused = h->s[i].right;
        return i;
    }
    void *p = h->s;
    if (!sg__grow(&p, &h->capacity, h->n + 1, sizeof *h->s))
        return SG__NONE;
    h->s = p;
    return (uint32_t)h->n++;
}

/* A free stretch of at least this size: a few of its own class are looked at, any of a larger fits.
 */
static uint32_t find(const heap *h, size_t size)
{
    unsigned c = class_of(size);
    uint32_t i = h->head[c];
    for (int k = 0; k < LOOK && i != SG__NONE; k++, i = h->s[i].right)
        if (h->s[i].size >= size)
            return i;
    while (++c < CLASSES)
        if (h->head[c] != SG__NONE)
            return h->head[c];
    return SG__NONE;
}

static uint32_t at_top(heap *h, size_t size)
{
    uint32_t i = h->last;
    if (i != SG__NONE && h->s[i].free) {
        take_out(h, i);
        h->top += size - h->s[i].size;
        h->s[i].size = size;
        return i;
    }
    i = new_record(h);
    if (i == SG__NONE)
        return i;
    h->s[i] = (stretch){.offset = h->top, .size = size, .before = h->last, .after = SG__NONE};
    if (h->last != SG__NONE)
        h->s[h->last].after = i;
    h->last = i;
    h->top += size;
    return i;
}

static uint32_t reserve(heap *h, size_t bytes)
{
    size_t size = (bytes + UNIT - 1) / UNIT;
    uint32_t i = find(h, size);
    if (i == SG__NONE)
        return at_top(h, size);
    take_out(h, i);
    if (h->s[i].size == size)
        return i;
    uint32_t rest = new_record(h);
    if (rest == SG__NONE)
        return SG__NONE;
    stretch *s = h->s + i;
    h->s[rest] = (stretch){
        .offset = s->offset + size, .size = s->size - size, .before = i, .after = s->after};
    *(s->after != SG__NONE ? &h->s[s->after].before : &h->last) = rest;
    s->after = rest;
    s->size = size;
    put_in(h, rest);
    return i;
}

/* Joins stretch b, right behind a, to a. */
static void join(heap *h, uint32_t a, uint32_t b)
{
    h->s[a].size += h->s[b].size;
    h->s[a].after = h->s[b].after;
    *(h->s[b].after != SG__NONE ? &h->s[h->s[b].after].before : &h->last) = a;
    h->s[b].right = h->unused;
    h->unused = b;
}

static void release(heap *h, uint32_t i)
{
    uint32_t before = h->s[i].before, after = h->s[i].after;
    if (after != SG__NONE && h->s[after].free) {
        take_out(h, after);
        join(h, i, after);
    }
    if (before != SG__NONE && h->s[before].free) {
        take_out(h, before);
        join(h, before, i);
        i = before;
    }
    put_in(h, i);
}

/* ---- results over operands ------------------------------------------------------------------- */

/* A buffer that a step reads for the last time, all of it: a result that comes after may be written
 * over it, if it is as large, element for element. */
typedef struct legacy {
    uint32_t buffer;
    size_t width;  /* of an element; 0: not over this one */
    int last_read; /* instruction */
} legacy;

typedef struct placer {
    sg__plan *p;
    int parts;
    uint32_t region; /* of the step at hand, as sg__split counted */
    size_t dear;     /* so many new bytes are worth a meeting */
    heap h;
    struct held {
        uint32_t buffer, record;
    } * held; /* what ended in this region */
    uint32_t held_count;
    uint32_t *record; /* by buffer: its stretch; SG__NONE: not now */
    uint32_t *number; /* by buffer: that in the list of what the step at hand leaves: */
    legacy left[SG__ARRAYS];
    uint32_t count;
    sg__use uses[SG__ARRAYS];
} placer;

static legacy *legacy_of(placer *x, uint32_t buffer)
{
    const uint32_t i = x->number[buffer];
    return i < x->count && x->left[i].buffer == buffer ? &x->left[i] : NULL;
}

/* In what order a step reads and writes; false if no result may be over an operand. */
static bool list_uses(placer *x, const sg__step *s)
{
    if (s->program)
        sg__uses_of(s->program, x->uses);
    else if (s->op->flags & SG_OP_OVER)
        for (int k = 0; k < s->n + s->m; k++) /* each element of the first one before that */
            x->uses[k] = (sg__use){k == 0 ? -1 : 0, -1};
    return s->program || s->op->flags & SG_OP_OVER;
}

static void list_legacies(placer *x, uint32_t step)
{
    const sg__step *s = x->p->steps + step;
    x->count = 0;
    if (!list_uses(x, s))
        return;
    for (int k = 0; k < s->n + s->m; k++) {
        const uint32_t b = s->at[k].buffer;
        const size_t width = sg__dtype_size(s->array[k].dtype);
        const int last_read = x->uses[k].last_read;
        if (b == SG__NONE || x->p->buffers[b].last != step || x->p->buffers[b].first == step)
            continue;
        legacy *l = legacy_of(x, b);
        if (!l) {
            l = &x->left[x->count];
            *l = (legacy){b, width, last_read};
            x->number[b] = x->count++;
        }
        l->last_read = last_read > l->last_read ? last_read : l->last_read;
        if (k >= s->n || width != l->width || !sg__is_whole(x->p, &s->at[k], &s->array[k]))
            l->width = 0;
    }
}

/* Whether no thread writes in buffer b, where a lies as well, what another has touched in a since
 * threads met. */
static bool in_peace(const placer *x, uint32_t a, uint32_t b)
{
    const sg__touched *of_a = x->p->touched + (size_t)a * (size_t)x->parts;
    const sg__touched *of_b = x->p->touched + (size_t)b * (size_t)x->parts;
    for (int i = 0; x->p->split && i < x->parts; i++)
        for (int k = 0; k < x->parts; k++)
            if (i != k && (sg__overlap(&of_a[i].read, &of_b[k].ever) ||
                           sg__overlap(&of_a[i].written, &of_b[k].ever)))
                return false;
    return true;
}

/* b is in a's place: who comes after it there in this region comes after both. */
static void take_over(const placer *x, uint32_t a, uint32_t b)
{
    const sg__touched *of_a = x->p->touched + (size_t)a * (size_t)x->parts;
    sg__touched *of_b = x->p->touched + (size_t)b * (size_t)x->parts;
    for (int i = 0; x->p->split && i < x->parts && of_b[i].region == x->region; i++) {
        sg__stretch_add(&of_b[i].read, &of_a[i].read);
        sg__stretch_add(&of_b[i].written, &of_a[i].written);
    }
}

/* The buffer in whose place that of result r may be; or SG__NONE. */
static uint32_t heir_of(const placer *x, const sg__step *s, int r)
{
    const sg__buffer *buffers = x->p->buffers;
    if (!x->count || r < s->n || !sg__is_whole(x->p, &s->at[r], &s->array[r]))
        return SG__NONE;
    const size_t width = sg__dtype_size(s->array[r].dtype);
    for (uint32_t i = 0; i < x->count; i++) {
        const legacy *l = &x->left[i];
        if (l->width == width && buffers[l->buffer].bytes == buffers[s->at[r].buffer].bytes &&
            !buffers[l->buffer].inherited && l->last_read <= x->uses[r].first_write &&
            in_peace(x, l->buffer, s->at[r].buffer))
            return l->buffer;
    }
    return SG__NONE;
}

/* ---- from step to step ----------------------------------------------------------------------- */

static void release_held(placer *x)
{
    while (x->held_count)
        release(&x->h, x->held[--x->held_count].record);
}

/* A place that is held, and that buffer b may have at once; or SG__NONE. */
static uint32_t take_held(placer *x, uint32_t b)
{
    const size_t size = (x->p->buffers[b].bytes + UNIT - 1) / UNIT;
    for (uint32_t k = x->held_count; k > 0 && x->held_count - k < HELD; k--) {
        const struct held a = x->held[k - 1];
        if (x->h.s[a.record].size != size || !in_peace(x, a.buffer, b))
            continue;
        x->held[k - 1] = x->held[--x->held_count];
        take_over(x, a.buffer, b);
        return a.record;
    }
    return SG__NONE;
}

static uint32_t place_of(placer *x, sg__step *s, uint32_t b)
{
    const size_t bytes = x->p->buffers[b].bytes;
    uint32_t record = take_held(x, b);
    if (record != SG__NONE)
        return record;
    if (bytes >= x->dear && x->held_count && find(&x->h, (bytes + UNIT - 1) / UNIT) == SG__NONE) {
        x->p->meetings += !s->meets;
        s->meets = true;
        release_held(x);
    }
    return reserve(&x->h, bytes);
}

static bool begin(placer *x, sg__step *s, int k)
{
    const uint32_t b = s->at[k].buffer;
    sg__buffer *buffer = x->p->buffers + b;
    buffer->inherits = heir_of(x, s, k);
    if (buffer->inherits != SG__NONE) {
        x->p->buffers[buffer->inherits].inherited = true;
        take_over(x, buffer->inherits, b);
        x->record[b] = x->record[buffer->inherits];
        x->record[buffer->inherits] = SG__NONE;
    } else {
        x->record[b] = place_of(x, s, b);
    }
    if (x->record[b] == SG__NONE)
        return false;
    buffer->offset = x->h.s[x->record[b]].offset * UNIT;
    return true;
}

static bool place_step(placer *x, uint32_t step)
{
    sg__step *s = x->p->steps + step;
    if (s->meets)
        release_held(x);
    x->region += s->meets;
    list_legacies(x, step);
    for (int k = 0; k < s->n + s->m; k++) {
        const uint32_t b = s->at[k].buffer;
        if (b != SG__NONE && x->p->buffers[b].first == step && x->record[b] == SG__NONE &&
            !begin(x, s, k))
            return false;
    }
    for (int k = 0; k < s->n + s->m; k++) {
        const uint32_t b = s->at[k].buffer;
        if (b == SG__NONE || x->p->buffers[b].last != step || x->record[b] == SG__NONE)
            continue;
        if (x->p->split)
            x->held[x->held_count++] = (struct held){b, x->record[b]};
        else
            release(&x->h, x->record[b]);
        x->record[b] = SG__NONE;
    }
    return true;
}

static void touch(sg__plan *p, const sg__place *at, uint32_t step)
{
    if (at->buffer == SG__NONE)
        return;
    sg__buffer *b = p->buffers + at->buffer;
    b->first = b->first == SG__NONE ? step : b->first;
    b->last = step;
}

/* When each buffer is needed. What is assigned at the end is, until then. */
static void find_lives(sg__plan *p)
{
    for (uint32_t i = 0; i < p->step_count; i++) {
        const sg__step *s = p->steps + i;
        for (int k = 0; k < s->n + s->m; k++)
            touch(p, &s->at[k], i);
    }
    for (size_t i = 0; i < p->root_count; i++)
        if (p->roots[i].place.buffer != SG__NONE &&
            p->buffers[p->roots[i].place.buffer].first != SG__NONE)
            p->buffers[p->roots[i].place.buffer].last = (uint32_t)p->step_count;
}

bool sg__place_all(sg_context *g, sg__plan *p)
{
    placer x = {.p = p,
                .parts = g->threads,
                .region = 1,
                .dear = g->memory ? 1 : NEW,
                .h = {.last = SG__NONE, .unused = SG__NONE}};
    memset(x.h.head, 0xFF, sizeof x.h.head);
    find_lives(p);
    x.record = sg__alloc(&g->scratch, p->buffer_count * sizeof *x.record);
    x.number = sg__alloc(&g->scratch, p->buffer_count * sizeof *x.number);
    x.held = sg__alloc(&g->scratch, p->buffer_count * sizeof *x.held);
    bool ok = x.record && x.number && x.held;
    if (ok) {
        memset(x.record, 0xFF, p->buffer_count * sizeof *x.record);
        memset(x.number, 0xFF, p->buffer_count * sizeof *x.number);
    }
    for (uint32_t i = 0; ok && i < p->step_count; i++)
        ok = place_step(&x, i);
    p->workspace = x.h.top * UNIT + (size_t)g->threads * p->own;
    free(x.h.s);
    if (!ok)
        sg__no_memory(g, "a plan");
    return ok;
}
