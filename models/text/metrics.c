/*
 * Metrics over a corpus, as counters that sentences are added to.
 */
#include "models/text/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tokens as numbers, equal for equal tokens of one table, as one buffer of int32_t. */
static bool number_tokens(sg_context *g, sg_bleu_tokens kind, const char *text, sg__table *words,
                          sg__bytes *numbers)
{
    sg__bytes tokens = {0};
    bool ok = sg__text_bleu_tokenize(g, kind, text, &tokens);
    for (size_t i = 0; i < tokens.size && ok;) {
        size_t n = strlen(tokens.data + i);
        int32_t number = (int32_t)sg__text_table_add(g, words, tokens.data + i, n);
        ok = number >= 0 && sg__text_bytes_add(g, numbers, &number, sizeof number);
        i += n + 1;
    }
    sg__text_bytes_free(&tokens);
    return ok;
}

/* Matches are clipped: an n-gram of the hypothesis counts as often as the reference has it. So the
 * reference's n-grams are counted up, and the hypothesis takes from them. */
static bool count_matches(sg_context *g, const sg__bytes *hypothesis, const sg__bytes *reference,
                          size_t order, int64_t *correct)
{
    sg__table grams = {0};
    size_t size = order * sizeof(int32_t), step = sizeof(int32_t);
    bool ok = true;
    for (size_t i = 0; i + size <= reference->size && ok; i += step) {
        int64_t at = sg__text_table_add(g, &grams, reference->data + i, size);
        ok = at >= 0;
        if (ok)
            grams.entry[at].count++;
    }
    *correct = 0;
    for (size_t i = 0; i + size <= hypothesis->size && ok; i += step) {
        int64_t at = sg__text_table_find(&grams, hypothesis->data + i, size);
        if (at >= 0 && grams.entry[at].count > 0) {
            grams.entry[at].count--;
            ++*correct;
        }
    }
    sg__text_table_free(&grams);
    return ok;
}

bool sg_bleu_add(sg_context *g, sg_bleu *b, const char *hypothesis, const char *reference)
{
    if (!sg_ok(g))
        return false;
    if (b->tokens < SG_BLEU_13A || b->tokens > SG_BLEU_NONE) {
        sg_fail(g, SG_BAD_ARGUMENT, "bleu: no such tokens: %d", (int)b->tokens);
        return false;
    }
    sg__table words = {0};
    sg__bytes h = {0}, r = {0};
    int64_t correct[SG_BLEU_ORDER];
    bool ok = number_tokens(g, b->tokens, hypothesis, &words, &h) &&
              number_tokens(g, b->tokens, reference, &words, &r);
    for (size_t k = 0; k < SG_BLEU_ORDER && ok; k++)
        ok = count_matches(g, &h, &r, k + 1, &correct[k]);
    if (ok) {
        int64_t n = (int64_t)(h.size / sizeof(int32_t));
        b->hypothesis += n;
        b->reference += (int64_t)(r.size / sizeof(int32_t));
        for (int k = 0; k < SG_BLEU_ORDER; k++) {
            b->correct[k] += correct[k];
            b->total[k] += n > k ? n - k : 0;
        }
    }
    sg__text_table_free(&words);
    sg__text_bytes_free(&h);
    sg__text_bytes_free(&r);
    return ok;
}

/* BP exp(sum_n log p_n / 4), BP = exp(1 - r / h) if h < r. An order without a match gets half the
 * precision of one match, the next such order a quarter, and so on (NIST's mteval); without a match
 * of any order, or without an n-gram of some order, the score is 0. */
sg_bleu_result sg_bleu_score(const sg_bleu *b)
{
    double h = (double)b->hypothesis, r = (double)b->reference, smooth = 1, sum = 0;
    sg_bleu_result s = {.brevity = h >= r ? 1 : h > 0 ? exp(1 - r / h) : 0};
    bool any = false;
    for (int k = 0; k < SG_BLEU_ORDER; k++)
        any = any || b->correct[k] > 0;
    if (!any)
        return s;
    for (int k = 0; k < SG_BLEU_ORDER; k++) {
        if (b->total[k] == 0)
            return s;
        double matches = (double)b->correct[k];
        if (b->correct[k] == 0)
            matches = 1 / (smooth *= 2);
        s.precision[k] = 100 * matches / (double)b->total[k];
        sum += log(s.precision[k]);
    }
    s.score = s.brevity * exp(sum / SG_BLEU_ORDER);
    return s;
}

void sg_exact_add(sg_exact *e, const char *hypothesis, const char *reference)
{
    e->equal += strcmp(hypothesis, reference) == 0;
    e->count++;
}

double sg_exact_percent(const sg_exact *e)
{
    return e->count > 0 ? 100 * (double)e->equal / (double)e->count : (double)NAN;
}

void sg_nll_add(sg_nll *n, double sum, int64_t tokens)
{
    n->sum += sum;
    n->tokens += tokens;
}

double sg_perplexity(const sg_nll *n)
{
    return n->tokens > 0 ? exp(n->sum / (double)n->tokens) : (double)NAN;
}

double sg_bits_per_token(const sg_nll *n)
{
    return n->tokens > 0 ? n->sum / (double)n->tokens / log(2) : (double)NAN;
}
