/*
 * Snapshots that are damaged: loading misses and goes on to an older one, the list tells, verify
 * finds and drops them. Never is a wrong value given out, and never does loading fail.
 */
#include "snapshot_file.h"

#include <stele/copy.h>
#include <stele/verify.h>

/* --- Rows changed by plain SQL --- */

#define OF_9 " WHERE stream = 1 AND version = 9"

static const struct {
    const char *sql;
    stele_snapshot_miss miss;
} damages[] = {
    { "UPDATE snapshots SET data = replace(data, 'version', 'varsion')" OF_9,
      STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET data = ''" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET data = CAST(data AS BLOB)" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET data = 7" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET data = 7.5" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET data = CAST(x'ff00fe' AS TEXT)" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET metadata = NULL" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET metadata = CAST(metadata AS BLOB)" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET metadata = '{\"by\":\"us\"}'" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET version = 8" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET version = 1000" OF_9, STELE_SNAPSHOT_BEYOND },
    { "UPDATE snapshots SET schema_version = 2" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET saved_at = saved_at + 1" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET checksum = checksum + 1" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET epoch = 'another'" OF_9, STELE_SNAPSHOT_EPOCH },
    { "UPDATE snapshots SET epoch = ''" OF_9, STELE_SNAPSHOT_EPOCH },
    { "UPDATE snapshots SET epoch = CAST(x'ff' AS TEXT)" OF_9, STELE_SNAPSHOT_EPOCH },
    { "UPDATE snapshots SET codec = 77" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET codec = -1" OF_9, STELE_SNAPSHOT_DAMAGED },
    { "INSERT INTO codecs VALUES(77, 'raw', 5); UPDATE snapshots SET codec = 77" OF_9,
      STELE_SNAPSHOT_DAMAGED },
    { "UPDATE snapshots SET stream = 2" OF_9, STELE_SNAPSHOT_HIT },
    { "UPDATE snapshots SET name = 'other'" OF_9, STELE_SNAPSHOT_HIT },
    { "DELETE FROM snapshots" OF_9, STELE_SNAPSHOT_HIT },
};

/* The damaged one is told of as the reason, and passed over. */
START_TEST(damaged_row_is_a_miss_and_an_older_one_is_loaded)
{
    stele_snapshot_read read = make_snapshot_read("a-1");
    make_file();
    run_sql(store_path(), damages[_i].sql);
    open_in_file();

    expect_hit_by(&read, 6, data_of(6));

    close_store();
    if (damages[_i].miss == STELE_SNAPSHOT_HIT)
        return;
    run_sql(store_path(), "DELETE FROM snapshots WHERE stream = 1 AND version < 8");
    open_in_file();
    expect_miss_by(&read, damages[_i].miss);
    stele_transaction *transaction = begin();
    const stele_snapshot_record *record = NULL;
    assert_status(stele_transaction_snapshot_load(transaction, &read, &record), STELE_OK);
    expect_miss_record(record, damages[_i].miss);
    stele_snapshot_close(record);
    stele_transaction_end(transaction);
}
END_TEST

/* A row that is another's may not be taken for one's own. */
START_TEST(row_that_was_moved_to_another_stream_or_name_is_damaged)
{
    stele_snapshot_read read = make_snapshot_read("a-1");
    make_file();
    run_sql(store_path(), "UPDATE snapshots SET stream = 2" OF_9);
    run_sql(store_path(), "UPDATE snapshots SET name = 'other' WHERE stream = 1 AND version = 6");
    open_in_file();

    expect_hit("b-1", 5, "5");
    read.name = "other";
    expect_miss_by(&read, STELE_SNAPSHOT_DAMAGED);
}
END_TEST

/* Both codecs are stored as bytes, so that only the checksum knows which it was. */
START_TEST(snapshot_whose_codec_was_changed_to_another_of_bytes_is_damaged)
{
    static const char *const codecs[] = { "raw", "other" };
    make_file();
    open_in_file();
    for (int i = 0; i < 2; i++) {
        stele_snapshot snapshot = make_snapshot(i == 0 ? "a-1" : "b-1", HEAD, "bytes");
        snapshot.codec = codecs[i];
        assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    }
    expect_hit("a-1", HEAD, "bytes"); /* the control */
    close_store();
    run_sql(store_path(), "UPDATE snapshots SET codec = (SELECT codec FROM snapshots WHERE"
                          " stream = 2) WHERE stream = 1");
    open_in_file();

    expect_miss("a-1", STELE_SNAPSHOT_DAMAGED);
    expect_hit("b-1", HEAD, "bytes");
}
END_TEST

/* --- The list, and saving over it --- */

START_TEST(list_tells_of_damage_without_failing)
{
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = NULL;
    stele_snapshot_miss expected = STELE_SNAPSHOT_HIT;
    make_file();
    run_sql(store_path(), damages[_i].sql);
    open_in_file();

    assert_status(stele_store_snapshots(store, NULL, &list), STELE_OK);
    int bad = 0;
    stele_status status;
    while ((status = stele_snapshots_next(list, &info)) == STELE_OK)
        if (info->miss != STELE_SNAPSHOT_HIT) {
            expected = info->miss;
            bad++;
        }
    assert_status(status, STELE_DONE);
    stele_snapshots_close(list);
    ck_assert_int_eq(bad, strncmp(damages[_i].sql, "DELETE", 6) != 0);
    if (bad > 0) /* whatever was changed, the row isn't what was saved */
        ck_assert_int_eq(expected, STELE_SNAPSHOT_DAMAGED);
}
END_TEST

START_TEST(damaged_one_of_a_higher_version_does_not_count_and_is_dropped_by_saving)
{
    make_file();
    run_sql(store_path(), "UPDATE snapshots SET checksum = 0" OF_9);
    open_in_file();

    assert_status(save_to(store, "a-1", 7, "7"), STELE_OK);

    expect_hit("a-1", 7, "7");
    ck_assert_str_eq(listed(store, NULL), "a-1 state 7, b-1 state 5");
}
END_TEST

/* A whole snapshot of the epoch that goes on, beyond its stream: of a file that was put back to
 * what it was before, into which the row came from after. */
static void put_one_beyond(void)
{
    char sql[4300];
    make_file();
    file_copy before = load_file(store_path());
    open_in_file();
    stele_event event = make_event("noted", "{}");
    assert_status(append_event("b-1", &event), STELE_OK);
    save_kept("b-1", HEAD + 1, "\"beyond\"", 1);
    close_store();
    snprintf(sql, sizeof(sql),
             "ATTACH '%s' AS side; CREATE TABLE side.kept AS SELECT * FROM snapshots WHERE stream"
             " = 2",
             test_path("side.db"));
    run_sql(store_path(), sql);
    save_file(store_path(), before.data, before.size);
    free(before.data);
    unlink(test_path("store.db-anchor"));
    snprintf(sql, sizeof(sql),
             "ATTACH '%s' AS side; DELETE FROM snapshots WHERE stream = 2; INSERT INTO"
             " snapshots SELECT * FROM side.kept",
             test_path("side.db"));
    run_sql(store_path(), sql);
}

START_TEST(one_beyond_its_stream_does_not_count_and_is_dropped_by_saving)
{
    put_one_beyond();
    open_in_file();
    ck_assert_int_eq(version_of("b-1"), HEAD);
    expect_miss("b-1", STELE_SNAPSHOT_BEYOND);

    assert_status(save_to(store, "b-1", 4, "4"), STELE_OK);

    expect_hit("b-1", 4, "4");
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM snapshots WHERE stream = 2"),
                     1);
}
END_TEST

START_TEST(damaged_one_of_the_same_version_is_replaced)
{
    make_file();
    run_sql(store_path(), "UPDATE snapshots SET data = 'x'" OF_9);
    open_in_file();

    save_kept("a-1", 9, "\"whole\"", 3);

    expect_hit("a-1", 9, "\"whole\"");
}
END_TEST

START_TEST(more_rows_than_are_kept_are_not_all_searched)
{
    make_file();
    run_sql(store_path(),
            "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
            " INSERT INTO snapshots(stream, name, version, epoch, schema_version, codec, saved_at,"
            " checksum, data) SELECT 1, 'state', i, 'e', 1, 1, 0, 0, 'x' FROM n");
    open_in_file();

    expect_miss("a-1", STELE_SNAPSHOT_EPOCH);
    save_kept("a-1", 10, "10", 3);
    ck_assert_int_eq(sql_number(store_path(), "SELECT count(*) FROM snapshots WHERE stream = 1"),
                     3);
    expect_hit("a-1", 10, "10");
}
END_TEST

/* --- Verify and repair --- */

typedef struct verdict {
    uint64_t count;
    uint64_t failures;
    bool repaired;
    char offender[512];
    uint64_t others; /* failures of other checks */
} verdict;

static verdict verify(bool repair)
{
    verdict found = { 0 };
    stele_verify_options options = STELE_VERIFY_INIT;
    stele_verify *open = NULL;
    const stele_check *check = NULL;
    stele_status status;
    bool seen = false;
    options.repair = repair;
    assert_status(stele_verify_open(store, &options, &open), STELE_OK);
    while ((status = stele_verify_next(open, &check)) == STELE_OK)
        if (strcmp(check->name, "snapshots") == 0) {
            seen = true;
            found.count = check->count;
            found.failures = check->failures;
            found.repaired = check->repaired;
            snprintf(found.offender, sizeof(found.offender), "%s", check->offender);
        } else {
            found.others += check->failures;
        }
    assert_status(status, STELE_DONE);
    stele_verify_close(open);
    ck_assert(seen);
    return found;
}

START_TEST(whole_snapshots_pass_their_check)
{
    make_file();
    open_in_file();
    verdict found = verify(true);
    ck_assert_uint_eq(found.count, 4);
    ck_assert_uint_eq(found.failures + found.others, 0);
    ck_assert(!found.repaired);
}
END_TEST

START_TEST(damaged_row_fails_the_check_and_repair_drops_it_alone)
{
    make_file();
    run_sql(store_path(), damages[_i].sql);
    bool deleted = strncmp(damages[_i].sql, "DELETE", 6) == 0;
    open_in_file();

    verdict found = verify(false);
    ck_assert_uint_eq(found.failures, deleted ? 0 : 1);
    if (!deleted)
        ck_assert_msg(strstr(found.offender, "snapshot '") != NULL, "%s", found.offender);
    found = verify(true);
    ck_assert_uint_eq(found.failures, 0);
    ck_assert_int_eq(found.repaired, !deleted);
    ck_assert_uint_eq(found.count, 3);

    ck_assert_str_eq(listed(store, NULL), "a-1 state 6, a-1 state 3, b-1 state 5");
    expect_hit("a-1", 6, data_of(6));
    found = verify(false);
    ck_assert_uint_eq(found.failures, 0);
}
END_TEST

START_TEST(snapshot_without_a_stream_fails_the_check)
{
    stele_snapshots *list = NULL;
    const stele_snapshot_info *info = NULL;
    make_file();
    run_sql(store_path(),
            "UPDATE streams SET name = NULL WHERE id = 2; DELETE FROM streams WHERE id = 1");
    open_in_file();

    verdict found = verify(false);
    ck_assert_uint_eq(found.failures, 4);
    ck_assert_ptr_nonnull(strstr(found.offender, "its stream is not there"));
    assert_status(stele_store_snapshots(store, NULL, &list), STELE_OK);
    for (int i = 0; i < 4; i++) {
        assert_status(stele_snapshots_next(list, &info), STELE_OK);
        ck_assert_str_eq(info->stream, "");
        ck_assert_int_eq(info->miss, STELE_SNAPSHOT_DAMAGED);
        ck_assert_int_eq(info->stream_version, 0);
    }
    stele_snapshots_close(list);
}
END_TEST

/* They are left from events that were lost, and that is found elsewhere. */
START_TEST(foreign_epoch_and_a_version_beyond_are_no_damage)
{
    stele_options options = STELE_OPTIONS_INIT;
    make_file();
    run_sql(store_path(), "DELETE FROM events WHERE stream = 2 AND version > 4");
    open_in_file();
    ck_assert_uint_eq(verify(false).failures, 0);
    close_store();
    options.accept_loss = true;
    store = open_path(store_path(), &options);
    ck_assert_uint_eq(verify(false).failures, 0);
    ck_assert_uint_eq(verify(false).count, 4);
}
END_TEST

/* More rows than are looked at in one transaction. */
START_TEST(repair_goes_in_steps)
{
    make_file();
    run_sql(store_path(),
            "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 2600)"
            " INSERT INTO snapshots(stream, name, version, epoch, schema_version, codec, saved_at,"
            " checksum, data) SELECT 1, 'state', i, 'e', 1, 1, 0, 0, 'x' FROM n");
    open_in_file();
    ck_assert_uint_eq(verify(false).failures, 2501);
    verdict found = verify(true);
    ck_assert(found.repaired);
    ck_assert_uint_eq(found.count, 4);
}
END_TEST

/* The row's overflow leads into pages of events: deleting it would give those away. */
START_TEST(repair_leaves_what_is_mixed_up_with_other_pages)
{
    make_file();
    open_in_file();
    char *large = malloc(60000);
    ck_assert_ptr_nonnull(large);
    memset(large, ' ', 60000);
    large[0] = '1';
    large[59999] = '\0';
    save_kept("a-1", 10, large, 9);
    memset(large + 1, '\t', 59998);
    stele_event event = make_event("noted", large);
    assert_status(append_event("c-1", &event), STELE_OK);
    free(large);
    close_store();
    int64_t first =
        sql_number(store_path(), "SELECT min(pageno) FROM dbstat WHERE name = 'snapshots'"
                                 " AND pagetype = 'overflow' AND path LIKE '%+000003'");
    int64_t others = sql_number(store_path(), "SELECT min(pageno) FROM dbstat WHERE name = 'events'"
                                              " AND pagetype = 'overflow'");
    if (first < 0 || others < 0)
        skip_test("this SQLite has no dbstat");
    file_copy file = load_file(store_path());
    unsigned char *pointer = file.data + (first - 1) * 4096;
    for (int i = 0; i < 4; i++)
        pointer[i] = (unsigned char)((uint64_t)others >> (24 - 8 * i));
    save_file(store_path(), file.data, file.size);
    free(file.data);
    open_in_file();

    verdict found = verify(true);

    ck_assert_uint_gt(found.failures, 0);
    ck_assert(!found.repaired);
    stele_cursor *cursor = NULL;
    ck_assert_uint_eq(read_only_record("c-1", &cursor)->data_size, 59999);
    stele_cursor_close(cursor);
    /* Loading doesn't mind. */
    expect_hit("a-1", 9, data_of(9));
}
END_TEST

/* --- Pages that can't be read --- */

static void break_page_of(const char *name)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_master WHERE name = '%s'", name);
    int64_t page = sql_number(store_path(), sql);
    file_copy file = load_file(store_path());
    ck_assert_uint_ge(file.size, (size_t)page * 4096);
    file.data[(page - 1) * 4096] = 0xff; /* no kind of page */
    save_file(store_path(), file.data, file.size);
    free(file.data);
}

/* Loading is a miss even then; only what has to write there fails. */
START_TEST(page_that_can_not_be_read_is_a_miss_and_corrupt_for_who_writes)
{
    static const char *const pages[] = { "sqlite_autoindex_snapshots_1", "snapshots" };
    make_file();
    break_page_of(pages[_i]);
    open_in_file();

    expect_miss("a-1", STELE_SNAPSHOT_DAMAGED);
    expect_miss("b-1", STELE_SNAPSHOT_DAMAGED);
    stele_transaction *transaction = begin();
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = NULL;
    assert_status(stele_transaction_snapshot_load(transaction, &read, &record), STELE_OK);
    expect_miss_record(record, STELE_SNAPSHOT_DAMAGED);
    stele_snapshot_close(record);
    stele_transaction_end(transaction);

    assert_status(save_to(store, "a-1", 9, "9"), STELE_CORRUPT);
    assert_status(stele_snapshot_invalidate(store, "a-1", NULL, NULL), STELE_CORRUPT);
    ck_assert_int_eq(version_of("a-1"), HEAD);
    ck_assert(!verify(true).repaired);
    assert_status(save_to(store, "a-1", 9, "9"), STELE_CORRUPT);

    /* The way out: what isn't a cache goes into another file. */
    stele_store *target = open_path(test_path("target.db"), NULL);
    assert_status(stele_store_copy(store, target, NULL, NULL), STELE_OK);
    assert_status(save_to(target, "a-1", 9, "9"), STELE_OK);
    stele_store_close(target);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot_damage");
    const int count = (int)COUNT_OF(damages);

    TCase *tests = add_case(suite, "rows", NULL);
    tcase_add_loop_test(tests, damaged_row_is_a_miss_and_an_older_one_is_loaded, 0, count);
    tcase_add_test(tests, row_that_was_moved_to_another_stream_or_name_is_damaged);
    tcase_add_loop_test(tests, list_tells_of_damage_without_failing, 0, count);
    tcase_add_test(tests, damaged_one_of_a_higher_version_does_not_count_and_is_dropped_by_saving);
    tcase_add_test(tests, snapshot_whose_codec_was_changed_to_another_of_bytes_is_damaged);
    tcase_add_loop_test(tests, page_that_can_not_be_read_is_a_miss_and_corrupt_for_who_writes, 0,
                        2);
    tcase_add_test(tests, one_beyond_its_stream_does_not_count_and_is_dropped_by_saving);
    tcase_add_test(tests, damaged_one_of_the_same_version_is_replaced);
    tcase_add_test(tests, more_rows_than_are_kept_are_not_all_searched);

    tests = add_case(suite, "verify", NULL);
    tcase_add_test(tests, whole_snapshots_pass_their_check);
    tcase_add_loop_test(tests, damaged_row_fails_the_check_and_repair_drops_it_alone, 0, count);
    tcase_add_test(tests, snapshot_without_a_stream_fails_the_check);
    tcase_add_test(tests, foreign_epoch_and_a_version_beyond_are_no_damage);
    tcase_add_test(tests, repair_goes_in_steps);
    tcase_add_test(tests, repair_leaves_what_is_mixed_up_with_other_pages);
    return run_suite(suite);
}
