/*
 * Reads whole text files through zlib, which passes plain files on as they are. What comes out is
 * checked and even: valid UTF-8, no NUL, LF after every line, so that splitting needs no care.
 */
#include "models/text/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BLOCK = 1 << 16 };

static bool read_all(sg_context *g, gzFile f, const char *path, sg__bytes *out)
{
    int n;
    do {
        if (!sg__text_bytes_reserve(g, out, BLOCK))
            return false;
        n = gzread(f, out->data + out->size, BLOCK);
        if (n > 0)
            out->size += (size_t)n;
    } while (n > 0);
    /* A file that ends in the middle of its compressed data is an error, though gzread is not. */
    int error;
    const char *message = gzerror(f, &error); /* begins with the path, but for lack of memory */
    if (error == Z_OK || error == Z_STREAM_END)
        return true;
    if (error == Z_MEM_ERROR)
        sg_fail(g, SG_NO_MEMORY, "%s: no memory to read it", path);
    else
        sg_fail(g, error == Z_ERRNO ? SG_IO : SG_BAD_FILE, "%s", message);
    return false;
}

static bool refuse_at(sg_context *g, const char *path, const sg__bytes *text, size_t at,
                      const char *what)
{
    size_t line = 1, start = 0;
    for (size_t i = 0; i < at; i++) {
        if (text->data[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    sg_fail(g, SG_BAD_FILE, "%s:%zu: %s at byte %zu of the line", path, line, what, at - start);
    return false;
}

static bool clean(sg_context *g, const char *path, bool replace_invalid, sg__bytes *text)
{
    if (text->size >= 3 && memcmp(text->data, "\xEF\xBB\xBF", 3) == 0) {
        text->size -= 3;
        memmove(text->data, text->data + 3, text->size);
    }
    if (text->size == 0)
        return true;
    const char *nul = memchr(text->data, '\0', text->size);
    if (nul)
        return refuse_at(g, path, text, (size_t)(nul - text->data), "a NUL character");
    size_t at = sg_utf8_check(text->data, text->size);
    if (at < text->size && !replace_invalid)
        return refuse_at(g, path, text, at, "invalid UTF-8");
    if (at < text->size) {
        sg__bytes better = {0};
        bool ok = sg__text_replace(g, text->data, text->size, &better);
        sg__text_bytes_free(text);
        *text = better;
        if (!ok)
            return false;
    }
    return text->data[text->size - 1] == '\n' || sg__text_bytes_add(g, text, "\n", 1);
}

bool sg__text_read_bytes(sg_context *g, const char *path, sg__bytes *out)
{
    errno = 0;
    gzFile f = gzopen(path, "rb");
    if (!f && errno && errno != ENOMEM)
        sg_fail(g, SG_IO, "%s: %s", path, strerror(errno));
    else if (!f)
        sg_fail(g, SG_NO_MEMORY, "%s: no memory to open it", path);
    if (!f)
        return false;
    bool ok = read_all(g, f, path, out);
    gzclose_r(f);
    return ok;
}

bool sg__text_read_file(sg_context *g, const char *path, bool replace_invalid, sg__bytes *out)
{
    return sg__text_read_bytes(g, path, out) && clean(g, path, replace_invalid, out);
}
