/* Losses over sequences. */
#include "models/models.h"

#include <stdlib.h>
#include <string.h>

/* -log p(label), of real tokens only: labels behind a length are ignored. */
sg_loss sg_label_loss_(sg_label_loss_options o)
{
    sg_loss loss = {0};
    sg_context *g = sg_context_of(o.logits);
    if (sg_rank(o.logits) != 3) {
        loss.sum = loss.mean = sg_is_nil(o.logits) ? o.logits
                                                   : sg_fail(g, SG_BAD_SHAPE,
                                                             "label loss: logits have %d axes, not "
                                                             "[batch, time, classes]",
                                                             sg_rank(o.logits));
        return loss;
    }
    int64_t batch = sg_dim(o.logits, 0), time = sg_dim(o.logits, 1);
    size_t n = (size_t)(batch * time);
    int32_t *labels = malloc((n + 1) * sizeof *labels);
    if (!labels) {
        loss.sum = loss.mean = sg_fail(g, SG_NO_MEMORY, "label loss: no memory");
        return loss;
    }
    memcpy(labels, o.labels, n * sizeof *labels);
    for (int64_t b = 0; b < batch; b++) {
        int64_t real = o.lengths ? o.lengths[b] : time;
        loss.tokens += real;
        for (int64_t t = real; t < time; t++)
            labels[b * time + t] = -1;
    }
    sg_tensor *nll =
        sg_cross_entropy(o.logits, sg_input(g, SG_I32, SG_SHAPE(batch, time), labels),
                         .ignore = true, .ignored_label = -1, .smoothing = o.smoothing); /* [B,T] */
    free(labels);
    loss.sum = sg_sum(nll, SG_ALL_AXES, false);
    loss.mean = sg_mul(loss.sum, sg_like(loss.sum, 1 / (double)(loss.tokens ? loss.tokens : 1)));
    return loss;
}
