#include "store/listing.h"

#include <string.h>

#include "base/failure.h"
#include "base/memory.h"

static stele_status read_list(stele_store *store, stele__connection *connection,
                              const stele__listing_kind *kind, stele__listing **list_out)
{
    stele__listing *list = stele__allocate_array(1, kind->size);
    if (list == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a list of %s", kind->what);
    list->store = store;
    list->kind = kind;
    stele__store_hold(store);
    stele_status status = kind->read(list, connection);
    list->kind = NULL;
    if (status == STELE_OK)
        *list_out = list;
    else
        stele__listing_close(list);
    return status;
}

static stele_status check_list_out(const stele__listing_kind *kind, stele__listing **list_out)
{
    if (list_out == NULL)
        return stele__fail(STELE_MISUSE, "%s_out is NULL", kind->what);
    *list_out = NULL;
    return STELE_OK;
}

stele_status stele__listing_open(stele_store *store, const stele__listing_kind *kind,
                                 stele__listing **list_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_list_out(kind, list_out);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = read_list(store, connection, kind, list_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele__listing_open_within(stele_transaction *transaction,
                                        const stele__listing_kind *kind, stele__listing **list_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_list_out(kind, list_out);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = read_list(transaction->store, connection, kind, list_out);
    stele__transaction_leave(transaction);
    return status;
}

stele_status stele__listing_add_text(stele__listing *list, const char *text, size_t *at_out)
{
    *at_out = list->texts.size;
    return stele__buffer_add(&list->texts, text, strlen(text) + 1);
}

stele_status stele__listing_add(stele__listing *list, const void *entry, size_t size)
{
    return stele__buffer_add(&list->entries, entry, size);
}

stele_status stele__listing_next(stele__listing *list, void *entry_out, size_t size)
{
    stele_status status = stele__store_check(list->store);
    if (status != STELE_OK)
        return status;
    if (list->entry_next == list->entries.size)
        return STELE_DONE;
    memcpy(entry_out, list->entries.data + list->entry_next, size);
    list->entry_next += size;
    return STELE_OK;
}

void stele__listing_close(stele__listing *list)
{
    if (list == NULL)
        return;
    stele__buffer_dispose(&list->texts);
    stele__buffer_dispose(&list->entries);
    stele__store_release(list->store);
    stele__free(list);
}
