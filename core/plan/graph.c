/* The graph of a plan: what is to be computed, as items that refer to earlier ones by number. Equal
 * items are one: an op is a function of its operands and attributes. */
#include "core/plan/plan.h"

enum { FEW = 256, NEAR = 16, AHEAD = 16 };

static bool no_memory(const sg__graph *gr)
{
    sg__no_memory(gr->g, "a plan");
    return false;
}

/* ---- equal items once ----------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

static uint64_t hash_of(const sg__item *x)
{
    uint64_t h = mix((uint64_t)(uintptr_t)x->op, (uint64_t)(uintptr_t)x->dims ^ x->n);
    for (uint32_t i = 0; i < x->n; i++)
        h = mix(h, x->in[i]);
    for (size_t i = 0, size = x->attr ? x->op->attr_size : 0; i < size; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, (const char *)x->attr + i, size - i < sizeof word ? size - i : sizeof word);
        h = mix(h, word);
    }
    return mix(h, x->dtype);
}

static bool equal(const sg__item *x, const sg__item *y)
{
    return x->op == y->op && x->dims == y->dims && x->dtype == y->dtype && x->n == y->n &&
           (x->n == 0 || memcmp(x->in, y->in, x->n * sizeof *x->in) == 0) &&
           (!x->op->attr_size || memcmp(x->attr, y->attr, x->op->attr_size) == 0);
}

/* The slot of x, whose hash is h, or the free one where it would be: one of a few near its last
 * operand's, so that a graph that is made in order goes through the table in order; and where these
 * are taken, by its hash. A slot has half of that, so that other items are hardly ever looked at.
 */
static sg__slot *slot_of(const sg__graph *gr, const sg__item *x, uint64_t h)
{
    size_t near = 0;
    for (uint32_t i = 0; i < x->n; i++)
        near = x->in[i] > near ? x->in[i] : near;
    for (size_t k = 0;; k++) {
        sg__slot *s = gr->table + (((k < NEAR ? 2 * near : h) + k) & (gr->slots - 1));
        if (s->item == SG__NONE || (s->hash == h >> 32 && equal(gr->x + s->item, x)))
            return s;
    }
}

/* Room for so many items. */
static bool enough_slots(sg__graph *gr, size_t n)
{
    if (2 * n <= gr->slots)
        return true;
    size_t slots = FEW;
    while (slots < 2 * n)
        slots *= 2;
    gr->table = sg__alloc(&gr->g->scratch, slots * sizeof *gr->table);
    if (!gr->table)
        return no_memory(gr);
    memset(gr->table, 0xFF, slots * sizeof *gr->table);
    gr->slots = slots;
    for (uint32_t i = 0; i < gr->n; i++) {
        if (!gr->x[i].op)
            continue;
        uint64_t h = hash_of(gr->x + i);
        *slot_of(gr, gr->x + i, h) = (sg__slot){(uint32_t)(h >> 32), i};
    }
    return true;
}

static bool enough_items(sg__graph *gr, size_t n)
{
    if (n <= gr->capacity)
        return true;
    size_t capacity = n + n / 2;
    sg__item *x = sg__alloc(&gr->g->scratch, capacity * sizeof *x);
    if (!x)
        return no_memory(gr);
    if (gr->n)
        memcpy(x, gr->x, gr->n * sizeof *x);
    gr->x = x;
    gr->capacity = capacity;
    return true;
}

uint32_t sg__graph_append(sg__graph *gr, sg__item x)
{
    if (!enough_items(gr, gr->n + 1))
        return SG__NONE;
    gr->x[gr->n] = x;
    return (uint32_t)gr->n++;
}

uint32_t sg__graph_add(sg__graph *gr, sg__item x)
{
    if (!enough_slots(gr, gr->n + 1))
        return SG__NONE;
    uint64_t h = hash_of(&x);
    sg__slot *s = slot_of(gr, &x, h);
    if (s->item != SG__NONE)
        return s->item;
    uint32_t i = sg__graph_append(gr, x);
    if (i != SG__NONE)
        *s = (sg__slot){(uint32_t)(h >> 32), i};
    return i;
}

uint32_t *sg__graph_list(sg__graph *gr, uint32_t n)
{
    uint32_t *list = sg__alloc(&gr->g->scratch, (n ? n : 1) * sizeof *list);
    if (!list)
        no_memory(gr);
    return list;
}

/* ---- from the tape -------------------------------------------------------------------------- */

/* Whether an input of a checkpoint is looked at as if it were no other item: then what is computed
 * from it a second time equals what was computed first. */
static bool looks_now(sg__graph *gr, const sg_tensor *x)
{
    if (!(x->op->flags & SG__OP_LATER))
        return false;
    gr->checkpoints += x->in[1] != gr->after;
    gr->after = x->in[1];
    return gr->checkpoints <= gr->kept;
}

/* The tape is larger than the nearest caches: a node that comes soon is fetched, and of one that
 * comes sooner what it refers to. */
static void prefetch(const sg_tensor *x, const sg_tensor *y)
{
    __builtin_prefetch(&x->mark);
    __builtin_prefetch(&x->in);
    __builtin_prefetch(y->attr);
    for (uint32_t k = 0; k < y->n; k++)
        __builtin_prefetch(&y->in[k]->index);
}

static uint32_t take_over(sg__graph *gr, const sg_tensor *x, const uint32_t *now, uint32_t *leaf)
{
    sg__item item = {.dims = x->dims, .origin = x->index, .dtype = x->dtype};
    if (x->value) {
        item.leaf = ++*leaf;
        return sg__graph_append(gr, item);
    }
    if (x->op->flags & SG__OP_CHECKPOINT || looks_now(gr, x))
        return now[x->in[0]->index];
    if (x->op->flags & SG__OP_AGAIN)
        return now[x->in[x->in[0]->value ? 0 : 1]->index];
    item.op = x->op;
    item.attr = x->op->attr_size ? x->attr : NULL;
    item.n = x->n;
    item.in = sg__graph_list(gr, x->n);
    if (!item.in)
        return SG__NONE;
    for (uint32_t i = 0; i < x->n; i++)
        item.in[i] = now[x->in[i]->index];
    return sg__rewrite(gr, item);
}

/* What the roots still need, in the order in which it was made: operands first. */
bool sg__graph_needed(sg__graph *gr)
{
    uint32_t *order = sg__graph_list(gr, (uint32_t)gr->n), at = (uint32_t)gr->n;
    if (!order)
        return false;
    for (size_t i = 0; i < gr->n; i++)
        gr->x[i].uses = 0;
    for (size_t i = 0; i < gr->root_count; i++)
        gr->x[gr->roots[i]].uses++;
    gr->edges = 0;
    for (uint32_t i = at; i-- > 0;) {
        const sg__item *x = gr->x + i;
        if (!x->uses)
            continue;
        order[--at] = i;
        gr->edges += x->n;
        for (uint32_t k = 0; k < x->n; k++)
            gr->x[x->in[k]].uses++;
    }
    gr->order = order + at;
    gr->ordered = (uint32_t)gr->n - at;
    return true;
}

bool sg__graph_open(const sg__request *r, size_t kept, sg__graph *gr)
{
    const sg__list *order = &r->g->order;
    *gr = (sg__graph){.g = r->g, .root_count = r->n, .kept = kept};
    uint32_t *now = sg__graph_list(gr, (uint32_t)order->n), leaf = 0;
    gr->roots = sg__graph_list(gr, (uint32_t)r->n);
    gr->params = sg__graph_list(gr, (uint32_t)r->n);
    if (!now || !gr->roots || !gr->params || !enough_items(gr, order->n) ||
        !enough_slots(gr, order->n + order->n / 8))
        return false;
    for (size_t i = 0; i < order->n; i++) {
        if (i + AHEAD < order->n)
            prefetch(order->x[i + AHEAD], order->x[i + AHEAD / 2]);
        if ((now[i] = take_over(gr, order->x[i], now, &leaf)) == SG__NONE)
            return false;
    }
    gr->leaves = leaf;
    for (size_t i = 0; i < r->n; i++) {
        const sg_tensor *x = r->roots[i];
        gr->roots[i] = now[x->index];
        gr->params[i] = x->op->flags & SG_OP_ROOT ? gr->x[now[x->in[1]->index]].leaf : 0;
    }
    return sg__graph_needed(gr);
}

/* The items of `gr` in a graph of its own, equal ones once, where an input of a checkpoint is no
 * other item when it is looked at later. */
static bool look_now(const sg__graph *gr, sg__graph *now)
{
    uint32_t *to = sg__graph_list(now, (uint32_t)gr->n);
    now->roots = sg__graph_list(now, (uint32_t)gr->root_count);
    if (!to || !now->roots || !enough_items(now, gr->ordered) || !enough_slots(now, gr->ordered))
        return false;
    for (uint32_t k = 0; k < gr->ordered; k++) {
        const uint32_t i = gr->order[k];
        sg__item x = gr->x[i];
        uint32_t *in = sg__graph_list(now, x.n);
        for (uint32_t j = 0; in && j < x.n; j++)
            in[j] = to[x.in[j]];
        x.in = in;
        to[i] = !in                          ? SG__NONE
                : !x.op                      ? sg__graph_append(now, x)
                : x.op->flags & SG__OP_LATER ? in[0]
                : x.op->flags & SG_OP_FOLD   ? sg__graph_add(now, x) /* is rewritten */
                                             : sg__rewrite(now, x);
        if (to[i] == SG__NONE)
            return false;
    }
    for (size_t i = 0; i < gr->root_count; i++)
        now->roots[i] = to[gr->roots[i]];
    return sg__graph_needed(now);
}

bool sg__graph_look_now(const sg__graph *gr, sg__graph *now)
{
    *now = (sg__graph){.g = gr->g,
                       .root_count = gr->root_count,
                       .params = gr->params,
                       .leaves = gr->leaves,
                       .checkpoints = gr->checkpoints,
                       .kept = gr->checkpoints};
    return look_now(gr, now);
}
