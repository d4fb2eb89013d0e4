/*
 * Every error message stands, word for word, in some test. The sources are read as text: of each
 * call that raises an error, the longest part of its format between conversions must be found in a
 * file of tests/. What cannot be provoked in a test is listed here, with the reason.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *message, *reason;
} untested[] = {
    {"no memory", "tests of allocations expect the status, whatever was being made"},
    {"internal error", "a bug of the planner; its verifier has tests of its own"},
    {"became shorter while it was read", "a race with another process"},
    {"too many lines", "needs a file of 2^31 lines"},
    {"different strings", "needs 2^31 strings"},
    {"too long to be tokenized", "needs a text of 2^31 tokens"},
    {"vocabulary: a text of ", "needs a text of 2^31 tokens"},
    {"elements are too many", "needs sequences of 2^31 elements"},
    {"g or the loss is not one for each row", "only the op's own derivative records it"},
};

static char *read_all(const char *pattern, size_t *files)
{
    char path[1024], *all = calloc(1, 1), chunk[65536];
    size_t size = 0, n;
    glob_t g;
    snprintf(path, sizeof path, "%s/%s", SG_SOURCE_DIR, pattern);
    if (glob(path, 0, NULL, &g) != 0)
        return all;
    for (size_t i = 0; i < g.gl_pathc; i++, (*files)++) {
        FILE *f = fopen(g.gl_pathv[i], "rb");
        cr_assert(f != NULL);
        while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
            all = realloc(all, size + n + 1);
            memcpy(all + size, chunk, n);
            all[size += n] = 0;
        }
        fclose(f);
    }
    globfree(&g);
    return all;
}

/* Literals that follow each other, or a macro such as PRId64 in between, become one. */
static void join(char *text)
{
    char *to = text;
    for (char *p = text; *p;) {
        char *q = p + 1;
        if (*p == '"' && (p == text || p[-1] != '\\')) {
            while (isspace((unsigned char)*q))
                q++;
            if (*q == '"' && q > p + 1) {
                p = q + 1;
                continue;
            }
        }
        *to++ = *p++;
    }
    *to = 0;
}

/* The longest part of a format without a conversion, into part. */
static void longest(const char *format, size_t length, char part[256])
{
    size_t best = 0, at = 0;
    while (at < length) {
        size_t n = strcspn(format + at, "%\"");
        n = n < length - at ? n : length - at;
        while (n && strchr(" :;,", format[at])) { /* a test may see it after something else */
            at++;
            n--;
        }
        if (n > best && n < 256) {
            best = n;
            memcpy(part, format + at, n);
            part[n] = 0;
        }
        at += n;
        if (at < length && format[at] == '%') {
            at++;
            while (at < length && strchr("-+ #0123456789.*lzh", format[at]))
                at++;
            at += at < length;
        } else {
            at++;
        }
    }
    if (best && part[best - 1] == '\\')
        part[best - 1] = 0;
}

static bool excused(const char *part)
{
    for (size_t i = 0; i < sizeof untested / sizeof *untested; i++)
        if (strstr(part, untested[i].message))
            return true;
    return false;
}

Test(messages, all_are_tested)
{
    static const char *const folders[] = {"core/*.c",   "core/*/*.c",   "ops/*.c",
                                          "models/*.c", "models/*/*.c", "optim/*.c"};
    static const char *const calls[] = {"sg_fail(", "sg_refuse(", "sg_stop(", "sg__fail_node("};
    size_t files = 0, messages = 0;
    char *tests = read_all("tests/test_*.c", &files), *more = read_all("tests/*.h", &files);
    join(tests);
    join(more);
    cr_assert(files > 30, "%zu files of tests", files);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *source = read_all(folders[i], &files);
        join(source);
        for (size_t k = 0; k < sizeof calls / sizeof *calls; k++)
            for (char *p = source; (p = strstr(p, calls[k])); p++) {
                char part[256] = "";
                char *from = strchr(p, '"'), *end = strstr(p, ");");
                if (!from || !end || from > end)
                    continue; /* it passes on a message */
                char *to = from + 1;
                while (*to && (*to != '"' || to[-1] == '\\'))
                    to++;
                longest(from + 1, (size_t)(to - from - 1), part);
                if (strlen(part) < 4)
                    continue;
                messages++;
                cr_expect(strstr(tests, part) || strstr(more, part) || excused(part),
                          "no test expects \"%.*s\"", (int)(to - from - 1), from + 1);
            }
        free(source);
    }
    cr_expect(messages > 150, "only %zu messages were found", messages);
    free(tests);
    free(more);
}
