/*
 * Plots in text: what is drawn is read back, measured in columns with utf8proc, escape sequences
 * left aside; and what is refused.
 */
#define _XOPEN_SOURCE 700 /* open_memstream, setenv, posix_openpt */
#include "models/plot.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>
#include <criterion/criterion.h>

enum { ROOM = 1 << 16 };
static char text[ROOM];

/* ---- measuring text ----------------------------------------------------------------------- */

static void strip_escapes(char *s)
{
    char *out = s;
    while (*s != '\0')
        if (*s == '\x1b') {
            while (*s != 'm')
                s++;
            s++;
        } else {
            *out++ = *s++;
        }
    *out = '\0';
}

static int columns_of(const char *s, size_t n)
{
    int width = 0;
    while (n > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);
        cr_assert_gt(used, 0, "bad UTF-8 in \"%s\"", s);
        cr_assert_geq(c, 32, "control character %d in a line", (int)c);
        width += utf8proc_charwidth(c);
        s += used;
        n -= (size_t)used;
    }
    return width;
}

/* The next line of *s, which is moved behind it; NULL at the end. */
static char *next_line(char **s)
{
    char *line = *s, *end = strchr(line, '\n');
    if (end == NULL)
        return NULL;
    *end = '\0';
    *s = end + 1;
    return line;
}

/* Draws into `text`. */
static void draw(sg_plot_heatmap_options o)
{
    char *buffer = NULL;
    size_t size = 0;
    o.g = sg_open();
    o.file = open_memstream(&buffer, &size);
    cr_assert_eq(sg_plot_heatmap_(o), SG_OK, "%s", sg_errmsg(o.g));
    fclose(o.file);
    cr_assert_lt(size, sizeof text);
    memcpy(text, buffer, size + 1);
    free(buffer);
    sg_close(o.g);
}
#define DRAW(...) draw((sg_plot_heatmap_options){.end_ = 0, __VA_ARGS__})

/* ---- heat maps in text -------------------------------------------------------------------- */

Test(plot, heatmap_of_ascii)
{
    static const float values[] = {0, 0.1f, 0.5f, 1, NAN, 0.9f, 0.25f, 0};
    static const char *const rows[] = {"你好", "y"}, *const columns[] = {"a", "b", "c", "d"};
    DRAW(.rows = 2, .columns = 4, .values = values, .row_labels = rows, .column_labels = columns,
         .title = "attention");
    cr_assert_str_eq(text, "attention\n"
                           "      a b c d\n"
                           "你好 |  ..++@@|\n"
                           "   y |??%%::  |\n"
                           "     0 | .:-=+*#%@| 1\n");
    DRAW(.rows = 2, .columns = 4, .values = values, .low = 0.5, .high = 0.75);
    cr_assert_str_eq(text, " |    "
                           "  @@|\n"
                           " |??@@    |\n"
                           " 0.5 | .:-=+*#%@| 0.75\n");
}

Test(plot, heatmap_range)
{
    static const struct {
        float values[3];
        const char *map;
    } rows[] = {
        {{0.25f, 0.5f, 1}, " |::++@@|\n 0 | .:-=+*#%@| 1\n"},
        {{-1, 0, 1}, " |  ++@@|\n -1 | .:-=+*#%@| 1\n"},
        {{0, INFINITY, 2}, " |  @@@@|\n 0 | .:-=+*#%@| 2\n"},
        {{-INFINITY, NAN, 0.5f}, " |  ??@@|\n 0 | .:-=+*#%@| 0.5\n"},
        {{NAN, NAN, NAN}, " |??????|\n 0 | .:-=+*#%@| 1\n"},
        {{0, 0, 0}, " |      |\n 0 | .:-=+*#%@| 1\n"},
        {{-2, -2, -2}, " |++++++|\n -3 | .:-=+*#%@| -1\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        DRAW(.rows = 1, .columns = 3, .values = rows[i].values);
        cr_assert_str_eq(text, rows[i].map, "row %zu: %s", i, text);
    }
}

Test(plot, standing_and_lying_labels)
{
    static const float values[6] = {0};
    static const char *const words[] = {"the", "of", "", "Zürich", "a b", "字词"};
    DRAW(.rows = 1, .columns = 6, .values = values, .column_labels = words);
    cr_assert_str_eq(text, "    the    of          Zürich   a b   字词\n"
                           " |                                          |\n"
                           " 0 | .:-=+*#%@| 1\n");
    static const char *const many[] = {"the", "of", "",  "Switzerland", "a b", "字词", "1", "2",
                                       "3",   "4",  "5", "6",           "7",   "8",    "9", "last"};
    static const float zeros[16] = {0};
    DRAW(.rows = 1, .columns = 16, .values = zeros, .column_labels = many);
    cr_assert_str_eq(text, "        S\n"
                           "        w\n"
                           "        i\n"
                           "        t\n"
                           "        z\n"
                           "        e\n"
                           "        r\n"
                           "        l                       l\n"
                           "  t     a a                     a\n"
                           "  h o   n   字                  s\n"
                           "  e f   d b 词1 2 3 4 5 6 7 8 9 t\n"
                           " |                                |\n"
                           " 0 | .:-=+*#%@| 1\n");
}

Test(plot, labels_are_made_safe)
{
    static const float value[] = {1};
    static const struct {
        const char *label, *shown;
    } rows[] = {
        {"plain", "plain"},
        {"", ""},
        {" ", "␣"},
        {"  \xe3\x80\x80", "␣␣␣"},
        {" the", " the"},
        {"a\nb\tc\r", "a\\nb\\tc\\r"},
        {"\x1b[31mred\x7f", "\xef\xbf\xbd[31mred\xef\xbf\xbd"},
        {"cut \xe4\xb8", "cut \xef\xbf\xbd\xef\xbf\xbd"},
        {"\xff\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc2\x9b", "\xef\xbf\xbd"},                 /* CSI in one byte, U+009B */
        {"e\xcc\x81t\xc3\xa9", "e\xcc\x81t\xc3\xa9"}, /* a combining accent */
        {"\xcc\x81x", "\xe2\x97\x8c\xcc\x81x"},       /* one with nothing below it */
        {"a\xe2\x80\xae"
         "b\xe2\x80\x8d\xef\xb8\x8f"
         "c",
         "abc"},                          /* override, joiner, selector */
        {"\xef\xbf\xbf", "\xef\xbf\xbd"}, /* U+FFFF, which XML forbids */
        {"exactly twenty-four cols", "exactly twenty-four cols"},
        {"exactly twenty-five colss", "exactly twenty-five col~"},
        {"一二三四五六七八九十一二", "一二三四五六七八九十一二"},
        {"一二三四五六七八九十一二三", "一二三四五六七八九十一~"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        DRAW(.rows = 1, .columns = 1, .values = value, .row_labels = &rows[i].label);
        char expected[256];
        snprintf(expected, sizeof expected, "%s |@@|\n", rows[i].shown);
        cr_assert_eq(strncmp(text, expected, strlen(expected)), 0, "\"%s\" is shown as %s",
                     rows[i].label, text);
    }
}

Test(plot, marks_without_end_stay_in_bounds)
{
    char label[4096] = "a";
    const char *labels = label;
    for (size_t i = 1; i + 2 < sizeof label; i += 2)
        memcpy(label + i, "\xcc\x81", 2);
    static const float value[] = {1};
    DRAW(.rows = 1, .columns = 1, .values = value, .row_labels = &labels, .column_labels = &labels);
    char *s = text;
    static const int widths[] = {6, 8, 3 + 16}; /* the label, the map, the scale */
    for (int i = 0; i < 3; i++) {
        char *line = next_line(&s);
        cr_assert_eq(columns_of(line, strlen(line)), widths[i], "%s", line);
    }
}

/* Labels of every kind, of which each table row of the next test takes some. */
static const char *const sample[] = {"2",
                                     "0",
                                     "年",
                                     "e\xcc\x81",
                                     "word",
                                     "字词字词",
                                     " ",
                                     "\n",
                                     "\xff",
                                     "",
                                     "a much longer label than fits here",
                                     "😀",
                                     "한국어",
                                     "ﬁ",
                                     "한",
                                     "~"};
enum { SAMPLES = sizeof sample / sizeof *sample };

Test(plot, columns_are_aligned)
{
    static const struct {
        int rows, columns, from, kinds, width; /* labels: `kinds` of them, starting at `from` */
    } map[] = {{1, 1, 0, 1, 100},   {10, 26, 0, 2, 100}, {10, 26, 0, 4, 100}, {3, 46, 0, 2, 100},
               {3, 60, 0, 2, 100},  {3, 60, 0, 3, 100},  {12, 9, 0, 16, 100}, {12, 30, 0, 16, 100},
               {4, 98, 0, 2, 100},  {4, 99, 0, 2, 100},  {4, 500, 0, 2, 100}, {4, 500, 0, 16, 80},
               {4, 3, 4, 2, 100},   {4, 5, 4, 2, 50},    {16, 40, 0, 16, 50}, {16, 300, 4, 8, 200},
               {2, 700, 3, 1, 1000}};
    for (size_t k = 0; k < sizeof map / sizeof *map; k++)
        for (int color = SG_COLOR_NONE; color <= SG_COLOR_24BIT; color++) {
            int m = map[k].rows, n = map[k].columns, map_width = 0, map_rows = 0;
            const char *labels[700];
            float *values = calloc((size_t)m * (size_t)n, sizeof *values);
            for (int i = 0; i < 700; i++)
                labels[i] = sample[(map[k].from + i % map[k].kinds) % SAMPLES];
            for (int i = 0; i < m * n; i++)
                values[i] = (float)(i * 37 % 101) / 100;
            DRAW(.rows = m, .columns = n, .values = values, .row_labels = labels,
                 .column_labels = labels, .title = "a title in 中文", .width = map[k].width,
                 .color = (sg_plot_color)color);
            free(values);
            strip_escapes(text);
            char *s = text, *lines[64], *line;
            int count = 0;
            while ((line = next_line(&s)) != NULL && count < 64) {
                lines[count++] = line;
                cr_assert_leq(columns_of(line, strlen(line)), map[k].width, "row %zu: %s", k, line);
            }
            cr_assert_eq(*s, '\0');
            bool cut = strncmp(lines[count - 1], "(columns 1..", 12) == 0;
            int end = count - 1 - cut;
            for (int i = end - m; i < end; i++, map_rows++) {
                int width = columns_of(lines[i], strlen(lines[i]));
                cr_assert(map_width == 0 || map_width == width,
                          "row %zu: \"%s\" is %d wide, not %d", k, lines[i], width, map_width);
                map_width = width;
            }
            cr_assert_eq(map_rows, m);
        }
}

/* The column at which `glyph` stands for the k-th time in a line; -1. */
static int column_of(const char *line, const char *glyph, int k)
{
    const char *at = strstr(line, glyph);
    for (; at != NULL && k > 0; k--)
        at = strstr(at + strlen(glyph), glyph);
    return at == NULL ? -1 : columns_of(line, (size_t)(at - line));
}

Test(plot, labels_stand_over_their_cells)
{
    static const char *const wide[] = {"一", "二", "三", "四"}, *const row[] = {"é"};
    static const char *const mixed[] = {"a", "二", "c\xcc\x81", "d"};
    for (int i = 0; i < 4; i++) {
        float values[4] = {0};
        values[i] = 1;
        for (int kind = 0; kind < 2; kind++) {
            const char *const *labels = kind == 0 ? wide : mixed;
            DRAW(.rows = 1, .columns = 4, .values = values, .row_labels = row,
                 .column_labels = labels);
            char *s = text, *head = next_line(&s), *line = next_line(&s);
            cr_assert_eq(column_of(head, labels[i], 0), column_of(line, "@@", 0), "%s over %s",
                         head, line);
        }
    }
    float values[90] = {0};
    const char *narrow[90];
    for (int i = 0; i < 90; i++)
        narrow[i] = i == 71 ? "X" : "o";
    values[71] = 1;
    DRAW(.rows = 1, .columns = 90, .values = values, .column_labels = narrow);
    char *s = text, *head = next_line(&s), *line = next_line(&s);
    cr_assert_eq(column_of(head, "X", 0), 2 + 71);
    cr_assert_eq(column_of(line, "@", 0), 2 + 71);
}

Test(plot, what_does_not_fit_is_said)
{
    static float values[3 * 500];
    DRAW(.rows = 3, .columns = 500, .values = values);
    cr_assert_not_null(strstr(text, "\n(columns 1..97 of 500)\n"), "%s", text);
    DRAW(.rows = 3, .columns = 97, .values = values);
    cr_assert_null(strstr(text, "(columns"), "%s", text);
}

Test(plot, colors)
{
    static const float values[] = {0, 1, 1, NAN};
    DRAW(.rows = 1, .columns = 4, .values = values, .color = SG_COLOR_256);
    static const char grey[] = " \x1b[48;5;232m  \x1b[0m\x1b[48;5;255m    \x1b[0m??\n";
    cr_assert_eq(strncmp(text, grey, strlen(grey)), 0, "%s", text);
    DRAW(.rows = 1, .columns = 4, .values = values, .color = SG_COLOR_24BIT);
    cr_assert_not_null(
        strstr(text, "\x1b[48;2;20;22;44m  \x1b[0m\x1b[48;2;250;228;84m    \x1b[0m"));
    DRAW(.rows = 1, .columns = 4, .values = values);
    cr_assert_null(strchr(text, '\x1b'), "no terminal, no color");
}

Test(plot, colors_of_a_terminal)
{
    static const struct {
        const char *no_color, *term, *colorterm, *found;
    } rows[] = {
        {NULL, "xterm", "truecolor", "\x1b[48;2;"},
        {NULL, "xterm", "24bit", "\x1b[48;2;"},
        {NULL, "xterm", NULL, "\x1b[48;5;"},
        {"", "xterm", NULL, "\x1b[48;5;"},
        {"1", "xterm", "truecolor", " |@@|"},
        {NULL, "dumb", NULL, " |@@|"},
        {NULL, NULL, NULL, " |@@|"},
    };
    static const float value[] = {1};
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const names[] = {"NO_COLOR", "TERM", "COLORTERM"};
        const char *const set[] = {rows[i].no_color, rows[i].term, rows[i].colorterm};
        int master = posix_openpt(O_RDWR | O_NOCTTY); /* a new one, with no rest of the last row */
        if (master < 0)
            cr_skip("no pseudo-terminals here, as in a plain chroot");
        cr_assert(grantpt(master) == 0 && unlockpt(master) == 0);
        FILE *terminal = fopen(ptsname(master), "w");
        cr_assert_not_null(terminal);
        for (int k = 0; k < 3; k++)
            if (set[k] == NULL)
                unsetenv(names[k]);
            else
                setenv(names[k], set[k], 1);
        sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = value, .file = terminal);
        fclose(terminal);
        size_t n = 0;
        ssize_t more; /* a terminal gives what it was given in pieces, and an error at the end */
        while ((more = read(master, text + n, sizeof text - 1 - n)) > 0)
            n += (size_t)more;
        text[n] = '\0';
        cr_assert_not_null(strstr(text, rows[i].found), "row %zu: %s", i, text);
        close(master);
    }
    sg_close(g);
}

/* ---- curves in text ----------------------------------------------------------------------- */

Test(plot, courses)
{
    static const float falling[] = {9, 8, 7, NAN, 5, 4, 3, 2, 1, 0}, flat[] = {4.5f, 4.5f};
    static const float none[] = {NAN, INFINITY};
    sg_curve curves[] = {{"训练", 10, NULL, falling},
                         {"flat", 2, NULL, flat},
                         {NULL, 2, NULL, none},
                         {"empty", 0, NULL, NULL}};
    char *buffer = NULL;
    size_t size = 0;
    sg_context *g = sg_open();
    FILE *f = open_memstream(&buffer, &size);
    cr_assert_eq(
        sg_plot_curves(g, .count = 4, .curves = curves, .title = "loss", .file = f, .width = 50),
        SG_OK);
    fflush(f);
    cr_assert_str_eq(buffer, "loss\n"
                             " 训练          9 987 543210            0\n"
                             " flat        4.5 55                    4.5\n"
                             "             nan                       nan\n"
                             "empty        nan                       nan\n");
    rewind(f);
    float long_one[10000];
    for (int i = 0; i < 10000; i++)
        long_one[i] = (float)i;
    sg_curve line = {"up", 10000, NULL, long_one};
    sg_plot_curves(g, .count = 1, .curves = &line, .file = f, .color = SG_COLOR_256);
    fclose(f);
    char *s = buffer, *first = next_line(&s);
    cr_assert_not_null(strstr(first, " ▁▁▁▂▂▂▂▂▂▂▃"));
    cr_assert_not_null(strstr(first, "▇▇▇███ 9999"), "%s", first);
    cr_assert_eq(columns_of(first, strlen(first)), 2 + 1 + 10 + 1 + 48 + 1 + 4);
    free(buffer);
    sg_close(g);
}

/* ---- errors ---------------------------------------------------------------------------- */

Test(plot, wrong_heatmaps)
{
    static const float v[] = {1};
    static const struct {
        sg_plot_heatmap_options o;
        const char *message;
    } rows[] = {
        {{.rows = 1, .columns = 1, .values = v}, "neither .file nor .svg says where to draw"},
        {{.rows = 1, .columns = 1, .values = v, .svg = ""}, ".svg is an empty path"},
        {{.rows = 1, .columns = 1, .svg = "x"}, ".values is NULL"},
        {{.rows = 0, .columns = 1, .values = v, .svg = "x"},
         "0 rows of 1 columns; 1..262144 cells are possible"},
        {{.rows = 1, .columns = -4, .values = v, .svg = "x"},
         "1 rows of -4 columns; 1..262144 cells are possible"},
        {{.rows = 65536, .columns = 65536, .values = v, .svg = "x"},
         "65536 rows of 65536 columns; 1..262144 cells are possible"},
        {{.rows = 1, .columns = 1, .values = v, .svg = "x", .width = 10},
         "a width of 10 columns; 50..10000 are possible"},
        {{.rows = 1, .columns = 1, .values = v, .svg = "x", .color = (sg_plot_color)9},
         ".color is none of the sg_plot_color"},
        {{.rows = 1, .columns = 1, .values = v, .svg = "x", .low = 2, .high = 1},
         ".low 2 is not below .high 1"},
        {{.rows = 1, .columns = 1, .values = v, .svg = "x", .low = NAN, .high = 1},
         ".low nan is not below .high 1"},
    };
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[128];
        sg_plot_heatmap_options o = rows[i].o;
        o.g = g;
        snprintf(expected, sizeof expected, "plot_heatmap: %s", rows[i].message);
        cr_assert_eq(sg_plot_heatmap_(o), SG_BAD_ARGUMENT, "row %zu", i);
        cr_assert_str_eq(sg_errmsg(g), expected, "row %zu: %s", i, sg_errmsg(g));
        sg_clear(g);
    }
    sg_close(g);
}

Test(plot, wrong_curves_and_errors_that_stick)
{
    static const float y[] = {1};
    sg_curve good = {"y", 1, NULL, y}, no_values = {"y", 3, NULL, NULL};
    sg_curve negative = {"y", -1, NULL, y};
    const struct {
        int count;
        const sg_curve *curves;
        const char *message;
    } rows[] = {{0, &good, "plot_curves: 0 curves; 1..64 are possible"},
                {65, &good, "plot_curves: 65 curves; 1..64 are possible"},
                {1, NULL, "plot_curves: .curves is NULL"},
                {1, &no_values, "plot_curves: curve 0 has 3 points and no .y"},
                {1, &negative, "plot_curves: curve 0 has -1 points"}};
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sg_plot_curves(g, .count = rows[i].count, .curves = rows[i].curves, .svg = "/nowhere/x");
        cr_assert_str_eq(sg_errmsg(g), rows[i].message);
        sg_clear(g);
    }
    char *buffer = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&buffer, &size);
    sg_fail(g, SG_BAD_SHAPE, "earlier");
    cr_assert_eq(sg_plot_curves(g, .count = 1, .curves = &good, .file = f), SG_BAD_SHAPE);
    cr_assert_eq(sg_plot_heatmap(g, .rows = 1, .columns = 1, .values = y, .file = f), SG_BAD_SHAPE);
    fclose(f);
    cr_assert_eq(size, 0, "nothing is drawn after an error");
    cr_assert_str_eq(sg_errmsg(g), "earlier");
    free(buffer);
    sg_close(g);
}
