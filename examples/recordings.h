/*
 * Recordings of spoken digits, as frames of features: files of them, and made-up ones.
 *
 * A recording is a line "digit speaker index frames", then a line of numbers for each frame. Plain
 * or gzip.
 */
#ifndef EXAMPLES_RECORDINGS_H
#define EXAMPLES_RECORDINGS_H

#include "core/core.h"

enum { RECORDINGS_FEATURES = 13, RECORDINGS_DIGITS = 10, RECORDINGS_SPEAKER = 24 };

extern const char *const recordings_names[RECORDINGS_DIGITS]; /* "zero" .. "nine" */

typedef struct recording {
    int digit, index, frames;
    char speaker[RECORDINGS_SPEAKER];
    float *x; /* [frames, features] */
} recording;

typedef struct recordings {
    int count;
    recording *item;
    float *x; /* of all */
} recordings;

/* A path of NULL is the error that the option `name` was not given. */
recordings recordings_read(sg_context *g, const char *path, const char *name);
/* Every digit by every one of four speakers, n times, with indices 0..n-1. The sound of a letter is
 * a point among the features; a voice glides from one to the next, at its own and changing pace,
 * starts and ends in silence, and is noisy. */
recordings recordings_generate(sg_context *g, uint64_t seed, int n);
void recordings_free(recordings *r);

/* Some of them, padded with zeros to the longest; in memory of the context, until its reset. */
typedef struct recordings_batch {
    int size, frames;
    float *x;     /* [size, frames, features] */
    int *lengths; /* [size] */
} recordings_batch;
recordings_batch recordings_pad(sg_context *g, const recordings *r, int n, const int *order);

/* Mean and standard deviation of each feature over all frames of n of them; a feature that is
 * always the same has a deviation of 1. */
void recordings_measure(const recordings *r, int n, const int *order,
                        float mean[RECORDINGS_FEATURES], float deviation[RECORDINGS_FEATURES]);

#endif
