/*
 * Sequence to sequence beyond test_seq2seq.c: gradients from f32 parameters, all orders of rows on
 * all kernels, the two ways of decoding with true tokens, plans of greedy decoding. White box: the
 * step of the decoder is called by itself.
 */
#include "models/models.h"
#include "models/internal.h"
#include "tests/decoding_test.h"

/* ---- gradients ------------------------------------------------------------------------------ */

/* All to the first order, every fifth to the second; with dropout the draws are part of the
 * function.
 */
Test(decoding, gradients_from_f32_parameters)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        const char *name;
        sg_context *g = sg_open();
        sg_seq2seq_options o = configuration(k, &name);
        o.dropout = k % 2 ? 0.3 : 0;
        sg_seq2seq m = make(g, o);
        sg_train(g, true);
        sg_tensor *loss = loss_of(&m, &batch, 0.1).mean, *xs[MOST_LEAVES];
        int n = leaves(g, 0, NULL, xs);
        sg_gradcheck_result r = sg_gradcheck(loss, n, xs, .order = k % 5 ? 1 : 2);
        cr_assert(r.ok, "%s: errors %g, %g, worst at \"%s\", element %d: %s", name, r.error[0],
                  r.error[1], sg_name(xs[r.input]), (int)r.element, sg_errmsg(g));
        sg_close(g);
    }
}

/* What was attended to is carried from step to step, in training and in decoding. */
Test(decoding, coverage_and_windows)
{
    for (int k = 0; k < 8; k++) {
        sg_context *g = sg_open();
        sg_seq2seq_options o = small_options();
        o.score = SG_CONCAT;
        o.post = k & 1;
        o.coverage = (k & 6) != 2;
        o.window = k & 2 ? 1 : 0;
        o.input_feeding = k & 4;
        sg_seq2seq m = make(g, o);
        sg_tensor *loss = loss_of(&m, &batch, 0).mean, *xs[MOST_LEAVES];
        int n = leaves(g, 0, NULL, xs);
        sg_gradcheck_result r = sg_gradcheck(loss, n, xs);
        cr_assert(r.ok, "way %d: %g at \"%s\": %s", k, r.error[0], sg_name(xs[r.input]),
                  sg_errmsg(g));
        uint64_t before = sg_stats(g).recomputed;
        sg_greedy all = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 4);
        cr_expect(sg_stats(g).recomputed == before, "way %d: %s", k, sg_errmsg(g));
        for (int b = 0; b < BATCH; b++) {
            int length = source_lengths[b];
            sg_greedy one = greedy_rows(&m, source + b * SOURCE, 1, length, NULL, 4);
            cr_assert(one.lengths && one.lengths[0] == all.lengths[b], "way %d", k);
            for (int t = 0; t < all.lengths[b]; t++)
                for (int s = 0; s < length; s++)
                    cr_expect(one.weights[t * length + s] ==
                              all.weights[(b * all.most + t) * SOURCE + s]);
        }
        sg_close(g);
    }
}

/* In training what was looked at again costs something, by its formula; behind a length nothing. */
Test(decoding, coverage_loss)
{
    for (int k = 0; k < 6; k++) {
        sg_context *g = sg_open();
        sg_seq2seq_options o = small_options();
        o.dtype = SG_F64;
        o.post = k & 1;
        o.score = SG_CONCAT;
        o.coverage = k & 2;
        o.sources = k & 4 ? 2 : 1;
        o.coverage_loss = 0.7;
        sg_seq2seq m = make(g, o);
        sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
        sg_tensor *w;
        sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, &w);
        int width = (int)sg_dim(w, 2);
        double plain = sg_item(loss_of(&m, &batch, 0.1).sum), cost = 0;
        for (int i = 0; i < BATCH * width; i++) {
            double covered = 0;
            for (int t = 0; t < target_lengths[i / width]; t++) {
                double a = element(w, (i / width * TARGET + t) * width + i % width);
                cost += fmin(a, covered);
                covered += a;
            }
        }
        sg_train(g, true);
        sg_loss loss = loss_of(&m, &batch, 0.1), sampled = sampled_loss_of(&m, &batch, 0.1, 1);
        double expected = plain + 0.7 * cost;
        cr_expect(cost > 0.1 && fabs(sg_item(loss.sum) - expected) < 1e-12, "way %d: %g, %g", k,
                  sg_item(loss.sum), expected);
        cr_expect(fabs(sg_item(loss.mean) - expected / (double)loss.tokens) < 1e-12);
        cr_expect(fabs(sg_item(sampled.sum) - expected) < 1e-12, "sampled");
        check_gradients(loss.mean, 0, NULL, "coverage loss");
        sg_close(g);
    }
}

/* Greedy decoding does not go on behind a stop token, sampling does: there must be none. */
static void do_not_stop(const sg_seq2seq *m)
{
    double b[WORDS];
    sg_tensor *bias = sg_find(m->o.g, "m.out.b");
    memcpy(b, sg_data(bias), sizeof b);
    b[SG_STOP] -= 8;
    sg_set(bias, b);
}

/* Always the truth is teacher forcing; never is free running: what was decoded greedily goes in. */
Test(decoding, scheduled_sampling)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        const char *name;
        sg_seq2seq m = open_configuration(k, SG_F64, &name);
        sg_context *g = m.o.g;
        do_not_stop(&m);
        double plain = sg_item(loss_of(&m, &batch, 0.1).mean);
        cr_expect(fabs(sg_item(sampled_loss_of(&m, &batch, 0.1, 0).mean) - plain) < 1e-13,
                  "out of training");
        sg_train(g, true);
        cr_expect(fabs(sg_item(sampled_loss_of(&m, &batch, 0.1, 1).mean) - plain) < 1e-13, "%s: %s",
                  name, sg_errmsg(g));
        sg_greedy free_run = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, TARGET);
        int32_t in[BATCH * TARGET];
        for (int b = 0; b < BATCH; b++)
            cr_assert(free_run.lengths[b] == TARGET, "%s: %s", name, sg_errmsg(g));
        for (int i = 0; i < BATCH * TARGET; i++)
            in[i] = i % TARGET ? free_run.ids[i - 1] : SG_START;
        sg_batch own = batch;
        own.target_in = in;
        double expected = sg_item(loss_of(&m, &own, 0).mean);
        sg_tensor *loss = sampled_loss_of(&m, &batch, 0, 0).mean, *xs[MOST_LEAVES];
        cr_expect(fabs(sg_item(loss) - expected) < 1e-13, "%s: %g, %g", name, sg_item(loss),
                  expected);
        loss = sampled_loss_of(&m, &batch, 0, 0.5).mean;
        int n = leaves(g, 0, NULL, xs);
        sg_gradcheck_result r = sg_gradcheck(loss, n, xs);
        cr_expect(r.ok, "%s: %g at \"%s\": %s", name, r.error[0], sg_name(xs[r.input]),
                  sg_errmsg(g));
        sg_close(g);
    }
}

/* A coin for each row; schedules by their formulas. */
Test(decoding, coins_and_their_schedules)
{
    enum { N = 2000 };
    sg_context *g = sg_open();
    sg_train(g, true);
    sg_tensor *ones = sg_full(g, SG_I32, SG_SHAPE(N), 1);
    sg_tensor *logits = sg_full(g, SG_F32, SG_SHAPE(N, 3), 0);
    sg_tensor *mixed = sg_truth_or_guess(ones, logits, 0.25);
    int count = 0;
    for (int i = 0; i < N; i++)
        count += ((const int32_t *)sg_data(mixed))[i];
    cr_expect(abs(count - N / 4) < N / 25, "%d", count);
    REFUSES(g, sg_truth_or_guess(ones, logits, 1.5),
            "scheduled sampling: a rate of 1.5 is not in [0, 1]");
    const sg_truth linear = {SG_TRUTH_LINEAR, 1, 0.01, 0.2}, power = {SG_TRUTH_EXPONENTIAL, 0.99};
    const sg_truth sigmoid = {SG_TRUTH_INVERSE_SIGMOID, 10};
    cr_expect(fabs(sg_truth_rate(&linear, 30) - 0.7) < 1e-15);
    cr_expect(sg_truth_rate(&linear, 3000) == 0.2 && sg_truth_rate(&power, 0) == 1);
    cr_expect(fabs(sg_truth_rate(&power, 50) - pow(0.99, 50)) < 1e-15);
    cr_expect(fabs(sg_truth_rate(&sigmoid, 20) - 10 / (10 + exp(2))) < 1e-15);
    cr_expect(sg_truth_rate(&(sg_truth){SG_TRUTH_LINEAR, 3, 0.01}, 30) == 1);
    cr_expect(isnan(sg_truth_rate(&(sg_truth){SG_TRUTH_EXPONENTIAL, 1}, 3)));
    cr_expect(isnan(sg_truth_rate(&(sg_truth){SG_TRUTH_INVERSE_SIGMOID, 0.5}, 0)));
    sg_close(g);
}

/* ---- two ways ------------------------------------------------------------------------------- */

/* Where all steps of the decoder can run at once, they give the bits of one after the other. */
Test(decoding, at_once_or_step_by_step)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        const char *name;
        sg_seq2seq m = open_configuration(k, SG_F32, &name);
        sg_context *g = m.o.g;
        sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
        sg_tensor *w = NULL, *all;
        sg_tensor *logits = sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, &all);
        sg__decoder d = sg__decoder_start(&m, &e);
        for (int t = 0; t < TARGET; t++) {
            sg_tensor *ids = sg_expand_dims(column(g, target_in, t), 1);
            sg_tensor *xw = sg__decoder_inputs(&d, ids);
            sg_tensor *h = sg__decoder_step(&d, sg_squeeze(xw, 1), &w);
            same_bits(sg__decoder_logits(&m, h), sg_index(logits, 1, t), name);
            if (!m.o.no_attention)
                same_bits(w, sg_index(all, 1, t), name);
        }
        sg_close(g);
    }
}

/* No step sees a later token. */
Test(decoding, is_causal)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        const char *name;
        sg_seq2seq m = open_configuration(k, SG_F32, &name);
        sg_context *g = m.o.g;
        sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
        sg_tensor *logits = sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, NULL);
        for (int n = 0; n < TARGET; n++) {
            int32_t before[BATCH * TARGET];
            for (int i = 0; i < BATCH * n; i++)
                before[i] = target_in[i / n * TARGET + i % n];
            sg_tensor *first = sg_seq2seq_decode(&m, &e, before, BATCH, n, NULL);
            same_bits(first, sg_slice(logits, 1, 0, n, 1), name);
        }
        sg_close(g);
    }
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* The rows of the batch in another order, and with other padding, on every set of kernels. */
static void check_rows(sg_context *g, sg_seq2seq_options o, const char *name)
{
    enum { LONG = SOURCE + 4, STEPS = 6 };
    static const int order[BATCH] = {2, 0, 3, 1};
    int32_t turned[BATCH * LONG] = {0}, targets[BATCH * TARGET];
    int lengths[BATCH];
    for (int i = 0; i < BATCH; i++) {
        lengths[i] = source_lengths[order[i]];
        memcpy(turned + i * LONG, source + order[i] * SOURCE, SOURCE * sizeof *turned);
        memcpy(targets + i * TARGET, target_in + order[i] * TARGET, TARGET * sizeof *targets);
    }
    sg_seq2seq m = make(g, o);
    sg_tensor *w[2], *logits[2];
    sg_encoded e = encode_rows(&m, source, BATCH, SOURCE, source_lengths);
    logits[0] = sg_seq2seq_decode(&m, &e, target_in, BATCH, TARGET, &w[0]);
    e = encode_rows(&m, turned, BATCH, LONG, lengths);
    logits[1] = sg_seq2seq_decode(&m, &e, targets, BATCH, TARGET, &w[1]);
    sg_greedy r = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, STEPS);
    sg_greedy s = greedy_rows(&m, turned, BATCH, LONG, lengths, STEPS);
    cr_assert(sg_ok(g) && r.most == s.most, "%s: %s", name, sg_errmsg(g));
    int width[] = {width_of(&m, source, BATCH, SOURCE, source_lengths),
                   width_of(&m, turned, BATCH, LONG, lengths)};
    for (int i = 0; i < BATCH; i++) {
        same_bits(sg_index(logits[1], 0, i), sg_index(logits[0], 0, order[i]), name);
        if (!o.no_attention)
            same_bits(sg_slice(sg_index(w[1], 0, i), 1, 0, SOURCE, 1),
                      sg_slice(sg_index(w[0], 0, order[i]), 1, 0, SOURCE, 1), name);
        cr_assert(s.lengths[i] == r.lengths[order[i]], "%s: row %d", name, i);
        cr_assert(
            !memcmp(s.ids + i * s.most, r.ids + order[i] * r.most, (size_t)r.most * sizeof *r.ids),
            "%s: row %d", name, i);
        for (int t = 0; t < r.most && !o.no_attention; t++)
            cr_assert(!memcmp(s.weights + (i * s.most + t) * width[1],
                              r.weights + (order[i] * r.most + t) * width[0],
                              SOURCE * sizeof *r.weights),
                      "%s: weights of row %d", name, i);
    }
}

Test(decoding, rows_in_any_order_on_any_kernels)
{
    const int sizes[] = {4, 34};
    for (int set = 0; set < SETS; set++)
        for (int k = 0; k < 2 * CONFIGURATIONS; k++) {
            const char *name;
            sg_seq2seq_options o = configuration(k / 2, &name);
            o.hidden = sizes[k % 2];
            o.embed = o.tied ? o.hidden : o.embed;
            sg_context *g = open_set(all_sets[set]);
            if (!g)
                continue;
            check_rows(g, o, named("%s, %d units, %s", name, o.hidden, all_sets[set]));
            sg_close(g);
        }
}

/* ---- greedy --------------------------------------------------------------------------------- */

/* A second decoding of the same shapes makes no plan, and a step of the same shape neither. */
Test(decoding, greedy_finds_its_plans_again)
{
    for (int k = 0; k < CONFIGURATIONS; k++) {
        const char *name;
        sg_seq2seq m = open_configuration(k, SG_F32, &name);
        sg_context *g = m.o.g;
        float never[WORDS] = {[SG_STOP] = -100};
        sg_set(m.out.b, never);
        greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 8);
        sg_stat first = sg_stats(g);
        cr_expect(first.recomputed == 0, "%s: %d computed twice", name, (int)first.recomputed);
        cr_expect(first.runs == 8 && first.misses <= 2, "%s: %d runs, %d plans", name,
                  (int)first.runs, (int)first.misses);
        sg_reset(g);
        sg_greedy r = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 8);
        cr_expect(r.most == 8 && sg_stats(g).misses == first.misses, "%s: %d more plans", name,
                  (int)(sg_stats(g).misses - first.misses));
        sg_reset(g);
        r = greedy_rows(&m, source, BATCH, SOURCE, source_lengths, 1);
        cr_expect(r.most == 1 && r.lengths[0] == 1 && sg_stats(g).recomputed == 0, "%s: one step",
                  name);
        sg_close(g);
    }
}

/* ---- corners -------------------------------------------------------------------------------- */

/* No source, no target, no row, or empty rows only: a loss of 0 or a finite one. */
Test(decoding, corners)
{
    for (int k = 0; k < CONFIGURATIONS; k++)
        for (int way = 0; way < 8; way++) {
            const char *name;
            sg_seq2seq m = open_configuration(k, SG_F32, &name);
            sg_context *g = m.o.g;
            static const int none[BATCH] = {0};
            sg_batch b = batch;
            b.source_lengths = b.target_lengths = way & 4 ? none : NULL;
            b.size = way == 3 ? 0 : way & 4 ? BATCH : 1;
            b.source_time = way & 1 ? 0 : SOURCE;
            b.target_time = way & 2 ? 0 : TARGET;
            sg_loss loss = loss_of(&m, &b, 0.1);
            sg_tensor *grads[MOST_LEAVES];
            int n = gradients_of(loss.mean, 0, NULL, grads);
            double value = sg_item(loss.mean);
            bool nothing = loss.tokens == 0;
            cr_expect(nothing == (way >= 2), "%s, way %d: %d tokens", name, way, (int)loss.tokens);
            cr_expect(nothing ? value == 0 : value > 0 && isfinite(value), "%s, way %d: %g: %s",
                      name, way, value, sg_errmsg(g));
            for (int i = 0; i < n; i++)
                for (int64_t j = 0; j < sg_size(grads[i]); j++)
                    cr_expect(nothing ? element(grads[i], j) == 0 : isfinite(element(grads[i], j)),
                              "%s, way %d: gradient %d", name, way, i);
            sg_close(g);
        }
}
