/*
 * Backups while threads and another process append as fast as they can: each is whole, ends where
 * the log was while it was made, and is exactly the beginning of the log.
 *
 * The control copies the bytes of the file, as cp does: that must be seen to fail.
 */
#include "backup_support.h"
#include "effort.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { THREADS = 3, COPIES_MAX = 200 };

static size_t choose_count(void)
{
    return (size_t)effort_of(20, 100);
}

/* Small, so that transfers go on while it is copied. */
static stele_options small_wal(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.wal_soft_pages = 60;
    options.busy_timeout_ms = 60000;
    return options;
}

/* --- Those who append --- */

static stele_status append_next(stele_store *target, const char *stream, uint64_t number)
{
    char data[400];
    int size = snprintf(data, sizeof(data), "{\"n\":%" PRIu64 ",\"fill\":\"%0*d\"}", number,
                        (int)(number * 7919 % 300) + 1, 0);
    stele_event event = make_event("counted", data);
    event.data_size = (size_t)size;
    stele_append append = make_append(stream, STELE_ANY, &event, 1);
    return stele_store_append(target, &append, NULL);
}

typedef struct appender {
    pthread_t thread;
    char stream[16];
    stele_status status;
    uint64_t stored;
} appender;

static appender appenders[THREADS];
static atomic_bool appending;

static void *append_on(void *context)
{
    appender *self = context;
    while (atomic_load(&appending) && self->status == STELE_OK) {
        self->status = append_next(store, self->stream, self->stored);
        self->stored += self->status == STELE_OK;
    }
    return NULL;
}

static void start_appenders(void)
{
    atomic_store(&appending, true);
    for (int i = 0; i < THREADS; i++) {
        appenders[i] = (appender){ .status = STELE_OK };
        snprintf(appenders[i].stream, sizeof(appenders[i].stream), "thread-%d", i);
        ck_assert_int_eq(pthread_create(&appenders[i].thread, NULL, append_on, &appenders[i]), 0);
    }
}

static uint64_t stop_appenders(void)
{
    uint64_t stored = 0;
    atomic_store(&appending, false);
    for (int i = 0; i < THREADS; i++)
        pthread_join(appenders[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(appenders[i].status, STELE_OK);
        stored += appenders[i].stored;
    }
    return stored;
}

/* --- The other process, which is forked before this one opens the store --- */

typedef struct helper {
    pid_t process;
    int orders; /* a byte each; closing it ends the process */
    int answers;
} helper;

static helper start_helper(void (*serve)(int orders, int answers))
{
    int orders[2];
    int answers[2];
    ck_assert_int_eq(pipe(orders), 0);
    ck_assert_int_eq(pipe(answers), 0);
    test_folder(); /* one for both */
    fflush(NULL);
    helper made = { .process = fork(), .orders = orders[1], .answers = answers[0] };
    ck_assert_int_ge(made.process, 0);
    if (made.process == 0) {
        close(orders[1]);
        close(answers[0]);
        serve(orders[0], answers[1]);
        _exit(0);
    }
    close(orders[0]);
    close(answers[1]);
    return made;
}

static void stop_helper(const helper *ended)
{
    int status = 0;
    close(ended->orders);
    ck_assert_int_eq(waitpid(ended->process, &status, 0), ended->process);
    close(ended->answers);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the other process failed: %d",
                  status);
}

static void order(const helper *other)
{
    char byte = 1;
    ck_assert_int_eq(write(other->orders, &byte, 1), 1);
}

static void await_answer(const helper *other)
{
    char byte = 0;
    ck_assert_int_eq(read(other->answers, &byte, 1), 1);
    ck_assert_int_eq(byte, 1);
}

/* Once told to, it appends until the orders end. */
static void serve_appends(int orders, int answers)
{
    char byte = 0;
    stele_options options = small_wal();
    stele_store *opened = NULL;
    (void)answers;
    if (read(orders, &byte, 1) != 1)
        return;
    if (stele_store_open(store_path(), &options, &opened) != STELE_OK)
        _exit(1);
    if (fcntl(orders, F_SETFL, O_NONBLOCK) != 0)
        _exit(2);
    uint64_t number = 0;
    do { /* one at least, however late it comes to it */
        if (append_next(opened, "process-1", number++) != STELE_OK)
            _exit(3);
    } while (read(orders, &byte, 1) != 0);
    stele_store_close(opened);
}

/* --- What is compared --- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_record(uint64_t hash, const stele_record *record)
{
    hash = hash_bytes(hash, &record->position, sizeof(record->position));
    hash = hash_bytes(hash, &record->version, sizeof(record->version));
    hash = hash_bytes(hash, record->stream, strlen(record->stream) + 1);
    hash = hash_bytes(hash, record->type, strlen(record->type) + 1);
    return hash_bytes(hash, record->data, record->data_size);
}

/* One backup: where it ended, and a hash of its log. */
typedef struct copy_facts {
    int64_t head;
    uint64_t hash;
} copy_facts;

static uint64_t hash_log(stele_store *target)
{
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    uint64_t hash = 0;
    assert_status(stele_store_read(target, &read, &cursor), STELE_OK);
    stele_status status;
    while ((status = stele_cursor_next(cursor, &record)) == STELE_OK)
        hash = hash_record(hash, record);
    stele_cursor_close(cursor);
    assert_status(status, STELE_DONE);
    return hash;
}

/* Each backup was the beginning of the log that there is now. */
static void compare_with_log(const copy_facts *copies, size_t count)
{
    stele_read read = STELE_READ_INIT;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = NULL;
    uint64_t hash = 0;
    size_t at = 0;
    while (at < count && copies[at].head == 0)
        at++;
    while (at < count && stele_cursor_next(cursor, &record) == STELE_OK) {
        hash = hash_record(hash, record);
        for (; at < count && copies[at].head == record->position; at++)
            ck_assert_msg(copies[at].hash == hash, "backup %zu is not the log up to %" PRId64, at,
                          copies[at].head);
    }
    ck_assert_uint_eq(at, count);
    stele_cursor_close(cursor);
}

static copy_facts back_up_once(uint64_t *restarts)
{
    int64_t before = head_of(store);
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 1 + (uint32_t)(next_chance() % 40);
    stele_backup backup = STELE_BACKUP_INIT;
    stele_backed_up made;
    stele_wait wait = STELE_WAIT_INIT;
    wait.timeout_ms = 60000;
    work.wait = &wait;
    backup.path = backup_path();
    backup.work = &work;

    assert_status(stele_store_backup(store, &backup, &made), STELE_OK);

    int64_t after = head_of(store);
    ck_assert_int_ge(made.head, before);
    ck_assert_int_le(made.head, after);
    ck_assert_int_eq(expect_whole_file(backup_path()), made.head);
    stele_options options = looking_only();
    stele_store *copy = open_path(backup_path(), &options);
    copy_facts facts = { made.head, hash_log(copy) };
    stele_store_close(copy);
    ck_assert_int_eq(unlink(backup_path()), 0);
    *restarts += made.restarts;
    return facts;
}

START_TEST(backups_under_load_are_whole_and_exact)
{
    copy_facts copies[COPIES_MAX];
    size_t count = choose_count();
    uint64_t restarts = 0;
    uint64_t seed = choose_seed();
    helper other = start_helper(serve_appends);
    stele_options options = small_wal();
    store = open_path(store_path(), &options);
    fill_stream("before-1", 50);

    start_appenders();
    for (size_t i = 0; i < count; i++) {
        if (i == count / 2)
            order(&other); /* from now on the other process appends, too */
        copies[i] = back_up_once(&restarts);
    }
    uint64_t stored = stop_appenders();
    stop_helper(&other);

    compare_with_log(copies, count);
    int64_t head = head_of(store);
    ck_assert_int_gt(head, 50 + (int64_t)stored);
    printf("# seed %" PRIu64 ": %zu backups, each verified, while %" PRId64
           " events were appended (%" PRIu64 " by threads); %" PRIu64 " restarts\n",
           seed, count, head - 50, stored, restarts);
}
END_TEST

/* --- The control --- */

/* Copies the bytes of the file, and nothing else, each time it is told to. */
static void serve_naive_copies(int orders, int answers)
{
    char byte = 0;
    char from[4200];
    char to[4200];
    snprintf(from, sizeof(from), "%s", store_path());
    snprintf(to, sizeof(to), "%s", test_path("naive.stele"));
    while (read(orders, &byte, 1) == 1) {
        char bytes[8192];
        ssize_t size = 0;
        int in = open(from, O_RDONLY);
        int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        while ((size = read(in, bytes, sizeof(bytes))) > 0)
            if (write(out, bytes, (size_t)size) != size)
                _exit(1);
        close(in);
        close(out);
        if (write(answers, &byte, 1) != 1)
            _exit(2);
    }
}

/* Whether the copy is what a backup must be: whole, and not without what was acknowledged. */
static bool is_good(const char *path, int64_t before)
{
    stele_options options = looking_only();
    stele_store *opened = NULL;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    int64_t head = -1;
    bool good = stele_store_open(path, &options, &opened) == STELE_OK
                && stele_store_head(opened, &head) == STELE_OK && head >= before
                && stele_verify_open(opened, NULL, &verify) == STELE_OK;
    while (good && stele_verify_next(verify, &check) == STELE_OK)
        good = check->failures == 0;
    stele_verify_close(verify);
    stele_store_close(opened);
    return good;
}

/* A copy is good when all that was appended had just been moved from the WAL. On a busy machine
 * that may be so for many of them: then there are more copies. */
START_TEST(copying_the_bytes_of_the_file_is_found_out)
{
    size_t wanted = choose_count() / 2;
    size_t count = 0;
    size_t bad = 0;
    uint64_t seed = choose_seed();
    helper other = start_helper(serve_naive_copies);
    stele_options options = small_wal();
    store = open_path(store_path(), &options);
    fill_stream("before-1", 50);

    start_appenders();
    while (bad < wanted && count < COPIES_MAX) {
        int64_t before = head_of(store);
        order(&other);
        await_answer(&other);
        bad += !is_good(test_path("naive.stele"), before);
        count++;
    }
    stop_appenders();
    stop_helper(&other);

    printf("# seed %" PRIu64 ": of %zu copies of the file's bytes %zu were no backups\n", seed,
           count, bad);
    ck_assert_uint_eq(bad, wanted);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup_load");
    TCase *tests = add_case(suite, "backups", NULL);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, backups_under_load_are_whole_and_exact);
    tests = add_case(suite, "control", NULL);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, copying_the_bytes_of_the_file_is_found_out);
    return run_suite(suite);
}
