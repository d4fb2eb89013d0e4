/*
 * Vocabularies: their order, their JSON, texts to ids and back.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/text_test.h"

static const char *const texts[] = {"b a b c", "a b é <stop> d", "c a zz <unk> c c"};

/* The tokens behind the reserved ids. */
static const char *listed(const sg_vocabulary *v)
{
    static char out[512];
    out[0] = '\0';
    for (int i = SG_RESERVED; i < sg_vocabulary_size(v); i++) {
        strcat(out, i > SG_RESERVED ? " " : "");
        strcat(out, sg_vocabulary_text(v, i));
    }
    return out;
}

Test(vocabulary, order_is_by_count_then_bytes)
{
    sg_context *g = sg_open();
    static const struct {
        int min_count, max_size;
        const char *tokens;
    } row[] = {
        {0, 0, "c a b d zz é"},
        {1, 0, "c a b d zz é"},
        {2, 0, "c a b"},
        {4, 0, "c"},
        {5, 0, ""},
        {0, 4, ""},
        {0, 6, "c a"},
        {3, 100, "c a b"},
        {0, 9, "c a b d zz"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        sg_vocabulary *v = sg_vocabulary_build(g, 3, texts, .min_count = row[i].min_count,
                                               .max_size = row[i].max_size);
        cr_expect_str_eq(listed(v), row[i].tokens, "row %zu: %s", i, listed(v));
        sg_vocabulary_free(v);
    }
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}

Test(vocabulary, lookup)
{
    sg_context *g = sg_open();
    sg_vocabulary *v = sg_vocabulary_build(g, 3, texts);
    cr_expect_eq(SG_PAD, 0);
    cr_expect_eq(SG_UNK, 1);
    cr_expect_eq(SG_START, 2);
    cr_expect_eq(SG_STOP, 3);
    cr_expect_str_eq(sg_vocabulary_text(v, SG_PAD), "<pad>");
    cr_expect_str_eq(sg_vocabulary_text(v, SG_STOP), "<stop>");
    for (int i = SG_RESERVED; i < sg_vocabulary_size(v); i++)
        cr_expect_eq(sg_vocabulary_id(v, sg_vocabulary_text(v, i)), i);
    static const char *const unknown[] = {"nothing", "", "<stop>", "<pad>", "<unk>", "aa"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        cr_expect_eq(sg_vocabulary_id(v, unknown[i]), SG_UNK, "%s", unknown[i]);
    cr_expect(sg_ok(g));
    cr_expect_str_eq(sg_vocabulary_text(v, 10), "<unk>");
    expect_error(g, SG_BAD_ARGUMENT, "vocabulary: id 10 of 10");
    sg_vocabulary_text(v, -1);
    expect_error(g, SG_BAD_ARGUMENT, "vocabulary: id -1 of 10");
    sg_vocabulary_free(v);
    sg_close(g);
}

Test(vocabulary, holds_many_tokens)
{
    enum { N = 20000 };
    static char word[N][8];
    static const char *text[N];
    for (int i = 0; i < N; i++) {
        snprintf(word[i], sizeof word[i], "%05d", (i * 7919) % N);
        text[i] = word[i];
    }
    sg_context *g = sg_open();
    sg_vocabulary *v = sg_vocabulary_build(g, N, text);
    cr_expect_eq(sg_vocabulary_size(v), N + SG_RESERVED);
    for (int i = 0; i < N; i++) {
        char token[8];
        snprintf(token, sizeof token, "%05d", i);
        cr_expect_eq(sg_vocabulary_id(v, token), i + SG_RESERVED, "%s", token);
    }
    sg_vocabulary_free(v);
    sg_close(g);
}

Test(vocabulary, encodes_and_decodes)
{
    sg_context *g = sg_open();
    sg_vocabulary *v = sg_vocabulary_build(g, 3, texts);
    int32_t ids[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    cr_expect_eq(sg_encode(v, "a what <stop> b", 8, ids), 4);
    static const int32_t expected[] = {5, SG_UNK, SG_UNK, 6};
    cr_expect_arr_eq(ids, expected, sizeof expected);
    cr_expect_eq(ids[4], -1);
    ids[2] = ids[3] = -1;
    cr_expect_eq(sg_encode(v, "a b c d", 2, ids), 4, "all are counted");
    cr_expect(ids[0] == 5 && ids[1] == 6 && ids[2] == -1, "max are written");
    cr_expect_eq(sg_encode(v, "", 8, ids), 0);
    cr_expect_eq(sg_encode(v, "a b", 0, NULL), 2);
    char text[32];
    static const int32_t back[] = {SG_START, 4, SG_PAD, 5, SG_UNK, SG_STOP, 6};
    cr_expect_eq(sg_decode(v, 7, back, sizeof text, text), 9);
    cr_expect_str_eq(text, "c a <unk>");
    cr_expect_eq(sg_decode(v, 7, back, 4, text), 9);
    cr_expect_str_eq(text, "c a");
    cr_expect_eq(sg_decode(v, 0, NULL, sizeof text, text), 0);
    cr_expect_str_eq(text, "");
    cr_expect(sg_ok(g));
    static const int32_t wrong[] = {4, 99};
    cr_expect_eq(sg_decode(v, 2, wrong, sizeof text, text), 0);
    cr_expect_str_eq(text, "");
    expect_error(g, SG_BAD_ARGUMENT, "vocabulary: id 99 of 10");
    cr_expect_eq(sg_encode(v, "a \xFF", 8, ids), -1);
    expect_error(g, SG_BAD_ARGUMENT, "text: invalid UTF-8 at byte 2");
    sg_vocabulary_free(v);
    sg_close(g);
}

Test(vocabulary, characters_come_back_unchanged)
{
    static const char *const text[] = {
        "  two  blanks,\ttab 你好 e\xCC\x81 👩‍👩‍👧 end "};
    sg_context *g = sg_open();
    for (int graphemes = 0; graphemes < 2; graphemes++) {
        sg_vocabulary *v = sg_vocabulary_build(
            g, 1, text, .tokenizer = {.units = SG_UNITS_CHAR, .graphemes = graphemes == 1});
        int32_t ids[64];
        char back[128];
        int n = sg_encode(v, text[0], 64, ids);
        cr_expect_eq(sg_decode(v, n, ids, sizeof back, back), strlen(text[0]));
        cr_expect_str_eq(back, text[0]);
        sg_vocabulary_free(v);
    }
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}

Test(vocabulary, json_carries_everything)
{
    sg_context *g = sg_open();
    static const char *const text[] = {"Quote\" back\\slash \xC2\x85 tab\ttab 你好 \x01 a a"};
    for (int i = 0; i < 2 * 3 * 3 * 4; i++) {
        sg_tokenizer k = {.units = (sg_units)(i % 2),
                          .form = (sg_form)(i / 2 % 3),
                          .casing = (sg_case)(i / 6 % 3),
                          .punctuation = i / 18 % 2 == 1,
                          .graphemes = i / 36 == 1};
        sg_vocabulary *v = sg_vocabulary_build(g, 1, text, .tokenizer = k);
        const char *json = sg_vocabulary_json(v);
        cr_expect_eq(json, sg_vocabulary_json(v), "made once");
        sg_vocabulary *w = sg_vocabulary_parse(g, json);
        cr_expect(sg_vocabulary_check(g, w, v), "%d: %s", i, sg_errmsg(g));
        cr_expect_eq(sg_vocabulary_hash(v), sg_vocabulary_hash(w));
        cr_expect_str_eq(sg_vocabulary_json(w), json);
        sg_tokenizer l = sg_vocabulary_tokenizer(w);
        cr_expect(l.units == k.units && l.form == k.form && l.casing == k.casing &&
                  l.punctuation == k.punctuation && l.graphemes == k.graphemes);
        sg_vocabulary_free(v);
        sg_vocabulary_free(w);
    }
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}

/* What is written is a format: a change of it must be seen. */
Test(vocabulary, json_is_stable)
{
    sg_context *g = sg_open();
    sg_vocabulary *v = sg_vocabulary_build(g, 3, texts, .min_count = 3);
    cr_expect_str_eq(sg_vocabulary_json(v),
                     "{\"format\":\"seqgrad vocabulary\",\"version\":1,\"units\":\"word\","
                     "\"form\":\"as is\",\"case\":\"keep\",\"punctuation\":false,"
                     "\"graphemes\":false,\"hash\":\"952667e06abd402b\","
                     "\"tokens\":[\"c\",\"a\",\"b\"]}");
    sg_vocabulary_free(v);
    sg_close(g);
}

Test(vocabulary, damaged_json_is_refused)
{
#define HEAD   "{\"format\":\"seqgrad vocabulary\",\"version\":1,"
#define KIND   "\"units\":\"word\",\"form\":\"as is\",\"case\":\"keep\","
#define FLAGS  "\"punctuation\":false,\"graphemes\":false,"
#define HASHED "\"hash\":\"0000000000000000\","
    static const struct {
        const char *json, *message;
    } row[] = {
        {NULL, "vocabulary: there is none (no JSON text)"},
        {"", "vocabulary: line 1, column 0: "},
        {"[1", "vocabulary: line 1, column 2: "},
        {"[]", "vocabulary: Expected object, got array"},
        {"{}", "vocabulary: Object item not found: format"},
        {"{\"a\":1,\"a\":1}", "vocabulary: line 1, column 10: duplicate object key"},
        {"{\"format\":\"\xFF\"}", "vocabulary: line 1, column 11: unable to decode byte 0xff"},
        {HEAD KIND FLAGS HASHED "\"tokens\":[],\"more\":1}",
         "vocabulary: 1 object item(s) left unpacked: more"},
        {"{\"format\":\"other\",\"version\":1," KIND FLAGS HASHED "\"tokens\":[]}",
         "vocabulary: this is another format, or another version of it"},
        {"{\"format\":\"seqgrad vocabulary\",\"version\":2," KIND FLAGS HASHED "\"tokens\":[]}",
         "vocabulary: this is another format, or another version of it"},
        {HEAD "\"units\":\"byte\",\"form\":\"as is\",\"case\":\"keep\"," FLAGS HASHED
              "\"tokens\":[]}",
         "vocabulary: units, form, case or tokens are not what they can be"},
        {HEAD KIND FLAGS HASHED "\"tokens\":{}}",
         "vocabulary: units, form, case or tokens are not what they can be"},
        {HEAD KIND FLAGS HASHED "\"tokens\":[\"a\",7]}", "vocabulary: token 1 is not a string"},
        {HEAD KIND FLAGS HASHED "\"tokens\":[\"\"]}", "vocabulary: token 0 is empty or reserved"},
        {HEAD KIND FLAGS HASHED "\"tokens\":[\"<unk>\"]}",
         "vocabulary: token 0 is empty or reserved"},
        {HEAD KIND FLAGS HASHED "\"tokens\":[\"a\",\"b\",\"a\"]}",
         "vocabulary: tokens 0 and 2 are the same"},
        {HEAD KIND FLAGS HASHED "\"tokens\":[\"a\"]}",
         "vocabulary: the hash does not fit the tokens"},
    };
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        sg_vocabulary *v = sg_vocabulary_parse(g, row[i].json);
        cr_expect_eq(sg_vocabulary_size(v), SG_RESERVED);
        cr_expect(strncmp(sg_errmsg(g), row[i].message, strlen(row[i].message)) == 0,
                  "row %zu: \"%s\"", i, sg_errmsg(g));
        cr_expect_eq(sg_error(g), SG_BAD_FILE);
        sg_clear(g);
        sg_vocabulary_free(v);
    }
    sg_close(g);
}

Test(vocabulary, another_one_is_an_error)
{
    static const char *const swapped[] = {"b a b b c", "a b", "c a c"};
    sg_context *g = sg_open();
    sg_vocabulary *v = sg_vocabulary_build(g, 3, texts);
    sg_vocabulary *other[] = {
        sg_vocabulary_build(g, 3, texts, .min_count = 2),
        sg_vocabulary_build(g, 3, swapped),
        sg_vocabulary_build(g, 3, texts, .tokenizer.casing = SG_CASE_LOWER),
        sg_vocabulary_build(g, 3, texts, .tokenizer.punctuation = true, .max_size = 4),
    };
    static const char *const message[] = {
        "vocabulary: another one than the model's: 7 ids instead of 10",
        "vocabulary: another one than the model's: id 4 is \"b\" instead of \"c\"",
        "vocabulary: another tokenizer than the model's: word, as is, lower instead of word, as "
        "is, keep",
        "vocabulary: another tokenizer than the model's: word, as is, keep instead of word, as "
        "is, keep",
    };
    cr_expect(sg_vocabulary_check(g, v, v));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        cr_expect_not(sg_vocabulary_check(g, other[i], v));
        expect_error(g, SG_BAD_ARGUMENT, message[i]);
        cr_expect_neq(sg_vocabulary_hash(other[i]), sg_vocabulary_hash(v));
        sg_vocabulary_free(other[i]);
    }
    sg_vocabulary_free(v);
    sg_close(g);
}

Test(vocabulary, what_failed_is_inert)
{
    sg_context *g = sg_open();
    static const char *const bad[] = {"a b", "c \xFF"};
    sg_vocabulary *v = sg_vocabulary_build(g, 2, bad);
    expect_error(g, SG_BAD_ARGUMENT, "text: invalid UTF-8 at byte 2");
    int32_t id = 5;
    char text[8];
    cr_expect_eq(sg_vocabulary_size(v), SG_RESERVED);
    cr_expect_eq(sg_vocabulary_id(v, "a"), SG_UNK);
    cr_expect_str_eq(sg_vocabulary_text(v, 17), "<unk>");
    cr_expect_str_eq(sg_vocabulary_json(v), "");
    cr_expect_eq(sg_encode(v, "a", 1, &id), -1);
    cr_expect_eq(sg_decode(v, 1, &id, sizeof text, text), 0);
    sg_vocabulary_free(v);
    cr_expect(sg_ok(g));
    sg_vocabulary_free(sg_vocabulary_build(g, 1, bad, .max_size = 3));
    expect_error(g, SG_BAD_ARGUMENT, "vocabulary: max_size 3, min_count 0: at least 4 and 0");
    sg_vocabulary_free(sg_vocabulary_build(g, -1, bad));
    cr_expect_eq(sg_error(g), SG_BAD_ARGUMENT);
    v = sg_vocabulary_build(g, 1, bad);
    cr_expect_eq(sg_vocabulary_size(v), SG_RESERVED, "an error sticks");
    sg_vocabulary_free(v);
    sg_vocabulary_free(NULL);
    sg_close(g);
}

Test(vocabulary, marks_stand_beside_their_words)
{
    static const char *const text[] = {"Well, (he said) it's 3.5 %! 好，吧。"};
    sg_context *g = sg_open();
    sg_vocabulary *v =
        sg_vocabulary_build(g, 1, text, .tokenizer = {.units = SG_UNITS_WORD, .punctuation = true});
    int32_t ids[64];
    char back[128];
    int n = sg_encode(v, text[0], 64, ids);
    sg_decode(v, n, ids, sizeof back, back);
    cr_expect_str_eq(back, "Well, (he said) it's 3.5%! 好， 吧。");
    sg_vocabulary_free(v);
    sg_close(g);
}
