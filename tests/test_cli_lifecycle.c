/*
 * archive, restore, tombstone and delete on the command line, and reading what they leave.
 */
#define _GNU_SOURCE

#include "cli_support.h"

#include <signal.h>
#include <sqlite3.h>

/* The archive beside the store of the test. */
static const char *make_archive(void)
{
    const char *path = test_path("archive.db");
    assert_code(STELE("init", "-s", path), 0);
    return path;
}

static void make_both(void)
{
    make_loans();
    make_archive();
}

#define ARCHIVE test_path("archive.db")

START_TEST(archive_in_place_closes_and_restore_opens_again)
{
    make_loans();
    assert_out(STELE("archive", "loan-1", "-y", "-o", "json"),
               "{\"v\":1,\"stream\":\"loan-1\",\"changed\":true,\"finished\":true,\"version\":3,"
               "\"position\":6,\"events\":0,\"bytes\":0,\"dry_run\":false}\n");
    const ran *refused = STELE("append", "loan-1", "Paid");
    assert_refused(refused, 7, "archived");
    assert_has(refused->err, "hint: stele restore loan-1");
    assert_code(STELE("read", "loan-1"), 0);
    assert_has(STELE("streams")->out, "loan-1\t3\t3\tarchived\t");
    assert_has(STELE("archive", "loan-1", "-y", "-o", "json")->out, "\"changed\":false");
    assert_has(STELE("restore", "loan-1", "-y", "-o", "json")->out, "\"changed\":true");
    assert_code(STELE("append", "loan-1", "Paid"), 0);
}
END_TEST

START_TEST(archive_to_another_store_and_back)
{
    make_both();
    const char *before = STELE("read", "loan-1", "-o", "jsonl")->out;
    const ran *moved = STELE("archive", "loan-1", "--to", ARCHIVE, "-y", "-o", "json");
    assert_code(moved, 0);
    assert_has(moved->out, "\"changed\":true,\"finished\":true,\"version\":3,\"position\":6,"
                           "\"events\":3,");
    const ran *refused = STELE("read", "loan-1");
    assert_refused(refused, 7, "archived");
    assert_has(refused->err, "hint: --archive FILE");
    ck_assert_str_eq(STELE("read", "loan-1", "-o", "jsonl", "--archive", ARCHIVE)->out, before);
    assert_has(STELE("info", "-o", "json")->out, "\"unfinished\":0,\"archived\":3,\"kept\":0}");
    assert_has(STELE("info", "-s", ARCHIVE, "-o", "json")->out, "\"archived\":0,\"kept\":3}");
    assert_has(STELE("restore", "loan-1", "-y", "-o", "json")->out, "\"events\":3,");
    ck_assert_str_eq(STELE("read", "loan-1", "-o", "jsonl")->out, before);
}
END_TEST

START_TEST(reads_say_how_many_events_they_left_out)
{
    make_both();
    const char *all = STELE("export")->out;
    assert_code(STELE("archive", "loan-1", "--to", ARCHIVE, "-y"), 0);
    const ran *result = STELE("export");
    assert_code(result, 0);
    ck_assert_uint_eq(count_lines(result->out), 2);
    ck_assert_str_eq(result->err, "note: 3 archived events left out\n"
                                  "hint: --archive FILE reads them from the store that has them\n");
    assert_has(STELE("read", "@all")->err, "note: 3 archived events left out");
    assert_has(STELE("tail")->err, "archived events left out");
    assert_out(STELE("export", "--archive", ARCHIVE), all);
    assert_out(STELE("export", "--archive", ARCHIVE, "--archive", ARCHIVE), all);
    assert_code(STELE("tail", "--archive", ARCHIVE), 0);
    assert_code(STELE("delete", "loan-1", "-y"), 0);
    ck_assert_str_eq(STELE("export", "--archive", ARCHIVE)->err,
                     "note: 3 erased events left out\n");
}
END_TEST

START_TEST(tombstone_needs_a_reason_and_closes_for_good)
{
    make_loans();
    const ran *refused = STELE("tombstone", "loan-1", "-y");
    assert_refused(refused, 2, "needs a reason");
    assert_has(refused->err, "hint: stele tombstone loan-1 --reason");
    assert_out(STELE("tombstone", "loan-1", "--reason", "paid back", "-y", "-o", "json"),
               "{\"v\":1,\"stream\":\"loan-1\",\"changed\":true,\"finished\":true,\"version\":3,"
               "\"position\":6,\"events\":0,\"bytes\":0,\"dry_run\":false}\n");
    assert_refused(STELE("append", "loan-1", "Paid"), 7, "tombstoned");
    refused = STELE("archive", "loan-1", "-y");
    assert_refused(refused, 7, "tombstoned");
    assert_has(refused->err, "hint: a tombstone is for good");
    assert_has(STELE("streams")->out, "loan-1\t3\t3\ttombstoned\t");
}
END_TEST

START_TEST(delete_erases_and_frees_the_name)
{
    make_loans();
    const ran *gone = _i == 0 ? STELE("delete", "loan-1", "-y", "-o", "json")
                              : STELE("delete", "loan-1", "--now", "-y", "-o", "json");
    assert_code(gone, 0);
    assert_has(gone->out, "\"changed\":true,\"finished\":true,\"version\":3,\"position\":6,"
                          "\"events\":3,");
    const ran *refused = STELE("read", "loan-1");
    assert_refused(refused, 3, "loan-1");
    refused = STELE("delete", "loan-1", "-y");
    assert_refused(refused, 3, "loan-1");
    assert_has(refused->err, "hint: stele streams lists them");
    assert_has(STELE("append", "loan-1", "Asked", "-o", "json")->out, "\"version\":1,");
    assert_code(STELE("verify"), 0);
}
END_TEST

START_TEST(archive_that_is_gone_is_asked_for)
{
    make_both();
    assert_code(STELE("archive", "loan-1", "--to", ARCHIVE, "-y"), 0);
    char from[512];
    snprintf(from, sizeof(from), "%s", ARCHIVE);
    ck_assert_int_eq(rename(from, test_path("elsewhere.db")), 0);
    const ran *refused = STELE("restore", "loan-1", "-y");
    assert_refused(refused, 7, from);
    assert_has(refused->err, "hint: --from FILE");
    refused = STELE("delete", "loan-1", "-y");
    assert_refused(refused, 7, from);
    assert_has(refused->err, "hint: --archive FILE");
    if (_i == 0) {
        assert_code(STELE("restore", "loan-1", "--from", test_path("elsewhere.db"), "-y"), 0);
        assert_code(STELE("read", "loan-1"), 0);
    } else if (_i == 1) {
        const ran *gone = STELE("delete", "loan-1", "--archive", test_path("elsewhere.db"), "-y");
        assert_code(gone, 0);
        assert_has(STELE("info", "-s", test_path("elsewhere.db"), "-o", "json")->out,
                   "\"kept\":0}");
    } else {
        const ran *gone = STELE("delete", "loan-1", "--leave-archived", "-y", "-o", "json");
        assert_code(gone, 0);
        assert_has(gone->out, "\"changed\":true,\"finished\":false,");
        assert_has(gone->err, "note: copies are left");
        assert_has(STELE("info", "-o", "json")->out, "\"unfinished\":1,");
    }
}
END_TEST

/* --- Asking --- */

static const char *const *const changes[] = {
    ARGUMENTS("archive", "loan-1"),
    ARGUMENTS("restore", "loan-1"),
    ARGUMENTS("tombstone", "loan-1", "--reason", "r"),
    ARGUMENTS("delete", "loan-1"),
};

START_TEST(script_must_say_yes)
{
    make_loans();
    launch how = { .arguments = changes[_i] };
    const ran *refused = run_tool(&how);
    assert_refused(refused, 2, "must be confirmed");
    assert_has(refused->err, "hint: -y says yes");
    assert_has(STELE("info", "-o", "json")->out, "\"head\":5,");
}
END_TEST

START_TEST(dry_run_counts_without_asking_and_changes_nothing)
{
    make_loans();
    const ran *counted = STELE("delete", "loan-1", "--dry-run", "-o", "json");
    assert_code(counted, 0);
    assert_has(counted->out, "\"changed\":false,");
    assert_has(counted->out, "\"events\":3,");
    assert_has(counted->out, "\"dry_run\":true}");
    assert_code(STELE("archive", "loan-1", "--dry-run"), 0);
    assert_code(STELE("restore", "loan-1", "--dry-run"), 0);
    assert_code(STELE("tombstone", "loan-1", "--reason", "r", "--dry-run"), 0);
    assert_has(STELE("info", "-o", "json")->out, "\"head\":5,");
}
END_TEST

START_TEST(terminal_is_asked)
{
    make_loans();
    const ran *no = answer_on_terminal(ARGUMENTS("delete", "loan-1"), _i == 0 ? "n\n" : "\n");
    assert_code(no, 1);
    assert_has(no->err, "erase stream 'loan-1' (3 events, ");
    assert_has(no->err, "[y/N]");
    assert_has(no->err, "nothing was changed");
    ck_assert_str_eq(no->out, "");
    assert_has(STELE("info", "-o", "json")->out, "\"head\":5,");
    const ran *yes = answer_on_terminal(ARGUMENTS("delete", "loan-1"), "y\n");
    assert_code(yes, 0);
    assert_has(yes->out, "changed\ttrue\n");
    assert_refused(STELE("read", "loan-1"), 3, "loan-1");
}
END_TEST

/* --- Ctrl-C --- */

#define MANY 20000

static void make_many(void)
{
    FILE *lines = fopen(test_path("many.jsonl"), "w");
    ck_assert_ptr_nonnull(lines);
    for (int i = 0; i < MANY; i++)
        fprintf(lines, "{\"stream\":\"loan-1\",\"type\":\"Paid\",\"data\":%d}\n", i);
    ck_assert_int_eq(fclose(lines), 0);
    make_store();
    make_archive();
    assert_code(STELE("import", test_path("many.jsonl"), "--batch", "10000"), 0);
}

/* In the middle of it, if the tool isn't faster. */
static const ran *interrupt_once_begun(const char *const *arguments)
{
    launch how = { .arguments = arguments };
    int output = open(test_path("run.out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(output, 0);
    sqlite3 *raw = NULL;
    ck_assert_int_eq(sqlite3_open_v2(test_path("store.db"), &raw, SQLITE_OPEN_READONLY, NULL),
                     SQLITE_OK);
    pid_t child = start_tool(&how, output);
    close(output);
    siginfo_t ended = { 0 };
    for (bool begun = false; !begun && ended.si_pid == 0;) {
        waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT);
        sqlite3_stmt *statement = NULL;
        if (sqlite3_prepare_v2(raw, "SELECT 1 FROM unfinished", -1, &statement, NULL) == SQLITE_OK)
            begun = sqlite3_step(statement) == SQLITE_ROW;
        sqlite3_finalize(statement);
    }
    kill(child, SIGINT);
    sqlite3_close(raw);
    int code = wait_for(child);
    size_t size;
    char *out = read_whole(test_path("run.out"), &size);
    return note_run(code, out, size);
}

START_TEST(ctrl_c_ends_orderly_and_says_how_to_go_on)
{
    make_many();
    const ran *cut = _i == 0
                         ? interrupt_once_begun(
                             ARGUMENTS("archive", "loan-1", "--to", ARCHIVE, "-y", "-o", "json"))
                         : interrupt_once_begun(ARGUMENTS("delete", "loan-1", "-y", "-o", "json"));
    printf("%s: exit code %d\n", _i == 0 ? "archive" : "delete", cut->code);
    if (cut->code != 0) {
        assert_code(cut, 130);
        assert_has(cut->err, "error: interrupted: ");
        assert_has(cut->err, "hint: ");
        assert_has(cut->out, "\"changed\":true,\"finished\":false,");
        assert_has(STELE("info", "-o", "json")->out, "\"unfinished\":1,");
    }
    assert_code(STELE("append", "desk-1", "Opened"), 0); /* goes on with it */
    const ran *info = STELE("info", "-o", "json");
    assert_has(info->out, "\"unfinished\":0,");
    assert_has(info->out, _i == 0 ? "\"archived\":20000," : "\"archived\":0,");
    ck_assert_uint_eq(count_lines(STELE("export", "--archive", ARCHIVE)->out),
                      _i == 0 ? MANY + 1 : 1);
}
END_TEST

/* --- Expectations and mistakes --- */

START_TEST(ctrl_c_in_a_restore_says_that_it_had_begun)
{
    make_many();
    assert_code(STELE("archive", "loan-1", "--to", ARCHIVE, "-y"), 0);
    const ran *cut = interrupt_once_begun(ARGUMENTS("restore", "loan-1", "-y", "-o", "json"));
    printf("restore: exit code %d\n", cut->code);
    if (cut->code == 0)
        return;
    assert_code(cut, 130);
    assert_has(cut->out, "\"changed\":true,\"finished\":false,");
    assert_has(cut->err, "error: interrupted: restore of 'loan-1' isn't finished");
    assert_has(STELE("info", "-o", "json")->out, "\"unfinished\":1,");
}
END_TEST

START_TEST(expected_version_is_compared)
{
    make_loans();
    const ran *refused = STELE("delete", "loan-1", "--expect", "2", "-y");
    assert_refused(refused, 4, "version 3, expected 2");
    assert_has(refused->err, "hint: see where it is: stele read loan-1 --backward --limit 1");
    assert_code(STELE("tombstone", "loan-1", "--reason", "r", "--expect", "3", "-y"), 0);
    assert_refused(STELE("delete", "loan-1", "--expect", "none", "-y"), 2, "--expect");
}
END_TEST

START_TEST(mistakes_have_exit_codes)
{
    make_both();
    assert_refused(STELE("archive", "nobody", "-y"), 3, "nobody");
    assert_refused(STELE("archive", "loan-1", "--to", test_path("no.db"), "-y"), 3, "no.db");
    ck_assert_int_ne(access(test_path("no.db"), F_OK), 0);
    assert_refused(STELE("archive", "loan-1", "--to", test_path("store.db"), "-y"), 2, "its own");
    assert_refused(STELE("archive", "$stele", "-y"), 2, "$stele");
    assert_refused(STELE("restore", "nobody", "-y"), 3, "nobody");
    assert_refused(STELE("read", "loan-1", "--archive", test_path("no.db")), 3, "no.db");
    assert_refused(STELE("read", "loan-1", "--archive", test_path("store.db")), 2, "its own");
    assert_refused(STELE("archive", "loan-1", "--immutable", "-y"), 2, "--immutable");
}
END_TEST

START_TEST(scrub_leaves_nothing_of_what_was_deleted_without_now)
{
    make_loans();
    assert_code(STELE("append", "gone-1", "Told", "{\"mark\":\"SECRETMARK\"}"), 0);
    assert_code(STELE("delete", "gone-1", "-y"), 0);
    assert_refused(STELE("scrub"), 2, "must be confirmed");

    const ran *result = STELE("scrub", "-y", "-o", "json");

    assert_code(result, 0);
    assert_has(result->out, "{\"v\":1,\"bytes_before\":");
    size_t size;
    char *file = read_whole(test_path("store.db"), &size);
    ck_assert_ptr_null(memmem(file, size, "SECRETMARK", 10));
    free(file);
    assert_code(STELE("verify"), 0);
}
END_TEST

START_TEST(verify_and_copy_read_through_an_archive)
{
    make_both();
    assert_code(STELE("archive", "loan-1", "--to", ARCHIVE, "-y"), 0);

    assert_code(STELE("verify", "--archive", ARCHIVE), 0);
    assert_refused(STELE("copy", test_path("copy.db")), 7, "archive");
    const ran *copied = STELE("copy", test_path("whole.db"), "--archive", ARCHIVE, "-o", "json");
    assert_code(copied, 0);
    assert_has(copied->out, "\"skipped_archived\":0");
    assert_code(STELE("-s", test_path("whole.db"), "read", "loan-1"), 0);
}
END_TEST

static Suite *cli_lifecycle_suite(void)
{
    Suite *suite = suite_create("cli_lifecycle");
    TCase *tests = tcase_create("lifecycle");
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, archive_in_place_closes_and_restore_opens_again);
    tcase_add_test(tests, archive_to_another_store_and_back);
    tcase_add_test(tests, reads_say_how_many_events_they_left_out);
    tcase_add_test(tests, tombstone_needs_a_reason_and_closes_for_good);
    tcase_add_loop_test(tests, delete_erases_and_frees_the_name, 0, 2);
    tcase_add_loop_test(tests, archive_that_is_gone_is_asked_for, 0, 3);
    tcase_add_loop_test(tests, script_must_say_yes, 0, 4);
    tcase_add_test(tests, dry_run_counts_without_asking_and_changes_nothing);
    tcase_add_loop_test(tests, terminal_is_asked, 0, 2);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, ctrl_c_ends_orderly_and_says_how_to_go_on, 0, 2);
    tcase_add_test(tests, ctrl_c_in_a_restore_says_that_it_had_begun);
    tcase_add_test(tests, expected_version_is_compared);
    tcase_add_test(tests, mistakes_have_exit_codes);
    tcase_add_test(tests, scrub_leaves_nothing_of_what_was_deleted_without_now);
    tcase_add_test(tests, verify_and_copy_read_through_an_archive);
    return suite;
}

int main(void)
{
    return run_suite(cli_lifecycle_suite());
}
