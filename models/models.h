/*
 * seqgrad models: cells, sequences, attention, encoders and decoders, all composed of generic ops.
 * There is no derivative in here, and none is needed.
 *
 * Conventions. Rows are examples: the text-book's W x is x W here, and a weight that maps n inputs
 * to m outputs is [n, m]. Sequences are [batch, time, features]. `lengths` are arrays of batch
 * numbers, 0..time, in any order; NULL means that all are full. What stands behind a sequence's
 * length never changes a result. Layers are small structs of parameters, returned by value; making
 * one again under the same name finds the same parameters.
 */
#ifndef SG_MODELS_H
#define SG_MODELS_H

#include "core/core.h"
#include "models/plot.h"
#include "models/text.h"
#include "ops/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- linear, embedding, dropout ------------------------------------------------------------- */

typedef struct sg_affine {
    sg_tensor *w, *b; /* [in, out], [out] or NULL */
} sg_affine;

typedef struct sg_linear_options {
    sg_context *g;
    const char *name;
    int in, out;
    bool no_bias;
    sg_init init; /* of w; b starts at 0 */
    double gain;
    sg_dtype dtype;
    int end_;
} sg_linear_options;
/* y = x W + b, with parameters NAME.w and NAME.b.
 * sg_affine out = sg_linear(g, "out", .in = 128, .out = 10); y = sg_apply(out, x); */
#define sg_linear(...) sg_linear_((sg_linear_options){__VA_ARGS__, .end_ = 0})
SG_API sg_affine sg_linear_(sg_linear_options o);
SG_API sg_tensor *sg_apply(sg_affine a, sg_tensor *x); /* [..., in] -> [..., out] */

typedef struct sg_embedding_options {
    sg_context *g;
    const char *name;
    int count, size; /* rows, features */
    double gain;     /* N(0, gain); 0 means 1 / sqrt(size) */
    sg_dtype dtype;
    int end_;
} sg_embedding_options;
/* A table NAME [count, size]; sg_take(table, ids) looks rows up. */
#define sg_embedding(...) sg_embedding_((sg_embedding_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_embedding_(sg_embedding_options o);

/* In training mode: each element is 0 with probability p, else divided by 1 - p; otherwise x. */
SG_API sg_tensor *sg_dropout(sg_tensor *x, double p);

/* ---- cells ---------------------------------------------------------------------------------- */

typedef struct sg_state {
    sg_tensor *h, *c; /* [batch, hidden]; c is NULL where a cell has no second state */
} sg_state;

/* A cell is a pure function of its parameters, an input and a state. wx and b are applied to the
 * inputs of all time steps at once: step gets xw = x_t wx + b (x_t itself where wx is NULL). Fill
 * in such a struct to have a cell of your own, with step, g, hidden and states at least; everything
 * below works with it. */
typedef struct sg_cell sg_cell;
struct sg_cell {
    sg_state (*step)(const sg_cell *p, sg_tensor *xw, sg_state s);
    sg_context *g;
    int in, hidden;
    int states;                 /* 1: h; 2: h and c */
    sg_tensor *wx, *b;          /* [in, gates * hidden], [gates * hidden] */
    sg_tensor *wh, *bh, *extra; /* [hidden, gates * hidden], …: as step uses them */
    const void *user;           /* whatever else a cell of your own needs: its other parameters */
    int variant;                /* of the built-in cells */
    double dropout;             /* on the inputs, in training mode */
};

typedef enum { SG_TANH, SG_RELU, SG_IDENTITY, SG_SIGMOID } sg_activation;
SG_API sg_tensor *sg_activate(sg_tensor *x, sg_activation f);

/* Where the reset gate acts: on the state before its product, R*h Whh (the notes, ONNX), or on the
 * product, R*(h Whh + bhh) (PyTorch, cuDNN). */
typedef enum { SG_RESET_BEFORE, SG_RESET_AFTER } sg_gru_reset;
/* What the update gate keeps: H = Z*h + (1-Z)*H~ (the notes, PyTorch), or H = (1-Z)*h + Z*H~. */
typedef enum { SG_UPDATE_KEEP, SG_UPDATE_WRITE } sg_gru_update;

typedef struct sg_cell_options {
    sg_context *g;
    const char *name;
    int in, hidden;
    sg_activation activation; /* RNN */
    double forget_bias;       /* LSTM: initial bias of the forget gate; 0 means 1 */
    sg_gru_reset reset;       /* GRU */
    sg_gru_update update;     /* GRU */
    double dropout;
    sg_dtype dtype;
    int end_;
} sg_cell_options;

/* h = f(x Wx + b + h Wh) (Elman 1990). Parameters NAME.wx, .b, .wh; wh starts orthogonal. */
#define sg_rnn(...) sg_rnn_((sg_cell_options){__VA_ARGS__, .end_ = 0})
SG_API sg_cell sg_rnn_(sg_cell_options o);
/* I, F, O = sigmoid, G = tanh of x Wx + b + h Wh, in the order I F G O (PyTorch's);
 * C = F*c + I*G, H = O*tanh(C) (Hochreiter & Schmidhuber 1997, Gers et al. 2000). */
#define sg_lstm(...) sg_lstm_((sg_cell_options){__VA_ARGS__, .end_ = 0})
SG_API sg_cell sg_lstm_(sg_cell_options o);
/* R, Z = sigmoid(x Wx + b + h Wh), in the order R Z N (PyTorch's); N = H~ = tanh(…) by `reset`, H
 * by `update` (Cho et al. 2014). SG_RESET_BEFORE has N's weights of the state apart, as NAME.whn;
 * SG_RESET_AFTER has a second bias, NAME.bh. */
#define sg_gru(...) sg_gru_((sg_cell_options){__VA_ARGS__, .end_ = 0})
SG_API sg_cell sg_gru_(sg_cell_options o);

SG_API sg_state sg_zero_state(const sg_cell *p, int64_t batch);
/* One step from x_t [batch, in]. */
SG_API sg_state sg_cell_step(const sg_cell *p, sg_tensor *x, sg_state s);

/* ---- sequences ------------------------------------------------------------------------------ */

typedef struct sg_unroll_options {
    sg_cell cell;
    sg_tensor *x; /* [batch, time, in] */
    const int *lengths;
    bool reverse;     /* from each sequence's own end to its beginning */
    sg_state initial; /* zeros where NULL */
    sg_state *final;  /* if wanted, the state after each sequence's last element; the initial one
                         where a sequence is empty */
    int end_;
} sg_unroll_options;
/* The cell over a sequence: h at every step, [batch, time, hidden], 0 behind the length.
 * sg_unroll(cell, x, .lengths = n, .reverse = true) */
#define sg_unroll(...) sg_unroll_((sg_unroll_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_unroll_(sg_unroll_options o);
/* Both directions, joined: [batch, time, 2 * hidden]. final: the two final states, joined. */
SG_API sg_tensor *sg_bidirectional(sg_cell forward, sg_cell backward, sg_tensor *x,
                                   const int *lengths, sg_state *final);
/* h at each row's element lengths[b] - 1, zeros for an empty one: [batch, hidden]. */
SG_API sg_tensor *sg_last(sg_tensor *h, const int *lengths);

/* ---- attention ------------------------------------------------------------------------------ */

typedef enum {
    SG_DOT,        /* q . k (Luong et al. 2015) */
    SG_SCALED_DOT, /* q . k / sqrt(n) (Vaswani et al. 2017) */
    SG_GENERAL,    /* q Wa . k (Luong) */
    SG_CONCAT      /* v . tanh(q Wq + k Wk) (Bahdanau et al. 2015) */
} sg_score;

typedef struct sg_attention {
    sg_score score;
    sg_tensor *wq, *wk, *v; /* [query, hidden], [key, hidden], [hidden, 1]; Wa is wq [query, key] */
} sg_attention;

typedef struct sg_attention_options {
    sg_context *g;
    const char *name;
    sg_score score;
    int query, key; /* sizes; equal for the dot scores */
    int hidden;     /* of the concat score; 0 means key */
    sg_dtype dtype;
    int end_;
} sg_attention_options;
/* Parameters NAME.wa (general), or NAME.wq, .wk, .v (concat). */
#define sg_make_attention(...) sg_make_attention_((sg_attention_options){__VA_ARGS__, .end_ = 0})
SG_API sg_attention sg_make_attention_(sg_attention_options o);

/* What is attended to, prepared once: values, projected keys and the mask of the lengths. */
typedef struct sg_memory {
    sg_tensor *values, *keys; /* [batch, time, …]; keys as the score reads them */
    sg_tensor *mask;          /* u8 [batch, 1, time], or NULL */
} sg_memory;
SG_API sg_memory sg_remember(const sg_attention *a, sg_tensor *values, const int *lengths);

typedef struct sg_attended {
    sg_tensor *context; /* [batch, key], or [batch, queries, key] */
    sg_tensor *weights; /* [batch, time], or [batch, queries, time]; rows sum to 1, those over an
                           empty sequence are 0 */
} sg_attended;
/* query: [batch, query], or [batch, queries, query] for several at once. */
SG_API sg_attended sg_attend(const sg_attention *a, const sg_memory *m, sg_tensor *query);

/* ---- losses --------------------------------------------------------------------------------- */

typedef struct sg_label_loss_options {
    sg_tensor *logits;     /* [batch, time, classes] */
    const int32_t *labels; /* batch * time of them, copied */
    const int *lengths;
    double smoothing; /* as in sg_cross_entropy */
    int end_;
} sg_label_loss_options;
typedef struct sg_loss {
    sg_tensor *sum;  /* of -log p(label) over real tokens */
    sg_tensor *mean; /* sum / tokens; 0 of none */
    int64_t tokens;
} sg_loss;
#define sg_label_loss(...) sg_label_loss_((sg_label_loss_options){__VA_ARGS__, .end_ = 0})
SG_API sg_loss sg_label_loss_(sg_label_loss_options o);

/* ---- encoder, decoder, sequence to sequence ------------------------------------------------- */

typedef enum { SG_CELL_RNN, SG_CELL_GRU, SG_CELL_LSTM } sg_cell_kind;
enum { SG_MAX_LAYERS = 8 };

typedef struct sg_seq2seq_options {
    sg_context *g;
    const char *name;
    int source_count, target_count; /* vocabulary sizes */
    int embed, hidden, layers;      /* 0 means 128, 256, 1 */
    sg_cell_kind cell;
    bool no_attention;
    sg_score score;
    bool post;          /* Luong: attend from h_t; else Bahdanau: from h_{t-1}, into the cell */
    bool input_feeding; /* the attentional state of the step before is an input, too */
    double dropout;
    sg_gru_reset reset;
    sg_dtype dtype;
    int end_;
} sg_seq2seq_options;

/* A bidirectional encoder of `layers` layers, each direction with hidden / 2 units (so `hidden`,
 * the size of the decoder and of what is attended to, is even); a decoder of as many layers, whose
 * initial states h, and c, are q(h_N), q(c_N): a tanh layer each of the final states of the
 * encoder's layer beside it; attention over the states of the encoder's top layer from those of the
 * decoder's; readout tanh(Wc [context; h]), and an output layer. The context is an input of the
 * decoder's first cell, too, unless `post` is set. Without attention the context is the encoder's
 * final state, at every step. Dropout acts on the inputs of all layers and on the readout.
 * Parameters NAME.source, .target (embeddings), .forward0, .backward0, .decoder0 … (cells),
 * .bridge0h, .bridge0c …, .readout, .out (linear), .attention. The name is not kept. */
typedef struct sg_seq2seq {
    sg_seq2seq_options o;
    sg_tensor *source_table, *target_table;
    sg_cell forward[SG_MAX_LAYERS], backward[SG_MAX_LAYERS], decoder[SG_MAX_LAYERS];
    sg_affine bridge[SG_MAX_LAYERS][2]; /* of h and c */
    sg_attention attention;
    sg_affine readout, out;
} sg_seq2seq;
#define sg_make_seq2seq(...) sg_make_seq2seq_((sg_seq2seq_options){__VA_ARGS__, .end_ = 0})
SG_API sg_seq2seq sg_make_seq2seq_(sg_seq2seq_options o);

typedef struct sg_encoded {
    sg_memory memory;
    sg_tensor *context; /* [batch, hidden]: final states, what is used without attention */
    sg_state state[SG_MAX_LAYERS]; /* initial ones of the decoder */
    sg_tensor *feed;               /* attentional state of the step before, [batch, hidden] */
} sg_encoded;
/* source: batch * time ids, padded; copied, like lengths. */
SG_API sg_encoded sg_seq2seq_encode(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                                    const int *lengths);

/* Teacher forcing: logits [batch, time, target_count] from the true tokens before each step (which
 * begin with the start token); weights, if not NULL, gets the attention [batch, time, source], or
 * NULL where there is none. */
SG_API sg_tensor *sg_seq2seq_decode(const sg_seq2seq *m, const sg_encoded *e, const int32_t *target,
                                    int batch, int time, sg_tensor **weights);
/* The loss of a batch, from the encoder to the label loss. */
SG_API sg_loss sg_seq2seq_loss(const sg_seq2seq *m, const sg_batch *b, double smoothing);

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

#ifdef __cplusplus
}
#endif

#endif
