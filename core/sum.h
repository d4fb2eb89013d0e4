/* Sums of rows, one set of kernels for each instruction set. They round alike on all of them: there
 * is no product in a sum, and the order of additions is fixed. */
#ifndef SG_SUM_H
#define SG_SUM_H

#include "core/core.h"

/* total[0] += the sum of n contiguous elements: element i goes to lane i mod 16, and the lanes are
 * folded in halves, so that zeros appended to a row change nothing. */
typedef void sg__sum_row(int64_t n, void *total, const void *x);

/* total[0] += the same sum of an array of `rows` rows of n elements: row at[k] is row k of x, and
 * row `count` of x, if `others`, all that at[0] < at[1] < … < at[count - 1] leave out; else these
 * are zeros, which change nothing. */
typedef void sg__sum_some(int64_t rows, int64_t n, int64_t count, const int32_t *at, bool others,
                          void *total, const void *x);

/* The same sum, as a fold. */
extern sg_reduction *const sg__sum_folds[SG_DTYPES][SG_ISAS];

extern sg_map *const sg__add_map[SG_DTYPES][SG_ISAS];
extern sg__sum_row *const sg__sum_rows[SG_DTYPES][SG_ISAS];
extern sg__sum_some *const sg__sum_somes[SG_DTYPES][SG_ISAS];

#endif
