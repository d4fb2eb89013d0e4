/* Rows made orthonormal, one kernel for each instruction set; the same bits from all of them. */
#ifndef SG_ORTHONORMAL_H
#define SG_ORTHONORMAL_H

#include "core/core.h"

/* Of a matrix [count, length] of full rank, count <= length, in place. */
typedef void sg__orthonormal(int64_t count, int64_t length, double *rows);

extern sg__orthonormal *const sg__orthonormals[SG_ISAS];

#endif
