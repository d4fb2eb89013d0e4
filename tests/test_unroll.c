/* Cells over sequences: gradients, lengths, directions, states, and that neither padding nor the
 * other rows of a batch can be seen in any bit. */
#include "models/models.h"
#include "tests/models_test.h"

enum { B = 5, T = 4, IN = 2, H = 3 };

static const int mixed[B] = {2, T, 0, 1, 3};

static sg_state random_state(const sg_cell *p, sg_dtype dtype, int batch, int first)
{
    sg_state s = {
        sequences(p->g, dtype, batch, .size = p->hidden, .flat = true, .seed = 11, .first = first)};
    if (p->states > 1)
        s.c = sequences(p->g, dtype, batch, .size = p->hidden, .flat = true, .seed = 12,
                        .first = first);
    return s;
}

/* ---- gradients ------------------------------------------------------------------------------ */

static void check_unroll(int kind, sg_dtype dtype, const int *lengths, bool reverse, bool state)
{
    sg_context *g = sg_open();
    sg_cell p = make_cell(g, kind, "cell", dtype, IN, H);
    shake(g, 1);
    sg_tensor *x = sequences(g, dtype, B, T, IN);
    sg_state initial = {NULL}, final;
    if (state)
        initial = random_state(&p, dtype, B, 0);
    sg_tensor *h = sg_unroll(p, x, .lengths = lengths, .reverse = reverse, .initial = initial,
                             .final = &final);
    sg_tensor *inputs[] = {x, initial.h, initial.c};
    check_gradients(joined(h, final.h, final.c), state ? 1 + p.states : 1, inputs,
                    named("%s %s%s%s%s", cell_kinds[kind].name, sg_dtype_name(dtype),
                          lengths ? ", lengths" : "", reverse ? ", reverse" : "",
                          state ? ", initial state" : ""));
    sg_close(g);
}

Test(unroll, gradients)
{
    for (int kind = 0; kind < CELL_KINDS; kind++)
        for (int way = 0; way < 8; way++)
            check_unroll(kind, way == 7 ? SG_F32 : SG_F64, way & 1 ? mixed : NULL, way & 2,
                         way & 4);
}

Test(unroll, gradients_of_two_directions_and_layers)
{
    const int kinds[] = {0, 4, 5, 8};
    for (int i = 0; i < 4; i++)
        for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
            sg_context *g = sg_open();
            sg_cell cell[4];
            for (int k = 0; k < 4; k++)
                cell[k] = make_cell(g, kinds[i], named("cell%d", k), (sg_dtype)dtype,
                                    k < 2 ? IN : 2 * H, H);
            shake(g, 1);
            sg_tensor *x = sequences(g, (sg_dtype)dtype, B, T, IN);
            sg_state one, two;
            sg_tensor *h = sg_bidirectional(cell[0], cell[1], x, mixed, &one);
            h = sg_bidirectional(cell[2], cell[3], h, mixed, &two);
            check_gradients(joined(sg_last(h, mixed), one.h, one.c, two.h, two.c), 1, &x,
                            named("%s, two layers of two directions", cell_kinds[kinds[i]].name));
            sg_close(g);
        }
}

/* A weight that is used T times gets the sum of what T copies of it get. */
Test(unroll, gradients_of_a_shared_weight_are_sums)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell shared = make_cell(g, kind, "shared", SG_F64, IN, H), copy[T];
        shake(g, 1);
        sg_tensor *own[] = {shared.wx, shared.b, shared.wh, shared.bh, shared.extra};
        sg_tensor *x = sequences(g, SG_F64, B, T, IN), *of_copy[T][5];
        sg_state s = sg_zero_state(&shared, B);
        for (int t = 0; t < T; t++) {
            copy[t] = shared;
            sg_tensor **field[] = {&copy[t].wx, &copy[t].b, &copy[t].wh, &copy[t].bh,
                                   &copy[t].extra};
            for (int i = 0; i < 5; i++)
                if (own[i])
                    of_copy[t][i] = *field[i] =
                        sg_input(g, SG_F64, sg_shape_of(own[i]), sg_data(own[i]));
            s = sg_cell_step(&copy[t], sg_index(x, 1, t), s);
        }
        sg_state final;
        sg_unroll(shared, x, .final = &final);
        sg_tensor *loss = sg_sum(sg_sin(final.h), SG_ALL_AXES, false);
        sg_tensor *by_copies = sg_sum(sg_sin(s.h), SG_ALL_AXES, false);
        for (int i = 0; i < 5; i++) {
            sg_tensor *whole, *sum = NULL;
            for (int t = 0; own[i] && t < T; t++) {
                sg_tensor *part;
                sg_grad(by_copies, 1, &of_copy[t][i], &part);
                sum = sum ? sg_add(sum, part) : part;
            }
            if (!sum)
                continue;
            sg_grad(loss, 1, &own[i], &whole);
            double d = distance(whole, sum);
            cr_expect(d < 1e-14 && !all_zero(whole), "%s, parameter %d: off by %g",
                      cell_kinds[kind].name, i, d);
        }
        sg_close(g);
    }
}

/* ---- identities ----------------------------------------------------------------------------- */

/* Row b of [batch, ...] tensors. */
static sg_tensor *row(sg_tensor *x, int b)
{
    return sg_slice(x, 0, b, b + 1, 1);
}

static sg_state state_row(sg_state s, int b)
{
    return (sg_state){row(s.h, b), s.c ? row(s.c, b) : NULL};
}

/* Steps by hand, each row for itself, from its end if reversed. */
Test(unroll, is_steps_by_hand)
{
    for (int kind = 0; kind < CELL_KINDS; kind++)
        for (int reverse = 0; reverse < 2; reverse++) {
            sg_context *g = sg_open();
            sg_cell p = make_cell(g, kind, "cell", SG_F32, IN, H);
            shake(g, 1);
            sg_tensor *x = sequences(g, SG_F32, B, T, IN, .lengths = mixed);
            sg_state initial = random_state(&p, SG_F32, B, 0), final;
            sg_tensor *h = sg_unroll(p, x, .lengths = mixed, .reverse = reverse != 0,
                                     .initial = initial, .final = &final);
            cr_expect(sg_dim(h, 0) == B && sg_dim(h, 1) == T && sg_dim(h, 2) == H);
            for (int b = 0; b < B; b++) {
                const char *what =
                    named("%s%s, row %d", cell_kinds[kind].name, reverse ? ", reverse" : "", b);
                sg_state s = state_row(initial, b);
                for (int k = 0; k < mixed[b]; k++) {
                    int t = reverse ? mixed[b] - 1 - k : k;
                    s = sg_cell_step(&p, sg_index(row(x, b), 1, t), s);
                    same_bits(s.h, sg_index(row(h, b), 1, t), what);
                }
                same_states(s, state_row(final, b), what);
                cr_expect(all_zero(sg_slice(row(h, b), 1, mixed[b], SG_END, 1)), "%s: padding",
                          what);
            }
            sg_close(g);
        }
}

Test(unroll, reverse_is_forward_on_flipped_input)
{
    for (int kind = 0; kind < CELL_KINDS; kind++)
        for (int lengths = 0; lengths < 2; lengths++) {
            sg_context *g = sg_open();
            sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H);
            shake(g, 1);
            const int *n = lengths ? mixed : NULL;
            sg_tensor *x = sequences(g, SG_F64, B, T, IN, .lengths = n);
            sg_tensor *turned = n ? sg_reverse_sequence(x, n) : sg_flip(x, 1);
            sg_state one, two;
            sg_tensor *h = sg_unroll(p, x, .lengths = n, .reverse = true, .final = &one);
            sg_tensor *back = sg_unroll(p, turned, .lengths = n, .final = &two);
            same_bits(h, n ? sg_reverse_sequence(back, n) : sg_flip(back, 1),
                      cell_kinds[kind].name);
            same_states(one, two, cell_kinds[kind].name);
            sg_close(g);
        }
}

Test(unroll, two_directions_are_both_joined)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell fw = make_cell(g, kind, "fw", SG_F32, IN, H);
        sg_cell bw = make_cell(g, (kind + 1) % CELL_KINDS, "bw", SG_F32, IN, 2 * H);
        shake(g, 1);
        sg_tensor *x = sequences(g, SG_F32, B, T, IN);
        sg_state both, one, two;
        sg_tensor *h = sg_bidirectional(fw, bw, x, mixed, &both);
        sg_tensor *l = sg_unroll(fw, x, .lengths = mixed, .final = &one);
        sg_tensor *r = sg_unroll(bw, x, .lengths = mixed, .reverse = true, .final = &two);
        same_bits(h, sg_concat(-1, l, r), cell_kinds[kind].name);
        same_bits(both.h, sg_concat(-1, one.h, two.h), cell_kinds[kind].name);
        cr_expect(!both.c == !(one.c && two.c), "only where both have a second state");
        same_bits(h, sg_bidirectional(fw, bw, x, mixed, NULL), cell_kinds[kind].name);
        sg_close(g);
    }
    sg_context *g = sg_open();
    sg_cell fw = sg_lstm(g, "fw", IN, H), bw = sg_lstm(g, "bw", IN, H);
    sg_tensor *x = sequences(g, SG_F32, B, T, IN);
    sg_state both, one, two;
    sg_bidirectional(fw, bw, x, mixed, &both);
    sg_unroll(fw, x, .lengths = mixed, .final = &one);
    sg_unroll(bw, x, .lengths = mixed, .reverse = true, .final = &two);
    same_bits(both.c, sg_concat(-1, one.c, two.c), "second states");
    sg_close(g);
}

/* The last state is the last output, where there is one. */
Test(unroll, last)
{
    sg_context *g = sg_open();
    sg_cell p = sg_gru(g, "gru", IN, H);
    sg_tensor *x = sequences(g, SG_F32, B, T, IN);
    sg_state final;
    sg_tensor *h = sg_unroll(p, x, .lengths = mixed, .final = &final);
    same_bits(sg_last(h, mixed), final.h, "the final state");
    cr_expect(all_zero(row(sg_last(h, mixed), 2)), "of an empty sequence");
    same_bits(sg_last(x, NULL), sg_index(x, 1, T - 1), "of full ones");
    cr_expect(all_zero(sg_last(sequences(g, SG_F32, B, 0, IN), NULL)), "of no time at all");

    sg_tensor *bad = sequences(g, SG_F32, B, T, IN, .lengths = mixed, .fill = NAN);
    sg_tensor *good = sequences(g, SG_F32, B, T, IN, .lengths = mixed), *grads[2][MOST_LEAVES];
    same_bits(sg_last(bad, mixed), sg_last(good, mixed), "NaN in the padding");
    gradients_of(sg_last(bad, mixed), 1, &bad, grads[0]);
    gradients_of(sg_last(good, mixed), 1, &good, grads[1]);
    same_bits(grads[0][0], grads[1][0], "the gradient");
    sg_gradcheck_result r = sg_gradcheck(sg_last(good, mixed), 1, &good, .order = 2);
    cr_expect(r.ok, "%s", sg_errmsg(g));
    sg_close(g);
}

/* ---- padding -------------------------------------------------------------------------------- */

/* Everything there is, of two directions over x: outputs, final states, gradients; how many. */
static int all_of(const sg_cell *fw, const sg_cell *bw, sg_tensor *x, sg_tensor **out)
{
    sg_state one, two;
    out[0] = sg_unroll(*fw, x, .lengths = mixed, .final = &one);
    out[1] = sg_unroll(*bw, x, .lengths = mixed, .reverse = true, .final = &two);
    out[2] = joined(out[0], out[1], one.h, one.c, two.h, two.c);
    return 3 + gradients_of(out[2], 1, &x, out + 3);
}

Test(unroll, padding_changes_no_bit)
{
    for (int kind = 0; kind < CELL_KINDS; kind++)
        for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
            sg_context *g = sg_open();
            sg_cell fw = make_cell(g, kind, "fw", (sg_dtype)dtype, IN, H);
            sg_cell bw = make_cell(g, kind, "bw", (sg_dtype)dtype, IN, H);
            shake(g, 1);
            sg_tensor *x = sequences(g, (sg_dtype)dtype, B, T, IN, .lengths = mixed);
            sg_tensor *expected[MOST_LEAVES], *found[MOST_LEAVES];
            int n = all_of(&fw, &bw, x, expected);
            for (int k = 0; k < GARBAGE; k++) {
                x = sequences(g, (sg_dtype)dtype, B, T, IN, .lengths = mixed, .fill = garbage[k]);
                all_of(&fw, &bw, x, found);
                for (int i = 0; i < n; i++)
                    same_bits(found[i], expected[i],
                              named("%s, %g in the padding: tensor %d", cell_kinds[kind].name,
                                    garbage[k], i));
                for (int b = 0; b < B; b++)
                    cr_expect(all_zero(sg_slice(row(found[3], b), 1, mixed[b], SG_END, 1)),
                              "the gradient by the padding is 0");
            }
            sg_close(g);
        }
}

/* A row alone, and padded further, on all kernels: sizes that are and are not whole vectors. */
static void check_rows(sg_context *g, int kind, int hidden, const char *isa)
{
    enum { ROWS = 9, LONG = 7 };
    static const int lengths[ROWS] = {3, LONG, 0, 1, 5, 2, LONG, 4, 6};
    sg_cell fw = make_cell(g, kind, "fw", SG_F32, 5, hidden);
    sg_cell bw = make_cell(g, kind, "bw", SG_F32, 5, hidden);
    sg_state all, one;
    sg_tensor *x = sequences(g, SG_F32, ROWS, LONG, 5);
    sg_tensor *h = sg_bidirectional(fw, bw, x, lengths, &all);
    for (int b = 0; b < ROWS; b++)
        for (int more = 0; more < 2; more++) {
            int time = lengths[b] + 6 * more, n = lengths[b];
            x = sequences(g, SG_F32, 1, time, 5, .first = b);
            sg_tensor *alone = sg_bidirectional(fw, bw, x, more ? &n : NULL, &one);
            const char *what =
                named("%s of %d, %s, row %d, time %d", cell_kinds[kind].name, hidden, isa, b, time);
            same_bits(sg_slice(alone, 1, 0, n, 1), sg_slice(row(h, b), 1, 0, n, 1), what);
            same_states(one, state_row(all, b), what);
        }
}

Test(unroll, a_row_does_not_depend_on_its_batch)
{
    const int sizes[] = {3, 16, 37};
    for (int set = 0; set < SETS; set++)
        for (int kind = 0; kind < CELL_KINDS; kind++)
            for (int s = 0; s < 3; s++) {
                sg_context *g = open_set(all_sets[set]);
                if (!g)
                    continue;
                check_rows(g, kind, sizes[s], all_sets[set]);
                sg_close(g);
            }
}

/* h_T = sum of w^(T-1-t) x_t: a long chain's gradient in closed form */
Test(unroll, a_chain_of_100_steps)
{
    enum { N = 100 };
    sg_context *g = sg_open();
    sg_cell p =
        sg_rnn(g, "chain", .in = 1, .hidden = 1, .activation = SG_IDENTITY, .dtype = SG_F64);
    double one = 1, w = 0.98, dw = 0, h = 0;
    sg_set(p.wx, &one);
    sg_set(p.wh, &w);
    sg_tensor *x = draw(g, SG_F64, SG_SHAPE(1, N, 1), 1), *grads[2];
    sg_tensor *y = sg_squeeze(sg_last(sg_unroll(p, x), NULL), 0);
    sg_grad(y, 2, (sg_tensor *[]){x, p.wh}, grads);
    for (int t = 0; t < N; t++) {
        dw = dw * w + h;
        h = h * w + element(x, t);
        is_near(grads[0], t, pow(w, N - 1 - t), 1e-13, "by x");
    }
    is_near(y, 0, h, 1e-13, "the end of the chain");
    is_near(grads[1], 0, dw, 1e-12, "by wh");
    sg_close(g);
}

/* ---- corners -------------------------------------------------------------------------------- */

Test(unroll, corners)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H);
        shake(g, 1);
        for (int batch = 0; batch <= 2; batch++)
            for (int time = 0; time <= 2; time++)
                for (int way = 0; way < 4; way++) {
                    const char *what =
                        named("%s [%d,%d] %d", cell_kinds[kind].name, batch, time, way);
                    const int none[2] = {0, 0}; /* way & 1: all lengths 0 */
                    sg_state initial = random_state(&p, SG_F64, batch, 0), final;
                    sg_tensor *x = sequences(g, SG_F64, batch, time, IN), *grads[MOST_LEAVES];
                    sg_tensor *h =
                        sg_unroll(p, x, .lengths = way & 1 ? none : NULL, .reverse = way & 2,
                                  .initial = initial, .final = &final);
                    cr_expect(sg_dim(h, 0) == batch && sg_dim(h, 1) == time && sg_dim(h, 2) == H,
                              "%s: %s", what, sg_errmsg(g));
                    bool nothing = way & 1 || time == 0;
                    cr_expect(all_zero(h) == (nothing || batch == 0), "%s", what);
                    if (nothing)
                        same_states(final, initial, what);
                    int n = gradients_of(joined(h, final.h, final.c), 1, &x, grads);
                    for (int i = 0; nothing && i < n; i++)
                        cr_expect(all_zero(grads[i]), "%s: gradient %d", what, i);
                }
        cr_expect(sg_ok(g), "%s", sg_errmsg(g));
        sg_close(g);
    }
}

/* ---- dropout -------------------------------------------------------------------------------- */

Test(unroll, dropout_acts_on_the_inputs_in_training)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H), dropped = p;
        shake(g, 1);
        dropped.dropout = 0.5;
        sg_tensor *x = sequences(g, SG_F64, B, T, IN);
        sg_tensor *h = sg_unroll(p, x, .lengths = mixed);
        same_bits(sg_unroll(dropped, x, .lengths = mixed), h, "not in evaluation");
        sg_train(g, true);
        sg_tensor *d = sg_unroll(dropped, x, .lengths = mixed);
        same_bits(sg_unroll(p, x, .lengths = mixed), h, "only where it is set");
        cr_expect(distance(d, h) > 1e-3, "%s", cell_kinds[kind].name);
        check_gradients(d, 1, &x, named("%s, dropout", cell_kinds[kind].name));

        sg_tensor *mask; /* what is dropped has no gradient, what is kept a doubled influence */
        sg_grad(sg_sum(d, SG_ALL_AXES, false), 1, &x, &mask);
        int zeros = 0;
        for (int i = 0; i < T * IN; i++)
            zeros += element(mask, T * IN + i) == 0;
        cr_expect(zeros > 0 && zeros < T * IN, "%s: %d", cell_kinds[kind].name, zeros);
        sg_close(g);
    }
}

/* ---- errors --------------------------------------------------------------------------------- */

Test(unroll, errors)
{
    sg_context *g = sg_open();
    sg_cell p = sg_lstm(g, "lstm", IN, H), empty = {.g = g};
    const int bad[] = {1, T + 1, 0, 0, 0}, negative[] = {-1, 0, 0, 0, 0};
    sg_state final;
    sg_tensor *h = sg_unroll(p, sg_full(g, SG_F32, SG_SHAPE(B, IN), 0), .final = &final);
    cr_expect(sg_is_nil(h) && sg_is_nil(final.h) && sg_is_nil(final.c), "all inert");
    expect_error(g, SG_BAD_SHAPE, "unroll: x has 2 axes, not [batch, time, features]");
    sg_unroll(p, sequences(g, SG_F32, B, T, IN + 1));
    expect_error(g, SG_BAD_SHAPE, "unroll: x has 3 features, the cell 2 inputs");
    sg_unroll(p, sequences(g, SG_F64, B, T, IN));
    expect_error(g, SG_BAD_DTYPE,
                 "unroll: matmul: operands of different types: x[5,4,2] f64, wx[2,12]");
    sg_unroll(p, sequences(g, SG_F32, B, T, IN), .lengths = bad);
    expect_error(g, SG_BAD_ARGUMENT, "unroll: length 5 of row 1 is not in 0..4");
    sg_unroll(p, sequences(g, SG_F32, B, T, IN), .lengths = negative, .reverse = true);
    expect_error(g, SG_BAD_ARGUMENT, "unroll: length -1 of row 0 is not in 0..4");
    sg_unroll(p, sequences(g, SG_F32, B, T, IN),
              .initial.h = sg_full(g, SG_F32, SG_SHAPE(B, 1), 0));
    expect_error(g, SG_BAD_SHAPE, "unroll: the initial h is not [batch, hidden] = [5,3]");
    sg_unroll(p, sequences(g, SG_F32, B, T, IN), .initial.c = sg_full(g, SG_F32, SG_SHAPE(H), 0));
    expect_error(g, SG_BAD_SHAPE, "unroll: the initial c is not [batch, hidden] = [5,3]");
    sg_unroll(p, NULL);
    expect_error(g, SG_BAD_ARGUMENT, "unroll: x is missing");
    sg_unroll(empty, sequences(g, SG_F32, B, T, IN));
    expect_error(g, SG_BAD_ARGUMENT, "unroll: the cell has no step");
    sg_last(sequences(g, SG_F32, B, T, IN), bad);
    expect_error(g, SG_BAD_ARGUMENT, "last: length 5 of row 1 is not in 0..4");
    sg_last(sg_full(g, SG_F32, SG_SHAPE(B, T), 0), NULL);
    expect_error(g, SG_BAD_SHAPE, "last: h has 2 axes, not [batch, time, hidden]");
    sg_state both;
    sg_bidirectional(p, p, sg_scalar(g, SG_F32, 0), NULL, &both);
    cr_expect(sg_is_nil(both.h));
    expect_error(g, SG_BAD_SHAPE, "unroll: x has 0 axes, not [batch, time, features]");

    sg_context *other = sg_open();
    sg_cell foreign = sg_lstm(other, "lstm", IN, H);
    sg_unroll(foreign, sequences(g, SG_F32, B, T, IN));
    expect_error(other, SG_BAD_CONTEXT, "unroll: the cell and x are of two contexts");
    cr_expect(sg_ok(g));
    sg_close(other);
    sg_close(g);
}
