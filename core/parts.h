/* Parts of arrays, for the wrappers in ops: a slice, its adjoint, and arrays side by side. */
#ifndef SG_PARTS_H
#define SG_PARTS_H

#include "core/core.h"

/* Elements start, start + step, … of an axis, count of them; all must exist. step is not 0. */
sg_tensor *sg__take_every(sg_tensor *x, int axis, int64_t start, int64_t count, int64_t step);
/* `before` zeros, x's elements with step - 1 zeros between them, `after` zeros; step > 0. */
sg_tensor *sg__spread(sg_tensor *x, int axis, int64_t before, int64_t after, int64_t step);

/* How many rows were added to each row of x, i32 [rows], if x is zeros to which rows were added or
 * a sum of such; else NULL. */
sg_tensor *sg__times_added(sg_tensor *x);

typedef struct sg__slice_attr {
    int64_t axis, start, count, step;
} sg__slice_attr;
extern const sg_op sg__slice_op;
typedef struct sg__concat_attr {
    int64_t axis;
} sg__concat_attr;
extern const sg_op sg__concat_op;

/* `batch` of ops whose attributes begin with an axis: the axes before it are rows. */
bool sg__rows_before_axis(const sg_shape *const *in, const sg_shape *out, sg_rows *r);

#endif
