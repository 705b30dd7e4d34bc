/* Copying a store: what becomes of its events, which position is which, and who is refused. */
#include "copying.h"

#include <stele/typed.h>

#include "upcasters.h"

/* Events of all kinds: codecs, metadata, times, versions, keys. */
static void fill_source(void)
{
    stele_event event = make_event("made", "{\"n\": 1.0}");
    event.metadata = "{\"by\":\"ann\"}";
    event.metadata_size = strlen(event.metadata);
    event.occurred_at = 1747474200250000;
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);
    append.idempotency_key = "first";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    event = make_event("bytes", "\x01\x02");
    event.codec = "raw";
    event.schema_version = 3;
    assert_status(append_event("b-1", &event), STELE_OK);
    event = make_event("nothing", "");
    assert_status(append_event("a-1", &event), STELE_OK);
    event.has_occurred_at = true; /* 1970 itself */
    assert_status(append_event("a-1", &event), STELE_OK);
    stele_event both[2] = { make_event("one", "1"), make_event("two", "[2]") };
    append = make_append("c-1", STELE_ANY, both, 2);
    append.idempotency_key = "pair";
    assert_status(stele_store_append(store, &append, NULL), STELE_OK);
}

/* --- What becomes of events --- */

START_TEST(plain_copy_exports_the_same_lines)
{
    fill_source();
    stele_copy copy = copy_by(NULL);

    stele_copied copied = run_copy(&copy);

    char *before = export_of(store);
    char *after = export_of(target);
    ck_assert_str_eq(after, before);
    ck_assert_uint_eq(copied.events_read, 6);
    ck_assert_uint_eq(copied.events_written, 6);
    ck_assert_uint_eq(copied.dropped, 0);
    ck_assert_int_eq(copied.position, 6);
    ck_assert_str_eq(told_text(), "1-1 2-2 3-3 4-4 5-5 6-6");
    ck_assert(!has_note());
    free(before);
    free(after);
}
END_TEST

START_TEST(copy_without_options_is_a_plain_one)
{
    fill_source();

    assert_status(stele_store_copy(store, target, NULL, NULL), STELE_OK);

    ck_assert_int_eq(head_of(target), 6);
}
END_TEST

START_TEST(empty_store_is_copied_to_an_empty_one)
{
    stele_copied copied = run_copy(NULL);

    ck_assert_int_eq(copied.position, 0);
    ck_assert_int_eq(head_of(target), 0);
    ck_assert(!has_note());
}
END_TEST

/* Renames a stream, merges two, splits a type, drops another. */
static stele_status rewrite(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context;
    stele_event event = make_event(record->type, record->data);
    if (strcmp(record->type, "noise") == 0)
        return STELE_OK;
    if (strcmp(record->type, "moved") == 0) {
        event.type = "left";
        stele_status status = stele_copy_emit(sink, record->stream, &event);
        event.type = "arrived";
        return status == STELE_OK ? stele_copy_emit(sink, "depot-1", &event) : status;
    }
    return stele_copy_emit(sink, strcmp(record->stream, "old-1") == 0 ? "new-1" : "all-1", &event);
}

START_TEST(events_are_renamed_split_dropped_and_merged)
{
    append_data("old-1", "made", "1");
    append_data("x-1", "made", "2");
    append_data("x-1", "noise", "3");
    append_data("old-1", "moved", "4");
    append_data("y-1", "made", "5");
    stele_copy copy = copy_by(rewrite);

    stele_copied copied = run_copy(&copy);

    ck_assert_str_eq(target_text(), "new-1 made 1|all-1 made 2|old-1 left 4|depot-1 arrived 4|"
                                    "all-1 made 5");
    ck_assert_str_eq(told_text(), "1-1 2-2 0-0 3-4 5-5");
    ck_assert_uint_eq(copied.events_read, 5);
    ck_assert_uint_eq(copied.events_written, 5);
    ck_assert_uint_eq(copied.dropped, 1);
}
END_TEST

static stele_status forget_time(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context;
    stele_event event = make_event("made", "1");
    return stele_copy_emit(sink, record->stream, &event);
}

START_TEST(time_of_the_source_survives)
{
    stele_event event = make_event("made", "1");
    assert_status(append_event("a-1", &event), STELE_OK);
    event.occurred_at = 77;
    assert_status(append_event("a-1", &event), STELE_OK);
    stele_copy copy = copy_by(forget_time);
    stele_cursor *here = open_read(NULL);
    int64_t recorded_at = next_record(here)->recorded_at;
    stele_cursor_close(here);

    run_copy(&copy);

    stele_cursor *cursor = NULL;
    assert_status(stele_store_read(target, NULL, &cursor), STELE_OK);
    const stele_record *record = next_record(cursor);
    ck_assert(record->has_occurred_at);
    ck_assert_int_eq(record->occurred_at, recorded_at);
    ck_assert_int_eq(next_record(cursor)->occurred_at, 77);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(key_of_an_event_that_becomes_exactly_one_is_kept)
{
    static const char *const data[] = { "1", "2", "0" };
    static const char *const keys[] = { "one", "two", "none" };
    for (size_t i = 0; i < 3; i++) {
        stele_event event = make_event("made", data[i]);
        stele_append append = make_append("a-1", STELE_ANY, &event, 1);
        append.idempotency_key = keys[i];
        assert_status(stele_store_append(store, &append, NULL), STELE_OK);
    }
    stele_copy copy = copy_by(as_often_as_told);
    copy.keys = _i == 0;

    run_copy(&copy);

    stele_event other = make_event("made", "9");
    stele_append retry = make_append("a-1", STELE_ANY, &other, 1);
    retry.idempotency_key = "one";
    assert_status(stele_store_append(target, &retry, NULL), _i == 0 ? STELE_KEY_REUSED : STELE_OK);
    retry.idempotency_key = "two";
    assert_status(stele_store_append(target, &retry, NULL), STELE_OK);
}
END_TEST

START_TEST(part_of_a_log_is_copied)
{
    fill_stream("a-1", 6);
    stele_copy copy = STELE_COPY_INIT;
    copy.after_position = 2;
    copy.to_position = 5;
    assert_status(stele_checkpoint_save(store, "before", 1), STELE_OK);
    assert_status(stele_checkpoint_save(store, "inside", 4), STELE_OK);
    assert_status(stele_checkpoint_save(store, "beyond", 6), STELE_OK);

    stele_copied copied = run_copy(&copy);

    ck_assert_str_eq(target_text(),
                     "a-1 counted {\"n\":3}|a-1 counted {\"n\":4}|a-1 counted {\"n\":5}");
    ck_assert_int_eq(copied.position, 5);
    ck_assert_int_eq(target_checkpoint("before"), 0);
    ck_assert_int_eq(target_checkpoint("inside"), 2);
    ck_assert_int_eq(target_checkpoint("beyond"), 3);
}
END_TEST

START_TEST(dry_run_counts_and_changes_nothing)
{
    for (int i = 0; i < 9; i++)
        append_data("a-1", "made", i % 3 == 0 ? "2" : "1");
    assert_status(stele_checkpoint_save(store, "reader", 3), STELE_OK);
    stele_work work = STELE_WORK_INIT;
    work.step_count_max = 2;
    stele_copy copy = copy_by(as_often_as_told);
    copy.dry_run = true;
    copy.work = &work;

    stele_copied copied = run_copy(&copy);

    ck_assert_uint_eq(copied.events_written, 12);
    ck_assert_uint_eq(copied.checkpoints, 1);
    ck_assert_str_eq(told_text(), "1-2 3-3 4-4 5-6 7-7 8-8 9-10 11-11 12-12");
    ck_assert_int_eq(head_of(target), 0);
    ck_assert_int_eq(target_checkpoint("reader"), -1);
    ck_assert(!has_note());
}
END_TEST

/* Decode through the upcasters, and store what the events are now. */
static stele_status bring_up_to_date(void *context, const stele_record *record,
                                     stele_copy_sink *sink)
{
    (void)context;
    stele_decoded *now = NULL;
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_status status = stele_record_decode(store, record, &now);
    for (size_t i = 0; status == STELE_OK && i < stele_decoded_count(now); i++) {
        const stele_part *part = stele_decoded_part(now, i);
        stele_typed_event typed = STELE_TYPED_EVENT_INIT;
        stele_event event = { 0 };
        typed.type = part->type;
        typed.value = part->value;
        payload.size = 0;
        status = stele_event_encode(store, &typed, &payload, &event, NULL);
        if (status == STELE_OK)
            status = stele_copy_emit(sink, record->stream, &event);
    }
    stele_buffer_dispose(&payload);
    stele_decoded_close(now);
    return status;
}

START_TEST(upcasters_bring_a_log_up_to_date)
{
    register_placed();
    append_data("order-1", "Placed", "{\"item\":\"A\",\"amount\":5}");
    stele_copy copy = copy_by(bring_up_to_date);

    run_copy(&copy);

    stele_cursor *cursor = NULL;
    assert_status(stele_store_read(target, NULL, &cursor), STELE_OK);
    const stele_record *record = next_record(cursor);
    ck_assert_int_eq(record->schema_version, 3);
    stele_cursor_close(cursor);
}
END_TEST

/* --- JSON as an answer --- */

static stele_status answer_json(void *context, const stele_record *record, stele_copy_sink *sink)
{
    (void)context;
    const char *text = record->data; /* a JSON string would be quoted: it is raw */
    return stele_copy_emit_json(sink, text, record->data_size);
}

static stele_status copy_answer(const char *answer)
{
    stele_event event = make_event("answer", answer);
    event.codec = "raw";
    assert_status(append_event("q-1", &event), STELE_OK);
    stele_copy copy = copy_by(answer_json);
    return stele_store_copy(store, target, &copy, NULL);
}

START_TEST(json_text_emits_one_event_several_or_none)
{
    static const struct {
        const char *answer;
        const char *text;
    } answers[] = {
        { " {\"stream\":\"a-1\",\"type\":\"t\",\"data\":{ \"n\":1 }} ", "a-1 t { \"n\":1 }" },
        { "null", "" },
        { "[]", "" },
        { "[{\"stream\":\"a-1\",\"type\":\"t\"},{\"stream\":\"b-1\",\"type\":\"u\",\"data\":[]}]",
          "a-1 t |b-1 u []" },
        { "{\"stream\":\"a-1\",\"type\":\"t\",\"data_b64\":\"aGV5\",\"id\":\"$x\",\"position\":7}",
          "" },
    };
    stele_status expected = _i == 4 ? STELE_INVALID : STELE_OK;

    assert_status(copy_answer(answers[_i].answer), expected);

    ck_assert_str_eq(target_text(), answers[_i].text);
}
END_TEST

START_TEST(text_that_is_no_answer_is_invalid)
{
    static const struct {
        const char *answer;
        const char *reason;
    } wrongs[] = {
        { "7", "neither an object nor an array nor null" },
        { "[{\"stream\":\"a-1\",\"type\":\"t\"},7]", "element 1 is no object" },
        { "{\"type\":\"t\"}", "no 'stream'" },
        { "{\"stream\":\"a-1\",\"type\":\"t\",\"dta\":1}", "unknown field 'dta'" },
        { "{\"stream\":\"a-1\",\"type\":\"t\"", "byte" },
        { "", "byte" },
        { "{\"stream\":\"$a\",\"type\":\"t\"}", "position 1, output 0: " },
    };

    assert_status(copy_answer(wrongs[_i].answer), _i == 6 ? STELE_MISUSE : STELE_INVALID);

    assert_reason_has("position 1");
    assert_reason_has(wrongs[_i].reason);
    ck_assert_int_eq(head_of(target), 0);
}
END_TEST

/* --- Refusals --- */

START_TEST(wrong_arguments_are_misuse)
{
    stele_copy copy = STELE_COPY_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_copied copied;
    memset(&copied, 0xff, sizeof(copied));

    assert_status(stele_store_copy(NULL, target, NULL, &copied), STELE_MISUSE);
    ck_assert_uint_eq(copied.events_read, 0);
    assert_status(stele_store_copy(store, NULL, NULL, NULL), STELE_MISUSE);
    assert_reason_has("the target");
    assert_status(stele_store_copy(store, store, NULL, NULL), STELE_MISUSE);
    assert_reason_has("the target is the source");
    copy.struct_size = 0;
    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_MISUSE);
    stele_copy_init(&copy);
    copy.after_position = -1;
    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_MISUSE);
    stele_copy_init(&copy);
    copy.to_position = -1;
    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_MISUSE);
    stele_copy_init(&copy);
    work.step_count_max = 0;
    copy.work = &work;
    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_MISUSE);
    ck_assert(!has_note());
}
END_TEST

START_TEST(target_that_is_not_empty_is_misuse)
{
    append_data("a-1", "made", "1");
    assert_status(append_to(target, "b-1", STELE_ANY, "made", NULL), STELE_OK);

    assert_status(stele_store_copy(store, target, NULL, NULL), STELE_MISUSE);

    assert_reason_has("the target: it is not empty: its head is 1");
    ck_assert_int_eq(head_of(target), 1);
}
END_TEST

START_TEST(copy_of_the_source_file_is_no_target)
{
    append_data("a-1", "made", "1");
    close_store();
    copy_file(store_path(), test_path("twin.db"));
    open_in_file();
    stele_options options = STELE_OPTIONS_INIT;
    stele_store *twin = open_path(test_path("twin.db"), &options);

    assert_status(stele_store_copy(store, twin, NULL, NULL), STELE_MISUSE);

    assert_reason_has("a copy of its file");
    stele_store_close(twin);
}
END_TEST

START_TEST(read_only_target_is_refused)
{
    stele_store_close(target);
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    target = open_path(target_path(), &options);

    assert_status(stele_store_copy(store, target, NULL, NULL), STELE_READ_ONLY);
}
END_TEST

START_TEST(damage_in_the_source_ends_the_copy_before_it)
{
    append_data("a-1", "made", "1");
    append_data("a-1", "made", "2");
    close_store();
    run_sql(store_path(), "UPDATE events SET data = '3' WHERE position = 2");
    open_in_file();

    assert_status(stele_store_copy(store, target, NULL, NULL), STELE_CORRUPT);

    assert_reason_has("the source: ");
    assert_reason_has("position 2");
}
END_TEST

START_TEST(target_that_another_process_writes_is_busy)
{
    append_data("a-1", "made", "1");
    sqlite3 *raw = open_raw(target_path());
    run_raw(raw, "BEGIN IMMEDIATE");
    stele_wait wait = STELE_WAIT_INIT;
    stele_work work = STELE_WORK_INIT;
    stele_copy copy = STELE_COPY_INIT;
    wait.timeout_ms = 20;
    work.wait = &wait;
    copy.work = &work;

    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_BUSY);

    assert_reason_has("the target: ");
    run_raw(raw, "ROLLBACK");
    ck_assert_int_eq(sqlite3_close(raw), SQLITE_OK);
    run_copy(&copy);
}
END_TEST

static stele_status emit_wrong(void *context, const stele_record *record, stele_copy_sink *sink)
{
    const int *kind = context;
    stele_event event = make_event("made", "{");
    switch (*kind) {
    case 0: /* the gate says so, later */
        stele_copy_pass(sink, record);
        return stele_copy_emit(sink, "a-1", &event);
    case 1: stele_copy_emit(sink, NULL, &event); return STELE_OK;
    case 2: event.data = NULL; return stele_copy_emit(sink, "a-1", &event);
    case 3: stele_copy_fail(sink, "it is too old"); return STELE_OK;
    case 4: stele_copy_fail(sink, "it is too old"); return STELE_UNSUPPORTED;
    case 5: return STELE_NOT_FOUND;
    case 6: return STELE_DONE;
    case 7: return (stele_status)-1000;
    default: return stele_json_check("nope", 4, NULL);
    }
}

START_TEST(failure_of_a_transform_names_the_position)
{
    static const struct {
        stele_status status;
        const char *reason;
    } kinds[] = {
        { STELE_INVALID, "position 2, output 1: event 0: data: " },
        { STELE_MISUSE, "position 1: output 0: the stream emitted is NULL" },
        { STELE_MISUSE, "position 1: output 0: data is NULL" },
        { STELE_INVALID, "position 1: it is too old" },
        { STELE_UNSUPPORTED, "position 1: it is too old" },
        { STELE_NOT_FOUND, "position 1: the transform gave no reason" },
        { STELE_INVALID, "position 1: the transform answered 1" },
        { STELE_INVALID, "position 1: the transform answered -1000" },
        { STELE_INVALID, "position 1: " },
    };
    append_data("a-1", "made", "1");
    append_data("a-1", "made", "2");
    int kind = _i;
    stele_copy copy = copy_by(emit_wrong);
    copy.context = &kind;
    copy.mapped = NULL;
    copy.after_position = _i == 0 ? 1 : 0;

    assert_status(stele_store_copy(store, target, &copy, NULL), kinds[_i].status);

    assert_reason_has(kinds[_i].reason);
    ck_assert_int_eq(head_of(target), 0);
}
END_TEST

static stele_status emit_without_end(void *context, const stele_record *record,
                                     stele_copy_sink *sink)
{
    (void)context;
    stele_status status = STELE_OK;
    while (status == STELE_OK)
        status = stele_copy_pass(sink, record);
    return STELE_OK;
}

START_TEST(too_many_events_of_one_are_refused)
{
    append_data("a-1", "made", "1");
    stele_copy copy = copy_by(emit_without_end);

    assert_status(stele_store_copy(store, target, &copy, NULL), STELE_TOO_LARGE);

    assert_reason_has("more than 100000 events");
}
END_TEST

START_TEST(calls_on_no_sink_are_misuse)
{
    stele_event event = make_event("made", "1");
    stele_record record = { 0 };

    assert_status(stele_copy_emit(NULL, "a-1", &event), STELE_MISUSE);
    assert_status(stele_copy_pass(NULL, &record), STELE_MISUSE);
    assert_status(stele_copy_emit_json(NULL, "null", 4), STELE_MISUSE);
    assert_status(stele_copy_fail(NULL, "so"), STELE_MISUSE);
}
END_TEST

START_TEST(checkpoints_are_left_when_not_wanted)
{
    append_data("a-1", "made", "1");
    assert_status(stele_checkpoint_save(store, "reader", 1), STELE_OK);
    stele_copy copy = STELE_COPY_INIT;
    copy.checkpoints = false;

    stele_copied copied = run_copy(&copy);

    ck_assert_uint_eq(copied.checkpoints, 0);
    ck_assert_int_eq(target_checkpoint("reader"), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("copy");
    TCase *tests = add_copy_case(suite, "events", open_both_in_memory);
    tcase_add_test(tests, plain_copy_exports_the_same_lines);
    tcase_add_test(tests, copy_without_options_is_a_plain_one);
    tcase_add_test(tests, empty_store_is_copied_to_an_empty_one);
    tcase_add_test(tests, events_are_renamed_split_dropped_and_merged);
    tcase_add_test(tests, time_of_the_source_survives);
    tcase_add_loop_test(tests, key_of_an_event_that_becomes_exactly_one_is_kept, 0, 2);
    tcase_add_test(tests, part_of_a_log_is_copied);
    tcase_add_test(tests, dry_run_counts_and_changes_nothing);
    tcase_add_test(tests, upcasters_bring_a_log_up_to_date);
    tcase_add_loop_test(tests, json_text_emits_one_event_several_or_none, 0, 5);
    tcase_add_loop_test(tests, text_that_is_no_answer_is_invalid, 0, 7);
    tests = add_copy_case(suite, "refusals", open_both_in_files);
    tcase_add_test(tests, wrong_arguments_are_misuse);
    tcase_add_test(tests, target_that_is_not_empty_is_misuse);
    tcase_add_test(tests, copy_of_the_source_file_is_no_target);
    tcase_add_test(tests, read_only_target_is_refused);
    tcase_add_test(tests, damage_in_the_source_ends_the_copy_before_it);
    tcase_add_test(tests, target_that_another_process_writes_is_busy);
    tcase_add_loop_test(tests, failure_of_a_transform_names_the_position, 0, 9);
    tcase_add_test(tests, too_many_events_of_one_are_refused);
    tcase_add_test(tests, calls_on_no_sink_are_misuse);
    tcase_add_test(tests, checkpoints_are_left_when_not_wanted);
    return run_suite(suite);
}
