/* Many submissions at once: room for them, transactions beside them, and a model to go by. */
#include "held_disk.h"

#include "effort.h"

#include <pthread.h>

static stele_status submit_to(stele_store *target, const char *stream, stele_ticket **ticket_out)
{
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    return stele_store_submit(target, &append, NULL, ticket_out);
}

static stele_wait wait_of(uint32_t timeout_ms)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = timeout_ms;
    return wait;
}

static void reopen_with_room_for(uint32_t count_max, uint32_t size_max, bool committer)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.submit_count_max = count_max;
    options.submit_size_max = size_max;
    options.committer = committer;
    options.busy_timeout_ms = 60000;
    close_store();
    store = open_path(store_path(), &options);
}

/* --- Room --- */

START_TEST(submitting_beyond_the_bounds_commits_on_this_thread_when_there_is_no_committer)
{
    enum { COUNT = 40 };
    bool by_bytes = _i == 1;
    reopen_with_room_for(by_bytes ? 1000 : 8, by_bytes ? 60000 : UINT32_MAX, false);
    stele_ticket *tickets[COUNT];

    for (int i = 0; i < COUNT; i++) {
        tickets[i] = submit_sized("account-1", i, NULL, by_bytes ? 10000 : 10);
        ck_assert_uint_le(describe_store().appends_waiting, 8);
    }

    ck_assert_int_ge(head_of(store), COUNT - 8);
    flush_all();
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(expect_verdict(tickets[i], STELE_OK).last_position, i + 1);
    ck_assert_uint_ge(describe_store().commits, COUNT / 8);
}
END_TEST

START_TEST(single_submission_beyond_the_bound_in_bytes_is_taken)
{
    reopen_with_room_for(8, 1000, false);
    expect_verdict(submit_sized("account-1", STELE_ANY, NULL, 50000), STELE_OK);
}
END_TEST

/* A timeout of 0 waits for nothing, and there is nothing to wait for: the turn is free. */
START_TEST(submitting_without_patience_is_busy_only_when_there_is_something_to_wait_for)
{
    stele_wait wait = wait_of(0);
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    append.wait = &wait;
    reopen_with_room_for(1, UINT32_MAX, false);
    stele_ticket *tickets[2] = { submit_one("account-1", STELE_ANY, NULL), NULL };
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");
    assert_status(stele_store_submit(store, &append, NULL, &tickets[1]), STELE_BUSY);
    ck_assert_ptr_null(tickets[1]);
    run_raw(other, "ROLLBACK");
    sqlite3_close(other);

    assert_status(stele_store_submit(store, &append, NULL, &tickets[1]), STELE_OK);

    expect_verdict(tickets[0], STELE_OK);
    expect_verdict(tickets[1], STELE_OK);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

static void *submit_for_room(void *context)
{
    appender *self = context;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 60000;
    wait.progress = note_waiting;
    wait.context = self;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append(self->stream, STELE_ANY, &event, 1);
    append.wait = &wait;
    stele_ticket *ticket = NULL;
    self->status = stele_store_submit(store, &append, NULL, &ticket);
    stele_ticket_close(ticket);
    return NULL;
}

START_TEST(submitting_with_a_committer_waits_for_room_as_long_as_it_is_told)
{
    reopen_with_room_for(2, UINT32_MAX, true);
    hold_syncs();
    stele_ticket *first = submit_one("account-1", STELE_ANY, NULL);
    wait_for_held_sync(); /* the committer has taken the first */
    stele_ticket *second = submit_one("account-1", STELE_ANY, NULL);
    stele_ticket *third = submit_one("account-1", STELE_ANY, NULL);
    stele_ticket *none = (stele_ticket *)&none;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    stele_wait wait = wait_of(20);
    append.wait = &wait;
    assert_status(stele_store_submit(store, &append, NULL, &none), STELE_BUSY);
    ck_assert_ptr_null(none);
    wait.timeout_ms = 0;
    assert_status(stele_store_submit(store, &append, NULL, &none), STELE_BUSY);
    appender cancelled = { .stream = "cancelled" };
    appender patient = { .stream = "patient" };
    pthread_create(&cancelled.thread, NULL, submit_for_room, &cancelled);
    pthread_create(&patient.thread, NULL, submit_for_room, &patient);
    wait_until(&cancelled.waits);
    wait_until(&patient.waits);
    atomic_store(&cancelled.cancel, true);
    pthread_join(cancelled.thread, NULL);
    assert_status(cancelled.status, STELE_CANCELLED);

    release_syncs();
    pthread_join(patient.thread, NULL);

    assert_status(patient.status, STELE_OK);
    flush_all();
    expect_verdict(first, STELE_OK);
    expect_verdict(second, STELE_OK);
    expect_verdict(third, STELE_OK);
    ck_assert_int_eq(version_of("patient"), 1);
    ck_assert_int_eq(version_of("cancelled"), 0);
}
END_TEST

/* --- Inside a transaction of the same thread --- */

START_TEST(transaction_of_this_thread_lets_submit_but_not_wait)
{
    reopen_with_room_for(2, UINT32_MAX, _i == 1);
    stele_ticket *early = submit_one("early", STELE_ANY, NULL);
    flush_all();
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "mine", STELE_ANY, NULL), STELE_OK);
    stele_ticket *tickets[2] = { submit_one("a", STELE_ANY, NULL),
                                 submit_one("b", STELE_ANY, NULL) };
    stele_ticket *none = NULL;
    const stele_verdict *verdict = NULL;

    assert_status(stele_ticket_wait(tickets[0], NULL, &verdict), STELE_MISUSE);
    assert_status(look_at(tickets[0]), STELE_TIMED_OUT);
    assert_status(stele_store_flush(store, NULL), STELE_MISUSE);
    assert_status(submit_to(store, "c", &none), STELE_MISUSE); /* no room, and none to be made */
    ck_assert_ptr_null(none);
    assert_status(append_one("d", STELE_ANY, "noted", NULL), STELE_MISUSE);
    assert_status(verdict_of(early)->status, STELE_OK); /* which is there */
    stele_ticket_close(early);

    commit_and_end(transaction);
    flush_all();
    expect_verdict(tickets[0], STELE_OK);
    expect_verdict(tickets[1], STELE_OK);
    ck_assert_int_eq(head_of(store), 4);
}
END_TEST

/* --- Many in flight, against a model --- */

enum { STREAMS = 5, KEYS = 30 };

/* What the store must hold; submissions of one thread are taken in their order. */
typedef struct model {
    int64_t versions[STREAMS];
    int64_t head;
    int64_t key_positions[KEYS]; /* 0: unused */
    int key_streams[KEYS];
} model;

typedef struct expectation {
    stele_ticket *ticket;
    int64_t position;
    int64_t version;
    stele_status status;
    bool duplicate;
} expectation;

static expectation submit_by_chance(model *expected)
{
    char stream[32], key[32];
    int place = (int)(next_chance() % STREAMS);
    int key_index = one_in(3) ? (int)(next_chance() % KEYS) : -1;
    int64_t version = STELE_ANY;
    if (one_in(3))
        version = expected->versions[place] - (one_in(3) && expected->versions[place] > 0);
    snprintf(stream, sizeof(stream), "stream-%d", place);
    snprintf(key, sizeof(key), "key-%d", key_index);
    expectation result = { .ticket = submit_one(stream, version, key_index < 0 ? NULL : key) };
    if (key_index >= 0 && expected->key_positions[key_index] > 0) {
        result.duplicate = expected->key_streams[key_index] == place;
        result.status = result.duplicate ? STELE_OK : STELE_KEY_REUSED;
        result.position = result.duplicate ? expected->key_positions[key_index] : 0;
    } else if (version != STELE_ANY && version != expected->versions[place]) {
        result.status = STELE_CONFLICT;
        result.version = expected->versions[place];
    } else {
        result.position = ++expected->head;
        result.version = ++expected->versions[place];
        if (key_index >= 0) {
            expected->key_positions[key_index] = result.position;
            expected->key_streams[key_index] = place;
        }
    }
    return result;
}

static void settle_expectation(expectation *wanted)
{
    stele_appended appended = expect_verdict(wanted->ticket, wanted->status);
    ck_assert_int_eq(appended.last_position, wanted->position);
    ck_assert_int_eq(appended.duplicate, wanted->duplicate);
    if (!wanted->duplicate)
        ck_assert_int_eq(appended.stream_version, wanted->version);
    wanted->ticket = NULL;
}

static void run_against_the_model(uint32_t in_flight, int count, const char *path, bool committer)
{
    static expectation ring[256];
    model expected = { 0 };
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = committer;
    close_store();
    store = open_path(path, &options);
    memset(ring, 0, sizeof(ring));
    for (int i = 0; i < count; i++) {
        expectation *place = &ring[(uint32_t)i % in_flight];
        if (place->ticket != NULL)
            settle_expectation(place);
        *place = submit_by_chance(&expected);
        if (one_in(500))
            flush_all();
    }
    for (uint32_t i = 0; i < in_flight; i++)
        if (ring[i].ticket != NULL)
            settle_expectation(&ring[i]);
    ck_assert_int_eq(head_of(store), expected.head);
    for (int i = 0; i < STREAMS; i++) {
        char stream[32];
        snprintf(stream, sizeof(stream), "stream-%d", i);
        ck_assert_int_eq(version_of(stream), expected.versions[i]);
    }
}

START_TEST(many_in_flight_get_the_verdicts_that_one_after_the_other_would_get)
{
    static const uint32_t in_flight[] = { 1, 32, 256, 32, 256, 32 };
    int count = effort_is_long() ? 50000 : _i == 0 ? 200 : 3000;
    uint64_t seed = choose_seed();
    run_against_the_model(in_flight[_i], count, _i == 5 ? ":memory:" : store_path(),
                          _i == 3 || _i == 4);
    printf("seed %" PRIu64 ": %d submissions, %d in flight\n", seed, count, (int)in_flight[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submit flight");
    TCase *held = tcase_create("held");
    tcase_add_checked_fixture(held, open_on_held_disk, close_held_disk);
    suite_add_tcase(suite, held);
    tcase_add_test(held, submitting_with_a_committer_waits_for_room_as_long_as_it_is_told);
    TCase *file = add_case(suite, "file", open_in_file);
    tcase_add_loop_test(
        file, submitting_beyond_the_bounds_commits_on_this_thread_when_there_is_no_committer, 0, 2);
    tcase_add_test(file, single_submission_beyond_the_bound_in_bytes_is_taken);
    tcase_add_test(file,
                   submitting_without_patience_is_busy_only_when_there_is_something_to_wait_for);
    tcase_add_loop_test(file, transaction_of_this_thread_lets_submit_but_not_wait, 0, 2);
    tcase_add_loop_test(file, many_in_flight_get_the_verdicts_that_one_after_the_other_would_get, 0,
                        6);
    return run_suite(suite);
}
