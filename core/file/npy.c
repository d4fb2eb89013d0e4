/*
 * The header of a .npy file is a Python dictionary of three keys. The reader takes what numpy
 * writes in any version, in any order and spacing, and no other Python.
 */
#include "core/file/npy.h"

#include "core/file/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION_AT = 6, LENGTH_AT = 8, ALIGN = 64 };
static const char magic[] = "\x93NUMPY";

enum { DESCR, ORDER, SHAPE, KEYS };
static const char *const keys[KEYS] = {"descr", "fortran_order", "shape"};

typedef struct reader {
    const sg__file_error *error;
    const unsigned char *begin, *at, *end; /* the header's text */
    const sg__file_type *type;
    sg_shape shape;
    bool fortran;
} reader;

static bool check_head(const sg__file_error *e, const unsigned char *head, size_t head_size,
                       uint64_t size)
{
    if (head_size < VERSION_AT || memcmp(head, magic, VERSION_AT) != 0) {
        return sg__file_fail(e, SG_BAD_FILE, "is no .npy file");
    }
    if (size < LENGTH_AT + 4) {
        return sg__file_fail(e, SG_BAD_FILE, "is cut short: %" PRIu64 " bytes hold no header",
                             size);
    }
    if (head[VERSION_AT] < 1 || head[VERSION_AT] > 3 || head[VERSION_AT + 1] != 0) {
        return sg__file_fail(e, SG_BAD_FILE, "has .npy version %d.%d, which is not supported",
                             head[VERSION_AT], head[VERSION_AT + 1]);
    }
    return true;
}

/* ---- the dictionary ----------------------------------------------------------------------- */

static bool unexpected(const reader *r, const char *wanted)
{
    return sg__file_fail(r->error, SG_BAD_FILE, "header byte %zu: %s", (size_t)(r->at - r->begin),
                         wanted);
}

static void skip_spaces(reader *r)
{
    while (r->at < r->end && *r->at == ' ') {
        r->at++;
    }
}

static bool next(reader *r, char c)
{
    skip_spaces(r);
    if (r->at == r->end || *r->at != (unsigned char)c) {
        return false;
    }
    r->at++;
    return true;
}

static bool expect(reader *r, char c)
{
    char wanted[] = "'?' expected";
    wanted[1] = c;
    return next(r, c) || unexpected(r, wanted);
}

/* A string of printable characters, without escapes. */
static bool scan_string(reader *r, char out[32])
{
    char quote = next(r, '\'') ? '\'' : '"';
    if (quote == '"' && !next(r, '"')) {
        return unexpected(r, "a string expected");
    }
    for (int n = 0; n < 32 && r->at < r->end; r->at++) {
        if (*r->at == (unsigned char)quote) {
            out[n] = '\0';
            r->at++;
            return true;
        }
        if (*r->at < ' ' || *r->at > '~' || *r->at == '\\') {
            break;
        }
        out[n++] = (char)*r->at;
    }
    return unexpected(r, "a plain, short string expected");
}

static bool scan_descr(reader *r)
{
    char descr[32];
    if (!scan_string(r, descr)) {
        return false;
    }
    r->type = sg__file_type_descr(descr);
    return r->type != NULL ||
           sg__file_fail(r->error, SG_BAD_FILE, "has elements of type '%s', which is not supported",
                         descr);
}

static bool scan_order(reader *r)
{
    static const char *const words[] = {"False", "True"};
    skip_spaces(r);
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(r->end - r->at) >= n && memcmp(r->at, words[i], n) == 0) {
            r->at += n;
            r->fortran = i == 1;
            return true;
        }
    }
    return unexpected(r, "True or False expected");
}

static bool scan_dim(reader *r, int64_t *dim)
{
    skip_spaces(r);
    const unsigned char *start = r->at;
    *dim = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        int digit = *r->at - '0';
        if (*dim > (INT64_MAX - digit) / 10) {
            return unexpected(r, "the number is too large");
        }
        *dim = *dim * 10 + digit;
    }
    bool good = r->at > start && (*start != '0' || r->at == start + 1);
    return good || unexpected(r, "a whole number, 0 or more, expected");
}

/* A tuple: (), (2,), (2, 3) or (2, 3,), where (2) would be a number. */
static bool scan_shape(reader *r)
{
    int64_t rank = 0;
    bool comma = true;
    if (!expect(r, '(')) {
        return false;
    }
    while (comma && !next(r, ')')) {
        int64_t dim;
        if (!scan_dim(r, &dim)) {
            return false;
        }
        if (rank < SG_MAX_RANK) {
            r->shape.dim[rank] = dim;
        }
        rank++;
        comma = next(r, ',');
        if (!comma && (rank == 1 || !next(r, ')'))) {
            return unexpected(r, rank == 1 ? "',' expected" : "')' expected");
        }
    }
    r->shape.rank = (int)(rank < SG_MAX_RANK ? rank : SG_MAX_RANK);
    return rank <= SG_MAX_RANK ||
           sg__file_fail(r->error, SG_BAD_FILE, "has rank %" PRId64 ", at most %d are supported",
                         rank, SG_MAX_RANK);
}

static bool scan_item(reader *r, unsigned *seen)
{
    char key[32];
    if (!scan_string(r, key) || !expect(r, ':')) {
        return false;
    }
    int i = 0;
    while (i < KEYS && strcmp(key, keys[i]) != 0) {
        i++;
    }
    if (i == KEYS || (*seen >> i & 1) != 0) {
        return sg__file_fail(r->error, SG_BAD_FILE, "header has %s '%s'",
                             i == KEYS ? "an unknown key" : "twice the key", key);
    }
    *seen |= 1u << i;
    return i == DESCR ? scan_descr(r) : i == ORDER ? scan_order(r) : scan_shape(r);
}

static bool scan_header(reader *r)
{
    unsigned seen = 0;
    bool comma = expect(r, '{');
    if (!comma) {
        return false;
    }
    while (comma && !next(r, '}')) {
        if (!scan_item(r, &seen)) {
            return false;
        }
        comma = next(r, ',');
        if (!comma && !expect(r, '}')) {
            return false;
        }
    }
    for (int i = 0; i < KEYS; i++) {
        if ((seen >> i & 1) == 0) {
            return sg__file_fail(r->error, SG_BAD_FILE, "header has no '%s'", keys[i]);
        }
    }
    if (!next(r, '\n') || r->at != r->end) {
        return unexpected(r, "only spaces and one end of line may follow");
    }
    return !r->fortran || r->shape.rank < 2 ||
           sg__file_fail(r->error, SG_BAD_FILE, "is in Fortran order, which is not supported");
}

/* ---- reading ------------------------------------------------------------------------------ */

static void *take_data(const reader *r, size_t size)
{
    const sg__file_error *e = r->error;
    size_t bytes;
    if (!sg__file_bytes(&r->shape, r->type->size, &bytes)) {
        sg__file_fail(e, SG_BAD_FILE, "has an impossible shape");
        return NULL;
    }
    if (bytes != size) {
        sg__file_fail(e, SG_BAD_FILE, "has %zu bytes of data, but its type and shape need %zu",
                      size, bytes);
        return NULL;
    }
    const sg__file_type *own = sg__file_type_of(r->type->dtype);
    size_t n = bytes / r->type->size, done = n;
    void *out = malloc(n * own->size + 1);
    if (out == NULL) {
        sg__file_no_memory(e, n * own->size);
        return NULL;
    }
    if (r->type->widen == NULL) {
        memcpy(out, r->end, bytes);
    } else {
        done = r->type->widen(n, r->end, out);
    }
    if (done < n) {
        sg__file_fail(e, SG_BAD_FILE, "element %zu of type '%s' does not fit into '%s'", done,
                      r->type->descr, own->descr);
        free(out);
        return NULL;
    }
    return out;
}

static void *parse(const sg__file_error *e, const unsigned char *bytes, size_t size,
                   sg_dtype *dtype, sg_shape *shape)
{
    if (!check_head(e, bytes, size, size)) {
        return NULL;
    }
    size_t width = bytes[VERSION_AT] == 1 ? 2 : 4, start = LENGTH_AT + width, length = 0;
    for (size_t i = 0; i < width; i++) {
        length |= (size_t)bytes[LENGTH_AT + i] << 8 * i;
    }
    if (length > size - start) {
        sg__file_fail(e, SG_BAD_FILE, "is cut short: %zu of %zu bytes of the header", size - start,
                      length);
        return NULL;
    }
    reader r = {
        .error = e, .begin = bytes + start, .at = bytes + start, .end = bytes + start + length};
    void *out = scan_header(&r) ? take_data(&r, size - start - length) : NULL;
    if (out != NULL) {
        *dtype = r.type->dtype;
        *shape = r.shape;
    }
    return out;
}

void *sg__npy_parse(const char *path, const void *bytes, size_t size, sg_dtype *dtype,
                    sg_shape *shape, char *message, sg_status *status)
{
    sg__file_error e = sg__file_begin(path, message, status);
    return parse(&e, bytes, size, dtype, shape);
}

void *sg__npy_read(const char *path, sg_dtype *dtype, sg_shape *shape, char *message,
                   sg_status *status)
{
    sg__file_error e = sg__file_begin(path, message, status);
    size_t size;
    void *bytes = sg__file_load(&e, check_head, &size);
    void *out = bytes != NULL ? parse(&e, bytes, size, dtype, shape) : NULL;
    free(bytes);
    return out;
}

/* ---- writing ------------------------------------------------------------------------------ */

bool sg__npy_write(const char *path, sg_dtype dtype, sg_shape shape, const void *data,
                   char *message, sg_status *status)
{
    sg__file_error e = sg__file_begin(path, message, status);
    size_t bytes;
    if (!sg__file_array(&e, "the array", dtype, &shape, data, &bytes)) {
        return false;
    }
    /* Eight dims of up to 19 digits fit. */
    char header[6 * ALIGN];
    size_t start = LENGTH_AT + 2, n = start;
    memcpy(header, magic, VERSION_AT);
    memcpy(header + VERSION_AT, "\x01\x00", 2);
    n += (size_t)snprintf(header + n, sizeof header - n,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          sg__file_type_of(dtype)->descr);
    for (int i = 0; i < shape.rank; i++) {
        const char *format = shape.rank == 1 ? "%" PRId64 "," : i == 0 ? "%" PRId64 : ", %" PRId64;
        n += (size_t)snprintf(header + n, sizeof header - n, format, shape.dim[i]);
    }
    n += (size_t)snprintf(header + n, sizeof header - n, "), }");
    while (n % ALIGN != ALIGN - 1) {
        header[n++] = ' ';
    }
    header[n++] = '\n';
    uint16_t length = (uint16_t)(n - start);
    memcpy(header + LENGTH_AT, &length, sizeof length);
    return sg__file_replace(&e, 2, (sg__file_part[]){{header, n}, {data, bytes}});
}
