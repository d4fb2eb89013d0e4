/*
 * What a step is for all cells, whatever their formulas: dropout in its ways, zoneout, extra
 * information beside the state, and what is given out (wrappers).
 */
#include "models/internal.h"

sg_state sg__zero_state(const sg_cell *p, int64_t batch, sg_dtype dtype)
{
    sg_state s = {.h = sg_full(p->g, dtype, SG_SHAPE(batch, p->hidden), 0)}; /* [B,H] */
    bool alike = sg__memory_of(p) == p->hidden;
    if (p->states > 1)
        s.c = alike ? s.h : sg_full(p->g, dtype, SG_SHAPE(batch, sg__memory_of(p)), 0);
    return s;
}

/* That of the first weights there are. */
static sg_dtype type_of(const sg_cell *p)
{
    sg_tensor *weights[] = {p->wh, p->wx, p->b, p->extra, p->bh};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        if (weights[i])
            return sg_type(weights[i]);
    return SG_F32;
}

sg_state sg_zero_state(const sg_cell *p, int64_t batch)
{
    return sg__zero_state(p, batch, type_of(p));
}

/* ---- dropout -------------------------------------------------------------------------------- */

/* 0, or 1 / (1 - p), for each feature of a row. */
static sg_tensor *draw_mask(const sg_cell *p, sg_dtype dtype, int64_t batch, int64_t size, double q)
{
    sg_tensor *one = sg_full(p->g, dtype, SG_SHAPE(batch, size), 1);
    return sg_dropout(one, q);
}

sg_cell sg__begin(const sg_cell *p, sg_dtype dtype, int64_t batch, int64_t features)
{
    sg_cell now = *p;
    if (!p->variational || !sg_training(p->g))
        return now;
    if (p->dropout > 0)
        now.mask_x = draw_mask(p, dtype, batch, features, p->dropout);
    if (p->state_dropout > 0)
        now.mask_h = draw_mask(p, dtype, batch, p->hidden, p->state_dropout);
    return now;
}

sg_cell sg_begin(const sg_cell *p, int64_t batch)
{
    return sg__begin(p, type_of(p), batch, p->in);
}

sg_tensor *sg__cell_input(const sg_cell *p, sg_tensor *x)
{
    if (!p->mask_x)
        return sg_dropout(x, p->dropout);
    return sg_mul(x, sg_rank(x) == 3 ? sg_expand_dims(p->mask_x, 1) : p->mask_x);
}

sg_tensor *sg_recurrent(const sg_cell *p, sg_tensor *h)
{
    return p->mask_h ? sg_mul(h, p->mask_h) : sg_dropout(h, p->state_dropout);
}

sg_tensor *sg_candidate(const sg_cell *p, sg_tensor *n)
{
    return sg_dropout(n, p->candidate_dropout);
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* m*old + (1-m)*new, m ~ Bernoulli(z); z*old + (1-z)*new when not in training */
static sg_tensor *zone(sg_tensor *old, sg_tensor *new, double z)
{
    sg_context *g = sg_context_of(new);
    if (z == 0 || sg_is_nil(new) || sg_is_nil(old))
        return new;
    if (!sg_training(g))
        return sg_add(new, sg_mul(sg_like(new, z), sg_sub(old, new)));
    sg_tensor *stays = sg_random_bernoulli(g, sg_shape_of(new), z);
    return sg_where(stays, old, new);
}

/* h with z, of h's size. */
static sg_tensor *fused(const sg_cell *p, sg_tensor *h)
{
    sg_tensor *y = sg_fuse(&p->fusion, h, p->z);
    if (sg_ok(p->g) && sg_dim(y, -1) != p->hidden)
        return sg_fail(p->g, SG_BAD_SHAPE, "h of %d features with z of %lld has %lld, the cell %d",
                       p->hidden, (long long)sg_dim(p->z, -1), (long long)sg_dim(y, -1), p->hidden);
    return y;
}

sg_state sg__step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_state seen = s;
    if (p->z)
        seen.h = fused(p, s.h);
    if (p->gates)
        p->gates->n = 0;
    sg_state next = p->step(p, xw, seen);
    next.h = zone(s.h, next.h, p->zoneout);
    if (next.c)
        next.c = zone(s.c, next.c, p->zoneout_c);
    return next;
}

static bool good_part(const sg_cell *p, sg_tensor *x, const char *name, int64_t batch, int size)
{
    if (sg_is_nil(x))
        sg_fail(p->g, SG_BAD_ARGUMENT, "the cell's step gave no %s, though it has %d state%s", name,
                p->states, p->states > 1 ? "s" : "");
    else if (sg_rank(x) != 2)
        sg_fail(p->g, SG_BAD_SHAPE, "the cell's step gave %s of %d axes, not [%lld,%d]", name,
                sg_rank(x), (long long)batch, size);
    else if (sg_dim(x, 0) != batch || sg_dim(x, 1) != size)
        sg_fail(p->g, SG_BAD_SHAPE, "the cell's step gave %s [%lld,%lld], not [%lld,%d]", name,
                (long long)sg_dim(x, 0), (long long)sg_dim(x, 1), (long long)batch, size);
    return sg_ok(p->g);
}

bool sg__good_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    int64_t batch = sg_dim(xw, 0);
    return sg_ok(p->g) && good_part(p, s.h, "h", batch, p->hidden) &&
           (p->states < 2 || good_part(p, s.c, "c", batch, sg__memory_of(p)));
}

sg_state sg_cell_step(const sg_cell *p, sg_tensor *x, sg_state s)
{
    if (!p || !p->step) {
        sg_tensor *nil = sg_fail(sg_context_of(x), SG_BAD_ARGUMENT, "sg_cell_step: no cell");
        return (sg_state){nil, nil};
    }
    x = sg__cell_input(p, x);
    sg_tensor *xw = p->wx ? sg_apply((sg_affine){p->wx, p->b}, x) : x;
    s = sg__step(p, xw, s);
    sg__good_step(p, xw, s);
    return s;
}

void sg_show_gate(const sg_cell *p, const char *name, sg_tensor *value)
{
    sg_gates *g = p->gates;
    if (!g)
        return;
    if (g->n == SG_MAX_GATES) {
        sg_fail(p->g, SG_BAD_ARGUMENT, "sg_show_gate: \"%s\" is one more than %d", name ? name : "",
                SG_MAX_GATES);
        return;
    }
    g->name[g->n] = name;
    g->value[g->n++] = value;
}

/* ---- what is given out ---------------------------------------------------------------------- */

sg_tensor *sg_output(const sg_cell *p, sg_tensor *x, sg_tensor *h)
{
    return p->output ? p->output(p, x, h) : h;
}

/* y = h + x */
static sg_tensor *residual(const sg_cell *p, sg_tensor *x, sg_tensor *h)
{
    if (sg_ok(p->g) && sg_dim(x, -1) != p->hidden)
        return sg_fail(p->g, SG_BAD_SHAPE, "inputs of %lld features do not add to states of %d",
                       (long long)sg_dim(x, -1), p->hidden);
    return sg_add(h, x);
}

/* T = sigmoid(x Wt + bt);  y = T*h + (1-T)*x */
static sg_tensor *highway(const sg_cell *p, sg_tensor *x, sg_tensor *h)
{
    sg_tensor *t = sg_sigmoid(sg_apply(p->gate, x));
    return sg_add(x, sg_mul(t, sg_sub(h, x)));
}

static sg_cell wrap(sg_cell p, sg_tensor *(*output)(const sg_cell *, sg_tensor *, sg_tensor *))
{
    if (p.output)
        sg_fail(p.g, SG_BAD_ARGUMENT, "the cell is wrapped already");
    else if (p.wx && p.in != p.hidden)
        sg_fail(p.g, SG_BAD_SHAPE, "inputs of %d features do not add to states of %d", p.in,
                p.hidden);
    p.output = output;
    return p;
}

sg_cell sg_residual(sg_cell p)
{
    sg_push(p.g, "residual", "");
    p = wrap(p, residual);
    sg_pop(p.g);
    return p;
}

sg_cell sg_highway(sg_cell p, const char *name)
{
    sg_push(p.g, "highway", name);
    sg__need_name(p.g, name);
    p = wrap(p, highway);
    p.gate.w = sg_param(p.g, "w", SG_SHAPE(p.hidden, p.hidden), .dtype = type_of(&p));
    p.gate.b = sg_param(p.g, "b", SG_SHAPE(p.hidden), SG_CONSTANT, -1, .dtype = type_of(&p));
    sg_pop(p.g);
    return p;
}
