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

enum { MANY = 12 }; /* operands that are alike, more than a formula has by its nature */
#define MIDDLE (UINT64_C(1) << 31) /* the place of anchors in their level */

static const sg__item *item(const sg__batcher *b, uint32_t i)
{
    return sg__old(b, i);
}

static uint64_t when(uint32_t level, uint64_t place)
{
    return (uint64_t)level << 32 | place;
}

static bool is_anchor(const sg__member *m)
{
    return m->anchor != SG__NONE;
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* The group of an item, and its role, told by its place and by what `at` has added to words[4…].
 * What is not joined with others still plays its role, whatever its shape. */
static bool join_group(sg__batcher *b, uint32_t i, uint64_t *words, uint64_t *at)
{
    sg__member *m = b->of + i;
    uint32_t form = sg__kind_of(b, i)->form;
    bool alone = form == SG__NONE || m->solo;
    words[0] = m->when;
    words[1] = alone ? (uint64_t)(uintptr_t)item(b, i)->op : form;
    words[2] = alone;
    if (!alone)
        at = sg__batch_shared(b, i, at);
    m->role = sg__batch_number(b, &b->group_numbers, (uint32_t)(at - words), words);
    m->group = m->role;
    if (alone) {
        words[0] = i;
        m->group = sg__batch_number(b, &b->group_numbers, 1, words);
    }
    return m->role != SG__NONE && m->group != SG__NONE;
}

/* ---- early ----------------------------------------------------------------------------------- */

/* What is computed from one linked chain alone, and leads on in it or to the next that needs it. */
static bool is_early(const sg__batcher *b, const sg__item *x, const sg__member *m)
{
    uint32_t from = sg__chain_near(m->near), to = sg__chain_to(m->to);
    if (from == SG__NONE || to > b->next[from] || m->other || x->op->view || x->op->parts)
        return false;
    for (uint32_t k = 0; k < x->n; k++) {
        const sg__member *y = b->of + x->in[k], *r = b->of + y->root;
        if (y->up == m->up && !r->early && !is_anchor(r))
            return false;
    }
    return true;
}

static bool group_early(sg__batcher *b, uint32_t i)
{
    const sg__item *x = item(b, i);
    sg__member *m = b->of + i;
    uint64_t *words = sg__batch_words(b, x->n + 40), *at = words + 3;
    if (!words)
        return false;
    m->when = 0;
    for (uint32_t k = 0; k < x->n; k++) {
        const sg__member *y = b->of + x->in[k], *r = b->of + y->root;
        *at++ = 0;
        if (y->up != m->up)
            continue;
        int64_t row = sg__kind_of(b, y->root)->row;
        at[-1] = (uint64_t)(r->role + 1) << 32 | (uint64_t)(y->start % (row ? row : 1));
        m->owner = m->when ? m->owner : r->owner;
        m->when = r->when >= m->when ? r->when + 1 : m->when;
    }
    return join_group(b, i, words, at);
}

static bool group_anchor(sg__batcher *b, uint32_t i)
{
    sg__member *m = b->of + i;
    const sg__anchor *a = b->anchors + m->anchor;
    uint64_t *words = sg__batch_words(b, 40);
    if (!words)
        return false;
    m->up = a->level + 1;
    m->owner = a->rank;
    m->when = when(a->level, MIDDLE);
    return join_group(b, i, words, words + 3);
}

static bool find_early(sg__batcher *b)
{
    const sg__graph *gr = b->gr;
    for (uint32_t k = 0; k < gr->ordered; k++) {
        uint32_t i = gr->order[k];
        const sg__item *x = item(b, i);
        sg__member *m = b->of + i;
        m->up = 0;
        for (uint32_t j = 0; j < x->n; j++)
            m->up = b->of[x->in[j]].up > m->up ? b->of[x->in[j]].up : m->up;
        if (!x->op || m->root != i)
            continue;
        m->early = !is_anchor(m) && is_early(b, x, m);
        if (is_anchor(m) ? !group_anchor(b, i) : m->early && !group_early(b, i))
            return false;
    }
    return true;
}

/* ---- late ------------------------------------------------------------------------------------ */

static void need(sg__batcher *b, uint32_t i, uint64_t time, uint64_t who, uint32_t owner)
{
    sg__member *m = b->of + i;
    if (m->early || is_anchor(m) || time > m->when || (time == m->when && who >= m->who))
        return;
    m->when = time;
    m->who = who;
    m->owner = owner;
}

/* Whether it is no matter which operand of x something is: they are many, or rows of it. */
static bool are_alike(const sg__batcher *b, const sg__item *x)
{
    if (x->n < 2 || x->n >= MANY || !x->op->parts)
        return x->n >= MANY;
    const sg_shape *out = &x->dims->shape, *in = &item(b, x->in[0])->dims->shape;
    return out->rank > 1 && in->rank == out->rank &&
           in->dim[in->rank - 1] == out->dim[out->rank - 1];
}

static bool group_late(sg__batcher *b, uint32_t i)
{
    uint64_t *words = sg__batch_words(b, 40);
    if (!words)
        return false;
    words[3] = b->of[i].who;
    return join_group(b, i, words, words + 4);
}

static bool find_late(sg__batcher *b)
{
    const sg__graph *gr = b->gr;
    for (uint32_t k = 0; k < gr->ordered; k++) {
        sg__member *m = b->of + gr->order[k];
        m->when = m->early || is_anchor(m) ? m->when : UINT64_MAX;
    }
    for (uint32_t k = 0; k < gr->root_count; k++) {
        uint32_t i = b->of[gr->roots[k]].root;
        b->of[i].solo = !is_anchor(b->of + i); /* has a place of its own */
        need(b, i, when(b->levels, MIDDLE), k, b->anchor_count);
    }
    for (uint32_t k = gr->ordered; k-- > 0;) {
        uint32_t i = gr->order[k];
        const sg__item *x = item(b, i);
        const sg__member *m = b->of + i;
        if (m->root != i)
            continue;
        if (!x->op)
            b->of[i].when = 0;
        if (!m->early && !is_anchor(m) && !group_late(b, i))
            return false;
        const bool alike = are_alike(b, x);
        for (uint32_t j = 0; j < x->n; j++)
            need(b, b->of[x->in[j]].root, m->when - 1,
                 (uint64_t)(m->role + 1) << 32 | (alike ? MANY : j), m->owner);
    }
    return true;
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Lists the members of all groups in the order of owners. */
static bool list_members(sg__batcher *b)
{
    const sg__graph *gr = b->gr;
    const uint32_t groups = b->group_numbers.count, owners = b->anchor_count + 1;
    uint32_t *start = sg__batch_alloc(b, owners + 1, sizeof *start), n = 0;
    uint32_t *sorted = sg__batch_alloc(b, gr->ordered, sizeof *sorted);
    uint32_t *members = sg__batch_alloc(b, gr->ordered, sizeof *members);
    b->groups = sg__batch_alloc(b, groups, sizeof *b->groups);
    if (!start || !sorted || !members || !b->groups)
        return false;
    memset(start, 0, (owners + 1) * sizeof *start);
    memset(b->groups, 0, groups * sizeof *b->groups);
    for (uint32_t k = 0; k < gr->ordered; k++) {
        const sg__member *m = b->of + gr->order[k];
        if (m->root != gr->order[k])
            continue;
        start[m->owner + 1]++;
        b->groups[m->group].count++;
    }
    for (uint32_t o = 0; o < owners; o++)
        start[o + 1] += start[o];
    for (uint32_t g = 0; g < groups; g++) {
        b->groups[g].members = members + n;
        n += b->groups[g].count;
        b->groups[g].count = 0;
    }
    for (uint32_t k = 0; k < gr->ordered; k++)
        if (b->of[gr->order[k]].root == gr->order[k])
            sorted[start[b->of[gr->order[k]].owner]++] = gr->order[k];
    for (uint32_t k = 0; k < n; k++) {
        sg__group *g = b->groups + b->of[sorted[k]].group;
        g->when = b->of[sorted[k]].when;
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
        groups += b->groups[g].count && is_anchor(b->of + b->groups[g].members[0]);
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
    if (!sg__graph_needed(gr))
        return false;
    uint32_t *next = sg__graph_list(gr, (uint32_t)gr->n), *stack = sg__graph_list(gr, gr->ordered);
    uint32_t n = 0;
    if (!next || !stack)
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
                    gr->order[n++] = i;
                next[i] = SG__NONE;
            }
        }
    }
    return true;
}

/* ---- the pass -------------------------------------------------------------------------------- */

bool sg__batch_groups(sg__batcher *b)
{
    b->of = sg__batch_alloc(b, b->gr->n, sizeof *b->of);
    if (!b->of || !sg__batch_kinds(b) || !sg__order_anchors(b) || !find_early(b) || !find_late(b) ||
        !list_members(b))
        return false;
    b->worth = is_worth_it(b);
    return true;
}

static bool batch(sg__graph *gr, sg__arena *lasting, bool *worth)
{
    sg__batcher b = {.gr = gr, .lasting = lasting, .n = (uint32_t)gr->n};
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
    return walk(gr);
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
