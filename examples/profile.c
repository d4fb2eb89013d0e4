/* Profiles of the examples. */
#include "examples/profile.h"

#include "ops/ops.h"

#include <errno.h>
#include <string.h>

bool profile_write(sg_context *g, const char *file)
{
    sg_profile_print(stderr, g, sg_peak(g));
    FILE *f = fopen(file, "w");
    if (f)
        sg_profile_trace(f, g);
    bool failed = !f || ferror(f);
    failed = (f && fclose(f) != 0) || failed;
    if (failed)
        fprintf(stderr, "%s: cannot be written: %s\n", file, strerror(errno));
    return !failed;
}
