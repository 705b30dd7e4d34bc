/* Relaxed durability: power loss may cost the last commits, so positions could be used again; a
 * new epoch says so. */
#include "contract.h"

/* A process with relaxed durability that ends without closing. */
static int append_and_die(void *context)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    (void)context;
    stele_store *opened = NULL;
    if (stele_store_open(store_path(), &options, &opened) != STELE_OK)
        return 1;
    return append_to(opened, "account-1", STELE_ANY, "opened", NULL) == STELE_OK ? 0 : 2;
}

static stele_store_info describe_file(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_store *opened = open_path(store_path(), NULL);
    assert_status(stele_store_describe(opened, &info), STELE_OK);
    stele_store_close(opened);
    return info;
}

START_TEST(crash_of_a_relaxed_process_keeps_the_epoch)
{
    stele_store_info before = describe_file();

    ck_assert_int_eq(run_in_child(append_and_die, NULL), 0);

    stele_store_info after = describe_file();
    ck_assert_str_eq(after.epoch, before.epoch);
    ck_assert_int_eq(after.head, 1);
}
END_TEST

START_TEST(relaxed_writes_and_another_boot_begin_a_new_epoch_at_the_head)
{
    stele_store_info before = describe_file();
    ck_assert_int_eq(run_in_child(append_and_die, NULL), 0);
    run_sql(store_path(), "UPDATE meta SET value = 'another boot' WHERE key LIKE 'dirty:%'");

    stele_store_info after = describe_file();

    ck_assert_str_ne(after.epoch, before.epoch);
    ck_assert_str_eq(after.uuid, before.uuid);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM epochs"), 2);
    ck_assert_int_eq(
        sql_number(store_path(), "SELECT starts_after FROM epochs ORDER BY id DESC LIMIT 1"), 1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"),
                     0);
    ck_assert_str_eq(describe_file().epoch, after.epoch);
}
END_TEST

START_TEST(clean_close_takes_the_mark_away)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    stele_store *opened = open_path(store_path(), &options);

    assert_status(append_to(opened, "account-1", STELE_ANY, "opened", NULL), STELE_OK);
    int64_t marks = sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'");
    stele_store_close(opened);

    ck_assert_int_eq(marks, 1);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"),
                     0);
}
END_TEST

START_TEST(full_durability_leaves_no_mark)
{
    stele_store *opened = open_path(store_path(), NULL);

    assert_status(append_to(opened, "account-1", STELE_ANY, "opened", NULL), STELE_OK);

    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM meta WHERE key LIKE 'dirty:%'"),
                     0);
    stele_store_close(opened);
}
END_TEST

/* --- Consumers of a timeline that was lost --- */

/* Power is lost: the events after `head` are gone, and another boot finds the mark. What else the
 * file holds stays, as a consumer's own store would have it. */
static void lose_power_back_to(int head)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
             "DELETE FROM events WHERE position > %d;"
             "INSERT OR REPLACE INTO meta(key, value, checksum) VALUES('dirty:a', 'another', 0)",
             head);
    run_sql(store_path(), sql);
    unlink(test_path("store.db-anchor"));
}

static void fill_and_close(int count)
{
    store = open_path(store_path(), NULL);
    fill_stream("account-1", count);
    close_store();
}

/* Consumers at 4 and at 8 of ten events; then all after 6 are lost, and others written. */
static void lose_events_under_consumers(void)
{
    store = open_path(store_path(), NULL);
    fill_stream("account-1", 10);
    assert_status(stele_checkpoint_save(store, "near", 4), STELE_OK);
    assert_status(stele_checkpoint_save(store, "at", 6), STELE_OK);
    assert_status(stele_checkpoint_save(store, "far", 8), STELE_OK);
    assert_status(stele_checkpoint_save(store, "end", 10), STELE_OK);
    close_store();
    lose_power_back_to(6);
    fill_and_close(3);
    store = open_path(store_path(), NULL);
}

START_TEST(checkpoint_beyond_the_fork_is_epoch_and_says_from_where_to_go_on)
{
    stele_checkpoint checkpoint = { 0 };
    lose_events_under_consumers();

    assert_status(stele_checkpoint_load(store, "far", &checkpoint), STELE_EPOCH);

    assert_reason_has("'far'");
    assert_reason_has("position 8");
    assert_reason_has("up to 6");
    ck_assert(checkpoint.found);
    ck_assert_int_eq(checkpoint.position, 8);
    ck_assert_int_eq(checkpoint.shared, 6);
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_checkpoint_load(transaction, "end", &checkpoint), STELE_EPOCH);
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(checkpoint_at_or_before_the_fork_is_still_good)
{
    stele_checkpoint checkpoint = { 0 };
    lose_events_under_consumers();

    assert_status(stele_checkpoint_load(store, "near", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 4);
    assert_status(stele_checkpoint_load(store, "at", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 6);
    ck_assert_int_eq(checkpoint.shared, 0);
}
END_TEST

START_TEST(saving_takes_a_checkpoint_into_the_current_epoch)
{
    stele_checkpoint checkpoint = { 0 };
    lose_events_under_consumers();
    assert_status(stele_checkpoint_load(store, "far", &checkpoint), STELE_EPOCH);

    assert_status(stele_checkpoint_save(store, "far", checkpoint.shared), STELE_OK);
    assert_status(stele_checkpoint_save(store, "end", 9), STELE_OK);

    assert_status(stele_checkpoint_load(store, "far", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 6);
    assert_status(stele_checkpoint_load(store, "end", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 9);
}
END_TEST

/* The second loss reaches further back than the first: the epoch in between doesn't hide it. */
START_TEST(fork_below_an_earlier_fork_counts_for_both_epochs)
{
    stele_checkpoint checkpoint = { 0 };
    lose_events_under_consumers();
    assert_status(stele_checkpoint_save(store, "second", 8), STELE_OK);
    close_store();
    lose_power_back_to(5);
    fill_and_close(6);
    store = open_path(store_path(), NULL);

    assert_status(stele_checkpoint_load(store, "at", &checkpoint), STELE_EPOCH);
    ck_assert_int_eq(checkpoint.shared, 5);
    assert_status(stele_checkpoint_load(store, "second", &checkpoint), STELE_EPOCH);
    ck_assert_int_eq(checkpoint.shared, 5);
    assert_status(stele_checkpoint_load(store, "near", &checkpoint), STELE_OK);
}
END_TEST

/* A later and smaller loss doesn't make the first one's consumers right again. */
START_TEST(fork_above_an_earlier_fork_leaves_that_one_in_force)
{
    stele_checkpoint checkpoint = { 0 };
    lose_events_under_consumers(); /* back to 6, and on to 9 */
    close_store();
    lose_power_back_to(8);
    fill_and_close(6);
    store = open_path(store_path(), NULL);

    assert_status(stele_checkpoint_load(store, "far", &checkpoint), STELE_EPOCH);
    ck_assert_int_eq(checkpoint.shared, 6);
    assert_status(stele_checkpoint_load(store, "at", &checkpoint), STELE_OK);
}
END_TEST

START_TEST(read_on_after_a_position_asks_for_its_epoch)
{
    stele_store_info before = describe_file();
    stele_cursor *cursor = NULL;
    lose_events_under_consumers();
    stele_store_info now = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &now), STELE_OK);
    stele_read read = STELE_READ_INIT;

    read.epoch = before.epoch;
    read.after_position = 7;
    assert_status(stele_store_read(store, &read, &cursor), STELE_EPOCH);
    ck_assert_ptr_null(cursor);
    assert_reason_has(before.epoch);
    assert_reason_has(now.epoch);
    read.after_position = 6;
    ck_assert_str_eq(positions_of(&read), "7 8 9");

    read.epoch = "00000000-0000-4000-8000-000000000000";
    read.after_position = 1;
    assert_status(stele_store_read(store, &read, &cursor), STELE_EPOCH);
    read.after_position = 0;
    ck_assert_str_eq(positions_of(&read), "1 2 3 4 5 6 7 8 9");

    read.epoch = now.epoch;
    read.after_position = 8;
    ck_assert_str_eq(positions_of(&read), "9");
    read.epoch = NULL;
    ck_assert_str_eq(positions_of(&read), "9");
}
END_TEST

/* A damaged epoch is damage, not another timeline. */
START_TEST(damaged_epoch_is_corrupt)
{
    stele_checkpoint checkpoint = { 0 };
    lose_events_under_consumers();
    close_store();
    run_sql(store_path(), "UPDATE epochs SET starts_after = 9 WHERE id = 1");
    store = open_path(store_path(), NULL);

    assert_status(stele_checkpoint_load(store, "far", &checkpoint), STELE_CORRUPT);
    assert_reason_has("row 1 of epochs");
}
END_TEST

static void make_file(void)
{
    stele_store_close(open_path(store_path(), NULL));
}

int main(void)
{
    Suite *suite = suite_create("epochs");
    TCase *tests = add_case(suite, "file", make_file);
    tcase_add_test(tests, crash_of_a_relaxed_process_keeps_the_epoch);
    tcase_add_test(tests, relaxed_writes_and_another_boot_begin_a_new_epoch_at_the_head);
    tcase_add_test(tests, clean_close_takes_the_mark_away);
    tcase_add_test(tests, full_durability_leaves_no_mark);
    TCase *consumers = add_case(suite, "consumers", make_file);
    tcase_add_test(consumers, checkpoint_beyond_the_fork_is_epoch_and_says_from_where_to_go_on);
    tcase_add_test(consumers, checkpoint_at_or_before_the_fork_is_still_good);
    tcase_add_test(consumers, saving_takes_a_checkpoint_into_the_current_epoch);
    tcase_add_test(consumers, fork_below_an_earlier_fork_counts_for_both_epochs);
    tcase_add_test(consumers, fork_above_an_earlier_fork_leaves_that_one_in_force);
    tcase_add_test(consumers, read_on_after_a_position_asks_for_its_epoch);
    tcase_add_test(consumers, damaged_epoch_is_corrupt);
    return run_suite(suite);
}
