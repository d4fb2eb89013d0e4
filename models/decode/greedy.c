/* Greedy decoding: at each step the most probable token. States, tokens and attention of a step are
 * asked for together, so no node is computed twice. */
#include "models/seq2seq.h"

#include <string.h>

typedef struct run {
    const sg_seq2seq *m;
    sg_encoded e;
    sg_greedy r;
    int batch, source_time;
    bool *done;
} run;

/* One step from the tokens before: the next tokens, [B], computed. */
static sg_tensor *step(run *d, sg_tensor *ids, sg_tensor **weights)
{
    const sg_seq2seq *m = d->m;
    sg_tensor *top, *ask[2 * SG_MAX_LAYERS + 3];
    int n = 0;
    sg_attended a = sg__decoder_step(m, &d->e, sg__project_tokens(m, ids), &top);
    sg_tensor *h = sg__readout(m, a.context, top);
    sg_tensor *next = sg_argmax(sg_apply(m->out, h), -1, false);
    ask[n++] = next;
    for (int l = 0; l < m->o.layers; l++) {
        ask[n++] = d->e.state[l].h;
        if (d->e.state[l].c)
            ask[n++] = d->e.state[l].c;
    }
    if (m->o.input_feeding)
        ask[n++] = d->e.feed = h;
    *weights = a.weights;
    if (a.weights)
        ask[n++] = a.weights;
    sg_eval_(n, ask);
    return next;
}

static bool take(run *d, int t, const int32_t *ids, sg_tensor *weights)
{
    bool all = true;
    for (int b = 0; b < d->batch; b++) {
        if (d->done[b])
            continue;
        d->done[b] = ids[b] == SG_STOP;
        d->r.ids[b * d->r.most + t] = ids[b];
        d->r.lengths[b] = t + !d->done[b];
        if (weights && d->m->o.dtype == SG_F32)
            memcpy(d->r.weights +
                       ((size_t)b * (size_t)d->r.most + (size_t)t) * (size_t)d->source_time,
                   (const float *)sg_data(weights) + (size_t)b * (size_t)d->source_time,
                   (size_t)d->source_time * sizeof(float));
        all = all && d->done[b];
    }
    return all;
}

/* Memory of the context's tape, zeroed. */
static void *memory(sg_context *g, sg_dtype dtype, int64_t n)
{
    return (void *)(uintptr_t)sg_data(sg_input(g, dtype, SG_SHAPE(n), NULL));
}

sg_greedy sg_seq2seq_greedy(const sg_seq2seq *m, const int32_t *source, int batch, int time,
                            const int *lengths, int most)
{
    sg_context *g = m->o.g;
    run d = {.m = m, .batch = batch, .source_time = time, .r.most = most};
    if (most < 0)
        sg_fail(g, SG_BAD_ARGUMENT, "greedy: at most %d tokens", most);
    d.r.ids = memory(g, SG_I32, (int64_t)batch * most);
    d.r.lengths = memory(g, SG_I32, batch);
    d.done = memory(g, SG_U8, batch);
    if (!m->o.no_attention)
        d.r.weights = memory(g, SG_F32, (int64_t)batch * most * time);
    bool training = sg_training(g);
    sg_train(g, false);
    d.e = sg_seq2seq_encode(m, source, batch, time, lengths);
    sg_tensor *ids = sg_full(g, SG_I32, SG_SHAPE(batch), SG_START), *weights;
    sg_push(g, "decoder", NULL);
    for (int t = 0; t < most && sg_ok(g); t++) {
        ids = step(&d, ids, &weights);
        if (!sg_ok(g) || take(&d, t, sg_data(ids), weights))
            break;
    }
    sg_pop(g);
    sg_train(g, training);
    return sg_ok(g) ? d.r : (sg_greedy){.most = most};
}
