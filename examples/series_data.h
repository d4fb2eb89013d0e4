/*
 * What a network reads of series, and what it is to tell of it: windows of the changes of one, or
 * whole series with their classes. All is scaled to mean 0 and deviation 1; the scale is a buffer
 * of the model, so that it is saved with it.
 */
#ifndef EXAMPLES_SERIES_DATA_H
#define EXAMPLES_SERIES_DATA_H

#include "examples/series_file.h"

typedef struct series_example {
    const float *x; /* [length, features] */
    int length, label;
    float y;      /* of a forecast: the next change, scaled */
    double value; /* and what it was a change from */
} series_example;

typedef struct series_examples {
    int count, features;
    series_example *item;
    float *changes;
} series_examples;
void series_examples_free(series_examples *e);

/* All windows of `time` changes of a series v_0 … v_{n-1}, of its logarithms if `relative`. The
 * scale is measured on its first `train` values, or if that is 0 the model's own. */
series_examples series_windows(sg_context *g, const series_item *v, int time, bool relative,
                               int train);
/* The series of a file as they are, scaled, in place; what is missing is taken for the mean. */
series_examples series_labelled(sg_context *g, series_file *f, bool train);

/* Mean and deviation of each feature, [2, features]. */
sg_tensor *series_scale(sg_context *g, int features);

#endif
