/* A record as a value of a table that the caller names. */
#include "everything.h"
#include "order_types.h"
#include "support.h"

#include <string.h>

static stele_store *store;

static void open_memory(void)
{
    ck_assert_int_eq(stele_store_open(":memory:", NULL, &store), STELE_OK);
}

static void close_memory(void)
{
    stele_store_close(store);
    store = NULL;
}

static stele_record make_record(const char *codec, const char *data)
{
    return (stele_record){ .position = 12,
                           .version = 3,
                           .stream = "order-17",
                           .type = "Whatever",
                           .codec = codec,
                           .schema_version = 9,
                           .data = data,
                           .data_size = strlen(data) };
}

START_TEST(any_record_is_read_as_any_table_registered_or_not)
{
    stele_record json = make_record("json", "{\"method\":\"card\"}");
    stele_record cbor = make_record("cbor", "\xA1\x66method\x64"
                                            "cash");
    order_paid paid;

    if (_i == 1)
        ck_assert_int_eq(stele_store_register_type(store, &order_paid_type), STELE_OK);
    ck_assert_int_eq(stele_record_decode_as(store, &json, &order_paid_type, &paid, NULL), STELE_OK);
    ck_assert_str_eq(paid.method, "card");
    ck_assert_int_eq(stele_record_decode_as(store, &cbor, &order_paid_type, &paid, NULL), STELE_OK);
    ck_assert_str_eq(paid.method, "cash");
}
END_TEST

static const struct {
    const char *codec;
    const char *data;
    stele_status status;
    const char *path;
    const char *what;
} failures[] = {
    { "json", "{\"method\":7}", STELE_INVALID, "method", "method: a number where a text" },
    { "json", "", STELE_INVALID, "", "end of the text" },
    { "json", "{\"method\":\"\",\"tip\":1}", STELE_INVALID, "", "'tip' is not known" },
    { "raw", "{}", STELE_UNSUPPORTED, "", "raw" },
    { "jsno", "{}", STELE_UNSUPPORTED, "", "the codec 'jsno' isn't known" },
};

START_TEST(what_fails_names_the_record_and_leaves_zero)
{
    static const order_paid zero;
    stele_record record = make_record(failures[_i].codec, failures[_i].data);
    order_paid paid = { "before" };
    stele_flaw flaw;

    ck_assert_int_eq(stele_record_decode_as(store, &record, &order_paid_type, &paid, &flaw),
                     failures[_i].status);

    ck_assert_mem_eq(&paid, &zero, sizeof(paid));
    ck_assert_str_eq(flaw.path, failures[_i].path);
    ck_assert_msg(strstr(stele_error_text(), failures[_i].what) != NULL, "%s", stele_error_text());
    ck_assert_msg(strncmp(stele_error_text(),
                          "stream 'order-17' version 3 position 12 type 'Whatever' 9: ", 58)
                      == 0,
                  "%s", stele_error_text());
}
END_TEST

START_TEST(what_would_be_rounded_or_is_too_deep_is_said)
{
    stele_record record = make_record("json", "{\"x\":1,\"y\":9007199254740993}");
    char deep[200] = "{\"x\":";
    memset(deep + 5, '[', 100);
    stele_record nested = make_record("json", deep);
    point read;
    stele_flaw flaw;

    ck_assert_int_eq(stele_record_decode_as(store, &record, &point_type, &read, &flaw),
                     STELE_PRECISION);
    ck_assert_str_eq(flaw.path, "y");
    record = make_record("json", "{\"x\":{},\"y\":0}");
    ck_assert_int_eq(stele_record_decode_as(store, &record, &point_type, &read, NULL),
                     STELE_INVALID);
    memcpy(deep, "{\"z\":", 5);
    ck_assert_int_eq(stele_record_decode_as(store, &nested, &point_type, &read, NULL),
                     STELE_TOO_LARGE);
}
END_TEST

START_TEST(arguments_that_are_missing_are_misuse)
{
    stele_record record = make_record("json", "{\"method\":\"\"}");
    stele_record nameless = record;
    nameless.codec = NULL;
    stele_type wrong = order_paid_type;
    wrong.name = NULL;
    order_paid paid;

    ck_assert_int_eq(stele_record_decode_as(NULL, &record, &order_paid_type, &paid, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_record_decode_as(store, NULL, &order_paid_type, &paid, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_record_decode_as(store, &record, NULL, &paid, NULL), STELE_MISUSE);
    ck_assert_int_eq(stele_record_decode_as(store, &record, &order_paid_type, NULL, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_record_decode_as(store, &nameless, &order_paid_type, &paid, NULL),
                     STELE_MISUSE);
    ck_assert_int_eq(stele_record_decode_as(store, &record, &wrong, &paid, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(it_freezes_the_registry)
{
    stele_record record = make_record("json", "{\"method\":\"\"}");
    order_paid paid;

    ck_assert_int_eq(stele_record_decode_as(store, &record, &order_paid_type, &paid, NULL),
                     STELE_OK);
    ck_assert_int_eq(stele_store_register_type(store, &order_paid_type), STELE_MISUSE);
}
END_TEST

static Suite *decode_as_suite(void)
{
    Suite *suite = suite_create("decoding as a table");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, open_memory, close_memory);
    tcase_add_loop_test(tcase, any_record_is_read_as_any_table_registered_or_not, 0, 2);
    tcase_add_loop_test(tcase, what_fails_names_the_record_and_leaves_zero, 0,
                        sizeof(failures) / sizeof(failures[0]));
    tcase_add_test(tcase, what_would_be_rounded_or_is_too_deep_is_said);
    tcase_add_test(tcase, arguments_that_are_missing_are_misuse);
    tcase_add_test(tcase, it_freezes_the_registry);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(decode_as_suite());
}
