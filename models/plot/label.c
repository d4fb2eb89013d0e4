/*
 * Labels: texts of unknown origin made fit for a terminal and for XML. No byte of a label can move
 * a terminal's cursor or end an element, and the columns it takes are known.
 */
#include "models/plot/draw.h"

#include <string.h>
#include <utf8proc.h>

enum { BAD = 0xfffd, OPEN_BOX = 0x2423, DOTTED_CIRCLE = 0x25cc };

/* What is shown for a code point; 0: nothing. Invisible formatting (joiners, direction marks) and
 * variation selectors are left out: terminals disagree about the width of what they would form. */
static int32_t shown(int32_t c)
{
    if ((c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef))
        return 0;
    if (c == '\n' || c == '\t' || c == '\r')
        return c;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CF:
        return 0;
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return ' ';
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CN: /* not assigned, so of unknown width; XML forbids some of them */
        return BAD;
    default:
        return c;
    }
}

/* Decodes one code point of n bytes at s; what is damaged counts as one byte. */
static size_t decode(const char *s, size_t n, int32_t *c)
{
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, c);
    if (used > 0)
        return (size_t)used;
    *c = BAD;
    return 1;
}

typedef struct cut {
    size_t bytes;
    int width, glyphs;
} cut;

/* Appends a code point; false when it does not fit. Room for the '~' is always left. */
static bool append(sg__label *l, size_t *bytes, int32_t c, int most)
{
    utf8proc_uint8_t code[4];
    utf8proc_ssize_t n = utf8proc_encode_char(c, code);
    int width = utf8proc_charwidth(c);
    if (l->width + width > most || *bytes + (size_t)n + 2 > sizeof l->text)
        return false;
    memcpy(l->text + *bytes, code, (size_t)n);
    *bytes += (size_t)n;
    l->width += width;
    l->glyphs += width > 0;
    return true;
}

void sg__set_label(sg__label *l, const char *s, int most)
{
    *l = (sg__label){.width = 0};
    size_t left = s == NULL ? 0 : strlen(s), bytes = 0;
    cut keep = {0}; /* as far as a '~' fits behind */
    bool blank = true, fits = true;
    while (left > 0 && fits) {
        int32_t c;
        size_t used = decode(s, left, &c);
        s += used;
        left -= used;
        c = shown(c);
        if (c == 0)
            continue;
        if (c == '\n' || c == '\t' || c == '\r') { /* as in C: fonts have no signs for them */
            fits = append(l, &bytes, '\\', most);
            c = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
        }
        blank = blank && utf8proc_category(c) == UTF8PROC_CATEGORY_ZS;
        if (utf8proc_charwidth(c) == 0 && l->glyphs == 0) /* a mark with nothing to stand on */
            fits = append(l, &bytes, DOTTED_CIRCLE, most);
        fits = fits && append(l, &bytes, c, most);
        if (fits && l->width < most)
            keep = (cut){bytes, l->width, l->glyphs};
    }
    if (!fits) {
        l->text[keep.bytes] = '~';
        bytes = keep.bytes + 1;
        l->width = keep.width + 1;
        l->glyphs = keep.glyphs + 1;
    }
    l->text[bytes] = '\0';
    if (blank && fits) {
        int n = l->glyphs;
        *l = (sg__label){.width = 0};
        for (bytes = 0; n > 0; n--)
            append(l, &bytes, OPEN_BOX, most);
        l->text[bytes] = '\0';
    }
}

const char *sg__next_glyph(const char *s, int *width)
{
    *width = 0;
    for (const char *end = s; *s != '\0'; s = end) {
        int32_t c;
        end = s + decode(s, strlen(s), &c);
        int w = utf8proc_charwidth(c);
        if (*width > 0 && w > 0)
            return s;
        *width += w;
    }
    return s;
}
