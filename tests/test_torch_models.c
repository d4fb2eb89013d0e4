/* Projected and stacked LSTMs, attention with many heads, Transformers and CTC against recorded
 * runs of PyTorch, in single and in double precision: values and gradients. */
#include "models/models.h"
#include "tests/oracle/torch_models.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* ---- LSTM ----------------------------------------------------------------------------------- */

static sg_cell read_cell(tape *t, int in, bool projected)
{
    int out = projected ? PROJECTED : HIDDEN;
    sg_cell p =
        sg_lstm(t->g, "lstm", in, HIDDEN, .projection = projected ? out : 0, .dtype = t->dtype);
    p.in = in;
    p.wx = leaf(t, SG_SHAPE(in, 4 * HIDDEN));
    p.wh = leaf(t, SG_SHAPE(out, 4 * HIDDEN));
    p.b = leaf(t, SG_SHAPE(4 * HIDDEN));
    if (projected)
        p.wr = leaf(t, SG_SHAPE(HIDDEN, out));
    return p;
}

static void check_stack(sg_dtype d, size_t row)
{
    enum { LAYERS = 3 };
    int layers = torch_stack[row].layers, both = torch_stack[row].both, in = IN;
    bool projected = torch_stack[row].projected;
    tape t = open_tape(d, torch_stack[row].r);
    sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, IN)), *h[2 * LAYERS], *c[2 * LAYERS];
    sg_cell fw[LAYERS], bw[LAYERS];
    sg_state final[2 * LAYERS];
    for (int l = 0; l < layers; l++) {
        char scope[2] = {(char)('0' + l)};
        sg_push(t.g, "layer", scope);
        fw[l] = read_cell(&t, in, projected);
        if (both)
            bw[l] = read_cell(&t, in, projected);
        in = (projected ? PROJECTED : HIDDEN) * (1 + both);
        sg_pop(t.g);
    }
    sg_tensor *y = sg_deep(layers, fw, both ? bw : NULL, x, torch_lengths, .final = final);
    int n = layers * (1 + both);
    for (int i = 0; i < n; i++) {
        h[i] = final[i].h;
        c[i] = final[i].c;
    }
    all_agree(&t, y, sg_stack_(0, n, h), sg_stack_(0, n, c));
}

Test(torch_models, lstms)
{
    for (size_t row = 0; row < COUNT(torch_stack); row++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_stack((sg_dtype)d, row);
}

/* ---- attention ------------------------------------------------------------------------------ */

static sg_affine affine(tape *t, int in, int out)
{
    sg_affine a;
    a.w = leaf(t, SG_SHAPE(in, out));
    a.b = leaf(t, SG_SHAPE(out));
    return a;
}

/* Torch has q, k, v in one matrix also where the memory is another sequence. */
static sg_heads read_heads(tape *t, bool cross)
{
    sg_heads a = {HEADS};
    sg_affine qkv = affine(t, SIZE, 3 * SIZE);
    a.out = affine(t, SIZE, SIZE);
    if (!cross)
        a.qkv = qkv;
    else
        a.q = (sg_affine){sg_slice(qkv.w, 1, 0, SIZE, 1), sg_slice(qkv.b, 0, 0, SIZE, 1)};
    if (cross)
        a.kv =
            (sg_affine){sg_slice(qkv.w, 1, SIZE, SG_END, 1), sg_slice(qkv.b, 0, SIZE, SG_END, 1)};
    return a;
}

static sg_tensor *mask(sg_context *g, int time, const int *lengths)
{
    return sg_reshape(sg_length_mask(g, BATCH, time, lengths), SG_SHAPE(BATCH, 1, 1, time));
}

Test(torch_models, heads)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        tape t = open_tape((sg_dtype)d, (recording)RECORDING(heads_self));
        sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE));
        sg_heads a = read_heads(&t, false);
        sg_attended r = sg_attend_heads(&a, x, NULL, mask(t.g, TIME, torch_lengths));
        all_agree(&t, r.context, r.weights);

        t = open_tape((sg_dtype)d, (recording)RECORDING(heads_cross));
        x = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE));
        sg_tensor *memory = leaf(&t, SG_SHAPE(BATCH, KEYS, SIZE));
        a = read_heads(&t, true);
        r = sg_attend_heads(&a, x, memory, mask(t.g, KEYS, torch_key_lengths));
        all_agree(&t, r.context, r.weights);
    }
}

static sg_norm read_norm(tape *t)
{
    sg_norm n;
    n.gain = leaf(t, SG_SHAPE(SIZE));
    n.bias = leaf(t, SG_SHAPE(SIZE));
    return n;
}

static void check_transformer(sg_dtype d, size_t row)
{
    bool cross = torch_transformer[row].cross, pre = torch_transformer[row].pre;
    tape t = open_tape(d, torch_transformer[row].r);
    sg_transformer m =
        sg_make_transformer(t.g, "m", SIZE, HEADS, 2, WIDE, .causal = cross,
                            .memory = cross ? SIZE : 0, .positions = SG_NO_POSITIONS,
                            .post_norm = !pre, .relu = torch_transformer[row].relu, .dtype = d);
    sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, TIME, SIZE)), *memory = NULL;
    if (cross)
        memory = leaf(&t, SG_SHAPE(BATCH, KEYS, SIZE));
    for (int l = 0; l < 2; l++) {
        sg_block *b = &m.block[l];
        b->self = read_heads(&t, false);
        if (cross)
            b->cross = read_heads(&t, true);
        b->widen = affine(&t, SIZE, WIDE);
        b->narrow = affine(&t, WIDE, SIZE);
        for (int i = 0; i < 3; i++)
            if (cross || i != 1)
                b->norm[i] = read_norm(&t);
    }
    if (pre)
        m.last = read_norm(&t);
    sg_tensor *y = sg_transform(&m, x, torch_lengths, memory, cross ? torch_key_lengths : NULL);
    all_agree(&t, y);
}

Test(torch_models, transformers)
{
    for (size_t row = 0; row < COUNT(torch_transformer); row++)
        for (int d = SG_F32; d <= SG_F64; d++)
            check_transformer((sg_dtype)d, row);
}

/* ---- CTC ------------------------------------------------------------------------------------ */

Test(torch_models, ctc)
{
    for (int d = SG_F32; d <= SG_F64; d++) {
        tape t = open_tape((sg_dtype)d, (recording)RECORDING(ctc));
        sg_tensor *x = leaf(&t, SG_SHAPE(BATCH, LONG, CLASSES));
        sg_tensor *loss = sg_ctc_loss(x, ctc_lengths, ctc_labels, ctc_label_lengths, LABELS);
        all_agree(&t, loss);
    }
}
