/* What the state area can prove of its part of the file. */
#ifndef STELE_STATE_CHECKS_H
#define STELE_STATE_CHECKS_H

#include "store/check.h"

const stele__check *stele__state_checks(size_t *count_out);

/* Add the rows of state entries and of write ids to the digest. Inside a read. */
stele_status stele__state_digest(stele__database *database, uint64_t *hash);

#endif
