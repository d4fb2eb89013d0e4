/* Random graphs, drawn from a seed. */
#ifndef GRAPH_DRAW_H
#define GRAPH_DRAW_H

#include "ops/ops.h"

enum { DRAW_ROOTS = 16, DRAW_PARAMS = 5, DRAW_NODES = 400, DRAW_LARGEST = 600 };

typedef struct drawn {
    sg_tensor *x;
    double bound; /* of its values, roughly */
    bool exact;   /* no rounding that depends on how it is computed, so that it may be compared */
} drawn;

typedef struct drawing {
    sg_context *g;
    uint64_t state;
    drawn node[DRAW_NODES];
    int nodes, roots, params, leaves;
    int plain; /* how many roots there are without assignments */
    sg_tensor *root[DRAW_ROOTS], *param[DRAW_PARAMS], *leaf[DRAW_NODES];
    sg_dtype type;
    bool random, narrow; /* has random numbers; has f32 */
    bool kept;           /* set before drawing: without checkpoints */
} drawing;

/* Records the graph; its parameters get their first values again. */
void draw_graph(sg_context *g, uint64_t seed, bool assign, drawing *d);

/* ---- what the sources of drawing share ---- */

int draw_below(drawing *d, int64_t n);
bool draw_one_in(drawing *d, int n);
int64_t draw_size(drawing *d);
int64_t draw_count(const sg_shape *s);
void draw_put(drawing *d, sg_tensor *x, double bound, bool exact);
drawn *draw_any(drawing *d);
drawn *draw_exact(drawing *d);
drawn *draw_of_rank(drawing *d, int least);
sg_tensor *draw_leaf(drawing *d, sg_dtype type, sg_shape s, bool param);
sg_tensor *draw_indices(drawing *d, sg_shape s, int64_t n);
sg_shape draw_narrower(drawing *d, sg_shape s);
bool draw_broadcasts(const sg_tensor *x, const sg_tensor *y);
drawn draw_partner(drawing *d, const drawn *x);
drawn draw_fit(drawing *d, const drawn *y, sg_shape s);
sg_tensor *draw_mask(drawing *d, sg_shape s);
void draw_node(drawing *d);

#endif
