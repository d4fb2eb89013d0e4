/* Trees, conditional random fields and connectionist temporal classification: against formulas and
 * enumeration in plain C, gradients, identities, padding, errors. */
#include "models/models.h"
#include "tests/models_test.h"

enum { B = 4, T = 4, K = 3, IN = 3, H = 3 };

static const int mixed[B] = {2, T, 0, 1};

/* ---- trees ---------------------------------------------------------------------------------- */

static sg_tree_cell tree_cell(sg_context *g, int children)
{
    sg_tree_cell p = sg_tree_lstm(g, "tree", IN, H, children, .dtype = SG_F64);
    shake(g, 1);
    return p;
}

static double logistic(double z)
{
    return 1 / (1 + exp(-z));
}

static double product(sg_tensor *v, int64_t row, int n, sg_tensor *w, int from, int column)
{
    double sum = 0;
    for (int i = 0; v && i < n; i++)
        sum += element(v, row * n + i) * element(w, (from + i) * sg_dim(w, 1) + column);
    return sum;
}

/* Row b of a node over n children, by the formulas. */
static void check_node(const sg_tree_cell *p, sg_tensor *x, int n, const sg_state *child,
                       sg_state node, int b)
{
    for (int j = 0; j < H; j++) {
        double z[3], f[3], c = 0;
        for (int gate = 0; gate < 3; gate++) {
            int column = gate * H + j;
            z[gate] = element(p->b, column) + product(x, b, IN, p->wx, 0, column);
            for (int k = 0; k < n; k++)
                z[gate] += product(child[k].h, b, H, p->uh, p->children ? k * H : 0, column);
        }
        for (int k = 0; k < n; k++) {
            f[k] = element(p->b, 3 * H + j) + product(x, b, IN, p->wx, 0, 3 * H + j);
            for (int l = 0; l < n && p->children; l++)
                f[k] += product(child[l].h, b, H, p->uh, l * H, (3 + k) * H + j);
            if (!p->children)
                f[k] += product(child[k].h, b, H, p->uf, 0, j);
            c += logistic(f[k]) * element(child[k].c, b * H + j);
        }
        c += logistic(z[0]) * tanh(z[2]);
        cr_expect(fabs(element(node.c, b * H + j) - c) < 1e-14, "%d children of %d", n,
                  p->children);
        cr_expect(fabs(element(node.h, b * H + j) - logistic(z[1]) * tanh(c)) < 1e-14);
    }
}

static sg_state some_state(sg_context *g, unsigned seed)
{
    return (sg_state){sequences(g, SG_F64, 2, .size = H, .flat = true, .seed = seed),
                      sequences(g, SG_F64, 2, .size = H, .flat = true, .seed = seed + 100)};
}

Test(structured, tree_nodes_follow_their_formulas)
{
    for (int children = 0; children <= 3; children++)
        for (int n = 0; n <= (children ? children : 3); n++)
            for (int word = n == 0; word < 2; word++) {
                sg_context *g = sg_open();
                sg_tree_cell p = tree_cell(g, children);
                sg_tensor *x = word ? sequences(g, SG_F64, 2, .size = IN, .flat = true) : NULL;
                sg_state child[3] = {some_state(g, 1), some_state(g, 2), some_state(g, 3)};
                sg_state node = sg_tree_node(&p, x, n, child);
                cr_assert(sg_ok(g), "%s", sg_errmsg(g));
                check_node(&p, x, n, child, node, 0);
                check_node(&p, x, n, child, node, 1);
                sg_close(g);
            }
}

/* ((0 1) (2 3)) with words at the leaves: the state of the root. */
static sg_state whole_tree(const sg_tree_cell *p, sg_tensor *words, bool everywhere)
{
    sg_state s[7];
    for (int i = 0; i < 7; i++) {
        sg_tensor *x = i < 4 || everywhere ? sg_index(words, 1, i) : NULL;
        s[i] = i < 4 ? sg_tree_node(p, x, 0, NULL) : sg_tree_node(p, x, 2, s + 2 * (i - 4));
    }
    return s[6];
}

Test(structured, gradients_of_trees)
{
    for (int children = 0; children <= 3; children++) {
        if (children == 1)
            continue;
        for (int everywhere = 0; everywhere < 2; everywhere++) {
            sg_context *g = sg_open();
            sg_tree_cell p = tree_cell(g, children);
            sg_tensor *words = sequences(g, SG_F64, 2, 7, IN);
            sg_state root = whole_tree(&p, words, everywhere);
            check_gradients(joined(root.h, root.c), 1, &words, named("%d children", children));
            sg_state alone = whole_tree(&p, sg_slice(words, 0, 1, 2, 1), everywhere);
            same_bits(alone.h, sg_slice(root.h, 0, 1, 2, 1), "one tree");
            sg_close(g);
        }
    }
}

/* Over a chain both kinds are an LSTM. */
Test(structured, a_chain_is_an_lstm)
{
    for (int children = 0; children < 2; children++) {
        sg_context *g = sg_open();
        sg_tree_cell p = tree_cell(g, children);
        sg_cell lstm = sg_lstm(g, "lstm", IN, H, .dtype = SG_F64);
        sg_tensor *x[4], *h[4]; /* I O U F becomes I F G O */
        sg_split(sg_concat(0, p.wx, sg_expand_dims(p.b, 0)), 1, 4, x);
        sg_split(children ? p.uh : sg_concat(1, p.uh, p.uf), 1, 4, h);
        sg_tensor *wx = sg_concat(1, x[0], x[3], x[2], x[1]);
        lstm.wx = sg_slice(wx, 0, 0, IN, 1);
        lstm.b = sg_index(wx, 0, IN);
        lstm.wh = sg_concat(1, h[0], h[3], h[2], h[1]);
        sg_tensor *words = sequences(g, SG_F64, 2, 5, IN);
        sg_state s, final;
        sg_unroll(lstm, words, .final = &final);
        for (int t = 0; t < 5; t++)
            s = sg_tree_node(&p, sg_index(words, 1, t), t > 0, &s);
        cr_expect(distance(s.h, final.h) < 1e-14 && distance(s.c, final.c) < 1e-14);
        sg_close(g);
    }
}

Test(structured, child_sums_do_not_know_an_order)
{
    sg_context *g = sg_open();
    sg_tree_cell p = tree_cell(g, 0);
    sg_state a = some_state(g, 1), b = some_state(g, 2);
    sg_state one = sg_tree_node(&p, NULL, 2, (sg_state[]){a, b});
    sg_state two = sg_tree_node(&p, NULL, 2, (sg_state[]){b, a});
    cr_expect(distance(one.h, two.h) < 1e-15);
    sg_close(g);
}

/* ---- CRF ------------------------------------------------------------------------------------ */

static sg_crf field(sg_context *g, sg_dtype dtype)
{
    sg_crf p = sg_make_crf(g, "crf", K, dtype);
    shake(g, 1);
    return p;
}

static sg_tensor *scores_of(sg_context *g, sg_dtype dtype, double fill)
{
    return sequences(g, dtype, B, T, K, .lengths = mixed, .fill = fill);
}

static double path_score(const sg_crf *p, sg_tensor *scores, int b, int n, const int32_t *y)
{
    double sum = n ? element(p->start, y[0]) + element(p->stop, y[n - 1]) : 0;
    for (int t = 0; t < n; t++)
        sum += element(scores, (b * T + t) * K + y[t]) +
               (t ? element(p->transition, y[t - 1] * K + y[t]) : 0);
    return sum;
}

static const int32_t true_labels[B * T] = {1, 0, 77, -5, 2, 2, 0, 1, 9, 9, 9, 9, 2, 9, 9, 9};

/* All paths are tried. */
Test(structured, crf_sums_over_all_paths_and_finds_the_best)
{
    sg_context *g = sg_open();
    sg_crf p = field(g, SG_F64);
    sg_tensor *scores = scores_of(g, SG_F64, NAN),
              *loss = sg_crf_loss(&p, scores, true_labels, mixed);
    int32_t found[B * T];
    double best_scores[B];
    cr_assert(sg_crf_viterbi(&p, scores, mixed, found, best_scores) == SG_OK, "%s", sg_errmsg(g));
    for (int b = 0; b < B; b++) {
        int n = mixed[b], paths = 1;
        double z = 0, best = -INFINITY;
        int32_t best_path[T] = {0};
        for (int t = 0; t < n; t++)
            paths *= K;
        for (int i = 0; i < paths; i++) {
            int32_t y[T];
            for (int t = 0, rest = i; t < n; t++, rest /= K)
                y[n - 1 - t] = rest % K;
            double s = path_score(&p, scores, b, n, y);
            z += exp(s);
            if (s > best)
                memcpy(best_path, y, sizeof y);
            best = fmax(best, s);
        }
        double expected = log(z) - path_score(&p, scores, b, n, true_labels + b * T);
        cr_expect(fabs(element(loss, b) - expected) < 1e-13, "row %d: %s", b, sg_errmsg(g));
        cr_expect(fabs(best_scores[b] - (n ? best : 0)) < 1e-13);
        for (int t = 0; t < T; t++)
            cr_expect(found[b * T + t] == (t < n ? best_path[t] : -1), "row %d, step %d", b, t);
    }
    cr_expect(element(loss, 2) == 0, "nothing costs nothing");
    sg_close(g);
}

Test(structured, gradients_and_padding_of_crfs)
{
    for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
        sg_context *g = sg_open();
        sg_crf p = field(g, (sg_dtype)dtype);
        sg_tensor *scores = scores_of(g, (sg_dtype)dtype, 0);
        sg_tensor *loss = sg_crf_loss(&p, scores, true_labels, mixed);
        check_gradients(loss, 1, &scores, "crf");
        for (int i = 0; i < GARBAGE; i++)
            same_bits(
                sg_crf_loss(&p, scores_of(g, (sg_dtype)dtype, garbage[i]), true_labels, mixed),
                loss, "garbage");
        for (int b = 0; b < B; b++) {
            sg_tensor *one = sg_slice(sg_slice(scores, 0, b, b + 1, 1), 1, 0, mixed[b], 1);
            same_bits(sg_crf_loss(&p, one, true_labels + b * T, NULL),
                      sg_slice(loss, 0, b, b + 1, 1), "alone");
        }
        sg_close(g);
    }
}

/* Without transitions labels are independent: cross-entropy. */
Test(structured, a_crf_without_transitions_is_a_softmax)
{
    sg_context *g = sg_open();
    sg_crf p = sg_make_crf(g, "crf", K, SG_F64);
    sg_tensor *scores = scores_of(g, SG_F64, 0);
    sg_loss plain = sg_label_loss(scores, true_labels, mixed);
    sg_tensor *sum = sg_sum(sg_crf_loss(&p, scores, true_labels, mixed), 0, false);
    cr_expect(fabs(sg_item(sum) - sg_item(plain.sum)) < 1e-13, "%s", sg_errmsg(g));
    sg_close(g);
}

/* ---- CTC ------------------------------------------------------------------------------------ */

enum { MOST = 2 };
static const int32_t ctc_labels[B * MOST] = {1, 99, 2, 2, 0, 0, 1, 99};
static const int label_lengths[B] = {1, 2, 0, 1};

/* Whether an alignment, with repetitions and blanks taken out, is the labels of row b. */
static bool spells(const int *a, int n, int b)
{
    int at = 0;
    for (int t = 0; t < n; t++) {
        if (a[t] == 0 || (t && a[t] == a[t - 1]))
            continue;
        if (at >= label_lengths[b] || ctc_labels[b * MOST + at++] != a[t])
            return false;
    }
    return at == label_lengths[b];
}

static sg_tensor *ctc(sg_tensor *logits, bool zero)
{
    return sg_ctc_loss(logits, mixed, ctc_labels, label_lengths, MOST, .zero_infinity = zero);
}

/* All alignments are tried. */
Test(structured, ctc_sums_over_all_alignments)
{
    sg_context *g = sg_open();
    sg_tensor *logits = scores_of(g, SG_F64, NAN), *loss = ctc(logits, false);
    for (int b = 0; b < B; b++) {
        double sum = 0;
        int n = mixed[b], paths = 1;
        for (int t = 0; t < n; t++)
            paths *= K;
        for (int i = 0; i < paths; i++) {
            int a[T];
            double p = 1;
            for (int t = 0, rest = i; t < n; t++, rest /= K) {
                double z = 0;
                for (int k = 0; k < K; k++)
                    z += exp(element(logits, (b * T + t) * K + k));
                a[t] = rest % K;
                p *= exp(element(logits, (b * T + t) * K + a[t])) / z;
            }
            sum += spells(a, n, b) ? p : 0;
        }
        cr_expect(fabs(element(loss, b) + log(sum)) < 1e-13, "row %d: %g, %g: %s", b,
                  element(loss, b), -log(sum), sg_errmsg(g));
    }
    sg_close(g);
}

Test(structured, gradients_and_padding_of_ctc)
{
    for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
        sg_context *g = sg_open();
        sg_tensor *logits = scores_of(g, (sg_dtype)dtype, 0), *loss = ctc(logits, false);
        check_gradients(loss, 1, &logits, "ctc");
        for (int i = 0; i < GARBAGE; i++)
            same_bits(ctc(scores_of(g, (sg_dtype)dtype, garbage[i]), false), loss, "garbage");
        for (int b = 0; b < B; b++) {
            sg_tensor *one = sg_slice(sg_slice(logits, 0, b, b + 1, 1), 1, 0, mixed[b], 1);
            int n = label_lengths[b];
            same_bits(sg_ctc_loss(one, NULL, ctc_labels + b * MOST, .most = n),
                      sg_slice(loss, 0, b, b + 1, 1), "alone");
        }
        sg_close(g);
    }
}

/* "22" needs three steps, for the blank in between. */
Test(structured, what_ctc_cannot_spell)
{
    const int lengths[] = {2, 0, 3};
    const int32_t labels[] = {2, 2, 1, 1, 2, 2};
    for (int zero = 0; zero < 2; zero++) {
        sg_context *g = sg_open();
        sg_tensor *x = sequences(g, SG_F32, 3, 3, K), *grad;
        sg_tensor *loss = sg_ctc_loss(x, lengths, labels, .most = 2, .zero_infinity = zero);
        double expected = zero ? 0 : INFINITY;
        cr_expect(element(loss, 0) == expected && element(loss, 1) == expected);
        cr_expect(isfinite(element(loss, 2)) && element(loss, 2) > 0);
        sg_grad(sg_sum(loss, 0, false), 1, &x, &grad);
        for (int i = 0; i < 3 * 3 * K; i++)
            cr_expect(isfinite(element(grad, i)) && (element(grad, i) == 0) == (i < 2 * 3 * K));
        sg_close(g);
    }
}

/* ---- errors --------------------------------------------------------------------------------- */

Test(structured, errors)
{
    sg_context *g = sg_open();
    REFUSES(g, sg_tree_lstm(g, "a", 3, 0, 2),
            "tree lstm \"a\": 3 inputs, 0 hidden units, 2 children");
    sg_tree_cell p = sg_tree_lstm(g, "b", 3, 3, 2);
    REFUSES(g, sg_tree_node(&p, NULL, 0, NULL), "tree lstm: a leaf without x");
    REFUSES(g, sg_tree_node(&p, NULL, 3, NULL), "tree lstm: 3 children are not in 0..2");
    REFUSES(g, sg_make_crf(g, "c", 0, SG_F32), "crf \"c\": 0 classes");
    sg_crf crf = sg_make_crf(g, "d", K, SG_F32);
    sg_tensor *x = sequences(g, SG_F32, B, T, K + 1);
    REFUSES(g, sg_crf_loss(&crf, x, true_labels, mixed),
            "crf: scores are not [batch, time, 3]: 3 axes, 4 classes");
    x = sequences(g, SG_F32, B, T, K);
    REFUSES(g, sg_crf_loss(&crf, x, true_labels, NULL), "label 77 of row 0, step 2 is not in 0..2");
    x = sequences(g, SG_F32, B, .size = K, .flat = true);
    REFUSES(g, sg_ctc_loss(x, .most = 2),
            "ctc: logits have 2 axes, not [batch, time, classes]; 2 labels at most, none given");
    x = sequences(g, SG_F32, B, T, K);
    REFUSES(g, sg_ctc_loss(x, .blank = 3), "ctc: a blank of 3 is not in 0..2");
    x = sequences(g, SG_F32, B, T, K);
    REFUSES(g, sg_ctc_loss(x, mixed, ctc_labels, NULL, MOST),
            "label 1 of row 0, which is 99, is a blank or not in 0..2");
    x = sequences(g, SG_F32, B, T, K);
    REFUSES(g, sg_ctc_loss(x, mixed, ctc_labels, (int[]){3, 0, 0, 0}, MOST),
            "ctc: length 3 of row 0 is not in 0..2");
    sg_close(g);
}
