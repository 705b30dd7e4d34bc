/**
 * @file stele/backup.h
 * Copies of a whole store while it is in use, and stores made from such copies.
 *
 * A backup is one file that is complete by itself. It bears a stamp: the head and the epoch that it
 * was made at. As a store it can only be read; recovering makes a store of it, under another name
 * and with a new epoch, so that consumers that had come further than its head get STELE_EPOCH
 * instead of taking new events for those they have seen. docs/backup.md has the drill.
 */
#ifndef STELE_BACKUP_H
#define STELE_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>
#include <stele/store.h>
#include <stele/work.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Make a backup. */
typedef struct stele_backup {
    size_t struct_size; /**< Set by the initializer. */
    const char *path;   /**< Where; no file of that name may exist, nor one beside it that SQLite or
                             the library would take for its own (-wal, -shm, -journal, -anchor). */
    bool unverified;    /**< Don't verify it. Half as much work, and no proof. */
    const stele_work *work; /**< A step is step_count_max pages or step_size_max bytes; NULL:
                                 defaults. */
} stele_backup;

#define STELE_BACKUP_INIT                                                                          \
    {                                                                                              \
        sizeof(stele_backup), NULL, false, NULL                                                    \
    }

/** Set `backup` to the defaults, as STELE_BACKUP_INIT does. For bindings. */
STELE_API void stele_backup_init(stele_backup *backup);

/** A backup that was made. */
typedef struct stele_backed_up {
    int64_t head;         /**< Its last position; 0 when empty. */
    char uuid[37];        /**< Of the store. */
    char epoch[37];       /**< That the backup is of. */
    int64_t made_at;      /**< Microseconds since 1970 UTC, by the system's clock. */
    int64_t bytes;        /**< Of the file. */
    uint64_t pages;       /**< Copied, those that were copied again included. */
    uint64_t restarts;    /**< Times that other processes' commits made the copy begin again. */
    uint64_t checks;      /**< Checks that it passed; 0 when unverified. */
    uint64_t reserved[4]; /**< Zero. */
} stele_backed_up;

/**
 * Copy the whole store, with all that was committed until the last step.
 *
 * Appends go on between the steps, each of which takes a turn as a writer does, and what they store
 * comes along. Commits of other processes make the copy begin again; after three times, or when the
 * store grows faster than it is copied, it is made of one snapshot, during which the WAL isn't
 * moved (and, on a handle that keeps no WAL, writers wait). A store that was opened for reading is
 * always copied so.
 *
 * The copy grows as `<path>-partial` (0600, removed on failure; one that a crash has left there is
 * replaced), is stamped, synced, opened and verified with every check (but what `projections` finds
 * keeps nobody from a copy: places are the user's to set), and only then gets its name, which it
 * never takes from another file. When this returns STELE_OK it survives power loss.
 *
 * What streams have in archives is in the archives' files: back those up, too.
 *
 * @param out May be NULL. Set on STELE_OK.
 * @return STELE_OK; STELE_MISUSE (an argument; a file that is in the way, which the text names; a
 *         transaction of this thread is open; on a wrapped handle: one of yours);
 *         STELE_NOT_FOUND (no such folder); STELE_CORRUPT (a check failed: the store is damaged;
 *         nothing is left of the copy); STELE_BUSY (a writer kept its turn for too long, or another
 *         backup to this path is in progress); STELE_CANCELLED; STELE_READ_ONLY (the folder);
 *         STELE_FULL; STELE_UNSUPPORTED (the copy can't use WAL); STELE_IO; STELE_NO_MEMORY;
 *         STELE_CLOSED (also while it runs).
 */
STELE_API stele_status stele_store_backup(stele_store *store, const stele_backup *backup,
                                          stele_backed_up *out);

/** Make a store of a backup. */
typedef struct stele_recover {
    size_t struct_size;     /**< Set by the initializer. */
    const char *backup;     /**< The backup, or the file of a store that nobody has open. */
    const char *path;       /**< The new store; as stele_backup.path it may not exist. */
    bool damaged;           /**< Go on although checks fail, with what is there. */
    const stele_work *work; /**< NULL: defaults. */
} stele_recover;

#define STELE_RECOVER_INIT                                                                         \
    {                                                                                              \
        sizeof(stele_recover), NULL, NULL, false, NULL                                             \
    }

/** Set `recover` to the defaults, as STELE_RECOVER_INIT does. For bindings. */
STELE_API void stele_recover_init(stele_recover *recover);

/** A store that was recovered. */
typedef struct stele_recovered {
    int64_t head;         /**< Its last position, after which the new epoch begins. */
    char uuid[37];        /**< The store's, as before. */
    char old_epoch[37];   /**< The backup's. */
    char epoch[37];       /**< The new one. */
    int64_t made_at;      /**< When the backup was made; 0: it bears no stamp. */
    int64_t bytes;        /**< Of the new file. */
    uint64_t checks;      /**< Checks of the backup. */
    uint64_t failures;    /**< Of these, failed; set on STELE_CORRUPT, too. */
    uint64_t reserved[4]; /**< Zero. */
} stele_recovered;

/**
 * Verify a backup as it was when it was made, and copy it to a new file, which becomes a store: the
 * same uuid, the same log, a new epoch at its head. The backup isn't changed, and no file is
 * written over; the new one appears under its name when it is whole and durable.
 *
 * The new store knows no paths of archives, since the store that it is a copy of may still use
 * them: give one where it is needed.
 *
 * The backup's folder need not be writable. A WAL beside a backup is not its own: STELE_CORRUPT.
 *
 * @param out May be NULL. Set on STELE_OK; `checks` and `failures` on STELE_CORRUPT, too.
 * @return STELE_OK; STELE_NOT_FOUND (no such backup, or folder); STELE_CORRUPT (not a store, its
 *         schema was tampered with, or a check fails and `damaged` isn't set: the text names the
 *         first); STELE_MISUSE (an argument, a file in the way); STELE_UNSUPPORTED (a newer
 *         format); STELE_BUSY; STELE_CANCELLED; STELE_READ_ONLY (the new folder); STELE_FULL;
 *         STELE_IO; STELE_NO_MEMORY.
 */
STELE_API stele_status stele_recover_backup(const stele_recover *recover, stele_recovered *out);

#ifdef __cplusplus
}
#endif

#endif
