/*
 * The order of what is worth waiting for (products with one right operand), found from who needs
 * whom. Sorts of anchors that need each other by turns are a chain: the steps of a recurrence, the
 * levels of trees. A chain waits until those before it are over, so that as many as can run
 * together do. Within it an anchor has a level, counted from its first or from its last step, and
 * within that a rank, which is the order of rows.
 */
#include "core/plan/batch.h"

#include <stdlib.h>

enum { ROWS = 256, SORTS = 64 };

typedef struct sorting {
    sg__batcher *b;
    uint32_t count, chains;
    uint64_t before[SORTS];    /* by sort: which are needed for it, and itself */
    uint64_t again, linked;    /* sorts that need themselves; chains of several steps */
    uint32_t chain[SORTS];     /* by sort */
    uint64_t members[SORTS];   /* by chain: sorts, */
    uint32_t length[SORTS];    /* and steps */
    uint32_t start[SORTS + 1]; /* of each chain's anchors in `list` */
    uint32_t *list;
} sorting;

/* ---- sorts ----------------------------------------------------------------------------------- */

/* Whether what the rows share is there from the beginning, as parameters are. */
static bool shares_leaves(const sg__batcher *b, uint32_t i)
{
    const sg__item *x = sg__old(b, i);
    for (uint32_t k = 0; k < x->n; k++) {
        const sg__item *y = sg__old(b, x->in[k]);
        while (sg__shares(sg__kind_of(b, i), k) && y->op && y->op->view)
            y = sg__old(b, y->in[0]);
        if (sg__shares(sg__kind_of(b, i), k) && y->op)
            return false;
    }
    return true;
}

static uint32_t sort_of(sg__batcher *b, sg__numbers *sorts, uint32_t i)
{
    const sg__kind *kind = sg__kind_of(b, i);
    if (b->of[i].root != i || kind->form == SG__NONE || !kind->how.gains || kind->rows > ROWS ||
        !shares_leaves(b, i))
        return SG__NONE;
    uint64_t words[33] = {kind->form};
    return sg__batch_number(b, sorts, (uint32_t)(sg__batch_shared(b, i, words + 1) - words), words);
}

/* Anchors are those of which there are several; beyond 64 sorts of them, only the first. */
static bool find_anchors(sorting *s)
{
    sg__batcher *b = s->b;
    const sg__graph *gr = b->gr;
    sg__numbers sorts = {.count = 0};
    uint32_t *sort = sg__batch_alloc(b, gr->ordered, sizeof *sort);
    b->anchors = sg__batch_alloc(b, gr->ordered, sizeof *b->anchors);
    uint32_t *many = sg__batch_alloc(b, gr->ordered + 1, sizeof *many);
    if (!sort || !many || !b->anchors)
        return false;
    for (uint32_t k = 0, count = 0; k < gr->ordered; k++, count = sorts.count) {
        sort[k] = sort_of(b, &sorts, gr->order[k]);
        if (b->gr->g->status)
            return false;
        if (sort[k] != SG__NONE)
            many[sort[k]] = sort[k] < count ? many[sort[k]] + 1 : 1;
    }
    for (uint32_t k = 0; k < sorts.count; k++)
        many[k] = many[k] > 1 && s->count < SORTS ? s->count++ : SG__NONE;
    for (uint32_t k = 0; k < gr->ordered; k++) {
        if (sort[k] == SG__NONE || many[sort[k]] == SG__NONE)
            continue;
        b->of[gr->order[k]].anchor = b->anchor_count;
        b->anchors[b->anchor_count++] = (sg__anchor){.item = gr->order[k], .sort = many[sort[k]]};
    }
    return true;
}

/* ---- chains ---------------------------------------------------------------------------------- */

static bool find_needs(sorting *s)
{
    const sg__batcher *b = s->b;
    const sg__graph *gr = b->gr;
    uint64_t *all = sg__batch_alloc(b, b->n, sizeof *all);
    if (!all)
        return false;
    for (uint32_t k = 0; k < gr->ordered; k++) {
        uint32_t i = gr->order[k];
        const sg__item *x = gr->x + i;
        uint64_t needs = 0;
        for (uint32_t j = 0; j < x->n; j++)
            needs |= all[x->in[j]];
        if (b->of[i].anchor != SG__NONE) {
            uint32_t own = b->anchors[b->of[i].anchor].sort;
            s->again |= needs & UINT64_C(1) << own;
            needs |= UINT64_C(1) << own;
            s->before[own] |= needs;
        }
        all[i] = needs;
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
static bool find_chains(sorting *s)
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
    s->b->next = sg__batch_alloc(s->b, s->chains, sizeof *s->b->next);
    for (uint32_t c = 0; s->b->next && c < s->chains; c++) {
        uint32_t d = c + 1;
        while (d < s->chains && !(s->before[__builtin_ctzll(s->members[d])] & s->members[c]))
            d++;
        s->b->next[c] = d;
    }
    return s->b->next;
}

/* ---- who is near whom ------------------------------------------------------------------------ */

static bool is_linked(const sorting *s, uint64_t near)
{
    return near && s->linked >> sg__chain_near(near) & 1;
}

/* Of the anchors that an item is computed from, without others between, `near` is the last: of the
 * last chain, and there with most steps before it. `other` is the last of another linked chain that
 * is met on the way from there, but not what was met before: a gradient passes many states on its
 * way, and those of this very step are the ones to go by. */
static void meet(const sorting *s, sg__member *m, uint64_t near, uint64_t other)
{
    uint64_t less = near < m->near ? near : m->near;
    if (near > m->near)
        m->other = other;
    else if (near == m->near && other > m->other)
        m->other = other;
    m->near = near > m->near ? near : m->near;
    if (less >> 56 != m->near >> 56 && less > m->other && is_linked(s, less))
        m->other = less;
}

/* A chain and the steps before it in one number: later chains are greater; and a chain and the
 * steps behind: earlier ones are. */
static void find_steps(sorting *s)
{
    sg__batcher *b = s->b;
    const sg__graph *gr = b->gr;
    for (uint32_t k = 0; k < gr->ordered; k++) {
        uint32_t i = gr->order[k];
        const sg__item *x = gr->x + i;
        sg__member *m = b->of + i;
        for (uint32_t j = 0; j < x->n; j++) {
            const sg__member *y = b->of + x->in[j];
            const sg__anchor *a = y->anchor == SG__NONE ? NULL : b->anchors + y->anchor;
            if (a)
                meet(s, m, (uint64_t)(a->chain + 1) << 56 | (uint64_t)a->first << 32 | y->anchor,
                     0);
            else if (y->near)
                meet(s, m, y->near, y->other);
        }
        if (m->anchor == SG__NONE)
            continue;
        sg__anchor *a = b->anchors + m->anchor;
        a->chain = s->chain[a->sort];
        a->first = sg__chain_near(m->near) == a->chain ? (m->near >> 32 & 0xFFFFFF) + 1 : 0;
        if (a->first >= s->length[a->chain])
            s->length[a->chain] = a->first + 1;
    }
    for (uint32_t k = gr->ordered; k-- > 0;) {
        const sg__member *m = b->of + gr->order[k];
        const sg__item *x = gr->x + gr->order[k];
        uint64_t to = m->to;
        if (m->anchor != SG__NONE) {
            sg__anchor *a = b->anchors + m->anchor;
            a->last = sg__chain_to(to) == a->chain ? (uint32_t)to + 1 : 0;
            to = (uint64_t)~a->chain << 32 | a->last;
        }
        for (uint32_t j = 0; j < x->n; j++)
            b->of[x->in[j]].to = to > b->of[x->in[j]].to ? to : b->of[x->in[j]].to;
    }
}

/* ---- levels ---------------------------------------------------------------------------------- */

/* The anchor of an earlier chain of several steps that is nearest to this one. */
static const sg__anchor *source(const sorting *s, const sg__anchor *a)
{
    const sg__member *m = s->b->of + a->item;
    uint64_t near =
        sg__chain_near(m->near) == a->chain || !is_linked(s, m->near) ? m->other : m->near;
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
    const sg__member *m = s->b->of + a->item;
    uint64_t near = is_linked(s, m->near) ? m->near : m->other, more = a->first + a->last;
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
    if (!find_anchors(&s) || !find_needs(&s) || !find_chains(&s))
        return false;
    find_steps(&s);
    return give_levels(&s) && give_ranks(&s);
}
