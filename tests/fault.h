/*
 * Makes system calls and allocations of this process fail on purpose. The functions below take the
 * place of libc's for everything that is linked to the test, so that the library needs no hooks.
 * Included by one file of a test program.
 */
#ifndef SG_TESTS_FAULT_H
#define SG_TESTS_FAULT_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The sanitizer's allocator must not be replaced: there, tests of allocations do not exist. */
#if defined(__SANITIZE_ADDRESS__)
#define FAULT_NO_MALLOC
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAULT_NO_MALLOC
#endif
#endif

static struct {
    long calls;         /* seen while `on` */
    long fail;          /* the number of the call that fails, from 1; 0: none */
    int error;          /* with which errno */
    size_t piece;       /* read and write move at most as many bytes; 0: no limit */
    bool interrupts;    /* every second call fails with EINTR */
    bool stopped_clock; /* the time is always 0 */
    bool on, interrupted;
    char log[256]; /* a letter for each call: those below */
} fault_io;

static bool fault_io_here(char call, bool restartable)
{
    if (!fault_io.on) {
        return false;
    }
    fault_io.interrupted = fault_io.interrupts && restartable && !fault_io.interrupted;
    if (fault_io.interrupted) {
        errno = EINTR;
        return true;
    }
    if (fault_io.calls < (long)sizeof fault_io.log - 1) {
        fault_io.log[fault_io.calls] = call;
        fault_io.log[fault_io.calls + 1] = '\0';
    }
    fault_io.calls++;
    if (fault_io.calls == fault_io.fail) {
        errno = fault_io.error;
        return true;
    }
    return false;
}

/* The function that this one stands in for */
#define FAULT_REAL(type, name)                                                                     \
    static type *real;                                                                             \
    if (real == NULL) {                                                                            \
        *(void **)&real = dlsym(RTLD_NEXT, name);                                                  \
    }

typedef int fault_open(const char *, int, ...);
typedef int fault_openat(int, const char *, int, ...);
typedef ssize_t fault_write(int, const void *, size_t);
typedef ssize_t fault_read(int, void *, size_t);
typedef int fault_fd(int);
typedef int fault_fchmod(int, mode_t);
typedef int fault_renameat(int, const char *, int, const char *);
typedef int fault_fstat(int, struct stat *);
typedef int fault_fstatat(int, const char *, struct stat *, int);
typedef int fault_clock(clockid_t, struct timespec *);

int open(const char *path, int flags, ...)
{
    FAULT_REAL(fault_open, "open")
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fault_io_here('o', true) ? -1 : real(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    FAULT_REAL(fault_openat, "openat")
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fault_io_here('t', true) ? -1 : real(directory, path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t size)
{
    FAULT_REAL(fault_write, "write")
    size_t some =
        fault_io.on && fault_io.piece > 0 && fault_io.piece < size ? fault_io.piece : size;
    return fault_io_here('w', true) ? -1 : real(fd, data, some);
}

ssize_t read(int fd, void *data, size_t size)
{
    FAULT_REAL(fault_read, "read")
    size_t some =
        fault_io.on && fault_io.piece > 0 && fault_io.piece < size ? fault_io.piece : size;
    return fault_io_here('r', true) ? -1 : real(fd, data, some);
}

int fsync(int fd)
{
    FAULT_REAL(fault_fd, "fsync")
    return fault_io_here('s', true) ? -1 : real(fd);
}

int close(int fd)
{
    FAULT_REAL(fault_fd, "close")
    bool fails = fault_io_here('c', false);
    int error = errno, result = real(fd); /* closed in any case, as on Linux */
    if (fails) {
        errno = error;
    }
    return fails ? -1 : result;
}

int fchmod(int fd, mode_t mode)
{
    FAULT_REAL(fault_fchmod, "fchmod")
    return fault_io_here('m', false) ? -1 : real(fd, mode);
}

int renameat(int from, const char *old, int to, const char *new)
{
    FAULT_REAL(fault_renameat, "renameat")
    return fault_io_here('n', false) ? -1 : real(from, old, to, new);
}

int fstat(int fd, struct stat *info)
{
    FAULT_REAL(fault_fstat, "fstat")
    return fault_io_here('i', false) ? -1 : real(fd, info);
}

int fstatat(int directory, const char *path, struct stat *info, int flags)
{
    FAULT_REAL(fault_fstatat, "fstatat")
    return fault_io_here('a', false) ? -1 : real(directory, path, info, flags);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    FAULT_REAL(fault_clock, "clock_gettime")
    if (fault_io.on && fault_io.stopped_clock) {
        *now = (struct timespec){0, 0};
        return 0;
    }
    return real(clock, now);
}

#ifndef FAULT_NO_MALLOC

static struct {
    long calls, fail; /* as above */
    long live;        /* blocks allocated less blocks freed, while on */
    bool on, forever; /* forever: all calls from `fail` on fail */
} fault_malloc;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);
void *__libc_memalign(size_t alignment, size_t size);

static bool fault_malloc_here(void)
{
    if (!fault_malloc.on) {
        return false;
    }
    fault_malloc.calls++;
    bool later =
        fault_malloc.forever && fault_malloc.fail && fault_malloc.calls > fault_malloc.fail;
    if (fault_malloc.calls == fault_malloc.fail || later) {
        errno = ENOMEM;
        return true;
    }
    return false;
}

static void *fault_count(void *p)
{
    fault_malloc.live += fault_malloc.on && p != NULL;
    return p;
}

void *malloc(size_t size)
{
    return fault_malloc_here() ? NULL : fault_count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fault_malloc_here() ? NULL : fault_count(__libc_calloc(n, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fault_malloc_here() ? NULL : fault_count(__libc_memalign(alignment, size));
}

void *realloc(void *p, size_t size)
{
    if (fault_malloc_here()) {
        return NULL;
    }
    return p == NULL ? fault_count(__libc_malloc(size)) : __libc_realloc(p, size);
}

void free(void *p)
{
    fault_malloc.live -= fault_malloc.on && p != NULL;
    __libc_free(p);
}

/* Not under valgrind, which has replaced malloc before. */
static inline bool fault_malloc_works(void)
{
    void *(*volatile allocate)(size_t) = malloc; /* or the compiler leaves it out */
    fault_malloc.calls = 0;
    fault_malloc.on = true;
    void *probe = allocate(1);
    fault_malloc.on = false;
    free(probe);
    return fault_malloc.calls == 1;
}

#endif
#endif
