/* The codecs of a store: those it knows, those of the program, what passes the gate. */
#include "typed_events.h"

/* --- Knowing them --- */

START_TEST(every_store_knows_json_cbor_and_raw)
{
    const char *const names[] = { "json", "cbor", "raw", "marked" };
    const char *name = NULL;
    const stele_codec *codec = NULL;
    register_marked();

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_status(stele_store_codec_at(store, i, &name), STELE_OK);
        ck_assert_str_eq(name, names[i]);
        assert_status(stele_store_codec(store, name, &codec), STELE_OK);
        ck_assert_str_eq(codec->name, name);
    }
    assert_status(stele_store_codec_at(store, COUNT_OF(names), &name), STELE_DONE);
    ck_assert_ptr_null(name);
    assert_status(stele_store_codec(store, "json", &codec), STELE_OK);
    ck_assert_ptr_eq(codec, stele_codec_json());
    assert_status(stele_store_codec(store, "cbor", &codec), STELE_OK);
    ck_assert_ptr_eq(codec, stele_codec_cbor());
    assert_status(stele_store_codec(store, "raw", &codec), STELE_OK);
    ck_assert_ptr_eq(codec, stele_codec_raw());
}
END_TEST

START_TEST(registered_codec_is_copied_with_its_name)
{
    char name[] = "marked";
    const stele_codec *found = NULL;
    stele_codec codec = marked_codec();
    codec.name = name;
    assert_status(stele_store_register_codec(store, &codec), STELE_OK);
    memset(name, '?', sizeof(name) - 1);
    memset(&codec, 0, sizeof(codec));

    assert_status(stele_store_codec(store, "marked", &found), STELE_OK);

    ck_assert_str_eq(found->name, "marked");
    ck_assert(found->check == check_marked);
}
END_TEST

START_TEST(unknown_codec_is_unsupported_by_its_name)
{
    const stele_codec *found = stele_codec_json();
    assert_status(stele_store_codec(store, "x-zip", &found), STELE_UNSUPPORTED);
    assert_reason_has("'x-zip'");
    ck_assert_ptr_null(found);
}
END_TEST

static const char *long_name(void)
{
    static char name[STELE_NAME_SIZE_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    return name;
}

START_TEST(registering_a_wrong_codec_is_misuse)
{
    const char *const names[] = { NULL, "", "a\nb", "json", "cbor", "raw", "marked", long_name() };
    register_marked();

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        stele_codec codec = marked_codec();
        codec.name = names[i];
        assert_status(stele_store_register_codec(store, &codec), STELE_MISUSE);
    }
    stele_codec unset = { 0 };
    unset.name = "unset";
    assert_status(stele_store_register_codec(store, &unset), STELE_MISUSE);
    assert_status(stele_store_register_codec(store, NULL), STELE_MISUSE);
    assert_status(stele_store_register_codec(NULL, &unset), STELE_MISUSE);
    const char *name = NULL;
    assert_status(stele_store_codec_at(store, 4, &name), STELE_DONE);
}
END_TEST

START_TEST(looking_a_codec_up_without_a_place_for_it_is_misuse)
{
    const stele_codec *codec = NULL;
    const char *name = NULL;
    assert_status(stele_store_codec(store, "json", NULL), STELE_MISUSE);
    assert_status(stele_store_codec(store, NULL, &codec), STELE_MISUSE);
    assert_status(stele_store_codec(NULL, "json", &codec), STELE_MISUSE);
    assert_status(stele_store_codec_at(store, 0, NULL), STELE_MISUSE);
    assert_status(stele_store_codec_at(NULL, 0, &name), STELE_MISUSE);
}
END_TEST

START_TEST(initializers_of_bindings_are_those_of_c)
{
    stele_codec codec;
    memset(&codec, 0x55, sizeof(codec));
    stele_codec_init(&codec);
    stele_codec_init(NULL);
    ck_assert_uint_eq(codec.struct_size, sizeof(codec));
    ck_assert_ptr_null(codec.name);
    ck_assert(codec.check == NULL && codec.encode == NULL && codec.decode == NULL);
    ck_assert_ptr_null(codec.context);
}
END_TEST

/* --- Writing --- */

START_TEST(typed_events_are_written_in_json_unless_told_otherwise)
{
    noted value = { 5 };
    stele_cursor *cursor = NULL;
    register_table(&noted_type);
    register_marked();
    if (_i == 1)
        assert_status(stele_store_write_codec(store, "cbor"), STELE_OK);
    if (_i == 2)
        assert_status(stele_store_write_codec(store, "marked"), STELE_OK);

    assert_status(append_value("a-1", &noted_type, &value, NULL), STELE_OK);

    const char *const data[] = { "{\"n\":5}", "\xA1\x61n\x05", "M{\"n\":5}" };
    const char *const codecs[] = { "json", "cbor", "marked" };
    const stele_record *record = read_only_record("a-1", &cursor);
    ck_assert_str_eq(record->codec, codecs[_i]);
    ck_assert_uint_eq(record->data_size, strlen(data[_i]));
    ck_assert_mem_eq(record->data, data[_i], record->data_size);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(write_codec_must_be_known_and_encode)
{
    stele_codec codec = marked_codec();
    codec.encode = NULL;
    assert_status(stele_store_register_codec(store, &codec), STELE_OK);

    assert_status(stele_store_write_codec(store, "raw"), STELE_UNSUPPORTED);
    assert_status(stele_store_write_codec(store, "marked"), STELE_UNSUPPORTED);
    assert_status(stele_store_write_codec(store, "x-zip"), STELE_UNSUPPORTED);
    assert_reason_has("'x-zip'");
    assert_status(stele_store_write_codec(store, NULL), STELE_MISUSE);
    assert_status(stele_store_write_codec(NULL, "json"), STELE_MISUSE);
}
END_TEST

/* --- Reading --- */

START_TEST(each_event_of_a_mixed_log_is_read_by_its_own_codec)
{
    static const char *const codecs[] = { "json", "cbor", "marked", "raw", "x-zip", NULL };
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    register_table(&noted_type);
    register_marked();
    for (int64_t i = 0; i < 60; i++) {
        noted value = { i };
        const char *codec = codecs[i % 6];
        bool bytes = i % 6 == 3 || i % 6 == 4;
        assert_status(bytes ? append_bytes("a-1", "Noted", codec, "\xFF\x00z", 3)
                            : append_value("a-1", &noted_type, &value, codec),
                      STELE_OK);
    }

    assert_status(stele_store_read(store, NULL, &cursor), STELE_OK);
    for (int64_t i = 0; i < 60; i++) {
        record = next_record(cursor);
        stele_status expected = i % 6 == 3 || i % 6 == 4 ? STELE_UNSUPPORTED : STELE_OK;
        assert_status(stele_record_decode(store, record, &decoded), expected);
        if (expected == STELE_OK) {
            const stele_part *part = only_part();
            ck_assert_ptr_eq(part->type, &noted_type);
            ck_assert_int_eq(((const noted *)part->value)->n, i);
            ck_assert_str_eq(part->codec, record->codec);
            ck_assert_ptr_eq(part->data, record->data);
        } else {
            assert_raw(record);
            ck_assert_mem_eq(record->data, "\xFF\x00z", 3);
        }
    }
    expect_done(cursor);
    stele_cursor_close(cursor);
}
END_TEST

START_TEST(decoding_says_which_codec_nobody_knows)
{
    register_table(&noted_type);
    stele_record record = make_record("Noted", 1, "x-zip", "zz");

    assert_status(stele_record_decode(store, &record, &decoded), STELE_UNSUPPORTED);

    ck_assert_str_eq(stele_error_text(), "stream 'order-17' version 3 position 12 type 'Noted' 1:"
                                         " the codec 'x-zip' isn't known");
    assert_raw(&record);
}
END_TEST

/* --- The gate --- */

typedef struct gate_case {
    const char *codec;
    const char *data;
    size_t size;
    stele_status status;
} gate_case;

static const gate_case gate_cases[] = {
    { "json", "{}", 2, STELE_OK },
    { "json", "{", 1, STELE_INVALID },
    { "json", "", 0, STELE_OK },
    { "cbor", "\xA0", 1, STELE_OK },
    { "cbor", "\xA1", 1, STELE_INVALID },
    { "cbor", "", 0, STELE_OK },
    { "cbor", "\xA0\xA0", 2, STELE_INVALID },
    { "raw", "\xFF", 1, STELE_OK },
    { "marked", "M{}", 3, STELE_OK },
    { "marked", "M{", 2, STELE_INVALID },
    { "marked", "{}", 2, STELE_INVALID },
    { "marked", "", 0, STELE_OK },
    { "x-zip", "\xFF", 1, STELE_OK },
    { "anything", "\x01\x02", 2, STELE_OK },
};

static stele_event gate_event(const gate_case *gate)
{
    return (stele_event){
        .type = "noted", .codec = gate->codec, .data = gate->data, .data_size = gate->size
    };
}

static stele_status submit_and_wait(const stele_append *append)
{
    stele_ticket *ticket = NULL;
    const stele_verdict *verdict = NULL;
    stele_status status = stele_store_submit(store, append, NULL, &ticket);
    if (status == STELE_OK)
        status = stele_ticket_wait(ticket, NULL, &verdict);
    if (status == STELE_OK)
        status = verdict->status;
    stele_ticket_close(ticket);
    return status;
}

static stele_status append_inside(const stele_append *append)
{
    stele_transaction *transaction = begin();
    stele_status status = stele_transaction_append(transaction, append, NULL);
    commit_and_end(transaction);
    return status;
}

START_TEST(each_way_to_append_has_the_same_gate)
{
    register_marked();
    for (size_t i = 0; i < COUNT_OF(gate_cases); i++) {
        int64_t head = head_of(store);
        stele_event event = gate_event(&gate_cases[i]);
        stele_append append = make_append("a-1", STELE_ANY, &event, 1);
        stele_status expected = gate_cases[i].status;
        assert_status(_i == 0   ? stele_store_append(store, &append, NULL)
                      : _i == 1 ? stele_store_append_many(store, &append, 1, NULL, NULL)
                      : _i == 2 ? submit_and_wait(&append)
                                : append_inside(&append),
                      expected);
        if (expected != STELE_OK)
            assert_reason_has("event 0: data: ");
        ck_assert_int_eq(head_of(store), head + (expected == STELE_OK));
    }
}
END_TEST

START_TEST(gate_alone_says_the_same)
{
    register_marked();
    for (size_t i = 0; i < COUNT_OF(gate_cases); i++)
        assert_status(stele_store_check_payload(store, gate_cases[i].codec, gate_cases[i].data,
                                                gate_cases[i].size, 100),
                      gate_cases[i].status);
    assert_status(stele_store_check_payload(store, NULL, "[1]", 3, 3), STELE_OK);
    assert_status(stele_store_check_payload(store, NULL, "[1", 2, 3), STELE_INVALID);
    assert_status(stele_store_check_payload(store, NULL, "[1]", 3, 2), STELE_TOO_LARGE);
    assert_status(stele_store_check_payload(store, "cbor", "\xA0", 1, 0), STELE_TOO_LARGE);
    assert_status(stele_store_check_payload(store, "x-zip", "zip", 3, 2), STELE_TOO_LARGE);
    assert_status(stele_store_check_payload(store, "json", NULL, 1, 9), STELE_MISUSE);
    assert_status(stele_store_check_payload(store, "json", NULL, 0, 9), STELE_OK);
    assert_status(stele_store_check_payload(NULL, "json", "1", 1, 9), STELE_MISUSE);
}
END_TEST

static const char *import_left;

static stele_status give_import(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    (void)context;
    *size_out = strlen(import_left) < capacity ? strlen(import_left) : capacity;
    memcpy(buffer, import_left, *size_out);
    import_left += *size_out;
    return STELE_OK;
}

static void note_reject(void *context, uint64_t line, const char *reason)
{
    (void)reason;
    *(uint64_t *)context |= UINT64_C(1) << line;
}

START_TEST(import_has_the_same_gate)
{
    uint64_t rejected = 0;
    stele_import import = STELE_IMPORT_INIT;
    stele_imported imported = { 0 };
    register_marked();
    import_left = "{\"stream\":\"a-1\",\"type\":\"t\",\"codec\":\"cbor\",\"data_b64\":\"oA==\"}\n"
                  "{\"stream\":\"a-1\",\"type\":\"t\",\"codec\":\"cbor\",\"data_b64\":\"oQ==\"}\n"
                  "{\"stream\":\"a-1\",\"type\":\"t\",\"codec\":\"marked\",\"data_b64\":\"TXt9\"}\n"
                  "{\"stream\":\"a-1\",\"type\":\"t\",\"codec\":\"marked\",\"data_b64\":\"e30=\"}\n"
                  "{\"stream\":\"a-1\",\"type\":\"t\",\"codec\":\"x-zip\",\"data_b64\":\"e30=\"}\n";
    import.read = give_import;
    import.reject = note_reject;
    import.context = &rejected;

    assert_status(stele_store_import(store, &import, &imported), STELE_OK);

    ck_assert_uint_eq(imported.appended, 3);
    ck_assert_uint_eq(rejected, (1 << 2) | (1 << 4));
}
END_TEST

/* --- Codecs that misbehave --- */

static stele_status answer_given;

static stele_status answer_check(void *context, const void *data, size_t size)
{
    (void)context, (void)data, (void)size;
    return answer_given;
}

static stele_status answer_encode(void *context, const stele_type *type, const void *value,
                                  stele_buffer *buffer, stele_flaw *flaw_out)
{
    (void)context, (void)type, (void)value, (void)flaw_out;
    ck_assert_int_eq(stele_buffer_add(buffer, "half", 4), STELE_OK);
    return answer_given;
}

/* Leaves something owned behind. */
static stele_status answer_decode(void *context, const stele_type *type, const void *data,
                                  size_t size, void *value, stele_flaw *flaw_out)
{
    (void)context, (void)type, (void)data, (void)size, (void)flaw_out;
    placed_3 *placed = value;
    ck_assert_ptr_null(placed->currency);
    placed->currency = stele_type_allocate(4, 1);
    memcpy(placed->currency, "EUR", 4);
    return answer_given;
}

static stele_codec answering_codec(void)
{
    stele_codec codec = STELE_CODEC_INIT;
    codec.name = "answering";
    codec.check = answer_check;
    codec.encode = answer_encode;
    codec.decode = answer_decode;
    return codec;
}

static const struct {
    stele_status answered, status;
} answers[] = {
    { STELE_OK, STELE_OK },
    { STELE_INVALID, STELE_INVALID },
    { STELE_PRECISION, STELE_PRECISION },
    { STELE_TOO_LARGE, STELE_TOO_LARGE },
    { STELE_UNSUPPORTED, STELE_UNSUPPORTED },
    { STELE_NO_MEMORY, STELE_NO_MEMORY },
    { STELE_DONE, STELE_INVALID },
    { STELE_TIMED_OUT, STELE_INVALID },
    { STELE_CONFLICT, STELE_INVALID },
    { STELE_UNKNOWN_OUTCOME, STELE_INVALID },
    { STELE_MISUSE, STELE_INVALID },
    { STELE_CLOSED, STELE_INVALID },
    { (stele_status)-99, STELE_INVALID },
    { (stele_status)77, STELE_INVALID },
};

/* An append that is in conflict, or of unknown outcome, is tried again. */
START_TEST(what_a_codec_answers_is_never_taken_for_something_else)
{
    stele_codec codec = answering_codec();
    answer_given = answers[_i].answered;
    assert_status(stele_store_register_codec(store, &codec), STELE_OK);
    stele_appended appended = { 0 };
    stele_event event = { .type = "noted", .codec = "answering", .data = "1", .data_size = 1 };
    stele_append append = make_append("a-1", STELE_ANY, &event, 1);

    assert_status(stele_store_append(store, &append, &appended), answers[_i].status);

    if (answers[_i].status != STELE_OK)
        assert_reason_has("event 0: data: the codec 'answering'");
    if (answers[_i].answered != answers[_i].status)
        assert_reason_has(stele_status_name(answers[_i].answered));
}
END_TEST

START_TEST(failed_encoding_leaves_the_buffer_as_it_was)
{
    stele_codec codec = answering_codec();
    placed_3 value = { .item = "pen", .cents = 1 };
    stele_buffer buffer = STELE_BUFFER_INIT;
    assert_status(stele_buffer_add(&buffer, "before", 6), STELE_OK);
    answer_given = answers[_i].answered;

    stele_status status = stele_type_encode(&placed_3_type, &value, &codec, &buffer, NULL);

    assert_status(status, answers[_i].status);
    ck_assert_uint_eq(buffer.size, answers[_i].status == STELE_OK ? 10 : 6);
    ck_assert_mem_eq(buffer.data, "before", 6);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(what_failed_decoding_leaves_is_cleared)
{
    stele_codec codec = answering_codec();
    placed_3 value;
    memset(&value, 0x55, sizeof(value));
    codec.check = NULL;
    answer_given = answers[_i].answered;

    assert_status(stele_type_decode(&placed_3_type, &codec, "1", 1, &value, NULL),
                  answers[_i].status);

    static const placed_3 zero;
    if (answers[_i].status != STELE_OK)
        ck_assert_mem_eq(&value, &zero, sizeof(value));
    else
        ck_assert_str_eq(value.currency, "EUR");
    stele_type_clear(&placed_3_type, &value);
}
END_TEST

START_TEST(decoding_checks_first)
{
    stele_codec codec = answering_codec();
    placed_3 value;
    answer_given = STELE_INVALID;
    codec.decode = decode_marked;
    assert_status(stele_type_decode(&placed_3_type, &codec, "M{}", 3, &value, NULL), STELE_INVALID);
    assert_reason_has("the codec 'answering' gave no reason");
}
END_TEST

START_TEST(codec_without_a_function_is_unsupported_in_it)
{
    stele_codec codec = STELE_CODEC_INIT;
    noted value = { 1 };
    stele_buffer buffer = STELE_BUFFER_INIT;
    codec.name = "bare";
    const stele_codec *const bare[] = { &codec, stele_codec_raw() };
    for (size_t i = 0; i < COUNT_OF(bare); i++) {
        assert_status(stele_type_encode(&noted_type, &value, bare[i], &buffer, NULL),
                      STELE_UNSUPPORTED);
        assert_status(stele_type_decode(&noted_type, bare[i], "1", 1, &value, NULL),
                      STELE_UNSUPPORTED);
        ck_assert_int_eq(value.n, 0);
    }
    assert_status(stele_store_register_codec(store, &codec), STELE_OK);
    assert_status(append_bytes("a-1", "Noted", "bare", "\xFF", 1), STELE_OK);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(reason_of_a_codec_is_what_last_failed_in_the_library)
{
    stele_codec codec = marked_codec();
    noted value = { 1 };
    stele_flaw flaw = { 0 };
    assert_status(stele_type_decode(&noted_type, &codec, "M{\"n\":\"x\"}", 10, &value, &flaw),
                  STELE_INVALID);
    assert_reason_has("the codec 'marked': n: ");
    ck_assert_str_eq(flaw.path, "n");
}
END_TEST

static Suite *codecs_suite(void)
{
    Suite *suite = suite_create("codecs");
    TCase *known = add_typed_case(suite, "known");
    tcase_add_test(known, every_store_knows_json_cbor_and_raw);
    tcase_add_test(known, registered_codec_is_copied_with_its_name);
    tcase_add_test(known, unknown_codec_is_unsupported_by_its_name);
    tcase_add_test(known, registering_a_wrong_codec_is_misuse);
    tcase_add_test(known, looking_a_codec_up_without_a_place_for_it_is_misuse);
    tcase_add_test(known, initializers_of_bindings_are_those_of_c);
    TCase *used = add_typed_case(suite, "used");
    tcase_add_loop_test(used, typed_events_are_written_in_json_unless_told_otherwise, 0, 3);
    tcase_add_test(used, write_codec_must_be_known_and_encode);
    tcase_add_test(used, each_event_of_a_mixed_log_is_read_by_its_own_codec);
    tcase_add_test(used, decoding_says_which_codec_nobody_knows);
    TCase *gate = add_typed_case(suite, "gate");
    tcase_add_loop_test(gate, each_way_to_append_has_the_same_gate, 0, 4);
    tcase_add_test(gate, gate_alone_says_the_same);
    tcase_add_test(gate, import_has_the_same_gate);
    TCase *wrong = add_typed_case(suite, "misbehaving");
    int count = (int)COUNT_OF(answers);
    tcase_add_loop_test(wrong, what_a_codec_answers_is_never_taken_for_something_else, 0, count);
    tcase_add_loop_test(wrong, failed_encoding_leaves_the_buffer_as_it_was, 0, count);
    tcase_add_loop_test(wrong, what_failed_decoding_leaves_is_cleared, 0, count);
    tcase_add_test(wrong, decoding_checks_first);
    tcase_add_test(wrong, codec_without_a_function_is_unsupported_in_it);
    tcase_add_test(wrong, reason_of_a_codec_is_what_last_failed_in_the_library);
    return suite;
}

int main(void)
{
    return run_suite(codecs_suite());
}
