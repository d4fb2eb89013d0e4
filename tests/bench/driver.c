/* Measures the steps of a workload and prints a line of JSON. */
#include "tests/bench/bench.h"
#include "tests/bench/micro.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t page_faults(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_minflt;
}

/* Since the kernel started this process; 0 where /proc does not say. */
static double since_start(void)
{
    char line[1024];
    FILE *f = fopen("/proc/self/stat", "r");
    size_t n = f ? fread(line, 1, sizeof line - 1, f) : 0;
    if (f)
        fclose(f);
    line[n] = 0;
    char *at = strrchr(line, ')');
    for (int field = 2; at && field < 22;
         field++) /* the 22nd: in ticks since the machine started */
        at = strchr(at + 1, ' ');
    double ticks = at ? strtod(at, NULL) : 0;
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    double up = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    return at ? up - ticks / (double)sysconf(_SC_CLK_TCK) : 0;
}

/* The most memory this process has had, in bytes. Not from getrusage, which remembers what the
 * program before exec had. */
static int64_t peak_bytes(void)
{
    char line[256];
    long long kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kilobytes = strtoll(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return 1024 * kilobytes;
}

/* ---- measuring ------------------------------------------------------------------------------ */

typedef struct measured {
    int64_t steps, batches; /* batches: in a cycle; 1 when all steps are alike */
    double *time;           /* of each step */
    double *units;
    double first;  /* seconds from the start of the process to the end of the first step */
    double faults; /* page faults a step */
    sg_stat before, after;
} measured;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of x[0], x[step], x[2 * step] … */
static double median(const double *x, int64_t n, int64_t step)
{
    double *sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    int64_t count = 0;
    for (int64_t i = 0; sorted && i < n; i += step)
        sorted[count++] = x[i];
    if (sorted)
        qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    double middle = count > 0 ? sorted[count / 2] : 0;
    free(sorted);
    return middle;
}

static double total(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* Units a second with each batch's median time. */
static double rate_of(const measured *m)
{
    double time = 0;
    for (int64_t k = 0; k < m->batches; k++)
        time += median(m->time + k, m->steps - k, m->batches);
    int64_t n = m->batches > 1 ? m->batches : m->steps;
    return total(m->units, n) / (time * (double)n / (double)m->batches);
}

static void note(bench *b, measured *m, double time, double units)
{
    enum { ROOM = 1 << 22 };
    if (!m->time) {
        m->time = bench_new(b, ROOM, sizeof *m->time);
        m->units = bench_new(b, ROOM, sizeof *m->units);
    }
    if (m->steps < ROOM) {
        m->time[m->steps] = time;
        m->units[m->steps++] = units;
    }
}

/* Some steps to warm up, all of a cycle where plans are kept; then steps until the time is over:
 * whole cycles where steps differ. */
static measured measure(bench *b, const workload *w, void *model, int64_t batches,
                        const settings *s)
{
    int64_t round = w->cycle && w->cycle < batches ? w->cycle : batches;
    measured m = {.batches = w->cycle ? round : 1};
    const int64_t warm = s->anew || s->warm > m.batches ? s->warm : m.batches;
    for (int64_t i = 0; i < warm && sg_ok(b->g); i++) {
        w->step(b, model, i % round);
        m.first = i == 0 ? since_start() : m.first;
    }
    if (s->trace)
        sg_profile(b->g, true);
    note(b, &m, 0, 0); /* so that the room for times is there */
    m.steps = 0;
    m.before = sg_stats(b->g);
    int64_t faults = page_faults();
    double start = bench_seconds(), now = start;
    for (int64_t i = 0; sg_ok(b->g); i++) {
        if (now - start > s->seconds && i >= 3 && i % m.batches == 0)
            break;
        if (s->anew)
            sg_forget_plans(b->g);
        double from = bench_seconds();
        int64_t units = w->step(b, model, i % round);
        now = bench_seconds();
        note(b, &m, now - from, (double)units);
    }
    m.faults = (double)(page_faults() - faults) / (double)(m.steps ? m.steps : 1);
    m.after = sg_stats(b->g);
    return m;
}

/* What a node costs, in ns: being recorded (all that is not in an evaluation), getting into order
 * and its plan found, that run; and where it was not there, made. */
static void report_nodes(const measured *m, double seconds)
{
    const sg_stat *x = &m->before, *y = &m->after;
    double each = 1e9 / (double)(y->nodes - x->nodes), planned = (double)(y->planned - x->planned);
    double find = y->find_seconds - x->find_seconds, run = y->run_seconds - x->run_seconds;
    double make = y->make_seconds - x->make_seconds;
    printf(", \"record_ns\": %.1f, \"find_ns\": %.1f, \"run_ns\": %.1f, \"make_ns\": %.1f",
           each * (seconds - find - make - run), each * find, each * run,
           planned > 0 ? 1e9 * make / planned : 0);
}

static void report(const bench *b, const workload *w, const measured *m, const settings *s)
{
    double rate = rate_of(m), steps = (double)m->steps, all = total(m->time, m->steps);
    double ms = 1e3 * median(m->time, m->steps, 1);
    int64_t peak = peak_bytes();
    double recorded = (double)(m->after.nodes - m->before.nodes) / steps;
    printf("{\"peer\": \"seqgrad-%s\", \"mode\": \"train\", \"w\": \"%s\", \"t\": %d, "
           "\"unit\": \"%s\", \"rate\": %.2f, \"mean_rate\": %.2f, \"ms\": %.4f, \"steps\": %lld, "
           "\"first_s\": %.2f, \"rss_mb\": %.1f, \"isa\": \"%s\", \"loss\": %.6g",
           sg_infos(b->g).version, w->name, s->threads, w->unit, rate,
           total(m->units, m->steps) / all, ms, (long long)m->steps, m->first,
           (double)peak / 1048576, sg_infos(b->g).isa, b->loss);
    printf(", \"peak_bytes\": %lld, \"plan_bytes\": %llu, \"faults\": %.1f, \"nodes\": %.0f, "
           "\"ns_per_node\": %.1f, \"plans_made\": %llu, \"recomputed\": %llu",
           (long long)peak, (unsigned long long)m->after.workspace, m->faults, recorded,
           1e9 * all / steps / (b->nodes ? (double)b->nodes : recorded),
           (unsigned long long)(m->after.misses - m->before.misses),
           (unsigned long long)(m->after.recomputed - m->before.recomputed));
    report_nodes(m, all);
    double gflops = 1e-9 * (m->after.flops - m->before.flops) / all;
    if (gflops > 0) {
        double best = s->peak > 0 ? s->peak : sg_peak(b->g);
        printf(", \"gflops\": %.2f, \"of_peak\": %.3f", gflops,
               gflops / (best * (double)s->threads));
    }
    puts("}");
}

static void print_profile(const bench *b, const settings *s)
{
    sg_profile_print(stderr, b->g, s->peak > 0 ? s->peak : sg_peak(b->g));
    FILE *f = fopen(s->trace, "w");
    if (f)
        sg_profile_trace(f, b->g);
    if (!f || fclose(f) != 0)
        fprintf(stderr, "seqgrad-bench: cannot write \"%s\"\n", s->trace);
}

/* ---- running -------------------------------------------------------------------------------- */

int bench_close(bench *b, const workload *w)
{
    bool ok = sg_ok(b->g) && isfinite(b->loss);
    if (!sg_ok(b->g))
        fprintf(stderr, "seqgrad-bench: %s: %s\n", w->name, sg_errmsg(b->g));
    else if (!ok)
        fprintf(stderr, "seqgrad-bench: %s: the loss is %g\n", w->name, b->loss);
    sg_close(b->g);
    bench_free(b);
    return ok ? 0 : 1;
}

int bench_train(const workload *w, const settings *s)
{
    bench b = {.g = sg_open(.threads = s->threads, .seed = 1), .data = s->data};
    int64_t batches = 1;
    void *model = w->open(&b, &batches);
    sg_train(b.g, true);
    measured m = measure(&b, w, model, batches, s);
    if (sg_ok(b.g) && m.steps > 0)
        report(&b, w, &m, s);
    if (sg_ok(b.g) && s->trace)
        print_profile(&b, s);
    return bench_close(&b, w);
}

/* A few steps of a little model on generated data. */
int bench_smoke(const workload *w, const settings *s)
{
    bench b = {.g = sg_open(.threads = s->threads, .seed = 1)};
    int64_t batches = 1;
    void *model = w->open(&b, &batches);
    sg_train(b.g, true);
    for (int64_t i = 0; i < 4 && sg_ok(b.g); i++)
        w->step(&b, model, i % batches);
    printf("%s: loss %g\n", w->name, b.loss);
    return bench_close(&b, w);
}
