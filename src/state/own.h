/* Entries of the library's own scopes, for the areas that keep theirs there. */
#ifndef STELE_STATE_OWN_H
#define STELE_STATE_OWN_H

#include <stele/state.h>

#include "store/store.h"

/* What the scopes of identities begin with. */
#define STELE__IDENTITY_SCOPE "$identity/"

/* The scopes of what is of one file alone, whoever puts the others in order: they begin with this.
 */
#define STELE__LOCAL_SCOPES "$projections"

/* stele_state_put() and stele_state_delete(), in scopes with '$', too. */
stele_status stele__own_put(stele_store *store, const stele_put *put, stele_written *written_out);
stele_status stele__own_delete(stele_store *store, const stele_remove *what,
                               stele_written *written_out);

/* stele_transaction_state_put() and stele_transaction_state_delete(), in scopes with '$', too. */
stele_status stele__transaction_own_put(stele_transaction *transaction, const stele_put *put,
                                        stele_written *written_out);
stele_status stele__transaction_own_delete(stele_transaction *transaction, const stele_remove *what,
                                           stele_written *written_out);

/* stele_state_get() on a connection that is read already. */
stele_status stele__entry_look(stele__connection *connection, const char *scope, const char *key,
                               const stele_entry **entry_out);

#endif
