/*
 * Keys: what order.c writes while it walks, and key.c looks up.
 *
 * A node is: its op, or 0 for a leaf; then 32 bits of shape and type and 32 of its first operand;
 * how many there are, if the op leaves that open; attributes; further operands, two in a word. A
 * constant that equal ones share is a 2, shape and type, and its value: gradients that were not
 * recorded may have it, too. After the nodes comes a 1, which is no op, and the roots.
 *
 * Most graphs were met before, mostly in turn: the words are compared in chunks with those of the
 * plan that came next the last time, and nothing is written or hashed as long as they agree.
 */
#ifndef SG_KEY_H
#define SG_KEY_H

#include "core/plan/plan.h"

enum { SG__CHUNK = 512, SG__FEW = 32 };

typedef struct sg__writer {
    const sg__request *r;
    uint64_t *at;
    const uint64_t *guess; /* the words that are expected; NULL: they are other ones */
    size_t guessed, done;  /* of which so many; words before the chunk */
    size_t leaves;
    bool unrecorded; /* there are gradients that are not recorded */
    uint64_t chunk[SG__CHUNK + SG__FEW];
} sg__writer;

/* order.c: sg__walk for an evaluation, which writes the nodes of its key. */
bool sg__walk_key(const sg__request *r, sg__writer *w);
/* False after raising an error. */
bool sg__key_flush(sg__writer *w);
bool sg__key_word(sg__writer *w, uint64_t word);
bool sg__key_long(sg__writer *w, const sg_tensor *x); /* a leaf, or a node that is not small */

static inline bool sg__key_node(sg__writer *w, const sg_tensor *x)
{
    const sg_op *op = x->op;
    uint32_t n = x->n;
    if (x->value || op->attr_size || n - 1 >= 2 || op->arity < 0)
        return sg__key_long(w, x);
    uint64_t *at = w->at;
    at[0] = (uintptr_t)op;
    at[1] = x->dims->number | (uint64_t)x->dtype << 28 | (uint64_t)x->in[0]->index << 32;
    at[2] = n == 2 ? x->in[1]->index : 0; /* written over, if there is no second operand */
    w->at = at + 1 + n;
    return w->at < w->chunk + SG__CHUNK || sg__key_flush(w);
}

#endif
