/*
 * Batching: a program written for one sentence or one tree has many small items of one kind. They
 * are computed together, as rows of one array, where none needs another one.
 *
 * Some are worth waiting for, the anchors: products. They have levels, in an order that lets as
 * many as possible run together (batch_order.c), and all else is computed at one of these levels:
 * early, with the anchor that it follows, if it leads to the next one, as a cell's state does; or
 * as late as possible, with what needs it, as what only a gradient will look at. Within a level the
 * place of what is late counts back from its user, and of what is early on from its operands.
 *
 * Items go together if they stand in one place of equal formulas: what is late, if it is the same
 * operand of items that go together; what is early, if its operands of that level go together; what
 * it reads from other levels does not matter. So groups never wait for each other in a circle: what
 * a group needs is of an earlier level, or of an earlier place.
 *
 * Results stand in an array in the order of their anchors, and these in the order of what they are
 * computed from, so most operands need no gathering. No bit depends on any of it: a row's result
 * does not depend on other rows, and sums were joined before.
 */
#include "core/plan/batch.h"

#include <stdlib.h>

#define MIDDLE (UINT64_C(1) << 31) /* the place of anchors in their level */
enum { MANY = 12 };                /* the operand of what does not tell its operands apart */

static uint64_t when(uint32_t level, uint64_t place)
{
    return (uint64_t)level << 32 | place;
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* The group of a member, and its role, told by its place and by what `at` has added to words[3…].
 * What is not joined with others still plays its role, whatever its shape. */
static bool join_group(sg__batcher *b, sg__member *m, uint64_t *words, uint64_t *at)
{
    uint32_t form = b->kinds[m->kind].form;
    bool alone = form == SG__NONE || m->solo;
    words[0] = m->when;
    words[1] = alone ? (uint64_t)(uintptr_t)sg__old(b, m->item)->op : form;
    words[2] = alone;
    if (!alone)
        at = sg__batch_shared(b, (uint32_t)(m - b->of), at);
    m->role = sg__batch_number(b, &b->group_numbers, (uint32_t)(at - words), words);
    m->group = alone ? sg__batch_new_number(b, &b->group_numbers) : m->role;
    return m->role != SG__NONE && m->group != SG__NONE;
}

/* ---- early ----------------------------------------------------------------------------------- */

/* `up` is, by member, 1 + the highest level of an anchor that it is computed from, without others
 * between; 0: none. */
static bool is_early(const sg__batcher *b, uint32_t m, const uint32_t *up)
{
    if (!b->leads[m])
        return false;
    for (uint32_t e = b->first[m]; e < b->first[m + 1]; e++)
        if (up[b->in[e]] == up[m] && b->of[b->in[e]].late)
            return false;
    const sg_op *op = sg__old(b, b->of[m].item)->op;
    return !op->view && !op->parts;
}

static bool group_early(sg__batcher *b, uint32_t i, const uint32_t *up)
{
    sg__member *m = b->of + i;
    uint64_t *words = sg__batch_words(b, b->first[i + 1] - b->first[i] + 40), *at = words + 3;
    if (!words)
        return false;
    m->late = false;
    for (uint32_t e = b->first[i]; e < b->first[i + 1]; e++) {
        const sg__member *y = b->of + b->in[e];
        *at++ = 0;
        if (up[b->in[e]] != up[i])
            continue;
        int64_t row = b->kinds[y->kind].row;
        at[-1] = (uint64_t)(y->role + 1) << 32 | (uint64_t)(b->start[e] % (row ? row : 1));
        m->owner = m->when ? m->owner : y->owner;
        m->when = y->when >= m->when ? y->when + 1 : m->when;
    }
    return join_group(b, m, words, at);
}

static bool group_anchor(sg__batcher *b, const sg__anchor *a)
{
    sg__member *m = b->of + a->member;
    m->anchor = true;
    m->late = false;
    m->owner = a->rank;
    m->when = when(a->level, MIDDLE);
    m->role = sg__batch_number(b, &b->group_numbers, 2, (uint64_t[]){m->when, a->sort});
    return (m->group = m->role) != SG__NONE;
}

static bool find_early(sg__batcher *b)
{
    uint32_t *up = sg__batch_alloc(b, b->n, sizeof *up);
    if (!up)
        return false;
    for (uint32_t m = 0, next = 0; m < b->n; m++) {
        up[m] = 0;
        for (uint32_t e = b->first[m]; e < b->first[m + 1]; e++)
            up[m] = up[b->in[e]] > up[m] ? up[b->in[e]] : up[m];
        if (next < b->anchor_count && b->anchors[next].member == m) {
            up[m] = b->anchors[next].level + 1;
            if (!group_anchor(b, &b->anchors[next++]))
                return false;
        } else if (is_early(b, m, up) && !group_early(b, m, up)) {
            return false;
        }
    }
    return true;
}

/* ---- late ------------------------------------------------------------------------------------ */

static void need(sg__member *m, uint64_t time, uint64_t who, uint32_t owner)
{
    if (!m->late || time > m->when || (time == m->when && who >= m->who))
        return;
    m->when = time;
    m->who = who;
    m->owner = owner;
}

static bool group_late(sg__batcher *b, sg__member *m)
{
    uint64_t *words = sg__batch_words(b, 40);
    if (!words)
        return false;
    words[3] = m->who;
    return join_group(b, m, words, words + 4);
}

static bool find_late(sg__batcher *b)
{
    const sg__graph *gr = b->gr;
    for (uint32_t m = 0; m < b->n; m++)
        b->of[m].when = b->of[m].late ? UINT64_MAX : b->of[m].when;
    for (uint32_t k = 0; k < gr->root_count; k++) {
        sg__member *m = b->of + b->spots[gr->roots[k]].member;
        m->solo = !m->anchor; /* has a place of its own */
        need(m, when(b->levels, MIDDLE), k, b->anchor_count);
    }
    for (uint32_t i = b->n; i-- > 0;) {
        sg__member *m = b->of + i;
        const bool alike = b->kinds[m->kind].alike;
        if (!m->kind && !sg__old(b, m->item)->op)
            m->when = 0;
        if (m->late && !group_late(b, m))
            return false;
        for (uint32_t e = b->first[i]; e < b->first[i + 1]; e++)
            need(b->of + b->in[e], m->when - 1,
                 (uint64_t)(m->role + 1) << 32 | (alike ? MANY : e - b->first[i]), m->owner);
    }
    return true;
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Lists the members of all groups in the order of owners. */
static bool list_members(sg__batcher *b)
{
    const uint32_t groups = b->group_numbers.count, owners = b->anchor_count + 1;
    uint32_t *start = sg__batch_alloc(b, owners + 1, sizeof *start), n = 0;
    uint32_t *sorted = sg__batch_alloc(b, b->n, sizeof *sorted);
    uint32_t *members = sg__batch_alloc(b, b->n, sizeof *members);
    b->groups = sg__batch_alloc(b, groups, sizeof *b->groups);
    if (!start || !sorted || !members || !b->groups)
        return false;
    memset(start, 0, (owners + 1) * sizeof *start);
    memset(b->groups, 0, groups * sizeof *b->groups);
    for (uint32_t m = 0; m < b->n; m++) {
        start[b->of[m].owner + 1]++;
        b->groups[b->of[m].group].count++;
        b->groups[b->of[m].group].when = b->of[m].when;
    }
    for (uint32_t o = 0; o < owners; o++)
        start[o + 1] += start[o];
    for (uint32_t m = 0; m < b->n; m++)
        sorted[start[b->of[m].owner]++] = m;
    for (uint32_t g = 0; g < groups; g++) {
        b->groups[g].members = members + n;
        n += b->groups[g].count;
        b->groups[g].count = 0;
    }
    for (uint32_t k = 0; k < n; k++) {
        sg__group *g = b->groups + b->of[sorted[k]].group;
        g->members[g->count++] = sorted[k];
    }
    return true;
}

/* Whether there are by a quarter fewer anchors to compute: steps that did not need each other, as
 * x_t W of a loop. A program written for batches has little to join, and its order is as good. */
static bool is_worth_it(const sg__batcher *b)
{
    uint32_t groups = 0;
    for (uint32_t g = 0; g < b->group_numbers.count; g++)
        groups += b->groups[g].count && b->of[b->groups[g].members[0]].anchor;
    return 4 * (b->anchor_count - groups) >= b->anchor_count && groups < b->anchor_count;
}

typedef struct turn {
    uint64_t when;
    uint32_t group;
} turn;

static int by_time(const void *p, const void *q)
{
    const turn *x = p, *y = q;
    if (x->when != y->when)
        return x->when < y->when ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

static bool compute_all(sg__batcher *b)
{
    const uint32_t groups = b->group_numbers.count;
    uint32_t n = 0;
    turn *turns = sg__batch_alloc(b, groups, sizeof *turns);
    if (!turns)
        return false;
    for (uint32_t g = 0; g < groups; g++)
        if (b->groups[g].count)
            turns[n++] = (turn){b->groups[g].when, g};
    qsort(turns, n, sizeof *turns, by_time);
    for (uint32_t k = 0; k < n; k++)
        if (!sg__compute_group(b, b->groups + turns[k].group))
            return false;
    return true;
}

/* The order of what is left: a walk from the roots, operands first, as the tape's was. So what is
 * made for one parameter's update is used while it is warm, and in one program. */
static bool walk(sg__graph *gr)
{
    uint32_t *next = sg__graph_list(gr, (uint32_t)gr->n);
    uint32_t *stack = sg__graph_list(gr, (uint32_t)gr->n);
    gr->order = sg__graph_list(gr, (uint32_t)gr->n);
    gr->ordered = 0;
    if (!next || !stack || !gr->order)
        return false;
    memset(next, 0, gr->n * sizeof *next);
    for (size_t r = 0; r < gr->root_count; r++) {
        uint32_t depth = 0;
        stack[depth++] = gr->roots[r];
        while (depth) {
            uint32_t i = stack[depth - 1];
            const sg__item *x = gr->x + i;
            if (next[i] < x->n) {
                uint32_t k = x->in[next[i]++];
                if (!next[k])
                    stack[depth++] = k;
            } else {
                depth--;
                if (next[i] != SG__NONE)
                    gr->order[gr->ordered++] = i;
                next[i] = SG__NONE;
            }
        }
    }
    return true;
}

/* ---- the pass -------------------------------------------------------------------------------- */

bool sg__batch_groups(sg__batcher *b)
{
    if (!sg__batch_kinds(b) || !sg__order_anchors(b) || !find_early(b) || !find_late(b) ||
        !list_members(b))
        return false;
    b->worth = is_worth_it(b);
    return true;
}

static bool batch(sg__graph *gr, sg__arena *lasting, bool *worth)
{
    sg__batcher b = {.gr = gr, .lasting = lasting};
    if (!sg__batch_groups(&b))
        return false;
    *worth = b.worth;
    if (!b.worth)
        return true;
    if (!compute_all(&b))
        return false;
    for (size_t k = 0; k < gr->root_count; k++)
        if ((gr->roots[k] = sg__batch_alone(&b, gr->roots[k])) == SG__NONE)
            return false;
    sg__graph left;
    if (!walk(gr) || !sg__graph_look_now(gr, &left))
        return false;
    *gr = left; /* without what was joined: the next passes keep something of every item */
    return true;
}

/* What is inside of checkpoints is not computed again where there is something to join: a copy
 * would join its original. With a limit of memory, which may depend on copies, nothing is joined.
 */
bool sg__batch(sg__graph *gr, sg__arena *lasting)
{
    bool worth = false;
    if (sg__without(gr->g, SG__BATCH))
        return true;
    if (gr->checkpoints <= gr->kept)
        return batch(gr, lasting, &worth);
    if (gr->g->memory)
        return true;
    sg__graph now;
    if (!sg__graph_look_now(gr, &now) || !batch(&now, lasting, &worth))
        return false;
    if (worth)
        *gr = now;
    return true;
}
