/* Copies of one shard that is in use: the file alone, a backup, and its bytes. */
#include <stele/shard_work.h>

#include <inttypes.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"
#include "shard/scratch.h"

#define COPY_CHUNK        65536
#define TRANSFER_PAUSE_US 5000

void stele_shard_copy_init(stele_shard_copy *copy)
{
    *copy = (stele_shard_copy)STELE_SHARD_COPY_INIT;
}

/* --- The file alone --- */

/* A transfer gets no further than the oldest reader: until it gets to the end, or patience does. */
static stele_status transfer_to_the_end(stele_store *store, const stele_wait *wait)
{
    stele__patience patience;
    stele_status status =
        stele__patience_begin(&patience, wait, store->options.busy_timeout_ms, NULL);
    while (status == STELE_OK) {
        uint32_t left = 0;
        status = stele_store_transfer(store, wait, &left);
        if (status != STELE_OK || left == 0)
            return status;
        status = stele__patience_check(&patience, "moving the WAL");
        if (status == STELE_BUSY)
            return stele__fail(STELE_BUSY,
                               "readers held the WAL for longer than %" PRIu32 " ms: %" PRIu32
                               " of its pages are not in the file",
                               patience.timeout_ms, left);
        if (status == STELE_OK)
            stele__patience_sleep(&patience, TRANSFER_PAUSE_US);
    }
    return status;
}

stele_status stele_shard_make_self_contained(stele_shard *shard, const stele_wait *wait,
                                             int64_t *bytes_out)
{
    stele__file_facts facts = { 0 };
    if (shard == NULL)
        return stele__fail(STELE_MISUSE, "the shard is NULL");
    stele_status status = transfer_to_the_end(shard->store, wait);
    if (status == STELE_OK && bytes_out != NULL)
        status = stele__look_at_file(shard->store->path, &facts);
    if (status == STELE_OK && bytes_out != NULL)
        *bytes_out = facts.size;
    return status;
}

/* --- Its bytes --- */

static stele_status stream_file(const char *path, const stele_shard_copy *copy, char *chunk)
{
    int descriptor = -1;
    size_t offset = 0;
    size_t size = 0;
    /* Nobody else knows of the file, and SQLite has it open no more. */
    stele_status status = stele__small_file_open(path, false, 0, &descriptor);
    if (status != STELE_OK)
        return status;
    do {
        status = stele__small_file_read(descriptor, path, offset, chunk, COPY_CHUNK, &size);
        if (status == STELE_OK && size > 0)
            status = copy->write(copy->context, chunk, size);
        offset += size;
    } while (status == STELE_OK && size == COPY_CHUNK);
    stele__small_file_close(descriptor);
    return status;
}

static stele_status copy_to_caller(stele_shard *shard, const stele_shard_copy *copy,
                                   int64_t *bytes_out)
{
    char path[STELE__SHARD_PATH_MAX];
    stele__scratch scratch;
    stele_backup backup = STELE_BACKUP_INIT;
    stele_backed_up made = { 0 };
    char *chunk = stele__allocate(COPY_CHUNK);
    if (chunk == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory to copy a shard");
    stele_status status = stele__store_check(shard->store);
    if (status == STELE_OK)
        status = stele__scratch_open(shard->shards, &scratch);
    if (status != STELE_OK) {
        stele__free(chunk);
        return status;
    }
    stele__scratch_path(&scratch, path);
    backup.path = path;
    backup.work = copy->work;
    status = stele_store_backup(shard->store, &backup, &made);
    if (status == STELE_OK)
        status = stream_file(path, copy, chunk);
    if (status == STELE_OK)
        *bytes_out = made.bytes;
    stele__scratch_close(&scratch);
    stele__free(chunk);
    return status;
}

static stele_status copy_to_file(stele_shard *shard, const stele_shard_copy *copy,
                                 int64_t *bytes_out)
{
    stele_backup backup = STELE_BACKUP_INIT;
    stele_backed_up made = { 0 };
    backup.path = copy->path;
    backup.work = copy->work;
    stele_status status = stele_store_backup(shard->store, &backup, &made);
    *bytes_out = made.bytes;
    return status;
}

stele_status stele_shard_copy_out(stele_shard *shard, const stele_shard_copy *copy,
                                  int64_t *bytes_out)
{
    stele_shard_copy options = STELE_SHARD_COPY_INIT;
    int64_t bytes = 0;
    stele_status status = stele__options_take("stele_shard_copy", copy, &options, sizeof(options));
    if (status == STELE_OK && shard == NULL)
        status = stele__fail(STELE_MISUSE, "the shard is NULL");
    if (status == STELE_OK && (options.path == NULL) == (options.write == NULL))
        status = stele__fail(STELE_MISUSE, "a copy needs %s",
                             options.path == NULL ? "a path, or a function that takes its bytes"
                                                  : "a path or a function, not both");
    if (status != STELE_OK)
        return status;
    status = options.path != NULL ? copy_to_file(shard, &options, &bytes)
                                  : copy_to_caller(shard, &options, &bytes);
    if (status == STELE_OK && bytes_out != NULL)
        *bytes_out = bytes;
    return status;
}

/* --- By name --- */

stele_status stele_shards_backup(stele_shards *shards, const char *organisation,
                                 const char *name_space, const stele_backup *backup,
                                 stele_backed_up *out)
{
    stele_acquire how = STELE_ACQUIRE_INIT;
    stele_shard *shard = NULL;
    how.must_exist = true;
    stele_status status = stele_shards_acquire(shards, organisation, name_space, &how, &shard);
    if (status == STELE_OK)
        status = stele_store_backup(shard->store, backup, out);
    stele_shard_release(shard);
    return status;
}
