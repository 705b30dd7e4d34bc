/*
 * Closing while others are in the middle of a call, for every public call: each ends with its own
 * answer or with CLOSED, what was acknowledged is there, and nothing stays behind.
 */
#include "effort.h"
#include "every_call.h"
#include "resources.h"

#include <pthread.h>

enum { CALLERS = 3, CALLS_BEFORE_CLOSE = 12 };

static atomic_int calls_made;

enum { IN_FILE, IN_FILE_WITH_THREADS, IN_MEMORY, MODES };

static void open_in_mode(int mode)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    options.wal_soft_pages = 20; /* transfers, too */
    options.reader_max = 2;
    options.committer = mode == IN_FILE_WITH_THREADS;
    options.maintenance = mode == IN_FILE_WITH_THREADS;
    store = open_path(mode == IN_MEMORY ? ":memory:" : store_path(), &options);
}

static void *call_until_closed(void *context)
{
    caller *self = context;
    while (self->status >= 0) {
        self->status = self->call(self);
        atomic_fetch_add(&calls_made, 1);
    }
    snprintf(self->reason, sizeof(self->reason), "%s", stele_error_text());
    return NULL;
}

/* A cursor keeps the memory of the store, as the contract says, for calls that come too late. */
static void close_under_callers(caller *crew)
{
    stele_cursor *keeper = open_read(NULL);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_create(&crew[i].thread, NULL, call_until_closed, &crew[i]), 0);
    while (atomic_load(&calls_made) < CALLS_BEFORE_CLOSE)
        nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    stele_store *closed = store;
    stele_store_close(closed);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(crew[i].thread, NULL);
    const stele_record *record = NULL;
    assert_status(stele_cursor_next(keeper, &record), STELE_CLOSED);
    stele_cursor_close(keeper);
    store = NULL;
}

START_TEST(call_ends_with_its_own_answer_or_with_closed_and_leaves_nothing_behind)
{
    int call = _i / MODES, mode = _i % MODES;
    const char *name = every_call[call].name;
    caller crew[CALLERS] = { 0 };
    atomic_store(&calls_made, 0);
    open_in_mode(mode);
    close_store(); /* what SQLite keeps for good is there now */
    resources before = count_resources();
    open_in_mode(mode);
    fill_before();
    for (int i = 0; i < CALLERS; i++) {
        crew[i].call = every_call[call].call;
        snprintf(crew[i].stream, sizeof(crew[i].stream), "own-%d", i);
    }

    close_under_callers(crew);

    int64_t head = EVENTS_BEFORE;
    for (int i = 0; i < CALLERS; i++) {
        ck_assert_msg(crew[i].status == STELE_CLOSED, "%s answered %s: %s", name,
                      stele_status_name(crew[i].status), crew[i].reason);
        ck_assert_msg(atomic_load(&crew[i].told) == crew[i].submitted,
                      "%s: %" PRId64 " verdicts for %" PRId64 " submissions", name,
                      (int64_t)atomic_load(&crew[i].told), crew[i].submitted);
        ck_assert_int_eq(atomic_load(&crew[i].told_ok), crew[i].submitted);
        head += crew[i].stored + crew[i].submitted;
    }
    expect_resources(before, name);
    if (mode == IN_MEMORY)
        return;
    open_in_file();
    ck_assert_msg(head_of(store) == head, "%s: %" PRId64 " events are there, %" PRId64 " were told",
                  name, head_of(store), head);
    close_store();
}
END_TEST

/* --- What is still open --- */

typedef struct open_handles {
    stele_transaction *transaction;
    stele_cursor *cursor, *cursor_in;
    stele_streams *streams, *streams_in;
    stele_types *types, *types_in;
    stele_verify *verify;
    stele_ticket *ticket;
} open_handles;

static void open_everything(open_handles *handles)
{
    stele_read read = STELE_READ_INIT;
    read.page_count_max = 1;
    handles->cursor = open_read(&read);
    assert_status(stele_store_streams(store, NULL, &handles->streams), STELE_OK);
    assert_status(stele_store_types(store, &handles->types), STELE_OK);
    assert_status(stele_verify_open(store, NULL, &handles->verify), STELE_OK);
    caller self = { .stream = "own-1" };
    assert_status(submit_one(&self, NULL, &handles->ticket), STELE_OK);
    handles->transaction = begin();
    stele_transaction *transaction = handles->transaction;
    assert_status(append_in(transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    assert_status(stele_transaction_read(transaction, &read, &handles->cursor_in), STELE_OK);
    assert_status(stele_transaction_streams(transaction, NULL, &handles->streams_in), STELE_OK);
    assert_status(stele_transaction_types(transaction, &handles->types_in), STELE_OK);
}

static void expect_all_closed(const open_handles *handles)
{
    const stele_record *record = NULL;
    const stele_stream_info *stream = NULL;
    const stele_type_info *type = NULL;
    const stele_check *check = NULL;
    const stele_verdict *verdict = NULL;
    int64_t head = 0;
    assert_status(stele_cursor_next(handles->cursor, &record), STELE_CLOSED);
    assert_status(stele_cursor_next(handles->cursor_in, &record), STELE_CLOSED);
    assert_status(stele_streams_next(handles->streams, &stream), STELE_CLOSED);
    assert_status(stele_streams_next(handles->streams_in, &stream), STELE_CLOSED);
    assert_status(stele_types_next(handles->types, &type), STELE_CLOSED);
    assert_status(stele_types_next(handles->types_in, &type), STELE_CLOSED);
    assert_status(stele_verify_next(handles->verify, &check), STELE_CLOSED);
    assert_status(append_in(handles->transaction, "a-1", STELE_ANY, NULL), STELE_CLOSED);
    assert_status(stele_transaction_head(handles->transaction, &head), STELE_CLOSED);
    assert_status(stele_transaction_commit(handles->transaction), STELE_CLOSED);
    ck_assert_ptr_null(stele_transaction_sqlite(handles->transaction));
    assert_status(stele_ticket_wait(handles->ticket, NULL, &verdict), STELE_OK);
    assert_status(verdict->status, STELE_OK);
}

static void close_everything(const open_handles *handles, bool backward)
{
    for (int i = 0; i < 9; i++) {
        switch (backward ? 8 - i : i) {
        case 0: stele_cursor_close(handles->cursor); break;
        case 1: stele_streams_close(handles->streams); break;
        case 2: stele_types_close(handles->types); break;
        case 3: stele_verify_close(handles->verify); break;
        case 4: stele_ticket_close(handles->ticket); break;
        case 5: stele_transaction_end(handles->transaction); break;
        case 6: stele_cursor_close(handles->cursor_in); break;
        case 7: stele_streams_close(handles->streams_in); break;
        default: stele_types_close(handles->types_in);
        }
    }
}

START_TEST(handles_of_a_closed_store_answer_closed_and_are_closed_without_harm)
{
    int mode = _i / 2;
    open_in_mode(mode);
    close_store();
    resources before = count_resources();
    open_in_mode(mode);
    fill_stream("before-1", 3);
    open_handles handles = { 0 };
    open_everything(&handles);

    stele_store_close(store);

    expect_all_closed(&handles);
    close_everything(&handles, _i % 2 == 1);
    store = NULL;
    expect_resources(before, "all handles are closed");
    if (mode == IN_MEMORY)
        return;
    open_in_file();
    ck_assert_int_eq(head_of(store), 4); /* the submission; the transaction was rolled back */
    ck_assert_int_eq(version_of("own-1"), 1);
    close_store();
}
END_TEST

/* --- An import between two batches --- */

static atomic_bool reading;
static atomic_bool read_returns;

/* Reads of the store are allowed here: the store must be there. */
static stele_status read_until_closed(void *context, void *buffer, size_t capacity,
                                      size_t *size_out)
{
    int64_t head = 0;
    (void)context, (void)buffer, (void)capacity;
    *size_out = 0;
    atomic_store(&reading, true);
    while (stele_store_head(store, &head) == STELE_OK)
        nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    atomic_store(&read_returns, true);
    return STELE_OK;
}

static void *import_until_closed(void *context)
{
    caller *self = context;
    stele_import import = STELE_IMPORT_INIT;
    import.read = read_until_closed;
    self->status = stele_store_import(store, &import, NULL);
    return NULL;
}

START_TEST(close_waits_for_an_import_that_reads_its_input)
{
    caller importer = { 0 };
    open_in_mode(_i);
    close_store();
    resources before = count_resources();
    open_in_mode(_i);
    atomic_store(&reading, false);
    atomic_store(&read_returns, false);
    ck_assert_int_eq(pthread_create(&importer.thread, NULL, import_until_closed, &importer), 0);
    while (!atomic_load(&reading))
        nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);

    stele_store_close(store);

    ck_assert(atomic_load(&read_returns));
    pthread_join(importer.thread, NULL);
    store = NULL;
    expect_resources(before, "import");
}
END_TEST

/* --- Many lives --- */

/* Everything that a store can have: connections, both threads, the descriptors of the completed. */
static void live_once(int cycle)
{
    open_in_mode(cycle % 5 == 4 ? IN_MEMORY : IN_FILE_WITH_THREADS);
    if (cycle % 5 == 4)
        fill_before();
    caller self = { .stream = "own-1" };
    int descriptor = -1;
    assert_status(stele_store_completion_fd(store, &descriptor), STELE_OK);
    assert_status(call_submit_and_forget(&self), STELE_OK);
    if (cycle % 2 == 0)
        assert_status(call_transaction(&self), STELE_OK);
    assert_status(call_head(&self), STELE_OK);
    if (cycle % 3 == 0)
        assert_status(stele_store_transfer(store, NULL, NULL), STELE_OK);
    close_store();
}

START_TEST(many_lives_of_a_store_leave_nothing_behind)
{
    int cycles = effort_of(200, 10000);
    open_in_file();
    fill_before();
    close_store();
    live_once(0);
    live_once(4);
    resources before = count_resources();
    for (int i = 0; i < cycles; i++) {
        live_once(i);
        expect_resources(before, "many lives");
    }
    printf("closing: %d lives, %d descriptors before and after each\n", cycles, before.descriptors);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("closing");
    TCase *tests = add_case(suite, "closing", NULL);
    tcase_set_timeout(tests, effort_is_long() ? 3600 : 120);
    tcase_add_loop_test(tests,
                        call_ends_with_its_own_answer_or_with_closed_and_leaves_nothing_behind, 0,
                        (int)COUNT_OF(every_call) * MODES);
    tcase_add_loop_test(tests, handles_of_a_closed_store_answer_closed_and_are_closed_without_harm,
                        0, 2 * MODES);
    tcase_add_loop_test(tests, close_waits_for_an_import_that_reads_its_input, 0, MODES);
    tcase_add_test(tests, many_lives_of_a_store_leave_nothing_behind);
    return run_suite(suite);
}
