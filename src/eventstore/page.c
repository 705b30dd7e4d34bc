/* Filling a cursor's page: one bounded look at the file, copied out before anybody sees it. */
#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "eventstore/cursor.h"

/* A read scans at most this many rows or positions in one look, however few of them are for the
 * caller, so that its read transaction is never long. */
#define SCAN_WINDOW ((int64_t)50000)

/* Room in a cursor's first page: a short stream needs no more. */
#define FIRST_ENTRIES 16
#define FIRST_BYTES   4096

/* Copy to where room was made, with a NUL behind; where it lies now. */
static size_t put_bytes(stele__buffer *bytes, const void *data, size_t size)
{
    size_t at = bytes->size;
    memcpy(bytes->data + at, data, size);
    bytes->data[at + size] = '\0';
    bytes->size = at + size + 1;
    return at;
}

static stele_status make_entry(stele_cursor *cursor, stele__page_entry **entry_out)
{
    if (cursor->entry_count == cursor->entry_capacity) {
        if (cursor->entry_capacity == 0
            && stele__buffer_reserve(&cursor->bytes, FIRST_BYTES) != STELE_OK)
            return STELE_NO_MEMORY;
        size_t capacity = cursor->entry_capacity == 0 ? FIRST_ENTRIES : 2 * cursor->entry_capacity;
        stele__page_entry *entries =
            stele__reallocate(cursor->entries, capacity * sizeof(*entries));
        if (entries == NULL)
            return stele__fail(STELE_NO_MEMORY, "no memory for a page of %zu records", capacity);
        cursor->entries = entries;
        cursor->entry_capacity = capacity;
    }
    *entry_out = &cursor->entries[cursor->entry_count];
    return STELE_OK;
}

static stele_status copy_row(stele_cursor *cursor, stele__connection *connection,
                             const stele__row *row)
{
    size_t stream_size = strlen(row->stream_name);
    size_t type_size = strlen(row->type_name);
    size_t codec_size = strlen(row->codec_name);
    stele__buffer *bytes = &cursor->bytes;
    stele__page_entry *entry = NULL;
    stele_status status = make_entry(cursor, &entry);
    if (status == STELE_OK)
        status = stele__buffer_reserve(bytes, stream_size + type_size + codec_size + row->data_size
                                                  + row->metadata_size + 5);
    if (status != STELE_OK)
        return status;
    *entry = (stele__page_entry){
        .position = row->position,
        .version = row->version,
        .schema_version = row->schema_version,
        .recorded_at = row->recorded_at,
        .occurred_at = row->occurred_at,
        .has_occurred_at = row->has_occurred_at,
        .flags = (uint32_t)(row->flags & ~STELE__RECORD_KEYED),
        .data_size = row->data_size,
        .metadata_size = row->metadata_size,
        .key_at = SIZE_MAX,
        .stream_id = row->stream,
    };
    entry->stream_at = put_bytes(bytes, row->stream_name, stream_size);
    entry->type_at = put_bytes(bytes, row->type_name, type_size);
    entry->codec_at = put_bytes(bytes, row->codec_name, codec_size);
    entry->data_at = put_bytes(bytes, row->data, row->data_size);
    entry->metadata_at = put_bytes(bytes, row->metadata, row->metadata_size);
    if (cursor->read.keys && (row->flags & STELE__RECORD_KEYED) != 0) {
        entry->key_at = bytes->size;
        status = stele__key_at(connection, row->position, bytes);
    }
    if (status == STELE_OK)
        cursor->entry_count++;
    return status;
}

/* A husk: what it stands for comes from an attached archive, or it is passed over. Reading one
 * stream, it is the end. */
static stele_status pass_husk(stele_cursor *cursor, const stele__row *row)
{
    bool erased = (row->flags & STELE_RECORD_ERASED) != 0 || row->stream_name == NULL;
    if (cursor->follows && !erased && !cursor->skips_archived)
        return stele__fail(STELE_ARCHIVED,
                           "the data of position %" PRId64 ", of stream '%s', is in an archive that"
                           " isn't attached",
                           row->position, row->stream_name);
    if (!cursor->of_stream || cursor->follows) {
        cursor->skipped.erased += erased;
        cursor->skipped.archived += !erased;
        return STELE_OK;
    }
    if (erased)
        return stele__fail(STELE_NOT_FOUND, "version %" PRId64 " of stream '%s' was erased",
                           row->version, cursor->read.stream);
    return stele__fail(STELE_ARCHIVED, "the data of stream '%s' was archived", cursor->read.stream);
}

/* How often a payload is looked for in a new read before it counts as lost. */
#define MISSES_MAX 3

/*
 * What isn't in the archive may have been brought back, or deleted, since this read began: then the
 * page ends before it, and the next read tells.
 */
static stele_status judge_miss(stele_cursor *cursor, const stele__row *row, bool *again_out)
{
    cursor->missed_count = cursor->missed == row->position ? cursor->missed_count + 1 : 1;
    cursor->missed = row->position;
    *again_out = cursor->missed_count < MISSES_MAX && cursor->transaction == NULL;
    return *again_out
               ? STELE_OK
               : stele__fail_within(STELE_CORRUPT, "the archive of stream '%s'", row->stream_name);
}

/* A row of the range: kept, passed over, or the end of the cursor. `*again_out`: the page ends
 * before it. */
static stele_status take_row(stele_cursor *cursor, stele__connection *connection, stele__row *row,
                             bool *enough_out, bool *again_out)
{
    if ((row->flags & STELE__RECORD_HUSK) == STELE_RECORD_ARCHIVED) {
        stele_status found = stele__through_fetch(&cursor->through, cursor->store, connection, row);
        if (found == STELE_NOT_FOUND)
            return judge_miss(cursor, row, again_out);
        if (found < 0)
            return found;
    }
    if ((row->flags & STELE__RECORD_HUSK) != 0 || row->stream_name == NULL)
        return pass_husk(cursor, row);
    bool system = row->stream_name[0] == '$';
    if (system && !cursor->of_stream && !cursor->read.system)
        return STELE_OK;

    uint64_t size = row->data_size + row->metadata_size;
    bool first = cursor->left == (cursor->read.limit == 0 ? UINT64_MAX : cursor->read.limit);
    if (cursor->read.byte_limit > 0 && size > cursor->bytes_left && !first) {
        cursor->left = 0;
        *enough_out = true;
        return STELE_OK;
    }
    stele_status status = copy_row(cursor, connection, row);
    if (status != STELE_OK)
        return status;
    cursor->bytes_left -= size < cursor->bytes_left ? size : cursor->bytes_left;
    cursor->left--;
    if (cursor->read.byte_limit > 0 && size > cursor->read.byte_limit)
        cursor->left = 0;
    *enough_out = cursor->left == 0 || cursor->bytes.size >= cursor->read.page_size_max
                  || cursor->entry_count >= cursor->read.page_count_max;
    return STELE_OK;
}

static stele_status fail_with_hole(const stele_cursor *cursor, int64_t number)
{
    if (cursor->of_stream)
        return stele__fail(STELE_CORRUPT, "version %" PRId64 " of stream '%s' is missing", number,
                           cursor->read.stream);
    return stele__fail(STELE_CORRUPT, "position %" PRId64 " is missing", number);
}

/* A damaged tree can lead to a row that is whole, but of another place. */
static stele_status check_place(const stele_cursor *cursor, const stele__row *row, int64_t number)
{
    int64_t expected = cursor->read.direction == STELE_BACKWARD ? cursor->highest : cursor->lowest;
    if (number < cursor->lowest || number > cursor->highest
        || (cursor->of_stream && row->stream != cursor->stream_id))
        return stele__fail(STELE_CORRUPT,
                           "the file leads from %s %" PRId64 " to position %" PRId64
                           ", which is elsewhere",
                           cursor->of_stream ? "version" : "position", expected, row->position);
    if (cursor->dense && number != expected)
        return fail_with_hole(cursor, expected);
    return STELE_OK;
}

/* Scan from one end of the range towards the other; what was scanned leaves the range. */
static stele_status scan_range(stele_cursor *cursor, stele__connection *connection,
                               stele__statement *statement, int64_t lowest, int64_t highest)
{
    bool backward = cursor->read.direction == STELE_BACKWARD;
    bool enough = false;
    bool again = false;
    int64_t row_count = 0;
    stele_status status = STELE_OK;
    while (!enough && (status = stele__statement_step(statement)) == STELE_OK) {
        stele__row row;
        status = stele__row_read(connection, statement, &row);
        if (status != STELE_OK)
            return status;
        int64_t number = cursor->of_stream ? row.version : row.position;
        status = check_place(cursor, &row, number);
        if (status == STELE_OK)
            status = take_row(cursor, connection, &row, &enough, &again);
        if (status != STELE_OK || again)
            return status;
        if (backward)
            cursor->highest = number - 1;
        else
            cursor->lowest = number + 1;
        enough |= ++row_count >= SCAN_WINDOW;
    }
    if (status < 0 || enough)
        return status < 0 ? status : STELE_OK;

    /* The statement has no more rows in this range. */
    int64_t reached = backward ? cursor->highest : cursor->lowest;
    if (cursor->dense && (backward ? reached >= lowest : reached <= highest))
        return fail_with_hole(cursor, reached);
    if (backward)
        cursor->highest = lowest - 1;
    else
        cursor->lowest = highest + 1;
    return STELE_OK;
}

/* A stream read over several pages must not go on in what took the stream's place. */
static stele_status check_stream_lives(stele_cursor *cursor, stele__connection *connection)
{
    stele__statement *statement = NULL;
    stele_status status = stele__statement_begin(
        connection->database, "SELECT name IS NOT NULL FROM streams WHERE id = ?1", &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, cursor->stream_id);
    status = stele__statement_step(statement);
    bool lives = status == STELE_OK && stele__column_number(statement, 0) != 0;
    stele__statement_end(statement);
    if (status >= 0 && !lives)
        return stele__fail(STELE_NOT_FOUND, "stream '%s' was deleted", cursor->read.stream);
    return status < 0 ? status : STELE_OK;
}

bool stele__cursor_has_more(const stele_cursor *cursor)
{
    return cursor->left > 0 && cursor->lowest <= cursor->highest;
}

stele_status stele__cursor_fill(stele_cursor *cursor, stele__connection *connection)
{
    cursor->bytes.size = 0;
    cursor->entry_count = 0;
    cursor->entry_next = 0;
    if (!stele__cursor_has_more(cursor))
        return STELE_OK;
    stele_status status = stele__names_begin(connection);
    if (status == STELE_OK && cursor->of_stream && cursor->first_page_read)
        status = check_stream_lives(cursor, connection);
    if (status != STELE_OK)
        return status;
    cursor->first_page_read = true;

    int64_t lowest = cursor->lowest;
    int64_t highest = cursor->highest;
    bool windowed = !cursor->dense && highest - lowest >= SCAN_WINDOW;
    if (windowed && cursor->read.direction == STELE_FORWARD)
        highest = lowest + SCAN_WINDOW - 1;
    else if (windowed)
        lowest = highest - SCAN_WINDOW + 1;

    stele__statement *statement = NULL;
    status = stele__cursor_statement(cursor, connection, &statement);
    if (status != STELE_OK)
        return status;
    stele__bind_number(statement, 1, lowest);
    stele__bind_number(statement, 2, highest);
    status = scan_range(cursor, connection, statement, lowest, highest);
    stele__statement_end(statement);
    stele__through_end(&cursor->through);
    return status;
}
