/*
 * From the graph to steps. A view costs no step: it is other strides over the operand's place. What
 * a kernel cannot read as it lies is copied first. What is a part of a larger array is computed in
 * its place there. A fold (add_n) is taken apart and each operand added as soon as it is there, so
 * that a gradient summed over a thousand time steps needs the memory of two.
 */
#include "core/plan/plan.h"

typedef struct value { /* of an item */
    sg__place place;
    sg_array array; /* data is not used */
    bool there;     /* has a place */
} value;

typedef struct fold { /* one addition of a fold: once item `at` is there, operand k of item `sum` */
    uint32_t sum, k, next;
} fold;

typedef struct emitter {
    const sg__request *r;
    sg__graph *gr;
    sg__plan *p;
    sg__arena temporary;
    value *values;
    uint32_t *own;            /* an item's own base, where it is a root; else 0 */
    sg__layout *layout;       /* of each item */
    uint32_t *first, *latest; /* folds to do after an item: a list in `folds` */
    fold *folds;
    size_t fold_count;
} emitter;

static bool fail(emitter *e)
{
    sg__no_memory(e->r->g, "a plan");
    return false;
}

static const sg__item *item(const emitter *e, uint32_t i)
{
    return e->gr->x + i;
}

static size_t bytes_of(const sg__item *x)
{
    return (size_t)x->dims->size * sg__dtype_size((sg_dtype)x->dtype);
}

/* ---- buffers and steps ----------------------------------------------------------------------- */

static bool new_buffer(emitter *e, size_t bytes, sg__place *place)
{
    sg__plan *p = e->p;
    void *b = p->buffers;
    if (!sg__grow(&b, &p->buffer_capacity, p->buffer_count + 1, sizeof *p->buffers))
        return fail(e);
    p->buffers = b;
    p->buffers[p->buffer_count] =
        (sg__buffer){.bytes = bytes ? bytes : 1, .first = SG__NONE, .inherits = SG__NONE};
    *place = (sg__place){0, (uint32_t)p->buffer_count++, 0};
    return true;
}

static sg__step *new_step(emitter *e, uint32_t i, const sg_op *op, int n)
{
    sg__plan *p = e->p;
    void *s = p->steps;
    if (!sg__grow(&s, &p->step_capacity, p->step_count + 1, sizeof *p->steps)) {
        fail(e);
        return NULL;
    }
    p->steps = s;
    sg__step *step = p->steps + p->step_count;
    *step = (sg__step){
        .op = op, .node = item(e, i)->origin, .n = n, .m = 1, .scratch.buffer = SG__NONE};
    step->at = sg__alloc(&p->arena, (size_t)(n + 1) * sizeof *step->at);
    step->array = sg__alloc(&p->arena, (size_t)(n + 1) * sizeof *step->array);
    if (!step->at || !step->array) {
        fail(e);
        return NULL;
    }
    return step;
}

static void set(sg__step *s, int k, const value *v)
{
    s->at[k] = v->place;
    s->array[k] = v->array;
}

static void close_step(emitter *e)
{
    e->p->step_count++;
}

static bool close_map(emitter *e, sg__step *s, sg_map *map)
{
    s->map = map;
    close_step(e);
    return true;
}

static bool emit_copy(emitter *e, uint32_t i, const value *from, const value *to)
{
    sg__step *s = new_step(e, i, NULL, 1);
    if (!s)
        return false;
    set(s, 0, from);
    set(s, s->n, to);
    return close_map(e, s, sg__copy_map[to->array.dtype]);
}

static bool emit_zero(emitter *e, uint32_t i, const value *to)
{
    sg__step *s = new_step(e, i, NULL, 0);
    if (!s)
        return false;
    set(s, s->n, to);
    return close_map(e, s, sg__zero_map[to->array.dtype]);
}

/* ---- places ---------------------------------------------------------------------------------- */

static value at_home(const emitter *e, uint32_t i)
{
    const sg__layout *l = &e->layout[i];
    value v = {e->values[l->home].place, sg__whole(item(e, i)->dims, item(e, i)->dtype), true};
    v.place.offset += l->start * (int64_t)sg__dtype_size(v.array.dtype);
    v.array.stride = l->stride ? l->stride : v.array.stride;
    return v;
}

/* The array that the first of its parts needs, with zeros where there will be none. */
static bool make_home(emitter *e, uint32_t i)
{
    value *v = &e->values[i];
    v->there = true;
    v->array = sg__whole(item(e, i)->dims, item(e, i)->dtype);
    if (e->own[i])
        v->place = (sg__place){e->own[i], SG__NONE, 0};
    else if (!new_buffer(e, bytes_of(item(e, i)), &v->place))
        return false;
    for (uint32_t b = e->layout[i].blank; b != SG__NONE; b = e->layout[b].next_blank) {
        value blank = at_home(e, b);
        if (!emit_zero(e, b, &blank))
            return false;
    }
    return true;
}

/* Where the result of an item is to be. Not while a step is open: this may need steps. */
static value *give_place(emitter *e, uint32_t i)
{
    uint32_t home = e->layout[i].home;
    if (!e->values[home].there && !make_home(e, home))
        return NULL;
    e->values[i] = at_home(e, i);
    return &e->values[i];
}

/* The value of an item as a contiguous array: itself, or a copy. */
static bool contiguous(emitter *e, uint32_t i, value *v)
{
    if (sg__contiguous(&v->array))
        return true;
    value copy = {.array = sg__whole(item(e, i)->dims, item(e, i)->dtype)};
    if (!new_buffer(e, bytes_of(item(e, i)), &copy.place) || !emit_copy(e, i, v, &copy))
        return false;
    *v = copy;
    return true;
}

/* ---- items ----------------------------------------------------------------------------------- */

static bool emit_view(emitter *e, uint32_t i)
{
    const sg__item *x = item(e, i);
    value v = e->values[x->in[0]], *out = &e->values[i];
    int64_t start = 0, *stride = sg__alloc(&e->p->arena, sizeof(int64_t[SG_MAX_RANK]));
    if (!stride)
        return fail(e);
    out->array = sg__whole(x->dims, x->dtype);
    out->there = true;
    if (!x->op->view(x->attr, &v.array, &out->array, &start, stride)) {
        if (!contiguous(e, x->in[0], &v))
            return false;
        x->op->view(x->attr, &v.array, &out->array, &start, stride);
    }
    out->array.stride = stride;
    out->place = v.place;
    out->place.offset += start * (int64_t)sg__dtype_size((sg_dtype)x->dtype);
    return true;
}

static sg_map *kernel_of(const emitter *e, const sg_op *op, int dtype)
{
    sg_map *const *sets = op->map[dtype];
    return sets[e->r->g->isa] ? sets[e->r->g->isa] : sets[SG_GENERIC];
}

static bool emit_map(emitter *e, uint32_t i, const sg__item *x)
{
    value *out = give_place(e, i);
    sg__step *s = out ? new_step(e, i, x->op, (int)x->n) : NULL;
    if (!s)
        return false;
    set(s, s->n, out);
    for (uint32_t k = 0; k < x->n; k++)
        set(s, (int)k, &e->values[x->in[k]]);
    return close_map(e, s, kernel_of(e, x->op, item(e, x->in[x->n - 1])->dtype));
}

static bool set_scratch(emitter *e, sg__step *s)
{
    if (!s->op->scratch)
        return true;
    sg_call c = {.attr = s->attr, .n = s->n, .isa = e->r->g->isa};
    c.in = s->array;
    c.out = s->array[s->n];
    size_t bytes = s->op->scratch(&c), parts = s->split ? (size_t)e->r->g->threads : 1;
    s->scratch_stride = (bytes + 63) / 64 * 64;
    return !bytes || new_buffer(e, s->scratch_stride * parts, &s->scratch);
}

static bool emit_run(emitter *e, uint32_t i, const sg__item *x)
{
    value *in = sg__alloc(&e->temporary, x->n * sizeof *in);
    if (!in)
        return fail(e);
    for (uint32_t k = 0; k < x->n; k++) {
        in[k] = e->values[x->in[k]];
        if (!(x->op->flags & SG_OP_STRIDED) && !contiguous(e, x->in[k], &in[k]))
            return false;
    }
    value *out = give_place(e, i);
    sg__step *s = out ? new_step(e, i, x->op, (int)x->n) : NULL;
    if (!s)
        return false;
    set(s, s->n, out);
    for (uint32_t k = 0; k < x->n; k++)
        set(s, (int)k, &in[k]);
    if (x->op->attr_size) { /* the plan outlives the tape */
        void *attr = sg__alloc(&e->p->arena, x->op->attr_size);
        if (!attr)
            return fail(e);
        s->attr = memcpy(attr, x->attr, x->op->attr_size);
    }
    int64_t most = x->dims->size;
    for (uint32_t k = 0; k < x->n; k++)
        most = item(e, x->in[k])->dims->size > most ? item(e, x->in[k])->dims->size : most;
    s->split = x->op->flags & SG_OP_SPLIT && sg__worth_splitting(e->r->g, most);
    if (!set_scratch(e, s))
        return false;
    close_step(e);
    return true;
}

/* The operands that are not computed in their place are copied there. */
static bool emit_parts(emitter *e, uint32_t i, const sg__item *x)
{
    const sg__layout *l = &e->layout[i];
    value *out = give_place(e, i);
    if (!out)
        return false;
    for (uint32_t k = 0; k < x->n; k++) {
        const sg__item *y = item(e, x->in[k]);
        value to = {out->place, sg__whole(y->dims, y->dtype), true};
        if (l->placed[k] || y->dims->size == 0)
            continue;
        to.place.offset += l->part[k].start * (int64_t)sg__dtype_size(to.array.dtype);
        to.array.stride = l->part[k].stride;
        if (!emit_copy(e, i, &e->values[x->in[k]], &to))
            return false;
    }
    return true;
}

/* ---- folds ----------------------------------------------------------------------------------- */

/* Each addition is due after the operand and the sum so far are there. */
static bool schedule_folds(emitter *e)
{
    const sg__graph *gr = e->gr;
    size_t total = 0;
    for (uint32_t i = 0; i < gr->ordered; i++) {
        const sg__item *x = item(e, gr->order[i]);
        total += x->op && x->op->flags & SG_OP_FOLD ? x->n : 0;
    }
    if (!total)
        return true;
    e->folds = sg__alloc(&e->temporary, total * sizeof *e->folds);
    e->first = sg__graph_list(e->gr, (uint32_t)gr->n);
    e->latest = sg__graph_list(e->gr, (uint32_t)gr->n);
    if (!e->folds || !e->first || !e->latest)
        return fail(e);
    memset(e->first, 0xFF, gr->n * sizeof *e->first);
    for (uint32_t i = 0; i < gr->ordered; i++) {
        const sg__item *x = item(e, gr->order[i]);
        if (!x->op || !(x->op->flags & SG_OP_FOLD))
            continue;
        uint32_t at = x->in[0];
        for (uint32_t k = 1; k < x->n; k++) {
            uint32_t f = (uint32_t)e->fold_count++;
            at = x->in[k] > at ? x->in[k] : at;
            e->folds[f] = (fold){gr->order[i], k, SG__NONE};
            *(e->first[at] == SG__NONE ? &e->first[at] : &e->folds[e->latest[at]].next) = f;
            e->latest[at] = f;
        }
    }
    return true;
}

/* out = left + right */
static bool emit_addition(emitter *e, uint32_t sum, const value *left, const value *right,
                          const value *out)
{
    const sg_op *op = item(e, sum)->op;
    sg__step *s = new_step(e, sum, op, 2);
    if (!s)
        return false;
    set(s, 0, left);
    set(s, 1, right);
    set(s, s->n, out);
    return close_map(e, s, kernel_of(e, op, item(e, sum)->dtype));
}

/* Adds operand k of a sum to it: where it belongs, if it is a pad that was not made. */
static bool add_operand(emitter *e, uint32_t sum, uint32_t k)
{
    uint32_t i = item(e, sum)->in[k];
    const sg__item *x = item(e, i);
    value *all = &e->values[sum], region = *all;
    if (!e->layout[sum].added || !e->layout[sum].added[k])
        return emit_addition(e, sum, all, &e->values[i], all);
    const sg__item *from = item(e, x->in[0]);
    sg_array in = sg__whole(from->dims, from->dtype);
    sg_part *part = sg__alloc(&e->p->arena, sizeof *part);
    if (!part)
        return fail(e);
    x->op->parts(x->attr, 1, &in, &all->array, part);
    region.place.offset += part->start * (int64_t)sg__dtype_size(in.dtype);
    region.array = in;
    region.array.stride = part->stride;
    return from->dims->size == 0 || emit_addition(e, sum, &region, &e->values[x->in[0]], &region);
}

static bool emit_fold(emitter *e, uint32_t sum, uint32_t k)
{
    const sg__item *x = item(e, sum);
    const bool *added = e->layout[sum].added;
    if (k > 1)
        return add_operand(e, sum, k);
    value *all = give_place(e, sum);
    if (!all)
        return false;
    if (!added || (!added[0] && !added[1]))
        return emit_addition(e, sum, &e->values[x->in[0]], &e->values[x->in[1]], all);
    return (added[0] ? emit_zero(e, sum, all) && add_operand(e, sum, 0)
                     : emit_copy(e, sum, &e->values[x->in[0]], all)) &&
           add_operand(e, sum, 1);
}

static bool emit_folds(emitter *e, uint32_t after)
{
    for (uint32_t i = e->folds ? e->first[after] : SG__NONE; i != SG__NONE; i = e->folds[i].next)
        if (!emit_fold(e, e->folds[i].sum, e->folds[i].k))
            return false;
    return true;
}

/* ---- roots ----------------------------------------------------------------------------------- */

static bool number_bases(emitter *e)
{
    const sg__request *r = e->r;
    const sg__graph *gr = e->gr;
    sg__plan *p = e->p;
    p->nodes = (uint32_t)r->g->order.n;
    for (uint32_t i = 0; i < p->nodes; i++)
        p->leaves += r->g->order.x[i]->value != NULL;
    p->bases = 1 + p->leaves;
    p->roots = sg__alloc(&p->arena, r->n * sizeof *p->roots);
    e->own = sg__alloc(&e->temporary, gr->n * sizeof *e->own);
    e->values = sg__alloc(&e->temporary, gr->n * sizeof *e->values);
    if (!p->roots || !e->own || !e->values)
        return fail(e);
    memset(e->own, 0, gr->n * sizeof *e->own);
    memset(e->values, 0, gr->n * sizeof *e->values);
    p->root_count = r->n;
    for (size_t i = 0; i < r->n; i++) {
        const sg_tensor *x = r->roots[i];
        const sg__item *y = item(e, gr->roots[i]);
        p->roots[i] = (sg__root){.node = x->index, .assign = x->op->flags & SG_OP_ROOT};
        if (p->roots[i].assign)
            continue;
        p->roots[i].place = (sg__place){p->bases++, SG__NONE, 0};
        if (y->op && !y->op->view && !e->own[gr->roots[i]])
            e->own[gr->roots[i]] = p->roots[i].place.base;
    }
    return true;
}

/* A value to assign must be in one piece, and not in the array of a parameter that this very plan
 * may overwrite. It stays until the end. */
static bool emit_assigned(emitter *e, sg__root *root, uint32_t i)
{
    value v = e->values[i];
    bool computed = v.place.base == 0 || v.place.base > e->p->leaves;
    value copy = {.array = sg__whole(item(e, i)->dims, item(e, i)->dtype)};
    if (!computed || !sg__contiguous(&v.array)) {
        if (!new_buffer(e, bytes_of(item(e, i)), &copy.place) || !emit_copy(e, i, &v, &copy))
            return false;
        v = copy;
    }
    root->place = v.place;
    return true;
}

static bool emit_roots(emitter *e)
{
    sg__plan *p = e->p;
    for (size_t k = 0; k < p->root_count; k++) {
        uint32_t i = e->gr->roots[k];
        value to = {p->roots[k].place, sg__whole(item(e, i)->dims, item(e, i)->dtype), true};
        bool there = e->own[i] && e->own[i] == to.place.base;
        if (p->roots[k].assign ? !emit_assigned(e, &p->roots[k], i)
                               : !there && !emit_copy(e, i, &e->values[i], &to))
            return false;
    }
    return true;
}

static bool emit_item(emitter *e, uint32_t i)
{
    const sg__item *x = item(e, i);
    if (!x->op) {
        e->values[i] = (value){{x->leaf, SG__NONE, 0}, sg__whole(x->dims, x->dtype), true};
        return true;
    }
    if (x->op->view)
        return emit_view(e, i);
    if (x->op->flags & SG_OP_FOLD || e->layout[i].home == SG__NONE)
        return true;
    return x->op->map     ? emit_map(e, i, x)
           : x->op->parts ? emit_parts(e, i, x)
                          : emit_run(e, i, x);
}

bool sg__emit(const sg__request *r, sg__graph *gr, sg__plan *p)
{
    emitter e = {.r = r, .gr = gr, .p = p};
    bool ok = number_bases(&e) && (e.layout = sg__lay_out(gr, &p->arena, e.own)) &&
              schedule_folds(&e);
    for (uint32_t k = 0; ok && k < gr->ordered; k++)
        ok = emit_item(&e, gr->order[k]) && emit_folds(&e, gr->order[k]);
    ok = ok && emit_roots(&e);
    sg__arena_free(&e.temporary);
    return ok;
}
