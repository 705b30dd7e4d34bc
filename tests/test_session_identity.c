/* Whose session memory it is, and who is refused. */
#include "sessions.h"

#include <stele/lifecycle.h>

/* --- Whose it is --- */

START_TEST(tenants_users_sessions_and_runs_do_not_meet)
{
    /* Parts that would be the same if they were just joined. */
    stele_identity identities[] = {
        identity_of("a", "b", "c"),   identity_of("a", "b", "c/d"),   identity_of("a/b", "c", "d"),
        identity_of("a", "b/c", "d"), identity_of("a", "b", "c%2Fd"), identity_of("b", "a", "c"),
        identity_of("A", "b", "c"),   identity_of("a", "b", "c"),     identity_of("a", "b", "c"),
        identity_of("a", "b", "c"),
    };
    const size_t count = COUNT_OF(identities);
    identities[count - 3].run = "d";
    identities[count - 2].run = "e";
    identities[count - 1].run = "c";
    for (size_t i = 0; i < count; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%zu", i);
        say(&identities[i], "u", text);
    }

    for (size_t i = 0; i < count; i++) {
        char expected[8];
        snprintf(expected, sizeof(expected), "u:%zu", i);
        ck_assert_str_eq(turns_of(&identities[i]), expected);
    }
    assert_status(stele_session_flush(memory, &identities[0]), STELE_OK);
    ck_assert_str_eq(turns_of(&identities[0]), "");
    for (size_t i = 1; i < count; i++)
        ck_assert_str_ne(turns_of(&identities[i]), "");
}
END_TEST

START_TEST(empty_run_is_no_run)
{
    stele_identity without = ada, empty = ada;
    empty.run = "";
    say(&without, "user", "hello");

    ck_assert_str_eq(turns_of(&empty), "user:hello");
}
END_TEST

START_TEST(identity_whose_scope_is_too_long_is_too_large)
{
    char long_part[STELE_NAME_SIZE_MAX + 1];
    memset(long_part, '/', STELE_NAME_SIZE_MAX); /* three bytes each */
    long_part[STELE_NAME_SIZE_MAX] = '\0';
    stele_identity identity = identity_of(long_part, long_part, "s");
    for (size_t i = 0; i < COUNT_OF(session_calls); i++)
        assert_status(session_calls[i].make(&identity), STELE_TOO_LARGE);
}
END_TEST

/* --- Who is refused --- */

static const struct {
    stele_identity identity;
    const char *missing;
    const char *rest;
} incomplete[] = {
    { { sizeof(stele_identity), NULL, "u\"1", "s1", NULL },
      "\"tenant\"",
      ",\"user\":\"u\\\"1\",\"session\":\"s1\"" },
    { { sizeof(stele_identity), "acme", "", "s1", "r1" },
      "\"user\"",
      ",\"tenant\":\"acme\",\"session\":\"s1\",\"run\":\"r1\"" },
    { { sizeof(stele_identity), "acme", "ada", NULL, NULL },
      "\"session\"",
      ",\"tenant\":\"acme\",\"user\":\"ada\"" },
    { { sizeof(stele_identity), NULL, NULL, "", "r1" },
      "\"tenant\",\"user\",\"session\"",
      ",\"run\":\"r1\"" },
};

static void expect_last_audit(const char *stream, int64_t version, const char *data)
{
    stele_read read = STELE_READ_INIT;
    read.stream = stream;
    read.from_version = version;
    stele_cursor *cursor = open_read(&read);
    const stele_record *record = next_record(cursor);
    ck_assert_str_eq(record->type, STELE_SESSION_REFUSED_TYPE);
    ck_assert_str_eq(record->codec, "json");
    ck_assert_str_eq(record->data, data);
    expect_done(cursor);
    stele_cursor_close(cursor);
}

START_TEST(incomplete_identity_is_misuse_of_every_call_and_recorded)
{
    int64_t version = 0;
    say(&ada, "user", "hello");
    for (size_t i = 0; i < COUNT_OF(incomplete); i++)
        for (size_t k = 0; k < COUNT_OF(session_calls); k++) {
            char expected[300];
            snprintf(expected, sizeof(expected), "{\"operation\":\"%s\",\"missing\":[%s]%s}",
                     session_calls[k].operation, incomplete[i].missing, incomplete[i].rest);

            assert_status(session_calls[k].make(&incomplete[i].identity), STELE_MISUSE);

            assert_reason_has(session_calls[k].operation);
            assert_reason_has("without");
            assert_reason_has("recorded in 'session_audit'");
            expect_last_audit("session_audit", ++version, expected);
        }
    /* Nobody else's state was touched. */
    ck_assert_str_eq(turns_of(&ada), "user:hello");
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    assert_status(stele_state_list(store, NULL, &entries), STELE_OK);
    assert_status(stele_entries_next(entries, &entry), STELE_OK);
    ck_assert_str_eq(entry->scope, "$session/acme/ada/s1");
    assert_status(stele_entries_next(entries, &entry), STELE_DONE);
    stele_entries_close(entries);
}
END_TEST

START_TEST(identity_that_is_null_misses_everything)
{
    for (size_t i = 0; i < COUNT_OF(session_calls); i++) {
        char expected[200];
        snprintf(expected, sizeof(expected),
                 "{\"operation\":\"%s\",\"missing\":[\"tenant\",\"user\",\"session\"]}",
                 session_calls[i].operation);
        assert_status(session_calls[i].make(NULL), STELE_MISUSE);
        expect_last_audit("session_audit", (int64_t)i + 1, expected);
    }
}
END_TEST

/* What isn't a name can't be shown in a JSON text either. */
START_TEST(part_that_is_no_name_is_refused_and_recorded_without_its_bytes)
{
    stele_identity identity = identity_of("acme", "\xff", "s1");
    identity.run = "a\nb";

    assert_status(call_flush(&identity), STELE_MISUSE);

    assert_reason_has("user, run");
    expect_last_audit("session_audit", 1,
                      "{\"operation\":\"flush\",\"missing\":[],\"invalid\":[\"user\",\"run\"],"
                      "\"tenant\":\"acme\",\"session\":\"s1\"}");
    char longer[301] = "";
    memset(longer, 'x', sizeof(longer) - 1);
    identity = identity_of("acme", longer, "s1");
    assert_status(call_flush(&identity), STELE_MISUSE);
    expect_last_audit("session_audit", 2,
                      "{\"operation\":\"flush\",\"missing\":[],\"invalid\":[\"user\"],"
                      "\"tenant\":\"acme\",\"session\":\"s1\"}");
    identity = identity_of("acme", "ada", "s1");
    identity.struct_size = 0;
    assert_status(call_flush(&identity), STELE_MISUSE);
    ck_assert_int_eq(version_of("session_audit"), 2);
}
END_TEST

/* No record is no reason to let the call pass. */
START_TEST(call_fails_closed_also_when_its_refusal_can_not_be_recorded)
{
    stele_identity nobody = STELE_IDENTITY_INIT;
    stele_transaction *transaction = begin();
    for (size_t i = 0; i < COUNT_OF(session_calls); i++) {
        assert_status(session_calls[i].make(&nobody), STELE_MISUSE);
        assert_reason_has("could not be recorded in 'session_audit', MISUSE: ");
    }
    stele_transaction_end(transaction);
    ck_assert_int_eq(version_of("session_audit"), 0);
    stele_tombstone tombstone = STELE_TOMBSTONE_INIT;
    assert_status(call_flush(&nobody), STELE_MISUSE);
    tombstone.stream = "session_audit";
    tombstone.reason = "closed";
    assert_status(stele_store_tombstone(store, &tombstone, NULL), STELE_OK);

    assert_status(call_read(&nobody), STELE_MISUSE);

    assert_reason_has("could not be recorded in 'session_audit', TOMBSTONED: ");
}
END_TEST

/* What doesn't need a file holds in memory, too. */
static void add_shared(TCase *tests)
{
    tcase_add_test(tests, tenants_users_sessions_and_runs_do_not_meet);
    tcase_add_test(tests, empty_run_is_no_run);
    tcase_add_test(tests, identity_whose_scope_is_too_long_is_too_large);
    tcase_add_test(tests, incomplete_identity_is_misuse_of_every_call_and_recorded);
    tcase_add_test(tests, identity_that_is_null_misses_everything);
    tcase_add_test(tests, part_that_is_no_name_is_refused_and_recorded_without_its_bytes);
    tcase_add_test(tests, call_fails_closed_also_when_its_refusal_can_not_be_recorded);
}

static Suite *session_identity_suite(void)
{
    Suite *suite = suite_create("session_identity");
    add_shared(add_session_case(suite, "truncation", open_keeping));
    add_shared(add_session_case(suite, "memory", open_keeping_in_memory));
    return suite;
}

int main(void)
{
    return run_suite(session_identity_suite());
}
