/**
 * @file tests/typed_probes.h
 * The probes of tests/test_modes_matrix.c for codecs, typed events and upcasters. Those that
 * register come first: the others freeze.
 */
#ifndef STELE_TESTS_TYPED_PROBES_H
#define STELE_TESTS_TYPED_PROBES_H

#include "upcasters.h"

static stele_status probe_register_codec(void)
{
    stele_codec codec = marked_codec();
    return stele_store_register_codec(store, &codec);
}

static stele_status probe_write_codec(void)
{
    return stele_store_write_codec(store, "cbor");
}

static stele_status probe_register_type(void)
{
    stele_status status = stele_store_register_type(store, &placed_3_type);
    return status == STELE_OK ? stele_store_register_type(store, &noted_type) : status;
}

static stele_status probe_register_alias(void)
{
    return stele_store_register_alias(store, "Ordered", "Placed");
}

static stele_status end_with_reason(void *context, const stele_upcast_input *input,
                                    stele_upcast *upcast)
{
    (void)context, (void)input;
    return stele_upcast_fail(upcast, "as the probe wants it");
}

static stele_status probe_register_upcaster(void)
{
    static const stele_type_version output = { "Noted", 1 };
    static const char *const texts[] = { "- 0@json {\"n\":1}", NULL };
    stele_status status = register_upcast("Placed", 2, NULL, 0, &placed_2_type, in_euros, NULL);
    if (status == STELE_OK)
        status = register_upcast("Bytes", 1, &output, 1, NULL, emit_texts, texts);
    if (status == STELE_OK)
        status = register_upcast("Lost", 1, &output, 1, NULL, end_with_reason, NULL);
    return status;
}

static stele_status probe_codec(void)
{
    const stele_codec *codec = NULL;
    return stele_store_codec(store, "marked", &codec);
}

static stele_status probe_codec_at(void)
{
    const char *name = NULL;
    return stele_store_codec_at(store, 3, &name);
}

static stele_status probe_check_payload(void)
{
    return stele_store_check_payload(store, "marked", "M{}", 3, 9);
}

static stele_status probe_registered(void)
{
    stele_registered registered;
    return stele_store_registered(store, 2, &registered);
}

static stele_status probe_type(void)
{
    const stele_type *type = NULL;
    return stele_store_type(store, "Ordered", 3, &type);
}

static const noted probe_value = { 1 };
static const stele_typed_event probe_typed = { .struct_size = sizeof(stele_typed_event),
                                               .type = &noted_type,
                                               .value = &probe_value };

static stele_status probe_event_encode(void)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_event event;
    stele_status status = stele_event_encode(store, &probe_typed, &buffer, &event, NULL);
    stele_buffer_dispose(&buffer);
    return status;
}

static stele_status probe_append_typed(void)
{
    stele_append append = STELE_APPEND_INIT;
    append.stream = "b-8";
    return stele_append_typed(store, &append, &probe_typed, 1, NULL);
}

static stele_status append_typed_in(void)
{
    stele_append append = STELE_APPEND_INIT;
    append.stream = "b-9";
    return stele_transaction_append_typed(open_transaction, &append, &probe_typed, 1, NULL);
}

INSIDE(probe_append_typed_in, append_typed_in())
INSIDE(probe_append_typed_around, probe_append_typed())

/* Of one part, whose value is looked at. */
static stele_status decode_probe(const char *type, int64_t schema_version, const char *data)
{
    stele_status status = decode_json(type, schema_version, data);
    if (status == STELE_OK && stele_decoded_count(decoded) != 1)
        status = STELE_IO;
    if (status == STELE_OK && stele_decoded_part(decoded, 0)->value == NULL)
        status = STELE_IO;
    if ((status != STELE_OK) != (stele_decoded_flaw(decoded) != NULL))
        status = STELE_IO;
    close_decoded();
    return status;
}

static stele_status probe_decode_as(void)
{
    stele_record record = { .stream = "a-1", .type = "Any", .codec = "json" };
    noted value = { 0 };
    record.data = "{\"n\":1}";
    record.data_size = 7;
    return stele_record_decode_as(store, &record, &noted_type, &value, NULL);
}

static stele_status probe_decode(void)
{
    return decode_probe("Noted", 1, "{\"n\":1}");
}

static stele_status probe_emit(void)
{
    return decode_probe("Bytes", 1, "{}");
}

static stele_status probe_emit_value(void)
{
    return decode_probe("Placed", 2, "{\"item\":\"pen\",\"cents\":1}");
}

static stele_status probe_upcast_fail(void)
{
    return decode_probe("Lost", 1, "{}") == STELE_INVALID ? STELE_OK : STELE_IO;
}

INSIDE(probe_decode_around, probe_decode())

#endif
