/**
 * @file stele/shards.h
 * Shards: one store for each namespace of an organisation, as files under one root folder.
 *
 * What belongs together has a file of its own: it is backed up, moved and dropped alone, and its
 * writers wait for nobody else's. A *shard* is the store of one (organisation, namespace). Both are
 * names of the user's: any UTF-8 of at most STELE_SHARD_NAME_MAX bytes, compared by bytes. The
 * organisation may be "", which has a place of its own; a namespace may not.
 *
 * Files. A shard is `<root>/<organisation>/<namespace>.db`, both names encoded so that nothing
 * leaves the root and no two names share a file on any file system: letters a to z, digits, '-',
 * '_' and a '.' in the middle stay, every other byte is "%" and two hex digits; names that would
 * become too long end in a hash, and what the file system reserves is escaped. The folder of the
 * empty organisation is "_". The names are also kept inside the file, and compared when it is
 * opened. Files are created for their owner alone (0600, folders 0700), whole and durable before
 * they are found under their name.
 *
 * Handles. stele_shards_acquire() gives a counted handle: as long as somebody holds one, the store
 * stays open, and all who ask for the same shard get the same store. When more than `open_max` are
 * open, or nobody has held one for `idle_ms`, those that nobody holds are closed, the least
 * recently used first: by the next acquire, by stele_shards_maintain(), or by the thread that
 * `maintenance` starts.
 *
 * Threads. All calls on a stele_shards may come from any thread. A handle may be used by several
 * threads, but is released once. Several processes may use one root.
 */
#ifndef STELE_SHARDS_H
#define STELE_SHARDS_H

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

/** The longest organisation or namespace, in bytes. */
#define STELE_SHARD_NAME_MAX 255
/** The longest root, in bytes, once it is resolved. */
#define STELE_SHARDS_ROOT_MAX 240

/** The shards under one root. */
typedef struct stele_shards stele_shards;

/** A counted handle on one shard. */
typedef struct stele_shard stele_shard;

typedef struct stele_shards_options {
    size_t struct_size; /**< Set by the initializer. */
    /** How each store is opened; NULL: defaults. Copied. With read_only or must_exist no shard is
     * created. */
    const stele_options *store;
    uint32_t open_max; /**< Most stores open at a time, each with some 5 to 12 descriptors. 16. */
    uint32_t idle_ms;  /**< A store that nobody held for so long may be closed. 600000. */
    uint32_t trash_grace_s; /**< How long a dropped shard stays in the trash. 604800, a week. */
    bool must_exist;        /**< A root that is missing is STELE_NOT_FOUND instead of created. */
    bool maintenance;       /**< Start a thread that calls stele_shards_maintain(). */
    uint32_t maintenance_interval_ms; /**< How often it does. 10000. */
    /** Kinds of keys whose second part names the shard, and which are listed over all shards of an
     * organisation (stele/shard_keys.h). NULL: "ns" and "nx". Copied. */
    const char *const *cross_kinds;
    size_t cross_kind_count;
} stele_shards_options;

/* clang-format off */
#define STELE_SHARDS_OPTIONS_INIT { sizeof(stele_shards_options), NULL, 16, 600000, 604800, false, \
    false, 10000, NULL, 0 }
/* clang-format on */

/** Set `options` to the defaults, as STELE_SHARDS_OPTIONS_INIT does. For bindings. */
STELE_API void stele_shards_options_init(stele_shards_options *options);

/**
 * Open the shards under `root`, which is created (0700) when it is missing. No store is opened yet.
 *
 * @param root       A folder. A link to one is followed now, and not again.
 * @param options    NULL means defaults.
 * @param shards_out Receives the handle; close it with stele_shards_close().
 * @return STELE_OK; STELE_NOT_FOUND (with must_exist: no such folder; without: no parent folder);
 *         STELE_MISUSE (a NULL or empty root, one that is no folder, an option); STELE_TOO_LARGE
 *         (the root is longer than STELE_SHARDS_ROOT_MAX); STELE_READ_ONLY (it can't be created);
 *         STELE_FULL; STELE_IO; STELE_NO_MEMORY.
 */
STELE_API stele_status stele_shards_open(const char *root, const stele_shards_options *options,
                                         stele_shards **shards_out);

/**
 * Close all stores, held or not, and the handle. Calls inside end with STELE_CLOSED, then this
 * returns. Handles that are still held answer STELE_CLOSED from now on, and are to be released all
 * the same. NULL is allowed; never fails.
 */
STELE_API void stele_shards_close(stele_shards *shards);

/** How to acquire a shard. */
typedef struct stele_acquire {
    size_t struct_size;     /**< Set by the initializer. */
    bool must_exist;        /**< A missing shard is STELE_NOT_FOUND instead of created. */
    const stele_wait *wait; /**< How long to wait while open_max shards are all held, or while
                                 another process works on this one. NULL: busy_timeout_ms. */
} stele_acquire;

#define STELE_ACQUIRE_INIT                                                                         \
    {                                                                                              \
        sizeof(stele_acquire), false, NULL                                                         \
    }

/** Set `how` to the defaults, as STELE_ACQUIRE_INIT does. For bindings. */
STELE_API void stele_acquire_init(stele_acquire *how);

/**
 * Get a handle on the shard of `organisation` and `name_space`. Its store is opened, and created,
 * when needed; whoever asks at the same time gets the same store.
 *
 * @param how       NULL means defaults.
 * @param shard_out Receives the handle; give it back with stele_shard_release(). NULL unless
 *                  STELE_OK.
 * @return STELE_OK; STELE_MISUSE (a NULL, an empty namespace, a struct); STELE_TOO_LARGE (a name
 *         beyond STELE_SHARD_NAME_MAX bytes); STELE_INVALID (a name that isn't UTF-8);
 *         STELE_NOT_FOUND (it isn't there, and is not to be created); STELE_MOVED (it has moved, or
 *         is just moving: the text says where to, and stele_shards_moved_to()); STELE_FENCED (it is
 *         being dropped); STELE_BUSY (open_max others are held; it is just being moved here;
 *         another process is at work on it); STELE_CORRUPT (the file says that it is another
 *         shard, or is damaged; or only its WAL is there); STELE_CANCELLED; STELE_CLOSED; else as
 *         stele_store_open().
 */
STELE_API stele_status stele_shards_acquire(stele_shards *shards, const char *organisation,
                                            const char *name_space, const stele_acquire *how,
                                            stele_shard **shard_out);

/** Give the handle back: it is gone, and what was borrowed from it. Its store may be closed later.
 * NULL is allowed; never fails. Also after stele_shards_close(). */
STELE_API void stele_shard_release(stele_shard *shard);

/** The store, borrowed until the handle is released: don't close it. Cursors, subscriptions and so
 * on that were opened on it are to be closed before. Never NULL for a handle. */
STELE_API stele_store *stele_shard_store(const stele_shard *shard);
/** Whose it is, and where: borrowed until the handle is released. "" for NULL. */
STELE_API const char *stele_shard_organisation(const stele_shard *shard);
STELE_API const char *stele_shard_namespace(const stele_shard *shard);
STELE_API const char *stele_shard_path(const stele_shard *shard);

/** The root, absolute; borrowed until stele_shards_close(). "" for NULL. */
STELE_API const char *stele_shards_root(const stele_shards *shards);

/**
 * Where a shard's file is, or would be. Nothing is opened or created.
 *
 * @param path     Receives the absolute path and a NUL.
 * @param capacity Of `path`; 512 is always enough.
 * @return STELE_OK; STELE_MISUSE, STELE_TOO_LARGE, STELE_INVALID (as stele_shards_acquire(), and a
 *         `capacity` too small is MISUSE); STELE_CORRUPT (the file that keeps a hashed name);
 *         STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_shards_path(stele_shards *shards, const char *organisation,
                                         const char *name_space, char *path, size_t capacity);

/** What there is in this process. */
typedef struct stele_shards_info {
    uint64_t open;        /**< Stores that are open. */
    uint64_t held;        /**< Of these, held by somebody. */
    uint64_t handles;     /**< That were acquired and not released. */
    uint64_t opened;      /**< Times that a store was opened. */
    uint64_t created;     /**< Of these, created. */
    uint64_t closed_idle; /**< Closed since nobody had held them for idle_ms. */
    uint64_t closed_full; /**< Closed to make room. */
    uint64_t waited;      /**< Acquires that had to wait for room. */
    uint64_t reserved[4]; /**< Zero. */
} stele_shards_info;

/** What there is in this process. @return STELE_OK, STELE_MISUSE, STELE_CLOSED. */
STELE_API stele_status stele_shards_describe(stele_shards *shards, stele_shards_info *info_out);

/** What stele_shards_maintain() did. */
typedef struct stele_maintained {
    uint64_t closed;      /**< Stores that were idle. */
    uint64_t purged;      /**< Dropped shards whose grace was over. */
    uint64_t swept;       /**< Unfinished files of creations that were cut short. */
    uint64_t reserved[4]; /**< Zero. */
} stele_maintained;

/**
 * Close what has been idle, empty the trash of what is older than its grace, and remove what cut
 * creations left behind. Unfinished moves are not gone on with: see stele_shards_resume().
 *
 * @param work           NULL means defaults.
 * @param maintained_out May be NULL.
 * @return STELE_OK; STELE_MISUSE; STELE_CANCELLED; STELE_READ_ONLY; STELE_IO; STELE_NO_MEMORY;
 *         STELE_CLOSED.
 */
STELE_API stele_status stele_shards_maintain(stele_shards *shards, const stele_work *work,
                                             stele_maintained *maintained_out);

#ifdef __cplusplus
}
#endif

#endif
