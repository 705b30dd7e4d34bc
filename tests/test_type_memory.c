/*
 * The memory of typed events: each allocation of each call failing once, for every n, with counts
 * of what is still held; and bombs, which are told by what they make the library ask for.
 */
#include "everything.h"
#include "order_types.h"
#include "resources.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* --- Each allocation once --- */

static everything sample;
static stele_buffer payloads[2];

static const stele_codec *codec_of(int index)
{
    return index == 0 ? stele_codec_json() : stele_codec_cbor();
}

static stele_status try_encode(int codec)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_status status =
        stele_type_encode(&everything_type, &sample, codec_of(codec), &buffer, NULL);
    if (status == STELE_OK)
        ck_assert_mem_eq(buffer.data, payloads[codec].data, payloads[codec].size);
    else
        ck_assert_uint_eq(buffer.size, 0);
    stele_buffer_dispose(&buffer);
    return status;
}

static stele_status try_decode(int codec)
{
    static const everything zero;
    everything read;
    stele_status status = stele_type_decode(&everything_type, codec_of(codec), payloads[codec].data,
                                            payloads[codec].size, &read, NULL);
    if (status == STELE_OK)
        ck_assert(same_everything(&sample, &read));
    else
        ck_assert_mem_eq(&read, &zero, sizeof(read));
    stele_type_clear(&everything_type, &read);
    return status;
}

static stele_status try_check(int codec)
{
    (void)codec;
    return stele_type_check(&everything_type);
}

static stele_status try_format(int codec)
{
    (void)codec;
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_status status = stele_type_format(&everything_type, &sample, &buffer);
    stele_buffer_dispose(&buffer);
    return status;
}

static stele_status try_schema(int codec)
{
    (void)codec;
    stele_buffer buffer = STELE_BUFFER_INIT;
    stele_status status = stele_type_json_schema(&everything_type, &buffer);
    if (status != STELE_OK)
        ck_assert_uint_eq(buffer.size, 0);
    stele_buffer_dispose(&buffer);
    return status;
}

static stele_status try_selftest(int codec)
{
    (void)codec;
    return stele_type_selftest(&everything_type, &sample);
}

static stele_status (*const tries[])(int codec) = { try_encode, try_decode, try_check,
                                                    try_format, try_schema, try_selftest };

START_TEST(every_allocation_that_fails_is_no_memory_and_nothing_is_held)
{
    seed_chance(5);
    sample = chance_everything();
    while (sample.owned == NULL || sample.blob.data == NULL || sample.path_count < 9
           || sample.tree_count == 0) {
        stele_type_clear(&everything_type, &sample);
        sample = chance_everything();
    }
    for (int codec = 0; codec < 2; codec++)
        ck_assert_int_eq(
            stele_type_encode(&everything_type, &sample, codec_of(codec), &payloads[codec], NULL),
            STELE_OK);

    int64_t points = 0;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        for (int codec = 0; codec < 2; codec++) {
            int64_t before = own.blocks;
            stele_status status = STELE_NO_MEMORY;
            for (int64_t n = 1; status == STELE_NO_MEMORY; n++, points++) {
                own.fail_first = own.fail_last = own.calls + n;
                status = tries[i](codec);
                bool failed = own.calls >= own.fail_first;
                own.fail_first = 0;
                ck_assert_int_eq(status, failed ? STELE_NO_MEMORY : STELE_OK);
                ck_assert_int_eq(own.blocks, before);
            }
        }
    }
    printf("# allocations that failed: %" PRId64 "\n", points);
    ck_assert_int_gt(points, 200);
    stele_type_clear(&everything_type, &sample);
    stele_buffer_dispose(&payloads[0]);
    stele_buffer_dispose(&payloads[1]);
    ck_assert_int_eq(own.blocks, 0);
}
END_TEST

/* --- Bombs --- */

static const struct {
    const char *what;
    size_t size;
    const char *bytes;
} bombs[] = {
    { "a list of 2^64 - 1 items", 9, "\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" },
    { "a list of 2^32 - 1 items", 5, "\x9A\xFF\xFF\xFF\xFF" },
    { "a map of 2^63 pairs", 9, "\xBB\x80\x00\x00\x00\x00\x00\x00\x00" },
    { "a text of 2^64 - 1 bytes", 9, "\x7B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" },
    { "bytes of 2^32 - 1", 5, "\x5A\xFF\xFF\xFF\xFF" },
    { "a list of them in an order", 13, "\xA1\x65lines\x9A\xFF\xFF\xFF\xFF\xA0" },
    { "codes", 13,
      "\xA1\x65"
      "codes\x9A\xFF\xFF\xFF\xFF\x01" },
    { "a note", 11, "\xA1\x64note\x7A\xFF\xFF\xFF\xFF" },
};

START_TEST(a_declared_length_allocates_nothing)
{
    order_placed order;
    int64_t before = own.bytes;
    own.peak = before;

    ck_assert_int_eq(stele_type_decode(&order_placed_type, stele_codec_cbor(), bombs[_i].bytes,
                                       bombs[_i].size, &order, NULL),
                     STELE_INVALID);

    ck_assert_msg(own.peak - before < 65536, "%s: %" PRIdFAST64 " bytes", bombs[_i].what,
                  own.peak - before);
    ck_assert_int_eq(own.bytes, before);
}
END_TEST

/* 16 MB of nothing but openings end at the depth, whatever comes. */
START_TEST(endless_nesting_ends_at_the_depth)
{
    static const struct {
        const stele_codec *(*codec)(void);
        char opening;
    } nestings[] = { { stele_codec_json, '[' },
                     { stele_codec_cbor, (char)0x81 },
                     { stele_codec_cbor, (char)0x9F },
                     { stele_codec_cbor, (char)0xC6 } };
    size_t size = 16 * 1024 * 1024;
    char *payload = malloc(size);
    ck_assert_ptr_nonnull(payload);
    memset(payload, nestings[_i].opening, size);
    order_placed order;
    int64_t before = own.bytes;
    own.peak = before;

    stele_status status =
        stele_type_decode(&order_placed_type, nestings[_i].codec(), payload, size, &order, NULL);

    ck_assert(status == STELE_TOO_LARGE || status == STELE_INVALID);
    ck_assert_int_lt(own.peak - before, 65536);
    free(payload);
}
END_TEST

static Suite *memory_suite(void)
{
    Suite *suite = suite_create("memory of typed events");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, every_allocation_that_fails_is_no_memory_and_nothing_is_held);
    tcase_add_loop_test(tcase, a_declared_length_allocates_nothing, 0,
                        sizeof(bombs) / sizeof(bombs[0]));
    tcase_add_loop_test(tcase, endless_nesting_ends_at_the_depth, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    count_own_memory();
    return run_suite(memory_suite());
}
