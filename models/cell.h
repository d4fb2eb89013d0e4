/*
 * seqgrad cells and sequences: recurrent cells, their options and wrappers; over time, in both
 * directions, in layers, over trees. A chapter of models.h, where the conventions are.
 */
#ifndef SG_CELL_H
#define SG_CELL_H

#include "models/layer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- cells ---------------------------------------------------------------------------------- */

typedef struct sg_state {
    sg_tensor *h, *c; /* [batch, hidden]; c is NULL where a cell has no second state */
} sg_state;

/* A cell is a pure function of its parameters, an input and a state. wx and b are applied to the
 * inputs of all time steps at once: step gets xw = x_t wx + b (x_t itself where wx is NULL). Fill
 * in such a struct to have a cell of your own, with step, g, hidden and states at least (sg_begin
 * wants `in`, too); everything below works with it, and whatever stands behind `user` may be set
 * for it, too. States of zeros are of the type of wh, or else of wx, b, extra, bh, or else f32. */
typedef struct sg_cell sg_cell;
typedef struct sg_gates sg_gates;
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
    double state_dropout;       /* on h where it meets weights: see sg_recurrent */
    double candidate_dropout;   /* on what is about to be written (Semeniuta et al. 2016) */
    bool variational; /* one mask for all steps of a sequence, of both (Gal & Ghahramani 2016) */
    double zoneout, zoneout_c;  /* parts of h, c that stay as they were: see sg_cell_options */
    int memory;                 /* size of c, where it is not `hidden` */
    sg_tensor *mask_x, *mask_h; /* by sg_begin */
    sg_tensor *peep, *wr;       /* of an LSTM: [.. * memory], [memory, hidden] */
    sg_norm norm_x, norm_h, norm_c;
    sg_fusion fusion; /* with z set, a step sees sg_fuse(&fusion, h, z) as its h */
    sg_tensor *z;     /* [batch, ..] */
    sg_tensor *(*output)(const sg_cell *p, sg_tensor *x, sg_tensor *h); /* NULL: h */
    sg_affine gate;                                                     /* of sg_highway */
    sg_gates *gates;                                                    /* who asks for them */
};

/* Where the reset gate acts: on the state before its product, (R*h) Whn (the notes, ONNX), or on
 * the product, R*(h Whn + bhn) (PyTorch, cuDNN). */
typedef enum { SG_RESET_BEFORE, SG_RESET_AFTER } sg_gru_reset;
/* What the update gate keeps: H = Z*h + (1-Z)*H~ (the notes, PyTorch), or H = (1-Z)*h + Z*H~. */
typedef enum { SG_UPDATE_KEEP, SG_UPDATE_WRITE } sg_gru_update;

/* What names a kind of cell is an error in another. */
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
    bool peephole;  /* LSTM: gates see the memory: I, F the old one, O the new (Gers et al. 2000) */
    bool coupled;   /* LSTM: I = 1 - F, so there are three gates (Greff et al. 2016) */
    int projection; /* LSTM: H = (O*tanh(C)) Wr, of this size (Sak et al. 2014); 0: none */
    bool norm;      /* LSTM: LN(x Wx) + LN(h Wh) + b, and H = O*tanh(LN(C)) (Ba et al. 2016) */
    double state_dropout, candidate_dropout; /* as in sg_cell */
    bool variational;
    /* With H~ what the cell's formula says, of each unit h = m*h_{t-1} + (1-m)*H~, m = 1 with
     * probability `zoneout`, in training mode; otherwise h = zoneout*h_{t-1} + (1-zoneout)*H~. c
     * alike, by zoneout_c (Krueger et al. 2017). */
    double zoneout, zoneout_c;
    const void *user; /* for a function of yours that makes cells: whatever it needs */
    int end_;
} sg_cell_options;

/* From PyTorch, of layer l, where ' is a transpose, and gates come in the same order:
 *     wx, wh, wr   weight_ih_l', weight_hh_l', weight_hr_l'
 *     b            bias_ih_l + bias_hh_l; of a GRU bias_ih_l, with bh = bias_hh_l, SG_RESET_AFTER
 *     backward     the same ones of …_reverse
 * (sg_linear: w = weight', b = bias. sg_embedding: weight, as it is.) */

/* h = f(x Wx + b + h Wh) (Elman 1990). Parameters NAME.wx, .b, .wh; wh starts orthogonal. */
#define sg_rnn(...) sg_rnn_((sg_cell_options){__VA_ARGS__, .end_ = 0})
SG_API sg_cell sg_rnn_(sg_cell_options o);
/* I, F, O = sigmoid, G = tanh of x Wx + b + h Wh, in the order I F G O (PyTorch's), coupled F G O;
 * C = F*c + I*G, H = O*tanh(C) (Hochreiter & Schmidhuber 1997, Gers et al. 2000). Options add
 * NAME.peep (I F O, or F O), .wr, .norm_x.gain, .norm_h.gain, .norm_c.gain and .bias. With
 * peepholes I, F = sigmoid(… + peep*c), O = sigmoid(… + peep*C). */
#define sg_lstm(...) sg_lstm_((sg_cell_options){__VA_ARGS__, .end_ = 0})
SG_API sg_cell sg_lstm_(sg_cell_options o);
/* In the order R Z N (PyTorch's), H by `update` (Cho et al. 2014).
 *     SG_RESET_BEFORE: R, Z = sigmoid(x Wx + b + h Wh), N = H~ = tanh(x Wxn + bn + (R*h) Whn),
 *                      where Whn is the parameter NAME.whn;
 *     SG_RESET_AFTER:  R, Z = sigmoid(x Wx + b + h Wh + bh), where Whn is a part of wh,
 *                      N = tanh(x Wxn + bn + R*(h Whn + bhn)), with a second bias, NAME.bh. */
#define sg_gru(...) sg_gru_((sg_cell_options){__VA_ARGS__, .end_ = 0})
SG_API sg_cell sg_gru_(sg_cell_options o);
/* The minimal gated unit (Zhou et al. 2016): F = sigmoid(x Wxf + bf + h Wh), N = tanh(x Wxn + bn +
 * (F*h) Whn), H = (1-F)*h + F*N. Parameters NAME.wx, .b (F N), .wh, .whn. */
#define sg_mgu(...) sg_mgu_((sg_cell_options){__VA_ARGS__, .end_ = 0})
SG_API sg_cell sg_mgu_(sg_cell_options o);

/* Wrappers of any cell: its states stay what they are, what it gives out at each step becomes
 * y = h + x (He et al. 2016; x of the size of h), or y = T*h + (1-T)*x with T = sigmoid(x Wt + bt)
 * (Srivastava et al. 2015), parameters NAME.w, .b; bt starts at -1. */
SG_API sg_cell sg_residual(sg_cell p);
SG_API sg_cell sg_highway(sg_cell p, const char *name);

SG_API sg_state sg_zero_state(const sg_cell *p, int64_t batch);
/* One step from x_t [batch, in]; what is given out is then sg_output(p, x, s.h). */
SG_API sg_state sg_cell_step(const sg_cell *p, sg_tensor *x, sg_state s);
SG_API sg_tensor *sg_output(const sg_cell *p, sg_tensor *x, sg_tensor *h);
/* The cell at the beginning of a sequence, with the masks of `variational` drawn: sg_unroll begins
 * by itself, a loop of your own over sg_cell_step does so by this. */
SG_API sg_cell sg_begin(const sg_cell *p, int64_t batch);
/* For steps: h as it meets weights, with the dropout of states; what is written, with its own. */
SG_API sg_tensor *sg_recurrent(const sg_cell *p, sg_tensor *h);
SG_API sg_tensor *sg_candidate(const sg_cell *p, sg_tensor *n);

/* What the gates were, by the letters of the formulas above: I F G O of an LSTM (coupled: F G O), R
 * Z N of a GRU, F N of a minimal gated unit, each [batch, units] of a step. With p.gates set a step
 * fills this in; sg_unroll has it over time. A step of your own tells its gates by sg_show_gate,
 * the same ones at each step; it costs nothing where nobody asks. */
enum { SG_MAX_GATES = 8 };
struct sg_gates {
    int n;
    const char *name[SG_MAX_GATES];
    sg_tensor *value[SG_MAX_GATES];
};
SG_API void sg_show_gate(const sg_cell *p, const char *name, sg_tensor *value);

/* ---- sequences ------------------------------------------------------------------------------ */

typedef struct sg_unroll_options {
    sg_cell cell;
    sg_tensor *x; /* [batch, time, in] */
    const int *lengths;
    bool reverse;     /* from each sequence's own end to its beginning */
    sg_state initial; /* zeros where NULL */
    sg_state *final;  /* if wanted, the state after each sequence's last element; the initial one
                         where a sequence is empty */
    sg_gates *gates;  /* if wanted, the cell's gates at every step: [batch, time, units] each */
    int end_;
} sg_unroll_options;
/* The cell over a sequence: h at every step, [batch, time, hidden], 0 behind the length.
 * sg_unroll(cell, x, .lengths = n, .reverse = true) */
#define sg_unroll(...) sg_unroll_((sg_unroll_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_unroll_(sg_unroll_options o);
/* Both directions, joined: [batch, time, 2 * hidden]. final: the two final states, joined. */
SG_API sg_tensor *sg_bidirectional(sg_cell forward, sg_cell backward, sg_tensor *x,
                                   const int *lengths, sg_state *final);

typedef struct sg_deep_options {
    int layers;
    const sg_cell *forward, *backward; /* [layers] each; no backward ones: one direction */
    sg_tensor *x;                      /* [batch, time, in] */
    const int *lengths;
    /* [layers], joins what both directions give out, l and r; NULL: [l; r]. The MLP is the sum form
     * y = g(l V + r V' + b) of Schuster & Paliwal 1997, which is that of [l; r] with [V; V']. */
    const sg_fusion *merge;
    double dropout;          /* between layers, in training mode */
    const sg_state *initial; /* by layer and direction: [layers], or [2 * layers] */
    sg_state *final;         /* if wanted; as `initial` */
    int end_;
} sg_deep_options;
/* Layers of any cells over a sequence, each over what the one below gives out; what the top one
 * does: [batch, time, ..]. sg_deep(2, fw, bw, x, lengths, .dropout = 0.5) */
#define sg_deep(...) sg_deep_((sg_deep_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tensor *sg_deep_(sg_deep_options o);

/* The states, with values that outlive the next reset (sg_keep), in place: what a stretch of text
 * leaves to the next one in truncated backpropagation through time, where they are constants. */
SG_API void sg_carry(int n, sg_state *states);

/* h at each row's element lengths[b] - 1, zeros for an empty one: [batch, hidden]. */
SG_API sg_tensor *sg_last(sg_tensor *h, const int *lengths);
/* N to 1: the last, the mean, the largest of each feature; 0 of an empty sequence. */
typedef enum { SG_POOL_LAST, SG_POOL_MEAN, SG_POOL_MAX } sg_pooling;
SG_API sg_tensor *sg_pool(sg_pooling kind, sg_tensor *h, const int *lengths);
/* 1 to N: x [batch, in] as a sequence of so many steps: at all of them, or zeros after the first.
 */
SG_API sg_tensor *sg_from_one(sg_tensor *x, int64_t time, bool first_only);

/* ---- trees ---------------------------------------------------------------------------------- */

/* I, O, F_k = sigmoid, U = tanh of x Wx + b and of what the children say; C = I*U + sum F_k*c_k, H
 * = O*tanh(C) (Tai et al. 2015). N-ary: [h_1; … h_N] Uh, in which each F_k has columns of its own;
 * child-sum, of any number in any order: (sum h_k) Uh, and h_k Uf for F_k. Written for one node;
 * many are a loop or a recursion in your program. */
typedef struct sg_tree_cell {
    int in, hidden, children; /* N; 0: child-sum */
    sg_tensor *wx, *b;        /* [in, 4 hidden], [4 hidden]: I O U F */
    sg_tensor *uh, *uf;       /* [N hidden, (3 + N) hidden]: I O U F_1 …; or [hidden, 3 hidden] */
} sg_tree_cell;

typedef struct sg_tree_options {
    sg_context *g;
    const char *name;
    int in, hidden, children;
    sg_dtype dtype;
    int end_;
} sg_tree_options;
/* Parameters NAME.wx, .b, .uh, .uf. sg_tree_lstm(g, "tree", 100, 150, .children = 2) */
#define sg_tree_lstm(...) sg_tree_lstm_((sg_tree_options){__VA_ARGS__, .end_ = 0})
SG_API sg_tree_cell sg_tree_lstm_(sg_tree_options o);
/* A node over n children, none of a leaf, with x [batch, in], or NULL where a node has no word. */
SG_API sg_state sg_tree_node(const sg_tree_cell *p, sg_tensor *x, int n, const sg_state *children);

#ifdef __cplusplus
}
#endif

#endif
