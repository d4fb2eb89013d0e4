/*
 * From the graph to steps. A view costs no step: it is other strides over the operand's place. What
 * a kernel cannot read as it lies is copied first. What is a part of a larger array is computed in
 * its place there. A fold (add_n) is taken apart and each operand added as soon as it is there, so
 * that a gradient summed over a thousand time steps needs the memory of two.
 */
#include "core/plan/emit.h"

bool sg__emit_fail(sg__emitter *e)
{
    sg__no_memory(e->r->g, "a plan");
    return false;
}

static size_t bytes_of(const sg__item *x)
{
    return (size_t)x->dims->size * sg__dtype_size((sg_dtype)x->dtype);
}

/* ---- buffers and steps ----------------------------------------------------------------------- */

bool sg__new_buffer(sg__emitter *e, size_t bytes, sg__place *place)
{
    sg__plan *p = e->p;
    sg_context *g = e->r->g;
    if (!sg__grow(&g->buffers, &g->buffer_capacity, p->buffer_count + 1, sizeof *p->buffers))
        return sg__emit_fail(e);
    p->buffers = g->buffers;
    p->buffers[p->buffer_count] =
        (sg__buffer){.bytes = bytes ? bytes : 1, .first = SG__NONE, .inherits = SG__NONE};
    *place = (sg__place){0, (uint32_t)p->buffer_count++, 0};
    return true;
}

sg__step *sg__new_step(sg__emitter *e, uint32_t i, const sg_op *op, int n)
{
    sg__plan *p = e->p;
    sg_context *g = e->r->g;
    if (!sg__grow(&g->steps, &g->step_capacity, p->step_count + 1, sizeof *p->steps)) {
        sg__emit_fail(e);
        return NULL;
    }
    p->steps = g->steps;
    sg__step *step = p->steps + p->step_count;
    *step = (sg__step){.op = op, .node = sg__item_of(e, i)->origin, .n = n, .m = 1};
    step->at = sg__alloc(&g->scratch, (size_t)(n + 1) * sizeof *step->at);
    step->array = sg__alloc(&g->scratch, (size_t)(n + 1) * sizeof *step->array);
    if (!step->at || !step->array) {
        sg__emit_fail(e);
        return NULL;
    }
    return step;
}

void sg__close_step(sg__emitter *e)
{
    e->p->step_count++;
}

bool sg__close_map(sg__emitter *e, sg__step *s, sg_map *map)
{
    s->map = map;
    sg__close_step(e);
    return true;
}

bool sg__emit_copy(sg__emitter *e, uint32_t i, const sg__value *from, const sg__value *to)
{
    sg__step *s = sg__new_step(e, i, NULL, 1);
    if (!s)
        return false;
    sg__set(s, 0, from);
    sg__set(s, s->n, to);
    return sg__close_map(e, s, sg__copy_map[to->array.dtype]);
}

bool sg__emit_zero(sg__emitter *e, uint32_t i, const sg__value *to)
{
    sg__step *s = sg__new_step(e, i, NULL, 0);
    if (!s)
        return false;
    sg__set(s, s->n, to);
    return sg__close_map(e, s, sg__zero_map[to->array.dtype]);
}

/* ---- places ---------------------------------------------------------------------------------- */

static sg__value at_home(const sg__emitter *e, uint32_t i)
{
    const sg__layout *l = &e->layout[i];
    sg__value v = {e->values[l->home].place,
                   sg__whole(sg__item_of(e, i)->dims, sg__item_of(e, i)->dtype), true};
    v.place.offset += l->start * (int64_t)sg__dtype_size(v.array.dtype);
    v.array.stride = l->stride ? l->stride : v.array.stride;
    return v;
}

/* The array that the first of its parts needs, with zeros where there will be none. */
static bool make_home(sg__emitter *e, uint32_t i)
{
    sg__value *v = &e->values[i];
    v->there = true;
    v->array = sg__whole(sg__item_of(e, i)->dims, sg__item_of(e, i)->dtype);
    if (e->own[i])
        v->place = (sg__place){e->own[i], SG__NONE, 0};
    else if (!sg__new_buffer(e, bytes_of(sg__item_of(e, i)), &v->place))
        return false;
    for (uint32_t b = e->layout[i].blank; b != SG__NONE; b = e->layout[b].next_blank) {
        sg__value blank = at_home(e, b);
        if (!sg__emit_zero(e, b, &blank))
            return false;
    }
    return true;
}

/* Where the result of an item is to be. Not while a step is open: this may need steps. */
sg__value *sg__give_place(sg__emitter *e, uint32_t i)
{
    uint32_t home = e->layout[i].home;
    if (!e->values[home].there && !make_home(e, home))
        return NULL;
    e->values[i] = at_home(e, i);
    return &e->values[i];
}

/* The value of an item as a contiguous array: itself, or a copy. */
static bool contiguous(sg__emitter *e, uint32_t i, sg__value *v)
{
    if (sg__contiguous(&v->array))
        return true;
    sg__value copy = {.array = sg__whole(sg__item_of(e, i)->dims, sg__item_of(e, i)->dtype)};
    if (!sg__new_buffer(e, bytes_of(sg__item_of(e, i)), &copy.place) ||
        !sg__emit_copy(e, i, v, &copy))
        return false;
    *v = copy;
    return true;
}

/* ---- items ----------------------------------------------------------------------------------- */

static bool emit_view(sg__emitter *e, uint32_t i)
{
    const sg__item *x = sg__item_of(e, i);
    sg__value v = e->values[x->in[0]], *out = &e->values[i];
    int64_t start = 0, *stride = sg__alloc(&e->gr->g->scratch, sizeof(int64_t[SG_MAX_RANK]));
    if (!stride)
        return sg__emit_fail(e);
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

sg_map *sg__kernel_of(const sg__emitter *e, const sg_op *op, int dtype)
{
    sg_map *const *sets = op->map[dtype];
    return sets[e->r->g->isa] ? sets[e->r->g->isa] : sets[SG_GENERIC];
}

static bool emit_map(sg__emitter *e, uint32_t i, const sg__item *x)
{
    sg__value *out = sg__give_place(e, i);
    sg__step *s = out ? sg__new_step(e, i, x->op, (int)x->n) : NULL;
    if (!s)
        return false;
    sg__set(s, s->n, out);
    for (uint32_t k = 0; k < x->n; k++)
        sg__set(s, (int)k, &e->values[x->in[k]]);
    return sg__close_map(e, s, sg__kernel_of(e, x->op, sg__item_of(e, x->in[x->n - 1])->dtype));
}

/* Threads have scratch of their own, as large as any step needs. */
static void reserve_scratch(sg__emitter *e, const sg__step *s)
{
    const sg_call c = {
        .attr = s->attr, .n = s->n, .isa = e->r->g->isa, .in = s->array, .out = s->array[s->n]};
    const size_t bytes = s->op->scratch ? (s->op->scratch(&c) + 63) / 64 * 64 : 0;
    e->p->own = bytes > e->p->own ? bytes : e->p->own;
}

static bool emit_run(sg__emitter *e, uint32_t i, const sg__item *x)
{
    sg__value *in = sg__alloc(&e->gr->g->scratch, x->n * sizeof *in);
    if (!in)
        return sg__emit_fail(e);
    for (uint32_t k = 0; k < x->n; k++) {
        in[k] = e->values[x->in[k]];
        if (!(x->op->flags & SG_OP_STRIDED) && !contiguous(e, x->in[k], &in[k]))
            return false;
    }
    sg__value *out = sg__give_place(e, i);
    sg__kernel how = {x->op, x->attr, NULL};
    if (!out || !sg__emit_prepared(e, i, out, in, &how))
        return false;
    sg__step *s = sg__new_step(e, i, how.op, (int)x->n);
    if (!s)
        return false;
    sg__set(s, s->n, out);
    for (uint32_t k = 0; k < x->n; k++)
        sg__set(s, (int)k, &in[k]);
    if (how.op->attr_size) { /* the plan outlives the tape */
        void *attr = sg__alloc(&e->p->arena, how.op->attr_size);
        if (!attr)
            return sg__emit_fail(e);
        s->attr = memcpy(attr, how.attr, how.op->attr_size);
    }
    s->standing = how.standing;
    reserve_scratch(e, s);
    sg__close_step(e);
    return true;
}

/* The operands that are not computed in their place are copied there. */
static bool emit_parts(sg__emitter *e, uint32_t i, const sg__item *x)
{
    const sg__layout *l = &e->layout[i];
    sg__value *out = sg__give_place(e, i);
    if (!out)
        return false;
    for (uint32_t k = 0; k < x->n; k++) {
        const sg__item *y = sg__item_of(e, x->in[k]);
        sg__value to = {out->place, sg__whole(y->dims, y->dtype), true};
        if (l->placed[k] || y->dims->size == 0)
            continue;
        to.place.offset += l->part[k].start * (int64_t)sg__dtype_size(to.array.dtype);
        to.array.stride = l->part[k].stride;
        if (!sg__emit_copy(e, i, &e->values[x->in[k]], &to))
            return false;
    }
    return true;
}

/* ---- roots ----------------------------------------------------------------------------------- */

static bool is_assign(const sg__item *x)
{
    return x->op && x->op->flags & SG_OP_ROOT;
}

static bool number_bases(sg__emitter *e)
{
    const sg__request *r = e->r;
    const sg__graph *gr = e->gr;
    sg__plan *p = e->p;
    p->nodes = (uint32_t)r->g->order.n;
    p->leaves = gr->leaves;
    p->bases = 1 + p->leaves;
    p->roots = sg__alloc(&p->arena, r->n * sizeof *p->roots);
    e->own = sg__alloc(&e->gr->g->scratch, gr->n * sizeof *e->own);
    e->values = sg__alloc(&e->gr->g->scratch, gr->n * sizeof *e->values);
    if (!p->roots || !e->own || !e->values)
        return sg__emit_fail(e);
    memset(e->own, 0, gr->n * sizeof *e->own);
    memset(e->values, 0, gr->n * sizeof *e->values);
    p->root_count = r->n;
    for (size_t i = 0; i < r->n; i++) {
        const sg_tensor *x = r->roots[i];
        const sg__item *y = sg__item_of(e, gr->roots[i]);
        p->roots[i] =
            (sg__root){.node = x->index, .assign = x->op->flags & SG_OP_ROOT, .bytes = bytes_of(y)};
        if (p->roots[i].assign) {
            p->roots[i].param = gr->params[i];
            if (!is_assign(y)) { /* an update, which is done where the parameter is */
                p->roots[i].place = (sg__place){p->roots[i].param, SG__NONE, 0};
                e->own[gr->roots[i]] = p->roots[i].param;
            }
            continue;
        }
        p->roots[i].place = (sg__place){p->bases++, SG__NONE, 0};
        if (y->op && !y->op->view && !e->own[gr->roots[i]])
            e->own[gr->roots[i]] = p->roots[i].place.base;
    }
    return true;
}

/* A sg__value to assign must be in one piece, and not in the array of a parameter that this very
 * plan may overwrite. It stays until the end. */
static bool emit_assigned(sg__emitter *e, sg__root *root, uint32_t i)
{
    sg__value v = e->values[i];
    bool computed = v.place.base == 0 || v.place.base > e->p->leaves;
    sg__value copy = {.array = sg__whole(sg__item_of(e, i)->dims, sg__item_of(e, i)->dtype)};
    if (!computed || !sg__contiguous(&v.array)) {
        if (!sg__new_buffer(e, bytes_of(sg__item_of(e, i)), &copy.place) ||
            !sg__emit_copy(e, i, &v, &copy))
            return false;
        v = copy;
    }
    root->place = v.place;
    return true;
}

static bool emit_roots(sg__emitter *e)
{
    sg__plan *p = e->p;
    for (size_t k = 0; k < p->root_count; k++) {
        uint32_t i = e->gr->roots[k];
        sg__value to = {p->roots[k].place,
                        sg__whole(sg__item_of(e, i)->dims, sg__item_of(e, i)->dtype), true};
        bool there = e->own[i] && e->own[i] == to.place.base;
        if (p->roots[k].assign ? is_assign(sg__item_of(e, i)) && !emit_assigned(e, &p->roots[k], i)
                               : !there && !sg__emit_copy(e, i, &e->values[i], &to))
            return false;
    }
    return true;
}

static bool emit_item(sg__emitter *e, uint32_t i)
{
    const sg__item *x = sg__item_of(e, i);
    if (!x->op) {
        e->values[i] = (sg__value){{x->leaf, SG__NONE, 0}, sg__whole(x->dims, x->dtype), true};
        return true;
    }
    if (x->op->view)
        return emit_view(e, i);
    if (x->op->flags & SG_OP_FOLD || e->layout[i].home == SG__NONE)
        return true;
    return x->op->map ? emit_map(e, i, x) : x->op->parts ? emit_parts(e, i, x) : emit_run(e, i, x);
}

bool sg__emit(const sg__request *r, sg__graph *gr, bool tight, sg__plan *p)
{
    sg__emitter e = {.r = r, .gr = gr, .p = p};
    bool ok = number_bases(&e) && (e.layout = sg__lay_out(gr, e.own)) && sg__schedule_folds(&e) &&
              (tight || sg__without(r->g, SG__PREPARE) || sg__count_readers(&e));
    uint32_t k = 0, updates = gr->ordered - gr->updates;
    for (; ok && k < updates; k++)
        ok = emit_item(&e, gr->order[k]) && sg__emit_folds(&e, gr->order[k]);
    ok = ok && emit_roots(&e);
    for (; ok && k < gr->ordered; k++) /* nobody reads the old rows any more, nothing can fail */
        ok = emit_item(&e, gr->order[k]);
    return ok;
}
