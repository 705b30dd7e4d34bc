/*
 * What is left of a deleted stream in the files: after `now` nothing, without it maybe something.
 *
 * Each stream's payloads, metadata, name and reason hold a mark of their own, which is searched for
 * in every file of the store and of the archive.
 */
#include "lifecycles.h"

#include "effort.h"

#include <dirent.h>

#include <stele/backup.h>

#define STREAMS    12
#define EVENTS     30
#define LARGE_MOST 6
#define MIXED_MOST 1000
#define ROUNDS     10 /* in a transaction */

/* 0: now long, now short, so that SQLite moves rows from page to page. */
static const size_t sizes[] = { 10, 100, 1000, 10000, 100000, 0 };

/* A table `e` of 12,000 rows of as many streams, with marks of sizes that are mixed. */
#define MIXED_TABLE                                                                                \
    "CREATE TABLE e(position INTEGER PRIMARY KEY, stream INTEGER, version INTEGER, data,"          \
    " UNIQUE(stream, version));"                                                                   \
    "WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM n WHERE i < 11999)"             \
    " INSERT INTO e SELECT i + 1, i % 12, i / 12 + 1, substr(replace(hex(zeroblob(80)), '00',"     \
    " printf('ZqDXw%02dVy', i % 12)), 1, 40 + (i / 12 * 37 + i % 12 * 101) % 17 * 310 / 8) FROM n"

static char mark_texts[4][48];

/* Nothing else has these bytes. */
static const char *mark_of(int stream, char part)
{
    static unsigned next;
    char *mark = mark_texts[next++ % 4];
    snprintf(mark, 48, "Zq%cXw%02dVy", part, stream);
    return mark;
}

static const char *name_of(int stream)
{
    static char names[4][64];
    static unsigned next;
    char *name = names[next++ % 4];
    snprintf(name, 64, "loan-%s", mark_of(stream, 'N'));
    return name;
}

/* The payload is full of marks, so that any remains of it show one. */
static void append_marked(stele_transaction *transaction, int stream, size_t size)
{
    const char *mark = mark_of(stream, 'D');
    char metadata[64];
    char *data = malloc(size + 64);
    ck_assert_ptr_nonnull(data);
    size_t used = (size_t)sprintf(data, "\"%s", mark);
    while (used + strlen(mark) + 1 < size)
        used += (size_t)sprintf(data + used, "%s", mark);
    data[used++] = '"';
    data[used] = '\0';
    snprintf(metadata, sizeof(metadata), "{\"by\":\"%s\"}", mark_of(stream, 'M'));
    stele_event event = make_event("noted", data);
    event.data_size = used;
    event.metadata = metadata;
    event.metadata_size = strlen(metadata);
    stele_append append = make_append(name_of(stream), STELE_ANY, &event, 1);
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);
    free(data);
}

static int event_count(size_t size)
{
    if (size == 0)
        return MIXED_MOST;
    return size >= 10000 ? LARGE_MOST : EVENTS;
}

static size_t mixed_size(int event, int stream)
{
    return 40 + (size_t)((event * 37 + stream * 101) % 17) * 37;
}

/* The streams' events lie between one another's. */
static void fill_interleaved(size_t size)
{
    stele_transaction *transaction = begin();
    for (int i = 0; i < event_count(size); i++) {
        for (int stream = 0; stream < STREAMS; stream++)
            append_marked(transaction, stream, size > 0 ? size : mixed_size(i, stream));
        if (i % ROUNDS != ROUNDS - 1)
            continue;
        commit_and_end(transaction);
        transaction = begin();
    }
    commit_and_end(transaction);
}

/* --- Searching --- */

static size_t count_in(const unsigned char *data, size_t size, const char *mark)
{
    size_t count = 0;
    size_t length = strlen(mark);
    const unsigned char *end = data + size;
    const unsigned char *at = data;
    while ((at = memchr(at, mark[0], (size_t)(end - at))) != NULL) {
        if ((size_t)(end - at) >= length && memcmp(at, mark, length) == 0)
            count++;
        at++;
    }
    return count;
}

static size_t marks_in(const char *path, int first, int last)
{
    file_copy copy = load_file(path);
    size_t count = 0;
    for (int stream = first; stream <= last && copy.size > 0; stream++) {
        for (const char *part = "DMNR"; *part != '\0'; part++)
            count += count_in(copy.data, copy.size, mark_of(stream, *part));
    }
    free(copy.data);
    return count;
}

/* In all files of the test's folder: a store's, its WAL, anchor, lock and shared memory. POSIX
 * locks of this process would go with a descriptor that is closed, so a child looks. */
static size_t remains_of(int first, int last)
{
    int ends[2];
    size_t count = 0;
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        DIR *folder = opendir(test_folder());
        for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
            char path[1024];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", test_folder(), entry->d_name);
            count += marks_in(path, first, last);
        }
        _exit(write(ends[1], &count, sizeof(count)) != sizeof(count));
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &count, sizeof(count)), sizeof(count));
    close(ends[0]);
    int outcome = 0;
    ck_assert_int_eq(waitpid(child, &outcome, 0), child);
    return count;
}

static void delete_marked(int stream, bool now, stele_store *with)
{
    stele_delete call = STELE_DELETE_INIT;
    call.stream = name_of(stream);
    call.now = now;
    call.archive = with;
    assert_status(stele_store_delete(store, &call, &changed), STELE_OK);
    ck_assert(changed.finished);
}

/* --- With `now` --- */

START_TEST(after_now_nothing_of_a_stream_is_in_any_file)
{
    fill_interleaved(sizes[_i]);
    ck_assert_uint_gt(remains_of(0, 0), 0); /* what it looks for can be found */
    for (int stream = 0; stream + 1 < STREAMS; stream += 2) {
        delete_marked(stream, true, NULL);
        ck_assert_uint_eq(remains_of(stream, stream), 0);
        ck_assert_uint_gt(remains_of(stream + 1, stream + 1), 0);
    }
    assert_whole(store);
}
END_TEST

START_TEST(one_now_scrubs_what_was_deleted_before)
{
    fill_interleaved(sizes[_i]);
    for (int stream = 0; stream < STREAMS - 2; stream++)
        delete_marked(stream, false, NULL);
    delete_marked(STREAMS - 2, true, NULL);
    ck_assert_uint_eq(remains_of(0, STREAMS - 2), 0);
    ck_assert_uint_gt(remains_of(STREAMS - 1, STREAMS - 1), 0);
}
END_TEST

START_TEST(scrubbing_later_does_the_same)
{
    fill_interleaved(sizes[_i]);
    for (int stream = 0; stream < STREAMS - 1; stream++)
        delete_marked(stream, false, NULL);
    assert_status(stele_store_scrub(store, NULL), STELE_OK);
    ck_assert_uint_eq(remains_of(0, STREAMS - 2), 0);
}
END_TEST

START_TEST(reason_goes_too)
{
    stele_tombstone tomb = STELE_TOMBSTONE_INIT;
    fill_interleaved(100);
    tomb.stream = name_of(0);
    tomb.reason = mark_of(0, 'R');
    assert_status(stele_store_tombstone(store, &tomb, NULL), STELE_OK);
    stele_archive close = STELE_ARCHIVE_INIT;
    close.stream = name_of(1);
    close.reason = mark_of(1, 'R');
    assert_status(stele_store_archive(store, &close, NULL), STELE_OK);
    delete_marked(0, true, NULL);
    delete_marked(1, true, NULL);
    ck_assert_uint_eq(remains_of(0, 1), 0);
}
END_TEST

/* While both are open, and without another call. */
START_TEST(archive_that_has_the_payloads_is_scrubbed_too)
{
    fill_interleaved(sizes[_i]);
    assert_status(archive_to(name_of(0), archive, NULL), STELE_OK);
    ck_assert_uint_gt(remains_of(0, 0), 0);
    delete_marked(0, true, archive);
    ck_assert_uint_eq(remains_of(0, 0), 0);
}
END_TEST

START_TEST(archived_and_restored_streams_go_from_both_stores)
{
    fill_interleaved(sizes[_i]);
    for (int stream = 0; stream < 4; stream++)
        assert_status(archive_to(name_of(stream), archive, NULL), STELE_OK);
    for (int stream = 2; stream < 6; stream++) {
        assert_status(archive_to(name_of(stream), archive, NULL), STELE_OK);
        assert_status(restore_from(name_of(stream), archive, NULL), STELE_OK);
    }
    for (int stream = 0; stream < 6; stream++)
        delete_marked(stream, stream % 2 == 1, archive);
    /* Of those that had come back before, the archive is another matter. */
    assert_status(stele_store_scrub(archive, NULL), STELE_OK);
    ck_assert_uint_eq(remains_of(0, 5), 0);
    ck_assert_uint_gt(remains_of(6, 6), 0);
}
END_TEST

START_TEST(backup_made_afterwards_does_not_have_it)
{
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = test_path("backup.db");
    fill_interleaved(1000);
    for (int stream = 0; stream < 4; stream++)
        delete_marked(stream, true, NULL);

    assert_status(stele_store_backup(store, &backup, NULL), STELE_OK);

    ck_assert_uint_eq(marks_in(backup.path, 0, 3), 0);
    ck_assert_uint_gt(marks_in(backup.path, 4, 4), 0);
}
END_TEST

/* --- Rows that moved --- */

enum { MOVED_STREAMS = 60, MOVED_EVENTS = 3000 };

/* Close, so that the WAL is gone, and count what the file itself still has. */
static size_t remains_in_closed_file(int last)
{
    close_store();
    size_t count = remains_of(0, last);
    open_in_file();
    return count;
}

/* Sizes by chance let SQLite merge pages, and move rows that are deleted only later: zeroing them
 * where they lie then doesn't reach where they were. */
START_TEST(scrubbing_ends_what_stays_where_rows_were_before)
{
    seed_chance((uint64_t)_i + 1);
    stele_transaction *transaction = begin();
    for (int i = 0; i < MOVED_EVENTS; i++)
        append_marked(transaction, i % MOVED_STREAMS, 100 + (next_chance() >> 11) % 801);
    commit_and_end(transaction);
    for (int stream = 0; stream < MOVED_STREAMS - 1; stream++)
        delete_marked(stream, false, NULL);
    size_t before = remains_in_closed_file(MOVED_STREAMS - 2);

    assert_status(stele_store_scrub(store, NULL), STELE_OK);

    ck_assert_uint_eq(remains_of(0, MOVED_STREAMS - 2), 0);
    ck_assert_uint_gt(remains_of(MOVED_STREAMS - 1, MOVED_STREAMS - 1), 0);
    printf("payloads of 100 to 900 bytes by chance, 59 of 60 streams deleted without now: %zu marks"
           " left in the closed file, 0 by scrubbing\n",
           before);
    if (before == 0)
        skip_test("this SQLite moved no row, so there was nothing to scrub");
}
END_TEST

/* The same of a table of the user's, which nobody writes over before it is deleted. */
START_TEST(scrubbing_ends_remains_of_the_users_own_tables)
{
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, MIXED_TABLE), SQLITE_OK);
    commit_and_end(transaction);
    for (int stream = 0; stream < STREAMS - 1; stream++) {
        char sql[100];
        snprintf(sql, sizeof(sql), "DELETE FROM e WHERE stream = %d", stream);
        transaction = begin();
        ck_assert_int_eq(run_in(transaction, sql), SQLITE_OK);
        commit_and_end(transaction);
    }
    size_t before = remains_in_closed_file(STREAMS - 2);

    assert_status(stele_store_scrub(store, NULL), STELE_OK);

    ck_assert_uint_eq(remains_of(0, STREAMS - 2), 0);
    ck_assert_uint_gt(remains_of(STREAMS - 1, STREAMS - 1), 0);
    if (before == 0)
        skip_test("this SQLite moved no row, so there was nothing to scrub");
}
END_TEST

/* --- The controls: what other ways leave --- */

/* As many would do it: with secure_delete, and by SQL. */
static size_t remains_after_plain_delete(size_t size)
{
    close_store();
    store = open_path(test_path("naive.db"), NULL);
    fill_interleaved(size);
    close_store();
    sqlite3 *raw = open_raw(test_path("naive.db"));
    run_raw(raw, "PRAGMA secure_delete = 1");
    for (int stream = 0; stream < STREAMS - 1; stream++) {
        char sql[200];
        snprintf(sql, sizeof(sql),
                 "DELETE FROM events WHERE stream = (SELECT id FROM streams WHERE name = '%s')",
                 name_of(stream));
        run_raw(raw, sql);
        snprintf(sql, sizeof(sql), "DELETE FROM streams WHERE name = '%s'", name_of(stream));
        run_raw(raw, sql);
    }
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    size_t count = remains_of(0, STREAMS - 2);
    open_in_file();
    return count;
}

static size_t remains_after_delete(size_t size, size_t *with_wal_out)
{
    close_store();
    store = open_path(test_path("mild.db"), NULL);
    fill_interleaved(size);
    for (int stream = 0; stream < STREAMS - 1; stream++)
        delete_marked(stream, false, NULL);
    *with_wal_out = remains_of(0, STREAMS - 2);
    close_store();
    size_t count = remains_of(0, STREAMS - 2);
    open_in_file();
    return count;
}

START_TEST(without_now_remains_can_be_found)
{
    size_t with_wal = 0;
    size_t naive = remains_after_plain_delete(sizes[_i]);
    ck_assert_int_eq(unlink(test_path("naive.db")), 0);
    size_t mild = remains_after_delete(sizes[_i], &with_wal);
    printf("payloads of %zu bytes (0: mixed), 11 of 12 interleaved streams deleted: %zu marks left "
           "by DELETE"
           " with secure_delete; by delete without now %zu while the store is open, %zu after\n",
           sizes[_i], naive, with_wal, mild);
    ck_assert_uint_gt(with_wal, 0);
}
END_TEST

/* Rows that SQLite moved from page to page were somewhere before: a figure, since another SQLite
 * may move others. */
START_TEST(sqlite_leaves_remains_between_rows)
{
    sqlite3 *raw = open_raw(test_path("plain.db"));
    run_raw(raw, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = 2; PRAGMA journal_mode = WAL;"
                 "PRAGMA secure_delete = 1;" MIXED_TABLE);
    for (int stream = 0; stream < STREAMS - 1; stream++) {
        char sql[100];
        snprintf(sql, sizeof(sql), "DELETE FROM e WHERE stream = %d", stream);
        run_raw(raw, sql);
    }
    run_raw(raw, "PRAGMA wal_checkpoint(TRUNCATE)");
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    file_copy copy = load_file(test_path("plain.db"));
    size_t count = 0;
    for (int stream = 0; stream < STREAMS - 1; stream++) {
        char mark[32];
        snprintf(mark, sizeof(mark), "ZqDXw%02dVy", stream);
        count += count_in(copy.data, copy.size, mark);
    }
    free(copy.data);
    printf("a table of 12,000 rows, 11 of 12 deleted with secure_delete: %zu marks left in the"
           " file\n",
           count);
}
END_TEST

static Suite *erasure_suite(void)
{
    Suite *suite = suite_create("erasure");
    TCase *tests = add_lifecycle_case(suite, "now", open_in_file);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, after_now_nothing_of_a_stream_is_in_any_file, 0, COUNT_OF(sizes));
    tcase_add_loop_test(tests, one_now_scrubs_what_was_deleted_before, 0, COUNT_OF(sizes));
    tcase_add_loop_test(tests, scrubbing_later_does_the_same, 0, COUNT_OF(sizes));
    tcase_add_loop_test(tests, scrubbing_ends_what_stays_where_rows_were_before, 0, 3);
    tcase_add_test(tests, scrubbing_ends_remains_of_the_users_own_tables);
    tcase_add_test(tests, reason_goes_too);
    tcase_add_test(tests, backup_made_afterwards_does_not_have_it);
    tests = add_lifecycle_case(suite, "archived", open_both);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, archive_that_has_the_payloads_is_scrubbed_too, 0, COUNT_OF(sizes));
    tcase_add_loop_test(tests, archived_and_restored_streams_go_from_both_stores, 0,
                        COUNT_OF(sizes));
    tests = add_lifecycle_case(suite, "control", open_in_file);
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, without_now_remains_can_be_found, 0, COUNT_OF(sizes));
    tcase_add_test(tests, sqlite_leaves_remains_between_rows);
    return suite;
}

int main(void)
{
    return run_suite(erasure_suite());
}
