/*
 * Sparse rows: what is computed from a gradient that is added up row by row (scatter_add) is the
 * same in all rows but a few. As far as ops by element go it is computed for these rows, and once
 * for all others (see core/plan/rows.h); what is not by element gets the whole array as ever.
 *
 * - A sum over everything goes over these rows.
 * - A parameter that is assigned p op x, where the others leave it as it is, is updated in these
 *   rows. They leave it, or not, when the plan runs: x may have become NaN everywhere.
 * - A parameter that is assigned where(c, new, p), where c is 0 in the others, gets new rows; only
 *   these rows of `new` are computed, up to where it is not by element.
 *
 * No bit depends on it. Updates are the plan's last steps, and none of them can fail.
 */
#include "core/plan/plan.h"
#include "core/plan/rows.h"

/* The forms of an item: whole; its rows of the representation; rows taken from the whole. */
typedef enum { WHOLE, VALUES, TAKEN, FORMS } form;

typedef struct sparse {
    sg__graph *old, now;
    uint32_t *source; /* by item: the scatter in whose rows it differs; SG__NONE: no such */
    bool *zero;       /* and the others are surely 0 */
    uint8_t *asked;   /* forms, as bits */
    uint32_t *set;    /* of which scatter the rows are TAKEN */
    uint32_t *made[FORMS];
    bool *updates; /* by root */
} sparse;

static const sg__item *item(const sparse *s, uint32_t i)
{
    return s->old->x + i;
}

static bool differs(const sparse *s, uint32_t i)
{
    return s->source[i] != SG__NONE;
}

/* ---- what is the same in most rows ----------------------------------------------------------- */

static bool same_rows(const sparse *s, uint32_t a, uint32_t b)
{
    return item(s, a)->in[1] == item(s, b)->in[1] &&
           item(s, a)->dims->shape.dim[0] == item(s, b)->dims->shape.dim[0];
}

static bool by_element(const sg__item *x)
{
    return x->op && x->op->map && !(x->op->flags & SG_OP_FOLD) && x->dims->shape.rank > 0;
}

/* Whether operand k of an op by element has its rows; otherwise it has one for all. */
static bool has_rows(const sparse *s, const sg__item *x, uint32_t k)
{
    const sg_shape *in = &item(s, x->in[k])->dims->shape;
    return in->rank == x->dims->shape.rank && in->dim[0] == x->dims->shape.dim[0];
}

static void look_at_map(const sparse *s, uint32_t i)
{
    const sg__item *x = item(s, i);
    uint32_t source = SG__NONE;
    for (uint32_t k = 0; k < x->n; k++) {
        uint32_t of = s->source[x->in[k]];
        if (!has_rows(s, x, k))
            continue;
        if (of == SG__NONE || (source != SG__NONE && !same_rows(s, of, source)))
            return;
        source = of;
    }
    s->source[i] = source;
    s->zero[i] =
        source != SG__NONE && x->n == 1 && x->op->flags & SG_OP_OF_ZERO && s->zero[x->in[0]];
}

static void look_at(const sparse *s, uint32_t i)
{
    const sg__item *x = item(s, i);
    if (!x->op || x->dims->size == 0 || x->dims->shape.rank == 0 || x->dims->shape.dim[0] < 2)
        return;
    if (x->op->scatter && 2 * item(s, x->in[1])->dims->size <= x->dims->shape.dim[0]) {
        s->source[i] = i;
        s->zero[i] = true;
    } else if (by_element(x)) {
        look_at_map(s, i);
    } else if (sg__is_reshape(x) &&
               item(s, x->in[0])->dims->shape.dim[0] == x->dims->shape.dim[0]) {
        s->source[i] = s->source[x->in[0]];
        s->zero[i] = s->zero[x->in[0]];
    }
}

/* ---- what is asked for, from the roots back -------------------------------------------------- */

static void ask(const sparse *s, uint32_t i, form f)
{
    s->asked[i] |= (uint8_t)(1u << f);
}

/* For the rows in which `source` differs, of an item that has as many. */
static void ask_rows(const sparse *s, uint32_t i, uint32_t source)
{
    bool taken = s->asked[i] >> TAKEN & 1;
    if (differs(s, i) && same_rows(s, s->source[i], source)) {
        ask(s, i, VALUES);
    } else if (by_element(item(s, i)) && (!taken || same_rows(s, s->set[i], source))) {
        ask(s, i, TAKEN);
        s->set[i] = source;
    } else {
        ask(s, i, WHOLE);
    }
}

static bool sums_rows(const sparse *s, const sg__item *x)
{
    return x->op && x->op->of_rows && x->dims->size == 1 && differs(s, x->in[0]);
}

static void ask_operands(const sparse *s, uint32_t i)
{
    const sg__item *x = item(s, i);
    unsigned asked = s->asked[i];
    for (uint32_t k = 0; k < x->n; k++) {
        bool rows = by_element(x) ? has_rows(s, x, k) : !x->op->scatter;
        if (asked >> WHOLE & 1)
            ask(s, x->in[k], sums_rows(s, x) ? VALUES : WHOLE);
        if (asked >> VALUES & 1)
            ask(s, x->in[k], rows ? VALUES : WHOLE);
        if (asked >> TAKEN & 1 && rows)
            ask_rows(s, x->in[k], s->set[i]);
        else if (asked >> TAKEN & 1)
            ask(s, x->in[k], WHOLE);
    }
}

/* Which operand of the next value of p is x in p op x; -1: it is no such. */
static int operand_of_update(const sparse *s, const sg__item *next, uint32_t p)
{
    if (!by_element(next) || !(next->op->flags & SG_OP_ZERO_KEEPS) || next->n != 2)
        return -1;
    bool swapped = next->in[1] == p && next->op->flags & SG_OP_COMMUTES;
    uint32_t x = next->in[swapped ? 0 : 1];
    bool fits = next->in[swapped ? 1 : 0] == p && differs(s, x) && item(s, x)->dims == next->dims;
    return fits ? !swapped : -1;
}

static bool selects_rows(const sparse *s, const sg__item *next, uint32_t p)
{
    return by_element(next) && next->op->flags & SG_OP_SELECTS && next->in[2] == p &&
           has_rows(s, next, 0) && differs(s, next->in[0]) && s->zero[next->in[0]];
}

/* Of a root: whether it is an update of rows, which asks for these alone. */
static bool ask_update(const sparse *s, uint32_t root)
{
    const sg__item *x = item(s, root);
    if (!x->op || !(x->op->flags & SG_OP_ROOT))
        return false;
    const sg__item *next = item(s, x->in[0]);
    int operand = operand_of_update(s, next, x->in[1]);
    if (operand >= 0)
        ask(s, next->in[operand], VALUES);
    else if (selects_rows(s, next, x->in[1]))
        ask_rows(s, x->in[0], s->source[next->in[0]]);
    else
        return false;
    ask(s, x->in[1], WHOLE);
    return true;
}

/* ---- the graph of what is asked for ---------------------------------------------------------- */

/* x with these operands; if it has another shape, or is new, it may be there already. */
static uint32_t add(sparse *s, sg__item x, const sg_shape *shape, uint32_t n, const uint32_t *in)
{
    x.uses = 0;
    x.n = n;
    x.in = sg__graph_list(&s->now, n);
    if (shape)
        x.dims = sg__intern(s->now.g, "", *shape);
    if (!x.in || !x.dims)
        return SG__NONE;
    if (n)
        memcpy(x.in, in, n * sizeof *in);
    return shape ? sg__graph_add(&s->now, x) : sg__graph_append(&s->now, x);
}

static void *attr_of(sparse *s, size_t bytes, const void *from)
{
    void *attr = sg__alloc(&s->now.g->scratch, bytes);
    if (!attr)
        sg__no_memory(s->now.g, "a plan");
    return attr ? memcpy(attr, from, bytes) : NULL;
}

/* An op of core/plan/rows.h that stands for what `like` is part of */
static uint32_t add_rows_op(sparse *s, const sg__item *like, const sg_op *op,
                            const sg__rows_attr *a, int dtype, const sg_shape *shape, uint32_t n,
                            const uint32_t *in)
{
    sg__item x = {.op = op, .origin = like->origin, .dtype = (uint8_t)dtype};
    x.attr = attr_of(s, sizeof *a, a);
    for (uint32_t k = 0; k < n; k++)
        if (in[k] == SG__NONE)
            return SG__NONE;
    return x.attr ? add(s, x, shape, n, in) : SG__NONE;
}

static int64_t index_count(const sparse *s, uint32_t source)
{
    return item(s, item(s, source)->in[1])->dims->size;
}

/* The rows in which a scatter differs, or the place among them of each of its indices */
static uint32_t index_of(sparse *s, uint32_t source, const sg_op *op)
{
    const sg__item *x = item(s, source), *i = item(s, x->in[1]);
    sg__rows_attr a = {.rows = x->dims->shape.dim[0]};
    sg_shape all = SG_SHAPE(index_count(s, source) + 1);
    return add_rows_op(s, x, op, &a, SG_I32, op == &sg__rows_op ? &all : &i->dims->shape, 1,
                       &s->made[WHOLE][x->in[1]]);
}

static sg_shape with_rows(const sg__item *x, int64_t rows)
{
    sg_shape shape = x->dims->shape;
    shape.dim[0] = rows;
    return shape;
}

/* An item with its operands replaced */
static uint32_t again(sparse *s, uint32_t i, const sg_shape *shape, const uint32_t *in)
{
    for (uint32_t k = 0; k < item(s, i)->n; k++)
        if (in[k] == SG__NONE)
            return SG__NONE;
    return add(s, *item(s, i), shape, item(s, i)->n, in);
}

static uint32_t make_whole(sparse *s, uint32_t i, uint32_t *in)
{
    const sg__item *x = item(s, i);
    if (sums_rows(s, x)) {
        uint32_t of = x->in[0];
        sg__rows_attr a = {.rows = item(s, of)->dims->shape.dim[0]};
        uint32_t both[] = {s->made[VALUES][of], index_of(s, s->source[of], &sg__rows_op)};
        return add_rows_op(s, x, x->op->of_rows, &a, x->dtype, &x->dims->shape, 2, both);
    }
    for (uint32_t k = 0; k < x->n; k++)
        in[k] = s->made[WHOLE][x->in[k]];
    return again(s, i, NULL, in);
}

/* Whatever may fail because of an index does so here: once the first parameter is overwritten
 * nothing may. */
static uint32_t make_scatter(sparse *s, uint32_t i, const sg_shape *shape)
{
    sg__item x = *item(s, i);
    uint32_t both[] = {s->made[WHOLE][x.in[0]], index_of(s, i, &sg__places_op)};
    void *attr = attr_of(s, x.op->attr_size, x.attr);
    if (!attr || both[1] == SG__NONE || index_of(s, i, &sg__rows_op) == SG__NONE)
        return SG__NONE;
    x.op->scatter(x.attr, shape->dim[0], attr);
    x.attr = attr;
    return add(s, x, shape, 2, both);
}

static uint32_t make_values(sparse *s, uint32_t i, uint32_t *in)
{
    sg__item x = *item(s, i);
    sg_shape shape = with_rows(&x, index_count(s, s->source[i]) + 1);
    if (x.op->scatter)
        return make_scatter(s, i, &shape);
    if (!by_element(&x)) { /* a reshape */
        sg__target t = sg__target_of(shape);
        x.op = &sg__reshape_op;
        x.attr = attr_of(s, sizeof t, &t);
        return x.attr ? add(s, x, &shape, 1, &s->made[VALUES][x.in[0]]) : SG__NONE;
    }
    for (uint32_t k = 0; k < x.n; k++)
        in[k] = s->made[has_rows(s, &x, k) ? VALUES : WHOLE][x.in[k]];
    return again(s, i, &shape, in);
}

/* The rows of an item in which `source` differs: computed for these alone, or taken. */
static uint32_t rows_of(sparse *s, uint32_t i, uint32_t source)
{
    const sg__item *x = item(s, i);
    if (differs(s, i) && same_rows(s, s->source[i], source))
        return s->made[VALUES][i];
    if (s->asked[i] >> TAKEN & 1 && same_rows(s, s->set[i], source))
        return s->made[TAKEN][i];
    sg__rows_attr a = {.rows = x->dims->shape.dim[0]};
    sg_shape shape = with_rows(x, index_count(s, source) + 1);
    uint32_t both[] = {s->made[WHOLE][i], index_of(s, source, &sg__rows_op)};
    return add_rows_op(s, x, &sg__take_rows_op, &a, x->dtype, &shape, 2, both);
}

static uint32_t make_taken(sparse *s, uint32_t i, uint32_t *in)
{
    const sg__item *x = item(s, i);
    sg_shape shape = with_rows(x, index_count(s, s->set[i]) + 1);
    for (uint32_t k = 0; k < x->n; k++)
        in[k] = has_rows(s, x, k) ? rows_of(s, x->in[k], s->set[i]) : s->made[WHOLE][x->in[k]];
    return again(s, i, &shape, in);
}

static bool make_form(sparse *s, uint32_t i, form f)
{
    static uint32_t (*const by_form[FORMS])(sparse *, uint32_t,
                                            uint32_t *) = {make_whole, make_values, make_taken};
    if (!(s->asked[i] >> f & 1))
        return true;
    uint32_t *in = sg__graph_list(&s->now, item(s, i)->n);
    s->made[f][i] = in ? by_form[f](s, i, in) : SG__NONE;
    return s->made[f][i] != SG__NONE;
}

/* Rows that are taken come last: those of an early item may be told by later indices. */
static bool make_all(sparse *s)
{
    const sg__graph *old = s->old;
    for (uint32_t k = 0; k < old->ordered; k++)
        if (!make_form(s, old->order[k], WHOLE) || !make_form(s, old->order[k], VALUES))
            return false;
    for (uint32_t k = 0; k < old->ordered; k++)
        if (!make_form(s, old->order[k], TAKEN))
            return false;
    return true;
}

static uint32_t make_update(sparse *s, uint32_t root)
{
    const sg__item *x = item(s, root), *next = item(s, x->in[0]);
    int operand = operand_of_update(s, next, x->in[1]);
    uint32_t source = s->source[next->in[operand >= 0 ? operand : 0]];
    sg__rows_attr a = {.rows = x->dims->shape.dim[0]};
    uint32_t in[] = {s->made[WHOLE][x->in[1]], index_of(s, source, &sg__rows_op), SG__NONE};
    if (operand >= 0) {
        a.op = next->op;
        a.operand = operand;
        in[2] = s->made[VALUES][next->in[operand]];
    } else {
        in[2] = rows_of(s, x->in[0], source);
    }
    s->now.updates++;
    return add_rows_op(s, x, &sg__update_rows_op, &a, x->dtype, &x->dims->shape, 3, in);
}

/* ---- the pass -------------------------------------------------------------------------------- */

static bool prepare(sparse *s)
{
    size_t n = s->old->n;
    sg__arena *a = &s->old->g->scratch;
    s->zero = sg__alloc(a, n * sizeof *s->zero);
    s->asked = sg__alloc(a, n * sizeof *s->asked);
    s->updates = sg__alloc(a, s->old->root_count * sizeof *s->updates);
    s->source = sg__graph_list(s->old, (uint32_t)n);
    s->set = sg__graph_list(s->old, (uint32_t)n);
    s->now.roots = sg__graph_list(s->old, (uint32_t)s->old->root_count);
    bool ok = s->zero && s->asked && s->updates && s->source && s->set && s->now.roots;
    for (int f = 0; ok && f < FORMS; f++)
        ok = (s->made[f] = sg__graph_list(s->old, (uint32_t)n)) != NULL;
    if (!ok) {
        sg__no_memory(s->old->g, "a plan");
        return false;
    }
    memset(s->zero, 0, n * sizeof *s->zero);
    memset(s->asked, 0, n * sizeof *s->asked);
    memset(s->source, 0xFF, n * sizeof *s->source);
    return true;
}

/* Whether anything is asked for that is not whole */
static bool ask_all(const sparse *s)
{
    const sg__graph *old = s->old;
    unsigned asked = 0;
    for (size_t k = 0; k < old->root_count; k++) {
        s->updates[k] = ask_update(s, old->roots[k]);
        if (!s->updates[k])
            ask(s, old->roots[k], WHOLE);
    }
    for (uint32_t k = old->ordered; k-- > 0;) {
        ask_operands(s, old->order[k]);
        asked |= s->asked[old->order[k]];
    }
    return asked >> VALUES;
}

static bool rebuild(sparse *s)
{
    const sg__graph *old = s->old;
    if (!make_all(s))
        return false;
    for (size_t k = 0; k < old->root_count; k++) {
        uint32_t i = old->roots[k];
        s->now.roots[k] = s->updates[k] ? make_update(s, i) : s->made[WHOLE][i];
        if (s->now.roots[k] == SG__NONE)
            return false;
    }
    return sg__graph_needed(&s->now);
}

static bool has_scatter(const sg__graph *gr)
{
    for (uint32_t k = 0; k < gr->ordered; k++) {
        const sg__item *x = gr->x + gr->order[k];
        if (x->op && x->op->scatter)
            return true;
    }
    return false;
}

bool sg__sparse(sg__graph *gr)
{
    if (sg__without(gr->g, SG__SPARSE) || !has_scatter(gr))
        return true;
    sparse s = {
        .old = gr,
        .now = {
            .g = gr->g, .root_count = gr->root_count, .params = gr->params, .leaves = gr->leaves}};
    if (!prepare(&s))
        return false;
    for (uint32_t k = 0; k < gr->ordered; k++)
        look_at(&s, gr->order[k]);
    if (!ask_all(&s))
        return true;
    if (!rebuild(&s))
        return false;
    *gr = s.now;
    return true;
}
