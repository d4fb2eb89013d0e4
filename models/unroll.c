/*
 * Cells over sequences. Inputs behind a sequence's length are replaced by zeros before anything is
 * computed from them, and a reversed sequence is turned around within its own length, so padding
 * always comes last and no later step can reach a real one; no mask is needed on the way.
 */
#include "models/models.h"

#include <stdlib.h>

static bool all_full(const int *lengths, int64_t batch, int64_t time)
{
    for (int64_t b = 0; lengths && b < batch; b++)
        if (lengths[b] != time)
            return false;
    return true;
}

static bool check(const sg_unroll_options *o)
{
    sg_context *g = o->cell.g;
    if (!sg_ok(g) || sg_is_nil(o->x))
        return false;
    if (sg_rank(o->x) != 3 || (o->cell.wx && sg_dim(o->x, 2) != o->cell.in)) {
        sg_fail(g, SG_BAD_SHAPE,
                "unroll: x must be [batch, time, %d]; it has %d axes, the last %lld", o->cell.in,
                sg_rank(o->x), sg_rank(o->x) ? (long long)sg_dim(o->x, -1) : 0);
        return false;
    }
    for (int64_t b = 0; o->lengths && b < sg_dim(o->x, 0); b++)
        if (o->lengths[b] < 0 || o->lengths[b] > sg_dim(o->x, 1)) {
            sg_fail(g, SG_BAD_ARGUMENT, "unroll: length %d of sequence %lld is outside 0..%lld",
                    o->lengths[b], (long long)b, (long long)sg_dim(o->x, 1));
            return false;
        }
    return true;
}

/* 1 where t < lengths[b]: [B,T,1] */
static sg_tensor *mask_of(sg_tensor *x, const int *lengths)
{
    sg_tensor *m = sg_length_mask(sg_context_of(x), (int)sg_dim(x, 0), sg_dim(x, 1), lengths);
    return sg_expand_dims(m, 2);
}

/* What is behind a sequence's length becomes 0. */
static sg_tensor *clean(sg_tensor *x, const int *lengths)
{
    return lengths ? sg_where(mask_of(x, lengths), x, sg_like(x, 0)) : x;
}

static sg_tensor *turn(sg_tensor *x, const int *lengths)
{
    return lengths ? sg_reverse_sequence(x, lengths) : sg_flip(x, 1);
}

/* The state after each sequence's last element; the initial one of an empty sequence. */
static sg_tensor *after_last(sg_tensor *h, const int *lengths, sg_tensor *initial)
{
    int64_t batch = sg_dim(h, 0), time = sg_dim(h, 1);
    if (time == 0)
        return initial;
    sg_tensor *last = sg_last(h, lengths); /* [B,H] */
    bool empty = false;
    for (int64_t b = 0; lengths && b < batch; b++)
        empty = empty || lengths[b] == 0;
    if (!empty)
        return last;
    sg_tensor *some = sg_length_mask(sg_context_of(h), (int)batch, 1, lengths); /* [B,1] */
    return sg_where(some, last, initial);
}

static sg_tensor *stack(sg_context *g, int64_t n, sg_tensor **h, sg_tensor *initial)
{
    if (n > 0)
        return sg_stack_(1, (int)n, h);
    return sg_full(g, sg_type(initial), SG_SHAPE(sg_dim(initial, 0), 0, sg_dim(initial, 1)), 0);
}

static sg_tensor *run(const sg_unroll_options *o, const int *lengths, sg_tensor *xw,
                      sg_tensor **history)
{
    int64_t time = sg_dim(xw, 1);
    sg_tensor **c = history + time;
    sg_state zero = sg_zero_state(&o->cell, sg_dim(xw, 0));
    sg_state s = {.h = o->initial.h ? o->initial.h : zero.h,
                  .c = o->initial.c ? o->initial.c : zero.c};
    sg_state first = s;
    for (int64_t t = 0; t < time; t++) {
        s = o->cell.step(&o->cell, sg_index(xw, 1, t), s);
        history[t] = s.h;
        c[t] = s.c;
    }
    sg_tensor *h = stack(o->cell.g, time, history, first.h); /* [B,T,H] */
    if (o->final) {
        o->final->h = lengths ? after_last(h, lengths, first.h) : s.h;
        o->final->c = !s.c      ? NULL
                      : lengths ? after_last(stack(o->cell.g, time, c, first.c), lengths, first.c)
                                : s.c;
    }
    return h;
}

sg_tensor *sg_unroll_(sg_unroll_options o)
{
    sg_context *g = o.cell.g;
    if (o.final)
        o.final->h = o.final->c = sg_fail(g, SG_OK, "%s", ""); /* inert until there is more */
    if (!check(&o))
        return sg_is_nil(o.x) ? o.x : sg_fail(g, SG_OK, "%s", "");
    int64_t time = sg_dim(o.x, 1);
    const int *lengths = all_full(o.lengths, sg_dim(o.x, 0), time) ? NULL : o.lengths;
    sg_tensor **history = malloc(2 * ((size_t)time + 1) * sizeof *history);
    if (!history)
        return sg_fail(g, SG_NO_MEMORY, "unroll: no memory for %lld steps", (long long)time);
    sg_tensor *x = sg_dropout(clean(o.x, lengths), o.cell.dropout);
    x = o.reverse ? turn(x, lengths) : x;
    sg_tensor *xw = o.cell.wx ? sg_apply((sg_affine){o.cell.wx, o.cell.b}, x) : x; /* [B,T,G] */
    sg_tensor *h = sg_is_nil(xw) ? xw : clean(run(&o, lengths, xw, history), lengths);
    free(history);
    return o.reverse ? turn(h, lengths) : h;
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
    int64_t batch = sg_dim(h, 0), time = sg_dim(h, 1);
    sg_context *g = sg_context_of(h);
    if (!lengths)
        return sg_index(h, 1, time - 1);
    int32_t *rows = malloc(((size_t)batch + 1) * sizeof *rows);
    if (!rows)
        return sg_fail(g, SG_NO_MEMORY, "last: no memory for %lld rows", (long long)batch);
    for (int64_t b = 0; b < batch; b++)
        rows[b] = (int32_t)(b * time + (lengths[b] > 0 ? lengths[b] - 1 : 0));
    sg_tensor *flat = sg_reshape(h, SG_SHAPE(batch * time, sg_dim(h, 2))); /* [B*T,H] */
    sg_tensor *last = sg_take(flat, sg_input(g, SG_I32, SG_SHAPE(batch), rows));
    free(rows);
    return last;
}
