/* A text as one sequence of ids, and its subsequences: where those of a batch lie, and when a state
 * is carried from one to the next. */
#define _GNU_SOURCE
#include "tests/text_test.h"

#include <sys/mman.h>

enum { MOST = 2000 };

/* 0, 1, 2, …: each token says where it is from. */
static int32_t counted[MOST];

static sg_sequence text_of(int64_t count)
{
    for (int i = 0; i < MOST; i++)
        counted[i] = i;
    return (sg_sequence){.count = count, .ids = counted};
}

/* ---- the text ------------------------------------------------------------------------------- */

Test(sequence, every_line_is_between_two_stops)
{
    static const char *const lines[] = {"b a", "", "a"};
    sg_context *g = sg_open();
    sg_corpus *c = sg_corpus_of(g, 3, lines, NULL);
    sg_vocabulary *v = sg_vocabulary_build(g, 3, lines);
    sg_sequence *s = sg_sequence_of(g, c, v);
    int32_t a = sg_vocabulary_id(v, "a"), b = sg_vocabulary_id(v, "b");
    const int32_t expected[] = {SG_STOP, b, a, SG_STOP, SG_STOP, a, SG_STOP};
    cr_assert(s->count == 7, "%s", sg_errmsg(g));
    cr_expect_arr_eq(s->ids, expected, sizeof expected);
    sg_sequence_free(s);
    sg_corpus *none = sg_corpus_of(g, 0, NULL, NULL);
    s = sg_sequence_of(g, none, v);
    cr_expect(s->count == 1 && s->ids[0] == SG_STOP, "of no text");
    sg_sequence_free(s);
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_corpus_free(none);
    sg_vocabulary_free(v);
    sg_corpus_free(c);
    sg_close(g);
}

Test(sequence, errors)
{
    static const char *const lines[] = {"b a"};
    sg_context *g = sg_open();
    sg_corpus *c = sg_corpus_of(g, 1, lines, NULL);
    sg_vocabulary *v = sg_vocabulary_build(g, 1, lines);
    sg_sequence *s = sg_sequence_of(g, NULL, v);
    cr_expect(s->count == 0 && !s->ids);
    sg_sequence_free(s);
    expect_error(g, SG_BAD_ARGUMENT, "sequence: no corpus");
    sg_sequence_free(sg_sequence_of(g, c, NULL));
    expect_error(g, SG_BAD_ARGUMENT, "sequence: no vocabulary");
    sg_fail(g, SG_IO, "an earlier one");
    s = sg_sequence_of(g, NULL, NULL);
    cr_expect_eq(s->count, 0);
    sg_sequence_free(s);
    expect_error(g, SG_IO, "an earlier one");
    sg_sequence_free(NULL);
    sg_vocabulary_free(v);
    sg_corpus_free(c);
    sg_close(g);
}

/* ---- sequential ------------------------------------------------------------------------------ */

/* A row goes on where it stopped, from batch to batch, and misses nothing. */
Test(subsequences, sequential_ones_follow_each_other)
{
    static const struct {
        int count, rows, time, batches, last;
    } cases[] = {{101, 4, 5, 5, 5}, {101, 4, 7, 4, 4}, {104, 4, 5, 5, 5},    {101, 1, 30, 4, 10},
                 {3, 2, 5, 1, 1},   {2, 1, 1, 1, 1},   {9, 2, INT_MAX, 1, 4}};
    sg_context *g = sg_open();
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int rows = cases[k].rows, row = (cases[k].count - 1) / rows;
        sg_sequence text = text_of(cases[k].count);
        sg_subsequences *d = sg_subsequences_make(g, &text, rows, cases[k].time);
        cr_assert(sg_ok(g), "%s", sg_errmsg(g));
        cr_expect_eq(d->batches, cases[k].batches, "case %zu", k);
        sg_subsequence b = {.seed = 1};
        for (int epoch = 0; epoch < 2; epoch++) {
            int at = 0, last = 0;
            cr_expect(b.epoch == epoch && b.next == 0);
            while (sg_subsequence_next(d, &b)) {
                cr_expect_eq(b.first, at == 0, "case %zu: from zeros only at the beginning", k);
                cr_expect(b.rows == rows && b.tokens == rows * b.time);
                for (int r = 0; r < rows; r++)
                    for (int t = 0; t < b.time; t++)
                        cr_expect(b.in[r * b.time + t] == r * row + at + t &&
                                      b.out[r * b.time + t] == r * row + at + t + 1,
                                  "case %zu, row %d, step %d", k, r, at + t);
                at += last = b.time;
            }
            cr_expect(at == row && last == cases[k].last, "case %zu: %d of %d, %d at last", k, at,
                      row, last);
        }
        sg_subsequences_free(d);
    }
    sg_close(g);
}

/* ---- random ---------------------------------------------------------------------------------- */

/* Of every token: how often it was to be predicted in an epoch. */
typedef struct seen {
    int times[MOST], batches, start, offset; /* of the first row; where all rows were cut */
} seen;

static seen epoch(sg_subsequences *d, sg_subsequence *b)
{
    seen all = {0};
    while (sg_subsequence_next(d, b)) {
        cr_expect(b->first, "each begins with zeros");
        for (int r = 0; r < b->rows; r++) {
            const int32_t *in = b->in + r * b->time, *out = b->out + r * b->time;
            if (all.batches == 0 && r == 0) {
                all.start = in[0];
                all.offset = in[0] % b->time;
            }
            cr_expect_eq(in[0] % b->time, all.offset);
            for (int t = 0; t < b->time; t++) {
                cr_assert(in[t] == in[0] + t && out[t] == in[t] + 1);
                all.times[out[t]]++;
            }
        }
        all.batches++;
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

/* Whole pieces, nothing twice in an epoch, cut elsewhere in each; in some epoch, all of it. */
Test(subsequences, random_ones_lie_elsewhere_in_each_epoch)
{
    enum { COUNT = 1003, ROWS = 6, TIME = 10, EPOCHS = 30 };
    sg_context *g = sg_open();
    sg_sequence text = text_of(COUNT);
    sg_subsequences *d = sg_subsequences_make(g, &text, ROWS, TIME, .random = true);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    sg_subsequence b = {.seed = 1}, other = {.seed = 2};
    static seen before, now, different;
    bool ever[MOST] = {false}, offsets[TIME] = {false};
    int alike = 0, covered = 0, cuts = 0;
    for (int e = 0; e < EPOCHS; e++) {
        now = epoch(d, &b);
        different = epoch(d, &other);
        cr_expect_eq(now.batches, d->batches);
        int n = predicted(&now);
        cr_expect_eq(n, now.batches * ROWS * TIME);
        cr_expect(n > COUNT - 1 - 2 * TIME - ROWS * TIME, "only %d of %d are learnt", n, COUNT - 1);
        alike += now.start == before.start;
        alike += now.start == different.start;
        for (int i = 0; i < MOST; i++)
            ever[i] |= now.times[i] > 0;
        offsets[now.offset] = true;
        before = now;
    }
    for (int i = 0; i < MOST; i++)
        covered += ever[i];
    for (int i = 0; i < TIME; i++)
        cuts += offsets[i];
    cr_expect(alike < 5, "%d of %d are alike", alike, 2 * EPOCHS);
    cr_expect(covered == COUNT - 1 && cuts > TIME / 2, "%d of %d, cut at %d places", covered,
              COUNT - 1, cuts);
    sg_subsequences_free(d);
    sg_close(g);
}

Test(subsequences, an_iteration_depends_on_where_it_stands_only)
{
    enum { COUNT = 301, ROWS = 3, TIME = 7 };
    for (int random = 0; random < 2; random++) {
        sg_context *g = sg_open();
        sg_sequence text = text_of(COUNT);
        sg_subsequences *x = sg_subsequences_make(g, &text, ROWS, TIME, .random = random);
        sg_subsequences *y = sg_subsequences_make(g, &text, ROWS, TIME, .random = random);
        sg_subsequence b = {.seed = 9, .epoch = 4};
        for (int i = 0; i < 5; i++)
            cr_assert(sg_subsequence_next(x, &b), "%s", sg_errmsg(g));
        sg_subsequence c = {.seed = b.seed, .epoch = b.epoch, .next = b.next};
        for (int i = 0; i < 100; i++) {
            bool more = sg_subsequence_next(x, &b);
            cr_expect_eq(sg_subsequence_next(y, &c), more);
            cr_expect(b.epoch == c.epoch && b.next == c.next && b.first == c.first);
            if (more) {
                cr_expect_eq(b.time, c.time);
                cr_expect_arr_eq(b.in, c.in, (size_t)b.tokens * sizeof *b.in);
                cr_expect_arr_eq(b.out, c.out, (size_t)b.tokens * sizeof *b.out);
            }
        }
        cr_expect_gt(b.epoch, 5);
        c.next = -1;
        cr_expect_not(sg_subsequence_next(y, &c), "a position that does not exist");
        c.next = INT64_MAX;
        cr_expect_not(sg_subsequence_next(y, &c), "a position that does not exist");
        /* Recorded: another order would not repeat a training run of an earlier version. */
        b = (sg_subsequence){.seed = 1};
        sg_subsequence_next(x, &b);
        const int32_t recorded[] = {0, 100, 200, 265, 181, 244}, *at = recorded + random * ROWS;
        cr_expect(b.in[0] == at[0] && b.in[TIME] == at[1] && b.in[2 * TIME] == at[2], "%d %d %d",
                  b.in[0], b.in[TIME], b.in[2 * TIME]);
        sg_subsequences_free(x);
        sg_subsequences_free(y);
        sg_close(g);
    }
}

/* ---- what is too short, too long, or nothing ------------------------------------------------ */

Test(subsequences, errors)
{
    static const struct {
        int64_t count;
        int rows, time;
        bool random;
        const char *message;
    } cases[] = {
        {0, 1, 1, false, "subsequences: 0 tokens to predict are too few for 1 rows of 1"},
        {1, 1, 1, false, "subsequences: 0 tokens to predict are too few for 1 rows of 1"},
        {-5, 1, 1, false, "subsequences: 0 tokens to predict are too few for 1 rows of 1"},
        {4, 4, 1, false, "subsequences: 3 tokens to predict are too few for 4 rows of 1"},
        {11, 1, 11, true, "subsequences: 10 tokens to predict are too few for 1 rows of 11"},
        {49, 4, 10, true, "subsequences: 48 tokens to predict are too few for 4 rows of 10"},
        {49, INT_MAX, INT_MAX, true,
         "subsequences: 48 tokens to predict are too few for 2147483647 rows of 2147483647"},
        {1 + 3 * (INT64_C(1) << 31), 1, 3, true,
         "subsequences: 2147483648 pieces of 3 are too many to be shuffled"},
        {100, 0, 5, false,
         "subsequences: no sequence, or rows (0) or time (5) that are not positive"},
        {100, 5, 0, false,
         "subsequences: no sequence, or rows (5) or time (0) that are not positive"},
        {100, -1, -2, true,
         "subsequences: no sequence, or rows (-1) or time (-2) that are not positive"},
    };
    sg_context *g = sg_open();
    sg_subsequence b = {.seed = 1};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        sg_sequence text = text_of(cases[k].count);
        sg_subsequences *d =
            sg_subsequences_make(g, &text, cases[k].rows, cases[k].time, .random = cases[k].random);
        cr_expect(d->batches == 0 && !sg_subsequence_next(d, &b), "case %zu", k);
        sg_subsequences_free(d);
        expect_error(g, SG_BAD_ARGUMENT, cases[k].message);
    }
    sg_subsequences_free(sg_subsequences_make(g, NULL, 4, 5));
    expect_error(g, SG_BAD_ARGUMENT,
                 "subsequences: no sequence, or rows (4) or time (5) that are not positive");
    sg_subsequences_free(sg_subsequences_make(g, &(sg_sequence){.count = 100}, 4, 5));
    expect_error(g, SG_BAD_ARGUMENT,
                 "subsequences: 0 tokens to predict are too few for 4 rows of 5");
    sg_fail(g, SG_IO, "an earlier one");
    sg_subsequences_free(sg_subsequences_make(g, NULL, 4, 5));
    expect_error(g, SG_IO, "an earlier one");
    sg_subsequences_free(NULL);
    sg_close(g);
}

/* The shortest text that is enough. */
Test(subsequences, a_text_may_be_just_enough)
{
    sg_context *g = sg_open();
    sg_sequence text = text_of(50);
    sg_subsequences *d = sg_subsequences_make(g, &text, 4, 10, .random = true);
    sg_subsequence b = {.seed = 1};
    for (int e = 0; e < 20; e++)
        cr_expect_eq(predicted(&(seen[]){epoch(d, &b)}[0]), 40);
    cr_expect(sg_ok(g) && d->batches == 1, "%s", sg_errmsg(g));
    sg_subsequences_free(d);
    sg_close(g);
}

/* More than 2^32 tokens, of which most are never looked at: the system has no memory for them. */
Test(subsequences, a_text_may_be_longer_than_an_int)
{
    const int64_t count = (INT64_C(5) << 30) + 1, far = INT64_C(1) << 24;
    const int time = 1 << 20;
    int32_t *ids = mmap(NULL, (size_t)count * sizeof *ids, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ids == MAP_FAILED || madvise(ids, (size_t)count * sizeof *ids, MADV_NOHUGEPAGE) != 0)
        cr_skip_test("no addresses for so many tokens");
    for (int64_t i = 0; i < count; i += far)
        ids[i] = (int32_t)(i / far) + 1;
    sg_context *g = sg_open();
    sg_sequence text = {.count = count, .ids = ids};
    sg_subsequences *d = sg_subsequences_make(g, &text, 2, time);
    cr_assert(d->batches == 5 << 9, "%s", sg_errmsg(g));
    sg_subsequence b = {.next = 2432};
    cr_assert(sg_subsequence_next(d, &b));
    cr_expect_eq(b.in[0], (2432 >> 4) + 1);
    cr_expect_eq(b.in[time], ((2432 + (5 << 9)) >> 4) + 1);
    sg_subsequences_free(d);
    /* Random ones begin everywhere: the place of a mark in its piece is the same for all. */
    d = sg_subsequences_make(g, &text, 1, time, .random = true);
    int highest = 0, place = -1, marks = 0;
    for (b = (sg_subsequence){.seed = 1}; b.next < 60 && sg_subsequence_next(d, &b);)
        for (int t = 0; t < time; t++)
            if (b.in[t]) {
                cr_expect(place < 0 || place == t);
                place = t;
                highest = b.in[t] > highest ? b.in[t] : highest;
                marks++;
            }
    cr_expect(marks > 0 && highest > 129, "%d marks, the highest %d", marks, highest);
    sg_subsequences_free(d);
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
    munmap(ids, (size_t)count * sizeof *ids);
}
