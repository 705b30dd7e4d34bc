/*
 * The stamp of a backup: a row of `meta` that says when and where it was made. A file that bears it
 * is only read, until a new epoch begins in it, which takes the stamp away.
 */
#ifndef STELE_STORE_STAMP_H
#define STELE_STORE_STAMP_H

#include "store/store.h"

/* What it says. */
typedef struct stele__stamp {
    bool found;
    bool damaged; /* it is there, and nothing is known of the rest */
    int64_t head;
    char epoch[37];
    int64_t made_at;
} stele__stamp;

/* All of it, from a file that was just copied; found is set. Inside a transaction, in which it is
 * also written there. */
stele_status stele__stamp_write(stele__database *database, stele__stamp *stamp_out);
stele_status stele__stamp_read(stele__database *database, stele__stamp *stamp_out);
stele_status stele__stamp_remove(stele__database *database);
/*
 * A copy of a store isn't the store: what it does to an archive would be done to the one that the
 * store still uses, so it knows no paths of archives, and uses only those it is given. Inside a
 * transaction.
 */
stele_status stele__stamp_forget_archives(stele__database *database);
/* Of a row of `archives`. */
int64_t stele__archive_checksum(int64_t id, const char *uuid, const char *hint);
/* In a copy, which is whole: marks of relaxed durability are about the store that it was made of.
 * Inside a transaction. */
stele_status stele__stamp_forget_marks(stele__database *database);

/* At open, when uuid and epoch are known: note whether the store is a backup. CORRUPT when the file
 * is one and the WAL beside it isn't its own. */
stele_status stele__stamp_load(stele_store *store, stele__database *database);
/* After the anchor was judged: a backup is only read, unless `accept_loss` begins a new epoch. */
stele_status stele__stamp_judge(stele_store *store);

#endif
