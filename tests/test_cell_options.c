/* What can be asked of any cell: dropout in its ways, zoneout, projection, wrappers, extra
 * information beside its state. */
#include "models/models.h"
#include "tests/models_test.h"

enum { B = 4, T = 5, IN = 3, H = 3 };

static const int mixed[B] = {3, T, 0, 1};

/* ---- dropout over time ---------------------------------------------------------------------- */

/* Gives out its input or its state as it sees them: what dropout did is seen directly. */
static sg_state show_step(const sg_cell *p, sg_tensor *x, sg_state s)
{
    sg_tensor *zero = sg_mul(s.h, sg_like(s.h, 0));
    sg_tensor *one = sg_add(zero, sg_like(s.h, 1));
    return (sg_state){.h = sg_add(p->state_dropout > 0 ? sg_recurrent(p, one) : x, zero)};
}

static void check_masks(bool variational, bool of_state)
{
    enum { ROWS = 8, LONG = 6, WIDE = 16 };
    sg_context *g = sg_open();
    sg_cell p = {show_step, g, .in = WIDE, .hidden = WIDE, .states = 1};
    p.variational = variational;
    *(of_state ? &p.state_dropout : &p.dropout) = 0.25;
    sg_train(g, true);
    sg_tensor *h = sg_unroll(p, sg_full(g, SG_F32, SG_SHAPE(ROWS, LONG, WIDE), 1));
    int zeros = 0, same = 0, rows_alike = 0;
    for (int b = 0; b < ROWS; b++)
        for (int t = 0; t < LONG; t++)
            for (int k = 0; k < WIDE; k++) {
                double v = element(h, (b * LONG + t) * WIDE + k);
                cr_assert(v == 0 || fabs(v - 4 / 3.0) < 1e-6, "%g: %s", v, sg_errmsg(g));
                zeros += v == 0;
                same += v == element(h, b * LONG * WIDE + k);
                rows_alike += v == element(h, t * WIDE + k);
            }
    int all = ROWS * LONG * WIDE;
    cr_expect(zeros > all / 8 && zeros < all * 3 / 8, "%d of %d", zeros, all);
    cr_expect((same == all) == variational && rows_alike < all, "%d of %d stay", same, all);
    sg_reset(g);
    sg_train(g, false);
    h = sg_unroll(p, sg_full(g, SG_F32, SG_SHAPE(ROWS, LONG, WIDE), 1));
    for (int i = 0; i < all; i++)
        cr_expect(element(h, i) == 1);
    sg_close(g);
}

Test(cell_options, masks_are_drawn_by_step_or_by_sequence)
{
    for (int k = 0; k < 4; k++)
        check_masks(k & 1, k & 2);
}

/* A loop of one's own that begins by sg_begin is a sequence, too. */
Test(cell_options, a_loop_of_ones_own_begins)
{
    sg_context *g = sg_open();
    sg_cell p = sg_gru(g, "gru", 16, 8, .dropout = 0.5, .state_dropout = 0.5, .variational = true);
    sg_cell now = sg_begin(&p, B);
    cr_expect(!now.mask_x && !now.mask_h, "nothing is drawn but in training");
    sg_train(g, true);
    now = sg_begin(&p, B);
    cr_assert(now.mask_x && now.mask_h);
    cr_expect(sg_dim(now.mask_x, 1) == 16 && sg_dim(now.mask_h, 1) == 8);
    sg_tensor *x = sequences(g, SG_F32, B, .size = 16, .flat = true);
    sg_state zero = sg_zero_state(&p, B);
    same_states(sg_cell_step(&now, x, zero), sg_cell_step(&now, x, zero), "one mask");
    sg_state other = sg_cell_step(&p, x, zero);
    cr_expect(distance(sg_cell_step(&p, x, zero).h, other.h) > 1e-3, "another mask each");
    sg_close(g);
}

/* Weights may be in any place: states of zeros are of their type. */
Test(cell_options, own_cells_in_double)
{
    sg_context *g = sg_open();
    sg_tensor *x = sequences(g, SG_F64, B, .size = H, .flat = true);
    for (int place = 0; place < 4; place++) {
        sg_cell p = {show_step, g, H, H, 1, .state_dropout = 0.5, .variational = true};
        sg_tensor **weights[] = {&p.wh, &p.b, &p.extra, &p.bh};
        *weights[place] = sg_full(g, SG_F64, SG_SHAPE(H), 0);
        sg_train(g, true);
        sg_cell now = sg_begin(&p, B);
        cr_expect(now.mask_h && sg_type(now.mask_h) == SG_F64, "place %d", place);
        sg_train(g, false);
        sg_cell wrapped = sg_highway(p, "gate");
        sg_state s = sg_cell_step(&wrapped, x, sg_zero_state(&wrapped, B));
        sg_tensor *y = sg_output(&wrapped, x, s.h);
        cr_expect(sg_type(y) == SG_F64 && sg_ok(g), "place %d: %s", place, sg_errmsg(g));
    }
    sg_close(g);
}

/* With all of them on, draws are part of the function: gradients of every kind of cell. */
Test(cell_options, gradients_with_all_kinds_of_dropout)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H);
        shake(g, 1);
        p.dropout = p.state_dropout = p.candidate_dropout = 0.3;
        p.zoneout = 0.2;
        p.zoneout_c = 0.4;
        p.variational = kind % 2;
        sg_train(g, true);
        sg_tensor *x = sequences(g, SG_F64, B, T, IN);
        sg_state final;
        sg_tensor *h = sg_unroll(p, x, .lengths = mixed, .final = &final);
        check_gradients(joined(h, final.h, final.c), 1, &x, cell_kinds[kind].name);
        sg_close(g);
    }
}

/* The candidate that is dropped leaves the memory as the forget gate has it: no loss of memory. */
Test(cell_options, candidate_dropout_does_not_touch_the_memory)
{
    sg_context *g = sg_open();
    sg_cell p = sg_lstm(g, "lstm", IN, 64, .candidate_dropout = 0.5, .dtype = SG_F64), q = p;
    q.candidate_dropout = 0;
    shake(g, 1);
    sg_tensor *x = sequences(g, SG_F64, B, .size = IN, .flat = true);
    sg_state s = {sequences(g, SG_F64, B, .size = 64, .flat = true, .seed = 2),
                  sequences(g, SG_F64, B, .size = 64, .flat = true, .seed = 3)};
    sg_tensor *z[4];
    sg_split(sg_add(sg_apply((sg_affine){p.wx, p.b}, x), sg_matmul(s.h, p.wh)), -1, 4, z);
    sg_tensor *kept = sg_mul(sg_sigmoid(z[1]), s.c);
    sg_train(g, true);
    sg_state next = sg_cell_step(&p, x, s), plain = sg_cell_step(&q, x, s);
    int dropped = 0;
    for (int i = 0; i < B * 64; i++) {
        double c = element(next.c, i), base = element(kept, i);
        double written = c - base, full = 2 * (element(plain.c, i) - base);
        dropped += fabs(written) < 1e-15;
        cr_expect(fabs(written) < 1e-15 || fabs(written - full) < 1e-14, "%g, %g", written, full);
    }
    cr_expect(dropped > B * 16 && dropped < B * 48, "%d", dropped);
    sg_close(g);
}

/* ---- zoneout -------------------------------------------------------------------------------- */

Test(cell_options, zoneout_keeps_or_mixes)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H), q = p;
        shake(g, 1);
        q.zoneout = 0.25;
        q.zoneout_c = 0.5;
        sg_tensor *x = sequences(g, SG_F64, B, .size = IN, .flat = true);
        sg_state s = {sequences(g, SG_F64, B, .size = H, .flat = true, .seed = 2)};
        if (p.states > 1)
            s.c = sequences(g, SG_F64, B, .size = H, .flat = true, .seed = 3);
        sg_state full = sg_cell_step(&p, x, s), mixed_up = sg_cell_step(&q, x, s);
        sg_train(g, true);
        sg_state zoned = sg_cell_step(&q, x, s);
        int stayed = 0;
        for (int i = 0; i < B * H; i++) {
            double old = element(s.h, i), new = element(full.h, i), h = element(zoned.h, i);
            cr_expect(fabs(element(mixed_up.h, i) - 0.25 * old - 0.75 * new) < 1e-14);
            cr_expect(h == old || h == new, "%s: %g", cell_kinds[kind].name, h);
            stayed += h == old;
            if (!s.c)
                continue;
            old = element(s.c, i);
            new = element(full.c, i);
            cr_expect(fabs(element(mixed_up.c, i) - 0.5 * old - 0.5 * new) < 1e-14);
            cr_expect(element(zoned.c, i) == old || element(zoned.c, i) == new);
        }
        cr_expect(stayed < B * H, "%d", stayed);
        sg_close(g);
    }
}

/* ---- projection ----------------------------------------------------------------------------- */

/* With the identity as Wr there is no projection. */
Test(cell_options, projection)
{
    sg_context *g = sg_open();
    double one[H * H] = {0};
    for (int i = 0; i < H; i++)
        one[i * H + i] = 1;
    sg_cell p = sg_lstm(g, "p", IN, H, .projection = H, .dtype = SG_F64);
    sg_cell q = sg_lstm(g, "q", IN, H, .dtype = SG_F64);
    shake(g, 1);
    sg_set(p.wr, one);
    sg_set(q.wx, sg_data(p.wx));
    sg_set(q.wh, sg_data(p.wh));
    sg_set(q.b, sg_data(p.b));
    sg_tensor *x = sequences(g, SG_F64, B, T, IN);
    same_bits(sg_unroll(p, x, mixed), sg_unroll(q, x, mixed), "projected by the identity");
    sg_close(g);

    for (int way = 0; way < 8; way++) {
        g = sg_open();
        p = sg_lstm(g, "p", IN, 4, .projection = 2, .dtype = SG_F64, .peephole = way & 1,
                    .coupled = way & 2, .norm = way & 4);
        shake(g, 1);
        x = sequences(g, SG_F64, B, T, IN);
        sg_state initial = {sequences(g, SG_F64, B, .size = 2, .flat = true, .seed = 2),
                            sequences(g, SG_F64, B, .size = 4, .flat = true, .seed = 3)};
        sg_state final, zero = sg_zero_state(&p, B);
        cr_expect(p.hidden == 2 && sg_dim(zero.h, 1) == 2 && sg_dim(zero.c, 1) == 4);
        sg_tensor *h = sg_unroll(p, x, mixed, .initial = initial, .final = &final);
        cr_expect(sg_dim(h, 2) == 2 && sg_dim(final.c, 1) == 4, "%s", sg_errmsg(g));
        check_gradients(joined(h, final.h, final.c), 3, (sg_tensor *[]){x, initial.h, initial.c},
                        named("projected, way %d", way));
        sg_close(g);
    }
}

/* ---- wrappers ------------------------------------------------------------------------------- */

static double squash(double z)
{
    return 1 / (1 + exp(-z));
}

Test(cell_options, wrappers)
{
    for (int kind = 0; kind < CELL_KINDS; kind++)
        for (int reverse = 0; reverse < 2; reverse++) {
            sg_context *g = sg_open();
            sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H);
            sg_cell residual = sg_residual(p), highway = sg_highway(p, "gate");
            shake(g, 1);
            sg_tensor *x = sequences(g, SG_F64, B, T, IN, .lengths = mixed, .fill = NAN);
            sg_state f, fr, fh;
            sg_tensor *h = sg_unroll(p, x, mixed, reverse, .final = &f);
            sg_tensor *r = sg_unroll(residual, x, mixed, reverse, .final = &fr);
            sg_tensor *y = sg_unroll(highway, x, mixed, reverse, .final = &fh);
            same_states(f, fr, "the state");
            same_states(f, fh, "the state");
            for (int b = 0; b < B; b++)
                for (int t = 0; t < T; t++)
                    for (int j = 0; j < H; j++) {
                        int at = (b * T + t) * IN, real = t < mixed[b];
                        double z = element(highway.gate.b, j), v = real ? element(x, at + j) : 0;
                        for (int i = 0; real && i < IN; i++)
                            z += element(x, at + i) * element(highway.gate.w, i * H + j);
                        double gate = squash(z), out = element(h, at + j);
                        cr_expect(fabs(element(r, at + j) - (out + v)) < 1e-14);
                        double expected = real ? gate * out + (1 - gate) * v : 0;
                        cr_expect(fabs(element(y, at + j) - expected) < 1e-14);
                    }
            sg_tensor *clean = sequences(g, SG_F64, B, T, IN);
            check_gradients(joined(sg_unroll(residual, clean, mixed, reverse),
                                   sg_unroll(highway, clean, mixed, reverse)),
                            1, &clean, cell_kinds[kind].name);
            sg_tensor *one = sg_index(clean, 1, 0);
            sg_state s = sg_cell_step(&highway, one, sg_zero_state(&highway, B));
            cr_expect(distance(sg_output(&p, one, s.h), s.h) == 0);
            sg_close(g);
        }
}

/* ---- extra information beside the state ----------------------------------------------------- */

/* What a step sees is the fused state; a loop that fuses by itself does the same. */
Test(cell_options, extra_information_beside_the_state)
{
    static const sg_fusion_kind kinds[] = {SG_FUSE_ADD, SG_FUSE_MEAN, SG_FUSE_RESTORED,
                                           SG_FUSE_MLP};
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H), plain = p;
        p.fusion = sg_make_fusion(g, "extra", kinds[kind % 4], .h = H, .z = H, .dtype = SG_F64);
        shake(g, 1);
        sg_tensor *x = sequences(g, SG_F64, B, T, IN);
        sg_tensor *z = p.z = sequences(g, SG_F64, B, .size = H, .flat = true, .seed = 4);
        sg_state s = sg_zero_state(&plain, B), final;
        sg_tensor *h = sg_unroll(p, x, .final = &final);
        for (int t = 0; t < T; t++) {
            s.h = sg_fuse(&p.fusion, s.h, z);
            s = sg_cell_step(&plain, sg_index(x, 1, t), s);
        }
        cr_expect(distance(s.h, final.h) < 1e-14, "%s", cell_kinds[kind].name);
        check_gradients(h, 2, (sg_tensor *[]){x, z}, cell_kinds[kind].name);
        sg_close(g);
    }
}

/* ---- gates ---------------------------------------------------------------------------------- */

static sg_tensor *gate(const sg_gates *all, const char *name)
{
    for (int k = 0; k < all->n; k++)
        if (strcmp(all->name[k], name) == 0)
            return all->value[k];
    return NULL;
}

/* old where gate is 1, new where it is 0 */
static sg_tensor *between(sg_tensor *gate, sg_tensor *old, sg_tensor *new)
{
    return sg_add(sg_mul(gate, old), sg_mul(sg_sub(sg_like(gate, 1), gate), new));
}

/* The state after a step, or its c, by the formulas from the gates. */
static sg_tensor *state_by_gates(const sg_cell *p, const sg_gates *all, sg_state s, int update)
{
    sg_tensor *f = gate(all, "F"), *z = gate(all, "Z"), *n = gate(all, "N"), *g = gate(all, "G");
    if (p->states > 1)
        return all->n == 3 ? between(f, s.c, g) : sg_add(sg_mul(f, s.c), sg_mul(gate(all, "I"), g));
    if (z)
        return update == SG_UPDATE_KEEP ? between(z, s.h, n) : between(z, n, s.h);
    return between(f, n, s.h);
}

/* R = sigmoid(x Wx + b + h Wh + bh), the first of their columns */
static sg_tensor *reset_gate(const sg_cell *p, sg_tensor *x, sg_tensor *h)
{
    sg_tensor *z = sg_slice(sg_apply((sg_affine){p->wx, p->b}, x), 1, 0, H, 1);
    return sg_sigmoid(sg_add(z, sg_slice(sg_apply((sg_affine){p->wh, p->bh}, h), 1, 0, H, 1)));
}

Test(cell_options, gates_are_those_of_the_formulas)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H);
        const char *name = cell_kinds[kind].name;
        shake(g, 1);
        sg_tensor *x = sequences(g, SG_F64, B, T, IN);
        sg_gates over_time, now;
        same_bits(sg_unroll(p, x, .gates = &over_time), sg_unroll(p, x), name);
        p.gates = &now;
        sg_state s = sg_zero_state(&p, B), next;
        for (int t = 0; t < T; t++, s = next) {
            next = sg_cell_step(&p, sg_index(x, 1, t), s);
            cr_assert(now.n == over_time.n, "%s: %d gates, %d", name, now.n, over_time.n);
            for (int k = 0; k < now.n; k++) {
                cr_expect_str_eq(now.name[k], over_time.name[k]);
                same_bits(now.value[k], sg_index(over_time.value[k], 1, t), name);
            }
            if (!now.n)
                continue;
            sg_tensor *y = state_by_gates(&p, &now, s, (int)cell_kinds[kind].o.update);
            cr_expect(distance(y, p.states > 1 ? next.c : next.h) < 1e-14, "%s", name);
            sg_tensor *r = gate(&now, "R"), *o = gate(&now, "O");
            cr_expect(!r || distance(r, reset_gate(&p, sg_index(x, 1, t), s.h)) < 1e-14);
            if (o && !p.norm_c.gain)
                cr_expect(distance(sg_mul(o, sg_tanh(next.c)), next.h) < 1e-14, "%s", name);
        }
        cr_expect((now.n == 0) == (cell_kinds[kind].make == sg_rnn_), "%s: %d gates", name, now.n);
        sg_close(g);
    }
}

/* Behind a length they are 0, and those of a reversed sequence stand where h does. */
Test(cell_options, gates_of_short_and_reversed_sequences)
{
    sg_context *g = sg_open();
    sg_cell p = sg_gru(g, "gru", IN, H, .dtype = SG_F64);
    shake(g, 1);
    sg_tensor *x = sequences(g, SG_F64, B, T, IN, .lengths = mixed, .fill = NAN);
    sg_gates all, one;
    sg_unroll(p, x, mixed, true, .gates = &all);
    for (int b = 0; b < B; b++) {
        int n = mixed[b];
        sg_tensor *row = sg_slice(sg_slice(x, 0, b, b + 1, 1), 1, 0, n, 1);
        sg_unroll(p, sg_flip(row, 1), .gates = &one);
        for (int k = 0; k < all.n; k++) {
            sg_tensor *mine = sg_slice(all.value[k], 0, b, b + 1, 1);
            cr_expect(all_zero(sg_slice(mine, 1, n, T, 1)));
            if (n)
                same_bits(sg_slice(mine, 1, 0, n, 1), sg_flip(one.value[k], 1), "reversed");
        }
    }
    cr_expect(all.n == 3 && sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}

/* ---- errors --------------------------------------------------------------------------------- */

Test(cell_options, errors)
{
    sg_context *g = sg_open();
    REFUSES(g, sg_lstm(g, "a", 2, 3, .zoneout = -1), "lstm \"a\": dropout: a probability of -1");
    REFUSES(g, sg_gru(g, "b", 2, 3, .state_dropout = 1), "a probability of 1 is not in [0, 1)");
    REFUSES(g, sg_rnn(g, "c", 2, 3, .candidate_dropout = 0.5),
            "rnn \"c\": candidate_dropout: there is no candidate, all is written");
    REFUSES(g, sg_lstm(g, "d", 2, 3, .projection = -4), "lstm \"d\": a projection of -4 features");
    sg_cell p = sg_gru(g, "p", 2, 3), q = sg_gru(g, "q", 3, 3);
    REFUSES(g, sg_residual(p), "inputs of 2 features do not add to states of 3");
    REFUSES(g, sg_highway(p, "h"), "highway \"h\": inputs of 2 features do not add to states of 3");
    p.z = sequences(g, SG_F32, 2, .size = 5, .flat = true); /* [h; z] is no h */
    REFUSES(
        g, sg_cell_step(&p, sequences(g, SG_F32, 2, .size = 2, .flat = true), sg_zero_state(&p, 2)),
        "h of 3 features with z of 5 has 8, the cell 3");
    REFUSES(g, sg_residual(sg_residual(q)), "residual: the cell is wrapped already");
    REFUSES(g, sg_highway(q, NULL), "a name is needed");
    sg_cell own = {show_step, g, .hidden = 3, .states = 1}; /* inputs of whatever size */
    REFUSES(g, sg_unroll(sg_residual(own), sequences(g, SG_F32, 2, 2, 1)),
            "inputs of 1 features do not add to states of 3");
    sg_close(g);
}
