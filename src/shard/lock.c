/*
 * The lock of a folder, between processes and threads.
 *
 * The file `.lock` in it has two parts. Part 0 is the lock. Who wants it alone takes part 1 first,
 * alone, and everybody else passes through part 1: so that those who share it, one after the
 * other, can't keep him out for ever.
 */
#include "shard/shard.h"

#include <stdio.h>

#include "base/failure.h"
#include "base/platform.h"

#define LOCK_PART         0
#define DOOR_PART         1
#define LOCK_PAUSE_US     200
#define LOCK_PAUSE_MAX_US 5000

static stele_status take_lock_part(int descriptor, int part, bool exclusive,
                                   stele__patience *patience)
{
    uint32_t pause_us = LOCK_PAUSE_US;
    for (;;) {
        bool taken = false;
        stele_status status = stele__lock_try(descriptor, part, exclusive, &taken);
        if (status != STELE_OK || taken)
            return status;
        status = stele__patience_check(patience, "waiting for the lock of the folder");
        if (status != STELE_OK)
            return status;
        stele__patience_sleep(patience, pause_us);
        pause_us = pause_us < LOCK_PAUSE_MAX_US ? pause_us * 2 : LOCK_PAUSE_MAX_US;
    }
}

stele_status stele__folder_lock_take(const char *folder, bool exclusive, stele__patience *patience,
                                     stele__folder_lock *lock_out)
{
    char path[STELE__SHARD_PATH_MAX];
    int descriptor = -1;
    lock_out->descriptor = -1;
    snprintf(path, sizeof(path), "%s/.lock", folder);
    stele_status status = stele__lock_open(path, &descriptor);
    if (status == STELE_OK)
        status = take_lock_part(descriptor, DOOR_PART, exclusive, patience);
    if (status == STELE_OK) {
        status = take_lock_part(descriptor, LOCK_PART, exclusive, patience);
        stele__lock_drop(descriptor, DOOR_PART);
    }
    if (status == STELE_OK) {
        lock_out->descriptor = descriptor;
        return STELE_OK;
    }
    stele__lock_close(descriptor);
    return stele__fail_within(status, "the folder '%s'", folder);
}

void stele__folder_lock_drop(stele__folder_lock *lock)
{
    if (lock->descriptor < 0)
        return;
    /* Closing alone would not do it while a child of ours has the file open. */
    stele__lock_drop(lock->descriptor, LOCK_PART);
    stele__lock_close(lock->descriptor);
    lock->descriptor = -1;
}
