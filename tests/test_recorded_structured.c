/* Tree-LSTMs, conditional random fields, what CTC's probabilities say: against recordings of
 * tests/oracle/structured.py, in single and in double precision. */
#include "models/models.h"
#include "tests/oracle/structured.h"
#include "tests/recorded.h"

static const int lengths[BATCH] = {4, 2, 1};

/* ---- trees ---------------------------------------------------------------------------------- */

enum { MOST_CHILDREN = 2 };
static const struct {
    int n, child[MOST_CHILDREN];
} tree[NODES] = {{0, {0}}, {0, {0}}, {0, {0}}, {2, {0, 1}}, {2, {3, 2}}, {1, {4}}};

/* All nodes, those of `words` with a word of their own. */
static void check_tree(sg_dtype d, recording r, int children, int nodes, int words)
{
    tape t = open_tape(d, r);
    sg_tree_cell p = sg_tree_lstm(t.g, "", IN, HIDDEN, children, .dtype = d);
    sg_tensor *x = leaf(&t, SG_SHAPE(words, IN)), *h[NODES], *c[NODES];
    leaf_parameters(&t);
    for (int k = 0; k < nodes; k++) {
        sg_state under[MOST_CHILDREN];
        for (int i = 0; i < tree[k].n; i++)
            under[i] = (sg_state){h[tree[k].child[i]], c[tree[k].child[i]]};
        sg_tensor *word = k < words ? sg_slice(x, 0, k, k + 1, 1) : NULL;
        sg_state s = sg_tree_node(&p, word, tree[k].n, under);
        h[k] = s.h;
        c[k] = s.c;
    }
    all_agree(&t, sg_concat_(0, nodes, h), sg_concat_(0, nodes, c));
}

Test(recorded_structured, trees)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        check_tree((sg_dtype)d, (recording)RECORDING(tree_child_sum), 0, NODES, NODES);
        check_tree((sg_dtype)d, (recording)RECORDING(tree_binary), 2, NODES - 1, 3);
    }
}

/* ---- CRF ------------------------------------------------------------------------------------ */

Test(recorded_structured, crf)
{
    static const int32_t labels[BATCH * TIME] = {0, 2, 2, 1, 1, 0, 77, 77, 2, 77, 77, 77};
    for (int d = SG_F32; d <= SG_F64; d++) {
        tape t = open_tape((sg_dtype)d, (recording)RECORDING(crf_loss));
        sg_crf p = sg_make_crf(t.g, "", CLASSES, (sg_dtype)d);
        sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, CLASSES));
        int32_t best[BATCH * TIME];
        double score[BATCH];
        leaf_parameters(&t);
        cr_assert(sg_crf_viterbi(&p, x, lengths, best, score) == SG_OK, "%s", sg_errmsg(t.g));
        for (int i = 0; i < BATCH * TIME; i++)
            cr_expect(best[i] == crf_best[i], "label %d is %d", i, best[i]);
        for (int b = 0; b < BATCH; b++)
            cr_expect(fabs(score[b] - crf_best_scores[b]) < tolerance((sg_dtype)d));
        all_agree(&t, sg_crf_loss(&p, x, labels, lengths));
    }
}

/* ---- CTC ------------------------------------------------------------------------------------ */

static void check_ctc(sg_dtype d, int width, int time, const int *times, const int *labels,
                      const double *scores)
{
    tape t = open_tape(d, (recording){.name = "ctc"});
    sg_tensor *x = drawn(&t, SG_SHAPE(BATCH, time, CLASSES));
    sg_hypotheses h = sg_ctc_decode(sg_mul(x, sg_like(x, 4)), times, 0, width);
    cr_assert(h.ids, "%s", sg_errmsg(t.g));
    for (int k = 0; k < (width ? BEST : 1); k++)
        for (int b = 0; b < BATCH; b++) {
            int at = b * h.best + k, n = 0;
            const int *ids = labels + (k * BATCH + b) * time;
            double log_p = scores[k * BATCH + b];
            for (; n < time && ids[n] >= 0; n++)
                cr_expect(n < h.lengths[at] && h.ids[at * h.most + n] == ids[n],
                          "beam of %d, row %d, %d-th: label %d", width, b, k, n);
            cr_expect(h.lengths[at] == n, "beam of %d, row %d, %d-th: %d labels", width, b, k,
                      h.lengths[at]);
            cr_expect(fabs(h.scores[at] - log_p) < tolerance(d), "%g, not %g", h.scores[at], log_p);
        }
    sg_close(t.g);
}

Test(recorded_structured, ctc_prefixes)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        check_ctc((sg_dtype)d, 2, TIME, lengths, ctc_narrow, ctc_narrow_scores);
        check_ctc((sg_dtype)d, 64, TIME, lengths, ctc_wide, ctc_wide_scores);
    }
}

Test(recorded_structured, ctc_greedy)
{
    for (int d = SG_F32; d <= SG_F64; d++)
        check_ctc((sg_dtype)d, 0, LONG, ctc_long_lengths, ctc_greedy, ctc_greedy_scores);
}
