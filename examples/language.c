/* See language.h. */
#include "examples/language.h"

#include <stdlib.h>
#include <string.h>

/* ---- the text ------------------------------------------------------------------------------- */

language_text language_read(sg_context *g, const sg_corpus *c, const sg_vocabulary *v)
{
    language_text t = {0};
    int64_t count = 1;
    for (int i = 0; i < c->size && sg_ok(g); i++)
        count += sg_encode(v, c->source[i], 0, NULL) + 1;
    if (!sg_ok(g))
        return t;
    t.ids = malloc((size_t)count * sizeof *t.ids);
    if (!t.ids) {
        sg_fail(g, SG_NO_MEMORY, "no memory for %lld tokens", (long long)count);
        return t;
    }
    t.ids[t.count++] = SG_STOP;
    for (int i = 0; i < c->size && sg_ok(g); i++) {
        int n = sg_encode(v, c->source[i], (int)(count - t.count), t.ids + t.count);
        t.count += n > 0 ? n : 0;
        t.ids[t.count++] = SG_STOP;
    }
    return t;
}

language_text language_cut(sg_context *g, language_text *t, double share)
{
    /* Without the first token, which only begins the sequence; so does the last of the first part
     * for the rest. */
    int64_t first = t->count ? (int64_t)((double)(t->count - 1) * share) + 1 : 0;
    language_text rest = {.count = t->count ? t->count - first + 1 : 0};
    rest.ids = malloc((size_t)rest.count * sizeof *rest.ids + 1);
    if (!rest.ids)
        sg_fail(g, SG_NO_MEMORY, "no memory for %lld tokens", (long long)rest.count);
    else if (rest.count)
        memcpy(rest.ids, t->ids + first - 1, (size_t)rest.count * sizeof *rest.ids);
    rest.count = rest.ids ? rest.count : 0;
    t->count = first;
    return rest;
}

void language_text_free(language_text *t)
{
    free(t->ids);
    *t = (language_text){0};
}

/* ---- subsequences --------------------------------------------------------------------------- */

language_sampler language_sample(sg_context *g, language_text text, int rows, int time, bool random,
                                 uint64_t seed)
{
    language_sampler s = {.text = text, .rows = rows, .time = time, .random = random, .seed = seed};
    int64_t most = text.count > 0 ? text.count - 1 : 0, row = most / rows;
    s.steps = random ? (most - time + 1) / time / rows : (row + time - 1) / time;
    if (sg_ok(g) && s.steps <= 0)
        sg_fail(g, SG_BAD_ARGUMENT, "a text of %lld tokens is too short for %d rows of %d",
                (long long)most, rows, time);
    size_t n = sg_ok(g) ? (size_t)rows * (size_t)time : 0, all = n ? (size_t)(most / time) : 0;
    s.x = malloc(2 * n * sizeof *s.x + 1);
    s.order = malloc(all * sizeof *s.order + 1);
    s.y = s.x ? s.x + n : NULL;
    if (!s.x || !s.order)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d subsequences of %d", rows, time);
    s.steps = sg_ok(g) ? s.steps : 0;
    return s;
}

void language_sampler_free(language_sampler *s)
{
    free(s->x);
    free(s->order);
    *s = (language_sampler){0};
}

/* Where row b of the next batch begins. A random epoch cuts the text at an offset of its own, so
 * that the cuts lie elsewhere each time. */
static int64_t place(language_sampler *s, int b)
{
    if (!s->random)
        return b * ((s->text.count - 1) / s->rows) + s->next * s->time;
    return s->offset + (int64_t)s->order[s->next * s->rows + b] * s->time;
}

bool language_next(language_sampler *s)
{
    if (s->next == s->steps) {
        s->next = 0;
        return false;
    }
    int64_t row = (s->text.count - 1) / s->rows, left = row - s->next * s->time;
    if (s->random && s->next == 0) {
        s->offset = (int64_t)(program_draw(&s->seed) % (uint64_t)s->time);
        program_shuffle(&s->seed, (int)((s->text.count - 1 - s->offset) / s->time), s->order);
    }
    s->first = s->random || s->next == 0;
    s->length = s->random || left > s->time ? s->time : (int)left;
    size_t n = (size_t)s->length;
    for (int b = 0; b < s->rows; b++) {
        const int32_t *from = s->text.ids + place(s, b);
        memcpy(s->x + (size_t)b * n, from, n * sizeof *s->x);
        memcpy(s->y + (size_t)b * n, from + 1, n * sizeof *s->y);
    }
    s->next++;
    return true;
}

/* ---- the model ------------------------------------------------------------------------------ */

/* p = init * (2 u - 1) for all parameters */
static void spread(sg_context *g, double init)
{
    for (sg_tensor *p = NULL; (p = sg_next_param(g, p, false));) {
        sg_tensor *u = sg_random_uniform(g, SG_F32, sg_shape_of(p));
        sg_tensor *centred = sg_sub(sg_mul(u, sg_like(u, 2)), sg_like(u, 1));
        sg_tensor *value = sg_assign(p, sg_mul(centred, sg_like(u, init)));
        sg_eval(value);
    }
    sg_reset(g);
}

language language_make(sg_context *g, language_config c, const sg_vocabulary *v)
{
    language m = {.g = g, .c = c};
    int words = sg_vocabulary_size(v), in = c.embed ? c.embed : c.hidden;
    if (!sg_ok(g))
        return m;
    m.table = sg_embedding(g, "embedding", words, in);
    for (int l = 0; l < c.layers; l++) {
        char name[16];
        snprintf(name, sizeof name, "layer%d", l);
        sg_cell_options o = {g, name, l ? c.hidden : in, c.hidden, .dropout = c.dropout};
        m.layer[l] = cells_make(&c.cell, o);
    }
    if (c.tied && in != c.hidden)
        sg_fail(g, SG_BAD_ARGUMENT, "words of %d features are not tied to states of %d", in,
                c.hidden);
    if (!c.tied)
        m.out = sg_linear(g, "out", c.hidden, words);
    language_out(&m); /* its parameters, too */
    if (c.init > 0)
        spread(g, c.init);
    return m;
}

sg_affine language_out(const language *m)
{
    return m->c.tied ? sg_tied("out", m->table) : m->out;
}

void language_forget(language *m)
{
    memset(m->state, 0, sizeof m->state);
}

sg_tensor *language_logits(language *m, const int32_t *x, int rows, int time)
{
    sg_push(m->g, "embedding", "");
    sg_tensor *h = sg_take(m->table, sg_input(m->g, SG_I32, SG_SHAPE(rows, time), x)); /* [B,T,E] */
    sg_pop(m->g);
    h = sg_deep(m->c.layers, m->layer, NULL, h, .initial = m->state,
                .final = m->state); /* [B,T,H] */
    sg_carry(m->c.layers, m->state);
    h = sg_dropout(h, m->c.dropout);
    sg_push(m->g, "output", "");
    sg_tensor *logits = sg_apply(language_out(m), h); /* [B,T,V] */
    sg_pop(m->g);
    return logits;
}

sg_tensor *language_loss(language *m, const language_sampler *s)
{
    if (s->first)
        language_forget(m);
    sg_tensor *logits = language_logits(m, s->x, s->rows, s->length);
    sg_tensor *y = sg_input(m->g, SG_I32, SG_SHAPE(s->rows, s->length), s->y);
    sg_push(m->g, "loss", "");
    sg_tensor *loss = sg_sum(sg_cross_entropy(logits, y), SG_ALL_AXES, false);
    sg_pop(m->g);
    return loss;
}

/* Rows would each begin with a state of zeros, and drop a few tokens: one row is exact, more are
 * faster. */
sg_nll language_score(language *m, language_text text, int rows)
{
    enum { TIME = 50 };
    sg_nll nll = {0};
    language_sampler s = language_sample(m->g, text, rows, TIME, false, 0);
    while (sg_ok(m->g) && language_next(&s)) {
        sg_nll_add(&nll, sg_item(language_loss(m, &s)), (int64_t)rows * s.length);
        sg_reset(m->g);
    }
    language_sampler_free(&s);
    language_forget(m);
    return nll;
}

/* ---- gates ---------------------------------------------------------------------------------- */

void language_draw_gates(const language *m, const sg_vocabulary *v, const char *text, FILE *f,
                         const char *svg)
{
    enum {
        MOST = 256,
        GATES = LANGUAGE_LAYERS * SG_MAX_GATES,
        SHOWN = 8,
        ROWS = GATES * (SHOWN + 1)
    };
    sg_context *g = m->g;
    int32_t ids[MOST] = {SG_STOP};
    int n = sg_encode(v, text, MOST - 1, ids + 1) + 1, count = 0, lines = 0;
    char label[ROWS][16];
    const char *rows[ROWS], *columns[MOST];
    sg_tensor *all[GATES];
    n = n < MOST ? n : MOST;
    for (int t = 0; t < n; t++)
        columns[t] = sg_vocabulary_text(v, ids[t]);
    sg_tensor *h = sg_take(m->table, sg_input(g, SG_I32, SG_SHAPE(1, n), ids)); /* [1,T,E] */
    for (int l = 0; l < m->c.layers && sg_ok(g); l++) {
        sg_gates gates;
        h = sg_unroll(m->layer[l], h, .gates = &gates);
        for (int k = 0; k < gates.n && sg_ok(g); k++) {
            sg_tensor *x = gates.value[k]; /* [1,T,U] */
            int shown = sg_dim(x, 2) < SHOWN ? (int)sg_dim(x, 2) : SHOWN;
            all[count++] = sg_concat(-1, sg_mean(x, 2, true), sg_slice(x, 2, 0, shown, 1));
            for (int u = 0; u <= shown; u++, lines++) {
                snprintf(label[lines], sizeof *label, u ? "%d %s %d" : "%d %s", l + 1,
                         gates.name[k], u);
                rows[lines] = label[lines];
            }
        }
    }
    if (sg_ok(g) && count == 0)
        sg_fail(g, SG_BAD_ARGUMENT, "a cell without gates");
    const float *values =
        sg_ok(g) ? sg_data(sg_transpose(sg_concat_(-1, count, all), 1, 2)) : NULL; /* [1,R,T] */
    if (values)
        sg_plot_heatmap(g, lines, n, rows, columns, values, .title = "gates 门", .file = f,
                        .svg = svg);
    sg_reset(g);
}

/* ---- the file of the model ------------------------------------------------------------------ */

language language_load(sg_context *g, const program *p, language_config *c, sg_vocabulary **v)
{
    program_load(g, p);
    c->init = 0; /* the parameters are there */
    *v = sg_vocabulary_parse(g, sg_meta(g, "vocabulary"));
    return language_make(g, *c, *v);
}

sg_nll language_evaluate(sg_context *g, const program *p, language_config *c, double share,
                         int *lines)
{
    sg_vocabulary *v;
    language m = language_load(g, p, c, &v);
    sg_corpus *test = program_lines(g, p->t->test, "test");
    language_text all = language_read(g, test, v), text = language_cut(g, &all, 1 - share);
    sg_nll nll = language_score(&m, text, 1);
    *lines = test->size;
    language_text_free(&all);
    language_text_free(&text);
    sg_vocabulary_free(v);
    sg_corpus_free(test);
    return nll;
}
