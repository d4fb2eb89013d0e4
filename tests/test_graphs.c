/*
 * Random graphs: whatever is asked for, a plan of all of it computes what the nodes compute one by
 * one, the same bits again from the cache, with any number of threads and with less asked for, and
 * nearly the same with any instruction set. Passes that are left out change no bit either, but for
 * rewriting, nor do checkpoints, recomputed or not. SEQGRAD_GRAPHS in the environment is their
 * number, SEQGRAD_GRAPHS_SEED the first one's seed, SEQGRAD_GRAPHS_SIZE the most nodes that are
 * drawn.
 */
#include "tests/graph_draw.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2, GRAPHS = 400 };

typedef struct result { /* values of roots and parameters, as double and as they are */
    int n;
    int64_t size[DRAW_ROOTS + DRAW_PARAMS];
    sg_dtype type[DRAW_ROOTS + DRAW_PARAMS];
    void *data[DRAW_ROOTS + DRAW_PARAMS];
} result;

static const size_t widths[SG_DTYPES] = {4, 8, 4, 1};

static void copy_out(result *r, sg_tensor *x)
{
    int k = r->n++;
    size_t bytes = (size_t)sg_size(x) * widths[sg_type(x)];
    r->size[k] = sg_size(x);
    r->type[k] = sg_type(x);
    r->data[k] = malloc(bytes + 1);
    const void *from = sg_data(x);
    cr_assert(from, "%s", sg_errmsg(sg_context_of(x)));
    memcpy(r->data[k], from, bytes);
}

static void release(result *r)
{
    for (int k = 0; k < r->n; k++)
        free(r->data[k]);
    r->n = 0;
}

static double value(const result *r, int k, int64_t i)
{
    const void *p = r->data[k];
    return r->type[k] == SG_F32   ? (double)((const float *)p)[i]
           : r->type[k] == SG_F64 ? ((const double *)p)[i]
           : r->type[k] == SG_I32 ? ((const int32_t *)p)[i]
                                  : ((const uint8_t *)p)[i];
}

/* The bits are the same; but zeros may differ in their sign, and NaNs in what they carry. */
static void same(const result *a, const result *b, uint64_t seed, const char *what)
{
    cr_assert_eq(a->n, b->n);
    for (int k = 0; k < a->n; k++)
        for (int64_t i = 0; i < a->size[k]; i++) {
            double x = value(a, k, i), y = value(b, k, i);
            cr_assert(x == y || (isnan(x) && isnan(y)),
                      "graph %llu, %s: element %lld of result %d of %d is %.17g, not %.17g",
                      (unsigned long long)seed, what, (long long)i, k, a->n, y, x);
        }
}

static void near(const result *a, const result *b, double tolerance, uint64_t seed,
                 const char *what)
{
    cr_assert_eq(a->n, b->n);
    for (int k = 0; k < a->n; k++) {
        double most = 1;
        for (int64_t i = 0; i < a->size[k]; i++)
            most = isfinite(value(a, k, i)) ? fmax(most, fabs(value(a, k, i))) : most;
        for (int64_t i = 0; i < a->size[k]; i++) {
            double x = value(a, k, i), y = value(b, k, i);
            cr_assert(x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= tolerance * most,
                      "graph %llu, %s: element %lld of result %d of %d is %.17g, not %.17g",
                      (unsigned long long)seed, what, (long long)i, k, a->n, y, x);
        }
    }
}

enum { ALL = -1 };

/* Draws the graph of a seed in a context and evaluates it: all, or only root `one`, and then no
 * parameter is assigned. */
static void evaluate(sg_context *g, uint64_t seed, int one, drawing *d, result *r)
{
    r->n = 0;
    draw_graph(g, seed, one == ALL, d);
    cr_assert(sg_ok(g), "graph %llu: %s", (unsigned long long)seed, sg_errmsg(g));
    if (one != ALL) {
        copy_out(r, d->root[one]);
        return;
    }
    sg_eval_(d->roots, d->root);
    cr_assert(sg_ok(g), "graph %llu: %s", (unsigned long long)seed, sg_errmsg(g));
    for (int k = 0; k < d->roots; k++)
        copy_out(r, d->root[k]);
    for (int k = 0; k < d->params; k++)
        copy_out(r, d->param[k]);
}

/* Some rounds in one context: what is drawn at random differs from round to round. */
static void run(sg_context *g, uint64_t seed, drawing *d, result *r)
{
    for (int k = 0; k < ROUNDS; k++) {
        sg_reset(g);
        evaluate(g, seed, ALL, d, &r[k]);
    }
}

static void check(uint64_t seed)
{
    static const char *const sets[] = {"generic", "avx2", "avx512"};
    static drawing d;
    result plan[ROUNDS], other[ROUNDS];
    sg_context *g = sg_open(.seed = seed);
    run(g, seed, &d, plan);
    if (!d.random)
        same(&plan[0], &plan[1], seed, "again from the cache");
    cr_assert_eq(sg_stats(g).hits, sg_stats(g).misses, "graph %llu: its plan was not found again",
                 (unsigned long long)seed);
    double tolerance = d.narrow ? 1e-3 : 1e-9;
    for (int k = 0; k < d.plain && !d.random; k++) {
        sg_reset(g);
        evaluate(g, seed, k, &d, &other[0]);
        if (*sg_name(d.root[k])) { /* a parameter, which has its new value afterwards */
            release(&other[0]);
            continue;
        }
        result alone = {.n = 1, .size = {plan[0].size[k]}, .type = {plan[0].type[k]}};
        alone.data[0] = plan[0].data[k];
        same(&alone, &other[0], seed, "a root alone");
        release(&other[0]);
    }
    sg_close(g);
    for (int i = 0; i < 5; i++) {
        g = i == 0   ? sg_open(.seed = seed, .debug = true)
            : i == 1 ? sg_open(.seed = seed, .threads = 3)
                     : sg_open(.seed = seed, .isa = sets[i - 2], .threads = i - 1);
        bool absent = !sg_ok(g); /* an instruction set that this CPU does not have */
        if (!absent) {
            run(g, seed, &d, other);
            for (int k = 0; k < ROUNDS; k++) {
                if (i == 1)
                    same(&plan[k], &other[k], seed, "3 threads");
                else
                    near(&other[k], &plan[k], tolerance, seed, i ? sets[i - 2] : "node by node");
                release(&other[k]);
            }
        }
        sg_close(g);
    }
    for (int k = 0; k < ROUNDS; k++)
        release(&plan[k]);
}

static void check_passes(uint64_t seed)
{
    static const char *const passes[] = {"rewrite", "batch",   "sparse",
                                         "layout",  "fuse",    "assign",
                                         "split",   "prepare", "layout,fuse,assign"};
    static drawing d;
    result all, less;
    sg_context *g = sg_open(.seed = seed, .threads = 2);
    evaluate(g, seed, ALL, &d, &all);
    sg_close(g);
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        g = sg_open(.seed = seed, .threads = 2, .without = passes[i]);
        evaluate(g, seed, ALL, &d, &less);
        if (i == 0)
            near(&less, &all, d.narrow ? 1e-3 : 1e-9, seed, passes[i]);
        else
            same(&all, &less, seed, passes[i]);
        release(&less);
        sg_close(g);
    }
    for (int i = 0; i < 2; i++) {
        g = sg_open(.seed = seed, .threads = 2, .memory = i ? 0 : SIZE_MAX);
        d.kept = i == 1;
        evaluate(g, seed, ALL, &d, &less);
        same(&all, &less, seed, d.kept ? "without checkpoints" : "nothing is recomputed");
        release(&less);
        sg_close(g);
    }
    d.kept = false;
    release(&all);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

Test(graphs, are_computed_alike_in_all_ways)
{
    uint64_t first = number("SEQGRAD_GRAPHS_SEED", 1), n = number("SEQGRAD_GRAPHS", GRAPHS);
    for (uint64_t seed = first; seed < first + n; seed++)
        check(seed);
}

Test(graphs, are_computed_alike_with_each_pass_left_out)
{
    uint64_t first = number("SEQGRAD_GRAPHS_SEED", 1), n = number("SEQGRAD_GRAPHS", GRAPHS);
    for (uint64_t seed = first; seed < first + n; seed++)
        check_passes(seed);
}
