/* The checks of the log, for the table in checks.c; one file for each part of it. */
#ifndef STELE_EVENTSTORE_CHECKING_H
#define STELE_EVENTSTORE_CHECKING_H

#include "store/check.h"

/* checks_log.c */
stele_status stele__check_positions(stele_store *store, stele__findings *findings);
stele_status stele__check_versions(stele_store *store, stele__findings *findings);
stele_status stele__check_index(stele_store *store, stele__findings *findings);
stele_status stele__check_checksums(stele_store *store, stele__findings *findings);

/* checks_names.c */
stele_status stele__check_names(stele_store *store, stele__findings *findings);
stele_status stele__check_idempotency(stele_store *store, stele__findings *findings);

/* checks_lifecycle.c */
stele_status stele__check_states(stele_store *store, stele__findings *findings);
stele_status stele__check_husks(stele_store *store, stele__findings *findings);
stele_status stele__check_archives(stele_store *store, stele__findings *findings);
stele_status stele__check_kept(stele_store *store, stele__findings *findings);

#endif
