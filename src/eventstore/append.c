/* Appending, alone and inside a transaction. */
#include <stddef.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "eventstore/eventstore.h"
#include "store/sequencer.h"

static void report_append(stele_status status, const stele_appended *appended,
                          stele_appended *appended_out)
{
    if (appended_out == NULL)
        return;
    if (status == STELE_OK || status == STELE_CONFLICT)
        *appended_out = *appended;
    else
        *appended_out = (stele_appended){ 0 };
}

static stele_status run_append(stele__request *request, stele__connection *connection,
                               bool *changed_out)
{
    stele__append_request *append = (stele__append_request *)request;
    stele_status status = stele__apply_append(request->store, connection, &append->prepared,
                                              &append->appended, changed_out);
    /* A first attempt whose outcome was unknown turned out to be stored: still the first. */
    if (status == STELE_OK && request->unknown)
        append->appended.duplicate = false;
    return status;
}

void stele__append_request_init(stele__append_request *append, stele_store *store)
{
    append->request = (stele__request){ .apply = run_append, .store = store, .direct = true };
    append->appended = (stele_appended){ .condition = -1 };
}

/* What the bounds of a group count. */
void stele__append_request_measure(stele__append_request *append)
{
    const stele__prepared *prepared = &append->prepared;
    append->request.repeatable = prepared->append.idempotency_key != NULL;
    append->request.size = sizeof(*append);
    for (size_t i = 0; i < prepared->append.event_count; i++) {
        stele_event event;
        stele__prepared_event(prepared, i, &event);
        append->request.size += event.data_size + event.metadata_size;
    }
}

/* `*taken_out` false: the store has no sequencer. */
static stele_status propose_appends(stele_store *store, const stele_append *appends, size_t count,
                                    stele_appended *appended_out, size_t *failed_out,
                                    bool *taken_out)
{
    return stele__sequencer_offer(store,
                                  &(stele__change){ .kind = STELE__CHANGE_APPENDS,
                                                    .what = appends,
                                                    .count = count,
                                                    .wait = appends->wait,
                                                    .answer_out = appended_out,
                                                    .failed_out = failed_out },
                                  taken_out);
}

stele_status stele__append_request_propose(stele__append_request *append, bool *taken_out)
{
    stele_store *store = append->request.store;
    *taken_out = false;
    if (!stele__sequencer_is_there(store))
        return STELE_OK;
    return propose_appends(store, &append->prepared.append, 1, &append->appended, NULL, taken_out);
}

/* Unless a sequencer comes while it is about to be queued. */
static stele_status run_prepared(stele__append_request *append)
{
    bool taken = false;
    stele_status status = stele__append_request_propose(append, &taken);
    if (taken)
        return status;
    status =
        stele__group_run(append->request.store, &append->request, append->prepared.append.wait);
    return append->request.switched ? run_prepared(append) : status;
}

stele_status stele_store_append(stele_store *store, const stele_append *append,
                                stele_appended *appended_out)
{
    STELE__UNINITIALIZED stele__append_request request;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele__append_request_init(&request, store);
    status = stele__prepare_append(store, append, &request.prepared);
    if (status == STELE_OK) {
        stele__append_request_measure(&request);
        status = run_prepared(&request);
        stele__prepared_dispose(&request.prepared);
    }
    stele__store_leave(store);
    report_append(status, &request.appended, appended_out);
    return status;
}

stele_status stele_transaction_append(stele_transaction *transaction, const stele_append *append,
                                      stele_appended *appended_out)
{
    stele_appended appended = { .condition = -1 };
    stele__prepared prepared;
    stele__connection *connection = NULL;
    bool changed = false;

    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = stele__prepare_append(transaction->store, append, &prepared);
    if (status == STELE_OK) {
        status =
            stele__apply_append(transaction->store, connection, &prepared, &appended, &changed);
        if (status != STELE_OK)
            stele__transaction_failed(transaction, status, changed);
        stele__prepared_dispose(&prepared);
    }
    stele__transaction_leave(transaction);
    report_append(status, &appended, appended_out);
    return status;
}

/* Append number `index` of an array whose structs are as large as the first one says. */
static const stele_append *append_at(const stele_append *appends, size_t index)
{
    return (const stele_append *)(const void *)((const char *)appends
                                                + index * appends->struct_size);
}

/* One after the other; `*failed_out` is where it ended. */
static stele_status apply_many(stele_store *store, stele__connection *connection,
                               const stele_append *appends, size_t count,
                               stele_appended *appended_out, size_t *failed_out, bool *changed_out)
{
    stele_status status = STELE_OK;
    stele__prepared prepared;
    for (*failed_out = 0; *failed_out < count; ++*failed_out) {
        stele_appended appended = { .condition = -1 };
        bool changed = false;
        status = stele__prepare_append(store, append_at(appends, *failed_out), &prepared);
        if (status == STELE_OK) {
            status = stele__apply_append(store, connection, &prepared, &appended, &changed);
            stele__prepared_dispose(&prepared);
        }
        *changed_out |= changed;
        if (appended_out != NULL && (status == STELE_OK || status == STELE_CONFLICT))
            appended_out[*failed_out] = appended;
        if (status != STELE_OK)
            return status;
    }
    return STELE_OK;
}

/* Nothing of a failed group was stored, so nothing of it is reported but the conflict. */
static void report_many(stele_status status, size_t count, size_t failed,
                        stele_appended *appended_out, size_t *failed_out)
{
    if (failed_out != NULL)
        *failed_out = failed;
    for (size_t i = 0; i < count && appended_out != NULL && status != STELE_OK; i++)
        if (i != failed || status != STELE_CONFLICT)
            appended_out[i] = (stele_appended){ 0 };
}

static stele_status check_many(const stele_append *appends, size_t count)
{
    if (count == 0)
        return STELE_OK;
    if (appends == NULL)
        return stele__fail(STELE_MISUSE, "appends is NULL, count is %zu", count);
    if (appends->struct_size < sizeof(appends->struct_size))
        return stele__fail(STELE_MISUSE,
                           "stele_append.struct_size is %zu: begin with its initializer",
                           appends->struct_size);
    return STELE_OK;
}

/* It could not begin, while the outcome of an earlier commit is unknown: that may have been an
 * attempt with one of these keys. */
static stele_status judge_unbegun(const stele_store *store, stele_status status,
                                  const stele_append *appends, size_t count)
{
    for (size_t i = 0;
         i < count && store->writer_broken && status != STELE_MISUSE && status != STELE_READ_ONLY;
         i++)
        if (append_at(appends, i)->idempotency_key != NULL)
            return stele__fail_within(STELE_UNKNOWN_OUTCOME,
                                      "an earlier commit is not settled yet");
    return status;
}

static const stele_wait *wait_of_first(const stele_append *appends, size_t count)
{
    if (count == 0 || appends->struct_size < offsetof(stele_append, wait) + sizeof(const void *))
        return NULL;
    return appends->wait;
}

/* All of them as one change, once each was checked. */
static stele_status propose_many(stele_store *store, const stele_append *appends, size_t count,
                                 stele_appended *appended_out, size_t *failed_out, bool *taken_out)
{
    stele__prepared prepared;
    stele_status status = STELE_OK;
    stele_append *full = stele__allocate_array(count, sizeof(*full));
    *taken_out = true;
    if (full == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu appends", count);
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        *failed_out = i;
        status = stele__prepare_append(store, append_at(appends, i), &prepared);
        if (status != STELE_OK)
            break;
        full[i] = prepared.append;
        stele__prepared_dispose(&prepared);
    }
    if (status == STELE_OK) {
        *failed_out = count;
        status = propose_appends(store, full, count, appended_out, failed_out, taken_out);
    }
    stele__free(full);
    return status;
}

static stele_status append_many(stele_store *store, const stele_append *appends, size_t count,
                                stele_appended *appended_out, size_t *failed_out)
{
    bool changed = false;
    bool taken = false;
    stele__connection *connection = NULL;
    stele_status status = STELE_OK;
    if (count > 0 && stele__sequencer_is_there(store))
        status = propose_many(store, appends, count, appended_out, failed_out, &taken);
    if (taken)
        return status;
    status = stele__write_begin(store, wait_of_first(appends, count), &connection);
    if (status != STELE_OK)
        return judge_unbegun(store, status, appends, count);
    if (count > 0 && stele__sequencer_is_there(store)) { /* it has just come */
        stele__write_end(store);
        return append_many(store, appends, count, appended_out, failed_out);
    }
    status = apply_many(store, connection, appends, count, appended_out, failed_out, &changed);
    if (status == STELE_OK && changed)
        status = stele__write_commit(store);
    stele__write_end(store);
    return status;
}

stele_status stele_store_append_many(stele_store *store, const stele_append *appends, size_t count,
                                     stele_appended *appended_out, size_t *failed_out)
{
    size_t failed = count;
    if (failed_out != NULL)
        *failed_out = count;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = check_many(appends, count);
    if (status == STELE_OK)
        status = append_many(store, appends, count, appended_out, &failed);
    else
        status = judge_unbegun(store, status, appends, count);
    stele__store_leave(store);
    report_many(status, count, failed, appended_out, failed_out);
    return status;
}

/* Undo this call's appends, and forget what was remembered of them. */
static stele_status undo_many(stele__connection *connection)
{
    connection->revision++;
    return stele__database_execute(connection->database,
                                   "ROLLBACK TO stele_append_many; RELEASE stele_append_many");
}

stele_status stele_transaction_append_many(stele_transaction *transaction,
                                           const stele_append *appends, size_t count,
                                           stele_appended *appended_out, size_t *failed_out)
{
    size_t failed = count;
    bool changed = false;
    stele__connection *connection = NULL;
    if (failed_out != NULL)
        *failed_out = count;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = check_many(appends, count);
    if (status == STELE_OK)
        status = stele__database_execute(connection->database, "SAVEPOINT stele_append_many");
    if (status == STELE_OK) {
        status = apply_many(transaction->store, connection, appends, count, appended_out, &failed,
                            &changed);
        if (status == STELE_OK) {
            status = stele__database_execute(connection->database, "RELEASE stele_append_many");
        } else {
            char error[STELE__ERROR_SIZE];
            stele__keep_error(error);
            stele__transaction_failed(transaction, status, undo_many(connection) != STELE_OK);
            stele__restore_error(error);
        }
    }
    stele__transaction_leave(transaction);
    report_many(status, count, failed, appended_out, failed_out);
    return status;
}
