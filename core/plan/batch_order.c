/*
 * The order of what is worth waiting for (products with one right operand), found from who needs
 * whom. Sorts of anchors that need each other by turns are a chain: the steps of a recurrence, the
 * levels of trees. A chain waits until those before it are over, so that as many as can run
 * together do. Within it an anchor has a level, counted from its first or from its last step, and
 * within that a rank, which is the order of rows.
 */
#include "core/plan/batch.h"

#include <stdlib.h>

enum { SORTS = 64 };

/* Of the anchors that a member is computed from, without others between, `near` is the last: of the
 * last chain, and there with most steps before it. `other` is the last of another linked chain that
 * is met on the way from there, but not what was met before: a gradient passes many states on its
 * way, and those of this very step are the ones to go by. An anchor is said by its chain, from 1,
 * the steps before it, and its number, so that later chains are greater. 0: none. */
typedef struct nearby {
    uint64_t near, other;
} nearby;

typedef struct sorting {
    sg__batcher *b;
    uint32_t count, chains;
    uint64_t before[SORTS];    /* by sort: which are needed for it, and itself */
    uint64_t again, linked;    /* sorts that need themselves; chains of several steps */
    uint32_t chain[SORTS];     /* by sort */
    uint64_t members[SORTS];   /* by chain: sorts, */
    uint32_t length[SORTS];    /* steps, */
    uint32_t next[SORTS];      /* and the next chain that needs it */
    uint32_t start[SORTS + 1]; /* of each chain's anchors in `list` */
    uint32_t *list;
} sorting;

/* ---- sorts ----------------------------------------------------------------------------------- */

/* Anchors are those of which there are several; beyond 64 sorts of them, only the first. */
static bool find_anchors(sorting *s)
{
    sg__batcher *b = s->b;
    const uint32_t waiting = b->anchor_count, sorts = b->sort_numbers.count;
    uint32_t *many = sg__batch_alloc(b, sorts, sizeof *many);
    if (!many)
        return false;
    memset(many, 0, sorts * sizeof *many);
    for (uint32_t k = 0; k < waiting; k++)
        many[b->anchors[k].sort]++;
    for (uint32_t k = 0; k < sorts; k++)
        many[k] = many[k] > 1 && s->count < SORTS ? s->count++ : SG__NONE;
    b->anchor_count = 0;
    for (uint32_t k = 0; k < waiting; k++) {
        const uint32_t m = b->anchors[k].member, sort = many[b->anchors[k].sort];
        if (sort != SG__NONE)
            b->anchors[b->anchor_count++] = (sg__anchor){.member = m, .sort = sort};
    }
    return true;
}

/* ---- chains ---------------------------------------------------------------------------------- */

static bool find_needs(sorting *s)
{
    const sg__batcher *b = s->b;
    uint64_t *needs = sg__batch_alloc(b, b->n, sizeof *needs); /* and is: sorts of anchors */
    if (!needs)
        return false;
    memset(needs, 0, b->n * sizeof *needs);
    for (uint32_t k = 0; k < b->anchor_count; k++)
        needs[b->anchors[k].member] = UINT64_C(1) << b->anchors[k].sort;
    for (uint32_t m = 0; m < b->n; m++) {
        const uint64_t own = needs[m];
        uint64_t all = 0;
        for (uint32_t e = b->first[m]; e < b->first[m + 1]; e++)
            all |= needs[b->in[e]];
        needs[m] = all | own;
        s->again |= all & own;
        if (own)
            s->before[__builtin_ctzll(own)] |= needs[m];
    }
    for (uint32_t m = 0; m < s->count; m++)
        for (uint32_t k = 0; k < s->count; k++)
            if (s->before[k] >> m & 1)
                s->before[k] |= s->before[m];
    return true;
}

static uint32_t count_bits(uint64_t x)
{
    uint32_t n = 0;
    for (; x; x &= x - 1)
        n++;
    return n;
}

/* Numbers chains so that each needs only those with lower numbers: sorts that need each other need
 * the same, and what needs others needs more than they do. */
static void find_chains(sorting *s)
{
    uint64_t done = 0;
    while (count_bits(done) < s->count) {
        uint64_t least = ~UINT64_C(0);
        for (uint32_t x = 0; x < s->count; x++)
            if (!(done >> x & 1) && (!(~least) || count_bits(s->before[x]) < count_bits(least)))
                least = s->before[x];
        for (uint32_t x = 0; x < s->count; x++)
            if (s->before[x] == least) {
                s->chain[x] = s->chains;
                s->members[s->chains] |= UINT64_C(1) << x;
            }
        done |= s->members[s->chains];
        if (s->members[s->chains] & s->again)
            s->linked |= UINT64_C(1) << s->chains;
        s->chains++;
    }
    for (uint32_t c = 0; c < s->chains; c++) {
        uint32_t d = c + 1;
        while (d < s->chains && !(s->before[__builtin_ctzll(s->members[d])] & s->members[c]))
            d++;
        s->next[c] = d;
    }
}

/* ---- who is near whom ------------------------------------------------------------------------ */

static uint32_t chain_of(uint64_t near) /* SG__NONE: none */
{
    return (uint32_t)(near >> 56) - 1;
}

static bool is_linked(const sorting *s, uint64_t near)
{
    return near && s->linked >> chain_of(near) & 1;
}

static void meet(const sorting *s, nearby *m, const nearby *y)
{
    uint64_t less = y->near < m->near ? y->near : m->near;
    if (y->near > m->near)
        m->other = y->other;
    else if (y->near == m->near && y->other > m->other)
        m->other = y->other;
    m->near = y->near > m->near ? y->near : m->near;
    if (less >> 56 != m->near >> 56 && less > m->other && is_linked(s, less))
        m->other = less;
}

/* What is near each member, as its users see it, and how many steps come before each anchor. */
static void find_first(sorting *s, nearby *seen)
{
    sg__batcher *b = s->b;
    for (uint32_t m = 0, next = 0; m < b->n; m++) {
        nearby own = {0, 0};
        for (uint32_t e = b->first[m]; e < b->first[m + 1]; e++)
            if (seen[b->in[e]].near)
                meet(s, &own, &seen[b->in[e]]);
        seen[m] = own;
        if (next == b->anchor_count || b->anchors[next].member != m)
            continue;
        sg__anchor *a = b->anchors + next;
        a->near = own.near;
        a->other = own.other;
        a->chain = s->chain[a->sort];
        a->first = chain_of(own.near) == a->chain ? (own.near >> 32 & 0xFFFFFF) + 1 : 0;
        if (a->first >= s->length[a->chain])
            s->length[a->chain] = a->first + 1;
        seen[m] = (nearby){(uint64_t)(a->chain + 1) << 56 | (uint64_t)a->first << 32 | next++, 0};
    }
}

/* The chain that needs a member next and the steps of it behind that, in one number: earlier chains
 * are greater. So how many steps come behind each anchor, and what leads on. */
static void find_last(sorting *s, const nearby *seen, uint64_t *to)
{
    sg__batcher *b = s->b;
    for (uint32_t m = b->n, next = b->anchor_count; m-- > 0;) {
        uint64_t own = to[m];
        const uint32_t from = chain_of(seen[m].near), chain = ~(uint32_t)(own >> 32);
        b->leads[m] = from != SG__NONE && chain <= s->next[from] && !seen[m].other;
        if (next > 0 && b->anchors[next - 1].member == m) {
            sg__anchor *a = b->anchors + --next;
            a->last = chain == a->chain ? (uint32_t)own + 1 : 0;
            own = (uint64_t)~a->chain << 32 | a->last;
        }
        for (uint32_t e = b->first[m]; e < b->first[m + 1]; e++)
            to[b->in[e]] = own > to[b->in[e]] ? own : to[b->in[e]];
    }
}

static bool find_steps(sorting *s)
{
    sg__batcher *b = s->b;
    nearby *seen = sg__batch_alloc(b, b->n, sizeof *seen);
    uint64_t *to = sg__batch_alloc(b, b->n, sizeof *to);
    b->leads = sg__batch_alloc(b, b->n, sizeof *b->leads);
    if (!seen || !to || !b->leads)
        return false;
    memset(to, 0, b->n * sizeof *to);
    find_first(s, seen);
    find_last(s, seen, to);
    return true;
}

/* ---- levels ---------------------------------------------------------------------------------- */

/* The anchor of an earlier chain of several steps that is nearest to this one. */
static const sg__anchor *source(const sorting *s, const sg__anchor *a)
{
    uint64_t near = chain_of(a->near) == a->chain || !is_linked(s, a->near) ? a->other : a->near;
    return is_linked(s, near) ? s->b->anchors + (uint32_t)near : NULL;
}

/* How many pairs there are of a step and the level from which something is taken there. */
static bool count_pairs(sorting *s, uint32_t c, bool late, uint32_t *pairs)
{
    sg__numbers seen = {.count = 0};
    for (uint32_t k = s->start[c]; k < s->start[c + 1]; k++) {
        const sg__anchor *a = s->b->anchors + s->list[k], *from = source(s, a);
        uint64_t words[] = {late ? a->last : a->first, from ? from->level + 1 : 0};
        if (sg__batch_number(s->b, &seen, 2, words) == SG__NONE)
            return false;
    }
    *pairs = seen.count;
    return true;
}

/* The anchors of a chain run as early as possible, or as late, whichever goes better with the
 * levels of what they need. So a gradient goes through a sequence, or a tree, by the very steps
 * that were taken forward. */
static bool give_levels(sorting *s)
{
    sg__batcher *b = s->b;
    s->list = sg__batch_alloc(b, b->anchor_count, sizeof *s->list);
    if (!s->list)
        return false;
    for (uint32_t k = 0; k < b->anchor_count; k++)
        s->start[b->anchors[k].chain]++;
    for (uint32_t c = 1; c <= s->chains; c++)
        s->start[c] += s->start[c - 1];
    for (uint32_t k = b->anchor_count; k-- > 0;)
        s->list[--s->start[b->anchors[k].chain]] = k;
    s->start[s->chains] = b->anchor_count;
    for (uint32_t c = 0; c < s->chains; c++) {
        uint32_t early = 0, late = 0;
        if (s->linked >> c & 1 &&
            (!count_pairs(s, c, false, &early) || !count_pairs(s, c, true, &late)))
            return false;
        for (uint32_t k = s->start[c]; k < s->start[c + 1]; k++) {
            sg__anchor *a = b->anchors + s->list[k];
            a->level = b->levels + (late < early ? s->length[c] - 1 - a->last : a->first);
        }
        b->levels += s->length[c];
    }
    return true;
}

/* ---- ranks ----------------------------------------------------------------------------------- */

typedef struct row {
    uint64_t place, after;
    uint32_t anchor;
} row;

static int by_place(const void *p, const void *q)
{
    const row *x = p, *y = q;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    if (x->after != y->after)
        return x->after < y->after ? -1 : 1;
    return (x->anchor > y->anchor) - (x->anchor < y->anchor);
}

/* In the order of what they are computed from, that of the last level first; and where that is one
 * for several, or no step of a chain, those with the longest way to go come first, so that the
 * others leave no gap when they are through. */
static row place_of(const sorting *s, uint32_t anchor)
{
    const sg__anchor *a = s->b->anchors + anchor;
    uint64_t near = is_linked(s, a->near) ? a->near : a->other, more = a->first + a->last;
    const sg__anchor *from = near ? s->b->anchors + (uint32_t)near : NULL;
    uint64_t level = from ? from->level + 1 : 0, rank = from ? from->rank : 0;
    return (row){(uint64_t)a->sort << 56 | (~level & 0xFFFFFF) << 32 | rank, ~more, anchor};
}

static bool give_ranks(sorting *s)
{
    sg__batcher *b = s->b;
    uint32_t *start = sg__batch_alloc(b, b->levels + 1, sizeof *start), rank = 0;
    row *rows = sg__batch_alloc(b, b->anchor_count, sizeof *rows);
    if (!start || !rows)
        return false;
    memset(start, 0, (b->levels + 1) * sizeof *start);
    for (uint32_t k = 0; k < b->anchor_count; k++)
        start[b->anchors[k].level]++;
    for (uint32_t l = 1; l <= b->levels; l++)
        start[l] += start[l - 1];
    for (uint32_t k = b->anchor_count; k-- > 0;)
        s->list[--start[b->anchors[k].level]] = k;
    start[b->levels] = b->anchor_count;
    for (uint32_t l = 0; l < b->levels; l++) {
        uint32_t n = start[l + 1] - start[l];
        for (uint32_t k = 0; k < n; k++)
            rows[k] = place_of(s, s->list[start[l] + k]);
        qsort(rows, n, sizeof *rows, by_place);
        for (uint32_t k = 0; k < n; k++)
            b->anchors[rows[k].anchor].rank = rank++;
    }
    return true;
}

bool sg__order_anchors(sg__batcher *b)
{
    sorting s = {.b = b};
    if (!find_anchors(&s) || !find_needs(&s))
        return false;
    find_chains(&s);
    return find_steps(&s) && give_levels(&s) && give_ranks(&s);
}
