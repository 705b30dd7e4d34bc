/* Importing as a whole: second runs, batches, all or nothing, and there and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <stele/eventstore.h>
#include <stele/jsonl.h>
#include <stele/store.h>

#include "import_source.h"
#include "support.h"

static stele_store *store;
static source input;

static const char *const lines_with_ids =
    "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":1,\"id\":\"k1\"}\n"
    "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":2,\"id\":\"k2\"}\n";

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

/* Import `text` from `name`, which may be NULL. */
static stele_imported import_from(const char *name, const char *text)
{
    stele_import import = import_of(&input, text);
    import.source = name;
    stele_imported imported;
    stele_status status = stele_store_import(store, &import, &imported);
    ck_assert_msg(status == STELE_OK, "%s", stele_error_text());
    return imported;
}

/* --- Second runs --- */

START_TEST(a_second_run_with_ids_adds_nothing)
{
    stele_imported imported = import_from(NULL, lines_with_ids);
    assert_counts(&imported, 2, 2, 0, 0);
    imported = import_from(NULL, lines_with_ids);
    assert_counts(&imported, 2, 0, 2, 0);
    ck_assert_int_eq(head_of(store), 2);
}
END_TEST

START_TEST(a_second_run_of_a_source_adds_nothing)
{
    stele_imported imported = import_from("loans.jsonl", FIVE_LINES);
    assert_counts(&imported, 5, 5, 0, 0);
    imported = import_from("loans.jsonl", FIVE_LINES);
    assert_counts(&imported, 5, 0, 5, 0);
    ck_assert_int_eq(head_of(store), 5);

    imported = import_from("others.jsonl", FIVE_LINES);
    assert_counts(&imported, 5, 5, 0, 0);
}
END_TEST

/* A file that grew, and one whose line was corrected: only what is new is added. */
START_TEST(a_second_run_of_a_source_adds_new_and_changed_lines)
{
    char text[1024];
    import_from("loans.jsonl", FIVE_LINES);
    snprintf(text, sizeof(text), "%s%s", FIVE_LINES, "{\"stream\":\"c-1\",\"type\":\"t6\"}\n");
    stele_imported imported = import_from("loans.jsonl", text);
    assert_counts(&imported, 6, 1, 5, 0);

    *strstr(text, "t1") = 'T';
    imported = import_from("loans.jsonl", text);
    assert_counts(&imported, 6, 1, 5, 0);
}
END_TEST

START_TEST(equal_lines_of_one_source_are_both_stored)
{
    const char *text = "{\"stream\":\"a-1\",\"type\":\"t\"}\n{\"stream\":\"a-1\",\"type\":\"t\"}\n";
    stele_imported imported = import_from("x", text);
    assert_counts(&imported, 2, 2, 0, 0);
    imported = import_from("x", text);
    assert_counts(&imported, 2, 0, 2, 0);
}
END_TEST

/* A file that came over with other line ends is the same file. */
START_TEST(line_ends_do_not_make_another_line)
{
    import_from("x", "{\"stream\":\"a-1\",\"type\":\"t\"}\n{\"stream\":\"a-1\",\"type\":\"u\"}\n");
    stele_imported imported = import_from(
        "x", "{\"stream\":\"a-1\",\"type\":\"t\"}\r\n{\"stream\":\"a-1\",\"type\":\"u\"}");
    assert_counts(&imported, 2, 0, 2, 0);
}
END_TEST

START_TEST(without_id_and_source_a_second_run_adds_again)
{
    import_from(NULL, FIVE_LINES);
    stele_imported imported = import_from(NULL, FIVE_LINES);
    assert_counts(&imported, 5, 5, 0, 0);
    ck_assert_int_eq(head_of(store), 10);
}
END_TEST

START_TEST(an_id_with_other_content_rejects_the_line)
{
    stele_imported imported =
        import_from(NULL, "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":1,\"id\":\"k\"}\n"
                          "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":2,\"id\":\"k\"}\n"
                          "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":1,\"id\":\"k\"}\n"
                          "{\"stream\":\"a-1\",\"type\":\"u\"}\n");
    assert_counts(&imported, 4, 2, 1, 1);
    ck_assert_mem_eq(input.rejects, "2: ", 3);
}
END_TEST

/* --- Batches --- */

START_TEST(progress_is_told_after_each_batch)
{
    static const struct {
        uint32_t batch_size;
        size_t batches;
    } expected[] = { { 1, 5 }, { 2, 3 }, { 5, 1 }, { 1000, 1 }, { UINT32_MAX, 1 } };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        stele_import import = import_of(&input, FIVE_LINES);
        import.batch_size = expected[i].batch_size;
        stele_imported imported;
        ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_OK);
        ck_assert_uint_eq(input.batches, expected[i].batches);
        ck_assert_mem_eq(&input.last, &imported, sizeof(imported));
        assert_counts(&imported, 5, 5, 0, 0);
    }
}
END_TEST

START_TEST(a_cancelled_import_keeps_whole_batches_and_goes_on_later)
{
    stele_import import = import_of(&input, FIVE_LINES);
    import.source = "x";
    import.batch_size = 2;
    input.cancel_after = 1;
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_CANCELLED);
    assert_counts(&imported, 2, 2, 0, 0);
    ck_assert_int_eq(head_of(store), 2);
    ck_assert_uint_eq(imported.bytes,
                      (uint64_t)(strstr(FIVE_LINES, "{\"stream\":\"b-1\"") - FIVE_LINES));

    imported = import_from("x", FIVE_LINES);
    assert_counts(&imported, 5, 3, 2, 0);
}
END_TEST

START_TEST(a_failing_input_ends_the_import_after_the_batches_before)
{
    stele_import import = import_of(&input, FIVE_LINES);
    import.batch_size = 2;
    input.fails = true;
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_IO);
    ck_assert_ptr_nonnull(strstr(stele_error_text(), "after line 5"));
    assert_counts(&imported, 4, 4, 0, 0);
    ck_assert_int_eq(head_of(store), 4);
}
END_TEST

/* Many large lines must not be held at once because batch_size would allow it. */
START_TEST(a_batch_of_large_lines_is_cut_by_bytes)
{
    size_t line_size = 64 * 1024;
    size_t count = 200;
    char *text = malloc(count * line_size + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', count * line_size);
    const char *start = "{\"stream\":\"a-1\",\"type\":\"t\",\"data\":\"";
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * line_size, start, strlen(start));
        memcpy(text + (i + 1) * line_size - 3, "\"}\n", 3);
    }
    text[count * line_size] = '\0';
    stele_imported imported = import_from(NULL, text);
    assert_counts(&imported, count, count, 0, 0);
    ck_assert_uint_ge(input.batches, count * line_size / ((size_t)5 * 1024 * 1024));
    free(text);
}
END_TEST

/* --- All or nothing --- */

START_TEST(atomic_stores_all_in_one_transaction)
{
    stele_import import = import_of(&input, FIVE_LINES);
    import.atomic = true;
    import.batch_size = 2;
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_OK);
    assert_counts(&imported, 5, 5, 0, 0);
    ck_assert_int_eq(head_of(store), 5);
}
END_TEST

/* All bad lines are reported at once, so that one correction is enough. */
START_TEST(atomic_stores_nothing_and_reports_every_bad_line)
{
    stele_import import = import_of(&input, "{\"stream\":\"a-1\",\"type\":\"t\",\"id\":\"k\"}\n"
                                            "nonsense\n"
                                            "{\"stream\":\"a-1\",\"type\":\"u\",\"id\":\"k\"}\n"
                                            "{\"stream\":\"a-1\",\"type\":\"t\"}\n"
                                            "{\"stream\":\"a-1\"}\n");
    import.atomic = true;
    import.batch_size = 1;
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_INVALID);
    ck_assert_str_eq(stele_error_text(), "3 of 5 lines are bad, so nothing was stored");
    assert_counts(&imported, 5, 0, 0, 3);
    ck_assert_mem_eq(input.rejects, "2: ", 3);
    ck_assert_ptr_nonnull(strstr(input.rejects, "\n3: "));
    ck_assert_ptr_nonnull(strstr(input.rejects, "\n5: "));
    ck_assert_int_eq(head_of(store), 0);

    imported = import_from(NULL, lines_with_ids);
    assert_counts(&imported, 2, 2, 0, 0);
}
END_TEST

START_TEST(atomic_and_cancelled_or_failing_stores_nothing)
{
    stele_import import = import_of(&input, FIVE_LINES);
    import.atomic = true;
    import.batch_size = 2;
    input.cancel_after = 3;
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_CANCELLED);
    ck_assert_uint_eq(imported.appended, 0);
    ck_assert_uint_eq(input.last.appended, 5);
    ck_assert_int_eq(head_of(store), 0);

    import = import_of(&input, FIVE_LINES);
    import.atomic = true;
    import.batch_size = 2;
    input.fails = true;
    ck_assert_int_eq(stele_store_import(store, &import, &imported), STELE_IO);
    ck_assert_uint_eq(imported.appended, 0);
    ck_assert_int_eq(head_of(store), 0);
}
END_TEST

/* --- There and back --- */

static void append_event(const char *stream, const char *key, const stele_event *events,
                         size_t count)
{
    stele_append append = STELE_APPEND_INIT;
    append.stream = stream;
    append.events = events;
    append.event_count = count;
    append.idempotency_key = key;
    ck_assert_msg(stele_store_append(store, &append, NULL) == STELE_OK, "%s", stele_error_text());
}

/* Events of every kind that an export must not lose a bit of. */
static void append_assorted_events(void)
{
    static const char *const texts[] = { "{}",
                                         " {} ",
                                         "{\n  \"a\": [1,\r\n 2]\n}\n",
                                         "\"\\ud83d\\ude00 \\\" \xE2\x80\xA8\"",
                                         "1e400",
                                         "12345678901234567890.10",
                                         "{ \"a\" :\t1 }",
                                         "null" };
    unsigned char bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char key[32];
        snprintf(key, sizeof(key), "k\xC3\xB6/%zu", i);
        stele_event event = { .type = "json",
                              .data = texts[i],
                              .data_size = strlen(texts[i]),
                              .metadata = texts[7 - i],
                              .metadata_size = strlen(texts[7 - i]),
                              .schema_version = (int64_t)i + 1,
                              .occurred_at = (int64_t)i - 4,
                              .has_occurred_at = i % 2 == 0 };
        append_event("text-\"1\"", i % 3 == 0 ? NULL : key, &event, 1);
    }
    for (size_t size = 0; size <= sizeof(bytes); size += size < 8 ? 1 : 31) {
        stele_event event = { .type = "bytes",
                              .data = bytes,
                              .data_size = size,
                              .codec = size % 2 == 0 ? "raw" : "x-\xC3\xB6wn" };
        append_event("bytes-\xF0\x9F\x98\x80", NULL, &event, 1);
    }
    const stele_event pair[] = { { .type = "first" },
                                 { .type = "second", .data = "[]", .data_size = 2 } };
    append_event("text-2", "pair", pair, 2);
    const stele_event huge = { .type = "v", .schema_version = INT64_C(9007199254740993) };
    append_event("text-2", NULL, &huge, 1);
}

START_TEST(export_import_export_is_the_same_to_the_byte)
{
    append_assorted_events();
    char *first = export_all(store);
    ck_assert_ptr_nonnull(strstr(first, "\"data_b64\""));
    ck_assert_ptr_nonnull(strstr(first, "\"metadata_b64\""));
    ck_assert_ptr_nonnull(strstr(first, "\"id\":\"pair\""));

    stele_store *copy = open_memory_store();
    stele_import import = import_of(&input, first);
    import.source = "export";
    stele_imported imported;
    ck_assert_int_eq(stele_store_import(copy, &import, &imported), STELE_OK);
    ck_assert_str_eq(input.rejects, "");
    ck_assert_int_eq((int64_t)imported.appended, head_of(store));
    char *second = export_all(copy);
    ck_assert_str_eq(second, first);

    import = import_of(&input, second);
    import.source = "export";
    ck_assert_int_eq(stele_store_import(copy, &import, &imported), STELE_OK);
    assert_counts(&imported, imported.lines, 0, imported.lines, 0);
    stele_store_close(copy);
    free(second);
    free(first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("import_runs");
    TCase *runs = tcase_create("runs");
    tcase_add_checked_fixture(runs, open_fixture, close_fixture);
    tcase_add_test(runs, a_second_run_with_ids_adds_nothing);
    tcase_add_test(runs, a_second_run_of_a_source_adds_nothing);
    tcase_add_test(runs, a_second_run_of_a_source_adds_new_and_changed_lines);
    tcase_add_test(runs, equal_lines_of_one_source_are_both_stored);
    tcase_add_test(runs, line_ends_do_not_make_another_line);
    tcase_add_test(runs, without_id_and_source_a_second_run_adds_again);
    tcase_add_test(runs, an_id_with_other_content_rejects_the_line);
    tcase_add_test(runs, progress_is_told_after_each_batch);
    tcase_add_test(runs, a_cancelled_import_keeps_whole_batches_and_goes_on_later);
    tcase_add_test(runs, a_failing_input_ends_the_import_after_the_batches_before);
    tcase_add_test(runs, a_batch_of_large_lines_is_cut_by_bytes);
    tcase_add_test(runs, atomic_stores_all_in_one_transaction);
    tcase_add_test(runs, atomic_stores_nothing_and_reports_every_bad_line);
    tcase_add_test(runs, atomic_and_cancelled_or_failing_stores_nothing);
    tcase_add_test(runs, export_import_export_is_the_same_to_the_byte);
    suite_add_tcase(suite, runs);
    return run_suite(suite);
}
