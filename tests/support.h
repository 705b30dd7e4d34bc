/**
 * @file tests/support.h
 * What every test program shares: its main, skipping, and a folder to write in.
 *
 *     int main(void)
 *     {
 *         return run_suite(append_suite());
 *     }
 *
 * Everything here works the same whether Check forks for each test or not (CK_FORK=no).
 */
#ifndef STELE_TESTS_SUPPORT_H
#define STELE_TESTS_SUPPORT_H

#include <check.h>

/**
 * Run `suite`, print what failed and a last line that scripts/check.sh reads, and free the suite.
 *
 * @return The exit status for main().
 */
int run_suite(Suite *suite);

/**
 * Run the suites that `make` gives at the same time, each in a process of its own: for tests that
 * mostly wait. What they print comes one after the other, and the last line is of all.
 *
 * @return As run_suite().
 */
int run_suites_together(Suite *(*const make[])(void), size_t count);

/**
 * Leave the running test because this machine can't do what it needs. The skip is counted, and
 * fails the run unless tests/skips.txt lists it. Only in the body of START_TEST: it returns.
 */
#define skip_test(reason)                                                                          \
    do {                                                                                           \
        record_skip(__func__, (reason));                                                           \
        return;                                                                                    \
    } while (0)

/** What skip_test() calls. */
void record_skip(const char *function, const char *reason);

/**
 * The folder of the running test: absolute, without links, empty when first asked for. Borrowed
 * until remove_test_folder().
 */
const char *test_folder(void);

/** The path of `name` in test_folder(). Borrowed until remove_test_folder(). */
const char *test_path(const char *name);

/**
 * Remove the folder and all in it, if this process made one. A teardown for
 * tcase_add_checked_fixture(); what a crashed test leaves behind, run_suite() removes.
 */
void remove_test_folder(void);

/** The path of the command line tool, from STELE_TOOL. Borrowed for ever. */
const char *test_tool(void);

/** The path of a helper program, built from tests/`name`.c. Borrowed for ever. */
const char *test_program(const char *name);

#endif
