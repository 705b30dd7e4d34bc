/* What lies beside a store: a WAL that isn't its own, another anchor than it had, or none. */
#include "anchor_losses.h"
#include "disk_hooks.h"

#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOT_SIZE     512
#define SLOT_DISTANCE 4096

/* --- A WAL that isn't ours --- */

static void refuse_wal(const stele_options *options)
{
    file_copy database = load_file(store_path());
    file_copy wal = load_file(test_path("store.db-wal"));
    refuse_path(store_path(), options, STELE_CORRUPT);
    assert_reason_has("the WAL beside");
    expect_unchanged(store_path(), database);
    expect_unchanged(test_path("store.db-wal"), wal);
}

START_TEST(wal_of_another_store_is_refused_and_nothing_of_it_merged)
{
    stele_options reading = STELE_OPTIONS_INIT;
    stele_options accepting = STELE_OPTIONS_INIT;
    reading.read_only = true;
    accepting.accept_loss = true;
    append_cleanly("other.db", 3);
    crash_after("other.db", 5);
    take_wal("store.db");
    copy_file(test_path("other.db-wal"), test_path("store.db-wal"));

    refuse_wal(NULL);
    refuse_wal(&reading);
    refuse_wal(&accepting);

    unlink(test_path("store.db-wal"));
    give_wal_back("store.db");
    expect_whole(8);
}
END_TEST

START_TEST(control_wal_of_another_store_is_merged_without_the_anchor)
{
    append_cleanly("other.db", 3);
    crash_after("other.db", 5);
    take_wal("store.db");
    copy_file(test_path("other.db-wal"), test_path("store.db-wal"));
    unlink(test_path("store.db-anchor"));
    file_copy before = load_file(store_path());

    stele_store *opened = NULL;
    (void)stele_store_open(store_path(), NULL, &opened);
    stele_store_close(opened);

    file_copy after = load_file(store_path());
    ck_assert(before.size != after.size || memcmp(before.data, after.data, before.size) != 0);
    free(before.data);
    free(after.data);
}
END_TEST

START_TEST(wal_of_an_earlier_time_is_refused)
{
    copy_file(test_path("store.db-wal"), test_path("kept"));
    append_cleanly("store.db", 1);
    crash_after("store.db", 5);
    take_wal("store.db");
    copy_file(test_path("kept"), test_path("store.db-wal"));

    refuse_wal(NULL);

    unlink(test_path("store.db-wal"));
    give_wal_back("store.db");
    expect_whole(14);
}
END_TEST

/* Relaxed durability anchors no head before a transfer, but it knows its WAL. */
START_TEST(relaxed_store_refuses_the_wal_of_another_too)
{
    crash told = { "relaxed.db", 5, STELE_DURABILITY_RELAXED, 0, 0 };
    ck_assert_int_eq(run_in_child(append_and_vanish, &told), 0);

    copy_file(test_path("store.db-wal"), test_path("relaxed.db-wal"));

    refuse_path(test_path("relaxed.db"), NULL, STELE_CORRUPT);
    assert_reason_has("the WAL beside");
}
END_TEST

static int checkpoint_with_another_program(void *context)
{
    (void)context;
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "PRAGMA wal_checkpoint(RESTART)");
    run_raw(raw, "CREATE TABLE balances(account TEXT)");
    run_raw(raw, "PRAGMA wal_checkpoint(RESTART)");
    run_raw(raw, "INSERT INTO balances VALUES('a')");
    return 0;
}

START_TEST(wal_that_another_program_began_anew_is_followed)
{
    ck_assert_int_eq(run_in_child(checkpoint_with_another_program, NULL), 0);

    expect_whole(8);
}
END_TEST

/* --- No anchor --- */

START_TEST(missing_anchor_is_a_warning_and_a_new_one_is_made)
{
    open_in_file();
    close_store();
    unlink(test_path("store.db-anchor"));

    open_in_file();

    expect_state(store, STELE_ANCHOR_MISSING, 0);
    assert_heard("warning: ");
    assert_heard("there is no anchor");
    assert_status(append_one("account-1", STELE_ANY, "moved", NULL), STELE_OK);
    close_store();
    begin_test();
    expect_whole(9);
    ck_assert_str_eq(heard, "");
}
END_TEST

START_TEST(anchor_of_another_store_is_a_warning_and_is_replaced)
{
    open_in_file();
    close_store();
    append_cleanly("other.db", 20);
    copy_file(test_path("other.db-anchor"), test_path("store.db-anchor"));

    open_in_file();

    expect_state(store, STELE_ANCHOR_MISSING, 0);
    assert_heard("the anchor is of another store");
    assert_heard("at position 20");
    close_store();
    expect_whole(8);
}
END_TEST

/* Somebody removed a store that had crashed, but not its anchor; the next one is killed at once. */
START_TEST(new_store_beside_a_left_anchor_opens_again_after_a_crash)
{
    unlink(store_path());
    unlink(test_path("store.db-wal"));
    unlink(test_path("store.db-shm"));

    crash told = { "store.db", 0, STELE_DURABILITY_FULL, 1000, 0 };
    ck_assert_int_eq(run_in_child(append_and_vanish, &told), 0);

    open_in_file();
    ck_assert_int_eq(head_of(store), 0);
    expect_state(store, STELE_ANCHOR_GOOD, 0);
}
END_TEST

START_TEST(removed_store_leaves_an_anchor_that_the_next_one_is_told_of)
{
    unlink(store_path());
    unlink(test_path("store.db-wal"));
    unlink(test_path("store.db-shm"));

    open_in_file();

    assert_heard("is new, and the anchor there of another store");
}
END_TEST

/* Until the first transfer all of a new store is in its WAL. */
START_TEST(new_store_that_lost_its_first_wal_is_not_begun_anew)
{
    begin_test();
    crash_after("new.db", 9);
    take_wal("new.db");
    stele_options accepting = STELE_OPTIONS_INIT;
    accepting.accept_loss = true;

    refuse_path(test_path("new.db"), NULL, STELE_CORRUPT);

    assert_reason_has("its WAL is gone");
    give_wal_back("new.db");
    store = open_path(test_path("new.db"), NULL);
    ck_assert_int_eq(head_of(store), 9);
    close_store();
    crash_after("newer.db", 9);
    take_wal("newer.db");
    store = open_path(test_path("newer.db"), &accepting);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- Another process that makes the file into a store, at a moment of an opening --- */

static pid_t other;
static int other_may_go[2];
static int other_tells[2];
static int moments_left;

static int make_it_when_told(const char *name, bool vanishes)
{
    char byte;
    crash told = { name, 5, STELE_DURABILITY_FULL, 0, 0 };
    close(other_may_go[1]);
    if (read(other_may_go[0], &byte, 1) != 1)
        return 1;
    if (vanishes)
        return append_and_vanish(&told);
    append_cleanly(name, 5);
    return 0;
}

/* It `vanishes` as if it were killed, or closes the store. */
static void start_other(const char *name, bool vanishes)
{
    ck_assert_int_eq(pipe(other_may_go), 0);
    fflush(NULL);
    other = fork();
    ck_assert_int_ge(other, 0);
    if (other == 0)
        _exit(make_it_when_told(name, vanishes));
    close(other_may_go[0]);
}

/* What it ended with. */
static int end_other(void)
{
    int status = -1;
    close(other_may_go[1]);
    waitpid(other, &status, 0);
    return status;
}

static void let_other_go(void)
{
    if (--moments_left == 0) {
        (void)!write(other_may_go[1], "", 1);
        if (end_other() == 0)
            other = 0;
    }
}

/* Whether the opening had so many moments at which it held no lock. */
static bool open_beside_other(int moment, bool vanishes)
{
    char name[32];
    snprintf(name, sizeof(name), "both-%d.db", moment);
    start_other(name, vanishes);
    install_disk_hooks();
    moments_left = moment;
    disk_let_go_hook = let_other_go;
    store = open_path(test_path(name), NULL);
    remove_disk_hooks();
    bool came = moments_left <= 0;
    if (!came)
        end_other();
    ck_assert(!came || other == 0);
    ck_assert_int_eq(head_of(store), came ? 5 : 0);
    expect_state(store, STELE_ANCHOR_GOOD, !came ? 0 : vanishes ? 4 : 5);
    close_store();
    return came;
}

START_TEST(file_that_another_makes_while_it_is_opened_is_no_loss)
{
    int moments = 0;
    begin_test();
    while (open_beside_other(moments + 1, _i == 1))
        moments++;
    ck_assert_int_gt(moments, 2);
}
END_TEST

/* It has the store open, and nothing written yet. */
static int append_when_told(const char *name)
{
    stele_store *opened = NULL;
    char byte = 'o';
    if (stele_store_open(test_path(name), NULL, &opened) != STELE_OK
        || write(other_tells[1], &byte, 1) != 1 || read(other_may_go[0], &byte, 1) != 1
        || append_to(opened, "account-1", STELE_ANY, "moved", NULL) != STELE_OK
        || write(other_tells[1], &byte, 1) != 1)
        return 1;
    return read(other_may_go[0], &byte, 1) != 0; /* until it may end */
}

static void start_appender(const char *name)
{
    char byte;
    ck_assert_int_eq(pipe(other_may_go), 0);
    ck_assert_int_eq(pipe(other_tells), 0);
    fflush(NULL);
    other = fork();
    ck_assert_int_ge(other, 0);
    if (other == 0) {
        close(other_may_go[1]);
        _exit(append_when_told(name));
    }
    close(other_may_go[0]);
    close(other_tells[1]);
    ck_assert_int_eq(read(other_tells[0], &byte, 1), 1);
}

static int let_other_append(disk_call call, disk_file file, sqlite3_int64 detail)
{
    char byte = 'g';
    (void)file, (void)detail;
    if (call == DISK_SHM_LOCK && --moments_left == 0 && write(other_may_go[1], &byte, 1) == 1)
        (void)!read(other_tells[0], &byte, 1);
    return SQLITE_OK;
}

/* Whether the opening took so many locks. */
static bool open_beside_appender(int moment)
{
    char name[32];
    snprintf(name, sizeof(name), "first-%d.db", moment);
    start_appender(name);
    install_disk_hooks();
    moments_left = moment;
    disk_hook = let_other_append;
    store = open_path(test_path(name), NULL);
    remove_disk_hooks();
    bool came = moments_left <= 0;
    int ended = end_other();
    close(other_tells[0]);
    ck_assert(!came || ended == 0);
    ck_assert_int_eq(head_of(store), came ? 1 : 0);
    expect_state(store, STELE_ANCHOR_GOOD, 0);
    close_store();
    return came;
}

/* With its first event it writes the anchor: one that wasn't there a moment before. */
START_TEST(anchor_that_another_writes_while_the_store_is_opened_is_not_missing)
{
    int moments = 0;
    begin_test();
    while (open_beside_appender(moments + 1))
        moments++;
    ck_assert_int_gt(moments, 5);
    ck_assert_str_eq(heard, "");
}
END_TEST

/* A foreign TRUNCATE makes the next WAL's salts random: nothing of ours was in the old one. */
START_TEST(wal_that_another_program_truncated_is_followed_too)
{
    begin_test();
    stele_options options = STELE_OPTIONS_INIT;
    options.anchor_interval_ms = 0;
    store = open_path(test_path("cut.db"), &options);
    for (int i = 0; i < 5; i++)
        assert_status(append_one("account-1", STELE_ANY, "opened", NULL), STELE_OK);
    run_sql(test_path("cut.db"), "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_status(append_one("account-1", STELE_ANY, "opened", NULL), STELE_OK);

    stele_store *second = open_path(test_path("cut.db"), NULL);

    ck_assert_int_eq(head_of(second), 6);
    expect_state(second, STELE_ANCHOR_GOOD, head_of(second) > 5 ? 5 : 0);
    stele_store_close(second);
}
END_TEST

/* Accepting that fails has accepted nothing. */
START_TEST(loss_that_could_not_be_accepted_is_still_a_loss)
{
    begin_test();
    append_cleanly("old.db", 2);
    crash_after("old.db", 9);
    take_wal("old.db");
    stele_options accepting = STELE_OPTIONS_INIT;
    accepting.accept_loss = true;
    accepting.busy_timeout_ms = 50;
    sqlite3 *raw = open_raw(test_path("old.db"));
    run_raw(raw, "BEGIN IMMEDIATE");

    refuse_path(test_path("old.db"), &accepting, STELE_BUSY);

    sqlite3_close(raw);
    store = open_path(test_path("old.db"), NULL);
    expect_state(store, STELE_ANCHOR_LOST, 10);
    assert_status(append_one("account-1", STELE_ANY, "opened", NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(new_store_gets_an_anchor_for_its_owner_alone_and_no_warning)
{
    struct stat facts;
    begin_test();
    append_cleanly("new.db", 0);
    append_cleanly("new.db", 2);
    append_cleanly("new.db", 1);

    ck_assert_str_eq(heard, "");
    ck_assert_int_eq(stat(test_path("new.db-anchor"), &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0600);
}
END_TEST

START_TEST(store_in_memory_has_none)
{
    open_in_memory();

    expect_state(store, STELE_ANCHOR_NONE, 0);
}
END_TEST

/* --- The anchor's own file --- */

static uint64_t sequence_of(const unsigned char *slot)
{
    uint64_t sequence = 0;
    for (int i = 7; i >= 0; i--)
        sequence = sequence << 8 | slot[16 + i];
    return sequence;
}

/* Where the newer slot begins. */
static size_t newer_slot(const file_copy *anchor)
{
    ck_assert_uint_ge(anchor->size, SLOT_DISTANCE + SLOT_SIZE);
    return sequence_of(anchor->data) > sequence_of(anchor->data + SLOT_DISTANCE) ? 0
                                                                                 : SLOT_DISTANCE;
}

/* Tear the last write, in the middle: the one before it counts. */
START_TEST(torn_slot_leaves_the_other)
{
    file_copy anchor = load_file(test_path("store.db-anchor"));
    size_t at = newer_slot(&anchor);
    memset(anchor.data + at + SLOT_SIZE / 4, 0xa5, SLOT_SIZE / 2);
    save_file(test_path("store.db-anchor"), anchor.data, anchor.size);
    take_wal("store.db");

    expect_lost(6, "position 6", "ends at 3");

    memset(anchor.data, 0xa5, anchor.size);
    save_file(test_path("store.db-anchor"), anchor.data, anchor.size);
    free(anchor.data);
    open_in_file();
    expect_state(store, STELE_ANCHOR_MISSING, 0);
}
END_TEST

START_TEST(anchor_of_a_newer_format_is_unsupported_but_for_readers)
{
    stele_options reading = STELE_OPTIONS_INIT;
    reading.read_only = true;
    file_copy anchor = load_file(test_path("store.db-anchor"));
    unsigned char *slot = anchor.data + newer_slot(&anchor);
    slot[8] = 2;
    uint64_t hash = XXH3_64bits(slot, SLOT_SIZE - 8);
    for (int i = 0; i < 8; i++)
        slot[SLOT_SIZE - 8 + i] = (unsigned char)(hash >> (8 * i));
    save_file(test_path("store.db-anchor"), anchor.data, anchor.size);
    file_copy database = load_file(store_path());

    refuse_path(store_path(), NULL, STELE_UNSUPPORTED);

    assert_reason_has("format 2");
    expect_unchanged(store_path(), database);
    expect_unchanged(test_path("store.db-anchor"), anchor);
    store = open_path(store_path(), &reading);
    expect_state(store, STELE_ANCHOR_MISSING, 0);
    ck_assert_int_eq(head_of(store), 8);
}
END_TEST

START_TEST(what_is_no_regular_file_is_no_anchor)
{
    const char *path = test_path("store.db-anchor");
    file_copy victim = load_file(path);
    ck_assert_int_eq(rename(path, test_path("victim")), 0);

    ck_assert_int_eq(symlink(test_path("victim"), path), 0);
    refuse_path(store_path(), NULL, STELE_MISUSE);
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    refuse_path(store_path(), NULL, STELE_MISUSE);
    rmdir(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refuse_path(store_path(), NULL, STELE_MISUSE);
    unlink(path);

    expect_unchanged(test_path("victim"), victim);
    ck_assert_int_eq(rename(test_path("victim"), path), 0);
    expect_whole(8);
}
END_TEST

int main(void)
{
    /* Before any store: the hook holds for the process. */
    if (stele_log_set(hear, NULL) != STELE_OK)
        return EXIT_FAILURE;
    Suite *suite = suite_create("anchor_beside");
    TCase *wal = add_case(suite, "wal", make_crashed_store);
    tcase_add_test(wal, wal_of_another_store_is_refused_and_nothing_of_it_merged);
    tcase_add_test(wal, control_wal_of_another_store_is_merged_without_the_anchor);
    tcase_add_test(wal, wal_of_an_earlier_time_is_refused);
    tcase_add_test(wal, relaxed_store_refuses_the_wal_of_another_too);
    tcase_add_test(wal, wal_that_another_program_began_anew_is_followed);
    TCase *missing = add_case(suite, "missing", make_crashed_store);
    tcase_add_test(missing, missing_anchor_is_a_warning_and_a_new_one_is_made);
    tcase_add_test(missing, anchor_of_another_store_is_a_warning_and_is_replaced);
    tcase_add_test(missing, new_store_beside_a_left_anchor_opens_again_after_a_crash);
    tcase_add_test(missing, removed_store_leaves_an_anchor_that_the_next_one_is_told_of);
    tcase_add_test(missing, new_store_that_lost_its_first_wal_is_not_begun_anew);
    tcase_add_loop_test(missing, file_that_another_makes_while_it_is_opened_is_no_loss, 0, 2);
    tcase_add_test(missing, anchor_that_another_writes_while_the_store_is_opened_is_not_missing);
    tcase_add_test(missing, wal_that_another_program_truncated_is_followed_too);
    tcase_add_test(missing, loss_that_could_not_be_accepted_is_still_a_loss);
    tcase_add_test(missing, new_store_gets_an_anchor_for_its_owner_alone_and_no_warning);
    tcase_add_test(missing, store_in_memory_has_none);
    TCase *file = add_case(suite, "file", make_crashed_store);
    tcase_add_test(file, torn_slot_leaves_the_other);
    tcase_add_test(file, anchor_of_a_newer_format_is_unsupported_but_for_readers);
    tcase_add_test(file, what_is_no_regular_file_is_no_anchor);
    return run_suite(suite);
}
