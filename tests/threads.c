/* Contexts of several threads over the parameters of one: the same results on each, and nothing for
 * a thread sanitizer to report. A plain program, as that sanitizer needs it. */
#include "models/models.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, STEPS = 20, BATCH = 3, TIME = 5, HIDDEN = 8 };

typedef struct job {
    sg_context *g;
    float h[BATCH * TIME * 2 * HIDDEN];
} job;

static sg_tensor *model(sg_context *g, int step)
{
    float x[BATCH * TIME * HIDDEN];
    for (int i = 0; i < BATCH * TIME * HIDDEN; i++)
        x[i] = (float)((i * 37 + step) % 11) / 11;
    sg_cell forward = sg_lstm(g, "forward", .in = HIDDEN, .hidden = HIDDEN);
    sg_cell backward = sg_gru(g, "backward", .in = HIDDEN, .hidden = HIDDEN);
    sg_tensor *in = sg_input(g, SG_F32, SG_SHAPE(BATCH, TIME, HIDDEN), x);
    return sg_bidirectional(forward, backward, in, (int[]){5, 2, 3}, NULL);
}

static void *work(void *user)
{
    job *j = user;
    for (int step = 0; step < STEPS && sg_ok(j->g); step++) {
        const float *h = sg_data(model(j->g, step));
        if (h)
            memcpy(j->h, h, sizeof j->h);
        sg_reset(j->g);
    }
    if (!sg_ok(j->g))
        fprintf(stderr, "%s\n", sg_errmsg(j->g));
    sg_close(j->g);
    return NULL;
}

int main(void)
{
    static job jobs[THREADS];
    pthread_t threads[THREADS];
    sg_context *g = sg_open(.seed = 4);
    model(g, 0); /* makes the parameters */
    for (int i = 0; i < THREADS; i++)
        jobs[i].g = sg_share(g);
    sg_close(g);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i < THREADS; i++)
        if (memcmp(jobs[0].h, jobs[i].h, sizeof jobs[0].h) != 0 || jobs[0].h[0] == 0) {
            fprintf(stderr, "thread %d has other results\n", i);
            return 1;
        }
    puts("threads agree");
    return 0;
}
