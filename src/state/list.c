/*
 * Listing entries in pages. A page first follows an index, which tells the keys in their order and
 * is cheap to go through, and then fetches the rows that are to be shown.
 */
#include <stdio.h>
#include <string.h>

#include "base/failure.h"
#include "base/memory.h"
#include "base/options.h"
#include "state/state.h"
#include "store/names.h"

#define ENTRY_PAGE_COUNT 256
#define ENTRY_PAGE_BYTES 1048576u
/* Keys looked at for one page, however few of them are shown. */
#define ENTRY_SCAN_WINDOW 20000

/* Where a list stands: everything up to this entry was looked at. */
typedef struct list_place {
    bool begun;
    int64_t updated_at;
    char scope[STELE_SCOPE_SIZE_MAX + 1];
    char key[STELE_NAME_SIZE_MAX + 1];
} list_place;

struct stele_entries {
    stele_store *store;             /* held */
    stele_transaction *transaction; /* NULL: pages come from the pool */
    stele_entries_read read;        /* its strings are those below */
    char *scope;
    char *prefix;
    size_t prefix_size;
    list_place place;
    bool scanned;       /* nothing follows */
    uint64_t left;      /* entries that may still be given */
    stele_status ended; /* OK while entries may follow; then the answer for ever */
    char ended_text[STELE__ERROR_SIZE];

    const stele_entry *page[ENTRY_PAGE_COUNT];
    size_t page_count;
    size_t page_next;
    const stele_entry *lent;
};

void stele_entries_read_init(stele_entries_read *read)
{
    *read = (stele_entries_read)STELE_ENTRIES_READ_INIT;
}

/* --- Pages --- */

/* Keys behind `from`, on the index that has their order. It must stay until the statement ends. */
static stele_status begin_keys(const stele_entries *entries, const list_place *from,
                               stele__connection *connection, stele__statement **statement_out)
{
    static const char newest_sql[] =
        "SELECT id, scope, key, updated_at FROM state WHERE scope = ?1 AND updated_at <= ?2"
        " AND (updated_at < ?2 OR key < ?3 OR ?4 = 0)"
        " ORDER BY updated_at DESC, key DESC LIMIT ?5";
    static const char of_scope_sql[] =
        "SELECT id, scope, key, 0 FROM state WHERE scope = ?1 AND key >= ?3"
        " AND (key > ?3 OR ?4 = 0) ORDER BY key LIMIT ?5";
    static const char all_sql[] =
        "SELECT id, scope, key, 0 FROM state WHERE (scope, key) > (?1, ?3)"
        " ORDER BY scope, key LIMIT ?5";
    bool newest = entries->read.order == STELE_NEWEST_FIRST;
    const char *sql = newest ? newest_sql : entries->scope != NULL ? of_scope_sql : all_sql;
    stele_status status = stele__statement_begin(connection->database, sql, statement_out);
    if (status != STELE_OK)
        return status;
    stele__bind_text(*statement_out, 1, entries->scope != NULL ? entries->scope : from->scope);
    if (newest)
        stele__bind_number(*statement_out, 2, from->updated_at);
    stele__bind_text(*statement_out, 3, from->key);
    if (newest || entries->scope != NULL)
        stele__bind_number(*statement_out, 4, from->begun);
    stele__bind_number(*statement_out, 5, ENTRY_SCAN_WINDOW);
    return STELE_OK;
}

/* Whether the entry comes behind the place of the list. */
static bool comes_next(const stele_entries *entries, const char *scope, const char *key,
                       int64_t updated_at)
{
    int by_scope = entries->scope != NULL ? 0 : strcmp(scope, entries->place.scope);
    int by_key = strcmp(key, entries->place.key);
    if (entries->read.order == STELE_NEWEST_FIRST)
        return updated_at < entries->place.updated_at
               || (updated_at == entries->place.updated_at
                   && (!entries->place.begun || by_key < 0));
    return by_scope > 0
           || (by_scope == 0 && (by_key > 0 || (by_key == 0 && !entries->place.begun)));
}

/* The list has come to this entry: OK, or CORRUPT when it is none of ours, or an index is out of
 * order, which could hold the list for ever. */
static stele_status note_place(stele_entries *entries, stele__statement *statement)
{
    const char *scope = stele__state_name(statement, 1, STELE_SCOPE_SIZE_MAX);
    const char *key = stele__state_name(statement, 2, STELE_NAME_SIZE_MAX);
    int64_t updated_at = stele__column_number(statement, 3);
    if (scope == NULL || key == NULL)
        return stele__fail(STELE_CORRUPT, "a state entry has a name that can't be ours");
    if (!comes_next(entries, scope, key, updated_at))
        return stele__fail(STELE_CORRUPT, "the entry '%s' of scope '%s' is out of order", key,
                           scope);
    memcpy(entries->place.scope, scope, strlen(scope) + 1);
    memcpy(entries->place.key, key, strlen(key) + 1);
    entries->place.updated_at = updated_at;
    entries->place.begun = true;
    return STELE_OK;
}

/* Add the row `id` to the page, unless it was deleted. An index that leads elsewhere is damage. */
static stele_status fetch_entry(stele_entries *entries, stele__connection *connection,
                                stele__statement *keys, size_t *bytes)
{
    stele__state_row row;
    stele__statement *statement = NULL;
    stele_status status =
        stele__state_row_begin_at(connection, stele__column_number(keys, 0), &statement);
    if (status != STELE_OK)
        return status;
    status = stele__statement_step(statement);
    if (status == STELE_OK)
        status = stele__state_row_read(connection, statement, &row);
    if (status == STELE_DONE
        || (status == STELE_OK
            && (strcmp(row.scope, stele__column_text(keys, 1)) != 0
                || strcmp(row.key, stele__column_text(keys, 2)) != 0)))
        status =
            stele__fail(STELE_CORRUPT, "the entry '%s' of scope '%s' isn't where its index says",
                        stele__column_text(keys, 2), stele__column_text(keys, 1));
    if (status == STELE_OK) {
        *bytes += row.data_size + row.attributes_size;
        if (row.there) {
            status =
                stele__entry_copy(&row, entries->read.no_data, &entries->page[entries->page_count]);
            entries->page_count += status == STELE_OK;
        }
    }
    stele__statement_end(statement);
    return status;
}

/* Whether the key has the prefix. In the order of keys, those beyond all that have end the list. */
static bool entry_has_prefix(stele_entries *entries, const char *key)
{
    if (entries->prefix == NULL)
        return true;
    int compared = strncmp(key, entries->prefix, entries->prefix_size);
    if (compared > 0 && entries->scope != NULL && entries->read.order == STELE_BY_KEY)
        entries->scanned = true;
    return compared == 0;
}

/* Fill the page with what one bounded look finds; there may be nothing in it. In a read. */
static stele_status fill_entries(stele_entries *entries, stele__connection *connection)
{
    const list_place from = entries->place;
    stele__statement *keys = NULL;
    size_t count = 0;
    size_t bytes = 0;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = begin_keys(entries, &from, connection, &keys);
    if (status != STELE_OK)
        return status;
    while (entries->page_count < ENTRY_PAGE_COUNT && entries->page_count < entries->left
           && bytes < ENTRY_PAGE_BYTES && (status = stele__statement_step(keys)) == STELE_OK) {
        const char *key = stele__state_name(keys, 2, STELE_NAME_SIZE_MAX);
        count++;
        if (key != NULL && entry_has_prefix(entries, key))
            status = fetch_entry(entries, connection, keys, &bytes);
        if (status == STELE_OK && !entries->scanned)
            status = note_place(entries, keys);
        if (status != STELE_OK || entries->scanned)
            break;
    }
    stele__statement_end(keys);
    if (status == STELE_DONE && count < ENTRY_SCAN_WINDOW)
        entries->scanned = true;
    return status == STELE_DONE ? STELE_OK : status;
}

static void drop_page(stele_entries *entries)
{
    stele_entry_close(entries->lent);
    entries->lent = NULL;
    while (entries->page_next < entries->page_count)
        stele_entry_close(entries->page[entries->page_next++]);
    entries->page_next = 0;
    entries->page_count = 0;
}

/* --- Opening --- */

static stele_status check_entries_read(const stele_entries_read *read)
{
    stele_status status = STELE_OK;
    if (read->order != STELE_BY_KEY && read->order != STELE_NEWEST_FIRST)
        return stele__fail(STELE_MISUSE, "the order is %d, which is none", (int)read->order);
    if (read->scope == NULL && (read->order == STELE_NEWEST_FIRST || read->after != NULL))
        return stele__fail(STELE_MISUSE, "%s is within a scope, and none is given",
                           read->after != NULL ? "what to list after" : "the newest first");
    if (read->scope != NULL)
        status = stele__check_scope(read->scope);
    if (status == STELE_OK && read->prefix != NULL && read->prefix[0] != '\0')
        status = stele__check_name("prefix", read->prefix);
    if (status == STELE_OK && read->after != NULL)
        status = stele__check_name("key to list after", read->after);
    return status;
}

static stele_status make_entries(stele_store *store, stele_transaction *transaction,
                                 const stele_entries_read *read, stele_entries **entries_out)
{
    stele_entries *entries = stele__allocate_array(1, sizeof(*entries));
    if (entries == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of entries");
    entries->store = store;
    entries->transaction = transaction;
    stele__store_hold(store);
    if (transaction != NULL)
        stele__transaction_hold(transaction);
    *entries_out = entries;
    bool prefixed = read->prefix != NULL && read->prefix[0] != '\0';
    entries->read = *read;
    entries->scope = stele__copy_text(read->scope);
    entries->prefix = prefixed ? stele__copy_text(read->prefix) : NULL;
    entries->prefix_size = prefixed ? strlen(read->prefix) : 0;
    entries->read.scope = entries->scope;
    entries->read.prefix = entries->prefix;
    entries->read.after = NULL;
    entries->left = read->limit == 0 ? UINT64_MAX : read->limit;
    if ((read->scope != NULL && entries->scope == NULL) || (prefixed && entries->prefix == NULL))
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of entries");
    if (read->after != NULL) {
        memcpy(entries->place.key, read->after, strlen(read->after) + 1);
        entries->place.updated_at = read->after_updated;
        entries->place.begun = true;
    }
    return STELE_OK;
}

/* Where it begins, and its first page. Damage in that is the answer of the first next. */
static stele_status begin_list(stele_entries *entries, stele__connection *connection)
{
    stele_status status = STELE_OK;
    if (entries->read.order == STELE_NEWEST_FIRST) {
        /* This page is read now: what is written later is before the place that it leaves. */
        if (!entries->place.begun)
            entries->place.updated_at = INT64_MAX;
    } else if (entries->prefix != NULL && entries->scope != NULL
               && strcmp(entries->prefix, entries->place.key) > 0) {
        /* Keys that start with it come at it, or behind. */
        memcpy(entries->place.key, entries->prefix, entries->prefix_size + 1);
        entries->place.begun = false;
    }
    entries->ended = fill_entries(entries, connection);
    if (entries->ended == STELE_CORRUPT)
        stele__keep_error(entries->ended_text);
    else if (entries->ended != STELE_OK)
        status = entries->ended;
    return status;
}

static stele_status open_entries(stele_store *store, stele_transaction *transaction,
                                 stele__connection *connection, const stele_entries_read *read,
                                 stele_entries **entries_out)
{
    stele_entries_read taken = STELE_ENTRIES_READ_INIT;
    stele_entries *entries = NULL;
    stele_status status = stele__options_take("stele_entries_read", read, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = check_entries_read(&taken);
    if (status == STELE_OK)
        status = make_entries(store, transaction, &taken, &entries);
    if (status == STELE_OK && connection != NULL) {
        status = begin_list(entries, connection);
    } else if (status == STELE_OK) {
        status = stele__read_begin(store, taken.wait, &connection);
        if (status == STELE_OK) {
            status = begin_list(entries, connection);
            stele__read_end(store, connection);
        }
    }
    if (status != STELE_OK)
        stele_entries_close(entries);
    else
        *entries_out = entries;
    return status;
}

stele_status stele_state_list(stele_store *store, const stele_entries_read *read,
                              stele_entries **entries_out)
{
    if (entries_out == NULL)
        return stele__fail(STELE_MISUSE, "entries_out is NULL");
    *entries_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = open_entries(store, NULL, NULL, read, entries_out);
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_state_list(stele_transaction *transaction,
                                          const stele_entries_read *read,
                                          stele_entries **entries_out)
{
    stele__connection *connection = NULL;
    if (entries_out == NULL)
        return stele__fail(STELE_MISUSE, "entries_out is NULL");
    *entries_out = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = open_entries(transaction->store, transaction, connection, read, entries_out);
    stele__transaction_leave(transaction);
    return status;
}

/* --- Going through it --- */

static stele_status fail_with_list_over(void)
{
    return stele__fail(STELE_CLOSED, "the list's transaction is over");
}

static stele_status fill_next_entries(stele_entries *entries)
{
    stele__connection *connection = NULL;
    stele_status status;
    if (entries->transaction != NULL) {
        status = stele__transaction_enter(entries->transaction, &connection);
        if (status != STELE_OK)
            return atomic_load(&entries->transaction->over) ? fail_with_list_over() : status;
        status = fill_entries(entries, connection);
        stele__transaction_leave(entries->transaction);
        return status;
    }
    status = stele__store_enter(entries->store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(entries->store, entries->read.wait, &connection);
    if (status == STELE_OK) {
        status = fill_entries(entries, connection);
        stele__read_end(entries->store, connection);
    }
    stele__store_leave(entries->store);
    return status;
}

stele_status stele_entries_next(stele_entries *entries, const stele_entry **entry_out)
{
    if (entry_out != NULL)
        *entry_out = NULL;
    if (entries == NULL || entry_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", entries == NULL ? "entries" : "entry_out");
    stele_status status = stele__store_check(entries->store);
    if (status != STELE_OK)
        return status;
    if (entries->transaction != NULL && atomic_load(&entries->transaction->over))
        return fail_with_list_over();
    stele_entry_close(entries->lent);
    entries->lent = NULL;
    while (entries->page_next == entries->page_count && entries->ended == STELE_OK
           && !entries->scanned && entries->left > 0) {
        drop_page(entries);
        status = fill_next_entries(entries);
        if (status == STELE_CORRUPT) {
            entries->ended = status;
            stele__keep_error(entries->ended_text);
        } else if (status != STELE_OK && entries->page_count == 0) {
            return status; /* and the next call tries again */
        }
    }
    /* What a page read before it met damage is given first. */
    if (entries->page_next < entries->page_count) {
        entries->lent = entries->page[entries->page_next++];
        entries->left--;
        *entry_out = entries->lent;
        return STELE_OK;
    }
    if (entries->ended == STELE_OK)
        return STELE_DONE;
    stele__restore_error(entries->ended_text);
    return entries->ended;
}

void stele_entries_close(stele_entries *entries)
{
    if (entries == NULL)
        return;
    drop_page(entries);
    stele__free(entries->scope);
    stele__free(entries->prefix);
    if (entries->transaction != NULL)
        stele__transaction_release(entries->transaction);
    stele__store_release(entries->store);
    stele__free(entries);
}
