#include "core/file/safetensors_header.h"

#include "core/file/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DTYPE, SHAPE, OFFSETS, FIELDS };
static const char *const fields[FIELDS] = {"dtype", "shape", "data_offsets"};

typedef struct scanner {
    const sg__file_error *error;
    sg__json json;
    sg__file_header *out;
    size_t entry_room, text_room;
    bool metadata; /* seen */
} scanner;

/* Room for one more item in an array that has n: the array, or NULL after an error, when the old
 * one is still there. */
static void *grow(const sg__file_error *e, void *array, int n, size_t *room, size_t item)
{
    if ((size_t)n < *room) {
        return array;
    }
    size_t wanted = *room * 2 + 16;
    void *grown = realloc(array, wanted * item);
    if (grown == NULL) {
        sg__file_no_memory(e, wanted * item);
        return NULL;
    }
    *room = wanted;
    return grown;
}

static bool scan_text(scanner *s)
{
    sg__file_header *h = s->out;
    const char *key, *value;
    sg__file_text *grown = grow(s->error, h->texts, h->m, &s->text_room, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    h->texts = grown;
    if (!sg__json_string(&s->json, &key) || !sg__json_expect(&s->json, ':') ||
        !sg__json_string(&s->json, &value)) {
        return false;
    }
    h->texts[h->m++] = (sg__file_text){key, value};
    return true;
}

static bool scan_metadata(scanner *s)
{
    if (s->metadata) {
        return sg__file_fail(s->error, SG_BAD_FILE, "\"%s\" is there twice", SG__METADATA);
    }
    s->metadata = true;
    bool ok = sg__json_expect(&s->json, '{');
    if (!ok || sg__json_next(&s->json, '}')) {
        return ok;
    }
    do {
        if (!scan_text(s)) {
            return false;
        }
    } while (sg__json_more(&s->json, '}', &ok));
    return ok;
}

static bool scan_shape(sg__json *j, sg__file_entry *t)
{
    bool ok = sg__json_expect(j, '[');
    if (!ok || sg__json_next(j, ']')) {
        return ok;
    }
    do {
        int64_t dim;
        if (!sg__json_int(j, &dim)) {
            return false;
        }
        if (t->rank < SG_MAX_RANK) {
            t->shape.dim[t->shape.rank++] = dim;
        }
        t->rank++;
    } while (sg__json_more(j, ']', &ok));
    return ok;
}

static bool scan_value(sg__json *j, sg__file_entry *t, int field)
{
    switch (field) {
    case DTYPE:
        return sg__json_string(j, &t->dtype);
    case SHAPE:
        return scan_shape(j, t);
    default:
        return sg__json_expect(j, '[') && sg__json_int(j, &t->begin) && sg__json_expect(j, ',') &&
               sg__json_int(j, &t->end) && sg__json_expect(j, ']');
    }
}

static bool scan_field(scanner *s, sg__file_entry *t, unsigned *seen)
{
    const char *key;
    if (!sg__json_string(&s->json, &key) || !sg__json_expect(&s->json, ':')) {
        return false;
    }
    int field = 0;
    while (field < FIELDS && strcmp(key, fields[field]) != 0) {
        field++;
    }
    if (field == FIELDS || (*seen >> field & 1) != 0) {
        return sg__file_fail(
            s->error, SG_BAD_FILE, "tensor \"%s\" has %s \"%s\"", sg__show(t->name).s,
            field == FIELDS ? "an unknown field" : "twice the field", sg__show(key).s);
    }
    *seen |= 1u << field;
    return scan_value(&s->json, t, field);
}

static bool scan_tensor(scanner *s, const char *name)
{
    sg__file_header *h = s->out;
    sg__file_entry *grown = grow(s->error, h->entries, h->n, &s->entry_room, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    h->entries = grown;
    sg__file_entry *t = &h->entries[h->n++];
    *t = (sg__file_entry){.name = name};
    unsigned seen = 0;
    bool ok = sg__json_expect(&s->json, '{');
    if (ok && !sg__json_next(&s->json, '}')) {
        do {
            if (!scan_field(s, t, &seen)) {
                return false;
            }
        } while (sg__json_more(&s->json, '}', &ok));
    }
    for (int i = 0; ok && i < FIELDS; i++) {
        if ((seen >> i & 1) == 0) {
            ok = sg__file_fail(s->error, SG_BAD_FILE, "tensor \"%s\" has no \"%s\"",
                               sg__show(name).s, fields[i]);
        }
    }
    return ok;
}

static bool scan_item(scanner *s)
{
    const char *name;
    if (!sg__json_string(&s->json, &name) || !sg__json_expect(&s->json, ':')) {
        return false;
    }
    return strcmp(name, SG__METADATA) == 0 ? scan_metadata(s) : scan_tensor(s, name);
}

static bool scan(scanner *s, size_t length)
{
    bool ok = sg__json_expect(&s->json, '{');
    if (ok && !sg__json_next(&s->json, '}')) {
        do {
            if (!scan_item(s)) {
                return false;
            }
        } while (sg__json_more(&s->json, '}', &ok));
    }
    for (size_t at = (size_t)(s->json.at - s->json.begin); ok && at < length; at++) {
        if (s->json.begin[at] != ' ') {
            ok = sg__file_fail(s->error, SG_BAD_FILE,
                               "header byte %zu: only spaces may follow its end", at);
        }
    }
    return ok;
}

static bool check_unique(const sg__file_error *e, const sg__file_header *h)
{
    size_t size = ((size_t)(h->n > h->m ? h->n : h->m) + 1) * sizeof(char *);
    const char **names = malloc(size);
    if (names == NULL) {
        return sg__file_no_memory(e, size);
    }
    for (int i = 0; i < h->n; i++) {
        names[i] = h->entries[i].name;
    }
    bool ok = sg__file_unique(e, SG_BAD_FILE, "tensor", (size_t)h->n, names);
    for (int i = 0; i < h->m; i++) {
        names[i] = h->texts[i].key;
    }
    ok = ok && sg__file_unique(e, SG_BAD_FILE, "text", (size_t)h->m, names);
    free(names);
    return ok;
}

bool sg__file_header_scan(const sg__file_error *e, const unsigned char *json, size_t length,
                          sg__file_header *out)
{
    out->json = malloc(length + 1);
    if (out->json == NULL) {
        return sg__file_no_memory(e, length + 1);
    }
    memcpy(out->json, json, length);
    out->json[length] = '\0';
    scanner s = {.error = e, .json = {out->json, out->json, e}, .out = out};
    return scan(&s, length) && check_unique(e, out);
}

void sg__file_header_clean(sg__file_header *h)
{
    free(h->entries);
    free(h->texts);
    free(h->json);
}
