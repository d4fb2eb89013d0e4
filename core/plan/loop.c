/* The loops of a step by element: over the axes of its result, as few as its arrays' strides allow.
 */
#include "core/plan/plan.h"

/* Strides of an operand along the axes of the result; 0 where it is broadcast. */
static void spread(const sg_array *in, const sg_array *out, int64_t *stride)
{
    int shift = out->rank - in->rank;
    for (int i = 0; i < out->rank; i++)
        stride[i] = i < shift || in->dim[i - shift] == 1 ? 0 : in->stride[i - shift];
}

static bool one_axis(int64_t (*s)[SG_MAX_RANK], const sg__step *step, int outer, int inner,
                     int64_t size)
{
    for (int k = 0; k < step->n; k++)
        if (s[k][outer] != s[k][inner] * size)
            return false;
    return s[SG__RESULT][outer] == s[SG__RESULT][inner] * size;
}

static void set(sg__loop *l, int k, const int64_t *stride, int rank, sg_dtype dtype)
{
    int64_t width = (int64_t)sg__dtype_size(dtype);
    l->inner[k] = rank ? stride[rank - 1] : k == SG__RESULT;
    for (int i = 0; i < l->rank; i++)
        l->step[k][i] = stride[i] * width;
}

sg__loop sg__loop_over(const sg__step *step)
{
    const sg_array *out = &step->out;
    int64_t s[SG__MAP_ARRAYS][SG_MAX_RANK], dim[SG_MAX_RANK];
    int rank = 0;
    for (int k = 0; k < step->n; k++)
        spread(&step->in[k], out, s[k]);
    spread(out, out, s[SG__RESULT]);
    for (int i = 0; i < out->rank; i++) {
        if (out->dim[i] == 1)
            continue;
        bool join = rank && one_axis(s, step, rank - 1, i, out->dim[i]);
        rank += !join;
        dim[rank - 1] = join ? dim[rank - 1] * out->dim[i] : out->dim[i];
        for (int k = 0; k < SG__MAP_ARRAYS; k++)
            if (k < step->n || k == SG__RESULT)
                s[k][rank - 1] = s[k][i];
    }
    sg__loop l = {.rank = rank ? rank - 1 : 0, .n = rank ? dim[rank - 1] : 1};
    memcpy(l.dim, dim, (size_t)l.rank * sizeof *dim);
    for (int k = 0; k < step->n; k++)
        set(&l, k, s[k], rank, step->in[k].dtype);
    set(&l, SG__RESULT, s[SG__RESULT], rank, out->dtype);
    return l;
}
