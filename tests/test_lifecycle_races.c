/*
 * Many at once: threads and processes that move, restore, delete and fill the same streams, while
 * others read; and the moments at which one overtakes another.
 */
#include "effort.h"
#include "lifecycles.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

/* --- One overtaken by another, in the middle of its work --- */

typedef struct meeting {
    const char *doing;
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    bool arrived;
    bool go_on;
} meeting;

/* After its first step in that part, the work waits here. */
static int wait_to_go_on(void *context, const stele_progress *progress)
{
    meeting *at = context;
    pthread_mutex_lock(&at->mutex);
    if (!at->arrived && strcmp(progress->doing, at->doing) == 0) {
        at->arrived = true;
        pthread_cond_broadcast(&at->moved);
        while (!at->go_on)
            pthread_cond_wait(&at->moved, &at->mutex);
    }
    pthread_mutex_unlock(&at->mutex);
    return 0;
}

static meeting place;
static stele_status overtaken_status;
static bool overtaken_restores;

static void *be_overtaken(void *unused)
{
    (void)unused;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1;
    work.progress = wait_to_go_on;
    work.context = &place;
    stele_archive move = STELE_ARCHIVE_INIT;
    move.stream = "loan-1";
    move.to = archive;
    move.work = &work;
    stele_restore back = STELE_RESTORE_INIT;
    back.stream = "loan-1";
    back.from = archive;
    back.work = &work;
    overtaken_status = overtaken_restores ? stele_store_restore(store, &back, NULL)
                                          : stele_store_archive(store, &move, NULL);
    return NULL;
}

static pthread_t start_overtaken(const char *doing, bool restores)
{
    pthread_t thread;
    place = (meeting){ .doing = doing,
                       .mutex = PTHREAD_MUTEX_INITIALIZER,
                       .moved = PTHREAD_COND_INITIALIZER };
    overtaken_restores = restores;
    ck_assert_int_eq(pthread_create(&thread, NULL, be_overtaken, NULL), 0);
    pthread_mutex_lock(&place.mutex);
    while (!place.arrived)
        pthread_cond_wait(&place.moved, &place.mutex);
    pthread_mutex_unlock(&place.mutex);
    return thread;
}

static void end_overtaken(pthread_t thread)
{
    pthread_mutex_lock(&place.mutex);
    place.go_on = true;
    pthread_cond_broadcast(&place.moved);
    pthread_mutex_unlock(&place.mutex);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static const char *const moving[] = { "copying", "comparing", "replacing" };

/* The next move of the same stream is another: what one has copied proves nothing of the other. */
START_TEST(mover_does_not_go_on_with_a_later_move)
{
    cut at = { "copying", 0, 0 };
    stele_work work = small_steps(&at);
    fill_varied("loan-1", 6);
    const char *before = tell_stream("loan-1");
    pthread_t thread = start_overtaken(moving[_i], false);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-1", archive, &work), STELE_CANCELLED);
    end_overtaken(thread);
    assert_status(overtaken_status, STELE_OK);
    /* Nothing was taken away: of the later move one event alone was copied. */
    ck_assert_str_eq(tell_stream("loan-1"), before);
    ck_assert(info_of("loan-1").unfinished);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    assert_whole(store);
}
END_TEST

START_TEST(restorer_does_not_go_on_with_a_later_restoring)
{
    cut at = { "bringing back", 0, 0 };
    stele_work work = small_steps(&at);
    stele_store *second = open_path(test_path("second.db"), NULL);
    fill_varied("loan-1", 6);
    const char *before = tell_stream("loan-1");
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    pthread_t thread = start_overtaken("bringing back", true);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-1", second, NULL), STELE_OK);
    assert_status(restore_from("loan-1", second, &work), STELE_CANCELLED);
    end_overtaken(thread);
    assert_status(overtaken_status, STELE_OK);
    assert_status(restore_from("loan-1", second, NULL), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
    stele_store_close(second);
}
END_TEST

/* What another restoring left behind in a second archive isn't to be looked for in the first. */
START_TEST(restorer_does_not_forget_copies_in_another_archive)
{
    cut at = { "dropping copies", 1, 0 };
    stele_work work = small_steps(&at);
    stele_store *second = open_path(test_path("second.db"), NULL);
    fill_varied("loan-1", 6);
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    pthread_t thread = start_overtaken("bringing back", true);
    assert_status(restore_from("loan-1", archive, NULL), STELE_OK);
    assert_status(archive_to("loan-1", second, NULL), STELE_OK);
    assert_status(restore_from("loan-1", second, &work), STELE_CANCELLED);
    end_overtaken(thread);
    assert_status(overtaken_status, STELE_OK);
    ck_assert(info_of("loan-1").unfinished);
    ck_assert_int_eq(resume_with(second).finished, 1);
    ck_assert_int_eq(sql_number(test_path("second.db"), "SELECT count(*) FROM kept_events"), 0);
    stele_store_close(second);
}
END_TEST

START_TEST(mover_stops_when_the_stream_is_deleted)
{
    fill_varied("loan-1", 6);
    pthread_t thread = start_overtaken(moving[_i], false);
    assert_status(delete_with("loan-1", archive, NULL), STELE_OK);
    fill_stream("loan-1", 2);
    end_overtaken(thread);
    assert_status(overtaken_status, STELE_OK);
    ck_assert_int_eq(version_of("loan-1"), 2);
    assert_whole(store);
    close_archive();
    ck_assert_int_eq(sql_number(archive_path(), "SELECT count(*) FROM kept_events"), 0);
}
END_TEST

static void *close_in_another_thread(void *closed)
{
    stele_store_close(closed);
    return NULL;
}

/* The memory of a store that is closed lives as long as calls are inside it. */
START_TEST(closing_either_store_ends_the_work_and_it_is_resumed)
{
    pthread_t closer;
    stele_store *closed = _i % 2 == 0 ? archive : store;
    fill_varied("loan-1", 6);
    const char *before = tell_stream("loan-1");
    pthread_t thread = start_overtaken(moving[_i / 2], false);
    ck_assert_int_eq(pthread_create(&closer, NULL, close_in_another_thread, closed), 0);
    if (_i % 2 == 0) { /* an enter that fails tells that closing has begun */
        int64_t head;
        while (stele_store_head(archive, &head) == STELE_OK)
            poll(NULL, 0, 1);
    } else {
        int64_t head;
        while (stele_store_head(store, &head) == STELE_OK)
            poll(NULL, 0, 1);
    }
    end_overtaken(thread);
    ck_assert_int_eq(pthread_join(closer, NULL), 0);
    assert_status(overtaken_status, STELE_CLOSED);
    if (_i % 2 == 0) {
        open_archive();
    } else {
        store = NULL;
        open_in_file();
    }
    assert_status(archive_to("loan-1", archive, NULL), STELE_OK);
    assert_status(stele_store_attach(store, archive), STELE_OK);
    ck_assert_str_eq(tell_stream("loan-1"), before);
}
END_TEST

/* --- Everybody at once --- */

#define STREAMS 3
#define FILLED  12

static uint64_t seed;
static atomic_int done_count;

static const char *stream_named(uint64_t number)
{
    static const char *const names[STREAMS] = { "loan-1", "loan-2", "desk-1" };
    return names[number % STREAMS];
}

/* A failure that others may cause at any moment. */
static bool is_fair(stele_status status)
{
    return status >= 0 || status == STELE_NOT_FOUND || status == STELE_ARCHIVED
           || status == STELE_BUSY || status == STELE_CANCELLED || status == STELE_CONFLICT;
}

static void expect_fair(stele_status status, const char *what)
{
    if (is_fair(status))
        return;
    printf("seed %" PRIu64 ": %s is %s: %s\n", seed, what, stele_status_name(status),
           stele_error_text());
    fflush(stdout);
    abort();
}

static uint64_t chance_of(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static int stop_by_chance(void *context, const stele_progress *progress)
{
    (void)progress;
    return chance_of(context) % 40 == 0;
}

static void fill_to(stele_store *of, const char *stream)
{
    stele_event events[FILLED];
    for (int i = 0; i < FILLED; i++)
        events[i] = make_event("counted", "{\"n\":1}");
    stele_append append = make_append(stream, STELE_NO_STREAM, events, FILLED);
    expect_fair(stele_store_append(of, &append, NULL), "append");
}

/* A reader of both sees a stream whole, or the status that says why not. */
static void read_whole_or_not(stele_store *of, const char *stream)
{
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    read.page_count_max = 5;
    stele_cursor *cursor = NULL;
    expect_fair(stele_store_read(of, &read, &cursor), "read");
    const stele_record *record = NULL;
    int64_t count = 0;
    int64_t id = 0;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        count++;
        if (record->version != count || (id != 0 && record->stream_id != id))
            expect_fair(STELE_CORRUPT, "a mix of two streams");
        id = record->stream_id;
    }
    expect_fair(status, "next");
    if (status == STELE_DONE && count != 0 && count != FILLED)
        expect_fair(STELE_CORRUPT, "a short success");
    stele_cursor_close(cursor);
}

static void act_once(stele_store *of, stele_store *with, uint64_t *chance)
{
    const char *stream = stream_named(chance_of(chance));
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1 + (uint32_t)(chance_of(chance) % 5);
    work.progress = stop_by_chance;
    work.context = chance;
    stele_archive move = STELE_ARCHIVE_INIT;
    stele_restore back = STELE_RESTORE_INIT;
    stele_delete gone = STELE_DELETE_INIT;
    move.stream = back.stream = gone.stream = stream;
    move.work = back.work = gone.work = &work;
    move.to = back.from = gone.archive = with;
    switch (chance_of(chance) % 6) {
    case 0: expect_fair(stele_store_archive(of, &move, NULL), "archive"); break;
    case 1: expect_fair(stele_store_restore(of, &back, NULL), "restore"); break;
    case 2: expect_fair(stele_store_delete(of, &gone, NULL), "delete"); break;
    case 3: expect_fair(stele_store_resume(of, NULL, NULL), "resume"); break;
    case 4: fill_to(of, stream); break;
    default: read_whole_or_not(of, stream); break;
    }
}

typedef struct actor {
    stele_store *of;
    stele_store *with;
    uint64_t chance;
    int rounds;
} actor;

static void *act(void *context)
{
    actor *me = context;
    for (int i = 0; i < me->rounds; i++) {
        act_once(me->of, me->with, &me->chance);
        atomic_fetch_add(&done_count, 1);
    }
    return NULL;
}

/* Opens stores of its own. */
static pid_t start_process(uint64_t number, int rounds)
{
    fflush(NULL);
    test_folder();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child > 0)
        return child;
    open_both();
    actor me = { store, archive, seed * 7 + number, rounds };
    act(&me);
    stele_store_close(store);
    stele_store_close(archive);
    _exit(0);
}

START_TEST(threads_and_processes_leave_one_whole_state)
{
    seed = choose_seed();
    int rounds = effort_of(60, 2000);
    pid_t children[2];
    pthread_t threads[3];
    actor actors[3];
    for (uint64_t i = 0; i < 2; i++)
        children[i] = start_process(i, rounds);
    open_both();
    assert_status(stele_store_attach(store, archive), STELE_OK);
    for (uint64_t i = 0; i < 3; i++) {
        actors[i] = (actor){ store, archive, seed * 13 + i, rounds };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, act, &actors[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        int outcome = 0;
        ck_assert_int_eq(waitpid(children[i], &outcome, 0), children[i]);
        ck_assert_msg(outcome == 0, "seed %" PRIu64 ": process %d ended with %d", seed, i, outcome);
    }
    stele_resumed resumed = resume_with(archive);
    ck_assert_int_eq(resumed.finished, resumed.found);
    ck_assert_int_eq(resume_with(archive).found, 0);
    assert_whole(store);
    assert_whole(archive);
    for (uint64_t i = 0; i < STREAMS; i++)
        read_whole_or_not(store, stream_named(i));
    printf("seed %" PRIu64 ": %d actions of threads, %d of processes, head %" PRId64 "\n", seed,
           atomic_load(&done_count), 2 * rounds, head_of(store));
}
END_TEST

static Suite *lifecycle_races_suite(void)
{
    Suite *suite = suite_create("lifecycle_races");
    TCase *tests = add_lifecycle_case(suite, "overtaken", open_both);
    tcase_add_loop_test(tests, mover_does_not_go_on_with_a_later_move, 0, 3);
    tcase_add_test(tests, restorer_does_not_go_on_with_a_later_restoring);
    tcase_add_test(tests, restorer_does_not_forget_copies_in_another_archive);
    tcase_add_loop_test(tests, mover_stops_when_the_stream_is_deleted, 0, 3);
    tcase_add_loop_test(tests, closing_either_store_ends_the_work_and_it_is_resumed, 0, 6);
    tests = add_lifecycle_case(suite, "everybody", NULL);
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, threads_and_processes_leave_one_whole_state);
    return suite;
}

int main(void)
{
    return run_suite(lifecycle_races_suite());
}
