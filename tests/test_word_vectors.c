/* Files of word vectors: what is read, into a table, and what is refused. */
#include "tests/text_test.h"

#include <math.h>

static const char glove[] = "the 0.5 -1 2e-1\ncat 1 2 3\n\xE7\x8C\xAB +4 .5 6.\n";
static const char header[] = "3 3\n";

static size_t binary_file(char *out, bool feeds)
{
    static const char *const words[] = {"the", "cat", "\xE7\x8C\xAB"};
    static const float values[] = {0.5F, -1, 0.2F, 1, 2, 3, 4, 0.5F, 6};
    size_t n = (size_t)sprintf(out, "%s", header);
    for (int i = 0; i < 3; i++) {
        n += (size_t)sprintf(out + n, "%s ", words[i]);
        memcpy(out + n, values + 3 * i, 3 * sizeof *values); /* this machine is little-endian */
        n += 3 * sizeof *values;
        if (feeds)
            out[n++] = '\n';
    }
    return n;
}

static void write_format(int k)
{
    char data[200];
    if (k < 2) {
        snprintf(data, sizeof data, "%s%s", k ? header : "", glove);
        write_text("a", data);
    } else {
        write_file("a", data, binary_file(data, k == 3));
    }
}

static const sg_vectors_format formats[] = {SG_GLOVE, SG_WORD2VEC, SG_WORD2VEC_BINARY,
                                            SG_WORD2VEC_BINARY};

Test(word_vectors, all_formats_say_the_same)
{
    folder f = enter();
    for (int k = 0; k < 4; k++) {
        sg_context *g = sg_open();
        write_format(k);
        sg_vectors *v = sg_vectors_read(g, "a", formats[k]);
        cr_assert(v->count == 3 && v->size == 3, "format %d: %s", k, sg_errmsg(g));
        const float expected[] = {0.5F, -1, 0.2F, 1, 2, 3, 4, 0.5F, 6};
        cr_expect(memcmp(v->values, expected, sizeof expected) == 0);
        cr_expect_str_eq(v->words[0], "the");
        cr_expect_str_eq(v->words[2], "\xE7\x8C\xAB");
        sg_vectors_free(v);
        sg_close(g);
    }
    leave(&f);
}

Test(word_vectors, fill_the_rows_of_their_words)
{
    folder f = enter();
    for (int dtype = SG_F32; dtype <= SG_F64; dtype++) {
        sg_context *g = sg_open();
        const char *text = "the dog sees the \xE7\x8C\xAB";
        sg_vocabulary *words = sg_vocabulary_build(g, 1, &text);
        int n = sg_vocabulary_size(words);
        sg_tensor *table = sg_param(g, "table", SG_SHAPE(n, 3), SG_CONSTANT, 9, .dtype = dtype);
        write_format(0);
        sg_vectors *v = sg_vectors_read(g, "a", SG_GLOVE);
        cr_expect_eq(sg_vectors_fill(v, words, table), 2, "%s", sg_errmsg(g));
        for (int i = 0; i < n; i++) {
            const char *word = sg_vocabulary_text(words, i);
            double expected = strcmp(word, "the") == 0 ? 0.5 : word[0] == '\xE7' ? 4 : 9;
            const void *data = sg_data(table);
            double x =
                dtype == SG_F64 ? ((const double *)data)[3 * i] : ((const float *)data)[3 * i];
            cr_expect(x == expected, "%s: %g", word, x);
        }
        sg_tensor *narrow = sg_param(g, "narrow", SG_SHAPE(n, 2));
        cr_expect_eq(sg_vectors_fill(v, words, narrow), -1);
        expect_error(g, SG_BAD_SHAPE,
                     "vectors: the table is not [8,3], as vocabulary and file are");
        sg_vectors_free(v);
        sg_vocabulary_free(words);
        sg_close(g);
    }
    leave(&f);
}

Test(word_vectors, are_read_strictly)
{
    static const struct {
        sg_vectors_format format;
        const char *text, *message;
    } rows[] = {
        {SG_GLOVE, "", "a: there are no words"},
        {SG_GLOVE, "the 1 2\ncat 1\n", "a:2: 1 numbers, not 2"},
        {SG_GLOVE, "the\n", "a:1: 0 numbers, not 0"},
        {SG_GLOVE, "the 1 2\n\n", "a:2: a word is missing"},
        {SG_GLOVE, "the 1 2\nthe 3 4\n", "a:2: the word is there already"},
        {SG_GLOVE, "the 1 two\n", "a:1: what should be a number is none"},
        {SG_GLOVE, "the 1 0x2\n", "a:1: what should be a number is none"},
        {SG_GLOVE, "the 1 nan\n", "a:1: what should be a number is none"},
        {SG_GLOVE, "the 1 1e99\n", "a:1: a number is not finite"},
        {SG_GLOVE, "the 1 0000000000000000000000000000000000000000000000000000000000000001\n",
         "a:1: a number is too long"},
        {SG_WORD2VEC, "the 1 2\n", "a:1: a line \"count size\" is missing"},
        {SG_WORD2VEC, "1 2 3\nthe 1 2\n", "a:1: a line \"count size\" is missing"},
        {SG_WORD2VEC, "0 2\n", "a:1: a line \"count size\" is missing"},
        {SG_WORD2VEC, "2 2\nthe 1 2\n", "a: 1 words, not 2"},
        {SG_WORD2VEC, "1 3\nthe 1 2\n", "a:2: 2 numbers, not 3"},
        {SG_WORD2VEC_BINARY, "2 1\nthe abcd\ncat abc",
         "a: word 2: the file ends in the middle of it"},
        {SG_WORD2VEC_BINARY, "2 1\nthe abcd", "a: 1 words, not 2"},
        {SG_WORD2VEC_BINARY, "1 1\nthe abcd\nmore",
         "a: word 2: the file goes on after the last word"},
        {SG_WORD2VEC_BINARY, "1 1\n\xFF abcd\n", "a: word 1: the word is not UTF-8"},
        {SG_WORD2VEC_BINARY, "1 1\nthe \x7F\x7F\x80\x7F", "a: word 2: a number is not finite"},
        {SG_WORD2VEC_BINARY, "1 1", "a:1: a line \"count size\" is missing"},
    };
    folder f = enter();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sg_context *g = sg_open();
        write_text("a", rows[i].text);
        sg_vectors *v = sg_vectors_read(g, "a", rows[i].format);
        cr_expect(v->count == 0 && v->size == 0, "row %d", (int)i);
        expect_error(g, SG_BAD_FILE, rows[i].message);
        sg_vectors_free(v);
        sg_close(g);
    }
    sg_context *g = sg_open();
    sg_vectors_free(sg_vectors_read(g, "a", (sg_vectors_format)5));
    expect_error(g, SG_BAD_ARGUMENT, "a: no such format of vectors (5)");
    sg_vectors_free(sg_vectors_read(g, "nowhere", SG_GLOVE));
    cr_expect_eq(sg_error(g), SG_IO);
    sg_close(g);
    leave(&f);
}
