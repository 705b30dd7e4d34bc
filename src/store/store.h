/*
 * The open store, as the areas above it see it: entering a call, the one writer, the pool of
 * readers, the transaction under everything.
 *
 * Locks. `mutex` guards the fields named below it, is held for moments only, and never while
 * SQLite or the user runs. The writer is a turn, passed on in the order of asking (but see
 * stele__write_begin_yielding()), not a mutex, so that waiting for it can end. Who holds the turn
 * owns the writer connection and everything kept on it. Between processes a place in line
 * (`turnstile`) comes before SQLite's own lock. Order: turn, place in line, SQLite's lock, mutex.
 */
#ifndef STELE_STORE_STORE_H
#define STELE_STORE_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stele/store.h>
#include <stele/transaction.h>

#include "base/log.h"
#include "base/patience.h"
#include "base/turnstile.h"
#include "sqlite/database.h"
#include "store/anchor.h"

/* What an area keeps on a connection, such as a cache of names. */
typedef struct stele__slot {
    void *state;
    void (*dispose)(void *state);
} stele__slot;

typedef enum stele__slot_name { STELE__SLOT_NAMES, STELE__SLOT_COUNT } stele__slot_name;

typedef struct stele__connection {
    stele__database *database;
    stele__slot slots[STELE__SLOT_COUNT];
    /* Moves when what was cached of the file's content may be wrong: another connection
     * committed, or a transaction with changes was rolled back. */
    uint64_t revision;
    uint32_t data_version;
    uint64_t place_changes; /* rows of checkpoints that were written here */
    bool changed;           /* the open transaction has written something */
    int64_t appended_to;    /* the last position that the open transaction wrote; 0 for none */
    /* What changes with each commit (ends, versions) may be kept from one use to the next: only
     * the write connection notices when it can't. */
    bool remembers;
    uint32_t schema_cookie;   /* of the schema last found good here; 0 for none */
    stele__patience patience; /* of the read that it is lent for */
    /* In the pool: the page that it is lent for. */
    uint64_t page;
    int64_t page_began_us;
    struct stele__connection *next;
    struct stele__connection *previous;
} stele__connection;

/* What an area keeps on a store. Handles may outlive the store, so it goes with the memory. */
typedef enum stele__attachment_name {
    STELE__ATTACHMENT_CODECS,
    STELE__ATTACHMENT_ARCHIVES,
    STELE__ATTACHMENT_NOTIFIER,
    STELE__ATTACHMENT_INLINE,
    STELE__ATTACHMENT_COUNT
} stele__attachment_name;

typedef struct stele__attachment {
    _Atomic(void *) state; /* set once, with the mutex held */
    void (*dispose)(void *state);
} stele__attachment;

/* Who keeps something made of a stream's events in memory: told when the stream is deleted. */
typedef struct stele__forgetter {
    /* Forget what was made of the stream; of all streams when `stream` is 0. Called with the
     * store's mutex held. */
    void (*forget)(void *context, int64_t stream);
    void *context;
    struct stele__forgetter *next;
} stele__forgetter;

/* Who is told of commits, and of the store's end. It lives as long as the store's memory. */
typedef struct stele__watcher {
    /* Something was committed, and the head is here. With the turn held: atomics only. */
    void (*committed)(void *context, int64_t head);
    /* The turn was passed on after that, and no lock is held: wake who waits. */
    void (*wake)(void *context);
    /* No call begins any more: those inside must be made to leave. No lock is held. */
    void (*closing)(void *context);
    /* All have left: threads and connections end. */
    void (*closed)(void *context);
    void *context;
} stele__watcher;

/* A thread that waits for the writer's turn. */
typedef struct stele__waiter {
    pthread_cond_t wake;
    bool has_turn;
    bool yields; /* see stele__write_begin_yielding() */
    struct stele__waiter *next;
    struct stele__waiter *previous;
} stele__waiter;

/* What happened to the WAL, for those who look at night. */
typedef struct stele__transfer_counts {
    uint64_t complete;
    uint64_t incomplete;
    uint64_t failed;
    uint64_t gates; /* times that new reads had to wait */
} stele__transfer_counts;

/* Submissions with a verdict that nobody waited for. */
typedef struct stele__completions {
    struct stele_ticket *first;
    struct stele_ticket **last;
    int event[2]; /* readable while there is one; -1 until asked for */
} stele__completions;

struct stele_store {
    stele_options options;
    char *path;          /* absolute, or ":memory:" */
    uint32_t fork_count; /* of the process that opened it */
    char uuid[37];
    char epoch[37];
    char dirty_key[64]; /* our row in `meta` while relaxed durability has written; else "" */
    char lost[256];     /* why nothing may be written: the anchor's finding; else "" */
    stele_anchor_state anchor_state;
    int64_t anchor_head;
    struct sqlite3 *wrapped;          /* the caller's handle, which is the writer; else NULL */
    const char *vfs;                  /* that it uses; NULL: SQLite's default */
    struct stele_store *next_wrapped; /* see wrap.c */
    bool memory;
    bool foreign_objects;
    bool backup; /* it bears the stamp of one */

    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a reader came back, or the last call left a closing store */
    atomic_bool closing;    /* set under the mutex, read anywhere */
    bool writer_taken;
    bool writer_yields;                     /* who has or had the turn last gives way */
    const struct stele__borrowed *borrowed; /* of a wrapped handle: what was found on it */
    stele__waiter *first_waiter;
    stele__waiter *last_waiter;
    struct stele__requests *requests; /* see group.h */
    atomic_uintptr_t writer_thread;   /* of the open stele_transaction; 0 for none */
    struct stele_transaction *transaction;
    size_t call_count;      /* calls inside, other than close */
    size_t reference_count; /* handles that point here, the user's own included */
    stele__connection *idle_readers;
    stele__connection *busy_readers;
    uint64_t page_count;     /* pages that were ever begun */
    atomic_bool gate_closed; /* new pages wait until the WAL was emptied */
    uint32_t reader_count;
    atomic_uint connection_count; /* open ones, of every kind */
    stele__transfer_counts transfers;
    bool draining;               /* somebody waits for pages to end */
    atomic_bool transfer_urgent; /* it is beyond the hard threshold */
    atomic_bool transfer_wanted; /* the WAL is long, and nobody has taken it on yet */
    struct stele__maintenance *maintenance;
    stele__completions completions;
    stele__attachment attachments[STELE__ATTACHMENT_COUNT];
    stele__forgetter *forgetters;
    _Atomic(stele__watcher *) watcher; /* set once, with the mutex held; NULL: nobody */
    _Atomic(int64_t) committed_head;   /* of our own commits; 0: there was none with events */

    /* sequencer.c. Set with the turn and the mutex held. */
    _Atomic(struct stele__sequencer *) sequencer;
    size_t sequencer_calls;        /* inside it */
    size_t sequencer_before_calls; /* inside the one before */
    bool sequencer_switching;
    atomic_uintptr_t framing_thread; /* which applies a frame; 0 for none */

    /* Owned by who has the writer's turn. */
    stele__connection writer;
    atomic_bool writer_broken;   /* a commit's outcome is unknown: reopen and settle first */
    stele__turnstile *turnstile; /* NULL: no fair turns here */
    bool in_line;
    bool folding;      /* the user's function runs, inside an append */
    bool inline_known; /* that much was looked up at `inline_revision` of the writer: */
    bool inline_there; /* some projection is to be kept with every append */
    uint64_t inline_revision;
    bool untold;          /* something was committed, and nobody was woken yet */
    bool durably;         /* synchronous is FULL until the turn is passed on */
    bool past_sequencer;  /* what is applied was queued before there was one */
    int64_t framing_time; /* for its thread alone */
    /* fence.c. As of `fence_revision` of the writer. */
    bool past_fence; /* until the turn is passed on */
    bool fence_known;
    atomic_bool fenced; /* read anywhere: what the last look found */
    uint64_t fence_revision;
    stele__database *transferrer;
    uint32_t transfer_at_pages;
    stele__anchor *anchor; /* NULL: none is kept */
    stele__anchor_sample anchor_sample;
    int64_t anchored_at_us;
    bool no_drain; /* for the controls of tests */
    bool no_fence;
};

struct stele_transaction {
    stele_store *store;
    uintptr_t thread;
    uint64_t transaction_count; /* of the connection, while it is still ours */
    bool lent;                  /* the user's SQL may have rolled a savepoint back */
    bool nested;                /* lent by a call that goes on after it: it can't be ended */
    bool held;                  /* likewise, while a function of the user's runs in it */
    bool mixed;                 /* nested: the library was called after SQL of the user's */
    bool deletes;               /* a stream: what was made of it goes with the commit */
    bool knows_head;            /* `head` was looked up before it wrote anything */
    int64_t head;               /* events up to here are committed */
    stele_status doom;          /* of the write that failed half-way; STELE_OK for none */
    atomic_bool over;
    size_t reference_count; /* its own handle, and cursors opened in it */
};

/* --- A call --- */

/* Begin a call on `store`: MISUSE for NULL or after fork(), CLOSED. */
stele_status stele__store_enter(stele_store *store);
void stele__store_leave(stele_store *store);

/* For handles that outlive a call. Release may free the memory. */
void stele__store_hold(stele_store *store);
void stele__store_release(stele_store *store);
/* Without entering: MISUSE after fork(), CLOSED. For calls that touch nothing but their handle. */
stele_status stele__store_check(stele_store *store);

/* The store's clock: the user's, or the system's. */
int64_t stele__store_now(const stele_store *store);

/* forget.c. From now on, until leaving, the forgetter is told of streams that are deleted here. */
void stele__forgetter_join(stele_store *store, stele__forgetter *forgetter);
void stele__forgetter_leave(stele_store *store, stele__forgetter *forgetter);
/* The stream was deleted; 0: any may have been. */
void stele__store_forget(stele_store *store, int64_t stream);

/* Names this thread among those alive. */
uintptr_t stele__thread_id(void);

/* --- Writing --- */

/*
 * Take the writer's turn and begin. `wait` may be NULL. MISUSE when this thread has a transaction
 * open; READ_ONLY, CLOSED, CANCELLED, BUSY, ... On failure there is nothing to end.
 */
stele_status stele__write_begin(stele_store *store, const stele_wait *wait,
                                stele__connection **connection_out);
/* stele__write_begin() of one who yields: after it comes one who doesn't, if any is waiting. */
stele_status stele__write_begin_yielding(stele_store *store, const stele_wait *wait,
                                         stele__connection **connection_out);
/* stele__write_begin() for a commit that must be durable whatever the store's durability. */
stele_status stele__write_begin_durably(stele_store *store, const stele_wait *wait,
                                        stele__connection **connection_out);
/* Likewise, and not stopped by a fence: for who puts it up, or takes it down. */
stele_status stele__write_begin_past_fence(stele_store *store, const stele_wait *wait,
                                           stele__connection **connection_out);
/* Everything or nothing; see stele__database_commit(). */
stele_status stele__write_commit(stele_store *store);
/* Roll back what was not committed, pass the turn on, move the WAL when it is long. */
void stele__write_end(stele_store *store);
/* A statement that changes the file ran. */
void stele__connection_touch(stele__connection *connection);

/* From now on, with the mutex held: `watcher` is told of each commit. */
void stele__commits_watch(stele_store *store, stele__watcher *watcher);

/* --- Reading --- */

/*
 * A connection with a read transaction begun: one snapshot. `wait` limits the waiting for it (NULL:
 * by busy_timeout_ms) and what is then done on it (NULL: not at all). On failure nothing to end.
 */
stele_status stele__read_begin(stele_store *store, const stele_wait *wait,
                               stele__connection **connection_out);
/* The same, whatever has become of the schema: for those who tell what is wrong with a file. */
stele_status stele__read_begin_to_check(stele_store *store, stele__connection **connection_out);
/*
 * The same for a short look by who is about to write: on the writer's connection when nobody else
 * wants it at the moment. Each commit empties the page caches of readers, but not the one that it
 * was made by, and that one knows names and versions. Writers wait until it is ended.
 */
stele_status stele__read_begin_short(stele_store *store, const stele_wait *wait,
                                     stele__connection **connection_out);
void stele__read_end(stele_store *store, stele__connection *connection);

/* --- Inside a transaction --- */

/* stele_transaction_begin_wait() as by stele__write_begin_yielding(). */
stele_status stele__transaction_begin_yielding(stele_store *store, const stele_wait *wait,
                                               stele_transaction **transaction_out);
/* Begin a call on `transaction`: MISUSE (NULL, over, another thread, fork), CLOSED. Leave it with
 * stele__transaction_leave() on success. */
stele_status stele__transaction_enter(stele_transaction *transaction,
                                      stele__connection **connection_out);
void stele__transaction_leave(stele_transaction *transaction);
/* A call failed: `half_way` says whether it had written something. When it had, or SQLite rolled
 * everything back by itself, each later call will answer `status`. */
void stele__transaction_failed(stele_transaction *transaction, stele_status status, bool half_way);
void stele__transaction_hold(stele_transaction *transaction);
/*
 * Lend the open transaction of this thread, whoever began it, to a function of the user's: as one
 * that can't be committed or ended, also while the store closes. Take it back afterwards; its
 * `doom` is to be looked at before. NO_MEMORY.
 */
stele_status stele__transaction_lend(stele_store *store, stele_transaction **transaction_out);
void stele__transaction_take_back(stele_transaction *transaction);
void stele__transaction_release(stele_transaction *transaction);

/* --- Between the files of this area --- */

/* turn.c. The writer's turn without a transaction; pass it on afterwards. MISUSE, CLOSED,
 * CANCELLED, BUSY. A patience without `closing` also gets it while the store closes. */
stele_status stele__turn_take(stele_store *store, stele__patience *patience);
/* Take it if nobody has it, nor the gate is closed. */
bool stele__turn_try(stele_store *store);
void stele__turn_pass(stele_store *store);
/* With the mutex held; who is told of commits isn't. */
void stele__turn_pass_locked(stele_store *store);
void stele__waiter_join(stele_store *store, stele__waiter *waiter);
void stele__waiter_leave(stele_store *store, stele__waiter *waiter);
void stele__waiters_wake(stele_store *store);
/* The write lock of the file, on the writer connection, in line with other processes. BUSY, ... */
stele_status stele__file_lock(stele_store *store, stele__patience *patience);
/* Give up the place in line; the transaction is over. */
void stele__file_unlock(stele_store *store);

/* writer.c. With the turn held: begin and end a transaction, without passing the turn on. */
stele_status stele__write_begin_held(stele_store *store, stele__patience *patience,
                                     stele__connection **connection_out);
void stele__write_end_held(stele_store *store);
/* Undo what the open transaction has done, and end it. Keeps the error text. */
void stele__write_abort(stele_store *store);
/* The turn was passed on, and `untold` was set before that. */
void stele__commits_tell(stele_store *store);
/* Inside a transaction that wrote events, some of which may be gone again: where they end now. */
stele_status stele__appended_recheck(stele__connection *connection);
/* READ_ONLY when nothing may be written here. */
stele_status stele__write_check(const stele_store *store);
/* After a commit of unknown outcome: a new connection, and the outcome settled. */
stele_status stele__write_mend(stele_store *store, stele__patience *patience);
/* Inside a transaction on it: compare the schema when it changed since it was last good here. */
stele_status stele__connection_recheck(stele_store *store, stele__connection *connection);
/* Likewise on the write connection: notice what others have committed. */
stele_status stele__commits_notice(stele_store *store);

/* transfer.c. The turn is held and no transaction open. */
stele_status stele__transfer_guarded(stele_store *store, stele__patience *patience,
                                     uint32_t *left_out);
/* After a commit: note that the WAL is long. With the turn held. */
void stele__transfer_consider(stele_store *store);
/* Without the turn: do what was noted, if nobody else does, waiting for the turn as `patience` says
 * (NULL: by busy_timeout_ms). Keeps the error text. */
void stele__transfer_if_wanted(stele_store *store, stele__patience *patience);
/* The turn is held: transfer if it is due. */
void stele__transfer_of_own_accord(stele_store *store);

/* open.c, wrap.c. The public calls without what the areas above do at opening. */
stele_status stele__store_open(const char *path, const stele_options *options,
                               stele_store **store_out);
stele_status stele__store_wrap(struct sqlite3 *handle, const stele_options *options,
                               stele_store **store_out);

/* open.c, for every way to open one. A store with `options` taken over and checked, and nothing
 * behind it yet; end it with release. MISUSE, NO_MEMORY. */
stele_status stele__store_make(const stele_options *options, stele_store **store_out);
/* What `options` mean for a connection. */
void stele__store_settings(const stele_store *store, bool reader,
                           stele__database_options *settings_out);
/* A fresh file gets our tables; an old one is compared with them. */
stele_status stele__store_settle_file(stele_store *store, stele__database *database,
                                      const stele__database_options *settings);
/* `database` becomes the store's own: the writer, or the first reader. */
stele_status stele__store_adopt(stele_store *store, stele__database *database);
/*
 * build.c. Make a new store of the file at `path` (absolute), which must be free: with our tables,
 * and what `fill` writes in a transaction. Closed again, the file alone is whole, and its content
 * durable, but not its name. On a failure what was begun is left there, with what SQLite has
 * beside it.
 */
stele_status stele__store_build(const char *path,
                                stele_status (*fill)(void *context, stele__database *database),
                                void *context);
/* What an open store has beside its connection. */
stele_status stele__store_surround(stele_store *store);

/* wrap.c, for wrapped stores. MISUSE when a name of ours means something else on the handle. */
stele_status stele__wrap_check(stele__database *database);
/* After a commit of unknown outcome: settle it over a connection of our own. */
stele_status stele__wrap_settle(stele_store *store, stele__patience *patience);
/* Another store may wrap the handle. */
void stele__wrap_forget(stele_store *store);

/* maintenance.c. OK or NO_MEMORY. */
stele_status stele__maintenance_start(stele_store *store);
/* End the thread; and, once no other thread can want to wake it, free what is left of it. */
void stele__maintenance_stop(stele_store *store);
void stele__maintenance_dispose(stele_store *store);
/* Tell it that there is something to do. With the mutex held. */
void stele__maintenance_wake(stele_store *store);

/* UNSUPPORTED when the store's path lies on a network filesystem and nobody allowed that. */
stele_status stele__store_refuse_network(const stele_store *store);
/* Open a connection with the store's settings. */
stele_status stele__store_connect(stele_store *store, bool reader, stele__database **database_out);
/* The same, BUSY at once where somebody has a lock, now and later: for those who ask again. */
stele_status stele__store_connect_at_once(stele_store *store, bool reader,
                                          stele__database **database_out);
void stele__connection_dispose(stele_store *store, stele__connection *connection);
/* The outcome of a commit that can be done again without harm: unknown is a plain failure. */
stele_status stele__settle_outcome(stele_status status);
/* What every file holds in `meta` and `epochs` from its birth. Inside a transaction. */
stele_status stele__meta_fill(stele__database *database);
/* These facts, read; a file whose tables a user made by hand gets them first. */
stele_status stele__meta_load(stele_store *store, stele__database *database);
/* Old marks of relaxed durability mean that power may have cost us commits, so that positions from
 * the head on could be used again: then a new epoch begins. Not for a store that may not be
 * written. */
stele_status stele__meta_judge_marks(stele_store *store);
/* A new epoch at the head, which takes the old marks away. Inside a transaction. `epoch_out` may be
 * NULL. */
stele_status stele__meta_begin_epoch(stele__database *database, char epoch_out[37]);
/* A random UUID (version 4) as text. */
stele_status stele__make_uuid(char text_out[37]);

/* epochs.c. One more row, at the head. Inside a transaction. `epoch_out` may be NULL. */
stele_status stele__epoch_begin(stele__database *database, char epoch_out[37]);
/* The one that holds now. */
stele_status stele__epoch_current(stele__database *database, char epoch_out[37]);
/* In which the event at `position` was recorded; one that is to come, in the current one.
 * `since_out` (may be NULL): after which position that began. */
stele_status stele__epoch_of(stele__database *database, int64_t position, char epoch_out[37],
                             int64_t *since_out);
/* Whether there ever was such an epoch. */
stele_status stele__epoch_knows(stele__database *database, const char *epoch, bool *known_out);
/*
 * Whether `position`, learnt in `epoch`, means the same now: EPOCH beyond what that shares with the
 * current one. `*shared_out` (may be NULL) is the last position they share; 0 for an epoch that
 * isn't known, INT64_MAX for the current one. `what` is at that position, for the text.
 */
stele_status stele__epoch_check(stele__database *database, const char *what, const char *epoch,
                                int64_t position, int64_t *shared_out);
/* The checksums of their rows. */
int64_t stele__meta_checksum(const char *key, const char *value);
int64_t stele__epoch_checksum(int64_t id, const char *epoch, int64_t starts_after,
                              int64_t started_at);
/* A row of `meta`, inside a transaction: written, or gone if it was there. */
stele_status stele__meta_write(stele__database *database, const char *key, const char *value);
stele_status stele__meta_delete(stele__database *database, const char *key);
/* One durable commit of our own: what an earlier one of unknown outcome left is now there or gone
 * for good. */
stele_status stele__meta_settle(stele_store *store, stele__patience *patience);
/* Before the first write with relaxed durability: note durably that power loss may cost us. */
stele_status stele__meta_mark_dirty(stele_store *store, stele__patience *patience);
/* At a clean close: the file is whole again. */
void stele__meta_clear_dirty(stele_store *store);

#endif
