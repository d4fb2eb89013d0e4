/*
 * Command lines of the examples: a table says which options there are, and is also their help.
 *
 *     int hidden = 256, cell = 1;
 *     bool attention = true;
 *     const option table[] = {
 *         {.help = "Model"},
 *         {"hidden", "units of the hidden state", .integer = &hidden, .low = 1, .high = 4096},
 *         {"cell", "recurrent cell", .choice = &cell, .choices = OPTIONS_OF("rnn", "lstm", "gru")},
 *         {"attention", "let the decoder look back", .flag = &attention},
 *         {0}};
 *     int status = options_read(&argc, argv, table, "seq2seq train [options]", "Trains ...");
 *     if (status >= 0)
 *         return status;
 *
 * Options are written --name value or --name=value, flags --name or --no-name; of one given twice,
 * the last counts. What is no option keeps its order and stays in argv; "--" ends the options. A
 * program with subcommands looks at argv[1] and reads options of argc - 1, argv + 1.
 */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

/* One row: an option, or a heading, which has nothing but .help. The table ends with {0}. Exactly
 * one of the pointers is set: it gives the type, and what stands there before is the default. */
typedef struct option {
    const char *name; /* without dashes */
    const char *help;
    int *integer;
    double *number;
    const char **text; /* NULL: not given; afterwards it points into argv */
    bool *flag;
    int *choice;                /* place in choices */
    const char *const *choices; /* ended by NULL */
    double low, high;  /* of integers and numbers, inclusive; without bounds unless low < high */
    const char *value; /* what help calls the value; NULL: N, X, TEXT or NAME */
    bool *given;       /* NULL, or of an option with a value: becomes true with it */
} option;

#define OPTIONS_OF(...) ((const char *const[]){__VA_ARGS__, NULL})

typedef enum { OPTIONS_READ, OPTIONS_HELP, OPTIONS_WRONG } options_result;
enum { OPTIONS_MESSAGE = 256 };

/* Takes the options out of argv[1..*argc) and sets their values; it stops at the first that is
 * wrong, with a message. If --help or -h is among them, nothing is set. */
options_result options_parse(int *argc, char **argv, const option *table,
                             char message[OPTIONS_MESSAGE]);
/* Every option with its bounds, choices and what stands in it now: the defaults, before parsing. */
void options_help(FILE *f, const char *usage, const char *about, const option *table);

/* Both for main: -1 when the options were read; otherwise what main returns, after help or an
 * error was printed. */
int options_read(int *argc, char **argv, const option *table, const char *usage, const char *about);

#endif
