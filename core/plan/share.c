/* What the parts of a step touch: of a program or an op whose result is cut into shares, one for
 * each thread, the bytes of its arrays that belong to one of them. */
#include "core/array.h"
#include "core/plan/plan.h"

/* Threads have about the same to do if it goes up, or if there are so many pieces for each. */
enum { EACH = 4 };

/* Rows are cut where the leading axes of the result are: then all steps of a batch are cut at the
 * same of its rows, whatever else these contain. As few axes as make the shares even. */
static int64_t pieces_of(const sg_array *out, int64_t n, int parts)
{
    int64_t pieces = 1;
    for (int i = 0; i < out->rank; i++) {
        pieces *= out->dim[i];
        if (pieces > 1 && pieces < n && n % pieces == 0 &&
            (pieces % parts == 0 || pieces >= (int64_t)EACH * parts))
            return pieces;
    }
    return 0;
}

bool sg__is_thin(const sg_context *g, const sg_array *out)
{
    int last = out->rank - 1;
    while (last > 0 && out->dim[last] == 1)
        last--;
    const int64_t row = last >= 0 ? out->dim[last] : 1;
    return g->threads > 1 && sg__elements(out) < (int64_t)EACH * g->threads * row;
}

sg_shares sg__step_shares(const sg_context *g, const sg__step *s, int64_t *pieces)
{
    const sg__program *p = s->program;
    sg_shares shares = {0};
    if (p) {
        shares = (sg_shares){.n = p->rank ? p->dim[0] : p->n, .unit = sg__program_unit(p)};
    } else if (s->op->flags & SG_OP_SPLIT && s->op->shares) {
        const sg_call c = {.attr = s->attr,
                           .n = s->n,
                           .isa = g->isa,
                           .in = s->array,
                           .out = s->array[s->n],
                           .parts = g->threads};
        shares = s->op->shares(&c);
    }
    const bool anywhere = shares.columns || shares.unit >= shares.n;
    const bool nothing = s->m == 0; /* what it computes is of no use */
    *pieces = anywhere || nothing ? 0 : pieces_of(&s->array[s->n], shares.n, g->threads);
    shares.unit = sg__unit(shares.n, shares.unit, *pieces);
    return shares;
}

/* Widens a stretch by an axis of so many elements so many bytes apart. */
static void widen(sg__stretch *x, int64_t n, int64_t step)
{
    *(step < 0 ? &x->from : &x->to) += (n - 1) * step;
}

static sg__stretch program_stretch(const sg__program *p, const sg__track *t, int64_t from,
                                   int64_t to)
{
    const int64_t width = (int64_t)t->width, inner = t->inner * width;
    sg__stretch x = {0, width};
    for (int i = 1; i < p->rank; i++)
        widen(&x, p->dim[i], t->step[i]);
    if (p->rank)
        widen(&x, p->n, inner);
    widen(&x, to - from, p->rank ? t->step[0] : inner);
    const int64_t first = from * (p->rank ? t->step[0] : inner);
    return (sg__stretch){x.from + first, x.to + first};
}

/* Elements [from, to) of an array in row-major order; if that is not along one axis, some more. */
static sg__stretch rows_stretch(const sg_array *a, int64_t from, int64_t to)
{
    const int64_t width = (int64_t)sg__dtype_size(a->dtype);
    int64_t inner = sg__elements(a), first = 0;
    sg__stretch x = {0, width};
    int i = 0;
    if (sg__contiguous(a))
        return (sg__stretch){from * width, to * width};
    for (; i < a->rank; i++) {
        inner /= a->dim[i];
        const int64_t low = from / inner, high = (to - 1) / inner;
        first += low * a->stride[i];
        if (low < high) {
            widen(&x, high - low + 1, a->stride[i] * width);
            break;
        }
        from -= low * inner;
        to -= low * inner;
    }
    for (i++; i < a->rank; i++)
        widen(&x, a->dim[i], a->stride[i] * width);
    return (sg__stretch){x.from + first * width, x.to + first * width};
}

static sg__stretch columns_stretch(const sg_array *a, int64_t from, int64_t to)
{
    const int64_t width = (int64_t)sg__dtype_size(a->dtype), step = a->stride[a->rank - 1] * width;
    sg__stretch x = {0, width};
    for (int i = 0; i < a->rank - 1; i++)
        widen(&x, a->dim[i], a->stride[i] * width);
    widen(&x, to - from, step);
    return (sg__stretch){x.from + from * step, x.to + from * step};
}

sg__stretch sg__stretch_of(const sg__step *s, int k, const sg_shares *shares, int part, int parts)
{
    const sg_array *a = &s->array[k];
    const int64_t size = sg__elements(a), n = shares->n;
    const bool shared = n && (s->program || k >= s->n || shares->alike >> k & 1);
    int64_t from = 0, to = n;
    sg__stretch stretch;
    if (size == 0)
        return (sg__stretch){0, 0};
    if (n)
        sg__share(n, shares->unit, part, parts, &from, &to);
    if (n && from >= to)
        return (sg__stretch){0, 0};
    if (s->program)
        stretch = program_stretch(s->program, &s->program->track[k], from, to);
    else if (shared && shares->columns && a->rank && a->dim[a->rank - 1] == n)
        stretch = columns_stretch(a, from, to);
    else if (shared && !shares->columns && size % n == 0)
        stretch = rows_stretch(a, size / n * from, size / n * to);
    else
        stretch = rows_stretch(a, 0, size);
    stretch.from += s->at[k].offset;
    stretch.to += s->at[k].offset;
    return stretch;
}
