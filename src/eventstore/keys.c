/* What is known of an idempotency key, for those who ask before they append. */
#include "base/failure.h"
#include "eventstore/eventstore.h"
#include "eventstore/tail.h"

static stele_status look_up_key(stele__connection *connection, const char *key,
                                stele_key_info *info)
{
    stele__key_row row = { 0 };
    stele_status status = stele__key_find(connection, key, &info->found, &row);
    if (status != STELE_OK || !info->found)
        return status;
    info->erased = row.erased;
    info->stream_id = row.stream;
    info->stream_version = row.version;
    info->event_count = row.event_count;
    if (row.id > 0 && row.event_count > 0) {
        info->first_position = row.id;
        info->last_position = row.id + row.event_count - 1;
    }
    return STELE_OK;
}

static stele_status check_look_up(const char *key, stele_key_info *info_out)
{
    if (info_out == NULL)
        return stele__fail(STELE_MISUSE, "info_out is NULL");
    *info_out = (stele_key_info){ 0 };
    return stele__check_name("idempotency key", key);
}

stele_status stele_store_key(stele_store *store, const char *key, stele_key_info *info_out)
{
    return stele__key_look(store, NULL, key, info_out);
}

stele_status stele__key_look(stele_store *store, const stele_wait *wait, const char *key,
                             stele_key_info *info_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_look_up(key, info_out);
    if (status == STELE_OK)
        status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, wait, &connection);
    if (status == STELE_OK) {
        status = look_up_key(connection, key, info_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    if (status != STELE_OK)
        *info_out = (stele_key_info){ 0 };
    return status;
}

stele_status stele_transaction_key(stele_transaction *transaction, const char *key,
                                   stele_key_info *info_out)
{
    stele__connection *connection = NULL;
    stele_status status = check_look_up(key, info_out);
    if (status == STELE_OK)
        status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = look_up_key(connection, key, info_out);
    stele__transaction_leave(transaction);
    if (status != STELE_OK)
        *info_out = (stele_key_info){ 0 };
    return status;
}
