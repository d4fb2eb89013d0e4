/* Sums of rows, one set of kernels for each instruction set. They round alike on all of them: there
 * is no product in a sum, and the order of additions is fixed. */
#ifndef SG_SUM_H
#define SG_SUM_H

#include "core/core.h"

/* total[0] += the sum of n contiguous elements: element i goes to lane i mod 16, and the lanes are
 * folded in halves, so that zeros appended to a row change nothing. */
typedef void sg__sum_row(int64_t n, void *total, const void *x);

extern sg_map *const sg__add_map[SG_DTYPES][SG_ISAS];
extern sg__sum_row *const sg__sum_rows[SG_DTYPES][SG_ISAS];

#endif
