/* Running a plan: one kernel call after the other, over arrays at places. Nothing is allocated. */
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

/* Where the arrays of kernels are in this run; programs look for theirs themselves. */
static void locate_all(const sg__request *r, sg__plan *p)
{
    void *const *bases = r->g->bases;
    for (size_t i = 0; i < p->step_count; i++) {
        sg__step *s = p->steps + i;
        for (int k = 0; k < s->n + s->m && !s->program; k++)
            s->array[k].data = sg__locate(bases, &s->at[k]);
        if (s->standing)
            sg__find_standing(r, p, s);
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
        sg__run_program(s, r->r->g->bases, own, part, parts);
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
        const void *from = sg__locate(r->g->bases, &p->roots[i].place);
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
    sg__pool *pool = p->split ? sg__threads(g) : NULL;
    if (pool)
        all.threads = g->threads;
    all.spans = g->profile ? sg__profile_begin(g, p, all.threads) : NULL;
    if (pool) {
        g->stat.meetings += p->meetings + 2;
        sg__pool_run(pool, run_part, &all);
    } else
        run_part(&all, 0, 1);
    if (all.failed) {
        report(&all);
        return false;
    }
    commit(r, p);
    g->stat.flops += p->flops;
    if (all.spans)
        sg__profile_end(r, p, all.threads);
    return true;
}
