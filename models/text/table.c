/*
 * A set of byte strings: open addressing over XXH3, keys in one buffer in the order they came. The
 * order of entries never depends on the hash, so nothing that is built from it does.
 *
 * The only file of models/text that includes xxhash.h, which expands here as inline functions.
 */
#include "models/text/internal.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t sg__text_hash(const void *data, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(n > 0 ? data : "", n, seed);
}

/* The slot that holds the key, or the free one where it belongs; slots > 0. */
static size_t place(const sg__table *t, uint64_t hash, const void *key, size_t n)
{
    for (size_t i = (size_t)hash & (t->slots - 1);; i = (i + 1) & (t->slots - 1)) {
        if (t->slot[i] == 0)
            return i;
        const sg__entry *e = &t->entry[t->slot[i] - 1];
        if (e->hash == hash && e->size == n && memcmp(t->keys.data + e->at, key, n) == 0)
            return i;
    }
}

int64_t sg__text_table_find(const sg__table *t, const void *key, size_t n)
{
    if (t->slots == 0)
        return -1;
    return (int64_t)t->slot[place(t, sg__text_hash(key, n, 0), key, n)] - 1;
}

/* Room for one more entry. Entries stay below 2^30, so that ids fit into an int32_t. */
static bool grow(sg_context *g, sg__table *t)
{
    if (t->entries < t->room)
        return true;
    size_t room = t->room > 0 ? 2 * t->room : 32;
    if (room > (size_t)1 << 30) {
        sg_fail(g, SG_BAD_ARGUMENT, "text: more than %zu different strings", t->room);
        return false;
    }
    uint32_t *slot = sg__text_alloc(g, 2 * room, sizeof *slot);
    sg__entry *entry = slot ? realloc(t->entry, room * sizeof *entry) : NULL;
    if (!entry) {
        free(slot);
        sg_fail(g, SG_NO_MEMORY, "text: no memory for %zu strings", room);
        return false;
    }
    free(t->slot);
    t->slot = slot;
    t->entry = entry;
    t->room = room;
    t->slots = 2 * room;
    for (size_t i = 0; i < t->entries; i++) {
        const sg__entry *e = &entry[i];
        slot[place(t, e->hash, t->keys.data + e->at, e->size)] = (uint32_t)i + 1;
    }
    return true;
}

int64_t sg__text_table_add(sg_context *g, sg__table *t, const void *key, size_t n)
{
    uint64_t hash = sg__text_hash(key, n, 0);
    if (t->slots > 0) {
        size_t i = place(t, hash, key, n);
        if (t->slot[i] > 0)
            return (int64_t)t->slot[i] - 1;
    }
    size_t at = t->keys.size;
    if (!grow(g, t) || !sg__text_bytes_reserve(g, &t->keys, n + 1) ||
        !sg__text_bytes_add(g, &t->keys, key, n) || !sg__text_bytes_add(g, &t->keys, "", 1))
        return -1;
    t->slot[place(t, hash, key, n)] = (uint32_t)t->entries + 1;
    t->entry[t->entries] = (sg__entry){.at = at, .size = n, .hash = hash};
    return (int64_t)t->entries++;
}

void sg__text_table_free(sg__table *t)
{
    sg__text_bytes_free(&t->keys);
    free(t->entry);
    free(t->slot);
    *t = (sg__table){0};
}
