/* Keys: the graph of an evaluation as a string of words, in canonical order, and the cache in which
 * the plan of an equal string is found. The hash finds, the comparison decides. */
#include "core/plan/key.h"

#include <stdlib.h>

/* ---- the cache ----------------------------------------------------------------------------- */

typedef struct entry {
    uint64_t hash;
    size_t n;
    uint64_t *words;
    sg__plan *plan;
    struct entry *next;          /* in its slot */
    struct entry *newer, *older; /* by use */
    uint64_t then;               /* hash of what was used next */
} entry;

enum { SLOTS = 1024, MOST_BYTES = 256 << 20 }; /* of all plans together */

struct sg__cache {
    sg_context *g;
    entry *slots[SLOTS];
    entry *newest, *oldest;
    size_t count, limit, bytes;
    uint64_t last; /* hash of what was used last */
};

sg__cache *sg__cache_open(sg_context *g)
{
    sg__cache *c = calloc(1, sizeof *c);
    if (c)
        c->g = g;
    return c;
}

static void unlink_use(sg__cache *c, entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static entry *of_hash(const sg__cache *c, uint64_t hash)
{
    entry *e = c->slots[hash % SLOTS];
    while (e && e->hash != hash)
        e = e->next;
    return e;
}

static void link_use(sg__cache *c, entry *e)
{
    entry *before = of_hash(c, c->last);
    if (before)
        before->then = e->hash;
    c->last = e->hash;
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
    sg__plan_free(c->g, e->plan); /* e is in its arena */
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

bool sg__cache_add(sg__cache *c, const sg__code *code, sg__plan *p)
{
    entry *e = sg__alloc(&p->arena, sizeof *e);
    uint64_t *words = sg__alloc(&p->arena, code->n * sizeof *words);
    if (!e || !words) {
        sg__plan_free(c->g, p);
        return false;
    }
    sg__arena_part(&p->arena, &c->g->spare);
    memcpy(words, code->words, code->n * sizeof *words);
    *e = (entry){code->hash, code->n, words, p, c->slots[code->hash % SLOTS], NULL, NULL, 0};
    c->slots[code->hash % SLOTS] = e;
    link_use(c, e);
    c->count++;
    c->bytes += sg__plan_size(p);
    while ((c->count > c->limit || c->bytes > MOST_BYTES) && c->oldest != e)
        drop(c, c->oldest);
    return true;
}

/* ---- writing ------------------------------------------------------------------------------- */

static bool no_memory(const sg__writer *w)
{
    sg__no_memory(w->r->g, "a plan's key");
    return false;
}

/* Room for as many words of a key that is not the one that was expected. */
static bool enough_words(const sg__writer *w, size_t n)
{
    sg_context *g = w->r->g;
    return sg__grow(&g->code, &g->code_capacity, n, sizeof(uint64_t)) || no_memory(w);
}

bool sg__key_flush(sg__writer *w)
{
    size_t n = (size_t)(w->at - w->chunk);
    bool agrees = w->guess && n <= w->guessed - w->done &&
                  memcmp(w->guess + w->done, w->chunk, n * sizeof *w->chunk) == 0;
    if (!agrees) {
        if (!enough_words(w, w->done + n))
            return false;
        uint64_t *words = w->r->g->code;
        if (w->guess)
            memcpy(words, w->guess, w->done * sizeof *words);
        memcpy(words + w->done, w->chunk, n * sizeof *words);
        w->guess = NULL;
    }
    w->done += n;
    w->at = w->chunk;
    return true;
}

bool sg__key_word(sg__writer *w, uint64_t word)
{
    *w->at++ = word;
    return w->at < w->chunk + SG__CHUNK || sg__key_flush(w);
}

static bool note_leaf(sg__writer *w, void *value)
{
    sg_context *g = w->r->g;
    void *bases = g->bases;
    if (!sg__grow(&bases, &g->base_capacity, w->leaves + 2, sizeof *g->bases))
        return no_memory(w);
    g->bases = bases;
    g->bases[++w->leaves] = value;
    return true;
}

bool sg__key_long(sg__writer *w, const sg_tensor *x)
{
    const sg_op *op = x->op;
    uint64_t kind = x->dims->number | (uint64_t)x->dtype << 28;
    if (x->value && x->flags & SG__SHARED) {
        uint64_t value = 0;
        memcpy(&value, x->value, sg__dtype_size((sg_dtype)x->dtype));
        return sg__key_word(w, 2) && sg__key_word(w, kind) && sg__key_word(w, value) &&
               note_leaf(w, x->value);
    }
    if (x->value)
        return sg__key_word(w, 0) && sg__key_word(w, kind) && note_leaf(w, x->value);
    w->unrecorded |= (op->flags & SG__OP_UNRECORDED) != 0;
    bool ok = sg__key_word(w, (uintptr_t)op) &&
              sg__key_word(w, kind | (uint64_t)(x->n ? x->in[0]->index : 0) << 32) &&
              (op->arity >= 0 || sg__key_word(w, x->n));
    for (size_t i = 0; ok && i < op->attr_size; i += 8) {
        uint64_t word = 0;
        size_t rest = op->attr_size - i;
        memcpy(&word, (const char *)x->attr + i, rest < 8 ? rest : 8);
        ok = sg__key_word(w, word);
    }
    for (uint32_t i = 1; ok && i < x->n; i += 2)
        ok = sg__key_word(w, x->in[i]->index | (uint64_t)(i + 1 < x->n ? x->in[i + 1]->index : 0)
                                                   << 32);
    return ok;
}

static sg__plan *use(sg__cache *c, entry *e)
{
    unlink_use(c, e);
    link_use(c, e);
    return e->plan;
}

bool sg__find(const sg__request *r, sg__code *code, sg__plan **p)
{
    sg__writer w;
    if (!sg__all_recorded(r))
        return false;
    sg__cache *c = r->g->cache;
    entry *last = of_hash(c, c->last), *e = last ? of_hash(c, last->then) : NULL;
    w.r = r;
    w.at = w.chunk;
    w.guess = e ? e->words : NULL;
    w.guessed = e ? e->n : 0;
    w.done = w.leaves = 0;
    w.unrecorded = false;
    bool ok = sg__walk_key(r, &w) && sg__key_word(&w, 1);
    for (size_t i = 0; ok && i < r->n; i++)
        ok = sg__key_word(&w, r->roots[i]->index);
    if (!ok || !sg__key_flush(&w))
        return false;
    if (w.guess && w.done == w.guessed) {
        *p = use(c, e);
        return true;
    }
    if (w.guess) { /* it begins with all of these, and goes on */
        if (!enough_words(&w, w.done))
            return false;
        memcpy(r->g->code, w.guess, w.done * sizeof *w.guess);
    }
    size_t bytes = w.done * sizeof(uint64_t);
    *code = (sg__code){r->g->code, w.done, sg__hash(r->g->code, bytes), w.unrecorded};
    for (e = c->slots[code->hash % SLOTS]; e; e = e->next)
        if (e->hash == code->hash && e->n == code->n && memcmp(e->words, code->words, bytes) == 0)
            break;
    *p = e ? use(c, e) : NULL;
    return true;
}
