/*
 * Messages about files: the path first, then what is wrong. What a file says about itself may stand
 * in them, so control characters are taken out and long names are cut.
 */
#define _XOPEN_SOURCE 700
#include "core/file/file.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum { PATH_SHOWN = 200 }; /* a longer path loses its start, for the message to keep its end */

sg__file_error sg__file_begin(const char *path, char *message, sg_status *status)
{
    message[0] = '\0';
    *status = SG_OK;
    return (sg__file_error){path != NULL ? path : "", message, status};
}

bool sg__file_fail(const sg__file_error *e, sg_status s, const char *format, ...)
{
    size_t length = strlen(e->path);
    bool cut = length > PATH_SHOWN;
    int n = snprintf(e->message, SG_MESSAGE, "%s%s: ", cut ? "..." : "",
                     cut ? e->path + length - PATH_SHOWN : e->path);
    va_list args;
    va_start(args, format);
    vsnprintf(e->message + n, (size_t)(SG_MESSAGE - n), format, args);
    va_end(args);
    for (char *c = e->message; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    *e->status = s;
    return false;
}

bool sg__file_no_memory(const sg__file_error *e, size_t bytes)
{
    return sg__file_fail(e, SG_NO_MEMORY, "no memory for %zu bytes", bytes);
}

bool sg__file_errno(const sg__file_error *e, const char *done, int error)
{
    char text[128];
    if (strerror_r(error, text, sizeof text) != 0) {
        snprintf(text, sizeof text, "error %d", error);
    }
    return sg__file_fail(e, error == ENOMEM ? SG_NO_MEMORY : SG_IO, "cannot be %s: %s", done, text);
}
