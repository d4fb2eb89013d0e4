/* Scheduled sampling: true tokens, or the model's own. */
#include "models/internal.h"

#include <math.h>

double sg_truth_rate(const sg_truth *s, int64_t step)
{
    double i = (double)step;
    if (!s)
        return NAN;
    switch (s->kind) {
    case SG_TRUTH_LINEAR:
        return fmin(fmax(s->floor, s->k - s->slope * i), 1);
    case SG_TRUTH_EXPONENTIAL:
        return s->k < 1 ? pow(s->k, i) : NAN;
    case SG_TRUTH_INVERSE_SIGMOID:
        return s->k >= 1 ? s->k / (s->k + exp(i / s->k)) : NAN;
    }
    return NAN;
}

sg_tensor *sg_truth_or_guess(sg_tensor *tokens, sg_tensor *logits, double rate)
{
    sg_context *g = sg_context_of(tokens);
    if (!(rate >= 0 && rate <= 1))
        return sg_fail(g, SG_BAD_ARGUMENT, "scheduled sampling: a rate of %g is not in [0, 1]",
                       rate);
    if (!sg_training(g) || sg_is_nil(tokens) || sg_is_nil(logits))
        return tokens;
    sg_tensor *coin = sg_random_uniform(g, SG_F64, sg_shape_of(tokens));
    sg_tensor *guess = sg_argmax(logits, -1, false);
    return sg_where(sg_less(coin, sg_scalar(g, SG_F64, rate)), tokens, guess);
}
