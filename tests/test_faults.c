/*
 * A small sequence-to-sequence model through its whole life, with every allocation failing in turn,
 * once and from then on: an error each time, no crash, no leak, no parameter changed by a step that
 * failed, and a context that works again after sg_clear.
 */
#define _GNU_SOURCE
#pragma GCC visibility push(default) /* jansson, zlib and utf8proc are to call these too */
#include "tests/fault.h"
#pragma GCC visibility pop
#include "core/internal.h"
#include "models/models.h"
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#ifdef FAULT_NO_MALLOC /* then one life without a failure, for the sanitizer to watch */
static struct {
    long calls, fail, live;
    bool on, forever;
} fault_malloc;
static bool fault_malloc_works(void)
{
    return false;
}
#endif

static char path[] = "/tmp/test_faults_XXXXXX";
static const char *const texts[] = {"a b c", "b", "c a", "x y", "y", "z x y x"};

typedef struct life {
    sg_context *g;
    sg_vocabulary *v;
    sg_batches *d;
    sg_seq2seq m;
    sg_optimizer adam;
} life;

static void begin(life *l, sg_context *g)
{
    l->g = g;
    sg_corpus *c = sg_corpus_of(g, 3, texts, texts + 3);
    l->v = sg_vocabulary_build(g, 6, texts);
    l->d = sg_batches_make(g, c, l->v, l->v, .size = 2, .source_stop = true);
    sg_corpus_free(c);
    int size = sg_vocabulary_size(l->v) > SG_RESERVED ? sg_vocabulary_size(l->v) : 10;
    l->m = sg_make_seq2seq(g, "m", .source_count = size, .target_count = size, .embed = 3,
                           .hidden = 4, .cell = SG_CELL_LSTM, .score = SG_CONCAT);
    l->adam = sg_adam(g, .clip_norm = 1);
}

static bool step(life *l)
{
    sg_batch b = {.seed = 1};
    if (!sg_ok(l->g) || !sg_batch_next(l->d, &b))
        return false;
    sg_loss loss = sg_seq2seq_loss(&l->m, &b, 0.1);
    return sg_step(&l->adam, loss.mean) == SG_OK;
}

static bool rest(life *l)
{
    sg_reset(l->g);
    sg_set_meta(l->g, "vocabulary", sg_vocabulary_json(l->v));
    bool saved = sg_save(l->g, path) == SG_OK;
    static const int32_t source[] = {5, 6, 7};
    sg_greedy r = sg_seq2seq_greedy(&l->m, source, 1, 3, NULL, 4);
    sg_reset(l->g);
    return saved && r.ids && sg_load(l->g, path) == SG_OK;
}

static void end(life *l)
{
    sg_batches_free(l->d);
    sg_vocabulary_free(l->v);
    sg_close(l->g);
}

static float *parameters(sg_context *g, size_t *n)
{
    float *copy = NULL;
    *n = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));) {
        size_t size = (size_t)sg_size(p);
        copy = realloc(copy, (*n + size) * sizeof *copy);
        memcpy(copy + *n, sg_data(p), size * sizeof *copy);
        *n += size;
    }
    return copy;
}

/* A step that fails changes nothing, and the next one, after sg_clear, succeeds. */
static void check_step(life *l, long n)
{
    size_t count = 0, after = 0;
    fault_malloc.on = false;
    float *before = parameters(l->g, &count);
    fault_malloc.on = true;
    bool ok = step(l);
    fault_malloc.on = false;
    if (!ok && sg_find(l->g, "m.out.w")) {
        cr_expect(!sg_ok(l->g), "allocation %ld: a step fails without an error", n);
        sg_clear(l->g);
        float *now = parameters(l->g, &after);
        cr_expect(count == after && memcmp(before, now, count * sizeof *now) == 0,
                  "allocation %ld: the step failed and changed a parameter", n);
        free(now);
        cr_expect(step(l), "allocation %ld: not usable after sg_clear: %s", n, sg_errmsg(l->g));
    }
    free(before);
    fault_malloc.on = true;
}

static bool whole_life(long n, bool forever)
{
    life l = {0};
    fault_malloc.calls = fault_malloc.live = 0;
    fault_malloc.fail = n;
    fault_malloc.forever = forever;
    fault_malloc.on = true;
    begin(&l, sg_open(.threads = 1)); /* the system keeps blocks of threads that have ended */
    long built = fault_malloc.calls;
    bool ok = sg_ok(l.g);
    if (n && ok && built < n && !forever)
        check_step(&l, n);
    else
        ok = ok && step(&l);
    ok = ok && rest(&l);
    bool told = ok || !sg_ok(l.g);
    bool failed = fault_malloc.calls >= n;
    end(&l);
    fault_malloc.on = false;
    cr_expect(told, "allocation %ld%s: it failed without an error", n, forever ? " on" : "");
    cr_expect(fault_malloc.live == 0, "allocation %ld%s: %ld blocks leaked", n,
              forever ? " on" : "", fault_malloc.live);
    return failed;
}

Test(faults, every_allocation_may_fail)
{
    bool works = fault_malloc_works();
    close(mkstemp(path));
    cr_assert(whole_life(0, false), "it works when nothing fails");
    long calls = works ? fault_malloc.calls : 0;
    cr_assert(!works || calls > 100);
    for (int forever = 0; forever < 2; forever++)
        for (long n = 1; n <= calls; n++)
            whole_life(n, forever);
    unlink(path);
}

/* A step of lazy Adam on a table, and then SGD */
static bool step_of_rows(sg_context *g, sg_tensor *table)
{
    sg_optimizer o = sg_adam(g, .clip_norm = 1, .lazy = true), sgd = sg_sgd(g, .clip_norm = 1);
    sg_tensor *i = sg_input(g, SG_I32, SG_SHAPE(4), (int32_t[]){7, 3, 7, 30});
    for (int k = 0; k < 2; k++) {
        sg_tensor *loss = sg_sum(sg_sin(sg_take(table, i)), SG_ALL_AXES, false);
        if (sg_step(k ? &sgd : &o, loss) != SG_OK)
            return false;
    }
    return true;
}

Test(faults, an_update_of_rows_may_fail)
{
    enum { ROWS = 40, E = 3 };
    bool done = !fault_malloc_works();
    for (long n = 1; !done; n++) {
        sg_context *g = sg_open();
        sg_tensor *table = sg_param(g, "table", SG_SHAPE(ROWS, E), SG_UNIFORM);
        float before[ROWS * E];
        memcpy(before, sg_data(table), sizeof before);
        fault_malloc.calls = 0;
        fault_malloc.fail = n;
        fault_malloc.forever = false;
        fault_malloc.on = true;
        bool ok = step_of_rows(g, table);
        fault_malloc.on = false;
        cr_expect(ok == sg_ok(g), "allocation %ld", n);
        const float *now = (sg_clear(g), sg_data(table));
        for (int k = 0; k < ROWS * E; k++)
            if (k / E != 7 && k / E != 3 && k / E != 30)
                cr_expect(now[k] == before[k], "allocation %ld, row %d", n, k / E);
        cr_expect(step_of_rows(g, table), "allocation %ld: %s", n, sg_errmsg(g));
        done = ok;
        sg_close(g);
    }
}

/* A step that fails leaves an error, the next one works; within a limit of memory, so that several
 * plans are tried. */
Test(faults, checkpoints_may_fail)
{
    bool done = !fault_malloc_works();
    size_t limit = 0;
    for (long n = 0; !done; n++) {
        sg_context *g = sg_open(.memory = limit);
        sg_transformer m = sg_make_transformer(g, "m", .size = 4, .heads = 2, .layers = 4,
                                               .causal = true, .checkpoint = true);
        sg_optimizer o = sg_sgd(g, .rate = 0.1);
        bool ok = true;
        for (int k = 0; k < 2; k++, sg_clear(g)) {
            fault_malloc.calls = 0;
            fault_malloc.fail = n;
            fault_malloc.forever = false;
            fault_malloc.on = k == 0;
            sg_tensor *h = sg_transform(&m, sg_full(g, SG_F32, SG_SHAPE(2, 30, 4), 1));
            bool now = sg_step(&o, sg_sum(sg_square(h), SG_ALL_AXES, false)) == SG_OK;
            fault_malloc.on = false;
            cr_expect(now == sg_ok(g), "allocation %ld", n);
            cr_expect(now || k == 0, "allocation %ld: %s", n, sg_errmsg(g));
            ok = ok && now;
        }
        limit = n ? limit : sg_stats(g).workspace * 11 / 10;
        done = ok && n > 0;
        sg_close(g);
    }
}

/* ---- the memory of a plan's making ----------------------------------------------------------- */

/* The gradient of the losses of some chains of several lengths, which are batched; part of each is
 * inside of a checkpoint, if asked for. */
static sg_tensor *chains(sg_context *g, bool inside)
{
    enum { CHAINS = 4, SIZE = 3 };
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(SIZE, SIZE), SG_UNIFORM), *losses[CHAINS], *d;
    for (int i = 0; i < CHAINS; i++) {
        sg_tensor *h = sg_full(g, SG_F32, SG_SHAPE(1, SIZE), 1 + i);
        for (int t = 0; t < 4 + i % 2; t++) {
            sg_tensor *before = h;
            h = sg_mul(sg_tanh(sg_matmul(h, w)), sg_full(g, SG_F32, SG_SHAPE(1, SIZE), t));
            h = inside && t == 2 ? sg_checkpoint(h, 1, &before) : h;
        }
        losses[i] = sg_sum(h, SG_ALL_AXES, false);
    }
    sg_grad(sg_add_n(CHAINS, losses), 1, &w, &d);
    return d;
}

enum { UNIT = 16 }; /* bytes */

/* Leaves so many units of the memory in which plans are made, or all; how many there were. */
static size_t leave(sg_context *g, size_t room)
{
    size_t all = 0;
    sg__mark m = sg__arena_mark(&g->scratch);
    while (sg__alloc(&g->scratch, UNIT))
        all++;
    sg__arena_release(&g->scratch, m);
    for (size_t k = room; k < all; k++)
        sg__alloc(&g->scratch, UNIT);
    return all;
}

/* From the call of malloc `fail` on there is no memory, but for so many units. */
static bool makes_a_plan(sg_context *g, bool inside, long fail, size_t *room)
{
    sg_reset(g);
    sg_forget_plans(g);
    sg_tensor *d = chains(g, inside);
    fault_malloc.fail = 1;
    fault_malloc.forever = fault_malloc.on = true;
    size_t all = leave(g, *room);
    fault_malloc.calls = 0;
    fault_malloc.fail = fail;
    bool ok = sg_eval(d) == SG_OK;
    fault_malloc.on = false;
    cr_expect(ok ? sg_ok(g) : strstr(sg_errmsg(g), "no memory") != NULL, "%ld, %d units: %s", fail,
              (int)*room, sg_errmsg(g));
    sg_clear(g);
    *room = all;
    return ok;
}

/* Allocations of all passes, not only those that begin a new stretch of an arena. */
Test(faults, making_a_plan_may_fail)
{
    enum { STEP = 5 };
    sg_context *g = sg_open();
    sg_tensor *d = chains(g, false);
    float want[9];
    cr_assert(sg_eval(d) == SG_OK);
    memcpy(want, sg_data(d), sizeof want);
    size_t all = SIZE_MAX;
    bool done = !fault_malloc_works();
    for (long n = 2; !done; n++, all = SIZE_MAX) {
        sg__arena_free(&g->spare);
        done = makes_a_plan(g, n % 2, n / 2, &all) && n % 2;
    }
    for (size_t room = 0, k = 0; fault_malloc_works() && k < all; k += STEP, room = k) {
        makes_a_plan(g, false, 2, &room); /* the first is the plan itself */
        all = room;
    }
    sg_reset(g);
    d = chains(g, true);
    cr_expect(sg_eval(d) == SG_OK && memcmp(want, sg_data(d), sizeof want) == 0, "%s",
              sg_errmsg(g));
    sg_close(g);
}
