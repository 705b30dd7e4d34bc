/* What is known of an idempotency key, for those who ask before they append. */
#include "disk_hooks.h"
#include "lifecycles.h"
#include "resources.h"

#include <stele/jsonl.h>

#include <pthread.h>

static stele_appended append_keyed(const char *stream, const char *key, size_t count)
{
    stele_event events[3] = { make_event("opened", "{}"), make_event("noted", "{}"),
                              make_event("closed", "{}") };
    stele_append append = make_append(stream, STELE_ANY, count == 0 ? NULL : events, count);
    append.idempotency_key = key;
    stele_appended appended = { 0 };
    assert_status(stele_store_append(store, &append, &appended), STELE_OK);
    return appended;
}

static stele_key_info dirty_info(void)
{
    stele_key_info info;
    memset(&info, 0xee, sizeof(info));
    return info;
}

static void assert_nothing_known(const stele_key_info *info)
{
    static const stele_key_info none;
    ck_assert_mem_eq(info, &none, sizeof(none));
}

static stele_key_info key_of(const char *key)
{
    stele_key_info info = dirty_info();
    assert_status(stele_store_key(store, key, &info), STELE_OK);
    ck_assert_int_eq(info.reserved[0], 0);
    ck_assert_int_eq(info.reserved[1], 0);
    return info;
}

static stele_key_info key_in(stele_transaction *transaction, const char *key)
{
    stele_key_info info = dirty_info();
    assert_status(stele_transaction_key(transaction, key, &info), STELE_OK);
    return info;
}

static void assert_known(const stele_key_info *info, const stele_appended *appended,
                         int64_t stream_id, int64_t event_count)
{
    ck_assert(info->found);
    ck_assert_int_eq(info->stream_id, stream_id);
    ck_assert_int_eq(info->stream_version, appended->stream_version);
    ck_assert_int_eq(info->first_position, appended->first_position);
    ck_assert_int_eq(info->last_position, appended->last_position);
    ck_assert_int_eq(info->event_count, event_count);
}

/* --- What it says --- */

START_TEST(key_that_never_came_is_not_found)
{
    append_keyed("loan-1", "pay-1", 1);

    stele_key_info info = key_of("pay-2");

    assert_nothing_known(&info);
}
END_TEST

START_TEST(key_says_what_its_append_did)
{
    append_keyed("loan-2", "other", 2);
    append_keyed("loan-1", "pay-1", 1);
    stele_appended appended = append_keyed("loan-1", "pay-2", 3);
    append_keyed("loan-1", "pay-3", 1);

    stele_key_info info = key_of("pay-2");

    assert_known(&info, &appended, info_of("loan-1").id, 3);
    ck_assert(!info.erased);
    ck_assert_int_eq(info.stream_version, 4);
    ck_assert_int_eq(info.first_position, 4);
    ck_assert_int_eq(info.last_position, 6);
    reopen_file();
    info = key_of("pay-2");
    assert_known(&info, &appended, info_of("loan-1").id, 3);
}
END_TEST

START_TEST(key_of_an_empty_append_has_no_positions)
{
    append_keyed("loan-1", "pay-1", 2);
    append_keyed("loan-1", "empty-1", 0);
    append_keyed("ghost-1", "empty-2", 0);

    stele_key_info info = key_of("empty-1");
    stele_key_info ghost = key_of("empty-2");

    ck_assert(info.found && !info.erased);
    ck_assert_int_eq(info.stream_id, info_of("loan-1").id);
    ck_assert_int_eq(info.stream_version, 2);
    ck_assert_int_eq(info.first_position, 0);
    ck_assert_int_eq(info.last_position, 0);
    ck_assert_int_eq(info.event_count, 0);
    /* The stream wasn't there; that somebody began it later changes nothing. */
    append_keyed("ghost-1", "later", 1);
    ck_assert(ghost.found);
    ck_assert_int_eq(ghost.stream_id, 0);
    ck_assert_int_eq(ghost.stream_version, 0);
    ck_assert_int_eq(key_of("empty-2").stream_id, 0);
}
END_TEST

START_TEST(duplicate_changes_nothing_of_its_key)
{
    stele_appended first = append_keyed("loan-1", "pay-1", 2);
    append_keyed("loan-1", "pay-2", 1);
    ck_assert(append_keyed("loan-1", "pay-1", 2).duplicate);

    stele_key_info info = key_of("pay-1");

    assert_known(&info, &first, info_of("loan-1").id, 2);
}
END_TEST

START_TEST(refused_append_leaves_its_key_unknown)
{
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("loan-1", 7, &event, 1);
    append.idempotency_key = "pay-1";
    assert_status(stele_store_append(store, &append, NULL), STELE_CONFLICT);

    stele_key_info info = key_of("pay-1");

    assert_nothing_known(&info);
}
END_TEST

START_TEST(key_outlives_its_stream_and_says_that_the_events_are_erased)
{
    stele_appended first = append_keyed("loan-1", "pay-1", 2);
    append_keyed("loan-1", "empty-1", 0);
    append_keyed("loan-2", "other", 1);
    int64_t id = info_of("loan-1").id;
    assert_status(delete_it("loan-1"), STELE_OK);
    append_keyed("loan-1", "anew", 1);

    stele_key_info info = key_of("pay-1");
    stele_key_info empty = key_of("empty-1");

    assert_known(&info, &first, id, 2);
    ck_assert(info.erased);
    ck_assert(empty.found && empty.erased);
    ck_assert_int_eq(empty.stream_id, id);
    ck_assert(!key_of("other").erased);
    ck_assert(!key_of("anew").erased);
    ck_assert_int_ne(key_of("anew").stream_id, id);
}
END_TEST

static stele_status give_text(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    const char **text = context;
    *size_out = strlen(*text);
    ck_assert_uint_le(*size_out, capacity);
    memcpy(buffer, *text, *size_out);
    *text += *size_out;
    return STELE_OK;
}

START_TEST(id_of_an_imported_line_is_a_key)
{
    const char *lines =
        "{\"stream\":\"loan-1\",\"type\":\"noted\",\"data\":{}}\n"
        "{\"id\":\"line-2\",\"stream\":\"loan-1\",\"type\":\"noted\",\"data\":{}}\n";
    stele_import import = STELE_IMPORT_INIT;
    import.read = give_text;
    import.context = &lines;
    assert_status(stele_store_import(store, &import, NULL), STELE_OK);

    stele_key_info info = key_of("line-2");

    ck_assert(info.found);
    ck_assert_int_eq(info.stream_id, info_of("loan-1").id);
    ck_assert_int_eq(info.stream_version, 2);
    ck_assert_int_eq(info.first_position, 2);
    ck_assert_int_eq(info.last_position, 2);
    ck_assert_int_eq(info.event_count, 1);
}
END_TEST

/* As records show them: they are made of the source and the line. */
START_TEST(keys_that_an_import_made_are_known)
{
    const char *lines = "{\"stream\":\"loan-1\",\"type\":\"noted\",\"data\":{}}\n";
    stele_import import = STELE_IMPORT_INIT;
    import.read = give_text;
    import.context = &lines;
    import.source = "night";
    assert_status(stele_store_import(store, &import, NULL), STELE_OK);
    stele_read read = STELE_READ_INIT;
    read.keys = true;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = next_record(cursor);
    ck_assert_msg(strncmp(record->idempotency_key, "$import/", 8) == 0, "%s",
                  record->idempotency_key);

    stele_key_info info = key_of(record->idempotency_key);

    ck_assert(info.found);
    ck_assert_int_eq(info.stream_id, record->stream_id);
    ck_assert_int_eq(info.first_position, record->position);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(store_opened_for_reading_knows_keys)
{
    stele_appended appended = append_keyed("loan-1", "pay-1", 2);
    int64_t id = info_of("loan-1").id;
    close_store();
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    options.immutable = _i == 1;
    store = open_path(store_path(), &options);

    stele_key_info info = key_of("pay-1");

    assert_known(&info, &appended, id, 2);
}
END_TEST

/* --- In a transaction --- */

START_TEST(transaction_sees_the_keys_of_its_own_writes)
{
    append_keyed("loan-1", "before", 1);
    stele_transaction *transaction = begin();
    stele_event event = make_event("noted", "{}");
    stele_append append = make_append("loan-1", 1, &event, 1);
    append.idempotency_key = "inside";
    stele_appended appended = { 0 };
    assert_status(stele_transaction_append(transaction, &append, &appended), STELE_OK);

    stele_key_info before = key_in(transaction, "before");
    stele_key_info inside = key_in(transaction, "inside");
    stele_key_info never = key_in(transaction, "never");
    stele_key_info outside = key_of("inside"); /* as everybody else sees it */

    ck_assert(before.found);
    assert_known(&inside, &appended, before.stream_id, 1);
    assert_nothing_known(&never);
    assert_nothing_known(&outside);
    if (_i == 0)
        stele_transaction_end(transaction);
    else
        commit_and_end(transaction);
    ck_assert(key_of("inside").found == (_i == 1));
}
END_TEST

START_TEST(transaction_that_is_over_knows_no_keys)
{
    stele_transaction *transaction = begin();
    stele_key_info info = dirty_info();
    assert_status(stele_transaction_commit(transaction), STELE_OK);

    assert_status(stele_transaction_key(transaction, "pay-1", &info), STELE_MISUSE);

    assert_nothing_known(&info);
    stele_transaction_end(transaction);
}
END_TEST

/* --- Failures --- */

START_TEST(wrong_arguments_of_a_lookup_are_misuse)
{
    char longest[STELE_NAME_SIZE_MAX + 2];
    memset(longest, 'k', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    const char *const names[] = { NULL, "", "a\nb", "\xff", longest };
    stele_transaction *transaction = begin();

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        stele_key_info info = dirty_info();
        assert_status(stele_store_key(store, names[i], &info), STELE_MISUSE);
        assert_nothing_known(&info);
        assert_reason_has("idempotency key");
        info = dirty_info();
        assert_status(stele_transaction_key(transaction, names[i], &info), STELE_MISUSE);
        assert_nothing_known(&info);
    }
    stele_key_info info = dirty_info();
    assert_status(stele_store_key(store, "pay-1", NULL), STELE_MISUSE);
    assert_status(stele_transaction_key(transaction, "pay-1", NULL), STELE_MISUSE);
    assert_status(stele_store_key(NULL, "pay-1", &info), STELE_MISUSE);
    assert_nothing_known(&info);
    assert_status(stele_transaction_key(NULL, "pay-1", &info), STELE_MISUSE);
    stele_transaction_end(transaction);
    longest[STELE_NAME_SIZE_MAX] = '\0';
    ck_assert(!key_of(longest).found);
}
END_TEST

START_TEST(damaged_key_is_corrupt_and_named)
{
    static const char *const damages[] = {
        "UPDATE idempotency SET version = version + 1 WHERE key = 'pay-1'",
        "UPDATE idempotency SET event_count = 9 WHERE key = 'pay-1'",
        "UPDATE idempotency SET stream = stream + 1 WHERE key = 'pay-1'",
        "UPDATE idempotency SET digest = NULL WHERE key = 'pay-1'",
        "UPDATE idempotency SET checksum = checksum + 1 WHERE key = 'pay-1'",
    };
    append_keyed("loan-1", "pay-1", 2);
    append_keyed("loan-1", "pay-2", 1);
    close_store();
    run_sql(store_path(), damages[_i]);
    open_in_file();

    stele_key_info info = dirty_info();
    assert_status(stele_store_key(store, "pay-1", &info), STELE_CORRUPT);

    assert_nothing_known(&info);
    assert_reason_has("'pay-1'");
    stele_transaction *transaction = begin();
    info = dirty_info();
    assert_status(stele_transaction_key(transaction, "pay-1", &info), STELE_CORRUPT);
    assert_nothing_known(&info);
    stele_transaction_end(transaction);
    ck_assert(key_of("pay-2").found);
}
END_TEST

static void *close_it_elsewhere(void *context)
{
    (void)context;
    stele_store_close(store);
    return NULL;
}

/* A cursor keeps the memory of the store, as the contract says, for calls that come too late. */
START_TEST(lookup_in_a_store_closed_elsewhere_is_closed)
{
    pthread_t closer;
    append_keyed("loan-1", "pay-1", 1);
    stele_cursor *keeper = open_read(NULL);
    stele_transaction *transaction = begin();
    ck_assert_int_eq(pthread_create(&closer, NULL, close_it_elsewhere, NULL), 0);
    pthread_join(closer, NULL);

    stele_key_info info = dirty_info();
    assert_status(stele_transaction_key(transaction, "pay-1", &info), STELE_CLOSED);
    assert_nothing_known(&info);
    stele_transaction_end(transaction);
    info = dirty_info();
    assert_status(stele_store_key(store, "pay-1", &info), STELE_CLOSED);
    assert_nothing_known(&info);
    stele_cursor_close(keeper);
    store = NULL;
}
END_TEST

static void *look_up_elsewhere(void *context)
{
    stele_key_info info;
    *(stele_status *)context = stele_store_key(store, "pay-1", &info);
    return NULL;
}

/* In memory there is one connection, and a transaction has it. */
START_TEST(lookup_that_waits_too_long_is_busy)
{
    pthread_t asker;
    stele_status status = STELE_OK;
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 20;
    close_store();
    store = open_path(":memory:", &options);
    stele_transaction *transaction = begin();
    ck_assert_int_eq(pthread_create(&asker, NULL, look_up_elsewhere, &status), 0);
    pthread_join(asker, NULL);

    ck_assert_int_eq(status, STELE_BUSY);
    stele_transaction_end(transaction);
}
END_TEST

static int refuse_reads(disk_call call, disk_file file, sqlite3_int64 detail)
{
    (void)file;
    (void)detail;
    return call == DISK_READ ? SQLITE_IOERR_READ : SQLITE_OK;
}

START_TEST(lookup_on_a_disk_that_cannot_be_read_is_io)
{
    close_store();
    install_disk_hooks();
    open_in_file();
    append_keyed("loan-1", "pay-1", 1);
    reopen_file();

    stele_key_info info = dirty_info();
    disk_hook = refuse_reads;
    stele_status status = stele_store_key(store, "pay-1", &info);
    disk_hook = NULL;

    ck_assert_int_eq(status, STELE_IO);
    assert_nothing_known(&info);
    ck_assert(key_of("pay-1").found);
    close_store();
    remove_disk_hooks();
}
END_TEST

/* Each time on connections that know nothing yet. The writer's own memory is there by then; what
 * SQLite asks for fails in test_fault_sweep. */
START_TEST(lookup_without_memory_says_so_and_the_next_one_succeeds)
{
    int refused = 0;
    append_keyed("loan-1", "pay-1", 1);
    for (int64_t n = 1; n < 1000; n++) {
        reopen_file();
        stele_transaction *transaction = _i == 0 ? NULL : begin();
        stele_key_info info = dirty_info();
        own.fail_first = own.fail_last = own.calls + n;
        stele_status status = _i == 0 ? stele_store_key(store, "pay-1", &info)
                                      : stele_transaction_key(transaction, "pay-1", &info);
        bool failed = own.calls >= own.fail_first;
        own.fail_first = 0;
        if (status != STELE_OK) {
            ck_assert_int_eq(status, STELE_NO_MEMORY);
            assert_nothing_known(&info);
            refused++;
        }
        info = _i == 0 ? key_of("pay-1") : key_in(transaction, "pay-1");
        ck_assert(info.found);
        stele_transaction_end(transaction);
        if (!failed)
            break;
    }
    ck_assert_int_ge(refused, _i == 0);
}
END_TEST

static Suite *lookup_suite(void)
{
    Suite *suite = suite_create("lookup of keys");
    TCase *tests = add_case(suite, "lookup", open_in_file);
    tcase_add_test(tests, key_that_never_came_is_not_found);
    tcase_add_test(tests, key_says_what_its_append_did);
    tcase_add_test(tests, key_of_an_empty_append_has_no_positions);
    tcase_add_test(tests, duplicate_changes_nothing_of_its_key);
    tcase_add_test(tests, refused_append_leaves_its_key_unknown);
    tcase_add_test(tests, key_outlives_its_stream_and_says_that_the_events_are_erased);
    tcase_add_test(tests, id_of_an_imported_line_is_a_key);
    tcase_add_test(tests, keys_that_an_import_made_are_known);
    tcase_add_loop_test(tests, store_opened_for_reading_knows_keys, 0, 2);
    tcase_add_loop_test(tests, transaction_sees_the_keys_of_its_own_writes, 0, 2);
    tcase_add_test(tests, transaction_that_is_over_knows_no_keys);
    tcase_add_test(tests, wrong_arguments_of_a_lookup_are_misuse);
    tcase_add_loop_test(tests, damaged_key_is_corrupt_and_named, 0, 5);
    tcase_add_test(tests, lookup_in_a_store_closed_elsewhere_is_closed);
    tcase_add_test(tests, lookup_that_waits_too_long_is_busy);
    tcase_add_test(tests, lookup_on_a_disk_that_cannot_be_read_is_io);
    tcase_add_loop_test(tests, lookup_without_memory_says_so_and_the_next_one_succeeds, 0, 2);
    return suite;
}

int main(void)
{
    count_own_memory();
    return run_suite(lookup_suite());
}
