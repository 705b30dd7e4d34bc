/* The anchor: a store that lost what was durable says so and writes nothing until told. Each loss
 * has its control: without the anchor nobody notices. */
#include "anchor_losses.h"

/* --- A lost WAL --- */

START_TEST(lost_wal_leaves_a_store_to_read_that_says_what_it_lacks)
{
    take_wal("store.db");

    expect_lost(7, "position 7", "ends at 3");

    assert_heard("warning: ");
    assert_heard("position 7, the log ends at 3");
    open_in_file();
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(lost_wal_that_is_put_back_makes_the_store_whole)
{
    take_wal("store.db");
    expect_lost(7, "position 7", "ends at 3");

    give_wal_back("store.db");

    expect_whole(8);
}
END_TEST

/* What the anchor knew of the WAL outlives the look at the store without it. */
START_TEST(another_wal_than_the_lost_one_is_refused)
{
    crash_after("other.db", 5);
    take_wal("store.db");
    expect_lost(7, "position 7", "ends at 3");

    copy_file(test_path("other.db-wal"), test_path("store.db-wal"));

    refuse_path(store_path(), NULL, STELE_CORRUPT);
}
END_TEST

START_TEST(control_lost_wal_goes_unnoticed_without_the_anchor)
{
    take_wal("store.db");
    unlink(test_path("store.db-anchor"));
    open_in_file();

    stele_appended appended = { 0 };
    assert_status(append_one("account-1", STELE_ANY, "moved", &appended), STELE_OK);

    ck_assert_int_eq(appended.last_position, 4); /* which was another event before */
    expect_state(store, STELE_ANCHOR_MISSING, 0);
}
END_TEST

static void open_accepting(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.accept_loss = true;
    store = open_path(store_path(), &options);
}

START_TEST(accepted_loss_begins_a_new_epoch_at_the_head_that_is_left)
{
    take_wal("store.db");
    open_in_file();
    stele_store_info before = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &before), STELE_OK);
    close_store();

    open_accepting();

    stele_store_info after = STELE_STORE_INFO_INIT;
    stele_appended appended = { 0 };
    assert_status(stele_store_describe(store, &after), STELE_OK);
    ck_assert_int_eq(after.anchor, STELE_ANCHOR_GOOD);
    ck_assert_int_eq(after.anchor_head, 3);
    ck_assert_str_ne(after.epoch, before.epoch);
    ck_assert_str_eq(after.uuid, before.uuid);
    assert_status(append_one("account-1", STELE_ANY, "moved", &appended), STELE_OK);
    ck_assert_int_eq(appended.last_position, 4);
    assert_heard("notice: ");
    assert_heard("position 7, a new epoch begins after 3");
    close_store();
    ck_assert_int_eq(
        sql_number(store_path(), "SELECT starts_after FROM epochs ORDER BY id DESC LIMIT 1"), 3);
    expect_whole(4);
}
END_TEST

START_TEST(accepting_where_nothing_was_lost_changes_nothing)
{
    open_accepting();

    expect_state(store, STELE_ANCHOR_GOOD, 7);
    ck_assert_int_eq(head_of(store), 8);
    close_store();
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM epochs"), 1);
}
END_TEST

/* The process that accepts is killed before it wrote anything else. */
static int accept_and_vanish(void *context)
{
    (void)context;
    stele_options options = STELE_OPTIONS_INIT;
    options.accept_loss = true;
    options.durability = STELE_DURABILITY_RELAXED;
    stele_store *opened = NULL;
    return stele_store_open(store_path(), &options, &opened) == STELE_OK ? 0 : 1;
}

START_TEST(accepting_once_is_enough)
{
    take_wal("store.db");

    ck_assert_int_eq(run_in_child(accept_and_vanish, NULL), 0);

    expect_whole(3);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM epochs"), 2);
}
END_TEST

START_TEST(consumer_beyond_the_fork_is_told_and_one_before_it_reads_on)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    open_in_file();
    assert_status(stele_store_describe(store, &info), STELE_OK);
    close_store();
    crash_after("store.db", 3);
    take_wal("store.db"); /* from 11 back to 8 */
    open_accepting();
    fill_stream("account-2", 2);
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    read.epoch = info.epoch;

    read.after_position = 9;
    assert_status(stele_store_read(store, &read, &cursor), STELE_EPOCH);
    ck_assert_ptr_null(cursor);
    assert_reason_has("position 9");
    assert_reason_has(info.epoch);
    assert_reason_has("up to 8");
    read.after_position = 8;
    ck_assert_str_eq(positions_of(&read), "9 10");

    assert_status(stele_store_describe(store, &info), STELE_OK);
    read.after_position = 9;
    ck_assert_str_eq(positions_of(&read), "10");
}
END_TEST

/* --- An old copy --- */

/* A copy with three events, and a store that went on to six. */
static void put_old_copy_back(void)
{
    begin_test();
    append_cleanly("store.db", 3);
    copy_file(store_path(), test_path("copy.db"));
    append_cleanly("store.db", 3);
    copy_file(test_path("copy.db"), store_path());
}

START_TEST(old_copy_put_back_is_noticed)
{
    expect_lost(6, "position 6", "ends at 3");
}
END_TEST

START_TEST(old_copy_that_went_on_by_itself_is_noticed)
{
    copy_file(test_path("store.db-anchor"), test_path("kept"));
    unlink(test_path("store.db-anchor"));
    append_cleanly("store.db", 5);
    copy_file(test_path("kept"), test_path("store.db-anchor"));

    expect_lost(6, "position 6 is another event", "ends at 8");
}
END_TEST

/* Every event that the anchor names is there, but so are others that its epoch doesn't know. */
START_TEST(copy_from_before_the_epoch_is_noticed)
{
    append_cleanly("copy.db", 2);
    open_accepting();
    close_store();

    copy_file(test_path("copy.db"), store_path());

    expect_lost(3, "position 3 of an epoch", "ends at 5");
}
END_TEST

START_TEST(control_old_copy_goes_unnoticed_without_the_anchor)
{
    unlink(test_path("store.db-anchor"));
    open_in_file();

    stele_appended appended = { 0 };
    assert_status(append_one("account-1", STELE_ANY, "moved", &appended), STELE_OK);

    ck_assert_int_eq(appended.last_position, 4);
}
END_TEST

START_TEST(reader_judges_too_and_changes_nothing)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    options.accept_loss = true;
    file_copy anchor = load_file(test_path("store.db-anchor"));

    store = open_path(store_path(), &options);

    expect_state(store, STELE_ANCHOR_LOST, 6);
    assert_heard("position 6, the log ends at 3");
    close_store();
    expect_unchanged(test_path("store.db-anchor"), anchor);
}
END_TEST

/* --- Nothing lost --- */

static pid_t start_writer(crash *told)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(append_and_vanish(told));
    return child;
}

/* Processes of both kinds come and go without closing; what each of them anchors, holds. */
START_TEST(processes_that_are_killed_lose_nothing_and_nobody_says_so)
{
    crash full = { "store.db", 25, STELE_DURABILITY_FULL, 0, 12 };
    crash relaxed = { "store.db", 25, STELE_DURABILITY_RELAXED, 0, 20 };
    int64_t head = 8;
    for (int round = 0; round < 4; round++) {
        pid_t children[3] = { start_writer(&full), start_writer(&relaxed), start_writer(&full) };
        for (int i = 0; i < 3; i++) {
            int status = -1;
            ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
            ck_assert_int_eq(status, 0);
        }
        head += 75;
        if (round % 2 == 1)
            expect_whole(head++);
    }
    ck_assert_str_eq(heard, "");
}
END_TEST

/* The WAL begins anew every few commits, now and then without being moved to its end. */
static int move_the_wal_and_vanish(void *context)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.anchor_interval_ms = 0;
    options.wal_soft_pages = 10;
    options.durability = *(const stele_durability *)context;
    stele_store *opened = NULL;
    if (stele_store_open(store_path(), &options, &opened) != STELE_OK)
        return 1;
    for (int i = 0; i < 50; i++)
        if (append_to(opened, "account-1", STELE_ANY, "moved", NULL) != STELE_OK
            || (i % 7 == 0 && stele_store_transfer(opened, NULL, NULL) != STELE_OK))
            return 2;
    return 0;
}

START_TEST(wal_that_begins_anew_again_and_again_is_never_refused)
{
    int64_t head = 8;
    for (int round = 0; round < 6; round++) {
        stele_durability durability =
            round % 2 == 0 ? STELE_DURABILITY_FULL : STELE_DURABILITY_RELAXED;
        ck_assert_int_eq(run_in_child(move_the_wal_and_vanish, &durability), 0);
        head += 50;
        if (round % 3 == 1)
            expect_whole(head++);
    }
    ck_assert_str_eq(heard, "");
}
END_TEST

int main(void)
{
    /* Before any store: the hook holds for the process. */
    if (stele_log_set(hear, NULL) != STELE_OK)
        return EXIT_FAILURE;
    Suite *suite = suite_create("anchor");
    TCase *lost = add_case(suite, "lost", make_crashed_store);
    tcase_add_test(lost, lost_wal_leaves_a_store_to_read_that_says_what_it_lacks);
    tcase_add_test(lost, lost_wal_that_is_put_back_makes_the_store_whole);
    tcase_add_test(lost, another_wal_than_the_lost_one_is_refused);
    tcase_add_test(lost, control_lost_wal_goes_unnoticed_without_the_anchor);
    tcase_add_test(lost, accepted_loss_begins_a_new_epoch_at_the_head_that_is_left);
    tcase_add_test(lost, accepting_where_nothing_was_lost_changes_nothing);
    tcase_add_test(lost, accepting_once_is_enough);
    tcase_add_test(lost, consumer_beyond_the_fork_is_told_and_one_before_it_reads_on);
    TCase *copy = add_case(suite, "copy", put_old_copy_back);
    tcase_add_test(copy, old_copy_put_back_is_noticed);
    tcase_add_test(copy, old_copy_that_went_on_by_itself_is_noticed);
    tcase_add_test(copy, copy_from_before_the_epoch_is_noticed);
    tcase_add_test(copy, control_old_copy_goes_unnoticed_without_the_anchor);
    tcase_add_test(copy, reader_judges_too_and_changes_nothing);
    TCase *whole = add_case(suite, "whole", make_crashed_store);
    tcase_add_test(whole, processes_that_are_killed_lose_nothing_and_nobody_says_so);
    tcase_add_test(whole, wal_that_begins_anew_again_and_again_is_never_refused);
    return run_suite(suite);
}
