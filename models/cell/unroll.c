/*
 * Cells over sequences. Inputs behind a sequence's length are replaced by zeros before anything is
 * computed from them, and a reversed sequence is turned around within its own length. So padding is
 * harmless and comes last, no later step can reach a real one, and no mask is needed on the way.
 */
#include "models/internal.h"

bool sg__good_lengths(sg_context *g, int64_t batch, int64_t time, const int *lengths)
{
    for (int64_t b = 0; lengths && b < batch; b++)
        if (lengths[b] < 0 || lengths[b] > time) {
            sg_fail(g, SG_BAD_ARGUMENT, "length %d of row %lld is not in 0..%lld", lengths[b],
                    (long long)b, (long long)time);
            break;
        }
    return sg_ok(g);
}

const int *sg__short_ones(const int *lengths, int64_t batch, int64_t time)
{
    for (int64_t b = 0; lengths && b < batch; b++)
        if (lengths[b] != time)
            return lengths;
    return NULL;
}

sg_tensor *sg__clean(sg_tensor *x, const int *lengths)
{
    if (!lengths)
        return x;
    sg_context *g = sg_context_of(x);
    sg_tensor *mask = sg_length_mask(g, (int)sg_dim(x, 0), sg_dim(x, 1), lengths); /* [B,T] */
    return sg_where(sg_expand_dims(mask, 2), x, sg_like(x, 0));
}

static sg_tensor *turn(sg_tensor *x, const int *lengths)
{
    return lengths ? sg_reverse_sequence(x, lengths) : sg_flip(x, 1);
}

/* h[b, lengths[b] - 1]; the row of `initial` for an empty sequence: [B,H] */
static sg_tensor *last(sg_tensor *h, const int *lengths, sg_tensor *initial)
{
    int64_t batch = sg_dim(h, 0), time = sg_dim(h, 1);
    sg_context *g = sg_context_of(h);
    if (time == 0)
        return initial;
    if (!lengths)
        return sg_index(h, 1, time - 1);
    if (batch * time > INT32_MAX)
        return sg_fail(g, SG_BAD_SHAPE, "%lld sequences of %lld elements are too many",
                       (long long)batch, (long long)time);
    int32_t *rows = sg_room(g, (size_t)batch * sizeof *rows);
    if (!rows)
        return sg__nothing(g);
    bool empty = false;
    for (int64_t b = 0; b < batch; b++) {
        rows[b] = (int32_t)(b * time + (lengths[b] ? lengths[b] - 1 : 0));
        empty = empty || lengths[b] == 0;
    }
    sg_tensor *flat = sg_reshape(h, SG_SHAPE(batch * time, sg_dim(h, 2))); /* [B*T,H] */
    sg_tensor *x = sg_take(flat, sg_input(g, SG_I32, SG_SHAPE(batch), rows));
    if (empty) {
        for (int64_t b = 0; b < batch; b++)
            rows[b] = lengths[b] > 0;
        sg_tensor *some = sg_input(g, SG_I32, SG_SHAPE(batch, 1), rows);
        x = sg_where(sg_cast(some, SG_U8), x, initial);
    }
    return x;
}

void sg__cut_steps(sg_tensor *x, int64_t n, sg_tensor **steps)
{
    for (int64_t t = 0; t < n; t++)
        steps[t] = sg_index(x, 1, t);
}

sg_tensor *sg__stack_steps(int64_t n, sg_tensor **steps, sg_tensor *x, int64_t columns)
{
    if (n > 0)
        return sg_stack_(1, (int)n, steps);
    return sg_full(sg_context_of(x), sg_type(x), SG_SHAPE(sg_dim(x, 0), 0, columns), 0);
}

/* ---- unroll --------------------------------------------------------------------------------- */

static bool good_state(sg_tensor *s, const char *name, const sg_cell *p, int64_t batch, int size)
{
    if (!s || (sg_rank(s) == 2 && sg_dim(s, 0) == batch && sg_dim(s, 1) == size))
        return true;
    if (!sg_is_nil(s))
        sg_fail(p->g, SG_BAD_SHAPE, "the initial %s is not [batch, hidden] = [%lld,%d]", name,
                (long long)batch, size);
    return false;
}

static bool good(const sg_unroll_options *o)
{
    const sg_cell *p = &o->cell;
    if (!sg_ok(p->g))
        return false;
    if (!p->step || sg_is_nil(o->x))
        sg_fail(p->g, SG_BAD_ARGUMENT, p->step ? "x is missing" : "the cell has no step");
    else if (sg_context_of(o->x) != p->g)
        sg_fail(p->g, SG_BAD_CONTEXT, "the cell and x are of two contexts");
    else if (sg_rank(o->x) != 3)
        sg_fail(p->g, SG_BAD_SHAPE, "x has %d axes, not [batch, time, features]", sg_rank(o->x));
    else if (p->states < 1 || p->states > 2 || p->hidden < 1)
        sg_fail(p->g, SG_BAD_ARGUMENT, "a cell of %d hidden units and %d states, not 1 or 2",
                p->hidden, p->states);
    else if (p->wx && sg_dim(o->x, 2) != p->in)
        sg_fail(p->g, SG_BAD_SHAPE, "x has %lld features, the cell %d inputs",
                (long long)sg_dim(o->x, 2), p->in);
    return sg_ok(p->g) && sg__good_lengths(p->g, sg_dim(o->x, 0), sg_dim(o->x, 1), o->lengths) &&
           good_state(o->initial.h, "h", p, sg_dim(o->x, 0), p->hidden) &&
           good_state(o->initial.c, "c", p, sg_dim(o->x, 0), p->memory ? p->memory : p->hidden);
}

static bool same_gates(const sg_cell *p, int before)
{
    if (p->gates->n != before)
        sg_fail(p->g, SG_BAD_ARGUMENT, "the cell's step shows %d gates, and before it showed %d",
                p->gates->n, before);
    return sg_ok(p->g);
}

/* All steps from xw [B,T,G]: [B,T,H]. `steps` has room for three tensors a step, then for what the
 * gates are at each. */
static sg_tensor *run(const sg_unroll_options *o, sg_tensor *xw, sg_tensor **steps)
{
    const sg_cell *p = &o->cell;
    int64_t time = sg_dim(xw, 1);
    sg_tensor **h = steps, **c = steps + time, **in = steps + 2 * time;
    sg_state first = sg__zero_state(p, sg_dim(xw, 0), sg_type(xw));
    first.h = o->initial.h ? o->initial.h : first.h;
    first.c = o->initial.c ? o->initial.c : first.c;
    sg_state s = first;
    sg__cut_steps(xw, time, in);
    for (int64_t t = 0; t < time; t++) {
        int shown = p->gates ? p->gates->n : 0;
        s = sg__step(p, in[t], s);
        if (t == 0 ? !sg__good_step(p, in[t], s) : p->gates && !same_gates(p, shown))
            return sg__nothing(p->g);
        h[t] = s.h;
        c[t] = s.c;
        for (int k = 0; p->gates && k < p->gates->n; k++)
            steps[(3 + k) * time + t] = p->gates->value[k];
    }
    sg_tensor *all = sg__stack_steps(time, h, xw, p->hidden);
    if (o->final && o->lengths) {
        sg_tensor *all_c = s.c ? sg__stack_steps(time, c, xw, sg_dim(s.c, 1)) : NULL;
        s.h = last(all, o->lengths, first.h);
        s.c = s.c ? last(all_c, o->lengths, first.c) : NULL;
    }
    if (o->final)
        *o->final = s;
    return all;
}

/* The gates over time, as h is: from n steps each. */
static void stack_gates(const sg_unroll_options *o, sg_tensor *xw, sg_tensor **steps)
{
    int64_t time = sg_dim(xw, 1);
    for (int k = 0; k < o->gates->n; k++, steps += time) {
        sg_tensor *all = sg_stack_(1, (int)time, steps);
        all = o->reverse ? turn(all, o->lengths) : all;
        o->gates->value[k] = sg__clean(all, o->lengths);
    }
}

static sg_tensor *unroll(sg_unroll_options o)
{
    sg_cell *p = &o.cell;
    int64_t time = sg_dim(o.x, 1);
    size_t lists = o.gates ? 3 + SG_MAX_GATES : 3;
    sg_tensor **steps = sg_room(p->g, lists * (size_t)time * sizeof *steps);
    if (!steps)
        return sg__nothing(p->g);
    p->gates = o.gates;
    o.lengths = sg__short_ones(o.lengths, sg_dim(o.x, 0), time);
    *p = sg__begin(p, sg_type(o.x), sg_dim(o.x, 0), sg_dim(o.x, 2));
    sg_tensor *clean = sg__clean(o.x, o.lengths), *x = sg__cell_input(p, clean);
    x = o.reverse ? turn(x, o.lengths) : x;
    sg_tensor *xw = p->wx ? sg_apply((sg_affine){p->wx, p->b}, x) : x; /* [B,T,G] */
    sg_tensor *h = sg_ok(p->g) ? run(&o, xw, steps) : xw;
    if (o.gates && sg_ok(p->g))
        stack_gates(&o, xw, steps + 3 * time);
    h = o.reverse ? turn(h, o.lengths) : h;
    return sg__clean(sg_output(p, clean, h), o.lengths);
}

sg_tensor *sg_unroll_(sg_unroll_options o)
{
    sg_context *g = o.cell.g = o.cell.g ? o.cell.g : sg_context_of(o.x);
    sg_push(g, "unroll", "");
    if (o.gates)
        o.gates->n = 0;
    if (o.final)
        o.final->h = o.final->c = sg__nothing(g);
    sg_tensor *h = good(&o) ? unroll(o) : sg__nothing(g);
    sg_pop(g);
    return h;
}

sg_tensor *sg_bidirectional(sg_cell forward, sg_cell backward, sg_tensor *x, const int *lengths,
                            sg_state *final)
{
    sg_state f, b;
    sg_tensor *l = sg_unroll(forward, x, .lengths = lengths, .final = final ? &f : NULL);
    sg_tensor *r =
        sg_unroll(backward, x, .lengths = lengths, .reverse = true, .final = final ? &b : NULL);
    if (final) {
        final->h = sg_concat(-1, f.h, b.h);
        final->c = f.c && b.c ? sg_concat(-1, f.c, b.c) : NULL;
    }
    return sg_concat(-1, l, r); /* [B,T,2H] */
}

sg_tensor *sg_last(sg_tensor *h, const int *lengths)
{
    sg_context *g = sg_context_of(h);
    if (sg_is_nil(h))
        return h;
    if (sg_rank(h) != 3)
        return sg_fail(g, SG_BAD_SHAPE, "last: h has %d axes, not [batch, time, hidden]",
                       sg_rank(h));
    sg_push(g, "last", "");
    bool ok = sg__good_lengths(g, sg_dim(h, 0), sg_dim(h, 1), lengths);
    sg_tensor *zero = sg_full(g, sg_type(h), SG_SHAPE(sg_dim(h, 0), sg_dim(h, 2)), 0);
    h = ok ? last(h, lengths, zero) : sg__nothing(g);
    sg_pop(g);
    return h;
}
