/* A function for every shard: in order or by threads, failing, asking, skipping and closing. */
#include "shard_runs.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

START_TEST(one_at_a_time_is_in_order_and_on_the_callers_thread)
{
    make_many(2, 3);
    stele_shards_run run = make_run(see, 1);

    stele_shards_ran ran = run_each(&run, STELE_OK);

    ck_assert_str_eq(seen, "o0/n0 o0/n1 o0/n2 o1/n0 o1/n1 o1/n2");
    ck_assert_uint_eq(ran.shards, 6);
    ck_assert_uint_eq(ran.succeeded, 6);
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    read.organisation = "o1";
    read.limit = 2;
    run = make_run(see, 1);
    run.read = &read;
    ran = run_each(&run, STELE_OK);
    ck_assert_str_eq(seen, "o1/n0 o1/n1");
    ck_assert_uint_eq(ran.shards, 2);
}
END_TEST

/* All get there together, or the test hangs. */
static stele_status meet(void *context, stele_shard *shard)
{
    int wanted = *(const int *)context;
    see(NULL, shard);
    enter_function();
    while (atomic_load(&most_running) < wanted)
        poll(NULL, 0, 1);
    return STELE_OK;
}

START_TEST(as_many_run_together_as_were_asked_for)
{
    int wanted = 4;
    make_many(1, 4);
    stele_shards_run run = make_run(meet, 4);
    run.context = &wanted;

    stele_shards_ran ran = run_each(&run, STELE_OK);

    ck_assert_uint_eq(ran.succeeded, 4);
    ck_assert_int_eq(atomic_load(&most_running), 4);
}
END_TEST

/* How many are held at the same time is bounded, also by what may be open. */
static stele_status count_held(void *context, stele_shard *shard)
{
    stele_shards_info info;
    atomic_int *most = context;
    stele_status status = stele_shards_describe(shards, &info);
    if (status != STELE_OK)
        return status;
    see(NULL, shard);
    poll(NULL, 0, 1);
    int now = (int)info.handles;
    int known = atomic_load(most);
    while (now > known && !atomic_compare_exchange_weak(most, &known, now))
        continue;
    return STELE_OK;
}

START_TEST(never_more_are_held_than_run_together)
{
    atomic_int most = 0;
    make_many(2, 10);
    stele_shards_run run = make_run(count_held, 3);
    run.context = &most;

    stele_shards_ran ran = run_each(&run, STELE_OK);

    ck_assert_uint_eq(ran.succeeded, 20);
    ck_assert_int_le(atomic_load(&most), 3);
}
END_TEST

START_TEST(more_threads_than_may_be_open_wait_for_each_other)
{
    atomic_int most = 0;
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    make_many(2, 10);
    close_shards();
    options.open_max = 2;
    shards = open_root(&options);
    stele_shards_run run = make_run(count_held, 8);
    run.context = &most;
    wait.timeout_ms = 600000; /* nobody is in line: who comes last may wait for all others */
    work.wait = &wait;
    run.work = &work;

    stele_shards_ran ran = run_each(&run, STELE_OK);

    ck_assert_uint_eq(ran.succeeded, 20);
    ck_assert_int_le(atomic_load(&most), 2);
}
END_TEST

/* Also ones that no thread has had yet, and new ones. */
static stele_status get_others(void *context, stele_shard *shard)
{
    (void)context;
    stele_shard *other = NULL;
    char name[40];
    snprintf(name, sizeof(name), "from-%s", stele_shard_namespace(shard));
    stele_status status = stele_shards_acquire(shards, "o0", "n0", NULL, &other);
    stele_shard_release(other);
    if (status == STELE_OK)
        status = stele_shards_acquire(shards, "made", name, NULL, &other);
    if (status == STELE_OK)
        status = append_to(stele_shard_store(other), "s-1", STELE_ANY, "made", NULL);
    if (status == STELE_OK)
        stele_shard_release(other);
    return status;
}

START_TEST(the_function_may_acquire_others)
{
    make_many(1, 6);
    stele_shards_run run = make_run(get_others, 1);
    run_each(&run, STELE_OK);
    ck_assert_str_eq(
        list_shards(&(stele_shards_read){ .struct_size = sizeof(stele_shards_read),
                                          .organisation = "made" }),
        "made/from-n0 made/from-n1 made/from-n2 made/from-n3 made/from-n4 made/from-n5");

    stele_shards_read read = STELE_SHARDS_READ_INIT;
    read.organisation = "o0";
    run = make_run(get_others, 4);
    run.read = &read;
    ck_assert_uint_eq(run_each(&run, STELE_OK).succeeded, 6);
}
END_TEST

static stele_status fail_odd(void *context, stele_shard *shard)
{
    (void)context;
    const char *name = stele_shard_namespace(shard);
    see(NULL, shard);
    if (strcmp(name, "n1") == 0)
        return append_to(stele_shard_store(shard), "", STELE_ANY, "x", NULL);
    return strcmp(name, "n3") == 0 ? STELE_DONE : STELE_OK;
}

static void expect_failures(uint32_t parallel)
{
    stele_shards_run run = make_run(fail_odd, parallel);

    stele_shards_ran ran = run_each(&run, STELE_MISUSE);

    assert_reason_has("'n1' of 'o0'");
    ck_assert_uint_eq(ran.failed, 4);
    ck_assert_uint_eq(ran.succeeded, 6);
    const char *at = failures;
    static const char *const wanted[] = { "o0/n1:MISUSE:", "o0/n3:DONE:", "o1/n1:MISUSE:",
                                          "o1/n3:DONE:" };
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        at = strstr(at, wanted[i]);
        ck_assert_msg(at != NULL, "'%s' is not in order: %s", wanted[i], failures);
    }
}

START_TEST(failures_are_told_in_the_order_of_names)
{
    make_many(2, 5);
    expect_failures(1);
    expect_failures(4);
}
END_TEST

START_TEST(after_a_failure_it_may_end)
{
    make_many(1, 6);
    stele_shards_run run = make_run(fail_odd, 1);
    run.stop_at_failure = true;

    stele_shards_ran ran = run_each(&run, STELE_MISUSE);

    ck_assert_str_eq(seen, "o0/n0 o0/n1");
    ck_assert_uint_eq(ran.failed, 1);
    ck_assert_uint_eq(ran.skipped, 4);

    run = make_run(fail_odd, 2);
    run.stop_at_failure = true;
    ran = run_each(&run, STELE_MISUSE);
    ck_assert_uint_ge(ran.failed, 1);
}
END_TEST

/* --- Asking --- */

static int cancel_after;

static int ask(void *context, const stele_progress *progress)
{
    (void)context;
    ck_assert(pthread_equal(caller, pthread_self()));
    ck_assert_str_eq(progress->doing, "shards");
    ck_assert_uint_le(progress->done, progress->total);
    atomic_store(&progress_count, (int)progress->done);
    return cancel_after >= 0 && (int)progress->done >= cancel_after;
}

static void expect_progress(uint32_t parallel)
{
    stele_work work = STELE_WORK_INIT;
    stele_shards_run run = make_run(see, parallel);
    work.progress = ask;
    run.work = &work;

    cancel_after = -1;
    run_each(&run, STELE_OK);
    ck_assert_int_eq(atomic_load(&progress_count), 10);

    cancel_after = 3;
    stele_shards_ran ran = run_each(&run, STELE_CANCELLED);
    assert_reason_has("cancelled");
    ck_assert_uint_ge(ran.succeeded, 3);
    if (parallel == 1)
        ck_assert_uint_eq(ran.skipped, 7);
}

START_TEST(progress_is_asked_on_the_callers_thread)
{
    make_many(2, 5);
    expect_progress(1);
    expect_progress(3);
}
END_TEST

/* It ends only when somebody was asked meanwhile, whose answer was taken. */
static stele_status wait_for_progress(void *context, stele_shard *shard)
{
    (void)context;
    (void)shard;
    while (atomic_load(&progress_count) >= 0)
        poll(NULL, 0, 1);
    return STELE_OK;
}

static int note_asked(void *context, const stele_progress *progress)
{
    int *asked = context;
    (void)progress;
    if (++*asked > 1)
        atomic_store(&progress_count, -1);
    return 1;
}

START_TEST(it_is_asked_while_the_threads_are_at_work)
{
    stele_work work = STELE_WORK_INIT;
    int asked = 0;
    make_many(1, 4);
    stele_shards_run run = make_run(wait_for_progress, 2);
    work.progress = note_asked;
    work.context = &asked;
    run.work = &work;

    stele_shards_ran ran = run_each(&run, STELE_CANCELLED);

    ck_assert_uint_le(ran.succeeded, 2);
}
END_TEST

static int say_stop(void *context)
{
    (void)context;
    ck_assert(pthread_equal(caller, pthread_self()));
    return 1;
}

START_TEST(the_wait_may_cancel_too)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_wait wait = STELE_WAIT_INIT;
    make_many(1, 3);
    close_shards();
    options.open_max = 1;
    shards = open_root(&options);
    stele_shard *held = get_shard("o0", "n2");
    wait.timeout_ms = UINT32_MAX;
    wait.progress = say_stop;
    work.wait = &wait;

    for (uint32_t parallel = 1; parallel < 3; parallel++) {
        stele_shards_run run = make_run(see, parallel);
        run.work = &work;
        stele_shards_ran ran = run_each(&run, STELE_CANCELLED);
        ck_assert_uint_eq(ran.succeeded, 0);
    }
    stele_shard_release(held);
}
END_TEST

START_TEST(who_can_not_be_had_in_time_has_failed)
{
    stele_shards_options options = STELE_SHARDS_OPTIONS_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_wait wait = STELE_WAIT_INIT;
    make_many(1, 3);
    close_shards();
    options.open_max = 1;
    shards = open_root(&options);
    stele_shard *held = get_shard("o0", "n1");
    wait.timeout_ms = 1;
    work.wait = &wait;
    stele_shards_run run = make_run(see, 1);
    run.work = &work;

    stele_shards_ran ran = run_each(&run, STELE_BUSY);

    ck_assert_str_eq(seen, "o0/n1");
    ck_assert_uint_eq(ran.failed, 2);
    stele_shard_release(held);
}
END_TEST

START_TEST(who_has_moved_or_gone_is_skipped)
{
    make_many(1, 4);
    put_stray("o0/n1.moved");
    put_stray("o0/n9.moved");
    stele_shards_run run = make_run(see, 2);

    stele_shards_ran ran = run_each(&run, STELE_OK);

    ck_assert_uint_eq(ran.shards, 5);
    ck_assert_uint_eq(ran.succeeded, 3);
    ck_assert_uint_eq(ran.skipped, 2);
    ck_assert_str_eq(failures, "");
}
END_TEST

/* The first that is called takes the file of the last away. */
static stele_status remove_last(void *context, stele_shard *shard)
{
    char path[600];
    (void)context;
    see(NULL, shard);
    stele_status status = stele_shards_path(shards, "o0", "n3", path, sizeof(path));
    unlink(path);
    return status;
}

/* The first that is called takes the file of the second away. */
static stele_status remove_second(void *context, stele_shard *shard)
{
    char path[600];
    (void)context;
    see(NULL, shard);
    stele_status status = stele_shards_path(shards, "o0", "n1", path, sizeof(path));
    unlink(path);
    return status;
}

START_TEST(who_is_skipped_ends_no_run)
{
    make_many(1, 4);
    close_shards();
    open_shards();
    stele_shards_run run = make_run(remove_second, 1);
    run.stop_at_failure = true;

    stele_shards_ran ran = run_each(&run, STELE_OK);

    ck_assert_str_eq(seen, "o0/n0 o0/n2 o0/n3");
    ck_assert_uint_eq(ran.succeeded, 3);
    ck_assert_uint_eq(ran.skipped, 1);
}
END_TEST

START_TEST(who_goes_meanwhile_is_skipped_too)
{
    make_many(1, 4);
    close_shards();
    open_shards();
    stele_shards_run run = make_run(remove_last, 1);

    stele_shards_ran ran = run_each(&run, STELE_OK);

    ck_assert_uint_eq(ran.succeeded, 3);
    ck_assert_uint_eq(ran.skipped, 1);
}
END_TEST

/* --- Closing --- */

static atomic_bool close_begun;

static void *close_them(void *context)
{
    (void)context;
    while (!atomic_load(&close_begun))
        poll(NULL, 0, 1);
    stele_shards_close(shards);
    return NULL;
}

static stele_status wait_for_close(void *context, stele_shard *shard)
{
    int64_t head = 0;
    stele_status status = STELE_OK;
    (void)context;
    atomic_store(&close_begun, true);
    while (status == STELE_OK) {
        poll(NULL, 0, 1);
        status = stele_store_head(stele_shard_store(shard), &head);
    }
    return status;
}

static void expect_closing(uint32_t parallel)
{
    pthread_t thread;
    make_many(1, 8);
    stele_shards_run run = make_run(wait_for_close, parallel);
    atomic_store(&close_begun, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, close_them, NULL), 0);

    stele_shards_ran ran = run_each(&run, STELE_CLOSED);

    pthread_join(thread, NULL);
    ck_assert_uint_eq(ran.succeeded, 0);
    ck_assert_uint_le(ran.failed, parallel);
    open_shards();
}

START_TEST(closing_ends_a_run)
{
    expect_closing(1);
    expect_closing(4);
}
END_TEST

START_TEST(what_can_not_be_run_is_refused)
{
    stele_shards_ran ran;
    stele_shards_run run = make_run(see, 0);
    assert_status(stele_shards_run_each(shards, &run, &ran), STELE_MISUSE);
    run.parallel = 65;
    assert_status(stele_shards_run_each(shards, &run, NULL), STELE_MISUSE);
    stele_shards_run_init(&run);
    assert_status(stele_shards_run_each(shards, &run, NULL), STELE_MISUSE);
    run.function = see;
    run.struct_size = 0;
    assert_status(stele_shards_run_each(shards, &run, NULL), STELE_MISUSE);
    assert_status(stele_shards_run_each(shards, NULL, NULL), STELE_MISUSE);
    stele_shards_run_init(&run);
    run.function = see;
    assert_status(stele_shards_run_each(NULL, &run, NULL), STELE_MISUSE);
    stele_work work = STELE_WORK_INIT;
    work.struct_size = 0;
    run.work = &work;
    assert_status(stele_shards_run_each(shards, &run, NULL), STELE_MISUSE);
    run.work = NULL;
    stele_shards_read read = STELE_SHARDS_READ_INIT;
    read.organisation = "\xff";
    run.read = &read;
    assert_status(stele_shards_run_each(shards, &run, NULL), STELE_INVALID);
}
END_TEST

static Suite *shards_run_suite(void)
{
    Suite *suite = suite_create("shards_run");
    TCase *tests = add_shard_case(suite, "run");
    tcase_add_test(tests, one_at_a_time_is_in_order_and_on_the_callers_thread);
    tcase_add_test(tests, as_many_run_together_as_were_asked_for);
    tcase_add_test(tests, never_more_are_held_than_run_together);
    tcase_add_test(tests, more_threads_than_may_be_open_wait_for_each_other);
    tcase_add_test(tests, the_function_may_acquire_others);
    tcase_add_test(tests, failures_are_told_in_the_order_of_names);
    tcase_add_test(tests, after_a_failure_it_may_end);
    tcase_add_test(tests, progress_is_asked_on_the_callers_thread);
    tcase_add_test(tests, it_is_asked_while_the_threads_are_at_work);
    tcase_add_test(tests, the_wait_may_cancel_too);
    tcase_add_test(tests, who_can_not_be_had_in_time_has_failed);
    tcase_add_test(tests, who_has_moved_or_gone_is_skipped);
    tcase_add_test(tests, who_is_skipped_ends_no_run);
    tcase_add_test(tests, who_goes_meanwhile_is_skipped_too);
    tcase_add_test(tests, closing_ends_a_run);
    tcase_add_test(tests, what_can_not_be_run_is_refused);
    return suite;
}

int main(void)
{
    return run_suite(shards_run_suite());
}
