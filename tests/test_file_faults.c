/*
 * Paths and failures: what is no file is left alone, and nothing that happens to a writer harms the
 * file that was there before.
 */
#define _GNU_SOURCE
#include "tests/fault.h"
#include "tests/file_test.h"
#include "tests/oracle/safetensors_files.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* ---- paths -------------------------------------------------------------------------------- */

Test(file, refuses_what_is_no_file, .init = enter_folder, .fini = leave_folder)
{
    cr_assert(mkdir("folder", 0755) == 0 && mkfifo("fifo", 0644) == 0);
    cr_assert(symlink("loop", "loop") == 0);
    put_file("empty", "", 0);
    static const struct {
        const char *name;
        sg_status status;
        const char *message;
    } rows[] = {
        {"folder", SG_BAD_FILE, "folder: is a directory"},
        {"fifo", SG_BAD_FILE, "fifo: is not a regular file"},
        {"/dev/zero", SG_BAD_FILE, "/dev/zero: is not a regular file"},
        {"empty", SG_BAD_FILE, "empty: is empty"},
        {"missing", SG_IO, "missing: cannot be read: No such file or directory"},
        {"empty/m.st", SG_IO, "empty/m.st: cannot be read: Not a directory"},
        {"loop", SG_IO, "loop: cannot be read: Too many levels of symbolic links"},
        {"", SG_IO, ": cannot be read: No such file or directory"},
        {NULL, SG_IO, ": cannot be read: No such file or directory"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_null(sg__safetensors_read(rows[i].name, false, message, &status));
        cr_assert_str_eq(message, rows[i].message);
        cr_assert_eq(status, rows[i].status, "%s", message);
    }
}

Test(file, refuses_to_replace_what_is_no_file, .init = enter_folder, .fini = leave_folder)
{
    cr_assert(mkdir("folder", 0755) == 0 && mkfifo("fifo", 0644) == 0);
    cr_assert(symlink("loop", "loop") == 0 && symlink("nowhere", "dangling") == 0);
    cr_assert(symlink("/dev/null", "null") == 0);
    put_file("empty", "", 0);
    static const struct {
        const char *name, *message;
    } rows[] = {
        {"folder", "folder: cannot be written: it is a directory"},
        {"/", "/: cannot be written: No such file or directory"},
        {"fifo", "fifo: cannot be written: it is not a regular file"},
        {"null", "null: cannot be written: it is not a regular file"},
        {"/dev/null", "/dev/null: cannot be written: it is not a regular file"},
        {"dangling", "dangling: cannot be written: it is a symbolic link to nothing"},
        {"loop", "loop: cannot be written: Too many levels of symbolic links"},
        {"missing/m.st", "missing/m.st: cannot be written: No such file or directory"},
        {"empty/m.st", "empty/m.st: cannot be written: Not a directory"},
        {"", ": cannot be written: No such file or directory"},
        {NULL, ": cannot be written: No such file or directory"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert(!write_model(rows[i].name, ends));
        cr_assert_str_eq(message, rows[i].message);
        cr_assert_eq(status, SG_IO, "%s", message);
    }
    cr_assert_eq(count_entries(".", ".tmp"), 0);
}

Test(file, shortens_long_paths)
{
    char name[400];
    memset(name, 'x', sizeof name);
    strcpy(name + sizeof name - 8, "y/m.st");
    cr_assert_null(sg__safetensors_read(name, false, message, &status));
    char wanted[SG_MESSAGE];
    snprintf(wanted, sizeof wanted, "...%s: cannot be read: File name too long",
             name + strlen(name) - 200);
    cr_assert_str_eq(message, wanted);
}

Test(file, keeps_permissions_and_links, .init = enter_folder, .fini = leave_folder)
{
    struct stat info;
    umask(027);
    cr_assert(write_model("m.st", ends), "%s", message);
    cr_assert(stat("m.st", &info) == 0 && (info.st_mode & 07777) == 0640);
    cr_assert(chmod("m.st", 0606) == 0);
    cr_assert(write_model("m.st", other_ends), "%s", message);
    cr_assert(stat("m.st", &info) == 0 && (info.st_mode & 07777) == 0606);

    cr_assert(mkdir("links", 0755) == 0 && symlink("../m.st", "links/latest") == 0);
    cr_assert(write_model("links/latest", ends), "%s", message);
    cr_assert(lstat("links/latest", &info) == 0 && S_ISLNK(info.st_mode));
    cr_assert(lstat("m.st", &info) == 0 && S_ISREG(info.st_mode));
    sg__safetensors *s = sg__safetensors_read("m.st", true, message, &status);
    check_model(s, ends);
    sg__safetensors_free(s);
    cr_assert_eq(count_entries(".", ".tmp") + count_entries("links", ".tmp"), 0);
}

Test(file, writes_long_and_absolute_names, .init = enter_folder, .fini = leave_folder)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    cr_assert(write_model(name, ends), "%s", message);
    cr_assert(access(name, F_OK) == 0);
    char path[128];
    snprintf(path, sizeof path, "%s/m.st", folder);
    cr_assert(write_model(path, ends), "%s", message);
    cr_assert(access("m.st", F_OK) == 0);
}

/* ---- failures ----------------------------------------------------------------------------- */

static void check_file(const char *name, bool old)
{
    sg__safetensors *s = sg__safetensors_read(name, true, message, &status);
    check_model(s, old ? ends : other_ends);
    sg__safetensors_free(s);
    cr_assert_eq(count_entries(".", ".tmp"), 0);
}

/* Each system call of a write fails once, with writes of 64 bytes and with whole ones: the old file
 * stays until the rename, which is the call before the last two. */
Test(file, keeps_the_old_file_when_a_call_fails, .init = enter_folder, .fini = leave_folder)
{
    static const size_t pieces[] = {64, 0};
    static const int errors[] = {EIO, ENOSPC};
    for (int k = 0; k < 2; k++) {
        cr_assert(write_model("m.st", ends));
        memset(&fault_io, 0, sizeof fault_io);
        fault_io.piece = pieces[k];
        fault_io.on = true;
        bool ok = write_model("m.st", ends);
        fault_io.on = false;
        cr_assert(ok, "%s", message);
        long calls = fault_io.calls, kept = 0;
        /* open the directory, look, create, permissions, write; sync, close, rename, sync, close */
        cr_assert_str_eq(fault_io.log, k == 0 ? "oatmwwwwwwwwwwwwscnsc" : "oatmwwwwwscnsc");
        for (long i = 1; i <= calls; i++) {
            char failure[SG_MESSAGE];
            fault_io.calls = 0;
            fault_io.fail = i;
            fault_io.error = errors[k];
            fault_io.on = true;
            ok = write_model("m.st", other_ends);
            fault_io.on = false;
            strcpy(failure, message);
            cr_assert(ok || status == SG_IO, "call %ld", i);
            cr_assert(ok || strcmp(strrchr(failure, ':') + 2, strerror(errors[k])) == 0, "%s",
                      failure);
            cr_assert(ok || strncmp(failure,
                                    i > calls - 2 ? "m.st: cannot be synced, though it is"
                                                    " written: "
                                                  : "m.st: cannot be written: ",
                                    25) == 0,
                      "%s", failure);
            check_file("m.st", i <= calls - 2);
            kept += !ok;
            cr_assert(write_model("m.st", ends));
        }
        cr_assert_eq(kept, calls - 1); /* only closing the directory may fail unnoticed */
    }
}

Test(file, reports_failing_reads, .init = enter_folder, .fini = leave_folder)
{
    cr_assert(write_model("m.st", ends));
    for (fault_io.fail = 1; fault_io.fail <= 4; fault_io.fail++) { /* open, fstat, read, read */
        fault_io.calls = 0;
        fault_io.error = EIO;
        fault_io.on = true;
        sg__safetensors *s = sg__safetensors_read("m.st", true, message, &status);
        fault_io.on = false;
        cr_assert_null(s, "call %ld", fault_io.fail);
        cr_assert_eq(status, SG_IO);
        cr_assert_str_eq(message, "m.st: cannot be read: Input/output error");
    }
}

Test(file, goes_on_after_interrupts, .init = enter_folder, .fini = leave_folder)
{
    for (size_t piece = 1; piece < 100; piece *= 3) {
        memset(&fault_io, 0, sizeof fault_io);
        fault_io.piece = piece;
        fault_io.interrupts = true;
        fault_io.on = true;
        bool ok = write_model("m.st", ends);
        sg__safetensors *s = sg__safetensors_read("m.st", true, message, &status);
        fault_io.on = false;
        cr_assert(ok, "%s", message);
        check_model(s, ends);
        sg__safetensors_free(s);
        cr_assert_eq(count_entries(".", ".tmp"), 0);
    }
}

Test(file, keeps_the_old_file_at_a_size_limit, .init = enter_folder, .fini = leave_folder)
{
    cr_assert(write_model("m.st", ends));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    for (rlim_t size = 0; size < sizeof model_file; size += 97) {
        limit = (struct rlimit){size, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        bool ok = write_model("m.st", other_ends);
        setrlimit(RLIMIT_FSIZE, &old);
        cr_assert(!ok);
        cr_assert_eq(status, SG_IO);
        cr_assert_str_eq(message, "m.st: cannot be written: File too large");
        check_file("m.st", true);
    }
}

Test(file, keeps_the_old_file_in_a_locked_folder, .init = enter_folder, .fini = leave_folder)
{
    cr_assert(mkdir("locked", 0755) == 0);
    cr_assert(write_model("locked/m.st", ends) && chmod("locked", 0555) == 0);
    bool root = geteuid() == 0;
    cr_assert(!root || seteuid(65534) == 0);
    bool ok = write_model("locked/m.st", other_ends);
    cr_assert(!root || seteuid(0) == 0);
    cr_assert(!ok && status == SG_IO);
    cr_assert_str_eq(message, "locked/m.st: cannot be written: Permission denied");
    check_file("locked/m.st", true);
    cr_assert(chmod("locked", 0755) == 0);
}

/* A model of 300 kB, all of whose values are x. */
static bool write_large(float x)
{
    static float data[75000];
    for (int i = 0; i < 75000; i++) {
        data[i] = x;
    }
    const sg__file_tensor tensor = {"w", SG_F32, SG_SHAPE(300, 250), data};
    return sg__safetensors_write("m.st", 1, &tensor, 0, NULL, message, &status);
}

static void check_large(int lowest, int highest)
{
    sg__safetensors *s = sg__safetensors_read("m.st", true, message, &status);
    cr_assert_not_null(s, "%s", message);
    const float *x = s->tensors[0].data;
    cr_assert(x[0] >= (float)lowest && x[0] <= (float)highest);
    for (int i = 1; i < 75000; i++) {
        cr_assert_eq(x[i], x[0]);
    }
    sg__safetensors_free(s);
}

Test(file, survives_kills, .init = enter_folder, .fini = leave_folder)
{
    cr_assert(write_large(1));
    for (int round = 0; round < 40; round++) {
        pid_t child = fork();
        if (child == 0) {
            for (int x = 1; write_large((float)x); x = 3 - x) {
            }
            _exit(1);
        }
        nanosleep(&(struct timespec){0, 500000 + round * 137911 % 4000000}, NULL);
        int state;
        cr_assert(kill(child, SIGKILL) == 0 && waitpid(child, &state, 0) == child);
        cr_assert(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL);
        check_large(1, 2);
    }
}

Test(file, lets_many_write_at_once, .init = enter_folder, .fini = leave_folder)
{
    for (int k = 1; k <= 4; k++) {
        if (fork() == 0) {
            bool ok = true;
            for (int i = 0; i < 10; i++) {
                ok = ok && write_large((float)k);
            }
            _exit(ok ? 0 : 1);
        }
    }
    for (int k = 1; k <= 4; k++) {
        int state;
        cr_assert(wait(&state) > 0 && WIFEXITED(state) && WEXITSTATUS(state) == 0);
    }
    check_large(1, 4);
    cr_assert_eq(count_entries(".", ".tmp"), 0);
}

/* What a killed process left is neither used nor removed, even if its number comes back. */
Test(file, passes_over_leftovers, .init = enter_folder, .fini = leave_folder)
{
    char name[64];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, ".seqgrad-%ld-%x.tmp", (long)getpid(), i);
        fault_io.stopped_clock = fault_io.on = true;
        bool ok = write_model("m.st", ends);
        fault_io.on = false;
        cr_assert(ok, "%s", message);
        cr_assert_eq(count_entries(".", ".tmp"), i);
        put_file(name, "x", 1);
    }
    fault_io.on = true;
    bool ok = write_model("m.st", other_ends);
    fault_io.on = false;
    for (int i = 0; i < 100; i++) {
        struct stat info;
        snprintf(name, sizeof name, ".seqgrad-%ld-%x.tmp", (long)getpid(), i);
        cr_assert(stat(name, &info) == 0 && info.st_size == 1);
    }
    cr_assert(!ok && status == SG_IO);
    cr_assert_str_eq(message, "m.st: cannot be written: File exists");
}

Test(file, leaks_no_descriptors, .init = enter_folder, .fini = leave_folder)
{
    put_file("bad", "not a model, surely", 19);
    put_file("short", model_file, 200);
    cr_assert(mkdir("folder", 0755) == 0);
    static const char *const names[] = {"bad", "short", "folder", "missing", "m.st"};
    int before = count_entries("/proc/self/fd", "");
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(write_model("m.st", ends), true);
        cr_assert_eq(write_model("folder", ends), false);
        cr_assert_eq(write_model("folder/x/m.st", ends), false);
        sg__safetensors_free(sg__safetensors_read(names[i], true, message, &status));
    }
    cr_assert_eq(count_entries("/proc/self/fd", ""), before);
}

#ifndef FAULT_NO_MALLOC

static bool read_and_free(void)
{
    sg__safetensors *s = sg__safetensors_read("several.st", false, message, &status);
    sg__safetensors_free(s);
    return s != NULL;
}

static bool write_again(void)
{
    return write_model("m.st", other_ends);
}

/* Each allocation fails once: an ordinary error, nothing leaks, the old file stays. */
Test(file, survives_lack_of_memory, .init = enter_folder, .fini = leave_folder)
{
    if (!fault_malloc_works()) {
        cr_skip_test("malloc cannot be replaced here");
    }
    static bool (*const actions[])(void) = {read_and_free, write_again};
    put_file("several.st", several_file, sizeof several_file);
    for (int k = 0; k < 2; k++) {
        cr_assert(write_model("m.st", ends));
        bool ok = false;
        long i = 0;
        while (!ok) {
            memset(&fault_malloc, 0, sizeof fault_malloc);
            fault_malloc.fail = ++i;
            fault_malloc.on = true;
            ok = actions[k]();
            fault_malloc.on = false;
            cr_assert_eq(fault_malloc.live, 0, "allocation %ld: %ld blocks left", i,
                         fault_malloc.live);
            cr_assert_eq(status, ok ? SG_OK : SG_NO_MEMORY, "allocation %ld: %s", i, message);
            cr_assert_eq(ok, fault_malloc.calls < i, "allocation %ld", i);
            if (!ok) {
                check_file("m.st", true);
            }
        }
        cr_assert_geq(i, 6);
    }
}

#endif
