/**
 * @file tests/typed_events.h
 * What the tests of codecs, typed events and upcasters share: tables in several schema versions, a
 * codec of the program's own, records made by hand.
 */
#ifndef STELE_TESTS_TYPED_EVENTS_H
#define STELE_TESTS_TYPED_EVENTS_H

#include "contract.h"

#include <stele.h>

/* --- An event that has grown, and one beside it --- */

typedef struct placed_1 {
    char item[16];
    int64_t amount;
} placed_1;

static const stele_field placed_1_fields[] = {
    STELE_F(placed_1, item, "item", STELE_REQUIRED),
    STELE_F(placed_1, amount, "amount", STELE_REQUIRED),
};
STELE_TYPE(placed_1_type, placed_1, "Placed", 1, placed_1_fields);

typedef struct placed_2 {
    char item[16];
    int64_t cents;
} placed_2;

static const stele_field placed_2_fields[] = {
    STELE_F(placed_2, item, "item", STELE_REQUIRED),
    STELE_F(placed_2, cents, "cents", STELE_REQUIRED),
};
STELE_TYPE(placed_2_type, placed_2, "Placed", 2, placed_2_fields);

typedef struct placed_3 {
    char item[16];
    int64_t cents;
    char *currency;
} placed_3;

static const stele_field placed_3_fields[] = {
    STELE_F(placed_3, item, "item", STELE_REQUIRED),
    STELE_F(placed_3, cents, "cents", STELE_REQUIRED),
    STELE_F(placed_3, currency, "currency", STELE_REQUIRED),
};
STELE_TYPE(placed_3_type, placed_3, "Placed", 3, placed_3_fields);

typedef struct noted {
    int64_t n;
} noted;

static const stele_field noted_fields[] = {
    STELE_F(noted, n, "n", STELE_REQUIRED),
};
STELE_TYPE(noted_type, noted, "Noted", 1, noted_fields);

/* --- A codec of the program's: JSON behind a byte --- */

static inline stele_status check_marked(void *context, const void *data, size_t size)
{
    (void)context;
    if (size == 0 || *(const char *)data != 'M')
        return STELE_INVALID;
    return stele_json_check((const char *)data + 1, size - 1, NULL);
}

static inline stele_status encode_marked(void *context, const stele_type *type, const void *value,
                                         stele_buffer *buffer, stele_flaw *flaw_out)
{
    (void)context;
    stele_status status = stele_buffer_add(buffer, "M", 1);
    if (status == STELE_OK)
        status = stele_type_encode(type, value, stele_codec_json(), buffer, flaw_out);
    return status;
}

static inline stele_status decode_marked(void *context, const stele_type *type, const void *data,
                                         size_t size, void *value, stele_flaw *flaw_out)
{
    (void)context;
    return stele_type_decode(type, stele_codec_json(), (const char *)data + 1, size - 1, value,
                             flaw_out);
}

static inline stele_codec marked_codec(void)
{
    stele_codec codec = STELE_CODEC_INIT;
    codec.name = "marked";
    codec.check = check_marked;
    codec.encode = encode_marked;
    codec.decode = decode_marked;
    return codec;
}

static inline void register_marked(void)
{
    stele_codec codec = marked_codec();
    assert_status(stele_store_register_codec(store, &codec), STELE_OK);
}

static inline void register_table(const stele_type *type)
{
    assert_status(stele_store_register_type(store, type), STELE_OK);
}

/* --- Writing --- */

static inline stele_status append_value(const char *stream, const stele_type *type,
                                        const void *value, const char *codec)
{
    stele_typed_event typed = {
        .struct_size = sizeof(stele_typed_event), .type = type, .value = value, .codec = codec
    };
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    return stele_append_typed(store, &append, &typed, 1, NULL);
}

static inline stele_status append_bytes(const char *stream, const char *type, const char *codec,
                                        const void *data, size_t size)
{
    stele_event event = { .type = type, .codec = codec, .data = data, .data_size = size };
    return append_event(stream, &event);
}

/* --- Reading --- */

static stele_decoded *decoded;

static inline void close_decoded(void)
{
    stele_decoded_close(decoded);
    decoded = NULL;
}

static inline void close_all(void)
{
    close_decoded();
    close_and_remove();
}

/* A case whose tests find `store` open in memory, and `decoded` NULL. */
static inline TCase *add_typed_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, open_in_memory, close_all);
    suite_add_tcase(suite, tests);
    return tests;
}

/* One that no store wrote. */
static inline stele_record make_record(const char *type, int64_t schema_version, const char *codec,
                                       const char *data)
{
    return (stele_record){ .position = 12,
                           .version = 3,
                           .stream = "order-17",
                           .type = type,
                           .codec = codec,
                           .schema_version = schema_version,
                           .data = data,
                           .data_size = strlen(data),
                           .metadata = "" };
}

static stele_record record_at_hand;

/* Decode such a one in JSON into `decoded`. */
static inline stele_status decode_json(const char *type, int64_t schema_version, const char *data)
{
    record_at_hand = make_record(type, schema_version, "json", data);
    return stele_record_decode(store, &record_at_hand, &decoded);
}

static inline const stele_part *only_part(void)
{
    ck_assert_uint_eq(stele_decoded_count(decoded), 1);
    const stele_part *part = stele_decoded_part(decoded, 0);
    ck_assert_ptr_nonnull(part);
    ck_assert_uint_eq(part->index, 0);
    ck_assert_uint_eq(part->count, 1);
    ck_assert_ptr_null(stele_decoded_part(decoded, 1));
    return part;
}

/* After a failure there is the record as it is stored. */
static inline void assert_raw(const stele_record *record)
{
    const stele_part *part = only_part();
    ck_assert_ptr_null(part->type);
    ck_assert_ptr_null(part->value);
    ck_assert_str_eq(part->name, record->type);
    ck_assert_int_eq(part->schema_version, record->schema_version);
    ck_assert_str_eq(part->codec, record->codec);
    ck_assert_ptr_eq(part->data, record->data);
    ck_assert_uint_eq(part->data_size, record->data_size);
    ck_assert_ptr_nonnull(stele_decoded_flaw(decoded));
}

/* All parts as "Name 1:{payload};...". Borrowed until next. */
static inline const char *parts_text(void)
{
    static char text[4096];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < stele_decoded_count(decoded); i++) {
        const stele_part *part = stele_decoded_part(decoded, i);
        ck_assert_uint_eq(part->index, i);
        ck_assert_uint_eq(part->count, stele_decoded_count(decoded));
        int more = snprintf(text + size, sizeof(text) - size, "%s%s %" PRId64 ":%.*s",
                            i == 0 ? "" : ";", part->name, part->schema_version,
                            (int)part->data_size, (const char *)part->data);
        size += (size_t)more;
        ck_assert_uint_lt(size, sizeof(text));
    }
    return text;
}

#endif
