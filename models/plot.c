/*
 * The entry points of the plots: they check the options, make the labels safe, find the range of
 * the values, and hand over to the drawing in text and in SVG, which cannot meet bad input any
 * more.
 */
#include "models/plot/draw.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

sg__text sg__number(double value, int digits)
{
    sg__text t, plain;
    size_t n = 0;
    snprintf(t.s, sizeof t.s, "%.*g", digits, value == 0 ? 0 : value); /* no -0 */
    for (const char *s = t.s; *s != '\0'; s++) /* what is none of these is the locale's point */
        if (isalnum((unsigned char)*s) || *s == '-' || *s == '+')
            plain.s[n++] = *s;
        else if (n == 0 || plain.s[n - 1] != '.')
            plain.s[n++] = '.';
    plain.s[n] = '\0';
    return plain;
}

sg__rgb sg__mix(const sg__rgb stops[SG__STOPS], double t)
{
    double at = t * (SG__STOPS - 1);
    int i = at < SG__STOPS - 2 ? (int)at : SG__STOPS - 2;
    double f = at - i;
    sg__rgb a = stops[i], b = stops[i + 1];
    return (sg__rgb){(int)lround(a.r + (b.r - a.r) * f), (int)lround(a.g + (b.g - a.g) * f),
                     (int)lround(a.b + (b.b - a.b) * f)};
}

double sg__shade(const sg__heatmap *h, int row, int column)
{
    double v = (double)h->o.values[(size_t)row * (size_t)h->o.columns + (size_t)column];
    if (isnan(v))
        return -1;
    double t = (v - h->low) / (h->high - h->low);
    return t < 0 ? 0 : t > 1 ? 1 : t;
}

bool sg__curve_point(const sg_curve *c, int i, double xy[2])
{
    xy[0] = c->x == NULL ? i + 1.0 : (double)c->x[i];
    xy[1] = (double)c->y[i];
    return isfinite(xy[0]) && isfinite(xy[1]);
}

/* A range of no length is widened, so that it can be divided by. */
static void widen(double *low, double *high)
{
    if (!(*low <= *high)) { /* no value at all */
        *low = 0;
        *high = 1;
    } else if (*low == *high) {
        double room = *low == 0 ? 1 : fabs(*low) / 2;
        *low -= *low == 0 ? 0 : room;
        *high += room;
    }
}

static int largest(int a, int b)
{
    return a > b ? a : b;
}

static bool fail(sg_context *g, const char *plot, const char *what)
{
    sg_fail(g, SG_BAD_ARGUMENT, "%s: %s", plot, what);
    return false;
}

/* What both plots have in common. */
static bool check_output(sg_context *g, const char *plot, FILE *file, const char *svg, int width,
                         sg_plot_color color)
{
    if (file == NULL && svg == NULL)
        return fail(g, plot, "neither .file nor .svg says where to draw");
    if (svg != NULL && *svg == '\0')
        return fail(g, plot, ".svg is an empty path");
    if (width != 0 && (width < SG__LEAST_WIDTH || width > SG__MOST_WIDTH)) {
        sg_fail(g, SG_BAD_ARGUMENT, "%s: a width of %d columns; %d..%d are possible", plot, width,
                SG__LEAST_WIDTH, SG__MOST_WIDTH);
        return false;
    }
    if ((int)color < SG_COLOR_AUTO || (int)color > SG_COLOR_24BIT)
        return fail(g, plot, ".color is none of the sg_plot_color");
    return true;
}

static bool check_written(sg_context *g, const char *plot, FILE *file)
{
    if (file == NULL || (fflush(file) == 0 && !ferror(file)))
        return true;
    sg_fail(g, SG_IO, "%s: cannot write the text", plot);
    return false;
}

/* ---- heat map ----------------------------------------------------------------------------- */

static bool check_heatmap(const sg_plot_heatmap_options *o)
{
    static const char plot[] = "plot_heatmap";
    if (!check_output(o->g, plot, o->file, o->svg, o->width, o->color))
        return false;
    if (o->rows < 1 || o->columns < 1 || o->rows > SG_PLOT_CELLS / o->columns) {
        sg_fail(o->g, SG_BAD_ARGUMENT, "%s: %d rows of %d columns; 1..%d cells are possible", plot,
                o->rows, o->columns, SG_PLOT_CELLS);
        return false;
    }
    if (o->values == NULL)
        return fail(o->g, plot, ".values is NULL");
    if (!isfinite(o->low) || !isfinite(o->high) || !isfinite(o->high - o->low) ||
        (o->low >= o->high && (o->low != 0 || o->high != 0))) {
        sg_fail(o->g, SG_BAD_ARGUMENT, "%s: .low %g is not below .high %g", plot, o->low, o->high);
        return false;
    }
    return true;
}

static void find_heatmap_range(sg__heatmap *h)
{
    h->low = h->o.low;
    h->high = h->o.high;
    if (h->low != 0 || h->high != 0)
        return;
    h->high = -INFINITY;
    for (int64_t i = 0; i < (int64_t)h->o.rows * h->o.columns; i++) {
        double v = (double)h->o.values[i];
        if (isfinite(v)) {
            h->low = v < h->low ? v : h->low;
            h->high = v > h->high ? v : h->high;
        }
    }
    widen(&h->low, &h->high);
}

static void make_labels(sg__label *labels, int n, const char *const *texts, int *width)
{
    for (int i = 0; i < n; i++) {
        sg__set_label(&labels[i], texts == NULL ? NULL : texts[i], SG__LABEL_WIDTH);
        *width = largest(*width, labels[i].width);
    }
}

sg_status sg_plot_heatmap_(sg_plot_heatmap_options o)
{
    if (!sg_ok(o.g) || !check_heatmap(&o))
        return sg_error(o.g);
    sg__heatmap h = {.o = o};
    h.row = malloc(((size_t)o.rows + (size_t)o.columns) * sizeof *h.row);
    if (h.row == NULL) {
        sg_fail(o.g, SG_NO_MEMORY, "plot_heatmap: no memory for %d labels", o.rows + o.columns);
        return sg_error(o.g);
    }
    h.column = h.row + o.rows;
    sg__set_label(&h.title, o.title, SG__TITLE_WIDTH);
    make_labels(h.row, o.rows, o.row_labels, &h.row_width);
    make_labels(h.column, o.columns, o.column_labels, &h.column_width);
    for (int i = 0; i < o.columns; i++)
        h.column_glyphs = largest(h.column_glyphs, h.column[i].glyphs);
    find_heatmap_range(&h);
    if (o.file != NULL)
        sg__heatmap_text(&h);
    if (check_written(o.g, "plot_heatmap", o.file) && o.svg != NULL)
        sg__heatmap_svg(&h);
    free(h.row);
    return sg_error(o.g);
}

/* ---- curves ------------------------------------------------------------------------------- */

static bool check_curves(const sg_plot_curves_options *o)
{
    static const char plot[] = "plot_curves";
    if (!check_output(o->g, plot, o->file, o->svg, o->width, o->color))
        return false;
    if (o->curves == NULL)
        return fail(o->g, plot, ".curves is NULL");
    if (o->count < 1 || o->count > SG_PLOT_CURVES) {
        sg_fail(o->g, SG_BAD_ARGUMENT, "%s: %d curves; 1..%d are possible", plot, o->count,
                SG_PLOT_CURVES);
        return false;
    }
    for (int i = 0; i < o->count; i++)
        if (o->curves[i].n < 0 || (o->curves[i].n > 0 && o->curves[i].y == NULL)) {
            sg_fail(o->g, SG_BAD_ARGUMENT, "%s: curve %d has %d points%s", plot, i, o->curves[i].n,
                    o->curves[i].n < 0 ? "" : " and no .y");
            return false;
        }
    return true;
}

static void find_curves_range(sg__curves *c)
{
    for (int axis = 0; axis < 2; axis++) {
        c->low[axis] = INFINITY;
        c->high[axis] = -INFINITY;
    }
    for (int k = 0; k < c->o.count; k++)
        for (int i = 0; i < c->o.curves[k].n; i++) {
            double xy[2];
            if (!sg__curve_point(&c->o.curves[k], i, xy))
                continue;
            for (int axis = 0; axis < 2; axis++) {
                c->low[axis] = fmin(c->low[axis], xy[axis]);
                c->high[axis] = fmax(c->high[axis], xy[axis]);
            }
        }
    for (int axis = 0; axis < 2; axis++)
        widen(&c->low[axis], &c->high[axis]);
}

sg_status sg_plot_curves_(sg_plot_curves_options o)
{
    if (!sg_ok(o.g) || !check_curves(&o))
        return sg_error(o.g);
    sg__label names[SG_PLOT_CURVES];
    sg__curves c = {.o = o, .name = names};
    sg__set_label(&c.title, o.title, SG__TITLE_WIDTH);
    sg__set_label(&c.x_name, o.x_name, SG__LABEL_WIDTH);
    sg__set_label(&c.y_name, o.y_name, SG__LABEL_WIDTH);
    for (int i = 0; i < o.count; i++) {
        sg__set_label(&names[i], o.curves[i].name, SG__LABEL_WIDTH);
        c.name_width = largest(c.name_width, names[i].width);
    }
    find_curves_range(&c);
    if (o.file != NULL)
        sg__curves_text(&c);
    if (check_written(o.g, "plot_curves", o.file) && o.svg != NULL)
        sg__curves_svg(&c);
    return sg_error(o.g);
}
