/*
 * What the parts of models/plot.c share: labels that are safe to show, shades, and SVG files.
 */
#ifndef SG_PLOT_DRAW_H
#define SG_PLOT_DRAW_H

#include "models/plot.h"

/* ---- label.c ---- */

enum { SG__LABEL_WIDTH = 24, SG__TITLE_WIDTH = 70, SG__LEAST_WIDTH = 50, SG__MOST_WIDTH = 10000 };

/* Valid UTF-8 without control characters: a row of glyphs, each a character of one or two columns
 * with the combining marks that follow it. */
typedef struct sg__label {
    char text[480];
    int width, glyphs; /* columns in a terminal; how many glyphs */
} sg__label;

/* s (NULL: empty) cut to `most` columns. A label of nothing but blanks shows them as U+2423. */
void sg__set_label(sg__label *l, const char *s, int most);
/* The end of the glyph that begins at s, and its columns. */
const char *sg__next_glyph(const char *s, int *width);

/* ---- plot.c: options that were found right, with the labels and the range to draw ---- */

typedef struct sg__heatmap {
    sg_plot_heatmap_options o;
    sg__label title, *row, *column;             /* labels are empty where there are none */
    int row_width, column_width, column_glyphs; /* largest of the labels */
    double low, high;                           /* low < high */
} sg__heatmap;

typedef struct sg__curves {
    sg_plot_curves_options o;
    sg__label title, x_name, y_name, *name;
    int name_width;
    double low[2], high[2]; /* of x and y: low < high */
} sg__curves;

/* The point's coordinates; false for a gap. */
bool sg__curve_point(const sg_curve *c, int i, double xy[2]);
/* 0..1, or -1 for NaN. */
double sg__shade(const sg__heatmap *h, int row, int column);
/* value with so many digits, "%.{digits}g", and a decimal point in every locale. */
typedef struct sg__text {
    char s[32];
} sg__text;
sg__text sg__number(double value, int digits);

enum { SG__STOPS = 5 };
typedef struct sg__rgb {
    int r, g, b;
} sg__rgb;
/* The colour at 0 <= t <= 1 between stops at equal distances. */
sg__rgb sg__mix(const sg__rgb stops[SG__STOPS], double t);

/* ---- terminal.c ---- */

void sg__heatmap_text(const sg__heatmap *h);
void sg__curves_text(const sg__curves *c);

/* ---- svg.c, svg_heatmap.c, svg_curves.c ---- */

/* A file that takes its name when it is complete. Writing to one that could not be opened does
 * nothing. Coordinates are pixels. */
typedef struct sg__svg {
    sg_context *g;
    FILE *f;
    char *temporary; /* NULL: written in place, as it is no regular file */
    const char *path;
} sg__svg;

void sg__svg_open(sg__svg *s, sg_context *g, const char *path, double width, double height);
void sg__svg_close(sg__svg *s);
void sg__svg_put(sg__svg *s, const char *format, ...) SG_PRINTF(2, 3); /* no numbers but integers */
void sg__svg_escape(sg__svg *s, const char *text);                     /* of a label */
/* An element of text at x, y; `more` are further attributes. */
void sg__svg_text(sg__svg *s, double x, double y, const char *more, const char *text);
sg__text sg__px(double pixels); /* with one decimal */

void sg__heatmap_svg(const sg__heatmap *h);
void sg__curves_svg(const sg__curves *c);

#endif
