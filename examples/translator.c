/* See translator.h. */
#include "examples/translator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 8192 };

/* ---- vocabularies --------------------------------------------------------------------------- */

void translator_build(translator *t, const sg_corpus *c, translator_units u)
{
    int both = u.joint ? 2 : 1; /* the targets follow the sources */
    t->source = sg_vocabulary_build(t->g, both * c->size, c->source, .tokenizer = u.source,
                                    .min_count = u.min_count, .max_size = u.max_size);
    if (u.joint)
        t->target = sg_vocabulary_parse(t->g, sg_vocabulary_json(t->source));
    else
        t->target = sg_vocabulary_build(t->g, c->size, c->target, .tokenizer = u.target,
                                        .min_count = u.min_count, .max_size = u.max_size);
    if (sg_ok(t->g))
        fprintf(stderr, "%d pairs, vocabularies of %d and %d\n", c->size,
                sg_vocabulary_size(t->source), sg_vocabulary_size(t->target));
}

void translator_save(translator *t, const program *p)
{
    if (!sg_ok(t->g) || !t->source) /* interrupted before there was one */
        return;
    sg_set_meta(t->g, "source_vocabulary", sg_vocabulary_json(t->source));
    sg_set_meta(t->g, "target_vocabulary", sg_vocabulary_json(t->target));
    program_save(t->g, p);
}

void translator_load(translator *t, const program *p)
{
    program_load(t->g, p);
    const char *source = sg_meta(t->g, "source_vocabulary");
    const char *target = sg_meta(t->g, "target_vocabulary");
    t->source = sg_vocabulary_parse(t->g, source ? source : "");
    t->target = sg_vocabulary_parse(t->g, target ? target : "");
}

void translator_free(translator *t)
{
    if (t->source)
        sg_vocabulary_free(t->source);
    if (t->target)
        sg_vocabulary_free(t->target);
    *t = (translator){0};
}

sg_batches *translator_batches(const translator *t, const sg_corpus *c, int size, int max_length,
                               bool in_order)
{
    return sg_batches_make(t->g, c, t->source, t->target, .size = size, .max_length = max_length,
                           .source_stop = true, .in_order = in_order);
}

/* ---- decoding ------------------------------------------------------------------------------- */

static const char *token_text(const void *vocabulary, int32_t id)
{
    return sg_vocabulary_text(vocabulary, id);
}

/* The same prefix for all rows of a batch, as ids that live until the reset. */
static const int32_t *prefixes(const translator *t, const char *text, int rows, int *time)
{
    int n = *time = text ? sg_encode(t->target, text, 0, NULL) : 0;
    int32_t *all = n > 0 ? sg_room(t->g, sizeof *all * (size_t)rows * (size_t)n) : NULL;
    if (!all)
        return NULL;
    sg_encode(t->target, text, n, all);
    for (int i = n; i < rows * n; i++)
        all[i] = all[i - n];
    return all;
}

static sg_hypotheses find(const translator *t, const sg_stepper *m, const translator_search *s)
{
    int time;
    const int32_t *prefix = prefixes(t, s->prefix, m->rows, &time);
    if (!sg_ok(t->g))
        return (sg_hypotheses){0};
    if (s->sample)
        return sg_sample(m, s->most, .temperature = s->temperature, .top_k = s->top_k,
                         .top_p = s->top_p, .prefix = prefix, .prefix_time = time);
    return sg_search(m, s->most, s->least, .width = s->width > s->best ? s->width : s->best,
                     .best = s->best, .length_penalty = s->length_penalty,
                     .coverage_penalty = s->coverage_penalty, .no_repeat = s->no_repeat,
                     .prefix = prefix, .prefix_time = time, .tree = s->tree ? stdout : NULL,
                     .text = token_text, .user = t->target);
}

static void tell(const translator *t, const sg_hypotheses *h, int row, int index,
                 translator_sink *sink, void *user)
{
    char text[TEXT];
    for (int i = 0; i < h->best && sg_ok(t->g); i++) {
        size_t at = (size_t)row * (size_t)h->best + (size_t)i;
        if (h->lengths[at] < 0)
            break;
        sg_decode(t->target, h->lengths[at], h->ids + at * (size_t)h->most, TEXT, text);
        sink(user, index, i, text, h->scores[at]);
    }
}

void translator_line(void *user, int index, int rank, const char *text, double score)
{
    const translator_search *s = user;
    (void)index;
    if (s && s->best > 1)
        printf("%d\t%.4f\t", rank + 1, score);
    printf("%s\n", text);
}

bool translator_decode(const translator *t, const sg_corpus *c, int batch,
                       const translator_search *s, translator_sink *sink, void *user)
{
    sg_context *g = t->g;
    sg_batches *d = translator_batches(t, c, batch, 0, true);
    sg_batch b = {0};
    int done = 0;
    while (sg_ok(g) && sg_batch_next(d, &b)) {
        sg_stepper m = t->begin(t->model, &b);
        sg_hypotheses h = find(t, &m, s);
        for (int i = 0; i < b.size && sg_ok(g); i++) {
            for (; done < b.index[i]; done++)
                sink(user, done, 0, "", 0);
            tell(t, &h, i, done++, sink, user);
        }
        sg_reset(g);
    }
    for (; sg_ok(g) && done < c->size; done++)
        sink(user, done, 0, "", 0);
    sg_batches_free(d);
    return sg_ok(g);
}

bool translator_write(const translator *t, sg_stepper *m, const translator_search *s,
                      translator_sink *sink, void *user)
{
    sg_hypotheses h = find(t, m, s);
    for (int i = 0; i < h.rows && sg_ok(t->g); i++)
        tell(t, &h, i, i, sink, user);
    return sg_ok(t->g);
}

bool translator_force(const translator *t, const sg_corpus *c, int batch, double *scores)
{
    sg_context *g = t->g;
    sg_batches *d = translator_batches(t, c, batch, 0, true);
    sg_batch b = {0};
    for (int i = 0; i < c->size; i++)
        scores[i] = NAN;
    while (sg_ok(g) && sg_batch_next(d, &b)) {
        sg_stepper m = t->begin(t->model, &b);
        int *lengths = sg_room(g, sizeof *lengths * (size_t)b.size);
        for (int i = 0; lengths && i < b.size; i++)
            lengths[i] = b.target_lengths[i] - 1; /* without the stop token */
        const double *p =
            sg_ok(g) ? sg_score_of(&m, b.target_out, b.target_time, lengths, true) : NULL;
        for (int i = 0; p && i < b.size; i++)
            scores[b.index[i]] = p[i];
        sg_reset(g);
    }
    sg_batches_free(d);
    return sg_ok(g);
}

/* ---- judging -------------------------------------------------------------------------------- */

/* d[i][j] = min(d[i-1][j] + 1, d[i][j-1] + 1, d[i-1][j-1] + (a_i != b_j)), row by row */
int translator_distance(const sg_tokens *a, const sg_tokens *b)
{
    int *d = malloc(((size_t)b->count + 1) * sizeof *d);
    if (!d)
        return -1;
    for (int j = 0; j <= b->count; j++)
        d[j] = j;
    for (int i = 1; i <= a->count; i++) {
        int before = d[0];
        d[0] = i;
        for (int j = 1; j <= b->count; j++) {
            int replaced = before + (strcmp(a->text[i - 1], b->text[j - 1]) != 0);
            int changed = (d[j] < d[j - 1] ? d[j] : d[j - 1]) + 1;
            before = d[j];
            d[j] = replaced < changed ? replaced : changed;
        }
    }
    int distance = d[b->count];
    free(d);
    return distance;
}

typedef struct judge {
    const translator *t;
    const sg_corpus *c;
    sg_tokenizer tokenizer;
    sg_bleu bleu;
    sg_exact exact;
    int64_t wrong, tokens;
} judge;

static void judge_one(void *user, int index, int rank, const char *text, double score)
{
    judge *j = user;
    sg_context *g = j->t->g;
    const char *reference = j->c->target[index];
    (void)score;
    if (rank)
        return;
    sg_bleu_add(g, &j->bleu, text, reference);
    sg_exact_add(&j->exact, text, reference);
    sg_tokens *a = sg_tokenize(g, &j->tokenizer, text);
    sg_tokens *b = sg_tokenize(g, &j->tokenizer, reference);
    int distance = translator_distance(a, b);
    if (distance < 0)
        sg_fail(g, SG_NO_MEMORY, "no memory for %d tokens", b->count);
    j->wrong += distance;
    j->tokens += b->count;
    sg_tokens_free(a);
    sg_tokens_free(b);
}

static sg_nll losses(const translator *t, const sg_corpus *c, int batch)
{
    sg_batches *d = translator_batches(t, c, batch, 0, true);
    sg_nll nll = {0};
    sg_batch b = {0};
    while (sg_ok(t->g) && sg_batch_next(d, &b)) {
        sg_loss loss = t->loss(t->model, &b, 0, 1);
        sg_nll_add(&nll, sg_item(loss.sum), loss.tokens);
        sg_reset(t->g);
    }
    sg_batches_free(d);
    return nll;
}

static void judge_all(judge *j, const translator *t, const sg_corpus *c, int batch,
                      const translator_search *s)
{
    *j = (judge){.t = t, .c = c, .tokenizer = sg_vocabulary_tokenizer(t->target)};
    bool as_they_are = j->tokenizer.units == SG_UNITS_WORD && !j->tokenizer.punctuation;
    j->bleu.tokens = as_they_are ? SG_BLEU_NONE : SG_BLEU_ZH;
    translator_decode(t, c, batch, s, judge_one, j);
}

translator_score translator_evaluate(const translator *t, const sg_corpus *c, int batch,
                                     const translator_search *s)
{
    judge j;
    judge_all(&j, t, c, batch, s);
    sg_nll nll = losses(t, c, batch);
    return (translator_score){.bleu = sg_bleu_score(&j.bleu).score,
                              .exact = sg_exact_percent(&j.exact),
                              .token_error =
                                  j.tokens ? 100.0 * (double)j.wrong / (double)j.tokens : 0,
                              .perplexity = sg_perplexity(&nll),
                              .tokens = nll.tokens};
}

void translator_print(const translator *t, const sg_corpus *c, int batch,
                      const translator_search *s)
{
    if (!sg_ok(t->g))
        return;
    translator_score r = translator_evaluate(t, c, batch, s);
    if (sg_ok(t->g))
        printf("{\"bleu\": %.4f, \"exact\": %.4f, \"token_error\": %.4f, \"perplexity\": %.6g, "
               "\"sentences\": %d, \"tokens\": %lld}\n",
               r.bleu, r.exact, r.token_error, r.perplexity, c->size, (long long)r.tokens);
}

/* ---- training ------------------------------------------------------------------------------- */

const char *const translator_judges[] = {"loss", "exact", "bleu", NULL};

typedef struct learner {
    const translator *t;
    const training *how;
    translator_training too;
    const translator_search *s;
    const sg_corpus *valid;
    sg_batches *d;
    sg_batch b;
    sg_truth truth; /* of scheduled sampling */
    int64_t step;
} learner;

static sg_truth truth_of(const translator_training *o)
{
    static const double usual[] = {1, 0.9999, 1000};
    int kind = o->sampling > 0 ? o->sampling - 1 : 0;
    return (sg_truth){(sg_truth_kind)kind, o->k > 0 ? o->k : usual[kind], o->slope, o->floor};
}

static bool next(void *user, program_loss *l)
{
    learner *k = user;
    const translator_training *o = &k->too;
    if (!sg_batch_next(k->d, &k->b))
        return false;
    double rate = o->sampling ? sg_truth_rate(&k->truth, k->step++) : 1;
    sg_loss loss = k->t->loss(k->t->model, &k->b, o->smoothing, rate);
    l->loss = loss.mean;
    l->tokens = loss.tokens;
    return true;
}

static double score(void *user, progress *p)
{
    learner *k = user;
    sg_nll nll = losses(k->t, k->valid, k->how->batch);
    double loss = nll.sum / (double)nll.tokens;
    judge j;
    if (k->too.judge == TRANSLATOR_LOSS)
        return loss;
    progress_metric(p, "valid_loss", loss);
    judge_all(&j, k->t, k->valid, k->how->batch, k->s);
    double good =
        k->too.judge == TRANSLATOR_BLEU ? sg_bleu_score(&j.bleu).score : sg_exact_percent(&j.exact);
    return 100 - good;
}

void translator_train(const translator *t, const training *how, translator_training too,
                      const translator_search *s, const sg_corpus *train, const sg_corpus *valid)
{
    static const char *const names[] = {"valid_loss", "valid_inexact", "valid_100-bleu"};
    learner k = {.t = t, .how = how, .too = too, .s = s, .valid = valid};
    k.truth = truth_of(&too);
    if (isnan(sg_truth_rate(&k.truth, 0)))
        sg_fail(t->g, SG_BAD_ARGUMENT,
                "--truth %g: exponential takes less than 1, inverse-sigmoid 1 or more", too.k);
    k.d = translator_batches(t, train, how->batch, too.max_length, false);
    k.b.seed = (uint64_t)how->seed;
    program_train(t->g, how,
                  (lesson){&k, k.d->batches, true, next, valid && valid->size ? score : NULL,
                           names[too.judge]});
    sg_batches_free(k.d);
}
