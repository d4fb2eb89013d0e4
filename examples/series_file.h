/*
 * Time series from files: a column of a CSV, or the labelled series of a .ts file (the UCR/UEA
 * archive's format), plain or gzip. All errors are those of the context.
 */
#ifndef EXAMPLES_SERIES_FILE_H
#define EXAMPLES_SERIES_FILE_H

#include "models/text.h"

/* One series: `length` steps of `features` values each. */
typedef struct series_item {
    const float *x; /* [length, features] */
    int length;
    int label; /* of a .ts file: place of its class; else 0 */
} series_item;

typedef struct series_file {
    int count, features, classes;
    series_item *item; /* [count] */
    char *class_names; /* "a b c", as the file lists them */
    float *values;     /* of all of them */
} series_file;

/* A column by its name in the first line, as one series of one feature. */
series_file series_read_csv(sg_context *g, const char *path, const char *column);
/* Missing values are NaN. */
series_file series_read_ts(sg_context *g, const char *path);
/* From an array, which is copied. */
series_file series_of(sg_context *g, int n, const float *values);
void series_free(series_file *f);

#endif
