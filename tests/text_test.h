/*
 * What the tests of text share: files in a directory of the test's own, and error messages.
 */
#ifndef SG_TEXT_TEST_H
#define SG_TEXT_TEST_H

#include "models/text.h"
#include "tests/error_test.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct folder {
    char old[PATH_MAX], name[32];
} folder;

/* Files are named relative to the working directory, so that messages can be compared. */
static inline folder enter(void)
{
    folder f = {.name = "/tmp/sg_text_XXXXXX"};
    cr_assert(getcwd(f.old, sizeof f.old) && mkdtemp(f.name) && chdir(f.name) == 0);
    return f;
}

static inline void leave(const folder *f)
{
    static const char *const names[] = {"a", "b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(names[i]);
    cr_assert(chdir(f->old) == 0 && rmdir(f->name) == 0);
}

static inline void write_file(const char *name, const void *data, size_t n)
{
    unlink(name); /* file systems hurry to the disk with what is truncated and written again */
    FILE *f = fopen(name, "wb");
    cr_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
}

static inline void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

/* "a\t1\nb\t2\n", by gzip -n */
static const unsigned char compressed[] = {
    0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x4B, 0xE4, 0x34, 0xE4,
    0x4A, 0xE2, 0x34, 0xE2, 0x02, 0x00, 0x5E, 0x4F, 0x36, 0xFA, 0x08, 0x00, 0x00, 0x00,
};

#endif
