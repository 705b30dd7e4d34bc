/* Codecs that do what they shouldn't, limits that hold for a record as a whole, and registrations
 * after a refused one. */
#include "upcasters.h"

#include <stdlib.h>
#include <string.h>

/* --- Codecs --- */

/* As if the buffer were its own. */
static stele_status encode_anew(void *context, const stele_type *type, const void *value,
                                stele_buffer *buffer, stele_flaw *flaw_out)
{
    (void)context;
    flaw_out->offset = 1; /* never NULL */
    buffer->size = 0;
    return stele_type_encode(type, value, stele_codec_json(), buffer, flaw_out);
}

static size_t smallest = SIZE_MAX;

static stele_status decode_some(void *context, const stele_type *type, const void *data,
                                size_t size, void *value, stele_flaw *flaw_out)
{
    (void)context;
    flaw_out->offset = 1;
    smallest = size < smallest ? size : smallest;
    return stele_type_decode(type, stele_codec_json(), data, size, value, flaw_out);
}

static void register_careless(void)
{
    stele_codec codec = STELE_CODEC_INIT;
    codec.name = "careless";
    codec.encode = encode_anew;
    codec.decode = decode_some;
    assert_status(stele_store_register_codec(store, &codec), STELE_OK);
    register_table(&noted_type);
}

START_TEST(a_codec_has_a_buffer_of_its_own)
{
    noted value = { 1 };
    stele_typed_event event = {
        .struct_size = sizeof(event), .type = &noted_type, .value = &value, .codec = "careless"
    };
    stele_typed_event events[] = { event, event, event };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "a-1";
    register_careless();

    assert_status(stele_append_typed(store, &append, events, 3, NULL), STELE_OK);

    stele_cursor *cursor = NULL;
    const stele_record *record;
    int64_t count = 0;
    assert_status(stele_store_read(store, NULL, &cursor), STELE_OK);
    while (stele_cursor_next(cursor, &record) == STELE_OK) {
        ck_assert_uint_eq(record->data_size, 7);
        ck_assert_mem_eq(record->data, "{\"n\":1}", 7);
        count++;
    }
    stele_cursor_close(cursor);
    ck_assert_int_eq(count, 3);
}
END_TEST

START_TEST(an_empty_payload_never_reaches_a_codec_of_the_program)
{
    register_careless();
    smallest = SIZE_MAX;
    record_at_hand = make_record("Noted", 1, "careless", "");

    assert_status(stele_record_decode(store, &record_at_hand, &decoded), STELE_INVALID);
    assert_reason_has("an empty payload");
    record_at_hand = make_record("Noted", 1, "careless", "{\"n\":1}");
    assert_status(stele_record_decode(store, &record_at_hand, &decoded), STELE_OK);
    ck_assert_uint_eq(smallest, 7);
}
END_TEST

/* What a table writes passes the gate, however many items it has. */
START_TEST(the_gate_takes_as_many_items_as_decoding)
{
    enum { ITEMS = 4 * 1024 * 1024 + 10 };
    char *payload = calloc(1, ITEMS + 5);
    ck_assert_ptr_nonnull(payload);
    memcpy(payload, "\x9A\x00\x40\x00\x0A", 5);

    assert_status(stele_store_check_payload(store, "cbor", payload, ITEMS + 5, 64 * 1024 * 1024),
                  STELE_OK);
    assert_status(stele_codec_cbor()->check(NULL, payload, ITEMS + 5), STELE_OK);
    free(payload);
}
END_TEST

/* --- Events of a newer program --- */

typedef struct newer_event {
    stele_typed_event known;
    int64_t more;
} newer_event;

START_TEST(events_may_be_larger_structs_as_long_as_they_ask_for_nothing_unknown)
{
    noted values[] = { { 1 }, { 2 }, { 3 } };
    newer_event events[3] = { 0 };
    for (size_t i = 0; i < 3; i++) {
        events[i].known.struct_size = sizeof(newer_event);
        events[i].known.type = &noted_type;
        events[i].known.value = &values[i];
    }
    stele_append append = STELE_APPEND_INIT;
    append.stream = "a-1";
    register_table(&noted_type);

    assert_status(stele_append_typed(store, &append, &events[0].known, 3, NULL), STELE_OK);
    ck_assert_int_eq(head_of(store), 3);
    events[1].more = 1;
    assert_status(stele_append_typed(store, &append, &events[0].known, 3, NULL), STELE_MISUSE);
    events[1].more = 0;
    events[1].known.struct_size = sizeof(stele_typed_event);
    assert_status(stele_append_typed(store, &append, &events[0].known, 3, NULL), STELE_MISUSE);
    ck_assert_int_eq(head_of(store), 3);
    stele_typed_event initial;
    memset(&initial, 0x55, sizeof(initial));
    stele_typed_event_init(&initial);
    ck_assert_uint_eq(initial.struct_size, sizeof(initial));
    ck_assert_ptr_null(initial.value);
    stele_typed_event_init(NULL);
}
END_TEST

/* --- A record as a whole --- */

typedef struct room {
    char bytes[16384];
} room;
typedef struct rooms {
    room *list;
    size_t count;
} rooms;
static const stele_field room_fields[] = { STELE_F(room, bytes, "b", STELE_OPTIONAL) };
STELE_TYPE(room_type, room, "Room", 1, room_fields);
static const stele_field rooms_fields[] = { STELE_F_OWNED_LIST(rooms, list, count, "l", room_type,
                                                               STELE_OPTIONAL) };
STELE_TYPE(rooms_type, rooms, "Rooms", 1, rooms_fields);

static const stele_type_version to_rooms[] = { { "Rooms", 1 } };

/* The payload, which is of Rooms 1, as often as `context` says. */
static stele_status emit_often(void *context, const stele_upcast_input *input, stele_upcast *upcast)
{
    stele_upcast_output output = { .data = input->data, .data_size = input->data_size };
    stele_status status = STELE_OK;
    for (int i = 0; i < *(const int *)context && status == STELE_OK; i++)
        status = stele_upcast_emit(upcast, &output);
    return status;
}

START_TEST(parts_may_own_256_mib_together)
{
    enum { ELEMENTS = 4096 }; /* 64 MiB of memory, of 12 KiB of payload */
    static char text[ELEMENTS * 3 + 16];
    size_t used = (size_t)sprintf(text, "{\"l\":[{}");
    for (size_t i = 1; i < ELEMENTS; i++)
        used += (size_t)sprintf(text + used, ",{}");
    memcpy(text + used, "]}", 3);
    int times = 3;
    register_table(&rooms_type);
    assert_status(register_upcast("Split", 1, to_rooms, 1, NULL, emit_often, &times), STELE_OK);

    assert_status(decode_json("Split", 1, text), STELE_OK);
    ck_assert_uint_eq(stele_decoded_count(decoded), 3);
    times = 6;
    assert_status(decode_json("Split", 1, text), STELE_TOO_LARGE);
    assert_reason_has("268435456 bytes");
    /* The next record has all of it again. */
    times = 3;
    assert_status(decode_json("Split", 1, text), STELE_OK);
}
END_TEST

static stele_status fail_silently(void *context, const stele_upcast_input *input,
                                  stele_upcast *upcast)
{
    (void)context, (void)input, (void)upcast;
    return STELE_PRECISION;
}

START_TEST(a_silent_failure_has_no_reason_of_somebody_else)
{
    assert_status(register_upcast("A", 1, NULL, 0, NULL, fail_silently, NULL), STELE_OK);
    ck_assert_int_eq(stele_json_check("{", 1, NULL), STELE_INVALID);

    assert_status(decode_json("A", 1, "{}"), STELE_PRECISION);

    assert_reason_has("gave no reason");
    ck_assert_ptr_null(strstr(stele_error_text(), "end of the text"));
}
END_TEST

/* --- After a refusal --- */

/* The 33rd step is refused; what it named is free again, for a table and for another upcaster. */
START_TEST(a_refused_upcaster_leaves_its_name_free)
{
    for (int64_t version = 2; version <= 33; version++)
        upcast_next("Noted", version, pass_on);
    if (_i == 1)
        register_table(&noted_type);
    assert_status(register_upcast("Noted", 1, NULL, 0, NULL, pass_on, NULL), STELE_MISUSE);
    if (_i == 0)
        register_table(&noted_type);

    assert_status(decode_json("Noted", 1, "{\"n\":7}"), STELE_OK);
    ck_assert_int_eq(((const noted *)only_part()->value)->n, 7);
}
END_TEST

START_TEST(a_refused_upcaster_can_be_registered_with_other_outputs)
{
    static const stele_type_version to_noted[] = { { "Kept", 1 } };
    stele_type kept = noted_type;
    kept.name = "Kept";
    for (int64_t version = 2; version <= 33; version++)
        upcast_next("Long", version, pass_on);
    assert_status(register_upcast("Long", 1, NULL, 0, NULL, pass_on, NULL), STELE_MISUSE);
    assert_status(register_upcast("Long", 1, to_noted, 1, NULL, pass_on, NULL), STELE_OK);
    register_table(&kept);

    assert_status(decode_json("Long", 1, "{\"n\":7}"), STELE_OK);
    ck_assert_str_eq(only_part()->name, "Kept");
    close_decoded();
}
END_TEST

static Suite *edges_suite(void)
{
    Suite *suite = suite_create("codecs at their edges");
    TCase *tests = add_typed_case(suite, "codecs");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_codec_has_a_buffer_of_its_own);
    tcase_add_test(tests, an_empty_payload_never_reaches_a_codec_of_the_program);
    tcase_add_test(tests, the_gate_takes_as_many_items_as_decoding);
    tcase_add_test(tests, events_may_be_larger_structs_as_long_as_they_ask_for_nothing_unknown);
    tcase_add_test(tests, parts_may_own_256_mib_together);
    tcase_add_test(tests, a_silent_failure_has_no_reason_of_somebody_else);
    tcase_add_loop_test(tests, a_refused_upcaster_leaves_its_name_free, 0, 2);
    tcase_add_test(tests, a_refused_upcaster_can_be_registered_with_other_outputs);
    return suite;
}

int main(void)
{
    return run_suite(edges_suite());
}
