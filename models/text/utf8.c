/*
 * UTF-8 and what the Unicode tables say about code points, by utf8proc. Decoding is strict
 * everywhere: text that comes in is checked once, at the border, and taken as valid after that.
 */
#include "models/text/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Length of the longest beginning of a well-formed sequence at s (Unicode table 3-7), at least 1:
 * what one U+FFFD stands for, by the recommendation in chapter 3.9 of the standard. */
static size_t invalid_part(const unsigned char *s, size_t n)
{
    unsigned char lead = s[0];
    if (lead < 0xC2 || lead > 0xF4 || n < 2)
        return 1;
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (s[1] < low || s[1] > high)
        return 1;
    size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4, i = 2;
    while (i < length && i < n && (s[i] & 0xC0) == 0x80)
        i++;
    return i;
}

size_t sg__text_next(const char *s, size_t n, int32_t *codepoint)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80) {
        *codepoint = u[0];
        return 1;
    }
    utf8proc_int32_t c;
    utf8proc_ssize_t length = utf8proc_iterate(u, n < 4 ? (utf8proc_ssize_t)n : 4, &c);
    *codepoint = length > 0 ? c : -1;
    return length > 0 ? (size_t)length : invalid_part(u, n);
}

/* White space as Python's str.split has it, which BLEU is defined by: White_Space of Unicode and
 * the four information separators of ASCII. */
bool sg__text_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

size_t sg_utf8_check(const char *text, size_t size)
{
    int32_t c;
    for (size_t i = 0, length; i < size; i += length) {
        length = sg__text_next(text + i, size - i, &c);
        if (c < 0)
            return i;
    }
    return size;
}

bool sg__text_valid(sg_context *g, const char *text)
{
    if (!text) {
        sg_fail(g, SG_BAD_ARGUMENT, "text: NULL instead of a string");
        return false;
    }
    size_t n = strlen(text), at = sg_utf8_check(text, n);
    if (at < n)
        sg_fail(g, SG_BAD_ARGUMENT, "text: invalid UTF-8 at byte %zu", at);
    return at == n;
}

bool sg__text_replace(sg_context *g, const char *s, size_t n, sg__bytes *out)
{
    int32_t c;
    for (size_t i = 0, length; i < n; i += length) {
        length = sg__text_next(s + i, n - i, &c);
        bool ok = c < 0 ? sg__text_bytes_add(g, out, "\xEF\xBF\xBD", 3)
                        : sg__text_bytes_add(g, out, s + i, length);
        if (!ok)
            return false;
    }
    return true;
}

int sg_text_width(const char *text)
{
    int width = 0;
    size_t n = strlen(text);
    int32_t c;
    for (size_t i = 0; i < n && width < INT_MAX - 2;) {
        i += sg__text_next(text + i, n - i, &c);
        width += c < 0 ? 1 : utf8proc_charwidth(c);
    }
    return width;
}

static utf8proc_int32_t lower(utf8proc_int32_t c, void *unused)
{
    (void)unused;
    return utf8proc_tolower(c);
}

bool sg__text_map(sg_context *g, const char *text, sg_form form, sg_case casing, char **out)
{
    static const int form_flags[] = {
        [SG_FORM_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [SG_FORM_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
    };
    if (!sg__text_valid(g, text))
        return false;
    int flags = form_flags[form] | (casing == SG_CASE_FOLD ? UTF8PROC_CASEFOLD : 0);
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t n =
        utf8proc_map_custom((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)strlen(text), &mapped,
                            (utf8proc_option_t)flags, casing == SG_CASE_LOWER ? lower : NULL, NULL);
    if (n < 0) {
        sg_fail(g, n == UTF8PROC_ERROR_NOMEM ? SG_NO_MEMORY : SG_BAD_ARGUMENT, "text: %s",
                utf8proc_errmsg(n));
        return false;
    }
    *out = (char *)mapped;
    return true;
}

size_t sg_text_map(sg_context *g, const char *text, sg_form form, sg_case casing, size_t size,
                   char *out)
{
    sg__cut cut = {.out = out, .size = size};
    char *mapped = NULL;
    if (sg_ok(g) && sg__text_tokenizer_valid(g, &(sg_tokenizer){.form = form, .casing = casing}) &&
        sg__text_map(g, text, form, casing, &mapped))
        sg__text_cut_add(&cut, mapped, strlen(mapped));
    free(mapped);
    return sg__text_cut_end(&cut);
}
