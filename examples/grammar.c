/*
 * Every function writes one kind of phrase. A choice among n costs log n nats; since a sentence
 * tells all the choices that made it, their sum is its own.
 */
#include "examples/grammar.h"
#include "examples/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SINGULAR, PLURAL };

/* Nouns and verbs: of a singular, of a plural. */
static const char *const nouns[][2] = {
    {"dog", "dogs"},   {"cat", "cats"},      {"bird", "birds"},   {"cook", "cooks"},
    {"poet", "poets"}, {"watch", "watches"}, {"light", "lights"}, {"child", "children"}};
static const char *const verbs[][2] = {{"sees", "see"},      {"hears", "hear"},
                                       {"likes", "like"},    {"cooks", "cook"},
                                       {"watches", "watch"}, {"follows", "follow"}};
static const char *const rests[][2] = {{"sleeps", "sleep"}, {"sings", "sing"}, {"waits", "wait"}};
static const char *const determiners[][2] = {{"the", "the"}, {"a", "two"}, {"every", "many"}};
static const char *const adjectives[] = {"old", "small", "light", "happy", "quiet"};
static const char *const adverbs[] = {"slowly", "quietly", "often"};
static const char *const syllables[] = {"ka", "mi", "ro", "ta", "lu", "ne", "so", "bi"};

enum { MOST_NESTED = 2 };
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

typedef struct writer {
    uint64_t *state;
    grammar_sentence *s;
    int nested;
} writer;

static int choose(writer *w, int n)
{
    w->s->nll += log(n);
    return (int)(program_draw(w->state) % (uint64_t)n);
}

/* True once in n times. */
static bool sometimes(writer *w, int n)
{
    bool yes = program_draw(w->state) % (uint64_t)n == 0;
    w->s->nll += yes ? log(n) : log(n / (n - 1.0));
    return yes;
}

static void append(char *to, const char *s)
{
    size_t n = strlen(to);
    snprintf(to + n, GRAMMAR_ROOM - n, "%s%s", n ? " " : "", s);
}

static void say(writer *w, const char *word, const char *tag)
{
    append(w->s->words, word);
    append(w->s->tags, tag);
    w->s->count++;
}

/* A name of three syllables. */
static void name(writer *w)
{
    char s[16] = "";
    for (int i = 0; i < 3; i++)
        strcat(s, syllables[choose(w, COUNT(syllables))]);
    s[0] = (char)(s[0] - 'a' + 'A');
    say(w, s, "PROPN");
}

static int noun_phrase(writer *w);

static void verb_phrase(writer *w, int number)
{
    if (sometimes(w, 3)) {
        say(w, rests[choose(w, COUNT(rests))][number], "VERB");
        if (sometimes(w, 2))
            say(w, adverbs[choose(w, COUNT(adverbs))], "ADV");
    } else {
        say(w, verbs[choose(w, COUNT(verbs))][number], "VERB");
        noun_phrase(w);
    }
}

/* Returns its number. */
static int noun_phrase(writer *w)
{
    if (sometimes(w, 6)) {
        name(w);
        return SINGULAR;
    }
    int number = choose(w, 2);
    say(w, determiners[choose(w, COUNT(determiners))][number], "DET");
    if (sometimes(w, 3))
        say(w, adjectives[choose(w, COUNT(adjectives))], "ADJ");
    say(w, nouns[choose(w, COUNT(nouns))][number], "NOUN");
    if (w->nested < MOST_NESTED && sometimes(w, 5)) {
        w->nested++;
        say(w, "that", "PRON");
        verb_phrase(w, number);
        w->nested--;
    }
    return number;
}

void grammar_generate(uint64_t *state, grammar_sentence *s)
{
    *s = (grammar_sentence){.count = 0};
    writer w = {state, s, 0};
    verb_phrase(&w, noun_phrase(&w));
    say(&w, ".", "PUNCT");
}

sg_corpus *grammar_corpus(sg_context *g, uint64_t seed, int n, double *perplexity)
{
    grammar_sentence *s = malloc((size_t)n * sizeof *s);
    const char **text = malloc(2 * (size_t)n * sizeof *text);
    sg_nll nll = {0};
    for (int i = 0; s && text && i < n; i++) {
        grammar_generate(&seed, &s[i]);
        text[i] = s[i].words;
        text[n + i] = s[i].tags;
        sg_nll_add(&nll, s[i].nll, s[i].count + 1); /* and its end */
    }
    if (!s || !text)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d sentences", n);
    sg_corpus *c = sg_corpus_of(g, sg_ok(g) ? n : 0, text, text ? text + n : NULL);
    if (perplexity)
        *perplexity = sg_perplexity(&nll);
    free(s);
    free(text);
    return c;
}
