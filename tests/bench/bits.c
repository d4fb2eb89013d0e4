/* Whether training makes the same bits in every way that it can run: by so many threads, with
 * passes of the planner left out, with plans made anew. */
#include "tests/bench/bench.h"

#include <inttypes.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

typedef struct way {
    const char *name;
    sg_open_options o;
} way;

static const way ways[] = {
    {"1 thread", {.threads = 1}},
    {"2 threads", {.threads = 2}},
    {"3 threads", {.threads = 3}},
    {"8 threads", {.threads = 8}},
    {"a plan for each step", {.cache_plans = 1}},
    {"without batch", {.without = "batch"}},
    {"without batch, 2 threads", {.without = "batch", .threads = 2}},
    {"without sparse", {.without = "sparse"}},
    {"without layout", {.without = "layout"}},
    {"without fuse", {.without = "fuse"}},
    {"as early as can be", {.memory = SIZE_MAX}},
    {"without assign", {.without = "assign"}},
    {"without prepare", {.without = "prepare"}},
};

/* Of all parameters and buffers after some steps of a little model. */
static int hash_after(const workload *w, const settings *s, const way *x, uint64_t *hash)
{
    static const size_t width[SG_DTYPES] = {[SG_F32] = 4, [SG_F64] = 8, [SG_I32] = 4, [SG_U8] = 1};
    sg_open_options o = x->o;
    o.seed = 1;
    bench b = {.g = sg_open_(o)};
    int64_t batches = 1;
    void *model = w->open(&b, &batches);
    int64_t round = w->cycle && w->cycle < batches ? w->cycle : batches;
    sg_train(b.g, true);
    for (int i = 0; i < s->steps && sg_ok(b.g); i++)
        w->step(&b, model, i % round);
    *hash = 0;
    for (sg_tensor *p = NULL; (p = sg_next_param(b.g, p, true));)
        *hash = XXH3_64bits_withSeed(sg_data(p), (size_t)sg_size(p) * width[sg_type(p)], *hash);
    return bench_close(&b, w);
}

int bench_bits(const workload *w, const settings *s)
{
    uint64_t first = 0, hash;
    int failed = 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && !failed; i++) {
        failed = hash_after(w, s, &ways[i], &hash);
        first = i ? first : hash;
        printf("%-8s %016" PRIx64 "  %s%s\n", w->name, hash, ways[i].name,
               hash == first ? "" : ": OTHER BITS");
        failed |= hash != first;
    }
    return failed;
}
