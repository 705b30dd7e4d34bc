/*
 * A COMMIT that fails on the disk: what it has stored nobody can tell yet, since its pages may be
 * whole in the WAL. Only a later commit, or the recovery after a crash, settles it.
 */
#include "contract.h"
#include "disk_hooks.h"

#include <stele/notify.h>
#include <stele/verify.h>

/* --- The failing disk --- */

/* Calls of `call` on the WAL answer `code`, from the one after `let_through` on, `times` times. */
static struct fault {
    disk_call call;
    int code;
    int let_through;
    int times;
    int hits;
    bool stays; /* after the first hit nothing can be written any more */
} fault;

static int fail_as_told(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    if (file == DISK_WAL && fault.stays && fault.hits > 0
        && (call == DISK_WRITE || call == DISK_SYNC))
        return fault.code;
    if (file != DISK_WAL || call != fault.call || fault.times == 0)
        return SQLITE_OK;
    if (fault.let_through > 0) {
        fault.let_through--;
        return SQLITE_OK;
    }
    fault.times--;
    fault.hits++;
    return fault.code;
}

static void fail_on_the_wal(disk_call call, int code, int let_through, int times)
{
    fault = (struct fault){ call, code, let_through, times, 0, false };
}

static void fail_syncs(int times)
{
    fail_on_the_wal(DISK_SYNC, SQLITE_IOERR_FSYNC, 0, times);
}

/* The first sync fails, and from then on nothing can be written to the WAL: not even the commit by
 * which the library would settle it. */
static void break_disk_at_sync(void)
{
    fail_syncs(1);
    fault.stays = true;
}

static void mend_disk(void)
{
    fault.times = 0;
    fault.stays = false;
}

static void set_up_disk(void)
{
    install_disk_hooks();
    disk_hook = fail_as_told;
    mend_disk();
}

static void set_up_store(void)
{
    set_up_disk();
    open_in_file();
    fill_stream("account-1", 2);
}

static void tear_down(void)
{
    mend_disk();
    close_and_remove();
    remove_disk_hooks();
}

/* --- A crash: the files as they are now, without the -shm, under another name --- */

static int copy_in_child(void *context)
{
    static const char *const suffixes[] = { "", "-wal", "-anchor" };
    (void)context;
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char from[4096], to[4096], block[4096];
        snprintf(from, sizeof(from), "%s%s", store_path(), suffixes[i]);
        snprintf(to, sizeof(to), "%s%s", test_path("crashed.db"), suffixes[i]);
        remove(to);
        FILE *source = fopen(from, "rb");
        if (source == NULL)
            continue;
        FILE *target = fopen(to, "wb");
        if (target == NULL) {
            fclose(source);
            return 1;
        }
        for (size_t size; (size = fread(block, 1, sizeof(block), source)) > 0;)
            if (fwrite(block, 1, size, target) != size)
                return 1;
        if (fclose(target) != 0)
            return 1;
        fclose(source);
    }
    return 0;
}

/* In another process: closing a file here would drop the locks that SQLite has on it. */
static const char *crash(void)
{
    const char *path = test_path("crashed.db");
    store_path();
    ck_assert_int_eq(run_in_child(copy_in_child, NULL), 0);
    char shm[4096];
    snprintf(shm, sizeof(shm), "%s-shm", path);
    remove(shm);
    return path;
}

/* The system lost what was not synced: here the last frame of the WAL, which has the commit. */
static const char *crash_with_power_cut(void)
{
    const char *path = crash();
    char wal[4096];
    snprintf(wal, sizeof(wal), "%s-wal", path);
    file_copy copy = load_file(wal);
    ck_assert_uint_gt(copy.size, 4096);
    save_file(wal, copy.data, copy.size - 2048);
    free(copy.data);
    return path;
}

/* --- SQLite by hand --- */

static sqlite3 *open_notes(const char *path)
{
    sqlite3 *raw = open_raw(path);
    run_raw(raw, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0");
    return raw;
}

static int64_t count_notes(sqlite3 *raw)
{
    return raw_number(raw, "SELECT count(*) FROM notes");
}

static int64_t count_notes_at(const char *path)
{
    sqlite3 *raw = open_notes(path);
    int64_t count = count_notes(raw);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    return count;
}

static void make_notes(void)
{
    set_up_disk();
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "PRAGMA journal_mode=WAL; CREATE TABLE notes(id INTEGER PRIMARY KEY)");
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
}

/* The control of this whole file: looking after the failure gives an answer that turns out wrong,
 * either way round. */
START_TEST(control_row_of_a_failed_commit_is_absent_then_back_then_gone)
{
    sqlite3 *writer = open_notes(store_path());
    sqlite3 *reader = open_notes(store_path());
    run_raw(writer, "INSERT INTO notes VALUES(1)"); /* the sync of the WAL's header is over */
    ck_assert_int_eq(count_notes(reader), 1);
    fail_syncs(1);
    ck_assert_int_eq(sqlite3_exec(writer, "INSERT INTO notes VALUES(2)", NULL, NULL, NULL),
                     SQLITE_IOERR);
    ck_assert_int_eq(sqlite3_extended_errcode(writer), SQLITE_IOERR_FSYNC);
    ck_assert_int_eq(fault.hits, 1);

    ck_assert_int_eq(count_notes(reader), 1);
    ck_assert_int_eq(sqlite3_close(writer), SQLITE_OK);
    writer = open_notes(store_path());
    ck_assert_int_eq(count_notes(writer), 1); /* "not stored", says who opens it again */
    ck_assert_int_eq(count_notes_at(crash()), 2);

    run_raw(writer, "INSERT INTO notes VALUES(3)");
    ck_assert_int_eq(count_notes(reader), 2);
    ck_assert_int_eq(count_notes_at(crash()), 2);
    ck_assert_int_eq(raw_number(writer, "SELECT count(*) FROM notes WHERE id = 2"), 0);
    ck_assert_int_eq(sqlite3_close(writer), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
}
END_TEST

/* --- The library: the outcome is settled by the key --- */

static stele_status append_keyed(stele_store *target, const char *key, stele_appended *appended)
{
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    append.idempotency_key = key;
    return stele_store_append(target, &append, appended);
}

static void expect_sound(stele_store *target)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status;
    assert_status(stele_verify_open(target, NULL, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
}

/* The retry at `path` leaves exactly one event of the attempt, after the two from before. */
static void expect_one_after_retry(const char *path)
{
    stele_appended appended = { 0 };
    stele_store *retried = open_path(path, NULL);
    int64_t before = head_of(retried);
    ck_assert(before == 2 || before == 3);

    assert_status(append_keyed(retried, "attempt-1", &appended), STELE_OK);

    ck_assert_int_eq(appended.duplicate, before == 3);
    ck_assert_int_eq(appended.last_position, 3);
    ck_assert_int_eq(appended.stream_version, 3);
    ck_assert_int_eq(head_of(retried), 3);
    expect_sound(retried);
    stele_store_close(retried);
}

/* `_i` syncs fail, one after the other: the first takes the attempt's commit, the next the commit
 * by which the library settles it, and from then on each attempt needs that first. */
START_TEST(retry_with_the_key_stores_one_event_however_often_the_sync_fails)
{
    int times = _i, unknown = 0;
    stele_status status = STELE_OK;
    stele_appended appended = { 0 };
    fail_syncs(times);
    while ((status = append_keyed(store, "attempt-1", &appended)) != STELE_OK) {
        assert_status(status, STELE_UNKNOWN_OUTCOME);
        unknown++;
        ck_assert_int_eq(appended.last_position, 0);
        ck_assert_int_eq(head_of(store), 2);
    }

    ck_assert_int_eq(unknown, times - 1);
    ck_assert(!appended.duplicate);
    ck_assert_int_eq(fault.hits, times);
    ck_assert_int_eq(appended.last_position, 3);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    reopen_file();
    expect_one_after_retry(store_path());
}
END_TEST

START_TEST(retry_after_a_crash_that_brings_the_event_back_stores_one)
{
    stele_appended appended = { 0 };
    break_disk_at_sync();
    assert_status(append_keyed(store, "attempt-1", NULL), STELE_UNKNOWN_OUTCOME);
    const char *crashed = crash();
    mend_disk();

    stele_store *recovered = open_path(crashed, NULL);
    ck_assert_int_eq(head_of(recovered), 3); /* it is back */
    assert_status(append_keyed(recovered, "attempt-1", &appended), STELE_OK);
    ck_assert(appended.duplicate);
    stele_store_close(recovered);
    expect_one_after_retry(crashed);
}
END_TEST

/* Whether the repetition finds it stored or stores it, who waits must learn of it. */
START_TEST(event_of_an_unknown_outcome_wakes_once_it_is_settled)
{
    stele_appended appended = { 0 };
    stele_notifier *notifier = NULL;
    assert_status(stele_store_notifier(store, &notifier), STELE_OK);
    break_disk_at_sync();
    assert_status(append_keyed(store, "attempt-1", NULL), STELE_UNKNOWN_OUTCOME);
    ck_assert_int_eq(stele_notifier_head(notifier), 2);
    mend_disk();

    assert_status(append_keyed(store, "attempt-1", &appended), STELE_OK);

    ck_assert_int_eq(stele_notifier_head(notifier), 3);
}
END_TEST

START_TEST(retry_after_a_crash_that_lost_the_event_stores_one)
{
    break_disk_at_sync();
    assert_status(append_keyed(store, "attempt-1", NULL), STELE_UNKNOWN_OUTCOME);

    const char *crashed = crash_with_power_cut();
    mend_disk();
    expect_one_after_retry(crashed);
}
END_TEST

START_TEST(retry_after_a_crash_between_two_failures_stores_one)
{
    break_disk_at_sync();
    assert_status(append_keyed(store, "attempt-1", NULL), STELE_UNKNOWN_OUTCOME);
    assert_status(append_keyed(store, "attempt-1", NULL), STELE_UNKNOWN_OUTCOME);

    const char *crashed = crash();
    mend_disk();
    expect_one_after_retry(crashed);
}
END_TEST

/* Whoever closes the store without retrying finds it as it was, and so does the next crash. */
START_TEST(store_closed_after_an_unknown_outcome_can_be_opened_and_retried)
{
    break_disk_at_sync();
    assert_status(append_keyed(store, "attempt-1", NULL), STELE_UNKNOWN_OUTCOME);
    mend_disk();
    close_store();

    expect_one_after_retry(store_path());
}
END_TEST

START_TEST(unknown_outcome_of_many_appends_and_of_a_transaction_is_settled_by_their_keys)
{
    stele_event event = make_event("opened", "{}");
    stele_append appends[2] = { make_append("account-1", STELE_ANY, &event, 1),
                                make_append("account-2", STELE_ANY, &event, 1) };
    appends[0].idempotency_key = "attempt-1";
    appends[1].idempotency_key = "attempt-2";
    break_disk_at_sync();
    assert_status(stele_store_append_many(store, appends, 2, NULL, NULL), STELE_UNKNOWN_OUTCOME);
    assert_status(stele_store_append_many(store, appends, 2, NULL, NULL), STELE_UNKNOWN_OUTCOME);
    mend_disk();
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_append_many(transaction, appends, 2, NULL, NULL), STELE_OK);
    break_disk_at_sync();
    assert_status(stele_transaction_commit(transaction), STELE_UNKNOWN_OUTCOME);
    stele_transaction_end(transaction);
    const char *crashed = crash();
    mend_disk();

    assert_status(stele_store_append_many(store, appends, 2, NULL, NULL), STELE_OK);

    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
    close_store();
    store = open_path(crashed, NULL);
    assert_status(stele_store_append_many(store, appends, 2, NULL, NULL), STELE_OK);
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4");
}
END_TEST

/* --- Writing to the WAL fails, at each place in the commit --- */

enum { WRITES_MAX = 200 };

/* Fail write number `place` of the WAL in an append once; false: the commit has fewer writes. */
static bool append_with_failing_write(int code, int place, stele_status *status_out)
{
    fail_on_the_wal(DISK_WRITE, code, place, 1);
    fault.stays = code != SQLITE_FULL;
    *status_out = append_keyed(store, "attempt-1", NULL);
    return fault.hits == 1;
}

static void start_again(void)
{
    mend_disk();
    close_and_remove();
    open_in_file();
    fill_stream("account-1", 2);
}

START_TEST(full_disk_stores_nothing_wherever_it_fills_up_and_writing_goes_on)
{
    int places = 0;
    stele_status status;
    for (; places < WRITES_MAX && append_with_failing_write(SQLITE_FULL, places, &status);
         places++) {
        assert_status(status, STELE_FULL);
        ck_assert_str_eq(positions_of(NULL), "1 2");
        stele_store *crashed = open_path(crash(), NULL);
        ck_assert_int_eq(head_of(crashed), 2);
        expect_sound(crashed);
        stele_store_close(crashed);

        assert_status(append_keyed(store, NULL, NULL), STELE_OK);

        ck_assert_str_eq(positions_of(NULL), "1 2 3");
        reopen_file();
        expect_sound(store);
        ck_assert_str_eq(positions_of(NULL), "1 2 3");
        start_again();
    }
    assert_status(status, STELE_OK);
    ck_assert_int_gt(places, 4);
}
END_TEST

START_TEST(write_that_fails_in_the_commit_stores_nothing_or_has_an_unknown_outcome)
{
    int places = 0;
    stele_status status;
    for (; places < WRITES_MAX && append_with_failing_write(SQLITE_IOERR_WRITE, places, &status);
         places++) {
        fault.stays = false;
        ck_assert_msg(status == STELE_IO || status == STELE_UNKNOWN_OUTCOME, "place %d: %s", places,
                      stele_status_name(status));
        ck_assert_int_eq(head_of(store), 2);
        const char *crashed = crash();
        if (status == STELE_IO) {
            stele_store *recovered = open_path(crashed, NULL);
            ck_assert_int_eq(head_of(recovered), 2);
            stele_store_close(recovered);
        }
        expect_one_after_retry(crashed);

        assert_status(append_keyed(store, "attempt-1", NULL), STELE_OK);

        ck_assert_str_eq(positions_of(NULL), "1 2 3");
        close_store();
        expect_one_after_retry(store_path());
        start_again();
    }
    assert_status(status, STELE_OK);
    ck_assert_int_gt(places, 4);
}
END_TEST

static Suite *commit_outcome_suite(void)
{
    Suite *suite = suite_create("commit_outcome");
    TCase *by_hand = tcase_create("by hand");
    tcase_add_checked_fixture(by_hand, make_notes, tear_down);
    suite_add_tcase(suite, by_hand);
    tcase_add_test(by_hand, control_row_of_a_failed_commit_is_absent_then_back_then_gone);
    TCase *key = tcase_create("key");
    tcase_add_checked_fixture(key, set_up_store, tear_down);
    suite_add_tcase(suite, key);
    tcase_add_loop_test(key, retry_with_the_key_stores_one_event_however_often_the_sync_fails, 1,
                        6);
    tcase_add_test(key, retry_after_a_crash_that_brings_the_event_back_stores_one);
    tcase_add_test(key, event_of_an_unknown_outcome_wakes_once_it_is_settled);
    tcase_add_test(key, retry_after_a_crash_that_lost_the_event_stores_one);
    tcase_add_test(key, retry_after_a_crash_between_two_failures_stores_one);
    tcase_add_test(key, store_closed_after_an_unknown_outcome_can_be_opened_and_retried);
    tcase_add_test(key,
                   unknown_outcome_of_many_appends_and_of_a_transaction_is_settled_by_their_keys);
    TCase *write = tcase_create("write");
    tcase_add_checked_fixture(write, set_up_store, tear_down);
    suite_add_tcase(suite, write);
    tcase_add_test(write, full_disk_stores_nothing_wherever_it_fills_up_and_writing_goes_on);
    tcase_add_test(write, write_that_fails_in_the_commit_stores_nothing_or_has_an_unknown_outcome);
    return suite;
}

int main(void)
{
    return run_suite(commit_outcome_suite());
}
