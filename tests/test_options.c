/* The command lines of the examples. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "examples/options.h"

#include <stdlib.h>
#include <string.h>
#include <criterion/criterion.h>
#include <criterion/redirect.h>

static int hidden, layers, cell;
static double rate, dropout;
static const char *log_file, *path;
static bool attention, quiet, path_given;

static const char *const cells[] = {"rnn", "lstm", "gru", NULL};
static const option table[] = {
    {.help = "Model"},
    {"hidden", "units of the hidden state", .integer = &hidden, .low = 1, .high = 4096},
    {"layers", "layers", .integer = &layers},
    {"cell", "recurrent cell", .choice = &cell, .choices = cells},
    {"attention",
     "let the decoder look back at the states of the encoder, at every step of the "
     "output and not only at the first",
     .flag = &attention},
    {.help = "Training"},
    {"rate", "learning rate", .number = &rate, .low = 0, .high = 10},
    {"dropout-of-the-output", "share of outputs set to zero", .number = &dropout},
    {"log", "write a log", .text = &log_file, .value = "FILE"},
    {"path", "where models are", .text = &path, .given = &path_given},
    {"quiet", "print nothing", .flag = &quiet},
    {0},
};

static char *words[16];
static int count;

/* Parses words that are separated by blanks; "''" is an empty one. */
static options_result parse(const char *line, char *message)
{
    static char copy[512];
    snprintf(copy, sizeof copy, "program %s", line);
    count = 0;
    for (char *s = strtok(copy, " "); s != NULL; s = strtok(NULL, " "))
        words[count++] = strcmp(s, "''") == 0 ? s + 2 : s;
    words[count] = NULL;
    hidden = 256, layers = 1, cell = 1, rate = 1e-3, dropout = 0;
    log_file = NULL, path = "models", attention = true, quiet = false, path_given = false;
    return options_parse(&count, words, table, message);
}

Test(options, values)
{
    char message[OPTIONS_MESSAGE];
    cr_assert_eq(parse("", message), OPTIONS_READ);
    cr_assert(hidden == 256 && cell == 1 && attention && log_file == NULL, "defaults stay");
    cr_assert_eq(parse("--hidden 8 --layers=-3 --cell gru --rate=2.5e-3 --log=a=b --quiet "
                       "--no-attention --dropout-of-the-output -1",
                       message),
                 OPTIONS_READ, "%s", message);
    cr_assert_eq(hidden, 8);
    cr_assert_eq(layers, -3);
    cr_assert_eq(cell, 2);
    cr_assert_eq(rate, 2.5e-3);
    cr_assert_eq(dropout, -1);
    cr_assert_str_eq(log_file, "a=b");
    cr_assert_str_eq(path, "models");
    cr_assert(!path_given);
    cr_assert(quiet && !attention);
    cr_assert_eq(count, 1);
    cr_assert_eq(parse("--hidden 8 --hidden=9 --no-attention --attention --path=", message),
                 OPTIONS_READ);
    cr_assert(hidden == 9 && attention, "the last counts");
    cr_assert_str_eq(path, "");
    cr_assert_eq(parse("--path - --log=--x", message), OPTIONS_READ);
    cr_assert_str_eq(path, "-");
    cr_assert(path_given);
    cr_assert_str_eq(log_file, "--x");
    cr_assert_eq(parse("--hidden 4096 --rate 0", message), OPTIONS_READ, "bounds are included");
}

Test(options, what_is_no_option_stays)
{
    char message[OPTIONS_MESSAGE];
    cr_assert_eq(parse("one --hidden 3 - -5 two -- --quiet -x --help", message), OPTIONS_READ);
    static const char *const kept[] = {"program", "one",     "-",  "-5",
                                       "two",     "--quiet", "-x", "--help"};
    cr_assert_eq(count, 8);
    for (int i = 0; i < count; i++)
        cr_assert_str_eq(words[i], kept[i]);
    cr_assert_null(words[count]);
    cr_assert(hidden == 3 && !quiet);
}

Test(options, mistakes)
{
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"--hiden 3", "unknown option --hiden; is it --hidden?"},
        {"--hdiden=3", "unknown option --hdiden; is it --hidden?"},
        {"--lgo x", "unknown option --lgo; is it --log?"},
        {"--cells gru", "unknown option --cells; is it --cell?"},
        {"--no-atention", "unknown option --no-atention; is it --no-attention?"},
        {"--no-hidden", "unknown option --no-hidden; is it --hidden?"},
        {"--frobnicate", "unknown option --frobnicate"},
        {"--=3", "unknown option --"},
        {"--a-name-that-is-longer-than-any-option-could-be",
         "unknown option --a-name-that-is-longer-than-any-option-could-be"},
        {"-x", "unknown option -x"},
        {"--hidden", "--hidden needs a value"},
        {"--log --quiet", "--log needs a value"},
        {"--hidden=", "--hidden: \"\" is not a whole number"},
        {"--hidden ''", "--hidden: \"\" is not a whole number"},
        {"--hidden 3x", "--hidden: \"3x\" is not a whole number"},
        {"--hidden 1.5", "--hidden: \"1.5\" is not a whole number"},
        {"--hidden 0", "--hidden: 0 is not in 1..4096"},
        {"--hidden 99999999999999999999", "--hidden: 99999999999999999999 is not in 1..4096"},
        {"--layers 3000000000", "--layers: 3000000000 is too large"},
        {"--layers 99999999999999999999", "--layers: 99999999999999999999 is too large"},
        {"--rate fast", "--rate: \"fast\" is not a number"},
        {"--rate nan", "--rate: \"nan\" is not a number"},
        {"--rate 1e999", "--rate: \"1e999\" is not a number"},
        {"--rate -1", "--rate: -1 is not in 0..10"},
        {"--cell lsmt", "--cell: \"lsmt\" is none of rnn, lstm, gru"},
        {"--quiet=yes", "--quiet takes no value"},
        {"--no-quiet=no", "--no-quiet takes no value"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char message[OPTIONS_MESSAGE];
        cr_assert_eq(parse(rows[i].line, message), OPTIONS_WRONG, "%s", rows[i].line);
        cr_assert_str_eq(message, rows[i].message, "%s: %s", rows[i].line, message);
    }
}

Test(options, help)
{
    char message[OPTIONS_MESSAGE];
    cr_assert_eq(parse("--hidden 7 --help", message), OPTIONS_HELP);
    cr_assert_eq(hidden, 256, "help shows the defaults");
    cr_assert_eq(parse("-h --nonsense", message), OPTIONS_HELP);
    char *buffer = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&buffer, &size);
    options_help(f, "program [options]", "Does something.", table);
    fclose(f);
    cr_assert_str_eq(buffer,
                     "usage: program [options]\n"
                     "\n"
                     "Does something.\n"
                     "\n"
                     "Model\n"
                     "  --hidden N              units of the hidden state: 1..4096 (256)\n"
                     "  --layers N              layers (1)\n"
                     "  --cell NAME             recurrent cell: rnn, lstm, gru (lstm)\n"
                     "  --[no-]attention        let the decoder look back at the states of the "
                     "encoder, at every "
                     "step\n"
                     "                          of the output and not only at the first (on)\n"
                     "\n"
                     "Training\n"
                     "  --rate X                learning rate: 0..10 (0.001)\n"
                     "  --dropout-of-the-output X\n"
                     "                          share of outputs set to zero (0)\n"
                     "  --log FILE              write a log\n"
                     "  --path TEXT             where models are (\"models\")\n"
                     "  --[no-]quiet            print nothing (off)\n"
                     "\n"
                     "  --help                  this text\n");
    free(buffer);
    hidden = 0; /* as if it were up to the command */
    f = open_memstream(&buffer, &size);
    options_help(f, "program", "", table);
    fclose(f);
    cr_expect(strstr(buffer, "units of the hidden state: 1..4096\n"));
    free(buffer);
}

Test(options, read_for_main, .init = cr_redirect_stderr)
{
    char program[] = "program", good[] = "--hidden=3", bad[] = "--hidden=x";
    char *argv[] = {program, good, NULL};
    int argc = 2;
    cr_assert_eq(options_read(&argc, argv, table, "program", ""), -1);
    cr_assert_eq(hidden, 3);
    argv[1] = bad;
    argc = 2;
    cr_assert_eq(options_read(&argc, argv, table, "program", ""), 2);
    cr_assert_stderr_eq_str("--hidden: \"x\" is not a whole number\n"
                            "usage: program\n"
                            "--help tells more\n");
}
