/* Linear layers, embeddings, dropout, losses. */
#include "tests/model_leaves.h"

/* ---- linear --------------------------------------------------------------------------------- */

Test(models, linear_layers)
{
    for (int bias = 0; bias < 2; bias++) {
        sg_context *g = sg_open();
        sg_affine a = sg_linear(g, "out", .in = 3, .out = 2, .no_bias = !bias, .dtype = SG_F64);
        cr_expect_str_eq(sg_name(a.w), "out.w");
        cr_expect_eq(a.b != NULL, bias);
        shake(g, 1);
        sg_tensor *x = draw(g, SG_F64, SG_SHAPE(2, 4, 3), 1), *y = sg_apply(a, x);
        has_shape(y, SG_SHAPE(2, 4, 2), "linear");
        for (int i = 0; i < 16; i++) {
            double sum = bias ? element(a.b, i % 2) : 0;
            for (int k = 0; k < 3; k++)
                sum += element(x, i / 2 * 3 + k) * element(a.w, k * 2 + i % 2);
            is_near(y, i, sum, 1e-15, "x W + b");
        }
        same_bits(sg_apply(a, sg_index(sg_index(x, 0, 1), 0, 2)), sg_index(sg_index(y, 0, 1), 0, 2),
                  "one row alone");
        check_gradients(y, 1, &x, "linear");
        sg_close(g);
    }
}

Test(models, linear_layers_start_as_told)
{
    sg_context *g = sg_open();
    sg_affine a = sg_linear(g, "a", .in = 30, .out = 20);
    sg_affine b = sg_linear(g, "b", .in = 2, .out = 2, .init = SG_CONSTANT, .gain = 7);
    double bound = sqrt(6.0 / 50), most = 0;
    for (int i = 0; i < 600; i++)
        most = fmax(most, fabs(element(a.w, i)));
    cr_expect(most <= bound && most > 0.95 * bound, "Xavier: %g of %g", most, bound);
    IS(b.w, "constant", 7, 7, 7, 7);
    IS(b.b, "bias", 0, 0);
    REFUSES(g, sg_linear(g, "c", .in = 3), "linear \"c\": 3 inputs, 0 outputs");
    REFUSES(g, sg_linear(g, "b", .in = 3, .out = 2), "\"b.w\" is f32[2,2] already, not f32[3,2]");
    REFUSES(g, sg_apply(b, draw(g, SG_F32, SG_SHAPE(4, 3), 1)),
            "matmul: inner dimensions differ: x[4,3], w[2,2]");
    sg_close(g);
}

/* ---- embedding ------------------------------------------------------------------------------ */

Test(models, a_lookup_is_a_product_with_one_hot_rows)
{
    sg_context *g = sg_open();
    int32_t ids[] = {4, 0, 4, 2, 1, 4};
    sg_tensor *table = sg_embedding(g, "words", .count = 5, .size = 3), *grads[2];
    sg_tensor *i = sg_input(g, SG_I32, SG_SHAPE(2, 3), ids), *x = sg_take(table, i);
    sg_tensor *y = sg_matmul(sg_one_hot(i, 5, SG_F32), table);
    cr_expect_str_eq(sg_name(table), "words");
    same_bits(x, y, "the rows");
    sg_tensor *r = draw(g, SG_F32, SG_SHAPE(2, 3, 3), 1);
    sg_vjp(x, r, 1, &table, &grads[0]);
    sg_vjp(y, r, 1, &table, &grads[1]);
    for (int k = 0; k < 15; k++)
        is_near(grads[0], k, element(grads[1], k), 1e-6, "the gradient");
    for (int k = 9; k < 12; k++)
        is_near(grads[0], k, 0, 0, "the gradient by a row that was not looked up");
    sg_close(g);
}

Test(models, embeddings_start_normal)
{
    sg_context *g = sg_open();
    static const struct {
        const char *name;
        double gain, expected;
    } rows[] = {{"default", 0, 0.25}, {"told", 3, 3}, {"none", SG_ZERO, 0}};
    for (size_t k = 0; k < 3; k++) {
        sg_tensor *t = sg_embedding(g, rows[k].name, .count = 100, .size = 16, rows[k].gain);
        double sum = 0;
        for (int i = 0; i < 1600; i++)
            sum += element(t, i) * element(t, i);
        cr_expect(fabs(sqrt(sum / 1600) - rows[k].expected) <= 0.06 * rows[k].expected,
                  "%s: deviation %g", rows[k].name, sqrt(sum / 1600));
    }
    FAILS(g, sg_embedding(g, "e", .count = 3), "embedding \"e\": 3 rows of 0 features");
    sg_tensor *t = sg_embedding(g, "f", .count = 3, .size = 2);
    STOPS(g, sg_take(t, sg_full(g, SG_I32, SG_SHAPE(2), 3)), "take");
    sg_close(g);
}

/* ---- dropout -------------------------------------------------------------------------------- */

Test(models, dropout)
{
    enum { ROWS = 50, COLUMNS = 40 };
    static const double ps[] = {0, 0.1, 0.5, 0.9};
    sg_context *g = sg_open();
    for (size_t k = 0; k < 4; k++) {
        double p = ps[k], kept = 0;
        sg_tensor *x = draw(g, SG_F32, SG_SHAPE(ROWS, COLUMNS), 1), *grad;
        cr_expect(sg_dropout(x, p) == x, "nothing happens outside of training");
        sg_train(g, true);
        sg_tensor *y = sg_dropout(x, p), *z = sg_dropout(x, p);
        sg_tensor *one = sg_full(g, SG_F32, sg_shape_of(x), 1);
        sg_vjp(y, one, 1, &x, &grad);
        sg_eval(y, z, grad);
        int equal = 0;
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            bool on = element(y, i) != 0;
            kept += on;
            is_near(y, i, on ? element(x, i) / (1 - p) : 0, 1e-6, "x / (1 - p)");
            is_near(grad, i, on ? 1 / (1 - p) : 0, 1e-6, "the gradient");
            equal += element(y, i) == element(z, i);
        }
        kept /= ROWS * COLUMNS;
        cr_expect(fabs(kept - (1 - p)) < 0.04, "p = %g: %g are kept", p, kept);
        cr_expect(p == 0 || equal < ROWS * COLUMNS, "two draws differ");
        sg_train(g, false);
        sg_reset(g);
    }
    sg_train(g, true);
    sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(3), NAN), *y = sg_dropout(x, 0.999);
    int zeros = 0;
    for (int i = 0; i < 3; i++)
        zeros += element(y, i) == 0;
    cr_expect(zeros > 0, "what is dropped is 0, NaN as well");
    FAILS(g, sg_dropout(sg_scalar(g, SG_F32, 1), 1),
          "dropout: a probability of 1 is not in [0, 1)");
    FAILS(g, sg_dropout(sg_scalar(g, SG_F32, 1), -0.1), "a probability of -0.1 is not in [0, 1)");
    FAILS(g, sg_dropout(sg_scalar(g, SG_F32, 1), NAN), "is not in [0, 1)");
    sg_close(g);
}

/* A row draws the same in a batch of another size. */
Test(models, dropout_draws_by_row)
{
    sg_context *g = sg_open();
    sg_tensor *rows[2];
    for (int k = 0; k < 2; k++) {
        sg_context *h = sg_open();
        sg_train(h, true);
        int64_t n = k ? 2 : 7;
        sg_tensor *x = sg_full(h, SG_F32, SG_SHAPE(n, 20), 1);
        sg_tensor *y = sg_slice(sg_dropout(x, 0.5), 0, 0, 2, 1);
        rows[k] = sg_input(g, SG_F32, SG_SHAPE(2, 20), sg_data(y));
        sg_close(h);
    }
    same_bits(rows[0], rows[1], "the first two rows of 7 and of 2");
    sg_close(g);
}

/* ---- label loss ----------------------------------------------------------------------------- */

enum { BATCH = 3, TIME = 4, CLASSES = 5 };
static const int32_t labels[BATCH * TIME] = {1, 0, 4, 2, 3, 3, 1, 0, 2, 2, 2, 2};
static const int ragged[BATCH] = {2, 4, 0};

Test(models, label_loss)
{
    static const double smoothings[] = {0, 0.1, 1};
    for (int k = 0; k < 6; k++) {
        const int *lengths = k % 2 ? ragged : NULL;
        double smoothing = smoothings[k / 2], sum = 0;
        int64_t tokens = 0;
        sg_context *g = sg_open();
        sg_tensor *x = draw(g, SG_F64, SG_SHAPE(BATCH, TIME, CLASSES), 1);
        for (int i = 0; i < BATCH * TIME; i++) {
            double z = 0, own, mean = 0;
            if (lengths && i % TIME >= lengths[i / TIME])
                continue;
            for (int c = 0; c < CLASSES; c++)
                z += exp(element(x, i * CLASSES + c));
            for (int c = 0; c < CLASSES; c++)
                mean += (log(z) - element(x, i * CLASSES + c)) / CLASSES;
            own = log(z) - element(x, i * CLASSES + labels[i]);
            sum += (1 - smoothing) * own + smoothing * mean;
            tokens++;
        }
        sg_loss loss = sg_label_loss(x, labels, lengths, smoothing);
        cr_expect_eq(loss.tokens, tokens, "%lld tokens", (long long)loss.tokens);
        is_near(loss.sum, 0, sum, 1e-13, "sum");
        is_near(loss.mean, 0, sum / (double)tokens, 1e-13, "mean");
        check_gradients(loss.mean, 1, &x, "label loss");
        sg_close(g);
    }
}

/* Neither labels nor logits behind a length count, whatever they are. */
Test(models, label_loss_of_padding)
{
    static const float garbage[] = {NAN, INFINITY, 1e30F};
    sg_context *g = sg_open();
    for (int k = 0; k < 3; k++) {
        sg_tensor *x = draw(g, SG_F32, SG_SHAPE(BATCH, TIME, CLASSES), 1), *grads[2];
        float dirty[BATCH * TIME * CLASSES];
        int32_t wild[BATCH * TIME];
        memcpy(dirty, sg_data(x), sizeof dirty);
        memcpy(wild, labels, sizeof wild);
        for (int i = 0; i < BATCH * TIME * CLASSES; i++)
            if (i / CLASSES % TIME >= ragged[i / CLASSES / TIME]) {
                dirty[i] = garbage[k];
                wild[i / CLASSES] = k == 2 ? -1 : INT32_MAX;
            }
        sg_tensor *y = sg_input(g, SG_F32, sg_shape_of(x), dirty);
        sg_loss a = sg_label_loss(x, labels, ragged), b = sg_label_loss(y, wild, ragged);
        sg_grad(a.mean, 1, &x, &grads[0]);
        sg_grad(b.mean, 1, &y, &grads[1]);
        same_bits(b.sum, a.sum, "sum");
        same_bits(b.mean, a.mean, "mean");
        same_bits(grads[1], grads[0], "gradient");
        sg_reset(g);
    }
    sg_tensor *x = draw(g, SG_F32, SG_SHAPE(BATCH, TIME, CLASSES), 1);
    sg_loss none = sg_label_loss(x, labels, ((int[]){0, 0, 0}));
    cr_expect(none.tokens == 0 && sg_item(none.sum) == 0 && sg_item(none.mean) == 0, "no tokens");
    sg_close(g);
}

Test(models, label_loss_errors)
{
    sg_context *g = sg_open();
    int32_t wrong[] = {1, 2, 5, 0};
#define LOGITS(...) draw(g, SG_F32, SG_SHAPE(__VA_ARGS__), 1)
    REFUSES(g, sg_label_loss(LOGITS(4, 5), labels),
            "label loss: logits have 2 axes, not [batch, time, classes]");
    REFUSES(g, sg_label_loss(LOGITS(3, 4, 5), labels, ((int[]){1, 2, 5})),
            "label loss: length 5 of row 2 is not in 0..4");
    REFUSES(g, sg_label_loss(LOGITS(2, 2, 5), wrong),
            "label loss: label 5 of row 1, step 0 is not in 0..4");
    REFUSES(g, sg_label_loss(LOGITS(3, 4, 5), NULL), "label loss: no labels");
    REFUSES(g, sg_label_loss(LOGITS(3, 4, 5), labels, .smoothing = 2),
            "label loss: cross_entropy: a smoothing of 2 is not in [0, 1]");
    wrong[2] = -1;
    REFUSES(g, sg_label_loss(LOGITS(2, 2, 5), wrong), "label -1 of row 1, step 0");
    cr_expect(sg_is_nil(sg_label_loss(NULL, labels).mean));
    sg_close(g);
}
