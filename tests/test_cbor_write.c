/* What the library writes as CBOR: the shortest form of everything, and all of it or nothing. */
#include "codec/cbor_write.h"

#include "cbor_bytes.h"
#include "effort.h"
#include "resources.h"
#include "support.h"

#include <float.h>

#define EFFORT_REALS 200000

static void expect_written(const stele_buffer *buffer, const char *hex)
{
    stele_buffer expected = STELE_BUFFER_INIT;
    put_hex(&expected, hex);
    bool same =
        buffer->size == expected.size && memcmp(buffer->data, expected.data, expected.size) == 0;
    ck_assert_msg(same, "not %s", hex);
    stele_buffer_dispose(&expected);
}

/* Positive, negative, and the sizes of strings, arrays and maps: one way to write a number. */
static const struct {
    uint64_t number;
    const char *tail; /* behind the first byte */
    unsigned info;
} heads[] = {
    { 0, "", 0 },
    { 1, "", 1 },
    { 22, "", 22 },
    { 23, "", 23 },
    { 24, "18", 24 },
    { 25, "19", 24 },
    { 255, "ff", 24 },
    { 256, "0100", 25 },
    { 65535, "ffff", 25 },
    { 65536, "00010000", 26 },
    { UINT32_MAX, "ffffffff", 26 },
    { UINT64_C(1) << 32, "0000000100000000", 27 },
    { INT64_MAX, "7fffffffffffffff", 27 },
    { UINT64_C(1) << 63, "8000000000000000", 27 },
    { UINT64_MAX, "ffffffffffffffff", 27 },
};

START_TEST(heads_are_the_shortest)
{
    char hex[32];
    stele_buffer buffer = STELE_BUFFER_INIT;
    uint64_t number = heads[_i].number;

    ck_assert_int_eq(stele__cbor_put_integer(&buffer, false, number), STELE_OK);
    snprintf(hex, sizeof(hex), "%02x%s", heads[_i].info, heads[_i].tail);
    expect_written(&buffer, hex);

    buffer.size = 0;
    ck_assert_int_eq(stele__cbor_put_integer(&buffer, true, number), STELE_OK);
    snprintf(hex, sizeof(hex), "%02x%s", 0x20 + heads[_i].info, heads[_i].tail);
    expect_written(&buffer, hex);

    buffer.size = 0;
    ck_assert_int_eq(stele__cbor_put_array(&buffer, (size_t)number), STELE_OK);
    snprintf(hex, sizeof(hex), "%02x%s", 0x80 + heads[_i].info, heads[_i].tail);
    expect_written(&buffer, hex);

    buffer.size = 0;
    ck_assert_int_eq(stele__cbor_put_map(&buffer, (size_t)number), STELE_OK);
    snprintf(hex, sizeof(hex), "%02x%s", 0xa0 + heads[_i].info, heads[_i].tail);
    expect_written(&buffer, hex);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(strings_have_the_shortest_heads)
{
    static const size_t sizes[] = { 0, 1, 23, 24, 255, 256, 65535, 65536 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *content = malloc(sizes[i] + 1);
        ck_assert_ptr_nonnull(content);
        memset(content, 'y', sizes[i] + 1);
        for (unsigned major = 2; major <= 3; major++) {
            stele_buffer buffer = STELE_BUFFER_INIT;
            stele_buffer expected = STELE_BUFFER_INIT;
            put_string(&expected, major, content, sizes[i]);

            ck_assert_int_eq(major == 2 ? stele__cbor_put_bytes(&buffer, content, sizes[i])
                                        : stele__cbor_put_text(&buffer, content, sizes[i]),
                             STELE_OK);

            ck_assert_uint_eq(buffer.size, expected.size);
            ck_assert_mem_eq(buffer.data, expected.data, expected.size);
            stele_buffer_dispose(&buffer);
            stele_buffer_dispose(&expected);
        }
        free(content);
    }
}
END_TEST

START_TEST(words_are_one_byte)
{
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele__cbor_put_bool(&buffer, false), STELE_OK);
    ck_assert_int_eq(stele__cbor_put_bool(&buffer, true), STELE_OK);
    ck_assert_int_eq(stele__cbor_put_null(&buffer), STELE_OK);
    ck_assert_int_eq(stele__cbor_put_bytes(&buffer, NULL, 0), STELE_OK);

    expect_written(&buffer, "f4 f5 f6 40");
    stele_buffer_dispose(&buffer);
}
END_TEST

/* --- Reals --- */

static const struct {
    double value;
    const char *hex;
} reals[] = {
    { 0.0, "f90000" },
    { -0.0, "f98000" },
    { 1.0, "f93c00" },
    { -1.0, "f9bc00" },
    { 1.5, "f93e00" },
    { -4.0, "f9c400" },
    { 0x1p-24, "f90001" }, /* the smallest half */
    { -0x1p-24, "f98001" },
    { 0x1.8p-23, "f90003" }, /* below 2^-14 with more than one bit */
    { 0x1.ff8p-15, "f903ff" },
    { 0x1p-14, "f90400" }, /* the smallest normal half */
    { 65504.0, "f97bff" }, /* the largest */
    { 65503.0, "fa477fdf00" },
    { 65505.0, "fa477fe100" },
    { 65536.0, "fa47800000" },
    { -65536.0, "fac7800000" },
    { 0x1p-25, "fa33000000" },
    { 0x1.8p-24, "fa33c00000" },
    { 2049.0, "fa45001000" },
    { 100000.0, "fa47c35000" },
    { 0x1p-126, "fa00800000" }, /* the smallest normal single */
    { 0x1.fffffcp-127, "fa007fffff" },
    { 0x1p-149, "fa00000001" }, /* the smallest */
    { -0x1p-149, "fa80000001" },
    { 0x1.8p-148, "fa00000003" },
    { 3.4028234663852886e+38, "fa7f7fffff" }, /* the largest */
    { 16777217.0, "fb4170000010000000" },
    { 0x1p-150, "fb3690000000000000" },
    { 0x1.8p-149, "fb36a8000000000000" },
    { 0x1p128, "fb47f0000000000000" },
    { 1.1, "fb3ff199999999999a" },
    { -4.1, "fbc010666666666666" },
    { 1.0e+300, "fb7e37e43c8800759c" },
    { 0x1p-1022, "fb0010000000000000" },
    { 0x1p-1074, "fb0000000000000001" },
    { -0x1p-1074, "fb8000000000000001" },
    { DBL_MAX, "fb7fefffffffffffff" },
    { INFINITY, "f97c00" },
    { -INFINITY, "f9fc00" },
};

START_TEST(reals_are_written_in_the_fewest_bits_that_keep_them)
{
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele__cbor_put_real(&buffer, reals[_i].value), STELE_OK);

    expect_written(&buffer, reals[_i].hex);
    stele_buffer_dispose(&buffer);
}
END_TEST

static double real_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint64_t bits_of_real(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

START_TEST(every_nan_is_written_as_the_same)
{
    static const uint64_t nans[] = { UINT64_C(0x7ff8000000000000), UINT64_C(0xfff8000000000000),
                                     UINT64_C(0x7ff0000000000001), UINT64_C(0x7fffffffffffffff),
                                     UINT64_C(0x7ff8000000000001), UINT64_C(0xfff0000020000000) };
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele__cbor_put_real(&buffer, real_of_bits(nans[_i])), STELE_OK);

    expect_written(&buffer, "f97e00");
    stele_buffer_dispose(&buffer);
}
END_TEST

/* What a half means, by the words of IEEE 754. */
static double value_of_half(unsigned half)
{
    int exponent = (int)(half >> 10 & 0x1f);
    double mantissa = half & 0x3ff;
    double magnitude = exponent == 31  ? INFINITY
                       : exponent == 0 ? ldexp(mantissa, -24)
                                       : ldexp(mantissa + 1024, exponent - 25);
    return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

static stele_cbor_token read_one(const stele_buffer *payload)
{
    stele_cbor_reader *reader = NULL;
    stele_cbor_token token;
    ck_assert_int_eq(stele_cbor_open(payload->data, payload->size, NULL, &reader), STELE_OK);
    ck_assert_int_eq(stele_cbor_next(reader, &token), STELE_OK);
    stele_cbor_close(reader);
    return token;
}

START_TEST(every_half_is_read_and_written_as_it_was)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    for (unsigned half = 0; half < 0x10000; half++) {
        char hex[8];
        snprintf(hex, sizeof(hex), "f9%04x", half);
        buffer.size = 0;
        put_hex(&buffer, hex);
        stele_cbor_token token = read_one(&buffer);
        ck_assert_int_eq((int)token.kind, STELE_CBOR_REAL);
        if ((half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0) {
            ck_assert(isnan(token.real));
            continue;
        }
        ck_assert_uint_eq(bits_of_real(token.real), bits_of_real(value_of_half(half)));
        buffer.size = 0;
        ck_assert_int_eq(stele__cbor_put_real(&buffer, token.real), STELE_OK);
        expect_written(&buffer, hex);
    }
    stele_buffer_dispose(&buffer);
}
END_TEST

/* Whether a value is a whole multiple of the smallest step that its magnitude leaves. */
static bool fits(double value, int digits, int exponent_min, double largest)
{
    if (value == 0 || isinf(value))
        return true;
    int exponent;
    frexp(value, &exponent);
    int step = exponent - digits < exponent_min ? exponent_min : exponent - digits;
    double steps = ldexp(value, -step);
    return fabs(value) <= largest && steps == floor(steps);
}

/* Bits of all kinds: few of the mantissa set, exponents around the edges of the formats. */
static double choose_real(void)
{
    uint64_t bits = next_chance();
    if (one_in(4))
        return real_of_bits(bits);
    static const uint64_t widths[] = { 52, 44, 42, 41, 30, 29, 28, 0 };
    uint64_t mantissa = bits >> 12 & ~((UINT64_C(1) << widths[next_chance() % 8]) - 1);
    static const uint64_t around[] = { 1023 - 25,  1023 - 14,  1023 + 15, 1023 - 150,
                                       1023 - 126, 1023 + 127, 1,         1023 };
    uint64_t exponent = around[next_chance() % 8] + next_chance() % 5;
    return real_of_bits(bits >> 63 << 63 | exponent << 52 | (mantissa & ((UINT64_C(1) << 52) - 1)));
}

START_TEST(random_reals_come_back_exactly_and_are_never_longer_than_need_be)
{
    uint64_t seed = choose_seed();
    unsigned runs = effort_is_long() ? EFFORT_REALS * 50 : EFFORT_REALS;
    printf("cbor reals: seed %" PRIu64 ", %u runs\n", seed, runs);
    unsigned sizes[10] = { 0 };
    stele_buffer buffer = STELE_BUFFER_INIT;
    for (unsigned i = 0; i < runs; i++) {
        double value = choose_real();
        buffer.size = 0;
        ck_assert_int_eq(stele__cbor_put_real(&buffer, value), STELE_OK);
        size_t expected = isnan(value) || fits(value, 11, -24, 65504.0)   ? 3
                          : fits(value, 24, -149, 3.4028234663852886e+38) ? 5
                                                                          : 9;
        ck_assert_msg(buffer.size == expected, "%a in %zu bytes", value, buffer.size);
        sizes[buffer.size]++;
        double again = read_one(&buffer).real;
        ck_assert(isnan(value) ? isnan(again) : bits_of_real(again) == bits_of_real(value));
    }
    ck_assert(sizes[3] > runs / 20 && sizes[5] > runs / 20 && sizes[9] > runs / 20);
    stele_buffer_dispose(&buffer);
}
END_TEST

/* --- All or nothing --- */

static stele_status put_nth(stele_buffer *buffer, int nth)
{
    static const char text[] = "0123456789012345678901234567890123456789";
    switch (nth) {
    case 0: return stele__cbor_put_integer(buffer, false, UINT64_MAX);
    case 1: return stele__cbor_put_bytes(buffer, text, sizeof(text) - 1);
    case 2: return stele__cbor_put_text(buffer, text, sizeof(text) - 1);
    case 3: return stele__cbor_put_array(buffer, 70000);
    case 4: return stele__cbor_put_map(buffer, 70000);
    case 5: return stele__cbor_put_bool(buffer, true);
    case 6: return stele__cbor_put_null(buffer);
    default: return stele__cbor_put_real(buffer, 1.1);
    }
}

START_TEST(without_memory_nothing_is_written)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    atomic_store(&own.calls, 0);
    atomic_store(&own.fail_last, INT64_MAX);
    atomic_store(&own.fail_first, 1);
    ck_assert_int_eq(put_nth(&buffer, _i), STELE_NO_MEMORY);
    atomic_store(&own.fail_first, 0);
    ck_assert_uint_eq(buffer.size, 0);

    /* a string whose head fits, but not its content */
    put_byte(&buffer, 0);
    while (buffer.capacity - buffer.size > 2)
        put_byte(&buffer, 0);
    atomic_store(&own.calls, 0);
    atomic_store(&own.fail_first, 1);
    size_t size = buffer.size;
    stele_status status = put_nth(&buffer, _i);
    atomic_store(&own.fail_first, 0);
    ck_assert_int_eq(status, _i == 5 || _i == 6 ? STELE_OK : STELE_NO_MEMORY);
    ck_assert_uint_eq(buffer.size, status == STELE_OK ? size + 1 : size);
    ck_assert_int_eq(stele__cbor_put_bytes(&buffer, "", SIZE_MAX), STELE_NO_MEMORY);
    ck_assert_int_eq(stele__cbor_put_bytes(&buffer, "", SIZE_MAX / 2), STELE_NO_MEMORY);
    stele_buffer_dispose(&buffer);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("cbor_write");
    TCase *tests = tcase_create("write");
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, heads_are_the_shortest, 0, (int)(sizeof(heads) / sizeof(heads[0])));
    tcase_add_test(tests, strings_have_the_shortest_heads);
    tcase_add_test(tests, words_are_one_byte);
    tcase_add_loop_test(tests, reals_are_written_in_the_fewest_bits_that_keep_them, 0,
                        (int)(sizeof(reals) / sizeof(reals[0])));
    tcase_add_loop_test(tests, every_nan_is_written_as_the_same, 0, 6);
    tcase_add_test(tests, every_half_is_read_and_written_as_it_was);
    tcase_add_test(tests, random_reals_come_back_exactly_and_are_never_longer_than_need_be);
    tcase_add_loop_test(tests, without_memory_nothing_is_written, 0, 8);
    return run_suite(suite);
}
