/*
 * A connection on a handle of the caller's: it is used as one of ours, given back as it was, and
 * never closed.
 *
 * Hooks, an authorizer, a progress handler and a busy handler can't be read back, so none of ours
 * is set there. What can be read is kept, set for as long as the handle is borrowed, and put back.
 * Settings by which the caller's own SQL would mean something else (triggers, views, foreign keys,
 * trusted functions) stay as they are.
 */
#ifndef STELE_SQLITE_BORROWED_H
#define STELE_SQLITE_BORROWED_H

#include "sqlite/database.h"

typedef struct stele__borrowed {
    const char *path; /* as SQLite has it; "" for a database in memory, or a temporary one */
    const char *vfs;
    /* What the handle had. */
    int defensive;
    int64_t synchronous;
    int64_t secure_delete;
    int64_t wal_autocheckpoint; /* 0: nothing was set, since a hook of theirs may stand there */
    bool safe_journal;  /* what the end of the process cuts is rolled back at the next open */
    int64_t full_level; /* the `synchronous` under which a commit survives power loss */
    int64_t level;      /* the one in use */
    bool kept;          /* the above were read, and set anew */
    bool begun;         /* the open transaction is ours */
} stele__borrowed;

/*
 * Borrow `handle`, changing nothing of it yet. On failure `*database_out` is NULL. MISUSE (an open
 * transaction); READ_ONLY; UNSUPPORTED (another copy of SQLite, one without threads, a handle that
 * keeps the file to itself, a journal that can't roll back); IO, NO_MEMORY.
 */
stele_status stele__database_wrap(struct sqlite3 *handle, const stele__database_options *options,
                                  stele__database **database_out);

/* --- Between the files of this area: `database` is a borrowed one --- */

/* As stele__database_settle(). What is kept is read here. */
stele_status stele__borrowed_settle(stele__database *database,
                                    const stele__database_options *options, bool fresh);
/* `begin` is BEGIN, or BEGIN IMMEDIATE, which doesn't wait. MISUSE while a transaction of the
 * caller's, or a statement that reads, is unfinished. */
stele_status stele__borrowed_begin(stele__database *database, const char *begin);
/* A transaction of ours ended. */
void stele__borrowed_ended(stele__database *database, bool committed);
/* Run COMMIT; SQLite's code. Without a WAL it waits for those who read. */
int stele__borrowed_commit(stele__database *database, struct sqlite3_stmt *commit);
/* Whether a statement of the caller's that writes isn't finished. */
bool stele__borrowed_is_writing(const stele__database *database);
/* Put back what was kept, and forget the handle. */
void stele__borrowed_release(stele__database *database);
/* The `synchronous` that `durability` asks for, from now on, but never less than the handle had. */
stele_status stele__borrowed_sync(stele__database *database, stele_durability durability);

/* --- For transactions in which the caller's SQL may end what it hasn't begun --- */

/* Inside the transaction: leave a mark that is gone when it is another one. */
stele_status stele__borrowed_mark(stele__database *database);
/* MISUSE when the mark is gone. */
stele_status stele__borrowed_unmark(stele__database *database);

#endif
