/* The public buffer: bytes that grow. */
#include <stele/buffer.h>

#include "resources.h"
#include "support.h"

START_TEST(buffer_starts_empty)
{
    stele_buffer buffer = { (char *)&buffer, 7, 8 };
    const stele_buffer initial = STELE_BUFFER_INIT;

    stele_buffer_init(&buffer);

    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer.size, 0);
    ck_assert_uint_eq(buffer.capacity, 0);
    ck_assert(initial.data == NULL && initial.size == 0 && initial.capacity == 0);
    stele_buffer_init(NULL);
    stele_buffer_dispose(NULL);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(what_is_added_stands_at_the_end)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    for (unsigned i = 0; i < 10000; i++) {
        char bytes[3] = { (char)i, '\0', (char)(i >> 8) };
        ck_assert_int_eq(stele_buffer_add(&buffer, bytes, i % 4), STELE_OK);
    }
    size_t at = 0;
    for (unsigned i = 0; i < 10000; i++) {
        char bytes[3] = { (char)i, '\0', (char)(i >> 8) };
        ck_assert_mem_eq(buffer.data + at, bytes, i % 4);
        at += i % 4;
    }
    ck_assert_uint_eq(buffer.size, at);
    ck_assert_uint_ge(buffer.capacity, at);
    stele_buffer_dispose(&buffer);
    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer.size, 0);
    ck_assert_uint_eq(buffer.capacity, 0);
}
END_TEST

START_TEST(nothing_may_be_added)
{
    stele_buffer buffer = STELE_BUFFER_INIT;

    ck_assert_int_eq(stele_buffer_add(&buffer, NULL, 0), STELE_OK);
    ck_assert_int_eq(stele_buffer_add(&buffer, "x", 0), STELE_OK);

    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer.size, 0);
}
END_TEST

START_TEST(a_null_is_misuse_and_changes_nothing)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_buffer_add(&buffer, "abc", 3), STELE_OK);

    ck_assert_int_eq(stele_buffer_add(NULL, "x", 1), STELE_MISUSE);
    ck_assert_int_eq(stele_buffer_add(&buffer, NULL, 1), STELE_MISUSE);

    ck_assert_uint_eq(buffer.size, 3);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(with_size_0_it_is_written_anew_in_the_same_memory)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_buffer_add(&buffer, "abcdef", 6), STELE_OK);
    const char *data = buffer.data;
    atomic_store(&own.calls, 0);

    buffer.size = 0;
    ck_assert_int_eq(stele_buffer_add(&buffer, "xy", 2), STELE_OK);

    ck_assert_ptr_eq(buffer.data, data);
    ck_assert_mem_eq(buffer.data, "xy", 2);
    ck_assert_int_eq(atomic_load(&own.calls), 0);
    stele_buffer_dispose(&buffer);
}
END_TEST

START_TEST(without_memory_it_is_as_it_was)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    char block[1000];
    memset(block, 'b', sizeof(block));
    ck_assert_int_eq(stele_buffer_add(&buffer, "abc", 3), STELE_OK);
    stele_buffer before = buffer;

    atomic_store(&own.calls, 0);
    atomic_store(&own.fail_last, INT64_MAX);
    atomic_store(&own.fail_first, 1);
    ck_assert_int_eq(stele_buffer_add(&buffer, block, sizeof(block)), STELE_NO_MEMORY);
    atomic_store(&own.fail_first, 0);
    ck_assert_int_eq(stele_buffer_add(&buffer, block, SIZE_MAX), STELE_NO_MEMORY);
    ck_assert_int_eq(stele_buffer_add(&buffer, block, SIZE_MAX / 4), STELE_NO_MEMORY);

    ck_assert_ptr_eq(buffer.data, before.data);
    ck_assert_uint_eq(buffer.size, 3);
    ck_assert_uint_eq(buffer.capacity, before.capacity);
    ck_assert_mem_eq(buffer.data, "abc", 3);
    ck_assert_int_eq(stele_buffer_add(&buffer, block, sizeof(block)), STELE_OK);
    ck_assert_uint_eq(buffer.size, 1003);
    stele_buffer_dispose(&buffer);
    ck_assert_int_eq(atomic_load(&own.blocks), 0);
}
END_TEST

int main(void)
{
    count_own_memory();
    Suite *suite = suite_create("buffer");
    TCase *tests = tcase_create("buffer");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, buffer_starts_empty);
    tcase_add_test(tests, what_is_added_stands_at_the_end);
    tcase_add_test(tests, nothing_may_be_added);
    tcase_add_test(tests, a_null_is_misuse_and_changes_nothing);
    tcase_add_test(tests, with_size_0_it_is_written_anew_in_the_same_memory);
    tcase_add_test(tests, without_memory_it_is_as_it_was);
    return run_suite(suite);
}
