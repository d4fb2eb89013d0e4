/*
 * Writing SVG files. A file is written under a temporary name beside its own, synced and renamed,
 * so that a reader finds the old one or the new one and never a part. Text comes from labels, which
 * hold no character that XML forbids; here it is only escaped. No locale can change a number.
 */
#define _DEFAULT_SOURCE
#include "models/plot/draw.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first names a font of the viewer's that has Chinese; the last is always there. */
#define FONTS                                                                                      \
    "'Noto Sans CJK SC','Noto Sans SC','Microsoft YaHei','PingFang SC','Helvetica Neue',"          \
    "Arial,sans-serif"

static void fail_io(sg__svg *s, const char *what)
{
    sg_fail(s->g, SG_IO, "plot: cannot %s \"%s\": %s", what, s->path, strerror(errno));
}

/* A new file beside the path; taken names are left alone, as others may be writing. */
static int open_temporary(sg__svg *s)
{
    size_t room = strlen(s->path) + 48;
    int fd = -1;
    s->temporary = malloc(room);
    if (s->temporary == NULL) {
        errno = ENOMEM;
        return -1;
    }
    for (int i = 0; i < 100 && fd < 0; i++) {
        snprintf(s->temporary, room, "%s.%ld.%d.tmp", s->path, (long)getpid(), i);
        fd = open(s->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0) {
        int why = errno;
        free(s->temporary);
        s->temporary = NULL;
        errno = why;
    }
    return fd;
}

void sg__svg_open(sg__svg *s, sg_context *g, const char *path, double width, double height)
{
    struct stat now;
    *s = (sg__svg){.g = g, .path = path};
    bool special = lstat(path, &now) == 0 && !S_ISREG(now.st_mode); /* a link, /dev/stdout */
    int fd = special ? open(path, O_WRONLY | O_TRUNC | O_CLOEXEC) : open_temporary(s);
    s->f = fd < 0 ? NULL : fdopen(fd, "w");
    if (s->f == NULL) {
        fail_io(s, "write");
        if (fd >= 0)
            close(fd);
        if (s->temporary != NULL)
            unlink(s->temporary);
        free(s->temporary);
        s->temporary = NULL;
        return;
    }
    sg__text w = sg__px(width), h = sg__px(height);
    sg__svg_put(s,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%s\" height=\"%s\" "
                "viewBox=\"0 0 %s %s\" font-family=\"" FONTS "\" fill=\"#222\">\n"
                "<rect width=\"%s\" height=\"%s\" fill=\"#fff\"/>\n",
                w.s, h.s, w.s, h.s, w.s, h.s);
}

void sg__svg_close(sg__svg *s)
{
    if (s->f == NULL)
        return;
    sg__svg_put(s, "</svg>\n");
    errno = EIO; /* if an earlier write failed */
    bool sound = fflush(s->f) == 0 && !ferror(s->f);
    if (sound && s->temporary != NULL)
        sound = fsync(fileno(s->f)) == 0;
    sound = fclose(s->f) == 0 && sound;
    if (sound && s->temporary != NULL)
        sound = rename(s->temporary, s->path) == 0;
    if (!sound) {
        fail_io(s, "write");
        if (s->temporary != NULL)
            unlink(s->temporary);
    }
    free(s->temporary);
}

void sg__svg_put(sg__svg *s, const char *format, ...)
{
    va_list list;
    if (s->f == NULL)
        return;
    va_start(list, format);
    vfprintf(s->f, format, list);
    va_end(list);
}

void sg__svg_escape(sg__svg *s, const char *text)
{
    static const char *const special[][2] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}};
    for (; *text != '\0' && s->f != NULL; text++) {
        const char *name = NULL;
        for (size_t i = 0; i < sizeof special / sizeof *special; i++)
            if (*text == *special[i][0])
                name = special[i][1];
        if (name != NULL)
            fputs(name, s->f);
        else
            fputc(*text, s->f);
    }
}

void sg__svg_text(sg__svg *s, double x, double y, const char *more, const char *text)
{
    sg__svg_put(s, "<text x=\"%s\" y=\"%s\" %s>", sg__px(x).s, sg__px(y).s, more);
    sg__svg_escape(s, text);
    sg__svg_put(s, "</text>\n");
}

sg__text sg__px(double pixels)
{
    sg__text t;
    long tenths = lround(pixels * 10);
    snprintf(t.s, sizeof t.s, "%s%ld.%ld", tenths < 0 ? "-" : "", labs(tenths) / 10,
             labs(tenths) % 10);
    return t;
}
