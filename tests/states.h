/**
 * @file tests/states.h
 * What the tests of state entries share: short ways to put, to delete and to look.
 */
#ifndef STELE_TESTS_STATES_H
#define STELE_TESTS_STATES_H

#include "contract.h"

#include <stele/state.h>

static inline stele_put make_put(const char *scope, const char *key, const char *data)
{
    stele_put put = STELE_PUT_INIT;
    put.scope = scope;
    put.key = key;
    put.data = data;
    put.data_size = strlen(data);
    return put;
}

/* Put it whatever is there, and give the revision. */
static inline int64_t put_text(const char *scope, const char *key, const char *data)
{
    stele_written written;
    stele_put put = make_put(scope, key, data);
    assert_status(stele_state_put(store, &put, &written), STELE_OK);
    return written.revision;
}

static inline stele_written put_with_id(const char *scope, const char *key, const char *data,
                                        const char *write_id)
{
    stele_written written;
    stele_put put = make_put(scope, key, data);
    put.write_id = write_id;
    assert_status(stele_state_put(store, &put, &written), STELE_OK);
    return written;
}

static inline stele_written delete_key(const char *scope, const char *key, const char *write_id)
{
    stele_written written;
    stele_remove what = STELE_REMOVE_INIT;
    what.scope = scope;
    what.key = key;
    what.write_id = write_id;
    assert_status(stele_state_delete(store, &what, &written), STELE_OK);
    return written;
}

/* The caller closes it. */
static inline const stele_entry *get_entry(const char *scope, const char *key)
{
    const stele_entry *entry = NULL;
    assert_status(stele_state_get(store, scope, key, &entry), STELE_OK);
    ck_assert_ptr_nonnull(entry);
    return entry;
}

static inline void expect_text(const char *scope, const char *key, const char *data,
                               int64_t revision)
{
    const stele_entry *entry = get_entry(scope, key);
    ck_assert_msg(entry->found, "'%s' isn't there", key);
    ck_assert_str_eq(entry->data, data);
    ck_assert_uint_eq(entry->data_size, strlen(data));
    ck_assert_int_eq(entry->revision, revision);
    ck_assert_str_eq(entry->scope, scope);
    ck_assert_str_eq(entry->key, key);
    stele_entry_close(entry);
}

static inline void expect_gone(const char *scope, const char *key, int64_t revision)
{
    const stele_entry *entry = get_entry(scope, key);
    ck_assert(!entry->found);
    ck_assert_int_eq(entry->revision, revision);
    ck_assert_int_eq(entry->updated_at, 0);
    ck_assert_str_eq(entry->scope, "");
    ck_assert_str_eq(entry->key, "");
    ck_assert_str_eq(entry->codec, "");
    ck_assert_str_eq(entry->data, "");
    ck_assert_uint_eq(entry->data_size, 0);
    ck_assert_uint_eq(entry->attribute_count, 0);
    stele_entry_close(entry);
}

/* The keys that a list gives, with blanks between; it must end well. */
static inline const char *keys_of(const stele_entries_read *read)
{
    static char keys[8192];
    stele_entries *entries = NULL;
    const stele_entry *entry = NULL;
    size_t used = 0;
    stele_status status;
    keys[0] = '\0';
    assert_status(stele_state_list(store, read, &entries), STELE_OK);
    while ((status = stele_entries_next(entries, &entry)) == STELE_OK)
        used += (size_t)snprintf(keys + used, sizeof(keys) - used, "%s%s", used > 0 ? " " : "",
                                 entry->key);
    assert_status(status, STELE_DONE);
    ck_assert_ptr_null(entry);
    stele_entries_close(entries);
    return keys;
}

static inline stele_identity make_identity(const char *tenant, const char *user,
                                           const char *session, const char *run)
{
    stele_identity identity = STELE_IDENTITY_INIT;
    identity.tenant = tenant;
    identity.user = user;
    identity.session = session;
    identity.run = run;
    return identity;
}

/* A clock that stands where a test puts it. */
static int64_t clock_now;

static inline int64_t read_own_clock(void *context)
{
    (void)context;
    return clock_now;
}

static inline void open_with_own_clock(void)
{
    stele_options options = STELE_OPTIONS_INIT;
    options.clock = read_own_clock;
    clock_now = INT64_C(1000000000000);
    store = open_path(store_path(), &options);
}

#endif
