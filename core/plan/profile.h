/* Profiles: what is shared between measuring (profile.c) and writing down (profile_text.c). */
#ifndef SG_PROFILE_H
#define SG_PROFILE_H

#include "core/plan/plan.h"

typedef struct sg__row { /* all steps of one kind in one scope */
    const char *kind;
    const sg__scope *scope;
    uint64_t calls;
    double seconds, flops, bytes; /* seconds: of all threads */
} sg__row;

typedef struct sg__event { /* one step on one thread; seconds since the beginning */
    double from, to, flops, bytes;
    uint32_t row;
    int thread;
} sg__event;

struct sg__profile {
    sg__row *rows;
    size_t row_count, row_capacity;
    uint32_t *slots; /* rows by hash */
    size_t slot_count;
    sg__event *events; /* the first ones */
    size_t event_count, event_capacity;
    sg__span *spans; /* of the run under way, by step and thread */
    size_t span_capacity;
    uint64_t runs;
    double begun, run_begun;        /* by the clock */
    double running, busy, possible; /* seconds: of runs, of threads at steps, of threads in runs */
    int threads;                    /* the most in a run */
};

enum { SG__MOST_EVENTS = 1 << 20 };

#endif
