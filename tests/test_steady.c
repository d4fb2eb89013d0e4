/*
 * A training in its steady state, when the plans of its steps are found again, takes no memory, be
 * it that shapes change or that the engine batches sentences: nothing is allocated, and no page is
 * new to the process, by the operating system's own count.
 */
#define _GNU_SOURCE
#include "tests/fault.h"
#include "models/models.h"
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <sys/resource.h>

#ifdef FAULT_NO_MALLOC
static struct {
    long calls;
    bool on;
} fault_malloc;
static bool fault_malloc_works(void)
{
    return false;
}
#endif

enum { BATCH = 4, TIME = 12, WORDS = 40, WARM = 20, STEPS = 100, SHAPES = 3 };

static const int32_t words[BATCH * TIME] = {4, 5, 6, 7, 9, 11, 13, 3, 20, 30, 39, 8};
static const int lengths[SHAPES][BATCH] = {{12, 3, 7, 12}, {5, 5, 1, 2}, {9, 8, 9, 8}};
static const int times[SHAPES] = {12, 5, 9};

/* An LSTM that predicts the next word. */
static sg_tensor *language(sg_context *g, int step)
{
    (void)step;
    sg_tensor *table = sg_embedding(g, "table", .count = WORDS, .size = 16);
    sg_tensor *x = sg_borrow(g, SG_I32, SG_SHAPE(BATCH, TIME), words);
    sg_cell cell = sg_lstm(g, "lstm", .in = 16, .hidden = 24);
    sg_affine out = sg_linear(g, "out", .in = 24, .out = WORDS);
    sg_tensor *h = sg_dropout(sg_unroll(cell, sg_take(table, x)), 0.3);
    return sg_mean(sg_cross_entropy(sg_apply(out, h), x), SG_ALL_AXES, false);
}

/* Batches of other lengths at each step. */
static sg_tensor *translation(sg_context *g, int step)
{
    int k = step % SHAPES;
    sg_seq2seq m =
        sg_make_seq2seq(g, "m", .source_count = WORDS, .target_count = WORDS, .embed = 12,
                        .hidden = 16, .cell = SG_CELL_GRU, .score = SG_CONCAT, .dropout = 0.1);
    sg_batch b = {.size = BATCH,
                  .source_time = times[k],
                  .target_time = times[k],
                  .source = words,
                  .target_in = words,
                  .target_out = words,
                  .source_lengths = lengths[k],
                  .target_lengths = lengths[k]};
    return sg_seq2seq_loss(&m, &b, 0).mean;
}

/* Written for one sentence, of which there are some, of lengths of their own. */
static sg_tensor *sentences(sg_context *g, int step)
{
    sg_tensor *table = sg_embedding(g, "table", .count = WORDS, .size = 16), *loss = NULL;
    sg_cell cell = sg_lstm(g, "lstm", .in = 16, .hidden = 24);
    sg_affine out = sg_linear(g, "out", .in = 24, .out = WORDS);
    for (int i = 0; i < BATCH; i++) {
        int n = lengths[step % SHAPES][i];
        sg_tensor *x = sg_borrow(g, SG_I32, SG_SHAPE(1, n), words + i);
        sg_tensor *h = sg_unroll(cell, sg_take(table, x)); /* [1,n,24] */
        sg_tensor *one = sg_sum(sg_cross_entropy(sg_apply(out, h), x), SG_ALL_AXES, false);
        loss = loss ? sg_add(loss, one) : one;
    }
    return loss;
}

static long faults(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_minflt;
}

static void check(const char *name, sg_tensor *(*model)(sg_context *g, int step), int threads)
{
    bool counts = fault_malloc_works();
    sg_context *g = sg_open(.threads = threads);
    sg_train(g, true);
    long before = 0, allocated = 0;
    uint64_t plans = 0;
    for (int step = 0; step < WARM + STEPS; step++) {
        if (step == WARM) {
            before = faults();
            plans = sg_stats(g).misses;
        }
        fault_malloc.calls = 0;
        fault_malloc.on = step >= WARM;
        sg_optimizer adam = sg_adam(g, .clip_norm = 1);
        sg_step(&adam, model(g, step));
        sg_reset(g);
        fault_malloc.on = false;
        allocated += fault_malloc.calls;
    }
    long new = faults() - before;
    cr_assert(sg_ok(g), "%s: %s", name, sg_errmsg(g));
    cr_expect(sg_stats(g).misses == plans, "%s: %d plans, then %d", name, (int)plans,
              (int)sg_stats(g).misses);
    cr_expect(!counts || allocated == 0, "%s: %ld allocations in %d steps", name, allocated, STEPS);
    /* none a step; the system may have taken a page away meanwhile */
    cr_expect(!counts || new < STEPS / 10, "%s: %ld page faults in %d steps", name, new, STEPS);
    sg_close(g);
}

Test(steady, a_training_takes_no_memory)
{
    for (int threads = 1; threads <= 2; threads++) {
        check("language", language, threads);
        check("translation", translation, threads);
        check("sentences", sentences, threads);
    }
}
