/* The one translation unit that holds xxHash's code. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/plan/plan.h"

uint64_t sg__hash(const void *p, size_t bytes)
{
    return XXH3_64bits(p, bytes);
}
