/* Feeds of shards: what is refused, what closing ends, and options that are copied. */
#include "shard_lists.h"

static void refuse_feed(const stele_feed_options *options, stele_status expected)
{
    stele_feed *feed = (stele_feed *)&feed;
    assert_status(stele_feed_open(shards, options, &feed), expected);
    ck_assert_ptr_null(feed);
}

START_TEST(what_can_not_be_fed_is_refused)
{
    static const char *const none[] = { NULL };
    stele_feed_options options;
    stele_feed_options_init(&options);
    options.struct_size = 0;
    refuse_feed(&options, STELE_MISUSE);
    stele_feed_options_init(&options);
    options.batch_count_max = 0;
    refuse_feed(&options, STELE_MISUSE);
    stele_feed_options_init(&options);
    options.batch_size_max = 0;
    refuse_feed(&options, STELE_MISUSE);
    stele_feed_options_init(&options);
    options.poll_interval_ms = 0;
    refuse_feed(&options, STELE_MISUSE);
    stele_feed_options_init(&options);
    options.name = "";
    refuse_feed(&options, STELE_MISUSE);
    options.name = "$ours";
    refuse_feed(&options, STELE_MISUSE);
    stele_feed_options_init(&options);
    stele_read filter = STELE_READ_INIT;
    options.filter = &filter;
    filter.stream = "s-1";
    refuse_feed(&options, STELE_MISUSE);
    stele_read_init(&filter);
    filter.direction = STELE_BACKWARD;
    refuse_feed(&options, STELE_MISUSE);
    stele_read_init(&filter);
    filter.category = "a-b";
    refuse_feed(&options, STELE_MISUSE);
    stele_read_init(&filter);
    filter.type_count = 1;
    refuse_feed(&options, STELE_MISUSE);
    filter.types = none;
    refuse_feed(&options, STELE_MISUSE);
    filter.type_count = 1001;
    refuse_feed(&options, STELE_TOO_LARGE);
    stele_feed_options_init(&options);
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    read.organisation = "\xff";
    options.read = &read;
    refuse_feed(&options, STELE_INVALID);
    assert_status(stele_feed_open(shards, NULL, NULL), STELE_MISUSE);
    assert_status(stele_feed_open(NULL, NULL, (stele_feed *[]){ NULL }), STELE_MISUSE);
}
END_TEST

START_TEST(calls_that_make_no_sense_are_refused)
{
    const stele_feed_batch *batch = NULL;
    stele_buffer text = STELE_BUFFER_INIT;
    stele_wait wait = STELE_WAIT_INIT;
    stele_feed *feed = open_feed(NULL);
    wait.struct_size = 0;
    assert_status(stele_feed_next(NULL, NULL, &batch), STELE_MISUSE);
    assert_status(stele_feed_next(feed, NULL, NULL), STELE_MISUSE);
    assert_status(stele_feed_next(feed, &wait, &batch), STELE_MISUSE);
    assert_status(stele_feed_ack(feed), STELE_MISUSE);
    assert_status(stele_feed_ack(NULL), STELE_MISUSE);
    assert_status(stele_feed_vector(NULL, &text), STELE_MISUSE);
    assert_status(stele_feed_vector(feed, NULL), STELE_MISUSE);
    stele_feed_fault(feed, NULL, NULL);
    stele_feed_fault(NULL, NULL, NULL);
    stele_feed_stop(NULL);
    stele_feed_close(NULL);
    stele_feed_close(feed);
}
END_TEST

START_TEST(closed_shards_end_a_feed)
{
    const stele_feed_batch *batch = NULL;
    stele_buffer text = STELE_BUFFER_INIT;
    add_events("o", "a", "noted", 3);
    stele_feed *feed = open_named_feed("feed");
    next_in_feed(feed);

    close_shards();

    assert_status(stele_feed_ack(feed), STELE_CLOSED);
    assert_status(stele_feed_vector(feed, &text), STELE_CLOSED);
    assert_status(stele_feed_next(feed, NULL, &batch), STELE_CLOSED);
    ck_assert_ptr_null(batch);
    stele_feed_close(feed);
    open_shards();
}
END_TEST

/* What it was given may be gone when it has been opened. */
START_TEST(options_are_copied)
{
    char name[] = "feed";
    char type[] = "wanted";
    char organisation[] = "o";
    char prefix[] = "a";
    const char *types[] = { type };
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    stele_read filter = STELE_READ_INIT;
    stele_feed_options options = STELE_FEED_OPTIONS_INIT;
    add_events("o", "a", "wanted", 2);
    add_events("o", "a", "other", 1);
    add_events("o", "b", "wanted", 2);
    filter.types = types;
    filter.type_count = 1;
    filter.prefix = "list";
    read.organisation = organisation;
    read.prefix = prefix;
    options.name = name;
    options.filter = &filter;
    options.read = &read;
    stele_feed *feed = open_feed(&options);
    memset(name, 'x', 4);
    memset(type, 'x', 6);
    organisation[0] = 'x';
    prefix[0] = 'x';
    types[0] = NULL;

    ck_assert_uint_eq(drain_feed(feed), 2);

    stele_feed_close(feed);
    ck_assert_int_eq(checkpoint_in("o", "a", "feed"), 3);
}
END_TEST

static Suite *shards_feed_refused_suite(void)
{
    Suite *suite = suite_create("shards_feed_refused");
    TCase *tests = add_shard_case(suite, "refusals");
    tcase_add_test(tests, what_can_not_be_fed_is_refused);
    tcase_add_test(tests, calls_that_make_no_sense_are_refused);
    tcase_add_test(tests, closed_shards_end_a_feed);
    tcase_add_test(tests, options_are_copied);
    return suite;
}

int main(void)
{
    return run_suite(shards_feed_refused_suite());
}
