/* Connectionist temporal classification, composed: the sum over all alignments, step by step. */
#include "models/internal.h"

#include <math.h>
#include <string.h>

/* log 0 of a state that cannot be reached. Not infinite: what is computed from it has derivatives,
 * which then meet exact zeros. */
static const double never = -1e30;

/* Labels with blanks between: states 0..2 most of each row. */
typedef struct states {
    int64_t n;
    int32_t *label; /* [B,n]: the class of a state */
    uint8_t *skip;  /* [B,n]: it can be reached from the one but one before */
    int32_t *last;  /* [B,2]: states in which a row may end */
    uint8_t *two;   /* [B]: there are two of them */
    uint8_t *can;   /* [B]: the row is long enough */
    double *cost;   /* [B], if it is not */
} states;

static bool good(const sg_ctc_options *o)
{
    sg_context *g = sg_context_of(o->logits);
    if (!sg_ok(g))
        return false;
    if (sg_rank(o->logits) != 3 || o->most < 0 || (!o->labels && o->most))
        sg_fail(g, SG_BAD_SHAPE,
                "logits have %d axes, not [batch, time, classes]; %d labels at most%s",
                sg_rank(o->logits), o->most, o->labels ? "" : ", none given");
    else if (o->blank < 0 || o->blank >= sg_dim(o->logits, 2))
        sg_fail(g, SG_BAD_ARGUMENT, "a blank of %d is not in 0..%lld", o->blank,
                (long long)sg_dim(o->logits, 2) - 1);
    int64_t batch = sg_ok(g) ? sg_dim(o->logits, 0) : 0;
    return sg_ok(g) && sg__good_lengths(g, batch, sg_dim(o->logits, 1), o->lengths) &&
           sg__good_lengths(g, batch, o->most, o->label_lengths);
}

static bool spread_row(const sg_ctc_options *o, const states *s, int64_t b)
{
    sg_context *g = sg_context_of(o->logits);
    int64_t n = o->label_lengths ? o->label_lengths[b] : o->most;
    int64_t length = o->lengths ? o->lengths[b] : sg_dim(o->logits, 1), needed = n;
    const int32_t *y = o->labels + b * o->most;
    for (int64_t i = 0; i < s->n; i++)
        s->label[b * s->n + i] = o->blank;
    for (int64_t i = 0; i < n; i++) {
        if (y[i] < 0 || y[i] >= sg_dim(o->logits, 2) || y[i] == o->blank) {
            sg_fail(g, SG_BAD_ARGUMENT,
                    "label %d of row %lld, which is %d, is a blank or not in 0..%lld", (int)i,
                    (long long)b, (int)y[i], (long long)sg_dim(o->logits, 2) - 1);
            return false;
        }
        s->label[b * s->n + 2 * i + 1] = y[i];
        s->skip[b * s->n + 2 * i + 1] = i > 0 && y[i] != y[i - 1];
        needed += i > 0 && y[i] == y[i - 1];
    }
    s->last[2 * b] = (int32_t)(2 * n);
    s->last[2 * b + 1] = (int32_t)(n ? 2 * n - 1 : 0);
    s->two[b] = n > 0;
    s->can[b] = length >= needed && length > 0;
    s->cost[b] = (length == 0 && n == 0) || o->zero_infinity ? 0 : INFINITY;
    return true;
}

/* α_1: the first blank or the first label;
 * α_t[s] = log(α_t-1[s] + α_t-1[s-1] + α_t-1[s-2] where s may be skipped to) + log p_t(label[s]) */
static sg_tensor *sum_of_paths(const sg_ctc_options *o, const states *s)
{
    sg_context *g = sg_context_of(o->logits);
    int64_t batch = sg_dim(o->logits, 0), time = sg_dim(o->logits, 1), n = s->n;
    const int *lengths = sg__short_ones(o->lengths, batch, time);
    sg_tensor *log_p = sg_log_softmax(sg__clean(o->logits, lengths));
    sg_tensor *label = sg_input(g, SG_I32, SG_SHAPE(batch, 1, n), s->label);
    label = sg_broadcast_to(label, SG_SHAPE(batch, time, n));
    sg_tensor *e = sg_take_along_axis(log_p, label, 2); /* [B,T,n] */
    sg_tensor *skip = sg_input(g, SG_U8, SG_SHAPE(batch, n), s->skip), *no = sg_like(e, never);
    sg_tensor *real = lengths ? sg_length_mask(g, (int)batch, time, lengths) : NULL;
    sg_tensor *start = sg_slice(sg_index(e, 1, 0), 1, 0, 2, 1);
    sg_tensor *alpha = sg_pad(start, 1, 0, n > 2 ? n - 2 : 0, never); /* [B,n] */
    for (int64_t t = 1; t < time; t++) {
        sg_tensor *before = sg_pad(alpha, 1, 2, 0, never); /* [B,n+2] */
        sg_tensor *one = sg_slice(before, 1, 1, n + 1, 1);
        sg_tensor *two = sg_where(skip, sg_slice(before, 1, 0, n, 1), no);
        sg_tensor *next = sg_logsumexp(sg_stack(2, alpha, one, two), 2, false);
        next = sg_add(next, sg_index(e, 1, t));
        alpha = real ? sg_where(sg_slice(real, 1, t, t + 1, 1), next, alpha) : next;
    }
    sg_tensor *ends =
        sg_take_along_axis(alpha, sg_input(g, SG_I32, SG_SHAPE(batch, 2), s->last), 1);
    sg_tensor *two = sg_input(g, SG_U8, SG_SHAPE(batch, 1), s->two);
    ends = sg_concat(1, sg_slice(ends, 1, 0, 1, 1), sg_where(two, sg_slice(ends, 1, 1, 2, 1), no));
    return sg_logsumexp(ends, 1, false);
}

static sg_tensor *loss_of(const sg_ctc_options *o, const states *s)
{
    sg_context *g = sg_context_of(o->logits);
    int64_t batch = sg_dim(o->logits, 0), time = sg_dim(o->logits, 1);
    sg_tensor *cost = sg_cast(sg_input(g, SG_F64, SG_SHAPE(batch), s->cost), sg_type(o->logits));
    if (time == 0)
        return cost;
    return sg_where(sg_input(g, SG_U8, SG_SHAPE(batch), s->can), sg_neg(sum_of_paths(o, s)), cost);
}

sg_tensor *sg_ctc_loss_(sg_ctc_options o)
{
    sg_context *g = sg_context_of(o.logits);
    sg_tensor *loss = sg__nothing(g);
    sg_push(g, "ctc", "");
    if (good(&o)) {
        size_t batch = (size_t)sg_dim(o.logits, 0), n = 2 * (size_t)o.most + 1;
        size_t bytes = batch * (n + 2) * (sizeof(int32_t) + 1);
        int32_t *numbers = sg_room(g, bytes);
        double *cost = sg_room(g, batch * sizeof *cost);
        uint8_t *flags = numbers ? (uint8_t *)(numbers + batch * (n + 2)) : NULL;
        if (numbers && cost) {
            memset(numbers, 0, bytes);
            states s = {(int64_t)n,
                        numbers,
                        flags,
                        numbers + batch * n,
                        flags + batch * n,
                        flags + batch * (n + 1),
                        cost};
            bool ok = true;
            for (size_t b = 0; b < batch && ok; b++)
                ok = spread_row(&o, &s, (int64_t)b);
            loss = ok ? loss_of(&o, &s) : loss;
        }
    }
    sg_pop(g);
    return loss;
}
