/* What the event store can prove of its part of the file. */
#ifndef STELE_EVENTSTORE_CHECKS_H
#define STELE_EVENTSTORE_CHECKS_H

#include "store/check.h"

const stele__check *stele__eventstore_checks(size_t *count_out);

/* The digest of the log's tables, for stele_store_digest(). Inside a read. */
stele_status stele__eventstore_digest(stele__database *database, uint64_t *hash_out);

#endif
