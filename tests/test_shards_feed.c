/* Many shards as one feed: what comes, in which order, and what was acknowledged. */
#include "shard_lists.h"

/* --- What comes --- */

START_TEST(every_event_of_every_shard_comes_in_order)
{
    static const char *const names[] = { "a", "b", "c" };
    int64_t last[3] = { 0 };
    const stele_feed_batch *batch = NULL;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        add_events("o", names[i], "noted", 20 + (int)i);
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    options.batch_count_max = 7;
    stele_feed *feed = open_feed(&options);

    while (stele_feed_next(feed, NULL, &batch) == STELE_OK) {
        size_t at = (size_t)(stele_shard_namespace(batch->shard)[0] - 'a');
        ck_assert_uint_le(batch->count, 7);
        for (size_t i = 0; i < batch->count; i++)
            ck_assert_int_eq(batch->records[i]->position, ++last[at]);
        ck_assert_int_eq(batch->through, last[at]);
        assert_status(stele_feed_ack(feed), STELE_OK);
    }

    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_int_eq(last[i], 20 + (int)i);
    expect_nothing(feed);
    stele_feed_close(feed);
}
END_TEST

START_TEST(shards_are_taken_in_turn)
{
    char turns[8] = "";
    add_events("o", "a", "noted", 30);
    add_events("o", "b", "noted", 1);
    add_events("o", "c", "noted", 2);
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    options.batch_count_max = 1;
    stele_feed *feed = open_feed(&options);

    for (size_t i = 0; i < 6; i++)
        turns[i] = stele_shard_namespace(next_in_feed(feed)->shard)[0];

    ck_assert_str_eq(turns, "abcaca");
    stele_feed_close(feed);
}
END_TEST

START_TEST(a_busy_shard_does_not_starve_one_that_wakes_up)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    options.batch_count_max = 10;
    options.poll_interval_ms = 1;
    add_events("o", "busy", "noted", 1000);
    make_shard("o", "quiet");
    stele_feed *feed = open_feed(&options);
    next_in_feed(feed);
    add_events("o", "quiet", "noted", 1);

    int turns = 1;
    while (strcmp(stele_shard_namespace(next_in_feed(feed)->shard), "quiet") != 0)
        ck_assert_int_lt(++turns, 90);

    stele_feed_close(feed);
}
END_TEST

START_TEST(a_filter_moves_on_past_what_it_skips)
{
    static const char *const types[] = { "wanted" };
    stele_read filter = STELE_READ_INIT;
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("o", "a", "other", 5);
    add_events("o", "a", "wanted", 1);
    add_events("o", "a", "other", 3);
    add_events("o", "b", "other", 4);
    filter.types = types;
    filter.type_count = 1;
    options.filter = &filter;
    options.name = "filtered";
    stele_feed *feed = open_feed(&options);

    const stele_feed_batch *batch = next_in_feed(feed);
    ck_assert_uint_eq(batch->count, 1);
    ck_assert_int_eq(batch->records[0]->position, 6);
    ck_assert_int_eq(batch->through, 9);
    assert_status(stele_feed_ack(feed), STELE_OK);
    batch = next_in_feed(feed);
    ck_assert_uint_eq(batch->count, 0);
    ck_assert_int_eq(batch->through, 4);
    ck_assert_str_eq(stele_shard_namespace(batch->shard), "b");
    assert_status(stele_feed_ack(feed), STELE_OK);
    expect_nothing(feed);
    stele_feed_close(feed);

    ck_assert_int_eq(checkpoint_in("o", "a", "filtered"), 9);
    ck_assert_int_eq(checkpoint_in("o", "b", "filtered"), 4);
}
END_TEST

START_TEST(only_the_shards_that_were_asked_for)
{
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("o", "xa", "noted", 1);
    add_events("o", "ya", "noted", 2);
    add_events("p", "xa", "noted", 4);
    read.organisation = "o";
    read.prefix = "x";
    options.read = &read;
    stele_feed *feed = open_feed(&options);
    ck_assert_uint_eq(drain_feed(feed), 1);
    stele_feed_close(feed);

    read.organisation = NULL;
    feed = open_feed(&options);
    ck_assert_uint_eq(drain_feed(feed), 5);
    stele_feed_close(feed);
}
END_TEST

START_TEST(what_is_lent_stays_open_and_nothing_else)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_shards_info info;
    char name[16];
    close_shards();
    options.open_max = 2;
    shards = open_root(&options);
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        add_events("o", name, "noted", 2);
    }
    stele_feed *feed = open_feed(NULL);
    const stele_feed_batch *batch = NULL;
    size_t count = 0;

    while (stele_feed_next(feed, NULL, &batch) == STELE_OK) {
        assert_status(stele_shards_describe(shards, &info), STELE_OK);
        ck_assert_uint_eq(info.handles, 1);
        ck_assert_uint_le(info.open, 2);
        ck_assert_int_eq(head_of(stele_shard_store(batch->shard)), 2);
        count += batch->count;
    }

    ck_assert_uint_eq(count, 24);
    assert_status(stele_shards_describe(shards, &info), STELE_OK);
    ck_assert_uint_eq(info.handles, 0);
    stele_feed_close(feed);
}
END_TEST

START_TEST(from_the_head_only_what_comes_from_now_on)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("o", "a", "noted", 3);
    options.from_head = true;
    stele_feed *feed = open_feed(&options);
    expect_nothing(feed);
    add_events("o", "a", "noted", 1);
    add_events("o", "later", "noted", 2);

    const stele_feed_batch *batch = NULL;
    size_t count = 0;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 60000;
    while (count < 3) {
        assert_status(stele_feed_next(feed, &wait, &batch), STELE_OK);
        count += batch->count;
    }
    ck_assert_uint_eq(count, 3);
    expect_nothing(feed);
    stele_feed_close(feed);
}
END_TEST

START_TEST(a_named_feed_from_the_head_begins_there_once_and_for_all)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("o", "a", "noted", 3);
    options.from_head = true;
    options.name = "feed";
    stele_feed_close(open_feed(&options));
    ck_assert_int_eq(checkpoint_in("o", "a", "feed"), 3);
    add_events("o", "a", "noted", 2);

    stele_feed *feed = open_feed(&options);

    ck_assert_uint_eq(drain_feed(feed), 2);
    stele_feed_close(feed);
}
END_TEST

/* --- Acknowledging --- */

START_TEST(what_was_acknowledged_does_not_come_again)
{
    add_events("o", "a", "noted", 3);
    add_events("o", "b", "noted", 3);
    stele_feed *feed = open_named_feed("feed");
    next_in_feed(feed);
    assert_status(stele_feed_ack(feed), STELE_OK);
    next_in_feed(feed);
    stele_feed_close(feed);
    close_shards();
    open_shards();

    feed = open_named_feed("feed");
    const stele_feed_batch *batch = next_in_feed(feed);

    ck_assert_str_eq(stele_shard_namespace(batch->shard), "b");
    ck_assert_uint_eq(batch->count, 3);
    expect_nothing(feed);
    stele_feed_close(feed);
    ck_assert_int_eq(checkpoint_in("o", "a", "feed"), 3);
    ck_assert_int_eq(checkpoint_in("o", "b", "feed"), -1);
}
END_TEST

START_TEST(what_was_passed_over_is_acknowledged_with_what_follows)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("o", "a", "noted", 4);
    options.name = "feed";
    options.batch_count_max = 2;
    stele_feed *feed = open_feed(&options);
    ck_assert_int_eq(next_in_feed(feed)->through, 2);
    ck_assert_int_eq(next_in_feed(feed)->through, 4);
    assert_status(stele_feed_ack(feed), STELE_OK);
    assert_status(stele_feed_ack(feed), STELE_MISUSE);
    stele_feed_close(feed);

    ck_assert_int_eq(checkpoint_in("o", "a", "feed"), 4);
}
END_TEST

START_TEST(of_two_feeds_of_a_name_one_has_acknowledged_each_event)
{
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    const char *organisation = NULL;
    const char *name_space = NULL;
    add_events("o", "a", "noted", 4);
    options.name = "feed";
    options.batch_count_max = 2;
    stele_feed *one = open_feed(&options);
    stele_feed *other = open_feed(&options);
    ck_assert_int_eq(next_in_feed(one)->through, 2);
    ck_assert_int_eq(next_in_feed(other)->through, 2);
    assert_status(stele_feed_ack(one), STELE_OK);

    assert_status(stele_feed_ack(other), STELE_CONFLICT);

    stele_feed_fault(other, &organisation, &name_space);
    ck_assert_str_eq(organisation, "o");
    ck_assert_str_eq(name_space, "a");
    assert_status(stele_feed_ack(other), STELE_MISUSE);
    ck_assert_int_eq(next_in_feed(other)->through, 4);
    assert_status(stele_feed_ack(other), STELE_OK);
    expect_nothing(one);
    expect_nothing(other);
    stele_feed_close(one);
    stele_feed_close(other);
}
END_TEST

START_TEST(a_checkpoint_that_is_set_back_is_noticed)
{
    add_events("o", "a", "noted", 4);
    stele_feed *feed = open_named_feed("feed");
    ck_assert_uint_eq(drain_feed(feed), 4);

    stele_shard *shard = get_shard("o", "a");
    assert_status(stele_checkpoint_save(stele_shard_store(shard), "feed", 1), STELE_OK);
    ck_assert_uint_eq(drain_feed(feed), 3);
    assert_status(stele_checkpoint_reset(stele_shard_store(shard), "feed", NULL), STELE_OK);
    ck_assert_uint_eq(drain_feed(feed), 4);

    stele_shard_release(shard);
    stele_feed_close(feed);
}
END_TEST

static stele_transaction *begin_in(stele_shard *shard)
{
    stele_transaction *transaction = NULL;
    assert_status(stele_transaction_begin(stele_shard_store(shard), &transaction), STELE_OK);
    return transaction;
}

START_TEST(an_acknowledgement_within_a_transaction_is_all_or_nothing)
{
    const stele_feed_batch *batch = NULL;
    add_events("o", "a", "noted", 2);
    stele_feed *feed = open_named_feed("feed");
    batch = next_in_feed(feed);
    stele_transaction *transaction = begin_in(batch->shard);
    assert_status(stele_feed_ack_within(feed, transaction), STELE_OK);
    assert_status(stele_feed_next(feed, NULL, &batch), STELE_MISUSE);
    stele_transaction_end(transaction);
    stele_feed_close(feed);
    ck_assert_int_eq(checkpoint_in("o", "a", "feed"), -1);

    feed = open_named_feed("feed");
    batch = next_in_feed(feed);
    ck_assert_uint_eq(batch->count, 2);
    transaction = begin_in(batch->shard);
    assert_status(stele_feed_ack_within(feed, transaction), STELE_OK);
    assert_status(stele_feed_ack_within(feed, transaction), STELE_MISUSE);
    commit_and_end(transaction);
    expect_nothing(feed);
    stele_feed_close(feed);
    ck_assert_int_eq(checkpoint_in("o", "a", "feed"), 2);
}
END_TEST

START_TEST(a_transaction_that_was_rolled_back_brings_the_events_again)
{
    add_events("o", "a", "noted", 2);
    stele_feed *feed = open_named_feed("feed");
    stele_transaction *transaction = begin_in(next_in_feed(feed)->shard);
    assert_status(stele_feed_ack_within(feed, transaction), STELE_OK);
    stele_transaction_end(transaction);

    ck_assert_uint_eq(next_in_feed(feed)->count, 2);
    assert_status(stele_feed_ack(feed), STELE_OK);

    stele_feed_close(feed);
    ck_assert_int_eq(checkpoint_in("o", "a", "feed"), 2);
}
END_TEST

START_TEST(a_transaction_of_another_shard_acknowledges_nothing)
{
    add_events("o", "a", "noted", 2);
    stele_shard *other = get_shard("o", "b");
    stele_feed *feed = open_named_feed("feed");
    stele_feed *nameless = open_feed(NULL);
    const stele_feed_batch *batch = next_in_feed(feed);
    stele_shard *shard = batch->shard;
    next_in_feed(nameless);
    stele_transaction *transaction = begin_in(other);
    assert_status(stele_feed_ack_within(feed, transaction), STELE_MISUSE);
    stele_transaction_end(transaction);

    transaction = begin_in(shard);
    assert_status(stele_feed_ack_within(nameless, transaction), STELE_MISUSE);
    assert_status(stele_feed_ack_within(feed, NULL), STELE_MISUSE);
    assert_status(stele_feed_ack_within(NULL, transaction), STELE_MISUSE);
    assert_status(stele_feed_ack(feed), STELE_MISUSE); /* would wait for itself */
    assert_status(stele_feed_ack_within(feed, transaction), STELE_OK);
    commit_and_end(transaction);

    stele_shard_release(other);
    stele_feed_close(feed);
    stele_feed_close(nameless);
}
END_TEST

/* --- Who comes and goes --- */

START_TEST(who_has_moved_or_gone_leaves)
{
    char path[600];
    add_events("o", "a", "noted", 2);
    add_events("o", "b", "noted", 2);
    stele_feed *feed = open_feed(NULL);
    ck_assert_uint_eq(drain_feed(feed), 4);
    close_shards();
    stele_feed_close(feed);
    open_shards();
    feed = open_feed(NULL);
    next_in_feed(feed);
    put_stray("o/a.moved");
    assert_status(stele_shards_path(shards, "o", "b", path, sizeof(path)), STELE_OK);
    ck_assert_int_eq(unlink(path), 0);

    expect_nothing(feed);

    ck_assert_ptr_null(strstr(vector_of(feed), "\"b\""));
    stele_feed_close(feed);
}
END_TEST

START_TEST(a_damaged_shard_is_told_and_the_others_go_on)
{
    char path[600];
    const char *organisation = NULL;
    const char *name_space = NULL;
    const stele_feed_batch *batch = NULL;
    add_events("o", "a", "noted", 1);
    add_events("o", "b", "noted", 1);
    add_events("o", "c", "noted", 1);
    assert_status(stele_shards_path(shards, "o", "b", path, sizeof(path)), STELE_OK);
    close_shards();
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 1024; i++)
        fputs("damage! ", file);
    fclose(file);
    open_shards();
    stele_feed *feed = open_feed(NULL);

    ck_assert_str_eq(stele_shard_namespace(next_in_feed(feed)->shard), "a");
    assert_status(stele_feed_next(feed, NULL, &batch), STELE_CORRUPT);
    stele_feed_fault(feed, &organisation, &name_space);
    ck_assert_str_eq(name_space, "b");
    assert_reason_has("'b' of 'o'");
    ck_assert_str_eq(stele_shard_namespace(next_in_feed(feed)->shard), "c");
    stele_feed_fault(feed, &organisation, &name_space);
    ck_assert_ptr_null(organisation);
    ck_assert_ptr_null(name_space);
    stele_feed_close(feed);

    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    options.from_head = true;
    feed = (stele_feed *)&feed;
    assert_status(stele_feed_open(shards, &options, &feed), STELE_CORRUPT);
    ck_assert_ptr_null(feed);
}
END_TEST

static Suite *shards_feed_suite(void)
{
    Suite *suite = suite_create("shards_feed");
    TCase *tests = add_shard_case(suite, "what comes");
    tcase_add_test(tests, every_event_of_every_shard_comes_in_order);
    tcase_add_test(tests, shards_are_taken_in_turn);
    tcase_add_test(tests, a_busy_shard_does_not_starve_one_that_wakes_up);
    tcase_add_test(tests, a_filter_moves_on_past_what_it_skips);
    tcase_add_test(tests, only_the_shards_that_were_asked_for);
    tcase_add_test(tests, what_is_lent_stays_open_and_nothing_else);
    tcase_add_test(tests, from_the_head_only_what_comes_from_now_on);
    tcase_add_test(tests, a_named_feed_from_the_head_begins_there_once_and_for_all);
    tests = add_shard_case(suite, "acknowledging");
    tcase_add_test(tests, what_was_acknowledged_does_not_come_again);
    tcase_add_test(tests, what_was_passed_over_is_acknowledged_with_what_follows);
    tcase_add_test(tests, of_two_feeds_of_a_name_one_has_acknowledged_each_event);
    tcase_add_test(tests, a_checkpoint_that_is_set_back_is_noticed);
    tcase_add_test(tests, an_acknowledgement_within_a_transaction_is_all_or_nothing);
    tcase_add_test(tests, a_transaction_that_was_rolled_back_brings_the_events_again);
    tcase_add_test(tests, a_transaction_of_another_shard_acknowledges_nothing);
    tests = add_shard_case(suite, "shards");
    tcase_add_test(tests, who_has_moved_or_gone_leaves);
    tcase_add_test(tests, a_damaged_shard_is_told_and_the_others_go_on);
    return suite;
}

int main(void)
{
    return run_suite(shards_feed_suite());
}
