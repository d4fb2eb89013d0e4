/* Recurrent cells: the formulas of the text-books, a line each. lstm.c has the LSTM, step.c what a
 * step is for all of them. */
#include "models/internal.h"

#include <string.h>

/* H = f(x Wx + b + h Wh) */
static sg_state rnn_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *z = sg_add(xw, sg_matmul(sg_recurrent(p, s.h), p->wh));
    return (sg_state){.h = sg_activate(z, (sg_activation)p->variant)};
}

/* KEEP: H = Z*h + (1-Z)*N;  WRITE: H = (1-Z)*h + Z*N;  with one product: N + Z*(h-N) */
static sg_state gru_update(const sg_cell *p, sg_tensor *r, sg_tensor *z, sg_tensor *h, sg_tensor *n)
{
    bool keep = p->variant == SG_UPDATE_KEEP;
    n = sg_candidate(p, n);
    sg_show_gate(p, "R", r);
    sg_show_gate(p, "Z", z);
    sg_show_gate(p, "N", n);
    sg_tensor *with_z = keep ? h : n, *without = keep ? n : h;
    return (sg_state){.h = sg_add(without, sg_mul(z, sg_sub(with_z, without)))};
}

/* R, Z of x Wx + b + h Wh;  N = tanh(x Wxn + bn + (R*h) Whn) */
static sg_state gru_before_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *x[3], *h[2], *seen = sg_recurrent(p, s.h);
    sg_split(xw, -1, 3, x);
    sg_split(sg_matmul(seen, p->wh), -1, 2, h); /* 2 of [B,H] */
    sg_tensor *r = sg_sigmoid(sg_add(x[0], h[0])), *z = sg_sigmoid(sg_add(x[1], h[1]));
    sg_tensor *n = sg_tanh(sg_add(x[2], sg_matmul(sg_mul(r, seen), p->extra)));
    return gru_update(p, r, z, s.h, n);
}

/* R, Z of x Wx + b + h Wh + bh;  N = tanh(x Wxn + bn + R*(h Whn + bhn)) */
static sg_state gru_after_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *x[3], *h[3];
    sg_split(xw, -1, 3, x);
    sg_split(sg_add(sg_matmul(sg_recurrent(p, s.h), p->wh), p->bh), -1, 3, h); /* 3 of [B,H] */
    sg_tensor *r = sg_sigmoid(sg_add(x[0], h[0])), *z = sg_sigmoid(sg_add(x[1], h[1]));
    sg_tensor *n = sg_tanh(sg_add(x[2], sg_mul(r, h[2])));
    return gru_update(p, r, z, s.h, n);
}

/* F of x Wx + b + h Wh;  N = tanh(x Wxn + bn + (F*h) Whn);  H = (1-F)*h + F*N */
static sg_state mgu_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *x[2], *seen = sg_recurrent(p, s.h);
    sg_split(xw, -1, 2, x);
    sg_tensor *f = sg_sigmoid(sg_add(x[0], sg_matmul(seen, p->wh)));
    sg_tensor *n = sg_tanh(sg_add(x[1], sg_matmul(sg_mul(f, seen), p->extra)));
    n = sg_candidate(p, n);
    sg_show_gate(p, "F", f);
    sg_show_gate(p, "N", n);
    return (sg_state){.h = sg_add(s.h, sg_mul(f, sg_sub(n, s.h)))};
}

/* ---- making them ---------------------------------------------------------------------------- */

/* What only one kind of cell has: of another it would do nothing, so it is a mistake. */
static void good_kind(const sg_cell_options *o, const char *kind)
{
    const struct {
        const char *name, *kind;
        bool set;
    } special[] = {
        {"activation", "rnn", o->activation != 0}, {"forget_bias", "lstm", o->forget_bias != 0},
        {"peephole", "lstm", o->peephole},         {"coupled", "lstm", o->coupled},
        {"projection", "lstm", o->projection},     {"norm", "lstm", o->norm},
        {"reset", "gru", o->reset != 0},           {"update", "gru", o->update != 0},
    };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (special[i].set && strcmp(special[i].kind, kind) != 0)
            sg_fail(o->g, SG_BAD_ARGUMENT, "%s is an option of sg_%s", special[i].name,
                    special[i].kind);
}

static bool good(const sg_cell_options *o)
{
    const double p[] = {o->dropout, o->state_dropout, o->candidate_dropout, o->zoneout,
                        o->zoneout_c};
    if (o->in <= 0 || o->hidden <= 0)
        sg_fail(o->g, SG_BAD_ARGUMENT, "%d inputs, %d hidden units", o->in, o->hidden);
    if ((unsigned)o->activation > SG_GELU || (unsigned)o->reset > SG_RESET_AFTER ||
        (unsigned)o->update > SG_UPDATE_WRITE)
        sg_fail(o->g, SG_BAD_ARGUMENT, "no such activation (%d), reset (%d) or update (%d)",
                (int)o->activation, (int)o->reset, (int)o->update);
    for (int i = 0; i < 5; i++)
        sg__good_dropout(o->g, p[i]);
    return sg_ok(o->g);
}

sg_cell sg__make_cell(const sg_cell_options *o, const char *kind, int gates, int units, int blocks,
                      const void *bias)
{
    sg_context *g = o->g;
    sg_cell p = {.g = g, .in = o->in, .hidden = o->hidden, .states = 1, .dropout = o->dropout};
    p.state_dropout = o->state_dropout;
    p.candidate_dropout = o->candidate_dropout;
    p.variational = o->variational;
    p.zoneout = o->zoneout;
    p.zoneout_c = o->zoneout_c;
    sg__need_name(g, o->name);
    good_kind(o, kind);
    good(o);
    p.wx = sg_param(g, "wx", SG_SHAPE(o->in, (int64_t)gates * units), SG_XAVIER, .blocks = gates,
                    .dtype = o->dtype);
    p.b = sg_param(g, "b", SG_SHAPE((int64_t)gates * units), SG_ZEROS, .data = bias,
                   .dtype = o->dtype);
    p.wh = sg_param(g, "wh", SG_SHAPE(o->hidden, (int64_t)blocks * units), SG_ORTHOGONAL,
                    .blocks = blocks, .dtype = o->dtype);
    return p;
}

sg_cell sg_rnn_(sg_cell_options o)
{
    sg_push(o.g, "rnn", o.name);
    sg_cell p = sg__make_cell(&o, "rnn", 1, o.hidden, 1, NULL);
    if (o.candidate_dropout > 0)
        sg_fail(o.g, SG_BAD_ARGUMENT, "candidate_dropout: there is no candidate, all is written");
    sg_pop(o.g);
    p.step = rnn_step;
    p.variant = (int)o.activation;
    return p;
}

/* N's weights of the state, where they are not part of wh. */
static sg_tensor *apart(const sg_cell_options *o)
{
    return sg_param(o->g, "whn", SG_SHAPE(o->hidden, o->hidden), SG_ORTHOGONAL, .dtype = o->dtype);
}

sg_cell sg_gru_(sg_cell_options o)
{
    bool after = o.reset == SG_RESET_AFTER;
    sg_push(o.g, "gru", o.name);
    sg_cell p = sg__make_cell(&o, "gru", 3, o.hidden, after ? 3 : 2, NULL);
    if (after)
        p.bh = sg_param(o.g, "bh", SG_SHAPE(3 * (int64_t)o.hidden), SG_ZEROS, .dtype = o.dtype);
    else
        p.extra = apart(&o);
    sg_pop(o.g);
    p.step = after ? gru_after_step : gru_before_step;
    p.variant = (int)o.update;
    return p;
}

sg_cell sg_mgu_(sg_cell_options o)
{
    sg_push(o.g, "mgu", o.name);
    sg_cell p = sg__make_cell(&o, "mgu", 2, o.hidden, 1, NULL);
    p.extra = apart(&o);
    sg_pop(o.g);
    p.step = mgu_step;
    return p;
}
