/*
 * Progress of a training: a line that is redrawn on a terminal, plain lines elsewhere, and a log of
 * JSON objects, one a line.
 *
 *     epoch 2/10  step 345/1200  loss 2.3456  ppl 10.44 | 3:12 left  12345 tokens/s
 *     {"event":"step","epoch":2,"step":345,"loss":2.3456,"perplexity":10.44,"tokens":640,
 *      "time":{"seconds":31.2,"tokens_per_second":12345.6}}
 *
 * Two runs with the same seed print the same, but for times. These stand apart: behind the '|' of a
 * line, and in "time" of the log. `cut -d'|' -f1` and `jq -c 'del(.time)'` take them away.
 *
 * Losses are means per token, in nats when there is a perplexity, exp(loss). A line tells the mean
 * over the tokens of the epoch so far; a "step" of the log its own loss, an "epoch" the mean. What
 * is not finite is null in the log.
 */
#ifndef EXAMPLES_PROGRESS_H
#define EXAMPLES_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PROGRESS_METRICS = 8, PROGRESS_LINE = 512 };

typedef struct progress_options {
    FILE *out;       /* NULL: stderr */
    const char *log; /* path of the log; NULL: none */
    bool
        append; /* to the log, when a training goes on; steps that are done again are there again */
    int epochs; /* in all; 0: unknown */
    int64_t every;   /* plain lines: one every so many steps; 0: only at the end of an epoch */
    bool perplexity; /* the loss is one of which it can be told */
    int live;        /* 1: redraw one line, -1: plain lines, 0: as `out` is a terminal or not */
    int width;       /* of a redrawn line; 0: the terminal's */
    double (*clock)(void); /* seconds, ascending; NULL: the system's */
} progress_options;

typedef struct progress {
    progress_options o;
    FILE *log;
    bool live, log_failed;
    int epoch, drawn; /* columns of the line that stands there */
    int64_t step, steps, all_steps;
    double loss, tokens; /* sums over the epoch: of token losses, of tokens */
    double start, epoch_start, last_step, last_draw, timed_tokens;
    int metrics;
    const char *metric_name[PROGRESS_METRICS];
    double metric[PROGRESS_METRICS];
} progress;

/* A log that cannot be opened makes progress_close return false; the training is not disturbed. */
void progress_open(progress *p, progress_options o);
/* Begins an epoch, 1..epochs, of so many steps (0: unknown). */
void progress_epoch(progress *p, int epoch, int64_t steps);
/* Goes on inside an epoch that was begun: with the step, loss and tokens of the progress that a
 * checkpoint was made at. */
void progress_resume(progress *p, int64_t step, double loss, double tokens);
/* After each step: mean loss of so many tokens. */
void progress_step(progress *p, double loss, int64_t tokens);
/* Something measured after the epoch's steps, such as ("valid_loss", 1.5); at most 8 of them. The
 * name is not copied. */
void progress_metric(progress *p, const char *name, double value);
void progress_end_epoch(progress *p);
/* A line of text, such as a sample translation, above the line that is redrawn. */
void progress_say(progress *p, const char *format, ...);
/* False if the log could not be written in full. */
bool progress_close(progress *p);

#endif
