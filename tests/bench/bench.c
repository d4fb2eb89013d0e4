/*
 * seqgrad-bench: how fast the library is on whole training steps.
 *
 * train     measures, and prints a line of JSON
 * smoke     a few steps of a little model
 * bits      whether threads, passes and the cache change any bit
 * batches   which nodes of the first step are computed together (sg_dump_batches)
 * check     losses, for tests/bench/check.py; params: names and shapes of its weights
 * gemm      matrix products, GF/s; ops: other ops, by element; meet: how long threads take to meet
 *
 * WORKLOAD `all` is each in turn. Options: --threads N (or PEERS_THREADS in the environment),
 * --warm N steps before measuring (3), --peak GF/s of one thread (measured where it is needed),
 * --no-cache: all plans are made anew in every step, --profile FILE: where the time of the measured
 * steps went, as a table, and as a trace in FILE.
 */
#include "tests/bench/bench.h"
#include "tests/bench/micro.h"

#include <stdlib.h>
#include <string.h>

static const workload *const families[] = {bench_language,    bench_tagger, bench_seq2seq,
                                           bench_transformer, bench_tree,   bench_decode,
                                           bench_chain};
enum { FAMILIES = sizeof families / sizeof *families };

static int usage(void)
{
    fputs("seqgrad-bench WORKLOAD train SECONDS DATADIR\n"
          "seqgrad-bench WORKLOAD smoke\n"
          "seqgrad-bench WORKLOAD bits STEPS\n"
          "seqgrad-bench WORKLOAD check WEIGHTS.safetensors DATADIR STEPS\n"
          "seqgrad-bench WORKLOAD params | batches DATADIR\n"
          "seqgrad-bench gemm | ops | meet | list\n"
          "    --threads N   --warm STEPS   --peak GFLOPS   --no-cache   --profile TRACE.json\n",
          stderr);
    return 2;
}

static int list(void)
{
    for (int f = 0; f < FAMILIES; f++)
        for (const workload *w = families[f]; w->name; w++)
            printf("%-8s %-50s %s\n", w->name, w->about, w->unit);
    return 0;
}

static int run(const char *name, int (*what)(const workload *, const settings *), const settings *s)
{
    int found = 0, failed = 0;
    for (int f = 0; f < FAMILIES; f++)
        for (const workload *w = families[f]; w->name; w++)
            if (strcmp(name, w->name) == 0 || strcmp(name, "all") == 0) {
                failed |= what(w, s);
                found++;
            }
    if (!found)
        fprintf(stderr, "seqgrad-bench: there is no workload \"%s\"; `list` shows them\n", name);
    return found ? failed : 2;
}

/* A number that is not negative, as a whole text; else -1. */
static double number(const char *text)
{
    char *end = NULL;
    double x = text ? strtod(text, &end) : -1;
    return text && end != text && *end == 0 && x >= 0 && x <= 1e9 ? x : -1;
}

/* Takes the options out of the arguments; false where one is not known or has no good value. */
static bool options(int *argc, char **argv, settings *s)
{
    int n = 0;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            argv[n++] = argv[i];
            continue;
        }
        const char *name = argv[i];
        if (strcmp(name, "--no-cache") == 0) {
            s->anew = true;
            continue;
        }
        const char *text = ++i < *argc ? argv[i] : NULL;
        double value = number(text);
        if (value >= 1 && strcmp(name, "--threads") == 0)
            s->threads = (int)value;
        else if (value >= 1 && strcmp(name, "--warm") == 0)
            s->warm = (int)value;
        else if (value > 0 && strcmp(name, "--peak") == 0)
            s->peak = value;
        else if (text && strcmp(name, "--profile") == 0)
            s->trace = text;
        else
            return false;
    }
    *argc = n;
    return true;
}

int main(int argc, char **argv)
{
    const char *threads = getenv("PEERS_THREADS");
    settings s = {.threads = threads ? (int)number(threads) : 1, .warm = 3};
    if (!options(&argc, argv, &s) || s.threads < 1 || argc < 2)
        return usage();
    const char *name = argv[1], *mode = argc > 2 ? argv[2] : "";
    if (argc == 2 && strcmp(name, "list") == 0)
        return list();
    if (argc == 2 && strcmp(name, "gemm") == 0)
        return bench_gemm(s.threads);
    if (argc == 2 && strcmp(name, "ops") == 0)
        return bench_ops(s.threads);
    if (argc == 2 && strcmp(name, "meet") == 0)
        return bench_meet(s.threads);
    if (argc == 3 && strcmp(mode, "smoke") == 0)
        return run(name, bench_smoke, &s);
    if (argc == 4 && strcmp(mode, "bits") == 0 && number(argv[3]) >= 0) {
        s.steps = (int)number(argv[3]);
        return run(name, bench_bits, &s);
    }
    const bool params = strcmp(mode, "params") == 0;
    if (argc == 4 && (params || strcmp(mode, "batches") == 0)) {
        s.data = argv[3];
        return run(name, params ? bench_params : bench_batches, &s);
    }
    if (argc == 5 && strcmp(mode, "train") == 0 && number(argv[3]) >= 0) {
        s.seconds = number(argv[3]);
        s.data = argv[4];
        return run(name, bench_train, &s);
    }
    if (argc == 6 && strcmp(mode, "check") == 0 && number(argv[5]) >= 0) {
        s.weights = argv[3];
        s.data = argv[4];
        s.steps = (int)number(argv[5]);
        return run(name, bench_check, &s);
    }
    return usage();
}
