/* Group commit from the inside: requests of our own, and what is left when nothing waits. */
#include "held_disk.h"

#include "effort.h"
#include "eventstore/eventstore.h"
#include "store/group.h"

#include <pthread.h>

/* --- Requests that answer as they are told --- */

typedef struct scripted {
    stele__request request; /* first: the group hands it back */
    struct {
        stele_status status;
        bool writes;
        bool rolls_back; /* as SQLite does by itself on some failures */
    } script[4];
    int attempts;
} scripted;

static stele_status apply_script(stele__request *request, stele__connection *connection,
                                 bool *changed_out)
{
    scripted *self = (scripted *)request;
    int step = self->attempts++;
    *changed_out = self->script[step].writes;
    if (self->script[step].writes) {
        stele__connection_touch(connection);
        stele_status status =
            stele__database_execute(connection->database, "CREATE TABLE IF NOT EXISTS scripted(at);"
                                                          "INSERT INTO scripted VALUES(1)");
        if (status != STELE_OK)
            return status;
    }
    if (self->script[step].rolls_back)
        stele__database_rollback(connection->database);
    if (self->script[step].status < 0)
        return stele__fail(self->script[step].status, "step %d of the script", step);
    return self->script[step].status;
}

static stele_status run_scripted(scripted *self)
{
    self->request.apply = apply_script;
    self->request.store = store;
    return stele__group_run(store, &self->request, NULL);
}

/* The commit failed with its outcome unknown. Only an answer about the append settles that: when
 * the second attempt can't even look, "nothing was stored" would be a guess. */
START_TEST(failure_before_the_judgement_leaves_an_unknown_outcome_unknown)
{
    static const struct {
        stele_status second;
        bool writes;
        stele_status verdict;
    } cases[] = {
        { STELE_IO, false, STELE_UNKNOWN_OUTCOME },
        { STELE_NO_MEMORY, false, STELE_UNKNOWN_OUTCOME },
        { STELE_CORRUPT, false, STELE_UNKNOWN_OUTCOME },
        { STELE_IO, true, STELE_IO }, /* it was not there before */
        { STELE_CONFLICT, false, STELE_CONFLICT },
        { STELE_KEY_REUSED, false, STELE_KEY_REUSED },
        { STELE_OK, false, STELE_OK }, /* it was there */
        { STELE_OK, true, STELE_OK },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        scripted request = { .request = { .repeatable = true },
                             .script = { { STELE_OK, true, false },
                                         { cases[i].second, cases[i].writes, false } } };
        fail_syncs(1);

        assert_status(run_scripted(&request), cases[i].verdict);

        ck_assert_int_eq(request.attempts, 2);
        if (cases[i].verdict == STELE_UNKNOWN_OUTCOME)
            assert_reason_has("the commit failed");
        else if (cases[i].verdict < 0)
            assert_reason_has("step 1");
        assert_status(append_one("after", STELE_ANY, "noted", NULL), STELE_OK);
    }
}
END_TEST

START_TEST(request_without_a_key_is_not_done_again_when_its_outcome_is_unknown)
{
    scripted request = { .script = { { STELE_OK, true, false } } };
    fail_syncs(1);
    assert_status(run_scripted(&request), STELE_UNKNOWN_OUTCOME);
    ck_assert_int_eq(request.attempts, 1);
}
END_TEST

/* Its first attempt was stored after all: to its caller that is no duplicate. */
START_TEST(append_that_finds_its_own_unknown_attempt_is_the_first)
{
    stele__append_request again;
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("account-1", STELE_NO_STREAM, &event, 1);
    append.idempotency_key = "attempt";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    stele__append_request_init(&again, store);
    assert_status(stele__prepare_append(store, &append, &again.prepared), STELE_OK);
    again.request.unknown = true;

    assert_status(stele__group_run(store, &again.request, NULL), STELE_OK);

    ck_assert(!again.appended.duplicate);
    ck_assert_int_eq(again.appended.last_position, 1);
    stele__prepared_dispose(&again.prepared);
}
END_TEST

static void *run_scripted_on_a_thread(void *context)
{
    run_scripted(context);
    return NULL;
}

/* SQLite may have rolled back the neighbours' rows as well: then none of them may be acknowledged.
 */
START_TEST(request_that_lost_the_transaction_makes_the_group_start_anew)
{
    pthread_t thread;
    appender first = { .stream = "first" };
    appender others[2] = { { .stream = "before" }, { .stream = "after" } };
    scripted request = { .script = { { STELE_CONFLICT, false, true },
                                     { STELE_CONFLICT, false, false } } };
    start_behind_held_commit(&first, others, 1);
    size_t queued = atomic_load(&store->requests->queued);
    pthread_create(&thread, NULL, run_scripted_on_a_thread, &request);
    while (atomic_load(&store->requests->queued) == queued)
        pause_us(200);
    start_appender(&others[1]);
    wait_until(&others[1].waits);

    release_syncs();
    join_appenders(&first, others, 2);
    pthread_join(thread, NULL);

    assert_status(request.request.status, STELE_CONFLICT);
    ck_assert_int_eq(request.attempts, 2);
    assert_appender(others[0], STELE_OK);
    assert_appender(others[1], STELE_OK);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

/* --- What is left when nothing waits --- */

enum { CREW = 8 };

typedef struct mixed_worker {
    pthread_t thread;
    uint64_t seed;
    int rounds;
    bool by_completed; /* tickets are left to completed(), whoever asks; else each has one owner */
    int wrong;
} mixed_worker;

static uint64_t chance_of(mixed_worker *self)
{
    self->seed ^= self->seed << 13;
    self->seed ^= self->seed >> 7;
    self->seed ^= self->seed << 17;
    return self->seed >> 11;
}

static int cancel_sometimes(void *context)
{
    return chance_of(context) % 3 == 0;
}

static void ignore_verdict(void *context, const stele_verdict *verdict)
{
    (void)context;
    (void)verdict;
}

static bool is_expected(stele_status status)
{
    return status == STELE_OK || status == STELE_BUSY || status == STELE_CANCELLED
           || status == STELE_TIMED_OUT;
}

/* Appends, submissions, waits that end early, tickets closed at any time. */
static void *use_in_every_way(void *context)
{
    mixed_worker *self = context;
    stele_event event = make_event("noted", "{}");
    for (int i = 0; i < self->rounds; i++) {
        stele_wait wait = STELE_WAIT_INIT;
        wait.timeout_ms = (uint32_t)(chance_of(self) % 4);
        if (chance_of(self) % 2 == 0)
            wait.progress = cancel_sometimes;
        wait.context = self;
        stele_append append = make_append("mixed", STELE_ANY, &event, 1);
        append.wait = &wait;
        stele_submit submit = STELE_SUBMIT_INIT;
        const stele_verdict *verdict = NULL;
        stele_ticket *ticket = NULL;
        stele_status status = STELE_OK;
        switch (chance_of(self) % 6) {
        case 0: status = stele_store_append(store, &append, NULL); break;
        case 1: status = stele_store_flush(store, &wait); break;
        case 2:
            submit.callback = ignore_verdict;
            status = stele_store_submit(store, &append, &submit, NULL);
            break;
        case 3:
            if (self->by_completed && stele_store_completed(store, &ticket) == STELE_OK)
                stele_ticket_close(ticket);
            break;
        default:
            status = stele_store_submit(store, &append, NULL, &ticket);
            if (self->by_completed)
                break;
            if (status == STELE_OK && chance_of(self) % 2 == 0)
                status = stele_ticket_wait(ticket, &wait, &verdict);
            stele_ticket_close(ticket); /* told or not */
        }
        self->wrong += !is_expected(status);
    }
    return NULL;
}

static void expect_nothing_left(void)
{
    const stele__requests *requests = store->requests;
    ck_assert_ptr_null(requests->first);
    ck_assert(requests->last == &requests->first);
    ck_assert_uint_eq(requests->count, 0);
    ck_assert_uint_eq(requests->size, 0);
    ck_assert_uint_eq(atomic_load(&requests->queued), 0);
    ck_assert_uint_eq(requests->settled, requests->serial);
    ck_assert_ptr_null(requests->tellers);
    ck_assert(!store->writer_taken);
    ck_assert_ptr_null(store->first_waiter);
    ck_assert_ptr_null(store->last_waiter);
}

START_TEST(after_use_in_every_way_nothing_is_left_behind)
{
    static mixed_worker crew[CREW];
    uint64_t seed = choose_seed();
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = _i % 2 == 1;
    options.group_count_max = 5;
    options.submit_count_max = 7;
    close_store();
    store = open_path(_i == 4 ? ":memory:" : store_path(), &options);
    int rounds = effort_of(300, 20000);
    for (int i = 0; i < CREW; i++) {
        crew[i] =
            (mixed_worker){ .seed = next_chance() | 1, .rounds = rounds, .by_completed = _i >= 2 };
        ck_assert_int_eq(pthread_create(&crew[i].thread, NULL, use_in_every_way, &crew[i]), 0);
    }
    for (int i = 0; i < CREW; i++) {
        pthread_join(crew[i].thread, NULL);
        ck_assert_int_eq(crew[i].wrong, 0);
    }
    flush_all();
    stele_ticket *ticket = NULL;
    while (stele_store_completed(store, &ticket) == STELE_OK)
        stele_ticket_close(ticket);

    pthread_mutex_lock(&store->mutex);
    while (store->writer_taken) { /* the committer's last turn may be for nothing */
        pthread_mutex_unlock(&store->mutex);
        pause_us(200);
        pthread_mutex_lock(&store->mutex);
    }
    expect_nothing_left();
    ck_assert_uint_le(store->requests->largest, options.group_count_max);
    ck_assert_uint_eq(store->reference_count, 1); /* each ticket was freed, and only once */
    pthread_mutex_unlock(&store->mutex);
    printf("seed %" PRIu64 ": %d calls\n", seed, CREW * rounds);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group inside");
    TCase *held = tcase_create("held");
    tcase_add_checked_fixture(held, open_on_held_disk, close_held_disk);
    suite_add_tcase(suite, held);
    tcase_add_test(held, failure_before_the_judgement_leaves_an_unknown_outcome_unknown);
    tcase_add_test(held, request_without_a_key_is_not_done_again_when_its_outcome_is_unknown);
    tcase_add_test(held, append_that_finds_its_own_unknown_attempt_is_the_first);
    tcase_add_test(held, request_that_lost_the_transaction_makes_the_group_start_anew);
    TCase *file = add_case(suite, "file", open_in_file);
    tcase_add_loop_test(file, after_use_in_every_way_nothing_is_left_behind, 0, 5);
    return run_suite(suite);
}
