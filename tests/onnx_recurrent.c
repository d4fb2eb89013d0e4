/*
 * ONNX's RNN, GRU and LSTM, by the cells of models.h and sg_unroll. x [T,B,I]; w [D,GH,I], r
 * [D,GH,H], b [D,2GH] (of the input, then of the state) with D directions and G gates; result
 * [T,D,B,H], and the final states [D,B,H]. With layout 1 the batch comes first everywhere.
 */
#include "tests/onnx_graph.h"

#include <string.h>

/* ONNX's rows of gates in our order, as columns: [GH,…] to […,GH], or [GH] to [GH]. */
static sg_tensor *gates(sg_tensor *w, int count, const int *order)
{
    sg_tensor *part[4], *ours[4];
    sg_split(w, 0, count, part);
    for (int i = 0; i < count; i++)
        ours[i] = part[order[i]];
    w = sg_concat_(0, count, ours);
    return sg_rank(w) > 1 ? sg_transpose(w, 0, 1) : w;
}

typedef struct weights {
    int hidden, count;
    const int *order;
    sg_tensor *w, *r, *bw, *br; /* of one direction, as they are written */
    sg_tensor *peepholes;       /* [3H], or NULL */
} weights;

static sg_tensor *joint_bias(const weights *p)
{
    return gates(sg_add(p->bw, p->br), p->count, p->order);
}

static sg_cell rnn_cell(node *n, const weights *p)
{
    sg_cell c = sg_rnn(n->g, "rnn", .in = (int)sg_dim(p->w, 1), .hidden = p->hidden);
    c.wx = gates(p->w, p->count, p->order);
    c.wh = gates(p->r, p->count, p->order);
    c.b = joint_bias(p);
    return c;
}

/* ONNX's update gate keeps, as ours does; its reset gate acts before the product, unless it is
 * "linear before reset". */
static sg_cell gru_cell(node *n, const weights *p)
{
    bool after = attr_int(n, "linear_before_reset", 0) != 0;
    sg_cell c = sg_gru(n->g, after ? "gru_after" : "gru", .in = (int)sg_dim(p->w, 1),
                       .hidden = p->hidden, .reset = after ? SG_RESET_AFTER : SG_RESET_BEFORE);
    sg_tensor *wh = gates(p->r, p->count, p->order);
    c.wx = gates(p->w, p->count, p->order);
    if (after) {
        c.wh = wh;
        c.b = gates(p->bw, p->count, p->order);
        c.bh = gates(p->br, p->count, p->order);
    } else {
        c.wh = slice_axis(wh, 1, 0, 2 * (int64_t)p->hidden);
        c.extra = slice_axis(wh, 1, 2 * (int64_t)p->hidden, SG_END);
        c.b = joint_bias(p);
    }
    return c;
}

static sg_cell lstm_cell(node *n, const weights *p)
{
    static const int peepholes[] = {0, 2, 1}; /* i o f: i f o */
    sg_cell c = sg_lstm(n->g, "lstm", .in = (int)sg_dim(p->w, 1), .hidden = p->hidden,
                        .peephole = p->peepholes != NULL);
    c.wx = gates(p->w, p->count, p->order);
    c.wh = gates(p->r, p->count, p->order);
    c.b = joint_bias(p);
    if (p->peepholes)
        c.peep = gates(p->peepholes, 3, peepholes);
    return c;
}

static const struct kind {
    const char *name;
    sg_cell (*make)(node *n, const weights *p);
    int gates, order[4];
} kinds[] = {
    {"RNN", rnn_cell, 1, {0}},
    {"GRU", gru_cell, 3, {1, 0, 2}},     /* z r h: r z n */
    {"LSTM", lstm_cell, 4, {0, 2, 3, 1}} /* i o f c: i f g o */
};

/* Operand i of a direction d; b is zero where it is left out. */
static weights weights_of(node *n, const struct kind *k, int d)
{
    weights p = {.count = k->gates, .order = k->order};
    sg_tensor *w = operand(n, 1), *r = operand(n, 2);
    p.hidden = (int)sg_dim(r, -1);
    p.w = sg_index(w, 0, d);
    p.r = sg_index(r, 0, d);
    int64_t rows = sg_dim(p.w, 0);
    sg_tensor *b =
        has(n, 3) ? sg_index(n->in[3], 0, d) : sg_full(n->g, sg_type(w), SG_SHAPE(2 * rows), 0);
    p.bw = slice_axis(b, 0, 0, rows);
    p.br = slice_axis(b, 0, rows, SG_END);
    p.peepholes = has(n, 7) ? sg_index(n->in[7], 0, d) : NULL;
    return p;
}

static const struct kind *kind_of(node *n)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, n->op) == 0)
            return &kinds[i];
    return NULL;
}

static const int *lengths_of(node *n, int64_t batch, int *lengths)
{
    integers given = operand_ints(n, 4, "");
    if (!given.given)
        return NULL;
    if (given.n != batch)
        refuse(n, "lengths are not as many as sequences");
    for (int i = 0; i < given.n; i++)
        lengths[i] = (int)given.v[i];
    return lengths;
}

static sg_tensor *recurrent(node *n)
{
    const struct kind *k = kind_of(n);
    bool batch_first = attr_int(n, "layout", 0) != 0;
    bool reverse = strcmp(attr_text(n, "direction", "forward"), "reverse") == 0;
    sg_tensor *x = operand(n, 0), *y[2] = {0};
    sg_state last[2] = {{0}};
    int lengths[MOST_INTEGERS], directions = (int)sg_dim(operand(n, 1), 0);
    x = batch_first ? x : sg_transpose(x, 0, 1); /* [B,T,I] */
    const int *full = lengths_of(n, sg_dim(x, 0), lengths);
    if (!k || directions < 1 || directions > 2 || attr_given(n, "clip") ||
        attr_given(n, "activations") || attr_given(n, "input_forget"))
        return refuse(n, "an option that our cells do not have");
    for (int d = 0; d < directions; d++) {
        weights p = weights_of(n, k, d);
        sg_state first = {.h = has(n, 5) ? sg_index(n->in[5], batch_first, d) : NULL,
                          .c = has(n, 6) ? sg_index(n->in[6], batch_first, d) : NULL};
        sg_push(n->g, "direction", d ? "1" : "0");
        y[d] = sg_unroll(k->make(n, &p), x, .lengths = full, .reverse = reverse || d == 1,
                         .initial = first, .final = &last[d]);
        sg_pop(n->g);
    }
    int at = batch_first ? 1 : 0;
    sg_tensor *h[2] = {last[0].h, last[1].h}, *c[2] = {last[0].c, last[1].c};
    n->out[1] = sg_stack_(at, directions, h);
    n->out[2] = c[0] ? sg_stack_(at, directions, c) : NULL;
    sg_tensor *all = sg_stack_(2, directions, y); /* [B,T,D,H] */
    static const int time_first[] = {1, 2, 0, 3};
    return batch_first ? all : sg_permute(all, time_first);
}

const onnx_op onnx_recurrent[] = {
    {"GRU", .run = recurrent}, {"LSTM", .run = recurrent}, {"RNN", .run = recurrent}, {0}};
