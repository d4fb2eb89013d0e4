/*
 * Arrays most rows of which are equal, such as the gradient of a table of which a batch has looked
 * at a few rows. Such an array of `rows` rows is a pair:
 *
 *   at      i32 [n + 1]: the rows that differ, ascending, each once; then `rows`, at least once
 *   values  [n + 1, …]: these rows; from where at is `rows` on, what all other rows are
 *
 * An op by element of values is the op of the array, whatever it makes of the other rows.
 */
#ifndef SG_ROWS_H
#define SG_ROWS_H

#include "core/core.h"

typedef struct sg__rows_attr {
    int64_t rows;    /* of the whole array */
    const sg_op *op; /* of an update; NULL: rows are replaced */
    int64_t operand; /* which operand of `op` the values are */
} sg__rows_attr;

/* Of indices i, n in all: `at`, and the place in it of each index, in i's shape. */
extern const sg_op sg__rows_op, sg__places_op;
/* Rows `at` of x; zeros where at is `rows`. */
extern const sg_op sg__take_rows_op;
/* Of values and at: their sum, as of the whole array. */
extern const sg_op sg__sum_of_rows_op;
/* Of x, at, values: x op values; where that is x itself nothing is written, so the result has to be
 * where x is. If rows are replaced, the others stay. */
extern const sg_op sg__update_rows_op;
#endif
