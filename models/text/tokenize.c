/*
 * Texts into tokens: words or characters. A list of tokens is one buffer in which each token is
 * ended by NUL; valid text has none inside.
 */
#include "models/text/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Where a text is read and its tokens go. */
typedef struct splitter {
    sg_context *g;
    const char *text;
    size_t n;
    sg__bytes *tokens;
    size_t count;
    bool open; /* the last token is not ended yet */
} splitter;

static bool end_token(splitter *s)
{
    if (!s->open)
        return true;
    s->open = false;
    s->count++;
    return sg__text_bytes_add(s->g, s->tokens, "", 1);
}

static bool add(splitter *s, size_t at, size_t length)
{
    s->open = true;
    return sg__text_bytes_add(s->g, s->tokens, s->text + at, length);
}

typedef enum { OTHER, LETTER, DIGIT, MARK } kind; /* a MARK is punctuation or a symbol */

static kind kind_of(int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    if (k == UTF8PROC_CATEGORY_ND)
        return DIGIT;
    if (k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_SO)
        return MARK;
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO ? LETTER : OTHER;
}

/* Whether a mark stands inside a word or number. */
static bool joins(int32_t before, int32_t mark, int32_t after)
{
    kind a = kind_of(before), b = kind_of(after);
    if (mark == ',' || mark == ':')
        return a == DIGIT && b == DIGIT;
    bool inner = mark == '\'' || mark == 0x2019 || mark == '-' || mark == 0x2010 || mark == '.';
    return inner && (a == LETTER || a == DIGIT) && (b == LETTER || b == DIGIT);
}

static bool split_words(splitter *s, bool punctuation)
{
    int32_t before = ' ', c = ' ', after = ' ';
    size_t next = s->n > 0 ? sg__text_next(s->text, s->n, &after) : 0;
    for (size_t at = 0, length; at < s->n; at += length) {
        length = next;
        before = c;
        c = after;
        after = ' ';
        if (at + length < s->n)
            next = sg__text_next(s->text + at + length, s->n - at - length, &after);
        bool ok;
        if (sg__text_is_space(c))
            ok = end_token(s);
        else if (punctuation && kind_of(c) == MARK && !joins(before, c, after))
            ok = end_token(s) && add(s, at, length) && end_token(s);
        else
            ok = add(s, at, length);
        if (!ok)
            return false;
    }
    return end_token(s);
}

static bool split_characters(splitter *s, bool graphemes)
{
    int32_t before = 0, c, state = 0;
    for (size_t at = 0, length; at < s->n; at += length) {
        length = sg__text_next(s->text + at, s->n - at, &c);
        bool joined = graphemes && at > 0 && !utf8proc_grapheme_break_stateful(before, c, &state);
        if ((!joined && !end_token(s)) || !add(s, at, length))
            return false;
        before = c;
    }
    return end_token(s);
}

bool sg__text_tokenizer_valid(sg_context *g, const sg_tokenizer *k)
{
    bool ok = k->units >= SG_UNITS_WORD && k->units <= SG_UNITS_CHAR && k->form >= SG_FORM_AS_IS &&
              k->form <= SG_FORM_NFKC && k->casing >= SG_CASE_KEEP && k->casing <= SG_CASE_FOLD;
    if (!ok)
        sg_fail(g, SG_BAD_ARGUMENT, "tokenizer: no such units, form or casing: %d, %d, %d",
                (int)k->units, (int)k->form, (int)k->casing);
    return ok;
}

bool sg__text_tokenize(sg_context *g, const sg_tokenizer *k, const char *text, sg__bytes *tokens,
                       size_t *count)
{
    char *mapped = NULL;
    *count = 0;
    if (k->form == SG_FORM_AS_IS && k->casing == SG_CASE_KEEP) {
        if (!sg__text_valid(g, text))
            return false;
    } else {
        if (!sg__text_map(g, text, k->form, k->casing, &mapped))
            return false;
        text = mapped;
    }
    splitter s = {.g = g, .text = text, .n = strlen(text), .tokens = tokens};
    bool ok = k->units == SG_UNITS_WORD ? split_words(&s, k->punctuation)
                                        : split_characters(&s, k->graphemes);
    free(mapped);
    *count = s.count;
    return ok;
}

/* Pointers first, then the tokens themselves, in one block. */
typedef struct token_list {
    sg_tokens head;
    const char *text[];
} token_list;

static const sg_tokens nil = {0};

sg_tokens *sg_tokenize(sg_context *g, const sg_tokenizer *tokenizer, const char *text)
{
    sg__bytes tokens = {0};
    size_t count = 0;
    token_list *list = NULL;
    bool ok = sg_ok(g) && sg__text_tokenizer_valid(g, tokenizer) &&
              sg__text_tokenize(g, tokenizer, text, &tokens, &count);
    if (ok && count > INT_MAX)
        sg_fail(g, SG_BAD_ARGUMENT, "text: too long to be tokenized: %zu tokens", count);
    else if (ok)
        list = sg__text_alloc(g, 1, sizeof *list + count * sizeof list->text[0] + tokens.size);
    if (list) {
        char *copy = (char *)(list->text + count);
        if (count > 0)
            memcpy(copy, tokens.data, tokens.size);
        for (size_t i = 0; i < count; i++, copy += strlen(copy) + 1)
            list->text[i] = copy;
        list->head = (sg_tokens){.count = (int)count, .text = list->text};
    }
    sg__text_bytes_free(&tokens);
    return list ? &list->head : (sg_tokens *)&nil;
}

void sg_tokens_free(sg_tokens *t)
{
    if (t != &nil)
        free(t);
}
