/* One row's derivatives, checked in all ways that need no knowledge of the op: against differences,
 * against the composition a fused op stands for, for being there at all, and on empty shapes. */
#include "tests/op_table.h"
#include "core/internal.h" /* an op's `lower` is nobody's but core's to see */

#include <math.h>
#include <stdlib.h>

/* What is smaller, in rows whose numbers are of size 1, is no derivative but its absence. */
#define ABSENT 1e-3

static bool __attribute__((format(printf, 2, 3))) wrong(char *what, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(what, 256, format, args);
    va_end(args);
    return false;
}

static double largest(sg_tensor *x)
{
    const void *data = sg_data(x);
    double most = 0;
    for (int64_t i = 0; data && i < sg_size(x); i++) {
        double v = fabs(op_value(sg_type(x), data, i));
        most = v > most || isnan(v) ? v : most;
    }
    return most;
}

static bool same_shape(const sg_shape *a, const sg_shape *b)
{
    bool same = a->rank == b->rank;
    for (int d = 0; d < a->rank && same; d++)
        same = a->dim[d] == b->dim[d];
    return same;
}

static bool has_shape(sg_tensor *x, const sg_shape *s, const char *label, char *what)
{
    sg_context *g = sg_context_of(x);
    sg_shape is = sg_shape_of(x);
    char text[2][SG_SHAPE_TEXT];
    if (!sg_ok(g))
        return wrong(what, "%s: %s", label, sg_errmsg(g));
    return same_shape(&is, s) || wrong(what, "%s has shape %s, not %s", label,
                                       sg__shape_text(text[0], &is), sg__shape_text(text[1], s));
}

/* Gradients are there, or are not, as the row says. */
static bool is_there(const op_row *row, sg_tensor *y, sg_tensor *const *x, uint64_t seed,
                     char *what)
{
    sg_tensor *d[OP_INPUTS], *d2[OP_INPUTS], *floats[OP_INPUTS], *sum = NULL;
    int n = op_floats(row, x, floats);
    op_gradients(row, y, x, seed, d);
    for (int k = 0; k < n; k++) {
        double most = largest(d[k]);
        if (!sg_ok(sg_context_of(y)))
            return wrong(what, "%s", sg_errmsg(sg_context_of(y)));
        if (row->flags & OP_CONSTANT ? most != 0 : !(most >= ABSENT))
            return wrong(what, "the gradient by input %d is %s", k,
                         row->flags & OP_CONSTANT ? "not 0" : "0");
        sg_tensor *part = sg_sum(sg_mul(d[k], op_covector(d[k], seed + 1)), SG_ALL_AXES, false);
        sum = sum ? sg_add(sum, part) : part;
    }
    double most = 0;
    sg_grad(sum, n, floats, d2);
    for (int k = 0; k < n; k++)
        most = fmax(most, largest(d2[k]));
    if (!sg_ok(sg_context_of(y)))
        return wrong(what, "%s", sg_errmsg(sg_context_of(y)));
    bool none = row->flags & (OP_CONSTANT | OP_LINEAR);
    return (none ? most == 0 : most >= ABSENT) ||
           wrong(what, "the second derivative is %s", none ? "not 0" : "0");
}

/* <c, J v> by two vjps is <J^T c, v>. */
static bool forward_agrees(const op_row *row, sg_tensor *y, sg_tensor *const *x, uint64_t seed,
                           char *what)
{
    sg_tensor *floats[OP_INPUTS], *v[OP_INPUTS], *d[OP_INPUTS], *c = op_covector(y, seed);
    int n = op_floats(row, x, floats);
    double backward = 0, forward;
    sg_vjp(y, c, n, floats, d);
    for (int k = 0; k < n; k++) {
        v[k] = op_covector(floats[k], seed + 2);
        backward += sg_item(sg_sum(sg_mul(d[k], v[k]), SG_ALL_AXES, false));
    }
    sg_tensor *jv = sg_jvp(y, n, floats, v);
    sg_shape s = sg_shape_of(y);
    if (!has_shape(jv, &s, "the derivative along a direction", what))
        return false;
    forward = sg_item(sg_sum(sg_mul(jv, c), SG_ALL_AXES, false));
    double tolerance = sg_type(floats[0]) == SG_F64 ? 1e-6 : 1e-4;
    return fabs(forward - backward) <= tolerance * fmax(1, fabs(backward)) ||
           wrong(what, "<c, J v> is %g, <J^T c, v> is %g", forward, backward);
}

static bool near(sg_tensor *a, sg_tensor *b, const char *label, char *what)
{
    const void *p = sg_data(a), *q = sg_data(b);
    double tolerance = sg_type(a) == SG_F64 ? 1e-12 : 1e-5;
    if (!p || !q)
        return wrong(what, "%s: %s", label, sg_errmsg(sg_context_of(a)));
    for (int64_t i = 0; i < sg_size(a); i++) {
        double u = op_value(sg_type(a), p, i), v = op_value(sg_type(b), q, i);
        if (u != v && !(fabs(u - v) <= tolerance * fmax(1, fabs(v))))
            return wrong(what, "%s: element %lld is %g fused, %g composed", label, (long long)i, u,
                         v);
    }
    return true;
}

/* A fused op is the composition it stands for, with its derivatives by floats. */
static bool lowers(sg_tensor *y, int n, sg_tensor *const *floats, uint64_t seed, char *what)
{
    sg_tensor *d[2][OP_INPUTS];
    if (!y->op->lower)
        return true;
    sg_tensor *z = y->op->lower(y->attr, (int)y->n, y->in), *c = op_covector(y, seed);
    sg_shape s = sg_shape_of(y);
    if (!has_shape(z, &s, "the composition", what) || !near(y, z, "the composition", what))
        return false;
    sg_vjp(y, c, n, floats, d[0]);
    sg_vjp(z, c, n, floats, d[1]);
    for (int k = 0; k < n; k++)
        if (!near(d[0][k], d[1][k], "the composition's gradient", what))
            return false;
    return true;
}

static bool against_differences(const op_row *row, sg_tensor *y, sg_tensor *const *x, uint64_t seed,
                                op_verdict *v)
{
    sg_tensor *floats[OP_INPUTS];
    sg_context *g = sg_context_of(y);
    int n = op_floats(row, x, floats);
    if (row->flags & OP_CONSTANT || !n)
        return true;
    sg_gradcheck_result r = sg_gradcheck(y, n, floats, .order = 2, .seed = seed);
    bool first = r.ok || r.error[0] > 1e-6 || isnan(r.error[0]) || !sg_ok(g);
    v->error[0] = fmax(r.error[0], isnan(v->error[0]) ? 0 : v->error[0]);
    v->error[1] = fmax(r.error[1], isnan(v->error[1]) ? 0 : v->error[1]);
    return r.ok ||
           wrong(v->what, "%s: %s%.3g (input %d, element %lld)", first ? "order 1" : "order 2",
                 sg_errmsg(g), r.error[first ? 0 : 1], r.input, (long long)r.element);
}

/* Shapes with a 0 in them have gradients of their shapes. */
static bool check_empty(const op_row *row, sg_context *g, sg_dtype type, uint64_t seed,
                        op_verdict *v)
{
    sg_shape shapes[OP_INPUTS];
    sg_tensor *x[OP_INPUTS], *floats[OP_INPUTS], *d[OP_INPUTS];
    op_sample s;
    for (int e = 0; e < OP_EMPTIES && row->empty[e].size; e++) {
        op_resized(row, row->empty[e].size, 0, shapes);
        op_draw(&s, row, shapes, seed);
        op_tensors(&s, g, type, x);
        sg_tensor *y = row->build(g, x);
        if (!has_shape(y, &row->empty[e].result, "an empty result", v->what) || !sg_data(y))
            return false;
        int n = op_floats(row, x, floats);
        op_gradients(row, y, x, seed, d);
        for (int k = 0; k < n; k++) {
            sg_shape of = sg_shape_of(floats[k]);
            if (!has_shape(d[k], &of, "an empty gradient", v->what))
                return false;
            if (!isfinite(largest(d[k])))
                return wrong(v->what, "a gradient of an empty shape is not finite");
        }
        if (!against_differences(row, y, x, seed, v))
            return false;
        sg_reset(g);
    }
    return true;
}

static bool check_failure(const op_row *row, sg_tensor *y, sg_tensor *const *x, char *what)
{
    sg_tensor *d[OP_INPUTS];
    int n = op_gradients(row, y, x, 1, d);
    bool inert = sg_is_nil(y) && !sg_ok(sg_context_of(x[0]));
    for (int k = 0; k < n; k++)
        inert = inert && sg_is_nil(d[k]);
    return inert || wrong(what, "a failed op's result or gradient is not inert");
}

static bool check(const op_row *row, sg_context *g, sg_dtype type, uint64_t seed, op_verdict *v)
{
    sg_tensor *x[OP_INPUTS], *floats[OP_INPUTS];
    op_sample s;
    op_draw(&s, row, NULL, seed);
    op_tensors(&s, g, type, x);
    sg_tensor *y = row->build(g, x);
    int n = op_floats(row, x, floats);
    if (row->flags & OP_FAILS)
        return check_failure(row, y, x, v->what);
    return has_shape(y, &row->result, "the result", v->what) &&
           against_differences(row, y, x, seed, v) && is_there(row, y, x, seed, v->what) &&
           (row->flags & OP_CONSTANT || forward_agrees(row, y, x, seed, v->what)) &&
           lowers(y, n, floats, seed, v->what) && (sg_reset(g), check_empty(row, g, type, seed, v));
}

op_verdict op_check(const op_row *row, const char *isa, sg_dtype type, uint64_t seed)
{
    op_verdict v = {{NAN, NAN}, ""};
    sg_context *g = sg_open(.isa = isa);
    if (!sg_ok(g))
        wrong(v.what, "%s", sg_errmsg(g));
    else if (!check(row, g, type, seed, &v) && !v.what[0])
        wrong(v.what, "%s", sg_ok(g) ? "failed" : sg_errmsg(g));
    sg_close(g);
    return v;
}

/* ---- points --------------------------------------------------------------------------------- */

static bool as_expected(const op_point *p, int k, sg_tensor *d, char *what)
{
    const void *data = sg_data(d);
    for (int64_t i = 0; data && i < p->size; i++) {
        double v = op_value(sg_type(d), data, i), expected = p->dx[k][i];
        if (!(fabs(v - expected) <= 1e-6 * fmax(1, fabs(expected))))
            return wrong(what, "at x[%d][%d] = %g the gradient is %g, not %g", k, (int)i,
                         p->x[k][i], v, expected);
    }
    return data != NULL;
}

static bool check_point(const op_point *p, sg_context *g, sg_dtype type, char *what)
{
    sg_tensor *x[2], *d[2], *d2[2], *sum = NULL;
    for (int k = 0; k < p->n; k++)
        x[k] = op_tensor(g, type, SG_SHAPE(p->size), p->x[k]);
    sg_tensor *y = p->build(g, x);
    sg_grad(sg_sum(y, SG_ALL_AXES, false), p->n, x, d);
    for (int k = 0; k < p->n; k++) {
        if (!as_expected(p, k, d[k], what))
            return false;
        sg_tensor *part = sg_sum(sg_mul(d[k], op_covector(d[k], 3)), SG_ALL_AXES, false);
        sum = sum ? sg_add(sum, part) : part;
    }
    sg_grad(sum, p->n, x, d2);
    for (int k = 0; k < p->n; k++)
        if (!isfinite(largest(d2[k])))
            return wrong(what, "the second derivative is not finite");
    if (p->smooth && !sg_gradcheck(y, p->n, x, .order = 2).ok)
        return wrong(what, "a derivative is not that of differences");
    return lowers(y->op->lower ? y : y->in[0], p->n, x, 1, what) && sg_ok(g);
}

void op_check_point(const op_point *p, const char *isa, sg_dtype type, char what[256])
{
    sg_context *g = sg_open(.isa = isa);
    what[0] = 0;
    if (!sg_ok(g))
        wrong(what, "%s", sg_errmsg(g));
    else if (!check_point(p, g, type, what) && !what[0])
        wrong(what, "%s", sg_errmsg(g));
    sg_close(g);
}
