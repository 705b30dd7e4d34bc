/* Verification: every check counts what it looked at, and names the first thing that is wrong. */
#include "log_text.h"

#include <stele/verify.h>

/* --- A good store --- */

static const struct {
    const char *name;
    uint64_t count; /* Of make_rich_file(); 0 where it is not ours to say. */
    bool nothing;   /* There is nothing of that in it. */
} checks[] = {
    { "sqlite", 0, false },       { "schema", 0, false },    { "meta", 0, false },
    { "epochs", 1, false },       { "positions", 6, false }, { "versions", 6, false },
    { "index", 6, false },        { "checksums", 6, false }, { "names", 7, false },
    { "idempotency", 1, false },  { "states", 0, false },    { "husks", 6, false },
    { "archives", 0, true },      { "kept", 0, true },       { "checkpoints", 1, false },
    { "members", 0, true },       { "parked", 0, true },     { "state", 2, false },
    { "state writes", 1, false }, { "anchor", 1, false },    { "backup", 0, true },
    { "snapshots", 0, true },     { "frames", 0, true },     { "projections", 0, true },
};

static size_t index_of(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        if (strcmp(checks[i].name, name) == 0)
            return i;
    ck_abort_msg("no check '%s' was known", name);
    return 0;
}

/* Run all checks of `store`; failures[i] belongs to checks[i]. */
typedef struct findings {
    uint64_t counts[COUNT_OF(checks)];
    uint64_t failures[COUNT_OF(checks)];
    char offenders[COUNT_OF(checks)][512];
    uint64_t failed; /* Checks with failures. */
} findings;

static findings run_checks(void)
{
    findings found = { 0 };
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status;
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
    while ((status = stele_verify_next(verify, &check)) == STELE_OK) {
        size_t i = index_of(check->name);
        found.counts[i] += check->count;
        found.failures[i] += check->failures;
        found.failed += check->failures > 0;
        ck_assert_int_eq(check->offender[0] != '\0', check->failures > 0);
        snprintf(found.offenders[i], sizeof(found.offenders[i]), "%s", check->offender);
    }
    assert_status(status, STELE_DONE);
    ck_assert_ptr_null(check);
    assert_status(stele_verify_next(verify, &check), STELE_DONE);
    stele_verify_close(verify);
    return found;
}

static void expect_all_good(void)
{
    findings found = run_checks();
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        ck_assert_msg(found.failures[i] == 0, "%s: %s", checks[i].name, found.offenders[i]);
}

START_TEST(good_store_passes_every_check_with_its_counts)
{
    make_rich_file();
    open_in_file();

    findings found = run_checks();

    ck_assert_uint_eq(found.failed, 0);
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        ck_assert_msg((found.counts[i] > 0) != checks[i].nothing, "'%s' looked at %" PRIu64,
                      checks[i].name, found.counts[i]);
        if (checks[i].count > 0)
            ck_assert_msg(found.counts[i] == checks[i].count, "'%s' looked at %" PRIu64,
                          checks[i].name, found.counts[i]);
    }
}
END_TEST

START_TEST(empty_store_passes_every_check)
{
    open_in_file();
    expect_all_good();
    close_store();

    open_in_memory();
    expect_all_good();
}
END_TEST

START_TEST(large_store_passes_every_check_page_by_page)
{
    enum { COUNT = 25000 };
    open_in_memory();
    stele_event *events = calloc(COUNT, sizeof(*events));
    ck_assert_ptr_nonnull(events);
    for (size_t i = 0; i < COUNT; i++)
        events[i] = make_event("counted", "1");
    stele_append append = make_append("bulk-1", STELE_ANY, events, COUNT);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    free(events);

    findings found = run_checks();

    ck_assert_uint_eq(found.failed, 0);
    ck_assert_uint_eq(found.counts[index_of("positions")], COUNT);
    ck_assert_uint_eq(found.counts[index_of("versions")], COUNT);
    ck_assert_uint_eq(found.counts[index_of("checksums")], COUNT);
}
END_TEST

START_TEST(keys_of_empty_batches_pass)
{
    open_in_file();
    stele_append append = make_append("ghost-1", STELE_NO_STREAM, NULL, 0);
    append.idempotency_key = "empty";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    expect_all_good();
}
END_TEST

START_TEST(verification_changes_nothing)
{
    make_rich_file();
    file_copy before = load_file(store_path());
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    store = open_path(store_path(), &options);

    expect_all_good();

    close_store();
    expect_unchanged(store_path(), before);
}
END_TEST

START_TEST(writers_go_on_between_checks)
{
    make_rich_file();
    open_in_file();
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status;
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);

    while ((status = stele_verify_next(verify, &check)) == STELE_OK) {
        ck_assert_msg(check->failures == 0, "%s: %s", check->name, check->offender);
        fill_stream("a-1", 1);
    }

    assert_status(status, STELE_DONE);
    stele_verify_close(verify);
}
END_TEST

/* --- Damage --- */

static const struct {
    const char *sql;
    const char *check;    /* That must fail. */
    const char *offender; /* What it must say. */
} damages[] = {
    { "CREATE INDEX spare ON mine(n)", "", "" }, /* a user's own: nothing fails */
    { "UPDATE meta SET value = '2' WHERE key = 'created_at'", "meta", "created_at" },
    { "DELETE FROM events WHERE position = 3", "positions", "position 3" },
    { "DELETE FROM events WHERE position = 3", "versions", "version 2" },
    { "DELETE FROM events WHERE position = 1", "positions", "position 1" },
    { "UPDATE events SET version = 9 WHERE position = 5", "versions", "version 3" },
    { "UPDATE events SET version = 9 WHERE position = 5", "checksums", "position 5" },
    { "UPDATE events SET data = x'00' WHERE position = 4", "checksums", "position 4" },
    { "UPDATE events SET recorded_at = 1 WHERE position = 6", "checksums", "position 6" },
    { "UPDATE events SET payload_hash = 1 WHERE position = 2", "checksums", "position 2" },
    { "UPDATE streams SET state = 2 WHERE name = 'c-1'", "names", "streams" },
    { "UPDATE streams SET name = 'c-2' WHERE name = 'c-1'", "names", "streams" },
    { "UPDATE streams SET name = 'c-2' WHERE name = 'c-1'", "checksums", "position 6" },
    { "DELETE FROM streams WHERE name = 'c-1'", "checksums", "position 6" },
    { "UPDATE types SET name = 'other' WHERE name = 'uploaded'", "names", "other" },
    { "UPDATE codecs SET checksum = 0 WHERE name = 'raw'", "names", "raw" },
    { "UPDATE idempotency SET digest = 0", "idempotency", "key-4" },
    { "UPDATE idempotency SET key = 'key-5'", "idempotency", "key-5" },
    { "DELETE FROM idempotency", "idempotency", "position 4" },
    { "UPDATE checkpoints SET position = 2", "checkpoints", "reader" },
    { "UPDATE checkpoints SET name = 'raider'", "checkpoints", "raider" },
    { "UPDATE state SET data = 'y' WHERE key = 'key'", "state", "key" },
    { "UPDATE state_writes SET revision = 2", "state writes", "w-1" },
    { "DELETE FROM state WHERE key = 'key'", "state writes", "belongs to no entry" },
    { "UPDATE state SET revision = 0 WHERE key = 'key'", "state writes", "its entry never had" },
    { "INSERT INTO frame_lane VALUES(1, zeroblob(16), zeroblob(16), 3, 0, zeroblob(256), 7)",
      "frames", "frame_lane" },
    { "INSERT INTO frame_writers VALUES(zeroblob(16), 3, 3, 7)", "frames", "frame_writers" },
    /* The log's tail is gone: whoever had seen more tells of it. */
    { "DELETE FROM events WHERE position > 3", "checkpoints", "reader" },
    { "DELETE FROM events WHERE position > 3", "idempotency", "key-4" },
};

START_TEST(damage_fails_its_check_and_is_named)
{
    make_rich_file();
    run_sql(store_path(), "CREATE TABLE mine(n)");
    run_sql(store_path(), damages[_i].sql);
    open_in_file();

    findings found = run_checks();

    if (damages[_i].check[0] == '\0') {
        ck_assert_uint_eq(found.failed, 0);
        return;
    }
    size_t i = index_of(damages[_i].check);
    ck_assert_uint_gt(found.failures[i], 0);
    ck_assert_msg(strstr(found.offenders[i], damages[_i].offender) != NULL, "'%s' lacks '%s'",
                  found.offenders[i], damages[_i].offender);
}
END_TEST

START_TEST(every_failure_is_counted_and_the_first_is_named)
{
    make_rich_file();
    run_sql(store_path(), "UPDATE events SET checksum = 0 WHERE position IN (2, 4, 5)");
    open_in_file();

    findings found = run_checks();

    size_t i = index_of("checksums");
    ck_assert_uint_eq(found.counts[i], 6);
    ck_assert_uint_eq(found.failures[i], 3);
    ck_assert_ptr_nonnull(strstr(found.offenders[i], "position 2"));
    ck_assert_uint_eq(found.failed, 1);
}
END_TEST

/* Overwrite one entry of an index' only leaf with another: its pointer array is all that changes.
 */
static void repeat_index_entry(const char *index, int entry, int by)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", index);
    int64_t root = sql_number(store_path(), sql);
    file_copy file = load_file(store_path());
    unsigned char *pointers = file.data + (root - 1) * 4096 + 8;
    memcpy(pointers + (ptrdiff_t)2 * entry, pointers + (ptrdiff_t)2 * by, 2);
    save_file(store_path(), file.data, file.size);
    free(file.data);
}

/* At a stream's tail no dense version tells, and no reader would miss it. */
START_TEST(index_entry_lost_at_the_tail_of_a_stream_is_found)
{
    make_rich_file();
    repeat_index_entry("sqlite_autoindex_events_1", 2, 1); /* a-1 version 3 */
    open_in_file();

    findings found = run_checks();

    ck_assert_uint_gt(found.failures[index_of("sqlite")], 0);
    ck_assert_uint_gt(found.failures[index_of("index")], 0);
    ck_assert_ptr_nonnull(strstr(found.offenders[index_of("index")], "position 5"));
}
END_TEST

/* No gap tells of a missing end, and here no key and no checkpoint does. */
START_TEST(lost_end_of_the_log_fails_by_the_anchor)
{
    make_rich_file();
    run_sql(store_path(), "DELETE FROM events WHERE position > 4");
    open_in_file();

    findings found = run_checks();

    ck_assert_uint_eq(found.failed, 1);
    ck_assert_uint_eq(found.failures[index_of("anchor")], 1);
    ck_assert_ptr_nonnull(strstr(found.offenders[index_of("anchor")], "position 6"));
}
END_TEST

START_TEST(tampered_schema_is_found_while_open)
{
    make_rich_file();
    open_in_file();
    run_sql(store_path(), "CREATE INDEX spare ON events(type)");

    findings found = run_checks();

    ck_assert_uint_gt(found.failures[index_of("schema")], 0);
    ck_assert_ptr_nonnull(strstr(found.offenders[index_of("schema")], "spare"));
}
END_TEST

/* --- The digest --- */

static void digest_of_file(const char *path, char digest[17])
{
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    stele_store *opened = open_path(path, &options);
    stele_status status = stele_store_digest(opened, digest);
    if (status != STELE_OK)
        snprintf(digest, 17, "%s", stele_status_name(status));
    stele_store_close(opened);
}

START_TEST(equal_logs_have_equal_digests)
{
    make_rich_file();
    copy_file(store_path(), test_path("copy.db"));
    char digest[17], of_copy[17];

    digest_of_file(store_path(), digest);
    digest_of_file(test_path("copy.db"), of_copy);

    ck_assert_uint_eq(strlen(digest), 16);
    ck_assert_uint_eq(strspn(digest, "0123456789abcdef"), 16);
    ck_assert_str_eq(digest, of_copy);
    run_sql(test_path("copy.db"), "VACUUM; ANALYZE");
    digest_of_file(test_path("copy.db"), of_copy);
    ck_assert_str_eq(digest, of_copy);
}
END_TEST

static const char *const row_changes[] = {
    "UPDATE events SET data = x'00' WHERE position = 4",
    "UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 1",
    "UPDATE events SET checksum = checksum + 1 WHERE position = 1",
    "UPDATE events SET metadata = NULL WHERE position = 4",
    "DELETE FROM events WHERE position = 6",
    "UPDATE events SET data = CAST(data AS BLOB) WHERE position = 1",
    "UPDATE streams SET name = 'x-1' WHERE name = 'a-1'",
    "UPDATE types SET name = 'x' WHERE name = 'counted'",
    "UPDATE codecs SET name = 'x' WHERE name = 'raw'",
    "UPDATE idempotency SET key = 'x'",
    "UPDATE streams SET reason = 'x' WHERE id = 1",
    "UPDATE idempotency SET digest = digest + 1",
    "UPDATE state SET data = 'y' WHERE key = 'key'",
    "UPDATE state SET revision = revision + 1 WHERE key = 'key'",
    "UPDATE state SET updated_at = updated_at + 1 WHERE key = 'key'",
    "UPDATE state SET attributes = '{\"a\":\"b\"}' WHERE key = 'key'",
    "UPDATE state SET scope = 'x' WHERE key = 'key'",
    "DELETE FROM state WHERE key = 'key'",
    "UPDATE state_writes SET digest = digest + 1",
    "UPDATE state_writes SET write_id = 'x'",
    "UPDATE state_writes SET revision = revision + 1",
    "UPDATE state_writes SET written_at = written_at + 1",
    "DELETE FROM state_writes",
};

/* What is of one file alone, and what only stands for something else. */
static const char *const local_changes[] = {
    "DELETE FROM checkpoints",
    "UPDATE meta SET value = 'x' WHERE key = 'created_at'",
    "INSERT INTO codecs VALUES(99, 'unused', 0)",
    "INSERT INTO types VALUES(99, 'unused', 0)",
    "UPDATE events SET type = type + 50; UPDATE types SET id = id + 50",
    "UPDATE state SET id = id + 100; UPDATE state_writes SET id = id + 7, entry = entry + 100",
    ("UPDATE events SET codec = codec + 50; UPDATE state SET codec = codec + 50 WHERE codec > 0;"
     " UPDATE codecs SET id = id + 50"),
    "INSERT INTO frame_lane VALUES(1, zeroblob(16), zeroblob(16), 3, 0, zeroblob(256), 7)",
    "INSERT INTO frame_writers VALUES(zeroblob(16), 3, 3, 7)",
    "INSERT INTO snapshots VALUES(1, 1, 'x', 1, 'x', 1, 1, 1, 1, 'x', NULL)",
    "INSERT INTO parked VALUES('x', 1, 'x', 0, 'x', 1, 1, 1, 1)",
    "INSERT INTO state VALUES(99, '$projections', 'x', 1, 1, 1, NULL, 1, 'x')",
};

START_TEST(what_is_of_one_file_alone_is_not_in_the_digest)
{
    make_rich_file();
    char before[17], after[17];
    digest_of_file(store_path(), before);

    run_sql(store_path(), local_changes[_i]);

    digest_of_file(store_path(), after);
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(any_changed_row_changes_the_digest)
{
    make_rich_file();
    char before[17], after[17];
    digest_of_file(store_path(), before);

    run_sql(store_path(), row_changes[_i]);

    digest_of_file(store_path(), after);
    ck_assert_str_ne(before, after);
}
END_TEST

START_TEST(digest_follows_appends_and_not_checkpoints)
{
    open_in_memory();
    char empty[17], one[17], saved[17];
    assert_status(stele_store_digest(store, empty), STELE_OK);
    fill_stream("a-1", 1);
    assert_status(stele_store_digest(store, one), STELE_OK);
    assert_status(stele_checkpoint_save(store, "reader", 1), STELE_OK);
    assert_status(stele_store_digest(store, saved), STELE_OK);

    ck_assert_str_ne(empty, one);
    ck_assert_str_eq(one, saved);
}
END_TEST

/* --- Arguments and lifetimes --- */

START_TEST(missing_arguments_are_misuse)
{
    open_in_memory();
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    char digest[17];
    assert_status(stele_verify_open(NULL, NULL, &verify), STELE_MISUSE);
    assert_status(stele_verify_open(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_verify_next(NULL, &check), STELE_MISUSE);
    assert_status(stele_store_digest(NULL, digest), STELE_MISUSE);
    assert_status(stele_store_digest(store, NULL), STELE_MISUSE);
    stele_verify_close(NULL);

    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
    assert_status(stele_verify_next(verify, NULL), STELE_MISUSE);
    stele_verify_close(verify);
}
END_TEST

START_TEST(verification_of_a_closed_store_is_closed)
{
    open_in_memory();
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    assert_status(stele_verify_open(store, NULL, &verify), STELE_OK);
    close_store();

    assert_status(stele_verify_next(verify, &check), STELE_CLOSED);

    stele_verify_close(verify);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tests = add_case(suite, "verify", NULL);
    tcase_add_test(tests, good_store_passes_every_check_with_its_counts);
    tcase_add_test(tests, empty_store_passes_every_check);
    tcase_add_test(tests, large_store_passes_every_check_page_by_page);
    tcase_add_test(tests, keys_of_empty_batches_pass);
    tcase_add_test(tests, verification_changes_nothing);
    tcase_add_test(tests, writers_go_on_between_checks);
    tcase_add_loop_test(tests, damage_fails_its_check_and_is_named, 0, (int)COUNT_OF(damages));
    tcase_add_test(tests, every_failure_is_counted_and_the_first_is_named);
    tcase_add_test(tests, index_entry_lost_at_the_tail_of_a_stream_is_found);
    tcase_add_test(tests, lost_end_of_the_log_fails_by_the_anchor);
    tcase_add_test(tests, tampered_schema_is_found_while_open);
    tcase_add_loop_test(tests, any_changed_row_changes_the_digest, 0, (int)COUNT_OF(row_changes));
    tcase_add_loop_test(tests, what_is_of_one_file_alone_is_not_in_the_digest, 0,
                        (int)COUNT_OF(local_changes));
    tcase_add_test(tests, equal_logs_have_equal_digests);
    tcase_add_test(tests, digest_follows_appends_and_not_checkpoints);
    tcase_add_test(tests, missing_arguments_are_misuse);
    tcase_add_test(tests, verification_of_a_closed_store_is_closed);
    return run_suite(suite);
}
