/*
 * SQLite's WAL-reset bug, on demand: a transfer that reads the WAL's header, then loses the race
 * against another transfer and a commit, marks the commit's pages as copied although they never
 * were. The hook between the two looks of the transfer makes the race happen each time.
 */
#include "contract.h"
#include "disk_hooks.h"
#include "transfers.h"

#include "sqlite/database.h"

enum { EVENTS_BEFORE = 100, EVENTS_AFTER = 3 };

/* --- The race --- */

/* What happens, once, while the first transfer after `armed` was set is under way. */
static struct race {
    bool armed;
    sqlite3 *other;       /* completes a transfer of its own just before */
    bool (*commit)(void); /* tries to commit in the gap; whether it could */
    int tries;
    int commits;
} race;

static void transfer_completely(sqlite3 *raw)
{
    int pages = 0, copied = 0;
    ck_assert_int_eq(
        sqlite3_wal_checkpoint_v2(raw, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied),
        SQLITE_OK);
    ck_assert_int_gt(pages, 0);
    ck_assert_int_eq(pages, copied);
}

#define TRANSFER_LOCK ((1 << 8) | SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE)

static int run_race(disk_call call, disk_file file, sqlite3_int64 detail)
{
    if (!race.armed || file != DISK_MAIN)
        return SQLITE_OK;
    race.armed = false;
    if (call == DISK_SHM_LOCK && detail == TRANSFER_LOCK) {
        transfer_completely(race.other);
        race.armed = true;
    } else if (call == DISK_UNFETCH) {
        race.tries++;
        race.commits += race.commit();
    } else {
        race.armed = true;
    }
    return SQLITE_OK;
}

static void set_up_race(void)
{
    race = (struct race){ 0 };
    install_disk_hooks();
    disk_hook = run_race;
}

static void end_race(void)
{
    close_and_remove();
    remove_disk_hooks();
}

/* Another connection, which has looked at the file, as the one of another program would. */
static sqlite3 *open_other(void)
{
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "PRAGMA wal_autocheckpoint=0");
    ck_assert_int_ge(raw_number(raw, "SELECT count(*) FROM events"), 0);
    return raw;
}

/* --- SQLite by hand --- */

static sqlite3 *hand_written[2];

static bool commit_in_the_gap_by_hand(void)
{
    return commit_by_hand(hand_written[0]) == SQLITE_OK;
}

/* A file with our schema, and two connections to it: one has written, the other has only looked. */
static void set_up_by_hand(void)
{
    set_up_race();
    make_file_by_hand();
    hand_written_acks = 0;
    for (int i = 0; i < 2; i++)
        hand_written[i] = open_by_hand();
    ck_assert_int_eq(raw_number(hand_written[1], "SELECT count(*) FROM events"), 0);
    for (int i = 0; i < EVENTS_BEFORE; i++)
        ck_assert_int_eq(commit_by_hand(hand_written[0]), SQLITE_OK);
    race.other = hand_written[0];
    race.commit = commit_in_the_gap_by_hand;
}

static void append_and_close_by_hand(void)
{
    for (int i = 0; i < EVENTS_AFTER; i++)
        commit_by_hand(hand_written[0]);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(sqlite3_close(hand_written[i]), SQLITE_OK);
}

/* The control: without it, the tests below would pass with a hook that never hits the gap. */
START_TEST(control_unguarded_transfer_by_hand_loses_events_on_an_affected_sqlite)
{
    race.armed = true;

    transfer_completely(hand_written[1]);

    ck_assert_int_eq(race.commits, 1);
    append_and_close_by_hand();
    ck_assert_int_eq(raw_file_is_harmed(hand_written_acks), has_the_bug());
}
END_TEST

START_TEST(write_lock_held_by_a_third_connection_guards_a_transfer_by_hand)
{
    sqlite3 *guard = open_by_hand();
    run_raw(guard, "BEGIN IMMEDIATE");
    race.armed = true;

    transfer_completely(hand_written[1]);

    ck_assert_int_eq(race.tries, 1);
    ck_assert_int_eq(race.commits, 0);
    ck_assert_int_eq(sqlite3_close(guard), SQLITE_OK);
    append_and_close_by_hand();
    ck_assert(!raw_file_is_harmed(hand_written_acks));
}
END_TEST

/* --- The library --- */

static stele_store *rival;
static int acks;
static stele_status in_the_gap;

static bool commit_by_the_rival(void)
{
    in_the_gap = append_to(rival, "account-1", STELE_ANY, "noted", NULL);
    acks += in_the_gap == STELE_OK;
    return in_the_gap == STELE_OK;
}

static void append_acknowledged(int count)
{
    fill_stream("account-1", count);
    acks += count;
}

/* A store that has a connection for transfers, and events in its WAL which that one hasn't seen. */
static void set_up_stores(const stele_options *options)
{
    set_up_race();
    acks = 0;
    in_the_gap = STELE_OK;
    store = open_path(store_path(), options);
    stele_options hasty = STELE_OPTIONS_INIT;
    hasty.busy_timeout_ms = 0;
    rival = open_path(store_path(), &hasty);
    append_acknowledged(1);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
    race.other = open_other();
    race.commit = commit_by_the_rival;
}

static void set_up_default(void)
{
    set_up_stores(NULL);
    append_acknowledged(EVENTS_BEFORE);
}

static void set_up_with_a_short_wal(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.wal_soft_pages = EVENTS_BEFORE;
    set_up_stores(&options);
}

static void close_all(void)
{
    close_store();
    stele_store_close(rival);
    rival = NULL;
    ck_assert_int_eq(sqlite3_close(race.other), SQLITE_OK);
}

/* Whether the store, closed by all, lacks an acknowledged event or fails a check. */
static bool store_is_harmed(void)
{
    stele_store *reopened = NULL;
    bool whole = !raw_file_is_harmed(acks)
                 && stele_store_open(store_path(), NULL, &reopened) == STELE_OK
                 && verify_is_clean(reopened);
    stele_store_close(reopened);
    return !whole;
}

static void expect_that_the_race_was_refused(void)
{
    ck_assert_int_eq(race.tries, 1);
    ck_assert_msg(in_the_gap == STELE_BUSY, "the commit in the gap was answered %s",
                  stele_status_name(in_the_gap));
}

static void append_a_few_and_look(void)
{
    append_acknowledged(EVENTS_AFTER);
    ck_assert(commit_by_the_rival());
    close_all();
    ck_assert(!store_is_harmed());
}

START_TEST(transfer_asked_for_keeps_all_events_when_another_wants_to_commit_in_the_gap)
{
    race.armed = true;
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);

    expect_that_the_race_was_refused();
    append_a_few_and_look();
}
END_TEST

START_TEST(transfer_of_a_long_wal_keeps_all_events_when_another_wants_to_commit_in_the_gap)
{
    race.armed = true;
    for (int i = 0; i < 4 * EVENTS_BEFORE && race.armed; i++)
        append_acknowledged(1);

    expect_that_the_race_was_refused();
    append_a_few_and_look();
}
END_TEST

START_TEST(transfer_at_close_keeps_all_events_when_another_wants_to_commit_in_the_gap)
{
    race.armed = true;
    close_store();

    expect_that_the_race_was_refused();
    open_in_file();
    append_a_few_and_look();
}
END_TEST

/* The library's own transfer, but for the write lock around it. */
static void transfer_without_guard(stele__database *database)
{
    uint32_t pages = 0, copied = 0;
    race.armed = true;
    assert_status(stele__database_transfer(database, &pages, &copied), STELE_OK);
    ck_assert(!race.armed);
}

/* The control: it is the guard that helps, not something else that the library does. */
START_TEST(control_transfer_of_the_library_without_its_guard_loses_events_on_an_affected_sqlite)
{
    const stele__database_options settings = { .busy_timeout_ms = 0, .cache_size_kb = 1024 };
    stele__database *database = NULL;
    assert_status(stele__database_open(store_path(), &settings, &database), STELE_OK);
    assert_status(stele__database_settle(database, &settings, false), STELE_OK);
    append_acknowledged(1); /* the connection knows nothing of it */

    transfer_without_guard(database);

    ck_assert_int_eq(race.tries, 1);
    ck_assert_int_eq(race.commits, 1);
    stele__database_close(database);
    for (int i = 0; i < EVENTS_AFTER; i++)
        commit_by_the_rival();
    ck_assert_int_gt(acks, EVENTS_BEFORE);
    close_all();
    ck_assert_int_eq(store_is_harmed(), has_the_bug());
}
END_TEST

static Suite *wal_reset_suite(void)
{
    Suite *suite = suite_create("wal_reset");
    TCase *by_hand = tcase_create("by hand");
    tcase_add_checked_fixture(by_hand, set_up_by_hand, end_race);
    suite_add_tcase(suite, by_hand);
    tcase_add_test(by_hand, control_unguarded_transfer_by_hand_loses_events_on_an_affected_sqlite);
    tcase_add_test(by_hand, write_lock_held_by_a_third_connection_guards_a_transfer_by_hand);
    TCase *library = tcase_create("library");
    tcase_add_checked_fixture(library, set_up_default, end_race);
    suite_add_tcase(suite, library);
    tcase_add_test(library,
                   transfer_asked_for_keeps_all_events_when_another_wants_to_commit_in_the_gap);
    tcase_add_test(library,
                   transfer_at_close_keeps_all_events_when_another_wants_to_commit_in_the_gap);
    tcase_add_test(
        library,
        control_transfer_of_the_library_without_its_guard_loses_events_on_an_affected_sqlite);
    TCase *short_wal = tcase_create("short WAL");
    tcase_add_checked_fixture(short_wal, set_up_with_a_short_wal, end_race);
    suite_add_tcase(suite, short_wal);
    tcase_add_test(short_wal,
                   transfer_of_a_long_wal_keeps_all_events_when_another_wants_to_commit_in_the_gap);
    return suite;
}

int main(void)
{
    return run_suite(wal_reset_suite());
}
