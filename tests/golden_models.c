#include "tests/golden_models.h"

enum { MOST_PARAMS = 40 };

/* A hidden layer, and squared errors. */
static sg_tensor *regression(sg_context *g, int wide)
{
    sg_affine hidden = sg_linear(g, "hidden", .in = 3 * wide, .out = 4 * wide);
    sg_affine out = sg_linear(g, "out", .in = 4 * wide, .out = 2);
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(5 * wide, 3 * wide), NULL);
    sg_tensor *y = sg_input(g, SG_F32, SG_SHAPE(5 * wide, 2), NULL);
    sg_tensor *h = sg_tanh(sg_apply(hidden, x));
    return sg_mean(sg_square(sg_sub(sg_apply(out, h), y)), SG_ALL_AXES, false);
}

enum { ROWS = 2, TIME = 3, MOST_ROWS = 128 };

/* Every second row is one shorter. */
static const int *lengths(int wide)
{
    static int n[MOST_ROWS];
    for (int i = 0; i < ROWS * wide; i++)
        n[i] = TIME - i % 2;
    return n;
}

/* Three steps over rows of two lengths; what is learnt is the last state. */
static sg_tensor *lstm(sg_context *g, int wide)
{
    sg_cell cell = sg_lstm(g, "lstm", .in = 3 * wide, .hidden = 4 * wide);
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(ROWS * wide, TIME, 3 * wide), NULL);
    sg_tensor *h = sg_unroll(cell, x, .lengths = lengths(wide));
    return sg_sum(sg_square(sg_last(h, lengths(wide))), SG_ALL_AXES, false);
}

/* Words are read in both directions, and each has a label. */
static sg_tensor *tagger(sg_context *g, int wide)
{
    static const int32_t ids[MOST_ROWS * TIME] = {1, 2, 3, 4, 1};
    sg_tensor *table = sg_embedding(g, "words", .count = 13 * wide, .size = 3 * wide);
    sg_cell forward = sg_lstm(g, "forward", .in = 3 * wide, .hidden = 2 * wide);
    sg_cell backward = sg_lstm(g, "backward", .in = 3 * wide, .hidden = 2 * wide);
    sg_affine out = sg_linear(g, "out", .in = 4 * wide, .out = 5);
    sg_tensor *words = sg_input(g, SG_I32, SG_SHAPE(ROWS * wide, TIME), ids);
    sg_tensor *x = sg_take(table, words);
    sg_tensor *l = sg_unroll(forward, x, .lengths = lengths(wide)),
              *r = sg_unroll(backward, x, .lengths = lengths(wide), .reverse = true);
    sg_tensor *logits = sg_apply(out, sg_concat(-1, l, r));
    return sg_label_loss(logits, ids, lengths(wide), 0).mean;
}

/* Two words to two: a GRU, which attends to the states of the encoder. */
static sg_tensor *translation(sg_context *g, int wide)
{
    static const int32_t ids[2 * MOST_ROWS] = {4, 5, 6, 3};
    static int lengths[MOST_ROWS];
    for (int i = 0; i < ROWS * wide; i++)
        lengths[i] = 2 - i % 2;
    sg_seq2seq m = sg_make_seq2seq(g, "m", .source_count = 9 * wide, .target_count = 8 * wide,
                                   .embed = 3 * wide, .hidden = 4 * wide, .cell = SG_CELL_GRU,
                                   .score = SG_GENERAL, .reset = SG_RESET_AFTER);
    sg_batch b = {.size = ROWS * wide,
                  .source_time = 2,
                  .target_time = 2,
                  .source = ids,
                  .target_in = ids,
                  .target_out = ids,
                  .source_lengths = lengths,
                  .target_lengths = lengths};
    return sg_seq2seq_loss(&m, &b, 0).mean;
}

/* One block, which sees the past. */
static sg_tensor *transformer(sg_context *g, int wide)
{
    sg_transformer m = sg_make_transformer(g, "m", .size = 4 * wide, .heads = 2, .layers = 1,
                                           .wide = 6 * wide, .causal = true);
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(ROWS * wide, TIME, 4 * wide), NULL);
    return sg_mean(sg_square(sg_transform(&m, x)), SG_ALL_AXES, false);
}

/* ((a b) c): a node at a time, as a recursion over trees has it. */
static sg_tensor *tree(sg_context *g, int wide)
{
    static const float words[9 * MOST_ROWS] = {1};
    sg_tree_cell cell = sg_tree_lstm(g, "tree", .in = 3 * wide, .hidden = 2 * wide, .children = 2);
    sg_state pair[2], leaf[3];
    for (int i = 0; i < 3; i++) {
        sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(1, 3 * wide), words + 3 * wide * i);
        leaf[i] = sg_tree_node(&cell, x, 0, NULL);
    }
    pair[0] = sg_tree_node(&cell, NULL, 2, leaf);
    pair[1] = leaf[2];
    return sg_sum(sg_square(sg_tree_node(&cell, NULL, 2, pair).h), SG_ALL_AXES, false);
}

const golden_model golden_models[GOLDEN_MODELS] = {
    {"regression", regression},   {"lstm", lstm}, {"tagger", tagger}, {"translation", translation},
    {"transformer", transformer}, {"tree", tree}};

sg_tensor *golden_training(sg_context *g, const golden_model *m, int wide)
{
    sg_tensor *loss = m->loss(g, wide), *x[MOST_PARAMS], *d[MOST_PARAMS];
    int n = 0;
    for (sg_tensor *p = NULL; n < MOST_PARAMS && (p = sg_next_param(g, p, false));)
        x[n++] = p;
    sg_grad(loss, n, x, d);
    for (int i = 0; i < n; i++) /* gradient descent */
        sg_assign(x[i], sg_sub(x[i], sg_mul(d[i], sg_like(x[i], 0.1))));
    return loss;
}
