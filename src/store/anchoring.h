/* When the anchor of an open store is judged and renewed. See docs/decisions/0011-anchor.md. */
#ifndef STELE_STORE_ANCHORING_H
#define STELE_STORE_ANCHORING_H

#include <stdbool.h>

#include "store/store.h"

/*
 * Before SQLite sees the file: CORRUPT when the WAL beside it is of another file or time; what the
 * anchor can't be read for. A reader passes over an anchor that it can't read.
 */
stele_status stele__anchoring_judge_wal(const char *path, bool read_only);
/* An empty file is to become a store: CORRUPT when its anchor knows of events. */
stele_status stele__anchoring_judge_empty(const char *path);
/* A file is to be created: what an anchor says that was left there is of another one. */
void stele__anchoring_forget(const char *path);
/* At open, once the file is known to be ours: is what the anchor names still there? When it isn't,
 * store->lost says so, and nothing may be written. */
stele_status stele__anchoring_open(stele_store *store);

/* The head of a log that nobody changes, all of it durable. OK, CORRUPT, IO. */
stele_status stele__anchoring_head(stele__database *database, stele__anchor_facts *facts);
/* A store was put into its place, whole in its file alone, durably, and nobody has opened it yet:
 * give it an anchor. A failure costs the next open its certainty, and is logged. In anchor_place.c.
 */
void stele__anchoring_place(const char *path);

/* Inside a write transaction that has just begun. */
void stele__anchoring_begun(stele_store *store);
/* Just before its COMMIT, and after one that succeeded. */
void stele__anchoring_committing(stele_store *store);
void stele__anchoring_committed(stele_store *store);
/* After a transfer, its guard still held. */
void stele__anchoring_transferred(stele_store *store, bool complete);

/* The last thing before the connections are closed; the transfer before it has written what there
 * is to write. Twice is fine. */
void stele__anchoring_close(stele_store *store);

#endif
