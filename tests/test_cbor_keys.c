/* Keys that come twice in a CBOR map: found in every size, nesting, kind and encoding. */
#include "cbor_bytes.h"
#include "support.h"

/* How a key is encoded: its own bytes, in one of three forms. */
enum { SHORTEST = 0, WIDE = 1, CHUNKED = 2, FORM_COUNT = 3 };

/* The `i`-th of as many different keys as there are numbers: of all four kinds in turn. */
static void put_key(stele_buffer *draft, unsigned i, int form)
{
    static const unsigned majors[] = { 0, 1, 2, 3 };
    unsigned major = majors[i % 4];
    if (major < 2) {
        uint64_t number = (uint64_t)(i / 4) * 7;
        unsigned info = shortest_info(number);
        if (form != SHORTEST)
            info = info == 0 ? 24 : info < 27 ? info + 1 : 27;
        put_wide_head(draft, major, info, number);
        return;
    }
    char text[16];
    int size = snprintf(text, sizeof(text), "key %u", i / 4);
    size_t half = (size_t)size / 2;
    if (form == SHORTEST) {
        put_string(draft, major, text, (size_t)size);
    } else if (form == WIDE) {
        put_wide_head(draft, major, 26, (uint64_t)size);
        put_raw(draft, text, (size_t)size);
    } else {
        put_byte(draft, major << 5 | 31);
        put_string(draft, major, text, half);
        put_string(draft, major, "", 0);
        put_string(draft, major, text + half, (size_t)size - half);
        put_byte(draft, 0xff);
    }
}

static stele_status finish(stele_buffer *draft)
{
    stele_status status = stele_cbor_check(draft->data, draft->size, NULL);
    stele_buffer_dispose(draft);
    return status;
}

/* A map of `count` keys, of which the one at `second` repeats the one at `first` in that form. */
static stele_status check_map(unsigned count, unsigned first, unsigned second, int form)
{
    stele_buffer draft = STELE_BUFFER_INIT;
    put_head(&draft, 5, count);
    for (unsigned i = 0; i < count; i++) {
        put_key(&draft, i == second ? first : i, i == second ? form : SHORTEST);
        put_byte(&draft, 0xf6);
    }
    return finish(&draft);
}

/* Small maps and large ones are compared in different ways; no size may fall between. */
START_TEST(a_key_that_comes_twice_is_found_wherever_both_stand)
{
    for (unsigned count = 2; count <= 40; count++) {
        ck_assert_int_eq(check_map(count, count, count, SHORTEST), STELE_OK);
        for (unsigned second = 1; second < count; second++) {
            for (unsigned first = 0; first < second; first++)
                ck_assert_int_eq(check_map(count, first, second, _i), STELE_INVALID);
        }
    }
}
END_TEST

START_TEST(of_100000_distinct_keys_none_is_refused_and_a_repeated_one_is_found)
{
    ck_assert_int_eq(check_map(100000, 100000, 100000, SHORTEST), STELE_OK);
    ck_assert_int_eq(check_map(100000, 0, 99999, _i), STELE_INVALID);
    ck_assert_int_eq(check_map(100000, 99998, 99999, _i), STELE_INVALID);
    ck_assert_int_eq(check_map(100000, 50001, 70000, _i), STELE_INVALID);
}
END_TEST

/* Out of order, each in a form of its own; 7919 is prime to the count. */
START_TEST(thousands_of_keys_may_come_in_any_order_and_encoding)
{
    enum { COUNT = 20000 };
    for (unsigned repeated = 0; repeated <= COUNT; repeated += 4999) {
        stele_buffer draft = STELE_BUFFER_INIT;
        put_byte(&draft, 0xbf);
        for (unsigned i = 0; i < COUNT; i++) {
            put_key(&draft, i * 7919 % COUNT, (int)(i % FORM_COUNT));
            put_byte(&draft, 0x80);
        }
        put_key(&draft, repeated == 19996 ? COUNT : repeated, CHUNKED);
        put_hex(&draft, "80 ff");
        ck_assert_int_eq(finish(&draft), repeated == 19996 ? STELE_OK : STELE_INVALID);
    }
}
END_TEST

/* --- What is a different key, and what is the same --- */

static const struct {
    const char *hex;
    const char *why; /* NULL: the keys differ */
} pairs[] = {
    { "a2 05 00 05 00", "duplicate key 5 at byte 3" },
    { "a2 05 00 1805 00", "duplicate key 5 at byte 3" },
    { "a2 1805 00 05 00", "duplicate key 5 at byte 4" },
    { "a2 190005 00 1b0000000000000005 00", "duplicate key 5 at byte 5" },
    { "a2 20 00 3800 00", "duplicate key -1 at byte 3" },
    { "a2 3bffffffffffffffff 00 3bffffffffffffffff 00",
      "duplicate key -18446744073709551616 at byte 11" },
    { "a2 1bffffffffffffffff 00 1bffffffffffffffff 00",
      "duplicate key 18446744073709551615 at byte 11" },
    { "a2 6161 00 6161 00", "duplicate key 'a' at byte 4" },
    { "a2 6161 00 780161 00", "duplicate key 'a' at byte 4" },
    { "a2 6161 00 7f6161ff 00", "duplicate key 'a' at byte 4" },
    { "a2 7f61616162ff 00 7f606261627800ff 00", "duplicate key 'ab' at byte 8" },
    { "a2 60 00 7fff 00", "duplicate key '' at byte 3" },
    { "a2 4161 00 5f4161ff 00", "duplicate key, a byte string of 1 at byte 4" },
    { "a2 40 00 5f5800ff 00", "duplicate key, a byte string of 0 at byte 3" },
    { "bf 05 00 06 00 05 00 ff", "duplicate key 5 at byte 5" },
    { "81 a2 05 00 1805 00", "duplicate key 5 at byte 4" },
    { "a2 05 a1 05 00 05 00", "duplicate key 5 at byte 5" },
    { "a2 05 00 20 00", NULL },
    { "a2 05 00 25 00", NULL },
    { "a2 4161 00 6161 00", NULL },
    { "a2 40 00 60 00", NULL },
    { "a2 01 00 6131 00", NULL },
    { "a2 6161 00 6141 00", NULL },
    { "a4 60 00 6100 00 620000 00 63000000 00", NULL },
    { "a4 40 00 4100 00 420000 00 43000000 00", NULL },
    { "a2 00 00 40 00", NULL },
    { "a2 1818 00 1918ff 00", NULL },
    { "a2 62c3a9 00 6365cc81 00", NULL },
    { "a1 05 a1 05 a1 1805 00", NULL },
    { "82 a1 05 00 a1 05 00", NULL },
};

START_TEST(a_key_is_the_same_however_it_is_encoded)
{
    stele_buffer payload = STELE_BUFFER_INIT;
    put_hex(&payload, pairs[_i].hex);

    stele_status status = judge_cbor(payload.data, payload.size, NULL, NULL);

    ck_assert_int_eq(status, pairs[_i].why == NULL ? STELE_OK : STELE_INVALID);
    if (pairs[_i].why != NULL)
        ck_assert_str_eq(stele_error_text(), pairs[_i].why);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(a_long_key_is_shown_cut_between_characters)
{
    stele_buffer draft = STELE_BUFFER_INIT;
    char key[61];
    char expected[128];
    for (int i = 0; i < 60; i += 2)
        snprintf(key + i, 3, "\xC3\xA4");
    key[0] = 'x';
    key[1] = 'y';
    memmove(key + 1, key + 2, 59); /* so that byte 40 is inside a character */
    put_head(&draft, 5, 2);
    put_words(&draft, key);
    put_byte(&draft, 0);
    put_words(&draft, key);
    put_byte(&draft, 0);

    ck_assert_int_eq(finish(&draft), STELE_INVALID);

    snprintf(expected, sizeof(expected), "duplicate key '%.39s'... at byte 63", key);
    ck_assert_str_eq(stele_error_text(), expected);
}
END_TEST

/* --- Shapes that are made to look alike --- */

/* Every text of NULs and ones, and every byte string, up to a length: each the beginning of others,
 * were it not for their heads. */
START_TEST(keys_that_begin_or_continue_others_in_nuls_are_other_keys)
{
    stele_buffer draft = STELE_BUFFER_INIT;
    put_byte(&draft, 0xbf);
    for (unsigned size = 0; size <= 10; size++) {
        for (unsigned bits = 0; bits < 1u << size; bits++) {
            char text[10] = { 0 };
            for (unsigned i = 0; i < size; i++)
                text[i] = (char)(bits >> i & 1);
            put_string(&draft, 3, text, size);
            put_byte(&draft, 0);
            put_string(&draft, 2, text, size);
            put_byte(&draft, 0);
        }
    }
    for (unsigned size = 11; size <= 300; size++) {
        char nuls[300] = { 0 };
        put_string(&draft, 2, nuls, size);
        put_byte(&draft, 0);
    }
    stele_buffer repeated = STELE_BUFFER_INIT;
    put_raw(&repeated, draft.data, draft.size);
    put_hex(&repeated, "5f 41 00 40 41 00 ff 00 ff"); /* h'0000', again */
    put_byte(&draft, 0xff);

    ck_assert_int_eq(finish(&draft), STELE_OK);
    ck_assert_int_eq(finish(&repeated), STELE_INVALID);
    ck_assert_int_eq(strncmp(stele_error_text(), "duplicate key, a byte string of 2 ", 34), 0);
}
END_TEST

/* All integers of 16 bits, both signs, and all strings of two bytes: every bit decides somewhere.
 */
START_TEST(keys_that_differ_in_one_bit_are_different)
{
    stele_buffer draft = STELE_BUFFER_INIT;
    put_byte(&draft, 0xbf);
    for (unsigned i = 0; i < 1u << 16; i++) {
        unsigned char two[2] = { (unsigned char)(i >> 8), (unsigned char)i };
        put_head(&draft, 0, i);
        put_byte(&draft, 0);
        put_head(&draft, 1, i);
        put_byte(&draft, 0);
        put_string(&draft, 2, two, 2);
        put_byte(&draft, 0);
    }
    put_byte(&draft, 0xff);

    ck_assert_int_eq(finish(&draft), STELE_OK);
}
END_TEST

/* 131072 keys of 17 letters out of two: comparing each with all would take minutes. */
START_TEST(hostile_keys_that_look_alike_are_told_apart)
{
    static const char letters[][2] = { { 'a', 'b' }, { '@', 'A' }, { '\0', '\1' } };
    stele_buffer draft = STELE_BUFFER_INIT;
    put_head(&draft, 5, 1u << 17);
    for (unsigned i = 0; i < 1u << 17; i++) {
        char key[17];
        for (unsigned bit = 0; bit < 17; bit++)
            key[bit] = letters[_i][i >> bit & 1];
        put_string(&draft, 3, key, sizeof(key));
        put_byte(&draft, 0);
    }
    ck_assert_int_eq(finish(&draft), STELE_OK);
}
END_TEST

/* An inner map must neither see the keys around it nor spoil them. */
START_TEST(maps_inside_each_other_keep_their_keys_apart)
{
    for (unsigned repeated = 0; repeated <= 60; repeated++) {
        stele_buffer draft = STELE_BUFFER_INIT;
        put_head(&draft, 5, 61);
        for (unsigned i = 0; i < 60; i++) {
            put_key(&draft, i, (int)(i % FORM_COUNT));
            put_head(&draft, 5, i);
            for (unsigned j = 0; j < i; j++) {
                put_key(&draft, j, (int)(j * 5 % FORM_COUNT));
                put_hex(&draft, "81 c6 a1");
                put_key(&draft, j, WIDE);
                put_byte(&draft, 0);
            }
        }
        put_key(&draft, repeated, (int)(repeated % FORM_COUNT));
        put_byte(&draft, 0xf6);
        ck_assert_int_eq(finish(&draft), repeated < 60 ? STELE_INVALID : STELE_OK);
    }
}
END_TEST

/* After a giant map a reader goes on as if new. */
START_TEST(a_reader_keeps_no_keys_from_the_payload_before)
{
    stele_buffer draft = STELE_BUFFER_INIT;
    put_byte(&draft, 0xbf);
    for (unsigned i = 0; i < 3000; i++) {
        put_key(&draft, i, CHUNKED);
        put_byte(&draft, 0);
    }
    stele_cbor_reader *reader = NULL;
    ck_assert_int_eq(stele_cbor_open("\x00", 1, NULL, &reader), STELE_OK);

    for (unsigned cut = 0; cut < 20; cut++)
        ck_assert_int_eq(stele_cbor_reset(reader, draft.data, draft.size - cut), STELE_INVALID);
    put_byte(&draft, 0xff);
    ck_assert_int_eq(stele_cbor_reset(reader, draft.data, draft.size), STELE_OK);
    ck_assert_int_eq(stele_cbor_reset(reader, draft.data, draft.size), STELE_OK);
    ck_assert_int_eq(stele_cbor_reset(reader, "\xa1\x18\x07\x00", 4), STELE_OK);

    stele_cbor_close(reader);
    stele_buffer_dispose(&draft);
}
END_TEST

static Suite *cbor_keys_suite(void)
{
    Suite *suite = suite_create("cbor_keys");

    TCase *keys = tcase_create("keys");
    tcase_set_timeout(keys, 60);
    tcase_add_loop_test(keys, a_key_that_comes_twice_is_found_wherever_both_stand, 0, FORM_COUNT);
    tcase_add_loop_test(keys, of_100000_distinct_keys_none_is_refused_and_a_repeated_one_is_found,
                        0, FORM_COUNT);
    tcase_add_test(keys, thousands_of_keys_may_come_in_any_order_and_encoding);
    tcase_add_loop_test(keys, a_key_is_the_same_however_it_is_encoded, 0,
                        (int)(sizeof(pairs) / sizeof(pairs[0])));
    tcase_add_test(keys, a_long_key_is_shown_cut_between_characters);
    tcase_add_test(keys, keys_that_begin_or_continue_others_in_nuls_are_other_keys);
    tcase_add_test(keys, keys_that_differ_in_one_bit_are_different);
    tcase_add_loop_test(keys, hostile_keys_that_look_alike_are_told_apart, 0, 3);
    tcase_add_test(keys, maps_inside_each_other_keep_their_keys_apart);
    tcase_add_test(keys, a_reader_keeps_no_keys_from_the_payload_before);
    suite_add_tcase(suite, keys);
    return suite;
}

int main(void)
{
    return run_suite(cbor_keys_suite());
}
