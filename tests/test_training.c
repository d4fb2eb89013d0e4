/* Training a tiny model that translates: it learns, and its bits depend on the seed alone, not on
 * how its plans are found, nor on a stop in the middle. */
#include "models/models.h"
#include "optim/optim.h"
#include "tests/models_test.h"

#include <unistd.h>

enum { PAIRS = 4, SOURCE = 5, TARGET = 5, WORDS = 10 };

/* Words are turned around and 3 <stop>s: sources of 3, 4, 1 and 2 words. */
static const int32_t source[PAIRS * SOURCE] = {4, 5, 6, 3, 0, 9, 8, 5, 7, 3,
                                               6, 3, 0, 0, 0, 7, 4, 3, 0, 0};
static const int source_lengths[PAIRS] = {4, 5, 2, 3};
static const int32_t target_in[PAIRS * TARGET] = {2, 6, 5, 4, 0, 2, 7, 5, 8, 9,
                                                  2, 6, 0, 0, 0, 2, 4, 7, 0, 0};
static const int32_t target_out[PAIRS * TARGET] = {6, 5, 4, 3, 0, 7, 5, 8, 9, 3,
                                                   6, 3, 0, 0, 0, 4, 7, 3, 0, 0};
static const int target_lengths[PAIRS] = {4, 5, 2, 3};

/* The first n pairs. */
static sg_batch batch_of(int n)
{
    return (sg_batch){.size = n,
                      .source_time = SOURCE,
                      .target_time = TARGET,
                      .source = source,
                      .source_lengths = source_lengths,
                      .target_in = target_in,
                      .target_out = target_out,
                      .target_lengths = target_lengths};
}

static sg_seq2seq make(sg_context *g, int kind, int way, double dropout)
{
    return sg_make_seq2seq(g, "m", WORDS, WORDS, .embed = 8, .hidden = 16,
                           .cell = (sg_cell_kind)kind, .post = way == 1, .no_attention = way == 2,
                           .score = (sg_score)(way == 2 ? 0 : (kind + way) % 4),
                           .dropout = dropout);
}

static const char *const cells[] = {"rnn", "gru", "lstm"};
static const char *const ways[] = {"pre", "post", "no attention"};

Test(training, four_pairs_are_learnt_by_heart)
{
    const sg_batch b = batch_of(PAIRS);
    for (int kind = 0; kind < 3; kind++)
        for (int way = 0; way < 3; way++) {
            sg_context *g = sg_open();
            sg_seq2seq m = make(g, kind, way, 0);
            sg_optimizer adam = sg_adam(g, .rate = 0.02, .clip_norm = 5);
            double loss = INFINITY;
            for (int step = 0; step < 150 && sg_ok(g); step++) {
                sg_tensor *mean = sg_seq2seq_loss(&m, &b, 0).mean;
                sg_step(&adam, mean);
                loss = sg_item(mean);
                sg_reset(g);
            }
            cr_expect(loss < 0.05, "%s, %s: %g: %s", cells[kind], ways[way], loss, sg_errmsg(g));
            sg_greedy r = sg_seq2seq_greedy(&m, source, PAIRS, SOURCE, source_lengths, 9);
            cr_assert(r.ids && r.most == TARGET, "%s, %s: %d steps", cells[kind], ways[way],
                      r.most);
            cr_expect_arr_eq(r.ids, target_out, sizeof target_out, "%s, %s", cells[kind],
                             ways[way]);
            for (int i = 0; i < PAIRS; i++)
                cr_expect(r.lengths[i] == target_lengths[i] - 1, "%s, %s", cells[kind], ways[way]);
            sg_close(g);
        }
}

/* ---- the same bits -------------------------------------------------------------------------- */

enum { STEPS = 8, MOST_BYTES = 1 << 16 };

typedef struct outcome {
    float loss[STEPS];
    size_t bytes; /* of all parameters */
    char params[MOST_BYTES];
} outcome;

static void train(sg_context *g, int kind, int from, int to, outcome *out)
{
    sg_train(g, true);
    for (int step = from; step < to; step++) {
        sg_seq2seq m = make(g, kind, kind, 0.2);
        sg_optimizer adam = sg_adam(g, .rate = 0.02, .clip_norm = 0.5);
        const sg_batch b = batch_of(1 + step % PAIRS); /* shapes that come and go */
        sg_tensor *mean = sg_seq2seq_loss(&m, &b, 0.1).mean;
        cr_assert(sg_step(&adam, mean) == SG_OK, "%s: %s", cells[kind], sg_errmsg(g));
        out->loss[step] = (float)sg_item(mean);
        sg_reset(g);
    }
    out->bytes = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, true));) {
        size_t n = (size_t)sg_size(p) * (sg_type(p) == SG_F64 ? 8 : sg_type(p) == SG_U8 ? 1 : 4);
        cr_assert(out->bytes + n <= MOST_BYTES);
        memcpy(out->params + out->bytes, sg_data(p), n);
        out->bytes += n;
    }
}

static void expect_same(const outcome *a, const outcome *b, const char *what, int kind)
{
    cr_expect_arr_eq(a->loss, b->loss, sizeof a->loss, "%s, %s: losses", cells[kind], what);
    cr_expect(a->bytes == b->bytes && a->bytes > 1000, "%s, %s: sizes", cells[kind], what);
    cr_expect(memcmp(a->params, b->params, a->bytes) == 0, "%s, %s: parameters and moments",
              cells[kind], what);
}

Test(training, bits_depend_on_the_seed_alone)
{
    static outcome first, other;
    static const struct {
        const char *name;
        sg_open_options o;
    } rows[] = {
        {"once more", {.seed = 3}},
        {"a cache of one plan", {.seed = 3, .cache_plans = 1}},
        {"without batch", {.seed = 3, .without = "batch"}},
        {"without sparse", {.seed = 3, .without = "sparse"}},
        {"without layout", {.seed = 3, .without = "layout"}},
        {"without fuse", {.seed = 3, .without = "fuse"}},
        {"without assign", {.seed = 3, .without = "assign"}},
        {"without split", {.seed = 3, .without = "split", .threads = 2}},
        {"none of these", {.seed = 3, .without = "batch,sparse,layout,fuse,assign,split"}},
    };
    for (int kind = 0; kind < 3; kind++) {
        sg_context *g = sg_open(.seed = 3);
        train(g, kind, 0, STEPS, &first);
        cr_expect(sg_stats(g).hits >= STEPS - PAIRS, "plans come back: %d of %d",
                  (int)sg_stats(g).hits, (int)sg_stats(g).runs);
        sg_close(g);
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            g = sg_open_(rows[k].o);
            train(g, kind, 0, STEPS, &other);
            cr_expect(k != 1 || (sg_stats(g).hits == 0 && sg_stats(g).plans == 1),
                      "no plan is kept");
            expect_same(&first, &other, rows[k].name, kind);
            sg_close(g);
        }
        /* sums of products term by term: the same draws, another rounding */
        for (int debug = 0; debug < 2; debug++) {
            g = sg_open(.seed = 3, .debug = debug, .without = debug ? "" : "rewrite");
            train(g, kind, 0, STEPS, &other);
            for (int i = 0; i < STEPS; i++)
                cr_expect(fabsf(first.loss[i] - other.loss[i]) < 1e-4f * first.loss[i],
                          "%s, %s: loss %d is %g, not %g", cells[kind],
                          debug ? "debug mode" : "without rewrite", i, (double)other.loss[i],
                          (double)first.loss[i]);
            sg_close(g);
        }
        g = sg_open(.seed = 4);
        train(g, kind, 0, STEPS, &other);
        cr_expect(memcmp(first.loss, other.loss, sizeof first.loss) != 0, "another seed");
        sg_close(g);
    }
}

Test(training, goes_on_from_a_file)
{
    static outcome whole, resumed;
    char path[] = "/tmp/test_training_XXXXXX";
    close(mkstemp(path));
    for (int kind = 0; kind < 3; kind++) {
        sg_context *g = sg_open(.seed = 3);
        train(g, kind, 0, STEPS, &whole);
        sg_close(g);
        g = sg_open(.seed = 3);
        train(g, kind, 0, 5, &resumed);
        cr_assert(sg_save(g, path) == SG_OK, "%s", sg_errmsg(g));
        sg_close(g);
        g = sg_open(.seed = 3);
        cr_assert(sg_load(g, path) == SG_OK, "%s", sg_errmsg(g));
        train(g, kind, 5, STEPS, &resumed);
        sg_close(g);
        expect_same(&whole, &resumed, "resumed", kind);
    }
    unlink(path);
}

/* What was frozen does not change, in any bit; everything else does. */
Test(training, frozen_embeddings)
{
    sg_context *g = sg_open();
    sg_seq2seq m = make(g, SG_CELL_GRU, 0, 0);
    sg_optimizer adam = sg_adam(g, .rate = 0.02);
    cr_expect(sg_freeze(g, "m.*", true) > 10 && sg_freeze(g, "m.decoder0.*", false) == 4);
    float table[WORDS * 8], wx[8 * 3];
    memcpy(table, sg_data(m.target_table), sizeof table);
    memcpy(wx, sg_data(m.decoder[0].wx), sizeof wx);
    const sg_batch b = batch_of(PAIRS);
    cr_expect(sg_step(&adam, sg_seq2seq_loss(&m, &b, 0).mean) == SG_OK, "%s", sg_errmsg(g));
    cr_expect_arr_eq(sg_data(m.target_table), table, sizeof table);
    cr_expect_arr_neq(sg_data(m.decoder[0].wx), wx, sizeof wx);
    sg_close(g);
}
