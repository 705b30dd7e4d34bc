/* When the anchor of an open store is judged and renewed. */
#ifndef STELE_STORE_ANCHORING_H
#define STELE_STORE_ANCHORING_H

#include <stdbool.h>

#include "store/store.h"

/* Before SQLite sees the file: CORRUPT when the WAL beside it is of another file or time. */
stele_status stele__anchoring_judge_wal(const char *path);
/* At open, once the file is known to be ours: is what the anchor names still there? */
stele_status stele__anchoring_open(stele_store *store);
/* Inside a write transaction that has just begun: what was committed before is durable. */
void stele__anchoring_begun(stele_store *store);
/* After a transfer, its guard still held. */
void stele__anchoring_transferred(stele_store *store, bool complete);
/* The last thing before the connections are closed. */
void stele__anchoring_close(stele_store *store);

#endif
