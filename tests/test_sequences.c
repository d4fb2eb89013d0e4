/* Layers of cells, pooling, one vector as a sequence, carried states: identities, gradients,
 * padding; errors of these and of fusions. */
#include "models/models.h"
#include "tests/models_test.h"

enum { B = 4, T = 5, IN = 3, H = 3 };

static const int mixed[B] = {3, T, 0, 1};

static sg_tensor *xs(sg_context *g, sg_dtype dtype, double fill)
{
    return sequences(g, dtype, B, T, IN, .lengths = mixed, .fill = fill);
}

/* ---- layers --------------------------------------------------------------------------------- */

/* Layers of one kind, and of each direction: cell[2 l], cell[2 l + 1]. */
static void make_layers(sg_context *g, int kind, int layers, int width, sg_cell *fw, sg_cell *bw)
{
    for (int l = 0; l < layers; l++) {
        fw[l] = make_cell(g, (kind + l) % CELL_KINDS, named("fw%d", l), SG_F64, l ? width : IN, H);
        bw[l] = make_cell(g, (kind + l) % CELL_KINDS, named("bw%d", l), SG_F64, l ? width : IN, H);
    }
    shake(g, 1);
}

Test(sequences, deep_is_layer_over_layer)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell fw[2], bw[2];
        make_layers(g, kind, 2, 2 * H, fw, bw);
        sg_tensor *x = xs(g, SG_F64, NAN), *y = x;
        sg_state final[4], one[2];
        sg_tensor *h = sg_deep(2, fw, bw, x, mixed, .final = final);
        for (int l = 0; l < 2; l++) {
            y = sg_bidirectional(fw[l], bw[l], y, mixed, &one[l]);
            same_bits(sg_concat(-1, final[2 * l].h, final[2 * l + 1].h), one[l].h, "states");
        }
        same_bits(h, y, cell_kinds[kind].name);
        sg_state again[4];
        sg_tensor *on = sg_deep(2, fw, bw, x, mixed, .initial = final, .final = again);
        cr_expect(distance(on, h) > 1e-3, "initial states are read");
        same_bits(sg_slice(again[2].h, 0, 2, 3, 1), sg_slice(final[2].h, 0, 2, 3, 1), "empty row");
        sg_close(g);
    }
}

Test(sequences, gradients_of_deep_ones)
{
    for (int kind = 0; kind < CELL_KINDS; kind++)
        for (int way = 0; way < 3; way++) {
            sg_context *g = sg_open();
            sg_cell fw[2], bw[2];
            sg_fusion merge[2] = {{SG_FUSE_MEAN}, {SG_FUSE_MEAN}};
            make_layers(g, kind, 2, H, fw, bw);
            if (way == 2)
                for (int l = 0; l < 2; l++)
                    merge[l] =
                        sg_make_fusion(g, named("m%d", l), SG_FUSE_MLP, H, H, .dtype = SG_F64);
            shake(g, 1);
            sg_train(g, true);
            sg_tensor *x = xs(g, SG_F64, 0);
            sg_tensor *h = way ? sg_deep(2, fw, bw, x, mixed, merge, .dropout = 0.3)
                               : sg_deep(2, fw, .x = x, .lengths = mixed, .dropout = 0.3);
            sg_gradcheck_result r = sg_gradcheck(h, 1, &x);
            cr_expect(r.ok, "%s, way %d: %g, %s", cell_kinds[kind].name, way, r.error[0],
                      sg_errmsg(g));
            sg_close(g);
        }
}

Test(sequences, padding_changes_no_bit_in_deep_ones)
{
    for (int k = 0; k < GARBAGE; k++) {
        sg_context *g = sg_open();
        sg_cell fw[2], bw[2];
        sg_fusion merge[2];
        make_layers(g, 4, 2, H, fw, bw);
        for (int l = 0; l < 2; l++)
            merge[l] = sg_make_fusion(g, named("m%d", l), SG_FUSE_MLP, H, H, .dtype = SG_F64);
        shake(g, 1);
        sg_tensor *clean = xs(g, SG_F64, 0), *dirty = xs(g, SG_F64, garbage[k]);
        sg_tensor *h = sg_deep(2, fw, bw, clean, mixed, merge);
        same_bits(sg_deep(2, fw, bw, dirty, mixed, merge), h, named("%g", garbage[k]));
        for (int b = 0; b < B; b++) {
            for (int t = mixed[b]; t < T; t++)
                cr_expect(all_zero(sg_index(sg_index(h, 0, b), 0, t)));
            sg_tensor *alone = sg_slice(sg_slice(clean, 0, b, b + 1, 1), 1, 0, mixed[b], 1);
            sg_tensor *of_row = sg_slice(sg_slice(h, 0, b, b + 1, 1), 1, 0, mixed[b], 1);
            same_bits(sg_deep(2, fw, bw, alone, NULL, merge), of_row, "alone");
        }
        sg_close(g);
    }
}

/* y = g(A V + A' V' + b) = g([A; A'] [V; V'] + b) */
Test(sequences, the_sum_form_of_two_directions_is_a_layer_of_the_joined)
{
    sg_context *g = sg_open();
    sg_cell fw, bw;
    make_layers(g, 4, 1, H, &fw, &bw);
    sg_fusion sum = sg_make_fusion(g, "sum", SG_FUSE_MLP, H, H, .out = 6, .dtype = SG_F64,
                                   .activation = SG_SIGMOID);
    shake(g, 1);
    sg_tensor *x = xs(g, SG_F64, 0);
    sg_affine layer = {sg_concat(0, sum.wh, sum.wz), sum.b};
    sg_tensor *joined = sg_deep(1, &fw, &bw, x), *y = sg_deep(1, &fw, &bw, x, .merge = &sum);
    cr_expect(sg_dim(joined, 2) == 2 * H && sg_dim(y, 2) == 6, "%s", sg_errmsg(g));
    double d = distance(y, sg_activate(sg_apply(layer, joined), SG_SIGMOID));
    cr_expect(d < 1e-15, "off by %g", d);
    sg_close(g);
}

enum { TAGS = 4 };

static int32_t tag_of(int row, int step)
{
    return (row * 3 + step * 2) % TAGS;
}

/* -log p of the tags of steps from `step` on of rows from `row` on, h [rows, steps, H]. */
static sg_tensor *tag_loss(sg_affine out, sg_tensor *h, int row, int step, const int *lengths)
{
    int32_t tags[B * T];
    int rows = (int)sg_dim(h, 0), steps = (int)sg_dim(h, 1);
    for (int i = 0; i < rows * steps; i++)
        tags[i] = tag_of(row + i / steps, step + i % steps);
    return sg_label_loss(sg_apply(out, h), tags, lengths).sum;
}

/* Row after row, step after step. */
static sg_tensor *loss_one_by_one(const sg_cell *p, sg_affine out, sg_tensor *x)
{
    sg_tensor *sum = sg_full(p->g, SG_F64, (sg_shape){0}, 0);
    for (int b = 0; b < B; b++) {
        sg_state s = sg_zero_state(p, 1);
        for (int t = 0; t < mixed[b]; t++) {
            s = sg_cell_step(p, sg_index(sg_slice(x, 0, b, b + 1, 1), 1, t), s);
            sum = sg_add(sum, tag_loss(out, sg_expand_dims(s.h, 1), b, t, NULL));
        }
    }
    return sum;
}

static sg_tensor *rows_of(sg_tensor *x, int n, const int32_t *rows)
{
    return sg_take(x, sg_input(sg_context_of(x), SG_I32, SG_SHAPE(n), rows));
}

/* Step after step, each of those rows only that are so long, without any padding. */
static sg_tensor *loss_packed(const sg_cell *p, sg_affine out, sg_tensor *x)
{
    sg_tensor *sum = sg_full(p->g, SG_F64, (sg_shape){0}, 0);
    sg_state all[B];
    for (int b = 0; b < B; b++)
        all[b] = sg_zero_state(p, 1);
    for (int t = 0; t < T; t++) {
        int32_t rows[B];
        int n = 0;
        sg_tensor *h[B], *c[B];
        for (int b = 0; b < B; b++)
            if (t < mixed[b]) {
                h[n] = all[b].h;
                c[n] = all[b].c;
                rows[n++] = b;
            }
        if (n == 0)
            break;
        sg_state s = {sg_concat_(0, n, h), sg_concat_(0, n, c)};
        s = sg_cell_step(p, rows_of(sg_index(x, 1, t), n, rows), s);
        for (int i = 0; i < n; i++) {
            all[rows[i]] = (sg_state){sg_slice(s.h, 0, i, i + 1, 1), sg_slice(s.c, 0, i, i + 1, 1)};
            sg_tensor *one = sg_expand_dims(all[rows[i]].h, 1);
            sum = sg_add(sum, tag_loss(out, one, rows[i], t, NULL));
        }
    }
    return sum;
}

Test(sequences, packed_padded_and_one_by_one_have_the_same_loss)
{
    sg_context *g = sg_open();
    sg_cell p = sg_lstm(g, "lstm", IN, H, .dtype = SG_F64);
    sg_affine out = sg_linear(g, "out", H, TAGS, .dtype = SG_F64);
    shake(g, 1);
    sg_tensor *x = xs(g, SG_F64, NAN), *h = sg_unroll(p, x, mixed);
    sg_tensor *padded = tag_loss(out, h, 0, 0, mixed), *alone = NULL;
    for (int b = 0; b < B; b++) {
        sg_tensor *row = sg_slice(sg_slice(x, 0, b, b + 1, 1), 1, 0, mixed[b], 1);
        sg_tensor *own = sg_unroll(p, row), *loss = tag_loss(out, own, b, 0, NULL);
        same_bits(own, sg_slice(sg_slice(h, 0, b, b + 1, 1), 1, 0, mixed[b], 1), "padded");
        alone = alone ? sg_add(alone, loss) : loss;
    }
    sg_tensor *others[] = {alone, loss_packed(&p, out, x), loss_one_by_one(&p, out, x)};
    sg_tensor *expected[MOST_LEAVES], *grads[MOST_LEAVES];
    int n = gradients_of(padded, 0, NULL, expected);
    cr_expect(sg_item(padded) > 1);
    for (int i = 0; i < 3; i++) {
        cr_expect(distance(others[i], padded) < 1e-13, "way %d: %.17g, %.17g", i,
                  sg_item(others[i]), sg_item(padded));
        cr_expect_eq(gradients_of(others[i], 0, NULL, grads), n);
        for (int k = 0; k < n; k++)
            cr_expect(distance(grads[k], expected[k]) < 1e-13, "way %d, gradient %d", i, k);
    }
    sg_close(g);
}

/* ---- pooling -------------------------------------------------------------------------------- */

Test(sequences, pools)
{
    for (int kind = SG_POOL_LAST; kind <= SG_POOL_MAX; kind++)
        for (int padded = 0; padded < 2; padded++) {
            sg_context *g = sg_open();
            const int *lengths = padded ? mixed : NULL;
            sg_tensor *x = sequences(g, SG_F64, B, T, IN);
            sg_tensor *y = sg_pool((sg_pooling)kind, x, lengths);
            for (int b = 0; b < B; b++)
                for (int k = 0; k < IN; k++) {
                    int n = padded ? mixed[b] : T;
                    double last = 0, sum = 0, most = n ? -INFINITY : 0;
                    for (int t = 0; t < n; t++) {
                        last = element(x, (b * T + t) * IN + k);
                        sum += last / n;
                        most = fmax(most, last);
                    }
                    const double expected[] = {last, sum, most};
                    cr_expect(fabs(element(y, b * IN + k) - expected[kind]) < 1e-15, "kind %d",
                              kind);
                }
            check_gradients(y, 1, &x, named("pool %d", kind));
            for (int i = 0; padded && i < GARBAGE; i++)
                same_bits(sg_pool((sg_pooling)kind, xs(g, SG_F64, garbage[i]), mixed), y,
                          "garbage");
            sg_tensor *none = sg_full(g, SG_F64, SG_SHAPE(B, 0, IN), 0);
            cr_expect(all_zero(sg_pool((sg_pooling)kind, none, NULL)));
            sg_close(g);
        }
}

Test(sequences, pools_by_attention)
{
    sg_context *g = sg_open();
    sg_attention_pool p = sg_make_attention_pool(g, "pool", IN, 6, SG_F64);
    shake(g, 1);
    sg_tensor *x = sequences(g, SG_F64, B, T, IN);
    sg_attended a = sg_pool_by_attention(&p, x, mixed);
    cr_assert(sg_ok(g) && sg_rank(a.context) == 2 && sg_rank(a.weights) == 2, "%s", sg_errmsg(g));
    for (int b = 0; b < B; b++) {
        double w[T] = {0}, sum = 0;
        for (int t = 0; t < mixed[b]; t++) {
            double s = 0;
            for (int j = 0; j < 6; j++) {
                double z = element(p.hidden.b, j);
                for (int i = 0; i < IN; i++)
                    z += element(x, (b * T + t) * IN + i) * element(p.hidden.w, i * 6 + j);
                s += tanh(z) * element(p.v, j);
            }
            sum += w[t] = exp(s);
        }
        for (int t = 0; t < T; t++)
            cr_expect(fabs(element(a.weights, b * T + t) - (sum > 0 ? w[t] / sum : 0)) < 1e-14);
    }
    check_gradients(joined(a.context, a.weights), 1, &x, "pool by attention");
    for (int i = 0; i < GARBAGE; i++)
        same_bits(sg_pool_by_attention(&p, xs(g, SG_F64, garbage[i]), mixed).context, a.context,
                  "garbage");
    sg_close(g);
}

/* ---- one to many ---------------------------------------------------------------------------- */

Test(sequences, from_one)
{
    sg_context *g = sg_open();
    sg_tensor *x = sequences(g, SG_F64, B, .size = IN, .flat = true);
    sg_tensor *all = sg_from_one(x, T, false), *first = sg_from_one(x, T, true);
    for (int t = 0; t < T; t++) {
        same_bits(sg_index(all, 1, t), x, "at every step");
        if (t)
            cr_expect(all_zero(sg_index(first, 1, t)));
    }
    same_bits(sg_index(first, 1, 0), x, "at the first step");
    check_gradients(sg_mul(all, sg_add(first, sg_like(x, 2))), 1, &x, "from one");
    REFUSES(g, sg_from_one(x, 0, true), "from one: x has 2 axes, not [batch, in]; 0 steps");
    sg_close(g);
}

/* ---- carried states ------------------------------------------------------------------------- */

/* Two stretches of text with the state carried are one long one, but for the gradient. */
static sg_tensor *part_of(sg_context *g, int part)
{
    return sg_slice(sequences(g, SG_F64, B, 4, IN), 1, 2 * part, 2 * part + 2, 1);
}

/* The gradient of a part alone, from a state that is given: step by step. */
static sg_tensor *gradient_of_part(const sg_cell *p, sg_tensor *x, sg_state s)
{
    sg_tensor *h[2], *grad;
    for (int t = 0; t < 2; t++) {
        s = sg_cell_step(p, sg_index(x, 1, t), s);
        h[t] = s.h;
    }
    sg_grad(sg_sum(sg_add(h[0], h[1]), SG_ALL_AXES, false), 1, &p->wh, &grad);
    return grad;
}

static sg_tensor *leaf_like(sg_tensor *x)
{
    return x ? sg_input(sg_context_of(x), SG_F64, sg_shape_of(x), sg_data(x)) : NULL;
}

/* What is carried has the states' values, and is where the gradient ends. */
Test(sequences, states_are_carried_over_the_reset)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H);
        shake(g, 1);
        sg_tensor *x = sequences(g, SG_F64, B, 4, IN), *h = sg_unroll(p, x), *grad;
        double whole[B * 4 * H], through[B * 4 * H * H];
        memcpy(whole, sg_data(h), sizeof whole);
        sg_grad(sg_sum(sg_slice(h, 1, 2, 4, 1), SG_ALL_AXES, false), 1, &p.wh, &grad);
        cr_assert(sg_size(grad) <= B * 4 * H * H);
        memcpy(through, sg_data(grad), (size_t)sg_size(grad) * sizeof *through);
        sg_state s = {NULL}, given;
        for (int part = 0; part < 2; part++) {
            sg_reset(g);
            given = part ? (sg_state){leaf_like(s.h), leaf_like(s.c)} : sg_zero_state(&p, B);
            uint64_t before = sg_stats(g).recomputed;
            h = sg_unroll(p, part_of(g, part), .initial = s, .final = &s);
            sg_carry(1, &s);
            sg_grad(sg_sum(h, SG_ALL_AXES, false), 1, &p.wh, &grad);
            sg_eval(h, grad);
            cr_assert(sg_ok(g), "%s", sg_errmsg(g));
            for (int b = 0; b < B; b++)
                for (int i = 0; i < 2 * H; i++)
                    cr_expect(element(h, b * 2 * H + i) == whole[(b * 4 + 2 * part) * H + i], "%s",
                              cell_kinds[kind].name);
            cr_expect(sg_stats(g).recomputed == before);
            double d = distance(grad, gradient_of_part(&p, part_of(g, part), given));
            cr_expect(d < 1e-12, "%s: part %d: off by %g", cell_kinds[kind].name, part, d);
        }
        sg_tensor *longer = sg_input(g, SG_F64, sg_shape_of(grad), through);
        cr_expect(distance(grad, longer) > 1e-6, "%s: not truncated", cell_kinds[kind].name);
        sg_close(g);
    }
}

/* ---- errors --------------------------------------------------------------------------------- */

Test(sequences, errors)
{
    sg_context *g = sg_open();
    sg_tensor *x = sequences(g, SG_F32, B, T, IN), *flat = sg_index(x, 1, 0);
    sg_cell p = sg_rnn(g, "rnn", IN, H);
    sg_fusion add = {SG_FUSE_ADD}, none = {(sg_fusion_kind)9};
    REFUSES(g, sg_deep(0, &p, .x = x), "deep: 0 layers");
    REFUSES(g, sg_deep(1, .x = x), "deep: 1 layers, and no cells");
    x = sequences(g, SG_F32, B, T, IN);
    REFUSES(g, sg_deep(1, &p, .x = x, .merge = &add),
            "deep: there is nothing to merge in one direction");
    x = sequences(g, SG_F32, B, T, IN);
    REFUSES(g, sg_pool((sg_pooling)5, x, NULL), "pool: no such pooling (5)");
    flat = sequences(g, SG_F32, B, .size = IN, .flat = true);
    REFUSES(g, sg_pool(SG_POOL_MEAN, flat, NULL), "pool: h has 2 axes, not [batch, time, hidden]");
    x = sequences(g, SG_F32, B, T, IN);
    REFUSES(g, sg_pool(SG_POOL_MAX, x, (int[]){1, 9, 1, 1}), "pool: length 9 of row 1");
    REFUSES(g, sg_make_fusion(g, "a", SG_FUSE_ADD, 3, 4),
            "fusion \"a\": h has 3 features, z 4: they do not add");
    REFUSES(g, sg_make_fusion(g, "b", SG_FUSE_MLP, 3), "fusion \"b\": h of 3 and z of 0 features");
    REFUSES(g, sg_make_fusion(g, "c", (sg_fusion_kind)7, 3, 3), "fusion \"c\": no such kind (7)");
    REFUSES(g, sg_make_fusion(g, "d", SG_FUSE_CONCAT, 3, 4, .out = 5),
            "only an MLP has a size of its own, not kind 0");
    REFUSES(g, sg_make_fusion(g, "g", SG_FUSE_CONCAT, 3, 3, .activation = SG_RELU),
            "fusion \"g\": activation is an option of another kind than 0");
    REFUSES(g, sg_make_fusion(g, "h", SG_FUSE_MLP, 3, 3, .project = true),
            "fusion \"h\": project is an option of another kind than 4");
    REFUSES(g, sg_make_fusion(g, NULL, SG_FUSE_MLP, 3, 3), "a name is needed");
    for (int kind = SG_FUSE_RESTORED; kind <= SG_FUSE_MLP; kind++) {
        sg_fusion unmade = {(sg_fusion_kind)kind};
        flat = sequences(g, SG_F32, B, .size = IN, .flat = true);
        REFUSES(g, sg_fuse(&unmade, flat, flat), "has parameters: sg_make_fusion");
    }
    sg_fusion f = sg_make_fusion(g, "f", SG_FUSE_RESTORED, 3, 4);
    flat = sequences(g, SG_F32, B, .size = IN, .flat = true);
    REFUSES(g, sg_fuse(&f, flat, flat), "fusion: h has 3 features and z 3, not 3 and 4");
    flat = sequences(g, SG_F32, B, .size = IN, .flat = true);
    sg_tensor *wide = sequences(g, SG_F32, B, .size = 4, .flat = true);
    REFUSES(g, sg_fuse(&add, flat, wide), "fusion: h has 3 features, z 4: they do not add");
    flat = sequences(g, SG_F32, B, .size = IN, .flat = true);
    x = sequences(g, SG_F32, B + 1, T, IN);
    REFUSES(g, sg_fuse(&add, x, flat),
            "fusion: h is [batch, h] or [batch, time, h], z [batch, z] or as h: their axes are "
            "3 and 2, their rows 5 and 4");
    flat = sequences(g, SG_F32, B, .size = IN, .flat = true);
    REFUSES(g, sg_fuse(&none, flat, flat), "fusion: no such kind (9)");
    sg_close(g);
}
