/**
 * @file tests/comma_locale.h
 * A locale with a decimal comma, made when the system has none: to show that the locale plays no
 * part.
 *
 *     if (!enter_comma_locale())
 *         skip_test("no locale with a decimal comma can be made");
 *     ...
 *     leave_comma_locale();
 *
 * It is the locale of the whole process, so only for a test with no other threads running. A test
 * that fails inside leaves it when Check forks; what is asserted after leaving is safe either way.
 * What it makes lies in test_folder(), so remove_test_folder() is the test's teardown.
 */
#ifndef STELE_TESTS_COMMA_LOCALE_H
#define STELE_TESTS_COMMA_LOCALE_H

#include "support.h"

#include <fcntl.h>
#include <locale.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static inline bool set_comma_locale(const char *name)
{
    return setlocale(LC_ALL, name) != NULL && strcmp(localeconv()->decimal_point, ",") == 0;
}

/* Compile de_DE.UTF-8 from its source into test_folder(). Takes a second. */
static inline void make_comma_locale(void)
{
    extern char **environ;
    char program[] = "localedef";
    char arguments[5][16] = { "-i", "de_DE", "-f", "UTF-8" };
    char *path = strdup(test_path("de_DE.UTF-8"));
    char *const command[] = { program,      arguments[0], arguments[1], arguments[2],
                              arguments[3], path,         NULL };
    posix_spawn_file_actions_t quietly;
    pid_t child = -1;
    ck_assert_ptr_nonnull(path);
    ck_assert_int_eq(posix_spawn_file_actions_init(&quietly), 0);
    posix_spawn_file_actions_addopen(&quietly, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quietly, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&child, program, &quietly, NULL, command, environ) == 0)
        waitpid(child, NULL, 0);
    posix_spawn_file_actions_destroy(&quietly);
    free(path);
}

/* True when printf() now writes 1.5 as "1,5". False, in the locale "C", when there is no such. */
static inline bool enter_comma_locale(void)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (set_comma_locale(names[i]))
            return true;
    }
    make_comma_locale();
    setenv("LOCPATH", test_folder(), 1);
    if (set_comma_locale("de_DE.UTF-8"))
        return true;
    unsetenv("LOCPATH");
    setlocale(LC_ALL, "C");
    return false;
}

static inline void leave_comma_locale(void)
{
    unsetenv("LOCPATH");
    setlocale(LC_ALL, "C");
}

#endif
