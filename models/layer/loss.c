/* Losses over sequences. */
#include "models/internal.h"

enum { NOT_REAL = -1 }; /* the label of what is behind a length */

static bool good(const sg_label_loss_options *o)
{
    sg_context *g = sg_context_of(o->logits);
    if (!sg_ok(g))
        return false;
    if (sg_rank(o->logits) != 3 || !o->labels)
        sg_fail(g, SG_BAD_SHAPE,
                o->labels ? "logits have %d axes, not [batch, time, classes]"
                          : "no labels for logits of %d axes",
                sg_rank(o->logits));
    return sg_ok(g) && sg__good_lengths(g, sg_dim(o->logits, 0), sg_dim(o->logits, 1), o->lengths);
}

/* The labels as a leaf [B,T], with those behind a length replaced; how many are left. */
static sg_tensor *real_labels(const sg_label_loss_options *o, int64_t *tokens)
{
    sg_context *g = sg_context_of(o->logits);
    int64_t batch = sg_dim(o->logits, 0), time = sg_dim(o->logits, 1);
    int64_t classes = sg_dim(o->logits, 2);
    int32_t *labels = sg_room(g, (size_t)(batch * time) * sizeof *labels);
    if (!labels)
        return sg__nothing(g);
    for (int64_t b = 0; b < batch; b++) {
        int64_t length = o->lengths ? o->lengths[b] : time;
        for (int64_t t = 0; t < time; t++) {
            int32_t label = o->labels[b * time + t];
            if (t < length && (label < 0 || label >= classes))
                sg_fail(g, SG_BAD_ARGUMENT, "label %d of row %lld, step %lld is not in 0..%lld",
                        (int)label, (long long)b, (long long)t, (long long)classes - 1);
            labels[b * time + t] = t < length ? label : NOT_REAL;
        }
        *tokens += length;
    }
    return sg_borrow(g, SG_I32, SG_SHAPE(batch, time), labels);
}

/* -log p(label), of real tokens only */
sg_loss sg_label_loss_(sg_label_loss_options o)
{
    sg_context *g = sg_context_of(o.logits);
    sg_loss loss = {.sum = sg__nothing(g), .mean = sg__nothing(g)};
    sg_push(g, "label loss", "");
    if (good(&o)) {
        sg_tensor *labels = real_labels(&o, &loss.tokens);
        sg_tensor *nll = sg_cross_entropy(o.logits, labels, .ignore = true,
                                          .ignored_label = NOT_REAL, .smoothing = o.smoothing);
        loss.sum = sg_sum(nll, SG_ALL_AXES, false); /* of [B,T] */
        double n = loss.tokens ? (double)loss.tokens : 1;
        loss.mean = sg_div(loss.sum, sg_like(loss.sum, n));
    }
    sg_pop(g);
    return loss;
}
