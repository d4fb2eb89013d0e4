/* Threads of a context: a training has the same bits with any number of them, also in a forked
 * child and after a failed step. Contexts of several threads over the parameters of one: the same
 * results on each. And nothing for a thread sanitizer to report; a plain program, as that needs it.
 */
#include "models/models.h"
#include "optim/optim.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- threads of a context -------------------------------------------------------------------- */

enum { ROWS = 32, LONG = 6, UNITS = 64, WORDS = 300, MOST_BYTES = 1 << 22 };
#ifdef __SANITIZE_THREAD__
enum { TRAINED = 2 }; /* it is slow */
#else
enum { TRAINED = 20 };
#endif

typedef struct weights {
    size_t bytes;
    char *values;
} weights;

/* A language model */
static sg_tensor *language_loss(sg_context *g, int step)
{
    static int32_t ids[ROWS * LONG], next[ROWS * LONG];
    for (int i = 0; i < ROWS * LONG; i++) {
        ids[i] = (int32_t)((i * 31 + step * 7) % WORDS);
        next[i] = (int32_t)((i * 17 + step) % WORDS);
    }
    sg_cell lstm = sg_lstm(g, "lstm", .in = UNITS, .hidden = UNITS);
    sg_affine out = sg_linear(g, "out", .in = UNITS, .out = WORDS);
    sg_tensor *table = sg_embedding(g, "words", .count = WORDS, .size = UNITS);
    sg_tensor *x = sg_take(table, sg_input(g, SG_I32, SG_SHAPE(ROWS, LONG), ids));
    sg_tensor *h = sg_unroll(lstm, sg_dropout(x, 0.1));
    sg_tensor *y = sg_input(g, SG_I32, SG_SHAPE(ROWS, LONG), next);
    return sg_mean(sg_cross_entropy(sg_apply(out, h), y), SG_ALL_AXES, false);
}

/* Tags for the words of sentences of several lengths, by a layer of two directions */
static sg_tensor *tags_of(sg_context *g, int step, int rows)
{
    static int32_t ids[ROWS * LONG], tags[ROWS * LONG];
    int lengths[ROWS];
    for (int i = 0; i < ROWS * LONG; i++) {
        ids[i] = (int32_t)((i * 37 + step * 5) % WORDS);
        tags[i] = (int32_t)((i * 11 + step) % LONG);
    }
    for (int i = 0; i < ROWS; i++)
        lengths[i] = 1 + (i * 5 + step) % LONG;
    sg_cell there = sg_lstm(g, "there", .in = UNITS, .hidden = UNITS);
    sg_cell back = sg_lstm(g, "back", .in = UNITS, .hidden = UNITS);
    sg_affine out = sg_linear(g, "out", .in = 2 * UNITS, .out = LONG);
    sg_tensor *table = sg_embedding(g, "words", .count = WORDS, .size = UNITS);
    sg_tensor *x = sg_take(table, sg_input(g, SG_I32, SG_SHAPE(rows, LONG), ids));
    sg_tensor *h = sg_bidirectional(there, back, x, lengths, NULL);
    sg_tensor *y = sg_input(g, SG_I32, SG_SHAPE(rows, LONG), tags);
    return sg_mean(sg_cross_entropy(sg_apply(out, h), y), SG_ALL_AXES, false);
}

static sg_tensor *tagger_loss(sg_context *g, int step)
{
    return tags_of(g, step, ROWS);
}

/* So few sentences that each direction is for one thread */
static sg_tensor *few_loss(sg_context *g, int step)
{
    return tags_of(g, step, 1 + 2 * (step % 2));
}

/* Translation with attention */
static sg_tensor *translation_loss(sg_context *g, int step)
{
    static int32_t source[ROWS * LONG], target[ROWS * LONG];
    int lengths[ROWS];
    for (int i = 0; i < ROWS * LONG; i++) {
        source[i] = (int32_t)(4 + (i * 41 + step * 3) % (WORDS - 4));
        target[i] = (int32_t)(4 + (i * 13 + step) % (WORDS - 4));
    }
    for (int i = 0; i < ROWS; i++)
        lengths[i] = 1 + (i * 7 + step) % LONG;
    sg_seq2seq m =
        sg_make_seq2seq(g, "translate", .source_count = WORDS, .target_count = WORDS,
                        .embed = UNITS, .hidden = UNITS, .cell = SG_CELL_GRU, .score = SG_CONCAT);
    sg_batch b = {.size = ROWS,
                  .source_time = LONG,
                  .target_time = LONG,
                  .source = source,
                  .target_in = target,
                  .target_out = target,
                  .source_lengths = lengths,
                  .target_lengths = lengths};
    return sg_seq2seq_loss(&m, &b, 0).mean;
}

/* Steps in which one thread finds an index that no table has: they must leave no trace, also where
 * what is assigned depends on nothing that fails; and say the same for any number of threads. */
static void fail_once(sg_context *g)
{
    static int32_t ids[ROWS * LONG];
    ids[ROWS * LONG / 3] = WORDS + 1;
    ids[ROWS * LONG - 1] = WORDS;
    for (int alone = 0; alone < 2; alone++) {
        sg_tensor *table = sg_embedding(g, "words", .count = WORDS, .size = UNITS);
        sg_tensor *x = sg_take(table, sg_input(g, SG_I32, SG_SHAPE(ROWS, LONG), ids));
        sg_tensor *other = sg_param(g, "other", SG_SHAPE(WORDS, UNITS));
        if (alone)
            sg_assign(other, sg_mul(other, sg_like(other, 2)));
        else
            sg_assign(table, sg_mul(table, sg_sum(x, SG_ALL_AXES, false)));
        if (sg_eval(x) == SG_OK || !strstr(sg_errmsg(g), "index 301 is out of range"))
            fprintf(stderr, "a step that cannot succeed: %s\n", sg_errmsg(g));
        sg_clear(g);
    }
}

/* Trains for some steps; all parameters and moments as bytes. */
static weights train(sg_tensor *(*loss)(sg_context *, int), int threads, bool fork_between)
{
    weights w = {.values = malloc(MOST_BYTES)};
    sg_context *g = sg_open(.seed = 5, .threads = threads);
    sg_train(g, true);
    for (int step = 0; step < 2 * TRAINED && w.values && sg_ok(g); step++) {
        sg_optimizer adam = sg_adam(g, .rate = 0.01, .clip_norm = 1);
        sg_step(&adam, loss(g, step % 3));
        sg_reset(g);
        if (step == TRAINED)
            fail_once(g);
        if (step != TRAINED || !fork_between)
            continue;
        pid_t child = fork(); /* who goes on is the child, where the threads are not */
        int status = 0;
        if (child > 0) {
            waitpid(child, &status, 0);
            exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        }
    }
    for (sg_tensor *p = NULL; w.values && (p = sg_next_param(g, p, true));) {
        size_t n = (size_t)sg_size(p) * 4; /* f32 and i32 */
        if (w.bytes + n > MOST_BYTES)
            abort();
        memcpy(w.values + w.bytes, sg_data(p), n);
        w.bytes += n;
    }
    if (!sg_ok(g))
        fprintf(stderr, "%s\n", sg_errmsg(g));
    sg_close(g);
    return w;
}

static bool same(const weights *a, const weights *b)
{
    return a->bytes == b->bytes && a->bytes > 1000 && memcmp(a->values, b->values, a->bytes) == 0;
}

static bool any_number_of_threads(sg_tensor *(*loss)(sg_context *, int))
{
    static const int numbers[] = {2, 3, 8};
    weights one = train(loss, 1, false), other;
    bool good = true;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        other = train(loss, numbers[i], false);
        if (!same(&one, &other))
            fprintf(stderr, "%d threads make other bits\n", numbers[i]);
        good = good && same(&one, &other);
        free(other.values);
    }
#ifndef __SANITIZE_THREAD__ /* which does not follow forks of programs with threads */
    pid_t child = fork();
    if (child == 0) {
        other = train(loss, 2, true);
        exit(same(&one, &other) ? 0 : 1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    if (status != 0)
        fprintf(stderr, "a forked child makes other bits\n");
    good = good && status == 0;
#endif
    free(one.values);
    return good;
}

/* ---- contexts of several threads ------------------------------------------------------------- */

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

static bool shared_parameters(void)
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
            return false;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i < THREADS; i++)
        if (memcmp(jobs[0].h, jobs[i].h, sizeof jobs[0].h) != 0 || jobs[0].h[0] == 0) {
            fprintf(stderr, "thread %d has other results\n", i);
            return false;
        }
    return true;
}

int main(void)
{
    if (!any_number_of_threads(language_loss) || !any_number_of_threads(tagger_loss) ||
        !any_number_of_threads(few_loss) || !any_number_of_threads(translation_loss) ||
        !shared_parameters())
        return 1;
    puts("threads agree");
    return 0;
}
