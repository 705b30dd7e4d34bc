/* What the CBOR gate lets through and what it refuses: every form of every item, and where. */
#include "cbor_bytes.h"
#include "support.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct {
    const char *hex;
    const char *says;
} accepted[] = {
    /* integers, at each edge of each width */
    { "00", "0" },
    { "01", "1" },
    { "0a", "10" },
    { "17", "23" },
    { "18 18", "24" },
    { "18 64", "100" },
    { "18 ff", "255" },
    { "19 0100", "256" },
    { "19 03e8", "1000" },
    { "19 ffff", "65535" },
    { "1a 00010000", "65536" },
    { "1a 000f4240", "1000000" },
    { "1a ffffffff", "4294967295" },
    { "1b 0000000100000000", "4294967296" },
    { "1b 000000e8d4a51000", "1000000000000" },
    { "1b 7fffffffffffffff", "9223372036854775807" },
    { "1b ffffffffffffffff", "18446744073709551615" },
    { "20", "-1" },
    { "29", "-10" },
    { "37", "-24" },
    { "38 18", "-25" },
    { "38 63", "-100" },
    { "39 03e7", "-1000" },
    { "3a ffffffff", "-4294967296" },
    { "3b 7fffffffffffffff", "-9223372036854775808" },
    { "3b ffffffffffffffff", "-18446744073709551616" },
    /* and in more bytes than they need */
    { "18 00", "0" },
    { "19 0017", "23" },
    { "1a 000000ff", "255" },
    { "1b 0000000000000005", "5" },
    { "38 00", "-1" },
    { "3b 0000000000000000", "-1" },
    /* reals of all widths */
    { "f9 0000", "0." },
    { "f9 8000", "-0." },
    { "f9 3c00", "1." },
    { "f9 3e00", "1.5" },
    { "f9 7bff", "65504." },
    { "f9 0001", "5.9604644775390625e-08" },
    { "f9 03ff", "6.0975551605224609e-05" },
    { "f9 0400", "6.103515625e-05" },
    { "f9 c400", "-4." },
    { "f9 7c00", "inf" },
    { "f9 fc00", "-inf" },
    { "f9 7e00", "NaN" },
    { "f9 7c01", "NaN" },
    { "f9 ffff", "NaN" },
    { "fa 47c35000", "100000." },
    { "fa 7f7fffff", "3.4028234663852886e+38." },
    { "fa 00000001", "1.4012984643248171e-45" },
    { "fa 7f800000", "inf" },
    { "fa 7fc00000", "NaN" },
    { "fb 3ff199999999999a", "1.1000000000000001" },
    { "fb c010666666666666", "-4.0999999999999996" },
    { "fb 7e37e43c8800759c", "1.0000000000000001e+300." },
    { "fb 0000000000000001", "4.9406564584124654e-324" },
    { "fb fff0000000000000", "-inf" },
    { "fb 7ff8000000000000", "NaN" },
    { "fb 3ff0000000000000", "1." },
    /* simple values, with a name and without */
    { "f4", "false" },
    { "f5", "true" },
    { "f6", "null" },
    { "f7", "undefined" },
    { "e0", "simple(0)" },
    { "f0", "simple(16)" },
    { "f3", "simple(19)" },
    { "f8 20", "simple(32)" },
    { "f8 ff", "simple(255)" },
    /* tags of every width, on anything */
    { "c0 74323031332d30332d32315432303a30343a30305a", "0(\"2013-03-21T20:04:00Z\")" },
    { "c1 1a514b67b0", "1(1363896240)" },
    { "c1 fb41d452d9ec200000", "1(1363896240.5)" },
    { "c2 49010000000000000000", "2(h'010000000000000000')" },
    { "c6 00", "6(0)" },
    { "d2 80", "18([])" },
    { "d4 80", "20([])" },
    { "d5 40", "21(h'')" },
    { "d7 44 01020304", "23(h'01020304')" },
    { "d8 18 45 6449455446", "24(h'6449455446')" },
    { "d8 00 00", "0(0)" },
    { "d9 d9f7 a0", "55799({})" },
    { "da ffffffff f6", "4294967295(null)" },
    { "db ffffffffffffffff 20", "18446744073709551615(-1)" },
    { "c1 c2 c3 f4", "1(2(3(false)))" },
    { "82 c1 00 c1 c2 81 c3 01", "[1(0), 1(2([3(1)]))]" },
    { "a1 00 c1 9f ff", "{0: 1([_ ])}" },
    /* strings, of definite length */
    { "40", "h''" },
    { "44 01020304", "h'01020304'" },
    { "58 01 ff", "h'ff'" },
    { "59 0001 80", "h'80'" },
    { "5a 00000001 c3", "h'c3'" },
    { "5b 0000000000000002 c0c1", "h'c0c1'" },
    { "60", "\"\"" },
    { "61 61", "\"a\"" },
    { "64 49455446", "\"IETF\"" },
    { "62 225c", "\"\"\\\"" },
    { "62 c3bc", "\"\xC3\xBC\"" },
    { "63 e6b0b4", "\"\xE6\xB0\xB4\"" },
    { "64 f0908591", "\"\xF0\x90\x85\x91\"" },
    { "78 01 61", "\"a\"" },
    { "7b 0000000000000001 61", "\"a\"" },
    /* UTF-8: the first and last of each length, and around the surrogates */
    { "63 efbbbf", "\"\xEF\xBB\xBF\"" },
    { "64 c280dfbf", "\"\xC2\x80\xDF\xBF\"" },
    { "66 e0a080efbfbf", "\"\xE0\xA0\x80\xEF\xBF\xBF\"" },
    { "66 ed9fbfee8080", "\"\xED\x9F\xBF\xEE\x80\x80\"" },
    { "68 f0908080f48fbfbf", "\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"" },
    { "6a 6162636465666768c3a9", "\"abcdefgh\xC3\xA9\"" },
    /* strings in chunks */
    { "5f ff", "_ h''" },
    { "7f ff", "_ \"\"" },
    { "5f 42 0102 43 030405 ff", "_ h'0102030405'" },
    { "5f 40 41 01 40 ff", "_ h'01'" },
    { "7f 65 7374726561 64 6d696e67 ff", "_ \"streaming\"" },
    { "7f 60 78 01 61 60 ff", "_ \"a\"" },
    { "5f 58 01 ff 41 ff ff", "_ h'ffff'" },
    /* arrays */
    { "80", "[]" },
    { "83 01 02 03", "[1, 2, 3]" },
    { "83 01 82 02 03 82 04 05", "[1, [2, 3], [4, 5]]" },
    { "81 81 81 81 80", "[[[[[]]]]]" },
    { "82 80 80", "[[], []]" },
    { "98 01 00", "[0]" },
    { "9b 0000000000000001 00", "[0]" },
    { "98 19 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 1818 1819",
      "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, "
      "25]" },
    { "9f ff", "[_ ]" },
    { "9f 01 82 02 03 9f 04 05 ff ff", "[_ 1, [2, 3], [_ 4, 5]]" },
    { "83 01 9f 02 03 ff 82 04 05", "[1, [_ 2, 3], [4, 5]]" },
    { "9f 9f ff 9f ff ff", "[_ [_ ], [_ ]]" },
    /* maps */
    { "a0", "{}" },
    { "a2 01 02 03 04", "{1: 2, 3: 4}" },
    { "a2 6161 01 6162 82 02 03", "{\"a\": 1, \"b\": [2, 3]}" },
    { "82 6161 a1 6162 6163", "[\"a\", {\"b\": \"c\"}]" },
    { "bb 0000000000000001 00 00", "{0: 0}" },
    { "bf ff", "{_ }" },
    { "bf 6161 01 6162 9f 02 03 ff ff", "{_ \"a\": 1, \"b\": [_ 2, 3]}" },
    { "bf 6346756e f5 63416d74 21 ff", "{_ \"Fun\": true, \"Amt\": -2}" },
    { "a1 7f 6161 ff 5f ff", "{_ \"a\": _ h''}" },
    { "a4 00 00 20 00 40 00 60 00", "{0: 0, -1: 0, h'': 0, \"\": 0}" },
    { "a3 6161 a1 6161 00 6162 a1 6161 00 6163 a0",
      "{\"a\": {\"a\": 0}, \"b\": {\"a\": 0}, \"c\": {}}" },
};

/* The gate must not be stricter than the standard beyond what it says. */
START_TEST(well_formed_payloads_are_accepted_and_read)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    stele_buffer line = STELE_BUFFER_INIT;
    put_hex(&payload, accepted[_i].hex);

    stele_status status = judge_cbor(payload.data, payload.size, &line, NULL);

    ck_assert_msg(status == STELE_OK, "%s: %s", accepted[_i].hex, stele_error_text());
    ck_assert_str_eq(line.data, accepted[_i].says);
    stele_buffer_dispose(&payload);
    stele_buffer_dispose(&line);
}
END_TEST

static const struct {
    const char *hex;
    size_t offset;
    const char *why;
} refused[] = {
    /* nothing, or not all of it */
    { "", 0, "end of the payload instead of an item" },
    { "18", 0, "integer with a head of 2 bytes, of which 1 are" },
    { "19 01", 0, "integer with a head of 3 bytes, of which 2 are" },
    { "1a 010203", 0, "integer with a head of 5 bytes, of which 4 are" },
    { "1b 01020304050607", 0, "integer with a head of 9 bytes, of which 8 are" },
    { "38", 0, "integer with a head of 2 bytes, of which 1 are" },
    { "58", 0, "byte string with a head of 2 bytes, of which 1 are" },
    { "78", 0, "text with a head of 2 bytes, of which 1 are" },
    { "98", 0, "array with a head of 2 bytes, of which 1 are" },
    { "9a 01ff00", 0, "array with a head of 5 bytes, of which 4 are" },
    { "b8", 0, "map with a head of 2 bytes, of which 1 are" },
    { "d8", 0, "tag with a head of 2 bytes, of which 1 are" },
    { "f8", 0, "simple value with a head of 2 bytes, of which 1 are" },
    { "f9 00", 0, "real with a head of 3 bytes, of which 2 are" },
    { "fa 0000", 0, "real with a head of 5 bytes, of which 3 are" },
    { "fb 000000", 0, "real with a head of 9 bytes, of which 4 are" },
    { "41", 0, "byte string of 1 bytes with 0 left" },
    { "61", 0, "text of 1 bytes with 0 left" },
    { "81", 0, "array of 1 items with 0 bytes left" },
    { "82 00", 0, "array of 2 items with 1 bytes left" },
    { "81 81 81", 2, "array of 1 items with 0 bytes left" },
    { "82 81 00", 3, "end of the payload instead of an item" },
    { "82 81 81 81", 3, "array of 1 items with 0 bytes left" },
    { "a1", 0, "map of 1 pairs with 0 bytes left" },
    { "a1 00", 0, "map of 1 pairs with 1 bytes left" },
    { "a2 00 00 00", 0, "map of 2 pairs with 3 bytes left" },
    { "a1 61 61", 3, "end of the payload instead of a value" },
    { "a2 61 61 18 20", 5, "end of the payload instead of a key" },
    { "c0", 1, "end of the payload instead of an item" },
    { "c0 c1", 2, "end of the payload instead of an item" },
    { "9f", 1, "end of the payload instead of an item or a break" },
    { "9f 01 02", 3, "end of the payload instead of an item or a break" },
    { "9f 80 00", 3, "end of the payload instead of an item or a break" },
    { "9f 9f 9f 9f 9f ff ff ff ff", 9, "end of the payload instead of an item or a break" },
    { "9f 81 9f 81 9f 9f ff ff ff", 9, "end of the payload instead of an item or a break" },
    { "bf", 1, "end of the payload instead of a key or a break" },
    { "bf 01", 2, "end of the payload instead of a value" },
    { "bf 01 02", 3, "end of the payload instead of a key or a break" },
    { "5f", 1, "end of the payload instead of a chunk or a break" },
    { "7f 61 61", 3, "end of the payload instead of a chunk or a break" },
    { "5f 41", 1, "byte string of 1 bytes with 0 left" },
    /* lengths and counts that are too large for what follows, and for arithmetic */
    { "5a ffffffff 00", 0, "byte string of 4294967295 bytes with 1 left" },
    { "5b ffffffffffffffff 010203", 0, "byte string of 18446744073709551615 bytes with 3 left" },
    { "7a ffffffff 00", 0, "text of 4294967295 bytes with 1 left" },
    { "7b 7fffffffffffffff 010203", 0, "text of 9223372036854775807 bytes with 3 left" },
    { "9a ffffffff", 0, "array of 4294967295 items with 0 bytes left" },
    { "9b ffffffffffffffff 00", 0, "array of 18446744073709551615 items with 1 bytes left" },
    { "ba ffffffff", 0, "map of 4294967295 pairs with 0 bytes left" },
    { "bb 8000000000000000 00", 0, "map of 9223372036854775808 pairs with 1 bytes left" },
    { "bb 8000000000000001 00 00", 0, "map of 9223372036854775809 pairs with 2 bytes left" },
    { "bb ffffffffffffffff 00 00", 0, "map of 18446744073709551615 pairs with 2 bytes left" },
    { "83 00 5b fffffffffffffff6 00", 2, "byte string of 18446744073709551606 bytes with 1 left" },
    /* reserved additional information */
    { "1c", 0, "reserved byte 0x1c" },
    { "1d 00", 0, "reserved byte 0x1d" },
    { "1e", 0, "reserved byte 0x1e" },
    { "1f", 0, "reserved byte 0x1f" },
    { "3c", 0, "reserved byte 0x3c" },
    { "3f", 0, "reserved byte 0x3f" },
    { "5c", 0, "reserved byte 0x5c" },
    { "5d 00", 0, "reserved byte 0x5d" },
    { "7e", 0, "reserved byte 0x7e" },
    { "9c", 0, "reserved byte 0x9c" },
    { "9e 00", 0, "reserved byte 0x9e" },
    { "bd", 0, "reserved byte 0xbd" },
    { "dc", 0, "reserved byte 0xdc" },
    { "de 00", 0, "reserved byte 0xde" },
    { "df 00", 0, "reserved byte 0xdf" },
    { "fc", 0, "reserved byte 0xfc" },
    { "fd", 0, "reserved byte 0xfd" },
    { "fe 00", 0, "reserved byte 0xfe" },
    { "82 00 3e", 2, "reserved byte 0x3e" },
    { "5f 5c ff", 1, "reserved byte 0x5c" },
    { "a1 1f 00", 1, "reserved byte 0x1f" },
    /* simple values that have a shorter form */
    { "f8 00", 0, "simple value 0 in two bytes" },
    { "f8 01", 0, "simple value 1 in two bytes" },
    { "f8 18", 0, "simple value 24 in two bytes" },
    { "f8 14", 0, "simple value 20 in two bytes" },
    { "f8 1f", 0, "simple value 31 in two bytes" },
    /* chunks */
    { "5f 00 ff", 1, "integer as a chunk of a byte string" },
    { "5f 21 ff", 1, "integer as a chunk of a byte string" },
    { "5f 61 00 ff", 1, "text as a chunk of a byte string" },
    { "5f 80 ff", 1, "array as a chunk of a byte string" },
    { "5f a0 ff", 1, "map as a chunk of a byte string" },
    { "5f c0 00 ff", 1, "tag as a chunk of a byte string" },
    { "5f e0 ff", 1, "simple value as a chunk of a byte string" },
    { "5f f9 0000 ff", 1, "real as a chunk of a byte string" },
    { "7f 41 00 ff", 1, "byte string as a chunk of a text" },
    { "7f 61 61 41 62 ff", 3, "byte string as a chunk of a text" },
    { "5f 5f 41 00 ff ff", 1, "chunk of indefinite length" },
    { "7f 61 61 7f 61 62 ff ff", 3, "chunk of indefinite length" },
    /* breaks */
    { "ff", 0, "break instead of an item" },
    { "81 ff", 1, "break instead of an item" },
    { "82 00 ff", 2, "break instead of an item" },
    { "a1 ff 00", 1, "break instead of a key" },
    { "a1 00 ff", 2, "break instead of a value" },
    { "a1 ff ff", 1, "break instead of a key" },
    { "bf 00 ff", 2, "break instead of a value" },
    { "bf 00 00 01 ff", 4, "break instead of a value" },
    { "c1 ff", 1, "break instead of an item" },
    { "9f c1 ff", 2, "break instead of an item" },
    { "9f 81 ff", 2, "break instead of an item" },
    { "9f 82 9f 81 9f 9f ff ff ff ff", 9, "break instead of an item" },
    /* something behind it */
    { "00 00", 1, "unexpected byte 0x00 after the item" },
    { "00 ff", 1, "unexpected byte 0xff after the item" },
    { "80 f6", 1, "unexpected byte 0xf6 after the item" },
    { "9f ff ff", 2, "unexpected byte 0xff after the item" },
    { "c1 00 00", 2, "unexpected byte 0x00 after the item" },
    { "61 61 00", 2, "unexpected byte 0x00 after the item" },
    { "5f ff ff", 2, "unexpected byte 0xff after the item" },
    { "82 80 80 1c", 3, "unexpected byte 0x1c after the item" },
    /* keys of other kinds */
    { "a1 80 00", 1, "array as a key" },
    { "a1 a0 00", 1, "map as a key" },
    { "a1 9f ff 00", 1, "array as a key" },
    { "a1 c1 00 00", 1, "tag as a key" },
    { "a1 f6 00", 1, "simple value as a key" },
    { "a1 f5 00", 1, "simple value as a key" },
    { "a1 f8 20 00", 1, "simple value as a key" },
    { "a1 f9 3c00 00", 1, "real as a key" },
    { "a1 fb 3ff0000000000000 00", 1, "real as a key" },
    { "bf 00 01 f4 00 ff", 3, "simple value as a key" },
    /* texts that are no UTF-8; where */
    { "61 80", 1, "invalid UTF-8" },
    { "61 c3", 1, "invalid UTF-8" },
    { "62 c3 28", 1, "invalid UTF-8" },
    { "62 c0 80", 1, "invalid UTF-8" },
    { "62 c1 bf", 1, "invalid UTF-8" },
    { "63 e0 80 80", 1, "invalid UTF-8" },
    { "63 e0 9f bf", 1, "invalid UTF-8" },
    { "63 ed a0 80", 1, "invalid UTF-8" },
    { "63 ed bf bf", 1, "invalid UTF-8" },
    { "64 f0 8f bf bf", 1, "invalid UTF-8" },
    { "64 f4 90 80 80", 1, "invalid UTF-8" },
    { "64 f5 80 80 80", 1, "invalid UTF-8" },
    { "61 ff", 1, "invalid UTF-8" },
    { "61 fe", 1, "invalid UTF-8" },
    { "6c 616263646566676869 6a6b ff", 12, "invalid UTF-8" },
    { "69 6162636465666768 c3", 9, "invalid UTF-8" },
    { "a1 61 ff 00", 2, "invalid UTF-8" },
    /* each chunk is UTF-8 by itself */
    { "7f 61 c3 61 bc ff", 2, "invalid UTF-8" },
    { "7f 61 61 62 f090 62 8591 ff", 4, "invalid UTF-8" },
};

START_TEST(malformed_payloads_are_refused_where_they_are_wrong)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    put_hex(&payload, refused[_i].hex);
    char text[256];
    snprintf(text, sizeof(text), "%s at byte %zu", refused[_i].why, refused[_i].offset);

    size_t offset = 0;
    stele_status status = judge_cbor(payload.data, payload.size, NULL, &offset);

    ck_assert_msg(status == STELE_INVALID, "%s is %s", refused[_i].hex, stele_status_name(status));
    ck_assert_str_eq(stele_error_text(), text);
    ck_assert_uint_eq(offset, refused[_i].offset);
    stele_buffer_dispose(&payload);
}
END_TEST

/* A payload that was cut off must not pass for another. */
START_TEST(every_prefix_of_a_payload_is_refused)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    put_hex(&payload, accepted[_i].hex);

    for (size_t size = 0; size < payload.size; size++)
        ck_assert_int_eq(judge_cbor(payload.data, size, NULL, NULL), STELE_INVALID);

    stele_buffer_dispose(&payload);
}
END_TEST

/* --- Limits --- */

static stele_status check_within(const stele_buffer *payload, stele_cbor_options options)
{
    return stele_cbor_check(payload->data, payload->size, &options);
}

/* `count` openings of one form, what is inside, and the breaks if there must be. */
static stele_buffer nest(const char *opening, unsigned count, const char *inside, bool breaks)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    for (unsigned i = 0; i < count; i++)
        put_hex(&payload, opening);
    put_hex(&payload, inside);
    for (unsigned i = 0; i < count && breaks; i++)
        put_hex(&payload, "ff");
    return payload;
}

START_TEST(maps_arrays_and_tags_count_as_levels_up_to_the_limit)
{
    static const struct {
        const char *opening;
        bool breaks;
        size_t size;
    } forms[] = { { "81", false, 1 }, { "a1 00", false, 2 }, { "c6", false, 1 },
                  { "9f", true, 1 },  { "bf 00", true, 2 },  { "d9 d9f7", false, 3 } };
    char text[64];
    snprintf(text, sizeof(text), "nested deeper than 64 levels at byte %zu", forms[_i].size * 64);

    stele_buffer payload = nest(forms[_i].opening, 64, "00", forms[_i].breaks);
    ck_assert_int_eq(judge_cbor(payload.data, payload.size, NULL, NULL), STELE_OK);
    stele_buffer_dispose(&payload);
    payload = nest(forms[_i].opening, 65, "00", forms[_i].breaks);
    ck_assert_int_eq(judge_cbor(payload.data, payload.size, NULL, NULL), STELE_TOO_LARGE);
    ck_assert_str_eq(stele_error_text(), text);

    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = 65;
    ck_assert_int_eq(check_within(&payload, options), STELE_OK);
    options.depth_max = 0;
    ck_assert_int_eq(check_within(&payload, options), STELE_TOO_LARGE);
    ck_assert_int_eq(stele_cbor_check("\x5f\xff", 2, &options), STELE_OK);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(a_million_levels_need_no_stack)
{
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = UINT32_MAX;
    stele_buffer payload = STELE_BUFFER_INIT;
    for (unsigned i = 0; i < 250000; i++)
        put_hex(&payload, "81 c6 9f a1 00");
    put_hex(&payload, "00");
    for (unsigned i = 0; i < 250000; i++)
        put_hex(&payload, "ff");

    stele_cbor_reader *reader = NULL;
    ck_assert_int_eq(stele_cbor_open(payload.data, payload.size, &options, &reader), STELE_OK);
    stele_cbor_token token;
    uint32_t deepest = 0;
    uint32_t ends = 0;
    while (stele_cbor_next(reader, &token) == STELE_OK) {
        deepest = token.depth > deepest ? token.depth : deepest;
        ends += is_end(token.kind);
    }

    ck_assert_uint_eq(deepest, 1000000);
    ck_assert_uint_eq(ends, 750000);
    stele_cbor_close(reader);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(size_limit_is_an_option)
{
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.size_max = 3;

    ck_assert_int_eq(stele_cbor_check("\x62"
                                      "ab",
                                      3, &options),
                     STELE_OK);
    ck_assert_int_eq(stele_cbor_check("\x63"
                                      "abc",
                                      4, &options),
                     STELE_TOO_LARGE);
    ck_assert_str_eq(stele_error_text(), "CBOR of 4 bytes, at most 3 are allowed");
}
END_TEST

/* Keys, values, tags, chunks and what holds them: each is an item. */
START_TEST(item_limit_counts_every_head)
{
    static const struct {
        const char *hex;
        uint32_t items;
        size_t last;
    } payloads[] = { { "00", 1, 0 },
                     { "82 00 00", 3, 2 },
                     { "9f 00 00 ff", 3, 2 },
                     { "a1 00 c1 c2 00", 5, 4 },
                     { "5f 41 00 41 00 40 ff", 4, 5 },
                     { "a1 7f 61 61 60 ff 80", 5, 6 } };
    stele_buffer payload = STELE_BUFFER_INIT;
    put_hex(&payload, payloads[_i].hex);
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;

    options.item_max = payloads[_i].items;
    ck_assert_int_eq(check_within(&payload, options), STELE_OK);
    options.item_max--;
    ck_assert_int_eq(check_within(&payload, options), STELE_TOO_LARGE);
    char text[64];
    snprintf(text, sizeof(text), "more than %u items at byte %zu", (unsigned)options.item_max,
             payloads[_i].last);
    ck_assert_str_eq(stele_error_text(), text);
    stele_buffer_dispose(&payload);
}
END_TEST

static Suite *cbor_format_suite(void)
{
    Suite *suite = suite_create("cbor_format");

    TCase *format = tcase_create("format");
    tcase_add_loop_test(format, well_formed_payloads_are_accepted_and_read, 0, COUNT_OF(accepted));
    tcase_add_loop_test(format, malformed_payloads_are_refused_where_they_are_wrong, 0,
                        COUNT_OF(refused));
    tcase_add_loop_test(format, every_prefix_of_a_payload_is_refused, 0, COUNT_OF(accepted));
    suite_add_tcase(suite, format);

    TCase *limits = tcase_create("limits");
    tcase_add_loop_test(limits, maps_arrays_and_tags_count_as_levels_up_to_the_limit, 0, 6);
    tcase_add_test(limits, a_million_levels_need_no_stack);
    tcase_add_test(limits, size_limit_is_an_option);
    tcase_add_loop_test(limits, item_limit_counts_every_head, 0, 6);
    suite_add_tcase(suite, limits);
    return suite;
}

int main(void)
{
    return run_suite(cbor_format_suite());
}
