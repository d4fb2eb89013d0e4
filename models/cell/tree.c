/* Tree-LSTMs: one node. */
#include "models/internal.h"

sg_tree_cell sg_tree_lstm_(sg_tree_options o)
{
    sg_tree_cell p = {o.in, o.hidden, o.children};
    int64_t h = o.hidden, n = o.children;
    sg_push(o.g, "tree lstm", o.name);
    sg__need_name(o.g, o.name);
    if (o.in <= 0 || h <= 0 || n < 0)
        sg_fail(o.g, SG_BAD_ARGUMENT, "%d inputs, %d hidden units, %d children", o.in, o.hidden,
                o.children);
    p.wx = sg_param(o.g, "wx", SG_SHAPE(o.in, 4 * h), .blocks = 4, .dtype = o.dtype);
    p.b = sg_param(o.g, "b", SG_SHAPE(4 * h), SG_ZEROS, .dtype = o.dtype);
    p.uh =
        n ? sg_param(o.g, "uh", SG_SHAPE(n * h, (3 + n) * h), .blocks = 3 + (int)n,
                     .dtype = o.dtype)
          : sg_param(o.g, "uh", SG_SHAPE(h, 3 * h), SG_ORTHOGONAL, .blocks = 3, .dtype = o.dtype);
    if (!n)
        p.uf = sg_param(o.g, "uf", SG_SHAPE(h, h), SG_ORTHOGONAL, .dtype = o.dtype);
    sg_pop(o.g);
    return p;
}

/* The first `count` blocks of columns of w, or of elements of b. */
static sg_tensor *blocks(const sg_tree_cell *p, sg_tensor *w, int64_t from, int64_t count)
{
    return sg_slice(w, -1, from * p->hidden, (from + count) * p->hidden, 1);
}

/* x Wx + b of some blocks of I O U F, or b alone */
static sg_tensor *own_part(const sg_tree_cell *p, sg_tensor *x, int64_t from, int64_t count)
{
    sg_affine a = {blocks(p, p->wx, from, count), blocks(p, p->b, from, count)};
    return x ? sg_apply(a, x) : a.b;
}

/* What the children say: of I, O, U together, and of each F_k. */
typedef struct said {
    sg_tensor *iou, **f;
} said;

/* [h_1; … h_n] Uh */
static void ask_in_order(const sg_tree_cell *p, int n, const sg_state *child, said *s)
{
    sg_tensor *h = child[0].h;
    for (int k = 1; k < n; k++)
        h = sg_concat(-1, h, child[k].h);
    sg_tensor *z = sg_matmul(h, sg_slice(p->uh, 0, 0, (int64_t)n * p->hidden, 1));
    s->iou = blocks(p, z, 0, 3);
    for (int k = 0; k < n; k++)
        s->f[k] = blocks(p, z, 3 + k, 1);
}

/* (Σ h_k) Uh, h_k Uf */
static void ask_together(const sg_tree_cell *p, int n, const sg_state *child, said *s)
{
    sg_tensor *sum = child[0].h;
    for (int k = 1; k < n; k++)
        sum = sg_add(sum, child[k].h);
    s->iou = sg_matmul(sum, p->uh);
    for (int k = 0; k < n; k++)
        s->f[k] = sg_matmul(child[k].h, p->uf);
}

enum { MOST_CHILDREN = 1024 };

static bool good(const sg_tree_cell *p, sg_context *g, sg_tensor *x, int n)
{
    if (!x && !n)
        sg_fail(g, SG_BAD_ARGUMENT, "tree lstm: a leaf without x");
    else if (n < 0 || n > MOST_CHILDREN || (p->children && n > p->children))
        sg_fail(g, SG_BAD_ARGUMENT, "tree lstm: %d children are not in 0..%d", n,
                p->children ? p->children : MOST_CHILDREN);
    return sg_ok(g);
}

/* C = I*U + Σ F_k*c_k;  H = O*tanh(C) */
sg_state sg_tree_node(const sg_tree_cell *p, sg_tensor *x, int n, const sg_state *children)
{
    sg_context *g = sg_context_of(p->wx);
    sg_tensor *f[MOST_CHILDREN], *z[3];
    said s = {.f = f};
    if (!good(p, g, x, n))
        return (sg_state){sg__nothing(g), sg__nothing(g)};
    sg_tensor *iou = own_part(p, x, 0, 3);
    if (n) {
        (p->children ? ask_in_order : ask_together)(p, n, children, &s);
        iou = sg_add(s.iou, iou);
    }
    sg_split(iou, -1, 3, z); /* 3 of [B,H] */
    sg_tensor *i = sg_sigmoid(z[0]), *o = sg_sigmoid(z[1]), *u = sg_tanh(z[2]);
    sg_tensor *c = sg_mul(i, u), *own = n ? own_part(p, x, 3, 1) : NULL;
    for (int k = 0; k < n; k++)
        c = sg_add(c, sg_mul(sg_sigmoid(sg_add(f[k], own)), children[k].c));
    return (sg_state){.h = sg_mul(o, sg_tanh(c)), .c = c};
}
