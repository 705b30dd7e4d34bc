/* Group commit: appends that wait at the same time share a commit, and nobody can tell. */
#include "held_disk.h"

#include "effort.h"

enum { CREW = 8 };

/* --- Sharing --- */

START_TEST(appends_that_wait_share_a_commit_and_each_gets_its_own_answer)
{
    appender first = { .stream = "first" };
    appender others[12] = { 0 };
    char names[12][32];
    for (int i = 0; i < 12; i++) {
        snprintf(names[i], sizeof(names[i]), "stream-%d", i % 3);
        others[i].stream = names[i];
        others[i].expected_version = i / 3;
    }

    start_behind_held_commit(&first, others, 12);
    release_syncs();
    join_appenders(&first, others, 12);

    assert_appender(first, STELE_OK);
    for (int i = 0; i < 12; i++) {
        assert_appender(others[i], STELE_OK);
        ck_assert_int_eq(others[i].appended.last_position, 2 + i);
        ck_assert_int_eq(others[i].appended.stream_version, i / 3 + 1);
    }
    stele_store_info info = describe_store();
    ck_assert_uint_eq(info.appends, 13);
    ck_assert_uint_eq(info.commits, 2);
}
END_TEST

START_TEST(conflict_inside_a_group_refuses_only_that_append)
{
    appender first = { .stream = "first" };
    appender others[3] = { { .stream = "contested" },
                           { .stream = "contested" },
                           { .stream = "quiet" } };

    start_behind_held_commit(&first, others, 3);
    release_syncs();
    join_appenders(&first, others, 3);

    assert_appender(others[0], STELE_OK);
    assert_appender(others[1], STELE_CONFLICT);
    ck_assert_int_eq(others[1].appended.stream_version, 1);
    assert_appender(others[2], STELE_OK);
    ck_assert_int_eq(others[2].appended.last_position, 3);
    ck_assert_uint_eq(describe_store().commits, 2);
}
END_TEST

START_TEST(same_key_twice_in_one_group_is_stored_once_and_other_content_is_refused)
{
    appender first = { .stream = "first" };
    appender others[3] = {
        { .stream = "account-1", .expected_version = STELE_ANY, .key = "attempt" },
        { .stream = "account-1", .expected_version = STELE_ANY, .key = "attempt" },
        { .stream = "account-2", .expected_version = STELE_ANY, .key = "attempt" },
    };

    start_behind_held_commit(&first, others, 3);
    release_syncs();
    join_appenders(&first, others, 3);

    assert_appender(others[0], STELE_OK);
    ck_assert(!others[0].appended.duplicate);
    assert_appender(others[1], STELE_OK);
    ck_assert(others[1].appended.duplicate);
    ck_assert_int_eq(others[1].appended.last_position, others[0].appended.last_position);
    assert_appender(others[2], STELE_KEY_REUSED);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

/* A leader that wrote its neighbours' reasons into its own thread would be seen here. */
START_TEST(each_thread_finds_the_reason_of_its_own_append)
{
    appender first = { .stream = "first" };
    appender others[CREW] = { 0 };
    char names[CREW][32];
    for (int i = 0; i < CREW; i++) {
        snprintf(names[i], sizeof(names[i]), "own-%d", i);
        others[i].stream = names[i];
        others[i].expected_version = i % 2 == 0 ? i + 1 : STELE_NO_STREAM;
    }

    start_behind_held_commit(&first, others, CREW);
    release_syncs();
    join_appenders(&first, others, CREW);

    for (int i = 0; i < CREW; i++) {
        char reason[64];
        snprintf(reason, sizeof(reason), "stream 'own-%d' is at version 0, expected %d", i, i + 1);
        assert_appender(others[i], i % 2 == 0 ? STELE_CONFLICT : STELE_OK);
        ck_assert_str_eq(others[i].reason, i % 2 == 0 ? reason : "");
    }
}
END_TEST

static void *flush_and_note(void *context)
{
    *(stele_status *)context = stele_store_flush(store, NULL);
    return NULL;
}

/* Refusals as well: they may rest on rows that are not there yet. */
START_TEST(no_verdict_is_told_and_no_reader_sees_a_row_before_the_commit_is_done)
{
    appender first = { .stream = "first" };
    pthread_t flusher;
    stele_status flushed = STELE_MISUSE;
    stele_ticket *tickets[3] = { submit_one("account-1", STELE_NO_STREAM, NULL),
                                 submit_one("account-1", STELE_NO_STREAM, NULL),
                                 submit_one("account-2", STELE_NO_STREAM, NULL) };
    hold_syncs();
    pthread_create(&flusher, NULL, flush_and_note, &flushed);
    wait_for_held_sync();
    start_appender(&first);
    wait_until(&first.waits);

    for (int i = 0; i < 3; i++)
        assert_status(look_at(tickets[i]), STELE_TIMED_OUT);
    stele_ticket *completed = NULL;
    assert_status(stele_store_completed(store, &completed), STELE_DONE);
    ck_assert(!atomic_load(&first.done));
    ck_assert_int_eq(head_of(store), 0);

    release_syncs();
    pthread_join(flusher, NULL);
    pthread_join(first.thread, NULL);
    assert_status(flushed, STELE_OK);
    expect_verdict(tickets[0], STELE_OK);
    expect_verdict(tickets[1], STELE_CONFLICT);
    expect_verdict(tickets[2], STELE_OK);
    assert_appender(first, STELE_OK);
}
END_TEST

/* --- Giving up --- */

/* Whichever place in the queue it had: those behind and those who come later keep theirs. */
START_TEST(append_that_gives_up_waiting_leaves_the_others_their_places)
{
    appender first = { .stream = "first" };
    appender others[4] = {
        { .stream = "a" }, { .stream = "b" }, { .stream = "c" }, { .stream = "d" }
    };
    start_behind_held_commit(&first, others, 3);

    atomic_store(&others[_i].cancel, true);
    wait_until(&others[_i].done);
    start_appender(&others[3]);
    wait_until(&others[3].waits);
    release_syncs();
    join_appenders(&first, others, 4);

    int64_t position = 1;
    for (int i = 0; i < 4; i++) {
        assert_appender(others[i], i == _i ? STELE_CANCELLED : STELE_OK);
        if (i != _i)
            ck_assert_int_eq(others[i].appended.last_position, ++position);
    }
    ck_assert_int_eq(head_of(store), 4);
    ck_assert_uint_eq(describe_store().commits, 2);
}
END_TEST

/* What a leader is at can't be called back: neither by the caller nor by its timeout. */
START_TEST(append_that_is_being_committed_is_waited_for_whatever_its_timeout_says)
{
    appender first = { .stream = "first" };
    hold_syncs();
    start_appender(&first);
    wait_for_held_sync();

    atomic_store(&first.cancel, true);
    pause_us(60000);
    ck_assert(!atomic_load(&first.done));
    release_syncs();
    pthread_join(first.thread, NULL);

    assert_appender(first, STELE_OK);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* --- Bounds and order --- */

static void reopen_with_groups_of(uint32_t count_max, uint32_t size_max)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.group_count_max = count_max;
    options.group_size_max = size_max;
    close_store();
    store = open_path(store_path(), &options);
}

START_TEST(groups_keep_to_their_bounds_in_count_and_bytes)
{
    static const struct {
        uint32_t count_max;
        uint32_t size_max;
        uint32_t commits;
    } bounds[] = { { 1, UINT32_MAX, 10 }, { 2, UINT32_MAX, 5 }, { 3, UINT32_MAX, 4 },
                   { 256, 0, 10 },        { 256, 100000, 10 },  { 256, 150000, 5 },
                   { 256, UINT32_MAX, 1 } };
    for (size_t b = 0; b < COUNT_OF(bounds); b++) {
        reopen_with_groups_of(bounds[b].count_max, bounds[b].size_max);
        for (int i = 0; i < 10; i++)
            stele_ticket_close(submit_sized("account-1", STELE_ANY, NULL, 60000));

        flush_all();

        stele_store_info info = describe_store();
        ck_assert_uint_eq(info.appends, 10);
        ck_assert_msg(info.commits == bounds[b].commits, "bounds %zu: %d commits", b,
                      (int)info.commits);
    }
}
END_TEST

START_TEST(append_comes_after_what_its_thread_submitted_before)
{
    reopen_with_groups_of(2, UINT32_MAX);
    stele_ticket *tickets[5];
    for (int i = 0; i < 5; i++)
        tickets[i] = submit_one("account-1", i, NULL);
    stele_appended appended = { 0 };

    assert_status(append_one("account-1", 5, "noted", &appended), STELE_OK);

    ck_assert_int_eq(appended.last_position, 6);
    for (int i = 0; i < 5; i++) {
        assert_status(look_at(tickets[i]), STELE_OK);
        ck_assert_int_eq(expect_verdict(tickets[i], STELE_OK).last_position, i + 1);
    }
}
END_TEST

START_TEST(commits_and_appends_count_what_was_stored)
{
    stele_ticket *tickets[3] = { submit_one("a", STELE_NO_STREAM, "key"),
                                 submit_one("a", STELE_NO_STREAM, "key"),
                                 submit_one("a", STELE_NO_STREAM, NULL) };
    flush_all();
    flush_all();
    expect_verdict(tickets[0], STELE_OK);
    ck_assert(expect_verdict(tickets[1], STELE_OK).duplicate);
    expect_verdict(tickets[2], STELE_CONFLICT);

    assert_status(append_one("a", 7, "noted", NULL), STELE_CONFLICT);

    ck_assert_uint_eq(describe_store().appends, 1);
    ck_assert_uint_eq(describe_store().commits, 1);
}
END_TEST

/* --- Nobody starves --- */

static atomic_int appends_left;
static atomic_int ready;
static atomic_bool stopping;

typedef struct worker {
    pthread_t thread;
    int index;
    int done;
    stele_status status;
} worker;

static void *append_while_some_are_left(void *context)
{
    worker *self = context;
    char name[32];
    snprintf(name, sizeof(name), "worker-%d", self->index);
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < CREW) /* who is started last isn't late */
        pause_us(100);
    while (self->status == STELE_OK && atomic_fetch_sub(&appends_left, 1) > 0) {
        self->status = append_to(store, name, self->done, "noted", NULL);
        self->done++;
        pause_us(20); /* the processor isn't to be had alone, even where no sync takes time */
    }
    return NULL;
}

static void *append_until_stopped(void *context)
{
    worker *self = context;
    char name[32];
    snprintf(name, sizeof(name), "worker-%d", self->index);
    while (self->status == STELE_OK && !atomic_load(&stopping)) {
        self->status = append_to(store, name, self->done, "noted", NULL);
        self->done++;
    }
    return NULL;
}

static stele_status write_transaction(const char *stream)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(store, &transaction);
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    if (status == STELE_OK)
        status = stele_transaction_append(transaction, &append, NULL);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

static void *transact_until_stopped(void *context)
{
    worker *self = context;
    while (self->status == STELE_OK && !atomic_load(&stopping)) {
        self->status = write_transaction("transactions");
        self->done++;
    }
    return NULL;
}

static void start_workers(worker *workers, int count, void *(*work)(void *worker))
{
    atomic_store(&stopping, false);
    for (int i = 0; i < count; i++) {
        workers[i] = (worker){ .index = i };
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
}

static void join_workers(worker *workers, int count)
{
    atomic_store(&stopping, true);
    for (int i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < count; i++)
        assert_status(workers[i].status, STELE_OK);
}

/* Nobody is kept as the leader, and nobody is kept waiting. */
START_TEST(threads_that_append_at_once_all_get_their_share)
{
    enum { APPENDS = 2000 };
    worker workers[CREW];
    atomic_store(&appends_left, APPENDS);
    atomic_store(&ready, 0);

    start_workers(workers, CREW, append_while_some_are_left);
    join_workers(workers, CREW);

    int total = 0;
    for (int i = 0; i < CREW; i++) {
        ck_assert_msg(workers[i].done >= APPENDS / CREW / 10, "thread %d got %d of %d", i,
                      workers[i].done, APPENDS);
        total += workers[i].done;
    }
    ck_assert_int_eq(total, APPENDS);
    ck_assert_int_eq(head_of(store), APPENDS);
}
END_TEST

START_TEST(transaction_gets_its_turn_among_appenders_and_they_among_transactions)
{
    worker workers[CREW];
    start_workers(workers, CREW, append_until_stopped);
    for (int i = 0; i < 20; i++)
        assert_status(write_transaction("mine"), STELE_OK);
    join_workers(workers, CREW);
    ck_assert_int_eq(version_of("mine"), 20);

    start_workers(workers, CREW, transact_until_stopped);
    for (int i = 0; i < 20; i++)
        assert_status(append_one("mine", STELE_ANY, "noted", NULL), STELE_OK);
    join_workers(workers, CREW);
    ck_assert_int_eq(version_of("mine"), 40);
}
END_TEST

/* --- A control: what the rule "no verdict before COMMIT" is for --- */

typedef struct naive_request {
    int64_t id;
    bool acknowledged;
} naive_request;

/* A group commit as one may write it first: each is told as soon as its row is in. */
static void commit_naively(sqlite3 *raw, naive_request *requests, int count, bool verdict_first)
{
    run_raw(raw, "BEGIN IMMEDIATE");
    for (int i = 0; i < count; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "INSERT INTO rows VALUES(%" PRId64 ")", requests[i].id);
        run_raw(raw, sql);
        requests[i].acknowledged = verdict_first;
    }
    bool done = sqlite3_exec(raw, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    if (!done)
        sqlite3_exec(raw, "ROLLBACK", NULL, NULL, NULL);
    for (int i = 0; i < count && !verdict_first; i++)
        requests[i].acknowledged = done;
}

static int count_lost(bool verdict_first)
{
    naive_request requests[8];
    const char *path = test_path(verdict_first ? "naive.db" : "right.db");
    sqlite3 *raw = open_raw(path);
    run_raw(raw, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows(id)");
    for (int group = 0; group < 2; group++) {
        for (int i = 0; i < 4; i++)
            requests[4 * group + i] = (naive_request){ .id = 4 * group + i };
        fail_syncs(group == 1 ? 1 : 0);
        commit_naively(raw, &requests[(size_t)group * 4], 4, verdict_first);
    }
    run_raw(raw, "INSERT INTO rows VALUES(100)"); /* settles what the WAL still holds */
    int lost = 0;
    for (int i = 0; i < 8; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM rows WHERE id = %d", i);
        lost += requests[i].acknowledged && raw_number(raw, sql) == 0;
    }
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    return lost;
}

START_TEST(control_verdicts_before_the_commit_lose_what_was_acknowledged)
{
    ck_assert_int_eq(count_lost(true), 4);
    ck_assert_int_eq(count_lost(false), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group");
    TCase *held = tcase_create("held");
    tcase_add_checked_fixture(held, open_on_held_disk, close_held_disk);
    suite_add_tcase(suite, held);
    tcase_add_test(held, appends_that_wait_share_a_commit_and_each_gets_its_own_answer);
    tcase_add_test(held, conflict_inside_a_group_refuses_only_that_append);
    tcase_add_test(held, same_key_twice_in_one_group_is_stored_once_and_other_content_is_refused);
    tcase_add_test(held, each_thread_finds_the_reason_of_its_own_append);
    tcase_add_test(held, no_verdict_is_told_and_no_reader_sees_a_row_before_the_commit_is_done);
    tcase_add_loop_test(held, append_that_gives_up_waiting_leaves_the_others_their_places, 0, 3);
    tcase_add_test(held, append_that_is_being_committed_is_waited_for_whatever_its_timeout_says);
    tcase_add_test(held, control_verdicts_before_the_commit_lose_what_was_acknowledged);
    TCase *file = add_case(suite, "file", open_in_file);
    tcase_add_test(file, groups_keep_to_their_bounds_in_count_and_bytes);
    tcase_add_test(file, append_comes_after_what_its_thread_submitted_before);
    tcase_add_test(file, commits_and_appends_count_what_was_stored);
    tcase_add_test(file, threads_that_append_at_once_all_get_their_share);
    tcase_add_test(file, transaction_gets_its_turn_among_appenders_and_they_among_transactions);
    return run_suite(suite);
}
