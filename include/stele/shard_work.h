/**
 * @file stele/shard_work.h
 * Operating on whole shards: copying, backing up, recovering, verifying, dropping, renaming,
 * moving.
 *
 * A *fence* in the file stops its writers, in every process, for good or until it is taken down:
 * STELE_MOVED or STELE_FENCED is what they are told, and nothing is stored. Who reads goes on.
 *
 * A move (also a rename, which is one under the same root) is done in steps, each of them durable:
 *
 *     reserve   the place is taken there: acquiring it is STELE_BUSY until the shard is there
 *     check     every check of the shard, while writers go on
 *     copy      online, while writers go on here
 *     fence     writers here are STELE_MOVED from now on
 *     catch up  what was committed since the copy began, to the last commit
 *     verify    the digests of both are compared; SQLite's own check of the copy, and those of what
 *               the digest isn't of
 *     switch    the copy is found under its name; it is the shard, with the same uuid and epoch
 *     release   what is left here says where it went, and goes to the trash
 *
 * Cut short anywhere it is gone on with by the same call again or by stele_shards_resume(), and
 * until the switch it can be taken back by stele_shards_move_cancel(). At every moment one of both
 * places takes appends, or none; never both.
 *
 * Threads. As for the shards. Several processes may try the same: one does it, others are BUSY.
 */
#ifndef STELE_SHARD_WORK_H
#define STELE_SHARD_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stele/api.h>
#include <stele/backup.h>
#include <stele/shards.h>
#include <stele/status.h>
#include <stele/verify.h>
#include <stele/work.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- One that is open --- */

/**
 * Move all of the WAL into the file, so that at the moment of returning the file alone holds what
 * was committed before the call. Guarded as every transfer; writers wait meanwhile.
 *
 * @param wait      NULL: busy_timeout_ms.
 * @param bytes_out May be NULL. Receives how large the file is.
 * @return STELE_OK; STELE_BUSY (a reader held the WAL for too long: nothing is lost, try again);
 *         STELE_READ_ONLY; STELE_CANCELLED; STELE_FULL; STELE_IO; STELE_MISUSE; STELE_CLOSED.
 */
STELE_API stele_status stele_shard_make_self_contained(stele_shard *shard, const stele_wait *wait,
                                                       int64_t *bytes_out);

/** Where a copy goes: a file, or the caller's. */
typedef struct stele_shard_copy {
    size_t struct_size; /**< Set by the initializer. */
    const char *path;   /**< A new file, as stele_backup.path; or NULL: */
    /** Given the copy's bytes, in order, with no lock held; other than STELE_OK ends it, and is
     * answered. */
    stele_status (*write)(void *context, const void *bytes, size_t size);
    void *context;
    const stele_work *work; /**< NULL: defaults. */
} stele_shard_copy;

#define STELE_SHARD_COPY_INIT                                                                      \
    {                                                                                              \
        sizeof(stele_shard_copy), NULL, NULL, NULL, NULL                                           \
    }

/** Set `copy` to the defaults, as STELE_SHARD_COPY_INIT does. For bindings. */
STELE_API void stele_shard_copy_init(stele_shard_copy *copy);

/**
 * Copy the shard while it is in use: a verified backup, whole in one file. With `write` it is made
 * under the root first, and removed afterwards.
 *
 * @param bytes_out May be NULL. Receives the size of the copy.
 * @return As stele_store_backup(); what `write` answered.
 */
STELE_API stele_status stele_shard_copy_out(stele_shard *shard, const stele_shard_copy *copy,
                                            int64_t *bytes_out);

/* --- By name --- */

/** stele_store_backup() of a shard. @return As that and as stele_shards_acquire() of one that must
 * exist. */
STELE_API stele_status stele_shards_backup(stele_shards *shards, const char *organisation,
                                           const char *name_space, const stele_backup *backup,
                                           stele_backed_up *out);

/**
 * Make a shard of a backup: stele_recover_backup() to the shard's own place. The backup may be of
 * another shard or of no shard: the new one has this name. `recover->path` must be NULL.
 *
 * @return As stele_recover_backup(); STELE_CONFLICT (the shard is there: drop it first);
 *         STELE_BUSY, STELE_MOVED, STELE_TOO_LARGE, STELE_INVALID (as stele_shards_acquire()).
 */
STELE_API stele_status stele_shards_recover(stele_shards *shards, const char *organisation,
                                            const char *name_space, const stele_recover *recover,
                                            stele_recovered *out);

/** What verification found. */
typedef struct stele_shard_verified {
    uint64_t checks;
    uint64_t failures;    /**< Of these. */
    char first[512];      /**< The first of them, with its offender; "" for none. */
    uint64_t reserved[4]; /**< Zero. */
} stele_shard_verified;

/**
 * Run every check of stele_verify_open() on a shard; also that the file says that it is this one.
 *
 * @param verified_out May be NULL. Set on STELE_OK and STELE_CORRUPT.
 * @return STELE_OK when all pass; STELE_CORRUPT; STELE_CANCELLED; as stele_shards_acquire() of one
 *         that must exist.
 */
STELE_API stele_status stele_shards_verify(stele_shards *shards, const char *organisation,
                                           const char *name_space, const stele_work *work,
                                           stele_shard_verified *verified_out);

/* --- Dropping --- */

/** A shard in the trash. Only lent by pointer. */
typedef struct stele_trashed {
    const char *organisation;
    const char *name_space;
    const char *id;   /**< Names this one among those of the same name. */
    const char *path; /**< Of the file: a whole store, to be read with stele_store_open(). */
    int64_t dropped_at;
    int64_t purge_at; /**< When maintenance may remove it, by this handle's trash_grace_s. */
    int64_t bytes;
    bool moved; /**< Left behind by a move: it is somewhere else now. */
} stele_trashed;

/**
 * Drop a shard: its writers are fenced, and its file goes to `<root>/.trash`, from where
 * maintenance removes it once trash_grace_s are over. The name is free at once.
 *
 * @param wait How long to wait until nobody holds it, in this and in other processes. NULL:
 *             busy_timeout_ms.
 * @return STELE_OK; STELE_NOT_FOUND (no such shard); STELE_BUSY (somebody holds it: it is fenced no
 *         more, nothing is changed); STELE_MOVED; STELE_CANCELLED; STELE_MISUSE; STELE_TOO_LARGE;
 *         STELE_INVALID; STELE_READ_ONLY; STELE_IO; STELE_CORRUPT (it can't be fenced: see
 * `force`); STELE_NO_MEMORY; STELE_CLOSED.
 * @param force Also one that can't be opened, since it is damaged: it isn't fenced then.
 */
STELE_API stele_status stele_shards_drop(stele_shards *shards, const char *organisation,
                                         const char *name_space, bool force,
                                         const stele_wait *wait);

/** Bring a dropped shard back from the trash, as it was. Also one whose drop was cut short and that
 * is fenced in its place. @param id NULL: the one dropped last.
 * @return STELE_OK; STELE_NOT_FOUND; STELE_CONFLICT (there is a shard of this name); STELE_BUSY
 * (somebody has it open in the trash); STELE_MOVED (it was left behind by a move, or the name was);
 * else as stele_shards_drop(). */
STELE_API stele_status stele_shards_undrop(stele_shards *shards, const char *organisation,
                                           const char *name_space, const char *id);

/** An open list of what is in the trash. Used by one thread at a time. */
typedef struct stele_trash stele_trash;

/** List the trash, by the time of dropping. @return STELE_OK, STELE_MISUSE, STELE_IO,
 * STELE_NO_MEMORY, STELE_CLOSED. */
STELE_API stele_status stele_shards_trash(stele_shards *shards, stele_trash **trash_out);
/** The next one, borrowed until the next call. @return STELE_OK, STELE_DONE, STELE_MISUSE,
 * STELE_CLOSED. */
STELE_API stele_status stele_trash_next(stele_trash *trash, const stele_trashed **trashed_out);
/** Close `trash`. NULL is allowed; never fails. */
STELE_API void stele_trash_close(stele_trash *trash);

/* --- Moving and renaming --- */

/** Where a shard is to go. */
typedef struct stele_shard_move {
    size_t struct_size;       /**< Set by the initializer. */
    const char *organisation; /**< The shard. */
    const char *name_space;
    const char *root; /**< Where to; NULL: it stays under this root, under another name. */
    const char *to_organisation; /**< NULL: the same. */
    const char *to_namespace;    /**< NULL: the same. */
    const stele_work *work; /**< Its `progress` is told of each step by name. NULL: defaults. */
} stele_shard_move;

#define STELE_SHARD_MOVE_INIT                                                                      \
    {                                                                                              \
        sizeof(stele_shard_move), NULL, NULL, NULL, NULL, NULL, NULL                               \
    }

/** Set `move` to the defaults, as STELE_SHARD_MOVE_INIT does. For bindings. */
STELE_API void stele_shard_move_init(stele_shard_move *move);

/** A move that was done. */
typedef struct stele_shard_moved {
    char path[512];       /**< Where the shard is now. */
    int64_t head;         /**< Its last position at the fence. */
    int64_t bytes;        /**< Of the file. */
    int64_t fenced_us;    /**< How long no place took appends, in microseconds: of this call. */
    bool resumed;         /**< An earlier attempt was gone on with. */
    bool left_behind;     /**< Somebody still has the old file open: it stays, fenced, until
                               stele_shards_resume() or maintenance finds nobody. */
    uint64_t reserved[4]; /**< Zero. */
} stele_shard_moved;

/**
 * Move a shard, or go on with a move that was cut short.
 *
 * Handles on it that are held in this process stay good for reading; every write through them is
 * STELE_MOVED from the fence on, and so is acquiring it here. In other processes acquiring a shard
 * that is open there may still be STELE_OK for a second; the next write is STELE_MOVED. Who follows
 * the shard (stele_subscription_next()) is STELE_MOVED once all was given that is before the fence.
 *
 * What fails before the switch is taken back, and writers go on here; but a move that is cancelled
 * or closed behind the fence stays as it is, to be gone on with. So does one that was switched and
 * whose new root is away now (STELE_NOT_FOUND): until it is there again no place takes appends.
 *
 * @param moved_out May be NULL. Set on STELE_OK.
 * @return STELE_OK; STELE_NOT_FOUND (no such shard, or root); STELE_CONFLICT (a shard of that name
 *         is there or on its way to there; a move from there isn't over; or this one is on its way
 *         to somewhere else);
 *         STELE_MOVED (it has gone to another place before); STELE_FENCED (it is being dropped);
 *         STELE_BUSY (somebody else is moving it, or writers kept their turn for too long);
 *         STELE_CORRUPT (a check failed, or the copy differs); STELE_CANCELLED (before the fence:
 *         taken back; after it: to be resumed); STELE_UNSUPPORTED (the root lies on a network
 *         filesystem; its changes are put in order by something else than its write lock);
 * STELE_MISUSE (also to itself, or a root that is not UTF-8 or has a line end); STELE_TOO_LARGE;
 * STELE_INVALID; STELE_READ_ONLY; STELE_FULL; STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_shards_move(stele_shards *shards, const stele_shard_move *move,
                                         stele_shard_moved *moved_out);

/** Take a move back that was cut short before its switch: writers go on here. OK also when there is
 * none. @return STELE_OK; STELE_CONFLICT (it was switched: the shard is there now); STELE_BUSY
 * (somebody is at work on it); STELE_NOT_FOUND (no such shard); else as stele_shards_move(). */
STELE_API stele_status stele_shards_move_cancel(stele_shards *shards, const char *organisation,
                                                const char *name_space, const stele_wait *wait);

/** Give a shard another namespace: stele_shards_move() under the same root. */
STELE_API stele_status stele_shards_rename(stele_shards *shards, const char *organisation,
                                           const char *name_space, const char *to_namespace,
                                           const stele_work *work);

/**
 * Go on with all moves from here that were cut short, those that were being taken back among them,
 * and put into the trash what moves left behind that nobody has open any more. Where a move to here
 * was taken back while this root was out of reach, its place is freed, and its copy goes to the
 * trash; so does maintenance.
 *
 * @param finished_out May be NULL. Receives how many are done now.
 * @return STELE_OK when none is left; the status of the first that could not be finished.
 */
STELE_API stele_status stele_shards_resume(stele_shards *shards, const stele_work *work,
                                           uint64_t *finished_out);

/**
 * Where a shard went that was moved away from here, or is going, once its writers are fenced. It
 * may have gone on from there: ask there, too.
 *
 * @param path     Receives its file's absolute path and a NUL; "" when it hasn't moved.
 * @param capacity Of `path`, at least 512.
 * @return STELE_OK; STELE_MISUSE; STELE_TOO_LARGE; STELE_INVALID; STELE_CORRUPT; STELE_BUSY;
 *         STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_shards_moved_to(stele_shards *shards, const char *organisation,
                                             const char *name_space, char *path, size_t capacity);

/**
 * Forget where a shard went that was moved away from here: its name is free for a new one. Who
 * still asks for it here isn't told any more, and may make a new one; so do it when all have
 * followed.
 *
 * @return STELE_OK; STELE_NOT_FOUND (no shard has moved away from this name); STELE_CONFLICT (the
 *         move isn't done: resume it); STELE_BUSY (somebody has the old file open, or moves a shard
 *         here); STELE_CORRUPT (what lies here takes appends, so it hasn't moved); STELE_MISUSE;
 *         STELE_TOO_LARGE; STELE_INVALID; STELE_READ_ONLY; STELE_IO; STELE_NO_MEMORY; STELE_CLOSED.
 */
STELE_API stele_status stele_shards_forget_moved(stele_shards *shards, const char *organisation,
                                                 const char *name_space);

#ifdef __cplusplus
}
#endif

#endif
