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

static int32_t *read_file(bench *b, const char *path, int64_t *count)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        give_up(path, strerror(errno));
    long bytes = ftell(f);
    if (bytes <= 0 || bytes % 4 != 0)
        give_up(path, "is not a file of 32-bit integers");
    rewind(f);
    *count = bytes / 4;
    int32_t *at = bench_new(b, (size_t)*count, sizeof *at);
    if (fread(at, 4, (size_t)*count, f) != (size_t)*count)
        give_up(path, "could not be read");
    fclose(f);
    return at;
}

numbers bench_numbers(bench *b, const char *file)
{
    char path[4096];
    numbers n = {.b = b, .file = file, .state = 1};
    if (!b->data)
        return n;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", b->data, file) >= sizeof path)
        give_up(b->data, "the name is too long");
    n.at = read_file(b, path, &n.left);
    return n;
}

static const int32_t *draw(numbers *n, int64_t count, int32_t least, int32_t most)
{
    int32_t *at = bench_new(n->b, (size_t)count, sizeof *at);
    uint64_t range = (uint64_t)(most - least) + 1;
    for (int64_t i = 0; i < count; i++) {
        n->state = n->state * 6364136223846793005U + 1442695040888963407U; /* Knuth's MMIX */
        at[i] = least + (int32_t)((n->state >> 33) % range);
    }
    return at;
}

const int32_t *bench_array(numbers *n, int64_t count, int32_t least, int32_t most)
{
    if (!n->at)
        return draw(n, count, least, most);
    if (count > n->left)
        give_up(n->file, "ends too early");
    const int32_t *at = n->at;
    for (int64_t i = 0; i < count; i++)
        if (at[i] < least || at[i] > most) {
            fprintf(stderr, "seqgrad-bench: %s: %d is not in %d..%d\n", n->file, at[i], least,
                    most);
            exit(1);
        }
    n->at += count;
    n->left -= count;
    return at;
}

int32_t bench_number(numbers *n, int32_t least, int32_t most)
{
    return bench_array(n, 1, least, most)[0];
}

stream bench_stream(bench *b, const char *file, int vocabulary, int batch, int time)
{
    numbers n = bench_numbers(b, file);
    int64_t count = b->data ? n.left : batch * time * 4 + 1;
    stream s = {.batch = batch, .time = time, .vocabulary = vocabulary};
    s.tokens = bench_array(&n, count, 0, vocabulary - 1);
    s.stride = (count - 1) / batch;
    s.batches = (s.stride - 1) / time;
    if (s.batches < 1)
        give_up(file, "is too short");
    return s;
}

void bench_stretch(bench *b, stream *s, int64_t batch)
{
    size_t size = (size_t)s->batch * (size_t)s->time;
    int32_t *x = malloc(2 * size * sizeof *x), *y = x + size;
    if (!x)
        give_up("no memory", "for a batch");
    for (int i = 0; i < s->batch; i++) {
        const int32_t *from = s->tokens + i * s->stride + batch * s->time;
        memcpy(x + i * s->time, from, (size_t)s->time * sizeof *x);
        memcpy(y + i * s->time, from + 1, (size_t)s->time * sizeof *y);
    }
    s->x = sg_input(b->g, SG_I32, SG_SHAPE(s->batch, s->time), x);
    s->y = sg_input(b->g, SG_I32, SG_SHAPE(s->batch, s->time), y);
    free(x);
}
