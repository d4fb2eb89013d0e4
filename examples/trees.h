/*
 * Trees over words, with labels at their nodes: files of them, and made-up ones.
 *
 *     (3 (2 It) (4 (2 's) (4 (3 a) (4 lovely))))
 *
 * A line is a tree: a bracket holds a label 0..4, which may be left out, and two nodes, or one; or
 * a word. A word without a bracket is a node without a label.
 */
#ifndef EXAMPLES_TREES_H
#define EXAMPLES_TREES_H

#include "models/text.h"

enum { TREES_LABELS = 5, TREES_NEUTRAL = 2, TREES_ROOM = 8192 };

typedef struct tree_node {
    const char *word; /* NULL: it has children, */
    int children;     /* 1 or 2, */
    int child[2];     /* which stand before it in the tree */
    int label;        /* -1: none */
} tree_node;

typedef struct tree {
    int count; /* of nodes, the last of which is the root */
    tree_node *node;
} tree;

typedef struct trees {
    int count;
    tree *tree;
    tree_node *nodes; /* of all, and what their words stand in */
    char *words;
} trees;

/* Plain or gzip. A path of NULL is the error that the option `name` was not given. */
trees trees_read(sg_context *g, const char *path, const char *name);
trees trees_parse(sg_context *g, const char *where, int n, const char *const *lines);
void trees_free(trees *t);
/* Of their words. */
sg_vocabulary *trees_vocabulary(sg_context *g, const trees *t, sg_tokenizer words, int min_count);

/* Writes a judgement at random, of at most so many levels, with its labels; returns that of its
 * root. "not" turns a judgement around and weakens it, "very" strengthens it; of two, "and" adds
 * them, after "but" only the second counts. */
int trees_generate(uint64_t *state, int levels, char text[TREES_ROOM]);
trees trees_made_up(sg_context *g, uint64_t seed, int n, int levels);

/* Each node in a line of the terminal, under its parent, with the sign of the label that was told
 * (told[i] of node i), and in brackets that which it has, where it is another one. */
void trees_print(FILE *f, const tree *t, const int32_t *told, const int32_t *truth,
                 const char *const *signs);

#endif
