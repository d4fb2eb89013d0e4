/* See translator.h. */
#include "examples/translator.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 4096 };

/* ---- the options in the file ----------------------------------------------------------------- */

static char *config_text(const translator_config *c)
{
    json_t *j = json_pack("{si si si si si si si si sf sb sb si}", "cell", c->cell, "attention",
                          c->attention, "attend", c->attend, "source_units", c->source_units,
                          "target_units", c->target_units, "embed", c->embed, "hidden", c->hidden,
                          "layers", c->layers, "dropout", c->dropout, "lower", c->lower, "feed",
                          c->feed, "max_length", c->max_length);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

static bool config_parse(const char *text, translator_config *c)
{
    int lower, feed;
    json_t *j = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    bool ok =
        j && json_unpack(j, "{si si si si si si si si sF sb sb si !}", "cell", &c->cell,
                         "attention", &c->attention, "attend", &c->attend, "source_units",
                         &c->source_units, "target_units", &c->target_units, "embed", &c->embed,
                         "hidden", &c->hidden, "layers", &c->layers, "dropout", &c->dropout,
                         "lower", &lower, "feed", &feed, "max_length", &c->max_length) == 0;
    json_decref(j);
    if (ok) {
        c->lower = lower;
        c->feed = feed;
    }
    return ok && c->cell >= 0 && c->cell <= 2 && c->attention >= 0 && c->attention <= 3 &&
           c->max_length > 0;
}

/* ---- making, saving, loading ----------------------------------------------------------------- */

translator translator_new(sg_context *g, translator_config c, sg_vocabulary *source,
                          sg_vocabulary *target)
{
    static const sg_score score[] = {SG_DOT, SG_GENERAL, SG_CONCAT, SG_DOT};
    static const sg_cell_kind cell[] = {SG_CELL_RNN, SG_CELL_GRU, SG_CELL_LSTM};
    translator t = {.g = g, .config = c, .source = source, .target = target};
    if (!sg_ok(g))
        return t;
    t.model = sg_make_seq2seq(g, "seq2seq", .source_count = sg_vocabulary_size(source),
                              .target_count = sg_vocabulary_size(target), .embed = c.embed,
                              .hidden = c.hidden, .layers = c.layers, .cell = cell[c.cell],
                              .no_attention = c.attention == 3, .score = score[c.attention],
                              .post = c.attend == 1, .input_feeding = c.feed, .dropout = c.dropout,
                              .reset = SG_RESET_AFTER);
    return t;
}

translator translator_load(sg_context *g, const char *path)
{
    translator_config c = {0};
    sg_load(g, path);
    const char *source = sg_meta(g, "source_vocabulary"), *target = sg_meta(g, "target_vocabulary");
    if (sg_ok(g) && (!source || !target || !config_parse(sg_meta(g, "translator"), &c)))
        sg_fail(g, SG_BAD_FILE, "%s: is a model, but no translator", path);
    if (!sg_ok(g))
        return (translator){.g = g};
    return translator_new(g, c, sg_vocabulary_parse(g, source), sg_vocabulary_parse(g, target));
}

bool translator_save(translator *t, const char *path)
{
    char *config = config_text(&t->config);
    if (!config)
        sg_fail(t->g, SG_NO_MEMORY, "%s: no memory to save", path);
    sg_set_meta(t->g, "translator", config ? config : "");
    sg_set_meta(t->g, "source_vocabulary", sg_vocabulary_json(t->source));
    sg_set_meta(t->g, "target_vocabulary", sg_vocabulary_json(t->target));
    free(config);
    return sg_save(t->g, path) == SG_OK;
}

void translator_free(translator *t)
{
    if (t->source)
        sg_vocabulary_free(t->source);
    if (t->target)
        sg_vocabulary_free(t->target);
    *t = (translator){0};
}

sg_batches *translator_batches(translator *t, const sg_corpus *c, int size, int max_length,
                               bool in_order)
{
    return sg_batches_make(t->g, c, t->source, t->target, .size = size, .max_length = max_length,
                           .source_stop = true, .in_order = in_order);
}

/* ---- using ----------------------------------------------------------------------------------- */

sg_nll translator_loss(translator *t, sg_batches *d)
{
    sg_nll nll = {0};
    sg_batch b = {0};
    while (sg_ok(t->g) && sg_batch_next(d, &b)) {
        sg_loss loss = sg_seq2seq_loss(&t->model, &b, 0);
        sg_nll_add(&nll, sg_item(loss.sum), loss.tokens);
        sg_reset(t->g);
    }
    return nll;
}

bool translator_translate(translator *t, const sg_corpus *c, int batch, translator_sink *sink,
                          void *user)
{
    sg_context *g = t->g;
    sg_batches *d = translator_batches(t, c, batch, 0, true);
    sg_batch b = {0};
    char text[TEXT];
    int done = 0;
    while (sg_ok(g) && sg_batch_next(d, &b)) {
        sg_greedy r = sg_seq2seq_greedy(&t->model, b.source, b.size, b.source_time,
                                        b.source_lengths, t->config.max_length);
        for (int i = 0; i < b.size && sg_ok(g); i++) {
            for (; done < b.index[i]; done++) /* a line without a token */
                sink(user, done, "");
            sg_decode(t->target, r.lengths[i], r.ids + (size_t)i * (size_t)r.most, TEXT, text);
            sink(user, done++, text);
        }
        sg_reset(g);
    }
    for (; sg_ok(g) && done < c->size; done++)
        sink(user, done, "");
    sg_batches_free(d);
    return sg_ok(g);
}

typedef struct scoring {
    sg_context *g;
    const sg_corpus *c;
    sg_bleu bleu;
    sg_exact exact;
} scoring;

static void score(void *user, int index, const char *translation)
{
    scoring *s = user;
    sg_bleu_add(s->g, &s->bleu, translation, s->c->target[index]);
    sg_exact_add(&s->exact, translation, s->c->target[index]);
}

translator_score translator_evaluate(translator *t, const sg_corpus *c, int batch)
{
    scoring s = {.g = t->g, .c = c};
    translator_translate(t, c, batch, score, &s);
    sg_batches *d = translator_batches(t, c, batch, 0, true);
    sg_nll nll = translator_loss(t, d);
    sg_batches_free(d);
    return (translator_score){.bleu = sg_bleu_score(&s.bleu).score,
                              .exact = sg_exact_percent(&s.exact),
                              .perplexity = sg_perplexity(&nll),
                              .sentences = c->size,
                              .tokens = nll.tokens};
}

/* ---- the picture ----------------------------------------------------------------------------- */

bool translator_plot(translator *t, const char *source, FILE *f, const char *svg)
{
    enum { MOST = 512 };
    sg_context *g = t->g;
    int32_t ids[MOST];
    const char *columns[MOST + 1], *rows[MOST];
    sg_tokenizer tokenizer = sg_vocabulary_tokenizer(t->source);
    sg_tokens *tokens = sg_tokenize(g, &tokenizer, source);
    int n = sg_encode(t->source, source, MOST - 1, ids);
    n = n < MOST - 1 ? n : MOST - 1;
    if (sg_ok(g) && n > 0) {
        for (int i = 0; i < n; i++)
            columns[i] = tokens->text[i];
        columns[n] = "<stop>";
        ids[n++] = SG_STOP;
        sg_greedy r = sg_seq2seq_greedy(&t->model, ids, 1, n, &n, t->config.max_length);
        int m = sg_ok(g) ? r.lengths[0] : 0;
        for (int i = 0; i < m && i < MOST; i++)
            rows[i] = sg_vocabulary_text(t->target, r.ids[i]);
        if (m > 0 && r.weights)
            sg_plot_heatmap(g, .rows = m < MOST ? m : MOST, .columns = n, .row_labels = rows,
                            .column_labels = columns, .values = r.weights, .title = source,
                            .file = f, .svg = svg);
    }
    sg_tokens_free(tokens);
    sg_reset(g);
    return sg_ok(g);
}
