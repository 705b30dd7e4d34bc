/* Subscriptions and timelines: a store that goes on from an older point, under a live one, too. */
#include "subscriptions.h"

#include "store/store.h"

static void open_with_events(void)
{
    open_in_file();
    for (int i = 0; i < 10; i++)
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
}

/* As another process does that accepts a loss: a new epoch, after `starts_after`. */
static void begin_epoch_after(int64_t starts_after)
{
    stele_store *other = open_path(store_path(), NULL);
    stele__connection *connection = NULL;
    char epoch[37];
    char sql[200];
    assert_status(stele__write_begin(other, NULL, &connection), STELE_OK);
    assert_status(stele__epoch_begin(connection->database, epoch), STELE_OK);
    stele__connection_touch(connection);
    assert_status(stele__write_commit(other), STELE_OK);
    stele__write_end(other);
    stele_store_close(other);
    sqlite3 *raw = open_raw(store_path());
    int64_t id = raw_number(raw, "SELECT max(id) FROM epochs");
    int64_t at = raw_number(raw, "SELECT started_at FROM epochs ORDER BY id DESC LIMIT 1");
    snprintf(sql, sizeof(sql),
             "UPDATE epochs SET starts_after = %" PRId64 ", checksum = %" PRId64
             " WHERE id = %" PRId64,
             starts_after, stele__epoch_checksum(id, epoch, starts_after, at), id);
    run_raw(raw, sql);
    sqlite3_close(raw);
}

START_TEST(an_older_timeline_is_told_when_opening)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_ack(subscription, pull(subscription)->through), STELE_OK);
    stele_subscription_close(subscription);
    begin_epoch_after(6);
    reopen_file();

    assert_status(stele_subscription_open(store, &options, &subscription), STELE_EPOCH);
    ck_assert_ptr_null(subscription);

    assert_status(stele_checkpoint_save(store, "s", 6), STELE_OK);
    subscription = open_subscription(&options);
    ck_assert_int_eq(pull(subscription)->records[0]->position, 7);
    stele_subscription_close(subscription);
}
END_TEST

START_TEST(a_start_of_an_older_timeline_is_told_unless_it_has_begun)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = NULL;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    char epoch[40];
    snprintf(epoch, sizeof(epoch), "%s", info.epoch);
    begin_epoch_after(6);
    reopen_file();
    options.start = STELE_START_POSITION;
    options.start_position = 8;
    options.start_epoch = epoch;

    assert_status(stele_subscription_open(store, &options, &subscription), STELE_EPOCH);
    options.name = NULL;
    assert_status(stele_subscription_open(store, &options, &subscription), STELE_EPOCH);
    options.start_position = 6;
    subscription = open_subscription(&options);
    ck_assert_int_eq(pull(subscription)->records[0]->position, 7);
    stele_subscription_close(subscription);

    options.name = "s";
    options.start_position = 8;
    assert_status(stele_checkpoint_save(store, "s", 2), STELE_OK);
    subscription = open_subscription(&options);
    ck_assert_int_eq(pull(subscription)->records[0]->position, 3);
    stele_subscription_close(subscription);
}
END_TEST

/* Whether it has events in hand, waits, or hasn't any name: never a silent skip. */
START_TEST(an_older_timeline_under_a_live_subscription_is_told)
{
    stele_subscription_options options = make_subscription(_i < 3 ? "s" : NULL);
    stele_subscription *subscription = open_subscription(&options);
    const stele_batch *batch = pull(subscription);
    stele_wait wait = wait_for_ms(3000);
    if (_i != 0) {
        assert_status(stele_subscription_ack(subscription, batch->through), STELE_OK);
        if (_i != 2)
            expect_nothing(subscription);
    }

    begin_epoch_after(6);
    if (_i == 0)
        assert_status(stele_subscription_ack(subscription, batch->through), STELE_EPOCH);
    else if (_i == 3) /* without a row: at the next event */
        assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    if (_i != 0)
        assert_status(stele_subscription_next(subscription, &wait, &batch), STELE_EPOCH);

    stele_subscription_close(subscription);
    ck_assert_int_eq(sql_number(store_path(), "SELECT coalesce(max(position), 0) FROM checkpoints"),
                     _i == 0 || _i == 3 ? 0 : 10);
}
END_TEST

START_TEST(an_older_timeline_ends_a_run)
{
    static seen_events seen;
    seen = (seen_events){ .stop_at = 10 };
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    make_seen_table();
    assert_status(stele_subscription_ack(subscription, pull(subscription)->through), STELE_OK);

    begin_epoch_after(6);

    assert_status(stele_subscription_run(subscription, &handler), STELE_EPOCH);
    stele_subscription_close(subscription);
    ck_assert_uint_eq(seen.count, 0);
}
END_TEST

/* An epoch that began at the head shares all: nothing to look at, and what comes is saved in it. */
START_TEST(a_new_epoch_at_the_head_is_no_break)
{
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_ack(subscription, pull(subscription)->through), STELE_OK);

    begin_epoch_after(10);
    stele_store *other = open_path(store_path(), NULL);
    assert_status(append_to(other, "a-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_store_close(other);

    const stele_batch *batch = pull(subscription);
    ck_assert_int_eq(batch->records[0]->position, 11);
    assert_status(stele_subscription_ack(subscription, 11), STELE_OK);
    stele_subscription_close(subscription);
    subscription = open_subscription(&options);
    expect_nothing(subscription);
    stele_subscription_close(subscription);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM checkpoints c WHERE c.epoch ="
                                              " (SELECT epoch FROM epochs ORDER BY id DESC)"),
                     1);
}
END_TEST

START_TEST(key_of_an_event_stays_the_same_in_later_epochs)
{
    stele_subscription_options options = make_subscription(NULL);
    stele_store_info info = STELE_STORE_INFO_INIT;
    char key[STELE_SUBSCRIPTION_KEY_SIZE];
    char again[STELE_SUBSCRIPTION_KEY_SIZE];
    char expected[STELE_SUBSCRIPTION_KEY_SIZE];
    assert_status(stele_store_describe(store, &info), STELE_OK);
    snprintf(expected, sizeof(expected), "%s/%s/3", info.uuid, info.epoch);
    stele_subscription *subscription = open_subscription(&options);
    assert_status(stele_subscription_key(subscription, pull(subscription)->records[2], key),
                  STELE_OK);
    ck_assert_str_eq(key, expected);

    begin_epoch_after(10);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_subscription *later = open_subscription(&options);

    const stele_batch *batch = pull(later);
    assert_status(stele_subscription_key(later, batch->records[2], again), STELE_OK);
    ck_assert_str_eq(again, key);
    assert_status(stele_subscription_key(later, batch->records[10], again), STELE_OK);
    ck_assert_ptr_null(strstr(again, expected + strlen(info.uuid) + 1));
    assert_status(stele_subscription_ack(subscription, 10), STELE_OK);
    assert_status(stele_subscription_key(subscription, pull(subscription)->records[0], key),
                  STELE_OK);
    ck_assert_str_eq(again, key);
    assert_status(stele_subscription_key(NULL, batch->records[2], again), STELE_MISUSE);
    assert_status(stele_subscription_key(later, NULL, again), STELE_MISUSE);
    assert_status(stele_subscription_key(later, batch->records[2], NULL), STELE_MISUSE);
    stele_subscription_close(subscription);
    stele_subscription_close(later);
}
END_TEST

static Suite *subscription_epochs_suite(void)
{
    Suite *suite = suite_create("subscription epochs");
    TCase *tests = add_case(suite, "timelines", open_with_events);
    tcase_add_test(tests, an_older_timeline_is_told_when_opening);
    tcase_add_test(tests, a_start_of_an_older_timeline_is_told_unless_it_has_begun);
    tcase_add_loop_test(tests, an_older_timeline_under_a_live_subscription_is_told, 0, 4);
    tcase_add_test(tests, an_older_timeline_ends_a_run);
    tcase_add_test(tests, a_new_epoch_at_the_head_is_no_break);
    tcase_add_test(tests, key_of_an_event_stays_the_same_in_later_epochs);
    return suite;
}

int main(void)
{
    return run_suite(subscription_epochs_suite());
}
