/*
 * A vocabulary as one JSON text, read strictly: it travels in the metadata of model files, and what
 * was not written by sg_vocabulary_json is refused. The hash in it finds damage; that two
 * vocabularies are the same is decided by comparing them.
 */
#include "models/text/internal.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

enum { VERSION = 1 };

static const char *const unit_names[] = {"word", "character", NULL};
static const char *const form_names[] = {"as is", "NFC", "NFKC", NULL};
static const char *const case_names[] = {"keep", "lower", "fold", NULL};

uint64_t sg_vocabulary_hash(const sg_vocabulary *v)
{
    const sg_tokenizer *k = &v->tokenizer;
    uint64_t seed = (uint64_t)k->units | (uint64_t)k->form << 8 | (uint64_t)k->casing << 16 |
                    (uint64_t)k->punctuation << 24 | (uint64_t)k->graphemes << 32;
    return sg__text_hash(v->table.keys.data, v->table.keys.size, seed);
}

static void hash_text(const sg_vocabulary *v, char out[17])
{
    snprintf(out, 17, "%016" PRIx64, sg_vocabulary_hash(v));
}

static int append(const char *data, size_t n, void *v)
{
    sg_vocabulary *vocabulary = v;
    return sg__text_bytes_add(vocabulary->g, &vocabulary->json, data, n) ? 0 : -1;
}

const char *sg_vocabulary_json(sg_vocabulary *v)
{
    if (v->json.size > 0)
        return v->json.data;
    if (!v->g || !sg_ok(v->g))
        return "";
    const sg_tokenizer *k = &v->tokenizer;
    char hash[17];
    hash_text(v, hash);
    json_t *tokens = json_array();
    bool ok = tokens != NULL;
    for (size_t i = 0; i < v->table.entries && ok; i++) {
        const sg__entry *e = &v->table.entry[i];
        ok = json_array_append_new(tokens, json_stringn(v->table.keys.data + e->at, e->size)) == 0;
    }
    /* json_pack takes the array over, also when it fails. */
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:b, s:b, s:s, s:o}", "format", "seqgrad vocabulary",
                  "version", VERSION, "units", unit_names[k->units], "form", form_names[k->form],
                  "case", case_names[k->casing], "punctuation", k->punctuation, "graphemes",
                  k->graphemes, "hash", hash, "tokens", tokens);
    ok = ok && root && json_dump_callback(root, append, v, JSON_COMPACT) == 0 &&
         append("", 1, v) == 0;
    json_decref(root);
    if (ok)
        return v->json.data;
    sg__text_bytes_free(&v->json);
    sg_fail(v->g, SG_NO_MEMORY, "vocabulary: no memory for its JSON text");
    return "";
}

/* The number of a name in its list; -1 if it is not there. */
static int find_name(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static bool refuse(sg_context *g, const char *what)
{
    sg_fail(g, SG_BAD_FILE, "vocabulary: %s", what);
    return false;
}

/* jansson's errors without a text are lack of memory too. */
static bool no_memory(sg_context *g, const json_error_t *e)
{
    bool lack = !e->text[0] || json_error_code(e) == json_error_out_of_memory;
    if (lack)
        sg_fail(g, SG_NO_MEMORY, "vocabulary: no memory for its JSON text");
    return lack;
}

static bool read_tokens(sg_vocabulary *v, const json_t *tokens)
{
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        const json_t *item = json_array_get(tokens, i);
        const char *token = json_string_value(item);
        if (!token || token[0] == '\0' || sg__text_is_reserved(token)) {
            sg_fail(v->g, SG_BAD_FILE, "vocabulary: token %zu is %s", i,
                    !token ? "not a string" : "empty or reserved");
            return false;
        }
        int64_t at = sg__text_table_add(v->g, &v->table, token, json_string_length(item));
        if (at < 0)
            return false;
        if ((size_t)at < i) {
            sg_fail(v->g, SG_BAD_FILE, "vocabulary: tokens %zu and %zu are the same", (size_t)at,
                    i);
            return false;
        }
    }
    return true;
}

static sg_vocabulary *from_json(sg_context *g, json_t *root)
{
    const char *format, *units, *form, *casing, *hash;
    int version, punctuation, graphemes;
    json_t *tokens;
    json_error_t e;
    if (json_unpack_ex(root, &e, JSON_STRICT, "{s:s, s:i, s:s, s:s, s:s, s:b, s:b, s:s, s:o}",
                       "format", &format, "version", &version, "units", &units, "form", &form,
                       "case", &casing, "punctuation", &punctuation, "graphemes", &graphemes,
                       "hash", &hash, "tokens", &tokens) != 0) {
        if (!no_memory(g, &e))
            refuse(g, e.text);
        return NULL;
    }
    int u = find_name(unit_names, units), f = find_name(form_names, form),
        c = find_name(case_names, casing);
    if (strcmp(format, "seqgrad vocabulary") != 0 || version != VERSION) {
        refuse(g, "this is another format, or another version of it");
        return NULL;
    }
    if (u < 0 || f < 0 || c < 0 || !json_is_array(tokens)) {
        refuse(g, "units, form, case or tokens are not what they can be");
        return NULL;
    }
    sg_vocabulary *v = sg__text_vocabulary_new(g, &(sg_tokenizer){.units = (sg_units)u,
                                                                  .form = (sg_form)f,
                                                                  .casing = (sg_case)c,
                                                                  .punctuation = punctuation != 0,
                                                                  .graphemes = graphemes != 0});
    if (!v)
        return NULL;
    char found[17];
    bool ok = read_tokens(v, tokens);
    hash_text(v, found);
    if (ok && strcmp(found, hash) != 0)
        ok = refuse(g, "the hash does not fit the tokens");
    if (ok)
        return v;
    sg_vocabulary_free(v);
    return NULL;
}

sg_vocabulary *sg_vocabulary_parse(sg_context *g, const char *json)
{
    sg_vocabulary *v = NULL;
    json_error_t e;
    if (!sg_ok(g))
        return sg__text_vocabulary_nil();
    json_t *root = json ? json_loads(json, JSON_REJECT_DUPLICATES, &e) : NULL;
    if (root)
        v = from_json(g, root);
    else if (!json)
        refuse(g, "there is none (no JSON text)");
    else if (!no_memory(g, &e))
        sg_fail(g, SG_BAD_FILE, "vocabulary: line %d, column %d: %s", e.line, e.column, e.text);
    json_decref(root);
    return v ? v : sg__text_vocabulary_nil();
}

bool sg_vocabulary_check(sg_context *g, const sg_vocabulary *v, const sg_vocabulary *trained)
{
    if (!sg_ok(g))
        return false;
    const sg_tokenizer *a = &v->tokenizer, *b = &trained->tokenizer;
    if (a->units != b->units || a->form != b->form || a->casing != b->casing ||
        a->punctuation != b->punctuation || a->graphemes != b->graphemes) {
        sg_fail(g, SG_BAD_ARGUMENT,
                "vocabulary: another tokenizer than the model's: %s, %s, %s instead of %s, %s, %s",
                unit_names[a->units], form_names[a->form], case_names[a->casing],
                unit_names[b->units], form_names[b->form], case_names[b->casing]);
        return false;
    }
    int m = sg_vocabulary_size(v), n = sg_vocabulary_size(trained);
    for (int32_t i = 0; i < m && i < n; i++) {
        const char *x = sg_vocabulary_text(v, i), *y = sg_vocabulary_text(trained, i);
        if (strcmp(x, y) != 0) {
            sg_fail(g, SG_BAD_ARGUMENT,
                    "vocabulary: another one than the model's: id %" PRId32
                    " is \"%s\" instead of \"%s\"",
                    i, x, y);
            return false;
        }
    }
    if (m != n)
        sg_fail(g, SG_BAD_ARGUMENT,
                "vocabulary: another one than the model's: %d ids instead of %d", m, n);
    return m == n;
}
