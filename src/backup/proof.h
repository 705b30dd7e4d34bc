/* Running every check, on a copy above all, as a part of longer work. */
#ifndef STELE_BACKUP_PROOF_H
#define STELE_BACKUP_PROOF_H

#include "base/failure.h"
#include "store/work.h"

typedef struct stele__proof {
    bool of_copy; /* what is the user's to set doesn't count */
    uint64_t checks;
    uint64_t failures;             /* of these */
    char first[STELE__ERROR_SIZE]; /* that failed, with its offender */
} stele__proof;

/* Every check of `copy`. Damage is a count, not a failure: OK, CANCELLED, CLOSED, BUSY, ... */
stele_status stele__prove(stele_store *copy, stele__work *work, stele__proof *proof_out);

/* Only the checks of these names, as a part of that name. */
stele_status stele__prove_some(stele_store *copy, stele__work *work, const char *doing,
                               const char *const *names, size_t name_count,
                               stele__proof *proof_out);

/* Every check of a store: what counts for verification. */
stele_status stele__prove_all(stele_store *store, stele__work *work, stele__proof *proof_out);

/* The copy at `path`, which nobody changes, as a store to be read. */
stele_status stele__copy_look(const char *path, stele_store **copy_out);

#endif
