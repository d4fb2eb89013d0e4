/*
 * Curves as SVG, over axes whose ticks are round numbers.
 */
#include "models/plot/draw.h"

#include <math.h>

enum { WIDTH = 760, HEIGHT = 440, LEFT = 78, RIGHT = 24, TOP = 52, BOTTOM = 58, TICKS = 6 };

/* Okabe and Ito's colours, which also the colour-blind tell apart; black is for text. */
static const char *const colors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                     "#e69f00", "#56b4e9", "#8a7d00"};
enum { COLORS = sizeof colors / sizeof *colors };

typedef struct axis {
    double low, high, step; /* low and high are multiples of step, if it is an axis of values */
    double from, to;        /* their pixels */
} axis;

/* The smallest step of 1, 2 or 5 times a power of ten that makes at most TICKS of them. */
static double round_step(double length)
{
    double power = pow(10, floor(log10(length / TICKS)));
    for (; power < length; power *= 10)
        for (int i = 0; i < 3; i++) {
            double step = power * (i == 0 ? 1 : i == 1 ? 2 : 5);
            if (length / step <= TICKS)
                return step;
        }
    return length;
}

static axis make_axis(double low, double high, double from, double to, bool whole)
{
    axis a = {low, high, round_step(high - low), from, to};
    if (whole) {
        a.low = floor(low / a.step) * a.step;
        a.high = ceil(high / a.step) * a.step;
    }
    return a;
}

static double pixel(const axis *a, double value)
{
    return a->from + (value - a->low) / (a->high - a->low) * (a->to - a->from);
}

static void draw_axes(sg__svg *s, const axis *x, const axis *y)
{
    sg__svg_put(s, "<g font-size=\"12\" stroke-width=\"1\">\n");
    for (double k = ceil(y->low / y->step - 1e-9); k * y->step <= y->high + y->step * 1e-9; k++) {
        double p = pixel(y, k * y->step);
        sg__svg_put(s, "<path d=\"M%d %sH%d\" stroke=\"#e4e4e4\"/>\n", LEFT, sg__px(p).s,
                    WIDTH - RIGHT);
        sg__svg_text(s, LEFT - 8, p + 4, "text-anchor=\"end\"", sg__number(k * y->step, 5).s);
    }
    for (double k = ceil(x->low / x->step - 1e-9); k * x->step <= x->high + x->step * 1e-9; k++) {
        double p = pixel(x, k * x->step);
        sg__svg_put(s, "<path d=\"M%s %dv5\" stroke=\"#888\"/>\n", sg__px(p).s, HEIGHT - BOTTOM);
        sg__svg_text(s, p, HEIGHT - BOTTOM + 19, "text-anchor=\"middle\"",
                     sg__number(k * x->step, 6).s);
    }
    sg__svg_put(s, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#888\"/>\n</g>\n", LEFT, TOP,
                HEIGHT - BOTTOM, WIDTH - RIGHT);
}

static void draw_names(sg__svg *s, const sg__curves *c)
{
    if (c->title.glyphs > 0)
        sg__svg_text(s, LEFT, 30, "font-size=\"16\" font-weight=\"600\"", c->title.text);
    if (c->x_name.glyphs > 0)
        sg__svg_text(s, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16,
                     "font-size=\"13\" text-anchor=\"middle\"", c->x_name.text);
    if (c->y_name.glyphs > 0)
        sg__svg_text(s, 0, 0,
                     "font-size=\"13\" text-anchor=\"middle\" "
                     "transform=\"translate(20 217) rotate(-90)\"",
                     c->y_name.text);
}

/* A stretch of a curve: its mean, and the range that its points have around it. */
typedef struct stretch {
    double x, low, mean, high;
    int points; /* that are finite */
} stretch;

enum { STRETCHES = 300 };

/* Cuts a curve into stretches: single points, as long as they are not too many. */
static int cut_curve(const sg_curve *c, stretch *s)
{
    int n = c->n < STRETCHES ? c->n : STRETCHES;
    for (int k = 0; k < n; k++) {
        int from = (int)((int64_t)c->n * k / n), to = (int)((int64_t)c->n * (k + 1) / n);
        s[k] = (stretch){.low = INFINITY, .high = -INFINITY};
        for (int i = from; i < to; i++) {
            double xy[2];
            if (!sg__curve_point(c, i, xy))
                continue;
            s[k].points++;
            s[k].x += (xy[0] - s[k].x) / s[k].points;
            s[k].mean += (xy[1] - s[k].mean) / s[k].points;
            s[k].low = fmin(s[k].low, xy[1]);
            s[k].high = fmax(s[k].high, xy[1]);
        }
    }
    return n;
}

/* The area between the lows and the highs of stretches without a gap. */
static void draw_band(sg__svg *s, const stretch *from, int n, const axis *x, const axis *y)
{
    for (int i = 0; i < n; i++)
        sg__svg_put(s, "%c%s %s", i == 0 ? 'M' : 'L', sg__px(pixel(x, from[i].x)).s,
                    sg__px(pixel(y, from[i].high)).s);
    for (int i = n - 1; i >= 0; i--)
        sg__svg_put(s, "L%s %s", sg__px(pixel(x, from[i].x)).s, sg__px(pixel(y, from[i].low)).s);
    sg__svg_put(s, "Z");
}

static void draw_curve(sg__svg *s, const sg_curve *c, const axis *x, const axis *y,
                       const char *color)
{
    stretch part[STRETCHES];
    const stretch *last = NULL;
    int n = cut_curve(c, part);
    if (c->n > STRETCHES) {
        sg__svg_put(s, "<path fill=\"%s\" fill-opacity=\"0.2\" d=\"", color);
        for (int i = 0, run; i < n; i += run + 1) {
            for (run = 0; i + run < n && part[i + run].points > 0; run++)
                ;
            if (run > 0)
                draw_band(s, part + i, run, x, y);
        }
        sg__svg_put(s, "\"/>\n");
    }
    sg__svg_put(s,
                "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" "
                "stroke-linejoin=\"round\" stroke-linecap=\"round\" d=\"",
                color);
    for (int i = 0; i < n; i++) {
        if (part[i].points == 0)
            continue;
        bool pen = i > 0 && part[i - 1].points > 0;
        last = &part[i];
        sg__svg_put(s, "%c%s %s", pen ? 'L' : 'M', sg__px(pixel(x, last->x)).s,
                    sg__px(pixel(y, last->mean)).s);
        if (!pen)
            sg__svg_put(s, "h0"); /* a point alone is a dot */
    }
    sg__svg_put(s, "\"/>\n");
    if (last != NULL)
        sg__svg_put(s,
                    "<circle cx=\"%s\" cy=\"%s\" r=\"3\" fill=\"%s\"><title>%s</title></circle>\n",
                    sg__px(pixel(x, last->x)).s, sg__px(pixel(y, last->mean)).s, color,
                    sg__number(last->mean, 6).s);
}

/* In the upper right corner, where a loss that falls leaves room. */
static void draw_legend(sg__svg *s, const sg__curves *c)
{
    enum { ROW = 20 };
    if (c->name_width == 0)
        return;
    int width = 44 + c->name_width * 8, left = WIDTH - RIGHT - width - 8;
    sg__svg_put(s,
                "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" fill=\"#fff\" "
                "fill-opacity=\"0.85\" stroke=\"#ddd\"/>\n<g font-size=\"13\">\n",
                left, TOP + 4, width, c->o.count * ROW + 8);
    for (int i = 0; i < c->o.count; i++) {
        int y = TOP + 18 + i * ROW;
        sg__svg_put(s, "<path d=\"M%d %dh20\" stroke=\"%s\" stroke-width=\"3\"/>\n", left + 8, y,
                    colors[i % COLORS]);
        sg__svg_text(s, left + 36, y + 5, "", c->name[i].text);
    }
    sg__svg_put(s, "</g>\n");
}

void sg__curves_svg(const sg__curves *c)
{
    axis x = make_axis(c->low[0], c->high[0], LEFT, WIDTH - RIGHT, false);
    axis y = make_axis(c->low[1], c->high[1], HEIGHT - BOTTOM, TOP, true);
    sg__svg s;
    sg__svg_open(&s, c->o.g, c->o.svg, WIDTH, HEIGHT);
    draw_axes(&s, &x, &y);
    draw_names(&s, c);
    for (int i = 0; i < c->o.count; i++)
        draw_curve(&s, &c->o.curves[i], &x, &y, colors[i % COLORS]);
    draw_legend(&s, c);
    sg__svg_close(&s);
}
