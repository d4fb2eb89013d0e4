/*
 * The safetensors writer. Tensors lie in the file by falling size of their elements, so that each
 * is aligned though the format allows no gaps; the header names them in the caller's order.
 */
#include "core/file/safetensors.h"

#include "core/file/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- text that grows ---------------------------------------------------------------------- */

typedef struct text {
    char *s;
    size_t n, capacity;
    bool failed; /* out of memory, now or before: then nothing is added any more */
} text;

static void put_bytes(text *t, const char *s, size_t n)
{
    if (t->n + n > t->capacity && !t->failed) {
        size_t capacity = (t->n + n) * 2;
        char *grown = realloc(t->s, capacity);
        t->failed = grown == NULL;
        if (grown != NULL) {
            t->s = grown;
            t->capacity = capacity;
        }
    }
    if (!t->failed) {
        memcpy(t->s + t->n, s, n);
        t->n += n;
    }
}

static void put(text *t, const char *s)
{
    put_bytes(t, s, strlen(s));
}

static void put_int(text *t, int64_t i)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, i);
    put(t, digits);
}

/* A JSON string; false if s is not valid UTF-8. */
static bool put_string(text *t, const char *s)
{
    put(t, "\"");
    while (*s != '\0') {
        int n = sg__utf8(s);
        if (n == 0) {
            return false;
        }
        if (*s == '"' || *s == '\\') {
            put(t, "\\");
        }
        if (*s == '\n') {
            put(t, "\\n");
        } else if ((unsigned char)*s < 0x20) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*s);
            put(t, escape);
        } else {
            put_bytes(t, s, (size_t)n);
        }
        s += n;
    }
    put(t, "\"");
    return true;
}

/* ---- checks ------------------------------------------------------------------------------- */

static bool check_names(const sg__file_error *e, int n, const sg__file_tensor *tensors, int m,
                        const sg__file_text *texts)
{
    size_t size = (size_t)(n > m ? n : m) * sizeof(char *);
    const char **names = malloc(size + 1); /* never 0 bytes */
    if (names == NULL) {
        return sg__file_no_memory(e, size);
    }
    bool ok = true;
    for (int i = 0; i < n; i++) {
        names[i] = tensors[i].name;
        if (ok && strcmp(names[i], SG__METADATA) == 0) {
            ok = sg__file_fail(e, SG_BAD_ARGUMENT, "no tensor can be named \"%s\"", SG__METADATA);
        }
    }
    ok = ok && sg__file_unique(e, SG_BAD_ARGUMENT, "tensor", (size_t)n, names);
    for (int i = 0; i < m; i++) {
        names[i] = texts[i].key;
        if (ok &&
            (strcmp(names[i], SG__FORMAT_KEY) == 0 || strcmp(names[i], SG__CHECKSUM_KEY) == 0)) {
            ok = sg__file_fail(e, SG_BAD_ARGUMENT, "text \"%s\" belongs to the format", names[i]);
        }
    }
    ok = ok && sg__file_unique(e, SG_BAD_ARGUMENT, "text", (size_t)m, names);
    free(names);
    return ok;
}

/* ---- the file ----------------------------------------------------------------------------- */

/* Where each tensor's bytes begin, and the parts of the file behind its header. */
static bool place(const sg__file_error *e, int n, const sg__file_tensor *tensors, size_t *begin,
                  sg__file_part *parts)
{
    size_t offset = 0;
    for (size_t element = 8; element > 0; element /= 2) {
        for (int i = 0; i < n; i++) {
            const sg__file_tensor *t = &tensors[i];
            char what[96];
            snprintf(what, sizeof what, "tensor \"%s\"", sg__show(t->name).s);
            size_t bytes;
            if (!sg__file_array(e, what, t->dtype, &t->shape, t->data, &bytes)) {
                return false;
            }
            if (sg__file_type_of(t->dtype)->size != element) {
                continue;
            }
            if (offset > (size_t)INT64_MAX - bytes) {
                return sg__file_fail(e, SG_BAD_SHAPE, "the tensors are too large for a file");
            }
            begin[i] = offset;
            *parts++ = (sg__file_part){t->data, bytes};
            offset += bytes;
        }
    }
    return true;
}

static bool put_text(const sg__file_error *e, text *t, const sg__file_text *x)
{
    put(t, ",");
    bool good = put_string(t, x->key);
    put(t, ":");
    return (good && put_string(t, x->value)) ||
           sg__file_fail(e, SG_BAD_ARGUMENT, "text \"%s\" is not valid UTF-8", sg__show(x->key).s);
}

static bool put_tensor(const sg__file_error *e, text *t, const sg__file_tensor *x, size_t begin)
{
    const sg__file_type *type = sg__file_type_of(x->dtype);
    size_t bytes = 0;
    sg__file_bytes(&x->shape, type->size, &bytes);
    put(t, ",");
    if (!put_string(t, x->name)) {
        return sg__file_fail(e, SG_BAD_ARGUMENT, "the name \"%s\" is not valid UTF-8",
                             sg__show(x->name).s);
    }
    put(t, ":{\"dtype\":\"");
    put(t, type->name);
    put(t, "\",\"shape\":[");
    for (int i = 0; i < x->shape.rank; i++) {
        put(t, i > 0 ? "," : "");
        put_int(t, x->shape.dim[i]);
    }
    put(t, "],\"data_offsets\":[");
    put_int(t, (int64_t)begin);
    put(t, ",");
    put_int(t, (int64_t)(begin + bytes));
    put(t, "]}");
    return true;
}

/* The header with its length in front, padded with spaces so that the data are aligned, and with
 * zeros for a checksum. */
static bool put_header(const sg__file_error *e, text *t, int n, const sg__file_tensor *tensors,
                       const size_t *begin, int m, const sg__file_text *texts)
{
    put(t, "00000000" SG__MODEL_START "00000000000000000000000000000000"
           "\",\"" SG__FORMAT_KEY "\":\"" SG__FORMAT "\"");
    for (int i = 0; i < m; i++) {
        if (!put_text(e, t, &texts[i])) {
            return false;
        }
    }
    put(t, "}");
    for (int i = 0; i < n; i++) {
        if (!put_tensor(e, t, &tensors[i], begin[i])) {
            return false;
        }
    }
    put(t, "}");
    while (t->n % 8 != 0 && !t->failed) {
        put(t, " ");
    }
    if (t->failed) {
        return sg__file_no_memory(e, t->n);
    }
    uint64_t length = t->n - SG__HEADER_START;
    if (length > SG__HEADER_MAX) {
        return sg__file_fail(e, SG_BAD_ARGUMENT,
                             "names and texts make a header of %" PRIu64
                             " bytes, more than the %d allowed",
                             length, SG__HEADER_MAX);
    }
    memcpy(t->s, &length, sizeof length);
    return true;
}

static bool write_model(const sg__file_error *e, int n, const sg__file_tensor *tensors, int m,
                        const sg__file_text *texts, size_t *begin, sg__file_part *parts)
{
    text header = {0};
    bool ok = check_names(e, n, tensors, m, texts) && place(e, n, tensors, begin, parts + 1) &&
              put_header(e, &header, n, tensors, begin, m, texts);
    if (ok) {
        char digits[SG__CHECKSUM + 1];
        parts[0] = (sg__file_part){header.s, header.n};
        sg__checksum(n + 1, parts, digits);
        memcpy(header.s + SG__HEADER_START + strlen(SG__MODEL_START), digits, SG__CHECKSUM);
        ok = sg__file_replace(e, n + 1, parts);
    }
    free(header.s);
    return ok;
}

bool sg__safetensors_write(const char *path, int n, const sg__file_tensor *tensors, int m,
                           const sg__file_text *texts, char *message, sg_status *status)
{
    sg__file_error e = sg__file_begin(path, message, status);
    size_t count = (size_t)n + 1;
    size_t *begin = malloc(count * sizeof *begin);
    sg__file_part *parts = malloc(count * sizeof *parts);
    bool ok = begin != NULL && parts != NULL
                  ? write_model(&e, n, tensors, m, texts, begin, parts)
                  : sg__file_no_memory(&e, count * (sizeof *begin + sizeof *parts));
    free(parts);
    free(begin);
    return ok;
}
