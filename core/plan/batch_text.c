/* What batching makes of a program, as text: sg_dump_batches. */
#include "core/plan/batch.h"

#include <stdlib.h>

enum { GROUPS = 24, WHY = 3 };

static const char *const why[WHY] = {"cannot be computed by rows", "large enough",
                                     "no other stands in its place"};

/* Why the only item of a group is alone. */
static int reason(const sg__batcher *b, const sg__group *g)
{
    const uint32_t m = g->members[0];
    return b->of[m].solo || sg__kind_of(b, m)->form != SG__NONE ? 2
           : sg__kind_of(b, m)->large                           ? 1
                                                                : 0;
}

static const sg__item *first_of(const sg__batcher *b, const sg__group *g)
{
    return sg__old(b, b->of[g->members[0]].item);
}

static void print_group(FILE *f, const sg__batcher *b, const sg__group *g)
{
    const sg__item *x = first_of(b, g);
    char text[SG_SHAPE_TEXT];
    fprintf(f, "%8u  %-14s", g->count, x->op->name);
    for (uint32_t k = 0; k < x->n; k++)
        fprintf(f, "%s%s", k ? ", " : "", sg__shape_text(text, &sg__old(b, x->in[k])->dims->shape));
    fprintf(f, " -> %s\n", sg__shape_text(text, &x->dims->shape));
}

/* Ops of items that are alone for one reason, and how many there are. */
static void print_alone(FILE *f, const sg__batcher *b, int which, uint32_t *count)
{
    uint32_t all = 0;
    for (uint32_t g = 0; g < b->group_numbers.count; g++) {
        const sg__group *x = b->groups + g;
        count[g] = x->count == 1 && first_of(b, x)->op && reason(b, x) == which;
        all += count[g];
    }
    fprintf(f, "%8u  alone: %s%s", all, why[which], all ? ":" : "");
    for (uint32_t g = 0; g < b->group_numbers.count; g++) {
        if (!count[g])
            continue;
        const sg_op *op = first_of(b, &b->groups[g])->op;
        for (uint32_t h = g + 1; h < b->group_numbers.count; h++)
            if (count[h] && first_of(b, &b->groups[h])->op == op) {
                count[g]++;
                count[h] = 0;
            }
        fprintf(f, " %u %s", count[g], op->name);
    }
    fputs("\n", f);
}

static int by_count(const void *p, const void *q)
{
    const sg__group *x = p, *y = q;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->when > y->when) - (x->when < y->when);
}

static void print(FILE *f, const sg__batcher *b)
{
    uint32_t groups = 0, joined = 0, items = 0;
    uint32_t *count = sg__batch_alloc(b, b->group_numbers.count, sizeof *count);
    if (!count)
        return;
    qsort(b->groups, b->group_numbers.count, sizeof *b->groups, by_count);
    for (uint32_t g = 0; g < b->group_numbers.count; g++) {
        const sg__group *x = b->groups + g;
        items += x->count && first_of(b, x)->op ? x->count : 0;
        joined += x->count > 1 ? x->count : 0;
        groups += x->count > 1;
    }
    fprintf(f, "batches: %u of %u items in %u groups%s\n", joined, items, groups,
            b->worth ? "" : "; too few products among them: all is left as it was written");
    for (uint32_t g = 0; g < groups && g < GROUPS; g++)
        print_group(f, b, b->groups + g);
    for (int k = 0; k < WHY; k++)
        print_alone(f, b, k, count);
}

void sg_dump_batches(FILE *f, int n, sg_tensor *const *x)
{
    sg_tensor *nil;
    sg_context *g = sg__together(n, x, "sg_dump_batches", &nil);
    if (!g || !sg__collect(g, n, x) || !g->roots.n)
        return;
    const sg__request r = {g, g->roots.n, g->roots.x, false};
    sg__graph gr;
    if (!sg__walk(g, (int)r.n, r.roots, SG__STOP_AT_VALUES))
        return;
    if (sg__graph_open(&r, SIZE_MAX, &gr)) {
        sg__batcher b = {.gr = &gr};
        if (sg__batch_groups(&b))
            print(f, &b);
    }
    sg__arena_reset(&g->scratch);
}
