/* Names in files: are they text, do they differ, and how do they look in a message? */
#include "core/file/file.h"

#include <stdlib.h>
#include <string.h>

sg__shown sg__show(const char *name)
{
    sg__shown shown;
    size_t limit = sizeof shown.s - sizeof "...", n = 0;
    while (name[n] != '\0') {
        int step = sg__utf8(name + n);
        size_t bytes = step > 0 ? (size_t)step : 1;
        if (n + bytes > limit) {
            break;
        }
        memcpy(shown.s + n, name + n, bytes);
        n += bytes;
    }
    strcpy(shown.s + n, name[n] != '\0' ? "..." : "");
    return shown;
}

int sg__utf8(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80) {
        return u[0] != 0;
    }
    /* Tighter bounds of the second byte exclude longer forms of shorter codes, the surrogates, and
     * what lies beyond U+10FFFF (RFC 3629, section 4). */
    int n = u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;
    unsigned low = u[0] == 0xe0 ? 0xa0 : u[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = u[0] == 0xed ? 0x9f : u[0] == 0xf4 ? 0x8f : 0xbf;
    for (int i = 1; i < n; i++) {
        if (u[i] < low || u[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool sg__file_unique(const sg__file_error *e, sg_status s, const char *what, size_t n,
                     const char **names)
{
    qsort(names, n, sizeof *names, by_string);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            return sg__file_fail(e, s, "%s \"%s\" is there twice", what, sg__show(names[i]).s);
        }
    }
    return true;
}

bool sg__savable(const char *name)
{
    bool reserved = strcmp(name, "__metadata__") == 0;
    int step = 1;
    while (*name && (step = sg__utf8(name)) > 0)
        name += step;
    return !reserved && step > 0;
}
