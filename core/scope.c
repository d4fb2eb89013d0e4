/* Scopes: named regions of the recording, kept as a tree that the context remembers, so that a node
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

static sg__scope *make(sg__scope *parent, const char *kind, const char *name)
{
    size_t k = strlen(kind) + 1, n = strlen(name) + 1;
    sg__scope *s = malloc(sizeof *s + k + n);
    if (!s)
        return NULL;
    *s = (sg__scope){.parent = parent, .sibling = parent->child};
    s->kind = memcpy((char *)(s + 1), kind, k);
    s->name = memcpy(s->kind + k, name, n);
    s->hash = mix(mix(parent->hash, kind), name);
    parent->child = s;
    return s;
}

void sg_push(sg_context *g, const char *kind, const char *name)
{
    if (!g->registry)
        return; /* a failed open's, which several threads may hold */
    g->depth++; /* counted even after an error, so that pushes and pops stay paired */
    if (g->status || g->depth > DEEPEST) {
        sg_fail(g, SG_BAD_ARGUMENT, "more than %d scopes are open: a pop is missing", DEEPEST);
        return;
    }
    kind = kind ? kind : "";
    name = name ? name : "";
    sg__scope *s = g->scope->child;
    while (s && (strcmp(s->name, name) != 0 || strcmp(s->kind, kind) != 0))
        s = s->sibling;
    if (!s)
        s = make(g->scope, kind, name);
    if (s)
        g->scope = s;
    else
        sg__no_memory(g, "a scope");
}

void sg_pop(sg_context *g)
{
    if (!g->registry)
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

void sg__scopes_free(sg__scope *root)
{
    /* Frees leaves first by walking down and back up; no recursion over the tree's depth. */
    sg__scope *s = root;
    while (root->child) {
        while (s->child)
            s = s->child;
        sg__scope *parent = s->parent;
        parent->child = s->sibling;
        free(s);
        s = parent;
    }
}

uint64_t sg_site(sg_context *g)
{
    sg__scope *s = g->scope;
    if (s->sites_of != g->generation) {
        s->sites_of = g->generation;
        s->sites = 0;
    }
    uint64_t h = s->hash ^ (++s->sites * UINT64_C(0x9E3779B97F4A7C15));
    h = (h ^ h >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return h ^ h >> 31;
}
