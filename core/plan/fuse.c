/*
 * Fusing: steps by element over the same axes become one row program, which goes over memory once,
 * tile by tile. What only the program itself needs stays in its registers.
 *
 * Steps are looked at in their order. One that goes over the axes of a group that is still open
 * joins it; a group is closed, and its program put down, before a step that reads what it writes,
 * or writes what it touches, in another way than element for element. No bit depends on any of it.
 */
#include "core/plan/plan.h"

#include <stdlib.h>

enum { OPEN = 4, MEMBERS = 48, ARRAYS = SG__ARRAYS / 2, TILE = 1024, UNIT = 64, CACHE = 32 << 10 };

typedef struct axes { /* of a step by element, those of one element left out */
    int rank;
    int64_t dim[SG_MAX_RANK];
} axes;

typedef struct track { /* an array as a program sees it */
    sg__place at;
    sg_array array;
    int64_t stride[SG_MAX_RANK]; /* along the program's axes */
    int first_write, last_use;   /* instructions; -1: none */
    bool read_first;             /* what was there before is read */
    int number;                  /* of the array in the step, or ~register */
} track;

typedef struct group {
    axes over;
    uint32_t step[MEMBERS];
    int members, arrays;
    sg__instruction code[MEMBERS];
    track track[ARRAYS];
} group;

typedef struct fuser {
    sg_context *g;
    sg__plan *p;
    sg__arena temporary;
    group *open[OPEN]; /* NULL: free */
    unsigned age[OPEN], clock;
    group *pool;
    sg__step *steps; /* as they come out */
    size_t count;
    unsigned char *reads, *writes; /* by memory: which open groups do */
    uint32_t *accesses;            /* by buffer: how many, of all steps */
} fuser;

bool sg__worth_splitting(const sg_context *g, int64_t elements)
{
#ifdef NDEBUG
    enum { LEAST = 4096 };
#else
    enum { LEAST = 2 }; /* so that tests see what becomes of it */
#endif
    return g->threads > 1 && elements >= LEAST;
}

/* Buffers and bases as one numbering. */
static size_t memory_of(const fuser *f, const sg__place *at)
{
    return at->buffer != SG__NONE ? at->buffer : f->p->buffer_count + at->base;
}

static int64_t size_of(const sg_array *a)
{
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++)
        n *= a->dim[i];
    return n;
}

/* ---- arrays ----------------------------------------------------------------------------------- */

static axes axes_of(const sg_array *out)
{
    axes a = {0};
    for (int i = 0; i < out->rank; i++)
        if (out->dim[i] != 1)
            a.dim[a.rank++] = out->dim[i];
    return a;
}

static bool same_axes(const axes *a, const axes *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
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

static bool same_track(const track *a, const track *b, int rank)
{
    return same_place(&a->at, &b->at) && a->array.dtype == b->array.dtype &&
           memcmp(a->stride, b->stride, (size_t)rank * sizeof *a->stride) == 0;
}

/* The bytes from the first to behind the last element */
static void extent(const track *t, const axes *over, int64_t *from, int64_t *to)
{
    int64_t width = (int64_t)sg__dtype_size(t->array.dtype), low = 0, high = 0;
    for (int i = 0; i < over->rank; i++)
        *(t->stride[i] < 0 ? &low : &high) += t->stride[i] * (over->dim[i] - 1);
    *from = t->at.offset + low * width;
    *to = t->at.offset + (high + 1) * width;
}

/* Whether two arrays in one memory surely have no element in common: one lies behind the other, or
 * both are rows with room in between in which the other's are. */
static bool apart(const track *a, const track *b, const axes *over)
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

/* ---- groups ----------------------------------------------------------------------------------- */

static track track_of(const sg__step *s, int k)
{
    track t = {s->at[k], s->array[k], {0}, -1, -1, false, 0};
    strides_along(&s->array[k], &s->array[s->n], t.stride);
    return t;
}

/* The group's array that is this one; -1 if there is none, -2 if another one may share elements
 * with it, one of the two being written. */
static int find(const group *gr, const track *t, bool write)
{
    int found = -1;
    for (int i = 0; i < gr->arrays; i++) {
        const track *u = &gr->track[i];
        if (u->at.base != t->at.base || u->at.buffer != t->at.buffer)
            continue;
        if (same_track(u, t, gr->over.rank))
            found = i;
        else if ((write || u->first_write >= 0) && !apart(u, t, &gr->over))
            return -2;
    }
    return found;
}

static bool fits(const group *gr, const sg__step *s, track *t, int *index)
{
    if (gr->members == MEMBERS || gr->arrays + s->n + 1 > ARRAYS)
        return false;
    for (int k = 0; k <= s->n; k++) {
        t[k] = track_of(s, k);
        index[k] = find(gr, &t[k], k == s->n);
        if (index[k] == -2)
            return false;
    }
    return true;
}

static void join(fuser *f, int slot, uint32_t step, const track *t, int *index)
{
    group *gr = f->open[slot];
    const sg__step *s = f->p->steps + step;
    sg__instruction *c = &gr->code[gr->members];
    *c = (sg__instruction){.op = s->op, .map = s->map, .n = (uint8_t)s->n};
    for (int k = 0; k <= s->n; k++) {
        bool write = k == s->n;
        for (int j = 0; index[k] < 0 && j < k; j++) /* an operand of the same step */
            if (index[j] >= 0 && same_track(&gr->track[index[j]], &t[k], gr->over.rank))
                index[k] = index[j];
        if (index[k] < 0) {
            index[k] = gr->arrays++;
            gr->track[index[k]] = t[k];
            gr->track[index[k]].read_first = !write;
        }
        track *u = &gr->track[index[k]];
        if (write && u->first_write < 0)
            u->first_write = gr->members;
        u->last_use = gr->members;
        *(write ? &c->out : &c->in[k]) = (int16_t)index[k];
        *((write ? f->writes : f->reads) + memory_of(f, &t[k].at)) |= (unsigned char)(1u << slot);
    }
    gr->step[gr->members++] = step;
}

/* ---- programs --------------------------------------------------------------------------------- */

/* Adjacent axes that all arrays in memory run through as one. */
static void collapse(group *gr)
{
    axes *o = &gr->over;
    int rank = 0;
    for (int i = 0; i < o->rank; i++) {
        bool one = rank > 0;
        for (int k = 0; one && k < gr->arrays; k++) {
            const track *t = &gr->track[k];
            one = t->number < 0 || t->stride[rank - 1] == t->stride[i] * o->dim[i];
        }
        rank += !one;
        o->dim[rank - 1] = one ? o->dim[rank - 1] * o->dim[i] : o->dim[i];
        for (int k = 0; k < gr->arrays; k++)
            gr->track[k].stride[rank - 1] = gr->track[k].stride[i];
    }
    o->rank = rank;
}

/* Numbers what stays in registers, ~number, and frees registers after their last use. */
static int give_registers(const fuser *f, group *gr)
{
    uint32_t inside[ARRAYS] = {0};
    int free_list[MEMBERS], free_count = 0, most = 0;
    for (int c = 0; c < gr->members; c++) {
        for (int k = 0; k < gr->code[c].n; k++)
            inside[gr->code[c].in[k]]++;
        inside[gr->code[c].out]++;
    }
    for (int i = 0; i < gr->arrays; i++) {
        const track *t = &gr->track[i];
        bool own = t->at.buffer != SG__NONE && !t->read_first &&
                   f->accesses[t->at.buffer] == inside[i];
        gr->track[i].number = own ? -1 : 0;
    }
    for (int c = 0; c < gr->members; c++) {
        const sg__instruction *x = &gr->code[c];
        track *out = &gr->track[x->out];
        /* the result may be where an operand was, if their elements are of one size */
        for (int pass = 0; pass < 2; pass++) {
            for (int k = 0; k < x->n; k++) {
                track *t = &gr->track[x->in[k]];
                bool alike = sg__dtype_size(t->array.dtype) == sg__dtype_size(out->array.dtype);
                if (t->number < 0 && t->last_use == c && t != out && (pass || alike)) {
                    free_list[free_count++] = ~t->number;
                    t->last_use = -2;
                }
            }
            if (pass == 0 && out->number < 0 && out->first_write == c)
                out->number = ~(free_count ? free_list[--free_count] : most++);
        }
        if (out->number < 0 && out->last_use == c)
            free_list[free_count++] = ~out->number; /* nobody reads it */
    }
    return most;
}

static bool no_memory(const fuser *f)
{
    sg__no_memory(f->g, "a plan");
    return false;
}

/* The arrays of the program in memory: those read, then those written. One that is both is both. */
static bool list_arrays(fuser *f, group *gr, sg__step *s)
{
    size_t room = 2 * (size_t)gr->arrays;
    s->at = sg__alloc(&f->p->arena, room * sizeof *s->at);
    s->array = sg__alloc(&f->p->arena, room * sizeof *s->array);
    if (!s->at || !s->array)
        return no_memory(f);
    for (int write = 0; write < 2; write++)
        for (int i = 0; i < gr->arrays; i++) {
            track *t = &gr->track[i];
            int k = s->n + s->m;
            if (t->number < 0 || (write ? t->first_write < 0 : !t->read_first))
                continue;
            s->at[k] = t->at;
            s->array[k] = t->array;
            t->number = k;
            *(write ? &s->m : &s->n) += 1;
        }
    return true;
}

static bool make_tracks(fuser *f, group *gr, const sg__step *s, sg__program *p)
{
    int rank = gr->over.rank;
    p->track = sg__alloc(&f->p->arena, (size_t)(s->n + s->m) * sizeof *p->track);
    if (!p->track)
        return no_memory(f);
    memset(p->track, 0, (size_t)(s->n + s->m) * sizeof *p->track);
    p->rank = rank ? rank - 1 : 0;
    p->n = rank ? gr->over.dim[rank - 1] : 1;
    memcpy(p->dim, gr->over.dim, (size_t)p->rank * sizeof *p->dim);
    for (int i = 0; i < gr->arrays; i++) {
        const track *t = &gr->track[i];
        size_t width = sg__dtype_size(t->array.dtype);
        sg__track x = {.width = width, .inner = rank ? t->stride[rank - 1] : 0, .tile = -1};
        if (!rank && t->first_write >= 0)
            x.inner = 1;
        for (int k = 0; k < p->rank; k++)
            x.step[k] = t->stride[k] * (int64_t)width;
        if (t->number < 0)
            continue;
        if (x.inner != 0 && x.inner != 1)
            x.tile = p->registers++;
        p->track[t->number] = x;
    }
    return true;
}

static void make_code(const group *gr, sg__program *p)
{
    for (int c = 0; c < gr->members; c++) {
        sg__instruction x = gr->code[c];
        for (int k = 0; k < x.n; k++) {
            const track *t = &gr->track[x.in[k]];
            x.in[k] = (int16_t)t->number;
            bool single = t->number >= 0 ? p->track[t->number].inner == 0 : false;
            x.single |= (uint8_t)(single << k);
        }
        x.out = (int16_t)gr->track[x.out].number;
        p->code[c] = x;
    }
}

/* Tiles as long as the caches allow; the whole axis where nothing goes through one. */
static void give_tiles(sg__plan *plan, const group *gr, sg__program *p)
{
    size_t width = 1;
    for (int i = 0; i < gr->arrays; i++)
        if (sg__dtype_size(gr->track[i].array.dtype) > width)
            width = sg__dtype_size(gr->track[i].array.dtype);
    int64_t tile = TILE;
    while (tile > TILE / 2 && (size_t)(tile * p->registers) * width > CACHE)
        tile /= 2;
    p->tile = p->registers && p->n > tile ? tile : p->n;
    p->register_bytes = ((size_t)p->tile * width + UNIT - 1) / UNIT * UNIT;
    size_t bytes = p->registers ? (size_t)p->registers * p->register_bytes : 0;
    plan->tiles = bytes > plan->tiles ? bytes : plan->tiles;
}

static bool make_program(fuser *f, group *gr)
{
    sg__step *s = f->steps + f->count;
    *s = (sg__step){.node = f->p->steps[gr->step[gr->members - 1]].node,
                    .scratch.buffer = SG__NONE};
    sg__program *p = s->program = sg__alloc(&f->p->arena, sizeof *p);
    if (!p)
        return no_memory(f);
    *p = (sg__program){.count = gr->members, .registers = give_registers(f, gr)};
    p->code = sg__alloc(&f->p->arena, (size_t)gr->members * sizeof *p->code);
    if (!p->code)
        return no_memory(f);
    int64_t size = 1;
    for (int i = 0; i < gr->over.rank; i++)
        size *= gr->over.dim[i];
    collapse(gr);
    if (!list_arrays(f, gr, s) || !make_tracks(f, gr, s, p))
        return false;
    make_code(gr, p);
    give_tiles(f->p, gr, p);
    s->split = sg__worth_splitting(f->g, size * gr->members);
    f->count++;
    return true;
}

static bool put_down(fuser *f, int slot)
{
    group *gr = f->open[slot];
    if (!gr)
        return true;
    unsigned char others = (unsigned char)~(1u << slot);
    for (int i = 0; i < gr->arrays; i++) {
        size_t m = memory_of(f, &gr->track[i].at);
        f->reads[m] &= others;
        f->writes[m] &= others;
    }
    f->open[slot] = NULL;
    return make_program(f, gr);
}

/* Closes the groups that must run before step s, if s is in none of them but in `mine`. */
static bool close_for(fuser *f, const sg__step *s, int mine)
{
    unsigned must = 0;
    for (int k = 0; k < s->n + s->m; k++) {
        size_t m = memory_of(f, &s->at[k]);
        must |= k < s->n ? f->writes[m] : f->writes[m] | f->reads[m];
    }
    for (int i = 0; i < OPEN; i++)
        if (must >> i & 1 && i != mine && !put_down(f, i))
            return false;
    return true;
}

/* ---- steps ------------------------------------------------------------------------------------ */

static int open_group(fuser *f, const axes *over)
{
    int oldest = 0;
    for (int i = 0; i < OPEN; i++)
        if (!f->open[i] || (f->open[oldest] && f->age[i] < f->age[oldest]))
            oldest = f->open[oldest] ? i : oldest;
    if (!put_down(f, oldest))
        return -1;
    group *gr = f->pool + oldest;
    gr->over = *over;
    gr->members = gr->arrays = 0;
    f->open[oldest] = gr;
    return oldest;
}

static bool take_map(fuser *f, uint32_t step)
{
    const sg__step *s = f->p->steps + step;
    track t[SG__MAP_OPERANDS + 1];
    int index[SG__MAP_OPERANDS + 1], slot = -1;
    axes over = axes_of(&s->array[s->n]);
    if (size_of(&s->array[s->n]) == 0)
        return true;
    for (int i = 0; i < OPEN && slot < 0; i++)
        if (f->open[i] && same_axes(&f->open[i]->over, &over) && fits(f->open[i], s, t, index))
            slot = i;
    if (!close_for(f, s, slot))
        return false;
    if (slot < 0) {
        slot = open_group(f, &over);
        if (slot < 0)
            return false;
        fits(f->open[slot], s, t, index);
    }
    f->age[slot] = ++f->clock;
    join(f, slot, step, t, index);
    return true;
}

static bool take_step(fuser *f, uint32_t step)
{
    const sg__step *s = f->p->steps + step;
    if (s->map)
        return take_map(f, step);
    if (!close_for(f, s, -1))
        return false;
    f->steps[f->count++] = *s;
    return true;
}

static bool prepare(fuser *f)
{
    sg__plan *p = f->p;
    size_t memories = p->buffer_count + p->bases;
    f->pool = sg__alloc(&f->temporary, OPEN * sizeof *f->pool);
    f->reads = sg__alloc(&f->temporary, memories);
    f->writes = sg__alloc(&f->temporary, memories);
    f->accesses = sg__alloc(&f->temporary, (p->buffer_count + 1) * sizeof *f->accesses);
    f->steps = malloc((p->step_count + 1) * sizeof *f->steps);
    if (!f->pool || !f->reads || !f->writes || !f->accesses || !f->steps)
        return no_memory(f);
    memset(f->reads, 0, memories);
    memset(f->writes, 0, memories);
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
    if (ok) {
        free(p->steps);
        p->steps = f.steps;
        p->step_count = f.count;
        p->step_capacity = f.count;
    } else {
        free(f.steps);
    }
    sg__arena_free(&f.temporary);
    return ok;
}
