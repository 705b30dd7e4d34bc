/*
 * streams, types and verify, and what the tool says of stores that are damaged, busy or too new.
 */
#define _XOPEN_SOURCE 700

#include "cli_support.h"

#include <stele/store.h>
#include <stele/transaction.h>

#define STREAMS_HEADER "stream\tversion\tevents\tstate\tfirst\tlast\tbytes\n"
#define DESK           "desk-7\t1\t1\tactive\t2026-05-17T09:33:00Z\t2026-05-17T09:33:00Z\t0\n"
#define LOAN_1         "loan-1\t3\t3\tactive\t2026-05-17T09:30:00.25Z\t2026-05-17T09:34:00Z\t51\n"
#define LOAN_2         "loan-2\t1\t1\tactive\t2026-05-17T09:31:00Z\t2026-05-17T09:31:00Z\t1\n"

/* --- Lists --- */

START_TEST(streams_are_listed_by_name_with_their_counts)
{
    make_loans();
    assert_out(STELE("streams"), STREAMS_HEADER DESK LOAN_1 LOAN_2);
    assert_out(STELE("streams", "--sort", "name"), STREAMS_HEADER DESK LOAN_1 LOAN_2);
}
END_TEST

START_TEST(streams_are_sorted_by_events_and_by_their_last_event)
{
    make_loans();
    assert_out(STELE("streams", "--sort", "events"), STREAMS_HEADER LOAN_1 DESK LOAN_2);
    assert_out(STELE("streams", "--sort", "last"), STREAMS_HEADER LOAN_1 DESK LOAN_2);
    assert_out(STELE("streams", "--sort", "events", "--limit", "1"), STREAMS_HEADER LOAN_1);
    assert_code(STELE("append", "loan-2", "Paid", "1", "--time", "2026-06-01T00:00:00Z"), 0);
    const ran *result = STELE("streams", "--sort", "last", "--limit", "1");
    assert_has(result->out, STREAMS_HEADER "loan-2\t2\t2\t");
}
END_TEST

START_TEST(streams_take_a_prefix_and_a_limit)
{
    make_loans();
    assert_out(STELE("streams", "--prefix", "loan-"), STREAMS_HEADER LOAN_1 LOAN_2);
    assert_out(STELE("streams", "--prefix", "loan-", "--limit", "1"), STREAMS_HEADER LOAN_1);
    assert_out(STELE("streams", "--prefix", "x"), STREAMS_HEADER);
    assert_code(STELE("streams", "--system"), 0);
}
END_TEST

START_TEST(streams_are_the_same_rows_in_json)
{
    make_loans();
    const ran *result = STELE("streams", "--limit", "2", "-o", "jsonl");
    assert_out(result,
               "{\"stream\":\"desk-7\",\"version\":1,\"events\":1,\"state\":\"active\","
               "\"first\":\"2026-05-17T09:33:00Z\",\"last\":\"2026-05-17T09:33:00Z\",\"bytes\":0}\n"
               "{\"stream\":\"loan-1\",\"version\":3,\"events\":3,\"state\":\"active\","
               "\"first\":\"2026-05-17T09:30:00.25Z\",\"last\":\"2026-05-17T09:34:00Z\","
               "\"bytes\":51}\n");
    const ran *json = STELE("streams", "-o", "json");
    assert_json(json->out);
    for (char *line = strtok(result->out, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_has(json->out, line);
}
END_TEST

START_TEST(types_are_counted_by_schema_version)
{
    make_loans();
    assert_out(STELE("types"), "type\tschema_version\tevents\nAsked\t1\t2\nGranted\t2\t1\n"
                               "Opened\t1\t1\nPaid\t1\t1\n");
    assert_out(STELE("types", "-o", "table"),
               "TYPE     SCHEMA_VERSION  EVENTS\nAsked                 1       2\n"
               "Granted               2       1\nOpened                1       1\n"
               "Paid                  1       1\n");
    assert_has(STELE("types", "-o", "json")->out,
               "{\"v\":1,\"rows\":[{\"type\":\"Asked\",\"schema_version\":1,\"events\":2},");
}
END_TEST

/* --- verify --- */

START_TEST(verify_lists_every_check_and_is_content_with_a_whole_store)
{
    make_loans();
    const ran *result = STELE("verify", "-o", "json");
    assert_code(result, 0);
    ck_assert_str_eq(result->err, "");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"ok\":true,\"rows\":[{\"check\":\"");
    assert_has(result->out, "{\"check\":\"positions\",\"ok\":true,\"count\":5,\"failed\":0,"
                            "\"first\":\"\",\"repaired\":false}");
    result = STELE("verify");
    assert_has(result->out, "check\tok\tcount\tfailed\tfirst\trepaired\n");
    assert_has(result->out, "positions\ttrue\t5\t0\t\tfalse\n");
}
END_TEST

START_TEST(digest_is_equal_for_equal_logs_and_in_every_format)
{
    make_loans();
    const ran *json = STELE("verify", "--digest", "-o", "json");
    assert_json(json->out);
    const char *digest = strstr(json->out, "\"ok\":true,\"digest\":\"");
    ck_assert_ptr_nonnull(digest);
    char hash[17];
    memcpy(hash, digest + strlen("\"ok\":true,\"digest\":\""), 16);
    hash[16] = '\0';
    char line[64];
    snprintf(line, sizeof(line), "\ndigest\t%s\n", hash);
    assert_has(STELE("verify", "--digest")->out, line);
    snprintf(line, sizeof(line), "\ndigest  %s\n", hash);
    assert_has(STELE("verify", "--digest", "-o", "table")->out, line);
    snprintf(line, sizeof(line), "\n{\"digest\":\"%s\"}\n", hash);
    const ran *jsonl = STELE("verify", "--digest", "-o", "jsonl");
    assert_has(jsonl->out, line);
    assert_json_lines(jsonl->out);

    assert_code(STELE("append", "loan-1", "Paid"), 0);
    assert_lacks(STELE("verify", "--digest")->out, hash);
}
END_TEST

/* --- Stores that aren't as they should be --- */

/* Change the first byte of `part` in the file of the store. */
static void damage_store(const char *part, char byte)
{
    size_t size;
    char *bytes = read_whole(test_path("store.db"), &size);
    bool found = false;
    for (size_t i = 0; !found && i + strlen(part) <= size; i++) {
        found = memcmp(bytes + i, part, strlen(part)) == 0;
        if (found)
            bytes[i] = byte;
    }
    ck_assert_msg(found, "the file has no '%s'", part);
    write_whole(test_path("store.db"), bytes, size);
    free(bytes);
}

START_TEST(a_flipped_byte_in_a_payload_is_found_by_read_export_and_verify)
{
    make_loans();
    damage_store("amount\":100", 'b');

    const ran *result = STELE("read", "loan-1");
    assert_refused(result, 6, "position 1");
    assert_has(result->err, "hint: stele verify");
    assert_lacks(result->out, "bmount");
    assert_refused(STELE("read", "@all", "-o", "json"), 6, "position 1");
    assert_json(STELE("read", "@all", "-o", "json")->out);
    assert_refused(STELE("export"), 6, "position 1");
    assert_refused(STELE("tail"), 6, "position 1");
    assert_out(STELE("read", "loan-2", "-o", "plain"),
               "position\tversion\ttime\tstream\ttype\tdata\tmetadata\n"
               "2\t1\t2026-05-17T09:31:00Z\tloan-2\tAsked\t2\t\n");

    result = STELE("verify", "-o", "json");
    assert_refused(result, 6, "damaged");
    assert_json(result->out);
    assert_has(result->out, "{\"v\":1,\"ok\":false,");
    assert_has(result->out, "\"ok\":false,\"count\":5,\"failed\":1,\"first\":\"");
    assert_refused(STELE("verify", "--digest"), 6, "damaged");
}
END_TEST

START_TEST(a_damaged_head_of_the_file_is_damage_too)
{
    make_loans();
    damage_store("SQLite format 3", 'X');
    assert_refused(STELE("info"), 6, "store.db");
    assert_refused(STELE("verify"), 6, "store.db");
    assert_refused(STELE("append", "s-1", "T"), 6, "store.db");
}
END_TEST

START_TEST(a_newer_format_is_refused_as_unsupported)
{
    make_loans();
    size_t size;
    char *bytes = read_whole(test_path("store.db"), &size);
    bytes[63] = 99; /* user_version, the last byte of four */
    write_whole(test_path("store.db"), bytes, size);
    free(bytes);
    assert_refused(STELE("info"), 7, "99");
    assert_refused(STELE("append", "s-1", "T"), 7, "99");
}
END_TEST

START_TEST(a_store_that_another_process_writes_for_too_long_is_busy)
{
    make_store();
    stele_store *store = NULL;
    stele_transaction *transaction = NULL;
    ck_assert_int_eq(stele_store_open(test_path("store.db"), NULL, &store), STELE_OK);
    ck_assert_int_eq(stele_transaction_begin(store, &transaction), STELE_OK);

    const ran *result = STELE("append", "s-1", "T");
    assert_refused(result, 5, "lock");
    assert_has(result->err, "hint: another process is writing; try again\n");
    assert_code(STELE("read", "@all"), 0);

    stele_transaction_end(transaction);
    stele_store_close(store);
    assert_code(STELE("append", "s-1", "T"), 0);
}
END_TEST

static Suite *cli_lists_suite(void)
{
    Suite *suite = suite_create("cli_lists");

    TCase *lists = tcase_create("lists");
    tcase_add_checked_fixture(lists, NULL, forget_runs);
    tcase_add_test(lists, streams_are_listed_by_name_with_their_counts);
    tcase_add_test(lists, streams_are_sorted_by_events_and_by_their_last_event);
    tcase_add_test(lists, streams_take_a_prefix_and_a_limit);
    tcase_add_test(lists, streams_are_the_same_rows_in_json);
    tcase_add_test(lists, types_are_counted_by_schema_version);
    suite_add_tcase(suite, lists);

    TCase *verify = tcase_create("verify");
    tcase_add_checked_fixture(verify, NULL, forget_runs);
    tcase_set_timeout(verify, 60);
    tcase_add_test(verify, verify_lists_every_check_and_is_content_with_a_whole_store);
    tcase_add_test(verify, digest_is_equal_for_equal_logs_and_in_every_format);
    tcase_add_test(verify, a_flipped_byte_in_a_payload_is_found_by_read_export_and_verify);
    tcase_add_test(verify, a_damaged_head_of_the_file_is_damage_too);
    tcase_add_test(verify, a_newer_format_is_refused_as_unsupported);
    tcase_add_test(verify, a_store_that_another_process_writes_for_too_long_is_busy);
    suite_add_tcase(suite, verify);
    return suite;
}

int main(void)
{
    return run_suite(cli_lists_suite());
}
