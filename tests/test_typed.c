/* Typed events: values appended and read back, record by record. */
#include "typed_events.h"

#include "resources.h"

static void register_all(void)
{
    register_table(&placed_1_type);
    register_table(&placed_3_type);
    register_table(&noted_type);
    register_marked();
}

static stele_append append_of(const char *stream, int64_t expected_version)
{
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.expected_version = expected_version;
    return append;
}

/* --- Appending --- */

static stele_status append_by(bool inside, const stele_append *append,
                              const stele_typed_event *events, size_t count,
                              stele_appended *appended_out)
{
    if (!inside)
        return stele_append_typed(store, append, events, count, appended_out);
    stele_transaction *transaction = begin();
    stele_status status =
        stele_transaction_append_typed(transaction, append, events, count, appended_out);
    commit_and_end(transaction);
    return status;
}

/* More than fit without an allocation, of several tables and codecs, with everything set. */
START_TEST(typed_events_are_appended_in_one_batch)
{
    enum { MANY = 20 };
    static const char *const codecs[] = { NULL, "cbor", "marked" };
    noted values[MANY];
    placed_1 placed = { "pen", 3 };
    stele_typed_event events[MANY];
    stele_append append = append_of("a-1", STELE_NO_STREAM);
    stele_appended appended;
    register_all();
    for (int i = 0; i < MANY; i++) {
        values[i].n = 100 + i;
        events[i] = (stele_typed_event){ .struct_size = sizeof(stele_typed_event),
                                         .type = &noted_type,
                                         .value = &values[i] };
        events[i].codec = codecs[i % 3];
        events[i].metadata = "{\"m\":1}";
        events[i].metadata_size = 7;
        events[i].occurred_at = i;
        events[i].has_occurred_at = true;
    }
    events[7] = (stele_typed_event){ .struct_size = sizeof(stele_typed_event),
                                     .type = &placed_1_type,
                                     .value = &placed };

    assert_status(append_by(_i == 1, &append, events, MANY, &appended), STELE_OK);

    ck_assert_int_eq(appended.stream_version, MANY);
    ck_assert_int_eq(appended.first_position, 1);
    stele_cursor *cursor = open_read(NULL);
    for (int i = 0; i < MANY; i++) {
        const stele_record *record = next_record(cursor);
        assert_status(stele_record_decode(store, record, &decoded), STELE_OK);
        const stele_part *part = only_part();
        ck_assert_str_eq(part->codec, i == 7 || codecs[i % 3] == NULL ? "json" : codecs[i % 3]);
        if (i == 7) {
            ck_assert_ptr_eq(part->type, &placed_1_type);
            ck_assert_str_eq(((const placed_1 *)part->value)->item, "pen");
            ck_assert_uint_eq(record->metadata_size, 0);
            ck_assert(!record->has_occurred_at);
        } else {
            ck_assert_ptr_eq(part->type, &noted_type);
            ck_assert_int_eq(((const noted *)part->value)->n, 100 + i);
            ck_assert_uint_eq(record->metadata_size, 7);
            ck_assert_int_eq(record->occurred_at, i);
            ck_assert(record->has_occurred_at);
        }
    }
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(empty_typed_append_checks_the_expectation)
{
    stele_appended appended = { .stream_version = 7 };
    stele_append append = append_of("a-1", 3);
    assert_status(append_by(_i == 1, &append, NULL, 0, &appended), STELE_CONFLICT);
    ck_assert_int_eq(appended.stream_version, 0);
    append.expected_version = STELE_NO_STREAM;
    assert_status(append_by(_i == 1, &append, NULL, 0, NULL), STELE_OK);
}
END_TEST

START_TEST(conflict_passes_through)
{
    noted value = { 1 };
    stele_typed_event event = { .struct_size = sizeof(stele_typed_event),
                                .type = &noted_type,
                                .value = &value };
    stele_append append = append_of("a-1", 5);
    stele_appended appended = { 0 };
    register_all();
    fill_stream("a-1", 2);

    assert_status(append_by(_i == 1, &append, &event, 1, &appended), STELE_CONFLICT);

    ck_assert_int_eq(appended.stream_version, 2);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

/* The same value is the same bytes. */
START_TEST(second_attempt_with_a_key_is_a_duplicate)
{
    placed_3 value = { "pen", 3, NULL };
    char currency[] = "EUR";
    stele_typed_event event = { .struct_size = sizeof(stele_typed_event),
                                .type = &placed_3_type,
                                .value = &value };
    stele_append append = append_of("a-1", STELE_ANY);
    stele_appended first, second;
    value.currency = currency;
    register_all();
    append.idempotency_key = "attempt-1";
    event.codec = _i < 2 ? "json" : "cbor";

    assert_status(append_by(_i % 2 == 1, &append, &event, 1, &first), STELE_OK);
    assert_status(append_by(_i % 2 == 1, &append, &event, 1, &second), STELE_OK);
    ck_assert(!first.duplicate);
    ck_assert(second.duplicate);
    ck_assert_int_eq(second.first_position, first.first_position);

    value.cents++;
    assert_status(append_by(_i % 2 == 1, &append, &event, 1, &second), STELE_KEY_REUSED);
}
END_TEST

/* Text that is not UTF-8 can't be stored. */
START_TEST(value_that_cannot_be_encoded_stores_nothing_and_is_named)
{
    placed_1 good = { "pen", 1 }, bad = { "\xFF", 1 };
    stele_typed_event events[] = {
        { .struct_size = sizeof(stele_typed_event), .type = &placed_1_type, .value = &good },
        { .struct_size = sizeof(stele_typed_event), .type = &placed_1_type, .value = &bad }
    };
    stele_append append = append_of("a-1", STELE_ANY);
    stele_appended appended = { .stream_version = 9 };
    register_all();

    assert_status(append_by(_i == 1, &append, events, 2, &appended), STELE_INVALID);

    assert_reason_has("event 1: type 'Placed' 1: item: ");
    ck_assert_int_eq(appended.stream_version, 0);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(typed_append_that_breaks_its_contract_stores_nothing)
{
    noted value = { 1 };
    placed_2 unregistered = { "pen", 1 };
    const stele_type nameless = { 0 };
    stele_typed_event good = { .struct_size = sizeof(stele_typed_event),
                               .type = &noted_type,
                               .value = &value };
    const struct {
        stele_typed_event event;
        stele_status status;
    } wrong[] = {
        { { .type = &noted_type, .value = &value }, STELE_MISUSE },
        { { .struct_size = 4, .type = &noted_type, .value = &value }, STELE_MISUSE },
        { { .struct_size = sizeof(stele_typed_event), .type = NULL, .value = &value },
          STELE_MISUSE },
        { { .struct_size = sizeof(stele_typed_event), .type = &noted_type, .value = NULL },
          STELE_MISUSE },
        { { .struct_size = sizeof(stele_typed_event),
            .type = &placed_2_type,
            .value = &unregistered },
          STELE_UNKNOWN_TYPE },
        { { .struct_size = sizeof(stele_typed_event), .type = &nameless, .value = &value },
          STELE_UNKNOWN_TYPE },
        { { .struct_size = sizeof(stele_typed_event),
            .type = &noted_type,
            .value = &value,
            .codec = "x-zip" },
          STELE_UNSUPPORTED },
        { { .struct_size = sizeof(stele_typed_event),
            .type = &noted_type,
            .value = &value,
            .codec = "raw" },
          STELE_UNSUPPORTED },
        { { .struct_size = sizeof(stele_typed_event),
            .type = &noted_type,
            .value = &value,
            .metadata = "{",
            .metadata_size = 1 },
          STELE_INVALID },
    };
    stele_append append = append_of("a-1", STELE_ANY);
    register_all();
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        stele_typed_event events[] = { good, good, wrong[i].event };
        assert_status(append_by(_i == 1, &append, events, 3, NULL), wrong[i].status);
        assert_reason_has("event 2: ");
    }
    stele_event stray = make_event("noted", "{}");
    append.events = &stray;
    assert_status(append_by(_i == 1, &append, &good, 1, NULL), STELE_MISUSE);
    append.events = NULL;
    append.event_count = 1;
    assert_status(append_by(_i == 1, &append, &good, 1, NULL), STELE_MISUSE);
    append.event_count = 0;
    assert_status(append_by(_i == 1, &append, NULL, 1, NULL), STELE_MISUSE);
    assert_status(append_by(_i == 1, &append, &good, 100001, NULL), STELE_TOO_LARGE);
    assert_status(append_by(_i == 1, NULL, &good, 1, NULL), STELE_MISUSE);
    append.struct_size = 0;
    assert_status(append_by(_i == 1, &append, &good, 1, NULL), STELE_MISUSE);
    assert_status(stele_append_typed(NULL, &append, &good, 1, NULL), STELE_MISUSE);
    assert_status(stele_transaction_append_typed(NULL, &append, &good, 1, NULL), STELE_MISUSE);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

START_TEST(failed_typed_append_leaves_the_transaction_usable)
{
    noted value = { 1 };
    placed_2 unregistered = { "pen", 1 };
    stele_typed_event event = { .struct_size = sizeof(stele_typed_event),
                                .type = &noted_type,
                                .value = &value };
    stele_typed_event wrong = { .struct_size = sizeof(stele_typed_event),
                                .type = &placed_2_type,
                                .value = &unregistered };
    stele_append append = append_of("a-1", STELE_ANY);
    register_all();
    stele_transaction *transaction = begin();

    assert_status(stele_transaction_append_typed(transaction, &append, &event, 1, NULL), STELE_OK);
    assert_status(stele_transaction_append_typed(transaction, &append, &wrong, 1, NULL),
                  STELE_UNKNOWN_TYPE);
    assert_status(stele_transaction_append_typed(transaction, &append, &event, 1, NULL), STELE_OK);
    commit_and_end(transaction);

    ck_assert_int_eq(version_of("a-1"), 2);
}
END_TEST

START_TEST(encoded_event_is_appended_by_any_other_call)
{
    noted values[2] = { { 1 }, { 2 } };
    stele_typed_event typed = { .struct_size = sizeof(stele_typed_event),
                                .type = &noted_type,
                                .metadata = "[]",
                                .metadata_size = 2 };
    stele_event events[2];
    stele_buffer buffers[2] = { STELE_BUFFER_INIT, STELE_BUFFER_INIT };
    stele_append appends[2];
    stele_ticket *ticket = NULL;
    register_all();
    for (int i = 0; i < 2; i++) {
        assert_status(stele_buffer_add(&buffers[i], "before", 6), STELE_OK);
        typed.value = &values[i];
        assert_status(stele_event_encode(store, &typed, &buffers[i], &events[i], NULL), STELE_OK);
        ck_assert_ptr_eq(events[i].data, buffers[i].data + 6);
        ck_assert_str_eq(events[i].type, "Noted");
        ck_assert_int_eq(events[i].schema_version, 1);
        ck_assert_str_eq(events[i].codec, "json");
        appends[i] = make_append(i == 0 ? "a-1" : "a-2", STELE_ANY, &events[i], 1);
    }

    assert_status(stele_store_append_many(store, appends, 2, NULL, NULL), STELE_OK);
    assert_status(stele_store_submit(store, &appends[0], NULL, &ticket), STELE_OK);
    assert_status(stele_store_flush(store, NULL), STELE_OK);

    ck_assert_int_eq(version_of("a-1"), 2);
    ck_assert_int_eq(version_of("a-2"), 1);
    stele_ticket_close(ticket);
    stele_buffer_dispose(&buffers[0]);
    stele_buffer_dispose(&buffers[1]);
}
END_TEST

START_TEST(failed_encoding_of_an_event_leaves_the_buffer_as_it_was)
{
    placed_1 bad = { "\xFF", 1 };
    stele_typed_event typed = { .struct_size = sizeof(stele_typed_event),
                                .type = &placed_1_type,
                                .value = &bad };
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_event event;
    stele_flaw flaw;
    register_all();
    assert_status(stele_buffer_add(&buffer, "before", 6), STELE_OK);

    assert_status(stele_event_encode(store, &typed, &buffer, &event, &flaw), STELE_INVALID);

    ck_assert_uint_eq(buffer.size, 6);
    ck_assert_str_eq(flaw.path, "item");
    ck_assert_ptr_null(event.type);
    typed.codec = "x-zip";
    assert_status(stele_event_encode(store, &typed, &buffer, &event, &flaw), STELE_UNSUPPORTED);
    typed.type = &placed_2_type;
    assert_status(stele_event_encode(store, &typed, &buffer, &event, NULL), STELE_UNKNOWN_TYPE);
    assert_status(stele_event_encode(store, &typed, &buffer, NULL, NULL), STELE_MISUSE);
    assert_status(stele_event_encode(store, &typed, NULL, &event, NULL), STELE_MISUSE);
    assert_status(stele_event_encode(store, NULL, &buffer, &event, NULL), STELE_MISUSE);
    assert_status(stele_event_encode(NULL, &typed, &buffer, &event, NULL), STELE_MISUSE);
    ck_assert_uint_eq(buffer.size, 6);
    stele_buffer_dispose(&buffer);
}
END_TEST

/* --- Reading --- */

START_TEST(record_decodes_by_the_table_of_its_own_version)
{
    register_all();
    assert_status(decode_json("Placed", 1, "{\"item\":\"pen\",\"amount\":3}"), STELE_OK);
    ck_assert_ptr_eq(only_part()->type, &placed_1_type);
    ck_assert_int_eq(((const placed_1 *)only_part()->value)->amount, 3);
    ck_assert_ptr_eq(only_part()->data, record_at_hand.data);
    ck_assert_ptr_null(stele_decoded_flaw(decoded));

    assert_status(decode_json("Placed", 3, "{\"item\":\"pen\",\"cents\":3,\"currency\":\"EUR\"}"),
                  STELE_OK);
    ck_assert_ptr_eq(only_part()->type, &placed_3_type);
    ck_assert_str_eq(((const placed_3 *)only_part()->value)->currency, "EUR");
    ck_assert_str_eq(only_part()->name, "Placed");
    ck_assert_int_eq(only_part()->schema_version, 3);
}
END_TEST

START_TEST(unknown_type_keeps_the_record_as_it_is_stored)
{
    register_all();
    const struct {
        const char *type;
        int64_t version;
    } unknown[] = { { "Placed", 2 }, { "Paid", 1 }, { "Noted", 2 } };
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_status(decode_json(unknown[i].type, unknown[i].version, "{}"), STELE_UNKNOWN_TYPE);
        assert_raw(&record_at_hand);
        char expected[200];
        snprintf(expected, sizeof(expected),
                 "stream 'order-17' version 3 position 12 type '%s' %" PRId64
                 ": no table and no upcaster is registered for it",
                 unknown[i].type, unknown[i].version);
        ck_assert_str_eq(stele_error_text(), expected);
    }
}
END_TEST

START_TEST(undecodable_payload_is_named_and_kept)
{
    register_all();
    assert_status(decode_json("Placed", 1, "{\"item\":\"pen\",\"amount\":\"x\"}"), STELE_INVALID);
    assert_reason_has("stream 'order-17' version 3 position 12 type 'Placed' 1: amount: ");
    assert_raw(&record_at_hand);
    ck_assert_str_eq(stele_decoded_flaw(decoded)->path, "amount");

    assert_status(decode_json("Placed", 1, "{\"item\":\"pen\",\"amount\":9007199254740993}"),
                  STELE_PRECISION);
    assert_raw(&record_at_hand);
    assert_status(decode_json("Placed", 1, ""), STELE_INVALID);
    assert_raw(&record_at_hand);

    /* What comes after it is as if nothing had been. */
    assert_status(decode_json("Noted", 1, "{\"n\":1}"), STELE_OK);
    ck_assert_ptr_null(stele_decoded_flaw(decoded));
}
END_TEST

START_TEST(renamed_type_is_read_under_its_new_name)
{
    register_all();
    assert_status(stele_store_register_alias(store, "Ordered", "Placed"), STELE_OK);

    assert_status(decode_json("Ordered", 1, "{\"item\":\"pen\",\"amount\":3}"), STELE_OK);
    ck_assert_str_eq(only_part()->name, "Placed");
    ck_assert_ptr_eq(only_part()->type, &placed_1_type);

    assert_status(decode_json("Ordered", 2, "{}"), STELE_UNKNOWN_TYPE);
    assert_raw(&record_at_hand);
    ck_assert_str_eq(only_part()->name, "Ordered");
}
END_TEST

START_TEST(decoding_breaks_its_contract_without_a_handle)
{
    stele_record record = make_record("Noted", 1, "json", "{\"n\":1}");
    register_all();
    assert_status(stele_record_decode(NULL, &record, &decoded), STELE_MISUSE);
    assert_status(stele_record_decode(store, NULL, &decoded), STELE_MISUSE);
    assert_status(stele_record_decode(store, &record, NULL), STELE_MISUSE);
    record.data = NULL;
    assert_status(stele_record_decode(store, &record, &decoded), STELE_MISUSE);
    record = make_record(NULL, 1, "json", "");
    assert_status(stele_record_decode(store, &record, &decoded), STELE_MISUSE);
    record = make_record("Noted", 1, NULL, "");
    assert_status(stele_record_decode(store, &record, &decoded), STELE_MISUSE);
    record = make_record("Noted", 1, "json", "");
    record.stream = NULL;
    assert_status(stele_record_decode(store, &record, &decoded), STELE_MISUSE);
    ck_assert_ptr_null(decoded);

    /* And leaves one that is there as it was. */
    assert_status(decode_json("Noted", 1, "{\"n\":7}"), STELE_OK);
    assert_status(stele_record_decode(store, NULL, &decoded), STELE_MISUSE);
    ck_assert_int_eq(((const noted *)only_part()->value)->n, 7);
}
END_TEST

START_TEST(no_handle_has_no_parts)
{
    ck_assert_uint_eq(stele_decoded_count(NULL), 0);
    ck_assert_ptr_null(stele_decoded_part(NULL, 0));
    ck_assert_ptr_null(stele_decoded_flaw(NULL));
    stele_decoded_close(NULL);
}
END_TEST

/* --- Memory --- */

START_TEST(decoding_record_after_record_allocates_nothing)
{
    const char *const codecs[] = { "json", "cbor" };
    register_all();
    for (int64_t i = 0; i < 50; i++) {
        noted value = { i };
        placed_1 placed = { "pen", i };
        assert_status(append_value("a-1", &noted_type, &value, codecs[i % 2]), STELE_OK);
        assert_status(append_value("a-1", &placed_1_type, &placed, codecs[i % 2]), STELE_OK);
    }
    stele_cursor *cursor = open_read(NULL);
    for (int i = 0; i < 100; i++) {
        const stele_record *record = next_record(cursor);
        int64_t calls = atomic_load(&own.calls);
        assert_status(stele_record_decode(store, record, &decoded), STELE_OK);
        if (i >= 4)
            ck_assert_int_eq(atomic_load(&own.calls), calls);
        ck_assert_ptr_eq(only_part()->data, record->data);
    }
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(handle_gives_back_what_its_values_own)
{
    register_all();
    assert_status(decode_json("Noted", 1, "{\"n\":1}"), STELE_OK);
    assert_status(decode_json("Placed", 3, "{\"item\":\"p\",\"cents\":3,\"currency\":\"E\"}"),
                  STELE_OK);
    int64_t blocks = atomic_load(&own.blocks);
    for (int i = 0; i < 100; i++) {
        assert_status(decode_json("Placed", 3, "{\"item\":\"p\",\"cents\":3,\"currency\":\"E\"}"),
                      STELE_OK);
        assert_status(decode_json("Placed", 3, "{\"currency\":\"E\",\"item\":4}"), STELE_INVALID);
    }
    assert_status(decode_json("Placed", 3, "{\"item\":\"p\",\"cents\":3,\"currency\":\"E\"}"),
                  STELE_OK);
    ck_assert_int_eq(atomic_load(&own.blocks), blocks);
}
END_TEST

START_TEST(everything_is_given_back_when_all_is_closed)
{
    int64_t blocks = atomic_load(&own.blocks);
    stele_store *main_store = store;
    store = open_path(":memory:", NULL);
    register_all();
    assert_status(stele_store_register_alias(store, "Ordered", "Placed"), STELE_OK);
    assert_status(decode_json("Ordered", 1, "{\"item\":\"pen\",\"amount\":3}"), STELE_OK);
    stele_store_close(store);
    store = main_store;

    /* The handle outlives its store, and the value in it. */
    ck_assert_str_eq(((const placed_1 *)only_part()->value)->item, "pen");
    ck_assert_str_eq(only_part()->name, "Placed");
    ck_assert_int_gt(atomic_load(&own.blocks), blocks);
    close_decoded();
    ck_assert_int_eq(atomic_load(&own.blocks), blocks);
}
END_TEST

START_TEST(closed_store_decodes_nothing)
{
    stele_store *kept = store;
    register_all();
    assert_status(decode_json("Placed", 3, "{\"item\":\"p\",\"cents\":3,\"currency\":\"E\"}"),
                  STELE_OK);
    stele_store_close(store);
    store = NULL;

    assert_status(stele_record_decode(kept, &record_at_hand, &decoded), STELE_CLOSED);
    ck_assert_str_eq(((const placed_3 *)only_part()->value)->currency, "E");
}
END_TEST

START_TEST(handle_goes_from_store_to_store)
{
    stele_store *first = store;
    stele_store *second = open_path(":memory:", NULL);
    register_table(&placed_3_type);
    assert_status(decode_json("Placed", 3, "{\"item\":\"p\",\"cents\":3,\"currency\":\"E\"}"),
                  STELE_OK);
    store = second;
    register_table(&noted_type);
    assert_status(decode_json("Placed", 3, "{}"), STELE_UNKNOWN_TYPE);
    assert_status(decode_json("Noted", 1, "{\"n\":1}"), STELE_OK);
    stele_store_close(first);
    ck_assert_int_eq(((const noted *)only_part()->value)->n, 1);
}
END_TEST

static Suite *typed_suite(void)
{
    Suite *suite = suite_create("typed");
    TCase *append = add_typed_case(suite, "append");
    tcase_add_loop_test(append, typed_events_are_appended_in_one_batch, 0, 2);
    tcase_add_loop_test(append, empty_typed_append_checks_the_expectation, 0, 2);
    tcase_add_loop_test(append, conflict_passes_through, 0, 2);
    tcase_add_loop_test(append, second_attempt_with_a_key_is_a_duplicate, 0, 4);
    tcase_add_loop_test(append, value_that_cannot_be_encoded_stores_nothing_and_is_named, 0, 2);
    tcase_add_loop_test(append, typed_append_that_breaks_its_contract_stores_nothing, 0, 2);
    tcase_add_test(append, failed_typed_append_leaves_the_transaction_usable);
    tcase_add_test(append, encoded_event_is_appended_by_any_other_call);
    tcase_add_test(append, failed_encoding_of_an_event_leaves_the_buffer_as_it_was);
    TCase *read = add_typed_case(suite, "read");
    tcase_add_test(read, record_decodes_by_the_table_of_its_own_version);
    tcase_add_test(read, unknown_type_keeps_the_record_as_it_is_stored);
    tcase_add_test(read, undecodable_payload_is_named_and_kept);
    tcase_add_test(read, renamed_type_is_read_under_its_new_name);
    tcase_add_test(read, decoding_breaks_its_contract_without_a_handle);
    tcase_add_test(read, no_handle_has_no_parts);
    TCase *memory = add_typed_case(suite, "memory");
    tcase_add_test(memory, decoding_record_after_record_allocates_nothing);
    tcase_add_test(memory, handle_gives_back_what_its_values_own);
    tcase_add_test(memory, everything_is_given_back_when_all_is_closed);
    tcase_add_test(memory, closed_store_decodes_nothing);
    tcase_add_test(memory, handle_goes_from_store_to_store);
    return suite;
}

int main(void)
{
    count_own_memory();
    return run_suite(typed_suite());
}
