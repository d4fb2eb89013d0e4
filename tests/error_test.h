/* What tests of error messages share. */
#ifndef ERROR_TEST_H
#define ERROR_TEST_H

#include "core/core.h"

#include <criterion/criterion.h>

/* Whether the context has this error, under this message; clears it. */
static inline void expect_error(sg_context *g, sg_status s, const char *message)
{
    cr_expect(sg_error(g) == s, "status %s, not %s: %s", sg_status_name(sg_error(g)),
              sg_status_name(s), sg_errmsg(g));
    cr_expect_str_eq(sg_errmsg(g), message);
    sg_clear(g);
}

#endif
