/* See pairs.h. */
#include "examples/pairs.h"
#include "examples/dates.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *const pairs_formats[] = {"text", "scan", "inflection", "babi", NULL};

/* A text that is being written; there is room for it. */
static void put(char **to, const char *from, size_t n)
{
    memcpy(*to, from, n);
    *to += n;
}

static size_t character(const char *s) /* bytes of the first one, which is valid UTF-8 */
{
    size_t n = 1;
    while (((unsigned char)s[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* What pairs are made of, with room for all texts that are made; sources, then targets. */
typedef struct maker {
    sg_context *g;
    const char *path;
    char *text, *to;
    const char **pair;
    int size;
} maker;

static maker begin(sg_context *g, const char *path, const sg_corpus *c)
{
    size_t n = (size_t)c->size, room = 1;
    for (size_t i = 0; i < n; i++) /* " ␣" of a space is the worst */
        room += 4 * strlen(c->source[i]) + strlen(c->target[i]) + 1;
    maker m = {g, path, malloc(room), NULL, malloc((2 * n + 1) * sizeof *m.pair), c->size};
    if (!m.text || !m.pair)
        sg_fail(g, SG_NO_MEMORY, "%s: no memory for %zu lines", path, n);
    m.to = m.text;
    return m;
}

static sg_corpus *finish(maker *m)
{
    int n = sg_ok(m->g) ? m->size : 0;
    sg_corpus *c = sg_corpus_of(m->g, n, m->pair, m->pair ? m->pair + m->size : NULL);
    free(m->pair);
    free(m->text);
    return c;
}

/* ---- formats -------------------------------------------------------------------------------- */

static sg_corpus *scan(sg_context *g, pairs_file f)
{
    static const char in[] = "IN: ", out[] = " OUT: ";
    sg_corpus *lines = sg_corpus_read(g, f.path, .target_column = SG_NO_COLUMN);
    maker m = begin(g, f.path, lines);
    for (int i = 0; i < m.size && sg_ok(g); i++) {
        const char *line = lines->source[i], *end = strstr(line, out);
        if (!end && !f.sources_only)
            sg_fail(g, SG_BAD_FILE, "%s:%d: no \"OUT: \"", f.path, i + 1);
        line += strncmp(line, in, strlen(in)) == 0 ? strlen(in) : 0;
        m.pair[i] = m.to;
        m.pair[m.size + i] = end ? end + strlen(out) : "";
        put(&m.to, line, end ? (size_t)(end - line) : strlen(line));
        put(&m.to, "", 1);
    }
    sg_corpus *c = finish(&m);
    sg_corpus_free(lines);
    return c;
}

static sg_corpus *inflection(sg_context *g, pairs_file f)
{
    sg_corpus *tags = sg_corpus_read(g, f.path, .source_column = 0, .target_column = 1);
    sg_corpus *forms =
        f.sources_only ? tags : sg_corpus_read(g, f.path, .source_column = 0, .target_column = 2);
    if (sg_ok(g) && forms->size != tags->size) /* both are read of one path, which may be a pipe */
        sg_fail(g, SG_BAD_FILE, "%s: gave %d lines, then %d: not a file", f.path, tags->size,
                forms->size);
    maker m = begin(g, f.path, tags);
    for (int i = 0; i < m.size && sg_ok(g); i++) {
        m.pair[i] = m.to;
        m.pair[m.size + i] = f.sources_only ? "" : forms->target[i];
        for (const char *p = tags->target[i]; *p; p++)
            put(&m.to, *p == ',' ? " " : p, 1);
        for (const char *p = tags->source[i]; *p; p += character(p)) {
            put(&m.to, " ", 1);
            put(&m.to, *p == ' ' ? "␣" : p, *p == ' ' ? strlen("␣") : character(p));
        }
        put(&m.to, "", 1);
    }
    sg_corpus *c = finish(&m);
    if (forms != tags)
        sg_corpus_free(forms);
    sg_corpus_free(tags);
    return c;
}

/* A sentence in small letters, its last mark apart. */
static void put_sentence(char **to, const char *s, size_t n)
{
    while (n && s[n - 1] == ' ')
        n--;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '.' || s[i] == '?')
            put(to, " ", 1);
        char c = (char)tolower((unsigned char)s[i]);
        put(to, &c, 1);
    }
    put(to, " ", 1);
}

/* A question of the line i, at `to`, together with what its story has told before it. */
static void put_question(maker *m, int i, const char *story, size_t told, const char *s)
{
    size_t length = strcspn(s, "\t");
    m->pair[i] = m->to;
    put(&m->to, story, told);
    put(&m->to, "| ", 2);
    put_sentence(&m->to, s, length);
    put(&m->to, "", 1);
    m->pair[m->size + i] = m->to;
    for (s += length + 1; *s && *s != '\t'; s++)
        put(&m->to, *s == ',' ? " " : s, 1);
    put(&m->to, "", 1);
}

/* Lines are numbered, from 1 in each story; a question has a tab before its answer. */
static sg_corpus *babi(sg_context *g, pairs_file f)
{
    sg_corpus *lines = sg_corpus_read(g, f.path, f.path);
    size_t n = (size_t)lines->size, all = 1, room = 1, so_far = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length = 2 * strlen(lines->source[i]) + 8;
        so_far = strncmp(lines->source[i], "1 ", 2) == 0 ? length : so_far + length;
        room += strchr(lines->source[i], '\t') ? 2 * so_far : 0;
        all += length;
    }
    maker m = {g, f.path, malloc(room), NULL, malloc((2 * n + 1) * sizeof *m.pair), lines->size};
    char *story = malloc(all), *told = story;
    int pairs = 0;
    if (!m.text || !m.pair || !story)
        sg_fail(g, SG_NO_MEMORY, "%s: no memory for %zu lines", f.path, n);
    m.to = m.text;
    for (int i = 0; i < m.size && sg_ok(g); i++) {
        const char *line = lines->source[i], *s = line + strspn(line, "0123456789");
        told = atoi(line) == 1 ? story : told;
        if (s == line || *s != ' ')
            sg_fail(g, SG_BAD_FILE, "%s:%d: no number", f.path, i + 1);
        else if (strchr(s, '\t'))
            put_question(&m, pairs++, story, (size_t)(told - story), s + 1);
        else
            put_sentence(&told, s + 1, strlen(s + 1));
    }
    for (int i = 0; i < pairs && sg_ok(g); i++) /* targets follow as many sources as there are */
        m.pair[pairs + i] = m.pair[m.size + i];
    m.size = pairs;
    sg_corpus *c = finish(&m);
    free(story);
    sg_corpus_free(lines);
    return c;
}

static sg_corpus *text(sg_context *g, pairs_file f)
{
    if (f.target_path)
        return sg_corpus_read(g, f.path, f.target_path);
    return sg_corpus_read(g, f.path, .source_column = f.source_column,
                          .target_column = f.sources_only ? SG_NO_COLUMN : f.target_column);
}

sg_corpus *pairs_read(sg_context *g, pairs_format format, pairs_file f)
{
    static sg_corpus *(*const read[])(sg_context *, pairs_file) = {text, scan, inflection, babi};
    return read[format](g, f);
}

static sg_corpus *read(sg_context *g, const pairs_options *o, const char *name, const char *file,
                       const char *source, const char *target)
{
    pairs_file f = {file ? file : source, file ? NULL : target, o->source_column, o->target_column,
                    false};
    if (!file && !(source && target)) {
        sg_fail(g, SG_BAD_ARGUMENT, "no %s data: --%s F, or --%s-src F and --%s-tgt F", name, name,
                name, name);
        return sg_corpus_of(g, 0, NULL, NULL);
    }
    sg_corpus *c = pairs_read(g, (pairs_format)o->format, f);
    if (sg_ok(g) && c->size == 0)
        sg_fail(g, SG_BAD_ARGUMENT, "%s: there is no pair in it", f.path);
    return c;
}

sg_corpus *pairs_train(sg_context *g, const pairs_options *o, const char *file)
{
    return read(g, o, "train", file, o->train_src, o->train_tgt);
}

sg_corpus *pairs_valid(sg_context *g, const pairs_options *o, const char *file)
{
    if (!file && !o->valid_src && !o->valid_tgt)
        return NULL;
    return read(g, o, "valid", file, o->valid_src, o->valid_tgt);
}

sg_corpus *pairs_test(sg_context *g, const pairs_options *o, const char *file)
{
    return read(g, o, "test", file, o->test_src, o->test_tgt);
}

/* ---- units ---------------------------------------------------------------------------------- */

void pairs_units(sg_context *g, const pairs_options *o, sg_tokenizer *source, sg_tokenizer *target)
{
    static const char *const of_format[] = {"char", "token", "token,char", "token"};
    static const char *const names[] = {"char", "word", "token"};
    sg_tokenizer *side[] = {source, target};
    char text[2][8] = {"", ""};
    const char *units = o->units ? o->units : of_format[o->format];
    int n = sscanf(units, "%7[a-z],%7[a-z]", text[0], text[1]);
    for (int i = 0; i < 2; i++) {
        int k = 0;
        while (k < 3 && strcmp(text[n == 2 ? i : 0], names[k]) != 0)
            k++;
        if (k == 3)
            sg_fail(g, SG_BAD_ARGUMENT, "units are \"%s\", but can be char, word, token", units);
        side[i]->units = k == 0 ? SG_UNITS_CHAR : SG_UNITS_WORD;
        side[i]->punctuation = k == 1;
        side[i]->casing = o->lower ? SG_CASE_LOWER : SG_CASE_KEEP;
    }
}

/* ---- dates ---------------------------------------------------------------------------------- */

sg_corpus *pairs_dates(sg_context *g, uint64_t seed, bool test, int n)
{
    date_pair *p = malloc((size_t)n * sizeof *p);
    const char **all = malloc(2 * (size_t)n * sizeof *all);
    if (!p || !all)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d dates", n);
    else
        dates_generate(seed, test, n, p);
    for (int i = 0; i < n && sg_ok(g); i++) {
        all[i] = p[i].source;
        all[n + i] = p[i].target;
    }
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, all, all ? all + n : NULL);
    free(p);
    free(all);
    return c;
}
