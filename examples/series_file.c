/* See series_file.h. A .ts file has a header of lines "@name value", "@data", and then a series a
 * line: features separated by ':', their values by ',', and after the last ':' the class. */
#include "examples/series_file.h"
#include "examples/program.h"
#include "examples/recordings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void series_free(series_file *f)
{
    free(f->item);
    free(f->class_names);
    free(f->values);
    *f = (series_file){0};
}

static series_file make(sg_context *g, size_t count, size_t values)
{
    series_file f = {0};
    f.item = calloc(count + 1, sizeof *f.item);
    f.values = calloc(values + 1, sizeof *f.values);
    if (!f.item || !f.values)
        sg_fail(g, SG_NO_MEMORY, "no memory for series of %zu values", values);
    return f;
}

series_file series_of(sg_context *g, int n, const float *values)
{
    series_file f = make(g, 1, (size_t)n);
    if (sg_ok(g) && n > 0)
        memcpy(f.values, values, (size_t)n * sizeof *values);
    f.features = f.count = 1;
    if (f.item)
        f.item[0] = (series_item){f.values, n, 0};
    return f;
}

/* ---- CSV ------------------------------------------------------------------------------------ */

/* The field at a place, without quotes. */
static const char *field(const char *line, int place, char *room, size_t size)
{
    for (; place > 0 && line; place--)
        line = strchr(line, ',') ? strchr(line, ',') + 1 : NULL;
    if (!line)
        return NULL;
    bool quoted = *line == '"';
    size_t n = quoted ? strcspn(line + 1, "\"") : strcspn(line, ",");
    snprintf(room, size, "%.*s", (int)n, line + quoted);
    return room;
}

static series_file read_csv(sg_context *g, const sg_corpus *c, const char *path, const char *column)
{
    enum { FIELD = 128 };
    char room[FIELD], *end;
    const char *s;
    series_file f = make(g, 1, (size_t)c->size);
    int place = 0, n = 0;
    while (sg_ok(g) && (s = c->size ? field(c->source[0], place, room, FIELD) : NULL) &&
           strcmp(s, column) != 0)
        place++;
    if (sg_ok(g) && !s)
        sg_fail(g, SG_BAD_FILE, "%s: no column \"%s\" in the first line", path, column);
    for (int i = 1; i < c->size && sg_ok(g); i++) {
        s = field(c->source[i], place, room, FIELD);
        f.values[n++] = s ? strtof(s, &end) : NAN;
        if (!s || end == s || *end != '\0')
            sg_fail(g, SG_BAD_FILE, "%s:%d: no number in column \"%s\"", path, i + 1, column);
    }
    f.features = f.count = 1;
    if (f.item)
        f.item[0] = (series_item){f.values, n, 0};
    return f;
}

/* ---- .ts ------------------------------------------------------------------------------------ */

static int count_char(const char *s, char c)
{
    int n = 0;
    for (; *s; s++)
        n += *s == c;
    return n;
}

/* The place of a name in a list separated by blanks; -1: it is not there. */
static int place_in(const char *list, const char *name)
{
    int place = 0;
    size_t n = strlen(name);
    for (list += strspn(list, " "); *list; list += strspn(list, " "), place++) {
        size_t m = strcspn(list, " ");
        if (m == n && memcmp(list, name, n) == 0)
            return place;
        list += m;
    }
    return -1;
}

/* One line into x [length, features], where the length is that of the first feature; or -1. */
static int parse(const char *line, int features, float *x)
{
    const char *first = strchr(line, ':');
    int length = 1;
    for (const char *s = line; first && s < first; s++)
        length += *s == ',';
    if (count_char(line, ':') != features || count_char(line, ',') != features * (length - 1))
        return -1; /* so that all of it has room in x */
    for (int k = 0; k < features; k++) {
        int t = 0;
        for (bool more = true; more; t++) {
            char *end;
            float value = *line == '?' ? NAN : strtof(line, &end);
            end = *line == '?' ? (char *)(uintptr_t)line + 1 : end;
            more = *end == ',';
            if (end == line || (!more && *end != ':') || t >= length)
                return -1;
            x[t * features + k] = value;
            line = end + 1;
        }
        if (t != length)
            return -1;
    }
    return length;
}

static void add_series(sg_context *g, series_file *f, const char *path, int number,
                       const char *line, float **x)
{
    int length = parse(line, f->features, *x);
    const char *name = strrchr(line, ':');
    int label = name ? place_in(f->class_names, name + 1) : -1;
    if (length < 0 || label < 0)
        sg_fail(g, SG_BAD_FILE, "%s:%d: %s", path, number,
                length < 0 ? "no series of as many features as the others"
                           : "no class of the list");
    if (!sg_ok(g))
        return;
    f->item[f->count++] = (series_item){*x, length, label};
    *x += length * f->features;
}

static series_file read_ts(sg_context *g, const sg_corpus *c, const char *path)
{
    const char *classes = "";
    int i = 0;
    size_t values = 0;
    for (; i < c->size && strncmp(c->source[i], "@data", 5) != 0; i++)
        if (strncmp(c->source[i], "@classLabel true", 16) == 0)
            classes = c->source[i] + 16;
    if (sg_ok(g) && (i + 1 >= c->size || !*classes))
        sg_fail(g, SG_BAD_FILE, "%s: no @classLabel, or no @data with a series", path);
    for (int k = i + 1; k < c->size; k++)
        values += (size_t)count_char(c->source[k], ',') + (size_t)count_char(c->source[k], ':');
    series_file f = make(g, (size_t)c->size, values);
    f.class_names = malloc(strlen(classes) + 1);
    if (!f.class_names)
        sg_fail(g, SG_NO_MEMORY, "no memory for names of classes");
    if (sg_ok(g)) {
        strcpy(f.class_names, classes);
        f.features = count_char(c->source[i + 1], ':');
        for (const char *s = classes; *(s += strspn(s, " ")); s += strcspn(s, " "))
            f.classes++;
    }
    float *x = f.values;
    for (int k = i + 1; k < c->size && sg_ok(g); k++)
        if (*c->source[k])
            add_series(g, &f, path, k + 1, c->source[k], &x);
    return f;
}

/* ---- recordings, and the choice ------------------------------------------------------------- */

/* The classes are the ten words. */
static series_file of_recordings(sg_context *g, const char *path, const char *name)
{
    enum { ROOM = 8 * RECORDINGS_DIGITS };
    recordings r = recordings_read(g, path, name);
    series_file f = {.features = RECORDINGS_FEATURES, .classes = RECORDINGS_DIGITS, .values = r.x};
    f.item = calloc((size_t)r.count + 1, sizeof *f.item);
    f.class_names = calloc(1, ROOM);
    if (!f.item || !f.class_names)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d recordings", r.count);
    for (; f.item && f.count < r.count; f.count++) {
        const recording *k = &r.item[f.count];
        f.item[f.count] = (series_item){k->x, k->frames, k->digit};
    }
    for (int k = 0; k < RECORDINGS_DIGITS && f.class_names; k++)
        snprintf(f.class_names + strlen(f.class_names), ROOM - strlen(f.class_names), "%s%s",
                 k ? " " : "", recordings_names[k]);
    free(r.item);
    return f;
}

series_file series_read(sg_context *g, const char *path, const char *name, const char *column)
{
    sg_corpus *c = program_lines(g, path, name);
    series_file f;
    int at = 0, digit, index, frames;
    while (at < c->size && (*c->source[at] == '#' || !*c->source[at]))
        at++;
    if (at < c->size && *c->source[at] == '@')
        f = read_ts(g, c, path);
    else if (c->size && sscanf(c->source[0], "%d %*s %d %d", &digit, &index, &frames) == 3)
        f = of_recordings(g, path, name);
    else
        f = read_csv(g, c, path, column);
    sg_corpus_free(c);
    return f;
}
