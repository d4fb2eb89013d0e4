/*
 * seqgrad models: cells, sequences, attention, encoders and decoders, all composed of generic ops.
 * There is no derivative in here, and none is needed.
 *
 * Conventions. Rows are examples: the text-book's W x is x W here, and a weight that maps n inputs
 * to m outputs is [n, m]. Sequences are [batch, time, features]. `lengths` are arrays of batch
 * numbers, 0..time, in any order; NULL means that all are full. What stands behind a sequence's
 * length never changes a result. Layers are small structs of parameters, returned by value; making
 * one again under the same name finds the same parameters. Sizes that do not fit are SG_BAD_SHAPE,
 * options that are not possible SG_BAD_ARGUMENT; what is returned then is inert, and the message
 * tells the layer, by kind and name, and what met.
 */
#ifndef SG_MODELS_H
#define SG_MODELS_H

#include "models/attention.h"
#include "models/cell.h"
#include "models/decode.h"
#include "models/layer.h"
#include "models/plot.h"
#include "models/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- encoder, decoder, sequence to sequence ------------------------------------------------- */

typedef enum { SG_CELL_RNN, SG_CELL_GRU, SG_CELL_LSTM } sg_cell_kind;
enum { SG_MAX_LAYERS = 8, SG_MAX_SOURCES = 4 };

/* What the decoder gets the context as: its initial states and an input of every step; initial
 * states only (Sutskever et al. 2014); inputs only, from states of zeros. */
typedef enum { SG_CONTEXT_BOTH, SG_CONTEXT_STATE, SG_CONTEXT_INPUT } sg_context_use;

/* s, what a layer of the encoder with the states h_1 … h_N says of the whole source: h_N; their
 * mean; the largest of each feature; their sum with weights softmax(v . tanh(h W + b))
 * (sg_attention_pool). Of memories there is the last one only, c_N. */
typedef enum { SG_SUMMARY_LAST, SG_SUMMARY_MEAN, SG_SUMMARY_MAX, SG_SUMMARY_ATTENTION } sg_summary;
/* What the context c is, with q(s) = tanh(s Wq + bq): q(s) as an initial state, s as an input; c =
 * s (Sutskever et al. 2014); c = q(s) (Cho et al. 2014). */
typedef enum { SG_BRIDGE_STATE, SG_BRIDGE_NONE, SG_BRIDGE_BOTH } sg_bridge;
/* Where extra information z meets the decoder: y_{t-1}, as f(y_{t-1}, z); the state that a step of
 * the first layer sees, f(s_{t-1}, z); what is read out, f(s_t, z). */
typedef enum { SG_FUSE_INPUT, SG_FUSE_STATE, SG_FUSE_OUTPUT } sg_fuse_place;

typedef struct sg_seq2seq_options {
    sg_context *g;
    const char *name;
    int source_count, target_count; /* vocabulary sizes */
    int embed, hidden, layers;      /* 0 means 128, 256, 1 */
    sg_cell_kind cell;
    /* Instead of a kind: makes any cell, of the size that it is asked for, such as sg_mgu_, or a
     * function of yours that sets options of the LSTM's or wraps a cell where .in is .hidden. */
    sg_cell (*make)(sg_cell_options o);
    bool no_attention;
    sg_score score;
    bool post;          /* Luong: attend from h_t; else Bahdanau: from h_{t-1}, into the cell */
    bool input_feeding; /* the attentional state of the step before is an input, too */
    double dropout;
    sg_gru_reset reset; /* where the cell is a GRU */
    sg_dtype dtype;
    bool coverage; /* as in sg_attention_options, like window, heads, monotonic */
    int window, heads;
    double coverage_loss; /* in training mode losses have so many times sum over steps and elements
                             of min(a_t, a_1 + … a_{t-1}), a the weights (See et al. 2017) */
    sg_context_use context; /* SG_CONTEXT_STATE: without attention only */
    sg_summary summary;     /* of each layer, for the one beside it; of the top one as input */
    sg_bridge bridge;
    bool one_way;                  /* the encoder reads forward only, with `hidden` units */
    sg_fusion_kind merge;          /* of both directions; but for CONCAT each has `hidden` units */
    bool token_out;                /* the readout sees the last token, too (Cho et al. 2014) */
    bool tied;                     /* the output layer is the target's table; `embed` is `hidden` */
    double state_dropout, zoneout; /* of all cells, as in sg_cell; zoneout of h and c */
    bool variational;              /* one mask of state_dropout for all steps */
    /* Several sources (an article and a question), each with an encoder of its own: the first has
     * source_count tokens, others own_count[k], or where it is 0 the first one's table. */
    int sources, own_count[SG_MAX_SOURCES]; /* 0 means 1 */
    sg_fusion_kind join;                    /* of what comes from them: see below */
    bool monotonic;                         /* the window of step t = 0, 1, … stands at t */
    const void *user;                       /* which `make` finds in its options */
    /* Extra information z (a class, features of a picture, one vector for a question) of so many
     * features, which you set in sg_encoded; 0: none. ADD of other sizes is h + z Wz. */
    int extra;
    sg_fusion_kind fuse;
    sg_fuse_place fuse_at;
    int end_;
} sg_seq2seq_options;

/* Options that would do nothing are errors: those of attention with no_attention, join of one
 * source, merge of one direction, fuse without extra.
 *
 * A bidirectional encoder of `layers` layers, each direction with hidden / 2 units (so `hidden`,
 * the size of the decoder and of what is attended to, is even, unless `merge` or `one_way` say
 * otherwise); a decoder of as many layers, each of which begins with the summary of the encoder's
 * layer beside it; attention over the states of the encoder's top layer from those of the
 * decoder's. With the token y_{t-1}, and without attention c_t = c:
 *     Bahdanau: c_t = attend(s_{t-1}), s_t = f([y_{t-1}; c_t], s_{t-1});
 *     Luong (`post`): s_t = f(y_{t-1}, s_{t-1}), c_t = attend(s_t);
 *     r_t = tanh([c_t; s_t] Wr + br), p(y_t) = softmax(r_t Wo + bo)
 * where f is all layers, `input_feeding` makes r_{t-1} an input of f, too, and `token_out` reads
 * out [y_{t-1}; c_t; s_t]: with no_attention what Cho's decoder sees, through tanh instead of
 * maxout. Dropout acts on the inputs of all layers and on the readout.
 *
 * Of several sources each is attended to by itself, c_t = join(c_t of the first, c_t of the
 * second), and their summaries are joined alike, s = join(s of the first, s of the second): [c;
 * c'], [s; s'] by default, of which q makes `hidden` features. Weights of attention are those over
 * the first source, then those over the second. `merge` joins what the directions of a layer give
 * out, and what they end with, y = tanh(l A + r A' + b), say.
 *
 * Parameters NAME.source, .target (embeddings), .forward0, .backward0, .decoder0 … (cells),
 * .bridge0h, .bridge0c … (linear), .fusion, .pool0 … (attention pool), .merge0h, .merge0c …
 * (fusions), .readout, .out (linear), .attention; of further sources NAME.encoder1.source,
 * .forward0, .backward0, .pool0, .merge0h …, .attention, and .join, .join0h, .join0c … (fusions
 * with those before). The name is not kept. */
typedef struct sg_encoder {
    sg_tensor *table;
    sg_cell forward[SG_MAX_LAYERS], backward[SG_MAX_LAYERS];
    sg_attention_pool pool[SG_MAX_LAYERS];
    sg_attention attention;
    sg_fusion merge[SG_MAX_LAYERS][2];            /* of h and c */
    sg_fusion join, join_state[SG_MAX_LAYERS][2]; /* of contexts; of h and c */
} sg_encoder;
typedef struct sg_seq2seq {
    sg_seq2seq_options o;
    sg_encoder encoder[SG_MAX_SOURCES];
    sg_tensor *target_table;
    sg_cell decoder[SG_MAX_LAYERS];
    sg_affine bridge[SG_MAX_LAYERS][2]; /* of h and c */
    sg_fusion fusion;                   /* with z */
    sg_affine readout, out;             /* out.w is NULL where it is tied */
} sg_seq2seq;
#define sg_make_seq2seq(...) sg_make_seq2seq_((sg_seq2seq_options){__VA_ARGS__, .end_ = 0})
SG_API sg_seq2seq sg_make_seq2seq_(sg_seq2seq_options o);

typedef struct sg_encoded {
    sg_memory memory[SG_MAX_SOURCES];
    sg_tensor *context;            /* [batch, ..]: c, what is an input without attention */
    sg_state state[SG_MAX_LAYERS]; /* initial ones of the decoder */
    sg_tensor *feed;               /* attentional state of the step before, [batch, hidden] */
    sg_tensor *z;                  /* [batch, extra]: to be set by you, where there is any */
} sg_encoded;
/* Ids are copied, like lengths; the second form is of all sources of the model. */
SG_API sg_encoded sg_seq2seq_encode(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                                    const int *lengths);
SG_API sg_encoded sg_seq2seq_encode_all(const sg_seq2seq *m, int batch, const sg_source *sources);

/* Teacher forcing: logits [batch, time, target_count] from the true tokens before each step (which
 * begin with the start token); weights, if not NULL, gets the attention [batch, time, source], or
 * NULL where there is none. */
SG_API sg_tensor *sg_seq2seq_decode(const sg_seq2seq *m, const sg_encoded *e, const int32_t *target,
                                    int batch, int time, sg_tensor **weights);
/* The loss of a batch, from the encoder to the label loss. */
SG_API sg_loss sg_seq2seq_loss(const sg_seq2seq *m, const sg_batch *b, double smoothing);
/* The same of what was encoded, whatever it was; `truth` below 1 is that of scheduled sampling. */
SG_API sg_loss sg_seq2seq_loss_from(const sg_seq2seq *m, const sg_encoded *e, const sg_batch *b,
                                    double smoothing, double truth);

/* Scheduled sampling (Bengio et al. 2015): a coin for each step and row decides whether the true
 * token is the next input, with probability `truth`, or the model's own most probable one. 1 is
 * teacher forcing, 0 free running. Out of training mode it is teacher forcing. */
SG_API sg_loss sg_seq2seq_sampled_loss(const sg_seq2seq *m, const sg_batch *b, double smoothing,
                                       double truth);

/* The decoder's step, from what was encoded: for sg_search, sg_sample, sg_score_of. The model must
 * live as long as the stepper. */
SG_API sg_stepper sg_seq2seq_stepper(const sg_seq2seq *m, const sg_encoded *encoded);

typedef struct sg_greedy {
    int32_t *ids;   /* batch * most, each row ended by SG_STOP if it came, and padded by SG_PAD */
    int *lengths;   /* [batch]: tokens before the stop token */
    float *weights; /* batch * most * source time, 0 in the padding; NULL without attention */
    int most;       /* steps taken: no more than were asked for */
} sg_greedy;
/* The most probable token at each step, until the stop token or `most` tokens, without dropout.
 * Decoding a sentence alone or in a batch gives the same. The arrays are the context's, until its
 * reset; NULL on error. */
SG_API sg_greedy sg_seq2seq_greedy(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                                   const int *lengths, int most);
/* The same from what was encoded, of whatever sources; not in training mode. */
SG_API sg_greedy sg_seq2seq_greedy_from(const sg_seq2seq *m, const sg_encoded *e, int most);

#ifdef __cplusplus
}
#endif

#endif
