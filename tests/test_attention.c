/* Attention: every score against its formula in plain C, gradients, lengths, and that neither
 * padding nor the other rows of a batch can be seen in any bit. */
#include "models/models.h"
#include "tests/models_test.h"

enum { B = 4, T = 5, Q = 3, N = 4, A = 6 };

static const int mixed[B] = {3, T, 0, 1};
static const char *const score_names[] = {"dot", "scaled dot", "general", "concat", "heads"};
enum { SCORES = 5, HEADS = 2 };

/* Queries of another size than keys, where that is possible. */
static int query_size(int score)
{
    return score < SG_GENERAL ? N : N - 1;
}

static sg_attention make(sg_context *g, int score, sg_dtype dtype)
{
    sg_attention a = sg_make_attention(g, "att", (sg_score)score, query_size(score), N, .hidden = A,
                                       .heads = score == SG_HEADS ? HEADS : 0, .dtype = dtype);
    shake(g, 1);
    return a;
}

static sg_tensor *queries(sg_context *g, int score, sg_dtype dtype, int batch, int count)
{
    return count ? sequences(g, dtype, batch, count, query_size(score), .seed = 5)
                 : sequences(g, dtype, batch, .size = query_size(score), .flat = true, .seed = 5);
}

/* ---- the formulas --------------------------------------------------------------------------- */

/* x W, element j: a row of floats from element x0 times a column. */
static double times(sg_tensor *x, int64_t x0, sg_tensor *w, int64_t j)
{
    double z = 0;
    for (int64_t i = 0; i < sg_dim(w, 0); i++)
        z += element(x, x0 + i) * element(w, i * sg_dim(w, 1) + j);
    return z;
}

/* q, k: rows of floats of their tensors, from element q0 and k0; of a head, if there are several */
static double score_of(const sg_attention *a, int head, sg_tensor *q, int64_t q0, sg_tensor *k,
                       int64_t k0)
{
    enum { D = A / HEADS };
    int64_t m = sg_dim(q, -1), n = sg_dim(k, -1);
    double s = 0;
    for (int64_t j = 0; a->score == SG_CONCAT && j < A; j++)
        s += element(a->v, j) * tanh(times(q, q0, a->wq, j) + times(k, k0, a->wk, j));
    for (int64_t j = head * D; a->score == SG_HEADS && j < (head + 1) * D; j++)
        s += times(q, q0, a->wq, j) * times(k, k0, a->wkv, j) / sqrt(D);
    for (int64_t i = 0; a->score <= SG_GENERAL && i < m; i++)
        for (int64_t j = 0; j < n; j++)
            s += element(q, q0 + i) * element(k, k0 + j) *
                 (a->score == SG_GENERAL ? element(a->wq, i * n + j) : i == j);
    return a->score == SG_SCALED_DOT ? s / sqrt((double)m) : s;
}

/* Adds what a head finds over `length` values of row b to the weights and the context. */
static void add_head(const sg_attention *a, int head, sg_tensor *q, int64_t q0, sg_tensor *values,
                     int b, int length, double *weight, double *context)
{
    enum { D = A / HEADS };
    double w[T] = {0}, sum = 0;
    int heads = a->score == SG_HEADS ? HEADS : 1;
    for (int t = 0; t < length; t++)
        sum += w[t] = exp(score_of(a, head, q, q0, values, (b * T + t) * N));
    for (int t = 0; t < length; t++) {
        weight[t] += w[t] / sum / heads;
        for (int j = 0; j < N && heads == 1; j++)
            context[j] += w[t] / sum * element(values, (b * T + t) * N + j);
        for (int i = head * D; i < (head + 1) * D && heads > 1; i++)
            for (int j = 0; j < N; j++)
                context[j] += w[t] / sum * times(values, (b * T + t) * N, a->wkv, A + i) *
                              element(a->wo, i * N + j);
    }
}

/* One query's weights and context over `length` values of row b. */
static void check_query(const sg_attention *a, sg_tensor *q, sg_tensor *values, sg_attended *r,
                        int b, int query, int count, int length)
{
    double w[T] = {0}, c[N] = {0};
    int64_t line = (int64_t)b * count + query;
    for (int head = 0; head < (a->score == SG_HEADS ? HEADS : 1); head++)
        add_head(a, head, q, line * sg_dim(q, -1), values, b, length, w, c);
    for (int t = 0; t < T; t++) {
        double d = fabs(element(r->weights, line * T + t) - w[t]);
        cr_expect(d < 1e-14 && (t < length || d == 0),
                  "%s: weight %d of row %d, query %d: off by %g", score_names[a->score], t, b,
                  query, d);
    }
    for (int j = 0; j < N; j++) {
        double d = fabs(element(r->context, line * N + j) - c[j]);
        cr_expect(d < 1e-14 && (length || d == 0), "%s: context of row %d, query %d: off by %g",
                  score_names[a->score], b, query, d);
    }
}

Test(attention, scores_follow_their_formulas)
{
    for (int score = 0; score < SCORES; score++)
        for (int many = 0; many < 2; many++)
            for (int padded = 0; padded < 2; padded++) {
                sg_context *g = sg_open();
                sg_attention a = make(g, score, SG_F64);
                sg_tensor *v = sequences(g, SG_F64, B, T, N);
                sg_tensor *q = queries(g, score, SG_F64, B, many ? Q : 0);
                sg_memory m = sg_remember(&a, v, padded ? mixed : NULL);
                sg_attended r = sg_attend(&a, &m, q);
                cr_assert(sg_ok(g) && sg_rank(r.context) == 2 + many, "%s", sg_errmsg(g));
                cr_expect(sg_rank(r.weights) == 2 + many && sg_dim(r.weights, -1) == T &&
                          sg_dim(r.context, -1) == N && (!many || sg_dim(r.weights, 1) == Q));
                for (int b = 0; b < B; b++)
                    for (int k = 0; k < (many ? Q : 1); k++)
                        check_query(&a, q, v, &r, b, k, many ? Q : 1, padded ? mixed[b] : T);
                sg_close(g);
            }
}

Test(attention, gradients)
{
    for (int score = 0; score < SCORES; score++)
        for (int way = 0; way < 8; way++) {
            sg_dtype dtype = way & 4 ? SG_F32 : SG_F64;
            sg_context *g = sg_open();
            sg_attention a = make(g, score, dtype);
            sg_tensor *v = sequences(g, dtype, B, T, N);
            sg_tensor *q = queries(g, score, dtype, B, way & 1 ? Q : 0);
            sg_memory m = sg_remember(&a, v, way & 2 ? mixed : NULL);
            sg_attended r = sg_attend(&a, &m, q);
            check_gradients(joined(r.context, r.weights), 2, (sg_tensor *[]){v, q},
                            named("%s %s%s%s", score_names[score], sg_dtype_name(dtype),
                                  way & 1 ? ", several" : "", way & 2 ? ", lengths" : ""));
            sg_close(g);
        }
}

/* ---- identities ----------------------------------------------------------------------------- */

Test(attention, general_with_the_identity_is_dot)
{
    sg_context *g = sg_open();
    double identity[N * N] = {0};
    for (int i = 0; i < N; i++)
        identity[i * N + i] = 1;
    sg_attention dot = sg_make_attention(g, "dot", SG_DOT, N, N, .dtype = SG_F64);
    sg_attention general = sg_make_attention(g, "general", SG_GENERAL, N, N, .dtype = SG_F64);
    sg_set(general.wq, identity);
    sg_tensor *v = sequences(g, SG_F64, B, T, N), *q = queries(g, SG_DOT, SG_F64, B, Q);
    sg_memory one = sg_remember(&dot, v, mixed), two = sg_remember(&general, v, mixed);
    sg_attended r = sg_attend(&dot, &one, q), s = sg_attend(&general, &two, q);
    same_bits(r.context, s.context, "contexts");
    same_bits(r.weights, s.weights, "weights");
    sg_close(g);
}

Test(attention, queries_do_not_see_each_other)
{
    for (int score = 0; score < SCORES; score++) {
        sg_context *g = sg_open();
        sg_attention a = make(g, score, SG_F32);
        sg_memory m = sg_remember(&a, sequences(g, SG_F32, B, T, N), mixed);
        sg_tensor *q = queries(g, score, SG_F32, B, Q);
        sg_attended all = sg_attend(&a, &m, q);
        for (int k = 0; k < Q; k++) {
            sg_attended one = sg_attend(&a, &m, sg_index(q, 1, k));
            const char *what = named("%s, query %d", score_names[score], k);
            same_bits(one.context, sg_index(all.context, 1, k), what);
            same_bits(one.weights, sg_index(all.weights, 1, k), what);
        }
        sg_close(g);
    }
}

/* ---- padding -------------------------------------------------------------------------------- */

static int all_of(const sg_attention *a, int score, sg_tensor *v, sg_tensor **out)
{
    sg_tensor *q = queries(sg_context_of(v), score, sg_type(v), B, Q);
    sg_memory m = sg_remember(a, v, mixed);
    sg_attended r = sg_attend(a, &m, q);
    out[0] = r.context;
    out[1] = r.weights;
    return 2 + gradients_of(joined(r.context, r.weights), 2, (sg_tensor *[]){v, q}, out + 2);
}

Test(attention, padding_changes_no_bit)
{
    for (int score = 0; score < SCORES; score++)
        for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
            sg_context *g = sg_open();
            sg_attention a = make(g, score, (sg_dtype)dtype);
            sg_tensor *expected[MOST_LEAVES], *found[MOST_LEAVES];
            sg_tensor *v = sequences(g, (sg_dtype)dtype, B, T, N, .lengths = mixed);
            int n = all_of(&a, score, v, expected);
            for (int k = 0; k < GARBAGE; k++) {
                v = sequences(g, (sg_dtype)dtype, B, T, N, .lengths = mixed, .fill = garbage[k]);
                all_of(&a, score, v, found);
                for (int i = 0; i < n; i++)
                    same_bits(found[i], expected[i],
                              named("%s, %g in the padding: tensor %d", score_names[score],
                                    garbage[k], i));
            }
            for (int b = 0; b < B; b++) /* the gradient by v */
                for (int t = mixed[b]; t < T; t++)
                    cr_expect(all_zero(sg_index(sg_index(expected[2], 0, b), 0, t)));
            sg_close(g);
        }
}

static void check_rows(sg_context *g, int score, int size, const char *isa)
{
    enum { ROWS = 5, LONG = 19 };
    static const int lengths[ROWS] = {7, LONG, 1, 0, 16};
    sg_attention a = sg_make_attention(g, "att", (sg_score)score, size, size);
    sg_memory m = sg_remember(&a, sequences(g, SG_F32, ROWS, LONG, size), lengths);
    sg_attended all = sg_attend(&a, &m, sequences(g, SG_F32, ROWS, Q, size, .seed = 5));
    for (int b = 0; b < ROWS; b++)
        for (int more = 0; more < 2; more++) {
            int n = lengths[b], time = n + 14 * more;
            sg_tensor *v = sequences(g, SG_F32, 1, time, size, .first = b);
            m = sg_remember(&a, v, more ? &n : NULL);
            sg_attended one =
                sg_attend(&a, &m, sequences(g, SG_F32, 1, Q, size, .seed = 5, .first = b));
            const char *what =
                named("%s of %d, %s, row %d, time %d", score_names[score], size, isa, b, time);
            sg_tensor *weights = sg_slice(all.weights, 0, b, b + 1, 1);
            same_bits(one.context, sg_slice(all.context, 0, b, b + 1, 1), what);
            same_bits(sg_slice(one.weights, 2, 0, n, 1), sg_slice(weights, 2, 0, n, 1), what);
        }
}

Test(attention, a_row_does_not_depend_on_its_batch)
{
    const int sizes[] = {3, 16, 37};
    for (int set = 0; set < SETS; set++)
        for (int score = 0; score < SCORES; score++)
            for (int s = 0; s < 3; s++) {
                sg_context *g = open_set(all_sets[set]);
                if (!g)
                    continue;
                check_rows(g, score, sizes[s], all_sets[set]);
                cr_expect(sg_ok(g), "%s", sg_errmsg(g));
                sg_close(g);
            }
}

/* ---- corners -------------------------------------------------------------------------------- */

Test(attention, corners)
{
    for (int score = 0; score < SCORES; score++) {
        sg_context *g = sg_open();
        sg_attention a = make(g, score, SG_F64);
        for (int batch = 0; batch <= 2; batch++)
            for (int time = 0; time <= 1; time++)
                for (int count = 0; count <= 2; count++)
                    for (int empty = 0; empty < 2; empty++) {
                        const char *what = named("%s [%d,%d], %d queries%s", score_names[score],
                                                 batch, time, count, empty ? ", lengths 0" : "");
                        sg_tensor *v = sequences(g, SG_F64, batch, time, N), *grads[MOST_LEAVES];
                        sg_tensor *q = queries(g, score, SG_F64, batch, count);
                        sg_memory m = sg_remember(&a, v, empty ? (int[]){0, 0} : NULL);
                        sg_attended r = sg_attend(&a, &m, q);
                        int n = gradients_of(joined(r.context, r.weights), 2, (sg_tensor *[]){v, q},
                                             grads);
                        bool nothing = empty || time == 0;
                        cr_expect(sg_size(r.context) == batch * (count ? count : 1) * N, "%s",
                                  what);
                        cr_expect(!nothing || (all_zero(r.context) && all_zero(r.weights)), "%s",
                                  what);
                        for (int i = 0; nothing && i < n; i++)
                            cr_expect(all_zero(grads[i]), "%s: gradient %d", what, i);
                        if (!nothing && count < 2 && score != SG_HEADS) /* one weight, of 1 */
                            same_bits(r.context, count ? v : sg_index(v, 1, 0), what);
                    }
        cr_expect(sg_ok(g), "%s", sg_errmsg(g));
        sg_close(g);
    }
}

/* Scores far apart: the weights stay finite, the largest wins. */
Test(attention, of_large_scores)
{
    sg_context *g = sg_open();
    sg_attention a = sg_make_attention(g, "att", SG_DOT, 1, 1);
    sg_tensor *v = sg_input(g, SG_F32, SG_SHAPE(1, 3, 1), (float[]){-1e18f, 1e18f, 2e18f});
    sg_memory m = sg_remember(&a, v, NULL);
    sg_attended r = sg_attend(&a, &m, sg_input(g, SG_F32, SG_SHAPE(1, 1), (float[]){1e18f}));
    cr_expect(element(r.weights, 0) == 0 && element(r.weights, 1) == 0 &&
              element(r.weights, 2) == 1);
    cr_expect(element(r.context, 0) == (double)2e18f);
    sg_close(g);
}

/* ---- errors --------------------------------------------------------------------------------- */

Test(attention, parameters)
{
    sg_context *g = sg_open();
    sg_make_attention(g, "one", SG_GENERAL, 3, 4);
    sg_make_attention(g, "two", SG_CONCAT, 3, 4);
    sg_make_attention(g, "three", SG_DOT, 4, 4);
    sg_make_attention(g, "four", SG_HEADS, 3, 4, .hidden = 6, .heads = 2);
    sg_tensor *wa = sg_find(g, "one.wa"), *wq = sg_find(g, "two.wq"), *list[MOST_LEAVES];
    sg_tensor *wk = sg_find(g, "two.wk"), *v = sg_find(g, "two.v");
    cr_assert(leaves(g, 0, NULL, list) == 7 && wa && wq && wk && v, "%s", sg_errmsg(g));
    cr_expect(sg_dim(wa, 0) == 3 && sg_dim(wa, 1) == 4 && sg_dim(wq, 0) == 3 && sg_dim(wq, 1) == 4);
    cr_expect(sg_dim(wk, 0) == 4 && sg_dim(wk, 1) == 4 && sg_dim(v, 0) == 4 && sg_dim(v, 1) == 1);
    has_shape(sg_find(g, "four.wq"), SG_SHAPE(3, 6), "wq");
    has_shape(sg_find(g, "four.wkv"), SG_SHAPE(4, 12), "wkv");
    has_shape(sg_find(g, "four.wo"), SG_SHAPE(6, 4), "wo");
    sg_close(g);
}

Test(attention, errors)
{
    sg_context *g = sg_open();
    sg_make_attention(g, "a", SG_DOT, 3, 4);
    expect_error(g, SG_BAD_ARGUMENT,
                 "attention \"a\": queries of 3 and keys of 4 features have no dot product");
    sg_make_attention(g, "b", SG_SCALED_DOT, 4, 3);
    expect_error(g, SG_BAD_ARGUMENT,
                 "attention \"b\": queries of 4 and keys of 3 features have no dot product");
    sg_make_attention(g, "c", SG_CONCAT, 0, 4);
    expect_error(g, SG_BAD_ARGUMENT, "attention \"c\": queries of 0 and keys of 4 features");
    sg_make_attention(g, "d", (sg_score)7, 4, 4);
    expect_error(g, SG_BAD_ARGUMENT, "attention \"d\": no such score (7)");

    sg_make_attention(g, "d", SG_HEADS, 4, 4, .heads = 3);
    expect_error(g, SG_BAD_ARGUMENT, "attention \"d\": 3 heads of 4 features");
    sg_make_attention(g, "d", SG_DOT, 4, 4, .heads = 2);
    expect_error(g, SG_BAD_ARGUMENT, "attention \"d\": 2 heads of 4 features, with a score of one");
    sg_make_attention(g, "d", SG_HEADS, 4, 4, .window = 2);
    expect_error(g, SG_BAD_ARGUMENT, "attention \"d\": a window of 2 elements is not for heads");
    sg_make_attention(g, "d", SG_DOT, 4, 4, .monotonic = true);
    expect_error(g, SG_BAD_ARGUMENT, "attention \"d\": a monotonic window of 0 elements");
    sg_attention placed = sg_make_attention(g, "d", SG_DOT, 4, 4, .window = 2, .monotonic = true);
    sg_tensor *h = sg_full(g, SG_F32, SG_SHAPE(2, 3, 4), 1);
    sg_memory all = sg_remember(&placed, h, NULL);
    sg_attend(&placed, &all, sg_index(h, 1, 0));
    expect_error(g, SG_BAD_ARGUMENT, "attention: a monotonic window without a position");

    const int bad[B] = {0, 0, T + 1, 0};
    sg_attention a = sg_make_attention(g, "e", SG_GENERAL, 3, 4), dot = {SG_DOT};
    sg_memory m = sg_remember(&a, sequences(g, SG_F32, B, .size = 4, .flat = true), NULL);
    cr_expect(sg_is_nil(m.values) && sg_is_nil(m.keys));
    expect_error(g, SG_BAD_SHAPE, "attention: values have 2 axes, not [batch, time, features]");
    sg_remember(&a, sequences(g, SG_F32, B, T, 4), bad);
    expect_error(g, SG_BAD_ARGUMENT, "attention: length 6 of row 2 is not in 0..5");
    sg_remember(&a, sequences(g, SG_F32, B, T, 5), NULL);
    expect_error(g, SG_BAD_SHAPE, "attention: matmul: inner dimensions differ: x[4,5,5], y[4,3]");
    m = sg_remember(&a, sequences(g, SG_F32, B, T, 4), NULL);
    sg_attended r = sg_attend(&a, &m, sg_full(g, SG_F32, SG_SHAPE(3), 0));
    cr_expect(sg_is_nil(r.context) && sg_is_nil(r.weights));
    expect_error(g, SG_BAD_SHAPE,
                 "attention: the query has 1 axes, not [batch, features] or "
                 "[batch, queries, features]");
    m = sg_remember(&a, sequences(g, SG_F32, B, T, 4), NULL);
    sg_attend(&a, &m, sg_full(g, SG_F32, SG_SHAPE(B, 4), 0));
    expect_error(g, SG_BAD_SHAPE, "attention: matmul: inner dimensions differ: x[4,1,4], y[4,3,5]");
    m = sg_remember(&dot, sequences(g, SG_F32, B, T, 4), NULL);
    sg_attend(&dot, &m, sg_full(g, SG_F32, SG_SHAPE(B + 1, 4), 0));
    expect_error(g, SG_BAD_SHAPE,
                 "attention: matmul: leading dimensions do not broadcast: x[5,1,4], y[4,4,5]");
    sg_close(g);
}
