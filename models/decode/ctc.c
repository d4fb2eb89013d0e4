/* What CTC's probabilities say: the best alignment, or the prefixes of the largest sums of them. */
#include "models/decode/internal.h"

#include <math.h>
#include <stdlib.h>

static double log_add(double a, double b)
{
    double high = fmax(a, b), low = fmin(a, b);
    return high == -INFINITY ? high : high + log1p(exp(low - high));
}

/* ---- the best alignment --------------------------------------------------------------------- */

static int greedy_row(sg_tensor *log_p, int64_t row, int64_t n, int blank, int32_t *ids,
                      double *score)
{
    int64_t classes = sg_dim(log_p, 2);
    int32_t before = blank;
    int length = 0;
    for (int64_t t = 0; t < n; t++) {
        int32_t best = 0;
        for (int32_t k = 1; k < classes; k++)
            if (sg__value(log_p, (row + t) * classes + k) >
                sg__value(log_p, (row + t) * classes + best))
                best = k;
        *score += sg__value(log_p, (row + t) * classes + best);
        if (best != blank && best != before)
            ids[length++] = best;
        before = best;
    }
    return length;
}

/* ---- prefix beam search --------------------------------------------------------------------- */

/* A prefix, by its last label; log p of its alignments so far that end in a blank, and in that
 * label, now and after the step that is being made. */
typedef struct prefix {
    int parent, child, sibling; /* child: the one made last */
    int32_t label;
    int length;
    bool listed; /* among those that the step reaches */
    double blank, label_p, next_blank, next_label;
} prefix;

typedef struct beam {
    sg_context *g;
    prefix *p;
    int n, room, width;
    int *live, lives; /* [width] */
    int *reached, reaches;
} beam;

static int new_prefix(beam *s, int parent, int32_t label)
{
    if (s->n == s->room) {
        int room = s->room ? 2 * s->room : 256;
        prefix *p = realloc(s->p, (size_t)room * sizeof *p);
        s->p = p ? p : s->p;
        int *reached = p ? realloc(s->reached, (size_t)room * sizeof *reached) : NULL;
        s->reached = reached ? reached : s->reached;
        if (!reached) {
            sg_fail(s->g, SG_NO_MEMORY, "no memory for %d prefixes", room);
            return -1;
        }
        s->room = room;
    }
    prefix new = {parent, -1, -1, label, 0, false, -INFINITY, -INFINITY, -INFINITY, -INFINITY};
    if (parent >= 0) {
        new.length = s->p[parent].length + 1;
        new.sibling = s->p[parent].child;
        s->p[parent].child = s->n;
    }
    s->p[s->n] = new;
    return s->n++;
}

/* The prefix that a label makes of another, as reached. */
static prefix *reach(beam *s, int from, int32_t label)
{
    int at = from;
    if (label >= 0) {
        for (at = s->p[from].child; at >= 0 && s->p[at].label != label;)
            at = s->p[at].sibling;
        at = at < 0 ? new_prefix(s, from, label) : at;
    }
    if (at < 0)
        return NULL;
    if (!s->p[at].listed)
        s->reached[s->reaches++] = at;
    s->p[at].listed = true;
    return &s->p[at];
}

static void add(double *to, double log_p)
{
    *to = log_add(*to, log_p);
}

/* A blank, the label again, or another one: after prefix `at`. */
static void extend(beam *s, int at, const double *log_p, int classes, int blank)
{
    prefix old = s->p[at];
    double both = log_add(old.blank, old.label_p);
    prefix *same = reach(s, at, -1);
    add(&same->next_blank, both + log_p[blank]);
    if (old.label >= 0)
        add(&same->next_label, old.label_p + log_p[old.label]);
    for (int32_t k = 0; k < classes; k++) {
        prefix *longer = k == blank ? NULL : reach(s, at, k);
        if (longer) /* the same label twice needs a blank in between */
            add(&longer->next_label, (k == old.label ? old.blank : both) + log_p[k]);
    }
}

/* The `width` best of those reached go on, the others are forgotten. */
static void settle(beam *s)
{
    s->lives = 0;
    for (int i = 0; i < s->reaches; i++) {
        prefix *p = &s->p[s->reached[i]];
        p->blank = p->next_blank;
        p->label_p = p->next_label;
        p->next_blank = p->next_label = -INFINITY;
        p->listed = false;
        double score = log_add(p->blank, p->label_p);
        if (score == -INFINITY) /* nothing spells it yet */
            continue;
        int to = s->lives < s->width ? s->lives++ : s->width;
        for (; to > 0; to--) {
            const prefix *before = &s->p[s->live[to - 1]];
            if (log_add(before->blank, before->label_p) >= score)
                break;
            if (to < s->width)
                s->live[to] = s->live[to - 1];
        }
        if (to < s->width)
            s->live[to] = s->reached[i];
    }
    s->reaches = 0;
}

static void beam_row(beam *s, sg_tensor *log_p, int64_t row, int64_t n, int blank, double *step)
{
    int classes = (int)sg_dim(log_p, 2);
    s->n = s->reaches = 0;
    s->lives = 1;
    s->live[0] = new_prefix(s, -1, -1);
    if (s->live[0] == 0)
        s->p[0].blank = 0; /* log 1 */
    for (int64_t t = 0; t < n && sg_ok(s->g); t++) {
        for (int k = 0; k < classes; k++)
            step[k] = sg__value(log_p, (row + t) * classes + k);
        for (int i = 0; i < s->lives && sg_ok(s->g); i++)
            extend(s, s->live[i], step, classes, blank);
        settle(s);
    }
}

static int tell(const beam *s, int at, int32_t *ids)
{
    int n = s->p[at].length;
    for (; s->p[at].parent >= 0; at = s->p[at].parent)
        ids[s->p[at].length - 1] = s->p[at].label;
    return n;
}

/* ---- both ----------------------------------------------------------------------------------- */

static void beam_rows(beam *s, sg_tensor *log_p, const int *lengths, int blank, sg_hypotheses *h)
{
    double *step = malloc(((size_t)sg_dim(log_p, 2) + 1) * sizeof *step);
    s->live = malloc(((size_t)s->width + 1) * sizeof *s->live);
    if (!step || !s->live)
        sg_fail(s->g, SG_NO_MEMORY, "no memory for %d prefixes", s->width);
    for (int b = 0; b < h->rows && sg_ok(s->g); b++) {
        int64_t time = sg_dim(log_p, 1), n = lengths ? lengths[b] : time;
        beam_row(s, log_p, b * time, n, blank, step);
        for (int k = 0; k < h->best && sg_ok(s->g); k++) {
            int at = b * h->best + k;
            h->lengths[at] = -1;
            if (k >= s->lives)
                continue;
            const prefix *p = &s->p[s->live[k]];
            h->scores[at] = h->adjusted[at] = log_add(p->blank, p->label_p);
            h->lengths[at] = tell(s, s->live[k], h->ids + (int64_t)at * h->most);
        }
    }
    free(step);
    free(s->live);
    free(s->p);
    free(s->reached);
}

static bool good(sg_context *g, sg_tensor *logits, const int *lengths, int blank, int width)
{
    if (!sg_ok(g))
        return false;
    if (sg_rank(logits) != 3)
        sg_fail(g, SG_BAD_SHAPE, "logits have %d axes, not [batch, time, classes]",
                sg_rank(logits));
    else if (blank < 0 || blank >= sg_dim(logits, 2) || width < 0)
        sg_fail(g, SG_BAD_ARGUMENT, "a blank of %d of %lld classes, a beam of %d", blank,
                (long long)sg_dim(logits, 2), width);
    return sg_ok(g) && sg__good_lengths(g, sg_dim(logits, 0), sg_dim(logits, 1), lengths);
}

sg_hypotheses sg_ctc_decode(sg_tensor *logits, const int *lengths, int blank, int width)
{
    sg_context *g = sg_context_of(logits);
    sg_hypotheses h = {0};
    sg_push(g, "ctc decode", "");
    if (good(g, logits, lengths, blank, width)) {
        int batch = (int)sg_dim(logits, 0), time = (int)sg_dim(logits, 1);
        sg_tensor *log_p = sg_log_softmax(logits);
        h = sg_eval(log_p) == SG_OK ? sg__hypotheses(g, batch, width ? width : 1, time) : h;
        beam s = {.g = g, .width = width};
        if (width && sg_ok(g))
            beam_rows(&s, log_p, lengths, blank, &h);
        for (int b = 0; b < batch && !width && sg_ok(g); b++) {
            int64_t n = lengths ? lengths[b] : time, row = (int64_t)b * time;
            h.lengths[b] = greedy_row(log_p, row, n, blank, h.ids + row, &h.scores[b]);
            h.adjusted[b] = h.scores[b];
        }
    }
    sg_pop(g);
    return sg_ok(g) ? h : (sg_hypotheses){0};
}
