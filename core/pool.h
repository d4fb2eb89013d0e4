/* Threads of a context: they do the same work, each its part, and meet at barriers. */
#ifndef SG_POOL_H
#define SG_POOL_H

typedef struct sg__pool sg__pool;
typedef void sg__work(void *arg, int part, int parts);

/* NULL without memory. Threads are started when there is work for them, so that a fork(2) before or
 * after does no harm: the child's pool starts its own. */
sg__pool *sg__pool_open(int threads);
void sg__pool_close(sg__pool *p);

/* Calls work(arg, part, parts) on every thread, on this one as part 0, and waits for all. Fewer
 * parts than asked for if the system does not give the threads. */
void sg__pool_run(sg__pool *p, sg__work *work, void *arg);
/* Inside of work: waits until all parts are here. */
void sg__pool_meet(sg__pool *p, int part);

#endif
