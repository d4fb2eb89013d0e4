/* Recurrent layers against recorded runs of PyTorch: outputs, final states and all gradients. */
#include "tests/model_leaves.h"
#include "tests/oracle/torch_models.h"

static const int gates_of[] = {1, 3, 4};

typedef struct direction {
    sg_cell cell;
    int64_t sizes[4]; /* of wx, wh, bx, bh */
} direction;

static void set_sum(sg_tensor *p, const float *a, const float *b)
{
    float sum[4 * HIDDEN];
    for (int64_t i = 0; i < sg_size(p); i++)
        sum[i] = a[i] + b[i];
    sg_set(p, sum);
}

/* A cell with the weights from w on; moves w behind them. GRUs alone have two biases here. */
static direction make(sg_context *g, const torch_case *c, const char *name, const float **w)
{
    static sg_cell (*const make[])(sg_cell_options) = {sg_rnn_, sg_gru_, sg_lstm_};
    int64_t columns = gates_of[c->cell] * HIDDEN;
    direction d = {.sizes = {IN * columns, HIDDEN * columns, columns, columns}};
    d.cell = make[c->cell]((sg_cell_options){.g = g,
                                             .name = name,
                                             .in = IN,
                                             .hidden = HIDDEN,
                                             .activation = c->relu ? SG_RELU : SG_TANH,
                                             .reset = SG_RESET_AFTER});
    const float *wh = *w + d.sizes[0], *bx = wh + d.sizes[1], *bh = bx + columns;
    sg_set(d.cell.wx, *w);
    sg_set(d.cell.wh, wh);
    if (d.cell.bh) {
        sg_set(d.cell.b, bx);
        sg_set(d.cell.bh, bh);
    } else {
        set_sum(d.cell.b, bx, bh);
    }
    *w = bh + columns;
    return d;
}

static void agrees(sg_tensor *x, const float *expected, const char *name, const char *what)
{
    char label[96];
    snprintf(label, sizeof label, "%s: %s", name, what);
    for (int64_t i = 0; i < sg_size(x); i++)
        is_near(x, i, (double)expected[i], 1e-5, label);
}

static sg_tensor *input(sg_context *g, const float *x, int64_t rows, int64_t columns)
{
    return sg_input(g, SG_F32, SG_SHAPE(rows, columns), x);
}

static sg_tensor *weighted(sg_tensor *x, const float *r)
{
    sg_tensor *w = sg_input(sg_context_of(x), SG_F32, sg_shape_of(x), r);
    return sg_sum(sg_mul(x, w), SG_ALL_AXES, false);
}

static void check(sg_context *g, const torch_case *c)
{
    const float *w = c->w;
    direction d[2] = {make(g, c, "forward", &w)};
    sg_tensor *x = sg_input(g, SG_F32, SG_SHAPE(BATCH, TIME, IN), c->x), *y;
    sg_state s = {0}, initial = {0};
    if (c->initial) {
        initial.h = input(g, c->initial, BATCH, HIDDEN);
        initial.c = c->cell == 2 ? input(g, c->initial + BATCH * HIDDEN, BATCH, HIDDEN) : NULL;
    }
    if (c->directions == 2) {
        d[1] = make(g, c, "backward", &w);
        y = sg_bidirectional(d[0].cell, d[1].cell, x, c->lengths, &s);
    } else {
        y = sg_unroll(d[0].cell, x, .lengths = c->lengths, .initial = initial, .final = &s);
    }
    int64_t states = BATCH * c->directions * HIDDEN;
    agrees(y, c->y, c->name, "outputs");
    agrees(s.h, c->final, c->name, "final h");
    sg_tensor *loss = sg_add(weighted(y, c->r), weighted(s.h, c->rs));
    if (s.c) {
        agrees(s.c, c->final + states, c->name, "final c");
        loss = sg_add(loss, weighted(s.c, c->rs + states));
    }

    sg_tensor *xs[11] = {x, initial.h ? initial.h : x, initial.c ? initial.c : x}, *grads[11];
    int n = 3;
    for (int k = 0; k < c->directions; k++) {
        const sg_cell *p = &d[k].cell;
        sg_tensor *own[] = {p->wx, p->wh, p->b, p->bh ? p->bh : p->b};
        memcpy(xs + n, own, sizeof own);
        n += 4;
    }
    sg_grad(loss, n, xs, grads);
    agrees(grads[0], c->dx, c->name, "gradient by x");
    if (initial.h)
        agrees(grads[1], c->dinitial, c->name, "gradient by the initial h");
    if (initial.c)
        agrees(grads[2], c->dinitial + BATCH * HIDDEN, c->name, "gradient by the initial c");
    const float *dw = c->dw;
    for (int k = 3; k < n; k++) {
        static const char *const what[] = {"gradient by wx", "gradient by wh", "gradient by b",
                                           "gradient by bh"};
        agrees(grads[k], dw, c->name, what[(k - 3) % 4]);
        dw += d[(k - 3) / 4].sizes[(k - 3) % 4];
    }
}

Test(torch, recurrent_layers_agree)
{
    for (size_t k = 0; k < sizeof torch_cases / sizeof *torch_cases; k++) {
        sg_context *g = sg_open();
        check(g, &torch_cases[k]);
        cr_assert(sg_ok(g), "%s: %s", torch_cases[k].name, sg_errmsg(g));
        sg_close(g);
    }
}
