/* Scopes: named regions of the recording, each kept by the context under its path, so that a node
 * stores one pointer and random nodes are numbered within the path they are recorded under. */
#include "core/internal.h"

#include <stdlib.h>

enum { DEEPEST = 64 };

static uint64_t mix(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    return (h ^ 0xFF) * UINT64_C(0x9E3779B97F4A7C15);
}

static bool enough_slots(sg_context *g)
{
    if (g->scope_count < g->scope_capacity)
        return true;
    size_t capacity = g->scope_capacity ? 2 * g->scope_capacity : 64;
    sg__scope **table = calloc(capacity, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i < g->scope_capacity; i++)
        for (sg__scope *s = g->scopes[i], *next; s; s = next) {
            next = s->next;
            s->next = table[s->hash & (capacity - 1)];
            table[s->hash & (capacity - 1)] = s;
        }
    free(g->scopes);
    g->scopes = table;
    g->scope_capacity = capacity;
    return true;
}

static sg__scope *make(sg_context *g, uint64_t hash, const char *kind, const char *name)
{
    size_t k = strlen(kind) + 1, n = strlen(name) + 1;
    sg__scope *s = enough_slots(g) ? malloc(sizeof *s + k + n) : NULL;
    if (!s)
        return NULL;
    sg__scope **slot = &g->scopes[hash & (g->scope_capacity - 1)];
    *s = (sg__scope){.parent = g->scope, .next = *slot, .hash = hash};
    s->kind = memcpy((char *)(s + 1), kind, k);
    s->name = memcpy(s->kind + k, name, n);
    *slot = s;
    g->scope_count++;
    return s;
}

static sg__scope *find(const sg_context *g, uint64_t hash, const char *kind, const char *name)
{
    sg__scope *s = g->scope_capacity ? g->scopes[hash & (g->scope_capacity - 1)] : NULL;
    while (s && (s->hash != hash || s->parent != g->scope || strcmp(s->name, name) != 0 ||
                 strcmp(s->kind, kind) != 0))
        s = s->next;
    return s;
}

void sg_push(sg_context *g, const char *kind, const char *name)
{
    if (!sg__given(g)->registry)
        return; /* a failed open's, which several threads may hold */
    g->depth++; /* counted even after an error, so that pushes and pops stay paired */
    if (g->status || g->depth > DEEPEST) {
        sg_fail(g, SG_BAD_ARGUMENT, "more than %d scopes are open: a pop is missing", DEEPEST);
        return;
    }
    kind = kind ? kind : "";
    name = name ? name : "";
    uint64_t hash = mix(mix(g->scope->hash, kind), name);
    sg__scope *s = find(g, hash, kind, name);
    s = s ? s : make(g, hash, kind, name);
    if (s)
        g->scope = s;
    else
        sg__no_memory(g, "a scope");
}

void sg_pop(sg_context *g)
{
    if (!sg__given(g)->registry)
        return;
    if (g->depth == 0) {
        sg_fail(g, SG_BAD_ARGUMENT, "sg_pop without sg_push");
        return;
    }
    g->depth--;
    if (!g->status && g->scope->parent)
        g->scope = g->scope->parent;
}

void sg__scope_text(char *buf, size_t size, const sg__scope *s)
{
    const sg__scope *path[DEEPEST];
    int n = 0;
    for (; s && s->parent && n < DEEPEST; s = s->parent)
        path[n++] = s;
    size_t at = 0;
    buf[0] = 0;
    while (n-- > 0 && at < size) {
        const char *q = *path[n]->name ? "\"" : "";
        const char *space = *path[n]->name && *path[n]->kind ? " " : "";
        int k = snprintf(buf + at, size - at, "%s%s%s%s%s: ", path[n]->kind, space, q,
                         path[n]->name, q);
        at += k > 0 ? (size_t)k : 0;
    }
}

bool sg__scope_prefix(char *buf, size_t size, const sg__scope *s)
{
    const sg__scope *path[DEEPEST];
    int n = 0;
    for (; s && s->parent && n < DEEPEST; s = s->parent)
        path[n++] = s;
    size_t at = 0;
    buf[0] = 0;
    while (n-- > 0) {
        if (!*path[n]->name)
            continue;
        int k = snprintf(buf + at, size - at, "%s.", path[n]->name);
        at += k > 0 ? (size_t)k : 0;
        if (at >= size)
            return false;
    }
    return true;
}

void sg__scopes_free(sg_context *g)
{
    for (size_t i = 0; i < g->scope_capacity; i++)
        for (sg__scope *s = g->scopes[i], *next; s; s = next) {
            next = s->next;
            free(s);
        }
    free(g->scopes);
}

uint64_t sg_site(sg_context *g)
{
    g = sg__given(g);
    if (g->status)
        return 0;
    g->looked = true;
    sg__scope *s = g->scope;
    if (s->sites_of != g->generation) {
        s->sites_of = g->generation;
        s->sites = 0;
    }
    uint64_t h = s->hash ^ (++s->sites * UINT64_C(0x9E3779B97F4A7C15));
    h = (h ^ h >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return h ^ h >> 31;
}
