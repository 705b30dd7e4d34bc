/* What payloads are read as, and what is refused: with its path and its byte. */
#include "order_types.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static stele_status read_json(const stele_type *type, const char *text, void *value,
                              stele_flaw *flaw)
{
    return stele_type_decode(type, stele_codec_json(), text, strlen(text), value, flaw);
}

static void assert_read(const stele_type *type, const char *text, void *value)
{
    if (read_json(type, text, value, NULL) != STELE_OK)
        ck_abort_msg("%s: %s", text, stele_error_text());
}

START_TEST(members_come_in_any_order_and_unknown_keys_are_passed_over)
{
    order_placed order;

    assert_read(&order_placed_type,
                " {\"later\":{\"orderId\":99,\"lines\":[1,{}]}, \"lines\" : [ {\"qty\":3,"
                "\"more\":null,\"sk\\u0075\":\"A\\u002d1\"} ], \"codes\":[1,2,3,4,5,6,7,8,9],"
                "\"placedNs\":-5, \"key\":\"AAECAw==\",\"orderId\":17,\"note\":\"\","
                "\"discount\":0.5,\"state\":\"paid\",\"zz\":\"\"} ",
                &order);

    ck_assert_uint_eq(order.order_id, 17);
    ck_assert_mem_eq(order.key, "\0\1\2\3", 4);
    ck_assert_str_eq(order.note, "");
    ck_assert(!order.gift);
    ck_assert_int_eq(order.placed_ns, -5);
    ck_assert_int_eq(order.state, ORDER_PAID);
    ck_assert(order.has_discount && order.discount == 0.5f);
    ck_assert_uint_eq(order.line_count, 1);
    ck_assert_str_eq(order.lines[0].sku, "A-1");
    ck_assert_uint_eq(order.lines[0].quantity, 3);
    ck_assert_int_eq(order.code_count, 9);
    ck_assert_uint_eq(order.codes[8], 9);
    stele_type_clear(&order_placed_type, &order);
    ck_assert_ptr_null(order.codes);
}
END_TEST

START_TEST(null_is_the_same_as_absent)
{
    order_placed order;

    assert_read(&order_placed_type,
                "{\"orderId\":1,\"key\":\"AAAAAA==\",\"placedNs\":0,\"lines\":[],\"note\":null,"
                "\"gift\":null,\"state\":null,\"discount\":null,\"codes\":null}",
                &order);

    ck_assert_ptr_null(order.note);
    ck_assert(!order.has_discount);
    ck_assert_int_eq(order.code_count, 0);
    ck_assert_int_eq(order.state, ORDER_NEW);
}
END_TEST

/* The smallest order, with `%s` for more. */
#define LEAST "\"orderId\":1,\"key\":\"AAAAAA==\",\"placedNs\":0"

static const struct {
    const char *text;
    stele_status status;
    const char *path;
    size_t offset;
    const char *what;
} refused[] = {
    { "", STELE_INVALID, "", 0, "end of the text" },
    { "[]", STELE_INVALID, "", 0, "a list where an object is expected" },
    { "7", STELE_INVALID, "", 0, "a number where an object" },
    { "{}", STELE_INVALID, "orderId", 1, "required, but not there" },
    { "{" LEAST "}", STELE_INVALID, "lines", 42, "required, but not there" },
    { "{" LEAST ",\"lines\":null}", STELE_INVALID, "lines", 51, "null, but it is required" },
    { "{\"orderId\":null}", STELE_INVALID, "orderId", 11, "null, but it is required" },
    { "{" LEAST ",\"lines\":{}}", STELE_INVALID, "lines", 51, "an object where a list" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"A\",\"qty\":-1}]}", STELE_INVALID, "lines[0].qty", 69,
      "beyond uint32_t" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"A\",\"qty\":4294967296}]}", STELE_INVALID, "lines[0].qty",
      69, "beyond uint32_t" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"A\",\"qty\":1.0}]}", STELE_INVALID, "lines[0].qty", 69,
      "not an integer" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"A\",\"qty\":\"1e1\"}]}", STELE_INVALID, "lines[0].qty", 69,
      "not an integer" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"A\",\"qty\":1},{\"sku\":7}]}", STELE_INVALID,
      "lines[1].sku", 79, "a number where a text" },
    { "{" LEAST ",\"note\":\"\",\"gift\":true,\"codes\":[]}", STELE_INVALID, "lines", 75,
      "required" },
    { "{" LEAST ",\"lines\":[{\"qty\":1}]}", STELE_INVALID, "lines[0].sku", 60, "required" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"12345678\",\"qty\":1}]}", STELE_INVALID, "lines[0].sku", 59,
      "8 bytes, at most 7" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"\\u20ac\\u20ac\\u20ac\",\"qty\":1}]}", STELE_INVALID,
      "lines[0].sku", 59, "9 bytes, at most 7" },
    { "{" LEAST ",\"lines\":[0]}", STELE_INVALID, "lines[0]", 52, "a number where an object" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"A\",\"qty\":1,\"price\":1e400}]}", STELE_PRECISION,
      "lines[0].price", 79, "a double can't hold" },
    { "{" LEAST ",\"lines\":[{\"sku\":\"A\",\"qty\":1,\"price\":\"1\"}]}", STELE_INVALID,
      "lines[0].price", 79, "a text where a number" },
    { "{\"orderId\":9007199254740992}", STELE_PRECISION, "orderId", 11, "write it as a string" },
    { "{\"orderId\":99999999999999999999999}", STELE_PRECISION, "orderId", 11, "write it as" },
    { "{\"orderId\":\"18446744073709551616\"}", STELE_INVALID, "orderId", 11, "beyond 64 bits" },
    { "{\"orderId\":\"-1\"}", STELE_INVALID, "orderId", 11, "beyond uint64_t" },
    { "{\"orderId\":\" 1\"}", STELE_INVALID, "orderId", 11, "not an integer" },
    { "{\"orderId\":true}", STELE_INVALID, "orderId", 11, "true where an integer" },
    { "{\"placedNs\":\"9223372036854775808\"}", STELE_INVALID, "placedNs", 12, "beyond int64_t" },
    { "{\"key\":\"AAA=\"}", STELE_INVALID, "key", 7, "2 bytes where 4 are expected" },
    { "{\"key\":\"AAAAAAAA\"}", STELE_INVALID, "key", 7, "6 bytes where 4 are expected" },
    { "{\"key\":\"AAAAAA=\"}", STELE_INVALID, "key", 7, "not base64" },
    { "{\"key\":\"AAAAA?==\"}", STELE_INVALID, "key", 7, "not base64" },
    { "{\"key\":[0,0,0,0]}", STELE_INVALID, "key", 7, "a list where a byte string" },
    { "{\"note\":{}}", STELE_INVALID, "note", 8, "an object where a text" },
    { "{\"gift\":0}", STELE_INVALID, "gift", 8, "where true or false" },
    { "{\"gift\":\"true\"}", STELE_INVALID, "gift", 8, "where true or false" },
    { "{\"state\":\"sold\"}", STELE_INVALID, "state", 9, "'sold' is not known" },
    { "{\"state\":1}", STELE_INVALID, "state", 9, "where a name" },
    { "{\"discount\":1e39}", STELE_PRECISION, "discount", 12, "a float can't hold" },
    { "{\"codes\":[1,65536]}", STELE_INVALID, "codes[1]", 12, "beyond uint16_t" },
    { "{\"codes\":[1,[]]}", STELE_INVALID, "codes[1]", 12, "a list where an integer" },
    { "{\"lines\":[{\"sku\":\"\",\"qty\":1},{\"sku\":\"\",\"qty\":1},{\"sku\":\"\",\"qty\":1},{}]}",
      STELE_INVALID, "lines[3]", 67, "more than 3 elements" },
    { "{\"orderId\":1,\"orderId\":2}", STELE_INVALID, "", 13, "duplicate key" },
    { "{\"note\":\"kept?\",\"codes\":[1,2]", STELE_INVALID, "", 29, "end of the text" },
    { "{\"note\":\"a\\u0000b\"}", STELE_INVALID, "note", 10, "NUL" },
    { "{" LEAST ",\"lines\":[]} x", STELE_INVALID, "", 55, "unexpected 'x'" },
    { "{\"x\":[{\"y\":01}]}", STELE_INVALID, "", 11, "leading zero" },
};

START_TEST(what_is_refused_is_named_by_path_and_byte)
{
    order_placed order;
    memset(&order, 0x55, sizeof(order));
    stele_flaw flaw;

    stele_status status = read_json(&order_placed_type, refused[_i].text, &order, &flaw);

    const char *text = stele_error_text();
    ck_assert_msg(status == refused[_i].status, "%s: %d, %s", refused[_i].text, status, text);
    ck_assert_msg(strstr(text, refused[_i].what) != NULL, "%s: %s", refused[_i].text, text);
    ck_assert_str_eq(flaw.path, refused[_i].path);
    ck_assert_msg(flaw.offset == refused[_i].offset, "%s: byte %zu, %s", refused[_i].text,
                  flaw.offset, text);
    char byte[32];
    snprintf(byte, sizeof(byte), "byte %zu", refused[_i].offset);
    ck_assert_msg(strstr(text, byte) != NULL, "%s: %s", refused[_i].text, text);
    /* Nothing is left of what was read before. */
    static const order_placed zero;
    ck_assert_mem_eq(&order, &zero, sizeof(order));
}
END_TEST

START_TEST(a_strict_type_refuses_unknown_keys)
{
    order_paid paid;
    stele_flaw flaw;

    assert_read(&order_paid_type, "{\"method\":\"card\"}", &paid);
    ck_assert_int_eq(read_json(&order_paid_type, "{\"method\":\"card\",\"tip\":1}", &paid, &flaw),
                     STELE_INVALID);
    ck_assert_uint_eq(flaw.offset, 17);
    ck_assert_msg(strstr(stele_error_text(), "'tip' is not known") != NULL, "%s",
                  stele_error_text());
}
END_TEST

typedef struct widths {
    int8_t i8;
    uint8_t u8;
    int16_t i16;
    int64_t i64;
    uint64_t u64;
    float single;
    double real;
} widths;
static const stele_field widths_fields[] = {
    STELE_F(widths, i8, "i8", STELE_OPTIONAL),   STELE_F(widths, u8, "u8", STELE_OPTIONAL),
    STELE_F(widths, i16, "i16", STELE_OPTIONAL), STELE_F(widths, i64, "i64", STELE_OPTIONAL),
    STELE_F(widths, u64, "u64", STELE_OPTIONAL), STELE_F(widths, single, "f", STELE_OPTIONAL),
    STELE_F(widths, real, "d", STELE_OPTIONAL),
};
STELE_TYPE(widths_type, widths, "Widths", 1, widths_fields);

typedef struct exact {
    double three[3];
    double real;
    float single;
} exact;
static const stele_field exact_fields[] = { STELE_F_ARRAY(exact, three, "three", STELE_OPTIONAL),
                                            STELE_F(exact, real, "d", STELE_OPTIONAL),
                                            STELE_F(exact, single, "f", STELE_OPTIONAL) };
STELE_TYPE(exact_type, exact, "Exact", 1, exact_fields);

START_TEST(an_array_has_all_its_elements_and_no_more)
{
    exact value;

    assert_read(&exact_type, "{\"three\":[1,2.5,-3]}", &value);
    ck_assert(value.three[2] == -3);
    ck_assert_int_eq(read_json(&exact_type, "{\"three\":[1,2]}", &value, NULL), STELE_INVALID);
    ck_assert_int_eq(read_json(&exact_type, "{\"three\":[]}", &value, NULL), STELE_INVALID);
    ck_assert_int_eq(read_json(&exact_type, "{\"three\":[1,2,3,4]}", &value, NULL), STELE_INVALID);
}
END_TEST

/* What is written as an integer is one, not the nearest real; with an exponent it is a real. */
START_TEST(a_bare_integer_is_a_real_exactly_or_not_at_all)
{
    exact value;

    assert_read(&exact_type, "{\"d\":9007199254740992,\"f\":16777216}", &value);
    ck_assert(value.real == 9007199254740992.0 && value.single == 16777216.0f);
    assert_read(&exact_type, "{\"d\":-100000000000000000000,\"f\":16777218}", &value);
    ck_assert(value.real == -1e20 && value.single == 16777218.0f);
    assert_read(&exact_type, "{\"d\":9.007199254740993e15,\"f\":16777217.0}", &value);
    ck_assert_int_eq(read_json(&exact_type, "{\"d\":9007199254740993}", &value, NULL),
                     STELE_PRECISION);
    ck_assert_int_eq(read_json(&exact_type, "{\"d\":100000000000000000001}", &value, NULL),
                     STELE_PRECISION);
    ck_assert_int_eq(read_json(&exact_type, "{\"f\":16777217}", &value, NULL), STELE_PRECISION);
}
END_TEST

typedef struct hidden {
    uint8_t tier;
} hidden;
STELE_ENUM(tier_names, { 1, "gold" }, { 2, "\xC3\xA9" });
static const stele_field hidden_fields[] = { STELE_F_ENUM(hidden, tier, "tier", tier_names,
                                                          STELE_SECRET) };
STELE_TYPE(hidden_type, hidden, "Hidden", 1, hidden_fields);

START_TEST(no_error_text_tells_a_secret)
{
    hidden value = { 77 };
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(read_json(&hidden_type, "{\"tier\":\"4111 1111\"}", &value, NULL),
                     STELE_INVALID);
    ck_assert_ptr_null(strstr(stele_error_text(), "4111"));
    value.tier = 77;
    ck_assert_int_eq(stele_type_encode(&hidden_type, &value, stele_codec_json(), &buffer, NULL),
                     STELE_INVALID);
    ck_assert_ptr_null(strstr(stele_error_text(), "77"));
    stele_buffer_dispose(&buffer);
}
END_TEST

/* 59 bytes and then a character of two: it is left out, not cut. */
START_TEST(a_long_name_is_cut_between_characters)
{
    char text[] = "{\"method\":\"\",\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                  "\xC3\xA9\":0}";
    order_paid paid;

    ck_assert_int_eq(read_json(&order_paid_type, text, &paid, NULL), STELE_INVALID);
    ck_assert_ptr_null(strstr(stele_error_text(), "\\xc3"));
    ck_assert_ptr_nonnull(strstr(stele_error_text(), "xxx' is not known"));
}
END_TEST

START_TEST(every_width_holds_its_own_range_and_no_more)
{
    widths value;

    assert_read(&widths_type,
                "{\"i8\":-128,\"u8\":255,\"i16\":32767,\"i64\":\"-9223372036854775808\","
                "\"u64\":\"18446744073709551615\",\"f\":3.4028234663852886e38,\"d\":5e-324}",
                &value);
    ck_assert(value.i8 == INT8_MIN && value.u8 == UINT8_MAX && value.i16 == INT16_MAX);
    ck_assert(value.i64 == INT64_MIN && value.u64 == UINT64_MAX);
    ck_assert(value.single == 3.4028234663852886e38f && value.real == 5e-324);
    assert_read(&widths_type, "{\"i8\":\"-0\",\"u8\":-0,\"d\":-0}", &value);
    ck_assert(value.i8 == 0 && value.u8 == 0 && signbit(value.real));
    ck_assert_int_eq(read_json(&widths_type, "{\"i8\":128}", &value, NULL), STELE_INVALID);
    ck_assert_int_eq(read_json(&widths_type, "{\"i8\":-129}", &value, NULL), STELE_INVALID);
    ck_assert_int_eq(read_json(&widths_type, "{\"u8\":256}", &value, NULL), STELE_INVALID);
    ck_assert_int_eq(read_json(&widths_type, "{\"d\":1e-400}", &value, NULL), STELE_PRECISION);
}
END_TEST

static const struct {
    const char *what; /* of a refusal; NULL when it is read */
    stele_status status;
    widths expected;
    size_t size;
    unsigned char payload[24];
} binary[] = {
    { NULL, STELE_OK, { .i8 = -1 }, 5, { 0xA1, 0x62, 'i', '8', 0x20 } },
    { NULL, STELE_OK, { .i8 = 5 }, 6, { 0xA1, 0x62, 'i', '8', 0x18, 5 } }, /* not the shortest */
    { NULL, STELE_OK, { .i8 = 7 }, 7, { 0xBF, 0x62, 'i', '8', 0xC0, 7, 0xFF } }, /* tagged */
    { NULL, STELE_OK, { .i8 = 8 }, 9, { 0xA1, 0x7F, 0x61, 'i', 0x61, '8', 0xFF, 0x61, '8' } },
    { NULL, STELE_OK, { .u8 = 0 }, 5, { 0xA1, 0x62, 'u', '8', 0xF7 } }, /* undefined is null */
    { NULL, STELE_OK, { .real = 3 }, 4, { 0xA1, 0x61, 'd', 3 } },
    { NULL, STELE_OK, { .real = -4 }, 4, { 0xA1, 0x61, 'd', 0x23 } },
    { NULL, STELE_OK, { .single = 1.5f }, 6, { 0xA1, 0x61, 'f', 0xF9, 0x3E, 0 } },
    { NULL,
      STELE_OK,
      { .u8 = 3 },
      8,
      { 0xA2, 0, 0x81, 0, 0x62, 'u', '8', 3 } }, /* an integer key */
    { "beyond int8_t", STELE_INVALID, { 0 }, 6, { 0xA1, 0x62, 'i', '8', 0x38, 0x80 } },
    { "beyond 64 bits",
      STELE_INVALID,
      { 0 },
      14,
      { 0xA1, 0x63, 'i', '6', '4', 0x3B, 255, 255, 255, 255, 255, 255, 255, 255 } },
    { "a number where an integer",
      STELE_INVALID,
      { 0 },
      7,
      { 0xA1, 0x62, 'i', '8', 0xF9, 0x3C, 0 } },
    { "a float can't hold",
      STELE_PRECISION,
      { 0 },
      12,
      { 0xA1, 0x61, 'f', 0xFB, 0x3F, 0xB9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9A } },
    { "a float can't hold", STELE_PRECISION, { 0 }, 8, { 0xA1, 0x61, 'f', 0x1A, 1, 0, 0, 1 } },
    { "a double can't hold",
      STELE_PRECISION,
      { 0 },
      12,
      { 0xA1, 0x61, 'd', 0x1B, 0, 0x20, 0, 0, 0, 0, 0, 1 } },
    { "a double can't hold",
      STELE_PRECISION,
      { 0 },
      12,
      { 0xA1, 0x61, 'd', 0x1B, 255, 255, 255, 255, 255, 255, 255, 255 } },
    { "a double can't hold",
      STELE_PRECISION,
      { 0 },
      12,
      { 0xA1, 0x61, 'd', 0x3B, 255, 255, 255, 255, 255, 255, 255, 254 } },
    { "bytes where an integer", STELE_INVALID, { 0 }, 6, { 0xA1, 0x62, 'i', '8', 0x41, '1' } },
    { "a simple value", STELE_INVALID, { 0 }, 5, { 0xA1, 0x62, 'i', '8', 0xE0 } },
    { "duplicate key", STELE_INVALID, { 0 }, 7, { 0xA2, 0x61, 'd', 1, 0x61, 'd', 2 } },
    { "at byte 1", STELE_INVALID, { 0 }, 2, { 0xA0, 0xA0 } },
};

START_TEST(cbor_is_read_in_whatever_form_it_has)
{
    widths value;
    stele_flaw flaw;

    stele_status status = stele_type_decode(&widths_type, stele_codec_cbor(), binary[_i].payload,
                                            binary[_i].size, &value, &flaw);

    ck_assert_msg(status == binary[_i].status, "%d: %d, %s", _i, status, stele_error_text());
    ck_assert_msg(binary[_i].what == NULL || strstr(stele_error_text(), binary[_i].what) != NULL,
                  "%d: %s", _i, stele_error_text());
    const widths *expected = &binary[_i].expected;
    ck_assert(value.i8 == expected->i8 && value.u8 == expected->u8);
    ck_assert(value.real == expected->real && value.single == expected->single);
}
END_TEST

typedef struct texts {
    char fixed[4];
    char *owned;
    stele_bytes bytes;
    unsigned char some[4];
    uint8_t some_count;
} texts;
static const stele_field texts_fields[] = {
    STELE_F(texts, fixed, "t", STELE_OPTIONAL), STELE_F(texts, owned, "o", STELE_OPTIONAL),
    STELE_F(texts, bytes, "b", STELE_OPTIONAL),
    STELE_F_BYTES(texts, some, some_count, "s", STELE_OPTIONAL)
};
STELE_TYPE(texts_type, texts, "Texts", 1, texts_fields);

START_TEST(texts_and_bytes_in_chunks_are_joined)
{
    static const unsigned char payload[] = "\xA4\x61t\x7F\x61"
                                           "a\x62\xC3\xA9\xFF\x61o\x7F\xFF\x61"
                                           "b\x5F\x42\x00\x01\x41\x02\xFF\x61s\x5F\x41\x07\xFF";
    texts value;

    ck_assert_int_eq(stele_type_decode(&texts_type, stele_codec_cbor(), payload,
                                       sizeof(payload) - 1, &value, NULL),
                     STELE_OK);

    ck_assert_str_eq(value.fixed, "a\xC3\xA9");
    ck_assert_str_eq(value.owned, "");
    ck_assert_uint_eq(value.bytes.size, 3);
    ck_assert_mem_eq(value.bytes.data, "\0\1\2", 3);
    ck_assert_uint_eq(value.some_count, 1);
    ck_assert_uint_eq(value.some[0], 7);
    stele_type_clear(&texts_type, &value);
}
END_TEST

START_TEST(a_nul_in_a_text_of_cbor_is_refused)
{
    static const unsigned char payload[] = { 0xA1, 0x61, 'o', 0x63, 'a', 0, 'b' };
    texts value;
    stele_flaw flaw;

    ck_assert_int_eq(
        stele_type_decode(&texts_type, stele_codec_cbor(), payload, sizeof(payload), &value, &flaw),
        STELE_INVALID);
    ck_assert_str_eq(flaw.path, "o");
    ck_assert_uint_eq(flaw.offset, 3);
    ck_assert_ptr_null(value.owned);
}
END_TEST

/* Writers may escape the slash, which base64 uses. */
START_TEST(base64_may_be_escaped)
{
    texts value;

    assert_read(&texts_type, "{\"b\":\"\\/\\/\\u002f\\u002F\",\"s\":\"\\u0041Q==\"}", &value);

    ck_assert_uint_eq(value.bytes.size, 3);
    ck_assert_mem_eq(value.bytes.data, "\xff\xff\xff", 3);
    ck_assert_uint_eq(value.some_count, 1);
    ck_assert_uint_eq(value.some[0], 1);
    stele_type_clear(&texts_type, &value);
}
END_TEST

typedef struct big {
    char room[4096];
} big;
typedef struct bigs {
    big *list;
    size_t count;
} bigs;
static const stele_field big_fields[] = { STELE_F(big, room, "r", STELE_OPTIONAL) };
STELE_TYPE(big_type, big, "Big", 1, big_fields);
static const stele_field bigs_fields[] = { STELE_F_OWNED_LIST(bigs, list, count, "l", big_type,
                                                              STELE_OPTIONAL) };
STELE_TYPE(bigs_type, bigs, "Bigs", 1, bigs_fields);

/* Three bytes of payload ask for 4096 of memory each: 256 MiB is what a value may own. */
START_TEST(a_payload_cant_ask_for_more_than_its_share_of_memory)
{
    size_t elements = 70000;
    char *text = malloc(elements * 3 + 16);
    ck_assert_ptr_nonnull(text);
    size_t used = (size_t)sprintf(text, "{\"l\":[");
    for (size_t i = 0; i < elements; i++)
        used += (size_t)sprintf(text + used, "%s{}", i > 0 ? "," : "");
    sprintf(text + used, "]}");
    bigs value;
    stele_flaw flaw;

    ck_assert_int_eq(read_json(&bigs_type, text, &value, &flaw), STELE_TOO_LARGE);

    ck_assert_msg(strncmp(flaw.path, "l[", 2) == 0, "%s", flaw.path);
    ck_assert_ptr_null(value.list);
    free(text);
}
END_TEST

/* Tables of many lines: up to, and beyond, what is kept without an allocation. */
START_TEST(tables_may_have_any_number_of_lines)
{
    enum { LINES_MOST = 1000 };
    static const size_t sizes[] = { 256, 257, LINES_MOST };
    const size_t lines = sizes[_i];
    static stele_field fields[LINES_MOST];
    static char names[LINES_MOST][24];
    for (size_t i = 0; i < lines; i++) {
        snprintf(names[i], sizeof(names[i]), "f%zu", (i * 7919) % lines);
        fields[i] = (stele_field)STELE_F(widths, i16, "x", STELE_REQUIRED);
        fields[i].name = names[i];
        fields[i].name_size = strlen(names[i]);
        fields[i].offset = i * 2;
    }
    stele_type type = {
        sizeof(stele_type), sizeof(stele_field), "Many", 1, lines * 2, fields, lines, 0
    };
    int16_t value[LINES_MOST];
    int16_t read[LINES_MOST];
    for (size_t i = 0; i < lines; i++)
        value[i] = (int16_t)i;

    ck_assert_int_eq(stele_type_selftest(&type, value), STELE_OK);
    stele_buffer buffer = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_type_encode(&type, value, stele_codec_json(), &buffer, NULL), STELE_OK);
    ck_assert_int_eq(
        stele_type_decode(&type, stele_codec_json(), buffer.data, buffer.size, read, NULL),
        STELE_OK);
    ck_assert_mem_eq(read, value, lines * 2);
    /* Without the last one. */
    ck_assert_int_eq(stele_buffer_add(&buffer, "", 1), STELE_OK);
    char *comma = strrchr(buffer.data, ',');
    comma[0] = '}';
    stele_flaw flaw;
    ck_assert_int_eq(stele_type_decode(&type, stele_codec_json(), buffer.data,
                                       (size_t)(comma - buffer.data) + 1, read, &flaw),
                     STELE_INVALID);
    ck_assert_str_eq(flaw.path, names[lines - 1]);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(decoding_without_an_argument_is_misuse)
{
    order_paid paid;

    ck_assert_int_eq(stele_type_decode(NULL, stele_codec_json(), "{}", 2, &paid, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_type_decode(&order_paid_type, NULL, "{}", 2, &paid, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_type_decode(&order_paid_type, stele_codec_json(), NULL, 2, &paid, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_type_decode(&order_paid_type, stele_codec_json(), "{}", 2, NULL, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_type_decode(&order_paid_type, stele_codec_raw(), "{}", 2, &paid, NULL),
                     STELE_UNSUPPORTED);
    ck_assert_int_eq(stele_type_decode(&order_paid_type, stele_codec_json(), NULL, 0, &paid, NULL),
                     STELE_INVALID);
}
END_TEST

typedef struct money {
    char amount[8];
    char *rate;
} money;
static const stele_field money_fields[] = {
    STELE_F(money, amount, "amount", STELE_OR_NUMBER),
    STELE_F(money, rate, "rate", STELE_OPTIONAL | STELE_OR_NUMBER),
};
STELE_TYPE(money_type, money, "Money", 1, money_fields);

START_TEST(a_decimal_is_read_as_it_is_written_from_a_text_or_a_number)
{
    static const unsigned char payload[] = "\xA2\x66"
                                           "amount\x3A\x00\x00\x01\x00\x64rate\xF9\x3E\x00";
    money value;
    stele_flaw flaw;

    assert_read(&money_type, "{\"amount\":12.500,\"rate\":1e400}", &value);
    ck_assert_str_eq(value.amount, "12.500");
    ck_assert_str_eq(value.rate, "1e400");
    stele_type_clear(&money_type, &value);
    assert_read(&money_type, "{\"amount\":\"any\",\"rate\":\"\"}", &value);
    ck_assert_str_eq(value.amount, "any");
    ck_assert_str_eq(value.rate, "");
    stele_type_clear(&money_type, &value);
    ck_assert_int_eq(stele_type_decode(&money_type, stele_codec_cbor(), payload,
                                       sizeof(payload) - 1, &value, NULL),
                     STELE_OK);
    ck_assert_str_eq(value.amount, "-257");
    ck_assert_str_eq(value.rate, "1.5");
    stele_type_clear(&money_type, &value);
    ck_assert_int_eq(read_json(&money_type, "{\"amount\":12345.67}", &value, &flaw), STELE_INVALID);
    ck_assert_msg(strstr(stele_error_text(), "8 bytes, at most 7") != NULL, "%s",
                  stele_error_text());
    ck_assert_int_eq(read_json(&money_type, "{\"amount\":true}", &value, &flaw), STELE_INVALID);
    ck_assert_msg(strstr(stele_error_text(), "true where a text or number") != NULL, "%s",
                  stele_error_text());
}
END_TEST

static Suite *decode_suite(void)
{
    Suite *suite = suite_create("decoding typed events");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, members_come_in_any_order_and_unknown_keys_are_passed_over);
    tcase_add_test(tcase, null_is_the_same_as_absent);
    tcase_add_loop_test(tcase, what_is_refused_is_named_by_path_and_byte, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, a_strict_type_refuses_unknown_keys);
    tcase_add_test(tcase, every_width_holds_its_own_range_and_no_more);
    tcase_add_loop_test(tcase, cbor_is_read_in_whatever_form_it_has, 0,
                        sizeof(binary) / sizeof(binary[0]));
    tcase_add_test(tcase, texts_and_bytes_in_chunks_are_joined);
    tcase_add_test(tcase, a_nul_in_a_text_of_cbor_is_refused);
    tcase_add_test(tcase, base64_may_be_escaped);
    tcase_add_test(tcase, a_payload_cant_ask_for_more_than_its_share_of_memory);
    tcase_add_loop_test(tcase, tables_may_have_any_number_of_lines, 0, 3);
    tcase_add_test(tcase, an_array_has_all_its_elements_and_no_more);
    tcase_add_test(tcase, a_bare_integer_is_a_real_exactly_or_not_at_all);
    tcase_add_test(tcase, no_error_text_tells_a_secret);
    tcase_add_test(tcase, a_long_name_is_cut_between_characters);
    tcase_add_test(tcase, a_decimal_is_read_as_it_is_written_from_a_text_or_a_number);
    tcase_add_test(tcase, decoding_without_an_argument_is_misuse);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(decode_suite());
}
