/*
 * The table of ops is complete: every descriptor in the sources of core/ and ops/ has a row whose
 * graph contains it, and every function of ops.h has a row. Sources are read as text, macros that
 * define ops included, so that no list has to be kept.
 */
#include "tests/op_table.h"
#include "core/internal.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { MACROS = 256, NAMES = 256, PARAMS = 12, TEXT = 64 };

typedef char word[TEXT];
typedef struct words {
    int n;
    word w[NAMES];
} words;

static bool has(const words *s, const char *w)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->w[i], w) == 0)
            return true;
    return false;
}

static void add(words *s, const char *w)
{
    if (has(s, w))
        return;
    cr_assert_lt(s->n, NAMES);
    snprintf(s->w[s->n++], TEXT, "%s", w);
}

/* ---- sources -------------------------------------------------------------------------------- */

/* A macro with parameters, and what binds them while its body is read. */
typedef struct macro {
    word name, param[PARAMS];
    int n;
    char *body;
} macro;

static macro macros[MACROS];
static int macro_count;

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    cr_assert(f, "cannot read %s", path);
    char *text = calloc(1, 1 << 20);
    cr_assert(text);
    cr_assert_lt(fread(text, 1, (1 << 20) - 1, f), (1 << 20) - 1);
    fclose(f);
    return text;
}

/* Comments become blanks, and lines that go on are joined. */
static void strip(char *text)
{
    char *to = text;
    for (char *p = text; *p;) {
        if (p[0] == '\\' && p[1] == '\n') {
            p += 2;
        } else if (p[0] == '/' && p[1] == '*') {
            char *end = strstr(p, "*/");
            cr_assert(end, "a comment does not end");
            *to++ = ' ';
            p = end + 2;
        } else {
            *to++ = *p++;
        }
    }
    *to = 0;
}

static const char *spaces(const char *p)
{
    return p + strspn(p, " \n");
}

static const char *read_word(const char *p, word w)
{
    size_t n = 0;
    for (; isalnum((unsigned char)*p) || *p == '_'; p++)
        if (n + 1 < TEXT)
            w[n++] = *p;
    w[n] = 0;
    return p;
}

/* Arguments of a call, from behind its parenthesis: their first words, string literals unquoted. */
static const char *read_arguments(const char *p, word *arg, int *n)
{
    int depth = 1;
    for (*n = 0; depth > 0 && *n < PARAMS;) {
        p = spaces(p);
        p = read_word(*p == '"' ? p + 1 : p, arg[(*n)++]);
        for (; *p && !(depth == 1 && *p == ','); p++) {
            depth += (*p == '(' || *p == '{') - (*p == ')' || *p == '}');
            if (depth == 0)
                return p + 1;
        }
        p += *p == ',';
    }
    return p;
}

/* Takes definitions of macros out of a text, which is blanked where they stood. */
static void read_macros(char *text)
{
    for (char *p = text; (p = strstr(p, "#define ")); p++) {
        char *end = strchr(p, '\n');
        macro *m = macros + macro_count;
        const char *body = read_word(p + 8, m->name);
        if (*body == '(') {
            cr_assert_lt(macro_count, MACROS - 1);
            body = read_arguments(body + 1, m->param, &m->n);
            m->body = calloc(1, (size_t)(end - body) + 1);
            memcpy(m->body, body, (size_t)(end - body));
            macro_count++;
        }
        memset(p, ' ', (size_t)(end - p));
    }
}

/* What a word means in a macro's body: the argument, where it is a parameter. */
static const char *meaning(const char *w, const macro *m, word *arg)
{
    for (int i = 0; m && i < m->n; i++)
        if (strcmp(m->param[i], w) == 0)
            return arg[i];
    return w;
}

/* Names of the ops that a text defines, by initializers of its own or by macros it calls. */
static void read_names(const char *text, const macro *m, word *bound, words *names)
{
    word w, arg[PARAMS], given[PARAMS];
    for (const char *p = text; *p;) {
        bool literal = false;
        int n;
        if (strncmp(p, ".name = ", 8) == 0) {
            bool message = p - text >= 8 && strncmp(p - 8, "(sg_op){", 8) == 0; /* no op, a text */
            p += 8;
            literal = *p == '"';
            p = read_word(p + (*p == '"' || *p == '#'), w);
            if (!message && (literal || m))
                add(names, literal ? w : meaning(w, m, bound));
            continue;
        }
        if (!isalpha((unsigned char)*p) && *p != '_') {
            p++;
            continue;
        }
        p = read_word(p, w);
        if (*p != '(')
            continue;
        read_arguments(p + 1, given, &n);
        for (int i = 0; i < n; i++)
            strcpy(arg[i], meaning(given[i], m, bound));
        for (int i = 0; i < macro_count; i++)
            if (strcmp(macros[i].name, w) == 0 && macros[i].n <= n && macros + i != m)
                read_names(macros[i].body, macros + i, arg, names);
    }
}

/* Every definition of descriptors must give a name, else the reader above is out of date. */
static void all_are_read(const char *text, const char *file)
{
    for (const char *p = text; (p = strstr(p, "const sg_op ")); p++) {
        char *end = strchr(p, ';');
        char *part = end ? calloc(1, (size_t)(end - p) + 1) : NULL;
        cr_assert(part, "%s: a definition does not end", file);
        memcpy(part, p, (size_t)(end - p));
        words own = {0};
        read_names(part, NULL, NULL, &own);
        if (strstr(part, " = ") && part[12] != '*')
            cr_assert_gt(own.n, 0, "%s: no name is found in: %.60s", file, part);
        free(part);
    }
}

static void read_folder(const char *folder, const char *ending, bool define, words *names)
{
    char path[4096];
    snprintf(path, sizeof path, SG_SOURCE_DIR "/%s", folder);
    DIR *d = opendir(path);
    cr_assert(d, "no folder %s", path);
    for (struct dirent *e; (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ending) != 0)
            continue;
        snprintf(path, sizeof path, SG_SOURCE_DIR "/%s/%s", folder, e->d_name);
        int before = macro_count;
        char *text = read_file(path);
        strip(text);
        read_macros(text);
        if (!define) {
            all_are_read(text, e->d_name);
            read_names(text, NULL, NULL, names);
            for (int i = before; i < macro_count; i++)
                free(macros[i].body);
            macro_count = before;
        }
        free(text);
    }
    closedir(d);
}

static void read_ops(words *names)
{
    read_folder("ops/kernel", ".h", true, names);
    read_folder("core", ".c", false, names);
    read_folder("ops", ".c", false, names);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Ops that stand on no tape: plans put them there for others (tests/test_prepare.c). */
static words of_plans;

static void collect(const sg_tensor *x, words *used)
{
    add(used, x->op->name);
    if (x->op->prepare) {
        add(&of_plans, x->op->prepare->first->name);
        add(&of_plans, x->op->prepare->then->name);
    }
    for (uint32_t i = 0; i < x->n; i++)
        collect(x->in[i], used);
}

/* Names of the ops in a row's graph, gradient and assignments. */
static void collect_row(const op_row *row, words *used)
{
    sg_tensor *x[OP_INPUTS], *d[OP_INPUTS];
    sg_context *g = sg_open();
    op_sample s;
    op_draw(&s, row, NULL, 1);
    op_tensors(&s, g, SG_F64, x);
    sg_tensor *y = row->build(g, x);
    collect(y, used);
    int n = op_gradients(row, y, x, 1, d);
    cr_assert(sg__walk(g, 1, &y, SG__EVERYTHING) && sg__walk(g, n, d, SG__EVERYTHING),
              "%s: gradients are recorded by now", row->op);
    collect(y, used);
    for (int k = 0; k < n; k++)
        collect(d[k], used);
    for (size_t i = 0; i < g->assigns.n; i++)
        collect(g->assigns.x[i], used);
    sg_close(g);
}

static bool has_row(const char *op)
{
    const op_row *row;
    for (int i = 0; (row = op_row_at(i)); i++)
        if (strcmp(row->op, op) == 0)
            return true;
    return false;
}

Test(op_table, every_descriptor_has_a_row_that_uses_it)
{
    words names = {0}, used = {0};
    const op_row *any;
    read_ops(&names);
    for (int k = 0; (any = op_row_at(k)); k++)
        collect_row(any, &used);
    cr_assert_gt(names.n, 70, "%d", names.n);
    cr_assert(has(&names, "tanh") && has(&names, "equal") && has(&names, "argmin"));
    for (int i = 0; i < names.n; i++) {
        const op_row *row;
        if (has(&of_plans, names.w[i]))
            continue;
        used.n = 0;
        for (int k = 0; (row = op_row_at(k)); k++)
            if (strcmp(row->op, names.w[i]) == 0)
                collect_row(row, &used);
        cr_assert(has_row(names.w[i]), "op \"%s\" has no row in tests/op_table_*.c", names.w[i]);
        cr_assert(has(&used, names.w[i]), "op \"%s\" is not in its rows' graphs", names.w[i]);
    }
}

Test(op_table, every_op_in_a_graph_is_found_in_the_sources)
{
    words names = {0}, used = {0};
    const op_row *row;
    read_ops(&names);
    for (int k = 0; (row = op_row_at(k)); k++)
        collect_row(row, &used);
    for (int i = 0; i < used.n; i++)
        cr_assert(has(&names, used.w[i]), "op \"%s\" was not found in the sources", used.w[i]);
}

Test(op_table, every_public_op_has_a_row)
{
    char *text = read_file(SG_SOURCE_DIR "/ops/ops.h");
    int n = 0;
    strip(text);
    for (char *p = text; (p = strstr(p, "SG_API ")); p++, n++) {
        word name;
        char *open = strchr(p, '('), *start = open;
        if (strncmp(p, "SG_API double ", 14) == 0)
            continue; /* sg_peak, a measurement */
        while (start[-1] == '_' || isalnum((unsigned char)start[-1]))
            start--;
        read_word(start, name);
        size_t length = strlen(name);
        cr_assert(strncmp(name, "sg_", 3) == 0, "%s", name);
        if (name[length - 1] == '_') /* behind a macro of that name */
            name[length - 1] = 0;
        cr_assert(has_row(name + 3), "%s has no row in tests/op_table_*.c", name);
    }
    cr_assert_gt(n, 75);
    free(text);
}

/* Rows of one op stand together: programs report them as one. */
Test(op_table, rows_of_an_op_stand_together)
{
    words seen = {0};
    const op_row *row, *before = NULL;
    for (int i = 0; (row = op_row_at(i)); before = row, i++) {
        bool goes_on = before && strcmp(before->op, row->op) == 0;
        cr_assert(goes_on || !has(&seen, row->op), "rows of \"%s\" are apart", row->op);
        add(&seen, row->op);
    }
}

/* Numbers that are drawn are where a row wants them. */
Test(op_table, draws)
{
    const op_row *row;
    op_sample s, again;
    for (int i = 0; (row = op_row_at(i)); i++) {
        op_draw(&s, row, NULL, 3);
        op_draw(&again, row, NULL, 3);
        for (int k = 0; k < s.n; k++) {
            bool any = row->in[k].low == 0 && row->in[k].high == 0;
            double low = any ? -2 : row->in[k].low, high = any ? 2 : row->in[k].high;
            for (int64_t e = 0; e < s.size[k]; e++) {
                cr_assert(s.v[k][e] >= low && s.v[k][e] <= high, "%s: %g", row->op, s.v[k][e]);
                cr_assert_eq(s.v[k][e], again.v[k][e]);
                for (int64_t f = 0; row->flags & OP_APART && f < e; f++)
                    cr_assert(s.v[k][f] - s.v[k][e] > 1e-3 || s.v[k][e] - s.v[k][f] > 1e-3,
                              "%s: %g and %g", row->op, s.v[k][e], s.v[k][f]);
            }
            if (row->in[k].kind == OP_MASK && s.size[k] > 1)
                cr_assert(s.v[k][0] == 0 && s.v[k][s.size[k] - 1] == 1, "%s", row->op);
        }
    }
}
