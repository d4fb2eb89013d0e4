/*
 * The pool. A thread that waits spins for a short while, since the others are mostly just as far,
 * and then sleeps, since there may be more threads than processors.
 *
 * All meetings, the start and the end of a piece of work among them, are one thing: each thread
 * counts the meetings it came to, and waits until nobody's count is behind its own.
 */
#include "core/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
#define RELAX() __builtin_ia32_pause()
#else
#define RELAX() ((void)0)
#endif

/* To sleep and be woken takes longer than most steps: a thread that waits for one that is at work
 * looks for about a millisecond. Where there are more threads than processors, the one that is
 * waited for may need this one's. */
enum { LOOKS = 200, PAUSES = 20000, CROWDED = 20, LINE = 128 };

typedef struct count { /* on a cache line of its own, and that of the neighbour */
    _Alignas(LINE) atomic_uint met;
} count;

typedef struct worker {
    struct sg__pool *pool;
    pthread_t thread;
    int part;
} worker;

struct sg__pool {
    int threads, parts; /* asked for, running */
    int pauses;
    pid_t process;  /* whose the threads are */
    sg__work *work; /* NULL: the end */
    void *arg;
    count *counts;
    worker *workers;
    atomic_int asleep;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

static bool all_met(const sg__pool *p, unsigned now)
{
    for (int i = 0; i < p->parts; i++)
        if ((int)(atomic_load(&p->counts[i].met) - now) < 0)
            return false;
    return true;
}

void sg__pool_meet(sg__pool *p, int part)
{
    unsigned now = atomic_load_explicit(&p->counts[part].met, memory_order_relaxed) + 1;
    atomic_store(&p->counts[part].met, now);
    if (atomic_load(
            &p->asleep)) { /* seen by who counts itself asleep after our store, or sees it */
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
    for (int i = 0; i < LOOKS + p->pauses; i++) { /* the others are mostly there at the first */
        if (all_met(p, now))
            return;
        if (i >= LOOKS)
            RELAX();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->asleep, 1);
    while (!all_met(p, now))
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->asleep, 1);
    pthread_mutex_unlock(&p->lock);
}

static void *serve(void *arg)
{
    const worker *w = arg;
    sg__pool *p = w->pool;
    for (;;) {
        sg__pool_meet(p, w->part);
        if (!p->work)
            return NULL;
        p->work(p->arg, w->part, p->parts);
        sg__pool_meet(p, w->part);
    }
}

/* Starts the threads; `parts` is final before any of them looks at it. */
static void start(sg__pool *p)
{
    p->process = getpid();
    p->parts = p->threads;
    atomic_store(&p->asleep, 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (int i = 0; i < p->threads; i++)
        atomic_store(&p->counts[i].met, 0);
    pthread_mutex_lock(&p->lock);
    int started = 1;
    for (; started < p->threads; started++) {
        worker *w = &p->workers[started];
        *w = (worker){.pool = p, .part = started};
        if (pthread_create(&w->thread, NULL, serve, w) != 0)
            break;
    }
    pthread_mutex_unlock(&p->lock);
    if (started == p->threads)
        return;
    /* Those that did start wait for the missing ones: let them see these come, and end. */
    p->work = NULL;
    for (int i = 0; i < p->threads; i++)
        if (i == 0 || i >= started)
            atomic_store(&p->counts[i].met, 1);
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < started; i++)
        pthread_join(p->workers[i].thread, NULL);
    p->parts = 1;
}

sg__pool *sg__pool_open(int threads)
{
    sg__pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->threads = threads;
    p->pauses = threads <= sysconf(_SC_NPROCESSORS_ONLN) ? PAUSES : CROWDED;
    p->workers = calloc((size_t)threads, sizeof *p->workers);
    p->counts = aligned_alloc(LINE, (size_t)threads * sizeof *p->counts);
    if (!p->workers || !p->counts) {
        free(p->workers);
        free(p->counts);
        free(p);
        return NULL;
    }
    return p;
}

void sg__pool_close(sg__pool *p)
{
    if (!p)
        return;
    if (p->process == getpid() && p->parts > 1) {
        p->work = NULL;
        sg__pool_meet(p, 0);
        for (int i = 1; i < p->parts; i++)
            pthread_join(p->workers[i].thread, NULL);
    }
    free(p->workers);
    free(p->counts);
    free(p);
}

void sg__pool_run(sg__pool *p, sg__work *work, void *arg)
{
    if (p->process != getpid())
        start(p);
    if (p->parts == 1) {
        work(arg, 0, 1);
        return;
    }
    p->work = work;
    p->arg = arg;
    sg__pool_meet(p, 0);
    work(arg, 0, p->parts);
    sg__pool_meet(p, 0);
}
