/*
 * Closing at a chosen moment: while a commit is in its sync, a transfer in its writes, a scan in
 * its reads, and while a call waits for another process, which goes on holding what it holds.
 */
#define _GNU_SOURCE /* F_OFD_GETLK */

#include "every_call.h"
#include "resources.h"

#include <fcntl.h>
#include <signal.h>

/* --- A disk on which a chosen operation stops until it is told to go on --- */

enum { NO_OPERATION, WAL_SYNC, FILE_WRITE, FILE_READ };

static struct {
    atomic_int operation; /* the one that stops */
    atomic_int after;     /* how many of them pass before */
    atomic_bool held;     /* one has stopped */
    atomic_int reads;     /* of the database file */
} disk;

static sqlite3_vfs slow_vfs;
static sqlite3_vfs *real_vfs;
static const sqlite3_io_methods *real_of_wal;
static const sqlite3_io_methods *real_of_file;
static sqlite3_io_methods wal_methods;
static sqlite3_io_methods file_methods;
static pthread_mutex_t learning = PTHREAD_MUTEX_INITIALIZER;

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
}

static void pass_or_stop(int operation)
{
    if (atomic_load(&disk.operation) != operation || atomic_fetch_sub(&disk.after, 1) > 0)
        return;
    atomic_store(&disk.held, true);
    while (atomic_load(&disk.operation) == operation)
        pause_a_moment();
}

static int slow_sync(sqlite3_file *file, int flags)
{
    pass_or_stop(WAL_SYNC);
    return real_of_wal->xSync(file, flags);
}

static int slow_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at)
{
    pass_or_stop(FILE_WRITE);
    return real_of_file->xWrite(file, data, size, at);
}

static int slow_read(sqlite3_file *file, void *data, int size, sqlite3_int64 at)
{
    pass_or_stop(FILE_READ);
    atomic_fetch_add(&disk.reads, 1);
    return real_of_file->xRead(file, data, size, at);
}

/* What the system's files can do is learned from the first of each kind. */
static void slow_down(sqlite3_file *file, bool wal)
{
    pthread_mutex_lock(&learning);
    const sqlite3_io_methods **real = wal ? &real_of_wal : &real_of_file;
    sqlite3_io_methods *methods = wal ? &wal_methods : &file_methods;
    if (*real == NULL) {
        *real = file->pMethods;
        *methods = *file->pMethods;
        methods->xSync = wal ? slow_sync : methods->xSync;
        methods->xWrite = wal ? methods->xWrite : slow_write;
        methods->xRead = wal ? methods->xRead : slow_read;
    }
    file->pMethods = methods;
    pthread_mutex_unlock(&learning);
}

static int open_slowly(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                       int *flags_out)
{
    (void)vfs;
    int code = real_vfs->xOpen(real_vfs, name, file, flags, flags_out);
    if (code == SQLITE_OK && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB)) != 0)
        slow_down(file, (flags & SQLITE_OPEN_WAL) != 0);
    return code;
}

static resources before;

static void set_up_disk(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    slow_vfs = *real_vfs;
    slow_vfs.zName = "slow";
    slow_vfs.xOpen = open_slowly;
    atomic_store(&disk.operation, NO_OPERATION);
    ck_assert_int_eq(sqlite3_vfs_register(&slow_vfs, 1), SQLITE_OK);
    open_in_file();
    close_store();
    before = count_resources();
}

static void take_down_disk(void)
{
    atomic_store(&disk.operation, NO_OPERATION);
    close_and_remove();
    sqlite3_vfs_unregister(&slow_vfs);
}

static void stop_at(int operation, int after)
{
    atomic_store(&disk.held, false);
    atomic_store(&disk.after, after);
    atomic_store(&disk.operation, operation);
}

/* --- Threads that call once, and one that closes --- */

enum { CREW = 6 };

static caller crew[CREW];
static pthread_t closer;
static atomic_bool close_returned;
static stele_cursor *keeper; /* of the memory of the store, for those who look whether it closes */

static void *call_once(void *context)
{
    caller *self = context;
    self->status = self->call(self);
    snprintf(self->reason, sizeof(self->reason), "%s", stele_error_text());
    return NULL;
}

static void start_call(int index, stele_status (*call)(caller *self))
{
    crew[index] = (caller){ .call = call };
    snprintf(crew[index].stream, sizeof(crew[index].stream), "own-%d", index);
    ck_assert_int_eq(pthread_create(&crew[index].thread, NULL, call_once, &crew[index]), 0);
}

static void *run_close(void *context)
{
    stele_store_close(context);
    atomic_store(&close_returned, true);
    return NULL;
}

static void wait_until_held(void)
{
    while (!atomic_load(&disk.held))
        pause_a_moment();
}

/* Closing has begun and is seen by other calls; it can't be over while the disk holds a call. */
static void begin_close(void)
{
    stele_ticket *ticket = NULL;
    atomic_store(&close_returned, false);
    ck_assert_int_eq(pthread_create(&closer, NULL, run_close, store), 0);
    while (stele_store_completed(store, &ticket) != STELE_CLOSED)
        pause_a_moment();
    ck_assert(!atomic_load(&close_returned));
}

static void end_close(int count)
{
    atomic_store(&disk.operation, NO_OPERATION);
    pthread_join(closer, NULL);
    for (int i = 0; i < count; i++)
        pthread_join(crew[i].thread, NULL);
    stele_cursor_close(keeper);
    keeper = NULL;
    store = NULL;
}

static void open_with_keeper(void)
{
    open_in_file();
    fill_before();
    keeper = open_read(NULL);
}

static void expect_head(int64_t head)
{
    open_in_file();
    ck_assert_int_eq(head_of(store), head);
    close_store();
}

START_TEST(commit_in_its_sync_is_finished_and_acknowledged)
{
    stele_ticket *tickets[3];
    const stele_verdict *verdict = NULL;
    open_with_keeper();
    stop_at(WAL_SYNC, 0);
    start_call(0, call_append);
    wait_until_held();
    for (int i = 1; i < CREW; i++)
        start_call(i, i % 2 == 0 ? call_append : call_ticket_wait);
    caller self = { .stream = "submitted-1" };
    for (size_t i = 0; i < COUNT_OF(tickets); i++)
        assert_status(submit_one(&self, NULL, &tickets[i]), STELE_OK);
    pause_a_moment(); /* some of them are in the queue now, or come to a closed door */

    begin_close();
    end_close(CREW);

    int64_t head = EVENTS_BEFORE + (int64_t)COUNT_OF(tickets);
    ck_assert_int_eq(crew[0].status, STELE_OK);
    for (int i = 0; i < CREW; i++) {
        ck_assert_msg(crew[i].status == STELE_OK || crew[i].status == STELE_CLOSED, "%d: %s: %s", i,
                      stele_status_name(crew[i].status), crew[i].reason);
        head += crew[i].stored;
    }
    for (size_t i = 0; i < COUNT_OF(tickets); i++) {
        assert_status(stele_ticket_wait(tickets[i], NULL, &verdict), STELE_OK);
        assert_status(verdict->status, STELE_OK);
        stele_ticket_close(tickets[i]);
    }
    expect_resources(before, "closed during a sync");
    expect_head(head);
}
END_TEST

static stele_status transfer_once_more(caller *self)
{
    (void)self;
    return stele_store_transfer(store, NULL, NULL);
}

START_TEST(transfer_is_finished)
{
    open_with_keeper();
    stop_at(FILE_WRITE, 1);
    start_call(0, transfer_once_more);
    wait_until_held();

    begin_close();
    end_close(1);

    ck_assert_msg(crew[0].status == STELE_OK, "%s", crew[0].reason);
    expect_resources(before, "closed during a transfer");
    expect_head(EVENTS_BEFORE);
}
END_TEST

/* The thread for it may be in the middle of a transfer when closing comes to what was submitted. */
START_TEST(transfer_of_the_maintenance_thread_and_submissions_do_not_meet)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.maintenance = true;
    options.wal_soft_pages = 1;
    store = open_path(store_path(), &options);
    keeper = open_read(NULL);
    stop_at(FILE_WRITE, 1);
    fill_before();
    wait_until_held();
    caller self = { .stream = "submitted-1" };
    for (int i = 0; i < 20; i++)
        assert_status(call_submit_and_forget(&self), STELE_OK);

    begin_close();
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    end_close(0);

    expect_resources(before, "closed during maintenance");
    expect_head(EVENTS_BEFORE + 20);
}
END_TEST

/* --- Long scans --- */

static void fill_long_log(void)
{
    stele_event events[500];
    for (size_t i = 0; i < COUNT_OF(events); i++)
        events[i] = make_event("counted", "{\"text\":\"some words to make a page hold fewer\"}");
    for (int i = 0; i < 40; i++) {
        char stream[32];
        snprintf(stream, sizeof(stream), "account-%d", i);
        stele_append append = make_append(stream, STELE_ANY, events, COUNT_OF(events));
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
}

static stele_status scan_for_nobody(caller *self)
{
    (void)self;
    stele_read read = STELE_READ_INIT;
    read.prefix = "nobody";
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_status status = stele_store_read(store, &read, &cursor);
    if (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    stele_cursor_close(cursor);
    return status;
}

static stele_status list_with_statistics(caller *self)
{
    (void)self;
    stele_streams_read read = STELE_STREAMS_READ_INIT;
    read.statistics = true;
    stele_streams *streams = NULL;
    stele_status status = stele_store_streams(store, &read, &streams);
    stele_streams_close(streams);
    return status;
}

static const struct {
    const char *name;
    stele_status (*scan)(caller *self);
} scans[] = {
    { "read", scan_for_nobody }, { "streams", list_with_statistics }, { "types", call_types },
    { "digest", call_digest },   { "verify", call_verify },
};

/* How far a scan got is told by what it read of the file, with nothing in any cache. */
START_TEST(long_scan_ends_soon)
{
    open_in_file();
    fill_long_log();
    reopen_file();
    atomic_store(&disk.reads, 0);
    stele_status status = scans[_i].scan(&crew[0]);
    ck_assert_msg(status >= 0, "%s", stele_error_text());
    int all = atomic_load(&disk.reads);
    ck_assert_int_gt(all, 200);
    close_store();
    before = count_resources();
    open_in_file();
    stele_read nothing = STELE_READ_INIT;
    nothing.limit = 1;
    keeper = open_read(&nothing);

    stop_at(FILE_READ, 20);
    start_call(0, scans[_i].scan);
    wait_until_held();
    begin_close();
    atomic_store(&disk.reads, 0);
    end_close(1);

    ck_assert_msg(crew[0].status == STELE_CLOSED, "%s: %s", scans[_i].name,
                  stele_status_name(crew[0].status));
    ck_assert_msg(atomic_load(&disk.reads) < all / 2, "%s: %d reads after closing, %d in all",
                  scans[_i].name, atomic_load(&disk.reads), all);
    expect_resources(before, scans[_i].name);
}
END_TEST

/* --- Other processes --- */

typedef struct other_process {
    pid_t id;
    int tell; /* a byte or the end: go on */
    int hear;
} other_process;

/* `work` begins at once; nobody has a store open here. */
static other_process start_process(int (*work)(int tell, int hear, const char *path))
{
    int down[2], up[2];
    char path[4096];
    snprintf(path, sizeof(path), "%s", store_path());
    ck_assert_int_eq(pipe(down), 0);
    ck_assert_int_eq(pipe(up), 0);
    fflush(NULL);
    pid_t id = fork();
    ck_assert_int_ge(id, 0);
    if (id == 0) {
        close(down[1]);
        close(up[0]);
        _exit(work(up[1], down[0], path));
    }
    close(down[0]);
    close(up[1]);
    return (other_process){ id, down[1], up[0] };
}

static void hear_from(const other_process *other)
{
    char byte = 0;
    ck_assert_int_eq(read(other->hear, &byte, 1), 1);
}

static void end_process(other_process *other)
{
    int status = 0;
    close(other->tell);
    close(other->hear);
    ck_assert_int_eq(waitpid(other->id, &status, 0), other->id);
}

static int hold_write_lock(int tell, int hear, const char *path)
{
    sqlite3 *raw = NULL;
    char byte = 'l';
    if (sqlite3_open_v2(path, &raw, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK
        || sqlite3_busy_timeout(raw, 60000) != SQLITE_OK
        || sqlite3_exec(raw, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK
        || write(tell, &byte, 1) != 1)
        return 1;
    (void)!read(hear, &byte, 1);
    return 0;
}

static int append_with_stele(int tell, int hear, const char *path)
{
    stele_store *theirs = NULL;
    stele_options options = STELE_OPTIONS_INIT;
    char byte = 'o';
    options.busy_timeout_ms = 600000;
    if (stele_store_open(path, &options, &theirs) != STELE_OK || write(tell, &byte, 1) != 1
        || read(hear, &byte, 1) != 1)
        return 1;
    (void)append_to(theirs, "theirs-1", STELE_ANY, "noted", NULL);
    return 0;
}

static atomic_int times_asked;

static int count_question(void *context)
{
    (void)context;
    atomic_fetch_add(&times_asked, 1);
    return 0;
}

static const stele_wait asking_wait = { sizeof(stele_wait), 60000, count_question, NULL };

static stele_status append_and_ask(caller *self)
{
    stele_event event = some_event();
    stele_append append = make_append(self->stream, STELE_ANY, &event, 1);
    append.wait = &asking_wait;
    return stele_store_append(store, &append, NULL);
}

static stele_status begin_and_ask(caller *self)
{
    (void)self;
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin_wait(store, &asking_wait, &transaction);
    stele_transaction_end(transaction);
    return status;
}

static stele_status transfer_and_ask(caller *self)
{
    (void)self;
    return stele_store_transfer(store, &asking_wait, NULL);
}

static stele_status (*const asking_calls[])(caller *self) = { append_and_ask, begin_and_ask,
                                                              transfer_and_ask };

/* Without a keeper: the call is inside, so closing waits for it. */
static void expect_closed_while_waiting(stele_status (*call)(caller *self))
{
    atomic_store(&times_asked, 0);
    start_call(0, call);
    while (atomic_load(&times_asked) < 2)
        pause_a_moment();

    stele_store_close(store);

    pthread_join(crew[0].thread, NULL);
    store = NULL;
    ck_assert_msg(crew[0].status == STELE_CLOSED, "%s: %s", stele_status_name(crew[0].status),
                  crew[0].reason);
}

START_TEST(wait_for_the_lock_of_another_process_ends_while_that_holds_on)
{
    other_process holder = start_process(hold_write_lock);
    hear_from(&holder);
    before = count_resources();
    open_in_file();

    expect_closed_while_waiting(asking_calls[_i]);

    expect_resources(before, "closed while another process holds the lock");
    end_process(&holder);
    expect_head(0);
}
END_TEST

/* Whether somebody has a ticket of the line. */
static bool somebody_is_in_line(void)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 4096 };
    int descriptor = open(test_path("store.db-lock"), O_RDWR);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(fcntl(descriptor, F_OFD_GETLK, &lock), 0);
    close(descriptor);
    return lock.l_type != F_UNLCK;
}

START_TEST(wait_in_line_behind_a_stopped_process_ends)
{
    other_process stopped = start_process(append_with_stele);
    other_process holder = start_process(hold_write_lock);
    hear_from(&stopped);
    hear_from(&holder);
    ck_assert_int_eq(write(stopped.tell, "g", 1), 1);
    while (!somebody_is_in_line())
        pause_a_moment();
    ck_assert_int_eq(kill(stopped.id, SIGSTOP), 0);
    before = count_resources();
    open_in_file();

    expect_closed_while_waiting(asking_calls[_i]);

    expect_resources(before, "closed behind a stopped process");
    ck_assert_int_eq(kill(stopped.id, SIGKILL), 0);
    end_process(&stopped);
    end_process(&holder);
    expect_head(0);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("closing_moments");
    TCase *tests = tcase_create("closing");
    tcase_add_checked_fixture(tests, set_up_disk, take_down_disk);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, commit_in_its_sync_is_finished_and_acknowledged);
    tcase_add_test(tests, transfer_is_finished);
    tcase_add_test(tests, transfer_of_the_maintenance_thread_and_submissions_do_not_meet);
    tcase_add_loop_test(tests, long_scan_ends_soon, 0, (int)COUNT_OF(scans));
    tcase_add_loop_test(tests, wait_for_the_lock_of_another_process_ends_while_that_holds_on, 0,
                        (int)COUNT_OF(asking_calls));
    tcase_add_loop_test(tests, wait_in_line_behind_a_stopped_process_ends, 0,
                        (int)COUNT_OF(asking_calls));
    return run_suite(suite);
}
