/* Sampling. A row has a stream of its own, so that it does not depend on the rows beside it. */
#include "models/decode/internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct choice {
    double log_p;
    int32_t id;
} choice;

static int by_probability(const void *x, const void *y)
{
    const choice *a = x, *b = y;
    if (a->log_p != b->log_p)
        return a->log_p > b->log_p ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* In [0, 1), a function of both: splitmix64 (Steele et al. 2014), twice. */
static double uniform(uint64_t seed, uint64_t step)
{
    uint64_t z = seed;
    for (int i = 0; i < 2; i++) {
        z += UINT64_C(0x9E3779B97F4A7C15) * (step + 1);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        z ^= z >> 31;
    }
    return (double)(z >> 11) * 0x1p-53;
}

/* One of n choices, the most probable first. */
static choice draw(const sg_sample_options *o, int n, const choice *c, double u)
{
    double temperature = o->temperature == 0 ? 1 : o->temperature;
    if (temperature == SG_ZERO)
        return c[0];
    double sum = 0, kept = 0, at = 0;
    for (int i = 0; i < n; i++)
        sum += exp((c[i].log_p - c[0].log_p) / temperature);
    int some = 0;
    while (some < n && (o->top_p == 0 || some == 0 || kept < o->top_p * sum))
        kept += exp((c[some++].log_p - c[0].log_p) / temperature);
    for (int i = 0; i < some; i++) {
        at += exp((c[i].log_p - c[0].log_p) / temperature);
        if (u * kept < at)
            return c[i];
    }
    return c[some - 1];
}

static uint64_t seed_of(const sg_sample_options *o, int b)
{
    uint64_t seed = sg_infos(o->model->g).seed;
    return o->seeds ? o->seeds[b] : seed + (uint64_t)b * UINT64_C(0xD1B54A32D192ED03);
}

static choice choose(const sg_sample_options *o, sg__paths *w, int b, int t, choice *c)
{
    int32_t must = sg__forced(o->prefix, o->prefix_lengths, o->prefix_time, b, t);
    const int32_t *ids = w->ids ? sg_data(w->ids) : NULL;
    int n = (int)w->count;
    for (int i = 0; i < n; i++) {
        int64_t at = (int64_t)b * n + i;
        c[i] = (choice){sg__value(w->log_p, at), ids ? ids[at] : i};
    }
    if (must >= 0)
        return (choice){sg__value(w->given, b), must};
    if (!ids)
        qsort(c, (size_t)n, sizeof *c, by_probability);
    return draw(o, n, c, uniform(seed_of(o, b), (uint64_t)t));
}

static void run(const sg_sample_options *o, sg__paths *w, sg_hypotheses *h, int32_t *tokens,
                choice *space)
{
    const sg_stepper *m = o->model;
    int32_t *given = tokens + m->rows;
    int on = m->rows;
    for (int b = 0; b < m->rows; b++) {
        tokens[b] = m->start;
        h->lengths[b] = -1;
    }
    for (int t = 0; t < h->most && on > 0; t++) {
        for (int b = 0; b < m->rows; b++) {
            int32_t must = sg__forced(o->prefix, o->prefix_lengths, o->prefix_time, b, t);
            given[b] = must < 0 ? 0 : must;
        }
        if (!sg__walk_step(w, tokens, NULL, o->temperature == SG_ZERO ? 1 : o->top_k, given))
            return;
        for (int b = 0; b < m->rows; b++) {
            int32_t *to = h->ids + (int64_t)b * h->most + t;
            *to = m->stop < 0 ? 0 : m->stop;
            if (h->lengths[b] >= 0)
                continue;
            choice c = choose(o, w, b, t, space);
            h->scores[b] += c.log_p;
            tokens[b] = *to = c.id;
            if (c.id == m->stop) {
                h->lengths[b] = t;
                on--;
            }
        }
    }
    for (int b = 0; b < m->rows; b++) {
        h->lengths[b] = h->lengths[b] < 0 ? h->most : h->lengths[b];
        h->adjusted[b] = h->scores[b];
    }
}

sg_hypotheses sg_sample_(sg_sample_options o)
{
    const sg_stepper *m = o.model;
    sg_context *g = m ? m->g : NULL;
    sg__paths w;
    sg_hypotheses h = {0};
    sg_push(g, "sample", "");
    double t = o.temperature;
    if (!(t >= 0 || t == SG_ZERO) || o.top_k < 0 || !(o.top_p >= 0 && o.top_p <= 1) || o.most < 0)
        sg_fail(g, SG_BAD_ARGUMENT, "a temperature of %g, the first %d or %g of all, %d tokens", t,
                o.top_k, o.top_p, o.most);
    if (sg_ok(g) && sg__good_prefix(m, o.prefix, o.prefix_lengths, o.prefix_time)) {
        if (sg__walk_open(&w, m, 1))
            h = sg__hypotheses(g, m->rows, 1, o.most);
        int32_t *tokens = malloc((2 * (size_t)m->rows + 1) * sizeof *tokens);
        choice *space = malloc(((size_t)m->classes + 1) * sizeof *space);
        if (!tokens || !space)
            sg_fail(g, SG_NO_MEMORY, "no memory for %d classes", m->classes);
        else if (h.ids)
            run(&o, &w, &h, tokens, space);
        free(tokens);
        free(space);
        sg__walk_close(&w);
    }
    sg_pop(g);
    return sg_ok(g) ? h : (sg_hypotheses){0};
}
