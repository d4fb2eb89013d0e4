/*
 * The benchmark: a table of workloads, each a model written as a user of the library would write
 * it, and one driver that measures their training steps.
 */
#ifndef SG_BENCH_H
#define SG_BENCH_H

#include "models/models.h"
#include "ops/ops.h"
#include "optim/optim.h"

typedef struct bench {
    sg_context *g;
    const char *data; /* the folder of the data; NULL: a little of everything is generated */
    bool check;       /* losses are compared by value: no dropout */
    double loss;      /* of the last step; of decoding: some figure of its result */
    int64_t nodes;    /* in a step, where the workload counts them itself */
    FILE *told;       /* not NULL: bench_update tells what it batches */
    void *memory;     /* all that bench_new gave */
} bench;

typedef struct workload {
    const char *name, *about, *unit;
    int cycle; /* steps differ in size: goes round these first batches; 0: all steps are alike */
    /* Reads the data and makes the model. Returns what `step` gets, and the number of batches. */
    void *(*open)(bench *b, int64_t *batches);
    /* One whole step on a batch, until its loss was read and the tape dropped: how many units. */
    int64_t (*step)(bench *b, void *model, int64_t batch);
} workload;

/* All parameters are updated, the loss is noted, the tape dropped. */
void bench_update(bench *b, sg_optimizer *o, sg_tensor *loss);

/* A family of workloads is one source; its list ends with a name of NULL. */
extern const workload bench_language[], bench_tagger[], bench_seq2seq[], bench_transformer[],
    bench_tree[], bench_decode[], bench_chain[];

/* Zeroed memory that is freed with the benchmark. Never NULL: without memory the program ends. */
void *bench_new(bench *b, size_t count, size_t size);
void bench_free(bench *b);

/* `full`, or when the data is generated, `little`: so that all workloads run in a moment. */
int bench_size(const bench *b, int full, int little);

/* A file of 32-bit integers in the folder of the data, read from its beginning. Without a folder
 * the numbers are drawn at random. What is not there, or out of its range, ends the program with a
 * message. */
typedef struct numbers {
    bench *b;
    const char *file;
    const int32_t *at; /* NULL: drawn */
    int64_t left;
    uint64_t state;
} numbers;

numbers bench_numbers(bench *b, const char *file);
int32_t bench_number(numbers *n, int32_t least, int32_t most);
const int32_t *bench_array(numbers *n, int64_t count, int32_t least, int32_t most);

/* A file of tokens as batches of `time` steps, of which each row goes on where it was. */
typedef struct stream {
    const int32_t *tokens;
    int batch, time, vocabulary;
    int64_t stride, batches; /* stride: from one row's beginning to the next */
    sg_tensor *x, *y;        /* [batch, time]: tokens, and what comes after each */
} stream;

stream bench_stream(bench *b, const char *file, int vocabulary, int batch, int time);
void bench_stretch(bench *b, stream *s, int64_t batch); /* sets x and y */

/* ---- driver --------------------------------------------------------------------------------- */

typedef struct settings {
    const char *data, *weights;
    const char *trace;    /* file for a trace of the measured steps, of which a table is printed */
    double seconds, peak; /* peak: GF/s of one thread; 0: measured */
    int threads, warm, steps;
    bool anew; /* all plans are made anew in every step */
} settings;

int bench_train(const workload *w, const settings *s);
int bench_smoke(const workload *w, const settings *s);
int bench_bits(const workload *w, const settings *s);
int bench_params(const workload *w, const settings *s);
int bench_check(const workload *w, const settings *s);
int bench_batches(const workload *w, const settings *s); /* of the first step */
/* Says what went wrong, if anything, and frees all; an exit status. */
int bench_close(bench *b, const workload *w);

#endif
