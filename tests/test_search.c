/* Decoding: beam search against all sequences there are, its options, sampling, forced scores, over
 * every model that the library can step; that neither rows nor beams beside one change it; CTC. */
#include "models/models.h"
#include "tests/seq2seq_test.h"

enum { ROWS = 3, WORDS = 7, H = 4, LAYERS = 2, MOST = 3 };

/* ---- models --------------------------------------------------------------------------------- */

typedef struct models {
    sg_context *g;
    sg_cell cells[LAYERS];
    sg_deep_model deep;
    sg_transformer_model transformer;
    sg_seq2seq seq2seq;
} models;

enum {
    DEEP,
    TRANSFORMER,
    DECODER,
    SEQ2SEQ,
    SEQ2SEQ_COVERED,
    SEQ2SEQ_PLAIN,
    SEQ2SEQ_HEADS,
    SEQ2SEQ_TWO,   /* sources */
    SEQ2SEQ_OWN,   /* cells */
    SEQ2SEQ_EXTRA, /* information, and a window that moves */
    STEPPERS
};

static const int lengths[ROWS] = {4, 2, 0};

static void make_models(models *m, sg_dtype dtype)
{
    sg_context *g = m->g = sg_open(.seed = 3);
    m->cells[0] = sg_lstm(g, "lstm", H, H, .dtype = dtype);
    m->cells[1] = sg_residual(sg_gru(g, "gru", H, H, .dtype = dtype));
    m->deep = (sg_deep_model){LAYERS, m->cells};
    m->deep.table = sg_embedding(g, "words", WORDS, H, .gain = 1, .dtype = dtype);
    m->deep.out = sg_linear(g, "out", H, WORDS, .dtype = dtype);
    m->transformer.table = m->deep.table;
    m->transformer.out = m->deep.out;
    m->transformer.scale = 2;
}

static sg_stepper stepper(models *m, int kind, int rows, int first, sg_dtype dtype)
{
    sg_context *g = m->g;
    make_models(m, dtype);
    g = m->g;
    if (kind == TRANSFORMER || kind == DECODER)
        m->transformer.transformer =
            sg_make_transformer(g, "t", H, 2, 2, .causal = true, .memory = kind == DECODER ? 3 : 0,
                                .dtype = dtype, .positions = kind == DECODER ? 0 : SG_ROTARY);
    if (kind >= SEQ2SEQ)
        m->seq2seq = sg_make_seq2seq(g, "s", WORDS, WORDS, 3, H, 1 + kind % 2, SG_CELL_LSTM,
                                     .no_attention = kind == SEQ2SEQ_PLAIN,
                                     .score = kind == SEQ2SEQ_PLAIN   ? SG_DOT
                                              : kind == SEQ2SEQ_HEADS ? SG_HEADS
                                                                      : SG_CONCAT,
                                     .heads = kind == SEQ2SEQ_HEADS ? 2 : 0,
                                     .coverage = kind == SEQ2SEQ_COVERED || kind == SEQ2SEQ_TWO,
                                     .sources = kind == SEQ2SEQ_TWO ? 2 : 1,
                                     .make = kind == SEQ2SEQ_OWN ? make_own : NULL,
                                     .window = kind == SEQ2SEQ_COVERED ? 2 : kind == SEQ2SEQ_EXTRA,
                                     .monotonic = kind == SEQ2SEQ_EXTRA,
                                     .extra = kind == SEQ2SEQ_EXTRA ? 2 : 0, .dtype = dtype);
    shake(g, 5);
    sg_tensor *memory =
        sequences(g, dtype, rows, 4, 3, .first = first, .lengths = lengths + first, .fill = NAN);
    int32_t source[ROWS * 4] = {4, 5, 6, 3, 6, 4, 9, 9, 9, 9, 9, 9};
    if (kind == DEEP) {
        sg_state s[LAYERS] = {
            {sequences(g, dtype, rows, .size = H, .flat = true, .first = first), NULL}};
        m->cells[1].fusion = (sg_fusion){SG_FUSE_MEAN};
        m->cells[1].z =
            sequences(g, dtype, rows, .size = H, .flat = true, .first = first, .seed = 9);
        return sg_deep_stepper(&m->deep, rows, s);
    }
    if (kind <= DECODER)
        return sg_transformer_stepper(&m->transformer, rows, kind == DECODER ? memory : NULL,
                                      lengths + first);
    sg_encoded e = encode_rows(&m->seq2seq, source + first * 4, rows, 4, lengths + first);
    return sg_seq2seq_stepper(&m->seq2seq, &e);
}

/* ---- beam search ---------------------------------------------------------------------------- */

/* log p of each sequence of up to MOST words that ends: all of them, in one forced scoring. */
typedef struct all_sequences {
    int n, length[400];
    int32_t ids[400][MOST];
    double score[400];
} all_sequences;

static void enumerate(all_sequences *s)
{
    s->n = 0;
    for (int length = 0; length <= MOST - 1; length++) {
        int count = 1;
        for (int t = 0; t < length; t++)
            count *= WORDS - 1;
        for (int i = 0; i < count; i++, s->n++) {
            s->length[s->n] = length;
            for (int t = 0, rest = i; t < length; t++, rest /= WORDS - 1) {
                int32_t id = rest % (WORDS - 1);
                s->ids[s->n][t] = id >= SG_STOP ? id + 1 : id;
            }
        }
    }
}

/* A beam that is wide enough finds the best of all, in their order. */
Test(search, a_wide_beam_finds_the_best_of_all)
{
    for (int kind = 0; kind < STEPPERS; kind++)
        for (int b = 0; b < ROWS; b++) {
            static all_sequences all;
            models m;
            enumerate(&all);
            sg_stepper s = stepper(&m, kind, 1, b, SG_F64);
            for (int i = 0; i < all.n; i++)
                all.score[i] = sg_score_of(&s, all.ids[i], all.length[i], NULL, true)[0];
            sg_hypotheses h = sg_search(&s, MOST, .width = 50, .best = 5);
            cr_assert(h.ids && h.best == 5 && h.rows == 1, "kind %d: %s", kind, sg_errmsg(m.g));
            for (int k = 0; k < 5; k++) {
                int best = 0;
                for (int i = 0; i < all.n; i++)
                    best = all.score[i] > all.score[best] ? i : best;
                cr_assert(h.lengths[k] == all.length[best], "kind %d, row %d, best %d: %d words",
                          kind, b, k, h.lengths[k]);
                cr_expect(memcmp(h.ids + k * h.most, all.ids[best],
                                 (size_t)h.lengths[k] * sizeof *h.ids) == 0);
                cr_expect(fabs(h.scores[k] - all.score[best]) < 1e-12, "%g, %g", h.scores[k],
                          all.score[best]);
                cr_expect(h.adjusted[k] == h.scores[k]);
                all.score[best] = -INFINITY;
            }
            sg_close(m.g);
        }
}

Test(search, greedy_is_a_beam_of_one)
{
    for (int kind = SEQ2SEQ; kind < STEPPERS; kind++) {
        models m;
        sg_stepper s = stepper(&m, kind, ROWS, 0, SG_F32);
        int32_t source[ROWS * 4] = {4, 5, 6, 3, 6, 4, 9, 9, 9, 9, 9, 9};
        sg_hypotheses h = sg_search(&s, 12);
        sg_greedy g = greedy_rows(&m.seq2seq, source, ROWS, 4, lengths, 12);
        cr_assert(h.ids && g.ids && h.most == g.most, "%s", sg_errmsg(m.g));
        for (int b = 0; b < ROWS; b++) {
            cr_expect(h.lengths[b] == (g.lengths[b] < 0 ? g.most : g.lengths[b]));
            for (int t = 0; t < h.lengths[b]; t++)
                cr_expect(h.ids[b * h.most + t] == g.ids[b * g.most + t], "kind %d", kind);
        }
        sg_close(m.g);
    }
}

/* A model that is sure: ten times word 4 (p = 0.9), then the end. A wide beam meets the end at
 * every step before, at a twentieth, but what goes on is better. */
static sg_tensor *sure_step(const void *model, sg_tensor *tokens, sg_tensor **states,
                            sg_tensor **weights)
{
    static const double p[] = {0.005, 0.005, 0.005, 0.05, 0.9, 0.03, 0.005},
                        end[] = {0, 0, 0, 1, 0, 0, 0};
    sg_context *g = sg_context_of(tokens);
    sg_tensor *n = states[0]; /* [rows,1] */
    states[0] = sg_add(n, sg_like(n, 1));
    sg_tensor *late = sg_relu(sg_sub(n, sg_like(n, 9)));
    (void)model;
    (void)weights;
    return sg_add(sg_log(sg_input(g, SG_F64, SG_SHAPE(7), p)),
                  sg_mul(sg_mul(late, sg_like(late, 30)), sg_input(g, SG_F64, SG_SHAPE(7), end)));
}

Test(search, ends_do_not_keep_a_better_one_from_going_on)
{
    sg_context *g = sg_open();
    for (int width = 1; width < 9; width++) {
        sg_stepper m = {g, sure_step, NULL, 2, 7, .start = SG_START, .stop = SG_STOP, .n = 1};
        m.state[0] = sg_full(g, SG_F64, SG_SHAPE(2, 1), 0);
        sg_hypotheses h = sg_search(&m, 20, .width = width, .best = width > 1 ? 2 : 1);
        cr_assert(h.ids, "%s", sg_errmsg(g));
        for (int b = 0; b < 2; b++) {
            int at = b * h.best;
            cr_expect_eq(h.lengths[at], 10, "width %d: %d words", width, h.lengths[at]);
            cr_expect(fabs(h.scores[at] - 10 * log(0.9)) < 1e-6, "width %d: %g", width,
                      h.scores[at]);
            cr_expect(width == 1 || h.adjusted[at + 1] <= h.adjusted[at]);
        }
        cr_expect(h.most <= 13, "width %d: %d steps", width, h.most);
    }
    sg_close(g);
}

static bool attends(int kind)
{
    return kind == DECODER || (kind >= SEQ2SEQ && kind != SEQ2SEQ_PLAIN);
}

static sg_hypotheses search_with(const sg_stepper *s, int kind, int way, int first)
{
    double coverage = attends(kind) ? 0.3 : 0;
    const uint64_t *seeds = (const uint64_t[]){7, 8, 9} + first;
    return way == 0 ? sg_search(s, 8, .width = 3, .best = 3)
           : way == 1
               ? sg_search(s, 8, .width = 2, .best = 2, .length_penalty = 0.6, .no_repeat = 2)
           : way == 2 ? sg_search(s, 8, 4, 3, 2, .coverage_penalty = coverage)
           : way == 3
               ? sg_sample(s, 8, .seeds = seeds)
               : sg_sample(s, 8, .temperature = 0.7, .top_k = 4, .top_p = 0.9, .seeds = seeds);
}

/* Rows alone, and together; nothing is computed twice. */
Test(search, a_row_does_not_depend_on_the_rows_beside_it)
{
    for (int kind = 0; kind < STEPPERS; kind++)
        for (int way = 0; way < 5; way++) {
            models m, one;
            sg_stepper s = stepper(&m, kind, ROWS, 0, SG_F32);
            sg_hypotheses all = search_with(&s, kind, way, 0);
            cr_assert(all.ids, "kind %d: %s", kind, sg_errmsg(m.g));
            cr_expect(sg_stats(m.g).recomputed == 0, "kind %d, way %d: %d nodes computed twice",
                      kind, way, (int)sg_stats(m.g).recomputed);
            for (int b = 0; b < ROWS; b++) {
                sg_stepper alone = stepper(&one, kind, 1, b, SG_F32);
                sg_hypotheses h = search_with(&alone, kind, way, b);
                for (int k = 0; k < h.best; k++) {
                    int at = b * all.best + k;
                    cr_assert(h.lengths[k] == all.lengths[at], "kind %d, way %d", kind, way);
                    cr_expect(memcmp(&h.scores[k], &all.scores[at], 8) == 0 &&
                                  memcmp(&h.adjusted[k], &all.adjusted[at], 8) == 0,
                              "kind %d, way %d: %.17g, %.17g", kind, way, h.scores[k],
                              all.scores[at]);
                    for (int t = 0; t < h.lengths[k]; t++)
                        cr_expect(h.ids[k * h.most + t] == all.ids[at * all.most + t]);
                }
                sg_close(one.g);
            }
            sg_close(m.g);
        }
}

/* What is forced gets the sum of what teacher forcing says. */
Test(search, forced_scores_are_label_losses)
{
    models m;
    sg_stepper s = stepper(&m, TRANSFORMER, ROWS, 0, SG_F64);
    const int32_t in[ROWS * 4] = {2, 5, 1, 6, 2, 4, 0, 0, 2, 0, 0, 0};
    const int32_t out[ROWS * 4] = {5, 1, 6, 3, 4, 3, 0, 0, 3, 0, 0, 0};
    const int n[ROWS] = {3, 1, 0}, with_stop[ROWS] = {4, 2, 1};
    sg_tensor *x = sg_take(m.transformer.table, sg_input(m.g, SG_I32, SG_SHAPE(ROWS, 4), in));
    sg_tensor *h = sg_transform(&m.transformer.transformer, sg_mul(x, sg_like(x, 2)));
    sg_tensor *logits = sg_apply(m.transformer.out, h);
    const double *scores = sg_score_of(&s, out, 4, n, true);
    cr_assert(scores, "%s", sg_errmsg(m.g));
    for (int b = 0; b < ROWS; b++) {
        sg_loss loss = sg_label_loss(sg_slice(logits, 0, b, b + 1, 1), out + 4 * b, &with_stop[b]);
        cr_expect(fabs(scores[b] + sg_item(loss.sum)) < 1e-12, "row %d", b);
    }
    sg_close(m.g);
}

static bool repeats(const int32_t *ids, int n, int k)
{
    for (int i = 0; i + k <= n; i++)
        for (int j = i + 1; j + k <= n; j++)
            if (memcmp(ids + i, ids + j, (size_t)k * sizeof *ids) == 0)
                return true;
    return false;
}

Test(search, options)
{
    for (int kind = 0; kind < STEPPERS; kind++) {
        models m;
        sg_stepper s = stepper(&m, kind, ROWS, 0, SG_F64);
        sg_hypotheses h = sg_search(&s, 6, .least = 4, .width = 4, .best = 4);
        for (int i = 0; i < ROWS * 4; i++)
            cr_expect(h.lengths[i] >= 4 && h.lengths[i] <= 6, "kind %d: %d", kind, h.lengths[i]);
        for (int k = 1; k < 4; k++) {
            int most = k == 1 ? 5 : 12;
            h = sg_search(&s, most, .least = most, .width = 3, .best = 3, .no_repeat = k);
            for (int i = 0; i < ROWS * 3; i++)
                cr_expect(h.lengths[i] < 0 || !repeats(h.ids + i * h.most, h.lengths[i], k));
        }
        const int32_t prefix[ROWS * 2] = {6, 5, 4, 0, 1, 6};
        const int prefix_lengths[ROWS] = {2, 1, 0};
        for (int sampled = 0; sampled < 2; sampled++) {
            h = sampled ? sg_sample(&s, 5, .prefix = prefix, .prefix_lengths = prefix_lengths,
                                    .prefix_time = 2)
                        : sg_search(&s, 5, .width = 3, .prefix = prefix,
                                    .prefix_lengths = prefix_lengths, .prefix_time = 2);
            for (int b = 0; b < ROWS; b++) {
                for (int t = 0; t < prefix_lengths[b]; t++)
                    cr_expect(h.ids[b * h.most + t] == prefix[b * 2 + t], "kind %d", kind);
                int n = h.lengths[b];
                const double *whole = sg_score_of(&s, h.ids, h.most, h.lengths, n < h.most);
                cr_expect(n == h.most || fabs(whole[b] - h.scores[b]) < 1e-12, "%g, %g", whole[b],
                          h.scores[b]);
            }
        }
        sg_close(m.g);
    }
}

Test(search, penalties_follow_their_formulas)
{
    models m;
    sg_stepper s = stepper(&m, SEQ2SEQ, 1, 0, SG_F64);
    sg_hypotheses h = sg_search(&s, 4, .width = 4, .best = 4, .length_penalty = 0.7);
    for (int k = 0; k < 4 && h.lengths[k] >= 0; k++) {
        double length = h.lengths[k] + (h.lengths[k] < 4); /* with the stop token, if it came */
        cr_expect(fabs(h.adjusted[k] - h.scores[k] / pow((5 + length) / 6, 0.7)) < 1e-14);
    }
    sg_tensor *w;
    h = sg_search(&s, 6, .coverage_penalty = 0.5);
    int n = h.lengths[0], steps = n < 6 ? n + 1 : n;
    int32_t source[4] = {4, 5, 6, 3}, in[8] = {SG_START};
    memcpy(in + 1, h.ids, (size_t)n * sizeof *in);
    sg_encoded e = sg_seq2seq_encode(&m.seq2seq, source, 1, 4, lengths);
    sg_seq2seq_decode(&m.seq2seq, &e, in, 1, steps, &w);
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        double covered = 0;
        for (int t = 0; t < steps; t++)
            covered += element(w, t * 4 + i);
        sum += log(fmin(covered, 1));
    }
    cr_expect(fabs(h.adjusted[0] - h.scores[0] - 0.5 * sum) < 1e-12, "%g, %g: %s", h.adjusted[0],
              h.scores[0] + 0.5 * sum, sg_errmsg(m.g));
    sg_close(m.g);
}

/* ---- the tree ------------------------------------------------------------------------------- */

/* Words 4, 5 or the stop token, with the same probabilities whatever came before. */
static sg_tensor *fixed_step(const void *model, sg_tensor *tokens, sg_tensor **states,
                             sg_tensor **weights)
{
    const double *p = model, log_p[] = {-99, -99, -99, log(p[0]), log(p[1]), log(p[2])};
    sg_context *g = sg_context_of(tokens);
    sg_tensor *x = sg_input(g, SG_F64, SG_SHAPE(1, 6), log_p);
    (void)states;
    (void)weights;
    return sg_broadcast_to(x, SG_SHAPE(sg_dim(tokens, 0), 6));
}

static const char *letter(const void *user, int32_t id)
{
    (void)user;
    return id == SG_STOP ? "." : id == 4 ? "a" : "b";
}

Test(search, the_tree_is_printed)
{
    static const char expected[] = "row 0\n"
                                   "    a  -0.6931\n"
                                   "      a  -1.3863\n"
                                   "        a  -2.0794\n"
                                   "        .  -2.5903 = -2.5903\n"
                                   "        b  -2.9957\n"
                                   "      .  -1.8971 = -1.8971\n"
                                   "      b  -2.3026\n"
                                   "  * .  -1.2040 = -1.2040\n"
                                   "    b  -1.6094\n";
    const double p[] = {0.3, 0.5, 0.2};
    sg_context *g = sg_open();
    char text[1000] = "";
    FILE *f = tmpfile();
    sg_stepper s = {g, fixed_step, p, 1, 6, .start = SG_START, .stop = SG_STOP};
    sg_hypotheses h = sg_search(&s, 3, .width = 2, .best = 2, .tree = f, .text = letter);
    cr_assert(h.ids, "%s", sg_errmsg(g));
    rewind(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    cr_expect_str_eq(text, expected);
    sg_close(g);
}

/* ---- sampling ------------------------------------------------------------------------------- */

Test(search, samples_are_as_frequent_as_they_are_probable)
{
    enum { N = 4000 };
    static const struct {
        double temperature, top_p;
        int top_k;
        double p[3]; /* of stop, 4, 5 */
    } rows[] = {{0, 0, 0, {0.2, 0.5, 0.3}},
                {1, 0, 2, {0, 0.625, 0.375}},
                {1, 0.7, 0, {0, 0.625, 0.375}},
                {1, 0.4, 0, {0, 1, 0}},
                {0.5, 0, 0, {0.04 / 0.38, 0.25 / 0.38, 0.09 / 0.38}},
                {SG_ZERO, 0, 0, {0, 1, 0}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sg_context *g = sg_open();
        sg_stepper s = {g, fixed_step, rows[0].p, N, 6, .start = SG_START, .stop = SG_STOP};
        sg_hypotheses h = sg_sample(&s, 1, .temperature = rows[i].temperature,
                                    .top_p = rows[i].top_p, .top_k = rows[i].top_k);
        int count[3] = {0};
        for (int b = 0; h.ids && b < N; b++)
            count[h.lengths[b] ? h.ids[b] - 3 : 0]++;
        for (int k = 0; k < 3; k++)
            cr_expect(fabs((double)count[k] / N - rows[i].p[k]) < 0.03, "row %d: %d of %d", (int)i,
                      count[k], k);
        sg_close(g);
    }
}

/* ---- CTC ------------------------------------------------------------------------------------ */

enum { T = 4, K = 3 };

Test(search, ctc_finds_the_labels_of_the_largest_sum)
{
    sg_context *g = sg_open();
    static const int times[ROWS] = {T, 2, 0};
    sg_tensor *x = sg_mul(sequences(g, SG_F64, ROWS, T, K, .lengths = times, .fill = NAN),
                          sg_full(g, SG_F64, SG_SCALAR, 2));
    sg_hypotheses h = sg_ctc_decode(x, times, 0, 40);
    cr_assert(h.ids, "%s", sg_errmsg(g));
    for (int b = 0; b < ROWS; b++) {
        double best = -INFINITY, total = 0;
        for (int n = 0; n <= times[b]; n++)
            for (int i = 0; i < 1 << n; i++) {
                int32_t y[T];
                int needed = n;
                for (int t = 0; t < n; t++) {
                    y[t] = 1 + (i >> t & 1);
                    needed += t && y[t] == y[t - 1];
                }
                if (needed > times[b])
                    continue;
                sg_tensor *row = sg_slice(sg_slice(x, 0, b, b + 1, 1), 1, 0, times[b], 1);
                double p = -sg_item(sg_ctc_loss(row, NULL, y, .most = n));
                best = fmax(best, p);
                total += exp(p);
            }
        cr_expect(fabs(h.scores[b * h.best] - best) < 1e-12, "row %d: %g, %g", b,
                  h.scores[b * h.best], best);
        cr_expect(fabs(total - 1) < 1e-12, "all there are");
        for (int k = 0; k < h.best && h.lengths[b * h.best + k] >= 0; k++) {
            int at = b * h.best + k;
            sg_tensor *row = sg_slice(sg_slice(x, 0, b, b + 1, 1), 1, 0, times[b], 1);
            double p = -sg_item(sg_ctc_loss(row, NULL, h.ids + at * h.most, .most = h.lengths[at]));
            cr_expect(fabs(p - h.scores[at]) < 1e-12, "row %d, %d: %g, %g", b, k, p, h.scores[at]);
            cr_expect(k == 0 || h.scores[at] <= h.scores[at - 1]);
        }
    }
    sg_close(g);
}

Test(search, ctc_takes_out_repetitions_and_blanks)
{
    sg_context *g = sg_open();
    const int path[2][6] = {{1, 1, 0, 1, 2, 2}, {0, 2, 2, 0, 0, 9}};
    const int times[2] = {6, 5};
    double v[2 * 6 * K] = {0};
    for (int i = 0; i < 12; i++)
        if (path[i / 6][i % 6] < K)
            v[i * K + path[i / 6][i % 6]] = 5;
    sg_tensor *x = tensor(g, SG_F32, SG_SHAPE(2, 6, K), v);
    for (int width = 0; width < 2; width++) {
        sg_hypotheses h = sg_ctc_decode(x, times, 0, width);
        cr_assert(h.ids && h.lengths[0] == 3 && h.lengths[1] == 1, "%s", sg_errmsg(g));
        cr_expect(h.ids[0] == 1 && h.ids[1] == 1 && h.ids[2] == 2 && h.ids[h.most] == 2);
    }
    sg_close(g);
}

/* ---- errors --------------------------------------------------------------------------------- */

static sg_tensor *wrong_step(const void *model, sg_tensor *tokens, sg_tensor **states,
                             sg_tensor **weights)
{
    (void)model;
    (void)states;
    (void)weights;
    return sg_cast(tokens, SG_F32);
}

Test(search, errors)
{
    sg_context *g = sg_open();
    const double p[] = {0.3, 0.5, 0.2};
    sg_stepper s = {g, fixed_step, p, 2, 6, .start = SG_START, .stop = SG_STOP};
    sg_stepper none = {g, NULL, .rows = 2, .classes = 6}, far = s, wrong = s, rows = s;
    far.stop = 6;
    wrong.step = wrong_step;
    REFUSES(g, sg_search(&s, 3, .width = 2, .best = 3),
            "search: the best 3 of a beam of 2, 0 to 3 tokens, no repeated 0-grams");
    REFUSES(g, sg_search(&s, 3, .width = 2, .coverage_penalty = 1),
            "search: a coverage penalty, but the model attends to nothing");
    REFUSES(g, sg_search(&none, 3),
            "a stepper of 2 rows, 6 classes, 0 states of which 0 are fixed, without a step");
    REFUSES(g, sg_search(&far, 3), "tokens 2 and 6 for start and stop are not of 6 classes");
    REFUSES(g, sg_search(&wrong, 3), "search: a step's logits are not [rows, 6]");
    rows.n = 1;
    rows.state[0] = sg_full(g, SG_F32, SG_SHAPE(3, 1), 0);
    REFUSES(g, sg_search(&rows, 3), "search: state 0 is not of 2 rows");
    REFUSES(g, sg_search(&s, 3, .prefix = (int32_t[]){4, SG_STOP}, .prefix_time = 1),
            "token 0 of the prefix of row 1 is 3");
    REFUSES(g, sg_sample(&s, 3, .temperature = -1),
            "sample: a temperature of -1, the first 0 or 0 of all, 3 tokens");
    none = s;
    none.stop = -1;
    REFUSES(g, sg_score_of(&none, (int32_t[]){4, 4}, 1, NULL, true),
            "score: no token ends the model's sequences");
    REFUSES(g, sg_ctc_decode(sg_full(g, SG_F32, SG_SHAPE(2, 3), 0), NULL, 0, 0),
            "ctc decode: logits have 2 axes, not [batch, time, classes]");
    REFUSES(g, sg_ctc_decode(sg_full(g, SG_F32, SG_SHAPE(1, 2, 3), 0), NULL, 3, 0),
            "a blank of 3 of 3 classes, a beam of 0");
    FILE *full = fopen("/dev/full", "w");
    REFUSES(g, sg_search(&s, 3, .tree = full), "search: the tree could not be written");
    fclose(full);
    sg_close(g);
}
