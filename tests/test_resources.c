/*
 * What a store costs, as docs/architecture.md says under "What a store costs": descriptors,
 * connections and threads exactly, bytes within a bound. And what doesn't grow with the log.
 */
#include "contract.h"
#include "effort.h"
#include "resources.h"

#include <stele/jsonl.h>
#include <stele/notify.h>
#include <stele/submit.h>
#include <stele/verify.h>

#include <pthread.h>

/* --- The figures of the document --- */

enum {
    CONNECTION_DESCRIPTORS = 2, /* the file and its WAL */
    SHM_DESCRIPTORS = 1,        /* one for all connections of the process to the file */
    LOCK_DESCRIPTORS = 1,       /* <path>-lock */
    ANCHOR_DESCRIPTORS = 1,     /* <path>-anchor */
    COMPLETION_DESCRIPTORS = 2, /* a pipe */
    READ_ONLY_DESCRIPTORS = CONNECTION_DESCRIPTORS + SHM_DESCRIPTORS,
    STORE_DESCRIPTORS = READ_ONLY_DESCRIPTORS + LOCK_DESCRIPTORS + ANCHOR_DESCRIPTORS,
};

#define KIB ((int64_t)1024)
#define MIB (KIB * 1024)

#define IMPORT_OWN_MAX (1 * MIB)
#define REPLAY_OWN_MAX (512 * KIB)

static stele_cursor *cursor;
static stele_transaction *transaction;
static stele_notifier *notifier;
static stele_listener *listener;
static stele_streams *streams;
static stele_types *types;
static stele_verify *verify;
static stele_ticket *ticket;

static void open_default(void)
{
    open_in_file();
}

static void open_with_committer(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = true;
    store = open_path(store_path(), &options);
}

static void open_with_maintenance(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.maintenance = true;
    store = open_path(store_path(), &options);
}

static void open_for_reading(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);
}

static void append_first(void)
{
    fill_stream("a-1", 1);
}

static void add_reader(void)
{
    ck_assert_int_eq(head_of(store), 1);
}

static void add_transferrer(void)
{
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
}

static void add_completions(void)
{
    int descriptor = -1;
    assert_status(stele_store_completion_fd(store, &descriptor), STELE_OK);
}

static void add_notifier(void)
{
    assert_status(stele_store_notifier(store, &notifier), STELE_OK);
}

/* Who waits polls, on a connection for that. */
static void add_poll(void)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 5;
    assert_status(stele_notifier_wait(notifier, 1, &wait, NULL), STELE_TIMED_OUT);
}

static void add_listener(void)
{
    assert_status(stele_listener_open(notifier, 1, &listener), STELE_OK);
}

static void add_descriptor(void)
{
    int descriptor = -1;
    assert_status(stele_listener_descriptor(listener, &descriptor), STELE_OK);
}

static void add_cursor(void)
{
    cursor = open_read(NULL);
}

static void add_streams(void)
{
    assert_status(stele_store_streams(store, NULL, &streams), STELE_OK);
}

static void add_types(void)
{
    assert_status(stele_store_types(store, &types), STELE_OK);
}

static void add_verify(void)
{
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
}

/* An event of 1,000 bytes, of which there is a copy. */
static void add_ticket(void)
{
    char data[1001];
    memset(data, '1', 1000);
    data[1000] = '\0';
    stele_event event = make_event("counted", data);
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    assert_status(stele_store_submit(store, &append, NULL, &ticket), STELE_OK);
}

static void add_transaction(void)
{
    transaction = begin();
}

typedef struct cost {
    const char *what;
    void (*add)(void);
    int descriptors;
    int threads;
    int64_t own_max;
    int64_t sqlite_max;
} cost;

/* Each on top of those before; the first opens. */
static const cost costs[] = {
    { "an open store", open_default, STORE_DESCRIPTORS, 0, 16 * KIB, 256 * KIB },
    { "its first append", append_first, 0, 0, 512 * KIB, 128 * KIB },
    { "a read connection", add_reader, CONNECTION_DESCRIPTORS, 0, 192 * KIB, 256 * KIB },
    { "its transfers", add_transferrer, CONNECTION_DESCRIPTORS, 0, 16 * KIB, 256 * KIB },
    { "the completed", add_completions, COMPLETION_DESCRIPTORS, 0, 0, 0 },
    { "a notifier", add_notifier, 0, 0, 1 * KIB, 0 },
    { "its polling", add_poll, CONNECTION_DESCRIPTORS, 0, 16 * KIB, 256 * KIB },
    { "a listener", add_listener, 0, 0, 1 * KIB, 0 },
    { "its descriptor", add_descriptor, COMPLETION_DESCRIPTORS, 1, 0, 4 * KIB },
    { "a cursor", add_cursor, 0, 0, 32 * KIB, 64 * KIB },
    { "a list of streams", add_streams, 0, 0, 32 * KIB, 32 * KIB },
    { "a list of types", add_types, 0, 0, 4 * KIB, 32 * KIB },
    { "a verification", add_verify, 0, 0, 4 * KIB, 0 },
    { "a ticket", add_ticket, 0, 0, 3 * KIB, 0 },
    { "a transaction", add_transaction, 0, 0, 1 * KIB, 4 * KIB },
};

static const cost openings[] = {
    { "with a committer", open_with_committer, STORE_DESCRIPTORS, 1, 16 * KIB, 256 * KIB },
    { "with maintenance", open_with_maintenance, STORE_DESCRIPTORS, 1, 16 * KIB, 256 * KIB },
    { "for reading", open_for_reading, READ_ONLY_DESCRIPTORS, 0, 16 * KIB, 256 * KIB },
    { "in memory", open_in_memory, 0, 0, 16 * KIB, 256 * KIB },
};

static void expect_cost(const cost *stated)
{
    resources before = count_resources();
    stated->add();
    resources now = count_resources();
    int64_t own_bytes = now.own_bytes - before.own_bytes;
    int64_t sqlite_bytes = now.sqlite_bytes - before.sqlite_bytes;
    printf("resources: %-17s %d descriptors, %d threads, %6" PRId64 " bytes of its own, %6" PRId64
           " of SQLite\n",
           stated->what, now.descriptors - before.descriptors, now.threads - before.threads,
           own_bytes, sqlite_bytes);
    ck_assert_msg(now.descriptors - before.descriptors == stated->descriptors,
                  "%s: %d descriptors, not %d", stated->what, now.descriptors - before.descriptors,
                  stated->descriptors);
    ck_assert_int_eq(now.threads - before.threads, stated->threads);
    ck_assert_msg(own_bytes <= stated->own_max, "%s: %" PRId64 " bytes", stated->what, own_bytes);
    ck_assert_msg(sqlite_bytes <= stated->sqlite_max, "%s: SQLite takes %" PRId64 " bytes",
                  stated->what, sqlite_bytes);
}

static uint32_t connections_of(stele_store *target)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(target, &info), STELE_OK);
    return info.connections;
}

/* What SQLite and the system keep after a first time is no cost of a store. */
static resources rest(void)
{
    open_in_file();
    close_store();
    return count_resources();
}

START_TEST(store_and_its_handles_cost_what_is_stated)
{
    resources at_rest = rest();
    for (size_t i = 0; i < COUNT_OF(costs); i++)
        expect_cost(&costs[i]);
    ck_assert_uint_eq(connections_of(store), 4);

    stele_transaction_end(transaction);
    stele_listener_close(listener);
    stele_ticket_close(ticket);
    stele_verify_close(verify);
    stele_types_close(types);
    stele_streams_close(streams);
    stele_cursor_close(cursor);
    close_store();

    expect_resources(at_rest, "all is closed");
}
END_TEST

START_TEST(opening_costs_what_is_stated)
{
    resources at_rest = rest();

    expect_cost(&openings[_i]);

    close_store();
    expect_resources(at_rest, openings[_i].what);
}
END_TEST

/* --- Many at once --- */

START_TEST(hundred_stores_at_once_cost_a_hundred_times_as_much)
{
    enum {
        STORES = 100,
        OPENED = STORES * STORE_DESCRIPTORS,
        USED = OPENED + STORES * CONNECTION_DESCRIPTORS,
    };
    stele_store *stores[STORES];
    char name[32];
    resources at_rest = rest();
    for (int i = 0; i < STORES; i++) {
        snprintf(name, sizeof(name), "store-%d.db", i);
        copy_file(store_path(), test_path(name)); /* creating one takes its time */
        stores[i] = open_path(test_path(name), NULL);
    }

    ck_assert_int_eq(count_resources().descriptors - at_rest.descriptors, OPENED);
    for (int i = 0; i < STORES; i++) {
        assert_status(append_to(stores[i], "a-1", STELE_NO_STREAM, "noted", NULL), STELE_OK);
        ck_assert_int_eq(head_of(stores[i]), 1);
    }
    resources now = count_resources();
    ck_assert_int_eq(now.descriptors - at_rest.descriptors, USED);
    ck_assert_int_le(now.own_bytes - at_rest.own_bytes, (16 + 512 + 192) * KIB * STORES);
    for (int i = 0; i < STORES; i++)
        stele_store_close(stores[i]);
    expect_resources(at_rest, "a hundred stores");
}
END_TEST

enum { READERS = 64, READER_MAX = 5 };

static atomic_int readers_done;

static void *read_again_and_again(void *context)
{
    int64_t *failures = context;
    stele_read read = STELE_READ_INIT;
    read.page_count_max = 3;
    for (int i = 0; i < 5; i++) {
        stele_cursor *own_cursor = NULL;
        const stele_record *record = NULL;
        stele_status status = stele_store_read(store, &read, &own_cursor);
        while (status == STELE_OK)
            status = stele_cursor_next(own_cursor, &record);
        *failures += status != STELE_DONE;
        stele_cursor_close(own_cursor);
    }
    atomic_fetch_add(&readers_done, 1);
    return NULL;
}

START_TEST(store_read_by_many_threads_has_no_more_connections_than_its_pool)
{
    pthread_t threads[READERS];
    int64_t failures[READERS] = { 0 };
    resources at_rest = rest();
    stele_options options = STELE_OPTIONS_INIT;
    options.reader_max = READER_MAX;
    options.busy_timeout_ms = 60000;
    store = open_path(store_path(), &options);
    fill_stream("a-1", 20);
    assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
    atomic_store(&readers_done, 0);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_again_and_again, &failures[i]), 0);

    uint32_t most = 0;
    while (atomic_load(&readers_done) < READERS) {
        uint32_t now = connections_of(store);
        most = now > most ? now : most;
    }

    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(failures[i], 0);
    }
    ck_assert_uint_le(most, READER_MAX + 2);
    resources now = count_resources_of(at_rest.threads);
    ck_assert_int_le(now.descriptors - at_rest.descriptors,
                     STORE_DESCRIPTORS + (READER_MAX + 1) * CONNECTION_DESCRIPTORS);
    close_store();
    expect_resources(at_rest, "many readers");
}
END_TEST

/* --- What doesn't grow with the log --- */

typedef struct line_source {
    int64_t next;
    int64_t count;
} line_source;

static stele_status give_lines(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    line_source *lines = context;
    char line[128];
    *size_out = 0;
    while (lines->next < lines->count) {
        int size = snprintf(
            line, sizeof(line),
            "{\"stream\":\"account-%d\",\"type\":\"counted\",\"data\":{\"n\":%" PRId64 "}}\n",
            (int)(lines->next % 997), lines->next);
        if ((size_t)size > capacity - *size_out)
            break;
        memcpy((char *)buffer + *size_out, line, (size_t)size);
        *size_out += (size_t)size;
        lines->next++;
    }
    return STELE_OK;
}

/* The most that the library had meanwhile, beyond what it has now. */
static void forget_peak(void)
{
    atomic_store(&own.peak, atomic_load(&own.bytes));
}

static void open_relaxed(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.durability = STELE_DURABILITY_RELAXED;
    store = open_path(store_path(), &options);
    fill_stream("a-1", 1);
    (void)head_of(store);
}

START_TEST(import_and_replay_need_no_more_memory_for_a_long_log)
{
    line_source lines = { 0, effort_of(200000, 2000000) };
    stele_import import = STELE_IMPORT_INIT;
    import.read = give_lines;
    import.context = &lines;
    stele_imported imported = { 0 };
    open_relaxed();
    int64_t base = atomic_load(&own.bytes);
    forget_peak();

    assert_status(stele_store_import(store, &import, &imported), STELE_OK);

    ck_assert_int_eq((int64_t)imported.appended, lines.count);
    int64_t for_import = atomic_load(&own.peak) - base;
    base = atomic_load(&own.bytes);
    forget_peak();
    cursor = open_read(NULL);
    const stele_record *record = NULL;
    int64_t count = 0;
    while (stele_cursor_next(cursor, &record) == STELE_OK)
        count++;
    int64_t for_replay = atomic_load(&own.peak) - base;
    stele_cursor_close(cursor);
    printf("resources: %" PRId64 " lines imported with %" PRId64 " bytes, %" PRId64
           " events replayed with %" PRId64 "; SQLite has %" PRId64 "\n",
           lines.count, for_import, count, for_replay, (int64_t)sqlite3_memory_used());
    ck_assert_int_eq(count, lines.count + 1);
    ck_assert_int_le(for_import, IMPORT_OWN_MAX);
    ck_assert_int_le(for_replay, REPLAY_OWN_MAX);
    ck_assert_int_le(sqlite3_memory_used(), 24 * MIB);
}
END_TEST

/* A cursor holds a page, not what it has read. */
START_TEST(cursor_over_large_events_holds_one_page)
{
    enum { EVENT_SIZE = 100000, EVENTS = 60, PAGE = 300000, MOST = 4 * (PAGE + EVENT_SIZE) };
    char *data = malloc(EVENT_SIZE);
    ck_assert_ptr_nonnull(data);
    memset(data, '1', EVENT_SIZE);
    open_relaxed();
    for (int i = 0; i < EVENTS; i++) {
        stele_event event = make_event("counted", "");
        event.data = data;
        event.data_size = EVENT_SIZE;
        assert_status(append_event("large-1", &event), STELE_OK);
    }
    free(data);
    int64_t base = atomic_load(&own.bytes);
    forget_peak();

    stele_read read = STELE_READ_INIT;
    read.page_size_max = PAGE;
    positions_of(&read);

    /* The buffer doubles, and is moved when it does. */
    int64_t peak = atomic_load(&own.peak) - base;
    printf("resources: a page of %d bytes takes %" PRId64 "\n", PAGE, peak);
    ck_assert_int_le(peak, MOST);
}
END_TEST

/* What is found above would be found: memory that grows with the log is beyond the bound. */
START_TEST(keeping_every_record_would_be_beyond_the_bound)
{
    enum { COPIES = 200000 };
    void **copies = malloc(COPIES * sizeof(*copies));
    ck_assert_ptr_nonnull(copies);
    int64_t base = atomic_load(&own.bytes);
    forget_peak();
    for (int i = 0; i < COPIES; i++)
        copies[i] = own_allocate(NULL, 96);

    ck_assert_int_gt(atomic_load(&own.peak) - base, IMPORT_OWN_MAX);

    for (int i = 0; i < COPIES; i++)
        own_release(NULL, copies[i]);
    free(copies);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("resources");
    TCase *tests = add_case(suite, "costs", NULL);
    tcase_set_timeout(tests, effort_is_long() ? 1200 : 120);
    tcase_add_test(tests, store_and_its_handles_cost_what_is_stated);
    tcase_add_loop_test(tests, opening_costs_what_is_stated, 0, (int)COUNT_OF(openings));
    tcase_add_test(tests, hundred_stores_at_once_cost_a_hundred_times_as_much);
    tcase_add_test(tests, store_read_by_many_threads_has_no_more_connections_than_its_pool);
    tcase_add_test(tests, import_and_replay_need_no_more_memory_for_a_long_log);
    tcase_add_test(tests, cursor_over_large_events_holds_one_page);
    tcase_add_test(tests, keeping_every_record_would_be_beyond_the_bound);
    return run_suite(suite);
}
