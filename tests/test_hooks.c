/*
 * What a program puts under the library: its allocator, its ear for warnings. Both hold for the
 * process, so each test is a child of its own.
 */
#include "contract.h"

#include "base/callback.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/memory.h"

#include <stele/hooks.h>
#include <stele/json.h>
#include <stele/verify.h>

#include <pthread.h>
#include <stdint.h>

/* Check's own asserts belong to the parent: a child says what failed and leaves. */
#define require(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "test_hooks:%d: %s; %s\n", __LINE__, #condition, stele_error_text());  \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static int with_a_path(int (*body)(void *path))
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", store_path());
    return run_in_child(body, path);
}

/* --- An allocator that counts --- */

enum { HEADER_SIZE = 16, ANY_CONTEXT = 77 };

static int64_t bytes_out, bytes_in, calls, fail_at;
static int given_context = ANY_CONTEXT;
static bool context_is_wrong;

static bool may_allocate(const void *context, size_t size)
{
    if (context != &given_context || size == 0)
        context_is_wrong = true;
    return ++calls != fail_at;
}

static void *counted_allocate(void *context, size_t size)
{
    if (!may_allocate(context, size))
        return NULL;
    unsigned char *block = malloc(size + HEADER_SIZE);
    if (block == NULL)
        return NULL;
    memcpy(block, &size, sizeof(size));
    memset(block + HEADER_SIZE, 0xa5, size); /* nobody may count on zeros */
    bytes_out += (int64_t)size;
    return block + HEADER_SIZE;
}

static void counted_release(void *context, void *memory)
{
    if (context != &given_context)
        context_is_wrong = true;
    if (memory == NULL)
        return;
    size_t size;
    memcpy(&size, (unsigned char *)memory - HEADER_SIZE, sizeof(size));
    bytes_in += (int64_t)size;
    free((unsigned char *)memory - HEADER_SIZE);
}

static void *counted_reallocate(void *context, void *memory, size_t size)
{
    size_t old_size = 0;
    if (memory != NULL)
        memcpy(&old_size, (unsigned char *)memory - HEADER_SIZE, sizeof(old_size));
    void *moved = counted_allocate(context, size);
    if (moved == NULL)
        return NULL;
    if (memory != NULL)
        memcpy(moved, memory, old_size < size ? old_size : size);
    counted_release(context, memory);
    return moved;
}

static stele_allocator counted_allocator(void)
{
    stele_allocator allocator = STELE_ALLOCATOR_INIT;
    allocator.allocate = counted_allocate;
    allocator.reallocate = counted_reallocate;
    allocator.release = counted_release;
    allocator.context = &given_context;
    return allocator;
}

static stele_status read_everything(stele_store *own)
{
    stele_cursor *cursor = NULL;
    const stele_record *record = NULL;
    stele_status status = stele_store_read(own, NULL, &cursor);
    while (status == STELE_OK)
        status = stele_cursor_next(cursor, &record);
    stele_cursor_close(cursor);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status verify_everything(stele_store *own)
{
    stele_verify *verify = NULL;
    const stele_check *check = NULL;
    stele_status status = stele_verify_open(own, NULL, &verify);
    while (status == STELE_OK)
        status = stele_verify_next(verify, &check);
    stele_verify_close(verify);
    return status == STELE_DONE ? STELE_OK : status;
}

static stele_status save_in_a_transaction(stele_store *own)
{
    stele_transaction *transaction = NULL;
    stele_status status = stele_transaction_begin(own, &transaction);
    if (status == STELE_OK)
        status = append_in(transaction, "a-1", STELE_ANY, NULL);
    if (status == STELE_OK)
        status = stele_transaction_commit(transaction);
    stele_transaction_end(transaction);
    return status;
}

/* Open, write, read, verify, close. The first failure, or OK. */
static stele_status use_a_store(const char *path)
{
    stele_store *own = NULL;
    stele_event events[2] = { make_event("opened", "{\"n\":1}"), make_event("closed", "[]") };
    stele_append append = make_append("a-1", STELE_ANY, events, 2);
    append.idempotency_key = "attempt-1";

    stele_status status = stele_store_open(path, NULL, &own);
    if (status == STELE_OK)
        status = stele_store_append(own, &append, NULL);
    if (status == STELE_OK)
        status = save_in_a_transaction(own);
    if (status == STELE_OK)
        status = read_everything(own);
    if (status == STELE_OK)
        status = verify_everything(own);
    stele_store_close(own);
    return status;
}

static int count_the_bytes_of_a_store(void *path)
{
    stele_allocator allocator = counted_allocator();
    require(stele_allocator_set(&allocator) == STELE_OK);
    memset(&allocator, 0, sizeof(allocator)); /* it was copied */

    require(use_a_store(path) == STELE_OK);

    require(bytes_out > 0);
    require(bytes_in == bytes_out);
    require(!context_is_wrong);
    require(stele_allocator_set(NULL) == STELE_MISUSE);
    return 0;
}

START_TEST(all_memory_of_the_library_comes_from_the_allocator_and_goes_back_to_it)
{
    ck_assert_int_eq(with_a_path(count_the_bytes_of_a_store), 0);
}
END_TEST

/* The n-th allocation fails, for each n. What the library can do without isn't missed. */
static int fail_each_allocation(void *path)
{
    stele_allocator allocator = counted_allocator();
    require(stele_allocator_set(&allocator) == STELE_OK);
    int64_t failed = 0;
    do {
        fail_at++;
        calls = 0;
        stele_status status = use_a_store(path);
        require(status == STELE_OK || status == STELE_NO_MEMORY);
        require(bytes_in == bytes_out);
        failed += status == STELE_NO_MEMORY;
    } while (calls >= fail_at && fail_at < 5000);
    require(failed > 20);
    require(calls < fail_at);
    return 0;
}

START_TEST(failed_allocation_is_no_memory_and_leaks_nothing)
{
    ck_assert_int_eq(with_a_path(fail_each_allocation), 0);
}
END_TEST

static int give_bad_allocators(void *context)
{
    (void)context;
    stele_allocator allocator = counted_allocator();
    allocator.allocate = NULL;
    require(stele_allocator_set(&allocator) == STELE_MISUSE);
    require(strcmp(stele_error_text(), "stele_allocator.allocate is NULL") == 0);

    allocator = counted_allocator();
    allocator.reallocate = NULL;
    require(stele_allocator_set(&allocator) == STELE_MISUSE);
    require(strstr(stele_error_text(), "reallocate is NULL") != NULL);

    allocator = counted_allocator();
    allocator.release = NULL;
    require(stele_allocator_set(&allocator) == STELE_MISUSE);
    require(strstr(stele_error_text(), "release is NULL") != NULL);

    allocator = counted_allocator();
    allocator.struct_size = 0;
    require(stele_allocator_set(&allocator) == STELE_MISUSE);
    require(strstr(stele_error_text(), "struct_size is 0") != NULL);

    /* A struct too short for all three is not filled up with functions of another allocator. */
    allocator = counted_allocator();
    allocator.struct_size = offsetof(stele_allocator, release);
    require(stele_allocator_set(&allocator) == STELE_MISUSE);

    stele__free(stele__allocate(8)); /* none of them was taken */
    require(calls == 0);
    return 0;
}

START_TEST(allocator_with_a_part_missing_is_misuse)
{
    ck_assert_int_eq(run_in_child(give_bad_allocators, NULL), 0);
}
END_TEST

static int set_an_allocator_after_an_allocation(void *context)
{
    (void)context;
    stele_allocator allocator = counted_allocator();
    stele_json_reader *reader = NULL;
    require(stele_json_open("{}", 2, NULL, &reader) == STELE_OK);
    stele_json_close(reader);

    require(stele_allocator_set(&allocator) == STELE_MISUSE);
    require(strstr(stele_error_text(), "too late") != NULL);
    require(stele_allocator_set(NULL) == STELE_MISUSE);
    require(stele_log_set(NULL, NULL) == STELE_OK); /* no store was opened yet */
    return 0;
}

START_TEST(allocator_set_after_the_first_allocation_is_misuse)
{
    ck_assert_int_eq(run_in_child(set_an_allocator_after_an_allocation, NULL), 0);
}
END_TEST

static int put_the_c_library_back(void *path)
{
    stele_allocator allocator = counted_allocator();
    require(stele_allocator_set(&allocator) == STELE_OK);
    require(stele_allocator_set(NULL) == STELE_OK);

    require(use_a_store(path) == STELE_OK);

    require(calls == 0 && bytes_in == 0);
    return 0;
}

START_TEST(null_allocator_is_the_c_library)
{
    ck_assert_int_eq(with_a_path(put_the_c_library_back), 0);
}
END_TEST

static int allocate_an_array(void *context)
{
    (void)context;
    stele_allocator allocator = counted_allocator();
    require(stele_allocator_set(&allocator) == STELE_OK);

    unsigned char *array = stele__allocate_array(7, 3);

    require(array != NULL && bytes_out == 21);
    for (size_t i = 0; i < 21; i++)
        require(array[i] == 0);
    stele__free(array);
    calls = 0;
    require(stele__allocate_array(SIZE_MAX / 2, 3) == NULL);
    require(calls == 0);
    void *none = stele__allocate_array(0, 8); /* asks for one byte rather than none */
    require(none != NULL && !context_is_wrong);
    stele__free(none);
    return 0;
}

START_TEST(array_is_zeroed_whatever_the_allocator_gives)
{
    ck_assert_int_eq(run_in_child(allocate_an_array, NULL), 0);
}
END_TEST

/* --- The log hook --- */

static int heard_count, heard_context;
static stele_log_level heard_level;
static char heard_text[4096];
static const char *heard_within;

static void hear(void *context, stele_log_level level, const char *text)
{
    heard_count++;
    heard_level = level;
    snprintf(heard_text, sizeof(heard_text), "%s", text);
    heard_within = stele__callback_running();
    if (context != &heard_context)
        heard_count = -1;
    stele__fail(STELE_IO, "the hook's own failure");
}

static int hear_a_line(void *context)
{
    (void)context;
    require(stele_log_set(hear, &heard_context) == STELE_OK);
    stele__fail(STELE_FULL, "what failed before");

    stele__log(STELE_LOG_NOTICE, "store '%s' at %d", "a\nb\x1b[2J\xff\xc3\xa9", 7);

    require(heard_count == 1);
    require(heard_level == STELE_LOG_NOTICE);
    require(strcmp(heard_text, "store 'a\\x0ab\\x1b[2J\\xff\xc3\xa9' at 7") == 0);
    require(strcmp(stele_error_text(), "what failed before") == 0);

    stele__log(STELE_LOG_WARNING, "because: %s", stele_error_text());
    require(heard_level == STELE_LOG_WARNING);
    require(strcmp(heard_text, "because: what failed before") == 0);
    return 0;
}

START_TEST(log_line_is_escaped_and_keeps_the_reason_of_the_failure_before)
{
    ck_assert_int_eq(run_in_child(hear_a_line, NULL), 0);
}
END_TEST

static int hear_a_long_line(void *context)
{
    (void)context;
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    require(stele_log_set(hear, &heard_context) == STELE_OK);

    stele__log(STELE_LOG_NOTICE, "%s", text);

    require(strlen(heard_text) == STELE__ERROR_SIZE - 1);
    return 0;
}

START_TEST(log_line_longer_than_the_room_is_cut)
{
    ck_assert_int_eq(run_in_child(hear_a_long_line, NULL), 0);
}
END_TEST

static int set_the_hook_at_all_times(void *context)
{
    (void)context;
    stele__log(STELE_LOG_WARNING, "nobody %s", "listens");
    require(stele_log_set(hear, &heard_context) == STELE_OK);
    require(stele_log_set(NULL, NULL) == STELE_OK);
    stele__log(STELE_LOG_WARNING, "nobody listens");
    require(heard_count == 0);
    require(stele_log_set(hear, &heard_context) == STELE_OK);

    stele__hooks_freeze();

    require(stele_log_set(NULL, NULL) == STELE_MISUSE);
    require(strstr(stele_error_text(), "too late") != NULL);
    stele__log(STELE_LOG_WARNING, "heard");
    require(heard_count == 1);
    stele_allocator allocator = counted_allocator();
    require(stele_allocator_set(&allocator) == STELE_MISUSE);
    require(stele_allocator_set(NULL) == STELE_MISUSE);
    return 0;
}

START_TEST(hooks_stay_as_they_are_once_a_store_was_opened)
{
    ck_assert_int_eq(run_in_child(set_the_hook_at_all_times, NULL), 0);
}
END_TEST

static void log_from_the_hook(void *context, stele_log_level level, const char *text)
{
    (void)context, (void)level, (void)text;
    heard_count++;
    stele__log(STELE_LOG_WARNING, "again");
}

static int log_within_the_hook(void *context)
{
    (void)context;
    require(stele_log_set(log_from_the_hook, NULL) == STELE_OK);

    stele__log(STELE_LOG_WARNING, "once");

    require(heard_count == 1);
    return 0;
}

START_TEST(line_logged_by_the_hook_itself_is_dropped)
{
    ck_assert_int_eq(run_in_child(log_within_the_hook, NULL), 0);
}
END_TEST

/* --- Which callback runs --- */

static void *ask_on_another_thread(void *context)
{
    *(const char **)context = stele__callback_running();
    return NULL;
}

static int nest_callbacks(void *context)
{
    (void)context;
    require(stele__callback_running() == NULL);
    const char *outer = stele__callback_begin("clock");
    require(outer == NULL && strcmp(stele__callback_running(), "clock") == 0);

    require(stele_log_set(hear, &heard_context) == STELE_OK);
    stele__log(STELE_LOG_NOTICE, "from within");
    require(strcmp(heard_within, "log hook") == 0);
    require(strcmp(stele__callback_running(), "clock") == 0);

    const char *elsewhere = "never asked";
    pthread_t thread;
    require(pthread_create(&thread, NULL, ask_on_another_thread, &elsewhere) == 0);
    pthread_join(thread, NULL);
    require(elsewhere == NULL);

    stele__callback_end(outer);
    require(stele__callback_running() == NULL);
    return 0;
}

START_TEST(callback_that_runs_is_known_on_its_own_thread_only)
{
    ck_assert_int_eq(run_in_child(nest_callbacks, NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hooks");
    TCase *tests = add_case(suite, "hooks", NULL);
    tcase_add_test(tests, all_memory_of_the_library_comes_from_the_allocator_and_goes_back_to_it);
    tcase_add_test(tests, failed_allocation_is_no_memory_and_leaks_nothing);
    tcase_add_test(tests, allocator_with_a_part_missing_is_misuse);
    tcase_add_test(tests, allocator_set_after_the_first_allocation_is_misuse);
    tcase_add_test(tests, null_allocator_is_the_c_library);
    tcase_add_test(tests, array_is_zeroed_whatever_the_allocator_gives);
    tcase_add_test(tests, log_line_is_escaped_and_keeps_the_reason_of_the_failure_before);
    tcase_add_test(tests, log_line_longer_than_the_room_is_cut);
    tcase_add_test(tests, hooks_stay_as_they_are_once_a_store_was_opened);
    tcase_add_test(tests, line_logged_by_the_hook_itself_is_dropped);
    tcase_add_test(tests, callback_that_runs_is_known_on_its_own_thread_only);
    return run_suite(suite);
}
