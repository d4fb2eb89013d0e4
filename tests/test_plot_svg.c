/*
 * Plots as SVG: files go through a small strict reader of XML, and through xmllint where it is;
 * they replace old ones as a whole and leave nothing behind.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp, symlink */
#include "models/plot.h"

#include <ctype.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utf8proc.h>
#include <criterion/criterion.h>

static char text[1 << 16], folder[] = "/tmp/test_plot_XXXXXX", path[64];

/* ---- reading ------------------------------------------------------------------------------ */

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.svg", folder);
}

static void remove_folder(void)
{
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "something is left in %s", folder);
}

static void read_svg(void)
{
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    cr_assert(feof(f));
    fclose(f);
    text[n] = '\0';
    cr_assert_eq(strlen(text), n, "a zero byte");
    utf8proc_int32_t c;
    for (size_t i = 0; i < n;) {
        utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &c);
        cr_assert(used > 0 && (c >= 32 || c == '\n') && c != 0xffff, "byte %zu of the file", i);
        i += (size_t)used;
    }
}

static const char *skip_name(const char *s)
{
    cr_assert(isalpha((unsigned char)*s), "a name: %.40s", s);
    while (isalnum((unsigned char)*s) || *s == '-' || *s == ':')
        s++;
    return s;
}

/* Text up to a character of `ends`: no '<', every '&' begins a known entity. */
static const char *skip_text(const char *s, const char *ends)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (; strchr(ends, *s) == NULL; s++) {
        bool known = *s != '&';
        for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
            known = known || strncmp(s, entities[i], strlen(entities[i])) == 0;
        cr_assert(known && *s != '<', "bad text: %.40s", s);
    }
    return s;
}

/* Elements are nested, attributes quoted and not given twice, one element holds all. */
static void check_xml(const char *s)
{
    const char *open[16];
    int depth = 0, roots = 0;
    s = strstr(s, "?>") + 2;
    while (*(s = skip_text(s, "<")) != '\0') {
        const char *name = s + 1 + (s[1] == '/'), *end = skip_name(name);
        size_t n = (size_t)(end - name);
        if (s[1] == '/') {
            cr_assert(depth > 0 && strncmp(open[--depth], name, n) == 0 && *end == '>',
                      "wrong end: %.40s", s);
            s = end + 1;
            continue;
        }
        while (*end == ' ') {
            const char *attribute = end;
            if (end[1] == '>' || end[1] == '/') {
                end++;
                break;
            }
            end = skip_name(end + 1);
            for (const char *a = name; a < attribute; a++) /* " x=" is there once */
                cr_assert(strncmp(a, attribute, (size_t)(end - attribute) + 1) != 0, "twice: %.80s",
                          s);
            cr_assert(end[0] == '=' && end[1] == '"', "attribute: %.40s", end);
            end = skip_text(end + 2, "\"") + 1;
        }
        roots += depth == 0;
        if (*end == '/') {
            s = end + 2;
            continue;
        }
        cr_assert_eq(*end, '>', "element: %.40s", s);
        cr_assert_lt(depth, 16);
        open[depth++] = name;
        s = end + 1;
    }
    cr_assert_eq(depth, 0);
    cr_assert_eq(roots, 1);
}

static void check_with_xmllint(void)
{
    char command[160];
    if (system("command -v xmllint >/dev/null 2>&1") != 0)
        return;
    snprintf(command, sizeof command, "xmllint --noout %s", path);
    cr_assert_eq(system(command), 0);
}

static int count(const char *what)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, what)) != NULL; s += strlen(what))
        n++;
    return n;
}

/* ---- pictures ----------------------------------------------------------------------------- */

static const char *const sample[] = {"一",     "&<a href=\"x\">'",
                                     "]]>",    "e\xcc\x81",
                                     "word",   "字词字词",
                                     "c\x01z", "\xff",
                                     "",       "<!--",
                                     " ",      "much longer than its cell"};
enum { SAMPLES = sizeof sample / sizeof *sample };

Test(plot_svg, heatmap, .init = make_folder)
{
    static const struct {
        int rows, columns, kinds;
    } map[] = {{1, 1, 1},       {10, 26, 2},      {10, 14, 3},
               {5, 7, SAMPLES}, {3, 60, SAMPLES}, {12, 12, SAMPLES}};
    sg_context *g = sg_open();
    for (size_t k = 0; k < sizeof map / sizeof *map; k++) {
        int m = map[k].rows, n = map[k].columns;
        const char *labels[60];
        float values[400];
        for (int i = 0; i < 60; i++)
            labels[i] = sample[i % map[k].kinds];
        for (int i = 0; i < m * n; i++)
            values[i] = i == 3 ? NAN : (float)i / (float)(m * n);
        cr_assert_eq(sg_plot_heatmap(g, .rows = m, .columns = n, .values = values,
                                     .row_labels = labels, .column_labels = labels,
                                     .title = "</svg> & \x1b 注意力", .svg = path),
                     SG_OK, "%s", sg_errmsg(g));
        read_svg();
        check_xml(text);
        check_with_xmllint();
        cr_assert_eq(count("</title></rect>"), m * n, "map %zu: a cell each", k);
        cr_assert_eq(count("fill=\"url(#missing)\"><title>"), m * n > 3);
        cr_assert_eq(count("&lt;/svg&gt; &amp; \xef\xbf\xbd 注意力</text>"), 1);
    }
    cr_assert_eq(count("Noto Sans CJK SC"), 1);
    cr_assert_eq(count("Microsoft YaHei"), 1);
    cr_assert_eq(count("PingFang SC"), 1);
    cr_assert_eq(count("<title>一 ← 一: 0</title>"), 1);
    cr_assert_eq(count("&amp;&lt;a href=&quot;x&quot;&gt;&#39;</text>"), 2);
    cr_assert_eq(count("linearGradient id=\"scale\""), 1);
    sg_close(g);
    remove_folder();
}

Test(plot_svg, curves, .init = make_folder)
{
    static float y[20000], x[20000];
    sg_context *g = sg_open();
    for (int i = 0; i < 20000; i++) {
        x[i] = (float)(i * 10);
        y[i] = i / 1000 == 3 ? NAN : 5.0f * expf((float)-i / 3000) + (float)(i % 7) * 0.1f;
    }
    const struct {
        int n;
        const float *x;
        int bands, lines, dots; /* areas without a gap; lines of curve and areas; the last point */
    } rows[] = {{20000, x, 2, 3 * 285 - 4, 1},
                {20000, NULL, 2, 3 * 285 - 4, 1},
                {300, x, 0, 299, 1},
                {1, x, 0, 0, 1},
                {0, x, 0, 0, 0}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        sg_curve curve = {"a < b", rows[k].n, rows[k].x, y};
        cr_assert_eq(sg_plot_curves(g, .count = 1, .curves = &curve, .title = "loss & more",
                                    .x_name = "step", .y_name = "损失", .svg = path),
                     SG_OK);
        read_svg();
        check_xml(text);
        check_with_xmllint();
        cr_assert_eq(count("Z"), rows[k].bands, "row %zu", k);
        cr_assert_eq(count("L"), rows[k].lines, "row %zu: %d", k, count("L"));
        cr_assert_eq(count("<circle "), rows[k].dots, "row %zu", k);
        cr_assert_eq(count(">a &lt; b</text>"), 1);
        cr_assert_eq(count(">损失</text>"), 1);
        cr_assert(strstr(text, "nan") == NULL && strstr(text, "inf") == NULL, "row %zu", k);
    }
    sg_close(g);
    remove_folder();
}

Test(plot_svg, ticks_are_round, .init = make_folder)
{
    static const struct {
        float low, high;
        const char *ticks[8];
    } rows[] = {{0, 1, {"0", "0.2", "0.4", "0.6", "0.8", "1"}},
                {1.19f, 5.7f, {"1", "2", "3", "4", "5", "6"}},
                {-3e-7f, 9e-7f, {"-4e-07", "-2e-07", "0", "2e-07", "4e-07", "1e-06"}},
                {-1e30f, 2e30f, {"-1e+30", "0", "1e+30", "2e+30"}},
                {7, 7, {"4", "6", "8"}}};
    sg_context *g = sg_open();
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        float y[] = {rows[k].low, rows[k].high};
        sg_curve curve = {NULL, 2, NULL, y};
        sg_plot_curves(g, .count = 1, .curves = &curve, .svg = path);
        read_svg();
        for (int i = 0; i < 8 && rows[k].ticks[i] != NULL; i++) {
            char tick[64];
            snprintf(tick, sizeof tick, "text-anchor=\"end\">%s</text>", rows[k].ticks[i]);
            cr_assert_eq(count(tick), 1, "row %zu: no tick %s", k, rows[k].ticks[i]);
        }
        cr_assert_leq(count("text-anchor=\"end\">"), 8);
    }
    sg_close(g);
    remove_folder();
}

/* ---- files --------------------------------------------------------------------- */

Test(plot_svg, a_file_is_replaced_as_a_whole, .init = make_folder)
{
    static const float value[] = {1};
    FILE *f = fopen(path, "w");
    fputs("old", f);
    FILE *reader = fopen(path, "r"); /* who has the old one open keeps it */
    fclose(f);
    sg_context *g = sg_open();
    sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = value, .svg = path);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    cr_assert_not_null(fgets(text, sizeof text, reader));
    cr_assert_str_eq(text, "old");
    fclose(reader);
    read_svg();
    check_xml(text);
    char link[80];
    snprintf(link, sizeof link, "%s/link.svg", folder);
    cr_assert_eq(symlink("a.svg", link), 0); /* a link stays one: its target is written */
    sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = value, .title = "linked", .svg = link);
    read_svg();
    cr_assert_eq(count("linked"), 1);
    cr_assert_gt(readlink(link, text, sizeof text), 0);
    unlink(link);
    sg_close(g);
    remove_folder();
}

Test(plot_svg, a_disk_that_is_full_leaves_the_old_file, .init = make_folder)
{
    static const float value[] = {1};
    FILE *f = fopen(path, "w");
    fputs("old", f);
    fclose(f);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 100});
    sg_context *g = sg_open();
    cr_assert_eq(sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = value, .svg = path), SG_IO);
    cr_assert_not_null(strstr(sg_errmsg(g), "File too large"), "%s", sg_errmsg(g));
    f = fopen(path, "r");
    cr_assert_not_null(fgets(text, sizeof text, f));
    cr_assert_str_eq(text, "old");
    fclose(f);
    sg_close(g);
    remove_folder();
}

Test(plot_svg, files_that_cannot_be_written)
{
    static const float value[] = {1};
    sg_context *g = sg_open();
    sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = value, .svg = "/nowhere/at/all.svg");
    cr_assert_eq(sg_error(g), SG_IO);
    cr_assert_str_eq(sg_errmsg(g), "plot: cannot write \"/nowhere/at/all.svg\": No such file or "
                                   "directory");
    sg_clear(g);
    sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = value, .svg = "/tmp");
    cr_assert_str_eq(sg_errmsg(g), "plot: cannot write \"/tmp\": Is a directory");
    sg_clear(g);
    if (access("/dev/full", W_OK) == 0) {
        sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = value, .svg = "/dev/full");
        cr_assert_str_eq(sg_errmsg(g), "plot: cannot write \"/dev/full\": No space left on device");
        sg_clear(g);
        FILE *full = fopen("/dev/full", "w");
        sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = value, .file = full);
        cr_assert_str_eq(sg_errmsg(g), "plot_heatmap: cannot write the text");
        fclose(full);
    }
    sg_close(g);
}
