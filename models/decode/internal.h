/* What the files of models/decode share: a model's steps over values, and results. */
#ifndef SG_DECODE_INTERNAL_H
#define SG_DECODE_INTERNAL_H

#include "models/decode.h"
#include "models/internal.h"

/* A model on its way: rows are all hypotheses, `copies` of each of the stepper's rows. */
typedef struct sg__paths {
    const sg_stepper *model;
    sg_context *g;
    int rows;
    bool trained; /* it was in training mode */
    sg_tensor *state[SG_MAX_STATES];
    /* of the last step: the `count` most probable classes, [rows, count]; where all were asked for,
     * ids is NULL */
    int64_t count;
    sg_tensor *log_p, *ids;
    sg_tensor *given;   /* log p of given tokens [rows], or NULL */
    sg_tensor *weights; /* [rows, time], or NULL */
} sg__paths;

bool sg__walk_open(sg__paths *w, const sg_stepper *model, int copies);
/* One step after `tokens`, in which row i goes on from row from[i] (NULL: from itself). count 0:
 * all classes. All that the next step reads gets its value together with the results. */
bool sg__walk_step(sg__paths *w, const int32_t *tokens, const int32_t *from, int64_t count,
                   const int32_t *given);
void sg__walk_close(sg__paths *w);

/* An array that lives until the context's reset, zeros at first; NULL on error. */
void *sg__array(sg_context *g, sg_dtype dtype, sg_shape shape);
sg_hypotheses sg__hypotheses(sg_context *g, int rows, int best, int most);
double sg__value(sg_tensor *x, int64_t i); /* an element of an evaluated f32 or f64 */
/* Whether prefixes are of classes, and their lengths in 0..time. */
bool sg__good_prefix(const sg_stepper *m, const int32_t *prefix, const int *lengths, int time);
/* The token that row b must have at step t, or -1. */
static inline int32_t sg__forced(const int32_t *prefix, const int *lengths, int time, int b, int t)
{
    int n = !prefix ? 0 : lengths ? lengths[b] : time;
    return t < n ? prefix[(int64_t)b * time + t] : -1;
}

/* ---- search --------------------------------------------------------------------------------- */

/* A token of a hypothesis; those of all rows are one array, parents before their children. */
typedef struct sg__search_node {
    int parent; /* -1: the first of its row */
    int row, length;
    int32_t token;
    double score, adjusted; /* adjusted of those that are results */
    bool ended;             /* the token is the stop token */
} sg__search_node;

/* Prints the hypotheses as trees; best[row] is the last node of each row's best one, or -1. */
bool sg__print_trees(const sg_search_options *o, int nodes, const sg__search_node *node,
                     const int *best);

#endif
