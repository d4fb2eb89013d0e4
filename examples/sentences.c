/* See sentences.h. */
#include "examples/sentences.h"

#include "examples/program.h"

#include <stdlib.h>
#include <string.h>

/* ---- opinions ------------------------------------------------------------------------------- */

/* One of `n` words, the first half of which is good. */
static const char *pick(uint64_t *state, int n, const char *const *words, bool *good)
{
    int i = (int)(program_draw(state) % (uint64_t)n);
    *good = i < n / 2;
    return words[i];
}

/* "the plot is not dull": good, like "the music is great". */
static bool clause(uint64_t *state, char *s, size_t room)
{
    static const char *const things[] = {"plot", "acting", "music", "end", "film", "hero"};
    static const char *const adverbs[] = {"", " very", " not", " never", " not very", " really"};
    static const char *const judged[] = {"great", "moving", "funny", "bright", "brave",
                                         "awful", "boring", "dull",  "silly",  "weak"};
    bool good, unused;
    const char *thing = pick(state, 6, things, &unused), *adverb = pick(state, 6, adverbs, &unused);
    const char *adjective = pick(state, 10, judged, &good);
    snprintf(s, room, "the %s is%s %s", thing, adverb, adjective);
    return good != (strncmp(adverb, " n", 2) == 0);
}

sg_corpus *sentences_opinions(sg_context *g, int n, uint64_t seed)
{
    enum { CLAUSE = 64, ROOM = 200 };
    char(*room)[ROOM] = malloc((size_t)n * sizeof *room), a[CLAUSE], b[CLAUSE];
    const char **text = malloc(2 * (size_t)n * sizeof *text);
    for (int i = 0; room && text && i < n; i++) {
        bool first = clause(&seed, a, CLAUSE), second = clause(&seed, b, CLAUSE);
        bool but = program_draw(&seed) % 2 == 0;
        snprintf(room[i], ROOM, "%s %s %s", a, but ? "but" : "although", b);
        text[i] = room[i];
        text[n + i] = (but ? second : first) ? "good" : "bad";
    }
    if (!room || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d opinions", n);
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, text, text ? text + n : NULL);
    free(room);
    free(text);
    return c;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* "3 How far is it": the class and the sentence. */
static sg_corpus *read_labelled(sg_context *g, const char *path)
{
    sg_corpus *c = sg_corpus_read(g, path, path, .replace_invalid = true);
    size_t n = (size_t)c->size, room = 1, count = 0;
    for (size_t i = 0; i < n; i++)
        room += strcspn(c->source[i], " \t") + 1;
    char *classes = malloc(room), *to = classes;
    const char **text = malloc(2 * n * sizeof *text + 1);
    if (!classes || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %zu sentences", n);
    for (size_t i = 0; i < n && sg_ok(g); i++) {
        const char *line = c->source[i];
        size_t end = strcspn(line, " \t");
        if (!*line)
            continue;
        text[count] = line + end + strspn(line + end, " \t");
        text[n + count] = to;
        to += sprintf(to, "%.*s", (int)end, line) + 1;
        if (!*text[count++])
            sg_fail(g, SG_BAD_FILE, "%s:%zu: no sentence behind the class", path, i + 1);
    }
    sg_corpus *made = sg_corpus_of(g, sg_ok(g) ? (int)count : 0, text, text ? text + n : NULL);
    free(classes);
    free(text);
    sg_corpus_free(c);
    return made;
}

/* NEG,POS: the classes 0, 1 … are the files' places. */
static sg_corpus *read_files(sg_context *g, const char *paths)
{
    enum { FILES = 10, PATH = 1024 };
    static const char *const names[FILES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    sg_corpus *part[FILES];
    size_t files = 0, n = 0;
    int commas = 0;
    for (const char *s = paths; *s; s++)
        commas += *s == ',';
    if (commas >= FILES)
        sg_fail(g, SG_BAD_ARGUMENT, "%s: more than %d files", paths, FILES);
    for (const char *s = paths; *s && sg_ok(g); s += strcspn(s, ","), s += *s == ',') {
        char path[PATH];
        snprintf(path, sizeof path, "%.*s", (int)strcspn(s, ","), s);
        part[files] = sg_corpus_read(g, path, path, .replace_invalid = true);
        n += (size_t)part[files++]->size;
    }
    const char **text = malloc(2 * n * sizeof *text + 1);
    size_t at = 0;
    for (size_t f = 0; text && f < files; f++)
        for (int i = 0; i < part[f]->size; i++, at++) {
            text[at] = part[f]->source[i];
            text[n + at] = names[f];
        }
    sg_corpus *made = sg_corpus_of(g, (int)at, text, text ? text + n : NULL);
    for (size_t f = 0; f < files; f++)
        sg_corpus_free(part[f]);
    free(text);
    return made;
}

sg_corpus *sentences_read(sg_context *g, const void *unused, const char *paths, const char *name)
{
    (void)unused;
    if (!program_given(g, paths, name))
        return sg_corpus_of(g, 0, NULL, NULL);
    return strchr(paths, ',') ? read_files(g, paths) : read_labelled(g, paths);
}

/* ---- subwords ------------------------------------------------------------------------------- */

static int subwords_of(const char *word, int buckets, int32_t places[SUBWORDS])
{
    char whole[256];
    snprintf(whole, sizeof whole, "<%s>", word);
    int n = (int)strlen(whole), count = 0;
    for (int i = 0; i + 3 <= n && count < SUBWORDS; i++) {
        uint64_t hash = 0;
        for (int k = 0; k < 3; k++)
            hash = hash << 8 | (unsigned char)whole[i + k];
        places[count++] = (int32_t)(program_draw(&hash) % (uint64_t)buckets);
    }
    return count;
}

void sentences_subwords(sg_context *g, const sg_tokenizer *words, int n, const char *const *text,
                        int time, int buckets, int32_t *places, float *weights)
{
    size_t row = (size_t)time * SUBWORDS;
    memset(places, 0, (size_t)n * row * sizeof *places);
    memset(weights, 0, (size_t)n * row * sizeof *weights);
    for (int i = 0; i < n; i++) {
        sg_tokens *tokens = sg_tokenize(g, words, text[i]);
        for (int t = 0; t < time && t < tokens->count; t++) {
            size_t at = (size_t)i * row + (size_t)t * SUBWORDS;
            int count = subwords_of(tokens->text[t], buckets, places + at);
            for (int k = 0; k < count; k++)
                weights[at + (size_t)k] = 1 / (float)count;
        }
        sg_tokens_free(tokens);
    }
}
