/* docs/callbacks.md, the rows of shards: what functions that are called for them may call. */
#include "callback_actions.h"

#include <stele/shard_feed.h>
#include <stele/shard_keys.h>
#include <stele/shard_list.h>
#include <stele/shard_work.h>

static const stele_status everything[ACTIONS] = { [INSIDE] = NONE };

static stele_shards *shards;

static void open_stores(void)
{
    stele_shard *shard = NULL;
    setup_stores();
    open_in_file();
    register_table(&movement_type);
    assert_status(append_one("account-1", STELE_ANY, "t", NULL), STELE_OK);
    assert_status(stele_shards_open(test_path("root"), NULL, &shards), STELE_OK);
    assert_status(stele_shards_acquire(shards, "o", "n", NULL, &shard), STELE_OK);
    stele_shard_release(shard);
}

static void close_stores(void)
{
    stele_shards_close(shards);
    shards = NULL;
    remove_stores();
}

/* --- A run over shards --- */

/* And the shards themselves. */
static stele_status call_from_function(void *context, stele_shard *shard)
{
    stele_shard *made = NULL;
    stele_shard_list *list = NULL;
    (void)context;
    try_all();
    stele_status status =
        append_to(stele_shard_store(shard), "account-1", STELE_ANY, "tried", NULL);
    if (status == STELE_OK)
        status = stele_shards_acquire(shards, "made", "n", NULL, &made);
    if (status == STELE_OK)
        status = stele_shards_list(shards, NULL, &list);
    stele_shard_list_close(list);
    stele_shard_release(made);
    return status;
}

static stele_status fail_function(void *context, stele_shard *shard)
{
    (void)context;
    (void)shard;
    return STELE_REFUSED;
}

static void call_from_failed(void *context, const stele_shard_failure *failure)
{
    (void)context;
    (void)failure;
    try_all();
}

static int call_from_run_progress(void *context, const stele_progress *progress)
{
    (void)context;
    (void)progress;
    try_all();
    return 0;
}

static int call_from_wait_progress(void *context)
{
    (void)context;
    try_all();
    return 0;
}

START_TEST(the_function_of_a_run_may_call_everything)
{
    stele_shards_run run = STELE_SHARDS_RUN_INIT;
    run.function = call_from_function;
    run.parallel = _i == 0 ? 1 : 2;
    assert_status(stele_shards_run_each(shards, &run, NULL), STELE_OK);
    expect_answers(everything);
}
END_TEST

START_TEST(who_is_told_of_failures_may_call_everything)
{
    stele_shards_run run = STELE_SHARDS_RUN_INIT;
    run.function = fail_function;
    run.failed = call_from_failed;
    assert_status(stele_shards_run_each(shards, &run, NULL), STELE_REFUSED);
    expect_answers(everything);
}
END_TEST

START_TEST(progress_of_a_run_may_call_nothing)
{
    stele_shards_run run = STELE_SHARDS_RUN_INIT;
    stele_work work = STELE_WORK_INIT;
    run.function = fail_function;
    run.parallel = _i == 0 ? 1 : 2;
    run.work = &work;
    work.progress = call_from_run_progress;
    assert_status(stele_shards_run_each(shards, &run, NULL), STELE_REFUSED);
    expect_answers(nothing);
}
END_TEST

/* --- A feed --- */

START_TEST(progress_of_a_waiting_feed_may_call_nothing)
{
    stele_wait wait = STELE_WAIT_INIT;
    stele_feed *feed = NULL;
    const stele_feed_batch *batch = NULL;
    wait.timeout_ms = 100;
    wait.progress = call_from_wait_progress;
    assert_status(stele_feed_open(shards, NULL, &feed), STELE_OK);
    assert_status(stele_feed_next(feed, &wait, &batch), STELE_TIMED_OUT);
    stele_feed_close(feed);
    expect_answers(nothing);
}
END_TEST

/* --- Keyed data, and copies --- */

static stele_status call_from_keys(void *context, const stele_keyed *keyed)
{
    (void)context;
    try_all();
    stele_status status = stele_shards_put(shards, "o", keyed->key, "new", 3);
    return status == STELE_OK ? stele_shards_delete(shards, "o", keyed->key) : status;
}

START_TEST(the_function_of_a_list_of_keys_may_call_everything)
{
    stele_shard *shard = NULL;
    assert_status(stele_shards_put(shards, "o", "k/n/1", "x", 1), STELE_OK);
    assert_status(stele_shards_acquire(shards, "o", "n", NULL, &shard), STELE_OK);
    if (_i == 0)
        assert_status(stele_shard_keys(shard, NULL, call_from_keys, NULL), STELE_OK);
    else
        assert_status(stele_shards_keys(shards, "o", _i == 1 ? NULL : "k/n/", call_from_keys, NULL),
                      STELE_OK);
    stele_shard_release(shard);
    expect_answers(everything);
}
END_TEST

static stele_status call_from_write(void *context, const void *bytes, size_t size)
{
    (void)context;
    (void)bytes;
    (void)size;
    try_all();
    return STELE_OK;
}

START_TEST(who_takes_the_bytes_of_a_copy_may_call_everything)
{
    stele_shard *shard = NULL;
    stele_shard_copy copy = STELE_SHARD_COPY_INIT;
    copy.write = call_from_write;
    assert_status(stele_shards_acquire(shards, "o", "n", NULL, &shard), STELE_OK);
    assert_status(stele_shard_copy_out(shard, &copy, NULL), STELE_OK);
    stele_shard_release(shard);
    expect_answers(everything);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("callbacks_shard");
    TCase *tests = tcase_create("shards");
    tcase_add_checked_fixture(tests, open_stores, close_stores);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, the_function_of_a_run_may_call_everything, 0, 2);
    tcase_add_test(tests, who_is_told_of_failures_may_call_everything);
    tcase_add_loop_test(tests, progress_of_a_run_may_call_nothing, 0, 2);
    tcase_add_test(tests, progress_of_a_waiting_feed_may_call_nothing);
    tcase_add_loop_test(tests, the_function_of_a_list_of_keys_may_call_everything, 0, 3);
    tcase_add_test(tests, who_takes_the_bytes_of_a_copy_may_call_everything);
    return run_suite(suite);
}
