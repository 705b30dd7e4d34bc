/*
 * Values by chance, through both codecs and crosswise: what comes back is what went in, compared
 * member by member by code that knows nothing of tables; and every payload passes its gate.
 */
#include "everything.h"
#include "support.h"

#include <string.h>

static void assert_same(const everything *expected, const stele_codec *codec,
                        const stele_buffer *payload, uint64_t run)
{
    everything read;
    stele_flaw flaw;
    if (stele_type_decode(&everything_type, codec, payload->data, payload->size, &read, &flaw)
        != STELE_OK)
        ck_abort_msg("run %" PRIu64 ", %s: %s", run, codec->name, stele_error_text());
    if (!same_everything(expected, &read))
        ck_abort_msg("run %" PRIu64 ": another value came back from %s: %.*s", run, codec->name,
                     (int)payload->size, payload->data);
    stele_type_clear(&everything_type, &read);
}

/* What was read from `from` is written as `to` exactly as the value itself was. */
static void assert_crosswise(const stele_codec *from, const stele_buffer *payload,
                             const stele_codec *to, const stele_buffer *expected)
{
    everything read;
    stele_buffer again = STELE_BUFFER_INIT;
    ck_assert_int_eq(
        stele_type_decode(&everything_type, from, payload->data, payload->size, &read, NULL),
        STELE_OK);
    ck_assert_int_eq(stele_type_encode(&everything_type, &read, to, &again, NULL), STELE_OK);
    ck_assert_uint_eq(again.size, expected->size);
    ck_assert_mem_eq(again.data, expected->data, again.size);
    stele_buffer_dispose(&again);
    stele_type_clear(&everything_type, &read);
}

START_TEST(whatever_a_value_holds_it_comes_back_from_both_codecs_and_crosswise)
{
    const stele_codec *json = stele_codec_json();
    const stele_codec *cbor = stele_codec_cbor();
    uint64_t runs = (uint64_t)effort_of(4000, 1000000);
    uint64_t seed = choose_seed();
    stele_buffer text = STELE_BUFFER_INIT;
    stele_buffer binary = STELE_BUFFER_INIT;

    for (uint64_t run = 0; run < runs; run++) {
        everything value = chance_everything();
        text.size = 0;
        binary.size = 0;
        if (stele_type_encode(&everything_type, &value, json, &text, NULL) != STELE_OK
            || stele_type_encode(&everything_type, &value, cbor, &binary, NULL) != STELE_OK
            || stele_json_check(text.data, text.size, NULL) != STELE_OK
            || stele_cbor_check(binary.data, binary.size, NULL) != STELE_OK)
            ck_abort_msg("seed %" PRIu64 ", run %" PRIu64 ": %s", seed, run, stele_error_text());
        assert_same(&value, json, &text, run);
        assert_same(&value, cbor, &binary, run);
        assert_crosswise(json, &text, cbor, &binary);
        assert_crosswise(cbor, &binary, json, &text);
        stele_type_clear(&everything_type, &value);
    }
    stele_buffer_dispose(&text);
    stele_buffer_dispose(&binary);
    printf("# values: %" PRIu64 " runs, seed %" PRIu64 "\n", runs, seed);
}
END_TEST

/* The comparison can tell: whatever member is changed. */
START_TEST(the_comparison_notices_a_change_in_a_payload)
{
    uint64_t seed = choose_seed();
    uint64_t noticed = 0;
    uint64_t changed = 0;
    stele_buffer binary = STELE_BUFFER_INIT;

    for (int run = 0; run < 2000; run++) {
        everything value = chance_everything();
        binary.size = 0;
        ck_assert_int_eq(
            stele_type_encode(&everything_type, &value, stele_codec_cbor(), &binary, NULL),
            STELE_OK);
        size_t at = (size_t)((next_chance() >> 9) % binary.size);
        binary.data[at] = (char)(binary.data[at] ^ 1);
        everything read;
        if (stele_type_decode(&everything_type, stele_codec_cbor(), binary.data, binary.size, &read,
                              NULL)
            == STELE_OK) {
            changed++;
            noticed += same_everything(&value, &read) ? 0 : 1;
            stele_type_clear(&everything_type, &read);
        }
        stele_type_clear(&everything_type, &value);
    }
    stele_buffer_dispose(&binary);
    printf("# changed payloads: %" PRIu64 " read, %" PRIu64 " told apart, seed %" PRIu64 "\n",
           changed, noticed, seed);
    /* An unknown name of an optional key, or of the tolerant enum, may go unnoticed. */
    ck_assert_uint_gt(changed, 100);
    ck_assert_uint_gt(noticed * 10, changed * 8);
}
END_TEST

/* A prefix of a payload is no payload, and leaves nothing behind. */
START_TEST(every_prefix_of_a_payload_is_refused)
{
    seed_chance(11);
    everything value = chance_everything();
    const stele_codec *codec = _i == 0 ? stele_codec_json() : stele_codec_cbor();
    stele_buffer payload = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_type_encode(&everything_type, &value, codec, &payload, NULL), STELE_OK);
    static const everything zero;

    for (size_t size = 0; size < payload.size; size++) {
        everything read;
        ck_assert_int_eq(
            stele_type_decode(&everything_type, codec, payload.data, size, &read, NULL),
            STELE_INVALID);
        ck_assert_mem_eq(&read, &zero, sizeof(read));
    }
    stele_buffer_dispose(&payload);
    stele_type_clear(&everything_type, &value);
}
END_TEST

static Suite *property_suite(void)
{
    Suite *suite = suite_create("typed values by chance");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 3600);
    tcase_add_test(tcase, whatever_a_value_holds_it_comes_back_from_both_codecs_and_crosswise);
    tcase_add_test(tcase, the_comparison_notices_a_change_in_a_payload);
    tcase_add_loop_test(tcase, every_prefix_of_a_payload_is_refused, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(property_suite());
}
