/* docs/callbacks.md, cell by cell: what each callback may call, and what it is told otherwise. */
#include "callback_actions.h"

/* --- The clock --- */

static int64_t clock_that_calls(void *context)
{
    (void)context;
    if (store != NULL)
        try_all();
    return 1000000;
}

START_TEST(clock_may_call_nothing)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = clock_that_calls;
    store = open_path(store_path(), &options);

    assert_status(append_one("account-1", STELE_ANY, "opened", NULL), STELE_OK);

    expect_answers(nothing);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* --- Progress of a wait --- */

static int progress_that_calls(void *context)
{
    (void)context;
    try_all();
    return 1;
}

START_TEST(progress_of_a_wait_may_call_nothing)
{
    stele_wait wait = STELE_WAIT_INIT;
    wait.progress = progress_that_calls;
    open_in_file();
    sqlite3 *foreign = open_raw(store_path());
    run_raw(foreign, "BEGIN IMMEDIATE");
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    append.wait = &wait;

    assert_status(stele_store_append(store, &append, NULL), STELE_CANCELLED);

    expect_answers(nothing);
    sqlite3_close(foreign);
}
END_TEST

/* --- Progress of long work --- */

static int work_that_calls(void *context, const stele_progress *progress)
{
    (void)context;
    (void)progress;
    try_all();
    return 1;
}

static stele_status verify_as(const stele_work *work)
{
    stele_verify_options options = STELE_VERIFY_INIT;
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    options.work = work;
    stele_status status = stele_verify_open(store, &options, &verify);
    while (status == STELE_OK)
        status = stele_verify_next(verify, &check);
    stele_verify_close(verify);
    return status;
}

static stele_status back_up_as(const stele_work *work)
{
    stele_backup backup = STELE_BACKUP_INIT;
    backup.path = test_path("backup.db");
    backup.work = work;
    return stele_store_backup(store, &backup, NULL);
}

static stele_status retain_as(const stele_work *work)
{
    stele_retain retain = STELE_RETAIN_INIT;
    retain.stream = "account-1";
    retain.max_count = 1;
    retain.work = work;
    return stele_store_retain(store, &retain, NULL);
}

static stele_status (*const long_works[])(const stele_work *work) = { verify_as, back_up_as,
                                                                      retain_as };

START_TEST(progress_of_work_may_call_nothing)
{
    stele_work work = STELE_WORK_INIT;
    work.progress = work_that_calls;
    open_in_file();
    assert_status(append_one("account-1", STELE_ANY, "opened", NULL), STELE_OK);
    assert_status(append_one("account-1", STELE_ANY, "closed", NULL), STELE_OK);

    assert_status(long_works[_i](&work), STELE_CANCELLED);

    expect_answers(nothing);
}
END_TEST

/* --- The verdict --- */

static void verdict_that_calls(void *context, const stele_verdict *verdict)
{
    (void)context;
    ck_assert_int_eq(verdict->status, STELE_OK);
    try_all();
}

START_TEST(verdict_may_call_everything)
{
    stele_submit submit = STELE_SUBMIT_INIT;
    submit.callback = verdict_that_calls;
    open_in_file();
    stele_event event = make_event("opened", "{}");
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);
    assert_status(stele_store_submit(store, &append, &submit, NULL), STELE_OK);

    assert_status(stele_store_flush(store, NULL), STELE_OK);

    const stele_status expected[ACTIONS] = { [INSIDE] = NONE };
    expect_answers(expected);
    ck_assert_int_eq(version_of("account-7"), 2);
}
END_TEST

/* --- Import --- */

static const char *import_text;

static stele_status read_that_calls(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    (void)context;
    *size_out = strlen(import_text) < capacity ? strlen(import_text) : capacity;
    memcpy(buffer, import_text, *size_out);
    import_text += *size_out;
    try_all();
    return STELE_OK;
}

static void reject_that_calls(void *context, uint64_t line, const char *reason)
{
    (void)context;
    (void)line;
    (void)reason;
    try_all();
}

static int import_progress_that_calls(void *context, const stele_imported *so_far)
{
    (void)context;
    (void)so_far;
    try_all();
    return 0;
}

static stele_status read_only_text(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    (void)context;
    *size_out = strlen(import_text) < capacity ? strlen(import_text) : capacity;
    memcpy(buffer, import_text, *size_out);
    import_text += *size_out;
    return STELE_OK;
}

static void import_with(int callback, bool atomic)
{
    stele_import import = STELE_IMPORT_INIT;
    stele_imported imported;
    import_text = "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":1}\nnot json\n";
    import.read = callback == 0 ? read_that_calls : read_only_text;
    import.reject = callback == 1 ? reject_that_calls : NULL;
    import.progress = callback == 2 ? import_progress_that_calls : NULL;
    import.atomic = atomic;
    stele_store_import(store, &import, &imported);
}

/* Between its batches an import holds nothing. */
START_TEST(import_callbacks_may_call_everything)
{
    open_in_file();

    import_with(_i, false);

    const stele_status expected[ACTIONS] = { [INSIDE] = NONE };
    expect_answers(expected);
}
END_TEST

/* Inside its one transaction they can't write. */
START_TEST(callbacks_of_an_atomic_import_may_only_read)
{
    open_in_file();

    import_with(_i, true);

    const stele_status expected[ACTIONS] = {
        [APPEND] = NO,     [FLUSH] = NO,    [BEGIN] = NO,  [TRANSFER] = NO,
        [CHECKPOINT] = NO, [INSIDE] = NONE, [EXECUTE] = NO
    };
    expect_answers(expected);
}
END_TEST

/* --- Copies --- */

static stele_status transform_that_calls(void *context, const stele_record *record,
                                         stele_copy_sink *sink)
{
    (void)context;
    try_all();
    return stele_copy_pass(sink, record);
}

static void mapped_that_calls(void *context, int64_t position, int64_t first, int64_t last)
{
    (void)context, (void)position, (void)first, (void)last;
    try_all();
}

/* Between its batches a copy holds nothing of the source. */
START_TEST(copy_callbacks_may_call_everything_of_the_source)
{
    open_in_file();
    assert_status(append_one("a-1", STELE_ANY, "made", NULL), STELE_OK);
    stele_store *target = open_path(":memory:", NULL);
    stele_copy copy = STELE_COPY_INIT;
    copy.transform = _i == 0 ? transform_that_calls : NULL;
    copy.mapped = _i == 1 ? mapped_that_calls : NULL;

    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_OK);

    const stele_status expected[ACTIONS] = { [INSIDE] = NONE };
    stele_store_close(target);
    expect_answers(expected);
}
END_TEST

/* --- A function of the user's SQL --- */

static void function_that_calls(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)context;
    (void)count;
    (void)values;
    try_all();
}

START_TEST(function_of_lent_sql_may_use_the_transaction_and_read)
{
    open_in_file();
    stele_transaction *transaction = begin();
    open_transaction = transaction;
    sqlite3 *lent = stele_transaction_sqlite(transaction);
    ck_assert_int_eq(sqlite3_create_function(lent, "calling", 0, SQLITE_UTF8, NULL,
                                             function_that_calls, NULL, NULL),
                     SQLITE_OK);

    ck_assert_int_eq(sqlite3_exec(lent, "SELECT calling()", NULL, NULL, NULL), SQLITE_OK);

    const stele_status expected[ACTIONS] = { [APPEND] = NO,   [FLUSH] = NO,      [BEGIN] = NO,
                                             [TRANSFER] = NO, [CHECKPOINT] = NO, [EXECUTE] = NO };
    expect_answers(expected);
    commit_and_end(transaction);
    ck_assert_int_eq(version_of("account-8"), 1);
}
END_TEST

/* --- Codecs and upcasters --- */

/* What needs no store is open to them. */
static void try_all_and_the_rest(void)
{
    char text[16];
    ck_assert_int_eq(stele_json_check("{}", 2, NULL), STELE_OK);
    ck_assert_uint_eq(stele_json_quote("a", 1, text, sizeof(text)), 3);
    try_all();
}

static stele_status check_that_calls(void *context, const void *data, size_t size)
{
    (void)context, (void)data, (void)size;
    try_all_and_the_rest();
    return STELE_OK;
}

static stele_status encode_that_calls(void *context, const stele_type *type, const void *value,
                                      stele_buffer *buffer, stele_flaw *flaw_out)
{
    try_all_and_the_rest();
    return encode_marked(context, type, value, buffer, flaw_out);
}

static stele_status decode_that_calls(void *context, const stele_type *type, const void *data,
                                      size_t size, void *value, stele_flaw *flaw_out)
{
    try_all_and_the_rest();
    return decode_marked(context, type, data, size, value, flaw_out);
}

static stele_status upcast_that_calls(void *context, const stele_upcast_input *input,
                                      stele_upcast *upcast)
{
    try_all_and_the_rest();
    /* Also after a function of a codec ran inside. */
    const noted value = { 1 };
    stele_status status = stele_upcast_emit_value(upcast, &noted_type, &value);
    ck_assert_int_eq(try_lookup(), STELE_MISUSE);
    (void)context, (void)input;
    return status;
}

static void open_with_codec(const stele_codec *codec)
{
    static const stele_type_version output = { "Noted", 1 };
    open_in_file();
    assert_status(stele_store_register_codec(store, codec), STELE_OK);
    register_table(&noted_type);
    assert_status(register_upcast("Older", 1, &output, 1, NULL, upcast_that_calls, NULL), STELE_OK);
    assert_status(try_decode(), STELE_OK);
}

START_TEST(functions_of_a_codec_may_call_nothing_with_a_store)
{
    const noted value = { 1 };
    stele_codec codec = marked_codec();
    codec.check = _i == 0 ? check_that_calls : check_marked;
    codec.encode = _i == 1 ? encode_that_calls : encode_marked;
    codec.decode = _i == 2 ? decode_that_calls : decode_marked;
    open_with_codec(&codec);

    assert_status(append_value("account-1", &noted_type, &value, "marked"), STELE_OK);
    stele_record record = make_record("Noted", 1, "marked", "M{\"n\":1}");
    assert_status(stele_record_decode(store, &record, &decoded), STELE_OK);

    expect_answers(nothing);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

/* There it runs under the write lock. */
START_TEST(gate_of_an_append_in_a_transaction_may_not_use_that)
{
    stele_codec codec = marked_codec();
    codec.check = check_that_calls;
    open_with_codec(&codec);
    stele_transaction *transaction = begin();
    open_transaction = transaction;
    stele_event event = { .type = "Noted", .codec = "marked", .data = "M1", .data_size = 2 };
    stele_append append = make_append("account-1", STELE_ANY, &event, 1);

    assert_status(stele_transaction_append(transaction, &append, NULL), STELE_OK);

    for (int i = 0; i < ACTIONS; i++)
        ck_assert_int_eq(answers[i], STELE_MISUSE);
    commit_and_end(transaction);
    ck_assert_int_eq(head_of(store), 1);
}
END_TEST

START_TEST(upcaster_may_call_nothing_with_a_store)
{
    stele_codec codec = marked_codec();
    open_with_codec(&codec);

    stele_record record = make_record("Older", 1, "marked", "M{}");
    assert_status(stele_record_decode(store, &record, &decoded), STELE_OK);

    expect_answers(nothing);
    ck_assert_str_eq(only_part()->codec, "marked");
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("callbacks");
    TCase *tests = tcase_create("cells");
    tcase_add_checked_fixture(tests, setup_stores, remove_stores);
    tcase_add_test(tests, clock_may_call_nothing);
    tcase_add_test(tests, progress_of_a_wait_may_call_nothing);
    tcase_add_loop_test(tests, progress_of_work_may_call_nothing, 0, (int)COUNT_OF(long_works));
    tcase_add_test(tests, verdict_may_call_everything);
    tcase_add_loop_test(tests, copy_callbacks_may_call_everything_of_the_source, 0, 2);
    tcase_add_loop_test(tests, import_callbacks_may_call_everything, 0, 3);
    tcase_add_loop_test(tests, callbacks_of_an_atomic_import_may_only_read, 1, 3);
    tcase_add_test(tests, function_of_lent_sql_may_use_the_transaction_and_read);
    tcase_add_loop_test(tests, functions_of_a_codec_may_call_nothing_with_a_store, 0, 3);
    tcase_add_test(tests, gate_of_an_append_in_a_transaction_may_not_use_that);
    tcase_add_test(tests, upcaster_may_call_nothing_with_a_store);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
