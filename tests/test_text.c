/*
 * UTF-8 and tokens.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/text_test.h"

/* ---- UTF-8 -------------------------------------------------------------------------------- */

Test(utf8, invalid_bytes_are_found_and_replaced)
{
    /* The count of U+FFFD is Python's, which follows the standard's recommendation. */
    static const struct {
        const char *text;
        int valid, replaced; /* bytes before the first invalid one (-1: none), U+FFFD in place */
    } row[] = {
        {"", -1, 0},
        {"plain", -1, 0},
        {"\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x99\x82", -1, 0},
        {"\xF4\x8F\xBF\xBF \xEF\xBF\xBF \xED\x9F\xBF \xEE\x80\x80", -1, 0},
        {"ab\x80", 2, 1},
        {"ab\xC3", 2, 1},
        {"\xC0\xAF", 0, 2},         /* overlong */
        {"\xC1\xBF", 0, 2},         /* overlong */
        {"\xE0\x80\xAF", 0, 3},     /* overlong */
        {"\xF0\x80\x80\xAF", 0, 4}, /* overlong */
        {"\xED\xA0\x80", 0, 3},     /* a surrogate */
        {"\xF4\x90\x80\x80", 0, 4}, /* beyond U+10FFFF */
        {"\xF5\x80\x80\x80", 0, 4},
        {"\xFF\xFE", 0, 2},
        {"x\xE4\xBDy", 1, 1},                           /* cut after two of three */
        {"x\xF0\x9F\x99y", 1, 1},                       /* cut after three of four */
        {"\xF0\x9F\xE4\xBD\xA0", 0, 1},                 /* cut by another character */
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 0, 4}, /* the standard's table 3-11 */
    };
    folder f = enter();
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        size_t n = strlen(row[i].text);
        int at = (int)sg_utf8_check(row[i].text, n);
        cr_expect_eq(at, row[i].valid < 0 ? (int)n : row[i].valid, "row %zu: %d", i, at);
        write_text("a", row[i].text);
        sg_corpus *c =
            sg_corpus_read(g, "a", .target_column = SG_NO_COLUMN, .replace_invalid = true);
        int found = 0;
        const char *text = c->size ? c->source[0] : "";
        for (const char *p = text; (p = strstr(p, "\xEF\xBF\xBD")); p++)
            found++;
        cr_expect_eq(found, row[i].replaced, "row %zu: %d replaced", i, found);
        cr_expect_eq(sg_utf8_check(text, strlen(text)), strlen(text), "row %zu", i);
        sg_corpus_free(c);
    }
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
    leave(&f);
}

Test(utf8, width_in_columns)
{
    static const struct {
        const char *text;
        int width;
    } row[] = {
        {"", 0},   {"abc", 3},       {"你好。", 6},       {"ａｂ", 4}, {"ｱｲ", 2},
        {"é", 1},  {"e\xCC\x81", 1}, {"한국", 4},         {"🙂", 2}, {"a\xFFz", 3},
        {"\t", 0}, {"x—y", 3},       {"\xE3\x80\x80", 2},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        cr_expect_eq(sg_text_width(row[i].text), row[i].width, "\"%s\" is %d wide", row[i].text,
                     sg_text_width(row[i].text));
}

Test(utf8, forms_and_cases)
{
    static const struct {
        sg_form form;
        sg_case casing;
        const char *text, *mapped;
    } row[] = {
        {SG_FORM_AS_IS, SG_CASE_KEEP, "e\xCC\x81 Ａ", "e\xCC\x81 Ａ"},
        {SG_FORM_NFC, SG_CASE_KEEP, "e\xCC\x81 Ａ", "\xC3\xA9 Ａ"},
        {SG_FORM_NFKC, SG_CASE_KEEP, "e\xCC\x81 Ａ１ ﬁ ①", "\xC3\xA9 A1 fi 1"},
        {SG_FORM_AS_IS, SG_CASE_LOWER, "Straße ÉTÉ ΣΟΦΟΣ 你", "straße été σοφοσ 你"},
        {SG_FORM_AS_IS, SG_CASE_FOLD, "Straße STRASSE", "strasse strasse"},
        {SG_FORM_NFKC, SG_CASE_FOLD, "ＳＴＲＡß\xCC\x81", "stras\xC5\x9B"},
        {SG_FORM_NFC, SG_CASE_LOWER, "E\xCC\x81", "\xC3\xA9"},
        {SG_FORM_NFC, SG_CASE_KEEP, "", ""},
    };
    sg_context *g = sg_open();
    char out[64];
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        size_t n = sg_text_map(g, row[i].text, row[i].form, row[i].casing, sizeof out, out);
        cr_expect_str_eq(out, row[i].mapped, "row %zu: \"%s\"", i, out);
        cr_expect_eq(n, strlen(row[i].mapped));
    }
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}

Test(utf8, what_does_not_fit_is_cut_between_code_points)
{
    sg_context *g = sg_open();
    const char *text = "a你b";
    static const char *const cut[] = {"a", "a", "a", "a你", "a你b", "a你b"};
    for (size_t size = 2; size < 8; size++) {
        char out[8];
        memset(out, 'x', sizeof out);
        cr_expect_eq(sg_text_map(g, text, SG_FORM_AS_IS, SG_CASE_KEEP, size, out), 5);
        if (size == 5)
            cr_expect_str_eq(out, "a你");
        else
            cr_expect_str_eq(out, cut[size < 5 ? 0 : size - 2], "size %zu: \"%s\"", size, out);
        for (size_t i = size; i < sizeof out; i++)
            cr_expect_eq(out[i], 'x', "size %zu: byte %zu written", size, i);
    }
    cr_expect_eq(sg_text_map(g, text, SG_FORM_AS_IS, SG_CASE_KEEP, 0, NULL), 5);
    char out[4] = "xyz";
    cr_expect_eq(sg_text_map(g, "a\xC3", SG_FORM_NFC, SG_CASE_KEEP, sizeof out, out), 0);
    cr_expect_str_eq(out, "");
    expect_error(g, SG_BAD_ARGUMENT, "text: invalid UTF-8 at byte 1");
    sg_text_map(g, "a", (sg_form)7, SG_CASE_KEEP, sizeof out, out);
    expect_error(g, SG_BAD_ARGUMENT, "tokenizer: no such units, form or casing: 0, 7, 0");
    sg_close(g);
}

/* ---- tokens ------------------------------------------------------------------------------- */

/* Tokens as one text, with | between them. */
static const char *joined(const sg_tokens *t)
{
    static char out[512];
    out[0] = '\0';
    for (int i = 0; i < t->count; i++) {
        strcat(out, i > 0 ? "|" : "");
        strcat(out, t->text[i]);
    }
    return out;
}

Test(tokens, words_and_characters)
{
    static const struct {
        sg_tokenizer k;
        const char *text, *tokens;
    } row[] = {
        {{.units = SG_UNITS_WORD}, "", ""},
        {{.units = SG_UNITS_WORD}, " \t ", ""},
        {{.units = SG_UNITS_WORD},
         "  one two\xC2\xA0three\xE3\x80\x80"
         "four\tfive ",
         "one|two|three|four|five"},
        {{.units = SG_UNITS_WORD}, "Hello, world!", "Hello,|world!"},
        {{.punctuation = true}, "Hello, world!", "Hello|,|world|!"},
        {{.punctuation = true, .casing = SG_CASE_LOWER},
         "\"I DON'T know,\" he said (well-known)...",
         "\"|i|don't|know|,|\"|he|said|(|well-known|)|.|.|."},
        {{.punctuation = true},
         "3.14 1,000 10:30 a,b a:b 5. .5 'tis U.S. $5 50%",
         "3.14|1,000|10:30|a|,|b|a|:|b|5|.|.|5|'|tis|U.S|.|$|5|50|%"},
        {{.punctuation = true}, "it’s — “so” 你好。!?", "it’s|—|“|so|”|你好|。|!|?"},
        {{.punctuation = true}, "--", "-|-"},
        {{.units = SG_UNITS_CHAR}, "ab 你", "a|b| |你"},
        {{.units = SG_UNITS_CHAR}, "e\xCC\x81", "e|\xCC\x81"},
        {{.units = SG_UNITS_CHAR, .form = SG_FORM_NFC}, "e\xCC\x81", "\xC3\xA9"},
        {{.units = SG_UNITS_CHAR, .graphemes = true},
         "e\xCC\x81x👩‍👩‍👧🇫🇷🇩🇪 y",
         "e\xCC\x81|x|👩‍👩‍👧|🇫🇷|🇩🇪| |y"},
        {{.units = SG_UNITS_CHAR, .casing = SG_CASE_FOLD}, "Aß", "a|s|s"},
    };
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        sg_tokens *t = sg_tokenize(g, &row[i].k, row[i].text);
        cr_expect_str_eq(joined(t), row[i].tokens, "row %zu: %s", i, joined(t));
        sg_tokens_free(t);
    }
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}

Test(tokens, errors_give_an_empty_list)
{
    sg_context *g = sg_open();
    sg_tokens *t = sg_tokenize(g, &(sg_tokenizer){0}, "ok \xE4\xBD");
    cr_expect_eq(t->count, 0);
    sg_tokens_free(t);
    expect_error(g, SG_BAD_ARGUMENT, "text: invalid UTF-8 at byte 3");
    sg_tokens_free(sg_tokenize(g, &(sg_tokenizer){.form = SG_FORM_NFC}, "\xFF"));
    expect_error(g, SG_BAD_ARGUMENT, "text: invalid UTF-8 at byte 0");
    sg_tokens_free(sg_tokenize(g, &(sg_tokenizer){.units = (sg_units)9}, "x"));
    expect_error(g, SG_BAD_ARGUMENT, "tokenizer: no such units, form or casing: 9, 0, 0");
    sg_tokens_free(sg_tokenize(g, &(sg_tokenizer){0}, NULL));
    expect_error(g, SG_BAD_ARGUMENT, "text: NULL instead of a string");
    sg_close(g);
}
