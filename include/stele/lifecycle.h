/**
 * @file stele/lifecycle.h
 * The life of a stream: archive, restore, tombstone, delete.
 *
 *     active --archive--> archived --restore--> active
 *     active --tombstone--> tombstoned        closed for good, still readable
 *     any    --delete--> gone                 erased; the name is free for a new stream
 *
 * Archiving closes a stream for appends. In place its events stay readable; into another store
 * their payloads are moved there, and a *husk* stays at each position: so positions are dense for
 * ever, and a restored stream has its own positions and versions back. A deletion leaves husks,
 * too.
 *
 * Each change appends one event to the stream `$stele` in its transaction, of the types
 * "stream-archived", "stream-restored", "stream-tombstoned" and "stream-deleted", so that readers
 * of all events (with `system`) learn of it. It names the stream by its id alone, since a name or
 * reason would outlive its deletion: see stele_record.stream_id and stele_stream_info.id.
 *
 * Long work is done in steps (work.h). Cut short - by a cancel, a crash, a loss of power - it is
 * resumed when the store is next opened for writing, by stele_store_resume(), or by the same call
 * again. Nothing is lost or doubled meanwhile: an event that moves is in exactly one place for a
 * reader of both.
 *
 * Threads. As for the store: any thread; several processes may do it at once.
 * docs/lifecycle.md has the table of every state and operation.
 */
#ifndef STELE_LIFECYCLE_H
#define STELE_LIFECYCLE_H

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

/** The longest reason of a tombstone or archiving, in bytes of UTF-8. */
#define STELE_REASON_SIZE_MAX 1000

/** What a change did. Set also when it was cancelled or failed after its beginning. */
typedef struct stele_changed {
    bool changed;        /**< False: the stream was in that state already, or a dry run. */
    bool finished;       /**< Nothing is left to be resumed. */
    int64_t version;     /**< Of the stream. */
    int64_t position;    /**< Of the event in `$stele`; 0 for none. */
    int64_t events;      /**< Whose payloads were moved or erased by this call; dry: would be. */
    int64_t bytes;       /**< Of these payloads. */
    int64_t reserved[4]; /**< Zero. */
} stele_changed;

/** Close a stream for appends until it is restored. */
typedef struct stele_archive {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    int64_t expected_version; /**< The version last seen, STELE_STREAM_EXISTS or STELE_ANY. */
    const char *reason;       /**< Kept with the stream until it changes again; NULL for none. */
    /** The store that gets the payloads; NULL: they stay in place. It keeps them apart from its own
     * log, for any number of stores. Not this store itself; durability full; opened for writing. */
    stele_store *to;
    bool dry_run;           /**< Check and count; change nothing. */
    const stele_work *work; /**< NULL: defaults. */
} stele_archive;

#define STELE_ARCHIVE_INIT                                                                         \
    {                                                                                              \
        sizeof(stele_archive), NULL, STELE_ANY, NULL, NULL, false, NULL                            \
    }

STELE_API void stele_archive_init(stele_archive *archive);

/**
 * Archive a stream: appends to it are STELE_ARCHIVED from now on.
 *
 * With `to` its payloads are moved there in steps: the stream is closed here; copied, read back and
 * compared there, durably; and only then replaced by husks here. A stream that is archived in place
 * may be moved later. Reading moved events is STELE_ARCHIVED, unless the archive is attached
 * (stele_store_attach()).
 *
 * @param changed_out May be NULL.
 * @return STELE_OK (also when it was archived so already); STELE_NOT_FOUND (no such stream);
 *         STELE_TOMBSTONED; STELE_ARCHIVED (it is in another archive than `to`); STELE_CONFLICT
 * (not at the expected version; `changed_out->version` is the actual one); STELE_UNSUPPORTED (`to`
 *         is relaxed, or in memory while this store isn't); STELE_CANCELLED; STELE_MISUSE;
 *         STELE_READ_ONLY; STELE_BUSY (also when somebody else has begun just now); STELE_FULL;
 *         STELE_IO; STELE_CORRUPT (a payload is damaged here, or came back different there: nothing
 * is taken away); STELE_NO_MEMORY; STELE_UNKNOWN_OUTCOME; STELE_CLOSED (this store or the archive).
 */
STELE_API stele_status stele_store_archive(stele_store *store, const stele_archive *archive,
                                           stele_changed *changed_out);

/** stele_store_archive() in place inside `transaction`: `to` and `work` must be NULL. */
STELE_API stele_status stele_transaction_archive(stele_transaction *transaction,
                                                 const stele_archive *archive,
                                                 stele_changed *changed_out);

/** Open an archived stream again. */
typedef struct stele_restore {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    int64_t expected_version;
    /** The store that has the payloads; NULL: an attached one, or the one that lies where it was
     * when the stream was archived. Opened for writing. */
    stele_store *from;
    bool dry_run;
    const stele_work *work; /**< NULL: defaults. */
} stele_restore;

#define STELE_RESTORE_INIT                                                                         \
    {                                                                                              \
        sizeof(stele_restore), NULL, STELE_ANY, NULL, false, NULL                                  \
    }

STELE_API void stele_restore_init(stele_restore *restore);

/**
 * Restore a stream: its payloads come back to their own positions, each compared with the hash that
 * stayed there; then it takes appends again, and the copies in the archive are deleted.
 *
 * @param changed_out May be NULL.
 * @return STELE_OK (also when it was active); STELE_NOT_FOUND (no such stream); STELE_TOMBSTONED;
 *         STELE_CONFLICT; STELE_ARCHIVED (the archive isn't where it was: give `from`, which the
 *         text names by uuid and last path); STELE_CORRUPT (a payload in the archive is damaged or
 *         missing: what came before it is back); else as stele_store_archive().
 */
STELE_API stele_status stele_store_restore(stele_store *store, const stele_restore *restore,
                                           stele_changed *changed_out);

/** stele_store_restore() of a stream archived in place, inside `transaction`: STELE_ARCHIVED when
 * its payloads are elsewhere; `from` and `work` must be NULL. */
STELE_API stele_status stele_transaction_restore(stele_transaction *transaction,
                                                 const stele_restore *restore,
                                                 stele_changed *changed_out);

/** Close a stream for good. */
typedef struct stele_tombstone {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    int64_t expected_version;
    const char *reason; /**< Required; UTF-8 of 1 to STELE_REASON_SIZE_MAX bytes, no NUL. */
    bool dry_run;
    const stele_wait *wait; /**< NULL: busy_timeout_ms. Not looked at in a transaction. */
} stele_tombstone;

#define STELE_TOMBSTONE_INIT                                                                       \
    {                                                                                              \
        sizeof(stele_tombstone), NULL, STELE_ANY, NULL, false, NULL                                \
    }

STELE_API void stele_tombstone_init(stele_tombstone *tombstone);

/**
 * Tombstone a stream: it stays readable, and appends are STELE_TOMBSTONED for ever. The reason and
 * the time are part of its stele_stream_info.
 *
 * @param changed_out May be NULL.
 * @return STELE_OK; STELE_NOT_FOUND (no such stream); STELE_ARCHIVED (restore it first);
 *         STELE_TOMBSTONED (it was before: the first reason stays); STELE_CONFLICT; STELE_TOO_LARGE
 *         (the reason); STELE_MISUSE; STELE_READ_ONLY; STELE_BUSY; STELE_FULL; STELE_IO;
 *         STELE_CORRUPT; STELE_CANCELLED; STELE_NO_MEMORY; STELE_UNKNOWN_OUTCOME; STELE_CLOSED.
 */
STELE_API stele_status stele_store_tombstone(stele_store *store, const stele_tombstone *tombstone,
                                             stele_changed *changed_out);

/** stele_store_tombstone() inside `transaction`. */
STELE_API stele_status stele_transaction_tombstone(stele_transaction *transaction,
                                                   const stele_tombstone *tombstone,
                                                   stele_changed *changed_out);

/** Erase a stream. */
typedef struct stele_delete {
    size_t struct_size; /**< Set by the initializer. */
    const char *stream;
    int64_t expected_version;
    /** The store that has its payloads, if they were moved; NULL: as stele_restore.from. */
    stele_store *archive;
    bool leave_archived; /**< Go on without an archive that isn't there; stele_store_resume() erases
                              the copies in it later. */
    bool now; /**< Also scrub the file and the WAL, and the archive: stele_store_scrub(). */
    bool dry_run;
    const stele_work *work; /**< NULL: defaults. */
} stele_delete;

#define STELE_DELETE_INIT                                                                          \
    {                                                                                              \
        sizeof(stele_delete), NULL, STELE_ANY, NULL, false, false, false, NULL                     \
    }

STELE_API void stele_delete_init(stele_delete *what);

/**
 * Delete a stream, whatever its state.
 *
 * The first commit frees its name, so that every reader answers STELE_NOT_FOUND and a new stream of
 * that name begins at version 1; it takes along the tombstone, the reason, the stream's snapshots
 * and what was parked of it. The payloads, their hashes and times given by callers are then written
 * over and replaced by husks, step by step. Idempotency keys stay, without what their content was:
 * a late retry answers `duplicate` and `erased`. So don't put what must be erasable into keys,
 * names of types, or metadata of other streams.
 *
 * Without `now`, remains may be read from the raw file and WAL until these were written over. What
 * is resumed after a cut is the erasing, not the scrubbing: for that call stele_store_scrub().
 *
 * @param changed_out May be NULL.
 * @return STELE_OK; STELE_NOT_FOUND (no such stream); STELE_CONFLICT; STELE_ARCHIVED (its payloads
 * are in an archive that isn't where it was: nothing is changed, unless leave_archived); else as
 *         stele_store_archive(). After a failure with `changed` set the name is gone, and the rest
 *         will be resumed.
 */
STELE_API stele_status stele_store_delete(stele_store *store, const stele_delete *what,
                                          stele_changed *changed_out);

/** The first commit's part of stele_store_delete() inside `transaction`; erasing the payloads is
 * left to stele_store_resume(), or the next open. `archive` and `work` must be NULL, `now` false; a
 * stream in an archive needs `leave_archived`. */
STELE_API stele_status stele_transaction_delete(stele_transaction *transaction,
                                                const stele_delete *what,
                                                stele_changed *changed_out);

/* --- Archives and unfinished work --- */

/**
 * Let `store` read archived payloads from `archive`, which may be opened read_only: reads of all
 * events and of moved streams then give them as if they had never left.
 *
 * @param archive Held until stele_store_detach() or the store's memory goes. Closing it makes such
 *                reads STELE_CLOSED.
 * @return STELE_OK (also when attached already); STELE_MISUSE (a NULL, or the store itself);
 *         STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_store_attach(stele_store *store, stele_store *archive);

/** Stop reading from `archive`; one that isn't attached is fine. A page being read ends with it.
 * @return STELE_OK, STELE_MISUSE, STELE_CLOSED. */
STELE_API stele_status stele_store_detach(stele_store *store, stele_store *archive);

/** Where a stream's payloads are. Only lent by pointer. */
typedef struct stele_archived {
    const char *stream; /**< NULL when it was deleted here, and the copies there not yet. */
    int64_t stream_id;
    int64_t first_version;
    int64_t last_version;
    const char *archive; /**< The uuid of that store. */
    const char *hint; /**< Its path when the stream was archived; "" when it was in memory, and in
                           a store that was recovered from a backup. */
    bool unfinished;  /**< It is just being moved, brought back or deleted. */
} stele_archived;

/** An open list of archived streams. Used by one thread at a time. */
typedef struct stele_archives stele_archives;

/** List the streams whose payloads are in archives, by stream id. Sees what is there now.
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 * STELE_CLOSED. */
STELE_API stele_status stele_store_archives(stele_store *store, stele_archives **archives_out);

/** stele_store_archives() that sees the writes of `transaction`. */
STELE_API stele_status stele_transaction_archives(stele_transaction *transaction,
                                                  stele_archives **archives_out);

/** The next one, borrowed until the next call. @return STELE_OK, STELE_DONE, STELE_MISUSE,
 * STELE_CLOSED. */
STELE_API stele_status stele_archives_next(stele_archives *archives,
                                           const stele_archived **archived_out);

/** Close `archives`. NULL is allowed; never fails. */
STELE_API void stele_archives_close(stele_archives *archives);

/** How to go on with what was cut short. */
typedef struct stele_resume {
    size_t struct_size;   /**< Set by the initializer. */
    stele_store *archive; /**< One that may be needed; NULL: attached ones, and where they were. */
    const stele_work *work; /**< NULL: defaults. */
} stele_resume;

#define STELE_RESUME_INIT                                                                          \
    {                                                                                              \
        sizeof(stele_resume), NULL, NULL                                                           \
    }

STELE_API void stele_resume_init(stele_resume *resume);

/** What stele_store_resume() did. */
typedef struct stele_resumed {
    int64_t found;       /**< Streams with unfinished work. */
    int64_t finished;    /**< Of these, now finished. */
    int64_t waiting;     /**< Of these, need an archive that isn't there. */
    int64_t reserved[4]; /**< Zero. */
} stele_resumed;

/**
 * Finish the archivings, restorations and deletions that were cut short. Opening a store for
 * writing does it (stele_options.no_resume leaves it).
 *
 * An archive is opened for writing by its last path only when it knows the very move that is to be
 * finished, so that a forged store file can't make this write into other stores.
 *
 * @param resume      NULL means defaults.
 * @param resumed_out May be NULL. Set also on failure.
 * @return STELE_OK (also when some have to wait); else as stele_store_archive() for the first that
 *         failed, the others having been tried.
 */
STELE_API stele_status stele_store_resume(stele_store *store, const stele_resume *resume,
                                          stele_resumed *resumed_out);

#ifdef __cplusplus
}
#endif

#endif
