/*
 * Assigning in place: a parameter's new value is computed right where the parameter is, instead of
 * beside it and copied at the end, if nothing can fail from then on, so that a plan that fails
 * changes nothing, and nobody reads the old value after its elements are overwritten.
 */
#include "core/array.h"
#include "core/plan/plan.h"

bool sg__is_whole(const sg__plan *p, const sg__place *at, const sg_array *a)
{
    size_t bytes = (size_t)sg__elements(a) * sg__dtype_size(a->dtype);
    return at->offset == 0 && sg__contiguous(a) &&
           (at->buffer == SG__NONE || bytes == p->buffers[at->buffer].bytes);
}

void sg__uses_of(const sg__program *p, sg__use *uses)
{
    for (int i = 0; i < SG__ARRAYS; i++)
        uses[i] = (sg__use){-1, -1};
    for (int c = p->count - 1; c >= 0; c--) {
        const sg__instruction *x = p->code + c;
        if (x->out >= 0)
            uses[x->out].first_write = x->fold ? -1 : c;
        for (int k = 0; k < x->n; k++)
            if (x->in[k] >= 0 && uses[x->in[k]].last_read < c)
                uses[x->in[k]].last_read = c;
    }
}

typedef struct finder {
    sg_context *g;
    sg__plan *p;
    uint32_t *root;      /* by buffer: of the assignment that is made from it */
    uint32_t *writers;   /* by buffer: how many steps write to it */
    uint32_t *last_use;  /* by buffer: the last step that has it among its arrays */
    uint32_t *last_read; /* by base: 1 + the last step that reads it */
} finder;

static bool prepare(finder *f)
{
    sg__plan *p = f->p;
    size_t buffers = p->buffer_count + 1;
    f->root = sg__alloc(&f->g->scratch, buffers * sizeof *f->root);
    f->writers = sg__alloc(&f->g->scratch, buffers * sizeof *f->writers);
    f->last_use = sg__alloc(&f->g->scratch, buffers * sizeof *f->last_use);
    f->last_read = sg__alloc(&f->g->scratch, p->bases * sizeof *f->last_read);
    if (!f->root || !f->writers || !f->last_use || !f->last_read)
        return false;
    memset(f->root, 0xFF, buffers * sizeof *f->root);
    memset(f->writers, 0, buffers * sizeof *f->writers);
    memset(f->last_read, 0, p->bases * sizeof *f->last_read);
    for (uint32_t i = 0; i < p->root_count; i++) {
        const sg__root *x = p->roots + i;
        uint32_t b = x->place.buffer;
        if (b == SG__NONE)
            continue;
        /* not one of two parameters, nor a part of a larger array: these stay beside */
        f->writers[b] += f->root[b] != SG__NONE || p->buffers[b].bytes != x->bytes;
        f->root[b] = i;
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        const sg__step *s = p->steps + i;
        for (int k = 0; k < s->n + s->m; k++) {
            uint32_t b = s->at[k].buffer;
            if (b != SG__NONE)
                f->last_use[b] = i;
            else if (k < s->n)
                f->last_read[s->at[k].base] = i + 1;
            if (b != SG__NONE && k >= s->n)
                f->writers[b]++;
        }
    }
    return true;
}

/* Whether result k of a program may stand where the parameter is. */
static bool may_replace(const finder *f, uint32_t step, int k, uint32_t param)
{
    const sg__step *s = f->p->steps + step;
    uint32_t b = s->at[k].buffer;
    if (f->writers[b] != 1 || f->last_read[param] > step + 1 ||
        !sg__is_whole(f->p, &s->at[k], &s->array[k]))
        return false;
    sg__use uses[SG__ARRAYS];
    sg__uses_of(s->program, uses);
    for (int j = 0; j < s->n; j++)
        if (s->at[j].buffer == SG__NONE && s->at[j].base == param &&
            (!sg__is_whole(f->p, &s->at[j], &s->array[j]) ||
             sg__elements(&s->array[j]) != sg__elements(&s->array[k]) ||
             s->array[j].dtype != s->array[k].dtype || uses[j].last_read > uses[k].first_write))
            return false;
    return true;
}

static void replace(const finder *f, uint32_t step, uint32_t buffer)
{
    sg__plan *p = f->p;
    sg__root *root = &p->roots[f->root[buffer]];
    for (uint32_t i = step; i <= f->last_use[buffer]; i++)
        for (int k = 0; k < p->steps[i].n + p->steps[i].m; k++) {
            sg__place *at = &p->steps[i].at[k];
            if (at->buffer == buffer)
                *at = (sg__place){root->param, SG__NONE, at->offset};
        }
    root->place = (sg__place){root->param, SG__NONE, 0};
}

bool sg__assign_in_place(sg_context *g, sg__plan *p)
{
    finder f = {.g = g, .p = p};
    bool ok = prepare(&f);
    uint32_t first = (uint32_t)p->step_count;
    while (first > 0 && (p->steps[first - 1].program || p->steps[first - 1].op->flags & SG_OP_SURE))
        first--;
    for (uint32_t i = first; ok && i < p->step_count; i++) {
        const sg__step *s = p->steps + i;
        for (int k = s->n; s->program && k < s->n + s->m; k++) {
            uint32_t b = s->at[k].buffer, root = b == SG__NONE ? SG__NONE : f.root[b];
            if (root != SG__NONE && may_replace(&f, i, k, p->roots[root].param))
                replace(&f, i, b);
        }
    }
    if (!ok)
        sg__no_memory(g, "a plan");
    return ok;
}
