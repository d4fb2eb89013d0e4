/*
 * Options by table. Values are set while argv is read; the arguments that are no options move
 * together at its front.
 */
#include "examples/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static options_result wrong(char *message, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(message, OPTIONS_MESSAGE, format, list);
    va_end(list);
    return OPTIONS_WRONG;
}

static bool is_end(const option *o)
{
    return o->name == NULL && o->help == NULL;
}

/* ---- values ------------------------------------------------------------------------------- */

static bool bounded(const option *o)
{
    return o->low < o->high;
}

static options_result set_integer(const option *o, const char *s, char *message)
{
    char *end;
    errno = 0;
    long value = strtol(s, &end, 10);
    if (*s == '\0' || isspace((unsigned char)*s) || *end != '\0')
        return wrong(message, "--%s: \"%s\" is not a whole number", o->name, s);
    if (bounded(o) && (errno != 0 || (double)value < o->low || (double)value > o->high))
        return wrong(message, "--%s: %s is not in %.10g..%.10g", o->name, s, o->low, o->high);
    if (errno != 0 || value < INT_MIN || value > INT_MAX)
        return wrong(message, "--%s: %s is too large", o->name, s);
    *o->integer = (int)value;
    return OPTIONS_READ;
}

static options_result set_number(const option *o, const char *s, char *message)
{
    char *end;
    double value = strtod(s, &end);
    if (*s == '\0' || isspace((unsigned char)*s) || *end != '\0' || !isfinite(value))
        return wrong(message, "--%s: \"%s\" is not a number", o->name, s);
    if (bounded(o) && (value < o->low || value > o->high))
        return wrong(message, "--%s: %s is not in %g..%g", o->name, s, o->low, o->high);
    *o->number = value;
    return OPTIONS_READ;
}

static void list_choices(const option *o, char *list, size_t room)
{
    size_t n = 0;
    *list = '\0';
    for (int i = 0; o->choices[i] != NULL && n < room; i++)
        n += (size_t)snprintf(list + n, room - n, "%s%s", i == 0 ? "" : ", ", o->choices[i]);
}

static options_result set_choice(const option *o, const char *s, char *message)
{
    char list[OPTIONS_MESSAGE];
    for (int i = 0; o->choices[i] != NULL; i++)
        if (strcmp(s, o->choices[i]) == 0) {
            *o->choice = i;
            return OPTIONS_READ;
        }
    list_choices(o, list, sizeof list);
    return wrong(message, "--%s: \"%s\" is none of %s", o->name, s, list);
}

static options_result set_value(const option *o, const char *s, char *message)
{
    if (o->given != NULL)
        *o->given = true;
    if (o->integer != NULL)
        return set_integer(o, s, message);
    if (o->number != NULL)
        return set_number(o, s, message);
    if (o->choice != NULL)
        return set_choice(o, s, message);
    *o->text = s;
    return OPTIONS_READ;
}

/* ---- names -------------------------------------------------------------------------------- */

enum { LONGEST = 40 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* How many letters must be inserted, dropped, replaced or swapped with their neighbour. */
static int distance(const char *a, const char *b)
{
    int d[LONGEST + 1][LONGEST + 1], n = (int)strlen(a), m = (int)strlen(b);
    if (n > LONGEST || m > LONGEST)
        return INT_MAX;
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1);
            d[i][j] = least(d[i][j], d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

static options_result unknown(const option *table, const char *name, char *message)
{
    const char *nearest = NULL, *no = strncmp(name, "no-", 3) == 0 ? "no-" : "", *found_no = "";
    int best = 2 + (int)strlen(name) / 4; /* with more changes it is another word */
    for (const option *o = table; !is_end(o); o++) {
        if (o->name == NULL)
            continue;
        const char *prefix = o->flag != NULL ? no : "";
        int d = distance(name + strlen(prefix), o->name);
        if (d < best) {
            best = d;
            nearest = o->name;
            found_no = prefix;
        }
    }
    if (nearest == NULL)
        return wrong(message, "unknown option --%s", name);
    return wrong(message, "unknown option --%s; is it --%s%s?", name, found_no, nearest);
}

/* The row of an option; `on` is what a flag of that name means. */
static const option *find(const option *table, const char *name, bool *on)
{
    for (const option *o = table; !is_end(o); o++) {
        if (o->name == NULL)
            continue;
        *on = strcmp(name, o->name) == 0;
        if (*on ||
            (o->flag != NULL && strncmp(name, "no-", 3) == 0 && strcmp(name + 3, o->name) == 0))
            return o;
    }
    return NULL;
}

/* One option: its name and what follows in argv, of which it may take the first. */
static options_result parse_option(const option *table, const char *argument, const char *next,
                                   bool *took, char *message)
{
    char name[LONGEST + 1];
    bool on;
    const char *equals = strchr(argument, '=');
    size_t n = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    if (n > LONGEST)
        return wrong(message, "unknown option --%s", argument);
    snprintf(name, sizeof name, "%.*s", (int)n, argument);
    const option *o = find(table, name, &on);
    if (o == NULL)
        return unknown(table, name, message);
    if (o->flag != NULL) {
        if (equals != NULL)
            return wrong(message, "--%s takes no value", name);
        *o->flag = on;
        return OPTIONS_READ;
    }
    if (equals != NULL)
        return set_value(o, equals + 1, message);
    if (next == NULL || strncmp(next, "--", 2) == 0)
        return wrong(message, "--%s needs a value", name);
    *took = true;
    return set_value(o, next, message);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

options_result options_parse(int *argc, char **argv, const option *table,
                             char message[OPTIONS_MESSAGE])
{
    int kept = 1;
    bool ended = false;
    *message = '\0';
    if (wants_help(*argc, argv))
        return OPTIONS_HELP;
    for (int i = 1; i < *argc; i++) {
        const char *s = argv[i];
        if (ended || s[0] != '-' || s[1] == '\0' || isdigit((unsigned char)s[1])) {
            argv[kept++] = argv[i];
        } else if (strcmp(s, "--") == 0) {
            ended = true;
        } else if (s[1] != '-') {
            return wrong(message, "unknown option %s", s);
        } else {
            bool took = false;
            const char *next = i + 1 < *argc ? argv[i + 1] : NULL;
            if (parse_option(table, s + 2, next, &took, message) == OPTIONS_WRONG)
                return OPTIONS_WRONG;
            i += took;
        }
    }
    if (kept < *argc)
        argv[kept] = NULL;
    *argc = kept;
    return OPTIONS_READ;
}

/* ---- help --------------------------------------------------------------------------------- */

enum { WIDTH = 96, INDENT = 26 };

/* Words from column INDENT on, in as many lines as they need. */
static void print_words(FILE *f, const char *s)
{
    int at = INDENT;
    for (s += strspn(s, " "); *s != '\0'; s += strspn(s, " ")) {
        int n = (int)strcspn(s, " ");
        if (at > INDENT && at + 1 + n > WIDTH) {
            fprintf(f, "\n%*s", INDENT, "");
            at = INDENT;
        }
        at += fprintf(f, "%s%.*s", at > INDENT ? " " : "", n, s);
        s += n;
    }
    fputc('\n', f);
}

/* What can be given and what is taken otherwise. */
static void describe(const option *o, char *s, size_t room)
{
    char list[OPTIONS_MESSAGE] = "", now[OPTIONS_MESSAGE] = "";
    if (o->choice != NULL) {
        list_choices(o, list, sizeof list);
        snprintf(now, sizeof now, "%s", o->choices[*o->choice]);
    } else if (o->integer != NULL) {
        snprintf(now, sizeof now, "%d", *o->integer);
    } else if (o->number != NULL) {
        snprintf(now, sizeof now, "%g", *o->number);
    } else if (o->flag != NULL) {
        snprintf(now, sizeof now, "%s", *o->flag ? "on" : "off");
    } else if (*o->text != NULL) {
        snprintf(now, sizeof now, "\"%s\"", *o->text);
    }
    if (bounded(o)) {
        double value = o->integer != NULL ? *o->integer : *o->number;
        snprintf(list, sizeof list, "%.10g..%.10g", o->low, o->high);
        if (value < o->low || value > o->high) /* what it is, the command says */
            *now = '\0';
    }
    snprintf(s, room, "%s%s%s%s%s%s", o->help, *list != '\0' ? ": " : "", list,
             *now != '\0' ? " (" : "", now, *now != '\0' ? ")" : "");
}

static const char *value_name(const option *o)
{
    if (o->value != NULL)
        return o->value;
    return o->integer != NULL ? "N" : o->number != NULL ? "X" : o->choice != NULL ? "NAME" : "TEXT";
}

static void print_option(FILE *f, const char *left, const char *right)
{
    int n = (int)strlen(left);
    if (n + 2 > INDENT)
        fprintf(f, "%s\n%*s", left, INDENT, "");
    else
        fprintf(f, "%-*s", INDENT, left);
    print_words(f, right);
}

void options_help(FILE *f, const char *usage, const char *about, const option *table)
{
    fprintf(f, "usage: %s\n\n%s\n", usage, about);
    if (table->name != NULL)
        fputc('\n', f);
    for (const option *o = table; !is_end(o); o++) {
        char left[2 * LONGEST], right[4 * OPTIONS_MESSAGE];
        if (o->name == NULL) {
            fprintf(f, "\n%s\n", o->help);
            continue;
        }
        if (o->flag != NULL)
            snprintf(left, sizeof left, "  --[no-]%s", o->name);
        else
            snprintf(left, sizeof left, "  --%s %s", o->name, value_name(o));
        describe(o, right, sizeof right);
        print_option(f, left, right);
    }
    fputc('\n', f);
    print_option(f, "  --help", "this text");
}

int options_read(int *argc, char **argv, const option *table, const char *usage, const char *about)
{
    char message[OPTIONS_MESSAGE];
    options_result found = options_parse(argc, argv, table, message);
    if (found == OPTIONS_READ)
        return -1;
    if (found == OPTIONS_HELP) {
        options_help(stdout, usage, about, table);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "%s\nusage: %s\n--help tells more\n", message, usage);
    return 2;
}
