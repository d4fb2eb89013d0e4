/*
 * The safetensors reader, in four steps: the header is taken apart; a model's checksum is verified;
 * types, shapes and places are checked against each other and against the data, of which every
 * byte must belong to one tensor; tensors whose bytes cannot be used where they are get copies.
 * Each step relies on those before it.
 */
#include "core/file/safetensors.h"

#include "core/file/file.h"
#include "core/file/safetensors_header.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const sg__file_error *error;
    const unsigned char *bytes, *data; /* the file; behind its header */
    size_t size, data_size;
    sg__file_header header;
    unsigned char *widened;
    sg__file_tensor *tensors;
} reader;

/* ---- step 1: the header ------------------------------------------------------------------- */

static bool check_head(const sg__file_error *e, const unsigned char *head, size_t head_size,
                       uint64_t size)
{
    uint64_t length;
    if (size < sizeof length) {
        return sg__file_fail(e, SG_BAD_FILE, "is cut short: %" PRIu64 " bytes hold no header",
                             size);
    }
    memcpy(&length, head, sizeof length);
    if (length > SG__HEADER_MAX) {
        return sg__file_fail(e, SG_BAD_FILE,
                             "is no safetensors file: its header would have %" PRIu64
                             " bytes, more than the %d allowed",
                             length, SG__HEADER_MAX);
    }
    if (length > size - sizeof length) {
        return sg__file_fail(e, SG_BAD_FILE,
                             "is cut short: %" PRIu64 " of %" PRIu64 " bytes of the header",
                             size - sizeof length, length);
    }
    if (length == 0 || (head_size > sizeof length && head[sizeof length] != '{')) {
        return sg__file_fail(e, SG_BAD_FILE,
                             "is no safetensors file: its header does not start with '{'");
    }
    return true;
}

/* ---- step 2: is it a model? --------------------------------------------------------------- */

static const char *text_of(const reader *r, const char *key)
{
    for (int i = 0; i < r->header.m; i++) {
        if (strcmp(r->header.texts[i].key, key) == 0) {
            return r->header.texts[i].value;
        }
    }
    return NULL;
}

static bool is_number(const char *s)
{
    return *s >= '1' && *s <= '9' && s[strspn(s, "0123456789")] == '\0';
}

/* The digits in the file, seen as text, say what the bytes themselves say. */
static bool checksum_matches(const reader *r)
{
    static const char start[] = SG__MODEL_START,
                      zeros[SG__CHECKSUM] = "00000000000000000000000000000000";
    size_t at = SG__HEADER_START + sizeof start - 1;
    if (r->size < at + SG__CHECKSUM ||
        memcmp(r->bytes + SG__HEADER_START, start, sizeof start - 1) != 0) {
        return false;
    }
    const unsigned char *digits = r->bytes + at, *rest = digits + SG__CHECKSUM;
    char sum[SG__CHECKSUM + 1];
    sg__checksum(3,
                 (sg__file_part[]){
                     {r->bytes, at}, {zeros, SG__CHECKSUM}, {rest, r->size - at - SG__CHECKSUM}},
                 sum);
    return memcmp(digits, sum, SG__CHECKSUM) == 0;
}

static bool check_model(const reader *r)
{
    const sg__file_error *e = r->error;
    const char *format = text_of(r, SG__FORMAT_KEY);
    if (text_of(r, SG__CHECKSUM_KEY) == NULL) {
        return sg__file_fail(e, SG_BAD_FILE, "is no seqgrad model: it carries no checksum");
    }
    if (format == NULL) {
        return sg__file_fail(e, SG_BAD_FILE, "is no seqgrad model: it carries no format number");
    }
    if (strcmp(format, SG__FORMAT) != 0) {
        return sg__file_fail(e, SG_BAD_FILE,
                             is_number(format) ? "written by a newer seqgrad (format %s)"
                                               : "is no seqgrad model: its format is \"%s\"",
                             sg__show(format).s);
    }
    return checksum_matches(r) ||
           sg__file_fail(e, SG_BAD_FILE, "checksum does not match: the file is damaged");
}

/* ---- step 3: types, shapes and places ----------------------------------------------------- */

static bool check_tensor(const sg__file_error *e, sg__file_entry *t)
{
    const char *name = t->name;
    t->type = sg__file_type_named(t->dtype);
    if (t->type == NULL) {
        return sg__file_fail(e, SG_BAD_FILE,
                             "tensor \"%s\" has type \"%s\", which is not supported",
                             sg__show(name).s, sg__show(t->dtype).s);
    }
    if (t->rank > SG_MAX_RANK) {
        return sg__file_fail(e, SG_BAD_FILE,
                             "tensor \"%s\" has rank %" PRId64 ", at most %d are supported",
                             sg__show(name).s, t->rank, SG_MAX_RANK);
    }
    size_t bytes;
    if (!sg__file_bytes(&t->shape, t->type->size, &bytes)) {
        return sg__file_fail(e, SG_BAD_FILE, "tensor \"%s\" has an impossible shape",
                             sg__show(name).s);
    }
    if (t->begin > t->end) {
        return sg__file_fail(e, SG_BAD_FILE, "tensor \"%s\" ends before it begins",
                             sg__show(name).s);
    }
    if ((size_t)(t->end - t->begin) != bytes) {
        return sg__file_fail(e, SG_BAD_FILE,
                             "tensor \"%s\" has %" PRId64 " bytes, but its type and shape need %zu",
                             sg__show(name).s, t->end - t->begin, bytes);
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const sg__file_entry *x = *(const sg__file_entry *const *)a,
                         *y = *(const sg__file_entry *const *)b;
    int begin = (x->begin > y->begin) - (x->begin < y->begin);
    return begin != 0 ? begin : (x->end > y->end) - (x->end < y->end);
}

/* Sorted by place, each must begin where the one before ends, and the last where the file ends. */
static bool check_places(const reader *r, const sg__file_entry **order)
{
    const sg__file_error *e = r->error;
    int64_t at = 0, end = (int64_t)r->data_size, next = end;
    for (int i = 0; i < r->header.n; i++) {
        order[i] = &r->header.entries[i];
    }
    qsort(order, (size_t)r->header.n, sizeof *order, by_place);
    for (int i = 0; i < r->header.n; i++) {
        const sg__file_entry *t = order[i];
        if (t->begin < at) {
            return sg__file_fail(e, SG_BAD_FILE, "tensors \"%s\" and \"%s\" overlap",
                                 sg__show(order[i - 1]->name).s, sg__show(t->name).s);
        }
        if (t->end > end) {
            return sg__file_fail(e, SG_BAD_FILE,
                                 "is cut short: tensor \"%s\" ends at byte %" PRId64
                                 " of the data, which have %" PRId64,
                                 sg__show(t->name).s, t->end, end);
        }
        if (t->begin > at) {
            next = t->begin;
            break;
        }
        at = t->end;
    }
    return at == next || sg__file_fail(e, SG_BAD_FILE,
                                       "%" PRId64 " bytes from byte %" PRId64
                                       " of the data on belong to no tensor",
                                       next - at, at);
}

static bool check_layout(const reader *r)
{
    size_t size = ((size_t)r->header.n + 1) * sizeof(sg__file_entry *);
    const sg__file_entry **order = malloc(size);
    if (order == NULL) {
        return sg__file_no_memory(r->error, size);
    }
    bool ok = true;
    for (int i = 0; ok && i < r->header.n; i++) {
        ok = check_tensor(r->error, &r->header.entries[i]);
    }
    ok = ok && check_places(r, order);
    free(order);
    return ok;
}

/* ---- step 4: tensors in memory ------------------------------------------------------------ */

static size_t elements(const sg__file_entry *t)
{
    return (size_t)(t->end - t->begin) / t->type->size;
}

/* Is it of another type than in memory, or not aligned? */
static bool needs_copy(const reader *r, const sg__file_entry *t)
{
    return t->type->widen != NULL || (uintptr_t)(r->data + t->begin) % t->type->size != 0;
}

static size_t copy_size(const reader *r, const sg__file_entry *t)
{
    size_t bytes = elements(t) * sg__file_type_of(t->type->dtype)->size;
    return needs_copy(r, t) ? (bytes + 7) / 8 * 8 : 0;
}

static bool copy(const reader *r, const sg__file_entry *t, void *to)
{
    const unsigned char *from = r->data + t->begin;
    size_t n = elements(t);
    if (t->type->widen == NULL) {
        memcpy(to, from, n * t->type->size);
        return true;
    }
    size_t done = t->type->widen(n, from, to);
    return done == n || sg__file_fail(r->error, SG_BAD_FILE,
                                      "tensor \"%s\": element %zu of type %s does not fit into %s",
                                      sg__show(t->name).s, done, t->type->name,
                                      sg__file_type_of(t->type->dtype)->name);
}

static bool make_tensors(reader *r)
{
    size_t total = 0, at = 0, n = (size_t)r->header.n;
    for (size_t i = 0; i < n; i++) {
        total += copy_size(r, &r->header.entries[i]);
    }
    r->tensors = malloc((n + 1) * sizeof *r->tensors);
    r->widened = malloc(total + 1);
    if (r->tensors == NULL || r->widened == NULL) {
        return sg__file_no_memory(r->error, (n + 1) * sizeof *r->tensors + total + 1);
    }
    for (size_t i = 0; i < n; i++) {
        const sg__file_entry *t = &r->header.entries[i];
        bool copied = needs_copy(r, t);
        r->tensors[i] = (sg__file_tensor){t->name, t->type->dtype, t->shape,
                                          copied ? r->widened + at : r->data + t->begin};
        if (copied && !copy(r, t, r->widened + at)) {
            return false;
        }
        at += copy_size(r, t);
    }
    return true;
}

static void drop_own_texts(sg__file_header *h)
{
    int kept = 0;
    for (int i = 0; i < h->m; i++) {
        if (strcmp(h->texts[i].key, SG__FORMAT_KEY) != 0 &&
            strcmp(h->texts[i].key, SG__CHECKSUM_KEY) != 0) {
            h->texts[kept++] = h->texts[i];
        }
    }
    h->m = kept;
}

/* ---- together ----------------------------------------------------------------------------- */

static bool read_tensors(reader *r, bool as_model)
{
    if (!check_head(r->error, r->bytes, r->size, r->size)) {
        return false;
    }
    uint64_t length;
    memcpy(&length, r->bytes, sizeof length);
    r->data = r->bytes + sizeof length + length;
    r->data_size = r->size - sizeof length - length;
    return sg__file_header_scan(r->error, r->bytes + sizeof length, length, &r->header) &&
           (!as_model || check_model(r)) && check_layout(r) && make_tensors(r);
}

static sg__safetensors *parse(const sg__file_error *e, const void *bytes, size_t size,
                              bool as_model)
{
    reader r = {.error = e, .bytes = bytes, .size = size};
    sg__safetensors *s = malloc(sizeof *s);
    if (s == NULL) {
        sg__file_no_memory(e, sizeof *s);
        return NULL;
    }
    if (!read_tensors(&r, as_model)) {
        free(s);
        free(r.widened);
        free(r.tensors);
        sg__file_header_clean(&r.header);
        return NULL;
    }
    drop_own_texts(&r.header);
    free(r.header.entries);
    *s = (sg__safetensors){.n = r.header.n,
                           .m = r.header.m,
                           .tensors = r.tensors,
                           .texts = r.header.texts,
                           .header = r.header.json,
                           .widened = r.widened};
    return s;
}

sg__safetensors *sg__safetensors_parse(const char *path, const void *bytes, size_t size,
                                       bool as_model, char *message, sg_status *status)
{
    sg__file_error e = sg__file_begin(path, message, status);
    return parse(&e, bytes, size, as_model);
}

sg__safetensors *sg__safetensors_read(const char *path, bool as_model, char *message,
                                      sg_status *status)
{
    sg__file_error e = sg__file_begin(path, message, status);
    size_t size;
    void *bytes = sg__file_load(&e, check_head, &size);
    sg__safetensors *s = bytes != NULL ? parse(&e, bytes, size, as_model) : NULL;
    if (s == NULL) {
        free(bytes);
    } else {
        s->file = bytes;
    }
    return s;
}

void sg__safetensors_free(sg__safetensors *s)
{
    if (s != NULL) {
        free(s->tensors);
        free(s->texts);
        free(s->file);
        free(s->header);
        free(s->widened);
        free(s);
    }
}
