/* Making a store of a backup, and changing it on the way. */
#ifndef STELE_BACKUP_RECOVER_H
#define STELE_BACKUP_RECOVER_H

#include <stele/backup.h>

#include "store/store.h"

/* What else is to be in the new store before it is found under its name. Inside a transaction. */
typedef struct stele__recover_change {
    stele_status (*apply)(void *context, stele__database *target);
    void *context;
    const atomic_bool *closing; /* ends it with CLOSED */
} stele__recover_change;

/* stele_recover_backup(); `change` NULL: nothing else. */
stele_status stele__recover_backup(const stele_recover *recover,
                                   const stele__recover_change *change, stele_recovered *out);

#endif
