/*
 * Pairs of sentences. Files are split where they lie: the texts of a corpus point into the one or
 * two buffers that hold its files, which the corpus owns.
 */
#include "models/text/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct corpus {
    sg_corpus head;
    sg__bytes file[2];
    const char **text; /* [2 size]: sources, then targets */
} corpus;

static const sg_corpus nil = {0};

void sg_corpus_free(sg_corpus *c)
{
    if (!c || c == &nil)
        return;
    corpus *k = (corpus *)c;
    sg__text_bytes_free(&k->file[0]);
    sg__text_bytes_free(&k->file[1]);
    free(k->text);
    free(k);
}

static sg_corpus *finish(corpus *c, bool ok)
{
    if (ok)
        return &c->head;
    if (c)
        sg_corpus_free(&c->head);
    return (sg_corpus *)&nil;
}

static bool count_lines(sg_context *g, const char *path, const sg__bytes *b, int *lines)
{
    size_t n = 0;
    for (size_t i = 0; i < b->size; i++)
        n += b->data[i] == '\n';
    *lines = n <= INT_MAX / 2 ? (int)n : -1;
    if (*lines < 0)
        sg_fail(g, SG_BAD_FILE, "%s: too many lines: %zu", path, n);
    return *lines >= 0;
}

/* Ends the line that starts at *next by NUL, without its LF or CRLF, and moves on. */
static char *take_line(char **next)
{
    char *line = *next, *end = strchr(line, '\n');
    *next = end + 1;
    *end = '\0';
    if (end > line && end[-1] == '\r')
        end[-1] = '\0';
    return line;
}

/* The room for n pairs; they come in order. */
static bool make_room(sg_context *g, corpus *c, int n)
{
    c->text = sg__text_alloc(g, 2 * (size_t)n, sizeof *c->text);
    c->head = (sg_corpus){.size = n, .source = c->text, .target = c->text ? c->text + n : NULL};
    return c->text != NULL;
}

static bool read_two(const sg_corpus_options *o, corpus *c)
{
    const char *path[2] = {o->path, o->target_path};
    /* a file with itself, which is whole lines, may be a pipe: it is read once */
    int lines[2], files = strcmp(path[0], path[1]) == 0 ? 1 : 2;
    for (int k = 0; k < files; k++)
        if (!sg__text_read_file(o->g, path[k], o->replace_invalid, &c->file[k]) ||
            !count_lines(o->g, path[k], &c->file[k], &lines[k]))
            return false;
    if (files == 2 && lines[0] != lines[1]) {
        sg_fail(o->g, SG_BAD_FILE, "corpus: %s has %d lines, %s has %d", path[0], lines[0], path[1],
                lines[1]);
        return false;
    }
    int n = lines[0];
    if (!make_room(o->g, c, n))
        return false;
    for (int k = 0; k < files; k++) {
        char *next = c->file[k].data;
        for (int i = 0; i < n; i++)
            c->text[k * n + i] = take_line(&next);
    }
    if (files == 1)
        memcpy(c->text + n, c->text, (size_t)n * sizeof *c->text);
    return true;
}

static char *column(char *line, int number)
{
    while (number-- > 0 && line) {
        line = strchr(line, '\t');
        if (line)
            line++;
    }
    return line;
}

static bool read_columns(const sg_corpus_options *o, corpus *c)
{
    int source = o->source_column, target = o->target_column, lines;
    if (source == 0 && target == 0)
        target = 1;
    if (!sg__text_read_file(o->g, o->path, o->replace_invalid, &c->file[0]) ||
        !count_lines(o->g, o->path, &c->file[0], &lines) || !make_room(o->g, c, lines))
        return false;
    int n = 0;
    char *next = c->file[0].data;
    for (int i = 0; i < lines; i++) {
        char *line = take_line(&next);
        if (line[0] == '\0' && target != SG_NO_COLUMN)
            continue;
        char *s = column(line, source), *t = target == SG_NO_COLUMN ? "" : column(line, target);
        if (!s || !t) {
            int have = 1;
            for (const char *p = line; (p = strchr(p, '\t')); p++)
                have++;
            sg_fail(o->g, SG_BAD_FILE, "%s:%d: no column %d, only %d (counted from 0)", o->path,
                    i + 1, s ? target : source, have);
            return false;
        }
        c->text[n] = s;
        c->text[lines + n++] = t;
        s[strcspn(s, "\t")] = '\0';
        if (target != SG_NO_COLUMN)
            t[strcspn(t, "\t")] = '\0';
    }
    memmove(c->text + n, c->text + lines, (size_t)n * sizeof *c->text);
    c->head.size = n;
    c->head.target = c->text + n;
    return true;
}

sg_corpus *sg_corpus_read_(sg_corpus_options o)
{
    if (!sg_ok(o.g))
        return (sg_corpus *)&nil;
    if (!o.path || o.source_column < 0 || o.target_column < SG_NO_COLUMN ||
        (o.target_path && (o.source_column != 0 || o.target_column != 0))) {
        sg_fail(o.g, SG_BAD_ARGUMENT,
                "corpus: a path is needed, and columns of one file, not %d and %d of %s",
                o.source_column, o.target_column, o.target_path ? "two" : "one");
        return (sg_corpus *)&nil;
    }
    corpus *c = sg__text_alloc(o.g, 1, sizeof *c);
    return finish(c, c && (o.target_path ? read_two(&o, c) : read_columns(&o, c)));
}

/* Copies n texts one after the other, each ended by NUL. */
static bool copy(sg_context *g, int n, const char *const *text, sg__bytes *out)
{
    for (int i = 0; i < n; i++)
        if (!sg__text_valid(g, text[i]) ||
            !sg__text_bytes_add(g, out, text[i], strlen(text[i]) + 1))
            return false;
    return true;
}

static void point(int n, const sg__bytes *b, const char **text)
{
    const char *next = b->data;
    for (int i = 0; i < n; i++) {
        text[i] = next;
        next += strlen(next) + 1;
    }
}

static bool copy_pairs(sg_context *g, corpus *c, int n, const char *const *source,
                       const char *const *target)
{
    if (!make_room(g, c, n) || !copy(g, n, source, &c->file[0]) ||
        (target && !copy(g, n, target, &c->file[1])))
        return false;
    point(n, &c->file[0], c->text);
    if (target)
        point(n, &c->file[1], c->text + n);
    else
        for (int i = 0; i < n; i++)
            c->text[n + i] = "";
    return true;
}

sg_corpus *sg_corpus_of(sg_context *g, int n, const char *const *source, const char *const *target)
{
    if (!sg_ok(g))
        return (sg_corpus *)&nil;
    if (n < 0 || n > INT_MAX / 2 || (n > 0 && !source)) {
        sg_fail(g, SG_BAD_ARGUMENT, "corpus: %d pairs at %p", n, (const void *)source);
        return (sg_corpus *)&nil;
    }
    corpus *c = sg__text_alloc(g, 1, sizeof *c);
    return finish(c, c && copy_pairs(g, c, n, source, target));
}
