#include "sqlite/backup.h"

#include <sqlite3.h>

#include "base/failure.h"

/* Of the target: enough for what changes behind the copy. */
#define TARGET_CACHE_KB 2048

stele_status stele__page_copy_target(const char *path, stele__database **target_out)
{
    const stele__database_options settings = { .cache_size_kb = TARGET_CACHE_KB };
    stele_status status = stele__database_open(path, &settings, target_out);
    if (status != STELE_OK)
        return status;
    /* Without a journal in a file: what is cut short is removed, never rolled back. EXCLUSIVE also
     * needs no -shm, which a disk for backups may not be able to share. */
    status = stele__database_execute(*target_out, "PRAGMA locking_mode=EXCLUSIVE;"
                                                  "PRAGMA journal_mode=MEMORY;"
                                                  "PRAGMA synchronous=OFF");
    if (status != STELE_OK) {
        stele__database_close(*target_out);
        *target_out = NULL;
    }
    return status;
}

stele_status stele__page_copy_begin(stele__page_copy *copy, stele__database *source,
                                    stele__database *target)
{
    *copy = (stele__page_copy){ .source = source->handle, .target = target };
    copy->handle = sqlite3_backup_init(target->handle, "main", source->handle, "main");
    if (copy->handle != NULL)
        return STELE_OK;
    return stele__database_fail(target, sqlite3_errcode(target->handle), "can't begin a copy");
}

stele_status stele__page_copy_step(stele__page_copy *copy, uint32_t count)
{
    int64_t before = copy->done;
    int code = sqlite3_backup_step(copy->handle, count > INT32_MAX ? -1 : (int)count);
    copy->total = sqlite3_backup_pagecount(copy->handle);
    copy->restarted = false;
    if (code == SQLITE_OK || code == SQLITE_DONE) {
        copy->done = copy->total - sqlite3_backup_remaining(copy->handle);
        /* A source that has shrunk may be done without another page. */
        copy->restarted =
            before > 0 && (copy->done < before || (copy->done == before && code == SQLITE_OK));
    }
    switch (code) {
    case SQLITE_OK: return STELE_OK;
    case SQLITE_DONE: return STELE_DONE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return stele__fail(STELE_BUSY, "a file of the copy is locked");
    default: /* the connections have no text for it */
        return stele__database_fail(NULL, code, "can't copy");
    }
}

bool stele__page_copy_is_from(const stele__page_copy *copy, const stele__database *database)
{
    return database != NULL && copy->source == database->handle;
}

void stele__page_copy_end(stele__page_copy *copy)
{
    if (copy->handle != NULL)
        sqlite3_backup_finish(copy->handle);
    copy->handle = NULL;
}

bool stele__database_has_name(stele__database *database)
{
    int moved = 1;
    int code = sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return code == SQLITE_OK && moved == 0;
}

stele_status stele__page_copy_harden(stele__database *target)
{
    if (!stele__database_has_wal(target)) {
        stele_status status = stele__database_execute(target, "PRAGMA journal_mode=WAL");
        if (status != STELE_OK)
            return status;
        if (!stele__database_has_wal(target))
            return stele__fail(STELE_UNSUPPORTED, "the copy can't use WAL");
    }
    return stele__database_execute(target, "PRAGMA synchronous=FULL");
}

stele_status stele__page_copy_settle(stele__database *target)
{
    int pages = 0;
    int copied = 0;
    int code = sqlite3_wal_checkpoint_v2(target->handle, "main", SQLITE_CHECKPOINT_TRUNCATE, &pages,
                                         &copied);
    return code == SQLITE_OK ? STELE_OK
                             : stele__database_fail(target, code, "can't transfer the WAL");
}
