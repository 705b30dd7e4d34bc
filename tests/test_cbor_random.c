/* Random payloads, good, spoilt and raw: the reader agrees with the oracle, and with itself. */
#include "cbor_oracle.h"
#include "effort.h"
#include "support.h"

#include <stddef.h>

static unsigned runs_of(unsigned runs)
{
    return effort_is_long() ? runs * 100 : runs;
}

static unsigned seed_runs(const char *what, unsigned runs)
{
    uint64_t seed = choose_seed();
    runs = runs_of(runs);
    printf("cbor %s: seed %" PRIu64 ", %u runs\n", what, seed, runs);
    return runs;
}

/* --- Payloads in every encoding --- */

static unsigned choose(unsigned count)
{
    return (unsigned)((next_chance() >> 20) % count);
}

/* A head in its shortest form, or a longer one. */
static void put_any_head(stele_buffer *draft, unsigned major, uint64_t argument)
{
    unsigned info = shortest_info(argument);
    if (one_in(4)) {
        if (info == 0)
            info = 24;
        info += choose(28 - info);
    }
    put_wide_head(draft, major, info, argument);
}

static uint64_t choose_number(void)
{
    return next_chance() >> (one_in(2) ? 56 + choose(8) : choose(64));
}

static void put_any_string(stele_buffer *draft, unsigned major)
{
    static const char *const texts[] = { "",
                                         "a",
                                         "id",
                                         "name",
                                         "\xC3\xA4",
                                         "\xE2\x82\xAC",
                                         "\xF0\x9F\x93\x96",
                                         "a text of more than 23 bytes" };
    const char *text = texts[choose(8)];
    if (!one_in(4)) {
        put_any_head(draft, major, strlen(text));
        put_raw(draft, text, strlen(text));
        return;
    }
    put_byte(draft, major << 5 | 31);
    for (unsigned chunks = choose(4); chunks > 0; chunks--) {
        text = texts[choose(8)];
        put_any_head(draft, major, strlen(text));
        put_raw(draft, text, strlen(text));
    }
    put_byte(draft, 0xff);
}

static void put_any_other(stele_buffer *draft)
{
    switch (choose(6)) {
    case 0: put_byte(draft, 0xe0 + choose(24)); break;
    case 1: put_wide_head(draft, 7, 24, 32 + choose(224)); break;
    case 2: put_wide_head(draft, 7, 25, next_chance() & 0xffff); break;
    case 3: put_wide_head(draft, 7, 26, next_chance() & 0xffffffff); break;
    case 4: put_wide_head(draft, 7, 27, next_chance()); break;
    default: put_byte(draft, 0xf4 + choose(4)); break;
    }
}

static void put_any_item(stele_buffer *draft, unsigned depth);

/* Mostly good: a key may come twice by chance. */
static void put_any_map(stele_buffer *draft, unsigned depth)
{
    unsigned pairs = one_in(10) ? 17 + choose(30) : choose(6);
    bool indefinite = one_in(3);
    if (indefinite)
        put_byte(draft, 0xbf);
    else
        put_any_head(draft, 5, pairs);
    for (unsigned i = 0; i < pairs; i++) {
        if (one_in(6))
            put_any_string(draft, 2 + choose(2));
        else
            put_any_head(draft, choose(2), one_in(20) ? i / 2 : (uint64_t)i << choose(3) * 9);
        put_any_item(draft, depth + 1);
    }
    if (indefinite)
        put_byte(draft, 0xff);
}

static void put_any_array(stele_buffer *draft, unsigned depth)
{
    unsigned items = choose(6);
    bool indefinite = one_in(3);
    if (indefinite)
        put_byte(draft, 0x9f);
    else
        put_any_head(draft, 4, items);
    for (unsigned i = 0; i < items; i++)
        put_any_item(draft, depth + 1);
    if (indefinite)
        put_byte(draft, 0xff);
}

static void put_any_item(stele_buffer *draft, unsigned depth)
{
    unsigned major = choose(depth > 4 || draft->size > 1500 ? 4 : 8);
    switch (major) {
    case 0:
    case 1: put_any_head(draft, major, choose_number()); break;
    case 2:
    case 3: put_any_string(draft, major); break;
    case 4: put_any_array(draft, depth); break;
    case 5: put_any_map(draft, depth); break;
    case 6:
        put_any_head(draft, 6, choose_number());
        put_any_item(draft, depth + 1);
        break;
    default: put_any_other(draft);
    }
}

static void spoil(stele_buffer *draft)
{
    for (unsigned changes = 1 + choose(3); changes > 0 && draft->size > 0; changes--) {
        size_t at = choose((unsigned)draft->size);
        switch (choose(5)) {
        case 0: draft->data[at] = (char)next_chance(); break;
        case 1: draft->data[at] ^= (char)(1 << choose(8)); break;
        case 2: draft->size = at; break;
        case 3: memmove(draft->data + at, draft->data + at + 1, --draft->size - at); break;
        default: put_byte(draft, choose(256));
        }
    }
}

/* --- Reading the same --- */

static void put_content(stele_buffer *out, unsigned major, const char *content, size_t size,
                        bool indefinite)
{
    if (indefinite)
        put_byte(out, major << 5 | 31);
    put_string(out, major, content, size);
    if (indefinite)
        put_byte(out, 0xff);
}

/* Write a payload anew from its tokens, each in its shortest form, and chunks as one. */
static void rewrite(const stele_buffer *payload, stele_buffer *out)
{
    stele_cbor_reader *reader = NULL;
    stele_cbor_token token;
    ck_assert_int_eq(stele_cbor_open(payload->data, payload->size, NULL, &reader), STELE_OK);
    bool indefinite[65] = { false };
    char content[4096];
    size_t size;
    while (stele_cbor_next(reader, &token) == STELE_OK) {
        switch (token.kind) {
        case STELE_CBOR_POSITIVE: put_head(out, 0, token.number); break;
        case STELE_CBOR_NEGATIVE: put_head(out, 1, token.number); break;
        case STELE_CBOR_BYTES:
        case STELE_CBOR_TEXT:
            ck_assert_int_eq(stele_cbor_text(&token, content, sizeof(content), &size), STELE_OK);
            put_content(out, token.kind == STELE_CBOR_BYTES ? 2 : 3, content, size,
                        token.indefinite);
            break;
        case STELE_CBOR_ARRAY_BEGIN:
        case STELE_CBOR_MAP_BEGIN:
            indefinite[token.depth] = token.indefinite;
            if (token.indefinite)
                put_byte(out, token.kind == STELE_CBOR_ARRAY_BEGIN ? 0x9f : 0xbf);
            else
                put_head(out, token.kind == STELE_CBOR_ARRAY_BEGIN ? 4 : 5, token.number);
            break;
        case STELE_CBOR_ARRAY_END:
        case STELE_CBOR_MAP_END:
            if (indefinite[token.depth])
                put_byte(out, 0xff);
            break;
        case STELE_CBOR_TAG: put_head(out, 6, token.number); break;
        case STELE_CBOR_SIMPLE: put_head(out, 7, token.number); break;
        case STELE_CBOR_REAL: {
            uint64_t bits;
            memcpy(&bits, &token.real, sizeof(bits));
            put_wide_head(out, 7, 27, bits);
            break;
        }
        default: put_byte(out, 0xf4 + (unsigned)(token.kind - STELE_CBOR_FALSE));
        }
    }
    stele_cbor_close(reader);
}

/* Skipped as a whole, a payload is what it is. */
static void expect_skipped_whole(const stele_buffer *payload)
{
    stele_cbor_reader *reader = NULL;
    stele_cbor_token token;
    const void *data = NULL;
    size_t size = 0;
    ck_assert_int_eq(stele_cbor_open(payload->data, payload->size, NULL, &reader), STELE_OK);
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_OK);
    ck_assert_int_eq(stele_cbor_skip(reader, &data, &size), STELE_OK);
    ck_assert_ptr_eq(data, payload->data);
    ck_assert_uint_eq(size, payload->size);
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_DONE);
    stele_cbor_close(reader);
}

static void expect_rereads_the_same(const stele_buffer *payload, const stele_buffer *line)
{
    stele_buffer again = STELE_BUFFER_INIT;
    stele_buffer again_line = STELE_BUFFER_INIT;
    rewrite(payload, &again);
    ck_assert_int_eq(judge_cbor(again.data, again.size, &again_line, NULL), STELE_OK);
    ck_assert_uint_eq(again_line.size, line->size);
    ck_assert_mem_eq(again_line.data, line->data, line->size);
    stele_buffer_dispose(&again);
    stele_buffer_dispose(&again_line);
}

/* Both judge it; what is accepted is read, skipped, written and read again. */
static stele_status judge_with_oracle(const stele_buffer *payload)
{
    stele_buffer line = STELE_BUFFER_INIT;
    stele_status status = judge_cbor(payload->data, payload->size, &line, NULL);
    stele_status expected = ask_oracle(payload->data, payload->size);
    if (status != expected) {
        for (size_t i = 0; i < payload->size; i++)
            fprintf(stderr, "%02x", (unsigned)(unsigned char)payload->data[i]);
        ck_abort_msg(" is %s (%s), expected %s", stele_status_name(status), stele_error_text(),
                     stele_status_name(expected));
    }
    if (status == STELE_OK) {
        expect_skipped_whole(payload);
        expect_rereads_the_same(payload, &line);
    }
    stele_buffer_dispose(&line);
    return status;
}

/* --- Tests --- */

START_TEST(payloads_in_any_encoding_are_read_as_the_oracle_says)
{
    unsigned runs = seed_runs("payloads", 2000);
    unsigned accepted = 0;
    for (unsigned i = 0; i < runs; i++) {
        stele_buffer draft = STELE_BUFFER_INIT;
        put_any_item(&draft, 0);
        accepted += judge_with_oracle(&draft) == STELE_OK;
        stele_buffer_dispose(&draft);
    }
    ck_assert_uint_gt(accepted, runs / 2);
}
END_TEST

START_TEST(every_prefix_of_a_payload_is_refused)
{
    unsigned runs = seed_runs("prefixes", 500);
    for (unsigned i = 0; i < runs; i++) {
        stele_buffer draft = STELE_BUFFER_INIT;
        put_any_item(&draft, 0);
        if (stele_cbor_check(draft.data, draft.size, NULL) == STELE_OK) {
            for (size_t size = 0; size < draft.size; size++)
                ck_assert_int_eq(judge_cbor(draft.data, size, NULL, NULL), STELE_INVALID);
        }
        stele_buffer_dispose(&draft);
    }
}
END_TEST

START_TEST(spoilt_payloads_are_judged_as_the_oracle_says)
{
    unsigned runs = seed_runs("spoilt payloads", 5000);
    unsigned refused = 0;
    for (unsigned i = 0; i < runs; i++) {
        stele_buffer draft = STELE_BUFFER_INIT;
        put_any_item(&draft, 0);
        spoil(&draft);
        refused += judge_with_oracle(&draft) == STELE_INVALID;
        stele_buffer_dispose(&draft);
    }
    ck_assert_uint_gt(refused, runs / 4);
    ck_assert_uint_lt(refused, runs);
}
END_TEST

/* Raw bytes, of all values or mostly of those that open something. */
START_TEST(random_bytes_are_judged_as_the_oracle_says)
{
    static const unsigned char openers[] = { 0x81, 0x82, 0x9f, 0xa1, 0xbf, 0xc1, 0xd8, 0x5f,
                                             0x7f, 0x41, 0x61, 0xff, 0x00, 0x20, 0x18, 0xf6 };
    unsigned runs = seed_runs("random bytes", 20000);
    for (unsigned i = 0; i < runs; i++) {
        stele_buffer draft = STELE_BUFFER_INIT;
        for (unsigned size = choose(i % 10 == 0 ? 300 : 12); size > 0; size--)
            put_byte(&draft, i % 2 == 0 || one_in(8) ? choose(256) : openers[choose(16)]);
        judge_with_oracle(&draft);
        stele_buffer_dispose(&draft);
    }
}
END_TEST

/* All payloads of up to two bytes, and of three as many as there is time for. */
START_TEST(short_payloads_are_judged_as_the_oracle_says)
{
    unsigned step = effort_is_long() ? 1 : 251;
    for (unsigned size = 0; size <= 3; size++) {
        for (unsigned i = 0; i < 1u << 8 * size; i += size < 3 ? 1 : step) {
            unsigned char bytes[3] = { (unsigned char)i, (unsigned char)(i >> 8),
                                       (unsigned char)(i >> 16) };
            stele_status status = stele_cbor_check(bytes, size, NULL);
            if (status != ask_oracle(bytes, size))
                ck_abort_msg("%02x %02x %02x: %s", bytes[0], bytes[1], bytes[2],
                             stele_status_name(status));
        }
    }
}
END_TEST

/* The oracle must not agree with everything. */
START_TEST(oracle_knows_good_from_bad)
{
    ck_assert_int_eq(ask_oracle("\xa1\x00\x61z", 4), STELE_OK);
    ck_assert_int_eq(ask_oracle("\xa2\x00\x00\x18\x00\x00", 6), STELE_INVALID);
    ck_assert_int_eq(ask_oracle("\x61\xc3", 2), STELE_INVALID);
    ck_assert_int_eq(ask_oracle("\x9f\x00", 2), STELE_INVALID);
    ck_assert_int_eq(ask_oracle("\x00\x00", 2), STELE_INVALID);
    char deep[66];
    memset(deep, (char)0x81, 65);
    deep[65] = 0;
    ck_assert_int_eq(ask_oracle(deep, 66), STELE_TOO_LARGE);
    ck_assert_int_eq(ask_oracle(deep + 1, 65), STELE_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cbor_random");
    TCase *tests = tcase_create("random");
    tcase_set_timeout(tests, 600);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, payloads_in_any_encoding_are_read_as_the_oracle_says);
    tcase_add_test(tests, every_prefix_of_a_payload_is_refused);
    tcase_add_test(tests, spoilt_payloads_are_judged_as_the_oracle_says);
    tcase_add_test(tests, random_bytes_are_judged_as_the_oracle_says);
    tcase_add_test(tests, short_payloads_are_judged_as_the_oracle_says);
    tcase_add_test(tests, oracle_knows_good_from_bad);
    return run_suite(suite);
}
