/*
 * libcbor gets no memory: this program's malloc() stands before the C library's, for shared
 * libraries too, and fails. Encoding and decoding don't notice, since the streaming functions need
 * none; the control, which builds an item, does. A sanitizer has a malloc() of its own; there the
 * values only go through.
 */
#define _GNU_SOURCE /* RTLD_NEXT */

#include "everything.h"
#include "support.h"

#include <cbor.h>

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STANDS_BEFORE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STANDS_BEFORE 0
#endif
#endif
#ifndef STANDS_BEFORE
#define STANDS_BEFORE 1
#endif

static bool fails;
static int64_t failures;
static void *(*real_malloc)(size_t size) = malloc;
static void *(*real_realloc)(void *memory, size_t size) = realloc;

#if STANDS_BEFORE
static void find_real(const char *name, void *function, size_t size)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    memcpy(function, &symbol, size);
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    if (real_malloc == malloc)
        find_real("malloc", &real_malloc, sizeof(real_malloc));
    failures += fails ? 1 : 0;
    return fails ? NULL : real_malloc(size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size)
{
    if (real_realloc == realloc)
        find_real("realloc", &real_realloc, sizeof(real_realloc));
    failures += fails ? 1 : 0;
    return fails ? NULL : real_realloc(memory, size);
}
#endif

/* The library's own memory comes from beside it. */
static void *own_memory(void *context, size_t size)
{
    (void)context;
    return real_malloc(size);
}

static void *own_memory_again(void *context, void *memory, size_t size)
{
    (void)context;
    return real_realloc(memory, size);
}

static void end_own_memory(void *context, void *memory)
{
    (void)context;
    free(memory);
}

START_TEST(cbor_is_written_and_read_without_memory_of_libcbor)
{
    seed_chance(21);
    stele_buffer payload = STELE_BUFFER_INIT;
    failures = 0;

    for (int run = 0; run < 200; run++) {
        everything value = chance_everything();
        everything read;
        payload.size = 0;
        fails = true;
        stele_status wrote =
            stele_type_encode(&everything_type, &value, stele_codec_cbor(), &payload, NULL);
        stele_status was_read = stele_type_decode(&everything_type, stele_codec_cbor(),
                                                  payload.data, payload.size, &read, NULL);
        fails = false;
        ck_assert_int_eq(wrote, STELE_OK);
        ck_assert_int_eq(was_read, STELE_OK);
        ck_assert(same_everything(&value, &read));
        stele_type_clear(&everything_type, &read);
        stele_type_clear(&everything_type, &value);
    }
    ck_assert_int_eq(failures, 0);
    stele_buffer_dispose(&payload);
}
END_TEST

START_TEST(control_the_functions_that_build_items_do_ask_for_memory)
{
    static const unsigned char bomb[] = { 0x9A, 0x00, 0x01, 0x00, 0x00 };
    failures = 0;
    struct cbor_load_result result;

    fails = true;
    cbor_item_t *item = cbor_load(bomb, sizeof(bomb), &result);
    fails = false;

    ck_assert_ptr_null(item);
    ck_assert_int_gt(failures, 0);
}
END_TEST

static Suite *cbor_memory_suite(void)
{
    Suite *suite = suite_create("CBOR without memory");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, cbor_is_written_and_read_without_memory_of_libcbor);
    if (STANDS_BEFORE)
        tcase_add_test(tcase, control_the_functions_that_build_items_do_ask_for_memory);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    free(realloc(malloc(1), 2)); /* finds the real ones */
    stele_allocator allocator = STELE_ALLOCATOR_INIT;
    allocator.allocate = own_memory;
    allocator.reallocate = own_memory_again;
    allocator.release = end_own_memory;
    if (stele_allocator_set(&allocator) != STELE_OK)
        return EXIT_FAILURE;
    return run_suite(cbor_memory_suite());
}
