/* Waiting until subscriptions have got somewhere, wherever they run. */
#include "parkings.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

static stele_status wait_on(const char *name, int64_t position, uint32_t timeout_ms)
{
    const char *names[] = { name };
    stele_wait wait = wait_for_ms(timeout_ms);
    return stele_subscription_wait_for(store, names, 1, position, &wait);
}

static void sleep_ms(int64_t time)
{
    nanosleep(&(struct timespec){ time / 1000, time % 1000 * 1000000 }, NULL);
}

/* --- At once --- */

START_TEST(what_is_reached_is_not_waited_for)
{
    assert_status(stele_checkpoint_save(store, "a", 4), STELE_OK);
    assert_status(stele_checkpoint_save(store, "b", 7), STELE_OK);
    const char *names[] = { "a", "b" };
    stele_wait wait = wait_for_ms(0);

    assert_status(stele_subscription_wait_for(store, names, 2, 4, &wait), STELE_OK);
    assert_status(stele_subscription_wait_for(store, names, 2, 0, NULL), STELE_OK);
    assert_status(stele_subscription_wait_for(store, names + 1, 1, 7, NULL), STELE_OK);
}
END_TEST

START_TEST(timeout_names_the_one_that_is_furthest_behind)
{
    assert_status(stele_checkpoint_save(store, "a", 4), STELE_OK);
    assert_status(stele_checkpoint_save(store, "b", 7), STELE_OK);
    const char *names[] = { "b", "a" };
    stele_wait wait = wait_for_ms(30);

    assert_status(stele_subscription_wait_for(store, names, 2, 9, &wait), STELE_TIMED_OUT);

    ck_assert_str_eq(stele_error_text(),
                     "the subscription 'a' is at 4, 5 events before position 9");
    assert_status(wait_on("a", 5, 0), STELE_TIMED_OUT);
}
END_TEST

START_TEST(one_that_never_began_is_not_found)
{
    assert_status(stele_checkpoint_save(store, "a", 4), STELE_OK);
    const char *names[] = { "a", "b" };

    assert_status(stele_subscription_wait_for(store, names, 2, 4, NULL), STELE_NOT_FOUND);
    assert_reason_has("'b'");

    assert_status(stele_checkpoint_reset(store, "a", NULL), STELE_OK);
    assert_status(wait_on("a", 1, 0), STELE_NOT_FOUND);
}
END_TEST

START_TEST(one_that_stopped_before_is_refused)
{
    stele_subscription_options options = make_catch_up("s");
    options.tries = 1;
    seen.poison = 6;
    assert_status(run_through(&options, &seen), STELE_REFUSED);

    assert_status(wait_on("s", 5, 0), STELE_OK);
    const char *names[] = { "s" };
    assert_status(stele_subscription_wait_for(store, names, 1, 6, NULL), STELE_REFUSED);
    assert_reason_has("position 6");
    assert_reason_has("poison");
}
END_TEST

START_TEST(one_of_another_timeline_is_epoch)
{
    assert_status(stele_checkpoint_save(store, "far", 8), STELE_OK);
    lose_events_after(6);
    assert_status(wait_on("far", 7, 0), STELE_EPOCH);
    assert_reason_has("'far'");
}
END_TEST

START_TEST(all_lanes_must_get_there)
{
    stele_subscription_options options = make_catch_up("l");
    options.lanes = 2;
    options.tries = 1;
    seen.poison = 5;
    assert_status(run_through(&options, &seen), STELE_REFUSED);
    assert_status(wait_on("l", 10, 0), STELE_REFUSED);
    assert_status(stele_subscription_clear(store, "l"), STELE_OK);
    assert_status(wait_on("l", 10, 0), STELE_TIMED_OUT);
    seen.poison = 0;
    assert_status(run_through(&options, &seen), STELE_DONE);

    assert_status(wait_on("l", 10, 0), STELE_OK);
    close_store();
    run_sql(store_path(), "DELETE FROM checkpoints WHERE name = 'l' AND lane = 2");
    open_in_file();
    assert_status(wait_on("l", 1, 0), STELE_TIMED_OUT); /* that lane has not begun */
}
END_TEST

START_TEST(arguments_that_mean_nothing_are_misuse)
{
    const char *names[] = { "a", NULL };
    stele_wait wait = STELE_WAIT_INIT;
    assert_status(stele_checkpoint_save(store, "a", 4), STELE_OK);
    assert_status(stele_subscription_wait_for(NULL, names, 1, 4, NULL), STELE_MISUSE);
    assert_status(stele_subscription_wait_for(store, NULL, 1, 4, NULL), STELE_MISUSE);
    assert_status(stele_subscription_wait_for(store, names, 0, 4, NULL), STELE_MISUSE);
    assert_status(stele_subscription_wait_for(store, names, 2, 4, NULL), STELE_MISUSE);
    assert_status(stele_subscription_wait_for(store, names, 1, -1, NULL), STELE_MISUSE);
    wait.struct_size = 0;
    assert_status(stele_subscription_wait_for(store, names, 1, 4, &wait), STELE_MISUSE);
    stele_transaction *transaction = begin();
    assert_status(stele_subscription_wait_for(store, names, 1, 4, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
}
END_TEST

static int say_stop(void *context)
{
    int *asked = context;
    return ++*asked > 1;
}

START_TEST(waiting_can_be_cancelled)
{
    int asked = 0;
    const char *names[] = { "a" };
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = say_stop;
    wait.context = &asked;
    assert_status(stele_checkpoint_save(store, "a", 4), STELE_OK);

    assert_status(stele_subscription_wait_for(store, names, 1, 5, &wait), STELE_CANCELLED);
}
END_TEST

START_TEST(store_that_is_only_read_can_wait)
{
    stele_options options = STELE_OPTIONS_INIT;
    assert_status(stele_checkpoint_save(store, "a", 4), STELE_OK);
    close_store();
    options.read_only = true;
    store = open_path(store_path(), &options);

    assert_status(wait_on("a", 4, 0), STELE_OK);
    assert_status(wait_on("a", 5, 30), STELE_TIMED_OUT);
}
END_TEST

/* --- For others --- */

static void *save_soon(void *context)
{
    const int64_t *position = context;
    sleep_ms(100);
    stele_checkpoint_save(store, "a", *position);
    return NULL;
}

START_TEST(other_thread_of_the_process_ends_the_wait)
{
    pthread_t thread;
    int64_t position = 9;
    assert_status(stele_checkpoint_save(store, "a", 4), STELE_OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, save_soon, &position), 0);

    assert_status(wait_on("a", 9, 60000), STELE_OK);

    pthread_join(thread, NULL);
}
END_TEST

START_TEST(wait_works_in_memory)
{
    pthread_t thread;
    int64_t position = 2;
    close_store();
    open_in_memory();
    fill_stream("a-1", 3);
    assert_status(stele_checkpoint_save(store, "a", 1), STELE_OK);
    ck_assert_int_eq(pthread_create(&thread, NULL, save_soon, &position), 0);

    assert_status(wait_on("a", 2, 60000), STELE_OK);

    pthread_join(thread, NULL);
}
END_TEST

static void *close_soon(void *context)
{
    (void)context;
    sleep_ms(100);
    stele_store_close(store);
    return NULL;
}

START_TEST(closing_the_store_ends_the_wait)
{
    pthread_t thread;
    assert_status(stele_checkpoint_save(store, "a", 4), STELE_OK);
    /* Who waits has no handle of its own that would keep the store's memory. */
    stele_cursor *keeper = open_read(NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, close_soon, NULL), 0);

    stele_status status = wait_on("a", 9, 60000);

    pthread_join(thread, NULL);
    store = NULL;
    stele_cursor_close(keeper);
    ck_assert_int_eq(status, STELE_CLOSED);
}
END_TEST

static int run_in_child_after_a_while(void *context)
{
    const char *const *types = context;
    store = open_path(store_path(), NULL);
    stele_subscription_options options = make_subscription("s");
    options.types = types;
    options.type_count = types == NULL ? 0 : 1;
    stele_subscription *subscription = open_subscription(&options);
    stele_handler handler = seeing(&seen);
    sleep_ms(200);
    stele_subscription_run(subscription, &handler);
    return 1;
}

static void wait_for_child(const char *const *types)
{
    assert_status(stele_checkpoint_save(store, "s", 0), STELE_OK);
    close_store();
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(run_in_child_after_a_while((void *)types));
    open_in_file();

    stele_status reached = wait_on("s", 10, 60000);
    stele_status then = append_one("b-1", STELE_ANY, "t", NULL);
    stele_status live = wait_on("s", 11, 60000);

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert_int_eq(reached, STELE_OK);
    ck_assert_int_eq(then, STELE_OK);
    ck_assert_int_eq(live, STELE_OK);
}

START_TEST(subscription_in_another_process_ends_the_wait)
{
    wait_for_child(NULL);
}
END_TEST

START_TEST(subscription_that_passes_everything_over_gets_there_too)
{
    static const char *const types[] = { "never" };
    wait_for_child(types);
}
END_TEST

/* Read what the subscription has written: the very use. Each wait is for what was just appended. */
static void *run_live(void *context)
{
    stele_handler handler = seeing(&seen);
    stele_subscription_run(context, &handler);
    return NULL;
}

START_TEST(what_was_written_by_a_subscription_can_be_read_after_the_wait)
{
    pthread_t thread;
    stele_subscription_options options = make_subscription("s");
    stele_subscription *subscription = open_subscription(&options);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_live, subscription), 0);
    for (int i = 0; i < 40; i++) {
        stele_appended appended;
        assert_status(append_one("a-1", STELE_ANY, "t", &appended), STELE_OK);
        stele_status status;
        while ((status = wait_on("s", appended.last_position, 60000)) == STELE_NOT_FOUND)
            sleep_ms(5); /* it begins just now */
        assert_status(status, STELE_OK);
        char sql[96];
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM seen WHERE position = %" PRId64,
                 appended.last_position);
        ck_assert_int_eq(sql_number(store_path(), sql), 1);
    }
    stele_subscription_stop(subscription);
    pthread_join(thread, NULL);
    stele_subscription_close(subscription);
}
END_TEST

/* --- Describing while it runs --- */

START_TEST(subscription_is_described_by_a_thread_while_another_runs_it)
{
    const char *names[] = { "s", NULL };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        pthread_t thread;
        stele_subscription_options options = make_subscription(names[i]);
        stele_subscription *subscription = open_subscription(&options);
        const stele_subscription_info *info = NULL;
        ck_assert_int_eq(pthread_create(&thread, NULL, run_live, subscription), 0);

        stele_status status;
        int looks = 0;
        while (((status = stele_subscription_describe(subscription, &info)) == STELE_NOT_FOUND
                || (status == STELE_OK && info->lag > 0))
               && looks++ < 12000)
            sleep_ms(5);

        assert_status(status, STELE_OK);
        ck_assert_int_eq(info->position, info->head);
        ck_assert_int_eq(info->state, STELE_SUBSCRIPTION_LIVE);
        stele_subscription_stop(subscription);
        pthread_join(thread, NULL);
        stele_subscription_close(subscription);
    }
}
END_TEST

static TCase *add_wait_case(Suite *suite, const char *name)
{
    TCase *tests = add_case(suite, name, open_with_ten);
    tcase_set_timeout(tests, 300);
    return tests;
}

static Suite *subscription_wait_suite(void)
{
    Suite *suite = suite_create("subscription_wait");
    TCase *now = add_wait_case(suite, "at once");
    tcase_add_test(now, what_is_reached_is_not_waited_for);
    tcase_add_test(now, timeout_names_the_one_that_is_furthest_behind);
    tcase_add_test(now, one_that_never_began_is_not_found);
    tcase_add_test(now, one_that_stopped_before_is_refused);
    tcase_add_test(now, one_of_another_timeline_is_epoch);
    tcase_add_test(now, all_lanes_must_get_there);
    tcase_add_test(now, arguments_that_mean_nothing_are_misuse);
    tcase_add_test(now, waiting_can_be_cancelled);
    tcase_add_test(now, store_that_is_only_read_can_wait);
    TCase *others = add_wait_case(suite, "others");
    tcase_add_test(others, other_thread_of_the_process_ends_the_wait);
    tcase_add_test(others, wait_works_in_memory);
    tcase_add_test(others, closing_the_store_ends_the_wait);
    tcase_add_test(others, subscription_in_another_process_ends_the_wait);
    tcase_add_test(others, subscription_that_passes_everything_over_gets_there_too);
    tcase_add_test(others, what_was_written_by_a_subscription_can_be_read_after_the_wait);
    tcase_add_test(others, subscription_is_described_by_a_thread_while_another_runs_it);
    return suite;
}

int main(void)
{
    return run_suite(subscription_wait_suite());
}
