/* Rows changed behind the library's back: reading one is an error that names it, never a wrong
 * value. The file of make_rich_file() has its richest event at position 4, version 2 of "b-1". */
#include "log_text.h"

/* Read all: the positions before `position` come back, then CORRUPT naming it, and again. */
static void expect_corrupt_at(int64_t position)
{
    char named[32];
    snprintf(named, sizeof(named), "position %" PRId64, position);
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = NULL;
    for (int64_t i = 1; i < position; i++)
        ck_assert_int_eq(next_record(cursor)->position, i);

    for (int again = 0; again < 2; again++) {
        assert_status(stele_cursor_next(cursor, &record), STELE_CORRUPT);
        ck_assert_ptr_null(record);
        assert_reason_has(named);
    }
    stele_cursor_close(cursor);
}

/* --- Events --- */

#define AT_4 " WHERE position = 4"

static const char *const event_damages[] = {
    "UPDATE events SET stream = (SELECT id FROM streams WHERE name = 'c-1')" AT_4,
    "UPDATE events SET stream = 77" AT_4,
    "UPDATE events SET version = 9" AT_4,
    "UPDATE events SET type = (SELECT id FROM types WHERE name = 'counted')" AT_4,
    "UPDATE events SET type = 77" AT_4,
    "UPDATE events SET schema_version = schema_version + 1" AT_4,
    "UPDATE events SET codec = (SELECT id FROM codecs WHERE name = 'json')" AT_4,
    "UPDATE events SET codec = 77" AT_4,
    "UPDATE events SET recorded_at = recorded_at + 1" AT_4,
    "UPDATE events SET occurred_at = occurred_at - 1" AT_4,
    "UPDATE events SET occurred_at = NULL" AT_4,
    "UPDATE events SET occurred_at = 0 WHERE position = 4",
    "UPDATE events SET flags = flags | 1" AT_4,
    "UPDATE events SET flags = flags | 2" AT_4,
    "UPDATE events SET flags = flags | 4" AT_4,
    "UPDATE events SET flags = 0" AT_4,
    "UPDATE events SET flags = flags | 1, data = NULL, metadata = NULL" AT_4,
    "UPDATE events SET payload_hash = payload_hash + 1" AT_4,
    "UPDATE events SET checksum = checksum + 1" AT_4,
    "UPDATE events SET data = x'0102030005'" AT_4,
    "UPDATE events SET data = x'01020300'" AT_4,
    "UPDATE events SET data = x'010203000400'" AT_4,
    "UPDATE events SET data = x''" AT_4,
    "UPDATE events SET data = NULL" AT_4,
    "UPDATE events SET data = CAST(data AS TEXT)" AT_4,
    "UPDATE events SET data = 1" AT_4,
    "UPDATE events SET data = 1.5" AT_4,
    "UPDATE events SET metadata = '{\"by\":\"mf\"}'" AT_4,
    "UPDATE events SET metadata = NULL" AT_4,
    "UPDATE events SET metadata = ''" AT_4,
    "UPDATE events SET metadata = CAST(metadata AS BLOB)" AT_4,
    /* A whole row that was true elsewhere. */
    "UPDATE events SET (data, metadata, payload_hash) ="
    " (SELECT data, metadata, payload_hash FROM events WHERE position = 3)" AT_4,
    "UPDATE events SET (type, schema_version, codec, recorded_at, occurred_at, flags, payload_hash,"
    " checksum, data, metadata) = (SELECT type, schema_version, codec, recorded_at, occurred_at,"
    " flags, payload_hash, checksum, data, metadata FROM events WHERE position = 3)" AT_4,
    "DELETE FROM events" AT_4,
};

START_TEST(damaged_event_is_corrupt_with_its_position)
{
    make_rich_file();
    run_sql(store_path(), event_damages[_i]);
    open_in_file();

    expect_corrupt_at(4);
}
END_TEST

/* JSON is kept as text, where one changed letter makes other JSON. */
START_TEST(damaged_json_is_corrupt_with_its_position)
{
    make_rich_file();
    run_sql(store_path(), "UPDATE events SET data = '{\"n\":2}' WHERE position = 3");
    open_in_file();

    expect_corrupt_at(3);
}
END_TEST

START_TEST(two_events_that_changed_places_are_corrupt)
{
    make_rich_file();
    run_sql(store_path(), "UPDATE events SET position = 100 WHERE position = 4;"
                          "UPDATE events SET position = 4 WHERE position = 5;"
                          "UPDATE events SET position = 5 WHERE position = 100");
    open_in_file();

    expect_corrupt_at(4);
}
END_TEST

START_TEST(read_of_the_damaged_stream_is_corrupt_and_others_go_on)
{
    make_rich_file();
    run_sql(store_path(), "UPDATE events SET schema_version = 9" AT_4);
    open_in_file();
    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";
    ck_assert_str_eq(versions_of(&read), "1 2 3");

    read.stream = "b-1";
    stele_cursor *cursor = open_read(&read);
    ck_assert_int_eq(next_record(cursor)->version, 1);
    const stele_record *record = NULL;
    assert_status(stele_cursor_next(cursor, &record), STELE_CORRUPT);
    stele_cursor_close(cursor);

    read.direction = STELE_BACKWARD;
    cursor = open_read(&read);
    assert_status(stele_cursor_next(cursor, &record), STELE_CORRUPT);
    stele_cursor_close(cursor);
    assert_status(append_one("a-1", 3, "went on", NULL), STELE_OK);
}
END_TEST

/* --- Names --- */

static const struct {
    const char *sql;
    int64_t position; /* Of the first event that needs the row. */
} name_damages[] = {
    { "UPDATE streams SET name = 'b-2' WHERE name = 'b-1'", 2 },
    { "UPDATE streams SET checksum = checksum + 1 WHERE name = 'b-1'", 2 },
    { "UPDATE streams SET state = 1 WHERE name = 'b-1'", 2 },
    { "UPDATE streams SET reason = 'x' WHERE name = 'b-1'", 2 },
    { "UPDATE streams SET changed_at = 5 WHERE name = 'b-1'", 2 },
    { "UPDATE streams SET base_version = 1 WHERE name = 'b-1'", 2 },
    { "UPDATE streams SET name = NULL WHERE name = 'b-1'", 2 },
    { "DELETE FROM streams WHERE name = 'b-1'", 2 },
    { "UPDATE streams SET name = 't' WHERE name = 'a-1';"
      "UPDATE streams SET name = 'a-1' WHERE name = 'b-1';"
      "UPDATE streams SET name = 'b-1' WHERE name = 't'",
      1 },
    { "UPDATE types SET name = 'downloaded' WHERE name = 'uploaded'", 4 },
    { "UPDATE types SET checksum = 0 WHERE name = 'uploaded'", 4 },
    { "DELETE FROM types WHERE name = 'uploaded'", 4 },
    { "UPDATE types SET name = 't' WHERE name = 'uploaded';"
      "UPDATE types SET name = 'uploaded' WHERE name = 'counted';"
      "UPDATE types SET name = 'counted' WHERE name = 't'",
      1 },
    { "UPDATE codecs SET name = 'x-raw' WHERE name = 'raw'", 4 },
    { "UPDATE codecs SET checksum = 0 WHERE name = 'raw'", 4 },
    { "DELETE FROM codecs WHERE name = 'raw'", 4 },
};

START_TEST(damaged_name_is_corrupt_where_it_is_first_needed)
{
    make_rich_file();
    run_sql(store_path(), name_damages[_i].sql);
    open_in_file();

    expect_corrupt_at(name_damages[_i].position);
}
END_TEST

/* An append must not build on a row that it can't trust. */
START_TEST(append_to_a_damaged_stream_is_corrupt)
{
    make_rich_file();
    run_sql(store_path(), "UPDATE streams SET base_version = 7 WHERE name = 'b-1'");
    open_in_file();

    assert_status(append_one("b-1", STELE_ANY, "more", NULL), STELE_CORRUPT);

    assert_status(append_one("a-1", STELE_ANY, "more", NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), 7);
}
END_TEST

START_TEST(append_of_a_damaged_type_is_corrupt)
{
    make_rich_file();
    run_sql(store_path(), "UPDATE types SET checksum = 0 WHERE name = 'counted'");
    open_in_file();
    stele_event event = make_event("counted", "{}");

    assert_status(append_event("a-1", &event), STELE_CORRUPT);

    ck_assert_int_eq(head_of(store), 6);
}
END_TEST

/* --- Keys, checkpoints, facts --- */

static const char *const key_damages[] = {
    "UPDATE idempotency SET digest = digest + 1",
    "UPDATE idempotency SET digest = NULL",
    "UPDATE idempotency SET version = version + 1",
    "UPDATE idempotency SET event_count = 2",
    "UPDATE idempotency SET stream = 1",
    "UPDATE idempotency SET id = 5",
    "UPDATE idempotency SET checksum = checksum + 1",
};

START_TEST(retry_on_a_damaged_key_is_corrupt)
{
    make_rich_file();
    run_sql(store_path(), key_damages[_i]);
    open_in_file();
    stele_event event = { .type = "uploaded", .data = "\1\2\3\0\4", .data_size = 5 };
    event.codec = "raw";
    stele_append append = make_append("b-1", STELE_ANY, &event, 1);
    append.idempotency_key = "key-4";

    assert_status(stele_store_append(store, &append, NULL), STELE_CORRUPT);

    assert_reason_has("key-4");
    ck_assert_int_eq(head_of(store), 6);
}
END_TEST

START_TEST(event_whose_key_is_damaged_or_gone_is_corrupt_when_keys_are_read)
{
    const char *damages[] = { "UPDATE idempotency SET key = 'key-5'",
                              "UPDATE idempotency SET digest = 0", "DELETE FROM idempotency" };
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        make_rich_file();
        run_sql(store_path(), damages[i]);
        open_in_file();
        expect_corrupt_at(4);
        ck_assert_str_eq(positions_of(NULL), "1 2 3 4 5 6");
        close_store();
        ck_assert_int_eq(unlink(store_path()), 0);
    }
}
END_TEST

static const char *const checkpoint_damages[] = {
    "UPDATE checkpoints SET lanes = 5",      "UPDATE checkpoints SET position = 5",
    "UPDATE checkpoints SET epoch = 'x'",    "UPDATE checkpoints SET saved_at = 5",
    "UPDATE checkpoints SET generation = 5", "UPDATE checkpoints SET owner = 'me'",
    "UPDATE checkpoints SET boot = 'x'",     "UPDATE checkpoints SET lease_until = 5",
    "UPDATE checkpoints SET beat_at = 5",    "UPDATE checkpoints SET attempting = 1",
    "UPDATE checkpoints SET attempts = 5",   "UPDATE checkpoints SET effects_after = 5",
    "UPDATE checkpoints SET state = 5",      "UPDATE checkpoints SET rate = 5",
    "UPDATE checkpoints SET lag = 5",        "UPDATE checkpoints SET lag_before = 5",
    "UPDATE checkpoints SET error = 'x'",    "UPDATE checkpoints SET error_position = 5",
    "UPDATE checkpoints SET error_at = 5",   "UPDATE checkpoints SET checksum = 5",
};

START_TEST(damaged_checkpoint_is_corrupt_by_name)
{
    make_rich_file();
    run_sql(store_path(), checkpoint_damages[_i]);
    open_in_file();
    stele_checkpoint checkpoint = { 0 };

    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_CORRUPT);

    assert_reason_has("reader");
    ck_assert(!checkpoint.found);
}
END_TEST

/* It had another name: what one reader saved must not become another reader's place. */
START_TEST(checkpoint_under_another_name_is_corrupt)
{
    make_rich_file();
    run_sql(store_path(), "UPDATE checkpoints SET name = 'raider'");
    open_in_file();
    stele_checkpoint checkpoint = { 0 };

    assert_status(stele_checkpoint_load(store, "raider", &checkpoint), STELE_CORRUPT);
}
END_TEST

static const char *const fact_damages[] = {
    "UPDATE meta SET value = '00000000-0000-4000-8000-000000000000' WHERE key = 'uuid'",
    "UPDATE meta SET checksum = checksum + 1 WHERE key = 'uuid'",
    "UPDATE epochs SET epoch = '00000000-0000-4000-8000-000000000000'",
    "UPDATE epochs SET starts_after = 3",
    "UPDATE epochs SET started_at = 3",
    "DELETE FROM epochs",
};

START_TEST(damaged_fact_about_the_file_is_corrupt_at_open)
{
    make_rich_file();
    run_sql(store_path(), fact_damages[_i]);

    refuse_path(store_path(), NULL, STELE_CORRUPT);
}
END_TEST

/* --- Holes --- */

/* Change an index alone, through a table that is laid over it. */
static void run_on_index(const char *index, const char *columns, const char *sql)
{
    char text[256];
    sqlite3 *raw = open_raw(store_path());
    snprintf(text, sizeof(text), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", index);
    int root = (int)raw_number(raw, text);
    ck_assert_int_gt(root, 1);
    ck_assert_int_eq(sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, raw, "main", 1, root),
                     SQLITE_OK);
    snprintf(text, sizeof(text), "CREATE TABLE imposter(%s, PRIMARY KEY(%s)) WITHOUT ROWID",
             columns, columns);
    run_raw(raw, text);
    sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, raw, "main", 0, 0);
    run_raw(raw, sql);
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
}

static void expect_hole(stele_read *read, const char *named)
{
    for (int backward = 0; backward <= 1; backward++) {
        read->direction = backward ? STELE_BACKWARD : STELE_FORWARD;
        stele_cursor *cursor = NULL;
        stele_status status = stele_store_read(store, read, &cursor);
        const stele_record *record = NULL;
        while (status == STELE_OK)
            status = stele_cursor_next(cursor, &record);
        ck_assert_int_eq(status, STELE_CORRUPT);
        assert_reason_has(named);
        stele_cursor_close(cursor);
    }
}

START_TEST(version_lost_by_the_index_is_a_hole_in_its_stream)
{
    make_rich_file();
    run_on_index("sqlite_autoindex_events_1", "stream, version, position",
                 "DELETE FROM imposter WHERE position = 3");
    open_in_file();
    stele_read read = STELE_READ_INIT;
    ck_assert_str_eq(positions_of(&read), "1 2 3 4 5 6");
    read.stream = "a-1";

    expect_hole(&read, "version 2 of stream 'a-1'");
}
END_TEST

START_TEST(index_entry_that_points_to_another_event_is_corrupt)
{
    make_rich_file();
    run_on_index("sqlite_autoindex_events_1", "stream, version, position",
                 "UPDATE imposter SET position = 2 WHERE position = 3");
    open_in_file();
    stele_read read = STELE_READ_INIT;
    read.stream = "a-1";

    expect_hole(&read, "position 2");
}
END_TEST

/* The index leads to a row twice, in the place of another one. */
START_TEST(stream_that_its_index_names_twice_is_corrupt)
{
    make_rich_file();
    int64_t root = sql_number(store_path(), "SELECT rootpage FROM sqlite_schema"
                                            " WHERE name = 'sqlite_autoindex_streams_1'");
    file_copy file = load_file(store_path());
    unsigned char *pointers = file.data + (root - 1) * 4096 + 8;
    memcpy(pointers + 2, pointers, 2);
    save_file(store_path(), file.data, file.size);
    free(file.data);
    open_in_file();
    stele_streams *streams = NULL;
    const stele_stream_info *info = NULL;

    stele_status status = stele_store_streams(store, NULL, &streams);
    while (status == STELE_OK)
        status = stele_streams_next(streams, &info);

    assert_status(status, STELE_CORRUPT);
    assert_reason_has("'a-1'");
    stele_streams_close(streams);
}
END_TEST

/* A blob is behind every text: after it, it would come again, and again. */
START_TEST(stream_whose_index_has_its_name_as_a_blob_is_corrupt)
{
    make_rich_file();
    run_on_index("sqlite_autoindex_streams_1", "name, id",
                 "UPDATE imposter SET name = CAST(name AS BLOB) WHERE name = 'c-1'");
    open_in_file();
    stele_streams *streams = NULL;
    const stele_stream_info *info = NULL;
    int count = 0;

    stele_status status = stele_store_streams(store, NULL, &streams);
    while (status == STELE_OK && (status = stele_streams_next(streams, &info)) == STELE_OK)
        ck_assert_int_le(++count, 3);

    assert_status(status, STELE_CORRUPT);
    assert_reason_has("'c-1'");
    stele_streams_close(streams);
}
END_TEST

/* The index leads, between two versions of one stream, to a version of another: that row is whole,
 * and its version would fit. */
START_TEST(index_that_leads_into_another_stream_is_corrupt)
{
    make_rich_file();
    open_in_file();
    fill_stream("c-1", 2);
    close_store();
    int64_t root = sql_number(store_path(), "SELECT rootpage FROM sqlite_schema"
                                            " WHERE name = 'sqlite_autoindex_events_1'");
    file_copy file = load_file(store_path());
    /* The leaf's cells in order: a-1 1 to 3, b-1 1 and 2, c-1 1 to 3. */
    unsigned char *pointers = file.data + (root - 1) * 4096 + 8;
    memcpy(pointers + 2 * 6, pointers + 2 * 1, 2);
    save_file(store_path(), file.data, file.size);
    free(file.data);
    open_in_file();
    stele_read read = STELE_READ_INIT;
    read.stream = "c-1";

    stele_cursor *cursor = open_read(&read);
    const stele_record *record = next_record(cursor);
    ck_assert_int_eq(record->version, 1);
    assert_status(stele_cursor_next(cursor, &record), STELE_CORRUPT);
    assert_reason_has("position 3");
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(deleted_row_is_a_hole_in_the_positions)
{
    make_rich_file();
    run_sql(store_path(), "DELETE FROM events WHERE position = 3");
    open_in_file();
    stele_read read = STELE_READ_INIT;

    expect_hole(&read, "position 3");
    read.after_position = 2;
    expect_hole(&read, "position 3");
    read.after_position = 3;
    ck_assert_str_eq(positions_of(&read), "6 5 4");
}
END_TEST

START_TEST(first_row_deleted_is_a_hole_too)
{
    make_rich_file();
    run_sql(store_path(), "DELETE FROM events WHERE position = 1");
    open_in_file();
    stele_read read = STELE_READ_INIT;

    expect_hole(&read, "position 1");
    read.stream = "a-1";
    expect_hole(&read, "version 1 of stream 'a-1'");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("damage");
    TCase *tests = add_case(suite, "file", NULL);
    tcase_add_loop_test(tests, damaged_event_is_corrupt_with_its_position, 0,
                        (int)COUNT_OF(event_damages));
    tcase_add_test(tests, damaged_json_is_corrupt_with_its_position);
    tcase_add_test(tests, two_events_that_changed_places_are_corrupt);
    tcase_add_test(tests, read_of_the_damaged_stream_is_corrupt_and_others_go_on);
    tcase_add_loop_test(tests, damaged_name_is_corrupt_where_it_is_first_needed, 0,
                        (int)COUNT_OF(name_damages));
    tcase_add_test(tests, append_to_a_damaged_stream_is_corrupt);
    tcase_add_test(tests, append_of_a_damaged_type_is_corrupt);
    tcase_add_loop_test(tests, retry_on_a_damaged_key_is_corrupt, 0, (int)COUNT_OF(key_damages));
    tcase_add_test(tests, event_whose_key_is_damaged_or_gone_is_corrupt_when_keys_are_read);
    tcase_add_loop_test(tests, damaged_checkpoint_is_corrupt_by_name, 0,
                        (int)COUNT_OF(checkpoint_damages));
    tcase_add_test(tests, checkpoint_under_another_name_is_corrupt);
    tcase_add_loop_test(tests, damaged_fact_about_the_file_is_corrupt_at_open, 0,
                        (int)COUNT_OF(fact_damages));
    tcase_add_test(tests, version_lost_by_the_index_is_a_hole_in_its_stream);
    tcase_add_test(tests, index_entry_that_points_to_another_event_is_corrupt);
    tcase_add_test(tests, stream_that_its_index_names_twice_is_corrupt);
    tcase_add_test(tests, stream_whose_index_has_its_name_as_a_blob_is_corrupt);
    tcase_add_test(tests, index_that_leads_into_another_stream_is_corrupt);
    tcase_add_test(tests, deleted_row_is_a_hole_in_the_positions);
    tcase_add_test(tests, first_row_deleted_is_a_hole_too);
    return run_suite(suite);
}
