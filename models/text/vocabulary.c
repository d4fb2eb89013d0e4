/*
 * Vocabularies: a table of tokens whose entry i has the id i + SG_RESERVED, and texts to ids and
 * back. A vocabulary does not change once it is built; only its JSON is made late.
 */
#include "models/text/internal.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const reserved[SG_RESERVED] = {"<pad>", "<unk>", "<start>", "<stop>"};

bool sg__text_is_reserved(const char *token)
{
    for (int i = 0; i < SG_RESERVED; i++)
        if (strcmp(token, reserved[i]) == 0)
            return true;
    return false;
}

/* What failed constructors return: without a token, and never written to. */
static const sg_vocabulary nil = {0};

sg_vocabulary *sg__text_vocabulary_nil(void)
{
    return (sg_vocabulary *)&nil;
}

sg_vocabulary *sg__text_vocabulary_new(sg_context *g, const sg_tokenizer *k)
{
    if (!sg_ok(g) || !sg__text_tokenizer_valid(g, k))
        return NULL;
    sg_vocabulary *v = sg__text_alloc(g, 1, sizeof *v);
    if (v) {
        v->g = g;
        v->tokenizer = *k;
    }
    return v;
}

void sg_vocabulary_free(sg_vocabulary *v)
{
    if (!v || v == &nil)
        return;
    sg__text_table_free(&v->table);
    sg__text_bytes_free(&v->json);
    free(v);
}

static bool count_tokens(sg_context *g, const sg_vocabulary_options *o, sg__table *all)
{
    sg__bytes tokens = {0};
    bool ok = true;
    for (int i = 0; i < o->n && ok; i++) {
        size_t count;
        tokens.size = 0;
        ok = sg__text_tokenize(g, &o->tokenizer, o->texts[i], &tokens, &count);
        const char *token = tokens.data;
        for (size_t k = 0; k < count && ok; k++) {
            size_t n = strlen(token);
            if (!sg__text_is_reserved(token)) {
                int64_t at = sg__text_table_add(g, all, token, n);
                ok = at >= 0;
                if (ok)
                    all->entry[at].count++;
            }
            token += n + 1;
        }
    }
    sg__text_bytes_free(&tokens);
    return ok;
}

typedef struct candidate {
    const char *token;
    size_t size;
    int64_t count;
} candidate;

static int by_count_then_bytes(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->token, y->token);
}

static bool choose_tokens(sg_context *g, const sg_vocabulary_options *o, const sg__table *all,
                          sg__table *chosen)
{
    candidate *c = sg__text_alloc(g, all->entries, sizeof *c);
    if (!c)
        return false;
    for (size_t i = 0; i < all->entries; i++) {
        const sg__entry *e = &all->entry[i];
        c[i] = (candidate){.token = all->keys.data + e->at, .size = e->size, .count = e->count};
    }
    qsort(c, all->entries, sizeof *c, by_count_then_bytes);
    size_t most = o->max_size > 0 ? (size_t)(o->max_size - SG_RESERVED) : all->entries;
    bool ok = true;
    for (size_t i = 0; i < all->entries && i < most && c[i].count >= o->min_count && ok; i++)
        ok = sg__text_table_add(g, chosen, c[i].token, c[i].size) >= 0;
    free(c);
    return ok;
}

sg_vocabulary *sg_vocabulary_build_(sg_vocabulary_options o)
{
    sg_vocabulary *v = sg__text_vocabulary_new(o.g, &o.tokenizer);
    if (!v)
        return sg__text_vocabulary_nil();
    sg__table all = {0};
    bool ok = false;
    if (o.n < 0 || (o.n > 0 && !o.texts))
        sg_fail(o.g, SG_BAD_ARGUMENT, "vocabulary: %d texts at %p", o.n, (const void *)o.texts);
    else if (o.max_size < 0 || (o.max_size > 0 && o.max_size < SG_RESERVED) || o.min_count < 0)
        sg_fail(o.g, SG_BAD_ARGUMENT, "vocabulary: max_size %d, min_count %d: at least %d and 0",
                o.max_size, o.min_count, SG_RESERVED);
    else
        ok = count_tokens(o.g, &o, &all) && choose_tokens(o.g, &o, &all, &v->table);
    sg__text_table_free(&all);
    if (ok)
        return v;
    sg_vocabulary_free(v);
    return sg__text_vocabulary_nil();
}

int sg_vocabulary_size(const sg_vocabulary *v)
{
    return (int)v->table.entries + SG_RESERVED;
}

sg_tokenizer sg_vocabulary_tokenizer(const sg_vocabulary *v)
{
    return v->tokenizer;
}

static int32_t id_of(const sg_vocabulary *v, const char *token, size_t n)
{
    int64_t at = sg__text_table_find(&v->table, token, n);
    return at < 0 ? SG_UNK : (int32_t)at + SG_RESERVED;
}

int32_t sg_vocabulary_id(const sg_vocabulary *v, const char *token)
{
    return id_of(v, token, strlen(token));
}

const char *sg_vocabulary_text(const sg_vocabulary *v, int32_t id)
{
    int size = sg_vocabulary_size(v);
    if (id >= 0 && id < size)
        return id < SG_RESERVED ? reserved[id]
                                : v->table.keys.data + v->table.entry[id - SG_RESERVED].at;
    if (v->g)
        sg_fail(v->g, SG_BAD_ARGUMENT, "vocabulary: id %" PRId32 " of %d", id, size);
    return reserved[SG_UNK];
}

bool sg__text_encode(sg_context *g, const sg_vocabulary *v, const char *text, sg__bytes *tokens,
                     sg__bytes *ids)
{
    size_t count;
    tokens->size = 0;
    bool ok = sg__text_tokenize(g, &v->tokenizer, text, tokens, &count) &&
              count <= SIZE_MAX / sizeof(int32_t) &&
              sg__text_bytes_reserve(g, ids, count * sizeof(int32_t));
    const char *token = tokens->data;
    for (size_t i = 0; i < count && ok; i++) {
        size_t n = strlen(token);
        int32_t id = id_of(v, token, n);
        ok = sg__text_bytes_add(g, ids, &id, sizeof id);
        token += n + 1;
    }
    return ok;
}

int sg_encode(const sg_vocabulary *v, const char *text, int max, int32_t *ids)
{
    if (!v || !sg_ok(v->g))
        return -1;
    sg__bytes tokens = {0}, all = {0};
    int n = -1;
    if (sg__text_encode(v->g, v, text, &tokens, &all)) {
        size_t count = all.size / sizeof(int32_t);
        if (count > INT_MAX)
            sg_fail(v->g, SG_BAD_ARGUMENT, "vocabulary: a text of %zu tokens", count);
        else
            n = (int)count;
    }
    int written = n < max ? n : max;
    if (written > 0)
        memcpy(ids, all.data, (size_t)written * sizeof *ids);
    sg__text_bytes_free(&tokens);
    sg__text_bytes_free(&all);
    return n;
}

/* Marks that stand right after a word, or right before one, where the tokenizer cut them off. */
static bool one_of(const char *token, const char *const *marks)
{
    while (*marks && strcmp(token, *marks) != 0)
        marks++;
    return *marks != NULL;
}

static bool spaced(const sg_vocabulary *v, const char *before, const char *token)
{
    static const char *const left[] = {".", ",",  "!",  "?",  ";",  ":",  ")",  "]",  "}", "%",
                                       "…", "。", "，", "！", "？", "；", "：", "）", NULL};
    static const char *const right[] = {"(", "[", "{", "¿", "¡", "（", NULL};
    return !v->tokenizer.punctuation || (!one_of(token, left) && !one_of(before, right));
}

size_t sg_decode(const sg_vocabulary *v, int n, const int32_t *ids, size_t size, char *text)
{
    sg__cut cut = {.out = text, .size = size};
    bool words = v->tokenizer.units == SG_UNITS_WORD;
    int limit = sg_vocabulary_size(v);
    const char *before = "";
    for (int i = 0; i < n && ids[i] != SG_STOP; i++) {
        if (ids[i] == SG_PAD || ids[i] == SG_START)
            continue;
        const char *token = sg_vocabulary_text(v, ids[i]);
        if (words && cut.whole > 0 && spaced(v, before, token))
            sg__text_cut_add(&cut, " ", 1);
        before = token;
        if (ids[i] < 0 || ids[i] >= limit) {
            cut = (sg__cut){.out = text, .size = size};
            break;
        }
        sg__text_cut_add(&cut, token, strlen(token));
    }
    return sg__text_cut_end(&cut);
}
