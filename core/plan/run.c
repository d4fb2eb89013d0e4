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
        memset(out, 0, n * width);                                                                 \
    }
ZERO(1)
ZERO(4)
ZERO(8)

sg_map *const sg__copy_map[SG_DTYPES] = {copy_4, copy_8, copy_4, copy_bytes};
sg_map *const sg__zero_map[SG_DTYPES] = {zero_4, zero_8, zero_4, zero_1};

/* ---- by element, over operands as they lie
 * --------------------------------------------------------- */

enum { TILE = 1024 };

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

/* One innermost axis. Arrays that are neither contiguous nor single go through a tile. */
static void row(const sg__step *s, char *out, const char *const *in, unsigned single)
{
    const sg__loop *l = s->loop;
    _Alignas(64) char tile[SG__MAP_ARRAYS][TILE * 8];
    size_t width[SG__MAP_OPERANDS], out_width = sg__dtype_size(s->out.dtype);
    int64_t out_step = l->inner[SG__RESULT];
    bool strided = out_step != 1;
    for (int k = 0; k < s->n; k++) {
        width[k] = sg__dtype_size(s->in[k].dtype);
        strided = strided || (l->inner[k] != 0 && l->inner[k] != 1);
    }
    int64_t most = strided ? TILE : l->n;
    for (int64_t i = 0; i < l->n; i += most) {
        int64_t n = l->n - i < most ? l->n - i : most;
        const void *at[SG__MAP_OPERANDS] = {0};
        char *to = out + i * out_step * (int64_t)out_width;
        for (int k = 0; k < s->n; k++) {
            at[k] = in[k] + i * l->inner[k] * (int64_t)width[k];
            if (l->inner[k] != 0 && l->inner[k] != 1) {
                move(tile[k], 1, at[k], l->inner[k], n, width[k]);
                at[k] = tile[k];
            }
        }
        s->map((size_t)n, out_step == 1 ? to : tile[SG__RESULT], at, single);
        if (out_step != 1)
            move(to, out_step, tile[SG__RESULT], 1, n, out_width);
    }
}

static void run_loop(const sg__step *s)
{
    const sg__loop *l = s->loop;
    const char *in[SG__MAP_OPERANDS];
    char *out = s->out.data;
    int64_t index[SG_MAX_RANK] = {0};
    for (int k = 0; k < s->n; k++)
        in[k] = s->in[k].data;
    for (;;) {
        row(s, out, in, s->single);
        int i = l->rank - 1;
        for (; i >= 0; i--) {
            for (int k = 0; k < s->n; k++)
                in[k] += l->step[k][i];
            out += l->step[SG__RESULT][i];
            if (++index[i] < l->dim[i])
                break;
            for (int k = 0; k < s->n; k++)
                in[k] -= l->step[k][i] * l->dim[i];
            out -= l->step[SG__RESULT][i] * l->dim[i];
            index[i] = 0;
        }
        if (i < 0)
            return;
    }
}

static void run_map(const sg__step *s)
{
    if (s->size == 0)
        return;
    if (s->loop) {
        run_loop(s);
        return;
    }
    const void *in[SG__MAP_OPERANDS] = {0};
    for (int k = 0; k < s->n; k++)
        in[k] = s->in[k].data;
    s->map((size_t)s->size, s->out.data, in, s->single);
}

/* ---- steps ------------------------------------------------------------------------------------
 */

static void *locate(const sg__plan *p, void *const *bases, const sg__place *at)
{
    char *base = bases[at->base];
    if (at->base == 0 && at->buffer != SG__NONE)
        base += p->buffers[at->buffer].offset;
    return base + at->offset;
}

static bool fail_step(const sg__request *r, const sg__step *s, const char *message)
{
    const sg_tensor *x = r->g->order.x[s->node];
    sg__fail_node(r->g, SG_BAD_ARGUMENT, x->op, x->scope, (int)x->n, x->in, message);
    return false;
}

static bool run_step(const sg__request *r, const sg__plan *p, sg__step *s)
{
    void *const *bases = r->g->bases;
    for (int k = 0; k < s->n; k++)
        s->in[k].data = locate(p, bases, &s->from[k]);
    s->out.data = locate(p, bases, &s->to);
    if (s->map) {
        run_map(s);
        return true;
    }
    char message[SG_MESSAGE] = "";
    sg_call c = {s->attr, s->n, r->g->isa, s->in, s->out, NULL, message};
    if (s->scratch.buffer != SG__NONE)
        c.scratch = locate(p, bases, &s->scratch);
    return s->op->run(&c) || fail_step(r, s, message);
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
        memcpy(param->value, locate(p, r->g->bases, &p->roots[i].place), bytes);
        sg__overwritten(param);
    }
}

bool sg__run(const sg__request *r, sg__plan *p)
{
    for (size_t i = 0; i < p->step_count; i++)
        if (!run_step(r, p, p->steps + i))
            return false;
    commit(r, p);
    return true;
}
