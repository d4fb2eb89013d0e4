/* What the examples read: files of tags; how entities are counted. */
#include "examples/tags_file.h"

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
