/* Encoder, decoder, attention and greedy decoding together, in all their configurations. */
#include "models/models.h"
#include "tests/seq2seq_test.h"

enum { BATCH = 3, SOURCE = 4, TARGET = 3, WORDS = 9, EMBED = 3, HIDDEN = 4 };

static const int32_t source[BATCH * SOURCE] = {4, 5, 8, 3, 6, 3, 0, 0, 7, 0, 0, 0};
static const int source_lengths[BATCH] = {4, 2, 0};
static const int32_t target_in[BATCH * TARGET] = {2, 5, 0, 2, 7, 8, 2, 0, 0};
static const int32_t target_out[BATCH * TARGET] = {5, 3, 0, 7, 8, 3, 3, 0, 0};
static const int target_lengths[BATCH] = {2, 3, 1};

static const sg_batch batch = {.size = BATCH,
                               .source_time = SOURCE,
                               .target_time = TARGET,
                               .source = source,
                               .source_lengths = source_lengths,
                               .target_in = target_in,
                               .target_out = target_out,
                               .target_lengths = target_lengths,
                               .tokens = 6};

/* All cells, scores, ways to attend and to feed, with one layer to three; and some in which the
 * context, the encoder and the readout are others. */
enum { REGULAR = 3 * 5 * 2 * 2, CONFIGURATIONS = REGULAR + OTHERS };
typedef struct configuration {
    char name[96];
    sg_seq2seq_options o;
} configuration;

static configuration configure(int k)
{
    if (k >= REGULAR) {
        configuration c = {.o = other_options(k - REGULAR, WORDS, EMBED, HIDDEN)};
        snprintf(c.name, sizeof c.name, "%s", other_models[k - REGULAR].name);
        return c;
    }
    static const char *const cells[] = {"rnn", "gru", "lstm"};
    static const char *const scores[] = {"dot", "scaled dot", "general", "concat", "none"};
    configuration c = {.o = {.name = "m",
                             .source_count = WORDS,
                             .target_count = WORDS,
                             .embed = EMBED,
                             .hidden = HIDDEN,
                             .layers = 1 + (k / 4 + k) % 3}};
    c.o.input_feeding = k / 2 % 2;
    c.o.cell = (sg_cell_kind)(k / 4 % 3);
    c.o.no_attention = k / 12 == 4;
    c.o.post = k % 2 && !c.o.no_attention;
    c.o.score = c.o.no_attention ? SG_DOT : (sg_score)(k / 12);
    c.o.reset = k / 12 % 2 ? SG_RESET_AFTER : SG_RESET_BEFORE;
    snprintf(c.name, sizeof c.name, "%s, attention %s, %s, %s, %d layers", cells[c.o.cell],
             scores[k / 12], c.o.post ? "post" : "pre",
             c.o.input_feeding ? "feeding" : "no feeding", c.o.layers);
    return c;
}

static sg_seq2seq make(sg_context *g, configuration c, sg_dtype dtype)
{
    c.o.g = g;
    c.o.dtype = dtype;
    sg_seq2seq m = sg_make_seq2seq_(c.o);
    shake(g, 1);
    cr_assert(sg_ok(g), "%s: %s", c.name, sg_errmsg(g));
    return m;
}

/* ---- training ------------------------------------------------------------------------------- */

Test(seq2seq, shapes)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        configuration c = configure(k);
        sg_context *g = sg_open();
        sg_seq2seq m = make(g, c, SG_F32);
        bool none = c.o.post || c.o.context == SG_CONTEXT_STATE;
        bool both = !c.o.one_way && c.o.merge == SG_FUSE_CONCAT;
        cr_assert_eq(m.encoder[0].forward[0].hidden, both ? HIDDEN / 2 : HIDDEN,
                     "%s: units of the encoder", c.name);
        sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
        int context = (int)sg_dim(e.context, 1);
        int token = c.o.embed +
                    (c.o.fuse == SG_FUSE_CONCAT && c.o.fuse_at == SG_FUSE_INPUT ? c.o.extra : 0);
        int first = token + (none ? 0 : context) + (c.o.input_feeding ? HIDDEN : 0);
        cr_assert_eq(m.decoder[0].in, first, "%s: inputs of the decoder", c.name);
        bool wide = c.o.sources == 2 && context == 2 * HIDDEN && c.o.join == SG_FUSE_CONCAT;
        has_shape(e.context, SG_SHAPE(BATCH, wide ? 2 * HIDDEN : HIDDEN), c.name);
        has_shape(e.feed, SG_SHAPE(BATCH, HIDDEN), c.name);
        for (int l = 0; l < c.o.layers; l++) {
            has_shape(e.state[l].h, SG_SHAPE(BATCH, HIDDEN), c.name);
            cr_assert_eq(e.state[l].c != NULL, m.decoder[l].states > 1, "%s", c.name);
        }
        sg_tensor *weights;
        sg_tensor *logits = sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, &weights);
        has_shape(logits, SG_SHAPE(BATCH, TARGET, WORDS), c.name);
        if (c.o.no_attention) {
            cr_assert_null(weights, "%s", c.name);
        } else {
            int width = width_of(&m, source, BATCH, SOURCE, source_lengths);
            has_shape(weights, SG_SHAPE(BATCH, TARGET, width), c.name);
            for (int i = 0; i < BATCH * TARGET; i++) {
                double sum = 0;
                for (int s = 0; s < SOURCE; s++)
                    sum += element(weights, i * width + s);
                cr_assert(c.o.window || fabs(sum - (source_lengths[i / TARGET] > 0)) < 1e-6,
                          "%s: weights sum %g", c.name, sum);
            }
        }
        sg_close(g);
    }
}

/* Each cell with each way to attend and feed; the scores take turns. The other ones to the second
 * order by turns. */
Test(seq2seq, gradients_to_the_second_order)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        if (k < REGULAR && (k / 12 + k % 12) % 5 != 0)
            continue;
        configuration c = configure(k);
        sg_context *g = sg_open();
        sg_seq2seq m = make(g, c, SG_F64);
        sg_tensor *loss = loss_of(&m, &batch, 0.1).mean, *all[MOST_LEAVES];
        int n = leaves(g, 0, NULL, all);
        sg_gradcheck_result r =
            sg_gradcheck(loss, n, all, .order = k < REGULAR || k % 3 == 0 ? 2 : 1);
        cr_assert(r.ok, "%s: %s: errors %g and %g, worst at \"%s\", element %lld", c.name,
                  sg_errmsg(g), r.error[0], r.error[1], sg_name(all[r.input]),
                  (long long)r.element);
        sg_close(g);
    }
}

/* The loss is that of all logits, of which those of real tokens are computed. */
Test(seq2seq, no_logits_are_computed_of_padding)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        configuration c = configure(k);
        sg_context *g = sg_open();
        sg_seq2seq m = make(g, c, SG_F64);
        sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
        sg_tensor *logits = sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, NULL);
        sg_loss all = sg_label_loss(logits, target_out, target_lengths, 0.1);
        sg_loss real = loss_of(&m, &batch, 0.1);
        cr_expect_float_eq(sg_item(real.sum), sg_item(all.sum), 1e-12, "%s", c.name);
        cr_expect_eq(real.tokens, all.tokens);
        sg_reset(g);
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        sg_dump(f, 1, &(sg_tensor *){loss_of(&m, &batch, 0).sum});
        fclose(f);
        cr_expect(strstr(text, ": f64[1,6,9]") && !strstr(text, ": f64[3,3,9]"), "%s", c.name);
        free(text);
        sg_close(g);
    }
}

/* Whatever stands behind a length, ids that do not exist included. */
Test(seq2seq, padding_changes_no_bit)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        configuration c = configure(k);
        sg_context *g = sg_open();
        sg_seq2seq m = make(g, c, SG_F32);
        int32_t dirty[3][BATCH * SOURCE];
        memcpy(dirty[0], source, sizeof source);
        memcpy(dirty[1], target_in, sizeof target_in);
        memcpy(dirty[2], target_out, sizeof target_out);
        for (int i = 0; i < BATCH * SOURCE; i++)
            if (i % SOURCE >= source_lengths[i / SOURCE])
                dirty[0][i] = k % 2 ? -7 : INT32_MAX;
        for (int i = 0; i < BATCH * TARGET; i++)
            if (i % TARGET >= target_lengths[i / TARGET])
                dirty[1][i] = dirty[2][i] = k % 2 ? INT32_MIN : 12345;
        sg_batch b = batch;
        b.source = dirty[0];
        b.target_in = dirty[1];
        b.target_out = dirty[2];
        sg_tensor *all[MOST_LEAVES], *grads[2][MOST_LEAVES];
        int n = leaves(g, 0, NULL, all);
        sg_loss clean = loss_of(&m, &batch, 0), other = loss_of(&m, &b, 0);
        sg_grad(clean.mean, n, all, grads[0]);
        sg_grad(other.mean, n, all, grads[1]);
        same_bits(other.sum, clean.sum, c.name);
        for (int i = 0; i < n; i++)
            same_bits(grads[1][i], grads[0][i], c.name);
        sg_close(g);
    }
}

/* A sentence alone, without padding, gives the bits that it gives in a batch. */
Test(seq2seq, rows_do_not_meet)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        configuration c = configure(k);
        sg_context *g = sg_open();
        sg_seq2seq m = make(g, c, SG_F32);
        sg_tensor *weights, *w;
        sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
        sg_tensor *all = sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, &weights);
        for (int b = 0; b < BATCH; b++) {
            int n = source_lengths[b], t = target_lengths[b];
            e = encode_rows(&m, source + b * SOURCE, 1, n, NULL);
            sg_tensor *one = sg_seq2seq_decode(&m, &e, target_in + b * TARGET, 1, t, &w);
            same_part(one, 0, all, b * TARGET * WORDS, t * WORDS, c.name);
            for (int i = 0; i < t && w && n; i++)
                same_part(w, i * sg_dim(w, 2), weights, (b * TARGET + i) * sg_dim(weights, 2), n,
                          c.name);
        }
        sg_close(g);
    }
}

/* How often a graph draws. */
static int draws(sg_tensor *y)
{
    char line[512];
    int n = 0;
    FILE *f = tmpfile();
    sg_dump(f, 1, &y);
    rewind(f);
    while (fgets(line, sizeof line, f))
        n += strstr(line, "= random_uniform") != NULL;
    fclose(f);
    return n;
}

/* The inputs of all layers, encoder and decoder, and the readout; at each step where the decoder
 * goes step by step. */
Test(seq2seq, dropout_is_everywhere)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        configuration c = configure(k);
        sg_context *g = sg_open();
        c.o.dropout = 0.5;
        sg_seq2seq m = make(g, c, SG_F32);
        cr_assert_eq(draws(loss_of(&m, &batch, 0).sum), 0, "%s: not trained", c.name);
        sg_train(g, true);
        bool together = (c.o.post || c.o.no_attention) && !c.o.input_feeding && !c.o.coverage;
        int expected =
            c.o.layers * m.o.sources + 1 + (c.o.layers - 1) * (together ? 1 : TARGET) + 1;
        int n = draws(loss_of(&m, &batch, 0).sum);
        cr_assert_eq(n, expected, "%s: draws %d times, not %d", c.name, n, expected);
        sg_close(g);
    }
}

/* Of states: a mask for each cell's sequence, or one for each step; zoneout of h, and of c. */
Test(seq2seq, states_are_dropped_and_kept)
{
    for (int k = 0; k < 4; k++) {
        configuration c = configure(k % 2 ? 3 : 0); /* all at once, and step by step */
        sg_context *g = sg_open();
        c.o.cell = SG_CELL_LSTM;
        c.o.layers = 1;
        c.o.state_dropout = k < 2 ? 0.5 : 0;
        c.o.variational = true;
        c.o.zoneout = k < 2 ? 0 : 0.5;
        sg_seq2seq m = make(g, c, SG_F32);
        cr_expect_eq(draws(loss_of(&m, &batch, 0).sum), 0, "not trained");
        sg_train(g, true);
        int n = draws(loss_of(&m, &batch, 0).sum);
        int expected = k < 2 ? 3 : 2 * (2 * SOURCE + TARGET) - 1; /* the last c is not read */
        cr_expect_eq(n, expected, "%d: draws %d times, not %d", k, n, expected);
        sg_train(g, false);
        greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 5);
        cr_expect(sg_ok(g), "%s", sg_errmsg(g));
        sg_close(g);
    }
}

Test(seq2seq, dropout_in_training_only)
{
    for (int k = 0; k < CONFIGURATIONS; k += 7) {
        configuration c = configure(k);
        sg_context *g = sg_open();
        sg_seq2seq plain = make(g, c, SG_F32);
        c.o.dropout = 0.5;
        sg_seq2seq m = make(g, c, SG_F32);
        double loss = sg_item(loss_of(&plain, &batch, 0).sum);
        cr_expect_eq(sg_item(loss_of(&m, &batch, 0).sum), loss, "%s", c.name);
        sg_train(g, true);
        double a = sg_item(loss_of(&m, &batch, 0).sum);
        sg_reset(g);
        double b = sg_item(loss_of(&m, &batch, 0).sum);
        cr_expect(a != loss && b != a, "%s: losses %g, %g, %g", c.name, loss, a, b);
        sg_greedy r = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 5);
        sg_train(g, false);
        sg_greedy s = greedy_rows(&plain, source, BATCH, SOURCE, source_lengths, 5);
        cr_assert_eq(r.most, s.most, "%s", c.name);
        cr_assert(!memcmp(r.ids, s.ids, sizeof *r.ids * (size_t)(BATCH * r.most)),
                  "%s: decoding drops nothing", c.name);
        sg_train(g, true);
        greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 1);
        cr_expect(sg_training(g), "%s: decoding leaves the mode as it was", c.name);
        sg_close(g);
    }
}

/* ---- greedy decoding ------------------------------------------------------------------------ */

/* The tokens are those that teacher forcing with them finds most probable, with its weights. */
Test(seq2seq, greedy_follows_its_own_tokens)
{
    enum { MOST = 6 };
    for (int k = 0; k < CONFIGURATIONS; k++) {
        configuration c = configure(k);
        sg_context *g = sg_open();
        sg_seq2seq m = make(g, c, k % 3 ? SG_F32 : SG_F64);
        uint64_t recomputed = sg_stats(g).recomputed;
        sg_greedy r = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, MOST);
        cr_assert(sg_ok(g) && r.ids && r.most > 0 && r.most <= MOST, "%s: %s", c.name,
                  sg_errmsg(g));
        cr_assert_eq(sg_stats(g).recomputed, recomputed, "%s: nothing is computed twice", c.name);
        cr_assert_eq(r.weights == NULL, c.o.no_attention, "%s", c.name);
        int32_t before[BATCH * MOST];
        for (int i = 0; i < BATCH * r.most; i++)
            before[i] = i % r.most ? r.ids[i - 1] : SG_START;
        sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
        sg_tensor *w, *logits = sg_seq2seq_decode(&m, &e, before, BATCH, r.most, &w);
        sg_tensor *best = sg_argmax(logits, -1, false);
        for (int i = 0; i < BATCH * r.most; i++) {
            int n = r.lengths[i / r.most], t = i % r.most;
            int32_t expected = t > n ? SG_PAD : (int32_t)element(best, i);
            cr_assert_eq(r.ids[i], expected, "%s: row %d, step %d: %d, not %d", c.name, i / r.most,
                         t, (int)r.ids[i], (int)expected);
            cr_assert(t != n || r.ids[i] == SG_STOP, "%s: a row ends with the stop token", c.name);
            cr_assert(t >= n || r.ids[i] != SG_STOP, "%s: and only there", c.name);
            for (int s = 0, all = r.weights ? (int)sg_dim(w, 2) : 0; s < all; s++)
                cr_assert_eq(r.weights[i * all + s], t > n ? 0 : (float)element(w, i * all + s),
                             "%s: weights", c.name);
        }
        sg_close(g);
    }
}

Test(seq2seq, greedy_alone_or_in_a_batch)
{
    enum { MOST = 8 };
    for (int k = 0; k < CONFIGURATIONS; k++) {
        configuration c = configure(k);
        sg_context *g = sg_open();
        sg_seq2seq m = make(g, c, SG_F32);
        sg_greedy all = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, MOST);
        int width = width_of(&m, source, BATCH, SOURCE, source_lengths);
        for (int b = 0; b < BATCH; b++) {
            int time = source_lengths[b], own = width_of(&m, source + b * SOURCE, 1, time, NULL);
            sg_greedy one = greedy_rows(&m, source + b * SOURCE, 1, time, NULL, MOST);
            int n = all.lengths[b], steps = n < all.most ? n + 1 : n;
            cr_assert(sg_ok(g), "%s: %s", c.name, sg_errmsg(g));
            cr_assert_eq(one.lengths[0], n, "%s: row %d", c.name, b);
            cr_assert_eq(one.most, steps, "%s: row %d goes on after its end", c.name, b);
            for (int t = 0; t < steps; t++) {
                cr_assert_eq(one.ids[t], all.ids[b * all.most + t], "%s: row %d", c.name, b);
                for (int s = 0; one.weights && s < time; s++)
                    cr_assert_eq(one.weights[t * own + s],
                                 all.weights[(b * all.most + t) * width + s], "%s", c.name);
            }
        }
        sg_close(g);
    }
}

Test(seq2seq, greedy_of_little)
{
    sg_context *g = sg_open();
    sg_seq2seq m = make(g, configure(5), SG_F32);
    sg_greedy r = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 0);
    cr_expect(sg_ok(g) && r.ids && r.most == 0, "no step: %s", sg_errmsg(g));
    for (int b = 0; b < BATCH; b++)
        cr_expect_eq(r.lengths[b], 0);
    r = greedy_rows(&m, source, 0, SOURCE, source_lengths, 5);
    cr_expect(sg_ok(g) && r.ids && r.most == 0, "no row: %s", sg_errmsg(g));
    r = greedy_rows(&m, source, BATCH, 0, NULL, 5);
    cr_expect(sg_ok(g) && r.ids && r.most > 0, "no source token: %s", sg_errmsg(g));
    cr_expect_eq(r.ids[0], r.ids[r.most], "all rows are alike then");
    /* a model that stops at once, and one that never does */
    float bias[WORDS] = {0};
    bias[SG_STOP] = 100;
    sg_set(m.out.b, bias);
    r = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 5);
    cr_expect(r.most == 1 && r.ids[0] == SG_STOP && r.lengths[0] == 0, "stops at once");
    bias[SG_STOP] = -100;
    sg_set(m.out.b, bias);
    r = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 70);
    cr_expect(r.most == 70 && r.lengths[0] == 70 && r.lengths[2] == 70, "never stops");
    sg_close(g);
}

/* ---- cells of all kinds --------------------------------------------------------------------- */

static sg_cell make_wrong(sg_cell_options o)
{
    o.hidden++;
    return sg_rnn_(o);
}

static sg_cell make_dropping(sg_cell_options o)
{
    o.dropout = 0.5;
    return sg_rnn_(o);
}

static sg_cell make_gru(sg_cell_options o)
{
    return sg_gru_(o);
}

/* A function that makes cells finds what it needs. */
static sg_cell make_with(sg_cell_options o)
{
    o.forget_bias = *(const double *)o.user;
    return sg_lstm_(o);
}

Test(seq2seq, what_makes_cells_has_its_own_options)
{
    static const double bias = 3;
    sg_context *g = sg_open();
    configuration c = configure(REGULAR);
    c.o.make = make_with;
    c.o.user = &bias;
    c.o.g = g;
    sg_seq2seq m = sg_make_seq2seq_(c.o);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    cr_expect_eq(element(m.decoder[0].b, HIDDEN), bias);
    cr_expect_eq(element(m.encoder[0].forward[0].b, HIDDEN / 2), bias);
    sg_close(g);
}

/* What is asked of all cells is done to one's own, too, whatever its maker knows of it. */
Test(seq2seq, zoneout_of_own_cells)
{
    sg_context *g = sg_open();
    configuration c = configure(REGULAR);
    c.o.make = make_own;
    c.o.zoneout = 0.25;
    c.o.state_dropout = 0.5;
    c.o.variational = true;
    sg_seq2seq m = make(g, c, SG_F32);
    const sg_cell *cells[] = {&m.encoder[0].forward[0], &m.encoder[0].backward[0], &m.decoder[0]};
    for (int i = 0; i < 3; i++)
        cr_expect(cells[i]->zoneout == 0.25 && cells[i]->state_dropout == 0.5 &&
                      cells[i]->variational,
                  "cell %d", i);
    double kept = sg_item(loss_of(&m, &batch, 0).sum);
    for (int i = 0; i < c.o.layers; i++)
        m.encoder[0].forward[i].zoneout = m.encoder[0].backward[i].zoneout = m.decoder[i].zoneout =
            0;
    double mixed = sg_item(loss_of(&m, &batch, 0).sum);
    cr_expect(fabs(kept - mixed) > 1e-3, "%g, %g: %s", kept, mixed, sg_errmsg(g));
    sg_close(g);
}

/* A kind is nothing but a function that makes it. */
Test(seq2seq, a_kind_is_what_makes_it)
{
    sg_context *g = sg_open();
    configuration c = configure(REGULAR);
    c.o.cell = SG_CELL_GRU;
    sg_seq2seq kind = make(g, c, SG_F32);
    c.o.make = make_gru;
    c.o.cell = SG_CELL_RNN;
    sg_seq2seq made = make(g, c, SG_F32);
    same_bits(loss_of(&kind, &batch, 0).sum, loss_of(&made, &batch, 0).sum, "GRU");
    sg_close(g);
}

/* ---- what is wrong -------------------------------------------------------------------------- */

Test(seq2seq, errors)
{
    sg_context *g = sg_open();
#define MAKE(...) sg_make_seq2seq(g, "m", .source_count = 9, .target_count = 9, __VA_ARGS__)
    REFUSES(g, sg_make_seq2seq(g, "m", .source_count = 9),
            "seq2seq \"m\": vocabularies of 9 and 0 tokens");
    REFUSES(g, MAKE(.hidden = 5),
            "seq2seq \"m\": embeddings of 128 features, 5 hidden units, half "
            "of them of each direction");
    REFUSES(g, MAKE(.embed = -1), "seq2seq \"m\": embeddings of -1 features, 256 hidden units");
    REFUSES(g, MAKE(.layers = 9), "seq2seq \"m\": 9 layers are not in 1..8");
    REFUSES(g, MAKE(.cell = (sg_cell_kind)3), "seq2seq \"m\": no such cell (3)");
    REFUSES(g, MAKE(.context = SG_CONTEXT_STATE),
            "seq2seq \"m\": the context of attention is no initial state (1)");
    REFUSES(g, MAKE(.context = (sg_context_use)3, .no_attention = true), "initial state (3)");
    REFUSES(g, MAKE(.summary = (sg_summary)4), "seq2seq \"m\": no such summary (4) or bridge (0)");
    REFUSES(g, MAKE(.bridge = (sg_bridge)3), "seq2seq \"m\": no such summary (0) or bridge (3)");
    REFUSES(g, MAKE(.coverage_loss = -1), "seq2seq \"m\": a coverage loss of -1 times");
    REFUSES(g, MAKE(.coverage_loss = 1, .no_attention = true), "coverage_loss without attention");
    REFUSES(g, MAKE(.post = true, .no_attention = true), "seq2seq \"m\": post without attention");
    REFUSES(g, MAKE(.score = SG_GENERAL, .no_attention = true), "score without attention");
    REFUSES(g, MAKE(.merge = SG_FUSE_ADD, .one_way = true), "merge without two directions");
    REFUSES(g, MAKE(.join = SG_FUSE_ADD), "join without several sources");
    REFUSES(g, MAKE(.fuse = SG_FUSE_ADD), "fuse without extra information");
    REFUSES(g, sg_make_seq2seq(g, NULL, 9, 9), "a name is needed");
    REFUSES(g, MAKE(.merge = (sg_fusion_kind)5), "no such way to merge directions (5)");
    REFUSES(g, sg_make_seq2seq(g, "w", 9, 9, .make = make_wrong),
            "the cell \"forward0\" has 129 units and 1 states, not 128");
    REFUSES(g, sg_make_seq2seq(g, "d", 9, 9, .make = make_dropping),
            "seq2seq \"d\": the decoder's first cell has a dropout of inputs of its own");
    REFUSES(g, MAKE(.sources = 5), "seq2seq \"m\": 5 sources are not in 1..4");
    REFUSES(g, MAKE(.sources = 2, .join = (sg_fusion_kind)5), "no such way to join sources (5)");
    REFUSES(g, MAKE(.sources = 2, .hidden = 4, .bridge = SG_BRIDGE_NONE),
            "seq2seq \"m\": summaries of 8 features are no state of 4");
    REFUSES(g, MAKE(.extra = 2, .fuse = (sg_fusion_kind)5),
            "no such way (5) or place (0) to fuse z of 2 features");
    REFUSES(g, MAKE(.extra = 2, .fuse_at = (sg_fuse_place)3), "no such way (0) or place (3)");
    REFUSES(g, MAKE(.extra = -1), "to fuse z of -1 features");
    REFUSES(g, MAKE(.extra = 2, .fuse_at = SG_FUSE_STATE),
            "seq2seq \"m\": a state of 256 features with z of 2 is none of 256");
    REFUSES(g, sg_make_seq2seq(g, "z", 9, 9, .extra = 2, .fuse = SG_FUSE_MEAN),
            "fusion \"fusion\": h has 128 features, z 2: they do not add");
    REFUSES(g, sg_make_seq2seq(g, "m1", 9, 9, .monotonic = true),
            "a monotonic window of 0 elements");
    REFUSES(g, MAKE(.tied = true), "embeddings of 128 features are no output layer of 256 units");
    REFUSES(g, MAKE(.dropout = 1.5), "seq2seq \"m\": dropout: a probability of 1.5");
    REFUSES(g, sg_make_seq2seq(g, "n", 9, 9, .hidden = 4, .score = (sg_score)8),
            "attention \"attention\": no such score (8)");
    sg_seq2seq bad = MAKE(.hidden = 5), m;
    sg_loss loss = sg_seq2seq_loss(&bad, &batch, 0);
    cr_expect(sg_is_nil(loss.mean) && sg_is_nil(loss.sum), "a bad model is inert");
    cr_expect_null(sg_seq2seq_greedy(&bad, source, 1, 4, NULL, 3).ids);
    sg_clear(g);

    configuration c = configure(0);
    c.o.name = "o";
    m = make(g, c, SG_F32);
    sg_encoded e;
#define ENCODE(...) sg_seq2seq_encode(&m, __VA_ARGS__)
    REFUSES(g, ENCODE(source, BATCH, 3, source_lengths),
            "encoder: length 4 of row 0 is not in 0..3");
    REFUSES(g, ENCODE(NULL, BATCH, SOURCE, NULL),
            "encoder: no ids: 3 sequences of 4 tokens at NULL");
    REFUSES(g, ENCODE(source, -1, SOURCE, NULL), "encoder: no ids: -1 sequences of 4 tokens");
    REFUSES(g, sg_eval(ENCODE(((int32_t[]){9}), 1, 1, NULL).context), "encoder: take: index 9");
    e = ENCODE(source, BATCH, SOURCE, NULL);
    REFUSES(g, sg_seq2seq_decode(&m, &e, target_in, 2, TARGET, NULL), "decoder: ");
    e = ENCODE(source, BATCH, SOURCE, NULL);
    REFUSES(g, sg_seq2seq_decode(&m, &e, NULL, BATCH, TARGET, NULL), "decoder: no ids");
    sg_batch b = batch;
    b.target_lengths = (int[]){1, 4, 1};
    REFUSES(g, loss_of(&m, &b, 0), "decoder: length 4 of row 1 is not in 0..3");
    REFUSES(g, greedy_rows(&m, source, BATCH, SOURCE, source_lengths, -1),
            "greedy: -1 tokens at most");
    REFUSES(g, sg_seq2seq_greedy(&m, (int32_t[]){77}, 1, 1, NULL, 3), "take");
    cr_expect(!sg_training(g));

    m = sg_make_seq2seq(g, "extra", 9, 9, .hidden = 4, .extra = 2);
    REFUSES(g, sg_seq2seq_loss(&m, &batch, 0),
            "decoder: extra information of 2 features is not given");
    e = ENCODE(source, BATCH, SOURCE, NULL);
    REFUSES(g, sg_seq2seq_stepper(&m, &e), "extra information of 2 features is not given");
    e = ENCODE(source, BATCH, SOURCE, NULL);
    e.z = sg_full(g, SG_F32, SG_SHAPE(BATCH, 3), 0);
    REFUSES(g, sg_seq2seq_greedy_from(&m, &e, 3), "h has 128 features and z 3, not 128 and 2");

    m = sg_make_seq2seq(g, "two", 9, 9, .hidden = 4, .sources = 2);
    REFUSES(g, ENCODE(source, BATCH, SOURCE, NULL), "encoder: one source, of a model of 2");
    REFUSES(g, sg_seq2seq_loss(&m, &batch, 0), "a batch of one source, a model of 2");
    sg_close(g);
}
