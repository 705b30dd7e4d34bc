/* Following the log: one cursor, whose bounds are set anew for each look. */
#include "eventstore/follow.h"

#include "base/memory.h"
#include "base/options.h"
#include "eventstore/cursor.h"
#include "store/fence.h"

struct stele__follow {
    stele_cursor *cursor;
    char **types; /* copies */
    size_t type_count;
    bool filtered; /* the cursor has its SQL */
    bool unknown;  /* of these types some were never stored when it was written */
    int64_t
        followed_to; /* of one stream: events up to here are before the cursor's lowest version */
    stele_record *records;
    const stele_record **lent;
    size_t capacity;
};

uint32_t stele__lane_of(int64_t stream_id, uint32_t lanes)
{
    uint64_t id = (uint64_t)stream_id & 1048575;
    return (uint32_t)((id * UINT64_C(2654435761) >> 20 & 4095) % lanes + 1);
}

static stele_status copy_types(stele__follow *follow, const stele_read *read)
{
    if (read->type_count == 0)
        return STELE_OK;
    follow->types = stele__allocate_array(read->type_count, sizeof(*follow->types));
    if (follow->types == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for %zu types", read->type_count);
    for (; follow->type_count < read->type_count; follow->type_count++) {
        follow->types[follow->type_count] = stele__copy_text(read->types[follow->type_count]);
        if (follow->types[follow->type_count] == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu types", read->type_count);
    }
    return STELE_OK;
}

stele_status stele__follow_open(stele_store *store, const stele_read *read, uint32_t lanes,
                                uint32_t lane, bool skips_archived, stele__follow **follow_out)
{
    *follow_out = NULL;
    stele_status status = stele__cursor_check(read);
    if (status != STELE_OK)
        return status;
    stele__follow *follow = stele__allocate_array(1, sizeof(*follow));
    if (follow == NULL)
        return stele__fail(STELE_NO_MEMORY, "no memory for a subscription");
    status = copy_types(follow, read);
    if (status == STELE_OK)
        status = stele__cursor_make(store, NULL, read, &follow->cursor);
    if (status != STELE_OK) {
        stele__follow_close(follow);
        return status;
    }
    follow->cursor->follows = true;
    follow->cursor->skips_archived = skips_archived;
    follow->cursor->lanes = lanes;
    follow->cursor->lane = lane;
    *follow_out = follow;
    return STELE_OK;
}

void stele__follow_close(stele__follow *follow)
{
    if (follow == NULL)
        return;
    stele_cursor_close(follow->cursor);
    for (size_t i = 0; i < follow->type_count; i++)
        stele__free(follow->types[i]);
    stele__free(follow->types);
    stele__free(follow->records);
    stele__free(follow->lent);
    stele__free(follow);
}

/* The stream as it is now: it may be a later one of its name. */
static stele_status bound_stream(stele__follow *follow, stele__connection *connection,
                                 int64_t after)
{
    stele_cursor *cursor = follow->cursor;
    bool found = false;
    stele__stream stream = { 0 };
    stele_status status = stele__stream_find(connection, cursor->read.stream, &found, &stream);
    if (status != STELE_OK)
        return status;
    if (stream.id != cursor->stream_id || after < follow->followed_to)
        cursor->lowest = 1;
    if (cursor->lowest <= stream.base_version)
        cursor->lowest = stream.base_version + 1;
    cursor->stream_id = stream.id;
    cursor->highest = found ? stream.version : 0;
    return STELE_OK;
}

static stele_status bound_look(stele__follow *follow, stele__connection *connection,
                               const stele__follow_look *look, int64_t *head_out)
{
    stele_cursor *cursor = follow->cursor;
    stele__log_end end;
    int64_t shared = INT64_MAX;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK)
        status = stele__epoch_check(connection->database, "the subscription", look->epoch,
                                    look->after, &shared);
    /* Another one has begun, but not before what was learnt. */
    if (status == STELE_OK && shared != INT64_MAX)
        status = stele__epoch_current(connection->database, look->epoch);
    if (status == STELE_OK)
        status = stele__log_end_find(connection, &end);
    if (status != STELE_OK)
        return status;
    *head_out = end.head;
    cursor->read.after_position = look->after;
    cursor->read.to_position = look->to > 0 && look->to < end.head ? look->to : end.head;
    cursor->read.page_count_max = look->count_max;
    cursor->read.byte_limit = look->size_max;
    cursor->read.page_size_max = UINT32_MAX; /* names and all: the bytes above are the bound */
    cursor->read.wait = look->wait;
    cursor->left = UINT64_MAX;
    cursor->bytes_left = look->size_max;
    cursor->skipped = (stele_skipped){ 0 };
    cursor->ended = STELE_OK;
    if (cursor->of_stream)
        return bound_stream(follow, connection, look->after);
    cursor->lowest = look->after + 1;
    cursor->highest = cursor->read.to_position;
    return STELE_OK;
}

/* The SQL is written once; again while it lacks types that may have come since. */
static stele_status filter_follow(stele__follow *follow, stele__connection *connection)
{
    stele_cursor *cursor = follow->cursor;
    if (follow->filtered && !follow->unknown)
        return STELE_OK;
    int64_t lowest = cursor->lowest;
    stele__free(cursor->sql);
    cursor->sql = NULL;
    stele_status status =
        stele__cursor_filter(cursor, connection, (const char *const *)follow->types,
                             follow->type_count, &follow->unknown);
    /* Nothing can match: then all is scanned at once. */
    if (status == STELE_OK && cursor->lowest != lowest && cursor->of_stream)
        cursor->lowest = cursor->highest + 1;
    follow->filtered = status == STELE_OK;
    return status;
}

static stele_status lend_page(stele__follow *follow, stele__looked *looked)
{
    const stele_cursor *cursor = follow->cursor;
    if (cursor->entry_count > follow->capacity) {
        stele_record *records =
            stele__reallocate(follow->records, cursor->entry_count * sizeof(*records));
        if (records == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu events", cursor->entry_count);
        follow->records = records;
        const stele_record **lent =
            stele__reallocate(follow->lent, cursor->entry_count * sizeof(const stele_record *));
        if (lent == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for %zu events", cursor->entry_count);
        follow->lent = lent;
        follow->capacity = cursor->entry_count;
    }
    for (size_t i = 0; i < cursor->entry_count; i++) {
        stele__cursor_lend(cursor, &cursor->entries[i], &follow->records[i]);
        follow->lent[i] = &follow->records[i];
    }
    looked->records = follow->lent;
    looked->count = cursor->entry_count;
    return STELE_OK;
}

/* Up to where it has scanned. A page that ended for its bytes ends with its last record. */
static void settle_look(stele__follow *follow, const stele__follow_look *look,
                        stele__looked *looked)
{
    stele_cursor *cursor = follow->cursor;
    const stele_record *last = looked->count > 0 ? looked->records[looked->count - 1] : NULL;
    if (cursor->left == 0 && last != NULL) {
        looked->through = last->position;
        if (cursor->of_stream)
            cursor->lowest = last->version + 1;
    } else if (!cursor->of_stream) {
        looked->through = cursor->lowest - 1;
    } else if (cursor->lowest > cursor->highest) {
        looked->through = cursor->read.to_position;
    } else {
        looked->through = last != NULL ? last->position : look->after;
    }
    if (looked->through < look->after)
        looked->through = look->after;
    looked->more = looked->through < cursor->read.to_position;
    follow->followed_to = looked->through;
}

/* At the end of a log that goes on somewhere else, in the read that has seen the end. */
static stele_status judge_end(const stele__follow_look *look, const stele__looked *looked,
                              stele__connection *connection)
{
    bool stops = look->to > 0 && look->to <= looked->head;
    if (looked->count > 0 || looked->more || stops)
        return STELE_OK;
    stele_status status = stele__fence_tell(connection->database);
    return status == STELE_FENCED ? STELE_OK : status; /* it may not be dropped in the end */
}

static stele_status look_on_connection(stele__follow *follow, stele__connection *connection,
                                       const stele__follow_look *look, stele__looked *looked)
{
    stele_cursor *cursor = follow->cursor;
    stele_status status = bound_look(follow, connection, look, &looked->head);
    if (status == STELE_OK)
        status = filter_follow(follow, connection);
    if (status != STELE_OK)
        return status;
    stele_status filled = stele__cursor_fill(cursor, connection);
    /* What lies before damage, or before what is archived, is given first. */
    if (filled != STELE_OK && cursor->entry_count == 0)
        return filled;
    status = lend_page(follow, looked);
    if (status != STELE_OK)
        return status;
    settle_look(follow, look, looked);
    if (filled != STELE_OK)
        looked->through = looked->records[looked->count - 1]->position;
    looked->skipped = cursor->skipped;
    return judge_end(look, looked, connection);
}

stele_status stele__follow_once(stele__follow *follow, const stele__follow_look *look,
                                stele__looked *looked_out)
{
    stele_store *store = follow->cursor->store;
    stele__connection *connection = NULL;
    *looked_out = (stele__looked){ .through = look->after, .head = look->after };
    stele_status status = stele__store_enter(store);
    if (status != STELE_OK)
        return status;
    status = stele__read_begin(store, look->wait, &connection);
    if (status == STELE_OK) {
        status = look_on_connection(follow, connection, look, looked_out);
        stele__read_end(store, connection);
    }
    stele__store_leave(store);
    return status;
}
