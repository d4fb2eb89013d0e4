/*
 * Operands that several steps read, prepared once for all of them: as often as is worth it, with
 * the same bits, within a limit of memory. Parameters that evaluations read again and again stay
 * prepared until they are overwritten.
 */
#include "models/models.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 20, TIME = 9, IN = 6, HIDDEN = 64, MOST = 8 };

static const char *const sets[] = {"generic", "avx2", "avx512"};
enum { SETS = sizeof sets / sizeof *sets };

static bool has_set(int i)
{
    sg_context *g = sg_open(.isa = sets[i]);
    const bool has = sg_ok(g);
    sg_close(g);
    return has;
}

/* The loss of a layer over so much time, and its gradients, as roots; how many there are. */
static int training(sg_context *g, int time, sg_tensor **root)
{
    static float data[BATCH * TIME * IN];
    for (int i = 0; i < BATCH * TIME * IN; i++)
        data[i] = (float)(i * 37 % 101) / 50 - 1;
    sg_cell cell = sg_lstm(g, "cell", .in = IN, .hidden = HIDDEN);
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(BATCH, time, IN), data), *p[MOST];
    root[0] = sg_sum(sg_square(sg_unroll(cell, x)), SG_ALL_AXES, false);
    int n = 0;
    for (sg_tensor *q = NULL; n < MOST - 1 && (q = sg_next_param(g, q, false));)
        p[n++] = q;
    sg_grad(root[0], n, p, root + 1);
    return n + 1;
}

static int packs(sg_context *g, int time)
{
    sg_tensor *root[MOST];
    const int n = training(g, time, root);
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_plan(f, n, root);
    fclose(f);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    int count = 0;
    for (const char *at = text; (at = strstr(at, " pack ")); at++)
        count++;
    free(text);
    sg_reset(g);
    return count;
}

/* Forward it lies as the kernels like it, or they pack it; backward, transposed, they must. */
Test(prepare, a_weight_is_packed_once_for_all_steps)
{
    for (int i = 0; i < SETS && has_set(i); i++) {
        sg_context *g = sg_open(.isa = sets[i]);
        const int few = packs(g, 4), many = packs(g, TIME);
        cr_expect(few >= 1 && few == many, "%s: %d in 4 steps, %d in %d", sets[i], few, many, TIME);
        cr_expect_eq(packs(g, 1), 0, "for one step");
        sg_close(g);
        g = sg_open(.isa = sets[i], .without = "prepare");
        cr_expect_eq(packs(g, TIME), 0, "without");
        sg_close(g);
    }
}

typedef struct result {
    uint64_t hash;
    size_t workspace;
} result;

static uint64_t hash(sg_tensor *x, uint64_t h) /* FNV-1a */
{
    const unsigned char *p = sg_data(x);
    for (size_t i = 0; i < (size_t)sg_size(x) * sizeof(float); i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static result evaluate(sg_context *g, int n, sg_tensor **root)
{
    result r = {0, sg_plan_infos(n, root).workspace};
    sg_eval_(n, root);
    for (int i = 0; i < n && sg_ok(g); i++)
        r.hash = hash(root[i], r.hash);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
    return r;
}

static result train(sg_open_options o)
{
    sg_context *g = sg_open_(o);
    sg_tensor *root[MOST];
    return evaluate(g, training(g, TIME, root), root);
}

Test(prepare, no_bit_depends_on_it)
{
    for (int i = 0; i < SETS && has_set(i); i++) {
        const result plain = train((sg_open_options){.isa = sets[i], .without = "prepare"});
        for (int threads = 1; threads <= 3; threads++)
            cr_expect_eq(train((sg_open_options){.isa = sets[i], .threads = threads}).hash,
                         plain.hash, "%s, %d threads", sets[i], threads);
    }
}

/* A row times a transposed matrix, again and again: beside that matrix there is next to nothing. */
static result power(sg_open_options o)
{
    enum { N = 128, TIMES = 6 };
    sg_context *g = sg_open_(o);
    sg_tensor *w = sg_transpose(sg_param(g, "w", SG_SHAPE(N, N)), 0, 1);
    sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(1, N), 1);
    for (int i = 0; i < TIMES; i++)
        x = sg_matmul(x, w);
    return evaluate(g, 1, &x);
}

/* Without room for it, a plan is as it was. */
Test(prepare, a_limit_of_memory_comes_first)
{
    const result plain = power((sg_open_options){.without = "prepare"}),
                 fast = power((sg_open_options){0});
    cr_expect(fast.workspace > plain.workspace, "%zu bytes, %zu without", fast.workspace,
              plain.workspace);
    const result within = power((sg_open_options){.memory = fast.workspace - 1});
    cr_expect_eq(within.workspace, plain.workspace);
    cr_expect_eq(within.hash, plain.hash);
}

/* ---- from evaluation to evaluation ----------------------------------------------------------- */

enum { ROWS = 40, WORDS = 1040, STATE = 72 }; /* of products that pack their right operands */

typedef struct reader {
    sg_context *g;
    sg_tensor *w, *out; /* [STATE,STATE], [STATE,WORDS] */
    float state[ROWS * STATE];
} reader;

static void open_reader(reader *r, sg_open_options o)
{
    r->g = sg_open_(o);
    r->w = sg_param(r->g, "w", SG_SHAPE(STATE, STATE));
    r->out = sg_param(r->g, "out", SG_SHAPE(STATE, WORDS));
    for (int i = 0; i < ROWS * STATE; i++)
        r->state[i] = (float)(i * 37 % 101) / 50 - 1;
}

/* One step: the next state and its scores, of so many rows; their hash. */
static uint64_t read_once(reader *r, int rows)
{
    sg_tensor *x = sg_input(r->g, SG_F32, SG_SHAPE(rows, STATE), r->state);
    sg_tensor *state = sg_tanh(sg_matmul(x, sg_transpose(r->w, 0, 1)));
    sg_tensor *score = sg_matmul(state, r->out);
    sg_eval(state, score);
    cr_assert(sg_ok(r->g), "%s", sg_errmsg(r->g));
    const uint64_t h = hash(score, hash(state, 0));
    memcpy(r->state, sg_data(state), (size_t)rows * STATE * sizeof(float));
    sg_reset(r->g);
    return h;
}

static uint64_t prepared(const reader *r)
{
    return sg_stats(r->g).prepared;
}

Test(prepare, what_evaluations_read_stays_prepared_until_it_is_overwritten)
{
    static const float ones[STATE * WORDS] = {1, 1, 1};
    reader r, plain;
    open_reader(&r, (sg_open_options){0});
    open_reader(&plain, (sg_open_options){.without = "prepare"});
    uint64_t before = 0;
    for (int i = 0; i < 8; i++) {
        if (i == 4) { /* one of them */
            sg_set(r.out, ones);
            sg_set(plain.out, ones);
            cr_expect(prepared(&r) > 0 && prepared(&r) < before, "%d of %d bytes left",
                      (int)prepared(&r), (int)before);
        }
        cr_expect_eq(read_once(&r, ROWS), read_once(&plain, ROWS), "evaluation %d", i);
        cr_expect_eq(prepared(&plain), 0);
        if (i == 0)
            cr_expect_eq(prepared(&r), 0, "it may be the only one");
        if (i == 1)
            before = prepared(&r);
        if (i % 4)
            cr_expect_eq(prepared(&r), before, "evaluation %d: %d bytes", i, (int)prepared(&r));
    }
    cr_expect(before >= sizeof(float) * (STATE * STATE + STATE * WORDS), "%d bytes", (int)before);
    sg_close(r.g);
    sg_close(plain.g);
}

static void expect_the_same(sg_open_options o, const uint64_t *hashes, int rows, int times)
{
    reader r;
    open_reader(&r, o);
    for (int i = 0; i < times; i++)
        cr_expect_eq(read_once(&r, rows), hashes[i], "%s, %d threads, %d rows, evaluation %d",
                     o.isa, o.threads, rows, i);
    sg_close(r.g);
}

Test(prepare, no_bit_depends_on_what_stays_prepared)
{
    enum { TIMES = 3 };
    static const int rows[] = {1, 2, 5, 17, ROWS};
    for (int i = 0; i < SETS && has_set(i); i++)
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            uint64_t hashes[TIMES];
            reader r;
            open_reader(&r, (sg_open_options){.isa = sets[i], .without = "prepare"});
            for (int t = 0; t < TIMES; t++)
                hashes[t] = read_once(&r, rows[k]);
            sg_close(r.g);
            for (int threads = 1; threads <= 3; threads++)
                expect_the_same((sg_open_options){.isa = sets[i], .threads = threads}, hashes,
                                rows[k], TIMES);
        }
}

/* An equal graph has the same plan, whatever its leaves are. */
Test(prepare, what_is_no_parameter_does_not_stay)
{
    static float weight[STATE * WORDS];
    reader r;
    open_reader(&r, (sg_open_options){0});
    for (int i = 0; i < ROWS * STATE; i++)
        r.state[i] = 1;
    float first = 0;
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < STATE * WORDS; k++)
            weight[k] = (float)i;
        sg_tensor *x = sg_input(r.g, SG_F32, SG_SHAPE(ROWS, STATE), r.state);
        sg_tensor *w = i < 3 ? r.out : sg_input(r.g, SG_F32, SG_SHAPE(STATE, WORDS), weight);
        sg_tensor *y = sg_matmul(x, w);
        const float *p = sg_data(y);
        cr_assert(p, "%s", sg_errmsg(r.g));
        first = i == 0 ? p[0] : first;
        cr_expect_float_eq(p[0], i < 3 ? first : (float)(i * STATE), 0);
        sg_reset(r.g);
    }
    cr_expect_eq(sg_stats(r.g).misses, 1, "%d plans", (int)sg_stats(r.g).misses);
    sg_close(r.g);
}

/* Each step overwrites what the step before has read. */
Test(prepare, training_packs_nothing_to_stay)
{
    sg_context *g = sg_open();
    sg_tensor *w = sg_param(g, "w", SG_SHAPE(STATE, WORDS));
    for (int i = 0; i < 4; i++) {
        sg_tensor *y = sg_matmul(sg_full(g, SG_F32, SG_SHAPE(ROWS, STATE), 1), w);
        sg_tensor *loss = sg_mean(sg_square(y), SG_ALL_AXES, false), *gradient;
        if (i % 2) /* somebody looks first */
            sg_eval(loss);
        sg_grad(loss, 1, &w, &gradient);
        sg_assign(w, sg_sub(w, gradient));
        sg_eval(loss);
        cr_assert(sg_ok(g), "%s", sg_errmsg(g));
        cr_expect_eq(sg_stats(g).prepared, 0, "step %d", i);
        sg_reset(g);
    }
    sg_close(g);
}

Test(prepare, a_limit_of_memory_holds_for_what_stays)
{
    reader r, free_of_it;
    open_reader(&free_of_it, (sg_open_options){0});
    const uint64_t first = read_once(&free_of_it, ROWS), second = read_once(&free_of_it, ROWS);
    const sg_stat s = sg_stats(free_of_it.g);
    open_reader(&r, (sg_open_options){.memory = (size_t)(s.workspace + s.prepared - 1)});
    cr_expect_eq(read_once(&r, ROWS), first);
    cr_expect_eq(read_once(&r, ROWS), second);
    cr_expect(prepared(&r) < s.prepared, "%d bytes", (int)prepared(&r));
    sg_close(r.g);
    sg_close(free_of_it.g);
}

/* What is prepared goes where a larger plan needs the room. */
Test(prepare, a_limit_of_memory_holds_when_plans_grow)
{
    reader r, free_of_it;
    open_reader(&free_of_it, (sg_open_options){0});
    uint64_t hashes[4];
    for (int i = 0; i < 2; i++)
        hashes[i] = read_once(&free_of_it, ROWS / 2);
    const sg_stat before = sg_stats(free_of_it.g);
    for (int i = 2; i < 4; i++)
        hashes[i] = read_once(&free_of_it, ROWS);
    cr_assert(before.prepared > 0 && before.workspace < sg_stats(free_of_it.g).workspace);
    const size_t limit = (size_t)(before.workspace + before.prepared);
    open_reader(&r, (sg_open_options){.memory = limit});
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(read_once(&r, i < 2 ? ROWS / 2 : ROWS), hashes[i], "evaluation %d", i);
        const sg_stat s = sg_stats(r.g);
        cr_expect(s.prepared + s.workspace <= limit, "evaluation %d: %d bytes beside %d of %d", i,
                  (int)s.prepared, (int)s.workspace, (int)limit);
        cr_expect(i != 1 || s.prepared == before.prepared, "%d bytes", (int)s.prepared);
    }
    sg_close(r.g);
    sg_close(free_of_it.g);
}
