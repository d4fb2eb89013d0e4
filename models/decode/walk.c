/* A model's steps, over values: each evaluation asks for its results together with all that the
 * next step reads, so that nothing is computed twice. */
#include "models/decode/internal.h"

#include <stdlib.h>

void *sg__array(sg_context *g, sg_dtype dtype, sg_shape shape)
{
    return (void *)(uintptr_t)sg_data(sg_input(g, dtype, shape, NULL)); /* nobody else reads it */
}

sg_hypotheses sg__hypotheses(sg_context *g, int rows, int best, int most)
{
    sg_hypotheses h = {rows, best, most};
    h.ids = sg__array(g, SG_I32, SG_SHAPE(rows, best, most));
    h.lengths = sg__array(g, SG_I32, SG_SHAPE(rows, best));
    h.scores = sg__array(g, SG_F64, SG_SHAPE(rows, best));
    h.adjusted = sg__array(g, SG_F64, SG_SHAPE(rows, best));
    return sg_ok(g) ? h : (sg_hypotheses){0};
}

double sg__value(sg_tensor *x, int64_t i)
{
    const void *p = sg_data(x);
    return sg_type(x) == SG_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

bool sg__good_prefix(const sg_stepper *m, const int32_t *prefix, const int *lengths, int time)
{
    if (!prefix || !sg__good_lengths(m->g, m->rows, time, lengths))
        return sg_ok(m->g);
    for (int b = 0; b < m->rows; b++)
        for (int t = 0; t < (lengths ? lengths[b] : time); t++) {
            int32_t id = prefix[(int64_t)b * time + t];
            if (id < 0 || id >= m->classes || id == m->stop)
                sg_fail(m->g, SG_BAD_ARGUMENT, "token %d of the prefix of row %d is %d", t, b,
                        (int)id);
        }
    return sg_ok(m->g);
}

static bool good(const sg_stepper *m)
{
    if (!sg_ok(m->g))
        return false;
    if (!m->step || m->rows < 0 || m->classes < 1 || m->n < 0 || m->n > SG_MAX_STATES ||
        m->fixed < 0 || m->fixed > m->n)
        sg_fail(m->g, SG_BAD_ARGUMENT,
                "a stepper of %d rows, %d classes, %d states of which %d are fixed%s", m->rows,
                m->classes, m->n, m->fixed, m->step ? "" : ", without a step");
    else if (m->start < 0 || m->start >= m->classes || m->stop < -1 || m->stop >= m->classes)
        sg_fail(m->g, SG_BAD_ARGUMENT, "tokens %d and %d for start and stop are not of %d classes",
                m->start, m->stop, m->classes);
    for (int i = 0; i < m->n && sg_ok(m->g); i++)
        if (sg_rank(m->state[i]) < 1 || sg_dim(m->state[i], 0) != m->rows)
            sg_fail(m->g, SG_BAD_SHAPE, "state %d is not of %d rows", i, m->rows);
    return sg_ok(m->g);
}

bool sg__walk_open(sg__paths *w, const sg_stepper *model, int copies)
{
    *w = (sg__paths){model, model->g, model->rows * copies, sg_training(model->g)};
    sg_train(w->g, false);
    if (!good(model))
        return false;
    int32_t *row = malloc(((size_t)w->rows + 1) * sizeof *row);
    if (!row) {
        sg_fail(w->g, SG_NO_MEMORY, "no memory for %d rows", w->rows);
        return false;
    }
    for (int i = 0; i < w->rows; i++)
        row[i] = i / copies;
    sg_tensor *rows = sg_input(w->g, SG_I32, SG_SHAPE(w->rows), row);
    for (int i = 0; i < model->n; i++)
        w->state[i] = copies > 1 ? sg_take(model->state[i], rows) : model->state[i];
    free(row);
    return sg_ok(w->g);
}

static bool read_step(sg__paths *w, sg_tensor *logits, int64_t count, const int32_t *given)
{
    sg_tensor *wanted[SG_MAX_STATES + 4], *all;
    int n = w->model->n;
    if (sg_ok(w->g) && (sg_rank(logits) != 2 || sg_dim(logits, 1) != w->model->classes))
        sg_fail(w->g, SG_BAD_SHAPE, "a step's logits are not [rows, %d]", w->model->classes);
    all = w->log_p = sg_log_softmax(logits);
    w->count = count && count < w->model->classes ? count : w->model->classes;
    w->ids = w->given = NULL;
    if (count)
        w->log_p = sg_topk(all, 1, w->count, &w->ids);
    if (given) {
        sg_tensor *id = sg_input(w->g, SG_I32, SG_SHAPE(w->rows, 1), given);
        w->given = sg_take_along_axis(all, id, 1);
    }
    for (int i = 0; i < n; i++)
        wanted[i] = w->state[i];
    wanted[n++] = w->log_p;
    sg_tensor *more[] = {w->ids, w->given, w->weights};
    for (int i = 0; i < 3; i++)
        if (more[i])
            wanted[n++] = more[i];
    return sg_eval_(n, wanted) == SG_OK;
}

bool sg__walk_step(sg__paths *w, const int32_t *tokens, const int32_t *from, int64_t count,
                   const int32_t *given)
{
    sg_context *g = w->g;
    const sg_stepper *m = w->model;
    if (from) {
        sg_tensor *rows = sg_input(g, SG_I32, SG_SHAPE(w->rows), from);
        for (int i = 0; i < m->n - m->fixed; i++)
            w->state[i] = sg_take(w->state[i], rows);
    }
    w->weights = NULL;
    sg_tensor *last = sg_input(g, SG_I32, SG_SHAPE(w->rows), tokens);
    sg_tensor *logits = m->step(m->model, last, w->state, &w->weights);
    return sg_ok(g) && read_step(w, logits, count, given);
}

void sg__walk_close(sg__paths *w)
{
    sg_train(w->g, w->trained);
}

/* ---- forced scoring ------------------------------------------------------------------------- */

static void score_all(sg__paths *w, const int32_t *ids, int time, const int *lengths, bool stop,
                      double *scores, int32_t *tokens)
{
    const sg_stepper *m = w->model;
    int32_t *next = tokens + w->rows;
    for (int b = 0; b < w->rows; b++)
        tokens[b] = m->start;
    for (int t = 0; t < time + stop && sg_ok(w->g); t++) {
        for (int b = 0; b < w->rows; b++) {
            int n = lengths ? lengths[b] : time;
            next[b] = t < n ? ids[(int64_t)b * time + t] : stop ? m->stop : m->start;
        }
        if (!sg__walk_step(w, tokens, NULL, 1, next))
            return;
        for (int b = 0; b < w->rows; b++) {
            int n = (lengths ? lengths[b] : time) + stop;
            scores[b] += t < n ? sg__value(w->given, b) : 0;
            tokens[b] = next[b];
        }
    }
}

const double *sg_score_of(const sg_stepper *model, const int32_t *ids, int time, const int *lengths,
                          bool stop)
{
    sg_context *g = model ? model->g : NULL;
    if (!sg_ok(g))
        return NULL;
    sg__paths w;
    double *scores = NULL;
    sg_push(g, "score", "");
    int32_t *tokens = calloc(2 * (size_t)(model->rows > 0 ? model->rows : 0) + 1, sizeof *tokens);
    if (!tokens)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d rows", model->rows);
    if (stop && model->stop < 0)
        sg_fail(g, SG_BAD_ARGUMENT, "no token ends the model's sequences");
    if (sg__walk_open(&w, model, 1) && sg__good_prefix(model, ids, lengths, time))
        scores = sg__array(g, SG_F64, SG_SHAPE(model->rows));
    if (scores)
        score_all(&w, ids, time, lengths, stop, scores, tokens);
    free(tokens);
    sg__walk_close(&w);
    sg_pop(g);
    return sg_ok(g) ? scores : NULL;
}
