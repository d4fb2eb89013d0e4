/* Arithmetic of arrays and of what threads share, for core and ops. */
#ifndef SG_ARRAY_H
#define SG_ARRAY_H

#include "core/core.h"

static inline int64_t sg__elements(const sg_array *a)
{
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++)
        n *= a->dim[i];
    return n;
}

/* The unit in which n rows or the like are shared when the result is cut into equal pieces. */
static inline int64_t sg__unit(int64_t n, int64_t unit, int64_t pieces)
{
    return pieces && n % pieces == 0 ? n / pieces : unit;
}

/* One part of n, of `parts`: whole units, a few elements each, from `from` to before `to`. */
static inline void sg__share(int64_t n, int64_t unit, int part, int parts, int64_t *from,
                             int64_t *to)
{
    const int64_t units = (n + unit - 1) / unit;
    *from = units * part / parts * unit;
    *to = units * (part + 1) / parts * unit;
    *from = *from < n ? *from : n;
    *to = *to < n ? *to : n;
}

#endif
