/**
 * @file stele/store.h
 * An append-only store of events in one SQLite file: opening, describing and closing it.
 *
 * What will hurt if you forget it:
 * - One host: WAL needs shared memory, so never put the file on a network filesystem.
 * - Never open, copy or lock the file, its -wal or its -shm by other means while a store is open:
 *   one close() of a second descriptor drops every lock that SQLite holds in this process.
 * - After fork() a child must not use an inherited store: each call answers STELE_MISUSE there,
 *   and stele_store_close() only frees memory. A child of a process that had a file's store open
 *   can't open any either (STELE_MISUSE), until it calls exec: SQLite in it believes that it holds
 *   its parent's locks. Fork first, then open.
 *
 * Ownership. What a function hands out through an `_out` parameter is owned by the caller and ends
 * with the matching `_close` or `_end`. What it returns or lends as a `const` pointer is borrowed,
 * until the moment its comment names.
 *
 * Threads. A store may be shared by any number of threads; a cursor or transaction opened from it
 * is used by one thread at a time. Several processes may open one file.
 *
 * Options. Each options struct starts with its own size: begin with its `_INIT` macro or `_init`
 * function. NULL means all defaults; a zero size is STELE_MISUSE; a smaller size, from a program
 * compiled against an older header, gets defaults for the rest; a larger size, from a newer one, is
 * accepted as long as what this library doesn't know is zero.
 */
#ifndef STELE_STORE_H
#define STELE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An open store. */
typedef struct stele_store stele_store;

/** The file format that this library writes. */
#define STELE_FORMAT 1

/** The longest name of a stream, type, codec or checkpoint, and the longest key, in bytes. */
#define STELE_NAME_SIZE_MAX 255

/** What an OK from append promises. */
typedef enum stele_durability {
    STELE_DURABILITY_FULL = 0,   /**< The events survive power loss (synchronous=FULL). */
    STELE_DURABILITY_RELAXED = 1 /**< Power loss may take the last moments; never the order. */
} stele_durability;

/** How to open a store. */
typedef struct stele_options {
    size_t struct_size;       /**< Set by the initializer; says which fields exist. */
    uint32_t busy_timeout_ms; /**< How long to wait for another process's writer. 5000. */
    uint32_t event_size_max;  /**< data + metadata beyond this is TOO_LARGE. 1 MiB; at most 64. */
    stele_durability durability;
    bool read_only;     /**< Never change the database's content. */
    bool immutable;     /**< With read_only: promise that nobody writes (unwritable folders). */
    bool must_exist;    /**< A missing file is STELE_NOT_FOUND instead of being created. */
    bool no_migrate;    /**< An older format, or a new file, is STELE_UNSUPPORTED. */
    bool strict_schema; /**< Refuse any table, index, view or trigger that isn't ours. */
    uint32_t wal_soft_pages; /**< Transfer the WAL into the file beyond this. 8000 pages, 32 MB. */
    uint32_t reader_max;     /**< Most pooled read connections; more readers wait. 16. */
    /** The clock behind recorded_at and saved_at, in microseconds since 1970 UTC; called under the
     * write lock on the writing thread; may call nothing of the store. NULL means the system's. */
    int64_t (*clock)(void *context);
    void *clock_context;
    /** Beyond this many WAL pages a transfer lets no new read begin before it has tried, and waits
     * ten times as long for readers of other processes. 32000 pages, 128 MB. */
    uint32_t wal_hard_pages;
    uint32_t group_count_max;  /**< Most appends that share a commit. 256. */
    uint32_t group_size_max;   /**< Most bytes of them, but at least one append. 4 MiB. */
    uint32_t submit_count_max; /**< Most submissions that wait; see submit.h. 1024. */
    uint32_t submit_size_max;  /**< Most bytes of them. 16 MiB. */
    /** How often `<path>-anchor` is renewed while writing. The loss of what was committed since the
     * last renewal goes unnoticed; after the last write that comes when the WAL is moved, at the
     * next write, or at closing. 1000. */
    uint32_t anchor_interval_ms;
    bool committer;   /**< Start a thread that commits what is submitted. */
    bool maintenance; /**< Start a thread that moves the WAL, off the appenders' path. */
    bool accept_loss; /**< Go on with a store whose anchor says that it lost events: a new epoch
                           begins at the head that is left. */
    bool network_filesystem; /**< Open it there all the same: only safe for one process at a time
                                  on one host, if at all. */
    bool no_resume;          /**< Leave unfinished archiving, restoring and deleting as it is; see
                                  stele_store_resume(). */
    uint32_t value_size_max; /**< Largest snapshot or state entry: data + metadata or attributes;
                                  beyond is STELE_TOO_LARGE. At most 64 MiB. 16 MiB. */
    /** While somebody waits for events: how often a look is taken for commits of others, as
     * stele/notify.h says. 1 to 60000; 50. */
    uint32_t poll_interval_ms;
    uint32_t poll_floor_ms; /**< The same right after such a commit. At most that interval; 5. */
} stele_options;

/* clang-format off */
#define STELE_OPTIONS_INIT { sizeof(stele_options), 5000, 1024 * 1024, STELE_DURABILITY_FULL, \
    false, false, false, false, false, 8000, 16, NULL, NULL, 32000, 256, 4 * 1024 * 1024, 1024, \
    16 * 1024 * 1024, 1000, false, false, false, false, false, 16 * 1024 * 1024, 50, 5 }
/* clang-format on */

/** For `timeout_ms`: as long as the store's busy_timeout_ms says. */
#define STELE_TIMEOUT_DEFAULT UINT32_MAX

/** How long a call may wait, and how it can be stopped. Borrowed for the call; by a cursor or a
 * list of entries, as long as that is open. */
typedef struct stele_wait {
    size_t struct_size;  /**< Set by the initializer. */
    uint32_t timeout_ms; /**< In all; 0: don't wait; STELE_TIMEOUT_DEFAULT. */
    /** Called on the waiting thread about every 20 ms while the call waits or reads on and on;
     * non-zero ends it with STELE_CANCELLED, as if it had not begun. May call nothing of the
     * library. NULL: nobody is asked. */
    int (*progress)(void *context);
    void *context;
} stele_wait;

#define STELE_WAIT_INIT                                                                            \
    {                                                                                              \
        sizeof(stele_wait), STELE_TIMEOUT_DEFAULT, NULL, NULL                                      \
    }

/** Set `wait` to the defaults, as STELE_WAIT_INIT does. For bindings. */
STELE_API void stele_wait_init(stele_wait *wait);

/** Set `options` to the defaults, as STELE_OPTIONS_INIT does. For bindings. */
STELE_API void stele_options_init(stele_options *options);

/**
 * Open the store at `path`, creating the file and bringing its schema up to date.
 *
 * A new file is readable by its owner alone (0600). An existing one is checked: that it is a stele
 * file of a known format, that our tables are exactly ours, and that nothing foreign (trigger,
 * index, foreign key) hangs on them. Triggers and views of others never run on our connections.
 *
 * `<path>-anchor` beside it says what must still be there. If that is lost (a lost WAL, an old
 * copy), the store opens for reading, and each write answers STELE_READ_ONLY and says what is
 * missing; opening with `accept_loss` begins a new epoch at the head that is left. The same holds
 * for a backup (stele/backup.h), whatever the anchor says.
 *
 * On failure `*store_out` is NULL and there is nothing to close.
 *
 * @param path      UTF-8 file name, or ":memory:" for a private store that ends with the handle.
 *                  The last component must not be a link; "file:" URIs are refused.
 * @param options   NULL means STELE_OPTIONS_INIT. Copied.
 * @param store_out Receives the store; close it with stele_store_close().
 * @return STELE_OK, or
 *         STELE_NOT_FOUND (no file, and must_exist or read_only; or no such folder),
 *         STELE_BUSY (another process kept the file locked),
 *         STELE_CORRUPT (damaged, not a stele file, its schema was tampered with, or the WAL beside
 *         it is another file's, as any beside a backup is),
 *         STELE_UNSUPPORTED (a newer format, of the anchor too; an unmigrated file with no_migrate
 * or read_only; a folder that needs `immutable`; `immutable` beside a WAL), STELE_READ_ONLY (the
 * file, its folder or its disk may not be written to), STELE_FULL, STELE_IO, STELE_NO_MEMORY, or
 * STELE_MISUSE (an argument).
 */
STELE_API stele_status stele_store_open(const char *path, const stele_options *options,
                                        stele_store **store_out);

struct sqlite3;

/**
 * Open a store on a SQLite handle of your own, which does the writing: so that one connection has
 * your tables and the events. Its file must be a store or empty; then it becomes one. Readers are
 * connections of the store's own to the same file. A handle on a database in memory, or a temporary
 * one, works as ":memory:" does: it also does the reading.
 *
 * Yours remains: the handle, which must outlive the store, and isn't closed with it; its hooks,
 * authorizer, progress handler and busy handler, none of which is touched, so that a call may wait
 * as long as your busy handler does; its triggers, views, foreign_keys, trusted_schema, limits and
 * journal mode. Your SQL goes on working between the calls, and inside a stele_transaction: there
 * without BEGIN, COMMIT and ROLLBACK. It is not kept from stele's tables: leave those alone.
 *
 * Changed until stele_store_close() puts them back: synchronous (raised to what the durability
 * needs, and again before each write), secure_delete (on), wal_autocheckpoint (0, unless it was 0;
 * the store moves the WAL when it writes) and SQLITE_DBCONFIG_DEFENSIVE (on). Set them before.
 *
 * Never use the handle while a call on the store runs, on any thread; reading calls excepted, when
 * there is a file. A transaction or an unfinished statement of yours on it makes each write
 * STELE_MISUSE (in memory each read, too). Close the store with none open: else `synchronous` stays
 * as it is. `info.guarantees` says what doesn't hold.
 *
 * Whether the handle was opened by the same copy of SQLite that the library is linked with can be
 * told only by its VFS. One of another copy is undefined if that is of another version, too.
 *
 * @param handle    Open for writing, and with nothing in progress.
 * @param options   As for stele_store_open(). STELE_MISUSE: read_only, immutable, committer,
 *                  maintenance. Without a meaning: must_exist, anchor_interval_ms, accept_loss.
 * @param store_out Receives the store; close it with stele_store_close() before the handle.
 * @return STELE_OK, or
 *         STELE_MISUSE (an argument; a transaction or statement in progress; wrapped already; a
 *         TEMP object with one of stele's names),
 *         STELE_UNSUPPORTED (another copy of SQLite, or one without threads; text not in UTF-8; no
 *         journal; locking_mode exclusive; a newer format; an empty file with no_migrate; the file
 *         was replaced under the handle),
 *         STELE_CORRUPT (damaged, not a stele file, or its schema was tampered with),
 *         STELE_READ_ONLY, STELE_BUSY, STELE_FULL, STELE_IO, STELE_NO_MEMORY.
 */
STELE_API stele_status stele_store_wrap(struct sqlite3 *handle, const stele_options *options,
                                        stele_store **store_out);

/**
 * Close `store`. NULL is allowed; never fails.
 *
 * Calls that are running on other threads are waited for. An open transaction is rolled back. A
 * cursor or transaction that is still open stays valid memory, answers STELE_CLOSED, and must
 * still be closed. The WAL is moved into the file, so that the file alone is complete when no
 * other process has it open.
 */
STELE_API void stele_store_close(stele_store *store);

/**
 * Bring the file at `path` up to this library's format, creating it when missing. Running it on an
 * up to date file changes nothing. What stele_store_open() does unless `no_migrate` is set.
 *
 * @param options NULL means defaults; `no_migrate` and `read_only` in it are STELE_MISUSE.
 * @return As stele_store_open().
 */
STELE_API stele_status stele_store_migrate(const char *path, const stele_options *options);

/**
 * The SQL that creates the tables of STELE_FORMAT in an empty database, for those who run their
 * migrations themselves. Never NULL; never freed; any thread.
 */
STELE_API const char *stele_schema_sql(void);

/** What holds against SQLite's WAL-reset bug (3.7.0 to 3.51.2, but for 3.44.6 and 3.50.7 and what
 * followed in these two branches). */
typedef enum stele_wal_reset {
    STELE_WAL_RESET_FIXED = 0,  /**< This SQLite doesn't have the bug. */
    STELE_WAL_RESET_GUARDED = 1 /**< It has; our transfers are guarded, foreign ones are not. */
} stele_wal_reset;

/** What the file beside the store says about it: whether what was durable is still there. */
typedef enum stele_anchor_state {
    STELE_ANCHOR_NONE = 0,    /**< There is none: in memory, wrapped. */
    STELE_ANCHOR_GOOD = 1,    /**< What it names is there. */
    STELE_ANCHOR_MISSING = 2, /**< It was missing at open, so nothing could be said. */
    STELE_ANCHOR_LOST = 3     /**< Acknowledged events are gone: nothing is written until told. */
} stele_anchor_state;

/** What holds for a store as it was opened; bits of stele_store_info.guarantees. */
typedef enum stele_guarantee {
    STELE_GUARANTEE_DURABLE = 1,    /**< An OK survives the loss of power. */
    STELE_GUARANTEE_PERSISTENT = 2, /**< An OK survives the end of the process. */
    STELE_GUARANTEE_SHARED = 4,     /**< Several processes may have it open. */
    STELE_GUARANTEE_CONCURRENT = 8, /**< Reads don't wait for writes. */
    STELE_GUARANTEE_GUARDED = 16,   /**< Transfers can't meet SQLite's WAL-reset bug. */
    STELE_GUARANTEE_FAIR = 32,      /**< Processes write in turn. */
    STELE_GUARANTEE_ANCHORED = 64,  /**< A loss of what was durable is noticed at open. */
    STELE_GUARANTEE_HARDENED = 128  /**< Triggers and views of others don't run. */
} stele_guarantee;

/** What stops the writers of a store, in every process: see stele/shard_work.h. */
typedef enum stele_fence {
    STELE_FENCE_NONE = 0,
    STELE_FENCE_MOVE = 1, /**< It has moved, or is just moving: STELE_MOVED. */
    STELE_FENCE_DROP = 2  /**< It is being dropped, or that was cut short: STELE_FENCED. */
} stele_fence;

/** Facts about an open store. Filled by stele_store_describe(). */
typedef struct stele_store_info {
    size_t struct_size; /**< Set by the caller to sizeof(stele_store_info). */
    char uuid[37];      /**< The store's own, for as long as it lives. */
    char epoch[37];     /**< The identity of this unbroken timeline. */
    uint32_t format;
    int64_t head;         /**< The last position; 0 when empty. */
    int64_t events;       /**< Readable ones outside `$` streams, archives aside. */
    int64_t streams;      /**< That are not deleted, outside `$` streams. */
    int64_t types;        /**< Names of types that were ever stored. */
    int64_t file_bytes;   /**< The database alone, as its pages say. */
    int64_t wal_bytes;    /**< 0 when there is none. */
    uint32_t connections; /**< Open ones of this handle. */
    stele_durability durability;
    stele_wal_reset wal_reset;
    bool read_only;
    bool memory;          /**< A ":memory:" store: nothing survives the handle. */
    bool foreign_objects; /**< The file holds tables, views or triggers that are not ours. */
    bool wrapped;         /**< The writer is a handle of the caller's. */
    bool immutable;       /**< Opened so. */
    uint32_t guarantees;  /**< STELE_GUARANTEE_... bits. */
    stele_anchor_state anchor;
    int64_t anchor_head; /**< The head that the anchor named at open; 0 for none. */
    /* Of this handle since it was opened. */
    uint64_t commits;         /**< Commits of appends and of writes of state entries. */
    uint64_t appends;         /**< Such in them; more, when they shared commits. */
    uint64_t appends_waiting; /**< Submitted, and without a verdict now. */
    uint64_t transfers;       /**< That moved the whole WAL. */
    uint64_t transfers_short; /**< That readers kept from it. */
    uint64_t transfers_failed;
    uint64_t gates;         /**< Times that new reads waited until the WAL was begun anew. */
    int64_t oldest_read_us; /**< How long the oldest read in progress has lasted; 0 for none. */
    uint64_t reserved[4];   /**< Zero. */
    int64_t free_bytes;     /**< Of the file: pages that hold nothing; stele_store_shrink(). */
    int64_t unfinished;     /**< Streams that are being moved, brought back or erased. */
    int64_t archived;       /**< Events whose payloads are in archives. */
    int64_t kept;           /**< Events of other stores that this one keeps as their archive. */
    bool backup;            /**< It is a backup: nothing is written until it is recovered. */
    stele_fence fence;
    char fence_where[512]; /**< STELE_FENCE_MOVE: the path of the file there; else "". */
} stele_store_info;

/* clang-format off */
#define STELE_STORE_INFO_INIT { sizeof(stele_store_info), "", "", 0, 0, 0, 0, 0, 0, 0, 0, \
    STELE_DURABILITY_FULL, STELE_WAL_RESET_FIXED, false, false, false, false, false, 0, \
    STELE_ANCHOR_NONE, 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0, 0, 0, 0 }, 0, 0, 0, 0, false, STELE_FENCE_NONE, "" }
/* clang-format on */

/**
 * Describe `store`. Counts the events by index, which takes time linear in their number
 * (about 1 ms per 400,000).
 *
 * @param info_out Its struct_size is set by the caller; the rest is filled.
 * @return STELE_OK, STELE_MISUSE, STELE_BUSY, STELE_CORRUPT, STELE_IO, STELE_NO_MEMORY,
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_store_describe(stele_store *store, stele_store_info *info_out);

/**
 * Move the WAL's content into the file now, guarded, as the store does by itself beyond
 * wal_soft_pages and at close. Readers and other processes may keep some of it back: those of this
 * process are waited for, so that pages in progress end, those of others for 20 ms.
 *
 * @param wait     NULL means its default: busy_timeout_ms.
 * @param left_out May be NULL. Receives the WAL pages that could not be moved yet.
 * @return STELE_OK, STELE_BUSY, STELE_CANCELLED, STELE_READ_ONLY, STELE_FULL, STELE_IO,
 *         STELE_MISUSE (also inside a transaction of this thread), STELE_NO_MEMORY, STELE_CLOSED.
 */
STELE_API stele_status stele_store_transfer(stele_store *store, const stele_wait *wait,
                                            uint32_t *left_out);

#ifdef __cplusplus
}
#endif

#endif
