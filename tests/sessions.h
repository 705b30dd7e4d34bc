/**
 * @file tests/sessions.h
 * Short ways to use a session memory, and the calls of it as a table.
 */
#ifndef STELE_TESTS_SESSIONS_H
#define STELE_TESTS_SESSIONS_H

#include "contract.h"

#include <stele/session.h>

/* That of the running test, on `store`. */
static stele_session_memory *memory;

static inline stele_session_memory *open_memory_of(stele_store *of, const char *strategy)
{
    stele_session_memory *opened = NULL;
    stele_session_options options = STELE_SESSION_OPTIONS_INIT;
    options.strategy = strategy;
    assert_status(stele_session_open(of, &options, &opened), STELE_OK);
    return opened;
}

static inline void open_truncating(uint32_t turn_count_max, uint32_t slot_size_max)
{
    stele_session_options options = STELE_SESSION_OPTIONS_INIT;
    options.strategy = "truncation";
    options.turn_count_max = turn_count_max;
    options.slot_size_max = slot_size_max;
    assert_status(stele_session_open(store, &options, &memory), STELE_OK);
}

static inline void close_memory(void)
{
    stele_session_close(memory);
    memory = NULL;
}

static inline stele_identity identity_of(const char *tenant, const char *user, const char *session)
{
    stele_identity identity = STELE_IDENTITY_INIT;
    identity.tenant = tenant;
    identity.user = user;
    identity.session = session;
    return identity;
}

static const stele_identity ada = { sizeof(stele_identity), "acme", "ada", "s1", NULL };

static inline void say(const stele_identity *identity, const char *role, const char *text)
{
    assert_status(stele_session_add(memory, identity, role, text), STELE_OK);
}

/* The turns as "user:hello model:hi". Borrowed until next. */
static inline const char *turns_in(stele_session_memory *of, const stele_identity *identity)
{
    static char text[8192];
    const stele_session_turns *turns = NULL;
    size_t size = 0, bytes = 0;
    text[0] = '\0';
    assert_status(stele_session_read(of, identity, &turns), STELE_OK);
    for (size_t i = 0; i < turns->count; i++) {
        const stele_turn *turn = &turns->turns[i];
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s:%s", i > 0 ? " " : "",
                                 turn->role, turn->text);
        bytes += strlen(turn->role) + strlen(turn->text);
    }
    ck_assert_uint_eq(turns->size, bytes);
    stele_session_turns_close(turns);
    return text;
}

static inline const char *turns_of(const stele_identity *identity)
{
    return turns_in(memory, identity);
}

/* The snapshot as text. Borrowed until next. */
static inline const char *snapshot_in(stele_session_memory *of, const stele_identity *identity)
{
    static char text[2][8192];
    static int turn;
    stele_buffer buffer = STELE_BUFFER_INIT;
    char *copy = text[turn++ % 2];
    assert_status(stele_session_snapshot(of, identity, &buffer), STELE_OK);
    ck_assert_uint_lt(buffer.size, sizeof(text[0]));
    memcpy(copy, buffer.data, buffer.size);
    copy[buffer.size] = '\0';
    stele_buffer_dispose(&buffer);
    return copy;
}

static inline const char *snapshot_of(const stele_identity *identity)
{
    return snapshot_in(memory, identity);
}

static inline stele_status restore_text(const stele_identity *identity, const char *text)
{
    return stele_session_restore(memory, identity, text, strlen(text));
}

/* The reason, "" when it is healthy. */
static inline const char *illness_of(const stele_identity *identity)
{
    const char *reason = NULL;
    stele_session_state state = STELE_SESSION_DEGRADED;
    assert_status(stele_session_health(memory, identity, &state, &reason), STELE_OK);
    ck_assert_ptr_nonnull(reason);
    ck_assert((state == STELE_SESSION_HEALTHY) == (reason[0] == '\0'));
    return reason;
}

/* --- Every call --- */

static inline stele_status call_add(const stele_identity *identity)
{
    return stele_session_add(memory, identity, "user", "hello");
}

static inline stele_status call_read(const stele_identity *identity)
{
    const stele_session_turns *turns = (const stele_session_turns *)&turns;
    stele_status status = stele_session_read(memory, identity, &turns);
    ck_assert((status == STELE_OK) == (turns != NULL));
    stele_session_turns_close(turns);
    return status;
}

static inline stele_status call_flush(const stele_identity *identity)
{
    return stele_session_flush(memory, identity);
}

static inline stele_status call_snapshot(const stele_identity *identity)
{
    stele_buffer buffer = STELE_BUFFER_INIT;
    ck_assert_int_eq(stele_buffer_add(&buffer, "kept", 4), STELE_OK);
    stele_status status = stele_session_snapshot(memory, identity, &buffer);
    ck_assert((status == STELE_OK) == (buffer.size > 4));
    ck_assert_mem_eq(buffer.data, "kept", 4);
    stele_buffer_dispose(&buffer);
    return status;
}

static inline stele_status call_restore(const stele_identity *identity)
{
    return stele_session_restore(memory, identity, NULL, 0);
}

static inline stele_status call_health(const stele_identity *identity)
{
    stele_session_state state;
    const char *reason = NULL;
    return stele_session_health(memory, identity, &state, &reason);
}

static const struct session_call {
    const char *operation; /* as it is recorded */
    stele_status (*make)(const stele_identity *identity);
    bool writes;
} session_calls[] = {
    { "add", call_add, true },         { "read", call_read, false },
    { "flush", call_flush, true },     { "snapshot", call_snapshot, false },
    { "restore", call_restore, true }, { "health", call_health, false },
};

/* --- Fixtures --- */

static inline void open_plain(void)
{
    open_in_file();
    assert_status(stele_session_open(store, NULL, &memory), STELE_OK);
}

static inline void open_keeping(void)
{
    open_in_file();
    memory = open_memory_of(store, "truncation");
}

static inline void open_keeping_in_memory(void)
{
    open_in_memory();
    memory = open_memory_of(store, "truncation");
}

static inline TCase *add_session_case(Suite *suite, const char *name, void (*setup)(void))
{
    TCase *tests = add_case(suite, name, setup);
    tcase_add_checked_fixture(tests, NULL, close_memory);
    return tests;
}

#endif
