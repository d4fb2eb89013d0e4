/* See tags_file.h. */
#include "examples/tags_file.h"
#include "examples/program.h"

#include <stdlib.h>
#include <string.h>

/* ---- files ---------------------------------------------------------------------------------- */

enum { COLUMNS = 64, CONLLU = 10, FORM = 2, UPOS = 4 };

typedef struct field {
    const char *s;
    size_t n;
} field;

/* The columns of a line, where tabs part them if there are any; how many they are. */
static int columns_of(const char *line, field column[COLUMNS])
{
    const char *between = strchr(line, '\t') ? "\t" : " ";
    int n = 0;
    for (line += strspn(line, " "); *line && n < COLUMNS; n++) {
        column[n] = (field){line, strcspn(line, between)};
        line += column[n].n;
        line += *between == '\t' ? *line == '\t' : strspn(line, " ");
    }
    return n;
}

static bool blank(const char *line)
{
    return line[strspn(line, " \t")] == '\0';
}

static bool is_conllu(const sg_corpus *c)
{
    field column[COLUMNS];
    for (int i = 0; i < c->size; i++)
        if (!blank(c->source[i]) && *c->source[i] != '#')
            return columns_of(c->source[i], column) == CONLLU;
    return false;
}

typedef enum { WORD, NO_WORD, WRONG } line_kind;

/* The word and the tag of a line. */
static line_kind read_line(const char *line, bool conllu, int chosen, field *word, field *tag)
{
    field column[COLUMNS];
    int n = columns_of(line, column), at = chosen ? chosen : conllu ? UPOS : n;
    if (conllu && (*line == '#' || (n && line[strspn(line, "0123456789")] != '\t')))
        return NO_WORD;
    if (n < 2 || at > n || column[at - 1].n == 0)
        return WRONG;
    *word = column[conllu ? FORM - 1 : 0];
    *tag = column[at - 1];
    return word->n ? WORD : WRONG;
}

/* A word as one token: one that holds a white space of its own, such as one that does not break,
 * is shown by a sign. */
static field one_token(sg_context *g, field word)
{
    enum { MOST = 256 };
    char text[MOST];
    snprintf(text, sizeof text, "%.*s", (int)(word.n < MOST ? word.n : MOST - 1), word.s);
    size_t valid = sg_utf8_check(text, strlen(text)); /* it may have been cut */
    text[valid] = '\0';
    sg_tokens *t = sg_tokenize(g, &(sg_tokenizer){.units = SG_UNITS_WORD}, text);
    bool one = t->count == 1 && strlen(t->text[0]) == valid;
    sg_tokens_free(t);
    return one ? (field){word.s, valid} : (field){"\xe2\x90\xa3", 3};
}

/* What was read so far: sentences, and their tags from text[most] on. */
typedef struct reading {
    char *words, *tags, *at, *tags_at; /* where the next ones go */
    const char **text;
    int count, most;
    bool open; /* the last sentence has not ended */
} reading;

static void add_word(char **at, field word, bool first)
{
    if (!first)
        (*at)[-1] = ' ';
    memcpy(*at, word.s, word.n);
    *at += word.n;
    *(*at)++ = '\0';
}

static void add_line(sg_context *g, reading *r, field word, field tag)
{
    if (!r->open) {
        r->text[r->count] = r->at;
        r->text[r->most + r->count++] = r->tags_at;
    }
    add_word(&r->at, one_token(g, word), !r->open);
    add_word(&r->tags_at, one_token(g, tag), !r->open);
    r->open = true;
}

sg_corpus *tags_read(sg_context *g, const char *path, const char *name, int column)
{
    program_given(g, path, name);
    sg_corpus *c = sg_corpus_read(g, path, path, .replace_invalid = true);
    bool conllu = is_conllu(c);
    size_t size = 1, n = (size_t)c->size + 1;
    for (int i = 0; i < c->size; i++)
        size += strlen(c->source[i]) + 4; /* a sign may be longer than a word */
    reading r = {.words = malloc(size), .tags = malloc(size), .most = c->size};
    r.at = r.words;
    r.tags_at = r.tags;
    r.text = malloc(2 * n * sizeof *r.text);
    if (!r.words || !r.tags || !r.text)
        sg_fail(g, SG_NO_MEMORY, "%s: no memory for %d lines", path ? path : "", c->size);
    for (int i = 0; i < c->size && sg_ok(g); i++) {
        field word, tag;
        line_kind kind = WORD;
        if (blank(c->source[i]))
            r.open = false;
        else if ((kind = read_line(c->source[i], conllu, column, &word, &tag)) == WORD)
            add_line(g, &r, word, tag);
        if (kind == WRONG)
            sg_fail(g, SG_BAD_FILE, "%s:%d: no word with a tag", path, i + 1);
    }
    sg_corpus *made =
        sg_corpus_of(g, sg_ok(g) ? r.count : 0, r.text, r.text ? r.text + r.most : NULL);
    free(r.words);
    free(r.tags);
    free(r.text);
    sg_corpus_free(c);
    return made;
}

sg_corpus *tags_pairs(sg_context *g, const sg_corpus *c)
{
    size_t size = 1, n = (size_t)c->size + 1;
    for (int i = 0; i < c->size; i++)
        size += 3 * strlen(c->source[i]) + 2;
    char *room = malloc(size), *at = room;
    const char **text = malloc(2 * n * sizeof *text);
    if (!room || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for pairs");
    for (int i = 0; i < c->size && sg_ok(g); i++) {
        text[i] = at;
        text[c->size + i] = c->target[i];
        for (const char *s = c->source[i]; *s;) {
            size_t a = strcspn(s, " "), b = s[a] ? strcspn(s + a + 1, " ") : 0;
            at += sprintf(at, "%.*s_%.*s ", (int)a, s, (int)b, s + a + (s[a] == ' '));
            s += a + (s[a] == ' ');
        }
        *at++ = '\0';
    }
    sg_corpus *made = sg_corpus_of(g, sg_ok(g) ? c->size : 0, text, text ? text + c->size : NULL);
    free(room);
    free(text);
    return made;
}

/* ---- batches --------------------------------------------------------------------------------- */

tags_batches tags_open(tags_options o)
{
    sg_context *g = o.g;
    const sg_corpus *c = o.corpus;
    tags_batches r = {.o = o, .b.seed = o.seed, .p.seed = o.seed, .w.seed = o.seed};
    r.forms = sg_vocabulary_build(g, c->size, c->source);
    r.truth = sg_vocabulary_build(g, c->size, c->target);
    r.d = sg_batches_make(g, c, o.words, o.tags, .size = o.size);
    if (o.pairs) {
        sg_corpus *pairs = tags_pairs(g, c);
        r.paired = sg_batches_make(g, pairs, o.pairs, o.tags, .size = o.size);
        sg_corpus_free(pairs);
    }
    r.written = sg_batches_make(g, c, r.forms, r.truth, .size = o.size);
    r.row_of = malloc((size_t)sg_vocabulary_size(r.forms) * sizeof *r.row_of + 1);
    if (!r.row_of)
        sg_fail(g, SG_NO_MEMORY, "no memory for forms");
    return r;
}

void tags_close(tags_batches *r)
{
    free(r->row_of);
    sg_batches_free(r->d);
    sg_batches_free(r->paired);
    sg_batches_free(r->written);
    sg_vocabulary_free(r->forms);
    sg_vocabulary_free(r->truth);
}

/* The letters of a form, at most TAGS_LETTERS of them. */
static void spell(tags_batches *r, int32_t form)
{
    int n = sg_encode(r->o.letters, sg_vocabulary_text(r->forms, form), TAGS_LETTERS,
                      r->letters + r->rows * TAGS_LETTERS);
    r->lengths[r->rows] = n < TAGS_LETTERS ? n : TAGS_LETTERS;
    r->longest = r->lengths[r->rows] > r->longest ? r->lengths[r->rows] : r->longest;
    r->row_of[form] = r->rows++;
}

bool tags_next(tags_batches *r)
{
    sg_context *g = r->o.g;
    bool more = sg_batch_next(r->d, &r->b);
    sg_batch_next(r->written, &r->w); /* by one seed, of equal lengths: the same sentences */
    if (r->paired)
        sg_batch_next(r->paired, &r->p);
    if (!more || !sg_ok(g))
        return false;
    int time = r->b.source_time, n = r->b.size * time;
    size_t room = (size_t)n;
    r->form = sg_room(g, room * sizeof *r->form);
    r->labels = sg_room(g, room * sizeof *r->labels);
    r->lengths = sg_room(g, room * sizeof *r->lengths);
    r->letters = sg_room(g, room * TAGS_LETTERS * sizeof *r->letters);
    if (!sg_ok(g))
        return false;
    memset(r->row_of, -1, (size_t)sg_vocabulary_size(r->forms) * sizeof *r->row_of);
    memset(r->letters, 0, room * TAGS_LETTERS * sizeof *r->letters);
    r->rows = r->longest = 0;
    for (int i = 0; i < n; i++) {
        int b = i / time, t = i % time;
        bool word = t < r->b.source_lengths[b];
        if (word && r->row_of[r->w.source[i]] < 0)
            spell(r, r->w.source[i]);
        r->form[i] = word ? r->row_of[r->w.source[i]] : 0;
        r->labels[i] = word ? r->b.target_out[b * r->b.target_time + t] : 0;
    }
    return true;
}

/* ---- scores --------------------------------------------------------------------------------- */

typedef struct entity {
    int from, to; /* the word after its last */
    const char *type;
} entity;

static bool entity_tag(const char *tag)
{
    return tag[0] && strchr("BIMES", tag[0]) && tag[1] == '-';
}

/* The next entity from word *at on; false if there is none. */
static bool next_entity(int n, const char *const *tags, bool closed, int *at, entity *e)
{
    while (*at < n) {
        const char *tag = tags[*at];
        bool begins = entity_tag(tag) && (strchr("BS", tag[0]) || (!closed && tag[0] == 'I'));
        if (!begins) {
            ++*at;
            continue;
        }
        *e = (entity){*at, *at + 1, tag + 2};
        bool ended = tag[0] == 'S';
        while (!ended && e->to < n && entity_tag(tags[e->to]) && strchr("IME", tags[e->to][0]) &&
               strcmp(tags[e->to] + 2, e->type) == 0)
            ended = tags[e->to++][0] == 'E';
        *at = e->to;
        if (ended || !closed)
            return true;
    }
    return false;
}

void tags_add(tags_score *s, int n, const char *const *truth, const char *const *told)
{
    entity a, b;
    int at = 0, other = 0;
    for (int i = 0; i < n; i++) {
        s->words++;
        s->right += strcmp(truth[i], told[i]) == 0;
    }
    for (int from = 0; next_entity(n, told, s->closed, &from, &b);)
        s->told++;
    bool more = next_entity(n, told, s->closed, &other, &b);
    while (next_entity(n, truth, s->closed, &at, &a)) {
        s->entities++;
        while (more && b.from < a.from)
            more = next_entity(n, told, s->closed, &other, &b);
        s->found += more && b.from == a.from && b.to == a.to && strcmp(a.type, b.type) == 0;
    }
}

double tags_accuracy(const tags_score *s)
{
    return s->words ? 100 * (double)s->right / (double)s->words : 0;
}

double tags_f1(const tags_score *s)
{
    double all = (double)(s->entities + s->told);
    return all > 0 ? 200 * (double)s->found / all : 0;
}
