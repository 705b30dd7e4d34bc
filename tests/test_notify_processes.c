/* Who waits learns of what other processes commit: by polling, and none is lost. */
#include "effort.h"
#include "notifying.h"

#include "notify/notifier.h"

/* --- Processes that wait --- */

enum { WAITERS = 4 };

typedef enum way_to_open { WAY_FILE, WAY_WRAP, WAY_READ_ONLY, WAY_THREAD } way_to_open;

/* In a child: 0 when an event came. */
static int wait_in_child(way_to_open way, const char *path, int ready)
{
    stele_store *own = NULL;
    sqlite3 *handle = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = way == WAY_READ_ONLY;
    stele_status status = STELE_OK;
    if (way == WAY_WRAP)
        status = sqlite3_open(path, &handle) == SQLITE_OK ? stele_store_wrap(handle, NULL, &own)
                                                          : STELE_IO;
    else
        status = stele_store_open(path, &options, &own);
    stele_notifier *notifier = NULL;
    stele_listener *listener = NULL;
    int descriptor = -1;
    int64_t head = 0;
    if (status == STELE_OK)
        status = stele_store_notifier(own, &notifier);
    if (status == STELE_OK)
        status = stele_listener_open(notifier, 1, &listener);
    if (status == STELE_OK && way == WAY_THREAD)
        status = stele_listener_descriptor(listener, &descriptor);
    if (status != STELE_OK || write(ready, "r", 1) != 1)
        return 1;
    if (way == WAY_THREAD && !is_readable(descriptor, MUST_COME_MS))
        return 2;
    status = hear_ms(listener, way == WAY_THREAD ? 0 : MUST_COME_MS, &head);
    if (status != STELE_OK || head != 2)
        return 3;
    stele_listener_close(listener);
    stele_store_close(own);
    sqlite3_close(handle);
    return 0;
}

START_TEST(event_of_one_process_wakes_those_who_wait_in_others)
{
    int ready[2];
    char byte = 0;
    char path[4096];
    pid_t children[WAITERS];
    snprintf(path, sizeof(path), "%s", store_path());
    ck_assert_int_eq(pipe(ready), 0);
    open_in_file();
    append_some(store, 1);
    close_store();
    fflush(NULL);
    for (int i = 0; i < WAITERS; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(wait_in_child((way_to_open)i, path, ready[1]));
    }
    open_in_file();
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);

    append_some(store, 1);

    for (int i = 0; i < WAITERS; i++) {
        int status = -1;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                      "opened in way %d: wait status %d", i, status);
    }
    close(ready[0]);
    close(ready[1]);
}
END_TEST

/* --- One thing that happens between two steps of a poll --- */

static writer_process beside;
static stele__notify_moment at_moment;
static int looks_before; /* at which look it happens */
static int looks_after;  /* how many began after it */
static bool happened;

static void append_at_moment(stele__notify_moment moment)
{
    if (moment == STELE__MOMENT_VERSION_READ && happened)
        looks_after++;
    if (moment != at_moment || happened || looks_before-- > 0)
        return;
    append_there(&beside);
    happened = true;
}

static void open_beside_writer(void)
{
    start_writer(&beside, store_path());
    append_there(&beside);
    open_in_file();
}

static void arrange_append(stele__notify_moment moment, int looks)
{
    at_moment = moment;
    looks_before = looks;
    looks_after = 0;
    happened = false;
    stele__notify_pause = append_at_moment;
}

static const stele__notify_moment poll_moments[] = {
    STELE__MOMENT_VERSION_READ, STELE__MOMENT_HEAD_SCANNED, STELE__MOMENT_COMPARED,
    STELE__MOMENT_REGISTERED, STELE__MOMENT_SLEEP
};

/* What is committed after one look is found by the next: within two poll intervals. */
START_TEST(commit_at_any_step_of_a_poll_is_found_within_two_polls)
{
    stele_notifier *notifier = notifier_of(store);
    ck_assert_int_eq(stele_notifier_head(notifier), 1);

    /* The head is only scanned by the first look, while nothing changes. */
    arrange_append(poll_moments[_i], poll_moments[_i] == STELE__MOMENT_HEAD_SCANNED ? 0 : 2);
    assert_status(stele_notifier_wait(notifier, 1, NULL, NULL), STELE_OK);

    stele__notify_pause = NULL;
    ck_assert(happened);
    ck_assert_int_le(looks_after, 2);
    ck_assert_int_eq(stele_notifier_head(notifier), 2);
    end_writer(&beside);
}
END_TEST

START_TEST(control_poller_that_scans_before_it_reads_the_version_waits_for_another_event)
{
    stele_notifier *notifier = notifier_of(store);
    notifier->scans_first = true;
    int64_t head = 0;

    arrange_append(STELE__MOMENT_HEAD_SCANNED, 0);
    for (int i = 0; i < 60 && looks_after <= 2; i++)
        assert_status(wait_ms(notifier, 1, 1000, &head), STELE_TIMED_OUT);

    ck_assert(happened);
    ck_assert_int_gt(looks_after, 2);
    ck_assert_int_eq(head, 1);
    ck_assert_int_eq(head_of(store), 2);
    stele__notify_pause = NULL;
    append_there(&beside);
    assert_status(wait_ms(notifier, 1, MUST_COME_MS, &head), STELE_OK);
    ck_assert_int_eq(head, 3);
    end_writer(&beside);
}
END_TEST

/* --- Chance --- */

static void pause_by_chance(stele__notify_moment moment)
{
    (void)moment;
    if (one_in(64)) {
        struct timespec moment_long = { .tv_nsec = (long)(next_chance() % 200000) };
        nanosleep(&moment_long, NULL);
    } else {
        for (volatile uint64_t i = next_chance() % 2000; i > 0; i--)
            continue;
    }
}

/* However often it is looked: what is missed once, is missed until another event comes, and none
 * does before this one was heard of. */
START_TEST(no_append_of_another_process_is_lost_with_delays_at_every_step)
{
    uint64_t seed = choose_seed();
    int64_t count = effort_is_long() ? 1000000 : 3000;
    stele_notifier *notifier = notifier_of(store);
    notifier->interval_us = 1;
    notifier->floor_us = 1;
    stele__notify_pause = pause_by_chance;
    for (int64_t i = 1; i <= count; i++) {
        int64_t head = 0;
        tell_writer(&beside, 'a');
        stele_status status = wait_ms(notifier, i, MUST_COME_MS, &head);
        ck_assert_msg(status == STELE_OK && head == i + 1,
                      "lost after %" PRId64 " of %" PRId64 " (seed %" PRIu64 "): %s, head %" PRId64,
                      i, count, seed, stele_status_name(status), head);
        hear_writer(&beside);
    }
    stele__notify_pause = NULL;
    printf("notify: seed %" PRIu64 ", %" PRId64 " appends of another process, none lost\n", seed,
           count);
    end_writer(&beside);
}
END_TEST

static Suite *notify_processes_suite(void)
{
    Suite *suite = suite_create("notify_processes");
    TCase *tests = add_case(suite, "several", NULL);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, event_of_one_process_wakes_those_who_wait_in_others);
    tests = add_case(suite, "beside", open_beside_writer);
    tcase_set_timeout(tests, effort_is_long() ? 3600 : 120);
    tcase_add_loop_test(tests, commit_at_any_step_of_a_poll_is_found_within_two_polls, 0,
                        COUNT_OF(poll_moments));
    tcase_add_test(tests,
                   control_poller_that_scans_before_it_reads_the_version_waits_for_another_event);
    tcase_add_test(tests, no_append_of_another_process_is_lost_with_delays_at_every_step);
    return suite;
}

int main(void)
{
    return run_suite(notify_processes_suite());
}
