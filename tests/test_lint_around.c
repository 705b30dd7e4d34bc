/*
 * A lint in its surroundings: it changes nothing, can be stopped, and lives on without its store.
 */
#include "linting.h"
#include "resources.h"

#include <pthread.h>

static void *append_meanwhile(void *context)
{
    stele_status *status = context;
    *status = append_one("log-1", STELE_ANY, "Growing", NULL);
    for (int i = 0; i < 5 && *status == STELE_OK; i++)
        *status = append_one("log-2", STELE_ANY, "Later", NULL);
    return NULL;
}

static stele_status let_it_grow(void *context, const stele_upcast_input *input,
                                stele_upcast *upcast)
{
    pthread_t thread;
    stele_status status = STELE_IO;
    (void)context, (void)input, (void)upcast;
    if (pthread_create(&thread, NULL, append_meanwhile, &status) == 0)
        pthread_join(thread, NULL);
    return status;
}

START_TEST(what_is_appended_meanwhile_is_left_out)
{
    register_step("Growing", 1, &to_noted, let_it_grow, NULL);
    store_times(3, "Growing", "{}");
    run_lint((uint64_t)_i);
    if (_i == 2)
        assert_line("Growing 1 json: 3 events, 2 tried, 0 failed, 0-0 parts, OK");
    else
        assert_line("Growing 1 json: 3 events, 3 tried, 0 failed, 0-0 parts, OK");
    expect_end();
    ck_assert_int_eq(head_of(store), _i == 2 ? 15 : 21);
}
END_TEST

static int grow_at_first(void *context)
{
    pthread_t thread;
    stele_status *status = context;
    if (*status != STELE_DONE)
        return 0;
    if (pthread_create(&thread, NULL, append_meanwhile, status) == 0)
        pthread_join(thread, NULL);
    return *status != STELE_OK;
}

/* The second pass looks no further than the first one. */
START_TEST(what_is_appended_while_it_counts_is_left_out)
{
    stele_status grown = STELE_DONE;
    stele_wait wait = STELE_WAIT_INIT;
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    wait.progress = grow_at_first;
    wait.context = &grown;
    options.wait = &wait;
    register_table(&noted_type);
    store_times(3, "Noted", "{\"n\":1}");
    assert_status(stele_store_lint(store, &options, &lint), STELE_OK);
    assert_status(grown, STELE_OK);
    ck_assert_int_eq(head_of(store), 9);
    assert_line("Noted 1 json: 3 events, 3 tried, 0 failed, 1-1 parts, OK");
    expect_end();
}
END_TEST

START_TEST(damaged_row_is_corrupt_and_no_lint_comes_of_it)
{
    store_times(3, "Noted", "{\"n\":1}");
    close_store();
    run_sql(store_path(), "UPDATE events SET data = '{\"n\":2}' WHERE position = 2");
    open_in_file();
    for (uint64_t samples = 0; samples < 3; samples++) {
        stele_lint_options options = STELE_LINT_OPTIONS_INIT;
        options.samples = samples;
        lint = (stele_lint *)&lint;
        assert_status(stele_store_lint(store, &options, &lint), STELE_CORRUPT);
        assert_reason_has("position 2");
        ck_assert_ptr_null(lint);
    }
}
END_TEST

static int asked;

/* No for `context` times, then yes. */
static int cancel_after(void *context)
{
    return asked++ >= *(const int *)context;
}

START_TEST(progress_callback_can_cancel_while_it_reads)
{
    int times = 0;
    stele_wait wait = STELE_WAIT_INIT;
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    wait.progress = cancel_after;
    wait.context = &times;
    options.wait = &wait;
    options.samples = (uint64_t)_i;
    store_times(5, "Noted", "{\"n\":1}");
    asked = 0;
    lint = (stele_lint *)&lint;
    assert_status(stele_store_lint(store, &options, &lint), STELE_CANCELLED);
    ck_assert_ptr_null(lint);
    ck_assert_int_eq(asked, 1);
    options.wait = NULL;
    assert_status(stele_store_lint(store, &options, &lint), STELE_OK);
}
END_TEST

static int upcast_count;

static int cancel_once_upcasting(void *context)
{
    return upcast_count >= *(const int *)context;
}

static stele_status take_time(void *context, const stele_upcast_input *input, stele_upcast *upcast)
{
    (void)context, (void)input, (void)upcast;
    upcast_count++;
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    return STELE_OK;
}

/* All records are in one page: nobody reads while they are tried. */
START_TEST(progress_callback_can_cancel_between_two_slow_upcasters)
{
    int times = 3;
    stele_wait wait = STELE_WAIT_INIT;
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    wait.progress = cancel_once_upcasting;
    wait.context = &times;
    options.wait = &wait;
    options.samples = 0;
    register_step("Slow", 1, &to_noted, take_time, NULL);
    store_times(200, "Slow", "{}");
    upcast_count = 0;
    assert_status(stele_store_lint(store, &options, &lint), STELE_CANCELLED);
    assert_reason_has("during a lint");
    ck_assert_int_ge(upcast_count, 3);
    ck_assert_int_lt(upcast_count, 200);
}
END_TEST

START_TEST(time_of_a_wait_is_not_that_of_the_whole)
{
    stele_wait wait = STELE_WAIT_INIT;
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    int never = 1000000;
    wait.timeout_ms = 1000;
    wait.progress = cancel_once_upcasting;
    wait.context = &never;
    options.wait = &wait;
    options.samples = 0;
    register_step("Slow", 1, &to_noted, take_time, NULL);
    store_times(210, "Slow", "{}");
    assert_status(stele_store_lint(store, &options, &lint), STELE_OK);
    assert_line("Slow 1 json: 210 events, 210 tried, 0 failed, 0-0 parts, OK");
}
END_TEST

static void *close_meanwhile(void *closed)
{
    stele_store_close(closed);
    return NULL;
}

static pthread_t closer;

/* Comes back when closing has begun; it ends only after the lint. */
static stele_status let_it_close(void *context, const stele_upcast_input *input,
                                 stele_upcast *upcast)
{
    int64_t head = 0;
    (void)context, (void)input, (void)upcast;
    ck_assert_int_eq(pthread_create(&closer, NULL, close_meanwhile, store), 0);
    while (stele_store_head(store, &head) != STELE_CLOSED)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    return STELE_CLOSED;
}

/* What an upcaster answers is a finding, unless the store was really closed. */
START_TEST(store_that_is_closed_meanwhile_ends_it)
{
    register_step("Closing", 1, &to_noted, let_it_close, NULL);
    store_times(1, "Closing", "{}");
    lint = (stele_lint *)&lint;
    assert_status(stele_store_lint(store, NULL, &lint), STELE_CLOSED);
    assert_reason_has("the store was closed");
    ck_assert_ptr_null(lint);
    pthread_join(closer, NULL);
    store = NULL;
}
END_TEST

START_TEST(lint_lives_on_when_its_store_is_closed)
{
    register_table(&noted_type);
    store_times(2, "Noted", "{\"n\":1}");
    store_times(1, "Other", "{\"n\":1}");
    resources before = count_resources();
    run_lint(0);
    close_store();
    assert_line("Noted 1 json: 2 events, 2 tried, 0 failed, 1-1 parts, OK");
    assert_finding("Other 1 json: 1 events, 1 tried, 1 failed, 0-0 parts, UNKNOWN_TYPE", "Other");
    stele_lint_close(lint);
    lint = NULL;
    ck_assert_int_lt(count_resources().own_blocks, before.own_blocks);
}
END_TEST

START_TEST(it_freezes_what_is_registered)
{
    run_lint(0);
    assert_status(stele_store_register_type(store, &noted_type), STELE_MISUSE);
}
END_TEST

START_TEST(nothing_is_written)
{
    register_table(&noted_type);
    register_step("Many", 1, &to_noted, emit_as_many, NULL);
    store_times(5, "Many", "3");
    store_times(5, "Broken", "3");
    char digests[2][17];
    assert_status(stele_store_digest(store, digests[0]), STELE_OK);
    int64_t head = head_of(store);
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    uint64_t commits = info.commits;
    run_lint(3);
    close_lint();
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_uint_eq(info.commits, commits);
    assert_status(stele_store_digest(store, digests[1]), STELE_OK);
    ck_assert_str_eq(digests[0], digests[1]);
    ck_assert_int_eq(head_of(store), head);

    /* Read-only it does the same, and the file stays byte for byte. */
    close_store();
    file_copy before = load_file(store_path());
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);
    run_lint(3);
    assert_line("Broken 1 json: 5 events, 3 tried, 3 failed, 0-0 parts, UNKNOWN_TYPE");
    close_lint();
    close_store();
    expect_unchanged(store_path(), before);
}
END_TEST

START_TEST(wrong_arguments_are_misuse)
{
    stele_lint_options unset = { 0 };
    stele_wait unset_wait = { 0 };
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    const stele_lint_line *line = (const stele_lint_line *)&line;
    options.wait = &unset_wait;
    store_times(1, "Noted", "{}");

    assert_status(stele_store_lint(NULL, NULL, &lint), STELE_MISUSE);
    ck_assert_ptr_null(lint);
    assert_status(stele_store_lint(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_store_lint(store, &unset, &lint), STELE_MISUSE);
    assert_status(stele_store_lint(store, &options, &lint), STELE_MISUSE);
    ck_assert_ptr_null(lint);
    assert_status(stele_lint_next(NULL, &line), STELE_MISUSE);
    ck_assert_ptr_null(line);
    run_lint(0);
    assert_status(stele_lint_next(lint, NULL), STELE_MISUSE);
    next_lint_line();
    stele_lint_close(NULL);
}
END_TEST

/* --- Memory --- */

static stele_status lint_once(uint64_t samples)
{
    stele_lint_options options = STELE_LINT_OPTIONS_INIT;
    stele_lint *made = (stele_lint *)&options;
    const stele_lint_line *line = NULL;
    options.samples = samples;
    stele_status status = stele_store_lint(store, &options, &made);
    if (status != STELE_OK)
        ck_assert_ptr_null(made);
    int lines = 0;
    while (status == STELE_OK && (status = stele_lint_next(made, &line)) == STELE_OK)
        lines++;
    if (status == STELE_DONE)
        ck_assert_int_eq(lines, 45);
    stele_lint_close(made);
    return status == STELE_DONE ? STELE_OK : status;
}

START_TEST(every_allocation_that_fails_is_no_memory_and_nothing_is_held)
{
    int64_t points = 0;
    register_chain();
    register_step("Failing", 1, &to_noted, answer_as_told, &(stele_status){ STELE_INVALID });
    register_marked();
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "Other-%d", i);
        store_event(name, 1, NULL, "{}");
    }
    store_event("Placed", 1, NULL, "{\"item\":\"a\",\"amount\":1}");
    store_event("Placed", 2, "marked", "M{}");
    store_event("Failing", 1, NULL, "{}");
    assert_status(lint_once(0), STELE_OK);
    for (uint64_t samples = 0; samples < 101; samples += 100) {
        resources before = count_resources();
        stele_status status = STELE_NO_MEMORY;
        for (int64_t n = 1; status == STELE_NO_MEMORY; n++, points++) {
            atomic_store(&own.calls, 0);
            atomic_store(&own.fail_last, n);
            atomic_store(&own.fail_first, n);
            status = lint_once(samples);
            bool failed = atomic_load(&own.calls) >= n;
            atomic_store(&own.fail_first, 0);
            assert_status(status, failed ? STELE_NO_MEMORY : STELE_OK);
            ck_assert_int_eq(count_resources().own_blocks, before.own_blocks);
        }
    }
    printf("# allocations that failed: %" PRId64 "\n", points);
    ck_assert_int_gt(points, 200);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("lint_around");

    TCase *around = add_lint_case(suite, "around", open_in_file);
    tcase_add_loop_test(around, what_is_appended_meanwhile_is_left_out, 2, 5);
    tcase_add_test(around, what_is_appended_while_it_counts_is_left_out);
    tcase_add_test(around, damaged_row_is_corrupt_and_no_lint_comes_of_it);
    tcase_add_loop_test(around, progress_callback_can_cancel_while_it_reads, 0, 2);
    tcase_add_test(around, progress_callback_can_cancel_between_two_slow_upcasters);
    tcase_add_test(around, time_of_a_wait_is_not_that_of_the_whole);
    tcase_add_test(around, store_that_is_closed_meanwhile_ends_it);
    tcase_add_test(around, lint_lives_on_when_its_store_is_closed);
    tcase_add_test(around, it_freezes_what_is_registered);
    tcase_add_test(around, nothing_is_written);
    tcase_add_test(around, wrong_arguments_are_misuse);
    tcase_add_test(around, every_allocation_that_fails_is_no_memory_and_nothing_is_held);
    return run_suite(suite);
}
