/* Making a store of a backup: proven, copied, and given an epoch of its own. */
#include "backup/recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backup/destination.h"
#include "backup/proof.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/platform.h"
#include "checkpoint/own.h"
#include "store/fence.h"
#include "store/schema.h"
#include "store/stamp.h"

void stele_recover_init(stele_recover *recover)
{
    *recover = (stele_recover)STELE_RECOVER_INIT;
}

static stele_status is_there(const char *path, const char *suffix, bool *there)
{
    char beside[4200];
    stele__file_facts facts = { 0 };
    int size = snprintf(beside, sizeof(beside), "%s%s", path, suffix);
    if (size < 0 || (size_t)size >= sizeof(beside))
        return stele__fail(STELE_MISUSE, "the path '%.100s...' is too long", path);
    stele_status status = stele__look_at_file(beside, &facts);
    *there = *there || facts.exists;
    return status;
}

/* A file that nobody has open is only read: also where nothing may be written. Else SQLite locks
 * it, and reads its WAL, too. */
static stele_status open_source(const char *path, stele_store **source_out)
{
    char *resolved = NULL;
    bool in_use = false;
    stele_options options = STELE_OPTIONS_INIT;
    options.read_only = true;
    options.must_exist = true;
    if (path == NULL || *path == '\0')
        return stele__fail(STELE_MISUSE, "the backup's path is %s",
                           path == NULL ? "NULL" : "empty");
    if (strcmp(path, ":memory:") == 0 || strncmp(path, "file:", 5) == 0)
        return stele__fail(STELE_MISUSE, "'%s' names no file: give a plain path", path);
    stele_status status = stele__resolve_path(path, &resolved);
    if (status == STELE_OK)
        status = is_there(resolved, "-wal", &in_use);
    if (status == STELE_OK)
        status = is_there(resolved, "-shm", &in_use);
    if (status == STELE_OK)
        status = is_there(resolved, "-journal", &in_use);
    options.immutable = !in_use;
    if (status == STELE_OK)
        status = stele_store_open(resolved, &options, source_out);
    stele__free(resolved);
    return status;
}

static stele_status prove_source(stele_store *source, stele__work *work, bool damaged,
                                 stele_recovered *facts)
{
    stele__proof proof;
    stele_status status = stele__prove(source, work, &proof);
    facts->checks = proof.checks;
    facts->failures = proof.failures;
    if (status != STELE_OK || proof.failures == 0)
        return status;
    if (damaged) {
        stele__log(STELE_LOG_WARNING, "'%s' is recovered although it is damaged: %s", source->path,
                   proof.first);
        return STELE_OK;
    }
    return stele__fail(STELE_CORRUPT, "'%s' is damaged, and %" PRIu64 " check(s) fail: %s",
                       source->path, proof.failures, proof.first);
}

/* The stamp goes with the old epoch, and so do claims: their owners work on the store that was. */
static stele_status begin_anew(stele_store *source, stele__database *target,
                               const stele__recover_change *change, stele_recovered *facts)
{
    stele__connection connection = { .database = target };
    stele__stamp stamp = { 0 };
    stele_status status = stele__copy_change(target);
    if (status == STELE_OK)
        status = stele__stamp_read(target, &stamp);
    if (status == STELE_OK)
        status = stele__meta_begin_epoch(target, facts->epoch);
    if (status == STELE_OK)
        status = stele__stamp_forget_marks(target);
    if (status == STELE_OK)
        status = stele__stamp_forget_archives(target);
    if (status == STELE_OK) /* it stops writers of the store that was */
        status = stele__fence_remove(target);
    if (status == STELE_OK)
        status = stele__places_disown(source, &connection);
    if (status == STELE_OK && change != NULL)
        status = change->apply(change->context, target);
    if (status == STELE_OK)
        status = stele__database_number(target, "SELECT max(position) FROM events", &facts->head);
    if (status == STELE_OK)
        status = stele__copy_settle(target);
    facts->made_at = stamp.made_at;
    return status;
}

/* What was written is a store, and ends where it should. */
static stele_status look_again(const char *path, const stele_recovered *facts)
{
    const stele__database_options settings = { .read_only = true, .immutable = true };
    stele__database *copy = NULL;
    bool foreign = false;
    int64_t head = -1;
    char epoch[37] = "";
    stele_status status = stele__database_open(path, &settings, &copy);
    if (status == STELE_OK)
        status = stele__schema_compare(copy, false, &foreign);
    if (status == STELE_OK)
        status = stele__epoch_current(copy, epoch);
    if (status == STELE_OK)
        status = stele__database_number(copy, "SELECT max(position) FROM events", &head);
    if (status == STELE_OK && (head != facts->head || strcmp(epoch, facts->epoch) != 0))
        status = stele__fail(
            STELE_IO, "what was written reads differently: it ends at %" PRId64 ", not at %" PRId64,
            head, facts->head);
    stele__database_close(copy);
    return status;
}

static stele_status recover_from(stele_store *source, stele__work *work, bool damaged,
                                 stele__destination *destination,
                                 const stele__recover_change *change, stele_recovered *facts)
{
    stele__copy_facts copied;
    stele__file_facts file = { 0 };
    stele_status status = prove_source(source, work, damaged, facts);
    if (status == STELE_OK)
        status = stele__copy_run(source, work, destination->target, &copied);
    if (status == STELE_OK)
        status = begin_anew(source, destination->target, change, facts);
    if (status == STELE_OK)
        status = look_again(destination->partial, facts);
    if (status == STELE_OK)
        status = stele__look_at_file(destination->partial, &file);
    if (status == STELE_OK)
        status = stele__destination_publish(destination);
    memcpy(facts->uuid, source->uuid, sizeof(facts->uuid));
    memcpy(facts->old_epoch, source->epoch, sizeof(facts->old_epoch));
    facts->bytes = file.size;
    return status;
}

stele_status stele__recover_backup(const stele_recover *recover,
                                   const stele__recover_change *change, stele_recovered *out)
{
    stele_recover options = STELE_RECOVER_INIT;
    stele_recovered facts = { 0 };
    stele__work work;
    stele__destination destination = { 0 };
    stele_store *source = NULL;
    stele_status status = stele__options_take("stele_recover", recover, &options, sizeof(options));
    if (status == STELE_OK)
        status = open_source(options.backup, &source);
    if (status != STELE_OK)
        return status;
    status = stele__work_begin(&work, source, options.work);
    if (change != NULL)
        work.closing = change->closing;
    if (status == STELE_OK)
        status = stele__destination_open(&destination, options.path);
    if (status == STELE_OK)
        status = recover_from(source, &work, options.damaged, &destination, change, &facts);
    stele__destination_close(&destination);
    stele_store_close(source); /* keeps the error text */
    if (out != NULL && status == STELE_OK)
        *out = facts;
    else if (out != NULL && status == STELE_CORRUPT)
        *out = (stele_recovered){ .checks = facts.checks, .failures = facts.failures };
    return status;
}

stele_status stele_recover_backup(const stele_recover *recover, stele_recovered *out)
{
    return stele__recover_backup(recover, NULL, out);
}
