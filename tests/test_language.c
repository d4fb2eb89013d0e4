/* How the language models' examples cut a text: what is learnt, what is held out, where the
 * stretches of a batch lie, and when a state is carried from one to the next. */
#include "examples/language.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 2000 };

/* 0, 1, 2, …: each token says where it is from. */
static int32_t counted[MOST];

static language_text text_of(int64_t count)
{
    for (int i = 0; i < MOST; i++)
        counted[i] = i;
    return (language_text){counted, count};
}

/* Of every token: how often it was to be predicted in an epoch. Inputs are the tokens before. */
typedef struct seen {
    int times[MOST], batches, firsts;
    int32_t start; /* of the first row of the first batch */
} seen;

static seen epoch(language_sampler *s)
{
    seen all = {.start = -1};
    while (language_next(s)) {
        all.start = all.batches ? all.start : s->x[0];
        for (int i = 0; i < s->rows * s->length; i++) {
            cr_assert_eq(s->y[i], s->x[i] + 1);
            all.times[s->y[i]]++;
        }
        all.batches++;
        all.firsts += s->first;
    }
    return all;
}

static int predicted(const seen *s)
{
    int n = 0;
    for (int i = 0; i < MOST; i++) {
        cr_assert(s->times[i] <= 1, "token %d: %d times", i, s->times[i]);
        n += s->times[i];
    }
    return n;
}

/* Sequential: a row goes on where it stopped, from batch to batch, and misses nothing. */
Test(language, sequential_stretches_follow_each_other)
{
    static const struct {
        int count, rows, time, batches, last;
    } cases[] = {{101, 4, 5, 5, 5},   {101, 4, 7, 4, 4}, {104, 4, 5, 5, 5},
                 {101, 1, 30, 4, 10}, {3, 2, 5, 1, 1},   {2, 1, 1, 1, 1}};
    sg_context *g = sg_open();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int rows = cases[k].rows, row = (cases[k].count - 1) / rows;
        language_sampler s =
            language_sample(g, text_of(cases[k].count), rows, cases[k].time, false, 1);
        cr_assert(sg_ok(g), "%s", sg_errmsg(g));
        cr_expect_eq(s.steps, cases[k].batches, "case %zu", k);
        for (int again = 0; again < 2; again++) {
            int at = 0;
            while (language_next(&s)) {
                cr_expect_eq(s.first, at == 0, "case %zu: from zeros only at the beginning", k);
                for (int b = 0; b < rows; b++)
                    for (int t = 0; t < s.length; t++)
                        cr_expect(s.x[b * s.length + t] == b * row + at + t &&
                                      s.y[b * s.length + t] == b * row + at + t + 1,
                                  "case %zu, row %d, step %d", k, b, at + t);
                at += s.length;
            }
            cr_expect(at == row && s.length == cases[k].last, "case %zu: %d of %d, %d at last", k,
                      at, row, s.length);
        }
        language_sampler_free(&s);
    }
    sg_close(g);
}

/* Random: whole stretches, nothing twice in an epoch, cut elsewhere in each, every one from a state
 * of zeros. */
Test(language, random_stretches_lie_elsewhere_in_each_epoch)
{
    enum { COUNT = 1003, ROWS = 6, TIME = 10 };
    sg_context *g = sg_open();
    language_sampler s = language_sample(g, text_of(COUNT), ROWS, TIME, true, 1);
    language_sampler same = language_sample(g, text_of(COUNT), ROWS, TIME, true, 1);
    language_sampler other = language_sample(g, text_of(COUNT), ROWS, TIME, true, 2);
    static seen of[3], again, different;
    int alike = 0;
    for (int e = 0; e < 3; e++) {
        of[e] = epoch(&s);
        again = epoch(&same);
        different = epoch(&other);
        cr_expect_eq(of[e].batches, s.steps);
        cr_expect_eq(of[e].firsts, of[e].batches);
        int n = predicted(&of[e]);
        cr_expect_eq(n, of[e].batches * ROWS * TIME);
        cr_expect(n > COUNT - 1 - 2 * TIME - ROWS * TIME, "only %d of %d are learnt", n, COUNT - 1);
        cr_expect_eq(memcmp(&of[e], &again, sizeof again), 0, "the seed says all");
        alike += memcmp(&of[e], &different, sizeof different) == 0;
        for (int d = 0; d < e; d++)
            alike += of[e].start == of[d].start;
    }
    cr_expect(alike < 3, "%d of 6 are alike", alike);
    language_sampler_free(&s);
    language_sampler_free(&same);
    language_sampler_free(&other);
    sg_close(g);
}

Test(language, too_short_texts_are_errors)
{
    static const struct {
        int count, rows, time;
        bool random;
    } cases[] = {
        {0, 1, 1, false}, {1, 1, 1, false}, {4, 4, 1, false}, {11, 1, 11, true}, {39, 4, 10, true}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sg_context *g = sg_open();
        language_sampler s = language_sample(g, text_of(cases[k].count), cases[k].rows,
                                             cases[k].time, cases[k].random, 1);
        cr_expect(strstr(sg_errmsg(g), "is too short for"), "case %zu: \"%s\"", k, sg_errmsg(g));
        cr_expect(!language_next(&s));
        language_sampler_free(&s);
        sg_close(g);
    }
}

/* Each token but the first is in one of both parts to be predicted. */
Test(language, a_text_is_cut_without_loss)
{
    static const double shares[] = {0, 0.1, 0.5, 0.9, 1};
    for (int count = 0; count <= 21; count++)
        for (size_t k = 0; k < sizeof shares / sizeof *shares; k++) {
            sg_context *g = sg_open();
            language_text first = text_of(count), rest = language_cut(g, &first, shares[k]);
            int64_t predicted = count ? count - 1 : 0, of_first = first.count ? first.count - 1 : 0,
                    of_rest = rest.count ? rest.count - 1 : 0;
            cr_expect_eq(of_first + of_rest, predicted, "%d, %g", count, shares[k]);
            cr_expect_eq(of_first, (int64_t)((double)predicted * shares[k]));
            for (int64_t i = 0; i < rest.count; i++)
                cr_expect_eq(rest.ids[i], of_first + i, "%d, %g", count, shares[k]);
            language_text_free(&rest);
            sg_close(g);
        }
}

/* Every line between two SG_STOPs. */
Test(language, lines_are_one_text)
{
    static const char *const lines[] = {"b a", "", "a"};
    sg_context *g = sg_open();
    sg_corpus *c = sg_corpus_of(g, 3, lines, NULL);
    sg_vocabulary *v = sg_vocabulary_build(g, 3, lines);
    language_text t = language_read(g, c, v);
    int32_t a, b;
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    sg_encode(v, "a", 1, &a);
    sg_encode(v, "b", 1, &b);
    const int32_t expected[] = {SG_STOP, b, a, SG_STOP, SG_STOP, a, SG_STOP};
    cr_assert_eq(t.count, 7);
    cr_expect_eq(memcmp(t.ids, expected, sizeof expected), 0);
    language_text_free(&t);
    sg_vocabulary_free(v);
    sg_corpus_free(c);
    sg_close(g);
}
