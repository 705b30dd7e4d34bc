/* Many threads on one file, through one handle or through one each. Check's assertions must not
 * leave a thread that isn't its own, so threads only take notes and the test judges them. */
#include "contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* --- A crew of threads that start together --- */

enum { CREW_MAX = 64 };

typedef struct worker {
    pthread_t thread;
    int index;
    stele_store *store;
    stele_status status; /* The first failure, or the last answer. */
    char reason[256];    /* Of the failure. */
    int64_t number;
} worker;

static worker crew[CREW_MAX];
static stele_store *own_stores[CREW_MAX]; /* Where each has a handle; else all use `store`. */
static pthread_barrier_t start_line;
static atomic_bool stopping;

static void pause_ms(long milliseconds)
{
    struct timespec moment = { .tv_nsec = milliseconds * 1000 * 1000 };
    nanosleep(&moment, NULL);
}

static void note(worker *self, stele_status status)
{
    self->status = status;
    if (status < 0)
        snprintf(self->reason, sizeof(self->reason), "%s", stele_error_text());
}

static void start_crew(int count, void *(*work)(void *worker))
{
    atomic_store(&stopping, false);
    ck_assert_int_eq(pthread_barrier_init(&start_line, NULL, (unsigned)count), 0);
    for (int i = 0; i < count; i++) {
        crew[i] = (worker){ .index = i, .store = own_stores[i] != NULL ? own_stores[i] : store };
        ck_assert_int_eq(pthread_create(&crew[i].thread, NULL, work, &crew[i]), 0);
    }
}

static void join_crew(int count)
{
    for (int i = 0; i < count; i++)
        pthread_join(crew[i].thread, NULL);
    pthread_barrier_destroy(&start_line);
}

/* Between handles nobody keeps a queue, so that a slow machine may pass one over for long. */
static void open_store_each(int count)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    for (int i = 0; i < count; i++)
        own_stores[i] = open_path(store_path(), &options);
}

static void close_store_each(int count)
{
    for (int i = 0; i < count; i++) {
        stele_store_close(own_stores[i]);
        own_stores[i] = NULL;
    }
}

static void expect_ok(const worker *self)
{
    ck_assert_msg(self->status == STELE_OK, "thread %d: %s: %s", self->index,
                  stele_status_name(self->status), self->reason);
}

/* --- One winner --- */

enum { RIVALS = 32 };

static void *create_stream(void *context)
{
    worker *self = context;
    pthread_barrier_wait(&start_line);
    note(self, append_to(self->store, "prize-1", STELE_NO_STREAM, "won", NULL));
    return NULL;
}

static void expect_one_winner(void)
{
    int won = 0, lost = 0;
    for (int i = 0; i < RIVALS; i++) {
        won += crew[i].status == STELE_OK;
        lost += crew[i].status == STELE_CONFLICT;
    }
    ck_assert_int_eq(won, 1);
    ck_assert_int_eq(lost, RIVALS - 1);
    ck_assert_int_eq(version_of("prize-1"), 1);
    ck_assert_int_eq(head_of(store), 1);
}

START_TEST(rivals_for_a_new_stream_have_one_winner)
{
    start_crew(RIVALS, create_stream);
    join_crew(RIVALS);

    expect_one_winner();
}
END_TEST

START_TEST(rivals_with_a_handle_each_have_one_winner)
{
    open_store_each(RIVALS);
    start_crew(RIVALS, create_stream);
    join_crew(RIVALS);
    close_store_each(RIVALS);

    expect_one_winner();
}
END_TEST

/* Each takes the version that it saw: whoever loses looks again, and every version is one's own. */
static void *count_up(void *context)
{
    worker *self = context;
    pthread_barrier_wait(&start_line);
    int64_t expected = STELE_NO_STREAM;
    while (self->number < 50) {
        stele_appended appended = { 0 };
        stele_status status = append_to(self->store, "counter-1", expected, "raised", &appended);
        note(self, status);
        if (status != STELE_OK && status != STELE_CONFLICT)
            return NULL;
        self->number += status == STELE_OK;
        expected = appended.stream_version;
    }
    return NULL;
}

START_TEST(optimistic_writers_lose_no_update)
{
    enum { WRITERS = 8 };
    start_crew(WRITERS, count_up);
    join_crew(WRITERS);

    for (int i = 0; i < WRITERS; i++)
        expect_ok(&crew[i]);
    ck_assert_int_eq(version_of("counter-1"), (int64_t)WRITERS * 50);
}
END_TEST

/* --- Everybody's events, in one order --- */

enum { WRITERS = 8, APPENDS = 200 };

/* Half into the writer's own stream, half into a shared one; the data says whose and which. */
static void *append_many_times(void *context)
{
    worker *self = context;
    pthread_barrier_wait(&start_line);
    for (int i = 0; i < APPENDS; i++) {
        char own[32], data[32];
        snprintf(own, sizeof(own), "own-%d", self->index);
        snprintf(data, sizeof(data), "[%d,%d]", self->index, i);
        stele_event event = make_event("counted", data);
        stele_append append = make_append(i % 2 == 0 ? own : "shared-1", STELE_ANY, &event, 1);
        note(self, stele_store_append(self->store, &append, NULL));
        if (self->status != STELE_OK)
            break;
    }
    return NULL;
}

/* Positions dense, versions dense in each stream, and each writer's events once and in order. */
static void expect_all_events(void)
{
    int next_of[WRITERS] = { 0 };
    int64_t own_version[WRITERS] = { 0 }, shared_version = 0, position = 0, last_time = 0;
    stele_cursor *cursor = open_read(NULL);
    const stele_record *record = NULL;
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK) {
        int writer = -1, number = -1;
        ck_assert_int_eq(sscanf(record->data, "[%d,%d]", &writer, &number), 2);
        ck_assert_int_eq(record->position, ++position);
        ck_assert_int_eq(number, next_of[writer]++);
        ck_assert_int_ge(record->recorded_at, last_time);
        last_time = record->recorded_at;
        if (strcmp(record->stream, "shared-1") == 0)
            ck_assert_int_eq(record->version, ++shared_version);
        else
            ck_assert_int_eq(record->version, ++own_version[writer]);
    }
    assert_status(status, STELE_DONE);
    stele_cursor_close(cursor);
    ck_assert_int_eq(position, WRITERS * APPENDS);
}

/* Looks again and again at the end of the log: n+1 must never be there without n. */
static void *watch_the_end(void *context)
{
    worker *self = context;
    pthread_barrier_wait(&start_line);
    int64_t seen = 0;
    while (!atomic_load(&stopping)) {
        stele_read read = STELE_READ_INIT;
        read.after_position = seen;
        stele_cursor *cursor = NULL;
        const stele_record *record = NULL;
        stele_status status = stele_store_read(self->store, &read, &cursor);
        while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
            if (record->position != ++seen)
                self->number++;
        note(self, status == STELE_DONE ? STELE_OK : status);
        stele_cursor_close(cursor);
        if (self->status != STELE_OK)
            break;
        pause_ms(1);
    }
    return NULL;
}

static void *write_or_watch(void *context)
{
    worker *self = context;
    return self->index < WRITERS ? append_many_times(self) : watch_the_end(self);
}

static void write_and_watch(void)
{
    enum { WATCHERS = 4 };
    start_crew(WRITERS + WATCHERS, write_or_watch);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(crew[i].thread, NULL);
    atomic_store(&stopping, true);
    for (int i = WRITERS; i < WRITERS + WATCHERS; i++)
        pthread_join(crew[i].thread, NULL);
    pthread_barrier_destroy(&start_line);

    for (int i = 0; i < WRITERS + WATCHERS; i++) {
        expect_ok(&crew[i]);
        ck_assert_int_eq(crew[i].number, 0);
    }
    expect_all_events();
}

START_TEST(writers_and_readers_of_one_store_see_one_dense_order)
{
    write_and_watch();
}
END_TEST

START_TEST(writers_and_readers_with_a_handle_each_see_one_dense_order)
{
    open_store_each(WRITERS + 4);
    write_and_watch();
    close_store_each(WRITERS + 4);
}
END_TEST

/* --- Few read connections --- */

static void *read_everything(void *context)
{
    worker *self = context;
    pthread_barrier_wait(&start_line);
    for (int round = 0; round < 20; round++) {
        stele_read read = STELE_READ_INIT;
        read.page_count_max = 7;
        stele_cursor *cursor = NULL;
        const stele_record *record = NULL;
        stele_status status = stele_store_read(self->store, &read, &cursor);
        while (status == STELE_OK && (status = stele_cursor_next(cursor, &record)) == STELE_OK)
            self->number++;
        note(self, status == STELE_DONE ? STELE_OK : status);
        stele_cursor_close(cursor);
    }
    return NULL;
}

START_TEST(more_readers_than_connections_wait_their_turn)
{
    enum { READERS = 12 };
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.reader_max = 2;
    options.busy_timeout_ms = 60000; /* nobody keeps a queue here, either */
    store = open_path(store_path(), &options);
    fill_stream("a-1", 50);

    start_crew(READERS, read_everything);
    join_crew(READERS);

    for (int i = 0; i < READERS; i++) {
        expect_ok(&crew[i]);
        ck_assert_int_eq(crew[i].number, 20 * 50);
    }
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    ck_assert_uint_le(info.connections, 2 + 2);
}
END_TEST

/* --- Closing while others call --- */

static void *call_until_closed(void *context)
{
    worker *self = context;
    stele_status status = STELE_OK;
    pthread_barrier_wait(&start_line);
    while (status == STELE_OK || status == STELE_DONE) {
        int64_t head = 0;
        stele_cursor *cursor = NULL;
        const stele_record *record = NULL;
        switch ((self->index + self->number++) % 4) {
        case 0: status = append_to(self->store, "a-1", STELE_ANY, "noted", NULL); break;
        case 1: status = stele_store_head(self->store, &head); break;
        case 2: status = stele_checkpoint_save(self->store, "reader", 0); break;
        default:
            status = stele_store_read(self->store, NULL, &cursor);
            while (status == STELE_OK)
                status = stele_cursor_next(cursor, &record);
            stele_cursor_close(cursor);
        }
    }
    note(self, status);
    return NULL;
}

/* Somebody must keep the memory: a cursor that is open does, as the contract says. */
START_TEST(calls_end_with_closed_when_the_store_is_closed_under_them)
{
    enum { CALLERS = 8 };
    fill_stream("a-1", 10);
    stele_cursor *keeper = open_read(NULL);
    start_crew(CALLERS, call_until_closed);
    pause_ms(30);

    close_store();
    join_crew(CALLERS);

    for (int i = 0; i < CALLERS; i++)
        ck_assert_msg(crew[i].status == STELE_CLOSED, "%s: %s", stele_status_name(crew[i].status),
                      crew[i].reason);
    stele_cursor_close(keeper);
}
END_TEST

static void *wait_for_the_writer(void *context)
{
    worker *self = context;
    pthread_barrier_wait(&start_line);
    note(self, append_to(self->store, "a-1", STELE_ANY, "noted", NULL));
    return NULL;
}

START_TEST(appenders_that_wait_for_a_transaction_are_told_of_the_close)
{
    enum { WAITING = 4 };
    stele_transaction *transaction = begin();
    start_crew(WAITING, wait_for_the_writer);
    pause_ms(30);

    close_store();
    join_crew(WAITING);

    for (int i = 0; i < WAITING; i++)
        ck_assert_int_eq(crew[i].status, STELE_CLOSED);
    stele_transaction_end(transaction);
}
END_TEST

/* --- Retries --- */

static void *append_with_shared_key(void *context)
{
    worker *self = context;
    stele_event event = make_event("paid", "{}");
    stele_append append = make_append("order-1", STELE_ANY, &event, 1);
    append.idempotency_key = "payment-1";
    stele_appended appended = { 0 };
    pthread_barrier_wait(&start_line);
    note(self, stele_store_append(self->store, &append, &appended));
    self->number = appended.first_position * 10 + appended.duplicate;
    return NULL;
}

START_TEST(attempts_with_one_key_at_once_store_once)
{
    start_crew(RIVALS, append_with_shared_key);
    join_crew(RIVALS);

    int first = 0;
    for (int i = 0; i < RIVALS; i++) {
        expect_ok(&crew[i]);
        ck_assert_int_eq(crew[i].number / 10, 1);
        first += crew[i].number % 10 == 0;
    }
    ck_assert_int_eq(first, 1);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* The reason of a failure belongs to the thread that failed. */
static void *fail_in_his_own_words(void *context)
{
    worker *self = context;
    char stream[32];
    snprintf(stream, sizeof(stream), "missing-%d", self->index);
    pthread_barrier_wait(&start_line);
    for (int i = 0; i < 50; i++) {
        (void)append_to(self->store, stream, STELE_STREAM_EXISTS, "noted", NULL);
        self->number += strstr(stele_error_text(), stream) == NULL;
    }
    return NULL;
}

START_TEST(reasons_of_threads_are_their_own)
{
    start_crew(8, fail_in_his_own_words);
    join_crew(8);

    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(crew[i].number, 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, rivals_for_a_new_stream_have_one_winner);
    tcase_add_test(tests, optimistic_writers_lose_no_update);
    tcase_add_test(tests, writers_and_readers_of_one_store_see_one_dense_order);
    tcase_add_test(tests, calls_end_with_closed_when_the_store_is_closed_under_them);
    tcase_add_test(tests, appenders_that_wait_for_a_transaction_are_told_of_the_close);
    tcase_add_test(tests, attempts_with_one_key_at_once_store_once);
    tcase_add_test(tests, reasons_of_threads_are_their_own);
}

int main(void)
{
    Suite *suite = suite_create("concurrency");
    add_tests(add_case(suite, "memory", open_in_memory));
    TCase *file = add_case(suite, "file", open_in_file);
    add_tests(file);
    tcase_add_test(file, rivals_with_a_handle_each_have_one_winner);
    tcase_add_test(file, writers_and_readers_with_a_handle_each_see_one_dense_order);
    tcase_add_test(file, more_readers_than_connections_wait_their_turn);
    return run_suite(suite);
}
