/* Snapshots of session slots, and slots that can't be used. */
#include "sessions.h"

#include "state/own.h"

/* --- Snapshots --- */

START_TEST(empty_snapshot_goes_round)
{
    static const char *const strategies[] = { "none", "truncation" };
    open_in_file();
    for (size_t i = 0; i < COUNT_OF(strategies); i++) {
        char expected[64];
        memory = open_memory_of(store, strategies[i]);
        snprintf(expected, sizeof(expected), "{\"strategy\":\"%s\",\"turns\":[]}", strategies[i]);
        ck_assert_str_eq(snapshot_of(&ada), expected);
        assert_status(restore_text(&ada, expected), STELE_OK);
        ck_assert_str_eq(snapshot_of(&ada), expected);
        ck_assert_str_eq(turns_of(&ada), "");
        ck_assert_str_eq(illness_of(&ada), "");
        assert_status(stele_session_restore(memory, &ada, NULL, 0), STELE_OK);
        ck_assert_str_eq(snapshot_of(&ada), expected);
        close_memory();
    }
}
END_TEST

/* White space, the order of members and escapes are the writer's own. */
static const char odd_snapshot[] =
    " {\"turns\" : [ {\"text\":\"caf\\u00e9\",\"role\":\"us\\u0065r\"},\n"
    "{\"role\":\"model\",\"text\":\"\"} ],\t\"strategy\":\"truncation\"} ";

START_TEST(snapshot_is_stored_byte_for_byte)
{
    assert_status(restore_text(&ada, odd_snapshot), STELE_OK);

    ck_assert_str_eq(snapshot_of(&ada), odd_snapshot);
    ck_assert_str_eq(turns_of(&ada), "user:caf\xc3\xa9 model:");
    say(&ada, "user", "more");
    ck_assert_str_eq(turns_of(&ada), "user:caf\xc3\xa9 model: user:more");
}
END_TEST

START_TEST(snapshot_of_one_store_is_restored_in_another_byte_for_byte)
{
    stele_store *other = open_path(":memory:", NULL);
    stele_session_memory *source = open_memory_of(other, "truncation");
    for (int i = 0; i < 7; i++)
        assert_status(stele_session_add(source, &ada, "user", "gr\xc3\xbc\xc3\x9f\t\"x\""),
                      STELE_OK);
    const char *taken = snapshot_in(source, &ada);
    stele_identity bob = identity_of("other", "bob", "s9");

    assert_status(restore_text(&bob, taken), STELE_OK);

    ck_assert_str_eq(snapshot_of(&bob), taken);
    ck_assert_str_eq(turns_of(&bob), turns_in(source, &ada));
    stele_session_close(source);
    stele_store_close(other);
}
END_TEST

/* A restored slot may be beyond the bounds of this memory; the next turn brings it within. */
START_TEST(restored_slot_is_truncated_by_the_next_turn)
{
    open_in_file();
    open_truncating(2, 1000);
    assert_status(restore_text(&ada, "{\"strategy\":\"truncation\",\"turns\":["
                                     "{\"role\":\"u\",\"text\":\"1\"},"
                                     "{\"role\":\"u\",\"text\":\"2\"},"
                                     "{\"role\":\"u\",\"text\":\"3\"}]}"),
                  STELE_OK);
    ck_assert_str_eq(turns_of(&ada), "u:1 u:2 u:3");

    say(&ada, "u", "4");

    ck_assert_str_eq(turns_of(&ada), "u:3 u:4");
}
END_TEST

#define TURNS(turns) "{\"strategy\":\"truncation\",\"turns\":" turns "}"

static const char *const bogus_snapshots[] = {
    "not JSON",
    " ",
    "[]",
    "null",
    "\"truncation\"",
    "{}",
    "{\"strategy\":\"truncation\"}",
    "{\"turns\":[]}",
    "{\"strategy\":1,\"turns\":[]}",
    "{\"strategy\":null,\"turns\":[]}",
    "{\"strategy\":\"none\",\"turns\":[]}",
    "{\"strategy\":\"Truncation\",\"turns\":[]}",
    "{\"strategy\":\"rolling-summary\",\"turns\":[]}",
    "{\"strategy\":\"truncation\",\"strategy\":\"truncation\",\"turns\":[]}",
    "{\"strategy\":\"truncation\",\"turns\":[],\"more\":1}",
    TURNS("{}"),
    TURNS("null"),
    TURNS("\"\""),
    TURNS("[1]"),
    TURNS("[null]"),
    TURNS("[[]]"),
    TURNS("[{}]"),
    TURNS("[{\"role\":\"user\"}]"),
    TURNS("[{\"text\":\"x\"}]"),
    TURNS("[{\"role\":\"user\",\"text\":1}]"),
    TURNS("[{\"role\":\"\",\"text\":\"x\"}]"),
    TURNS("[{\"role\":\"a\\nb\",\"text\":\"x\"}]"),
    TURNS("[{\"role\":\"user\",\"text\":\"x\",\"at\":1}]"),
    TURNS("[{\"role\":\"user\",\"text\":\"x\",\"text\":\"y\"}]"),
    TURNS("[{\"role\":\"user\",\"text\":\"\\u0000\"}]"),
    TURNS("[{\"role\":\"user\",\"text\":\"\xff\"}]"),
    TURNS("[]") "x",
    TURNS("[],"),
    "{\"strategy\":\"truncation\",\"turns\":[",
};

START_TEST(bogus_snapshot_is_invalid_and_changes_nothing)
{
    say(&ada, "user", "hello");
    char before[200];
    snprintf(before, sizeof(before), "%s", snapshot_of(&ada));

    for (size_t i = 0; i < COUNT_OF(bogus_snapshots); i++) {
        stele_status status = restore_text(&ada, bogus_snapshots[i]);
        ck_assert_msg(status == STELE_INVALID, "%s: %s", bogus_snapshots[i],
                      stele_status_name(status));
        ck_assert_str_ne(stele_error_text(), "");
    }

    ck_assert_str_eq(snapshot_of(&ada), before);
    assert_status(stele_session_restore(memory, &ada, NULL, 1), STELE_MISUSE);
    const stele_session_turns *turns = NULL;
    assert_status(stele_session_read(memory, &ada, &turns), STELE_OK);
    ck_assert_int_eq(turns->revision, 1);
    stele_session_turns_close(turns);
}
END_TEST

START_TEST(turns_under_strategy_none_are_invalid)
{
    assert_status(restore_text(&ada, "{\"strategy\":\"none\",\"turns\":["
                                     "{\"role\":\"user\",\"text\":\"x\"}]}"),
                  STELE_INVALID);
    assert_reason_has("1 turns under 'none'");
    assert_status(restore_text(&ada, TURNS("[]")), STELE_INVALID);
    assert_reason_has("'truncation'");
}
END_TEST

/* --- Health --- */

static void put_in_slot(const char *codec, const char *data)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = "$session/acme/ada/s1";
    put.key = "memory";
    put.codec = codec;
    put.data = data;
    put.data_size = strlen(data);
    stele_transaction *transaction = begin();
    assert_status(stele__transaction_own_put(transaction, &put, NULL), STELE_OK);
    commit_and_end(transaction);
}

static void expect_degraded(stele_status expected, const char *reason)
{
    ck_assert_msg(strstr(illness_of(&ada), reason) != NULL, "'%s'", illness_of(&ada));
    assert_status(call_read(&ada), expected);
    assert_status(call_add(&ada), expected);
    assert_status(stele_session_flush(memory, &ada), STELE_OK);
    ck_assert_str_eq(illness_of(&ada), "");
    say(&ada, "user", "anew");
    ck_assert_str_eq(turns_of(&ada), "user:anew");
    assert_status(stele_session_flush(memory, &ada), STELE_OK);
}

START_TEST(slot_of_another_strategy_or_form_is_degraded_until_it_is_flushed)
{
    put_in_slot("json", "{\"strategy\":\"none\",\"turns\":[]}");
    expect_degraded(STELE_INVALID, "of the strategy 'none', the memory of 'truncation'");
    put_in_slot("json", "{\"a\":1}");
    expect_degraded(STELE_INVALID, "a member 'a' that isn't known");
    put_in_slot("raw", "");
    expect_degraded(STELE_INVALID, "");
}
END_TEST

START_TEST(slot_whose_row_is_damaged_is_degraded_until_it_is_flushed_or_restored)
{
    for (int i = 0; i < 2; i++) {
        open_keeping();
        say(&ada, "user", "hello");
        close_memory();
        close_store();
        run_sql(store_path(),
                "UPDATE state SET updated_at = updated_at + 1 WHERE data IS NOT NULL");
        open_keeping();
        assert_status(call_snapshot(&ada), STELE_CORRUPT);
        ck_assert_str_ne(illness_of(&ada), "");
        if (i == 0)
            expect_degraded(STELE_CORRUPT, "");
        else
            assert_status(restore_text(&ada, odd_snapshot), STELE_OK);
        ck_assert_str_eq(illness_of(&ada), "");
        close_memory();
        close_store();
    }
}
END_TEST

/* What doesn't need a file holds in memory, too. */
static void add_shared(TCase *tests)
{
    tcase_add_test(tests, snapshot_is_stored_byte_for_byte);
    tcase_add_test(tests, snapshot_of_one_store_is_restored_in_another_byte_for_byte);
    tcase_add_test(tests, bogus_snapshot_is_invalid_and_changes_nothing);
    tcase_add_test(tests, slot_of_another_strategy_or_form_is_degraded_until_it_is_flushed);
}

static Suite *session_snapshots_suite(void)
{
    Suite *suite = suite_create("session_snapshots");
    TCase *tests = add_session_case(suite, "none", open_plain);
    tcase_add_test(tests, turns_under_strategy_none_are_invalid);
    add_shared(add_session_case(suite, "truncation", open_keeping));
    tests = add_session_case(suite, "unopened", NULL);
    tcase_add_test(tests, empty_snapshot_goes_round);
    tcase_add_test(tests, restored_slot_is_truncated_by_the_next_turn);
    tcase_add_test(tests, slot_whose_row_is_damaged_is_degraded_until_it_is_flushed_or_restored);
    add_shared(add_session_case(suite, "memory", open_keeping_in_memory));
    return suite;
}

int main(void)
{
    return run_suite(session_snapshots_suite());
}
