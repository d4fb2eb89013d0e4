/* From the canonical order to steps. A view costs no step: it is other strides over the operand's
 * place. What a kernel cannot read as it lies is copied first. A fold (add_n) is taken apart and
 * each operand added as soon as it is there, so that a weight's gradient over a thousand time steps
 * needs the memory of two. */
#include "core/plan/plan.h"

typedef struct value { /* of a node, by canonical order */
    sg__place place;
    sg_array array; /* data is not used */
} value;

typedef struct fold { /* one addition of a fold: after node `at`, operand `k` of node `sum` */
    uint32_t sum, k, next;
} fold;

typedef struct emitter {
    const sg__request *r;
    sg__plan *p;
    sg__arena temporary;
    value *values;
    uint32_t *own;            /* a node's own base, where it is a root; else 0 */
    uint32_t *first, *latest; /* folds to do after a node: a list in `folds` */
    fold *folds;
    size_t fold_count;
} emitter;

static bool fail(emitter *e)
{
    sg__no_memory(e->r->g, "a plan");
    return false;
}

/* ---- buffers and steps -------------------------------------------------------------------------
 */

static bool new_buffer(emitter *e, size_t bytes, sg__place *place)
{
    sg__plan *p = e->p;
    void *b = p->buffers;
    if (!sg__grow(&b, &p->buffer_capacity, p->buffer_count + 1, sizeof *p->buffers))
        return fail(e);
    p->buffers = b;
    uint32_t now = (uint32_t)p->step_count;
    p->buffers[p->buffer_count] =
        (sg__buffer){.bytes = bytes ? bytes : 1, .first = now, .last = now, .inherits = SG__NONE};
    *place = (sg__place){0, (uint32_t)p->buffer_count++, 0};
    return true;
}

static bool own_place(emitter *e, uint32_t node, sg__place *place)
{
    const sg_tensor *x = e->r->g->order.x[node];
    if (e->own[node]) {
        *place = (sg__place){e->own[node], SG__NONE, 0};
        return true;
    }
    return new_buffer(e, (size_t)x->dims->size * sg__dtype_size((sg_dtype)x->dtype), place);
}

static sg_array whole(const sg__dims *d, int dtype)
{
    return (sg_array){NULL, d->shape.dim, d->stride, (sg_dtype)dtype, d->shape.rank};
}

static sg__step *new_step(emitter *e, uint32_t node, const sg_op *op, int n)
{
    sg__plan *p = e->p;
    void *s = p->steps;
    if (!sg__grow(&s, &p->step_capacity, p->step_count + 1, sizeof *p->steps)) {
        fail(e);
        return NULL;
    }
    p->steps = s;
    sg__step *step = p->steps + p->step_count;
    *step = (sg__step){.op = op, .node = node, .n = n, .scratch.buffer = SG__NONE};
    step->from = sg__alloc(&p->arena, (size_t)n * sizeof *step->from);
    step->in = sg__alloc(&p->arena, (size_t)n * sizeof *step->in);
    if (!step->from || !step->in) {
        fail(e);
        return NULL;
    }
    return step;
}

static void close_step(emitter *e, sg__step *s)
{
    uint32_t now = (uint32_t)e->p->step_count++;
    for (int i = 0; i < s->n; i++)
        if (s->from[i].buffer != SG__NONE)
            e->p->buffers[s->from[i].buffer].last = now;
    if (s->to.buffer != SG__NONE)
        e->p->buffers[s->to.buffer].last = now;
}

/* ---- by element
 * ---------------------------------------------------------------------------------- */

/* Strides of an operand along the axes of the result; 0 where it is broadcast. */
static void spread(const sg_array *in, const sg_array *out, int64_t *stride)
{
    int shift = out->rank - in->rank;
    for (int i = 0; i < out->rank; i++)
        stride[i] = i < shift || in->dim[i - shift] == 1 ? 0 : in->stride[i - shift];
}

static bool one_axis(int64_t (*s)[SG_MAX_RANK], int n, int outer, int inner, int64_t size)
{
    for (int k = 0; k < n; k++)
        if (s[k][outer] != s[k][inner] * size)
            return false;
    return true;
}

/* The fewest nested loops over the result's axes. */
static sg__loop loop_over(const sg__step *step)
{
    const sg_array *out = &step->out;
    int64_t s[SG__MAP_OPERANDS][SG_MAX_RANK], dim[SG_MAX_RANK];
    int rank = 0;
    for (int k = 0; k < step->n; k++)
        spread(&step->in[k], out, s[k]);
    for (int i = 0; i < out->rank; i++) {
        if (out->dim[i] == 1)
            continue;
        bool join = rank && one_axis(s, step->n, rank - 1, i, out->dim[i]);
        rank += !join;
        dim[rank - 1] = join ? dim[rank - 1] * out->dim[i] : out->dim[i];
        for (int k = 0; k < step->n; k++)
            s[k][rank - 1] = s[k][i];
    }
    sg__loop l = {.rank = rank ? rank - 1 : 0, .n = rank ? dim[rank - 1] : 1};
    for (int k = 0; k < step->n; k++) {
        int64_t width = (int64_t)sg__dtype_size(step->in[k].dtype);
        l.inner[k] = rank ? s[k][rank - 1] : 0;
        for (int i = 0; i < l.rank; i++) {
            l.dim[i] = dim[i];
            l.step[k][i] = s[k][i] * width;
        }
    }
    return l;
}

static bool close_map(emitter *e, sg__step *step, int64_t size)
{
    sg__loop l = loop_over(step), *copy = NULL;
    bool plain = l.rank == 0;
    for (int k = 0; k < step->n; k++) {
        plain = plain && (l.inner[k] == 0 || l.inner[k] == 1);
        step->single |= (unsigned)(l.inner[k] == 0) << k;
    }
    step->size = size;
    if (!plain) {
        copy = sg__alloc(&e->p->arena, sizeof *copy);
        if (!copy)
            return fail(e);
        *copy = l;
    }
    step->loop = copy;
    close_step(e, step);
    return true;
}

static bool emit_copy(emitter *e, uint32_t node, const value *v, const sg__dims *dims, sg__place to)
{
    sg__step *s = new_step(e, node, NULL, 1);
    if (!s)
        return false;
    s->map = sg__copy_map[v->array.dtype];
    s->from[0] = v->place;
    s->in[0] = v->array;
    s->to = to;
    s->out = whole(dims, (int)v->array.dtype);
    return close_map(e, s, dims->size);
}

/* The value of a node as a contiguous array: itself, or a copy. */
static bool contiguous(emitter *e, uint32_t node, value *v)
{
    const sg_tensor *x = e->r->g->order.x[node];
    if (sg__contiguous(&v->array))
        return true;
    value copy = {.array = whole(x->dims, x->dtype)};
    if (!new_buffer(e, (size_t)x->dims->size * sg__dtype_size(v->array.dtype), &copy.place) ||
        !emit_copy(e, node, v, x->dims, copy.place))
        return false;
    *v = copy;
    return true;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool emit_view(emitter *e, uint32_t node)
{
    sg_tensor *x = e->r->g->order.x[node];
    value v = e->values[x->in[0]->index], *out = &e->values[node];
    int64_t start = 0, *stride = sg__alloc(&e->p->arena, sizeof(int64_t[SG_MAX_RANK]));
    if (!stride)
        return fail(e);
    out->array = whole(x->dims, x->dtype);
    if (!x->op->view(x->attr, &v.array, &out->array, &start, stride)) {
        if (!contiguous(e, x->in[0]->index, &v))
            return false;
        x->op->view(x->attr, &v.array, &out->array, &start, stride);
    }
    out->array.stride = stride;
    out->place = v.place;
    out->place.offset += start * (int64_t)sg__dtype_size((sg_dtype)x->dtype);
    return true;
}

static void operand(sg__step *s, int k, const value *v)
{
    s->from[k] = v->place;
    s->in[k] = v->array;
}

static sg_map *kernel_of(const emitter *e, const sg_op *op, int dtype)
{
    sg_map *const *sets = op->map[dtype];
    return sets[e->r->g->isa] ? sets[e->r->g->isa] : sets[SG_GENERIC];
}

static bool emit_map(emitter *e, uint32_t node, const sg_tensor *x)
{
    sg__step *s = new_step(e, node, x->op, (int)x->n);
    value *out = &e->values[node];
    if (!s || !own_place(e, node, &out->place))
        return false;
    out->array = s->out = whole(x->dims, x->dtype);
    s->map = kernel_of(e, x->op, x->in[x->n - 1]->dtype);
    s->to = out->place;
    for (uint32_t k = 0; k < x->n; k++)
        operand(s, (int)k, &e->values[x->in[k]->index]);
    return close_map(e, s, x->dims->size);
}

static bool emit_run(emitter *e, uint32_t node, const sg_tensor *x)
{
    value *out = &e->values[node], *in;
    in = sg__alloc(&e->temporary, x->n * sizeof *in);
    if (!in)
        return fail(e);
    for (uint32_t k = 0; k < x->n; k++) {
        in[k] = e->values[x->in[k]->index];
        if (!(x->op->flags & SG_OP_STRIDED) && !contiguous(e, x->in[k]->index, &in[k]))
            return false;
    }
    sg__step *s = new_step(e, node, x->op, (int)x->n);
    if (!s || !own_place(e, node, &out->place))
        return false;
    out->array = s->out = whole(x->dims, x->dtype);
    s->to = out->place;
    for (uint32_t k = 0; k < x->n; k++)
        operand(s, (int)k, &in[k]);
    if (x->op->attr_size) { /* the plan outlives the tape */
        void *attr = sg__alloc(&e->p->arena, x->op->attr_size);
        if (!attr)
            return fail(e);
        s->attr = memcpy(attr, x->attr, x->op->attr_size);
    }
    if (x->op->scratch) {
        sg_call c = {.attr = s->attr, .n = s->n, .isa = e->r->g->isa, .in = s->in, .out = s->out};
        size_t bytes = x->op->scratch(&c);
        if (bytes && !new_buffer(e, bytes, &s->scratch))
            return false;
    }
    close_step(e, s);
    return true;
}

/* ---- folds ----------------------------------------------------------------------------------- */

/* Each addition is due after the operand and the sum so far are there. */
static bool schedule_folds(emitter *e)
{
    const sg__list *order = &e->r->g->order;
    size_t total = 0;
    for (size_t i = 0; i < order->n; i++)
        if (!order->x[i]->value && order->x[i]->op->flags & SG_OP_FOLD)
            total += order->x[i]->n;
    if (!total)
        return true;
    e->folds = sg__alloc(&e->temporary, total * sizeof *e->folds);
    e->first = sg__alloc(&e->temporary, order->n * sizeof *e->first);
    e->latest = sg__alloc(&e->temporary, order->n * sizeof *e->latest);
    if (!e->folds || !e->first || !e->latest)
        return fail(e);
    memset(e->first, 0xFF, order->n * sizeof *e->first);
    for (uint32_t i = 0; i < order->n; i++) {
        const sg_tensor *x = order->x[i];
        if (x->value || !(x->op->flags & SG_OP_FOLD))
            continue;
        uint32_t at = x->in[0]->index;
        for (uint32_t k = 1; k < x->n; k++) {
            uint32_t f = (uint32_t)e->fold_count++;
            at = x->in[k]->index > at ? x->in[k]->index : at;
            e->folds[f] = (fold){i, k, SG__NONE};
            *(e->first[at] == SG__NONE ? &e->first[at] : &e->folds[e->latest[at]].next) = f;
            e->latest[at] = f;
        }
    }
    return true;
}

static bool emit_folds(emitter *e, uint32_t after)
{
    for (uint32_t i = e->folds ? e->first[after] : SG__NONE; i != SG__NONE; i = e->folds[i].next) {
        const fold *f = &e->folds[i];
        const sg_tensor *x = e->r->g->order.x[f->sum];
        value *sum = &e->values[f->sum], *left = f->k == 1 ? &e->values[x->in[0]->index] : sum;
        sg__step *s = new_step(e, f->sum, x->op, 2);
        if (!s)
            return false;
        operand(s, 0, left);
        operand(s, 1, &e->values[x->in[f->k]->index]);
        if (f->k == 1) {
            if (!own_place(e, f->sum, &sum->place))
                return false;
            sum->array = whole(x->dims, x->dtype);
        }
        s->map = kernel_of(e, x->op, x->dtype);
        s->to = sum->place;
        s->out = sum->array;
        if (!close_map(e, s, x->dims->size))
            return false;
    }
    return true;
}

/* ---- roots ----------------------------------------------------------------------------------- */

static bool number_bases(emitter *e)
{
    const sg__request *r = e->r;
    sg__plan *p = e->p;
    p->nodes = (uint32_t)r->g->order.n;
    for (uint32_t i = 0; i < p->nodes; i++)
        p->leaves += r->g->order.x[i]->value != NULL;
    p->bases = 1 + p->leaves;
    p->roots = sg__alloc(&p->arena, r->n * sizeof *p->roots);
    e->own = sg__alloc(&e->temporary, p->nodes * sizeof *e->own);
    e->values = sg__alloc(&e->temporary, p->nodes * sizeof *e->values);
    if (!p->roots || !e->own || !e->values)
        return fail(e);
    memset(e->own, 0, p->nodes * sizeof *e->own);
    p->root_count = r->n;
    for (size_t i = 0; i < r->n; i++) {
        const sg_tensor *x = r->roots[i];
        p->roots[i] = (sg__root){.node = x->index, .assign = x->op->flags & SG_OP_ROOT};
        if (!p->roots[i].assign) {
            p->roots[i].place = (sg__place){p->bases++, SG__NONE, 0};
            if (!x->op->view)
                e->own[x->index] = p->roots[i].place.base;
        }
    }
    return true;
}

/* A value to assign must be in one piece, and not in the array of a parameter that this very plan
 * may overwrite. It stays until the end. */
static bool emit_assigned(emitter *e, sg__root *root)
{
    const sg_tensor *x = e->r->g->order.x[root->node];
    value v = e->values[root->node];
    bool computed = v.place.base == 0 || v.place.base > e->p->leaves;
    if (computed && sg__contiguous(&v.array))
        root->place = v.place;
    else if (!new_buffer(e, (size_t)x->dims->size * sg__dtype_size(v.array.dtype), &root->place) ||
             !emit_copy(e, root->node, &v, x->dims, root->place))
        return false;
    return true;
}

static bool emit_roots(emitter *e)
{
    sg__plan *p = e->p;
    for (size_t i = 0; i < p->root_count; i++) {
        const sg_tensor *x = e->r->roots[i];
        if (p->roots[i].assign ? !emit_assigned(e, &p->roots[i])
                               : x->op->view && !emit_copy(e, x->index, &e->values[x->index],
                                                           x->dims, p->roots[i].place))
            return false;
    }
    for (size_t i = 0; i < p->root_count; i++)
        if (p->roots[i].assign && p->roots[i].place.buffer != SG__NONE)
            p->buffers[p->roots[i].place.buffer].last = (uint32_t)p->step_count;
    return true;
}

static bool emit_node(emitter *e, uint32_t i, uint32_t *leaf)
{
    const sg_tensor *x = e->r->g->order.x[i];
    if (x->value) {
        e->values[i] = (value){{1 + (*leaf)++, SG__NONE, 0}, whole(x->dims, x->dtype)};
        return true;
    }
    if (x->op->view)
        return emit_view(e, i);
    if (x->op->flags & SG_OP_FOLD)
        return true;
    return x->op->map ? emit_map(e, i, x) : emit_run(e, i, x);
}

bool sg__emit(const sg__request *r, sg__plan *p)
{
    emitter e = {.r = r, .p = p};
    bool ok = number_bases(&e) && schedule_folds(&e);
    uint32_t leaf = 0;
    for (uint32_t i = 0; ok && i < p->nodes; i++)
        ok = emit_node(&e, i, &leaf) && emit_folds(&e, i);
    ok = ok && emit_roots(&e);
    sg__arena_free(&e.temporary);
    return ok;
}
