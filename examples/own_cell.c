/*
 * A cell of one's own 自己写一个循环单元
 *
 *     own_cell [EPOCHS]
 *
 * The minimal gated unit 最小门控单元 (Zhou et al. 2016), written here in a few lines: its formula,
 * and its parameters. No derivative is written, and nothing is told to the library: in both
 * directions, in layers, with lengths, residual connections, dropout and zoneout, it works as the
 * built-in cells do, and at their speed, because they are not more than this either.
 *
 * It learns to spell what it reads from back to front 倒着写, in a tagger of two layers: the label
 * of element t of a sequence of n is the element n - 1 - t, so it must have seen both sides.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/models.h"
#include "optim/optim.h"

/* ---- the cell 单元 --------------------------------------------------------------------------- */

/* F = σ(x Wxf + bf + h Whf);  N = tanh(x Wxn + bn + (F*h) Whn);  H = (1-F)*h + F*N */
static sg_state own_step(const sg_cell *p, sg_tensor *xw, sg_state s)
{
    sg_tensor *x[2], *h = sg_recurrent(p, s.h); /* h, with dropout if it was asked for */
    sg_split(xw, -1, 2, x);
    sg_tensor *f = sg_sigmoid(sg_add(x[0], sg_matmul(h, p->wh)));
    sg_tensor *n = sg_tanh(sg_add(x[1], sg_matmul(sg_mul(f, h), p->extra)));
    return (sg_state){.h = sg_add(s.h, sg_mul(f, sg_sub(n, s.h)))};
}

static sg_cell own_cell(sg_context *g, const char *name, int in, int hidden)
{
    sg_push(g, "own cell", name);
    sg_cell p = {own_step, g, in, hidden, .states = 1};
    p.wx =
        sg_param(g, "wx", SG_SHAPE(in, 2 * hidden), .blocks = 2); /* applied to all steps at once */
    p.b = sg_param(g, "b", SG_SHAPE(2 * hidden), SG_ZEROS);
    p.wh = sg_param(g, "wh", SG_SHAPE(hidden, hidden), SG_ORTHOGONAL);
    p.extra = sg_param(g, "whn", SG_SHAPE(hidden, hidden), SG_ORTHOGONAL);
    sg_pop(g);
    return p;
}

/* ---- the model 模型 -------------------------------------------------------------------------- */

enum { WORDS = 12, EMBED = 16, HIDDEN = 64, BATCH = 32, TIME = 7, STEPS = 200 };

typedef struct model {
    sg_tensor *table;
    sg_cell forward[2], backward[2];
    sg_affine out;
} model;

static model make(sg_context *g)
{
    model m = {sg_embedding(g, "words", WORDS, EMBED)};
    for (int l = 0; l < 2; l++) {
        const char *const names[][2] = {{"forward0", "backward0"}, {"forward1", "backward1"}};
        int in = l ? 2 * HIDDEN : EMBED;
        m.forward[l] = own_cell(g, names[l][0], in, HIDDEN);
        m.backward[l] = own_cell(g, names[l][1], in, HIDDEN);
        m.forward[l].state_dropout = m.backward[l].state_dropout = 0.01;
        m.forward[l].variational = m.backward[l].variational = true; /* one mask for all steps */
        m.forward[l].zoneout = m.backward[l].zoneout = 0.01;
    }
    m.out = sg_linear(g, "out", 2 * HIDDEN, WORDS);
    return m;
}

static sg_tensor *logits(const model *m, const int32_t *ids, const int *lengths)
{
    sg_context *g = sg_context_of(m->table);
    sg_tensor *x = sg_take(m->table, sg_input(g, SG_I32, SG_SHAPE(BATCH, TIME), ids)); /* [B,T,E] */
    sg_tensor *h = sg_deep(2, m->forward, m->backward, x, lengths, .dropout = 0.05);
    return sg_apply(m->out, h); /* [B,T,words] */
}

/* ---- the task 任务 --------------------------------------------------------------------------- */

typedef struct task {
    int32_t ids[BATCH * TIME], labels[BATCH * TIME];
    int lengths[BATCH];
} task;

static void draw(task *b, uint64_t *seed)
{
    for (int i = 0; i < BATCH * TIME; i++) {
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        b->ids[i] = (int32_t)(*seed >> 33) % WORDS;
        b->lengths[i / TIME] = 3 + (int)(*seed >> 50) % (TIME - 2);
    }
    for (int i = 0; i < BATCH * TIME; i++) {
        int n = b->lengths[i / TIME], t = i % TIME;
        b->labels[i] = t < n ? b->ids[i - t + n - 1 - t] : 0;
    }
}

static double right(const model *m, task *b, uint64_t *seed)
{
    int good = 0, all = 0;
    draw(b, seed);
    const int32_t *best = sg_data(sg_argmax(logits(m, b->ids, b->lengths), -1, false));
    for (int i = 0; best && i < BATCH * TIME; i++)
        if (i % TIME < b->lengths[i / TIME]) {
            good += best[i] == b->labels[i];
            all++;
        }
    return 100.0 * good / (all ? all : 1);
}

int main(int argc, char **argv)
{
    int epochs = argc > 1 ? atoi(argv[1]) : 10;
    uint64_t seed = 1;
    task b;
    sg_context *g = sg_open(.threads = 2);
    model m = make(g);
    sg_optimizer adam = sg_adam(g, .rate = 0.005, .clip_norm = 1);

    /* First of all: the derivatives, of the whole model, against differences. 先检查导数 */
    draw(&b, &seed);
    sg_tensor *loss = sg_label_loss(logits(&m, b.ids, b.lengths), b.labels, b.lengths).mean;
    sg_tensor *weights[] = {m.forward[0].wh, m.backward[1].extra, m.table};
    sg_gradcheck_result check = sg_gradcheck(loss, 3, weights);
    printf("gradients %s 导数%s: off by %.1g\n", check.ok ? "agree" : "differ",
           check.ok ? "正确" : "错误", check.error[0]);

    for (int e = 1; e <= epochs && sg_ok(g); e++) {
        double sum = 0;
        sg_train(g, true);
        for (int i = 0; i < STEPS && sg_ok(g); i++) {
            sg_reset(g);
            draw(&b, &seed);
            loss = sg_label_loss(logits(&m, b.ids, b.lengths), b.labels, b.lengths).mean;
            sum += sg_step(&adam, loss) == SG_OK ? sg_item(loss) : NAN;
        }
        sg_train(g, false);
        sg_reset(g);
        printf("epoch %d: loss %.3f, right 正确 %.1f %%\n", e, sum / STEPS, right(&m, &b, &seed));
    }
    fputs(sg_errmsg(g), stderr);
    bool ok = sg_ok(g) && check.ok;
    sg_close(g);
    return ok ? 0 : 1;
}
