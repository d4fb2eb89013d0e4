/*
 * Metrics of text. BLEU is compared with recorded results of sacrebleu, down to the counts.
 */
#include "models/text.h"
#include "tests/oracle/bleu_vectors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { CORPORA = sizeof bleu_corpus / sizeof bleu_corpus[0] };
static const char *const names[] = {"13a", "zh", "char", "none"};

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6;
}

Test(metrics, bleu_equals_sacrebleu)
{
    sg_context *g = sg_open();
    double scores = 0;
    for (int kind = 0; kind < 4; kind++) {
        int at = 0;
        for (int k = 0; k < CORPORA; k++) {
            sg_bleu b = {.tokens = (sg_bleu_tokens)kind};
            for (int i = 0; i < bleu_corpus[k].n; i++, at++)
                cr_expect(sg_bleu_add(g, &b, bleu_text[2 * at], bleu_text[2 * at + 1]));
            sg_bleu_result s = sg_bleu_score(&b);
            scores += s.score;
            const char *text = bleu_text[2 * (at - bleu_corpus[k].n)];
            cr_expect(near(s.score, bleu_corpus[k].by[kind].score) &&
                          near(s.brevity, bleu_corpus[k].by[kind].brevity),
                      "corpus %d (\"%s\" ...), %s: score %.9g, brevity %.9g; not %.9g, %.9g", k,
                      text, names[kind], s.score, s.brevity, bleu_corpus[k].by[kind].score,
                      bleu_corpus[k].by[kind].brevity);
            cr_expect(b.hypothesis == bleu_corpus[k].by[kind].hypothesis &&
                          b.reference == bleu_corpus[k].by[kind].reference,
                      "corpus %d (\"%s\" ...), %s: lengths %d, %d; not %d, %d", k, text,
                      names[kind], (int)b.hypothesis, (int)b.reference,
                      bleu_corpus[k].by[kind].hypothesis, bleu_corpus[k].by[kind].reference);
            for (int o = 0; o < SG_BLEU_ORDER; o++)
                cr_expect(b.correct[o] == bleu_corpus[k].by[kind].correct[o] &&
                              b.total[o] == bleu_corpus[k].by[kind].total[o] &&
                              near(s.precision[o], bleu_corpus[k].by[kind].precision[o]),
                          "corpus %d (\"%s\" ...), %s, order %d: %d of %d, %.9g", k, text,
                          names[kind], o + 1, (int)b.correct[o], (int)b.total[o], s.precision[o]);
        }
    }
    cr_expect(scores > 100, "no score is tested");
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}

Test(metrics, bleu_of_nothing_is_zero)
{
    sg_bleu b = {0};
    sg_bleu_result s = sg_bleu_score(&b);
    cr_expect_eq(s.score, 0);
    cr_expect_eq(s.precision[0], 0);
}

Test(metrics, bleu_refuses_what_it_cannot_count)
{
    sg_context *g = sg_open();
    sg_bleu b = {0};
    cr_expect(sg_bleu_add(g, &b, "a b c d", "a b c d"));
    sg_bleu before = b;
    cr_expect_not(sg_bleu_add(g, &b, "a b\xFF", "a b"));
    cr_expect_eq(sg_error(g), SG_BAD_ARGUMENT);
    cr_expect_str_eq(sg_errmsg(g), "text: invalid UTF-8 at byte 3");
    cr_expect_arr_eq(&b, &before, sizeof b, "a sentence that failed was counted in part");
    cr_expect_not(sg_bleu_add(g, &b, "a", "a"), "an error sticks");
    sg_clear(g);
    b.tokens = (sg_bleu_tokens)4;
    cr_expect_not(sg_bleu_add(g, &b, "a", "a"));
    cr_expect_str_eq(sg_errmsg(g), "bleu: no such tokens: 4");
    sg_close(g);
}

/* 100,000 tokens and repeated n-grams: the counting must not be quadratic. */
Test(metrics, bleu_of_a_long_text, .timeout = 20)
{
    enum { WORDS = 100000 };
    static char text[6 * WORDS + 1];
    for (int i = 0; i < WORDS; i++)
        snprintf(text + 6 * i, 7, "w%04d ", i % 7 == 0 ? i % 10000 : i % 3);
    sg_context *g = sg_open();
    sg_bleu b = {.tokens = SG_BLEU_NONE};
    cr_expect(sg_bleu_add(g, &b, text, text), "%s", sg_errmsg(g));
    cr_expect_eq(b.hypothesis, WORDS);
    cr_expect(near(sg_bleu_score(&b).score, 100));
    sg_close(g);
}

Test(metrics, exact_match_counts_equal_texts)
{
    sg_exact e = {0};
    cr_expect(isnan(sg_exact_percent(&e)));
    sg_exact_add(&e, "2010-01-03", "2010-01-03");
    sg_exact_add(&e, "2010-01-03", "2010-01-04");
    sg_exact_add(&e, "", "");
    sg_exact_add(&e, "a", "A");
    cr_expect_eq(e.count, 4);
    cr_expect_eq(sg_exact_percent(&e), 50);
}

Test(metrics, perplexity_divides_by_real_tokens)
{
    sg_nll n = {0};
    cr_expect(isnan(sg_perplexity(&n)));
    sg_nll_add(&n, 3 * log(10000), 3);
    sg_nll_add(&n, log(100), 1);
    cr_expect(fabs(sg_perplexity(&n) - pow(10, (3 * 4 + 2) / 4.0)) < 1e-9);
}

Test(metrics, bits_are_logarithms_of_base_two)
{
    sg_nll n = {0};
    cr_expect(isnan(sg_bits_per_token(&n)));
    sg_nll_add(&n, 3 * log(8), 3);
    cr_expect(fabs(sg_bits_per_token(&n) - 3) < 1e-12);
    sg_nll_add(&n, log(32), 1);
    cr_expect(fabs(sg_bits_per_token(&n) - 3.5) < 1e-12);
    cr_expect(fabs(exp2(sg_bits_per_token(&n)) - sg_perplexity(&n)) < 1e-9);
}
