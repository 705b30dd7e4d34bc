/* The user's transaction: the writer's turn, held over several calls. */
#include <stele/transaction.h>

#include "base/callback.h"
#include "base/failure.h"
#include "base/memory.h"
#include "base/platform.h"
#include "sqlite/authorizer.h"
#include "sqlite/borrowed.h"
#include "store/schema.h"
#include "store/store.h"

static stele_status begin_transaction(stele_store *store, const stele_wait *wait, bool yields,
                                      stele_transaction **transaction_out)
{
    if (transaction_out == NULL)
        return stele__fail(STELE_MISUSE, "transaction_out is NULL");
    *transaction_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;

    stele__connection *connection = NULL;
    stele_transaction *transaction = stele__allocate_array(1, sizeof(*transaction));
    if (transaction == NULL)
        status = stele__fail(STELE_NO_MEMORY, "no memory for a transaction");
    else
        status = yields ? stele__write_begin_yielding(store, wait, &connection)
                        : stele__write_begin(store, wait, &connection);
    if (status == STELE_OK && store->wrapped != NULL) {
        status = stele__borrowed_mark(connection->database);
        stele__connection_touch(connection);
        if (status != STELE_OK)
            stele__write_end(store);
    }
    if (status == STELE_OK) {
        transaction->store = store;
        transaction->thread = stele__thread_id();
        transaction->transaction_count = connection->database->transaction_count;
        transaction->lent = store->wrapped != NULL; /* who wrapped it has the handle anyway */
        transaction->reference_count = 2;           /* the caller's, and the store's own below */
        store->transaction = transaction;
        atomic_store(&store->writer_thread, transaction->thread);
        stele__store_hold(store);
        *transaction_out = transaction;
    } else {
        stele__free(transaction);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_begin(stele_store *store, stele_transaction **transaction_out)
{
    return stele_transaction_begin_wait(store, NULL, transaction_out);
}

stele_status stele_transaction_begin_wait(stele_store *store, const stele_wait *wait,
                                          stele_transaction **transaction_out)
{
    return begin_transaction(store, wait, false, transaction_out);
}

stele_status stele__transaction_begin_yielding(stele_store *store, const stele_wait *wait,
                                               stele_transaction **transaction_out)
{
    return begin_transaction(store, wait, true, transaction_out);
}

/* Who lent a nested one is inside a call already, and may be closing the store. */
static stele_status enter_store_of(const stele_transaction *transaction)
{
    if (!transaction->nested)
        return stele__store_enter(transaction->store);
    if (stele__callback_running() == NULL)
        return STELE_OK;
    return stele__fail(STELE_MISUSE, "called from inside %s, which may call nothing",
                       stele__callback_running());
}

static void leave_store_of(const stele_transaction *transaction)
{
    if (!transaction->nested)
        stele__store_leave(transaction->store);
}

static stele_status check_usable(const stele_transaction *transaction)
{
    const stele_store *store = transaction->store;
    if (transaction->over)
        return stele__fail(STELE_MISUSE, "the transaction is over");
    if (transaction->doom != STELE_OK) /* SQLite may have rolled it back by itself */
        return stele__fail(transaction->doom,
                           "a write failed inside the transaction: end it, nothing of it is kept");
    if (!stele__database_in_transaction(store->writer.database)
        || store->writer.database->transaction_count != transaction->transaction_count)
        return stele__fail(STELE_MISUSE, "the transaction was ended by other SQL");
    return store->wrapped != NULL ? stele__wrap_check(store->writer.database) : STELE_OK;
}

static stele_status enter_transaction(stele_transaction *transaction)
{
    if (transaction == NULL)
        return stele__fail(STELE_MISUSE, "the transaction is NULL");
    if (transaction->thread != stele__thread_id())
        return stele__fail(STELE_MISUSE, "the transaction belongs to another thread");
    stele_status status = enter_store_of(transaction);
    if (status != STELE_OK)
        return status;
    status = check_usable(transaction);
    if (status != STELE_OK)
        leave_store_of(transaction);
    return status;
}

stele_status stele__transaction_enter(stele_transaction *transaction,
                                      stele__connection **connection_out)
{
    *connection_out = NULL;
    stele_status status = enter_transaction(transaction);
    if (status != STELE_OK)
        return status;
    stele_store *store = transaction->store;
    if (transaction->lent) {
        store->writer.revision++;
        transaction->mixed = true;
        stele__authorizer_arm(store->writer.database, false);
    }
    *connection_out = &store->writer;
    return STELE_OK;
}

void stele__transaction_leave(stele_transaction *transaction)
{
    if (transaction->lent && !transaction->over)
        stele__authorizer_arm(transaction->store->writer.database, true);
    leave_store_of(transaction);
}

stele_status stele__transaction_lend(stele_store *store, stele_transaction **transaction_out)
{
    stele_transaction *transaction = stele__allocate_array(1, sizeof(*transaction));
    *transaction_out = transaction;
    if (transaction == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a transaction");
    transaction->store = store;
    transaction->thread = stele__thread_id();
    transaction->transaction_count = store->writer.database->transaction_count;
    transaction->lent = store->wrapped != NULL;
    transaction->nested = true;
    transaction->reference_count = 1;
    stele__store_hold(store);
    return STELE_OK;
}

void stele__transaction_take_back(stele_transaction *transaction)
{
    if (transaction == NULL)
        return;
    stele__connection *connection = &transaction->store->writer;
    transaction->over = true;
    stele__authorizer_arm(connection->database, false);
    if (transaction->mixed) /* a savepoint of the user's may have taken names back */
        connection->revision++;
    stele__transaction_release(transaction);
}

void stele__transaction_failed(stele_transaction *transaction, stele_status status, bool half_way)
{
    bool gone = !stele__database_in_transaction(transaction->store->writer.database);
    if (transaction->doom == STELE_OK && (half_way || gone))
        transaction->doom = status;
}

void stele__transaction_hold(stele_transaction *transaction)
{
    pthread_mutex_lock(&transaction->store->mutex);
    transaction->reference_count++;
    pthread_mutex_unlock(&transaction->store->mutex);
}

void stele__transaction_release(stele_transaction *transaction)
{
    stele_store *store = transaction->store;
    /* As in stele__store_release(). */
    bool ours = store->fork_count == stele__fork_count();
    if (ours)
        pthread_mutex_lock(&store->mutex);
    bool last = --transaction->reference_count == 0;
    if (ours)
        pthread_mutex_unlock(&store->mutex);
    if (!last)
        return;
    stele__free(transaction);
    stele__store_release(store);
}

/* Give the turn back. The caller is inside a call, so close isn't doing the same. */
static void finish_transaction(stele_transaction *transaction)
{
    stele_store *store = transaction->store;
    transaction->over = true;
    store->transaction = NULL;
    atomic_store(&store->writer_thread, 0);
    if (transaction->lent)
        stele__authorizer_arm(store->writer.database, false);
    stele__write_end(store);
    stele__transaction_release(transaction);
}

/* On a borrowed handle only a mark of ours shows that it is still the same transaction. */
static stele_status commit_marked(stele_store *store, stele__connection *connection)
{
    if (store->wrapped != NULL) {
        stele_status status = stele__borrowed_unmark(connection->database);
        if (status != STELE_OK)
            return status;
    }
    return stele__write_commit(store);
}

/* The user's SQL may have made what hangs on our tables in a way that only a look at it tells, such
 * as a foreign key. What is rolled back after all vouches for no other schema of its number. */
static stele_status commit_lent(stele_store *store, stele__connection *connection)
{
    uint32_t cookie = connection->schema_cookie;
    stele_status status =
        stele__schema_recheck(connection->database, &cookie, store->options.strict_schema, NULL);
    if (status == STELE_CORRUPT)
        return stele__fail_within(STELE_MISUSE, "can't commit");
    if (status == STELE_OK) /* a savepoint may have been rolled back */
        status = stele__appended_recheck(connection);
    if (status == STELE_OK)
        status = commit_marked(store, connection);
    if (status == STELE_OK)
        connection->schema_cookie = cookie;
    return status;
}

stele_status stele_transaction_commit(stele_transaction *transaction)
{
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    if (transaction->nested || transaction->held) {
        stele__transaction_leave(transaction);
        return stele__fail(STELE_MISUSE, "the transaction is lent: who lent it commits it");
    }

    stele_store *store = transaction->store;
    status = transaction->lent ? commit_lent(store, connection) : commit_marked(store, connection);
    if (transaction->deletes)
        stele__store_forget(store, 0);
    finish_transaction(transaction);
    stele__transaction_leave(transaction);
    return status;
}

void stele_transaction_end(stele_transaction *transaction)
{
    if (transaction == NULL || transaction->nested || transaction->held)
        return;
    stele_store *store = transaction->store;
    /* Ending is allowed wherever using it isn't; close may have done it already. */
    char error[STELE__ERROR_SIZE];
    stele__keep_error(error);
    if (stele__store_enter(store) == STELE_OK) {
        if (!transaction->over)
            finish_transaction(transaction);
        stele__store_leave(store);
    }
    stele__restore_error(error);
    stele__transaction_release(transaction);
}

struct sqlite3 *stele_transaction_sqlite(stele_transaction *transaction)
{
    if (enter_transaction(transaction) != STELE_OK)
        return NULL;
    stele__connection *connection = &transaction->store->writer;
    stele__connection_touch(connection);
    transaction->lent = true;
    struct sqlite3 *handle = connection->database->handle;
    stele__transaction_leave(transaction);
    return handle;
}
