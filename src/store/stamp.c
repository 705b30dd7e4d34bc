#include "store/stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "sqlite/statement.h"
#include "store/anchoring.h"

static const char stamp_key[] = "backup";

stele_status stele__stamp_write(stele__database *database, stele__stamp *stamp_out)
{
    char value[160];
    *stamp_out = (stele__stamp){ .found = true, .made_at = stele__clock_now() };
    stele_status status = stele__epoch_current(database, stamp_out->epoch);
    if (status == STELE_OK)
        status =
            stele__database_number(database, "SELECT max(position) FROM events", &stamp_out->head);
    if (status != STELE_OK)
        return status;
    snprintf(value, sizeof(value),
             "{\"head\":%" PRId64 ",\"epoch\":\"%s\",\"made_at\":%" PRId64 "}", stamp_out->head,
             stamp_out->epoch, stamp_out->made_at);
    return stele__meta_write(database, stamp_key, value);
}

/* Nobody but this file writes it, so it has one form. */
static bool parse_stamp(const char *value, stele__stamp *stamp)
{
    if (!stele__take_text(&value, "{\"head\":") || !stele__take_number(&value, &stamp->head)
        || !stele__take_text(&value, ",\"epoch\":\""))
        return false;
    if (strspn(value, "0123456789abcdef-") != 36)
        return false;
    memcpy(stamp->epoch, value, 36);
    stamp->epoch[36] = '\0';
    value += 36;
    return stele__take_text(&value, "\",\"made_at\":")
           && stele__take_number(&value, &stamp->made_at) && strcmp(value, "}") == 0;
}

stele_status stele__stamp_read(stele__database *database, stele__stamp *stamp_out)
{
    *stamp_out = (stele__stamp){ 0 };
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database, "SELECT value, checksum FROM meta WHERE key = 'backup'", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        const char *value = stele__column_text(statement, 0);
        stamp_out->found = true;
        if (value == NULL
            || stele__meta_checksum(stamp_key, value) != stele__column_number(statement, 1)
            || !parse_stamp(value, stamp_out))
            *stamp_out = (stele__stamp){ .found = true, .damaged = true };
    }
    stele__statement_end(statement);
    return status == STELE_DONE ? STELE_OK : status;
}

/* The next archive whose path the file knows: OK, or DONE. */
static stele_status find_archive_path(stele__database *database, int64_t *id_out, char uuid_out[37])
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        database, "SELECT id, uuid FROM archives WHERE hint <> '' LIMIT 1", &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK) {
        const char *uuid = stele__column_text(statement, 1);
        *id_out = stele__column_number(statement, 0);
        snprintf(uuid_out, 37, "%s", uuid == NULL ? "" : uuid);
    }
    stele__statement_end(statement);
    return status;
}

int64_t stele__archive_checksum(int64_t id, const char *uuid, const char *hint)
{
    stele__digest digest;
    stele__digest_init(&digest);
    stele__digest_number(&digest, id);
    stele__digest_text(&digest, uuid);
    stele__digest_text(&digest, hint);
    return (int64_t)stele__digest_end(&digest);
}

stele_status stele__stamp_forget_archives(stele__database *database)
{
    int64_t id = 0;
    char uuid[37];
    stele_status status = STELE_OK;
    while ((status = find_archive_path(database, &id, uuid)) == STELE_OK) {
        stele__statement *statement = NULL;
        status = stele__statement_begin(
            database, "UPDATE archives SET hint = '', checksum = ?2 WHERE id = ?1", &statement);
        if (status != STELE_OK)
            return status;
        stele__bind_number(statement, 1, id);
        stele__bind_number(statement, 2, stele__archive_checksum(id, uuid, ""));
        status = stele__statement_run(statement);
        if (status != STELE_OK)
            return status;
    }
    return status == STELE_DONE ? STELE_OK : status;
}

stele_status stele__stamp_remove(stele__database *database)
{
    stele__stamp stamp = { 0 };
    stele_status status = stele__stamp_read(database, &stamp);
    if (status == STELE_OK && !stamp.found)
        return STELE_OK;
    if (status == STELE_OK)
        status = stele__stamp_forget_archives(database);
    return status == STELE_OK ? stele__meta_delete(database, stamp_key) : status;
}

stele_status stele__stamp_forget_marks(stele__database *database)
{
    return stele__database_execute(database,
                                   "DELETE FROM meta WHERE key >= 'dirty:' AND key < 'dirty;'");
}

/* What the file says without its WAL. No answer is no stamp: another process may be moving its WAL
 * into it just now. */
static stele_status read_stamp_of_file_alone(const char *path, stele__stamp *stamp_out)
{
    const stele__database_options settings = { .read_only = true, .immutable = true };
    stele__database *database = NULL;
    *stamp_out = (stele__stamp){ 0 };
    stele_status status = stele__database_open(path, &settings, &database);
    if (status == STELE_OK)
        status = stele__stamp_read(database, stamp_out);
    stele__database_close(database);
    if (status != STELE_OK || stamp_out->damaged)
        stamp_out->found = false;
    return status == STELE_NO_MEMORY ? status : STELE_OK;
}

static stele_status look_for_wal(const char *path, bool *found_out)
{
    stele__file_facts facts = { 0 };
    size_t size = strlen(path) + sizeof("-wal");
    char *wal = stele__allocate(size);
    if (wal == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for the path '%s'", path);
    snprintf(wal, size, "%s-wal", path);
    *found_out = stele__look_at_file(wal, &facts) == STELE_OK && facts.size > 0;
    stele__free(wal);
    return STELE_OK;
}

/*
 * A backup is made without a WAL, and while it bears the stamp nobody writes one. So what lies
 * beside it is the old store's, and would put that one's pages in place of the backup's; unless it
 * holds the new epoch with which the stamp went.
 */
static stele_status judge_wal_of_backup(stele_store *store, stele__database *database)
{
    stele__stamp alone;
    bool known = false;
    bool beside = false;
    stele_status status = STELE_OK;
    if (!store->memory && store->wrapped == NULL && !store->options.immutable)
        status = look_for_wal(store->path, &beside);
    if (status != STELE_OK || !beside)
        return status;
    status = read_stamp_of_file_alone(store->path, &alone);
    if (status != STELE_OK || !alone.found)
        return status;
    if (!store->backup && strcmp(store->epoch, alone.epoch) != 0)
        status = stele__epoch_knows(database, alone.epoch, &known);
    if (status != STELE_OK || known)
        return status;
    return stele__fail(STELE_CORRUPT,
                       "the file is a backup, made at position %" PRId64
                       ", and the WAL beside it is another's: move that away",
                       alone.head);
}

stele_status stele__stamp_load(stele_store *store, stele__database *database)
{
    stele__stamp stamp;
    stele_status status = stele__stamp_read(database, &stamp);
    if (status != STELE_OK)
        return status;
    store->backup = stamp.found;
    return judge_wal_of_backup(store, database);
}

/* The new epoch takes the stamp away; and the file without its WAL is not to be taken for a backup
 * any more. */
static stele_status make_store_of_backup(stele_store *store)
{
    stele__database *database = store->writer.database;
    stele__patience patience;
    stele__stamp stamp;
    uint32_t left = 0;
    stele__patience_begin(&patience, NULL, store->options.busy_timeout_ms, NULL);
    stele_status status = stele__file_lock(store, &patience);
    if (status == STELE_OK) /* somebody else, or the judgement of the anchor, may have done it */
        status = stele__stamp_read(database, &stamp);
    if (status == STELE_OK && stamp.found)
        status = stele__meta_begin_epoch(database, NULL);
    if (status == STELE_OK && stamp.found)
        status = stele__settle_outcome(stele__database_commit(database));
    stele__write_end_held(store);
    if (status == STELE_OK)
        status = stele__epoch_current(database, store->epoch);
    if (status != STELE_OK)
        return status;
    store->backup = false;
    if (stele__transfer_guarded(store, &patience, &left) != STELE_OK)
        stele__log(STELE_LOG_WARNING, "'%s': %s", store->path, stele_error_text());
    return STELE_OK;
}

stele_status stele__stamp_judge(stele_store *store)
{
    stele__stamp stamp;
    if (!store->backup || store->options.read_only)
        return STELE_OK;
    if (store->options.accept_loss && store->wrapped == NULL && !store->memory)
        return make_store_of_backup(store);
    stele_status status = stele__stamp_read(store->writer.database, &stamp);
    if (status != STELE_OK)
        return status;
    snprintf(store->lost, sizeof(store->lost),
             "this is a backup, made at position %" PRId64
             ": recover it into a new file, or open it with accept_loss to go on in it",
             stamp.head);
    stele__anchoring_close(store); /* which stays that of the store it was made of */
    return STELE_OK;
}
