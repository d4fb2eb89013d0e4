/*
 * Operands that stay prepared from one evaluation to the next: parameters, as products like them.
 * Decoding reads the same weights in step after step. What is prepared belongs to the context's
 * view of the parameter, by form, and goes when the parameter is overwritten. The first evaluation
 * after that reads the parameter as it lies, since it may be the only one; the second prepares it.
 */
#include "core/array.h"
#include "core/plan/plan.h"

#include <stdlib.h>

struct sg__ready { /* a form of a parameter */
    sg__ready *next;
    const sg_op *first;
    int rank;
    int64_t offset, dim[SG_MAX_RANK], stride[SG_MAX_RANK];
    uint64_t met; /* by which run first */
    bool tried;
    void *data; /* NULL: not prepared */
    size_t bytes;
};

void sg__drop_ready(sg_tensor *param)
{
    sg__param *p = sg__param_of(param);
    for (sg__ready *x = p->ready, *next; x; x = next) {
        next = x->next;
        param->g->ready_bytes -= x->bytes;
        free(x->data);
        free(x);
    }
    p->ready = NULL;
}

/* That of an operand as it lies; a new one if there is none, which run `run` is the first to meet;
 * NULL without memory. */
static sg__ready *form_of(sg__param *p, const sg__standing *t, int64_t offset, uint64_t run)
{
    const sg_array *a = &t->lies;
    const size_t bytes = (size_t)a->rank * sizeof(int64_t);
    for (sg__ready *x = p->ready; x; x = x->next)
        if (x->first == t->first && x->offset == offset && x->rank == a->rank &&
            memcmp(x->dim, a->dim, bytes) == 0 && memcmp(x->stride, a->stride, bytes) == 0)
            return x;
    sg__ready *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    *x = (sg__ready){
        .next = p->ready, .first = t->first, .offset = offset, .rank = a->rank, .met = run};
    memcpy(x->dim, a->dim, bytes);
    memcpy(x->stride, a->stride, bytes);
    return p->ready = x;
}

/* All that is prepared takes no more memory than the parameters themselves and what fills up their
 * panels, nor more than a limit leaves. */
static bool is_room(const sg_context *g, size_t bytes)
{
    size_t all = 0, ready = g->ready_bytes + bytes;
    for (const sg__store *s = g->registry->first; s; s = s->next) {
        size_t size = sg__dtype_size(s->dtype);
        for (int i = 0; i < s->shape.rank; i++)
            size *= (size_t)s->shape.dim[i];
        all += size;
    }
    return ready <= all + all / 8 && (!g->memory || ready + g->workspace_bytes <= g->memory);
}

typedef struct work {
    const sg_op *op;
    sg_call call;
} work;

static void run_part(void *arg, int part, int parts)
{
    const work *w = arg;
    sg_call c = w->call;
    c.part = part;
    c.parts = parts;
    w->op->run(&c);
}

static void make_ready(sg_context *g, const sg__standing *t, void *data, sg__ready *x)
{
    sg_array in = t->lies, out = t->ready;
    const size_t bytes = (size_t)sg__elements(&out) * sg__dtype_size(out.dtype);
    x->tried = true;
    if (!is_room(g, bytes) || !(x->data = sg__new_block(bytes)))
        return; /* it does as it lies */
    x->bytes = bytes;
    g->ready_bytes += bytes;
    in.data = data;
    out.data = x->data;
    work w = {t->first, {.n = 1, .isa = g->isa, .in = &in, .out = out}};
    if (g->pool)
        sg__pool_run(g->pool, run_part, &w);
    else
        run_part(&w, 0, 1);
}

void sg__find_standing(const sg__request *r, const sg__plan *p, sg__step *s)
{
    const sg__standing *t = s->standing;
    sg_array *now = &s->array[t->operand];
    sg_context *g = r->g;
    void *data = now->data;
    /* an equal graph may have another leaf there; nodes are numbered as they were, but for a plan
     * of gradients */
    sg__param *param = p->sources ? NULL : sg__param_of(g->order.x[t->node]);
    sg__ready *x = param ? form_of(param, t, s->at[t->operand].offset, g->stat.runs) : NULL;
    if (x && !x->tried && x->met != g->stat.runs)
        make_ready(g, t, data, x);
    *now = x && x->data ? t->ready : t->lies;
    now->data = x && x->data ? x->data : data;
}
