/* The input of an import: its pieces, its size, and the callbacks that bring it. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <stele/eventstore.h>
#include <stele/jsonl.h>
#include <stele/store.h>
#include <stele/transaction.h>

#include "import_source.h"
#include "support.h"

#define MEBIBYTE ((size_t)1024 * 1024)

static stele_store *store;
static source input;

static void open_fixture(void)
{
    store = open_memory_store();
}

static void close_fixture(void)
{
    stele_store_close(store);
    store = NULL;
    remove_test_folder();
}

/* --- Pieces --- */

static const char *const mixed_text =
    "{\"stream\":\"a-1\",\"type\":\"t\xC3\xB6\",\"id\":\"k1\"}\r\n"
    "\r\n"
    "  \n"
    "nonsense\r\n"
    "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"\xF0\x9F\x98\x80\"}\n"
    "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"far too long for a line of sixty-four\"}\r\n"
    "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"exactly as long as allowed!\"}\r\n"
    "\n"
    "{\"stream\":\"a-1\",\"type\":\"last\"}";

/* Import the mixed text into a new store; what was stored and refused ends up in `*stored_out`. */
static stele_imported import_in_pieces(size_t chunk, uint32_t batch_size, char **stored_out)
{
    stele_store *fresh = open_memory_store();
    stele_import import = import_of(&input, mixed_text);
    import.line_size_max = 64;
    import.batch_size = batch_size;
    input.chunk = chunk;
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(fresh, &import, &imported), STELE_OK);
    *stored_out = export_all(fresh);
    stele_store_close(fresh);
    return imported;
}

START_TEST(the_pieces_of_the_input_and_the_batches_make_no_difference)
{
    char *expected = NULL;
    stele_imported imported = import_in_pieces(0, 1000, &expected);
    assert_counts(&imported, 6, 4, 0, 2);
    ck_assert_uint_eq(imported.bytes, strlen(mixed_text));
    char *rejects = strdup(input.rejects);
    ck_assert_ptr_nonnull(strstr(rejects, "6: line is longer than 64 bytes\n"));

    for (size_t chunk = 1; chunk <= strlen(mixed_text); chunk++) {
        char *stored = NULL;
        stele_imported now = import_in_pieces(chunk, chunk % 4 == 0 ? 1000 : chunk % 4, &stored);
        ck_assert_str_eq(stored, expected);
        ck_assert_str_eq(input.rejects, rejects);
        ck_assert_mem_eq(&now, &imported, sizeof(now));
        free(stored);
    }
    free(expected);
    free(rejects);
}
END_TEST

/* --- Large inputs --- */

/* Good line, a line with 20 MB of data, good line: made while it is read. */
typedef struct large_source {
    source *notes;
    int part;
    size_t left;
} large_source;

static stele_status read_large(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    static const char *const parts[] = { "{\"stream\":\"a-1\",\"type\":\"before\"}\n"
                                         "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"",
                                         NULL, "\"}\n{\"stream\":\"a-1\",\"type\":\"after\"}\n" };
    large_source *from = context;
    if (from->part == 3)
        return STELE_OK;
    const char *part = parts[from->part];
    size_t size = part == NULL ? from->left : strlen(part);
    size = size < capacity ? size : capacity;
    if (part != NULL) {
        memcpy(buffer, part, size);
    } else {
        memset(buffer, 'x', size);
        from->left -= size;
    }
    if (part != NULL || from->left == 0)
        from->part++;
    *size_out = size;
    return STELE_OK;
}

static void note_large_reject(void *context, uint64_t line, const char *reason)
{
    large_source *from = context;
    note_reject(from->notes, line, reason);
}

START_TEST(a_payload_of_20_megabytes_is_refused_and_the_rest_stored)
{
    static const uint32_t limits[] = { 64 * 1024, 4 * MEBIBYTE, 64 * MEBIBYTE };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        input = (source){ 0 };
        large_source large = { &input, 0, (size_t)20 * 1000 * 1000 };
        stele_import import = STELE_IMPORT_INIT;
        import.read = read_large;
        import.reject = note_large_reject;
        import.context = &large;
        import.line_size_max = limits[i];
        stele_imported imported;
        ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_OK);
        assert_counts(&imported, 3, 2, 0, 1);
        ck_assert_mem_eq(input.rejects, "2: ", 3);
        ck_assert_uint_gt(imported.bytes, (uint64_t)20 * 1000 * 1000);
    }
    ck_assert_int_eq(head_of(store), 6);
}
END_TEST

/* --- Arguments and callbacks --- */

START_TEST(an_argument_that_breaks_the_contract_is_misuse)
{
    stele_imported imported = { .lines = 1 };
    stele_import import = import_of(&input, FIVE_LINES);
    ck_assert_int_eq(stele_store_import(NULL, &import, &imported), STELE_MISUSE);
    assert_counts(&imported, 0, 0, 0, 0);
    ck_assert_int_eq(stele_store_import(store, NULL, NULL), STELE_MISUSE);
    import.struct_size = 0;
    ck_assert_int_eq(stele_store_import(store, &import, NULL), STELE_MISUSE);
    import = import_of(&input, FIVE_LINES);
    import.read = NULL;
    ck_assert_int_eq(stele_store_import(store, &import, NULL), STELE_MISUSE);
    import = import_of(&input, FIVE_LINES);
    import.batch_size = 0;
    ck_assert_int_eq(stele_store_import(store, &import, NULL), STELE_MISUSE);
    import = import_of(&input, FIVE_LINES);
    import.line_size_max = 0;
    ck_assert_int_eq(stele_store_import(store, &import, NULL), STELE_MISUSE);
    ck_assert_int_eq(head_of(store), 0);

    import = import_of(&input, FIVE_LINES);
    import.reject = NULL;
    import.progress = NULL;
    ck_assert_int_eq(stele_store_import(store, &import, NULL), STELE_OK);
    stele_import_init(NULL);
    stele_import_init(&import);
    ck_assert_uint_eq(import.batch_size, 1000);
}
END_TEST

static stele_status read_nothing(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    (void)context;
    (void)buffer;
    (void)capacity;
    (void)size_out;
    return STELE_OK;
}

static stele_status read_too_much(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    (void)context;
    (void)buffer;
    *size_out = capacity + 1;
    return STELE_OK;
}

START_TEST(an_older_and_smaller_import_gets_defaults_for_the_rest)
{
    stele_import import = STELE_IMPORT_INIT;
    import.read = read_nothing;
    import.progress = note_progress; /* Beyond the size given, so not there. */
    import.struct_size = offsetof(stele_import, reject);
    ck_assert_int_eq(stele_store_import(store, &import, NULL), STELE_OK);
}
END_TEST

START_TEST(a_read_that_gives_more_than_fits_is_misuse)
{
    stele_import import = STELE_IMPORT_INIT;
    import.read = read_too_much;
    ck_assert_int_eq(stele_store_import(store, &import, NULL), STELE_MISUSE);
}
END_TEST

START_TEST(an_import_inside_a_transaction_of_this_thread_is_misuse)
{
    stele_transaction *transaction = NULL;
    ck_assert_int_eq(stele_transaction_begin(store, &transaction), STELE_OK);
    stele_import import = import_of(&input, FIVE_LINES);
    ck_assert_int_eq(stele_store_import(store, &import, NULL), STELE_MISUSE);
    stele_transaction_end(transaction);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* Another handle on the same file, which waits for nobody. */
static stele_store *other;

static stele_status read_and_append(void *context, void *buffer, size_t capacity, size_t *size_out)
{
    stele_event event = { .type = "meanwhile" };
    stele_append append = STELE_APPEND_INIT;
    append.stream = "other-1";
    append.events = &event;
    append.event_count = 1;
    ck_assert_int_eq(stele_store_append(other, &append, NULL), STELE_OK);
    return read_source(context, buffer, capacity, size_out);
}

static int read_in_progress(void *context, const stele_imported *so_far)
{
    ck_assert_int_gt(head_of(store), 0);
    return note_progress(context, so_far);
}

/* However slow the input is, others write while it is waited for. */
START_TEST(the_write_lock_is_free_while_the_input_is_read)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.busy_timeout_ms = 0;
    stele_store_close(store);
    ck_assert_int_eq(stele_store_open(test_path("store.db"), &options, &store), STELE_OK);
    ck_assert_int_eq(stele_store_open(test_path("store.db"), &options, &other), STELE_OK);

    stele_import import = import_of(&input, FIVE_LINES);
    import.read = read_and_append;
    import.progress = read_in_progress;
    import.batch_size = 1;
    input.chunk = 16;
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_OK);
    assert_counts(&imported, 5, 5, 0, 0);
    ck_assert_int_gt(head_of(other), 15);
    stele_store_close(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("import_input");
    TCase *inputs = tcase_create("inputs");
    tcase_add_checked_fixture(inputs, open_fixture, close_fixture);
    tcase_add_test(inputs, the_pieces_of_the_input_and_the_batches_make_no_difference);
    tcase_add_test(inputs, a_payload_of_20_megabytes_is_refused_and_the_rest_stored);
    tcase_add_test(inputs, an_argument_that_breaks_the_contract_is_misuse);
    tcase_add_test(inputs, an_older_and_smaller_import_gets_defaults_for_the_rest);
    tcase_add_test(inputs, a_read_that_gives_more_than_fits_is_misuse);
    tcase_add_test(inputs, an_import_inside_a_transaction_of_this_thread_is_misuse);
    tcase_add_test(inputs, the_write_lock_is_free_while_the_input_is_read);
    suite_add_tcase(suite, inputs);
    return run_suite(suite);
}
