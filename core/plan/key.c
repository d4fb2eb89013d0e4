/* Keys: the graph of an evaluation as a string of words, in canonical order, and the cache in which
 * the plan of an equal string is found. The hash finds, the comparison decides. */
#include "core/plan/plan.h"

#include <stdlib.h>

/* ---- encoding ------------------------------------------------------------------------------ */

static size_t words_of(const sg_tensor *x, bool leaf)
{
    return leaf ? 3 : 3 + (x->op->attr_size + 7) / 8 + (x->n + 1) / 2;
}

static uint64_t *encode_node(uint64_t *w, const sg_tensor *x, bool leaf)
{
    *w++ = leaf ? 0 : (uint64_t)(uintptr_t)x->op;
    *w++ = (uint64_t)(uintptr_t)x->dims;
    *w++ = (uint64_t)x->dtype | (leaf ? 0 : (uint64_t)x->n << 8);
    if (leaf)
        return w;
    if (x->op->attr_size) {
        size_t words = (x->op->attr_size + 7) / 8;
        w[words - 1] = 0;
        memcpy(w, x->attr, x->op->attr_size);
        w += words;
    }
    for (uint32_t i = 0; i < x->n; i += 2)
        *w++ = x->in[i]->index | (uint64_t)(i + 1 < x->n ? x->in[i + 1]->index : 0) << 32;
    return w;
}

bool sg__encode(const sg__request *r, sg__code *code)
{
    sg_context *g = r->g;
    size_t n = 1 + r->n;
    for (size_t i = 0; i < g->order.n; i++)
        n += words_of(g->order.x[i], g->order.x[i]->value != NULL);
    if (!sg__grow(&g->code, &g->code_capacity, n, sizeof(uint64_t))) {
        sg__no_memory(g, "a plan's key");
        return false;
    }
    uint64_t *w = g->code;
    *w++ = r->n | (uint64_t)g->without << 32;
    for (size_t i = 0; i < r->n; i++)
        *w++ = r->roots[i]->index;
    for (size_t i = 0; i < g->order.n; i++)
        w = encode_node(w, g->order.x[i], g->order.x[i]->value != NULL);
    *code = (sg__code){g->code, n, sg__hash(g->code, n * sizeof(uint64_t))};
    return true;
}

/* ---- the cache ----------------------------------------------------------------------------- */

typedef struct entry {
    uint64_t hash;
    size_t n;
    uint64_t *words;
    sg__plan *plan;
    struct entry *next;          /* in its slot */
    struct entry *newer, *older; /* by use */
} entry;

enum { SLOTS = 1024, MOST_BYTES = 256 << 20 }; /* of all plans together */

struct sg__cache {
    entry *slots[SLOTS];
    entry *newest, *oldest;
    size_t count, limit, bytes;
};

sg__cache *sg__cache_open(void)
{
    return calloc(1, sizeof(sg__cache));
}

static void unlink_use(sg__cache *c, entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_use(sg__cache *c, entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void drop(sg__cache *c, entry *e)
{
    entry **at = &c->slots[e->hash % SLOTS];
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    unlink_use(c, e);
    c->count--;
    c->bytes -= sg__plan_size(e->plan);
    sg__plan_free(e->plan);
    free(e->words);
    free(e);
}

static void shrink(sg__cache *c, size_t plans)
{
    while (c->count > plans)
        drop(c, c->oldest);
}

void sg__cache_limit(sg__cache *c, size_t plans)
{
    c->limit = plans;
    shrink(c, plans);
}

void sg__cache_clear(sg__cache *c)
{
    shrink(c, 0);
}

size_t sg__cache_count(const sg__cache *c)
{
    return c->count;
}

size_t sg__cache_bytes(const sg__cache *c)
{
    return c->bytes;
}

void sg__cache_close(sg__cache *c)
{
    if (c)
        shrink(c, 0);
    free(c);
}

sg__plan *sg__cache_find(sg__cache *c, const sg__code *code)
{
    entry *e = c->slots[code->hash % SLOTS];
    while (e && (e->hash != code->hash || e->n != code->n ||
                 memcmp(e->words, code->words, code->n * sizeof *code->words) != 0))
        e = e->next;
    if (!e)
        return NULL;
    unlink_use(c, e);
    link_use(c, e);
    return e->plan;
}

bool sg__cache_add(sg__cache *c, const sg__code *code, sg__plan *p)
{
    entry *e = malloc(sizeof *e);
    uint64_t *words = malloc(code->n * sizeof *words);
    if (!e || !words) {
        free(e);
        free(words);
        sg__plan_free(p);
        return false;
    }
    memcpy(words, code->words, code->n * sizeof *words);
    *e = (entry){code->hash, code->n, words, p, c->slots[code->hash % SLOTS], NULL, NULL};
    c->slots[code->hash % SLOTS] = e;
    link_use(c, e);
    c->count++;
    p->key_bytes = sizeof *e + code->n * sizeof *words;
    c->bytes += sg__plan_size(p);
    while ((c->count > c->limit || c->bytes > MOST_BYTES) && c->oldest != e)
        drop(c, c->oldest);
    return true;
}
