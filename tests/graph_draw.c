/* What random graphs begin and end with: leaves, gradients, assignments, roots. */
#include "tests/graph_draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 30 * DRAW_LARGEST };

/* ---- chance --------------------------------------------------------------------------------- */

static uint32_t chance(drawing *d)
{
    d->state = d->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t x = d->state ^ d->state >> 33;
    return (uint32_t)(x * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

int draw_below(drawing *d, int64_t n)
{
    return n > 0 ? (int)(chance(d) % (uint32_t)n) : 0;
}

bool draw_one_in(drawing *d, int n)
{
    return draw_below(d, n) == 0;
}

int64_t draw_size(drawing *d)
{
    static const int64_t sizes[] = {1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 7};
    if (draw_one_in(d, 80))
        return 0;
    return draw_one_in(d, 40) ? 70 : sizes[draw_below(d, 12)];
}

int64_t draw_count(const sg_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= s->dim[i];
    return n;
}

static sg_shape some_shape(drawing *d)
{
    static const int ranks[] = {0, 1, 1, 2, 2, 2, 2, 3, 3, 4};
    sg_shape s;
    do {
        s = (sg_shape){.rank = ranks[draw_below(d, 10)]};
        for (int i = 0; i < s.rank; i++)
            s.dim[i] = draw_size(d);
    } while (draw_count(&s) > DRAW_LARGEST / 2);
    return s;
}

/* ---- the nodes so far ----------------------------------------------------------------------- */

void draw_put(drawing *d, sg_tensor *x, double bound, bool exact)
{
    if (d->nodes == DRAW_NODES || sg_is_nil(x) || sg_size(x) > DRAW_LARGEST)
        return;
    if (bound > 40) {
        x = sg_tanh(x);
        bound = 1;
        exact = false;
    }
    d->narrow = d->narrow || sg_type(x) == SG_F32;
    d->node[d->nodes++] = (drawn){x, bound, exact};
}

/* A node of floats of the graph's type, more often a late one. */
drawn *draw_any(drawing *d)
{
    for (;;) {
        int n = d->nodes,
            i = draw_one_in(d, 2) ? draw_below(d, n) : n - 1 - draw_below(d, n < 8 ? n : 8);
        if (sg_type(d->node[i].x) == d->type)
            return &d->node[i];
    }
}

drawn *draw_exact(drawing *d)
{
    for (int k = 0; k < 50; k++) {
        drawn *x = draw_any(d);
        if (x->exact)
            return x;
    }
    return NULL;
}

drawn *draw_of_rank(drawing *d, int least)
{
    for (int k = 0; k < 30; k++) {
        drawn *x = draw_any(d);
        if (sg_rank(x->x) >= least)
            return x;
    }
    return NULL;
}

sg_tensor *draw_leaf(drawing *d, sg_dtype type, sg_shape s, bool param)
{
    double f[ROOM];
    float narrow[ROOM];
    int64_t n = draw_count(&s);
    for (int64_t i = 0; i < n; i++) {
        f[i] = (double)((int)(chance(d) >> 12) - (1 << 19)) * 0x1p-18;
        narrow[i] = (float)f[i];
    }
    const void *data = type == SG_F64 ? (const void *)f : narrow;
    if (!param)
        return sg_input(d->g, type, s, data);
    char name[40];
    snprintf(name, sizeof name, "p%d", d->params);
    sg_tensor *p = sg_param(d->g, name, s, .dtype = type, .data = data);
    sg_set(p, data);
    return p;
}

sg_tensor *draw_mask(drawing *d, sg_shape s)
{
    uint8_t v[ROOM];
    for (int64_t i = 0; i < draw_count(&s); i++)
        v[i] = (uint8_t)!draw_one_in(d, 3);
    return sg_input(d->g, SG_U8, s, v);
}

sg_tensor *draw_indices(drawing *d, sg_shape s, int64_t n)
{
    int32_t v[ROOM];
    for (int64_t i = 0; i < draw_count(&s); i++)
        v[i] = draw_below(d, n);
    return sg_input(d->g, SG_I32, s, v);
}

/* A shape that broadcasts to s. */
sg_shape draw_narrower(drawing *d, sg_shape s)
{
    int drop = s.rank && draw_one_in(d, 3) ? draw_below(d, s.rank + 1) : 0;
    for (int i = 0; i < s.rank - drop; i++)
        s.dim[i] = draw_one_in(d, 4) ? 1 : s.dim[i + drop];
    s.rank -= drop;
    return s;
}

bool draw_broadcasts(const sg_tensor *x, const sg_tensor *y)
{
    int rx = sg_rank(x), ry = sg_rank(y);
    int64_t n = 1;
    for (int k = 1; k <= rx || k <= ry; k++) {
        int64_t a = k <= rx ? sg_dim(x, -k) : 1, b = k <= ry ? sg_dim(y, -k) : 1;
        if (a != b && a != 1 && b != 1)
            return false;
        n *= a == 1 ? b : a;
    }
    return n <= DRAW_LARGEST;
}

/* One that goes with x by element: made if none is found. */
drawn draw_partner(drawing *d, const drawn *x)
{
    for (int k = 0; k < 12; k++) {
        drawn *y = draw_any(d);
        if (draw_broadcasts(x->x, y->x))
            return *y;
    }
    sg_tensor *y = draw_leaf(d, d->type, draw_narrower(d, sg_shape_of(x->x)), false);
    d->leaf[d->leaves++] = y;
    return (drawn){y, 2, true};
}

/* As a node of this shape. */
drawn draw_fit(drawing *d, const drawn *y, sg_shape s)
{
    if (sg_size(y->x) == draw_count(&s))
        return (drawn){sg_reshape(y->x, s), y->bound, y->exact};
    if (sg_size(y->x) > draw_count(&s)) {
        int64_t n = draw_count(&s), extra = sg_size(y->x) - n,
                at = draw_one_in(d, 2) ? 0 : draw_below(d, extra + 1);
        sg_tensor *flat = sg_reshape(y->x, SG_SHAPE(sg_size(y->x)));
        return (drawn){sg_reshape(sg_slice(flat, 0, at, at + n, 1), s), y->bound, y->exact};
    }
    if (sg_size(y->x) == 1)
        return (drawn){sg_broadcast_to(sg_reshape(y->x, SG_SCALAR), s), y->bound, y->exact};
    return (drawn){draw_leaf(d, d->type, s, false), 2, true};
}

/* ---- gradients ------------------------------------------------------------------------------ */

/* Of what is between some nodes and x, whether it depends on them or not. */
static sg_tensor *checkpoint(drawing *d, sg_tensor *x)
{
    sg_tensor *inputs[3];
    int n = draw_below(d, 4);
    for (int k = 0; k < n; k++)
        inputs[k] = draw_any(d)->x;
    return d->kept ? x : sg_checkpoint(x, n, inputs);
}

static sg_tensor *scalar(drawing *d)
{
    sg_tensor *all[5];
    int n = 1 + draw_below(d, 5);
    for (int k = 0; k < n; k++) {
        sg_tensor *x = sg_tanh(draw_any(d)->x);
        x = draw_one_in(d, 2) ? sg_square(x) : x;
        x = draw_one_in(d, 4) ? checkpoint(d, x) : x;
        all[k] = sg_sum(x, SG_ALL_AXES, false);
        if (sg_size(x) > 0 && draw_one_in(d, 2))
            all[k] = sg_mean(x, SG_ALL_AXES, false);
    }
    return sg_add_n(n, all);
}

static void gradient(drawing *d, int order)
{
    sg_tensor *xs[8], *g[8], *y = scalar(d);
    int n = 1 + draw_below(d, 7);
    for (int k = 0; k < n; k++)
        xs[k] = draw_one_in(d, 8) ? draw_any(d)->x : d->leaf[draw_below(d, d->leaves)];
    sg_grad(y, n, xs, g);
    for (int i = 1; i < order; i++) {
        sg_tensor *squares[8];
        for (int k = 0; k < n; k++)
            squares[k] = sg_sum(sg_square(sg_tanh(g[k])), SG_ALL_AXES, false);
        y = sg_add_n(n, squares);
        sg_grad(y, n, xs, g);
    }
    for (int k = 0; k < n; k++)
        draw_put(d, g[k], 10, false);
    draw_put(d, y, 1, false);
}

/* ---- assignments ---------------------------------------------------------------------------- */

/* A parameter of which some rows get another value; or all of them, as it may be. */
static sg_tensor *some_rows(drawing *d, sg_tensor *p)
{
    sg_shape s = sg_shape_of(p);
    int64_t rows = s.dim[0];
    s.dim[0] = 1 + draw_below(d, (rows + 1) / 2);
    sg_tensor *i = draw_indices(d, SG_SHAPE(s.dim[0]), rows);
    sg_tensor *x = sg_scatter_add(draw_fit(d, draw_any(d), s).x, i, rows), *mask = sg_touched(x);
    drawn from = draw_fit(d, draw_any(d), sg_shape_of(p));
    sg_tensor *small = sg_mul(x, sg_like(p, 0.1));
    d->root[d->roots++] = sg_sum(draw_one_in(d, 4) ? sg_cos(x) : sg_square(x), SG_ALL_AXES, false);
    switch (draw_below(d, 6)) {
    case 0:
        return sg_sub(p, draw_one_in(d, 2) ? small : sg_tanh(sg_add(small, small)));
    case 1:
        return draw_one_in(d, 2) ? sg_add(p, small) : sg_add(sg_neg(small), p);
    case 2:
        return sg_sub(p, draw_one_in(d, 2) ? sg_cos(small) : sg_mul(small, from.x));
    case 3:
        return sg_where(mask, sg_add(sg_sin(from.x), small), p);
    case 4:
        return sg_where(mask, sg_sub(sg_mul(from.x, sg_like(p, 0.5)), p), p);
    default:
        return sg_where(sg_logical_not(mask), from.x, p);
    }
}

static void assign(drawing *d)
{
    sg_tensor *value[DRAW_PARAMS];
    for (int k = 0; k < d->params; k++) {
        sg_tensor *p = d->param[k];
        sg_shape s = sg_shape_of(p);
        drawn self = {p, 2, true}, other = {d->param[draw_below(d, d->params)], 2, true};
        drawn from = draw_fit(d, draw_one_in(d, 2) ? draw_any(d) : &other, s);
        int r = s.rank, axis = draw_below(d, r), kind = draw_below(d, 12);
        value[k] = NULL;
        if (kind < 2) {
            value[k] = sg_sub(p, sg_mul(from.x, sg_like(p, 0.1)));
        } else if (kind == 2) {
            value[k] = from.x;
        } else if (kind == 3 && r && sg_size(p)) { /* of a part of itself */
            sg_tensor *row = sg_slice(p, axis, 0, 1, 1);
            if (draw_one_in(d, 2))
                row = sg_slice(p, axis, -1, SG_END, 1);
            value[k] = sg_sub(sg_mul(p, sg_like(p, 0.5)), row);
        } else if (kind == 4 && r) {
            value[k] = sg_add(p, sg_flip(p, axis));
        } else if (kind == 5) { /* a part of something larger */
            sg_tensor *two[2] = {sg_sin(from.x), from.x};
            value[k] = sg_index(sg_stack_(0, 2, two), 0, draw_one_in(d, 2));
        } else if (kind == 6 && sg_size(p)) {
            sg_tensor *flat = sg_reshape(sg_sin(p), SG_SHAPE(sg_size(p)));
            value[k] = sg_reshape(flat, s);
            d->root[d->roots++] = value[k];
        } else if (kind == 7 && r > 1) {
            int64_t last = s.dim[r - 1];
            s.dim[r - 1] = s.dim[r - 2];
            s.dim[r - 2] = last;
            value[k] = sg_add(sg_transpose(draw_fit(d, &self, s).x, -1, -2), p);
        } else if (kind > 8 && r && sg_size(p)) {
            value[k] = some_rows(d, p);
        } else if (kind == 8 && k) {
            value[k] =
                draw_fit(d, &(drawn){value[k - 1] ? value[k - 1] : p, 2, true}, sg_shape_of(p)).x;
        }
    }
    for (int k = 0; k < d->params; k++)
        if (value[k])
            sg_assign(d->param[k], value[k]);
}

/* ---- graphs --------------------------------------------------------------------------------- */

static void leaves(drawing *d)
{
    int params = 1 + draw_below(d, DRAW_PARAMS), inputs = 1 + draw_below(d, 4);
    sg_shape s = some_shape(d);
    for (int k = 0; k < params; k++) {
        s = draw_one_in(d, 2) ? s : some_shape(d);
        d->param[d->params] = draw_leaf(d, d->type, s, true);
        d->leaf[d->leaves++] = d->param[d->params];
        draw_put(d, d->param[d->params++], 2, true);
    }
    for (int k = 0; k < inputs; k++) {
        s = draw_one_in(d, 2) ? s : some_shape(d);
        d->leaf[d->leaves] = draw_leaf(d, d->type, s, false);
        draw_put(d, d->leaf[d->leaves++], 2, true);
    }
}

void draw_graph(sg_context *g, uint64_t seed, bool assignments, drawing *d)
{
    const char *text = getenv("SEQGRAD_GRAPHS_SIZE");
    *d = (drawing){.g = g, .state = seed * UINT64_C(0x9E3779B97F4A7C15), .kept = d->kept};
    chance(d);
    d->type = draw_one_in(d, 5) ? SG_F32 : SG_F64;
    leaves(d);
    int n = 2 + draw_below(d, draw_one_in(d, 4) ? 60 : 18), gradients = draw_below(d, 3);
    n = text && atoi(text) < n ? atoi(text) : n;
    for (int k = 0; k < n && d->nodes < DRAW_NODES / 2; k++)
        draw_node(d);
    for (int k = 0; k < gradients; k++) {
        gradient(d, 1 + draw_one_in(d, 3));
        for (int i = draw_below(d, 5); i > 0; i--)
            draw_node(d);
    }
    d->plain = 1 + draw_below(d, DRAW_ROOTS - DRAW_PARAMS);
    while (d->roots < d->plain)
        d->root[d->roots++] = draw_any(d)->x;
    if (assignments && draw_one_in(d, 2))
        assign(d);
}
