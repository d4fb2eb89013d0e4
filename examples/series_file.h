/*
 * Time series from files, plain or gzip: a column of a CSV; the labelled series of a .ts file (the
 * UCR/UEA archive's format); spoken digits, as frames of sound (recordings.h). All errors are those
 * of the context.
 */
#ifndef EXAMPLES_SERIES_FILE_H
#define EXAMPLES_SERIES_FILE_H

#include "models/text.h"

/* One series: `length` steps of `features` values each. */
typedef struct series_item {
    const float *x; /* [length, features] */
    int length;
    int label; /* place of its class; of a CSV 0 */
} series_item;

typedef struct series_file {
    int count, features, classes; /* classes: of a CSV 0 */
    series_item *item;            /* [count] */
    char *class_names;            /* "a b c", as the file lists them */
    float *values;                /* of all of them */
} series_file;

/* A path of NULL is the error that the option `name` was not given. What is in the file is told by
 * how it begins. Of a CSV it is a column by its name in the first line, one series of one feature.
 * Missing values of a .ts file are NaN. */
series_file series_read(sg_context *g, const char *path, const char *name, const char *column);
/* From an array, which is copied. */
series_file series_of(sg_context *g, int n, const float *values);
void series_free(series_file *f);

#endif
