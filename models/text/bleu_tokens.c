/*
 * The tokenizers that BLEU scores are reported with, as sacrebleu 2.x defines them by regular
 * expressions. What they do is fixed by that definition, oddities included: scores are compared
 * with published ones. The result is checked against recorded scores (tests/test_metrics.c).
 */
#include "models/text/internal.h"

#include <string.h>

/* White space at the ends is cut off. */
static void strip(const char **s, size_t *n, bool left)
{
    size_t begin = *n, end = 0;
    int32_t c;
    for (size_t i = 0, length; i < *n; i += length) {
        length = sg__text_next(*s + i, *n - i, &c);
        if (!sg__text_is_space(c)) {
            begin = begin == *n ? i : begin;
            end = i + length;
        }
    }
    if (!left || end == 0)
        begin = 0;
    *s += begin;
    *n = end - begin;
}

static bool replace(sg_context *g, sg__bytes *text, const char *from, const char *to)
{
    sg__bytes out = {0};
    size_t n = strlen(from);
    bool ok = sg__text_bytes_reserve(g, &out, text->size + 1);
    for (size_t i = 0; i < text->size && ok;) {
        bool here = text->size - i >= n && memcmp(text->data + i, from, n) == 0;
        ok = here ? sg__text_bytes_add(g, &out, to, strlen(to))
                  : sg__text_bytes_add(g, &out, text->data + i, 1);
        i += here ? n : 1;
    }
    sg__text_bytes_free(text);
    *text = out;
    return ok;
}

/* ---- the regular expressions of 13a ------------------------------------------------------- */

static bool is_symbol(unsigned char c) /* ASCII punctuation without ' , - . and white space */
{
    return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
           (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool not_digit(unsigned char c)
{
    return !is_digit(c);
}

static bool is_stop(unsigned char c)
{
    return c == '.' || c == ',';
}

static bool is_dash(unsigned char c)
{
    return c == '-';
}

/* One after the other, from left to right, without overlap; in the replacement, 1 and 2 stand for
 * the bytes matched. A byte that belongs to a longer character counts as no digit, which comes to
 * the same as looking at the character. */
static const struct rule {
    bool (*first)(unsigned char), (*second)(unsigned char);
    const char *replacement;
} rules[] = {
    {is_symbol, NULL, " 1 "},
    {not_digit, is_stop, "1 2 "},
    {is_stop, not_digit, " 1 2"},
    {is_digit, is_dash, "1 2 "},
};

static bool apply_rule(sg_context *g, const struct rule *r, sg__bytes *text)
{
    sg__bytes out = {0};
    bool ok = sg__text_bytes_reserve(g, &out, text->size + 1);
    size_t need = r->second ? 2 : 1;
    for (size_t i = 0; i < text->size && ok;) {
        const char *s = text->data + i;
        bool here = text->size - i >= need && r->first((unsigned char)s[0]) &&
                    (!r->second || r->second((unsigned char)s[1]));
        if (!here)
            ok = sg__text_bytes_add(g, &out, s, 1);
        for (const char *p = r->replacement; here && *p && ok; p++)
            ok = sg__text_bytes_add(g, &out, *p == ' ' ? p : s + (*p - '1'), 1);
        i += here ? need : 1;
    }
    sg__text_bytes_free(text);
    *text = out;
    return ok;
}

/* ---- Chinese ------------------------------------------------------------------------------ */

/* The ranges as sacrebleu's comparisons have them. U+2001 - U+2A6D and U+2F81 - U+2FA1 stand where
 * its source means two planes beyond U+FFFF, but writes five digits behind \u. */
static bool is_chinese(int32_t c)
{
    static const struct {
        int32_t first, last;
    } range[] = {
        {0x2001, 0x2A6D}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x2FFF}, {0x3000, 0x303F},
        {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x33FF}, {0x3400, 0x4DB5},
        {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F},
        {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF},
    };
    for (size_t i = 0; i < sizeof range / sizeof range[0]; i++)
        if (c >= range[i].first && c <= range[i].last)
            return true;
    return false;
}

static bool part_chinese(sg_context *g, const char *s, size_t n, sg__bytes *out)
{
    int32_t c;
    for (size_t i = 0, length; i < n; i += length) {
        length = sg__text_next(s + i, n - i, &c);
        const char *gap = is_chinese(c) ? " " : "";
        if (!sg__text_bytes_add(g, out, gap, strlen(gap)) ||
            !sg__text_bytes_add(g, out, s + i, length) ||
            !sg__text_bytes_add(g, out, gap, strlen(gap)))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------- */

static bool preprocess_13a(sg_context *g, const char *s, size_t n, sg__bytes *out)
{
    static const char *const replaced[][2] = {
        {"<skipped>", ""}, {"-\n", ""},   {"\n", " "},   {"&quot;", "\""},
        {"&amp;", "&"},    {"&lt;", "<"}, {"&gt;", ">"},
    };
    bool ok = sg__text_bytes_add(g, out, s, n);
    for (size_t i = 0; i < sizeof replaced / sizeof replaced[0] && ok; i++)
        ok = replace(g, out, replaced[i][0], replaced[i][1]);
    if (!ok)
        return false;
    sg__bytes line = *out;
    *out = (sg__bytes){0};
    ok = sg__text_bytes_add(g, out, " ", 1) && sg__text_bytes_add(g, out, line.data, line.size) &&
         sg__text_bytes_add(g, out, " ", 1);
    sg__text_bytes_free(&line);
    return ok;
}

/* What white space separates, or code points; each ended by NUL. */
static bool split(sg_context *g, const sg__bytes *text, bool characters, sg__bytes *tokens)
{
    int32_t c;
    bool open = false, ok = true;
    for (size_t i = 0, length; i < text->size && ok; i += length) {
        length = sg__text_next(text->data + i, text->size - i, &c);
        bool space = sg__text_is_space(c);
        if (open && (space || characters))
            ok = sg__text_bytes_add(g, tokens, "", 1);
        open = !space;
        if (!space)
            ok = ok && sg__text_bytes_add(g, tokens, text->data + i, length);
    }
    return ok && (!open || sg__text_bytes_add(g, tokens, "", 1));
}

bool sg__text_bleu_tokenize(sg_context *g, sg_bleu_tokens kind, const char *s, sg__bytes *tokens)
{
    if (!sg__text_valid(g, s))
        return false;
    sg__bytes text = {0};
    size_t n = strlen(s);
    strip(&s, &n, kind == SG_BLEU_ZH);
    bool ok = kind == SG_BLEU_13A  ? preprocess_13a(g, s, n, &text)
              : kind == SG_BLEU_ZH ? part_chinese(g, s, n, &text)
                                   : sg__text_bytes_add(g, &text, s, n);
    if (kind == SG_BLEU_13A || kind == SG_BLEU_ZH)
        for (size_t i = 0; i < sizeof rules / sizeof rules[0] && ok; i++)
            ok = apply_rule(g, &rules[i], &text);
    ok = ok && split(g, &text, kind == SG_BLEU_CHAR, tokens);
    sg__text_bytes_free(&text);
    return ok;
}
