/**
 * @file stele/state.h
 * State entries: keyed values with revisions, kept beside the log in the same file.
 *
 * An entry is named by its scope and its key, and holds bytes, verbatim, and attributes. Each write
 * gives it the next revision, from 1; a deletion counts as one, so that a key that is used again
 * goes on where it was, and a revision never means two values.
 *
 * A write may carry a *write id*, which names one attempt. Coming again with the same content it
 * writes nothing and answers as the first time, however often the entry was written or deleted
 * since: a late replay can't bring old data back. Ids are remembered, with what is left of deleted
 * entries, until stele_state_forget() is told to forget older ones.
 *
 * Scopes are UTF-8 of 1 to STELE_SCOPE_SIZE_MAX bytes without control characters, keys and write
 * ids such of 1 to STELE_NAME_SIZE_MAX; all are compared by bytes. Scopes starting with '$' are the
 * library's (stele/resume_point.h, stele/session.h) and identities': reading them is open to all,
 * writing is STELE_MISUSE but for the scopes that stele_identity_scope() makes.
 *
 * Times are microseconds since 1970 UTC. Any number of threads and processes may read and write.
 */
#ifndef STELE_STATE_H
#define STELE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/eventstore.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/transaction.h>
#include <stele/work.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The longest scope, in bytes. */
#define STELE_SCOPE_SIZE_MAX 1023
/** Most attributes of an entry. */
#define STELE_ATTRIBUTE_COUNT_MAX 1000
/** For `expected_revision`: the entry must not be there. */
#define STELE_NO_ENTRY ((int64_t)0)

/** A name and a value, both UTF-8 without NUL; the name of 1 to STELE_NAME_SIZE_MAX bytes without
 * control characters, and once in its entry. */
typedef struct stele_attribute {
    const char *name;
    const char *value; /**< NULL is "". */
} stele_attribute;

/* --- Writing --- */

/** An entry to be written. All pointers are borrowed for the call. */
typedef struct stele_put {
    size_t struct_size; /**< Set by the initializer. */
    const char *scope;
    const char *key;
    int64_t expected_revision; /**< STELE_ANY; STELE_NO_ENTRY; or exactly this. STELE_ANY. */
    const char *codec; /**< What `data` is written in: checked like an event's. NULL means "raw". */
    const void *data;  /**< Stored verbatim. */
    size_t data_size;
    const stele_attribute *attributes; /**< All of them: those of before are replaced. */
    size_t attribute_count;
    size_t attribute_size;  /**< sizeof(stele_attribute). */
    const char *write_id;   /**< Names this attempt, within the scope. NULL. */
    const stele_wait *wait; /**< NULL: busy_timeout_ms. In a transaction not looked at. */
} stele_put;

/* clang-format off */
#define STELE_PUT_INIT { sizeof(stele_put), NULL, NULL, STELE_ANY, NULL, NULL, 0, NULL, 0, \
    sizeof(stele_attribute), NULL, NULL }
/* clang-format on */

/** Set `put` to the defaults, as STELE_PUT_INIT does. For bindings. */
STELE_API void stele_put_init(stele_put *put);

/** What became of a write. */
typedef struct stele_written {
    int64_t revision;    /**< Of the entry after the write; of a duplicate, after its first attempt;
                              on STELE_CONFLICT the actual one, 0 when the entry isn't there. */
    int64_t updated_at;  /**< Of that write; 0 on STELE_CONFLICT. */
    bool found;          /**< The entry was there before; of a duplicate, false. */
    bool duplicate;      /**< The write id came before: nothing was written. */
    bool superseded;     /**< A duplicate whose entry was written or deleted since. */
    int64_t reserved[3]; /**< Zero. */
} stele_written;

/**
 * Write an entry: replace its value and attributes, or create it. Writes that come at the same time
 * share a commit.
 *
 * The store's clock gives `updated_at`, and within a scope it grows with every write, so that
 * "newest first" is the order of writing. Only where the clock was set back by more than 5 minutes
 * it falls, once, and grows again from there.
 *
 * @param written_out May be NULL. Set on STELE_OK and STELE_CONFLICT.
 * @return STELE_OK; STELE_CONFLICT (another revision); STELE_KEY_REUSED (the write id came before
 *         in this scope, with another key, content, attributes or kind of write); STELE_TOO_LARGE
 *         (data and attributes beyond value_size_max, or too many of these); STELE_INVALID,
 *         STELE_PRECISION, STELE_UNSUPPORTED (as the codec says of `data`); STELE_MISUSE (a name, a
 *         scope of the library's, an attribute twice); STELE_READ_ONLY; STELE_BUSY;
 *         STELE_CANCELLED; STELE_FULL; STELE_IO; STELE_CORRUPT (the entry's row is damaged: write
 *         it with STELE_ANY and without a write id that came before); STELE_NO_MEMORY;
 * STELE_CLOSED: nothing was written. Only after STELE_UNKNOWN_OUTCOME it may have been.
 */
STELE_API stele_status stele_state_put(stele_store *store, const stele_put *put,
                                       stele_written *written_out);

/** stele_state_put() inside `transaction`: written when that commits. A refusal dooms nothing. */
STELE_API stele_status stele_transaction_state_put(stele_transaction *transaction,
                                                   const stele_put *put,
                                                   stele_written *written_out);

/** An entry to be deleted. */
typedef struct stele_remove {
    size_t struct_size; /**< Set by the initializer. */
    const char *scope;
    const char *key;
    int64_t expected_revision; /**< STELE_ANY, or exactly this. STELE_ANY. */
    const char *write_id;      /**< As in stele_put. NULL. */
    const stele_wait *wait;
} stele_remove;

/* clang-format off */
#define STELE_REMOVE_INIT { sizeof(stele_remove), NULL, NULL, STELE_ANY, NULL, NULL }
/* clang-format on */

/** Set `remove` to the defaults, as STELE_REMOVE_INIT does. For bindings. */
STELE_API void stele_remove_init(stele_remove *remove);

/**
 * Delete an entry: its value and attributes are gone, its name, revision and write ids are kept
 * until stele_state_forget(). One that isn't there is STELE_OK with `found` false, whatever
 * revision was expected; it takes no revision, but its write id is remembered.
 *
 * @return As stele_state_put(), but for what is about content.
 */
STELE_API stele_status stele_state_delete(stele_store *store, const stele_remove *remove,
                                          stele_written *written_out);

/** stele_state_delete() inside `transaction`. */
STELE_API stele_status stele_transaction_state_delete(stele_transaction *transaction,
                                                      const stele_remove *remove,
                                                      stele_written *written_out);

/**
 * Delete all entries of a scope whose key starts with `prefix`, a step at a time.
 *
 * @param prefix    NULL or "": all.
 * @param work      NULL means defaults.
 * @param count_out May be NULL. Receives how many were deleted, on a failure too.
 * @return As stele_state_delete(), and STELE_CANCELLED.
 */
STELE_API stele_status stele_state_clear(stele_store *store, const char *scope, const char *prefix,
                                         const stele_work *work, int64_t *count_out);

/**
 * Forget write ids of writes before `before`, and what is left of entries deleted before it that
 * have no younger id: a retry that old is then written again, and a key that is used again starts
 * at revision 1. Keep them for longer than the latest retry may come. A step at a time, in all
 * scopes.
 *
 * @param before    A time; what was written at it or later is kept.
 * @param work      NULL means defaults.
 * @param count_out May be NULL. Receives how many ids and entries were forgotten.
 * @return As stele_state_clear().
 */
STELE_API stele_status stele_state_forget(stele_store *store, int64_t before,
                                          const stele_work *work, int64_t *count_out);

/* --- Reading --- */

/** An entry as stored. Only lent by pointer; what it points to is its own. */
typedef struct stele_entry {
    bool found; /**< The rest is 0, "" or empty otherwise, but for `revision`. */
    const char *scope;
    const char *key;
    const char *codec;
    int64_t revision; /**< Of an entry that was deleted, that of its deletion; 0: never written. */
    int64_t updated_at;
    const void *data; /**< Never NULL; a NUL follows it that is not counted. */
    size_t data_size;
    const stele_attribute *attributes; /**< In the order of their names' bytes. */
    size_t attribute_count;
} stele_entry;

/** The value of the attribute `name`; NULL when it has none, and for a NULL. */
STELE_API const char *stele_entry_attribute(const stele_entry *entry, const char *name);

/**
 * Get an entry. One that isn't there is STELE_OK with `found` false.
 *
 * @param entry_out Receives a copy of the entry, independent of the store and of other copies;
 *                  close it with stele_entry_close(). NULL unless STELE_OK.
 * @return STELE_OK; STELE_MISUSE; STELE_BUSY; STELE_CORRUPT (its row is damaged); STELE_IO;
 *         STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_state_get(stele_store *store, const char *scope, const char *key,
                                       const stele_entry **entry_out);

/** stele_state_get() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_state_get(stele_transaction *transaction,
                                                   const char *scope, const char *key,
                                                   const stele_entry **entry_out);

/** Free `entry`. NULL is allowed; never fails. Also after the store was closed. */
STELE_API void stele_entry_close(const stele_entry *entry);

/** What is known of a write id. */
typedef struct stele_write {
    bool found; /**< The rest is 0 or "" otherwise. */
    bool deletion;
    bool superseded;  /**< The entry was written or deleted since. */
    int64_t revision; /**< That the write gave the entry. */
    int64_t written_at;
    char key[STELE_NAME_SIZE_MAX + 1];
    int64_t reserved[3]; /**< Zero. */
} stele_write;

/**
 * Look a write id up. One that isn't known is STELE_OK with `found` false.
 *
 * @return As stele_state_get().
 */
STELE_API stele_status stele_state_write(stele_store *store, const char *scope,
                                         const char *write_id, stele_write *write_out);

/** stele_state_write() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_state_write(stele_transaction *transaction,
                                                     const char *scope, const char *write_id,
                                                     stele_write *write_out);

typedef enum stele_entry_order {
    STELE_BY_KEY = 0,      /**< By scope, then by key. */
    STELE_NEWEST_FIRST = 1 /**< By updated_at, the latest first. With a scope only. */
} stele_entry_order;

/** Which entries to list. */
typedef struct stele_entries_read {
    size_t struct_size; /**< Set by the initializer. */
    const char *scope;  /**< NULL: all scopes, the library's too. */
    const char *prefix; /**< Only keys that start so; NULL: all. */
    stele_entry_order order;
    const char *after;     /**< Only what follows the entry of this key, which need not be there any
                                more: for the next page. With a scope only. NULL. */
    int64_t after_updated; /**< With NEWEST_FIRST and `after`: the updated_at it was listed with. */
    uint64_t limit;        /**< Most entries; 0: no limit. */
    bool no_data;          /**< Leave the data out: `data_size` is right, `data` is "". */
    const stele_wait *wait; /**< As in stele_read. NULL. */
} stele_entries_read;

/* clang-format off */
#define STELE_ENTRIES_READ_INIT { sizeof(stele_entries_read), NULL, NULL, STELE_BY_KEY, NULL, 0, 0, \
    false, NULL }
/* clang-format on */

/** Set `read` to the defaults, as STELE_ENTRIES_READ_INIT does. For bindings. */
STELE_API void stele_entries_read_init(stele_entries_read *read);

/** An open list of entries. Read in pages, with no read transaction between calls: an entry that is
 * written meanwhile is seen before or after that; NEWEST_FIRST doesn't see those written after the
 * list was opened, unless the clock is set back meanwhile. Used by one thread at a time. */
typedef struct stele_entries stele_entries;

/**
 * List entries. Deleted ones aren't listed.
 *
 * @param read NULL lists all. Copied, but for `wait`, borrowed until the list is closed.
 * @return STELE_OK; STELE_MISUSE; STELE_BUSY; STELE_CANCELLED; STELE_IO; STELE_NO_MEMORY;
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_state_list(stele_store *store, const stele_entries_read *read,
                                        stele_entries **entries_out);

/** stele_state_list() that sees the writes of `transaction`; the list answers STELE_CLOSED once
 * that is over. */
STELE_API stele_status stele_transaction_state_list(stele_transaction *transaction,
                                                    const stele_entries_read *read,
                                                    stele_entries **entries_out);

/**
 * The next entry, borrowed until the next call.
 *
 * @return STELE_OK, STELE_DONE, STELE_CORRUPT (naming the entry whose row is damaged; repeated by
 *         every later call), STELE_BUSY, STELE_CANCELLED, STELE_IO, STELE_NO_MEMORY, STELE_MISUSE,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_entries_next(stele_entries *entries, const stele_entry **entry_out);

/** Close `entries`. NULL is allowed; never fails. */
STELE_API void stele_entries_close(stele_entries *entries);

/* --- Identities --- */

/** Whose state it is. */
typedef struct stele_identity {
    size_t struct_size; /**< Set by the initializer. */
    const char *tenant;
    const char *user;
    const char *session;
    const char *run; /**< NULL or "": none. */
} stele_identity;

/* clang-format off */
#define STELE_IDENTITY_INIT { sizeof(stele_identity), NULL, NULL, NULL, NULL }
/* clang-format on */

/** Set `identity` to the defaults, as STELE_IDENTITY_INIT does. For bindings. */
STELE_API void stele_identity_init(stele_identity *identity);

/**
 * The scope of an identity: two different ones never have the same. It fails closed: without a
 * tenant, a user and a session there is no scope, and nothing can be read or written by mistake.
 *
 * It is "$identity/" and the parts, each but for letters, digits, '-', '.', '_' and bytes beyond
 * ASCII escaped as "%2F", with '/' between them.
 *
 * @param scope    Receives the scope and a NUL; "" unless STELE_OK.
 * @param capacity At least STELE_SCOPE_SIZE_MAX + 1.
 * @return STELE_OK; STELE_MISUSE (a part that is missing or empty, named in the text; one that
 * isn't a name; a NULL; `capacity` too small); STELE_TOO_LARGE (the scope is beyond
 *         STELE_SCOPE_SIZE_MAX).
 */
STELE_API stele_status stele_identity_scope(const stele_identity *identity, char *scope,
                                            size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
