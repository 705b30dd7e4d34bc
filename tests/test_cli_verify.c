/*
 * verify's options: which checks, how fast, repair, and Ctrl-C; and export of damaged stores.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <sqlite3.h>
#include <time.h>

/* --- Which --- */

START_TEST(only_the_checks_asked_for_are_run)
{
    make_loans();
    assert_out(STELE("verify", "--check", "positions", "--check", "meta"),
               "check\tok\tcount\tfailed\tfirst\trepaired\n"
               "meta\ttrue\t3\t0\t\tfalse\n"
               "positions\ttrue\t5\t0\t\tfalse\n");
}
END_TEST

START_TEST(unknown_check_is_refused_with_the_known_ones)
{
    make_loans();
    const ran *result = STELE("verify", "--check", "posisions");
    assert_refused(result, 2, "no check 'posisions'");
    assert_has(result->err, "positions");
    ck_assert_str_eq(result->out, "");
}
END_TEST

/* --- How fast --- */

START_TEST(rate_takes_the_letters_of_sizes)
{
    make_loans();
    static const char *const good[] = { "100000000", "900000k", "900000K", "800M", "3G" };
    static const char *const wrong[] = { "0", "-1", "x", "", "1T", "1kk", "1.5M", "99999999999G" };
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_code(STELE("verify", "--rate", good[i]), 0);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        const ran *result = STELE("verify", "--rate", wrong[i]);
        assert_refused(result, 2, "--rate");
        assert_has(result->err, "hint: such as");
    }
}
END_TEST

/* At a byte a second it would take hours; the first Ctrl-C ends it in an orderly way. */
START_TEST(interrupt_ends_it_with_130)
{
    make_loans();
    int output = open(test_path("run.out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child = start_tool(
        &(launch){ .arguments = ARGUMENTS("verify", "--rate", "1", "--check", "checksums") },
        output);
    close(output);
    /* A signal that comes before it is watched would kill: another run is then as good. */
    nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
    kill(child, SIGINT);
    int code = wait_for(child);
    char *err = read_whole(test_path("run.err"), NULL);
    ck_assert_msg(code == 130 || code == 256 + SIGINT, "code %d: %s", code, err);
    if (code == 130)
        assert_has(err, "error: interrupted while verifying\n");
    free(err);
}
END_TEST

/* --- Repair --- */

/* Take an entry out of the index of streams and versions. */
static void damage_index(void)
{
    sqlite3 *raw = NULL;
    sqlite3_stmt *statement = NULL;
    ck_assert_int_eq(sqlite3_open(test_path("store.db"), &raw), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(raw,
                                        "SELECT rootpage FROM sqlite_schema WHERE name ="
                                        " 'sqlite_autoindex_events_1'",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    int root = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    ck_assert_int_eq(sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, raw, "main", 1, root),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(raw,
                                  "CREATE TABLE imposter(stream, version, position,"
                                  " PRIMARY KEY(stream, version, position)) WITHOUT ROWID",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, raw, "main", 0, 0);
    ck_assert_int_eq(sqlite3_exec(raw, "DELETE FROM imposter WHERE position = 5", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
}

START_TEST(repair_mends_an_index_and_leaves_the_log_as_it_was)
{
    make_loans();
    const ran *before = STELE("export");
    damage_index();
    const ran *result = STELE("verify");
    assert_refused(result, 6, "damaged");
    assert_has(result->err, "--repair");

    result = STELE("verify", "--repair");
    assert_refused(result, 2,
                   "build damaged indexes of the store anew, and drop damaged snapshots?");
    assert_has(result->err, "hint: -y");
    assert_refused(STELE("verify"), 6, "damaged");

    result = STELE("verify", "--repair", "-y", "-o", "json");
    assert_code(result, 0);
    assert_json(result->out);
    assert_has(result->out, "{\"check\":\"sqlite\",\"ok\":true,");
    assert_has(result->out, "\"repaired\":true}");
    assert_code(STELE("verify"), 0);
    ck_assert_str_eq(STELE("export")->out, before->out);
    assert_lacks(STELE("verify", "--repair", "-y", "-o", "json")->out, "\"repaired\":true}");
}
END_TEST

START_TEST(repair_writes_and_is_refused_with_immutable)
{
    make_loans();
    assert_refused(STELE("verify", "--repair", "-y", "--immutable"), 2, "--immutable");
}
END_TEST

START_TEST(what_cannot_be_repaired_says_so)
{
    make_loans();
    sqlite3 *raw = NULL;
    ck_assert_int_eq(sqlite3_open(test_path("store.db"), &raw), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_exec(raw, "UPDATE events SET data = 1 WHERE position = 2", NULL, NULL, NULL),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    const ran *result = STELE("verify", "--repair", "-y");
    assert_refused(result, 6, "damaged");
    assert_has(result->err, "backup");
}
END_TEST

/* --- Export --- */

/* The log's end is where the file says it is; what the anchor names beyond it is missing. */
START_TEST(export_without_the_lost_events_fails)
{
    make_loans();
    size_t size;
    char *old = read_whole(test_path("store.db"), &size);
    assert_code(STELE("append", "loan-1", "Paid"), 0);
    write_whole(test_path("store.db"), old, size);
    free(old);

    const ran *result = STELE("export");

    assert_code(result, 6);
    ck_assert_uint_eq(count_lines(result->out), 5);
    assert_has(result->err, "error: events were lost: the log ends at 5, its anchor names 6\n");
    assert_has(result->err, "hint: stele doctor");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli verify");
    TCase *tests = tcase_create("verify");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_add_test(tests, only_the_checks_asked_for_are_run);
    tcase_add_test(tests, unknown_check_is_refused_with_the_known_ones);
    tcase_add_test(tests, rate_takes_the_letters_of_sizes);
    tcase_add_test(tests, interrupt_ends_it_with_130);
    tcase_add_test(tests, repair_mends_an_index_and_leaves_the_log_as_it_was);
    tcase_add_test(tests, repair_writes_and_is_refused_with_immutable);
    tcase_add_test(tests, what_cannot_be_repaired_says_so);
    tcase_add_test(tests, export_without_the_lost_events_fails);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
