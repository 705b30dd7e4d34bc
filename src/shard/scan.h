/*
 * What the folders say: which organisations and shards there are. No store is opened for it, but
 * for one whose hashed name has lost the file beside it.
 */
#ifndef STELE_SHARD_SCAN_H
#define STELE_SHARD_SCAN_H

#include "shard/shard.h"

typedef struct stele__scan_row {
    const char *name;
    const char *component; /* of the path */
    bool there;            /* of a shard: its file; of an organisation: always */
    bool moved;            /* there is a C.moved */
    bool moving;           /* there is a C.moving */
    size_t name_at;        /* in the texts, while they grow */
    size_t component_at;
} stele__scan_row;

/* Zero to begin with; its rows are in the order of the names' bytes. */
typedef struct stele__scan {
    stele__buffer texts;
    stele__scan_row *rows;
    size_t count;
    size_t capacity;
} stele__scan;

/* In place of what the scan held. What stands for no name is passed over; a folder that isn't there
 * has nothing. OK, IO, NO_MEMORY, CLOSED. */
stele_status stele__scan_organisations(stele_shards *shards, stele__scan *scan);
/* `folder` is that of an organisation. */
stele_status stele__scan_namespaces(stele_shards *shards, const char *folder, stele__scan *scan);
void stele__scan_dispose(stele__scan *scan);

/* list.c: a `read` taken over and checked. */
stele_status stele__shards_read_take(const stele_shards_read *given, stele_shards_read *read);
/* Its prefix lets the name through. */
bool stele__has_prefix(const char *name, const char *prefix);

/* run.c: stele_shards_run_each(). With a `function`, `given` has none. */
stele_status stele__shards_run(stele_shards *shards, const stele_shards_run *given,
                               stele_shard_function function, void *context,
                               stele_shards_ran *ran_out);

#endif
