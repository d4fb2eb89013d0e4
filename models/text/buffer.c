/*
 * Growing byte buffers and output that is cut to a size. All sizes are checked before they are
 * added: no file or option makes one wrap around.
 */
#include "models/text/internal.h"

#include <stdlib.h>
#include <string.h>

bool sg__text_bytes_reserve(sg_context *g, sg__bytes *b, size_t more)
{
    if (more <= b->room - b->size)
        return true;
    char *data = NULL;
    size_t room = b->room;
    if (more <= SIZE_MAX / 4 && b->size <= SIZE_MAX / 4) {
        size_t need = b->size + more;
        room = room > need / 2 ? 2 * room : need; /* at least doubled: linear time in all */
        data = realloc(b->data, room);
    }
    if (!data) {
        sg_fail(g, SG_NO_MEMORY, "text: no memory for %zu more bytes after %zu", more, b->size);
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

bool sg__text_bytes_add(sg_context *g, sg__bytes *b, const void *data, size_t n)
{
    if (!sg__text_bytes_reserve(g, b, n))
        return false;
    if (n > 0)
        memcpy(b->data + b->size, data, n);
    b->size += n;
    return true;
}

void sg__text_bytes_free(sg__bytes *b)
{
    free(b->data);
    *b = (sg__bytes){0};
}

void *sg__text_alloc(sg_context *g, size_t n, size_t item)
{
    void *p = calloc(n > 0 ? n : 1, item);
    if (!p)
        sg_fail(g, SG_NO_MEMORY, "text: no memory for %zu items of %zu bytes", n, item);
    return p;
}

void sg__text_cut_add(sg__cut *c, const char *text, size_t n)
{
    size_t fits = n;
    if (c->full || c->whole + n >= c->size) {
        fits = c->full || c->size == 0 ? 0 : c->size - 1 - c->whole;
        while (fits > 0 && ((unsigned char)text[fits] & 0xC0) == 0x80)
            fits--; /* not before a continuation byte */
    }
    if (fits > 0)
        memcpy(c->out + c->whole, text, fits);
    if (fits < n && !c->full) {
        c->full = true;
        if (c->size > 0)
            c->out[c->whole + fits] = '\0';
    }
    c->whole += n;
}

size_t sg__text_cut_end(sg__cut *c)
{
    if (!c->full && c->size > 0)
        c->out[c->whole] = '\0';
    return c->whole;
}
