/* Running a plan: one kernel call after the other, over arrays at places. Nothing is allocated. */
#include "core/array.h"
#include "core/plan/plan.h"

static void copy_bytes(size_t n, void *out, const void *const *in, unsigned single)
{
    if (single)
        memset(out, *(const uint8_t *)in[0], n);
    else
        memmove(out, in[0], n);
}

#define COPY(width, T)                                                                             \
    static void copy_##width(size_t n, void *out, const void *const *in, unsigned single)          \
    {                                                                                              \
        T v;                                                                                       \
        memcpy(&v, in[0], sizeof v);                                                               \
        if (!single)                                                                               \
            memmove(out, in[0], n * sizeof v);                                                     \
        else                                                                                       \
            for (size_t i = 0; i < n; i++)                                                         \
                memcpy((char *)out + i * sizeof v, &v, sizeof v);                                  \
    }
COPY(4, uint32_t)
COPY(8, uint64_t)

#define ZERO(width)                                                                                \
    static void zero_##width(size_t n, void *out, const void *const *in, unsigned single)          \
    {                                                                                              \
        (void)in, (void)single;                                                                    \
        memset(out, 0, n *width);                                                                  \
    }
ZERO(1)
ZERO(4)
ZERO(8)

sg_map *const sg__copy_map[SG_DTYPES] = {copy_4, copy_8, copy_4, copy_bytes};
sg_map *const sg__zero_map[SG_DTYPES] = {zero_4, zero_8, zero_4, zero_1};

/* ---- row programs ---------------------------------------------------------------------------- */

/* n elements, `to_step` and `from_step` elements apart */
static void move(void *to, int64_t to_step, const void *from, int64_t from_step, int64_t n,
                 size_t width)
{
    char *t = to;
    const char *f = from;
    int64_t w = (int64_t)width;
    if (width == 4)
        for (int64_t i = 0; i < n; i++)
            memcpy(t + i * to_step * 4, f + i * from_step * 4, 4);
    else if (width == 8)
        for (int64_t i = 0; i < n; i++)
            memcpy(t + i * to_step * 8, f + i * from_step * 8, 8);
    else
        for (int64_t i = 0; i < n; i++)
            t[i * to_step * w] = f[i * from_step * w];
}

/* `rows` rows of n elements each, of a track or of its tile */
static void move_rows(const sg__track *t, char *tile, char *array, int64_t n, int64_t rows,
                      bool to_tile)
{
    for (int64_t r = 0; r < rows; r++) {
        char *row = array + r * t->row, *part = tile + (size_t)(r * n) * t->width;
        if (to_tile)
            move(part, 1, row, t->inner, n, t->width);
        else
            move(row, t->inner, part, 1, n, t->width);
    }
}

/* One instruction. An operand whose elements are apart is gathered into a tile before it is read, a
 * result spread after it is written. `last`: of a row, or of several. */
static void run_instruction(const sg__program *p, const sg__instruction *x, char *const *array,
                            char *tiles, int64_t n, int64_t rows, bool last)
{
    const void *in[SG__MAP_OPERANDS] = {0};
    for (int k = 0; k < x->n; k++) {
        int i = x->in[k];
        in[k] = i < 0 ? tiles + (size_t)~i * p->register_bytes : array[i];
        if (i >= 0 && p->track[i].tile >= 0) {
            char *tile = tiles + (size_t)p->track[i].tile * p->register_bytes;
            move_rows(p->track + i, tile, array[i], n, rows, true);
            in[k] = tile;
        }
    }
    int tile = x->out < 0 ? ~x->out : p->track[x->out].tile;
    char *to = tile < 0 ? array[x->out] : tiles + (size_t)tile * p->register_bytes, *out = to;
    if (x->dense)
        x->map((size_t)(n * rows), out, in, x->single);
    for (int64_t r = 0; r < rows && !x->dense; r++) {
        if (x->fold)
            x->fold((size_t)n, last ? out : NULL, in[0],
                    tiles + (size_t)x->state * p->register_bytes);
        else
            x->map((size_t)n, out, in, x->single);
        out += x->row[SG__MAP_OPERANDS];
        for (int k = 0; k < x->n; k++)
            in[k] = (const char *)in[k] + x->row[k];
    }
    if (x->out >= 0 && tile >= 0)
        move_rows(p->track + x->out, to, array[x->out], n, rows, false);
}

/* From column `from` to column `to` of one row */
static void run_row(const sg__program *p, int arrays, char *const *array, char *tiles, int64_t from,
                    int64_t to)
{
    char *at[SG__ARRAYS];
    for (int64_t i = from; i < to; i += p->tile) {
        for (int k = 0; k < arrays; k++)
            at[k] = array[k] + i * p->track[k].inner * (int64_t)p->track[k].width;
        for (int c = 0; c < p->count; c++)
            run_instruction(p, p->code + c, at, tiles, to - i < p->tile ? to - i : p->tile, 1,
                            to - i <= p->tile);
    }
}

/* From row `from` to row `to` of the last outer axis */
static void run_rows(const sg__program *p, int arrays, char *const *array, char *tiles,
                     int64_t from, int64_t to)
{
    char *at[SG__ARRAYS];
    for (int64_t i = from; i < to; i += p->rows) {
        for (int k = 0; k < arrays; k++)
            at[k] = array[k] + i * p->track[k].row;
        if (p->tile < p->n)
            run_row(p, arrays, at, tiles, 0, p->n);
        for (int c = 0; c < p->count && p->tile == p->n; c++)
            run_instruction(p, p->code + c, at, tiles, p->n, to - i < p->rows ? to - i : p->rows,
                            true);
    }
}

/* From `from` to `to` of the outermost axis */
static void run_loops(const sg__program *p, int arrays, char **at, char *tiles, int64_t from,
                      int64_t to)
{
    int last = p->rank - 1;
    int64_t index[SG_MAX_RANK] = {from};
    if (last == 0) {
        run_rows(p, arrays, at, tiles, from, to);
        return;
    }
    for (int k = 0; k < arrays; k++)
        at[k] += from * p->track[k].step[0];
    for (;;) {
        run_rows(p, arrays, at, tiles, 0, p->dim[last]);
        int i = last - 1;
        for (; i >= 0; i--) {
            for (int k = 0; k < arrays; k++)
                at[k] += p->track[k].step[i];
            if (++index[i] < (i ? p->dim[i] : to))
                break;
            for (int k = 0; k < arrays; k++)
                at[k] -= p->track[k].step[i] * p->dim[i];
            index[i] = 0;
        }
        if (i < 0)
            return;
    }
}

static void run_program(const sg__step *s, char *tiles, int part, int parts)
{
    const sg__program *p = s->program;
    char *at[SG__ARRAYS];
    int64_t from, to;
    int arrays = s->n + s->m;
    for (int k = 0; k < arrays; k++)
        at[k] = s->array[k].data;
    for (int c = 0; c < p->count && p->folds; c++)
        if (p->code[c].fold)
            memset(tiles + (size_t)p->code[c].state * p->register_bytes, 0, SG_REDUCTION_STATE);
    const int64_t n = p->rank ? p->dim[0] : p->n;
    sg__share(n, sg__unit(n, sg__program_unit(p), s->pieces), part, parts, &from, &to);
    if (from < to && p->rank)
        run_loops(p, arrays, at, tiles, from, to);
    else if (from < to)
        run_row(p, arrays, at, tiles, from, to);
}

/* ---- steps ---------------------------------------------------------------------------------- */

typedef struct run {
    const sg__request *r;
    const sg__plan *p;
    sg__span *spans; /* by step and thread; NULL: not measured */
    int threads;
    atomic_uint failed; /* 1 + the first step that could not be done */
    atomic_flag lock;   /* of what follows: */
    int failed_part;
    char message[SG_MESSAGE];
} run;

static void *locate(void *const *bases, const sg__place *at)
{
    return (char *)bases[at->base] + at->offset;
}

/* Where all arrays are in this run. */
static void locate_all(const sg__request *r, sg__plan *p)
{
    void *const *bases = r->g->bases;
    for (size_t i = 0; i < p->step_count; i++) {
        sg__step *s = p->steps + i;
        for (int k = 0; k < s->n + s->m; k++)
            s->array[k].data = locate(bases, &s->at[k]);
    }
}

/* Threads may fail at several steps: it is said of the first one, in the order of one thread. */
static void fail_step(run *r, const sg__step *s, int part, const char *message)
{
    const unsigned step = 1 + (unsigned)(s - r->p->steps);
    while (atomic_flag_test_and_set(&r->lock))
        ;
    const unsigned failed = atomic_load(&r->failed);
    if (!failed || step < failed || (step == failed && part < r->failed_part)) {
        memcpy(r->message, message, sizeof r->message);
        r->failed_part = part;
        atomic_store(&r->failed, step);
    }
    atomic_flag_clear(&r->lock);
}

static void report(run *r)
{
    const sg__step *s = r->p->steps + (r->failed - 1);
    sg_context *g = r->r->g;
    /* nodes are numbered as they were when the plan was made: gradients were recorded then */
    if (r->p->sources && !sg__walk(g, (int)r->r->n, r->r->roots, SG__STOP_AT_VALUES))
        return;
    const sg_tensor *x = g->order.x[s->node];
    sg__fail_node(g, SG_BAD_ARGUMENT, x->op, x->scope, (int)x->n, x->in, r->message);
}

/* Part of a step; `thread` does it. */
static void run_step(run *r, const sg__step *s, int part, int parts, int thread)
{
    char *own = (char *)r->r->g->workspace + r->p->workspace - (size_t)(thread + 1) * r->p->own;
    if (s->program) {
        run_program(s, own, part, parts);
        return;
    }
    char message[SG_MESSAGE] = "";
    sg_call c = {.attr = s->attr,
                 .n = s->n,
                 .isa = r->r->g->isa,
                 .in = s->array,
                 .out = s->array[s->n],
                 .part = part,
                 .parts = parts,
                 .pieces = s->pieces,
                 .scratch = own,
                 .message = message};
    if (!s->op->run(&c))
        fail_step(r, s, part, message);
}

static void run_timed(run *r, const sg__step *s, int part, int parts, int thread)
{
    if (!r->spans) {
        run_step(r, s, part, parts, thread);
        return;
    }
    sg__span *span = &r->spans[(s - r->p->steps) * r->threads + thread];
    span->from = sg__now();
    run_step(r, s, part, parts, thread);
    span->to = sg__now();
}

static bool has_failed(run *r, size_t before)
{
    unsigned failed = atomic_load_explicit(&r->failed, memory_order_relaxed);
    return failed && failed <= before;
}

/* What each thread does: its parts, and steps that are its own. After a failure all leave at the
 * same meeting: before it, each has done the steps before the one that failed. */
static void run_part(void *arg, int part, int parts)
{
    run *r = arg;
    sg_context *g = r->r->g;
    for (size_t i = 0; i < r->p->step_count; i++) {
        const sg__step *s = r->p->steps + i;
        if (s->meets && parts > 1) {
            sg__pool_meet(g->pool, part);
            if (has_failed(r, i))
                return;
        }
        if (has_failed(r, i))
            continue;
        if (s->split)
            run_timed(r, s, part, parts, part);
        else if (parts == 1 || (int)s->owner == part)
            run_timed(r, s, 0, 1, part);
    }
}

/* Parameters take their new values when all steps have succeeded. */
static void commit(const sg__request *r, const sg__plan *p)
{
    for (size_t i = 0; i < p->root_count; i++) {
        sg_tensor *x = r->roots[i], *param;
        if (!p->roots[i].assign)
            continue;
        param = x->in[1];
        size_t bytes = (size_t)x->dims->size * sg__dtype_size((sg_dtype)x->dtype);
        const void *from = locate(r->g->bases, &p->roots[i].place);
        if (bytes && from != param->value)
            memcpy(param->value, from, bytes);
        sg__overwritten(param);
    }
}

bool sg__run(const sg__request *r, sg__plan *p)
{
    sg_context *g = r->g;
    run all = {.r = r, .p = p, .threads = 1, .lock = ATOMIC_FLAG_INIT};
    locate_all(r, p);
    if (p->split && !g->pool)
        g->pool = sg__pool_open(g->threads); /* without memory: alone, with the same result */
    if (p->split && g->pool)
        all.threads = g->threads;
    all.spans = g->profile ? sg__profile_begin(g, p, all.threads) : NULL;
    if (p->split && g->pool) {
        g->stat.meetings += p->meetings + 2;
        sg__pool_run(g->pool, run_part, &all);
    } else
        run_part(&all, 0, 1);
    if (all.failed) {
        report(&all);
        return false;
    }
    commit(r, p);
    if (all.spans)
        sg__profile_end(r, p, all.threads);
    return true;
}
