/*
 * From a group of steps by element to a row program: its loops are the fewest that the strides of
 * its arrays allow, and what no other step looks at is kept in registers.
 */
#include "core/plan/fuse.h"

enum { TILE = 1024, UNIT = 64, CACHE = 32 << 10 };

/* Adjacent axes that all arrays in memory run through as one. */
static void collapse(sg__group *gr)
{
    sg__axes *o = &gr->over;
    int rank = 0;
    for (int i = 0; i < o->rank; i++) {
        bool one = rank > 0;
        for (int k = 0; one && k < gr->arrays; k++) {
            const sg__seen *t = &gr->track[k];
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
static int give_registers(const uint32_t *accesses, sg__group *gr)
{
    uint32_t inside[SG__TRACKS] = {0};
    int free_list[SG__MEMBERS], free_count = 0, most = 0;
    for (int c = 0; c < gr->members; c++) {
        for (int k = 0; k < gr->code[c].n; k++)
            inside[gr->code[c].in[k]]++;
        inside[gr->code[c].out]++;
    }
    for (int i = 0; i < gr->arrays; i++) {
        const sg__seen *t = &gr->track[i];
        bool own = t->at.buffer != SG__NONE && !t->read_first && !t->folded &&
                   accesses[t->at.buffer] == inside[i];
        gr->track[i].number = own ? -1 : 0;
    }
    for (int c = 0; c < gr->members; c++) {
        const sg__instruction *x = &gr->code[c];
        sg__seen *out = &gr->track[x->out];
        /* the result may be where an operand was, if their elements are of one size */
        for (int pass = 0; pass < 2; pass++) {
            for (int k = 0; k < x->n; k++) {
                sg__seen *t = &gr->track[x->in[k]];
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

static bool no_memory(sg_context *g)
{
    sg__no_memory(g, "a plan");
    return false;
}

bool sg__keep_arrays(sg_context *g, sg__plan *plan, sg__step *s)
{
    size_t count = (size_t)(s->n + s->m), axes = 1;
    for (size_t k = 0; k < count; k++)
        axes += (size_t)s->array[k].rank;
    sg__place *at = sg__alloc(&plan->arena, count * sizeof *at);
    sg_array *array = sg__alloc(&plan->arena, count * sizeof *array);
    int64_t *stride = sg__alloc(&plan->arena, axes * sizeof *stride);
    if (!at || !array || !stride)
        return no_memory(g);
    s->at = memcpy(at, s->at, count * sizeof *at);
    s->array = memcpy(array, s->array, count * sizeof *array);
    for (size_t k = 0; k < count; k++) {
        size_t rank = (size_t)array[k].rank;
        array[k].stride = memcpy(stride, array[k].stride, rank * sizeof *stride);
        stride += rank;
    }
    return true;
}

/* The arrays of the program in memory: those read, then those written. One that is both is both. */
static bool list_arrays(sg_context *g, sg__plan *plan, sg__group *gr, sg__step *s)
{
    sg__place at[2 * SG__TRACKS];
    sg_array array[2 * SG__TRACKS];
    s->at = at;
    s->array = array;
    for (int write = 0; write < 2; write++)
        for (int i = 0; i < gr->arrays; i++) {
            sg__seen *t = &gr->track[i];
            int k = s->n + s->m;
            if (t->number < 0 || (write ? t->first_write < 0 : !t->read_first))
                continue;
            s->at[k] = t->at;
            s->array[k] = t->array;
            t->number = k;
            *(write ? &s->m : &s->n) += 1;
        }
    return sg__keep_arrays(g, plan, s);
}

static bool make_tracks(sg_context *g, sg__plan *plan, const sg__group *gr, const sg__step *s,
                        sg__program *p)
{
    int rank = gr->over.rank;
    p->track = sg__alloc(&plan->arena, (size_t)(s->n + s->m) * sizeof *p->track);
    if (!p->track)
        return no_memory(g);
    memset(p->track, 0, (size_t)(s->n + s->m) * sizeof *p->track);
    p->rank = rank ? rank - 1 : 0;
    p->n = rank ? gr->over.dim[rank - 1] : 1;
    memcpy(p->dim, gr->over.dim, (size_t)p->rank * sizeof *p->dim);
    for (int i = 0; i < gr->arrays; i++) {
        const sg__seen *t = &gr->track[i];
        size_t width = sg__dtype_size(t->array.dtype);
        sg__track x = {.width = width, .inner = rank ? t->stride[rank - 1] : 0, .tile = -1};
        if (!rank && t->first_write >= 0)
            x.inner = 1;
        for (int k = 0; k < p->rank; k++)
            x.step[k] = t->stride[k] * (int64_t)width;
        x.row = p->rank ? x.step[p->rank - 1] : 0;
        if (t->number < 0)
            continue;
        if (x.inner != 0 && x.inner != 1)
            x.tile = p->registers++;
        p->track[t->number] = x;
    }
    return true;
}

/* Operand or result k of an instruction: says how far apart its rows are, in a register or tile
 * without a gap. */
static void give_row(const sg__group *gr, const sg__program *p, sg__instruction *x, int k,
                     int track)
{
    const sg__seen *t = &gr->track[track];
    const sg__track *in_memory = t->number >= 0 ? p->track + t->number : NULL;
    int64_t gapless = p->n * (int64_t)sg__dtype_size(t->array.dtype);
    bool single = k < x->n && in_memory && in_memory->inner == 0;
    x->row[k] = in_memory && in_memory->tile < 0 ? in_memory->row : gapless;
    x->single |= (uint8_t)(single << k);
    x->dense = x->dense && x->row[k] == (single ? 0 : gapless);
}

static void make_code(const sg__group *gr, sg__program *p)
{
    for (int c = 0; c < gr->members; c++) {
        sg__instruction x = gr->code[c];
        x.dense = true;
        for (int k = 0; k < x.n; k++) {
            give_row(gr, p, &x, k, x.in[k]);
            x.in[k] = (int16_t)gr->track[x.in[k]].number;
        }
        give_row(gr, p, &x, SG__MAP_OPERANDS, x.out);
        x.out = (int16_t)gr->track[x.out].number;
        if (x.fold) {
            x.dense = false;
            x.state = p->registers++;
            p->folds = true;
        }
        p->code[c] = x;
    }
}

/* Tiles as long as the caches allow; all there is where nothing is looked at twice. */
static void give_tiles(sg__plan *plan, const sg__group *gr, sg__program *p)
{
    size_t width = 1;
    for (int i = 0; i < gr->arrays; i++)
        if (sg__dtype_size(gr->track[i].array.dtype) > width)
            width = sg__dtype_size(gr->track[i].array.dtype);
    int64_t tile = TILE, rows = p->rank ? p->dim[p->rank - 1] : 1;
    while (tile > TILE / 2 && (size_t)(tile * p->registers) * width > CACHE)
        tile /= 2;
    bool once = p->count == 1 && !p->registers;
    p->tile = !once && p->n > tile ? tile : p->n;
    p->rows = once ? rows : p->n < tile ? tile / p->n : 1;
    p->rows = p->rows < rows ? p->rows : rows;
    p->register_bytes = ((size_t)(p->tile * p->rows) * width + UNIT - 1) / UNIT * UNIT;
    if (p->folds && p->register_bytes < SG_REDUCTION_STATE)
        p->register_bytes = SG_REDUCTION_STATE;
    size_t bytes = p->registers ? (size_t)p->registers * p->register_bytes : 0;
    plan->own = bytes > plan->own ? bytes : plan->own;
}

/* The node that names the program: one of the scope that most of its steps are of, if there is one
 * (Boyer & Moore's vote). */
static uint32_t main_node(const sg_context *g, const sg__group *gr)
{
    uint32_t node = 0;
    int votes = 0;
    for (int i = 0; i < gr->members; i++) {
        uint32_t now = gr->node[i];
        node = votes ? node : now;
        votes += g->order.x[now]->scope == g->order.x[node]->scope ? 1 : -1;
    }
    return node;
}

bool sg__make_program(sg_context *g, sg__plan *plan, const uint32_t *accesses, sg__group *gr,
                      sg__step *s)
{
    *s = (sg__step){.node = main_node(g, gr)};
    sg__program *p = s->program = sg__alloc(&plan->arena, sizeof *p);
    if (!p)
        return no_memory(g);
    *p = (sg__program){.count = gr->members, .registers = give_registers(accesses, gr)};
    p->code = sg__alloc(&plan->arena, (size_t)gr->members * sizeof *p->code);
    if (!p->code)
        return no_memory(g);
    collapse(gr);
    if (!list_arrays(g, plan, gr, s) || !make_tracks(g, plan, gr, s, p))
        return false;
    make_code(gr, p);
    give_tiles(plan, gr, p);
    return true;
}
