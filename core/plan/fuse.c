/*
 * Fusing: steps by element over the same axes become one row program, which goes over memory once,
 * tile by tile. What only the program itself needs stays in its registers.
 *
 * Steps are looked at in their order. One that goes over the axes of a group that is still open
 * joins it; a group is closed, and its program put down, before a step that reads what it writes,
 * or writes what it touches, in another way than element for element. No bit depends on any of it.
 */
#include "core/plan/fuse.h"
#include "core/array.h"

#include <stdlib.h>

enum { OPEN = 4 };

typedef struct memory { /* a buffer, or the array of a base, and the open groups that have it */
    unsigned char reads, writes;
    int8_t track[OPEN]; /* of a group that has it, the last array that lies there */
} memory;

typedef struct fuser {
    sg_context *g;
    sg__plan *p;
    sg__group *open[OPEN]; /* NULL: free */
    unsigned age[OPEN], clock;
    sg__group *pool;
    size_t count; /* of steps that came out: never more than went in, so they are put there */
    memory *memories;
    uint32_t *accesses; /* by buffer: how many, of all steps */
} fuser;

/* Buffers and bases as one numbering. */
static memory *memory_of(const fuser *f, const sg__place *at)
{
    return f->memories + (at->buffer != SG__NONE ? at->buffer : f->p->buffer_count + at->base);
}

static bool has(const memory *m, int slot)
{
    return (m->reads | m->writes) >> slot & 1;
}

/* ---- arrays ---------------------------------------------------------------------------------- */

static sg__axes axes_of(const sg_array *out)
{
    sg__axes a = {0};
    for (int i = 0; i < out->rank; i++)
        if (out->dim[i] != 1)
            a.dim[a.rank++] = out->dim[i];
    return a;
}

static bool same_axes(const sg__axes *a, const sg__axes *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

/* Strides along the axes of the result; 0 where an operand is broadcast. */
static void strides_along(const sg_array *a, const sg_array *out, int64_t *stride)
{
    int shift = out->rank - a->rank, k = 0;
    for (int i = 0; i < out->rank; i++)
        if (out->dim[i] != 1)
            stride[k++] = i < shift || a->dim[i - shift] == 1 ? 0 : a->stride[i - shift];
}

static bool same_place(const sg__place *a, const sg__place *b)
{
    return a->base == b->base && a->buffer == b->buffer && a->offset == b->offset;
}

static bool same_track(const sg__seen *a, const sg__seen *b, int rank)
{
    return same_place(&a->at, &b->at) && a->array.dtype == b->array.dtype &&
           memcmp(a->stride, b->stride, (size_t)rank * sizeof *a->stride) == 0;
}

/* The bytes from the first to behind the last element */
static void extent(const sg__seen *t, const sg__axes *over, int64_t *from, int64_t *to)
{
    int64_t width = (int64_t)sg__dtype_size(t->array.dtype), low = 0, high = 0;
    for (int i = 0; i < over->rank; i++)
        *(t->stride[i] < 0 ? &low : &high) += t->stride[i] * (over->dim[i] - 1);
    *from = t->at.offset + low * width;
    *to = t->at.offset + (high + 1) * width;
}

/* Whether two arrays in one memory surely have no element in common: one lies behind the other, or
 * both are rows with room in between in which the other's are. */
static bool apart(const sg__seen *a, const sg__seen *b, const sg__axes *over)
{
    int64_t a_from, a_to, b_from, b_to;
    extent(a, over, &a_from, &a_to);
    extent(b, over, &b_from, &b_to);
    if (a_to <= b_from || b_to <= a_from)
        return true;
    int r = over->rank;
    if (r < 2 || memcmp(a->stride, b->stride, (size_t)r * sizeof *a->stride) != 0 ||
        a->stride[r - 1] != 1 || a->array.dtype != b->array.dtype)
        return false;
    int64_t width = (int64_t)sg__dtype_size(a->array.dtype), row = over->dim[r - 1] * width;
    int64_t between = llabs(a->at.offset - b->at.offset);
    for (int i = 0; i < r - 1; i++)
        if (a->stride[i] * width < between + row)
            return false;
    return between >= row;
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* What a step goes over: its result, or what it reduces. */
static const sg_array *ground(const sg__step *s)
{
    return &s->array[s->map ? s->n : 0];
}

static void tracks_of(const sg__step *s, sg__seen *t)
{
    const sg_array *over = ground(s);
    for (int k = 0; k <= s->n; k++) {
        t[k].at = s->at[k];
        t[k].array = s->array[k];
        t[k].first_write = t[k].last_use = -1;
        t[k].folded = k == s->n && !s->map;
        strides_along(&s->array[k], over, t[k].stride);
    }
}

/* The group's array that is this one; -1 if there is none, -2 if another one may share elements
 * with it, one of the two being written. */
static int find(const fuser *f, int slot, const sg__seen *t, bool write)
{
    const sg__group *gr = f->open[slot];
    const memory *m = memory_of(f, &t->at);
    int found = -1;
    for (int i = has(m, slot) ? m->track[slot] : -1; i >= 0; i = gr->track[i].next) {
        const sg__seen *u = &gr->track[i];
        if (same_track(u, t, gr->over.rank))
            found = i;
        else if ((write || u->first_write >= 0) && !apart(u, t, &gr->over))
            return -2;
    }
    return found;
}

static bool fits(const fuser *f, int slot, const sg__step *s, const sg__seen *t, int *index)
{
    const sg__group *gr = f->open[slot];
    if (gr->full || gr->members == SG__MEMBERS || gr->arrays + s->n + 1 > SG__TRACKS)
        return false;
    for (int k = 0; k <= s->n; k++) {
        index[k] = find(f, slot, &t[k], k == s->n);
        if (index[k] == -2 || (index[k] >= 0 && gr->track[index[k]].folded))
            return false;
    }
    return true;
}

/* Whether all axes are one to this array. */
static bool in_one(const sg__seen *t, const sg__axes *over)
{
    for (int i = 0; i + 1 < over->rank; i++)
        if (t->stride[i] != t->stride[i + 1] * over->dim[i + 1])
            return false;
    return true;
}

/* Whether a step that fits reduces, of what the group has at hand, the last axis, or all of them:
 * then they must be one to all arrays, and no thread can have a part of the program, so it must be
 * short. */
static bool reduces(sg__group *gr, const sg__seen *t, const int *index)
{
    enum { SHORT = 4 };
    int r = gr->over.rank, kept = 0;
    if (index[0] < 0 || index[1] >= 0 || r == 0 || t[0].stride[r - 1] == 0 || t[1].stride[r - 1])
        return false;
    for (int i = 0; i < r; i++)
        kept += t[1].stride[i] != 0;
    bool all = kept == 0, one = in_one(&t[0], &gr->over);
    for (int i = 0; i < gr->arrays; i++)
        one = one && in_one(&gr->track[i], &gr->over);
    gr->full = all && one && gr->members < SHORT;
    return all ? gr->full : kept == r - 1;
}

static void join(fuser *f, int slot, uint32_t step, const sg__seen *t, int *index)
{
    sg__group *gr = f->open[slot];
    const sg__step *s = f->p->steps + step;
    sg__instruction *c = &gr->code[gr->members];
    *c = (sg__instruction){.op = s->op, .map = s->map, .n = (uint8_t)s->n};
    if (!s->map) {
        sg_reduction *const *sets = s->op->rows[s->array[0].dtype];
        c->fold = sets[f->g->isa] ? sets[f->g->isa] : sets[SG_GENERIC];
    }
    for (int k = 0; k <= s->n; k++) {
        bool write = k == s->n;
        memory *m = memory_of(f, &t[k].at);
        for (int j = 0; index[k] < 0 && j < k; j++) /* an operand of the same step */
            if (index[j] >= 0 && same_track(&gr->track[index[j]], &t[k], gr->over.rank))
                index[k] = index[j];
        if (index[k] < 0) {
            index[k] = gr->arrays++;
            gr->track[index[k]] = t[k];
            gr->track[index[k]].read_first = !write;
            gr->track[index[k]].next = has(m, slot) ? m->track[slot] : -1;
            m->track[slot] = (int8_t)index[k];
        }
        sg__seen *u = &gr->track[index[k]];
        if (write && u->first_write < 0)
            u->first_write = gr->members;
        u->last_use = gr->members;
        *(write ? &c->out : &c->in[k]) = (int16_t)index[k];
        *(write ? &m->writes : &m->reads) |= (unsigned char)(1u << slot);
    }
    gr->node[gr->members++] = s->node;
}

/* Ends a group: its program is the next step, or its programs are, if it falls into parts. */
static bool put_down(fuser *f, int slot)
{
    sg__group *gr = f->open[slot];
    if (!gr)
        return true;
    unsigned char others = (unsigned char)~(1u << slot);
    for (int i = 0; i < gr->arrays; i++) {
        memory *m = memory_of(f, &gr->track[i].at);
        m->reads &= others;
        m->writes &= others;
    }
    f->open[slot] = NULL;
    return sg__make_programs(f->g, f->p, f->accesses, gr, &f->count);
}

/* Closes the groups that must run before step s, if s is in none of them but in `mine`. */
static bool close_for(fuser *f, const sg__step *s, int mine)
{
    unsigned must = 0;
    for (int k = 0; k < s->n + s->m; k++) {
        const memory *m = memory_of(f, &s->at[k]);
        must |= k < s->n ? m->writes : m->writes | m->reads;
    }
    for (int i = 0; i < OPEN; i++)
        if (must >> i & 1 && i != mine && !put_down(f, i))
            return false;
    return true;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int open_group(fuser *f, const sg__axes *over)
{
    int oldest = 0;
    for (int i = 0; i < OPEN; i++)
        if (!f->open[i] || (f->open[oldest] && f->age[i] < f->age[oldest]))
            oldest = f->open[oldest] ? i : oldest;
    if (!put_down(f, oldest))
        return -1;
    sg__group *gr = f->pool + oldest;
    gr->over = *over;
    gr->members = gr->arrays = 0;
    gr->full = false;
    f->open[oldest] = gr;
    return oldest;
}

static bool take_map(fuser *f, uint32_t step)
{
    const sg__step *s = f->p->steps + step;
    sg__seen t[SG__MAP_OPERANDS + 1];
    int index[SG__MAP_OPERANDS + 1], slot = -1;
    sg__axes over = axes_of(&s->array[s->n]);
    if (sg__elements(&s->array[s->n]) == 0)
        return true;
    tracks_of(s, t);
    for (int i = 0; i < OPEN && slot < 0; i++)
        if (f->open[i] && same_axes(&f->open[i]->over, &over) && fits(f, i, s, t, index))
            slot = i;
    if (!close_for(f, s, slot))
        return false;
    if (slot < 0) {
        slot = open_group(f, &over);
        if (slot < 0)
            return false;
        fits(f, slot, s, t, index);
    }
    f->age[slot] = ++f->clock;
    join(f, slot, step, t, index);
    return !sg__without(f->g, SG__FUSE) || put_down(f, slot);
}

/* A reduction of what an open group has at hand joins it; false if there is none, or after raising
 * an error. */
static bool take_fold(fuser *f, uint32_t step)
{
    const sg__step *s = f->p->steps + step;
    sg__seen t[SG__MAP_OPERANDS + 1];
    int index[SG__MAP_OPERANDS + 1];
    sg__axes over = axes_of(ground(s));
    tracks_of(s, t);
    for (int i = 0; i < OPEN; i++) {
        sg__group *gr = f->open[i];
        if (!gr || !same_axes(&gr->over, &over) || !fits(f, i, s, t, index) ||
            !reduces(gr, t, index))
            continue;
        if (!close_for(f, s, i))
            return false;
        f->age[i] = ++f->clock;
        join(f, i, step, t, index);
        return true;
    }
    return false;
}

static bool take_step(fuser *f, uint32_t step)
{
    const sg__step *s = f->p->steps + step;
    if (s->map)
        return take_map(f, step);
    if (s->op->rows && take_fold(f, step))
        return true;
    if (f->g->status)
        return false;
    if (!close_for(f, s, -1))
        return false;
    f->p->steps[f->count] = *s;
    return sg__keep_arrays(f->g, f->p, &f->p->steps[f->count++]);
}

static bool no_memory(const fuser *f)
{
    sg__no_memory(f->g, "a plan");
    return false;
}

static bool prepare(fuser *f)
{
    sg__plan *p = f->p;
    size_t memories = p->buffer_count + p->bases;
    f->pool = sg__alloc(&f->g->scratch, OPEN * sizeof *f->pool);
    f->memories = sg__alloc(&f->g->scratch, memories * sizeof *f->memories);
    f->accesses = sg__alloc(&f->g->scratch, (p->buffer_count + 1) * sizeof *f->accesses);
    if (!f->pool || !f->memories || !f->accesses)
        return no_memory(f);
    memset(f->memories, 0, memories * sizeof *f->memories);
    memset(f->accesses, 0, (p->buffer_count + 1) * sizeof *f->accesses);
    for (size_t i = 0; i < p->step_count; i++)
        for (int k = 0; k < p->steps[i].n + p->steps[i].m; k++)
            if (p->steps[i].at[k].buffer != SG__NONE)
                f->accesses[p->steps[i].at[k].buffer]++;
    for (size_t i = 0; i < p->root_count; i++)
        if (p->roots[i].place.buffer != SG__NONE)
            f->accesses[p->roots[i].place.buffer]++;
    return true;
}

bool sg__fuse(sg_context *g, sg__plan *p)
{
    fuser f = {.g = g, .p = p};
    bool ok = prepare(&f);
    for (uint32_t i = 0; ok && i < p->step_count; i++)
        ok = take_step(&f, i);
    for (int i = 0; ok && i < OPEN; i++)
        ok = put_down(&f, i);
    sg__step *steps = ok ? sg__alloc(&p->arena, f.count * sizeof *steps) : NULL;
    if (ok && !steps)
        return no_memory(&f);
    if (ok && f.count)
        memcpy(steps, p->steps, f.count * sizeof *steps);
    p->steps = steps;
    p->step_count = ok ? f.count : 0;
    return ok;
}
