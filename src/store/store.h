/*
 * The open store, as the areas above it see it: entering a call, the one writer, the pool of
 * readers, the transaction under everything.
 *
 * Locks. `mutex` guards the fields named below it, is held for moments only, and never while
 * SQLite or the user runs. The writer is a turn (`writer_taken`), not a mutex, so that waiting for
 * it can end when the store closes. Who holds the turn owns the writer connection and everything
 * kept on it. Order: turn, then mutex.
 */
#ifndef STELE_STORE_STORE_H
#define STELE_STORE_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stele/store.h>
#include <stele/transaction.h>

#include "sqlite/database.h"

/* What an area keeps on a connection, such as a cache of names. */
typedef struct stele__slot {
    void *state;
    void (*dispose)(void *state);
} stele__slot;

typedef enum stele__slot_name { STELE__SLOT_EVENTSTORE, STELE__SLOT_COUNT } stele__slot_name;

typedef struct stele__connection {
    stele__database *database;
    stele__slot slots[STELE__SLOT_COUNT];
    /* Moves when what was cached of the file's content may be wrong: another connection
     * committed, or a transaction with changes was rolled back. */
    uint64_t revision;
    uint32_t data_version;
    bool changed; /* the open transaction has written something */
    /* What changes with each commit (ends, versions) may be kept from one use to the next: only
     * the write connection notices when it can't. */
    bool remembers;
    struct stele__connection *next;
} stele__connection;

struct stele_store {
    stele_options options;
    char *path;          /* absolute, or ":memory:" */
    uint32_t fork_count; /* of the process that opened it */
    char uuid[37];
    char epoch[37];
    char dirty_key[64]; /* our row in `meta` while relaxed durability has written; else "" */
    bool memory;
    bool foreign_objects;

    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a reader came back, or the last call left a closing store */
    pthread_cond_t turn;    /* the writer's turn is free */
    atomic_bool closing;    /* set under the mutex, read anywhere */
    bool writer_taken;
    atomic_uintptr_t writer_thread; /* of the open stele_transaction; 0 for none */
    struct stele_transaction *transaction;
    size_t call_count;      /* calls inside, other than close */
    size_t reference_count; /* handles that point here, the user's own included */
    stele__connection *idle_readers;
    uint32_t reader_count;
    atomic_uint connection_count; /* open ones, of every kind */

    /* Owned by who has the writer's turn. */
    stele__connection writer;
    bool writer_broken; /* a commit failed with its outcome unknown: reopen first */
    stele__database *transferrer;
    uint32_t transfer_at_pages;
};

struct stele_transaction {
    stele_store *store;
    uintptr_t thread;
    uint64_t transaction_count; /* of the connection, while it is still ours */
    bool lent;                  /* the user's SQL may have rolled a savepoint back */
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

/* Names this thread among those alive. */
uintptr_t stele__thread_id(void);

/* --- Writing --- */

/*
 * Take the writer's turn and begin. MISUSE when this thread has a transaction open; READ_ONLY,
 * CLOSED, BUSY, ... On failure there is nothing to end.
 */
stele_status stele__write_begin(stele_store *store, stele__connection **connection_out);
/* Everything or nothing; see stele__database_commit(). */
stele_status stele__write_commit(stele_store *store);
/* Roll back what was not committed, move the WAL when it is long, pass the turn on. */
void stele__write_end(stele_store *store);
/* A statement that changes the file ran. */
void stele__connection_touch(stele__connection *connection);

/* --- Reading --- */

/* A connection with a read transaction begun: one snapshot. On failure nothing to end. */
stele_status stele__read_begin(stele_store *store, stele__connection **connection_out);
void stele__read_end(stele_store *store, stele__connection *connection);

/* --- Inside a transaction --- */

/* Begin a call on `transaction`: MISUSE (NULL, over, another thread, fork), CLOSED. Leave it with
 * stele__transaction_leave() on success. */
stele_status stele__transaction_enter(stele_transaction *transaction,
                                      stele__connection **connection_out);
void stele__transaction_leave(stele_transaction *transaction);
/* A call failed: `half_way` says whether it had written something. When it had, or SQLite rolled
 * everything back by itself, each later call will answer `status`. */
void stele__transaction_failed(stele_transaction *transaction, stele_status status, bool half_way);
void stele__transaction_hold(stele_transaction *transaction);
void stele__transaction_release(stele_transaction *transaction);

/* --- Between the files of this area --- */

/* The writer's turn without a transaction. CLOSED; otherwise pass it on. */
stele_status stele__turn_take(stele_store *store);
void stele__turn_pass(stele_store *store);

/* Open a connection with the store's settings. */
stele_status stele__store_connect(stele_store *store, bool reader, stele__database **database_out);
void stele__connection_dispose(stele_store *store, stele__connection *connection);
/* Move the WAL under the guard; the turn is held and no transaction open. */
stele_status stele__store_transfer_guarded(stele_store *store, uint32_t *left_out);
/* The outcome of a commit that can be done again without harm: unknown is a plain failure. */
stele_status stele__settle_outcome(stele_status status);
/* What every file holds in `meta` and `epochs` from its birth. Inside a transaction. */
stele_status stele__meta_fill(stele__database *database);
/* These facts, read; a file whose tables a user made by hand gets them first. */
stele_status stele__meta_load(stele_store *store, stele__database *database);
/* The checksums of their rows. */
int64_t stele__meta_checksum(const char *key, const char *value);
int64_t stele__epoch_checksum(int64_t id, const char *epoch, int64_t starts_after,
                              int64_t started_at);
/* Before the first write with relaxed durability: note durably that power loss may cost us. */
stele_status stele__meta_mark_dirty(stele_store *store);
/* At a clean close: the file is whole again. */
void stele__meta_clear_dirty(stele_store *store);

#endif
