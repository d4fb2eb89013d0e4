/* Recurrent cells: the formulas of the text-books, a line each. */
#include "models/internal.h"

sg_tensor *sg_activate(sg_tensor *x, sg_activation f)
{
    static sg_tensor *(*const function[])(sg_tensor *) = {sg_tanh, sg_relu, NULL, sg_sigmoid};
    if ((unsigned)f > SG_SIGMOID)
        return sg_fail(sg_context_of(x), SG_BAD_ARGUMENT, "no such activation (%d)", (int)f);
    return function[f] ? function[f](x) : x;
}

/* H = f(x Wx + b + h Wh) */
static sg_state rnn_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *z = sg_add(xw, sg_matmul(s.h, p->wh));
    return (sg_state){.h = sg_activate(z, (sg_activation)p->variant)};
}

/* I, F, G, O of x Wx + b + h Wh;  C = F*c + I*G;  H = O*tanh(C) */
static sg_state lstm_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *z[4];
    sg_split(sg_add(xw, sg_matmul(s.h, p->wh)), -1, 4, z); /* 4 of [B,H] */
    sg_tensor *i = sg_sigmoid(z[0]), *f = sg_sigmoid(z[1]);
    sg_tensor *g = sg_tanh(z[2]), *o = sg_sigmoid(z[3]);
    sg_tensor *c = sg_add(sg_mul(f, s.c), sg_mul(i, g));
    return (sg_state){.h = sg_mul(o, sg_tanh(c)), .c = c};
}

/* KEEP: H = Z*h + (1-Z)*N;  WRITE: H = (1-Z)*h + Z*N;  with one product: N + Z*(h-N) */
static sg_state gru_update(const sg_cell *p, sg_tensor *z, sg_tensor *h, sg_tensor *n)
{
    bool keep = p->variant == SG_UPDATE_KEEP;
    sg_tensor *with_z = keep ? h : n, *without = keep ? n : h;
    return (sg_state){.h = sg_add(without, sg_mul(z, sg_sub(with_z, without)))};
}

/* R, Z of x Wx + b + h Wh;  N = tanh(x Wxn + bn + (R*h) Whn) */
static sg_state gru_before_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *x[3], *h[2];
    sg_split(xw, -1, 3, x);
    sg_split(sg_matmul(s.h, p->wh), -1, 2, h); /* 2 of [B,H] */
    sg_tensor *r = sg_sigmoid(sg_add(x[0], h[0])), *z = sg_sigmoid(sg_add(x[1], h[1]));
    sg_tensor *n = sg_tanh(sg_add(x[2], sg_matmul(sg_mul(r, s.h), p->extra)));
    return gru_update(p, z, s.h, n);
}

/* R, Z of x Wx + b + h Wh + bh;  N = tanh(x Wxn + bn + R*(h Whn + bhn)) */
static sg_state gru_after_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *x[3], *h[3];
    sg_split(xw, -1, 3, x);
    sg_split(sg_add(sg_matmul(s.h, p->wh), p->bh), -1, 3, h); /* 3 of [B,H] */
    sg_tensor *r = sg_sigmoid(sg_add(x[0], h[0])), *z = sg_sigmoid(sg_add(x[1], h[1]));
    sg_tensor *n = sg_tanh(sg_add(x[2], sg_mul(r, h[2])));
    return gru_update(p, z, s.h, n);
}

/* ---- making them ---------------------------------------------------------------------------- */

static bool good(const sg_cell_options *o)
{
    if (o->in <= 0 || o->hidden <= 0)
        sg_fail(o->g, SG_BAD_ARGUMENT, "%d inputs, %d hidden units", o->in, o->hidden);
    if ((unsigned)o->activation > SG_SIGMOID || (unsigned)o->reset > SG_RESET_AFTER ||
        (unsigned)o->update > SG_UPDATE_WRITE)
        sg_fail(o->g, SG_BAD_ARGUMENT, "no such activation (%d), reset (%d) or update (%d)",
                (int)o->activation, (int)o->reset, (int)o->update);
    return sg__good_dropout(o->g, o->dropout);
}

/* What all have: parameters of `gates` blocks for the input and `recurrent` ones for the state. */
static sg_cell make(const sg_cell_options *o, int64_t gates, int64_t recurrent, const void *bias)
{
    sg_context *g = o->g;
    sg_cell p = {.g = g, .in = o->in, .hidden = o->hidden, .states = 1, .dropout = o->dropout};
    good(o);
    p.wx = sg_param(g, "wx", SG_SHAPE(o->in, gates * o->hidden), SG_XAVIER, .blocks = (int)gates,
                    .dtype = o->dtype);
    p.b = sg_param(g, "b", SG_SHAPE(gates * o->hidden), SG_ZEROS, .data = bias, .dtype = o->dtype);
    p.wh = sg_param(g, "wh", SG_SHAPE(o->hidden, recurrent * o->hidden), SG_ORTHOGONAL,
                    .blocks = (int)recurrent, .dtype = o->dtype);
    return p;
}

sg_cell sg_rnn_(sg_cell_options o)
{
    sg_push(o.g, "rnn", o.name);
    sg_cell p = make(&o, 1, 1, NULL);
    sg_pop(o.g);
    p.step = rnn_step;
    p.variant = (int)o.activation;
    return p;
}

/* A bias of 0 but for the forget gate's, the second of four (Gers et al. 2000). */
static void *lstm_bias(const sg_cell_options *o)
{
    size_t n = o->hidden > 0 ? (size_t)o->hidden : 0;
    double forget = o->forget_bias == 0 ? 1 : o->forget_bias == SG_ZERO ? 0 : o->forget_bias;
    double *f64 = sg_room(o->g, 4 * n * sizeof *f64);
    float *f32 = (float *)(void *)f64;
    for (size_t i = 0; f64 && i < 4 * n; i++) {
        double b = i >= n && i < 2 * n ? forget : 0;
        if (o->dtype == SG_F64)
            f64[i] = b;
        else
            f32[i] = (float)b;
    }
    return f64;
}

sg_cell sg_lstm_(sg_cell_options o)
{
    sg_push(o.g, "lstm", o.name);
    void *bias = lstm_bias(&o);
    sg_cell p = make(&o, 4, 4, bias);
    sg_pop(o.g);
    p.step = lstm_step;
    p.states = 2;
    return p;
}

sg_cell sg_gru_(sg_cell_options o)
{
    bool after = o.reset == SG_RESET_AFTER;
    sg_push(o.g, "gru", o.name);
    sg_cell p = make(&o, 3, after ? 3 : 2, NULL);
    if (after)
        p.bh = sg_param(o.g, "bh", SG_SHAPE(3 * (int64_t)o.hidden), SG_ZEROS, .dtype = o.dtype);
    else
        p.extra =
            sg_param(o.g, "whn", SG_SHAPE(o.hidden, o.hidden), SG_ORTHOGONAL, .dtype = o.dtype);
    sg_pop(o.g);
    p.step = after ? gru_after_step : gru_before_step;
    p.variant = (int)o.update;
    return p;
}

/* ---- one step ------------------------------------------------------------------------------- */

sg_state sg__zero_state(const sg_cell *p, int64_t batch, sg_dtype dtype)
{
    sg_tensor *zero = sg_full(p->g, dtype, SG_SHAPE(batch, p->hidden), 0); /* [B,H] */
    return (sg_state){.h = zero, .c = p->states > 1 ? zero : NULL};
}

sg_state sg_zero_state(const sg_cell *p, int64_t batch)
{
    return sg__zero_state(p, batch, p->wh ? sg_type(p->wh) : SG_F32);
}

sg_state sg_cell_step(const sg_cell *p, sg_tensor *x, sg_state s)
{
    x = sg_dropout(x, p->dropout);
    return p->step(p, p->wx ? sg_apply((sg_affine){p->wx, p->b}, x) : x, s);
}
