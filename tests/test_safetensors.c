/* Safetensors files: what the format's own package writes is read, what is malformed is refused. */
#define _GNU_SOURCE
#include "tests/file_test.h"
#include "tests/oracle/safetensors_files.h"

#include <jansson.h>
#include <math.h>

static double value(const sg__file_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case SG_F32:
        return ((const float *)t->data)[i];
    case SG_F64:
        return ((const double *)t->data)[i];
    case SG_I32:
        return ((const int32_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

/* ---- what others write -------------------------------------------------------------------- */

Test(safetensors, reads_every_type)
{
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        const struct recorded *r = &recorded[i];
        sg__safetensors *s =
            sg__safetensors_parse("x.st", r->file, r->size, false, message, &status);
        if (r->n == 0) {
            cr_assert_null(s, "%s", r->type);
            cr_assert_eq(status, SG_BAD_FILE, "%s", r->type);
            cr_assert(strncmp(message, "x.st: tensor \"x\" has type \"", 27) == 0, "%s", message);
            cr_assert(strstr(message, "\", which is not supported") != NULL, "%s", message);
            continue;
        }
        cr_assert_not_null(s, "%s: %s", r->type, message);
        cr_assert(s->n == 1 && s->m == 0 && s->tensors[0].shape.dim[0] == r->n, "%s", r->type);
        cr_assert_eq(s->tensors[0].dtype, r->dtype, "%s", r->type);
        for (int k = 0; k < r->n; k++) {
            double x = value(&s->tensors[0], k), want = r->values[k];
            cr_assert(memcmp(&x, &want, sizeof x) == 0 || (isnan(x) && isnan(want)),
                      "%s[%d]: %g, not %g", r->type, k, x, want);
        }
        sg__safetensors_free(s);
    }
}

Test(safetensors, reads_several_tensors)
{
    sg__safetensors *s =
        sg__safetensors_parse("x.st", several_file, sizeof several_file, false, message, &status);
    cr_assert_not_null(s, "%s", message);
    cr_assert_eq(s->n, 5);
    for (int i = 0; i < s->n; i++) {
        const sg__file_tensor *t = &s->tensors[i];
        if (strcmp(t->name, "w") == 0) {
            cr_assert(t->shape.rank == 2 && t->shape.dim[0] == 2 && t->shape.dim[1] == 3);
            cr_assert(memcmp(t->data, numbers, sizeof numbers) == 0);
        } else if (strcmp(t->name, "scalar") == 0) {
            cr_assert(t->shape.rank == 0 && value(t, 0) == 2.5);
        } else if (strcmp(t->name, "none") == 0) {
            cr_assert(t->shape.rank == 2 && t->shape.dim[0] == 0 && t->shape.dim[1] == 7);
        } else if (strcmp(t->name, "mask") == 0) {
            cr_assert(value(t, 0) == 1 && value(t, 1) == 0 && value(t, 2) == 1);
        } else {
            cr_assert_str_eq(t->name, "größe");
            cr_assert(t->dtype == SG_I32 && value(t, 0) == -7);
        }
    }
    for (int i = 0; i < s->m; i++) {
        bool note = strcmp(s->texts[i].key, "note") == 0;
        cr_assert_str_eq(s->texts[i].value, note ? "a \"quoted\"\nline" : "np");
    }
    cr_assert_eq(s->m, 2);
    sg__safetensors_free(s);
}

/* All halves, against the definition: sign * 2^(e - 25) * (1024 + f), 2^-24 * f below. */
Test(safetensors, widens_every_half)
{
    const sg__file_type *type = sg__file_type_named("F16");
    for (unsigned h = 0; h < 65536; h++) {
        uint16_t half = (uint16_t)h;
        float x;
        cr_assert_eq(type->widen(1, (const unsigned char *)&half, &x), 1);
        int e = (int)(h >> 10 & 31), f = (int)(h & 1023);
        double want = e == 31  ? f == 0 ? INFINITY : NAN
                      : e == 0 ? ldexp(f, -24)
                               : ldexp(1024 + f, e - 25);
        cr_assert(isnan(want) ? isnan(x) : (double)fabsf(x) == want, "%04x: %g", h, (double)x);
        cr_assert_eq(signbit(x) != 0, h >> 15, "%04x", h);
    }
}

Test(safetensors, copies_what_is_not_aligned)
{
    unsigned char bytes[512], *odd = bytes + 1;
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        const struct recorded *r = &recorded[i];
        memcpy(odd, r->file, r->size);
        sg__safetensors *s = sg__safetensors_parse("x.st", odd, r->size, false, message, &status);
        for (int k = 0; s != NULL && k < r->n; k++) {
            size_t align = sg__file_type_of(s->tensors[0].dtype)->size;
            cr_assert_eq((uintptr_t)s->tensors[0].data % align, 0, "%s", r->type);
            double x = value(&s->tensors[0], k), want = r->values[k];
            cr_assert(x == want || isnan(want), "%s[%d]: %g, not %g", r->type, k, x, want);
        }
        sg__safetensors_free(s);
    }
}

/* ---- what is malformed -------------------------------------------------------------------- */

#define BODY(type, shape, begin, end)                                                              \
    "{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"
#define EMPTY                        BODY("U8", "0", 0, 0)
#define ONE(type, shape, begin, end) "{\"a\":" BODY(type, shape, begin, end) "}"
#define TWO(begin, end, begin2, end2)                                                              \
    "{\"a\":" BODY("U8", "4", begin, end) ",\"b\":" BODY("U8", "4", begin2, end2) "}"

static const struct malformed {
    const char *json;
    size_t data; /* bytes behind it */
    const char *message;
} malformed[] = {
    /* the form of the JSON */
    {"", 0, "is no safetensors file: its header does not start with '{'"},
    {"[]", 0, "is no safetensors file: its header does not start with '{'"},
    {" {}", 0, "is no safetensors file: its header does not start with '{'"},
    {"{", 0, "header byte 1: a string expected"},
    {"{\"a", 0, "header byte 3: a string without an end"},
    {"{\"a\"", 0, "header byte 4: ':' expected"},
    {"{\"a\":", 0, "header byte 5: '{' expected"},
    {"{\"a\":{", 0, "header byte 6: a string expected"},
    {"{\"a\":{\"shape\":[", 0, "header byte 15: a whole number, 0 or more, expected"},
    {"{\"a\":{\"shape\":[1", 0, "header byte 16: ']' expected"},
    {"{\"a\":{\"shape\":[]", 0, "header byte 16: '}' expected"},
    {"{}x", 0, "header byte 2: only spaces may follow its end"},
    {"{} {}", 0, "header byte 3: only spaces may follow its end"},
    {"{}\n", 0, "header byte 2: only spaces may follow its end"},
    {"{a:1}", 0, "header byte 1: a string expected"},
    {"{'a':1}", 0, "header byte 1: a string expected"},
    {"{\"a\":1}", 0, "header byte 5: '{' expected"},
    {"{\"a\":null}", 0, "header byte 5: '{' expected"},
    {"{\"a\":" EMPTY ",}", 0, "header byte 53: a string expected"},
    {"{\"a\":" EMPTY "\"b\":{}}", 0, "header byte 52: '}' expected"},
    /* strings */
    {"{\"\xff\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\x80\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xc0\x80\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xc1\xbf\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xc3\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xe0\x9f\xbf\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xe2\x82\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xed\xa0\x80\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xf0\x8f\xbf\xbf\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xf0\x9f\x98\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xf4\x90\x80\x80\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"\xf5\x80\x80\x80\":{}}", 0, "header byte 2: not valid UTF-8"},
    {"{\"a\n\":{}}", 0, "header byte 3: a control character in a string"},
    {"{\"a\x1f\":{}}", 0, "header byte 3: a control character in a string"},
    {"{\"a\\x\":{}}", 0, "header byte 3: unknown escape"},
    {"{\"a\\", 0, "header byte 3: unknown escape"},
    {"{\"\\u12\":{}}", 0, "header byte 2: four hexadecimal digits expected"},
    {"{\"\\u12g4\":{}}", 0, "header byte 2: four hexadecimal digits expected"},
    {"{\"\\u", 0, "header byte 2: four hexadecimal digits expected"},
    {"{\"\\u0000\":{}}", 0, "header byte 2: NUL in a string"},
    {"{\"\\ud800\":{}}", 0, "header byte 2: half of a surrogate pair"},
    {"{\"\\ud800\\", 0, "header byte 2: half of a surrogate pair"},
    {"{\"\\ud800\\n\":{}}", 0, "header byte 2: half of a surrogate pair"},
    {"{\"\\ud800\\ud800\":{}}", 0, "header byte 2: half of a surrogate pair"},
    {"{\"\\ud800\\ue000\":{}}", 0, "header byte 2: half of a surrogate pair"},
    {"{\"\\udc00\\ud800\":{}}", 0, "header byte 2: half of a surrogate pair"},
    /* names */
    {"{\"a\":" EMPTY ",\"a\":" EMPTY "}", 0, "tensor \"a\" is there twice"},
    {"{\"a\":" EMPTY ",\"b\":" EMPTY ",\"\\u0061\":" EMPTY "}", 0, "tensor \"a\" is there twice"},
    {"{\"\":" EMPTY ",\"\":" EMPTY "}", 0, "tensor \"\" is there twice"},
    {"{\"a\\u0007\":{}}", 0, "tensor \"a?\" has no \"dtype\""},
    {"{\"0123456789012345678901234567890123456789012345678901234567890123456789\":{}}", 0,
     "tensor \"01234567890123456789012345678901234567890123456789012345678901234567...\" has no"
     " \"dtype\""},
    /* metadata */
    {META("null"), 0, "header byte 16: '{' expected"},
    {META("{\"a\":1}"), 0, "header byte 21: a string expected"},
    {META("{\"a\":{}}"), 0, "header byte 21: a string expected"},
    {META("{\"a\":null}"), 0, "header byte 21: a string expected"},
    {META("{\"a\"}"), 0, "header byte 20: ':' expected"},
    {META("{\"a\":\"x\",}"), 0, "header byte 25: a string expected"},
    {META("{\"a\":\"x\",\"a\":\"x\"}"), 0, "text \"a\" is there twice"},
    {META("{},\"__metadata__\":{}"), 0, "\"__metadata__\" is there twice"},
    {META("{},\"__\\u006detadata__\":{}"), 0, "\"__metadata__\" is there twice"},
    /* fields */
    {"{\"a\":{}}", 0, "tensor \"a\" has no \"dtype\""},
    {"{\"a\":{\"dtype\":\"U8\"}}", 0, "tensor \"a\" has no \"shape\""},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[]}}", 1, "tensor \"a\" has no \"data_offsets\""},
    {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0,
     "tensor \"a\" has twice the field \"dtype\""},
    {"{\"a\":{\"offset\":1}}", 0, "tensor \"a\" has an unknown field \"offset\""},
    {"{\"a\":{\"dtype\":8}}", 0, "header byte 14: a string expected"},
    {ONE("f32", "", 0, 4), 4, "tensor \"a\" has type \"f32\", which is not supported"},
    {ONE("", "", 0, 4), 4, "tensor \"a\" has type \"\", which is not supported"},
    {"{\"a\":{\"shape\":4}}", 0, "header byte 14: '[' expected"},
    {"{\"a\":{\"shape\":[\"4\"]}}", 0, "header byte 15: a whole number, 0 or more, expected"},
    {"{\"a\":{\"shape\":[-1]}}", 0, "header byte 15: a whole number, 0 or more, expected"},
    {"{\"a\":{\"shape\":[01]}}", 0, "header byte 17: a whole number, 0 or more, expected"},
    {"{\"a\":{\"shape\":[1.0]}}", 0, "header byte 16: ']' expected"},
    {"{\"a\":{\"shape\":[1e1]}}", 0, "header byte 16: ']' expected"},
    {"{\"a\":{\"shape\":[1,]}}", 0, "header byte 17: a whole number, 0 or more, expected"},
    {"{\"a\":{\"shape\":[9223372036854775808]}}", 0, "header byte 33: the number is too large"},
    {"{\"a\":{\"data_offsets\":[]}}", 0, "header byte 22: a whole number, 0 or more, expected"},
    {"{\"a\":{\"data_offsets\":[0]}}", 0, "header byte 23: ',' expected"},
    {"{\"a\":{\"data_offsets\":[0,1,2]}}", 0, "header byte 25: ']' expected"},
    /* shapes and places */
    {ONE("U8", "1,1,1,1,1,1,1,1,1", 0, 1), 1, "tensor \"a\" has rank 9, at most 8 are supported"},
    {ONE("U8", "9223372036854775807,2", 0, 0), 0, "tensor \"a\" has an impossible shape"},
    {ONE("U8", "4294967296,4294967296", 0, 0), 0, "tensor \"a\" has an impossible shape"},
    {ONE("U8", "0,4294967296,4294967296", 0, 0), 0, "tensor \"a\" has an impossible shape"},
    {ONE("F32", "4611686018427387904", 0, 0), 0, "tensor \"a\" has an impossible shape"},
    {ONE("U8", "1", 1, 0), 1, "tensor \"a\" ends before it begins"},
    {ONE("F32", "2", 0, 4), 4, "tensor \"a\" has 4 bytes, but its type and shape need 8"},
    {ONE("U8", "0", 0, 1), 1, "tensor \"a\" has 1 bytes, but its type and shape need 0"},
    {ONE("F32", "", 0, 4), 3,
     "is cut short: tensor \"a\" ends at byte 4 of the data, which have 3"},
    {ONE("U8", "0", 7, 7), 4,
     "is cut short: tensor \"a\" ends at byte 7 of the data, which have 4"},
    {ONE("F32", "", 0, 4), 5, "1 bytes from byte 4 of the data on belong to no tensor"},
    {ONE("F32", "", 4, 8), 8, "4 bytes from byte 0 of the data on belong to no tensor"},
    {"{}", 3, "3 bytes from byte 0 of the data on belong to no tensor"},
    {TWO(0, 4, 5, 9), 9, "1 bytes from byte 4 of the data on belong to no tensor"},
    {TWO(5, 9, 0, 4), 9, "1 bytes from byte 4 of the data on belong to no tensor"},
    {TWO(0, 4, 0, 4), 4, "tensors \"a\" and \"b\" overlap"},
    {TWO(0, 4, 3, 7), 7, "tensors \"a\" and \"b\" overlap"},
    {TWO(3, 7, 0, 4), 7, "tensors \"b\" and \"a\" overlap"},
};

static void refused(const char *json, size_t length, size_t data, const char *wanted)
{
    size_t size;
    unsigned char *bytes = frame(json, length, data, &size);
    sg__safetensors *s = sg__safetensors_parse("bad.st", bytes, size, false, message, &status);
    cr_assert_null(s, "accepted: %s", json);
    cr_assert_eq(status, SG_BAD_FILE, "%s", json);
    cr_assert(strncmp(message, "bad.st: ", 8) == 0 && strcmp(message + 8, wanted) == 0,
              "%s\n  says: %s\n  not:  %s", json, message, wanted);
    free(bytes);
}

Test(safetensors, refuses_malformed_headers)
{
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        const struct malformed *row = &malformed[i];
        refused(row->json, strlen(row->json), row->data, row->message);
    }
    refused("{\"a\0\":{}}", 9, 0, "header byte 3: a string without an end");
    refused("{\0}", 3, 0, "header byte 1: a string expected");
    refused("{}\0", 3, 0, "header byte 2: only spaces may follow its end");
}

Test(safetensors, refuses_impossible_lengths)
{
    static const struct {
        uint64_t length;
        size_t size;
        const char *message;
    } rows[] = {
        {0, 0, "bad.st: is cut short: 0 bytes hold no header"},
        {0, 7, "bad.st: is cut short: 7 bytes hold no header"},
        {0, 8, "bad.st: is no safetensors file: its header does not start with '{'"},
        {3, 10, "bad.st: is cut short: 2 of 3 bytes of the header"},
        {100000000, 10, "bad.st: is cut short: 2 of 100000000 bytes of the header"},
        {100000001, 10,
         "bad.st: is no safetensors file: its header would have 100000001 bytes, more than the"
         " 100000000 allowed"},
        {UINT64_MAX, 10,
         "bad.st: is no safetensors file: its header would have 18446744073709551615 bytes, more"
         " than the 100000000 allowed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char bytes[16] = {0};
        memcpy(bytes, &rows[i].length, 8);
        memcpy(bytes + 8, "{}", 2);
        cr_assert_null(
            sg__safetensors_parse("bad.st", bytes, rows[i].size, false, message, &status));
        cr_assert_eq(status, SG_BAD_FILE);
        cr_assert_str_eq(message, rows[i].message);
    }
}

/* What looks odd but is allowed; jansson must find it valid, too, and decode names alike. */
Test(safetensors, takes_all_that_the_format_allows)
{
    static const struct {
        const char *json;
        size_t data;
        int n, m;
    } rows[] = {
        {"{}", 0, 0, 0},
        {"{}       ", 0, 0, 0},
        {META("{}"), 0, 0, 0},
        {META("{\"\":\"\"}"), 0, 0, 1},
        {"{\"\":" BODY("U8", "", 0, 1) "}", 1, 1, 0},
        {"{\n\t\"a\" : { \"shape\" : [ 2 , 1 ] , \"data_offsets\":[0 ,\r2],\"dtype\": \"U8\" }}", 2,
         1, 0},
        {"{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\uD83D\\ude00\\u0001\":" BODY("U8", "", 0,
                                                                                    1) "}",
         1, 1, 0},
        {"{\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80"
         "\xf4\x8f\xbf\xbf\":" BODY("U8", "", 0, 1) "}",
         1, 1, 0},
        {TWO(4, 8, 0, 4), 8, 2, 0},
        {"{\"a\":" BODY("U8", "0", 4, 4) ",\"b\":" BODY("U8", "4", 0, 4) ",\"c\":" BODY(
             "F64", "3,0", 0, 0) ",\"__metadata__\":{\"x\":\"y\"}}",
         4, 3, 1},
        {ONE("U8", "1,1,1,1,1,1,1,1", 0, 1), 1, 1, 0},
        {ONE("U8", "0,9223372036854775807", 0, 0), 0, 1, 0},
        {"{\"a\":" BODY("U8", "1", 0, 1) ",\"b\":" BODY("F64", "0", 1, 1) "}", 1, 2, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size, length = strlen(rows[i].json);
        unsigned char *bytes = frame(rows[i].json, length, rows[i].data, &size);
        sg__safetensors *s = sg__safetensors_parse("x.st", bytes, size, false, message, &status);
        cr_assert_not_null(s, "%s: %s", rows[i].json, message);
        cr_assert(s->n == rows[i].n && s->m == rows[i].m, "%s", rows[i].json);
        json_t *header = json_loadb(rows[i].json, length, JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(header, "%s", rows[i].json);
        for (int k = 0; k < s->n; k++) {
            const sg__file_tensor *x = &s->tensors[k];
            cr_assert_not_null(json_object_get(header, x->name), "%s", rows[i].json);
            cr_assert_eq((uintptr_t)x->data % sg__file_type_of(x->dtype)->size, 0, "%s",
                         rows[i].json);
        }
        json_decref(header);
        sg__safetensors_free(s);
        free(bytes);
    }
}

Test(safetensors, names_the_integer_that_does_not_fit)
{
    static const char json[] = ONE("I64", "3", 0, 24);
    static const int64_t bad[] = {2147483648, -2147483649, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 4; i++) {
        size_t size;
        unsigned char *bytes = frame(json, strlen(json), 24, &size);
        memcpy(bytes + size - 8, &bad[i], 8);
        cr_assert_null(sg__safetensors_parse("x.st", bytes, size, false, message, &status));
        cr_assert_eq(status, SG_BAD_FILE);
        cr_assert_str_eq(message,
                         "x.st: tensor \"a\": element 2 of type I64 does not fit into I32");
        free(bytes);
    }
}
