/*
 * A copy of a whole store while it is in use, into a file that nobody else sees yet.
 *
 * The source is the writer's connection, in its turn: what it commits between two steps is carried
 * over, so appends go on and the copy ends as the store was at the last step. A commit by another
 * process makes it begin again; when that happens too often, or the store grows faster than it is
 * copied, it ends over one snapshot, which holds the WAL meanwhile.
 */
#ifndef STELE_STORE_COPY_H
#define STELE_STORE_COPY_H

#include "store/work.h"

/* What was done. */
typedef struct stele__copy_facts {
    uint64_t pages; /* copied, again ones included */
    uint32_t restarts;
    bool snapshot; /* it ended over one */
} stele__copy_facts;

/*
 * Create the file at `path` (absolute), or take one over that was cut short, and open it. MISUSE
 * (something else is there); BUSY (somebody is at work on it); what can't be created. On failure
 * there is nothing to discard.
 */
stele_status stele__copy_open(const char *path, stele__database **target_out);

/* Copy. `work` has begun. MISUSE when this thread has a transaction open; CLOSED, CANCELLED, BUSY,
 * ... */
stele_status stele__copy_run(stele_store *store, stele__work *work, stele__database *target,
                             stele__copy_facts *facts_out);

/* Who is to be asked before the last of it: called once, with no lock held, when little is left or
 * what is there is about to be copied in one go. What it commits to the store comes along. */
typedef struct stele__copy_hook {
    stele_status (*nearly_done)(void *context);
    void *context;
} stele__copy_hook;

/* stele__copy_run() with a hook. */
stele_status stele__copy_run_with(stele_store *store, stele__work *work, stele__database *target,
                                  const stele__copy_hook *hook, stele__copy_facts *facts_out);

/* Change what was copied, in one transaction: begin, and end, after which the file alone is whole
 * and durable. On failure it is to be discarded. */
stele_status stele__copy_change(stele__database *target);
stele_status stele__copy_settle(stele__database *target);

/* BUSY when another copy has taken its name for itself. */
stele_status stele__copy_check_name(stele__database *target);
/* Its file has got another name: close it, and remove the one it was made under. */
void stele__copy_leave(const char *path, stele__database *target);
/* Close it (NULL: it is closed) and remove its file, with what SQLite has beside it. Keeps the
 * error text. */
void stele__copy_discard(const char *path, stele__database *target);

#endif
