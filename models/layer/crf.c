/* A linear-chain conditional random field: its loss is composed, its best path is found by dynamic
 * programming over values. */
#include "models/internal.h"

#include <math.h>
#include <string.h>

sg_crf sg_make_crf(sg_context *g, const char *name, int classes, sg_dtype dtype)
{
    sg_crf p;
    sg_push(g, "crf", name);
    sg__need_name(g, name);
    if (classes <= 0)
        sg_fail(g, SG_BAD_ARGUMENT, "%d classes", classes);
    p.transition = sg_param(g, "transition", SG_SHAPE(classes, classes), SG_ZEROS, .dtype = dtype);
    p.start = sg_param(g, "start", SG_SHAPE(classes), SG_ZEROS, .dtype = dtype);
    p.stop = sg_param(g, "stop", SG_SHAPE(classes), SG_ZEROS, .dtype = dtype);
    sg_pop(g);
    return p;
}

static bool good(const sg_crf *p, sg_tensor *scores, const int *lengths)
{
    sg_context *g = sg_context_of(scores);
    if (!sg_ok(g))
        return false;
    if (sg_rank(scores) != 3 || sg_dim(scores, 2) != sg_size(p->start))
        sg_fail(g, SG_BAD_SHAPE, "scores are not [batch, time, %lld]: %d axes, %lld classes",
                (long long)sg_size(p->start), sg_rank(scores), (long long)sg_dim(scores, -1));
    return sg_ok(g) && sg__good_lengths(g, sg_dim(scores, 0), sg_dim(scores, 1), lengths);
}

/* ---- loss ----------------------------------------------------------------------------------- */

/* Where the labels of a batch point to: [B,T] labels; [B,T] elements of transition; both 0 and not
 * `real` where there are none. */
typedef struct path {
    int32_t *label, *step, *first, *last;
    uint8_t *real, *moves, *some; /* [B,T], [B,T], [B] */
} path;

static bool follow(sg_context *g, path *y, const int32_t *labels, const int *lengths, int64_t batch,
                   int64_t time, int64_t classes)
{
    for (int64_t b = 0; b < batch; b++) {
        int64_t n = lengths ? lengths[b] : time, row = b * time;
        for (int64_t t = 0; t < n; t++) {
            int32_t label = labels[row + t];
            if (label < 0 || label >= classes) {
                sg_fail(g, SG_BAD_ARGUMENT, "label %d of row %lld, step %lld is not in 0..%lld",
                        (int)label, (long long)b, (long long)t, (long long)classes - 1);
                return false;
            }
            y->label[row + t] = label;
            y->real[row + t] = 1;
            y->moves[row + t] = t > 0;
            y->step[row + t] = t ? labels[row + t - 1] * (int32_t)classes + label : 0;
        }
        y->some[b] = n > 0;
        y->first[b] = n ? labels[row] : 0;
        y->last[b] = n ? labels[row + n - 1] : 0;
    }
    return true;
}

/* Σ over time of x [B,T] where it is real */
static sg_tensor *real_sum(sg_tensor *x, sg_shape s, const uint8_t *real)
{
    sg_tensor *mask = sg_input(sg_context_of(x), SG_U8, s, real);
    return sg_sum(sg_where(mask, x, sg_like(x, 0)), 1, false);
}

/* start[y_1] + Σ scores[t,y_t] + Σ transition[y_t,y_t+1] + stop[y_n]: [B] */
static sg_tensor *score_of(const sg_crf *p, sg_tensor *scores, const path *y)
{
    sg_context *g = sg_context_of(scores);
    int64_t batch = sg_dim(scores, 0), time = sg_dim(scores, 1);
    sg_shape all = SG_SHAPE(batch, time), rows = SG_SHAPE(batch);
    sg_tensor *label = sg_expand_dims(sg_input(g, SG_I32, all, y->label), 2);
    sg_tensor *emitted = sg_squeeze(sg_take_along_axis(scores, label, 2), 2); /* [B,T] */
    sg_tensor *flat = sg_reshape(p->transition, SG_SHAPE(-1));
    sg_tensor *moved = sg_take(flat, sg_input(g, SG_I32, all, y->step)); /* [B,T] */
    sg_tensor *ends = sg_add(sg_take(p->start, sg_input(g, SG_I32, rows, y->first)),
                             sg_take(p->stop, sg_input(g, SG_I32, rows, y->last)));
    return sg_add(ends, sg_add(real_sum(emitted, all, y->real), real_sum(moved, all, y->moves)));
}

/* α_1 = start + scores[1];  α_t[j] = log Σ_i exp(α_t-1[i] + transition[i,j]) + scores[t,j];
 * log Z = log Σ_j exp(α_n[j] + stop[j]): [B] */
static sg_tensor *log_z(const sg_crf *p, sg_tensor *scores, const path *y)
{
    sg_context *g = sg_context_of(scores);
    int64_t batch = sg_dim(scores, 0), time = sg_dim(scores, 1);
    sg_tensor *real = sg_input(g, SG_U8, SG_SHAPE(batch, time), y->real);
    sg_tensor *alpha = sg_add(sg_index(scores, 1, 0), p->start); /* [B,K] */
    for (int64_t t = 1; t < time; t++) {
        sg_tensor *paths = sg_add(sg_expand_dims(alpha, 2), p->transition); /* [B,K,K] */
        sg_tensor *next = sg_add(sg_logsumexp(paths, 1, false), sg_index(scores, 1, t));
        alpha = sg_where(sg_slice(real, 1, t, t + 1, 1), next, alpha);
    }
    return sg_logsumexp(sg_add(alpha, p->stop), 1, false);
}

static sg_tensor *loss_of(const sg_crf *p, sg_tensor *scores, const path *y)
{
    sg_context *g = sg_context_of(scores);
    sg_shape rows = SG_SHAPE(sg_dim(scores, 0));
    sg_tensor *none = sg_full(g, sg_type(scores), rows, 0);
    if (sg_dim(scores, 1) == 0)
        return none;
    sg_tensor *some = sg_input(g, SG_U8, rows, y->some);
    return sg_where(some, sg_sub(log_z(p, scores, y), score_of(p, scores, y)), none);
}

static void *zeros(sg_context *g, size_t bytes)
{
    void *room = sg_room(g, bytes);
    return room ? memset(room, 0, bytes) : NULL;
}

sg_tensor *sg_crf_loss(const sg_crf *p, sg_tensor *scores, const int32_t *labels,
                       const int *lengths)
{
    sg_context *g = sg_context_of(scores);
    sg_tensor *loss = sg__nothing(g);
    sg_push(g, "crf", "");
    if (good(p, scores, lengths)) {
        int64_t batch = sg_dim(scores, 0), time = sg_dim(scores, 1);
        size_t n = (size_t)(batch * time), b = (size_t)batch;
        int32_t *space = zeros(g, (2 * n + 2 * b) * sizeof *space);
        uint8_t *masks = zeros(g, 2 * n + b);
        if (space && masks) {
            path y = {space, space + n, space + 2 * n, space + 2 * n + b,
                      masks, masks + n, masks + 2 * n};
            if (follow(g, &y, labels, lengths, batch, time, sg_dim(scores, 2)))
                loss = loss_of(p, sg__clean(scores, sg__short_ones(lengths, batch, time)), &y);
        }
    }
    sg_pop(g);
    return loss;
}

/* ---- the best path -------------------------------------------------------------------------- */

static double at(sg_tensor *x, int64_t i)
{
    const void *p = sg_data(x);
    return sg_type(x) == SG_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

/* δ_t[j] = max_i (δ_t-1[i] + transition[i,j]) + scores[t,j], and which i that was: [n,K] */
static double best_path(const sg_crf *p, sg_tensor *scores, int64_t row, int64_t n, double *delta,
                        int32_t *from, int32_t *labels)
{
    int64_t classes = sg_dim(scores, 2);
    double *next = delta + classes, best = -INFINITY;
    for (int64_t j = 0; j < classes; j++)
        delta[j] = at(p->start, j) + at(scores, row * classes + j);
    for (int64_t t = 1; t < n; t++) {
        for (int64_t j = 0; j < classes; j++) {
            int32_t arg = 0;
            double most = delta[0] + at(p->transition, j);
            for (int32_t i = 1; i < classes; i++) {
                double d = delta[i] + at(p->transition, i * classes + j);
                arg = d > most ? i : arg;
                most = d > most ? d : most;
            }
            next[j] = most + at(scores, (row + t) * classes + j);
            from[t * classes + j] = arg;
        }
        for (int64_t j = 0; j < classes; j++)
            delta[j] = next[j];
    }
    int32_t last = 0;
    for (int32_t j = 0; j < classes; j++) {
        double d = delta[j] + at(p->stop, j);
        last = d > best ? j : last;
        best = d > best ? d : best;
    }
    for (int64_t t = n - 1; t >= 0; t--) {
        labels[t] = last;
        last = t ? from[t * classes + last] : last;
    }
    return best;
}

sg_status sg_crf_viterbi(const sg_crf *p, sg_tensor *scores, const int *lengths, int32_t *labels,
                         double *score)
{
    sg_context *g = sg_context_of(scores);
    sg_push(g, "crf", "");
    if (good(p, scores, lengths) && sg_eval(scores, p->transition, p->start, p->stop) == SG_OK) {
        int64_t batch = sg_dim(scores, 0), time = sg_dim(scores, 1), classes = sg_dim(scores, 2);
        double *delta = sg_room(g, 2 * (size_t)classes * sizeof *delta);
        int32_t *from = sg_room(g, (size_t)(time * classes) * sizeof *from);
        for (int64_t b = 0; b < batch && sg_ok(g); b++) {
            int64_t n = lengths ? lengths[b] : time;
            double best = n ? best_path(p, scores, b * time, n, delta, from, labels + b * time) : 0;
            for (int64_t t = n; t < time; t++)
                labels[b * time + t] = -1;
            if (score)
                score[b] = best;
        }
    }
    sg_pop(g);
    return sg_error(g);
}
