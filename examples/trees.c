/* See trees.h. */
#include "examples/trees.h"
#include "examples/program.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading -------------------------------------------------------------------------------- */

enum { DEPTH = 500 }; /* of brackets: trees_print is recursive */

typedef struct parser {
    trees *t;
    tree *now;
    char *words;            /* where the next one goes */
    tree_node stack[DEPTH]; /* brackets that are open */
    int depth;
} parser;

static int add_node(parser *p, tree_node v)
{
    p->now->node[p->now->count] = v;
    return p->now->count++;
}

/* A node below the bracket that is open; false if that has two already. */
static bool attach(parser *p, int place)
{
    tree_node *above = &p->stack[p->depth - 1];
    if (above->children == 2)
        return false;
    above->child[above->children++] = place;
    return true;
}

static bool open_bracket(parser *p, const char **s)
{
    tree_node v = {.label = -1};
    *s += 1 + strspn(*s + 1, " \t");
    size_t digits = strspn(*s, "0123456789");
    if (digits && strchr(" \t(", (*s)[digits]) && (*s)[digits]) {
        v.label = digits == 1 ? **s - '0' : TREES_LABELS;
        *s += digits;
    }
    if (p->depth == DEPTH || v.label >= TREES_LABELS)
        return false;
    p->stack[p->depth++] = v;
    return true;
}

/* A bracket of one word is that word's node. */
static bool close_bracket(parser *p)
{
    if (p->depth == 0 || p->stack[p->depth - 1].children == 0)
        return false;
    tree_node v = p->stack[--p->depth], *only = &p->now->node[v.child[0]];
    int place = v.child[0];
    if (v.children == 1 && only->word && only->label < 0)
        only->label = v.label;
    else
        place = add_node(p, v);
    return p->depth == 0 || attach(p, place);
}

static bool add_word(parser *p, const char **s)
{
    size_t n = strcspn(*s, " \t()");
    tree_node v = {.word = p->words, .label = -1};
    memcpy(p->words, *s, n);
    p->words += n;
    *p->words++ = '\0';
    *s += n;
    return p->depth > 0 && attach(p, add_node(p, v));
}

static bool parse(parser *p, const char *s)
{
    p->depth = 0;
    s += strspn(s, " \t");
    do {
        bool ok = *s == '('   ? open_bracket(p, &s)
                  : *s == ')' ? close_bracket(p) && s++
                              : *s && add_word(p, &s);
        if (!ok)
            return false;
        s += strspn(s, " \t");
    } while (p->depth > 0);
    return *s == '\0';
}

trees trees_parse(sg_context *g, const char *where, int n, const char *const *lines)
{
    size_t size = 1;
    for (int i = 0; i < n; i++)
        size += strlen(lines[i]) + 1;
    /* A node costs two characters of a line at least, a word and its end no more than it has. */
    trees t = {.tree = calloc((size_t)n + 1, sizeof *t.tree),
               .nodes = malloc(size * sizeof *t.nodes),
               .words = malloc(size)};
    parser *p = malloc(sizeof *p);
    if (!t.tree || !t.nodes || !t.words || !p)
        sg_fail(g, SG_NO_MEMORY, "%s: no memory for %d trees", where, n);
    tree_node *next = t.nodes;
    char *words = t.words;
    for (int i = 0; i < n && sg_ok(g); i++) {
        if (!lines[i][strspn(lines[i], " \t")])
            continue;
        t.tree[t.count].node = next;
        *p = (parser){.t = &t, .now = &t.tree[t.count], .words = words};
        if (!parse(p, lines[i]))
            sg_fail(g, SG_BAD_FILE, "%s:%d: not a tree of labels 0..4 and of one or two branches",
                    where, i + 1);
        next += t.tree[t.count++].count;
        words = p->words;
    }
    free(p);
    t.count = sg_ok(g) ? t.count : 0;
    return t;
}

trees trees_read(sg_context *g, const char *path, const char *name)
{
    program_given(g, path, name);
    sg_corpus *c = sg_corpus_read(g, path, path, .replace_invalid = true);
    trees t = trees_parse(g, path ? path : "", c->size, c->source);
    sg_corpus_free(c);
    return t;
}

void trees_free(trees *t)
{
    free(t->tree);
    free(t->nodes);
    free(t->words);
}

sg_vocabulary *trees_vocabulary(sg_context *g, const trees *t, sg_tokenizer words, int min_count)
{
    int n = 0;
    for (int i = 0; i < t->count; i++)
        n += t->tree[i].count;
    const char **word = malloc((size_t)n * sizeof *word + 1);
    if (!word)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d words", n);
    n = 0;
    for (int i = 0; i < t->count && word; i++)
        for (int v = 0; v < t->tree[i].count; v++)
            if (t->tree[i].node[v].word)
                word[n++] = t->tree[i].node[v].word;
    sg_vocabulary *v = sg_vocabulary_build(g, n, word, .tokenizer = words, .min_count = min_count);
    free(word);
    return v;
}

/* ---- made-up ones --------------------------------------------------------------------------- */

/* Words from bad to good; their values are -2, -1, 0, 1, 2. */
static const char *const words[TREES_LABELS][4] = {{"awful", "dreadful", "horrible", "a disaster"},
                                                   {"bad", "dull", "weak", "silly"},
                                                   {"long", "French", "a film", "in colour"},
                                                   {"good", "funny", "brave", "warm"},
                                                   {"great", "superb", "brilliant", "a wonder"}};

static int generate_part(uint64_t *state, int levels, char *text, size_t room);

/* "(x but y)", whose right part is a node of its own. */
static int generate_pair(uint64_t *state, int levels, char *text, size_t room)
{
    enum { PART = TREES_ROOM / 2 };
    char *x = malloc(2 * PART), *y = x + PART;
    if (!x)
        return TREES_NEUTRAL;
    bool but = program_draw(state) % 2;
    int a = generate_part(state, levels - 2, x, PART),
        b = generate_part(state, levels - 2, y, PART);
    int both = a + b - TREES_NEUTRAL, v = but ? b : both < 0 ? 0 : both > 4 ? 4 : both;
    snprintf(text, room, "(%d %s (%d (2 %s) %s))", v, x, b, but ? "but" : "and", y);
    free(x);
    return v;
}

/* A word for itself, or two of them, as many levels as there are. */
static int generate_word(uint64_t *state, char *text, size_t room)
{
    int v = (int)(program_draw(state) % TREES_LABELS);
    const char *word = words[v][program_draw(state) % 4], *second = strchr(word, ' ');
    if (second)
        snprintf(text, room, "(%d (2 %.*s) (%d %s))", v, (int)(second - word), word, v, second + 1);
    else
        snprintf(text, room, "(%d %s)", v, word);
    return v;
}

static int generate_part(uint64_t *state, int levels, char *text, size_t room)
{
    uint64_t kind = program_draw(state) % 8;
    if (levels < 2 || kind == 0)
        return generate_word(state, text, room);
    if (levels > 2 && kind > 4)
        return generate_pair(state, levels, text, room);
    char *x = malloc(room);
    bool not = kind % 2;
    int a = x ? generate_part(state, levels - 1, x, room) - TREES_NEUTRAL : 0;
    int sign = a > 0 ? 1 : a < 0 ? -1 : 0, v = TREES_NEUTRAL + (not ? -sign : 2 * sign);
    snprintf(text, room, "(%d (2 %s) %s)", v, not ? "not" : "very", x ? x : "()");
    free(x);
    return v;
}

int trees_generate(uint64_t *state, int levels, char text[TREES_ROOM])
{
    return generate_part(state, levels, text, TREES_ROOM);
}

trees trees_made_up(sg_context *g, uint64_t seed, int n, int levels)
{
    char(*room)[TREES_ROOM] = malloc((size_t)n * sizeof *room);
    const char **line = malloc((size_t)n * sizeof *line);
    for (int i = 0; room && line && i < n; i++) {
        trees_generate(&seed, levels, room[i]);
        line[i] = room[i];
    }
    if (!room || !line)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d trees", n);
    trees t = trees_parse(g, "made up", sg_ok(g) ? n : 0, line);
    free(room);
    free(line);
    return t;
}

/* ---- printing ------------------------------------------------------------------------------- */

static void print_node(FILE *f, const tree *t, int place, char *indent, const int32_t *told,
                       const int32_t *truth, const char *const *signs)
{
    const tree_node *v = &t->node[place];
    char sign[32], other[16] = "";
    if (truth[place] >= 0 && truth[place] != told[place])
        snprintf(other, sizeof other, "(%s)", signs[truth[place]]);
    int columns = snprintf(sign, sizeof sign, "%s%s", signs[told[place]], other);
    fputs(sign, f);
    if (v->word)
        fprintf(f, " %s\n", v->word);
    size_t end = strlen(indent);
    for (int i = 0; i < v->children; i++) {
        bool last = i + 1 == v->children;
        fprintf(f, "%s%*s%s ", i ? indent : "", i ? columns + 1 : 1, "",
                last ? i ? "└" : "─" : "┬");
        sprintf(indent + end, "%*s%s ", columns + 1, "", last ? " " : "│");
        print_node(f, t, v->child[i], indent, told, truth, signs);
        indent[end] = '\0';
    }
}

void trees_print(FILE *f, const tree *t, const int32_t *told, const int32_t *truth,
                 const char *const *signs)
{
    enum { COLUMNS = 16 }; /* of a level at most, in bytes */
    char indent[DEPTH * COLUMNS + COLUMNS] = "";
    print_node(f, t, t->count - 1, indent, told, truth, signs);
}
