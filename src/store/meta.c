/* What a file says of itself: its uuid, and whether relaxed durability left a mark. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/failure.h"
#include "base/platform.h"
#include "sqlite/statement.h"
#include "store/stamp.h"
#include "store/store.h"

/* How long closing waits for another process's writer. */
#define CLOSE_WAIT_MS 100

stele_status stele__make_uuid(char text_out[37])
{
    unsigned char bytes[16];
    stele_status status = stele__random_bytes(bytes, sizeof(bytes));
    if (status != STELE_OK)
        return status;
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    char *out = text_out;
    for (int i = 0; i < 16; i++)
        out += snprintf(out, (size_t)(text_out + 37 - out), "%s%02x",
                        i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (unsigned)bytes[i]);
    return STELE_OK;
}

int64_t stele__meta_checksum(const char *key, const char *value)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_text(&digest, key);
    stele__digest_text(&digest, value);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__meta_write(stele__database *database, const char *key, const char *value)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database, "INSERT OR REPLACE INTO meta(key, value, checksum) VALUES(?1, ?2, ?3)",
        &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, key);
    stele__bind_text(statement, 2, value);
    stele__bind_number(statement, 3, stele__meta_checksum(key, value));
    return stele__statement_run(statement);
}

stele_status stele__meta_delete(stele__database *database, const char *key)
{
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(database, "DELETE FROM meta WHERE key = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, key);
    return stele__statement_run(statement);
}

stele_status stele__settle_outcome(stele_status status)
{
    if (status != STELE_UNKNOWN_OUTCOME)
        return status;
    return stele__fail_within(STELE_IO, "a write of the library's own");
}

stele_status stele__meta_fill(stele__database *database)
{
    char uuid[37];
    char created_at[32];
    snprintf(created_at, sizeof(created_at), "%" PRId64, stele__clock_now());
    stele_status status = stele__make_uuid(uuid);
    if (status == STELE_OK)
        status = stele__meta_write(database, "uuid", uuid);
    if (status == STELE_OK)
        status = stele__meta_write(database, "created_at", created_at);
    if (status == STELE_OK) /* positions begin here; a later format may drop a prefix */
        status = stele__meta_write(database, "first", "1");
    if (status == STELE_OK)
        status = stele__epoch_begin(database, NULL);
    return status;
}

/* Of other boots, or of one that has no name. */
#define OLD_MARKS "key >= 'dirty:' AND key < 'dirty;' AND (value <> ?1 OR value = '')"

static stele_status count_old_marks(stele__database *database, const char *boot, int64_t *count_out)
{
    *count_out = 0;
    stele__statement *statement = NULL;
    stele_status status =
        stele__statement_begin(database, "SELECT count(*) FROM meta WHERE " OLD_MARKS, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, boot);
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        *count_out = stele__column_number(statement, 0);
    stele__statement_end(statement);
    return status;
}

stele_status stele__meta_begin_epoch(stele__database *database, char epoch_out[37])
{
    char boot[64];
    stele__boot_id(boot);
    stele__statement *statement = NULL;
    stele_status status = stele__epoch_begin(database, epoch_out);
    if (status == STELE_OK)
        status = stele__statement_begin(database, "DELETE FROM meta WHERE " OLD_MARKS, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_text(statement, 1, boot);
    status = stele__statement_run(statement);
    return status == STELE_OK ? stele__stamp_remove(database) : status;
}

static stele_status read_uuid(stele__database *database, char uuid_out[37])
{
    uuid_out[0] = '\0';
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database, "SELECT value, checksum FROM meta WHERE key = 'uuid'", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        const char *uuid = stele__column_text(statement, 0);
        if (uuid == NULL || strlen(uuid) != 36
            || stele__meta_checksum("uuid", uuid) != stele__column_number(statement, 1))
            status = stele__fail(STELE_CORRUPT, "the row 'uuid' of meta is damaged");
        else
            memcpy(uuid_out, uuid, 37);
    }
    stele__statement_end(statement);
    return status;
}

/* The facts of a file whose tables a user made by hand. */
static stele_status fill_by_hand(stele__database *database)
{
    char uuid[37];
    stele_status status = stele__database_begin(database);
    if (status == STELE_OK)
        status = read_uuid(database, uuid);
    if (status == STELE_DONE)
        status = stele__meta_fill(database);
    if (status == STELE_OK)
        status = stele__settle_outcome(stele__database_commit(database));
    stele__database_rollback(database);
    return status;
}

stele_status stele__meta_load(stele_store *store, stele__database *database)
{
    stele_status status = read_uuid(database, store->uuid);
    if (status == STELE_DONE && !store->options.read_only) {
        status = fill_by_hand(database);
        if (status == STELE_OK)
            status = read_uuid(database, store->uuid);
    }
    if (status == STELE_DONE)
        return stele__fail(STELE_UNSUPPORTED,
                           "the store was never opened for writing: its tables are there, but no"
                           " uuid");
    if (status == STELE_OK)
        status = stele__epoch_current(database, store->epoch);
    return status == STELE_OK ? stele__stamp_load(store, database) : status;
}

stele_status stele__meta_judge_marks(stele_store *store)
{
    stele__database *database = store->writer.database;
    stele__patience patience;
    char boot[64];
    int64_t count = 0;
    stele__boot_id(boot);
    stele_status status = count_old_marks(database, boot, &count);
    if (status != STELE_OK || count == 0)
        return status;
    stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, NULL);
    status = stele__file_lock(store, &patience);
    if (status == STELE_OK) /* somebody else may have done it since */
        status = count_old_marks(database, boot, &count);
    if (status == STELE_OK && count > 0)
        status = stele__meta_begin_epoch(database, NULL);
    if (status == STELE_OK)
        status = stele__settle_outcome(stele__database_commit(database));
    stele__write_end_held(store);
    if (status == STELE_OK)
        status = stele__epoch_current(database, store->epoch);
    return status;
}

/* A change of `meta` that is durable whatever the store's durability. Not while the store is part
 * of a transaction; the turn is held. */
static stele_status change_durably(stele_store *store, stele__patience *patience, const char *key,
                                   const char *value)
{
    stele__database *database = store->writer.database;
    stele_status status = stele__database_sync(database, STELE_DURABILITY_FULL);
    if (status == STELE_OK)
        status = stele__file_lock(store, patience);
    if (status == STELE_OK)
        status = value != NULL ? stele__meta_write(database, key, value)
                               : stele__meta_delete(database, key);
    if (status == STELE_OK)
        status = stele__database_commit(database);
    stele__write_end_held(store);
    if (status == STELE_UNKNOWN_OUTCOME)
        store->writer_broken = true;
    status = stele__settle_outcome(status);
    if (store->options.durability == STELE_DURABILITY_FULL || store->writer.database == NULL)
        return status;
    stele_status back = stele__database_sync(store->writer.database, STELE_DURABILITY_RELAXED);
    return status != STELE_OK ? status : back;
}

stele_status stele__meta_settle(stele_store *store, stele__patience *patience)
{
    char settled_at[32];
    snprintf(settled_at, sizeof(settled_at), "%" PRId64, stele__clock_now());
    return change_durably(store, patience, "settled_at", settled_at);
}

stele_status stele__meta_mark_dirty(stele_store *store, stele__patience *patience)
{
    if (store->dirty_key[0] != '\0' || store->memory)
        return STELE_OK;
    char handle[37];
    char boot[64];
    char key[64];
    stele_status status = stele__make_uuid(handle);
    if (status != STELE_OK)
        return status;
    stele__boot_id(boot);
    snprintf(key, sizeof(key), "dirty:%s", handle);
    status = change_durably(store, patience, key, boot);
    if (status == STELE_OK)
        memcpy(store->dirty_key, key, sizeof(key));
    return status;
}

void stele__meta_clear_dirty(stele_store *store)
{
    /* Left in place by a failure, it costs no more than a new epoch after the next boot. */
    stele__patience patience;
    stele__patience_begin(&patience, NULL, CLOSE_WAIT_MS, NULL);
    if (store->dirty_key[0] != '\0')
        change_durably(store, &patience, store->dirty_key, NULL);
}
