/*
 * doctor: each trouble that can be made up has its row, with what to do about it.
 */
#define _XOPEN_SOURCE 700

#include "cli_shards.h"

#include <dirent.h>
#include <sqlite3.h>
#include <time.h>

#include <stele/checkpoint.h>
#include <stele/eventstore.h>
#include <stele/shard_work.h>
#include <stele/store.h>

#include "store/fence.h"

/* The row of `check` is `status`, and has `part` in it; the plain rows of a run. */
static void expect_row(const ran *result, const char *status, const char *check, const char *part)
{
    char head[64];
    size_t size = (size_t)snprintf(head, sizeof(head), "%s\t%s\t", status, check);
    const char *line = result->out;
    for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (strncmp(line, head, size) != 0)
            continue;
        char row[1024];
        snprintf(row, sizeof(row), "%.*s", (int)strcspn(line, "\n"), line);
        const char *fix = strrchr(row, '\t');
        ck_assert_msg((strcmp(status, "ok") == 0) == (fix[1] == '\0'), "fix of '%s'", row);
        if (strstr(row, part) != NULL)
            return;
    }
    ck_abort_msg("no row '%s' with '%s':\n%s", head, part, result->out);
}

#define expect_good(result)                                                                        \
    do {                                                                                           \
        const ran *good_ = (result);                                                               \
        assert_code(good_, 0);                                                                     \
        assert_lacks(good_->out, "bad\t");                                                         \
    } while (0)

#define expect_bad_row(result, check, part)                                                        \
    do {                                                                                           \
        const ran *bad_ = (result);                                                                \
        assert_refused(bad_, 6, "of these");                                                       \
        assert_has(bad_->err, "hint: ");                                                           \
        expect_row(bad_, "bad", check, part);                                                      \
    } while (0)

/* --- A whole store --- */

START_TEST(whole_store_has_nothing_to_be_mended)
{
    make_loans();
    const ran *result = STELE("doctor");
    expect_good(result);
    ck_assert_str_eq(result->err, "");
    assert_has(result->out, "status\tcheck\tfinding\tfix\n");
    assert_lacks(result->out, "warn\t");
    static const char *const checks[] = {
        "file",   "folder", "disk", "processes", "sqlite",     "filesystem", "schema",
        "anchor", "fence",  "wal",  "space",     "unfinished", "clock",      "checkpoint",
    };
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        expect_row(result, "ok", checks[i], "");
    expect_row(result, "skip", "readers", "not tried");
    ck_assert_uint_eq(count_lines(result->out), COUNT_OF(checks) + 2);
    expect_row(result, "ok", "sqlite", sqlite3_libversion());
}
END_TEST

START_TEST(rows_are_the_same_in_every_format)
{
    make_loans();
    size_t rows = count_lines(STELE("doctor")->out) - 1;
    const ran *lines = STELE("doctor", "-o", "jsonl");
    assert_json_lines(lines->out);
    ck_assert_uint_eq(count_lines(lines->out), rows);
    assert_has(lines->out, "{\"status\":\"ok\",\"check\":\"anchor\",\"finding\":\"");
    const ran *whole = STELE("doctor", "-o", "json");
    assert_json(whole->out);
    assert_has(whole->out, "{\"v\":1,\"rows\":[{\"status\":\"ok\",\"check\":\"file\",");
    ck_assert_uint_eq(count_lines(STELE("doctor", "-o", "table")->out), rows + 1);
}
END_TEST

START_TEST(missing_store_is_not_found_and_a_damaged_one_is_bad)
{
    assert_refused(STELE("doctor"), 3, "there is no file");
    make_loans();
    size_t size;
    char *bytes = read_whole(test_path("store.db"), &size);
    bytes[0] = 'X';
    write_whole(test_path("store.db"), bytes, size);
    free(bytes);
    expect_bad_row(STELE("doctor"), "store", "can't be opened");
}
END_TEST

/* --- Files --- */

START_TEST(file_that_others_can_change_is_bad)
{
    make_loans();
    ck_assert_int_eq(chmod(test_path("store.db"), 0644), 0);
    expect_good(STELE("doctor"));
    ck_assert_int_eq(chmod(test_path("store.db"), 0660), 0);
    const ran *result = STELE("doctor");
    expect_good(result);
    expect_row(result, "warn", "file", "0660");
    ck_assert_int_eq(chmod(test_path("store.db"), 0666), 0);
    expect_bad_row(STELE("doctor"), "file", "0666");
}
END_TEST

START_TEST(folder_and_companions_that_others_can_change_are_bad)
{
    make_loans();
    ck_assert_int_eq(chmod(test_folder(), 0777), 0);
    expect_bad_row(STELE("doctor"), "folder", "0777");
    ck_assert_int_eq(chmod(test_folder(), 01777), 0);
    expect_row(STELE("doctor"), "warn", "folder", "1777");
    ck_assert_int_eq(chmod(test_folder(), 0700), 0);
    ck_assert_int_eq(chmod(test_path("store.db-anchor"), 0666), 0);
    expect_bad_row(STELE("doctor"), "companions", "-anchor");
}
END_TEST

START_TEST(owner_who_is_another_is_a_warning)
{
    if (geteuid() != 0)
        skip_test("only root can give a file away");
    make_loans();
    ck_assert_int_eq(chown(test_path("store.db-anchor"), 12345, (gid_t)-1), 0);
    expect_row(STELE("doctor"), "warn", "companions", "12345");
    ck_assert_int_eq(chown(test_path("store.db"), 12345, (gid_t)-1), 0);
    expect_row(STELE("doctor"), "warn", "file", "12345");
}
END_TEST

/* --- Other processes --- */

/* A process at work on the store until `stop_other()`. */
typedef struct other {
    pid_t process;
    int stop; /* closing it ends the process */
} other;

static other start_other(void (*begin)(void))
{
    int ready[2];
    int stop[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(stop), 0);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(ready[0]);
        close(stop[1]);
        begin();
        if (write(ready[1], "r", 1) != 1 || read(stop[0], &byte, 1) != 0)
            _exit(1);
        _exit(0);
    }
    close(ready[1]);
    close(stop[0]);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    fcntl(stop[1], F_SETFD, FD_CLOEXEC);
    return (other){ child, stop[1] };
}

static void stop_other(other of)
{
    close(of.stop);
    ck_assert_int_eq(wait_for(of.process), 0);
}

static void run_foreign(const char *sql)
{
    sqlite3 *raw = NULL;
    if (sqlite3_open_v2(test_path("store.db"), &raw, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK
        || sqlite3_exec(raw, sql, NULL, NULL, NULL) != SQLITE_OK)
        _exit(2);
}

static void write_as_foreigner(void)
{
    run_foreign("CREATE TABLE IF NOT EXISTS mine(n)");
}

static void read_as_foreigner(void)
{
    run_foreign("BEGIN; SELECT count(*) FROM events");
}

static void open_as_one_of_us(void)
{
    stele_store *store = NULL;
    if (stele_store_open(test_path("store.db"), NULL, &store) != STELE_OK)
        _exit(2);
}

START_TEST(foreign_writer_is_named_and_one_of_ours_is_not)
{
#ifndef __linux__
    skip_test("only Linux tells who has a file open");
#endif
    make_loans();
    other ours = start_other(open_as_one_of_us);
    const ran *result = STELE("doctor");
    expect_row(result, "ok", "processes", "1 of this library");
    other foreign = start_other(write_as_foreigner);
    char part[32];
    snprintf(part, sizeof(part), "%ld (", (long)foreign.process);
    result = STELE("doctor");
    expect_good(result);
    expect_row(result, "warn", "processes", part);
    expect_row(result, "warn", "processes", "test_cli_doctor");
    snprintf(part, sizeof(part), "%ld (", (long)ours.process);
    assert_lacks(result->out, part);
    stop_other(foreign);
    expect_row(STELE("doctor"), "ok", "processes", "1 of this library");
    stop_other(ours);
    expect_row(STELE("doctor"), "ok", "processes", "0 of this library");
}
END_TEST

START_TEST(processes_that_cannot_be_looked_into_are_counted)
{
    DIR *folder = opendir("/proc/1/fd");
    make_loans();
    const ran *result = STELE("doctor");
    if (folder == NULL && errno == EACCES)
        assert_has(result->out, "can't be looked into");
    else
        expect_row(result, "ok", "processes", "");
    if (folder != NULL)
        closedir(folder);
}
END_TEST

START_TEST(reader_that_holds_the_wal_is_found_by_trying)
{
    make_loans();
    other ours = start_other(open_as_one_of_us);
    other reader = start_other(read_as_foreigner);
    assert_code(STELE("append", "loan-1", "Paid"), 0);
    expect_row(STELE("doctor"), "skip", "readers", "--try");
    const ran *result = STELE("doctor", "--try");
    expect_good(result);
    expect_row(result, "warn", "readers", "pages of the WAL");
    stop_other(reader);
    expect_row(STELE("doctor", "--try"), "ok", "readers", "none");
    stop_other(ours);
}
END_TEST

START_TEST(long_wal_is_a_warning_and_a_very_long_one_bad)
{
    make_loans();
    write_whole(test_path("store.db-wal"), "", 0);
    ck_assert_int_eq(truncate(test_path("store.db-wal"), 20 * 1024 * 1024), 0);
    expect_row(STELE("doctor"), "ok", "wal", "20971520");
    ck_assert_int_eq(truncate(test_path("store.db-wal"), 80 * 1024 * 1024), 0);
    const ran *result = STELE("doctor");
    expect_good(result);
    expect_row(result, "warn", "wal", "83886080");
    ck_assert_int_eq(truncate(test_path("store.db-wal"), 200 * 1024 * 1024), 0);
    expect_bad_row(STELE("doctor"), "wal", "209715200");
}
END_TEST

/* --- The anchor --- */

START_TEST(missing_anchor_is_a_warning)
{
    make_loans();
    ck_assert_int_eq(unlink(test_path("store.db-anchor")), 0);
    const ran *result = STELE("doctor");
    expect_good(result);
    expect_row(result, "warn", "anchor", "missing");
}
END_TEST

START_TEST(backup_needs_no_anchor)
{
    make_loans();
    assert_code(STELE("backup", test_path("backup.stele")), 0);
    const ran *result = STELE("-s", test_path("backup.stele"), "doctor");
    expect_good(result);
    expect_row(result, "ok", "anchor", "a backup has none");
}
END_TEST

START_TEST(lost_events_are_bad_until_the_loss_is_accepted)
{
    make_loans();
    size_t size;
    char *old = read_whole(test_path("store.db"), &size);
    assert_code(STELE("append", "loan-1", "Paid"), 0);
    write_whole(test_path("store.db"), old, size);
    free(old);

    const ran *result = STELE("doctor"); /* the library warns of it, too */
    assert_code(result, 6);
    assert_has(result->err, "error: 1 of these is bad\n");
    expect_row(result, "bad", "anchor", "names position 6, the log ends at 5");
    expect_row(result, "bad", "anchor", "--accept-loss");
    expect_good(STELE("doctor", "--accept-loss"));
    expect_good(STELE("doctor"));
}
END_TEST

/* --- Clocks and readers --- */

static int64_t seconds_from_now;

static int64_t shifted_clock(void *context)
{
    (void)context;
    return ((int64_t)time(NULL) + seconds_from_now) * 1000000;
}

/* Append an event recorded so far from now, and save where `reader` is. */
static void append_at(int64_t seconds, int64_t reader)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = shifted_clock;
    seconds_from_now = seconds;
    stele_store *store = NULL;
    ck_assert_int_eq(stele_store_open(test_path("store.db"), &options, &store), STELE_OK);
    stele_event event = { .type = "Timed", .data = "1", .data_size = 1 };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "timed-1";
    append.events = &event;
    append.event_count = 1;
    append.expected_version = STELE_ANY;
    ck_assert_int_eq(stele_store_append(store, &append, NULL), STELE_OK);
    ck_assert_int_eq(stele_checkpoint_save(store, "reader", reader), STELE_OK);
    stele_store_close(store);
}

START_TEST(clock_that_the_log_is_ahead_of_is_a_warning)
{
    append_at(3600, 1);
    const ran *result = STELE("doctor");
    expect_good(result);
    expect_row(result, "warn", "clock", "seconds from now");
}
END_TEST

START_TEST(clock_that_had_jumped_back_is_a_warning)
{
    append_at(-100, 1);
    expect_row(STELE("doctor"), "ok", "clock", "");
    append_at(-4000, 2);
    const ran *result = STELE("doctor");
    expect_good(result);
    expect_row(result, "warn", "clock", "jumped back at 1 ");
}
END_TEST

START_TEST(reader_that_is_behind_is_a_warning)
{
    append_at(-8000, 0);
    append_at(-7000, 0);
    const ran *result = STELE("doctor", "--checkpoint", "reader", "--checkpoint", "nobody");
    expect_good(result);
    expect_row(result, "warn", "checkpoint", "reader is 2 events and 8");
    expect_row(result, "warn", "checkpoint", "nobody was never saved");
    append_at(-6000, 3);
    expect_row(STELE("doctor", "--checkpoint", "reader"), "ok", "checkpoint",
               "reader is 0 events and 0 seconds");
}
END_TEST

static void save_place(const char *name, int64_t position)
{
    stele_store *store = NULL;
    ck_assert_int_eq(stele_store_open(test_path("store.db"), NULL, &store), STELE_OK);
    ck_assert_int_eq(stele_checkpoint_save(store, name, position), STELE_OK);
    stele_store_close(store);
}

START_TEST(unnamed_readers_have_a_row_when_they_are_behind)
{
    append_at(-8000, 0);
    expect_row(STELE("doctor"), "warn", "checkpoint", "reader is 1 events and 80");
    append_at(-7000, 2);
    expect_row(STELE("doctor"), "ok", "checkpoint", "1 checkpoint, none is behind");
    save_place("mailer", 1);
    save_place("biller", 0);
    append_at(-60, 2);
    const ran *result = STELE("doctor");
    expect_good(result);
    expect_row(result, "warn", "checkpoint", "biller is 3 events and 80");
    expect_row(result, "warn", "checkpoint", "mailer is 2 events and 70");
    assert_lacks(result->out, "reader is"); /* what it hasn't seen is a minute old */
    assert_lacks(result->out, "none is behind");
    save_place("mailer", 2);
    save_place("biller", 2);
    expect_row(STELE("doctor"), "ok", "checkpoint", "3 checkpoints, none is behind");
}
END_TEST

START_TEST(store_without_readers_has_none_behind)
{
    make_loans();
    expect_row(STELE("doctor"), "ok", "checkpoint", "0 checkpoints, none is behind");
}
END_TEST

START_TEST(reader_of_a_lost_timeline_is_bad)
{
    make_loans();
    assert_code(STELE("append", "loan-1", "Paid"), 0);
    save_place("mailer", 6);
    sqlite3 *raw = NULL; /* what a consumer's own copy of the row would say */
    ck_assert_int_eq(sqlite3_open(test_path("store.db"), &raw), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(raw, "DELETE FROM events WHERE position = 6", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(raw);
    assert_code(STELE("doctor", "--accept-loss"), 6);
    const ran *result = STELE("doctor");
    expect_bad_row(result, "checkpoint", "mailer is at position 6 of a timeline that was lost");
    expect_row(result, "bad", "checkpoint", "only up to 5");
    expect_bad_row(STELE("doctor", "--checkpoint", "mailer"), "checkpoint", "'mailer'");
}
END_TEST

START_TEST(damaged_checkpoint_is_bad_and_named)
{
    append_at(-60, 1);
    sqlite3 *raw = NULL;
    ck_assert_int_eq(sqlite3_open(test_path("store.db"), &raw), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(raw, "UPDATE checkpoints SET saved_at = 1", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(raw);
    expect_bad_row(STELE("doctor"), "checkpoint", "'reader' is damaged");
}
END_TEST

/* --- Fences --- */

static int stop_at_verifying(void *context, const stele_progress *progress)
{
    (void)context;
    return strcmp(progress->doing, "verifying") == 0;
}

/* To the root `other`, and never there. */
static void cut_a_move_short(void)
{
    char root[1024];
    stele_shards *shards = NULL;
    stele_work work = STELE_WORK_INIT;
    stele_shard_move move = STELE_SHARD_MOVE_INIT;
    snprintf(root, sizeof(root), "%s", test_path("other"));
    ck_assert_int_eq(mkdir(root, 0700), 0);
    work.progress = stop_at_verifying;
    move.organisation = "acme";
    move.name_space = "orders";
    move.root = root;
    move.work = &work;
    ck_assert_int_eq(stele_shards_open(test_root(), NULL, &shards), STELE_OK);
    ck_assert_int_eq(stele_shards_move(shards, &move, NULL), STELE_CANCELLED);
    stele_shards_close(shards);
}

static const char *orders_file(void)
{
    return test_path("root/acme/orders.db");
}

START_TEST(store_that_is_fenced_by_a_move_is_told_where_to_and_what_to_do)
{
    make_shards();
    expect_row(SHARD("acme", "orders", "doctor"), "ok", "fence", "none");
    cut_a_move_short();
    const ran *result = SHARD("acme", "orders", "doctor");
    expect_good(result);
    expect_row(result, "warn", "fence", "/other/acme/orders.db'");
    expect_row(result, "warn", "fence", "stele shards resume");
    expect_row(result, "warn", "fence", "stele shards cancel -s /");
    expect_row(result, "warn", "fence", "/root --org acme --ns orders");
    result = WITHOUT_STORE("-s", orders_file(), "doctor");
    expect_good(result);
    expect_row(result, "warn", "fence", "/other/acme/orders.db'");
    expect_row(result, "warn", "fence", "stele shards cancel -s ROOT");

    assert_code(SHARD("acme", "orders", "shards", "cancel"), 0);
    expect_row(SHARD("acme", "orders", "doctor"), "ok", "fence", "none");
}
END_TEST

START_TEST(store_that_is_fenced_by_a_drop_is_told_how_to_keep_it)
{
    make_shards();
    stele_store *store = NULL;
    stele__fence fence = { .kind = STELE__FENCE_DROP, .id = "x" };
    stele_store_info info = STELE_STORE_INFO_INIT;
    ck_assert_int_eq(stele_store_open(orders_file(), NULL, &store), STELE_OK);
    ck_assert_int_eq(stele__fence_raise(store, NULL, &fence), STELE_OK);
    ck_assert_int_eq(stele_store_describe(store, &info), STELE_OK);
    ck_assert_int_eq(info.fence, STELE_FENCE_DROP);
    ck_assert_str_eq(info.fence_where, "");
    stele_store_close(store);
    const ran *result = SHARD("acme", "orders", "doctor");
    expect_good(result);
    expect_row(result, "warn", "fence", "being dropped");
    expect_row(result, "warn", "fence", "stele shards undrop -s /");
}
END_TEST

START_TEST(shard_that_is_elsewhere_is_not_looked_at_here)
{
    make_shards();
    ck_assert_int_eq(mkdir(test_path("other"), 0700), 0);
    assert_code(SHARD("acme", "orders", "shards", "move", "--to", test_path("other")), 0);
    assert_refused(SHARD("acme", "orders", "doctor"), 7, "/other/acme/orders.db");
    assert_refused(SHARD("acme", "orders", "doctor", "--try"), 7, "/other/acme/orders.db");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli doctor");
    TCase *tests = tcase_create("doctor");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, NULL, forget_runs);
    tcase_add_test(tests, whole_store_has_nothing_to_be_mended);
    tcase_add_test(tests, rows_are_the_same_in_every_format);
    tcase_add_test(tests, missing_store_is_not_found_and_a_damaged_one_is_bad);
    tcase_add_test(tests, file_that_others_can_change_is_bad);
    tcase_add_test(tests, folder_and_companions_that_others_can_change_are_bad);
    tcase_add_test(tests, owner_who_is_another_is_a_warning);
    tcase_add_test(tests, foreign_writer_is_named_and_one_of_ours_is_not);
    tcase_add_test(tests, processes_that_cannot_be_looked_into_are_counted);
    tcase_add_test(tests, reader_that_holds_the_wal_is_found_by_trying);
    tcase_add_test(tests, long_wal_is_a_warning_and_a_very_long_one_bad);
    tcase_add_test(tests, missing_anchor_is_a_warning);
    tcase_add_test(tests, backup_needs_no_anchor);
    tcase_add_test(tests, lost_events_are_bad_until_the_loss_is_accepted);
    tcase_add_test(tests, clock_that_the_log_is_ahead_of_is_a_warning);
    tcase_add_test(tests, clock_that_had_jumped_back_is_a_warning);
    tcase_add_test(tests, reader_that_is_behind_is_a_warning);
    tcase_add_test(tests, unnamed_readers_have_a_row_when_they_are_behind);
    tcase_add_test(tests, store_without_readers_has_none_behind);
    tcase_add_test(tests, reader_of_a_lost_timeline_is_bad);
    tcase_add_test(tests, damaged_checkpoint_is_bad_and_named);
    tcase_add_test(tests, store_that_is_fenced_by_a_move_is_told_where_to_and_what_to_do);
    tcase_add_test(tests, store_that_is_fenced_by_a_drop_is_told_how_to_keep_it);
    tcase_add_test(tests, shard_that_is_elsewhere_is_not_looked_at_here);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
