/* What a plan takes is known before it runs, to the byte. */
#include "models/models.h"
#include "optim/optim.h"

#include <criterion/criterion.h>

enum { BATCH = 4, TIME = 6, SIZE = 8 };

/* The gradients of an LSTM's loss by all parameters, and the loss. */
static int training(sg_context *g, sg_tensor **x)
{
    sg_cell cell = sg_lstm(g, "lstm", .in = SIZE, .hidden = SIZE);
    sg_tensor *in = sg_full(g, SG_F32, SG_SHAPE(BATCH, TIME, SIZE), 0.5), *params[8];
    sg_tensor *loss = sg_sum(sg_square(sg_unroll(cell, in)), SG_ALL_AXES, false);
    int n = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));)
        params[n++] = p;
    sg_grad(loss, n, params, x);
    x[n] = loss;
    return n + 1;
}

Test(plan_info, is_what_the_run_takes)
{
    for (int threads = 1; threads <= 3; threads++) {
        sg_context *g = sg_open(.threads = threads);
        sg_tensor *x[9];
        int n = training(g, x);
        sg_plan_info i = sg_plan_infos(n, x);
        cr_expect(sg_stats(g).runs == 0 && sg_stats(g).workspace == 0, "nothing ran");
        cr_expect(i.own == sg_stats(g).plan_bytes && i.own > 1000, "%zu bytes of its own, not %zu",
                  (size_t)sg_stats(g).plan_bytes, i.own);
        size_t values = 0;
        for (int k = 0; k < n; k++)
            values += (size_t)sg_size(x[k]) * sizeof(float);
        cr_expect(i.values == values, "%zu bytes of values, not %zu", i.values, values);
        cr_assert(sg_eval_(n, x) == SG_OK, "%s", sg_errmsg(g));
        sg_stat s = sg_stats(g);
        cr_expect(s.hits == 1 && s.misses == 1, "the plan was kept");
        cr_expect(s.workspace == i.workspace, "%zu bytes of workspace, not %zu",
                  (size_t)s.workspace, i.workspace);
        cr_expect(s.meetings == (uint64_t)i.meetings, "%d meetings, not %d", (int)s.meetings,
                  (int)i.meetings);
        cr_expect(threads > 1 || i.meetings == 0);
        i = sg_plan_infos(n, x);
        cr_expect(i.workspace == 0 && i.steps == 0 && sg_ok(g), "all is there");
        sg_close(g);
    }
}

/* The lines of the dump that begin so, and those with an instruction of that name. */
static int count(int n, sg_tensor *const *x, const char *format, const char *name)
{
    char line[4096], word[4096], *text = NULL;
    size_t size = 0;
    int found = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_plan(f, n, x);
    fclose(f);
    f = fmemopen(text, size, "r");
    while (fgets(line, sizeof line, f))
        found += sscanf(line, format, word) == 1 && (!name || strcmp(word, name) == 0);
    fclose(f);
    free(text);
    return found;
}

Test(plan_info, counts_what_the_dump_shows)
{
    static const char *const without[] = {"", "rewrite", "layout", "fuse"};
    sg_plan_info most = {0};
    for (int k = 0; k < 4; k++) {
        sg_context *g = sg_open(.threads = 1, .without = without[k]);
        sg_tensor *x[9];
        int n = training(g, x);
        sg_plan_info i = sg_plan_infos(n, x);
        cr_expect(i.steps == count(n, x, " %*d %s", NULL));
        cr_expect(i.programs == count(n, x, " %*d %s", "program"));
        cr_expect(i.products == count(n, x, " %*d %s", "matmul"));
        cr_expect(i.instructions == count(n, x, " %*[ar0-9] = %s", NULL));
        cr_expect(i.copies == count(n, x, " %*[ar0-9] = %s", "copy"));
        /* and each pass does something */
        most = k == 0 ? i : most;
        cr_expect(k != 1 || i.products > most.products, "rewrite: %d products", (int)i.products);
        cr_expect(k != 2 || i.copies > most.copies, "layout: %d copies", (int)i.copies);
        cr_expect(k != 3 || (i.programs == i.instructions && i.programs > 2 * most.programs),
                  "fuse: %d programs", (int)i.programs);
        sg_close(g);
    }
}

Test(plan_info, flops_are_those_of_products)
{
    sg_context *g = sg_open();
    sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(5, 2, 3), 1),
              *w = sg_full(g, SG_F32, SG_SHAPE(3, 7), 1);
    sg_tensor *y = sg_exp(sg_matmul(x, w));
    sg_plan_info i = sg_plan_infos(1, &y);
    cr_expect(i.flops == 2 * 5 * 2 * 3 * 7 && i.products == 1, "%g", i.flops);
    sg_close(g);
}
