/* Making a backup: copied, stamped, proven, and only then given its name. */
#include <stele/backup.h>

#include <string.h>

#include "backup/destination.h"
#include "backup/proof.h"
#include "base/options.h"
#include "base/platform.h"
#include "store/stamp.h"

void stele_backup_init(stele_backup *backup)
{
    *backup = (stele_backup)STELE_BACKUP_INIT;
}

static stele_status stamp_copy(stele__database *target, stele_backed_up *facts)
{
    stele__stamp stamp;
    stele_status status = stele__copy_change(target);
    if (status == STELE_OK)
        status = stele__stamp_write(target, &stamp);
    if (status == STELE_OK)
        status = stele__stamp_forget_marks(target);
    if (status == STELE_OK)
        status = stele__copy_settle(target);
    if (status != STELE_OK)
        return status;
    facts->head = stamp.head;
    facts->made_at = stamp.made_at;
    memcpy(facts->epoch, stamp.epoch, sizeof(facts->epoch));
    return STELE_OK;
}

static stele_status prove_backup(const char *path, stele__work *work, stele_backed_up *facts)
{
    stele_store *copy = NULL;
    stele__proof proof;
    stele_status status = stele__copy_look(path, &copy);
    if (status == STELE_OK)
        status = stele__prove(copy, work, &proof);
    stele_store_close(copy);
    if (status == STELE_CORRUPT)
        return stele__fail_within(status, "the copy is no backup: the store is damaged");
    if (status != STELE_OK)
        return status;
    facts->checks = proof.checks;
    if (proof.failures == 0)
        return STELE_OK;
    return stele__fail(STELE_CORRUPT, "the copy is no backup: the store is damaged: %s",
                       proof.first);
}

static stele_status make_backup(stele_store *store, stele__work *work, bool unverified,
                                stele__destination *destination, stele_backed_up *facts)
{
    stele__copy_facts copied;
    stele__file_facts file = { 0 };
    stele_status status = stele__copy_run(store, work, destination->target, &copied);
    if (status == STELE_OK)
        status = stamp_copy(destination->target, facts);
    if (status == STELE_OK && !unverified)
        status = prove_backup(destination->partial, work, facts);
    if (status == STELE_OK)
        status = stele__look_at_file(destination->partial, &file);
    if (status == STELE_OK)
        status = stele__destination_publish(destination);
    memcpy(facts->uuid, store->uuid, sizeof(facts->uuid));
    facts->bytes = file.size;
    facts->pages = copied.pages;
    facts->restarts = copied.restarts;
    return status;
}

static stele_status back_up(stele_store *store, const stele_backup *options, stele_backed_up *facts)
{
    stele__work work;
    stele__destination destination;
    stele_status status = stele__work_begin(&work, store, options->work);
    if (status == STELE_OK && atomic_load(&store->writer_thread) == stele__thread_id())
        status = stele__fail(STELE_MISUSE, "this thread has a transaction open: end it first");
    if (status == STELE_OK)
        status = stele__destination_open(&destination, options->path);
    if (status != STELE_OK)
        return status;
    status = make_backup(store, &work, options->unverified, &destination, facts);
    stele__destination_close(&destination);
    return status;
}

stele_status stele_store_backup(stele_store *store, const stele_backup *backup,
                                stele_backed_up *out)
{
    stele_backup options = STELE_BACKUP_INIT;
    stele_backed_up facts = { 0 };
    stele_status status = stele__options_take("stele_backup", backup, &options, sizeof(options));
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = back_up(store, &options, &facts);
    stele__store_leave(store);
    if (status == STELE_OK && out != NULL)
        *out = facts;
    return status;
}
