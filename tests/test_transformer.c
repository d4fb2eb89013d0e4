/* Attention with many heads and Transformers: positions, masks, caches, gradients, padding, errors;
 * coverage and windows of attention with one head. PyTorch's numbers are in test_torch_models.c. */
#include "models/models.h"
#include "tests/models_test.h"

enum { B = 3, T = 4, S = 3, D = 8, HEADS = 2, M = 3 };

static const int mixed[B] = {2, T, 0};
static const int memory_mixed[B] = {S, 0, 1};

/* Every kind of positions, before and after, causal or not, with and without a memory. */
enum { WAYS = 32 };

static sg_transformer_options way(sg_context *g, sg_dtype dtype, int k)
{
    sg_transformer_options o = {.g = g, .name = "m", .size = D, .heads = HEADS, .layers = 2};
    o.wide = 5;
    o.dtype = dtype;
    o.positions = (sg_positions)(k % 4);
    o.most = T;
    o.post_norm = k >> 2 & 1;
    o.causal = k >> 3 & 1;
    o.memory = k >> 4 & 1 ? M : 0;
    o.relu = false;
    return o;
}

static sg_transformer make(sg_context *g, sg_dtype dtype, int k)
{
    sg_transformer m = sg_make_transformer_(way(g, dtype, k));
    shake(g, 1);
    return m;
}

static sg_tensor *run(const sg_transformer *m, double fill)
{
    sg_context *g = m->o.g;
    sg_tensor *x = sequences(g, m->o.dtype, B, T, D, .lengths = mixed, .fill = fill);
    sg_tensor *z = sequences(g, m->o.dtype, B, S, M, .lengths = memory_mixed, .fill = fill);
    return sg_transform(m, x, mixed, m->o.memory ? z : NULL, memory_mixed);
}

/* ---- positions ------------------------------------------------------------------------------ */

Test(transformer, sinusoids_follow_their_formula)
{
    sg_context *g = sg_open();
    sg_tensor *p = sg_sinusoids(g, SG_F64, 3, 5, 7);
    for (int t = 0; t < 5; t++)
        for (int k = 0; k < 7; k++) {
            double angle = (t + 3) / pow(10000, (k - k % 2) / 7.0);
            cr_expect(fabs(element(p, t * 7 + k) - (k % 2 ? cos(angle) : sin(angle))) < 1e-14);
        }
    sg_close(g);
}

/* (R_s q)·(R_t k) depends on t - s alone; a rotation keeps norms; position 0 is the identity. */
Test(transformer, rotations_know_distances_only)
{
    sg_context *g = sg_open();
    sg_tensor *q = sequences(g, SG_F64, 1, .size = D, .flat = true);
    sg_tensor *k = sequences(g, SG_F64, 1, .size = D, .flat = true, .seed = 2);
    double products[2];
    for (int i = 0; i < 2; i++) {
        sg_tensor *a = sg_rotate(q, 7 * i), *b = sg_rotate(k, 7 * i + 4);
        products[i] = sg_item(sg_sum(sg_mul(a, b), SG_ALL_AXES, false));
    }
    cr_expect(fabs(products[0] - products[1]) < 1e-13, "%g, %g", products[0], products[1]);
    same_bits(sg_rotate(q, 0), q, "position 0");
    sg_tensor *x = sequences(g, SG_F64, B, T, 6), *y = sg_rotate(x, 2);
    for (int i = 0; i < B * T; i++)
        for (int j = 0; j < 3; j++) { /* pairs j, j + 3 */
            double angle = (i % T + 2) / pow(10000, j / 3.0);
            double a = element(x, i * 6 + j), b = element(x, i * 6 + j + 3);
            cr_expect(fabs(element(y, i * 6 + j) - (a * cos(angle) - b * sin(angle))) < 1e-14);
            cr_expect(fabs(element(y, i * 6 + j + 3) - (b * cos(angle) + a * sin(angle))) < 1e-14);
        }
    check_gradients(y, 1, &x, "rotations");
    sg_close(g);
}

/* ---- heads ---------------------------------------------------------------------------------- */

/* One head whose projections are the identity is scaled dot attention. */
Test(transformer, one_head_is_scaled_dot_attention)
{
    sg_context *g = sg_open();
    sg_heads a = sg_make_heads(g, "h", D, 1, .memory = D, .dtype = SG_F64);
    double one[D * D] = {0}, two[2 * D * D] = {0};
    for (int i = 0; i < D; i++)
        one[i * D + i] = two[i * 2 * D + i] = two[i * 2 * D + D + i] = 1;
    sg_set(a.q.w, one);
    sg_set(a.kv.w, two);
    sg_set(a.out.w, one);
    sg_tensor *x = sequences(g, SG_F64, B, T, D), *v = sequences(g, SG_F64, B, S, D, .seed = 2);
    sg_attention dot = sg_make_attention(g, "dot", SG_SCALED_DOT, D, D, .dtype = SG_F64);
    sg_memory m = sg_remember(&dot, v, memory_mixed);
    sg_tensor *mask = sg_reshape(sg_length_mask(g, B, S, memory_mixed), SG_SHAPE(B, 1, 1, S));
    sg_attended one_head = sg_attend_heads(&a, x, v, mask), plain = sg_attend(&dot, &m, x);
    cr_expect(distance(one_head.context, plain.context) < 1e-14, "%s", sg_errmsg(g));
    cr_expect(distance(one_head.weights, plain.weights) < 1e-14);
    sg_close(g);
}

Test(transformer, gradients_of_heads)
{
    for (int k = 0; k < 8; k++) {
        sg_context *g = sg_open();
        bool cross = k & 1;
        sg_heads a = sg_make_heads(g, "h", D, HEADS, .memory = cross ? M : 0, .rotary = !cross,
                                   .dropout = k & 2 ? 0.3 : 0, .dtype = SG_F64);
        shake(g, 1);
        sg_train(g, true);
        sg_tensor *x = sequences(g, SG_F64, B, T, D), *z = sequences(g, SG_F64, B, S, M);
        sg_tensor *mask = k & 4 ? sg_causal_mask(g, T, cross ? S : T) : NULL;
        sg_attended r = sg_attend_heads(&a, x, cross ? z : NULL, mask);
        check_gradients(joined(r.context, r.weights), 1 + cross, (sg_tensor *[]){x, z},
                        named("heads, way %d", k));
        sg_close(g);
    }
}

/* ---- blocks --------------------------------------------------------------------------------- */

Test(transformer, gradients)
{
    for (int k = 0; k < WAYS; k++) {
        sg_context *g = sg_open();
        sg_transformer_options o = way(g, SG_F64, k);
        o.dropout = k % 3 ? 0 : 0.2;
        o.layers = 1;
        sg_transformer m = sg_make_transformer_(o);
        shake(g, 1);
        sg_train(g, true);
        sg_tensor *x = sequences(g, SG_F64, B, T, D), *z = sequences(g, SG_F64, B, S, M);
        sg_tensor *all[MOST_LEAVES];
        int n = leaves(g, 1 + (o.memory > 0), (sg_tensor *[]){x, z}, all);
        sg_tensor *y = sg_transform(&m, x, mixed, o.memory ? z : NULL, memory_mixed);
        sg_gradcheck_result r = sg_gradcheck(y, n, all, .order = k % 8 ? 1 : 2);
        cr_expect(r.ok, "way %d: %g, %g at \"%s\": %s", k, r.error[0], r.error[1],
                  sg_name(all[r.input]), sg_errmsg(g));
        sg_close(g);
    }
}

Test(transformer, padding_changes_no_bit)
{
    for (int k = 0; k < WAYS; k++) {
        sg_context *g = sg_open();
        sg_transformer m = make(g, SG_F32, k);
        sg_tensor *y = run(&m, 0);
        for (int i = 0; i < GARBAGE; i++)
            same_bits(run(&m, garbage[i]), y, named("way %d, %g in the padding", k, garbage[i]));
        for (int b = 0; b < B; b++)
            for (int t = mixed[b]; t < T; t++)
                cr_expect(all_zero(sg_index(sg_index(y, 0, b), 0, t)));
        sg_close(g);
    }
}

Test(transformer, a_row_alone_has_the_same_bits)
{
    for (int k = 0; k < WAYS; k++) {
        sg_context *g = sg_open();
        sg_transformer m = make(g, SG_F32, k);
        sg_tensor *y = run(&m, 0);
        for (int b = 0; b < B; b++) {
            if (!mixed[b])
                continue;
            sg_tensor *x = sequences(g, SG_F32, 1, mixed[b], D, .first = b);
            sg_tensor *z = sequences(g, SG_F32, 1, memory_mixed[b], M, .first = b);
            sg_tensor *alone = sg_transform(&m, x, .memory = m.o.memory ? z : NULL);
            sg_tensor *row = sg_slice(sg_slice(y, 0, b, b + 1, 1), 1, 0, mixed[b], 1);
            same_bits(alone, row, named("way %d, row %d", k, b));
        }
        sg_close(g);
    }
}

/* An element knows nothing of those behind it. */
Test(transformer, causal_ones_do_not_see_the_future)
{
    for (int k = 0; k < WAYS; k++) {
        sg_context *g = sg_open();
        sg_transformer m = make(g, SG_F64, k);
        sg_tensor *x = sequences(g, SG_F64, B, T, D), *z = sequences(g, SG_F64, B, S, M), *grad;
        sg_tensor *y = sg_transform(&m, x, .memory = m.o.memory ? z : NULL);
        sg_grad(sg_sum(sg_sin(sg_index(y, 1, 1)), SG_ALL_AXES, false), 1, &x, &grad);
        cr_expect(!all_zero(sg_index(grad, 1, 0)) && !all_zero(sg_index(grad, 1, 1)));
        cr_expect(all_zero(sg_slice(grad, 1, 2, T, 1)) == m.o.causal, "way %d", k);
        sg_close(g);
    }
}

/* Element by element with a cache, or in parts: the same as all at once. */
Test(transformer, a_cache_goes_on_where_it_ended)
{
    for (int k = 0; k < WAYS; k++)
        for (int part = 1; part < T; part++) {
            sg_context *g = sg_open();
            sg_transformer m = make(g, SG_F64, k);
            if (!m.o.causal) {
                sg_close(g);
                continue;
            }
            sg_tensor *x = sequences(g, SG_F64, B, T, D), *z = sequences(g, SG_F64, B, S, M);
            z = m.o.memory ? z : NULL;
            sg_tensor *whole = sg_transform(&m, x, .memory = z, .memory_lengths = memory_mixed);
            sg_cache cache = sg_begin_cache(&m, B, z, memory_mixed);
            for (int t = 0; t < T; t += part) {
                int end = t + part < T ? t + part : T;
                sg_tensor *y = sg_transform(&m, sg_slice(x, 1, t, end, 1), .cache = &cache);
                double d = distance(y, sg_slice(whole, 1, t, end, 1));
                cr_expect(d < 1e-13, "way %d, elements %d..%d: off by %g: %s", k, t, end, d,
                          sg_errmsg(g));
            }
            cr_expect(cache.time == T);
            sg_close(g);
        }
}

/* A language model of two lines learns which word comes next. */
Test(transformer, a_language_model)
{
    enum { WORDS = 7, LONG = 8 };
    sg_context *g = sg_open();
    const int32_t text[] = {0, 3, 5, 1, 6, 2, 4, 0, 3};
    double first = 0, last = 0;
    for (int step = 0; step < 60 && sg_ok(g); step++, sg_reset(g)) {
        sg_tensor *table = sg_embedding(g, "words", WORDS, 16);
        sg_transformer m = sg_make_transformer(g, "lm", 16, 2, 1, .causal = true);
        sg_tensor *ids = sg_input(g, SG_I32, SG_SHAPE(1, LONG), text);
        sg_tensor *h = sg_transform(&m, sg_take(table, ids));
        sg_tensor *logits = sg_apply(sg_tied("out", table), h);
        sg_tensor *loss = sg_label_loss(logits, text + 1).mean, *grads[MOST_LEAVES];
        sg_tensor *all[MOST_LEAVES];
        int n = leaves(g, 0, NULL, all);
        sg_grad(loss, n, all, grads);
        for (int i = 0; i < n; i++)
            sg_assign(all[i], sg_sub(all[i], sg_mul(grads[i], sg_like(loss, 0.2))));
        last = sg_item(loss);
        first = step ? first : last;
    }
    cr_expect(sg_ok(g) && last < 0.1 && first > 1.5, "%g, then %g: %s", first, last, sg_errmsg(g));
    sg_close(g);
}

/* ---- coverage and windows ------------------------------------------------------------------- */

static sg_attention special(sg_context *g, bool coverage, int window, sg_dtype dtype)
{
    sg_attention a = sg_make_attention(g, "a", SG_CONCAT, 4, M, .hidden = 5, .coverage = coverage,
                                       .window = window, .dtype = dtype);
    shake(g, 1);
    return a;
}

/* Three steps of attention that remembers where it looked. */
static sg_tensor *cover(const sg_attention *a, sg_tensor *v, sg_tensor *q, sg_tensor **cost)
{
    sg_memory m = sg_remember(a, v, mixed);
    sg_tensor *all[3], *losses[3];
    for (int t = 0; t < 3; t++) {
        sg_attended r = sg_attend(a, &m, sg_index(q, 1, t));
        m.coverage = m.coverage ? m.coverage : sg_mul(r.weights, sg_like(q, 0));
        losses[t] = sg_coverage_loss(r.weights, m.coverage);
        m.coverage = sg_add(m.coverage, r.weights);
        all[t] = r.weights;
    }
    *cost = sg_add_n(3, losses);
    return sg_stack_(1, 3, all);
}

Test(transformer, coverage_is_part_of_the_score)
{
    sg_context *g = sg_open();
    sg_attention a = special(g, true, 0, SG_F64);
    sg_tensor *v = sequences(g, SG_F64, B, T, M), *q = sequences(g, SG_F64, B, 3, 4, .seed = 2);
    sg_tensor *cost, *w = cover(&a, v, q, &cost);
    double covered[T] = {0}, total = 0;
    for (int t = 0; t < 3; t++) { /* row 1, which is full */
        double z[T], sum = 0;
        for (int s = 0; s < T; s++) {
            double score = 0;
            for (int j = 0; j < 5; j++) {
                double u = covered[s] * element(a.wc, j);
                for (int i = 0; i < 4; i++)
                    u += element(q, (3 + t) * 4 + i) * element(a.wq, i * 5 + j);
                for (int i = 0; i < M; i++)
                    u += element(v, (T + s) * M + i) * element(a.wk, i * 5 + j);
                score += tanh(u) * element(a.v, j);
            }
            sum += z[s] = exp(score);
        }
        for (int s = 0; s < T; s++) {
            cr_expect(fabs(element(w, (3 + t) * T + s) - z[s] / sum) < 1e-14, "step %d", t);
            total += fmin(z[s] / sum, covered[s]);
            covered[s] += z[s] / sum;
        }
    }
    cr_expect(fabs(element(cost, 1) - total) < 1e-14);
    check_gradients(joined(w, cost), 2, (sg_tensor *[]){v, q}, "coverage");
    for (int i = 0; i < GARBAGE; i++) {
        sg_tensor *dirty = sequences(g, SG_F64, B, T, M, .lengths = mixed, .fill = garbage[i]);
        same_bits(cover(&a, dirty, q, &cost), w, "garbage");
    }
    sg_close(g);
}

Test(transformer, windows)
{
    enum { LONG = 9, WIDTH = 2 };
    static const int lengths[B] = {LONG, 6, 0};
    for (int given = 0; given < 2; given++) {
        sg_context *g = sg_open();
        sg_attention a = special(g, false, WIDTH, SG_F64), open = a;
        open.window = 0;
        sg_tensor *v = sequences(g, SG_F64, B, LONG, M);
        sg_tensor *q = sequences(g, SG_F64, B, T, 4, .seed = 2);
        sg_memory m = sg_remember(&a, v, lengths);
        m.position = given ? tensor(g, SG_F64, SG_SHAPE(B, T),
                                    (double[B * T]){0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5})
                           : NULL;
        sg_attended r = sg_attend(&a, &m, q), all = sg_attend(&open, &m, q);
        for (int i = 0; i < B * T; i++) {
            double p = 0, sum = 0;
            for (int j = 0; j < 5 && !given; j++) {
                double u = 0;
                for (int k = 0; k < 4; k++)
                    u += element(q, i * 4 + k) * element(a.wp, k * 5 + j);
                p += tanh(u) * element(a.vp, j);
            }
            p = given ? element(m.position, i) : lengths[i / T] / (1 + exp(-p));
            for (int s = 0; s < lengths[i / T]; s++)
                sum += fabs(s - p) <= WIDTH ? element(all.weights, i * LONG + s) : 0;
            for (int s = 0; s < LONG; s++) {
                bool near = s < lengths[i / T] && fabs(s - p) <= WIDTH;
                double w = near ? element(all.weights, i * LONG + s) / sum : 0;
                w *= given ? 1 : exp(-(s - p) * (s - p) / 2.0);
                cr_expect(fabs(element(r.weights, i * LONG + s) - w) < 1e-13, "query %d, at %d", i,
                          s);
            }
        }
        if (!given)
            check_gradients(joined(r.context, r.weights), 2, (sg_tensor *[]){v, q}, "window");
        for (int i = 0; i < GARBAGE; i++) {
            sg_tensor *p = m.position;
            m = sg_remember(
                &a, sequences(g, SG_F64, B, LONG, M, .lengths = lengths, .fill = garbage[i]),
                lengths);
            m.position = p;
            same_bits(sg_attend(&a, &m, q).context, r.context, "garbage");
        }
        sg_close(g);
    }
}

/* ---- errors --------------------------------------------------------------------------------- */

Test(transformer, errors)
{
    sg_context *g = sg_open();
    REFUSES(g, sg_make_heads(g, "a", 7, 2), "heads \"a\": 2 heads of 7 features");
    REFUSES(g, sg_make_heads(g, "b", 6, 2, .rotary = true),
            "rotary positions are for one sequence, and heads of an even size: 2 of 6");
    REFUSES(g, sg_make_transformer(g, "c", 8, 2, 99),
            "transformer \"c\": 99 layers are not in 1..24");
    REFUSES(g, sg_make_transformer(g, "d", 8, 2, 1, .positions = SG_LEARNED),
            "no such positions (2), or 0 learned ones");
    REFUSES(g, sg_make_attention(g, "e", SG_DOT, 3, 3, .coverage = true),
            "coverage is a part of the concat score only");
    REFUSES(g, sg_make_attention(g, "f", SG_DOT, 3, 3, .window = -1), "a window of -1 elements");
    REFUSES(g, sg_make_attention(g, NULL, SG_DOT, 3, 3), "a name is needed");
    REFUSES(g, sg_make_transformer(g, NULL, 8, 2, 1), "a name is needed");
    sg_heads cross = sg_make_heads(g, "g", D, 2, .memory = M);
    sg_tensor *x = sequences(g, SG_F32, B, T, D);
    REFUSES(g, sg_attend_heads(&cross, x, NULL, NULL),
            "heads: made to attend to a memory, not to itself");
    x = sequences(g, SG_F32, B, .size = D, .flat = true);
    REFUSES(g, sg_attend_heads(&cross, x, x, NULL),
            "x, and what it attends to, are [batch, time, features]: 2 axes");
    REFUSES(g, sg_rotate(sg_full(g, SG_F32, SG_SHAPE(2, 3), 0), 0),
            "rotate: x has 2 axes, and 3 features, not pairs");

    REFUSES(g, sg_sinusoids(g, SG_F32, 0, -1, 3), "sinusoids: -1 positions of 3 features");
    REFUSES(g, sg_causal_mask(g, 1, -1), "causal mask: 1 queries, -1 keys");

    sg_transformer m = make(g, SG_F32, 2), decoder = make(g, SG_F32, 16);
    REFUSES(g, sg_transform(&m, sequences(g, SG_F32, B, T, D + 1)),
            "transformer: x is not [batch, time, 8]: 3 axes, 9 features");
    REFUSES(g, sg_transform(&m, sequences(g, SG_F32, B, T + 1, D)),
            "5 elements, but only 4 learned positions");
    REFUSES(g, sg_transform(&decoder, sequences(g, SG_F32, B, T, D)),
            "a memory of 3 features is part of the model, none is given");
    x = sequences(g, SG_F32, B, T, D);
    REFUSES(g, sg_transform(&decoder, x, .memory = sg_index(x, 1, 0)),
            "the memory has 2 axes, not [batch, time, features]");
    sg_cache cache = {0};
    REFUSES(g, sg_transform(&m, sequences(g, SG_F32, B, T, D), .cache = &cache),
            "a cache is for causal models, without lengths, and has the memory already");
    sg_close(g);
}
