/* Losses by value, from weights that another program made: tests/bench/check.py compares them. */
#include "tests/bench/bench.h"

#include <string.h>

int bench_params(const workload *w, const settings *s)
{
    bench b = {.g = sg_open(.seed = 1), .data = s->data, .check = true};
    int64_t batches;
    w->open(&b, &batches);
    for (sg_tensor *p = NULL; (p = sg_next_param(b.g, p, false));) {
        printf("%s", sg_name(p));
        for (int a = 0; a < sg_rank(p); a++)
            printf(" %lld", (long long)sg_dim(p, a));
        putchar('\n');
    }
    return bench_close(&b, w);
}

/* All parameters from a file, which has nothing else. */
static void load_weights(sg_context *g, const char *path)
{
    sg_load_tensors(g, path, "check.");
    int params = 0, tensors = 0;
    for (sg_tensor *p = NULL; sg_ok(g) && (p = sg_next_param(g, p, false)); params++) {
        char name[256];
        snprintf(name, sizeof name, "check.%s", sg_name(p));
        sg_tensor *value = sg_find(g, name);
        if (!value || sg_type(value) != sg_type(p) || sg_size(value) != sg_size(p))
            sg_fail(g, SG_BAD_FILE, "%s: no %s of that size and type", path, sg_name(p));
        else
            sg_set(p, sg_data(value));
    }
    for (sg_tensor *t = NULL; sg_ok(g) && (t = sg_next_param(g, t, true));)
        tensors += strncmp(sg_name(t), "check.", 6) == 0;
    if (sg_ok(g) && tensors != params)
        sg_fail(g, SG_BAD_FILE, "%s: %d tensors for %d parameters", path, tensors, params);
}

int bench_check(const workload *w, const settings *s)
{
    bench b = {.g = sg_open(.threads = s->threads, .seed = 1), .data = s->data, .check = true};
    int64_t batches;
    void *model = w->open(&b, &batches);
    int64_t round = w->cycle && w->cycle < batches ? w->cycle : batches;
    load_weights(b.g, s->weights);
    for (int i = 0; i < s->steps && sg_ok(b.g); i++) {
        w->step(&b, model, i % round);
        if (sg_ok(b.g))
            printf("%.9g\n", b.loss);
    }
    return bench_close(&b, w);
}
