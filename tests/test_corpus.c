/*
 * Pairs of sentences from files and from memory, and batches of them.
 */
#define _POSIX_C_SOURCE 200809L
#include "tests/text_test.h"

/* ---- corpus ------------------------------------------------------------------------------- */

/* Pairs as "source/target source/target". */
static const char *pairs_of(const sg_corpus *c)
{
    static char out[512];
    out[0] = '\0';
    for (int i = 0; i < c->size; i++) {
        size_t n = strlen(out);
        snprintf(out + n, sizeof out - n, "%s%s/%s", i > 0 ? " " : "", c->source[i], c->target[i]);
    }
    return out;
}

Test(corpus, columns_of_one_file)
{
    static const struct {
        const char *file;
        int source, target;
        const char *pairs;
    } row[] = {
        {"", 0, 0, ""},
        {"\n", 0, 0, ""},
        {"a\t1\nb\t2\n", 0, 0, "a/1 b/2"},
        {"a\t1\nb\t2\n", 0, 1, "a/1 b/2"},
        {"a\t1\nb\t2\n", 1, 0, "1/a 2/b"},
        {"a\t1\nb\t2", 1, 0, "1/a 2/b"},
        {"a\t1\r\nb\t2\r\n", 0, 1, "a/1 b/2"},
        {"a\t1\r\nb\t2\r", 0, 1, "a/1 b/2"},
        {"\n\na\t1\n\nb\t2\n\n", 0, 1, "a/1 b/2"},
        {"\xEF\xBB\xBF"
         "a\t1\n",
         0, 1, "a/1"},
        {"a\t1\tx y\t\nb\t2\tz\n", 2, 1, "x y/1 z/2"},
        {"a\t1\tx\n", 1, 1, "1/1"},
        {"\t\n", 0, 1, "/"},
        {"a b\n\nc\td\n", 0, SG_NO_COLUMN, "a b/ / c/"},
    };
    folder f = enter();
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        write_text("a", row[i].file);
        sg_corpus *c =
            sg_corpus_read(g, "a", .source_column = row[i].source, .target_column = row[i].target);
        cr_expect_str_eq(pairs_of(c), row[i].pairs, "row %zu: %s", i, pairs_of(c));
        cr_expect_eq(c->target, c->source + c->size, "row %zu: targets follow sources", i);
        sg_corpus_free(c);
    }
    write_file("a", compressed, sizeof compressed);
    sg_corpus *c = sg_corpus_read(g, "a");
    cr_expect_str_eq(pairs_of(c), "a/1 b/2", "gzip: %s", pairs_of(c));
    sg_corpus_free(c);
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
    leave(&f);
}

Test(corpus, two_files)
{
    folder f = enter();
    sg_context *g = sg_open();
    write_text("a", "\xEF\xBB\xBFone\ttab\r\n\r\nthree");
    write_text("b", "eins\nzwei\n\n");
    sg_corpus *c = sg_corpus_read(g, "a", "b");
    cr_expect_str_eq(pairs_of(c), "one\ttab/eins /zwei three/", "%s", pairs_of(c));
    sg_corpus_free(c);
    write_text("b", "eins\nzwei\n\n\n");
    c = sg_corpus_read(g, "a", "b");
    cr_expect_eq(c->size, 0);
    expect_error(g, SG_BAD_FILE, "corpus: a has 3 lines, b has 4");
    sg_corpus_free(c);
    sg_close(g);
    leave(&f);
}

/* Whole lines, tabs among them, of what can be read but once. */
Test(corpus, a_pipe_with_itself)
{
    static const char lines[] = "1 one\ttab\n2\n";
    int ends[2];
    char path[32];
    sg_context *g = sg_open();
    cr_assert(pipe(ends) == 0 && write(ends[1], lines, strlen(lines)) > 0 && close(ends[1]) == 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    sg_corpus *c = sg_corpus_read(g, path, path);
    cr_expect_str_eq(pairs_of(c), "1 one\ttab/1 one\ttab 2/2", "%s: %s", sg_errmsg(g), pairs_of(c));
    sg_corpus_free(c);
    close(ends[0]);
    sg_close(g);
}

Test(corpus, bad_files_are_refused)
{
    static const struct {
        const char *file;
        size_t n; /* 0: strlen */
        int source;
        const char *message;
    } row[] = {
        {"a\tb\nc\xFF\td\n", 0, 0, "a:2: invalid UTF-8 at byte 1 of the line"},
        {"\xEF\xBB\xBF\xC0\tb\n", 0, 0, "a:1: invalid UTF-8 at byte 0 of the line"},
        {"a\tb\n\n\nxx\0y\tb\n", 12, 0, "a:4: a NUL character at byte 2 of the line"},
        {"a\tb\nalone\n", 0, 0, "a:2: no column 1, only 1 (counted from 0)"},
        {"a\tb\tc\na\tb", 0, 2, "a:2: no column 2, only 2 (counted from 0)"},
        {(const char *)compressed, sizeof compressed - 12, 0, "a: unexpected end of file"},
    };
    folder f = enter();
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        write_file("a", row[i].file, row[i].n ? row[i].n : strlen(row[i].file));
        sg_corpus *c = sg_corpus_read(g, "a", .source_column = row[i].source);
        cr_expect_eq(c->size, 0);
        expect_error(g, SG_BAD_FILE, row[i].message);
        sg_corpus_free(c);
    }
    unsigned char damaged[sizeof compressed];
    memcpy(damaged, compressed, sizeof damaged);
    damaged[sizeof damaged - 6] ^= 1; /* the checksum */
    write_file("a", damaged, sizeof damaged);
    sg_corpus_free(sg_corpus_read(g, "a"));
    expect_error(g, SG_BAD_FILE, "a: incorrect data check");
    sg_corpus_free(sg_corpus_read(g, "b"));
    expect_error(g, SG_IO, "b: No such file or directory");
    sg_corpus_free(sg_corpus_read(g, "."));
    expect_error(g, SG_IO, ".: Is a directory");
    sg_corpus_free(sg_corpus_read(g, NULL));
    expect_error(g, SG_BAD_ARGUMENT,
                 "corpus: a path is needed, and columns of one file, not 0 and 0 of one");
    sg_corpus_free(sg_corpus_read(g, "a", "b", .source_column = 1));
    expect_error(g, SG_BAD_ARGUMENT,
                 "corpus: a path is needed, and columns of one file, not 1 and 0 of two");
    sg_corpus_free(NULL);
    sg_close(g);
    leave(&f);
}

Test(corpus, from_memory)
{
    sg_context *g = sg_open();
    char first[] = "x y";
    const char *source[] = {first, ""}, *target[] = {"1", "2"};
    sg_corpus *c = sg_corpus_of(g, 2, source, target);
    first[0] = '!';
    cr_expect_str_eq(pairs_of(c), "x y/1 /2", "copied: %s", pairs_of(c));
    sg_corpus *part = sg_corpus_of(g, 1, c->source + 1, c->target + 1);
    cr_expect_str_eq(pairs_of(part), "/2");
    sg_corpus_free(part);
    sg_corpus_free(c);
    c = sg_corpus_of(g, 2, source, NULL);
    cr_expect_str_eq(pairs_of(c), "! y/ /");
    sg_corpus_free(c);
    c = sg_corpus_of(g, 0, NULL, NULL);
    cr_expect_eq(c->size, 0);
    sg_corpus_free(c);
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    target[1] = "a\xED\xA0\x80";
    sg_corpus_free(sg_corpus_of(g, 2, source, target));
    expect_error(g, SG_BAD_ARGUMENT, "text: invalid UTF-8 at byte 1");
    target[1] = NULL;
    sg_corpus_free(sg_corpus_of(g, 2, source, target));
    expect_error(g, SG_BAD_ARGUMENT, "text: NULL instead of a string");
    sg_close(g);
}

/* ---- batches ------------------------------------------------------------------------------ */

/* n pairs of i % 13 and i % 7 + 1 characters: source and target say which pair it is. */
typedef struct data {
    sg_corpus *corpus;
    sg_vocabulary *v;
} data;

static data make_data(sg_context *g, int n)
{
    static char source[4000][24], target[4000][16];
    static const char *sources[4000], *targets[4000];
    for (int i = 0; i < n; i++) {
        snprintf(source[i], sizeof source[i], "%.*s", i % 13, "abcdefghijklmnop");
        snprintf(target[i], sizeof target[i], "%.*s", i % 7 + 1, "qrstuvwxyz");
        sources[i] = source[i];
        targets[i] = target[i];
    }
    data d = {.corpus = sg_corpus_of(g, n, sources, targets)};
    d.v = sg_vocabulary_build(g, 2 * d.corpus->size, d.corpus->source,
                              .tokenizer.units = SG_UNITS_CHAR);
    return d;
}

static void free_data(data *d)
{
    sg_vocabulary_free(d->v);
    sg_corpus_free(d->corpus);
}

/* Whether a row holds the ids of a text and then padding. */
static bool row_is(const sg_vocabulary *v, const char *text, int32_t before, int32_t after,
                   int time, int length, const int32_t *row)
{
    int32_t expected[64] = {0};
    int n = 0;
    if (before >= 0)
        expected[n++] = before;
    n += sg_encode(v, text, 60, expected + n);
    if (after >= 0)
        expected[n++] = after;
    return n == length && time <= 64 && length <= time &&
           memcmp(expected, row, (size_t)time * sizeof *row) == 0;
}

static void check_batch(const data *d, const sg_batch *b, bool source_stop)
{
    int64_t tokens = 0;
    int longest[2] = {0, 0};
    for (int i = 0; i < b->size; i++) {
        const char *s = d->corpus->source[b->index[i]], *t = d->corpus->target[b->index[i]];
        cr_expect(row_is(d->v, s, -1, source_stop ? SG_STOP : -1, b->source_time,
                         b->source_lengths[i], b->source + i * b->source_time),
                  "source of pair %d", b->index[i]);
        cr_expect(row_is(d->v, t, SG_START, -1, b->target_time, b->target_lengths[i],
                         b->target_in + i * b->target_time),
                  "target_in of pair %d", b->index[i]);
        cr_expect(row_is(d->v, t, -1, SG_STOP, b->target_time, b->target_lengths[i],
                         b->target_out + i * b->target_time),
                  "target_out of pair %d", b->index[i]);
        tokens += b->target_lengths[i];
        longest[0] = b->source_lengths[i] > longest[0] ? b->source_lengths[i] : longest[0];
        longest[1] = b->target_lengths[i] > longest[1] ? b->target_lengths[i] : longest[1];
    }
    cr_expect_eq(b->tokens, tokens);
    cr_expect(longest[0] <= b->source_time && longest[1] <= b->target_time);
}

Test(batches, an_epoch_has_every_pair_once)
{
    static const struct {
        int n, size, max_length, multiple, pool, pairs, empty, too_long;
        bool in_order, source_stop;
    } row[] = {
        {200, 16, 0, 0, 0, 184, 16, 0, false, false},
        {200, 16, 0, 4, 2, 184, 16, 0, false, true},
        {200, 0, 6, 3, 0, 81, 16, 103, false, false},
        {200, 7, 0, 0, 1, 184, 16, 0, true, false},
        {13, 1000, 0, 8, 1000000000, 12, 1, 0, false, false},
        {200, 1, 1, 0, 0, 3, 16, 181, false, true},
        {1, 4, 0, 0, 0, 0, 1, 0, false, false},
        {0, 4, 0, 0, 0, 0, 0, 0, false, false},
    };
    sg_context *g = sg_open();
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        data d = make_data(g, row[i].n);
        sg_batches *all = sg_batches_make(
            g, d.corpus, d.v, d.v, .size = row[i].size, .max_length = row[i].max_length,
            .source_stop = row[i].source_stop, .in_order = row[i].in_order,
            .multiple = row[i].multiple, .pool = row[i].pool);
        cr_expect(all->pairs == row[i].pairs && all->empty == row[i].empty &&
                      all->too_long == row[i].too_long,
                  "row %zu: %d pairs, %d empty, %d too long", i, all->pairs, all->empty,
                  all->too_long);
        int size = row[i].size ? row[i].size : 32, seen = 0, count = 0, partial = 0, last = -1;
        bool found[200] = {false};
        sg_batch b = {.seed = 3};
        while (sg_batch_next(all, &b)) {
            check_batch(&d, &b, row[i].source_stop);
            int m = row[i].multiple ? row[i].multiple : 1;
            cr_expect(b.source_time % m == 0 && b.target_time % m == 0, "row %zu", i);
            for (int k = 0; k < b.size; k++) {
                cr_expect_not(found[b.index[k]]);
                found[b.index[k]] = true;
                cr_expect(!row[i].in_order || b.index[k] > last, "row %zu: not in order", i);
                last = b.index[k];
            }
            seen += b.size;
            partial += b.size < size;
            cr_expect_eq(b.next, ++count);
        }
        cr_expect_eq(seen, all->pairs, "row %zu: %d seen", i, seen);
        cr_expect_eq(count, all->batches, "row %zu: %d batches", i, count);
        cr_expect_leq(partial, 1, "row %zu: %d batches are not full", i, partial);
        cr_expect(b.epoch == 1 && b.next == 0 && b.seed == 3);
        sg_batches_free(all);
        free_data(&d);
    }
    cr_expect(sg_ok(g), "%s", sg_errmsg(g));
    sg_close(g);
}

/* The indices of one epoch in the order they come. */
static int epoch_order(sg_batches *all, uint64_t seed, int64_t epoch, int32_t *order)
{
    int n = 0;
    sg_batch b = {.seed = seed, .epoch = epoch};
    while (sg_batch_next(all, &b))
        for (int i = 0; i < b.size; i++)
            order[n++] = b.index[i];
    return n;
}

Test(batches, the_order_depends_on_seed_and_epoch_only)
{
    sg_context *g = sg_open();
    data d = make_data(g, 500);
    sg_batches *x = sg_batches_make(g, d.corpus, d.v, d.v, .size = 8, .pool = 4);
    sg_batches *y = sg_batches_make(g, d.corpus, d.v, d.v, .size = 8, .pool = 4);
    static int32_t first[500], other[500];
    int n = epoch_order(x, 1, 0, first);
    static const struct {
        uint64_t seed;
        int64_t epoch;
        bool same;
    } row[] = {{1, 1, false}, {2, 0, false}, {0, 1, false}, {0, 0, false}, {1, 0, true}};
    for (size_t i = 0; i < 2 * sizeof row / sizeof *row; i++) {
        epoch_order(i % 2 ? x : y, row[i / 2].seed, row[i / 2].epoch, other);
        cr_expect_eq(memcmp(first, other, (size_t)n * sizeof *first) == 0, row[i / 2].same,
                     "row %zu", i);
    }
    /* Recorded: another order would not repeat a training run of an earlier version. */
    static const int32_t recorded[] = {187, 397, 138, 61};
    cr_expect_arr_eq(first, recorded, sizeof recorded, "%d %d %d %d", first[0], first[1], first[2],
                     first[3]);
    sg_batches_free(x);
    sg_batches_free(y);
    free_data(&d);
    sg_close(g);
}

Test(batches, an_iteration_can_be_resumed)
{
    sg_context *g = sg_open();
    data d = make_data(g, 300);
    sg_batches *x = sg_batches_make(g, d.corpus, d.v, d.v, .size = 8);
    sg_batch b = {.seed = 9, .epoch = 4};
    for (int i = 0; i < 10; i++)
        cr_expect(sg_batch_next(x, &b));
    sg_batches *y = sg_batches_make(g, d.corpus, d.v, d.v, .size = 8);
    sg_batch c = {.seed = b.seed, .epoch = b.epoch, .next = b.next};
    for (int i = 0; i < 100; i++) {
        bool more = sg_batch_next(x, &b);
        cr_expect_eq(sg_batch_next(y, &c), more);
        cr_expect(b.epoch == c.epoch && b.next == c.next && b.size == c.size);
        if (more)
            cr_expect_arr_eq(b.index, c.index, (size_t)b.size * sizeof *b.index);
    }
    cr_expect_gt(b.epoch, 5);
    c.next = -1;
    cr_expect_not(sg_batch_next(y, &c), "a position that does not exist");
    c.next = INT64_MAX;
    cr_expect_not(sg_batch_next(y, &c), "a position that does not exist");
    sg_batches_free(x);
    sg_batches_free(y);
    free_data(&d);
    sg_close(g);
}

Test(batches, sentences_of_like_length_come_together)
{
    sg_context *g = sg_open();
    data d = make_data(g, 4000);
    sg_batches *x = sg_batches_make(g, d.corpus, d.v, d.v, .size = 16);
    int64_t real = 0, cells = 0, by_length = 0;
    sg_batch b = {.seed = 1};
    int last = 0;
    while (sg_batch_next(x, &b)) {
        real += b.tokens;
        cells += (int64_t)b.size * b.target_time;
        by_length += b.target_time >= last;
        last = b.target_time;
    }
    cr_expect_geq(real * 100, cells * 97, "%d of %d are padding", (int)(cells - real), (int)cells);
    cr_expect_lt(by_length * 10, (int64_t)x->batches * 8, "the batches come sorted");
    sg_batches_free(x);
    free_data(&d);
    sg_close(g);
}

Test(batches, errors)
{
    sg_context *g = sg_open();
    data d = make_data(g, 10);
    sg_batch b = {.seed = 1};
    sg_batches *x = sg_batches_make(g, d.corpus, d.v, d.v, .size = -1);
    cr_expect_not(sg_batch_next(x, &b));
    sg_batches_free(x);
    expect_error(g, SG_BAD_ARGUMENT,
                 "batches: no corpus or vocabulary, or a negative size (-1), max_length (0), "
                 "multiple (0) or pool (0)");
    sg_batches_free(sg_batches_make(g, d.corpus, d.v, NULL));
    expect_error(g, SG_BAD_ARGUMENT,
                 "batches: no corpus or vocabulary, or a negative size (0), max_length (0), "
                 "multiple (0) or pool (0)");
    sg_batches_free(NULL);
    free_data(&d);
    sg_close(g);
}

Test(corpus, pairs_that_are_none)
{
    sg_context *g = sg_open();
    sg_corpus_free(sg_corpus_of(g, -1, NULL, NULL));
    cr_expect(strstr(sg_errmsg(g), "corpus: -1 pairs at ") == sg_errmsg(g), "%s", sg_errmsg(g));
    sg_close(g);
}
