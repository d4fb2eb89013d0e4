/*
 * Replaces a file as a whole: a temporary file in the same directory is written, synced and
 * renamed, then the directory is synced. Names are relative to the opened directory, so that a
 * directory that is moved meanwhile changes nothing. A kill may leave a file ".seqgrad-*.tmp"
 * behind, which nobody reads.
 */
#define _XOPEN_SOURCE 700
#include "core/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 100 }; /* of names for the temporary file */

typedef struct target {
    int directory;
    const char *name; /* in the directory */
    bool exists;
    mode_t mode; /* permissions of the file that exists */
    char temporary[64];
} target;

static int write_all(int fd, int n, const sg__file_part *parts)
{
    for (int i = 0; i < n; i++) {
        const unsigned char *data = parts[i].data;
        size_t left = parts[i].size;
        while (left > 0) {
            ssize_t done = write(fd, data, left);
            if (done < 0 && errno != EINTR) {
                return errno;
            }
            if (done > 0) {
                data += done;
                left -= (size_t)done;
            }
        }
    }
    return 0;
}

/* Some file systems cannot sync, directories above all, and say EINVAL: nothing is lost by it. */
static int sync_all(int fd)
{
    while (fsync(fd) != 0) {
        if (errno != EINTR) {
            return errno == EINVAL ? 0 : errno;
        }
    }
    return 0;
}

static int open_temporary(target *t)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    for (long i = 0; i < TRIES; i++) {
        snprintf(t->temporary, sizeof t->temporary, ".seqgrad-%ld-%lx.tmp", (long)getpid(),
                 now.tv_nsec + i);
        /* never readable for more people than the old file, not even while it is empty */
        int fd = openat(t->directory, t->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                        t->exists ? t->mode : 0666);
        if (fd >= 0 || (errno != EEXIST && errno != EINTR)) {
            return fd;
        }
    }
    errno = EEXIST;
    return -1;
}

static int fill(const target *t, int fd, int n, const sg__file_part *parts)
{
    int error = t->exists && fchmod(fd, t->mode) != 0 ? errno : write_all(fd, n, parts);
    if (error == 0) {
        error = sync_all(fd);
    }
    if (close(fd) != 0 && error == 0 && errno != EINTR) { /* Linux has closed it all the same */
        error = errno;
    }
    return error;
}

static bool replace(const sg__file_error *e, target *t, int n, const sg__file_part *parts)
{
    int fd = open_temporary(t);
    if (fd < 0) {
        return sg__file_errno(e, "written", errno);
    }
    int error = fill(t, fd, n, parts);
    if (error == 0 && renameat(t->directory, t->temporary, t->directory, t->name) != 0) {
        error = errno;
    }
    if (error != 0) {
        unlinkat(t->directory, t->temporary, 0);
        return sg__file_errno(e, "written", error);
    }
    error = sync_all(t->directory);
    return error == 0 || sg__file_errno(e, "synced, though it is written", error);
}

/* Only a regular file is replaced: renaming over /dev/null would destroy it. */
static bool look(const sg__file_error *e, target *t)
{
    struct stat info;
    if (fstatat(t->directory, t->name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        t->exists = true;
        t->mode = info.st_mode & 0777;
        if (!S_ISREG(info.st_mode)) {
            return sg__file_fail(e, SG_IO, "cannot be written: %s",
                                 S_ISDIR(info.st_mode) ? "it is a directory"
                                                       : "it is not a regular file");
        }
    } else if (errno != ENOENT) {
        return sg__file_errno(e, "written", errno);
    }
    return true;
}

/* The path with its symbolic links followed, to be freed: only links to nothing are errors, since
 * what they lead to has no directory that we could know. */
static char *resolve(const sg__file_error *e)
{
    char *path = realpath(e->path, NULL), link;
    if (path != NULL) {
        return path;
    }
    if (errno != ENOENT) {
        sg__file_errno(e, "written", errno);
    } else if (readlink(e->path, &link, 1) >= 0) {
        sg__file_fail(e, SG_IO, "cannot be written: it is a symbolic link to nothing");
    } else {
        size_t size = strlen(e->path) + 1;
        path = malloc(size);
        if (path == NULL) {
            sg__file_no_memory(e, size);
            return NULL;
        }
        memcpy(path, e->path, size);
    }
    return path;
}

bool sg__file_replace(const sg__file_error *e, int n, const sg__file_part *parts)
{
    char *path = resolve(e);
    if (path == NULL) {
        return false;
    }
    char *slash = strrchr(path, '/');
    const char *directory = slash == NULL ? "." : slash == path ? "/" : path;
    target t = {.name = slash == NULL ? path : slash + 1};
    if (slash != NULL) {
        *slash = '\0';
    }
    do {
        t.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (t.directory < 0 && errno == EINTR);
    bool done = t.directory >= 0 ? look(e, &t) && replace(e, &t, n, parts)
                                 : sg__file_errno(e, "written", errno);
    if (t.directory >= 0) {
        close(t.directory);
    }
    free(path);
    return done;
}
