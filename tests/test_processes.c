/* Several processes on one file, a child that inherits a store, and the WAL's size. */
#include "contract.h"

#include <stele/jsonl.h>
#include <stele/verify.h>

#include <signal.h>
#include <time.h>

/* --- Rivals --- */

enum { PROCESSES_MAX = 32 };

static pid_t children[PROCESSES_MAX];

/* Fork `count` children that begin together when all are there; none may have a store open. */
static void fork_children(int count, int (*work)(int index, const char *path))
{
    int start[2];
    char path[4096];
    snprintf(path, sizeof(path), "%s", store_path());
    ck_assert_int_eq(pipe(start), 0);
    fflush(NULL);
    for (int i = 0; i < count; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0) {
            char byte;
            close(start[1]);
            (void)!read(start[0], &byte, 1); /* returns when the parent closes its end */
            _exit(work(i, path));
        }
    }
    close(start[0]);
    close(start[1]);
}

static int wait_for_child(int index)
{
    int status = 0;
    ck_assert_int_eq(waitpid(children[index], &status, 0), children[index]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static stele_store *open_patiently(const char *path)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 60000;
    stele_store *opened = NULL;
    return stele_store_open(path, &options, &opened) == STELE_OK ? opened : NULL;
}

static int create_stream(int index, const char *path)
{
    (void)index;
    stele_store *own = open_patiently(path);
    if (own == NULL)
        return 100;
    stele_status status = append_to(own, "prize-1", STELE_NO_STREAM, "won", NULL);
    stele_store_close(own);
    return -(int)status;
}

/* The file itself is created by all of them at once, too. */
START_TEST(rival_processes_on_a_new_file_have_one_winner)
{
    int won = 0, lost = 0;
    fork_children(PROCESSES_MAX, create_stream);
    for (int i = 0; i < PROCESSES_MAX; i++) {
        int result = wait_for_child(i);
        won += result == 0;
        lost += result == -(int)STELE_CONFLICT;
    }

    ck_assert_int_eq(won, 1);
    ck_assert_int_eq(lost, PROCESSES_MAX - 1);
    open_in_file();
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

enum { WRITERS = 4, APPENDS = 100 };

static int append_many_times(int index, const char *path)
{
    stele_store *own = open_patiently(path);
    if (own == NULL)
        return 100;
    for (int i = 0; i < APPENDS; i++) {
        char data[32];
        snprintf(data, sizeof(data), "[%d,%d]", index, i);
        stele_event event = make_event("counted", data);
        stele_append append = make_append("shared-1", STELE_ANY, &event, 1);
        if (stele_store_append(own, &append, NULL) != STELE_OK)
            return 101;
    }
    stele_store_close(own);
    return 0;
}

START_TEST(processes_write_one_dense_order)
{
    fork_children(WRITERS, append_many_times);
    for (int i = 0; i < WRITERS; i++)
        ck_assert_int_eq(wait_for_child(i), 0);

    open_in_file();
    int next_of[WRITERS] = { 0 };
    stele_cursor *cursor = open_read(NULL);
    for (int64_t position = 1; position <= WRITERS * APPENDS; position++) {
        const stele_record *record = next_record(cursor);
        int writer = -1, number = -1;
        ck_assert_int_eq(sscanf(record->data, "[%d,%d]", &writer, &number), 2);
        ck_assert_int_eq(record->position, position);
        ck_assert_int_eq(record->version, position);
        ck_assert_int_eq(number, next_of[writer]++);
    }
    expect_done(cursor);
    stele_cursor_close(cursor);
}
END_TEST

static int to_child[2], to_parent[2];

/* At each byte, the next version of the shared stream, and a stream and type of one's own. */
static int answer_turns(int index, const char *path)
{
    (void)index;
    stele_store *own = open_patiently(path);
    char byte = 0;
    close(to_child[1]);
    for (int64_t version = 1; read(to_child[0], &byte, 1) == 1; version += 2) {
        char name[32];
        snprintf(name, sizeof(name), "theirs-%" PRId64, version);
        byte = append_to(own, "shared-1", version, name, NULL) == STELE_OK
               && append_to(own, name, STELE_NO_STREAM, name, NULL) == STELE_OK;
        if (write(to_parent[1], &byte, 1) != 1)
            return 102;
    }
    stele_store_close(own);
    return 0;
}

/* What one process remembers of the file must not outlive what another one changes. */
START_TEST(processes_taking_turns_see_each_other)
{
    ck_assert_int_eq(pipe(to_child), 0);
    ck_assert_int_eq(pipe(to_parent), 0);
    fork_children(1, answer_turns);
    close(to_child[0]);
    open_in_file();

    for (int64_t version = 0; version < 20; version += 2) {
        char byte = 0, name[32];
        snprintf(name, sizeof(name), "mine-%" PRId64, version);
        assert_status(append_one("shared-1", version, name, NULL), STELE_OK);
        assert_status(append_one(name, STELE_NO_STREAM, name, NULL), STELE_OK);
        ck_assert_int_eq(write(to_child[1], &byte, 1), 1);
        ck_assert_int_eq(read(to_parent[0], &byte, 1), 1);
        ck_assert_int_eq(byte, 1);

        snprintf(name, sizeof(name), "theirs-%" PRId64, version + 1);
        ck_assert_int_eq(version_of("shared-1"), version + 2);
        stele_cursor *cursor = NULL;
        ck_assert_str_eq(read_only_record(name, &cursor)->type, name);
        stele_cursor_close(cursor);
    }
    close(to_child[1]);
    ck_assert_int_eq(wait_for_child(0), 0);
    ck_assert_int_eq(head_of(store), 40);
}
END_TEST

/* --- Killed while writing --- */

static int acknowledge_into;

/* Each acknowledgement follows its append, through a pipe that outlives the writer. */
static int append_for_ever(int index, const char *path)
{
    (void)index;
    stele_store *own = open_patiently(path);
    stele_event events[3] = { make_event("a", "1"), make_event("b", "2"), make_event("c", "3") };
    stele_append append = make_append("own-1", STELE_ANY, events, 3);
    for (int64_t acknowledged = 1;; acknowledged++) {
        if (stele_store_append(own, &append, NULL) != STELE_OK)
            return 101;
        if (write(acknowledge_into, &acknowledged, sizeof(acknowledged)) < 0)
            return 102;
    }
}

START_TEST(killed_writer_loses_no_acknowledged_batch_and_leaves_none_in_part)
{
    int64_t acknowledged = 0;
    for (int round = 1; round <= 8; round++) {
        int pipe_ends[2];
        ck_assert_int_eq(pipe(pipe_ends), 0);
        acknowledge_into = pipe_ends[1];
        fork_children(1, append_for_ever);
        close(pipe_ends[1]);
        int64_t number = 0;
        for (int i = 0; i < 7 * round; i++)
            ck_assert_int_eq(read(pipe_ends[0], &number, sizeof(number)), (ssize_t)sizeof(number));
        kill(children[0], SIGKILL);
        ck_assert_int_eq(wait_for_child(0), 128 + SIGKILL);
        while (read(pipe_ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number))
            continue;
        close(pipe_ends[0]);
        acknowledged += number;

        open_in_file();
        int64_t head = head_of(store);
        ck_assert_int_eq(head % 3, 0);
        ck_assert_int_ge(head, 3 * acknowledged);
        ck_assert_int_le(head, 3 * (acknowledged + 1));
        acknowledged = head / 3;
        ck_assert_int_eq(version_of("own-1"), head);
        close_store();
    }
}
END_TEST

/* --- After fork() --- */

static stele_transaction *inherited_transaction;
static stele_cursor *inherited_cursor;

static stele_status read_nothing(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    (void)context, (void)buffer, (void)capacity;
    *size_out = 0;
    return STELE_OK;
}

/* The number of the first call that did not answer MISUSE; 0 for none. */
static int call_everything(void *context)
{
    (void)context;
    stele_append empty = make_append("a-1", STELE_ANY, NULL, 0);
    stele_import import = STELE_IMPORT_INIT;
    import.read = read_nothing;
    stele_store_info info = STELE_STORE_INFO_INIT;
    stele_stream_info stream = { 0 };
    stele_checkpoint checkpoint = { 0 };
    stele_transaction *transaction = NULL;
    stele_cursor *cursor = NULL;
    stele_streams *streams = NULL;
    stele_types *types = NULL;
    stele_verify *verify = NULL;
    const stele_record *record = NULL;
    int64_t head = 0;
    char digest[17];
    const stele_status statuses[] = {
        append_one("a-1", STELE_ANY, "opened", NULL),
        stele_store_append(store, &empty, NULL),
        stele_store_append_many(store, &empty, 1, NULL, NULL),
        stele_store_read(store, NULL, &cursor),
        stele_store_head(store, &head),
        stele_store_stream(store, "a-1", &stream),
        stele_store_streams(store, NULL, &streams),
        stele_store_types(store, &types),
        stele_store_describe(store, &info),
        stele_store_transfer(store, NULL, NULL),
        stele_store_import(store, &import, NULL),
        stele_store_digest(store, digest),
        stele_verify_open(store, NULL, &verify),
        stele_checkpoint_load(store, "reader", &checkpoint),
        stele_checkpoint_save(store, "reader", 0),
        stele_transaction_begin(store, &transaction),
        stele_transaction_append(inherited_transaction, &empty, NULL),
        stele_transaction_head(inherited_transaction, &head),
        stele_transaction_commit(inherited_transaction),
        stele_cursor_next(inherited_cursor, &record),
    };
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i] != STELE_MISUSE)
            return (int)i + 1;
    if (stele_transaction_sqlite(inherited_transaction) != NULL)
        return 99;
    stele_cursor_close(inherited_cursor);
    stele_transaction_end(inherited_transaction);
    stele_store_close(store);
    return 0;
}

START_TEST(child_may_not_use_an_inherited_store_and_does_it_no_harm)
{
    open_in_file();
    fill_stream("a-1", 3);
    stele_read read = STELE_READ_INIT;
    read.page_count_max = 1;
    inherited_cursor = open_read(&read);
    (void)next_record(inherited_cursor);
    inherited_transaction = begin();
    assert_status(append_in(inherited_transaction, "a-1", 3, NULL), STELE_OK);

    ck_assert_int_eq(run_in_child(call_everything, NULL), 0);

    assert_status(append_in(inherited_transaction, "a-1", 4, NULL), STELE_OK);
    commit_and_end(inherited_transaction);
    ck_assert_str_eq(drain_numbers(inherited_cursor, false), "2 3");
    reopen_file();
    ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5");
}
END_TEST

static int open_anew(void *path)
{
    stele_store_close(store);
    stele_store *own = open_patiently(path);
    if (own == NULL || append_to(own, "a-1", STELE_ANY, "by the child", NULL) != STELE_OK)
        return 1;
    stele_store_close(own);
    return 0;
}

START_TEST(child_of_a_memory_store_may_open_a_store_of_its_own)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", store_path());
    open_in_memory();
    fill_stream("m-1", 1);

    ck_assert_int_eq(run_in_child(open_anew, path), 0);

    fill_stream("m-1", 1);
    close_store();
    open_in_file();
    ck_assert_int_eq(version_of("a-1"), 1);
}
END_TEST

/* --- The WAL --- */

static int64_t wal_bytes(void)
{
    stele_store_info info = STELE_STORE_INFO_INIT;
    assert_status(stele_store_describe(store, &info), STELE_OK);
    return info.wal_bytes;
}

START_TEST(wal_stays_bounded_under_writes)
{
    enum { SOFT_PAGES = 100, PAGE = 4096 + 24 };
    stele_options options = STELE_OPTIONS_INIT;
    options.wal_soft_pages = SOFT_PAGES;
    store = open_path(store_path(), &options);
    int64_t most = 0;

    for (int i = 0; i < 600; i++) {
        fill_stream("a-1", 1);
        int64_t now = i % 10 == 0 ? wal_bytes() : 0;
        most = now > most ? now : most;
    }

    ck_assert_int_gt(most, SOFT_PAGES * PAGE / 2);
    ck_assert_int_lt(most, 2 * SOFT_PAGES * PAGE);
}
END_TEST

/* A cursor that is open between pages holds nothing back. */
START_TEST(transfer_moves_all_of_the_wal_beside_an_open_cursor)
{
    open_in_file();
    fill_stream("a-1", 50);
    stele_read read = STELE_READ_INIT;
    read.page_count_max = 5;
    stele_cursor *cursor = open_read(&read);
    (void)next_record(cursor);
    int64_t before = wal_bytes();
    uint32_t left = 99;

    assert_status(stele_store_transfer(store, NULL, &left), STELE_OK);

    ck_assert_uint_eq(left, 0);
    fill_stream("a-1", 10); /* from the beginning of the WAL again */
    ck_assert_int_eq(wal_bytes(), before);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(transfer_of_a_memory_store_has_nothing_to_do)
{
    open_in_memory();
    fill_stream("a-1", 1);
    uint32_t left = 99;

    assert_status(stele_store_transfer(store, NULL, &left), STELE_OK);

    ck_assert_uint_eq(left, 0);
    assert_status(stele_store_transfer(NULL, NULL, &left), STELE_MISUSE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("processes");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_test(tests, rival_processes_on_a_new_file_have_one_winner);
    tcase_add_test(tests, processes_write_one_dense_order);
    tcase_add_test(tests, processes_taking_turns_see_each_other);
    tcase_add_test(tests, killed_writer_loses_no_acknowledged_batch_and_leaves_none_in_part);
    tcase_add_test(tests, child_may_not_use_an_inherited_store_and_does_it_no_harm);
    tcase_add_test(tests, child_of_a_memory_store_may_open_a_store_of_its_own);
    tcase_add_test(tests, wal_stays_bounded_under_writes);
    tcase_add_test(tests, transfer_moves_all_of_the_wal_beside_an_open_cursor);
    tcase_add_test(tests, transfer_of_a_memory_store_has_nothing_to_do);
    return run_suite(suite);
}
