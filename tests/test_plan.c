/*
 * Plans of small models against recorded dumps: equal under every compiler, and a change of them is
 * seen. SEQGRAD_UPDATE_GOLDEN=1 in the environment records them anew.
 */
#include "models/models.h"
#include "optim/optim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What a training step evaluates: the loss, and the new value of each parameter. */
static sg_tensor *regression(sg_context *g)
{
    sg_affine layer = sg_linear(g, "layer", .in = 3, .out = 2);
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(4, 3), NULL);
    sg_tensor *y = sg_input(g, SG_F32, SG_SHAPE(4, 2), NULL);
    return sg_mean(sg_square(sg_sub(sg_apply(layer, x), y)), SG_ALL_AXES, false);
}

static sg_tensor *lstm(sg_context *g)
{
    sg_cell cell = sg_lstm(g, "lstm", .in = 3, .hidden = 4);
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(2, 3, 3), NULL);
    sg_tensor *h = sg_unroll(cell, x, .lengths = (int[]){3, 2});
    return sg_sum(sg_square(sg_last(h, (int[]){3, 2})), SG_ALL_AXES, false);
}

static sg_tensor *translation(sg_context *g)
{
    sg_seq2seq m =
        sg_make_seq2seq(g, "m", .source_count = 9, .target_count = 8, .embed = 3, .hidden = 4,
                        .cell = SG_CELL_GRU, .score = SG_GENERAL, .reset = SG_RESET_AFTER);
    static const int32_t ids[] = {4, 5, 6, 3, 7, 3, 0, 0};
    static const int lengths[] = {4, 2};
    sg_batch b = {.size = 2,
                  .source_time = 4,
                  .target_time = 4,
                  .source = ids,
                  .target_in = ids,
                  .target_out = ids,
                  .source_lengths = lengths,
                  .target_lengths = lengths};
    return sg_seq2seq_loss(&m, &b, 0).mean;
}

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (f) {
        size_t n = fread(text, 1, (1 << 20) - 1, f);
        text[n] = 0;
        fclose(f);
    }
    return text;
}

Test(plan, is_as_recorded)
{
    static const struct {
        const char *name;
        sg_tensor *(*model)(sg_context *g);
    } rows[] = {{"regression", regression}, {"lstm", lstm}, {"translation", translation}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sg_context *g = sg_open(.isa = "generic", .threads = 1); /* scratch differs */
        char path[512], *text = NULL;
        size_t size = 0;
        sg_tensor *loss = rows[i].model(g), *xs[64], *d[64];
        int n = 0;
        for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false)) && n < 64;)
            xs[n++] = p;
        sg_grad(loss, n, xs, d);
        d[n] = loss;
        FILE *f = open_memstream(&text, &size);
        sg_dump_plan(f, n + 1, d);
        fclose(f);
        cr_assert(sg_ok(g), "%s", sg_errmsg(g));
        snprintf(path, sizeof path, "%s/tests/golden/%s.plan", SG_SOURCE_DIR, rows[i].name);
        if (getenv("SEQGRAD_UPDATE_GOLDEN")) {
            f = fopen(path, "wb");
            cr_assert(f && fwrite(text, 1, size, f) == size && fclose(f) == 0);
        }
        char *golden = read_all(path);
        cr_expect(strcmp(golden, text) == 0, "the plan of \"%s\" is not the recorded one:\n%s",
                  rows[i].name, text);
        free(golden);
        free(text);
        sg_close(g);
    }
}

/* How often two threads meet in a step of a language model of so much time. */
static int meetings(int time)
{
    enum { BATCH = 20, WORDS = 1000, UNITS = 200, LAYERS = 2 };
    sg_context *g = sg_open(.threads = 2);
    sg_tensor *table = sg_embedding(g, "words", .count = WORDS, .size = UNITS);
    sg_tensor *ids = sg_input(g, SG_I32, SG_SHAPE(BATCH, time), NULL);
    sg_tensor *x = sg_take(table, ids), *xs[64], *d[64];
    for (int i = 0; i < LAYERS; i++)
        x = sg_unroll(sg_lstm(g, i ? "second" : "first", .in = UNITS, .hidden = UNITS), x);
    sg_affine out = sg_linear(g, "out", .in = UNITS, .out = WORDS);
    sg_tensor *loss = sg_mean(sg_cross_entropy(sg_apply(out, x), ids), SG_ALL_AXES, false);
    int n = 0, count = -1;
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false)) && n < 64;)
        xs[n++] = p;
    sg_grad(loss, n, xs, d);
    d[n] = loss;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    sg_dump_plan(f, n + 1, d);
    fclose(f);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    const char *said = strstr(text, "threads meet ");
    cr_assert(said && sscanf(said, "threads meet %d times", &count) == 1, "%s", text);
    free(text);
    sg_close(g);
    return count;
}

/* Rows of the batch go through a layer, forward and backward, without a meeting. */
Test(plan, a_layer_is_one_region)
{
    enum { MOST = 12 }; /* that they are a few more or less is the work of placement */
    int few = meetings(5), many = meetings(25);
    cr_expect(few <= MOST && many <= MOST,
              "threads meet %d times in 5 steps of time, %d times in 25", few, many);
}
