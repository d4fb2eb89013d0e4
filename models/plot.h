/*
 * seqgrad plots: what an attention looked at, how a loss fell. In a terminal, and as SVG files that
 * every browser shows; no other program is needed.
 *
 * They take plain arrays (sg_data gives one) and UTF-8 texts, in which wide characters take two
 * columns and combining marks none. Control characters and damaged UTF-8 in texts are replaced by
 * visible signs and long labels are cut, with a '~' at their end. Whatever is wrong becomes the
 * context's error; nothing is drawn once there is one.
 */
#ifndef SG_PLOT_H
#define SG_PLOT_H

#include "core/core.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    SG_COLOR_AUTO, /* what the terminal can; none for a file, a pipe, or when NO_COLOR is set */
    SG_COLOR_NONE, /* shades of ASCII: " .:-=+*#%@" */
    SG_COLOR_256,  /* shades of grey */
    SG_COLOR_24BIT
} sg_plot_color;

enum { SG_PLOT_CELLS = 1 << 18, SG_PLOT_CURVES = 64 }; /* the most that one plot may have */

typedef struct sg_plot_heatmap_options {
    sg_context *g;
    int rows, columns;                /* of attention: tokens of the output, of the input */
    const char *const *row_labels;    /* [rows], NULL: none */
    const char *const *column_labels; /* [columns], NULL: none */
    const float *values;              /* [rows, columns]; NaN is drawn as a missing value */
    double low, high; /* where the shades end; both 0: from the least value, or 0 if all are above,
                       * to the largest one */
    const char *title;
    FILE *file; /* where to draw in text; NULL: nowhere */
    int width;  /* of that text, in columns, 50..10000; 0: the terminal's, or else 100 */
    sg_plot_color color;
    const char *svg; /* path of a file to write; NULL: none. An old one is replaced as a whole. */
    int end_;
} sg_plot_heatmap_options;

/* A rectangle of shaded cells with labels: rows from the top, columns from the left. Columns that
 * do not fit the width of the text are left out, which a line below says; the SVG has all.
 * sg_plot_heatmap(g, .rows = m, .columns = n, .values = a, .file = stdout) */
#define sg_plot_heatmap(...) sg_plot_heatmap_((sg_plot_heatmap_options){__VA_ARGS__, .end_ = 0})
SG_API sg_status sg_plot_heatmap_(sg_plot_heatmap_options o);

typedef struct sg_curve {
    const char *name; /* NULL: none */
    int n;            /* points */
    const float *x;   /* [n], ascending; NULL: 1, 2 .. n */
    const float *y;   /* [n]; a gap where a point is not finite */
} sg_curve;

typedef struct sg_plot_curves_options {
    sg_context *g;
    int count;
    const sg_curve *curves; /* [count] */
    const char *title, *x_name, *y_name;
    FILE *file; /* a line of text for each curve: first value, course, last value; NULL: none */
    int width;
    sg_plot_color color; /* none: the course as digits 0..9, otherwise as blocks */
    const char *svg;
    int end_;
} sg_plot_curves_options;

/* Curves over common axes, such as training and validation loss over steps. Of more than 300 points
 * the SVG shows the means of 300 equal stretches, in a band from the least to the largest value.
 * sg_plot_curves(g, .count = 1, .curves = &loss, .x_name = "step", .svg = "loss.svg") */
#define sg_plot_curves(...) sg_plot_curves_((sg_plot_curves_options){__VA_ARGS__, .end_ = 0})
SG_API sg_status sg_plot_curves_(sg_plot_curves_options o);

#ifdef __cplusplus
}
#endif

#endif
