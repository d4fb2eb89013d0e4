/* Models: what is written is what the format says, and no byte of it can change unnoticed. */
#define _GNU_SOURCE
#include "tests/file_test.h"
#include "tests/oracle/safetensors_files.h"

Test(safetensors, writes_what_the_format_says, .init = enter_folder, .fini = leave_folder)
{
    for (int again = 0; again < 2; again++) {
        size_t size;
        cr_assert(write_model("m.st", ends), "%s", message);
        unsigned char *bytes = get_file("m.st", &size);
        cr_assert_eq(size, sizeof model_file);
        cr_assert(memcmp(bytes, model_file, size) == 0);
        free(bytes);
    }
    for (int as_model = 0; as_model < 2; as_model++) {
        sg__safetensors *s = sg__safetensors_read("m.st", as_model, message, &status);
        check_model(s, ends);
        sg__safetensors_free(s);
    }
    sg__safetensors_free(NULL);
}

Test(safetensors, writes_an_empty_model, .init = enter_folder, .fini = leave_folder)
{
    cr_assert(sg__safetensors_write("m.st", 0, NULL, 0, NULL, message, &status), "%s", message);
    sg__safetensors *s = sg__safetensors_read("m.st", true, message, &status);
    cr_assert(s != NULL && s->n == 0 && s->m == 0, "%s", message);
    sg__safetensors_free(s);
}

Test(safetensors, aligns_data, .init = enter_folder, .fini = leave_folder)
{
    sg__file_tensor tensors[12];
    static const sg_dtype types[] = {SG_U8, SG_F64, SG_F32, SG_I32};
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    for (int i = 0; i < 12; i++) {
        tensors[i] = (sg__file_tensor){names[i], types[i % 4], SG_SHAPE(i % 3 + 1), ends};
    }
    cr_assert(sg__safetensors_write("m.st", 12, tensors, 0, NULL, message, &status), "%s", message);
    sg__safetensors *s = sg__safetensors_read("m.st", true, message, &status);
    cr_assert_not_null(s, "%s", message);
    for (int i = 0; i < 12; i++) {
        size_t element = sg__file_type_of(types[i % 4])->size;
        cr_assert_str_eq(s->tensors[i].name, names[i]);
        size_t at = (size_t)((const unsigned char *)s->tensors[i].data - (unsigned char *)s->file);
        cr_assert_eq(at % element, 0);
        cr_assert(memcmp(s->tensors[i].data, ends, element * (size_t)(i % 3 + 1)) == 0);
    }
    sg__safetensors_free(s);
}

Test(safetensors, refuses_every_flipped_bit)
{
    unsigned char bytes[sizeof model_file];
    memcpy(bytes, model_file, sizeof bytes);
    sg__safetensors *s = sg__safetensors_parse("m.st", bytes, sizeof bytes, true, message, &status);
    check_model(s, ends);
    sg__safetensors_free(s);
    int damaged = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (unsigned char)(bytes[i] ^ 1 << bit);
            s = sg__safetensors_parse("m.st", bytes, sizeof bytes, true, message, &status);
            cr_assert_null(s, "bit %d of byte %zu", bit, i);
            cr_assert_eq(status, SG_BAD_FILE);
            cr_assert(strncmp(message, "m.st: ", 6) == 0, "%s", message);
            damaged += strcmp(message, "m.st: checksum does not match: the file is damaged") == 0;
            bytes[i] = (unsigned char)(bytes[i] ^ 1 << bit);
        }
    }
    /* at least all bits of the data */
    cr_assert_gt(damaged, 8 * (5 + 24 + 4 + 24));
}

Test(safetensors, refuses_every_other_length)
{
    unsigned char bytes[sizeof model_file + 8] = {0};
    memcpy(bytes, model_file, sizeof model_file);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        for (int as_model = 0; as_model < 2 && size != sizeof model_file; as_model++) {
            cr_assert_null(sg__safetensors_parse("m.st", bytes, size, as_model, message, &status),
                           "%zu bytes", size);
            cr_assert_eq(status, SG_BAD_FILE);
        }
    }
}

#define ZEROS    "00000000000000000000000000000000"
#define CHECKSUM "\"seqgrad.checksum\":\"" ZEROS "\""

Test(safetensors, tells_models_from_other_files)
{
    static const struct {
        const char *json, *message; /* NULL: it is one */
    } rows[] = {
        {META("{" CHECKSUM ",\"seqgrad.format\":\"1\"}"), NULL},
        {META("{" CHECKSUM ",\"seqgrad.format\":\"1\",\"x\":\"y\"}"), NULL},
        {META("{" CHECKSUM ",\"seqgrad.format\":\"2\"}"), "written by a newer seqgrad (format 2)"},
        {META("{" CHECKSUM ",\"seqgrad.format\":\"10\"}"),
         "written by a newer seqgrad (format 10)"},
        {META("{" CHECKSUM ",\"seqgrad.format\":\"0\"}"),
         "is no seqgrad model: its format is \"0\""},
        {META("{" CHECKSUM ",\"seqgrad.format\":\"2x\"}"),
         "is no seqgrad model: its format is \"2x\""},
        {META("{" CHECKSUM ",\"seqgrad.format\":\"\"}"), "is no seqgrad model: its format is \"\""},
        {META("{" CHECKSUM "}"), "is no seqgrad model: it carries no format number"},
        {META("{\"seqgrad.format\":\"1\"}"), "is no seqgrad model: it carries no checksum"},
        {META("{}"), "is no seqgrad model: it carries no checksum"},
        {"{}", "is no seqgrad model: it carries no checksum"},
        {META("{\"seqgrad.checksum\":\"0\",\"seqgrad.format\":\"1\"}"),
         "checksum does not match: the file is damaged"},
        {META("{\"seqgrad.format\":\"1\"," CHECKSUM "}"),
         "checksum does not match: the file is damaged"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size;
        unsigned char *bytes = frame(rows[i].json, strlen(rows[i].json), 0, &size);
        char digits[SG__CHECKSUM + 1], *at = memmem(bytes, size, ZEROS, SG__CHECKSUM);
        sg__checksum(1, &(sg__file_part){bytes, size}, digits);
        if (at != NULL) {
            memcpy(at, digits, SG__CHECKSUM);
        }
        sg__safetensors *s = sg__safetensors_parse("m.st", bytes, size, true, message, &status);
        cr_assert((s != NULL) == (rows[i].message == NULL), "%s: %s", rows[i].json, message);
        if (s == NULL) {
            cr_assert_eq(status, SG_BAD_FILE);
            cr_assert_str_eq(message + strlen("m.st: "), rows[i].message);
        } else {
            cr_assert_eq(s->m, strstr(rows[i].json, "\"x\"") != NULL);
        }
        sg__safetensors_free(s);
        free(bytes);
    }
}

/* A name or text may look like the place of the checksum; the real one is always found. */
Test(safetensors, cannot_be_confused_by_texts, .init = enter_folder, .fini = leave_folder)
{
    static const char place[] = ",\"seqgrad.checksum\":\"00000000000000000000000000000000";
    const sg__file_tensor tensors[] = {{place, SG_U8, SG_SHAPE(5), mask},
                                       {"seqgrad.checksum", SG_U8, SG_SHAPE(5), mask}};
    const sg__file_text own[] = {{place, place}, {"__metadata__", "seqgrad.checksum"}};
    cr_assert(sg__safetensors_write("m.st", 2, tensors, 2, own, message, &status), "%s", message);
    sg__safetensors *s = sg__safetensors_read("m.st", true, message, &status);
    cr_assert_not_null(s, "%s", message);
    cr_assert_str_eq(s->tensors[0].name, place);
    cr_assert_str_eq(s->texts[0].key, place);
    cr_assert_str_eq(s->texts[1].value, "seqgrad.checksum");
    sg__safetensors_free(s);
}

#define GOOD(name)                                                                                 \
    {                                                                                              \
        name, SG_U8, {1, {5}}, mask                                                                \
    }
#define XY                                                                                         \
    {                                                                                              \
        {"x", ""},                                                                                 \
        {                                                                                          \
            "y", ""                                                                                \
        }                                                                                          \
    }

Test(safetensors, refuses_to_write, .init = enter_folder, .fini = leave_folder)
{
    static const struct {
        sg__file_tensor tensors[2];
        sg__file_text texts[2];
        sg_status status;
        const char *message;
    } rows[] = {
        {{GOOD("a"), GOOD("a")}, XY, SG_BAD_ARGUMENT, "tensor \"a\" is there twice"},
        {{GOOD("__metadata__"), GOOD("a")},
         XY,
         SG_BAD_ARGUMENT,
         "no tensor can be named \"__metadata__\""},
        {{GOOD("a"), {"\xff", SG_U8, {1, {5}}, mask}},
         XY,
         SG_BAD_ARGUMENT,
         "the name \"\xff\" is not valid UTF-8"},
        {{{"a", SG_DTYPES, {1, {5}}, mask}, GOOD("b")},
         XY,
         SG_BAD_DTYPE,
         "tensor \"a\" has no type"},
        {{{"a", SG_U8, {9, {5}}, mask}, GOOD("b")},
         XY,
         SG_BAD_SHAPE,
         "tensor \"a\" has an impossible shape"},
        {{{"a", SG_U8, {1, {-1}}, mask}, GOOD("b")},
         XY,
         SG_BAD_SHAPE,
         "tensor \"a\" has an impossible shape"},
        {{{"a", SG_F64, {2, {INT64_MAX, 2}}, mask}, GOOD("b")},
         XY,
         SG_BAD_SHAPE,
         "tensor \"a\" has an impossible shape"},
        {{{"a", SG_U8, {1, {INT64_MAX}}, mask}, GOOD("b")},
         XY,
         SG_BAD_SHAPE,
         "the tensors are too large for a file"},
        {{{"a", SG_U8, {1, {5}}, NULL}, GOOD("b")},
         XY,
         SG_BAD_ARGUMENT,
         "tensor \"a\" has no data"},
        {{GOOD("a"), GOOD("b")},
         {{"x", ""}, {"x", ""}},
         SG_BAD_ARGUMENT,
         "text \"x\" is there twice"},
        {{GOOD("a"), GOOD("b")},
         {{"x", ""}, {"y", "\xc3"}},
         SG_BAD_ARGUMENT,
         "text \"y\" is not valid UTF-8"},
        {{GOOD("a"), GOOD("b")},
         {{"x", ""}, {"\xc3", ""}},
         SG_BAD_ARGUMENT,
         "text \"\xc3\" is not valid UTF-8"},
        {{GOOD("a"), GOOD("b")},
         {{"seqgrad.format", "1"}, {"y", ""}},
         SG_BAD_ARGUMENT,
         "text \"seqgrad.format\" belongs to the format"},
        {{GOOD("a"), GOOD("b")},
         {{"x", ""}, {"seqgrad.checksum", ""}},
         SG_BAD_ARGUMENT,
         "text \"seqgrad.checksum\" belongs to the format"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool ok =
            sg__safetensors_write("m.st", 2, rows[i].tensors, 2, rows[i].texts, message, &status);
        cr_assert(!ok, "%s", rows[i].message);
        cr_assert_eq(status, rows[i].status, "%s", rows[i].message);
        cr_assert(strncmp(message, "m.st: ", 6) == 0, "%s", message);
        cr_assert_str_eq(message + 6, rows[i].message);
        cr_assert(access("m.st", F_OK) != 0 && count_entries(".", ".tmp") == 0);
    }
}

Test(safetensors, refuses_a_header_that_no_reader_takes, .init = enter_folder, .fini = leave_folder)
{
    size_t n = SG__HEADER_MAX;
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    text[n] = '\0';
    cr_assert(
        !sg__safetensors_write("m.st", 0, NULL, 1, &(sg__file_text){"x", text}, message, &status));
    cr_assert_eq(status, SG_BAD_ARGUMENT);
    cr_assert_str_eq(message, "m.st: names and texts make a header of 100000104 bytes, more than"
                              " the 100000000 allowed");
    free(text);
}
