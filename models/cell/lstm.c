/* The LSTM: the one of the text-books, and the one with options. */
#include "models/internal.h"

static void show(const sg_cell *p, sg_tensor *i, sg_tensor *f, sg_tensor *g, sg_tensor *o)
{
    if (i)
        sg_show_gate(p, "I", i);
    sg_show_gate(p, "F", f);
    sg_show_gate(p, "G", g);
    sg_show_gate(p, "O", o);
}

/* I, F, G, O of x Wx + b + h Wh;  C = F*c + I*G;  H = O*tanh(C) */
static sg_state lstm_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *z[4];
    sg_split(sg_add(xw, sg_matmul(sg_recurrent(p, s.h), p->wh)), -1, 4, z); /* 4 of [B,H] */
    sg_tensor *i = sg_sigmoid(z[0]), *f = sg_sigmoid(z[1]);
    sg_tensor *g = sg_candidate(p, sg_tanh(z[2])), *o = sg_sigmoid(z[3]);
    sg_tensor *c = sg_add(sg_mul(f, s.c), sg_mul(i, g));
    show(p, i, f, g, o);
    return (sg_state){.h = sg_mul(o, sg_tanh(c)), .c = c};
}

/* x Wx + b + h Wh, or LN(x Wx) + LN(h Wh) + b: by gate I F G O, or F G O, each [B,M] */
static void gates(const sg_cell *p, sg_tensor *xw, sg_tensor *h, int n, sg_tensor **z)
{
    sg_tensor *hw = sg_matmul(sg_recurrent(p, h), p->wh);
    if (p->norm_x.gain) {
        xw = sg_normalize(p->norm_x, xw);
        hw = sg_normalize(p->norm_h, hw);
    }
    sg_split(sg_add(xw, hw), -1, n, z);
}

/* z + p*c, where there is a peephole */
static sg_tensor *look(sg_tensor *z, sg_tensor *peep, sg_tensor *c)
{
    return peep ? sg_add(z, sg_mul(peep, c)) : z;
}

/* I = sigmoid(zi + pi*c), or 1-F;  F = sigmoid(zf + pf*c);  C = F*c + I*tanh(zg);
 * O = sigmoid(zo + po*C);  H = O*tanh(C), or O*tanh(LN(C)), or that times Wr */
static sg_state lstm_general_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    bool coupled = p->variant;
    sg_tensor *z[4] = {NULL}, *peep[3] = {NULL};
    gates(p, xw, s.h, 4 - coupled, z + coupled);
    if (p->peep)
        sg_split(p->peep, 0, 3 - coupled, peep + coupled);
    sg_tensor *f = sg_sigmoid(look(z[1], peep[1], s.c)), *g = sg_candidate(p, sg_tanh(z[2]));
    sg_tensor *i = coupled ? NULL : sg_sigmoid(look(z[0], peep[0], s.c));
    sg_tensor *c =
        coupled ? sg_add(g, sg_mul(f, sg_sub(s.c, g))) : sg_add(sg_mul(f, s.c), sg_mul(i, g));
    sg_tensor *o = sg_sigmoid(look(z[3], peep[2], c));
    show(p, i, f, g, o);
    sg_tensor *h = sg_mul(o, sg_tanh(p->norm_c.gain ? sg_normalize(p->norm_c, c) : c));
    return (sg_state){.h = p->wr ? sg_matmul(h, p->wr) : h, .c = c};
}

/* A bias of 0 but for the forget gate's, the second of four or the first of three (Gers et al.
 * 2000). */
static void *bias_of(const sg_cell_options *o, bool coupled)
{
    size_t n = o->hidden > 0 ? (size_t)o->hidden : 0, from = coupled ? 0 : n;
    double forget = o->forget_bias == 0 ? 1 : o->forget_bias == SG_ZERO ? 0 : o->forget_bias;
    double *f64 = sg_room(o->g, 4 * n * sizeof *f64);
    float *f32 = (float *)(void *)f64;
    for (size_t i = 0; f64 && i < 4 * n; i++) {
        double b = i >= from && i < from + n ? forget : 0;
        if (o->dtype == SG_F64)
            f64[i] = b;
        else
            f32[i] = (float)b;
    }
    return f64;
}

static sg_tensor *gain(const sg_cell_options *o, const char *name, int size)
{
    return sg_param(o->g, name, SG_SHAPE(size), SG_CONSTANT, .dtype = o->dtype);
}

/* b, which x Wx would get, becomes the bias of its norm. */
static void make_norms(sg_cell *p, const sg_cell_options *o, int units)
{
    p->norm_x = (sg_norm){gain(o, "norm_x.gain", units), p->b};
    p->norm_h = (sg_norm){gain(o, "norm_h.gain", units), NULL};
    p->norm_c = sg_make_norm(o->g, "norm_c", o->hidden, o->dtype);
    p->b = NULL;
}

sg_cell sg_lstm_(sg_cell_options o)
{
    int n = o.coupled ? 3 : 4, units = o.hidden;
    sg_push(o.g, "lstm", o.name);
    if (o.projection < 0)
        sg_fail(o.g, SG_BAD_ARGUMENT, "a projection of %d features", o.projection);
    void *bias = bias_of(&o, o.coupled);
    o.hidden = o.projection ? o.projection : units;
    sg_cell p = sg__make_cell(&o, "lstm", n, units, n, bias);
    o.hidden = units;
    if (o.peephole)
        p.peep =
            sg_param(o.g, "peep", SG_SHAPE((n - 1) * (int64_t)units), SG_ZEROS, .dtype = o.dtype);
    if (o.projection)
        p.wr = sg_param(o.g, "wr", SG_SHAPE(units, o.projection), .dtype = o.dtype);
    if (o.norm)
        make_norms(&p, &o, n * units);
    sg_pop(o.g);
    bool plain = !o.peephole && !o.coupled && !o.projection && !o.norm;
    p.step = plain ? lstm_step : lstm_general_step;
    p.states = 2;
    p.memory = units;
    p.variant = o.coupled;
    return p;
}
