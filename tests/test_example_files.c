/* What the examples read: files of tags, of trees, of recordings; how entities are counted. */
#include "examples/recordings.h"
#include "examples/tags_file.h"
#include "examples/trees.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/test_example_XXXXXX";

static void write_file(const char *text)
{
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void end(void)
{
    unlink(path);
}

static void expect_message(sg_context *g, const char *message)
{
    cr_expect(!sg_ok(g) && strstr(sg_errmsg(g), message), "\"%s\" is not in \"%s\"", message,
              sg_errmsg(g));
    sg_clear(g);
}

/* ---- tags ----------------------------------------------------------------------------------- */

static void expect_tags(const char *text, int column, int n, const char *const (*rows)[2])
{
    sg_context *g = sg_open();
    write_file(text);
    sg_corpus *c = tags_read(g, path, "train", column);
    cr_assert(sg_ok(g), "%s", sg_errmsg(g));
    cr_assert_eq(c->size, n);
    for (int i = 0; i < n; i++) {
        cr_expect_str_eq(c->source[i], rows[i][0]);
        cr_expect_str_eq(c->target[i], rows[i][1]);
    }
    sg_corpus_free(c);
    sg_close(g);
}

Test(tags, conllu, .fini = end)
{
    const char *const rows[][2] = {{"I do n't #", "PRON AUX PART SYM"}, {"No .", "INTJ PUNCT"}};
    expect_tags("# text = I don't #\n1\tI\ti\tPRON\tPRP\t_\t_\t_\t_\t_\n"
                "2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n2\tdo\tdo\tAUX\tVB\t_\t_\t_\t_\t_\n"
                "3\tn't\tnot\tPART\tRB\t_\t_\t_\t_\t_\n3.1\tsay\tsay\tVERB\tVB\t_\t_\t_\t_\t_\n"
                "4\t#\t#\tSYM\t#\t_\t_\t_\t_\t_\n\n\n# sent_id = 2\n"
                "1\tNo\tno\tINTJ\tUH\t_\t_\t_\t_\t_\r\n2\t.\t.\tPUNCT\t.\t_\t_\t_\t_\t_\n",
                0, 2, rows);
}

Test(tags, column, .fini = end)
{
    const char *const rows[][2] = {{"No", "UH"}};
    expect_tags("1\tNo\tno\tINTJ\tUH\t_\t_\t_\t_\t_", 5, 1, rows);
}

/* A word that has a white space in it stays one; '#' is a word, where nothing is a comment. */
Test(tags, columns, .fini = end)
{
    const char *const rows[][2] = {{"# \xe2\x90\xa3 \xe2\x90\xa3", "O B-x I-x"}, {"吴", "S-NAME"}};
    expect_tags("#\tO\na\xc2\xa0 b\tB-x\n\xe3\x80\x80\tI-x\n   \n吴 S-NAME\n", 0, 2, rows);
}

Test(tags, errors, .fini = end)
{
    sg_context *g = sg_open();
    write_file("a O\n\nb\n");
    sg_corpus_free(tags_read(g, path, "train", 0));
    expect_message(g, ":3: no word with a tag");
    sg_corpus_free(tags_read(g, path, "train", 3));
    expect_message(g, ":1: no word with a tag");
    sg_corpus_free(tags_read(g, NULL, "train", 0));
    expect_message(g, "a file is needed: --train FILE");
    sg_close(g);
}

Test(tags, pairs)
{
    static const char *const text[] = {"a b c", "d", "", "X Y Z", "X", ""};
    sg_context *g = sg_open();
    sg_corpus *c = sg_corpus_of(g, 3, text, text + 3), *pairs = tags_pairs(g, c);
    cr_assert(sg_ok(g) && pairs->size == 3);
    cr_expect_str_eq(pairs->source[0], "a_b b_c c_ ");
    cr_expect_str_eq(pairs->source[1], "d_ ");
    cr_expect_str_eq(pairs->source[2], "");
    cr_expect_str_eq(pairs->target[0], "X Y Z");
    sg_corpus_free(pairs);
    sg_corpus_free(c);
    sg_close(g);
}

/* Words right, entities there, told, found. */
static void expect_score(bool closed, const char *truth, const char *told, int right, int there,
                         int said, int found)
{
    enum { MOST = 16 };
    const char *tag[2][MOST];
    char text[2][256];
    int n = 0;
    snprintf(text[0], sizeof text[0], "%s", truth);
    snprintf(text[1], sizeof text[1], "%s", told);
    for (int i = 0; i < 2; i++) {
        n = 0;
        for (char *s = strtok(text[i], " "); s; s = strtok(NULL, " "))
            tag[i][n++] = s;
    }
    tags_score s = {.closed = closed};
    tags_add(&s, n, tag[0], tag[1]);
    cr_expect(s.right == right && s.entities == there && s.told == said && s.found == found,
              "%s / %s: %d %d %d %d", truth, told, (int)s.right, (int)s.entities, (int)s.told,
              (int)s.found);
}

Test(tags, entities)
{
    expect_score(false, "B-a I-a O B-b", "B-a I-a O B-b", 4, 2, 2, 2);
    expect_score(false, "B-a I-a O B-b", "B-a O O B-a", 2, 2, 2, 0);
    expect_score(false, "B-a B-a I-b I-b", "I-a B-a B-b I-b", 2, 3, 3, 3);
    expect_score(false, "O O O", "O B-a I-a", 1, 0, 1, 0);
    expect_score(true, "B-a M-a E-a S-b O", "B-a M-a E-a S-b O", 5, 2, 2, 2);
    expect_score(true, "B-a M-a E-a S-b O", "B-a M-a M-a S-b S-b", 3, 2, 2, 1);
    expect_score(true, "B-a E-a O", "M-a E-a E-a", 1, 1, 0, 0);
    expect_score(true, "B-a E-a B-a E-a", "B-a M-a M-a E-a", 2, 2, 1, 0);
    tags_score s = {.words = 8, .right = 6, .entities = 4, .told = 6, .found = 3};
    cr_expect(tags_f1(&s) == 60 && tags_accuracy(&s) == 75);
}

/* ---- trees ---------------------------------------------------------------------------------- */

static char *printed(const tree *t, const int32_t *told, const int32_t *truth)
{
    static const char *const signs[] = {"--", "-", "o", "+", "++"};
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    trees_print(f, t, told, truth, signs);
    fclose(f);
    return text;
}

Test(trees, parse)
{
    static const char *const lines[] = {"(3 (2 It) (4 (2 's) ( good)))", " ", "(not (4 (0)) )",
                                        "(2 7)"};
    sg_context *g = sg_open();
    trees t = trees_parse(g, "lines", 4, lines);
    cr_assert(sg_ok(g) && t.count == 3, "%s", sg_errmsg(g));
    const tree_node *v = t.tree[0].node;
    cr_assert_eq(t.tree[0].count, 5);
    cr_expect_str_eq(v[0].word, "It");
    cr_expect(v[0].label == 2 && v[2].label == -1 && v[3].label == 4 && v[4].label == 3);
    cr_expect(v[3].children == 2 && v[3].child[0] == 1 && v[3].child[1] == 2 && !v[3].word);
    cr_expect(v[4].child[0] == 0 && v[4].child[1] == 3);
    v = t.tree[1].node;
    cr_expect(t.tree[1].count == 3 && !strcmp(v[1].word, "0") && v[1].label == 4);
    cr_expect(t.tree[2].count == 1 && !strcmp(t.tree[2].node[0].word, "7"));
    char *text = printed(&t.tree[0], (int32_t[]){2, 2, 4, 4, 3}, (int32_t[]){2, 3, -1, 4, 0});
    cr_expect_str_eq(text, "+(--) ┬ o It\n"
                           "      └ ++ ┬ o(+) 's\n"
                           "           └ ++ good\n");
    free(text);
    trees_free(&t);
    sg_close(g);
}

Test(trees, read, .fini = end)
{
    sg_context *g = sg_open();
    write_file("(1 (2 caf\xe9) (1 closed))\n\n(3 open)");
    trees t = trees_read(g, path, "train");
    cr_assert(sg_ok(g) && t.count == 2, "%s", sg_errmsg(g));
    cr_expect_str_eq(t.tree[0].node[0].word, "caf\xef\xbf\xbd");
    trees_free(&t);
    t = trees_read(g, NULL, "valid");
    expect_message(g, "a file is needed: --valid FILE");
    trees_free(&t);
    sg_close(g);
}

Test(trees, errors)
{
    static const char *const lines[] = {
        "",    "(",     "()",     "(2 a",        "(2 a))",     "a", "(2 a b c)",
        "(2)", "(5 a)", "(12 a)", "(2 a) (2 b)", "(2 (3 ) a)", ")", "(2 a (b)"};
    sg_context *g = sg_open();
    char deep[2000];
    memset(deep, '(', sizeof deep);
    deep[sizeof deep - 1] = '\0';
    const char *one = deep;
    trees t = trees_parse(g, "deep", 1, &one);
    expect_message(g, "deep:1: not a tree");
    trees_free(&t);
    for (size_t i = 1; i < sizeof lines / sizeof *lines; i++) {
        t = trees_parse(g, "lines", 1, &lines[i]);
        if (strcmp(lines[i], "(2)") != 0) /* a word */
            expect_message(g, "lines:1: not a tree");
        else
            cr_expect(sg_ok(g) && t.count == 1);
        trees_free(&t);
    }
    sg_close(g);
}

/* What is made up can be read, and its labels follow the rules. */
Test(trees, generated)
{
    sg_context *g = sg_open();
    uint64_t state = 3;
    for (int i = 0; i < 500; i++) {
        char text[TREES_ROOM];
        const char *line = text;
        int root = trees_generate(&state, 1 + i % 9, text);
        trees t = trees_parse(g, "made up", 1, &line);
        cr_assert(sg_ok(g), "%s: %s", sg_errmsg(g), text);
        const tree *one = &t.tree[0];
        cr_expect_eq(one->node[one->count - 1].label, root);
        for (int v = 0; v < one->count; v++) {
            const tree_node *n = &one->node[v], *left = n->word ? n : &one->node[n->child[0]];
            int right = n->word ? 0 : one->node[n->child[1]].label;
            if (n->word || !left->word)
                continue;
            if (!strcmp(left->word, "not"))
                cr_expect(n->label == (right > 2 ? 1 : right < 2 ? 3 : 2), "%s", text);
            if (!strcmp(left->word, "very"))
                cr_expect(n->label == (right > 2 ? 4 : right < 2 ? 0 : 2), "%s", text);
            if (!strcmp(left->word, "but"))
                cr_expect(n->label == right, "%s", text);
        }
        trees_free(&t);
    }
    sg_close(g);
}

/* ---- recordings ----------------------------------------------------------------------------- */

static const char frame[] = "100 -200 0 0 0 0 0 0 0 0 0 0 50\n";

Test(recordings, read, .fini = end)
{
    char text[512];
    sg_context *g = sg_open();
    snprintf(text, sizeof text, "7 jackson 12 2\n%s%s0 theo 3 1\n%s", frame, frame, frame);
    write_file(text);
    recordings r = recordings_read(g, path, "train");
    cr_assert(sg_ok(g) && r.count == 2, "%s", sg_errmsg(g));
    cr_expect(r.item[0].digit == 7 && r.item[0].index == 12 && r.item[0].frames == 2);
    cr_expect_str_eq(r.item[1].speaker, "theo");
    cr_expect(r.item[0].x[0] == 1 && r.item[0].x[12] == 0.5F && r.item[0].x[14] == -2);
    cr_expect(r.item[1].x == r.item[0].x + 26 && r.item[1].x[1] == -2);
    recordings_free(&r);
    sg_close(g);
}

static void expect_wrong(const char *text, const char *message)
{
    sg_context *g = sg_open();
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
    recordings r = recordings_read(g, path, "train");
    cr_expect_eq(r.count, 0);
    recordings_free(&r);
    expect_message(g, message);
    sg_close(g);
}

Test(recordings, errors, .fini = end)
{
    char text[512];
    write_file("");
    expect_wrong("10 a 0 1\n1\n", ":1: not a recording");
    expect_wrong("one a 0 1\n1\n", ":1: not a recording");
    expect_wrong("1 a 0\n", ":1: not a recording");
    expect_wrong("1 a 0 0\n", ":1: not a recording");
    expect_wrong("1 a 0 2\n1\n", ":1: not a recording");
    expect_wrong("1 a 0 1\n1 2 3\n", ":2: not a frame of 13 numbers");
    expect_wrong("1 a 0 1\n1 2 3 4 5 6 7 8 9 10 11 12 nan\n", ":2: not a frame");
    snprintf(text, sizeof text, "1 a 0 1\n%s%s", frame, frame);
    expect_wrong(text, ":3: not a recording");
}

Test(recordings, generated)
{
    sg_context *g = sg_open();
    recordings r = recordings_generate(g, 5, 2), again = recordings_generate(g, 5, 2);
    cr_assert(sg_ok(g) && r.count == 80);
    int64_t frames = 0;
    for (int i = 0; i < r.count; i++) {
        cr_expect(r.item[i].digit == i % 10 && r.item[i].index == i / 40);
        cr_expect(r.item[i].frames >= 2 * (int)strlen(recordings_names[i % 10]));
        frames += r.item[i].frames;
    }
    cr_expect(!memcmp(r.x, again.x, (size_t)frames * RECORDINGS_FEATURES * sizeof *r.x));
    recordings_free(&r);
    recordings_free(&again);
    sg_close(g);
}
