/* Gathering: pieces of some arrays, one after the other, as one array, in one step. */
#include "core/array.h"
#include "core/plan/gather.h"

/* An array that may have strides, as one sequence of elements: stretches without a gap. */
typedef struct sequence {
    const sg_array *a;
    int64_t stretch, outer; /* elements in one; axes that tell them apart */
    int64_t width;
} sequence;

static sequence sequence_of(const sg_array *a)
{
    sequence s = {a, 1, a->rank, (int64_t)sg__dtype_size(a->dtype)};
    while (s.outer > 0 && (a->dim[s.outer - 1] == 1 || a->stride[s.outer - 1] == s.stretch))
        s.stretch *= a->dim[--s.outer];
    return s;
}

static char *element(const sequence *s, int64_t i)
{
    int64_t at = i % s->stretch, outer = i / s->stretch;
    for (int64_t k = s->outer; k-- > 0; outer /= s->a->dim[k])
        at += outer % s->a->dim[k] * s->a->stride[k];
    return (char *)s->a->data + at * s->width;
}

static void copy(const sequence *from, int64_t i, const sequence *to, int64_t j, int64_t n)
{
    for (int64_t run; n > 0; n -= run, i += run, j += run) {
        int64_t left = from->stretch - i % from->stretch, room = to->stretch - j % to->stretch;
        run = left < n ? left : n;
        run = room < run ? room : run;
        memcpy(element(to, j), element(from, i), (size_t)(run * from->width));
    }
}

static sg_shares gather_shares(const sg_call *c)
{
    return (sg_shares){.n = c->out.rank ? c->out.dim[0] : 1, .unit = 1};
}

/* What a piece has of the result's elements from `first` to before `end`. */
static void copy_piece(const sg__piece *x, const sequence *from, const sequence *to, int64_t first,
                       int64_t end)
{
    for (int64_t k = 0; k < x->count; k++) {
        int64_t at = x->to + k * x->size, skip = at < first ? first - at : 0;
        int64_t n = at + x->size < end ? x->size : end - at;
        if (skip < n)
            copy(from, x->from + k * x->step + skip, to, at + skip, n - skip);
    }
}

static bool gather_run(const sg_call *c)
{
    const sg__gather *g = c->attr;
    const sequence to = sequence_of(&c->out);
    const sg_shares shares = gather_shares(c);
    const int64_t row = sg__elements(&c->out) / shares.n;
    int64_t first, end;
    sg__share(shares.n, sg__unit(shares.n, 1, c->pieces), c->part, c->parts, &first, &end);
    for (int64_t k = 0; k < g->n; k++) {
        const sequence from = sequence_of(&c->in[g->of[k].source]);
        copy_piece(&g->of[k], &from, &to, first * row, end * row);
    }
    return true;
}

const sg_op sg__gather_op = {
    .name = "gather",
    .flags = SG_OP_STRIDED | SG_OP_SPLIT | SG_OP_SURE,
    .arity = -1,
    .attr_size = sizeof(sg__gather),
    .run = gather_run,
    .shares = gather_shares,
};
