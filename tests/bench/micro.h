/* Times of single evaluations, for what measures one op at a time. */
#ifndef SG_BENCH_MICRO_H
#define SG_BENCH_MICRO_H

#include "models/models.h"

double bench_seconds(void); /* of a clock that only goes forward */

/* Records something, of which only the evaluation of what it returns is measured. */
typedef sg_tensor *bench_record(sg_context *g, const void *user);
/* Seconds of an evaluation, the median of many; and the least, if it is wanted. */
double bench_evaluation(sg_context *g, bench_record *record, const void *user, double *least);
/* The median of a product of two numbers: what an evaluation costs that computes nothing. */
double bench_overhead(sg_context *g);

int bench_gemm(int threads);
int bench_ops(int threads);
int bench_meet(int threads);

#endif
