/* A new store made in one go: nobody sees it before it is whole, so it is synced only once. */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "sqlite/authorizer.h"
#include "store/schema.h"
#include "store/store.h"

/* Nobody else has the file: there is nobody to wait for. */
#define BUILD_WAIT_MS 1000

static stele_status fill_database(stele__database *database,
                                  stele_status (*fill)(void *context, stele__database *database),
                                  void *context)
{
    stele_status status = stele__schema_migrate(database);
    if (status == STELE_OK)
        status = stele__database_begin(database);
    if (status != STELE_OK)
        return status;
    status = fill(context, database);
    if (status == STELE_OK)
        status = stele__settle_outcome(stele__database_commit(database));
    stele__database_rollback(database);
    return status;
}

/* Closing the only connection has moved the WAL into the file. */
static stele_status check_whole(const char *path)
{
    size_t size = strlen(path) + sizeof("-wal");
    char *wal = stele__allocate(size);
    stele__file_facts facts;
    if (wal == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
    snprintf(wal, size, "%s-wal", path);
    stele_status status = stele__look_at_file(wal, &facts);
    if (status == STELE_OK && facts.exists)
        status = stele__fail(STELE_IO, "the WAL of '%s' could not be moved into it", path);
    stele__free(wal);
    return status;
}

stele_status stele__store_build(const char *path,
                                stele_status (*fill)(void *context, stele__database *database),
                                void *context)
{
    const stele__database_options settings = { .busy_timeout_ms = BUILD_WAIT_MS,
                                               .cache_size_kb = 2048,
                                               .unsynced = true };
    stele__database *database = NULL;
    bool claimed = false;
    if (stele__fork_tainted())
        return stele__fail(STELE_MISUSE,
                           "this process was forked while a store was open: fork before opening"
                           " any, or exec");
    stele_status status = stele__claim_file(path, &claimed);
    if (status == STELE_OK && !claimed)
        status = stele__fail(STELE_MISUSE, "'%s' is there already", path);
    if (status == STELE_OK)
        status = stele__database_open(path, &settings, &database);
    if (status == STELE_OK)
        status = stele__authorizer_install(database, stele__schema_is_ours);
    if (status == STELE_OK)
        status = stele__database_settle(database, &settings, true);
    if (status == STELE_OK)
        status = fill_database(database, fill, context);
    stele__database_close(database);
    if (status == STELE_OK)
        status = check_whole(path);
    return status == STELE_OK ? stele__sync_file(path) : status;
}
