/* Cells against the formulas of the text-books in plain C, their gradients, their options, and a
 * cell of the user's own. */
#include "models/models.h"
#include "tests/models_test.h"

enum { B = 3, IN = 2, H = 4, WIDE = 8 };

/* ---- the formulas in plain C ---------------------------------------------------------------- */

static double logistic(double z)
{
    return 1 / (1 + exp(-z));
}

static double activation(int kind, double z)
{
    return kind == SG_TANH      ? tanh(z)
           : kind == SG_RELU    ? fmax(z, 0)
           : kind == SG_SIGMOID ? logistic(z)
                                : z;
}

/* v . column of w, [n, columns] */
static double product(const double *v, sg_tensor *w, int column)
{
    double sum = 0;
    for (int64_t k = 0; k < sg_dim(w, 0); k++)
        sum += v[k] * element(w, k * sg_dim(w, 1) + column);
    return sum;
}

/* x Wx + b, by column */
static double input_part(const sg_cell *p, const double *x, int column)
{
    return product(x, p->wx, column) + (p->b ? element(p->b, column) : 0);
}

/* v normalized in place: (v - mean) / sqrt(variance + 1e-5) * gain + bias */
static void normalize(const sg_norm *norm, int n, double *v)
{
    double mean = 0, variance = 0;
    for (int i = 0; norm->gain && i < n; i++)
        mean += v[i] / n;
    for (int i = 0; norm->gain && i < n; i++)
        variance += (v[i] - mean) * (v[i] - mean) / n;
    for (int i = 0; norm->gain && i < n; i++)
        v[i] = (v[i] - mean) / sqrt(variance + 1e-5) * element(norm->gain, i) +
               (norm->bias ? element(norm->bias, i) : 0);
}

static void rnn_reference(const sg_cell *p, const double *x, double *h, double *c)
{
    double old[H];
    memcpy(old, h, sizeof old);
    for (int j = 0; j < H; j++)
        h[j] = activation(p->variant, input_part(p, x, j) + product(old, p->wh, j));
    (void)c;
}

/* Gates stand in the order I F G O; coupled ones in the order F G O. */
static void lstm_reference(const sg_cell *p, const double *x, double *h, double *c)
{
    int coupled = p->variant, n = (4 - coupled) * H;
    double zx[4 * H], zh[4 * H], seen[H];
    for (int k = 0; k < n; k++) {
        zx[k] = input_part(p, x, k);
        zh[k] = product(h, p->wh, k);
    }
    normalize(&p->norm_x, n, zx);
    normalize(&p->norm_h, n, zh);
    for (int j = 0; j < H; j++) {
        double z[4] = {0}, peep[4] = {0};
        for (int k = coupled; k < 4; k++) {
            z[k] = zx[(k - coupled) * H + j] + zh[(k - coupled) * H + j];
            int place = k == 3 ? 2 - coupled : k - coupled; /* I F O */
            if (p->peep && k != 2)
                peep[k] = element(p->peep, place * H + j);
        }
        double f = logistic(z[1] + peep[1] * c[j]);
        double i = coupled ? 1 - f : logistic(z[0] + peep[0] * c[j]);
        c[j] = f * c[j] + i * tanh(z[2]);
        h[j] = logistic(z[3] + peep[3] * c[j]);
    }
    memcpy(seen, c, sizeof seen);
    normalize(&p->norm_c, H, seen);
    for (int j = 0; j < H; j++)
        h[j] *= tanh(seen[j]);
}

static void mgu_reference(const sg_cell *p, const double *x, double *h, double *c)
{
    double old[H], forget[H], kept[H];
    memcpy(old, h, sizeof old);
    for (int j = 0; j < H; j++) {
        forget[j] = logistic(input_part(p, x, j) + product(old, p->wh, j));
        kept[j] = forget[j] * old[j];
    }
    for (int j = 0; j < H; j++)
        h[j] = (1 - forget[j]) * old[j] +
               forget[j] * tanh(input_part(p, x, H + j) + product(kept, p->extra, j));
    (void)c;
}

static void gru_reference(const sg_cell *p, const double *x, double *h, double *c)
{
    double old[H], reset[H], kept[H];
    memcpy(old, h, sizeof old);
    bool after = p->bh != NULL;
    for (int j = 0; j < H; j++) {
        double r = input_part(p, x, j) + product(old, p->wh, j) + (after ? element(p->bh, j) : 0);
        reset[j] = logistic(r);
        kept[j] = reset[j] * old[j];
    }
    for (int j = 0; j < H; j++) {
        double z = input_part(p, x, H + j) + product(old, p->wh, H + j);
        z = logistic(z + (after ? element(p->bh, H + j) : 0));
        double n = input_part(p, x, 2 * H + j);
        n += after ? reset[j] * (product(old, p->wh, 2 * H + j) + element(p->bh, 2 * H + j))
                   : product(kept, p->extra, j);
        n = tanh(n);
        h[j] = p->variant == SG_UPDATE_KEEP ? z * old[j] + (1 - z) * n : (1 - z) * old[j] + z * n;
    }
    (void)c;
}

static void (*reference_of(int kind))(const sg_cell *, const double *, double *, double *)
{
    return cell_kinds[kind].make == sg_rnn_    ? rnn_reference
           : cell_kinds[kind].make == sg_lstm_ ? lstm_reference
           : cell_kinds[kind].make == sg_mgu_  ? mgu_reference
                                               : gru_reference;
}

static sg_state random_state(const sg_cell *p, sg_dtype dtype, int batch)
{
    sg_state s = {sequences(p->g, dtype, batch, .size = p->hidden, .flat = true, .seed = 11)};
    if (p->states > 1)
        s.c = sequences(p->g, dtype, batch, .size = p->hidden, .flat = true, .seed = 12);
    return s;
}

Test(cells, follow_their_formulas)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, IN, H);
        shake(g, 1);
        cr_expect(p.in == IN && p.hidden == H &&
                  p.states == 1 + (cell_kinds[kind].make == sg_lstm_));
        sg_tensor *x = sequences(g, SG_F64, B, .size = IN, .flat = true, .seed = 10);
        sg_state s = random_state(&p, SG_F64, B), next = sg_cell_step(&p, x, s);
        cr_expect((next.c != NULL) == (p.states == 2), "%s", cell_kinds[kind].name);
        for (int b = 0; b < B; b++) {
            double v[IN], h[H], c[H];
            for (int k = 0; k < IN; k++)
                v[k] = element(x, b * IN + k);
            for (int k = 0; k < H; k++) {
                h[k] = element(s.h, b * H + k);
                c[k] = s.c ? element(s.c, b * H + k) : 0;
            }
            reference_of(kind)(&p, v, h, c);
            for (int k = 0; k < H; k++) {
                double dh = fabs(h[k] - element(next.h, b * H + k));
                double dc = next.c ? fabs(c[k] - element(next.c, b * H + k)) : 0;
                cr_expect(dh < 1e-14 && dc < 1e-14, "%s: row %d, unit %d: off by %g, %g",
                          cell_kinds[kind].name, b, k, dh, dc);
            }
        }
        sg_close(g);
    }
}

/* ---- gradients ------------------------------------------------------------------------------ */

Test(cells, gradients)
{
    for (int kind = 0; kind < CELL_KINDS; kind++)
        for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
            sg_context *g = sg_open();
            sg_cell p = make_cell(g, kind, "cell", (sg_dtype)dtype, IN, 3);
            shake(g, 1);
            sg_tensor *x = sequences(g, (sg_dtype)dtype, 2, .size = IN, .flat = true, .seed = 10);
            sg_state s = random_state(&p, (sg_dtype)dtype, 2), next = sg_cell_step(&p, x, s);
            sg_tensor *inputs[] = {x, s.h, s.c};
            check_gradients(joined(next.h, next.c), 1 + p.states, inputs,
                            named("%s %s", cell_kinds[kind].name, sg_dtype_name((sg_dtype)dtype)));
            sg_close(g);
        }
}

/* ---- conventions ---------------------------------------------------------------------------- */

/* Parameters of one cell, copied to another's of the same names; those of the columns [from, to)
 * times `factor`. */
static void copy_params(const sg_cell *from, const sg_cell *to, int low, int high, double factor)
{
    sg_tensor *a[] = {from->wx, from->b, from->wh, from->bh, from->extra};
    sg_tensor *b[] = {to->wx, to->b, to->wh, to->bh, to->extra};
    for (int i = 0; i < 5; i++) {
        if (!a[i] || !b[i])
            continue;
        double *v = malloc((size_t)sg_size(a[i]) * sizeof *v);
        for (int64_t k = 0; k < sg_size(a[i]); k++) {
            int64_t column = k % sg_dim(a[i], -1);
            v[k] = element(a[i], k) * (i < 4 && column >= low && column < high ? factor : 1);
        }
        sg_set(b[i], v);
        free(v);
    }
}

/* 1 - sigmoid(z) = sigmoid(-z) */
Test(cells, what_gru_keeps_and_writes_are_mirrored)
{
    for (int after = 0; after < 2; after++) {
        sg_context *g = sg_open();
        sg_cell keep = make_cell(g, 5 + 2 * after, "keep", SG_F64, IN, H);
        sg_cell write = make_cell(g, 6 + 2 * after, "write", SG_F64, IN, H);
        shake(g, 1);
        copy_params(&keep, &write, H, 2 * H, -1);
        sg_tensor *x = sequences(g, SG_F64, B, .size = IN, .flat = true);
        sg_state s = random_state(&keep, SG_F64, B);
        double d = distance(sg_cell_step(&keep, x, s).h, sg_cell_step(&write, x, s).h);
        cr_expect(d < 1e-15, "reset %d: off by %g", after, d);
        write.variant = SG_UPDATE_KEEP;
        d = distance(sg_cell_step(&keep, x, s).h, sg_cell_step(&write, x, s).h);
        cr_expect(d > 1e-3, "the gate matters");
        sg_close(g);
    }
}

/* With R = 1 it does not matter what it multiplies. */
Test(cells, an_open_reset_gate_acts_alike_before_and_after)
{
    sg_context *g = sg_open();
    sg_cell before = make_cell(g, 5, "before", SG_F64, IN, H);
    sg_cell after = make_cell(g, 7, "after", SG_F64, IN, H);
    shake(g, 1);
    sg_tensor *wx = before.wx, *x = sequences(g, SG_F64, B, .size = IN, .flat = true);
    double bias[3 * H] = {0}, wh[H * 3 * H];
    for (int j = 0; j < H; j++)
        bias[j] = 1000;
    for (int i = 0; i < H; i++)
        for (int j = 0; j < 3 * H; j++)
            wh[i * 3 * H + j] = j < 2 * H ? element(before.wh, i * 2 * H + j)
                                          : element(before.extra, i * H + j - 2 * H);
    sg_set(after.wx, sg_data(wx));
    sg_set(after.wh, wh);
    sg_set(before.b, bias);
    sg_set(after.b, bias);
    sg_set(after.bh, (double[3 * H]){0});
    sg_state s = random_state(&before, SG_F64, B);
    double d = distance(sg_cell_step(&before, x, s).h, sg_cell_step(&after, x, s).h);
    cr_expect(d < 1e-14, "off by %g: %s", d, sg_errmsg(g));
    sg_close(g);
}

/* Dropout acts on a step's input, in training. */
Test(cells, dropout)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, WIDE, H), dropped = p;
        shake(g, 1);
        dropped.dropout = 0.5;
        sg_tensor *x = sequences(g, SG_F64, B, .size = WIDE, .flat = true), *grad;
        sg_state s = random_state(&p, SG_F64, B), plain = sg_cell_step(&p, x, s);
        same_states(sg_cell_step(&dropped, x, s), plain, cell_kinds[kind].name);
        sg_train(g, true);
        sg_tensor *h = sg_cell_step(&dropped, x, s).h;
        cr_expect(distance(h, plain.h) > 1e-3, "%s", cell_kinds[kind].name);
        sg_grad(sg_sum(h, SG_ALL_AXES, false), 1, &x, &grad);
        int zeros = 0;
        for (int64_t i = 0; i < sg_size(grad); i++)
            zeros += element(grad, i) == 0;
        cr_expect(zeros > 0 && zeros < sg_size(grad), "%s: %d", cell_kinds[kind].name, zeros);
        sg_close(g);
    }
}

/* ---- initial values ------------------------------------------------------------------------- */

Test(cells, forget_gates_start_open)
{
    const double rows[][2] = {{0, 1}, {2.5, 2.5}, {SG_ZERO, 0}};
    for (int i = 0; i < 3; i++)
        for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
            sg_context *g = sg_open();
            sg_cell p =
                sg_lstm(g, "lstm", IN, H, .forget_bias = rows[i][0], .dtype = (sg_dtype)dtype);
            for (int k = 0; k < 4 * H; k++)
                cr_expect(element(p.b, k) == (k / H == 1 ? rows[i][1] : 0), "row %d, bias %d: %g",
                          i, k, element(p.b, k));
            sg_close(g);
        }
}

/* Every block of the state's weights is orthogonal, every block of the input's within its bound. */
Test(cells, weights_start_block_by_block)
{
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        sg_context *g = sg_open();
        sg_cell p = make_cell(g, kind, "cell", SG_F64, WIDE, H);
        int blocks = (int)sg_dim(p.wh, 1) / H;
        for (int k = 0; k < blocks; k++)
            for (int i = 0; i < H; i++)
                for (int j = 0; j < H; j++) {
                    double dot = 0;
                    for (int c = 0; c < H; c++)
                        dot += element(p.wh, i * blocks * H + k * H + c) *
                               element(p.wh, j * blocks * H + k * H + c);
                    cr_expect(fabs(dot - (i == j)) < 1e-12, "%s: block %d", cell_kinds[kind].name,
                              k);
                }
        double most = 0, bound = sqrt(6.0 / (WIDE + H));
        for (int64_t i = 0; i < sg_size(p.wx); i++)
            most = fmax(most, fabs(element(p.wx, i)));
        cr_expect(most <= bound && most > 0.85 * bound, "%s: %g of %g", cell_kinds[kind].name, most,
                  bound);
        sg_close(g);
    }
}

Test(cells, the_same_name_finds_the_same_parameters)
{
    sg_context *g = sg_open();
    for (int kind = 0; kind < CELL_KINDS; kind++) {
        char name[8] = {'c', (char)('0' + kind)};
        sg_cell a = make_cell(g, kind, name, SG_F32, IN, H);
        sg_tensor *list[MOST_LEAVES];
        int n = leaves(g, 0, NULL, list);
        sg_cell b = make_cell(g, kind, name, SG_F32, IN, H);
        cr_expect(leaves(g, 0, NULL, list) == n && a.wx == b.wx && a.wh == b.wh && a.b == b.b &&
                      a.bh == b.bh && a.extra == b.extra,
                  "%s", cell_kinds[kind].name);
        cr_expect_str_eq(sg_name(a.wh), named("%s.wh", name));
    }
    sg_cell f64 = sg_gru(g, "f64", IN, H, .dtype = SG_F64);
    sg_state zero = sg_zero_state(&f64, 5);
    cr_expect(sg_type(zero.h) == SG_F64 && sg_dim(zero.h, 0) == 5 && sg_dim(zero.h, 1) == H);
    cr_expect(all_zero(zero.h) && !zero.c);
    sg_cell lstm = sg_lstm(g, "two", IN, H);
    zero = sg_zero_state(&lstm, 2);
    cr_expect(zero.c && all_zero(zero.c) && sg_type(zero.c) == SG_F32);
    sg_close(g);
}

/* ---- a cell of one's own -------------------------------------------------------------------- */

/* The minimal gated unit (Zhou et al. 2016): F = sigmoid(x Wxf + h Whf),
 * H = (1-F)*h + F*tanh(x Wxn + (F*h) Whn) */
static sg_state mgu_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *x[2];
    sg_split(xw, -1, 2, x);
    sg_tensor *f = sg_sigmoid(sg_add(x[0], sg_matmul(s.h, p->wh)));
    sg_tensor *n = sg_tanh(sg_add(x[1], sg_matmul(sg_mul(f, s.h), p->extra)));
    return (sg_state){.h = sg_add(s.h, sg_mul(f, sg_sub(n, s.h)))};
}

static sg_cell mgu(sg_context *g, const char *name, int in, int hidden)
{
    sg_push(g, "mgu", name);
    sg_cell p = {mgu_step, g, in, hidden, .states = 1};
    p.wx = sg_param(g, "wx", SG_SHAPE(in, 2 * hidden));
    p.b = sg_param(g, "b", SG_SHAPE(2 * hidden), SG_ZEROS);
    p.wh = sg_param(g, "wh", SG_SHAPE(hidden, hidden));
    p.extra = sg_param(g, "whn", SG_SHAPE(hidden, hidden));
    sg_pop(g);
    return p;
}

/* One without products of the inputs: a running mean h + (x - h) / 2 with no parameter at all. */
static sg_state mean_step(const sg_cell *p, sg_tensor *x, sg_state s)
{
    (void)p;
    return (sg_state){.h = sg_mul(sg_add(s.h, x), sg_like(x, 0.5))};
}

Test(cells, of_ones_own)
{
    sg_context *g = sg_open();
    const int lengths[] = {2, 0, 3};
    sg_cell fw = mgu(g, "fw", IN, H), bw = mgu(g, "bw", IN, H);
    shake(g, 1);
    sg_tensor *x = sequences(g, SG_F32, B, 3, IN, .lengths = lengths);
    sg_state final, by_hand = sg_zero_state(&fw, 1);
    sg_tensor *h = sg_bidirectional(fw, bw, x, lengths, &final);
    cr_expect(sg_dim(h, 2) == 2 * H && !final.c);
    check_gradients(joined(h, final.h), 1, &x, "minimal gated unit");

    sg_tensor *row = sg_slice(x, 0, 2, 3, 1); /* [1,3,IN] */
    for (int t = 0; t < 3; t++)
        by_hand = sg_cell_step(&fw, sg_index(row, 1, t), by_hand);
    same_bits(by_hand.h, sg_slice(sg_slice(final.h, 0, 2, 3, 1), 1, 0, H, 1), "step by step");
    sg_close(g);
}

Test(cells, of_ones_own_without_parameters)
{
    for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
        sg_context *g = sg_open();
        sg_cell mean = {mean_step, g, .hidden = IN, .states = 1};
        const int lengths[] = {3, 1, 0};
        sg_tensor *x = sequences(g, (sg_dtype)dtype, B, 3, IN, .lengths = lengths);
        sg_state final;
        sg_tensor *h = sg_unroll(mean, x, .lengths = lengths, .final = &final);
        double x0 = element(x, 0), x1 = element(x, IN), x2 = element(x, 2 * IN);
        cr_expect(fabs(element(h, 2 * IN) - (x0 / 8 + x1 / 4 + x2 / 2)) < 1e-7, "%s", sg_errmsg(g));
        cr_expect(element(final.h, IN) == element(x, 3 * IN) / 2 && element(final.h, 2 * IN) == 0);
        sg_gradcheck_result r = sg_gradcheck(h, 1, &x, .order = 2);
        cr_expect(r.ok, "%s", sg_errmsg(g));
        sg_close(g);
    }
}

/* ---- errors --------------------------------------------------------------------------------- */

/* Steps of one's own that do what they should not; `user` says which. */
static sg_state wrong_step(const sg_cell *p, sg_tensor *x, sg_state s)
{
    const char *what = p->user;
    sg_tensor *wide = sg_concat(-1, s.h, sg_slice(s.h, 1, 0, 1, 1));
    if (strcmp(what, "nothing") == 0)
        return (sg_state){0};
    if (strcmp(what, "wide h") == 0)
        return (sg_state){.h = wide};
    if (strcmp(what, "few rows") == 0)
        return (sg_state){.h = sg_slice(s.h, 0, 0, 1, 1)};
    if (strcmp(what, "scalar") == 0)
        return (sg_state){.h = sg_like(x, 0)};
    if (strcmp(what, "wide c") == 0)
        return (sg_state){s.h, wide};
    for (int k = 0; strcmp(what, "gates") == 0 && k < 9; k++)
        sg_show_gate(p, k == 8 ? "X" : "I", s.h);
    if (strcmp(what, "once") == 0 && sg_data(s.h) && *(const float *)sg_data(s.h) == 0)
        sg_show_gate(p, "I", s.h);
    return (sg_state){.h = sg_add(s.h, sg_like(s.h, 1))};
}

Test(cells, of_ones_own_are_checked)
{
    static const struct {
        const char *what;
        int states;
        sg_status status;
        const char *message;
    } rows[] = {
        {"nothing", 1, SG_BAD_ARGUMENT, "the cell's step gave no h, though it has 1 state"},
        {"wide h", 1, SG_BAD_SHAPE, "the cell's step gave h [2,6], not [2,5]"},
        {"few rows", 1, SG_BAD_SHAPE, "the cell's step gave h [1,5], not [2,5]"},
        {"scalar", 1, SG_BAD_SHAPE, "the cell's step gave h of 0 axes, not [2,5]"},
        {"fine", 2, SG_BAD_ARGUMENT, "the cell's step gave no c, though it has 2 states"},
        {"wide c", 2, SG_BAD_SHAPE, "the cell's step gave c [2,6], not [2,5]"},
        {"fine", 0, SG_BAD_ARGUMENT, "a cell of 5 hidden units and 0 states, not 1 or 2"},
        {"fine", 3, SG_BAD_ARGUMENT, "a cell of 5 hidden units and 3 states, not 1 or 2"},
        {"gates", 1, SG_BAD_ARGUMENT, "sg_show_gate: \"X\" is one more than 8"},
        {"once", 1, SG_BAD_ARGUMENT, "the cell's step shows 0 gates, and before it showed 1"},
    };
    char text[SG_MESSAGE];
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sg_cell p = {wrong_step, g, .hidden = 5, .states = rows[i].states, .user = rows[i].what};
        sg_gates gates;
        sg_tensor *x = sg_full(g, SG_F32, SG_SHAPE(2, 3, 4), 1);
        cr_expect(sg_is_nil(sg_unroll(p, x, .gates = &gates)), "row %zu", i);
        snprintf(text, sizeof text, "unroll: %s", rows[i].message);
        expect_error(g, rows[i].status, text);
        if (i >= 6)
            continue;
        sg_cell_step(&p, sg_full(g, SG_F32, SG_SHAPE(2, 4), 1), sg_zero_state(&p, 2));
        expect_error(g, rows[i].status, rows[i].message);
    }
    sg_close(g);
}

Test(cells, errors)
{
    sg_context *g = sg_open();
    sg_lstm(g, .in = 4, .hidden = 5);
    expect_error(g, SG_BAD_ARGUMENT, "lstm: a name is needed");
    sg_linear(g, NULL, 4, 5);
    expect_error(g, SG_BAD_ARGUMENT, "linear: a name is needed");
    sg_make_norm(g, NULL, 4, SG_F32);
    expect_error(g, SG_BAD_ARGUMENT, "norm: a name is needed");
    sg_tree_lstm(g, .in = 4, .hidden = 5);
    expect_error(g, SG_BAD_ARGUMENT, "tree lstm: a name is needed");
    sg_make_heads(g, .size = 4, .heads = 2);
    expect_error(g, SG_BAD_ARGUMENT, "heads: a name is needed");
    sg_make_crf(g, NULL, 4, SG_F32);
    expect_error(g, SG_BAD_ARGUMENT, "crf: a name is needed");
    sg_rnn(g, "a", .in = 3);
    expect_error(g, SG_BAD_ARGUMENT, "rnn \"a\": 3 inputs, 0 hidden units");
    sg_lstm(g, "b", .hidden = 3);
    expect_error(g, SG_BAD_ARGUMENT, "lstm \"b\": 0 inputs, 3 hidden units");
    sg_gru(g, "c", -1, -2);
    expect_error(g, SG_BAD_ARGUMENT, "gru \"c\": -1 inputs, -2 hidden units");
    sg_rnn(g, "d", 2, 3, .activation = (sg_activation)9);
    expect_error(g, SG_BAD_ARGUMENT, "rnn \"d\": no such activation (9), reset (0) or update (0)");
    sg_gru(g, "e", 2, 3, .dropout = 1);
    expect_error(g, SG_BAD_ARGUMENT, "gru \"e\": dropout: a probability of 1 is not in [0, 1)");
    sg_gru(g, "f", 2, 3, .peephole = true);
    expect_error(g, SG_BAD_ARGUMENT, "gru \"f\": peephole is an option of sg_lstm");
    sg_lstm(g, "f", 2, 3, .activation = SG_RELU);
    expect_error(g, SG_BAD_ARGUMENT, "lstm \"f\": activation is an option of sg_rnn");
    sg_mgu(g, "f", 2, 3, .reset = SG_RESET_AFTER);
    expect_error(g, SG_BAD_ARGUMENT, "mgu \"f\": reset is an option of sg_gru");
    sg_activate(sg_scalar(g, SG_F32, 1), (sg_activation)-1);
    expect_error(g, SG_BAD_ARGUMENT, "no such activation (-1)");

    sg_cell p = sg_gru(g, "gru", 2, 3);
    sg_gru(g, "gru", 2, 4);
    expect_error(g, SG_BAD_SHAPE, "gru \"gru\": \"gru.wx\" is f32[2,9] already, not f32[2,12]");
    sg_cell_step(&p, sg_full(g, SG_F32, SG_SHAPE(1, 5), 0), sg_zero_state(&p, 1));
    expect_error(g, SG_BAD_SHAPE, "matmul: inner dimensions differ: x[1,5], wx[2,9]");
    sg_rnn(g, "huge", 1 << 30, 1 << 30);
    expect_error(g, SG_BAD_SHAPE,
                 "rnn \"huge\": too many elements in shape [1073741824,1073741824]");
    sg_close(g);
}
