/* A folder of its own, and commands of the shell in it, for tests of whole programs. */
#ifndef SG_TESTS_SHELL_TEST_H
#define SG_TESTS_SHELL_TEST_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

enum { TEXT = 16384 };

static char folder[] = "/tmp/test_program_XXXXXX"; /* of mkdtemp, by a test's init */

/* Runs a command of the shell in the folder; its output, both streams, in text. Returns its status.
 */
static int run(char text[TEXT], const char *format, ...)
{
    char command[2048], all[2300];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    snprintf(all, sizeof all, "cd %s && PATH=%s:$PATH && { %s; } 2>&1", folder, SG_BIN_DIR,
             command);
    FILE *f = popen(all, "r");
    size_t n = fread(text, 1, TEXT - 1, f);
    text[n] = 0;
    return WEXITSTATUS(pclose(f));
}

static void end(void)
{
    char text[TEXT];
    cr_expect(run(text, "rm -rf %s", folder) == 0);
}

#endif
