/* What reading CBOR asks the heap for: nothing for what is only announced, and what if it gets
 * none. */
#include "cbor_bytes.h"
#include "resources.h"
#include "support.h"

/* Start counting, and say what was asked for since. */
static int64_t start_counting(void)
{
    atomic_store(&own.calls, 0);
    atomic_store(&own.peak, atomic_load(&own.bytes));
    return atomic_load(&own.bytes);
}

static void fail_allocation(int64_t first, int64_t last)
{
    atomic_store(&own.calls, 0);
    atomic_store(&own.fail_last, last);
    atomic_store(&own.fail_first, first);
}

/* --- Bombs --- */

static const struct {
    const char *head;
    const char *filling; /* repeated up to a mebibyte */
    stele_status status;
} bombs[] = {
    { "9b ffffffffffffffff", NULL, STELE_INVALID },
    { "9b 0000000100000000", NULL, STELE_INVALID },
    { "5b 7fffffffffffffff", NULL, STELE_INVALID },
    { "7b 7fffffffffffffff", NULL, STELE_INVALID },
    { "bb ffffffffffffffff", NULL, STELE_INVALID },
    { "bb 8000000000000000", NULL, STELE_INVALID },
    { "9a ffffffff", NULL, STELE_INVALID },
    { "ba ffffffff", NULL, STELE_INVALID },
    { "5a ffffffff", NULL, STELE_INVALID },
    { "7a ffffffff", NULL, STELE_INVALID },
    { "9a ffffffff", "00", STELE_INVALID },
    { "ba ffffffff", "00", STELE_INVALID },
    { "81 9a ffffffff", "81", STELE_INVALID },
    { "5f 5b 7fffffffffffffff", "40", STELE_INVALID },
    { "7f 7a ffffffff", "60", STELE_INVALID },
    { "81", "81", STELE_TOO_LARGE },
    { "a1 00", "a1 00", STELE_TOO_LARGE },
    { "9f", "9f", STELE_TOO_LARGE },
    { "bf 00", "bf 00", STELE_TOO_LARGE },
    { "c6", "c6", STELE_TOO_LARGE },
    { "d8 ff", "d8 ff", STELE_TOO_LARGE },
    { "9f", "00", STELE_INVALID },
    { "9f", "80", STELE_INVALID },
    { "9f", "a1 00 00", STELE_INVALID },
    { "9a 000f0000", "9a 000f0000", STELE_TOO_LARGE },
    { "5f", "40", STELE_INVALID },
    { "7f", "61 61", STELE_INVALID },
    { "bf", "00 00", STELE_INVALID },
    { "bf", "18 00 00", STELE_INVALID },
    { "bf", "7f ff 00", STELE_INVALID },
};

/* Repeat the bytes of `hex` until there are `size` in all. */
static void fill_up(stele_buffer *payload, const char *hex, size_t size)
{
    size_t start = payload->size;
    put_hex(payload, hex);
    size_t period = payload->size - start;
    char pattern[16];
    memcpy(pattern, payload->data + start, period);
    while (payload->size < size)
        put_raw(payload, pattern, period);
}

START_TEST(bombs_are_refused_with_less_than_64_kilobytes)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    put_hex(&payload, bombs[_i].head);
    if (bombs[_i].filling != NULL)
        fill_up(&payload, bombs[_i].filling, 1024 * 1024);
    int64_t before = start_counting();

    stele_status status = stele_cbor_check(payload.data, payload.size, NULL);

    ck_assert_int_eq(status, bombs[_i].status);
    if (bombs[_i].filling == NULL)
        ck_assert_int_eq(atomic_load(&own.calls), 0);
    stele_cbor_reader *reader = NULL;
    ck_assert_int_eq(stele_cbor_open(payload.data, payload.size, NULL, &reader), bombs[_i].status);
    ck_assert_int_lt(atomic_load(&own.peak) - before, 65536);
    ck_assert_int_eq(atomic_load(&own.bytes), before);
    stele_buffer_dispose(&payload);
}
END_TEST

/* However deep one allows, and however many keys there are: so many bytes for each byte there is.
 */
START_TEST(memory_is_in_proportion_to_the_bytes_there_are)
{
    static const char *const fillings[] = { "81", "c6", "9f", "a1 00", "bf 00", "bf 1800" };
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = UINT32_MAX;
    for (size_t size = 100; size < 1000000; size *= 3) {
        stele_buffer payload = STELE_BUFFER_INIT;
        fill_up(&payload, fillings[_i], size);
        int64_t before = start_counting();

        ck_assert_int_eq(stele_cbor_check(payload.data, payload.size, &options), STELE_INVALID);

        /* what grows is doubled, and copied once */
        ck_assert_int_lt(atomic_load(&own.peak) - before, (int64_t)payload.size * 128 + 65536);
        ck_assert_int_eq(atomic_load(&own.bytes), before);
        stele_buffer_dispose(&payload);
    }
}
END_TEST

START_TEST(ordinary_payloads_need_no_allocation)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    put_head(&payload, 5, 40);
    for (unsigned i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof(key), "property%u", i);
        put_words(&payload, key);
        put_hex(&payload, "83 c1 1a 514b67b0 a2 01 6161 02 f9 3c00 9f 41 00 ff");
    }
    start_counting();

    ck_assert_int_eq(stele_cbor_check(payload.data, payload.size, NULL), STELE_OK);

    ck_assert_int_eq(atomic_load(&own.calls), 0);
    stele_buffer_dispose(&payload);
}
END_TEST

/* --- A reader's memory --- */

/* Deep, with many keys, of which many are to be decoded. */
static stele_buffer make_giant(void)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    for (unsigned i = 0; i < 3000; i++)
        put_hex(&payload, "c6 81");
    put_byte(&payload, 0xbf);
    for (unsigned i = 0; i < 5000; i++) {
        put_wide_head(&payload, 0, 27, i);
        put_byte(&payload, 0);
    }
    put_byte(&payload, 0xff);
    return payload;
}

START_TEST(a_reset_keeps_little_of_what_a_giant_needed)
{
    stele_buffer giant = make_giant();
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = 10000;
    stele_cbor_reader *reader = NULL;
    int64_t before = atomic_load(&own.bytes);

    ck_assert_int_eq(stele_cbor_open(giant.data, giant.size, &options, &reader), STELE_OK);
    ck_assert_int_gt(atomic_load(&own.bytes) - before, 200000);
    ck_assert_int_eq(stele_cbor_reset(reader, "\x00", 1), STELE_OK);
    ck_assert_int_lt(atomic_load(&own.bytes) - before, 32768);

    stele_cbor_close(reader);
    ck_assert_int_eq(atomic_load(&own.bytes), before);
    stele_buffer_dispose(&giant);
}
END_TEST

START_TEST(each_failed_allocation_is_no_memory_and_does_no_harm)
{
    stele_buffer giant = make_giant();
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = 10000;
    int64_t before = atomic_load(&own.bytes);
    int64_t point = 0;
    stele_status status;
    do {
        stele_cbor_reader *reader = NULL;
        point++;
        fail_allocation(point, _i == 0 ? point : INT64_MAX);
        status = stele_cbor_open(giant.data, giant.size, &options, &reader);
        fail_allocation(0, 0);
        ck_assert(status == STELE_OK || status == STELE_NO_MEMORY);
        ck_assert_int_eq(reader != NULL, status == STELE_OK);
        stele_cbor_close(reader);
        ck_assert_int_eq(atomic_load(&own.bytes), before);
    } while (status == STELE_NO_MEMORY);

    ck_assert_int_gt(point, 15);
    printf("cbor memory: %" PRId64 " points of failure\n", point - 1);
    stele_buffer_dispose(&giant);
}
END_TEST

START_TEST(a_reset_that_found_no_memory_can_be_tried_again)
{
    stele_buffer giant = make_giant();
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = 10000;
    stele_cbor_reader *reader = NULL;
    stele_cbor_token token;
    ck_assert_int_eq(stele_cbor_open("\x00", 1, &options, &reader), STELE_OK);
    int64_t point = 0;
    stele_status status;
    do {
        stele_cbor_reset(reader, "\x00", 1); /* back to little memory */
        fail_allocation(++point, INT64_MAX);
        status = stele_cbor_reset(reader, giant.data, giant.size);
        if (status != STELE_OK) {
            ck_assert_int_eq(status, STELE_NO_MEMORY);
            ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_NO_MEMORY);
        }
        fail_allocation(0, 0);
        ck_assert_int_eq(stele_cbor_reset(reader, giant.data, giant.size), STELE_OK);
    } while (status == STELE_NO_MEMORY);

    stele_cbor_close(reader);
    stele_buffer_dispose(&giant);
}
END_TEST

/* Walking and skipping need what the scan already has. */
START_TEST(walking_needs_no_allocation)
{
    stele_buffer giant = make_giant();
    stele_cbor_options options = STELE_CBOR_OPTIONS_INIT;
    options.depth_max = 10000;
    stele_cbor_reader *reader = NULL;
    stele_cbor_token token;
    ck_assert_int_eq(stele_cbor_open(giant.data, giant.size, &options, &reader), STELE_OK);
    start_counting();

    if (_i == 0) {
        while (stele_cbor_next(reader, &token) == STELE_OK)
            continue;
    } else {
        ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_OK);
        ck_assert_int_eq(stele_cbor_skip(reader, NULL, NULL), STELE_OK);
    }

    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_DONE);
    ck_assert_int_eq(atomic_load(&own.calls), 0);
    stele_cbor_close(reader);
    stele_buffer_dispose(&giant);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("cbor_memory");
    TCase *tests = tcase_create("memory");
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, bombs_are_refused_with_less_than_64_kilobytes, 0,
                        (int)(sizeof(bombs) / sizeof(bombs[0])));
    tcase_add_loop_test(tests, memory_is_in_proportion_to_the_bytes_there_are, 0, 6);
    tcase_add_test(tests, ordinary_payloads_need_no_allocation);
    tcase_add_test(tests, a_reset_keeps_little_of_what_a_giant_needed);
    tcase_add_loop_test(tests, each_failed_allocation_is_no_memory_and_does_no_harm, 0, 2);
    tcase_add_test(tests, a_reset_that_found_no_memory_can_be_tried_again);
    tcase_add_loop_test(tests, walking_needs_no_allocation, 0, 2);
    return run_suite(suite);
}
