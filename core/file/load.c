/* Reads a regular file as a whole; everything else that a path can name is refused by name. */
#define _XOPEN_SOURCE 700
#include "core/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* As many bytes as there are, up to `size`; -1 and errno on failure. */
static ssize_t read_all(int fd, unsigned char *out, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, out + done, size - done);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)done;
}

static bool read_more(const sg__file_error *e, int fd, unsigned char *out, size_t size)
{
    ssize_t n = read_all(fd, out, size);
    if (n < 0) {
        return sg__file_errno(e, "read", errno);
    }
    return (size_t)n == size || sg__file_fail(e, SG_IO, "became shorter while it was read");
}

static void *load(const sg__file_error *e, int fd, sg__file_check *check, size_t *size)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        sg__file_errno(e, "read", errno);
        return NULL;
    }
    if (!S_ISREG(info.st_mode)) {
        sg__file_fail(e, SG_BAD_FILE,
                      S_ISDIR(info.st_mode) ? "is a directory" : "is not a regular file");
        return NULL;
    }
    if (info.st_size == 0) {
        sg__file_fail(e, SG_BAD_FILE, "is empty");
        return NULL;
    }
    *size = (size_t)info.st_size;
    unsigned char head[16];
    size_t head_size = *size < sizeof head ? *size : sizeof head;
    if (!read_more(e, fd, head, head_size) || !check(e, head, head_size, *size)) {
        return NULL;
    }
    unsigned char *bytes = malloc(*size);
    if (bytes == NULL) {
        sg__file_no_memory(e, *size);
        return NULL;
    }
    for (size_t i = 0; i < head_size; i++) {
        bytes[i] = head[i];
    }
    if (!read_more(e, fd, bytes + head_size, *size - head_size)) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

void *sg__file_load(const sg__file_error *e, sg__file_check *check, size_t *size)
{
    int fd;
    do { /* O_NONBLOCK: opening a FIFO must not wait for somebody to write into it */
        fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        sg__file_errno(e, "read", errno);
        return NULL;
    }
    void *bytes = load(e, fd, check, size);
    close(fd);
    return bytes;
}
