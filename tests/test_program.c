/* The program seq2seq as its users meet it: commands, files, errors, Ctrl-C. */
#include "examples/dates.h"
#include "tests/shell_test.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A small corpus in a file; the model of it is small, too. */
static void begin(void)
{
    enum { N = 400 };
    static date_pair pairs[N];
    cr_assert(mkdtemp(folder));
    dates_generate(3, false, N, pairs);
    char path[64];
    snprintf(path, sizeof path, "%s/pairs.tsv", folder);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < N; i++)
        fprintf(f, "%s\t%s\n", pairs[i].source, pairs[i].target);
    cr_assert(fclose(f) == 0);
}

#define SMALL "--embed 8 --hidden 16 --batch 32 --epochs 2 --threads 1 --seed 5"

Test(program, trains_translates_and_evaluates, .init = begin, .fini = end)
{
    char text[16384], again[16384];
    int status = run(text, "seq2seq train --train pairs.tsv --valid pairs.tsv --model a " SMALL
                           " --log a.log");
    cr_assert(status == 0, "%s", text);
    cr_expect(strstr(text, "epoch 2/2") && strstr(text, "saved 已保存: a"), "%s", text);
    run(text, "seq2seq train --train pairs.tsv --valid pairs.tsv --model b " SMALL
              " --log b.log | cut -d'|' -f1; cmp a b && echo same");
    cr_expect(strstr(text, "same"), "one seed, one model: %s", text);
    run(text, "wc -l < a.log; grep -c loss a.log");
    cr_expect(atoi(text) > 20, "%s", text);

    status = run(text, "head -5 pairs.tsv | cut -f1 > s; seq2seq translate --model a "
                       "--attention-plot a.svg < s; head -c 5 a.svg; wc -l < s");
    cr_expect(status == 0, "%s", text);
    int lines = 0;
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    cr_expect(lines == 6 && strstr(text, "<?xml"), "five translations, a picture: %s", text);
    run(again, "printf 'x\\n\\ny\\n' | seq2seq translate --model a | wc -l");
    cr_expect(atoi(again) == 3, "a line for each line, also for an empty one: %s", again);

    status = run(text, "seq2seq evaluate --model a --test pairs.tsv");
    json_t *j = json_loads(text, 0, NULL);
    cr_assert(status == 0 && j, "%s", text);
    cr_expect(json_integer_value(json_object_get(j, "sentences")) == 400);
    cr_expect(json_integer_value(json_object_get(j, "tokens")) == 400 * 11);
    cr_expect(json_real_value(json_object_get(j, "perplexity")) > 1);
    cr_expect(json_is_number(json_object_get(j, "bleu")) &&
              json_is_number(json_object_get(j, "exact")));
    json_decref(j);
}

/* Trains a small one on data and evaluates it. */
static void expect_a_model(const char *data, const char *way, const char *test)
{
    char text[16384];
    int status = run(text,
                     "seq2seq train --model m " SMALL " %s %s && "
                     "seq2seq evaluate --model m --test %s",
                     data, way, test);
    cr_expect(status == 0 && strstr(text, "\"exact\""), "%s: %s", way, text);
}

Test(program, takes_every_kind_of_model_and_file, .init = begin, .fini = end)
{
    static const char *const ways[] = {
        "--cell rnn --attention none",
        "--cell lstm --attention concat --attend pre --units char,word",
        "--cell gru --attention general --feed --layers 2 --dropout 0.2",
        "--cell gru --attention concat --coverage --window 3 --attend pre --units token,char",
        "--cell mgu --merge mlp --attention concat --coverage --coverage-loss 1 --attend pre",
        "--cell lstm-projection --merge mean --attention heads --heads 2 --layers 2",
        "--cell gru --attention none --context input --token-out --no-bidirectional",
        "--cell lstm --tied --embed 16 --state-dropout 0.2 --variational --zoneout 0.1",
        "--cell lstm --attention scaled --sampling inverse-sigmoid --truth 5 --judge bleu",
        "--cell gru --layers 2 --wrap residual --candidate-dropout 0.1 --window 2 --window-at step",
        "--cell lstm --layers 2 --wrap highway --no-bidirectional --window 3 --attend pre",
        "--cell gru --units word,char --lower --smoothing 0.1 --clip 0 --max-vocabulary 50",
    };
    char text[16384];
    int status = run(text, "cut -f1 pairs.tsv | gzip > s.gz; cut -f2 pairs.tsv > t; "
                           "printf '\\357\\273\\277' > bom; cat bom pairs.tsv > p.tsv");
    cr_assert(status == 0, "%s", text);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        expect_a_model("--train-src s.gz --train-tgt t --valid p.tsv --epochs 1", ways[i], "p.tsv");
    run(text,
        "printf '2 1\\n1 0.5\\n0 -0.5\\n' > v.txt; seq2seq train --train p.tsv --model v " SMALL
        " --vectors v.txt --vectors-format word2vec --freeze --lower && "
        "seq2seq evaluate --model v --test p.tsv");
    cr_expect(strstr(text, "2 of ") && strstr(text, "words have a vector in v.txt") &&
                  strstr(text, "\"exact\""),
              "%s", text);
    char again[16384];
    run(text, "gzip < t > t.gz; seq2seq evaluate --model m --test-src s.gz --test-tgt t.gz");
    run(again, "seq2seq evaluate --model m --test p.tsv");
    cr_expect_str_eq(text, again, "two files, line by line, say what one of columns does");
}

/* Formats of tasks, and everything that decoding can be told. */
Test(program, reads_formats_and_decodes_as_told, .init = begin, .fini = end)
{
    char text[16384], again[16384];
    run(text,
        "for i in 1 2 3 4 5 6 7 8; do for w in walk run; do printf 'IN: %%s twice OUT: I_%%s "
        "I_%%s\\nIN: %%s OUT: I_%%s\\n' $w $w $w $w $w; done; done > s.scan; for i in 1 2 3 4 "
        "5 6; do printf 'ab öß\\tpos=V,num=PL\\taböß%%s\\nc\\tpos=N\\tcx\\n' ''; done > i.txt");
    int status =
        run(text, "seq2seq train --format scan --train s.scan --valid s.scan --judge exact "
                  "--embed 16 --hidden 32 --batch 4 --epochs 30 --lr 0.01 --model m && "
                  "seq2seq evaluate --model m --test s.scan 2>&1 | tail -1");
    cr_expect(status == 0 && strstr(text, "\"exact\": 100.0000, \"token_error\": 0.0000"), "%s",
              text);
    run(text, "echo IN: run twice | seq2seq translate --model m");
    cr_expect_str_eq(text, "I_run I_run\n");
    run(text, "echo run twice | seq2seq translate --model m --beam 3 --best 2 --length-penalty 0.6 "
              "--coverage-penalty 0.2 --tree");
    cr_expect(strstr(text, "row 0") && strstr(text, "* I_run") && strstr(text, "1\t-") &&
                  strstr(text, "2\t-"),
              "%s", text);
    run(text,
        "echo run twice | seq2seq translate --model m --no-repeat 1; echo run twice | seq2seq "
        "translate --model m --prefix 'I_walk I_walk I_walk' --most 3; echo run | seq2seq "
        "translate --model m --least 3 | wc -w");
    cr_expect(!strstr(text, "I_run I_run") && strstr(text, "I_walk I_walk I_walk\n") &&
                  strstr(text, "\n3\n"),
              "%s", text);
    run(again, "echo run twice | seq2seq translate --model m --most 300 --prefix \"$(yes I_walk | "
               "head -299 | tr '\\n' ' ')\" | wc -w");
    cr_expect(atoi(again) >= 299, "a prefix of any length: %s", again);
    run(text, "echo run twice | seq2seq translate --model m --sample --top-k 1; echo run twice | "
              "seq2seq translate --model m --sample --top-p 0.2 --temperature 0.5");
    cr_expect_str_eq(text, "I_run I_run\nI_run I_run\n");
    run(text, "head -2 s.scan | seq2seq score --model m --test /dev/stdin");
    run(again, "echo walk twice | seq2seq translate --model m --best 2 | head -1 | cut -f2");
    cr_expect(fabs(atof(text) - atof(again)) < 2e-4 && atof(text) < 0, "%s %s", text, again);
    status = run(text, "seq2seq train --format inflection --train i.txt --embed 16 --hidden 32 "
                       "--batch 4 --epochs 40 --lr 0.01 --model m --sampling linear --truth-slope "
                       "0.01 --truth-floor 0.5 && cut -f1,2 i.txt | head -2 | seq2seq translate "
                       "--model m");
    cr_expect(status == 0 && strstr(text, "aböß\ncx\n"), "%s", text);
    run(text, "tr -s '\\0' ' ' < m | head -c 9000 | grep -o '␣' | head -1");
    cr_expect_str_eq(text, "␣\n", "a space is a letter");
}

/* An article and a question; and everything that a context can be. */
Test(program, reads_several_sources, .init = begin, .fini = end)
{
    static const char *const ways[] = {"--summary mean --bridge none --join mean --attention none",
                                       "--summary max --bridge both",
                                       "--summary attention --context input --join mlp",
                                       "--join restored --sampling linear",
                                       "--fuse-at input --fuse restored",
                                       "--fuse-at output --fuse add --attention none"};
    char text[16384];
    run(text,
        "for i in 1 2 3 4 5; do for p in hall yard; do for n in Ann Bob; do printf '1 %%s went "
        "to the %%s.\\n2 Who went? \\t%%s\\t1\\n3 Where to? \\t%%s\\t1\\n' $n $p $n $p; done; "
        "done; done > b.txt; gzip -k b.txt");
    int status = run(text, "seq2seq train --format babi --sources 2 --train b.txt.gz --valid b.txt "
                           "--embed 16 --hidden 32 --batch 4 --epochs 20 --lr 0.01 --model m && "
                           "seq2seq evaluate --model m --test b.txt.gz");
    cr_expect(status == 0 && strstr(text, "\"exact\": 100.0000") &&
                  strstr(text, "\"sentences\": 40"),
              "%s", text);
    run(text, "head -2 b.txt | seq2seq translate --model m --attention-plot a.svg; "
              "grep -o '>went<' a.svg; grep -o '>who<' a.2.svg");
    cr_expect_str_eq(text, "Ann\n>went<\n>who<\n", "a picture of each source");
    status = run(text, "seq2seq train --format babi --sources 2 --train b.txt --valid b.txt "
                       "--fuse-at hidden --fuse mlp --embed 16 --hidden 32 --batch 4 --epochs 30 "
                       "--lr 0.01 --model m && seq2seq evaluate --model m --test b.txt");
    cr_expect(status == 0 && strstr(text, "\"exact\": 100.0000"), "%s", text);
    run(text, "head -2 b.txt | seq2seq translate --model m --attention-plot z.svg; ls z*.svg");
    cr_expect_str_eq(text, "Ann\nz.svg\n", "the question is not looked at");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        expect_a_model("--format babi --sources 2 --train b.txt", ways[i], "b.txt");
    status = run(text, "printf '1 a b.\\nc d.\\n' > x; seq2seq train --format babi --train x");
    cr_expect(status == 1 && strstr(text, "x:2: no number"), "%s", text);
}

Test(program, says_what_is_wrong, .init = begin, .fini = end)
{
    static const struct {
        const char *command, *message;
        int status;
    } rows[] = {
        {"seq2seq train", "seq2seq: no train data: --train F, or --train-src F and", 1},
        {"seq2seq train --train absent", "absent", 1},
        {"seq2seq train --train empty", "seq2seq: empty: there is no pair in it", 1},
        {"seq2seq train --train pairs.tsv --hidden 7", "half of them of each", 1},
        {"seq2seq train --train pairs.tsv --model none/m " SMALL " --epochs 1", "none/m", 1},
        {"seq2seq train --cell lstn", "lstn", 2},
        {"seq2seq train --hiden 3", "hiden", 2},
        {"seq2seq train --train pairs.tsv --units words", "seq2seq: units are \"words\"", 1},
        {"seq2seq translate --model absent < s", "absent", 1},
        {"seq2seq translate --model s < s", "s: is", 1},
        {"seq2seq evaluate --model absent --test s", "absent", 1},
        {"seq2seq train --train pairs.tsv --epochs 1 --model m " SMALL, "saved", 0},
        {"seq2seq evaluate --model m", "seq2seq: no test data: --test F", 1},
        {"seq2seq evaluate --model m --test-src s", "no test data", 1},
        {"seq2seq train --format scan --train s", "s:1: no \"OUT: \"", 1},
        {"seq2seq train --format inflection --train s", "s:1: no column 1", 1},
        {"seq2seq train --train pairs.tsv --coverage", "concat score only", 1},
        {"seq2seq train --train pairs.tsv --wrap highway --embed 8",
         "--wrap: no cell has inputs of the", 1},
        {"seq2seq train --train pairs.tsv --window-at step", "a monotonic window of 0", 1},
        {"seq2seq train --train pairs.tsv --attention none --coverage-loss 1",
         "coverage_loss without attention", 1},
        {"seq2seq train --train pairs.tsv --sampling exponential --truth 2",
         "--truth 2: exponential takes less than 1, inverse-sigmoid 1 or more", 1},
        {"seq2seq train --train pairs.tsv --freeze", "--freeze: that of the word vectors", 1},
        {"seq2seq train --train pairs.tsv --sources 2 --fuse-at hidden",
         "a state keeps its size, so not --fuse concat", 1},
        {"seq2seq train --train pairs.tsv --fuse-at input", "--fuse-at input: that of the last", 1},
        {"seq2seq train --train pairs.tsv --vectors absent", "absent", 1},
        {"seq2seq paint", "seq2seq: no command \"paint\"; see seq2seq --help", 2},
        {"seq2seq train extra", "seq2seq: not understood: \"extra\"", 2},
    };
    char text[16384];
    run(text, ": > empty; echo hello > s");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = run(text, "%s", rows[i].command);
        cr_expect(status == rows[i].status, "%s: status %d: %s", rows[i].command, status, text);
        cr_expect(strstr(text, rows[i].message), "%s: %s", rows[i].command, text);
    }
    static const char *const told[] = {
        "--train ", "--valid ",          "--model ",   "--cell ",   "--attention ", "--attend ",
        "--units ", "--embed ",          "--hidden ",  "--layers ", "--batch ",     "--epochs ",
        "--lr ",    "--clip ",           "--dropout ", "--seed ",   "--threads ",   "--log ",
        "--test ",  "--attention-plot ", "translate",  "evaluate"};
    cr_expect(run(text, "seq2seq --help") == 0);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        cr_expect(strstr(text, told[i]), "help does not tell of %s", told[i]);
}

Test(program, a_damaged_model_is_refused, .init = begin, .fini = end)
{
    char text[16384];
    int status = run(text, "seq2seq train --train pairs.tsv --model m " SMALL " --epochs 1 && "
                           "printf '\\001' | dd of=m bs=1 seek=$(($(wc -c < m) - 9)) conv=notrunc "
                           "status=none && seq2seq translate --model m < pairs.tsv");
    cr_expect(status == 1 && strstr(text, "checksum"), "%s", text);
}

Test(program, an_interrupt_saves, .init = begin, .fini = end)
{
    char text[16384];
    int status =
        run(text, "seq2seq train --train pairs.tsv --model m " SMALL " --epochs 100000 & p=$!; "
                  "sleep 1; kill -INT $p; wait $p && seq2seq evaluate --model m --test pairs.tsv");
    cr_expect(status == 0, "%s", text);
    cr_expect(strstr(text, "interrupted: the model is saved as it is") &&
                  strstr(text, "saved 已保存: m") && strstr(text, "\"bleu\""),
              "%s", text);
}
