/* What the program's structs are written as, and what can't be written. */
#include "comma_locale.h"
#include "order_types.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static order_placed make_order(void)
{
    order_placed order = {
        .order_id = 17, .key = { 0, 1, 254, 255 }, .placed_ns = 1491926160718000000, .line_count = 2
    };
    order.lines[0] = (order_line){ "A-1", 2, 9.5 };
    order.lines[1] = (order_line){ "B\"2", 4000000000, 1e300 };
    return order;
}

/* Encode and compare; a failure names what came instead. */
static void assert_json(const stele_type *type, const void *value, const char *expected)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_status status = stele_type_encode(type, value, stele_codec_json(), &buffer, NULL);
    if (status != STELE_OK)
        ck_abort_msg("%s", stele_error_text());
    ck_assert_int_eq(stele_buffer_add(&buffer, "", 1), STELE_OK);
    ck_assert_str_eq(buffer.data, expected);
    stele_buffer_dispose(&buffer);
}

static void assert_refused(const stele_type *type, const void *value, const stele_codec *codec,
                           const char *path, const char *what)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_buffer_add(&buffer, "before", 6), STELE_OK);
    stele_flaw flaw;
    memset(&flaw, 'x', sizeof(flaw));

    ck_assert_int_eq(stele_type_encode(type, value, codec, &buffer, &flaw), STELE_INVALID);

    ck_assert_str_eq(flaw.path, path);
    ck_assert_msg(strstr(stele_error_text(), what) != NULL, "%s", stele_error_text());
    ck_assert_msg(strncmp(stele_error_text(), path, strlen(path)) == 0, "%s", stele_error_text());
    ck_assert_uint_eq(buffer.size, 6);
    ck_assert_mem_eq(buffer.data, "before", 6);
    stele_buffer_dispose(&buffer);
}

START_TEST(json_is_written_in_the_order_of_the_table_without_blanks)
{
    order_placed order = make_order();
    char note[] = "wrap it\n";
    uint16_t codes[] = { 0, 65535 };
    order.note = note;
    order.gift = true;
    order.state = ORDER_PAID;
    order.has_discount = true;
    order.discount = 0.1f;
    order.codes = codes;
    order.code_count = 2;

    assert_json(&order_placed_type, &order,
                "{\"orderId\":17,\"key\":\"AAH+/w==\",\"note\":\"wrap it\\n\",\"gift\":true,"
                "\"placedNs\":\"1491926160718000000\",\"state\":\"paid\",\"discount\":0.1,"
                "\"lines\":[{\"sku\":\"A-1\",\"qty\":2,\"price\":9.5},"
                "{\"sku\":\"B\\\"2\",\"qty\":4000000000,\"price\":1e+300}],\"codes\":[0,65535]}");
}
END_TEST

START_TEST(what_is_optional_and_not_there_is_left_out)
{
    order_placed order = make_order();
    order.line_count = 0;

    assert_json(&order_placed_type, &order,
                "{\"orderId\":17,\"key\":\"AAH+/w==\",\"gift\":false,"
                "\"placedNs\":\"1491926160718000000\",\"state\":\"new\",\"lines\":[],"
                "\"codes\":[]}");
}
END_TEST

/* RFC 8949 4.2.1: the keys in the order of their encoded bytes, every head in its shortest form. */
START_TEST(cbor_is_written_in_its_deterministic_form)
{
    static const unsigned char expected[] = "\xA7"
                                            "\x63key\x44\x00\x01\xFE\xFF"
                                            "\x64gift\xF4"
                                            "\x65"
                                            "codes\x80"
                                            "\x65lines\x81\xA3\x63qty\x02\x63sku\x63"
                                            "A-1\x65price\xF9\x48\xC0"
                                            "\x65state\x63new"
                                            "\x67orderId\x1B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
                                            "\x68placedNs\x20";
    order_placed order = make_order();
    order.order_id = UINT64_MAX;
    order.placed_ns = -1;
    order.line_count = 1;
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(
        stele_type_encode(&order_placed_type, &order, stele_codec_cbor(), &buffer, NULL), STELE_OK);

    ck_assert_uint_eq(buffer.size, sizeof(expected) - 1);
    ck_assert_mem_eq(buffer.data, expected, sizeof(expected) - 1);
    ck_assert_int_eq(stele_cbor_check(buffer.data, buffer.size, NULL), STELE_OK);
    stele_buffer_dispose(&buffer);
}
END_TEST

typedef struct wide {
    int64_t number;
    uint64_t count;
} wide;
static const stele_field wide_fields[] = { STELE_F(wide, number, "n", 0),
                                           STELE_F(wide, count, "c", 0) };
STELE_TYPE(wide_type, wide, "Wide", 1, wide_fields);

START_TEST(integers_that_json_readers_would_round_are_strings)
{
    wide safe = { -9007199254740991, 9007199254740991u };
    wide beyond = { -9007199254740992, 9007199254740992u };
    wide edges = { INT64_MIN, UINT64_MAX };

    assert_json(&wide_type, &safe, "{\"n\":-9007199254740991,\"c\":9007199254740991}");
    assert_json(&wide_type, &beyond, "{\"n\":\"-9007199254740992\",\"c\":\"9007199254740992\"}");
    assert_json(&wide_type, &edges,
                "{\"n\":\"-9223372036854775808\",\"c\":\"18446744073709551615\"}");
}
END_TEST

typedef struct reals {
    double real;
    float single;
} reals;
static const stele_field reals_fields[] = { STELE_F(reals, real, "real", 0),
                                            STELE_F(reals, single, "single", 0) };
STELE_TYPE(reals_type, reals, "Reals", 1, reals_fields);

START_TEST(reals_are_written_in_the_fewest_digits)
{
    reals some[] = { { 0.1, 0.1f }, { -0.0, -0.0f }, { 5, 16777216.0f }, { 5e-324, 1e-45f } };

    assert_json(&reals_type, &some[0], "{\"real\":0.1,\"single\":0.1}");
    assert_json(&reals_type, &some[1], "{\"real\":-0,\"single\":-0}");
    assert_json(&reals_type, &some[2], "{\"real\":5,\"single\":1.6777216e+7}");
    assert_json(&reals_type, &some[3], "{\"real\":5e-324,\"single\":1e-45}");
}
END_TEST

START_TEST(nan_and_infinities_are_for_cbor_only)
{
    static const double specials[] = { (double)NAN, (double)INFINITY, -(double)INFINITY };
    reals value = { .real = specials[_i] };

    assert_refused(&reals_type, &value, stele_codec_json(), "real", "NaN");
    stele_buffer buffer = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_type_encode(&reals_type, &value, stele_codec_cbor(), &buffer, NULL),
                     STELE_OK);
    reals read;
    ck_assert_int_eq(
        stele_type_decode(&reals_type, stele_codec_cbor(), buffer.data, buffer.size, &read, NULL),
        STELE_OK);
    ck_assert(isnan(specials[_i]) ? isnan(read.real) : read.real == specials[_i]);
    stele_buffer_dispose(&buffer);
}
END_TEST

static const stele_codec *codec_at(int index)
{
    return index == 0 ? stele_codec_json() : stele_codec_cbor();
}

START_TEST(what_cant_be_stored_is_named_by_its_path)
{
    const stele_codec *codec = codec_at(_i);
    order_placed order = make_order();

    memcpy(order.lines[1].sku, "12345678", 8);
    assert_refused(&order_placed_type, &order, codec, "lines[1].sku", "NUL");
    memcpy(order.lines[1].sku, "\xff", 2);
    assert_refused(&order_placed_type, &order, codec, "lines[1].sku", "UTF-8");
    order = make_order();
    order.line_count = 4;
    assert_refused(&order_placed_type, &order, codec, "lines", "count");
    order = make_order();
    order.code_count = -1;
    assert_refused(&order_placed_type, &order, codec, "codes", "count");
    order.code_count = 1;
    assert_refused(&order_placed_type, &order, codec, "codes", "NULL");
    order = make_order();
    order.state = ORDER_LOST;
    assert_refused(&order_placed_type, &order, codec, "state", "40");
}
END_TEST

typedef struct needy {
    char *text;
    stele_bytes bytes;
    unsigned char some[4];
    int8_t some_count;
} needy;
static const stele_field needy_fields[] = { STELE_F(needy, text, "text", STELE_REQUIRED),
                                            STELE_F(needy, bytes, "bytes", STELE_REQUIRED),
                                            STELE_F_BYTES(needy, some, some_count, "some", 0) };
STELE_TYPE(needy_type, needy, "Needy", 1, needy_fields);

START_TEST(required_pointers_that_are_null_are_refused)
{
    char text[] = "";
    unsigned char byte = 0;
    needy value = { 0 };

    assert_refused(&needy_type, &value, stele_codec_json(), "text", "NULL");
    value.text = text;
    assert_refused(&needy_type, &value, stele_codec_json(), "bytes", "NULL");
    value.bytes.data = &byte;
    value.some_count = 5;
    assert_refused(&needy_type, &value, stele_codec_json(), "some", "count");
    value.some_count = -1;
    assert_refused(&needy_type, &value, stele_codec_cbor(), "some", "count");
    value.some_count = 0;
    assert_json(&needy_type, &value, "{\"text\":\"\",\"bytes\":\"\",\"some\":\"\"}");
}
END_TEST

#pragma pack(push, 1)
typedef struct packed {
    char letter[1];
    int64_t number;
    double real;
    char *text;
    stele_bytes bytes;
    int16_t *list;
    int8_t count;
} packed;
#pragma pack(pop)
static const stele_field packed_fields[] = {
    STELE_F(packed, letter, "l", STELE_REQUIRED),
    STELE_F(packed, number, "n", STELE_REQUIRED),
    STELE_F(packed, real, "r", STELE_REQUIRED),
    STELE_F(packed, text, "t", STELE_OPTIONAL),
    STELE_F(packed, bytes, "b", STELE_OPTIONAL),
    STELE_F_OWNED_VALUES(packed, list, count, "o", STELE_OPTIONAL),
};
STELE_TYPE(packed_type, packed, "Packed", 1, packed_fields);

START_TEST(members_may_lie_anywhere)
{
    char text[] = "x";
    unsigned char byte = 7;
    int16_t list[] = { -1 };
    packed value = { .number = -5, .real = 0.5, .text = text, .bytes = { &byte, 1 } };
    value.list = list;
    value.count = 1;

    assert_json(&packed_type, &value,
                "{\"l\":\"\",\"n\":-5,\"r\":0.5,\"t\":\"x\",\"b\":\"Bw==\",\"o\":[-1]}");
    ck_assert_int_eq(stele_type_selftest(&packed_type, &value), STELE_OK);
    value.count = -1;
    assert_refused(&packed_type, &value, stele_codec_json(), "o", "count");
}
END_TEST

/* The memory is that of what is written, not of what it might have become. */
START_TEST(a_plain_text_takes_no_more_than_its_size)
{
    size_t size = 8 * 1024 * 1024;
    char *text = malloc(size + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', size);
    text[size] = '\0';
    unsigned char byte = 0;
    needy value = { .text = text, .bytes = { &byte, 1 } };
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele_type_encode(&needy_type, &value, stele_codec_json(), &buffer, NULL),
                     STELE_OK);
    ck_assert_uint_le(buffer.capacity, 2 * size);
    stele_buffer_dispose(&buffer);
    free(text);
}
END_TEST

typedef struct chain {
    struct chain *next;
    size_t count;
} chain;
STELE_TYPE_DECLARE(chain_type, chain);
static const stele_field chain_fields[] = { STELE_F_OWNED_LIST(chain, next, count, "next",
                                                               chain_type, STELE_OPTIONAL) };
STELE_TYPE(chain_type, chain, "Chain", 1, chain_fields);

/* A struct and its list are two levels, so that 64 levels are 32 structs and their lists. */
static chain *make_chain(chain *links, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++)
        links[i] = (chain){ &links[i + 1], 1 };
    links[count - 1] = (chain){ NULL, 0 };
    return links;
}

START_TEST(values_nest_up_to_the_depth_that_is_read_and_no_deeper)
{
    const stele_codec *codec = codec_at(_i);
    chain links[33];
    stele_buffer buffer = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_type_encode(&chain_type, make_chain(links, 32), codec, &buffer, NULL),
                     STELE_OK);
    chain read;
    ck_assert_int_eq(stele_type_decode(&chain_type, codec, buffer.data, buffer.size, &read, NULL),
                     STELE_OK);
    stele_type_clear(&chain_type, &read);
    buffer.size = 0;

    stele_flaw flaw;
    ck_assert_int_eq(stele_type_encode(&chain_type, make_chain(links, 33), codec, &buffer, &flaw),
                     STELE_TOO_LARGE);
    ck_assert_uint_eq(buffer.size, 0);
    ck_assert_msg(strncmp(flaw.path, "next[0].next[0]", 15) == 0, "%s", flaw.path);
    ck_assert_uint_lt(strlen(flaw.path), sizeof(flaw.path));

    /* A ring is as deep as can be. */
    links[0] = (chain){ links, 1 };
    ck_assert_int_eq(stele_type_encode(&chain_type, links, codec, &buffer, NULL), STELE_TOO_LARGE);
    ck_assert_int_eq(stele_type_format(&chain_type, links, &buffer), STELE_TOO_LARGE);
    ck_assert_int_eq(stele_type_selftest(&chain_type, links), STELE_TOO_LARGE);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(a_payload_of_more_than_64_mib_is_too_large)
{
    size_t size = 64 * 1024 * 1024;
    unsigned char *data = calloc(1, size);
    ck_assert_ptr_nonnull(data);
    needy value = { .bytes = { data, size } };
    char text[] = "";
    value.text = text;
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele_type_encode(&needy_type, &value, stele_codec_cbor(), &buffer, NULL),
                     STELE_TOO_LARGE);
    ck_assert_uint_eq(buffer.size, 0);
    stele_buffer_dispose(&buffer);
    free(data);
}
END_TEST

START_TEST(encoding_without_an_argument_is_misuse)
{
    order_paid paid = { "card" };
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele_type_encode(NULL, &paid, stele_codec_json(), &buffer, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_type_encode(&order_paid_type, NULL, stele_codec_json(), &buffer, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_type_encode(&order_paid_type, &paid, NULL, &buffer, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_type_encode(&order_paid_type, &paid, stele_codec_json(), NULL, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_type_encode(&order_paid_type, &paid, stele_codec_raw(), &buffer, NULL),
                     STELE_UNSUPPORTED);
    ck_assert_uint_eq(buffer.size, 0);
}
END_TEST

START_TEST(text_for_people_hides_secrets_at_any_depth)
{
    order_placed order = make_order();
    order.line_count = 1;
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele_type_format(&order_placed_type, &order, &buffer), STELE_OK);

    ck_assert_str_eq(buffer.data,
                     "{\"orderId\":17,\"key\":\"***\",\"gift\":false,"
                     "\"placedNs\":\"1491926160718000000\",\"state\":\"new\","
                     "\"lines\":[{\"sku\":\"A-1\",\"qty\":2,\"price\":9.5}],\"codes\":[]}");
    buffer.size = 0;
    reals special = { (double)NAN, -INFINITY };
    ck_assert_int_eq(stele_type_format(&reals_type, &special, &buffer), STELE_OK);
    ck_assert_str_eq(buffer.data, "{\"real\":\"NaN\",\"single\":\"-Infinity\"}");
    order.state = ORDER_LOST;
    buffer.size = 0;
    ck_assert_int_eq(stele_type_format(&order_placed_type, &order, &buffer), STELE_INVALID);
    ck_assert_uint_eq(buffer.size, 0);
    ck_assert_int_eq(stele_type_format(&order_placed_type, NULL, &buffer), STELE_MISUSE);
    ck_assert_int_eq(stele_type_format(&order_placed_type, &order, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_type_format(NULL, &order, &buffer), STELE_MISUSE);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(the_locale_plays_no_part_in_typed_events)
{
    static const char expected[] = "{\"real\":1234567.5,\"single\":0.1}";
    reals value = { 1234567.5, 0.1f };
    reals read = { 0 };
    stele_buffer buffer = STELE_BUFFER_INIT;

    if (!enter_comma_locale())
        skip_test("no locale with a decimal comma can be made");
    stele_status wrote = stele_type_encode(&reals_type, &value, stele_codec_json(), &buffer, NULL);
    stele_status was_read =
        stele_type_decode(&reals_type, stele_codec_json(), buffer.data, buffer.size, &read, NULL);
    stele_status comma = stele_type_decode(&reals_type, stele_codec_json(),
                                           "{\"real\":1,5,\"single\":0}", 22, &value, NULL);
    leave_comma_locale();

    ck_assert_int_eq(wrote, STELE_OK);
    ck_assert_uint_eq(buffer.size, sizeof(expected) - 1);
    ck_assert_mem_eq(buffer.data, expected, buffer.size);
    ck_assert_int_eq(was_read, STELE_OK);
    ck_assert(read.real == 1234567.5 && read.single == 0.1f);
    ck_assert_int_eq(comma, STELE_INVALID);
    stele_buffer_dispose(&buffer);
}
END_TEST

static Suite *encode_suite(void)
{
    Suite *suite = suite_create("encoding typed events");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, json_is_written_in_the_order_of_the_table_without_blanks);
    tcase_add_checked_fixture(tcase, NULL, remove_test_folder);
    tcase_add_test(tcase, the_locale_plays_no_part_in_typed_events);
    tcase_add_test(tcase, what_is_optional_and_not_there_is_left_out);
    tcase_add_test(tcase, cbor_is_written_in_its_deterministic_form);
    tcase_add_test(tcase, integers_that_json_readers_would_round_are_strings);
    tcase_add_test(tcase, reals_are_written_in_the_fewest_digits);
    tcase_add_loop_test(tcase, nan_and_infinities_are_for_cbor_only, 0, 3);
    tcase_add_loop_test(tcase, what_cant_be_stored_is_named_by_its_path, 0, 2);
    tcase_add_test(tcase, required_pointers_that_are_null_are_refused);
    tcase_add_test(tcase, members_may_lie_anywhere);
    tcase_add_test(tcase, a_plain_text_takes_no_more_than_its_size);
    tcase_add_loop_test(tcase, values_nest_up_to_the_depth_that_is_read_and_no_deeper, 0, 2);
    tcase_add_test(tcase, a_payload_of_more_than_64_mib_is_too_large);
    tcase_add_test(tcase, encoding_without_an_argument_is_misuse);
    tcase_add_test(tcase, text_for_people_hides_secrets_at_any_depth);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(encode_suite());
}
