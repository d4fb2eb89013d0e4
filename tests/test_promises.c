/*
 * What the sources promise, read from the sources: nothing below knows what is above, models are
 * compositions and have no derivative of their own, programs need the public headers only.
 * layers.cmake checks the order of includes between the folders of the library, and that models and
 * optim define no op.
 *
 * Comments and texts are left out before anything is looked for: the documentation of core may
 * speak of an lstm for an example, its code may not.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- reading sources ------------------------------------------------------------------------ */

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    size_t capacity = 1 << 20; /* no source is as large */
    char *text = malloc(capacity);
    size_t n = fread(text, 1, capacity - 1, f);
    fclose(f);
    cr_assert(n < capacity - 1, "%s is too long", path);
    text[n] = 0;
    return text;
}

/* Blanks comments, and what is in quotes unless they are to stay. */
static void strip(char *s, bool quotes_stay)
{
    while (*s) {
        char *end;
        if (s[0] == '/' && s[1] == '*') {
            end = strstr(s + 2, "*/");
            end = end ? end + 2 : s + strlen(s);
        } else if (*s == '"' || *s == '\'') {
            for (end = s + 1; *end && *end != *s; end++)
                end += *end == '\\' && end[1];
            end += *end != 0;
            if (quotes_stay)
                s = end;
        } else {
            s++;
            continue;
        }
        for (; s < end; s++)
            if (*s != '\n')
                *s = ' ';
    }
}

/* The next identifier of a text, which is moved on; false at the end. */
static bool identifier(const char **text, char *name, size_t size)
{
    const char *s = *text;
    while (*s && !isalpha((unsigned char)*s) && *s != '_') {
        bool number = isdigit((unsigned char)*s);
        s++;
        while (number && (isalnum((unsigned char)*s) || *s == '_'))
            s++;
    }
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    snprintf(name, size, "%.*s", (int)n, s);
    *text = s + n;
    return n > 0;
}

typedef void visitor(const char *path, char *text, void *with);

/* All .c and .h files below a folder of the project, by their path from its root. */
static int each_source(const char *folder, visitor *visit, void *with)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", SG_SOURCE_DIR, folder);
    DIR *d = opendir(path);
    cr_assert(d, "%s", path);
    int files = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat s;
        const char *dot = strrchr(e->d_name, '.');
        char below[512];
        if (e->d_name[0] == '.')
            continue;
        snprintf(below, sizeof below, "%s/%s", folder, e->d_name);
        snprintf(path, sizeof path, "%s/%s", SG_SOURCE_DIR, below);
        if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
            files += each_source(below, visit, with);
        } else if (dot && (strcmp(dot, ".c") == 0 || strcmp(dot, ".h") == 0)) {
            char *text = read_text(path);
            visit(below, text, with);
            free(text);
            files++;
        }
    }
    closedir(d);
    return files;
}

/* ---- sets of names -------------------------------------------------------------------------- */

enum { NAMES = 1000 };

typedef struct names {
    int n;
    char of[NAMES][64];
} names;

static bool has(const names *set, const char *name)
{
    for (int i = 0; i < set->n; i++)
        if (strcmp(set->of[i], name) == 0)
            return true;
    return false;
}

static void add(names *set, const char *name)
{
    if (has(set, name))
        return;
    cr_assert(set->n < NAMES);
    snprintf(set->of[set->n++], sizeof set->of[0], "%s", name);
}

/* The functions that a public header declares. */
static void add_declared(const char *header, names *set)
{
    char path[512], name[64];
    snprintf(path, sizeof path, "%s/%s", SG_SOURCE_DIR, header);
    char *text = read_text(path);
    strip(text, false);
    for (const char *s = text; (s = strstr(s, "\nSG_API ")) != NULL;) {
        const char *end = strchr(s, '(');
        for (s++; s < end && identifier(&s, name, sizeof name);)
            if (strncmp(name, "sg_", 3) == 0 && *s == '(')
                add(set, name);
    }
    free(text);
}

/* with: names; those of functions that begin with sg__ are added. */
static void collect_shared(const char *path, char *text, void *with)
{
    char name[64];
    (void)path;
    strip(text, false);
    for (const char *s = text; identifier(&s, name, sizeof name);)
        if (strncmp(name, "sg__", 4) == 0 && *s == '(')
            add(with, name);
}

/* with: names that no source may use. */
static void use_none(const char *path, char *text, void *with)
{
    char name[64];
    strip(text, false);
    for (const char *s = text; identifier(&s, name, sizeof name);)
        cr_expect(!has(with, name), "%s uses %s", path, name);
}

/* ---- words ---------------------------------------------------------------------------------- */

static const char *const model_words[] = {
    "rnn",      "lstm",      "gru",     "cell",        "attention", "encoder", "decoder",
    "seq2seq",  "embedding", "dropout", "transformer", "token",     "tokens",  "vocabulary",
    "sentence", "greedy",    "beam",    "bleu",        "perplexity"};

/* Whether an identifier has a word, or its plural, between underscores and changes of case. */
static bool speaks_of(const char *name, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = name; *s; s++) {
        bool begins = s == name || s[-1] == '_' ||
                      (isupper((unsigned char)*s) && islower((unsigned char)s[-1]));
        size_t k = 0;
        while (k < n && tolower((unsigned char)s[k]) == word[k])
            k++;
        if (!begins || k < n)
            continue;
        const char *end = s + n + (s[n] == 's');
        if (!*end || *end == '_' || isdigit((unsigned char)*end) ||
            (isupper((unsigned char)*end) && islower((unsigned char)end[-1])))
            return true;
    }
    return false;
}

static void know_no_model(const char *path, char *text, void *with)
{
    char name[64];
    (void)with;
    strip(text, false);
    for (const char *s = text; identifier(&s, name, sizeof name);)
        for (size_t i = 0; i < sizeof model_words / sizeof *model_words; i++)
            cr_expect(!speaks_of(name, model_words[i]), "%s speaks of a model: %s", path, name);
}

/* ---- headers -------------------------------------------------------------------------------- */

static const char *const model_headers[] = {
    "models/models.h", "models/layer.h", "models/cell.h", "models/attention.h",
    "models/decode.h", "models/text.h",  "models/plot.h"};
enum { MODEL_HEADERS = sizeof model_headers / sizeof *model_headers };

static bool is_public(const char *header)
{
    bool found = strcmp(header, "core/core.h") == 0 || strcmp(header, "ops/ops.h") == 0 ||
                 strcmp(header, "optim/optim.h") == 0;
    for (int i = 0; i < MODEL_HEADERS; i++)
        found = found || strcmp(header, model_headers[i]) == 0;
    return found;
}

/* ---- the promises --------------------------------------------------------------------------- */

Test(promises, the_reader_of_sources_sees)
{
    char text[] = "a /* lstm \" */ = \"gru \\\" /* \" + 'x' + 0x1p3f + b_2; /* end";
    char quoted[] = "#include \"a.h\" /* \"b.h\" */";
    char name[64];
    names found = {0};
    strip(text, false);
    strip(quoted, true);
    cr_expect_str_eq(quoted, "#include \"a.h\"            ");
    for (const char *s = text; identifier(&s, name, sizeof name);)
        add(&found, name);
    cr_expect(found.n == 2 && has(&found, "a") && has(&found, "b_2"), "%d: %s", found.n, text);
    cr_expect(speaks_of("sg_lstm_step", "lstm") && speaks_of("SG_GRU", "gru"));
    cr_expect(speaks_of("myDecoder", "decoder") && speaks_of("cells", "cell"));
    cr_expect(speaks_of("token2", "token") && !speaks_of("cancelled", "cell"));
    cr_expect(!speaks_of("sg__encode", "encoder") && !speaks_of("grown", "gru"));
}

/* core is a graph, and ops are mathematics: neither has a word of a model. */
Test(promises, core_and_ops_know_no_model)
{
    cr_expect(each_source("core", know_no_model, NULL) > 20);
    cr_expect(each_source("ops", know_no_model, NULL) > 20);
}

/* Includes are not all: a function can be declared by hand. */
Test(promises, nothing_below_calls_what_is_above)
{
    static names above;
    add_declared("optim/optim.h", &above);
    cr_expect(has(&above, "sg_step"));
    each_source("models", use_none, &above);
    for (int i = 0; i < MODEL_HEADERS; i++)
        add_declared(model_headers[i], &above);
    cr_expect(above.n > 50 && has(&above, "sg_unroll_") && has(&above, "sg_bleu_add") &&
                  has(&above, "sg_score_of"),
              "%d", above.n);
    each_source("ops", use_none, &above);
    add_declared("ops/ops.h", &above);
    cr_expect(above.n > 120 && has(&above, "sg_matmul") && has(&above, "sg_concat_"), "%d",
              above.n);
    each_source("core", use_none, &above);
    static names sideways;
    for (int i = 0; i < MODEL_HEADERS; i++)
        add_declared(model_headers[i], &sideways);
    each_source("optim", use_none, &sideways);
}

/* Models and optimizers are made of public functions: no kernel, nothing of the graph's inside. */
Test(promises, models_and_optim_use_nothing_private)
{
    static names private_ones;
    each_source("core", collect_shared, &private_ones);
    each_source("ops", collect_shared, &private_ones);
    cr_expect(private_ones.n > 100 && has(&private_ones, "sg__plan_make"));
    each_source("models", use_none, &private_ones);
    each_source("optim", use_none, &private_ones);
}

/* The central promise: no backward pass of any model is written by hand, nor needed. */
Test(promises, models_have_no_derivatives)
{
    static names derivatives = {
        .n = 5, .of = {"sg_grad", "sg_vjp", "sg_jvp", "sg_stop_gradient", "sg_gradcheck"}};
    cr_expect(each_source("models", use_none, &derivatives) > 20);
}

/* ---- includes ------------------------------------------------------------------------------- */

/* White-box tests: those that see, beyond these, a private header of a folder. */
static const struct {
    const char *file, *folder;
} white_box[] = {
    {"tests/bench/meet.c", "core/pool.h"},
    {"tests/file_test.h", "core/file/"},
    {"tests/fuzz/fuzz_npy.c", "core/file/"},
    {"tests/fuzz/fuzz_safetensors.c", "core/file/"},
    {"tests/op_table_check.c", "core/internal.h"},
    {"tests/test_decoding.c", "models/internal.h"},
    {"tests/test_faults.c", "core/internal.h"},
    {"tests/test_gemm.c", "core/internal.h"},
    {"tests/test_gemm.c", "ops/kernel/"},
    {"tests/test_npy.c", "core/file/"},
    {"tests/test_op_table.c", "core/internal.h"},
    {"tests/test_random.c", "core/philox.h"},
    {"tests/ulp.h", "ops/kernel/"},
};
enum { WHITE_BOX = sizeof white_box / sizeof *white_box };

static bool may_include(const char *path, const char *header, bool *used)
{
    if (is_public(header))
        return true;
    for (int i = 0; i < WHITE_BOX; i++)
        if (strcmp(path, white_box[i].file) == 0 &&
            strncmp(header, white_box[i].folder, strlen(white_box[i].folder)) == 0)
            return used[i] = true;
    bool test = strncmp(path, "tests/", 6) == 0;
    return strncmp(header, "examples/", 9) == 0 || (test && strncmp(header, "tests/", 6) == 0);
}

/* with: bool [WHITE_BOX], which of them were needed. */
static void include_public(const char *path, char *text, void *with)
{
    char header[128];
    strip(text, true);
    for (const char *s = text; (s = strstr(s, "#include")) != NULL; s++)
        if ((s == text || s[-1] == '\n') && sscanf(s, "#include \"%127[^\"]\"", header) == 1)
            cr_expect(may_include(path, header, with), "%s includes %s", path, header);
}

Test(promises, programs_and_tests_include_public_headers)
{
    bool used[WHITE_BOX] = {false};
    cr_expect(each_source("examples", include_public, used) > 3);
    cr_expect(each_source("tests", include_public, used) > 30);
    for (int i = 0; i < WHITE_BOX; i++)
        cr_expect(used[i], "%s does not include %s", white_box[i].file, white_box[i].folder);
}
