/* Clearing scopes, forgetting what is old, erasure, and rows that are damaged. */
#include "imposter.h"
#include "states.h"

#include <stele/verify.h>

static int64_t forget(int64_t before)
{
    int64_t count = -1;
    assert_status(stele_state_forget(store, before, NULL, &count), STELE_OK);
    return count;
}

static int64_t count_rows(const char *table)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    return sql_number(store_path(), sql);
}

/* --- Clearing --- */

START_TEST(clearing_deletes_what_starts_with_the_prefix)
{
    static const char *const keys[] = { "a", "ab", "abc", "ac", "b" };
    int64_t count = -1;
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        put_text("scope", keys[i], "x");
    put_text("other", "ab", "x");
    delete_key("scope", "abc", NULL);

    assert_status(stele_state_clear(store, "scope", "ab", NULL, &count), STELE_OK);
    ck_assert_int_eq(count, 1);
    ck_assert_str_eq(keys_of(NULL), "ab a ac b");
    expect_gone("scope", "ab", 2);
    expect_gone("scope", "abc", 2);
    assert_status(stele_state_clear(store, "scope", NULL, NULL, &count), STELE_OK);
    ck_assert_int_eq(count, 3);
    assert_status(stele_state_clear(store, "scope", "", NULL, &count), STELE_OK);
    ck_assert_int_eq(count, 0);
    ck_assert_str_eq(keys_of(NULL), "ab");
    ck_assert_int_eq(put_text("scope", "a", "again"), 3);
}
END_TEST

typedef struct steps {
    int count;
    int cancel_at;
} steps;

static int count_steps(void *context, const stele_progress *progress)
{
    steps *of = context;
    ck_assert_str_ne(progress->doing, "");
    return ++of->count == of->cancel_at;
}

START_TEST(clearing_goes_in_steps_and_can_be_cancelled_between)
{
    steps of = { 0, 3 };
    int64_t count = -1;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 10;
    work.progress = count_steps;
    work.context = &of;
    for (int i = 0; i < 95; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%02d", i);
        put_text("scope", key, "x");
    }

    assert_status(stele_state_clear(store, "scope", NULL, &work, &count), STELE_CANCELLED);
    ck_assert_int_eq(count, 30);
    of = (steps){ 0, 0 };
    work.step_size_max = 1; /* one at a time */
    assert_status(stele_state_clear(store, "scope", "k3", &work, &count), STELE_OK);
    ck_assert_int_eq(count, 10);
    ck_assert_int_ge(of.count, 10);
    work.step_size_max = 1 << 20;
    of = (steps){ 0, 0 };
    assert_status(stele_state_clear(store, "scope", NULL, &work, &count), STELE_OK);
    ck_assert_int_eq(count, 55);
    ck_assert_int_ge(of.count, 9);
    ck_assert_str_eq(keys_of(NULL), "");
}
END_TEST

START_TEST(wrong_work_is_misuse)
{
    stele_work work = STELE_WORK_INIT;
    int64_t count = -1;
    work.step_count_max = 0;
    assert_status(stele_state_clear(store, "scope", NULL, &work, &count), STELE_MISUSE);
    ck_assert_int_eq(count, 0);
    assert_status(stele_state_forget(store, 0, &work, &count), STELE_MISUSE);
    assert_status(stele_state_clear(store, "scope", "a\n", NULL, &count), STELE_MISUSE);
}
END_TEST

/* --- Forgetting --- */

static void at(int64_t time)
{
    clock_now = INT64_C(1000000000000) + time * 1000000;
}

static int64_t before(int64_t time)
{
    return INT64_C(1000000000000) + time * 1000000;
}

START_TEST(forgetting_takes_ids_and_deleted_entries_before_a_time)
{
    at(1);
    put_with_id("scope", "key", "old", "w-1");
    at(2);
    delete_key("scope", "key", "d-1");
    at(3);
    put_with_id("scope", "other", "x", "w-2");

    ck_assert_int_eq(forget(before(1)), 0);
    ck_assert_int_eq(forget(before(2)), 1); /* w-1 */
    expect_gone("scope", "key", 2);
    ck_assert_int_eq(forget(before(3)), 2); /* d-1, and what was left of the entry */
    expect_gone("scope", "key", 0);
    ck_assert_int_eq(forget(before(9)), 1);
    expect_text("scope", "other", "x", 1);
    close_store();
    ck_assert_int_eq(count_rows("state"), 1);
    ck_assert_int_eq(count_rows("state_writes"), 0);
}
END_TEST

/* That is what the time is chosen by: no retry may come later. */
START_TEST(after_forgetting_a_retry_is_written_again_from_revision_1)
{
    at(1);
    put_with_id("scope", "key", "old", "w-1");
    delete_key("scope", "key", NULL);
    ck_assert_int_eq(forget(before(2)), 2);

    stele_written again = put_with_id("scope", "key", "old", "w-1");

    ck_assert(!again.duplicate);
    ck_assert_int_eq(again.revision, 1);
}
END_TEST

/* An id must never point to an entry that isn't there, or to another one. */
START_TEST(rest_of_an_entry_stays_as_long_as_one_of_its_ids)
{
    at(1000);
    put_with_id("scope", "key", "x", "w-1");
    at(1); /* the clock is set back by more than 5 minutes */
    delete_key("scope", "key", NULL);
    at(500);
    delete_key("scope", "never", "d-1");

    ck_assert_int_eq(forget(before(400)), 0);
    expect_gone("scope", "key", 2);
    ck_assert_int_eq(forget(before(600)), 2); /* d-1 and its row */
    stele_write write;
    assert_status(stele_state_write(store, "scope", "w-1", &write), STELE_OK);
    ck_assert(write.found && write.superseded);
    ck_assert_str_eq(write.key, "key");
    ck_assert_int_eq(forget(before(2000)), 2);
}
END_TEST

START_TEST(forgetting_goes_in_steps_over_all_scopes)
{
    enum { COUNT = 50 };
    steps of = { 0, 0 };
    int64_t count = -1;
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 7;
    work.progress = count_steps;
    work.context = &of;
    for (int i = 0; i < COUNT; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%d", i);
        put_with_id(name, "key", "x", name);
        delete_key(name, "key", NULL);
    }
    of.cancel_at = 3;
    assert_status(stele_state_forget(store, INT64_MAX, &work, &count), STELE_CANCELLED);
    ck_assert_int_eq(count, 21);
    of = (steps){ 0, 0 };
    assert_status(stele_state_forget(store, INT64_MAX, &work, &count), STELE_OK);
    ck_assert_int_eq(count, 2 * COUNT - 21);
    ck_assert_int_ge(of.count, 2 * COUNT / 7 - 3);
}
END_TEST

/* Another process's write, held back until the rows that look old have been chosen. */
static int commit_other(void *context)
{
    run_raw(context, "COMMIT");
    return 0;
}

/* Forget while `sql` waits for its commit. */
static void forget_meanwhile(int64_t time, const char *sql, int64_t expected)
{
    int64_t count = -1;
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    sqlite3 *other = open_raw(store_path());
    run_raw(other, "BEGIN IMMEDIATE");
    run_raw(other, sql);
    wait.progress = commit_other;
    wait.context = other;
    work.wait = &wait;
    assert_status(stele_state_forget(store, time, &work, &count), STELE_OK);
    ck_assert_int_eq(count, expected);
    ck_assert_int_ne(sqlite3_get_autocommit(other), 0);
    sqlite3_close(other);
}

START_TEST(what_is_written_while_forgetting_looks_stays)
{
    at(1);
    put_with_id("scope", "key", "x", "w-1");

    forget_meanwhile(before(2), "UPDATE state_writes SET written_at = 1000009000000", 0);

    close_store();
    ck_assert_int_eq(count_rows("state_writes"), 1);
}
END_TEST

START_TEST(entry_that_is_deleted_anew_while_forgetting_looks_stays)
{
    at(1);
    put_text("scope", "key", "x");
    delete_key("scope", "key", NULL);
    run_sql(store_path(), "CREATE TABLE first AS SELECT * FROM state");
    at(5);
    put_text("scope", "key", "y");
    delete_key("scope", "key", NULL);
    run_sql(store_path(), "CREATE TABLE second AS SELECT * FROM state; DELETE FROM state;"
                          "INSERT INTO state SELECT * FROM first");
    expect_gone("scope", "key", 2);

    forget_meanwhile(before(3), "DELETE FROM state; INSERT INTO state SELECT * FROM second", 0);

    expect_gone("scope", "key", 4);
    ck_assert_int_eq(forget(before(6)), 1);
}
END_TEST

/* --- Erasure --- */

/* Whether the bytes lie anywhere in the file. */
static bool file_holds(const char *path, const char *needle)
{
    if (!file_exists(path))
        return false;
    file_copy file = load_file(path);
    bool found = false;
    size_t size = strlen(needle);
    for (size_t i = 0; i + size <= file.size && !found; i++)
        found = memcmp(file.data + i, needle, size) == 0;
    free(file.data);
    return found;
}

START_TEST(nothing_of_a_deleted_entry_stays_in_the_file_once_forgotten_and_scrubbed)
{
    const stele_attribute attribute = { "diagnosis", "secret-attribute" };
    stele_put put = make_put("scope", "secret-key", "secret-value");
    put.attributes = &attribute;
    put.attribute_count = 1;
    put.write_id = "secret-id";
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put_text("scope", "other", "x");

    delete_key("scope", "secret-key", NULL);
    assert_status(stele_store_scrub(store, NULL), STELE_OK);
    char wal[4096];
    snprintf(wal, sizeof(wal), "%s-wal", store_path());
    ck_assert(!file_holds(store_path(), "secret-value") && !file_holds(wal, "secret-value"));
    ck_assert(!file_holds(store_path(), "secret-attribute"));
    ck_assert(file_holds(store_path(), "secret-key"));
    ck_assert(file_holds(store_path(), "secret-id"));
    forget(INT64_MAX);
    assert_status(stele_store_scrub(store, NULL), STELE_OK);
    ck_assert(!file_holds(store_path(), "secret") && !file_holds(wal, "secret"));
}
END_TEST

/* --- Damage --- */

/* The failures that verification finds, of state alone. */
static uint64_t count_failures(const char *check_name)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    uint64_t failures = 0;
    stele_status status;
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK)
        failures += strcmp(check->name, check_name) == 0 ? check->failures : 0;
    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
    return failures;
}

static void make_damaged(const char *sql)
{
    const stele_attribute attribute = { "a", "1" };
    stele_put put = make_put("scope", "key", "{\"n\":1}");
    put.codec = "json";
    put.attributes = &attribute;
    put.attribute_count = 1;
    put.write_id = "w-1";
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put_text("scope", "key-2", "whole");
    ck_assert_uint_eq(count_failures("state"), 0);
    ck_assert_uint_eq(count_failures("state writes"), 0);
    close_store();
    run_sql(store_path(), sql);
    open_in_file();
}

static const char *const entry_damages[] = {
    "UPDATE state SET data = '{\"n\":2}' WHERE key = 'key'",
    "UPDATE state SET data = CAST(data AS BLOB) WHERE key = 'key'",
    "UPDATE state SET data = NULL WHERE key = 'key'",
    "UPDATE state SET attributes = '{\"a\":\"2\"}' WHERE key = 'key'",
    "UPDATE state SET attributes = NULL WHERE key = 'key'",
    "UPDATE state SET revision = 7 WHERE key = 'key'",
    "UPDATE state SET revision = -1 WHERE key = 'key'",
    "UPDATE state SET revision = 9223372036854775807 WHERE key = 'key'",
    "UPDATE state SET updated_at = 7 WHERE key = 'key'",
    "UPDATE state SET codec = 0 WHERE key = 'key'",
    "UPDATE state SET codec = 99 WHERE key = 'key'",
    "UPDATE state SET codec = codec + 1 WHERE key = 'key'",
    "UPDATE state SET checksum = checksum + 1 WHERE key = 'key'",
};

START_TEST(damaged_entry_is_corrupt_and_mended_by_a_put_of_any_revision)
{
    const stele_entry *entry = NULL;
    stele_entries *entries = NULL;
    make_damaged(entry_damages[_i]);

    assert_status(stele_state_get(store, "scope", "key", &entry), STELE_CORRUPT);
    ck_assert_ptr_null(entry);
    assert_reason_has("key");
    assert_status(stele_state_list(store, NULL, &entries), STELE_OK);
    for (int i = 0; i < 3; i++)
        assert_status(stele_entries_next(entries, &entry), STELE_CORRUPT);
    stele_entries_close(entries);
    ck_assert_uint_eq(count_failures("state"), 1);
    stele_put put = make_put("scope", "key", "mended");
    put.expected_revision = 1;
    assert_status(stele_state_put(store, &put, NULL), STELE_CORRUPT);
    stele_put replay = make_put("scope", "key", "{\"n\":1}");
    replay.codec = "json";
    replay.attributes = &(stele_attribute){ "a", "1" };
    replay.attribute_count = 1;
    replay.write_id = "w-1";
    assert_status(stele_state_put(store, &replay, NULL), STELE_CORRUPT);
    put.expected_revision = STELE_ANY;
    stele_written written;
    assert_status(stele_state_put(store, &put, &written), STELE_OK);

    /* A revision never means two values: the id knows at least that it was at 1. */
    ck_assert_int_ge(written.revision, 2);
    ck_assert(written.found);
    expect_text("scope", "key", "mended", written.revision);
    ck_assert_str_eq(keys_of(NULL), "key key-2");
    ck_assert_uint_eq(count_failures("state"), 0);
    ck_assert_uint_eq(count_failures("state writes"), 0);
}
END_TEST

START_TEST(damaged_entry_can_be_deleted)
{
    make_damaged(entry_damages[_i]);

    int64_t revision = delete_key("scope", "key", NULL).revision;

    ck_assert_int_ge(revision, 2);
    expect_gone("scope", "key", revision);
    ck_assert_uint_eq(count_failures("state"), 0);
}
END_TEST

/* Its row says that it was deleted, but that isn't proven. */
START_TEST(damaged_entry_is_not_forgotten)
{
    make_damaged("UPDATE state SET data = NULL WHERE key = 'key'");

    forget(INT64_MAX);

    ck_assert_uint_eq(count_failures("state"), 1);
}
END_TEST

/* The bytes are the same, and would be read as something else. */
START_TEST(damaged_codec_of_the_same_bytes_is_corrupt)
{
    const stele_entry *entry = NULL;
    stele_put put = make_put("scope", "key", "\x01");
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    put.key = "key-2";
    put.codec = "cbor";
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
    close_store();
    run_sql(store_path(), "UPDATE state SET codec = (SELECT id FROM codecs WHERE name = 'cbor')"
                          " WHERE key = 'key'");
    open_in_file();

    assert_status(stele_state_get(store, "scope", "key", &entry), STELE_CORRUPT);
    ck_assert_uint_eq(count_failures("state"), 1);
}
END_TEST

static const char *const write_damages[] = {
    "UPDATE state_writes SET digest = digest + 1",
    "UPDATE state_writes SET revision = 0",
    "UPDATE state_writes SET kind = 2",
    "UPDATE state_writes SET kind = 3",
    "UPDATE state_writes SET entry = 99",
    "UPDATE state_writes SET written_at = 7",
    "UPDATE state_writes SET checksum = 0",
};

START_TEST(damaged_write_id_is_corrupt_until_it_is_forgotten)
{
    stele_write write;
    stele_put put = make_put("scope", "key", "x");
    put.write_id = "w-1";
    make_damaged(write_damages[_i]);

    assert_status(stele_state_write(store, "scope", "w-1", &write), STELE_CORRUPT);
    ck_assert(!write.found);
    assert_reason_has("w-1");
    assert_status(stele_state_put(store, &put, NULL), STELE_CORRUPT);
    ck_assert_uint_eq(count_failures("state writes"), 1);
    forget(INT64_MAX);

    ck_assert_uint_eq(count_failures("state writes"), 0);
    assert_status(stele_state_put(store, &put, NULL), STELE_OK);
}
END_TEST

/* Its checksum may be right, and yet it belongs nowhere. */
START_TEST(write_id_whose_entry_is_gone_is_found)
{
    stele_write write;
    make_damaged("DELETE FROM state WHERE key = 'key'");

    assert_status(stele_state_write(store, "scope", "w-1", &write), STELE_CORRUPT);
    assert_reason_has("entry is missing");
    ck_assert_uint_eq(count_failures("state writes"), 1);
    ck_assert_uint_eq(count_failures("state"), 0);
}
END_TEST

/* Each row is whole, and yet one of them can't be found. */
START_TEST(entry_whose_name_leads_to_another_is_found_by_verification)
{
    make_damaged("SELECT 1");
    close_store();
    run_on_pages("sqlite_autoindex_state_1",
                 "CREATE TABLE imposter(scope, key, id, PRIMARY KEY(scope, key, id)) WITHOUT ROWID",
                 "UPDATE imposter SET id = 2 WHERE id = 1");
    open_in_file();

    ck_assert_uint_eq(count_failures("state"), 1);
}
END_TEST

/* Names that would be read as others must not hold a list or a clear for ever. */
START_TEST(names_that_can_not_be_ours_are_corrupt)
{
    static const char *const damages[] = {
        "UPDATE state SET key = CAST(X'6B006B' AS TEXT) WHERE key = 'key'",
        "UPDATE state SET scope = CAST(X'73636F7065006B' AS TEXT) WHERE key = 'key'",
        "UPDATE state SET key = hex(zeroblob(200)) WHERE key = 'key'",
    };
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    make_damaged(damages[_i]);

    stele_status status = STELE_OK;
    assert_status(stele_state_list(store, NULL, &entries), STELE_OK);
    for (int i = 0; i < 3 && status == STELE_OK; i++)
        status = stele_entries_next(entries, &entry);
    ck_assert_int_eq(status, STELE_CORRUPT);
    stele_entries_close(entries);
    ck_assert_uint_ge(count_failures("state"), 1);
    status = stele_state_clear(store, "scope", NULL, NULL, NULL);
    ck_assert(status == STELE_CORRUPT || _i == 1); /* there it is of another scope */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_forget");
    TCase *clearing = add_case(suite, "clearing", open_in_memory);
    tcase_add_test(clearing, clearing_deletes_what_starts_with_the_prefix);
    tcase_add_test(clearing, clearing_goes_in_steps_and_can_be_cancelled_between);
    tcase_add_test(clearing, wrong_work_is_misuse);
    TCase *forgetting = add_case(suite, "forgetting", open_with_own_clock);
    tcase_add_test(forgetting, forgetting_takes_ids_and_deleted_entries_before_a_time);
    tcase_add_test(forgetting, after_forgetting_a_retry_is_written_again_from_revision_1);
    tcase_add_test(forgetting, rest_of_an_entry_stays_as_long_as_one_of_its_ids);
    tcase_add_test(forgetting, forgetting_goes_in_steps_over_all_scopes);
    tcase_add_test(forgetting, what_is_written_while_forgetting_looks_stays);
    tcase_add_test(forgetting, entry_that_is_deleted_anew_while_forgetting_looks_stays);
    TCase *files = add_case(suite, "files", open_in_file);
    tcase_add_test(files, nothing_of_a_deleted_entry_stays_in_the_file_once_forgotten_and_scrubbed);
    tcase_add_loop_test(files, damaged_entry_is_corrupt_and_mended_by_a_put_of_any_revision, 0,
                        COUNT_OF(entry_damages));
    tcase_add_loop_test(files, damaged_entry_can_be_deleted, 0, COUNT_OF(entry_damages));
    tcase_add_test(files, damaged_entry_is_not_forgotten);
    tcase_add_test(files, entry_whose_name_leads_to_another_is_found_by_verification);
    tcase_add_test(files, damaged_codec_of_the_same_bytes_is_corrupt);
    tcase_add_loop_test(files, damaged_write_id_is_corrupt_until_it_is_forgotten, 0,
                        COUNT_OF(write_damages));
    tcase_add_loop_test(files, names_that_can_not_be_ours_are_corrupt, 0, 3);
    tcase_add_test(files, write_id_whose_entry_is_gone_is_found);
    return run_suite(suite);
}
