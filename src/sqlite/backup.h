/*
 * SQLite's online copy of one database into another, a few pages at a time.
 *
 * What the source's own connection changes between two steps is carried over; a commit by another
 * one makes the copy begin again. Both connections are used by one thread at a time, also between
 * the steps: a write on the source writes to the target.
 */
#ifndef STELE_SQLITE_BACKUP_H
#define STELE_SQLITE_BACKUP_H

#include "sqlite/database.h"

struct sqlite3_backup;

/* A copy in progress; zeros before the first begin. */
typedef struct stele__page_copy {
    struct sqlite3_backup *handle; /* NULL: none is in progress */
    struct sqlite3 *source;
    stele__database *target;
    int64_t done; /* pages, since it last began */
    int64_t total;
    bool restarted; /* in the last step */
} stele__page_copy;

/* A new, empty database that is written without a journal and without syncs, and that nobody else
 * can lock from the first step on. Its file must exist. */
stele_status stele__page_copy_target(const char *path, stele__database **target_out);

/* Begin; `target` must not be in use. OK, NO_MEMORY, IO, ... */
stele_status stele__page_copy_begin(stele__page_copy *copy, stele__database *source,
                                    stele__database *target);
/* Copy at most `count` pages. DONE when the target holds all; OK when more are left; BUSY when
 * nothing could be copied just now; else it is over, but must still be ended. */
stele_status stele__page_copy_step(stele__page_copy *copy, uint32_t count);
/* Whether `database` is still the connection that it began on. A connection that was closed
 * meanwhile lives on until the end, so that no other one can be taken for it. */
bool stele__page_copy_is_from(const stele__page_copy *copy, const stele__database *database);
/* Twice is fine. */
void stele__page_copy_end(stele__page_copy *copy);

/* Whether the file of `database` still has its name. */
bool stele__database_has_name(stele__database *database);

/* From now on the target keeps a WAL and syncs what it commits. */
stele_status stele__page_copy_harden(stele__database *target);
/* Everything into the file, durably: its WAL is empty afterwards. */
stele_status stele__page_copy_settle(stele__database *target);

#endif
