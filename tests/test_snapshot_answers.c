/* Snapshots: every answer of saving and loading. */
#include "snapshots.h"

#include <stddef.h>

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

static int64_t id_of(const char *stream)
{
    stele_snapshot_read read = make_snapshot_read(stream);
    const stele_snapshot_record *record = load_by(store, &read);
    int64_t id = record->stream_id;
    stele_snapshot_close(record);
    return id;
}

/* --- Answers --- */

START_TEST(stream_that_is_not_there_is_not_found)
{
    assert_status(save_to(store, "never-1", 1, "1"), STELE_NOT_FOUND);
    assert_reason_has("never-1");
}
END_TEST

START_TEST(stream_id_of_another_is_not_found)
{
    stele_snapshot snapshot = make_snapshot("a-1", 1, "1");
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    snapshot.stream_id = id_of("a-1");
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);

    snapshot.stream_id++;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_NOT_FOUND);
    assert_reason_has("a-1");
}
END_TEST

START_TEST(version_beyond_the_stream_is_misuse_with_both_numbers)
{
    assert_status(save_to(store, "a-1", HEAD, "1"), STELE_OK);
    assert_status(save_to(store, "a-1", HEAD + 1, "1"), STELE_MISUSE);
    assert_reason_has("20");
    assert_reason_has("21");
    expect_hit("a-1", HEAD, "1");
}
END_TEST

START_TEST(wrong_arguments_of_saving_are_misuse)
{
    char too_long[257];
    memset(too_long, 'n', 256), too_long[256] = '\0';
    const char *bad[] = { "", "a\nb", "a\xFF", too_long };
    stele_snapshot good = make_snapshot("a-1", 1, "1");
    stele_snapshot wrong;

    assert_status(stele_snapshot_save(NULL, &good), STELE_MISUSE);
    assert_status(stele_snapshot_save(store, NULL), STELE_MISUSE);
    assert_status(stele_transaction_snapshot_save(NULL, &good), STELE_MISUSE);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        wrong = good, wrong.stream = bad[i];
        assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
        wrong = good, wrong.name = bad[i];
        assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
        wrong = good, wrong.codec = bad[i];
        assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    }
    wrong = good, wrong.stream = NULL;
    assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    wrong = good, wrong.version = 0;
    assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    wrong = good, wrong.schema_version = -1;
    assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    wrong = good, wrong.data = NULL;
    assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    wrong = good, wrong.metadata_size = 1;
    assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    wrong = good, wrong.keep = STELE_SNAPSHOT_KEEP_MAX + 1;
    assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    wrong = good, wrong.stream_id = -1;
    assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    wrong = good, wrong.struct_size = 0;
    assert_status(stele_snapshot_save(store, &wrong), STELE_MISUSE);
    ck_assert_str_eq(listed(store, NULL), "");
    wrong = good, wrong.keep = STELE_SNAPSHOT_KEEP_MAX;
    assert_status(stele_snapshot_save(store, &wrong), STELE_OK);
}
END_TEST

START_TEST(wrong_arguments_of_loading_are_misuse)
{
    stele_snapshot_read good = make_snapshot_read("a-1");
    stele_snapshot_read wrong;
    const stele_snapshot_record *record = (const void *)&wrong;

    assert_status(stele_snapshot_load(NULL, &good, &record), STELE_MISUSE);
    ck_assert_ptr_null(record);
    record = (const void *)&wrong;
    assert_status(stele_snapshot_load(store, NULL, &record), STELE_MISUSE);
    ck_assert_ptr_null(record);
    assert_status(stele_snapshot_load(store, &good, NULL), STELE_MISUSE);
    assert_status(stele_transaction_snapshot_load(NULL, &good, &record), STELE_MISUSE);
    wrong = good, wrong.stream = NULL;
    assert_status(stele_snapshot_load(store, &wrong, &record), STELE_MISUSE);
    wrong = good, wrong.name = "";
    assert_status(stele_snapshot_load(store, &wrong, &record), STELE_MISUSE);
    wrong = good, wrong.codec = "\x01";
    assert_status(stele_snapshot_load(store, &wrong, &record), STELE_MISUSE);
    wrong = good, wrong.schema_version = -1;
    assert_status(stele_snapshot_load(store, &wrong, &record), STELE_MISUSE);
    wrong = good, wrong.max_version = -1;
    assert_status(stele_snapshot_load(store, &wrong, &record), STELE_MISUSE);
    wrong = good, wrong.struct_size = 3;
    assert_status(stele_snapshot_load(store, &wrong, &record), STELE_MISUSE);
}
END_TEST

/* A program of before a field was added gets its default. */
START_TEST(shorter_structs_get_defaults)
{
    stele_snapshot snapshot = make_snapshot("a-1", 6, "6");
    snapshot.keep = 99999;
    snapshot.struct_size = offsetof(stele_snapshot, keep);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    stele_snapshot_read read = make_snapshot_read("a-1");
    read.max_version = 1;
    read.struct_size = offsetof(stele_snapshot_read, max_version);
    const stele_snapshot_record *record = load_by(store, &read);
    ck_assert(record->found);
    stele_snapshot_close(record);
}
END_TEST

START_TEST(initializers_and_functions_agree)
{
    stele_snapshot snapshot, snapshot_here = STELE_SNAPSHOT_INIT;
    stele_snapshot_read read, read_here = STELE_SNAPSHOT_READ_INIT;
    stele_snapshots_read list, list_here = STELE_SNAPSHOTS_READ_INIT;
    stele_snapshot_init(&snapshot);
    stele_snapshot_read_init(&read);
    stele_snapshots_read_init(&list);
    ck_assert_uint_eq(snapshot.struct_size, snapshot_here.struct_size);
    ck_assert_ptr_eq(snapshot.stream, snapshot_here.stream);
    ck_assert_uint_eq(snapshot.keep, snapshot_here.keep);
    ck_assert_uint_eq(read.struct_size, read_here.struct_size);
    ck_assert_int_eq(read.max_version, read_here.max_version);
    ck_assert_uint_eq(list.struct_size, list_here.struct_size);
    ck_assert_uint_eq(list.limit, list_here.limit);
}
END_TEST

START_TEST(codec_and_metadata_are_checked_as_of_events)
{
    static const unsigned char cut_cbor[] = { 0x82, 0x01 };
    stele_snapshot snapshot = make_snapshot("a-1", 1, "{\"a\":}");
    assert_status(stele_snapshot_save(store, &snapshot), STELE_INVALID);
    assert_reason_has("data");
    snapshot = make_snapshot("a-1", 1, "\"\\ud800\"");
    assert_status(stele_snapshot_save(store, &snapshot), STELE_INVALID);
    snapshot = make_snapshot("a-1", 1, "");
    snapshot.codec = "cbor";
    snapshot.data = cut_cbor;
    snapshot.data_size = sizeof(cut_cbor);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_INVALID);
    snapshot = make_snapshot("a-1", 1, "1");
    snapshot.metadata = "{]";
    snapshot.metadata_size = 2;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_INVALID);
    assert_reason_has("metadata");
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
}
END_TEST

static stele_status answer_as_told(void *context, const void *data, size_t size)
{
    (void)data, (void)size;
    return *(const stele_status *)context;
}

START_TEST(codec_of_the_program_says_what_can_be_saved)
{
    stele_status told = STELE_OK;
    stele_codec codec = STELE_CODEC_INIT;
    codec.name = "own";
    codec.check = answer_as_told;
    codec.context = &told;
    assert_status(stele_store_register_codec(store, &codec), STELE_OK);
    stele_snapshot snapshot = make_snapshot("a-1", 1, "1");
    snapshot.codec = "own";

    const stele_status answers[] = { STELE_PRECISION, STELE_UNSUPPORTED, STELE_INVALID, STELE_OK };
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        told = answers[i];
        assert_status(stele_snapshot_save(store, &snapshot), answers[i]);
    }
}
END_TEST

START_TEST(value_size_max_bounds_data_and_metadata_together)
{
    char data[64];
    stele_options options = STELE_OPTIONS_INIT;
    options.value_size_max = 50;
    close_store();
    store = open_path(":memory:", &options);
    fill_stream("a-1", 1);
    memset(data, ' ', sizeof(data));
    data[0] = '1';
    stele_snapshot snapshot = make_snapshot("a-1", 1, "");
    snapshot.data = data;
    snapshot.data_size = 48;
    snapshot.metadata = "{}";
    snapshot.metadata_size = 2;

    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    snapshot.data_size = 49;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_TOO_LARGE);
    assert_reason_has("value_size_max");
    snapshot.data_size = 51;
    snapshot.metadata_size = 0;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_TOO_LARGE);
    snapshot.data_size = SIZE_MAX;
    snapshot.metadata_size = SIZE_MAX;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_TOO_LARGE);
}
END_TEST

/* Beyond what an event may be. */
START_TEST(large_data_comes_back_whole)
{
    size_t size = (size_t)5 * 1024 * 1024;
    char *data = malloc(size);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 31 % 251);
    stele_snapshot snapshot = make_snapshot("a-1", 1, "");
    snapshot.codec = "raw";
    snapshot.data = data;
    snapshot.data_size = size;
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
    reopen_file();

    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = load_by(store, &read);
    ck_assert_uint_eq(record->data_size, size);
    ck_assert_int_eq(memcmp(record->data, data, size), 0);
    stele_snapshot_close(record);
    free(data);
}
END_TEST

START_TEST(read_only_store_loads_and_saves_nothing)
{
    int64_t count = 7;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    assert_status(save_to(store, "a-1", 5, "5"), STELE_OK);
    close_store();
    store = open_path(store_path(), &options);

    expect_hit("a-1", 5, "5");
    ck_assert_str_eq(listed(store, NULL), "a-1 state 5");
    assert_status(save_to(store, "a-1", 6, "6"), STELE_READ_ONLY);
    assert_status(stele_snapshot_invalidate(store, "a-1", NULL, &count), STELE_READ_ONLY);
    ck_assert_int_eq(count, 0);
    assert_status(stele_snapshot_invalidate_all(store, NULL, NULL, &count), STELE_READ_ONLY);
}
END_TEST

/* Somebody else writes. */
START_TEST(waiting_for_the_lock_ends_as_it_was_told)
{
    stele_wait wait = STELE_WAIT_INIT;
    stele_snapshot snapshot = make_snapshot("a-1", 5, "5");
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    wait.timeout_ms = 20;
    snapshot.wait = &wait;

    assert_status(stele_snapshot_save(store, &snapshot), STELE_BUSY);
    expect_miss("a-1", STELE_SNAPSHOT_NONE);

    run_raw(raw, "ROLLBACK");
    sqlite3_close(raw);
    assert_status(stele_snapshot_save(store, &snapshot), STELE_OK);
}
END_TEST

static int cancel(void *context)
{
    (void)context;
    return 1;
}

START_TEST(waiting_for_the_lock_can_be_cancelled)
{
    stele_wait wait = STELE_WAIT_INIT;
    stele_snapshot snapshot = make_snapshot("a-1", 5, "5");
    sqlite3 *raw = open_raw(store_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    wait.progress = cancel;
    snapshot.wait = &wait;

    assert_status(stele_snapshot_save(store, &snapshot), STELE_CANCELLED);

    sqlite3_close(raw);
    expect_miss("a-1", STELE_SNAPSHOT_NONE);
}
END_TEST

/* Not the snapshot is damaged here: what it is of can't be told. */
START_TEST(damaged_row_of_the_stream_is_corrupt)
{
    stele_snapshot_read read = make_snapshot_read("a-1");
    const stele_snapshot_record *record = NULL;
    stele_snapshots *list = NULL;
    int64_t count = 7;
    assert_status(save_to(store, "a-1", 5, "5"), STELE_OK);
    close_store();
    run_sql(store_path(), "UPDATE streams SET changed_at = 7 WHERE name = 'a-1'");
    open_in_file();

    assert_status(stele_snapshot_load(store, &read, &record), STELE_CORRUPT);
    ck_assert_ptr_null(record);
    assert_status(save_to(store, "a-1", 6, "6"), STELE_CORRUPT);
    assert_status(stele_store_snapshots(store, NULL, &list), STELE_CORRUPT);
    ck_assert_ptr_null(list);
    assert_status(stele_snapshot_invalidate(store, "a-1", NULL, &count), STELE_CORRUPT);
    ck_assert_int_eq(count, 0);
    assert_status(stele_snapshot_invalidate_all(store, NULL, NULL, &count), STELE_OK);
    ck_assert_int_eq(count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshot_answers");

    TCase *tests = add_case(suite, "answers", open_with_stream);
    tcase_add_test(tests, stream_that_is_not_there_is_not_found);
    tcase_add_test(tests, stream_id_of_another_is_not_found);
    tcase_add_test(tests, version_beyond_the_stream_is_misuse_with_both_numbers);
    tcase_add_test(tests, wrong_arguments_of_saving_are_misuse);
    tcase_add_test(tests, wrong_arguments_of_loading_are_misuse);
    tcase_add_test(tests, shorter_structs_get_defaults);
    tcase_add_test(tests, initializers_and_functions_agree);
    tcase_add_test(tests, codec_and_metadata_are_checked_as_of_events);
    tcase_add_test(tests, codec_of_the_program_says_what_can_be_saved);
    tcase_add_test(tests, value_size_max_bounds_data_and_metadata_together);

    tests = add_case(suite, "file", open_file_with_stream);
    tcase_add_test(tests, large_data_comes_back_whole);
    tcase_add_test(tests, read_only_store_loads_and_saves_nothing);
    tcase_add_test(tests, waiting_for_the_lock_ends_as_it_was_told);
    tcase_add_test(tests, waiting_for_the_lock_can_be_cancelled);
    tcase_add_test(tests, damaged_row_of_the_stream_is_corrupt);
    return run_suite(suite);
}
