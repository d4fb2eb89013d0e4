/* What dropout draws, what embeddings and losses are equal to: test_models.c has their formulas. */
#include "models/models.h"
#include "tests/models_test.h"

/* ---- dropout -------------------------------------------------------------------------------- */

enum { ROWS = 6, COLUMNS = 50 };

static sg_tensor *ones(sg_context *g, int rows)
{
    return sg_full(g, SG_F32, SG_SHAPE(rows, COLUMNS), 1);
}

/* The mask of a dropout under a scope, row by row from the first. */
static void mask_of(sg_context *g, const char *scope, int rows, float *mask)
{
    sg_push(g, "test", scope);
    const void *p = sg_data(sg_dropout(ones(g, rows), 0.5));
    sg_pop(g);
    cr_assert(p, "%s", sg_errmsg(g));
    memcpy(mask, p, (size_t)(rows * COLUMNS) * sizeof *mask);
}

static sg_context *training(uint64_t seed, bool debug)
{
    sg_context *g = sg_open(.seed = seed, .debug = debug);
    sg_train(g, true);
    return g;
}

/* Draws depend on the seed, the number of resets, the scope and the number in it: on nothing else.
 */
Test(layers, what_dropout_draws)
{
    enum { WAYS = 6 };
    static const struct {
        const char *name;
        uint64_t seed;
        int resets;
        const char *scope;
        bool debug, same;
    } ways[WAYS] = {
        {"the first", 5, 0, "a", false, true},      {"once more", 5, 0, "a", false, true},
        {"in debug mode", 5, 0, "a", true, true},   {"another seed", 6, 0, "a", false, false},
        {"after a reset", 5, 1, "a", false, false}, {"another scope", 5, 0, "b", false, false},
    };
    float first[ROWS * COLUMNS], mask[ROWS * COLUMNS];
    for (int k = 0; k < WAYS; k++) {
        sg_context *g = training(ways[k].seed, ways[k].debug);
        if (ways[k].resets)
            sg_reset(g);
        mask_of(g, ways[k].scope, ROWS, k ? mask : first);
        bool same = k == 0 || memcmp(mask, first, sizeof mask) == 0;
        cr_expect(same == ways[k].same, "%s", ways[k].name);
        mask_of(g, ways[k].scope, ROWS, mask);
        cr_expect(memcmp(mask, first, sizeof mask) != 0, "%s: the second of its scope",
                  ways[k].name);
        sg_close(g);
    }
}

/* A mask that is needed again, and was not asked for, is drawn again as it was. */
Test(layers, dropout_that_is_computed_twice_is_the_same)
{
    sg_context *g = training(1, false);
    sg_tensor *x = sequences(g, SG_F32, ROWS, .size = COLUMNS, .flat = true), *grad;
    sg_tensor *y = sg_dropout(x, 0.5), *sum = sg_sum(sg_tanh(y), SG_ALL_AXES, false);
    double first = sg_item(sum);
    sg_grad(sum, 1, &x, &grad);
    cr_assert(sg_data(grad));
    uint64_t again = sg_stats(g).recomputed;
    cr_expect(again > 0, "the mask was computed twice");
    sg_data(y);
    cr_expect(sg_stats(g).recomputed > again, "three times");
    sg_tensor *second = sg_sum(sg_tanh(y), SG_ALL_AXES, false);
    cr_expect(sg_item(second) == first);
    for (int64_t i = 0; i < sg_size(y); i++)
        cr_expect((element(y, i) == 0) == (element(grad, i) == 0), "element %lld", (long long)i);
    check_gradients(y, 1, &x, "dropout");
    sg_close(g);
}

Test(layers, dropout_draws_by_row_of_any_batch)
{
    float first[ROWS * COLUMNS], mask[ROWS * COLUMNS];
    for (int rows = ROWS; rows > 0; rows--) {
        sg_context *g = training(1, false);
        mask_of(g, "a", rows, rows == ROWS ? first : mask);
        size_t row = COLUMNS * sizeof *mask;
        cr_expect(rows == ROWS || memcmp(mask, first, (size_t)rows * row) == 0, "%d rows", rows);
        cr_expect(memcmp(first, first + COLUMNS, row) != 0, "rows differ");
        sg_close(g);
    }
}

/* ---- embedding ------------------------------------------------------------------------------ */

Test(layers, embedding_gradients)
{
    for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
        sg_context *g = sg_open();
        const int32_t ids[] = {3, 0, 3, 3, 1, 0};
        sg_tensor *table = sg_embedding(g, "words", 5, 3, .dtype = (sg_dtype)dtype);
        sg_affine out = sg_linear(g, "out", 3, 2, .dtype = (sg_dtype)dtype);
        sg_tensor *x = sg_take(table, sg_input(g, SG_I32, SG_SHAPE(2, 3), ids));
        check_gradients(sg_tanh(sg_apply(out, x)), 0, NULL, "embedding and linear");
        sg_close(g);
    }
}

/* ---- losses --------------------------------------------------------------------------------- */

/* The perplexity of a corpus does not depend on how it is cut into batches, nor on padding; that of
 * a guess among n classes is n. */
Test(layers, perplexity)
{
    enum { BATCH = 4, TIME = 5, CLASSES = 7 };
    const int lengths[BATCH] = {2, 5, 1, 3};
    int32_t labels[BATCH * TIME];
    for (int i = 0; i < BATCH * TIME; i++)
        labels[i] = i * 5 % CLASSES;
    sg_context *g = sg_open();
    sg_nll whole = {0}, parts = {0}, guess = {0};
    sg_tensor *x = sequences(g, SG_F64, BATCH, TIME, CLASSES);
    sg_loss loss = sg_label_loss(x, labels, lengths);
    cr_expect(loss.tokens == 11);
    sg_nll_add(&whole, sg_item(loss.sum), loss.tokens);
    for (int b = 0; b < BATCH; b++) {
        sg_tensor *row = sg_slice(sg_slice(x, 0, b, b + 1, 1), 1, 0, lengths[b], 1);
        loss = sg_label_loss(row, labels + b * TIME);
        sg_nll_add(&parts, sg_item(loss.sum), loss.tokens);
    }
    double difference = sg_perplexity(&whole) - sg_perplexity(&parts);
    cr_expect(fabs(difference) < 1e-13 && parts.tokens == 11, "off by %g", difference);
    cr_expect(fabs(log(sg_perplexity(&whole)) - whole.sum / 11) < 1e-13);
    loss =
        sg_label_loss(sg_full(g, SG_F64, SG_SHAPE(BATCH, TIME, CLASSES), 3), labels, lengths, 0.3);
    sg_nll_add(&guess, sg_item(loss.sum), loss.tokens);
    cr_expect(fabs(sg_perplexity(&guess) - CLASSES) < 1e-12);
    sg_close(g);
}

Test(layers, losses_of_nothing)
{
    sg_context *g = sg_open();
    const int32_t label = 0;
    for (int batch = 0; batch <= 1; batch++) {
        sg_tensor *x = sequences(g, SG_F32, batch, 1 - batch, 3), *grad;
        sg_loss loss = sg_label_loss(x, &label);
        cr_expect(loss.tokens == 0 && sg_item(loss.sum) == 0 && sg_item(loss.mean) == 0, "%s",
                  sg_errmsg(g));
        sg_grad(loss.mean, 1, &x, &grad);
        cr_expect(sg_data(grad) && sg_size(grad) == 0, "%s", sg_errmsg(g));
    }
    sg_close(g);
}
