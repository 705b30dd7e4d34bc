/* One transaction over events, checkpoints and the user's own tables: all of it, or nothing. */
#include "contract.h"

static int64_t count_balances(void)
{
    stele_transaction *transaction = begin();
    int64_t count = number_in(transaction, "SELECT count(*) FROM balances");
    stele_transaction_end(transaction);
    return count;
}

/* --- All or nothing --- */

static void do_everything_in(stele_transaction *transaction)
{
    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);
    ck_assert_int_eq(run_in(transaction, "INSERT INTO balances VALUES('account-1', 5)"), SQLITE_OK);
    assert_status(stele_transaction_checkpoint_save(transaction, "balances", 1), STELE_OK);
}

static void expect_everything(bool there)
{
    stele_checkpoint checkpoint = { 0 };
    assert_status(stele_checkpoint_load(store, "balances", &checkpoint), STELE_OK);
    ck_assert_int_eq(checkpoint.found, there);
    ck_assert_int_eq(head_of(store), there ? 1 : 0);
    ck_assert_int_eq(version_of("account-1"), there ? 1 : 0);
    ck_assert_int_eq(count_balances(), there ? 1 : 0);
}

START_TEST(commit_stores_events_checkpoint_and_user_rows_together)
{
    create_balances();
    stele_transaction *transaction = begin();
    do_everything_in(transaction);

    commit_and_end(transaction);

    expect_everything(true);
}
END_TEST

START_TEST(end_without_commit_stores_nothing)
{
    create_balances();
    stele_transaction *transaction = begin();
    do_everything_in(transaction);

    stele_transaction_end(transaction);

    expect_everything(false);
    assert_status(append_one("account-1", STELE_NO_STREAM, "opened", NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* Ids of names given inside must be forgotten with it, and given anew. */
START_TEST(names_of_a_rolled_back_transaction_are_forgotten)
{
    stele_transaction *transaction = begin();
    stele_event event = make_event("type-x", "1");
    event.codec = "codec-x";
    stele_append append = make_append("stream-x", STELE_ANY, &event, 1);
    append.idempotency_key = "key-x";
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);
    stele_transaction_end(transaction);

    event.type = "type-y";
    event.codec = "codec-y";
    append.stream = "stream-y";
    stele_appended appended = { 0 };
    assert_status(stele_store_append(store, &append, &appended), STELE_OK);
    ck_assert(!appended.duplicate);
    event.type = "type-x";
    event.codec = "codec-x";
    append.stream = "stream-x";
    append.idempotency_key = NULL;
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);

    stele_cursor *cursor = open_read(NULL);
    const stele_record *record = next_record(cursor);
    ck_assert_str_eq(record->stream, "stream-y");
    ck_assert_str_eq(record->type, "type-y");
    ck_assert_str_eq(record->codec, "codec-y");
    record = next_record(cursor);
    ck_assert_str_eq(record->stream, "stream-x");
    ck_assert_str_eq(record->type, "type-x");
    ck_assert_str_eq(record->codec, "codec-x");
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(empty_transaction_commits)
{
    commit_and_end(begin());

    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- What it sees, and who sees it --- */

START_TEST(reads_through_a_transaction_see_its_writes)
{
    fill_stream("account-1", 1);
    stele_transaction *transaction = begin();
    stele_appended appended = { 0 };
    assert_status(append_in(transaction, "account-1", 1, &appended), STELE_OK);
    ck_assert_int_eq(appended.stream_version, 2);
    ck_assert_int_eq(appended.first_position, 2);

    assert_status(append_in(transaction, "account-1", 2, NULL), STELE_OK);
    stele_cursor *cursor = NULL;
    int64_t head = 0;
    assert_status(stele_transaction_head(transaction, &head), STELE_OK);
    assert_status(stele_transaction_read(transaction, NULL, &cursor), STELE_OK);

    ck_assert_int_eq(head, 3);
    ck_assert_str_eq(drain_numbers(cursor, false), "1 2 3");
    stele_transaction_end(transaction);
}
END_TEST

START_TEST(store_level_reads_do_not_see_an_open_transaction)
{
    fill_stream("account-1", 1);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", 1, NULL), STELE_OK);
    assert_status(append_in(transaction, "account-2", STELE_NO_STREAM, NULL), STELE_OK);

    ck_assert_int_eq(head_of(store), 1);
    ck_assert_int_eq(version_of("account-1"), 1);
    ck_assert_int_eq(version_of("account-2"), 0);
    ck_assert_str_eq(positions_of(NULL), "1");

    commit_and_end(transaction);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(lists_through_a_transaction_see_its_writes_and_end_with_it)
{
    fill_stream("a-1", 1);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", 1, NULL), STELE_OK);
    assert_status(append_in(transaction, "b-1", STELE_NO_STREAM, NULL), STELE_OK);
    stele_stream_info info = { 0 };
    stele_streams *streams = NULL;
    stele_types *types = NULL;
    const stele_stream_info *stream = NULL;
    const stele_type_info *type = NULL;

    assert_status(stele_transaction_stream(transaction, "b-1", &info), STELE_OK);
    ck_assert_int_eq(info.version, 1);
    assert_status(stele_transaction_stream(transaction, "c-1", &info), STELE_NOT_FOUND);
    assert_status(stele_transaction_streams(transaction, NULL, &streams), STELE_OK);
    assert_status(stele_streams_next(streams, &stream), STELE_OK);
    ck_assert_str_eq(stream->stream, "a-1");
    ck_assert_int_eq(stream->version, 2);
    assert_status(stele_transaction_types(transaction, &types), STELE_OK);
    assert_status(stele_types_next(types, &type), STELE_OK);
    assert_status(stele_types_next(types, &type), STELE_OK);
    ck_assert_str_eq(type->type, "noted");
    ck_assert_int_eq(type->events, 2);
    stele_transaction_end(transaction);

    assert_status(stele_streams_next(streams, &stream), STELE_CLOSED);
    stele_streams_close(streams);
    stele_types_close(types);
    ck_assert_int_eq(version_of("b-1"), 0);
}
END_TEST

START_TEST(missed_events_through_a_transaction_include_its_own)
{
    fill_stream("a-1", 1);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "a-1", 1, NULL), STELE_OK);
    stele_append append = make_append("a-1", STELE_NO_STREAM, NULL, 0);
    stele_appended appended = { 0 };
    stele_cursor *cursor = NULL;
    assert_status(stele_transaction_append(transaction, &append, &appended), STELE_CONFLICT);

    assert_status(stele_transaction_read_missed(transaction, &append, &appended, &cursor),
                  STELE_OK);

    ck_assert_str_eq(drain_numbers(cursor, true), "1 2");
    stele_transaction_end(transaction);
}
END_TEST

/* A memory store has one connection: the read would see what may be undone. */
START_TEST(store_level_read_of_a_memory_store_is_misuse_meanwhile)
{
    fill_stream("account-1", 1);
    stele_transaction *transaction = begin();
    stele_cursor *cursor = NULL;
    int64_t head = 0;

    assert_status(stele_store_read(store, NULL, &cursor), STELE_MISUSE);
    assert_status(stele_store_head(store, &head), STELE_MISUSE);

    stele_transaction_end(transaction);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(cursor_of_a_transaction_ends_with_it_but_keeps_its_record)
{
    fill_stream("account-1", 3);
    for (int commits = 0; commits <= 1; commits++) {
        stele_transaction *transaction = begin();
        stele_cursor *cursor = NULL;
        assert_status(stele_transaction_read(transaction, NULL, &cursor), STELE_OK);
        const stele_record *record = next_record(cursor);

        if (commits)
            assert_status(stele_transaction_commit(transaction), STELE_OK);
        stele_transaction_end(transaction);

        ck_assert_str_eq(record->data, "{\"n\":1}");
        assert_status(stele_cursor_next(cursor, &record), STELE_CLOSED);
        stele_cursor_close(cursor);
    }
}
END_TEST

/* --- A refusal leaves it usable --- */

START_TEST(refused_append_leaves_the_transaction_usable)
{
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);
    stele_event bad = make_event("noted", "{");
    stele_append append = make_append("account-1", STELE_ANY, &bad, 1);
    stele_appended appended = { 0 };

    assert_status(append_in(transaction, "account-1", 7, &appended), STELE_CONFLICT);
    ck_assert_int_eq(appended.stream_version, 1);
    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_INVALID);
    assert_status(append_in(transaction, "", STELE_ANY, NULL), STELE_MISUSE);

    assert_status(append_in(transaction, "account-1", 1, NULL), STELE_OK);
    commit_and_end(transaction);
    ck_assert_str_eq(positions_of(NULL), "1 2");
}
END_TEST

START_TEST(refused_appends_undo_their_own_call_only)
{
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);
    stele_event event = make_event("undone", "{}");
    stele_append appends[3] = { make_append("account-1", 1, &event, 1),
                                make_append("account-2", STELE_NO_STREAM, &event, 1),
                                make_append("account-1", 1, &event, 1) };
    appends[0].idempotency_key = "undone";
    size_t failed = 0;

    assert_status(stele_transaction_append_many(transaction, appends, 3, NULL, &failed),
                  STELE_CONFLICT);
    ck_assert_uint_eq(failed, 2);

    stele_appended appended[2];
    assert_status(stele_transaction_append_many(transaction, appends, 2, appended, &failed),
                  STELE_OK);
    ck_assert(!appended[0].duplicate);
    ck_assert_int_eq(appended[0].first_position, 2);
    commit_and_end(transaction);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
    ck_assert_int_eq(version_of("account-1"), 2);
    ck_assert_int_eq(version_of("account-2"), 1);
}
END_TEST

/* Part of a batch is in the transaction and can't be taken out alone, so nothing may be kept. */
START_TEST(write_that_fails_half_way_dooms_the_transaction)
{
    static char data[500000];
    memset(data, '1', sizeof(data));
    stele_event events[2] = { make_event("noted", "1"), { .type = "noted", .data = data } };
    events[1].data_size = sizeof(data);
    stele_append append = make_append("account-1", STELE_ANY, events, 2);
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_NO_STREAM, NULL), STELE_OK);
    char limit[64];
    snprintf(limit, sizeof(limit), "PRAGMA max_page_count = %" PRId64,
             number_in(transaction, "PRAGMA page_count") + 10);
    ck_assert_int_eq(run_in(transaction, limit), SQLITE_OK);

    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_FULL);

    assert_status(stele_transaction_commit(transaction), STELE_FULL);
    stele_transaction_end(transaction);
    ck_assert_int_eq(head_of(store), 0);
    assert_status(append_one("account-1", STELE_NO_STREAM, "small", NULL), STELE_OK);
    assert_status(stele_store_append(store, &append, NULL), STELE_FULL);
    ck_assert_int_eq(head_of(store), 1);

    transaction = begin();
    ck_assert_int_eq(run_in(transaction, "PRAGMA max_page_count = 1000000"), SQLITE_OK);
    stele_transaction_end(transaction);
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    ck_assert_str_eq(positions_of(NULL), "1 2 3");
}
END_TEST

START_TEST(users_own_failed_sql_leaves_the_transaction_usable)
{
    create_balances();
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_ANY, NULL), STELE_OK);

    ck_assert_int_ne(run_in(transaction, "INSERT INTO nowhere VALUES(1)"), SQLITE_OK);

    commit_and_end(transaction);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* --- After its end --- */

START_TEST(nothing_but_end_is_allowed_after_commit)
{
    stele_transaction *transaction = begin();
    assert_status(append_in(transaction, "account-1", STELE_ANY, NULL), STELE_OK);
    assert_status(stele_transaction_commit(transaction), STELE_OK);
    stele_cursor *cursor = NULL;
    stele_checkpoint checkpoint = { 0 };
    int64_t head = 0;

    assert_status(stele_transaction_commit(transaction), STELE_MISUSE);
    assert_status(append_in(transaction, "account-1", STELE_ANY, NULL), STELE_MISUSE);
    assert_status(stele_transaction_read(transaction, NULL, &cursor), STELE_MISUSE);
    assert_status(stele_transaction_head(transaction, &head), STELE_MISUSE);
    assert_status(stele_transaction_checkpoint_save(transaction, "r", 0), STELE_MISUSE);
    assert_status(stele_transaction_checkpoint_load(transaction, "r", &checkpoint), STELE_MISUSE);
    ck_assert_ptr_null(stele_transaction_sqlite(transaction));
    ck_assert_ptr_null(cursor);

    stele_transaction_end(transaction);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(writer_is_free_after_commit_before_end)
{
    stele_transaction *transaction = begin();
    assert_status(stele_transaction_commit(transaction), STELE_OK);

    assert_status(append_one("account-1", STELE_ANY, "opened", NULL), STELE_OK);

    stele_transaction_end(transaction);
}
END_TEST

START_TEST(missing_arguments_are_misuse)
{
    stele_transaction *transaction = NULL;
    stele_append append = make_append("account-1", STELE_ANY, NULL, 0);

    assert_status(stele_transaction_begin(NULL, &transaction), STELE_MISUSE);
    assert_status(stele_transaction_begin(store, NULL), STELE_MISUSE);
    assert_status(stele_transaction_commit(NULL), STELE_MISUSE);
    assert_status(stele_transaction_append(NULL, &append, NULL), STELE_MISUSE);
    ck_assert_ptr_null(stele_transaction_sqlite(NULL));
    stele_transaction_end(NULL);
}
END_TEST

/* Close must not wait for a transaction that its own thread would have to end. */
START_TEST(closing_the_store_rolls_an_open_transaction_back)
{
    stele_transaction *transaction = begin();
    stele_cursor *cursor = NULL;
    assert_status(append_in(transaction, "account-1", STELE_ANY, NULL), STELE_OK);
    assert_status(stele_transaction_read(transaction, NULL, &cursor), STELE_OK);
    close_store();

    const stele_record *record = NULL;
    int64_t head = 0;
    assert_status(append_in(transaction, "account-1", STELE_ANY, NULL), STELE_CLOSED);
    assert_status(stele_transaction_head(transaction, &head), STELE_CLOSED);
    assert_status(stele_transaction_commit(transaction), STELE_CLOSED);
    assert_status(stele_cursor_next(cursor, &record), STELE_CLOSED);
    ck_assert_ptr_null(stele_transaction_sqlite(transaction));
    stele_cursor_close(cursor);
    stele_transaction_end(transaction);

    open_in_file();
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, commit_stores_events_checkpoint_and_user_rows_together);
    tcase_add_test(tests, end_without_commit_stores_nothing);
    tcase_add_test(tests, names_of_a_rolled_back_transaction_are_forgotten);
    tcase_add_test(tests, empty_transaction_commits);
    tcase_add_test(tests, reads_through_a_transaction_see_its_writes);
    tcase_add_test(tests, lists_through_a_transaction_see_its_writes_and_end_with_it);
    tcase_add_test(tests, missed_events_through_a_transaction_include_its_own);
    tcase_add_test(tests, cursor_of_a_transaction_ends_with_it_but_keeps_its_record);
    tcase_add_test(tests, refused_append_leaves_the_transaction_usable);
    tcase_add_test(tests, refused_appends_undo_their_own_call_only);
    tcase_add_test(tests, write_that_fails_half_way_dooms_the_transaction);
    tcase_add_test(tests, users_own_failed_sql_leaves_the_transaction_usable);
    tcase_add_test(tests, nothing_but_end_is_allowed_after_commit);
    tcase_add_test(tests, writer_is_free_after_commit_before_end);
    tcase_add_test(tests, missing_arguments_are_misuse);
}

int main(void)
{
    Suite *suite = suite_create("transaction");
    TCase *memory = add_case(suite, "memory", open_in_memory);
    add_tests(memory);
    tcase_add_test(memory, store_level_read_of_a_memory_store_is_misuse_meanwhile);
    TCase *file = add_case(suite, "file", open_in_file);
    add_tests(file);
    tcase_add_test(file, store_level_reads_do_not_see_an_open_transaction);
    tcase_add_test(file, closing_the_store_rolls_an_open_transaction_back);
    return run_suite(suite);
}
