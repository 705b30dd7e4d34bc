/*
 * Shared by the files of this area, and by nobody else.
 *
 * Locks. The mutex of a stele_shards guards its table, its counts and the fields of its entries; it
 * is held for moments, never while a store is opened, closed or called, nor while the user runs.
 * Between processes there is the lock of an organisation's folder (`.lock` in it): who opens or
 * creates a store there has it shared for that moment; who renames or removes files there has it
 * exclusively. Order: organisation's lock (of two: by path), lock of the trash, mutex.
 *
 * Files in an organisation's folder, for the component C that encodes the namespace:
 *
 *     C.db            the store, with -wal, -shm, -lock and -anchor beside it
 *     C.name          the namespace, where C is hashed; stays when the store goes, so that who
 *                     looks for another name of that hash goes on behind it
 *     C.moved         where it has gone
 *     C.arriving      taken: a move to here is under way
 *     C.moving        a move from here is under way: see move.h
 *     .name .lock     of the organisation
 *     .new-...        not whole yet
 *
 * In the root, `.lock` and `.new-...` are the same for folders of organisations, which are never
 * removed; `.trash` is for what was dropped (trash.h), `.scratch` for what is being made
 * (scratch.h).
 */
#ifndef STELE_SHARD_SHARD_H
#define STELE_SHARD_SHARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stele/shard_list.h>
#include <stele/shard_work.h>
#include <stele/shards.h>

#include "base/bytes.h"
#include "base/patience.h"
#include "store/fence.h"
#include "store/sequencer.h"
#include "store/store.h"
#include "store/work.h"

/* Longest path that SQLite takes, with what it and we append to it. */
#define STELE__SHARD_PATH_MAX 512
/* A component that would be longer is hashed. */
#define STELE__COMPONENT_MAX 100
/* Of one hash there are at most so many names, and one. */
#define STELE__PROBE_MAX 99

typedef enum stele__entry_state {
    STELE__ENTRY_OPENING,
    STELE__ENTRY_OPEN,
    STELE__ENTRY_CLOSING,
    STELE__ENTRY_SHUT /* out of the table: a handle may still point here */
} stele__entry_state;

/* A store that is open, or about to be. */
typedef struct stele__shard_slot {
    char organisation[STELE_SHARD_NAME_MAX + 1];
    char name_space[STELE_SHARD_NAME_MAX + 1];
    char path[STELE__SHARD_PATH_MAX];
    stele_store *store; /* held; NULL while it is being opened */
    stele__entry_state state;
    bool excluded;                   /* no new handles: somebody drops or moves it */
    bool fenced;                     /* perhaps: whoever acquires it looks first */
    uint64_t handles;                /* that are not released; closing only at 0 */
    int64_t asked_at_us;             /* monotonic: when it was known last to have no fence */
    int64_t left_at_us;              /* monotonic: when the last one was released */
    struct stele__shard_slot *next;  /* in its chain */
    struct stele__shard_slot *older; /* by use, of those nobody holds */
    struct stele__shard_slot *newer;
    void *sequencer; /* what the seam for replication keeps for it; see sequence.c */
} stele__shard_slot;

struct stele_shards {
    char *root;                   /* absolute */
    stele_shards_options options; /* full size; its pointers are to copies */
    stele_options store_options;
    uint32_t fork_count;
    char **kinds; /* options.cross_kinds, owned */

    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a slot changed its state, or somebody left */
    atomic_bool closing;
    size_t calls;           /* inside, other than close */
    size_t reference_count; /* handles and lists that point here, the user's own included */
    stele__shard_slot **chains;
    size_t chain_count;
    size_t slot_count;         /* opening, open or closing */
    stele__shard_slot *oldest; /* of those nobody holds */
    stele__shard_slot *newest;
    stele_shards_info counts;

    pthread_t maintenance;
    bool has_maintenance;
    pthread_cond_t work; /* for that thread */
    int64_t swept_at_us; /* by it */

    pthread_mutex_t sequencing;                      /* installing on open shards; before `mutex` */
    const struct stele__sequencer_maker *sequencers; /* see sequence.h; NULL: none */
};

struct stele_shard {
    stele_shards *shards; /* held */
    stele__shard_slot *slot;
    stele_store *store; /* held */
};

/* --- shards.c --- */

/* Begin a call: MISUSE (NULL, fork), CLOSED. Leave on success. */
stele_status stele__shards_enter(stele_shards *shards);
void stele__shards_leave(stele_shards *shards);
void stele__shards_hold(stele_shards *shards);
void stele__shards_release(stele_shards *shards);

/* --- name.c: names and the components of paths that stand for them --- */

/* OK; MISUSE (NULL; an empty namespace), TOO_LARGE, INVALID. */
stele_status stele__check_organisation(const char *organisation);
stele_status stele__check_namespace(const char *name_space);

/* A component. `hashed`: the name isn't in it, and `probe` tells those of one hash apart. */
typedef struct stele__component {
    char text[STELE__COMPONENT_MAX + 1];
    bool hashed;
} stele__component;

/* How a name is hashed; tests put one in its place that can't tell names apart. */
extern void (*stele__hash_shard_name)(const char *name, uint64_t hashes_out[2]);

void stele__component_encode(const char *name, bool organisation, unsigned probe,
                             stele__component *component_out);
/* Back: false when it stands for no name, or was not made by encode(); a hashed one is true with
 * `*hashed_out`, and no name. */
bool stele__component_decode(const char *text, bool organisation, bool *hashed_out,
                             char name_out[STELE_SHARD_NAME_MAX + 1]);

/* --- place.c: where a shard is, or would be --- */

typedef struct stele__shard_place {
    char folder[STELE__SHARD_PATH_MAX]; /* of the organisation */
    char path[STELE__SHARD_PATH_MAX];   /* `<folder>/<component>.db` */
    bool folder_exists;
    bool exists;  /* the store's file */
    bool claimed; /* it is empty: there is none, but somebody may just be naming one so */
    bool moved;   /* there is a C.moved */
    bool arriving;
    bool hashed;        /* the namespace: */
    bool named;         /* its `C.name` is there */
    bool name_claimed;  /* that is empty: somebody may just be putting it there, or was cut then */
    bool folder_hashed; /* the organisation: */
    bool folder_named;  /* its `.name` is there */
} stele__shard_place;

/* Names are checked, too. `root` is that of `shards`, or another one for a move. */
stele_status stele__shard_place_find(const char *root, const char *organisation,
                                     const char *name_space, stele__shard_place *place_out);
/* `<place.path without .db><suffix>`, such as ".moved". */
void stele__shard_place_beside(const stele__shard_place *place, const char *suffix,
                               char path_out[STELE__SHARD_PATH_MAX]);
/* The name that the sidecar at `path` holds. OK; DONE for none, also when it is empty, as it is
 * before it is whole where files can't have two names; CORRUPT, IO. */
stele_status stele__shard_name_read(const char *path, char name_out[STELE_SHARD_NAME_MAX + 1]);
/* With the folder's lock: the `C.name` of a hashed namespace, durably, when it isn't there; `place`
 * may then be another one. Only who has the lock `alone` takes the place of an empty one: for
 * others it is OK then, too, with `place->name_claimed` and not `named`. */
stele_status stele__shard_name_keep(const char *root, const char *organisation,
                                    const char *name_space, bool alone, stele__shard_place *place);
/* A name of 16 random digits after `prefix`: no path, at most 40 bytes. */
stele_status stele__shard_new_name(const char *prefix, char name_out[64]);
/* The organisation's folder, with its `.name` where needed: created durably when missing, and the
 * place is that of the organisation's. */
stele_status stele__shard_folder_make(const char *root, const char *organisation,
                                      const char *name_space, stele__patience *patience,
                                      stele__shard_place *place);

/* --- lock.c: the lock of an organisation's folder, between processes and threads --- */

typedef struct stele__folder_lock {
    int descriptor; /* -1: none */
} stele__folder_lock;

/* OK; NOT_FOUND (no such folder); BUSY, CANCELLED, CLOSED by `patience`; READ_ONLY, IO. */
stele_status stele__folder_lock_take(const char *folder, bool exclusive, stele__patience *patience,
                                     stele__folder_lock *lock_out);
void stele__folder_lock_drop(stele__folder_lock *lock);

/* --- identity.c: the names inside the file --- */

/* What the file says; both "" and `*found_out` false when it says nothing. */
stele_status stele__shard_identity_read(stele_store *store, bool *found_out,
                                        char organisation_out[STELE_SHARD_NAME_MAX + 1],
                                        char name_space_out[STELE_SHARD_NAME_MAX + 1]);
/* Inside a transaction on a file that no store has open, or of a store. */
stele_status stele__shard_identity_write(stele__database *database, const char *organisation,
                                         const char *name_space);

/* --- create.c: a new store, found under its name when it is whole and durable --- */

/* With the folder's lock. OK also when somebody else was faster. The name is not durable yet: that
 * is for who opens it. */
stele_status stele__shard_create(stele_shards *shards, const char *organisation,
                                 const char *name_space, const stele__shard_place *place,
                                 bool *created_out);
/* What lies beside a store that isn't there: CORRUPT when it may hold commits. */
stele_status stele__shard_companions_judge(const char *path, bool *stale_out);
/* Remove what lies beside the store at `path`: -wal, -shm, -journal, -lock and -anchor.
 * `keep_commits`: but for -wal and -journal. */
stele_status stele__shard_companions_remove(const char *path, bool keep_commits);
/* Whether anything in `folder` may be what a cut creation left; without a lock. */
stele_status stele__shard_sweep_wanted(const char *folder, bool *wanted_out);
/* What cut creations left in `folder`: with its exclusive lock. */
stele_status stele__shard_sweep(const char *folder, uint64_t *swept);

/* --- moved.c: where a shard has gone --- */

/* `path` is `C.moved`; `where` the path of the store there, without line ends. Written durably, in
 * place of what is there. Read: OK; NOT_FOUND, CORRUPT, IO. */
stele_status stele__shard_moved_write(const char *path, const char *where);
stele_status stele__shard_moved_read(const char *path, char where_out[STELE__FENCE_WHERE_MAX + 1]);
/* Of a place with a `C.moved`: MOVED, and the text says where to; CORRUPT, IO. */
stele_status stele__shard_has_moved(const stele__shard_place *place);
/* Whatever lies there: BUSY when it isn't the shard yet, MOVED when it isn't any more. */
stele_status stele__shard_place_judge(const stele__shard_place *place);

/* --- open.c --- */

/* Open the store of a slot that nobody else touches, creating it when it may be: sets its path and
 * its store. With no lock held. As stele_shards_acquire(). */
stele_status stele__shard_open_slot(stele_shards *shards, stele__shard_slot *slot, bool must_exist,
                                    stele__patience *patience);

/* What a fence in the store at `path` answers who asks for it: OK when there is none; MOVED,
 * FENCED. */
stele_status stele__shard_check_fence(stele_store *store, const char *path);

/* --- acquire.c --- */

/* At closing, with the mutex held: close all stores that are open, whoever holds them. */
void stele__shards_shut_all(stele_shards *shards);
/* The same in a child after fork(), where that only frees. */
void stele__shards_abandon(stele_shards *shards);

/* No new handles, and, once nobody in this process holds it, the store is closed: for who drops or
 * moves it. BUSY when `patience` ends before that. Until stele__shard_readmit() acquiring waits. */
stele_status stele__shard_exclude(stele_shards *shards, const char *organisation,
                                  const char *name_space, stele__patience *patience);
void stele__shard_readmit(stele_shards *shards, const char *organisation, const char *name_space);
/* A fence was put up in this process, or taken down, so that acquiring answers as it says at once.
 */
void stele__shard_mark_fenced(stele_shards *shards, const char *organisation,
                              const char *name_space, bool fenced);
/* Close the stores that nobody has held for idle_ms; the answer is their number. */
uint64_t stele__shards_close_idle(stele_shards *shards);

/* --- trash.c --- */

/* For maintenance: what is in the trash beyond its grace. */
stele_status stele__trash_purge(stele_shards *shards, stele__work *work, uint64_t *purged);

/* --- move_resume.c --- */

/* For maintenance: old files that moves left behind go to the trash when nobody has them open. */
stele_status stele__left_behind_sweep(stele_shards *shards, const stele_work *work);

/* --- sequence.c: see src/frame --- */

/* A store was opened, and is about to be closed: with no lock of the shards held. */
stele_status stele__shard_sequence_begin(stele_shards *shards, stele__shard_slot *slot);
void stele__shard_sequence_end(stele_shards *shards, stele__shard_slot *slot);

#endif
