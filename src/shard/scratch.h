/*
 * A folder for something that is being made, under the root but in nobody's place: so that it has
 * the shards' file system, and who lists or locks an organisation isn't in its way.
 *
 *     <root>/.scratch/new-<16 digits>/    with its own .lock, held as long as it is in use
 *
 * What is left of one that was cut short goes at maintenance.
 */
#ifndef STELE_SHARD_SCRATCH_H
#define STELE_SHARD_SCRATCH_H

#include "shard/shard.h"

typedef struct stele__scratch {
    char folder[STELE__SHARD_PATH_MAX];
    stele__folder_lock lock;
} stele__scratch;

/* OK, READ_ONLY, FULL, IO, ... On failure there is nothing to close. */
stele_status stele__scratch_open(stele_shards *shards, stele__scratch *scratch_out);
/* Of the store in it. */
void stele__scratch_path(const stele__scratch *scratch, char path_out[STELE__SHARD_PATH_MAX]);
/* Removes it, with all in it. Keeps the error text. */
void stele__scratch_close(stele__scratch *scratch);
/* Remove what nobody is at work on. */
stele_status stele__scratch_sweep(stele_shards *shards);

/* `<folder>/<name>`, which must fit. */
void stele__path_join(char path_out[STELE__SHARD_PATH_MAX], const char *folder, const char *name);
/* Remove a folder and the files in it, its lock last. OK also when it isn't there. */
stele_status stele__folder_clear(const char *folder);

#endif
