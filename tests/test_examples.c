/* The programs of examples/ as their users meet them, on small data: each learns, saves, evaluates
 * to one line of JSON, does the same again from the same seed, and says what is wrong. */
#include "examples/grammar.h"
#include "examples/recordings.h"
#include "examples/trees.h"
#include "tests/shell_test.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *create(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, "w");
}

static void begin(void)
{
    cr_assert(mkdtemp(folder));
}

/* Sentences of the grammar, one a line. */
static void write_sentences(const char *name, int n)
{
    uint64_t state = 7;
    grammar_sentence s;
    FILE *f = create(name);
    for (int i = 0; i < n; i++) {
        grammar_generate(&state, &s);
        fprintf(f, "%s\n", s.words);
    }
    cr_assert(fclose(f) == 0);
}

/* Trains twice, which gives the same file, and evaluates: the JSON, of which the caller looks at
 * more. */
static json_t *learn(const char *program, const char *options, const char *test)
{
    char text[TEXT];
    int status =
        run(text, "%s train %s --model a --log a.log --plot a.svg --threads 1", program, options);
    cr_assert(status == 0 && strstr(text, "saved"), "%s: %s", program, text);
    status = run(text,
                 "%s train %s --model b --threads 1 >/dev/null && cmp a b && "
                 "grep -c '\"loss\"' a.log && head -c 5 a.svg",
                 program, options);
    cr_expect(status == 0 && strstr(text, "<?xml"), "%s: %s", program, text);
    status = run(text, "%s evaluate --model a %s 2>/dev/null", program, test);
    json_t *j = json_loads(text, 0, NULL);
    cr_assert(status == 0 && j, "%s: %s", program, text);
    return j;
}

static double number(json_t *j, const char *name)
{
    json_t *value = json_object_get(j, name);
    cr_assert(json_is_number(value), "no %s", name);
    return json_number_value(value);
}

static void expect_messages(int n, const char *const (*rows)[2])
{
    char text[TEXT];
    for (int i = 0; i < n; i++) {
        int status = run(text, "%s", rows[i][0]);
        cr_expect(status != 0 && strstr(text, rows[i][1]), "%s: status %d: %s", rows[i][0], status,
                  text);
    }
}
#define MESSAGES(...)                                                                              \
    do {                                                                                           \
        static const char *const rows[][2] = {__VA_ARGS__};                                        \
        expect_messages((int)(sizeof rows / sizeof *rows), rows);                                  \
    } while (0)

Test(examples, word_lm, .init = begin, .fini = end)
{
    char text[TEXT];
    write_sentences("s", 400);
    run(text, "gzip < s > s.gz");
    json_t *j = learn("word_lm", "--train s.gz --valid s --hidden 16 --epochs 3 --init 0 --time 10",
                      "--test s.gz");
    cr_expect(number(j, "perplexity") < 40 && number(j, "sentences") == 400);
    json_decref(j);
    j = learn("word_lm",
              "--train s --hidden 8 --layers 1 --cell gru --epochs 1 --sampling random "
              "--optimizer adam --lr 0.01 --schedule cosine --dropout 0.2",
              "--test s");
    cr_expect(number(j, "tokens") > 2000);
    json_decref(j);
    run(text, "word_lm train --train s --hidden 4 --epochs 1 --model c --profile p.json");
    cr_expect(strstr(text, "  embedding\n") && strstr(text, "  unroll\n") &&
                  strstr(text, "  output\n") && strstr(text, "  loss\n"),
              "%s", text);
    MESSAGES(
        {"word_lm train", "word_lm: a file is needed: --train FILE"},
        {"word_lm train --train absent", "absent"},
        {"word_lm train --train s --sampling random --time 9000", "too few for 20 rows of 9000"},
        {"word_lm evaluate --model s --test s", "s: is"},
        {"word_lm evaluate --model absent --test s", "absent"},
        {"word_lm paint", "word_lm: no command \"paint\""},
        {"word_lm train more", "not understood: \"more\""});
}

/* Every kind of cell learns, is saved with its kind, and is found again. */
Test(examples, cells, .init = begin, .fini = end)
{
    static const char *const kinds[] = {
        "rnn", "gru",           "lstm",         "gru-before",      "gru-write",
        "mgu", "lstm-peephole", "lstm-coupled", "lstm-projection", "lstm-norm"};
    static const char *const wraps[] = {"none", "residual", "highway"};
    char text[TEXT], options[256];
    FILE *f = create("poem");
    for (int i = 0; i < 60; i++)
        fprintf(f, "床前明月光\n疑是地上霜\n");
    cr_assert(fclose(f) == 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(options, sizeof options,
                 "--train poem --hidden 16 --embed 16 --epochs 10 --batch 4 --time 12 --lr 0.02 "
                 "--cell %s --wrap %s --candidate-dropout %s %s",
                 kinds[i], wraps[i % 3], i ? "0.1" : "0", i % 2 ? "--tied --layers 2" : "");
        json_t *j = learn("char_rnn", options, "--test poem");
        cr_expect(number(j, "nats") < 0.7, "%s: %g", options, number(j, "nats"));
        json_decref(j);
    }
    run(text, "char_rnn generate --model a --cell rnn --lines 1");
    cr_expect(strstr(text, "\n"), "the model knows better of what kind it is: %s", text);
    run(text, "char_rnn gates --model a --prompt 床前明 --gates-plot g.svg; "
              "grep -c '明' g.svg; grep -o '2 O 8' g.svg | head -1");
    cr_expect(strstr(text, "1 F 1") && strstr(text, "明") && strstr(text, "\n2 O 8\n"), "%s", text);
    MESSAGES({"char_rnn train --train poem --embed 8 --hidden 16 --wrap residual",
              "inputs of 8 features do not add to states of 16"},
             {"char_rnn train --train poem --cell rnn --epochs 1 --model r && char_rnn gates "
              "--model r --prompt 床",
              "a cell without gates"},
             {"char_rnn train --train poem --embed 8 --hidden 16 --tied",
              "words of 8 features are not tied to states of 16"},
             {"char_rnn train --train poem --cell elman", "--cell: \"elman\" is none of rnn"});
}

/* A word with its sounds in order, and a second way to say every fifth. */
static void write_words(const char *name)
{
    FILE *f = create(name);
    for (int i = 0; i < 120; i++) {
        static const char *const sounds[][2] = {{"sh", "S"}, {"x", "K Z"}, {"a", "AH"}, {"t", "T"}};
        const char *const *a = sounds[i % 4], *const *b = sounds[i / 4 % 4],
                          *const *c = sounds[i / 16 % 4];
        fprintf(f, "%s%s%s\t%s %s %s\n", a[0], b[0], c[0], a[1], b[1], c[1]);
        if (i % 5 == 0)
            fprintf(f, "%s%s%s\tother %s %s\n", a[0], b[0], c[0], b[1], c[1]);
    }
    cr_assert(fclose(f) == 0);
}

Test(examples, g2p, .init = begin, .fini = end)
{
    char text[TEXT];
    write_words("w.tsv");
    run(text, "gzip < w.tsv > w.tsv.gz");
    json_t *j = learn("g2p",
                      "--train w.tsv.gz --embed 16 --hidden 32 --epochs 15 --batch 8 --lr 0.01 "
                      "--dropout 0",
                      "--test w.tsv.gz --beam 3");
    cr_expect(number(j, "words") == 64 && number(j, "pronunciations") == 144);
    cr_expect(number(j, "wer") < 5 && number(j, "per") <= number(j, "wer"),
              "right is what any of the references says: %g, %g", number(j, "wer"),
              number(j, "per"));
    json_decref(j);
    run(text, "g2p use --model a --word shax --best 2 --beam 4 --plot p.svg; head -c 5 p.svg");
    cr_expect(strstr(text, "S AH K Z\n") && strstr(text, "<?xml"), "%s", text);
    run(text, "printf 'sha\\tS AH\\nta\\tX Y Z\\nta\\tT AH AH AH\\n' > few; g2p evaluate --model a "
              "--test few --prefix 'T AH'");
    j = json_loads(text, 0, NULL);
    cr_assert(j, "%s", text);
    cr_expect(number(j, "wer") > 99 && number(j, "words") == 2, "%s", text);
    json_decref(j);
    json_decref(learn("g2p",
                      "--train w.tsv --valid w.tsv --judge exact --hidden 8 --epochs 1 --cell gru",
                      "--test w.tsv"));
    MESSAGES({"g2p train", "a file is needed: --train FILE"},
             {"g2p evaluate --model w.tsv --test w.tsv", "w.tsv: is"},
             {"g2p use --model a", "--word W"}, {"g2p train --train absent", "absent"});
}

Test(examples, transformer, .init = begin, .fini = end)
{
    static const char *const ways[] = {"--positions rotary --tied --joint", "--post-norm",
                                       "--positions none --schedule cosine --smoothing 0.1",
                                       "--positions learned"};
    char text[TEXT], options[512];
    FILE *f = create("p.tsv");
    for (int i = 0; i < 240; i++)
        fprintf(f, "%c%c%c\t%c%c%c\n", 'a' + i % 5, 'a' + i / 5 % 5, 'a' + i / 25 % 5,
                'a' + i / 25 % 5, 'a' + i / 5 % 5, 'a' + i % 5);
    cr_assert(fclose(f) == 0);
    json_t *j =
        learn("transformer",
              "--train p.tsv --size 32 --heads 4 --layers 1 --wide 32 --epochs 30 --batch 20 "
              "--lr 0.01 --warmup 60",
              "--test p.tsv --beam 2");
    cr_expect(number(j, "exact") > 95 && number(j, "sentences") == 240 &&
                  number(j, "perplexity") < 1.3,
              "%g", number(j, "exact"));
    json_decref(j);
    run(text, "cut -f1 p.tsv | gzip > s.gz; cut -f2 p.tsv | gzip > t.gz; transformer evaluate "
              "--model a --test-src s.gz --test-tgt t.gz");
    cr_expect(strstr(text, "\"sentences\": 240"), "%s", text);
    run(text, "printf 'abc\\n\\nede\\n' | transformer translate --model a");
    cr_expect_str_eq(text, "cba\n\nede\n");
    run(text, "printf 'abc\\n' | transformer translate --model a --attention-plot p.svg; "
              "grep -o '>a<' p.svg | sort -u; head -c 5 p.svg");
    cr_expect_str_eq(text, "cba\n>a<\n<?xml");
    for (int i = 0; i < 4; i++) {
        snprintf(options, sizeof options,
                 "--train p.tsv --valid p.tsv --size 16 --heads 2 --layers 2 --wide 16 --epochs 1 "
                 "--dropout 0.1 %s",
                 ways[i]);
        json_decref(learn("transformer", options, "--test p.tsv"));
    }
    f = create("t");
    for (int i = 0; i < 60; i++)
        fprintf(f, "床前明月光\n疑是地上霜\n");
    cr_assert(fclose(f) == 0);
    j = learn("transformer",
              "--task text --train t --valid t --size 32 --heads 2 --layers 1 --wide 64 --time 12 "
              "--batch 8 --epochs 30 --lr 0.01 --warmup 20",
              "--test t");
    cr_expect(number(j, "nats") < 0.35 && number(j, "tokens") == 120 * 6, "%g", number(j, "nats"));
    json_decref(j);
    run(text, "transformer write --model a --prefix 床前 --temperature 0.01 --most 11");
    cr_expect(strstr(text, "床前明月光"), "%s", text);
    MESSAGES({"transformer translate --model a < p.tsv", "does not translate"},
             {"transformer train", "no train data"},
             {"transformer train --task text", "a file is needed: --train FILE"},
             {"transformer train --train p.tsv --size 30 --heads 4", "heads"});
}

Test(examples, caption, .init = begin, .fini = end)
{
    static const char *const colours[] = {"red", "green", "blue"}, *const words[] = {"红", "绿",
                                                                                     "蓝"};
    char text[TEXT], options[256];
    FILE *f[2] = {create("e.tsv"), create("z.tsv")};
    for (int i = 0; i < 120; i++)
        for (int k = 0; k < 2; k++)
            fprintf(f[k], "%d 0.%d -%d %.2f\t%s%s%s\n", i % 3 == 0, i % 10, i % 3 == 1,
                    0.1 * (i % 7), k ? "" : "a ", (k ? words : colours)[i % 3], k ? "的" : " one");
    cr_assert(fclose(f[0]) == 0 && fclose(f[1]) == 0);
    run(text, "gzip < z.tsv > z.gz; head -3 e.tsv | cut -f1 > few; cut -d' ' -f2- few > short; "
              "sed '2s/ / x/' e.tsv > wrong.tsv");
    for (int first = 0; first < 2; first++) {
        snprintf(options, sizeof options,
                 "--train e.tsv --feed %s --embed 8 --hidden 16 --epochs 12 --lr 0.02 --cell %s",
                 first ? "first" : "every", first ? "lstm" : "gru");
        json_t *j = learn("caption", options, "--test e.tsv --beam 2");
        cr_expect(number(j, "exact") > 95 && number(j, "sentences") == 120, "%s", options);
        json_decref(j);
        run(text, "caption use --model a --test few");
        cr_expect_str_eq(text, "a red one\na green one\na blue one\n");
    }
    json_t *j = learn("caption",
                      "--train z.gz --valid z.tsv --units char --embed 8 --hidden 16 --epochs 12 "
                      "--lr 0.02 --dropout 0.1",
                      "--test z.gz");
    cr_expect(number(j, "exact") > 95 && number(j, "tokens") == 120 * 3);
    json_decref(j);
    static const char *const fusions[] = {"add --fuse-at hidden", "mlp --fuse-at hidden",
                                          "restored --fuse-at output --feed first",
                                          "concat --fuse-at output", "mean --wrap highway"};
    for (int i = 0; i < 5; i++) {
        snprintf(options, sizeof options,
                 "--train e.tsv --embed 16 --hidden 16 --epochs 15 --lr 0.02 --fuse %s",
                 fusions[i]);
        j = learn("caption", options, "--test e.tsv --beam 2");
        cr_expect(number(j, "exact") > (strstr(options, "first") ? 30 : 95), "%s: %g", options,
                  number(j, "exact"));
        json_decref(j);
    }
    MESSAGES({"caption train", "a file is needed: --train FILE"},
             {"caption train --train e.tsv --fuse mean --fuse-at output --embed 8",
              "h has 64 features, z 8"},
             {"caption train --train e.tsv --fuse-at hidden",
              "--fuse-at hidden: a state of 64 features with 64 of the picture has 128"},
             {"caption train --train e.tsv --fuse-at hidden --fuse mlp --feed first",
              "--fuse-at hidden joins them to the state of every step, not --feed first"},
             {"caption train --train wrong.tsv", "wrong.tsv:2: not 4 numbers between spaces"},
             {"caption train --train few", "no column 1"},
             {"caption use --model a --test short", "see.w"},
             {"caption evaluate --model few --test e.tsv", "few: is"});
}

Test(examples, char_rnn, .init = begin, .fini = end)
{
    char text[TEXT];
    FILE *f = create("poem");
    for (int i = 0; i < 60; i++)
        fprintf(f, "床前明月光\n疑是地上霜\n");
    cr_assert(fclose(f) == 0);
    json_t *j = learn("char_rnn",
                      "--train poem --hidden 32 --epochs 40 --batch 4 --time 12 --lr 0.02 "
                      "--prompt 床 --temperature 0.1 --length 16",
                      "--test poem --last 0.1");
    cr_expect(number(j, "nats") < 0.1 && number(j, "characters") == 72);
    cr_expect(fabs(number(j, "bits") * log(2) - number(j, "nats")) < 1e-5);
    json_decref(j);
    run(text, "char_rnn generate --model a --prompt 床前 --temperature 0.01 --lines 2");
    cr_expect_str_eq(text, "床前明月光\n疑是地上霜\n");
    run(text, "char_rnn generate --model a --prompt 疑 --top-k 1 --length 4; "
              "char_rnn generate --model a --prompt 床 --top-p 0.1 --length 5");
    cr_expect_str_eq(text, "疑是地上霜\n床前明月光\n", "of as many characters as there are to be");
    MESSAGES({"char_rnn train --train poem --batch 2000", "too few for 2000 rows"},
             {"char_rnn generate --model poem", "poem: is"},
             {"char_rnn evaluate --model a", "a file is needed: --test FILE"});
}

Test(examples, names, .init = begin, .fini = end)
{
    char text[TEXT];
    FILE *f = create("n.tsv");
    for (int i = 0; i < 300; i++)
        fprintf(f, "%s\t%c%c%s\n", i % 2 ? "Odd" : "Even", 'A' + i % 26, 'a' + i / 26,
                i % 2 ? "ovna" : "szky");
    cr_assert(fclose(f) == 0);
    json_t *j =
        learn("names", "--train n.tsv --hidden 8 --embed 8 --epochs 8 --lr 0.02", "--test n.tsv");
    cr_expect(number(j, "accuracy") > 95 && number(j, "names") == 300 && number(j, "nats") < 0.3);
    json_decref(j);
    run(text, "names use --model a --name Kaszky");
    cr_expect(strstr(text, "Even") && strstr(text, "Odd"), "%s", text);
    for (int first = 0; first < 2; first++) {
        char options[256];
        snprintf(options, sizeof options,
                 "--train n.tsv --valid n.tsv --task write --feed %s --hidden 24 --epochs 12 "
                 "--lr 0.02 --cell gru --dropout 0.1",
                 first ? "first" : "every");
        j = learn("names", options, "--test n.tsv");
        cr_expect(number(j, "perplexity") < 6 && number(j, "letters") == 300 * 7);
        json_decref(j);
        run(text, "names use --model a --class Odd --count 3 --temperature 0.1");
        cr_expect(strstr(text, "vna"), "%s", text);
    }
    run(text, "printf 'Klingon\\tWorf\\n' > w.tsv; names train --train n.tsv --epochs 1 --model b "
              "2>/dev/null; names evaluate --model b --test w.tsv");
    cr_expect(strstr(text, "1 names of classes that the model does not know"), "%s", text);
    char path[64];
    snprintf(path, sizeof path, "%s/b", folder);
    sg_context *g = sg_open(); /* a model's file sets what is a model's */
    sg_load(g, path);
    sg_set_meta(g, "options", "[\"--test=n.tsv\"]");
    cr_assert(sg_save(g, path) == SG_OK, "%s", sg_errmsg(g));
    sg_close(g);
    MESSAGES({"names evaluate --model b --test n.tsv", "b: unknown option --test"},
             {"printf 'x\\t\\n' > e.tsv; names evaluate --model a --test e.tsv",
              "e.tsv: no name behind the class \"x\""});
    MESSAGES({"names use --model a --class Strange", "no class \"Strange\""},
             {"names use --model a", "needs a --class"}, {"names train", "--train FILE"},
             {"names train --train n.tsv --task read", "read"});
}

Test(examples, sentiment, .init = begin, .fini = end)
{
    static const char *const poolings[] = {"last", "mean", "max", "attention"};
    char text[TEXT], options[256];
    FILE *f = create("s");
    for (int i = 0; i < 200; i++)
        fprintf(f, "%s the %s was %s%d %s\n", i % 3 ? "yes" : "no", i % 2 ? "play" : "film",
                i % 5 ? "long , " : "", i, i % 3 ? "fine" : "sad");
    cr_assert(fclose(f) == 0);
    run(text, "grep ^no s | cut -d' ' -f2- > no; grep ^yes s | cut -d' ' -f2- | gzip > yes.gz");
    for (int i = 0; i < 4; i++) {
        snprintf(options, sizeof options,
                 "--train s --pooling %s --hidden 8 --embed 8 --epochs 8 --lr 0.02 --layers %d "
                 "--word-dropout 0.1 --dropout 0.1 --subwords %d",
                 poolings[i], 1 + i % 2, 50 * i);
        json_t *j = learn("sentiment", options, "--test no,yes.gz");
        cr_expect(number(j, "sentences") == 200, "the classes are called otherwise there");
        json_decref(j);
        run(text, "sentiment evaluate --model a --test s");
        const char *accuracy = strstr(text, ": ");
        cr_expect(accuracy && atof(accuracy + 2) > 90, "%s: %s", poolings[i], text);
    }
    run(text, "sentiment use --model a --text 'it was sad'");
    cr_expect(strstr(text, "yes") && strstr(text, "no"), "%s", text);
    json_decref(learn("sentiment", "--train no,yes.gz --valid no,yes.gz --hidden 8 --epochs 1",
                      "--test no,yes.gz"));
    MESSAGES({"sentiment train", "--train FILE"}, {"sentiment train --train s,absent", "absent"},
             {"sentiment use --model a", "a sentence of 0 words"},
             {"sentiment train --train s --pooling sum", "sum"},
             {"sentiment train --train 0,1,2,3,4,5,6,7,8,9,10", "more than 10 files"},
             {"printf '1 so it is\\n\\n2 \\n' > e; sentiment train --train e",
              "e:3: no sentence behind the class"});
}

Test(examples, series, .init = begin, .fini = end)
{
    char text[TEXT];
    FILE *f = create("s.csv");
    fprintf(f, "Date,\"Close\",x\n");
    for (int i = 0; i < 150; i++)
        fprintf(f, "2026-%d,%g,1\n", i, 50 + 10 * sin(i * 0.7) + 0.1 * i);
    cr_assert(fclose(f) == 0);
    json_t *j =
        learn("series", "--train s.csv --relative --time 10 --hidden 8 --epochs 15 --season 9",
              "--test s.csv --season 9");
    cr_expect(number(j, "rmse") < number(j, "rmse_of_last") / 2 && number(j, "values") == 139);
    number(j, "rmse_of_season");
    json_decref(j);
    f = create("s.ts");
    fprintf(f, "# series of two features\n@classLabel true up down\n@data\n");
    for (int i = 0; i < 60; i++) {
        int length = 3 + i % 4;
        for (int t = 0; t < length; t++)
            fprintf(f, "%d%s", i % 2 ? t + i % 5 : -t - i % 3, t < length - 1 ? "," : ":");
        for (int t = 0; t < length; t++)
            fprintf(f, "%s%s", t ? "0.5" : "?", t < length - 1 ? "," : ":");
        fprintf(f, "%s\n", i % 2 ? "up" : "down");
    }
    cr_assert(fclose(f) == 0);
    run(text, "gzip < s.ts > s.ts.gz; sed 's/0.5,/0.5,1,/' s.ts > uneven.ts; "
              "sed 's/up down/down up/' s.ts > other.ts; sed 's/:up/:left/' s.ts > left.ts; "
              "printf '0 who 0 1\\n' > cut");
    j = learn("series", "--train s.ts.gz --hidden 8 --epochs 15 --cell gru --dropout 0.1",
              "--test s.ts");
    cr_expect(number(j, "accuracy") > 95 && number(j, "series") == 60);
    json_decref(j);
    f = create("said");
    for (int i = 0; i < 60; i++) {
        fprintf(f, "%d who %d %d\n", i % 2 * 7, i, 3 + i % 4);
        for (int t = 0; t < 3 + i % 4; t++)
            fprintf(f, "%d 0 0 0 0 0 0 0 0 0 0 0 %d\n", (i % 2 ? 100 : -100) + i, 10 * t);
    }
    cr_assert(fclose(f) == 0);
    j = learn("series", "--train said --hidden 8 --epochs 15", "--test said");
    cr_expect(number(j, "accuracy") > 95 && number(j, "series") == 60);
    json_decref(j);
    MESSAGES({"series train --train s.csv --column Open", "no column \"Open\""},
             {"series train --train s.csv --column Date", "no number in column \"Date\""},
             {"series train --train s.csv --time 500", "150 values are too few"},
             {"series train --train uneven.ts", "uneven.ts:4: no series"},
             {"series train --train left.ts", "left.ts:5: no class"},
             {"series evaluate --model a --test other.ts", "other classes"},
             {"series evaluate --model a --test s.csv", "other classes"},
             {"series train --train cut", "cut:1: not a recording"},
             {"series train", "--train FILE"});
}

Test(examples, tagger, .init = begin, .fini = end)
{
    char text[TEXT];
    sg_context *g = sg_open();
    sg_corpus *c = grammar_corpus(g, 7, 200, NULL);
    FILE *f = create("t.conllu"), *bmes = create("bmes");
    for (int i = 0; i < c->size; i++) {
        char words[GRAMMAR_ROOM], tags[GRAMMAR_ROOM], *w, *t, *next = words, *next_tag = tags;
        strcpy(words, c->source[i]);
        strcpy(tags, c->target[i]);
        for (int n = 1; (w = strtok_r(next, " ", &next)); n++) {
            t = strtok_r(next_tag, " ", &next_tag);
            fprintf(f, "%d\t%s\t_\t%s\t_\t_\t_\t_\t_\t_\n", n, w, t);
        }
        fputs("\n", f);
        fprintf(bmes, "%d O\n张 B-NAME\n%c M-NAME\n三 E-NAME\n在 O\n%c S-LOC\n\n", i, 'a' + i % 4,
                'a' + i % 3);
    }
    cr_assert(fclose(f) == 0 && fclose(bmes) == 0);
    sg_corpus_free(c);
    sg_close(g);
    run(text, "gzip < t.conllu > t.gz; gzip < bmes > bmes.gz");
    json_t *j =
        learn("tagger",
              "--train t.gz --valid t.conllu --hidden 12 --embed 12 --letters 6 "
              "--letter-embed 6 --batch 8 --epochs 6 --lr 0.02 --word-dropout 0.1 --dropout 0.1",
              "--test t.gz");
    cr_expect(number(j, "accuracy") > 97 && number(j, "sentences") == 200 &&
                  !json_object_get(j, "f1"),
              "%s", json_dumps(j, 0));
    json_decref(j);
    run(text, "tagger use --model a --text 'the dog sleeps .' --picture p.svg; head -c 5 p.svg");
    cr_expect(strstr(text, "the/DET dog/NOUN sleeps/VERB ./PUNCT") && strstr(text, "after") &&
                  strstr(text, "<?xml"),
              "%s", text);
    j = learn("tagger",
              "--train bmes.gz --output crf --letters 0 --pairs 4 --layers 2 --hidden 8 --embed 8 "
              "--epochs 5 --lr 0.02 --lower",
              "--test bmes");
    cr_expect(number(j, "f1") > 97 && number(j, "entities") == 400 && number(j, "words") == 1200);
    json_decref(j);
    run(text, "tagger use --model a --text '7 张 b 三' --transitions p.svg; head -c 5 p.svg");
    cr_expect(strstr(text, "7/O 张/B-NAME b/M-NAME 三/E-NAME") && strstr(text, "<?xml"), "%s",
              text);
    run(text, "printf 'the 1 0 0 1\\ndog 0 1 0 .5\\nzebra 0 0 1 0\\n' > v.txt");
    json_decref(learn("tagger",
                      "--train t.gz --valid t.conllu --hidden 4 --letters 0 --layers 2 --cell mgu "
                      "--merge mean --vectors v.txt --freeze --lazy --epochs 2 --profile p.json",
                      "--test t.gz"));
    run(text, "tagger train --train t.gz --hidden 4 --vectors v.txt --epochs 1 --model c; "
              "grep -c '\"dur\"' p.json; tagger use --model a --text 'the dog'");
    cr_expect(strstr(text, "2 of ") && strstr(text, "words have a vector in v.txt") &&
                  strstr(text, "the/") && !strstr(text, "\n0\n"),
              "%s", text);
    MESSAGES({"tagger train", "--train FILE"}, {"tagger train --train absent", "absent"},
             {"tagger train --train t.gz --vectors t.conllu", "t.conllu"},
             {"tagger train --train bmes --column 3", "bmes:1: no word with a tag"},
             {"tagger train --train /dev/null", "no sentence to learn from"},
             {"tagger use --model a", "a sentence without a word"},
             {"tagger evaluate --model bmes --test bmes", "bmes: is"});
}

/* Which columns were learned from is kept with a model, and whatever is given goes before it. */
Test(examples, columns, .init = begin, .fini = end)
{
    char text[TEXT], other[TEXT];
    FILE *pairs = create("p.tsv"), *csv = create("s.csv"), *tags = create("tags");
    fprintf(csv, "Close,x\n");
    for (int i = 0; i < 120; i++) {
        fprintf(pairs, "-\t%c%c\t%c%c\n", 'A' + i % 3, 'A' + i / 3 % 3, 'a' + i % 3,
                'a' + i / 3 % 3);
        fprintf(csv, "%d,%g\n", i * i, sin(i * 0.7));
        fprintf(tags, "%c%s T%d B\n", 'a' + i % 3, i % 4 ? "" : "x", i % 3);
        fprintf(tags, "%s", i % 3 == 2 ? "\n" : "");
    }
    cr_assert(fclose(pairs) == 0 && fclose(csv) == 0 && fclose(tags) == 0);
    run(text, "cut -f2,3 p.tsv > two.tsv; sed 's/x/y/' s.csv > y.csv; cut -d' ' -f1,2 tags > two");
    static const struct {
        const char *train, *given, *test, *otherwise; /* the same in a file of other columns */
    } kept[] = {{"seq2seq train --train p.tsv --epochs 2 --embed 8 --hidden 8",
                 "--source-column 2 --target-column 1", "seq2seq evaluate --test p.tsv",
                 "seq2seq evaluate --test two.tsv --source-column 1 --target-column 0"},
                {"transformer train --train p.tsv --epochs 2 --size 8 --heads 2 --layers 1",
                 "--source-column 2 --target-column 1", "transformer evaluate --test p.tsv",
                 "transformer evaluate --test two.tsv --source-column 1 --target-column 0"},
                {"tagger train --train tags --epochs 3 --embed 4 --letters 2 --hidden 4",
                 "--column 2", "tagger evaluate --test tags",
                 "tagger evaluate --test two --column 0"},
                {"series train --train s.csv --epochs 1 --hidden 4 --time 5", "--column x",
                 "series evaluate --test s.csv", "series evaluate --test y.csv --column y"}};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        int status = run(text, "%s %s --model a --threads 1", kept[i].train, kept[i].given);
        cr_assert(status == 0, "%s", text);
        status = run(text, "%s %s --model a", kept[i].test, kept[i].given);
        cr_assert(status == 0 && *text == '{', "%s", text);
        run(other, "%s --model a", kept[i].test);
        cr_expect_str_eq(other, text, "%s", kept[i].test);
        run(other, "%s --model a", kept[i].otherwise);
        cr_expect_str_eq(other, text, "%s", kept[i].otherwise);
    }
    char path[64];
    snprintf(path, sizeof path, "%s/b", folder);
    run(text, "tagger train --train tags --epochs 1 --column 2 --model b");
    sg_context *g = sg_open();
    sg_load(g, path);
    sg_set_meta(g, "column", "-8");
    cr_assert(sg_save(g, path) == SG_OK, "%s", sg_errmsg(g));
    sg_close(g);
    MESSAGES({"tagger evaluate --model b --test tags", "b: its column is -8"});
}

Test(examples, tree_sentiment, .init = begin, .fini = end)
{
    char text[TEXT], line[TREES_ROOM];
    uint64_t state = 7;
    FILE *f = create("t");
    for (int i = 0; i < 300; i++) {
        trees_generate(&state, 3, line);
        fprintf(f, "%s\n", line);
    }
    cr_assert(fclose(f) == 0);
    run(text, "gzip < t > t.gz; grep -c '^(2' t");
    int neutral = atoi(text);
    json_t *j =
        learn("tree_sentiment",
              "--train t.gz --valid t --hidden 16 --embed 16 --batch 8 --epochs 6 --lr 0.02 "
              "--dropout 0.1 --word-dropout 0.01 --lower",
              "--test t.gz");
    cr_expect(number(j, "accuracy") > 90 && number(j, "node_accuracy") > 95 &&
                  number(j, "trees") == 300,
              "%s", json_dumps(j, 0));
    json_decref(j);
    run(text, "tree_sentiment use --model a --text '(not (very Good))'");
    cr_expect(strstr(text, "o not\n") && strstr(text, "++ ┬ o very\n"), "%s", text);
    j = learn("tree_sentiment",
              "--train t --valid t.gz --classes binary --cell child-sum --hidden 16 --embed 16 "
              "--batch 8 --epochs 4 --lr 0.02",
              "--test t");
    cr_expect(number(j, "accuracy") > 90 && number(j, "trees") == 300 - neutral);
    json_decref(j);
    run(text, "head -c 4096 a | grep -ao 'tree.uf' | head -1");
    cr_expect_str_eq(text, "tree.uf\n", "a child-sum has a matrix of its own for F");
    MESSAGES(
        {"tree_sentiment train --train t", "--valid FILE"},
        {"tree_sentiment train --train t --valid absent", "absent"},
        {"tree_sentiment train --train t.svg --valid t", "t.svg"},
        {"echo '(3 a b c)' > x; tree_sentiment evaluate --model a --test x", "x:1: not a tree"},
        {"echo a > x; tree_sentiment train --train x --valid t", "x:1: not a tree"},
        {"echo '(a b)' > x; tree_sentiment train --train x --valid t", "no tree with a label"},
        {"tree_sentiment use --model a", "not a tree"});
}

Test(examples, speech_digits, .init = begin, .fini = end)
{
    char text[TEXT];
    sg_context *g = sg_open();
    recordings d = recordings_generate(g, 7, 5);
    FILE *f = create("d");
    for (int i = 0; i < d.count; i++) {
        const recording *r = &d.item[i];
        fprintf(f, "%d %s %d %d\n", r->digit, r->speaker, r->index, r->frames);
        for (int t = 0; t < r->frames * RECORDINGS_FEATURES; t++)
            fprintf(f, "%d%c", (int)(100 * r->x[t]), (t + 1) % RECORDINGS_FEATURES ? ' ' : '\n');
    }
    cr_assert(fclose(f) == 0);
    recordings_free(&d);
    sg_close(g);
    run(text, "gzip < d > d.gz");
    json_t *j = learn(
        "speech_digits",
        "--train d.gz --hold-below 1 --hidden 24 --batch 8 --epochs 10 --lr 0.02 --dropout 0.1",
        "--test d --only-below 2");
    cr_expect(number(j, "accuracy") > 95 && number(j, "recordings") == 80);
    cr_expect(number(j, "beam") >= number(j, "greedy") && number(j, "nats") < 2, "%s",
              json_dumps(j, 0));
    json_decref(j);
    run(text, "speech_digits use --model a --test d.gz --recording 8 --picture p.svg && "
              "head -c 5 p.svg");
    cr_expect(strstr(text, "\"seven\" by voice0") && strstr(text, "greedy \"") &&
                  strstr(text, "beam \"") && strstr(text, "<?xml"),
              "%s", text);
    MESSAGES({"speech_digits train", "--train FILE"},
             {"speech_digits train --train d --hold-below 9", "no recording to learn from"},
             {"speech_digits use --model a --test d --recording 900", "only 200 recordings"},
             {"echo 1 2 3 > x; speech_digits evaluate --model a --test x", "x:1: not a recording"},
             {"speech_digits evaluate --model a --test /dev/null", "no recording to evaluate"});
}

/* What is written outside of the library is worth what stands in it: as many steps of a plan, as
 * many row programs. */
Test(examples, own_cell, .init = begin, .fini = end)
{
    static const char *const counts[] = {"steps", "programs", "products"};
    char text[TEXT], line[TEXT];
    FILE *f = create("w");
    for (int i = 0; i < 300; i++)
        fprintf(f, "%c%c%c%s\n", 'a' + i % 3, 'a' + i / 3 % 3, 'a' + i / 9 % 3, i % 2 ? "x" : "");
    cr_assert(fclose(f) == 0);
    run(text, "gzip < w > w.gz");
    for (int lstm = 0; lstm < 2; lstm++) {
        char options[256];
        snprintf(options, sizeof options,
                 "--train w.gz --valid w --hidden 32 --epochs 20 --batch 10 --lr 0.02 --dropout 0 "
                 "--cell %s",
                 lstm ? "lstm" : "mgu");
        json_t *j = learn("own_cell", options, "--test w.gz");
        cr_expect(number(j, "words_right") > 90 && number(j, "words") == 300, "%g",
                  number(j, "words_right"));
        json_decref(j);
    }
    run(text, "own_cell train --train w --epochs 1 --hidden 4; "
              "own_cell write --cell lstm --threads 1; own_cell race --threads 1 > l");
    const char *drawn = strstr(text, "采样: ");
    cr_expect(strstr(text, "gradients agree") && drawn && atof(drawn + strlen("采样: ")) > 90 &&
                  strstr(text, ": aaaaaaabbbbbbb\n"),
              "%s", text);
    for (int lstm = 0; lstm < 2; lstm++) {
        json_t *j[2];
        for (int built_in = 0; built_in < 2; built_in++) {
            run(line, "grep '\"%s\".*\"%s\"' l", lstm ? "lstm" : "mgu",
                built_in ? "built_in" : "own");
            j[built_in] = json_loads(line, 0, NULL);
            cr_assert(j[built_in], "%s", line);
        }
        for (int i = 0; i < 3; i++)
            cr_expect(number(j[0], counts[i]) == number(j[1], counts[i]) &&
                          number(j[0], counts[i]) > 0,
                      "%s: %s", line, counts[i]);
        json_decref(j[0]);
        json_decref(j[1]);
    }
    MESSAGES({"own_cell train", "--train FILE"}, {"own_cell 3", "no command \"3\""},
             {"own_cell evaluate --model w --test w", "w: is"});
}

/* A tenth of a few lines is too little to stop by. */
Test(examples, char_rnn_of_a_short_text, .init = begin, .fini = end)
{
    char text[TEXT];
    int status =
        run(text, "printf 'abc\\nabd\\nabcabc\\n' > s && char_rnn train --train s --model a "
                  "--epochs 1 --batch 2 --time 4 --hidden 8 --threads 1 --length 5");
    cr_expect(status == 0 && strstr(text, "saved") && !strstr(text, "nan"), "%s", text);
}

/* Whatever its length, it goes on from the end of the prompt. */
Test(examples, char_rnn_goes_on_from_a_long_prompt, .init = begin, .fini = end)
{
    char text[TEXT];
    int status =
        run(text, "long() { printf 'ab%%.0s' $(seq $1); }; long 2000 > s && char_rnn train "
                  "--train s --model a --epochs 4 --batch 4 --time 20 --hidden 16 --lr 0.02 "
                  "--threads 1 --length 1 >/dev/null 2>&1 && "
                  "char_rnn generate --model a --prompt $(long 700)a --length 9 --top-k 1 | "
                  "tail -c 10");
    cr_expect(status == 0 && strstr(text, "babababab"), "%s", text);
}

Test(examples, what_cannot_be_written_is_told_before_training, .init = begin, .fini = end)
{
    static const char *const options[] = {"model", "log", "plot", "profile"};
    char text[TEXT];
    run(text, "printf 'Bo\\tx\\nAnn\\ty\\n' > n.tsv");
    for (int i = 0; i < 8; i++) {
        const char *path = i < 4 ? "absent/f" : ".";
        int status =
            run(text, "names train --train n.tsv --epochs 1 --%s %s", options[i % 4], path);
        cr_expect(status != 0 && strstr(text, "cannot be written") && strstr(text, path) &&
                      !strstr(text, "epoch"),
                  "--%s %s: %s", options[i % 4], path, text);
    }
    run(text, "ls");
    cr_expect_str_eq(text, "n.tsv\n", "%s", text);
}

/* What fails beside the model does not keep it from being saved, and is told all the same. */
Test(examples, what_cannot_be_written_in_the_end_costs_no_model, .init = begin, .fini = end)
{
    static const char *const options[] = {"log", "plot", "profile"};
    char text[TEXT];
    if (access("/dev/full", W_OK) != 0)
        return; /* nothing that is always full */
    run(text, "printf 'Bo\\tx\\nAnn\\ty\\n' > n.tsv");
    for (int i = 0; i < 3; i++) {
        int status = run(text, "rm -f m; names train --train n.tsv --epochs 1 --model m --%s %s",
                         options[i], "/dev/full");
        cr_expect(status == 1 && strstr(text, "saved") && strstr(text, "/dev/full"), "--%s: %s",
                  options[i], text);
        status = run(text, "names evaluate --model m --test n.tsv");
        cr_expect(status == 0 && *text == '{', "--%s: %s", options[i], text);
        status = run(text, "names evaluate --model m --test n.tsv > /dev/full");
        cr_expect(status == 1 && strstr(text, "what is printed could not be written"), "%s", text);
    }
}

/* Of a file without examples there is nothing to be learnt, nor to be told. */
Test(examples, empty_files, .init = begin, .fini = end)
{
    static const struct {
        const char *train, *evaluate, *line;
    } rows[] = {{"sentiment train --hidden 4 --embed 4", "sentiment evaluate", "x how are you"},
                {"names train --hidden 4", "names evaluate", "x\\tyou"},
                {"names train --hidden 4 --task write", "names evaluate", "x\\tyou"},
                {"g2p train --hidden 4 --embed 4", "g2p evaluate", "you\\tj u"},
                {"own_cell train --hidden 4", "own_cell evaluate", "you"},
                {"tagger train --hidden 4 --letters 0", "tagger evaluate", "you X"},
                {"tree_sentiment train --hidden 4 --embed 4 --valid f", "tree_sentiment evaluate",
                 "(1 you)"}};
    char text[TEXT];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        run(text, "rm -f m; : > e; printf '\\n\\n' > n; printf '%s\\n' > f", rows[i].line);
        for (int blank = 0; blank < 2; blank++) {
            int status = run(text, "%s --train %c --epochs 1 --model m; ls", rows[i].train,
                             blank ? 'n' : 'e');
            cr_expect(status == 0 && strstr(text, "to learn from") && !strstr(text, "\nm\n"),
                      "%s: %s", rows[i].train, text);
        }
        int status = run(text, "%s --train f --epochs 1 --model m", rows[i].train);
        cr_expect(status == 0, "%s: %s", rows[i].train, text);
        for (int blank = 0; blank < 2; blank++) {
            status = run(text, "%s --test %c --model m", rows[i].evaluate, blank ? 'n' : 'e');
            cr_expect(status == 1 && strstr(text, "there is nothing to evaluate in it"), "%s: %s",
                      rows[i].evaluate, text);
        }
    }
}

/* Who waits for input, or computes something else than a training, ends at once. */
Test(examples, an_interrupt_ends, .init = begin, .fini = end)
{
    char text[TEXT];
    run(text, "printf 'Bo\\tx\\nAnn\\ty\\n' > n.tsv; mkfifo q; "
              "seq2seq train --train n.tsv --epochs 1 --hidden 4 --embed 4 --model m");
    int status = run(text, "sleep 6 > q 2>&1 & "
                           "timeout -s INT -k 3 1 seq2seq translate --model m < q");
    cr_expect_eq(status, 124, "%d: %s", status, text);
}

/* The line of a log that has a text in it, as JSON. */
static json_t *line_of(const char *text)
{
    char line[TEXT];
    run(line, "grep '%s' l", text);
    json_t *j = json_loads(line, 0, NULL);
    cr_assert(j, "%s: %s", text, line);
    return j;
}

Test(examples, why_tanh, .init = begin, .fini = end)
{
    char text[TEXT];
    int status =
        run(text, "why_tanh --time 20 --steps 3 --recall 5 --threads 1 --log l && ls *.svg "
                  "| wc -l && why_tanh --help");
    cr_assert(status == 0 && strstr(text, "\n6\nusage: why_tanh [options]"), "%s", text);
    json_t *j = line_of("\"identity\", \"gain\": 1, \"t\": 1,");
    cr_expect(fabs(number(j, "gradient") - 1) < 1e-6, "an orthogonal matrix keeps lengths");
    json_decref(j);
    j = line_of("\"sigmoid\", \"gain\": 1, \"t\": 1,");
    cr_expect(number(j, "gradient") < pow(0.25, 19), "a slope of 1/4 at most, at 19 steps");
    json_decref(j);
    MESSAGES({"why_tanh --time 3", "--time: 3 is not in"}, {"why_tanh train", "no command"},
             {"why_tanh --log absent/l", "absent/l: could not be opened"});
}

Test(examples, exposure_bias, .init = begin, .fini = end)
{
    char text[TEXT];
    int status = run(text, "exposure_bias --time 12 --steps 5 --seeds 1 --units 8 --threads 1 "
                           "--landmarks 1 --log l --plot p && ls p.forced.svg p.free.svg");
    cr_assert(status == 0 && strstr(text, "p.forced.svg\np.free.svg"), "%s", text);
    /* With landmarks everywhere nothing is unknown; with all moves hidden and no landmark but the
     * first, each of the other 11 moves is a coin. */
    const char *seen = strstr(text, "best possible");
    cr_assert(seen, "%s", text);
    cr_expect(strstr(seen, "100.0  0.0000    100.0  100.0  100.0"), "%s", text);
    cr_expect(strstr(seen, "0.6354"), "11/12 log 2 in %s", text);
    json_t *j = line_of("\"hidden_moves\": 1, \"way\": \"linear.*\"t\": 1,");
    cr_expect(number(j, "teacher_forcing") == number(j, "free_running"),
              "there is no label before the first");
    json_decref(j);
    MESSAGES({"exposure_bias --landmarks 2", "--landmarks: 2 is not in"},
             {"exposure_bias --log absent/l", "absent/l: could not be opened"});
}

Test(examples, attend_when, .init = begin, .fini = end)
{
    char text[TEXT];
    int status = run(text, "attend_when --steps 120 --lr 0.01 --seeds 1 --hidden 32 --threads 1 "
                           "--log l --plot p && ls p.order.svg p.chain.svg p.choice.svg | wc -l");
    cr_assert(status == 0 && strstr(text, "\n3\n"), "%s", text);
    static const char *const choice[] = {"choice\", \"pre\": true, \"feed\": false",
                                         "choice\", \"pre\": false, \"feed\": false"};
    for (int post = 0; post < 2; post++) {
        json_t *j = line_of(choice[post]);
        cr_expect(number(j, "spread") >= 1 && number(j, "spread") <= 6, "of 6 elements");
        cr_expect(post ? number(j, "accuracy") > 90 && number(j, "needed") > 0.8
                       : number(j, "accuracy") < 60,
                  "h_{t-1} has not read the key: %g", number(j, "accuracy"));
        json_decref(j);
    }
    MESSAGES({"attend_when --steps 0", "--steps: 0 is not in"},
             {"attend_when --log absent/l", "absent/l: could not be opened"});
}
