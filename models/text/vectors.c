/* Files of word vectors: word2vec's two formats, and GloVe's. */
#include "models/text/internal.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct vectors {
    sg_vectors public;
    sg_context *g;
    sg__table table;  /* entry i is word i */
    sg__bytes values; /* as f32 */
    const char **words;
} vectors;

/* What is being read, from `at` on. */
typedef struct source {
    const char *path;
    const char *at, *end;
    size_t line; /* of text, from 1 */
} source;

/* ---- words and numbers ---------------------------------------------------------------------- */

static bool bad(vectors *v, const source *s, const char *what)
{
    if (v->public.count == 0 || s->line)
        sg_fail(v->g, SG_BAD_FILE, "%s:%zu: %s", s->path, s->line, what);
    else
        sg_fail(v->g, SG_BAD_FILE, "%s: word %zu: %s", s->path, v->table.entries + 1, what);
    return false;
}

static bool add_word(vectors *v, const source *s, const char *word, size_t n)
{
    size_t before = v->table.entries;
    if (n == 0 || n > INT_MAX)
        return bad(v, s, "a word is missing");
    if (sg_utf8_check(word, n) < n || memchr(word, 0, n))
        return bad(v, s, "the word is not UTF-8");
    if (sg__text_table_add(v->g, &v->table, word, n) < 0)
        return false;
    return v->table.entries > before || bad(v, s, "the word is there already");
}

static bool add_value(vectors *v, const source *s, float x)
{
    if (!isfinite(x))
        return bad(v, s, "a number is not finite");
    return sg__text_bytes_add(v->g, &v->values, &x, sizeof x);
}

/* ---- text ----------------------------------------------------------------------------------- */

/* The next field of a line that ends at `end`; its bytes, 0 at the end of the line. */
static size_t field(const char **at, const char *end)
{
    while (*at < end && (**at == ' ' || **at == '\t'))
        ++*at;
    const char *to = *at;
    while (to < end && *to != ' ' && *to != '\t')
        to++;
    return (size_t)(to - *at);
}

static bool number(vectors *v, const source *s, const char *text, size_t n)
{
    char copy[64], *end;
    if (n >= sizeof copy)
        return bad(v, s, "a number is too long");
    memcpy(copy, text, n);
    copy[n] = 0;
    float x = strtof(copy, &end);
    if (*end || end == copy || strpbrk(copy, "xXnNiIpP")) /* no hexadecimal, no names */
        return bad(v, s, "what should be a number is none");
    return add_value(v, s, x);
}

static bool read_line(vectors *v, source *s)
{
    const char *end = memchr(s->at, '\n', (size_t)(s->end - s->at)), *at = s->at;
    const char *next = end + 1; /* there always is a LF: sg__text_read_file */
    end -= end > at && end[-1] == '\r';
    size_t n = field(&at, end);
    if (!add_word(v, s, at, n))
        return false;
    at += n;
    int numbers = 0;
    for (; (n = field(&at, end)) > 0; at += n, numbers++)
        if (numbers == INT_MAX || !number(v, s, at, n))
            return sg_ok(v->g) ? bad(v, s, "too many numbers") : false;
    if (v->public.size == 0)
        v->public.size = numbers;
    if (numbers == 0 || numbers != v->public.size) {
        sg_fail(v->g, SG_BAD_FILE, "%s:%zu: %d numbers, not %d", s->path, s->line, numbers,
                v->public.size);
        return false;
    }
    s->at = next;
    s->line++;
    return true;
}

/* ---- all formats ---------------------------------------------------------------------------- */

static bool read_header(vectors *v, source *s)
{
    const char *end = memchr(s->at, '\n', (size_t)(s->end - s->at));
    char line[64];
    long long count, size;
    int used = 0;
    size_t n = end ? (size_t)(end - s->at) : sizeof line;
    if (n < sizeof line) {
        memcpy(line, s->at, n);
        line[n] = 0;
        if (sscanf(line, "%19lld %9lld %n", &count, &size, &used) == 2 && (size_t)used == n &&
            count > 0 && count <= INT_MAX && size > 0) {
            v->public.count = (int)count;
            v->public.size = (int)size;
            s->at = end + 1;
            s->line++;
            return true;
        }
    }
    return bad(v, s, "a line \"count size\" is missing");
}

static bool read_text(vectors *v, source *s, bool header)
{
    if (header && !read_header(v, s))
        return false;
    while (s->at < s->end)
        if (!read_line(v, s))
            return false;
    return true;
}

static bool read_binary(vectors *v, source *s)
{
    size_t bytes;
    if (!read_header(v, s))
        return false;
    s->line = 0; /* there are none from here on */
    bytes = (size_t)v->public.size * sizeof(float);
    for (int i = 0; i < v->public.count && s->at < s->end; i++) {
        s->at += *s->at == '\n';
        const char *space = memchr(s->at, ' ', (size_t)(s->end - s->at));
        if (!space || (size_t)(s->end - space - 1) < bytes)
            return bad(v, s, "the file ends in the middle of it");
        if (!add_word(v, s, s->at, (size_t)(space - s->at)))
            return false;
        for (size_t k = 0; k < bytes; k += sizeof(float)) {
            const unsigned char *b = (const unsigned char *)space + 1 + k;
            uint32_t bits =
                b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
            float x;
            memcpy(&x, &bits, sizeof x);
            if (!add_value(v, s, x))
                return false;
        }
        s->at = space + 1 + bytes;
    }
    s->at += s->at < s->end && *s->at == '\n';
    return s->at == s->end || bad(v, s, "the file goes on after the last word");
}

static bool finish(vectors *v, const source *s, bool header)
{
    size_t n = v->table.entries;
    if (header && n != (size_t)v->public.count)
        sg_fail(v->g, SG_BAD_FILE, "%s: %zu words, not %d", s->path, n, v->public.count);
    else if (n == 0 || n > INT_MAX)
        sg_fail(v->g, SG_BAD_FILE, "%s: there are no words", s->path);
    v->words = sg__text_alloc(v->g, n, sizeof *v->words);
    for (size_t i = 0; v->words && i < n; i++)
        v->words[i] = v->table.keys.data + v->table.entry[i].at;
    v->public.count = (int)n;
    v->public.words = v->words;
    v->public.values = (const float *)(const void *)v->values.data;
    return sg_ok(v->g);
}

static sg_vectors *nothing(void)
{
    static sg_vectors none;
    return &none;
}

sg_vectors *sg_vectors_read(sg_context *g, const char *path, sg_vectors_format format)
{
    if (!sg_ok(g))
        return nothing();
    vectors *v = sg__text_alloc(g, 1, sizeof *v);
    if (!v)
        return nothing();
    v->g = g;
    sg__bytes text = {0};
    bool binary = format == SG_WORD2VEC_BINARY, header = format != SG_GLOVE;
    if ((unsigned)format > SG_WORD2VEC_BINARY)
        sg_fail(g, SG_BAD_ARGUMENT, "%s: no such format of vectors (%d)", path, (int)format);
    bool ok = sg_ok(g) && (binary ? sg__text_read_bytes(g, path, &text)
                                  : sg__text_read_file(g, path, false, &text));
    source s = {path, text.data, text.data + text.size, 1};
    if (ok && text.size)
        ok = binary ? read_binary(v, &s) : read_text(v, &s, header);
    if (ok)
        ok = finish(v, &s, header);
    sg__text_bytes_free(&text);
    if (ok)
        return &v->public;
    sg_vectors_free(&v->public);
    return nothing();
}

void sg_vectors_free(sg_vectors *public)
{
    if (public == nothing())
        return;
    vectors *v = (vectors *)public;
    sg__text_table_free(&v->table);
    sg__text_bytes_free(&v->values);
    free(v->words);
    free(v);
}

/* ---- into a table --------------------------------------------------------------------------- */

static int fill(const sg_vectors *v, const sg_vocabulary *vocabulary, int rows, sg_dtype type,
                void *data)
{
    int found = 0;
    for (int i = 0; i < v->count; i++) {
        int32_t id = sg_vocabulary_id(vocabulary, v->words[i]);
        if (id < SG_RESERVED || id >= rows)
            continue;
        found++;
        for (int k = 0; k < v->size; k++) {
            size_t at = (size_t)id * (size_t)v->size + (size_t)k;
            float x = v->values[(size_t)i * (size_t)v->size + (size_t)k];
            if (type == SG_F64)
                ((double *)data)[at] = x;
            else
                ((float *)data)[at] = x;
        }
    }
    return found;
}

int sg_vectors_fill(const sg_vectors *v, const sg_vocabulary *vocabulary, sg_tensor *table)
{
    sg_context *g = sg_context_of(table);
    int rows = sg_vocabulary_size(vocabulary), found = -1;
    if (!sg_ok(g))
        return -1;
    if (sg_rank(table) != 2 || sg_dim(table, 0) != rows || sg_dim(table, 1) != v->size) {
        sg_fail(g, SG_BAD_SHAPE, "vectors: the table is not [%d,%d], as vocabulary and file are",
                rows, v->size);
        return -1;
    }
    const void *old = sg_data(table);
    size_t width = sg_type(table) == SG_F64 ? sizeof(double) : sizeof(float);
    size_t n = (size_t)sg_size(table);
    void *data = old ? sg__text_alloc(g, n, width) : NULL;
    if (data) {
        memcpy(data, old, n * width);
        found = fill(v, vocabulary, rows, sg_type(table), data);
        found = sg_set(table, data) == SG_OK ? found : -1;
    }
    free(data);
    return found;
}
