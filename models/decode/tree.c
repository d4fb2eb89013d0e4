/* The hypotheses of a search, printed as trees. */
#include "models/decode/internal.h"

#include <stdlib.h>

static void print_node(const sg_search_options *o, const sg__search_node *n, int depth, bool best)
{
    fprintf(o->tree, "%*s%c ", 2 * depth, "", best ? '*' : ' ');
    if (o->text)
        fprintf(o->tree, "%s", o->text(o->user, n->token));
    else
        fprintf(o->tree, "%d", (int)n->token);
    fprintf(o->tree, n->ended ? "  %.4f = %.4f\n" : "  %.4f\n", n->score, n->adjusted);
}

/* Children of a node in the order they were made, by first child and next sibling; those of -1 are
 * at index `nodes` + row. */
bool sg__print_trees(const sg_search_options *o, int nodes, const sg__search_node *node,
                     const int *best)
{
    int rows = o->model->rows;
    size_t heads = (size_t)nodes + (size_t)rows;
    int *first = malloc((heads + (size_t)nodes + 1) * sizeof *first), *next = first + heads;
    bool *on_path = calloc((size_t)nodes + 1, sizeof *on_path);
    if (!first || !on_path) {
        free(first);
        free(on_path);
        return sg_fail(o->model->g, SG_NO_MEMORY, "no memory for %d nodes", nodes) == NULL;
    }
    for (size_t i = 0; i < heads; i++)
        first[i] = -1;
    for (int i = nodes - 1; i >= 0; i--) {
        int parent = node[i].parent < 0 ? nodes + node[i].row : node[i].parent;
        next[i] = first[parent];
        first[parent] = i;
    }
    for (int b = 0; b < rows; b++)
        for (int i = best[b]; i >= 0; i = node[i].parent)
            on_path[i] = true;
    for (int b = 0; b < rows; b++) {
        fprintf(o->tree, "row %d\n", b);
        for (int i = first[nodes + b]; i >= 0;) {
            print_node(o, &node[i], node[i].length + node[i].ended, on_path[i]);
            int down = first[i];
            while (down < 0 && i >= 0) { /* the next sibling, of an ancestor if need be */
                down = next[i];
                i = node[i].parent;
            }
            i = down;
        }
    }
    free(first);
    free(on_path);
    return fflush(o->tree) == 0 && !ferror(o->tree);
}
