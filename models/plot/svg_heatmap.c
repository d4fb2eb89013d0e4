/*
 * A heat map as SVG: a rectangle for every cell, which tells its labels and value under the mouse.
 */
#include "models/plot/draw.h"

#include <math.h>
#include <string.h>

/* From the paper's white to dark blue. */
static const sg__rgb paper_stops[SG__STOPS] = {
    {245, 247, 251}, {190, 214, 238}, {100, 166, 214}, {34, 102, 172}, {10, 36, 90}};

enum { MARGIN = 20, TITLE = 30, SCALE = 104, TICK = 6 };

typedef enum { UPRIGHT, SLANTED, STANDING } turn;

typedef struct layout {
    double left, top, cell, font, column; /* column: pixels of a terminal's column in that font */
    double width, height;
    turn turn; /* of the column labels */
} layout;

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* Labels lie above their cells when they are short, slant when there is room between them, and
 * stand when there is not. */
static layout lay_out(const sg__heatmap *h)
{
    layout l = {.cell = clamp(1040.0 / h->o.columns, 12, 30)};
    l.font = clamp(l.cell - 3, 9, 14);
    l.column = l.font * 0.58;
    double longest = h->column_width * l.column, above = l.font, beyond = 0;
    l.turn = longest <= l.cell ? UPRIGHT : l.cell >= l.font * 1.5 ? SLANTED : STANDING;
    if (l.turn == SLANTED) {
        above = longest * sqrt(0.5) + l.font;
        beyond = longest * sqrt(0.5) - SCALE;
    } else if (l.turn == STANDING) {
        above = longest;
    }
    l.left = MARGIN + h->row_width * l.column + (h->row_width > 0 ? TICK : 0);
    l.top = MARGIN + (h->title.glyphs > 0 ? TITLE : 0) + (h->column_width > 0 ? above + TICK : 0);
    double map = l.left + l.cell * h->o.columns;
    l.width = map + SCALE + (beyond > 0 ? beyond : 0);
    double title = 2 * MARGIN + h->title.width * 16 * 0.58;
    l.width = title > l.width ? title : l.width;
    l.height = l.top + fmax(l.cell * h->o.rows, 100) + MARGIN;
    return l;
}

static void draw_labels(sg__svg *s, const sg__heatmap *h, const layout *l)
{
    sg__svg_put(s, "<g font-size=\"%s\" text-anchor=\"end\">\n", sg__px(l->font).s);
    for (int i = 0; i < h->o.rows; i++)
        if (h->row[i].glyphs > 0)
            sg__svg_text(s, l->left - TICK, l->top + (i + 0.5) * l->cell + l->font * 0.36, "",
                         h->row[i].text);
    sg__svg_put(s, "</g>\n<g font-size=\"%s\" text-anchor=\"%s\">\n", sg__px(l->font).s,
                l->turn == UPRIGHT ? "middle" : "start");
    for (int i = 0; i < h->o.columns; i++) {
        double x = l->left + (i + 0.5) * l->cell, y = l->top - TICK;
        char more[96] = "";
        if (h->column[i].glyphs == 0)
            continue;
        if (l->turn != UPRIGHT) { /* the middle of the letters, not their foot, is above the cell */
            x += l->font * (l->turn == SLANTED ? 0.2 : 0.36);
            snprintf(more, sizeof more, "transform=\"rotate(%d %s %s)\"",
                     l->turn == SLANTED ? -45 : -90, sg__px(x).s, sg__px(y).s);
        }
        sg__svg_text(s, x, y, more, h->column[i].text);
    }
    sg__svg_put(s, "</g>\n");
}

static void draw_cell(sg__svg *s, const sg__heatmap *h, const layout *l, int row, int column)
{
    double shade = sg__shade(h, row, column), gap = l->cell >= 16 ? 1 : 0.5;
    double value = (double)h->o.values[(size_t)row * (size_t)h->o.columns + (size_t)column];
    sg__rgb c = sg__mix(paper_stops, shade < 0 ? 0 : shade);
    char fill[24];
    snprintf(fill, sizeof fill, "#%02x%02x%02x", (unsigned)c.r, (unsigned)c.g, (unsigned)c.b);
    sg__svg_put(s, "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" fill=\"%s\"><title>",
                sg__px(l->left + column * l->cell).s, sg__px(l->top + row * l->cell).s,
                sg__px(l->cell - gap).s, sg__px(l->cell - gap).s,
                shade < 0 ? "url(#missing)" : fill);
    sg__svg_escape(s, h->row[row].text);
    sg__svg_put(s, h->row[row].glyphs > 0 || h->column[column].glyphs > 0 ? " ← " : "");
    sg__svg_escape(s, h->column[column].text);
    sg__svg_put(s, ": %s</title></rect>\n", sg__number(value, 4).s);
}

static void draw_scale(sg__svg *s, const sg__heatmap *h, const layout *l)
{
    double x = l->left + l->cell * h->o.columns + 20;
    double height = clamp(l->cell * h->o.rows, 90, 220);
    sg__svg_put(s, "<rect x=\"%s\" y=\"%s\" width=\"14\" height=\"%s\" fill=\"url(#scale)\"/>\n",
                sg__px(x).s, sg__px(l->top).s, sg__px(height).s);
    sg__svg_put(s, "<g font-size=\"12\">\n");
    for (int i = 0; i < SG__STOPS; i++) {
        double t = (double)i / (SG__STOPS - 1);
        double y = l->top + height * (1 - t);
        sg__svg_put(s, "<path d=\"M%s %sh4\" stroke=\"#888\"/>\n", sg__px(x + 14).s, sg__px(y).s);
        sg__svg_text(s, x + 22, y + 4, "", sg__number(h->low + (h->high - h->low) * t, 3).s);
    }
    sg__svg_put(s, "</g>\n");
}

static void define_fills(sg__svg *s)
{
    sg__svg_put(s, "<defs>\n<linearGradient id=\"scale\" x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\">");
    for (int i = 0; i < SG__STOPS; i++)
        sg__svg_put(s, "<stop offset=\"%d%%\" stop-color=\"rgb(%d,%d,%d)\"/>",
                    100 * i / (SG__STOPS - 1), paper_stops[i].r, paper_stops[i].g,
                    paper_stops[i].b);
    sg__svg_put(s, "</linearGradient>\n"
                   "<pattern id=\"missing\" width=\"6\" height=\"6\" "
                   "patternUnits=\"userSpaceOnUse\"><rect width=\"6\" height=\"6\" "
                   "fill=\"#eee\"/><path d=\"M0 6L6 0\" stroke=\"#bbb\"/></pattern>\n</defs>\n");
}

void sg__heatmap_svg(const sg__heatmap *h)
{
    layout l = lay_out(h);
    sg__svg s;
    sg__svg_open(&s, h->o.g, h->o.svg, l.width, l.height);
    define_fills(&s);
    if (h->title.glyphs > 0)
        sg__svg_text(&s, MARGIN, MARGIN + 14, "font-size=\"16\" font-weight=\"600\"",
                     h->title.text);
    draw_labels(&s, h, &l);
    for (int row = 0; row < h->o.rows; row++)
        for (int column = 0; column < h->o.columns; column++)
            draw_cell(&s, h, &l, row, column);
    draw_scale(&s, h, &l);
    sg__svg_close(&s);
}
