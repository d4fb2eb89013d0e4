/* Beam search, its options and penalties, scores of given tokens, and what sampling keeps: against
 * recordings of tests/oracle/decoding.py, over the same model, a table of what comes after each
 * token. And the schedules of scheduled sampling. */
#include "models/models.h"
#include "tests/oracle/decoding.h"
#include "tests/recorded.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

typedef struct model {
    sg_tensor *logits, *attention; /* [WORDS, WORDS], [WORDS, SOURCE]: by the last token */
} model;

static sg_tensor *step(const void *of, sg_tensor *tokens, sg_tensor **states, sg_tensor **weights)
{
    const model *m = of;
    (void)states;
    *weights = sg_softmax(sg_take(m->attention, tokens), NULL);
    return sg_take(m->logits, tokens);
}

/* 3 * drawn, 2 more to stop, and no way back to the start; 2 * drawn. */
static sg_stepper stepper(tape *t, model *m, int rows)
{
    double v[WORDS * WORDS];
    sg_tensor *x = drawn(t, SG_SHAPE(WORDS, WORDS)), *a = drawn(t, SG_SHAPE(WORDS, SOURCE));
    for (int i = 0; i < WORDS * WORDS; i++)
        v[i] = 3 * element(x, i) + (i % WORDS == STOP ? 2 : i % WORDS == START ? -32 : 0);
    sg_tensor *logits = sg_param(t->g, "logits", SG_SHAPE(WORDS, WORDS), .dtype = t->dtype);
    sg_tensor *attention = sg_param(t->g, "attention", SG_SHAPE(WORDS, SOURCE), .dtype = t->dtype);
    sg_set(logits, sg_data(tensor(t->g, t->dtype, SG_SHAPE(WORDS, WORDS), v)));
    sg_set(attention, sg_data(sg_mul(a, sg_like(a, 2))));
    *m = (model){logits, attention};
    return (sg_stepper){.g = t->g,
                        .step = step,
                        .model = m,
                        .rows = rows,
                        .classes = WORDS,
                        .start = START,
                        .stop = STOP};
}

static void check_search(sg_dtype d, size_t row)
{
    tape t = open_tape(d, (recording){.name = searches[row].name});
    model m;
    sg_stepper s = stepper(&t, &m, 1);
    int best = searches[row].best, begun = searches[row].begun;
    sg_hypotheses h = sg_search(
        &s, searches[row].most, searches[row].least, searches[row].width, best,
        .length_penalty = searches[row].length_penalty,
        .coverage_penalty = searches[row].coverage_penalty, .no_repeat = searches[row].no_repeat,
        .prefix = begun ? searches[row].prefix : NULL, .prefix_time = begun);
    cr_assert(h.ids, "%s: %s", t.name, sg_errmsg(t.g));
    for (int k = 0; k < best; k++) {
        const int *ids = searches[row].ids + k * MOST;
        int n = 0;
        for (; n < MOST && ids[n] >= 0; n++)
            cr_expect(n < h.lengths[k] && h.ids[k * h.most + n] == ids[n],
                      "%s, hypothesis %d: word %d is not %d", t.name, k, n, ids[n]);
        cr_expect(h.lengths[k] == n, "%s, hypothesis %d: %d words, not %d", t.name, k, h.lengths[k],
                  n);
        double score = searches[row].scores[k], adjusted = searches[row].scores[best + k];
        cr_expect(fabs(h.scores[k] - score) < tolerance(d), "%s: %.15g, not %.15g", t.name,
                  h.scores[k], score);
        cr_expect(fabs(h.adjusted[k] - adjusted) < tolerance(d), "%s: %.15g, not %.15g", t.name,
                  h.adjusted[k], adjusted);
    }
    sg_close(t.g);
}

Test(recorded_decoding, searches)
{
    for (size_t row = 0; row < COUNT(searches); row++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_search((sg_dtype)d, row);
}

static void check_given(sg_dtype d, bool stop)
{
    tape t = open_tape(d, (recording){.name = "given"});
    model m;
    sg_stepper s = stepper(&t, &m, GIVEN);
    const double *expected = stop ? given_scores_to_stop : given_scores;
    const double *scores = sg_score_of(&s, given_ids, GIVEN_TIME, given_lengths, stop);
    cr_assert(scores, "%s", sg_errmsg(t.g));
    for (int b = 0; b < GIVEN; b++)
        cr_expect(fabs(scores[b] - expected[b]) < tolerance(d), "row %d: %.15g, not %.15g", b,
                  scores[b], expected[b]);
    sg_close(t.g);
}

Test(recorded_decoding, scores_of_given_tokens)
{
    for (int stop = 0; stop < 2; stop++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_given((sg_dtype)d, stop);
}

/* What is cut off never comes, the rest as often as it should, within four standard deviations. */
Test(recorded_decoding, samples)
{
    enum { ROWS = 4000 };
    for (size_t row = 0; row < COUNT(samplings); row++) {
        tape t = open_tape(SG_F32, (recording){.name = "sampling"});
        model m;
        sg_stepper s = stepper(&t, &m, ROWS);
        int seen[WORDS] = {0};
        sg_hypotheses h = sg_sample(&s, 1, .temperature = samplings[row].temperature,
                                    .top_k = samplings[row].top_k, .top_p = samplings[row].top_p);
        cr_assert(h.ids, "%s", sg_errmsg(t.g));
        for (int b = 0; b < ROWS; b++)
            seen[h.ids[b]]++;
        for (int k = 0; k < WORDS; k++) {
            double p = samplings[row].p[k], off = fabs(seen[k] / (double)ROWS - p);
            cr_expect(off <= 4 * sqrt(p * (1 - p) / ROWS) + 1e-9,
                      "row %zu: %d came %d times, with p = %g", row, k, seen[k], p);
        }
        sg_close(t.g);
    }
}

Test(recorded_decoding, rates_of_scheduled_sampling)
{
    for (size_t row = 0; row < COUNT(truths); row++)
        for (size_t i = 0; i < COUNT(truth_steps); i++) {
            double rate = sg_truth_rate(&truths[row].schedule, truth_steps[i]);
            cr_expect(fabs(rate - truths[row].rates[i]) < 1e-10, "row %zu, step %d: %.15g", row,
                      (int)truth_steps[i], rate);
        }
}
