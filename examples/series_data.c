/* See series_data.h. */
#include "examples/series_data.h"

#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>

void series_examples_free(series_examples *e)
{
    free(e->item);
    free(e->changes);
    *e = (series_examples){0};
}

sg_tensor *series_scale(sg_context *g, int features)
{
    return sg_buffer(g, "scale", SG_F32, SG_SHAPE(2, features), 0);
}

static void measure(sg_context *g, int features, size_t n, const float *x)
{
    float *scale = calloc(2 * (size_t)features, sizeof *scale);
    for (int k = 0; scale && k < features; k++) {
        double sum = 0, squares = 0, count = 0;
        for (size_t i = (size_t)k; i < n; i += (size_t)features)
            if (isfinite(x[i])) {
                sum += (double)x[i];
                squares += (double)x[i] * (double)x[i];
                count++;
            }
        double mean = sum / fmax(count, 1), variance = squares / fmax(count, 1) - mean * mean;
        scale[k] = (float)mean;
        scale[features + k] = (float)(variance > 0 ? sqrt(variance) : 1);
    }
    if (!scale)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d features", features);
    else
        sg_set(series_scale(g, features), scale);
    free(scale);
}

/* What is missing is taken for the mean. */
static void apply_scale(sg_context *g, int features, size_t n, float *x)
{
    const float *scale = sg_data(series_scale(g, features));
    for (size_t i = 0; scale && i < n; i++) {
        size_t k = i % (size_t)features;
        x[i] = isfinite(x[i]) ? (x[i] - scale[k]) / scale[(size_t)features + k] : 0;
    }
}

static double level(bool relative, float v)
{
    return relative ? log((double)v) : (double)v;
}

series_examples series_windows(sg_context *g, const series_item *v, int time, bool relative,
                               int train)
{
    series_examples e = {.features = 1};
    int n = v->length - 1;
    e.changes = malloc((size_t)(n > 0 ? n : 1) * sizeof *e.changes);
    e.item = malloc((size_t)(n > 0 ? n : 1) * sizeof *e.item);
    if (sg_ok(g) && (!e.changes || !e.item || n <= time))
        sg_fail(g, SG_BAD_ARGUMENT, "%d values are too few for windows of %d", n + 1, time);
    for (int t = 0; t < n && sg_ok(g); t++) {
        e.changes[t] = (float)(level(relative, v->x[t + 1]) - level(relative, v->x[t]));
        if (!isfinite(e.changes[t]))
            sg_fail(g, SG_BAD_ARGUMENT, "value %d (%g) has no %s", t + 2, (double)v->x[t + 1],
                    relative ? "logarithm" : "change");
    }
    if (sg_ok(g) && train)
        measure(g, 1, (size_t)train, e.changes);
    if (sg_ok(g))
        apply_scale(g, 1, (size_t)n, e.changes);
    for (int t = 0; t + time < n && sg_ok(g); t++)
        e.item[e.count++] = (series_example){e.changes + t, time, 0, e.changes[t + time],
                                             level(relative, v->x[t + time])};
    return e;
}

series_examples series_labelled(sg_context *g, series_file *f, bool train)
{
    series_examples e = {.count = f->count, .features = f->features};
    size_t n = 0;
    for (int i = 0; i < f->count; i++)
        n += (size_t)f->item[i].length * (size_t)f->features;
    if (train && sg_ok(g))
        measure(g, f->features, n, f->values);
    if (sg_ok(g))
        apply_scale(g, f->features, n, f->values);
    e.item = malloc((size_t)f->count * sizeof *e.item + 1);
    if (!e.item)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d series", f->count);
    for (int i = 0; i < f->count && e.item; i++)
        e.item[i] = (series_example){
            .x = f->item[i].x, .length = f->item[i].length, .label = f->item[i].label};
    e.count = e.item ? e.count : 0;
    return e;
}
