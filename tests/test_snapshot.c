/* Snapshots: saving, loading, keeping several, and transactions. */
#include "snapshots.h"

#define HEAD 20

static void open_with_stream(void)
{
    open_in_memory();
    fill_stream("a-1", HEAD);
}

static void open_file_with_stream(void)
{
    open_in_file();
    fill_stream("a-1", HEAD);
}

/* --- One stream --- */

START_TEST(stream_without_a_snapshot_is_a_miss_and_no_failure)
{
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
    expect_miss("never-1", STELE_SNAPSHOT_NONE);
}
END_TEST

START_TEST(what_was_saved_is_loaded)
{
    static const unsigned char data[] = { 1, 0, 255, '\n', 0 };
    stele_snapshot snapshot = make_snapshot("a-1", 7, "");
    snapshot.name = "balance";
    snapshot.schema_version = 3;
    snapshot.codec = "own";
    snapshot.data = data;
    snapshot.data_size = sizeof(data);
    snapshot.metadata = "{ \"by\" : \"me\" }";
    snapshot.metadata_size = strlen(snapshot.metadata);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);

    stele_snapshot_read read = make_snapshot_read("a-1");
    read.name = "balance";
    const stele_snapshot_record *record = load_by(store, &read);

    ck_assert(record->found);
    ck_assert_str_eq(record->stream, "a-1");
    ck_assert_str_eq(record->name, "balance");
    ck_assert_str_eq(record->codec, "own");
    ck_assert_int_eq(record->version, 7);
    ck_assert_int_eq(record->schema_version, 3);
    ck_assert_uint_eq(record->data_size, sizeof(data));
    ck_assert_mem_eq(record->data, data, sizeof(data));
    ck_assert_int_eq(((const char *)record->data)[sizeof(data)], '\0');
    ck_assert_uint_eq(record->metadata_size, snapshot.metadata_size);
    ck_assert_str_eq(record->metadata, snapshot.metadata);
    ck_assert_int_gt(record->saved_at, 0);
    stele_cursor *cursor = NULL;
    stele_read events = STELE_READ_INIT;
    events.stream = "a-1";
    cursor = open_read(&events);
    ck_assert_int_eq(record->stream_id, next_record(cursor)->stream_id);
    stele_cursor_close(cursor);
    stele_snapshot_close(record);
}
END_TEST

START_TEST(defaults_are_state_in_json_of_schema_version_1)
{
    assert_status(save_to(store, "a-1", 4, "{\"sum\":10}"), STELE_OK);

    stele_snapshot_read read = make_snapshot_read("a-1");
    read.name = "state";
    read.codec = "json";
    read.schema_version = 1;
    const stele_snapshot_record *record = load_by(store, &read);

    ck_assert(record->found);
    ck_assert_str_eq(record->data, "{\"sum\":10}");
    ck_assert_uint_eq(record->metadata_size, 0);
    ck_assert_str_eq(record->metadata, "");
    stele_snapshot_close(record);
}
END_TEST

/* So that SQL's JSON functions work on them. */
START_TEST(json_is_stored_as_text_and_everything_else_as_bytes)
{
    stele_snapshot raw = make_snapshot("a-1", 2, "abc");
    raw.codec = "raw";
    raw.keep = 2;
    assert_status(save_to(store, "a-1", 1, " [1 , 2]\n"), STELE_OK);
    assert_status(stele_snapshot_save(store, &raw), STELE_OK);

    close_store();
    ck_assert_int_eq(sql_number(store_path(),
                                "SELECT count(*) FROM snapshots WHERE typeof(data) = 'text'"
                                " AND data = ' [1 , 2]' || char(10) AND metadata IS NULL"),
                     1);
    ck_assert_int_eq(
        sql_number(store_path(), "SELECT count(*) FROM snapshots WHERE data = x'616263'"), 1);
}
END_TEST

START_TEST(empty_data_is_a_snapshot)
{
    const char *const codecs[] = { "json", "raw", "cbor" };
    for (size_t i = 0; i < COUNT_OF(codecs); i++) {
        stele_snapshot snapshot = make_snapshot("a-1", 3, "");
        snapshot.codec = codecs[i];
        snapshot.data = i == 0 ? NULL : "";
        assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
        expect_hit("a-1", 3, "");
    }
}
END_TEST

START_TEST(later_version_replaces_an_earlier_one)
{
    assert_status(save_to(store, "a-1", 4, "4"), STELE_OK);
    assert_status(save_to(store, "a-1", 9, "9"), STELE_OK);

    expect_hit("a-1", 9, "9");
    ck_assert_str_eq(listed(store, NULL), "a-1 state 9");
}
END_TEST

START_TEST(same_version_is_replaced)
{
    save_kept("a-1", 3, "3", 5);
    save_kept("a-1", 4, "\"first\"", 5);
    save_kept("a-1", 4, "\"second\"", 5);

    expect_hit("a-1", 4, "\"second\"");
    ck_assert_str_eq(listed(store, NULL), "a-1 state 4, a-1 state 3");
}
END_TEST

START_TEST(streams_and_names_do_not_meet)
{
    fill_stream("b-1", 5);
    stele_snapshot other = make_snapshot("a-1", 2, "\"other\"");
    other.name = "other";
    assert_status(save_to(store, "a-1", 8, "\"a\""), STELE_OK);
    assert_status(save_to(store, "b-1", 3, "\"b\""), STELE_OK);
    assert_status(stele_snapshot_save(store, &other), STELE_OK);

    expect_hit("a-1", 8, "\"a\"");
    expect_hit("b-1", 3, "\"b\"");
    stele_snapshot_read read = make_snapshot_read("a-1");
    read.name = "other";
    expect_hit_by(&read, 2, "\"other\"");
    read.name = "Other";
    expect_miss_by(&read, STELE_SNAPSHOT_NONE);
    expect_miss("A-1", STELE_SNAPSHOT_NONE);
}
END_TEST

/* What is given out is the caller's, whatever becomes of the store and of what was saved. */
START_TEST(record_lasts_until_it_is_closed_whatever_becomes_of_the_store)
{
    char data[] = "\"mine\"";
    assert_status(save_to(store, "a-1", 5, data), STELE_OK);
    data[1] = 'M';
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *first = load_by(store, &read);
    const stele_snapshot_record *second = load_by(store, &read);

    assert_status(save_to(store, "a-1", 6, "6"), STELE_OK);
    close_store();

    ck_assert_str_eq(first->data, "\"mine\"");
    stele_snapshot_close(first);
    ck_assert_str_eq(second->data, "\"mine\"");
    ck_assert_str_eq(second->stream, "a-1");
    stele_snapshot_close(second);
    stele_snapshot_close(NULL);
}
END_TEST

START_TEST(snapshots_last_beyond_closing_the_file)
{
    assert_status(save_to(store, "a-1", 5, "5"), STELE_OK);
    reopen_file();
    expect_hit("a-1", 5, "5");
}
END_TEST

static int64_t fixed_clock(void *context)
{
    return *(const int64_t *)context;
}

START_TEST(saved_at_is_by_the_clock_of_the_store)
{
    int64_t now = 1234567890;
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = fixed_clock;
    options.clock_context = &now;
    close_store();
    store = open_path(":memory:", &options);
    fill_stream("a-1", 3);
    assert_status(save_to(store, "a-1", 3, "3"), STELE_OK);

    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = load_by(store, &read);
    ck_assert_int_eq(record->saved_at, now);
    stele_snapshot_close(record);
}
END_TEST

/* --- Keeping several --- */

START_TEST(the_highest_versions_are_kept_in_whatever_order_they_come)
{
    const int64_t order[] = { 4, 9, 2, 7, 1, 8 };
    for (size_t i = 0; i < COUNT_OF(order); i++)
        save_kept("a-1", order[i], "1", 3);

    ck_assert_str_eq(listed(store, NULL), "a-1 state 9, a-1 state 8, a-1 state 7");
}
END_TEST

START_TEST(save_below_those_that_are_kept_stores_nothing_and_is_fine)
{
    save_kept("a-1", 8, "8", 2);
    save_kept("a-1", 9, "9", 2);

    save_kept("a-1", 5, "5", 2);

    ck_assert_str_eq(listed(store, NULL), "a-1 state 9, a-1 state 8");
}
END_TEST

START_TEST(smaller_keep_drops_what_is_beyond_it)
{
    for (int64_t version = 1; version <= 6; version++)
        save_kept("a-1", version, "1", 10);

    save_kept("a-1", 7, "7", 3);
    ck_assert_str_eq(listed(store, NULL), "a-1 state 7, a-1 state 6, a-1 state 5");
    save_kept("a-1", 1, "1", 1);
    ck_assert_str_eq(listed(store, NULL), "a-1 state 7");
}
END_TEST

START_TEST(max_version_bounds_what_is_loaded)
{
    for (int64_t version = 5; version <= 15; version += 5)
        save_kept("a-1", version, version == 5 ? "5" : version == 10 ? "10" : "15", 3);
    stele_snapshot_read read = make_snapshot_read("a-1");

    read.max_version = 15;
    expect_hit_by(&read, 15, "15");
    read.max_version = 14;
    expect_hit_by(&read, 10, "10");
    read.max_version = 5;
    expect_hit_by(&read, 5, "5");
    read.max_version = 4;
    expect_miss_by(&read, STELE_SNAPSHOT_NONE);
    read.max_version = INT64_MAX;
    expect_hit_by(&read, 15, "15");
}
END_TEST

/* --- Misses that are asked for --- */

START_TEST(other_schema_version_is_a_miss_and_an_older_one_may_fit)
{
    stele_snapshot snapshot = make_snapshot("a-1", 5, "5");
    snapshot.keep = 2;
    snapshot.schema_version = 2;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    snapshot = make_snapshot("a-1", 9, "9");
    snapshot.keep = 2;
    snapshot.schema_version = 3;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    stele_snapshot_read read = make_snapshot_read("a-1");

    read.schema_version = 2;
    expect_hit_by(&read, 5, "5");
    read.schema_version = 3;
    expect_hit_by(&read, 9, "9");
    read.schema_version = 4;
    expect_miss_by(&read, STELE_SNAPSHOT_SCHEMA);
}
END_TEST

START_TEST(other_codec_is_a_miss_and_an_older_one_may_fit)
{
    stele_snapshot snapshot = make_snapshot("a-1", 9, "9");
    snapshot.keep = 2;
    snapshot.codec = "raw";
    save_kept("a-1", 5, "5", 2);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    stele_snapshot_read read = make_snapshot_read("a-1");

    read.codec = "json";
    expect_hit_by(&read, 5, "5");
    read.codec = "raw";
    expect_hit_by(&read, 9, "9");
    read.codec = "cbor";
    expect_miss_by(&read, STELE_SNAPSHOT_CODEC);
    read.codec = "never-heard-of";
    expect_miss_by(&read, STELE_SNAPSHOT_CODEC);
}
END_TEST

/* The reason is that of the highest version, which is the one that was to be used. */
START_TEST(reason_is_of_the_highest_version_within_the_bound)
{
    stele_snapshot newer = make_snapshot("a-1", 9, "9");
    newer.schema_version = 2;
    newer.keep = 2;
    stele_snapshot older = make_snapshot("a-1", 5, "5");
    older.codec = "raw";
    older.keep = 2;
    assert_status(stele_snapshot_save(store, &older), STELE_OK);
    assert_status(stele_snapshot_save(store, &newer), STELE_OK);
    stele_snapshot_read read = make_snapshot_read("a-1");
    read.schema_version = 1;
    read.codec = "json";

    const stele_snapshot_record *record = load_by(store, &read);
    expect_miss_record(record, STELE_SNAPSHOT_SCHEMA);
    ck_assert_ptr_nonnull(strstr(record->reason, "version 9"));
    ck_assert_ptr_nonnull(strstr(record->reason, "schema version 2, not 1"));
    ck_assert_ptr_nonnull(strstr(record->reason, "'a-1'"));
    stele_snapshot_close(record);
    read.max_version = 8;
    expect_miss_by(&read, STELE_SNAPSHOT_CODEC);
}
END_TEST

START_TEST(each_miss_has_a_name)
{
    const char *const names[] = { "hit",   "none",   "schema",  "codec",
                                  "epoch", "beyond", "damaged", "undecodable" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_str_eq(stele_snapshot_miss_name((stele_snapshot_miss)i), names[i]);
    ck_assert_str_eq(stele_snapshot_miss_name((stele_snapshot_miss)8), "unknown");
    ck_assert_str_eq(stele_snapshot_miss_name((stele_snapshot_miss)-1), "unknown");
}
END_TEST

/* --- Transactions --- */

START_TEST(snapshot_of_a_transaction_is_saved_when_that_commits)
{
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = NULL;
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", HEAD, NULL), STELE_OK);
    stele_snapshot snapshot = make_snapshot("a-1", HEAD + 1, "21");
    assert_status(stele_transaction_snapshot_save(transaction, &snapshot), STELE_OK);

    assert_status(stele_transaction_snapshot_load(transaction, &read, &record), STELE_OK);
    ck_assert_int_eq(record->version, HEAD + 1);
    stele_snapshot_close(record);
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
    commit_and_end(transaction);
    expect_hit("a-1", HEAD + 1, "21");
}
END_TEST

START_TEST(snapshot_of_a_transaction_that_ends_is_not_saved)
{
    stele_transaction *transaction = begin();
    stele_snapshot snapshot = make_snapshot("a-1", 3, "3");
    assert_status(stele_transaction_snapshot_save(transaction, &snapshot), STELE_OK);
    stele_transaction_end(transaction);

    expect_miss("a-1", STELE_SNAPSHOT_NONE);
}
END_TEST

/* Names that were only given in it are forgotten with it. */
START_TEST(codec_of_a_transaction_that_ends_is_not_taken_for_the_next_one)
{
    static const char *const codecs[] = { "first", "second" };
    fill_stream("a-1", 3);
    for (int i = 0; i < 2; i++) {
        stele_transaction *transaction = begin();
        stele_snapshot snapshot = make_snapshot("a-1", 3, "x");
        stele_snapshot_read read = make_snapshot_read("a-1");
        const stele_snapshot_record *record = NULL;
        snapshot.codec = codecs[i];
        assert_status(stele_transaction_snapshot_save(transaction, &snapshot), STELE_OK);
        assert_status(stele_transaction_snapshot_load(transaction, &read, &record), STELE_OK);
        ck_assert_msg(record->found, "%s", record->reason);
        ck_assert_str_eq(record->codec, codecs[i]);
        stele_snapshot_close(record);
        stele_transaction_end(transaction);
    }
}
END_TEST

START_TEST(refused_save_leaves_the_transaction_as_it_was)
{
    int64_t count = 0;
    stele_transaction *transaction = begin();
    stele_snapshot snapshot = make_snapshot("never-1", 3, "3");
    assert_status(stele_transaction_snapshot_save(transaction, &snapshot), STELE_NOT_FOUND);
    snapshot = make_snapshot("a-1", HEAD + 1, "3");
    assert_status(stele_transaction_snapshot_save(transaction, &snapshot), STELE_MISUSE);
    snapshot = make_snapshot("a-1", 3, "{");
    assert_status(stele_transaction_snapshot_save(transaction, &snapshot), STELE_INVALID);
    assert_status(stele_transaction_snapshot_invalidate(transaction, "", NULL, &count),
                  STELE_MISUSE);

    assert_status(append_in(transaction, "a-1", HEAD, NULL), STELE_OK);
    commit_and_end(transaction);
    ck_assert_int_eq(version_of("a-1"), HEAD + 1);
}
END_TEST

/* A write around the transaction would wait for itself. */
START_TEST(save_around_a_transaction_of_the_thread_is_misuse)
{
    stele_transaction *transaction = begin();
    assert_status(save_to(store, "a-1", 3, "3"), STELE_MISUSE);
    assert_status(stele_snapshot_invalidate(store, "a-1", NULL, NULL), STELE_MISUSE);
    assert_status(stele_snapshot_invalidate_all(store, NULL, NULL, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot");

    TCase *tests = add_case(suite, "saving", open_with_stream);
    tcase_add_test(tests, stream_without_a_snapshot_is_a_miss_and_no_failure);
    tcase_add_test(tests, what_was_saved_is_loaded);
    tcase_add_test(tests, defaults_are_state_in_json_of_schema_version_1);
    tcase_add_test(tests, empty_data_is_a_snapshot);
    tcase_add_test(tests, later_version_replaces_an_earlier_one);
    tcase_add_test(tests, same_version_is_replaced);
    tcase_add_test(tests, streams_and_names_do_not_meet);
    tcase_add_test(tests, record_lasts_until_it_is_closed_whatever_becomes_of_the_store);
    tcase_add_test(tests, saved_at_is_by_the_clock_of_the_store);
    tcase_add_test(tests, the_highest_versions_are_kept_in_whatever_order_they_come);
    tcase_add_test(tests, save_below_those_that_are_kept_stores_nothing_and_is_fine);
    tcase_add_test(tests, smaller_keep_drops_what_is_beyond_it);
    tcase_add_test(tests, max_version_bounds_what_is_loaded);

    tests = add_case(suite, "misses", open_with_stream);
    tcase_add_test(tests, other_schema_version_is_a_miss_and_an_older_one_may_fit);
    tcase_add_test(tests, other_codec_is_a_miss_and_an_older_one_may_fit);
    tcase_add_test(tests, reason_is_of_the_highest_version_within_the_bound);
    tcase_add_test(tests, each_miss_has_a_name);

    tests = add_case(suite, "file", open_file_with_stream);
    tcase_add_test(tests, json_is_stored_as_text_and_everything_else_as_bytes);
    tcase_add_test(tests, snapshots_last_beyond_closing_the_file);

    tests = add_case(suite, "transactions", open_file_with_stream);
    tcase_add_test(tests, snapshot_of_a_transaction_is_saved_when_that_commits);
    tcase_add_test(tests, snapshot_of_a_transaction_that_ends_is_not_saved);
    tcase_add_test(tests, codec_of_a_transaction_that_ends_is_not_taken_for_the_next_one);
    tcase_add_test(tests, refused_save_leaves_the_transaction_as_it_was);
    tcase_add_test(tests, save_around_a_transaction_of_the_thread_is_misuse);
    return run_suite(suite);
}
