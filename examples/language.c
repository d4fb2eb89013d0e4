/* See language.h. */
#include "examples/language.h"

#include <string.h>

/* The first token only begins the sequence; so does the last of the first part for the rest. */
language_parts language_cut(const sg_sequence *text, double share)
{
    language_parts p = {0};
    if (text->count > 0) {
        int64_t first = (int64_t)((double)(text->count - 1) * share);
        p.first = (sg_sequence){.count = first + 1, .ids = text->ids};
        p.rest = (sg_sequence){.count = text->count - first, .ids = text->ids + first};
    }
    return p;
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

sg_tensor *language_loss(language *m, const sg_subsequence *b)
{
    if (b->first)
        language_forget(m);
    sg_tensor *logits = language_logits(m, b->in, b->rows, b->time);
    sg_tensor *y = sg_input(m->g, SG_I32, SG_SHAPE(b->rows, b->time), b->out);
    sg_push(m->g, "loss", "");
    sg_tensor *loss = sg_sum(sg_cross_entropy(logits, y), SG_ALL_AXES, false);
    sg_pop(m->g);
    return loss;
}

/* Rows would each begin with a state of zeros, and drop a few tokens: one row is exact, more are
 * faster. */
sg_nll language_score(language *m, const sg_sequence *text, int rows)
{
    enum { TIME = 50 };
    sg_nll nll = {0};
    sg_subsequences *all = sg_subsequences_make(m->g, text, rows, TIME);
    sg_subsequence b = {0};
    while (sg_ok(m->g) && sg_subsequence_next(all, &b)) {
        sg_nll_add(&nll, sg_item(language_loss(m, &b)), b.tokens);
        sg_reset(m->g);
    }
    sg_subsequences_free(all);
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
    sg_sequence *text = sg_sequence_of(g, test, v);
    language_parts parts = language_cut(text, 1 - share);
    sg_nll nll = {0};
    if (program_some(g, p, parts.rest.count - 1))
        nll = language_score(&m, &parts.rest, 1);
    *lines = test->size;
    sg_sequence_free(text);
    sg_vocabulary_free(v);
    sg_corpus_free(test);
    return nll;
}
