/*
 * A recurrent language model 循环语言模型, what word_lm and char_rnn have in common: at every step
 * it tells how probable each token is as the next one.
 *
 *     P(w_1 … w_n) = Π P(w_t | w_1 … w_{t-1}),   P(w_t | …) = softmax(h_{t-1} W + b)[w_t]
 *
 * A text is one long sequence, longer than can be learnt from at once. Its subsequences are sampled
 * in one of two ways, both by sg_subsequences_make:
 *   - sequential 顺序分区: the text is cut into as many rows as a batch has; a row's subsequences
 *     follow each other, and the state at the end of one is the beginning of the next, as a number:
 *     gradients stop there (truncated backpropagation through time 截断的时间反向传播);
 *   - random 随机采样: subsequences from random places, each from a state of zeros.
 */
#ifndef EXAMPLES_LANGUAGE_H
#define EXAMPLES_LANGUAGE_H

#include "examples/cells.h"
#include "examples/program.h"

/* A text in two: the first `share` of what is to be predicted, and the rest. */
typedef struct language_parts {
    sg_sequence first, rest; /* of the text's ids */
} language_parts;
language_parts language_cut(const sg_sequence *text, double share);

/* ---- the model ------------------------------------------------------------------------------ */

enum { LANGUAGE_LAYERS = 8 };

typedef struct language_config {
    cells_choice cell;
    int embed, hidden, layers; /* embed 0: as hidden */
    bool tied;                 /* the output layer is the embedding */
    double dropout, init;      /* all parameters begin in U(-init, init); 0: the library's way */
} language_config;

typedef struct language {
    sg_context *g;
    language_config c;
    sg_tensor *table;
    sg_cell layer[LANGUAGE_LAYERS];
    sg_affine out;                   /* of one that is tied: w is NULL, see language_out */
    sg_state state[LANGUAGE_LAYERS]; /* carried from one subsequence to the next; NULLs are zeros */
} language;

language language_make(sg_context *g, language_config c, const sg_vocabulary *v);
sg_affine language_out(const language *m); /* until the next reset */
void language_forget(language *m);         /* back to a state of zeros */
/* Logits of the next tokens, [rows, time, vocabulary], going on from the state, which moves on by
 * the next evaluation. */
sg_tensor *language_logits(language *m, const int32_t *x, int rows, int time);
/* The summed loss of a batch of subsequences, to be divided by its tokens. */
sg_tensor *language_loss(language *m, const sg_subsequence *b);

/* Over a whole text as one sequence, nothing left out. */
sg_nll language_score(language *m, const sg_sequence *text, int rows);

/* Draws the gates of all layers over a text from a line's beginning, to a stream and an SVG, or
 * NULL: of each gate the mean over its units, and the first few of them. */
void language_draw_gates(const language *m, const sg_vocabulary *v, const char *text, FILE *f,
                         const char *svg);

/* The model in the program's file with the configuration that it was saved with, which is set; *v
 * becomes its vocabulary. */
language language_load(sg_context *g, const program *p, language_config *c, sg_vocabulary **v);
/* What it makes of the last `share` of --test; how many lines that file has. */
sg_nll language_evaluate(sg_context *g, const program *p, language_config *c, double share,
                         int *lines);

#endif
