/*
 * Text under bad conditions: allocations and reads fail, and readers are fed random bytes.
 */
#define _GNU_SOURCE
#pragma GCC visibility push(default) /* zlib, jansson and utf8proc are to call these too */
#include "tests/fault.h"
#pragma GCC visibility pop
#include "tests/text_test.h"

/* ---- failures ----------------------------------------------------------------------------- */

#ifndef FAULT_NO_MALLOC
/* Everything once; whether all of it came out right. */
static bool whole_run(sg_context *g)
{
    sg_corpus *c = sg_corpus_read(g, "a", .replace_invalid = true);
    sg_vocabulary *v = sg_vocabulary_build(g, 2 * c->size, c->source, .min_count = 1,
                                           .tokenizer = {.form = SG_FORM_NFC});
    sg_vocabulary *w = sg_vocabulary_parse(g, sg_ok(g) ? sg_vocabulary_json(v) : "{}");
    sg_corpus *part = sg_corpus_of(g, c->size, c->target, c->source);
    sg_batches *d = sg_batches_make(g, part, v, w, .size = 2);
    sg_sequence *sequence = sg_sequence_of(g, c, v);
    sg_subsequences *p = sg_subsequences_make(g, sequence, 2, 1, .random = true);
    sg_tokens *t = sg_tokenize(g, &(sg_tokenizer){.casing = SG_CASE_FOLD}, "A B c");
    sg_bleu bleu = {0};
    sg_batch b = {.seed = 1};
    int rows = 0;
    char text[32];
    int32_t ids[4];
    while (sg_batch_next(d, &b))
        rows += b.size;
    for (sg_subsequence s = {.seed = 1}; sg_subsequence_next(p, &s);)
        rows += s.rows;
    bool right = sg_bleu_add(g, &bleu, "a b c", "a b") && t->count == 3 && rows == 6 &&
                 sg_encode(v, "b x", 4, ids) == 2 &&
                 sg_text_map(g, "A", SG_FORM_NFC, SG_CASE_FOLD, sizeof text, text) == 1 &&
                 sg_vocabulary_check(g, v, w);
    sg_tokens_free(t);
    sg_subsequences_free(p);
    sg_sequence_free(sequence);
    sg_batches_free(d);
    sg_corpus_free(part);
    sg_corpus_free(c);
    sg_vocabulary_free(v);
    sg_vocabulary_free(w);
    return right;
}

Test(text, every_allocation_may_fail)
{
    folder f = enter();
    sg_context *g = sg_open();
    int failed = 0;
    for (int zipped = 0; zipped < 2; zipped++) {
        if (zipped)
            write_file("a", compressed, sizeof compressed);
        else
            write_text("a", "a b\t1 \xFF\nb\tc d e f g h i j k l m n o p");
        whole_run(g); /* what libraries keep for good is there after that */
        bool all = false;
        for (long n = 1; !all && n < 2000; n++) {
            fault_malloc.calls = fault_malloc.live = 0;
            fault_malloc.fail = n;
            fault_malloc.on = true;
            bool right = whole_run(g);
            fault_malloc.on = false;
            if (fault_malloc.calls == 0) {
                leave(&f);
                sg_close(g);
                cr_skip_test("allocations cannot be made to fail here");
            }
            cr_expect_eq(fault_malloc.live, 0, "allocation %ld: %ld blocks leak", n,
                         fault_malloc.live);
            all = fault_malloc.calls < n;
            failed += !right;
            cr_expect_eq(right, sg_ok(g), "allocation %ld: no error", n);
            /* jansson takes some failures for errors of the text, which the hash finds too */
            cr_expect(right || sg_error(g) == SG_NO_MEMORY ||
                          (sg_error(g) == SG_BAD_FILE && !strncmp(sg_errmsg(g), "vocab", 5)),
                      "allocation %ld: %s, \"%s\"", n, sg_status_name(sg_error(g)), sg_errmsg(g));
            sg_clear(g);
        }
        cr_expect(all, "it never came to its end");
    }
    cr_expect_gt(failed, 100, "only %d allocations failed", failed);
    sg_close(g);
    leave(&f);
}
#endif

Test(text, reads_may_fail_or_come_in_pieces)
{
    folder f = enter();
    sg_context *g = sg_open();
    int failed = 0;
    for (int zipped = 0; zipped < 2; zipped++) {
        if (zipped)
            write_file("a", compressed, sizeof compressed);
        else
            write_text("a", "a\t1\nb\t2");
        for (long n = 0; n < 8; n++) { /* 0: none fails */
            fault_io.calls = 0;
            fault_io.piece = 3;
            fault_io.error = EIO;
            fault_io.fail = n;
            fault_io.on = true;
            sg_corpus *c = sg_corpus_read(g, "a");
            fault_io.on = false;
            cr_expect(sg_ok(g) ? c->size == 2 && strcmp(c->target[1], "2") == 0 : c->size == 0);
            if (!sg_ok(g)) {
                failed++;
                expect_error(g, SG_IO, "a: Input/output error");
            }
            sg_corpus_free(c);
        }
    }
    cr_expect_gt(failed, 8, "only %d reads failed", failed);
    sg_close(g);
    leave(&f);
}

/* ---- random bytes ------------------------------------------------------------------------- */

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Bytes that are likely to mean something, with some that mean nothing. */
static size_t garbage(uint64_t *state, size_t most, char *out)
{
    static const char *const parts[] = {
        "\n",           "\r\n",     "\t",   " ",       "a",          "b", "é",    "你",
        "\xEF\xBB\xBF", "\xE4\xBD", "\xFF", "\x80",    "{",          "}", "[",    "]",
        "\"",           ":",        ",",    "\\u0000", "\"tokens\"", "1", "null", "👩‍",
        "\xCC\x81",
    };
    size_t n = 0, wanted = next_random(state) % most;
    while (n < wanted) {
        const char *p = parts[next_random(state) % (sizeof parts / sizeof *parts)];
        if (next_random(state) % 16 == 0)
            out[n++] = (char)(next_random(state) & 0xFF);
        else
            for (; *p && n < wanted; p++)
                out[n++] = *p;
    }
    return n;
}

Test(text, random_bytes_do_no_harm)
{
    folder f = enter();
    sg_context *g = sg_open();
    uint64_t state = 1;
    int read = 0, refused = 0;
    for (int i = 0; i < 2000; i++) {
        char bytes[300];
        size_t n = garbage(&state, sizeof bytes - 1, bytes);
        if (i % 4 == 0) { /* damaged gzip */
            memcpy(bytes, compressed, sizeof compressed);
            n = sizeof compressed - next_random(&state) % 4;
            bytes[10 + next_random(&state) % 18] = (char)(next_random(&state) & 0xFF);
        }
        write_file("a", bytes, n);
        sg_corpus *c = sg_corpus_read(g, "a", i % 3 ? NULL : "a", .replace_invalid = i % 2 == 0,
                                      .target_column = i % 3 && i % 5 ? SG_NO_COLUMN : 0);
        sg_tokenizer k = {.units = (sg_units)(i % 2),
                          .form = (sg_form)(i % 3),
                          .casing = (sg_case)(i / 3 % 3),
                          .punctuation = i % 5 > 2,
                          .graphemes = i % 7 > 3};
        sg_vocabulary *v = sg_vocabulary_build(g, 2 * c->size, c->source, .tokenizer = k);
        sg_batches *d = sg_batches_make(g, c, v, v, .size = 3);
        sg_batch b = {.seed = state};
        char text[100];
        while (sg_batch_next(d, &b))
            for (int r = 0; r < b.size; r++)
                sg_decode(v, b.target_time, b.target_out + r * b.target_time, sizeof text, text);
        for (int r = 0; r < c->size; r++) {
            sg_bleu bleu = {.tokens = (sg_bleu_tokens)(i % 4)};
            cr_expect(sg_bleu_add(g, &bleu, c->source[r], c->target[r]), "%s", sg_errmsg(g));
            cr_expect_geq(sg_text_width(c->source[r]), 0);
        }
        read += sg_ok(g);
        refused += !sg_ok(g);
        cr_expect(sg_ok(g) || c->size == 0, "half a corpus");
        sg_batches_free(d);
        sg_vocabulary_free(v);
        sg_corpus_free(c);
        sg_clear(g);
        bytes[n] = '\0';
        sg_vocabulary_free(sg_vocabulary_parse(g, bytes));
        cr_expect_not(sg_ok(g), "a vocabulary from \"%s\"", bytes);
        sg_clear(g);
        sg_text_width(bytes);
    }
    cr_expect(read > 300 && refused > 300, "%d read, %d refused", read, refused);
    sg_close(g);
    leave(&f);
}

/* A vocabulary's own JSON with bytes changed: refused, or still a vocabulary that works. */
Test(text, damaged_vocabularies_do_no_harm)
{
    sg_context *g = sg_open();
    static const char *const texts[] = {"b a b c", "a b é <stop> d", "c a zz <unk> c c"};
    sg_vocabulary *v = sg_vocabulary_build(g, 3, texts);
    char json[1024];
    snprintf(json, sizeof json, "%s", sg_vocabulary_json(v));
    size_t n = strlen(json);
    uint64_t state = 2;
    int refused = 0;
    for (int i = 0; i < 5000; i++) {
        char copy[1024];
        memcpy(copy, json, n + 1);
        for (uint32_t k = next_random(&state) % 3 + 1; k > 0; k--)
            copy[next_random(&state) % n] = (char)(next_random(&state) % 255 + 1);
        sg_vocabulary *w = sg_vocabulary_parse(g, copy);
        cr_expect(sg_ok(g) || sg_error(g) == SG_BAD_FILE, "%s", sg_errmsg(g));
        cr_expect(!sg_ok(g) || strcmp(copy, json) == 0 || sg_vocabulary_check(g, w, v),
                  "damage was not found: %s", copy);
        refused += !sg_ok(g);
        sg_clear(g);
        sg_vocabulary_free(w);
    }
    cr_expect_gt(refused, 4000);
    sg_vocabulary_free(v);
    sg_close(g);
}
