/*
 * Plots in text. Everything is laid out in columns of a terminal beforehand, so that no line is
 * longer than the width, whatever the labels are.
 */
#define _DEFAULT_SOURCE /* isatty, fileno, the size of the window */
#include "models/plot/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char ascii_shades[] = " .:-=+*#%@";

/* From dark to bright: readable on dark and on light terminals alike. */
static const sg__rgb terminal_stops[SG__STOPS] = {
    {20, 22, 44}, {62, 44, 126}, {28, 112, 152}, {54, 182, 118}, {250, 228, 84}};

static sg_plot_color find_color(FILE *f, sg_plot_color wanted)
{
    const char *off = getenv("NO_COLOR"), *terminal = getenv("TERM");
    const char *depth = getenv("COLORTERM");
    if (wanted != SG_COLOR_AUTO)
        return wanted;
    if (!isatty(fileno(f)) || (off != NULL && *off != '\0') || terminal == NULL ||
        strcmp(terminal, "dumb") == 0)
        return SG_COLOR_NONE;
    bool full = depth != NULL && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0);
    return full ? SG_COLOR_24BIT : SG_COLOR_256;
}

static int find_width(FILE *f, int wanted)
{
    struct winsize size;
    if (wanted == 0 && isatty(fileno(f)) && ioctl(fileno(f), TIOCGWINSZ, &size) == 0 &&
        size.ws_col >= SG__LEAST_WIDTH)
        return size.ws_col;
    return wanted == 0 ? 100 : wanted;
}

enum { NUMBER = 10 }; /* columns of a number of four digits: "-1.234e-05" */

static void blanks(FILE *f, int n)
{
    for (; n > 0; n--)
        fputc(' ', f);
}

static void draw_title(FILE *f, const char *title, int width)
{
    sg__label l;
    sg__set_label(&l, title, width < SG__TITLE_WIDTH ? width : SG__TITLE_WIDTH);
    if (l.glyphs > 0)
        fprintf(f, "%s\n", l.text);
}

/* ---- heat map ----------------------------------------------------------------------------- */

typedef struct layout {
    FILE *f;
    sg_plot_color color;
    int left;    /* columns before the first cell */
    int cell;    /* columns of a cell */
    int columns; /* how many of the map's are shown */
    int width;   /* no line is longer */
    bool lying;  /* column labels are written from left to right, not from top to bottom */
} layout;

/* Chooses the widest cells that fit: labels lying above their column if they can, else standing. */
static layout lay_out(const sg__heatmap *h)
{
    layout l = {h->o.file, find_color(h->o.file, h->o.color), h->row_width + 1};
    int frame = l.color == SG_COLOR_NONE ? 2 : 0, n = h->o.columns;
    l.width = find_width(h->o.file, h->o.width);
    int room = l.width - l.left - frame;
    bool single = h->column_glyphs <= 1, narrow = true;
    for (int i = 0; i < n; i++) {
        int width = 0;
        for (const char *s = h->column[i].text; *s != '\0';) {
            s = sg__next_glyph(s, &width);
            narrow = narrow && width < 2;
        }
    }
    l.left += frame / 2;
    l.lying = !single && h->column_width < 12 && h->column_width + 1 <= room / n;
    l.cell = l.lying ? h->column_width + 1 : narrow && room / 2 < n ? 1 : 2;
    l.columns = room / l.cell < n ? room / l.cell : n;
    return l;
}

/* The glyph of a standing label in line `line` of `lines`: labels end at the map. */
static const char *standing_glyph(const sg__label *l, int line, int lines, int *width,
                                  const char **end)
{
    const char *s = l->text;
    *end = s;
    *width = 0;
    for (int i = lines - l->glyphs; i <= line && *s != '\0'; i++) {
        s = *end;
        *end = sg__next_glyph(s, width);
    }
    return s;
}

static void draw_column_labels(const sg__heatmap *h, const layout *l)
{
    int lines = l->lying ? 1 : h->column_glyphs;
    for (int line = 0; line < lines; line++) {
        int behind = l->left; /* blanks that are written when something follows */
        for (int i = 0; i < l->columns; i++) {
            const char *s = h->column[i].text, *end = s + strlen(s);
            int width = h->column[i].width;
            if (!l->lying)
                s = line < lines - h->column[i].glyphs
                        ? end
                        : standing_glyph(&h->column[i], line, lines, &width, &end);
            if (s == end || *s == ' ') {
                behind += l->cell;
                continue;
            }
            int before = l->lying ? (l->cell - width) / 2 : 0;
            blanks(l->f, behind + before);
            fprintf(l->f, "%.*s", (int)(end - s), s);
            behind = l->cell - before - width;
        }
        fputc('\n', l->f);
    }
}

static void set_background(const layout *l, double shade)
{
    sg__rgb c = sg__mix(terminal_stops, shade);
    if (l->color == SG_COLOR_24BIT)
        fprintf(l->f, "\x1b[48;2;%d;%d;%dm", c.r, c.g, c.b);
    else
        fprintf(l->f, "\x1b[48;5;%dm", 232 + (int)lround(shade * 23)); /* the palette's greys */
}

/* `width` columns of one shade; -1 is a missing value. */
static void draw_shade(const layout *l, double shade, int width)
{
    char c = ' ';
    if (shade < 0)
        c = '?';
    else if (l->color == SG_COLOR_NONE)
        c = ascii_shades[(int)lround(shade * 9)];
    if (l->color != SG_COLOR_NONE && shade >= 0)
        set_background(l, shade);
    for (int i = 0; i < width; i++)
        fputc(c, l->f);
    if (l->color != SG_COLOR_NONE && shade >= 0)
        fputs("\x1b[0m", l->f);
}

static void draw_rows(const sg__heatmap *h, const layout *l)
{
    const char *bar = l->color == SG_COLOR_NONE ? "|" : "";
    for (int row = 0; row < h->o.rows; row++) {
        blanks(l->f, h->row_width - h->row[row].width);
        fprintf(l->f, "%s %s", h->row[row].text, bar);
        for (int i = 0, same; i < l->columns; i += same) { /* one escape for a run of a shade */
            double shade = sg__shade(h, row, i);
            same = 1;
            while (i + same < l->columns && sg__shade(h, row, i + same) == shade)
                same++;
            draw_shade(l, shade, same * l->cell);
        }
        fprintf(l->f, "%s\n", bar);
    }
}

static void draw_scale(const sg__heatmap *h, const layout *l)
{
    const char *bar = l->color == SG_COLOR_NONE ? "|" : "";
    int steps = l->color == SG_COLOR_NONE ? 10 : 24, left = h->row_width + 1;
    int room = l->width - steps - 2 * NUMBER - 4;
    blanks(l->f, left < room ? left : room);
    fprintf(l->f, "%s %s", sg__number(h->low, 3).s, bar);
    for (int i = 0; i < steps; i++)
        draw_shade(l, (double)i / (steps - 1), 1);
    fprintf(l->f, "%s %s\n", bar, sg__number(h->high, 3).s);
}

void sg__heatmap_text(const sg__heatmap *h)
{
    layout l = lay_out(h);
    draw_title(l.f, h->o.title, l.width);
    draw_column_labels(h, &l);
    draw_rows(h, &l);
    draw_scale(h, &l);
    if (l.columns < h->o.columns)
        fprintf(l.f, "(columns 1..%d of %d)\n", l.columns, h->o.columns);
}

/* ---- curves ------------------------------------------------------------------------------- */

enum { MOST_STEPS = 48 };

/* The course of a curve in `steps` columns of equal shares of its points: their means, NaN where
 * there are none. */
static void resample(const sg_curve *c, int steps, double *mean)
{
    for (int k = 0; k < steps; k++) {
        int from = (int)((int64_t)c->n * k / steps), to = (int)((int64_t)c->n * (k + 1) / steps);
        double sum = 0, xy[2];
        int count = 0;
        for (int i = from; i < to; i++)
            if (sg__curve_point(c, i, xy)) {
                sum += xy[1];
                count++;
            }
        mean[k] = count > 0 ? sum / count : NAN;
    }
}

static void draw_course(const sg__curves *c, const sg_curve *curve, int steps, bool blocks)
{
    static const char *const block[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double mean[MOST_STEPS];
    int n = curve->n < steps ? curve->n : steps;
    resample(curve, n, mean);
    for (int k = 0; k < n; k++) {
        double t = (mean[k] - c->low[1]) / (c->high[1] - c->low[1]);
        if (isnan(t))
            fputc(' ', c->o.file);
        else if (blocks)
            fputs(block[(int)lround(t * 7)], c->o.file);
        else
            fputc('0' + (int)lround(t * 9), c->o.file);
    }
    blanks(c->o.file, steps - n);
}

void sg__curves_text(const sg__curves *c)
{
    FILE *f = c->o.file;
    bool blocks = find_color(f, c->o.color) != SG_COLOR_NONE;
    int width = find_width(f, c->o.width), steps = width - c->name_width - 2 * NUMBER - 4;
    steps = steps < 1 ? 1 : steps > MOST_STEPS ? MOST_STEPS : steps;
    draw_title(f, c->o.title, width);
    for (int k = 0; k < c->o.count; k++) {
        const sg_curve *curve = &c->o.curves[k];
        double first = NAN, last = NAN, xy[2];
        for (int i = 0; i < curve->n; i++)
            if (sg__curve_point(curve, i, xy)) {
                first = isnan(first) ? xy[1] : first;
                last = xy[1];
            }
        blanks(f, c->name_width - c->name[k].width);
        fprintf(f, "%s %*s ", c->name[k].text, NUMBER, sg__number(first, 4).s);
        draw_course(c, curve, steps, blocks);
        fprintf(f, " %s\n", sg__number(last, 4).s);
    }
}
