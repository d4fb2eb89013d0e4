/* A profile as a table for reading, and as trace events for Perfetto and Chrome. */
#include "core/file/file.h"
#include "core/plan/profile.h"

#include <stdlib.h>

/* ---- the table ------------------------------------------------------------------------------- */

static void scope_of(char *buf, size_t size, const sg__row *r)
{
    sg__scope_text(buf, size, r->scope);
    size_t n = strlen(buf);
    if (n >= 2 && buf[n - 1] == ' ')
        buf[n - 2] = 0; /* the colon at its end */
    for (char *c = buf; *c; c++)
        *c = (unsigned char)*c < 0x20 ? '?' : *c;
    if (!*buf)
        snprintf(buf, size, "(no scope)");
}

static int by_kind(const void *a, const void *b)
{
    return strcmp(((const sg__row *)a)->kind, ((const sg__row *)b)->kind);
}

static int by_scope(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const sg__row *)a)->scope,
              y = (uintptr_t)((const sg__row *)b)->scope;
    return (x > y) - (x < y);
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const sg__row *)a)->seconds, y = ((const sg__row *)b)->seconds;
    return (x < y) - (x > y);
}

/* Adds up the rows that are equal in this order; then the longest come first. */
static size_t merge(sg__row *r, size_t n, int (*order)(const void *, const void *))
{
    size_t m = 0;
    qsort(r, n, sizeof *r, order);
    for (size_t i = 0; i < n; i++) {
        if (m == 0 || order(&r[m - 1], &r[i]) != 0) {
            r[m++] = r[i];
            continue;
        }
        r[m - 1].calls += r[i].calls;
        r[m - 1].seconds += r[i].seconds;
        r[m - 1].flops += r[i].flops;
        r[m - 1].bytes += r[i].bytes;
    }
    qsort(r, m, sizeof *r, by_seconds);
    return m;
}

static void print_row(FILE *f, const sg__row *r, const char *name, double all, double peak)
{
    double rate = r->seconds > 0 ? 1e-9 * r->flops / r->seconds : 0;
    fprintf(f, "%11llu %10.2f %5.1f %10.1f %8.2f", (unsigned long long)r->calls, 1e3 * r->seconds,
            all > 0 ? 100 * r->seconds / all : 0, 1e-6 * r->bytes,
            r->seconds > 0 ? 1e-9 * r->bytes / r->seconds : 0);
    if (r->flops > 0)
        fprintf(f, " %8.1f", rate);
    else
        fprintf(f, " %8s", "");
    if (r->flops > 0 && peak > 0)
        fprintf(f, " %5.1f", 100 * rate / peak);
    else
        fprintf(f, " %5s", "");
    fprintf(f, "  %s\n", name);
}

static void print_table(FILE *f, const sg__profile *p, sg__row *rows, bool scopes, double peak)
{
    char name[SG_MESSAGE];
    if (p->row_count)
        memcpy(rows, p->rows, p->row_count * sizeof *rows);
    size_t n = merge(rows, p->row_count, scopes ? by_scope : by_kind);
    fprintf(f, "%11s %10s %5s %10s %8s %8s %5s  %s\n", "steps", "ms", "%", "MB", "GB/s", "GF/s",
            peak > 0 ? "peak%" : "", scopes ? "scope" : "kind");
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s", rows[i].kind);
        if (scopes)
            scope_of(name, sizeof name, &rows[i]);
        print_row(f, &rows[i], name, p->possible, peak);
    }
    double waited = p->possible - p->busy;
    fprintf(f, "%11s %10.2f %5.1f %35s  waiting for other threads, and between steps\n", "",
            1e3 * waited, p->possible > 0 ? 100 * waited / p->possible : 0, "");
}

void sg_profile_print(FILE *f, const sg_context *g, double peak)
{
    const sg__profile *p = sg__given(g)->profile;
    if (!p || !f)
        return;
    double outside = sg__now() - p->begun - p->running;
    fprintf(f,
            "profile: %llu runs of %.2f ms on %d threads; %.2f ms outside of runs: recording, "
            "planning, all else\ntimes are sums over threads, rates those of one thread",
            (unsigned long long)p->runs, p->runs ? 1e3 * p->running / (double)p->runs : 0,
            p->threads, 1e3 * outside);
    if (peak > 0)
        fprintf(f, ", whose peak is %.1f GF/s", peak);
    fputc('\n', f);
    sg__row *rows = malloc((p->row_count + 1) * sizeof *rows);
    if (!rows)
        return;
    print_table(f, p, rows, false, peak);
    print_table(f, p, rows, true, peak);
    free(rows);
}

/* ---- the trace ------------------------------------------------------------------------------- */

static void print_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (int n; *s; s += n) {
        n = sg__utf8(s);
        if (n == 0) {
            fputc('?', f);
            n = 1;
            continue;
        }
        if (*s == '"' || *s == '\\')
            fputc('\\', f);
        fwrite(s, 1, (size_t)n, f);
    }
    fputc('"', f);
}

void sg_profile_trace(FILE *f, const sg_context *g)
{
    const sg__profile *p = sg__given(g)->profile;
    char scope[SG_MESSAGE];
    if (!f)
        return;
    fputs("{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n", f);
    for (int i = 0; p && i < p->threads; i++)
        fprintf(f,
                "{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, \"tid\": %d, "
                "\"args\": {\"name\": \"thread %d\"}},\n",
                i, i);
    for (size_t i = 0; p && i < p->event_count; i++) {
        const sg__event *e = p->events + i;
        scope_of(scope, sizeof scope, &p->rows[e->row]);
        fputs("{\"name\": ", f);
        print_string(f, p->rows[e->row].kind);
        fputs(", \"cat\": \"step\", \"args\": {\"scope\": ", f);
        print_string(f, scope);
        fprintf(f,
                ", \"flops\": %.0f, \"bytes\": %.0f}, \"ph\": \"X\", \"pid\": 1, \"tid\": %d, "
                "\"ts\": %.3f, \"dur\": %.3f},\n",
                e->flops, e->bytes, e->thread, 1e6 * e->from, 1e6 * (e->to - e->from));
    }
    fputs("{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": 1, \"args\": {\"name\": "
          "\"seqgrad\"}}\n]}\n",
          f);
}
