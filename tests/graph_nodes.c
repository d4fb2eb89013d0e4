/* The nodes of random graphs. */
#include "tests/graph_draw.h"

#include <math.h>

/* ---- nodes ---------------------------------------------------------------------------------- */

static void unary(drawing *d)
{
    static sg_tensor *(*const f[])(sg_tensor *) = {sg_tanh, sg_sigmoid,  sg_erf,  sg_gelu,  sg_sin,
                                                   sg_cos,  sg_softplus, sg_silu, sg_square};
    static sg_tensor *(*const kinks[])(sg_tensor *) = {sg_relu, sg_abs, sg_sign, sg_neg};
    drawn *x = draw_any(d);
    int k = draw_below(d, 14);
    if (k < 9)
        draw_put(d, f[k](x->x), k == 8 ? x->bound * x->bound : x->bound + 1, false);
    else if (k == 9)
        draw_put(d, sg_exp(sg_tanh(x->x)), 3, false);
    else if (k == 10)
        draw_put(d, sg_log(sg_add(sg_square(x->x), sg_like(x->x, 0.5))), 7, false);
    else if (k == 11)
        draw_put(d, sg_sqrt(sg_add(sg_square(x->x), sg_like(x->x, 0.5))), x->bound + 1, false);
    else if ((x = draw_exact(d)))
        draw_put(d, kinks[draw_below(d, 4)](x->x), x->bound + 1, true);
}

static void binary(drawing *d)
{
    drawn x = *draw_any(d), y = draw_partner(d, &x);
    int k = draw_below(d, 8);
    if (k >= 6) {
        drawn *e = draw_exact(d);
        x = e ? *e : x;
        y = draw_partner(d, &x);
        if (!x.exact || !y.exact)
            k = 0;
    }
    if (draw_one_in(d, 2)) {
        drawn swap = x;
        x = y;
        y = swap;
    }
    double sum = x.bound + y.bound, product = x.bound * y.bound;
    bool exact = x.exact && y.exact;
    if (k < 2)
        draw_put(d, sg_add(x.x, y.x), sum, exact);
    else if (k == 2)
        draw_put(d, sg_sub(x.x, y.x), sum, exact);
    else if (k < 5)
        draw_put(d, sg_mul(x.x, y.x), product, false);
    else if (k == 5)
        draw_put(d, sg_div(x.x, sg_add(sg_square(y.x), sg_like(y.x, 0.5))), 2 * x.bound, false);
    else if (k == 6)
        draw_put(d, sg_maximum(x.x, y.x), sum, exact);
    else
        draw_put(d, sg_minimum(x.x, y.x), sum, exact);
}

static void choose(drawing *d)
{
    drawn x = *draw_any(d), y = draw_partner(d, &x), *e = draw_exact(d);
    sg_shape s = sg_shape_of(x.x);
    sg_tensor *c;
    if (e && draw_broadcasts(e->x, x.x) && draw_broadcasts(e->x, y.x) &&
        draw_broadcasts(sg_add(x.x, y.x), e->x))
        c = draw_one_in(d, 2) ? sg_less(e->x, sg_like(e->x, 0.1))
                              : sg_greater_equal(sg_like(e->x, 0), e->x);
    else
        c = draw_mask(d, draw_narrower(d, s));
    draw_put(d, sg_where(c, x.x, y.x), x.bound + y.bound, x.exact && y.exact);
}

static void as_other_type(drawing *d)
{
    drawn *x = draw_any(d);
    sg_dtype other = d->type == SG_F64 && draw_one_in(d, 4) ? SG_F32 : d->type;
    if (other == SG_F32 && !d->narrow && !draw_one_in(d, 4))
        other = d->type;
    d->narrow = d->narrow || other == SG_F32;
    sg_tensor *y = sg_cast(sg_mul(x->x, sg_like(x->x, 0.5)), other);
    draw_put(d, sg_cast(sg_tanh(y), d->type), 1, false);
}

static sg_tensor *some_slice(drawing *d, sg_tensor *x, int axis)
{
    static const int64_t steps[] = {1, 1, 1, 2, 3, -1, -2};
    int64_t n = sg_dim(x, axis), step = steps[draw_below(d, 7)], a = draw_below(d, n + 1),
            b = draw_below(d, n + 1);
    if (draw_one_in(d, 3))
        return sg_slice(x, axis, step > 0 ? 0 : -1, SG_END, step);
    return step > 0 ? sg_slice(x, axis, a < b ? a : b, a < b ? b : a, step)
                    : sg_slice(x, axis, a < b ? b : a, a < b ? a : b, step);
}

static void view(drawing *d)
{
    drawn *p = draw_of_rank(d, 1);
    if (!p)
        return;
    drawn x = *p;
    int r = sg_rank(x.x), axis = draw_below(d, r), axes[4], other = draw_below(d, r);
    int64_t n = sg_dim(x.x, axis);
    sg_tensor *y = x.x;
    switch (draw_below(d, 12)) {
    case 0:
    case 1:
        y = some_slice(d, x.x, axis);
        break;
    case 2:
        y = n ? sg_index(x.x, axis, draw_below(d, n)) : y;
        break;
    case 3:
        y = sg_flip(x.x, axis);
        break;
    case 4:
        y = sg_transpose(x.x, axis, other);
        break;
    case 5:
        for (int i = 0; i < r && r <= 4; i++)
            axes[i] = (i + other) % r;
        y = r <= 4 ? sg_permute(x.x, axes) : y;
        break;
    case 6:
        y = sg_reshape(x.x, SG_SHAPE(sg_size(x.x)));
        break;
    case 7:
        y = sg_size(x.x) % 2 ? y : sg_reshape(x.x, SG_SHAPE(2, sg_size(x.x) / 2));
        break;
    case 8:
        y = r < 4 ? sg_expand_dims(x.x, axis) : y;
        break;
    case 9: {
        sg_shape s = {.rank = r + 1, .dim = {2}};
        for (int i = 0; i < r; i++)
            s.dim[i + 1] = sg_dim(x.x, i);
        y = r < 4 ? sg_broadcast_to(x.x, s) : y;
        break;
    }
    case 10:
        y = n == 1 ? sg_squeeze(x.x, axis) : y;
        break;
    default: {
        int64_t size = 1 + draw_below(d, n), step = 1 + draw_below(d, 3);
        y = n && r < 4 ? sg_unfold(x.x, axis, size, step) : y;
        if (y != x.x && sg_size(y) <= DRAW_LARGEST && draw_one_in(d, 2)) {
            draw_put(d, sg_fold(sg_sin(y), axis, n, step), 1.0 + (double)size, false);
            return;
        }
    }
    }
    draw_put(d, y, x.bound, x.exact);
}

static void parts(drawing *d)
{
    drawn *p = draw_of_rank(d, 1), x;
    sg_tensor *list[6];
    if (!p)
        return;
    x = *p;
    int axis = draw_below(d, sg_rank(x.x)), n = 2 + draw_below(d, 4);
    int64_t size = sg_dim(x.x, axis);
    switch (draw_below(d, 6)) {
    case 0:
        draw_put(d, sg_pad(x.x, axis, draw_below(d, 3), draw_below(d, 3), draw_one_in(d, 2)),
                 x.bound + 1, x.exact);
        break;
    case 1:
    case 2:
        for (int k = 0; k < n; k++) {
            drawn y = draw_one_in(d, 4) ? x : draw_fit(d, draw_any(d), sg_shape_of(x.x));
            x.bound = fmax(x.bound, y.bound);
            x.exact = x.exact && y.exact;
            list[k] = draw_one_in(d, 3) ? sg_tanh(y.x) : y.x;
            x.exact = x.exact && list[k] == y.x;
        }
        list[0] = draw_one_in(d, 2) ? x.x : list[0];
        if (draw_one_in(d, 2))
            draw_put(d, sg_concat_(axis, n, list), x.bound, false);
        else if (sg_rank(x.x) < 4)
            draw_put(d, sg_stack_(axis, n, list), x.bound, false);
        break;
    case 3:
        if (size < 2 || size > 6)
            break;
        sg_split(x.x, axis, (int)size, list);
        for (int k = 0; k < size; k++)
            draw_put(d, list[k], x.bound, x.exact);
        if (draw_one_in(d, 3))
            draw_put(d, sg_concat_(axis, (int)size, list), x.bound, x.exact);
        break;
    case 4: { /* the last write wins */
        int64_t from = draw_below(d, size + 1), to = from + draw_below(d, size - from + 1);
        sg_shape s = sg_shape_of(x.x);
        s.dim[axis] = to - from;
        drawn y = draw_fit(d, draw_any(d), s);
        draw_put(d, sg_slice_update(x.x, y.x, axis, from), fmax(x.bound, y.bound),
                 x.exact && y.exact);
        break;
    }
    default: { /* slices, each changed, and put together again */
        if (size < 2)
            break;
        int64_t cut = 1 + draw_below(d, size - 1);
        list[0] = sg_slice(x.x, axis, 0, cut, 1);
        list[1] = sg_slice(x.x, axis, cut, size, 1);
        list[draw_below(d, 2)] = sg_sin(list[0]);
        if (sg_dim(list[0], axis) + sg_dim(list[1], axis) <= 2 * size)
            draw_put(d, sg_concat_(axis, 2, list), x.bound, false);
    }
    }
}

static void product(drawing *d)
{
    drawn *p = draw_of_rank(d, 1);
    if (!p)
        return;
    drawn x = *p, y;
    int r = sg_rank(x.x);
    int64_t k = sg_dim(x.x, -1), n = draw_size(d);
    sg_shape s = r > 1 && draw_one_in(d, 2) ? sg_shape_of(x.x) : (sg_shape){.rank = 2};
    bool turned = draw_one_in(d, 3);
    if (s.rank > 2 && draw_one_in(d, 3))
        s.dim[0] = 1;
    s.dim[s.rank - 2] = turned ? n : k;
    s.dim[s.rank - 1] = turned ? k : n;
    if (draw_count(&s) > DRAW_LARGEST || sg_size(x.x) * (n + 1) > 4 * DRAW_LARGEST)
        return;
    if (draw_one_in(d, 2)) {
        y = draw_fit(d, draw_any(d), s);
    } else {
        y = (drawn){draw_leaf(d, d->type, s, false), 2, true};
        d->leaf[d->leaves++] = y.x;
    }
    draw_put(d, sg_matmul(x.x, turned ? sg_transpose(y.x, -2, -1) : y.x),
             (double)k * x.bound * y.bound * 0.3, false);
    if (draw_one_in(d, 3) && r > 1) /* a weight used twice, so that its gradient is a sum */
        draw_put(d, sg_matmul(sg_sin(x.x), turned ? sg_transpose(y.x, -2, -1) : y.x),
                 (double)k * y.bound * 0.3, false);
}

static void reduction(drawing *d)
{
    drawn *p = draw_of_rank(d, 1);
    if (!p)
        return;
    drawn x = *p;
    int axis = draw_one_in(d, 4) ? SG_ALL_AXES : draw_below(d, sg_rank(x.x));
    bool keep = draw_one_in(d, 2);
    double n = (double)sg_size(x.x);
    if (n == 0)
        return;
    switch (draw_below(d, 6)) {
    case 0:
        draw_put(d, sg_sum(x.x, axis, keep), n * x.bound * 0.3, false);
        break;
    case 1:
        draw_put(d, sg_mean(x.x, axis, keep), x.bound, false);
        break;
    case 2:
        draw_put(d, sg_logsumexp(x.x, axis, keep), x.bound + log(n), false);
        break;
    case 3:
        draw_put(d, sg_cumsum(x.x, draw_below(d, sg_rank(x.x))), n * x.bound * 0.3, false);
        break;
    case 4: {
        sg_shape s = draw_narrower(d, sg_shape_of(x.x));
        draw_put(d, sg_sum_to(x.x, s), n * x.bound * 0.3, false);
        break;
    }
    default:
        p = draw_exact(d);
        if (p && sg_rank(p->x) && sg_size(p->x))
            draw_put(
                d, (draw_one_in(d, 2) ? sg_max : sg_min)(p->x, draw_below(d, sg_rank(p->x)), keep),
                p->bound, true);
    }
}

static void fused(drawing *d)
{
    drawn *p = draw_of_rank(d, 1);
    if (!p || sg_size(p->x) == 0)
        return;
    drawn x = *p;
    sg_shape s = sg_shape_of(x.x), last = SG_SHAPE(sg_dim(x.x, -1));
    switch (draw_below(d, 5)) {
    case 0:
        draw_put(d, sg_softmax(x.x, NULL), 1, false);
        break;
    case 1:
        draw_put(d, sg_softmax(x.x, draw_mask(d, draw_narrower(d, s))), 1, false);
        break;
    case 2:
        draw_put(d, sg_log_softmax(x.x), 2 * x.bound + 4, false);
        break;
    case 3: {
        drawn gain = draw_fit(d, draw_any(d), last), bias = draw_fit(d, draw_any(d), last);
        draw_put(d, sg_layer_norm(x.x, gain.x, bias.x, 0.1), 9 * gain.bound + bias.bound, false);
        break;
    }
    default: {
        s.rank--;
        sg_tensor *labels = draw_indices(d, s, last.dim[0]);
        draw_put(d, sg_cross_entropy(x.x, labels, .ignore = draw_one_in(d, 2), .ignored_label = 1),
                 2 * x.bound + 4, false);
    }
    }
}

static void by_index(drawing *d)
{
    drawn *p = draw_of_rank(d, 1);
    if (!p || sg_size(p->x) == 0)
        return;
    drawn x = *p;
    int64_t n = sg_dim(x.x, 0), row = sg_size(x.x) / n;
    sg_shape s = {.rank = draw_below(d, 3), .dim = {1 + draw_below(d, 4), 1 + draw_below(d, 3)}};
    if (draw_count(&s) * row > DRAW_LARGEST || sg_rank(x.x) + s.rank > 5)
        return;
    if (draw_one_in(d, 2)) {
        int times = draw_one_in(d, 2) ? 1 : 3;
        for (int k = 0; k < times; k++)
            draw_put(d, sg_take(x.x, draw_indices(d, s, n)), x.bound, x.exact);
        return;
    }
    int64_t rows = 1 + draw_below(d, 5);
    sg_tensor *i = draw_indices(d, SG_SHAPE(n), rows);
    draw_put(d, sg_scatter_add(x.x, i, rows), (double)n * x.bound * 0.3, false);
    if (draw_one_in(d, 2))
        draw_put(d, sg_scatter_add(sg_sin(x.x), i, rows), (double)n * 0.3, false);
}

/* Of several things of one shape: products, pads, scatters, sums, the same one again. */
static void sum(drawing *d)
{
    sg_tensor *list[8];
    drawn x = *draw_any(d);
    sg_shape s = sg_shape_of(x.x);
    int n = 2 + draw_below(d, 6), r = s.rank, style = draw_below(d, 6);
    double bound = 0;
    if (draw_count(&s) == 0)
        return;
    for (int k = 0; k < n; k++) {
        drawn y = draw_one_in(d, 6) ? x : draw_fit(d, draw_any(d), s);
        int axis = draw_below(d, r), kind = draw_one_in(d, 4) ? draw_below(d, 6) : style;
        int64_t m = r ? s.dim[axis] : 0, cut = m > 1 ? 1 + draw_below(d, m - 1) : 0;
        int64_t inner = 1 + draw_below(d, 3);
        if (kind == 1 && cut) {
            bool front = k % 2;
            sg_tensor *part =
                front ? sg_slice(y.x, axis, 0, cut, 1) : sg_slice(y.x, axis, cut, m, 1);
            list[k] = sg_pad(draw_one_in(d, 2) ? sg_sin(part) : part, axis, front ? 0 : cut,
                             front ? m - cut : 0, 0);
        } else if (kind == 2 && r >= 2) {
            sg_shape a = s, b = s;
            a.dim[r - 1] = b.dim[r - 2] = inner;
            drawn left = draw_fit(d, draw_any(d), a), right = draw_fit(d, draw_any(d), b);
            if (draw_one_in(d, 2) && r == 2)
                left.x = sg_transpose(draw_fit(d, &left, SG_SHAPE(a.dim[1], a.dim[0])).x, 0, 1);
            y.bound = (double)inner * left.bound * right.bound * 0.3;
            list[k] = sg_matmul(left.x, right.x);
        } else if (kind == 3 && r) {
            sg_shape a = s;
            a.dim[0] = 1 + draw_below(d, 4);
            drawn from = draw_fit(d, draw_any(d), a);
            sg_tensor *i = draw_indices(d, SG_SHAPE(a.dim[0]), s.dim[0]);
            list[k] = sg_scatter_add(from.x, i, s.dim[0]);
        } else if (kind == 4 && r < 4) {
            sg_shape a = {.rank = r + 1, .dim = {1 + draw_below(d, 3)}};
            for (int i = 0; i < r; i++)
                a.dim[i + 1] = s.dim[i] == 1 && draw_one_in(d, 2) ? 2 : s.dim[i];
            drawn from = draw_fit(d, draw_any(d), a);
            list[k] = sg_sum_to(from.x, s);
        } else {
            list[k] = y.x;
        }
        bound += y.bound;
    }
    draw_put(d, sg_add_n(n, list), bound, false);
}

static void random_numbers(drawing *d)
{
    drawn x = *draw_any(d);
    sg_tensor *u = sg_random_uniform(d->g, d->type, sg_shape_of(x.x));
    d->random = true;
    draw_put(d, sg_mul(x.x, u), x.bound, false);
}

void draw_node(drawing *d)
{
    static void (*const kinds[])(drawing *) = {
        unary,     unary,     binary, binary,   binary, choose, as_other_type, view,
        view,      view,      view,   parts,    parts,  parts,  product,       product,
        reduction, reduction, fused,  by_index, sum,    sum};
    if (draw_one_in(d, 60))
        random_numbers(d);
    else
        kinds[draw_below(d, sizeof kinds / sizeof *kinds)](d);
}
