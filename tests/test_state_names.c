/* State entries: which names and arguments are taken, and the scopes of identities. */
#include "states.h"

/* --- Names and arguments --- */

START_TEST(bad_names_and_arguments_are_misuse)
{
    static char long_scope[STELE_SCOPE_SIZE_MAX + 2];
    static char long_name[STELE_NAME_SIZE_MAX + 2];
    memset(long_scope, 's', STELE_SCOPE_SIZE_MAX + 1);
    memset(long_name, 'n', STELE_NAME_SIZE_MAX + 1);
    const char *scopes[] = { NULL, "", "a\nb", "a\xFF", long_scope, "$own", "$identity/a/b" };
    const char *names[] = { NULL, "", "a\nb", "a\xFF", long_name };
    const stele_entry *entry = (const stele_entry *)&entry;
    stele_write write;
    for (size_t i = 0; i < COUNT_OF(scopes); i++) {
        stele_put put = make_put(scopes[i], "key", "x");
        stele_remove what = STELE_REMOVE_INIT;
        what.scope = scopes[i];
        what.key = "key";
        assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
        assert_status(stele_state_delete(store, &what, NULL), STELE_MISUSE);
        assert_status(stele_state_clear(store, scopes[i], NULL, NULL, NULL), STELE_MISUSE);
        stele_status read = i < 5 ? STELE_MISUSE : STELE_OK; /* reading them is open to all */
        assert_status(stele_state_get(store, scopes[i], "key", &entry), read);
        stele_entry_close(entry);
        assert_status(stele_state_write(store, scopes[i], "id", &write), read);
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        stele_put put = make_put("scope", names[i], "x");
        assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
        assert_status(stele_state_get(store, "scope", names[i], &entry), STELE_MISUSE);
        ck_assert_ptr_null(entry);
        assert_status(stele_state_write(store, "scope", names[i], &write), STELE_MISUSE);
        put = make_put("scope", "key", "x");
        put.write_id = names[i];
        assert_status(stele_state_put(store, &put, NULL), i == 0 ? STELE_OK : STELE_MISUSE);
    }
    long_scope[STELE_SCOPE_SIZE_MAX] = '\0';
    long_name[STELE_NAME_SIZE_MAX] = '\0';
    ck_assert_int_eq(put_text(long_scope, long_name, "x"), 1);
    expect_text(long_scope, long_name, "x", 1);
}
END_TEST

START_TEST(missing_arguments_are_misuse)
{
    stele_put put = make_put("scope", "key", "x");
    stele_remove what = STELE_REMOVE_INIT;
    const stele_entry *entry = NULL;
    stele_entries *entries = NULL;
    stele_write write;
    assert_status(stele_state_put(NULL, &put, NULL), STELE_MISUSE);
    assert_status(stele_state_put(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_state_delete(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_state_delete(NULL, &what, NULL), STELE_MISUSE);
    assert_status(stele_state_get(NULL, "s", "k", &entry), STELE_MISUSE);
    assert_status(stele_state_get(store, "s", "k", NULL), STELE_MISUSE);
    assert_status(stele_state_write(NULL, "s", "w", &write), STELE_MISUSE);
    assert_status(stele_state_write(store, "s", "w", NULL), STELE_MISUSE);
    assert_status(stele_state_list(NULL, NULL, &entries), STELE_MISUSE);
    assert_status(stele_state_list(store, NULL, NULL), STELE_MISUSE);
    assert_status(stele_entries_next(NULL, &entry), STELE_MISUSE);
    assert_status(stele_state_clear(NULL, "s", NULL, NULL, NULL), STELE_MISUSE);
    assert_status(stele_state_forget(NULL, 0, NULL, NULL), STELE_MISUSE);
    stele_entries_close(NULL);

    put.struct_size = 0;
    assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
    what.struct_size = 0;
    assert_status(stele_state_delete(store, &what, NULL), STELE_MISUSE);
    put = make_put("scope", "key", "x");
    put.expected_revision = -2;
    assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
    put.expected_revision = STELE_ANY;
    put.data = NULL;
    assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
}
END_TEST

/* Bindings can't use the macros. */
START_TEST(init_functions_set_the_defaults)
{
    const stele_put put = STELE_PUT_INIT;
    const stele_remove what = STELE_REMOVE_INIT;
    const stele_entries_read read = STELE_ENTRIES_READ_INIT;
    const stele_identity identity = STELE_IDENTITY_INIT;
    stele_put own_put;
    stele_remove own_what;
    stele_entries_read own_read;
    stele_identity own_identity;
    memset(&own_put, 0, sizeof(own_put));
    memset(&own_what, 0, sizeof(own_what));
    memset(&own_read, 0, sizeof(own_read));
    memset(&own_identity, 0, sizeof(own_identity));

    stele_put_init(&own_put);
    stele_remove_init(&own_what);
    stele_entries_read_init(&own_read);
    stele_identity_init(&own_identity);

    ck_assert_uint_eq(own_put.struct_size, put.struct_size);
    ck_assert_int_eq(own_put.expected_revision, STELE_ANY);
    ck_assert_uint_eq(own_put.attribute_size, sizeof(stele_attribute));
    ck_assert_uint_eq(own_what.struct_size, what.struct_size);
    ck_assert_int_eq(own_what.expected_revision, STELE_ANY);
    ck_assert_uint_eq(own_read.struct_size, read.struct_size);
    ck_assert_uint_eq(own_identity.struct_size, identity.struct_size);
}
END_TEST

/* --- Identities --- */

static const char *scope_of(const stele_identity *identity)
{
    static char scope[STELE_SCOPE_SIZE_MAX + 1];
    assert_status(stele_identity_scope(identity, scope, sizeof(scope)), STELE_OK);
    return scope;
}

START_TEST(identity_without_a_tenant_user_or_session_has_no_scope)
{
    const stele_identity incomplete[] = {
        make_identity(NULL, "u", "s", NULL), make_identity("", "u", "s", NULL),
        make_identity("t", NULL, "s", NULL), make_identity("t", "", "s", "r"),
        make_identity("t", "u", NULL, NULL), make_identity("t", "u", "", NULL),
    };
    static const char *const missing[] = {
        "tenant", "tenant", "user", "user", "session", "session"
    };
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(incomplete); i++) {
        strcpy(scope, "left");
        assert_status(stele_identity_scope(&incomplete[i], scope, sizeof(scope)), STELE_MISUSE);
        assert_reason_has(missing[i]);
        ck_assert_str_eq(scope, "");
        /* So what goes on with it reads and writes nothing. */
        stele_put put = make_put(scope, "key", "x");
        assert_status(stele_state_put(store, &put, NULL), STELE_MISUSE);
    }
}
END_TEST

START_TEST(identity_has_the_scope_that_its_parts_spell)
{
    stele_identity identity = make_identity("t", "u", "s", NULL);
    ck_assert_str_eq(scope_of(&identity), "$identity/t/u/s");
    identity.run = "";
    ck_assert_str_eq(scope_of(&identity), "$identity/t/u/s");
    identity.run = "r-1";
    ck_assert_str_eq(scope_of(&identity), "$identity/t/u/s/r-1");
    identity = make_identity("a/b", "c %", "\xC3\xA9.x_9", "$");
    ck_assert_str_eq(scope_of(&identity), "$identity/a%2Fb/c%20%25/\xC3\xA9.x_9/%24");
    ck_assert_int_eq(put_text(scope_of(&identity), "key", "mine"), 1);
    expect_text(scope_of(&identity), "key", "mine", 1);
}
END_TEST

/* Two identities whose parts are cut elsewhere must not meet. */
START_TEST(different_identities_have_different_scopes)
{
    static const char *const parts[] = { "a", "b", "a/b", "a%2Fb", "%2F", "/", "a%", "A" };
    enum { KINDS = COUNT_OF(parts) };
    static char scopes[KINDS * KINDS * KINDS * (KINDS + 1)][64];
    size_t count = 0;
    for (int i = 0; i < KINDS * KINDS * KINDS * (KINDS + 1); i++) {
        int run = i / KINDS / KINDS / KINDS;
        stele_identity identity =
            make_identity(parts[i % KINDS], parts[i / KINDS % KINDS],
                          parts[i / KINDS / KINDS % KINDS], run == KINDS ? NULL : parts[run]);
        snprintf(scopes[count++], sizeof(scopes[0]), "%s", scope_of(&identity));
    }
    qsort(scopes, count, sizeof(scopes[0]), (int (*)(const void *, const void *))strcmp);
    for (size_t i = 1; i < count; i++)
        ck_assert_str_ne(scopes[i - 1], scopes[i]);
}
END_TEST

START_TEST(parts_of_an_identity_are_names_and_its_scope_has_a_limit)
{
    static char longest[256];
    static char slashes[256];
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    memset(longest, 'n', 255);
    memset(slashes, '/', 255);
    stele_identity identity = make_identity("t\n", "u", "s", NULL);
    assert_status(stele_identity_scope(&identity, scope, sizeof(scope)), STELE_MISUSE);
    identity = make_identity("t", "u", "s", "\xFF");
    assert_status(stele_identity_scope(&identity, scope, sizeof(scope)), STELE_MISUSE);
    identity = make_identity(longest, longest, longest, NULL);
    ck_assert_uint_eq(strlen(scope_of(&identity)), 10 + 3 * 255 + 2);
    ck_assert_int_eq(put_text(scope_of(&identity), "key", "x"), 1);
    identity = make_identity(slashes, "u", slashes, NULL);
    assert_status(stele_identity_scope(&identity, scope, sizeof(scope)), STELE_TOO_LARGE);
    ck_assert_str_eq(scope, "");
    identity = make_identity("t", "u", "s", NULL);
    assert_status(stele_identity_scope(&identity, scope, STELE_SCOPE_SIZE_MAX), STELE_MISUSE);
    assert_status(stele_identity_scope(NULL, scope, sizeof(scope)), STELE_MISUSE);
    assert_status(stele_identity_scope(&identity, NULL, sizeof(scope)), STELE_MISUSE);
}
END_TEST

/* What looks like an identity's scope but isn't is the library's. */
START_TEST(only_scopes_that_identities_have_can_be_written)
{
    static const char *const others[] = {
        "$identity/",
        "$identity/t/u",
        "$identity/t/u/s/r/x",
        "$identity/t//s",
        "$identity/t/u/s/",
        "$identity/t/u/a b",
        "$identity/t/u/%2f",
        "$identity/t/u/%41",
        "$identity/t/u/%0A",
        "$identity/t/u/%2",
        "$identity/t/u/%7F",
        "$identity",
        "$identityx/t/u/s",
        "$identity/t/u/s%",
        "$resume",
        "$",
    };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        stele_put put = make_put(others[i], "key", "x");
        ck_assert_msg(stele_state_put(store, &put, NULL) == STELE_MISUSE, "%s", others[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_names");
    TCase *arguments = add_case(suite, "arguments", open_in_memory);
    tcase_add_test(arguments, bad_names_and_arguments_are_misuse);
    tcase_add_test(arguments, missing_arguments_are_misuse);
    tcase_add_test(arguments, init_functions_set_the_defaults);
    TCase *identities = add_case(suite, "identities", open_in_memory);
    tcase_add_test(identities, identity_without_a_tenant_user_or_session_has_no_scope);
    tcase_add_test(identities, identity_has_the_scope_that_its_parts_spell);
    tcase_add_test(identities, different_identities_have_different_scopes);
    tcase_add_test(identities, parts_of_an_identity_are_names_and_its_scope_has_a_limit);
    tcase_add_test(identities, only_scopes_that_identities_have_can_be_written);
    return run_suite(suite);
}
