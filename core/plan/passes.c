/* Passes by name: each that a plan can do without may be left out, so that tests can tell what it
 * changes. */
#include "core/plan/plan.h"

/* In the order of their bits. */
static const char *const passes[] = {"rewrite", "batch", "sparse",  "layout", "fuse",
                                     "assign",  "split", "prepare", "early"};

static unsigned pass_named(const char *name, size_t n)
{
    for (unsigned i = 0; i < sizeof passes / sizeof *passes; i++)
        if (strlen(passes[i]) == n && memcmp(passes[i], name, n) == 0)
            return 1u << i;
    return 0;
}

unsigned sg__passes_named(sg_context *g, const char *names)
{
    unsigned all = 0, one;
    for (size_t n; names && *names; names += n + (names[n] == ',')) {
        n = strcspn(names, ",");
        one = pass_named(names, n);
        if (!one)
            sg_fail(g, SG_BAD_ARGUMENT, "no pass of the planner is named \"%.*s\"", (int)n, names);
        all |= one;
    }
    return all;
}
