/* Losses of a sequence to sequence model: teacher forcing, scheduled sampling. */
#include "models/internal.h"

#include <string.h>

static sg_encoded encode(const sg_seq2seq *m, const sg_batch *b)
{
    sg_source all[SG_MAX_SOURCES] = {{b->source, b->source_time, b->source_lengths}};
    if (m->o.sources > 1 && !b->more)
        sg_fail(m->o.g, SG_BAD_ARGUMENT, "a batch of one source, a model of %d", m->o.sources);
    for (int k = 1; k < m->o.sources && b->more; k++)
        all[k] = b->more[k - 1];
    return sg_seq2seq_encode_all(m, b->size, all);
}

/* Real tokens one after the other, of which alone the output layer and the loss are computed; then
 * some that are not, so that rows are whole batches and not each number of them is a new plan. */
typedef struct chosen {
    int32_t *at, *label; /* among [B,T]; the label of each */
    int real, all;       /* all is 0 where there is nothing to leave out */
} chosen;

static chosen real_tokens(sg_context *g, const sg_batch *b)
{
    chosen k = {0};
    if (!sg_ok(g) || !b->target_lengths || !b->target_out || !b->size)
        return k;
    int64_t n = 0, all = (int64_t)b->size * b->target_time;
    for (int i = 0; i < b->size; i++)
        n += b->target_lengths[i];
    int64_t whole = (n + b->size - 1) / b->size * b->size;
    if (n == 0 || whole >= all || all > INT32_MAX)
        return k;
    k.at = sg_room(g, (size_t)(2 * whole) * sizeof *k.at);
    if (!k.at)
        return k;
    k.label = k.at + whole;
    memset(k.at, 0, (size_t)(2 * whole) * sizeof *k.at);
    for (int i = 0; i < b->size; i++)
        for (int t = 0; t < b->target_lengths[i]; t++) {
            int at = i * b->target_time + t;
            k.at[k.real] = at;
            k.label[k.real++] = b->target_out[at];
        }
    k.all = (int)whole;
    return k;
}

/* ... + λ Σ_t Σ_i min(a_ti, Σ_{s<t} a_si), of real tokens, from weights [B,T,S] */
static sg_loss with_coverage(const sg_seq2seq *m, sg_loss loss, sg_tensor *weights,
                             const int *lengths)
{
    if (m->o.coverage_loss == 0 || !sg_training(m->o.g) || !sg_ok(m->o.g))
        return loss;
    sg_tensor *covered = sg_sub(sg_cumsum(weights, 1), weights);
    sg_tensor *cost = sg_expand_dims(sg_coverage_loss(weights, covered), 2); /* [B,T,1] */
    cost = sg_sum(sg__clean(cost, lengths), SG_ALL_AXES, false);
    cost = sg_mul(cost, sg_like(cost, m->o.coverage_loss));
    loss.sum = sg_add(loss.sum, cost);
    loss.mean = sg_div(loss.sum, sg_like(cost, loss.tokens ? (double)loss.tokens : 1));
    return loss;
}

static sg_loss forced(const sg_seq2seq *m, const sg_encoded *e, const sg_batch *b, double smoothing)
{
    sg_context *g = m->o.g;
    sg_push(g, "decoder", "");
    sg_tensor *tokens = sg__tokens(g, b->target_in, b->size, b->target_time, b->target_lengths);
    sg_tensor *w, *r = sg__decode(m, e, tokens, &w);
    chosen k = real_tokens(g, b);
    if (k.all) {
        sg_tensor *rows = sg_reshape(r, SG_SHAPE(b->size * b->target_time, sg_dim(r, 2)));
        r = sg_take(rows, sg_borrow(g, SG_I32, SG_SHAPE(1, k.all), k.at)); /* [1,K,H] */
    }
    sg_tensor *logits = sg__decoder_logits(m, r);
    sg_pop(g);
    sg_loss loss = k.all ? sg_label_loss(logits, k.label, &k.real, smoothing)
                         : sg_label_loss(logits, b->target_out, b->target_lengths, smoothing);
    return with_coverage(m, loss, w, b->target_lengths);
}

/* ---- scheduled sampling --------------------------------------------------------------------- */

/* Logits of all steps, each from the true token or from what the step before says, and the weights
 * of attention. */
static sg_tensor *decode_sampled(const sg_seq2seq *m, const sg_encoded *e, sg_tensor *tokens,
                                 double truth, sg_tensor **weights)
{
    sg_context *g = m->o.g;
    int64_t time = sg_dim(tokens, 1);
    sg_tensor **logits = sg_room(g, 2 * (size_t)time * sizeof *logits), **w = logits + time;
    if (!logits)
        return sg__nothing(g);
    sg__decoder d = sg__decoder_start(m, e);
    for (int64_t t = 0; t < time && sg_ok(g); t++) {
        sg_tensor *next = sg_index(tokens, 1, t); /* [B] */
        next = t ? sg_truth_or_guess(next, logits[t - 1], truth) : next;
        sg_tensor *xw = sg__decoder_inputs(&d, sg_expand_dims(next, 1)); /* [B,1,G] */
        sg_tensor *h = sg__decoder_step(&d, sg_index(xw, 1, 0), &w[t]);
        logits[t] = sg__decoder_logits(m, sg_dropout(h, m->o.dropout));
    }
    if (!sg_ok(g))
        return sg__nothing(g);
    if (!m->o.no_attention)
        *weights = sg__stack_steps(time, w, d.now.feed, sg__source_time(m, e));
    return sg__stack_steps(time, logits, d.now.feed, m->o.target_count);
}

static sg_loss sampled(const sg_seq2seq *m, const sg_encoded *e, const sg_batch *b,
                       double smoothing, double truth)
{
    sg_context *g = m->o.g;
    sg_push(g, "decoder", "");
    sg_tensor *tokens = sg__tokens(g, b->target_in, b->size, b->target_time, b->target_lengths);
    sg_tensor *w = NULL, *logits = sg__nothing(g);
    if (sg_ok(g))
        logits = decode_sampled(m, e, tokens, truth, &w);
    sg_pop(g);
    sg_loss loss = sg_label_loss(logits, b->target_out, b->target_lengths, smoothing);
    return with_coverage(m, loss, w, b->target_lengths);
}

/* ---- both ----------------------------------------------------------------------------------- */

sg_loss sg_seq2seq_loss(const sg_seq2seq *m, const sg_batch *b, double smoothing)
{
    sg_encoded e = encode(m, b);
    return forced(m, &e, b, smoothing);
}

sg_loss sg_seq2seq_sampled_loss(const sg_seq2seq *m, const sg_batch *b, double smoothing,
                                double truth)
{
    sg_encoded e = encode(m, b);
    return sampled(m, &e, b, smoothing, truth);
}

sg_loss sg_seq2seq_loss_from(const sg_seq2seq *m, const sg_encoded *e, const sg_batch *b,
                             double smoothing, double truth)
{
    return truth == 1 ? forced(m, e, b, smoothing) : sampled(m, e, b, smoothing, truth);
}
