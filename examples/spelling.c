/* See spelling.h. */
#include "examples/spelling.h"
#include "examples/program.h"

#include <stdlib.h>
#include <string.h>

typedef struct sound {
    const char *letters, *phones;
} sound;

static const sound onsets[] = {{"b", "b"},  {"d", "d"},    {"f", "f"},  {"g", "ɡ"},   {"k", "k"},
                               {"l", "l"},  {"m", "m"},    {"n", "n"},  {"p", "p"},   {"r", "ɹ"},
                               {"s", "s"},  {"t", "t"},    {"sh", "ʃ"}, {"ch", "tʃ"}, {"th", "θ"},
                               {"ph", "f"}, {"qu", "k w"}, {"c", NULL}, {"c", NULL},  {"kn", "n"}};
static const sound vowels[] = {{"a", "æ"},   {"e", "ɛ"},   {"i", "ɪ"},   {"o", "ɒ"},  {"u", "ʌ"},
                               {"ee", "iː"}, {"oo", "uː"}, {"ai", "eɪ"}, {"oa", "oʊ"}};
static const sound with_e[] = {{"a", "eɪ"}, {"i", "aɪ"}, {"o", "oʊ"}, {"u", "j uː"}};
static const sound codas[] = {{"b", "b"},  {"d", "d"},  {"g", "ɡ"},  {"l", "l"},   {"m", "m"},
                              {"n", "n"},  {"p", "p"},  {"t", "t"},  {"x", "k s"}, {"ck", "k"},
                              {"sh", "ʃ"}, {"th", "θ"}, {"ph", "f"}, {"ng", "ŋ"}};
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

enum { SHORT = 5, LETTERS = 40, PHONES = 120 };

typedef struct spelled {
    char letters[LETTERS], phones[2][PHONES];
    int ways;
} spelled;

static void add_phones(spelled *w, int way, const char *phones)
{
    char *p = w->phones[way];
    size_t n = strlen(p);
    snprintf(p + n, PHONES - n, "%s%s", n ? " " : "", phones);
}

static void add(spelled *w, const char *letters, const char *phones)
{
    strncat(w->letters, letters, LETTERS - 1 - strlen(w->letters));
    add_phones(w, 0, phones);
}

static const sound *any(uint64_t *state, int n, const sound *from)
{
    return &from[program_draw(state) % (uint64_t)n];
}

/* An onset, and what follows it in the letters; c is s before e and i, else k. */
static void begin(uint64_t *state, spelled *w, const char *next)
{
    int n = COUNT(onsets) - (*w->letters != 0); /* kn begins a word only */
    const sound *o = any(state, n, onsets);
    add(w, o->letters, o->phones ? o->phones : strchr("ei", *next) ? "s" : "k");
}

static spelled spell(uint64_t *state)
{
    spelled w = {.ways = 1};
    int syllables = 1 + (int)(program_draw(state) % 3), kind = (int)(program_draw(state) % 6);
    const sound *v, *c;
    for (int i = 0; i < syllables - (kind < 2); i++) {
        bool last = i == syllables - 1;
        v = any(state, COUNT(vowels), vowels);
        begin(state, &w, v->letters);
        add(&w, v->letters, v->phones);
        if (last || program_draw(state) % 3 == 0) {
            c = any(state, COUNT(codas), codas);
            add(&w, c->letters, c->phones);
        }
    }
    if (kind == 0) { /* rame: a consonant of one letter, and e */
        v = any(state, COUNT(with_e), with_e);
        c = any(state, 8, codas);
        begin(state, &w, v->letters);
        add(&w, v->letters, v->phones);
        add(&w, c->letters, c->phones);
        add(&w, "e", "");
        w.phones[0][strlen(w.phones[0]) - 1] = 0; /* the space before nothing */
    } else if (kind == 1) {                       /* dater, in two ways */
        begin(state, &w, "e");
        memcpy(w.phones[1], w.phones[0], PHONES);
        add(&w, "er", "ə");
        add_phones(&w, 1, "ɝ");
        w.ways = 2;
    }
    return w;
}

sg_corpus *spelling_words(sg_context *g, uint64_t seed, int n)
{
    uint64_t state = seed;
    spelled *w = malloc((size_t)n * sizeof *w);
    const char **pair = malloc(4 * (size_t)n * sizeof *pair);
    int lines = 0;
    if (!w || !pair)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d words", n);
    for (int i = 0; i < n && sg_ok(g); i++) {
        w[i] = spell(&state);
        for (int k = 0; k < w[i].ways; k++) {
            pair[lines] = w[i].letters;
            pair[2 * n + lines++] = w[i].phones[k];
        }
    }
    sg_corpus *c = sg_corpus_of(g, lines, pair, pair ? pair + 2 * n : NULL);
    free(w);
    free(pair);
    return c;
}
