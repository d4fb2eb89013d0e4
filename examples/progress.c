/*
 * A line is put together from parts; on a terminal those that do not fit are left out from the
 * right, so that it never wraps, and it is redrawn at most ten times a second.
 */
#define _DEFAULT_SOURCE /* isatty, the size of the window, clock_gettime */
#include "examples/progress.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static double system_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int find_width(const progress *p)
{
    struct winsize size;
    if (p->o.width > 0)
        return p->o.width;
    return ioctl(fileno(p->o.out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_open(progress *p, progress_options o)
{
    *p = (progress){.o = o};
    p->o.out = o.out != NULL ? o.out : stderr;
    p->o.clock = o.clock != NULL ? o.clock : system_clock;
    p->live = o.live > 0 || (o.live == 0 && isatty(fileno(p->o.out)));
    p->start = p->o.clock();
    if (o.log == NULL)
        return;
    p->log = fopen(o.log, o.append ? "a" : "w");
    p->log_failed = p->log == NULL;
}

/* ---- lines -------------------------------------------------------------------------------- */

/* Parts of a line; `end` is that of the last one that fits `room`. */
typedef struct line {
    char s[PROGRESS_LINE];
    size_t length, end, room;
} line;

static void add(line *l, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(l->s + l->length, sizeof l->s - l->length, format, list);
    va_end(list);
    if (n < 0 || (size_t)n >= sizeof l->s - l->length)
        return;
    l->length += (size_t)n;
    if (l->length <= l->room)
        l->end = l->length;
}

static void add_time(line *l, const char *before, double seconds, const char *after)
{
    int64_t s = seconds < 1e9 ? llround(seconds) : 0;
    if (s < 3600)
        add(l, "%s%d:%02d%s", before, (int)(s / 60), (int)(s % 60), after);
    else
        add(l, "%s%lld:%02d:%02d%s", before, (long long)(s / 3600), (int)(s / 60 % 60),
            (int)(s % 60), after);
}

static double mean_loss(const progress *p)
{
    return p->tokens > 0 ? p->loss / p->tokens : NAN;
}

static double tokens_per_second(const progress *p)
{
    double seconds = p->last_step - p->epoch_start;
    return seconds > 0 ? p->timed_tokens / seconds : 0;
}

static void add_epoch(const progress *p, line *l)
{
    if (p->o.epochs > 0)
        add(l, "epoch %d/%d", p->epoch, p->o.epochs);
    else
        add(l, "epoch %d", p->epoch);
}

static void add_loss(const progress *p, line *l)
{
    add(l, "  loss %.4f", mean_loss(p));
    if (p->o.perplexity)
        add(l, "  ppl %.*f", mean_loss(p) < 7 ? 2 : 0, exp(mean_loss(p)));
}

static line step_line(const progress *p, size_t room)
{
    line l = {.room = room};
    add_epoch(p, &l);
    if (p->steps > 0)
        add(&l, "  step %lld/%lld", (long long)p->step, (long long)p->steps);
    else
        add(&l, "  step %lld", (long long)p->step);
    add_loss(p, &l);
    int epochs = p->o.epochs > p->epoch ? p->o.epochs - p->epoch : 0;
    int64_t left = p->steps - p->step + epochs * p->steps;
    if (left >= 0 && p->all_steps > 0)
        add_time(&l, " | ", (double)left * (p->last_step - p->start) / (double)p->all_steps,
                 " left");
    else
        add_time(&l, " | ", p->last_step - p->start, "");
    add(&l, "  %.0f tokens/s", tokens_per_second(p));
    l.s[l.end] = '\0';
    return l;
}

static line epoch_line(const progress *p)
{
    line l = {.room = PROGRESS_LINE};
    add_epoch(p, &l);
    add_loss(p, &l);
    for (int i = 0; i < p->metrics; i++)
        add(&l, "  %s %.4f", p->metric_name[i], p->metric[i]);
    add_time(&l, " | ", p->o.clock() - p->epoch_start, "");
    add(&l, "  %.0f tokens/s", tokens_per_second(p));
    return l;
}

static void erase(progress *p)
{
    if (p->drawn > 0)
        fprintf(p->o.out, "\r%*s\r", p->drawn, "");
    p->drawn = 0;
}

/* Blanks, not an escape sequence, cover what was longer: every terminal knows them. */
static void redraw(progress *p)
{
    int width = find_width(p) - 1; /* in the last column some terminals wrap */
    line l = step_line(p, width > 0 ? (size_t)width : 1);
    int n = (int)strlen(l.s);
    fprintf(p->o.out, "\r%s", l.s);
    if (p->drawn > n)
        fprintf(p->o.out, "%*s\r%s", p->drawn - n, "", l.s);
    p->drawn = n;
    p->last_draw = p->last_step;
    fflush(p->o.out);
}

/* ---- log ---------------------------------------------------------------------------------- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *begin_object(const progress *p, const char *event)
{
    json_t *o = json_object();
    json_object_set_new(o, "event", json_string(event));
    json_object_set_new(o, "epoch", json_integer(p->epoch));
    json_object_set_new(o, "step", json_integer(p->step));
    return o;
}

static void add_to_object(const progress *p, json_t *o, double loss, int64_t tokens)
{
    json_object_set_new(o, "loss", number(loss));
    if (p->o.perplexity)
        json_object_set_new(o, "perplexity", number(exp(loss)));
    json_object_set_new(o, "tokens", json_integer(tokens));
}

/* Adds the times, writes the object and frees it; a line is flushed at once, so that a training
 * that is killed leaves all it did. */
static void write_object(progress *p, json_t *o)
{
    json_t *time = json_object();
    json_object_set_new(time, "seconds", number(p->o.clock() - p->start));
    json_object_set_new(time, "tokens_per_second", number(tokens_per_second(p)));
    if (json_object_set_new(o, "time", time) != 0 ||
        json_dumpf(o, p->log, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 ||
        fputc('\n', p->log) == EOF || fflush(p->log) != 0)
        p->log_failed = true;
    json_decref(o);
}

/* ---- events ------------------------------------------------------------------------------- */

void progress_epoch(progress *p, int epoch, int64_t steps)
{
    p->epoch = epoch;
    p->steps = steps;
    p->step = 0;
    p->loss = p->tokens = p->timed_tokens = 0;
    p->metrics = 0;
    p->epoch_start = p->last_step = p->o.clock();
}

void progress_resume(progress *p, int64_t step, double loss, double tokens)
{
    p->step = step;
    p->loss = loss;
    p->tokens = tokens;
}

void progress_step(progress *p, double loss, int64_t tokens)
{
    p->step++;
    p->all_steps++;
    p->loss += loss * (double)tokens;
    p->tokens += (double)tokens;
    p->timed_tokens += (double)tokens;
    p->last_step = p->o.clock();
    if (p->log != NULL) {
        json_t *o = begin_object(p, "step");
        add_to_object(p, o, loss, tokens);
        write_object(p, o);
    }
    if (p->live) {
        if (p->drawn == 0 || p->last_step - p->last_draw >= 0.1 || p->step == p->steps)
            redraw(p);
    } else if (p->o.every > 0 && p->step % p->o.every == 0) {
        fprintf(p->o.out, "%s\n", step_line(p, PROGRESS_LINE).s);
        fflush(p->o.out);
    }
}

void progress_metric(progress *p, const char *name, double value)
{
    if (p->metrics == PROGRESS_METRICS)
        return;
    p->metric_name[p->metrics] = name;
    p->metric[p->metrics++] = value;
}

void progress_end_epoch(progress *p)
{
    if (p->log != NULL) {
        json_t *o = begin_object(p, "epoch");
        add_to_object(p, o, mean_loss(p), (int64_t)p->tokens);
        for (int i = 0; i < p->metrics; i++)
            json_object_set_new(o, p->metric_name[i], number(p->metric[i]));
        write_object(p, o);
    }
    erase(p);
    fprintf(p->o.out, "%s\n", epoch_line(p).s);
    fflush(p->o.out);
    p->metrics = 0;
}

void progress_say(progress *p, const char *format, ...)
{
    va_list list;
    erase(p);
    va_start(list, format);
    vfprintf(p->o.out, format, list);
    va_end(list);
    fputc('\n', p->o.out);
    fflush(p->o.out);
}

bool progress_close(progress *p)
{
    if (p->drawn > 0) /* in the middle of an epoch: the last state stays to be read */
        fputc('\n', p->o.out);
    fflush(p->o.out);
    if (p->log != NULL && fclose(p->log) != 0)
        p->log_failed = true;
    p->log = NULL;
    p->drawn = 0;
    return !p->log_failed;
}
