/* What the workloads read: flat files of little-endian 32-bit integers. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef union block {
    union block *next;
    max_align_t align;
} block;

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "seqgrad-bench: %s: %s\n", what, why);
    exit(1);
}

void *bench_new(bench *b, size_t count, size_t size)
{
    block *p = calloc(1, sizeof *p + count * size);
    if (!p)
        give_up("no memory", "for the data");
    p->next = b->memory;
    b->memory = p;
    return p + 1;
}

void bench_free(bench *b)
{
    for (block *p = b->memory, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    b->memory = NULL;
}

int bench_size(const bench *b, int full, int little)
{
    return b->data ? full : little;
}

static numbers generated(bench *b, int64_t count, int32_t below)
{
    int32_t *at = bench_new(b, (size_t)count, sizeof *at);
    uint64_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U; /* Knuth's MMIX */
        at[i] = (int32_t)((state >> 33) % (uint64_t)below);
    }
    return (numbers){at, count};
}

numbers bench_numbers(bench *b, const char *file, int64_t count, int32_t below)
{
    char path[4096];
    if (!b->data)
        return generated(b, count, below);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", b->data, file) >= sizeof path)
        give_up(b->data, "the name is too long");
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        give_up(path, strerror(errno));
    long bytes = ftell(f);
    if (bytes <= 0 || bytes % 4 != 0)
        give_up(path, "is not a file of 32-bit integers");
    rewind(f);
    int32_t *at = bench_new(b, (size_t)bytes / 4, sizeof *at);
    if (fread(at, 4, (size_t)bytes / 4, f) != (size_t)bytes / 4)
        give_up(path, "could not be read");
    fclose(f);
    return (numbers){at, bytes / 4};
}
