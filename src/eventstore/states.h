/* Between the files that change the state of a stream by a public call. */
#ifndef STELE_EVENTSTORE_STATES_H
#define STELE_EVENTSTORE_STATES_H

#include <stdio.h>

#include "eventstore/lifecycle.h"
#include "store/sequencer.h"

/* A stream of the user's, and a version that it can be at. MISUSE. */
stele_status stele__check_change(const char *stream, int64_t expected_version);
/* A change of a stream's state goes to the store's sequencer; `*taken_out` false: it has none. */
stele_status stele__propose_state(stele_store *store, stele__change_kind kind, const void *what,
                                  const stele_wait *wait, stele_changed *changed, bool *taken_out);
/* The same, or begin to write durably: `*taken_out` false and OK: a transaction, to be ended. With
 * `dry_run` nothing is proposed. */
stele_status stele__propose_or_begin(stele_store *store, stele__change_kind kind, const void *what,
                                     const stele_wait *wait, bool dry_run, stele_changed *changed,
                                     bool *taken_out, stele__connection **connection_out);
/* Of a public call. */
void stele__report_change(stele_status status, const stele_changed *changed,
                          stele_changed *changed_out);

/* --- Inside a transaction --- */

/* OK; NOT_FOUND, CONFLICT. Also tells the version. */
stele_status stele__find_to_change(stele__connection *connection, const char *stream,
                                   int64_t expected, stele__stream_row *row_out,
                                   stele_changed *changed);
stele_status stele__refuse_tombstoned(const stele__stream_row *row);
/* The row gets a public state, and `$stele` its event. */
stele_status stele__apply_state(stele_store *store, stele__connection *connection,
                                stele__stream_row *row, int64_t state, const char *reason,
                                const char *archive, stele_changed *changed);
/* What a dry run tells: the stream's events without one of these flags, and their payloads. */
stele_status stele__count_payloads(stele__connection *connection, int64_t stream, int64_t flags,
                                   stele_changed *changed);
/* `*written_out` says whether there is something to commit, or to roll back. */
stele_status stele__archive_in_place(stele_store *store, stele__connection *connection,
                                     const stele_archive *archive, stele_changed *changed,
                                     bool *written_out);
stele_status stele__restore_in_place(stele_store *store, stele__connection *connection,
                                     const stele_restore *restore, stele_changed *changed,
                                     bool *written_out);

#endif
