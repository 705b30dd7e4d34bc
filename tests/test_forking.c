/*
 * A child after fork() may use nothing that it inherited: every call says so, whatever the parent's
 * threads were doing at that moment, and closing there frees memory and touches nothing else.
 */
#include "effort.h"
#include "every_call.h"
#include "store/store.h"

#include <stele/hooks.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

enum { ANSWERED = 50, HUNG_SECONDS = 60 };

/* --- Everything that can be inherited --- */

static struct {
    stele_cursor *cursor, *cursor_in;
    stele_streams *streams, *streams_in;
    stele_types *types, *types_in;
    stele_verify *verify;
    stele_ticket *told, *queued;
    stele_transaction *transaction;
    stele_decoded *decoded;
} held;

static stele_status decode_held(void)
{
    stele_record record = { .type = "noted", .codec = "json", .schema_version = 1, .data = "{}" };
    record.stream = "before-1";
    return stele_record_decode(store, &record, &held.decoded);
}

static void open_mode(bool threads, bool memory)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.committer = threads;
    options.maintenance = threads;
    options.wal_soft_pages = 20;
    options.busy_timeout_ms = 60000;
    store = open_path(memory ? ":memory:" : store_path(), &options);
    fill_before();
}

static void open_handles(void)
{
    stele_read read = STELE_READ_INIT;
    const stele_verdict *verdict = NULL;
    caller self = { .stream = "own-1" };
    read.page_count_max = 7;
    held.cursor = open_read(&read);
    assert_status(stele_store_streams(store, NULL, &held.streams), STELE_OK);
    assert_status(stele_store_types(store, &held.types), STELE_OK);
    assert_status(stele_verify_open(store, NULL, &held.verify), STELE_OK);
    assert_status(submit_one(&self, NULL, &held.told), STELE_OK);
    assert_status(stele_ticket_wait(held.told, NULL, &verdict), STELE_OK);
    assert_status(decode_held(), STELE_UNKNOWN_TYPE);
    held.transaction = begin();
    assert_status(append_in(held.transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    assert_status(stele_transaction_read(held.transaction, NULL, &held.cursor_in), STELE_OK);
    assert_status(stele_transaction_streams(held.transaction, NULL, &held.streams_in), STELE_OK);
    assert_status(stele_transaction_types(held.transaction, &held.types_in), STELE_OK);
    assert_status(submit_one(&self, NULL, &held.queued), STELE_OK);
}

static void close_handles(void)
{
    stele_cursor_close(held.cursor);
    stele_cursor_close(held.cursor_in);
    stele_streams_close(held.streams);
    stele_streams_close(held.streams_in);
    stele_types_close(held.types);
    stele_types_close(held.types_in);
    stele_verify_close(held.verify);
    stele_ticket_close(held.told);
    stele_ticket_close(held.queued);
    stele_decoded_close(held.decoded);
    stele_transaction_end(held.transaction);
    memset(&held, 0, sizeof(held));
}

/* --- What the child does; it answers with the number of the first wrong call --- */

static int call_store(void)
{
    for (size_t i = 0; i < COUNT_OF(every_call); i++) {
        caller self = { .stream = "child-1" };
        if (every_call[i].call(&self) != STELE_MISUSE)
            return 1 + (int)i;
    }
    /* Those that come second in the calls above. */
    int descriptor = -1;
    stele_ticket *ticket = NULL;
    const stele_status statuses[] = {
        stele_store_completion_fd(store, &descriptor),
        stele_store_completed(store, &ticket),
        stele_store_flush(store, NULL),
        stele_store_transfer(store, NULL, NULL),
        stele_store_register_type(store, &kept_type),
        stele_store_register_alias(store, "Old", "New"),
        stele_store_write_codec(store, "cbor"),
        stele_store_register_codec(store, stele_codec_raw()),
        stele_allocator_set(NULL),
        stele_log_set(NULL, NULL),
    };
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i] != STELE_MISUSE)
            return ANSWERED + (int)i;
    return 0;
}

static int call_handles(void)
{
    const stele_record *record = NULL;
    const stele_stream_info *stream = NULL;
    const stele_type_info *type = NULL;
    const stele_check *check = NULL;
    const stele_verdict *verdict = NULL;
    const stele_status statuses[] = {
        stele_cursor_next(held.cursor, &record),
        stele_cursor_next(held.cursor_in, &record),
        stele_streams_next(held.streams, &stream),
        stele_streams_next(held.streams_in, &stream),
        stele_types_next(held.types, &type),
        stele_types_next(held.types_in, &type),
        stele_verify_next(held.verify, &check),
        stele_ticket_wait(held.told, NULL, &verdict),
        stele_ticket_wait(held.queued, NULL, &verdict),
        decode_held(),
    };
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i] != STELE_MISUSE)
            return 2 * ANSWERED + (int)i;
    return 0;
}

static int call_inherited_transaction(void)
{
    stele_transaction *transaction = held.transaction;
    stele_append append = make_append("child-1", STELE_ANY, NULL, 0);
    stele_appended appended = { .condition = -1 };
    stele_cursor *cursor = NULL;
    stele_streams *streams = NULL;
    stele_types *types = NULL;
    stele_stream_info info = { 0 };
    stele_checkpoint checkpoint = { 0 };
    int64_t head = 0;
    append.expected_version = 0;
    const stele_status statuses[] = {
        stele_transaction_append(transaction, &append, NULL),
        stele_transaction_append_typed(transaction, &append, NULL, 0, NULL),
        stele_transaction_append_many(transaction, &append, 1, NULL, NULL),
        stele_transaction_read(transaction, NULL, &cursor),
        stele_transaction_read_missed(transaction, &append, &appended, &cursor),
        stele_transaction_head(transaction, &head),
        stele_transaction_stream(transaction, "before-1", &info),
        stele_transaction_streams(transaction, NULL, &streams),
        stele_transaction_types(transaction, &types),
        stele_transaction_checkpoint_load(transaction, "reader", &checkpoint),
        stele_transaction_checkpoint_save(transaction, "reader", 1),
        stele_transaction_commit(transaction),
    };
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i] != STELE_MISUSE)
            return 3 * ANSWERED + (int)i;
    return stele_transaction_sqlite(transaction) == NULL ? 0 : 4 * ANSWERED;
}

static int open_in_child(bool parent_has_file)
{
    stele_store *own = NULL;
    const char *path = test_path("other.db");
    if (!parent_has_file)
        return 0;
    if (stele_store_open(path, NULL, &own) != STELE_MISUSE || own != NULL)
        return 4 * ANSWERED + 1;
    return stele_store_migrate(path, NULL) == STELE_MISUSE ? 0 : 4 * ANSWERED + 2;
}

/* A hang ends by a signal, which the parent sees. */
static int use_what_was_inherited(void *context)
{
    alarm(HUNG_SECONDS);
    int wrong = call_store();
    if (wrong == 0 && held.cursor != NULL)
        wrong = call_handles();
    if (wrong == 0 && held.transaction != NULL)
        wrong = call_inherited_transaction();
    if (wrong == 0)
        wrong = open_in_child(context != NULL);
    close_handles();
    stele_store_close(store);
    return wrong;
}

/* --- A parent that holds still --- */

START_TEST(child_may_use_nothing_that_it_inherited)
{
    bool memory = _i == 2;
    open_mode(_i == 1, memory);
    open_handles();
    file_copy database = { NULL, 0 }, wal = { NULL, 0 };
    if (!memory) {
        database = load_file(store_path());
        wal = load_file(test_path("store.db-wal"));
    }

    ck_assert_int_eq(run_in_child(use_what_was_inherited, memory ? NULL : store), 0);

    if (!memory) {
        expect_unchanged(store_path(), database);
        expect_unchanged(test_path("store.db-wal"), wal);
    }
    ck_assert(!file_exists(test_path("other.db")));
    const stele_verdict *verdict = NULL;
    assert_status(append_in(held.transaction, "a-1", STELE_ANY, NULL), STELE_OK);
    assert_status(stele_transaction_commit(held.transaction), STELE_OK);
    assert_status(stele_ticket_wait(held.queued, NULL, &verdict), STELE_OK);
    assert_status(verdict->status, STELE_OK);
    close_handles();
    ck_assert_int_eq(head_of(store), EVENTS_BEFORE + 4);
    close_store();
}
END_TEST

/* --- A parent with a mutex locked --- */

static atomic_int stage; /* 1: locked; 2: let go */

static void *hold_mutex(void *context)
{
    stele_store *locked = context;
    pthread_mutex_lock(&locked->mutex);
    atomic_store(&stage, 1);
    while (atomic_load(&stage) != 2)
        nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
    pthread_mutex_unlock(&locked->mutex);
    return NULL;
}

START_TEST(child_of_a_parent_with_a_locked_mutex_does_not_hang)
{
    pthread_t holder;
    open_mode(_i == 1, false);
    open_handles();
    atomic_store(&stage, 0);
    ck_assert_int_eq(pthread_create(&holder, NULL, hold_mutex, store), 0);
    while (atomic_load(&stage) != 1)
        nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);

    ck_assert_int_eq(run_in_child(use_what_was_inherited, store), 0);

    atomic_store(&stage, 2);
    pthread_join(holder, NULL);
    assert_status(stele_transaction_commit(held.transaction), STELE_OK);
    close_handles();
    close_store();
}
END_TEST

static int lock_inherited_mutex(void *context)
{
    stele_store *locked = context;
    return pthread_mutex_trylock(&locked->mutex) == EBUSY ? 0 : 1;
}

/* Were the child to lock the mutex, it would hang: nobody is there to unlock it. */
START_TEST(mutex_locked_at_the_fork_stays_locked_in_the_child)
{
    pthread_t holder;
    open_mode(false, false);
    atomic_store(&stage, 0);
    ck_assert_int_eq(pthread_create(&holder, NULL, hold_mutex, store), 0);
    while (atomic_load(&stage) != 1)
        nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);

    ck_assert_int_eq(run_in_child(lock_inherited_mutex, store), 0);

    atomic_store(&stage, 2);
    pthread_join(holder, NULL);
}
END_TEST

/* --- A parent in the middle of it --- */

enum { WORKERS = 4 };

static atomic_bool stopping;

static void *work_until_told(void *context)
{
    caller *self = context;
    stele_status (*const work[])(caller * self) = { call_append,      call_read,
                                                    call_ticket_wait, call_transfer,
                                                    call_transaction, call_types };
    for (size_t i = 0; !atomic_load(&stopping) && self->status >= 0; i++)
        self->status = work[i % COUNT_OF(work)](self);
    return NULL;
}

START_TEST(children_of_a_busy_parent_do_not_hang_and_do_no_harm)
{
    int children = effort_is_long() ? 500 : 20;
    caller workers[WORKERS] = { 0 };
    open_mode(true, false);
    atomic_store(&stopping, false);
    for (int i = 0; i < WORKERS; i++) {
        snprintf(workers[i].stream, sizeof(workers[i].stream), "own-%d", i);
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work_until_told, &workers[i]), 0);
    }

    for (int i = 0; i < children; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
        ck_assert_int_eq(run_in_child(use_what_was_inherited, store), 0);
    }

    int64_t head = EVENTS_BEFORE;
    atomic_store(&stopping, true);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_msg(workers[i].status >= 0, "%s", stele_status_name(workers[i].status));
        head += workers[i].stored;
    }
    printf("forking: %d children of a parent that wrote %" PRId64 " events\n", children, head);
    reopen_file();
    ck_assert_int_eq(head_of(store), head);
    caller self = { 0 };
    assert_status(call_verify(&self), STELE_DONE);
}
END_TEST

/* --- exec --- */

static int run_tool(void *path)
{
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0)
        return 126;
    execl(test_tool(), test_tool(), "-s", (const char *)path, "append", "theirs-1", "Noted", "{}",
          (char *)NULL);
    return 127;
}

START_TEST(program_that_the_child_executes_may_open_the_store)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", store_path());
    open_mode(true, false);

    ck_assert_int_eq(run_in_child(run_tool, path), 0);

    ck_assert_int_eq(version_of("theirs-1"), 1);
    assert_status(append_one("theirs-1", 1, "noted", NULL), STELE_OK);
}
END_TEST

enum { DESCRIPTORS_MAX = 256 };

/* Whether each descriptor is open, and ends with exec. */
typedef struct descriptor_table {
    bool open[DESCRIPTORS_MAX];
    bool ends[DESCRIPTORS_MAX];
} descriptor_table;

static descriptor_table list_descriptors(void)
{
    descriptor_table table = { 0 };
    for (int i = 0; i < DESCRIPTORS_MAX; i++) {
        int flags = fcntl(i, F_GETFD);
        table.open[i] = flags >= 0;
        table.ends[i] = flags >= 0 && (flags & FD_CLOEXEC) != 0;
    }
    return table;
}

/* Of those opened since; and how many would be inherited. */
static int count_opened(const descriptor_table *before, int *inherited_out)
{
    descriptor_table now = list_descriptors();
    int opened = 0;
    *inherited_out = 0;
    for (int i = 0; i < DESCRIPTORS_MAX; i++) {
        if (!now.open[i] || before->open[i])
            continue;
        opened++;
        *inherited_out += !now.ends[i];
    }
    return opened;
}

START_TEST(descriptors_of_a_store_end_with_exec)
{
    int completions = -1, inherited = 0;
    caller self = { .stream = "own-1" };
    descriptor_table before = list_descriptors();
    open_mode(true, false);
    assert_status(call_transfer(&self), STELE_OK);
    assert_status(call_types(&self), STELE_DONE);
    assert_status(stele_store_completion_fd(store, &completions), STELE_OK);

    /* Three connections, -shm, -lock, and a pipe. */
    ck_assert_int_ge(count_opened(&before, &inherited), 3 * 2 + 1 + 1 + 2);

    ck_assert_int_eq(inherited, 0);
    int plain = open(store_path(), O_RDONLY); /* the control; the store is of no more use */
    (void)count_opened(&before, &inherited);
    ck_assert_int_eq(inherited, 1);
    close(plain);
}
END_TEST

/* --- What would happen otherwise --- */

static sqlite3 *shared;

static int commit_in_child(void *context)
{
    (void)context;
    return sqlite3_exec(shared, "INSERT INTO rows VALUES('child'); COMMIT", NULL, NULL, NULL);
}

/*
 * Plain SQLite in the same place: the child believes that it holds its parent's write lock. It
 * commits, the parent commits over it, and what the child was told to be stored is gone.
 */
START_TEST(plain_sqlite_used_in_a_child_loses_what_it_acknowledged)
{
    shared = open_raw(store_path());
    run_raw(shared, "PRAGMA journal_mode = WAL; CREATE TABLE rows(who TEXT)");
    run_raw(shared, "BEGIN IMMEDIATE; INSERT INTO rows VALUES('parent')");

    ck_assert_int_eq(run_in_child(commit_in_child, NULL), SQLITE_OK);

    ck_assert_int_eq(raw_number(shared, "SELECT count(*) FROM rows"), 1);
    run_raw(shared, "INSERT INTO rows VALUES('parent'); COMMIT");
    ck_assert_int_eq(sqlite3_close(shared), SQLITE_OK);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM rows WHERE who = 'child'"), 0);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM rows WHERE who = 'parent'"), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forking");
    TCase *tests = add_case(suite, "forking", NULL);
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, child_may_use_nothing_that_it_inherited, 0, 3);
    tcase_add_loop_test(tests, child_of_a_parent_with_a_locked_mutex_does_not_hang, 0, 2);
    tcase_add_test(tests, mutex_locked_at_the_fork_stays_locked_in_the_child);
    tcase_add_test(tests, children_of_a_busy_parent_do_not_hang_and_do_no_harm);
    tcase_add_test(tests, program_that_the_child_executes_may_open_the_store);
    tcase_add_test(tests, descriptors_of_a_store_end_with_exec);
    tcase_add_test(tests, plain_sqlite_used_in_a_child_loses_what_it_acknowledged);
    return run_suite(suite);
}
