/* What --profile FILE of the examples writes. */
#ifndef EXAMPLES_PROFILE_H
#define EXAMPLES_PROFILE_H

#include "core/core.h"

/* Where the time of a context went since sg_profile: tables to standard error, beside the peak of
 * this machine, and a trace to a file, for Perfetto or chrome://tracing. False, with a message on
 * standard error, when the file cannot be written. */
bool profile_write(sg_context *g, const char *file);

#endif
