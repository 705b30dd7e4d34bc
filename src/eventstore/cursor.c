/* Opening, moving and closing a cursor. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"
#include "eventstore/cursor.h"

#define PAGE_COUNT_LIMIT 100000u
#define PAGE_SIZE_LIMIT  (64u * 1024 * 1024)
#define TYPE_COUNT_LIMIT 1000

void stele_read_init(stele_read *read)
{
    *read = (stele_read)STELE_READ_INIT;
}

static stele_status check_read_filters(const stele_read *read)
{
    stele_status status = STELE_OK;
    if (read->stream != NULL && (read->category != NULL || read->prefix != NULL))
        return stele__fail(STELE_MISUSE, "a read of stream '%s' has a %s too", read->stream,
                           read->category != NULL ? "category" : "prefix");
    if (read->stream != NULL)
        status = stele__check_name("stream", read->stream);
    if (status == STELE_OK && read->category != NULL)
        status = stele__check_name("category", read->category);
    if (status == STELE_OK && read->category != NULL && strchr(read->category, '-') != NULL)
        status = stele__fail(STELE_MISUSE, "the category '%s' has a '-'", read->category);
    if (status == STELE_OK && read->prefix != NULL && read->prefix[0] != '\0')
        status = stele__check_name("prefix", read->prefix);
    if (status == STELE_OK && read->type_count > 0 && read->types == NULL)
        status = stele__fail(STELE_MISUSE, "types is NULL, type_count is %zu", read->type_count);
    if (status == STELE_OK && read->type_count > TYPE_COUNT_LIMIT)
        status = stele__fail(STELE_TOO_LARGE, "%zu types in one read, beyond %d", read->type_count,
                             TYPE_COUNT_LIMIT);
    for (size_t i = 0; i < read->type_count && status == STELE_OK; i++)
        status = stele__check_name("type", read->types[i]);
    return status;
}

stele_status stele__cursor_check(const stele_read *read)
{
    if (read->direction != STELE_FORWARD && read->direction != STELE_BACKWARD)
        return stele__fail(STELE_MISUSE, "the direction is %d, which is none",
                           (int)read->direction);
    if (read->from_version < 0 || read->to_version < 0 || read->after_position < 0
        || read->to_position < 0)
        return stele__fail(STELE_MISUSE, "a version or position of the read is negative");
    if (read->stream == NULL && (read->from_version != 0 || read->to_version != 0))
        return stele__fail(STELE_MISUSE, "versions belong to a stream, and none is given");
    if (read->page_count_max < 1 || read->page_count_max > PAGE_COUNT_LIMIT)
        return stele__fail(STELE_MISUSE, "page_count_max is %u, not within 1 and %u",
                           read->page_count_max, PAGE_COUNT_LIMIT);
    if (read->page_size_max < 1 || read->page_size_max > PAGE_SIZE_LIMIT)
        return stele__fail(STELE_MISUSE, "page_size_max is %u, not within 1 and %u",
                           read->page_size_max, PAGE_SIZE_LIMIT);
    return check_read_filters(read);
}

/* Take over the options and copies of their names. */
stele_status stele__cursor_make(stele_store *store, stele_transaction *transaction,
                                const stele_read *read, stele_cursor **cursor_out)
{
    stele_cursor *cursor = stele__allocate_array(1, sizeof(*cursor));
    if (cursor == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a cursor");
    cursor->store = store;
    cursor->transaction = transaction;
    stele__store_hold(store);
    if (transaction != NULL)
        stele__transaction_hold(transaction);
    cursor->read = *read;
    cursor->read.types = NULL;
    cursor->read.epoch = NULL;
    cursor->read.stream = cursor->stream = stele__copy_text(read->stream);
    cursor->read.category = cursor->category = stele__copy_text(read->category);
    cursor->read.prefix = cursor->prefix = stele__copy_text(read->prefix);
    cursor->of_stream = read->stream != NULL;
    cursor->left = read->limit == 0 ? UINT64_MAX : read->limit;
    cursor->bytes_left = read->byte_limit == 0 ? UINT64_MAX : read->byte_limit;
    *cursor_out = cursor;
    if ((read->stream != NULL && cursor->read.stream == NULL)
        || (read->category != NULL && cursor->read.category == NULL)
        || (read->prefix != NULL && cursor->read.prefix == NULL))
        return stele__fail(STELE_NO_MEMORY, "no memory for a cursor");
    return STELE_OK;
}

/* What there is to scan, as of now. */
static stele_status fix_bounds(stele_cursor *cursor, stele__connection *connection)
{
    const stele_read *read = &cursor->read;
    if (cursor->of_stream) {
        bool found = false;
        stele__stream stream = { 0 };
        stele_status status = stele__stream_find(connection, read->stream, &found, &stream);
        if (status != STELE_OK)
            return status;
        cursor->stream_id = stream.id;
        cursor->lowest =
            read->from_version > stream.base_version ? read->from_version : stream.base_version + 1;
        cursor->highest = found ? stream.version : 0;
        if (found)
            cursor->tail = (stele__tail){ .id = stream.id,
                                          .version = stream.version,
                                          .trimmed = stream.base_version,
                                          .state = (stele_stream_state)stream.state };
        if (read->to_version > 0 && read->to_version < cursor->highest)
            cursor->highest = read->to_version;
        return STELE_OK;
    }
    stele__log_end end;
    stele_status status = stele__log_end_find(connection, &end);
    cursor->lowest = read->after_position < INT64_MAX ? read->after_position + 1 : INT64_MAX;
    cursor->highest = end.head;
    if (read->to_position > 0 && read->to_position < cursor->highest)
        cursor->highest = read->to_position;
    return status;
}

/* Types that nobody ever stored match nothing. */
stele_status stele__cursor_filter(stele_cursor *cursor, stele__connection *connection,
                                  const char *const *types, size_t type_count, bool *unknown_out)
{
    int64_t *ids = NULL;
    size_t count = 0;
    stele_status status = STELE_OK;
    if (type_count > 0) {
        ids = stele__allocate_array(type_count, sizeof(*ids));
        if (ids == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu types", type_count);
    }
    for (size_t i = 0; i < type_count && status == STELE_OK; i++) {
        int64_t id = 0;
        status = stele__name_find(connection, STELE__TYPES, types[i], &id);
        if (id != 0)
            ids[count++] = id;
    }
    if (status == STELE_OK)
        status = stele__cursor_write_sql(cursor, ids, count);
    cursor->dense = cursor->sql == NULL;
    if (unknown_out != NULL)
        *unknown_out = count < type_count;
    if (type_count > 0 && count == 0 && cursor->lowest <= cursor->highest)
        cursor->lowest = cursor->highest + 1;
    stele__free(ids);
    return status;
}

static stele_status open_on_connection(stele_cursor *cursor, stele__connection *connection,
                                       const stele_read *read)
{
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK && read->epoch != NULL)
        status = stele__epoch_check(connection->database, "the read", read->epoch,
                                    read->after_position, NULL);
    if (status == STELE_OK)
        status = fix_bounds(cursor, connection);
    if (status == STELE_OK)
        status = stele__cursor_filter(cursor, connection, read->types, read->type_count, NULL);
    if (status != STELE_OK)
        return status;
    /* The first page comes with it. Damage in it is the answer of the first next. */
    cursor->ended = stele__cursor_fill(cursor, connection);
    if (cursor->ended != STELE_OK)
        snprintf(cursor->ended_text, sizeof(cursor->ended_text), "%s", stele_error_text());
    return STELE_OK;
}

static stele_status open_cursor(stele_store *store, stele_transaction *transaction,
                                stele__connection *connection, const stele_read *read,
                                stele_cursor **cursor_out)
{
    stele_read taken = STELE_READ_INIT;
    stele_cursor *cursor = NULL;
    stele_status status = stele__options_take("stele_read", read, &taken, sizeof(taken));
    if (status == STELE_OK)
        status = stele__cursor_check(&taken);
    if (status == STELE_OK)
        status = stele__cursor_make(store, transaction, &taken, &cursor);
    if (status == STELE_OK && connection != NULL) {
        status = open_on_connection(cursor, connection, &taken);
    } else if (status == STELE_OK) {
        status = stele__read_begin(store, taken.wait, &connection);
        if (status == STELE_OK) {
            status = open_on_connection(cursor, connection, &taken);
            stele__read_end(store, connection);
        }
    }
    if (status != STELE_OK)
        stele_cursor_close(cursor);
    else
        *cursor_out = cursor;
    return status;
}

stele_status stele_store_read(stele_store *store, const stele_read *read, stele_cursor **cursor_out)
{
    if (cursor_out == NULL)
        return stele__fail(STELE_MISUSE, "cursor_out is NULL");
    *cursor_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = open_cursor(store, NULL, NULL, read, cursor_out);
    stele__store_leave(store);
    return status;
}

stele_status stele__read_short(stele_store *store, const stele_read *read,
                               stele_cursor **cursor_out)
{
    stele__connection *connection = NULL;
    *cursor_out = NULL;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin_short(store, read->wait, &connection);
    if (status == STELE_OK) {
        status = open_cursor(store, NULL, connection, read, cursor_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_read(stele_transaction *transaction, const stele_read *read,
                                    stele_cursor **cursor_out)
{
    if (cursor_out == NULL)
        return stele__fail(STELE_MISUSE, "cursor_out is NULL");
    *cursor_out = NULL;
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = open_cursor(transaction->store, transaction, connection, read, cursor_out);
    stele__transaction_leave(transaction);
    return status;
}

/* The read of what came after the expected version. One that can't have missed anything is empty.
 */
static stele_status describe_missed(const stele_append *append, const stele_appended *appended,
                                    stele_read *read_out)
{
    if (append == NULL || appended == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", append == NULL ? "append" : "appended");
    if (append->expected_version < 0 || appended->condition >= 0)
        return stele__fail(STELE_MISUSE, "the append expected no exact version of its stream");
    *read_out = (stele_read)STELE_READ_INIT;
    read_out->stream = append->stream;
    bool missed = appended->stream_version > append->expected_version;
    read_out->from_version = missed ? append->expected_version + 1 : INT64_MAX;
    read_out->to_version = missed ? appended->stream_version : 0;
    return STELE_OK;
}

stele_status stele_store_read_missed(stele_store *store, const stele_append *append,
                                     const stele_appended *appended, stele_cursor **cursor_out)
{
    stele_read read;
    if (cursor_out != NULL)
        *cursor_out = NULL;
    stele_status status = describe_missed(append, appended, &read);
    return status == STELE_OK ? stele_store_read(store, &read, cursor_out) : status;
}

stele_status stele_transaction_read_missed(stele_transaction *transaction,
                                           const stele_append *append,
                                           const stele_appended *appended,
                                           stele_cursor **cursor_out)
{
    stele_read read;
    if (cursor_out != NULL)
        *cursor_out = NULL;
    stele_status status = describe_missed(append, appended, &read);
    return status == STELE_OK ? stele_transaction_read(transaction, &read, cursor_out) : status;
}

static stele_status fill_next_page(stele_cursor *cursor)
{
    stele__connection *connection = NULL;
    stele_status status;
    if (cursor->transaction != NULL) {
        status = stele__transaction_enter(cursor->transaction, &connection);
        if (status != STELE_OK)
            return atomic_load(&cursor->transaction->over)
                       ? stele__fail(STELE_CLOSED, "the cursor's transaction is over")
                       : status;
        status = stele__cursor_fill(cursor, connection);
        stele__transaction_leave(cursor->transaction);
        return status;
    }
    status = stele__store_enter(cursor->store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(cursor->store, cursor->read.wait, &connection);
    if (status == STELE_OK) {
        status = stele__cursor_fill(cursor, connection);
        stele__read_end(cursor->store, connection);
    }
    stele__store_leave(cursor->store);
    return status;
}

void stele__cursor_lend(const stele_cursor *cursor, const stele__page_entry *entry,
                        stele_record *record_out)
{
    const char *bytes = cursor->bytes.data;
    *record_out = (stele_record){
        .position = entry->position,
        .version = entry->version,
        .stream = bytes + entry->stream_at,
        .type = bytes + entry->type_at,
        .codec = bytes + entry->codec_at,
        .schema_version = entry->schema_version,
        .recorded_at = entry->recorded_at,
        .occurred_at = entry->occurred_at,
        .has_occurred_at = entry->has_occurred_at,
        .flags = entry->flags,
        .data = bytes + entry->data_at,
        .data_size = entry->data_size,
        .metadata = bytes + entry->metadata_at,
        .metadata_size = entry->metadata_size,
        .idempotency_key = entry->key_at == SIZE_MAX ? NULL : bytes + entry->key_at,
        .stream_id = entry->stream_id,
    };
}

/* The answer that every later call repeats. */
static stele_status end_cursor(stele_cursor *cursor, stele_status status)
{
    cursor->ended = status;
    if (status < 0)
        snprintf(cursor->ended_text, sizeof(cursor->ended_text), "%s", stele_error_text());
    return status;
}

stele_status stele_cursor_next(stele_cursor *cursor, const stele_record **record_out)
{
    if (record_out != NULL)
        *record_out = NULL;
    if (cursor == NULL || record_out == NULL)
        return stele__fail(STELE_MISUSE, "%s is NULL", cursor == NULL ? "cursor" : "record_out");
    stele_status usable = stele__store_check(cursor->store);
    if (usable != STELE_OK)
        return usable;
    if (cursor->transaction != NULL && atomic_load(&cursor->transaction->over))
        return stele__fail(STELE_CLOSED, "the cursor's transaction is over");

    while (cursor->entry_next >= cursor->entry_count && cursor->ended == STELE_OK
           && stele__cursor_has_more(cursor)) {
        stele_status status = fill_next_page(cursor);
        if (status != STELE_OK)
            end_cursor(cursor, status);
    }
    /* What a page read before it met damage is given first. */
    if (cursor->entry_next < cursor->entry_count) {
        stele__cursor_lend(cursor, &cursor->entries[cursor->entry_next++], &cursor->record);
        cursor->scanned = cursor->of_stream ? cursor->record.version : cursor->record.position;
        *record_out = &cursor->record;
        return STELE_OK;
    }
    if (cursor->ended < 0) {
        stele__restore_error(cursor->ended_text);
        return cursor->ended;
    }
    cursor->scanned = cursor->left > 0 ? cursor->lowest - 1 : cursor->scanned;
    return end_cursor(cursor, STELE_DONE);
}

void stele__cursor_tail(const stele_cursor *cursor, stele__tail *tail_out)
{
    *tail_out = cursor->tail;
}

int64_t stele_cursor_scanned(const stele_cursor *cursor)
{
    return cursor == NULL || cursor->read.direction == STELE_BACKWARD ? 0 : cursor->scanned;
}

stele_skipped stele_cursor_skipped(const stele_cursor *cursor)
{
    return cursor == NULL ? (stele_skipped){ 0 } : cursor->skipped;
}

void stele_cursor_close(stele_cursor *cursor)
{
    if (cursor == NULL)
        return;
    stele__free(cursor->stream);
    stele__free(cursor->category);
    stele__free(cursor->prefix);
    stele__free(cursor->sql);
    stele__free(cursor->entries);
    stele__buffer_dispose(&cursor->bytes);
    if (cursor->transaction != NULL)
        stele__transaction_release(cursor->transaction);
    stele__store_release(cursor->store);
    stele__free(cursor);
}

static stele_status find_head(stele__connection *connection, int64_t *position_out)
{
    stele__log_end end = { 0 };
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__log_end_find(connection, &end);
    *position_out = end.head;
    return status;
}

stele_status stele_store_head(stele_store *store, int64_t *position_out)
{
    if (position_out == NULL)
        return stele__fail(STELE_MISUSE, "position_out is NULL");
    *position_out = 0;
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    stele__connection *connection = NULL;
    status = stele__read_begin(store, NULL, &connection);
    if (status == STELE_OK) {
        status = find_head(connection, position_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}

stele_status stele_transaction_head(stele_transaction *transaction, int64_t *position_out)
{
    if (position_out == NULL)
        return stele__fail(STELE_MISUSE, "position_out is NULL");
    *position_out = 0;
    stele__connection *connection = NULL;
    stele_status status = stele__transaction_enter(transaction, &connection);
    if (status != STELE_OK)
        return status;
    status = find_head(connection, position_out);
    stele__transaction_leave(transaction);
    return status;
}
