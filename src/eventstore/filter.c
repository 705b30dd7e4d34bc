/* The SQL of a read: constant where nothing is filtered, otherwise written once for the cursor. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "eventstore/cursor.h"

#define SELECT_ROWS "SELECT " STELE__ROW_COLUMNS " FROM events WHERE "

/* ?1 and ?2 are the range, ?3 the stream. By of_stream, then by direction. */
static const char *const plain_reads[2][2] = {
    { SELECT_ROWS "position BETWEEN ?1 AND ?2 ORDER BY position",
      SELECT_ROWS "position BETWEEN ?1 AND ?2 ORDER BY position DESC" },
    { SELECT_ROWS "stream = ?3 AND version BETWEEN ?1 AND ?2 ORDER BY version",
      SELECT_ROWS "stream = ?3 AND version BETWEEN ?1 AND ?2 ORDER BY version DESC" },
};

/* A hash of the stream's id: ids that follow one another, or are all even, spread over the lanes.
 * As stele__lane_of(). */
#define LANE_OF_STREAM "((stream & 1048575) * 2654435761 >> 20 & 4095)"

static bool is_by_position(const stele_cursor *cursor)
{
    return cursor->of_stream
           && (cursor->read.after_position > 0 || cursor->read.to_position > 0 || cursor->follows);
}

static stele_status add_type_filter(stele__buffer *sql, const int64_t *type_ids, size_t type_count)
{
    stele_status status = stele__buffer_add_text(sql, " AND type IN (");
    for (size_t i = 0; i < type_count && status == STELE_OK; i++) {
        char number[24];
        snprintf(number, sizeof(number), "%s%" PRId64, i == 0 ? "" : ",", type_ids[i]);
        status = stele__buffer_add_text(sql, number);
    }
    return status == STELE_OK ? stele__buffer_add_text(sql, ")") : status;
}

/*
 * A look at the stream's row by its id for each event, rather than IN over all streams that match:
 * that list would be made again for every page.
 */
static stele_status add_name_filters(stele__buffer *sql, const stele_read *read)
{
    stele_status status = stele__buffer_add_text(
        sql, " AND EXISTS (SELECT 1 FROM streams s WHERE s.id = events.stream");
    if (status == STELE_OK && read->category != NULL)
        status = stele__buffer_add_text(sql, " AND (s.name = ?4 OR (s.name >= ?4 || '-'"
                                             " AND s.name < ?4 || '.'))");
    if (status == STELE_OK && read->prefix != NULL)
        status = stele__buffer_add_text(sql, " AND s.name >= ?5 AND substr(s.name, 1, length(?5))"
                                             " = ?5");
    return status == STELE_OK ? stele__buffer_add_text(sql, ")") : status;
}

stele_status stele__cursor_write_sql(stele_cursor *cursor, const int64_t *type_ids,
                                     size_t type_count)
{
    const stele_read *read = &cursor->read;
    bool by_name = read->category != NULL || read->prefix != NULL;
    bool by_position = is_by_position(cursor);
    if (type_ids == NULL && !by_name && !by_position && cursor->lanes == 0)
        return STELE_OK;

    stele__buffer sql = { 0 };
    stele_status status = stele__buffer_add_text(
        &sql, cursor->of_stream ? SELECT_ROWS "stream = ?3 AND version BETWEEN ?1 AND ?2"
                                : SELECT_ROWS "position BETWEEN ?1 AND ?2");
    if (status == STELE_OK && by_position)
        status = stele__buffer_add_text(&sql, " AND position > ?6 AND position <= ?7");
    if (status == STELE_OK && cursor->lanes > 0)
        status = stele__buffer_add_text(&sql, " AND " LANE_OF_STREAM " % ?8 + 1 = ?9");
    if (status == STELE_OK && type_ids != NULL)
        status = add_type_filter(&sql, type_ids, type_count);
    if (status == STELE_OK && by_name)
        status = add_name_filters(&sql, read);
    if (status == STELE_OK)
        status = stele__buffer_add_text(&sql, cursor->of_stream ? " ORDER BY version"
                                                                : " ORDER BY position");
    if (status == STELE_OK)
        status = stele__buffer_add_text(&sql, read->direction == STELE_BACKWARD ? " DESC" : "");
    if (status == STELE_OK)
        status = stele__buffer_add(&sql, "", 1);
    if (status == STELE_OK)
        cursor->sql = sql.data;
    else
        stele__buffer_dispose(&sql);
    return status;
}

stele_status stele__cursor_statement(stele_cursor *cursor, stele__connection *connection,
                                     stele__statement **statement_out)
{
    const stele_read *read = &cursor->read;
    if (cursor->sql == NULL) {
        stele_status status = stele__statement_begin(
            connection->database, plain_reads[cursor->of_stream][read->direction], statement_out);
        if (status == STELE_OK && cursor->of_stream)
            stele__bind_number(*statement_out, 3, cursor->stream_id);
        return status;
    }
    stele_status status =
        stele__statement_begin_text(connection->database, cursor->sql, statement_out);
    if (status != STELE_OK)
        return status;
    if (cursor->of_stream)
        stele__bind_number(*statement_out, 3, cursor->stream_id);
    if (read->category != NULL)
        stele__bind_text(*statement_out, 4, read->category);
    if (read->prefix != NULL)
        stele__bind_text(*statement_out, 5, read->prefix);
    if (cursor->lanes > 0) {
        stele__bind_number(*statement_out, 8, cursor->lanes);
        stele__bind_number(*statement_out, 9, cursor->lane);
    }
    if (is_by_position(cursor)) {
        stele__bind_number(*statement_out, 6, read->after_position);
        stele__bind_number(*statement_out, 7,
                           read->to_position > 0 ? read->to_position : INT64_MAX);
    }
    return STELE_OK;
}
