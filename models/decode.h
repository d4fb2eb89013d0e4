/*
 * seqgrad decoding: from a model that says what comes next to whole sequences. Beam search,
 * sampling, scores of given ones, all over one description of a model's step; what CTC says. A
 * chapter of models.h, where the conventions are.
 *
 * A row's result does not depend on the rows beside it, neither its tokens nor a bit of its scores.
 * Scores are sums of log probabilities, in double. All arrays that are returned are the context's,
 * until its reset; NULL on error. Nothing here is in training mode.
 */
#ifndef SG_DECODE_H
#define SG_DECODE_H

#include "models/attention.h"
#include "models/cell.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a step --------------------------------------------------------------------------------- */

enum { SG_MAX_STATES = 4 * SG_MAX_BLOCKS + 4 };

/* One step of a model, for decoding. `step` gets the tokens i32 [rows] that came last and states,
 * and returns the logits [rows, classes] of what comes next, the first n - fixed of the states
 * replaced by those after the step; *weights, if it attends, becomes [rows, time]. The first axis
 * of all states are rows; the last `fixed` of them, such as a memory, never change. */
typedef struct sg_stepper {
    sg_context *g;
    sg_tensor *(*step)(const void *model, sg_tensor *tokens, sg_tensor **states,
                       sg_tensor **weights);
    const void *model;
    int rows, classes;
    int start, stop; /* the token before the first, and the one that ends; stop -1: none does */
    int n, fixed;
    sg_tensor *state[SG_MAX_STATES];
} sg_stepper;

/* Language models: layers of cells, or a Transformer, over a table of tokens. Both must live as
 * long as the stepper. With a memory the Transformer is the decoder of a translation. */
typedef struct sg_deep_model {
    int layers;
    const sg_cell *cells;
    sg_tensor *table;
    sg_affine out;
} sg_deep_model;
SG_API sg_stepper sg_deep_stepper(const sg_deep_model *m, int rows, const sg_state *initial);
typedef struct sg_transformer_model {
    sg_transformer transformer;
    sg_tensor *table;
    sg_affine out;
    double scale; /* of embeddings; 0 means 1 */
} sg_transformer_model;
SG_API sg_stepper sg_transformer_stepper(const sg_transformer_model *m, int rows, sg_tensor *memory,
                                         const int *memory_lengths);

/* ---- search --------------------------------------------------------------------------------- */

/* What was found, `best` of each row, the first the best: [rows, best] of each. */
typedef struct sg_hypotheses {
    int rows, best, most;
    int32_t *ids;     /* [rows, best, most], padded with stop, or 0 where there is none */
    int *lengths;     /* before the stop token; -1 where there are fewer than `best` */
    double *scores;   /* log p of the tokens and of the stop token, if it came */
    double *adjusted; /* by length and coverage: what they are ordered by */
} sg_hypotheses;

typedef struct sg_search_options {
    const sg_stepper *model;
    int most;  /* tokens at most, without the stop token */
    int least; /* no stop token before so many */
    int width; /* of the beam; 0 means 1: greedy */
    int best;  /* how many to return; 0 means 1 */
    /* Wu et al. 2016: log p / ((5 + n) / 6)^length, n with the stop token, + coverage * sum of log
     * min(sum of weights, 1), over elements that had a weight at all: not of padding, nor of what
     * no window came to */
    double length_penalty, coverage_penalty;
    int no_repeat;         /* n-grams of so many tokens are not repeated; 0: they may be */
    const int32_t *prefix; /* [rows, prefix_time]: how sequences begin */
    const int *prefix_lengths;
    int prefix_time;
    FILE *tree; /* if given, all hypotheses are printed, indented by their steps */
    const char *(*text)(const void *user, int32_t id); /* of a token, for the tree; NULL: numbers */
    const void *user;
    int end_;
} sg_search_options;
/* Beam search (Graves 2012, Sutskever et al. 2014): the `width` best continuations of all
 * hypotheses of a row go on, but those that end; a row is finished when `width` have ended and none
 * that goes on is better, as it stands, than the `best` of these.
 * Equal ones: the earlier hypothesis, the smaller token. sg_search(&stepper, 100, .width = 5) */
#define sg_search(...) sg_search_((sg_search_options){__VA_ARGS__, .end_ = 0})
SG_API sg_hypotheses sg_search_(sg_search_options o);

typedef struct sg_sample_options {
    const sg_stepper *model;
    int most;
    double temperature; /* divides logits; 0 means 1, SG_ZERO: the most probable one */
    int top_k;          /* only the k most probable; 0: all */
    double top_p; /* only the fewest of which the probabilities reach p (Holtzman et al. 2020); 0:
                     all */
    const uint64_t *seeds; /* [rows]; NULL: from the context's seed and the row's number */
    const int32_t *prefix;
    const int *prefix_lengths;
    int prefix_time;
    int end_;
} sg_sample_options;
/* Draws token by token. scores are of the model as it is, without temperature or cuts. */
#define sg_sample(...) sg_sample_((sg_sample_options){__VA_ARGS__, .end_ = 0})
SG_API sg_hypotheses sg_sample_(sg_sample_options o);

/* log p of given tokens [rows, time] and, if asked, of the stop token after them: [rows]. */
SG_API const double *sg_score_of(const sg_stepper *model, const int32_t *ids, int time,
                                 const int *lengths, bool stop);

/* ---- CTC ------------------------------------------------------------------------------------ */

/* logits [batch, time, classes] as of sg_ctc_loss. Width 0: the most probable class of each step,
 * repetitions and blanks taken out; scores are those of that one alignment. Else prefix beam search
 * (Graves 2012, Hannun et al. 2014): the sum over alignments of each of `width` prefixes. */
SG_API sg_hypotheses sg_ctc_decode(sg_tensor *logits, const int *lengths, int blank, int width);

#ifdef __cplusplus
}
#endif

#endif
