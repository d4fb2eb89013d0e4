/* What the sources of models/ share and nobody else sees. */
#ifndef SG_MODELS_INTERNAL_H
#define SG_MODELS_INTERNAL_H

#include "models/models.h"

/* Whether all of batch lengths (NULL: all are full) are in 0..time; otherwise raises the error. */
bool sg__good_lengths(sg_context *g, int64_t batch, int64_t time, const int *lengths);
bool sg__good_dropout(sg_context *g, double p);
/* Layers without a name would be one and the same: raises that error. */
void sg__need_name(sg_context *g, const char *name);
/* lengths, or NULL where all sequences are full. */
const int *sg__short_ones(const int *lengths, int64_t batch, int64_t time);
/* What all cells of the library have: parameters of `gates` blocks of `units` columns for the
 * input, of `blocks` for the state. Options of another kind of cell are an error. */
sg_cell sg__make_cell(const sg_cell_options *o, const char *kind, int gates, int units, int blocks,
                      const void *bias);
sg_state sg__zero_state(const sg_cell *p, int64_t batch, sg_dtype dtype);
sg_cell sg__begin(const sg_cell *p, sg_dtype dtype, int64_t batch, int64_t features);
/* x [B,in] or [B,T,in] with the cell's dropout; one step from x wx + b. */
sg_tensor *sg__cell_input(const sg_cell *p, sg_tensor *x);
sg_state sg__step(const sg_cell *p, sg_tensor *xw, sg_state s);
/* Whether a step, of whoever's making, gave states as the cell has; otherwise raises the error. */
bool sg__good_step(const sg_cell *p, sg_tensor *xw, sg_state s);
/* Size of the second state, if there is one. */
static inline int sg__memory_of(const sg_cell *p)
{
    return p->memory ? p->memory : p->hidden;
}
static inline sg_tensor *sg__nothing(sg_context *g) /* the inert tensor */
{
    return sg_fail(g, SG_OK, "inert");
}

/* Heads [B,heads,T,d]: q, k, v of a sequence itself, from a position on; q, and k, v of a memory;
 * and what is made of them. */
void sg__heads_self(const sg_heads *a, sg_tensor *x, int64_t start, sg_tensor **qkv);
sg_tensor *sg__heads_query(const sg_heads *a, sg_tensor *x);
void sg__heads_memory(const sg_heads *a, sg_tensor *memory, sg_tensor **kv);
sg_attended sg__heads_attend(const sg_heads *a, sg_tensor *q, sg_tensor *k, sg_tensor *v,
                             sg_tensor *mask);

/* x [B,T,..] with what is behind a sequence's length (NULL: nothing) replaced by 0, so that no NaN
 * in there can reach a product. */
sg_tensor *sg__clean(sg_tensor *x, const int *lengths);
/* The n steps [B,..] of x [B,n,..]. */
void sg__cut_steps(sg_tensor *x, int64_t n, sg_tensor **steps);
/* n steps [B,columns] as [B,n,columns], also for n = 0; B and the type are x's. */
sg_tensor *sg__stack_steps(int64_t n, sg_tensor **steps, sg_tensor *x, int64_t columns);

/* ---- the steps of a sequence to sequence decoder -------------------------------------------- */

/* Features of what comes from all sources together, and of that beside the embedding in what the
 * decoder's first cell gets. */
static inline int sg__joined_size(const sg_seq2seq_options *o, int one)
{
    return o->join == SG_FUSE_CONCAT ? o->sources * one : one;
}
static inline int sg__context_size(const sg_seq2seq_options *o)
{
    bool bridged = o->no_attention && o->bridge == SG_BRIDGE_BOTH;
    return o->context == SG_CONTEXT_STATE ? 0 : bridged ? o->hidden : sg__joined_size(o, o->hidden);
}
static inline int sg__input_context_size(const sg_seq2seq_options *o)
{
    return o->post ? 0 : sg__context_size(o);
}
static inline int sg__fused_size(const sg_seq2seq_options *o, int one, sg_fuse_place place)
{
    bool wider = o->extra && o->fuse_at == place && o->fuse == SG_FUSE_CONCAT;
    return wider ? one + o->extra : one;
}
/* Features of a token as the decoder reads it. */
static inline int sg__token_size(const sg_seq2seq_options *o)
{
    return sg__fused_size(o, o->embed, SG_FUSE_INPUT);
}
static inline int sg__feed_size(const sg_seq2seq_options *o)
{
    return o->input_feeding ? o->hidden : 0;
}

/* ids as a leaf [B,T]; behind a length there is padding, whatever was there. */
sg_tensor *sg__tokens(sg_context *g, const int32_t *ids, int batch, int time, const int *lengths);

typedef struct sg__decoder {
    const sg_seq2seq *m;
    sg_encoded now; /* what was encoded; states and feed move on */
    /* rows of the first cell's wx, each taken once; NULL: it has none, and gets all joined */
    sg_tensor *of_token, *of_context, *of_feed;
    sg_tensor *base; /* what is added to their products, or NULL: a bias, a context that stays */
    sg_cell cell[SG_MAX_LAYERS]; /* the decoder's, begun */
} sg__decoder;

/* Whether there is the z that the model wants; otherwise raises the error. */
bool sg__has_extra(const sg_seq2seq *m, const sg_encoded *e);
sg__decoder sg__decoder_start(const sg_seq2seq *m, const sg_encoded *e);
/* What a step gets from tokens [B,T]: [B,T,G], of the first cell, or with the tokens themselves
 * behind it, for the readout or for what the first cell gives out: [B,T,G+token]. */
sg_tensor *sg__decoder_inputs(const sg__decoder *d, sg_tensor *tokens);
/* One step from the inputs of one token [B,G]: returns the attentional state [B,H]; weights [B,S],
 * or NULL without attention. */
sg_tensor *sg__decoder_step(sg__decoder *d, sg_tensor *xw, sg_tensor **weights);
/* Elements of all sources that are attended to. */
int64_t sg__source_time(const sg_seq2seq *m, const sg_encoded *e);
/* All steps from tokens [B,T]: what the output layer gets, [B,T,H]; weights as sg_seq2seq_decode.
 */
sg_tensor *sg__decode(const sg_seq2seq *m, const sg_encoded *e, sg_tensor *tokens,
                      sg_tensor **weights);
/* What it says of the next token: [..,V]. */
sg_tensor *sg__decoder_logits(const sg_seq2seq *m, sg_tensor *r);

#endif
