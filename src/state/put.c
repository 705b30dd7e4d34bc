/* Putting and deleting entries, alone and inside a transaction. */
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "state/own.h"
#include "state/state.h"
#include "store/sequencer.h"

/* Which change a caller asks for: one of both. */
typedef struct state_asked {
    const stele_put *put;
    const stele_remove *what;
    bool deletion;
    bool own;
} state_asked;

static stele_status prepare_asked(stele_store *store, const state_asked *asked,
                                  stele__state_change *change)
{
    return asked->deletion ? stele__prepare_remove(asked->what, asked->own, change)
                           : stele__prepare_put(store, asked->put, asked->own, change);
}

static void report_written(stele_status status, const stele_written *written,
                           stele_written *written_out)
{
    if (written_out == NULL)
        return;
    if (status == STELE_OK || status == STELE_CONFLICT)
        *written_out = *written;
    else
        *written_out = (stele_written){ 0 };
}

static stele_status run_change(stele__request *request, stele__connection *connection,
                               bool *changed_out)
{
    stele__state_change *change = (stele__state_change *)request;
    bool found = change->written.found;
    stele_status status = stele__state_apply(request->store, connection, change, changed_out);
    /* A first attempt whose outcome was unknown turned out to be stored: still the first. */
    if (status == STELE_OK && request->unknown && change->written.duplicate) {
        change->written.duplicate = false;
        change->written.superseded = false;
        change->written.found = found;
    }
    return status;
}

/* `*taken_out` false: the store has no sequencer. */
static stele_status propose_change(stele_store *store, const state_asked *asked,
                                   stele__state_change *change, bool *taken_out)
{
    stele_put put = STELE_PUT_INIT;
    stele_remove what = STELE_REMOVE_INIT;
    stele__change proposed = { .kind = asked->deletion ? STELE__CHANGE_REMOVE : STELE__CHANGE_PUT,
                               .what = asked->deletion ? (void *)&what : (void *)&put,
                               .count = 1,
                               .wait = change->wait,
                               .own = asked->own,
                               .answer_out = &change->written };
    stele_status status =
        asked->deletion ? stele__options_take("stele_remove", asked->what, &what, sizeof(what))
                        : stele__options_take("stele_put", asked->put, &put, sizeof(put));
    *taken_out = status != STELE_OK;
    return status == STELE_OK ? stele__sequencer_offer(store, &proposed, taken_out) : status;
}

/* Unless a sequencer comes while it is about to be queued. */
static stele_status run_alone_or_propose(stele_store *store, const state_asked *asked,
                                         stele__state_change *change)
{
    bool taken = false;
    stele_status status = STELE_OK;
    if (stele__sequencer_is_there(store))
        status = propose_change(store, asked, change, &taken);
    if (taken)
        return status;
    status = stele__group_run(store, &change->request, change->wait);
    return change->request.switched ? run_alone_or_propose(store, asked, change) : status;
}

static stele_status change_alone(stele_store *store, const state_asked *asked,
                                 stele_written *written_out)
{
    stele__state_change change = { .request = {
                                       .apply = run_change, .store = store, .direct = true } };
    stele_status status = stele__store_enter(store);
    if (status == STELE_OK) {
        status = prepare_asked(store, asked, &change);
        if (status == STELE_OK)
            status = run_alone_or_propose(store, asked, &change);
        stele__state_change_dispose(&change);
        stele__store_leave(store);
    }
    report_written(status, &change.written, written_out);
    return status;
}

static stele_status change_within(stele_transaction *transaction, const state_asked *asked,
                                  stele_written *written_out)
{
    stele__state_change change = { .deletion = asked->deletion };
    stele__connection *connection = NULL;
    bool changed = false;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status == STELE_OK) {
        status = prepare_asked(transaction->store, asked, &change);
        if (status == STELE_OK) {
            status = stele__state_apply(transaction->store, connection, &change, &changed);
            if (status != STELE_OK)
                stele__transaction_failed(transaction, status, changed);
        }
        stele__state_change_dispose(&change);
        stele__transaction_leave(transaction);
    }
    report_written(status, &change.written, written_out);
    return status;
}

stele_status stele_state_put(stele_store *store, const stele_put *put, stele_written *written_out)
{
    return change_alone(store, &(state_asked){ .put = put }, written_out);
}

stele_status stele_transaction_state_put(stele_transaction *transaction, const stele_put *put,
                                         stele_written *written_out)
{
    return change_within(transaction, &(state_asked){ .put = put }, written_out);
}

stele_status stele_state_delete(stele_store *store, const stele_remove *remove,
                                stele_written *written_out)
{
    return change_alone(store, &(state_asked){ .what = remove, .deletion = true }, written_out);
}

stele_status stele_transaction_state_delete(stele_transaction *transaction,
                                            const stele_remove *remove, stele_written *written_out)
{
    return change_within(transaction, &(state_asked){ .what = remove, .deletion = true },
                         written_out);
}

stele_status stele__own_put(stele_store *store, const stele_put *put, stele_written *written_out)
{
    return change_alone(store, &(state_asked){ .put = put, .own = true }, written_out);
}

stele_status stele__own_delete(stele_store *store, const stele_remove *what,
                               stele_written *written_out)
{
    return change_alone(store, &(state_asked){ .what = what, .deletion = true, .own = true },
                        written_out);
}

stele_status stele__transaction_own_put(stele_transaction *transaction, const stele_put *put,
                                        stele_written *written_out)
{
    return change_within(transaction, &(state_asked){ .put = put, .own = true }, written_out);
}

stele_status stele__transaction_own_delete(stele_transaction *transaction, const stele_remove *what,
                                           stele_written *written_out)
{
    return change_within(transaction, &(state_asked){ .what = what, .deletion = true, .own = true },
                         written_out);
}
