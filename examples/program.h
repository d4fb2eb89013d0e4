/*
 * What the programs of this folder share, so that each of them can be about its own lesson: the
 * commands and common options, data from files, the loop over epochs, the file of the model.
 *
 *     static const command commands[] = {
 *         {"", demonstrate}, {"train", train}, {"evaluate", evaluate}, {0}};
 *     program p = {"names", "Learns ...", table, &s.t, commands, &s};
 *     return program_main(argc, argv, &p);
 *
 * All of it prints to stderr; what a command has to say goes to stdout, and evaluate prints one
 * line of JSON.
 */
#ifndef EXAMPLES_PROGRAM_H
#define EXAMPLES_PROGRAM_H

#include "examples/options.h"
#include "examples/progress.h"
#include "models/models.h"
#include "optim/optim.h"

/* ---- options -------------------------------------------------------------------------------- */

typedef struct training {
    const char *train, *valid, *test, *model, *log, *plot;
    int batch, epochs, patience, seed, threads;
    int optimizer, schedule, decay_after, warmup;
    double lr, decay, clip, hold;
    bool lazy;
    const char *profile;
} training;

typedef enum { PROGRAM_SGD, PROGRAM_ADAM } program_optimizer;
typedef enum {
    PROGRAM_CONSTANT,
    PROGRAM_COSINE,
    PROGRAM_DECAY,
    PROGRAM_INVERSE_SQRT
} program_schedule;
extern const char *const program_optimizers[], *const program_schedules[]; /* ended by NULL */

/* What most programs begin with: Adam, whose rate falls to 0 at the last epoch. */
#define PROGRAM_DEFAULTS                                                                           \
    .seed = 1, .threads = 2, .optimizer = PROGRAM_ADAM, .schedule = PROGRAM_COSINE, .decay = 0.5

/* Rows of an option table, for a training t. */
#define PROGRAM_DATA_OPTIONS(t, what)                                                              \
    {.help = "Data"}, {"train", what ", plain or gzip", .text = &(t).train, .value = "FILE"},      \
        {"valid", "the same, to stop by", .text = &(t).valid, .value = "FILE"},                    \
    {                                                                                              \
        "test", "the same, to evaluate", .text = &(t).test, .value = "FILE"                        \
    }
#define PROGRAM_HOLD_OPTION(t)                                                                     \
    {                                                                                              \
        "hold", "share of the examples that is held out where there is no --valid",                \
            .number = &(t).hold, .low = 0, .high = 0.9                                             \
    }
#define PROGRAM_TRAINING_OPTIONS(t)                                                                \
    {.help = "Training"},                                                                          \
        {"model", "file to save to or load from", .text = &(t).model, .value = "FILE"},            \
        {"batch", "examples a step", .integer = &(t).batch, .low = 1, .high = 65536},              \
        {"epochs", "at most", .integer = &(t).epochs, .low = 1, .high = 1e6},                      \
        {"patience", "epochs without improvement that are borne, 0: all",                          \
         .integer = &(t).patience, .low = 0, .high = 1e6},                                         \
        {"optimizer", "of the steps", .choice = &(t).optimizer, .choices = program_optimizers},    \
        {"lazy", "Adam changes only those rows of tables that a step has seen",                    \
         .flag = &(t).lazy},                                                                       \
        {"lr", "learning rate", .number = &(t).lr, .low = 1e-9, .high = 1000},                     \
        {"schedule",                                                                               \
         "cosine: falls to 0 at the last epoch; decay: times --decay at each epoch; "              \
         "inverse-sqrt: falls like 1 / sqrt(step)",                                                \
         .choice = &(t).schedule, .choices = program_schedules},                                   \
        {"decay", "of the learning rate", .number = &(t).decay, .low = 0.01, .high = 1},           \
        {"decay-after", "so many epochs", .integer = &(t).decay_after, .low = 0, .high = 1e6},     \
        {"warmup", "steps in which the rate rises", .integer = &(t).warmup, .low = 0,              \
         .high = 1e9},                                                                             \
        {"clip", "norm that gradients are clipped to, 0: none", .number = &(t).clip, .low = 0,     \
         .high = 1e9},                                                                             \
        {"seed", "of everything random", .integer = &(t).seed, .low = 1, .high = 2147483647},      \
        {"threads", "to compute with", .integer = &(t).threads, .low = 1, .high = 256},            \
        {"log", "JSON lines", .text = &(t).log, .value = "FILE"},                                  \
        {"profile", "print where the time of training went, and write a trace for Perfetto",       \
         .text = &(t).profile, .value = "FILE"},                                                   \
    {                                                                                              \
        "plot", "SVG of the losses", .text = &(t).plot, .value = "FILE"                            \
    }

/* ---- commands ------------------------------------------------------------------------------- */

typedef struct program program;
typedef struct command {
    const char *name; /* "": when none is given */
    void (*run)(sg_context *g, const program *p);
} command;

struct program {
    const char *name, *about;
    const option *options;
    training *t;
    const command *commands; /* ended by {0} */
    void *settings;          /* the program's own */
};

/* Reads the options, opens a context, runs the command, reports its error: what main returns. */
int program_main(int argc, char **argv, const program *p);

/* Closes the context of a part of a program, one of several models, say; its error is g's, too. */
void program_close_part(sg_context *g, sg_context *part);

/* The file of --log, or NULL without one; for programs that do not use program_train, which writes
 * it, too. */
FILE *program_open_log(sg_context *g, const training *t);
void program_close_log(sg_context *g, const training *t, FILE *f);

/* The parameters, together with the options that stand below the heading "Model" of the table;
 * loading sets them as if they had been given. Texts, and integers with bounds, that have a place
 * for `given`, such as columns of a file, are kept from anywhere in the table, and loading sets
 * those that were not given: another file may have others. What else belongs to a model is in
 * sg_meta. */
void program_save(sg_context *g, const program *p);
void program_load(sg_context *g, const program *p);

/* ---- data ----------------------------------------------------------------------------------- */

/* Whether there were so many examples in the file of --test, more than 0; it is an error if not. */
bool program_some(sg_context *g, const program *p, int64_t count);
int program_full(const sg_corpus *c); /* how many examples have a source that is not empty */
/* Whether the file of option `name` was given; it is an error if not. */
bool program_given(sg_context *g, const char *path, const char *name);
/* The lines of a file that is to be given, as they are, plain or gzip, as sources of a corpus. */
sg_corpus *program_lines(sg_context *g, const char *path, const char *name);

/* Splits examples in two: a share of them, by a hash of their source, is held out. So equal ones
 * lie on one side, and the split depends on nothing else. */
typedef struct program_split {
    sg_corpus *train, *valid;
} program_split;
program_split program_hold(sg_context *g, const sg_corpus *c, double share);
void program_split_free(program_split *s);

/* Reads the file that is to be given by option `name`. */
typedef sg_corpus *program_reader(sg_context *g, const void *settings, const char *path,
                                  const char *name);
/* What to learn from, by --train, and what is held out: --valid, or else a share of --train. */
program_split program_read(sg_context *g, const program *p, program_reader *read);

uint64_t program_draw(uint64_t *state);               /* SplitMix64 */
double program_uniform(uint64_t *state);              /* [0, 1) */
double program_normal(uint64_t *state);               /* of mean 0 and deviation 1 */
void program_shuffle(uint64_t *state, int n, int *x); /* fills x with 0..n-1 in random order */

/* ---- word vectors --------------------------------------------------------------------------- */

/* Vectors of words that somebody else has learnt: the first values of a table. */
typedef struct program_vectors {
    const char *file;
    int format;
    bool freeze;
} program_vectors;
extern const char *const program_vectors_formats[];

#define PROGRAM_VECTORS_OPTIONS(v)                                                                 \
    {"vectors", "of words, which give --embed, too", .text = &(v).file, .value = "FILE"},          \
        {"vectors-format", "of that file", .choice = &(v).format,                                  \
         .choices = program_vectors_formats},                                                      \
    {                                                                                              \
        "freeze", "leave vectors of words as they are", .flag = &(v).freeze                        \
    }

/* What was asked for, of which *size becomes the size; NULL if nothing was, or after an error. */
sg_vectors *program_vectors_open(sg_context *g, const program_vectors *o, int *size);
/* Fills in a table, a parameter of that name, tells of how many words, and frees the vectors. */
void program_vectors_use(sg_context *g, const program_vectors *o, sg_vectors *v,
                         const sg_vocabulary *words, sg_tensor *table, const char *name);

/* ---- training ------------------------------------------------------------------------------- */

/* What a step goes down: `factor` times the mean over so many tokens (or whatever is counted). */
typedef struct program_loss {
    sg_tensor *loss;
    double factor; /* 0 means 1 */
    int64_t tokens;
} program_loss;

typedef struct lesson {
    void *user;
    int64_t steps;   /* in an epoch */
    bool perplexity; /* the loss is one of which it can be told */
    /* Records the loss of the next batch; false at the end of an epoch, from where on it begins
     * anew. */
    bool (*next)(void *user, program_loss *l);
    /* What the held-out data say, a number that is to fall; other metrics are told to the progress.
     * NULL: there are no such data. */
    double (*score)(void *user, progress *p);
    const char *score_name; /* NULL: "valid_loss" */
} lesson;

/* Trains until the last epoch, or until the score has stopped falling, or Ctrl-C; leaves the best
 * parameters. Files that could not be written at the end are an error at the beginning. */
void program_train(sg_context *g, const training *t, lesson l);
bool program_interrupted(void); /* from when it is asked first on, Ctrl-C only says so, once */

#endif
