/* Lists and missed events through a transaction, and a transaction that a full disk has doomed. */
#include "contract.h"

static void expect_stream(stele_streams *streams, const char *name, int64_t version)
{
    const stele_stream_info *info = NULL;
    assert_status(stele_streams_next(streams, &info), STELE_OK);
    ck_assert_str_eq(info->stream, name);
    ck_assert_int_eq(info->version, version);
}

START_TEST(lists_through_a_transaction_see_its_writes)
{
    fill_stream("account-1", 2);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-2", STELE_NO_STREAM, NULL), STELE_OK);
    stele_streams *streams = NULL;
    const stele_stream_info *info = NULL;

    assert_status(stele_transaction_streams(transaction, NULL, &streams), STELE_OK);

    expect_stream(streams, "account-1", 2);
    expect_stream(streams, "account-2", 1);
    assert_status(stele_streams_next(streams, &info), STELE_DONE);
    stele_streams_close(streams);
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(stream_and_types_through_a_transaction_see_its_writes)
{
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-2", STELE_NO_STREAM, NULL), STELE_OK);
    stele_stream_info info;
    stele_types *types = NULL;
    const stele_type_info *type = NULL;

    assert_status(stele_transaction_stream(transaction, "account-2", &info), STELE_OK);
    assert_status(stele_transaction_types(transaction, &types), STELE_OK);

    ck_assert_int_eq(info.version, 1);
    ck_assert_int_eq(info.events, 1);
    assert_status(stele_types_next(types, &type), STELE_OK);
    ck_assert_int_eq(type->events, 1);
    stele_types_close(types);
    assert_status(stele_transaction_stream(transaction, "account-3", &info), STELE_NOT_FOUND);
    stele_transaction_end(transaction);
    assert_status(stele_store_stream(store, "account-2", &info), STELE_NOT_FOUND);
}
END_TEST

START_TEST(missed_events_are_read_through_the_transaction)
{
    fill_stream("account-1", 2);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", 2, NULL), STELE_OK);
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-1", 1, &event, 1);
    stele_appended appended = { 0 };
    stele_cursor *cursor = NULL;
    assert_status(stele_transaction_append(transaction, &append, &appended), STELE_CONFLICT);

    assert_status(stele_transaction_read_missed(transaction, &append, &appended, &cursor),
                  STELE_OK);

    ck_assert_str_eq(drain_numbers(cursor, true), "2 3");
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(missing_arguments_of_these_are_misuse)
{
    stele_transaction *transaction = begin();
    stele_streams *streams = NULL;
    stele_types *types = NULL;
    stele_cursor *cursor = NULL;
    stele_stream_info info;
    stele_append append = make_append("account-1", STELE_ANY, NULL, 0);
    stele_appended appended = { 0 };

    assert_status(stele_transaction_streams(NULL, NULL, &streams), STELE_MISUSE);
    assert_status(stele_transaction_streams(transaction, NULL, NULL), STELE_MISUSE);
    assert_status(stele_transaction_stream(transaction, NULL, &info), STELE_MISUSE);
    assert_status(stele_transaction_stream(transaction, "a-1", NULL), STELE_MISUSE);
    assert_status(stele_transaction_types(transaction, NULL), STELE_MISUSE);
    assert_status(stele_transaction_types(NULL, &types), STELE_MISUSE);
    assert_status(stele_transaction_read_missed(transaction, NULL, &appended, &cursor),
                  STELE_MISUSE);
    assert_status(stele_transaction_read_missed(transaction, &append, &appended, &cursor),
                  STELE_MISUSE);
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(list_of_a_transaction_ends_with_it)
{
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof(name), "account-%03d", i);
        assert_status(append_one(name, STELE_ANY, "opened", NULL), STELE_OK);
    }
    stele_transaction *transaction = begin();
    stele_streams *streams = NULL;
    const stele_stream_info *info = NULL;
    assert_status(stele_transaction_streams(transaction, NULL, &streams), STELE_OK);
    stele_transaction_end(transaction);

    stele_status status = STELE_OK;
    while (status == STELE_OK)
        status = stele_streams_next(streams, &info);

    assert_status(status, STELE_CLOSED);
    stele_streams_close(streams);
}
END_TEST

/* --- A full disk --- */

static char payload[200000];

static stele_status append_large(stele_transaction *transaction)
{
    memset(payload, 'x', sizeof(payload));
    stele_event event = make_event("opened", "");
    event.codec = "raw";
    event.data = payload;
    event.data_size = sizeof(payload);
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    return stele_transaction_append(transaction, &append, NULL);
}

/* SQLite rolls the whole transaction back by itself; what the caller is told must not change. */
START_TEST(full_disk_dooms_the_transaction_and_says_so_until_its_end)
{
    fill_stream("account-1", 2);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-2", STELE_NO_STREAM, NULL), STELE_OK);
    ck_assert_int_eq(run_in(transaction, "PRAGMA max_page_count=1"), SQLITE_OK);

    assert_status(append_large(transaction), STELE_FULL);

    assert_status(append_in(transaction, "account-3", STELE_NO_STREAM, NULL), STELE_FULL);
    assert_status(stele_transaction_commit(transaction), STELE_FULL);
    stele_transaction_end(transaction);
    ck_assert_str_eq(positions_of(NULL), "1 2");
    transaction = begin();
    ck_assert_int_eq(run_in(transaction, "PRAGMA max_page_count=1073741823"), SQLITE_OK);
    assert_status(append_large(transaction), STELE_OK);
    commit_and_end(transaction);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(full_disk_refuses_an_append_and_reads_go_on)
{
    fill_stream("account-1", 2);
    stele_transaction *transaction = begin();
    ck_assert_int_eq(run_in(transaction, "PRAGMA max_page_count=1"), SQLITE_OK);
    stele_transaction_end(transaction);
    memset(payload, 'x', sizeof(payload));
    stele_event event = make_event("opened", "");
    event.codec = "raw";
    event.data = payload;
    event.data_size = sizeof(payload);

    assert_status(append_event("account-1", &event), STELE_FULL);

    ck_assert_str_eq(positions_of(NULL), "1 2");
    transaction = begin();
    ck_assert_int_eq(run_in(transaction, "PRAGMA max_page_count=1073741823"), SQLITE_OK);
    stele_transaction_end(transaction);
    assert_status(append_event("account-1", &event), STELE_OK);
    ck_assert_str_eq(versions_of(&(stele_read)STELE_READ_INIT), "1 2 3");
}
END_TEST

/* --- Others --- */

static int read_on_in_a_child(void *context)
{
    const stele_record *record = NULL;
    return -(int)stele_cursor_next(context, &record);
}

START_TEST(child_after_fork_gets_nothing_from_an_inherited_cursor)
{
    fill_stream("account-1", 3);
    stele_cursor *cursor = open_read(NULL);
    next_record(cursor);

    ck_assert_int_eq(run_in_child(read_on_in_a_child, cursor), -(int)STELE_MISUSE);

    next_record(cursor);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(saving_mends_a_damaged_checkpoint)
{
    fill_stream("account-1", 3);
    assert_status(stele_checkpoint_save(store, "reader", 2), STELE_OK);
    close_store();
    run_sql(store_path(), "UPDATE checkpoints SET position = 3");
    reopen_file();
    stele_checkpoint checkpoint;
    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_CORRUPT);

    assert_status(stele_checkpoint_save(store, "reader", 1), STELE_OK);

    assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.position, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transaction reads");
    TCase *memory = add_case(suite, "memory", open_in_memory);
    TCase *file = add_case(suite, "file", open_in_file);
    TCase *both[] = { memory, file };
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        tcase_add_test(both[i], lists_through_a_transaction_see_its_writes);
        tcase_add_test(both[i], stream_and_types_through_a_transaction_see_its_writes);
        tcase_add_test(both[i], missed_events_are_read_through_the_transaction);
        tcase_add_test(both[i], missing_arguments_of_these_are_misuse);
        tcase_add_test(both[i], list_of_a_transaction_ends_with_it);
        tcase_add_test(both[i], full_disk_dooms_the_transaction_and_says_so_until_its_end);
        tcase_add_test(both[i], full_disk_refuses_an_append_and_reads_go_on);
    }
    tcase_add_test(file, child_after_fork_gets_nothing_from_an_inherited_cursor);
    tcase_add_test(file, saving_mends_a_damaged_checkpoint);
    return run_suite(suite);
}
