/**
 * @file stele/session.h
 * Session memory: what was said in a session, one slot per tenant, user, session and, if wanted,
 * run.
 *
 * Every call names the identity whose slot it means. One without a tenant, a user or a session
 * fails closed: the call is STELE_MISUSE, nothing is read or written, and an event that names the
 * operation and what was missing is appended to an ordinary stream, so that it can be audited. So
 * is one with a part that isn't a name. When that can't be recorded, the call fails all the same,
 * and stele_error_text() says so.
 *
 * What a slot keeps is said by the strategy of the memory:
 *
 * - "none": nothing; turns are taken and forgotten;
 * - "truncation": the latest turns, within bounds of count and bytes; older ones are dropped.
 *
 * A slot is stored as a JSON text,
 * `{"strategy":"truncation","turns":[{"role":"user","text":"..."}]}`, which comes back byte for
 * byte as it was stored.
 *
 * There is no form of these calls inside a transaction.
 *
 * Threads. A memory may be shared by any number of threads; several processes may use one file.
 */
#ifndef STELE_SESSION_H
#define STELE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/buffer.h>
#include <stele/state.h>
#include <stele/status.h>
#include <stele/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How to open a memory. */
typedef struct stele_session_options {
    size_t struct_size;       /**< Set by the initializer. */
    const char *strategy;     /**< "none" or "truncation". "none". */
    uint32_t turn_count_max;  /**< With "truncation": most turns kept; at least 1. 100. */
    uint32_t slot_size_max;   /**< With "truncation": most bytes of roles and texts kept, though the
                                   last turn always is; at least 1. 64 KiB. */
    const char *audit_stream; /**< Where refused identities are recorded. "session_audit". */
} stele_session_options;

/* clang-format off */
#define STELE_SESSION_OPTIONS_INIT { sizeof(stele_session_options), "none", 100, 64 * 1024, \
    "session_audit" }
/* clang-format on */

/** Set `options` to the defaults, as STELE_SESSION_OPTIONS_INIT does. For bindings. */
STELE_API void stele_session_options_init(stele_session_options *options);

/** The type of the event that records a refused identity: `{"operation":"flush","missing":["user"],
 * "tenant":"acme","session":"s1"}`, with the parts that were given. Those that aren't names are
 * left out and listed as `"invalid":["run"]`. The operations are "add", "read", "flush",
 * "snapshot", "restore" and "health". */
#define STELE_SESSION_REFUSED_TYPE "identity-refused"

/** An open memory. */
typedef struct stele_session_memory stele_session_memory;

/**
 * Open the session memory of `store`.
 *
 * @param options    NULL means STELE_SESSION_OPTIONS_INIT. Copied, strings too.
 * @param memory_out Receives the memory; close it with stele_session_close().
 * @return STELE_OK; STELE_UNSUPPORTED (no such strategy; the text names it and those that are);
 *         STELE_MISUSE; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_session_open(stele_store *store, const stele_session_options *options,
                                          stele_session_memory **memory_out);

/** Close `memory`, when no other thread uses it. NULL is allowed; never fails. Nothing stored is
 * lost. Once the store is closed, every other call on it is STELE_CLOSED. */
STELE_API void stele_session_close(stele_session_memory *memory);

/* In what follows: @return ... STELE_MISUSE of an identity that isn't complete, with the missing
 * parts in the text; STELE_TOO_LARGE of one whose scope is too long; what writing an entry answers
 * (stele_state_put()), and what reading one does (stele_state_get()); STELE_INVALID of adding to
 * and reading a slot that isn't of this form, or of another strategy (stele_session_health()). As
 * with all calls that write, doing so around a transaction of one's own thread is STELE_MISUSE. */

/**
 * Add a turn at the end of the slot: read, added to and stored in one transaction, so that none is
 * lost. Under "none" it is checked, and nothing is written. After STELE_UNKNOWN_OUTCOME read the
 * slot before adding the turn again.
 *
 * @param role Who said it; a name.
 * @param text UTF-8 without NUL.
 * @return STELE_OK; STELE_TOO_LARGE; STELE_MISUSE; and as above.
 */
STELE_API stele_status stele_session_add(stele_session_memory *memory,
                                         const stele_identity *identity, const char *role,
                                         const char *text);

/** A turn. */
typedef struct stele_turn {
    const char *role;
    const char *text;
} stele_turn;

/** What a slot holds. Only lent by pointer; what it points to is its own. */
typedef struct stele_session_turns {
    const stele_turn *turns; /**< The oldest first. */
    size_t count;
    size_t size;      /**< Bytes of roles and texts. */
    int64_t revision; /**< Of the slot; 0: nothing is stored. */
} stele_session_turns;

/** The turns of the slot; none of an empty one. Close it with stele_session_turns_close(). */
STELE_API stele_status stele_session_read(stele_session_memory *memory,
                                          const stele_identity *identity,
                                          const stele_session_turns **turns_out);

/** Free `turns`. NULL is allowed; never fails. */
STELE_API void stele_session_turns_close(const stele_session_turns *turns);

/** Empty the slot. An empty one is fine. What stays is a row with the identity's scope, until
 * stele_state_forget(). */
STELE_API stele_status stele_session_flush(stele_session_memory *memory,
                                           const stele_identity *identity);

/**
 * The slot's bytes, as they are stored; of one that isn't, an empty snapshot of the strategy.
 *
 * @param buffer Receives them at its end; as it was unless STELE_OK.
 */
STELE_API stele_status stele_session_snapshot(stele_session_memory *memory,
                                              const stele_identity *identity, stele_buffer *buffer);

/**
 * Replace the slot by a snapshot, which is then stored byte for byte.
 *
 * @param data What stele_session_snapshot() gave, of any store. Of size 0: an empty slot. A
 * snapshot without turns is taken of the memory's own strategy only.
 * @return STELE_OK; STELE_INVALID (not JSON, not of this form, of another strategy, or with turns
 *         under "none"; the text says which): nothing is changed; and as above.
 */
STELE_API stele_status stele_session_restore(stele_session_memory *memory,
                                             const stele_identity *identity, const void *data,
                                             size_t size);

typedef enum stele_session_state {
    STELE_SESSION_HEALTHY = 0,
    STELE_SESSION_DEGRADED = 1 /**< The slot is stored, but damaged, not of this form, or of another
                                    strategy: flush or restore it. */
} stele_session_state;

/** Whether the slot can be used. `reason_out` (may be NULL) receives why it can't, borrowed until
 * the next stele call on this thread; "" when it can. */
STELE_API stele_status stele_session_health(stele_session_memory *memory,
                                            const stele_identity *identity,
                                            stele_session_state *state_out,
                                            const char **reason_out);

#ifdef __cplusplus
}
#endif

#endif
