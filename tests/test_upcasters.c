/* Upcasters: what an event becomes on reading, in how many parts, and in which order. */
#include "upcasters.h"

static stele_type any_types[16];

/* A table for a name and version of which nothing but the payload is looked at: `{"n":1}`. */
static void register_any(const char *name, int64_t schema_version)
{
    static size_t count;
    stele_type *type = &any_types[count++ % COUNT_OF(any_types)];
    *type = noted_type;
    type->name = name;
    type->schema_version = schema_version;
    register_table(type);
}

/* --- Registering --- */

START_TEST(registering_a_wrong_upcaster_is_misuse)
{
    const stele_type_version good = { "Placed", 2 };
    const stele_type_version bad_version = { "Placed", 0 }, bad_name = { "", 1 };
    const stele_type_version twice[] = { { "Placed", 2 }, { "Paid", 1 }, { "Placed", 2 } };
    stele_type bad_table = placed_1_type;
    stele_upcaster upcaster = STELE_UPCASTER_INIT;
    bad_table.schema_version = 0;
    upcast_next("Noted", 1, pass_on);

    assert_status(stele_store_register_upcaster(store, NULL), STELE_MISUSE);
    assert_status(stele_store_register_upcaster(NULL, &upcaster), STELE_MISUSE);
    assert_status(stele_store_register_upcaster(store, &upcaster), STELE_MISUSE);
    upcaster.struct_size = 0;
    assert_status(stele_store_register_upcaster(store, &upcaster), STELE_MISUSE);
    const struct {
        const char *type;
        int64_t version;
        const stele_type_version *outputs;
        size_t count;
        const stele_type *from;
        upcast_function function;
    } wrong[] = {
        { NULL, 1, &good, 1, NULL, pass_on },
        { "", 1, &good, 1, NULL, pass_on },
        { "Placed", 0, &good, 1, NULL, pass_on },
        { "Placed", -1, &good, 1, NULL, pass_on },
        { "Placed", INT64_MAX, NULL, 0, NULL, pass_on },
        { "Placed", 1, &good, 1, NULL, NULL },
        { "Placed", 1, NULL, 1, NULL, pass_on },
        { "Placed", 1, &bad_version, 1, NULL, pass_on },
        { "Placed", 1, &bad_name, 1, NULL, pass_on },
        { "Placed", 1, twice, 3, NULL, pass_on },
        { "Placed", 1, &good, 1001, NULL, pass_on },
        { "Placed", 1, &good, 1, &bad_table, pass_on },
        { "Noted", 1, &good, 1, NULL, pass_on },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_status(register_upcast(wrong[i].type, wrong[i].version, wrong[i].outputs,
                                      wrong[i].count, wrong[i].from, wrong[i].function, NULL),
                      STELE_MISUSE);
    assert_reason_has("an upcaster from 'Noted' 1 is registered");
    upcast_next("Placed", 1, pass_on);
}
END_TEST

START_TEST(registered_upcaster_is_copied_with_its_names)
{
    char type[] = "Placed", output[] = "Ordered";
    static const char *const texts[] = { "- 0 {\"n\":1}", NULL };
    stele_type_version outputs[] = { { output, 4 } };
    register_any("Ordered", 4);
    assert_status(register_upcast(type, 1, outputs, 1, NULL, emit_texts, texts), STELE_OK);
    memset(type, '?', sizeof(type) - 1);
    memset(output, '?', sizeof(output) - 1);
    memset(outputs, 0, sizeof(outputs));

    assert_status(decode_json("Placed", 1, "0"), STELE_OK);

    ck_assert_str_eq(parts_text(), "Ordered 4:{\"n\":1}");
}
END_TEST

START_TEST(initializer_for_bindings_is_that_of_c)
{
    stele_upcaster upcaster;
    const stele_upcaster expected = STELE_UPCASTER_INIT;
    memset(&upcaster, 0x55, sizeof(upcaster));
    stele_upcaster_init(&upcaster);
    stele_upcaster_init(NULL);
    ck_assert_uint_eq(upcaster.struct_size, expected.struct_size);
    ck_assert_ptr_null(upcaster.type);
    ck_assert_ptr_null(upcaster.outputs);
    ck_assert_ptr_null(upcaster.from);
    ck_assert(upcaster.upcast == NULL);
}
END_TEST

START_TEST(cycle_is_refused_and_spelt_out)
{
    const stele_type_version a = { "A", 1 }, b = { "B", 1 }, c = { "C", 1 };
    const stele_type_version several[] = { { "X", 1 }, { "Y", 1 }, { "A", 1 } };
    assert_status(register_upcast("A", 1, &a, 1, NULL, pass_on, NULL), STELE_MISUSE);
    assert_reason_has("A 1 -> A 1");
    assert_status(register_upcast("A", 1, &b, 1, NULL, pass_on, NULL), STELE_OK);
    assert_status(register_upcast("B", 1, &a, 1, NULL, pass_on, NULL), STELE_MISUSE);
    assert_reason_has("B 1 -> A 1 -> B 1");
    assert_status(register_upcast("B", 1, &c, 1, NULL, pass_on, NULL), STELE_OK);
    assert_status(register_upcast("C", 1, several, 3, NULL, pass_on, NULL), STELE_MISUSE);
    assert_reason_has("C 1 -> A 1 -> B 1 -> C 1");
    /* Of another version it is none. */
    const stele_type_version later = { "A", 2 };
    assert_status(register_upcast("C", 1, &later, 1, NULL, pass_on, NULL), STELE_OK);
}
END_TEST

/* Each step doubles the ways, so that only a search that marks what it has seen ends. */
START_TEST(chain_of_32_is_the_longest_in_whatever_order_it_is_registered)
{
    stele_type_version outputs[33][2];
    int order[33];
    for (int i = 0; i < 33; i++) {
        outputs[i][0] = (stele_type_version){ "Even", i + 2 };
        outputs[i][1] = (stele_type_version){ "Odd", i + 2 };
        order[i] = _i == 0 ? i : _i == 1 ? 32 - i : (i * 7 + _i) % 33;
    }
    for (int i = 0; i < 33; i++) {
        int at = order[i];
        const char *const names[] = { "Even", "Odd" };
        for (int j = 0; j < 2; j++) {
            stele_status expected = i < 32 ? STELE_OK : STELE_MISUSE;
            assert_status(register_upcast(names[j], at + 1, outputs[at], 2, NULL, pass_on, NULL),
                          expected);
        }
    }
    assert_reason_has("a chain of more than 32");
    /* What was refused left nothing behind. */
    assert_status(register_upcast("Else", 1, NULL, 0, NULL, pass_on, NULL), STELE_OK);
    char name[16];
    snprintf(name, sizeof(name), "Else%d", _i);
    assert_status(stele_store_register_alias(store, name, "Placed"), STELE_OK);
    const stele_type_version refused = { "Odd", order[32] + 1 };
    assert_status(register_upcast("Before", 1, &refused, 1, NULL, pass_on, NULL), STELE_OK);
}
END_TEST

/* --- Values --- */

START_TEST(chain_of_upcasters_leads_to_the_last_version)
{
    const char *const inputs[] = { "{\"item\":\"pen\",\"amount\":3}",
                                   "{\"item\":\"pen\",\"cents\":300}",
                                   "{\"item\":\"pen\",\"cents\":300,\"currency\":\"EUR\"}" };
    register_placed();
    for (int64_t version = 1; version <= 3; version++) {
        assert_status(decode_json("Placed", version, inputs[version - 1]), STELE_OK);
        const stele_part *part = only_part();
        const placed_3 *value = part->value;
        ck_assert_ptr_eq(part->type, &placed_3_type);
        ck_assert_str_eq(part->name, "Placed");
        ck_assert_int_eq(part->schema_version, 3);
        ck_assert_str_eq(value->item, "pen");
        ck_assert_int_eq(value->cents, 300);
        ck_assert_str_eq(value->currency, "EUR");
        ck_assert_str_eq(parts_text(),
                         "Placed 3:{\"item\":\"pen\",\"cents\":300,\"currency\":\"EUR\"}");
        ck_assert_ptr_null(stele_decoded_flaw(decoded));
    }
}
END_TEST

START_TEST(values_are_emitted_in_the_codec_of_the_input)
{
    register_placed();
    register_marked();
    const struct {
        const char *codec, *data;
        size_t size;
    } inputs[] = {
        { "json", "{\"item\":\"p\",\"amount\":3}", 23 },
        { "cbor",
          "\xA2\x64item\x61p\x66"
          "amount\x03",
          16 },
        { "marked", "M{\"item\":\"p\",\"amount\":3}", 24 },
    };
    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        stele_record record = make_record("Placed", 1, inputs[i].codec, "");
        record.data = inputs[i].data;
        record.data_size = inputs[i].size;
        assert_status(stele_record_decode(store, &record, &decoded), STELE_OK);
        ck_assert_str_eq(only_part()->codec, inputs[i].codec);
        ck_assert_int_eq(((const placed_3 *)only_part()->value)->cents, 300);
    }
}
END_TEST

static stele_status emit_noted(void *context, const stele_upcast_input *input, stele_upcast *upcast)
{
    (void)context;
    noted value = { (int64_t)input->data_size };
    return stele_upcast_emit_value(upcast, &noted_type, &value);
}

/* Of a codec that encodes nothing, or that nobody knows, the bytes are given to the upcaster. */
START_TEST(value_made_of_bytes_is_written_in_the_write_codec)
{
    const stele_type_version output = { "Noted", 1 };
    const char *const codecs[] = { "raw", "x-zip" };
    register_table(&noted_type);
    assert_status(stele_store_write_codec(store, "cbor"), STELE_OK);
    assert_status(register_upcast("Bytes", 1, &output, 1, NULL, emit_noted, NULL), STELE_OK);
    for (size_t i = 0; i < COUNT_OF(codecs); i++) {
        stele_record record = make_record("Bytes", 1, codecs[i], "\xFFseven");
        assert_status(stele_record_decode(store, &record, &decoded), STELE_OK);
        ck_assert_str_eq(only_part()->codec, "cbor");
        ck_assert_int_eq(((const noted *)only_part()->value)->n, 6);
    }
}
END_TEST

static stele_status note_input(void *context, const stele_upcast_input *input, stele_upcast *upcast)
{
    stele_upcast_input *noted_input = context;
    *noted_input = *input;
    ck_assert_int_eq(((const char *)input->data)[input->data_size], '\0');
    return pass_on(NULL, input, upcast);
}

START_TEST(upcaster_sees_the_record_and_its_own_step)
{
    stele_upcast_input seen[2];
    register_any("Placed", 3);
    assert_status(register_upcast("Placed", 1, NULL, 0, NULL, note_input, &seen[0]), STELE_OK);
    assert_status(register_upcast("Placed", 2, NULL, 0, &noted_type, note_input, &seen[1]),
                  STELE_OK);
    assert_status(stele_store_register_alias(store, "Ordered", "Placed"), STELE_OK);

    assert_status(decode_json("Ordered", 1, "{\"n\":1}"), STELE_OK);

    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_eq(seen[i].record, &record_at_hand);
        ck_assert_str_eq(seen[i].record->type, "Ordered");
        ck_assert_str_eq(seen[i].type, "Placed");
        ck_assert_int_eq(seen[i].schema_version, 1 + i);
        ck_assert_uint_eq(seen[i].data_size, 7);
    }
    ck_assert_ptr_null(seen[0].value);
    ck_assert_ptr_nonnull(seen[1].value);
    ck_assert_str_eq(only_part()->name, "Placed");
}
END_TEST

/* --- Parts --- */

START_TEST(event_becomes_none_one_or_several)
{
    static const char *const texts[] = { "B 1 {\"n\":1}", "C 2 {\"n\":2}", "B 1 {\"n\":3}", NULL };
    static const char *const expected[] = { "", "B 1:{\"n\":3}", "C 2:{\"n\":2};B 1:{\"n\":3}",
                                            "B 1:{\"n\":1};C 2:{\"n\":2};B 1:{\"n\":3}" };
    const stele_type_version outputs[] = { { "B", 1 }, { "C", 2 } };
    register_any("B", 1);
    register_any("C", 2);
    assert_status(register_upcast("A", 1, outputs, 2, NULL, emit_texts, &texts[3 - _i]), STELE_OK);

    assert_status(decode_json("A", 1, "{}"), STELE_OK);

    size_t count = (size_t)_i;
    ck_assert_uint_eq(stele_decoded_count(decoded), count);
    ck_assert_str_eq(parts_text(), expected[count]);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(((const noted *)stele_decoded_part(decoded, i)->value)->n,
                         (int64_t)(4 - count + i));
    ck_assert_ptr_null(stele_decoded_part(decoded, count));
    ck_assert_ptr_null(stele_decoded_flaw(decoded));
}
END_TEST

START_TEST(upcaster_without_outputs_drops_its_events)
{
    const stele_type_version none = { "A", 1 };
    static const char *const nothing[] = { NULL };
    assert_status(register_upcast("A", 1, &none, 0, NULL, emit_texts, nothing), STELE_OK);
    assert_status(decode_json("A", 1, "{}"), STELE_OK);
    ck_assert_uint_eq(stele_decoded_count(decoded), 0);
}
END_TEST

/* A makes B C B; each B makes D D, each C nothing, each D itself one version on. */
START_TEST(parts_of_an_output_come_before_those_of_the_next)
{
    static const char *const of_a[] = { "B 1 1", "E 1 {\"n\":5}", "C 1 2", "B 1 3", NULL };
    static const char *const of_b[] = { "D 1 {\"n\":1}", "E 1 {\"n\":6}", "D 1 {\"n\":2}", NULL };
    static const char *const nothing[] = { NULL };
    const stele_type_version a[] = { { "B", 1 }, { "C", 1 }, { "E", 1 } };
    const stele_type_version b[] = { { "D", 1 }, { "E", 1 } };
    register_any("D", 2);
    register_any("E", 1);
    assert_status(register_upcast("A", 1, a, 3, NULL, emit_texts, of_a), STELE_OK);
    assert_status(register_upcast("B", 1, b, 2, NULL, emit_texts, of_b), STELE_OK);
    assert_status(register_upcast("C", 1, b, 2, NULL, emit_texts, nothing), STELE_OK);
    upcast_next("D", 1, pass_on);

    assert_status(decode_json("A", 1, "{}"), STELE_OK);

    ck_assert_str_eq(parts_text(), "D 2:{\"n\":1};E 1:{\"n\":6};D 2:{\"n\":2};E 1:{\"n\":5};"
                                   "D 2:{\"n\":1};E 1:{\"n\":6};D 2:{\"n\":2}");
}
END_TEST

START_TEST(output_is_meant_by_as_much_as_tells_it_from_the_others)
{
    static const char *const texts[] = { "B 0 {\"n\":1}", "C 0@cbor \xA1\x61n\x02", "B 1 {\"n\":3}",
                                         "- 2@cbor \xA1\x61n\x04", NULL };
    const stele_type_version outputs[] = { { "B", 1 }, { "C", 2 } };
    register_any("B", 1);
    register_any("C", 2);
    assert_status(register_upcast("A", 1, outputs, 2, NULL, emit_texts, texts), STELE_OK);
    assert_status(decode_json("A", 1, "{}"), STELE_OK);
    ck_assert_uint_eq(stele_decoded_count(decoded), 4);
    for (size_t i = 0; i < 4; i++) {
        const stele_part *part = stele_decoded_part(decoded, i);
        ck_assert_int_eq(((const noted *)part->value)->n, (int64_t)i + 1);
        ck_assert_str_eq(part->codec, i % 2 == 0 ? "json" : "cbor");
    }
}
END_TEST

/* The handle is used again for records of one part and of many, with little kept between. */
START_TEST(handle_goes_from_few_parts_to_many_and_back)
{
    static const char *texts[1001];
    const stele_type_version outputs[] = { { "Noted", 1 } };
    for (int i = 0; i < 1000; i++)
        texts[i] = "Noted 1 {\"n\":1}";
    register_table(&noted_type);
    assert_status(register_upcast("A", 1, outputs, 1, NULL, emit_texts, texts), STELE_OK);
    for (int i = 0; i < 20; i++) {
        assert_status(decode_json("A", 1, "{}"), STELE_OK);
        ck_assert_uint_eq(stele_decoded_count(decoded), 1000);
        ck_assert_int_eq(((const noted *)stele_decoded_part(decoded, 999)->value)->n, 1);
        assert_status(decode_json("Noted", 1, "{\"n\":2}"), STELE_OK);
        ck_assert_int_eq(((const noted *)only_part()->value)->n, 2);
    }
}
END_TEST

/* --- Logs --- */

/* A record with several parts has one position: a reader that is done with it, or not, goes on at a
 * record's beginning. */
START_TEST(checkpoint_never_lands_between_parts)
{
    static const char *const texts[] = { "Noted 1 {\"n\":1}", "Noted 1 {\"n\":2}",
                                         "Noted 1 {\"n\":3}", NULL };
    const stele_type_version outputs[] = { { "Noted", 1 } };
    stele_checkpoint checkpoint = { 0 };
    register_table(&noted_type);
    assert_status(register_upcast("A", 1, outputs, 1, NULL, emit_texts, texts), STELE_OK);
    for (int i = 0; i < 4; i++)
        assert_status(append_bytes("a-1", i % 2 == 0 ? "A" : "Noted", "json", "{\"n\":9}", 7),
                      STELE_OK);

    int64_t parts = 0, after = 0;
    for (int records = 0; records < 4; records++) {
        stele_read read = STELE_READ_INIT;
        read.after_position = after;
        stele_cursor *cursor = open_read(&read);
        const stele_record *record = next_record(cursor);
        ck_assert_int_eq(record->position, after + 1);
        assert_status(stele_record_decode(store, record, &decoded), STELE_OK);
        ck_assert_uint_eq(stele_decoded_count(decoded), records % 2 == 0 ? 3 : 1);
        parts += (int64_t)stele_decoded_count(decoded);
        assert_status(stele_checkpoint_save(store, "reader", record->position), STELE_OK);
        stele_cursor_close(cursor);
        assert_status(stele_checkpoint_load(store, "reader", &checkpoint), STELE_OK);
        after = checkpoint.position;
    }
    ck_assert_int_eq(parts, 8);
}
END_TEST

START_TEST(log_of_several_versions_reads_as_one)
{
    static const char *const inputs[] = { "{\"item\":\"pen\",\"amount\":3}",
                                          "{\"item\":\"pen\",\"cents\":300}",
                                          "{\"item\":\"pen\",\"cents\":300,\"currency\":\"EUR\"}" };
    register_placed();
    for (int64_t i = 0; i < 30; i++) {
        stele_event event = make_event("Placed", inputs[i % 3]);
        event.schema_version = 1 + i % 3;
        assert_status(append_event("a-1", &event), STELE_OK);
    }
    stele_cursor *cursor = open_read(NULL);
    for (int i = 0; i < 30; i++) {
        assert_status(stele_record_decode(store, next_record(cursor), &decoded), STELE_OK);
        ck_assert_ptr_eq(only_part()->type, &placed_3_type);
        ck_assert_int_eq(((const placed_3 *)only_part()->value)->cents, 300);
    }
    expect_done(cursor);
    stele_cursor_close(cursor);
}
END_TEST

static Suite *upcasters_suite(void)
{
    Suite *suite = suite_create("upcasters");
    TCase *registering = add_typed_case(suite, "registering");
    tcase_add_test(registering, registering_a_wrong_upcaster_is_misuse);
    tcase_add_test(registering, registered_upcaster_is_copied_with_its_names);
    tcase_add_test(registering, initializer_for_bindings_is_that_of_c);
    tcase_add_test(registering, cycle_is_refused_and_spelt_out);
    tcase_add_loop_test(registering, chain_of_32_is_the_longest_in_whatever_order_it_is_registered,
                        0, 8);
    TCase *values = add_typed_case(suite, "values");
    tcase_add_test(values, chain_of_upcasters_leads_to_the_last_version);
    tcase_add_test(values, values_are_emitted_in_the_codec_of_the_input);
    tcase_add_test(values, value_made_of_bytes_is_written_in_the_write_codec);
    tcase_add_test(values, upcaster_sees_the_record_and_its_own_step);
    TCase *parts = add_typed_case(suite, "parts");
    tcase_add_loop_test(parts, event_becomes_none_one_or_several, 0, 4);
    tcase_add_test(parts, upcaster_without_outputs_drops_its_events);
    tcase_add_test(parts, parts_of_an_output_come_before_those_of_the_next);
    tcase_add_test(parts, output_is_meant_by_as_much_as_tells_it_from_the_others);
    tcase_add_test(parts, handle_goes_from_few_parts_to_many_and_back);
    TCase *logs = add_typed_case(suite, "logs");
    tcase_add_test(logs, checkpoint_never_lands_between_parts);
    tcase_add_test(logs, log_of_several_versions_reads_as_one);
    return suite;
}

int main(void)
{
    return run_suite(upcasters_suite());
}
