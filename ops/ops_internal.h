/* What the sources of ops share and nobody else sees. */
#ifndef SG_OPS_INTERNAL_H
#define SG_OPS_INTERNAL_H

#include "core/array.h"
#include "core/parts.h"
#include "ops/ops.h"

#include <string.h>

/* A row-major array seen along one axis: [outer, size, inner]. */
typedef struct sg__around {
    int64_t outer, size, inner;
} sg__around;

static inline sg__around sg__split_at(const sg_array *a, int64_t axis)
{
    sg__around s = {1, a->dim[axis], 1};
    for (int64_t i = 0; i < axis; i++)
        s.outer *= a->dim[i];
    for (int64_t i = axis + 1; i < a->rank; i++)
        s.inner *= a->dim[i];
    return s;
}

/* As above for the last axis, where a scalar is one row of one element. */
static inline sg__around sg__rows(const sg_array *a)
{
    static const sg__around scalar = {1, 1, 1};
    return a->rank ? sg__split_at(a, a->rank - 1) : scalar;
}

static inline size_t sg__width(sg_dtype d)
{
    static const unsigned char bytes[SG_DTYPES] = {4, 8, 4, 1};
    return bytes[d];
}

/* Shares of an op that takes the first operand row by row. */
static inline sg_shares sg__row_shares(const sg_call *c)
{
    return (sg_shares){.n = sg__rows(&c->in[0]).outer, .unit = 1, .alike = 1};
}

/* The part of n that a call is to do. */
static inline void sg__my_share(const sg_call *c, int64_t n, int64_t unit, int64_t *from,
                                int64_t *to)
{
    sg__share(n, sg__unit(n, unit, c->pieces), c->part, c->parts, from, to);
}

/* The inert tensor of x's context, for wrappers of ops once an error was raised. */
static inline sg_tensor *sg__inert(const sg_tensor *x)
{
    return sg_fail(sg_context_of(x), SG_OK, "inert");
}

/* x's shape filled with one value: a view of a scalar. */
static inline sg_tensor *sg__filled(sg_tensor *x, double value)
{
    return sg_broadcast_to(sg_like(x, value), sg_shape_of(x));
}

#endif
