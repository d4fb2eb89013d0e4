/*
 * onnx DATA EXCLUSIONS: ONNX's node tests through seqgrad's ops.
 *
 * DATA is what tests/oracle/onnx_vectors.py writes, a test a line. A test passes when all its
 * outputs have the expected types, shapes and values. EXCLUSIONS says which tests do not run, and
 * why: a test that is not excluded must pass, one that is must not, and every rule must apply to
 * some test. The last line counts; the exit status is 0 if nothing failed.
 */
#include "tests/onnx_graph.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- rules ----------------------------------------------------------------------------------- */

enum { MOST_RULES = 512 };

/* "op Resize: reason": of tests with such a node; "type float16: …": with such a tensor, or a cast
 * to it; "test NAME: …". What is named is a pattern of the shell. */
typedef struct rule {
    char kind[8], pattern[128];
    int line, used;
} rule;

static struct rules {
    int count;
    rule at[MOST_RULES];
} rules;

static bool read_rules(const char *path)
{
    char text[512], reason[256];
    FILE *f = fopen(path, "r");
    if (!f)
        return fprintf(stderr, "%s: %s\n", path, strerror(errno)), false;
    bool good = true;
    for (int line = 1; good && fgets(text, sizeof text, f); line++) {
        rule *r = &rules.at[rules.count];
        if (text[0] == '#' || text[0] == '\n')
            continue;
        good = rules.count + 1 < MOST_RULES &&
               sscanf(text, "%7s %127[^: ]: %255[^\n]", r->kind, r->pattern, reason) == 3 &&
               (strcmp(r->kind, "op") == 0 || strcmp(r->kind, "type") == 0 ||
                strcmp(r->kind, "test") == 0);
        if (!good)
            fprintf(stderr, "%s:%d: no rule with a reason: %s", path, line, text);
        r->line = line;
        rules.count++;
    }
    fclose(f);
    return good;
}

static bool any_matches(const json_t *names, const char *pattern)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (fnmatch(pattern, json_string_value(json_array_get(names, i)), 0) == 0)
            return true;
    return false;
}

static rule *find_rule(const json_t *test, const char *name)
{
    for (rule *r = rules.at; r < rules.at + rules.count; r++) {
        bool applies = strcmp(r->kind, "test") == 0 ? fnmatch(r->pattern, name, 0) == 0
                       : strcmp(r->kind, "op") == 0
                           ? any_matches(json_object_get(test, "ops"), r->pattern)
                           : any_matches(json_object_get(test, "types"), r->pattern);
        if (applies) {
            r->used++;
            return r;
        }
    }
    return NULL;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static double element(const void *data, sg_dtype d, int64_t i)
{
    return d == SG_F32   ? (double)((const float *)data)[i]
           : d == SG_F64 ? ((const double *)data)[i]
           : d == SG_I32 ? (double)((const int32_t *)data)[i]
                         : (double)((const unsigned char *)data)[i];
}

static bool close_to(double x, double wanted, sg_dtype d)
{
    double relative = d == SG_F32 ? 1e-5 : d == SG_F64 ? 1e-10 : 0;
    double absolute = d == SG_F32 ? 1e-7 : 0;
    if (isnan(wanted) || isinf(wanted))
        return isnan(wanted) ? isnan(x) : x == wanted;
    return fabs(x - wanted) <= absolute + relative * fabs(wanted);
}

static void put_shape(char *text, size_t size, const sg_tensor *x)
{
    sg_shape s = sg_shape_of(x);
    int used = snprintf(text, size, "%s[", sg_dtype_name(sg_type(x)));
    for (int k = 0; k < s.rank; k++)
        used +=
            snprintf(text + used, size - (size_t)used, k ? ",%lld" : "%lld", (long long)s.dim[k]);
    snprintf(text + used, size - (size_t)used, "]");
}

static bool same(const char *name, sg_tensor *x, sg_tensor *wanted, char *why)
{
    char has_shape[256], wants_shape[256];
    put_shape(has_shape, sizeof has_shape, x);
    put_shape(wants_shape, sizeof wants_shape, wanted);
    if (strcmp(has_shape, wants_shape) != 0) {
        snprintf(why, SG_MESSAGE, "%.99s is %.99s, not %.99s", name, has_shape, wants_shape);
        return false;
    }
    const void *values = sg_data(x), *expected = sg_data(wanted);
    for (int64_t i = 0; values && expected && i < sg_size(x); i++) {
        double a = element(values, sg_type(x), i), b = element(expected, sg_type(x), i);
        if (!close_to(a, b, sg_type(x))) {
            snprintf(why, SG_MESSAGE, "%.99s[%lld] is %.9g, not %.9g", name, (long long)i, a, b);
            return false;
        }
    }
    return values && expected;
}

/* ---- running --------------------------------------------------------------------------------- */

static bool run_test(sg_context *g, const json_t *test, char *why)
{
    static graph s;
    sg_tensor *out[MOST_OPERANDS], *wanted[MOST_OPERANDS];
    const json_t *inputs = json_object_get(test, "inputs"),
                 *outputs = json_object_get(test, "outputs");
    int n = (int)json_array_size(outputs);
    s.g = g;
    s.count = 0;
    snprintf(why, SG_MESSAGE, "an output is no tensor that we have");
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const json_t *in = json_array_get(inputs, i);
        bind_name(&s, json_string_value(json_object_get(in, "name")), read_tensor(g, in));
    }
    if (n > MOST_OPERANDS || !run_nodes(&s, json_object_get(test, "nodes")))
        return false;
    for (int i = 0; i < n; i++) {
        const json_t *expected = json_array_get(outputs, (size_t)i);
        out[i] = find_name(&s, json_string_value(json_object_get(expected, "name")));
        wanted[i] = read_tensor(g, expected);
        if (!out[i] || !wanted[i])
            return false;
    }
    if (sg_eval_(n, out) != SG_OK)
        return false;
    for (int i = 0; i < n; i++) {
        const json_t *expected = json_array_get(outputs, (size_t)i);
        const char *name = json_string_value(json_object_get(expected, "name"));
        if (!same(name, out[i], wanted[i], why))
            return false;
    }
    return sg_ok(g);
}

static struct {
    int passed, failed, excluded;
} counts;

static void count_ops(const json_t *test, json_t *ops)
{
    const json_t *names = json_object_get(test, "ops");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *op = json_string_value(json_array_get(names, i));
        json_int_t before = json_integer_value(json_object_get(ops, op));
        json_object_set_new(ops, op, json_integer(before + 1));
    }
}

static void judge(sg_context *g, const json_t *test, json_t *ops)
{
    char why[SG_MESSAGE];
    const char *name = json_string_value(json_object_get(test, "name"));
    rule *r = find_rule(test, name);
    sg_push(g, "test", name); /* parameters are named by it, too */
    bool passed = run_test(g, test, why);
    if (passed && !r) {
        counts.passed++;
        count_ops(test, ops);
    } else if (!passed && r) {
        counts.excluded++;
    } else {
        counts.failed++;
        if (passed)
            printf("%s passes, though line %d excludes it\n", name, r->line);
        else
            printf("%s: %s\n", name, sg_ok(g) ? why : sg_errmsg(g));
    }
    sg_clear(g);
}

static bool run_file(sg_context *g, FILE *f, json_t *ops)
{
    json_error_t error;
    char *line = NULL;
    size_t room = 0;
    bool good = true;
    while (good && getline(&line, &room, f) > 0) {
        json_t *test = json_loads(line, 0, &error);
        good = test != NULL;
        if (test)
            judge(g, test, ops);
        else
            fprintf(stderr, "not a test: %s\n", error.text);
        json_decref(test);
    }
    free(line);
    return good;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void report(json_t *ops)
{
    size_t n = 0, count = json_object_size(ops);
    const char **names = malloc((count + 1) * sizeof *names);
    for (void *i = json_object_iter(ops); names && i; i = json_object_iter_next(ops, i))
        names[n++] = json_object_iter_key(i);
    if (names)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        printf("%4lld %s\n", (long long)json_integer_value(json_object_get(ops, names[i])),
               names[i]);
    free(names);
    for (const rule *r = rules.at; r < rules.at + rules.count; r++)
        if (!r->used) {
            counts.failed++;
            printf("line %d of the exclusions applies to no test: %s %s\n", r->line, r->kind,
                   r->pattern);
        }
    printf("%d passed, %d failed, %d excluded\n", counts.passed, counts.failed, counts.excluded);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s DATA EXCLUSIONS\n", argv[0]);
        return 2;
    }
    FILE *f = fopen(argv[1], "r");
    if (!f) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    sg_context *g = sg_open();
    json_t *ops = json_object();
    bool good = sg_ok(g) && ops && read_rules(argv[2]) && run_file(g, f, ops);
    if (!sg_ok(g))
        fprintf(stderr, "%s\n", sg_errmsg(g));
    if (good)
        report(ops);
    json_decref(ops);
    sg_close(g);
    fclose(f);
    return good && counts.passed > 0 && counts.failed == 0 ? 0 : 1;
}
