/*
 * Operands that several steps read, prepared once for all of them: as often as is worth it, with
 * the same bits, within a limit of memory.
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
