/* Session memory: what is kept of a session. */
#include "sessions.h"

/* --- Opening --- */

START_TEST(strategy_that_is_not_known_is_unsupported_and_named)
{
    stele_session_options options = STELE_SESSION_OPTIONS_INIT;
    stele_session_memory *opened = (stele_session_memory *)&opened;
    options.strategy = "rolling-summary";

    assert_status(stele_session_open(store, &options, &opened), STELE_UNSUPPORTED);

    ck_assert_ptr_null(opened);
    assert_reason_has("'rolling-summary'");
    assert_reason_has("'none'");
    assert_reason_has("'truncation'");
}
END_TEST

START_TEST(options_that_break_the_contract_are_misuse)
{
    stele_session_options wrong[7];
    stele_session_memory *opened;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        stele_session_options_init(&wrong[i]);
    wrong[0].struct_size = 0;
    wrong[1].strategy = NULL;
    wrong[2].turn_count_max = 0;
    wrong[3].slot_size_max = 0;
    wrong[4].audit_stream = NULL;
    wrong[5].audit_stream = "$stele";
    wrong[6].audit_stream = "";
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        opened = (stele_session_memory *)&opened;
        assert_status(stele_session_open(store, &wrong[i], &opened), STELE_MISUSE);
        ck_assert_ptr_null(opened);
    }

    assert_status(stele_session_open(NULL, NULL, &opened), STELE_MISUSE);
    assert_status(stele_session_open(store, NULL, NULL), STELE_MISUSE);
    stele_session_close(NULL);
    stele_session_turns_close(NULL);
}
END_TEST

START_TEST(options_are_copied_with_their_strings)
{
    char strategy[] = "truncation", stream[] = "audit-1";
    stele_session_options options = STELE_SESSION_OPTIONS_INIT;
    stele_identity nobody = STELE_IDENTITY_INIT;
    options.strategy = strategy;
    options.audit_stream = stream;
    close_memory();
    assert_status(stele_session_open(store, &options, &memory), STELE_OK);
    memset(strategy, 'x', sizeof(strategy) - 1);
    memset(stream, 'x', sizeof(stream) - 1);

    say(&ada, "user", "hello");
    assert_status(stele_session_flush(memory, &nobody), STELE_MISUSE);

    ck_assert_str_eq(turns_of(&ada), "user:hello");
    ck_assert_int_eq(version_of("audit-1"), 1);
}
END_TEST

/* --- Strategies --- */

START_TEST(slot_is_empty_and_healthy_by_default)
{
    const stele_session_turns *turns = NULL;
    assert_status(stele_session_read(memory, &ada, &turns), STELE_OK);
    ck_assert_uint_eq(turns->count, 0);
    ck_assert_uint_eq(turns->size, 0);
    ck_assert_int_eq(turns->revision, 0);
    stele_session_turns_close(turns);

    ck_assert_str_eq(illness_of(&ada), "");
    stele_session_state state = STELE_SESSION_DEGRADED;
    assert_status(stele_session_health(memory, &ada, &state, NULL), STELE_OK);
    ck_assert_int_eq(state, STELE_SESSION_HEALTHY);
}
END_TEST

START_TEST(strategy_none_takes_turns_and_forgets_them)
{
    for (int i = 0; i < 10; i++)
        say(&ada, "user", "hello");

    ck_assert_str_eq(turns_of(&ada), "");
    ck_assert_str_eq(snapshot_of(&ada), "{\"strategy\":\"none\",\"turns\":[]}");
    assert_status(stele_session_add(memory, &ada, "", "x"), STELE_MISUSE);
    assert_status(stele_session_add(memory, &ada, "user", NULL), STELE_MISUSE);
}
END_TEST

START_TEST(turns_come_back_in_the_order_of_adding)
{
    say(&ada, "user", "hello \"there\"\n\\");
    say(&ada, "model", "");
    say(&ada, "user", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \x01\x7f");

    ck_assert_str_eq(turns_of(&ada), "user:hello \"there\"\n\\ model: user:gr\xc3\xbc\xc3\x9f"
                                     " \xf0\x9f\x98\x80 \x01\x7f");
    ck_assert_str_eq(snapshot_of(&ada),
                     "{\"strategy\":\"truncation\",\"turns\":["
                     "{\"role\":\"user\",\"text\":\"hello \\\"there\\\"\\n\\\\\"},"
                     "{\"role\":\"model\",\"text\":\"\"},"
                     "{\"role\":\"user\",\"text\":\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"
                     " \\u0001\x7f\"}]}");
    const stele_session_turns *turns = NULL;
    assert_status(stele_session_read(memory, &ada, &turns), STELE_OK);
    ck_assert_int_eq(turns->revision, 3);
    stele_session_turns_close(turns);
}
END_TEST

START_TEST(truncation_keeps_the_latest_turns_within_their_count)
{
    open_in_file();
    open_truncating(3, 1000);
    for (int i = 0; i < 8; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%d", i);
        say(&ada, "u", text);
    }

    ck_assert_str_eq(turns_of(&ada), "u:5 u:6 u:7");
    close_memory();
    open_truncating(1, 1000);
    say(&ada, "u", "8");
    ck_assert_str_eq(turns_of(&ada), "u:8");
}
END_TEST

/* As the budget of tokens of the first stores: turns of 400 characters, room for two. */
START_TEST(truncation_keeps_the_bytes_within_their_bound)
{
    char text[401];
    open_in_file();
    open_truncating(100, 1000);
    for (int i = 0; i < 5; i++) {
        memset(text, 'a' + i, 400);
        text[400] = '\0';
        say(&ada, "user", text);
        const stele_session_turns *turns = NULL;
        assert_status(stele_session_read(memory, &ada, &turns), STELE_OK);
        ck_assert_uint_le(turns->size, 1000);
        ck_assert_uint_eq(turns->count, i == 0 ? 1 : 2);
        ck_assert_int_eq(turns->turns[turns->count - 1].text[0], 'a' + i);
        stele_session_turns_close(turns);
    }
}
END_TEST

START_TEST(bounds_are_exact_and_the_last_turn_is_always_kept)
{
    open_in_file();
    open_truncating(100, 10);
    say(&ada, "u", "1234");
    say(&ada, "u", "5678"); /* just fits */
    ck_assert_str_eq(turns_of(&ada), "u:1234 u:5678");
    say(&ada, "u", ""); /* a byte too many */
    ck_assert_str_eq(turns_of(&ada), "u:5678 u:");
    say(&ada, "u", "longer than the bound");
    ck_assert_str_eq(turns_of(&ada), "u:longer than the bound");
    say(&ada, "u", "1");
    ck_assert_str_eq(turns_of(&ada), "u:1");
}
END_TEST

START_TEST(turn_beyond_value_size_max_is_too_large)
{
    static char text[5000];
    stele_options options = STELE_OPTIONS_INIT;
    options.value_size_max = 4096;
    store = open_path(store_path(), &options);
    memory = open_memory_of(store, "truncation");
    say(&ada, "user", "hello");
    memset(text, 'x', sizeof(text) - 1);

    assert_status(stele_session_add(memory, &ada, "user", text), STELE_TOO_LARGE);

    ck_assert_str_eq(turns_of(&ada), "user:hello");
}
END_TEST

/* It isn't measured while others wait: the lock isn't asked for. */
START_TEST(too_large_turn_is_refused_before_the_lock_is_asked_for)
{
    static char text[5000];
    stele_options options = STELE_OPTIONS_INIT;
    stele_transaction *transaction = NULL;
    memset(text, 'x', sizeof(text) - 1);
    options.value_size_max = 4096;
    options.busy_timeout_ms = 10;
    store = open_path(store_path(), &options);
    open_truncating(10, 100000);
    stele_store *other = open_path(store_path(), NULL);
    assert_status(stele_transaction_begin(other, &transaction), STELE_OK);

    assert_status(stele_session_add(memory, &ada, "user", text), STELE_TOO_LARGE);

    assert_status(stele_session_add(memory, &ada, "user", "short"), STELE_BUSY);
    stele_transaction_end(transaction);
    stele_store_close(other);
}
END_TEST

START_TEST(roles_are_names_and_texts_are_utf_8)
{
    static const char *const wrong_roles[] = { NULL, "", "a\nb", "\xff" };
    static const char *const wrong_texts[] = { NULL, "\xff", "\xed\xa0\x80" };
    for (size_t i = 0; i < COUNT_OF(wrong_roles); i++) {
        assert_status(stele_session_add(memory, &ada, wrong_roles[i], "x"), STELE_MISUSE);
        assert_reason_has("role");
    }
    for (size_t i = 0; i < COUNT_OF(wrong_texts); i++) {
        assert_status(stele_session_add(memory, &ada, "user", wrong_texts[i]), STELE_MISUSE);
        assert_reason_has("text");
    }

    ck_assert_str_eq(turns_of(&ada), "");
    ck_assert_int_eq(version_of("session_audit"), 0);
}
END_TEST

/* --- Flushing --- */

START_TEST(flushed_slot_is_empty_also_when_it_was)
{
    assert_status(stele_session_flush(memory, &ada), STELE_OK);
    say(&ada, "user", "hello");
    for (int i = 0; i < 2; i++) {
        assert_status(stele_session_flush(memory, &ada), STELE_OK);
        const stele_session_turns *turns = NULL;
        assert_status(stele_session_read(memory, &ada, &turns), STELE_OK);
        ck_assert_uint_eq(turns->count, 0);
        ck_assert_int_eq(turns->revision, 0);
        stele_session_turns_close(turns);
    }
    say(&ada, "user", "again");
    ck_assert_str_eq(turns_of(&ada), "user:again");
}
END_TEST

/* --- Around a transaction, and after the end --- */

START_TEST(calls_that_write_are_misuse_around_ones_own_transaction)
{
    say(&ada, "user", "hello");
    stele_transaction *transaction = begin();
    for (size_t i = 0; i < COUNT_OF(session_calls); i++)
        assert_status(session_calls[i].make(&ada),
                      session_calls[i].writes ? STELE_MISUSE : STELE_OK);
    stele_transaction_end(transaction);

    ck_assert_str_eq(turns_of(&ada), "user:hello");
}
END_TEST

START_TEST(read_only_store_is_read_and_refuses_the_rest)
{
    stele_options options = STELE_OPTIONS_INIT;
    stele_identity nobody = STELE_IDENTITY_INIT;
    say(&ada, "user", "hello");
    close_memory();
    close_store();
    options.read_only = true;
    store = open_path(store_path(), &options);
    memory = open_memory_of(store, "truncation");

    for (size_t i = 0; i < COUNT_OF(session_calls); i++)
        assert_status(session_calls[i].make(&ada),
                      session_calls[i].writes ? STELE_READ_ONLY : STELE_OK);

    ck_assert_str_eq(turns_of(&ada), "user:hello");
    assert_status(call_read(&nobody), STELE_MISUSE);
    assert_reason_has("READ_ONLY");
}
END_TEST

START_TEST(slots_are_there_after_reopening)
{
    say(&ada, "user", "hello");
    close_memory();
    reopen_file();
    memory = open_memory_of(store, "truncation");

    ck_assert_str_eq(turns_of(&ada), "user:hello");
    say(&ada, "user", "again");
    ck_assert_str_eq(turns_of(&ada), "user:hello user:again");
}
END_TEST

START_TEST(every_call_after_the_store_was_closed_is_closed)
{
    stele_identity nobody = STELE_IDENTITY_INIT;
    const stele_session_turns *turns = NULL;
    say(&ada, "user", "hello");
    assert_status(stele_session_read(memory, &ada, &turns), STELE_OK);
    close_store();

    for (size_t i = 0; i < COUNT_OF(session_calls); i++) {
        assert_status(session_calls[i].make(&ada), STELE_CLOSED);
        assert_status(session_calls[i].make(&nobody), STELE_CLOSED);
    }

    /* What was lent is its own, and there is no second time of closing to fear. */
    ck_assert_str_eq(turns->turns[0].text, "hello");
    stele_session_turns_close(turns);
    close_memory();
    close_memory();
    open_keeping();
    ck_assert_str_eq(turns_of(&ada), "user:hello");
}
END_TEST

static int use_inherited(void *context)
{
    (void)context;
    for (size_t i = 0; i < COUNT_OF(session_calls); i++)
        if (session_calls[i].make(&ada) != STELE_MISUSE)
            return 1;
    close_memory();
    return 0;
}

START_TEST(memory_inherited_by_a_child_is_misuse_and_can_be_closed)
{
    say(&ada, "user", "hello");

    ck_assert_int_eq(run_in_child(use_inherited, NULL), 0);

    ck_assert_str_eq(turns_of(&ada), "user:hello");
}
END_TEST

START_TEST(nulls_are_misuse)
{
    stele_session_state state;
    stele_session_memory *kept = memory;
    assert_status(stele_session_read(memory, &ada, NULL), STELE_MISUSE);
    assert_status(stele_session_snapshot(memory, &ada, NULL), STELE_MISUSE);
    assert_status(stele_session_health(memory, &ada, NULL, NULL), STELE_MISUSE);
    assert_status(stele_session_health(NULL, &ada, &state, NULL), STELE_MISUSE);
    memory = NULL;
    for (size_t i = 0; i < COUNT_OF(session_calls); i++)
        assert_status(session_calls[i].make(&ada), STELE_MISUSE);
    memory = kept;
    ck_assert_int_eq(version_of("session_audit"), 0);
}
END_TEST

/* What doesn't need a file holds in memory, too. */
static void add_shared(TCase *tests)
{
    tcase_add_test(tests, slot_is_empty_and_healthy_by_default);
    tcase_add_test(tests, turns_come_back_in_the_order_of_adding);
    tcase_add_test(tests, roles_are_names_and_texts_are_utf_8);
    tcase_add_test(tests, flushed_slot_is_empty_also_when_it_was);
    tcase_add_test(tests, nulls_are_misuse);
}

static Suite *session_suite(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = add_session_case(suite, "none", open_plain);
    tcase_add_test(tests, strategy_that_is_not_known_is_unsupported_and_named);
    tcase_add_test(tests, options_that_break_the_contract_are_misuse);
    tcase_add_test(tests, options_are_copied_with_their_strings);
    tcase_add_test(tests, slot_is_empty_and_healthy_by_default);
    tcase_add_test(tests, strategy_none_takes_turns_and_forgets_them);
    tests = add_session_case(suite, "truncation", open_keeping);
    add_shared(tests);
    tcase_add_test(tests, calls_that_write_are_misuse_around_ones_own_transaction);
    tcase_add_test(tests, read_only_store_is_read_and_refuses_the_rest);
    tcase_add_test(tests, slots_are_there_after_reopening);
    tcase_add_test(tests, memory_inherited_by_a_child_is_misuse_and_can_be_closed);
    tcase_add_test(tests, every_call_after_the_store_was_closed_is_closed);
    tests = add_session_case(suite, "unopened", NULL);
    tcase_add_test(tests, truncation_keeps_the_latest_turns_within_their_count);
    tcase_add_test(tests, truncation_keeps_the_bytes_within_their_bound);
    tcase_add_test(tests, bounds_are_exact_and_the_last_turn_is_always_kept);
    tcase_add_test(tests, turn_beyond_value_size_max_is_too_large);
    tcase_add_test(tests, too_large_turn_is_refused_before_the_lock_is_asked_for);
    add_shared(add_session_case(suite, "memory", open_keeping_in_memory));
    return suite;
}

int main(void)
{
    return run_suite(session_suite());
}
