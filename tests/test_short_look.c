/*
 * The look at a stream by who is about to write: through the writer's connection when it is idle,
 * and what it sees is what is committed at that moment, by whomever.
 */
#include "eventstore/tail.h"
#include "store/store.h"

#include "contract.h"
#include "disk_hooks.h"

#include <pthread.h>
#include <stele/lifecycle.h>

/* The stream as a short look finds it. */
static stele__tail look_at(stele_store *through, const char *stream)
{
    stele_cursor *cursor = NULL;
    stele__tail tail;
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    assert_status(stele__read_short(through, &read, &cursor), STELE_OK);
    stele__cursor_tail(cursor, &tail);
    stele_cursor_close(cursor);
    return tail;
}

static bool is_through_writer(stele_store *through)
{
    stele__connection *connection = NULL;
    assert_status(stele__read_begin_short(through, NULL, &connection), STELE_OK);
    bool is_writer = connection == &through->writer;
    stele__read_end(through, connection);
    return is_writer;
}

START_TEST(short_look_is_through_the_idle_writer)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);

    ck_assert(is_through_writer(store));

    assert_status(append_one("a-1", 1, "t", NULL), STELE_OK);
    ck_assert_int_eq(look_at(store, "a-1").version, 2);
}
END_TEST

/* It must not wait for a writer, least of all for its own thread's. */
START_TEST(short_look_beside_a_transaction_is_through_a_reader)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", 1, NULL), STELE_OK);

    ck_assert(!is_through_writer(store));
    ck_assert_int_eq(look_at(store, "a-1").version, 1);

    commit_and_end(transaction);
    ck_assert_int_eq(look_at(store, "a-1").version, 2);
}
END_TEST

START_TEST(short_look_at_a_store_opened_for_reading_is_through_a_reader)
{
    stele_options options = STELE_OPTIONS_INIT;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    options.read_only = true;
    stele_store *other = open_path(store_path(), &options);

    ck_assert(!is_through_writer(other));
    ck_assert_int_eq(look_at(other, "a-1").version, 1);

    stele_store_close(other);
}
END_TEST

/* The writer remembers names and versions: what somebody else did to them must be noticed in the
 * very snapshot that is read, not in the one after it. */
START_TEST(short_look_sees_what_another_handle_has_committed)
{
    stele_store *other = open_path(store_path(), NULL);
    for (int64_t version = 0; version < 40; version += 2) {
        assert_status(append_to(store, "a-1", version, "t", NULL), STELE_OK);
        assert_status(append_to(other, "a-1", version + 1, "t", NULL), STELE_OK);

        ck_assert_int_eq(look_at(store, "a-1").version, version + 2);
        ck_assert_int_eq(look_at(other, "a-1").version, version + 2);
    }
    stele_store_close(other);
}
END_TEST

START_TEST(short_look_sees_a_stream_that_another_handle_made_anew)
{
    stele_delete call = STELE_DELETE_INIT;
    stele_store *other = open_path(store_path(), NULL);
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    int64_t id = look_at(store, "a-1").id;

    call.stream = "a-1";
    assert_status(stele_store_delete(other, &call, NULL), STELE_OK);
    ck_assert_int_eq(look_at(store, "a-1").id, 0);
    assert_status(append_to(other, "a-1", STELE_NO_STREAM, "t", NULL), STELE_OK);

    ck_assert_int_gt(look_at(store, "a-1").id, id);
    ck_assert_int_eq(look_at(store, "a-1").version, 1);
    assert_status(append_one("a-1", 1, "t", NULL), STELE_OK);
    stele_store_close(other);
}
END_TEST

static void *append_beside(void *context)
{
    *(stele_status *)context = append_one("a-1", STELE_ANY, "t", NULL);
    return NULL;
}

START_TEST(writers_wait_for_a_short_look_and_go_on)
{
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        stele_status status = STELE_BUSY;
        stele__connection *connection = NULL;
        assert_status(stele__read_begin_short(store, NULL, &connection), STELE_OK);
        ck_assert_int_eq(pthread_create(&thread, NULL, append_beside, &status), 0);
        stele__read_end(store, connection);
        pthread_join(thread, NULL);
        assert_status(status, STELE_OK);
    }
    ck_assert_int_eq(look_at(store, "a-1").version, 100);
}
END_TEST

START_TEST(short_look_works_in_memory)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);

    ck_assert_int_eq(look_at(store, "a-1").version, 1);
}
END_TEST

/* --- The look at a key --- */

START_TEST(look_at_a_key_waits_no_longer_than_it_may)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_wait wait = STELE_WAIT_INIT;
    stele_key_info info;
    stele__connection *held = NULL;
    close_store();
    options.reader_max = 1;
    options.busy_timeout_ms = INT32_MAX;
    store = open_path(store_path(), &options);
    assert_status(stele__read_begin(store, NULL, &held), STELE_OK);

    for (uint32_t timeout_ms = 0; timeout_ms <= 40; timeout_ms += 40) {
        wait.timeout_ms = timeout_ms;
        assert_status(stele__key_look(store, &wait, "k-1", &info), STELE_BUSY);
    }

    stele__read_end(store, held);
    assert_status(stele__key_look(store, &wait, "k-1", &info), STELE_OK);
    ck_assert(!info.found);
}
END_TEST

/* --- After a COMMIT that failed --- */

static bool disk_is_broken;

static int fail_when_broken(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)detail;
    bool writes = call == DISK_SYNC || call == DISK_WRITE;
    return disk_is_broken && file == DISK_WAL && writes ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static void open_on_bad_disk(void)
{
    disk_is_broken = false;
    install_disk_hooks();
    disk_hook = fail_when_broken;
    open_in_file();
}

static void close_on_bad_disk(void)
{
    disk_is_broken = false;
    close_and_remove();
    remove_disk_hooks();
}

/* What the writer believes of the file isn't known to be true until it has begun anew. */
START_TEST(short_look_after_a_failed_commit_is_through_a_reader)
{
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_OK);
    disk_is_broken = true;
    assert_status(append_one("a-1", STELE_ANY, "t", NULL), STELE_UNKNOWN_OUTCOME);

    ck_assert(!is_through_writer(store));
    ck_assert_int_eq(look_at(store, "a-1").version, 1);

    disk_is_broken = false;
    assert_status(append_one("b-1", STELE_ANY, "t", NULL), STELE_OK);
    ck_assert(is_through_writer(store));
    ck_assert_int_eq(look_at(store, "a-1").version, version_of("a-1"));
}
END_TEST

static Suite *short_look_suite(void)
{
    Suite *suite = suite_create("short_look");
    TCase *files = add_case(suite, "files", open_in_file);
    tcase_add_test(files, short_look_is_through_the_idle_writer);
    tcase_add_test(files, short_look_beside_a_transaction_is_through_a_reader);
    tcase_add_test(files, short_look_at_a_store_opened_for_reading_is_through_a_reader);
    tcase_add_test(files, short_look_sees_what_another_handle_has_committed);
    tcase_add_test(files, short_look_sees_a_stream_that_another_handle_made_anew);
    tcase_add_test(files, writers_wait_for_a_short_look_and_go_on);
    tcase_add_test(files, look_at_a_key_waits_no_longer_than_it_may);
    TCase *disk = tcase_create("disk");
    tcase_add_checked_fixture(disk, open_on_bad_disk, close_on_bad_disk);
    suite_add_tcase(suite, disk);
    tcase_add_test(disk, short_look_after_a_failed_commit_is_through_a_reader);
    TCase *memory = add_case(suite, "memory", open_in_memory);
    tcase_add_test(memory, short_look_works_in_memory);
    return suite;
}

int main(void)
{
    return run_suite(short_look_suite());
}
