/*
 * The progress of a training, under a clock that the test moves.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream, mkstemp */
#include "examples/progress.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <criterion/criterion.h>

static double now, step_seconds = 0.5;
static char *buffer;
static size_t size;
static char log_path[] = "/tmp/test_progress_XXXXXX";

static double test_clock(void)
{
    return now;
}

/* Two epochs of four steps, with a sample in the middle of each. */
static bool run(progress_options o)
{
    static const double losses[] = {4, 3, 2.5, 2.5};
    progress p;
    free(buffer);
    buffer = NULL;
    o.clock = test_clock;
    o.epochs = 2;
    o.perplexity = true;
    o.out = open_memstream(&buffer, &size);
    progress_open(&p, o);
    for (int epoch = 1; epoch <= 2; epoch++) {
        progress_epoch(&p, epoch, 4);
        for (int step = 0; step < 4; step++) {
            now += step_seconds;
            progress_step(&p, losses[step] / epoch, step == 0 ? 300 : 100);
            if (step == 1)
                progress_say(&p, "sample %d", epoch);
        }
        now += 10; /* validation is not training: no tokens go by */
        progress_metric(&p, "valid_loss", 1.5);
        progress_end_epoch(&p);
    }
    bool sound = progress_close(&p);
    fclose(o.out);
    return sound;
}
#define RUN(...) run((progress_options){.out = NULL, __VA_ARGS__})

/* What a terminal shows in the end: '\r' goes back, and what is written covers what was there. */
static void show(char *screen, size_t width)
{
    size_t at = 0, end = 0;
    char *line = screen;
    for (const char *s = buffer; *s != '\0'; s++) {
        cr_assert(*s == '\r' || *s == '\n' || (*s >= ' ' && *s < 127), "character %d", *s);
        if (*s == '\r') {
            at = 0;
        } else if (*s == '\n') {
            line[end] = '\n';
            line += end + 1;
            at = end = 0;
        } else {
            line[at++] = *s;
            end = at > end ? at : end;
            cr_assert_lt(end, width, "the line would wrap");
        }
    }
    line[end] = '\0';
}

Test(progress, plain_lines)
{
    cr_assert(RUN(.live = -1));
    cr_assert_str_eq(buffer, "sample 1\n"
                             "epoch 1/2  loss 3.3333  ppl 28.03  valid_loss 1.5000 | 0:12  300 "
                             "tokens/s\n"
                             "sample 2\n"
                             "epoch 2/2  loss 1.6667  ppl 5.29  valid_loss 1.5000 | 0:12  300 "
                             "tokens/s\n");
    cr_assert(RUN(.live = -1, .every = 2));
    static const char start[] =
        "epoch 1/2  step 2/4  loss 3.7500  ppl 42.52 | 0:03 left  400 tokens/s\n"
        "sample 1\n"
        "epoch 1/2  step 4/4  loss 3.3333  ppl 28.03 | 0:02 left  300 tokens/s\n"
        "epoch 1/2  loss";
    cr_assert_eq(strncmp(buffer, start, strlen(start)), 0, "%s", buffer);
    cr_assert_null(strchr(buffer, '\r'));
    RUN(.every = 1); /* what is no terminal gets plain lines */
    cr_assert_null(strchr(buffer, '\r'));
}

Test(progress, a_line_is_redrawn)
{
    char screen[4096];
    cr_assert(RUN(.live = 1, .width = 100));
    cr_assert_not_null(strstr(buffer, "\repoch 1/2  step 3/4  loss 3.5000  ppl 33.12 | 0:03 left  "
                                      "333 tokens/s"));
    show(screen, 100);
    char *s = screen, *end;
    for (; (end = strchr(s, '\n')) != NULL; s = end + 1) { /* blanks may be left at the right */
        while (end > s && end[-1] == ' ') {
            memmove(end - 1, end, strlen(end) + 1);
            end--;
        }
    }
    cr_assert_str_eq(screen, "sample 1\n"
                             "epoch 1/2  loss 3.3333  ppl 28.03  valid_loss 1.5000 | 0:12  300 "
                             "tokens/s\n"
                             "sample 2\n"
                             "epoch 2/2  loss 1.6667  ppl 5.29  valid_loss 1.5000 | 0:12  300 "
                             "tokens/s\n");
}

Test(progress, a_redrawn_line_never_wraps)
{
    static const char *const cut[] = {
        "\repoch 1/2  step 3/4  loss 3.4000  ppl 29.96 | 0:03 left  333 tokens/s",
        "\repoch 1/2  step 3/4  loss 3.4000  ppl 29.96 | 0:03 left",
        "\repoch 1/2  step 3/4  loss 3.4000  ppl 29.96",
        "\repoch 1/2  step 3/4  loss 3.4000",
        "\repoch 1/2  step 3/4",
        "\repoch 1/2",
        "\r"};
    for (int width = 1; width < 90; width++) {
        progress p;
        free(buffer);
        buffer = NULL;
        now = 0;
        FILE *f = open_memstream(&buffer, &size);
        progress_open(&p, (progress_options){.out = f,
                                             .clock = test_clock,
                                             .epochs = 2,
                                             .live = 1,
                                             .perplexity = true,
                                             .width = width});
        progress_epoch(&p, 1, 4);
        p.step = 2; /* as if two steps had been done */
        p.all_steps = 2;
        p.loss = 1400, p.tokens = p.timed_tokens = 400;
        now = 1.5;
        progress_step(&p, 3, 100);
        progress_close(&p);
        fclose(f);
        int i = 0;
        while ((int)strlen(cut[i]) - 1 > width - 1 && cut[i][1] != '\0')
            i++;
        char expected[128];
        snprintf(expected, sizeof expected, "%s%s", cut[i], cut[i][1] == '\0' ? "" : "\n");
        cr_assert_str_eq(buffer, expected, "width %d: %s", width, buffer);
    }
}

Test(progress, a_shorter_line_covers_a_longer_one)
{
    progress p;
    char screen[256];
    FILE *f = open_memstream(&buffer, &size);
    progress_open(&p, (progress_options){.out = f, .clock = test_clock, .live = 1, .width = 80});
    progress_epoch(&p, 1, 100);
    for (int i = 0; i < 2; i++) {
        now += 1;
        progress_step(&p, 2, 10);
        p.o.width = 24; /* the window has become narrower */
    }
    progress_close(&p);
    fclose(f);
    show(screen, 80);
    cr_assert_eq(strncmp(screen, "epoch 1  step 2/100  ", 21), 0);
    cr_assert_eq(strspn(screen + 19, " "), strlen(screen + 19) - 1, "something is left: %s",
                 screen);
}

Test(progress, redrawing_is_rare)
{
    step_seconds = 0.001;
    progress p;
    FILE *f = open_memstream(&buffer, &size);
    progress_open(&p, (progress_options){.out = f, .clock = test_clock, .live = 1, .width = 80});
    progress_epoch(&p, 1, 1000);
    for (int i = 0; i < 1000; i++) {
        now += 0.001;
        progress_step(&p, 1, 10);
    }
    progress_end_epoch(&p);
    cr_assert(progress_close(&p));
    fclose(f);
    int drawn = 0;
    for (const char *s = buffer; (s = strstr(s, "\repoch")) != NULL; s++)
        drawn++;
    cr_assert(drawn >= 10 && drawn <= 13, "%d times in a second", drawn);
    cr_assert_not_null(strstr(buffer, "step 1000/1000"), "the last step is always shown");
}

/* ---- the log ------------------------------------------------------------------------------ */

static void make_log(void)
{
    int fd = mkstemp(log_path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void remove_log(void)
{
    unlink(log_path);
}

static void drop(json_t **lines, int n)
{
    for (int i = 0; i < n; i++)
        json_decref(lines[i]);
}

/* The lines of the log, without their times if `times` is false. */
static int read_log(json_t **lines, int most, bool times)
{
    char line[1024];
    int n = 0;
    FILE *f = fopen(log_path, "r");
    for (; n < most && fgets(line, sizeof line, f) != NULL; n++) {
        lines[n] = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(lines[n], "no JSON: %s", line);
        if (!times)
            cr_assert_eq(json_object_del(lines[n], "time"), 0);
    }
    fclose(f);
    return n;
}

Test(progress, log, .init = make_log, .fini = remove_log)
{
    static const char *const expected[] = {
        "{\"event\":\"step\",\"epoch\":1,\"step\":1,\"loss\":4.0,\"perplexity\":54.59815,"
        "\"tokens\":300}",
        "{\"event\":\"epoch\",\"epoch\":2,\"step\":4,\"loss\":1.66666667,\"perplexity\":"
        "5.29449005,\"tokens\":600,\"valid_loss\":1.5}"};
    json_t *lines[32];
    cr_assert(RUN(.live = -1, .log = log_path));
    cr_assert_eq(read_log(lines, 32, false), 10);
    for (int i = 0; i < 2; i++) {
        char *s = json_dumps(lines[i * 9], JSON_COMPACT | JSON_REAL_PRECISION(9));
        cr_assert_str_eq(s, expected[i], "%s", s);
        free(s);
    }
    json_t *again[32];
    step_seconds = 0.7; /* a slower machine */
    cr_assert(RUN(.live = 1, .width = 80, .log = log_path));
    cr_assert_eq(read_log(again, 32, false), 10);
    for (int i = 0; i < 10; i++)
        cr_assert(json_equal(lines[i], again[i]), "line %d depends on time", i);
    drop(lines, 10);
    drop(again, 10);
    cr_assert(RUN(.live = -1, .log = log_path, .append = true));
    cr_assert_eq(read_log(again, 32, true), 20);
    json_t *time = json_object_get(again[10], "time");
    cr_assert_float_eq(json_real_value(json_object_get(time, "seconds")), 0.7, 1e-6);
    cr_assert_float_eq(json_real_value(json_object_get(time, "tokens_per_second")), 300 / 0.7,
                       1e-3);
    drop(again, 20);
}

Test(progress, what_is_not_finite_is_null, .init = make_log, .fini = remove_log)
{
    progress p;
    json_t *lines[4];
    FILE *f = open_memstream(&buffer, &size);
    progress_open(
        &p, (progress_options){
                .out = f, .clock = test_clock, .log = log_path, .perplexity = true, .live = -1});
    progress_epoch(&p, 1, 0);
    progress_step(&p, NAN, 10);
    progress_step(&p, 1e9, 10);
    progress_end_epoch(&p);
    cr_assert(progress_close(&p));
    fclose(f);
    cr_assert_eq(read_log(lines, 4, true), 3);
    cr_assert(json_is_null(json_object_get(lines[0], "loss")));
    cr_assert(json_is_null(json_object_get(lines[1], "perplexity")));
    cr_assert_float_eq(json_real_value(json_object_get(lines[1], "loss")), 1e9, 1);
    cr_assert(json_is_null(json_object_get(lines[2], "loss")));
    cr_assert_not_null(strstr(buffer, "epoch 1  loss nan"), "%s", buffer);
    drop(lines, 3);
}

Test(progress, a_resumed_epoch_ends_alike)
{
    progress p;
    char *rest = NULL;
    size_t rest_size = 0;
    RUN(.live = -1);
    char *whole = strdup(strstr(buffer, "epoch 2/2"));
    FILE *f = open_memstream(&rest, &rest_size);
    progress_open(&p,
                  (progress_options){
                      .out = f, .clock = test_clock, .epochs = 2, .perplexity = true, .live = -1});
    progress_epoch(&p, 2, 4);
    progress_resume(&p, 2, 300 * 2 + 100 * 1.5, 400);
    progress_step(&p, 1.25, 100);
    progress_step(&p, 1.25, 100);
    cr_assert_eq(p.step, 4);
    progress_metric(&p, "valid_loss", 1.5);
    progress_end_epoch(&p);
    progress_close(&p);
    fclose(f);
    *strchr(whole, '|') = '\0';
    *strchr(rest, '|') = '\0';
    cr_assert_str_eq(rest, whole);
    free(whole);
    free(rest);
}

Test(progress, logs_that_cannot_be_written)
{
    cr_assert_not(RUN(.live = -1, .log = "/nowhere/at/all.jsonl"));
    cr_assert_not_null(strstr(buffer, "epoch 2/2"), "the training goes on");
    if (access("/dev/full", W_OK) == 0)
        cr_assert_not(RUN(.live = -1, .log = "/dev/full"));
}
